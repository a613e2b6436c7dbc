"""Many runs, through the real workers: resumed after any death, one failure stops no other."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments import runs
from experiments.__main__ import run_command
from experiments.plan import Job
from experiments.runs import run_all
from kws.parallel import Pool
from kws.training.checkpoint import read_checkpoint
from tests.conftest import PATIENCE


@pytest.fixture
def in_this_process(monkeypatch):
    """For what does not depend on a process's life."""
    monkeypatch.setattr(runs, "run_in_process", lambda values: runs.answer(Job.of(values)))


def reported() -> tuple[list[str], dict]:
    lines: list[str] = []
    return lines, {"report": lines.append}


def test_what_has_a_result_is_not_made_again_unless_it_is_of_another_recipe(
    make_job, in_this_process, made
):
    jobs = [make_job(seed=seed) for seed in (0, 1)]
    lines, report = reported()
    assert run_all(jobs[:1], Pool(1), **report).done == ["words/gru seed 0"]
    before = jobs[0].path.stat().st_mtime_ns
    outcome = run_all(jobs, Pool(1), **report)
    assert (outcome.before, outcome.done) == (["words/gru seed 0"], ["words/gru seed 1"])
    assert jobs[0].path.stat().st_mtime_ns == before
    assert "protocol embedded-12" in lines[-1]
    job = make_job()
    from experiments.results import write_result

    text = [line.replace("epochs = 1", "epochs = 7") for line in made()["recipe"]]
    write_result(job.path, {**made(), "recipe": text})
    lines, report = reported()
    assert run_all([job], Pool(1), **report).done == [job.title]
    assert "made again" in lines[0]
    assert "train.epochs was 7, and is 1" in lines[0]


def test_a_run_that_fails_stops_no_other_and_is_told_in_one_sentence(make_job, in_this_process):
    jobs = [make_job("diverges"), make_job()]
    lines, report = reported()
    outcome = run_all(jobs, Pool(1), **report)
    assert outcome.done == ["words/gru seed 0"]
    sentence = outcome.failed["words/diverges seed 0"]
    assert "learning rate" in sentence
    assert "\n" not in sentence
    assert lines[0] == "words/diverges seed 0: failed"
    assert not jobs[0].path.exists()


def test_a_process_that_dies_costs_only_its_run(make_job, monkeypatch):
    monkeypatch.setattr(runs, "COMMAND", ["sh", "-c", "read job; kill -9 $$"])
    jobs = [make_job(seed=seed) for seed in (0, 1)]
    outcome = run_all(jobs, Pool(1), report=lambda line: None)
    assert list(outcome.failed) == [job.title for job in jobs]
    for sentence in outcome.failed.values():
        assert "ended by signal 9" in sentence
        assert "run it again" in sentence


COMMAND = """
import sys, kws.training.recipe, experiments.runs
from pathlib import Path
kws.training.recipe.RECIPES = Path(sys.argv[1])
experiments.runs.COMMAND = [sys.executable, sys.argv[2], sys.argv[1]]
from experiments.__main__ import run_command
sys.exit(run_command(sys.argv[3:]))
"""


@pytest.fixture
def command(recipes, tiny_corpus, tmp_path):
    """`command("words", "gru")`: a process of `python -m experiments run` on the tiny corpus."""

    def start(*words: str) -> subprocess.Popen:
        small = Path(__file__).with_name("small.py")
        argv = ["run", *words, "--data", tiny_corpus, "--workers", "1"]
        argv += ["--out", tmp_path / "out", "--runs", tmp_path / "runs", "--device", "cpu"]
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, recipes, small, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    return start


def wait_for_step(folder: Path, step: int) -> None:
    """Until a run folder has a checkpoint of that step."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (folder / "last.pt").exists() and read_checkpoint(folder / "last.pt")["step"] >= step:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint came")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_command_goes_on_after(command, make_job, made, recipes, number):
    """Ctrl-C and kill -9 of the command itself; its worker must not live on."""
    job = make_job()
    (recipes / "slow").touch()
    first = command("words", "gru")
    wait_for_step(job.run_folder, 1)
    first.send_signal(number)
    _, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    assert "Traceback" not in err
    assert not job.path.exists()
    (recipes / "slow").unlink()
    again = command("words", "gru")
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert "1 made, 0 there before, 0 failed, 0 left" in out
    result = json.loads(job.path.read_text())
    assert not result["seconds"]["whole"]
    assert result["history"] == made()["history"]


def test_the_command_tells_failures_and_what_is_left_out_with_exit_code_1(
    tiny_corpus, tmp_path, recipes, in_this_process, monkeypatch, capsys
):
    folders = ["--out", tmp_path / "out", "--runs", tmp_path / "runs", "--workers", "1"]

    def command(*words):
        code = run_command([*map(str, ["run", *words, "--data", tiny_corpus, *folders])])
        return code, *capsys.readouterr()

    code, out, err = command("words", "diverges", "gru")
    assert code == 1
    assert "1 made, 0 there before, 1 failed, 0 left" in out
    assert err.startswith("failed: words/diverges seed 0: step ")
    assert err.count("\n") == 1
    code, out, _ = command("all", "--seeds", "5-5")
    assert code == 1  # one diverges
    assert "left out: voices/transformer: about speakers" in out
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = command("words", "slow-gru", "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2
    cure = "run pip install '.[cluster]' in the folder of kws"
    assert err == f"experiments: --scheduler needs Dask: {cure}\n"


# Dask


@pytest.fixture(scope="module")
def cluster(recipe_folder, tmp_path_factory):
    distributed = pytest.importorskip("distributed")
    small = Path(__file__).with_name("small.py")
    preload = tmp_path_factory.mktemp("dask") / "recipes.py"
    command = [sys.executable, str(small), str(recipe_folder)]
    preload.write_text(
        f"import sys; sys.path.insert(0, {str(runs.ROOT)!r})\n"
        f"from experiments import runs\nruns.COMMAND = {command!r}\n"
    )
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        preload=[str(preload)],
    ) as one:
        yield one


@pytest.mark.slow
def test_a_cluster_loses_no_run_to_a_worker_that_dies(cluster, make_job, made, recipes):
    from kws.cluster import Cluster

    jobs = [make_job(seed=seed) for seed in range(4)]
    (recipes / "slow").touch()

    def kill() -> None:
        """The Dask workers that make a run have a child: the first of them, once each has saved."""
        for job in jobs[:2]:
            wait_for_step(job.run_folder, 1)
        pids = [nanny.pid for nanny in cluster.workers.values()]
        busy = [pid for pid in pids if Path(f"/proc/{pid}/task/{pid}/children").read_text()]
        os.kill((busy or pids)[0], signal.SIGKILL)
        (recipes / "slow").unlink()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    pool = Cluster(cluster.scheduler_address)
    outcome = run_all(jobs, pool, report=lambda line: None)
    thread.join()
    assert sorted(outcome.done) == [job.title for job in jobs]
    assert not outcome.failed
    results = [json.loads(job.path.read_text()) for job in jobs]
    assert results[0]["history"] == made()["history"]
    assert [result["seed"] for result in results] == [0, 1, 2, 3]
    assert not all(result["seconds"]["whole"] for result in results)
