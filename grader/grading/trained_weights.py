"""Load submitted weights into a model, or stop with a reason.

Reading safetensors runs no code. Only dtypes of the course's models and finite numbers pass.
"""

from collections.abc import Mapping

import torch
from safetensors.torch import load
from torch import Tensor

from grader.core.outcomes import Reason, Stopped
from grader.sandbox import RemoteModule, wire

MOST, LONGEST = 5_000, 500  # tensors in it, letters of a name
LONG = 80  # characters of a name in a message
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
OTHER_SIZES = {"C64": 8, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1}
WRAPPED = ("_orig_mod.", "module.")  # how torch.compile and DistributedDataParallel begin names


def read_weights(data: bytes | None, file: str = "model.safetensors") -> dict[str, Tensor]:
    """Read the state dict from the bytes of `file`; `Stopped` if it is missing or invalid."""
    if data is None:
        raise Stopped(
            Reason.MISSING,
            f"there is no {file} beside the notebook",
            "run the cell that trains and saves the model, and hand in its file too",
        )
    try:
        wire.vet_header(data, {**wire.SIZES, **OTHER_SIZES})
        found = load(data)
    # whatever the bytes make the two parsers raise: RecursionError and SafetensorError included
    except Exception:
        raise Stopped(
            Reason.ERROR,
            f"{file} cannot be read: it is damaged, or was not written by safetensors",
            "save it again with safetensors.torch.save_file(model.state_dict(), …)",
        ) from None
    if not found:
        raise Stopped(Reason.ERROR, f"{file} contains no tensors", "was an empty model saved?")
    if len(found) > MOST or max(map(len, found)) > LONGEST:
        raise Stopped(
            Reason.ERROR,
            f"{file} contains {len(found):,} tensors, or very long names: it is not the state_dict "
            "of a model of this course",
            "save it again with safetensors.torch.save_file(model.state_dict(), …)",
        )
    for name, tensor in sorted(found.items()):
        if tensor.dtype not in KINDS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise Stopped(Reason.ERROR, f"{name} in {file} is of type {kind}, which no layer has")
        if not torch.isfinite(tensor).all():
            raise Stopped(
                Reason.WRONG,
                f"{name} in {file} contains NaN or infinity",
                "did the loss become NaN while training?",
            )
    return {name: found[name] for name in sorted(found)}


def load_weights(model: RemoteModule, weights: Mapping[str, Tensor]) -> RemoteModule:
    """Load these weights into the model; `Stopped` if they do not fit."""
    try:
        model.load_state_dict(weights)
    except Stopped as stopped:
        if stopped.reason is not Reason.ERROR:
            raise
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        inner = unwrapped(weights)
        if set(inner) != set(weights) and set(inner) == set(shapes):
            return load_weights(model, inner)
        raise _misfit(model.kind, shapes, weights) or stopped from None
    return model


def unwrapped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in WRAPPED:
        if all(name.startswith(prefix) for name in weights):
            return unwrapped({name.removeprefix(prefix): weights[name] for name in weights})
    return dict(weights)


def _misfit(
    kind: str, shapes: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor]
) -> Stopped | None:
    misfits = []
    if missing := sorted(set(shapes) - set(weights)):
        misfits.append(f"{_few(missing)} is not there")
    if unexpected := sorted(set(weights) - set(shapes)):
        misfits.append(f"{_few(unexpected)} belongs to another model")
    for name in sorted(set(shapes) & set(weights)):
        if shapes[name] != tuple(weights[name].shape):
            there = tuple(weights[name].shape)
            misfits.append(f"{_few([name])} is {there} there, and {shapes[name]} in the model")
            break
    if not misfits:
        return None
    return Stopped(
        Reason.ERROR,
        f"the weights handed in do not fit {kind}: {'; '.join(misfits)}",
        "were they saved before the model was changed? run the cells that train and save it again",
    )


def _few(names: list[str]) -> str:
    first = names[0] if len(names[0]) <= LONG else names[0][: LONG - 2] + " …"
    return first if len(names) == 1 else f"{first} (and {len(names) - 1} more)"
