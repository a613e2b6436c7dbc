"""Fast twins of torch's layers, and the one place where they are chosen.

Models are written with `nn.Linear`, `nn.Dropout` and `nn.Conv1d`. What `kws.models.registry` builds
goes through `use_fast_layers`; a layer built by hand stays as torch made it, until you ask.
"""

from typing import TypeVar

from torch import nn

from kws.models.fast.depthwise import DepthwiseConv
from kws.models.fast.dropout import Dropout
from kws.models.fast.linear import Linear

TWINS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: Linear,
    nn.Dropout: Dropout,
    nn.Conv1d: DepthwiseConv,
}
Model = TypeVar("Model", bound=nn.Module)


def use_fast_layers(model: Model) -> Model:
    """Let each layer in `model` that has a twin compute like it; returns `model`, changed in place.

    Weights, state dict and results stay as they are. Subclasses of torch's layers are left alone.
    """
    for module in model.modules():
        # a twin has the attributes of torch's layer and another forward: its class is all it takes
        module.__class__ = TWINS.get(type(module), type(module))
    return model
