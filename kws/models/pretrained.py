"""wav2vec 2.0 and AST, two large pretrained models of transformers, in our interface.

Each brings a front end of its own, so both read waveforms (`features.kind = "waveform"`), all of
one length. Their weights are random until `load_pretrained` takes published ones from a folder or,
by name, from the hub that transformers asks. Extra: `pip install '.[pretrained]'`.

Sources: Baevski et al. 2020, "wav2vec 2.0" (https://arxiv.org/abs/2006.11477); Gong et al. 2021,
"AST: Audio Spectrogram Transformer" (https://arxiv.org/abs/2104.01778).

Shape letters: B batch   N samples   T frames   F mel bands   P tokens   D model width   C classes
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
import torchaudio
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.audio.recordings import SAMPLE_RATE
from kws.errors import UsageError
from kws.settings import Finite, Layers, Size

FBANK_MELS, FBANK_FRAMES = 128, 128  # AST on clips of one second: 98 frames, filled up
FBANK_MEAN, FBANK_STD = -4.2677393, 4.5689974  # of AudioSet, by which AST's weights were trained
PATCH, STRIDE = 16, 10
WINDOW, HOP, FFT, PREEMPHASIS = 400, 160, 512, 0.97


@dataclass(frozen=True, kw_only=True)
class PretrainedConfig:
    """Settings that both models have; the defaults are those of the published base models."""

    num_features: Size = 1  # samples are features of size one
    num_classes: Size = 12
    d_model: Size = 768
    num_heads: Size = 12
    num_layers: Layers = 12
    d_ff: Size = 3072
    dropout: Finite = 0.0


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2Config(PretrainedConfig):
    """Settings of `Wav2Vec2`."""

    d_front: Size = 512  # channels of the convolutions that read the waveform
    dropout: Finite = 0.1
    freeze_front: bool = True  # these convolutions keep their weights, as is usual


@dataclass(frozen=True, kw_only=True)
class AstConfig(PretrainedConfig):
    """Settings of `Ast`."""


ENCODER_SIZES = {  # what transformers calls them -> what they are called here
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "intermediate_size": "d_ff",
}


def encoder_sizes(config: PretrainedConfig) -> dict[str, int]:
    """The sizes of the Transformer, by their names in transformers."""
    return {theirs: getattr(config, ours) for theirs, ours in ENCODER_SIZES.items()}


class Pretrained(nn.Module):
    """A backbone of transformers and a linear classifier."""

    kind: ClassVar[str]  # what transformers calls the backbone
    # settings that weights have to agree on: name in transformers -> name here
    sizes: ClassVar[Mapping[str, str]]
    backbone: Any

    def load_pretrained(self, where: str) -> None:
        """Load weights from a folder or the hub of transformers. UsageError: none fit."""
        transformers = _transformers()
        cure = "name a folder with config.json and model.safetensors, or a model of the hub"
        was = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()
        try:
            config = transformers.AutoConfig.from_pretrained(where)
            self._require(config, where)
            source, report = type(self.backbone).from_pretrained(where, output_loading_info=True)
        except UsageError:
            raise
        except Exception as error:  # unreadable files and networks raise nearly anything
            why = str(error).strip().partition("\n")[0]
            raise UsageError(
                f"{where}: no weights of {self.kind} are there ({why}): {cure}"
            ) from None
        finally:
            transformers.logging.set_verbosity(was)
        if absent := sorted(report["missing_keys"]):
            raise UsageError(f"{where}: {absent[0]} is missing from the weights: {cure}")
        self.backbone.load_state_dict(self._fitted(source.state_dict()))

    def _require(self, config: Any, where: str) -> None:
        if config.model_type != self.kind:
            raise UsageError(
                f"{where} contains {config.model_type}, and the recipe's model is {self.kind}: "
                "name the folder of another model"
            )
        for theirs, ours in self.sizes.items():
            there, here = getattr(config, theirs), getattr(self.backbone.config, theirs)
            there = there[0] if isinstance(there, (list, tuple)) else there
            here = here[0] if isinstance(here, (list, tuple)) else here
            if there != here:
                raise UsageError(
                    f"{where}: {theirs} is {there} there, and model.{ours}={here} in the recipe: "
                    f"set model.{ours}={there}"
                )

    def _fitted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights in the shapes that this model has."""
        return state


class Wav2Vec2(Pretrained):
    """wav2vec 2.0: convolutions to 49 frames a second, Transformer, mean over time, classifier."""

    kind = "wav2vec2"
    sizes: ClassVar[Mapping[str, str]] = {**ENCODER_SIZES, "conv_dim": "d_front"}

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        transformers = _transformers()
        self.backbone = transformers.Wav2Vec2Model(
            transformers.Wav2Vec2Config(
                **encoder_sizes(config),
                conv_dim=(config.d_front,) * 7,
                hidden_dropout=config.dropout,
                attention_dropout=config.dropout,
                feat_proj_dropout=config.dropout,
                activation_dropout=0.0,
                layerdrop=0.0,
                apply_spec_augment=False,  # its masks would follow no seed of ours
            )
        )
        self.backbone.feature_extractor.requires_grad_(not config.freeze_front)
        self.classifier = nn.Linear(config.d_model, config.num_classes)

    def forward(
        self, waveform: Float[Tensor, "B N 1"], valid: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits of clips that are equally long: each is brought to mean 0 and variance 1."""
        _refuse_padding(valid)
        samples = F.layer_norm(waveform[..., 0], waveform.shape[1:2], eps=1e-7)
        return self.classifier(self.backbone(samples).last_hidden_state.mean(dim=1))


class Ast(Pretrained):
    """AST: a Transformer over 16 x 16 patches of a Kaldi filter bank, and its two tokens' mean."""

    kind = "audio-spectrogram-transformer"
    sizes: ClassVar[Mapping[str, str]] = ENCODER_SIZES

    def __init__(self, config: AstConfig):
        super().__init__()
        transformers = _transformers()
        self.backbone = transformers.ASTModel(
            transformers.ASTConfig(
                **encoder_sizes(config),
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                max_length=FBANK_FRAMES,
                num_mel_bins=FBANK_MELS,
                patch_size=PATCH,
                time_stride=STRIDE,
                frequency_stride=STRIDE,
            )
        )
        self.norm = nn.LayerNorm(config.d_model)
        self.classifier = nn.Linear(config.d_model, config.num_classes)

    def forward(
        self, waveform: Float[Tensor, "B N 1"], valid: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits of clips that are equally long, of at most 1.295 s; what is longer is cut off."""
        _refuse_padding(valid)
        mel = kaldi_fbank(waveform[..., 0])[:, :FBANK_FRAMES]
        mel = F.pad(mel, (0, 0, 0, FBANK_FRAMES - mel.shape[1]))
        mel = (mel - FBANK_MEAN) / (2 * FBANK_STD)
        return self.classifier(self.norm(self.backbone(mel).pooler_output))

    def _fitted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        key = "embeddings.position_embeddings"
        length = self.backbone.state_dict()[key].shape[1]
        return {**state, key: fit_positions(state[key], length)}


def fit_positions(positions: Float[Tensor, "1 P D"], length: int) -> Float[Tensor, "1 length D"]:
    """AST's positions for clips of another length: cut from the middle, or stretched, in time.

    The first two belong to the two tokens that are read, and stay. The others are a grid, band by
    band: where the new one is shorter its middle is taken, else it is interpolated, as published.
    """
    bands = (FBANK_MELS - PATCH) // STRIDE + 1
    own, grid = positions[:, :2], positions[:, 2:]
    grid = grid.unflatten(1, (bands, -1)).permute(0, 3, 1, 2)  # (1, D, bands, time)
    here, wanted = grid.shape[-1], (length - 2) // bands
    if wanted <= here:
        start = (here - wanted) // 2
        grid = grid[..., start : start + wanted]
    else:
        grid = F.interpolate(grid, size=(bands, wanted), mode="bilinear", align_corners=False)
    return torch.cat([own, grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def kaldi_fbank(waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T 128"]:
    """Kaldi's log-mels, no dither, whole frames. Parity: `torchaudio.compliance.kaldi.fbank`."""
    frames = waveform.unfold(1, WINDOW, HOP)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    window = torch.hann_window(WINDOW, periodic=False, dtype=frames.dtype, device=frames.device)
    spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * window, FFT)
    banks, _ = torchaudio.compliance.kaldi.get_mel_banks(
        FBANK_MELS, FFT, SAMPLE_RATE, 20.0, 0.0, 100.0, -500.0, 1.0
    )
    banks = F.pad(banks, (0, 1)).to(frames)  # the Nyquist frequency is in no band
    mel = spectrum.abs().square() @ banks.T
    return mel.clamp(min=torch.finfo(torch.float32).eps).log()


def _refuse_padding(valid: Tensor | None) -> None:
    if valid is not None and not valid.all():
        raise ValueError("this model was made for clips of one length: it cannot leave padding out")


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise UsageError(
            "wav2vec 2.0 and AST need transformers: run pip install '.[pretrained]' in the "
            "folder of kws"
        ) from None
