"""Programs of ours that run beside a student's Conformer, and what they tell."""

from typing import Any

from torch import Tensor

from grader.grading.feedback import Failure, expect_shape, expect_tensor

BLOCK_BY_HAND = """
def answer(names, x, says):
    block = names["ConformerBlock"](4, 2, 3, 3).eval()
    shells = [m for m in block.modules() if type(m).__name__ == "FeedForwardModule"]
    inside = {id(p) for shell in shells for p in shell.parameters()}
    with torch.no_grad():
        for p in block.parameters():
            if not (p == 1).all():
                p.copy_(says if id(p) in inside and p.shape == (4,) else torch.zeros_like(p))
    return block(x)
"""

HEARD = """
def answer(names, mel, valid, normalize, louder):
    torch.manual_seed(3)
    model = names["SpeakerConformer"](mel.shape[-1], 11, normalize)
    blocks = [m for m in model.modules() if type(m).__name__ == "ConformerBlock"]
    heard = []
    for part in model.modules():
        if isinstance(part, nn.Linear) and part.out_features == 11:
            part.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].detach()))
    blocks[-1].register_forward_hook(lambda _, inputs, output: louder * output)
    logits = model(mel, valid)
    return logits, heard[0] if len(heard) == 1 else None
"""


def listen(
    student: Any, batch: tuple[Tensor, Tensor], normalize: bool = True, louder: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Logits while training, and what the last linear layer reads; the last block is `louder`."""
    found = student.define(HEARD, *batch, normalize, louder)
    logits, heard = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    logits = expect_shape("model(mel, valid)", logits, 5, 11, letters="B, C")
    if heard is None:
        raise Failure(
            "no linear layer gives one number for each speaker, or it is called more than once",
            "does SpeakerConformer end in nn.Linear(D, num_speakers)?",
        )
    return logits, expect_tensor("what the last linear layer reads", heard)
