"""The homework's archive, cut into parts: fetched from a local server, joined, checked."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kws.cli import run
from kws.data import download as downloads
from kws.data.download import ARCHIVES, Archive, download
from kws.data.joined import Joined
from kws.data.speakers import load_speakers
from kws.errors import UsageError
from kws.files import lock
from tests.data import archives
from tests.data.archives import Site, content_of, names, site_of, tar_of
from tests.data.speaker_folder import write_speakers

NAME, FILE, PARTS = "homework", "Dataset.tar.gz", (".partaa", ".partab", ".partac", ".partad")
F, FRAMES = 5, 211
SPEAKERS, TEST = {"id02": 4, "id00": 3, "id01": 2}, 7


def homework(folder: Path) -> dict[str, bytes]:
    """The files of a small homework, by their names; noise, which does not compress."""

    def noise(number: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(number)
        return torch.randn(FRAMES + number, F, generator=generator)

    return content_of(write_speakers(folder, SPEAKERS, TEST, noise))


def packed(files: dict[str, bytes]) -> bytes:
    """As the publisher packed it: one folder, with a Mac's shadow beside it."""
    inside = ((f"Dataset/{name}", content) for name, content in files.items())
    return tar_of([("._Dataset", b"Mac"), *inside])


def cut(data: bytes) -> dict[str, bytes]:
    """As `split --bytes` does: equal parts and a shorter one, without regard to what is in them."""
    size = len(data) // 4 + 100
    return {FILE + part: data[i * size : (i + 1) * size] for i, part in enumerate(PARTS)}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    return homework(tmp_path_factory.mktemp("homework"))


@pytest.fixture
def server(files, monkeypatch) -> Iterator[Site]:
    """Offers the small homework's parts, known as an archive whose SHA-256 nobody published."""
    archive = Archive(
        file=FILE,
        sha256=None,
        num_bytes=None,
        max_unpacked=1_000_000,
        parts=PARTS,
        holds=(len(SPEAKERS), sum(SPEAKERS.values()), TEST, F),
    )
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("KWS_MIRROR", raising=False)
    with site_of(cut(packed(files)), tells_end=True) as server:
        monkeypatch.setitem(ARCHIVES, NAME, replace(archive, base=server.url))
        yield server


def digest_of(server: Site) -> str:
    return hashlib.sha256(b"".join(server.files.values())).hexdigest()


def refused(out: Path, **options) -> str:
    """The sentence with which the download is refused; nothing of it is at `out`."""
    sentence = archives.refused(download, NAME, out, wait=0.0, **options)
    assert ".unpacking" not in sentence
    assert not out.exists()
    assert not [name for name in names(out.parent) if name.startswith(".")]
    return sentence


def test_parts_are_fetched_in_order_joined_and_unpacked_without_their_folder(
    server, files, tmp_path
):
    assert download(NAME, tmp_path / "out")
    assert content_of(tmp_path / "out") == files
    assert names(tmp_path) == ["out"]
    assert server.requests == [(FILE + part, None) for part in PARTS]
    assert not download(NAME, tmp_path / "out")
    assert len(server.received) == len(PARTS)
    assert len(load_speakers(tmp_path / "out").speakers) == len(SPEAKERS)


def test_a_part_that_the_server_lacks_is_named_and_the_others_wait(server, tmp_path):
    missing = PARTS[2]
    content = server.files.pop(FILE + missing)
    sentence = refused(tmp_path / "out")
    assert f"{server.url}/{FILE}{missing}: the server answers 404" in sentence
    assert "--mirror" in sentence
    before = PARTS[: PARTS.index(missing)]
    assert names(tmp_path) == [*(FILE + part for part in before), FILE + missing + ".part"]
    server.files[FILE + missing] = content
    server.received.clear()
    assert download(NAME, tmp_path / "out")
    assert [name for name, _ in server.requests] == [FILE + part for part in PARTS[len(before) :]]


def test_an_interrupted_part_goes_on_where_it_stopped(server, files, tmp_path):
    server.drops = [10**9, 1_000]
    refused(tmp_path / "out", retries=0)
    assert names(tmp_path) == [FILE + PARTS[0], FILE + PARTS[1] + ".part"]
    server.received, server.drops = [], []
    assert download(NAME, tmp_path / "out")
    assert server.requests[0] == (FILE + PARTS[1], "bytes=1000-")
    assert [name for name, _ in server.requests] == [FILE + part for part in PARTS[1:]]
    assert content_of(tmp_path / "out") == files
    first = server.files[FILE + PARTS[0]]  # whole when the process died, though not yet renamed
    (tmp_path / (FILE + PARTS[0] + ".part")).write_bytes(first)
    assert download(NAME, tmp_path / "again")
    assert (FILE + PARTS[0], f"bytes={len(first)}-") in server.requests


@pytest.mark.parametrize("part", PARTS[::3])
def test_a_damaged_part_is_refused_and_fetched_again_once_it_is_removed(
    server, files, tmp_path, part
):
    download(NAME, tmp_path / "first", keep_archive=True)
    assert names(tmp_path) == [*(FILE + part for part in PARTS), "first"]  # no joined copy
    with (tmp_path / (FILE + PARTS[2])).open("rb") as other:
        lock(other)
        assert f"{PARTS[2]}: another process" in refused(tmp_path / "out")
    copy = tmp_path / (FILE + part)
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    sentence = refused(tmp_path / "out")
    assert f"{FILE}{PARTS[0]} to {FILE}{PARTS[3]}" in sentence
    assert "remove the wrong part" in sentence
    copy.unlink()
    assert download(NAME, tmp_path / "out")
    assert server.requests[4:] == [(FILE + part, None)]
    assert content_of(tmp_path / "out") == files


@pytest.mark.parametrize("part", PARTS[::3])
def test_a_part_cut_short_is_refused_with_the_sizes(server, tmp_path, part):
    server.files[FILE + part] = server.files[FILE + part][:-1]
    sizes = ", ".join(f"{len(content):,}" for content in server.files.values())
    sentence = refused(tmp_path / "out")
    assert "not a whole tar.gz" in sentence
    assert sizes in sentence
    for name in names(tmp_path):
        (tmp_path / name).unlink()
    server.files[FILE + PARTS[0]] = b"<html>Sign in to the network</html>"
    assert f"noticed in {FILE}{PARTS[0]};" in refused(tmp_path / "out")


@pytest.mark.parametrize("as_file", [False, True])
def test_a_digest_from_elsewhere_is_compared(server, tmp_path, as_file):
    right, wrong = digest_of(server), "0" * 64
    record = tmp_path / "SHA256"
    record.write_text(f"{wrong}  {FILE}\n")
    sentence = refused(tmp_path / "out", sha256=str(record) if as_file else wrong)
    assert right in sentence
    assert wrong in sentence
    record.write_text(f"{right.upper()}  {FILE}\n")
    assert download(NAME, tmp_path / "out", sha256=str(record) if as_file else right)
    assert not download(NAME, tmp_path / "out", sha256=right)
    with pytest.raises(UsageError, match=f"sha256 {right}, expected {wrong}"):
        download(NAME, tmp_path / "out", sha256=wrong)


@pytest.mark.parametrize(("name", "given"), [(NAME, "abc"), (NAME, "0" * 65), ("v2", "0" * 64)])
def test_what_is_no_digest_or_contradicts_a_published_one_is_refused(server, tmp_path, name, given):
    with pytest.raises(UsageError, match=rf"^--sha256 {given}: .*leave it out$"):
        download(name, tmp_path / "out", sha256=given)
    assert server.received == []


FIRST, SECOND = (f"uttr-{number:032x}.pt" for number in (0, 7919 % 1000))
LFS = b"version https://git-lfs.github.com/spec/v1\n"


def in_table(name: str, change: Callable[[dict], object]) -> Callable[[dict[str, bytes]], None]:
    """A change of one of the tables."""

    def edit(files: dict[str, bytes]) -> None:
        table = json.loads(files[name])
        change(table)
        files[name] = json.dumps(table).encode()

    return edit


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda files: files.pop(FIRST), "1 of its 16 feature files are missing, uttr-"),
        (lambda files: files.update({FIRST: files[SECOND]}), "where its mel_len says"),
        (lambda files: files.update({FIRST: LFS}), "git-LFS pointer"),
        (
            in_table("metadata.json", lambda table: table["speakers"].pop("id01")),
            "7 labeled and 7 test utterances of 5 mel bands, expected 3 speakers, 9",
        ),
        (lambda files: files.pop("mapping.json"), "mapping.json: no such file"),
        (
            in_table("testdata.json", lambda x: x["utterances"].__setitem__(1, x["utterances"][0])),
            "1 utterances are named twice",
        ),
        (lambda files: files.pop("metadata.json"), "metadata.json 0 times"),
    ],
)
def test_other_content_than_the_homework_is_refused(server, files, tmp_path, change, messages):
    other = dict(files)
    change(other)
    server.files = cut(packed(other))
    assert messages in refused(tmp_path / "out")


def test_a_full_disk_is_told_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = type(downloads.shutil.disk_usage(tmp_path))
    space = {"free": 1_999_999}  # an archive of unknown length, and as much content
    monkeypatch.setattr(
        downloads.shutil, "disk_usage", lambda _: usage(4_000_000, 0, space["free"])
    )
    assert "free some space" in refused(tmp_path / "out")
    assert server.received == []
    for name, content in server.files.items():
        (tmp_path / name).write_bytes(content)
    space["free"] = 1_000_000  # all parts are here: room for the content is enough
    assert download(NAME, tmp_path / "out")


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_joined_files_read_as_one(tmp_path, size):
    contents = [b"ab", b"", b"cdefg", b"h"]
    paths = [tmp_path / str(i) for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    with Joined(paths) as stream:
        read = list(iter(lambda: stream.read(size), b""))
    assert b"".join(read) == b"abcdefgh"
    assert {len(piece) for piece in read[:-1]} <= {size}
    assert stream.position == 8
    assert stream.digest.hexdigest() == hashlib.sha256(b"abcdefgh").hexdigest()


def test_the_command_prints_the_digest_that_nobody_published(server, tmp_path, capsys):
    arguments = ["data", "download", NAME, str(tmp_path / "out"), "--mirror", server.url]
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path / 'out'}: {NAME}, unpacked, its content checked\n")
    assert f"sha256 {digest_of(server)} of the joined parts: none is published" in out
    assert err == ""
    assert run([*arguments, "--sha256", digest_of(server)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: {NAME}, is there already\n"
