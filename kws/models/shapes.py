"""What a model computes and keeps: shape, parameters, multiply-adds and bytes of every module.

    for row in summarize(model, 40, frames=101, batch_size=16):
        print(row.name, row.shape, row.multiply_adds, row.kept_bytes)

Nothing is computed: the model is on torch's meta device, whose tensors have shapes alone. Two
mistakes of summaries that look at layers only are avoided: what a module computes without a layer
counts (the two products of attention, whatever the number of tokens), and so does what no layer
returns (the attention maps).

Sources: multiply-adds are half the operations of `torch.utils.flop_counter.FlopCounterMode`: those
of matrix products and convolutions; sums, activations and normalizations are left out. Kept bytes
are those that autograd keeps from the forward to the backward pass
(`torch.autograd.graph.saved_tensors_hooks`), each tensor once, parameters and input not. They are
those of attention written out; kernels that never write the maps keep less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from kws.models.attention import attend
from kws.models.counts import count_parameters


@dataclass(frozen=True, kw_only=True)
class ModuleRow:
    """A module, with everything in it."""

    name: str  # its path in the model; "" is the model itself
    kind: str  # its class
    calls: int  # how often it ran
    shape: tuple[int, ...]  # of what it returned last
    parameters: int  # trainable scalars; shared ones count once
    multiply_adds: int  # of all calls
    kept_bytes: int  # kept for the backward pass, of all calls


def summarize(
    model: nn.Module, num_features: int, *, frames: int, batch_size: int = 1, num_symbols: int = 0
) -> list[ModuleRow]:
    """A row for each module that ran: the model first, then the others as they are defined.

    Args:
        model: on the meta device, (features (B, T, F), valid) -> logits. In training mode, dropout
            and the statistics of a batch count.
        num_features: F, features of a frame.
        frames: T, of every clip.
        batch_size: B.
        num_symbols: of the text that a recognizer reads, too; 0 for a model that labels.
    """
    clips = torch.empty(batch_size, frames, num_features, device="meta")
    texts = [torch.empty(batch_size, num_symbols, dtype=torch.long, device="meta")]
    with (
        _returned_shapes(model) as shapes,
        _kept_bytes(model, clips) as kept,
        _WrittenOut(),
        FlopCounterMode(display=False) as counter,
    ):
        model(clips, None, *texts[: num_symbols > 0])
    operations = counter.get_flop_counts()
    rows = []
    for name, module in model.named_modules():
        if name in shapes:
            path = _tracked(model, name)
            rows.append(
                ModuleRow(
                    name=name,
                    kind=type(module).__name__,
                    calls=len(shapes[name]),
                    shape=shapes[name][-1],
                    parameters=count_parameters(module),
                    multiply_adds=sum(operations.get(path, {}).values()) // 2,
                    kept_bytes=kept.get(path, 0),
                )
            )
    return rows


class _WrittenOut(TorchFunctionMode):
    """Attention by its formula, maps included, in place of the fused call."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        bias, dropout = kwargs.get("attn_mask"), kwargs.get("dropout_p", 0.0)
        return attend(*args, bias=bias, dropout=dropout)


@contextmanager
def _returned_shapes(model: nn.Module) -> Iterator[dict[str, list[tuple[int, ...]]]]:
    """While it is open, the shapes that each module returns, by its path."""
    shapes: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):  # several, the main one first: outputs, last state
                output = next(iter(output.values() if isinstance(output, Mapping) else output))
            shapes.setdefault(name, []).append(tuple(output.shape))

        return hook

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_hook(note(name)).remove)
        yield shapes


@contextmanager
def _kept_bytes(model: nn.Module, clips: Tensor) -> Iterator[dict[str, int]]:
    """While it is open, the bytes that autograd keeps, by `_tracked` path of the module."""
    kept: dict[str, int] = {}
    seen = {StorageWeakRef(t.untyped_storage()) for t in (*model.parameters(), clips)}
    alive = []  # of a storage that is gone, another may take the place

    def pack(tensor: Tensor) -> Tensor:
        storage = StorageWeakRef(tensor.untyped_storage())
        if storage not in seen:
            seen.add(storage)
            alive.append(tensor)
            for path in tracker.parents:
                kept[path] = kept.get(path, 0) + tensor.untyped_storage().nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with ModuleTracker() as tracker, hooks:
        yield kept


def _tracked(model: nn.Module, name: str) -> str:
    """What torch's `ModuleTracker` calls the module at this path."""
    return ".".join([type(model).__name__, *filter(None, [name])])
