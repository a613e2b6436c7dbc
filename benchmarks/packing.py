"""How fast, and in how much memory, a folder of clips is packed by a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LINKS = 30_000  # hard links that one file may surely have
PER_FOLDER = 3_500  # clips of a word, about as many as in the real archive


def link_clips(sources: list[Path], folder: Path, count: int) -> list[str]:
    """`count` hard links to `sources`, in turn, in word folders; their names, sorted."""
    sources = sources[: max(1, -(-count // LINKS), min(8, len(sources)))]
    if count > LINKS * len(sources):
        raise SystemExit(f"{len(sources)} recordings are too few for {count} hard links")
    names = []
    for i in range(count):
        name = f"word{i // PER_FOLDER:03d}/{i:08x}_nohash_0.wav"
        if i % PER_FOLDER == 0:
            (folder / name).parent.mkdir()
        (folder / name).hardlink_to(sources[i % len(sources)])
        names.append(name)
    return names


def measure_packing(sources: list[Path], count: int, scratch: Path) -> dict[str, Any]:
    """Pack `count` generated clips in a process of its own.

    Returns "clips", "seconds", "cpu_seconds", "file" (bytes of the pack), and the largest memory in
    bytes: "before" packing and "anon" while packing, without mapped files, and "all", with them.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="clips-") as folder:
        names = link_clips(sources, Path(folder), count)
        (scratch / "names.json").write_text(json.dumps(names))
        command = f"from packing import child; child({folder!r}, {str(scratch)!r})"
        run = subprocess.run(
            [sys.executable, "-c", command],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(run.stdout)


def child(folder: str, scratch: str) -> None:
    """What the process does: pack, then print the numbers as JSON."""
    import os
    import time

    from processes import memory_of, peak_memory

    from kws.data.packed import pack_clips

    names = json.loads((Path(scratch) / "names.json").read_text())
    out = Path(scratch) / "clips.pack"
    own = [os.getpid()]
    before = memory_of(own)["anon"]
    start, cpu = time.perf_counter(), time.process_time()
    with peak_memory(lambda: own) as peak:
        packed = pack_clips(folder, names, out)
        assert len(packed) == len(names)
    result = {
        "clips": len(names),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "file": out.stat().st_size,
        "before": before,
        **peak,
    }
    out.unlink()
    print(json.dumps(result))
