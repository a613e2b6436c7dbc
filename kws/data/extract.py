"""A tar.gz unpacked without trusting it: files and folders below one new folder, or nothing.

tarfile's own `data` filter is not in every Python that we support and lets links through. The
archives here hold files and folders only, so anything else is refused, and tarfile is used to read,
never to write. Nothing here rests on the archive's SHA-256, which not every archive has.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from kws.data.joined import Joined
from kws.errors import UsageError
from kws.files import CHUNK

MAX_MEMBERS = 500_000
HEADER = 2048  # bytes of tar header and padding allowed for each member


class Bounded:
    """A stream that gives at most `limit` bytes: a small archive can unpack to terabytes."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream, self.left = stream, limit

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise UsageError("it unpacks to more than it should")
        return data


def inside(member: tarfile.TarInfo) -> PurePosixPath:
    """Relative path of `member`. UsageError if it leaves, or is a link, device or pipe."""
    name = PurePosixPath(member.name)
    if (
        name.is_absolute()
        or ".." in name.parts
        or PureWindowsPath(member.name).drive
        or "\\" in member.name
    ):
        raise UsageError(f"it contains {member.name!r}, a path outside the folder to unpack to")
    if not (member.isfile() or member.isdir()):
        raise UsageError(
            f"it contains {member.name!r}, a link or device where only files and folders belong"
        )
    return name


def unpack_into(folder: Path, archive: Joined, max_bytes: int) -> None:
    """Write the files of `archive` below `folder`. UsageError: it is not acceptable."""
    written = members = 0
    with gzip.open(archive) as stream:  # pyright: ignore[reportArgumentType, reportCallIssue]
        bounded = Bounded(stream, max_bytes + MAX_MEMBERS * HEADER)
        with (
            tarfile.open(fileobj=bounded, mode="r|") as tar,  # pyright: ignore[reportArgumentType, reportCallIssue]
            tqdm(
                desc=f"unpacking {archive.paths[0].name}",
                total=sum(archive.sizes),
                unit="B",
                unit_scale=True,
                disable=None,
            ) as bar,
        ):
            while (member := tar.next()) is not None:
                tar.members = []  # tarfile remembers every member otherwise
                members += 1
                written += member.size
                if written > max_bytes or members > MAX_MEMBERS:
                    raise UsageError("it unpacks to more than it should")
                target = folder / inside(member)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None, "a regular file has content"
                with target.open("xb") as file:  # x: a name that comes twice is refused
                    shutil.copyfileobj(content, file)
                bar.update(archive.position - bar.n)
        while bounded.read(CHUNK):  # gzip compares its checksum at the end
            pass


def extract(
    archive: Joined, out: Path, *, max_bytes: int, finish: Callable[[Path], Path] | None = None
) -> None:
    """Unpack `archive` to the new or empty folder `out`, whole or not at all.

    Works in a hidden folder beside `out`, renamed at the end; what a killed run left of it is
    removed first. `finish` may refuse what was unpacked with a UsageError, add to it, and returns
    the folder in it that becomes `out`. Raises UsageError when the archive is damaged, unpacks to
    more than `max_bytes`, or holds anything but files and folders below one folder.
    """
    working = out.with_name(f".{out.name}.unpacking")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        unpack_into(working, archive, max_bytes)
        made = finish(working) if finish else working
        if hasattr(os, "sync"):
            os.sync()  # or a power cut may leave a renamed folder of empty files
        made.replace(out)
    except UsageError as error:
        raise UsageError(f"{archive}: {error}: {archive.cure}") from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(
            f"{archive}: not a whole tar.gz ({error}){archive.where}: {archive.cure}"
        ) from None
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"{archive}: it contains {Path(error.filename).name!r} twice: {archive.cure}"
        ) from None
    except OSError as error:
        error.filename = error.filename or str(out)  # a full disk names no file
        raise
    finally:
        shutil.rmtree(working, ignore_errors=True)
