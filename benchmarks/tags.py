"""Tags: which of ten words are in a clip of two seconds, where one to three are spoken at once.

    python benchmarks/tags.py [--steps 900] [--seeds 3]

AST's own task, AudioSet, in small (Gong et al. 2021, section 3.1): a clip may have several labels,
each with a sigmoid and binary cross-entropy of its own, and the figure is mAP, the average
precision of a class, averaged over the classes (`kws.metrics.mean_average_precision`). Beside it
the same model with one softmax for all classes, whose targets share 1 between the words of a clip:
its probabilities compete. Clips are mixed from single words of synthetic voices, each at a place
and a level of its own; the testing voices are in no training. Intervals draw clips again.
About three CPU minutes a seed.
"""

import argparse
from dataclasses import replace
from statistics import fmean

import torch
import torch.nn.functional as F
from descent import descend
from report import finish, print_table
from torch import Tensor

from kws.audio.features import HOP, SAMPLE_RATE, log_mel
from kws.data.clips import ClipSplit
from kws.data.embedded.corpus import make_corpus
from kws.data.speech_commands import load_speech_commands
from kws.files import cache_dir
from kws.metrics import mean_average_precision, percent
from kws.models.spectrogram_transformer import AST_SMALL, SpectrogramTransformer

NOT_WORDS = 2  # silence and unknown, the first two labels
MOST = 3  # words in a clip
SAMPLES = 2 * SAMPLE_RATE  # of a clip
QUIETEST = -6.0  # dB, of a word beside the loudest
BATCH, RATE, WARMUP = 64, 3e-3, 60
TESTS, DRAWS = 960, 200  # clips of the test, and how often they are drawn again
VOICES = 480  # that say each word once
LOSSES = {
    "sigmoid each": F.binary_cross_entropy_with_logits,
    "one softmax": lambda logits, tags: F.cross_entropy(logits, tags / tags.sum(1, keepdim=True)),
}


def main() -> None:
    """Train both with every seed, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = make_corpus(cache_dir() / f"course-words-{VOICES}", speakers=VOICES, repetitions=1)
    words = {s: Words(folder, s) for s in ("training", "testing")}
    mels, tags = words["testing"].mix(TESTS, torch.Generator().manual_seed(7))
    rows = []
    for loss in LOSSES:
        for seed in range(options.seeds):
            model = train(words["training"], loss, options.steps, seed)
            rows.append({"loss": loss, "seed": seed, **measure(model, loss, mels, tags)})
    chance = tags.float().mean(dim=0).mean().item()
    print(f"{len(tags):,} clips, {tags.shape[1]} words, chance: mAP {chance:.3f}")
    print_table(
        ["loss", "seed", "mAP", "95 %", *(f"{k} word{'s' * (k > 1)}" for k in range(1, MOST + 1))],
        [
            [row["loss"], row["seed"], f"{row['map']:.3f}"]
            + [f"{row['low']:.3f}–{row['high']:.3f}"]
            + [percent(share) for share in row["all_right"]]
            for row in rows
        ],
    )
    print("The last columns, %: clips whose k highest scores are its k words.")
    means = {n: fmean(row["map"] for row in rows if row["loss"] == n) for n in LOSSES}
    finish({"steps": options.steps, "n": len(tags), "chance": chance, "mean": means, "rows": rows})


class Words:
    """The clips of the ten words of a split, to mix from."""

    def __init__(self, folder, split: str):
        clips: ClipSplit = load_speech_commands(folder, "embedded-12", split)
        self.clips, self.count = clips, len(clips.label_names) - NOT_WORDS
        self.rows = (clips.labels >= NOT_WORDS).nonzero()[:, 0]
        self.labels = clips.labels[self.rows] - NOT_WORDS

    def mix(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Log-mels (size, T, F) of one to `MOST` words at once, and which they are (size, C)."""

        def draw(high: int, *shape: int) -> Tensor:
            return torch.randint(high, shape, generator=generator)

        tags, counts = torch.zeros(size, self.count), 1 + draw(MOST, size)
        waveforms = torch.zeros(size, SAMPLES)
        for place in range(MOST):
            chosen = draw(len(self.rows), size)
            labels = self.labels[chosen]
            wanted = (place < counts) & (tags.gather(1, labels[:, None])[:, 0] == 0)
            clips = self.clips.waveforms(self.rows[chosen])
            loudness = QUIETEST * torch.rand(size, 1, generator=generator)
            starts = draw(SAMPLES - clips.shape[1] + 1, size)
            at = starts[:, None] + torch.arange(clips.shape[1])
            clips *= 10 ** (loudness / 20) * wanted[:, None]
            waveforms.scatter_add_(1, at, clips)
            tags.scatter_add_(1, labels[:, None], wanted[:, None].float())
        mels = log_mel(waveforms, n_mels=AST_SMALL.num_features)
        mean, deviation = mels.mean(dim=(1, 2), keepdim=True), mels.std(dim=(1, 2), keepdim=True)
        return (mels - mean) / (deviation + 0.1), tags


def train(words: Words, loss: str, steps: int, seed: int) -> SpectrogramTransformer:
    """A small AST with a logit for each word."""
    torch.manual_seed(seed)
    frames = SAMPLES // HOP + 1
    config = replace(AST_SMALL, num_classes=words.count, num_frames=frames)
    model, generator = SpectrogramTransformer(config), torch.Generator().manual_seed(seed)

    def draw_loss() -> Tensor:
        mels, tags = words.mix(BATCH, generator)
        return LOSSES[loss](model(mels), tags)

    desc = f"{loss}, seed {seed}"
    descend(model, draw_loss, steps, rate=RATE, warmup=WARMUP, desc=desc)
    return model.eval()


@torch.inference_mode()
def measure(model: SpectrogramTransformer, loss: str, mels: Tensor, tags: Tensor) -> dict:
    """mAP with its interval, and how often the highest scores are all words of a clip."""
    logits = torch.cat([model(some) for some in mels.split(BATCH)])
    # what orders clips is a probability; a sigmoid keeps the order of its logits
    scores = logits.softmax(dim=1) if loss == "one softmax" else logits
    generator, truth = torch.Generator().manual_seed(0), tags > 0
    drawn = [torch.randint(len(tags), (len(tags),), generator=generator) for _ in range(DRAWS)]
    again = torch.tensor([mean_average_precision(scores[i], truth[i])[0] for i in drawn])
    low, high = again.quantile(torch.tensor([0.025, 0.975])).tolist()
    counts = truth.sum(dim=1)
    ranks = scores.argsort(dim=1, descending=True).argsort(dim=1)
    right = ((ranks < counts[:, None]) == truth).all(dim=1)
    shares = [right[counts == k].float().mean().item() for k in range(1, MOST + 1)]
    value, _ = mean_average_precision(scores, truth)
    return {"map": value, "low": low, "high": high, "all_right": shares}


if __name__ == "__main__":
    main()
