"""The command line as a test sees it: arguments in; exit code, stdout and stderr out."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kws.cli import run


@dataclass(frozen=True)
class Outcome:
    """What one command left behind."""

    code: int
    out: str
    err: str

    def sentence(self) -> str:
        """The one line on stderr, without the command's name; fails unless one, and code 2."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.err.endswith("\n"), self.err
        assert self.err.count("\n") == 1, f"more than one line:\n{self.err}"
        name, _, sentence = self.err.rstrip("\n").partition(": ")
        assert name.split()[0] == "kws", self.err
        return sentence


@pytest.fixture
def kws(capsys) -> Callable[..., Outcome]:
    """`kws("data", "check", folder)` runs the command in this process."""

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def kws_process() -> Callable[..., Outcome]:
    """`kws_process("data", "check", folder)` runs the command in a process of its own."""

    def command(*arguments: object, **options) -> Outcome:
        environment = {**os.environ, **options.pop("env", {})}
        done = subprocess.run(
            [sys.executable, "-m", "kws.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            **options,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return command
