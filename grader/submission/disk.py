"""What was handed in as it lies on the disk: a file, or a folder however deep."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from grader.submission.archive import MAX_LISTED, Collected, skipped, wanted
from grader.submission.decoding import short


def collect(path: Path) -> Collected:
    """The files of the submission at `path`, which exists."""
    found = Collected()
    if not path.is_dir():
        take_from_disk(found, path, _shown(path.name))
        return found
    for file in _walk(found, path):
        inside = PurePosixPath(_shown(file.relative_to(path).as_posix()))
        if wanted(inside) and found.counts(str(inside)):
            take_from_disk(found, file, str(inside), links=False)
    found.files.sort(key=lambda file: file.path.as_posix())
    return found


def _walk(found: Collected, root: Path) -> Iterator[Path]:
    """All files below a folder, however deep, sorted; of links, those to files."""
    ahead = [str(root)]
    while ahead:
        folder = ahead.pop()
        name = short(_shown(os.path.relpath(folder, root)))
        found.listed -= 1
        if found.listed == -1:
            found.note(f"more than {MAX_LISTED} folders were handed in: {name} was not read")
        if found.listed < 0:
            return
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.note(f"{name} could not be read ({error.strerror}): hand it in again")
            continue
        folders = []
        for entry in inside:
            if not _leads_on(entry):
                yield Path(entry.path)
            elif not entry.is_symlink() and not skipped(entry.name):
                folders.append(entry.path)
        ahead += reversed(folders)


def _leads_on(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def take_from_disk(found: Collected, file: Path, name: str, links: bool = True) -> None:
    """Add a file under a name, or say why it was left out; a link only with `links`."""
    if found.closes(PurePosixPath(name)):
        return
    try:
        kind = file.stat() if links else file.lstat()
        if stat.S_ISLNK(kind.st_mode):
            found.note(f"{short(name)}: a link was not followed: hand in the file itself")
        elif not stat.S_ISREG(kind.st_mode):
            found.note(f"{short(name)} is no file and was left out")
        elif found.fits(name, kind.st_size):
            with file.open("rb") as stream:
                found.take(name, stream.read(kind.st_size))
    except OSError as error:
        found.note(f"{short(name)} could not be read ({error.strerror}): hand it in again")


def _shown(name: str) -> str:
    """A name as text, whatever bytes the disk has for it."""
    return os.fsencode(name).decode("utf-8", errors="replace")
