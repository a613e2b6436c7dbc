"""The Speech Commands archives: fetched, verified, unpacked, recognized when they are there.

Source: Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition"
(https://arxiv.org/abs/1804.03209). The archive is kept beside the folder until it is unpacked: put
one there yourself, and only unpacking is left to do.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kws.data.extract import extract
from kws.data.fetch import fetch, lock
from kws.errors import UsageError, did_you_mean
from kws.files import CHUNK

BASE = "http://download.tensorflow.org/data"
MARKER = ".kws-download.json"  # in a finished folder: what it is


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One published file. `max_unpacked` bounds its content, in bytes of whole 4 KiB blocks."""

    file: str
    sha256: str
    num_bytes: int | None
    max_unpacked: int


def clips(count: int) -> int:
    """Bytes on disk of `count` one-second clips and the background recordings, at most.

    >>> clips(0)
    20000000
    """
    return count * 32_768 + 20_000_000


ARCHIVES = {
    "v1": Archive(
        file="speech_commands_v0.01.tar.gz",
        sha256="743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        num_bytes=None,
        max_unpacked=clips(65_000),
    ),
    "v2": Archive(
        file="speech_commands_v0.02.tar.gz",
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        num_bytes=2_428_923_189,
        max_unpacked=clips(106_000),
    ),
    "v2-test": Archive(
        file="speech_commands_test_set_v0.02.tar.gz",
        sha256="cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
        num_bytes=112_563_277,
        max_unpacked=clips(4_900),
    ),
}


def mirror_url(archive: Archive, mirror: str | None) -> str:
    """Address of `archive` below `mirror`, or $KWS_MIRROR, or where it was published."""
    base = mirror or os.environ.get("KWS_MIRROR") or BASE
    if not base.startswith(("http://", "https://")):
        given = "--mirror" if mirror else "KWS_MIRROR"
        raise UsageError(f"{given} {base!r}: not an address: start it with http:// or https://")
    return f"{base.rstrip('/')}/{archive.file}"


def state_of(out: Path, name: str, archive: Archive) -> bool:
    """Is `out` this archive's finished folder? UsageError if it is something else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise UsageError(f"{out}: a file, not a folder: choose another folder")
    if out.is_mount():  # which the finished folder, renamed into place, cannot replace
        raise UsageError(f"{out}: the top of a disk: choose a folder inside it")
    marker = out / MARKER
    if marker.is_file():
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))["sha256"]
        except (ValueError, KeyError, TypeError):
            found = None
        if found == archive.sha256:
            return True
    if any(out.iterdir()):
        raise UsageError(f"{out}: not empty, and not a download of {name}: choose another folder")
    return False


def require_space(out: Path, name: str, archive: Archive, have: int) -> None:
    """UsageError unless the disk can hold the rest of the archive and its content together.

    `have` counts the bytes of the archive that are on that disk already. An archive of unknown
    length is taken to be as long as its content.
    """
    length = archive.num_bytes or archive.max_unpacked
    need = max(length - have, 0) + archive.max_unpacked
    existing = next(folder for folder in out.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < need:
        raise UsageError(
            f"{out}: {name} needs {need / 1e9:.2f} GB here and {free / 1e9:.2f} GB is free: "
            "free some space or choose a folder on another disk"
        )


def require_digest(file: BinaryIO, sha256: str) -> None:
    """UsageError unless the content of `file` has this SHA-256."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise UsageError(
            f"{file.name}: sha256 is {digest.hexdigest()}, expected {sha256}: "
            "remove it and run the command again"
        )


def download(
    name: str,
    out: str | Path,
    *,
    mirror: str | None = None,
    keep_archive: bool = False,
    retries: int = 5,
    wait: float = 1.0,
) -> bool:
    """Fetch, verify and unpack archive `name` to folder `out`. False when that was done before.

    `out` appears complete or not at all. A call that was stopped, however it was stopped, goes on
    where it was: the archive's bytes wait beside `out` and are deleted at the end unless
    `keep_archive`. `retries` and `wait` (seconds) are for lost connections, see `fetch`. Raises
    UsageError for an unknown name, a folder in use, a full disk, a server that refuses, wrong
    bytes.
    """
    if name not in ARCHIVES:
        near = did_you_mean(name, list(ARCHIVES))
        raise UsageError(f"unknown archive {name!r}{near}: choose one of {', '.join(ARCHIVES)}")
    archive, out = ARCHIVES[name], Path(out).resolve()
    url = mirror_url(archive, mirror)
    if state_of(out, name, archive):
        return False
    target = out.with_name(archive.file)
    part = target.with_name(target.name + ".part")
    have = sum(path.stat().st_size for path in (target, part) if path.exists())
    require_space(out, name, archive, have)
    fetched = not target.exists()
    if fetched:
        fetch(
            url,
            target,
            sha256=archive.sha256,
            num_bytes=archive.num_bytes,
            retries=retries,
            wait=wait,
        )
    with target.open("rb") as file:
        lock(file)
        if not fetched:
            require_digest(file, archive.sha256)
        marker = json.dumps({"name": name, "sha256": archive.sha256})
        extract(target, out, max_bytes=archive.max_unpacked, marker=(MARKER, marker + "\n"))
        if not keep_archive:
            target.unlink()
    return True
