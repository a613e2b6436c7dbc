"""How long a training took, kept beside its history: times.jsonl, a line for each validation.

    step, seconds, examples_per_second     since the first step, validations and pauses left out

The history says the same whenever and wherever a run is made; how long it took does not, so it has
a file of its own. A run that was resumed goes on counting where it was.
"""

import json
import time
from pathlib import Path
from typing import Any

from kws.files import write_text


class Times:
    """The clock of the run in `out`, at step `step`."""

    def __init__(self, out: Path, step: int):
        self.path = out / "times.jsonl"
        self.rows = [row for row in _read(self.path) if row["step"] <= step]
        self.seconds = self.rows[-1]["seconds"] if self.rows else 0.0
        self.steps_timed = 0
        self._before = self.seconds
        self._since: float | None = None

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self, steps: int) -> None:
        assert self._since is not None
        self.seconds += time.perf_counter() - self._since
        self.steps_timed += steps

    @property
    def steps_per_second(self) -> float:
        """Since the run was begun or resumed."""
        return self.steps_timed / max(self.seconds - self._before, 1e-9)

    def save(self, step: int, examples_per_step: int) -> None:
        rate = self.steps_per_second * examples_per_step
        seconds = {"seconds": round(self.seconds, 2), "examples_per_second": round(rate, 1)}
        self.rows.append({"step": step, **seconds})
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if row["step"] >= 0 and row["seconds"] >= 0]
    except (OSError, ValueError, TypeError, KeyError):
        return []
