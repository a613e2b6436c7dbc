"""The committed versions: every dependency pinned, within what pyproject.toml allows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import toml_of

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "lock"
PLACES = [  # of the Pythons and systems that the lock is for
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9", **system}
    for minor in (10, 11, 12, 13)
    for system in (
        {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"},
        {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin"},
        {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"},
    )
]


def entries(name: str) -> list[str]:
    """What each entry pins, its hashes after it."""
    text = (LOCK / name).read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pinned(name: str) -> list[str]:
    return [entry.partition(" --hash")[0].strip() for entry in entries(name)]


def required(*extras: str) -> Iterator[Requirement]:
    """Dependencies of the project with these extras, and of the extras that they name."""
    project = toml_of(ROOT / "pyproject.toml")["project"]
    optional = project["optional-dependencies"]
    for text in [*project["dependencies"], *(each for extra in extras for each in optional[extra])]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            yield from required(*requirement.extras)
        else:
            yield requirement


def grouped(name: str) -> Iterator[Requirement]:
    """Dependencies of a group, which stand apart from the project's."""
    table = toml_of(ROOT / "pyproject.toml")
    return map(Requirement, table["dependency-groups"][name])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dev.txt", [*required("dev")]),
        ("students.txt", [*required("notebooks")]),
        ("book.txt", [*grouped("book")]),
    ],
)
def test_every_dependency_is_pinned_once_within_its_bounds_wherever_one_works(name, wanted):
    pins = [Requirement(text) for text in pinned(name)]
    wrong = []
    for place in PLACES:
        for requirement in wanted:
            if requirement.marker and not requirement.marker.evaluate(place):
                continue
            versions = [
                next(iter(pin.specifier)).version
                for pin in pins
                if pin.name == requirement.name.lower()
                and (not pin.marker or pin.marker.evaluate(place))
            ]
            if len(versions) != 1 or versions[0] not in requirement.specifier:
                wrong.append(f"{requirement} on {place}: {versions}")
    assert not wrong, "run `make lock`"


@pytest.mark.parametrize("name", ["dev.txt", "students.txt", "book.txt", "uv.txt"])
def test_every_pin_has_hashes(name):
    one = re.compile(r"[a-z0-9.-]+==\S+( ; [^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [entry for entry in entries(name) if not one.fullmatch(entry)] == []


def test_the_constraints_are_the_lock_without_hashes_and_cuda_and_students_get_what_was_tested():
    pins, cuda = pinned("dev.txt"), ("nvidia-", "cuda-", "triton==")  # torch's builds differ there
    assert pinned("constraints.txt") == [pin for pin in pins if not pin.startswith(cuda)]
    ours, students = ({p.split(" ;")[0] for p in each} for each in (pins, pinned("students.txt")))
    assert students <= ours
