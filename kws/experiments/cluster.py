"""The same runs on a Dask cluster: `--scheduler tcp://host:8786`, or `slurm`.

Each thread of a Dask worker makes its runs in a process of its own (`kws.experiments.worker`), so a
worker that has a GPU or a core for each thread is used whole. The package is installed there, and
data, results and checkpoints lie under the same paths as here (a shared file system). A worker that
dies is no loss: Dask gives its runs to another, which goes on from their checkpoints. Where this
side dies, what is under way is finished and its result kept. Extra: `pip install 'kws[cluster]'`.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kws.errors import UsageError
from kws.experiments.plan import Job
from kws.experiments.worker import AGAIN, Died, Worker

CONNECT = "30s"
SLURM = "slurm"
SLURM_JOBS = 2
LOOK_EVERY = 0.5  # seconds between two looks whether a run is to be interrupted
INTERRUPTED = {"interrupted": True}


@contextmanager
def connected(scheduler: str, workers: int | None = None) -> Iterator[Any]:
    """A client of the Dask scheduler at an address, or of `workers` SLURM jobs that are started.

    Raises:
        UsageError: Dask is not installed, or nothing answers there.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError(
            "--scheduler needs Dask: install it with pip install 'kws[cluster]'"
        ) from None
    with ExitStack() as stack:
        address: Any = scheduler
        if scheduler == SLURM:
            address = stack.enter_context(slurm_jobs(workers or SLURM_JOBS))
        try:
            client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            why = str(error).partition("\n")[0]
            raise UsageError(
                f"no Dask scheduler answers at {scheduler}: {why}: start one with `dask "
                "scheduler`, and workers with `dask worker`, or correct the address"
            ) from None
        yield stack.enter_context(client)


def slurm_jobs(count: int) -> Any:
    """Dask workers as SLURM jobs, as ~/.config/dask/jobqueue.yaml describes them."""
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise UsageError(
            "--scheduler slurm needs dask-jobqueue: install it with pip install 'kws[cluster]'"
        ) from None
    cluster = SLURMCluster()
    cluster.scale(jobs=count)
    return cluster


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
    """What hands one run after another to the cluster, as `kws.experiments.run.Runner`."""

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
