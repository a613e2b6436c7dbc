"""The zip that Gradescope builds an autograder from: two scripts and the tree that grades.

Source: Gradescope autograder specifications (https://gradescope-autograders.readthedocs.io).
Gradescope unpacks the zip to /autograder/source and runs `setup.sh` once. For each submission it
runs `run_autograder`, with the files in /autograder/submission, and reads
/autograder/results/results.json. That file is written first, so that a failed run is never a silent
zero.

`KWS_AUTOGRADER` and `KWS_PYTHON` replace Gradescope's folder and interpreter, to test the zip.
"""

import os
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
TREE += ("lock/constraints.txt", "lock/dev.txt")  # the versions that the course was tested with
BESIDE = ("__pycache__", ".ipynb_checkpoints", "container")  # nothing that grading needs
SECONDS = 2_000  # for one submission, below Gradescope's longest limit of 40 minutes

SETUP = """\
#!/usr/bin/env bash
# Runs once, when the autograder is built.
set -euo pipefail
cd "${{KWS_AUTOGRADER:-/autograder}}/source"
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv
python3 -m venv ../venv
{install}
chmod 700 . && chmod -R go-rwx .
../venv/bin/python -m grader tier
"""
# Without an index: what was tested, by its hashes. Another build of torch has others.
LOCKED = """\
../venv/bin/python -m pip install --require-hashes --requirement lock/dev.txt
../venv/bin/python -m pip install --no-deps --no-build-isolation ."""
INDEXED = """\
../venv/bin/python -m pip install 'torch==2.11.*' 'torchaudio==2.11.*' --index-url {index}
../venv/bin/python -m pip install --constraint lock/constraints.txt '.[grader]'"""
RUN = """\
#!/usr/bin/env bash
# Runs for each submission. Always leaves a result, and never fails.
base="${{KWS_AUTOGRADER:-/autograder}}"
python="${{KWS_PYTHON:-$base/venv/bin/python}}"
result="$base/results/results.json"
mkdir -p "$base/results"
cp "$base/source/{crash}" "$result"
cd "$base/source" || exit 0
unset KWS_GRADER_SEED KWS_GRADER_SEED_FILE PYTEST_ADDOPTS PYTEST_PLUGINS PYTHONPATH
[ -f {seed} ] && export KWS_GRADER_SEED_FILE="$base/source/{seed}"
export OMP_NUM_THREADS=1
timeout --kill-after=10 {seconds} "$python" -m pytest -c pyproject.toml --rootdir . -o addopts= \\
  --disable-plugin-autoload -p grader.grading.options -p no:cacheprovider --import-mode=importlib \\
  --strict-markers grader/ --submission "$base/submission" --results "$result" \\
  {options}
exit 0
"""


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

    Args:
        assignment: to grade, that one alone: Gradescope adds up all points of a result.
        required: tier of isolation below which nothing is graded; the result has the reason.
        torch_index: where pip finds torch; its CPU builds have 200 MB, the usual ones 5 GB.
        marks: CSV with the points of written answers, by the students' addresses or numbers.
        environ: the secret seed that it names goes into the zip, which students never see.
    """
    options = f"--assignment {get_assignment(assignment).number}"
    from grader.grading.plugin import read_tier  # imports torch

    read_tier(required)
    options += f" --require-isolation {required}"
    if marks is not None:
        options += f' --marks "$base/source/{MARKS}" --metadata "$base/submission_metadata.json"'
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in _tree()}
    install = INDEXED.format(index=shlex.quote(torch_index)) if torch_index else LOCKED
    files["setup.sh"] = SETUP.format(install=install).encode()
    run = RUN.format(crash=CRASH, seed=SEED, seconds=SECONDS, options=options)
    files["run_autograder"] = run.encode()
    files[CRASH] = crash(CRASHED)
    if (seed := _seed(environ)) is not None:
        files[SEED] = seed.encode()
    if marks is not None:
        files[MARKS] = _checked(marks)
    write_bytes(out, zip_bytes(files, executable=SCRIPTS))
    return sorted(files)


def _checked(marks: Path) -> bytes:
    from grader.authoring.build import written_questions
    from grader.grading.marks import read_marks  # imports torch

    questions = {each.id: each for number in ASSIGNMENTS for each in written_questions(number)}
    read_marks(marks, questions, None)
    return marks.read_bytes()


def _tree() -> list[Path]:
    found = {path for pattern in TREE for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(
        path
        for path in found
        if not set(path.relative_to(ROOT).parts) & set(BESIDE) and path.suffix != ".pyc"
    )


def _seed(environ: Mapping[str, str]) -> str | None:
    from grader.core.seed import FILE_VARIABLE, VARIABLE, read_seed

    if VARIABLE not in environ and FILE_VARIABLE not in environ:
        return None
    read_seed(environ)
    if VARIABLE in environ:
        return environ[VARIABLE]
    return Path(environ[FILE_VARIABLE]).read_text(encoding="utf-8")
