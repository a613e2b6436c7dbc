"""The folders of the assignments, `a02_attention`: listed here, named nowhere. Without torch."""

import json
import re
from functools import cache
from pathlib import Path

COURSE = Path(__file__).parent


@cache
def assignment_folders() -> dict[str, Path]:
    """The folder of each assignment that this copy of the course has, by number: "02"."""
    found = sorted(COURSE.glob("a[0-9][0-9]_*/contract.py"))
    return {path.parent.name[1:3]: path.parent for path in found}


def stem_of(number: str) -> str:
    return assignment_folders()[number].name[1:]


IMPORT = re.compile(r"^(?:from (kws[\w.]*) import (\w+)|import (kws[\w.]*))", re.MULTILINE)


@cache
def modules_used(number: str) -> frozenset[str]:
    """The modules of kws that its notebook imports, as it was released: answers may use them."""
    folder = assignment_folders().get(number)
    if folder is None or not (path := folder / "released.ipynb").is_file():
        return frozenset()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    found = [match for source in sources for match in IMPORT.findall(source)]
    return frozenset(
        f"kws.{name}" if module == "kws" else module or whole for module, name, whole in found
    )


def task_of(check_id: str) -> str:
    """`2.1` of "2.1-attend-values"."""
    return check_id.partition("-")[0]
