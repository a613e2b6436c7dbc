"""Read submitted files as one `Submission` for each assignment found in them.

The assignment of a file follows from its name, then the metadata, then the names it defines. Of
several files for one assignment the one that answers most counts.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from grader.adapters import ASSIGNMENTS, Assignment
from grader.core.text import bounded, listed, short
from grader.submission.answer_file import (
    Answer,
    read_file,
    scripts_among,
    wanted_names,
    with_helpers,
)
from grader.submission.archive import Collected, File, collect
from grader.submission.contents import Submission
from grader.submission.selection import select_pieces
from grader.submission.statements import Effort
from grader.submission.weights_file import add_weights_beside, choose_weights
from kws.errors import UsageError


def read_submissions(
    path: Path | str, assignment: str | None = None, catalog: Mapping[str, Assignment] = ASSIGNMENTS
) -> list[Submission]:
    """What the student handed in at `path`: the Submission to `assignment`, or to each one found.

    Where nothing can be separated there is one with `assignment=""`, without pieces, whose repairs
    say why. UsageError if there is nothing at `path`, or no such assignment.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist: name a notebook, a script, a folder or a zip")
    if assignment is not None:
        assignment = assignment.zfill(2)
        if assignment not in catalog:
            there = ", ".join(sorted(catalog))
            raise UsageError(f"assignment {assignment!r} does not exist: choose one of {there}")
    collected = collect(path)
    if path.is_file():
        add_weights_beside(collected, path)
    effort = Effort()
    files = sorted(collected.files, key=_likely_first)
    alone = [answer for file in files if (answer := read_file(file, effort))]
    scripts = scripts_among(alone)
    answers = [with_helpers(each, scripts) for each in alone]
    sorted_out: dict[str, list[Answer]] = {}
    for answer in answers:
        number = _belongs_to(answer, path.name, catalog, assignment)
        if number is not None:
            sorted_out.setdefault(number, []).append(answer)
    numbers = [assignment] if assignment else sorted(sorted_out)
    submissions = [
        _submission(catalog[number], sorted_out[number], collected, answers)
        if number in sorted_out
        else _nothing(number, collected, answers, catalog)
        for number in numbers
    ]
    return submissions or [_nothing("", collected, answers, catalog)]


def _likely_first(file: File) -> tuple[int, str]:
    """Sort for the parsing limit: notebooks, then scripts, then others."""
    suffix = file.path.suffix.lower()
    return (suffix != ".ipynb") + (suffix not in (".ipynb", ".py")), file.path.as_posix()


def _belongs_to(
    answer: Answer, root: str, catalog: Mapping[str, Assignment], wanted: str | None
) -> str | None:
    named = _by_name(answer.file.path, root, catalog)
    defined = {number: answer.defined(each) for number, each in sorted(catalog.items())}
    most = max(defined, key=lambda number: defined[number], default=None)
    stated = answer.stated if answer.stated in catalog else None
    for guess in (named, stated):
        if guess and (answer.notebook or defined[guess]):
            if most and len(wanted_names(catalog[guess])) > defined[guess] < defined[most] > 1:
                break  # a notebook under the name of another
            return guess
    if most and defined[most]:
        return most
    return wanted if answer.notebook else None


def _by_name(path: PurePosixPath, root: str, catalog: Mapping[str, Assignment]) -> str | None:
    names = [path.name, *reversed(path.parts[:-1]), root]
    plain = [re.sub(r"[^a-z0-9]+", "_", name.lower()) for name in names]
    for name in plain:
        for number, each in sorted(catalog.items()):
            if each.stem in name:
                return number
    for name in plain:
        for number, each in sorted(catalog.items()):
            if re.search(rf"(?:^|_){each.slug}(?:_|$)", name):
                return number
    for name in plain[:-1][:2]:  # a student's folder may be called 3
        found = re.match(r"(?:assignment|homework|hw|notebook|exercise)?_?0?(\d)(?:_|$)", name)
        if found and found[1].zfill(2) in catalog:
            return found[1].zfill(2)
    return None


def _submission(
    assignment: Assignment,
    answers: Sequence[Answer],
    collected: Collected,
    all_answers: Sequence[Answer],
) -> Submission:
    wanted = wanted_names(assignment)
    best = min(
        answers,
        key=lambda each: (
            -each.answered(assignment),
            -each.defined(assignment),
            not each.notebook,
            each.file.path.stem != assignment.stem,
            len(each.file.path.as_posix()),
            each.file.path.as_posix(),
        ),
    )
    selection = select_pieces(best.found, wanted, best.lost)
    notes = [*bounded(collected.notes), *best.notes, *bounded(selection.notes)]
    name = short(best.file.path)
    counted = (best.file, *best.helpers)
    others = [str(each.file.path) for each in answers if each.file not in counted]
    if others:
        notes.append(f"{name} counts for this assignment, and not {listed(others)}")
    unread = "" if best.answered(assignment) else _unread(collected, all_answers)
    if not best.defined(assignment) and not unread:
        unread = f"{name} defines nothing that this assignment asks for: is it the right file?"
    weights = None
    if assignment.weights:
        weights, of_weights = choose_weights(assignment, best.file.path, collected)
        notes += of_weights
    digest = hashlib.sha256()
    for file in counted:
        digest.update(len(file.data).to_bytes(8, "big") + file.data)
    digest.update(weights or b"")
    return Submission(
        assignment=assignment.number,
        pieces=tuple(selection.pieces),
        digest=digest.hexdigest(),
        repairs=tuple(dict.fromkeys(notes)),
        weights=weights,
        text=best.text,
        handed_in=best.file.data,
        unread=unread,
        left_out=next(iter(best.left_out), ""),
    )


def _nothing(
    number: str, collected: Collected, answers: Sequence[Answer], catalog: Mapping[str, Assignment]
) -> Submission:
    digest = hashlib.sha256()
    for file in collected.files:
        digest.update(len(file.data).to_bytes(8, "big") + file.data)
    notes = [*bounded(collected.notes), *bounded(note for each in answers for note in each.notes)]
    what = "answer to this assignment" if number else "notebook of this course"
    notes.append(f"no {what} was found in the submission: hand in the .ipynb file")
    unread = _unread(collected, answers)
    for answer in answers:
        other = _belongs_to(answer, "", catalog, None)
        if other is not None:
            notes.append(f"{short(answer.file.path)} answers assignment {other}")
            unread = unread or notes[-1]
    return Submission(
        assignment=number,
        pieces=(),
        digest=digest.hexdigest(),
        repairs=tuple(dict.fromkeys(notes)),
        unread=unread,
    )


def _unread(collected: Collected, answers: Sequence[Answer]) -> str:
    """Names of unread files that may contain answers, for a person; empty if none."""
    broken = (short(each.file.path) for each in answers if each.broken)
    names = listed([*collected.closed, *broken])
    return f"{names} could not be read: hand in the .ipynb file again" if names else ""
