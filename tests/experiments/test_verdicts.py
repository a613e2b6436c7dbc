"""Questions: what they compare, the interval of a difference, and the verdict that follows."""

import shutil
from dataclasses import replace

import pytest
import torch

import kws.training.recipe
from experiments.curves import digest_in, rates, shares
from experiments.one_run import run_one
from experiments.report import render, stale, write_report
from experiments.results import recipe_lines
from experiments.rows import read_results
from experiments.verdicts import (
    CANNOT_SAY,
    DOES_NOT,
    HOLDS,
    NO,
    YES,
    Difference,
    Question,
    compare,
    contradiction,
    correct,
    findings,
    read_questions,
    verdict,
)
from kws.errors import UsageError
from kws.training.recipe import changed_keys, experiment_groups, load_recipe
from tests.conftest import data_beside

RECIPES = experiment_groups()["questions"]
MODELS = data_beside(__file__)["models"]
QUESTION = Question(
    id="rate", question="?", report="yes", source="a report", more="fast", less="slow", differs="-"
)


def test_a_gain_is_compared_with_another_and_one_case_contradicts_no_other(results):
    runs = results(**dict.fromkeys(("a", "c"), "01" * 10), b="1" * 20, d="0111" * 5)
    two = replace(QUESTION, more="b c", less="a d")  # 50 points from a to b, 25 from c to d
    (found,) = findings(runs, [two])
    assert (found.difference.value, set(found.means)) == (0.25, set("abcd"))
    some = replace(QUESTION, claim="no gain in some cases")
    (found,) = findings(results(fast="1" * 20, slow="01" * 10), [some])
    assert found.reason == "ours is none of those cases"
    with pytest.raises(UsageError, match="either less or level"):
        replace(QUESTION, level=25.0)


def test_every_question_is_about_recipes_that_differ_in_the_training_or_in_one_setting():
    for question in read_questions():
        models = question.id in MODELS
        if len(question.recipes) != 2 or models:
            continue
        one, other = (load_recipe(f"questions/{name}") for name in question.recipes)
        changed = [key for key, _, _ in changed_keys(one, other)]
        assert len(changed) == 1 or all(key.startswith("train.") for key in changed), question.id
    for question in read_questions():
        assert set(question.recipes) <= set(RECIPES)
        sides = len(question.more.split()), len(question.less.split())
        assert sides in ((2, 2), (1, 1 if question.level is None else 0)), question.id


@pytest.mark.parametrize(
    ("low", "high", "more", "no_gain", "why"),
    [
        (0.001, 0.009, HOLDS, HOLDS, ""),
        (0.03, 0.09, HOLDS, DOES_NOT, ""),
        (-0.01, 0.019, DOES_NOT, HOLDS, "less than 2 points either way"),
        (-0.03, 0.01, DOES_NOT, HOLDS, "less than 2 points"),
        (-0.09, -0.03, DOES_NOT, HOLDS, "it is the other way round"),
        (-0.01, 0.03, CANNOT_SAY, CANNOT_SAY, ""),
    ],
)
def test_the_interval_gives_the_verdict_and_its_reason(low, high, more, no_gain, why):
    assert verdict(QUESTION, low, high) == more
    assert verdict(replace(QUESTION, claim="no gain"), low, high) == no_gain
    ours, some = (replace(QUESTION, claim=c) for c in ("none", "no gain in some cases"))
    assert verdict(ours, low, high) == {HOLDS: YES, DOES_NOT: NO}.get(more, more)
    assert verdict(some, low, high) == (HOLDS if no_gain == HOLDS else CANNOT_SAY)
    assert not why or contradiction(QUESTION, low, high) == why


def test_the_interval_covers_the_truth_under_other_seeds_and_examples():
    """200 experiments whose true difference is 0, with noise of seeds, of examples and of both."""
    draws = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws)

    covered = 0
    for _ in range(200):
        noise = 0.05 * normal(3, 1) + 0.5 * normal(1, 97) + 0.5 * normal(3, 97)
        low, high = compare(noise, torch.zeros(3, 97)).interval()
        covered += low <= 0 <= high
    assert covered >= 186  # 190 of a right interval, less its standard deviation


@pytest.fixture
def results(made):
    """`results(fast="1101", slow="0101")`: a run of each recipe with each of three seeds."""

    def make(last: float = 0.5, seeds: int = 3, **right: str):
        history = [{"step": 2, "validation_accuracy": 0.5}]
        history.append({"step": 4, "validation_accuracy": last})
        base = {**made(), "group": "questions", "history": history}
        return [
            {**base, "name": name, "seed": seed, "right": hits}
            for name, hits in right.items()
            for seed in range(seeds)
        ]

    return make


def test_runs_are_paired_by_seed_and_example_and_equal_ones_do_not_differ(results):
    runs = results(fast="1" * 20, slow="01" * 10)
    (found,) = findings(runs[:-1], [QUESTION])  # the last seed of one recipe is missing
    assert found.seeds == (0, 1)
    assert found.means == {"fast": 1, "slow": 0.5}
    assert found.difference.value == 0.5
    assert (found.verdict, found.reason) == (CANNOT_SAY, "too few seeds")
    assert findings(runs[:3], [QUESTION]) == []
    (whole,) = findings(runs, [QUESTION])
    assert whole.verdict == HOLDS
    right = (torch.rand(3, 41, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    found = compare(right, right)
    assert (found.value, found.interval()) == (0, (0, 0))


def test_runs_that_still_rise_or_an_interval_on_both_sides_say_nothing(results):
    (found,) = findings(results(last=0.6, fast="1" * 20, slow="0" * 20), [QUESTION])
    assert found.rising == ("fast", "slow")
    assert (found.verdict, found.reason) == (CANNOT_SAY, "still rising: fast, slow")
    (found,) = findings(results(fast="1100" * 5, slow="0011" * 5), [QUESTION])
    assert (found.verdict, found.reason) == (CANNOT_SAY, "the interval is too wide")


def test_many_questions_need_more_than_one(results):
    """Holm's procedure by hand: 0.05 / 4 for the surest, 0.05 / 3 for all after the first miss."""
    alone = Difference(value=0.03, error=0.01, freedom=30.0, seeds=3, n=100)
    (one,) = findings(results(fast="1" * 20, slow="01" * 10), [QUESTION])
    surer = [replace(one, difference=replace(alone, error=e)) for e in (0.012, 0.004, 0.013, 0.014)]
    found = correct(surer)
    assert [finding.level for finding in found] == pytest.approx(
        [0.05 / 3, 0.05 / 4, *2 * [0.05 / 3]]
    )
    assert [finding.verdict for finding in found] == [CANNOT_SAY, HOLDS, CANNOT_SAY, CANNOT_SAY]
    assert {finding.verdict for finding in surer} == {HOLDS}  # each by its own interval


def test_an_accuracy_is_held_against_a_level_and_resumed_runs_tell_no_time(results):
    chance = replace(QUESTION, less="", level=25.0)
    (found,) = findings(results(fast="1" * 15 + "0" * 5), [chance])
    assert found.difference.value == 0.5
    (found,) = findings(results(fast="1" * 20), [replace(chance, claim="no gain")])
    assert found.reason == "it is above that"
    runs = results(fast="1" * 20, slow="0" * 20)
    for run, cpu, whole in zip(runs[:3], (4.0, 6.0, 0.1), (True, True, False), strict=True):
        run["seconds"] = {"wall": cpu, "cpu": cpu, "whole": whole}
    (found,) = findings(runs, [QUESTION])
    assert found.seconds["fast"] == 5


@pytest.fixture
def wanted(recipe_folder, make_job, monkeypatch, tmp_path):
    """Two recipes of a question, run with one seed each: the folder of their results."""
    folder = shutil.copytree(recipe_folder / "words", tmp_path / "recipes" / "questions").parent
    monkeypatch.setattr(kws.training.recipe, "RECIPES", folder)
    out = tmp_path / "docs" / "experiments"
    for name in ("gru", "slow-gru"):
        run_one(replace(make_job(name, group="questions"), out=str(out)))
    return out


def test_the_page_opens_with_the_questions(wanted, monkeypatch):
    question = replace(QUESTION, more="gru", less="slow-gru", question="Is it faster?")
    monkeypatch.setattr("experiments.report.read_questions", lambda: [question])
    monkeypatch.setattr("experiments.report.BASES", ("gru",))
    monkeypatch.setattr("experiments.report.CONFUSIONS", ("gru",))
    page = wanted.parent / "experiments.md"
    text = render(wanted, page)[0]
    (line,) = [line for line in text.splitlines() if line.startswith("| Is it faster? ")]
    assert "yes (a report)" in line
    assert "n=24, 1 seed" in line
    assert f"**{CANNOT_SAY}**" in line
    assert text.index(line) < text.index("## questions")
    plots = {path.name for path in write_report(wanted, page)}
    assert {"rates-gru-words.png", "confusion-gru-words.png"} <= plots
    assert digest_in(wanted / "rates-gru-words.png")
    assert stale(wanted, page) == []
    runs = read_results(wanted)
    assert {name: list(x) for name, x in rates(runs, runs[0]).items()} == {"adamw": [1e-4, 1e-2]}


def test_recall_over_the_share_of_other_words(made):
    """Two runs that differ in that alone, of 24 clips: 2 are silence, 2 other words."""
    base = made()
    n = len(base["confusion"])
    perfect = [[2 * (i == j) for j in range(n)] for i in range(n)]
    mistaken = [[2 * (j == 1) for j in range(n)] for _ in range(n)]  # all is unknown

    def run(unknown: int, training: int, confusion: list[list[int]]) -> dict:
        recipe = load_recipe("words/gru", [f"data.unknown={unknown}"], short=True)
        data = {**base["data"], "training": training}
        return {**base, "recipe": recipe_lines(recipe), "data": data, "confusion": confusion}

    found = shares([run(10, 100, perfect), run(60, 100, mistaken)], base=run(10, 100, perfect))
    assert found["the 10 words"] == {10: [100], 60: [0]}
    assert found["other words (unknown)"] == {10: [100], 60: [100]}
    assert found["all"] == {10: [100], 60: [pytest.approx(100 / n)]}
