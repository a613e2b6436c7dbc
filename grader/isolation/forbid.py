"""Traps for what an answer may not use: withheld modules, and the library's own answers.

A class gets a constructor and a `forward` that raise, so every alias and subclass is caught; a
function is replaced wherever its package names it. Attention that goes past Python's names is
caught where it arrives: as a torch function, or as one of the fused operators.
"""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from grader.isolation.blame import ForbiddenError

STAFF = ("grader", "solutions", "tests")  # nothing for students, whatever is on the path
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
FUSED = (  # word in a forbidden name -> operators that compute the same
    ("scaled_dot_product", "_scaled_dot_product"),
    ("TransformerEncoder", "_transformer_encoder_layer_fwd"),
    ("MultiheadAttention", "_native_multi_head_attention"),
)


class Traps(importlib.abc.MetaPathFinder):
    """Import hook and torch modes for one check process."""

    def __init__(self, forbidden: Sequence[str], withheld: Sequence[str]):
        self.forbidden, self.withheld = tuple(forbidden), tuple(withheld)
        self.active = False
        parents = sorted({name.rpartition(".")[0] for name in forbidden})
        for module in [parent for parent in parents if parent in sys.modules]:
            self._arm(sys.modules[module])
        self.waiting = {parent for parent in parents if parent not in sys.modules}
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Refuse what may not be imported; have the rest trapped once it is imported."""
        top = fullname.partition(".")[0]
        if top in STAFF:
            raise ForbiddenError(f"{top} belongs to the staff: it cannot be imported here")
        if any(_is_in(fullname, name) for name in self.withheld):
            message = f"{fullname} is what this assignment builds: it cannot be imported here"
            raise ForbiddenError(message)
        if any(_is_in(fullname, name) for name in self.forbidden):
            raise _forbidden(fullname)
        if fullname not in self.waiting:
            return None
        self.waiting.discard(fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                self._arm(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _arm(self, module: types.ModuleType) -> None:
        """Trap the forbidden names of this module."""
        for name in self.forbidden:
            parent, _, last = name.rpartition(".")
            thing = getattr(module, last, None)
            if parent != module.__name__ or thing is None:
                continue
            trap = _trap(name)
            if isinstance(thing, type):
                for method in ("__init__", "forward"):
                    if hasattr(thing, method):
                        setattr(thing, method, trap)
            else:
                setattr(module, last, trap)
                _replace(thing, trap, ".".join(name.split(".")[:2]))

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """While student code runs: torch's own functions and operators are looked at as well."""
        watched = [(name, op) for name in self.forbidden for word, op in FUSED if word in name]
        if not watched or self.active:
            yield
            return
        self.active = True
        try:
            with watching(watched):
                yield
        finally:
            self.active = False


@contextlib.contextmanager
def watching(watched: Sequence[tuple[str, str]]) -> Iterator[None]:
    """While open, what computes a forbidden name (the first of each pair) is refused."""
    with _Functions(watched), _Operators(watched):
        yield


class _Functions(TorchFunctionMode):
    def __init__(self, watched: Sequence[tuple[str, str]]):
        super().__init__()
        self.names = {name.rpartition(".")[2]: name for name, _ in watched}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = self.names.get(getattr(func, "__name__", ""))
        if name is not None:
            raise _forbidden(name)
        return func(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    def __init__(self, watched: Sequence[tuple[str, str]]):
        super().__init__()
        self.watched = watched

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        called = func._schema.name.removeprefix("aten::")
        for name, operator in self.watched:
            if called.startswith(operator):
                raise _forbidden(name)
        return func(*args, **(kwargs or {}))


@cache
def places() -> dict[int, list[tuple[str, str]]]:
    """The id of each function that a loaded module names -> module and name, wherever it is named.

    The server asks before it forks: to look at every name in each check would have the kernel copy
    the pages that the names are in.
    """
    table: dict[int, list[tuple[str, str]]] = {}
    for name, module in sorted(sys.modules.items()):
        if isinstance(module, types.ModuleType):
            for key, value in vars(module).items():
                if type(value) in FUNCTIONS:  # `isinstance` would ask objects for their class
                    table.setdefault(id(value), []).append((name, key))
    return table


def _is_in(module: str, parent: str) -> bool:
    return module == parent or module.startswith(parent + ".")


def _forbidden(name: str) -> ForbiddenError:
    return ForbiddenError(f"{name} is the library's own answer to this task")


def _trap(name: str) -> Callable[..., Any]:
    def trap(*arguments: Any, **options: Any) -> Any:
        raise _forbidden(name)

    return trap


def _replace(thing: Any, trap: Callable[..., Any], package: str) -> None:
    """Wherever the package's loaded modules name this function."""
    for name, key in places().get(id(thing), ()):
        module = sys.modules.get(name)
        if _is_in(name, package) and getattr(module, key, None) is thing:
            setattr(module, key, trap)
