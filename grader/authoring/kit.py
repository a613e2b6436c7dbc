"""The student kit of one assignment: a folder that installs alone, packed with fixed bytes.

The kit of assignment N contains the notebooks and the folders of `kws/course` up to N, kws without
the modules that N and later ones ask for (see `kit_modules`), and what belongs to them. Before it
is written, it is checked for leaks and every module is imported once.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment, get_assignment
from grader.authoring.build import build_notebook, solution_scripts
from grader.authoring.kit_modules import (
    Modules,
    divide,
    drop_unused,
    imported_at_top,
    names_imported,
    needs_of,
)
from grader.authoring.leaks import (
    find_leaks,
    hidden_checks,
    secrets_of_modules,
    secrets_of_solution,
)
from kws.errors import UsageError
from kws.files import zip_bytes
from kws.student.add_kit import MANIFEST, manifest_of

FOLDER = "kws-course"  # of the whole term: `kws add` adds later kits
TEXTS = Path(__file__).parent / "kit"
CONTAINER = ".devcontainer/devcontainer.json"
BESIDE = ("hints.md", "goldens.json", "diagrams.toml")  # a contract, which is a module
SECONDS = 300  # for importing every module, on a slow machine


@dataclass(frozen=True, kw_only=True)
class Kit:
    name: str
    files: Mapping[str, bytes]
    modules: Modules

    def packed(self) -> bytes:
        return zip_bytes({f"{FOLDER}/{path}": data for path, data in self.files.items()})


def make_kit(
    through: str,
    *,
    root: Path = ROOT,
    catalog: Mapping[str, Assignment] = ASSIGNMENTS,
    badge: str | None = None,  # address of what opens the folder of notebooks in a browser
) -> Kit:
    """Build the kit of assignment `through`; UsageError where it leaks or does not import."""
    number = _known(through, catalog)
    later = [each for key, each in sorted(catalog.items()) if key >= number]
    ahead = [each for each in later if each.number > number]
    contracts = {path.parent.name for path in (root / "kws" / "course").glob("*/contract.py")}
    folders = [f"kws.course.{each.folder}" for each in ahead if each.folder in contracts]
    modules = divide(root, [*folders, *(name for each in later for name in each.withheld)])
    shown = [each for key, each in sorted(catalog.items()) if key <= number]
    files: dict[str, bytes] = {}
    for each in shown:
        solution = root / "solutions" / f"{each.stem}.py"
        course = f"kws/course/{each.folder}"
        for path in (f"assignments/{each.stem}.ipynb", f"{course}/released.ipynb"):
            files[path] = build_notebook(solution).encode()
        for path in (f"{course}/{name}" for name in BESIDE):
            if (root / path).exists():
                files[path] = (root / path).read_bytes()
    for path in sorted((root / "data_scripts").glob("*.py")):
        if not needs_of(imported_at_top(path), modules.gone):
            files[f"data_scripts/{path.name}"] = path.read_bytes()
    modules = drop_unused(modules, _imports_of(files))
    files |= {_module_file(path, root): path.read_bytes() for path in modules.kept.values()}
    files |= {_module_file(path, root): path.read_bytes() for path in _library(root, modules.kept)}
    listed = ""
    for each in shown:
        opens = f", [open in the browser]({badge.rstrip('/')}/{each.stem}.ipynb)" if badge else ""
        listed += f"- `assignments/{each.stem}.ipynb`: {each.title}{opens}\n"
    readme = (TEXTS / "README.md").read_text(encoding="utf-8")
    files["README.md"] = (
        readme.replace("{assignments}\n", listed).replace("{zip}", f"kws-{number}.zip").encode()
    )
    files[CONTAINER] = (TEXTS / "devcontainer.json").read_bytes()
    files["AGENTS.md"] = (TEXTS / "AGENTS.md").read_bytes()
    files["pyproject.toml"] = _pyproject(root).encode()
    files["requirements.txt"] = (root / "lock" / "students.txt").read_bytes()
    files["constraints.txt"] = (root / "lock" / "constraints.txt").read_bytes()
    files[MANIFEST] = manifest_of(number, files, _answers(shown, modules.kept, root))
    kit = Kit(name=f"kws-{number}", files=files, modules=modules)
    _refuse_missing_imports(kit)
    _refuse_leaks(kit, number, later, root)
    _refuse_broken_modules(kit)
    return kit


def _answers(
    shown: Sequence[Assignment], kept: Mapping[str, Path], root: Path
) -> dict[str, list[str]]:
    found = {
        each.number: [
            _module_file(path, root)
            for name, path in kept.items()
            if needs_of([name], each.withheld)
        ]
        for each in shown[:-1]
    }
    return {number: paths for number, paths in found.items() if paths}


def _known(through: str, catalog: Mapping[str, Assignment]) -> str:
    if catalog is ASSIGNMENTS:
        return get_assignment(through).number
    if through.zfill(2) not in catalog:
        there = ", ".join(sorted(catalog))
        raise UsageError(f"--through {through}: no such assignment: choose one of {there}")
    return through.zfill(2)


def _imports_of(files: Mapping[str, bytes]) -> set[str]:
    texts = [data.decode() for path, data in files.items() if path.endswith(".py")]
    for path in files:
        if path.endswith(".ipynb"):
            texts += code_cells(files[path])
    return {name for text in texts for name in names_imported(text, functions=True)}


def _library(root: Path, kept: Collection[str]) -> list[Path]:
    found = [root / "LICENSE", root / "kws" / "py.typed"]
    if "kws.training.recipe" in kept:
        found += sorted((root / "kws" / "recipes").glob("*.toml"))
    if "kws.data.embedded.lists" in kept:
        found += sorted((root / "kws" / "data" / "embedded" / "lists").glob("*.txt"))
    if "kws.inference.web_page" in kept:
        found += sorted(path for path in (root / "kws" / "web").glob("*") if path.is_file())
    return [path for path in found if path.exists()]


def code_cells(notebook: bytes) -> list[str]:
    cells = json.loads(notebook)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _module_file(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _pyproject(root: Path) -> str:
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    optional = project.get("optional-dependencies", {})
    dependencies = sorted({*project["dependencies"], *optional.get("notebooks", [])})
    extras = {name: optional[name] for name in ("microphone",) if name in optional}
    keys = ("name", "version", "description", "requires-python", "license", "license-files")
    sections: dict[str, dict[str, Any]] = {
        "build-system": table["build-system"],
        "project": {
            **{key: project[key] for key in keys if key in project},
            "dependencies": dependencies,
        },
        "project.optional-dependencies": extras,
        "project.scripts": project.get("scripts", {}),
        "tool.setuptools.packages.find": {"include": ["kws*"]},
        "tool.setuptools.package-data": table["tool"]["setuptools"]["package-data"],
    }
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in section.items())
        for name, section in sections.items()
    )


def _toml(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "[\n" + "".join(f"    {json.dumps(item, ensure_ascii=False)},\n" for item in value) + "]"


def _refuse_missing_imports(kit: Kit) -> None:
    for path in sorted(kit.files):
        if not path.endswith(".ipynb"):
            continue
        cells = json.loads(kit.files[path])["cells"]
        for count, cell in enumerate(cells, start=1):
            if cell["cell_type"] != "code":
                continue
            missing = needs_of(names_imported("".join(cell["source"])), kit.modules.gone)
            if missing:
                name = min(missing)
                why = kit.modules.along.get(name)
                why = f"is left out as it needs {why}" if why else "is withheld"
                raise UsageError(
                    f"{path}: cell {count} imports {name}, which {why} in the kit {kit.name}: "
                    "change the notebook or what assignment.toml withholds"
                )


def _refuse_leaks(kit: Kit, number: str, later: Sequence[Assignment], root: Path) -> None:
    """Refuse secrets; kws and later notebooks may contain answers to earlier assignments."""
    solutions = {path.stem[:2]: secrets_of_solution(path) for path in solution_scripts(root)}
    current = [secret for key in solutions if key >= number for secret in solutions[key]]
    current += secrets_of_modules(kit.modules.withheld, later)
    current += hidden_checks(root)
    leaks = find_leaks(kit.files, current)
    for path, data in kit.files.items():
        if not path.startswith("kws/"):
            own = Path(path).stem[:2] if path.endswith(".ipynb") else ""
            secrets = (solutions[key] for key in solutions if own <= key < number)
            leaks += find_leaks({path: data}, itertools.chain.from_iterable(secrets))
    if leaks:
        raise UsageError(
            f"the kit {kit.name} would leak: {'; '.join(map(str, leaks))}: remove it there, or "
            "withhold the file"
        )


def _refuse_broken_modules(kit: Kit) -> None:
    names = sorted(name for name in kit.modules.kept if not name.endswith("__main__"))
    code = (
        f"import importlib, os, sys\nsys.path.insert(0, os.getcwd())\nimport kws\n"
        f"assert os.path.dirname(os.path.dirname(kws.__file__)) == os.getcwd(), kws.__file__\n"
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        for path, data in kit.files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-I", "-c", code],
            cwd=os.path.realpath(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise UsageError(
            f"the kit {kit.name} does not import: {reason}: withhold that module too, or import "
            "what it needs inside the function that needs it"
        )
