"""A term in one night: what a class's hand-ins of assignments 01 to 09 cost to grade.

Everybody hands in our own answers. Each assignment is graded for one student, and in a second run
for `n`: the difference is what a student costs, the rest is what is prepared once, hidden
recordings and the listener. Both are added up for a class of 300. Weights in FOLDER
(`runs/course/reference` after `make course`) are used where they are; else models are handed in
whose weights are random, which takes the same calls: one that writes texts does so to the longest,
durations are set to eight frames, and codebooks to codes of spoken words.

    python benchmarks/grading_night.py [--submissions 6] [--students 300] [--workers 2]
        [--weights FOLDER] [--assignment NN …]
"""

import argparse
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from graders import read_rows, run
from grading_task import ROOT
from processes import Meter, descendants, peak_memory
from report import finish, hardware, print_table
from safetensors.torch import save_file

sys.path.append(str(ROOT))  # the grader is run from its repository, not installed
from grader.adapters import ASSIGNMENTS, Assignment, get_assignment
from grader.authoring.reference import exported_cells, load_answers
from grader.course.hidden import clean_clips, digits, keywords, speech, synthesized
from grader.course.mistakes.planted import edited, solution
from kws.inference.listener import listener
from kws.parallel import cores

LONGEST = 7200.0  # seconds of one class
BUILD = {
    "03": ("SpeakerClassifier", speech.SPEAKERS),
    "04": ("SpeakerConformer", 40, speech.SPEAKERS),
    "05": ("small_model",),
    "06": ("small_model", len(keywords.GERMAN.labels)),
    "07": ("SpeechTransformer", digits.N_MELS, digits.SYMBOLS),
    "08": ("FastSpeech", synthesized.NUM_SYMBOLS),
    "09": ("CodeModel",),
}
FRAMES = 8  # of a phoneme


def make_weights(number: str, path: Path) -> None:
    """The state of an untrained model of ours that takes the calls of a trained one."""
    torch.manual_seed(0)
    name, *arguments = BUILD[number]
    model = load_answers(exported_cells(solution(number)), number)[name](*arguments)
    if number == "08":
        last = [each for each in model.durations.modules() if isinstance(each, torch.nn.Linear)][-1]
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.constant_(last.bias, math.log(FRAMES + 1))
    if number == "09":
        mel, _ = clean_clips.speak_clean(0)
        for few in mel.split(32)[:20]:
            model.codec.train()(few)
    save_file(model.state_dict(), path)


def hand_in(folder: Path, assignment: Assignment, weights: Path | None, students: int) -> Path:
    """A folder for each student."""
    for place in range(students):
        student = folder / f"student{place:03d}"
        student.mkdir(parents=True)
        (student / f"{assignment.stem}.py").write_bytes(edited(assignment.number))
        if weights:
            shutil.copy(weights, student)
    return folder


def measure(assignment: Assignment, weights: Path | None, students: int, workers: int) -> dict:
    """CPU seconds of one class, and peak memory in GB."""
    with tempfile.TemporaryDirectory(prefix="night-") as name:
        folder = Path(name)
        inbox, out = hand_in(folder / "in", assignment, weights, students), folder / "out"
        command = [sys.executable, "-m", "grader", "grade", str(inbox), "--out", str(out)]
        command += ["--workers", str(workers), "--assignment", assignment.number]
        with Meter() as meter, peak_memory(lambda: descendants(os.getpid()), 2.0) as peak:
            run(command, ROOT, LONGEST, log=folder / "last.log")
        rows = read_rows(out / "gradebook.csv", "student").values()
        log = (folder / "last.log").read_text()
    graded = sum(row["verdict"] != "needs a person" for row in rows)
    if graded != students:
        raise SystemExit(f"{log}\n{assignment.number}: {graded} of {students} were graded")
    return {"cpu": meter.cpu, "memory": peak["all"] / 1e9}


def main() -> None:
    """Measure, print, and say what the class takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--submissions", type=int, default=6)
    parser.add_argument("--students", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--assignment", action="append", metavar="NN")
    options = parser.parse_args()
    numbers = options.assignment or list(ASSIGNMENTS)
    rows, results = [], {}
    with Meter() as meter:  # unless it has been trained on this machine
        listener(progress=False)
    print(f"the listener, once a machine: {meter.cpu:.0f} CPU s")
    for assignment in map(get_assignment, numbers):
        number = assignment.number
        print(f"grading {number}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="weights-") as name:
            weights = Path(name) / f"{assignment.stem}.safetensors" if number in BUILD else None
            given = options.weights and options.weights / f"{assignment.stem}.safetensors"
            if weights and given and given.is_file():
                shutil.copy(given, weights)
            elif weights:
                make_weights(number, weights)
            one = measure(assignment, weights, 1, options.workers)
            many = measure(assignment, weights, options.submissions, options.workers)
        each = (many["cpu"] - one["cpu"]) / (options.submissions - 1)
        once = one["cpu"] - each
        hours = (once + options.students * each) / cores() / 3600
        results[number] = {"each": each, "once": once, "hours": hours, "gb": many["memory"]}
        rows.append([number, options.submissions, each, once, hours, many["memory"]])
    title = f"hours for {options.students} on {cores()} cores"
    print_table(["assignment", "n", "CPU s each", "CPU s once", title, "GB at most"], rows)
    total = sum(found["hours"] for found in results.values())
    print(f"all: {total:.1f} hours for {options.students} students, {options.workers} at a time")
    finish({"assignments": results, "n": options.submissions, "hardware": hardware()})


if __name__ == "__main__":
    main()
