"""Checks of a saved notebook: blank, right, mistaken; each said with the place and the reason."""

import json

import pytest

from kws.student.cell_process import Kernel
from kws.student.released import Target, checks_released, parse_target, released
from kws.student.visible_checks import RaisedCell, run_checks
from tests.student.conftest import found

NUMBERS = sorted(released())
NEEDS_TRAINING = [
    name for number in NUMBERS for name in checks_released(number) if name.endswith("-accuracy")
]
BY_HAND = {"2.1": "attend-by-hand", "2.2": "split-by-hand", "2.3": "attention-by-hand"}
PRINTED = "q is torch.Size([1, 1, 2, 4])\n"
SCALED = "scores = q @ k.mT / math.sqrt(q.shape[-1])"


def check(folder, text: str) -> dict[str, str]:
    """What the check by hand of a task says."""
    name = f"{text}-{BY_HAND[text]}"
    target = parse_target(name)
    return found(folder[target.assignment], target)[name]


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_of_a_blank_notebook_passes_or_fails(folder, number):
    states = found(folder[number], Target(assignment=number))
    assert list(states) == checks_released(number)
    expected = {name: "later" if name in NEEDS_TRAINING else "todo" for name in states}
    assert {name: each["state"] for name, each in states.items()} == expected


@pytest.mark.parametrize("number", NUMBERS)
def test_right_answers_pass_without_plots_and_trainings(folder, number):
    states = found(folder.fill(number)[number], Target(assignment=number))
    expected = {name: "later" if name in NEEDS_TRAINING else "pass" for name in states}
    assert {name: each["state"] for name, each in states.items()} == expected


def test_a_mistake_is_fact_and_question_and_spoils_no_task_that_does_without_it(folder):
    folder.fill("02").edit("02", SCALED, "scores = q @ k.mT")
    finding = check(folder, "2.1")
    assert finding["state"] == "unmet"
    shown = "attend(q, k, v)[..., 0]: got\n  [[[4.4, 6]]]\n  expected\n  [[[5, 6]]]"
    assert finding["text"] == shown
    assert finding["hint"] == "are the scores divided by the root of K?"
    states = found(folder["02"], Target(assignment="02"))
    failed = {name.partition("-")[0] for name, each in states.items() if each["state"] != "pass"}
    assert failed == {"2.1", "2.3", "2.5", "2.6"}  # what attends; no heads, positions or counts
    waiting = {each["text"] for name, each in states.items() if name[:3] in {"2.3", "2.5", "2.6"}}
    assert "waits for 2.1: its checks do not pass yet" in waiting
    assert found(folder["02"], parse_target("2.5"))["2.5-layer-values"]["state"] == "todo"


def test_an_error_is_placed_in_the_method_that_it_is_in():
    events = []
    source = (
        "def first():\n    pass\n\nclass Second:\n    def forward(self):\n        return 1 / 0\n"
    )
    Kernel(events.append, {1: "cell `def first`"}).run(1, f"{source}Second().forward()", "whole")
    assert events[-1]["where"] == "cell `def first`, in `Second.forward`, line 6: return 1 / 0"


@pytest.mark.parametrize(
    ("lines", "error", "where", "printed"),
    [
        ('print("q is", q.shape)\n    scores = q @ k', "RuntimeError: ", 6, PRINTED),
        ("scores = (q", "SyntaxError: ", 5, ""),
    ],
)
def test_an_error_has_its_cell_line_and_message_and_costs_no_other_task(
    folder, lines, error, where, printed
):
    folder.fill("02").edit("02", SCALED, lines)
    finding = check(folder, "2.1")
    assert finding["state"] == "error"
    assert finding["text"].startswith(error)
    line = lines.split("\n")[-1].strip()
    assert finding["where"] == f"cell `def attend`, line {where}: {line}"
    assert finding["printed"] == printed
    assert check(folder, "2.2")["state"] == "pass"


def test_plots_are_loaded_by_their_first_use_alone(folder):
    lines = 'import sys\n    print("matplotlib.figure" in sys.modules, end=" ")\n    plt.figure()'
    folder.fill("02").edit("02", SCALED, f"{lines}\n    {SCALED}")
    [outcome] = run_checks(folder["02"], parse_target("2.1-attend-by-hand"))
    assert outcome.passed
    assert outcome.printed.split()[:2] == ["False", "True"]


def test_a_wait_for_an_earlier_answer_and_values_that_a_plot_makes_are_named(folder):
    todo = folder.source("02", "def attend")[1]
    answer = folder.fill("02").source("02", "def attend")[1]
    folder.edit("02", answer, todo)
    assert check(folder, "2.3")["text"] == "waits for your answer to 2.1"
    opened = "with open('x') as ROOT: pass\nimport matplotlib"
    folder.fill("02").edit("02", "import matplotlib", opened)
    folder.edit("02", "/ math.sqrt(q.shape[-1])", "/ ROOT")
    finding = check(folder, "2.1")
    assert finding["state"] == "later"
    assert "`ROOT`, which cell `with open('x') as ROOT: pass` makes" in finding["text"]


def test_a_failed_check_does_not_hide_the_next_one_of_its_cell(folder):
    folder.fill("01").edit("01", "math.ceil(wanted / 10)", "wanted // 10")
    states = found(folder["01"], parse_target("1.8"))
    assert (
        states["1.8-extra-by-hand"]["hint"]
        == "round up: is it rounded down, or to the nearest whole number?"
    )
    assert "1.8-extra-count-values" in states


def test_magics_stripped_metadata_a_deleted_check_and_values_between_do_no_harm(folder):
    folder.fill("02").edit("02", "import math", "%matplotlib inline\n!pip install x\nimport math")
    folder.edit("02", "def attend", "get_ipython().run_line_magic('x', '')\ndef attend")
    folder.edit("02", "import matplotlib", "ROOT = 2 ** -1\nimport matplotlib")
    folder.edit("02", "/ math.sqrt(q.shape[-1])", "/ q.shape[-1] ** ROOT")
    number, _ = folder.source("02", "2.1-attend-by-hand")
    table = json.loads(folder["02"].read_text())
    del table["cells"][number - 1]
    for raw in table["cells"]:
        raw["metadata"] = {}
        raw.pop("id", None)
    folder["02"].write_text(json.dumps(table))
    states = found(folder["02"], Target(assignment="02"))
    assert {each["state"] for each in states.values()} == {"pass"}
    assert "2.1-attend-by-hand" in states


@pytest.mark.usefixtures("forking")
def test_with_whole_every_cell_runs(folder):
    opened = "with open('x') as file: TEXT = file.read()\nimport matplotlib"
    folder.fill("02").edit("02", "import matplotlib", opened)
    table = json.loads(folder["02"].read_text())
    del table["cells"][8:]  # the plots
    folder["02"].write_text(json.dumps(table))
    (folder.path / "assignments" / "x").write_text("")
    folder.edit("02", "/ math.sqrt(q.shape[-1])", "/ (len(TEXT) + q.shape[-1]) ** 0.5")
    _, imports = folder.source("02", "TEXT = ")
    folder.edit("02", imports, f"{imports}\n1 / 0")
    raised: list[RaisedCell] = []
    target = parse_target("2.1-attend-by-hand")
    [outcome] = run_checks(folder["02"], target, whole=True, raised=raised)
    assert outcome.passed, outcome  # and in the notebook's own folder
    [cell] = raised
    assert cell.text == "raised ZeroDivisionError: division by zero"
    assert cell.where.endswith(": 1 / 0")


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize(
    ("line", "where", "says"),
    [
        ("while True: pass", "cell `def attend`, line ", ": while True: pass was still running"),
        ("import os; os._exit(3)", "cell `2.1-attend-by-hand` ", "exit code 3"),
    ],
)
def test_cells_that_never_end_or_end_everything_are_named(folder, line, where, says):
    folder.fill("02").edit("02", SCALED, line)
    outcomes = run_checks(folder["02"], parse_target("02"), seconds=1.0)
    assert says in outcomes[0].text
    assert outcomes[0].text.startswith(where)
    assert {each.text for each in outcomes[1:]} == {"not reached"}


@pytest.mark.usefixtures("forking")
def test_a_finished_training_counts_as_it_ran_in_the_notebook(folder):
    folder.fill("03")
    target = parse_target("3.8-accuracy")
    assert run_checks(folder["03"], target)[0].state == "later"
    for mark, state in (("✓", "pass"), ("✗", "unmet")):
        table = json.loads(folder["03"].read_text())
        number, _ = folder.source("03", "3.8-accuracy")
        line = f"\x1b[32m{mark}\x1b[0m 3.8-accuracy  97.5% of 200\n"
        output = {"output_type": "stream", "name": "stdout", "text": ["noise\n", line]}
        table["cells"][number - 1]["outputs"] = [output]
        folder["03"].write_text(json.dumps(table))
        outcome = run_checks(folder["03"], target)[0]
        assert (outcome.state, outcome.text) == (state, "97.5% of 200 (as it ran in the notebook)")
