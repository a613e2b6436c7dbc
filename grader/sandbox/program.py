"""What a check process is to load: a student's pieces, ours where theirs failed, and the rules."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from grader.submission.contents import Piece


@dataclass(frozen=True, kw_only=True)
class Code:
    """A submission's code as one check runs it.

    Attributes:
        pieces: the student's, in source order.
        references: ours, loaded after the student's imports: they replace the student's
            definitions of the same names.
        forbidden: dotted names (`torch.nn.MultiheadAttention`) that may not be used.
        seed: of torch, numpy and random, set before every call.
    """

    pieces: tuple[Piece, ...]
    references: tuple[Piece, ...] = ()
    forbidden: tuple[str, ...] = ()
    seed: int = 0

    def to_plain(self) -> dict[str, Any]:
        """As lists, dictionaries and text, for the wire."""
        return {
            "pieces": [asdict(piece) for piece in self.pieces],
            "references": [asdict(piece) for piece in self.references],
            "forbidden": self.forbidden,
            "seed": self.seed,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Code":
        """What `to_plain` made."""
        lists = {key: tuple(Piece(**row) for row in plain[key]) for key in ("pieces", "references")}
        return cls(forbidden=tuple(plain["forbidden"]), seed=plain["seed"], **lists)
