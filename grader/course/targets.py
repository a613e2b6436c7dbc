"""Train our answers with several seeds; accuracy bounds follow from the results.

    python -m grader targets [--assignment 03] [--seeds 6] [--retrain]

Full points are due from the mean minus three standard deviations on. Each seed trains once, about a
minute, and is tested on its own hidden utterances. With `--retrain` the grader trains within its
budget of steps, by the slowest recipe that the notebook suggests.
"""

import json
import statistics
from typing import Any

import torch

from grader import ROOT
from grader.adapters import get_assignment
from grader.authoring.build import read_solution
from grader.course.hidden import clean_clips, speech
from grader.course.hidden.digits import N_MELS, SYMBOLS
from grader.course.hidden.digits import speak as hidden_strings
from grader.course.hidden.keywords import GERMAN, speak, speak_german
from grader.course.hidden.synthesized import (
    NUM_SYMBOLS,
    duration_error,
    phrases_of,
    recognized_words,
)
from grader.course.probes.retraining import Plan, keyword_plan, speaker_plan
from grader.sandbox.module_ops import fit
from kws.errors import UsageError
from kws.text.word_errors import word_errors

TRAINING = {  # in the first cell that trains
    "03": "history = fit(",
    "04": "histories = {}",
    "05": "losses = fit(model",
    "06": "losses = fit(pretrained",
    "07": "history = fit(model",
    "08": "losses = fit(model, **recipe())",
    "09": "losses = fit_codec(codec",
}


def definitions(number: str) -> dict[str, Any]:
    assignment = get_assignment(number)
    names: dict[str, Any] = {"__name__": assignment.stem}
    trained = False
    for cell in read_solution(ROOT / "solutions" / f"{assignment.stem}.py"):
        trained = trained or TRAINING[number] in cell.source
        wanted = "export" in cell.tags or not trained
        if cell.kind == "code" and wanted and "plt." not in cell.source:
            exec(compile(cell.source, assignment.stem, "exec"), names)
    return names


def speakers(names: dict[str, Any], seed: int) -> float:
    """Accuracy on hidden utterances after training with this seed."""
    torch.manual_seed(seed)
    model = names["SpeakerClassifier"](len(names["data"].speakers))
    names["fit"](model, **names["recipe"]())
    mels, labels = speech.speak(f"targets {seed}")
    return (names["predict"](model, mels) == labels).double().mean().item()


def conformers(names: dict[str, Any], seed: int) -> float:
    torch.manual_seed(seed)
    model = names["SpeakerConformer"](40, len(names["data"].speakers))
    best = names["Best"]()
    names["fit"](model, **names["recipe"](), seed=seed, best=best)
    best.restore(model)
    mels, labels = speech.speak(f"targets {seed}")
    model.eval()
    with torch.inference_mode():
        predicted = torch.cat([model(mel[None]).argmax(1) for mel in mels])
    return (predicted == labels).double().mean().item()


def keywords(names: dict[str, Any], seed: int) -> float:
    torch.manual_seed(seed)
    model = names["small_model"]()
    names["fit"](model, **names["recipe"](), seed=seed)
    mel, labels = speak(seed)
    return (names["predict"](model, mel).argmax(1) == labels).double().mean().item()


def german_words(names: dict[str, Any], seed: int) -> float:
    """Accuracy of a pretrained model, adapted to ten clips of each German word."""
    return names["accuracy"](adapted(names, seed), *speak_german(seed)).value


def from_scratch(names: dict[str, Any], seed: int) -> float:
    torch.manual_seed(seed)
    model, few = names["small_model"](len(GERMAN.labels)), _ten_clips(names, seed)
    settings = names["recipe"]() | {"lr": 1e-3, "factor": 1.0}
    names["fit"](model, *few, **settings, seed=seed)
    return names["accuracy"](model, *speak_german(seed)).value


def adapted(names: dict[str, Any], seed: int) -> torch.nn.Module:
    """Notebook 6 with this seed, from pretraining to ten clips of each word."""
    torch.manual_seed(seed)
    pretrained = names["small_model"](35)
    names["fit"](
        pretrained, *names["data"]["35", "training"][:2], **names["PRETRAINING"], seed=seed
    )
    model = names["small_model"](len(GERMAN.labels))
    names["carry_over"](pretrained.state_dict(), model)
    names["fit"](model, *_ten_clips(names, seed), **names["recipe"](), seed=seed)
    return model


def _ten_clips(names: dict[str, Any], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    mel, labels, voices = names["data"]["german", "training"]
    generator = torch.Generator().manual_seed(seed)
    rows = names["few_shot_rows"](labels, voices, 10, generator)
    return mel[rows], labels[rows]


def strings(names: dict[str, Any], seed: int) -> float:
    """Word accuracy on hidden strings; that of joint decoding is recorded."""
    torch.manual_seed(seed)
    model = names["SpeechTransformer"](N_MELS, SYMBOLS)
    names["fit"](model, **names["recipe"](), seed=seed)
    split = hidden_strings(seed)
    ways = {
        "greedy": names["transcribe"](model, split),
        "beam of 5": names["decode_each"](model, split, 5),
        "joint": names["decode_each"](model, split, 5, ctc_weight=0.3),
    }
    found = {way: word_errors(split.texts, written) for way, written in ways.items()}
    for way, errors in found.items():
        print(f"seed {seed}, {way}: {errors.describe()}", flush=True)
    return 1 - found["greedy"].rate


def samples_of_codes(names: dict[str, Any], seed: int) -> float:
    """Share of samples recognized as the requested word; code use and perplexity recorded."""
    torch.manual_seed(seed)
    model = names["CodeModel"]()
    names["fit_codec"](model.codec, names["mels"]["training"], seed=seed)
    model.eval()
    encode = torch.no_grad()(lambda mel: names["encode_mels"](model, mel))
    decode = torch.no_grad()(lambda some: names["decode_codes"](model, some))
    codes = clean_clips.codes_of(encode, names["mels"]["training"])
    names["fit_prior"](model.prior, names["labels"]["training"], codes, seed=seed)
    model.eval()
    logits = torch.no_grad()(model)
    mel, labels = clean_clips.speak_clean(seed)
    found = clean_clips.codes_of(encode, mel)
    again = clean_clips.recognized_share(clean_clips.mels_of(decode, found), labels)
    perplexity = clean_clips.prior_perplexity(logits, labels, found)
    words, drawn = clean_clips.drawn_codes(logits, torch.Generator().manual_seed(seed))
    recognized = clean_clips.recognized_share(clean_clips.mels_of(decode, drawn), words)
    print(
        f"seed {seed}: {clean_clips.used(found)} codes in use, decoded words recognized {again}, "
        f"perplexity {perplexity:.2f}, samples recognized {recognized}",
        flush=True,
    )
    return recognized.value


def spoken_words(names: dict[str, Any], seed: int) -> float:
    """Share of the keywords that are recognized; the error of durations is recorded."""
    torch.manual_seed(seed)
    model = names["FastSpeech"](NUM_SYMBOLS)
    names["fit"](model, **names["recipe"](), seed=seed)
    model.eval()
    with torch.inference_mode():
        off = duration_error(model, phrases_of(seed))
        recognized, wrong = recognized_words(model)
    print(
        f"seed {seed}: durations {off:.2f} frames off; {recognized}: {', '.join(wrong)}", flush=True
    )
    return recognized.value


def speakers_again(names: dict[str, Any], seed: int) -> float:
    """Accuracy of our model trained by the grader, with the lowest suggested rate."""
    torch.manual_seed(seed)
    model = names["SpeakerClassifier"](len(names["data"].speakers))
    plan = speaker_plan(names["recipe"]() | {"lr": 5e-4}, seed)
    _fit(model, plan, seed)
    mels, labels = speech.speak(f"targets {seed}")
    return (names["predict"](model, mels) == labels).double().mean().item()


def keywords_again(names: dict[str, Any], seed: int) -> float:
    torch.manual_seed(seed)
    model = names["small_model"]()
    _fit(model, keyword_plan(names["recipe"]() | {"lr": 3e-4}, seed), seed)
    mel, labels = speak(seed)
    return (names["predict"](model, mel).argmax(1) == labels).double().mean().item()


def _fit(model: torch.nn.Module, plan: Plan, seed: int) -> None:
    options = {"loss": "cross_entropy", "optimizer": "adamw", "seed": seed}
    fit(model, plan.batches, steps=len(plan.rates), lr=plan.rates, **options)


MEASURES = {
    "03": speakers,
    "04": conformers,
    "05": keywords,
    "06": german_words,
    "07": strings,
    "08": spoken_words,
    "09": samples_of_codes,
}
BASELINES = {"06": ("the same clips and steps without pretraining", from_scratch)}
FIRST_SEED = {"07": 0}  # the notebook's own
RETRAINED = {"03": speakers_again, "05": keywords_again}


def main(number: str | None, seeds: int, *, retrain: bool = False) -> None:
    """Print a line per seed, mean and bound for each assignment; last one line of JSON."""
    measures = RETRAINED if retrain else MEASURES
    chosen = [get_assignment(number).number] if number else list(measures)
    for one in chosen:
        if one not in measures:
            raise UsageError(
                f"no accuracy of assignment {one} is measured: choose one of {', '.join(measures)}"
            )
        names = definitions(one)
        reached = []
        first = FIRST_SEED.get(one, 1)
        for seed in range(first, first + seeds):
            reached.append(measures[one](names, seed))
            print(f"seed {seed}: {reached[-1]:.1%}", flush=True)
        mean, deviation = statistics.mean(reached), statistics.stdev(reached)
        bound = mean - 3 * deviation
        if one in BASELINES and not retrain:
            what, measure = BASELINES[one]
            lower = statistics.mean(measure(names, seed) for seed in range(1, seeds + 1))
            print(f"{what}: mean {lower:.2%}, {100 * (mean - lower):.1f} points below")
        print(f"mean {mean:.2%}, standard deviation {deviation:.2%}, full points from {bound:.1%}")
        print(json.dumps({"assignment": one, "reached": reached, "full": bound}))
