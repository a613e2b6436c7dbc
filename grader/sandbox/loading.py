"""Load a student's definitions piece by piece; failures are recorded, the rest works.

Pieces run in order, in one namespace; one with an undefined name is retried after the others, until
nothing changes. Our references run after the imports, replace the student's definitions of the same
names, and cannot be changed by a student's piece. Line numbers are those of the cell.
"""

import ast
import difflib
import linecache
import sys
import types
from collections.abc import Mapping, Sequence, Set
from typing import Any

from grader.core.outcomes import Reason
from grader.sandbox.program import Code
from grader.sandbox.student_errors import Rejection, explain, quote
from grader.submission.contents import Piece
from kws.course.may_run import limited

FUTURE = 0x1FF0000  # compiler flags that `from __future__ import …` sets
MODULE = "student"  # as which the definitions see themselves


class Namespace:
    def __init__(self, code: Code):
        self.code = code
        self.module = types.ModuleType(MODULE)
        self.values: dict[str, Any] = self.module.__dict__
        self.failures: dict[str, Rejection] = {}
        self.source_files = frozenset(piece.where for piece in code.pieces)
        self.flags = 0
        sys.modules[MODULE] = self.module

    def load(self) -> None:
        code = self.code
        show_lines(code.pieces)
        ours = {name for piece in code.references for name in piece.names}
        imports = [piece for piece in code.pieces if _is_import(piece)]
        others = [piece for piece in code.pieces if piece not in imports]
        self._run_all([piece for piece in imports if not _is_about(piece, ours)])
        for piece in code.references:
            self._run_reference(piece)
        replaced = {name: self.values[name] for name in ours if name in self.values}
        bodies = [(c, dict(vars(c))) for c in replaced.values() if isinstance(c, type)]
        self._run_all([piece for piece in others if not _is_about(piece, ours)])
        self.values.update(replaced)
        for changed, before in bodies:
            _restore(changed, before)
        for name in replaced:
            self.failures.pop(name, None)

    def find(self, name: str) -> Any:
        """The definition of `name`; Rejection with the reason if it is missing."""
        if name in self.failures:
            raise self.failures[name]
        if name in self.values and not name.startswith("__"):
            return self.values[name]
        known = [key for key in self.values if not key.startswith("_")]
        near = difflib.get_close_matches(name, known, n=1)
        maybe = f" (did you mean {near[0]!r}?)" if near else ""
        raise Rejection(Reason.MISSING, f"{name} is not defined{maybe}")

    def explain(self, error: BaseException, what: str) -> Rejection:
        """The rejection for an exception in `what`; a missing name has a cause."""
        rejection = explain(error, what, self.source_files)
        name = error.name if type(error) is NameError else None
        cause = self.failures.get(name) if isinstance(name, str) else None
        if cause is not None and cause.message != rejection.message:
            message = f"{what} needs {name}: {cause.message}"
            return Rejection(cause.reason, message, rejection.hint or cause.hint)
        return rejection

    def _run_all(self, pieces: Sequence[Piece]) -> None:
        waiting, before = list(pieces), -1
        while waiting and len(waiting) != before:
            before = len(waiting)
            waiting = [piece for piece in waiting if not self._run(piece)]

    def _run(self, piece: Piece) -> bool:
        try:
            self._execute(piece)
        except BaseException as error:
            due = set(piece.names) - (set(piece.changes) & self.values.keys())
            names = [name for name in piece.names if name in due]  # no other piece gave them
            what = f"the definition of {' and '.join(names)}" if names else piece.where
            rejection = self._not_begun(error, piece, names) or self.explain(error, what)
            if rejection.reason is Reason.ERROR:
                rejection = Rejection(Reason.MISSING, rejection.message, rejection.hint)
            self.failures.update({name: rejection for name in names})
            return not isinstance(error, NameError)
        for name in piece.names:
            if name in self.values:
                self.failures.pop(name, None)
        return True

    def _not_begun(
        self, error: BaseException, piece: Piece, names: Sequence[str]
    ) -> Rejection | None:
        if isinstance(error, SyntaxError) and error.filename == piece.where and names:
            verb = "is" if len(names) == 1 else "are"
            line = error.lineno or piece.line
            message = (
                f"{' and '.join(names)} {verb} in {piece.where}, "
                f"which Python cannot read (line {line}): {error.msg}"
            )
            return Rejection(Reason.MISSING, message, quote(piece.where, line))
        if type(error) is ModuleNotFoundError and error.name and _is_import(piece):
            library = error.name.partition(".")[0]
            if library not in sys.modules:
                hint = quote(piece.where, piece.line)
                return Rejection(Reason.MISSING, f"{library} is not installed here", hint)
        return None

    def _run_reference(self, piece: Piece) -> None:
        try:
            exec(compile(piece.source, "reference", "exec", dont_inherit=True), self.values)
        except BaseException as error:
            names = ", ".join(piece.names)
            message = f"the reference of {names} failed: {type(error).__name__}"
            raise Rejection(Reason.INFRASTRUCTURE, message) from None

    def _execute(self, piece: Piece) -> None:
        text = "\n" * (piece.line - 1) + piece.source
        code = compile(text, piece.where, "exec", flags=self.flags, dont_inherit=True)
        self.flags |= code.co_flags & FUTURE
        with limited():
            exec(code, self.values)


def show_lines(pieces: Sequence[Piece]) -> None:
    """Register the source of the cells for tracebacks and `inspect`, with line numbers."""
    cells: dict[str, list[str]] = {}
    for piece in pieces:
        lines = cells.setdefault(piece.where, [])
        own = [line + "\n" for line in piece.source.split("\n")]
        begin = piece.line - 1
        lines += ["\n"] * (begin + len(own) - len(lines))
        lines[begin : begin + len(own)] = own
    for where, lines in cells.items():
        linecache.cache[where] = (sum(map(len, lines)), None, lines, where)


def _is_about(piece: Piece, ours: Set[str]) -> bool:
    """Whether it only defines names of ours, or changes one."""
    changes = not ours.isdisjoint(piece.changes)
    return changes or (bool(piece.names) and ours >= set(piece.names))


def _restore(changed: type, before: Mapping[str, Any]) -> None:
    for name, value in {**dict.fromkeys(vars(changed)), **before}.items():
        if name not in before:
            type.__delattr__(changed, name)
        elif vars(changed).get(name) is not value:
            type.__setattr__(changed, name, value)


def _is_import(piece: Piece) -> bool:
    if not piece.source.lstrip().startswith(("import", "from")):
        return False
    try:
        body = ast.parse(piece.source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)
