"""The processes that train together: one, or those that torchrun started.

    torchrun --nproc-per-node=2 -m kws.cli train keywords --data corpus --out runs/two

torchrun numbers the processes in environment variables. Process 0 writes files and prints.
The backend is nccl on CUDA and gloo on the CPU.
"""

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kws.device import Device, choose_device


@dataclass(frozen=True, kw_only=True)
class Team:
    """This process: its number `rank` of `world`, and the device that it computes on."""

    rank: int = 0
    world: int = 1
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, x: Tensor) -> Tensor:
        if self.world > 1:
            x = x.clone()
            dist.all_reduce(x)
        return x

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any process."""
        if self.world == 1:
            return flag
        return bool(self.sum(torch.tensor([float(flag)], device=self.device)))

    def same(self, figures: dict[str, float]) -> dict[str, float]:
        """The figures of process 0, in every process."""
        if self.world == 1:
            return figures
        values = torch.tensor([*figures.values()], dtype=torch.float64, device=self.device)
        dist.broadcast(values, 0)
        return {
            name: type(figures[name])(value)
            for name, value in zip(figures, values.tolist(), strict=True)
        }

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier()

    def wrap_ddp(self, model: nn.Module) -> nn.Module:
        """`model` with its gradients averaged over all processes as they are computed."""
        if self.world == 1:
            return model
        # each process keeps its own buffers: statistics are equal already, see MaskedBatchNorm
        ids = [self.device] if self.device.type == "cuda" else None
        # convolutions on a CPU choose their own layout, and a copy of it costs next to nothing
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)


@contextmanager
def team_of_processes(wanted: Device = "auto") -> Iterator[Team]:
    """Join the processes that torchrun started, or be alone; leave them at the end."""
    device = choose_device(wanted)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Team(device=device)
        return
    ours = not dist.is_initialized()  # or the caller's, who will leave it himself
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if ours:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(rank=dist.get_rank(), world=world, device=device)
        if ours:  # gloo's threads abort a process that ends while they hold tensors of Python
            gc.collect()  # models that still hold it
            dist.barrier()  # the last work of its threads: one without such tensors
    finally:
        if ours:
            dist.destroy_process_group()


@contextmanager
def main_first(team: Team) -> Iterator[None]:
    """Let process 0 go through the block first: it packs the data, the others open the pack."""
    if not team.is_main:
        team.wait()
    yield
    if team.is_main:
        team.wait()
