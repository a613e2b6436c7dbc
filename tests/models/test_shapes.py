"""The summary of a model against counts by hand: products, attention maps, what is kept."""

import torch
from torch import nn

from kws.models.registry import MODELS, build_from
from kws.models.shapes import ModuleRow, summarize
from kws.models.transformer import EncoderLayer

FLOAT = 4  # bytes


def summary_of(model: nn.Module, num_features: int, **sizes: int) -> dict[str, ModuleRow]:
    return {row.name: row for row in summarize(model, num_features, **sizes)}


def named(name: str, frames: int, batch_size: int = 1) -> dict[str, ModuleRow]:
    config = MODELS[name].config
    with torch.device("meta"):
        model = build_from(name, config)
    return summary_of(model, config.num_features, frames=frames, batch_size=batch_size)


def test_a_linear_layer_multiplies_each_weight_once_a_frame_and_keeps_its_input():
    class TwoLayers(nn.Module):
        def __init__(self):
            super().__init__()
            self.widen = nn.Linear(8, 20, device="meta")
            self.narrow = nn.Linear(20, 5, device="meta")

        def forward(self, x, valid):
            return self.narrow(self.widen(x))

    rows = summary_of(TwoLayers(), 8, frames=7, batch_size=3)
    assert rows["widen"].shape == (3, 7, 20)
    assert rows["widen"].multiply_adds == 3 * 7 * 8 * 20
    assert rows["widen"].kept_bytes == 0  # its input is the batch, which is there anyway
    assert rows["narrow"].kept_bytes == 3 * 7 * 20 * FLOAT
    assert rows[""].multiply_adds == 3 * 7 * (8 * 20 + 20 * 5)
    assert rows[""].parameters == 8 * 20 + 20 + 20 * 5 + 5


def test_attention_counts_its_two_products_and_keeps_its_maps():
    class OneLayer(nn.Module):
        def __init__(self, heads: int):
            super().__init__()
            self.layer = EncoderLayer(16, heads, 32, dropout=0.0)

        def forward(self, x, valid):
            return self.layer(x, valid)

    B, T, D, H = 2, 50, 16, 4
    with torch.device("meta"):
        two, four = OneLayer(2), OneLayer(H)
    rows = summary_of(four, D, frames=T, batch_size=B)
    linear, products = B * T * 4 * D * D, 2 * B * T * T * D  # qkv and out; q k^T and weights v
    assert rows["layer.attention"].multiply_adds == linear + products
    # a map a head: what softmax returned; and its scaled scores keep nothing
    more = (
        rows["layer.attention"].kept_bytes
        - summary_of(two, D, frames=T, batch_size=B)["layer.attention"].kept_bytes
    )
    assert more == B * (H - 2) * T * T * FLOAT


def test_a_shared_layer_runs_three_times_and_recurrent_ones_every_step():
    shared, separate = (named(f"lab-encoder{tail}", frames=60) for tail in ("", "-separate"))
    assert shared["encoder.layers.0"].calls == 3
    assert shared["encoder"].parameters == 154_880
    assert separate["encoder"].parameters == 464_640
    assert shared["encoder"].multiply_adds == separate["encoder"].multiply_adds
    rows = named("gru", frames=40)
    widths, hidden, steps = (40, 2 * 128), 128, 39
    by_hand = sum(2 * 3 * hidden * (width + hidden) * steps for width in widths)
    assert rows["gru"].multiply_adds == by_hand


def test_the_strided_transformer_multiplies_a_hundred_times_what_its_layers_alone_would_say():
    rows = named("strided-transformer", frames=101, batch_size=16)
    tokens, width = 417, 256
    products = 4 * 2 * 16 * tokens**2 * width  # four layers
    linear = 4 * 16 * tokens * (4 * width**2 + 2 * width * 512)
    assert rows["encoder"].multiply_adds == linear + products
    maps = 4 * 16 * 8 * tokens**2 * FLOAT  # four layers of eight heads
    assert rows["encoder"].kept_bytes > maps
    layers = [rows[f"encoder.layers.{i}"].kept_bytes for i in range(4)]
    assert rows[""].kept_bytes > rows["encoder"].kept_bytes >= sum(layers)
