"""What `kws check` runs is what is graded: odd notebooks through both, and what counts compared."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import student_cells
from grader.grading.grading_run import forbidden_uses
from grader.sandbox.loading import Namespace
from grader.sandbox.program import Code
from grader.submission import read_submissions
from kws.course import may_run
from kws.course.notebooks import stem_of
from kws.course.used_names import uses_of
from kws.student.cell_process import Kernel
from kws.student.released import Target, answers_of, released
from kws.student.visible_checks import plan
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import cell

ODD = code_beside(__file__)
REFUSED, ERROR = "refused", "error"
FORBIDDEN = ("torch.nn.MultiheadAttention",)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a script beside the notebook, importable as it is in the notebook's folder."""
    (tmp_path / "kws_own.py").write_text("def mine(q):\n    return q + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kws_own", raising=False)
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    return tmp_path


def outcome(attend) -> object:
    """What the answer gives for 1."""
    try:
        found = attend(1)
    except BaseException:
        return ERROR
    return float(found) if not isinstance(found, str) else found


def with_kws_check(path) -> object:
    """What the checks of 2.1 would see."""
    kernel = Kernel(lambda event: None)
    sys.modules["__main__"] = kernel.module
    for each in plan(path, Target(assignment="02", task="2.1")):
        if each["mode"] != "checks":
            kernel.run(each["number"], each["source"], each["mode"])
    attend = vars(kernel.module).get("attend")
    return REFUSED if uses_of({"attend": attend}, FORBIDDEN) else outcome(attend)


def with_the_grader(path) -> object:
    """What the hidden checks see."""
    (submission,) = read_submissions(path.parent, "02")
    if forbidden_uses(submission.pieces, FORBIDDEN, ["attend"]):
        return REFUSED
    namespace = Namespace(Code(pieces=submission.pieces))
    namespace.load()
    return outcome(namespace.values.get("attend"))


@pytest.mark.parametrize("name", ODD)
def test_kws_check_and_the_grader_read_a_notebook_alike(folder, name, monkeypatch):
    monkeypatch.setattr(may_run, "MOST_SECONDS", 1.0)
    expected, sources = ODD[name]["gives"], ODD[name]["cells"].split("\n# %%\n")
    table = json.loads(released()["02"].read_text())
    check = next(each for each in table["cells"] if "2.1-attend-values" in "".join(each["source"]))
    cells = [cell("code", source) for source in sources]
    for each in cells:
        each["metadata"] = {"kws": {"task": "2.1"}} if "attend" in each["source"] else {}
    path = folder / f"{stem_of('02')}.ipynb"
    path.write_text(json.dumps({**table, "cells": [*cells, check]}))
    assert (with_kws_check(path), with_the_grader(path)) == (expected, expected)


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_both_know_which_names_a_notebook_asks_for(number):
    wanted = {name for task in ASSIGNMENTS[number].tasks for name in task.names}
    assert wanted <= answers_of(number)


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_no_name_of_our_own_answers_is_refused_in_a_notebook_that_ran(number, monkeypatch):
    cells = student_cells(ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py")
    ran = [each.source for each in cells if each.kind == "code"]
    kernel = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=ran))
    monkeypatch.setattr(sys.modules["__main__"], "get_ipython", lambda: kernel, raising=False)
    for task in ASSIGNMENTS[number].tasks:
        assert uses_of(dict.fromkeys(task.names), task.forbidden) == []
