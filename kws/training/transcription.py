"""The joint loss of a recognizer, decoder and CTC, and the texts shifted by one for the decoder.

Source: Watanabe et al. 2017, equation 15 (https://doi.org/10.1109/JSTSP.2017.2763455).

Shape letters: B utterances   N frames   F mel bands   U symbols   V symbols of the alphabet
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kws.errors import UsageError
from kws.models.ctc import frames_needed
from kws.models.speech_gru import AnyRecognizer
from kws.models.speech_transformer import count_subsampled
from kws.text.alphabet import BLANK, EOS, SOS

IGNORE_INDEX = -100  # a place after the end: the default `ignore_index` of torch


def teacher_forced(
    texts: Sequence[Int[Tensor, "_"]],
) -> tuple[Int[Tensor, "B U"], Int[Tensor, "B U"]]:
    """The decoder's inputs and targets, U one more than the longest text.

    >>> [table.tolist() for table in teacher_forced([torch.tensor([7, 5]), torch.tensor([9])])]
    [[[1, 7, 5], [1, 9, 2]], [[7, 5, 2], [9, 2, -100]]]
    """
    longest = 1 + max(len(text) for text in texts)
    inputs = torch.full((len(texts), longest), EOS)
    wanted = torch.full((len(texts), longest), IGNORE_INDEX)
    for row, text in enumerate(texts):
        inputs[row, : len(text) + 1] = torch.cat([torch.tensor([SOS]), text])
        wanted[row, : len(text) + 1] = torch.cat([text, torch.tensor([EOS])])
    return inputs, wanted


def joint_loss(
    model: AnyRecognizer,
    mel: Float[Tensor, "B N F"],
    valid: Bool[Tensor, "B N"],
    texts: Sequence[Int[Tensor, "_"]],
    *,
    ctc_weight: float = 0.3,
    label_smoothing: float = 0.1,
    whole: Sequence[Int[Tensor, "_"]] | None = None,
) -> Float[Tensor, ""]:
    """ctc_weight · CTC + (1 - ctc_weight) · cross-entropy; with 1 the decoder is not used.

    Cross-entropy is the mean over symbols, CTC the mean over utterances of the loss for a symbol.
    With `whole`, the texts of a batch that this is a part of, it is what the part contributes to
    the loss of that batch. Raises UsageError: unless 0 <= ctc_weight <= 1; an utterance has fewer
    frames than CTC needs.
    """
    if not 0 <= ctc_weight <= 1:
        raise UsageError(f"a CTC weight of {ctc_weight} is not between 0 and 1: choose one that is")
    whole = texts if whole is None else whole
    memory, real = model.encode(mel, valid)
    loss = memory.new_zeros(())
    if ctc_weight:
        log_p = model.ctc(memory).log_softmax(dim=-1).transpose(0, 1)
        frames = torch.tensor([count_subsampled(n) for n in valid.sum(dim=1).tolist()])
        for row, (length, text) in enumerate(zip(frames.tolist(), texts, strict=True)):
            if length < (needed := frames_needed(text)):
                raise UsageError(
                    f"utterance {row} of the batch has {length} frames after the convolutions, and "
                    f"CTC needs {needed} for its text: leave it out"
                )
        lengths = torch.tensor([len(text) for text in texts])
        ctc = F.ctc_loss(log_p, torch.cat([*texts]).to(mel.device), frames, lengths, blank=BLANK)
        loss = loss + ctc_weight * ctc * (len(texts) / len(whole))
    if ctc_weight < 1:
        inputs, wanted = (table.to(mel.device) for table in teacher_forced(texts))
        logits = model.decode(inputs, memory, real)
        spelled = F.cross_entropy(
            logits.transpose(1, 2),
            wanted,
            ignore_index=IGNORE_INDEX,
            label_smoothing=label_smoothing,
        )
        # each text and its end
        share = sum(len(text) + 1 for text in texts) / sum(len(text) + 1 for text in whole)
        loss = loss + (1 - ctc_weight) * spelled * share
    return loss
