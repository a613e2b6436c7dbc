"""`grader new` writes an assignment that passes everything that the others pass."""

import os
import subprocess
import sys

import pytest

from grader import ROOT
from grader.authoring.new_assignment import write_assignment
from kws.errors import UsageError

README = "| 09 codes and a prior | quantization | 4 h | codes |\n\nThe hours\n"


def test_its_files_are_written_and_readme_has_a_row(tmp_path):
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    written = write_assignment("10", "energy", "Energy", tmp_path)
    assert sorted(written) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in written]
    assert not any("@" in text.replace("@trial", "") for text in texts)
    row = "| 09 codes and a prior | quantization | 4 h | codes |\n| 10 energy |"
    assert row in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("number", "slug", "title", "why"),
    [
        ("100", "energy", "Energy", "from 1 to 99"),
        ("10", "my energy", "Energy", "small letters"),
        ("10", "energy", 'The "energy"', "without quotes"),
        ("2", "energy", "Energy", "choose another number"),
    ],
)
def test_what_cannot_be_an_assignment_is_refused(number, slug, title, why):
    with pytest.raises(UsageError, match=why):
        write_assignment(number, slug, title)


@pytest.mark.slow  # a copy of the sources, graded
def test_a_new_assignment_passes_everything_at_once(tmp_path):
    files = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(files, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    tests = ["test_course", "test_overview", "test_trials"]
    paths = [f"tests/grader/course/{name}.py" for name in tests]
    paths += ["tests/student/test_released.py", "tests/course/test_check_values.py"]
    for command in (
        ["grader", "new", "10", "energy", "Energy"],
        ["grader", "release", "--check", "--assignment", "10"],
        ["grader", "mutants", "10"],
        ["grader", "mutants", "10", "--visible"],
        ["grader", "selftest", "--assignment", "10"],
        ["pytest", "-q", "-p", "no:cacheprovider", "-k", "10 or counted", *paths],
    ):
        call = [sys.executable, "-m", *command]
        done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
