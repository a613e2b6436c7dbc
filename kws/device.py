"""Where to compute: on a GPU where there is one, on the CPU otherwise. One idiom everywhere:

    device = choose_device()                # $KWS_DEVICE, where it is set, or what is there
    model.to(device)
    loss = loss_of(model(mel.to(device)), labels.to(device))

Batches are drawn on the CPU whatever the device is: the same seed gives the same ones. A GPU adds
in another order, so that the first losses agree within 1e-3, and then two trainings drift apart as
any two that differ in rounding; what they reach agrees as that of two seeds. Dropout differs, too.
"""

import functools
import os
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from kws.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES = ("auto", "cpu", "cuda", "mps")
Result = TypeVar("Result")


def choose_device(wanted: str = "auto") -> torch.device:
    """The device called `wanted`; of several CUDA GPUs, the one of this process.

    "auto" asks the environment variable KWS_DEVICE, and where that is not set takes CUDA if it is
    there, else the CPU. MPS (Apple's GPUs) is taken where it is asked for: it has no float64, and
    not all that some models need. Raises UsageError: what is asked for is absent or unknown.
    """
    source = "device"
    if wanted == "auto" and os.environ.get("KWS_DEVICE"):
        source, wanted = "KWS_DEVICE", os.environ["KWS_DEVICE"]
    if wanted not in DEVICES:
        raise UsageError(f"{source} {wanted!r} is unknown: choose {', '.join(DEVICES)}")
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = "cuda" if there["cuda"] else "cpu"
    if not there[wanted]:
        raise UsageError(
            f"{source} {wanted}: this machine has no usable {wanted.upper()} GPU: "
            "choose cpu or auto"
        )
    if wanted == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(wanted)


def device_of(model: nn.Module) -> torch.device:
    """Where the weights of `model` are; the CPU where it has none."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device


class CalledFromCpu(nn.Module):
    """A model whose inputs and outputs are on the CPU, for any device."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the model makes of `inputs`, on the CPU."""
        place = device_of(self.model)
        return self.model(*(x.to(place) for x in inputs)).cpu()


def back_on_cpu(fit: Callable[..., Result]) -> Callable[..., Result]:
    """A training `fit(model, …)` after which, however it ends, the model is on the CPU again.

    So whatever comes after a training, and what is handed in, needs no device. A tensor that was
    left on the CPU during the training is reported as one.
    """

    @functools.wraps(fit)
    def trained(model: nn.Module, *args: object, **options: object) -> Result:
        try:
            return fit(model, *args, **options)
        except (RuntimeError, NotImplementedError) as error:
            place = device_of(model)
            if place.type != "cpu" and (cause := _cause(error, place)):
                raise RuntimeError(cause) from error
            raise
        finally:
            model.to("cpu")

    return trained


def _cause(error: Exception, place: torch.device) -> str:
    """What to do about an error that a device is the cause of; "" for any other."""
    text, cpu = str(error), "or train on the CPU: set KWS_DEVICE=cpu and restart the notebook"
    if isinstance(error, NotImplementedError) and place.type.upper() in text:
        return f"torch lacks an operation on {place}: {text.splitlines()[0]}: {cpu[3:]}"
    if "same device" in text or ("device" in text and "cpu" in text.lower()):
        return (
            f"the model is on {place}, and a tensor that it met is on another device: where your "
            "code makes a tensor write device=x.device, x being an input; keep constants with "
            f"register_buffer; {cpu}"
        )
    return ""
