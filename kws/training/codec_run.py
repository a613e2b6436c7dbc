"""The objective of a codec: to reconstruct log-mels of clean words by four voices.

    run = begin(codec_objective(load_recipe("codec"), choose_device()), "runs/codec")
    finish(run)

The words are those of assignment 9. Features are normalized by one mean and deviation for all
bands, so that they can be inverted to audio; a checkpoint has no labels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.audio.features import log_mel
from kws.audio.normalize import Normalizer
from kws.data.embedded.clean_words import clean_words
from kws.device import device_of
from kws.models.codebook import perplexity
from kws.models.codec import STRIDE, Codec
from kws.models.generators import build_generator
from kws.training.batches import generator_for
from kws.training.distributed import Team
from kws.training.history import Row
from kws.training.objective import Batch, Objective, fresh_weights, require_task
from kws.training.recipe import Recipe

PROTOCOL = "codec"
TAKES, HELD_OUT = 30, 4  # of training, by default; of validation and of testing
SHIFT = 8  # frames that a clip is moved by, at most, to either side
MEAN, DEVIATION = -4.5, 4.0  # of all log-mels of clean words
BATCH = 256  # clips evaluated together


@dataclass(frozen=True, kw_only=True, eq=False)
class CodecObjective(Objective):
    """A codec that learns to reconstruct mels (n, T, F)."""

    loss_name: str = "mean squared error"
    model: Codec
    train: Float[Tensor, "n T F"]
    validation: Float[Tensor, "m T F"]

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, rows: Tensor, step: int) -> Batch:
        generator = generator_for(self.recipe.train.seed, "augmentation", step)
        shift = int(torch.randint(-SHIFT, SHIFT + 1, (), generator=generator))
        return (self.train[rows].roll(shift, dims=1),)

    def loss(self, part: Batch, whole: Batch) -> dict[str, Tensor]:
        mel = part[0].to(self.device)
        again, _, commitment = self.model(mel)
        error = F.mse_loss(again.float(), mel) + commitment
        return {"loss": error * (len(part[0]) / len(whole[0]))}

    def measure(self, model: nn.Module, team: Team) -> dict[str, float]:
        """The mean squared error of decoded clips, in deviations squared, and the codes in use."""
        assert isinstance(model, Codec)
        return measure_codec(model, self.validation)

    def describe(self, row: Row) -> str:
        error, n = row["validation_loss"], len(self.validation)
        used = f"{row['codes_in_use']} codes in use, perplexity {row['code_perplexity']:.1f}"
        return f"mean squared error: {error:.3f}, {used} ({n:,} clips)"


def codec_objective(
    recipe: Recipe, device: torch.device, *, progress: bool = True
) -> CodecObjective:
    """A codec with fresh weights, and clips; UsageError for a recipe of something else."""
    require_task(recipe, PROTOCOL, "codec")
    with fresh_weights(recipe):
        model = new_codec(recipe)
    n_mels, takes, seed = recipe.features.n_mels, recipe.data.spoken or TAKES, recipe.data.seed
    normalizer = level_of(n_mels)
    train, _ = spoken_words(f"training {seed}", takes, normalizer, progress=progress)
    validation, _ = spoken_words("validation", HELD_OUT, normalizer, progress=progress)
    return CodecObjective(
        recipe=recipe,
        model=model.to(device),
        labels=[],
        protocol=PROTOCOL,
        normalizer=normalizer,
        data=f"{takes} takes, seed {seed}",
        train=train,
        validation=validation,
    )


def new_codec(recipe: Recipe) -> Codec:
    """The recipe's codec, weights from torch's global generator; UsageError for another model."""
    name, options = recipe.model.name, recipe.model.options
    return build_generator(Codec, name, options, n_mels=recipe.features.n_mels)


def level_of(n_mels: int) -> Normalizer:
    """One mean and one deviation for all bands."""
    mean, deviation = (torch.full((n_mels,), value) for value in (MEAN, DEVIATION))
    return Normalizer(kind="dataset", mean=mean, std=deviation)


def spoken_words(
    seed: str, takes: int, normalizer: Normalizer, *, progress: bool = True
) -> tuple[Float[Tensor, "n T F"], Int[Tensor, "n"]]:
    """Clean words as a codec reads them, T a multiple of its stride; and which word each is."""
    assert normalizer.mean is not None
    waveforms, labels = clean_words(takes, seed=seed, progress=progress)
    n_mels = len(normalizer.mean)
    mel = torch.cat([normalizer(log_mel(few, n_mels=n_mels)) for few in waveforms.split(BATCH)])
    return mel[:, : mel.shape[1] // STRIDE * STRIDE], labels


@torch.inference_mode()
def encode_clips(codec: Codec, mel: Float[Tensor, "n T F"]) -> Int[Tensor, "n t"]:
    """Encode log-mels to codes on the CPU."""
    place = device_of(codec)
    return torch.cat([codec.encode(few.to(place)).cpu() for few in mel.split(BATCH)])


@torch.inference_mode()
def decode_clips(codec: Codec, codes: Int[Tensor, "n t"]) -> Float[Tensor, "n T F"]:
    """Decode codes to log-mels on the CPU."""
    place = device_of(codec)
    return torch.cat([codec.decode(few.to(place)).cpu() for few in codes.split(BATCH)])


def measure_codec(codec: Codec, mel: Float[Tensor, "n T F"]) -> dict[str, float]:
    """validation_loss: mean squared error of decoded clips; codes_in_use, and their perplexity."""
    codes = encode_clips(codec.eval(), mel)
    counts = codes.flatten().bincount(minlength=len(codec.codebook.vectors))
    return {
        "validation_loss": F.mse_loss(decode_clips(codec, codes), mel).item(),
        "codes_in_use": int((counts > 0).sum()),
        "code_perplexity": perplexity(counts.double()).item(),
    }
