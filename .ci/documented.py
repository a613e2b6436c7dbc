"""Run every command of the documentation: each page in a scratch folder, in order, until one fails.

Two pages at a time, the longest first: a command computes with one thread. They share the cache,
and each `--help` is printed once.

A fenced block marked `sh` is a promise; so each of its lines runs as written. `make` targets are
checked to exist instead: `.ci/run` makes them. A command that needs data this machine lacks says so
with a comment `# needs …` at its end, and only its `--help` is run.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "assignments",
    "benchmarks",
    "data_scripts",
    "docs",
    "experiments",
    "grader",
    "kws",
    "lock",
    "solutions",
)
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The commands of all `sh` blocks of a Markdown text, continuation lines joined."""
    lines = "\n".join(FENCE.findall(text)).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def runnable(command: str) -> str:
    """What to run in place of a documented command."""
    bare = command.split(" #")[0].strip()
    if bare.startswith("make "):
        return f"make --directory {ROOT} --dry-run {bare.removeprefix('make ')} > /dev/null"
    if "# needs" in command:
        words = takewhile(lambda word: word == "-m" or word[0] != "-", shlex.split(bare))
        return shlex.join([*words, "--help"])
    return bare


def run_page(page: str, cache: str, helped: set[str]) -> bool:
    """Run the commands of one page, but for a `--help` in `helped`; whether none failed."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in (*FOLDERS, "pyproject.toml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, Path(scratch) / name)
        environment = {
            "OMP_NUM_THREADS": "1",
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KWS_CACHE": cache,
            "PYTHONPATH": str(ROOT),
        }
        for command in commands((ROOT / page).read_text(encoding="utf-8")):
            line = runnable(command)
            if line in helped:
                continue
            if line.endswith(" --help"):
                helped.add(line)
            start = time.monotonic()
            result = subprocess.run(
                ["bash", "-c", line],
                cwd=scratch,
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
            state = "ok  " if result.returncode == 0 else f"FAIL {result.returncode}"
            print(f"{state} {time.monotonic() - start:6.1f} s  {page}: {line}", flush=True)
            if result.returncode:
                print(result.stdout[-3000:], result.stderr[-3000:], sep="\n", flush=True)
                return False
    return True


def main(pages: list[str]) -> int:
    """Run the commands of `pages`; the exit code is 1 when one of them failed."""
    helped: set[str] = set()
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(2) as pool:
        return int(not all(list(pool.map(lambda page: run_page(page, cache, helped), pages))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
