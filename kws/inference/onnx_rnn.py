"""A GRU or LSTM, of one direction or both, as one ONNX operator.

By default torch unrolls a GRU into a graph of a thousand nodes for one second of one fixed length.
ONNX has operators for both, which take the lengths of the sequences, too.

Sources: https://onnx.ai/onnx/operators/onnx__GRU.html,
https://onnx.ai/onnx/operators/onnx__LSTM.html. Parity: `kws.inference.export` runs both.

Shape letters: B batch   T frames   D width   H width of one direction
"""

import copy
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.recurrent import BidirectionalRnn

OPSET = 18
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of nn.GRU and nn.LSTM
GATES = {  # the indices of ONNX's gates in torch's order
    "GRU": (1, 0, 2),  # update, reset, new; torch: reset, update, new
    "LSTM": (0, 3, 1, 2),  # input, output, forget, cell; torch: input, forget, cell, output
}


def for_onnx(model: nn.Module) -> nn.Module:
    """A copy of `model` whose GRUs and LSTMs are single ONNX operators."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, BidirectionalRnn):
            model.set_submodule(name, OnnxRnn(module.rnn.mode, module.rnn))
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.GRU):
            model.set_submodule(name, OnnxGru(module))
    return model


class OnnxRnn(nn.Module):
    """`BidirectionalRnn`, or a GRU of one direction, as the ONNX operator "GRU" or "LSTM".

    For tracing only: in torch it returns zeros. The operator takes the lengths of the sequences, so
    that the backward direction starts at the last real frame.
    """

    def __init__(self, operator: str, rnn: nn.GRU | nn.LSTM):
        super().__init__()
        self.operator, self.hidden_size, self.num_layers = operator, rnn.hidden_size, rnn.num_layers
        self.ends = ("", "_reverse")[: 1 + rnn.bidirectional]
        for layer in range(rnn.num_layers):
            both = [
                [reorder_gates(rnn, f"{kind}_l{layer}{end}", operator) for end in self.ends]
                for kind in KINDS
            ]
            w_in, w_hidden, b_in, b_hidden = (torch.stack(pair) for pair in both)
            self.register_buffer(f"w_in{layer}", w_in)
            self.register_buffer(f"w_hidden{layer}", w_hidden)
            self.register_buffer(f"bias{layer}", torch.cat([b_in, b_hidden], dim=1))

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"] | None = None,
        before: Float[Tensor, "1 B H"] | None = None,
    ) -> Float[Tensor, "B T HH"]:
        """x (B, T, D) -> (B, T, H a direction), zero in the padding, which comes last.

        `before` is the state of a GRU of one layer and direction in front of the first frame.
        """
        if valid is None:
            valid = x.new_ones(x.shape[:2], dtype=torch.bool)
        lengths = valid.sum(dim=1, dtype=torch.int32)
        x = x.masked_fill(~valid[..., None], 0).transpose(0, 1)
        attributes: dict[str, Any] = {
            "hidden_size": self.hidden_size,
            "direction": "bidirectional" if len(self.ends) == 2 else "forward",
        }
        if self.operator == "GRU":  # torch applies the reset gate after the product
            attributes["linear_before_reset"] = 1
        for layer in range(self.num_layers):
            weights = [getattr(self, f"{name}{layer}") for name in ("w_in", "w_hidden", "bias")]
            y = torch.onnx.ops.symbolic(
                self.operator,
                (x, *weights, lengths, *(() if before is None else (before,))),
                attrs=attributes,
                dtype=x.dtype,
                shape=(x.shape[0], len(self.ends), x.shape[1], self.hidden_size),
                version=OPSET,
            )
            x = y.transpose(1, 2).flatten(2)  # (T, 2, B, H) -> (T, B, 2H)
        return x.transpose(0, 1)


class OnnxGru(nn.Module):
    """`nn.GRU` itself, batch first; its last state only with one layer and direction."""

    def __init__(self, gru: nn.GRU):
        super().__init__()
        self.hidden_size, self.rnn = gru.hidden_size, OnnxRnn("GRU", gru)

    def forward(
        self, x: Float[Tensor, "B T D"], before: Float[Tensor, "1 B H"] | None = None
    ) -> tuple[Float[Tensor, "B T HH"], Float[Tensor, "1 B HH"]]:
        """x (B, T, D) -> outputs (B, T, H a direction), the last of them."""
        y = self.rnn(x, None, before)
        return y, y[:, -1:].transpose(0, 1)


def reorder_gates(rnn: nn.GRU | nn.LSTM, name: str, operator: str) -> Tensor:
    """The parameter `name` of `rnn`, its gates in the order of the ONNX operator."""
    gates = getattr(rnn, name).detach().chunk(len(GATES[operator]))
    return torch.cat([gates[place] for place in GATES[operator]])
