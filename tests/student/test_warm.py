"""The warm process: answers in a fork, never with old code, and ends when nobody wants it."""

import sys
import time
from pathlib import Path

import pytest

from kws.student import cell_process, warm
from kws.student.released import parse_target
from kws.student.visible_checks import run_checks
from tests.conftest import PATIENCE, forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks with torch loaded")


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A warm process that is a fork of this one, for a cache of its own."""
    monkeypatch.setenv("KWS_CACHE", str(tmp_path))
    monkeypatch.delenv("KWS_WARM")
    path = warm.socket_path()
    path.parent.mkdir()
    monkeypatch.setattr(cell_process, "NOTEBOOKS_IMPORT", ())
    child = forked(lambda: warm.serve(str(path), minutes=0.02))
    while not path.exists():
        time.sleep(0.01)
    yield child
    child.kill()


def test_it_runs_checks_in_forks_and_ends_by_itself(server, folder):
    folder.fill("02")
    target = parse_target("2.1-attend-by-hand")
    for _ in range(2):
        [outcome] = run_checks(folder["02"], target)
        assert outcome.passed
    folder.edit("02", "scores = q @", "1 / 0\n    scores = q @")
    assert "ZeroDivisionError" in run_checks(folder["02"], target)[0].text
    server.join(PATIENCE)
    assert server.exitcode == 0
    assert not warm.socket_path().exists()


def test_a_check_that_hangs_ends_with_whoever_asked(server, folder):
    hangs = "import os; open('pid', 'w').write(str(os.getpid()))\n    while True: pass\n    "
    folder.fill("02").edit("02", "scores = q @", f"{hangs}scores = q @")
    [outcome] = run_checks(folder["02"], parse_target("2.1-attend-by-hand"), seconds=1.0)
    assert "was still running after 1 s" in outcome.text
    pid = int((folder.path / "assignments" / "pid").read_text())
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_any_change_of_kws_or_settings_makes_another_one_and_without_it_there_is_none(
    tmp_path, monkeypatch
):
    (tmp_path / "a.py").write_text("1")
    before = warm.loaded_files(tmp_path)
    (tmp_path / "a.py").write_text("22")
    assert warm.loaded_files(tmp_path) != before
    paths = {warm.socket_path({"OMP_NUM_THREADS": n, "TERM": n}) for n in ("1", "2")}
    assert len(paths) == 2
    assert warm.socket_path({"TERM": "a"}) == warm.socket_path({"TERM": "b"})
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    assert warm.warm_process() is None  # KWS_WARM=0
    monkeypatch.delenv("KWS_WARM")
    assert warm.warm_process() is None
