"""The same runs on a Dask cluster: `--scheduler tcp://host:8786`, or `slurm`.

Each thread of a Dask worker makes its runs in a process of its own (`run_process.py`), so a worker
 that has a GPU or a core for each thread is used whole. The package is installed there, and
data, results and checkpoints lie under the same paths as here (a shared file system). A worker that
dies is no loss: Dask gives its runs to another, which goes on from their checkpoints. Where this
side dies, what is under way is finished and its result kept. Extra: `pip install 'kws[cluster]'`.
"""

import threading
import uuid
from typing import Any

from kws.experiments.plan import Job
from kws.experiments.run_process import AGAIN, Died, Worker

LOOK_EVERY = 0.5  # seconds between two looks whether a run is to be interrupted
INTERRUPTED = {"interrupted": True}


def on_worker(values: dict[str, Any], event: str) -> dict[str, Any]:
    """On a Dask worker: one run, in a process that ends when this one does, or at the event."""
    import distributed

    stop, over = distributed.Event(event), threading.Event()
    if stop.is_set():
        return INTERRUPTED
    worker = Worker()

    def watch() -> None:
        while not over.wait(LOOK_EVERY):
            if stop.is_set():
                worker.interrupt()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        return worker.run(Job.of(values))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Died as death:
        return {"error": f"{death}: {AGAIN}"}
    finally:
        over.set()
        worker.close()


class Remote:
    """What hands one run after another to the cluster, as `kws.experiments.many_runs.Runner`."""

    def __init__(self, client: Any):
        import distributed

        self.client = client
        self.event = f"interrupted {uuid.uuid4().hex}"
        self.stop = distributed.Event(self.event, client=client)

    def run(self, job: Job) -> dict[str, Any]:
        """Wait for the run of a job, wherever it is made.

        Raises:
            Died: no worker survived it, or the scheduler is gone.
            KeyboardInterrupt: it was interrupted, and saved.
        """
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        try:
            future = self.client.submit(on_worker, job.as_dict(), self.event, pure=False)
            answer = future.result()
        except KilledWorker:
            raise Died("several workers of the cluster died of it") from None
        except CancelledError:
            raise Died("the cluster went away") from None
        if answer == INTERRUPTED:
            raise KeyboardInterrupt
        return answer

    def interrupt(self) -> None:
        """Let it save what it has, and end."""
        self.stop.set()

    def close(self) -> None:
        """The client is closed by who opened it."""
