"""Who may import whom, what an import costs, and what every file looks like.

The arrows: data_scripts, solutions and grader use kws; kws uses only itself; grader and solutions
do not know each other; inside kws, models know nothing of data, and only `kws.cli` knows the
command line. Benchmarks and tests may use everything.
"""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("kws", "data_scripts", "solutions", "grader", "benchmarks", "tests")
MAY_IMPORT = {
    "kws": {"kws"},
    "data_scripts": {"kws", "data_scripts"},
    "solutions": {"kws", "solutions"},
    "grader": {"kws", "grader"},
    "benchmarks": set(OURS),
    "tests": set(OURS),
}
MUST_NOT_REACH = {  # part of kws -> parts that it must not import, not even by way of others
    "kws.models": ("kws.data", "kws.training.loop", "kws.cli"),
    "kws.data": ("kws.training.loop", "kws.cli"),
    "kws.features": ("kws.data", "kws.models", "kws.cli"),
    "kws.augment": ("kws.data", "kws.models", "kws.cli"),
    "kws.metrics": ("kws.data", "kws.models", "kws.cli"),
    "kws.training.loop": ("kws.cli",),
    "kws.inference.evaluate": ("kws.cli",),
}
MAX_LINES = 300
MAX_TEST_LINES = 600  # a test file is a list: one for a module, however many properties that has
MAX_NOTEBOOK_LINES = 800  # a solution is a notebook, half of it text
LONGER = {  # file -> why it may be longer
    "grader/adapters.py": "every task of every assignment, and the names that students give them",
    "grader/sandbox/messages.py": "a list: the sentences that libraries raise",
    "grader/course/attacks.py": "a list: one for each attack",
    "kws/training/recipe.py": "every setting of an experiment with unit and range",
}
OUT_OF_PLACE = {
    r"(?<![\w.$}])/(?:home|root|Users|work|opt|mnt)/": "a path of one machine",
    r"\b(?:pypi\.org|pythonhosted|conda\.anaconda)\b": "the host of a package registry",
    r"\b(?:sub-?agents?|chat-?bots?|language model wrote|this session)\b": "talk about the making",
}
TEXT = (".py", ".md", ".toml", ".ipynb", ".txt", ".yml", ".cfg", "")


@cache
def sources(*folders: str) -> list[Path]:
    """Python files below the folders, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """`kws/data/packed.py` -> `kws.data.packed`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> set[str]:
    """Full names of what the file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}: relative import"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            assert "*" not in {alias.name for alias in node.names}, f"{relative(path)}: star import"
    return found


@cache
def graph() -> dict[str, set[str]]:
    """Module of kws -> modules of kws that it imports."""
    modules = {module_name(path): path for path in sources("kws")}
    return {name: imports(path) & modules.keys() for name, path in modules.items()}


def reachable(start: str) -> set[str]:
    """Modules of kws that importing `start` may lead to."""
    seen, ahead = set(), {start}
    while ahead:
        name = ahead.pop()
        seen.add(name)
        ahead |= graph()[name] - seen
    return seen


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
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# Arrows


@pytest.mark.parametrize("folder", OURS)
def test_the_arrows_between_folders(folder):
    wrong = [
        f"{relative(path)} imports {name}"
        for path in sources(folder)
        for name in sorted(imports(path))
        if (top := name.partition(".")[0]) in OURS and top not in MAY_IMPORT[folder]
    ]
    assert not wrong


@pytest.mark.parametrize("prefix", MUST_NOT_REACH)
def test_the_arrows_inside_kws(prefix):
    starts = [name for name in graph() if part(name, prefix)]
    assert starts, f"{prefix} is gone: correct MUST_NOT_REACH"
    wrong = [
        f"{start} reaches {name}"
        for start in starts
        for name in sorted(reachable(start))
        if any(part(name, forbidden) for forbidden in MUST_NOT_REACH[prefix])
    ]
    assert not wrong


def test_nothing_but_the_command_line_imports_the_command_line():
    wrong = [
        name
        for name, used in graph().items()
        if not part(name, "kws.cli") and any(part(other, "kws.cli") for other in used)
    ]
    assert not wrong


def test_the_graph_is_seen():
    """The tests above would pass on an empty graph."""
    assert "kws.errors" in reachable("kws.cli.data")
    assert "kws.files" in reachable("kws.data.speech_commands")
    assert "kws.models.attention" in reachable("kws.models.transformer")


# Imports


@pytest.mark.parametrize("module", ["kws", "kws.cli", "kws.cli.groups", "kws.errors"])
def test_importing_the_package_is_quiet_and_brings_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch imported' if 'torch' in sys.modules else 0)"
    assert in_a_fresh_process(code) == ""


def test_importing_any_module_prints_nothing_and_starts_nothing():
    names = [name for name in graph() if name != "kws.cli.__main__"]
    code = (
        f"import importlib, threading\n[importlib.import_module(name) for name in {names}]\n"
        "assert threading.active_count() == 1, threading.enumerate()"
    )
    assert in_a_fresh_process(code) == ""


# Files


def test_every_module_says_what_it_is():
    """So does every public function and class of kws."""
    silent = []
    for path in sources("kws", "data_scripts", "benchmarks"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = [tree]
        if path.is_relative_to(ROOT / "kws"):
            kinds = (ast.FunctionDef, ast.ClassDef)
            nodes += [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]
        silent += [
            f"{relative(path)}: {getattr(node, 'name', 'module')}"
            for node in nodes
            if not ast.get_docstring(node)
        ]
    assert not silent


def most_lines(path: Path) -> int:
    if path.is_relative_to(ROOT / "solutions"):
        return MAX_NOTEBOOK_LINES
    hidden_checks = path.parent == ROOT / "grader" / "course" and path.name.startswith("test_")
    return MAX_TEST_LINES if hidden_checks or path.is_relative_to(ROOT / "tests") else MAX_LINES


def test_no_file_is_long_without_a_reason():
    long = []
    for path in sources(*OURS):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > most_lines(path) and relative(path) not in LONGER:
            long.append(f"{relative(path)}: {lines} lines")
    assert not long, "divide it, or give a reason in LONGER"


def test_the_long_files_exist():
    assert all((ROOT / name).is_file() for name in LONGER)


def test_nothing_is_out_of_place():
    """No path of somebody's machine, no registry's host, no talk about how a file was made."""
    folders = [*OURS, "docs", "assignments", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    wrong = []
    for path in sorted([*files, *ROOT.iterdir()]):
        here = path == Path(__file__)  # names what it looks for
        if here or not path.is_file() or path.suffix not in TEXT or path.name == ".git":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        wrong += [
            f"{relative(path)}: {why}: {found.group()}"
            for pattern, why in OUT_OF_PLACE.items()
            if (found := re.search(pattern, text, re.IGNORECASE))
        ]
    assert not wrong
