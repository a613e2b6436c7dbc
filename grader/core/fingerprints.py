"""Fingerprints of code and text that survive new names, literals, layout and comments.

Code is the sequence of its syntax tree's nodes, text that of its words. Of the hashes of every K
tokens in a row, winnowing keeps the smallest of each W neighbors: two texts that share K + W - 1
tokens in a row share a fingerprint, wherever they have it.

Source: Schleimer, Wilkerson and Aiken 2003, "Winnowing: Local Algorithms for Document
Fingerprinting", sections 2 and 3 (https://doi.org/10.1145/872757.872770).
"""

import ast
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b

Token = tuple[str, int]  # what counts, and the line on which it is, from 1
Gram = tuple[int, int, int]  # hash, first and last line

CODE, WORDS = 16, 6  # tokens of a gram: about a line of code, half a sentence
WINDOW = 8  # grams, of which one is kept
DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_grams(source: str) -> list[list[Gram]]:
    """Hashes of K-token runs for each top-level statement except imports; raises as `ast.parse`."""
    statements = ast.parse(source).body
    return [
        _grams(list(_nodes(one, one.lineno)), CODE)
        for one in statements
        if not isinstance(one, ast.Import | ast.ImportFrom)
    ]


def text_grams(text: str) -> list[list[Gram]]:
    lines = enumerate(text.casefold().splitlines(), start=1)
    return [_grams([(word, at) for at, line in lines for word in re.findall(r"\w+", line)], WORDS)]


def winnow(grams: Sequence[Sequence[Gram]]) -> list[Gram]:
    kept: dict[int, Gram] = {}
    for part in grams:
        for at in range(max(1, len(part) - WINDOW + 1) if part else 0):
            gram = min(part[at : at + WINDOW])
            kept.setdefault(gram[0], gram)
    return sorted(kept.values(), key=lambda gram: gram[1:])


def _grams(tokens: Sequence[Token], size: int) -> list[Gram]:
    found = []
    for at in range(len(tokens) - size + 1):
        part = tokens[at : at + size]
        words = " ".join(word for word, _ in part).encode("utf-8", "surrogatepass")
        number = int.from_bytes(blake2b(words, digest_size=6).digest(), "big")  # exact in JSON
        lines = [line for _, line in part]
        found.append((number, min(lines), max(lines)))
    return found


def _nodes(node: ast.AST, line: int) -> Iterator[Token]:
    """The tree in preorder, without user-defined names, values, annotations, docstrings."""
    line = getattr(node, "lineno", line)
    word = type(node).__name__
    if isinstance(node, ast.Attribute) and not (
        isinstance(node.value, ast.Name) and node.value.id == "self"
    ):
        word += f".{node.attr}"
    elif isinstance(node, ast.keyword):
        word += f".{node.arg}"
    elif isinstance(node, ast.Constant):
        word += f".{type(node.value).__name__}"
    yield word, line
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "ctx"):
            continue
        children = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(node, DOCSTRINGS) and ast.get_docstring(node) is not None:
            children = children[1:]
        for child in children:
            if isinstance(child, ast.AST):
                yield from _nodes(child, line)
