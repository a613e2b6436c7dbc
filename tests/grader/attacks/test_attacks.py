"""Every planted attack works against a naive grader, and gains nothing here.

The naive grader is in `naive.py`: pytest in the student's interpreter. An attack that fails against
it is not an attack, and proves nothing here. Against ours, the wrong answer earns what it earns
without the attack, every honest answer keeps its points, and nothing is read, written, sent or left
behind.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from grader import ROOT
from grader.core.seed import Seed
from grader.course.attacks import ATTACKS, WRONG, Attack
from grader.course.mistakes.planted import as_notebook
from grader.grading.in_process import grade_one
from grader.sandbox import Limits, Sandbox, Tier
from grader.submission import read_submissions
from tests.grader.conftest import code_beside, with_limits

HERE = Path(__file__).parent
SECRET, SECRET_NAME = "c0ffee-the-hidden-seed", "KWS_GRADER_SEED"
OTHERS_WORD = SECRET  # what another student's submission holds
FLOOD = 10_000_000  # bytes
LEAKED = re.compile(r"LEAK-?\d")
ATTACKED = "2.1"
ONE = {attack.kind: attack.name for attack in ATTACKS}  # of each kind, in a fast suite
EACH_ATTACK = pytest.mark.parametrize(
    "attack",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.slow] * (one.name != ONE[one.kind]))
        for one in ATTACKS
    ],
)
HIDDEN_TESTS = code_beside(__file__)["hidden_tests"]
HONEST = "\n\ndef split_heads(x, n):\n    return x.unflatten(-1, (n, -1)).transpose(1, 2)\n"


@dataclass
class World:
    """Where an attack may leave its traces: a file, three listeners, and other people's work."""

    folder: Path
    received: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.target = self.folder / "target"
        self.other = self.folder / "other.txt"
        self.other.write_text(OTHERS_WORD)
        course = self.folder / "course"
        course.mkdir()
        (course / "02_attention.py").write_bytes((ROOT / "solutions/02_attention.py").read_bytes())
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.folder / "line"))
        self.unix.listen()
        waits = {"tcp": lambda: self.tcp.accept()[0].close(), "udp": lambda: self.udp.recv(100)}
        waits["unix"] = lambda: self.unix.accept()[0].close()
        for one in waits.items():
            threading.Thread(target=self._listen, args=one, daemon=True).start()

    def _listen(self, name: str, wait: Callable[[], object]) -> None:
        with contextlib.suppress(OSError):
            while True:
                wait()
                self.received.append(name)

    def constants(self, secret_name: str = SECRET_NAME) -> dict[str, str | int]:
        return {
            "TARGET": str(self.target),
            "OTHER": str(self.other),
            "COURSE": str(self.folder / "course"),
            "PORT": self.port,
            "SOCKET": str(self.folder / "line"),
            "SECRET_NAME": secret_name,
        }

    def traces(self) -> list[str]:
        """What an attack left or sent, after the time that a process left behind would need."""
        time.sleep(0.4)
        return [*self.received, *(["target"] if os.path.lexists(self.target) else [])]

    def close(self) -> None:
        for line in (self.tcp, self.udp, self.unix):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


class Naive:
    """The naive grader's process, started again when an attack has killed it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None

    def start(self) -> subprocess.Popen:
        environment = {**os.environ, SECRET_NAME: SECRET, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [sys.executable, HERE / "naive.py"]
        return subprocess.Popen(command, text=True, cwd=HERE, env=environment, **pipes)

    def end(self) -> None:
        if self.process is not None:
            with self.process as process:  # closes its pipes, and waits
                process.kill()

    def grade(self, folder: Path, fresh: bool) -> int:
        if fresh:  # an interpreter that starts in the student's folder
            return self._fresh(folder)
        if self.process is None or self.process.poll() is not None:
            self.end()
            self.process = self.start()
            assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return int(line) if line else -9

    def _fresh(self, folder: Path) -> int:
        command = [sys.executable, "-m", "pytest", "-q", "--junitxml=result.xml", "test_hidden.py"]
        environment = {**os.environ, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True).returncode


@pytest.fixture(scope="module")
def naive_grader():
    grader = Naive()
    yield grader
    grader.end()


def naive_result(grader: Naive, attack: Attack, world: World) -> SimpleNamespace:
    """Grade the attack as many people do."""
    folder = world.folder / "student"
    folder.mkdir()
    (folder / "attention.py").write_text(attack.cell(**world.constants()) + HONEST)
    (folder / "test_hidden.py").write_text(HIDDEN_TESTS)
    for name, data in attack.files.items():
        (folder / name).write_bytes(data)
    code = grader.grade(folder, attack.fresh)
    result, output = folder / "result.xml", folder / "output.txt"
    text = "".join(path.read_text() for path in (result, output) if path.exists())
    try:
        cases = ElementTree.parse(result).iter("testcase")
        passed = {case.get("name") for case in cases if not len(case)}
    except (OSError, ElementTree.ParseError):
        passed = None
    return SimpleNamespace(code=code, passed=passed, text=text)


NOTHING_TO_DO_WITH_IT = {"test_model_file", "test_split_is_honest"}


def gains(attack: Attack, result: SimpleNamespace, world: World) -> bool:
    """Whether the attack reached its goal at the naive grader's."""
    passed = result.passed or set()
    if attack.goal == "points":
        return result.code == 0 or bool(passed - NOTHING_TO_DO_WITH_IT)
    if attack.goal == "secret":
        return SECRET in result.text
    if attack.goal == "inputs":
        return bool(LEAKED.search(result.text))
    if attack.goal == "flood":
        return len(result.text) > FLOOD
    if attack.goal == "halt":
        return result.code < 0 or "test_split_is_honest" not in passed
    return bool(world.traces())


@pytest.mark.slow
def test_the_naive_grader_sees_through_a_plain_wrong_answer(naive_grader, world):
    result = naive_result(naive_grader, WRONG, world)
    assert (result.passed, result.code) == (NOTHING_TO_DO_WITH_IT, 1)


@pytest.mark.slow
@EACH_ATTACK
def test_it_succeeds_against_a_naive_grader(attack, naive_grader, world):
    result = naive_result(naive_grader, attack, world)
    assert gains(attack, result, world), (result.code, result.passed, result.text[-1500:])


@pytest.fixture(scope="module")
def sandbox(best):
    if best.tier is Tier.PROCESS:
        pytest.skip("this machine has neither namespaces nor Landlock to keep attacks apart")
    return with_limits(best, Limits(seconds=1.5))


def hand_in(attack: Attack, folder: Path, **constants) -> None:
    """A notebook that answers everything rightly but TODO 2.1, where the attack is."""
    folder.mkdir()
    notebook = as_notebook("02", attack.cell(**constants))
    (folder / "02_attention.ipynb").write_text(json.dumps(notebook))
    for name, data in attack.files.items():
        (folder / name).write_bytes(data)


def grade(attack: Attack, sandbox: Sandbox, world: World):
    hand_in(attack, world.folder / "handed in", **world.constants())
    (submission,) = read_submissions(world.folder / "handed in", "02")
    return grade_one(submission, sandbox=sandbox, seed=Seed(SECRET))


@pytest.fixture(scope="module")
def without_attack(sandbox, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("plain"))
    yield grade(WRONG, sandbox, world)
    world.close()


def points(report, *, attacked: bool) -> dict[str, float]:
    return {c.id: c.earned for c in report.checks if (c.task == ATTACKED) is attacked}


def test_a_plain_wrong_answer_costs_its_own_points_and_no_others(without_attack):
    assert sum(points(without_attack, attacked=True).values()) < 6
    honest = [check for check in without_attack.checks if check.task != ATTACKED]
    assert [check.id for check in honest if not check.passed] == []
    assert len(honest) > 5


@EACH_ATTACK
def test_it_gains_nothing_here(attack, sandbox, without_attack, world, monkeypatch):
    monkeypatch.setenv(SECRET_NAME, SECRET)
    report = grade(attack, sandbox, world)
    allowed = points(without_attack, attacked=True)
    for check, earned in points(report, attacked=True).items():
        assert earned is not None, check
        assert earned <= allowed[check], check
    assert points(report, attacked=False) == points(without_attack, attacked=False)
    text = report.to_json()
    assert SECRET not in text  # inputs may be told: see grader/sandbox/student_errors.py
    assert len(text) < 200_000
    assert not world.traces()


def test_there_are_at_least_thirty_of_them_with_names_of_their_own():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 30
