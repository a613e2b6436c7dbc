"""The check process: confined, then loads the student's pieces and answers requests, untrusted."""

import gc
import io
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from grader.core.outcomes import Reason
from grader.sandbox import audit, module_ops, wire
from grader.sandbox.confine import Confinement
from grader.sandbox.loading import Namespace
from grader.sandbox.program import Code
from grader.sandbox.student_errors import Rejection
from grader.sandbox.tier import Limits
from grader.sandbox.traps import Traps
from kws.course.trial import find_trial

CONNECTION = 3  # the file descriptor of the evaluator


class Nowhere(io.TextIOBase):
    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def run(connection: int, confinement: Confinement, folder: str, withheld: Sequence[str]) -> None:
    """Run a check process; return when the evaluator closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    os.dup2(connection, CONNECTION)
    os.closerange(CONNECTION + 1, 65536)
    first = _receive()
    limit = Limits(**first["limits"])
    try:
        confinement.bind(folder, limit, trains=first["trains"])
    except OSError as error:
        _send({"id": 0, "error": [Reason.INFRASTRUCTURE.value, str(error), ""]})
        return
    _send({"id": 0, "value": None})
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), Nowhere(), Nowhere()
    sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None  # type: ignore[misc]
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    if torch.get_num_threads() != limit.threads:  # to set what is set takes half a millisecond
        torch.set_num_threads(limit.threads)
    gc.freeze()
    CheckProcess(Code.from_bytes(first["code"]), limit, withheld).serve()


class CheckProcess:
    def __init__(self, code: Code, limit: Limits, withheld: Sequence[str]):
        self.code, self.limit = code, limit
        finder = Traps(code.forbidden, withheld)
        if code.audited:
            audit.watch(finder, str(Path.cwd()))
        self.modules: list[nn.Module] = []
        self.space = Namespace(code)
        self.broken: Rejection | None = None
        self._seed()
        try:
            self.space.load()
        except Rejection as rejection:
            self.broken = rejection

    def serve(self) -> None:
        while True:
            try:
                request = _receive()
            except EOFError:
                return
            answer: dict[str, Any] = {"id": request["id"]}
            try:
                value = self._answer(request["op"], request)
                parts = wire.dump({**answer, "value": value}, self._special, self.limit.message)
            except BaseException as error:
                parts = wire.dump({**answer, "error": self._error(error, request)})
            _write(parts)

    def _error(self, error: BaseException, request: Mapping[str, Any]) -> list[str]:
        try:
            rejection = self._explain(error, request)
            return [rejection.reason.value, rejection.message, rejection.hint]
        except BaseException:
            return [Reason.ERROR.value, "an exception was raised that cannot be shown", ""]

    def _explain(self, error: BaseException, request: Mapping[str, Any]) -> Rejection:
        what = str(request.get("name", "the check"))
        if "module" in request:
            what = type(self.modules[request["module"].number]).__name__
        if isinstance(error, wire.TooLarge):
            return Rejection(Reason.ERROR, f"{what} returned too much to be looked at: {error}")
        return self.space.explain(error, what)

    def _answer(self, op: str, request: Mapping[str, Any]) -> Any:
        if self.broken is not None:
            raise self.broken
        self._seed()
        args, kwargs = self._local(request.get("args", ())), self._local(request.get("kwargs", {}))
        if op == "call":
            return self.space.find(request["name"])(*args, **kwargs)
        if op == "trial":
            return self._trial(request["name"], request["seed"])
        return self._of_module(op, self._local(request["module"]), request, args, kwargs)

    def _of_module(
        self, op: str, module: nn.Module, request: Mapping[str, Any], args: Any, kwargs: Any
    ) -> Any:
        plain: dict[str, Callable[..., Any]] = {
            "forward": lambda: module(*args, **kwargs),
            "train": lambda: module.train(*args) and None,
            "state_dict": lambda: module_ops.state_of(module),
            "load_state_dict": lambda: module.load_state_dict(*args) and None,
            "observe": lambda: module_ops.observe(module, args, **kwargs),
            "fit": lambda: module_ops.fit(module, *args, **kwargs),
        }
        return plain[op]()

    def _trial(self, trial_id: str, seed: int) -> list[tuple[str, Any]]:
        trial = find_trial(trial_id)
        answers = {name: self.space.find(name) for name in trial.answers}
        return list(trial.results(answers, seed=seed, hidden=True))

    def _seed(self) -> None:
        torch.default_generator.manual_seed(self.code.seed)  # the CPU's alone: spares 5 ms a check
        np.random.seed(self.code.seed % 2**32)
        random.seed(self.code.seed)

    def _special(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            known = [i for i, module in enumerate(self.modules) if module is value]
            if not known:
                self.modules.append(value)
            number = known[0] if known else len(self.modules) - 1
            return wire.Ref(number, type(value).__name__)
        if isinstance(value, np.generic) and value.ndim == 0:
            return value.item() if isinstance(value, (np.number, np.bool_)) else value
        return value

    def _local(self, value: Any) -> Any:
        if isinstance(value, wire.Ref):
            return self.modules[value.number]
        if isinstance(value, (list, tuple)):
            return type(value)(map(self._local, value))
        if isinstance(value, dict):
            return {key: self._local(item) for key, item in value.items()}
        return value


def _receive() -> Any:
    text, body = wire.lengths(_read(wire.PREFIX.size), 1 << 40)
    data = _read(text + body)
    return wire.load(data[:text], data[text:])


def _read(size: int) -> bytes:
    parts, left = [], size
    while left:
        part = os.read(CONNECTION, min(left, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _send(message: Any) -> None:
    _write(wire.dump(message))


def _write(parts: list[bytes]) -> None:
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(CONNECTION, view) :]
