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
        show: False says nothing at all.
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
        """One optimizer step is done."""
        self.bar.update()

    def show_loss(self, loss: float, lr: float) -> None:
        """The newest loss has arrived from the device."""
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
        """Leave the bar as it stands."""
        self.bar.close()


class CatchInterrupt:
    """Ctrl-C sets `caught`, to be looked at between two steps; a second one stops at once.

    Only the main thread may do this; elsewhere Ctrl-C stays what it was, and so it does where it is
    ignored already, as in a script's background jobs. With `ignore`, for the processes that another
    one directs, it does nothing at all.
    """

    def __init__(self, ignore: bool = False):
        self.ignore = ignore
        self.caught = False

    def __enter__(self) -> "CatchInterrupt":
        self.previous = signal.getsignal(signal.SIGINT)
        in_main_thread = threading.current_thread() is threading.main_thread()
        self.installed = in_main_thread and self.previous is not signal.SIG_IGN
        if self.installed:
            handler: Any = signal.SIG_IGN if self.ignore else self._catch
            signal.signal(signal.SIGINT, handler)
        return self

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.caught = True
        signal.signal(signal.SIGINT, self.previous)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.installed:
            signal.signal(signal.SIGINT, self.previous)
