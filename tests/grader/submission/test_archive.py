"""What is handed in as folders and zips is read as far as it goes, whatever is wrong with it."""

import io
import os
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from grader.submission import read_submissions
from grader.submission.archive import MAX_NAME, Collected
from grader.submission.decoding import MAX_NOTES, bounded, short
from grader.submission.disk import collect
from grader.submission.headers import ZIP, Unpacking, entries
from tests.grader.submission.conftest import CATALOG, cell, dump, is_right, make_notebook, run

MUCH = 50_000  # characters: more than anybody reads


def read(path: Path):
    (submission,) = read_submissions(path, "02", catalog=CATALOG)
    return submission


def put_notebook(folder: Path) -> None:
    (folder / "02_attention.ipynb").write_bytes(dump(make_notebook()))


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# Folders


@pytest.fixture
def nested(tmp_path):
    """Makes so many folders within one another, whose paths may be longer than any call takes."""

    def make(levels: int, name: str) -> None:
        inner = os.open(tmp_path, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir(name, dir_fd=inner)
            outer, inner = inner, os.open(name, os.O_RDONLY, dir_fd=inner)
            os.close(outer)
        file = os.open("02_deep.ipynb", os.O_WRONLY | os.O_CREAT, dir_fd=inner)
        os.write(file, dump(make_notebook()))
        os.close(file)
        os.close(inner)

    yield make
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


def test_folders_are_read_however_deep(tmp_path, nested):
    nested(1_100, "d")
    assert is_right(run(read(tmp_path)))


def test_where_paths_are_too_long_the_rest_is_read_and_the_student_told(tmp_path, nested):
    nested(100, "d" * 100)
    put_notebook(tmp_path)
    submission = read(tmp_path)
    assert is_right(run(submission))
    (told,) = (each for each in submission.repairs if "could not be read" in each)
    assert len(told) < 200


def test_a_folder_that_may_not_be_read_costs_nothing_beside_it(tmp_path, monkeypatch):
    put_notebook(tmp_path)
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
    put_notebook(tmp_path)
    for number in range(9):
        (tmp_path / f"{number}").mkdir()
    monkeypatch.setattr("grader.submission.disk.MAX_LISTED", 5)
    found = Collected(listed=5)
    monkeypatch.setattr("grader.submission.disk.Collected", lambda: found)
    assert len(collect(tmp_path).files) == 1
    assert "more than 5 folders were handed in: 4 was not read" in found.notes


# Sentences


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


@pytest.mark.parametrize(
    "source",
    [
        "def f(:",
        "%time",
        "def attend(q, k):\n    return 1",
        "\n".join(f"def f{number}(): pass" for number in range(100)),
        "def " + "f" * 15_000 + "(): pass",
    ],
    ids=["broken", "magics", "rivals", "many names", "long names"],
)
@pytest.mark.parametrize("kind", ["code", "raw"])
def test_a_student_never_reads_more_than_a_page_or_two(tmp_path, source, kind):
    notebook = make_notebook()
    notebook["cells"] += [cell(kind, source) for _ in range(60)]
    (tmp_path / "02_attention.ipynb").write_bytes(dump(notebook))
    assert len("".join(read(tmp_path / "02_attention.ipynb").repairs)) < MUCH


def test_many_files_are_named_up_to_some(tmp_path):
    for number in range(300):
        (tmp_path / f"02_attention_{number}.ipynb").write_bytes(dump(make_notebook()))
    (sentence,) = read(tmp_path).repairs
    assert sentence.endswith("and 279 more")


def test_sentences_are_told_once_in_order_and_counted_beyond_some():
    sentences = [f"{number}" for number in range(MAX_NOTES + 3)]
    assert bounded([*sentences, *sentences]) == [*sentences[:-3], "… and 3 more like these"]


def test_a_long_name_keeps_its_start_and_its_end():
    assert short("a" * 500 + ".ipynb", 20) == "aaaaaaaaaaaaa….ipynb"


# Zips


def bombs(headers: int, size: int) -> bytes:
    """Headers, one behind the other; what unpacks after each is all the rest, and is damaged."""
    head = ZIP + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 0, 0, 0, 0)
    body = bytearray()
    for number in range(headers):
        rest = (headers - number - 1) * (len(head) + 5)
        body += head + b"\0" + struct.pack("<HH", rest, rest ^ 0xFFFF)
    block = b"\0" + struct.pack("<HH", 65_530, 65_530 ^ 0xFFFF) + bytes(65_530)
    return bytes(body) + block * (size // 65_530) + b"\7" * 8


def test_what_is_unpacked_for_one_header_after_the_other_is_counted_together():
    data = bombs(50, 1 << 20)
    unpacking = Unpacking(left=10 << 20)
    assert len(list(entries(data, lambda: 1 << 30, unpacking))) < 10


def test_unpacking_that_gives_nothing_counts_as_well():
    head = ZIP + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 0, 0, 0, 0)
    empty = b"\0\0\0\xff\xff"
    data = (head + empty) * 50 + empty * 50_000 + b"\7" * 8
    unpacking = Unpacking(left=1_000_000)
    list(entries(head + empty * 50_000 + b"\7" * 8, lambda: 1 << 30, unpacking))
    assert unpacking.left <= 750_000
    assert len(data) < 1_000_000


def test_a_whole_zip_is_unpacked_no_further_than_the_work_allows():
    found = Collected(unpacking=Unpacking(left=2_000_000))
    found.take("a.zip", zipped({f"{number}.txt": bytes(900_000) for number in range(9)}))
    assert len(found.files) == 3
    assert "from 3.txt on none was read: unpacking takes too long" in found.notes


def test_a_table_of_contents_that_would_fill_the_memory_is_not_read(monkeypatch):
    opened = []
    monkeypatch.setattr(zipfile, "ZipFile", opened.append)
    with_many = b"PK\3\4" + b"PK\1\2" * 11
    Collected(listed=10).take("a.zip", with_many)
    assert opened == []


def test_a_path_in_a_zip_is_no_longer_than_a_path():
    found = Collected()
    found.take("a.zip", zipped({"d/" * 9_000 + "02_attention.ipynb": b"{}"}))
    (file,) = found.files
    assert file.path.name == "02_attention.ipynb"
    assert len(file.path.as_posix()) <= MAX_NAME


def test_a_damaged_zip_gives_what_lies_in_front_of_the_damage():
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    content = stream.compress(b"x = 1\n" * 99) + stream.flush()
    head = ZIP + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 0, 0, 4, 0) + b"a.py"
    found = Collected()
    found.take("a.zip", head + content)
    assert found.files[0].data == b"x = 1\n" * 99


def test_a_zip_of_too_many_entries_is_not_called_damaged():
    found = Collected(listed=5)
    found.take("work.zip", zipped({f"{number}.png": b"x" for number in range(9)}))
    (said,) = found.notes
    assert said.startswith("work.zip holds more than 5 entries: 0 files could still be read")
