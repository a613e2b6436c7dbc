"""What `kws check` runs is what is graded: odd notebooks through both, and what counts compared."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import student_cells
from grader.sandbox.loading import Namespace
from grader.sandbox.program import Code
from grader.submission import read_submissions
from grader.submission.forbidden import forbidden_uses
from kws.course.folders import stem_of
from kws.course.used_names import uses_of
from kws.student.cell_process import Kernel
from kws.student.released import Target, answers_of, released
from kws.student.visible_checks import plan
from tests.grader.submission.conftest import cell

ANSWER = "def attend(q):\n    return {}"
TODO = 'def attend(q):\n    raise NotImplementedError("TODO 2.1")'
OK = ANSWER.format("q + 1")
TWO = ANSWER.format("q + TWO")
REFUSED, ERROR = "refused", "error"
FAILED = "except ImportError:\n"
LOG = "class Log:\n    size = 0\n    def setup(self):\n        self.size = 2\n"
TORCH = "import torch\nfrom torch import nn\nfrom torch.nn import init\n"
ODD: dict[str, tuple[object, list[str]]] = {  # attend(1), and the cells
    # magics
    "a line that is timed": (3, ["%time TWO = 2\n" + TWO]),
    "a line that is timed, in a cell of its own": (3, ["%time TWO = 2", TWO]),
    "timed within a block": (2, ["if True:\n    %time x = 1\n" + OK]),
    "timed within a function": (2, ["def attend(q):\n    %time x = q + 1\n    return x"]),
    "timed, behind a comment": (2, ["# how long?\n%%time\n" + OK]),
    "timed cell": (2, ["%%time\n" + OK]),
    "captured cell": (2, ["%%capture out\n" + OK]),
    "profiled cell": (2, ["%%prun -s cumulative\n" + OK]),
    "written to a file": (2, [OK, "%%writefile old.py\n" + ANSWER.format("0")]),
    "a file": (2, [OK, "%%file old.py\n" + ANSWER.format("0")]),
    "a script": (2, [OK, "%%script python\n" + ANSWER.format("0")]),
    "another Python": (2, [OK, "%%python3\n" + ANSWER.format("0")]),
    "bash": (2, [OK, "%%bash\nattend=3"]),
    "html": (2, [OK, "%%html\n<b>attend</b>"]),
    "a comment, then bash": (2, [OK, "# files\n%%bash\nls"]),
    "a command over two lines": (2, ["!ls \\\n  -l\n" + OK]),
    "a command's output over two lines": (2, ["files = !ls \\\n  -l\n" + OK]),
    "a command in a block": (2, ["for n in range(2):\n    !echo {n}\n" + OK]),
    "help": (2, ["attend?\n?attend\n" + OK]),
    "matplotlib inline": (2, ["%matplotlib inline\n%load_ext autoreload\n" + OK]),
    "a magic within quotes": ("\n%time\n", [ANSWER.format('"""\n%time\n"""')]),
    "prompts": (2, [">>> def attend(q):\n...     return q + 1"]),
    "indented": (2, ["    def attend(q):\n        return q + 1"]),
    # which of several counts
    "the TODO below": (2, [OK, TODO]),
    "the TODO above": (2, [TODO, OK]),
    "two answers": (2, [ANSWER.format("0"), OK]),
    "two answers in one cell": (2, [ANSWER.format("0") + "\n\n\n" + OK]),
    "an answer between two TODOs": (2, [TODO, OK, TODO]),
    "a value under the answer's name": (2, [OK, "attend = [3]"]),
    "an alias": (2, ["def mine(q):\n    return q + 1", "attend = mine"]),
    "a lambda": (2, ["attend = lambda q: q + 1"]),
    "nothing but the TODO": (ERROR, [TODO]),
    # what is at the top of a cell
    "a table": (3, ["TABLE = {}\nTABLE['a'] = 2\n" + ANSWER.format("q + TABLE['a']")]),
    "with": (3, [TORCH, "with torch.no_grad():\n    TWO = torch.tensor(2.0)\n" + TWO]),
    "with, in a cell of its own": (ERROR, [TORCH, "with torch.no_grad():\n    TWO = 2", TWO]),
    "in place": (3, [TORCH, "TWO = torch.empty(1)\nTWO.fill_(2)\n" + TWO]),
    "in place, in a cell of its own": (2, [TORCH, "TWO = torch.ones(1)\nTWO.add_(1)", TWO]),
    "a method": (3, [f"{LOG}LOG = Log()\nLOG.setup()\n" + ANSWER.format("q + LOG.size")]),
    "a method, in other cells": (
        1,
        [LOG, "LOG = Log()\nLOG.setup()", ANSWER.format("q + LOG.size")],
    ),
    "init": (3, [TORCH, "TWO = torch.empty(1)\ninit.constant_(TWO, 2.0)\n" + TWO]),
    "while": (3, ["L = []\nwhile len(L) < 2:\n    L.append(1)\n" + ANSWER.format("q + len(L)")]),
    "for": (3, ["L = []\nfor n in range(2):\n    L.append(n)\n" + ANSWER.format("q + len(L)")]),
    "a call": (3, ["def make():\n    return 2\n\n\nTWO = make()\n" + TWO]),
    "a training that no answer needs": (2, ["def fit():\n    1 / 0\n", OK, "loss = fit()"]),
    # names
    "private, called": (
        REFUSED,
        ["from torch.nn.modules.utils import _pair", ANSWER.format("_pair(q)")],
    ),
    "fan": (
        REFUSED,
        ["from torch.nn.init import _calculate_fan_in_and_fan_out as f", ANSWER.format("f or q")],
    ),
    "pytree": (
        REFUSED,
        ["from torch.utils._pytree import tree_map", ANSWER.format("tree_map(abs, q)")],
    ),
    "TorchScript": (REFUSED, ["import torch", "@torch.jit.ignore\n" + OK]),
    "a ready answer": (REFUSED, [TORCH, ANSWER.format("nn.MultiheadAttention")]),
    "an earlier attempt with a ready answer": (2, [TORCH, ANSWER.format("nn.GRU or eval(q)"), OK]),
    "a library that is not there": (
        2,
        [
            f"try:\n    import not_there\n{FAILED}    not_there = None",
            ANSWER.format("not_there or q + 1"),
        ],
    ),
    "a name from a library that is not there": (
        2,
        [
            f"try:\n    from not_there import more\n{FAILED}    def more(q):\n        return q + 1",
            ANSWER.format("more(q)"),
        ],
    ),
    "eval": (REFUSED, [ANSWER.format("eval('q + 1')")]),
    "opened": (REFUSED, [ANSWER.format("open('x')")]),
    "a whole script": (REFUSED, ["import kws_own", "attend = kws_own.mine"]),
    "names of a script": (2, ["from kws_own import mine as attend"]),
    "names of a script, in an answer": (2, ["from kws_own import mine", ANSWER.format("mine(q)")]),
}  # fmt: skip
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
def test_kws_check_and_the_grader_read_a_notebook_alike(folder, name):
    expected, sources = ODD[name]
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
    asked = {name for task in ASSIGNMENTS[number].tasks for name in task.names}
    assert asked <= answers_of(number)


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_no_name_of_our_own_answers_is_refused_in_a_notebook_that_ran(number, monkeypatch):
    cells = student_cells(ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py")
    ran = [each.source for each in cells if each.kind == "code"]
    kernel = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=ran))
    monkeypatch.setattr(sys.modules["__main__"], "get_ipython", lambda: kernel, raising=False)
    for task in ASSIGNMENTS[number].tasks:
        assert uses_of(dict.fromkeys(task.names), task.forbidden) == []
