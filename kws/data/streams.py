"""Long recordings with words in them, made from clips, and the truth about where the words are.

    OUT/stream-00.flac …    words and other words, noise that changes, and silence between
    OUT/truth.csv           file,start,end,word,ratio,clip: seconds, the folder that the clip came
                            from, dB from the clip's power down to the noise's, empty over silence,
                            and which clip; none comes twice before all have come once
    OUT/stream.json         what it was made of

Source of the idea: TensorFlow's speech_commands/generate_streaming_test_wav, which lays clips over
background noise and writes where. Here the gaps are random, the level of the noise changes from
passage to passage, and some passages are digital silence between the words.

Shape letters: N samples
"""

import csv
import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE, read_audio, to_int16
from kws.data.listing import SILENCE_FOLDER, UNKNOWN_FOLDER, read_listing
from kws.data.speech_commands import read_noise
from kws.errors import UsageError
from kws.files import atomic_folder

TRUTH, ABOUT = "truth.csv", "stream.json"
COLUMNS, RATIO, CLIP = ("file", "start", "end", "word"), "ratio", "clip"
LONGEST_GAP = 4.0  # times the mean gap
PASSAGE = (5.0, 30.0)  # seconds: shortest and longest with one level of noise
QUIET_SHARE = 0.2  # of the passages: digital silence between the words
NOISE_DB = (-60.0, -38.0)  # root mean square of the noise, over full scale
SPEECH_DB = (-20.0, -6.0)  # peak of a word, whose root mean square is some 15 dB lower
FADE = SAMPLE_RATE // 100  # 10 ms at both ends of a clip, which has a noise floor of its own


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A word in a recording: from `start` to `end` seconds of `file`."""

    file: str
    start: float
    end: float
    word: str
    ratio: float | None = None  # dB, to the noise of the second in which the clip begins
    clip: str = ""  # where it is from; "" in a table without


def make_streams(
    out: str | Path,
    data: str | Path,
    *,
    words: Sequence[str],
    split: str = "testing",
    minutes: float = 60.0,
    files: int = 1,
    gap: float = 4.0,
    others: float = 0.5,
    seed: int = 0,
    resample: bool = False,
    partial: bool = False,
    progress: bool = True,
) -> Path:
    """Make `files` recordings of `minutes` each in the new folder `out`, from `split` of `data`.

    Args:
        out: folder to make.
        data: recordings in the layout of Speech Commands.
        words: the words to be found; clips in other folders are distractors.
        split: of the speakers, and of the background recordings.
        minutes: length of each recording.
        files: number of recordings.
        gap: mean seconds between two clips, at least half a second each time.
        others: share of the clips that are other words.
        seed: of every choice.
        resample: convert clips that are not 16 kHz mono.
        partial: lists may name clips that are not there.
        progress: show a bar on a terminal.

    Raises UsageError: numbers out of range, no clips, or a folder that is in use.
    """
    out = Path(out)
    if not minutes > 0 or files < 1 or not gap > 0 or not 0 <= others <= 1:
        raise UsageError(
            f"minutes={minutes:g}, files={files}, gap={gap:g} and others={others:g}: give minutes "
            "and gap above 0, files of at least 1 and others from 0 to 1"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: something is there already: choose a new folder, or remove it")
    listing = read_listing(data, partial=partial)
    wanted, other = [], []
    for name, own in zip(listing.names, listing.splits, strict=True):
        word = name.partition("/")[0]
        if own == split and word not in (SILENCE_FOLDER, UNKNOWN_FOLDER):
            (wanted if word in words else other).append(name)
    if not wanted and others < 1:
        raise UsageError(
            f"{data}: no {split} clips of {', '.join(words)}: choose other --words, or another "
            "--split"
        )
    if not other and others:
        raise UsageError(f"{data}: no {split} clips of other words: set --others 0")
    noise, lengths = read_noise(listing.root, split, resample=resample)
    about = {"data": str(data), "words": list(words), "split": split, "minutes": minutes}
    about |= {"files": files, "gap": gap, "others": others, "seed": seed}
    spoken: list[Spoken] = []
    drawn: Counter[str] = Counter()  # clips, how often
    with atomic_folder(out) as folder:
        for index in range(files):
            name = f"stream-{index:02d}.flac"
            rng = random.Random(f"{seed} {index}")
            placed = _place(rng, wanted, other, drawn, name, minutes, gap, others)
            title = f"{name} of {files}"
            bar = tqdm(placed, desc=title, unit=" clips", disable=None if progress else True)
            backdrop = passages(rng, noise, lengths)
            with soundfile.SoundFile(
                folder / name, "w", SAMPLE_RATE, 1, subtype="PCM_16", format="FLAC"
            ) as file:
                for block, words_here in _mix(rng, bar, backdrop, listing.root, minutes, resample):
                    file.write(to_int16(block))
                    spoken += words_here
        with (folder / TRUTH).open("w", newline="", encoding="utf-8") as table:
            writer = csv.writer(table)
            writer.writerow((*COLUMNS, RATIO, CLIP))
            for each in spoken:
                times = (f"{each.start:.3f}", f"{each.end:.3f}")
                ratio = "" if each.ratio is None else f"{each.ratio:.1f}"
                writer.writerow([each.file, *times, each.word, ratio, each.clip])
        (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return out


@dataclass(frozen=True)
class _Placed:
    file: str
    start: int  # samples
    clip: str


def _place(
    rng: random.Random,
    wanted: list[str],
    other: list[str],
    drawn: Counter[str],
    file: str,
    minutes: float,
    gap: float,
    others: float,
) -> list[_Placed]:
    """Which clip begins where: one at a time, with gaps of 0.5 s and more between them."""
    decks = {True: _deck(rng, other, drawn), False: _deck(rng, wanted, drawn)}
    placed, at = [], SAMPLE_RATE
    while True:
        beyond = min(rng.expovariate(1.0), LONGEST_GAP) * max(0.0, gap - 0.5)
        at += round(SAMPLE_RATE * (0.5 + beyond))
        if at + 3 * CLIP_SAMPLES > minutes * 60 * SAMPLE_RATE:
            return placed
        placed.append(_Placed(file, at, next(decks[rng.random() < others])))
        at += CLIP_SAMPLES


def _deck(rng: random.Random, names: list[str], drawn: Counter[str]) -> Iterator[str]:
    """All names in a random order, those first that were drawn least often, then all again."""
    while True:
        before = dict(drawn)
        for name in sorted(rng.sample(names, len(names)), key=lambda name: before.get(name, 0)):
            drawn[name] += 1
            yield name


def passages(
    rng: random.Random, noise: Float[Tensor, "M"], lengths: list[int]
) -> Iterator[Float[Tensor, "_"]]:
    """Seconds of background without end: recordings and levels follow each other."""
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    while True:
        seconds = round(rng.uniform(*PASSAGE))
        if not len(noise) or rng.random() < QUIET_SHARE:
            yield from (torch.zeros(SAMPLE_RATE) for _ in range(seconds))
            continue
        which = rng.randrange(len(lengths))
        own = noise[starts[which] : starts[which] + lengths[which]]
        level = own.square().mean().sqrt().clamp(min=1e-6)
        gain = 10 ** (rng.uniform(*NOISE_DB) / 20) / level
        at = rng.randrange(len(own))
        for _ in range(seconds):
            index = (at + torch.arange(SAMPLE_RATE)) % len(own)
            yield own[index] * gain
            at += SAMPLE_RATE


def _mix(
    rng: random.Random,
    placed: Iterable[_Placed],
    backdrop: Iterator[Tensor],
    root: Path,
    minutes: float,
    resample: bool,
) -> Iterator[tuple[Float[Tensor, "N"], list[Spoken]]]:
    """The recording, second by second, with the words of the clips that begin in it."""
    total = round(minutes * 60 * SAMPLE_RATE)
    carried = torch.zeros(2 * CLIP_SAMPLES)  # of clips that reach beyond this second
    ahead = iter(placed)
    following = next(ahead, None)
    for begin in range(0, total, SAMPLE_RATE):
        block = next(backdrop).clone()
        noise = block.square().mean()
        here: list[Spoken] = []
        while following is not None and following.start < begin + SAMPLE_RATE:
            clip = _level(read_audio(root / following.clip, resample=resample), rng)
            at = following.start - begin
            carried[at : at + len(clip)] += clip
            seconds = following.start / SAMPLE_RATE
            word = following.clip.partition("/")[0]
            end = seconds + len(clip) / SAMPLE_RATE
            power = clip.square().mean().clamp(min=1e-12)
            ratio = 10 * (power / noise).log10().item() if noise > 0 else None
            where = {"file": following.file, "word": word, "clip": following.clip}
            here.append(Spoken(start=seconds, end=end, ratio=ratio, **where))
            following = next(ahead, None)
        block += carried[:SAMPLE_RATE]
        carried = torch.cat([carried[SAMPLE_RATE:], torch.zeros(SAMPLE_RATE)])
        yield block[: total - begin].clamp(-1, 1), here


def _level(clip: Float[Tensor, "N"], rng: random.Random) -> Float[Tensor, "N"]:
    """At most a second, at a random level, faded in and out."""
    clip = clip[:CLIP_SAMPLES].clone()
    loudest = clip.abs().max().clamp(min=1e-4)
    fade = torch.linspace(0, 1, min(FADE, len(clip) // 2))
    clip[: len(fade)] *= fade
    clip[len(clip) - len(fade) :] *= fade.flip(0)
    return clip * (10 ** (rng.uniform(*SPEECH_DB) / 20) / loudest)


def read_truth(folder: str | Path) -> dict[str, list[Spoken]]:
    """Recording -> its words, in order; also for a table of your own.

    Raises:
        UsageError: no table, other columns, times that are none, or a recording that is not there.
    """
    path = Path(folder) / TRUTH
    if not path.is_file():
        raise UsageError(
            f"{path}: no such file: make the folder with kws data stream, or write this table "
            f"({','.join(COLUMNS)}) for your own recordings"
        )
    truth: dict[str, list[Spoken]] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as table:
        reader = csv.DictReader(table)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise UsageError(f"{path}: its first line must name {','.join(COLUMNS)}: correct it")
        for line, row in enumerate(reader, start=2):
            try:
                start, end = float(row["start"]), float(row["end"])
                ratio = float(row[RATIO]) if row.get(RATIO) else None
                if not (0 <= start <= end and math.isfinite(end) and row["word"] and row["file"]):
                    raise ValueError
            except (TypeError, ValueError):
                raise UsageError(
                    f"{path}: line {line}: expects a file, 0 <= start <= end in seconds, and a "
                    "word: correct it"
                ) from None
            where = {"file": row["file"], "word": row["word"], "clip": row.get(CLIP) or ""}
            each = Spoken(start=start, end=end, ratio=ratio, **where)
            truth.setdefault(each.file, []).append(each)
    for name in sorted(truth):
        if not (Path(folder) / name).is_file():
            raise UsageError(f"{path}: names {name}, which is missing: correct it")
    return {name: sorted(truth[name], key=lambda each: each.start) for name in sorted(truth)}
