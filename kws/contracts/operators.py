"""What a model does when it is called, judged by the operators that torch runs.

Whatever a layer is called and however it is written: attention is a softmax over a square of
frames, a layer that is used twice multiplies by the same matrices twice, and a number counts if an
operator reads it.

Shape letters: B utterances   T frames   D model width
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution")
SPREADS = ("var", "std", "var_mean", "std_mean", "rsqrt")  # of a norm that is written by hand
FUSED = ("_native_multi_head_attention", "_transformer_encoder_layer_fwd")


@dataclass(frozen=True)
class Operator:
    """One operator that ran: its name in torch, the shape of its first tensor, its matrices."""

    name: str
    shape: tuple[int, ...]
    matrices: frozenset[tuple[int, int]]  # where the parameters that it multiplies by are stored

    @property
    def attends(self) -> bool:
        """Is it the softmax of a self-attention, (..., T, T)? One of pooling is no square."""
        if self.name in FUSED:
            return True
        frames = self.shape[-2:]
        if "scaled_dot_product" in self.name:
            return len(frames) == 2 and frames[0] > 1
        softmax = "softmax" in self.name or self.name == "exp"
        return softmax and len(frames) == 2 and frames[0] == frames[1] > 1

    @property
    def normalizes(self) -> bool:
        """Does it normalize vectors (B, D), without a time axis?"""
        named = "norm" in self.name or self.name in SPREADS
        return named and sum(n > 1 for n in self.shape) == 2 and self.shape[0] > 1


class Operators(TorchDispatchMode):
    """While active, notes the operators that run, and how many numbers come from outside.

    From outside is what an operator reads, and is neither an argument of the call nor made in it:
    parameters, buffers, and tensors that no module declares.
    """

    def __init__(self, model: nn.Module, arguments: Sequence[Tensor]):
        super().__init__()
        self.ran: list[Operator] = []
        self.numbers = 0
        self._weights = {_storage(p)._cdata for p in model.parameters()}
        self._known = {_storage(x)._cdata for x in arguments}
        self._alive = [_storage(x) for x in arguments]  # an address is not to be given out again

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or else torch imports its compiler here, for seven seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = _tensors(args, kwargs)
        for tensor in tensors:
            if self._is_new(tensor):
                self.numbers += _storage(tensor).nbytes() // tensor.element_size()
        name = func.__name__.partition(".")[0]
        places = ((_storage(x)._cdata, int(x.storage_offset())) for x in tensors if x.ndim > 1)
        matrices = frozenset(place for place in places if place[0] in self._weights)
        shape = tuple(tensors[0].shape) if tensors else ()
        self.ran.append(Operator(name, shape, matrices if name in PRODUCTS else frozenset()))
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            self._is_new(tensor)
        return made

    def _is_new(self, tensor: Tensor) -> bool:
        storage = _storage(tensor)
        if storage._cdata in self._known:
            return False
        self._known.add(storage._cdata)
        self._alive.append(storage)
        return True

    @property
    def attentions(self) -> int:
        """How many self-attentions ran."""
        return sum(one.attends for one in self.ran)

    @property
    def repeated(self) -> int:
        """How many of them came after matrices that an earlier one came after: a layer again."""
        seen: set[tuple[int, int]] = set()
        since: set[tuple[int, int]] = set()
        count = 0
        for one in self.ran:
            since |= one.matrices
            if one.attends:
                count += bool(since & seen)
                seen |= since
                since = set()
        return count

    @property
    def normalizes_pooled(self) -> bool:
        """Does a norm of vectors stand between the last attention and the last matrix product?"""
        first = max((at for at, one in enumerate(self.ran) if one.attends), default=0)
        last = max((at for at, one in enumerate(self.ran) if one.name in PRODUCTS), default=0)
        return any(one.normalizes for one in self.ran[first:last])


def watch(model: nn.Module, *arguments: Tensor) -> Operators:
    """The operators of one call."""
    operators = Operators(model, arguments)
    with operators:
        model(*arguments)
    return operators


def _tensors(*values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()
