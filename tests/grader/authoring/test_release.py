"""Notebooks are written when stale, and only then; a new assignment passes everything at once."""

import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from grader import ROOT
from grader.authoring import release as module
from grader.authoring.build import build_notebook
from grader.authoring.new_assignment import write_assignment
from grader.authoring.release import release
from grader.course import release_command as commands
from grader.course.goldens import refuse_incomplete
from kws.errors import UsageError

NOTEBOOKS = ["assignments/01_sound.ipynb", "assignments/02_attention.ipynb"]


def test_the_committed_notebooks_are_current():
    assert release(ROOT, check=True) == [], "run: python -m grader release"


def test_every_solution_is_written_once_and_copied_into_the_library(course):
    assert release(course) == NOTEBOOKS
    assert release(course) == []
    written = (course / NOTEBOOKS[1]).read_text(encoding="utf-8")
    assert written == build_notebook(course / "solutions" / "02_attention.py")
    copy = course / "kws" / "course" / "a02_attention" / "released.ipynb"
    assert copy.read_text(encoding="utf-8") == written
    copy.write_text("{}", encoding="utf-8")
    assert release(course, check=True) == NOTEBOOKS[1:]


def test_a_check_names_what_is_stale_and_writes_nothing(course):
    release(course)
    (course / NOTEBOOKS[0]).unlink()
    (course / NOTEBOOKS[1]).write_text("{}", encoding="utf-8")
    assert release(course, check=True) == NOTEBOOKS
    assert not (course / NOTEBOOKS[0]).exists()
    assert (course / NOTEBOOKS[1]).read_text(encoding="utf-8") == "{}"


def test_one_assignment_is_written_and_the_others_are_left(course):
    release(course)
    for name in NOTEBOOKS:
        (course / name).write_text("{}", encoding="utf-8")
    assert release(course, only="02") == NOTEBOOKS[1:]
    assert (course / NOTEBOOKS[0]).read_text(encoding="utf-8") == "{}"
    path = course / NOTEBOOKS[1]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert release(course, check=True) == NOTEBOOKS  # newlines of Windows are stale, too


@pytest.mark.parametrize("lacking", range(4))
def test_an_assignment_that_lacks_a_file_is_named_with_the_cure(tmp_path, lacking):
    names = [
        "solutions/10_energy.py",
        "kws/course/a10_energy/contract.py",
        "grader/course/a10_energy/assignment.toml",
        "grader/course/a10_energy/test_checks.py",
    ]
    missing = names.pop(lacking)
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=f"^{missing} is missing: write it .* 10_energy$"):
        refuse_incomplete(tmp_path)
    (tmp_path / missing).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / missing).touch()
    refuse_incomplete(tmp_path)


def test_a_faulty_solution_changes_nothing_and_a_notebook_without_one_is_named(course):
    path = course / "solutions" / "02_attention.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}# END SOLUTION\n", encoding="utf-8")
    with pytest.raises(UsageError, match="without a BEGIN"):
        release(course)
    assert not (course / "assignments").exists()
    path.write_text(text, encoding="utf-8")
    release(course)
    (course / "assignments" / "09_lost.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^assignments/09_lost\.ipynb has no solutions/09_lost"):
        release(course, check=True)


def command(course, monkeypatch, *arguments):
    """Exit code and output of the command on the small course."""
    monkeypatch.setattr(module.release, "__defaults__", (course,))
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command()(commands.release)
    monkeypatch.setattr("grader.course.goldens.write_goldens", lambda *, check, only: [])
    result = CliRunner().invoke(app, ["release", *arguments])
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code, result.output


def test_the_command_checks(course, monkeypatch):
    stale = "".join(f"stale: {name}\n" for name in NOTEBOOKS)
    assert command(course, monkeypatch, "--check") == (1, stale)
    assert command(course, monkeypatch)[0] == 0
    assert command(course, monkeypatch, "--check") == (0, "notebooks and goldens are current\n")


@pytest.mark.parametrize("arguments", [("--through", "2"), ("--check", "--zip", "kit.zip")])
def test_options_that_ask_for_nothing_are_refused(course, monkeypatch, arguments):
    with pytest.raises(UsageError, match="--zip"):
        command(course, monkeypatch, *arguments)


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
    tests = ["test_course", "test_trials"]
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
