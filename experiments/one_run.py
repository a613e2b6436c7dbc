"""One run: train a recipe, measure the best weights on the test split, say what it took."""

import platform
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from experiments.plan import STRINGS, Job, recipe_of
from experiments.results import FORMAT, Result, git, recipe_lines, thinned, write_result
from kws import __version__
from kws.data.extra_clips import silence_count, unknown_count
from kws.data.protocols import PROTOCOLS, get_protocol
from kws.data.transcripts import TranscribedSplit, load_transcripts
from kws.device import choose_device
from kws.errors import UsageError
from kws.files import hold_lock
from kws.inference.evaluate import Evaluation, evaluate, load_split
from kws.inference.trained_recognizer import Recognizer, load_recognizer
from kws.models.counts import count_parameters
from kws.parallel import cores
from kws.training.batches import steps_per_epoch
from kws.training.checkpoint import load_model, read_checkpoint
from kws.training.classification import classification_objective, fingerprint
from kws.training.distributed import Team
from kws.training.history import History
from kws.training.loop import begin, finish, saved_state
from kws.training.memory import keep_freed_memory
from kws.training.objective import Objective
from kws.training.recipe import Data, Recipe, changed_keys, load_recipe, parse_recipe
from kws.training.recognizer_run import fingerprint_of, transcription_objective
from kws.training.splits import load_splits

MOST_LABELS = 35  # of a confusion matrix that is kept: no matrix of a hundred speakers


def run_one(job: Job) -> Result:
    """Train, or continue where a kill left off, measure, and write the result.

    Raises:
        UsageError: data and recipe do not fit, the training diverges, or another process is at it.
    """
    keep_freed_memory()
    recipe, run = recipe_of(job), job.run_folder
    train, validation = load_training(job, recipe)
    run.mkdir(parents=True, exist_ok=True)
    with hold_lock(run) as held:
        if held is False:
            raise UsageError(f"{run}: another process is at this run: wait until it has ended")
        begun = step_to_go_on_from(run, recipe, train)
        start, start_cpu = time.perf_counter(), time.process_time()
        training = begin(new_objective(job, recipe, train, validation), run, resume=True)
        finish(training, progress=False)
        seconds = {
            "wall": round(time.perf_counter() - start, 1),
            "cpu": round(time.process_time() - start_cpu, 1),
            "whole": begun == 0,  # or of the steps since it was resumed
        }
        result = describe(job, recipe, train, validation, training.history, seconds)
        write_result(job.path, result)
        if not job.keep:
            shutil.rmtree(run)
    return result


def load_training(job: Job, recipe: Recipe) -> tuple[Any, Any]:
    """Training and validation split: of utterances with texts, or of a classifier."""
    if job.source.task == STRINGS:
        return load_strings(job, recipe, "training"), load_strings(job, recipe, "validation")
    return load_splits(recipe, Path(job.source.folder), job.resample)


def load_strings(job: Job, recipe: Recipe, split: str) -> TranscribedSplit:
    """Utterances with their texts."""
    n_mels = recipe.features.n_mels
    return load_transcripts(job.source.folder, split, n_mels=n_mels, resample=job.resample)


def new_objective(job: Job, recipe: Recipe, train: Any, validation: Any) -> Objective:
    """What the run learns; a classifier takes its normalization from what is saved."""
    device = choose_device(job.device)
    if job.source.task == STRINGS:
        return transcription_objective(recipe, train, validation, device)
    saved = saved_state(job.run_folder, True, recipe)
    return classification_objective(recipe, train, validation, Team(device=device), saved=saved)


def step_to_go_on_from(run: Path, recipe: Recipe, train: Any) -> int:
    """Optimizer steps that the run folder has behind it; what belongs to another run is removed."""
    try:
        state = read_checkpoint(run / "last.pt")
        before = parse_recipe(state["recipe"])
        data = (fingerprint_of if recipe.data.task == STRINGS else fingerprint)(train)
        if state["training"]["data"] == data and not changed_keys(before, recipe):
            return int(state["step"])
    except (UsageError, KeyError):
        pass  # none there, or damaged, or of a version of the package that had other keys
    for path in sorted(run.iterdir()):
        path.unlink()
    return 0


def describe(
    job: Job,
    recipe: Recipe,
    train: Any,
    validation: Any,
    history: History,
    seconds: dict[str, Any],
) -> Result:
    """Measure the best weights, and put all that is to be kept together."""
    device = choose_device(job.device)
    split = "testing" if has_answers(job) else "validation"
    if job.source.task == STRINGS:
        trained = load_recognizer(job.run_folder)
        first, *others = [evaluate_strings(trained, load_strings(job, recipe, split))]
    else:
        trained = load_model(job.run_folder)
        test = load_split(trained, job.source.folder, split, resample=job.resample)
        first, *others = evaluate(trained, test, device)
    written = load_recipe(f"{job.group}/{job.name}")
    reported = {key: value for key, value in vars(written.reported).items() if value}
    return {
        "format": FORMAT,
        "group": job.group,
        "name": job.name,
        "seed": job.seed,
        "full": job.full,
        "data": {
            "name": job.source.name,
            "kind": job.source.kind,
            "identity": job.source.identity,
            "training": len(train),
            "validation": len(validation),
            split: len(first.given),
        },
        **measured(first),
        "right": right(first),
        "confusion": first.matrix.tolist() if len(first.labels) <= MOST_LABELS else [],
        "also": [measured(other) for other in others],
        "parameters": count_parameters(trained.model),
        "steps": history.rows[-1]["step"],
        "best_step": trained.step,
        "steps_reported": steps_as_written(written, len(train)),
        "seconds": seconds,
        "commit": commit(),
        "hardware": hardware(device),
        "versions": versions(device),
        "reported": reported,
        "overrides": [
            [key, old, new]
            for key, old, new in changed_keys(written, recipe)
            if key != "train.seed"
        ],
        "recipe": recipe_lines(recipe),
        "history": thinned(history.rows, history.best),
    }


def evaluate_strings(trained: Recognizer, test: TranscribedSplit) -> Evaluation:
    """An utterance is right where greedy search writes its whole text."""
    _, written = trained.word_errors(test)
    hits = [text == ours for text, ours in zip(test.texts, written, strict=True)]
    return Evaluation(
        view="strings",
        on="whole strings",
        split=test.split,
        labels=("wrong", "right"),
        expected=torch.ones(len(hits), dtype=torch.int64),
        given=torch.tensor(hits, dtype=torch.int64),
        conditions={"protocol": trained.recipe.data.task},
    )


def measured(evaluation: Evaluation) -> dict[str, Any]:
    """An accuracy with all that it depends on."""
    accuracy = evaluation.accuracy
    return {
        "protocol": evaluation.conditions["protocol"],
        "split": evaluation.split,
        "view": evaluation.on or evaluation.view,
        "conditions": {k: v for k, v in evaluation.conditions.items() if k != "protocol"},
        "n": accuracy.n,
        "correct": accuracy.correct,
        "accuracy": round(accuracy.value, 6),
        "interval": [round(accuracy.low, 6), round(accuracy.high, 6)],
    }


def right(evaluation: Evaluation) -> str:
    """A digit for each test example in order, 1 where the answer is right, to compare runs by."""
    hits = evaluation.given == evaluation.expected
    return "".join(map(str, hits.int().tolist()))


def has_answers(job: Job) -> bool:
    """Whether the test split can be measured: the homework keeps its answers to itself."""
    if job.source.task != "speakers":
        return True
    from kws.data.speaker_layout import TEST_LABELS, TESTDATA

    return all((Path(job.source.folder) / name).is_file() for name in (TESTDATA, TEST_LABELS))


def steps_as_written(recipe: Recipe, n: int) -> int:
    """Optimizer steps of the recipe as written, on the official archive where its size is known."""
    settings = recipe.train
    if settings.total_steps:
        return settings.total_steps
    if recipe.data.task == "keywords":
        n = official_training_clips(recipe.data) or n
    return settings.epochs * steps_per_epoch(n, settings.batch_size * settings.accumulate)


def official_training_clips(data: Data) -> int | None:
    """Training clips of the official archive under a recipe; None for protocols without one.

    >>> official_training_clips(Data(protocol="v1-12", unknown=2000))
    22392
    """
    protocol = get_protocol(data.protocol)
    if protocol.expected_counts is None:
        return None
    clips = protocol.expected_counts["training"]
    if data.unknown == "protocol":
        return clips
    made = {w: silence_count(protocol, w) + unknown_count(protocol, w) for w in range(clips)}
    wanted = next(count for count, more in made.items() if count + more == clips)
    others = max(
        each.expected_counts["training"] - wanted  # the protocol of all words of the archive
        for each in PROTOCOLS.values()
        if each.expected_counts and each.archive == protocol.archive and not each.silence_label
    )
    unknown = others if data.unknown == "all" else min(data.unknown, others)
    return wanted + silence_count(protocol, wanted) + unknown


@cache
def commit() -> str:
    """The commit that this repository is at, with a word where it was changed since."""
    if shutil.which("git") is None:
        return "no repository"
    code, number = git("rev-parse", "--short=10", "HEAD")
    if code != 0:
        return "no repository"
    changed = git("status", "--porcelain", "--", "kws", "experiments")[1]
    return f"{number}, changed" if changed else number


def hardware(device: torch.device) -> dict[str, Any]:
    """The processor, or the GPU, that a run was made on."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        name = next((x.partition(":")[2].strip() for x in lines if x[:10] == "model name"), name)
    found = {"device": "cpu", "cpu": name, "cores": cores(), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        found["device"] = torch.cuda.get_device_name(device)
    return found


def versions(device: torch.device) -> dict[str, str]:
    """Versions of the software that computes."""
    found = {"kws": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return found | ({"cuda": str(torch.version.cuda)} if device.type == "cuda" else {})
