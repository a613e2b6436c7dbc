"""Which forbidden names a piece of source uses, by reading it: never by running it.

Followed are imports under any name (`import torch.nn as n`, `from torch.nn import X as Y`, star
imports), assignments (`n = torch.nn`), attributes, `getattr`, `vars(…)[…]` and `__dict__`,
`import_module` and `__import__`, strings put together from constants, and code in the strings of
`eval` and `exec`. What escapes a reader is trapped at run time by `grader.sandbox`.
"""

import ast
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from grader.core.outcomes import Reason, Stopped
from grader.submission.contents import Piece
from grader.submission.statements import Effort, parse

LOOKUPS = ("getattr", "attrgetter", "hasattr")
IMPORTS = ("import_module", "__import__")
SAME = {"torch.nn.modules": "torch.nn"}  # the same classes at a second address
EMPTY = frozenset[str]()
MOST_CODE = 3  # levels of code in strings
MOST_CODE_READ = 300_000  # characters of all of it
MOST_TEXT = 2_000  # characters of a string that is put together
MOST_NAME = 300  # of a dotted name: what is forbidden is its beginning


@dataclass(frozen=True)
class Use:
    """A forbidden name, where it is used."""

    name: str
    where: str
    line: int

    def __str__(self) -> str:
        return f"{self.name} ({self.where}, line {self.line})"


def forbidden_uses(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str] | None = None,
    others: Iterable[str] = (),
) -> tuple[Use, ...]:
    """Every use of a forbidden dotted name, or of something inside it, in source order.

    With `names`, only in what these definitions are made of: the pieces that define them, and those
    whose names these mention, at any distance, up to the definitions of `others`, which are other
    tasks'. A helper that compares with torch stays allowed.
    """
    kept = set(pieces if names is None else reachable(pieces, names, others))
    found = [
        use
        for piece, uses in zip(pieces, _all_uses(tuple(pieces), tuple(forbidden)), strict=True)
        for use in uses
        if piece in kept
    ]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=32)
def _all_uses(pieces: tuple[Piece, ...], forbidden: tuple[str, ...]) -> tuple[tuple[Use, ...], ...]:
    """What each piece uses of what is forbidden: the same for every check of a task."""
    seen, effort = _Known(), Effort()
    return tuple(tuple(_Reader(seen, piece, forbidden).read(effort)) for piece in pieces)


def expect_own_work(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str],
    others: Iterable[str] = (),
) -> None:
    """Stop with `Reason.FORBIDDEN` where the definitions of `names` use a forbidden name."""
    found = forbidden_uses(pieces, forbidden, names, others)
    if found:
        raise Stopped(
            Reason.FORBIDDEN,
            f"this task is answered by the library: {found[0]}",
            "write it out by hand, with what the earlier tasks gave you",
        )


def reachable(
    pieces: Sequence[Piece], names: Iterable[str], others: Iterable[str] = ()
) -> tuple[Piece, ...]:
    """The pieces that define `names`, and those that they need, in source order; not `others`."""
    defining: dict[str, list[int]] = {}
    for at, piece in enumerate(pieces):
        for name in piece.names:
            defining.setdefault(name, []).append(at)
    ahead, stop = list(names), set(others)
    seen, kept = set(ahead), set[int]()
    while ahead:
        for at in defining.get(ahead.pop(), ()):
            if at not in kept:
                kept.add(at)
                new = _mentioned(pieces[at].source) - stop - seen
                seen |= new
                ahead += new
    return tuple(piece for at, piece in enumerate(pieces) if at in kept)


@lru_cache(maxsize=16_384)
def _mentioned(source: str) -> frozenset[str]:
    tree = parse(source, Effort())
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)) if tree else EMPTY


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
    effort: Effort = field(default_factory=lambda: Effort(left=MOST_CODE_READ))  # of code in texts


class _Reader(ast.NodeVisitor):
    """Follows names through one piece, and what is known of them through all."""

    def __init__(self, known: _Known, piece: Piece, forbidden: tuple[str, ...], depth: int = 0):
        self.known, self.piece, self.forbidden, self.depth = known, piece, forbidden, depth
        self.uses: list[Use] = []

    def read(self, effort: Effort) -> list[Use]:
        tree = parse(self.piece.source, effort)
        if tree is None:  # what does not parse will not run either
            return []
        for statement in tree.body:
            with contextlib.suppress(RecursionError):  # code in strings may be nested so deep
                self.visit(statement)
        return self.uses

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name if alias.asname else alias.name.partition(".")[0]
            self.known.dotted[alias.asname or top] = top
            self._use(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            if alias.name == "*":
                self.known.stars |= _holding(module, self.forbidden)
                continue
            self.known.dotted[alias.asname or alias.name] = f"{module}.{alias.name}"
            self._use(f"{module}.{alias.name}", node)

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
            self._use(self.known.dotted.get(node.id), node)
            for module in sorted(self.known.stars):
                self._use(f"{module}.{node.id}", node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        self._use(self._dotted(node), node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        self._use(self._dotted(node), node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        self._use(self._dotted(node), node)
        called = _last(node.func)
        if called in ("eval", "exec", "compile") and node.args and self.depth < MOST_CODE:
            code = self._text(node.args[0])
            if code is not None:
                piece = Piece(
                    source=code,
                    where=self.piece.where,
                    line=self.piece.line + node.lineno - 1,
                    names=(),
                )
                inner = _Reader(self.known, piece, self.forbidden, self.depth + 1)
                self.uses += inner.read(self.known.effort)

    def _use(self, name: str | None, node: ast.AST) -> None:
        if name and _matches(name, self.forbidden):
            line = self.piece.line + getattr(node, "lineno", 1) - 1
            self.uses.append(Use(name, self.piece.where, line))

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
