"""Which names that are not for answers a piece of source uses, by reading it: never by running it.

Followed are imports under any name (`import torch.nn as n`, `from torch.nn import X as Y`, star
imports), assignments (`n = torch.nn`), attributes, `getattr`, `vars(…)[…]` and `__dict__`,
`import_module` and `__import__`, and strings put together from constants. What escapes a reader is
caught when it runs: see `own_work`, and `grader.sandbox`.
"""

import ast
import bisect
import builtins
import contextlib
import linecache
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from kws.course.may_run import (
    BLOCKS,
    Definition,
    changes_of,
    is_check,
    is_harmless,
    names_of,
    trains,
    used_names,
)
from kws.course.notebooks import modules_used
from kws.course.own_work import (
    ALLOWED,
    ATTRIBUTES,
    BUILTINS,
    is_installed,
    is_own,
    is_public,
    refusal,
)
from kws.course.source import as_python, parse, statements_of

LOOKUPS = ("getattr", "attrgetter", "hasattr")
IMPORTS = ("import_module", "__import__")
SAME = {"torch.nn.modules": "torch.nn"}  # the same classes at a second address
UNSET = "is set by no assignment, def or import, so it is not there when this is graded"
BY_HAND = "write it out by hand, with what the earlier tasks gave you"
MOST_TEXT = 2_000  # characters of a string that is put together
IMPORTED = re.compile(r"^\s*from ([\w.]+) import\b", re.MULTILINE)
MOST_NAME = 300  # of a dotted name: what is forbidden is its beginning


@dataclass(frozen=True)
class Use:
    """A name that is not for answers, and where; `ready` if it answers the task by itself."""

    name: str
    where: str
    line: int
    ready: bool
    unset: bool = False

    @property
    def fact(self) -> str:
        """`eval (cell 7, line 3) must not be used in an answer`."""
        verdict = "must not be used in an answer"
        if self.ready or self.unset:
            verdict = "is a ready-made solution of this task" if self.ready else UNSET
        return f"{self.name} ({self.where}, line {self.line}) {verdict}"

    @property
    def hint(self) -> str:
        top = self.name.partition(".")[0]
        if self.unset:
            return f"write `{self.name} = …`, a line of its own outside of functions"
        if not self.ready and is_own(top) and top not in BUILTINS | ATTRIBUTES:
            return f"write `from {top} import …`, with the names that you use"
        return BY_HAND if self.ready else ALLOWED


@dataclass(frozen=True)
class ParsedSource:
    """A parsed statement at `line`; `names` it defines or changes, and `changes` among them."""

    node: ast.stmt
    source: str
    where: str
    line: int
    names: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def uses_in(
    parts: Sequence[ParsedSource],
    forbidden: Sequence[str],
    names: Iterable[str] | None = None,
    others: Iterable[str] = (),
    number: str = "",
) -> list[Use]:
    """What the definitions of `names` use that they may not, in the order of the source.

    Read is all that they are made of: the parts that define them, and those whose names these
    mention, at any distance, up to the definitions of `others`, which are other tasks'. Of kws an
    answer may use the modules that the notebook of assignment `number` imports. A helper
    that compares with torch stays allowed. What `from kws.… import *` brings cannot be followed:
    it counts wherever it is. Without `names`, everything is read.
    """
    kept = range(len(parts)) if names is None else reachable(parts, names, others)[0]
    found = _all_uses(tuple(parts), tuple(forbidden), number)
    stars = (at for at, part in enumerate(parts) if "*" in part.names)
    return list(dict.fromkeys(use for at in (*kept, *stars) for use in found[at]))


@lru_cache(maxsize=32)
def _all_uses(
    parts: tuple[ParsedSource, ...], forbidden: tuple[str, ...], number: str
) -> list[list[Use]]:
    """For each part what it uses that is not for answers; what names mean is kept between them."""
    known = _Known()
    return [_Reader(known, part, forbidden, number).read() for part in parts]


class StatementLike(Protocol):
    """A statement: `names` are those that it defines, `changes` those that it changes."""

    @property
    def node(self) -> ast.stmt: ...
    @property
    def source(self) -> str: ...
    @property
    def names(self) -> Collection[str]: ...
    @property
    def changes(self) -> Collection[str]: ...


def reachable(
    parts: Sequence[StatementLike], names: Iterable[str], others: Iterable[str] = ()
) -> tuple[list[int], set[str]]:
    """Which statements `names` need, in order, and all names that are met; not beyond `others`.

    They are those that define the names, of several the last, what changes these, and what all of
    these need in turn. A statement outside of functions uses what was defined before it. This is
    the one definition of what an answer is made of: of what may not be in it, of what runs in
    `kws check` and in the grader, and of the code that a report shows.
    """
    defining: dict[str, list[int]] = {}
    for at, part in enumerate(parts):
        for name in {*part.names, *part.changes}:
            defining.setdefault(name, []).append(at)
    ahead = [(name, len(parts)) for name in names]
    seen, kept, stop = set(ahead), set[int](), set(others)
    while ahead:
        name, before = ahead.pop()
        there = defining.get(name, [])
        at = bisect.bisect_left(there, before) - 1
        changing = [n for n in there if name in parts[n].changes]
        for number in {*there[max(at, 0) : max(at, 0) + 1], *changing} - kept:
            kept.add(number)
            later = isinstance(parts[number].node, Definition)
            for each in used_names(parts[number].source) - stop:
                new = [(each, len(parts)), (each, number)] if later else [(each, number)]
                ahead += [one for one in new if one not in seen]
                seen.update(new)
    return sorted(kept), {name for name, _ in seen}


def uses_of(answers: Mapping[str, Any], forbidden: Sequence[str], number: str = "") -> list[Use]:
    """What these answers use that they may not; read are the cells that ran in this kernel."""
    names = {*answers, *(getattr(value, "__name__", "") for value in answers.values())}
    parts = _cells_that_ran()
    return uses_in(parts, forbidden, names, number=number) or _unset(parts, names)


def _unset(parts: Sequence[ParsedSource], names: Iterable[str]) -> list[Use]:
    """Global names that answers use, and that `exec`, `globals()` or a function's `global` set."""
    known = {*dir(builtins), "display", "get_ipython", *(n for part in parts for n in part.names)}
    stars = (getattr(part.node, "module", "") for part in parts if "*" in part.names)
    known.update(*(vars(sys.modules[star]) for star in stars if star in sys.modules))
    there = {name for name in vars(sys.modules["__main__"]) if name not in known}
    return [
        Use(name, parts[at].where, parts[at].line, ready=False, unset=True)
        for at in reachable(parts, names)[0]
        for name in sorted(used_names(parts[at].source) & there)
    ]


def _cells_that_ran() -> list[ParsedSource]:
    """Every statement of the cells that ran, and of the scripts that they import names from."""
    kernel = getattr(sys.modules["__main__"], "get_ipython", lambda: None)()
    history = getattr(getattr(kernel, "history_manager", None), "input_hist_raw", ())
    parts: list[ParsedSource] = []
    for number, source in enumerate(history):
        parts += _statements(source, str(getattr(source, "where", f"cell [{number}]")))
    return [*_imported_scripts(history), *parts]


def _imported_scripts(history: Sequence[str]) -> Iterator[ParsedSource]:
    """The statements of the student's scripts from which cells import names."""
    modules = dict.fromkeys(name for source in history for name in IMPORTED.findall(source))
    for name in modules:
        file = str(getattr(sys.modules.get(name), "__file__", ""))
        if is_own(name) and file.endswith(".py"):
            yield from _statements("".join(linecache.getlines(file)), file.rpartition("/")[2])


@lru_cache(maxsize=1024)
def _statements(source: str, where: str) -> list[ParsedSource]:
    """The top-level statements of a cell; none of what Python cannot read."""
    try:
        python = as_python(source)
        statements = statements_of(parse(python), python)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    defines = any(isinstance(each.node, Definition) for each in statements)
    parts = []
    for statement in statements:
        if is_check(statement.node):
            continue
        for each in _without_own_import(statement.node):
            changes = tuple(statement.drawn)
            # a training or a plot, in a cell without a definition, changes nothing for an answer
            plain = defines or is_harmless(each) or isinstance(each, BLOCKS)
            if plain and not trains(each):
                changes = (*changes_of(each), *changes)
            text = statement.source if each is statement.node else ast.unparse(each)
            names = (*names_of(each), *changes)
            parts.append(ParsedSource(each, text, where, line=1, names=names, changes=changes))
    return parts


def _without_own_import(node: ast.stmt) -> list[ast.stmt]:
    """`g = f` for `from helper import f as g`: the script itself is read, too."""
    if not isinstance(node, ast.ImportFrom) or not node.module or not is_own(node.module):
        return [node]
    renamed = [f"{each.asname} = {each.name}" for each in node.names if each.asname]
    return ast.parse("\n".join(renamed)).body


def _matches(name: str, forbidden: Sequence[str]) -> bool:
    name = _usual(name)
    return any(name == one or name.startswith(f"{one}.") for one in forbidden)


def _usual(name: str) -> str:
    for long, short in SAME.items():
        if name.startswith(f"{long}."):
            name = f"{short}.{name.rpartition('.')[2]}"
    return name


def _holding(module: str, forbidden: Sequence[str]) -> set[str]:
    """The forbidden names that `from module import *` imports, as the module or its parts."""
    module = _usual(f"{module}.x").rpartition(".")[0]
    inside = {one for one in forbidden if module == one or module.startswith(f"{one}.")}
    return inside or {module for one in forbidden if one.startswith(f"{module}.")}


@dataclass(kw_only=True)
class _Known:
    """The meaning of local names: a dotted name or a string; and star-imported modules."""

    dotted: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    stars: set[str] = field(default_factory=set)


class _Reader(ast.NodeVisitor):
    def __init__(
        self, known: _Known, source: ParsedSource, forbidden: tuple[str, ...], number: str
    ):
        self.known, self.source, self.forbidden, self.number = known, source, forbidden, number
        self.own = _own_names(source.node)
        self.found: list[Use] = []

    def read(self) -> list[Use]:
        with contextlib.suppress(RecursionError):
            self.visit(self.source.node)
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
                if self._is_unasked(f"{module}.*"):
                    self._note(f"{module}.*", node, ready=False)
                continue
            self.known.dotted[alias.asname or alias.name] = f"{module}.{alias.name}"
            self._ready(f"{module}.{alias.name}", node)

    def visit_Try(self, node: ast.Try) -> None:
        """An import that fails where it is not installed counts for nothing: its handler runs."""
        for statement in node.body:
            if node.handlers and isinstance(statement, ast.Import | ast.ImportFrom):
                module = getattr(statement, "module", None) or statement.names[0].name
                if not is_public(module.partition(".")[0]) and not is_installed(module):
                    continue
            self.visit(statement)
        for statement in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(statement)

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
            if node.id in BUILTINS and node.id not in self.own | self.known.dotted.keys():
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
        if name and not self._ready(name, node):
            refused = refusal(name) or (self._is_unasked(name) and name)
            if refused:
                self._note(refused, node, ready=False)

    def _is_unasked(self, name: str) -> bool:
        """Whether it is of a module of kws that the notebook does not import."""
        if not self.number or not name.startswith("kws."):
            return False
        inside = f"{name}."
        return not any(
            inside.startswith(f"{one}.") or one.startswith(inside)
            for one in modules_used(self.number)
        )

    def _ready(self, name: str, node: ast.AST) -> bool:
        found = _matches(name, self.forbidden)
        if found:
            self._note(name, node, ready=True)
        return found

    def _note(self, name: str, node: ast.AST, *, ready: bool) -> None:
        line = self.source.line + getattr(node, "lineno", 1) - 1
        self.found.append(Use(name, self.source.where, line, ready))

    def _dotted(self, node: ast.AST) -> str | None:
        """The dotted name of an expression, if it can be read off."""
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
    step = part.step
    if part.lower or part.upper or not isinstance(step, ast.UnaryOp):
        return False
    one = isinstance(step.operand, ast.Constant) and step.operand.value == 1
    return one and isinstance(step.op, ast.USub)


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@lru_cache(maxsize=16_384)
def _own_names(tree: ast.AST) -> frozenset[str]:
    return frozenset(name for node in ast.walk(tree) for name in _bound(node))


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node makes the source's own."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
