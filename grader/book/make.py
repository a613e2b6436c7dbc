"""Build the book: run notebooks with our answers, prepare pages, run Sphinx, check the site.

Sphinx is installed in a separate environment, which `make book` creates.
"""

import ast
import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import build_notebook, read_solution
from grader.authoring.kit import TEXTS
from grader.authoring.leaks import Secret, find_leaks
from grader.book.api import pages as api_pages
from grader.book.site import all_answers, broken_links, external_hosts, leaks, withheld_code
from grader.course.mistakes.planted import solution
from grader.selftest.demo import run_notebook
from kws.errors import UsageError
from kws.files import atomic_folder, write_text

BOOK = ROOT / "docs" / "book"  # settings of Sphinx, and the first page
DOCS = ("terms.md", "experiments.md", "experiments", "spectrograms.png")
SETTINGS = ("conf.py", "book.css", "index.md")
SECTION = re.compile(r"^#+ (\d+)\.(\d+) ", re.MULTILINE)
LEFT_OUT = "# Left out here, as it repeats {}; the kit has it."


def main(out: Path, sphinx: Path, reference: Path) -> Path:
    """Build the book in the folder `out`; the site is `out/html`.

    What an earlier call left there is replaced. `sphinx` is the Python of the environment that has
    Sphinx, `reference` the folder of notebooks that were run, as `make course` makes it. Raises
    UsageError if Sphinx complains, a link is broken, or a page contains a secret.
    """
    executed = {}
    for assignment in ASSIGNMENTS.values():
        path = asyncio.run(run_notebook(assignment, reference))
        executed[assignment.stem] = json.loads(path.read_text(encoding="utf-8"))
    source, site = out / "source", out / "html"
    for folder in (source, site):
        shutil.rmtree(folder, ignore_errors=True)
    stage(source, executed)
    with atomic_folder(site) as temporary:
        run_sphinx(sphinx, source, temporary)
        refuse_faults(temporary)
    return site


def stage(source: Path, executed: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the input of Sphinx: settings, docs, notebooks with outputs, library pages."""
    source.mkdir(parents=True)
    for name in SETTINGS:
        shutil.copy2(BOOK / name, source)
    for name in DOCS:
        copy = shutil.copytree if (ROOT / "docs" / name).is_dir() else shutil.copy2
        copy(ROOT / "docs" / name, source / name)
    sources, secrets = {}, (*all_answers(), *withheld_code())
    for assignment in ASSIGNMENTS.values():
        notebook = with_outputs(assignment.number, executed[assignment.stem])
        sources[assignment.stem] = "\n\n".join(
            "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
        )
        leave_out(notebook, assignment.stem, secrets)
        name_sections(notebook)
        write_text(source / "assignments" / f"{assignment.stem}.ipynb", json.dumps(notebook))
    listed = "\n".join(f"- {one.number}: {one.title}" for one in ASSIGNMENTS.values())
    working = (TEXTS / "README.md").read_text(encoding="utf-8")
    working = (
        working.replace("{assignments}", listed)
        .replace("{zip}", "kws-01.zip")
        .replace(working.splitlines()[0], "# Working on the notebooks", 1)
    )
    write_text(source / "working.md", working)
    for name, text in api_pages(sources).items():
        write_text(source / name, text)


def with_outputs(number: str, executed: Mapping[str, Any]) -> dict[str, Any]:
    """The student's notebook with the outputs of our answers, except stderr."""
    notebook = json.loads(build_notebook(solution(number)))
    cells = zip(executed["cells"], read_solution(solution(number)), strict=True)
    ran = [cell for cell, ours in cells if ours.kind == "code" and "staff" not in ours.tags]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, ours in zip(code, ran, strict=True):
        cell["outputs"] = [one for one in ours["outputs"] if one.get("name") != "stderr"]
        cell["execution_count"] = ours["execution_count"]
    nbformat.validate(notebook)
    return notebook


def leave_out(notebook: dict[str, Any], stem: str, secrets: Sequence[Secret]) -> None:
    """Replace what repeats an answer or a withheld module, as later notebooks do."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines = "".join(cell["source"]).splitlines()
        if not repeated("\n".join(lines), stem, secrets):
            continue
        for node in reversed(ast.parse("\n".join(lines)).body):
            begin = min(one.lineno for one in (node, *getattr(node, "decorator_list", ()))) - 1
            if what := repeated("\n".join(lines[begin : node.end_lineno]), stem, secrets):
                lines[begin : node.end_lineno] = [LEFT_OUT.format(what)]
        if what := repeated("\n".join(lines), stem, secrets):
            lines = [LEFT_OUT.format(what)]
        cell["source"] = "\n".join(lines)


def name_sections(notebook: dict[str, Any]) -> None:
    """Give each section an address that students' pages link to: 2.1 is `#section-2-1`."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = SECTION.sub(r"(section-\1-\2)=\n\g<0>", "".join(cell["source"]))


def repeated(text: str, stem: str, secrets: Sequence[Secret]) -> str:
    found = [leak.what for leak in find_leaks({stem: text.encode()}, secrets)]
    names = {what.split(" (")[0] for what in found if what.startswith("the answer")}
    names |= {
        f"kws/{what.split('(')[1].split(':')[0]}"
        for what in found
        if not what.startswith("the answer")
    }
    return " and ".join(sorted(names))


def run_sphinx(python: Path, source: Path, out: Path) -> None:
    command = [str(python), "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    command += ["-d", str(source.parent / "doctrees"), str(source), str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise UsageError(f"{python}: cannot be run ({error.strerror}): run make book") from None
    if done.returncode:
        raise UsageError(f"Sphinx complained, correct what it names: {done.stderr.strip()}")


def refuse_faults(site: Path) -> None:
    """UsageError for a site with a secret, a broken link, or a request to another host."""
    if found := leaks(site):
        raise UsageError(f"the book would leak: {'; '.join(found)}: remove it there")
    if found := broken_links(site):
        raise UsageError(f"the book has broken links: {'; '.join(found)}: correct them")
    if found := external_hosts(site):
        raise UsageError(
            f"pages of the book load from other hosts, {', '.join(sorted(found))}: copy it"
        )
