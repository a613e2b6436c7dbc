"""One run from its recipe to its result."""

import json

import pytest
import torch

from experiments.one_run import official_training_clips, run_one, steps_as_written
from experiments.plan import recipe_of
from experiments.results import read_result, recipe_in, status, write_result
from kws.errors import UsageError
from kws.inference.evaluate import evaluate, load_split
from kws.metrics import Proportion
from kws.training.checkpoint import load_model
from kws.training.recipe import Data, changed_keys, load_recipe


def test_a_result_says_all_that_its_accuracy_depends_on(made, make_job):
    result = made()
    found = Proportion(correct=result["correct"], n=result["n"])
    # result files have six decimals
    assert result["accuracy"] == pytest.approx(found.value, abs=1e-6)
    assert result["interval"] == pytest.approx([found.low, found.high], abs=1e-6)
    assert (result["protocol"], result["split"]) == ("embedded-12", "testing")
    assert result["data"]["testing"] == result["n"] == 24
    assert result["conditions"] == {"test_silence": "noise"}
    assert result["steps"] == result["history"][-1]["step"] == 3
    assert result["seconds"]["whole"]
    assert result["reported"]["accuracy"] == 93.6
    assert result["hardware"]["threads"] == 1
    assert changed_keys(recipe_in(result), recipe_of(make_job())) == []
    assert result["overrides"] == [
        ["data.protocol", "v2-12", "embedded-12"],
        ["train.epochs", 20, 1],
    ]
    assert made(seed=1)["history"] != result["history"]


def test_steps_as_reported_are_those_on_the_official_archive(recipes):
    assert steps_as_written(load_recipe("words/gru"), 384) == 20 * -(-36_923 // 64)
    assert steps_as_written(load_recipe("voices/transformer"), 384) == 2


@pytest.mark.parametrize(
    ("unknown", "clips"), [("protocol", 22_246), ("all", 51_088 + 1_854), (2_000, 22_392)]
)
def test_the_share_of_unknown_counts_among_the_official_clips(unknown, clips):
    """v1-12: 18,538 wanted clips, a tenth of that silence, and other words."""
    assert official_training_clips(Data(protocol="v1-12", unknown=unknown)) == clips


def test_the_file_is_the_result_and_small_whenever_it_was_made(made, make_job):
    job = make_job(keep=True)
    result = run_one(job)
    for key in made().keys() - {"seconds", "commit"}:
        assert result[key] == made()[key], key
    assert read_result(job.path) == json.loads(json.dumps(result))
    assert job.path.stat().st_size < 8_000
    trained = load_model(job.run_folder)
    (again,) = evaluate(trained, load_split(trained, job.source.folder))
    assert again.accuracy.correct == result["correct"]


def test_whole_utterances_and_crops_do_not_mix_and_without_answers_validation_is_measured(
    make_job, tiny_speakers, tmp_path, made
):
    folder = tmp_path / "speakers"
    folder.mkdir()
    for path in tiny_speakers.iterdir():
        if path.name != "test_labels.csv":
            (folder / path.name).symlink_to(path)
    result = run_one(make_job("transformer", group="voices", data=folder))
    assert result["split"] == "validation"
    result = made("transformer", group="voices", data=tiny_speakers)
    assert result["view"] == "full utterances"
    assert [other["view"] for other in result["also"]] == ["32-frame crops"]


def test_a_recognizer_is_right_where_it_writes_the_whole_text(make_job, transcripts, monkeypatch):
    write = "kws.inference.trained_recognizer.transcribe"
    monkeypatch.setattr(write, lambda *_, **__: ["on no", "no no"])
    result = run_one(make_job("speller", group="strings", data=transcripts))
    assert (result["protocol"], result["view"], result["right"]) == (
        "transcription", "whole strings", "10",
    )  # fmt: skip
    assert (result["steps"], result["data"]["training"]) == (2, 2)


def test_a_run_of_another_recipe_is_not_continued(make_job, made):
    other = make_job("slow-gru", keep=True)
    run_one(other)
    job = make_job()
    other.run_folder.rename(job.run_folder)
    result = run_one(job)
    assert result["seconds"]["whole"]
    assert result["history"] == made()["history"]
    assert not job.run_folder.exists(), "nothing is left of a finished run"


def test_a_run_that_was_cut_off_goes_on_from_its_checkpoint(make_job, made, monkeypatch):
    """In its third step of three: it has saved two."""
    job, real, steps = make_job(), torch.nn.utils.clip_grad_norm_, []

    def clip(*arguments, **options):
        steps.append(1)
        if len(steps) == 3:
            raise MemoryError
        return real(*arguments, **options)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    with pytest.raises(MemoryError):
        run_one(job)
    assert not job.path.exists()
    result = run_one(job)
    assert len(steps) == 4  # the third again, the first two not
    assert not result["seconds"]["whole"]
    for key in ("history", "correct", "steps", "best_step"):
        assert result[key] == made()[key]


def test_two_processes_never_share_a_run(make_job):
    from kws.files import hold_lock

    job = make_job()
    job.run_folder.mkdir(parents=True)
    with hold_lock(job.run_folder), pytest.raises(UsageError, match="another process"):
        run_one(job)


def test_a_result_stands_for_its_recipe_and_data_alone(make_job, made, recipes):
    job = make_job()
    assert not status(job, recipe_of(job)).done
    write_result(job.path, made())
    whole = job.path.read_text()
    assert status(job, recipe_of(job)).done
    overrides = ["data.protocol=embedded-12", "train.lr=2e-2"]
    state = status(job, load_recipe("words/gru", overrides, short=True))
    assert not state.done
    assert "train.lr was 0.01, and is 0.02" in state.because
    path = recipes / "words" / "gru.toml"
    text = path.read_text()
    try:
        path.write_text(text.replace("93.6", "93.7"))  # a reported figure
        assert status(job, recipe_of(job)).done
    finally:
        path.write_text(text)
    job.path.write_text(whole.replace(job.source.identity, "0" * 16))
    assert "other data" in status(job, recipe_of(job)).because
    job.path.write_text(whole[:100])
    assert "cannot be read" in status(job, recipe_of(job)).because


def test_a_long_history_is_thinned_but_keeps_its_best_row():
    from experiments.results import thinned

    rows = [{"step": i, "validation_accuracy": torch.rand(1).item()} for i in range(997)]
    best = max(rows, key=lambda row: row["validation_accuracy"])
    kept = [row["step"] for row in thinned(rows, best)]
    assert len(kept) <= 60
    assert {0, 996, best["step"]} <= set(kept)
