"""Our grader against nbgrader and otter-grader: the same notebooks, two questions, an encoder.

Without arguments ours alone: 50 submissions of a notebook with two questions whose test runs a
two-layer Transformer encoder, and as many of assignment 2 with all its checks, two at a time.
Seconds are of the whole command, start included, after one submission that is not timed. CPU
seconds count the processes of the grader alone where Linux gives them a group of their own (as
root, mostly), and else the whole machine: then nothing else should run.

    python benchmarks/grading.py [--submissions 50] [--workers 2]
        --install FOLDER   compare with nbgrader 0.9 and otter-grader 7, which are installed there,
                           each in a virtual environment of its own that borrows our torch
        --others N         how many submissions the others grade [as many as ours]
        --robustness       right answers in bad shape, at all of them (without --install: at ours)
        --limit SECONDS    when a grader that hangs is given up, a case [120]
        --hostile [N]      a class of N [500] with 5 % attacks and broken files, ours alone
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grading_robustness
from graders import PACKAGES, Grader, NbGrader, Otter, Ours, Work, install, read_rows, run
from grading_hostile import NUMBER, answers, run_hostile
from grading_hostile import STEM as COURSE_STEM
from grading_task import ROOT, STEM, expected_score, notebook, notebook_bytes, student_name
from processes import Meter
from report import finish, hardware, print_table

LONGEST = 3600.0  # seconds for one submission, when speed is measured: nothing hangs there


@dataclass(frozen=True)
class Speed:
    """What a class took."""

    name: str
    n: int
    wall: float
    cpu: float
    right: int

    @property
    def each(self) -> float:
        """Seconds of the wall clock for one submission."""
        return self.wall / self.n

    def row(self, ours: "Speed") -> list[Any]:
        """A line of the table."""
        return [
            self.name,
            self.n,
            self.wall,
            self.cpu,
            self.each,
            self.cpu / self.n,
            None if self is ours else self.each / ours.each,
            None if self is ours else self.cpu / self.n / (ours.cpu / ours.n),
            f"{self.right} of {self.n}",
        ]


def main() -> None:
    """Measure what is asked for."""
    options = read_options()
    with tempfile.TemporaryDirectory(prefix="grading-") as name:
        folder = Path(name)
        environments = install(options.install) if options.install else {}
        graders = make_graders(folder, options.workers, environments)
        counts = [options.submissions, *[options.others or options.submissions] * len(environments)]
        speeds = [measure(one, n) for one, n in zip(graders, counts, strict=True)]
        show(speeds, options.workers)
        result = numbers(speeds)
        course = measure_course(folder / "course 02", options.submissions, options.workers)
        print(f"assignment {NUMBER}, all its checks:")
        show([course], options.workers)
        result |= {"course_seconds": course.wall, "course_seconds_per_submission": course.each}
        result["course_cpu_seconds_per_submission"] = course.cpu / course.n
        if options.robustness:
            result["robustness"] = grading_robustness.compare(graders, options.limit)
        if options.hostile:
            result["hostile"] = run_hostile(folder, options.hostile, options.workers)
    if not environments:
        print("beside nbgrader and otter: python benchmarks/grading.py --install FOLDER")
    finish({**result, "hardware": hardware()})


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--submissions", type=_count, default=50)
    parser.add_argument("--workers", type=_count, default=2)
    parser.add_argument("--install", type=Path, metavar="FOLDER")
    parser.add_argument("--others", type=_count, metavar="N")
    parser.add_argument("--robustness", action="store_true")
    parser.add_argument("--limit", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--hostile", type=_count, nargs="?", const=500, metavar="N")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too few: give 1 or more")
    return number


def make_graders(folder: Path, workers: int, environments: Mapping[str, Path]) -> list[Grader]:
    """Ours, and those that are installed, each in a folder of its own."""
    found: list[Grader] = [Ours(folder / "ours", workers)]
    kinds = {"nbgrader": NbGrader, "otter": Otter}
    return found + [kinds[name](folder / name, path) for name, path in environments.items()]


def measure(grader: Grader, submissions: int) -> Speed:
    """Grade a class, and see that everybody has the points that their answers deserve."""
    works = {
        student_name(place): Work(f"{STEM}.ipynb", notebook_bytes(notebook(place)))
        for place in range(submissions)
    }
    print(f"{grader.name} grades {submissions}", file=sys.stderr, flush=True)
    first = student_name(0)
    grader.grade({first: works[first]}, LONGEST)  # what it reads is in memory then
    with Meter() as meter:
        grades = grader.grade(works, LONGEST * submissions)
    right = [
        grades[student_name(place)].score == expected_score(place) for place in range(submissions)
    ]
    return Speed(grader.name, submissions, meter.wall, meter.cpu, sum(right))


def measure_course(folder: Path, submissions: int, workers: int) -> Speed:
    """The same for assignment 2, where all answers are right."""
    inbox, out = folder / "in", folder / "out"
    data = answers({})
    for place in range(submissions):
        student = inbox / student_name(place)
        student.mkdir(parents=True)
        (student / f"{COURSE_STEM}.ipynb").write_bytes(data)
    command = [sys.executable, "-m", "grader", "grade", str(inbox), "--out", str(out)]
    command += ["--workers", str(workers), "--assignment", NUMBER]
    with Meter() as meter:
        run(command, ROOT, LONGEST * submissions, log=folder / "last.log")
    rows = read_rows(out / "gradebook.csv", "student").values()
    right = sum(float(row["score"]) == float(row["max_score"]) > 0 for row in rows)
    return Speed("ours", submissions, meter.wall, meter.cpu, right)


def show(speeds: Sequence[Speed], workers: int) -> None:
    """The table."""
    ours = speeds[0]
    headers = ["grader", "n", "wall s", "CPU s", "s each", "CPU s each"]
    headers += ["× ours", "× ours in CPU s", "right grades"]
    print_table(headers, [speed.row(ours) for speed in speeds])
    print(f"ours with {workers} workers, the others as they are: one at a time\n", flush=True)


def numbers(speeds: Sequence[Speed]) -> dict[str, Any]:
    """The same for programs; None for a grader that was not asked."""
    ours = speeds[0]
    found: dict[str, Any] = {
        "n": ours.n,
        "seconds": ours.wall,
        "seconds_per_submission": ours.each,
        "cpu_seconds_per_submission": ours.cpu / ours.n,
        "right": all(speed.right == speed.n for speed in speeds),
    }
    by_name = {speed.name: speed for speed in speeds}
    for name in PACKAGES:
        speed = by_name.get(name)
        found[f"vs_{name}"] = speed and speed.each / ours.each
        found[f"vs_{name}_cpu"] = speed and (speed.cpu / speed.n) / (ours.cpu / ours.n)
        found[f"n_{name}"] = speed and speed.n
    return found


if __name__ == "__main__":
    main()
