"""Attacks on a grader, as cells that a hostile student could submit for TODO 2.1.

Each cell answers `attend` wrongly and tries to gain points, a secret, a file, a connection, a
surviving process, or a grader that never returns. In a sandbox they are harmless, and outside one
nearly so (tests show each of them succeeding there).

The classes: same-interpreter tricks, forged results, theft from memory and disk, writing,
processes, network, and exhaustion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent

from grader.core.tables import parse_toml


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str  # unique, in words
    kind: str  # its class
    # what it gains where it works. "points": a check of the wrong answer passes. "secret": SECRET
    # shows up in the result. "inputs": numbers that a check asked with do, behind the word LEAK.
    # "file": TARGET exists afterwards. "network": the listener at PORT or SOCKET gets a message.
    # "halt": the grader dies, hangs, or loses honest points. "flood": a result too large
    goal: str
    payload: str = "pass"  # statements that run whenever `attend` is called, with q, k, v at hand
    returns: str = "0 * q"  # the expression that `attend` returns afterwards
    top: str = ""  # statements of the cell above `attend`
    # handed in beside the notebook, name -> bytes
    files: Mapping[str, bytes] = field(default_factory=dict)
    fresh: bool = False  # whether it works only on an interpreter that starts beside the submission

    def cell(self, **constants: str | int) -> str:
        """The source of the cell: TARGET, PORT, SOCKET and the like as constants, and the rest."""
        lines = [f"{name} = {value!r}" for name, value in sorted(constants.items())]
        body = indent(dedent(self.payload).strip(), "    ")
        head = "def attend(q, k, v, valid=None):"
        parts = [*lines, dedent(self.top).strip(), head, body, f"    return {self.returns}"]
        return "\n".join(part for part in parts if part) + "\n"


WRONG = Attack(name="a plain wrong answer", kind="none", goal="points")

FILE = Path(__file__).with_name("attacks.toml")


def _read_attacks() -> tuple[Attack, ...]:
    shared = parse_toml(FILE.read_text(encoding="utf-8"), FILE)
    rows = [{**shared.get(row.pop("like", ""), {}), **row} for row in shared["attack"]]
    for row in rows:
        row["files"] = {name: text.encode() for name, text in row.get("files", {}).items()}
    return tuple(Attack(**row) for row in rows)


ATTACKS = _read_attacks()
