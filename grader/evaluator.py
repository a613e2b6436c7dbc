"""The evaluator: a process that has loaded everything and grades one submission after another.

    python -m grader.evaluator [--require-isolation TIER]

It starts the sandbox first, then reads the secret seed, and says on one line of stdout which tier
and which seed it grades with (`Hello`), or why it does not. Then each line of stdin is a job, and
each gets one line of answer. A job is graded in a fork, so that nothing of it stays behind and
memory stays flat. A fork that dies, or does not answer in time, is a fault: it is told, and the
process ends, for its sandbox may have been left in the middle of something. Whoever asked starts
another (`grader.batch.client`). When stdin closes, the process and its fork end.

Job       {"student", "files": [[name, path], …], "assignment": "02" or null, "guess": the same
           for `open`, "retrain", "wall",
           "have": {"02": [digest, checks_digest, seed_id, tier], …}}
Answer    {"graded": [{"assignment", "digest", "work", "report": text or null where `have` is
           current}, …], "seconds"} or {"fault": words}
With "open": true nothing is read: the report on "assignment" has every check, with open points.
"""

import argparse
import ast
import gc
import hashlib
import importlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kws.errors import UsageError

if TYPE_CHECKING:
    from grader.hidden import Seed
    from grader.isolation import Sandbox
    from grader.outcomes import Report
    from grader.submission import Submission

GRACE = 30.0  # seconds from the wall limit, when the fork is to stop, to the one when it is killed
AGAIN = 5.0  # seconds between two reminders to stop
REFUSED = 2


def main() -> int:
    """Serve jobs from stdin until it closes."""
    parser = argparse.ArgumentParser(prog="grader.evaluator")
    parser.add_argument("--require-isolation", metavar="TIER")
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever is printed by accident is no answer
    with ExitStack() as closing:
        try:
            sandbox, seed = _start(options.require_isolation, closing)
        except UsageError as error:
            _send(answers, {"refused": str(error)})
            return REFUSED
        _send(
            answers,
            {"tier": sandbox.tier.value, "weaknesses": sandbox.weaknesses, "seed_id": seed.id},
        )
        return _serve(answers, sandbox, seed)


def _start(required: str | None, closing: ExitStack) -> "tuple[Sandbox, Seed]":
    """The sandbox, before anything secret is read; then the seed, and all that a check imports."""
    from grader.isolation import Sandbox
    from grader.plugin import require_tier

    sandbox = closing.enter_context(Sandbox())
    require_tier(sandbox, required)
    from grader.hidden import read_seed

    seed = read_seed()
    preload(sandbox, seed)
    return sandbox, seed


def preload(sandbox: "Sandbox", seed: "Seed") -> None:
    """Load what grading loads, the checks and what they import too, so that forks find it there."""
    import torch

    from grader.adapters import ASSIGNMENTS
    from grader.checks import checks_digest

    torch.set_num_threads(1)  # before the first operation: a fork inherits no threads
    for name in ("grader.salvage", "grader.authoring.reference"):
        importlib.import_module(name)
    from grader.grade import open_report
    from grader.submission import Submission

    for number, assignment in ASSIGNMENTS.items():
        nothing = Submission(assignment=number, pieces=(), digest="")
        open_report(nothing, sandbox=sandbox, seed=seed)  # collects, and runs nothing
        checks_digest(assignment, retrain=True)  # reads files: once is enough


def _serve(answers: BinaryIO, sandbox: "Sandbox", seed: "Seed") -> int:
    from grader.hidden import prepare

    gc.collect()
    gc.freeze()  # the forks' collectors leave these pages shared
    for line in iter(sys.stdin.buffer.readline, b""):
        job = json.loads(line)
        prepare(job["guess"] or "", seed, retrain=job["retrain"])
        answer = _answer(job, sandbox, seed)
        if answer is None:  # nobody listens any more
            return 0
        _send(answers, answer)
        if "fault" in answer:
            return 1
    return 0


def _send(answers: BinaryIO, table: Mapping[str, Any]) -> None:
    data = memoryview(json.dumps(table).encode() + b"\n")
    while data:
        data = data[answers.write(data) :]


# One job


def _answer(job: dict[str, Any], sandbox: "Sandbox", seed: "Seed") -> dict[str, Any] | None:
    """Grade in a fork. None if stdin closed meanwhile."""
    started = time.monotonic()
    folder = tempfile.mkdtemp(prefix="grading-")
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _fork(job, sandbox, seed, theirs, folder)
    os.close(theirs)
    try:
        data, why = _read(ours, started + job["wall"] + GRACE)
        if why:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(ours)
        shutil.rmtree(folder, ignore_errors=True)
    if why == "closed":
        return None
    if why:
        return {"fault": f"grading took longer than {job['wall']:.0f} seconds, and did not stop"}
    if status < 0:
        return {"fault": f"the process that graded was ended by {signal.Signals(-status).name}"}
    try:
        answer = json.loads(data)
    except ValueError:
        return {"fault": f"the process that graded ended with code {status} and no answer"}
    return {**answer, "seconds": round(time.monotonic() - started, 3)}


def _read(pipe: int, until: float) -> tuple[bytes, str]:
    """All that comes from the fork, and "late" or "closed" (our stdin) if the end did not come."""
    parts = []
    stdin = sys.stdin.buffer.fileno()
    watch = [pipe, stdin]
    while True:
        left = until - time.monotonic()
        ready = select.select(watch, [], [], max(left, 0))[0]
        if pipe in ready:
            part = os.read(pipe, 1 << 16)
            if not part:
                return b"".join(parts), ""
            parts.append(part)
        elif stdin in ready:
            if not sys.stdin.buffer.peek(1):  # type: ignore[attr-defined]
                return b"", "closed"
            watch = [pipe]  # the next job is there already: its sender does not wait for answers
        elif left <= 0:
            return b"", "late"


def _fork(job: dict[str, Any], sandbox: "Sandbox", seed: "Seed", pipe: int, folder: str) -> None:
    """In the fork: grade, answer through the pipe, end without any clean-up of the parent's."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, job["wall"], AGAIN)
        try:
            answer = {"graded": grade_job(job, sandbox, seed, Path(folder))}
        except Exception as error:
            traceback.print_exc()
            where = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(where.filename).name}:{where.lineno}"
            answer = {"fault": f"{type(error).__name__} at {at}"}
        signal.setitimer(signal.ITIMER_REAL, 0)
        with os.fdopen(pipe, "wb", buffering=0) as file:
            _send(file, answer)
        code = 0
    finally:
        os._exit(code)


def _stop(*_: object) -> None:
    import pytest

    pytest.exit("the time for this submission is used up")


def grade_job(
    job: Mapping[str, Any], sandbox: "Sandbox", seed: "Seed", folder: Path
) -> list[dict[str, Any]]:
    """A row for each assignment that the job's files answer; those that are current are not run."""
    from grader.grade import grade_one, open_report
    from grader.grading import choose
    from grader.salvage import read_submissions
    from grader.submission import Submission

    found = [Submission(assignment=job["assignment"] or "", pieces=(), digest="")]
    if not job.get("open"):
        found = read_submissions(_staged(job["files"], folder), job["assignment"])
    rows = []
    for number, submission in sorted(choose(found, job["assignment"]).items()):
        current = _key(submission, seed, sandbox, job["retrain"])
        report: Report | None = None
        if job.get("open"):
            report = open_report(submission, sandbox=sandbox, seed=seed, student=job["student"])
        elif list(job["have"].get(number, ())) != current:
            report = grade_one(
                submission,
                sandbox=sandbox,
                seed=seed,
                student=job["student"],
                retrain=job["retrain"],
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


def _key(submission: "Submission", seed: "Seed", sandbox: "Sandbox", retrain: bool) -> list[str]:
    from grader.adapters import ASSIGNMENTS
    from grader.checks import checks_digest

    checks = checks_digest(ASSIGNMENTS[submission.assignment], retrain=retrain)
    return [submission.digest, checks, seed.id, sandbox.tier.value]


def work_digest(submission: "Submission") -> str:
    """The same for two submissions whose code is the same, whatever its layout and comments."""
    digest = hashlib.sha256()
    for piece in submission.pieces:
        try:
            text = ast.dump(ast.parse(piece.source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            text = piece.source
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
