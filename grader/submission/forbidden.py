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
    return uses_in(parsed(tuple(pieces)), forbidden, names, others, number)


@lru_cache(maxsize=32)
def parsed(pieces: tuple[Piece, ...]) -> tuple[ParsedSource, ...]:
    effort = Effort()
    # what does not parse will not run either; the last statement follows `from __future__ import …`
    trees = [parse(piece.source, effort) for piece in pieces]
    nodes = [[ast.Pass(), *(tree.body if tree else ())][-1] for tree in trees]
    return tuple(
        ParsedSource(node, each.source, each.where, each.line, each.names, each.changes)
        for node, each in zip(nodes, pieces, strict=True)
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
