"""The training and the validation split that a recipe asks of a folder."""

from pathlib import Path

from kws.data.speakers import load_speakers
from kws.data.speech_commands import load_speech_commands
from kws.training.batches import Split
from kws.training.recipe import Recipe


def load_splits(recipe: Recipe, folder: str | Path, resample: bool = False) -> tuple[Split, Split]:
    """Both splits of `folder`, as the recipe reads it; errors are those of the two readers."""
    data = recipe.data
    if data.task == "speakers":
        speakers = load_speakers(
            folder, validation=data.validation, seed=data.seed, compat=data.compat
        )
        return speakers.train, speakers.validation
    training, validation = (
        load_speech_commands(
            folder,
            data.protocol,
            split,
            seed=data.seed,
            test_silence=data.test_silence,
            resample=resample,
            unknown=data.unknown,
        )
        for split in ("training", "validation")
    )
    return training, validation
