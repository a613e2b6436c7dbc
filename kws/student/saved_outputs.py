"""The results of checks in a saved notebook's outputs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kws.course.notebooks import cells_of, read_table

COLORS = re.compile(r"\x1b\[[\d;]*m")
LINE = re.compile(r"(?P<mark>[✓✗]) (?P<check>\d+\.\d+-[\w-]+)  (?P<text>.*)")


def saved_lines(path: Path) -> dict[str, tuple[bool, str]]:
    """Check -> (whether it passed, its line), from the outputs below the cells of the checks."""
    table = read_table(path)
    found = {}
    cells = [raw for raw in table["cells"] if isinstance(raw, dict)]
    for raw, cell in zip(cells, cells_of(table), strict=True):
        for line in _printed(raw).splitlines():
            verdict = LINE.fullmatch(COLORS.sub("", line).strip())
            if verdict and verdict["check"] in cell.checks:
                found[verdict["check"]] = (verdict["mark"] == "✓", verdict["text"])
    return found


def _printed(raw: Mapping[str, Any]) -> str:
    outputs = raw.get("outputs")
    parts = []
    if not isinstance(outputs, list):
        return ""
    for output in outputs:
        if isinstance(output, dict) and output.get("output_type") == "stream":
            text = output.get("text", "")
            parts.append("".join(map(str, text)) if isinstance(text, list) else str(text))
    return "".join(parts)
