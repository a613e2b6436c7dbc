"""Ten made-up students for `make demo`, from perfect to hostile, with expected results.

`reference` is a folder of trained weights named like the notebooks (`03_speakers.safetensors`).
"""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import build_notebook, read_solution
from grader.authoring.markers import strip_solutions
from grader.course.attacks import ATTACKS
from grader.course.broken_files import cut_off, stripped_metadata
from grader.course.mistakes.planted import as_notebook, edited, mistaken, planted, solution
from kws.files import write_bytes

Files = dict[str, bytes]
ATTENTION = ASSIGNMENTS["02"]
HOSTILE = "asks the garbage collector for the expected value"


def make_class(
    out: Path, reference: Path, numbers: Sequence[str] = tuple(ASSIGNMENTS)
) -> dict[str, str]:
    """Write a folder per student below `out`; return student -> expected result."""
    expectations = {}
    for student, expected, files in _students(reference, numbers):
        for name, data in files.items():
            write_bytes(out / student / name, data)
        expectations[student] = expected
    return expectations


def _students(reference: Path, numbers: Sequence[str]) -> Iterator[tuple[str, str, Files]]:
    whole = {name: data for number in numbers for name, data in _answer(number, reference).items()}
    yield "ada", "everything is right: all points", whole
    yield "ben", "attention alone: all points there", _answer("02", reference)
    yield "chloe", "half done: 2.1 to 2.3 of attention", {f"{ATTENTION.stem}.ipynb": _half_done()}
    yield "dev", "a mistake in every task of attention", {"02.py": _mistaken("02")}
    wrong = ASSIGNMENTS["03" if "03" in numbers else "01"]
    files = {f"{wrong.stem}.py": _mistaken(wrong.number)}
    yield "eva", f"a mistake in every task of {wrong.stem.partition('_')[2]}", files
    yield "finn", "blank notebooks: not started, no points", _blank(numbers)
    yield "gus", "hostile: 2.1 gains nothing", {f"{ATTENTION.stem}.ipynb": _hostile()}
    name, rest = cut_off(as_notebook("02"))
    yield "hana", "a truncated upload, for review by a person", {name: rest}
    yield "ivo", "a zip of notebooks without ids and tags: all points", {"work.zip": _zipped()}
    nothing = b"My notebook is on my other laptop, sorry!\n" + edited("02")[:200]
    yield "jun", "no notebook, for review by a person", {"readme.txt": nothing}


def _answer(number: str, reference: Path) -> Files:
    stem = ASSIGNMENTS[number].stem
    files = {f"{stem}.ipynb": json.dumps(as_notebook(number)).encode()}
    weights = reference / f"{stem}.safetensors"
    return files | ({weights.name: weights.read_bytes()} if weights.exists() else {})


def _half_done() -> bytes:
    notebook, done = as_notebook("02"), ("2.1", "2.2", "2.3")
    for cell, read in zip(notebook["cells"], read_solution(solution("02")), strict=True):
        if read.task and read.task not in done:
            cell["source"] = strip_solutions(cell["source"])
    return json.dumps(notebook).encode()


def _mistaken(number: str) -> bytes:
    return mistaken(number, planted(number).rounds()[0])


def _blank(numbers: Sequence[str]) -> Files:
    return {
        f"{ASSIGNMENTS[number].stem}.ipynb": build_notebook(solution(number)).encode()
        for number in numbers
    }


def _hostile() -> bytes:
    attack = next(attack for attack in ATTACKS if attack.name == HOSTILE)
    return json.dumps(as_notebook("02", attack.cell())).encode()


def _zipped() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in ("01", "02"):
            _, data = stripped_metadata(as_notebook(number))
            entry = zipfile.ZipInfo(f"my work/{ASSIGNMENTS[number].stem}.ipynb")
            archive.writestr(entry, data)
    return written.getvalue()
