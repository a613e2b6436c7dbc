"""Read one submitted file: a notebook or a script, and the scripts that it imports."""

import ast
import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from grader.adapters import Assignment
from grader.core.text import bounded, decode, listed, short
from grader.submission.archive import LIBRARIES, WEIGHTS, File
from grader.submission.contents import Piece
from grader.submission.ipynb import NotebookCell, NotebookFile, read_notebook, resembles_notebook
from grader.submission.selection import FoundStatement, examine, unreadable
from grader.submission.statements import Effort, parse, read_code
from kws.course.own_work import is_installed
from kws.course.source import Statement, unanswered

MAX_CODE = 1_000_000  # characters of code in one file
MAX_STATEMENTS = 10_000  # in one file
FENCE = re.compile(r"^```(?:python|py)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
MAX_HELPERS = 20  # scripts that one answer imports
MAX_NAMESAKES = 20  # scripts of one name
MOST_DOTS = 5  # names in the name of a module
Scripts = dict[str, list["Answer"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """One notebook or script: statements, code as text, and repairs."""

    file: File
    notebook: bool
    stated: str | None
    found: tuple[FoundStatement, ...]
    text: str
    notes: tuple[str, ...]
    lost: tuple[Piece, ...] = ()  # definitions that Python cannot read
    # the scripts whose definitions are among its own, as it imports them
    helpers: tuple[File, ...] = ()
    left_out: tuple[str, ...] = ()  # what was too large to be read: notes, too
    broken: str = ""  # why nothing of it could be read

    def defined(self, assignment: Assignment) -> int:
        """How many of the names that the assignment asks for are defined."""
        return len(wanted_names(assignment) & {name for each in self.found for name in each.names})

    def answered(self, assignment: Assignment) -> int:
        return len(wanted_names(assignment) & self._answered_names)

    @cached_property
    def _answered_names(self) -> frozenset[str]:
        done = (each for each in self.found if not any(unanswered(each.statement.node)))
        return frozenset(name for each in done for name in each.names)


def read_file(file: File, effort: Effort | None = None) -> Answer | None:
    """Read a notebook or script; None for weights and unrecognized files."""
    effort = effort or Effort()
    suffix = file.path.suffix.lower()
    if suffix == WEIGHTS:
        return None
    text, notes = decode(file.data)
    is_notebook = suffix == ".ipynb" or resembles_notebook(text)
    if is_notebook and suffix == ".ipynb" and not resembles_notebook(text):
        is_notebook = not _is_script(text, file, effort)
    if is_notebook:
        notebook = read_notebook(text)
        notes += [f"{short(file.path.name)} {notebook.broken}"] if notebook.broken else []
    elif suffix == ".py" or _is_script(text, file, effort):
        notebook = NotebookFile(
            cells=(NotebookCell(kind="code", source=text, where=short(file.path.name), raw={}),)
        )
    else:
        return None
    if is_notebook != (suffix == ".ipynb"):
        kind, name = "notebook" if is_notebook else "script", short(file.path.name)
        if is_notebook or suffix != ".py":
            notes.append(f"{name} is a {kind} despite its name: it was read as one")
    found, lost, code, mended, left_out = _read_cells(notebook.cells, effort)
    return Answer(
        file=file,
        notebook=is_notebook,
        stated=notebook.assignment,
        found=tuple(found),
        lost=tuple(lost),
        text=code,
        notes=tuple(bounded((*notes, *notebook.notes, *mended, *left_out))),
        left_out=tuple(bounded(left_out)),
        broken=notebook.broken,
    )


def _is_script(text: str, file: File, effort: Effort) -> bool:
    found = examine(read_code(text, effort).statements, file.path.name)
    return any(each.runs and each.names for each in found)


def _read_cells(
    cells: Sequence[NotebookCell], effort: Effort
) -> tuple[list[FoundStatement], list[Piece], str, list[str], list[str]]:
    found: list[FoundStatement] = []
    lost: list[Piece] = []
    texts: list[str] = []
    notes: list[str] = []
    large: list[str] = []
    jupyter: list[str] = []
    left = MAX_CODE
    for cell in cells:
        left -= len(cell.source)
        if left < 0:
            large.append(f"{cell.where} and all after it were not read: there is too much code")
            break
        fenced = [] if cell.kind == "code" else FENCE.findall(cell.source)
        for source in fenced or [cell.source]:
            if cell.kind != "code" and not _is_all_code(source, effort):
                continue
            code = read_code(source, effort)
            if len(found) + len(code.statements) > MAX_STATEMENTS:
                large.append(f"{cell.where} was not read: more than {MAX_STATEMENTS} statements")
                continue
            statements = examine(code.statements, cell.where, prose=cell.kind != "code")
            if cell.kind in ("markdown", "raw", "heading"):
                names = listed(f"`{name}`" for each in statements for name in each.names)
                notes.append(
                    f"{cell.where} is a {cell.kind} cell, read as code: it defines {names}"
                )
            found += statements
            for each in code.lost[: MAX_STATEMENTS - len(lost)]:
                lost += unreadable(each.text, cell.where, each.line)
            texts.append(f"# {cell.where}\n" + "\n".join(each.source for each in code.statements))
            notes += [f"{cell.where}: {note}" for note in code.notes]
            large += [f"{cell.where}: {note}" for note in code.left_out]
            if code.jupyter:
                jupyter.append(cell.where)
    if jupyter:
        notes.append(f"lines in Jupyter syntax were read as Python: {listed(jupyter)}")
    return found, lost, "\n\n".join(texts) + "\n", notes, large


def _is_all_code(source: str, effort: Effort) -> bool:
    if not parse(source, effort):
        return False
    found = examine(read_code(source, effort).statements, "")
    return bool(found) and all(each.runs and each.names for each in found)


def wanted_names(assignment: Assignment) -> set[str]:
    return {name for task in assignment.tasks for name in task.names}


def scripts_among(answers: Iterable[Answer]) -> Scripts:
    """Scripts that others may import, by module name."""
    scripts: Scripts = {}
    for each in answers:
        path = each.file.path
        if path.suffix == ".py" and not each.notebook:
            parts = path.with_suffix("").parts[-MOST_DOTS:]
            for first in range(len(parts)):
                namesakes = scripts.setdefault(".".join(parts[first:]), [])
                if len(namesakes) < MAX_NAMESAKES:
                    namesakes.append(each)
    return scripts


def with_helpers(answer: Answer, scripts: Scripts) -> Answer:
    """The answer, preceded by the definitions that it imports from the scripts."""
    read, notes = [answer], []
    founds: list[list[FoundStatement]] = []
    for importer in read:  # which grows
        kept: list[FoundStatement] = []
        for each in importer.found:
            node = each.statement.node
            if isinstance(node, ast.Import):
                notes += _out_of_reach(each, node, importer, scripts)
            helper = None
            if isinstance(node, ast.ImportFrom) and node.module:
                helper = _script(node.module, importer, scripts)
            if not helper or (helper not in read and len(read) > MAX_HELPERS):
                kept.append(each)
                continue
            kept += _renamed(each)
            if helper not in read:
                read.append(helper)
                who = "the notebook" if importer.notebook else short(importer.file.path.name)
                notes.append(f"{short(helper.file.path.name)} was read too: {who} imports it")
        founds.append(kept)
    helped = [note for each in read[1:] for note in each.notes]
    return dataclasses.replace(
        answer,
        found=tuple(found for kept in reversed(founds) for found in kept),
        lost=tuple(piece for each in reversed(read) for piece in each.lost),
        text="\n\n".join(each.text for each in reversed(read)),
        notes=(*answer.notes, *bounded(helped), *bounded(notes)),
        left_out=tuple(note for each in read for note in each.left_out),
        helpers=tuple(each.file for each in read[1:]),
    )


def _script(module: str, importer: Answer, scripts: Scripts) -> Answer | None:
    fits = [each for each in scripts.get(module, ()) if each is not importer]
    if not fits or is_installed(module) or module in LIBRARIES:
        return None
    height = module.count(".")
    folder = importer.file.path.parent
    return min(
        fits,
        key=lambda each: (
            each.file.path.parents[height] != folder,
            len(each.file.path.parts),
            each.file.path.as_posix(),
        ),
    )


def _renamed(found: FoundStatement) -> list[FoundStatement]:
    node, statements = found.statement.node, []
    aliases = node.names if isinstance(node, ast.ImportFrom) else []
    for alias in aliases:
        if alias.asname and alias.asname != alias.name:
            source = f"{alias.asname} = {alias.name}"
            (assignment,) = ast.parse(source).body
            line = found.statement.line
            statements.append(Statement(node=assignment, source=source, line=line))
    return examine(statements, found.where, found.prose)


def _out_of_reach(
    found: FoundStatement, node: ast.Import, importer: Answer, scripts: Scripts
) -> Iterator[str]:
    """The message for `import helper`: only `from helper import name` is supported."""
    for alias in node.names:
        if helper := _script(alias.name, importer, scripts):
            yield (
                f"{found.where}, line {found.statement.line}: `import {short(alias.name)}` does "
                f"not reach {short(helper.file.path.name)} here: "
                f"write `from {short(alias.name)} import …`, with the names that you use"
            )
