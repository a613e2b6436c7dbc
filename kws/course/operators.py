"""What a model does when it is called, judged by the operators that torch runs.

Whatever a layer is called and however it is written: attention is a softmax over a square of
frames, a layer that is used twice multiplies by the same matrices twice, and a number counts if
training changes it (`trained_numbers`, the one measure of a model's size).

Shape letters: B utterances   T frames   D model width
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kws.torch_internals import TorchDispatchMode, WithoutSubclasses, tree_leaves

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution")
SPREADS = ("var", "std", "var_mean", "std_mean")  # of a norm that is written by hand
ROOTS = ("sqrt", "rsqrt")  # of such a norm: one number for each vector
FEW = 8  # tokens that an attention may have besides the frames
FUSED = ("_native_multi_head_attention", "_transformer_encoder_layer_fwd")


@dataclass(frozen=True)
class Operator:
    """One operator that ran: its name in torch, the shape of its first tensor, its matrices."""

    name: str
    shape: tuple[int, ...]
    matrices: frozenset[tuple[int, int]]  # where the parameters that it multiplies by are stored

    @property
    def attends(self) -> bool:
        """Is it the softmax of a self-attention, (..., T, T), up to a few frames on either side?"""
        if self.name in FUSED:
            return True
        frames = self.shape[-2:]
        if "scaled_dot_product" in self.name:
            return len(frames) == 2 and frames[0] > 1
        if len(frames) < 2 or not ("softmax" in self.name or self.name == "exp"):
            return False
        queries, keys = frames
        return queries > 1 and abs(queries - keys) <= min(FEW, queries // FEW)

    @property
    def normalizes(self) -> bool:
        """Does it normalize vectors (B, D), without a time axis?"""
        named = "norm" in self.name or self.name in (*SPREADS, *ROOTS)
        axes = 1 if self.name in ROOTS else 2
        return named and sum(n > 1 for n in self.shape) == axes and self.shape[0] > 1


class Operators(TorchDispatchMode):
    """While active, notes the operators that run, and the tensors that come from outside.

    `outside` has one tensor for each storage that an operator reads and that is neither an argument
    of the call nor made in it: parameters, buffers, and tensors that no module declares. The
    self-attention of number `flat` gives every frame the same weight.
    """

    def __init__(self, model: nn.Module, arguments: Sequence[Tensor], flat: int | None = None):
        super().__init__()
        self.ran: list[Operator] = []
        self.outside: list[Tensor] = []
        self.output: Any = None
        self.flat = flat
        self._weights = {_storage(p)._cdata for p in parameters_of(model)}
        self._known = {_storage(x)._cdata for x in arguments}
        self._alive = [_storage(x) for x in arguments]  # an address is not to be given out again

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or else torch imports its compiler here, for seven seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = _tensors(args, kwargs)
        self.outside += [tensor for tensor in tensors if self._is_new(tensor)]
        name = func.__name__.partition(".")[0]
        places = ((_storage(x)._cdata, int(x.storage_offset())) for x in tensors if x.ndim > 1)
        matrices = frozenset(place for place in places if place[0] in self._weights)
        shape = tuple(tensors[0].shape) if tensors else ()
        self.ran.append(Operator(name, shape, matrices if name in PRODUCTS else frozenset()))
        if self.ran[-1].attends and self.attentions - 1 == self.flat and args:
            # scores of 0, or a query of 0, are a softmax that is even; what is hidden stays hidden
            args = (torch.where(torch.isfinite(args[0]), 0.0, args[0]), *args[1:])
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
        """Whether vectors are normalized between the last attention and the last matrix product."""
        first = max((at for at, one in enumerate(self.ran) if one.attends), default=0)
        last = max((at for at, one in enumerate(self.ran) if one.name in PRODUCTS), default=0)
        return any(one.normalizes for one in self.ran[first:last])


def watch(model: nn.Module, *arguments: Tensor) -> Operators:
    """The operators of one call."""
    operators = Operators(model, arguments)
    with operators:
        operators.output = model(*arguments)
    return operators


def trained_numbers(build: Callable[[], nn.Module], *arguments: Tensor) -> int:
    """Count the numbers of a model that training changes, wherever they are stored.

    Every parameter that learns counts once. Of all else that a call reads, whether a buffer, an
    attribute or a global name, a number counts if its tensor learns, or if it differs between two
    models, one of which was called in training mode: random beginnings and running statistics
    differ, a table of positional encodings does not.
    """
    one, other = build(), build()
    one.train()(*arguments)
    other.eval()(*arguments)  # both have made by now what they make in their first call
    fixed = {_bytes(tensor) for tensor in watch(other, *arguments).outside}
    declared = [p for p in parameters_of(one) if p.requires_grad]
    known = {_storage(p)._cdata for p in declared}
    return sum(map(size_of, declared)) + sum(
        _storage(tensor).nbytes() // tensor.element_size()
        for tensor in watch(one.eval(), *arguments).outside
        if _storage(tensor)._cdata not in known
        and (tensor.requires_grad or _bytes(tensor) not in fixed)
    )


def undeclared(model: nn.Module, *arguments: Tensor) -> int:
    """How many numbers in use learn, and are in no parameter that the model declares."""
    declared = {_storage(p)._cdata for p in parameters_of(model)}
    return sum(
        size_of(tensor)
        for tensor in watch(model, *arguments).outside
        if tensor.requires_grad and _storage(tensor)._cdata not in declared
    )


def size_beyond(budget: int, build: Callable[[], nn.Module], *arguments: Tensor) -> tuple[str, int]:
    """The result of a trial that bounds a model's size: what it is, and how far it is beyond."""
    what = f"numbers that training changes, beyond {budget:,}"
    return what, max(0, trained_numbers(build, *arguments) - budget)


def parameters_of(module: nn.Module) -> list[nn.Parameter]:
    """Its parameters, a shared one once, ignoring overrides in its class."""
    found = {id(one): one for part in _parts(module) for _, one in _own(part, "_parameters")}
    return list(found.values())


def size_of(tensor: Tensor) -> int:
    """Element count of a tensor, ignoring overrides in subclasses."""
    with WithoutSubclasses():
        return torch.Tensor.numel(tensor)


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    seen: set[int] = set()
    ahead = [module]
    while ahead:
        part = ahead.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            ahead += [child for _, child in _own(part, "_modules")]


def _own(part: nn.Module, kind: str) -> list[tuple[str, Any]]:
    return [item for item in dict.items(vars(part)[kind]) if item[1] is not None]


def _tensors(*values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()


def _bytes(tensor: Tensor) -> bytes:
    return torch.empty(0, dtype=torch.uint8).set_(_storage(tensor)).numpy().tobytes()
