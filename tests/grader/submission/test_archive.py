"""What is handed in as folders and zips is read as far as it goes, whatever is wrong with it."""

import bz2
import gzip
import io
import lzma
import os
import resource
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from grader.core.text import MAX_NOTES, bounded, short
from grader.submission.archive import MAX_NAME, Collected, collect
from tests.grader.batch.made_up import nested
from tests.grader.submission.conftest import (
    NOTEBOOK,
    cell,
    dump,
    is_right,
    make_notebook,
    read,
    run,
    write,
    zipped,
)

NAME = "02_attention.ipynb"
MUCH = 50_000  # characters: more than anybody reads


def test_folders_that_are_nested_too_deep_are_left_to_a_person_and_the_rest_is_read(tmp_path):
    with nested(tmp_path, 1_100, "d", {NAME: NOTEBOOK}):
        assert read(tmp_path).unread
    write(tmp_path, {NAME: NOTEBOOK})
    with nested(tmp_path, 100, "d" * 100, {NAME: NOTEBOOK}):
        submission = read(tmp_path)
    assert is_right(run(submission))
    (messages,) = (each for each in submission.repairs if "could not be read" in each)
    assert len(messages) < 200


def test_a_folder_that_may_not_be_read_costs_nothing_beside_it(tmp_path, monkeypatch):
    write(tmp_path, {NAME: NOTEBOOK})
    (tmp_path / "locked").mkdir()
    listing = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    submission = read(tmp_path)
    assert is_right(run(submission))
    assert "locked could not be read (Permission denied): hand it in again" in submission.repairs


def test_folders_are_limited_in_number(tmp_path, monkeypatch):
    write(tmp_path, {NAME: NOTEBOOK})
    for number in range(9):
        (tmp_path / f"{number}").mkdir()
    found = Collected(listed=5)
    monkeypatch.setattr("grader.submission.archive.Collected", lambda: found)
    assert len(collect(tmp_path).files) == 1
    assert any("folders were handed in: not all were read" in note for note in found.notes)


def test_of_many_damaged_entries_some_are_named_and_the_others_counted(tmp_path):
    names = ["n" * 1_900 + f"{number:04}.txt" for number in range(2_000)]
    data = bytearray(zipped({name: b"x" for name in names} | {"02_a.ipynb": b"{}"}))
    at = data.find(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1  # encrypted
        at = data.find(b"PK\1\2", at + 4)
    (tmp_path / "a.zip").write_bytes(data)
    repairs = read(tmp_path / "a.zip").repairs
    assert len("".join(repairs)) < MUCH
    assert any(each.endswith("more like these") for each in repairs)
    assert any("is encrypted: zip it without a password" in each for each in repairs)


WORDY = {
    "broken": "def f(:",
    "magics": "%time",
    "rivals": "def attend(q, k):\n    return 1",
    "many names": "\n".join(f"def f{number}(): pass" for number in range(100)),
    "long names": "def " + "f" * 15_000 + "(): pass",
}


@pytest.mark.parametrize("name", WORDY)
@pytest.mark.parametrize("kind", ["code", "raw"])
def test_a_student_never_reads_more_than_a_page_or_two(tmp_path, name, kind):
    notebook = make_notebook()
    notebook["cells"] += [cell(kind, WORDY[name]) for _ in range(60)]
    (tmp_path / "02_attention.ipynb").write_bytes(dump(notebook))
    assert len("".join(read(tmp_path / "02_attention.ipynb").repairs)) < MUCH


def test_many_files_and_sentences_are_named_once_up_to_some(tmp_path):
    for number in range(300):
        (tmp_path / f"02_attention_{number}.ipynb").write_bytes(NOTEBOOK)
    (sentence,) = read(tmp_path).repairs
    assert sentence.endswith("and 279 more")
    sentences = [f"{number}" for number in range(MAX_NOTES + 3)]
    assert bounded([*sentences, *sentences]) == [*sentences[:-3], "… and 3 more like these"]
    assert short("a" * 500 + ".ipynb", 20) == "aaaaaaaaaaaaa….ipynb"


def unpacked(data: bytes, **limits: int) -> Collected:
    found = Collected(**limits)
    found.add(PurePosixPath("a.zip"), data)
    return found


def test_archives_are_unpacked_no_further_than_allowed_and_paths_no_longer_than_a_path():
    found = unpacked(zipped({f"{n}.txt": bytes(900_000) for n in range(9)}), unpacking=2_000_000)
    assert len(found.files) == 3
    assert "3.txt was not read: unpacking takes too long" in found.notes
    (file,) = unpacked(zipped({"d/" * 9_000 + "02_attention.ipynb": b"{}"})).files
    assert file.path.name == "02_attention.ipynb"
    assert len(file.path.as_posix()) <= MAX_NAME


def test_a_table_of_contents_that_would_fill_the_memory_is_not_read(monkeypatch):
    opened = []
    monkeypatch.setattr(zipfile, "ZipFile", opened.append)
    found = unpacked(b"PK\3\4" + b"PK\1\2" * 11, listed=10)
    assert (opened, found.closed) == ([], ["a.zip"])


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "plain": bytes}


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
    data = PACKERS[kind](tarred({"../hw/02_attention.ipynb": NOTEBOOK, "hw/notes.png": b"x"}))
    (tmp_path / name).write_bytes(data)
    for path in (tmp_path, tmp_path / name):
        assert is_right(run(read(path)))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_packed_notebook_is_read_and_a_bomb_no_further_than_is_allowed(
    tmp_path, kind, monkeypatch
):
    path = tmp_path / f"02_attention.ipynb.{kind}"
    path.write_bytes(PACKERS[kind](NOTEBOOK))
    assert is_right(run(read(tmp_path)))
    monkeypatch.setattr("grader.submission.archive.MAX_FILE", 8 << 20)
    path.write_bytes(PACKERS[kind](bytes(64 << 20)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = collect(tmp_path)
    assert (found.files, found.closed) == ([], ["02_attention.ipynb"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10


def test_links_devices_and_sparse_files_in_a_tar_lead_nowhere(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        data = tarred({"02.ipynb": b"", "a.py": b""}, type=kind, linkname="/etc/passwd")
        (tmp_path / "hw.tar").write_bytes(data)
        assert collect(tmp_path).files == []
    data = tarred({"02.ipynb": b"x"}, pax_headers={"GNU.sparse.size": str(1 << 40)})
    sparse = bytearray(tarred({"02.ipynb": b"\0" * 512}))
    sparse[156:157] = tarfile.GNUTYPE_SPARSE
    for each in (data, bytes(sparse)):
        (tmp_path / "hw.tar").write_bytes(each)
        assert sum(len(file.data) for file in collect(tmp_path).files) < 1 << 20


@pytest.mark.parametrize("headers", [{"a": "x" * 99_999}, {f"k{i}": "x" * 99 for i in range(300)}])
def test_headers_for_all_entries_are_not_copied_without_end(tmp_path, headers):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers=headers) as archive:  # in PAX
        for number in range(200):
            archive.addfile(tarfile.TarInfo(f"{number}.py"))
    (tmp_path / "hw.tar").write_bytes(buffer.getvalue())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    collect(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


def tampered(local: int, listed: int) -> bytes:
    """A zip with a bit flipped in the header of the file and in that of the list."""
    data = bytearray(zipped({"02_attention.ipynb": NOTEBOOK}))
    data[local] ^= 1
    data[data.index(b"PK\1\2") + listed] ^= 1
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
        ("hw.zip", zipped({"02_attention.ipynb": NOTEBOOK})[:-300]),
        ("hw.tar.gz", b"\x1f\x8b" + b"x" * 99),
        ("hw.tar.gz", gzip.compress(tarred({"02_attention.ipynb": NOTEBOOK}))[:-99]),
        ("hw.tar.bz2", b"BZh9"),
        ("hw.tar.xz", b"\xfd7zXZ\x00"),
        ("hw.zip", tampered(6, 8)),  # as if encrypted
        ("hw.zip", tampered(14, 16)),  # the checksum
    ],
)
def test_what_cannot_be_opened_is_named_as_unread(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    unread = read(tmp_path).unread
    assert unread.endswith("could not be read: hand in the .ipynb file again")
    assert unread.startswith((name, "02_attention.ipynb"))


@pytest.mark.parametrize(
    ("files", "unread"),
    [
        ({"report.pdf": b"%PDF", "02_attention.ipynb": NOTEBOOK}, ""),
        ({"hw.rar": b"Rar!", "02.ipynb": dump({"cells": [], "nbformat": 4})}, "hw.rar could not"),
        ({}, ""),
    ],
    ids=["beside an answer", "beside an empty notebook", "nothing"],
)
def test_what_cannot_be_opened_matters_where_there_is_no_answer(tmp_path, files, unread):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    submission = read(tmp_path)
    assert submission.unread.startswith(unread)
    assert bool(submission.unread) == bool(unread)
    assert NOTEBOOK not in files.values() or is_right(run(submission))
