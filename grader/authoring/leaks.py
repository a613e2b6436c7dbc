"""Find secrets in a kit by content; names and places of files do not matter.

A secret is a stretch of code: the answer between two solution markers, one hidden check, the body
of one function of a withheld module. A file leaks it if it contains the share COVERED of its tokens
in runs of at least SHINGLE, whatever the spacing and comments, also commented out, in Markdown or
in an output; renaming does hide it. Secrets shorter than SHORTEST are common phrases and do not
count. Shipped modules share phrases with withheld ones: there only a long, nearly complete secret
counts. The notebook that asks for a withheld module may contain parts of it.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grader import ROOT
from grader.adapters import Assignment
from grader.authoring.build import read_solution
from grader.authoring.markers import regions_of

SHINGLE = 8  # tokens in a row that count as the same
SHORTEST = {"answer": 16, "check": 24, "module": 32}  # tokens
COVERED = 0.6  # of a secret's tokens
SHORTEST_SHIPPED, COVERED_SHIPPED = 40, 0.9  # in modules that we ship
SHIPPED = "kws/"
TOKEN = re.compile(r"[^\W\d]\w*|\d[\d_.]*|[^\w\s#'\"]")
COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
Shingles = frozenset[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """Code (answer, check or module) allowed only in the notebook with the stem `given`."""

    kind: str
    what: str
    tokens: tuple[str, ...]
    given: str | None = None


@dataclass(frozen=True, kw_only=True)
class Leak:
    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file} contains {self.what}"


def tokens_of(text: str) -> tuple[str, ...]:
    """Names, numbers and signs of `text`, without spacing, quotes and comment signs."""
    return tuple(TOKEN.findall(text))


def _shingles(text: str) -> Shingles:
    tokens = tokens_of(text)
    return frozenset(tokens[n : n + SHINGLE] for n in range(len(tokens) - SHINGLE + 1))


def covered(secret: tuple[str, ...], shingles: Shingles) -> float:
    """Share of the secret's tokens in runs that are among the shingles."""
    seen = [False] * len(secret)
    for n in range(len(secret) - SHINGLE + 1):
        if secret[n : n + SHINGLE] in shingles:
            seen[n : n + SHINGLE] = [True] * SHINGLE
    return sum(seen) / len(secret)


def secrets_of_solution(solution: Path) -> list[Secret]:
    found = []
    for cell in read_solution(solution):
        if "staff" in cell.tags:
            found.append(("staff's cell", cell.line, cell.source))
        elif cell.task:
            for region in regions_of(cell.source, line=cell.line):
                found.append((f"the answer to {region.task}", region.line, "\n".join(region.code)))
    return _secrets("answer", solution, found)


def secrets_of_code(path: Path, kind: str) -> list[Secret]:
    """The functions, methods and statements of a hidden check or a withheld module."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = [
        (name, line, "\n".join(lines[body[0].lineno - 1 : body[-1].end_lineno]))
        for name, line, body in _units(ast.parse(text).body)
        if body
    ]
    return _secrets(kind, path, found)


def secrets_of_modules(
    withheld: Mapping[str, Path], assignments: Iterable[Assignment]
) -> list[Secret]:
    """The code of modules (name -> file) that kits leave out."""
    assignments = list(assignments)
    return [
        replace(secret, given=assignment.stem)
        for name, path in withheld.items()
        for assignment in assignments
        if any(f"{name}.".startswith(f"{part}.") for part in assignment.withheld)
        for secret in secrets_of_code(path, "module")
    ]


def _units(body: Iterable[ast.stmt]) -> Iterator[tuple[str, int, list[ast.stmt]]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _units(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, node.body[bool(ast.get_docstring(node)) :]
        elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr):
            yield "code", node.lineno, [node]


def _secrets(kind: str, path: Path, found: list[tuple[str, int, str]]) -> list[Secret]:
    secrets = []
    for name, line, code in found:
        tokens = tokens_of(COMMENT.sub("", code))
        if len(tokens) >= SHORTEST[kind]:
            what = f"{name} ({path.parent.name}/{path.name}:{line})"
            secrets.append(Secret(kind=kind, what=what, tokens=tokens))
    return secrets


def find_leaks(files: Mapping[str, bytes], secrets: Iterable[Secret]) -> list[Leak]:
    """List every file with a secret, sorted; visible checks may repeat hidden ones."""
    secrets = list(secrets)
    leaks = []
    for name in sorted(files):
        text = files[name].decode("utf-8", errors="replace")
        everything, no_checks = _texts(name, text)
        for kinds, texts in ((("answer", "module"), everything), (("check",), no_checks)):
            shingles = frozenset[tuple[str, ...]]().union(*map(_shingles, texts))
            leaks += [
                Leak(file=name, what=secret.what)
                for secret in secrets
                if secret.kind in kinds and secret.given != _notebook(name)
                if _held(secret, shingles, name.startswith(SHIPPED))
            ]
    return leaks


def _notebook(name: str) -> str:
    """The stem of a notebook; of `kws/course/a09_codes/released.ipynb` that of its assignment."""
    path = Path(name)
    return path.parent.name[1:] if path.name == "released.ipynb" else path.stem


def _held(secret: Secret, shingles: Shingles, shipped: bool) -> bool:
    if shipped and len(secret.tokens) < SHORTEST_SHIPPED:
        return False
    return covered(secret.tokens, shingles) >= (COVERED_SHIPPED if shipped else COVERED)


def _texts(name: str, text: str) -> tuple[list[str], list[str]]:
    """The texts in a file, each with and without its comments; and those outside visible checks."""
    everything = no_checks = [text]
    if name.endswith(".ipynb"):
        try:
            cells = json.loads(text)["cells"]
        except (ValueError, KeyError, TypeError):
            cells = []
        everything = [text, *_strings(cells)]
        shown = [c for c in cells if "check" not in c.get("metadata", {}).get("tags", ())]
        no_checks = list(_strings(shown))
    return _both(everything), _both(no_checks)


def _both(texts: list[str]) -> list[str]:
    return [*texts, *(COMMENT.sub("", text) for text in texts)]


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list) and node and all(isinstance(item, str) for item in node):
        yield "".join(node)
    elif isinstance(node, list | dict):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _strings(item)


def hidden_checks(root: Path = ROOT) -> list[Secret]:
    paths = sorted((root / "grader" / "course").glob("*/test_checks.py"))
    return [secret for path in paths for secret in secrets_of_code(path, "check")]
