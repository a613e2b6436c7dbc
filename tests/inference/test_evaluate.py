"""What is measured, on what, under which name; and what is written about it."""

import dataclasses
import json
import shutil

import pytest
import torch
from torch import nn

from kws.data.protocols import PROTOCOLS
from kws.data.speech_commands import load_speech_commands
from kws.errors import UsageError
from kws.inference.confusion import confusion_matrix
from kws.inference.evaluate import CLIPS, CROPS, UTTERANCES, evaluate, load_split, write_evaluation
from kws.metrics import Proportion
from kws.training.checkpoint import Trained

TWELVE = PROTOCOLS["embedded-12"].labels
SPEAKERS = ("data.task=speakers", "data.crop_frames=15", "features.n_mels=13")


class Says(nn.Module):
    """A model that answers with a function of the features (B, T, F) that it is given."""

    def __init__(self, answer, num_classes: int):
        super().__init__()
        self.answer, self.num_classes = answer, num_classes

    def forward(self, mel: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        answers = torch.as_tensor(self.answer(mel)).expand(len(mel))
        return nn.functional.one_hot(answers, self.num_classes).float()


def says(trained: Trained, answer) -> Trained:
    return dataclasses.replace(trained, model=Says(answer, len(trained.labels)))


@pytest.fixture
def keywords(untrained) -> Trained:
    return untrained("data.protocol=embedded-12", labels=TWELVE)


def test_every_clip_is_counted_once_with_its_own_label(tones, untrained):
    data = tones(41, seed=1)
    model = says(untrained(labels=data.label_names), lambda mel: torch.arange(len(mel)) % 3)
    model.model.train()
    (found,) = evaluate(model, data)
    assert not model.model.training
    assert found.view == CLIPS
    assert found.describe().startswith("accuracy ")
    assert found.describe().endswith("protocol tones, test silence: none)")
    assert found.matrix.equal(confusion_matrix(torch.arange(41) % 3, data.labels, 3))
    words, hits = data.labels > 0, torch.arange(41) % 3 == data.labels
    assert found.accuracy == Proportion(correct=int(hits.sum()), n=41)
    alone = Proportion(correct=int((words & hits).sum()), n=int(words.sum()))
    silent = dataclasses.replace(found, labels=("_silence_", "a", "b"))
    assert silent.describe().splitlines()[1] == f"accuracy on the words alone: {alone}"


def test_utterances_and_crops_are_two_results(voices, untrained):
    data = voices(23)
    model = untrained(*SPEAKERS, labels=data.label_names)
    whole, crops = evaluate(says(model, lambda mel: int(mel.shape[1] == 15)), data)
    assert (whole.view, crops.view) == (UTTERANCES, CROPS)
    assert (whole.accuracy.n, crops.accuracy.n) == (23, 23)
    assert whole.matrix[:, 0].sum() == crops.matrix[:, 1].sum() == 23
    assert whole.describe().startswith("accuracy on full utterances ")
    assert crops.describe().startswith("accuracy on 15-frame crops ")


def test_the_recipes_protocol_and_silence_are_the_default(tiny_corpus, keywords):
    data = load_split(keywords, tiny_corpus)
    assert (data.protocol, data.split, data.silence) == ("embedded-12", "testing", "noise")
    data = load_split(keywords, tiny_corpus, "validation", protocol="v2-12", test_silence="zeros")
    assert (data.protocol, data.split, data.silence) == ("v2-12", "validation", "zeros")


@pytest.mark.parametrize("seed", [0, 3])
def test_the_recipes_seed_chooses_the_unknown_clips(tiny_corpus, untrained, seed):
    model = untrained("data.protocol=embedded-12", f"data.seed={seed}", labels=TWELVE)
    expected = load_speech_commands(tiny_corpus, "embedded-12", "training", seed=seed)
    assert load_split(model, tiny_corpus, "training").names == expected.names


def test_recordings_are_resampled_on_demand(tiny_corpus, keywords, monkeypatch):
    wanted = []

    def reader(*args, resample, **kwargs):
        wanted.append(resample)
        return load_speech_commands(*args, **kwargs)

    monkeypatch.setattr("kws.inference.evaluate.load_speech_commands", reader)
    load_split(keywords, tiny_corpus, resample=True)
    load_split(keywords, tiny_corpus)
    assert wanted == [True, False]


@pytest.fixture
def of_speakers(tiny_speakers, untrained) -> Trained:
    speakers = sorted(json.loads((tiny_speakers / "mapping.json").read_text())["speaker2id"])
    return untrained("data.task=speakers", "data.validation=0.34", labels=tuple(speakers))


@pytest.mark.parametrize(("split", "n"), [("training", 24), ("validation", 12), ("testing", 12)])
def test_splits_of_speakers(tiny_speakers, of_speakers, split, n):
    data = load_split(of_speakers, tiny_speakers, split)
    assert (data.split, len(data)) == (split, n)


def test_a_split_that_cannot_be_measured_is_refused(
    tiny_speakers, untrained, of_speakers, tmp_path
):
    with pytest.raises(UsageError, match=r"--protocol does not apply to a speaker model"):
        load_split(of_speakers, tiny_speakers, protocol="v2-12")
    none = untrained("data.task=speakers", "data.validation=0", labels=of_speakers.labels)
    with pytest.raises(UsageError, match="validation split is empty"):
        load_split(none, tiny_speakers, "validation")
    with pytest.raises(UsageError, match="label 0 is 'anna' where"):
        load_split(untrained("data.task=speakers", labels=("anna", "ben")), tiny_speakers)
    folder = shutil.copytree(tiny_speakers, tmp_path / "own")
    (folder / "test_labels.csv").unlink()
    with pytest.raises(UsageError, match=r"test_labels\.csv.*--split validation"):
        load_split(of_speakers, folder)
    (folder / "testdata.json").unlink()
    with pytest.raises(UsageError, match=r"no testdata\.json: choose --split validation"):
        load_split(of_speakers, folder)


def test_what_is_written(voices, untrained, tmp_path):
    data = voices(23, split="validation")
    model = untrained(*SPEAKERS, labels=data.label_names)
    evaluations = evaluate(model, data)
    written = write_evaluation(tmp_path / "run", model, "somewhere", evaluations)
    names = ["evaluation-validation.json", "confusion.png", "recall.png"]
    assert [path.name for path in written] == names
    assert sorted(written) == sorted((tmp_path / "run").iterdir())
    result = json.loads(written[0].read_text())
    assert (result["model"], result["step"], result["data"]) == ("gru", 17, "somewhere")
    for evaluation in evaluations:
        part = result[evaluation.view]
        assert part["accuracy"] == evaluation.accuracy.value
        assert (part["n"], part["protocol"]) == (23, "speakers")
        assert part["confusion"] == evaluation.matrix.tolist()
        assert [entry["label"] for entry in part["classes"]] == list(data.label_names)
        assert part["classes"][1]["recall"] == evaluation.scores[1].recall.value


def test_class_scores_follow_from_the_matrix_and_are_null_without_examples(
    tones, untrained, tmp_path
):
    data = tones(41, seed=1)
    model = says(untrained(labels=(*data.label_names, "never")), lambda mel: 2)
    (found,) = evaluate(model, data)
    right = int((data.labels == 2).sum())
    assert [score.recall.correct for score in found.scores] == [0, 0, right, 0]
    assert [score.precision.n for score in found.scores] == [0, 0, 41, 0]
    written = write_evaluation(tmp_path, model, "somewhere", [found])
    never = json.loads(written[0].read_text())[CLIPS]["classes"][3]
    assert (never["n"], never["recall"], never["precision"]) == (0, None, None)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "test"}, r"split='test'.*choose one of training"),
        ({"protocol": "kaggle-12"}, "label.* where protocol kaggle-12 has"),
        ({"protocol": "embedded-35"}, "label.* where protocol embedded-35 has"),
    ],
)
def test_an_unknown_split_and_other_labels_are_refused(tiny_corpus, keywords, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        load_split(keywords, tiny_corpus, **options)
