"""Fetching an archive, against a local server that misbehaves as a test asks."""

import hashlib
import random
import runpy
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.cli import run
from kws.data import download as downloads
from kws.data import fetch as fetching
from kws.data.download import ARCHIVES, MARKER, Archive, download
from kws.files import lock
from tests.conftest import PATIENCE, forked
from tests.data.archives import Site, content_of, names, refused, site_of, tar_of

FILE = "small.tar.gz"
CLIPS = {
    "yes/0a_nohash_0.wav": random.Random(1).randbytes(200_000),  # noise does not compress
    "no/0b_nohash_0.wav": random.Random(2).randbytes(100_003),
    "LICENSE": b"free\n",
}


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    """A well-behaved server of a small archive that is known as `small`."""
    content = tar_of(CLIPS.items())
    archive = Archive(
        file=FILE,
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        max_unpacked=1_000_000,
    )
    monkeypatch.setitem(ARCHIVES, "small", archive)
    monkeypatch.setenv("no_proxy", "*")
    with site_of({FILE: content}) as site:
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
    assert len(site.received) == 1


def test_the_archive_is_kept_on_request_and_verified_when_it_is_used_again(site, tmp_path):
    download("small", tmp_path / "one", keep_archive=True)
    assert (tmp_path / FILE).read_bytes() == site.content
    download("small", tmp_path / "two", keep_archive=True)
    assert content_of(tmp_path / "two") == CLIPS
    (tmp_path / FILE).write_bytes(site.content[:-1] + b"x")
    sentence = refused(download, "small", tmp_path / "sc")
    assert FILE in sentence
    assert "remove it" in sentence
    assert names(tmp_path) == ["one", FILE, "two"]
    assert len(site.received) == 1


@pytest.mark.parametrize("link", [False, True])
def test_an_empty_folder_is_filled(site, tmp_path, link):
    (tmp_path / "real").mkdir()
    out = tmp_path / "real"
    if link:
        out = tmp_path / "link"
        out.symlink_to("real")
    download("small", out)
    assert content_of(tmp_path / "real") == CLIPS


def test_what_lies_there_already_is_left_alone(site, tmp_path, monkeypatch):
    for name in ("notes.txt", MARKER):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("mine")
        sentence = refused(download, "small", tmp_path / name)
        assert str(tmp_path / name) in sentence
        assert "choose another folder" in sentence
        assert names(tmp_path / name) == [name]
    (tmp_path / "file").write_text("mine")
    assert "a file, not a folder" in refused(download, "small", tmp_path / "file")
    download("small", tmp_path / "sc", mirror=site.url + "/")
    assert "not a download of v2" in refused(download, "v2", tmp_path / "sc")
    monkeypatch.setattr(Path, "is_mount", lambda self: True)
    (tmp_path / "disk").mkdir()
    assert "choose a folder inside it" in refused(download, "small", tmp_path / "disk")
    assert len(site.received) == 1


@pytest.mark.parametrize("stated_length", [True, False])
@pytest.mark.parametrize("drops", [[100_000], [0], [1, 50_000, 0, 16_384]])
def test_dropped_lines_are_taken_up_where_they_broke(site, tmp_path, drops, stated_length):
    site.drops, site.stated_length = drops, stated_length
    download("small", tmp_path / "sc", wait=0.0)
    assert content_of(tmp_path / "sc") == CLIPS
    starts = [sum(drops[: i + 1]) for i in range(len(drops))]
    assert site.ranges_sent == [None, *(f"bytes={n}-" if n else None for n in starts)]


def test_a_dead_line_is_given_up_and_the_part_kept(site, tmp_path):
    site.drops = [5_000] + [0] * 99
    sentence = refused(download, "small", tmp_path / "sc", retries=3, wait=0.0)
    assert f"{site.url}/{FILE}" in sentence
    assert "run the command again" in sentence
    assert len(site.received) == 1 + 3
    assert names(tmp_path) == [FILE + ".part"]
    assert (tmp_path / (FILE + ".part")).read_bytes() == site.content[:5_000]


def test_progress_resets_the_count_of_failures(site, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "ENOUGH", 20_000)
    site.drops = [20_000] * 10
    download("small", tmp_path / "sc", retries=1, wait=0.0)
    assert len(site.received) == 11


def test_a_server_that_restarts_and_drops_for_ever_is_given_up(site, tmp_path, monkeypatch):
    """Bytes received again are no progress."""
    monkeypatch.setattr(fetching, "ENOUGH", 20_000)
    site.drops, site.ranges = [200_000] * 99, False
    refused(download, "small", tmp_path / "sc", retries=2, wait=0.0)
    assert len(site.received) == 3


def test_pauses_double_up_to_a_bound(site, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetching.time, "sleep", pauses.append)
    monkeypatch.setattr(fetching, "LONGEST_WAIT", 7.0)
    site.statuses = [503] * 5
    download("small", tmp_path / "sc", retries=5, wait=1.0)
    assert pauses == [1.0, 2.0, 4.0, 7.0, 7.0]


@pytest.mark.parametrize(
    ("part", "manners", "wanted"),
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
    site, tmp_path, part, manners, wanted
):
    (tmp_path / (FILE + ".part")).write_bytes(part(site.content))
    vars(site).update(manners)
    download("small", tmp_path / "sc", wait=0.0)
    assert site.ranges_sent == wanted
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
    assert site.ranges_sent == [f"bytes={len(site.content) + surplus}-", None]
    assert content_of(tmp_path / "sc") == CLIPS


def test_a_file_that_changed_between_two_attempts_starts_over(site, tmp_path, monkeypatch):
    """The strong ETag goes back as If-Range; the new file has another, so all of it comes."""
    good, site.content = site.content, bytes(len(site.content))
    site.etag, site.drops = '"old"', [1_000]

    def repair(_):
        site.content, site.etag = good, '"new"'

    monkeypatch.setattr(fetching.time, "sleep", repair)
    download("small", tmp_path / "sc")
    assert site.received[1]["If-Range"] == '"old"'
    assert content_of(tmp_path / "sc") == CLIPS
    site.etag, site.drops = 'W/"a"', [0, 0, 1_000]  # a weak one is not sent back
    download("small", tmp_path / "again")
    assert "If-Range" not in site.received[3]


def test_two_runs_at_once_do_not_mix_their_bytes(site, tmp_path):
    with (tmp_path / (FILE + ".part")).open("wb") as other:
        lock(other)
        sentence = refused(download, "small", tmp_path / "sc")
    assert FILE in sentence
    assert "another process" in sentence


@pytest.mark.parametrize("status", [403, 404, 416])
def test_a_refusing_server_is_told_at_once(site, tmp_path, status):
    site.statuses = [status]
    sentence = refused(download, "small", tmp_path / "sc")
    assert f"{site.url}/{FILE}" in sentence
    assert str(status) in sentence
    assert "--mirror" in sentence
    assert len(site.received) == 1
    assert not (tmp_path / "sc").exists()


@pytest.mark.parametrize(
    ("name", "mirror", "sentence"),
    [
        ("v2_test", "http://a", "did you mean 'v2-test'?"),
        ("small", "ftp://127.0.0.1/x", "--mirror 'ftp://127.0.0.1/x'"),
        ("small", "/srv/mirror", "--mirror '/srv/mirror'"),
        ("small", "http://exa mple/", "--mirror"),
        ("small", "http://[::1", "--mirror"),
        ("small", "http://h:port", "--mirror"),
        ("small", "http://127.0.0.1:1", f"http://127.0.0.1:1/{FILE}: 2 attempts"),
    ],
)
def test_a_name_or_a_mirror_that_does_not_exist_is_refused(
    site, tmp_path, monkeypatch, name, mirror, sentence
):
    monkeypatch.setenv("KWS_MIRROR", "ftp://x")
    options = {"mirror": mirror, "retries": 1, "wait": 0.0}
    assert sentence in refused(download, name, tmp_path / "sc", **options)
    assert "KWS_MIRROR 'ftp://x'" in refused(download, "small", tmp_path / "sc")


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
    if known:
        site.content = site.content[:-1]
        sentence = refused(download, "small", tmp_path / "sc")
        assert (
            f"file has {len(site.content):,} bytes, expected {len(site.content) + 1:,}" in sentence
        )


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
    assert site.received == []
    assert names(tmp_path) == []
    (tmp_path / (FILE + ".part")).write_bytes(site.content[:1_000])  # those need no more space
    monkeypatch.setattr(downloads.shutil, "disk_usage", disk_with(need - 1_000))
    download("small", tmp_path / "sc")


def test_kill_9_while_fetching_then_only_the_missing_bytes(site, tmp_path):
    site.hold = 65_536
    part = tmp_path / (FILE + ".part")
    process = forked(download, "small", tmp_path / "sc")
    while not (part.exists() and part.stat().st_size > 50_000):
        assert process.is_alive(), "ended before it could be killed"
        time.sleep(0.01)
    process.kill()
    process.join()
    have = part.stat().st_size
    assert 50_000 < have < len(site.content)
    assert names(tmp_path) == [FILE + ".part"]
    site.hold = None
    site.go.set()
    download("small", tmp_path / "sc")
    assert site.ranges_sent == [None, f"bytes={have}-"]
    assert content_of(tmp_path / "sc") == CLIPS


def test_kill_9_while_unpacking_leaves_no_half_folder(site, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("kws.data.extract.shutil.copyfileobj", lambda *_: time.sleep(PATIENCE))
        process = forked(download, "small", tmp_path / "sc")
    while not list(tmp_path.glob(".sc.unpacking/*/*")):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert not (tmp_path / "sc").exists()
    assert (tmp_path / FILE).exists()
    download("small", tmp_path / "sc")
    assert len(site.received) == 1, "the archive was there already"
    assert content_of(tmp_path / "sc") == CLIPS
    assert names(tmp_path) == ["sc"]


def test_the_command_and_the_script_say_what_they_did(site, tmp_path, monkeypatch, capsys):
    arguments = ["download", "small", str(tmp_path / "sc"), "--mirror", site.url]
    assert run(["data", *arguments, "--keep-archive"]) == 0
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_path("data_scripts/download.py", run_name="__main__")
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'sc'}: small, verified and unpacked\n" + (
        f"{tmp_path / 'sc'}: small, is there already\n"
    )
    assert err == ""
    assert (tmp_path / FILE).exists()
