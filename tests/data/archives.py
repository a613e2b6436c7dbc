"""Archives to download and unpack in tests, and what lies in a folder afterwards."""

import io
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kws.data.download import MARKER
from kws.errors import UsageError


def tar_of(members: Iterable[tuple[str, bytes] | tarfile.TarInfo]) -> bytes:
    """A tar.gz of files given as (name, content), or of members given whole."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            info, content = (member, None) if isinstance(member, tarfile.TarInfo) else member
            if content is None:
                content = bytes(info.size)
            else:
                info = tarfile.TarInfo(info)
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by relative path, without the marker of a download."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARKER
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(call, *arguments, **options) -> str:
    """The one line with which `call` refuses."""
    with pytest.raises(UsageError) as refusal:
        call(*arguments, **options)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


class QuietHandler(BaseHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Says nothing when the client goes away."""

    daemon_threads = True

    def __init__(self, handler: type[QuietHandler], **state) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        vars(self).update(state)

    def handle_error(self, *_):
        pass


@contextmanager
def serving(handler: type[QuietHandler], **state) -> Iterator[Server]:
    """A server at work, with these attributes."""
    with Server(handler, **state) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@dataclass
class Site:
    """A server's files and manners. `drops[i]`: bytes sent before request i loses its line."""

    files: dict[str, bytes]
    drops: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # of the first requests, in order
    ranges: bool = True  # honor Range
    shift: int = 0  # added to the beginning that a 206 states
    tells_end: bool = False  # a 416 states how long the file is
    etag: str | None = None
    stated_length: bool = True
    hold: int | None = None  # bytes after which the body waits for `go`
    go: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    received: list[dict[str, str]] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        """Of the first file."""
        return next(iter(self.files.values()))

    @content.setter
    def content(self, data: bytes) -> None:
        self.files[next(iter(self.files))] = data

    @property
    def requests(self) -> list[tuple[str, str | None]]:
        """File and Range header of each request, in order."""
        return [(headers["name"], headers.get("Range")) for headers in self.received]

    @property
    def ranges_sent(self) -> list[str | None]:
        return [wanted for _, wanted in self.requests]


class SiteHandler(QuietHandler):
    """Answers as `server.site` says."""

    def do_GET(self):
        site = self.server.site
        number, name = len(site.received), self.path.removeprefix("/data/")
        site.received.append({"name": name, **self.headers})
        if number < len(site.statuses):
            return self.send_error(site.statuses[number])
        if name not in site.files:
            return self.send_error(404)
        content = site.files[name]
        wanted = self.headers.get("Range") if site.ranges else None
        changed = "If-Range" in self.headers and self.headers["If-Range"] != site.etag
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not changed else 0
        past = bool(start) and start >= len(content)
        body = content[start:]
        self.send_response(416 if past else 206 if start else 200)
        if start and (site.tells_end or not past):
            stated = "*" if past else f"{start + site.shift}-{len(content) - 1}"
            self.send_header("Content-Range", f"bytes {stated}/{len(content)}")
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.stated_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = site.drops[number] if number < len(site.drops) else len(body)
        for position in range(0, min(end, len(body)), 16_384):
            if site.hold is not None and position >= site.hold:
                site.go.wait()
            self.wfile.write(body[position : min(position + 16_384, end)])
        return None


@contextmanager
def site_of(files: dict[str, bytes], **manners) -> Iterator[Site]:
    """A server of these files, at work."""
    site = Site(files, **manners)
    with serving(SiteHandler, site=site) as server:
        site.url = f"{server.url}/data"
        yield site
