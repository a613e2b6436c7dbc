"""Pairs of similar submissions, and a page that shows them side by side.

Code shared with our solution, the notebook or many of a class does not count. A score proves
nothing: a person reads the pair. Fingerprints survive new names, literals, layout and comments.

Code is the sequence of its syntax tree's nodes, text that of its words. Of the hashes of every K
tokens in a row, winnowing keeps the smallest of each W neighbors: two texts that share K + W - 1
tokens in a row share a fingerprint, wherever they have it.

Source: Schleimer, Wilkerson and Aiken 2003, "Winnowing: Local Algorithms for Document
Fingerprinting", sections 2 and 3 (https://doi.org/10.1145/872757.872770).
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import combinations
from typing import Any

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import written_questions
from grader.reports.html import document, text

COMMON, SHARE = 5, 0.1  # students, or this share of a class if that is more: what more have is left
FEWEST = 6  # fingerprints that two must share in a task
SIMILAR = 0.6  # of the smaller one's

Token = tuple[str, int]  # what counts, and the line on which it is, from 1
Gram = tuple[int, int, int]  # hash, first and last line

CODE, WORDS = 16, 6  # tokens of a gram: about a line of code, half a sentence
WINDOW = 8  # grams, of which one is kept
DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Lines = tuple[int, int, int, int]  # first and last line of the one's code, and of the other's


def code_grams(source: str) -> list[list[Gram]]:
    """Hashes of K-token runs for each top-level statement except imports; raises as `ast.parse`."""
    statements = ast.parse(source).body
    return [
        _grams(list(_nodes(one, one.lineno)), CODE)
        for one in statements
        if not isinstance(one, ast.Import | ast.ImportFrom)
    ]


def text_grams(text: str) -> list[list[Gram]]:
    lines = enumerate(text.casefold().splitlines(), start=1)
    return [_grams([(word, at) for at, line in lines for word in re.findall(r"\w+", line)], WORDS)]


def winnow(grams: Sequence[Sequence[Gram]]) -> list[Gram]:
    kept: dict[int, Gram] = {}
    for part in grams:
        for at in range(max(1, len(part) - WINDOW + 1) if part else 0):
            gram = min(part[at : at + WINDOW])
            kept.setdefault(gram[0], gram)
    return sorted(kept.values(), key=lambda gram: gram[1:])


def _grams(tokens: Sequence[Token], size: int) -> list[Gram]:
    found = []
    for at in range(len(tokens) - size + 1):
        part = tokens[at : at + size]
        words = " ".join(word for word, _ in part).encode("utf-8", "surrogatepass")
        number = int.from_bytes(blake2b(words, digest_size=6).digest(), "big")  # exact in JSON
        lines = [line for _, line in part]
        found.append((number, min(lines), max(lines)))
    return found


def _nodes(node: ast.AST, line: int) -> Iterator[Token]:
    """The tree in preorder, without user-defined names, values, annotations, docstrings."""
    line = getattr(node, "lineno", line)
    word = type(node).__name__
    if isinstance(node, ast.Attribute) and not (
        isinstance(node.value, ast.Name) and node.value.id == "self"
    ):
        word += f".{node.attr}"
    elif isinstance(node, ast.keyword):
        word += f".{node.arg}"
    elif isinstance(node, ast.Constant):
        word += f".{type(node.value).__name__}"
    yield word, line
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "ctx"):
            continue
        children = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(node, DOCSTRINGS) and ast.get_docstring(node) is not None:
            children = children[1:]
        for child in children:
            if isinstance(child, ast.AST):
                yield from _nodes(child, line)


@cache
def reference_prints(number: str) -> frozenset[int]:
    """Hashes of every run of tokens in our solution, the code given in it, and its questions."""
    path = ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py"
    grams = code_grams(path.read_text(encoding="utf-8"))
    for question in written_questions(number):
        grams += text_grams(question.prompt) + text_grams(question.answer)
    return frozenset(name for part in grams for name, _, _ in part)


@dataclass(frozen=True, kw_only=True)
class Pair:
    assignment: str
    students: tuple[str, str]
    share: float  # of the smaller one's fingerprints in these tasks
    places: Mapping[str, tuple[Lines, ...]]  # task -> lines that are shared

    def other(self, student: str) -> str:
        return self.students[self.students[0] == student]


def similar_pairs(
    assignment: str, work: Mapping[str, Mapping[str, Any]], known: Collection[int]
) -> list[Pair]:
    """The pairs of a class, the most similar first.

    Args:
        work: student -> task -> {"source", "prints": [hash, first line, last line] of each
            fingerprint}.
        known: hashes that do not count, as our solution has them.
    """
    places: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
    owners: dict[tuple[str, int], list[str]] = defaultdict(list)
    for student, tasks in sorted(work.items()):
        for task, one in tasks.items():
            lines = {name: (first, last) for name, first, last in one["prints"]}
            places[student, task] = {name: at for name, at in lines.items() if name not in known}
            for name in places[student, task]:
                owners[task, name].append(student)
    most = max(COMMON, SHARE * len(work))
    rare = {key: names for key, names in owners.items() if len(names) <= most}
    sizes = Counter((student, task) for (task, _), names in rare.items() for student in names)
    shared: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for (task, name), names in rare.items():
        for pair in combinations(names, 2):
            shared[pair][task].append(name)
    found = []
    for (a, b), tasks in sorted(shared.items()):
        least = {task: min(sizes[a, task], sizes[b, task]) for task in tasks}
        similar = {
            task: tuple((*places[a, task][name], *places[b, task][name]) for name in names)
            for task, names in sorted(tasks.items())
            if len(names) >= max(FEWEST, SIMILAR * least[task])
        }
        if similar:
            share = sum(map(len, similar.values())) / sum(least[task] for task in similar)
            pair = Pair(assignment=assignment, students=(a, b), share=share, places=similar)
            found.append(pair)
    return sorted(found, key=lambda one: (-sum(map(len, one.places.values())), one.students))


MOST = 100  # pairs
CAUTION = f"""Similar work is a reason to read it and to talk with both, and proves nothing: two who
learned from one book, or from each other as you allowed, write similar code. The page does not show
who had it first, nor whether a third person wrote it. Names, numbers, comments and layout do not
count; neither does what our solution or the notebook has, nor what more than {COMMON} students
({SHARE:.0%} of a large class) have."""


def similar_page(pairs: Sequence[Pair], source: Callable[[str, str, str], str]) -> bytes:
    """The page; `source` maps (student, assignment, task) to the submitted code."""
    title = "Similar hand-ins"
    body = [f"<h1>{title}</h1>", f'<p class="check open">{text(CAUTION)}</p>']
    if not pairs:
        body.append("<p>No two are similar.</p>")
    for pair in pairs[:MOST]:
        tasks = ", ".join(pair.places)
        names = " and ".join(pair.students)
        body.append(f"<details><summary>{text(names)}: {pair.share:.0%} of {text(tasks)}</summary>")
        for task, lines in pair.places.items():
            body += [f"<h3>{text(task)}</h3>", '<div class="side pair">']
            for which, student in enumerate(pair.students):
                marked = {
                    at for span in lines for at in range(span[2 * which], span[2 * which + 1] + 1)
                }
                rows = source(student, pair.assignment, task).splitlines()
                shown = "\n".join(
                    f"<mark>{text(row)}</mark>" if at in marked else text(row)
                    for at, row in enumerate(rows, start=1)
                )
                card = f"<h4>{text(student)}</h4><pre>{shown}</pre>"
                body.append(f'<section class="check">{card}</section>')
            body.append("</div>")
        body.append("</details>")
    if len(pairs) > MOST:
        body.append(f"<p>… and {len(pairs) - MOST} less similar pairs.</p>")
    return document(title, "\n".join(body), wide=True)
