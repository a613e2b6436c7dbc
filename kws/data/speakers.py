"""Read speaker features in the homework's layout, and divide them for training and validation.

Source: HW4 of the machine learning course of National Taiwan University, 2021-2023. Its sample code
divides utterances whoever speaks; here the same share of every speaker is held out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kws.data.features_file import read_features
from kws.data.frames import FrameSplit
from kws.data.listing import require_folder
from kws.data.packed import PackedFrames, pack_frames
from kws.data.speaker_layout import (
    MAPPING,
    METADATA,
    TEST_LABELS,
    TESTDATA,
    Utterance,
    read_answers,
    read_mapping,
    read_metadata,
    read_testdata,
)
from kws.errors import UsageError


@dataclass(frozen=True, kw_only=True, eq=False)
class SpeakerData:
    """The three splits; `test` is None without testdata.json. `speakers` are the labels."""

    train: FrameSplit
    validation: FrameSplit
    test: FrameSplit | None
    speakers: tuple[str, ...]


def load_speakers(folder: str | Path, *, validation: float = 0.1, seed: int = 0) -> SpeakerData:
    """The data in `folder`; the first reading packs it.

    `validation` is the share of each speaker's utterances that is held out (rounded, at least one
    of two); `seed` draws them.

    Raises UsageError that names the file for JSON that cannot be read or has another structure, a
    speaker without a number, a feature file that is missing, damaged, a git-LFS pointer, not a
    plain tensor, of another width or length than stated, or that holds NaN or infinity.
    """
    folder = require_folder(folder)
    if not 0 <= validation < 1:
        raise UsageError(f"validation={validation}: give a share from 0 up to, not including, 1")
    speakers = read_mapping(folder / MAPPING)
    n_mels, labeled = read_metadata(folder / METADATA, speakers)
    tested = None
    if (folder / TESTDATA).exists():
        tested = read_testdata(folder / TESTDATA, n_mels)
        tested = read_answers(folder / TEST_LABELS, tested, speakers)
    packed = _pack(folder, labeled + (tested or []), n_mels)

    train, held_out = _divide([utterance.speaker for utterance in labeled], validation, seed)

    def split(name: str, rows: Tensor, utterances: list[Utterance]) -> FrameSplit:
        offsets = torch.from_numpy(packed.offsets)
        return FrameSplit(
            packed=packed,
            begins=offsets[rows],
            lengths=offsets[rows + 1] - offsets[rows],
            labels=torch.tensor([utterance.speaker for utterance in utterances]).long(),
            names=[utterance.name for utterance in utterances],
            label_names=speakers,
            split=name,
        )

    test_rows = torch.arange(len(labeled), len(packed))
    return SpeakerData(
        train=split("training", train, [labeled[row] for row in train.tolist()]),
        validation=split("validation", held_out, [labeled[row] for row in held_out.tolist()]),
        test=None if tested is None else split("testing", test_rows, tested),
        speakers=speakers,
    )


def _divide(speakers: list[int], validation: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows for training and for validation, ascending: the same share of every speaker."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor(speakers)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for speaker in sorted(set(speakers)):
        rows = (labels == speaker).nonzero()[:, 0]
        order = rows[torch.randperm(len(rows), generator=generator)]
        if validation and len(rows) > 1:
            count = min(max(1, int(len(rows) * validation + 0.5)), len(rows) - 1)
            held_out[order[:count]] = True
    return (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]


def _pack(folder: Path, utterances: list[Utterance], n_mels: int) -> PackedFrames:
    names = [utterance.name for utterance in utterances]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{folder}: {METADATA} and {TESTDATA} name {twice} twice: make them again")
    for name in names:
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder / name}: no such file, although {METADATA} or {TESTDATA} names it: "
                "copy or download it again"
            )
    packed = pack_frames(folder, names, lambda path: read_features(path, n_mels), n_mels)
    found, stated = np.diff(packed.offsets), [utterance.mel_len for utterance in utterances]
    if len(wrong := np.flatnonzero(found != stated)):
        row = wrong[0]
        raise UsageError(
            f"{folder / names[row]}: {found[row]} frames where its mel_len says {stated[row]}: "
            "make the features again"
        )
    return packed
