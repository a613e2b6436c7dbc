"""The zip for Gradescope, run in a folder laid out like its own; the container's recipe, read."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from grader import ROOT
from grader.authoring.build import build_notebook
from grader.batch.gradescope_zip import CRASH, SEED, write_zip
from kws.errors import UsageError
from tests.conftest import PATIENCE, toml_of

SOLUTION = ROOT / "solutions" / "02_attention.py"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What Gradescope has after the build: the source, and run_autograder beside it."""
    base = tmp_path_factory.mktemp("gradescope") / "autograder"
    zip_path = base.with_name("a.zip")
    write_zip(zip_path, assignment="2", environ={"KWS_GRADER_SEED": "autumn"})
    with zipfile.ZipFile(zip_path) as archive:
        archive.extractall(base / "source")
    (base / "source" / "run_autograder").rename(base / "run_autograder")
    return base


@pytest.fixture
def autograder(built):
    """The same before a submission: nothing is handed in, and there is no result."""
    for name in ("submission", "results"):
        shutil.rmtree(built / name, ignore_errors=True)
    (built / "submission").mkdir()
    return built


def run(base: Path, **environ: str) -> dict:
    """The results.json of one run."""
    given = {**os.environ, "KWS_AUTOGRADER": str(base), "KWS_PYTHON": sys.executable, **environ}
    command = ["bash", str(base / "run_autograder")]
    options = {"env": given, "cwd": base, "timeout": PATIENCE}
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return json.loads((base / "results" / "results.json").read_text())


@pytest.mark.slow
def test_a_submission_is_graded_with_the_seed_and_the_assignment_of_the_zip(autograder):
    (autograder / "submission" / "answer.ipynb").write_text(build_notebook(SOLUTION))
    other = build_notebook(ROOT / "solutions" / "01_features.py")
    (autograder / "submission" / "01_features.ipynb").write_text(other)
    results = run(autograder)
    (report,) = results["extra_data"]["reports"]
    assert report["assignment"] == "02"
    assert results["score"] == 0
    assert len(results["tests"]) == len(report["checks"]) > 10
    assert {check["reason"] for check in report["checks"]} == {"not started"}
    assert report["seed_id"] not in ("development", "")


@pytest.mark.slow
def test_it_grades_in_a_root_of_its_own_with_the_python_of_the_system(autograder, tmp_path):
    if not (shutil.which("unshare") and Path("/usr/bin/python3").exists()):
        pytest.skip("no unshare, or no Python of the system's own")
    unshare = ["unshare", "--mount", "--pid", "--fork", "--net"]
    version = "import sys; print(*sys.version_info[:2])"
    base = subprocess.run(["/usr/bin/python3", "-c", version], capture_output=True, text=True)
    if base.stdout.split() != [str(part) for part in sys.version_info[:2]]:
        pytest.skip("/usr/bin/python3 is of another version than the installed packages")
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mounts of one's own: needs root")
    shutil.copy(SOLUTION, autograder / "submission")
    (tmp_path / "root").mkdir()
    script = Path(__file__).with_name("clean_root.sh")
    paths = [script, tmp_path / "root", autograder, sysconfig.get_path("purelib")]
    command = [*unshare, "bash", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    results = json.loads((autograder / "results" / "results.json").read_text())
    (report,) = results["extra_data"]["reports"]
    assert results["score"] == sum(check["points"] for check in report["checks"]) > 30
    assert report["tier"] in ("sealed", "fenced")


@pytest.mark.slow
def test_an_empty_submission_is_told_and_no_silent_zero(autograder):
    results = run(autograder)
    assert results["score"] == 0
    assert "no answer to this assignment was found" in results["output"]


SLOW = [pytest.param(damage, marks=pytest.mark.slow) for damage in ("no checks", "no submission")]


@pytest.mark.parametrize("damage", ["no python", *SLOW])
def test_a_run_that_crashes_leaves_a_result_that_asks_for_a_person(autograder, damage):
    python = "/nonexistent" if damage == "no python" else sys.executable
    plugin = autograder / "source" / "grader" / "grading" / "plugin.py"
    text = plugin.read_text()
    if damage == "no checks":
        plugin.write_text("raise RuntimeError")
    elif damage == "no submission":
        (autograder / "submission").rmdir()
    results = run(autograder, KWS_PYTHON=python)
    plugin.write_text(text)
    assert results["extra_data"]["verdict"] == "needs a person"
    assert results["tests"] == []
    assert results["output"]


@pytest.mark.slow
def test_a_platform_that_is_too_weak_grades_nothing_and_the_result_says_why(autograder):
    (autograder / "submission" / "answer.ipynb").write_text(build_notebook(SOLUTION))
    plugin = autograder / "source" / "grader" / "grading" / "plugin.py"
    text, call = plugin.read_text(), "require_tier(sandbox, option"
    plugin.write_text(text.replace(call, f"sandbox.tier = Tier.PROCESS; {call}"))
    results = run(autograder)
    plugin.write_text(text)
    assert results["tests"] == []
    assert "fenced" in results["output"]
    assert "process" in results["output"]


def test_the_zip_holds_what_grades_and_scripts_that_may_run_at_its_root(tmp_path):
    for name in ("a.zip", "b.zip"):
        names = write_zip(tmp_path / name, assignment="2", environ={})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == names
        for name in ("setup.sh", "run_autograder"):
            assert archive.getinfo(name).external_attr >> 16 == 0o100755
            subprocess.run(["bash", "-n"], input=archive.read(name), check=True)
        script, setup = (archive.read(n).decode() for n in ("run_autograder", "setup.sh"))
    assert "--assignment 02 --require-isolation fenced" in script
    assert '"${KWS_AUTOGRADER:-/autograder}/source"' in setup
    tops = {"grader", "kws", "solutions", "pyproject.toml", "lock", "LICENSE"}
    tops |= {"setup.sh", "run_autograder", CRASH}
    assert {name.partition("/")[0] for name in names} == tops
    assert not [name for name in names if "__pycache__" in name]
    assert "grader/course/a02_attention/test_checks.py" in names


@pytest.mark.parametrize(
    ("uv", "index", "step"),
    [
        ("true", None, "--torch-backend=cpu --no-deps torch==2.11.0"),
        ("false", None, "--require-hashes --requirement lock/dev.txt"),
        ("false", "https://x.example/cpu", "--index-url https://x.example/cpu torch==2.11.0"),
    ],
)
def test_setup_installs_torch_for_cpus_or_says_that_it_is_the_usual_build(
    tmp_path, uv, index, step
):
    write_zip(tmp_path / "a.zip", assignment="2", torch_index=index, environ={})
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "base" / "source")
    source = tmp_path / "base" / "source"
    stub = f'echo "$*" >> {tmp_path}/calls\ncase "$*" in *"uv pip"*) {uv};;\n'
    stub += '*--requirement*) while [ "$1" != --requirement ]; do shift; done; test -f "$2";; esac'
    for tool in (tmp_path / "apt-get", tmp_path / "python3", source.parent / "venv/bin/python"):
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(f"#!/usr/bin/env bash\n{stub}\n")
        tool.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "KWS_AUTOGRADER": str(source.parent)}
    options = {"env": environ, "capture_output": True, "text": True, "check": True}
    done = subprocess.run(["bash", str(source / "setup.sh")], **options)
    calls = (tmp_path / "calls").read_text()
    assert step in calls
    assert ("includes CUDA" in done.stdout) == ("lock/dev.txt" in step)
    assert ("--no-deps --requirement lock/besides-torch.txt" in calls) != ("lock/dev" in step)
    assert "numpy==" in (besides := (source / "lock" / "besides-torch.txt").read_text())
    assert not re.search("^(torch|nvidia|triton|cuda)", besides, flags=re.MULTILINE)


def test_the_seed_is_the_one_that_the_instructor_names(built, tmp_path):
    assert (built / "source" / SEED).read_text() == "autumn"
    (tmp_path / "seed").write_text("spring")
    environ = {"KWS_GRADER_SEED_FILE": str(tmp_path / "seed")}
    write_zip(tmp_path / "a.zip", assignment="2", environ=environ)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read(SEED) == b"spring"


def test_what_cannot_be_graded_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not a tier: choose one of sealed"):
        write_zip(tmp_path / "a.zip", assignment="2", required="strong")
    with pytest.raises(UsageError, match="does not exist"):
        write_zip(tmp_path / "a.zip", assignment="77")
    assert not (tmp_path / "a.zip").exists()


RECIPE = ROOT / "grader" / "container" / "Containerfile"
PROJECT = toml_of(ROOT / "pyproject.toml")["project"]


def steps() -> list[tuple[str, str]]:
    """Instruction and argument of each step, without comments."""
    text = re.sub(r"^#.*\n", "", RECIPE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def arguments(name: str) -> list[str]:
    return [argument for step, argument in steps() if step == name]


def test_it_copies_installs_and_runs_what_grading_needs_with_a_supported_python_and_not_as_root():
    known = {"FROM", "ENV", "ARG", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in steps()} <= known
    assert steps()[0][0] == "FROM"
    copied = {source for line in arguments("COPY") for source in line.split()[:-1]}
    ours = {"pyproject.toml", "LICENSE", "lock/constraints.txt", "kws", "solutions", "grader"}
    assert copied == ours
    assert all((ROOT / source).exists() for source in copied)
    assert "grader" in PROJECT["optional-dependencies"]
    assert any("'.[grader]'" in line for line in arguments("RUN"))
    (image,) = arguments("FROM")
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", image).groups()))
    assert version >= tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    names = [name for name, _ in steps()]
    assert arguments("USER") == ["grader"]
    assert "RUN" not in names[names.index("USER") :]
    assert arguments("ENTRYPOINT") == ['["python", "-m", "grader"]']


@pytest.mark.parametrize("package", ["torch", "torchaudio"])
def test_it_installs_the_torch_that_the_project_asks_for_from_where_the_site_says(package):
    (wanted,) = (one for one in PROJECT["dependencies"] if re.match(rf"{package}\b", one))
    assert f"'{wanted}'" in " ".join(arguments("RUN"))
    assert arguments("ARG") == ["TORCH_INDEX"]
    assert any("${TORCH_INDEX:+--index-url" in line for line in arguments("RUN"))
