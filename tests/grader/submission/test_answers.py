"""What an answer imports from a script beside it counts, and what Python cannot read is told of."""

import hashlib
import sys

import pytest

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


def with_helper(folder, *cells: str, script: str = SCRIPT, name: str = "my_attention.py"):
    return read(folder, {"02_attention.ipynb": notebook(IMPORTS, *cells, HEADS), name: script})


def values(submission, name: str) -> list[str]:
    return [piece.source for piece in submission.pieces if name in piece.names]


@pytest.mark.parametrize(
    "imports",
    [
        "from my_attention import attend",
        "from my_attention import *",
        "from my_attention import attend as mine\nattend = mine",
        "from my_attention import (\n    attend,\n    SCALE,\n)",
    ],
)
def test_names_come_from_a_script_beside_the_notebook(tmp_path, imports):
    submission = with_helper(tmp_path, imports)
    assert is_right(run(submission))
    assert submission.repairs[-1] == "my_attention.py was read too: the notebook imports it"
    assert not any("counts for this" in each for each in submission.repairs)


def test_a_piece_of_a_helper_names_the_helper_and_the_digest_covers_it(tmp_path):
    submission = with_helper(tmp_path, "from my_attention import attend")
    (piece,) = (each for each in submission.pieces if each.names == ("attend",))
    assert (piece.where, piece.line) == ("my_attention.py", 9)
    assert "def attend" in submission.text
    files = [(tmp_path / name).read_bytes() for name in ("02_attention.ipynb", "my_attention.py")]
    covered = b"".join(len(data).to_bytes(8, "big") + data for data in files)
    assert submission.digest == hashlib.sha256(covered).hexdigest()


def test_a_script_that_nobody_imports_defines_nothing_and_the_notebooks_own_definition_wins(
    tmp_path,
):
    submission = with_helper(tmp_path, "x = 3", script="def more():\n    return 3\n")
    assert not values(submission, "more")
    own = ATTEND.replace("Average", "Own")
    submission = with_helper(tmp_path, own, "from my_attention import attend")
    (source,) = values(submission, "attend")
    assert "Own" in source


def test_a_helper_may_have_helpers_and_they_each_other(tmp_path):
    files = {
        "02_attention.ipynb": notebook(IMPORTS, "from a import attend", HEADS),
        "a.py": f"from b import SCALE\n{ATTEND[ATTEND.index('def ') :]}",
        "b.py": "import math\nfrom a import attend\nSCALE = math.sqrt(9)\n",
    }
    submission = read(tmp_path, files)
    assert is_right(run(submission))
    assert "b.py was read too: a.py imports it" in submission.repairs
    assert len(values(submission, "SCALE")) == 1


def test_of_helpers_of_one_name_the_nearest_is_read_also_in_a_folder(tmp_path):
    files = {
        "work/02_attention.ipynb": notebook(IMPORTS, "from mine import attend", HEADS),
        "work/mine.py": SCRIPT,
        "mine.py": "def attend(q, k):\n    return 5\n",
    }
    assert is_right(run(read(tmp_path, files)))
    within = with_helper(tmp_path / "b", "from parts.mine import attend", name="parts/mine.py")
    assert is_right(run(within))


@pytest.mark.parametrize("name", ["math", "kws", "pytest", "json"])
def test_a_script_takes_no_librarys_place(tmp_path, name):
    imports = f"from {name} import attend"
    submission = with_helper(tmp_path, imports, script="attend = 3\n", name=f"{name}.py")
    assert values(submission, "attend") == [imports]


def test_whether_a_library_is_there_does_not_depend_on_where_the_grader_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert is_right(run(with_helper(tmp_path, "from my_attention import attend")))


@pytest.mark.parametrize("imports", ["import my_attention", "import my_attention as m"])
def test_an_import_of_the_whole_script_is_told_with_the_cure(tmp_path, imports):
    submission = with_helper(tmp_path, imports, "SCALE, attend = 3, my_attention.attend")
    assert (
        "cell 2, line 1: `import my_attention` does not reach my_attention.py here: "
        "write `from my_attention import …`, with the names that you use"
    ) in submission.repairs


def test_imports_of_scripts_of_one_name_are_followed_in_linear_time(tmp_path):
    imports = "".join(f"from a{m}.x import y\n" for m in range(50))

    def follow(share: float) -> None:
        files = {f"{n}/x.py": imports for n in range(round(64 * share))}
        files |= {"02_attention.ipynb": notebook("from x import y", HEADS)}
        read(tmp_path / str(share), files)

    assert steps_in_proportion(follow)


def test_what_was_mended_in_a_helper_is_told(tmp_path):
    script = SCRIPT.replace("    return", "\u00a0   return")
    submission = with_helper(tmp_path, "from my_attention import attend", script=script)
    assert is_right(run(submission))
    assert any(each.startswith("my_attention.py: characters that") for each in submission.repairs)


def test_a_notebook_that_imports_most_answers_beats_the_script_that_holds_them(tmp_path):
    cells = notebook("from mine import attend, Heads", "SCALE = 3")
    files = {"02_attention.ipynb": cells, "mine.py": f"{SCRIPT}\n\n{HEADS}\n"}
    submission = read(tmp_path, files)
    assert is_right(run(submission))
    assert "mine.py was read too: the notebook imports it" in submission.repairs


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


def test_a_definition_that_python_can_read_makes_up_for_one_that_it_cannot(tmp_path):
    broken = "def attend(q, k):\n    return (q\n"
    submission = read(tmp_path, {"02_attention.ipynb": notebook(IMPORTS, ATTEND, HEADS, broken)})
    assert len(values(submission, "attend")) == 1
    assert is_right(run(submission))
