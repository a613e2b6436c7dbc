"""Which modules of kws a kit contains when some are withheld.

A module that imports a withheld one is left out too, as is one that nothing in the kit imports: it
could be a second form of an answer.

The sources are parsed, not run. An import inside a function fails when it is reached, with a
one-line error on the command line; a group of commands (`kws.cli`) is left out until all of its
commands work.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kws.errors import UsageError, did_you_mean

COMMANDS = "kws.cli"
# what a student runs besides the notebooks
ROOTS = (COMMANDS, "kws.__main__", "kws.course", "kws.student")


@dataclass(frozen=True, kw_only=True)
class Modules:
    """Modules kept, withheld, removed `along` with a withheld one, and unused."""

    kept: Mapping[str, Path]
    withheld: Mapping[str, Path]
    along: Mapping[str, str]
    unused: frozenset[str] = frozenset()

    @property
    def gone(self) -> frozenset[str]:
        return frozenset(self.withheld) | frozenset(self.along) | self.unused


def divide(root: Path, withheld: Iterable[str]) -> Modules:
    """Divide the modules of `root/kws`; a package is withheld with all of its modules."""
    paths = {_name(path, root): path for path in sorted((root / "kws").rglob("*.py"))}
    left_out = {}
    for wanted in withheld:
        found = {name: path for name, path in paths.items() if _is_part(name, wanted)}
        if not found:
            near = did_you_mean(wanted, paths)
            raise UsageError(f"assignment.toml withholds {wanted!r}: no such module{near}")
        left_out |= found
    needs = {
        name: names_imported(path.read_text(encoding="utf-8"), functions=_is_part(name, COMMANDS))
        for name, path in paths.items()
    }
    along: dict[str, str] = {}
    while True:
        gone = left_out.keys() | along.keys()
        new = {
            name: reason
            for name in sorted(paths.keys() - gone)
            if (reason := min(needs_of(needs[name], gone), default=None))
        }
        if not new:
            break
        along |= new
    kept = {name: path for name, path in paths.items() if name not in gone}
    return Modules(kept=kept, withheld=left_out, along=along)


def drop_unused(modules: Modules, imported: Iterable[str]) -> Modules:
    """Drop what is reached neither from `imported` nor from `ROOTS`."""
    ahead = [name for root in (*imported, *ROOTS) for name in _with_packages(root)]
    ahead += [name for name in modules.kept if any(_is_part(name, root) for root in ROOTS)]
    reached: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name in modules.kept and name not in reached:
            reached.add(name)
            found = _imported_when_run(modules.kept[name], modules.gone)
            ahead += [part for each in found for part in _with_packages(each)]
    kept = {name: path for name, path in modules.kept.items() if name in reached}
    return replace(modules, kept=kept, unused=frozenset(modules.kept) - reached)


def _imported_when_run(path: Path, gone: frozenset[str]) -> set[str]:
    """What the module imports, and those of its functions that import nothing that is gone."""
    source = path.read_text(encoding="utf-8")
    found = names_imported(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = names_imported(ast.unparse(node), functions=True)
            if not needs_of(inside, gone):
                found |= inside
    return found


def needs_of(imported: Iterable[str], gone: Iterable[str]) -> set[str]:
    gone = frozenset(gone)
    return {name for each in imported for name in _with_packages(each) if name in gone}


def imported_at_top(path: Path) -> set[str]:
    """Full names of all that importing the file imports; `from a import b` is `a` and `a.b`."""
    return names_imported(path.read_text(encoding="utf-8"))


def names_imported(source: str, *, functions: bool = False) -> set[str]:
    """The same for source text; with the imports inside `functions` if asked for."""
    found: set[str] = set()
    for node in _running_at_import(ast.parse(source).body, functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _running_at_import(body: Iterable[ast.stmt], functions: bool) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not functions:
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _running_at_import(node.orelse, functions)
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _running_at_import([child], functions)
            elif isinstance(child, ast.ExceptHandler):
                yield from _running_at_import(child.body, functions)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def _is_part(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
