"""Gradescope's `submission_metadata.yml`: students and date of each folder."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from kws.errors import UsageError

LIST = "submission_metadata.yml"
# reads every value as text, and tagged Ruby objects as their content
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass
class Listed:
    people: list[dict[str, str]]
    when: datetime | None = None


def read_list(path: Path) -> dict[str, Listed]:
    """Folder -> its entry in the list; UsageError for a file that is not YAML."""
    try:
        table = yaml.load(path.read_text(encoding="utf-8-sig", errors="replace"), LOADER)
    except yaml.YAMLError as error:
        where = str(error).replace("\n", " ")
        raise UsageError(f"{path} cannot be read ({where}): download the export again") from None
    rows = table.items() if isinstance(table, dict) else ()
    return {folder: _listed(_plain(row)) for folder, row in rows if isinstance(row, dict)}


def _listed(row: dict[str, Any]) -> Listed:
    people = row.get("submitters")
    people = [_plain(one) for one in people if isinstance(one, dict)] if people else []
    return Listed(people, _date(row.get("created_at", "")))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key.lstrip(":"): value for key, value in row.items()}


def _date(text: str) -> datetime | None:
    """A date as YAML writes it: 2025-03-01 23:12:45.123456789 -08:00, or Z."""
    with suppress(ValueError, yaml.YAMLError):  # no such day, or no such offset
        when = yaml.safe_load(text.replace("UTC", "Z"))
        if isinstance(when, datetime):
            return when.replace(microsecond=0, tzinfo=when.tzinfo or timezone.utc)
    return None
