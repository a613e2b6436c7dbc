"""The text of a recognizer: greedy or beam search, together with CTC, or CTC alone.

Shape letters: B utterances   N frames   F mel bands   T frames of the memory   U symbols
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kws.data.transcripts import pad_mels
from kws.decoding.beam import beam_search
from kws.decoding.cached import CachedDecoder
from kws.decoding.ctc_prefix import CtcPrefixScorer
from kws.decoding.greedy import Step, greedy
from kws.decoding.joint import joint_step
from kws.device import device_of
from kws.errors import UsageError
from kws.models.ctc import collapse
from kws.models.speech_gru import AnyRecognizer
from kws.models.speech_transformer import SpeechTransformer
from kws.text.alphabet import EOS, SOS, Alphabet

BATCH = 40  # utterances padded together
LONGEST = 200  # symbols of a text


@torch.inference_mode()
def transcribe(
    model: AnyRecognizer,
    mels: list[Float[Tensor, "_ F"]],
    alphabet: Alphabet,
    *,
    width: int = 1,
    ctc_weight: float = 0.0,
    longest: int = LONGEST,
) -> list[str]:
    """The text of each utterance. Width 1 without CTC is greedy search, which is done in batches.

    The text of a model without a decoder is CTC's best path. Raises UsageError: `width` or
    `longest` is below 1, `ctc_weight` is not between 0 and 1, either is given for a model without a
    decoder, or an utterance has no frames.
    """
    if width < 1:
        raise UsageError(f"a beam of width {width} is empty: choose 1 or more")
    if not 0 <= ctc_weight <= 1:
        raise UsageError(f"a CTC weight of {ctc_weight} is not between 0 and 1: choose one that is")
    if not decodes(model) and (width > 1 or ctc_weight):
        raise UsageError(
            "this recognizer has no decoder, so its text is CTC's best path: remove the beam and "
            "the CTC weight"
        )
    if not all(map(len, mels)):
        raise UsageError("an utterance has 0 frames: leave it out")
    model.eval()
    if decodes(model) and (width > 1 or ctc_weight):
        return [_search_beam(model, mel, alphabet, width, ctc_weight, longest) for mel in mels]
    written = [""] * len(mels)
    search = _search_greedily if decodes(model) else best_paths
    order = sorted(range(len(mels)), key=lambda row: (-len(mels[row]), row))
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        found = search(model, [mels[row] for row in rows], longest)
        for row, symbols in zip(rows, found, strict=True):
            written[row] = alphabet.decode(symbols)
    return written


def decodes(model: AnyRecognizer) -> bool:
    return model.config.num_decoder_layers > 0


@torch.inference_mode()
def best_paths(model: AnyRecognizer, mels: list[Tensor], longest: int = LONGEST) -> list[list[int]]:
    """The texts of CTC's most probable path, at most `longest` symbols of each."""
    memory, valid = _encode_batch(model, mels)
    paths = model.ctc(memory).argmax(dim=-1)
    real = torch.ones_like(paths, dtype=torch.bool) if valid is None else valid
    return [collapse(path[frames])[:longest] for path, frames in zip(paths, real, strict=True)]


def _encode_batch(model: AnyRecognizer, mels: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """The memory and its valid frames, where the model computes; searches are done on the CPU."""
    mel, valid = pad_mels(mels)
    place = device_of(model)
    return model.encode(mel.to(place), valid.to(place))


def _search_greedily(model: AnyRecognizer, mels: list[Tensor], longest: int) -> list[list[int]]:
    step = _step(model, *_encode_batch(model, mels))
    return greedy(step, len(mels), sos=SOS, eos=EOS, longest=longest)


def _step(model: AnyRecognizer, memory: Tensor, valid: Tensor | None = None) -> Step:
    """The decoder as searches call it, on the CPU; a Transformer's keeps keys and values."""
    cached = CachedDecoder(model, memory, valid) if isinstance(model, SpeechTransformer) else None

    def step(symbols: Tensor) -> Tensor:
        symbols = symbols.to(memory.device)
        if cached is not None:
            return cached(symbols).cpu()
        # a beam has several texts of one utterance
        return model.decode(symbols, memory.expand(len(symbols), -1, -1), valid)[:, -1].cpu()

    return step


def _search_beam(
    model: AnyRecognizer,
    mel: Tensor,
    alphabet: Alphabet,
    width: int,
    ctc_weight: float,
    longest: int,
) -> str:
    memory, _ = model.encode(mel[None].to(device_of(model)))
    logits = _step(model, memory)

    def step(symbols: Tensor) -> Tensor:
        return logits(symbols).log_softmax(dim=-1)

    scored: Step = step
    if ctc_weight:
        scorer = CtcPrefixScorer(model.ctc(memory)[0].log_softmax(dim=-1).cpu(), EOS)
        scored = joint_step(step, scorer, ctc_weight)
    return alphabet.decode(beam_search(scored, width, sos=SOS, eos=EOS, longest=longest)[0].text)
