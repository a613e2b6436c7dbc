"""The page: same results, same bytes; what cannot be compared is never in one column."""

import json
import re
from dataclasses import replace

import pytest

from experiments.curves import digest_in, learning_curves
from experiments.one_run import commit
from experiments.report import render, stale, write_report
from experiments.results import write_result
from experiments.rows import gather, read_results
from kws.errors import UsageError


@pytest.fixture
def results(tmp_path, made, make_job):
    """Two seeds of one recipe and one of another, on one data set."""
    folder = tmp_path / "docs" / "experiments"
    for name, seed in (("gru", 0), ("gru", 1), ("slow-gru", 0)):
        job = replace(make_job(name, seed=seed), out=str(folder))
        result = {**made(seed=seed), "name": name, "seed": seed}
        if name == "slow-gru":
            recipe = [line.replace("lr = 0.01", "lr = 0.0001") for line in result["recipe"]]
            result |= {"recipe": recipe, "correct": 12, "accuracy": 0.5}
        else:
            result |= {"correct": 6 + 6 * seed, "accuracy": 0.25 + 0.25 * seed}
        write_result(job.path, {**result, "commit": f"commit{seed}"})
    return folder


@pytest.fixture
def page(results):
    """`page()`: the text of the page."""
    return lambda: render(results, results.parent / "experiments.md")[0]


@pytest.fixture
def write(results):
    """`write()`: the text of the page, written with its plots."""
    path = results.parent / "experiments.md"

    def page() -> str:
        list(write_report(results, path))
        return path.read_text()

    return page


def change(results, stem, **values):
    """Change entries of a result."""
    (path,) = results.glob(f"*/words/{stem}.json")
    write_result(path, {**json.loads(path.read_text()), **values})
    return path


def cells(text: str, row: str) -> dict[str, str]:
    """Header -> cell of the first row of a table that begins with `row`."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    at = next(i for i, line in enumerate(lines) if line[0] == row)
    header = next(line for line in reversed(lines[:at]) if line[0] == "recipe")
    return dict(zip(header, lines[at], strict=True))


def test_a_panel_has_a_line_for_each_seed_however_many(made):
    table = gather(19 * [made()])["words"][0]
    assert [len(axes.lines) for axes in learning_curves(table).axes] == [19, 0, 0]


def test_the_same_results_give_the_same_bytes(write, results):
    first = write()
    plots = {path.name: path.read_bytes() for path in results.glob("*.png")}
    for path in results.glob("*.png"):
        path.unlink()
    assert write() == first
    assert {path.name: path.read_bytes() for path in results.glob("*.png")} == plots
    assert list(plots) == ["words-words-embedded-12.png"]
    assert all(len(data) < 60_000 for data in plots.values())


def test_a_row_says_what_was_reported_and_what_we_got_on_which_data(page, results):
    row = cells(page(), "gru")
    assert row["reported: their split"] == "93.6 %"
    # mean of 6 and 12 of 24; their standard deviation; Wilson of 9 of 24
    expected = "**37.5 %** ± 17.7 (n=24, 95 % interval 21.2–57.3, 2 seeds)"
    assert row["ours: words"] == expected
    assert row["steps"] == "3 of 11,540"
    assert row["commit"] == "commit0, commit1"
    assert row["what ours is"].startswith("synthetic voices of the embedded corpus")
    assert "train.epochs 1 instead of 20" in row["what ours is"]
    change(results, "slow-gru-seed0", seconds={"wall": 34.0, "cpu": 33.0, "whole": False})
    row = cells(page(), "slow-gru")
    assert row["ours: words"].startswith("**50.0 %** (n=24"), "one seed has no spread"
    assert row["time"] == "≥ 34 s (CPU 33 s)", "a resumed run took at least its time"


def test_results_of_an_earlier_recipe_are_refused_and_recipes_without_any_listed(page, results):
    text = page()
    listed = text.partition("## Recipes that were not run here")[2]
    assert "diverges" in listed
    assert "diverges" not in text.partition("## Recipes that were not run here")[0]
    assert "not run yet" not in text.lower()
    path = next(results.glob("*/words/gru-seed1.json"))
    lines = json.loads(path.read_text())["recipe"]
    change(results, "gru-seed1", recipe=[x.replace("epochs = 1", "epochs = 2") for x in lines])
    with pytest.raises(UsageError, match=r"gru-seed1.json: of an earlier version .* words/gru"):
        page()


def test_data_sets_and_protocols_never_share_a_table(page, results):
    other = json.loads(change(results, "slow-gru-seed0", split="validation").read_text())
    people = {**other["data"], "name": "people", "kind": "other"}
    path = results / "people" / "words" / "gru-seed0.json"
    recipe = [x.replace("0.0001", "0.01").replace("embedded", "v2") for x in other["recipe"]]
    same = {**other, "name": "gru", "data": people, "protocol": "v2-12", "recipe": recipe}
    write_result(path, same)
    text = page()
    headings = re.findall(r"<summary>On .*", text)
    assert len(headings) == len(set(headings)) == 3
    assert sum("v2-12" in heading for heading in headings) == 1
    assert sum("validation split" in heading for heading in headings) == 2
    assert "other recordings than the reported ones" in text


def test_reported_figures_on_different_data_have_columns_of_their_own(page, recipes):
    path = recipes / "words" / "slow-gru.toml"
    text = path.read_text()
    try:
        path.write_text(text.replace("their split", "another split").replace("93.6", "82.3"))
        row = cells(page(), "slow-gru")
    finally:
        path.write_text(text)
    assert (row["reported: their split"], row["reported: another split"]) == ("–", "82.3 %")


def test_crops_and_whole_utterances_have_columns_of_their_own(
    made, make_job, results, page, tiny_speakers
):
    result = made("transformer", group="voices", data=tiny_speakers)
    job = make_job("transformer", group="voices", data=tiny_speakers)
    write_result(replace(job, out=str(results)).path, result)
    row = cells(page(), "transformer")
    assert row[f"ours: {tiny_speakers.name}, full utterances"].startswith("**")
    assert row[f"ours: {tiny_speakers.name}, 32-frame crops"].startswith("**")


class TestCheck:
    def test_a_changed_result_makes_page_and_plot_stale(self, write, results):
        write()
        assert stale(results, results.parent / "experiments.md") == []
        history = json.loads(next(results.glob("*/words/gru-seed0.json")).read_text())["history"]
        history[-1]["validation_accuracy"] = 0.987
        change(results, "gru-seed0", history=history, correct=7)
        old = stale(results, results.parent / "experiments.md")
        assert [path.suffix for path in old] == [".md", ".png"]

    def test_a_plot_is_compared_by_its_numbers_not_its_bytes(self, write, results):
        from PIL import Image, PngImagePlugin

        write()
        (path,) = results.glob("*.png")
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", digest_in(path))
        Image.new("RGB", (2, 3)).save(path, pnginfo=texts)
        assert stale(results, results.parent / "experiments.md") == []
        Image.new("RGB", (2, 3)).save(path)
        assert stale(results, results.parent / "experiments.md") == [path]

    def test_a_plot_of_a_table_that_is_gone_is_removed(self, write, results):
        write()
        extra = results / "old.png"
        extra.write_bytes(next(results.glob("words*.png")).read_bytes())
        others = results / "drawing.png"
        others.write_bytes(b"a drawing by hand")
        assert stale(results, results.parent / "experiments.md") == [extra]
        write()
        assert others.exists()
        assert not extra.exists()

    def test_the_command_exits_1_for_a_stale_page_or_an_unknown_commit(self, results, capsys):
        from experiments.__main__ import run_command as run

        known = commit().partition(",")[0]
        for path in results.rglob("*.json"):
            change(results, path.stem, commit=known)
        argv = ["report", "--from", str(results), "--to", str(results.parent / "experiments.md")]
        assert run([*argv, "--check"]) == 1
        assert "stale: " in capsys.readouterr().err
        assert run(argv) == 0
        assert run([*argv, "--check"]) == 0
        change(results, "slow-gru-seed0", commit="0123456789")
        assert run(argv) == 0
        capsys.readouterr()
        assert run([*argv, "--check"]) == 1
        sentence = "words/words/slow-gru-seed0 and 0 more results name commit 0123456789"
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "not JSON"), ("{}", "not a result"), ('{"format": "kws experiment 1"}', "its group")],
)
def test_a_damaged_result_is_named(results, text, sentence):
    path = results / "words" / "words" / "gru-seed0.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"{path}.*{sentence}"):
        read_results(results)
    path.unlink()
    gone = path.with_name("slow-gru-seed0.json").rename(path.with_name("gone-seed0.json"))
    change(results, gone.stem, name="gone")
    with pytest.raises(UsageError, match=r"recipe words/gone is gone"):
        read_results(results)
