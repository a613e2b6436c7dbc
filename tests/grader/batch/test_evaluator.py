"""One evaluator process: answers, forks that leave nothing, faults that are told and retried."""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from grader import ROOT
from grader.authoring.build import build_notebook
from grader.batch import client
from grader.batch.client import Evaluator, grade_with_retry
from grader.batch.evaluator import GRADING, PREPARING, wait_for_threads
from grader.core.outcomes import Reason, Report, Verdict
from kws.course.trial import all_trials
from kws.errors import UsageError
from tests.conftest import PATIENCE
from tests.grader.conftest import until

EMPTY = "# nothing is defined\n"
SLEEPING = "import time\ndef attend(*a):\n    time.sleep(60)\n"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Where temporary files are made."""
    folder = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def evaluator(scratch):
    with Evaluator() as one:
        one.start()
        yield one


@pytest.fixture
def one():
    """An evaluator for one test, to be spoilt."""
    with Evaluator() as one:
        one.start()
        yield one


@pytest.fixture
def job(hand_in):
    """`job(text)`: to grade a submission of assignment 2 with this text."""

    def make(text: str | None = EMPTY, **more) -> dict:
        folder = hand_in("alice", text) / "alice"
        usual = {"assignment": "02", "guess": "02", "retrain": False, "wall": 300.0, "have": {}}
        return {"student": "alice", "files": [["alice", str(folder)]], **usual, **more}

    return make


def memory(pid: int) -> int:
    """Bytes of a process that are its own."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) << 10


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(p) for p in text.split()]


def only_report(answer: dict) -> Report:
    (row,) = answer["graded"]
    return Report.from_json(row["report"])


def test_a_job_is_answered_with_the_same_report_each_time_but_not_where_that_is_current(
    evaluator, job
):
    first, second = (evaluator.ask(job()) for _ in range(2))
    assert first["graded"] == second["graded"]
    report = only_report(first)
    assert (report.student, report.assignment, report.score) == ("alice", "02", 0)
    assert {check.reason for check in report.checks} == {Reason.MISSING}
    key = [report.digest, report.checks_digest, report.seed_id, report.tier]
    (row,) = evaluator.ask(job(have={"02": key}))["graded"]
    assert row["report"] is None
    stale = [key[0], "other", *key[2:]]  # which of the four differs: see test_job.py
    assert only_report(evaluator.ask(job(have={"02": stale}))) == report


def test_what_cannot_be_opened_waits_for_a_person_and_says_why(evaluator, job, tmp_path):
    (tmp_path / "hw.7z").write_bytes(b"7z")
    report = only_report(evaluator.ask(job(files=[["hw.7z", str(tmp_path / "hw.7z")]])))
    assert report.verdict is Verdict.PERSON
    assert {check.earned for check in report.checks} == {None}
    words = "hw.7z could not be read: hand in the .ipynb file again"
    assert {(check.reason, check.message) for check in report.checks} == {(Reason.UNREAD, words)}


def test_what_a_cell_too_long_to_be_read_may_define_waits_for_a_person(evaluator, job, tmp_path):
    notebook = json.loads(build_notebook(ROOT / "solutions/02_attention.py"))
    (cell,) = [each for each in notebook["cells"] if "def attend" in "".join(each["source"])]
    cell["source"] = [*cell["source"], "\n#" + "x" * 30_000]
    (path := tmp_path / "02_attention.ipynb").write_text(json.dumps(notebook))
    report = only_report(evaluator.ask(job(files=[[path.name, str(path)]])))
    assert report.verdict is Verdict.PERSON
    waiting = [check for check in report.checks if check.earned is None]
    assert {(check.task, check.reason) for check in waiting} == {("2.1", Reason.UNREAD)}
    assert all("was not read" in check.message for check in waiting)
    assert {each.reason for each in report.checks if each not in waiting} == {Reason.NOT_STARTED}


@pytest.mark.parametrize("retrain", [False, True])
def test_a_report_without_a_run_has_every_check_open(evaluator, job, retrain):
    report = only_report(evaluator.ask(job(assignment="03", retrain=retrain, open=True)))
    assert {check.earned for check in report.checks} == {None}
    assert any(check.retrain for check in report.checks) == retrain


@pytest.mark.slow
def test_nothing_of_a_job_stays_behind(evaluator, job):
    evaluator.ask(job())
    before, kept = memory(evaluator.pid), len(children(evaluator.pid))
    for _ in range(5):
        evaluator.ask(job())
    assert memory(evaluator.pid) - before < 4 << 20
    assert len(children(evaluator.pid)) == kept


def test_an_evaluator_that_ends_in_the_middle_leaves_no_file(evaluator, job, scratch):
    evaluator.start()
    asking = threading.Thread(target=lambda: evaluator.ask(job(SLEEPING)))
    asking.start()
    forks_of(evaluator.pid)
    assert list(scratch.glob("grading-*/*"))
    evaluator.close()  # the next job starts another
    asking.join()
    assert list(scratch.glob("grading-*")) == []


@pytest.mark.slow
def test_a_submission_that_outlasts_its_time_keeps_what_it_has_and_waits_for_a_person(job):
    with Evaluator() as one:
        report = only_report(one.ask(job(SLEEPING, wall=2.0)))
    assert report.verdict is Verdict.PERSON
    assert report.checks[-1].earned is None


def kill_the_fork(evaluator: Evaluator, times: int) -> None:
    """Kill the next forks of whatever process the evaluator has, as the kernel would."""

    def kill() -> None:
        for _ in range(times):
            until(lambda: evaluator.pid)
            pid = evaluator.pid
            for process in forks_of(pid):
                os.kill(process, signal.SIGKILL)
            until(lambda pid=pid: evaluator.pid != pid)

    threading.Thread(target=kill, daemon=True).start()


def is_fork(pid: int, what: str = GRADING) -> bool:
    """Whether this is a fork of the evaluator that does this."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == what
    except OSError:
        return False


def forks_of(pid: int, count: int = 1, what: str = GRADING) -> list[int]:
    """As soon as there are so many."""
    until(lambda: len([p for p in children(pid) if is_fork(p, what)]) >= count)
    return [p for p in children(pid) if is_fork(p, what)]


def until_gone(pids: list[int]) -> None:
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_a_fork_that_is_killed_is_tried_again_and_killed_twice_its_points_are_open(one, job, times):
    first = one.pid
    kill_the_fork(one, times)
    answer = grade_with_retry(one, job())
    assert one.pid != first
    report = only_report(answer)
    assert len(answer["faults"]) == times
    assert "SIGKILL" in answer["faults"][0]
    assert (report.verdict is Verdict.PERSON) == (times == 2)
    if times == 2:
        assert {check.earned for check in report.checks} == {None}
        assert {check.reason for check in report.checks} == {Reason.INFRASTRUCTURE}
        assert [check.id for check in report.checks] == [trial.id for trial in all_trials("02")]


@pytest.mark.slow
def test_an_evaluator_that_nobody_talks_to_ends_with_its_fork(one, job):
    threading.Thread(target=one.ask, args=[job(SLEEPING)], daemon=True).start()
    process = one._current
    forks = forks_of(process.pid)
    process._control.shutdown(socket.SHUT_RDWR)  # as if we were gone
    process._process.wait(PATIENCE)
    until(lambda: not any(map(is_fork, forks)))


@pytest.mark.slow
def test_the_end_of_a_fork_that_nobody_waits_for_of_the_sandbox_and_of_all_costs_nobody_anything(
    one, job
):
    process, first = one._current, one.pid
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(process._control, [b"J"], [theirs.fileno()])
        ours.sendall(json.dumps(job(SLEEPING)).encode() + b"\n")
        forks = forks_of(first)
    until_gone(forks)
    assert one.ask(job())["graded"]
    assert one.pid == first
    (server,) = [pid for pid in children(first) if not is_fork(pid)]
    os.kill(server, signal.SIGKILL)
    answer = grade_with_retry(one, job())
    assert one.pid != first
    assert answer["faults"] == ["the sandbox has ended"]
    assert only_report(answer).verdict is not Verdict.PERSON
    os.kill(one.pid, signal.SIGKILL)
    assert "ended with code -9" in one.ask(job())["fault"]
    assert one.ask(job())["graded"]


@pytest.mark.slow
def test_a_fork_that_does_not_stop_is_killed_and_the_evaluator_goes_on(job):
    impatient = "import grader.batch.evaluator as one; one.GRACE = 0.2; one.main()"
    process = client._Process([sys.executable, "-c", impatient], os.environ)
    try:
        process.wait_until_ready()
        threading.Thread(
            target=lambda: os.kill(forks_of(process.pid)[0], signal.SIGSTOP), daemon=True
        ).start()
        output = process.ask(job(SLEEPING, wall=1.0))
        assert "did not stop" in output["fault"]
        assert process.ask(job())["graded"]
    finally:
        process.close()


@pytest.mark.slow
def test_a_job_that_waits_for_the_listener_is_told_and_holds_up_no_other(
    job, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "empty"))  # it has to be trained
    with Evaluator() as one:
        one.start()
        waiting = threading.Thread(target=lambda: one.ask(job(assignment="08", guess="08")))
        waiting.start()
        (preparing,) = forks_of(one.pid, what=PREPARING)
        assert only_report(one.ask(job())).assignment == "02"
        assert waiting.is_alive()
        until(lambda: Path(f"/proc/{preparing}").exists() and one._current._shown)
        os.kill(one.pid, signal.SIGKILL)
        until_gone([preparing])  # it ends with its parent
        waiting.join()
    assert capfd.readouterr().err.count("preparing 08") == 1


@pytest.mark.slow
def test_jobs_are_graded_side_by_side_and_a_fault_of_one_spares_the_others(job):
    waits = job("import time\ndef attend(*a):\n    time.sleep(2)\n")
    found = {}
    with Evaluator() as one:
        one.start()
        first = one.pid
        threads = [
            threading.Thread(target=lambda at=at: found.update({at: one.ask(waits)}))
            for at in range(2)
        ]
        for thread in threads:
            thread.start()
        forks = forks_of(first, 2)
        os.kill(forks[0], signal.SIGKILL)
        while one.pid == first:  # it gets no more jobs, and ends with the one that it has
            time.sleep(0.01)
        assert is_fork(forks[1])
        for thread in threads:
            thread.join()
        until_gone([first])
    faults = [answer for answer in found.values() if "fault" in answer]
    assert len(faults) == 1
    assert "SIGKILL" in faults[0]["fault"]
    assert sum("graded" in answer for answer in found.values()) == 1


@pytest.mark.slow
def test_a_missing_tier_is_refused_and_a_seed_replaces_that_of_the_environment(monkeypatch):
    with pytest.raises(UsageError, match="is not a tier"), Evaluator(required="strong") as one:
        one.start()
    monkeypatch.setenv("KWS_GRADER_SEED_FILE", "/nonexistent")
    with Evaluator() as one, pytest.raises(UsageError, match="cannot be read"):
        one.start()
    with Evaluator(environ={"KWS_GRADER_SEED": "autumn"}) as one:
        assert one.start().seed_id not in ("", "development")


def test_a_fork_waits_for_the_end_of_threads_but_not_for_one_that_goes_on(tmp_path, monkeypatch):
    main, ending = tmp_path / "1", tmp_path / "2"
    main.mkdir()
    ending.mkdir()
    monkeypatch.setattr("grader.batch.evaluator.THREADS", tmp_path)
    wait_for_threads(0.0)
    assert ending.exists(), "given up"
    monkeypatch.setattr("grader.batch.evaluator.time.sleep", lambda _: ending.rmdir())
    wait_for_threads(60.0)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.slow
def test_an_evaluator_has_one_thread_when_it_forks_though_voices_spoke_in_many(evaluator, job):
    evaluator.ask(job(assignment="03", guess="03"))
    assert len([*Path(f"/proc/{evaluator.pid}/task").iterdir()]) == 1
