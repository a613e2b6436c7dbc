"""Which forbidden names a piece of source uses, by reading it: never by running it.

Followed are imports under any name (`import torch.nn as n`, `from torch.nn import X as Y`, star
imports), assignments (`n = torch.nn`), attributes, `getattr`, `vars(…)[…]` and `__dict__`,
`import_module` and `__import__`, strings put together from constants, and code in the strings of
`eval` and `exec`. What escapes a reader is trapped at run time by `grader.isolation`.
"""

import ast
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.outcomes import Reason, Stopped
from grader.submission import Piece

LOOKUPS = ("getattr", "attrgetter", "hasattr")
IMPORTS = ("import_module", "__import__")
SAME = {"torch.nn.modules": "torch.nn"}  # the same classes at a second address
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
MOST_CODE = 3  # levels of code in strings


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
    kept = pieces if names is None else reachable(pieces, names, others)
    found = [
        use
        for piece, uses in _all_uses(tuple(pieces))
        for use in uses
        if piece in kept and _matches(use.name, forbidden)
    ]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=8)
def _all_uses(pieces: tuple[Piece, ...]) -> tuple[tuple[Piece, tuple[Use, ...]], ...]:
    """What each piece uses: the same for every check of a submission."""
    seen: dict[str, str] = {}
    return tuple((piece, tuple(_Reader(seen, piece).read())) for piece in pieces)


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
    wanted, stop = set(names), set(others)
    kept: set[int] = set()
    grown = True
    while grown:
        grown = False
        for at, piece in enumerate(pieces):
            if at not in kept and wanted & set(piece.names):
                kept.add(at)
                wanted |= _mentioned(piece.source) - stop
                grown = True
    return tuple(piece for at, piece in enumerate(pieces) if at in kept)


@lru_cache(maxsize=256)
def _mentioned(source: str) -> frozenset[str]:
    try:
        nodes = ast.walk(ast.parse(source))
        return frozenset(node.id for node in nodes if isinstance(node, ast.Name))
    except UNREADABLE:
        return frozenset()


def _matches(name: str, forbidden: Sequence[str]) -> bool:
    for long, short in SAME.items():
        if name.startswith(f"{long}."):
            name = f"{short}.{name.rpartition('.')[2]}"
    return any(name == one or name.startswith(f"{one}.") for one in forbidden)


class _Reader(ast.NodeVisitor):
    """Follows names through one piece; `known` maps a local name to what it stands for, dotted."""

    def __init__(self, known: dict[str, str], piece: Piece, depth: int = 0):
        self.known, self.piece, self.depth = known, piece, depth
        self.uses: list[Use] = []

    def read(self) -> list[Use]:
        with contextlib.suppress(*UNREADABLE):  # it will not run either
            self.visit(ast.parse(self.piece.source))
        return self.uses

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name if alias.asname else alias.name.partition(".")[0]
            self.known[alias.asname or top] = top
            self._use(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            if alias.name == "*":
                self.known[f"*{module}"] = module
                continue
            self.known[alias.asname or alias.name] = f"{module}.{alias.name}"
            self._use(f"{module}.{alias.name}", node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        stands_for = self._dotted(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                if stands_for:
                    self.known[target.id] = stands_for
                elif (text := self._text(node.value)) is not None:
                    self.known[f"'{target.id}"] = text

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        if stands_for := self._dotted(node.value):
            self.known[node.target.id] = stands_for

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(self.known.get(node.id), node)
            for star, module in self.known.items():
                if star.startswith("*"):
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
                self.uses += _Reader(self.known, piece, self.depth + 1).read()

    def _use(self, name: str | None, node: ast.AST) -> None:
        if name:
            line = self.piece.line + getattr(node, "lineno", 1) - 1
            self.uses.append(Use(name, self.piece.where, line))

    def _dotted(self, node: ast.AST) -> str | None:
        """The dotted name that an expression stands for, as far as reading tells."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return base if node.attr == "__dict__" else base and f"{base}.{node.attr}"
        if isinstance(node, ast.Subscript):
            base, key = self._dotted(node.value), self._text(node.slice)
            return f"{base}.{key}" if base and key else None
        if isinstance(node, ast.Call) and node.args:
            called, texts = _last(node.func), [self._text(arg) for arg in node.args]
            if called in IMPORTS and texts[0]:
                return texts[0] if called == "import_module" else texts[0].partition(".")[0]
            if called == "vars":
                return self._dotted(node.args[0])
            if called in LOOKUPS and len(texts) > 1 and texts[1]:
                base = self._dotted(node.args[0])
                return base and f"{base}.{texts[1]}"
        return None

    def _text(self, node: ast.AST) -> str | None:
        """The text that an expression is, where it is made of constants."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self.known.get(f"'{node.id}")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._text(node.left), self._text(node.right)
            return None if left is None or right is None else left + right
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
            and (text := self._text(node.value)) is not None
            and ast.unparse(node.slice) == "::-1"
        ):
            return text[::-1]
        return None

    def _joined(self, nodes: Sequence[ast.AST], between: str) -> str | None:
        texts = [self._text(node) for node in nodes]
        return None if None in texts else between.join(text for text in texts if text is not None)


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
