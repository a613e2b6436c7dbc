"""Accuracy on hidden data: points between the bounds, claims against measurements, training."""

from contextlib import nullcontext

import pytest
import torch

from grader.core.outcomes import Reason, Record, Stopped
from grader.course.probes.accuracy import (
    CODE,
    ask,
    built,
    calls,
    expect_claim,
    expect_layers,
    expect_retrained,
    load_within,
    ramp,
    retrain,
    score,
)
from grader.grading.feedback import Failure
from grader.sandbox import Code
from grader.submission.contents import Piece
from kws.metrics import Proportion
from tests.grader.conftest import code_beside

SOURCE = code_beside(__file__)["source"]


@pytest.fixture(scope="module")
def student(sandbox):
    piece = Piece(source=SOURCE, where="cell 1", line=1, names=("Model",))
    with sandbox.session() as session, session.check(Code(pieces=(piece,))) as made:
        yield made


def reached(correct: int, n: int = 100) -> Proportion:
    return Proportion(correct=correct, n=n)


def wanted(model, x, labels=None):
    labels = torch.arange(len(x)) % 2 if labels is None else labels
    return ask(model, lambda rows: (x[rows],), labels, 2, torch.Generator().manual_seed(3))


def test_every_example_is_asked_in_order_and_without_dropout(student):
    x, made = torch.randn(150, 3), student.Model()
    state = made.state_dict()
    expected = x @ state["last.weight"].mT + state["last.bias"]
    # sums of three products of numbers near 1 in float32, in another order: 1e-6
    assert torch.allclose(wanted(made, x).logits.float(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Short", "got shape"),
        ("Broken", "got NaN"),
        ("Complex", "got complex64, expected a float dtype"),
        ("Flags", "got bool, expected a float dtype"),
        ("Balanced", "depend on the other examples"),
    ],
)
def test_logits_that_are_none_are_told(student, name, words):
    with pytest.raises(Failure, match=words):
        wanted(getattr(student, name)(), torch.randn(50, 3))


def test_calls_are_of_random_size_and_mixture_and_hold_each_example_once():
    labels = torch.arange(600) % 12
    found = [*calls(labels, torch.Generator().manual_seed(1), 64)]
    assert sorted(row for rows in found for row in rows) == list(range(600))
    assert len({len(rows) for rows in found}) > 5
    most = [labels[rows].bincount().max().item() / len(rows) for rows in found if len(rows) > 30]
    assert max(most) > 2.5 / 12  # a balanced call has a twelfth of each class
    assert [*calls(labels, torch.Generator().manual_seed(1), 64)] == found


LAYERS = {
    "Attends": "",
    "Pretends": "no self-attention affects",
    "Twice": "have the weights of an earlier one",
    "Deep": "number of self-attentions in the trained model: got 4",
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_layers_of_the_model_that_was_asked_are_counted(student, name):
    model, x = getattr(student, name)(), torch.randn(20, 9, 3)
    if not (words := LAYERS[name]):
        return expect_layers(model, wanted(model, x), 3)
    with pytest.raises(Failure, match=words):
        expect_layers(model, wanted(model, x), 3)


PARAMETERS = 3 * 9 + 9 + 3 * 2 + 2
TABLE = torch.arange(3000.0).view(1000, 3)
SIZES = {  # what is changed in the file that is handed in -> numbers that training changed
    "nothing but the weights": ({}, PARAMETERS),
    "a buffer of zeros": ({"zeros": torch.ones(10, 50)}, PARAMETERS + 500),
    "a table": ({"table": torch.ones(1000, 3)}, PARAMETERS + 3000),
    "the table in half precision": ({"table": TABLE.half()}, PARAMETERS),
}


@pytest.mark.parametrize("what", SIZES)
@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_what_training_changed_in_the_file_counts_and_fixed_tables_do_not(student, what, prefix):
    changed, numbers = SIZES[what]
    state = student.Tables().state_dict()
    learned = {n: t + 1 for n, t in state.items() if n not in ("table", "zeros")}
    weights = {prefix + name: tensor for name, tensor in (state | learned | changed).items()}
    record = Record()
    load_within(record, student.Tables(), weights, "", numbers)
    assert record.facts["numbers that training changed"] == f"{numbers:,}"
    with pytest.raises(Failure, match=f"got {numbers:,}, expected at most"):
        load_within(Record(), student.Tables(), weights, "", numbers - 1)


def test_weights_written_out_in_the_code_count_and_what_is_not_a_module_is_told(student):
    weights = {name: tensor + 1 for name, tensor in student.Model().state_dict().items()}
    load_within(Record(), student.Model(), weights, "x" * CODE, 8)
    with pytest.raises(Failure, match="got 9, expected at most 8"):
        load_within(Record(), student.Model(), weights, "x" * (CODE + 1), 8)

    class Student:
        def Model(self, *_):  # noqa: N802
            return 3

    with pytest.raises(Failure, match=r"Model\(2, 3\) is not an nn.Module"):
        built(Student(), "Model", 2, 3)


def test_a_score_counts_and_shows_which_was_taken_for_which():
    record, labels = Record(), torch.tensor([0, 0, 1, 2])
    logits = torch.eye(3)[torch.tensor([0, 1, 1, 2])]
    measured = score(record, logits, labels, ["a", "b", "c"])
    assert (measured.correct, measured.n) == (3, 4)
    assert "75.0 % (n=4" in record.facts["accuracy"]
    assert record.figures[0].data["counts"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("correct", "share"), [(90, 1.0), (80, 1.0), (70, 0.75), (60, 0.5), (41, 0.025)]
)
def test_points_rise_in_proportion_between_the_bounds(correct, share):
    record = Record()
    ramp(record, "accuracy", reached(correct), none=0.4, full=0.8)
    assert record.share == pytest.approx(share)
    assert record.facts["accuracy"] == str(reached(correct))
    assert (share == 1) == (not record.message)


def test_points_fall_in_proportion_where_less_is_better_and_bounds_that_are_none_are_our_fault():
    record = Record()
    ramp(record, "frames off", 2.8, none=4.0, full=1.6)
    assert record.share == pytest.approx(0.5)
    assert record.message == "frames off: 2.8; full points at 1.6 or less"
    ramp(record, "frames off", 1.6, none=4.0, full=1.6)
    for value in (4.0, float("nan")):
        with pytest.raises(Failure, match="points are awarded below 4"):
            ramp(Record(), "frames off", value, none=4.0, full=1.6)
    for none, full in ((0.8, 0.4), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)):
        with pytest.raises(ValueError, match="two bounds in this order"):
            ramp(Record(), "accuracy", reached(50), none=none, full=full)


@pytest.mark.parametrize(("correct", "n"), [(40, 100), (39, 100), (0, 100), (0, 0)])
def test_at_the_lower_bound_there_are_no_points(correct, n):
    with pytest.raises(Failure, match=r"points are awarded above 40.0 %"):
        ramp(Record(), "accuracy", reached(correct, n), none=0.4, full=0.8)


BEYOND, NONE = r"claims .*, the checkpoint reaches 70.0 %", "is not a number"
CLAIMS = [(claimed, "") for claimed in (0.7, 70, 0.2, 0.78, 0)]
CLAIMS += [(claimed, BEYOND) for claimed in (0.97, 97, 1)]
CLAIMS += [(claimed, NONE) for claimed in (None, "0.9", True, float("nan"), [0.9])]


@pytest.mark.parametrize(("claimed", "words"), CLAIMS)
def test_a_claim_that_the_checkpoint_can_bear_passes_and_no_other(claimed, words):
    with pytest.raises(Failure, match=words) if words else nullcontext():
        expect_claim(Record(), claimed, reached(70))


def test_few_examples_forgive_more_and_a_checkpoint_that_training_reaches_passes():
    expect_claim(Record(), 0.85, reached(7, 10))
    with pytest.raises(Failure):
        expect_claim(Record(), 0.85, reached(700, 1000))
    expect_retrained(Record(), reached(80), reached(85), 0.05)
    with pytest.raises(Failure, match=r"reaches 40.0 %; the checkpoint handed in reaches 90.0 %"):
        expect_retrained(Record(), reached(40), reached(90), 0.1)


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 32, 3, generator=generator)
    return [(one, (one[:, 0] > 0).long()) for one in x]


def test_training_from_scratch_learns_and_is_drawn(student, batches):
    record = Record()
    made = retrain(student.Model, batches, steps=60, lr=0.1, seed=1, record=record)
    x, y = batches[0]
    assert score(Record(), wanted(made, x, y).logits, y, ["a", "b"]).value > 0.9
    assert len(record.figures[0].data["y"]) == 60


def test_the_graders_seed_decides_and_training_that_breaks_off_is_reported(student, batches):
    def weights(seed: int):
        made = retrain(student.Model, batches, steps=3, lr=0.1, seed=seed, record=Record())
        return made.state_dict()["last.weight"]

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    with pytest.raises(Stopped) as stopped:
        retrain(student.Broken, batches, steps=5, lr=0.1, seed=1, record=Record())
    assert stopped.value.reason is Reason.WRONG
    assert "of 5: the loss is not a number" in stopped.value.message
