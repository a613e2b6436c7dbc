"""Which names that are not for answers a task's definitions use, and what those are made of."""

import ast
from collections.abc import Iterable, Sequence
from functools import lru_cache

from grader.core.outcomes import Reason, Stopped
from grader.submission.contents import Piece
from grader.submission.statements import Effort, parse
from kws.course.used_names import ParsedSource, Use, uses_in


def forbidden_uses(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str] | None = None,
    others: Iterable[str] = (),
    number: str = "",
) -> list[Use]:
    return uses_in(_parts(tuple(pieces)), forbidden, names, others, number)


@lru_cache(maxsize=32)
def _parts(pieces: tuple[Piece, ...]) -> tuple[ParsedSource, ...]:
    effort = Effort()
    # what does not parse will not run either
    trees = [parse(piece.source, effort) or ast.Module([ast.Pass()], []) for piece in pieces]
    return tuple(
        ParsedSource(tree, piece.where, piece.line, piece.names, piece.changes)
        for tree, piece in zip(trees, pieces, strict=True)
    )


def expect_own_work(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str],
    others: Iterable[str] = (),
    number: str = "",
) -> None:
    found = forbidden_uses(pieces, forbidden, names, others, number)
    if found:
        raise Stopped(Reason.FORBIDDEN, found[0].fact, found[0].hint)
