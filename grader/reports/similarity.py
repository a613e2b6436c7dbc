"""Pairs of similar submissions, and a page that shows them side by side.

Code shared with our solution, the notebook or many of a class does not count. A score proves
nothing: a person reads the pair.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from grader.reports.html import document, text

COMMON, SHARE = 5, 0.1  # students, or this share of a class if that is more: what more have is left
FEWEST = 6  # fingerprints that two must share in a task
SIMILAR = 0.6  # of the smaller one's

Lines = tuple[int, int, int, int]  # first and last line of the one's code, and of the other's


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


def similar_page(
    pairs: Sequence[Pair], source: Callable[[str, str, str], str], title: str = "Similar hand-ins"
) -> bytes:
    """The page; `source` maps (student, assignment, task) to the submitted code."""
    body = [f"<h1>{text(title)}</h1>", f'<p class="check open">{text(CAUTION)}</p>']
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
