"""The code that a check process loads: a student's pieces, our replacements, and the rules."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader.submission.contents import Piece


@dataclass(frozen=True, kw_only=True)
class Code:
    pieces: tuple[Piece, ...]  # the student's, in source order
    # ours, loaded after the student's imports: they replace definitions of the same names
    references: tuple[Piece, ...] = ()
    # dotted names (`torch.nn.MultiheadAttention`) that may not be used
    forbidden: tuple[str, ...] = ()
    seed: int = 0  # of torch, numpy and random, set before every call
    # use the hook of `audit`; off in tests of the isolation outside Python
    audited: bool = True

    def to_bytes(self) -> Tensor:
        """The code as one tensor: `wire` would process a thousand texts one by one."""
        plain = {**vars(self), "pieces": _rows(self.pieces), "references": _rows(self.references)}
        return torch.frombuffer(bytearray(json.dumps(plain).encode()), dtype=torch.uint8)

    @classmethod
    def from_bytes(cls, data: Tensor) -> "Code":
        plain = json.loads(data.numpy().tobytes())
        return cls(
            pieces=_pieces(plain["pieces"]),
            references=_pieces(plain["references"]),
            forbidden=tuple(plain["forbidden"]),
            seed=plain["seed"],
            audited=plain["audited"],
        )


def _rows(pieces: Iterable[Piece]) -> list[list[Any]]:
    return [[each.source, each.where, each.line, each.names, each.changes] for each in pieces]


def _pieces(rows: Iterable[Sequence[Any]]) -> tuple[Piece, ...]:
    return tuple(
        Piece(source=source, where=where, line=line, names=tuple(names), changes=tuple(changes))
        for source, where, line, names, changes in rows
    )
