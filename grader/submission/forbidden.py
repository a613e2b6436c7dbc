"""Which names that are not for answers a task's definitions use, and what those are made of."""

import ast
from collections.abc import Iterable, Sequence
from functools import lru_cache

from grader.core.outcomes import Reason, Stopped
from grader.submission.contents import Piece
from grader.submission.statements import Effort, parse
from kws.contracts.used_names import ParsedSource, Use, uses

EMPTY = frozenset[str]()


def forbidden_uses(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str] | None = None,
    others: Iterable[str] = (),
) -> tuple[Use, ...]:
    """Every use of a forbidden dotted name, or of one that no answer may use, in source order.

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
    effort = Effort()
    # what does not parse will not run either
    trees = [parse(piece.source, effort) or ast.Module([], []) for piece in pieces]
    parts = zip(trees, pieces, strict=True)
    sources = [ParsedSource(tree, piece.where, piece.line) for tree, piece in parts]
    return tuple(map(tuple, uses(sources, forbidden)))


def expect_own_work(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str],
    others: Iterable[str] = (),
) -> None:
    """Stop with `Reason.FORBIDDEN` where the definitions of `names` use what is not for answers."""
    found = forbidden_uses(pieces, forbidden, names, others)
    if found:
        raise Stopped(Reason.FORBIDDEN, found[0].fact, found[0].hint)


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
