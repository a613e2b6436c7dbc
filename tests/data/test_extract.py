"""Unpacking an archive that may be damaged, or made to do harm."""

import gzip
import random
import shutil
import tarfile
from pathlib import Path

import pytest

from kws.data.extract import extract
from kws.data.joined import Joined
from kws.errors import UsageError
from tests.data.archives import content_of, names, refused, tar_of

CLIPS = {"yes/a.wav": random.Random(1).randbytes(50_003), "LICENSE": b"free\n"}


def member(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    """A tar member of any kind: link, device, pipe, folder, file of zeros."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def unpack(data: bytes, folder: Path, **options) -> None:
    (folder / "a.tar.gz").write_bytes(data)
    with Joined([folder / "a.tar.gz"]) as archive:
        extract(archive, folder / "out", **{"max_bytes": 1_000_000, **options})


def test_folders_files_and_the_current_folder_are_unpacked(tmp_path):
    folders = [member(name, tarfile.DIRTYPE) for name in ("./", "./empty")]
    unpack(tar_of([*folders, ("./yes/a.wav", b"1"), ("no/b.wav", b"2")]), tmp_path)
    assert content_of(tmp_path / "out") == {"yes/a.wav": b"1", "no/b.wav": b"2"}
    assert (tmp_path / "out" / "empty").is_dir()


@pytest.mark.parametrize(
    "evil",
    [
        ("/tmp/evil.wav", b"x"),
        ("../evil.wav", b"x"),
        ("yes/../../evil.wav", b"x"),
        ("..", b"x"),
        ("C:/evil.wav", b"x"),
        ("..\\evil.wav", b"x"),
        member("link", tarfile.SYMTYPE, "../.."),
        member("link", tarfile.SYMTYPE, "/etc"),
        member("link", tarfile.LNKTYPE, "../a.tar.gz"),
        member("device", tarfile.CHRTYPE),
        member("disk", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
        ("yes/a.wav", b"again"),
        ("yes/a.wav/below-a-file", b"x"),
        member("yes/a.wav", tarfile.DIRTYPE),
        member("bomb", tarfile.REGTYPE, size=1_000_000),
    ],
    ids=lambda evil: (evil.name + evil.linkname) if isinstance(evil, tarfile.TarInfo) else evil[0],
)
def test_an_evil_member_leaves_nothing_behind(tmp_path, evil):
    sentence = refused(unpack, tar_of([("yes/a.wav", b"1"), evil]), tmp_path)
    assert "a.tar.gz" in sentence
    assert "remove it" in sentence
    assert names(tmp_path) == ["a.tar.gz"]
    assert not (tmp_path.parent / "evil.wav").exists()


def test_a_link_and_a_file_through_it_write_nothing_outside(tmp_path):
    """The classical attack: a link out of the folder, then a file below the link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    data = tar_of([member("yes", tarfile.SYMTYPE, str(outside)), ("yes/evil.wav", b"x")])
    refused(unpack, data, tmp_path)
    assert names(outside) == []


def test_bytes_and_members_are_bounded_and_what_follows_the_end_of_the_archive(
    tmp_path, monkeypatch
):
    data = tar_of([("a", bytes(700)), ("b", bytes(300))])
    assert "more than it should" in refused(unpack, data, tmp_path, max_bytes=999)
    unpack(data, tmp_path, max_bytes=1_000)
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr("kws.data.extract.MAX_MEMBERS", 10)
    tail = gzip.compress(bytes(3_000_000))
    assert "more than it should" in refused(unpack, tar_of([("a", b"1")]) + tail, tmp_path)
    monkeypatch.setattr("kws.data.extract.MAX_MEMBERS", 3)
    refused(unpack, tar_of((str(i), b"") for i in range(4)), tmp_path)
    unpack(tar_of((str(i), b"") for i in range(3)), tmp_path)


@pytest.mark.parametrize("where", [0, 5, 100, 0.5, -9, -1])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_archive_is_one_sentence_or_whole(tmp_path, where, how):
    data = tar_of(CLIPS.items())
    at = int(len(data) * where) if isinstance(where, float) else where % len(data)
    bad = data[:at] if how == "cut" else data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]
    try:
        unpack(bad, tmp_path)
    except UsageError:
        assert names(tmp_path) == ["a.tar.gz"]
    else:  # the flipped byte was one of those that mean nothing
        assert content_of(tmp_path / "out") == CLIPS


def test_a_full_disk_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kws.data.extract.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space") as refusal:
        unpack(tar_of([("a", b"1")]), tmp_path)
    assert refusal.value.filename == str(tmp_path / "out")
    assert names(tmp_path) == ["a.tar.gz"]


def test_what_a_killed_run_left_is_removed(tmp_path):
    stale = tmp_path / ".out.unpacking" / "yes"
    stale.mkdir(parents=True)
    (stale / "half.wav").write_bytes(b"1")
    unpack(tar_of([("yes/a.wav", b"1")]), tmp_path)
    assert content_of(tmp_path / "out") == {"yes/a.wav": b"1"}
    assert names(tmp_path) == ["a.tar.gz", "out"]
