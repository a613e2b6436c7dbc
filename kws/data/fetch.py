"""One file over HTTP: resumed, retried after a lost connection, hashed as it arrives.

Received bytes are kept in `FILE.part` beside the target. The next call hashes them and requests
only the rest (RFC 9110, section 14: `Range`, `If-Range`, 206, 416). If a server ignores the range
and answers 200 with the whole file, the part starts over.
"""

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from kws.errors import UsageError
from kws.files import CHUNK, lock

TIMEOUT = 30.0  # seconds without a byte before a connection counts as lost
LONGEST_WAIT = 30.0  # seconds between two attempts
ENOUGH = 1 << 20  # an attempt that brought this many new bytes does not count as a failure
BUSY = (408, 429, 500, 502, 503, 504)  # answers that may be different next time


class DroppedError(Exception):
    """The line dropped, or the server is busy: worth another attempt."""


class PastEndError(Exception):
    """The server has no bytes from there on (416); `total` is its file's length, if given."""

    def __init__(self, total: int | None) -> None:
        super().__init__(total)
        self.total = total


class Part:
    """The bytes so far: a file opened for appending, its length and its running SHA-256."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("a+b")
        if lock(self.file) is False:  # two downloads that append to one part would ruin it
            self.file.close()
            raise UsageError(
                f"{path}: another process is working on it: "
                "wait for that one, or choose another folder"
            )
        self.digest = hashlib.sha256()
        self.size = 0
        self.etag: str | None = None  # names the server's version of the file, when the server does
        self.file.seek(0)
        while chunk := self.file.read(CHUNK):
            self.digest.update(chunk)
            self.size += len(chunk)
        self.resumed = self.size > 0  # holds bytes of an earlier process

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def append(self, chunk: bytes) -> None:
        try:
            self.file.write(chunk)
        except OSError as error:
            error.filename = str(self.path)  # a full disk names no file
            raise
        self.digest.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        self.file.truncate(0)
        self.digest = hashlib.sha256()
        self.size = 0
        self.etag = None
        self.resumed = False


def ask(url: str, start: int, etag: str | None) -> http.client.HTTPResponse:
    headers = {"User-Agent": "kws", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag:
            headers["If-Range"] = etag  # if the file is another by now, all of it
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            stated = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", "").strip())
            raise PastEndError(int(stated[1]) if stated else None) from None
        if error.code in BUSY:
            raise DroppedError(f"the server answers {error.code} {error.reason}") from None
        raise UsageError(
            f"{url}: the server answers {error.code} {error.reason}: "
            "name a mirror that has the file with --mirror"
        ) from None
    except urllib.error.URLError as error:
        raise DroppedError(str(error.reason)) from None
    except (ValueError, http.client.InvalidURL) as error:
        raise UsageError(f"{url}: {error}: check the address given with --mirror") from None
    except (OSError, http.client.HTTPException) as error:
        raise DroppedError(str(error) or type(error).__name__) from None


def span(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """First byte of an answer, and length of the whole file; None if not given."""
    if response.status == 206:
        stated = response.headers.get("Content-Range", "").strip()
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", stated)
        if match is None:
            return None, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def receive(url: str, part: Part, num_bytes: int | None, bar: tqdm) -> None:
    """One attempt: append to `part` until the file is whole. DroppedError when the line drops."""
    try:
        response = ask(url, part.size, part.etag)
    except PastEndError as answer:
        if answer.total == part.size:
            return
        part.restart()
        raise DroppedError("the part on disk is longer than the server's file") from None
    with response:
        start, total = span(response)
        if None not in (total, num_bytes) and total != num_bytes:
            raise UsageError(
                f"{url}: the server's file has {total:,} bytes, expected {num_bytes:,}: "
                "name a mirror that has the whole file with --mirror"
            )
        if start != part.size:
            part.restart()
            if start != 0:
                raise DroppedError("the server sent another range than the one asked for")
        etag = response.headers.get("ETag", "")
        part.etag = None if etag.startswith("W/") else etag  # If-Range takes strong tags only
        total = num_bytes if total is None else total
        bar.total, bar.n = total, part.size
        bar.refresh()
        while total is None or part.size < total:
            try:
                chunk = response.read1(min(CHUNK, total - part.size) if total else CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise DroppedError(str(error) or type(error).__name__) from None
            if not chunk:
                break
            part.append(chunk)
            bar.update(len(chunk))
    if total is not None and part.size < total:
        raise DroppedError(f"the server stopped after {part.size:,} of {total:,} bytes")


def complete(
    url: str, part: Part, sha256: str | None, num_bytes: int | None, retries: int, wait: float
) -> bool:
    """Complete `part` over as many connections as it takes. False if its SHA-256 is another."""
    if part.digest.hexdigest() == sha256:
        return True
    failures, farthest = 0, part.size
    name = url.rpartition("/")[2]
    with tqdm(desc=name, total=num_bytes, unit="B", unit_scale=True, disable=None) as bar:
        while True:
            try:
                receive(url, part, num_bytes, bar)
                break
            except DroppedError as reason:
                if part.size >= farthest + ENOUGH:
                    failures, farthest = 0, part.size
                if failures == retries:
                    raise UsageError(
                        f"{url}: {retries + 1} attempts without progress ({reason}): "
                        "check the network and run the command again, it resumes the download"
                    ) from None
                bar.set_postfix_str(f"retrying: {reason}")
                time.sleep(min(wait * 2**failures, LONGEST_WAIT))
                failures += 1
    part.file.flush()
    return sha256 in (None, part.digest.hexdigest())


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    num_bytes: int | None = None,
    retries: int = 5,
    wait: float = 1.0,
) -> None:
    """Download `url` to `target`, whose SHA-256 must be `sha256`.

    If that is None (unknown), the file is complete at the server's length. `num_bytes` is the
    length, if known. A lost connection is resumed, at most `retries` times in a row without
    progress, after pauses of `wait` seconds, doubled each time. Raises UsageError if the server
    refuses, the connection stays lost or the bytes are wrong: these are deleted, incomplete ones
    stay in `target` + ".part".
    """
    path = target.with_name(target.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with Part(path) as part:
        right = complete(url, part, sha256, num_bytes, retries, wait)
        if not right and part.resumed:
            part.restart()  # the earlier bytes may be wrong: start over
            right = complete(url, part, sha256, num_bytes, retries, wait)
        if not right:
            path.unlink()
            raise UsageError(
                f"{url}: sha256 is {part.digest.hexdigest()}, expected {sha256}: "
                "the file is deleted, run the command again or name another mirror with --mirror"
            )
        path.replace(target)
