"""The splits of a folder for a recipe."""

from pathlib import Path

from kws.data.speakers import SpeakerData, load_speakers
from kws.data.speech_commands import load_speech_commands
from kws.training.batches import Split
from kws.training.recipe import Recipe


def load_splits(
    recipe: Recipe,
    folder: str | Path,
    resample: bool = False,
    partial: bool = False,
    final: bool = False,
) -> tuple[Split, Split]:
    """Training and validation split of `folder`; errors are those of the two readers.

    `partial` reads what is there of keywords whose lists name more; with `final` every clip of
    keywords is for training, those of validation and testing too.
    """
    data = recipe.data
    if data.task == "speakers":
        speakers = load_speaker_data(recipe, folder)
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
            partial=partial,
            spare_words=data.spare_words,
            spare_talk=data.spare_talk,
            final=final,
        )
        for split in ("training", "validation")
    )
    return training, validation


def load_speaker_data(recipe: Recipe, folder: str | Path) -> SpeakerData:
    """All splits of a folder of speakers, as the recipe divides it."""
    return load_speakers(folder, validation=recipe.data.validation, seed=recipe.data.seed)
