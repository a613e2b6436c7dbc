"""One job: what an evaluator's fork does with a student's files.

Job       {"student", "files": [[name, path], …], "assignment": "02" or null, "guess": the same
           for `open`, "retrain", "wall",
           "have": {"02": [digest, checks_digest, seed_id, tier], …}}
Answer    {"graded": [{"assignment", "digest", "work", "report": text or null where `have` is
           current, "tasks": {task: digest of its code}, "written": {question: answer}}, …],
           "seconds"} or {"fault": words}
With "open": true nothing is read: the report on "assignment" has every check, with open points.
"""

import ast
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.adapters import ASSIGNMENTS
from grader.authoring.written_questions import written_questions
from grader.core.outcomes import Report
from grader.core.seed import Seed
from grader.core.written import WrittenAnswer
from grader.grading.checks import checks_digest
from grader.grading.grading_run import by_assignment
from grader.grading.in_process import grade_one
from grader.sandbox import Sandbox
from grader.submission import read_submissions
from grader.submission.contents import Piece, Submission
from grader.submission.outputs import MAX_NOTEBOOK
from grader.submission.written_cells import find_answers
from kws.course.todos import is_todo

PART = 1 << 20  # bytes copied at a time
TELLING = 60  # nodes of the syntax tree from which equal code is more than the obvious answer


def grade_job(
    job: Mapping[str, Any], sandbox: Sandbox, seed: Seed, folder: Path
) -> list[dict[str, Any]]:
    """A row for each assignment that the job's files answer; those that are current are not run."""
    found = [Submission(assignment=job["assignment"] or "", pieces=(), digest="")]
    if not job.get("open"):
        found = read_submissions(staged(job["files"], folder), job["assignment"])
    rows = []
    for number, submission in sorted(by_assignment(found, job["assignment"]).items()):
        current = _key(submission, seed, sandbox, job["retrain"])
        report: Report | None = None
        if job.get("open") or list(job["have"].get(number, ())) != current:
            report = grade_one(
                submission,
                sandbox=sandbox,
                seed=seed,
                student=job["student"],
                retrain=job["retrain"],
                run_checks=not job.get("open"),
            )
        rows.append(
            {
                "assignment": number,
                "digest": submission.digest,
                "work": work_digest(submission),
                "report": report and report.to_json(),
                "tasks": task_digests(submission),
                "written": {
                    question: answer.to_json()
                    for question, answer in written_answers(submission).items()
                },
            }
        )
    return rows


def written_answers(submission: Submission) -> dict[str, WrittenAnswer]:
    return find_answers(submission.handed_in, written_questions(submission.assignment))


def staged(files: list[list[str]], folder: Path) -> Path:
    """The one path to read: a folder, or `folder` with the files and nothing else in it."""
    places = [(folder / _plain_name(name), Path(path)) for name, path in files]
    if len(places) > 1:
        for place, path in places:
            _copy(path, place)
        return folder
    place, path = places[0]
    if path.is_dir():
        return path
    place.symlink_to(path)
    return place


def _plain_name(name: str) -> str:
    name = Path(name).name
    return name if name not in ("", "..") else "submission"


def _copy(path: Path, place: Path) -> None:
    left = MAX_NOTEBOOK + 1
    with path.open("rb") as source, place.open("wb") as target:
        while left > 0 and (part := source.read(min(left, PART))):
            left -= target.write(part)


def _key(submission: Submission, seed: Seed, sandbox: Sandbox, retrain: bool) -> list[str]:
    checks = checks_digest(ASSIGNMENTS[submission.assignment], retrain=retrain)
    return [submission.digest, checks, seed.id, sandbox.isolation]


def work_digest(submission: Submission) -> str:
    """The same for two submissions whose code is the same, whatever its layout and comments."""
    return _digest(submission.pieces)


def task_digests(submission: Submission) -> dict[str, str]:
    """The same of each task's own definitions; those too short to tell anything are left out."""
    found = {}
    for task in ASSIGNMENTS[submission.assignment].tasks:
        pieces = [piece for piece in submission.pieces if set(piece.names) & set(task.names)]
        if sum(map(_size, pieces)) >= TELLING:
            found[task.id] = _digest(pieces)
    return found


def _digest(pieces: Sequence[Piece]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        tree = _tree(piece)
        text = piece.source if tree is None else ast.dump(tree)
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _size(piece: Piece) -> int:
    """How many nodes its code has; none while its TODO is still there."""
    tree = _tree(piece)
    nodes = [] if tree is None else list(ast.walk(tree))
    return 0 if any(map(is_todo, nodes)) else len(nodes)


def _tree(piece: Piece) -> ast.AST | None:
    try:
        return ast.parse(piece.source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
