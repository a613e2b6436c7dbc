"""Fetching an archive, against a local server that misbehaves as a test asks."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kws.cli import run
from kws.data import download as downloads
from kws.data import fetch as fetching
from kws.data.download import ARCHIVES, MARKER, Archive, download
from kws.files import lock
from tests.conftest import PATIENCE
from tests.data.archives import QuietHandler, content_of, names, refused, serving, tar_of

FILE = "small.tar.gz"
CLIPS = {
    "yes/0a_nohash_0.wav": random.Random(1).randbytes(200_000),  # noise does not compress
    "no/0b_nohash_0.wav": random.Random(2).randbytes(100_003),
    "LICENSE": b"free\n",
}


@dataclass
class Site:
    """A server's file and manners. `drops[i]`: bytes sent before request i loses its line."""

    content: bytes
    drops: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # of the first requests, in order
    ranges: bool = True  # honor Range
    shift: int = 0  # added to the beginning that a 206 states
    etag: str | None = None
    stated_length: bool = True
    hold: int | None = None  # bytes after which the body waits for `go`
    go: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def ranges_asked(self) -> list[str | None]:
        """The Range header of each request, in order."""
        return [headers.get("Range") for headers in self.asked]


class Handler(QuietHandler):
    """Answers as `server.site` says."""

    def do_GET(self):  # noqa: N802
        site = self.server.site
        number = len(site.asked)
        site.asked.append(dict(self.headers))
        if number < len(site.statuses):
            return self.send_error(site.statuses[number])
        if self.path != f"/data/{FILE}":
            return self.send_error(404)
        wanted = self.headers.get("Range") if site.ranges else None
        changed = "If-Range" in self.headers and self.headers["If-Range"] != site.etag
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not changed else 0
        if start and start >= len(site.content):
            return self.send_error(416)
        body = site.content[start:]
        self.send_response(206 if start else 200)
        if start:
            stated = start + site.shift
            self.send_header(
                "Content-Range", f"bytes {stated}-{len(site.content) - 1}/{len(site.content)}"
            )
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.stated_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = site.drops[number] if number < len(site.drops) else len(body)
        for position in range(0, min(end, len(body)), 16_384):
            if site.hold is not None and position >= site.hold:
                site.go.wait()
            self.wfile.write(body[position : min(position + 16_384, end)])
        return None


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    """A well-behaved server of a small archive that is known as `small`."""
    content = tar_of(CLIPS.items())
    site = Site(content)
    archive = Archive(
        file=FILE,
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        max_unpacked=1_000_000,
    )
    monkeypatch.setitem(ARCHIVES, "small", archive)
    monkeypatch.setenv("no_proxy", "*")
    with serving(Handler, site=site) as server:
        site.url = f"{server.url}/data"
        monkeypatch.setenv("KWS_MIRROR", site.url)
        yield site


@pytest.fixture
def unknown_length(monkeypatch, site) -> None:
    """As for v1: the archive's length is not known beforehand."""
    archive = ARCHIVES["small"]
    same = {"file": archive.file, "sha256": archive.sha256, "max_unpacked": archive.max_unpacked}
    monkeypatch.setitem(ARCHIVES, "small", Archive(num_bytes=None, **same))


def test_the_archives_are_the_published_ones():
    assert list(ARCHIVES) == ["v1", "v2", "v2-test", "speakers-600"]
    digests = {name: archive.sha256 for name, archive in ARCHIVES.items()}
    assert [name for name, digest in digests.items() if digest is None] == ["speakers-600"]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests.values() if digest)
    assert downloads.mirror_url(ARCHIVES["v2"], "http://a/b/") == (
        "http://a/b/speech_commands_v0.02.tar.gz"
    )


def test_fetches_verifies_unpacks_cleans_up_and_asks_nothing_in_a_second_run(site, tmp_path):
    assert download("small", tmp_path / "sc")
    assert content_of(tmp_path / "sc") == CLIPS
    assert names(tmp_path) == ["sc"]
    assert not download("small", tmp_path / "sc")
    assert len(site.asked) == 1


def test_the_mirror_wins_over_the_environment(site, tmp_path, monkeypatch):
    monkeypatch.setenv("KWS_MIRROR", "http://127.0.0.1:1/nobody")
    assert download("small", tmp_path / "sc", mirror=site.url + "/")


def test_the_archive_is_kept_on_request_and_used_again(site, tmp_path):
    download("small", tmp_path / "one", keep_archive=True)
    assert (tmp_path / FILE).read_bytes() == site.content
    download("small", tmp_path / "two", keep_archive=True)
    assert len(site.asked) == 1
    assert content_of(tmp_path / "two") == CLIPS


def test_an_archive_put_there_by_hand_is_verified_and_never_deleted(site, tmp_path):
    (tmp_path / FILE).write_bytes(site.content[:-1] + b"x")
    sentence = refused(download, "small", tmp_path / "sc")
    assert FILE in sentence
    assert "remove it" in sentence
    assert names(tmp_path) == [FILE]


@pytest.mark.parametrize("link", [False, True])
def test_an_empty_folder_is_filled(site, tmp_path, link):
    (tmp_path / "real").mkdir()
    out = tmp_path / "real"
    if link:
        out = tmp_path / "link"
        out.symlink_to("real")
    download("small", out)
    assert content_of(tmp_path / "real") == CLIPS


@pytest.mark.parametrize("name", ["notes.txt", MARKER])
def test_a_folder_in_use_is_left_alone(site, tmp_path, name):
    (tmp_path / name).write_text("mine")
    sentence = refused(download, "small", tmp_path)
    assert str(tmp_path) in sentence
    assert "choose another folder" in sentence
    assert names(tmp_path) == [name]
    assert site.asked == []


def test_the_finished_folder_of_another_archive_is_not_this_one(site, tmp_path, monkeypatch):
    download("small", tmp_path / "sc")
    assert "not a download of v2" in refused(download, "v2", tmp_path / "sc")


def test_a_file_in_the_way_and_a_mount_point_are_refused_before_anything_is_fetched(
    site, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("mine")
    assert "a file, not a folder" in refused(download, "small", tmp_path / "file")
    monkeypatch.setattr(Path, "is_mount", lambda self: True)
    (tmp_path / "disk").mkdir()
    assert "choose a folder inside it" in refused(download, "small", tmp_path / "disk")
    assert site.asked == []


@pytest.mark.parametrize("stated_length", [True, False])
@pytest.mark.parametrize("drops", [[100_000], [0], [1, 50_000, 0, 16_384]])
def test_dropped_lines_are_taken_up_where_they_broke(site, tmp_path, drops, stated_length):
    site.drops, site.stated_length = drops, stated_length
    download("small", tmp_path / "sc", wait=0.0)
    assert content_of(tmp_path / "sc") == CLIPS
    starts = [sum(drops[: i + 1]) for i in range(len(drops))]
    assert site.ranges_asked == [None, *(f"bytes={n}-" if n else None for n in starts)]


def test_a_dead_line_is_given_up_and_the_part_kept(site, tmp_path):
    site.drops = [5_000] + [0] * 99
    sentence = refused(download, "small", tmp_path / "sc", retries=3, wait=0.0)
    assert f"{site.url}/{FILE}" in sentence
    assert "run the command again" in sentence
    assert len(site.asked) == 1 + 3
    assert names(tmp_path) == [FILE + ".part"]
    assert (tmp_path / (FILE + ".part")).read_bytes() == site.content[:5_000]


def test_progress_resets_the_count_of_failures(site, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "ENOUGH", 20_000)
    site.drops = [20_000] * 10
    download("small", tmp_path / "sc", retries=1, wait=0.0)
    assert len(site.asked) == 11


def test_a_server_that_restarts_and_drops_for_ever_is_given_up(site, tmp_path, monkeypatch):
    """Bytes received again are no progress."""
    monkeypatch.setattr(fetching, "ENOUGH", 20_000)
    site.drops, site.ranges = [200_000] * 99, False
    refused(download, "small", tmp_path / "sc", retries=2, wait=0.0)
    assert len(site.asked) == 3


def test_pauses_double_up_to_a_bound(site, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetching.time, "sleep", pauses.append)
    monkeypatch.setattr(fetching, "LONGEST_WAIT", 7.0)
    site.statuses = [503] * 5
    download("small", tmp_path / "sc", retries=5, wait=1.0)
    assert pauses == [1.0, 2.0, 4.0, 7.0, 7.0]


@pytest.mark.parametrize(
    ("part", "manners", "asked"),
    [
        (lambda whole: whole[:123_457], {}, ["bytes=123457-"]),
        (lambda whole: whole, {}, []),
        (lambda whole: b"old" * 1_000, {"ranges": False}, ["bytes=3000-"]),
        (lambda whole: b"x" + whole[1:1_000], {}, ["bytes=1000-", None]),
        (lambda whole: whole[:1_000], {"shift": 5}, ["bytes=1000-", None]),
    ],
    ids=["cut", "whole", "ranges are ignored", "damaged", "another range is sent"],
)
def test_a_later_run_asks_only_for_the_missing_bytes_or_starts_over(
    site, tmp_path, part, manners, asked
):
    (tmp_path / (FILE + ".part")).write_bytes(part(site.content))
    vars(site).update(manners)
    download("small", tmp_path / "sc", wait=0.0)
    assert site.ranges_asked == asked
    assert content_of(tmp_path / "sc") == CLIPS


@pytest.mark.usefixtures("unknown_length")
@pytest.mark.parametrize("have", [0, 1, 100_000, None])
def test_a_length_that_nobody_knows_beforehand(site, tmp_path, have):
    (tmp_path / (FILE + ".part")).write_bytes(site.content[:have])
    site.stated_length = False
    download("small", tmp_path / "sc")
    assert content_of(tmp_path / "sc") == CLIPS


@pytest.mark.usefixtures("unknown_length")
@pytest.mark.parametrize("surplus", [0, 1])
def test_a_part_as_long_as_the_file_or_longer_starts_over(site, tmp_path, surplus):
    """The server answers 416: there is nothing from there on."""
    (tmp_path / (FILE + ".part")).write_bytes(bytes(len(site.content) + surplus))
    download("small", tmp_path / "sc", wait=0.0)
    assert site.ranges_asked == [f"bytes={len(site.content) + surplus}-", None]
    assert content_of(tmp_path / "sc") == CLIPS


def test_a_file_that_changed_between_two_attempts_starts_over(site, tmp_path, monkeypatch):
    """The strong ETag goes back as If-Range; the new file has another, so all of it comes."""
    good, site.content = site.content, bytes(len(site.content))
    site.etag, site.drops = '"old"', [1_000]

    def repair(_):
        site.content, site.etag = good, '"new"'

    monkeypatch.setattr(fetching.time, "sleep", repair)
    download("small", tmp_path / "sc")
    assert site.asked[1]["If-Range"] == '"old"'
    assert content_of(tmp_path / "sc") == CLIPS


def test_a_weak_etag_is_not_sent_back(site, tmp_path):
    site.etag, site.drops = 'W/"a"', [1_000]
    download("small", tmp_path / "sc", wait=0.0)
    assert "If-Range" not in site.asked[1]


def test_two_runs_at_once_do_not_mix_their_bytes(site, tmp_path):
    with (tmp_path / (FILE + ".part")).open("wb") as other:
        lock(other)
        sentence = refused(download, "small", tmp_path / "sc")
    assert FILE in sentence
    assert "another process" in sentence


def test_an_unknown_name_suggests_the_near_one(site, tmp_path):
    assert "did you mean 'v2-test'?" in refused(download, "v2_test", tmp_path / "sc")


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1/x", "/srv/mirror", "file:///srv"])
def test_a_mirror_is_a_web_address(site, tmp_path, mirror, monkeypatch):
    assert f"--mirror '{mirror}'" in refused(download, "small", tmp_path / "sc", mirror=mirror)
    monkeypatch.setenv("KWS_MIRROR", mirror)
    assert f"KWS_MIRROR '{mirror}'" in refused(download, "small", tmp_path / "sc")


@pytest.mark.parametrize("mirror", ["http://exa mple/", "http://[::1", "http://h:port"])
def test_a_mirror_with_a_malformed_address_is_refused_at_once(site, tmp_path, mirror):
    assert "--mirror" in refused(download, "small", tmp_path / "sc", mirror=mirror)


@pytest.mark.parametrize("status", [403, 404, 416])
def test_a_refusing_server_is_told_at_once(site, tmp_path, status):
    site.statuses = [status]
    sentence = refused(download, "small", tmp_path / "sc")
    assert f"{site.url}/{FILE}" in sentence
    assert str(status) in sentence
    assert "--mirror" in sentence
    assert len(site.asked) == 1
    assert not (tmp_path / "sc").exists()


def test_nobody_listening_is_told_with_the_address(site, tmp_path):
    sentence = refused(
        download, "small", tmp_path / "sc", mirror="http://127.0.0.1:1", retries=1, wait=0.0
    )
    assert "http://127.0.0.1:1/" in sentence
    assert "2 attempts" in sentence


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_byte_is_found_told_and_deleted(site, tmp_path, known, request):
    if not known:
        request.getfixturevalue("unknown_length")
    right = hashlib.sha256(site.content).hexdigest()
    site.content = site.content[:7_777] + bytes([site.content[7_777] ^ 1]) + site.content[7_778:]
    sentence = refused(download, "small", tmp_path / "sc")
    assert right in sentence
    assert hashlib.sha256(site.content).hexdigest() in sentence
    assert "--mirror" in sentence
    assert names(tmp_path) == []


def test_a_short_file_on_the_server_is_told_before_it_is_fetched(site, tmp_path):
    site.content = site.content[:-1]
    sentence = refused(download, "small", tmp_path / "sc")
    assert f"{len(site.content):,}" in sentence
    assert f"{len(site.content) + 1:,}" in sentence


def test_a_server_that_sends_too_much_is_cut_off(site, tmp_path):
    right = site.content
    site.content, site.stated_length = right + bytes(50_000), False
    download("small", tmp_path / "sc")
    assert content_of(tmp_path / "sc") == CLIPS


def test_too_little_space_is_told_before_anything_is_fetched(site, tmp_path, monkeypatch):
    archive = ARCHIVES["small"]
    need = archive.max_unpacked + len(site.content)

    def disk_with(free):
        return lambda folder: type(real)(need, need - free, free)

    real = downloads.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(downloads.shutil, "disk_usage", disk_with(need - 1))
    sentence = refused(download, "small", tmp_path / "a" / "sc")
    assert str(tmp_path / "a" / "sc") in sentence
    assert "free some space" in sentence
    assert site.asked == []
    assert names(tmp_path) == []
    monkeypatch.setattr(downloads.shutil, "disk_usage", disk_with(need))
    download("small", tmp_path / "sc")


def test_bytes_that_are_here_already_need_no_space(site, tmp_path, monkeypatch):
    (tmp_path / (FILE + ".part")).write_bytes(site.content[:1_000])
    need = ARCHIVES["small"].max_unpacked + len(site.content) - 1_000
    usage = type(downloads.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: usage(need, 0, need))
    download("small", tmp_path / "sc")


# Killed processes, and the command itself

CHILD = """
import json, sys, time
from kws.data import download, extract
archive, out, slow = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3] == "slow"
download.ARCHIVES["small"] = download.Archive(**archive)
if slow:
    copy = extract.shutil.copyfileobj
    def crawl(source, target):
        copy(source, target)
        target.flush()
        print("unpacking", flush=True)
        time.sleep(60)
    extract.shutil.copyfileobj = crawl
download.download("small", out)
"""


def child(out: Path, slow: str = "") -> subprocess.Popen:
    fields = json.dumps(vars(ARCHIVES["small"]))
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, fields, str(out), slow], stdout=subprocess.PIPE, text=True
    )


def test_kill_9_while_fetching_then_only_the_missing_bytes(site, tmp_path):
    site.hold = 65_536
    part = tmp_path / (FILE + ".part")
    process = child(tmp_path / "sc")
    while not (part.exists() and part.stat().st_size > 50_000):
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert process.stdout is not None
    process.stdout.close()
    have = part.stat().st_size
    assert 50_000 < have < len(site.content)
    assert names(tmp_path) == [FILE + ".part"]
    site.hold = None
    site.go.set()
    download("small", tmp_path / "sc")
    assert site.ranges_asked == [None, f"bytes={have}-"]
    assert content_of(tmp_path / "sc") == CLIPS


def test_kill_9_while_unpacking_leaves_no_half_folder(site, tmp_path):
    process = child(tmp_path / "sc", "slow")
    assert process.stdout is not None
    assert process.stdout.readline() == "unpacking\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert not (tmp_path / "sc").exists()
    assert (tmp_path / FILE).exists()
    download("small", tmp_path / "sc")
    assert len(site.asked) == 1, "the archive was there already"
    assert content_of(tmp_path / "sc") == CLIPS
    assert names(tmp_path) == ["sc"]


def test_the_command_says_what_it_did(site, tmp_path, capsys):
    arguments = ["data", "download", "small", str(tmp_path / "sc"), "--mirror", site.url]
    assert run([*arguments, "--keep-archive"]) == 0
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'sc'}: small, verified and unpacked\n" + (
        f"{tmp_path / 'sc'}: small, is there already\n"
    )
    assert err == ""
    assert (tmp_path / FILE).exists()


def test_the_script_is_the_command(tmp_path):
    script = Path(__file__).parents[2] / "data_scripts" / "download.py"
    done = subprocess.run(
        [sys.executable, script, "v3", tmp_path / "sc"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert "unknown archive 'v3'" in done.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208
