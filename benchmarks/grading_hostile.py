"""A large class with hostile and broken submissions in it: all get a result, and memory stays flat.

Everybody hands in assignment 2. One in twenty hands in an attack in the place of TODO 2.1 (those
that the grader's own tests prove real against a naive grader), or a file that is not a notebook.
Looked at from outside: the reports, the file and the sockets that attacks aim at, and the memory
that the evaluator and the parent of the students' processes hold, without what they map from disk,
twice a second.
"""

import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from grading_task import ROOT
from processes import descendants, own_memory_of
from report import print_table

sys.path.append(str(ROOT))  # the grader is run from its repository, not installed
from grader.authoring.build import read_solution
from grader.course.attacks import ATTACKS, WRONG, Attack

STEM, NUMBER, ATTACKED = "02_attention", "02", "2.1"
EACH = 0.5  # seconds between two looks
EVERY = 20  # one submission in so many is a bad one: 5 %
SHARES = (("start", 0.0, 0.15), ("middle", 0.425, 0.575), ("end", 0.85, 1.0))


@dataclass(frozen=True)
class Bad:
    """A bad submission: an attack, or bytes that are no notebook."""

    name: str
    attack: Attack | None = None
    data: bytes = b""


def bad_ones(whole: bytes) -> list[Bad]:
    """A plain wrong answer first, then attacks of each kind in turn with broken files between."""
    kinds: dict[str, list[Attack]] = {}
    for attack in ATTACKS:
        kinds.setdefault(attack.kind, []).append(attack)
    turns = [one for turn in zip_longest(*kinds.values()) for one in turn if one is not None]
    broken = [
        Bad("an empty file"),
        Bad("half a notebook", data=whole[: len(whole) // 2]),
        Bad("random bytes", data=bytes(range(256)) * 400),
        Bad("a zip's head", data=b"PK\x03\x04" + bytes(1000)),
        Bad("deep brackets", data=b"[" * 500_000),
        Bad("a huge number", data=b'{"nbformat": ' + b"9" * 1_000_000 + b"}"),
    ]
    found = [Bad(WRONG.name, WRONG)]
    for place, attack in enumerate(turns):
        found.append(Bad(attack.name, attack))
        if place % 3 == 2 and broken:
            found.append(broken.pop(0))
    return found


def answers(constants: dict[str, str | int], attack: Attack | None = None) -> bytes:
    """The notebook of assignment 2 with our answers, but for the attack."""
    cells: list[dict[str, Any]] = []
    for number, cell in enumerate(read_solution(ROOT / "solutions" / f"{STEM}.py")):
        attacked = attack is not None and "def attend(" in cell.source
        source = attack.cell(**constants) if attack and attacked else cell.source
        metadata = {"tags": list(cell.tags)}
        one = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": metadata}
        extra = {"outputs": [], "execution_count": None} if cell.kind == "code" else {}
        cells.append({**one, **extra, "source": source})
    table = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return json.dumps(table).encode()


class Targets:
    """What attacks aim at, and whether anything reached it. A context manager."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self._file, self._other = folder / "target", folder / "other.txt"
        self._other.write_text("another student's work")
        self._closing = ExitStack()
        tcp = self._closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = tcp.getsockname()[1]
        udp = self._closing.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", port))
        unix = self._closing.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(folder / "line"))
        unix.listen()
        self._lines = {tcp: "TCP", udp: "UDP", unix: "Unix socket"}
        self.constants: dict[str, str | int] = {
            "TARGET": str(self._file),
            "OTHER": str(self._other),
            "COURSE": str(ROOT / "solutions"),
            "PORT": port,
            "SOCKET": str(folder / "line"),
            "SECRET_NAME": "KWS_GRADER_SEED",
        }

    def reached(self) -> list[str]:
        """What was touched, in words."""
        ready = select.select(list(self._lines), [], [], 0)[0]
        file = ["the file"] if self._file.exists() or self._file.is_symlink() else []
        return file + [self._lines[line] for line in ready]

    def __enter__(self) -> "Targets":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


@dataclass
class Watch:
    """What runs below a process and the evaluator's memory, beside how far grading is."""

    pid: int
    graded: Callable[[], int]
    samples: list[tuple[int, int, int]] = field(default_factory=list)  # graded, bytes, processes
    evaluators: set[int] = field(default_factory=set)

    def measure(self) -> None:
        """Take one sample: the evaluator, and the first process that it started, its sandbox."""
        below = descendants(self.pid)
        ours = [pid for pid in below if _parent(pid) == self.pid]
        self.evaluators |= set(ours)
        held = [pid for one in ours for pid in [one, *_server_of(one)]]
        self.samples.append((self.graded(), own_memory_of(held), len(below)))

    def until(self, done: threading.Event) -> None:
        """Look until `done`."""
        while not done.wait(EACH):
            self.measure()

    def table(self, total: int) -> dict[str, dict[str, float] | None]:
        """MB and processes at start, middle and end: medians of what was seen there.

        Not after the last one is graded, when the evaluator ends.
        """
        found: dict[str, dict[str, float] | None] = {}
        for name, low, high in SHARES:
            seen = [one for one in self.samples if low * total < one[0] < high * total and one[1]]
            found[name] = None
            if seen:
                _, held, running = (median(column) for column in zip(*seen, strict=True))
                found[name] = {"mb": held / 1e6, "processes": running}
        return found


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _server_of(pid: int) -> list[int]:
    """The sandbox's process: the one child that is not a fork of the evaluator."""

    def words(one: int) -> bytes:
        try:
            return Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            return b""

    mine = words(pid)
    others = [one for one in descendants(pid) if _parent(one) == pid]
    return [one for one in others if words(one) not in (mine, b"")][:1]


def run_hostile(folder: Path, submissions: int, workers: int) -> dict[str, Any]:
    """Grade the class, print what came of it, and return the numbers."""
    inbox, out = folder / "hostile", folder / "hostile graded"
    with Targets(folder / "targets") as targets:
        whole = answers(targets.constants)
        bad = dict(
            zip(range(EVERY // 2, submissions, EVERY), _cycle(bad_ones(whole)), strict=False)
        )
        for place in range(submissions):
            student = inbox / f"student{place:03d}"
            student.mkdir(parents=True)
            one = bad.get(place)
            attack = one and one.attack
            data = one.data if one and not attack else answers(targets.constants, attack)
            (student / f"{STEM}.ipynb").write_bytes(data)
            for name, more in (attack.files if attack else {}).items():
                (student / name).write_bytes(more)
        command = [sys.executable, "-m", "grader", "grade", str(inbox), "--out", str(out)]
        command += ["--workers", str(workers), "--assignment", NUMBER]
        started = perf_counter()
        with (folder / "hostile.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        watch = Watch(process.pid, lambda: sum(1 for _ in out.glob(f"reports/*/{NUMBER}.json")))
        done = threading.Event()
        thread = threading.Thread(target=watch.until, args=[done])
        thread.start()
        code = process.wait()
        seconds = perf_counter() - started
        done.set()
        thread.join()
        found = judged(out, {f"student{place:03d}": one for place, one in bad.items()})
        found |= {"submissions": submissions, "exit_code": code, "seconds": seconds}
        found |= {"reached": targets.reached(), "memory": watch.table(submissions)}
        found["evaluators_started"] = len(watch.evaluators)
    _show(found, workers)
    return found


def judged(out: Path, bad: dict[str, Bad]) -> dict[str, Any]:
    """How many have a result, how many honest ones full points, and which attacks gained any."""
    reports = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))["checks"]
        for path in sorted(out.glob(f"reports/*/{NUMBER}.json"))
    }
    wrong = next((name for name, one in bad.items() if one.attack is WRONG), "")
    allowed = {check["id"]: check["earned"] for check in reports.get(wrong, ())}
    full = sum(
        all(check["earned"] == check["points"] for check in checks)
        for student, checks in reports.items()
        if student not in bad
    )
    gained, lost = [], []
    for student, one in bad.items():
        if not one.attack:
            continue
        for check in reports.get(student, ()):
            if check["task"] != ATTACKED and check["earned"] != check["points"]:
                lost.append(f"{one.name}: {check['id']}")
            elif check["task"] == ATTACKED and (check["earned"] or 0) > allowed[check["id"]]:
                gained.append(f"{one.name}: {check['id']}")
    return {
        "results": len(reports),
        "honest_full": full,
        "bad": len(bad),
        "gained": gained,
        "lost": lost,
    }


def _cycle(bad: list[Bad]) -> Iterable[Bad]:
    while True:
        yield from bad


def _show(found: dict[str, Any], workers: int) -> None:
    honest = found["submissions"] - found["bad"]
    rows = [
        ["results", f"{found['results']} of {found['submissions']}"],
        ["seconds", f"{found['seconds']:.0f}"],
        ["honest ones with all points", f"{found['honest_full']} of {honest}"],
        ["points that attacks gained", "; ".join(found["gained"]) or "none"],
        ["points that attackers' honest answers lost", "; ".join(found["lost"]) or "none"],
        ["what attacks reached", ", ".join(found["reached"]) or "nothing"],
        ["evaluators started", f"{found['evaluators_started']} for {workers} at a time"],
    ]
    for name, seen in found["memory"].items():
        held = seen and f"{seen['mb']:.1f} MB, {seen['processes']:.0f} processes in all"
        rows.append([f"the evaluator's memory at the {name}", held or "not seen"])
    print_table([f"{found['submissions']} submissions, {found['bad']} bad", ""], rows)
    print()
