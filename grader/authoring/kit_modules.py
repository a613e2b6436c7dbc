"""Which modules of kws a kit can hold when some are withheld: who imports one must stay out too.

Read from the sources, nothing runs. An import inside a function does not count: it fails when it is
reached, and the command line says so in one sentence.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kws.errors import UsageError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Modules:
    """What becomes of each module: kept, withheld, or `along` with the module that it needs."""

    kept: Mapping[str, Path]
    withheld: Mapping[str, Path]
    along: Mapping[str, str]

    @property
    def gone(self) -> frozenset[str]:
        """All that the kit lacks."""
        return frozenset(self.withheld) | frozenset(self.along)


def divide(root: Path, withheld: Iterable[str]) -> Modules:
    """The modules of `root/kws`, without `withheld` (a package goes with all that is in it)."""
    paths = {_name(path, root): path for path in sorted((root / "kws").rglob("*.py"))}
    asked = {}
    for wanted in withheld:
        found = {name: path for name, path in paths.items() if _is_part(name, wanted)}
        if not found:
            near = did_you_mean(wanted, paths)
            raise UsageError(f"grader/adapters.py withholds {wanted!r}: no such module{near}")
        asked |= found
    needs = {name: imported_at_top(path) for name, path in paths.items()}
    along: dict[str, str] = {}
    while True:
        gone = asked.keys() | along.keys()
        new = {
            name: reason
            for name in sorted(paths.keys() - gone)
            if (reason := min(needs_of(needs[name], gone), default=None))
        }
        if not new:
            break
        along |= new
    kept = {name: path for name, path in paths.items() if name not in gone}
    return Modules(kept=kept, withheld=asked, along=along)


def needs_of(imported: Iterable[str], gone: Iterable[str]) -> set[str]:
    """Those of the `gone` modules without which these imports fail."""
    gone = frozenset(gone)
    return {name for each in imported for name in _with_packages(each) if name in gone}


def imported_at_top(path: Path) -> set[str]:
    """Full names of all that importing the file imports, its packages included.

    `from a import b` counts as `a` and `a.b`: b may be a module.
    """
    return names_imported(path.read_text(encoding="utf-8"))


def names_imported(source: str) -> set[str]:
    """The same, of source text."""
    found: set[str] = set()
    for node in _running_at_import(ast.parse(source).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _running_at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _running_at_import(node.orelse)
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _running_at_import([child])
            elif isinstance(child, ast.ExceptHandler):
                yield from _running_at_import(child.body)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def _is_part(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
