"""Which hand-ins resemble each other, and where: fingerprints that few have, and we have not.

What our solution or the notebook has, and what many of a class have, is the obvious answer and no
sign of anything. Scores decide nothing: they name what a person reads side by side.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

COMMON, SHARE = 5, 0.1  # students, or this share of a class if that is more: what more have is left
FEWEST = 6  # fingerprints that two must share in a task
SIMILAR = 0.6  # of the smaller one's

Lines = tuple[int, int, int, int]  # first and last line of the one's code, and of the other's


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two students whose work on some tasks is similar."""

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
