"""The embedded speaker corpus: the homework's layout, nothing that gives the answer away."""

import csv
import hashlib
import json
import re
from itertools import chain

import numpy as np
import pytest
import torch

from kws.audio.features import speaker_log_mel
from kws.cli import run
from kws.data.embedded import speaker_corpus
from kws.data.embedded.sentences import WORDS, draw_sentence
from kws.data.embedded.speaker_corpus import make_speaker_corpus, speak_again
from kws.errors import UsageError

SMALL = {"speakers": 3, "utterances": 4, "progress": False}


def tables(folder):
    return [
        json.loads((folder / name).read_text())
        for name in ("mapping.json", "metadata.json", "testdata.json")
    ]


def answers(folder):
    with (folder / "test_labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def tree(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def test_layout_is_that_of_the_homework_and_answers_name_different_voices(tiny_speakers):
    mapping, metadata, testdata = tables(tiny_speakers)
    names = list(metadata["speakers"])
    assert all(re.fullmatch(r"id\d{5}", name) for name in names)
    assert mapping["speaker2id"] == {name: i for i, name in enumerate(names)}
    assert mapping["id2speaker"] == {str(i): name for i, name in enumerate(names)}
    assert metadata["n_mels"] == testdata["n_mels"] == 40
    assert [len(entries) for entries in metadata["speakers"].values()] == [6] * 6
    assert len(testdata["utterances"]) == 6 * 2
    listed = [*chain(*metadata["speakers"].values()), *testdata["utterances"]]
    paths = [entry["feature_path"] for entry in listed]
    assert sorted(paths) == sorted(path.name for path in tiny_speakers.glob("*.pt"))
    assert all(re.fullmatch(r"uttr-[0-9a-f]{32}\.pt", path) for path in paths)
    for entry in listed:
        mel = torch.load(tiny_speakers / entry["feature_path"], weights_only=True)
        assert mel.shape == (entry["mel_len"], 40)
        assert mel.dtype == torch.float32
        assert mel.isfinite().all()
        assert mel.min() >= np.log(np.float32(1e-9))
        assert entry["mel_len"] > 91  # the shortest of the homework
    mapping, _, testdata = tables(tiny_speakers)
    rows = answers(tiny_speakers)
    assert list(rows[0]) == ["Id", "Category"]
    assert [row["Id"] for row in rows] == [e["feature_path"] for e in testdata["utterances"]]
    categories = [row["Category"] for row in rows]
    assert sorted(categories) == sorted(list(mapping["speaker2id"]) * 2)
    assert categories != sorted(categories)  # the order does not give them away
    about = json.loads((tiny_speakers / "voices.json").read_text())
    assert list(about["voices"]) == list(tables(tiny_speakers)[0]["speaker2id"])
    assert len({voice["definition"] for voice in about["voices"].values()}) == 6


def test_no_word_is_in_both_training_and_test_sentences():
    assert not set(WORDS["training"]) & set(WORDS["testing"])
    rng = np.random.default_rng(0)
    for split in WORDS:
        sentences = [draw_sentence(rng, split) for _ in range(300)]
        words = [re.findall("[a-z]+", sentence) for sentence in sentences]
        assert {len(sentence) for sentence in words} == set(range(6, 13))
        assert {word for sentence in words for word in sentence} <= set(WORDS[split])
        assert len(set(sentences)) == 300


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A corpus, the texts of each voice while it was made, and the setups drawn."""
    folder, setups = tmp_path_factory.mktemp("recorded") / "c", []
    with pytest.MonkeyPatch.context() as patch:
        texts, draw = record_texts(patch), speaker_corpus.draw_setup
        patch.setattr(
            speaker_corpus, "draw_setup", lambda rng: setups.append(draw(rng)) or setups[-1]
        )
        threads = torch.get_num_threads()
        make_speaker_corpus(folder, workers=1, **SMALL)
        assert torch.get_num_threads() == threads
    return folder, texts, setups


def record_texts(patch) -> dict[str, list[str]]:
    """By the definition of each voice, what it says from now on."""
    output, real = {}, speaker_corpus.say

    def say(voice, texts, rng, scratch):
        output.setdefault(voice.definition, []).extend(texts)
        return real(voice, texts, rng, scratch)

    patch.setattr(speaker_corpus, "say", say)
    return output


def test_sentences_are_of_their_split_and_each_has_a_setup_of_its_own(recorded):
    _, output, setups = recorded
    assert len(setups) == len(set(setups)) == 3 * 5
    for texts in output.values():
        for text, split in zip(texts, ["training"] * 4 + ["testing"], strict=True):
            assert set(re.findall("[a-z]+", text)) <= set(WORDS[split])


def spoken(seconds: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(int(22_050 * seconds))
    return (4000 * noise).astype(np.int16)


def test_features_are_the_homework_s_of_what_is_heard(monkeypatch):
    rng, again = np.random.default_rng(1), np.random.default_rng(1)
    mel = speaker_corpus.audible_features(spoken(2.0), rng)
    waveform = speaker_corpus.recorded_sentence(spoken(2.0), again)
    expected = speaker_log_mel(torch.from_numpy(waveform.astype(np.float32)))
    torch.testing.assert_close(mel, expected, rtol=0, atol=0)
    waveforms = iter([np.zeros(16_000), 0.5 * np.sin(np.arange(32_000.0))])
    monkeypatch.setattr(speaker_corpus, "recorded_sentence", lambda *_: next(waveforms))
    assert len(speaker_corpus.audible_features(spoken(1.0), np.random.default_rng(0))) > 190
    monkeypatch.setattr(speaker_corpus, "recorded_sentence", lambda *_: np.zeros(16_000))
    with pytest.raises(RuntimeError, match="inaudible in 100"):
        speaker_corpus.audible_features(spoken(1.0), np.random.default_rng(0))


def test_same_seed_gives_the_same_bytes_on_any_number_of_workers(recorded, tmp_path):
    two = make_speaker_corpus(tmp_path / "two", workers=2, **SMALL)
    other = make_speaker_corpus(tmp_path / "other", seed=1, **SMALL | {"utterances": 2})
    assert tree(recorded[0]) == tree(two)
    assert not set(tree(two).values()) & set(tree(other).values())


def test_finished_corpus_is_left_alone_and_another_refused(tiny_speakers):
    before = tree(tiny_speakers)
    options = {"speakers": 6, "utterances": 6, "progress": False}
    assert make_speaker_corpus(tiny_speakers, **options) == tiny_speakers
    with pytest.raises(UsageError, match=r"differs in utterances"):
        make_speaker_corpus(tiny_speakers, **{**options, "utterances": 7})
    assert tree(tiny_speakers) == before


def test_command_line_and_what_is_too_little(tmp_path, capsys):
    arguments = ["data", "speaker-corpus", str(tmp_path / "c"), "--speakers", "2"]
    assert run([*arguments, "--utterances", "2"]) == 0
    assert re.search(r"6 recordings, made in", capsys.readouterr().out)
    assert run([*arguments, "--utterances", "3"]) == 2
    assert "differs in utterances" in capsys.readouterr().err
    for options in ({"speakers": 1}, {"utterances": 1}):
        with pytest.raises(UsageError, match="must be 2 or more"):
            make_speaker_corpus(tmp_path / "few", **{**SMALL, **options})
    assert not (tmp_path / "few").exists()


def test_speaking_again_uses_the_voices_of_the_corpus_and_test_sentences(recorded, monkeypatch):
    voices = json.loads((recorded[0] / "voices.json").read_text())["voices"]
    output = record_texts(monkeypatch)
    mels, labels = speak_again(recordings_seed="secret", speakers=3, utterances=2, workers=1)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert all(mel.shape[1] == 40 and len(mel) >= 91 for mel in mels)
    assert set(output) == {voice["definition"] for voice in voices.values()}
    for text in chain(*output.values()):
        assert set(re.findall("[a-z]+", text)) <= set(WORDS["testing"])
    again, _ = speak_again(recordings_seed="secret", speakers=3, utterances=2, workers=2)
    other, _ = speak_again(recordings_seed="other", speakers=3, utterances=2)
    assert all(torch.equal(a, b) for a, b in zip(mels, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(mels, other, strict=True))
    for options in ({"speakers": 0}, {"utterances": 0}):
        with pytest.raises(UsageError, match="must be 1 or more"):
            speak_again(recordings_seed=0, **options)
