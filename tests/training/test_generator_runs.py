"""A voice, a codec and a prior as run folders: interrupted and resumed, read again, refused."""

import re
import signal
from functools import partial

import pytest
import torch

from kws.decoding.transcribe import transcribe
from kws.errors import UsageError
from kws.inference.synthesizer import load_voice
from kws.inference.trained_prior import load_prior
from kws.inference.trained_recognizer import load_recognizer
from kws.models.coded_words import codec_like
from kws.training.checkpoint import load_model, read_checkpoint, weights_of
from kws.training.codec_run import codec_objective, level_of, measure_codec, new_codec
from kws.training.loop import begin, finish
from kws.training.prior_run import known_codec
from kws.training.voice_run import voice_objective
from tests.training.small_objectives import GENERATORS, SMALL, small_objective, small_recipe


@pytest.mark.parametrize("name", GENERATORS)
def test_a_resumed_run_ends_as_one_that_was_never_interrupted(tmp_path, monkeypatch, name):
    whole = begin(small_objective(name), tmp_path / "whole")
    finish(whole, progress=False)
    part = begin(small_objective(name), tmp_path / "part")
    draw = type(part.objective).batch

    def interrupted(objective, rows, step):
        if step == 2:
            signal.raise_signal(signal.SIGINT)
        return draw(objective, rows, step)

    monkeypatch.setattr(type(part.objective), "batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finish(part, progress=False)
    monkeypatch.undo()
    again = begin(small_objective(name), tmp_path / "part", resume=True)
    assert again.step == 3
    finish(again, progress=False)
    for file in ("history.jsonl", "recipe.toml"):
        assert (tmp_path / "part" / file).read_text() == (tmp_path / "whole" / file).read_text()
    one, other = (run.objective.model.state_dict() for run in (whole, again))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert len(whole.history) == 2
    assert whole.history.best == min(whole.history, key=lambda row: row["validation_loss"])
    with pytest.raises(UsageError, match="contains a run already"):
        begin(small_objective(name), tmp_path / "part")
    with pytest.raises(UsageError, match=r"train\.lr was 0\.002 when this run began"):
        begin(small_objective(name, "train.lr=1e-3"), tmp_path / "part", resume=True)


@pytest.fixture
def short_texts(monkeypatch):
    """An untrained recognizer does not stop by itself."""
    short = partial(transcribe, longest=7)
    monkeypatch.setattr("kws.training.recognizer_run.transcribe", short)


def weights(run) -> torch.Tensor:
    return torch.cat([w.flatten().double() for w in run.objective.model.state_dict().values()])


def trained(name, out, *settings):
    run = begin(small_objective(name, *settings), out)
    finish(run, progress=False)
    return run


@pytest.mark.usefixtures("short_texts")
@pytest.mark.parametrize("name", SMALL)
def test_every_objective_has_what_the_loop_has(tmp_path, name):
    saved = []
    plain = trained(name, tmp_path / "plain")
    assert all(row["gradient_norm"] > 0 for row in plain.history)
    half = trained(name, tmp_path / "half", "train.precision=bfloat16")
    assert not torch.equal(weights(plain), weights(half))

    averaged = begin(small_objective(name, "train.ema=0.9", "train.save_every=1"), tmp_path / "ema")
    real = averaged.save
    averaged.save = lambda: (saved.append(averaged.step), real())[1]  # type: ignore[method-assign]
    finish(averaged, progress=False)
    assert saved == [1, 2, 3, 4]
    assert torch.equal(weights(plain), weights(averaged)), "the training itself is the same"
    state = read_checkpoint(tmp_path / "ema" / "last.pt")
    kept, newest = weights_of(state), state["weights"]
    assert any(not torch.equal(kept[key], newest[key]) for key in newest)

    patient = trained(
        name, tmp_path / "patience", "train.patience=1", "train.lr=0", "train.validate_every=1"
    )
    assert patient.step < 4


@pytest.mark.usefixtures("short_texts")
@pytest.mark.parametrize("name", ["text-to-speech", "code-prior"])
def test_accumulation_equals_a_larger_batch(tmp_path, name):
    """Codebooks and batch statistics, which the other two have, follow each part."""
    same = ["train.optimizer=sgd", "model.dropout=0"]
    whole = trained(name, tmp_path / "whole", *same, "train.batch_size=4")
    parts = trained(name, tmp_path / "parts", *same, "train.batch_size=2", "train.accumulate=2")
    assert 0 < (weights(whole) - weights(parts)).abs().max() < 1e-6
    for one, other in zip(whole.history, parts.history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_a_voice_is_read_from_its_run_and_speaks(tmp_path):
    run = begin(small_objective("text-to-speech"), tmp_path / "voice")
    finish(run, progress=False)
    voice = load_voice(tmp_path / "voice")
    assert (voice.model.config.mean, voice.model.config.deviation) == (-4.5, 4.0)
    best = run.history.best["step"]
    mel = voice.mels(["water"])[0]
    assert mel.shape[1] == 7
    assert best in (2, 4)
    for read, messages in (
        (load_model, "this is a voice, not a keyword model or"),
        (load_recognizer, "this is a voice, not a speech recognizer"),
        (load_prior, "this is a voice, not a code prior"),
        (known_codec, "does not contain a codec"),
    ):
        arguments = (tmp_path,) if read is known_codec else ()
        with pytest.raises(UsageError, match=messages):
            read(tmp_path / "voice", *arguments)


def test_a_prior_holds_its_codec_and_draws_words(tmp_path):
    run = begin(small_objective("code-prior"), tmp_path / "prior")
    codec = {name: w.clone() for name, w in run.objective.model.codec.state_dict().items()}
    finish(run, progress=False)
    learned = run.objective.model.codec.state_dict()
    assert all(torch.equal(codec[name], learned[name]) for name in codec), "it does not learn"
    prior = load_prior(tmp_path / "prior")
    generator = torch.Generator().manual_seed(0)
    mel = prior.draw(["yes", "no", "yes"], top_k=3, generator=generator)
    assert mel.shape == (3, 16, 5)
    codes = prior.known.codec.encode((mel - level_of(5).mean) / level_of(5).std)
    assert codes.shape == (3, 4)
    for wrong, messages in (
        (["yse"], "did you mean 'yes'"),
        (["jukebox"], "choose one of backward"),
    ):
        with pytest.raises(UsageError, match=messages):
            prior.draw(wrong)
    with pytest.raises(UsageError, match="this is a code prior, not"):
        load_model(tmp_path / "prior")
    with pytest.raises(UsageError, match="this is a code prior, not a voice"):
        load_voice(tmp_path / "prior")
    again = known_codec(None, tmp_path / "prior", resume=True)
    assert torch.equal(again.codec.codebook.vectors, prior.known.codec.codebook.vectors)


def test_a_codec_is_built_again_from_its_weights_and_measured():
    codec = new_codec(small_recipe("codec")).eval()
    same, mel = codec_like(codec.state_dict()).eval(), torch.randn(2, 8, 5)
    torch.testing.assert_close(same(mel)[0], codec(mel)[0], rtol=0, atol=0)
    for wrong in ({}, {"encoder.0.weight": torch.ones(3), "codebook.vectors": torch.ones(2, 2)}):
        with pytest.raises(RuntimeError):
            codec_like(wrong)
    codec = small_objective("codec").model.eval()
    codec.codebook.vectors.fill_(100.0)
    codec.codebook.vectors[4] = 0.0
    found = measure_codec(codec, torch.randn(3, 12, 5))
    assert (found["codes_in_use"], found["code_perplexity"]) == (1, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("name", "setting", "messages"),
    [
        ("codec", "model.num_codes=1", "codec: num_codes=1 encodes nothing"),
        ("codec", "model.num_code=9", "no setting 'num_code' (did you mean 'num_codes'?)"),
        ("codec", "model.width=0", "model.width expects a whole number from 1"),
        ("codec", "features.window=200", "features.window has no effect"),
        ("codec", "augment.time_masks=1", "augment.time_masks has no effect"),
        ("codec", "train.margin=0.9", "train.margin has no effect"),
        ("codec", "model.name=crnn", "model.name=crnn is not a codec: use codec"),
        ("codec", "data.task=speech", "data.task=speech is not codec"),
        ("text-to-speech", "model.num_heads=5", "fastspeech: "),
        ("text-to-speech", "data.protocol=v1-12", "data.protocol has no effect"),
    ],
)
def test_settings_that_fit_nothing_are_one_sentence(name, setting, messages):
    start = {"codec": codec_objective, "text-to-speech": voice_objective}[name]
    with pytest.raises(UsageError, match=re.escape(messages)):
        start(small_recipe(name, "data.spoken=4", setting), torch.device("cpu"))


def test_a_training_without_what_it_needs_is_one_sentence(tmp_path):
    voice = small_recipe("text-to-speech", "data.spoken=2")
    with pytest.raises(UsageError, match=r"give the run of one, kws train codec, with --init"):
        known_codec(None, tmp_path)
    with pytest.raises(UsageError, match=r"data\.spoken=2 phrases are fewer than train\.batch_si"):
        voice_objective(voice, torch.device("cpu"))
