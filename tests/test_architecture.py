"""Who may import whom, what an import costs, and what every file looks like.

The arrows: data_scripts, solutions, grader and experiments use kws; kws uses only itself; grader
and solutions do not know each other. `kws` and `grader` are houses of floors: a room may use its
own floor and those below. Benchmarks and tests may use everything.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, data_beside

ROOT = Path(__file__).parents[1]
OURS = ("kws", "data_scripts", "solutions", "grader", "experiments", "benchmarks", "tests")
MAY_IMPORT = {
    "kws": {"kws"},
    "data_scripts": {"kws", "data_scripts"},
    "solutions": {"kws", "solutions"},
    "grader": {"kws", "grader"},
    "experiments": {"kws", "experiments"},
    "benchmarks": set(OURS),
    "tests": set(OURS),
}
TABLES = data_beside(__file__)
FLOORS = TABLES["floors"]
BY_STRING = TABLES["by_string"]
SAME_NAME = TABLES["same_name"]
SAME_CLASS = TABLES["same_class"]
TESTS_OF_ALL = TABLES["tests_of_all"]
OUT_OF_PLACE = TABLES["out_of_place"]
SEPARATE = (
    ("kws.models", "kws.data"),
    ("kws.data", "kws.models"),
)  # the first never reaches the second
ASSIGNMENT = re.compile(r"(?:kws|grader)/course/a\d\d_\w+/")  # files in these have the same names
TEXT = (".py", ".md", ".toml", ".ipynb", ".txt", ".yml", ".cfg", ".js", ".html", ".css", "")


@cache
def sources(*folders: str) -> list[Path]:
    """Python files below the folders, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_by_kind(path: Path) -> Mapping[type[ast.AST], list[ast.AST]]:
    found = defaultdict(list)
    for node in ast.walk(tree(path)):
        found[type(node)].append(node)
    return found


def nodes(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for kind in kinds for node in nodes_by_kind(path).get(kind, ()))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """`kws/data/packed.py` -> `kws.data.packed`; a package is its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of what the file imports anywhere, inside functions too."""
    found = set()
    for node in nodes(path, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        assert isinstance(node, ast.ImportFrom)
        assert node.level == 0, f"{relative(path)}: relative import"
        found |= {f"{node.module}.{alias.name}" for alias in node.names}
        assert "*" not in {alias.name for alias in node.names}, f"{relative(path)}: star import"
    return frozenset(found)


@cache
def graph(house: str) -> Mapping[str, set[str]]:
    """Module of a house -> its modules that it imports."""
    files = {module_name(path): path for path in sources(house)}

    def module(name: str) -> str | None:
        """The module that an imported name is, or comes from."""
        while name:
            if name in files or f"{name}.__init__" in files:
                return name if name in files else f"{name}.__init__"
            name = name.rpartition(".")[0]
        return None

    return {
        start: {found for name in imports(path) if (found := module(name))} - {start}
        for start, path in files.items()
    }


def reachable(start: str) -> set[str]:
    """Modules of its house that importing `start` may lead to."""
    seen, ahead = set(), {start}
    while ahead:
        name = ahead.pop()
        seen.add(name)
        ahead |= graph(start.partition(".")[0])[name] - seen
    return seen


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Nodes along a circle of the graph; empty where there is none."""
    done: set[str] = set()

    def follow(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for other in sorted(arrows.get(name, ())):
                if found := follow(other, [*path, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(arrows) if (found := follow(name, []))), [])


def part(name: str, prefix: str) -> bool:
    """Is module `name` the one called `prefix`, or inside it?"""
    return name == prefix or name.startswith(prefix + ".")


def in_a_fresh_process(code: str) -> str:
    """What the code prints, stderr included; fails if it fails."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("folder", OURS)
def test_the_arrows_between_folders(folder):
    wrong = [
        f"{relative(path)} imports {name}"
        for path in sources(folder)
        for name in sorted(imports(path))
        if (top := name.partition(".")[0]) in OURS and top not in MAY_IMPORT[folder]
    ]
    assert not wrong


@pytest.mark.parametrize("house", FLOORS)
def test_no_arrow_goes_up(house):
    floor = {room: level for level, rooms in enumerate(FLOORS[house]) for room in rooms.split()}
    there = {name.split(".")[1] for name in graph(house)}
    assert there == floor.keys(), "a room is new or gone: correct FLOORS"
    wrong = [
        f"{start} imports {name}"
        for start, used in graph(house).items()
        for name in sorted(used)
        if floor[start.split(".")[1]] < floor[name.split(".")[1]]
    ]
    assert not wrong


@pytest.mark.parametrize("house", FLOORS)
def test_no_modules_import_each_other_in_a_circle(house):
    assert circle(graph(house)) == []


@pytest.mark.parametrize("house", FLOORS)
def test_no_folders_import_each_other_in_a_circle(house):
    """What stands side by side in a folder, modules and folders, each with all that is in it."""
    arrows: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for start, used in graph(house).items():
        for name in used:
            one, other = start.split("."), name.split(".")
            depth = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            arrows[".".join(one[:depth])][one[depth]].add(other[depth])
    circles = {folder: circle(inside) for folder, inside in arrows.items()}
    assert {folder: found for folder, found in circles.items() if found} == {}


@pytest.mark.parametrize(("room", "other"), SEPARATE)
def test_models_and_data_do_not_know_each_other(room, other):
    starts = [name for name in graph("kws") if part(name, room)]
    assert starts, f"{room} is gone: correct APART"
    wrong = [
        f"{start} reaches {name}"
        for start in starts
        for name in sorted(reachable(start))
        if part(name, other)
    ]
    assert not wrong


def test_the_graph_is_seen():
    """The tests above would pass on an empty graph."""
    assert "kws.errors" in reachable("kws.cli.data")
    assert "kws.files" in reachable("kws.data.speech_commands")
    assert "kws.models.attention" in reachable("kws.models.transformer")
    assert "grader.core.outcomes" in reachable("grader.batch.grade_commands")


def test_importing_the_package_is_quiet_and_brings_no_torch():
    code = "import sys, kws, kws.errors, kws.cli, kws.cli.groups; sys.exit('torch' in sys.modules)"
    assert in_a_fresh_process(code) == ""


def test_importing_any_module_prints_nothing_and_starts_nothing():
    names = [name for name in graph("kws") if not name.endswith("__main__")]
    code = (
        f"import importlib, threading\n[importlib.import_module(name) for name in {names}]\n"
        "assert threading.active_count() == 1, threading.enumerate()"
    )
    assert in_a_fresh_process(code) == ""


def test_nothing_is_imported_by_a_string_without_a_reason():
    """Such an import hides an arrow from the tests above."""
    found = {
        relative(path)
        for path in sources(*FLOORS)
        for node in nodes(path, ast.Attribute, ast.Name)
        if getattr(node, "attr", getattr(node, "id", "")) in ("import_module", "__import__")
    }
    assert found == BY_STRING.keys()


def test_every_module_has_a_name_of_its_own():
    names = defaultdict(list)
    for path in sources(*FLOORS):
        if not ASSIGNMENT.match(relative(path)):
            names[path.stem].append(relative(path))
    allowed = {"__init__", "__main__", *SAME_NAME}
    twice = {name: paths for name, paths in names.items() if len(paths) > 1}
    assert {name: paths for name, paths in twice.items() if name not in allowed} == {}
    assert not SAME_NAME.keys() - names.keys(), "gone: correct SAME_NAME"


def test_every_class_has_a_name_of_its_own():
    names = defaultdict(list)
    for path in sources(*FLOORS):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                names[node.name].append(relative(path))
    twice = {name: paths for name, paths in names.items() if len(paths) > 1}
    assert {name: paths for name, paths in twice.items() if name not in SAME_CLASS} == {}
    assert not SAME_CLASS.keys() - twice.keys(), "gone: correct SAME_CLASS"


def test_tests_are_found_by_folder():
    """Those of kws/models are in tests/models, those of grader/batch in tests/grader/batch."""
    tested = {relative(path.parent).removeprefix("tests").strip("/") for path in sources("tests")}
    houses = (ROOT, ROOT / "kws")
    lost = {folder for folder in tested if not any((top / folder).is_dir() for top in houses)}
    assert lost == TESTS_OF_ALL.keys()
    modules = (path.relative_to(ROOT) for path in sources(*FLOORS))
    rooms = {
        path.parent.as_posix().removeprefix("kws/") for path in modules if len(path.parts) == 3
    }
    assert rooms - tested == set()


def test_every_module_says_what_it_is():
    places = ("kws", "grader", "data_scripts", "benchmarks", "tests")
    assert [relative(path) for path in sources(*places) if not ast.get_docstring(tree(path))] == []


def test_no_literal_is_unpacked_where_it_stands():
    """`f(*("a", "b"))` is `f("a", "b")`; whatever the formatter makes of it."""
    literals = (ast.Tuple, ast.List, ast.Set)
    wrong = [
        f"{relative(path)}:{node.lineno}"
        for path in [*sources(*OURS), *(ROOT / ".ci").glob("*.py")]
        for node in nodes(path, ast.Starred)
        if isinstance(node, ast.Starred) and isinstance(node.value, literals)
    ]
    assert not wrong


def test_no_loop_is_an_if():
    """`for x in xs if wanted else ():` is an `if` and a loop."""
    wrong = [
        f"{relative(path)}:{node.iter.lineno}"
        for path in sources(*OURS)
        for node in nodes(path, ast.For, ast.comprehension)
        if isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.IfExp)
        for either in (node.iter.body, node.iter.orelse)
        if isinstance(either, ast.Tuple | ast.List) and not either.elts
    ]
    assert not wrong


def test_nothing_is_out_of_place():
    """No path of somebody's machine, no registry's host, no talk about how a file was made."""
    folders = [*OURS, "docs", "assignments", "lock", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    wrong = []
    for path in sorted([*files, *ROOT.iterdir()]):
        here = path.with_suffix(".py") == Path(__file__)  # names what it looks for
        if here or not path.is_file() or path.suffix not in TEXT or path.name == ".git":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        wrong += [
            f"{relative(path)}: {why}: {found.group()}"
            for pattern, why in OUT_OF_PLACE.items()
            if (found := re.search(pattern, text, re.IGNORECASE))
        ]
    assert not wrong
