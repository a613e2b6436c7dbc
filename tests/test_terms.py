"""The terms of docs/terms.md are kept: words that it gave up occur nowhere."""

import ast
import re
from collections.abc import Iterator

import pytest

from grader import ROOT
from tests.conftest import data_beside

TABLES = data_beside(__file__)
BANNED, PRIVATE, FOLDERS = (TABLES[key] for key in ("banned", "private", "folders"))
SUFFIXES = {".py", ".md", ".toml"}
ALLOWED = {"docs/terms.md", "tests/test_terms.py", "tests/test_terms.toml"}


def texts():
    """(path, text) of everything that people read, generated notebooks apart."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    for path in sorted([*files, *ROOT.glob("*.md")]):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in SUFFIXES and name not in ALLOWED and "__pycache__" not in path.parts:
            yield name, path.read_text(encoding="utf-8")


ANY = re.compile(rf"(?<!\w)(?:{'|'.join(BANNED)})(?!\w)", re.IGNORECASE)


def found(text: str) -> list[str]:
    """Every banned word of a text, with what to write in its place."""
    return [
        f"{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}, write: {instead}"
        for match in ANY.finditer(text)
        for word, instead in BANNED.items()
        if re.match(rf"(?:{word})(?!\w)", text[match.start() :], re.IGNORECASE)
    ]


def names_in(source: str) -> Iterator[str]:
    """What a module defines, sets and takes; of tests the names are sentences."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) if not name.startswith("test_"):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def test_names_in_the_code_are_made_of_the_fields_words():
    wrong = [
        f"{path}: {name}, write: {PRIVATE[word]}"
        for path, text in texts()
        if path.endswith(".py")
        for name in names_in(text)
        for word in PRIVATE.keys() & name.lower().split("_")
    ]
    assert wrong == []


def test_words_that_we_do_not_use_occur_nowhere():
    assert [f"{name}:{one}" for name, text in texts() for one in found(text)] == []


@pytest.mark.parametrize(
    ("line", "banned"),
    [
        ("Around each stands a detour.", True),
        ("A shell script; sys.stdout of a subprocess shell", False),
        ("two shells", True),
        ("deafening", False),
        ("x is no nn.Module", True),
        ("a file that is no notebook", True),
        ("there is no GPU, and it is no longer needed", False),
        ("the rebent wire", False),
        ("ten takes of a word", True),
        ("what a training takes", False),
    ],
)
def test_a_banned_word_is_found_as_a_whole_word_only(line, banned):
    assert bool(found(line)) is banned


def test_the_page_of_terms_names_what_the_notebooks_teach():
    page = (ROOT / "docs" / "terms.md").read_text(encoding="utf-8")
    for term in ("residual connection (skip connection)", "dot product", "feed-forward", "mask"):
        assert term in page
    for name in ("02_attention", "04_conformer"):
        text = (ROOT / "solutions" / f"{name}.py").read_text(encoding="utf-8")
        assert "**residual connection** (" in text
        assert "skip connection" in text
