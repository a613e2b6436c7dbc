"""Did an answer call a library's ready answer? Seen by what runs, whatever it is called there.

Python tells a profile function of every call: the code of a Python function, or the function itself
where it is built in. An alias, a subclass or a helper function hides neither.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

METHODS = ("__init__", "forward", "__call__")  # of a class, what using it runs


@contextmanager
def watch_calls(names: Iterable[str], called: list[str]) -> Iterator[None]:
    """Add to `called` those of these dotted names (functions, classes, modules) called inside."""
    targets: dict[Any, str] = {}
    for name in names:
        for target in _targets(_resolve(name)):
            targets.setdefault(target, name)

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            name = targets.get(frame.f_code)
        else:
            name = targets.get(argument) if type(argument) is BuiltinFunctionType else None
        if name is not None and name not in called:
            called.append(name)

    before = sys.getprofile()
    if targets:
        sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def _resolve(name: str) -> Any:
    """What a dotted name stands for; None where its module has not been imported by anybody."""
    module, parts = name, []
    while module and module not in sys.modules:
        module, _, last = module.rpartition(".")
        parts.insert(0, last)
    value: Any = sys.modules.get(module)
    for part in parts:
        value = getattr(value, part, None)
    return value


def _targets(value: Any) -> Iterator[CodeType | BuiltinFunctionType]:
    if isinstance(value, FunctionType):
        # a decorated function is called by way of its wrapper, which others may share
        inner = getattr(value, "__wrapped__", value)
        yield inner.__code__
    elif isinstance(value, BuiltinFunctionType):
        yield value
    elif isinstance(value, type):
        for method in METHODS:
            if isinstance(found := vars(value).get(method), FunctionType):
                yield from _targets(found)
    elif isinstance(value, ModuleType):
        for one in vars(value).values():
            if getattr(one, "__module__", None) == value.__name__:
                yield from _targets(one)
