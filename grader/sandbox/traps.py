"""Traps for what an answer may not use: withheld modules, and the library's own answers.

A class gets a constructor and a `forward` that raise, so every alias and subclass is caught; a
function is replaced wherever its package names it. Attention called without Python's names is
caught in the dispatcher: its operators get a kernel that raises.
"""

import ctypes
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from grader.sandbox.student_errors import ForbiddenError
from kws.course.own_work import is_library, occupy

STAFF = ("grader", "solutions", "tests")  # nothing for students, whatever is on the path
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


class Traps(importlib.abc.MetaPathFinder):
    """Import hook and kernels for one check process, for as long as it lives."""

    def __init__(self, forbidden: Sequence[str], withheld: Sequence[str]):
        self.forbidden, self.withheld = tuple(forbidden), tuple(withheld)
        parents = sorted({name.rpartition(".")[0] for name in forbidden})
        for module in [parent for parent in parents if parent in sys.modules]:
            self._arm(sys.modules[module])
        for name in [name for name in forbidden if name in sys.modules]:
            _arm_all(name)
        self.parents = frozenset(parents)
        sys.meta_path.insert(0, self)
        for method in ("__init__", "define"):  # both compile a text
            setattr(torch._C.CompilationUnit, method, _no_text)
        for library in occupy(forbidden, _trap):
            ctypes.pythonapi.Py_IncRef(
                ctypes.py_object(library)
            )  # keep a reference: deleting it would remove the trap

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Refuse forbidden imports; set traps after all others."""
        top = fullname.partition(".")[0]
        if top in STAFF:
            raise ForbiddenError(f"{top} belongs to the staff: it cannot be imported here")
        if any(_is_in(fullname, name) for name in self.withheld):
            message = f"{fullname} is what this assignment builds: it cannot be imported here"
            raise ForbiddenError(message)
        if any(_is_in(fullname, name) for name in self.forbidden):
            raise _forbidden(fullname)
        if fullname in loaded() and is_library(fullname):
            raise ForbiddenError(f"{fullname} is loaded already: it is not loaded again")
        if fullname not in self.parents:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                self._arm(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _arm(self, module: types.ModuleType) -> None:
        for name in self.forbidden:
            parent, _, last = name.rpartition(".")
            thing = getattr(module, last, None)
            if parent != module.__name__ or thing is None:
                continue
            trap = _trap(name)
            if isinstance(thing, type):
                _arm_class(thing, trap)
            elif not isinstance(thing, types.ModuleType):
                setattr(module, last, trap)
                _replace(thing, trap, ".".join(name.split(".")[:2]))


def _arm_all(package: str) -> None:
    """Trap every function and class of the loaded modules of a package, private ones too."""
    for module, key in named_in(package):
        thing = vars(sys.modules[module]).get(key)
        trap = _trap(f"{module}.{key}")
        if isinstance(thing, type):
            _arm_class(thing, trap)
        else:
            setattr(sys.modules[module], key, trap)


def _arm_class(thing: type, trap: Callable[..., Any]) -> None:
    for method in ("__init__", "forward"):
        if hasattr(thing, method):
            setattr(thing, method, trap)


@cache
def named_in(package: str) -> tuple[tuple[str, str], ...]:
    """(module, key) of each function in the modules of a package; a class once."""
    found: dict[Any, tuple[str, str]] = {}
    for name in sorted(loaded()):
        if _is_in(name, package):
            for key, value in vars(sys.modules[name]).items():
                kind = value if isinstance(value, type) else (name, key)
                ours = _is_in(str(getattr(value, "__module__", "")), package)
                if ours and (type(value) in FUNCTIONS or isinstance(value, type)):
                    found.setdefault(kind, (name, key))
    return tuple(found.values())


@cache
def loaded() -> frozenset[str]:
    return frozenset(sys.modules)


@cache
def places() -> dict[int, list[tuple[str, str]]]:
    """ID of each function in loaded modules -> (module, name) pairs; computed before a fork."""
    table: dict[int, list[tuple[str, str]]] = {}
    for name, module in sorted(sys.modules.items()):
        if isinstance(module, types.ModuleType):
            for key, value in vars(module).items():
                if type(value) in FUNCTIONS:  # `isinstance` would ask objects for their class
                    table.setdefault(id(value), []).append((name, key))
    return table


def _no_text(*arguments: Any, **options: Any) -> Any:
    raise ForbiddenError("TorchScript is not for answers: they run no text as code")


def _is_in(module: str, parent: str) -> bool:
    return module == parent or module.startswith(parent + ".")


def _forbidden(name: str) -> ForbiddenError:
    return ForbiddenError(f"{name} is the library's own answer to this task")


def _trap(name: str) -> Callable[..., Any]:
    def trap(*arguments: Any, **options: Any) -> Any:
        raise _forbidden(name)

    return trap


def _replace(thing: Any, trap: Callable[..., Any], package: str) -> None:
    for name, key in places().get(id(thing), ()):
        module = sys.modules.get(name)
        if _is_in(name, package) and getattr(module, key, None) is thing:
            setattr(module, key, trap)
