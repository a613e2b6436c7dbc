"""A Dask cluster to hand work to: `--scheduler tcp://host:8786`, or `slurm`.

Workers read this repository under the same path as here (a shared file system), and nothing of it
need be installed there. A worker that dies costs nothing: Dask gives its work to another.
Extra: `pip install '.[cluster]'` in the folder of this project.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kws.errors import UsageError

CONNECT = "30s"
NOTICE, GIVE_UP = 10.0, 600.0  # seconds without any worker; SLURM may take longer to give one
SLURM = "slurm"
SLURM_JOBS = 2
ROOT = Path(__file__).resolve().parents[1]


class WorkersDied(Exception):  # noqa: N818  (a result, never seen by the user)
    """No worker of the cluster survived an item."""


class Cluster:
    """What `kws.parallel.Pool` is on this machine. A context manager.

    Args:
        scheduler: address of a running one, or "slurm" to start workers as SLURM jobs.
        workers: SLURM jobs to ask for.
    """

    def __init__(self, scheduler: str, workers: int | None = None) -> None:
        self._scheduler, self._workers = scheduler, workers
        self._client: Any = None
        self._closing = ExitStack()

    def __enter__(self) -> "Cluster":
        self._client = self._closing.enter_context(connect(self._scheduler, self._workers))
        import cloudpickle

        module = sys.modules[__name__]  # its functions travel as code: kws need not be there
        cloudpickle.register_pickle_by_value(module)
        self._closing.callback(cloudpickle.unregister_pickle_by_value, module)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def as_completed(
        self, work: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """(index, result) as they end; `work` is a function of a module.

        The result is `WorkersDied` for an item that killed several workers; `UsageError` is raised.
        """
        import distributed

        name = (str(ROOT), work.__module__, work.__qualname__)
        futures = [self._client.submit(run_on_worker, *name, item, pure=False) for item in items]
        places = {future: at for at, future in enumerate(futures)}
        done = distributed.as_completed(
            futures, loop=self._client.loop, raise_errors=False, with_results=True
        )
        for future, result in self._ready(done):
            if future.status != "finished":
                kind, error, _ = result
                if isinstance(error, UsageError):
                    raise error
                result = WorkersDied(f"{kind.__name__} on the cluster")
            at = places.pop(future)
            future.release()  # else a worker that dies later takes it along, and it is done again
            yield at, result

    def _ready(self, done: Any) -> Iterator[tuple[Any, Any]]:
        """What is done, as it comes; UsageError if no worker comes for long.

        Dask does not replace one that is killed while it starts, and waits for ever.
        """
        seen, noticed = time.monotonic(), False
        while not done.is_empty():
            if done.has_ready():
                yield next(done)
                seen = time.monotonic()
                continue
            time.sleep(0.05)
            waited = time.monotonic() - seen
            if waited < NOTICE:
                continue
            if self._client.scheduler_info()["workers"]:
                seen, noticed = time.monotonic(), False
            elif not noticed:
                noticed = True
                print(f"{self._scheduler} has no worker: waiting for one", file=sys.stderr)
            elif waited > GIVE_UP and self._scheduler != SLURM:
                raise UsageError(
                    f"{self._scheduler} has no worker: start one with `dask worker`, and run the "
                    "same command again, which goes on from here"
                )


def run_on_worker(root: str, module: str, function: str, item: Any) -> Any:
    import importlib
    import sys

    if root not in sys.path:
        sys.path.insert(0, root)
    return getattr(importlib.import_module(module), function)(item)


@contextmanager
def connect(scheduler: str, workers: int | None = None) -> Iterator[Any]:
    """A client of the scheduler at an address, or of SLURM jobs; UsageError without Dask."""
    try:
        import distributed
    except ImportError:
        raise UsageError(
            "--scheduler needs Dask: run pip install '.[cluster]' in the folder of kws"
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
            "--scheduler slurm needs dask-jobqueue: run pip install '.[cluster]' in the folder "
            "of kws"
        ) from None
    try:
        cluster = SLURMCluster()
    except ValueError as error:  # it has no default for cores and memory
        raise UsageError(
            f"--scheduler slurm: {error}: write cores and memory into ~/.config/dask/jobqueue.yaml"
        ) from None
    print(f"{count} SLURM jobs, each of this script:\n{cluster.job_script()}", file=sys.stderr)
    cluster.scale(jobs=count)
    return cluster
