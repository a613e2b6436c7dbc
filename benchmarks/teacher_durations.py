"""FastSpeech on durations from a teacher's attention, beside those of the speech engine.

    python benchmarks/teacher_durations.py [--steps 400] [--voice-steps 600] [--seeds 1]

FastSpeech has no engine that knows when a phoneme begins: Ren et al. 2019, section 3.3
(https://arxiv.org/abs/1905.09263), take durations from an autoregressive Transformer-TTS. Of its
attention heads over the text they choose the most diagonal one, that with the largest focus rate
F = mean over steps of the largest weight, and a phoneme lasts for as many steps as have it as their
arg-max. The teacher is that of 8.4 to 8.6, with guided attention (Tachibana et al. 2018), a
step of so many frames; it gets the text and the mels of the phrases alone. Then two voices of the
recipe `text-to-speech` are trained, one on each kind of durations, in the same order and from the
same weights. Durations are compared with the engine's on phrases of new words, and a listener
recognizes the 35 keywords, none of which is in a training phrase.
About five CPU minutes a seed, and the first time two for the listener.
"""

import argparse
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from descent import descend
from report import finish as print_last
from report import mean_and_deviation, print_table
from torch import Tensor, nn

from kws.data.embedded.phrases import SYMBOLS, phrase_texts
from kws.data.protocols import V2_WORDS
from kws.inference.listener import listener, recognize
from kws.inference.synthesizer import Synthesizer
from kws.metrics import Proportion
from kws.models.decoder import CrossAttention
from kws.models.fastspeech import STRESSES
from kws.models.scaled_positions import ScaledPositions
from kws.models.transformer import EncoderLayer, FeedForward
from kws.training.loop import begin, finish
from kws.training.recipe import load_recipe
from kws.training.synthesis import SpokenTexts, spoken_texts
from kws.training.voice_run import measure_voice, voice_objective

PER_STEP = 2  # frames of a step of the teacher
D_MODEL, HEADS, LONGEST = 128, 4, 1000
BATCH, RATE, WARMUP = 16, 2e-3, 15
GUIDE = 0.3  # width of the diagonal, as a share of the text
STOP_WEIGHT = 5.0
TEST_PHRASES = 100


class Teacher(nn.Module):
    """Phonemes and the frames so far -> the next frames, stop logits and attention (B, H, S, U)."""

    def __init__(self, n_mels: int):
        super().__init__()
        self.symbols = nn.Embedding(len(SYMBOLS) + 1, D_MODEL, padding_idx=0)
        self.stresses = nn.Embedding(STRESSES, D_MODEL)
        self.text_places, self.places = (ScaledPositions(D_MODEL, LONGEST) for _ in range(2))
        self.encoder = EncoderLayer(D_MODEL, HEADS, 2 * D_MODEL, norm_first=True)
        self.first, self.second = nn.Linear(n_mels, D_MODEL), nn.Linear(D_MODEL, D_MODEL)
        self.center = nn.Linear(D_MODEL, D_MODEL)
        self.own, self.text = (CrossAttention(D_MODEL, HEADS) for _ in range(2))
        self.feed_forward = FeedForward(D_MODEL, 2 * D_MODEL)
        self.norms = nn.ModuleList(nn.LayerNorm(D_MODEL) for _ in range(3))
        self.out, self.stop = nn.Linear(D_MODEL, PER_STEP * n_mels), nn.Linear(D_MODEL, 1)

    def forward(self, phonemes: Tensor, valid: Tensor, mel: Tensor) -> tuple[Tensor, ...]:
        """mel (B, S * PER_STEP, F), of which each step reads the frame before it."""
        memory = self.symbols(phonemes[..., 0]) + self.stresses(phonemes[..., 1])
        memory = self.encoder(self.text_places(memory), valid)
        before = F.pad(mel[:, PER_STEP - 1 :: PER_STEP], (0, 0, 1, -1))
        y = F.dropout(self.first(before).relu(), 0.5)  # in evaluation, too, as in Tacotron 2
        y = self.places(self.center(F.dropout(self.second(y).relu(), 0.5)))
        z = self.norms[0](y)
        y = y + self.own(z, z, causal=True)
        z = self.norms[1](y)
        weights = self.text.weights(z, memory, valid)
        y = y + self.text(z, memory, valid)
        y = y + self.feed_forward(self.norms[2](y))
        frames = self.out(y).unflatten(-1, (PER_STEP, -1)).flatten(1, 2)
        return frames, self.stop(y)[..., 0], weights


def main() -> None:
    """Train teachers and voices, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=400, help="of a teacher")
    parser.add_argument("--voice-steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    judge = listener()
    testing = spoken_texts(phrase_texts(TEST_PHRASES, "testing", seed="testing"))
    rows = []
    for seed in range(options.seeds):
        steps = options.voice_steps
        overrides = [f"train.total_steps={steps}", f"train.validate_every={steps}"]
        recipe = load_recipe("text-to-speech", [*overrides, f"train.seed={seed}"])
        objective = voice_objective(recipe, torch.device("cpu"))
        teacher = train_teacher(objective.train, options.steps, seed)
        known, focus = read_durations(teacher, objective.train)
        off = torch.cat(known) - torch.cat(objective.train.durations)
        given = {
            "the engine": objective.train,
            "a teacher's attention": replace(objective.train, durations=known),
        }
        for name, texts in given.items():
            learns = voice_objective(recipe, torch.device("cpu"))
            learns = replace(learns, train=texts)
            with TemporaryDirectory() as folder:
                finish(begin(learns, folder), progress=False)
            voice = Synthesizer(model=learns.model.eval())
            words = recognize(judge, [voice.say(word) for word in V2_WORDS])
            right = sum(a == b for a, b in zip(words, V2_WORDS, strict=True))
            figures = measure_voice(learns.model, testing)
            given_off = 0.0 if texts is objective.train else float(off.abs().double().mean())
            rows.append(
                {"durations": name, "seed": seed, "focus_rate": focus, "given_off": given_off}
                | {"predicted_off": figures["duration_error"], "recognized": right}
            )
    print("Frames of 10 ms; the predicted durations are those of phrases of new words.")
    print_table(
        [
            "durations from",
            "seed",
            "those given: off",
            "those predicted: off",
            "keywords recognized",
        ],
        [
            [
                *(row[key] for key in ("durations", "seed", "given_off", "predicted_off")),
                str(Proportion(correct=row["recognized"], n=len(V2_WORDS))),
            ]
            for row in rows
        ],
    )
    print(f"mean ± s.d. over {options.seeds} seeds, keywords of n = {len(V2_WORDS)}:")
    print_table(["durations from", "focus", "given: off", "predicted: off", "%"], summarize(rows))
    print_last({"teacher_steps": options.steps, "voice_steps": options.voice_steps, "rows": rows})


def summarize(rows: list[dict[str, Any]]) -> list[list[str]]:
    """A line for each source of durations: mean ± s.d. over its seeds."""
    lines = []
    for name in dict.fromkeys(row["durations"] for row in rows):
        seeds = [row for row in rows if row["durations"] == name]
        line = [name]
        for key, scale in (
            ("focus_rate", 1),
            ("given_off", 1),
            ("predicted_off", 1),
            ("recognized", 100 / len(V2_WORDS)),
        ):
            values = [scale * row[key] for row in seeds]
            line.append(mean_and_deviation(values, digits=2))
        lines.append(line)
    return lines


def train_teacher(texts: SpokenTexts, steps: int, seed: int) -> Teacher:
    """A Transformer-TTS whose attention is kept near the diagonal; it sees no durations."""
    torch.manual_seed(seed)
    teacher = Teacher(texts.mels[0].shape[1])
    batches = texts.training_batches(BATCH, torch.Generator().manual_seed(seed))

    def draw_loss() -> Tensor:
        return teacher_loss(teacher, texts, next(batches))

    descend(teacher, draw_loss, steps, rate=RATE, warmup=WARMUP, desc="teacher")
    return teacher.eval()


def mels_of(texts: SpokenTexts, rows: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """phonemes, valid, the mels in whole steps, normalized, and how many steps each has."""
    phonemes, valid, _, mel = texts.batch(rows)
    mel = (mel - texts.mean) / texts.deviation
    steps = torch.tensor([-(-len(texts.mels[row]) // PER_STEP) for row in rows])
    return phonemes, valid, F.pad(mel, (0, 0, 0, -mel.shape[1] % PER_STEP)), steps


def teacher_loss(teacher: Teacher, texts: SpokenTexts, rows: list[int]) -> Tensor:
    """Error of the frames, of the stop token, and attention off the diagonal."""
    phonemes, valid, mel, lengths = mels_of(texts, rows)
    frames, stop, weights = teacher(phonemes, valid, mel)
    places = torch.arange(stop.shape[1])
    spoken = places < lengths[:, None]
    real = spoken.repeat_interleave(PER_STEP, dim=1)
    last = (places == lengths[:, None] - 1).float()
    stops = F.binary_cross_entropy_with_logits(
        stop[spoken], last[spoken], pos_weight=torch.tensor(STOP_WEIGHT)
    )
    far = places[:, None] / lengths[:, None, None]
    far = far - torch.arange(valid.shape[1]) / valid.sum(dim=1)[:, None, None]
    guide = 1 - (-(far**2) / (2 * GUIDE**2)).exp()
    off = (weights * guide[:, None]).sum(dim=3).mean(dim=1)[spoken].mean()
    return F.l1_loss(frames[real], mel[real]) + stops + off


@torch.inference_mode()
def read_durations(teacher: Teacher, texts: SpokenTexts) -> tuple[list[Tensor], float]:
    """Durations of every phrase, in frames, from its most diagonal head; and the focus rate."""
    found, focus = [], []
    for row in range(len(texts)):
        phonemes, valid, mel, _ = mels_of(texts, [row])
        weights = teacher(phonemes, valid, mel)[2][0]  # (H, S, U)
        rates = weights.amax(dim=2).mean(dim=1)
        at = weights[rates.argmax()].argmax(dim=1).repeat_interleave(PER_STEP)
        at = at[: len(texts.mels[row])]  # the last step may be longer than the recording
        found.append(torch.bincount(at, minlength=phonemes.shape[1]))
        focus.append(rates.max())
    return found, float(torch.stack(focus).mean())


if __name__ == "__main__":
    main()
