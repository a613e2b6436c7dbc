"""Cached results that a forked process may compute and return."""

import io
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

_functions: dict[str, "MadeOnce[..., Any]"] = {}


class MadeOnce(Generic[P, T]):
    """A cached function of positional numbers and texts."""

    def __init__(self, make: Callable[P, T]) -> None:
        self._make = make
        self.kept: dict[tuple[Any, ...], T] = {}
        self.cache_clear = self.kept.clear
        _functions[f"{make.__module__}.{make.__qualname__}"] = self
        update_wrapper(self, make)

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> T:
        if arguments not in self.kept:
            self.kept[arguments] = self._make(*arguments, **options)
        return self.kept[arguments]


def names_kept() -> set[tuple[str, tuple[Any, ...]]]:
    return {(name, given) for name, one in _functions.items() for given in one.kept}


def dump_results(besides: set[tuple[str, tuple[Any, ...]]]) -> bytes:
    new = {each: _functions[each[0]].kept[each[1]] for each in names_kept() - besides}
    written = io.BytesIO()
    torch.save(new, written)  # views of one storage stay that
    return written.getvalue()


def add_results(data: bytes) -> None:
    new = torch.load(io.BytesIO(data), weights_only=False)
    for (name, given), value in new.items():
        _functions[name].kept[given] = value
