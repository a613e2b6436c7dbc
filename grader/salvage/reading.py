"""Anything that was handed in, as one `Submission` for each assignment found in it.

Which assignment a file answers is read off its name, then off the notebook's metadata, then off the
names it defines. Of several files for one assignment the one that answers most counts.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.adapters import ASSIGNMENTS, Assignment
from grader.salvage.archive import WEIGHTS, Collected, File
from grader.salvage.code import Effort, parse, read_code
from grader.salvage.disk import collect
from grader.salvage.notebook import Cell, Notebook, looks_like_notebook, read_notebook
from grader.salvage.pieces import Found, choose, examine, holds_todo
from grader.salvage.text import decode, listed, short, told
from grader.salvage.weights import add_weights_beside, choose_weights
from grader.submission import Submission
from kws.errors import UsageError

MAX_CODE = 1_000_000  # characters of code in one file
MAX_STATEMENTS = 10_000  # in one file
FENCE = re.compile(r"^```(?:python|py)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One notebook or script, read: its statements, its code as text, and what was mended."""

    file: File
    notebook: bool
    stated: str | None
    found: tuple[Found, ...]
    text: str
    notes: tuple[str, ...]

    def defined(self, assignment: Assignment) -> int:
        """How many of the names that the assignment asks for it defines, answered or not."""
        return len(_wanted(assignment) & {name for each in self.found for name in each.names})

    def answered(self, assignment: Assignment) -> int:
        """How many of them without a TODO left."""
        done = (each for each in self.found if not holds_todo(each))
        return len(_wanted(assignment) & {name for each in done for name in each.names})


def read_submissions(
    path: Path | str,
    assignment: str | None = None,
    catalogue: Mapping[str, Assignment] = ASSIGNMENTS,
) -> list[Submission]:
    """What the student handed in at `path`, one Submission for each assignment, sorted.

    With `assignment`, that one alone, always; without, those that were found. Where nothing can be
    told apart there is one Submission with `assignment=""`, without pieces, whose repairs say why.
    UsageError if there is nothing at `path`, or no such assignment.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist: name a notebook, a script, a folder or a zip")
    if assignment is not None:
        assignment = assignment.zfill(2)
        if assignment not in catalogue:
            there = ", ".join(sorted(catalogue))
            raise UsageError(f"assignment {assignment!r} does not exist: choose one of {there}")
    collected = collect(path)
    if path.is_file():
        add_weights_beside(collected, path)
    effort = Effort()
    files = sorted(collected.files, key=_likely_first)
    answers = [answer for file in files if (answer := read_file(file, effort))]
    sorted_out: dict[str, list[Answer]] = {}
    for answer in answers:
        number = _belongs_to(answer, path.name, catalogue, assignment)
        if number is not None:
            sorted_out.setdefault(number, []).append(answer)
    numbers = [assignment] if assignment else sorted(sorted_out)
    submissions = [
        _submission(catalogue[number], sorted_out[number], collected)
        if number in sorted_out
        else _nothing(number, collected, answers, catalogue)
        for number in numbers
    ]
    return submissions or [_nothing("", collected, answers, catalogue)]


def _likely_first(file: File) -> tuple[int, str]:
    """So that nothing else uses up the effort of parsing: notebooks, then scripts, then others."""
    suffix = file.path.suffix.lower()
    return (suffix != ".ipynb") + (suffix not in (".ipynb", ".py")), file.path.as_posix()


def read_file(file: File, effort: Effort | None = None) -> Answer | None:
    """The file as notebook or script; None for weights and for what is neither by any sign."""
    effort = effort or Effort()
    suffix = file.path.suffix.lower()
    if suffix == WEIGHTS:
        return None
    text, notes = decode(file.data)
    is_notebook = suffix == ".ipynb" or looks_like_notebook(text)
    if is_notebook and suffix == ".ipynb" and not looks_like_notebook(text):
        is_notebook = not _is_script(text, file, effort)
    if is_notebook:
        notebook = read_notebook(text)
    elif suffix == ".py" or _is_script(text, file, effort):
        notebook = Notebook(cells=(Cell(kind="code", source=text, where=short(file.path.name)),))
    else:
        return None
    if is_notebook != (suffix == ".ipynb"):
        kind, name = "notebook" if is_notebook else "script", short(file.path.name)
        if is_notebook or suffix != ".py":
            notes.append(f"{name} is a {kind} whatever its name says: it was read as one")
    found, code, mended = _read_cells(notebook.cells, effort)
    return Answer(
        file=file,
        notebook=is_notebook,
        stated=notebook.assignment,
        found=tuple(found),
        text=code,
        notes=tuple(told((*notes, *notebook.notes, *mended))),
    )


def _is_script(text: str, file: File, effort: Effort) -> bool:
    found = examine(read_code(text, effort).statements, file.path.name)
    return any(each.runs and each.names for each in found)


def _read_cells(cells: Sequence[Cell], effort: Effort) -> tuple[list[Found], str, list[str]]:
    """The statements of all cells, their code, and what was mended."""
    found: list[Found] = []
    texts: list[str] = []
    notes: list[str] = []
    jupyter: list[str] = []
    left = MAX_CODE
    for cell in cells:
        left -= len(cell.source)
        if left < 0:
            notes.append(f"{cell.where} and all after it were not read: there is too much code")
            break
        sources = [cell.source] if cell.kind == "code" else [*FENCE.findall(cell.source)]
        sources = sources or [cell.source]
        for source in sources:
            if cell.kind != "code" and not _is_all_code(source, effort):
                continue
            code = read_code(source, effort)
            if len(found) + len(code.statements) > MAX_STATEMENTS:
                notes.append(f"{cell.where} was not read: more than {MAX_STATEMENTS} statements")
                continue
            statements = examine(code.statements, cell.where, prose=cell.kind != "code")
            if cell.kind in ("markdown", "raw", "heading"):
                names = listed(f"`{name}`" for each in statements for name in each.names)
                notes.append(
                    f"{cell.where} is a {cell.kind} cell, read as code: it defines {names}"
                )
            found += statements
            texts.append(f"# {cell.where}\n" + "\n".join(each.source for each in code.statements))
            notes += [f"{cell.where}: {note}" for note in code.notes]
            if code.jupyter:
                jupyter.append(cell.where)
    if jupyter:
        notes.append(f"lines that only Jupyter understands were left out: {listed(jupyter)}")
    return found, "\n\n".join(texts) + "\n", notes


def _is_all_code(source: str, effort: Effort) -> bool:
    """Is what a cell of prose says code through and through, with something defined in it?"""
    if not parse(source, effort):
        return False
    found = examine(read_code(source, effort).statements, "")
    return bool(found) and all(each.runs and each.names for each in found)


def _wanted(assignment: Assignment) -> set[str]:
    return {called for task in assignment.tasks for called in task.names.values()}


def _belongs_to(
    answer: Answer, root: str, catalogue: Mapping[str, Assignment], asked: str | None
) -> str | None:
    """The number of the assignment that a file answers; None when nothing tells."""
    named = _by_name(answer.file.path, root, catalogue)
    defined = {number: answer.defined(each) for number, each in sorted(catalogue.items())}
    most = max(defined, key=lambda number: defined[number], default=None)
    stated = answer.stated if answer.stated in catalogue else None
    for guess in (named, stated):
        if guess and (answer.notebook or defined[guess]):
            if not defined[guess] and most and defined[most] > 1:
                break  # a notebook under the name of another
            return guess
    if most and defined[most]:
        return most
    return asked if answer.notebook else None


def _by_name(path: PurePosixPath, root: str, catalogue: Mapping[str, Assignment]) -> str | None:
    """The assignment whose stem, else slug, the names hold; else the number they begin with."""
    names = [path.name, *reversed(path.parts[:-1]), root]
    plain = [re.sub(r"[^a-z0-9]+", "_", name.lower()) for name in names]
    for name in plain:
        for number, each in sorted(catalogue.items()):
            if each.stem in name:
                return number
    for name in plain:
        for number, each in sorted(catalogue.items()):
            if re.search(rf"(?:^|_){each.slug}(?:_|$)", name):
                return number
    for name in plain[:-1][:2]:  # a student's folder may be called 3
        found = re.match(r"(?:assignment|homework|hw|notebook|exercise)?_?0?(\d)(?:_|$)", name)
        if found and found[1].zfill(2) in catalogue:
            return found[1].zfill(2)
    return None


def _submission(
    assignment: Assignment, answers: Sequence[Answer], collected: Collected
) -> Submission:
    wanted = _wanted(assignment)
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
    choice = choose(best.found, wanted)
    notes = [*told(collected.notes), *best.notes, *told(choice.notes)]
    name = short(best.file.path)
    others = [str(each.file.path) for each in answers if each is not best]
    if others:
        notes.append(f"{name} counts for this assignment, and not {listed(others)}")
    if not best.defined(assignment) and not choice.pieces:
        notes.append(f"{name} holds no definition: is it the right file?")
    weights = None
    if assignment.weights:
        weights, of_weights = choose_weights(assignment, best.file.path, collected)
        notes += of_weights
    digest = hashlib.sha256(len(best.file.data).to_bytes(8, "big") + best.file.data)
    digest.update(weights or b"")
    return Submission(
        assignment=assignment.number,
        pieces=tuple(choice.pieces),
        digest=digest.hexdigest(),
        repairs=tuple(dict.fromkeys(notes)),
        weights=weights,
        text=best.text,
    )


def _nothing(
    number: str,
    collected: Collected,
    answers: Sequence[Answer],
    catalogue: Mapping[str, Assignment],
) -> Submission:
    digest = hashlib.sha256()
    for file in collected.files:
        digest.update(len(file.data).to_bytes(8, "big") + file.data)
    notes = [*told(collected.notes), *told(note for each in answers for note in each.notes)]
    what = "answer to this assignment" if number else "notebook of this course"
    notes.append(f"no {what} was found in what was handed in: hand in the .ipynb file")
    for answer in answers:
        other = _belongs_to(answer, "", catalogue, None)
        if other is not None:
            notes.append(f"{short(answer.file.path)} answers assignment {other}")
    closed = "" if answers else listed(collected.closed)
    unread = f"{closed} cannot be opened here: hand in the .ipynb file, or a zip" if closed else ""
    return Submission(
        assignment=number,
        pieces=(),
        digest=digest.hexdigest(),
        repairs=tuple(dict.fromkeys(notes)),
        unread=unread,
    )
