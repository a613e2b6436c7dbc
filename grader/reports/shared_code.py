"""Who has the same code as whom, and in which tasks.

Code that many have is the obvious answer and tells nothing: only groups of a few count.
"""

from collections.abc import Mapping, Sequence

FEW, SHARE = 3, 0.1  # students of a group, or this share of a class if that is more


def shared_code(
    same: Mapping[str, Sequence[str]], tasks: Mapping[str, Mapping[str, str]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Groups of students and the tasks that they share; no tasks where they share everything.

    Args:
        same: student -> others with the same code from beginning to end.
        tasks: student -> task -> digest of the code for it.
    """
    whole = {tuple(sorted({student, *others})) for student, others in same.items() if others}
    groups: dict[tuple[str, str], set[str]] = {}
    for student, row in tasks.items():
        for task, digest in row.items():
            groups.setdefault((task, digest), set()).add(student)
    most = max(FEW, SHARE * len(tasks))
    found: dict[tuple[str, ...], list[str]] = {}
    for (task, _), students in groups.items():
        group = tuple(sorted(students))
        if 1 < len(group) <= most and not any(set(group) <= set(all_of) for all_of in whole):
            found.setdefault(group, []).append(task)
    ranked = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        *((group, ()) for group in sorted(whole)),
        *((group, tuple(sorted(places))) for group, places in ranked),
    ]
