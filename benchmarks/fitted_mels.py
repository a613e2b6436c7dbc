"""How many words the listener recognizes in noise that was fitted to it.

    python benchmarks/fitted_mels.py [--steps 25] [--seed 0]

Assignments 8 and 9 let `kws.inference.listener` judge mels that a model made. It stays with the
grader, but anyone can train the same one: its recipe and its corpus are in `kws`. Here faint noise
goes down the gradient of that very listener, for each of the 35 words, as the decoder of a hand-in
could have been made to. About ten CPU seconds, once the listener is there.
"""

import argparse
import time

import torch
import torch.nn.functional as F
from report import finish, print_table
from torch import Tensor

from kws.data.protocols import V2_WORDS
from kws.inference.listener import listener, recognize_mels
from kws.metrics import Proportion
from kws.training.checkpoint import Trained

FRAMES, QUIET, DEVIATION, RATE = 100, -9.0, 0.5, 0.1  # of the noise; of the descent


def main() -> None:
    """Fit, listen, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    judge, start = listener(), time.process_time()
    size = (len(V2_WORDS), FRAMES, judge.recipe.features.n_mels)
    noise = torch.randn(size, generator=torch.Generator().manual_seed(options.seed))
    before = QUIET + DEVIATION * noise
    after = fitted(judge, before, options.steps)
    rows = {"noise": recognized(judge, before), "fitted noise": recognized(judge, after)}
    print_table(["mels", "recognized"], [[name, str(found)] for name, found in rows.items()])
    shares = {name: found.value for name, found in rows.items()}
    moved = (after - before).abs().mean().item()  # nepers of power
    seconds = time.process_time() - start
    finish({"steps": options.steps, "shares": shares, "moved": moved, "cpu_seconds": seconds})


def fitted(judge: Trained, mel: Tensor, steps: int) -> Tensor:
    """Mels (35, T, F) that the judge is made to take for the 35 words."""
    mel = mel.clone().requires_grad_()
    wanted = torch.tensor([judge.labels.index(word) for word in V2_WORDS])
    optimizer = torch.optim.Adam([mel], RATE)
    for _ in range(steps):
        loss = F.cross_entropy(judge.model(judge.normalizer(mel), None), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return mel.detach()


def recognized(judge: Trained, mel: Tensor) -> Proportion:
    """How many mels are recognized as their words."""
    right = sum(map(str.__eq__, recognize_mels(judge, mel), V2_WORDS))
    return Proportion(correct=right, n=len(V2_WORDS))


if __name__ == "__main__":
    main()
