"""Speech to text as a library: losses, a run that is interrupted and resumed, what is refused."""

from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from kws.data.transcripts import TranscribedSplit
from kws.decoding.transcribe import best_paths, transcribe
from kws.errors import UsageError
from kws.inference.trained_recognizer import load_recognizer
from kws.models.counts import count_parameters, formulas, measured_parts
from kws.models.ctc import ctc_loss, frames_needed
from kws.models.registry import RECOGNIZERS, build_from, configure
from kws.text.alphabet import EOS, SOS, Alphabet
from kws.text.word_errors import word_errors
from kws.training.checkpoint import load_model
from kws.training.loop import begin, finish
from kws.training.recipe import Recipe, load_recipe
from kws.training.recognizer_run import transcription_objective
from kws.training.recognizer_steps import ctc_weight, new_recognizer, spell_split
from kws.training.transcription import joint_loss, teacher_forced
from tests.training.small_objectives import CPU, TEXTS, small_recipe, utterances

pytestmark = pytest.mark.no_shapes

F_MELS = 8


def recipe(name: str = "speech-transformer", *more: str) -> Recipe:
    return small_recipe("speech-to-text", f"model.name={name}", *more)


@pytest.fixture(params=["speech-transformer", "speech-gru"])
def small(request):
    torch.manual_seed(0)
    return new_recognizer(recipe(request.param), 6).eval()


@pytest.mark.parametrize("name", RECOGNIZERS)
@pytest.mark.parametrize("layers", [0, 2])
def test_every_part_of_a_recognizer_has_as_many_parameters_as_its_formula_says(name, layers):
    config = configure(name, num_decoder_layers=layers, num_features=37, deltas=layers)
    with torch.device("meta"):
        model = build_from(name, config)
    found = {part: formula.value for part, formula in formulas(config).items()}
    assert found == measured_parts(model)


def test_both_recognizers_are_of_one_size():
    sizes = [count_parameters(build_from(n, entry.config)) for n, entry in RECOGNIZERS.items()]
    assert abs(sizes[0] - sizes[1]) < 0.01 * sizes[0]


def test_the_joint_loss_is_the_weighted_sum_of_both(small):
    texts = [torch.tensor([3, 4, 5]), torch.tensor([5, 3])]
    mel, valid = utterances("one", 2).batch([0, 1])
    inputs, wanted = teacher_forced(texts)
    logits, received = small(mel, valid, inputs)
    spelled_loss = F.cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, label_smoothing=0.2
    )
    log_p = received.log_softmax(-1)
    ctc = sum(
        F.ctc_loss(log_p[i, :frames], text, (frames,), (len(text),))
        for i, (text, frames) in enumerate(zip(texts, (16, 16), strict=True))
    )
    for weight in (0.0, 0.3, 1.0):
        found = joint_loss(small, mel, valid, texts, ctc_weight=weight, label_smoothing=0.2)
        expected = weight * ctc / 2 + (1 - weight) * spelled_loss
        torch.testing.assert_close(found, expected)


def test_other_utterances_change_no_text(small):
    alphabet, mels = Alphabet.of(TEXTS), utterances("some").mels
    together = transcribe(small, mels, alphabet, longest=5)
    for mel, text in zip(mels, together, strict=True):
        assert transcribe(small, [mel], alphabet, longest=5) == [text]


def test_ctc_lets_no_text_through_that_the_frames_do_not_hold(small):
    alphabet, mels = (Alphabet.of(TEXTS), utterances("some", 2, frames=9).mels)  # three are left
    written = transcribe(small, mels, alphabet, width=3, ctc_weight=0.5, longest=9)
    assert all(frames_needed(alphabet.encode(text)) <= 3 for text in written if text.strip())


def test_without_a_decoder_the_best_path_is_read():
    model = new_recognizer(recipe("speech-gru", "model.num_decoder_layers=0"), 6).eval()
    assert ctc_weight(model) == 1
    mels = utterances("some").mels
    paths = [alone for mel in mels for alone in best_paths(model, [mel])]
    assert best_paths(model, mels) == paths
    with pytest.raises(UsageError, match="leaves no decoder: read CTC's logits"):
        model.decode(torch.tensor([[SOS]]), torch.zeros(1, 2, 12))


def test_a_run_is_read_again_as_it_was_measured(tmp_path, monkeypatch):
    short = partial(transcribe, longest=7)  # an untrained model does not stop by itself
    monkeypatch.setattr("kws.training.recognizer_run.transcribe", short)
    monkeypatch.setattr("kws.inference.trained_recognizer.transcribe", short)
    train, validation = utterances("training"), utterances("validation", 4)
    run = begin(transcription_objective(recipe(), train, validation, CPU), tmp_path)
    finish(run, progress=False)
    trained = load_recognizer(tmp_path)
    assert trained.alphabet.letters == (" ", "n", "o")
    errors, written = trained.word_errors(validation)
    assert errors.describe() == word_errors(validation.texts, written).describe()
    best = run.history.best
    assert best["validation_n"] == errors.words
    assert best["validation_accuracy"] == pytest.approx(max(0, 1 - errors.rate))


def test_what_does_not_fit_is_one_sentence(tmp_path):
    train, validation = utterances("training"), utterances("validation", 4)

    def try_it(chosen, validation=validation, **options):
        return begin(
            transcription_objective(chosen, train, validation, CPU), tmp_path / "run", **options
        )

    rows = [replace(row, text="on x") for row in validation.rows]
    strange = TranscribedSplit(mels=validation.mels, rows=rows, split="validation")
    with pytest.raises(UsageError, match="the alphabet has no 'x', which is in 'on x'"):
        try_it(recipe(), strange)
    with pytest.raises(UsageError, match="no utterance of the validation split has as many frames"):
        try_it(recipe(), utterances("validation", 2, frames=3))
    with pytest.raises(UsageError, match=r"data\.task=keywords is not transcription"):
        try_it(load_recipe("keywords"))
    with pytest.raises(UsageError, match=r"model\.name=tdnn does not write text"):
        try_it(Recipe(data=recipe().data, model=replace(recipe().model, name="tdnn", options={})))
    try_it(recipe())
    with pytest.raises(UsageError, match="contains a run already"):
        try_it(recipe())
    with pytest.raises(UsageError, match=r"train\.lr was 0\.002 when this run began"):
        try_it(recipe("speech-transformer", "train.lr=1e-3"), resume=True)
    with pytest.raises(UsageError, match="this is a speech recognizer, not a keyword model"):
        load_model(tmp_path / "run" / "last.pt")


def test_texts_are_read_one_place_late_and_those_with_too_few_frames_left_out():
    data = spell_split(utterances("training", 5, frames=13), Alphabet.of(TEXTS))
    assert data.left_out == 2  # "noon" and "on no" need five frames of the four that are left
    assert [len(text) for text in data.symbols] == [2, 2, 2]
    inputs, wanted = teacher_forced([torch.tensor([5, 4, 5]), torch.tensor([3])])
    assert inputs.tolist() == [[SOS, 5, 4, 5], [SOS, 3, EOS, EOS]]
    assert wanted.tolist() == [[5, 4, 5, EOS], [3, EOS, -100, -100]]


def test_too_few_frames_are_told_with_the_utterance_and_none_at_all(small):
    texts = [torch.tensor([3, 4]), torch.tensor([3, 3, 4])]
    mel, valid = utterances("some", 2, frames=9).batch([0, 1])  # three frames are left of each
    with pytest.raises(UsageError, match=r"utterance 1 of the batch has 3 frames .* CTC needs 4"):
        joint_loss(small, mel, valid, texts)
    nothing = torch.zeros(1, 0, F_MELS)
    with pytest.raises(ValueError, match="0 frames: an utterance needs at least one"):
        small.encode(nothing, None)
    with pytest.raises(UsageError, match="an utterance has 0 frames: leave it out"):
        transcribe(small, [*utterances("some", 1).mels, nothing[0]], Alphabet.of(TEXTS))
    with pytest.raises(ValueError, match="0 frames: an utterance needs at least one"):
        ctc_loss(torch.zeros(0, 5), torch.tensor([1]))
