"""`python -m grader new`: the files of a new assignment with two working tasks.

The templates are in `new_assignment.toml`; see "A new assignment" in CONTRIBUTING.md.
"""

import re
from pathlib import Path

from grader import ROOT
from grader.core.tables import parse_toml
from kws.errors import UsageError
from kws.files import write_text

TEMPLATE = Path(__file__).with_suffix(".toml")
SLUG = re.compile(r"[a-z][a-z0-9_]*")
ROW = re.compile(r"(?m)^\| \d\d .*\| [\d.]+ h \|.*\n(?!\| \d\d )")  # the last of README's table


def write_assignment(number: str, slug: str, title: str, root: Path = ROOT) -> list[str]:
    """Write the files of an assignment and its row in README; UsageError for a taken number."""
    number = number.zfill(2)
    if not re.fullmatch(r"\d\d", number) or number == "00":
        raise UsageError(
            f"{number!r} cannot be the number of an assignment: choose one from 1 to 99"
        )
    if not SLUG.fullmatch(slug):
        raise UsageError(f"{slug!r} cannot name files: use small letters, digits and _")
    if '"' in title or "\n" in title or not title.strip():
        raise UsageError(f"the title {title!r} must be one line of text without quotes")
    if taken := sorted(root.glob(f"solutions/{number}_*.py")):
        raise UsageError(f"{taken[0].relative_to(root)} is there already: choose another number")
    marks = {"@STEM@": f"{number}_{slug}", "@NN@": number, "@N@": str(int(number))}
    written = []
    for path, text in parse_toml(TEMPLATE.read_text(encoding="utf-8"), TEMPLATE).items():
        for mark, value in {**marks, "@TITLE@": title}.items():
            path, text = path.replace(mark, value), text.replace(mark, value)
        write_text(root / path, text)
        written.append(path)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if found := ROW.search(text):
        row = f"| {number} {title.lower()} | energy of frames, their levels | 1 h | values |\n"
        write_text(readme, text[: found.end()] + row + text[found.end() :])
        written.append("README.md")
    return written
