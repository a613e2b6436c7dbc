"""Proxies of a student's functions and modules, which run in another process.

`student.attend(q, k, v)` runs there and its value comes back; a module stays there and comes back
as a `RemoteModule`. Every call may raise `Stopped`. A student may forge the answers of our code in
the check process, so the `read_…` here are strict: TypeError, ValueError, KeyError or
AttributeError ends the check as tampered with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from grader.sandbox import wire
from grader.sandbox.connection import Connection, tampered
from grader.sandbox.student_errors import MOST_KIND, shown_words


@dataclass(frozen=True)
class Seen:
    """A call of a model: output, self-attentions, and those with the weights of an earlier one."""

    output: Any
    attentions: int
    repeated: int


def exactly(kind: type) -> Callable[[Any], Any]:
    """A reader that accepts only values of exactly this type."""

    def build(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return build


_text, _whole = exactly(str), exactly(int)


def read_results(value: Any) -> list[tuple[str, Any]]:
    return [(_text(what), result) for what, result in value]


def _tensor(value: Any) -> Tensor:
    return exactly(Tensor)(value)


def read_state(table: Any) -> dict[str, Tensor]:
    return {_text(name): _tensor(value) for name, value in table.items()}


def read_seen(value: Any) -> Seen:
    output, *counts = value
    return Seen(output, *map(_whole, counts))


def read_losses(losses: Any) -> tuple[float, ...]:
    return tuple(map(exactly(float), losses))


class _Remote:
    """Sends requests; module numbers in the answers become objects."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def _ask(self, what: str, **request: Any) -> Any:
        return self._here(self._connection.ask(what, _there, **request))

    def _read(self, what: str, build: Callable[[Any], Any], **request: Any) -> Any:
        """Read an answer of our code in the worker; an invalid one is tampered with."""
        answer = self._ask(what, **request)
        try:
            return build(answer)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            raise self._connection.fail(tampered(what)) from None

    def _here(self, value: Any) -> Any:
        if isinstance(value, wire.Ref):
            return RemoteModule(self._connection, value)
        if isinstance(value, wire.Opaque):
            return wire.Opaque(_kind(value.kind))
        if isinstance(value, (list, tuple)):
            return type(value)(map(self._here, value))
        if isinstance(value, dict):
            return {key: self._here(item) for key, item in value.items()}
        return value


class RemoteStudent(_Remote):
    def __init__(self, connection: Connection, *, has_gpu: bool = False):
        super().__init__(connection)
        self.has_gpu = has_gpu

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._ask(name, op="call", name=name, args=args, kwargs=kwargs)

        return call

    def __enter__(self) -> "RemoteStudent":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def trial(self, trial_id: str, seed: int) -> list[tuple[str, Any]]:
        """Results of a trial of `kws.course` with the hidden sizes: (what, value)."""
        return self._read(trial_id, read_results, op="trial", name=trial_id, seed=seed)


class RemoteModule(_Remote):
    def __init__(self, connection: Connection, ref: wire.Ref):
        super().__init__(connection)
        self._ref = ref

    @property
    def kind(self) -> str:
        return _kind(self._ref.kind)

    def __repr__(self) -> str:
        return f"RemoteModule({self.kind})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._op("forward", args, kwargs)

    def train(self, mode: bool = True) -> "RemoteModule":
        self._op("train", (mode,))
        return self

    def eval(self) -> "RemoteModule":
        return self.train(False)

    def state_dict(self) -> dict[str, Tensor]:
        return self._form("state_dict", read_state)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._op("load_state_dict", (dict(state),))

    def observe(self, *args: Any, flat: int | None = None) -> Seen:
        """Call it once and report what ran; with the attention number `flat` made even."""
        return self._form("observe", read_seen, args, {"flat": flat})

    def fit(
        self,
        batches: Sequence[Sequence[Any]],
        *,
        steps: int,
        lr: float | Sequence[float],
        loss: str = "cross_entropy",
        optimizer: str = "adamw",
        seed: int = 0,
        device: str = "cpu",
    ) -> tuple[float, ...]:
        """Train on (inputs …, target) in turn, ending on the CPU; losses, up to one not finite."""
        options = {"steps": steps, "lr": lr, "loss": loss, "optimizer": optimizer, "seed": seed}
        options["device"] = device
        losses = self._form("fit", read_losses, (batches,), options)
        return losses[:steps]

    def _op(self, op: str, args: Any = (), kwargs: Any = None) -> Any:
        request = {"op": op, "module": self._ref, "args": args, "kwargs": kwargs or {}}
        return self._ask(self.kind, **request)

    def _form(
        self, op: str, build: Callable[[Any], Any], args: Any = (), kwargs: Any = None
    ) -> Any:
        request = {"op": op, "module": self._ref, "args": args, "kwargs": kwargs or {}}
        return self._read(f"{self.kind}.{op}", build, **request)


def _kind(name: str) -> str:
    return shown_words(name, MOST_KIND)


def _there(value: Any) -> Any:
    if isinstance(value, RemoteModule):
        return value._ref
    return value
