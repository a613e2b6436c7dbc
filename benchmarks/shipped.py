"""How well the model that comes with kws recognizes the words of people, and its card.

    python benchmarks/shipped.py RECORDINGS [--card]

RECORDINGS has speech_commands_excerpt/ (clips of the official test, all of which are used here) and
continuous_speech/. Accuracy is over those clips under v2-12. Streams are made of the same clips as
`kws data stream` makes them; in continuous speech every event counts as a false alarm, although a
sentence may contain one of the words. For more hours of it embedded voices read: those kept for
testing, sentences of Python's reference manual without any of the words. Nothing was chosen on
these voices and sentences. --card writes kws/pretrained/keywords.md. A quarter of an hour of one
core.
"""

import argparse
import hashlib
import json
import platform
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from report import hardware

import kws
from kws.data.embedded.corpus import draw_cast
from kws.data.embedded.speaker_corpus import recorded_sentence
from kws.data.embedded.voices import Voice, say, speaker_splits
from kws.data.listing import LIST_FILES
from kws.data.speech_commands import load_speech_commands
from kws.data.streams import make_streams, read_truth
from kws.inference.detector import Trigger, words_of
from kws.inference.evaluate import evaluate
from kws.inference.onnx_stream import SHIPPED_ONNX, OnnxStream
from kws.inference.stream_evaluation import (
    AlarmRate,
    Scored,
    det_curve,
    events_of,
    match,
    score_blocks,
    score_recordings,
    speech_blocks,
)
from kws.metrics import Proportion
from kws.models.counts import count_parameters
from kws.training.checkpoint import SHIPPED, Trained, read_checkpoint

THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
RATIOS = (-100, 8, 14, 20, 26, 32, 100)  # dB: borders of the table of noise
CARD = SHIPPED["keywords"].with_suffix(".md")
VOICES, CAST = 24, "manual"  # voices that read, and the seed that they are drawn from
PAUSE = np.zeros(4000, np.float32)  # a quarter of a second between sentences


def whole(excerpt: Path, out: Path) -> Path:
    """All clips of the excerpt as one test: without its own lists the speaker's hash decides."""
    out.mkdir(parents=True, exist_ok=True)
    for part in sorted(excerpt.iterdir()):
        if part.name not in LIST_FILES.values() and not (out / part.name).exists():
            (out / part.name).symlink_to(part.resolve())
    return out


def interval(each: Proportion | AlarmRate, scale: float = 1.0) -> str:
    """The value and its 95 % interval."""
    return f"{scale * each.value:.1f} ({scale * each.low:.1f}–{scale * each.high:.1f})"


def sentences_of(text: str) -> list[str]:
    """The sentences of `text` that take some seconds to read."""
    text = re.sub(r"\s+", " ", re.sub(r"[`*_\"]", "", text))
    return [each for each in re.split(r"(?<=[.:;?!])\s", text) if 40 < len(each) < 250]


def manual(words: Iterable[str]) -> list[str]:
    """Sentences of Python's reference manual in letters alone and without `words`, each once."""
    paragraphs = [each for name in sorted(topics) for each in topics[name].split("\n\n")]
    found = [each for text in paragraphs for each in sentences_of(text)]
    plain = [each for each in found if re.fullmatch(r"[A-Za-z ,;:.'()?!-]+", each)]
    known = set(words)
    return [
        each
        for each in dict.fromkeys(plain)
        if known.isdisjoint(re.findall("[a-z]+", each.lower()))
    ]


def unseen_voices() -> list[Voice]:
    """Voices with variants that no training or validation voice has."""
    count = 10 * VOICES  # one of ten is for testing
    splits = speaker_splits(count, CAST)
    cast = draw_cast(count, CAST).items()
    return [voice for name, (voice, _) in cast if splits[name] == "testing"]


def reading(voices: Sequence[Voice], texts: Sequence[str], scratch: Path) -> Iterator[np.ndarray]:
    """Each voice reads its part of the texts, at another microphone for each sentence."""
    rng = np.random.default_rng(0)
    for place, voice in enumerate(voices):
        for spoken in say(voice, texts[place :: len(voices)], rng, scratch):
            yield recorded_sentence(spoken, rng).astype(np.float32)
            yield PAUSE


def by_ratio(streams: list[Scored], trained: Trained, trigger: Trigger) -> list[str]:
    """Rows of the table of misses by ratio of word to noise."""
    by_name: dict[str, list[bool]] = {}
    for scored in streams:
        missed, _ = match(events_of(scored, trained.labels, trigger), scored.truth)
        for word in scored.truth:
            name = "silence"
            if word.ratio is not None:
                place = sum(word.ratio >= border for border in RATIOS) - 1
                name = f"{RATIOS[place]} to {RATIOS[place + 1]} dB"
            by_name.setdefault(name, []).append(word in missed)
    names = [f"{low} to {high} dB" for low, high in pairwise(RATIOS)]
    shown = {"-100 to 8 dB": "below 8 dB", "32 to 100 dB": "32 dB and more"}
    rows = ["| word over noise | n | missed %, 95 % interval |", "|---|---|---|"]
    for name in (*names, "silence"):
        found = Proportion(correct=sum(by_name.get(name, ())), n=len(by_name.get(name, ())))
        if found.n:
            rows.append(f"| {shown.get(name, name)} | {found.n} | {interval(found, 100)} |")
    return rows


def main() -> None:
    """Print the tables, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--minutes", type=float, default=60, help="of each stream")
    parser.add_argument("--files", type=int, default=2, help="streams")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--card", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    trained, trigger = kws.load("keywords"), Trigger()
    listening = OnnxStream(SHIPPED_ONNX)  # as `kws listen` runs it; a test holds both together
    made_of, seed = read_checkpoint(SHIPPED["keywords"])["made"], trained.recipe.train.seed
    with tempfile.TemporaryDirectory() as scratch:
        data = whole(chosen.recordings / "speech_commands_excerpt", Path(scratch, "data"))
        clips = load_speech_commands(data, "v2-12", "testing")
        accuracy = evaluate(trained, clips)[0].accuracy
        print("accuracy", accuracy, flush=True)
        made = make_streams(
            Path(scratch, "streams"),
            data,
            words=list(words_of(trained.labels)),
            minutes=chosen.minutes,
            files=chosen.files,
            seed=chosen.seed,
        )
        truth = [each for spoken in read_truth(made).values() for each in spoken]
        streams = list(score_recordings(listening, made, trigger))
    others = sum(each.word not in words_of(trained.labels) for each in truth)
    spoken = speech_blocks(chosen.recordings / "continuous_speech")
    speech = score_blocks(listening, spoken, trigger)
    texts, voices = manual(words_of(trained.labels)), unseen_voices()
    with tempfile.TemporaryDirectory() as scratch:
        read = score_blocks(listening, reading(voices, texts, Path(scratch)), trigger)
    table = [
        "| threshold | missed % | false alarms an hour | an hour of orders | an hour of reading |",
        "|---|---|---|---|---|",
    ]
    curve = det_curve(streams, trained.labels, trigger, thresholds=THRESHOLDS, speech=speech)
    for point in curve:
        total = point.total
        assert point.speech is not None
        events = events_of(read, trained.labels, replace(trigger, threshold=point.threshold))
        reads = AlarmRate(count=len(events), hours=read.seconds / 3600)
        table.append(
            f"| {point.threshold:g} | {interval(total.missed, 100)} | "
            f"{interval(total.alarms)} | {interval(point.speech)} | {interval(reads)} |"
        )
    default = next(each for each in curve if each.threshold == trigger.threshold).total
    thousand = AlarmRate(count=default.alarms.count, hours=others / 1000)
    body = SHIPPED["keywords"].read_bytes()
    version = ".".join(platform.python_version_tuple()[:2])
    lines = [
        "# The model `keywords`",
        "",
        "It knows yes, no, up, down, left, right, on, off, stop and go, said by people in English;",
        "anything else is `_unknown_` or `_silence_`. Written by `benchmarks/shipped.py`.",
        "",
        "- two CRNNs, whose logits are averaged (`crnn-pair`), trained apart by the recipes",
        f"  `keywords-stream`, then `keywords-sentences`, seed {seed}: {made_of};",
        "  after each `then` the averaged weights halfway to those before; as int8 of 63 values,",
        "  with a scale for each row (`benchmarks/shipped_training.py`)",
        f"- {count_parameters(trained.model):,} parameters, {len(body) / 1000:.0f} kB",
        f"- SHA-256 `{hashlib.sha256(body).hexdigest()}`",
        "- trained on 5,074 clips of Speech Commands by speakers outside its official test, the",
        "  first 80 % of its background recordings, 800 words and 1,200 seconds of sentences of",
        "  espeak-ng; 707 clips by other speakers were for validation, and sentences of espeak-ng",
        "  for its choice. Speech Commands: Pete Warden, CC BY 4.0,",
        "  https://arxiv.org/abs/1804.03209",
        "",
        f"**Clips.** {accuracy}, protocol v2-12. They are part of the official test, by speakers",
        "who are not in the training data.",
        "",
        f"**Streams** of these clips: {default.alarms.hours:.2f} h, n = {default.missed.n} words",
        f"and {others} other words, seed {chosen.seed}, trigger {trigger}. Continuous speech:",
        f"people order coffee for {speech.seconds / 60:.1f} minutes; a sentence may contain no, on "
        "or off, and every event is",
        f"counted. {len(voices)} voices of espeak-ng that are in no training set read for "
        f"{read.seconds / 3600:.2f} h the",
        f"{len(texts):,} sentences of Python {version}'s reference manual that have none of the "
        "ten",
        "words. All with 95 % intervals.",
        "",
        *table,
        "",
        f"At {trigger.threshold:g} these are {interval(thousand)} false alarms per 1,000 other",
        "words, one command taken for another included. Misses by the ratio of the power of the",
        "word's second to that of the noise:",
        "",
        *by_ratio(streams, trained, trigger),
        "",
        "**Not for** anything where a missed or a false word does harm, other languages, or",
        "several people at once: nothing of this was measured.",
        "",
    ]
    print(*lines, sep="\n")
    if chosen.card:
        CARD.write_text("\n".join(lines), encoding="utf-8")
    print(f"{time.process_time() - began:.0f} CPU s, {hardware()}")
    missed, alarms = default.missed.as_dict(), default.alarms.as_dict()
    print(json.dumps({"benchmark": "shipped", "n": accuracy.n, "missed": missed, "alarms": alarms}))


if __name__ == "__main__":
    main()
