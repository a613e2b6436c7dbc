"""The embedded corpus for speaker recognition: features of sentences, in the homework's layout.

    mapping.json, metadata.json, testdata.json, uttr-<32 hex>.pt   as `kws.data.speakers` reads them
    test_labels.csv   the answers of testdata.json, header `Id,Category`
    voices.json       how each voice was made

Every voice has a vocal tract and a pitch of its own. Microphone, room and noise are drawn for each
utterance: one fixed for each speaker would give the answer away. No word of a test sentence occurs
in a training sentence.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from kws.audio.features import speaker_log_mel
from kws.audio.recordings import CLIP_SAMPLES
from kws.data.embedded.corpus import draw_cast
from kws.data.embedded.espeak import ENGINE_NAME
from kws.data.embedded.provenance import corpus_folder, describe_seed
from kws.data.embedded.recording import amplitude, draw_setup, noise, record, rms, trim
from kws.data.embedded.sentences import draw_sentence
from kws.data.embedded.voices import Voice, draw_parametric_voice, generator, say, speaker_splits
from kws.errors import UsageError
from kws.parallel import thread_map

N_MELS = 40
SHORTEST = 91  # frames, as in the homework
ATTEMPTS = 100
RECORD = "voices.json"
TEST_PART = 4  # one test utterance for so many labeled ones
TALKERS, CUTS, TALK_RATES = 120, 3, (120, 240)  # voices, clips of a sentence, words a minute
VERSION = 1  # of the bytes that a seed gives
Result = TypeVar("Result")


def make_speaker_corpus(
    out: str | Path,
    *,
    speakers: int = 100,
    utterances: int = 24,
    seed: int | str = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Make speaker features at `out`, or find them; arguments and errors as `make_corpus`."""
    out = Path(out)
    if speakers < 2 or utterances < 2:
        raise UsageError(f"speakers={speakers} and utterances={utterances} must be 2 or more")
    recipe = {
        "corpus": "embedded speakers",
        "version": VERSION,
        "seed": describe_seed(seed),
        "speakers": speakers,
        "utterances": utterances,
    }
    with corpus_folder(out, RECORD, recipe) as folder:
        if folder is None:
            return out
        voices = speaker_voices(speakers, seed)
        scratch = folder / ".engine"
        scratch.mkdir()

        def all_utterances(speaker: str) -> dict[str, list[dict[str, Any]]]:
            rng = generator(seed, "speaker takes", speaker)
            splits = ["training"] * utterances + ["testing"] * -(-utterances // TEST_PART)
            mels = spoken_features(voices[speaker], splits, rng, scratch)
            entries: dict[str, list[dict[str, Any]]] = {"training": [], "testing": []}
            for number, (split, mel) in enumerate(zip(splits, mels, strict=True)):
                name = f"uttr-{digest(seed, speaker, number)}.pt"
                torch.save(mel.clone(), folder / name)
                entries[split].append({"feature_path": name, "mel_len": len(mel)})
            return entries

        made = for_each_voice(all_utterances, voices, f"speaking into {out}", workers, progress)
        scratch.rmdir()
        write_tables(folder, dict(zip(voices, made, strict=True)))
        write_json(
            folder / RECORD, {"recipe": recipe, "engine": ENGINE_NAME, "voices": about(voices)}
        )
    return out


def speak_again(
    *,
    recordings_seed: int | str,
    speakers: int = 100,
    utterances: int = 1,
    seed: int | str = 0,
    workers: int | None = None,
    progress: bool = False,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """New test sentences by the voices of `make_speaker_corpus(speakers=…, seed=…)`.

    Sentences, rates, microphones and rooms follow from `recordings_seed`, which may be kept secret:
    what a model is asked about can then be neither copied nor learned. Returns `utterances`
    features (mel_len, 40) of each voice, voice after voice, and the number of each one's speaker,
    as mapping.json has it.
    """
    if speakers < 1 or utterances < 1:
        raise UsageError(f"speakers={speakers} and utterances={utterances} must be 1 or more")
    voices = speaker_voices(speakers, seed)
    with tempfile.TemporaryDirectory() as scratch:

        def some_utterances(speaker: str) -> list[torch.Tensor]:
            rng = generator(seed, "speaker takes", speaker, "again", recordings_seed)
            return spoken_features(voices[speaker], ["testing"] * utterances, rng, Path(scratch))

        made = for_each_voice(some_utterances, voices, "speaking", workers, progress)
    numbers = torch.arange(speakers).repeat_interleave(utterances)
    return [mel for mels in made for mel in mels], numbers


def speaker_voices(count: int, seed: int | str) -> dict[str, Voice]:
    """`count` speakers and their voices, in the order of their numbers."""
    return {
        name: draw_parametric_voice(generator(seed, "speaker voice", name))
        for name in speaker_names(count, seed)
    }


def spoken_features(
    voice: Voice, splits: list[str], rng: np.random.Generator, scratch: Path
) -> list[torch.Tensor]:
    """Features (mel_len, 40) of one sentence for each of `splits`, spoken by `voice`."""
    texts = [draw_sentence(rng, split) for split in splits]
    return [audible_features(samples, rng) for samples in say(voice, texts, rng, scratch)]


def for_each_voice(
    job: Callable[[str], Result],
    voices: dict[str, Voice],
    title: str,
    workers: int | None,
    progress: bool,
) -> list[Result]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the utterances are spread over the cores already
    try:
        return thread_map(job, list(voices), workers=workers, title=title, progress=progress)
    finally:
        torch.set_num_threads(threads)


def digest(*key: object) -> str:
    return hashlib.sha256("\n".join(map(str, key)).encode()).hexdigest()[:32]


def speaker_names(count: int, seed: int | str) -> list[str]:
    """`count` names such as id00464, in order."""
    numbers = generator(seed, "speaker names").permutation(max(10_000, 2 * count))[:count]
    return [f"id{number:05d}" for number in sorted(numbers)]


def about(voices: dict[str, Voice]) -> dict[str, dict[str, Any]]:
    return {name: asdict(voice) for name, voice in voices.items()}


def recorded_sentence(spoken: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Record the engine's int16 at 22,050 Hz with its own microphone: float32 at 16 kHz."""
    setup = draw_setup(rng)
    (recorded,) = record([trim(spoken)], setup)
    floor = rms(recorded) * amplitude(-setup.signal_to_noise)
    recorded = recorded + floor * noise(rng, len(recorded), setup.noise_slope, setup)
    return recorded * (amplitude(rng.uniform(-20, -1.5)) / np.abs(recorded).max())


def talk_seconds(count: int, seed: int | str = 0) -> Float[np.ndarray, "count N"]:
    """Seconds at 16 kHz, cut at random out of sentences, a few out of each.

    The voices are those of the training split of `make_corpus`, and talk faster.
    """
    splits, found = speaker_splits(TALKERS, seed), []
    cast = draw_cast(TALKERS, seed)
    voices = [voice for name, (voice, _) in cast.items() if splits[name] == "training"]
    with tempfile.TemporaryDirectory() as scratch:
        for place, voice in enumerate(voices):
            rng = generator(seed, "talk", place)
            cuts = len(range(place, count, len(voices)))
            texts = [draw_sentence(rng, "talk") for _ in range(2 * -(-cuts // CUTS))]
            texts = [f"{one} {other}" for one, other in zip(texts[::2], texts[1::2], strict=True)]
            faster = replace(voice, rate=rng.uniform(*TALK_RATES))
            spoken = say(faster, texts, rng, Path(scratch))
            waves = [recorded_sentence(each, rng) for each in spoken for _ in range(CUTS)]
            for wave in waves[:cuts]:
                start = rng.integers(len(wave) - CLIP_SAMPLES)
                found.append(wave[start : start + CLIP_SAMPLES])
    return np.stack(found)


def audible_features(spoken: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Features (mel_len, 40) of one utterance, by the first microphone that records enough of it.

    The homework drops passages that are not loud for 0.1 s. Clipped speech in a dry room may leave
    next to nothing: then the utterance is recorded again in another room.
    """
    for _ in range(ATTEMPTS):
        waveform = torch.from_numpy(recorded_sentence(spoken, rng).astype(np.float32))
        with suppress(ValueError):  # nothing was loud
            mel = speaker_log_mel(waveform)
            if len(mel) >= SHORTEST:
                return mel
    raise RuntimeError(f"an utterance stayed inaudible in {ATTEMPTS} recordings")


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_tables(
    folder: Path, made: dict[str, dict[str, list[dict[str, Any]]]], n_mels: int = N_MELS
) -> None:
    """Write the layout's three JSON files and the answers to its test part, if there is one."""
    mapping = {name: i for i, name in enumerate(made)}
    tests = sorted(
        (entry["feature_path"], entry["mel_len"], name)
        for name, entries in made.items()
        for entry in entries["testing"]
    )
    write_json(
        folder / "mapping.json",
        {"speaker2id": mapping, "id2speaker": {str(i): name for name, i in mapping.items()}},
    )
    write_json(
        folder / "metadata.json",
        {
            "n_mels": n_mels,
            "speakers": {name: entries["training"] for name, entries in made.items()},
        },
    )
    if not tests:
        return
    write_json(
        folder / "testdata.json",
        {
            "n_mels": n_mels,
            "utterances": [{"feature_path": path, "mel_len": n} for path, n, _ in tests],
        },
    )
    answers = ["Id,Category", *(f"{path},{name}" for path, _, name in tests)]
    (folder / "test_labels.csv").write_text("\n".join(answers) + "\n")
