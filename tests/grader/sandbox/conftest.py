"""Students made of source text."""

import ast
import contextlib
from collections.abc import Iterator

import pytest

from grader.core.outcomes import Reason, Stopped
from grader.sandbox import Code, RemoteStudent, Session
from grader.submission.contents import Piece


def pieces(source: str, where: str = "cell 7") -> tuple[Piece, ...]:
    """The top-level statements of `source` as salvage would make them."""
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        else:
            names = [name.id for name in ast.walk(node) if isinstance(name, ast.Name)][:1]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = "\n".join(source.split("\n")[first - 1 : node.end_lineno])
        found.append(Piece(source=text, where=where, line=first, names=tuple(names)))
    return tuple(found)


def stopped(call, *args, **kwargs) -> Stopped:
    """The ending that a call makes."""
    with pytest.raises(Stopped) as caught:
        call(*args, **kwargs)
    return caught.value


def reason(call, *args, **kwargs) -> Reason:
    """Why a call ended."""
    return stopped(call, *args, **kwargs).reason


@pytest.fixture(scope="session")
def session(best) -> Iterator[Session]:
    """One submission's session in the best sandbox."""
    with best.session() as session:
        yield session


@pytest.fixture
def student(session) -> Iterator:
    """`student(source, **of_code)`: a check process with these definitions."""
    with contextlib.ExitStack() as stack:

        def make(source: str, *, seconds: float | None = None, **options) -> RemoteStudent:
            code = Code(pieces=pieces(source), **options)
            return stack.enter_context(session.check(code, seconds=seconds))

        yield make
