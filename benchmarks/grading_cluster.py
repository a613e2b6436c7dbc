"""A class on a Dask cluster whose workers are killed: is nothing lost, and each answered once?

Jobs go through `grader.batch.workers` as those of `grade --scheduler` do; a stub answers them, so
that it is the way there and back that is measured. Every so many answers one worker is killed, the
next each time, once those before have come back. What ran twice is counted by lines in a file.

    python benchmarks/grading_cluster.py [--students 200] [--kills 8] [--workers 2]
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))


def answer(task: tuple[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """On a worker: what stands for a grading."""
    job = task[2]
    with Path(job["log"]).open("a") as log:
        log.write(f"{job['student']}\n")
    time.sleep(0.005)
    return {"graded": [{"student": job["student"]}], "seconds": 0.0, "faults": []}


def main() -> None:
    """Hand out the jobs, kill workers meanwhile, and count."""
    from distributed import LocalCluster
    from report import finish, hardware

    from benchmarks import grading_cluster
    from grader.batch import workers as module

    parser = argparse.ArgumentParser()
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    module.grade = grading_cluster.answer
    students = [f"s{place:05d}" for place in range(options.students)]
    answers: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        shared = {"log": str(log), "assignment": "02", "guess": "02"}
        jobs = [{**shared, "student": student} for student in students]
        given: dict[str, Any] = {"n_workers": options.workers, "threads_per_worker": 1}
        given |= {"processes": True, "dashboard_address": None}
        local: Any = LocalCluster(**given)
        every, killed, faults = options.students // (options.kills + 1), 0, 0
        with (
            local as cluster,
            module.Workers(scheduler=cluster.scheduler_address) as workers,
        ):
            for at, found in workers.run(jobs):
                (row,) = found["graded"]
                assert row["student"] == students[at]
                answers[row["student"]] += 1
                faults += bool(found["faults"])
                due = answers.total() // every > killed and killed < options.kills
                ready = {each["name"] for each in cluster.scheduler_info["workers"].values()}
                if due and len(ready) == options.workers:  # one that starts would not come back
                    pid = list(cluster.workers.values())[killed % options.workers].pid
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
        runs = Counter(log.read_text().split())
    lost = [student for student in students if not answers[student]]
    twice = [student for student, times in answers.items() if times > 1]
    again = sum(times - 1 for times in runs.values())
    print(f"{options.students} students, {killed} workers killed: {len(lost)} lost, {len(twice)}")
    print(f"answered twice, {faults} given up; {again} runs were repeated on another worker")
    counts = {"students": options.students, "killed": killed, "repeated": again, "faults": faults}
    finish({**counts, "lost": len(lost), "twice": len(twice), "hardware": hardware()})
    sys.exit(bool(lost or twice))


if __name__ == "__main__":
    main()
