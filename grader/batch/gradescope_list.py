"""Gradescope's list, `submission_metadata.yml`: who handed in which folder, and when.

The few keys that matter are read at their depth; it takes no YAML for that.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

LIST = "submission_metadata.yml"


@dataclass
class Listed:
    """One folder: who handed it in together, as the list has them, and when."""

    people: list[dict[str, str]] = field(default_factory=list)
    when: datetime | None = None


def read_list(path: Path) -> dict[str, Listed]:
    """Folder -> what the list says of it."""
    found: dict[str, Listed] = {}
    current, inside = Listed(), False
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        if match := re.match(r"(\S[^:]*):\s*$", line):
            current = found.setdefault(match[1].strip("'\""), Listed())
        elif match := re.match(r"  ?:?(\w+):\s*(.*)", line):
            inside = match[1] == "submitters"
            if match[1] == "created_at":
                current.when = _date(match[2])
        elif inside and (match := re.match(r"\s+(-\s+)?:?(name|sid|email):\s*(.*)", line)):
            if match[1] or not current.people:
                current.people.append({})
            current.people[-1][match[2]] = match[3].strip().strip("'\"")
    return found


def _date(text: str) -> datetime | None:
    """A date as YAML writes it: 2025-03-01 23:12:45.123456789 -08:00, or Z."""
    match = re.match(
        r"['\"]?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)\S*?\s*(Z|UTC|[+-]\d\d:?\d\d)?['\"]?\s*$", text
    )
    if not match:
        return None
    zone = match[3] or "Z"
    digits = "+0000" if zone in ("Z", "UTC") else zone.replace(":", "")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    with suppress(ValueError):  # no such day, or no such offset
        when = datetime.fromisoformat(f"{match[1]}T{match[2]}")
        return when.replace(tzinfo=timezone(-offset if digits[0] == "-" else offset))
    return None
