"""A script in py:percent format as cells: what `jupytext.reads` makes of it, without its imports.

A line `# %%` begins a cell, `# %% [markdown]` one whose lines are comments; `tags=["export"]` may
follow. Blank lines between cells belong to none. Source: https://jupytext.readthedocs.io, "The
percent format"; equality is a test.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = re.compile(r"# ?%%(?P<rest>.*)")
KIND = re.compile(r"\[(markdown|md|raw)\]")
TAGS = re.compile(r"\btags=(\[[^\]]*\])")


@dataclass(frozen=True)
class RawCell:
    """One cell: `cell_type` is code, markdown or raw; `line`, from 1, is where its text begins."""

    cell_type: str
    source: str
    tags: tuple[str, ...]
    line: int


def read_percent(text: str) -> list[RawCell]:
    """The cells of a script, in their order. What stands before the first head is a code cell."""
    return list(_cells(text.split("\n")))


def _cells(lines: list[str]) -> Iterator[RawCell]:
    heads = [at for at, line in enumerate(lines) if HEAD.fullmatch(line)]
    if any(line.strip() for line in lines[: heads[0] if heads else len(lines)]):
        heads.insert(0, -1)
    for at, after in zip(heads, [*heads, len(lines)][1:], strict=True):
        rest = ""
        if at >= 0 and (head := HEAD.fullmatch(lines[at])):
            rest = head["rest"]
        kind = KIND.search(rest)
        tags = TAGS.search(rest)
        name = "code" if kind is None else "markdown" if kind[1] == "md" else kind[1]
        first, last = at + 1, after
        while first < last and not lines[first].strip():
            first += 1
        while last > first and not lines[last - 1].strip():
            last -= 1
        body = lines[first:last]
        if name != "code":
            body = [line.removeprefix("#").removeprefix(" ") for line in body]
        yield RawCell(
            cell_type=name,
            source="\n".join(body),
            tags=_tags(tags[1]) if tags else (),
            line=first + 1,
        )


def _tags(text: str) -> tuple[str, ...]:
    """The tags of a list of them; anything else is one tag, which is unknown."""
    try:
        return tuple(str(tag) for tag in ast.literal_eval(text))
    except (SyntaxError, ValueError):
        return (text,)
