"""What a decoder costs with and without a cache of keys and values, symbol by symbol.

    python benchmarks/decoding.py [--symbols 25 50 100] [--turns 5]

A Speech-Transformer of the sizes of its recipe, untrained: the cost of a search does not depend on
the weights. Greedy search over 8 utterances of 4 s, and beam search of width 5 over one; the end is
never written, so that every text has the given length. Medians of CPU seconds, by turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from report import finish, print_table
from torch import Tensor

from kws.decoding.beam import beam_search
from kws.decoding.cached import CachedDecoder
from kws.decoding.greedy import Step, greedy
from kws.models.registry import build_model
from kws.models.speech_transformer import SpeechTransformer
from kws.text.alphabet import EOS, SOS

FRAMES, UTTERANCES, WIDTH = 400, 8, 5


def whole(model: SpeechTransformer, memory: Tensor) -> Step:
    """The decoder without a cache: each call reads the texts from their beginning."""
    return lambda symbols: model.decode(symbols, memory.expand(len(symbols), -1, -1))[:, -1]


def endless(step: Step) -> Step:
    """The same step, which never ends a text."""

    def scores(symbols: Tensor) -> Tensor:
        logits = step(symbols)
        logits[:, EOS] = -100.0
        return logits.log_softmax(dim=-1)

    return scores


def main() -> None:
    """Time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--symbols", type=int, nargs="+", default=[25, 50, 100])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_model("speech-transformer", num_features=40, num_classes=19)
    assert isinstance(model, SpeechTransformer)
    model.eval()
    rows, found = [], {}
    with torch.inference_mode():
        memories = {count: torch.randn(count, FRAMES // 4, 128) for count in (UTTERANCES, 1)}
        for longest in options.symbols:
            for search, count in (("greedy", UTTERANCES), ("beam", 1)):
                memory, seconds = memories[count], {"without": [], "with": []}
                steps: dict[str, Callable[..., Step]] = {"without": whole, "with": CachedDecoder}
                for _ in range(options.turns):
                    for name, make in steps.items():
                        start, step = time.process_time(), endless(make(model, memory))
                        if search == "greedy":
                            greedy(step, count, sos=SOS, eos=EOS, longest=longest)
                        else:
                            beam_search(step, WIDTH, sos=SOS, eos=EOS, longest=longest)
                        seconds[name].append(time.process_time() - start)
                slow, fast = (statistics.median(seconds[name]) for name in steps)
                rows.append([search, longest, 1000 * slow, 1000 * fast, slow / fast])
                found[f"{search} {longest}"] = {"without": slow, "with": fast}
    print_table(["search", "symbols", "without, CPU ms", "with", "times"], rows)
    finish({"turns": options.turns, "cpu_seconds": found})


if __name__ == "__main__":
    main()
