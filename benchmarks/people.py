"""What would make `keywords-best` better on people? Ideas, held against its recipe.

    python benchmarks/people.py FOLDER                      all of it, an hour of a core
    python benchmarks/people.py FOLDER --ideas spoken --folds 0

FOLDER is in Speech Commands' layout, with lists. Its test split is never read: the speakers of the
other two are dealt into three folds, and what is trained without one is measured on it. One idea is
in the recipe: other words are learned separately (`kws.training.other_words`). What it brings:

    the recipe    from the start, for fewer passes than its own
    together      the same with one class for all other words, held against it

The rest were tried before that, on a recipe with one class. For each fold it is trained once, for
fewer passes still; every idea goes on from there for some passes more, as the recipe itself does,
which is what it is held against:

    as before     the recipe with one class for other words, on the same clips
    spoken        other words by embedded voices, as `_unknown_`: more of them, and more varied
    spliced       other words that nobody said: the beginning of one word, the end of another
    mixed         embedded voices say commands and other words, beside people

Each is measured as it is; by the mean of the log-softmax over several shifts of the clip; and with
a bonus for unknown, added to its logit and chosen on the other folds. Neither needs training.
Weights are the averaged ones of the last step, so no fold chooses its own. A difference is over
pairs of clips, with the interval of `experiments.verdicts` over clips alone: one seed. A run
that is there is not made again: the run folders are in OUT.
"""

import argparse
import hashlib
import os
import random
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from report import finish, print_table
from torch import Tensor

from experiments.verdicts import compare
from kws.audio.recordings import SAMPLE_RATE, read_audio
from kws.data.clips import ClipSplit
from kws.data.embedded.corpus import make_corpus
from kws.data.embedded.recording import write_wav
from kws.data.listing import LIST_FILES, NOISE_FOLDER, read_listing
from kws.data.own_words import speaker_of
from kws.data.protocols import COMMANDS, V2_OTHER_WORDS, V2_WORDS
from kws.data.speech_commands import load_speech_commands
from kws.errors import UsageError
from kws.metrics import Proportion
from kws.training.batches import steps_per_epoch
from kws.training.checkpoint import Trained, load_model
from kws.training.loop import fit
from kws.training.memory import keep_freed_memory
from kws.training.recipe import load_recipe

PROTOCOL, UNKNOWN = "v2-12", 1
FOLDS = 3
PASSES, MORE_PASSES = 12, 3  # over the training part of a fold; the recipe has 90
FROM_START = 30  # passes of what is trained from the start
MORE_LR = 5e-4  # highest rate of those; the recipe's is 1.5e-3
# for the engine to say; none sounds like a command, some begin or end like one
# fmt: off
MORE_WORDS = (
    "about", "after", "again", "apple", "baby", "ball", "begin", "below", "better", "bottle",
    "bread", "brother", "chair", "cheese", "circle", "cloud", "coffee", "corner", "dance",
    "dinner", "doctor", "door", "dream", "early", "earth", "engine", "father", "finger",
    "flower", "garden", "ghost", "glass", "golden", "gone", "grow", "knock", "known", "light",
    "lost", "low", "market", "moon", "more", "mother", "music", "narrow", "near", "new",
    "night", "note", "nothing", "open", "orange", "paper", "people", "phone", "pour", "rabbit",
    "river", "road", "row", "show", "sister", "slow", "snow", "so", "song", "stay", "step",
    "stone", "stuff", "table", "though", "throw", "today", "top", "town", "turn", "under",
    "upper", "water", "white", "window", "yard", "year", "yellow", "yet",
)
# fmt: on
MOVES = (-100, -50, 0, 50, 100)  # milliseconds
PLAIN = "as it is"
SHIFTS = {PLAIN: [2], "3 shifts": [1, 2, 3], "5 shifts": [0, 1, 2, 3, 4]}  # of MOVES
BONUSES = (0.0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0)  # nats
NEVER_SPLICED = ({"go", "no"}, {"on", "off"}, {"up", "off"})  # the halves make one of the two


Maker = Callable[[Path, Sequence[str], Path], None]  # (fold, its training clips, OUT): adds clips


def spoken(folder: Path, _: Sequence[str], work: Path) -> None:
    """600 other words by 40 embedded voices: those of the protocol, and as many more."""
    words = (*V2_OTHER_WORDS, *MORE_WORDS)
    corpus = make_corpus(work / "other words", words=words, speakers=40, repetitions=1)
    link_some(corpus, folder, words, 600)


def mixed(folder: Path, _: Sequence[str], work: Path) -> None:
    """800 commands and 400 other words by 80 embedded voices."""
    corpus = make_corpus(work / "35 words", words=V2_WORDS, speakers=80, repetitions=1)
    link_some(corpus, folder, COMMANDS, 800)
    link_some(corpus, folder, V2_OTHER_WORDS, 400)


def spliced(folder: Path, names: Sequence[str], _: Path) -> None:
    """300 clips that begin as one command and end as another, cut where the sound is loudest."""
    rng = random.Random(0)
    commands = [name for name in names if name.partition("/")[0] in COMMANDS]
    (folder / "spliced").mkdir()
    made = 0
    while made < 300:
        first, second = rng.sample(commands, 2)
        pair = {first.partition("/")[0], second.partition("/")[0]}
        if len(pair) == 1 or pair in NEVER_SPLICED:
            continue
        write_wav(
            folder / "spliced" / f"{speaker_of(first)}_nohash_{made}.wav",
            splice(read_audio(folder / first), read_audio(folder / second)).numpy(),
        )
        made += 1


def splice(first: Tensor, second: Tensor, fade: int = SAMPLE_RATE // 100) -> Tensor:
    """The beginning of `first` up to its middle, then `second` from its own, faded in 10 ms."""
    head, tail = first[: middle(first) + fade], second[middle(second) :]
    tail = tail * (head.square().mean().sqrt() / tail.square().mean().sqrt().clamp(min=1e-4))
    ramp = torch.linspace(0, 1, fade)
    n = min(fade, len(head), len(tail))
    seam = head[len(head) - n :] * (1 - ramp[:n]) + tail[:n] * ramp[:n]
    return torch.cat([head[: len(head) - n], seam, tail[n:]]).clamp(-1, 1)[:SAMPLE_RATE]


def middle(waveform: Tensor) -> int:
    """The sample at the center of gravity of the sound's energy."""
    energy = waveform.square()
    place = torch.arange(len(waveform))
    return int((energy * place).sum() / energy.sum().clamp(min=1e-9))


def link_some(corpus: Path, folder: Path, words: Sequence[str], count: int) -> None:
    """Link `count` clips of `words` of a corpus into `folder`, drawn once and for all."""
    names = [name for name in read_listing(corpus).names if name.partition("/")[0] in words]
    for name in random.Random(0).sample(names, count):
        link(corpus / name, folder / name)


def link(clip: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.symlink_to(clip.resolve())


CONTROL, RECIPE, TOGETHER = "as before", "the recipe", "together"
ONE_CLASS = "data.other_words=together"
SETTINGS = {RECIPE: [], TOGETHER: [ONE_CLASS]}  # of those from the start
IDEAS: dict[str, Maker | None] = {
    CONTROL: None,
    RECIPE: None,
    TOGETHER: None,
    "spoken": spoken,
    "spliced": spliced,
    "mixed": mixed,
}


def fold_of(speaker: str) -> int:
    """0, 1 or 2, by a hash that has nothing to do with the one of the lists."""
    return hashlib.sha256(f"fold {speaker}".encode()).digest()[0] % FOLDS


def make_fold(data: Path, fold: int, out: Path, add: Maker | None, work: Path) -> None:
    """Links to the clips of training and validation, the speakers of `fold` as validation."""
    if out.exists():
        return
    folder = out.with_name(f"{out.name}, unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    listing = read_listing(data)
    lists = defaultdict(list)
    for name, split in zip(listing.names, listing.splits, strict=True):
        if split != "testing":
            link(data / name, folder / name)
            lists[fold_of(speaker_of(name)) == fold].append(name)
    (folder / NOISE_FOLDER).symlink_to((data / NOISE_FOLDER).resolve())
    (folder / LIST_FILES["validation"]).write_text("".join(f"{name}\n" for name in lists[True]))
    (folder / LIST_FILES["testing"]).write_text("")
    if add:
        add(folder, lists[False], work)
    folder.rename(out)


def train(data: Path, run: Path, steps: int, init: Path | None = None, *more: str) -> float:
    """Train, unless the run is there and whole; its CPU seconds, which are kept beside it."""
    spent = run / "cpu"
    if not spent.exists():
        settings = [f"train.total_steps={steps}", f"train.validate_every={steps}", *more]
        recipe = load_recipe("keywords-best", [*settings, "train.save_every=300"])
        unknown = recipe.data.unknown
        training, held_out = (
            load_speech_commands(data, PROTOCOL, split, unknown=unknown)
            for split in ("training", "validation")
        )
        start = time.process_time()
        fit(recipe, train=training, validation=held_out, out=run, resume=True, init=init)
        spent.write_text(f"{time.process_time() - start:.1f}\n")
    return float(spent.read_text())


def run_of(data: Path, name: str, fold: int, work: Path) -> tuple[Path, float]:
    """The run folder of an idea without a fold, trained if need be, and its CPU seconds."""
    plain, folder = work / f"fold {fold}, {CONTROL}", work / f"fold {fold}, {name}"
    make_fold(data, fold, plain, None, work)
    make_fold(data, fold, folder, IDEAS[name], work)
    clips = load_speech_commands(plain, PROTOCOL, "training")
    steps = steps_per_epoch(len(clips), load_recipe("keywords-best").train.batch_size)
    begun, run = work / f"begun {fold}", work / f"run {fold}, {name}"
    if name in SETTINGS:
        return run, train(plain, run, FROM_START * steps, None, *SETTINGS[name])
    train(plain, begun, PASSES * steps, None, ONE_CLASS)
    others = "data.unknown=100000"  # clips of other words to learn from: as many as there are
    more = [f"train.lr={MORE_LR}", others, ONE_CLASS]
    return run, train(folder, run, MORE_PASSES * steps, begun / "last.pt", *more)


@torch.inference_mode()
def scores(trained: Trained, split: ClipSplit) -> Tensor:
    """(n, S, C): the log-softmax of every clip, moved by each of MOVES."""
    found = []
    for rows in torch.arange(len(split)).split(256):
        waveforms = split.waveforms(rows)
        logits = [
            trained.logits(trained.features(moved(waveforms, move * SAMPLE_RATE // 1000)))
            for move in MOVES
        ]
        found.append(torch.stack(logits, dim=1).log_softmax(2))
    return torch.cat(found)


def moved(waveforms: Tensor, samples: int) -> Tensor:
    """(B, N) later by `samples`, zeros in front; earlier where it is negative."""
    kept = waveforms[:, max(0, -samples) : waveforms.shape[1] - max(0, samples)]
    return torch.nn.functional.pad(kept, (max(0, samples), max(0, -samples)))


def with_bonus(found: Sequence[Tensor], labels: Sequence[Tensor]) -> list[Tensor]:
    """The answers of each fold with a bonus for unknown, the best one on the other folds."""
    chosen = []
    for fold in range(len(found)):
        others = [i for i in range(len(found)) if i != fold]
        elsewhere, truth = (torch.cat([x[i] for i in others]) for x in (found, labels))
        right = [(plus(elsewhere, bonus) == truth).sum().item() for bonus in BONUSES]
        best = BONUSES[
            max(range(len(BONUSES)), key=right.__getitem__)
        ]  # the nearest to 0 of equal ones
        chosen.append(plus(found[fold], best))
    return chosen


def plus(found: Tensor, bonus: float) -> Tensor:
    """The label of the highest score (B,), unknown raised by `bonus` nats."""
    raised = found.clone()
    raised[:, UNKNOWN] += bonus
    return raised.argmax(1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The answers of an idea, of all folds."""

    right: dict[str, Tensor]  # by how it was tested -> (n,)
    labels: Tensor
    cpu: float


def measure(data: Path, name: str, folds: Sequence[int], work: Path) -> Found:
    """Train the idea without each fold, and answer the clips of that."""
    cpu: list[float] = []
    found: dict[str, list[Tensor]] = defaultdict(list)
    labels = []
    for fold in folds:
        run, seconds = run_of(data, name, fold, work)
        cpu.append(seconds)
        split = load_speech_commands(work / f"fold {fold}, {name}", PROTOCOL, "validation")
        labels.append(split.labels)
        if not (kept := run / "scores.pt").exists():
            torch.save(scores(load_model(run / "last.pt"), split), kept)
        moves = torch.load(kept)
        for shifts, chosen in SHIFTS.items():
            found[shifts].append(moves[:, chosen].mean(1))
    given = {how: [x.argmax(1) for x in each] for how, each in found.items()}
    if len(folds) > 1:
        given["bonus"] = with_bonus(found[PLAIN], labels)
    truth = torch.cat(labels)
    return Found(
        right={how: torch.cat(each) == truth for how, each in given.items()},
        labels=truth,
        cpu=fmean(cpu),
    )


def beside(idea: str) -> str:
    """What an idea is held against: the recipe, trained as the idea is."""
    return RECIPE if idea in SETTINGS else CONTROL


def main() -> int:
    """Measure, print the table, and last the JSON."""
    parser = argparse.ArgumentParser(description="Ideas for keywords-best, by cross-validation.")
    parser.add_argument("data", type=Path, metavar="FOLDER", help="recordings of people")
    parser.add_argument("--ideas", nargs="+", choices=IDEAS, default=list(IDEAS))
    parser.add_argument("--folds", nargs="+", type=int, choices=range(FOLDS), default=range(FOLDS))
    parser.add_argument("--out", type=Path, default=Path("runs/people"), help="for run folders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["KWS_CACHE"] = str((options.out / "cache").resolve())
    try:
        ideas = dict.fromkeys([name for idea in options.ideas for name in (beside(idea), idea)])
        found = {name: measure(options.data, name, options.folds, options.out) for name in ideas}
    except UsageError as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 2
    rows, numbers = [], {}
    for name, one in found.items():
        first = found[beside(name)]
        unknown = one.labels == UNKNOWN
        for how, right in one.right.items():
            share = Proportion(correct=int(right.sum()), n=len(right))
            gain = compare(right[None].double(), first.right[PLAIN][None].double())
            gap = [100 * value for value in (gain.value, *gain.interval())]
            recall = 100 * float(right[unknown].double().mean())
            rows.append([name, how, share.n, 100 * share.value, *gap, recall, one.cpu])
            numbers[f"{name}, {how}"] = {"accuracy": share.value, "n": share.n, "gain": gap}
    headings = ["idea", "test", "n", "accuracy %", "gain", "from", "to", "unknown %", "CPU s"]
    print_table(headings, rows)
    finish(numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
