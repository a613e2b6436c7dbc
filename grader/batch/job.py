"""One job: what an evaluator's fork does with a student's files.

Job       {"student", "files": [[name, path], …], "assignment": "02" or null, "guess": the same
           for `open`, "retrain", "wall",
           "have": {"02": [digest, checks_digest, seed_id, tier], …}}
Answer    {"graded": [{"assignment", "digest", "work", "report": text or null where `have` is
           current}, …], "seconds"} or {"fault": words}
With "open": true nothing is read: the report on "assignment" has every check, with open points.
"""

import ast
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.adapters import ASSIGNMENTS
from grader.checks import checks_digest
from grader.grade import grade_one
from grader.grading import choose
from grader.hidden import Seed
from grader.isolation import Sandbox
from grader.outcomes import Report
from grader.salvage import read_submissions
from grader.submission import Submission


def grade_job(
    job: Mapping[str, Any], sandbox: Sandbox, seed: Seed, folder: Path
) -> list[dict[str, Any]]:
    """A row for each assignment that the job's files answer; those that are current are not run."""
    found = [Submission(assignment=job["assignment"] or "", pieces=(), digest="")]
    if not job.get("open"):
        found = read_submissions(_staged(job["files"], folder), job["assignment"])
    rows = []
    for number, submission in sorted(choose(found, job["assignment"]).items()):
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
            }
        )
    return rows


def _staged(files: list[list[str]], folder: Path) -> Path:
    """The one path to read: a lone file or folder itself, several under their names in `folder`."""
    if len(files) == 1 and Path(files[0][1]).name == files[0][0]:
        return Path(files[0][1])
    for name, path in files:
        shutil.copyfile(path, folder / Path(name).name)
    return folder


def _key(submission: Submission, seed: Seed, sandbox: Sandbox, retrain: bool) -> list[str]:
    checks = checks_digest(ASSIGNMENTS[submission.assignment], retrain=retrain)
    return [submission.digest, checks, seed.id, sandbox.tier.value]


def work_digest(submission: Submission) -> str:
    """The same for two submissions whose code is the same, whatever its layout and comments."""
    digest = hashlib.sha256()
    for piece in submission.pieces:
        try:
            text = ast.dump(ast.parse(piece.source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            text = piece.source
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
