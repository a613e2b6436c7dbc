"""What a model must be, judged by what it does and backed by what it declares.

Every `expect_…` takes remote modules and inputs of the check's own; it returns or raises `Failure`.

    expect_budget          so few scalars: those declared, and those used without being declared
    expect_gradients       every parameter learns

Shape letters: B batch   T frames   D model width   C classes
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from grader.grading.feedback import Failure, expect_between
from grader.sandbox import RemoteModule

__all__ = [
    "Scalars",
    "count_scalars",
    "expect_budget",
    "expect_gradients",
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


def _dead(gradient: Tensor | None, axes: int) -> bool:
    return gradient is None or (axes > 1 and not bool(gradient.any()))


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
