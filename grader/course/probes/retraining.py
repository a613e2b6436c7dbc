"""Training for `--retrain`: the course's recordings (`kws.data.course_data`), batches by our seed.

A student's recipe is limited to a budget of optimizer steps and of numbers in a batch, and its
learning-rate schedule is scaled to them. The recordings are those of the notebooks, synthesized on
first use and cached in `kws.files.cache_dir()`.

Shape letters: B examples T frames F mel bands
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from grader.core.outcomes import Reason, Record, Stopped
from grader.core.seed import Seed
from grader.course.hidden.keywords import N_MELS, prepared
from grader.course.hidden.speech import padded
from grader.course.probes.accuracy import retrain
from grader.grading.feedback import Failure, expect_between
from grader.sandbox import RemoteModule, RemoteStudent
from kws.audio.features import log_mel
from kws.data.clips import ClipSplit
from kws.data.course_data import course_speakers, course_words
from kws.data.frames import FrameSplit
from kws.data.speakers import load_speakers
from kws.data.speech_commands import load_speech_commands
from kws.training.schedule import cosine_warmup

STEPS = 600  # optimizer steps at most
DIFFERENT = 100  # batches; then they come again
LARGEST = 48  # examples in a batch
FRAMES = (32, 192)  # of a crop, at least and at most
ON_CPU = "the CPU: the sandbox keeps submitted code away from GPUs"
FINAL = (Reason.WRONG, Reason.TIMEOUT, Reason.INFRASTRUCTURE)  # another device changes nothing
TRIES, PAUSE = 3, 2.0  # another grader may be making the same recordings


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Batches (inputs …, labels), used in turn, and the learning rate of each step."""

    batches: tuple[tuple[Tensor, ...], ...]
    rates: tuple[float, ...]


def expect_recipe(recipe: Any, *names: str, least_warmup: int = 0) -> dict[str, float]:
    """Return a student's recipe if it has these keys and values that can be trained with."""
    if not isinstance(recipe, dict):
        raise Failure("recipe() is not a dictionary", "return the arguments of fit by their names")
    wanted = {"steps", "batch_size", "lr", "warmup_steps", *names}
    if recipe.keys() - {"every"} != wanted:  # how often fit prints is free
        raise Failure(f"the names in recipe() have to be {', '.join(sorted(wanted))}")
    steps = expect_between("steps", recipe["steps"], 1, 100_000)
    expect_between(
        "warmup_steps",
        recipe["warmup_steps"],
        least_warmup,
        steps - 1,
        hint="a tenth of the steps?",
    )
    expect_between("batch_size", recipe["batch_size"], 2, 1024)
    expect_between("lr", recipe["lr"], 1e-6, 0.1)
    if "crop_frames" in wanted:
        expect_between("crop_frames", recipe["crop_frames"], 16, 10_000)
    return recipe


def rates(recipe: Mapping[str, float]) -> tuple[float, ...]:
    """The recipe's schedule, scaled to at most STEPS steps.

    >>> rates({"steps": 4, "warmup_steps": 2, "lr": 1.0})
    (0.5, 1.0, 0.5, 0.0)
    >>> len(rates({"steps": 9000, "warmup_steps": 900, "lr": 1e-3}))
    600
    """
    steps = min(int(recipe["steps"]), STEPS)
    warm = min(round(recipe["warmup_steps"] * steps / recipe["steps"]), steps - 1)
    return tuple(
        recipe["lr"] * cosine_warmup(step, warmup_steps=warm, total_steps=steps)
        for step in range(steps)
    )


def speaker_plan(recipe: Mapping[str, float], seed: int) -> Plan:
    """mel (B, T, 40), valid (B, T) and speakers (B,): crops of the training utterances."""
    split = _speakers()
    generator = torch.Generator().manual_seed(seed)
    low, high = FRAMES
    frames = min(max(int(recipe["crop_frames"]), low), high)
    batches = []
    for rows in _rows(recipe, len(split), generator):
        crops = []
        for row in rows:
            mel = split.whole(row[None])[0][0]
            start = int(torch.randint(max(1, len(mel) - frames + 1), (), generator=generator))
            crops.append(mel[start : start + frames])
        batches.append((*padded(crops), split.labels[rows]))
    return Plan(batches=tuple(batches), rates=rates(recipe))


def keyword_plan(recipe: Mapping[str, float], seed: int) -> Plan:
    """mel (B, 101, 64) and labels (B,): the training clips, shifted by up to 80 ms."""
    split = _words()
    generator = torch.Generator().manual_seed(seed)
    batches = []
    drawn = _rows(recipe, len(split), generator)
    needed = torch.cat(drawn).unique()
    mels = torch.cat(
        [prepared(log_mel(split.waveforms(rows), n_mels=N_MELS)) for rows in needed.split(256)]
    )
    for rows in drawn:
        shift = int(torch.randint(-8, 9, (), generator=generator))
        mel = mels[torch.searchsorted(needed, rows)]
        batches.append((mel.roll(shift, dims=1), split.labels[rows]))
    return Plan(batches=tuple(batches), rates=rates(recipe))


def train_again(
    new_student: Callable[..., RemoteStudent],
    build: Callable[[RemoteStudent], RemoteModule],
    plan_of: Callable[[Mapping[str, float], int], Plan],
    recipe: Mapping[str, float],
    secret: Seed,
    record: Record,
) -> RemoteModule:
    """A fresh model after the recipe, with the grader's seed and budget; measured on the CPU."""
    seed = secret.number("train again") % 2**32
    plan = plan_of(recipe, seed)
    options = {"steps": len(plan.rates), "lr": plan.rates, "seed": seed, "record": record}
    record.fact("optimizer steps", len(plan.rates))
    where, first = ON_CPU, new_student(trains=True)  # it never saw the weights
    if not first.has_gpu:
        model = retrain(lambda: build(first), plan.batches, **options)
    else:
        model = build(new_student())
        try:
            trained = retrain(lambda: build(first), plan.batches, device="cuda", **options)
            model.load_state_dict(trained.state_dict())
            where = "a GPU"
        except Stopped as stopped:
            if stopped.reason in FINAL:
                raise
            where = f"the CPU, as on the GPU it stopped: {stopped.message}"
            model = retrain(lambda: build(new_student()), plan.batches, **options)
    record.fact("trained on", where)
    return model.eval()


def _rows(recipe: Mapping[str, float], most: int, generator: torch.Generator) -> list[Tensor]:
    size = min(int(recipe["batch_size"]), LARGEST)
    count = min(DIFFERENT, int(recipe["steps"]))
    return [torch.randint(most, (size,), generator=generator) for _ in range(count)]


def prepare(number: str) -> None:
    """Make or read the recordings of an assignment, so that forks inherit them."""
    made = {"03": _speakers, "05": _words}
    if number in made:
        made[number]()


@lru_cache(maxsize=1)
def _speakers() -> FrameSplit:
    folder = _patiently(lambda: course_speakers(progress=False))
    return load_speakers(folder, validation=0.2, seed=0).train


@lru_cache(maxsize=1)
def _words() -> ClipSplit:
    folder, protocol = _patiently(lambda: course_words(progress=False))
    return load_speech_commands(folder, protocol, "training")


def _patiently(make: Any) -> Any:
    for left in reversed(range(TRIES)):
        try:
            return make()
        except OSError:
            if not left:
                raise
            time.sleep(PAUSE)
