"""Check a built site: search its text for answers, follow its links."""

import functools
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import solution_scripts
from grader.authoring.kit_modules import divide
from grader.authoring.leaks import (
    Secret,
    find_leaks,
    hidden_checks,
    secrets_of_modules,
    secrets_of_solution,
)

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
CHECK_CELL = "tag_check"  # MyST-NB's class of a cell with our tag for visible checks
TEXTS = (".html", ".js", ".txt", ".json", ".ipynb", ".md", ".py")


class PageReader(HTMLParser):
    """Text of a page, with and without visible checks; its links and their targets."""

    def __init__(self, text: str):
        super().__init__()
        self.everything: list[str] = []
        self.no_checks: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.depth = self.check = 0  # `check` is the depth of a check's cell, 0 outside
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag not in VOID:
            self.depth += 1
            if CHECK_CELL in values.get("class", "").split() and not self.check:
                self.check = self.depth

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            if self.check == self.depth:
                self.check = 0
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.everything.append(data)
        if not self.check:
            self.no_checks.append(data)


def leaks(site: Path) -> list[str]:
    """List every page with an answer, a hidden check or code of a withheld module."""
    everything: dict[str, bytes] = {}
    no_checks: dict[str, bytes] = {}
    for path in _files(site):
        name = path.relative_to(site).as_posix()
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".html":
            reader = PageReader(text)
            everything[name] = "".join(reader.everything).encode()
            no_checks[name] = "".join(reader.no_checks).encode()
        elif path.suffix in TEXTS:
            everything[name] = no_checks[name] = text.encode()
    found = find_leaks(everything, (*all_answers(), *withheld_code()))
    found += find_leaks(no_checks, hidden_checks())
    return [str(leak) for leak in found]


@functools.cache
def all_answers() -> tuple[Secret, ...]:
    return tuple(s for path in solution_scripts() for s in secrets_of_solution(path))


@functools.cache
def withheld_code() -> tuple[Secret, ...]:
    modules = divide(ROOT, [name for each in ASSIGNMENTS.values() for name in each.withheld])
    return tuple(secrets_of_modules(modules.withheld, ASSIGNMENTS.values()))


def broken_links(site: Path) -> list[str]:
    """List broken links inside the site as `page: link`; other hosts are not contacted."""
    pages = {
        path.relative_to(site).as_posix(): PageReader(path.read_text(encoding="utf-8"))
        for path in _files(site)
        if path.suffix == ".html"
    }
    there = {path.relative_to(site).as_posix() for path in _files(site)}
    return [
        f"{name}: {link}"
        for name, page in pages.items()
        for link in sorted(set(page.links))
        if not _leads(name, link, pages, there)
    ]


def _leads(page: str, link: str, pages: Mapping[str, PageReader], there: set[str]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = page
    if parts.path:
        target = _joined(PurePosixPath(page).parent / unquote(parts.path))
    if target not in there and f"{target}/index.html".lstrip("./") in there:
        target = f"{target}/index.html".lstrip("./")
    if target not in there:
        return False
    fragment = unquote(parts.fragment)
    return not fragment or target not in pages or fragment in pages[target].ids


def _joined(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts)


def external_hosts(site: Path) -> set[str]:
    """Other hosts that a browser would load scripts, styles, pictures or sounds from."""
    hosts = set()
    for path in _files(site):
        if path.suffix == ".html":
            hosts |= _Assets(path.read_text(encoding="utf-8")).hosts
    return hosts


class _Assets(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.hosts: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        links = [values.get("src")]
        if tag == "link":
            links.append(values.get("href"))
        self.hosts |= {host for link in links if link and (host := urlsplit(link).netloc)}


def _files(site: Path) -> Iterator[Path]:
    return (path for path in sorted(site.rglob("*")) if path.is_file())
