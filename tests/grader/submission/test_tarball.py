"""Archives of Linux and macOS are read as zips are; what cannot be opened waits for a person."""

import bz2
import gzip
import io
import lzma
import resource
import tarfile
import zipfile

import pytest

from grader.submission import read_submissions, tarball
from grader.submission.disk import collect
from tests.grader.submission.conftest import CATALOG, dump, is_right, make_notebook, run

NOTEBOOK = dump(make_notebook())
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "plain": bytes}


def read(path):
    (submission,) = read_submissions(path, "02", catalog=CATALOG)
    return submission


def tarred(files: dict[str, bytes], **more) -> bytes:
    """A tar of these; `more` is set on every member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in more.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("name", ["hw.tar", "hw.tar.gz", "hw.tgz", "hw.ipynb", "upload", "hw.zip"])
def test_a_tar_is_read_however_it_is_packed_and_called(tmp_path, kind, name):
    data = PACKERS[kind](tarred({"hw/02_attention.ipynb": NOTEBOOK, "hw/notes.png": b"x"}))
    (tmp_path / name).write_bytes(data)
    for path in (tmp_path, tmp_path / name):
        assert is_right(run(read(path)))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_packed_notebook_is_read(tmp_path, kind):
    (tmp_path / f"02_attention.ipynb.{kind}").write_bytes(PACKERS[kind](NOTEBOOK))
    assert is_right(run(read(tmp_path)))


@pytest.mark.parametrize("kind", PACKERS)
def test_what_breaks_off_is_read_in_front_of_the_break_and_told(tmp_path, kind):
    whole = PACKERS[kind](tarred({"02_attention.ipynb": NOTEBOOK, "z.txt": bytes(range(256)) * 99}))
    (tmp_path / "hw.tar.x").write_bytes(whole[:-300] if kind != "plain" else whole[:20_000])
    (tmp_path / "hw.tar.x").rename(tmp_path / "hw.tar")
    submission = read(tmp_path)
    if kind in ("gz", "plain"):  # the others unpack whole blocks only
        assert is_right(run(submission))
    if kind != "plain":
        assert "hw.tar is damaged, or too large: zip it again" in submission.repairs


def test_links_and_devices_in_a_tar_lead_nowhere(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        data = tarred({"02.ipynb": b"", "a.py": b""}, type=kind, linkname="/etc/passwd")
        (tmp_path / "hw.tar").write_bytes(data)
        assert collect(tmp_path).files == []


def test_paths_in_a_tar_are_names(tmp_path):
    (tmp_path / "hw.tar").write_bytes(tarred({"../../../02_attention.ipynb": NOTEBOOK}))
    (file,) = collect(tmp_path).files
    assert ".." not in file.path.parts


def test_a_sparse_file_is_not_filled_up(tmp_path):
    data = tarred({"02.ipynb": b"x"}, pax_headers={"GNU.sparse.size": str(1 << 40)})
    sparse = bytearray(tarred({"02.ipynb": b"\0" * 512}))
    sparse[156:157] = tarfile.GNUTYPE_SPARSE
    for each in (data, bytes(sparse)):
        (tmp_path / "hw.tar").write_bytes(each)
        assert sum(len(file.data) for file in collect(tmp_path).files) < 1 << 20


@pytest.mark.parametrize("headers", [{"a": "x" * 99_999}, {f"k{i}": "x" * 99 for i in range(300)}])
def test_headers_for_all_entries_are_not_copied_without_end(headers):
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as archive:
        for number in range(200):
            archive.addfile(tarfile.TarInfo(f"{number}.py"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(list(tarball.members(buffer.getvalue()))) in (0, 200)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_bomb_unpacks_no_further_than_is_allowed(tmp_path, kind, monkeypatch):
    most = 8 << 20
    monkeypatch.setattr("grader.submission.archive.MAX_TOTAL", most)
    bomb = PACKERS[kind](bytes(64 << 20))
    (tmp_path / "02.ipynb.gz").write_bytes(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content, whole = tarball.unpacked(bomb, most)
    assert len(content) <= most
    assert not whole
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", b"\x1f\x8b" + b"x" * 999])
def test_what_only_begins_like_an_archive_is_told(tmp_path, data):
    (tmp_path / "hw.tar.gz").write_bytes(data)
    assert "hw.tar.gz is damaged, or too large: zip it again" in read(tmp_path).repairs


# What a person has to look at


def encrypted() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("02_attention.ipynb", NOTEBOOK)
    data = bytearray(buffer.getvalue())
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("hw.7z", b"7z\xbc\xaf\x27\x1c"),
        ("hw.RAR", b"Rar!"),
        ("02_attention.html", b"<html>"),
        ("02_attention.pdf", b"%PDF"),
        ("hw.zip", b"PK\x03\x04" + b"x" * 99),
        ("hw.zip", b"nothing of the kind"),
        ("hw.tar.gz", b"\x1f\x8b" + b"x" * 99),
        ("hw.zip", encrypted()),
    ],
)
def test_what_cannot_be_opened_is_named_as_unread(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    unread = read(tmp_path).unread
    assert unread.endswith("cannot be opened here: hand in the .ipynb file, or a zip")
    assert unread.startswith((name, "02_attention.ipynb"))


def test_nothing_is_unread_beside_an_answer(tmp_path):
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "02_attention.ipynb").write_bytes(NOTEBOOK)
    submission = read(tmp_path)
    assert submission.unread == ""
    assert is_right(run(submission))


def test_an_empty_notebook_beside_what_cannot_be_opened_is_unread(tmp_path):
    (tmp_path / "hw.rar").write_bytes(b"Rar!")
    (tmp_path / "02_attention.ipynb").write_bytes(dump({"cells": [], "nbformat": 4}))
    assert read(tmp_path).unread.startswith("hw.rar cannot be opened here")


def test_an_empty_folder_is_not_unread(tmp_path):
    assert read(tmp_path).unread == ""
