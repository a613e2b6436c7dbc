"""A Dask cluster to hand work to: `--scheduler tcp://host:8786`, or `slurm`.

Extra: `pip install 'kws[cluster]'`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kws.errors import UsageError

CONNECT = "30s"
SLURM = "slurm"
SLURM_JOBS = 2


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
