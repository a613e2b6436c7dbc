"""Published archives: fetch, verify and unpack them.

Source: Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition"
(https://arxiv.org/abs/1804.03209); speaker homework: `kws.data.speaker_archive`. An archive that
you put beside the folder yourself is only unpacked.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from kws.data.extract import extract
from kws.data.fetch import fetch
from kws.data.joined import Joined
from kws.errors import UsageError, did_you_mean
from kws.files import sha256_of

BASE = "http://download.tensorflow.org/data"
MARKER = ".kws-download.json"  # in a finished folder: what it is


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One published file, or one in parts: `parts` are appended to its name and address.

    `max_unpacked` bounds its content in bytes of whole 4 KiB blocks. `sha256` is None if none is
    published. `holds` counts speakers, labeled utterances, test utterances, mel bands.
    """

    file: str
    sha256: str | None
    num_bytes: int | None
    max_unpacked: int
    base: str = BASE
    parts: tuple[str, ...] = ("",)
    holds: tuple[int, int, int, int] | None = None


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
    # 2022's address; 2023's is https://github.com/googly-mingto/ML2023HW4/releases/download/data
    "speakers-600": Archive(
        file="Dataset.tar.gz",
        sha256=None,
        num_bytes=None,
        max_unpacked=8_000_000_000,
        base="https://github.com/MachineLearningHW/ML_HW4_Dataset/releases/latest/download",
        parts=(".partaa", ".partab", ".partac", ".partad"),
        holds=(600, 56_666, 8_000, 40),
    ),
}


def mirror_url(archive: Archive, mirror: str | None) -> str:
    """Address of `archive` below `mirror`, or $KWS_MIRROR, or where it was published."""
    base = mirror or os.environ.get("KWS_MIRROR") or archive.base
    if not base.startswith(("http://", "https://")):
        given = "--mirror" if mirror else "KWS_MIRROR"
        raise UsageError(f"{given} {base!r}: not an address: start it with http:// or https://")
    return f"{base.rstrip('/')}/{archive.file}"


def read_marker(out: Path) -> dict[str, str]:
    """`name` and `sha256` of the archive that `out` was made from; empty if it was not."""
    try:
        found = json.loads((out / MARKER).read_text(encoding="utf-8"))
        return {"name": found["name"], "sha256": found["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def state_of(out: Path, name: str, sha256: str | None) -> bool:
    """Is `out` the finished folder of archive `name`? UsageError if it is something else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise UsageError(f"{out}: a file, not a folder: choose another folder")
    if out.is_mount():  # which the finished folder, renamed into place, cannot replace
        raise UsageError(f"{out}: the top of a disk: choose a folder inside it")
    found = read_marker(out)
    if found.get("name") == name:
        if sha256 in (None, found["sha256"]):
            return True
        raise UsageError(
            f"{out}: {name} with sha256 {found['sha256']}, expected {sha256}: choose another folder"
        )
    if any(out.iterdir()):
        raise UsageError(f"{out}: not empty, and not a download of {name}: choose another folder")
    return False


def require_space(out: Path, name: str, archive: Archive, have: int, whole: bool) -> None:
    """UsageError unless the rest of the archive (`have` bytes are here) and its content fit."""
    length = archive.num_bytes or archive.max_unpacked
    need = (0 if whole else max(length - have, 0)) + archive.max_unpacked
    existing = next(folder for folder in out.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < need:
        raise UsageError(
            f"{out}: {name} needs {need / 1e9:.2f} GB here and {free / 1e9:.2f} GB is free: "
            "free some space or choose a folder on another disk"
        )


def expected_digest(name: str, given: str | None) -> str | None:
    """The SHA-256 of archive `name`, published or `given` as digits or a file; else UsageError."""
    published = ARCHIVES[name].sha256
    if given is None:
        return published
    path = Path(given)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else given
    match = re.match(r"\s*([0-9a-fA-F]{64})(?:\s|$)", text)
    if match is None:
        raise UsageError(
            f"--sha256 {given}: neither 64 hexadecimal digits nor a file that begins with them: "
            "give what an earlier download printed, or leave it out"
        )
    digest = match[1].lower()
    if published not in (None, digest):
        raise UsageError(f"--sha256 {given}: {name} is published as {published}: leave it out")
    return digest


def download(
    name: str,
    out: str | Path,
    *,
    mirror: str | None = None,
    sha256: str | None = None,
    keep_archive: bool = False,
    retries: int = 5,
    wait: float = 1.0,
) -> bool:
    """Fetch, verify and unpack archive `name` to folder `out`. False if that was done before.

    `out` appears complete or not at all. An interrupted call is resumed: the archive's bytes are
    kept beside `out`, and deleted at the end unless `keep_archive`. `sha256` is for an archive
    without a published one (`expected_digest`), of the joined parts. `retries` and `wait`
    (seconds): `fetch`. Raises UsageError for an unknown name, a folder in use, a full disk, a
    server that refuses, wrong bytes, wrong content.
    """
    if name not in ARCHIVES:
        near = did_you_mean(name, list(ARCHIVES))
        raise UsageError(f"unknown archive {name!r}{near}: choose one of {', '.join(ARCHIVES)}")
    archive, out = ARCHIVES[name], Path(out).resolve()
    url = mirror_url(archive, mirror)
    expected = expected_digest(name, sha256)
    if state_of(out, name, expected):
        return False
    targets = {part: out.with_name(archive.file + part) for part in archive.parts}
    unfinished = [path.with_name(path.name + ".part") for path in targets.values()]
    here = [path for path in (*targets.values(), *unfinished) if path.exists()]
    have = sum(path.stat().st_size for path in here)
    require_space(out, name, archive, have, whole=set(targets.values()) <= set(here))
    for part, target in targets.items():
        if target in here:
            if archive.sha256 is not None and (found := sha256_of(target)) != archive.sha256:
                raise UsageError(
                    f"{target}: sha256 is {found}, expected {archive.sha256}: remove it and run "
                    "the command again"
                )
            continue
        options = {"num_bytes": archive.num_bytes, "retries": retries, "wait": wait}
        fetch(url + part, target, sha256=archive.sha256, **options)
    with Joined(list(targets.values())) as stream:

        def finish(unpacked: Path) -> Path:
            found = stream.digest.hexdigest()  # of all: the checksum of gzip comes last
            if expected not in (None, found):
                raise UsageError(f"sha256 is {found}, expected {expected}")
            if archive.holds:
                from kws.data import speaker_archive  # here: the others need no torch

                unpacked = speaker_archive.content_folder(unpacked)
                expected_counts = speaker_archive.SpeakerCounts(*archive.holds)
                speaker_archive.check_content(unpacked, expected_counts)
            marker = json.dumps({"name": name, "sha256": found})
            (unpacked / MARKER).write_text(marker + "\n", encoding="utf-8")
            return unpacked

        extract(stream, out, max_bytes=archive.max_unpacked, finish=finish)
    if not keep_archive:
        for target in targets.values():
            target.unlink()
    return True
