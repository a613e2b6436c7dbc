"""A submission as data: what was handed in, read and repaired, before any of it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One top-level statement of the student's that may run: an import, a definition, a constant.

    Attributes:
        source: the statement's text.
        where: "cell 7" as the student counts (from 1, all cells), or the name of a .py file.
        line: of that cell or file on which the statement begins, from 1.
        names: what it defines, or changes in place.
        changes: those of them that it changes, as `Layer.forward = f` does with Layer.
    """

    source: str
    where: str
    line: int
    names: tuple[str, ...]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One student's answer to one assignment.

    Attributes:
        pieces: in the order in which they run.
        digest: SHA-256 of the bytes handed in, of this assignment's files.
        repairs: what was mended, each a sentence that the student reads.
        weights: bytes of `model.safetensors`, where there is one.
        text: all code as submitted, for checks of the source.
        handed_in: the notebook's or script's own bytes, where written answers are looked for.
        unread: why nothing was read of what was handed in, though it may hold an answer.
    """

    assignment: str
    pieces: tuple[Piece, ...]
    digest: str
    repairs: tuple[str, ...] = ()
    weights: bytes | None = None
    text: str = ""
    handed_in: bytes = b""
    unread: str = ""
