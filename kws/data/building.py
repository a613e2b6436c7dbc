"""Data sets that are whole or absent: a folder is filled beside its place, then renamed."""

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from kws.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows: what a kill leaves behind stays
    fcntl = None

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_made(out: Path, record: str, recipe: dict[str, Any]) -> bool:
    """True where `out` was made to this very `recipe`, as its file `record` says; False where `out`
    is free.

    Raises UsageError where something else is in the way.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        made = json.loads((out / record).read_text())["recipe"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        raise UsageError(
            f"{out} is there already and is no finished corpus: choose a new folder, or remove it"
        ) from None
    if made == recipe:
        return True
    differing = ", ".join(key for key in recipe if made.get(key) != recipe[key])
    raise UsageError(
        f"{out} holds another corpus (it differs in {differing}): choose a new folder, or remove it"
    )


def recorded_seed(seed: int | str) -> int | str:
    """What may be written down about a seed: a number itself, of a text (a secret) a fingerprint.

    >>> recorded_seed(0), recorded_seed("not for students")
    (0, 'sha256:63a00736')
    """
    if isinstance(seed, int):
        return seed
    return "sha256:" + hashlib.sha256(f"fingerprint of {seed}".encode()).hexdigest()[:8]


@contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """A temporary sibling folder of `out` to fill: renamed to `out` on success, removed on failure.

    `out` is absent or empty. After kill -9 a `.NAME.*.tmp` stays behind; the next call for `out`
    removes it, unless its maker is still at work.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name[:100]}."
    for left in sorted(out.parent.glob(f"{glob.escape(prefix)}*.tmp")):
        with locked(left) as free:
            if free:
                shutil.rmtree(left, ignore_errors=True)
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=out.parent))
        with locked(folder):
            yield folder
            folder.chmod(0o755)  # mkdtemp makes 0700; a data set is for others to read
            if out.exists():
                out.rmdir()
            folder.rename(out)
    except OSError as error:
        error.filename = os.fspath(out)  # not a name that was made up here
        raise
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock on `folder`, which a kill releases; False where another process holds it."""
    if fcntl is None:
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def in_parallel(
    job: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None,
    title: str,
    progress: bool,
) -> list[Result]:
    """`[job(item) for item in items]` on `workers` threads (None: one for each core), with a
    progress bar.

    The first failure, or Ctrl-C, drops the jobs that have not begun and is raised when the others
    are done.
    """
    if workers is None:
        workers = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        )
    with ThreadPoolExecutor(workers) as pool:
        try:
            done = pool.map(job, items)
            return list(
                tqdm(
                    done,
                    title,
                    len(items),
                    unit="speaker",
                    disable=None if progress else True,
                    leave=False,
                )
            )
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
