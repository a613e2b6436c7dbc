"""The library as notebooks use it: one MyST page per module; no code, as kits withhold some."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from grader import ROOT

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")
ENTRY = re.compile(r" {4}(?P<name>\*{0,2}\w+): (?P<text>.*)")
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def names_used(sources: Iterable[str], root: Path = ROOT) -> dict[str, set[str]]:
    """Module of kws -> names that this Python code imports from it or accesses in it."""
    used: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        tree = ast.parse(source)
        modules: dict[str, str] = {}
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "kws":
                continue
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if _path(whole, root).is_file():
                    modules[alias.asname or alias.name] = whole
                else:
                    used[node.module or ""].add(alias.name)
        for node in ast.walk(tree):
            owner = node.value if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Attribute) and isinstance(owner, ast.Name):
                used[modules.get(owner.id, "")].add(node.attr)
    return {module: names for module, names in used.items() if module}


def _path(module: str, root: Path) -> Path:
    return root.joinpath(*module.split(".")).with_suffix(".py")


def page(module: str, names: Iterable[str], root: Path = ROOT) -> str:
    """The module's docstring and each of these names, in source order."""
    tree = ast.parse(_path(module, root).read_text(encoding="utf-8"))
    wanted = set(names)
    parts = [f"# {module}", f"```{{py:module}} {module}\n```", markdown(ast.get_docstring(tree))]
    for node in tree.body:
        if isinstance(node, Definition) and (found := wanted & _defined(node)):
            parts.append(_described(node, min(found)))
    return "\n\n".join(parts) + "\n"


def _defined(node: Definition) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {
        name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
    }


def _described(node: Definition, name: str) -> str:
    if isinstance(node, ast.FunctionDef):
        return _directive("function", name + _signature(node), ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
        head = name + (_signature(methods["__init__"], 1) if "__init__" in methods else "")
        inner = [
            _directive("method", public + _signature(method, 1), ast.get_docstring(method))
            for public, method in methods.items()
            if not public.startswith("_") and ast.get_docstring(method)
        ]
        text = "\n\n".join([markdown(ast.get_docstring(node)), *inner])
        return f"``````{{py:class}} {head}\n\n{text}\n``````"
    value = f"\n:value: {ast.unparse(node.value)}" if isinstance(node.value, ast.Constant) else ""
    return f"`````{{py:data}} {name}{value}\n`````"


def _signature(node: ast.FunctionDef, skip: int = 0) -> str:
    arguments = ast.parse(ast.unparse(node)).body[0]
    assert isinstance(arguments, ast.FunctionDef)
    for argument in ast.walk(arguments.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    positional = arguments.args.args
    decorated = {getattr(one, "id", "") for one in node.decorator_list}
    if skip and "staticmethod" not in decorated:
        del positional[:skip]
    return f"({ast.unparse(arguments.args)})"


def _directive(kind: str, head: str, docstring: str | None) -> str:
    return f"`````{{py:{kind}}} {head}\n\n{markdown(docstring)}\n`````"


def markdown(docstring: str | None) -> str:
    """A docstring of ours as Markdown: its sections as lists, its doctests as code."""
    return "\n".join(_lines((docstring or "").splitlines()))


def _lines(lines: list[str]) -> Iterator[str]:
    section = code = ""
    for line in lines:
        example = line.strip().startswith(">>>")
        if code and not line.strip():
            yield "```"
            code = ""
        if example and not code:
            code = "python"
            yield "\n```python"
        if code:
            yield line.strip()
        elif SECTION.fullmatch(line):
            section = line
            yield f"\n**{line[:-1]}**\n"
        elif section and (entry := ENTRY.fullmatch(line)):
            yield f"- `{entry['name']}`: {entry['text']}"
        elif section and line.startswith("    "):
            yield "  " + line.strip()
        else:
            section = "" if line.strip() else section
            yield line
    if code:
        yield "```"


def pages(notebooks: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """`api/kws.audio.recordings.md` -> its text, for each module that notebooks use."""
    used = names_used(notebooks.values(), root)
    return {
        f"api/{module}.md": page(module, used[module], root)
        for module in sorted(used)
        if _path(module, root).is_file()
    }
