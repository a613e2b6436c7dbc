"""Many runs at once: what has a result is left, a failure stops no other, Ctrl-C saves.

Every run is made by a process of its own with one thread, so that its numbers do not depend on how
many there are: `python -m experiments.runs` reads a job from stdin, a line of JSON, and answers
with another, {"result": …} or {"error": "one sentence"}. It leaves the terminal's Ctrl-C to its
parent, which passes it on once, and ends when its parent does, whatever ends that: its stdin
closes. On a Dask cluster each worker starts such processes; data, results and checkpoints lie
under the same paths there. Interrupted, a cluster finishes what is under way and keeps the results.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments.plan import Job, recipe_of
from experiments.results import Result, status
from kws.cluster import Cluster
from kws.errors import UsageError, is_out_of_memory
from kws.metrics import Proportion
from kws.parallel import Pool
from kws.student.processes import JsonProcess, json_stdout

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "experiments.runs"]
INTERRUPTED = 130
AGAIN = "run it again, it goes on from its last checkpoint"
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_under_way: dict[JsonProcess, bool] = {}  # whether it was interrupted


@dataclass(kw_only=True)
class Outcome:
    """What became of the jobs: titles of those done before and now, sentences of those failed."""

    before: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # not begun, or interrupted
    interrupted: bool = False


def run_all(
    jobs: Sequence[Job],
    pool: Pool | Cluster,
    *,
    report: Callable[[str], None] = tqdm.write,
) -> Outcome:
    """Make every run whose result is not there yet. `report` gets a line for each run."""
    outcome = Outcome()
    wanted: list[Job] = []
    for job in jobs:
        found = status(job, recipe_of(job))
        if found.done:
            outcome.before.append(job.title)
            continue
        if found.because:
            report(f"{job.title}: made again, {found.because}")
        wanted.append(job)
    if not wanted:
        return outcome
    bar = tqdm(total=len(wanted), unit="run", leave=False, disable=None, smoothing=0)
    with bar:
        try:
            with pool:
                values = [job.as_dict() for job in wanted]
                for at, answer in pool.as_completed(run_in_process, values):
                    record_answer(outcome, wanted[at], answer, report)
                    bar.update()
        except KeyboardInterrupt:
            outcome.interrupted = True
    finished = {*outcome.done, *outcome.failed}
    for job in wanted:
        if job.title in finished:
            continue
        if status(job, recipe_of(job)).done:  # it ended while the others were interrupted
            outcome.done.append(job.title)
        else:
            outcome.left.append(job.title)
    return outcome


def record_answer(
    outcome: Outcome,
    job: Job,
    answer: dict[str, Any] | Exception,
    report: Callable[[str], None],
) -> None:
    """Note what a run came to. An interrupted one has no result and no error: it is left."""
    if isinstance(answer, Exception):
        answer = {"error": f"{answer}: {AGAIN}"}
    if "result" in answer:
        outcome.done.append(job.title)
        report(f"{job.title}: {in_words(answer['result'])}")
    elif "error" in answer:
        outcome.failed[job.title] = answer["error"]
        report(f"{job.title}: failed")


def in_words(result: Result) -> str:
    """A result in one line."""
    accuracy = Proportion(correct=result["correct"], n=result["n"])
    wall = result["seconds"]["wall"]
    return f"{accuracy.describe(protocol=result['protocol'])}, {wall:,.0f} s"


def run_in_process(values: dict[str, Any]) -> dict[str, Any]:
    """Make a run in a process of its own: {"result": …}, {"error": …}, or {} if interrupted."""
    environ = {**os.environ, **THREADS}
    with JsonProcess(COMMAND, env=environ, cwd=ROOT, start_new_session=True) as child:
        _under_way[child] = False
        try:
            child.send(values)
            answer = child.receive()
        finally:
            interrupted = _under_way.pop(child)
    if answer is not None:
        return answer
    code = child.exit_code()
    if interrupted or code == INTERRUPTED:
        return {}
    if code < 0:
        how = f"was ended by signal {-code}, perhaps for lack of memory"
    else:
        how = f"ended with code {code}"
    return {"error": f"its process {how}: {AGAIN}"}


def interrupt_runs() -> None:
    """Let the runs under way save what they have, and end; each gets one signal."""
    for child, interrupted in list(_under_way.items()):
        if not interrupted and child in _under_way:
            _under_way[child] = True
            child.process.send_signal(signal.SIGINT)


def answer(job: Job) -> dict[str, Any]:
    """Make a run: its result, or why there is none in one sentence."""
    from experiments.one_run import run_one

    try:
        return {"result": run_one(job)}
    except UsageError as error:
        return {"error": str(error)}
    except OSError as error:  # a full disk
        where = error.filename2 or error.filename or job.run_folder
        return {"error": f"{where}: {error.strerror}: free some space, or choose other folders"}
    except Exception as error:
        if is_out_of_memory(error):
            return {"error": "not enough memory: run it with fewer --workers"}
        traceback.print_exc()
        sentence = f"{type(error).__name__}: {error}".partition("\n")[0]
        return {"error": f"{sentence} (a defect: its traceback is above)"}


def main() -> None:
    """Make the run that stdin names."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # while nothing is to be saved
    import torch

    torch.set_num_threads(1)
    write = json_stdout(others=2)
    job = Job.of(json.loads(sys.stdin.readline()))

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        write(answer(job))
        os._exit(0)  # not through the interpreter's end, which waits for the reader
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
