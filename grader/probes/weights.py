"""`model.safetensors` as handed in: bytes in, tensors or a reason out.

safetensors holds numbers only, so reading it runs nothing. What it may hold is bounded here all
the same: the kinds of number that a model has, no NaN and no infinity.
"""

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from grader.outcomes import Reason, Stopped

FILE = "model.safetensors"
MOST, LONGEST = 5_000, 500  # tensors in it, letters of a name
KINDS = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


def read_weights(data: bytes | None) -> dict[str, Tensor]:
    """The state dict in `data`; `Stopped`, in the student's words, where there is none to use."""
    if data is None:
        raise Stopped(
            Reason.MISSING,
            f"there is no {FILE} beside the notebook",
            "run the cell that trains and saves the model, and hand in its file too",
        )
    try:
        found = load(data)
    except (SafetensorError, ValueError, KeyError, OverflowError, RuntimeError, MemoryError):
        raise Stopped(
            Reason.ERROR,
            f"{FILE} cannot be read: it is damaged, or was not written by safetensors",
            "save it again with safetensors.torch.save_file(model.state_dict(), …)",
        ) from None
    if not found:
        raise Stopped(Reason.ERROR, f"{FILE} holds no tensor", "was an empty model saved?")
    if len(found) > MOST or max(map(len, found)) > LONGEST:
        raise Stopped(
            Reason.ERROR,
            f"{FILE} holds {len(found):,} tensors, or names of endless length: no model of this "
            "course has such a state",
            "save it again with safetensors.torch.save_file(model.state_dict(), …)",
        )
    for name, tensor in sorted(found.items()):
        if tensor.dtype not in KINDS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise Stopped(Reason.ERROR, f"{name} in {FILE} is of type {kind}, which no layer has")
        if not torch.isfinite(tensor).all():
            raise Stopped(
                Reason.WRONG,
                f"{name} in {FILE} holds NaN or an infinite number",
                "did the loss become NaN while training?",
            )
    return {name: found[name] for name in sorted(found)}
