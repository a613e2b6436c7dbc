"""One job: what an evaluator's fork does with a student's files.

Job       {"student", "files": [[name, path], …], "assignment": "02" or null, "guess": the same
           for `open`, "retrain", "wall",
           "have": {"02": [digest, checks_digest, seed_id, tier], …}}
Answer    {"graded": [{"assignment", "digest", "work": see `work_of`, "report": text or null where
           `have` is current, "written": {question: answer}}, …],
           "seconds"} or {"fault": words}
With "open": true nothing is read: all checks of "assignment" are open.
"""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import written_questions
from grader.core.outcomes import Report
from grader.core.seed import Seed
from grader.core.written import WrittenAnswer
from grader.grading.checks import checks_digest
from grader.grading.grading_run import by_assignment
from grader.grading.in_process import grade_one
from grader.reports.similarity import Gram, code_grams, text_grams, winnow
from grader.sandbox import Sandbox
from grader.submission import read_submissions
from grader.submission.contents import Submission
from grader.submission.ipynb import MAX_NOTEBOOK, find_answers
from kws.course.source import is_todo, statements_in

PART = 1 << 20  # bytes copied at a time


def grade_job(
    job: Mapping[str, Any], sandbox: Sandbox, seed: Seed, folder: Path
) -> list[dict[str, Any]]:
    """A row per assignment in the files of the job; current reports are reused."""
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
        written = written_answers(submission)
        rows.append(
            {
                "assignment": number,
                "digest": submission.digest,
                "work": work_of(submission, written),
                "report": report and report.to_json(),
                "written": {question: answer.to_json() for question, answer in written.items()},
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


def work_of(submission: Submission, written: Mapping[str, WrittenAnswer]) -> dict[str, Any]:
    """Task or question -> its source, and where its fingerprints are; none of untouched tasks."""
    found = {name: _work(one.text, text_grams(one.text)) for name, one in written.items()}
    for task in ASSIGNMENTS[submission.assignment].tasks:
        pieces = [piece for piece in submission.pieces if set(piece.names) & set(task.names)]
        source = "\n\n".join(piece.source for piece in pieces)
        try:
            if any(map(is_todo, statements_in(ast.parse(source)))):
                continue
            found[task.id] = _work(source, code_grams(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return {name: work for name, work in found.items() if work["prints"]}


def _work(source: str, grams: Sequence[Sequence[Gram]]) -> dict[str, Any]:
    return {"source": source, "prints": winnow(grams)}
