"""Hidden digits, keywords, phrases and sentences: new for each seed, and made once."""

import importlib
import inspect
import re

import pytest
import torch

from grader.adapters import ASSIGNMENTS
from grader.batch.evaluator import prepare
from grader.core.outcomes import Record
from grader.core.seed import Seed, add_results, dump_results, names_kept
from grader.course import trials
from grader.course.hidden import digits, keywords, speech, synthesized
from grader.course.hidden.digits import ALPHABET, N_MELS, SYMBOLS, spoken_strings, written_by
from grader.course.hidden.keywords import GERMAN, PROTOCOL, german_clips, word_clips
from grader.course.hidden.speech import padded, scores, speaker_utterances
from grader.course.hidden.synthesized import answered, duration_error, secret_phrases
from grader.grading.feedback import Failure
from kws.data.embedded.phrases import phrase_words
from kws.data.embedded.strings import DIGITS
from kws.data.protocols import V2_WORDS
from kws.text.alphabet import EOS


@pytest.fixture(scope="module")
def strings():
    """The strings of two seeds, spoken by few voices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "SPEAKERS", 10)
        patch.setattr(digits, "STRINGS", 1)
        digits.speak.cache_clear()
        yield spoken_strings(Seed("one")), spoken_strings(Seed("other"))
        digits.speak.cache_clear()


class Speller:
    """In place of a remote model: writes one text for every utterance."""

    def __init__(self, text: str) -> None:
        self.letters = [*ALPHABET.encode(text).tolist(), EOS]

    def __call__(self, mel, valid, symbols):
        logits = torch.zeros(*symbols.shape, SYMBOLS)
        logits[:, -1, self.letters[min(symbols.shape[1], len(self.letters)) - 1]] = 1
        return logits, torch.zeros(len(mel), 1, SYMBOLS)


def test_every_string_is_a_spectrogram_with_two_to_five_digits_and_follows_from_the_seed(strings):
    for each in strings:
        assert all(mel.shape[1] == N_MELS and mel.isfinite().all() for mel in each.mels)
        words = [text.split() for text in each.texts]
        assert all(2 <= len(spoken) <= 5 and set(spoken) <= set(DIGITS) for spoken in words)
    one, other = strings
    assert not {row.speaker for row in one.rows} & {row.speaker for row in other.rows}
    digits.speak.cache_clear()
    again = spoken_strings(Seed("one"))
    assert again.texts == one.texts
    assert all(map(torch.equal, again.mels, one.mels))


def test_what_is_written_is_counted_by_words(strings):
    record = Record()
    written = written_by(Speller("nine nine"), strings[0])
    assert written == ["nine nine"] * len(strings[0])
    output = ["nine nine", "nine one", "six"]
    measured = digits.word_accuracy(record, output, written[:3])
    assert (measured.correct, measured.n) == (2, 5)  # one and six substituted, one inserted
    assert "2 S, 0 D, 1 I of 5 words" in dict(record.facts)["word errors"]
    measured = digits.word_accuracy(Record(), ["one"], ["two two two"])
    assert (measured.correct, measured.n) == (0, 1)


@pytest.mark.parametrize("spoilt", [lambda pair: pair[0], lambda pair: (pair[0][0], pair[1])])
def test_another_form_of_output_is_told(spoilt, strings):
    right = Speller("nine")
    with pytest.raises(Failure, match=r"does not return two tensors|logits"):
        written_by(lambda *inputs: spoilt(right(*inputs)), strings[0])


CLASSES = len(PROTOCOL.labels)


@pytest.fixture(scope="module")
def clips():
    """The clips and labels of two seeds, spoken by few voices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keywords, "SPEAKERS", 10)
        keywords.speak.cache_clear()
        yield word_clips(Seed("one")), word_clips(Seed("other"))
        keywords.speak.cache_clear()
        keywords.speak_german.cache_clear()


def test_every_clip_has_a_label_that_its_place_does_not_tell_and_follows_from_the_seed(clips):
    for mel, labels in clips:
        assert mel.shape == (len(labels), mel.shape[1], keywords.N_MELS)
        assert mel.isfinite().all()
        assert set(labels.tolist()) == set(range(CLASSES))
    (_, labels), (_, other) = clips
    size = min(len(labels), len(other))
    assert (labels[:size] == other[:size]).double().mean() < 2.5 / CLASSES
    assert (labels[1:] == labels[:-1]).double().mean() < 2.5 / CLASSES
    (mel, labels), (other, other_labels) = clips
    keywords.speak.cache_clear()
    again, labels_again = word_clips(Seed("one"))
    assert torch.equal(mel, again)
    assert torch.equal(labels, labels_again)
    silence = PROTOCOL.labels.index("_silence_")  # which may be digital, and so the same
    mel, other = mel[labels != silence], other[other_labels != silence]
    assert not torch.isclose(mel[:, None], other[None, :20]).all(-1).all(-1).any()


def test_every_speaker_says_each_german_word_once(clips):
    mel, labels = german_clips(Seed("one"))
    voices, words = keywords.SPEAKERS, len(GERMAN.labels)
    assert mel.shape == (voices * words, 101, keywords.N_MELS)
    assert labels.bincount().tolist() == [voices] * words
    assert (labels[1:] == labels[:-1]).double().mean() < 2.5 / words


@pytest.fixture(scope="module")
def few():
    """Some secret phrases; the others cost time."""
    return synthesized.phrases_of(7)


def parrot(texts, frames_off: int = 0):
    """A model that knows texts by heart, all durations so many frames off."""

    def model(phonemes, valid, durations=None, pace=1.0):
        row = next(i for i, one in enumerate(texts.phonemes) if torch.equal(one, phonemes[0]))
        logs = (texts.durations[row].clamp(min=1) + frames_off + 1.0).log()[None]
        mel = texts.mels[row][None]
        return mel, torch.ones(mel.shape[:2]).bool(), logs

    return model


def test_phrases_follow_from_the_secret_and_are_of_held_out_words():
    texts = [phrase.text for phrase in secret_phrases(Seed("one")).phrases]
    assert texts == [phrase.text for phrase in secret_phrases(Seed("one")).phrases]
    assert texts != [phrase.text for phrase in secret_phrases(Seed("two")).phrases]
    assert {word for text in texts for word in text.split()} <= {*phrase_words()["testing"]}


def test_durations_of_the_engine_are_right_and_others_as_far_off_as_they_are(few):
    exact = duration_error(parrot(few), few)
    assert exact < 0.1  # some phonemes last no frame, and are said to last one
    assert duration_error(parrot(few, 3), few) == pytest.approx(exact + 3, abs=0.1)


def test_words_are_counted_at_each_pace(monkeypatch):
    words = synthesized.keywords()
    monkeypatch.setattr(synthesized, "listener", lambda **_: None)
    monkeypatch.setattr(synthesized, "recognize", lambda _, waves: [*V2_WORDS[:-1], "babble"])
    monkeypatch.setattr(synthesized, "vocode", lambda mel: torch.zeros(len(mel)))
    measured, wrong = synthesized.recognized_words(parrot(words))
    assert (measured.correct, measured.n) == (3 * 34, 105)
    assert wrong == [f"{V2_WORDS[-1]} as babble"] * 3


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "three tensors"),
        ((torch.zeros(1, 5, 64), torch.ones(1, 5)), "three tensors"),
        ((torch.zeros(1, 5, 63), torch.ones(1, 5), torch.zeros(1, 3)), "log-mels"),
        ((torch.zeros(1, 5, 64), torch.ones(1, 5), torch.zeros(1, 4)), "ln"),
        ((torch.zeros(1, 5, 64), torch.ones(5), torch.zeros(1, 3)), "valid frames"),
        ((torch.zeros(1, 5, 64) / 0, torch.ones(1, 5), torch.zeros(1, 3)), "NaN"),
    ],
)
def test_an_answer_of_another_form_is_told(answer, why):
    with pytest.raises(Failure, match=why):
        answered(lambda *_, **__: answer, torch.zeros(1, 3, 2), torch.ones(1, 3).bool())


@pytest.fixture
def two_voices(monkeypatch):
    """Two voices instead of a hundred, and nothing spoken before."""
    monkeypatch.setattr(speech, "SPEAKERS", 2)
    monkeypatch.setattr(speech, "UTTERANCES", 1)
    speech.speak.cache_clear()
    yield
    speech.speak.cache_clear()


@pytest.mark.usefixtures("two_voices")
def test_another_seed_gives_other_sentences_and_what_one_process_has_made_another_need_not_make():
    before = names_kept()
    mels, labels = speaker_utterances(Seed("one"))
    data = dump_results(before)
    speech.speak.cache_clear()
    add_results(data)
    again, same = speech.speak.kept[Seed("one").number("hidden utterances"),]
    assert same.tolist() == labels.tolist()
    assert all(torch.equal(a, b) for a, b in zip(mels, again, strict=True))
    assert len(dump_results(names_kept())) < len(data)
    other, _ = speaker_utterances(Seed("other"))
    assert labels.tolist() == [0, 1]
    assert not any(torch.equal(a, b) for a, b in zip(mels, other, strict=True))


@pytest.mark.usefixtures("two_voices")
@pytest.mark.parametrize("number", ["03", "04"])
def test_what_is_prepared_is_not_spoken_again(number, monkeypatch):
    prepare(number, Seed("one"))
    monkeypatch.setattr(speech, "speak_again", None)
    assert len(speaker_utterances(Seed("one"))[0]) == 2


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_what_the_checks_need_is_made_before_a_job_is_forked(number, monkeypatch):
    checks = importlib.import_module(f"grader.course.{ASSIGNMENTS[number].folder}.test_checks")
    needed = re.findall(r"from (grader\.course\.hidden\.\w+) import", inspect.getsource(checks))
    assert [checks.PREPARE.__module__] == needed if needed else not hasattr(checks, "PREPARE")
    made, loaded = [], []
    monkeypatch.setattr(trials, "expected_results", lambda trial, _: loaded.append(trial.number))
    monkeypatch.setattr(checks, "PREPARE", made.append, raising=False)
    secret = Seed("one")
    prepare(number, secret)
    assert made == [secret]
    assert set(loaded) == {number}


def test_padding_is_silence_and_the_mask_says_where():
    mel, valid = padded([torch.ones(2, 3), torch.ones(5, 3)])
    assert valid.sum(dim=1).tolist() == [2, 5]
    assert (mel[~valid] == -20).all()
    assert (mel[valid] == 1).all()


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_scores_come_back_in_the_order_of_the_utterances(batch):
    mels = [torch.full((n, 1), float(n)) for n in (7, 3, 5)]

    def model(mel, valid):
        return torch.stack([mel[:, 0, 0], valid.sum(dim=1)], dim=1)

    assert scores(model, mels, 2, batch).tolist() == [[7, 7], [3, 3], [5, 5]]
