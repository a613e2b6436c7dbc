"""What a training shows while it runs, and how it is interrupted without losing a step."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from tqdm import tqdm

from kws.notebook import in_notebook
from kws.training.history import Row


class Progress:
    """A bar on a terminal or in a notebook; elsewhere one line for each validation.

    Args:
        total_steps: optimizer steps of the whole run.
        step: steps done before, where the run was resumed.
        show: False prints nothing.
    """

    def __init__(self, total_steps: int, step: int, show: bool):
        self.bar_wanted = show and (sys.stderr.isatty() or in_notebook())
        self.lines_wanted = show and not self.bar_wanted
        self.total_steps = total_steps
        self.bar = tqdm(
            total=total_steps, initial=step, disable=not self.bar_wanted, unit="step", leave=True
        )
        self.seen: dict[str, str] = {}

    def advance(self) -> None:
        self.bar.update()

    def show_loss(self, loss: float, lr: float) -> None:
        self._show(loss=f"{loss:.3f}", lr=f"{lr:.1e}")

    def show_validation(self, row: Row, *, rate: float, left: float) -> None:
        """A row of the history is complete; `rate` examples a second, `left` seconds to go."""
        named = [(name, row.get(f"{name}_accuracy")) for name in ("train", "validation", "crop")]
        accuracies = {name: f"{100 * value:.1f} %" for name, value in named if value is not None}
        if not accuracies:
            accuracies = {"validation loss": f"{row['validation_loss']:.3f}"}
        speed = f"{rate:,.0f}/s"
        self._show(**accuracies, examples=speed)
        if self.lines_wanted:
            text = ", ".join(f"{name} {value}" for name, value in accuracies.items())
            remaining = tqdm.format_interval(left)
            print(
                f"step {row['step']}/{self.total_steps}, epoch {row['epoch']:g}: "
                f"loss {row['train_loss']:.3f}, lr {row['lr']:.1e}, {text}, {speed}, "
                f"{remaining} left",
                flush=True,
            )

    def _show(self, **values: str) -> None:
        self.seen |= values
        self.bar.set_postfix(self.seen, refresh=False)

    def close(self) -> None:
        self.bar.close()


class Terminated(KeyboardInterrupt):
    """SIGTERM ended a training, after its state was saved."""


class CatchSignals:
    """Ctrl-C and SIGTERM set `caught`, which is read between two steps; a second one acts at once.

    Slurm, Docker and `timeout` send SIGTERM. Signals that are ignored already (background jobs of a
    script) stay ignored, and outside of the main thread nothing is caught.
    """

    def __init__(self) -> None:
        self.caught: signal.Signals | None = None
        self.previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "CatchSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if (previous := signal.getsignal(number)) is not signal.SIG_IGN:
                    self.previous[number] = previous
                    signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.caught = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, previous in self.previous.items():
            signal.signal(number, previous)

    def error(self) -> KeyboardInterrupt:
        """What to raise once the state is saved."""
        return Terminated() if self.caught == signal.SIGTERM else KeyboardInterrupt()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()
