"""What the benchmarks' numbers rest on: fair tasks, splits without leaks, and a printed result."""

import dataclasses
import doctest
import importlib.util
import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import torch

from kws.audio.recordings import write_audio
from kws.data.listing import read_listing
from kws.data.own_words import speaker_of
from kws.data.protocols import get_protocol
from kws.training.checkpoint import read_checkpoint, weights_of
from kws.training.recipe import experiment_groups
from kws.training.synthesis import spoken_texts

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    """`script("people")`: a benchmark, imported as when it runs; `script("gpu/full_runs")` too."""

    @cache
    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(name).name, BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(BENCHMARKS))
            spec.loader.exec_module(module)
        return module

    return load


def last_line(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_table_is_aligned_and_the_last_line_is_json(script, capsys):
    report = script("report")
    report.print_table(["name", "n", "share"], [["a", 1234567, None], ["longer", 7, 0.5]])
    assert capsys.readouterr().out.splitlines() == [
        "name            n  share",
        "------  ---------  -----",
        "a       1,234,567      –",
        "longer          7   0.50",
    ]
    report.finish({"speedup": 1 / 3, "n": 1234567, "each": [{"x": 2.0}], "name": "ü"})
    found = {"speedup": 0.333333, "n": 1234567, "each": [{"x": 2.0}], "name": "ü"}
    assert last_line(capsys) == found
    with pytest.raises(ValueError, match="zip"):
        report.print_table(["a", "b"], [[1, 2], [3]])
    with pytest.raises(ValueError, match="JSON"):
        report.finish({"speedup": math.nan})


def test_cpu_seconds_count_finished_children(script):
    report = script("report")
    before = report.cpu_seconds()
    work = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert report.cpu_seconds() - before >= 0.3


def test_every_plan_on_a_gpu_has_as_many_examples_as_its_archive(script, tmp_path):
    full_runs = script("gpu/full_runs")
    for name, plan in full_runs.PLANS.items():
        recipe = full_runs.recipe_of(name)
        if recipe.data.task == "keywords":
            assert plan.examples == get_protocol(recipe.data.protocol).expected_counts["training"]
    clips = full_runs.noise(full_runs.recipe_of("v2-35"), 1e-3, tmp_path)
    assert clips.waveforms(torch.arange(len(clips))).shape == (106, 16_000)
    frames = full_runs.noise(full_runs.recipe_of("speakers-600"), 1e-2, tmp_path)
    assert len(frames) == 647
    assert abs(int(frames.lengths.sum()) - 425_000) < 647


def test_a_training_on_a_gpu_in_small_prints_speed_and_accuracy(
    script, tiny_corpus, tmp_path, monkeypatch, capsys
):
    full_runs, quick = script("gpu/full_runs"), "v2-12-quick"
    small = ("model.channels=[2,3,3]", "model.hidden_size=5", "data.protocol=embedded-12")
    steps = ("train.total_steps=2", "train.batch_size=8", "train.save_every=1")
    changes = (*small, *steps, "data.unknown=protocol")
    plan = dataclasses.replace(full_runs.PLANS[quick], changes=changes)
    monkeypatch.setitem(full_runs.PLANS, quick, plan)
    full_runs.smoke([quick], "cpu")
    assert list(last_line(capsys)["runs"]) == [f"{quick}, float32", f"{quick}, bfloat16"]
    full_runs.speeds([quick], "cpu", 1e-3, 1, {"as it is": {}})
    found = last_line(capsys)["runs"][f"{quick}, as it is"]
    assert found["minutes"] == pytest.approx(2 * 8 / found["examples_per_second"] / 60, rel=1e-3)
    assert full_runs.whole(quick, tiny_corpus, tmp_path, "cpu") == 0
    numbers = last_line(capsys)
    kept = json.loads((tmp_path / quick / "evaluation-testing.json").read_text())
    assert numbers["n"] == 24
    # a line of JSON has six digits, the file all
    assert numbers["clips_accuracy"] == pytest.approx(kept["clips"]["accuracy"], abs=1e-4)


def test_official_clips_are_a_table_of_what_is_done_and_a_second_call_trains_the_rest(
    script, tiny_corpus, tmp_path, monkeypatch, capsys
):
    for folder in ("speech_commands_people", "speech_commands_excerpt"):
        (tmp_path / folder).symlink_to(tiny_corpus)
    official, out = script("official"), tmp_path / "runs"
    small = ["data.protocol=embedded-12", "data.other_words=together", "train.total_steps=2"]
    small += ["model.channels=4", "model.num_blocks=1", "augment.mixup=0"]
    settings = [f"--set={each}" for each in small]

    def call(*more: str) -> dict:
        command = ["official.py", str(tmp_path), "--models=ds-cnn", f"--out={out}", "--device=cpu"]
        monkeypatch.setattr("sys.argv", [*command, *settings, *more])
        assert official.main() == 0
        return last_line(capsys)

    assert call("--table") == {}
    first = call("--seeds", "0")["ds-cnn"]
    assert first["low"] <= first["accuracies"][0] <= first["high"]
    before = (out / "ds-cnn-0" / "best.pt").stat().st_mtime_ns
    both = call("--seeds", "0", "1")["ds-cnn"]
    assert both["accuracies"][0] == first["accuracies"][0]
    assert len(both["accuracies"]) == 2
    assert (out / "ds-cnn-0" / "best.pt").stat().st_mtime_ns == before
    again = call("--table", "--together", "--seeds", "0", "1", "2")
    assert again["ds-cnn"] == both
    assert again["together"]["ds-cnn"] == again["together"]["all"]
    assert again["together"]["all"]["n"] == both["n"]
    assert set(official.MODELS) == set(experiment_groups()["official"])
    distilled, found = script("distilled"), {}
    for share in (0.0, 0.7):  # that the teacher gives: with 0 it is a training like any other
        monkeypatch.setattr(distilled, "SHARE", share)
        command = ["distilled.py", str(tmp_path), str(out / "ds-cnn-0"), *settings]
        monkeypatch.setattr("sys.argv", [*command, f"--out={out / str(share)}"])
        distilled.main() if share else distilled.train(distilled.parse())
        found[share] = weights_of(read_checkpoint(out / str(share) / "last.pt"))
    assert last_line(capsys)["int8"]["n"] == both["n"]
    plain = weights_of(read_checkpoint(out / "ds-cnn-0" / "last.pt"))
    assert all(torch.equal(found[0.0][name], plain[name]) for name in plain)
    assert not all(torch.equal(found[0.7][name], plain[name]) for name in plain)


def test_tags_name_the_words_that_were_mixed_and_a_teacher_leaves_no_frame_out(script, tiny_corpus):
    tags = script("tags")
    words = tags.Words(tiny_corpus, "training")
    found = [words.mix(13, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert set(found[0][1].sum(dim=1).tolist()) == {1, 2, 3}
    words.labels = torch.full_like(words.labels, 4)
    assert words.mix(5, torch.Generator())[1].nonzero()[:, 1].tolist() == 5 * [4]
    teacher, texts = script("teacher_durations"), spoken_texts(["warm water", "happy"], n_mels=7)
    durations, focus = teacher.read_durations(teacher.Teacher(7).eval(), texts)
    assert [len(some) for some in durations] == [len(one) for one in texts.phonemes]
    assert [int(some.sum()) for some in durations] == [len(mel) for mel in texts.mels]
    assert 0 < focus <= 1


def test_speakers_of_own_words_are_divided_between_the_splits(script, tmp_path):
    for speaker in range(9):
        for name in ("one_01", "one_02", "two_01"):
            write_audio(tmp_path / "people" / f"id{speaker}" / f"{name}.wav", torch.zeros(160))
    words = script("own_words").by_speaker(tmp_path / "people", tmp_path / "words")
    listing = read_listing(words)
    assert listing.words == {"one": 18, "two": 9}
    assert speakers(listing, "testing") == {"id0", "id3", "id6"}
    assert speakers(listing, "validation") == {"id1"}
    assert not speakers(listing, "training") & {"id0", "id1", "id3", "id6"}


def names(listing, split: str) -> set[str]:
    pairs = zip(listing.names, listing.splits, strict=True)
    return {name for name, own in pairs if own == split}


def speakers(listing, split: str) -> set[str]:
    return {speaker_of(name) for name in names(listing, split)}


def test_folds_of_people_hold_every_clip_out_once_and_share_no_speaker(
    script, tiny_corpus, tmp_path
):
    people, folds = script("people"), []
    for fold in range(people.FOLDS):
        out, add = tmp_path / str(fold), None if fold else people.spliced
        people.make_fold(tiny_corpus, fold, out, add, tmp_path)
        folds.append(read_listing(out))
    held_out, whole = [names(fold, "validation") for fold in folds], read_listing(tiny_corpus)
    assert set.union(*held_out) == names(whole, "training") | names(whole, "validation")
    assert sum(map(len, held_out)) == len(set.union(*held_out))
    for fold in folds:
        assert not names(fold, "testing")
        assert not speakers(fold, "training") & speakers(fold, "validation")
    assert sum(name.startswith("spliced/") for name in names(folds[0], "training")) == 300


@pytest.mark.parametrize("place", [0, 4])
def test_all_graders_get_the_same_task_with_the_points_that_are_expected(script, place, tmp_path):
    task, graders = script("grading_task"), script("graders")
    notebook = task.notebook(place)
    nbformat.validate(nbformat.from_dict(notebook))
    data, space = task.notebook_bytes(notebook), {}
    assert not any(word in data for word in (b"assert", b"by_hand", b"reference"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"], space)
    points = 0
    for name, test in (("q1", task.TEST_1), ("q2", task.TEST_2)):
        otter: dict = {}
        exec(graders.otter_test(name, test), otter)
        code = otter["test"]["suites"][0]["cases"][0]["code"]
        example = doctest.DocTestParser().get_doctest(code, dict(space), name, None, 0)
        points += doctest.DocTestRunner(verbose=False).run(example, out=lambda _: None).failed == 0
    assert points == task.expected_score(place)
    work = {"ada": graders.Work(f"{task.STEM}.ipynb", data)}
    assert graders.Ours(tmp_path, 1).grade(work, 3600)["ada"].score == points
    assert task.is_right(place) == (points == task.POINTS)


def test_a_wrong_grade_shows_beside_the_speeds(script):
    grading = script("grading")
    theirs = grading.Speed("otter", 2, wall=20.0, cpu=8.0, right=2)
    for right in (9, 10):
        ours = grading.Speed("ours", 10, wall=5.0, cpu=4.0, right=right)
        found = grading.numbers([ours, theirs])
        assert (found["vs_otter"], found["vs_otter_cpu"], found["vs_nbgrader"]) == (20, 10, None)
        assert found["right"] == (right == 10)


@pytest.mark.parametrize(
    ("attacked", "honest", "found"),
    [(2, 2, (["attack: 2.1-values"], [])), (1, 0, ([], ["attack: 2.2-split"])), (1, 2, ([], []))],
)
def test_an_attack_gains_what_a_plain_wrong_answer_does_not(
    script, tmp_path, attacked, honest, found
):
    hostile = script("grading_hostile")
    for student, *earned in (("a", 1, 2), ("b", attacked, honest)):
        rows = zip(("2.1-values", "2.2-split"), earned, strict=True)
        checks = [{"id": name, "task": name[:3], "earned": got, "points": 2} for name, got in rows]
        path = tmp_path / "reports" / student / "02.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"checks": checks}))
    bad = {"a": hostile.Bad("wrong", hostile.WRONG), "b": hostile.Bad("attack", hostile.ATTACKS[0])}
    judged = hostile.judged(tmp_path, bad)
    assert (judged["gained"], judged["lost"]) == found
