"""A trial: what is done with an answer, so that its result can be compared with the reference's.

    @trial("2.1", public={"B": 2, "T": 7}, hidden={"B": 3, "T": 11})
    def attend_values(draw, B, T, attend):
        '''attend equals the formula.'''
        x = draw(B, 1, T, 5)
        yield "attend(x, x, x)", attend(x, x, x)

The notebook runs it with the public sizes and compares with numbers that came with the release
(`goldens`); the hidden check runs it with other sizes and a secret seed, the reference beside it.

Arguments are found by name: `draw`, the sizes (the secret seed draws a hidden one that is a range),
and answers by the names that the notebook has for them. Each result is a pair of what it is, in the
student's words, and a value.

What the reference, and every known mistake, gives in the notebook is in goldens.json in the folder
of an assignment, numbers and no code; `grader.course.goldens` writes it at release:

    {"2.1-values": {"after": ["2.3", …], "forbidden": [name, …],
                    "expected": [[what, record], …],
                    "mistakes": [{"question": …, "results": {"0": record, …}}, …]}}

A mistake keeps the results that differ from the expected ones, by their position; an exception is
the record {"kind": "raised", "content": its type and text}. A check by hand has such a table too:
its results are what it compares.
"""

import hashlib
import importlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kws.course.compare import Record
from kws.course.notebooks import assignment_folders, task_of
from kws.errors import UsageError, did_you_mean

PUBLIC_SEED = 2026
RTOL, ATOL = 1e-4, 1e-5  # float32 sums in another order differ by some 1e-6 of their size
FILE = "goldens.json"
RAISED = "raised"
OR = " / "  # between questions
USUAL = 3  # questions where no known mistake has the results
LONGEST = 300  # characters of an exception that are compared


@dataclass(frozen=True, eq=False)
class Trial:
    id: str  # the task and the function's name, "2.1-attend-values"
    title: str  # what holds when it passes
    run: Callable[..., Iterator[tuple[str, Any]]]  # the function; a generator of (what, value)
    answers: tuple[str, ...]  # names in the notebook, in the order of `run`'s arguments
    public: Mapping[str, Any]  # sizes in the notebook
    hidden: Mapping[str, Any]  # sizes when it is graded: other ones
    # of the results what is compared, where many answers are right; it runs where the verdict is,
    # never beside a student's code
    measure: Callable[..., Iterator[tuple[str, Any]]] | None = None
    rtol: float = RTOL  # with atol: how far two right answers may differ
    atol: float = ATOL

    @property
    def task(self) -> str:
        return self.id.partition("-")[0]

    @property
    def number(self) -> str:
        return f"{int(self.task.partition('.')[0]):02}"

    def results(
        self, answers: Mapping[str, Any], *, seed: int = PUBLIC_SEED, hidden: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """What comes of these answers, plain values, one at a time; their exceptions pass."""
        torch.default_generator.manual_seed(_hashed(seed))  # the CPU's alone: spares 1 ms a trial
        draw, sizes = Draw(seed), self.hidden if hidden else self.public
        sizes = {name: draw.size(size) for name, size in sizes.items()}
        given = {"draw": draw, **sizes, **{name: answers[name] for name in self.answers}}
        for what, value in self.run(**given):
            yield what, plain(value)

    def measured(
        self, results: list[tuple[str, Any]], *, hidden: bool = False
    ) -> list[tuple[str, Any]]:
        """The results to compare; an exception is one, too."""
        if self.measure is None:
            return results
        sizes = self.hidden if hidden else self.public
        return [(what, plain(value)) for what, value in self.measure(dict(results), **sizes)]


def _hashed(seed: int) -> int:
    """The seed of an answer's own random numbers, which does not reveal that of the inputs."""
    return int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4], "big")


class Draw:
    """Random inputs from a seed, independent of what an answer draws itself."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(shape, generator=self.generator).to(dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Numbers between two bounds."""
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def integers(self, *shape: int, low: int = 0, high: int) -> Tensor:
        """Whole numbers, `high` not among them."""
        return torch.randint(low, high, shape, generator=self.generator)

    def size(self, size: Any) -> Any:
        """One number of a range; anything else as it is."""
        return size[int(self.integers(high=len(size)))] if isinstance(size, range) else size

    def valid(self, num_utterances: int, num_frames: int, shortest: int = 2) -> Tensor:
        """valid (B, T): the first utterance is whole, the others are shorter, of any lengths."""
        lengths = self.integers(num_utterances, low=shortest, high=num_frames)
        lengths[0] = num_frames
        return torch.arange(num_frames) < lengths[:, None]

    def weights(self, **shapes: tuple[int, ...]) -> dict[str, Tensor]:
        """Known weights by name, of the size that keeps a layer's output near 1."""
        found = {}
        for name, shape in shapes.items():
            name, noise = name.replace("__", "."), self(*shape)
            found[name] = noise / shape[-1] ** 0.5 if len(shape) > 1 else 0.5 + noise / 4
        return found


def is_whole(value: Any) -> bool:
    """Whether an answer is one integer, in any wrapping.

    >>> is_whole(np.int64(3)), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    value = plain(value)
    return isinstance(value, int) and not isinstance(value, bool)


def valid_frames(num_utterances: int, num_frames: int) -> Tensor:
    """valid (B, T): the first utterance is whole, each other one two frames shorter than the last.

    >>> valid_frames(3, 5).sum(dim=1)
    tensor([5, 3, 1])
    """
    lengths = num_frames - 2 * torch.arange(num_utterances)
    if lengths[-1] < 1:
        raise ValueError(f"{num_frames} frames are too few for {num_utterances} utterances")
    return torch.arange(num_frames) < lengths[:, None]


_trials: dict[str, Trial] = {}


def trial(
    task: str,
    *,
    public: Mapping[str, Any],
    hidden: Mapping[str, Any],
    measure: Callable[..., Iterator[tuple[str, Any]]] | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> Callable[[Callable[..., Iterator[tuple[str, Any]]]], Trial]:
    """Make a generator function a trial; see above."""

    def decorate(run: Callable[..., Iterator[tuple[str, Any]]]) -> Trial:
        trial_id = f"{task}-{run.__name__.replace('_', '-')}"
        if set(public) != set(hidden):
            raise ValueError(f"{trial_id}: public and hidden name different sizes")
        names = [name for name in inspect.signature(run).parameters if name != "draw"]
        made = Trial(
            id=trial_id,
            title=(inspect.getdoc(run) or "").partition("\n")[0].rstrip("."),
            run=run,
            answers=tuple(name for name in names if name not in public),
            public=public,
            hidden=hidden,
            measure=measure,
            rtol=rtol,
            atol=atol,
        )
        if trial_id in _trials:
            raise ValueError(f"{trial_id}: two trials of this name")
        _trials[trial_id] = made
        return made

    return decorate


def load_contract(number: str) -> None:
    """Define the trials of an assignment, "02"; nothing where it has no folder."""
    if folder := assignment_folders().get(number):
        importlib.import_module(f"kws.course.{folder.name}.contract")


def find_trial(trial_id: str) -> Trial:
    load_contract(trial_id.partition(".")[0].zfill(2))
    if trial_id not in _trials:
        near = did_you_mean(trial_id, _trials)
        raise UsageError(f"no contract has a trial {trial_id!r}{near}: correct the check's name")
    return _trials[trial_id]


def all_trials(number: str) -> list[Trial]:
    """Every trial of an assignment, "02", in the order in which they are defined."""
    load_contract(number)
    chapter = str(int(number))
    return [one for one in _trials.values() if one.id.partition(".")[0] == chapter]


def plain(value: Any) -> Any:
    """The same value in one form of several that mean the same.

    Tensors without axes and numpy's scalars are numbers, arrays are tensors, tuples lists.

    >>> plain(torch.tensor(3)), plain(np.float64(0.5)), plain((1, torch.tensor(2)))
    (3, 0.5, [1, 2])
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.as_tensor(value)
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return value.item() if value.ndim == 0 else value
    if isinstance(value, np.number | np.bool_):
        return value.item()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its question, and its results where they differ."""

    question: str
    results: dict[int, Record]


@dataclass(frozen=True)
class Golden:
    """One check: `after` are tasks whose answers it uses, `forbidden` library answers."""

    after: tuple[str, ...]
    forbidden: tuple[str, ...]
    expected: tuple[tuple[str, Record], ...]
    mistakes: tuple[Mistake, ...]

    def question(self, results: Sequence[Any], rtol: float = RTOL, atol: float = ATOL) -> str:
        """The questions of all mistakes with these results, or this exception; "" if none."""
        found = [
            mistake.question
            for mistake in self.mistakes
            if all(
                _is_result(mistake.results.get(at, record), value, rtol, atol)
                for at, ((_, record), value) in enumerate(zip(self.expected, results, strict=False))
            )
        ]
        return OR.join(dict.fromkeys(found))

    def known(self, results: Sequence[Any], *bounds: float) -> tuple[str, str]:
        """("", question of mistakes with these results), or (questions of similar ones, "")."""
        if question := self.question(results, *bounds):
            return "", question
        last, value = len(results) - 1, results[-1]
        record = raised(value) if isinstance(value, BaseException) else Record.of(value)
        shown = [
            one
            for one in self.mistakes
            if min(one.results, default=0) == last and is_same_way(one.results.get(last), record)
        ]
        shown.sort(key=lambda one: one.results[last].distance(record) if one.results else 0)
        return often([*dict.fromkeys(one.question for one in shown)]), ""


def often(questions: Sequence[str]) -> str:
    return f"\n  often it is one of these: {OR.join(questions[:USUAL])}" if questions else ""


@cache
def goldens(number: str) -> dict[str, Golden]:
    path = assignment_folders()[number] / FILE
    if not path.is_file():
        raise UsageError(f"{path} is missing: run python -m grader release --assignment {number}")
    return {
        trial_id: Golden(
            after=tuple(table.get("after", ())),
            forbidden=tuple(table["forbidden"]),
            expected=tuple((what, Record.from_json(r)) for what, r in table["expected"]),
            mistakes=tuple(
                Mistake(
                    one["question"],
                    {int(at): Record.from_json(r) for at, r in one["results"].items()},
                )
                for one in table["mistakes"]
            ),
        )
        for trial_id, table in json.loads(path.read_text(encoding="utf-8")).items()
    }


def tasks_before(task: str) -> tuple[str, ...]:
    """The tasks whose answers a task uses directly; none where nothing is known of it."""
    number = task.partition(".")[0].zfill(2)
    return next((g.after for check, g in _released(number).items() if task_of(check) == task), ())


def find_golden(check_id: str) -> Golden | None:
    """What is known of a check; None where nothing is."""
    return _released(task_of(check_id).partition(".")[0].zfill(2)).get(check_id)


def _released(number: str) -> Mapping[str, Golden]:
    folder = assignment_folders().get(number)
    return goldens(number) if folder is not None and (folder / FILE).is_file() else {}


def raised(error: BaseException) -> Record:
    """The record of an exception: its type and the beginning of its text, in one line."""
    text = " ".join(str(error).split())
    return Record(kind=RAISED, shape=None, content=f"{type(error).__name__}: {text}"[:LONGEST])


def is_same_way(one: Record | None, other: Record) -> bool:
    """Whether both are wrong in one way: an exception of a type, the same text, a shape."""
    if one is None or RAISED in (one.kind, other.kind):
        return _error_of(one) == _error_of(other)
    return one == other if "str" in (one.kind, other.kind) else one.shape == other.shape


def _error_of(record: Record | None) -> str:
    """Its type; what torch itself raises is of many kinds: the beginning of its text, too."""
    if record is None or record.kind != RAISED:
        return ""
    name = record.content.partition(":")[0]
    return record.content[:30] if name == "RuntimeError" else name


def _is_result(record: Record, value: Any, rtol: float, atol: float) -> bool:
    if isinstance(value, BaseException):
        return record == raised(value)
    return record.kind != RAISED and record.agrees(value, rtol, atol)
