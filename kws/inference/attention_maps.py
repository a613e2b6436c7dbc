"""A model's attention weights, recorded while it computes its prediction.

Every layer that averages with weights (attention, attention pooling) has a method `weights` with
the projections of its `forward`. A hook calls it with the input of `forward`.

Shape letters: B batch   T frames   F features   H heads   Q queries   K keys, tokens
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.keyword_transformer import KeywordTransformer
from kws.plots import Panel

MOST_LAYERS = 3  # layers of self-attention that are drawn: first, middle, last


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerWeights:
    """Weights of the layer `name`: (B, H, Q, K) of self-attention, (B, K) of pooling."""

    name: str
    values: Tensor


@torch.no_grad()
def attention_weights(
    model: nn.Module, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
) -> tuple[Float[Tensor, "B ..."], list[LayerWeights]]:
    """Run `model` once: its output, and the weights of each attention layer in order of use.

    A layer that is used several times is listed several times. Models without attention give [].
    """
    found: list[LayerWeights] = []

    def remember(name: str) -> Callable[..., None]:
        def hook(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            found.append(LayerWeights(name=name, values=layer.weights(*args, **kwargs)))

        return hook

    hooks = [
        layer.register_forward_pre_hook(remember(name), with_kwargs=True)
        for name, layer in model.named_modules()
        if callable(getattr(layer, "weights", None))
    ]
    try:
        return model(features, valid), found
    finally:
        for hook in hooks:
            hook.remove()


def panels(
    model: nn.Module, weights: list[LayerWeights], *, num_features: int, seconds: float
) -> list[Panel]:
    """Pictures of the weights of the first example, heads averaged, for `kws.plots.attention`.

    A class token's weights are drawn where its keys lie on the spectrogram, other self-attention as
    queries over keys, pooling as a line. Of many layers the first, the middle and the last.
    """
    layers = [layer for layer in weights if layer.values.ndim == 4]
    chosen = {round(i * (len(layers) - 1) / (MOST_LAYERS - 1)) for i in range(MOST_LAYERS)}
    if not layers:
        chosen = set()
    pictures = []
    for index in sorted(chosen):
        values = layers[index].values[0]  # (H, Q, K)
        mean = values.mean(dim=0)
        name = f"layer {index + 1}, mean of {len(values)} heads"
        if not isinstance(model, KeywordTransformer):
            pictures.append(Panel(name=name, values=mean, ylabel="query (s)", height=seconds))
            continue
        name, from_class = f"class token, {name}", mean[0, 1:]  # itself left out
        if model.stem is None:
            pictures.append(Panel(name=name, values=from_class))
            continue
        grid = from_class.unflatten(0, (-1, model.stem.out_bands(num_features))).mT
        pictures.append(
            Panel(name=name, values=grid, ylabel="mel band", height=float(num_features))
        )
    pictures += [
        Panel(name="pooling over time", values=layer.values[0])
        for layer in weights
        if layer.values.ndim == 2
    ]
    return pictures
