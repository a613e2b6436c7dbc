"""What a model must be, judged by what it does and backed by what it declares.

Every `expect_…` takes remote modules and inputs of the check's own; it returns or raises `Failure`.

    expect_layers          so many layers: each called, with its own parameters, and its own doing
    expect_normalized      scaling the features ahead of the classifier leaves the logits alone
    expect_budget          so few scalars: those declared, and those used without being declared
    expect_mask_invariant  what stands in the padding changes nothing that is real
    expect_gradients       every parameter learns
    expect_same_function   the state dict is the whole model

Shape letters: B batch   T frames   D model width   C classes
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grader.course.probes.layers import alike, expect_layers, find_layers
from grader.course.probes.normalized import expect_normalized
from grader.grading.feedback import Failure, expect_between, expect_close, expect_tensor
from grader.sandbox import RemoteModule

__all__ = [
    "Scalars",
    "constant_buffers",
    "count_scalars",
    "expect_budget",
    "expect_gradients",
    "expect_layers",
    "expect_mask_invariant",
    "expect_normalized",
    "expect_same_function",
    "find_layers",
]


@dataclass(frozen=True, kw_only=True)
class Scalars:
    """How many numbers a model is made of."""

    declared: int  # parameters, a shared one once
    buffers: int  # buffers that are not the same in every model of this kind
    hidden: int  # tensors that a call used, and that are declared nowhere

    @property
    def total(self) -> int:
        """All that could hold something learned."""
        return self.declared + self.buffers + self.hidden


def count_scalars(
    module: RemoteModule, *inputs: Tensor, constant: Sequence[str] = (), **kwargs
) -> Scalars:
    """Numbers declared or used; buffers called `constant` are free, as a table of positions is."""
    parameters = module.parameters()
    declared = sum(one.numel for one in parameters.values() if one.same_as is None)
    touched = module.trace(*inputs, **kwargs).touched
    known = {*parameters, *constant}
    buffers = [t for t in touched if t.name is not None and t.name not in known]
    hidden = [t for t in touched if t.name is None]
    return Scalars(
        declared=declared,
        buffers=sum(t.numel for t in buffers),
        hidden=sum(t.storage for t in hidden),
    )


def expect_budget(
    what: str,
    module: RemoteModule,
    *inputs: Tensor,
    most: int,
    constant: Sequence[str] = (),
    **kwargs,
) -> Scalars:
    """The count, if it is at most `most`. What is used counts, not only what is declared."""
    found = count_scalars(module, *inputs, constant=constant, **kwargs)
    hint = ""
    if found.declared <= most < found.total:
        hint = (
            f"{found.declared:,} are parameters; {found.buffers + found.hidden:,} more are used in "
            "forward, in buffers or in tensors that no module declares"
        )
    expect_between(f"the number of scalars in {what}", found.total, high=most, hint=hint)
    return found


def constant_buffers(a: RemoteModule, b: RemoteModule) -> tuple[str, ...]:
    """Names that two models, built under different seeds, have the same numbers in, and that are
    no parameters: tables that follow from the sizes alone."""
    first, second, parameters = a.state_dict(), b.state_dict(), a.parameters()
    names = sorted(first.keys() & second.keys() - parameters.keys())
    return tuple(name for name in names if torch.equal(first[name], second[name]))


def expect_mask_invariant(
    what: str,
    call: Callable[[Tensor, Tensor], object],
    x: Tensor,
    valid: Tensor,
    *,
    noise: Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Fail if `call(x, valid)` depends on what stands in the padding.

    Compared are all outputs (B, …), or, where they have a time axis (B, T, …), those of real
    frames; once with other numbers in the padding, `noise` of x's shape, once with zeros.
    """
    real = expect_tensor(what, call(x, valid))
    for other in (torch.where(valid[..., None], x, 100 * noise), x * valid[..., None]):
        again = expect_tensor(what, call(other, valid))
        first = real
        if real.shape[:2] == valid.shape and again.shape == real.shape and real.dim() > 2:
            first, again = real[valid], again[valid]
        hint = "which step mixes time, and does it know `valid`?"
        try:
            expect_close(
                f"{what}, after other numbers in the padding,", again, first, rtol=rtol, atol=atol
            )
        except Failure as failure:
            raise Failure(failure.message, failure.hint or hint) from None


def expect_gradients(what: str, module: RemoteModule, *inputs: Tensor, **kwargs) -> None:
    """Fail unless the loss reaches every parameter.

    A vector whose gradient is exactly zero passes: the bias of the keys has none, since it shifts
    all scores of a query alike.
    """
    found = module.gradients(*inputs, **kwargs)
    parameters = module.parameters()
    frozen = [name for name, one in parameters.items() if not one.requires_grad]
    dead = [
        name
        for name, one in parameters.items()
        if one.requires_grad and one.same_as is None and _dead(found.get(name), len(one.shape))
    ]
    if frozen:
        raise Failure(f"{what}: {_list(frozen)} cannot learn: requires_grad is False")
    if dead:
        raise Failure(
            f"{what}: no gradient reaches {_list(dead)}",
            "is it used in forward, and is nothing detached on the way?",
        )


def expect_same_function(
    what: str, a: RemoteModule, b: RemoteModule, *inputs: Tensor, **kwargs
) -> None:
    """Fail unless two models, built under different seeds, agree once one has the other's state."""
    b.load_state_dict(a.state_dict())
    first, second = a.eval()(*inputs, **kwargs), b.eval()(*inputs, **kwargs)
    first, second = expect_tensor(what, first), expect_tensor(what, second)
    if not alike(first, second):
        raise Failure(
            f"{what}: two models with the same state dict give different outputs",
            "is a weight kept outside of parameters and buffers, or is something random in eval()?",
        )


def _dead(gradient: Tensor | None, axes: int) -> bool:
    return gradient is None or (axes > 1 and not bool(gradient.any()))


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
