"""A process that makes one run after another: `python -m kws.experiments.run_process`.

Jobs come in on stdin as lines of JSON, and for each a line goes out: {"result": …} or {"error":
"one sentence"}. The process computes with one thread, leaves the terminal's Ctrl-C to its parent,
which passes it on once, and ends when its parent does, whatever ends that: its stdin closes.
Whatever a run prints goes to stderr.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, ClassVar

from kws.errors import UsageError, is_out_of_memory
from kws.parallel import JsonProcess, json_stdout

if TYPE_CHECKING:
    from kws.experiments.plan import Job

INTERRUPTED = 130
AGAIN = "run it again, it goes on from its last checkpoint"
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Died(Exception):  # noqa: N818  (what the pool tells of, never seen by the user)
    """A worker ended in the middle of a run."""


class Worker:
    """The parent's end of a worker; a process is started for the first job, and after a death."""

    command: ClassVar[list[str]] = [sys.executable, "-m", "kws.experiments.run_process"]

    def __init__(self) -> None:
        self.child: JsonProcess | None = None
        self.stopped = False

    def run(self, job: "Job") -> dict[str, Any]:
        """{"result": …} or {"error": …}; KeyboardInterrupt where the worker was interrupted.

        Raises:
            Died: the process ended without an answer.
        """
        if self.child is None or self.child.process.poll() is not None:
            self.close()
            environ = {**os.environ, **THREADS}  # Ctrl-C comes from us, and once:
            self.child = JsonProcess(self.command, env=environ, start_new_session=True)
        if self.stopped:  # while the process was being started
            raise KeyboardInterrupt
        self.child.send(job.as_dict())
        answer = self.child.receive()
        if answer is not None:
            return answer
        code = self.child.process.wait()
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code < 0:
            raise Died(f"its process was ended by signal {-code}, perhaps for lack of memory")
        raise Died(f"its process ended with code {code}")

    def interrupt(self) -> None:
        """Let it save what it has, and end."""
        self.stopped = True
        if self.child is not None and self.child.process.poll() is None:
            self.child.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End it now; a run that it is at goes on from its last checkpoint another time."""
        if self.child is not None:
            self.child.close()
        self.child = None


def answer(job: "Job") -> dict[str, Any]:
    """Make a run: its result, or why there is none in one sentence."""
    from kws.experiments.one_run import run_one

    try:
        return {"result": run_one(job)}
    except UsageError as error:
        return {"error": str(error)}
    except OSError as error:  # a full disk
        where = error.filename2 or error.filename or job.run_folder
        return {"error": f"{where}: {error.strerror}: free some space, or choose other folders"}
    except Exception as error:
        if is_out_of_memory(error):
            return {"error": "not enough memory: run it with fewer --workers"}
        traceback.print_exc()
        sentence = f"{type(error).__name__}: {error}".partition("\n")[0]
        return {"error": f"{sentence} (a defect: its traceback is above)"}


def main() -> None:
    """Answer jobs until stdin closes."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # while nothing is to be saved
    import torch

    from kws.experiments.plan import Job

    torch.set_num_threads(1)
    write = json_stdout(others=2)
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            jobs.put(json.loads(line))
        os._exit(0)  # the parent is gone, or has no more work

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            job = jobs.get()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            write(answer(Job.of(job)))
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)  # not through the interpreter's end, which waits for the reader


if __name__ == "__main__":
    main()
