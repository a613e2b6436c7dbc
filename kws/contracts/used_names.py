"""Which names that are not for answers a piece of source uses, by reading it: never by running it.

Followed are imports under any name (`import torch.nn as n`, `from torch.nn import X as Y`, star
imports), assignments (`n = torch.nn`), attributes, `getattr`, `vars(…)[…]` and `__dict__`,
`import_module` and `__import__`, and strings put together from constants. What escapes a reader is
caught when it runs: see `own_work`, and `grader.sandbox`.
"""

import ast
import contextlib
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from kws.contracts.own_work import ALLOWED, ATTRIBUTES, BUILTINS, is_library, refusal

LOOKUPS = ("getattr", "attrgetter", "hasattr")
IMPORTS = ("import_module", "__import__")
SAME = {"torch.nn.modules": "torch.nn"}  # the same classes at a second address
BY_HAND = "write it out by hand, with what the earlier tasks gave you"
MOST_TEXT = 2_000  # characters of a string that is put together
MOST_NAME = 300  # of a dotted name: what is forbidden is its beginning


@dataclass(frozen=True)
class Use:
    """A name that is not for answers, and where; `ready` if it answers the task by itself."""

    name: str
    where: str
    line: int
    ready: bool

    @property
    def fact(self) -> str:
        """`eval (cell 7, line 3) is not for answers`."""
        told = "answers this task by itself" if self.ready else "is not for answers"
        return f"{self.name} ({self.where}, line {self.line}) {told}"

    @property
    def hint(self) -> str:
        """What to do instead."""
        return BY_HAND if self.ready else ALLOWED


@dataclass(frozen=True)
class ParsedSource:
    """A parsed piece of code; `line` is that of its first in `where`."""

    tree: ast.Module
    where: str
    line: int


def uses(
    sources: Iterable[ParsedSource],
    forbidden: Sequence[str],
    modules: Mapping[str, str] | None = None,
) -> Iterator[list[Use]]:
    """For each source what it uses that is forbidden or not for answers, in its order.

    What names stand for is kept from source to source; `modules` is what is known before.
    """
    known = _Known(dotted=dict(modules or {}))
    for source in sources:
        yield _Reader(known, source, tuple(forbidden)).read()


def uses_of(answers: Mapping[str, Any], forbidden: Sequence[str]) -> list[Use]:
    """What loaded functions and classes use, and those of the student's that they mention."""
    ahead, seen = list(answers.values()), set[int]()
    sources: list[ParsedSource] = []
    modules: dict[str, str] = {}
    while ahead:
        one = ahead.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, type) and not is_library(getattr(one, "__module__", "")):
            ahead += [getattr(value, "fget", value) for value in vars(one).values()]
            ahead += one.__bases__
        one = inspect.unwrap(getattr(one, "__func__", one)) if callable(one) else one
        if isinstance(one, FunctionType) and not is_library(one.__module__):
            sources += _source_of(one)
            for name in _names_in(one.__code__):
                value = one.__globals__.get(name)
                if isinstance(value, ModuleType):
                    modules[name] = value.__name__
                elif isinstance(value, type | FunctionType):
                    if value.__module__ not in (one.__module__, "__main__"):
                        modules[name] = str(value.__module__).partition(".")[0]
                    ahead.append(value)
    return [use for found in uses(sources, forbidden, modules) for use in found]


def _source_of(function: FunctionType) -> list[ParsedSource]:
    with contextlib.suppress(OSError, TypeError, SyntaxError, ValueError, RecursionError):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        return [ParsedSource(tree=tree, where=function.__name__, line=1)]
    return []  # made by a call, or of a cell that is gone


def _names_in(code: CodeType) -> set[str]:
    inner = [_names_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(*inner)


def _matches(name: str, forbidden: Sequence[str]) -> bool:
    name = _usual(name)
    return any(name == one or name.startswith(f"{one}.") for one in forbidden)


def _usual(name: str) -> str:
    for long, short in SAME.items():
        if name.startswith(f"{long}."):
            name = f"{short}.{name.rpartition('.')[2]}"
    return name


def _holding(module: str, forbidden: Sequence[str]) -> set[str]:
    """What `from module import *` brings forbidden names from: the module, or nothing."""
    module = _usual(f"{module}.x").rpartition(".")[0]
    inside = {one for one in forbidden if module == one or module.startswith(f"{one}.")}
    return inside or {module for one in forbidden if one.startswith(f"{module}.")}


@dataclass(kw_only=True)
class _Known:
    """What local names stand for: a dotted name, a text; modules whose names came with a star."""

    dotted: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    stars: set[str] = field(default_factory=set)


class _Reader(ast.NodeVisitor):
    """Follows names through one source, and what is known of them through all."""

    def __init__(self, known: _Known, source: ParsedSource, forbidden: tuple[str, ...]):
        self.known, self.source, self.forbidden = known, source, forbidden
        self.own = {name for node in ast.walk(source.tree) for name in _bound(node)}
        self.found: list[Use] = []

    def read(self) -> list[Use]:
        for statement in self.source.tree.body:
            with contextlib.suppress(RecursionError):
                self.visit(statement)
        return self.found

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name if alias.asname else alias.name.partition(".")[0]
            self.known.dotted[alias.asname or top] = top
            self._ready(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            if alias.name == "*":
                self.known.stars |= _holding(module, self.forbidden)
                continue
            self.known.dotted[alias.asname or alias.name] = f"{module}.{alias.name}"
            self._ready(f"{module}.{alias.name}", node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        stands_for = self._dotted(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                if stands_for:
                    self.known.dotted[target.id] = stands_for
                elif (text := self._text(node.value)) is not None:
                    self.known.texts[target.id] = text

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        if stands_for := self._dotted(node.value):
            self.known.dotted[node.target.id] = stands_for

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if node.id in BUILTINS - self.own - self.known.dotted.keys():
                self._note(node.id, node, ready=False)
            self._use(self.known.dotted.get(node.id), node)
            for module in sorted(self.known.stars):
                self._ready(f"{module}.{node.id}", node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        if node.attr in ATTRIBUTES and isinstance(node.ctx, ast.Load):
            self._note(node.attr, node, ready=False)
        self._use(self._dotted(node), node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        self._use(self._dotted(node), node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        self._use(self._dotted(node), node)
        looked_up = [self._text(one) for one in node.args[1:2]]
        if _last(node.func) in LOOKUPS and looked_up and looked_up[0] in ATTRIBUTES:
            self._note(looked_up[0] or "", node, ready=False)

    def _use(self, name: str | None, node: ast.AST) -> None:
        if name and not self._ready(name, node) and (refused := refusal(name)):
            self._note(refused, node, ready=False)

    def _ready(self, name: str, node: ast.AST) -> bool:
        found = _matches(name, self.forbidden)
        if found:
            self._note(name, node, ready=True)
        return found

    def _note(self, name: str, node: ast.AST, *, ready: bool) -> None:
        line = self.source.line + getattr(node, "lineno", 1) - 1
        self.found.append(Use(name, self.source.where, line, ready))

    def _dotted(self, node: ast.AST) -> str | None:
        """The dotted name that an expression stands for, as far as reading tells."""
        if isinstance(node, ast.Name):
            return self.known.dotted.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return base if node.attr == "__dict__" else base and _inside(base, node.attr)
        if isinstance(node, ast.Subscript):
            base, key = self._dotted(node.value), self._text(node.slice)
            return _inside(base, key) if base and key else None
        if isinstance(node, ast.Call) and node.args:
            called, texts = _last(node.func), [self._text(arg) for arg in node.args]
            if called in IMPORTS and texts[0]:
                return texts[0] if called == "import_module" else texts[0].partition(".")[0]
            if called == "vars":
                return self._dotted(node.args[0])
            if called in LOOKUPS and len(texts) > 1 and texts[1]:
                base = self._dotted(node.args[0])
                return base and _inside(base, texts[1])
        return None

    def _text(self, node: ast.AST) -> str | None:
        """The text that an expression is, where it is made of constants."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self.known.texts.get(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._joined([node.left, node.right], "")
        if isinstance(node, ast.JoinedStr):
            return self._joined(
                [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values], ""
            )
        if isinstance(node, ast.Call) and _last(node.func) == "join" and node.args:
            between = self._text(node.func.value) if isinstance(node.func, ast.Attribute) else None
            if isinstance(node.args[0], ast.List | ast.Tuple) and between is not None:
                return self._joined(node.args[0].elts, between)
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Slice)
            and _is_backwards(node.slice)
            and (text := self._text(node.value)) is not None
        ):
            return text[::-1]
        return None

    def _joined(self, nodes: Sequence[ast.AST], between: str) -> str | None:
        texts: list[str] = []
        size = 0
        for node in nodes:
            text = self._text(node)
            size += len(text or "") + len(between)
            if text is None or size > MOST_TEXT:
                return None
            texts.append(text)
        return between.join(texts)


def _inside(base: str, name: str) -> str:
    """The dotted name of something in `base`; of what lies very deep, its beginning."""
    return f"{base}.{name}" if len(base) < MOST_NAME else base


def _is_backwards(part: ast.Slice) -> bool:
    """Whether it is `[::-1]`."""
    step = part.step
    if part.lower or part.upper or not isinstance(step, ast.UnaryOp):
        return False
    one = isinstance(step.operand, ast.Constant) and step.operand.value == 1
    return one and isinstance(step.op, ast.USub)


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node makes the source's own."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
