"""Which runs a command line asks for: recipes × seeds, each on a data set that fits its task.

    source    a data set: its name, its folder, and what kind of recordings it holds
    job       one run; `recipe_of(job)` is the recipe that it trains

Runs on the embedded corpus count under protocols of its own names, so that no accuracy on synthetic
voices is read as one on people.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kws.data.course_data import embedded_speakers, embedded_words
from kws.data.embedded.corpus import make_corpus
from kws.data.embedded.strings import DIGITS, make_strings
from kws.data.listing import ARCHIVES, LIST_FILES, read_listing, require_folder
from kws.data.packed import pack_clips
from kws.data.protocols import on_the_embedded_corpus
from kws.data.speaker_layout import MAPPING, METADATA, TEST_LABELS, TESTDATA
from kws.data.speakers import load_speakers
from kws.data.transcripts import TABLE
from kws.errors import UsageError, did_you_mean
from kws.files import cache_dir
from kws.models.registry import PRETRAINED
from kws.training.recipe import Recipe, experiment_groups, load_recipe

EMBEDDED = "embedded"
ALL = "all"
KINDS = {  # of data sets, in words
    EMBEDDED: "synthetic voices of the embedded corpus",
    "official": "the official archive",
    "other": "other recordings than the reported ones",
}
RECORDS = ("speakers.json", "voices.json", "strings.json")  # how an embedded corpus was made
QUESTIONS = "questions"  # the group whose runs are compared: many voices, so that it can be seen
QUESTION_VOICES = 480
STRINGS = "transcription"  # the task of recognizers
STRING_VOICES, STRING_WORDS = 240, DIGITS[:5]  # for recognizers: strings of zero to four
HOMEWORK_UTTERANCES = 56_666  # labeled ones of the 600 speakers


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set. `identity` changes when what is in it does."""

    name: str
    task: str
    folder: str
    kind: str
    identity: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: recipe `group/name`, seed, data, and where its result and its checkpoints go."""

    group: str
    name: str
    seed: int
    full: bool
    source: Source
    out: str
    runs: str
    device: str = "auto"
    resample: bool = False
    keep: bool = False

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.group}/{self.name} seed {self.seed}"

    @property
    def path(self) -> Path:
        """The file of its result; runs of a recipe as written and shortened never share one."""
        return Path(self.out) / self._below / f"{self._stem}.json"

    @property
    def run_folder(self) -> Path:
        """The folder of its checkpoints."""
        return Path(self.runs) / self._below / self._stem

    @property
    def _below(self) -> Path:
        return Path(self.source.name) / self.group

    @property
    def _stem(self) -> str:
        full = "-full" if self.full and is_shortened(self.group, self.name) else ""
        return f"{self.name}{full}-seed{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `Job.of` reads it back."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Job":
        """The job that `as_dict` wrote."""
        return cls(**{**values, "source": Source(**values["source"])})


def is_shortened(group: str, name: str) -> bool:
    """Whether the recipe has a short form of its own."""
    return bool(load_recipe(f"{group}/{name}").cpu.options)


def recipe_of(job: Job) -> Recipe:
    """The recipe that the job trains: shortened or not, with its seed, on its kind of data."""
    return effective_recipe(
        f"{job.group}/{job.name}", seed=job.seed, full=job.full, kind=job.source.kind
    )


def effective_recipe(name: str, *, seed: int, full: bool, kind: str) -> Recipe:
    """The recipe `group/name` as it is trained on data of a kind."""
    overrides = [f"train.seed={seed}"]
    data = load_recipe(name).data
    if data.task == "keywords" and kind == EMBEDDED:
        for key, protocol in (("protocol", data.protocol), ("count_as", data.count_as)):
            if protocol:
                overrides.append(f"data.{key}={on_the_embedded_corpus(protocol)}")
    return load_recipe(name, overrides, short=not full)


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0-4", "3" or "0,2,5-7", ascending.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]

    Raises:
        UsageError: anything else.
    """
    seeds: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise UsageError(f"--seeds {text}: expects numbers from 0 on, such as 0-4 or 0,3")
        seeds |= set(range(low, high + 1))
    return sorted(seeds)


def chosen_recipes(group: str, names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(group, name) of the recipes asked for, sorted; "all" stands for every group.

    Raises:
        UsageError: no such group, or no such recipe in it.
    """
    groups = experiment_groups()
    if group == ALL:
        if names:
            raise UsageError(f"{' '.join(names)}: name the group of these recipes instead of all")
        return [(each, name) for each, inside in groups.items() for name in inside]
    if group not in groups:
        raise UsageError(
            f"{group}: no such group of experiments{did_you_mean(group, groups)}: choose all or "
            f"one of {', '.join(groups)}"
        )
    for name in names:
        if name not in groups[group]:
            raise UsageError(
                f"{group}/{name}: no such recipe{did_you_mean(name, groups[group])}: choose one of "
                f"{', '.join(groups[group])}"
            )
    return [(group, name) for name in groups[group] if not names or name in names]


def find_source(data: str, task: str, group: str = "") -> Source | None:
    """The data set that `data` stands for: the embedded corpus of the task, or a folder.

    The embedded corpus is made if it is not in the cache yet; keywords of the group "questions" are
    spoken by more voices, each word once. None where the folder holds data for the other task.
    """
    if data == EMBEDDED and task == "keywords" and group == QUESTIONS:
        name = f"{EMBEDDED}-{QUESTION_VOICES}"
        out = cache_dir() / f"course-words-{QUESTION_VOICES}"
        folder = make_corpus(out, speakers=QUESTION_VOICES, repetitions=1)
        return _source(folder, task, name)
    if data == EMBEDDED and task == STRINGS:
        out = cache_dir() / f"course-strings-{STRING_VOICES}-{len(STRING_WORDS)}"
        folder = make_strings(out, speakers=STRING_VOICES, strings=20, words=STRING_WORDS)
        return _source(folder, task, f"{EMBEDDED}-strings")
    if data == EMBEDDED:
        folder = embedded_speakers() if task == "speakers" else embedded_words()
        return _source(folder, task, EMBEDDED)
    folder = require_folder(data)
    marks = {"speakers": METADATA, STRINGS: TABLE}
    if task not in ([each for each in marks if (folder / marks[each]).is_file()] or ["keywords"]):
        return None
    return _source(folder, task, folder.resolve().name)


def _source(folder: Path, task: str, name: str) -> Source:
    digest = hashlib.sha256()
    records = (*RECORDS, *LIST_FILES.values(), MAPPING, METADATA, TESTDATA, TEST_LABELS, TABLE)
    for record in records:
        if (path := folder / record).is_file():
            digest.update(path.read_bytes())
    kind = EMBEDDED if any(_is_embedded(folder / record) for record in RECORDS) else "other"
    if task == "keywords":
        listing = read_listing(folder)
        digest.update("\n".join(listing.names).encode(errors="surrogateescape"))
        sizes = (listing.splits.count("validation"), listing.splits.count("testing"))
        official = sizes in ARCHIVES
    else:
        official = task == "speakers" and _labeled(folder / METADATA) == HOMEWORK_UTTERANCES
    return Source(
        name=name,
        task=task,
        folder=str(folder.resolve()),
        kind="official" if official and kind != EMBEDDED else kind,
        identity=digest.hexdigest()[:16],
    )


def pack(source: Source, resample: bool = False) -> None:
    """Pack the data once, before every worker does."""
    if source.task == "keywords":
        listing = read_listing(source.folder)
        pack_clips(listing.root, listing.names, resample=resample)
    elif source.task == "speakers":
        load_speakers(source.folder)


def _is_embedded(record: Path) -> bool:
    """Whether the file says that we made the corpus."""
    try:
        return json.loads(record.read_text())["recipe"]["corpus"].startswith("embedded")
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return False


def _labeled(metadata: Path) -> int:
    """Labeled utterances in a homework folder; what is wrong with the file, its reader tells."""
    try:
        speakers = json.loads(metadata.read_text(encoding="utf-8"))["speakers"]
        return sum(map(len, speakers.values()))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return 0


def plan(
    recipes: Sequence[tuple[str, str]],
    seeds: Sequence[int],
    data: str,
    **options: Any,
) -> tuple[list[Job], list[str]]:
    """The jobs, and in words what was left out, because `data` is for another task or because a
    recipe begins with published weights, which only `kws train --init` gives it.

    Jobs come seed by seed, so that after a part of them every recipe has a result. `options` are
    those of `Job`.

    Raises:
        UsageError: nothing is left, or the data cannot be used.
    """
    sources: dict[tuple[str, str], Source | None] = {}
    jobs, left_out = [], []
    for group, name in recipes:
        recipe = load_recipe(f"{group}/{name}")
        if recipe.model.name in PRETRAINED:
            left_out.append(
                f"{group}/{name}: begins with published weights: kws train {group}/{name} --init …"
            )
            continue
        task = recipe.data.task
        if (key := (task, group)) not in sources:
            sources[key] = find_source(data, task, group)
        if (source := sources[key]) is None:
            left_out.append(f"{group}/{name}: about {task}, which {data} does not hold")
            continue
        jobs += [Job(group=group, name=name, seed=seed, source=source, **options) for seed in seeds]
    if not jobs:
        raise UsageError(f"--data {data}: {left_out[0]}: choose another group or folder")
    return sorted(jobs, key=lambda job: (job.seed, job.group, job.name)), left_out
