"""The entries of a folder of submissions, in the layouts of common platforms.

    SUBMISSIONS/alice/…, SUBMISSIONS/alice.zip, SUBMISSIONS/alice_02_attention.ipynb   by hand
    SUBMISSIONS/examplealice_LATE_4711_815_02_attention.ipynb                          Canvas
    SUBMISSIONS/submission_123456/ and submission_metadata.yml                         Gradescope
    SUBMISSIONS/Alice Example_4711_assignsubmission_file_/                             Moodle

No submission is opened here. The date of an entry is Gradescope's, or that of its newest file.
"""

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from grader.adapters import ASSIGNMENTS
from grader.batch.gradescope_list import LIST, Listed, read_list
from grader.core.text import shown
from grader.submission.archive import WEIGHTS
from kws.errors import UsageError

CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<upload>\d+)_(?P<file>.+)", re.DOTALL
)
MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_(?:file|onlinetext)_?", re.DOTALL)
VERSION = re.compile(r"(.+)-(\d+)(\.[^.]+)")  # Canvas counts uploads of the same name
PACKED = re.compile(r"(\.tar)?\.(gz|bz2|xz)|\.(tar|tgz)")
ANSWERS = {".ipynb", ".py", ".zip"}  # suffixes of a flat file that is an answer
LOOKED_AT = 100_000  # files and folders of one entry, to find its date
LATEST = datetime(9000, 1, 1, tzinfo=timezone.utc).timestamp()  # file systems may have later dates
SKIPPED = {".csv", ".yml", ".yaml", ".html", ".pdf", ".md", ".log"}  # beside submissions, not one


@dataclass(frozen=True, kw_only=True)
class FolderEntry:
    student: str  # id according to the names; that of the roster takes precedence
    keys: tuple[str, ...] = ()  # all keys to find this student in a roster
    name: str = ""  # a person's name, if known, to be shown
    source: str  # file name of the entry, for messages
    files: tuple[tuple[str, Path], ...]  # what to read, name by name; a folder is one
    when: datetime  # date of handing in
    marked: bool = False  # whether the platform marked it as late
    # whether it may contain an answer: weights alone do not, even if newer
    answers: bool = True

    @property
    def guess(self) -> str | None:
        inside = [name for name, _ in self.files]
        inside += [entry.name for _, path in self.files for entry in listed(path)]
        found = {n for n, one in ASSIGNMENTS.items() for name in inside if one.stem in name}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class FolderListing:
    entries: tuple[FolderEntry, ...]
    ignored: tuple[str, ...] = field(default=())


def find(folder: Path, besides: Iterable[Path] = ()) -> FolderListing:
    """The entries of `folder`, but for `besides`; UsageError if it is one student's answer."""
    if not folder.is_dir():
        if folder.exists():
            cure = (
                "unpack it first" if folder.suffix == ".zip" else "give the folder that contains it"
            )
            raise UsageError(f"{folder} is a file, and a folder of submissions is needed: {cure}")
        raise UsageError(f"{folder} does not exist: give the folder of the submissions")
    stems = [one.stem for one in ASSIGNMENTS.values()]
    skip = {os.path.realpath(path) for path in besides}
    entries: list[FolderEntry] = []
    uploads: dict[str, list[tuple[re.Match[str], Path]]] = {}
    flat: dict[str, list[_Flat]] = {}
    ignored = []
    by_folder = read_list(folder / LIST) if (folder / LIST).is_file() else {}
    for path in sorted(folder.iterdir()):
        if (
            path.name.startswith((".", "__MACOSX"))
            or os.path.realpath(path) in skip
            or path.name == LIST
        ):
            continue
        is_file = _is_file(path)
        if is_file and path.suffix.lower() in SKIPPED:
            ignored.append(shown(path.name))
        elif path.name in by_folder:
            entries += _submitted(path, by_folder[path.name])
        elif is_file and (match := CANVAS.fullmatch(path.name)):
            uploads.setdefault(match["user"], []).append((match, path))
        elif is_file and path.name.removesuffix(suffix_of(path.name)) in stems:
            raise UsageError(
                f"{path} does not name a student: give a folder with one folder or file "
                "for each student (for a single submission: pytest grader/ --submission PATH)"
            )
        elif is_folder(path) or (is_file and MOODLE.fullmatch(path.name)):
            entries.append(_named(path))
        elif is_file:
            one = _flat(path, stems)
            flat.setdefault(one.student.lower(), []).append(one)
        else:
            ignored.append(shown(path.name))
    entries += [_uploaded(group) for group in uploads.values()]
    for group in flat.values():
        entries += _together(group)
    if not entries:
        raise UsageError(f"{folder} contains no submissions: give another folder")
    entries.sort(key=lambda one: (one.student, one.when, one.source))
    return FolderListing(tuple(entries), tuple(ignored))


def _named(path: Path) -> FolderEntry:
    student, keys, name = path.name, (path.name,), ""
    if match := MOODLE.fullmatch(path.name):
        student, keys, name = match["user"], (match["user"], match["name"]), match["name"]
    return FolderEntry(
        student=student,
        keys=keys,
        name=shown(name),
        source=shown(path.name),
        files=((path.name, path),),
        when=youngest(path),
    )


@dataclass(frozen=True, kw_only=True)
class _Flat:
    """A file that lies among those of other students: STUDENT_02_attention.ipynb, STUDENT.zip."""

    path: Path
    student: str
    stem: str  # of an assignment, or ""
    when: datetime

    @property
    def kind(self) -> str:
        suffix = suffix_of(self.path.name)
        if suffix in ANSWERS or PACKED.fullmatch(suffix):
            return "answer"
        return "weights" if suffix == WEIGHTS else "other"

    @property
    def name(self) -> str:
        if self.kind == "other" or not (self.stem or self.kind == "weights"):
            return self.path.name
        return (self.stem or "model") + suffix_of(self.path.name)


def suffix_of(name: str) -> str:
    """The suffix of a file name, in lower case.

    >>> suffix_of("ada_02_attention.tar.gz"), suffix_of("ada.l.zip"), suffix_of("ada")
    ('.tar.gz', '.zip', '')
    """
    packed = re.search(rf"(?:{PACKED.pattern})$", name.lower())
    return packed[0] if packed else Path(name).suffix.lower()


def _flat(path: Path, stems: Iterable[str]) -> _Flat:
    suffix = suffix_of(path.name)
    student, found = path.name[: len(path.name) - len(suffix)], ""
    known = [*stems, "model"] if suffix == WEIGHTS else stems
    for stem in known:
        rest = re.sub(rf"[\s_.-]*{stem}(\s*\(\d+\))?$", "", student)
        if rest and rest != student:
            student, found = rest, "" if stem == "model" else stem
    return _Flat(path=path, student=student, stem=found, when=youngest(path))


def _together(files: list[_Flat]) -> list[FolderEntry]:
    """One student's files: of each assignment the newest answer and weights; others alone."""
    newest: dict[tuple[str, str], _Flat] = {}
    for one in sorted(files, key=lambda one: (one.when, one.path.name)):
        newest[one.kind, one.stem] = one
    answers = [one for (kind, _), one in newest.items() if kind == "answer"]
    last = max(answers, key=lambda one: (one.when, one.path.name), default=None)
    counted = [one for one in newest.values() if one.kind == "weights"]
    if last is None:
        counted += [one for one in newest.values() if one.kind == "other"]
    else:
        counted += [one for one in answers if bool(one.stem) == bool(last.stem)]
    return [_entry(counted), *(_entry([one]) for one in files if one not in counted)]


def _entry(files: list[_Flat]) -> FolderEntry:
    files = sorted(files, key=lambda one: one.path.name)
    alone = len(files) == 1
    return FolderEntry(
        student=files[0].student,
        keys=(files[0].student,),
        source=", ".join(shown(one.path.name) for one in files),
        files=tuple((one.path.name if alone else one.name, one.path) for one in files),
        when=max(one.when for one in files),
        answers=any(one.kind == "answer" for one in files),
    )


def _uploaded(group: list[tuple[re.Match[str], Path]]) -> FolderEntry:
    newest: dict[str, tuple[int, int, Path]] = {}
    for match, path in group:
        version = VERSION.fullmatch(match["file"])
        name, count = (version[1] + version[3], int(version[2])) if version else (match["file"], 0)
        newest[name] = max(newest.get(name, (-1, -1, path)), (count, int(match["upload"]), path))
    first = group[0][0]
    files = tuple((name, path) for name, (_, _, path) in sorted(newest.items()))
    return FolderEntry(
        student=first["user"],
        keys=(first["user"], first["name"]),
        name=shown(first["name"]),
        source=", ".join(shown(path.name) for _, path in files),
        files=files,
        when=max(youngest(path) for _, path in files),
        marked=any(match["late"] for match, path in group if path in dict(files).values()),
    )


def youngest(path: Path) -> datetime:
    own, newest = _changed(path), -1.0
    waiting, left = [path], LOOKED_AT
    while waiting and left > 0:
        for entry in listed(waiting.pop()):
            left -= 1
            if is_folder(entry, links=False):
                waiting.append(Path(entry.path))
            else:
                newest = max(newest, _changed(entry))
    latest = own if newest < 0 else newest
    return datetime.fromtimestamp(min(max(latest, 0.0), LATEST), timezone.utc)


def listed(folder: Path) -> list[os.DirEntry[str]]:
    """The sorted content of a folder; empty for a file or without permission."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    return []


def is_folder(path: Path | os.DirEntry[str], *, links: bool = True) -> bool:
    """Whether it is a folder, or with `links` leads to one; False without permission."""
    with suppress(OSError):
        return path.is_dir() if links else stat.S_ISDIR(os.lstat(path).st_mode)
    return False


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file()
    return False


def _changed(path: Path | os.DirEntry[str]) -> float:
    with suppress(OSError):
        return os.lstat(path).st_mtime
    return 0.0


def _submitted(path: Path, listed: Listed) -> list[FolderEntry]:
    when = listed.when or youngest(path)
    people = [person for person in listed.people if any(person.values())] or [{}]
    return [
        FolderEntry(
            student=person.get("sid") or person.get("email") or person.get("name") or path.name,
            keys=tuple(person[k] for k in ("sid", "email", "name") if person.get(k)),
            name=shown(person.get("name", "")),
            source=shown(path.name),
            files=((path.name, path),),
            when=when,
        )
        for person in people
    ]
