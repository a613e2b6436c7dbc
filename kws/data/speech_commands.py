"""Read Speech Commands, or any folder in its layout, as splits of a protocol.

Source: Warden 2018, https://arxiv.org/abs/1804.03209. Layouts: `kws.data.listing`. The first
reading packs the folder (`kws.data.packed`); later ones take a fraction of a second.

Silence. In training it is a crop of the background recordings at a volume drawn from U(0, 1), and
digital zeros for every fifth clip. In validation and testing it is either convention: "noise",
crops at full volume, as in the official test archives, or "zeros", as in TensorFlow's pipeline.
Each split has its own part of every background recording (the first 80 %, the next 10 %, the last
10 %), so that no test silence is in the training data.

Shape letters: M samples of noise   n clips
"""

from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kws.audio.recordings import CLIP_SAMPLES, read_audio
from kws.data import own_words
from kws.data.clips import ClipSplit
from kws.data.extra_clips import unknown_count
from kws.data.listing import (
    NOISE_FOLDER,
    SILENCE_FOLDER,
    Choice,
    Listing,
    audio_files,
    check_listing,
    choose,
    has_word_folders,
    read_listing,
    require_folder,
)
from kws.data.packed import PackedClips, pack_clips
from kws.data.protocols import SPLITS, Protocol, get_protocol
from kws.errors import UsageError, did_you_mean

NOISE_SHARE = {"training": (0.0, 0.8), "validation": (0.8, 0.9), "testing": (0.9, 1.0)}
LONGER = "recordings are longer than 1 s: only their first second is used"
ZEROS_EVERY = 5  # training silence: one clip in five is digital zeros, as in TensorFlow's pipeline


def load_speech_commands(
    folder: str | Path,
    protocol: str | Protocol,
    split: str,
    *,
    seed: int = 0,
    test_silence: str = "noise",
    resample: bool = False,
    unknown: Literal["protocol", "all"] | int = "protocol",
    partial: bool = False,
    spare_words: int = 0,
    spare_talk: int = 0,
    final: bool = False,
) -> ClipSplit:
    """One split of the recordings in `folder` under `protocol`.

    `seed` chooses the unknown clips and the crops of silence; `test_silence`, "noise" or "zeros",
    is the convention of validation and testing; `resample=True` converts recordings that are not
    16 kHz mono. `unknown` is how many clips of other words there are: as many as the protocol says,
    or "all" of every split, which is another test; or a number, which rules training alone.
    `partial=True` reads what is there of a folder whose lists name more. `spare_words` clips of
    other words by embedded voices and `spare_talk` seconds of their sentences are added to
    training. With `final` the clips of validation and testing are in training, too.

    Under a protocol of somebody's own words a folder may lack other words, background recordings
    and a hash that fills every split: see `kws.data.own_words`.

    Raises UsageError, with the file or argument named, for a folder that is missing, empty, in
    another layout or of another archive, for lists that name what is not there, for words without
    a label, for recordings that cannot be read, and where an official archive's counts differ from
    the protocol's.
    """
    if isinstance(protocol, str):
        protocol = get_protocol(protocol)
    if split not in SPLITS:
        raise UsageError(
            f"split={split!r}{did_you_mean(split, SPLITS)}: choose one of {', '.join(SPLITS)}"
        )
    if test_silence not in ("noise", "zeros"):
        raise UsageError(f"test_silence={test_silence!r}: choose 'noise' or 'zeros'")
    listing = read_listing(folder, partial=partial)
    if protocol.is_own:
        check_listing(listing, protocol)
        listing = own_words.divide(listing, protocol.words)
    check_listing(listing, protocol)
    if final and split == "training":
        note = "trained on every clip: nothing is held out, and its accuracy is that on known clips"
        listing = replace(listing, splits=[split] * len(listing.names)).noted(note)
    if listing.is_test_archive and split != "testing":
        raise UsageError(
            f"{folder}: a test archive has no {split} clips: give the extracted training archive"
        )
    if unknown != "protocol" and protocol.unknown_label is None:
        raise UsageError(
            f"unknown={unknown}: protocol {protocol.name} has no class for other words: leave it "
            "out, or choose a 12-class protocol"
        )
    here = unknown if split == "training" or unknown == "all" else "protocol"
    choice = choose(listing, protocol, split, seed, here)
    if not len(choice):
        raise UsageError(f"{folder}: {split} has no clips under {protocol.name}: check the lists")
    clips = pack_clips(listing.root, listing.names, resample=resample)
    noise, lengths = read_noise(listing.root, split, resample=resample)
    if protocol.is_own and not len(noise):
        listing = listing.noted(f"no {NOISE_FOLDER}: noise of the embedded corpus instead")
        noise, lengths = read_noise(own_words.spare_corpus(), split)
    count, talk = (spare_words, spare_talk) if split == "training" else (0, 0)
    missing = protocol.unknown_label not in choice.labels
    if protocol.is_own and not count and (missing or (split == "training" and here == "all")):
        wanted = sum(label in protocol.words for label in choice.labels)
        count = unknown_count(protocol, wanted)
        if here != "protocol":
            count = None if here == "all" else here
    if count != 0 or talk:
        choice, clips, note = own_words.with_spare_words(
            choice, clips, protocol, split, count, seed, talk
        )
        listing = listing.noted(note)
    made = _split(listing, choice, clips, noise, lengths, protocol, split, seed, test_silence)
    return replace(made, all_unknown=unknown == "all")


def _split(
    listing: Listing,
    choice: Choice,
    clips: PackedClips,
    noise: Tensor,
    noise_lengths: list[int],
    protocol: Protocol,
    split: str,
    seed: int,
    test_silence: str,
) -> ClipSplit:
    generator = torch.Generator().manual_seed(len(SPLITS) * seed + SPLITS.index(split))
    made, n = choice.made_silence, len(choice)
    rows = torch.tensor(choice.rows + [-1] * made)
    names = [clips.names[row] for row in choice.rows]
    names += [f"{SILENCE_FOLDER}/made_{i:05d}" for i in range(made)]
    label_index = {label: index for index, label in enumerate(protocol.labels)}
    silence_index = label_index.get(protocol.silence_label or "", -1)
    labels = torch.tensor([label_index[label] for label in choice.labels] + [silence_index] * made)

    notes = []
    start, gain = torch.full((n,), -1), torch.ones(n)
    is_silence = labels == silence_index
    if not is_silence.any():
        silence = "none"
    elif split != "training" and test_silence == "zeros":
        silence = "zeros"
        rows[is_silence] = -1
    elif not made:
        silence = "clips"
    elif not len(noise):
        silence = "zeros"
        notes.append(f"{listing.root} has no {NOISE_FOLDER}: silence is digital zeros")
    else:
        silence = "noise"
        start[-made:] = draw_starts(noise_lengths, made, generator)
        if split == "training":
            gain[-made:] = torch.rand(made, generator=generator)
            start[n - made :: ZEROS_EVERY] = -1
    notes += [*listing.notes, *_notes(listing, choice, clips, protocol)]
    return ClipSplit(
        clips=clips,
        rows=rows,
        labels=labels,
        names=names,
        label_names=protocol.labels,
        noise=noise,
        silence_start=start,
        silence_gain=gain,
        protocol=protocol.name,
        split=split,
        silence=silence,
        notes=tuple(notes),
    )


def _notes(listing: Listing, choice: Choice, clips: PackedClips, protocol: Protocol) -> list[str]:
    notes = []
    if unused := sorted(set(protocol.left_out) & set(listing.words)):
        notes.append(f"{protocol.name} leaves {', '.join(unused)} out")
    if cut := int((clips.lengths[choice.rows] > CLIP_SAMPLES).sum()):
        notes.append(f"{cut} of {len(choice.rows):,} {LONGER}")
    unknown = choice.labels.count(protocol.unknown_label or "")
    wanted = sum(label in protocol.words for label in choice.labels)
    if unknown != (due := unknown_count(protocol, wanted)):
        only = "only " if unknown < due else ""
        notes.append(f"{only}{unknown:,} clips of other words where the rule asks for {due:,}")
    return notes


def read_noise(
    root: Path, split: str, *, resample: bool = False
) -> tuple[Float[Tensor, "M"], list[int]]:
    """This split's part of every background recording, repeated to fill a second; lengths."""
    folder = root / NOISE_FOLDER
    files = audio_files(folder) if folder.is_dir() else []
    low, high = NOISE_SHARE[split]
    parts = []
    for name in files:
        waveform = read_audio(folder / name, resample=resample)
        parts.append(waveform[round(low * len(waveform)) : round(high * len(waveform))].clone())
    noise = torch.cat([torch.empty(0), *parts])
    if not 0 < len(noise) < CLIP_SAMPLES:
        return noise, [len(part) for part in parts]
    noise = noise.repeat(-(-CLIP_SAMPLES // len(noise)))
    return noise, [len(noise)]


def draw_starts(lengths: list[int], count: int, generator: torch.Generator) -> Int[Tensor, "n"]:
    """`count` random starts of one-second crops that stay within one of the recordings.

    The recordings, `lengths` samples each, lie one after the other. Where none lasts a second, a
    crop may run from one into the next.
    """
    if max(lengths) < CLIP_SAMPLES:
        lengths = [sum(lengths)]
    choices = torch.tensor([max(0, length - CLIP_SAMPLES + 1) for length in lengths]).cumsum(0)
    drawn = torch.randint(int(choices[-1]), (count,), generator=generator)
    recording = torch.searchsorted(choices, drawn, right=True)
    begins = torch.tensor([0, *accumulate(lengths)])[recording]
    return begins + drawn - torch.cat([torch.zeros(1, dtype=torch.int64), choices])[recording]


def load_unlabeled(folder: str | Path, *, resample: bool = False) -> ClipSplit:
    """Every recording in `folder` or its `audio/`, sorted, without labels; UsageError for none."""
    root = require_folder(folder)
    if not audio_files(root) and (root / "audio").is_dir():
        root = root / "audio"
    names = audio_files(root)
    if not names:
        hint = "it contains folders" if has_word_folders(root) else "it is empty"
        raise UsageError(
            f"{folder}: no recordings directly in it ({hint}): give the folder with the files"
        )
    clips, n = pack_clips(root, names, resample=resample), len(names)
    cut = int((clips.lengths > CLIP_SAMPLES).sum())
    return ClipSplit(
        clips=clips,
        rows=torch.arange(n),
        labels=torch.full((n,), -1),
        names=names,
        label_names=(),
        noise=torch.empty(0),
        silence_start=torch.full((n,), -1),
        silence_gain=torch.ones(n),
        protocol="unlabeled",
        split="testing",
        silence="none",
        notes=(f"{cut} of {n:,} {LONGER}",) if cut else (),
    )
