"""What an answer imports from a script beside it counts, and what Python cannot read is told of."""

import hashlib
import sys

import pytest

from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import (
    ATTEND,
    HEADS,
    IMPORTS,
    cell,
    dump,
    is_right,
    run,
    steps_in_proportion,
    write,
)
from tests.grader.submission.conftest import read as submitted

SCRIPT = f"{IMPORTS}\n\n\n{ATTEND}\n"


def notebook(*cells: str) -> bytes:
    return dump({"cells": [cell("code", source) for source in cells]})


def read(folder, files: dict):
    return submitted(write(folder, files))


def written(name: str, text: str) -> bytes:
    for word, source in (("IMPORTS", IMPORTS), ("ATTEND", ATTEND), ("HEADS", HEADS)):
        text = text.replace(word, source)
    return notebook(*text.split("\n# %%\n")) if name.endswith(".ipynb") else text.encode()


@pytest.mark.parametrize("case", code_beside(__file__)["answer"], ids=lambda one: one["property"])
def test_what_a_notebook_imports_from_beside_it_counts_and_is_told(tmp_path, case):
    files = {name: written(name, text) for name, text in case["files"].items()}
    submission = read(tmp_path, files)
    if case.get("right", True):
        assert is_right(run(submission))
    for message, expected in zip(submission.repairs, case["told"], strict=True):
        assert expected in message
    for name, count in case.get("pieces", {}).items():
        assert len([piece for piece in submission.pieces if name in piece.names]) == count


def with_helper(folder, *cells: str, script: str = SCRIPT, name: str = "my_attention.py"):
    return read(folder, {"02_attention.ipynb": notebook(IMPORTS, *cells, HEADS), name: script})


def test_a_piece_of_a_helper_names_the_helper_and_the_digest_covers_it(tmp_path):
    submission = with_helper(tmp_path, "from my_attention import attend")
    (piece,) = (each for each in submission.pieces if each.names == ("attend",))
    assert (piece.where, piece.line) == ("my_attention.py", 9)
    assert "def attend" in submission.text
    files = [(tmp_path / name).read_bytes() for name in ("02_attention.ipynb", "my_attention.py")]
    covered = b"".join(len(data).to_bytes(8, "big") + data for data in files)
    assert submission.digest == hashlib.sha256(covered).hexdigest()


@pytest.mark.parametrize("name", ["math", "kws", "pytest", "json"])
def test_a_script_takes_no_librarys_place(tmp_path, name):
    imports = f"from {name} import attend"
    submission = with_helper(tmp_path, imports, script="attend = 3\n", name=f"{name}.py")
    sources = [piece.source for piece in submission.pieces if "attend" in piece.names]
    assert sources == [imports]


def test_whether_a_library_is_there_does_not_depend_on_where_the_grader_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert is_right(run(with_helper(tmp_path, "from my_attention import attend")))


def test_imports_of_scripts_of_one_name_are_followed_in_linear_time(tmp_path):
    imports = "".join(f"from a{m}.x import y\n" for m in range(50))

    def follow(share: float) -> None:
        files = {f"{n}/x.py": imports for n in range(round(64 * share))}
        files |= {"02_attention.ipynb": notebook("from x import y", HEADS)}
        read(tmp_path / str(share), files)

    assert steps_in_proportion(follow)


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("x = 3\n\n\ndef attend(q, k):\n    return (q\n", 4, "def attend(q, k):\n    return (q"),
        ("def attend(q:\n    return 1\n" * 3, 5, "def attend(q:\n    return 1"),  # the last
    ],
)
def test_a_definition_that_python_cannot_read_is_named_with_its_place(tmp_path, source, line, text):
    submission = read(tmp_path, {"02_attention.ipynb": notebook(source, HEADS)})
    (piece,) = (each for each in submission.pieces if each.names == ("attend",))
    assert (piece.where, piece.line, piece.source) == ("cell 1", line, text)
