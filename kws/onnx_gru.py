"""A bidirectional GRU as one ONNX operator.

Left to itself torch writes a GRU out step by step: a graph of a thousand nodes for one second, of
one fixed length. ONNX has an operator for it, which takes the lengths of the sequences too.

Source: https://onnx.ai/onnx/operators/onnx__GRU.html. Parity: `kws.export` runs both.

Shape letters: B batch   T frames   D width   H width of one direction
"""

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.recurrent import BidirectionalGru

OPSET = 18
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of nn.GRU


def for_onnx(model: nn.Module) -> nn.Module:
    """A copy of `model` whose GRUs are single ONNX operators."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, BidirectionalGru):
            model.set_submodule(name, OnnxGru(module.gru))
    return model


class OnnxGru(nn.Module):
    """`BidirectionalGru` as ONNX's GRU operator, for tracing only: run by torch it returns zeros.

    ONNX stacks the gates as update, reset, new where torch has reset, update, new, and takes the
    lengths of the sequences, so that the backward direction starts at the last real frame.
    Source: https://onnx.ai/onnx/operators/onnx__GRU.html
    """

    def __init__(self, gru: nn.GRU):
        super().__init__()
        self.hidden_size, self.num_layers = gru.hidden_size, gru.num_layers
        for layer in range(gru.num_layers):
            both = [[_gates(gru, kind, layer, end) for end in ("", "_reverse")] for kind in KINDS]
            w_in, w_hidden, b_in, b_hidden = (torch.stack(pair) for pair in both)
            self.register_buffer(f"w_in{layer}", w_in)
            self.register_buffer(f"w_hidden{layer}", w_hidden)
            self.register_buffer(f"bias{layer}", torch.cat([b_in, b_hidden], dim=1))

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T 2*H"]:
        """x (B, T, D) -> (B, T, 2H), zero in the padding, which comes last."""
        lengths = valid.sum(dim=1, dtype=torch.int32)
        x = x.masked_fill(~valid[..., None], 0).transpose(0, 1)
        for layer in range(self.num_layers):
            weights = [getattr(self, f"{name}{layer}") for name in ("w_in", "w_hidden", "bias")]
            y = torch.onnx.ops.symbolic(
                "GRU",
                (x, *weights, lengths),
                attrs={
                    "hidden_size": self.hidden_size,
                    "direction": "bidirectional",
                    "linear_before_reset": 1,  # torch applies the reset gate after the product
                },
                dtype=x.dtype,
                shape=(x.shape[0], 2, x.shape[1], self.hidden_size),
                version=OPSET,
            )
            x = y.transpose(1, 2).flatten(2)  # (T, 2, B, H) -> (T, B, 2H)
        return x.transpose(0, 1)


def _gates(gru: nn.GRU, kind: str, layer: int, end: str) -> Tensor:
    reset, update, new = getattr(gru, f"{kind}_l{layer}{end}").detach().chunk(3)
    return torch.cat([update, reset, new])
