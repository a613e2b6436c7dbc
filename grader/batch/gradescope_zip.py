"""The zip that Gradescope builds an autograder from: two scripts and the tree that grades.

Source: Gradescope autograder specifications (https://gradescope-autograders.readthedocs.io).
Gradescope unpacks the zip to /autograder/source and runs `setup.sh` once. For each submission it
runs `run_autograder`, with the files in /autograder/submission, and reads
/autograder/results/results.json, which is written first: a failed run is never a silent zero.

`KWS_AUTOGRADER` and `KWS_PYTHON` replace Gradescope's folder and interpreter, to test the zip.
"""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from grader import ROOT
from grader.adapters import ASSIGNMENTS, get_assignment
from grader.reports.gradescope import crash
from grader.reports.write import CRASHED
from kws.files import write_bytes, zip_bytes

SCRIPTS = ("setup.sh", "run_autograder")
SEED, CRASH, MARKS = "secret-seed", "crash.json", "marks.csv"
TREE = ("grader/**/*", "kws/**/*", "solutions/*.py", "pyproject.toml", "LICENSE")
TREE += ("lock/constraints.txt", "lock/dev.txt", "lock/uv.txt")  # versions that were tested
BESIDE = ("__pycache__", ".ipynb_checkpoints", "container")  # nothing that grading needs
TEXTS = Path(__file__).with_name("gradescope")


def write_zip(
    out: Path,
    *,
    assignment: str,
    required: str = "fenced",
    torch_index: str | None = None,
    marks: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """Write the zip to `out`; returns the names in it. The same tree gives the same bytes.

    One `assignment` alone: Gradescope adds up all points of a result. Below the tier of isolation
    `required` nothing is graded, and the result has the reason. `torch_index` is where pip finds
    torch's CPU builds; `marks` a CSV with the points of written answers, by addresses or numbers;
    the secret seed that `environ` names goes into the zip, which students never see.
    """
    options = f"--assignment {get_assignment(assignment).number}"
    from grader.authoring.build import written_questions  # these import torch
    from grader.core.seed import read_seed_text
    from grader.grading.marks import read_marks
    from grader.grading.plugin import read_tier

    read_tier(required)
    options += f" --require-isolation {required}"
    if marks is not None:
        options += f' --marks "$base/source/{MARKS}" --metadata "$base/submission_metadata.json"'
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in _tree()}
    for name, value in zip(SCRIPTS, (shlex.quote(torch_index or ""), options), strict=True):
        text = (TEXTS / name).read_text(encoding="utf-8")
        files[name] = re.sub("@(index|options)@", lambda _, v=value: v, text).encode()
    files[CRASH] = crash(CRASHED)
    if (seed := read_seed_text(environ)) is not None:
        files[SEED] = seed.encode()
    if marks is not None:
        questions = {one.id: one for number in ASSIGNMENTS for one in written_questions(number)}
        read_marks(marks, questions, None)
        files[MARKS] = marks.read_bytes()
    write_bytes(out, zip_bytes(files, executable=SCRIPTS))
    return sorted(files)


def _tree() -> list[Path]:
    found = {path for pattern in TREE for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(
        path
        for path in found
        if not set(path.relative_to(ROOT).parts) & set(BESIDE) and path.suffix != ".pyc"
    )
