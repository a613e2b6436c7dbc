"""Notebooks are written when stale, and only then; the command says which."""

import pytest
import typer
from typer.testing import CliRunner

from grader import ROOT
from grader.authoring import release as module
from grader.authoring.build import build_notebook
from grader.authoring.release import release
from grader.course import release_command as commands
from kws.errors import UsageError

NOTEBOOKS = ["assignments/01_sound.ipynb", "assignments/02_attention.ipynb"]


def test_the_committed_notebooks_are_current():
    assert release(ROOT, check=True) == [], "run: python -m grader release"


def test_every_solution_is_written_once(course):
    assert release(course) == NOTEBOOKS
    assert release(course) == []
    written = (course / NOTEBOOKS[1]).read_text(encoding="utf-8")
    assert written == build_notebook(course / "solutions" / "02_attention.py")


def test_a_check_names_what_is_stale_and_writes_nothing(course):
    release(course)
    (course / NOTEBOOKS[0]).unlink()
    (course / NOTEBOOKS[1]).write_text("{}", encoding="utf-8")
    assert release(course, check=True) == NOTEBOOKS
    assert not (course / NOTEBOOKS[0]).exists()
    assert (course / NOTEBOOKS[1]).read_text(encoding="utf-8") == "{}"


def test_the_copy_in_the_library_is_the_notebook(course):
    release(course)
    copy = course / "kws" / ".released" / "02_attention.ipynb"
    assert copy.read_bytes() == (course / NOTEBOOKS[1]).read_bytes()
    copy.write_text("{}", encoding="utf-8")
    assert release(course, check=True) == NOTEBOOKS[1:]


def test_windows_newlines_are_stale(course):
    release(course)
    path = course / NOTEBOOKS[0]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert release(course, check=True) == NOTEBOOKS[:1]


def test_a_faulty_solution_changes_nothing(course):
    path = course / "solutions" / "02_attention.py"
    path.write_text(path.read_text(encoding="utf-8") + "# END SOLUTION\n", encoding="utf-8")
    with pytest.raises(UsageError, match="without a BEGIN"):
        release(course)
    assert not (course / "assignments").exists()


def test_a_notebook_without_a_solution_is_named(course):
    release(course)
    (course / "assignments" / "09_lost.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"assignments/09_lost\.ipynb has no solutions/09_lost\.py"
    ):
        release(course, check=True)


def command(course, monkeypatch, *arguments):
    """Exit code and output of the command on the small course."""
    monkeypatch.setattr(module.release, "__defaults__", (course,))
    app = typer.Typer()
    app.callback()(lambda: None)
    commands.register(app)
    monkeypatch.setattr("grader.course.goldens.write_goldens", lambda *, check: [])
    result = CliRunner().invoke(app, ["release", *arguments])
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code, result.output


def test_the_command_checks(course, monkeypatch):
    assert command(course, monkeypatch, "--check") == (
        1,
        "".join(f"stale: {name}\n" for name in NOTEBOOKS),
    )
    assert command(course, monkeypatch)[0] == 0
    assert command(course, monkeypatch, "--check") == (0, "notebooks and goldens are current\n")


@pytest.mark.parametrize("arguments", [("--through", "2"), ("--check", "--zip", "kit.zip")])
def test_options_that_ask_for_nothing_are_refused(course, monkeypatch, arguments):
    with pytest.raises(UsageError, match="--zip"):
        command(course, monkeypatch, *arguments)
