"""A recognizer's training as a run folder: measured, kept, interrupted and resumed.

    recipe = load_recipe("speech-to-text")
    history = fit_recognizer(recipe, train=…, validation=…, out="runs/digits")

The folder is that of `kws.training.loop`: recipe.toml, history.jsonl, best.pt and last.pt. The
history's accuracy is 1 less the word error rate, 0 where more is wrong than there is, and its n
counts words. The labels of a checkpoint are blank, start and end, then the letters.
"""

import hashlib
import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from kws.alphabet import SPECIAL, Alphabet
from kws.data.transcripts import TranscribedSplit
from kws.decoding.transcribe import transcribe
from kws.errors import UsageError
from kws.files import write_text
from kws.models.speech_gru import AnyRecognizer
from kws.normalize import Normalizer
from kws.training.batches import generator_for
from kws.training.checkpoint import model_state, save_checkpoint
from kws.training.history import History
from kws.training.loop import saved_state
from kws.training.optimizer import build_optimizer
from kws.training.progress import CatchInterrupt, Progress
from kws.training.recipe import Recipe, to_toml
from kws.training.recognizer_steps import (
    SpelledSplit,
    mean_loss,
    new_recognizer,
    spelled,
    total_steps,
    training_steps,
)
from kws.word_errors import word_errors

PROTOCOL = "transcription"
SPECIAL_LABELS = ("<blank>", "<start>", "<end>")


@dataclass(kw_only=True, eq=False)
class RecognizerRun:
    """The state of a training: `step` is the number of optimizer steps done."""

    recipe: Recipe
    out: Path
    alphabet: Alphabet
    train: SpelledSplit
    validation: SpelledSplit
    model: AnyRecognizer
    optimizer: torch.optim.Optimizer
    history: History
    data: str  # fingerprint of the training data
    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the steps since the last row

    def validate(self) -> None:
        """Add a row to the history, and keep the weights if they are the best."""
        split, steps = self.validation.split, len(self.train.split) / self.recipe.train.batch_size
        errors = word_errors(split.texts, transcribe(self.model, split.mels, self.alphabet))
        row = {
            "step": self.step,
            "epoch": round(self.step / steps, 3),
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": math.fsum(self.losses) / len(self.losses),
            "validation_loss": mean_loss(self.model, self.validation, self.recipe),
            "validation_accuracy": max(0.0, 1 - errors.rate),
            "validation_n": errors.words,
        }
        self.losses.clear()
        self.history.rows.append(row)
        if row is self.history.best:
            save_checkpoint(self.out / "best.pt", self._state())

    def save(self) -> None:
        """Write last.pt and the history."""
        training = {
            "optimizer": self.optimizer.state_dict(),
            "rows": self.history.rows,
            "losses": self.losses,
            "data": self.data,
        }
        save_checkpoint(self.out / "last.pt", {**self._state(), "training": training})
        self.history.save(self.out / "history.jsonl")

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `save` wrote."""
        training = state["training"]
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(training["optimizer"])
        self.step, self.losses = state["step"], training["losses"]
        self.history.rows = training["rows"]

    def _state(self) -> dict[str, Any]:
        return model_state(
            self.model,
            recipe=self.recipe,
            labels=[*SPECIAL_LABELS, *self.alphabet.letters],
            protocol=PROTOCOL,
            normalizer=Normalizer(kind="utterance"),
            step=self.step,
        )


def fit_recognizer(
    recipe: Recipe,
    *,
    train: TranscribedSplit,
    validation: TranscribedSplit,
    out: str | Path,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Train the recipe's recognizer on a CPU and write the run folder `out`.

    The alphabet is that of the training texts.

    Raises:
        UsageError: `out` holds a run and `resume` is not set, or the run of another recipe or of
            other data; a validation text has a letter that no training text has; the loss is no
            longer finite.
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    with torch.random.fork_rng(devices=[]):
        run = begin_recognizer(recipe, train, validation, Path(out), resume=resume)
        finish_recognizer(run, progress=progress)
        return run.history


def begin_recognizer(
    recipe: Recipe,
    train: TranscribedSplit,
    validation: TranscribedSplit,
    out: Path,
    *,
    resume: bool = False,
) -> RecognizerRun:
    """A run that is ready for its next step; errors are those of `fit_recognizer`."""
    if recipe.data.task != PROTOCOL:
        raise UsageError(
            f"data.task={recipe.data.task} is no speech to text: choose another recipe, such as "
            "speech-to-text"
        )
    data = fingerprint_of(train)
    state = saved_state(out, resume, recipe, data)
    alphabet = Alphabet.of(train.texts)
    torch.manual_seed(generator_for(recipe.train.seed, "weights", 0).initial_seed())
    model = new_recognizer(recipe, len(alphabet))
    run = RecognizerRun(
        recipe=recipe,
        out=out,
        alphabet=alphabet,
        train=spelled(train, alphabet),
        validation=spelled(validation, alphabet),
        model=model,
        optimizer=build_optimizer(model, recipe.train),
        history=History(path=out),
        data=data,
    )
    if state:
        run.load_state(state)
    write_text(out / "recipe.toml", to_toml(recipe))
    run.save()
    return run


def finish_recognizer(run: RecognizerRun, *, progress: bool = True) -> None:
    """Step, validate and save, until the end."""
    settings, total, first = run.recipe.train, total_steps(run.recipe, run.train), run.step
    each = settings.validate_every or -(-len(run.train.split) // settings.batch_size)
    with closing(Progress(total, run.step, progress)) as bar, CatchInterrupt() as interrupt:
        start = time.monotonic()
        steps = training_steps(run.model, run.train, run.recipe, run.optimizer, first=first)
        for loss in steps:
            run.step += 1
            run.losses.append(loss)
            bar.advance()
            if run.step % settings.log_every == 0:
                bar.show_loss(loss, run.optimizer.param_groups[0]["lr"])
            validate_now = run.step == total or run.step % each == 0
            if validate_now:
                run.validate()
                pace = (run.step - first) / (time.monotonic() - start)  # steps a second
                left = (total - run.step) / pace
                row = run.history.rows[-1]
                bar.show_validation(row, rate=pace * settings.batch_size, left=left)
            if validate_now or interrupt.caught:
                run.save()
            if interrupt.caught:
                raise KeyboardInterrupt


def fingerprint_of(split: TranscribedSplit) -> str:
    """SHA-256 of names and texts of a split, in order."""
    text = repr([(row.file, row.text) for row in split.rows])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def alphabet_of(labels: list[str]) -> Alphabet:
    """The alphabet that a checkpoint's labels name."""
    return Alphabet(tuple(labels[SPECIAL:]))
