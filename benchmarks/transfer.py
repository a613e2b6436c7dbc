"""Does the embedded corpus teach anything about people? Train on its digits, test on real ones.

    export KWS_REAL_DATA=FOLDER
    python benchmarks/transfer.py                           test on free_spoken_digits
    python benchmarks/transfer.py --adapt                   and self-training on its recordings
    python benchmarks/transfer.py --choose                  everything but that test

Training uses synthetic voices alone.
The test is free_spoken_digits in FOLDER: 2,000 recordings at 8 kHz. Nothing was chosen on it:
model, augmentation and their numbers were chosen with `--choose`, on held-out synthetic voices and
on the 158 digits of speech_commands_excerpt, other people, brought down to 8 kHz.

The test's people, microphones and sampling rate differ from the training's, so all that a
microphone may change is taken away or made random: bands up to 3.8 kHz, the word in the middle,
what lies 45 dB below the loudest point cut off, the mean over time subtracted; in training noise,
tilt, other vocal tracts and tempi, SpecAugment and mixup.

With --adapt the model goes on, after that test, with recordings of the test whose labels it does
not see. It labels them itself (self-training, Lee 2013) so that every digit comes equally often,
which is all that it knows about them (Sinkhorn and Knopp 1967; Asano et al. 2020,
https://arxiv.org/abs/1911.05371), and trains on batches of them and of synthetic voices in equal
parts, three rounds: once on all recordings; and for each speaker on those of the others alone, so
that it never met the person who is tested.

CPU seconds count this process and its children: synthesis, features, training and test.

Shape letters: B clips   T frames   F bands   C classes
"""

import argparse
import os
import sys
import tempfile
from collections import Counter, defaultdict
from copy import deepcopy
from pathlib import Path

import torch
from report import cpu_seconds, finish, print_table
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kws.audio import augment
from kws.audio.features import log_mel, pad_or_trim
from kws.audio.recordings import CLIP_SAMPLES, read_audio
from kws.audio.resampling import resample
from kws.data.embedded.corpus import make_corpus
from kws.data.protocols import SPLITS
from kws.data.split_rule import which_split
from kws.metrics import Proportion
from kws.models.registry import build_model
from kws.training.schedule import cosine_warmup

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS, REPETITIONS = 400, 4
EPOCHS, BATCH = 7, 32
LEARNING_RATE, WARMUP_STEPS, WEIGHT_DECAY = 1.5e-3, 200, 0.02
BANDS, F_MAX = 40, 3800.0  # Hz
FRAMES = 88  # 0.88 s around the middle of the word
MARGIN = 50  # frames of silence put on both sides before that is cut out
ROUNDS, ROUND_STEPS, ADAPT_RATE, SINKHORN_TURNS = 3, 150, 3e-4, 20  # self-training
DEPTH = 45 * augment.DECIBEL  # below the loudest point, in the unit of a log-mel
LONGEST = 5 * CLIP_SAMPLES // 2


def features(waveforms: Tensor) -> Tensor:
    """Log-mel spectrograms (B, FRAMES, BANDS) of waveforms (B, N), the word in the middle."""
    mel = log_mel(waveforms, n_mels=BANDS, f_min=60.0, f_max=F_MAX, floor=1e-10)
    return center(mel)


def center(mel: Tensor) -> Tensor:
    """FRAMES frames of each spectrogram around the center of gravity of its sound (B, T, F)."""
    amplitude = (0.5 * mel.logsumexp(2)).exp()  # (B, T)
    above = (amplitude - 2 * amplitude.quantile(0.2, dim=1, keepdim=True)).clamp(min=0) + 1e-9
    frames = torch.arange(mel.shape[1])
    middle = ((above * frames).sum(1) / above.sum(1)).round().long()
    silence = mel.amin(1, keepdim=True).expand(-1, MARGIN, -1)
    mel = torch.cat([silence, mel, silence], dim=1)
    index = middle[:, None] + MARGIN - FRAMES // 2 + torch.arange(FRAMES)
    return mel.gather(1, index[..., None].expand(-1, -1, mel.shape[2]))


def load(paths: list[Path], num_samples: int) -> Tensor:
    """Features of recordings, a hundred at a time."""
    parts = []
    for start in range(0, len(paths), 100):
        waveforms = [
            pad_or_trim(read_audio(path, resample=True), num_samples)
            for path in paths[start : start + 100]
        ]
        parts.append(features(torch.stack(waveforms)))
    return torch.cat(parts)


def load_narrow(paths: list[Path]) -> Tensor:
    """The same of 16 kHz recordings, brought down to 8 kHz and up again."""
    narrow = [resample(resample(read_audio(path), 16_000, 8_000), 8_000, 16_000) for path in paths]
    return features(torch.stack([pad_or_trim(waveform, LONGEST) for waveform in narrow]))


def clean(mel: Tensor) -> Tensor:
    """What the model reads: cut off below DEPTH, without the mean over time, near unit size."""
    mel = torch.maximum(mel, mel.amax((1, 2), keepdim=True) - DEPTH)
    return (mel - mel.mean(1, keepdim=True)) / 3


def add_noise(mel: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
    """Add a passage of noise frames (M, F), 5 to 60 dB below the loudest point: powers add up."""
    start = torch.randint(len(noise) - FRAMES, (len(mel),), generator=generator)
    passage = noise[start[:, None] + torch.arange(FRAMES)]
    below = (5 + 55 * torch.rand(len(mel), generator=generator)) * augment.DECIBEL
    level = mel.amax((1, 2)) - below - passage.amax((1, 2))
    return torch.logaddexp(mel, passage + level[:, None, None])


def vary(mel: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
    """Another microphone, vocal tract, tempo and place in the clip."""
    mel = augment.warp_frequency(mel, 0.15, generator)
    mel = augment.warp_time(mel, 0.25, generator)
    shift = torch.randint(-8, 9, (len(mel),), generator=generator)
    index = (torch.arange(FRAMES) - shift[:, None]).clamp(0, FRAMES - 1)
    mel = mel.gather(1, index[..., None].expand_as(mel))
    mel = augment.random_tilt(mel, 12.0, generator)
    return add_noise(mel, noise, generator)


def shuffled(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """One epoch: all numbers below `count` in random order, BATCH at a time, the rest left out."""
    order = torch.randperm(count, generator=generator)
    return order[: count // BATCH * BATCH].split(BATCH)


def fit(
    model: torch.nn.Module,
    batches: list[tuple[Tensor, Tensor]],
    noise: Tensor,
    generator: torch.Generator,
    *,
    rate: float,
    warmup_steps: int,
    decay: float,
) -> torch.nn.Module:
    """A copy with the weights averaged over the last steps, after one step on each batch.

    A batch is spectrograms (B, T, F) and their digits (B,). `decay` is that of the average.
    """
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    model.train()
    for step, (mel, labels) in enumerate(batches):
        x = clean(vary(mel.float(), noise, generator))
        x = augment.spec_augment(x, generator, max_time=12, max_freq=6)
        targets = F.one_hot(labels, len(DIGITS)).float()
        x, targets = augment.mixup(x, targets, 0.2, generator)
        loss = F.cross_entropy(model(x), targets, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        scale = cosine_warmup(step, warmup_steps=warmup_steps, total_steps=len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate * scale
        optimizer.step()
        averaged.update_parameters(model)
        if step % 100 == 0:
            print(f"step {step} of {len(batches)}: loss {loss.item():.3f}", file=sys.stderr)
    return averaged.module.eval()


def train(mel: Tensor, labels: Tensor, noise: Tensor, epochs: int, seed: int) -> torch.nn.Module:
    """A CRNN's weights, averaged over the last few hundred steps of training."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = build_model("crnn-small", num_features=BANDS, num_classes=len(DIGITS))
    rows = [each for _ in range(epochs) for each in shuffled(len(mel), generator)]
    batches = [(mel[each], labels[each]) for each in rows]
    return fit(
        model,
        batches,
        noise,
        generator,
        rate=LEARNING_RATE,
        warmup_steps=WARMUP_STEPS,
        decay=0.995,
    )


def balance(probabilities: Tensor) -> Tensor:
    """Scale columns and rows (B, C) in turn, until each class has about the same total."""
    for _ in range(SINKHORN_TURNS):
        probabilities = probabilities / probabilities.mean(0)
        probabilities = probabilities / probabilities.sum(1, keepdim=True)
    return probabilities


def adapt(
    model: torch.nn.Module, mel: Tensor, labels: Tensor, unlabeled: Tensor, noise: Tensor, seed: int
) -> torch.nn.Module:
    """The model after ROUNDS of self-training on spectrograms without labels (U, T, F)."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(ROUNDS):
        own = balance(predict(model, unlabeled)).argmax(1)
        batches = []
        for _ in range(ROUND_STEPS):
            known = torch.randint(len(mel), (BATCH // 2,), generator=generator)
            new = torch.randint(len(unlabeled), (BATCH // 2,), generator=generator)
            both = torch.cat([mel[known], unlabeled[new].half()])
            batches.append((both, torch.cat([labels[known], own[new]])))
        model = fit(
            deepcopy(model),
            batches,
            noise,
            generator,
            rate=ADAPT_RATE,
            warmup_steps=0,
            decay=0.98,
        )
    return model


@torch.no_grad()
def predict(model: torch.nn.Module, mel: Tensor) -> Tensor:
    """Probabilities (B, C) of spectrograms (B, T, F)."""
    return torch.cat([model(clean(part.float())).softmax(1) for part in mel.split(250)])


def score(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """Which clips are right (B,), and the mean of -ln p of the truth; probabilities (B, C)."""
    surprise = -probabilities.gather(1, labels[:, None]).log().mean()
    return probabilities.argmax(1) == labels, float(surprise)


def labels_of(paths: list[Path]) -> Tensor:
    """The digit of clips in word folders."""
    return torch.tensor([DIGITS.index(path.parent.name) for path in paths])


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on embedded digits, test on real ones.")
    parser.add_argument("--choose", action="store_true", help="leave the test out")
    parser.add_argument("--adapt", action="store_true", help="self-training on the test recordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--speakers", type=int, default=SPEAKERS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--corpus", type=Path, help="keep the corpus here")
    parser.add_argument("--save", type=Path, help="keep the weights here")
    options = parser.parse_args()
    if "KWS_REAL_DATA" not in os.environ:
        finish({"skipped": "set KWS_REAL_DATA to a folder that holds free_spoken_digits"})
        return
    people = Path(os.environ["KWS_REAL_DATA"])
    torch.set_num_threads(1)  # CPU seconds count, and one thread wastes none of them

    with tempfile.TemporaryDirectory() as scratch:
        corpus = make_corpus(
            options.corpus or Path(scratch, "digits"),
            words=DIGITS,
            speakers=options.speakers,
            repetitions=options.repetitions,
            noise_seconds=20,
        )
        print(f"synthesis: {cpu_seconds():.0f} CPU s", file=sys.stderr)
        split = defaultdict(list)
        for path in sorted(corpus.glob("*/*_nohash_*.wav")):
            split[which_split(path.name)].append(path)
        mel = {name: load(split[name], CLIP_SAMPLES).half() for name in SPLITS}
        recordings = sorted(corpus.glob("_background_noise_/*.wav"))
        noise = torch.cat(
            [
                log_mel(read_audio(path)[None], n_mels=BANDS, f_min=60.0, f_max=F_MAX)[0]
                for path in recordings
            ]
        )
    print(f"features: {cpu_seconds():.0f} CPU s", file=sys.stderr)
    known = mel["training"], labels_of(split["training"])
    model = train(*known, noise, options.epochs, options.seed)
    print(f"training: {cpu_seconds():.0f} CPU s", file=sys.stderr)
    if options.save:
        torch.save(model.state_dict(), options.save)

    rows, results = [], {}

    def report(name: str, right: Tensor, surprise: float | None = None) -> None:
        share = Proportion(correct=int(right.sum()), n=len(right))
        rows.append([name, share.n, 100 * share.value, 100 * share.low, 100 * share.high, surprise])

    for name in SPLITS[1:]:
        report(f"embedded, {name}", *score(predict(model, mel[name]), labels_of(split[name])))
    excerpt = people / "speech_commands_excerpt"
    paths = [path for digit in DIGITS for path in sorted(excerpt.glob(f"{digit}/*.wav"))]
    if paths:
        right, surprise = score(predict(model, load_narrow(paths)), labels_of(paths))
        report("speech_commands_excerpt at 8 kHz", right, surprise)
        results["chosen_on"] = float(right.float().mean())
    if not options.choose:
        paths = sorted((people / "free_spoken_digits").glob("*.wav"))
        truth = torch.tensor([int(path.name.split("_")[0]) for path in paths])
        digits = load(paths, LONGEST)
        probabilities = predict(model, digits)
        right, surprise = score(probabilities, truth)
        report("free_spoken_digits", right, surprise)
        taken = probabilities.argmax(1)[~right]
        mistakes = Counter(zip(truth[~right].tolist(), taken.tolist(), strict=True))
        frequent = [f"{DIGITS[a]} → {DIGITS[b]} {n}" for (a, b), n in mistakes.most_common(5)]
        print("most frequent mistakes:", ", ".join(frequent))
        speakers = [path.name.split("_")[1] for path in paths]
        for speaker in sorted(set(speakers)):
            own = right[[name == speaker for name in speakers]]
            report(f"  {speaker}", own)
            results.setdefault("per_speaker", {})[speaker] = float(own.float().mean())
        results |= {"accuracy": float(right.float().mean()), "n": len(right)}
        if options.adapt:
            adapted = adapt(model, *known, digits, noise, options.seed)
            report("adapted to all, without labels", *score(predict(adapted, digits), truth))
            unseen = torch.zeros(len(truth), dtype=torch.bool)
            for speaker in sorted(set(speakers)):
                own = torch.tensor([name == speaker for name in speakers])
                adapted = adapt(model, *known, digits[~own], noise, options.seed)
                unseen[own] = score(predict(adapted, digits[own]), truth[own])[0]
            report("adapted to the other speakers, without labels", unseen)
    print_table(["test", "n", "accuracy, %", "from", "to", "-ln p"], rows)
    results |= {
        "cpu_seconds": cpu_seconds(),
        "parameters": sum(map(torch.numel, model.parameters())),
    }
    finish(results)


if __name__ == "__main__":
    main()
