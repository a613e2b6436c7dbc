"""The zip that a student hands in: notebook, weights, manifest. Same files, same bytes."""

import getpass
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kws import __version__
from kws.course.notebooks import stem_of
from kws.errors import UsageError
from kws.files import write_bytes, write_text, zip_bytes
from kws.student.released import weights_name
from kws.student.visible_checks import CheckOutcome

NAME, LONGEST_NAME = "student.txt", 100  # beside the notebooks; characters
UNREAD = (".pt", ".pth", ".pkl", ".bin", ".ckpt")
MOST = 64 << 20  # bytes of one file that the grader reads


@dataclass(frozen=True, kw_only=True)
class HandInZip:
    """The zip, its contents, and requested weights that are missing."""

    path: Path
    files: tuple[str, ...]
    missing: str | None


def student_name(given: str | None, notebook: Path) -> tuple[str, bool]:
    """The student's name (`given`, remembered, or this machine's user); whether it was given."""
    kept = notebook.with_name(NAME)
    if given is not None:
        name = " ".join(given.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(f"--name {given!r}: give your name as the course lists it")
        write_text(kept, f"{name}\n")
        return name, True
    try:
        name = " ".join(kept.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        name = ""
    return (name[:LONGEST_NAME], True) if name else (getpass.getuser(), False)


def unread_weights(notebook: Path) -> list[str]:
    """Files beside the notebook that may be meant as weights, in forms that are not read."""
    return sorted(
        path.name
        for path in notebook.parent.iterdir()
        if path.suffix.lower() in UNREAD and path.is_file()
    )


def hand_in(
    number: str, notebook: Path, outcomes: Sequence[CheckOutcome], out: Path, student: str = ""
) -> HandInZip:
    """Write the zip of an assignment to `out`; UsageError for a file too large to be graded."""
    files = {f"{stem_of(number)}.ipynb": notebook}
    wanted = weights_name(number)
    weights = notebook.with_name(wanted) if wanted else None
    if weights and wanted and weights.is_file():
        files[wanted] = weights
    contents = {}
    for name, path in sorted(files.items()):
        if (size := path.stat().st_size) > MOST:
            cure = "clear its outputs" if path == notebook else "save the weights alone, in float32"
            raise UsageError(f"{path} has {size >> 20} MiB, the most is {MOST >> 20}: {cure}")
        contents[name] = path.read_bytes()
    manifest = {
        "assignment": number,
        "checks": {each.check: each.state for each in outcomes},
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in contents.items()
        },
        "kws": __version__,
        "student": student,
    }
    contents["manifest.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    write_bytes(out, zip_bytes(contents))
    missing = wanted if wanted and wanted not in files else None
    return HandInZip(path=out, files=tuple(sorted(contents)), missing=missing)
