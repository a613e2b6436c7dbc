"""What an experiment is: a TOML file of five sections, as frozen dataclasses.

    recipe = load_recipe("keywords", ["train.lr=1e-3"])

A name stands for a file in `kws/recipes`, anything else is a path; "group/name" is an experiment.
What a recipe leaves out has the default below, so it says only what is special about it. Recipes of
an experiment have two sections more, the figure that was reported and what is changed for a run on
a CPU. Every mistake is a UsageError that names the file and the key.
"""

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from jaxtyping import Float
from msgspec import Meta
from torch import Tensor

from kws.audio.features import (
    HOP,
    NYQUIST,
    WINDOW,
    log_mel,
    mel_db,
    mel_filterbank,
    mel_spectrogram,
    mfcc,
    with_deltas,
)
from kws.data.protocols import get_protocol
from kws.errors import UsageError, did_you_mean
from kws.settings import (
    Bands,
    Finite,
    Fraction,
    Interval,
    NonNegative,
    NonNegativeInt,
    Percent,
    PositiveInt,
    Samples,
    Seed,
    as_toml,
    convert,
    from_table,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parents[1] / "recipes"
SECTIONS = ("data", "features", "augment", "model", "train")  # those that a run depends on


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is recognized, and how it is counted."""

    task: Literal["keywords", "speakers", "transcription", "speech", "codec", "codes"] = "keywords"
    protocol: str = "v2-12"  # keywords: labels and how silence and unknown are made up
    test_silence: Literal["noise", "zeros"] = "noise"  # keywords: the convention of the test split
    # keywords, clips of other words: the protocol's, all of every split, or so many in training
    unknown: Literal["protocol", "all"] | PositiveInt = "protocol"
    spare_words: NonNegativeInt = 0  # keywords, training: embedded voices' clips of other words
    spare_talk: NonNegativeInt = 0  # keywords, training: seconds of embedded voices' sentences
    # keywords: one class for all other words, or in training one each: kws.training.other_words
    other_words: Literal["together", "separate"] = "together"
    count_as: str = ""  # keywords: test a model of words under this protocol, by its confidence:
    unknown_below: Fraction = 0.5  # count_as: less sure than this is unknown,
    silence_below: Fraction = 0.3  # and than this is silence. See kws.inference.thresholds
    seed: Seed = 0  # of the clips chosen as unknown and silence, or of the validation split
    validation: Fraction = 0.1  # speakers: utterances of every speaker held out of training
    crop_frames: PositiveInt = 128  # speakers: length of a training example, 10 ms a frame
    # size of the synthetic training set; speech: phrases, codec and codes: utterances of each word
    # by each voice; None: the numbers of the assignments
    spoken: PositiveInt | None = None


@dataclass(frozen=True, kw_only=True)
class Features:
    """The model's input: `compute_features`, then `normalize`; speaker data use only the latter."""

    # mel is power, mel_db the same in dB; waveform: a sample a frame
    kind: Literal["log_mel", "mfcc", "mel", "mel_db", "waveform"] = "log_mel"
    n_mels: Bands = 40
    n_mfcc: Bands = 40  # mfcc only
    f_min: Finite = 20.0  # Hz
    f_max: Finite | None = None  # Hz; None is the Nyquist frequency
    floor: Finite = 1e-6  # of a logarithm: not of "mel", which is power as it is
    window: Samples = WINDOW  # of a frame and of its FFT, samples at 16 kHz
    hop: Samples = HOP  # from one frame to the next, samples
    deltas: Annotated[int, Meta(ge=0, le=2)] = (
        0  # keywords: derivatives by time that are added to a frame
    )
    normalize: Literal["none", "utterance", "dataset"] = "utterance"

    def __post_init__(self) -> None:
        """Refuse numbers that do not fit together."""
        if self.kind == "mfcc" and self.n_mfcc > self.n_mels:
            raise UsageError(
                f"features.n_mfcc={self.n_mfcc} must be between 1 and n_mels={self.n_mels}"
            )
        if not self.floor > 0:
            raise UsageError(f"features.floor={self.floor} must be above 0")
        if self.deltas and self.kind == "waveform":
            raise UsageError(
                f"features.deltas={self.deltas}: a waveform has none: set it to 0, or choose "
                "another features.kind"
            )
        f_max = NYQUIST if self.f_max is None else self.f_max
        mel_filterbank(self.window // 2 + 1, self.n_mels, self.f_min, f_max)  # checks the rest

    @property
    def num_features(self) -> int:
        """F, the size of the last axis."""
        sizes = {"mfcc": self.n_mfcc, "waveform": 1}
        return (1 + self.deltas) * sizes.get(self.kind, self.n_mels)


def compute_features(config: Features, waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T F"]:
    """The features of a batch of waveforms at 16 kHz that `config` describes, not normalized."""
    if config.kind == "waveform":
        return waveform[..., None]
    return with_deltas(_spectral_features(config, waveform), config.deltas)


def _spectral_features(config: Features, waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T F"]:
    frames = {"window": config.window, "hop": config.hop}
    bands = {"n_mels": config.n_mels, "f_min": config.f_min, "f_max": config.f_max, **frames}
    if config.kind == "mel":
        return mel_spectrogram(waveform, **bands)
    if config.kind == "mel_db":
        return mel_db(waveform, **bands, floor=config.floor)
    if config.kind == "mfcc":
        return mfcc(waveform, n_mfcc=config.n_mfcc, **bands, floor=config.floor)
    return log_mel(waveform, **bands, floor=config.floor)


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What training does to every example, in this order. Zero is off. See kws.audio.augment."""

    # on the waveform, keywords only
    speed: Fraction = 0.0  # largest relative change of speed
    time_shift: NonNegative = 0.0  # largest shift, seconds
    noise_volume: NonNegative = 0.0  # largest volume of background noise
    noise_ratio: Interval = ()  # or dB from a clip's level down to its noise, [lowest, highest]
    noise_probability: Fraction = 0.8  # share of the clips that get it
    rooms: Fraction = 0.0  # share of the clips that get the echoes of a room
    garbled: Fraction = 0.0  # share of the words that become unknown: halved, reversed, joined
    gain: NonNegative = 0.0  # largest change of level, dB
    # on a log-mel
    warp_frequency: Fraction = 0.0  # largest relative warp of the mel axis: another vocal tract
    warp_time: Fraction = 0.0  # largest relative change of tempo
    tilt: NonNegative = 0.0  # largest slope of a microphone's response, dB from end to end
    band_limit: Fraction = 0.0  # share of the examples that lose their highest bands
    min_bands: PositiveInt = 20  # and the fewest bands they keep
    # on any features, normalized
    time_masks: NonNegativeInt = 0  # SpecAugment: spans of frames masked
    max_time: NonNegativeInt = 25  # longest, frames
    freq_masks: NonNegativeInt = 0  # spans of bands masked
    max_freq: NonNegativeInt = 7  # widest, bands
    mixup: NonNegative = 0.0  # alpha of the Beta distribution that blends pairs of examples
    preceded: Fraction = 0.0  # share of the batches where another clip comes before each one

    def __post_init__(self) -> None:
        """Refuse an interval that is none."""
        if len(self.noise_ratio) not in (0, 2) or self.noise_ratio[:1] > self.noise_ratio[1:]:
            raise UsageError(
                "augment.noise_ratio expects two numbers, [lowest, highest], got "
                f"{list(self.noise_ratio)}"
            )


ON_WAVEFORMS = ("speed", "time_shift", "noise_volume", "noise_ratio", "rooms", "garbled", "gain")
ON_LOG_MELS = ("warp_frequency", "warp_time", "tilt", "band_limit")
WARPS = ("augment.warp_frequency", "augment.warp_time")
MASKS = ("augment.time_masks", "augment.max_time", "augment.freq_masks", "augment.max_freq")
BY_CLASS = ("train.loss", "train.margin")  # losses of a classifier
OF_LABELS = (*BY_CLASS, "train.label_smoothing")
EFFECTIVE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # data.task -> how the keys begin that change something, but for these
    "keywords": (
        ("data.", "features.", "augment."),
        ("data.validation", "data.crop_frames", "data.spoken"),
    ),
    "speakers": (
        ("data.seed", "data.validation", "data.crop_frames", "features.", "augment."),
        ("features.deltas", *(f"augment.{key}" for key in (*ON_WAVEFORMS, "preceded"))),
    ),
    "transcription": (("features.n_mels", *WARPS, *MASKS), BY_CLASS),
    "speech": (("data.seed", "data.spoken", "features.n_mels"), OF_LABELS),
    "codec": (("data.seed", "data.spoken", "features.n_mels"), OF_LABELS),
    "codes": (("data.seed", "data.spoken"), OF_LABELS),
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """A name of kws.models.registry. Every other key of the section is a setting of that model."""

    name: str = "crnn-attention"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Train:
    """How the weights are found."""

    seed: Seed = 0
    epochs: PositiveInt = 30  # passes over the training data
    total_steps: NonNegativeInt = 0  # optimizer steps; 0: what `epochs` comes to
    batch_size: PositiveInt = 128  # examples in a forward pass, over all processes together
    accumulate: PositiveInt = 1  # forward passes in an optimizer step
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop", "adamax"] = "adamw"
    lr: NonNegative = 1e-3  # the highest learning rate: the schedule multiplies it
    weight_decay: NonNegative = 0.01
    decay: Literal["matrices", "all"] = "matrices"  # all: biases and normalizations too, as torch
    momentum: Fraction = 0.9  # of sgd and rmsprop
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warmup: Fraction = 0.1  # cosine: share of the steps that the learning rate takes to rise,
    warmup_steps: NonNegativeInt = 0  # or their number; 0: the share
    decay_epochs: PositiveInt = 10  # step: passes between two cuts of the learning rate
    decay_factor: Fraction = 0.1  # and what it is multiplied by
    clip_norm: NonNegative = 1.0  # largest norm of the gradient; 0: any
    loss: Literal["cross-entropy", "mse"] = "cross-entropy"  # see kws.training.losses
    label_smoothing: Fraction = 0.0
    margin: NonNegative = 0.0  # subtracted from the logit of the true class: additive margin
    ema: Fraction = 0.0  # decay of the running average of the weights that is evaluated; 0: off
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: see loop.uses_bfloat16
    compile: bool = False  # torch.compile: minutes at the start, faster steps
    validate_every: NonNegativeInt = 0  # steps; 0: after every pass
    save_every: NonNegativeInt = 0  # steps between checkpoints; 0: with every validation
    patience: NonNegativeInt = 0  # validations without improvement until it stops early; 0: never
    log_every: PositiveInt = (
        20  # steps between two readings of the loss, each of which waits for a GPU
    )


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A published result of these settings. It has no effect on a run."""

    accuracy: Percent | None = None  # on their test data; none where only words are known
    spread: Percent | None = None  # the ± beside it
    n: PositiveInt | None = None  # number of test clips, where known
    train_accuracy: Percent | None = None  # beside it
    validation_accuracy: Percent | None = None
    minutes: NonNegative | None = None  # of training
    data: str = ""  # which data, protocol and split: figures compare only where this is equal
    source: str = ""  # which document
    note: str = ""  # one sentence: what it said, or what we could not know

    def __post_init__(self) -> None:
        """A figure without its origin is worth nothing."""
        given = [key for key, value in asdict(self).items() if value not in (None, "")]
        if given and not (self.data and self.source):
            raise UsageError(
                f"reported.{given[0]} needs reported.source and reported.data beside it"
            )
        if self.accuracy is None and not (self.spread is None and self.n is None):
            raise UsageError("reported.spread and reported.n belong to reported.accuracy: add it")

    def __bool__(self) -> bool:
        return bool(self.source)


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """Overrides of a shortened run, "train.epochs" = 3: applied by `load_recipe(…, short=True)`."""

    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment. Change a copy with `dataclasses.replace`, or load it with overrides."""

    description: str = ""
    data: Data = Data()
    features: Features = Features()
    augment: Augment = Augment()
    model: Model = Model()
    train: Train = Train()
    reported: Reported = Reported()
    cpu: Cpu = field(default_factory=Cpu)

    def __post_init__(self) -> None:
        """Refuse what would be accepted and then ignored."""
        for sentence in (*self._wrong_for_task(), *self._wrong_together()):
            raise UsageError(sentence)

    def _wrong_for_task(self) -> Iterator[str]:
        data, task = self.data, self.data.task
        used, unused = EFFECTIVE[task]
        for section in SECTIONS:
            values = asdict(getattr(self, section))
            usual = asdict(type(getattr(self, section))())
            for key in (f"{section}.{key}" for key in values if values[key] != usual[key]):
                if key in unused or not key.startswith(("data.task", "model.", "train.", *used)):
                    yield f"{key} has no effect where data.task={task}: remove it"
        for made in ("augment.garbled", "data.spare_words", "data.spare_talk"):
            section, _, key = made.partition(".")
            wanted = getattr(getattr(self, section), key)
            if wanted and not (task == "keywords" and get_protocol(data.protocol).unknown_label):
                yield (
                    f"{made} makes other words, and data.protocol={data.protocol} has no class for "
                    "them: set it to 0"
                )

    def _wrong_together(self) -> Iterator[str]:
        data, features, augment = self.data, self.features, self.augment
        if data.other_words != "together" and self.train.loss != "cross-entropy":
            yield (
                f"data.other_words={data.other_words} adds probabilities up, and train.loss="
                f"{self.train.loss} makes none: choose cross-entropy, or leave it out"
            )
        if data.silence_below > data.unknown_below:
            yield (
                f"data.silence_below={data.silence_below:g} is above data.unknown_below="
                f"{data.unknown_below:g}: lower it, silence is what the model is least sure of"
            )
        for key in ON_LOG_MELS:
            if getattr(augment, key) and (features.kind != "log_mel" or features.deltas):
                yield f"augment.{key} is for features.kind=log_mel without deltas: set it to 0"
        if augment.noise_volume and augment.noise_ratio:
            yield "augment.noise_volume and augment.noise_ratio exclude each other: choose one"
        for key in ("num_features", "num_classes"):
            if key in self.model.options:
                yield f"model.{key} follows from features and labels: leave it out"
        if augment.band_limit and augment.min_bands > features.num_features:
            yield (
                f"augment.min_bands={augment.min_bands} is more than the {features.num_features} "
                "bands of the features: lower it"
            )


def recipe_names() -> list[str]:
    """The recipes that come with the package, those of the experiments left out."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def experiment_groups() -> dict[str, list[str]]:
    """Group of experiments -> the names in it, both sorted: `load_recipe(f"{group}/{name}")`."""
    groups: dict[str, list[str]] = {}
    for path in sorted(RECIPES.glob("*/*.toml")):
        groups.setdefault(path.parent.name, []).append(path.stem)
    return {group: sorted(names) for group, names in sorted(groups.items())}


def load_recipe(
    name_or_path: str | Path, overrides: Iterable[str] = (), *, short: bool = False
) -> Recipe:
    """Read a recipe of the package by name, or any other by its path, then apply the overrides.

    A recipe with `base = "group/name"` is that recipe of the package with its own keys over it; its
    description and what was reported it has for itself.

    An override is `section.key=value` with the value as TOML writes it; quotes around a string may
    be left out. With `short` the recipe's own section [cpu] is applied first. Raises UsageError: no
    such recipe, not TOML, an unknown key, a wrong type or a value out of range.
    """
    table = _with_bases(str(name_or_path))
    return _from_toml(table, str(name_or_path), list(overrides), short=short)


def _with_bases(name: str, above: Sequence[str] = ()) -> dict[str, Any]:
    """The table of a recipe, over that of its base; `above` are those that led to this one."""
    groups = experiment_groups()
    experiments = [f"{group}/{recipe}" for group, names in groups.items() for recipe in names]
    known = [*recipe_names(), *experiments]
    path = RECIPES / f"{name}.toml" if name in known else Path(name)
    if not path.is_file() or (above and name not in known):
        near = did_you_mean(name, known) or did_you_mean(name, groups)
        whose = f"{above[-1]}: base = " if above else ""
        raise UsageError(
            f"{whose}{name}: no such recipe{near}: name a .toml file, one of "
            f"{', '.join(recipe_names())}, or group/name of an experiment in {', '.join(groups)}"
        )
    if name in above:
        raise UsageError(f"{name}: is its own base, by way of {above[-1]}: name another")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file: a recipe is TOML in UTF-8") from error
    table = _parse_toml(text, name)
    if (base := table.pop("base", None)) is None:
        return table
    below = _with_bases(convert(str, base, name, "base"), [*above, name])
    merged = {key: value for key, value in below.items() if key not in ("description", "reported")}
    for key, value in table.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _parse_toml(text: str, where: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond all measure, too
        raise UsageError(f"{where}: not valid TOML: {error}: correct it") from error
    if isinstance(table.get("cpu"), dict):
        table["cpu"] = _flat(table["cpu"])
    return table


def parse_recipe(
    text: str, *, where: str = "recipe", overrides: Iterable[str] = (), short: bool = False
) -> Recipe:
    """A recipe from its TOML text; `where` names it in messages. Errors as `load_recipe`.

    >>> parse_recipe("[train]\\nlr = 0.1", overrides=["train.lr=1e-3"]).train.lr
    0.001
    >>> parse_recipe("[cpu]\\ntrain.epochs = 3", short=True).train.epochs
    3
    """
    return _from_toml(_parse_toml(text, where), where, list(overrides), short=short)


def _from_toml(
    table: dict[str, Any], where: str, overrides: Sequence[str], *, short: bool
) -> Recipe:
    _override(table, overrides)
    recipe = from_table(Recipe, table, " with ".join([where, *overrides]))
    if not recipe.cpu.options:
        return recipe
    for key, value in table["cpu"].items():
        section, dot, key = key.partition(".")
        if not dot or section not in SECTIONS:
            full = f"cpu.{section}{dot}{key}"
            raise UsageError(
                f"{where}: unknown key {full}{did_you_mean(section, SECTIONS)}: write section.key, "
                f"such as train.epochs, with a section of {', '.join(SECTIONS)}"
            )
        table.setdefault(section, {})[key] = copy.deepcopy(value)
    _override(table, overrides)
    # built even where it is not wanted, so that a mistake in it is found at once
    shortened = from_table(
        Recipe, table, " with ".join([f"{where} shortened by [cpu]", *overrides])
    )
    return shortened if short else recipe


def to_toml(recipe: Recipe) -> str:
    """The recipe in full, every default written out. Reading it back gives an equal recipe."""
    sections = [f"description = {as_toml(recipe.description)}\n"] if recipe.description else []
    for section, values in _as_table(recipe).items():
        lines = [f"{key} = {as_toml(value)}" for key, value in values.items() if value is not None]
        sections.append("\n".join([f"[{section}]", *lines]) + "\n")
    reported = {key: value for key, value in asdict(recipe.reported).items() if value or value == 0}
    for section, values in (("reported", reported), ("cpu", recipe.cpu.options)):
        lines = [f"{key} = {as_toml(value)}" for key, value in values.items()]
        sections += ["\n".join([f"[{section}]", *lines]) + "\n"] if lines else []
    return "\n".join(sections)


def changed_keys(old: Recipe, new: Recipe) -> list[tuple[str, Any, Any]]:
    """Changed keys as ("train.lr", old, new), without description, [reported] and [cpu]."""
    before, after = _as_table(old), _as_table(new)
    return [
        (f"{section}.{key}", before[section].get(key), after[section].get(key))
        for section in before
        for key in {**before[section], **after[section]}
        if before[section].get(key) != after[section].get(key)
    ]


def _as_table(recipe: Recipe) -> dict[str, dict[str, Any]]:
    table = {}
    for section in SECTIONS:
        values = asdict(getattr(recipe, section))
        options = values.pop("options", {})
        table[section] = {**values, **options}
    return table


def _override(table: dict[str, Any], overrides: Iterable[str]) -> None:
    """Put the value of each "section.key=value" into the table."""
    for override in overrides:
        key, equals, value = (part.strip() for part in override.partition("="))
        section, dot, key = key.partition(".")
        if not equals or not dot:
            raise UsageError(f"override {override!r}: write it as section.key=value, train.lr=1e-3")
        if isinstance(values := table.setdefault(section, {}), dict):
            values[key] = _override_value(value)


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """{"train": {"lr": 1}} and {"train.lr": 1} are the same: TOML writes either."""
    return {
        key if inner is None else f"{key}.{inner}": value
        for key, values in table.items()
        for inner, value in (values.items() if isinstance(values, dict) else [(None, values)])
    }


def _override_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text  # a string without quotes
