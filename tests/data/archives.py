"""Archives to download and unpack in tests, and what lies in a folder afterwards."""

import io
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
