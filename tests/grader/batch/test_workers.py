"""The same work on a Dask cluster of processes, one of which dies in the middle."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from distributed import LocalCluster

from grader import ROOT
from grader.batch.grade_class import Settings, grade_class
from grader.batch.workers import Workers
from grader.core.outcomes import Verdict
from kws.cluster import Cluster
from kws.errors import UsageError
from tests.conftest import PATIENCE

STUDENTS = 8


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as one:
        yield one


def worker_pids(cluster) -> list[int]:
    return [nanny.pid for nanny in cluster.workers.values()]


@pytest.mark.slow
def test_every_report_comes_although_a_worker_dies(cluster, hand_in, tmp_path):
    for number in range(STUDENTS):
        folder = hand_in(f"s{number}", f"def attend(*a):\n    return {number}\n")
    out = tmp_path / "out"
    first = worker_pids(cluster)[0]

    def kill() -> None:
        while not list(out.glob("reports/*/*.json")):
            time.sleep(0.02)
        os.kill(first, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    settings = Settings(submissions=folder, out=out, assignment="02")
    workers = Workers(scheduler=cluster.scheduler_address)
    batch = grade_class(settings, lambda: workers, show=False)
    thread.join()
    assert first not in worker_pids(cluster)
    assert [one.report.student for one in batch.graded] == [f"s{n}" for n in range(STUDENTS)]
    assert all(one.report.verdict is not Verdict.PERSON for one in batch.graded)
    assert len(list(out.glob("reports/*/02.json"))) == STUDENTS


@pytest.mark.slow
def test_a_worker_grades_as_this_machine_would(cluster, hand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("KWS_GRADER_SEED", "autumn")
    folder = hand_in("alice", "def attend(*a):\n    return 1\n")
    reports = []
    for name, workers in (
        ("here", lambda: Workers(1)),
        ("there", lambda: Workers(scheduler=cluster.scheduler_address)),
    ):
        settings = Settings(submissions=folder, out=tmp_path / name, assignment="02")
        (one,) = grade_class(settings, workers, show=False).graded
        reports.append(one.report)
    assert reports[0] == reports[1]
    assert reports[0].seed_id != "development"


@pytest.mark.slow
def test_a_tier_that_workers_lack_and_a_scheduler_that_does_not_answer_are_refused(
    cluster, monkeypatch
):
    strong = Workers(required="strong", scheduler=cluster.scheduler_address)
    with strong as workers, pytest.raises(UsageError, match="is not a tier"):
        workers.info()
    monkeypatch.setattr("kws.cluster.CONNECT", "0.2s")
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        Workers(scheduler="tcp://127.0.0.1:1").__enter__()


def test_without_a_worker_a_run_waits_says_so_and_ends_and_with_one_that_comes_goes_on(
    monkeypatch, capsys
):
    for name in ("NOTICE", "GIVE_UP"):
        monkeypatch.setattr(f"kws.cluster.{name}", 0.0)
    nobody = {"n_workers": 0, "processes": False, "dashboard_address": None}
    with LocalCluster(**nobody) as one, Cluster(one.scheduler_address) as pool:
        with pytest.raises(UsageError, match="has no worker: start one with `dask worker`"):
            list(pool.as_completed(math.sqrt, [4.0]))
        assert "has no worker: waiting for one" in capsys.readouterr().err
        monkeypatch.setattr("kws.cluster.GIVE_UP", PATIENCE)
        found = pool.as_completed(math.sqrt, [4.0, 9.0])
        one.scale(1)
        assert sorted(found) == [(0, 2.0), (1, 3.0)]


@pytest.mark.slow
def test_slurm_starts_the_script_that_is_printed(hand_in, tmp_path):
    folder, tools = hand_in("alice"), tmp_path / "bin"
    tools.mkdir()
    sbatch = Path(__file__).with_name("sbatch.sh").read_text()
    for name, text in (("sbatch", sbatch), ("scancel", "#!/bin/sh\nexit 0\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "jobs").mkdir()
    environ = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "JOBS": str(tmp_path / "jobs"),
        "DASK_CONFIG": str(tmp_path),
    }
    command = [sys.executable, "-m", "grader", "grade", str(folder), "--scheduler", "slurm"]
    command += ["--workers", "1", "--assignment", "02", "--out", str(tmp_path / "out")]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": PATIENCE}
    refused = subprocess.run(command, env=environ, **options)
    assert refused.returncode == 2
    assert "write cores and memory into ~/.config/dask/jobqueue.yaml" in refused.stderr
    environ |= {"DASK_JOBQUEUE__SLURM__CORES": "1", "DASK_JOBQUEUE__SLURM__MEMORY": "2GB"}
    done = subprocess.run(command, env=environ, **options)
    assert done.returncode == 0, done.stderr
    (script,) = (tmp_path / "jobs").glob("*.sh")
    printed = done.stderr.replace("dummy-name", "SLURMCluster-0")
    assert script.read_text().strip() in printed
    assert "#SBATCH --mem=2G" in script.read_text()
    (report,) = (tmp_path / "out").glob("reports/alice/02.json")
    assert json.loads(report.read_text())["checks"][0]["earned"] > 0
