"""Programs of ours that run beside a student's Conformer, and how their answers are read."""

from typing import Any

import torch
from torch import Tensor, nn

from grader.grading.feedback import Failure, expect_shape, expect_tensor


def block_by_hand(names, x, bias):
    """A block with zero weights, but for the last bias of its feed-forward modules."""
    block = names["ConformerBlock"](4, 2, 3, 3).eval()
    found = [m for m in block.modules() if type(m).__name__ == "FeedForwardModule"]
    inside = {id(p) for module in found for p in module.parameters()}
    with torch.no_grad():
        for p in block.parameters():
            if not (p == 1).all():
                p.copy_(bias if id(p) in inside and p.shape == (4,) else torch.zeros_like(p))
    return block(x)


def _scaled_model(names, mel, valid, normalize, scale):
    """Logits and the input of the last linear layer, with the last block's output scaled."""
    torch.manual_seed(3)
    model = names["SpeakerConformer"](mel.shape[-1], 11, normalize)
    blocks = [m for m in model.modules() if type(m).__name__ == "ConformerBlock"]
    read = []
    for part in model.modules():
        if isinstance(part, nn.Linear) and part.out_features == 11:
            part.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].detach()))
    blocks[-1].register_forward_hook(lambda _, inputs, output: scale * output)
    logits = model(mel, valid)
    return logits, read[0] if len(read) == 1 else None


def last_layer_input(
    student: Any, batch: tuple[Tensor, Tensor], normalize: bool = True, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Logits in training mode and the input of the last linear layer; `scale` as above."""
    found = student.define(_scaled_model, *batch, normalize, scale)
    logits, read = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    logits = expect_shape("model(mel, valid)", logits, 5, 11, letters="B, C")
    if read is None:
        raise Failure(
            "no linear layer has one output for each speaker, or it is called more than once",
            "does SpeakerConformer end in nn.Linear(D, num_speakers)?",
        )
    return logits, expect_tensor("the input of the last linear layer", read)
