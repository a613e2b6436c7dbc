"""Merge a later kit into the course folder: its notebooks and the modules that they need.

One folder and one environment serve the whole term. A student's work is never changed: existing
notebooks stay, and an edited kit file is set aside before it is replaced. The kit's manifest,
`kws/course/kit.json`, is written last, so an interrupted command can simply be repeated.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kws.course.notebooks import read_cells
from kws.errors import UsageError
from kws.files import hold_lock, write_bytes

MANIFEST = "kws/course/kit.json"
NOTEBOOKS = "assignments/"
MOST = 64 << 20  # bytes of a whole kit; ours has one or two
AGAIN = "download it again"


@dataclass(frozen=True, kw_only=True)
class KitFiles:
    """A kit: files by path; in `answers` those that answer an earlier assignment."""

    number: str
    files: Mapping[str, bytes]
    answers: Mapping[str, tuple[str, ...]]


@dataclass(kw_only=True)
class AddedFiles:
    new: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # notebooks that the student has
    set_aside: list[str] = field(default_factory=list)  # edited files, under their new paths


def manifest_of(number: str, files: Mapping[str, bytes], answers: Mapping[str, list[str]]) -> bytes:
    """The contents of `kws/course/kit.json`."""
    sums = {path: _sum(data) for path, data in sorted(files.items())}
    table = {"answers": answers, "files": sums, "kit": number}
    return (json.dumps(table, indent=1, sort_keys=True) + "\n").encode()


def read_kit(source: Path) -> KitFiles:
    """The kit in a zip or a folder. UsageError for what is none, or not whole."""
    held = _from_folder(source) if source.is_dir() else _from_zip(source)
    table = _manifest(held.get(MANIFEST, b""), source)
    files = {}
    for path, wanted in table["files"].items():
        if path not in held:
            raise UsageError(f"{source} is not whole, as {path} is missing: {AGAIN}")
        if _sum(held[path]) != wanted:
            raise UsageError(f"{source} was changed or damaged in {path}: {AGAIN}")
        files[path] = held[path]
    answers = {key: tuple(paths) for key, paths in table["answers"].items()}
    files[MANIFEST] = held[MANIFEST]
    return KitFiles(number=table["kit"], files=files, answers=answers)


def find_unfinished(kit: KitFiles, course: Path) -> list[str]:
    """Assignments with a TODO left whose finished modules are in the kit, not in the course."""
    found = []
    for number, paths in sorted(kit.answers.items()):
        if all((course / path).exists() for path in paths):
            continue
        for notebook in sorted((course / NOTEBOOKS).glob(f"{number}_*.ipynb")):
            sources = [cell.source for cell in read_cells(notebook) if cell.task]
            if any("raise NotImplementedError(" in source for source in sources):
                found.append(number)
                break
    return found


def add_kit(kit: KitFiles, course: Path) -> AddedFiles:
    """Bring a kit into the course, the manifest last; UsageError for an older one."""
    known = _manifest((course / MANIFEST).read_bytes(), course / MANIFEST)
    if kit.number < known["kit"]:
        raise UsageError(
            f"kit {kit.number} is older than the installed kit {known['kit']}, which includes it: "
            "nothing to do"
        )
    with hold_lock(course) as held:
        if held is False:
            raise UsageError(f"{course}: another kws add is at work: wait for its end")
        return _apply(kit, known["files"], course)


def _apply(kit: KitFiles, known: Mapping[str, str], course: Path) -> AddedFiles:
    added = AddedFiles()
    aside = course / f"before-kit-{kit.number}"
    there = {path: (course / path).exists() for path in kit.files}
    for path in sorted(kit.files, key=lambda path: (path == MANIFEST, there[path], path)):
        target, data = course / path, kit.files[path]
        for left in target.parent.glob(f".{target.name}.*.tmp"):  # of one that was killed
            left.unlink(missing_ok=True)
        if not there[path]:
            write_bytes(target, data)
            added.new.append(path)
            continue
        now = _sum(target.read_bytes())
        if now == _sum(data):
            continue
        own = path != MANIFEST and now != known.get(path)
        if own and path.startswith(NOTEBOOKS):
            added.kept.append(path)
            continue
        if own:
            added.set_aside.append(_set_aside(target, aside / path, course))
        write_bytes(target, data)
        added.replaced.append(path)
    for path in sorted(known.keys() - kit.files.keys()):
        target = course / path
        if path.startswith(NOTEBOOKS) or not target.is_file():
            continue
        if _sum(target.read_bytes()) != known[path]:
            added.set_aside.append(_set_aside(target, aside / path, course))
        target.unlink()
        added.removed.append(path)
    return added


def _set_aside(path: Path, kept: Path, course: Path) -> str:
    number, free = 1, kept
    while free.exists():
        number, free = number + 1, kept.with_name(f"{kept.stem}-{number + 1}{kept.suffix}")
    free.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, free)
    return free.relative_to(course).as_posix()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _manifest(data: bytes, source: Path) -> dict[str, Any]:
    try:
        table = json.loads(data)
        paths = [*table["files"], *(path for paths in table["answers"].values() for path in paths)]
        sane = isinstance(table["kit"], str) and not any(map(_leaves, paths))
    except (ValueError, KeyError, TypeError, AttributeError):
        sane = False
        table = {}
    if not sane:
        raise UsageError(
            f"{source} is not a kit of the course: name the file kws-NN.zip as you got it"
        )
    return table


def _leaves(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in path


def _from_zip(source: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(source) as archive:
            names = {each.filename: each for each in archive.infolist() if not each.is_dir()}
            if sum(each.file_size for each in names.values()) > MOST:
                raise UsageError(f"{source} is too large for a kit: name the file kws-NN.zip")
            found = [n.removesuffix(MANIFEST) for n in names if f"/{n}".endswith(f"/{MANIFEST}")]
            top = min(found, key=len, default="")
            return {
                name.removeprefix(top): archive.read(each)
                for name, each in names.items()
                if name.startswith(top)
            }
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        if zipfile.is_zipfile(source):
            raise UsageError(f"{source} is damaged ({error}): {AGAIN}") from error
        raise UsageError(
            f"{source} is not a zip, or not all of one: {AGAIN}, or name the folder it unpacks to"
        ) from error


def _from_folder(source: Path) -> dict[str, bytes]:
    found = [source, *sorted(path for path in source.iterdir() if path.is_dir())]
    top = next((path for path in found if (path / MANIFEST).is_file()), source)
    if not (top / MANIFEST).is_file():
        return {}
    data = (top / MANIFEST).read_bytes()
    paths = _manifest(data, source)["files"]
    held = {path: (top / path).read_bytes() for path in paths if (top / path).is_file()}
    return held | {MANIFEST: data}
