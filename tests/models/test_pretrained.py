"""wav2vec 2.0 and AST: published weights come in whole, or are refused; training needs no more."""

import sys

import pytest
import torch
import torchaudio
import transformers

from kws.cli import run
from kws.errors import UsageError
from kws.models.pretrained import AstConfig, fit_positions, kaldi_fbank
from kws.models.registry import PRETRAINED, build_model

SMALL = {"num_heads": 2, "num_layers": 2, "d_ff": 12}
SIZES = {"wav2vec2": {**SMALL, "d_model": 32, "d_front": 4}, "ast": {**SMALL, "d_model": 8}}
SECOND = torch.arange(16_000) / 16_000


def settings(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def small(name: str, **overrides):
    return build_model(name, num_features=1, num_classes=3, **{**SIZES[name], **overrides}).eval()


@pytest.fixture(params=sorted(PRETRAINED))
def name(request) -> str:
    return request.param


@pytest.fixture
def published(name, tmp_path):
    """A folder as transformers writes it, and the backbone in it."""
    torch.manual_seed(5)
    backbone = small(name).backbone
    backbone.save_pretrained(tmp_path / "published")
    return tmp_path / "published", backbone


@pytest.fixture
def clips():
    """Two clips of a second, (2, 16000, 1)."""
    return torch.stack([(440 * SECOND).sin(), (90 * SECOND).sin() + 0.1])[..., None]


@pytest.mark.slow
def test_the_published_sizes():
    with torch.device("meta"):
        model = build_model("wav2vec2", num_features=1, num_classes=12)
    assert sum(p.numel() for p in model.backbone.parameters()) == 94_371_712


def test_published_weights_come_in_whole(name, published, clips):
    folder, backbone = published
    model = small(name)
    before = model(clips)
    model.load_pretrained(str(folder))
    assert not torch.allclose(model(clips), before)
    for key, value in backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[key], value), key


def test_an_example_s_logits_do_not_depend_on_others_and_padding_is_refused(name, clips):
    model = small(name)
    torch.testing.assert_close(model(clips)[:1], model(clips[:1]))
    for seconds in (0.6, 2.0):
        assert model(torch.randn(2, int(16_000 * seconds), 1)).isfinite().all()
    valid = torch.ones(2, 16_000, dtype=torch.bool)
    small(name)(clips, valid)
    valid[1, -1] = False
    with pytest.raises(ValueError, match="clips of one length"):
        small(name)(clips, valid)


def test_wav2vec2_does_not_hear_the_level_and_learns_convolutions_where_it_may(clips):
    model = small("wav2vec2")
    # its normalization adds an eps of 1e-7 to the variance, and float32 loses digits to the offset
    torch.testing.assert_close(model(0.1 * clips + 0.3), model(clips), atol=1e-4, rtol=1e-4)
    for freeze in (True, False):
        front = small("wav2vec2", freeze_front=freeze).backbone.feature_extractor
        assert {p.requires_grad for p in front.parameters()} == {not freeze}


def test_the_filter_bank_is_kaldi_s():
    waveform = torch.randn(2, 16_000) * torch.tensor([[1e-3], [1.0]])
    theirs = [
        torchaudio.compliance.kaldi.fbank(
            one[None], sample_frequency=16_000, window_type="hanning", num_mel_bins=128, dither=0.0
        )
        for one in waveform
    ]
    torch.testing.assert_close(kaldi_fbank(waveform), torch.stack(theirs))


@pytest.mark.parametrize(("here", "wanted", "first"), [(9, 5, 2.0), (5, 9, 0.0)])
def test_positions_are_cut_from_the_middle_or_stretched_in_time(here, wanted, first):
    time = torch.arange(float(here)).repeat(12)  # each position says where in time it is
    band = torch.arange(12.0).repeat_interleave(here)
    grid = torch.stack([time, band], dim=1)[None]
    fitted = fit_positions(torch.cat([torch.full((1, 2, 2), 7.0), grid], dim=1), 2 + 12 * wanted)
    assert (fitted[:, :2] == 7).all()
    time, band = fitted[0, 2:].T.unflatten(1, (12, wanted))
    assert torch.equal(band, torch.arange(12.0)[:, None].expand(12, wanted))
    assert time[0, 0] == first
    assert (time.diff(dim=1) >= 0).all()
    assert (time == time[:1]).all()
    positions = torch.randn(1, 2 + 12 * here, 4)
    assert torch.equal(fit_positions(positions, 2 + 12 * here), positions)


def test_weights_for_longer_clips_are_fitted(tmp_path):
    theirs, ours = transformers.ASTConfig(), AstConfig()
    sizes = (theirs.hidden_size, theirs.num_hidden_layers, theirs.intermediate_size)
    assert (ours.d_model, ours.num_layers, ours.d_ff) == sizes  # of the hub
    config = small("ast").backbone.config
    config.max_length = 1024
    longer = transformers.ASTModel(config)
    longer.save_pretrained(tmp_path)
    model = small("ast")
    model.load_pretrained(str(tmp_path))
    key = "embeddings.position_embeddings"
    theirs = longer.state_dict()[key][0, 2:].unflatten(0, (12, 101))
    ours = model.backbone.state_dict()[key][0, 2:].unflatten(0, (12, 12))
    assert torch.equal(ours, theirs[:, 44:56])


def test_weights_of_another_model_are_refused(name, published):
    (other,) = set(PRETRAINED) - {name}
    with pytest.raises(UsageError, match=r"contains .*, and the recipe's model is .*: name"):
        small(other).load_pretrained(str(published[0]))


@pytest.mark.parametrize("key", ["num_layers", "d_ff"])
def test_weights_of_another_size_are_refused_with_the_setting_that_fits(name, published, key):
    model = small(name, **{key: 6})
    with pytest.raises(UsageError, match=rf"set model\.{key}={SIZES[name][key]}$"):
        model.load_pretrained(str(published[0]))


def test_a_folder_without_weights_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=r"no weights of .* are there .*: name a folder"):
        small(name).load_pretrained(str(tmp_path))


def test_incomplete_weights_are_refused(name, published):
    folder, _ = published
    config = small(name).backbone.config
    config.num_hidden_layers = 1
    type(small(name).backbone)(config).save_pretrained(folder)
    config.num_hidden_layers = 2
    config.save_pretrained(folder)
    with pytest.raises(UsageError, match="is missing from the weights"):
        small(name).load_pretrained(str(folder))


def test_without_transformers_the_sentence_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[pretrained\]'"):
        small(name)


def test_features_have_to_be_what_the_model_reads(tiny_corpus, tmp_path, capsys):
    off = ["augment.mixup=0", "augment.tilt=0", "augment.warp_frequency=0"]
    for recipe, kind in (("keywords", "waveform"), ("keywords-ast", "log_mel")):
        where = ["--data", str(tiny_corpus), "--out", str(tmp_path / "run")]
        knobs = settings(f"features.kind={kind}", "data.protocol=embedded-12", *off)
        assert run(["train", recipe, *where, *knobs]) == 2
        assert "set features.kind=" in capsys.readouterr().err


def test_fine_tuning_evaluating_and_predicting_from_the_command_line(
    name, published, tiny_corpus, tmp_path, capsys
):
    sizes = [f"model.{key}={value}" for key, value in SIZES[name].items()]
    out, data = str(tmp_path / "run"), ["--data", str(tiny_corpus)]
    knobs = settings("train.total_steps=1", "data.protocol=embedded-12", *sizes)
    init = ["--init", str(published[0])]
    assert not run(["train", f"keywords-{name}", *data, "--out", out, *init, *knobs])
    assert not run(["evaluate", out, *data])
    clip = min(tiny_corpus.glob("yes/*.wav"))
    assert not run(["predict", str(clip), "--model", out])
    assert clip.name in capsys.readouterr().out
    assert run(["export", out, "--onnx"]) == 2
    assert "reads waveforms" in capsys.readouterr().err
