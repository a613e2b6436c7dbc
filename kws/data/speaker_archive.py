"""The required content of an archive of the speaker homework, checked before use.

Source: HW4 of the machine learning course of National Taiwan University, 2022 and 2023: four parts
of one tar.gz, whose folder `Dataset` holds the features of 600 speakers.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from kws.data.features_file import read_features
from kws.data.speaker_layout import (
    MAPPING,
    METADATA,
    TESTDATA,
    read_mapping,
    read_metadata,
    read_testdata,
)
from kws.errors import UsageError

LOOKED_INTO = 20  # feature files that are read; training reads them all


@dataclass(frozen=True)
class SpeakerCounts:
    speakers: int
    labeled: int
    test: int
    n_mels: int

    def __str__(self) -> str:
        return (
            f"{self.speakers:,} speakers, {self.labeled:,} labeled and {self.test:,} test "
            f"utterances of {self.n_mels} mel bands"
        )


def content_folder(unpacked: Path) -> Path:
    """The folder with metadata.json: `unpacked`, or the one folder in it."""
    inner = [path for path in sorted(unpacked.iterdir()) if path.is_dir()]
    found = [folder for folder in (unpacked, *inner) if (folder / METADATA).is_file()]
    if len(found) != 1:
        raise UsageError(f"it contains {METADATA} {len(found)} times, expected once")
    return found[0]


def check_content(folder: Path, expected: SpeakerCounts) -> None:
    """UsageError unless every feature file is there, and a few of them are as they must be."""
    try:
        speakers = read_mapping(folder / MAPPING)
        n_mels, labeled = read_metadata(folder / METADATA, speakers)
        test = read_testdata(folder / TESTDATA, n_mels)
        found = SpeakerCounts(len(speakers), len(labeled), len(test), n_mels)
        if found != expected:
            raise UsageError(f"it contains {found}, expected {expected}")
        utterances = sorted(labeled + test, key=lambda utterance: utterance.name)
        named = {utterance.name for utterance in utterances}
        if len(named) < len(utterances):
            raise UsageError(f"{len(utterances) - len(named):,} utterances are named twice")
        there = {path.name for path in folder.glob("uttr-*.pt")}
        if missing := named - there:
            raise UsageError(
                f"{len(missing):,} of its {len(named):,} feature files are missing, "
                f"{min(missing)} for one"
            )
        for utterance in utterances[:: max(len(utterances) // LOOKED_INTO, 1)]:
            frames = len(read_features(folder / utterance.name, n_mels))
            if frames != utterance.mel_len:
                raise UsageError(
                    f"{utterance.name} has {frames} frames where its mel_len says "
                    f"{utterance.mel_len}"
                )
    except UsageError as error:  # the folder is temporary: its name would lead nowhere
        raise UsageError(str(error).replace(f"{folder}{os.sep}", "")) from None
