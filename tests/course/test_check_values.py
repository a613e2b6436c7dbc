"""The visible check: what it says of wrong, missing and unknown answers.

That ours pass is in tests/student/test_visible_checks.py.
"""

import json
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from grader.adapters import ASSIGNMENTS
from grader.course.by_hand import checks_by_hand, compare_by_hand
from grader.course.goldens import golden_path, golden_text, is_current
from grader.course.mistakes.planted import planted
from grader.course.trials import mistaken_answers, our_answers
from kws.course.checking import NotStarted, Unmet, check_values, forget_checks, lines_go_to
from kws.course.compare import Record
from kws.course.notebooks import task_of
from kws.course.trial import all_trials, find_trial
from tests.grader.conftest import code_beside

NUMBERS = [number for number in ASSIGNMENTS if all_trials(number)]
PARTS = [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 5))]


def output(trial_id: str, answers) -> tuple[str, str]:
    """Mark and text of the one line that the check says of these answers."""
    lines = []
    forget_checks()
    with lines_go_to(lambda mark, _, text: lines.append((mark, text))):
        try:
            check_values(trial_id, *(answers[name] for name in find_trial(trial_id).answers))
        except Exception:
            assert lines, "an error of an answer has a line of its own"
    (line,) = lines
    return line


@pytest.fixture
def unwatched(monkeypatch):
    """Reading and watching the answers take their time, and ask other questions."""
    monkeypatch.setattr("kws.course.checking.watch_calls", lambda *_: nullcontext())
    monkeypatch.setattr("kws.course.checking.uses_of", lambda *_: [])
    # the usual one formats a traceback for each of four devices
    monkeypatch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)


@pytest.mark.no_shapes
@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("part", PARTS)  # of the mistakes; `make test` tries a fifth
def test_every_known_mistake_is_asked_about_in_the_notebook(number, part, monkeypatch):
    monkeypatch.setattr(Record, "_pattern", lambda *_: "")  # what the values look like

    def asks(trial, position: int, question: str) -> bool:
        mark, text = output(trial.id, mistaken_answers(number, position))
        return mark == "✗" and text.endswith(f"hint: {question}")

    tables = json.loads(golden_path(number).read_text(encoding="utf-8"))
    knows = {trial: {m["question"] for m in table["mistakes"]} for trial, table in tables.items()}
    silent = []
    for position, mistake in list(enumerate(planted(number).mistakes))[part :: len(PARTS)]:
        trials = [trial for trial in all_trials(number) if trial.task == mistake.task]
        trials.sort(key=lambda trial: mistake.question not in knows[trial.id])  # the likely first
        if trials and not any(asks(trial, position, mistake.question) for trial in trials):
            silent.append((mistake.task, mistake.name))
    assert not silent


@pytest.mark.parametrize(("name", "wrong"), code_beside(__file__).items())
def test_a_slip_in_attend_keeps_the_points_of_what_it_leaves_right(name, wrong):
    position = [mistake.name for mistake in planted("02").mistakes].index(name)
    answers = mistaken_answers("02", position)
    checks = ("values", "padding", "gradients")
    lost = [one for one in checks if output(f"2.1-attend-{one}", answers)[0] == "✗"]
    assert lost == wrong.split()


def test_an_unknown_mistake_is_a_fact_a_todo_not_started_and_an_error_keeps_its_traceback():
    mark, text = output("2.1-attend-values", {"attend": lambda q, k, v, valid=None: q * 0.123})
    assert mark == "✗"
    fact, often = text.splitlines()
    assert fact == "attend(q, k, v): the shape is right, but the values differ from the reference"
    wanted = often.removeprefix("  often it is one of these: ").split(" / ")
    assert len(wanted) == len({*wanted} & {mistake.question for mistake in planted("02").mistakes})

    def todo(*_):
        raise NotImplementedError("TODO 2.1")

    def broken(*_):
        raise RuntimeError("sizes differ")

    raised = "the answer raised an error, see below"  # questions about results are not asked
    assert output("2.1-attend-values", {"attend": broken}) == ("✗", raised)
    assert output("2.1-attend-values", {"attend": todo}) == ("·", "not started")
    with pytest.raises(RuntimeError, match="sizes differ"):
        check_values("2.1-attend-values", broken)


NONSENSE = {
    "None": None,
    "a tuple too few": (torch.zeros(2, 3),),
    "NaN": torch.full((2, 3, 4), float("nan")),
    "a number that is NaN": float("nan"),
    "whole numbers": torch.ones(2, 3, dtype=torch.long),
    "an empty list": [],
}


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("number", NUMBERS)
def test_no_check_crashes_whatever_an_answer_returns(number):
    trials, lines = all_trials(number), []
    for value in NONSENSE.values():
        one = dict.fromkeys(sum((t.answers for t in trials), ()), lambda *_, x=value, **__: x)
        for trial in trials:
            with lines_go_to(lambda *_: None), pytest.raises((Unmet, NotStarted)):
                check_values(trial.id, *(one[name] for name in trial.answers))
        compare_by_hand(number, {**our_answers(number), **one}, "", lambda *x: lines.append(x))
    assert [line for line in lines if "see below" in line[2]] == []


def test_weights_that_do_not_fit_ask_for_another_door():
    class Packed(nn.Module):
        def __init__(self, d_model, num_heads):
            super().__init__()
            self.qkv = nn.Linear(d_model, 3 * d_model)

    answers = {"MultiHeadSelfAttention": Packed, "load_attention": load}
    mark, text = output("2.3-self-attention-values", answers)
    assert mark == "✗"
    assert "does load_attention match your module? You may change that function" in text


def load(module, weights):
    module.load_state_dict(weights)


load.__code__ = load.__code__.replace(co_name="load_attention")


@pytest.mark.parametrize("number", NUMBERS)
def test_the_goldens_know_the_trials_and_mistakes_that_there_are(number):
    """Their numbers are current too: with them our answers pass, and mistakes are recognized."""
    tables = json.loads(golden_path(number).read_text(encoding="utf-8"))
    hand = [check for check in checks_by_hand(number) if check in tables]
    assert list(tables) == [*(trial.id for trial in all_trials(number)), *hand]
    wanted, forbidden = set(), {}
    for check_id, table in tables.items():
        task = task_of(check_id)
        forbidden[task] = tuple(table["forbidden"])
        wanted |= {(task, mistake["question"]) for mistake in table["mistakes"]}
    assert wanted == {(m.task, m.question) for m in planted(number).mistakes if m.task in forbidden}
    assert forbidden == {t: ASSIGNMENTS[number].task(t).forbidden for t in forbidden}


def test_the_goldens_of_assignment_2_are_current_and_a_trial_gives_the_same_each_time():
    assert is_current(golden_path("02").read_text(encoding="utf-8"), golden_text("02"))
    trial, answers = find_trial("2.3-self-attention-values"), our_answers("02")
    first = [Record.of(value) for _, value in trial.results(answers)]
    torch.rand(3)
    assert [Record.of(value) for _, value in trial.results(answers)] == first


@pytest.mark.parametrize(("kind", "current"), [("float", True), ("integer", False)])
def test_a_golden_is_stale_where_no_rounding_explains_a_digit(kind, current):
    kept, made = (
        json.dumps({"kind": kind, "content": {"projections": [number]}, "shape": [70]})
        for number in (437.1984, 437.198415)
    )
    assert is_current(kept, made) == current
