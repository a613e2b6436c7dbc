"""What can be said of the container's recipe without building it."""

import re
import sys

import pytest

from grader import ROOT
from grader.batch.gradescope_zip import INDEXED

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPE = ROOT / "grader" / "container" / "Containerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


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
    assert "'.[grader]'" in INDEXED
    (image,) = arguments("FROM")
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", image).groups()))
    assert version >= tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    names = [name for name, _ in steps()]
    assert arguments("USER") == ["grader"]
    assert "RUN" not in names[names.index("USER") :]
    assert arguments("ENTRYPOINT") == ['["python", "-m", "grader"]']
    assert (ROOT / "grader" / "__main__.py").is_file()


@pytest.mark.parametrize("package", ["torch", "torchaudio"])
def test_it_installs_the_torch_that_the_project_asks_for_from_where_the_site_says(package):
    (wanted,) = (one for one in PROJECT["dependencies"] if re.match(rf"{package}\b", one))
    assert f"'{wanted}'" in " ".join(arguments("RUN"))
    assert f"'{wanted}'" in INDEXED
    assert arguments("ARG") == ["TORCH_INDEX"]
    assert any("${TORCH_INDEX:+--index-url" in line for line in arguments("RUN"))
