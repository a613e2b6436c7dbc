"""A submission as data: read and repaired, before any of it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One top-level statement of the student's that may run: an import, a definition, a value."""

    source: str  # the statement's text
    where: str  # "cell 7" as the student counts (from 1, all cells), or the name of a .py file
    line: int  # of that cell or file on which the statement begins, from 1
    names: tuple[str, ...]  # what it defines, or changes in place
    # those of them that it changes, as `Layer.forward = f` does with Layer
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Submission:
    assignment: str
    pieces: tuple[Piece, ...]  # in the order in which they run
    digest: str  # SHA-256 of the bytes handed in, of this assignment's files
    repairs: tuple[str, ...] = ()  # what was mended, each a sentence that the student reads
    weights: bytes | None = None  # bytes of `model.safetensors`, where there is one
    text: str = ""  # all code as submitted, for checks of the source
    # the notebook's or script's own bytes, where written answers are looked for
    handed_in: bytes = b""
    unread: str = ""  # why nothing was read, though there may be an answer
    left_out: str = ""  # what was too large to be read: what it may define is for a person
