"""Files read one after another as one stream, hashed on the way: cut parts need no joined copy."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from kws.errors import UsageError
from kws.files import lock


class Joined:
    """The content of `paths` in order, read once; UsageError where another process locks one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.digest = hashlib.sha256()
        self.position = self.number = 0  # bytes read; index of the file that is being read
        with ExitStack() as stack:
            self.files = [stack.enter_context(path.open("rb")) for path in self.paths]
            for path, file in zip(self.paths, self.files, strict=True):
                if lock(file) is False:
                    raise UsageError(
                        f"{path}: another process is working on it: wait for that one to end"
                    )
            self.close = stack.pop_all().close
        self.sizes = [path.stat().st_size for path in self.paths]

    def __enter__(self) -> "Joined":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += (chunk := self.files[self.number].read(size - len(data)))
            if not chunk:
                if self.number + 1 == len(self.files):
                    break
                self.number += 1
        self.digest.update(data)
        self.position += len(data)
        return data

    @property
    def cure(self) -> str:
        if len(self.paths) == 1:
            return "remove it and download it again"
        return "remove the wrong part, or all, and run the command again"

    @property
    def where(self) -> str:
        """What helps to find the damaged part: where reading ended, and the sizes."""
        if len(self.paths) == 1:
            return ""
        sizes = ", ".join(f"{size:,}" for size in self.sizes)
        return f" (noticed in {self.paths[self.number].name}; the parts have {sizes} bytes)"

    def __str__(self) -> str:
        first, last = self.paths[0], self.paths[-1]
        return str(first) if first == last else f"{first} to {last.name}"
