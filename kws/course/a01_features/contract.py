"""The contract of assignment 1: from a recording to features, splits, classes and masks.

Shape letters: B batch   N samples   T frames   W samples of a frame   K frequencies   M mel bands
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kws.course.trial import Draw, trial

SPLITS = ("training", "validation", "testing")
LABELS = (
    "_silence_", "_unknown_", "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go",
)  # fmt: skip
OTHER_WORDS = ("bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house", "marvin")
FEW = 10  # different masks are counted up to here
UNEVEN = 0.25  # six standard errors and more, for the rows that are drawn here
FILTERS_ATOL = 1e-4  # filters may be computed in float32

Measured = Iterator[tuple[str, Any]]


def dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else "no tensor"


def form(value: Any) -> str:
    """Kind and shape of a tensor, `float (2, 3)`, or the type of anything else."""
    if not isinstance(value, Tensor):
        return "None" if value is None else type(value).__name__
    kind = (
        "bool" if value.dtype == torch.bool else "float" if value.is_floating_point() else "other"
    )
    return f"{kind} {tuple(value.shape)}"


# 1.1


@trial("1.1", public={"B": 3, "N": 7}, hidden={"B": 4, "N": 13}, rtol=1e-7, atol=1e-7)
def pad_values(draw, B, N, pad_or_trim):
    """zeros are appended or the end is cut off, for any axes before the samples."""
    for shape in ((N,), (B, N), (2, B, N)):
        x = draw.uniform(*shape, low=-1)  # equal to the bit on every processor, as randn is not
        for length in (2, N, N + 4):
            what = f"pad_or_trim of a waveform {shape} to {length} samples"
            yield what, pad_or_trim(x, length)


@trial("1.1", public={"B": 3, "N": 7}, hidden={"B": 4, "N": 13})
def pad_dtype(draw, B, N, pad_or_trim):
    """the result has the dtype of the waveform, and the waveform is not modified."""
    for kind in (torch.float32, torch.float64):
        x = draw(B, N, dtype=kind)
        for length in (N - 2, N + 4):
            padded = pad_or_trim(x, length)
            yield f"the dtype of {N} samples of {dtype(x)}, padded to {length},", dtype(padded)
        yield f"the waveform in {dtype(x)} after the call", x


# 1.2


@trial("1.2", public={"W": 10}, hidden={"W": range(30, 3000, 2)})
def hann_values(draw, W, hann):
    """the window equals its formula, for even and odd lengths."""
    for length in (W, W + 1, 400):
        yield f"hann({length})", hann(length)


@trial(
    "1.2", public={"B": 2, "N": 31, "W": 12, "hop": 5}, hidden={"B": 3, "N": 89, "W": 46, "hop": 7}
)
def frame_values(draw, B, N, W, hop, frame):
    """frames of a batch are centered on multiples of the hop, with reflect padding."""
    x = draw(B, N)
    even, short = N - N % hop, W // 2 + 1
    for samples, step in ((N, hop), (even, hop), (short, hop), (N, W + 1)):
        what = f"frame of a waveform ({B}, {samples}), length {W}, hop {step},"
        yield what, frame(x[:, :samples].clone(), W, step)
    kinds = torch.float64, torch.float32
    yield "the dtypes of frames of both", [dtype(frame(x.to(kind), W, hop)) for kind in kinds]
    frame(x, W, hop)
    yield "the waveform after the call", x


# 1.3


@trial("1.3", public={"B": 2, "T": 3, "W": 10}, hidden={"B": 3, "T": 13, "W": 46})
def power_values(draw, B, T, W, power_spectrum):
    """the power of windowed frames equals the formula, for even and odd W."""
    for length in (W, W + 1):
        x = draw(B, T, length)
        yield f"power_spectrum of frames ({B}, {T}, {length})", power_spectrum(x.clone())
    yield "power_spectrum of frames in float64", power_spectrum(x.double())


@trial("1.3", public={"B": 2, "T": 3, "W": 10}, hidden={"B": 3, "T": 13, "W": 46})
def power_dtype(draw, B, T, W, power_spectrum):
    """the power has the dtype of the frames, which are not modified."""
    for kind in (torch.float32, torch.float64):
        x = draw(B, T, W, dtype=kind)
        y = power_spectrum(x)
        yield f"the dtype of power_spectrum of frames in {dtype(x)}", dtype(y)
        yield f"the frames in {dtype(x)} after the call", x


@trial("1.3", public={"periods": 7}, hidden={"periods": range(11, 190)})
def power_tone(draw, periods, power_spectrum):
    """a tone has its power at its own frequency, and four times as much when twice as loud."""
    n = torch.arange(400, dtype=torch.float64)
    tone = torch.cos(2 * math.pi * periods * n / 400)[None, None]
    power, louder = power_spectrum(tone.clone()), power_spectrum(2 * tone)
    yield "the strongest frequency of the tone", power[0, 0].argmax()
    yield "the power of the tone twice as loud, divided by its power,", louder.sum() / power.sum()


# 1.4


@trial("1.4", public={"hz": 440.0}, hidden={"hz": range(2500, 7900)}, atol=FILTERS_ATOL)
def mel_scale(draw, hz, hz_to_mel):
    """hz_to_mel equals its formula from 0 to 8,000 Hz."""
    frequencies = (hz, 20.0, 1000.0, 8000.0, 0.0, 5)
    yield f"hz_to_mel of {frequencies}, one by one,", [hz_to_mel(each) for each in frequencies]


@trial(
    "1.4",
    public={"K": 33, "M": 5, "low": 150.0, "high": 6000.0},
    hidden={"K": range(120, 400, 2), "M": 29, "low": range(200, 400), "high": 5003.0},
    atol=FILTERS_ATOL,
)
def filterbank_values(draw, K, M, low, high, mel_filterbank):
    """the filterbank equals the formula (HTK scale, no norm), whatever the bounds."""
    for sizes in ((K, M, low, high), (201, 40, 20.0, 8000.0), (K, 1, 0, 8000)):
        yield "mel_filterbank({}, {}, {:g}, {:g})".format(*sizes), mel_filterbank(*sizes)


# 1.5


def quiet(draw: Draw, N: int) -> Tensor:
    """Two waveforms (2, N), so quiet that bands are below and above a floor of 1e-6."""
    return draw(2, N, dtype=torch.float64) * torch.tensor([[1e-4], [1e-2]])


@trial("1.5", public={"N": 1001}, hidden={"N": 3001}, atol=FILTERS_ATOL)
def log_mel_values(draw, N, log_mel):
    """log_mel equals the formula, for quiet waveforms and loud ones."""
    x = quiet(draw, N)
    for samples in (N, 960, 201):
        yield f"log_mel of a waveform (2, {samples})", log_mel(x[:, :samples].clone())
    yield "log_mel of a loud waveform", log_mel(1000 * x)


@trial("1.5", public={"N": 1001}, hidden={"N": 3001}, atol=FILTERS_ATOL)
def log_mel_alone(draw, N, log_mel):
    """no example depends on another, and the dtype is that of the waveform."""
    x = 1000 * quiet(draw, N)
    y = log_mel(x)
    yield "the dtype of log_mel of a waveform in float64", dtype(y)
    yield "the waveform after the call", x
    yield "the change of the second example where it is alone", log_mel(x[1:]) - y[1:]
    yield "do two examples have other values?", bool((y[0] != y[1]).any())
    yield "the dtype of log_mel of a waveform in float32", dtype(log_mel(x.float()))


@trial("1.5", public={"N": 801}, hidden={"N": 1601}, atol=FILTERS_ATOL)
def log_mel_silence(draw, N, log_mel):
    """silence is finite, and lower where the floor is."""
    click = torch.zeros(1, N, dtype=torch.float64)
    click[0, -1] = 1
    y = log_mel(click)[:, :-2]
    odd = sorted({str(number) for number in y[~y.isfinite()].tolist()})
    yield "what log_mel of zeros has besides finite numbers", odd
    yield "the signs of log_mel of zeros", y.sign().unique()
    lower = (log_mel(click, floor=1e-9)[:, :-2] < y).all()
    yield "is log_mel of zeros lower with floor=1e-9?", bool(lower)


@trial("1.5", public={"N": 1001}, hidden={"N": 3001})
def log_mel_settings(draw, N, log_mel):
    """n_mels and f_min are both used."""
    x, sizes = quiet(draw, N), draw.integers(4, low=12, high=38).tolist()
    bands = [log_mel(x, n_mels=M).shape[-1] for M in sizes]
    yield f"the numbers of bands with n_mels={sizes}, one by one,", bands
    other = bool((log_mel(x, f_min=307.0) != log_mel(x)).any())
    yield "is log_mel another one with f_min=307?", other


# 1.6


@trial("1.6", public={"C": 4, "M": 7}, hidden={"C": 11, "M": range(20, 300)}, atol=FILTERS_ATOL)
def dct_values(draw, C, M, dct_matrix):
    """the DCT matrix equals the formula, square or not."""
    for n_mfcc, n_mels in ((C, M), (M, M), (1, M)):
        yield f"dct_matrix({n_mfcc}, {n_mels})", dct_matrix(n_mfcc, n_mels)


@trial(
    "1.6", public={"N": 1001, "C": 7, "M": 23}, hidden={"N": 3001, "C": 11, "M": 29},
    atol=FILTERS_ATOL,
)  # fmt: skip
def mfcc_values(draw, N, C, M, mfcc):
    """mfcc is the DCT of log_mel, with n_mfcc and n_mels used."""
    x = quiet(draw, N)
    yield f"mfcc of a waveform (2, {N})", mfcc(x)
    yield f"mfcc(waveform, n_mfcc={C})", mfcc(x, n_mfcc=C)
    yield f"mfcc(waveform, n_mels={M})", mfcc(x, n_mels=M)
    found = [dtype(mfcc(x.to(kind))) for kind in (torch.float32, torch.float64)]
    yield "the list of dtypes of mfcc of float32 and float64", found
    yield "the waveform after the call", x


# 1.7


def speakers(draw: Draw, count: int) -> list[str]:
    """Numbers as Speech Commands writes them."""
    return [f"{number:08x}" for number in draw.integers(count, high=2**32).tolist()]


@trial("1.7", public={"count": 3000}, hidden={"count": 4000})
def split_values(draw, count, which_split):
    """every speaker is in the split that the rule gives."""
    names = [f"marvin/{each}_nohash_0.wav" for each in speakers(draw, count)]
    found = [which_split(name) for name in names]
    yield "the names of splits", sorted({str(split) for split in found})
    places = [SPLITS.index(split) if split in SPLITS else -1 for split in found]
    yield f"the splits of {count} speakers, as numbers,", torch.tensor(places)


@trial("1.7", public={"count": 12}, hidden={"count": 19})
def split_recordings(draw, count, which_split):
    """all recordings of a speaker are in one split."""
    recordings = [f"{word}/{{}}_nohash_{n}.wav" for word in ("bed", "up") for n in (0, 3, 12)]
    found = [
        [which_split(name.format(speaker)) for name in recordings]
        for speaker in ("c2d15ea5", "0487ba9b", "1093c8e7", "3df9a3d4", *speakers(draw, count))
    ]
    yield "the splits of six recordings of each speaker", found


@trial("1.7", public={"count": 30}, hidden={"count": 40})
def split_folders(draw, count, which_split):
    """neither the folder nor the ending of a name moves a speaker."""
    cast = speakers(draw, count)
    forms = {
        "clips in folders of folders": "a/b/go/{}_nohash_11.wav.wav",
        "names that hold _nohash_ twice": "go/{}_nohash_1_nohash_2.wav",
        "file names alone": "{}_nohash_0.wav",
    }
    for what, name in forms.items():
        yield f"the list of splits of {what}", [which_split(name.format(each)) for each in cast]
    # what is there is not a speaker, so any split will do
    plain = {which_split(f"go/{each}.wav") in SPLITS for each in cast}
    yield "a name without _nohash_ has a split: it", plain == {True}


# 1.8


@trial("1.8", public={"most": 200}, hidden={"most": range(1000, 2000)})
def extra_count_values(draw, most, extra_count):
    """10 % rounded up, as in the published counts."""
    for wanted in (30_769, 3_703, 4_074, 20, 30, 0, most):
        yield f"extra_count({wanted})", extra_count(wanted)
    counts = [extra_count(wanted) for wanted in range(most)]
    yield f"extra_count of 0 to {most - 1}", [int(count) for count in counts]


def listing(draw: Draw, clips: int) -> list[str]:
    """Names of so many clips of each command and two less of each other word, in any order."""
    cast = speakers(draw, clips)
    names = [f"{word}/{each}_nohash_0.wav" for word in LABELS[2:] for each in cast]
    names += [f"{word}/{each}_nohash_0.wav" for word in OTHER_WORDS for each in cast[2:]]
    return [names[n] for n in draw(len(names)).argsort().tolist()]


def pairs_form(value: Any, names: list[str]) -> str:
    """What a list of clips is: "pairs of a name or None and a place in LABELS", or what not."""
    if not isinstance(value, list):
        return "None" if value is None else type(value).__name__
    known = set(names)
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            return "a list of something else than pairs"
        name, label = pair
        if type(label) is not int or not 0 <= label < len(LABELS):
            return f"a list with labels that are {type(label).__name__}, not 0 to 11"
        if not (name is None or (isinstance(name, str) and name in known)):
            return "a list with names that were not given"
    return "pairs of a name or None and a place in LABELS"


def measure_counts(results: dict[str, Any], clips: int) -> Measured:
    for what, pairs in results.items():
        if what.startswith("choose_clips"):
            names = results["names for " + what]
            shape = pairs_form(pairs, names)
            yield f"the form of {what}", shape
            if not shape.startswith("pairs "):
                return
            labels = [label for _, label in pairs]
            yield f"silent and unknown clips of {what}", [labels.count(0), labels.count(1)]
            named = Counter(name for name, _ in pairs if name is not None)
            twice = any(count > 1 for count in named.values())
            yield f"a clip that {what} chooses twice: there", "is one" if twice else "is none"


@trial("1.8", public={"clips": 13}, hidden={"clips": 23}, measure=measure_counts)
def choose_counts(draw, clips, choose_clips):
    """there are as many unknown and silent clips as 10 % of the clips of commands."""
    clips += int(draw.integers(1, high=200))
    some = [f"{word}/a_nohash_{n}.wav" for n in range(11) for word in ("go", "cat", "dog")]
    few = [*some[::3], "cat/b_nohash_0.wav"]
    rare = [f"{word}/a_nohash_{n}.wav" for n in range(150) for word in (("go", "cat")[n >= 137],)]
    given = {"11 clips of a command and 22 others": some, "11 and 1": few, "no clips": []}
    given |= {f"{10 * clips} clips of commands": listing(draw, clips), "137 and 13": rare}
    for text, names in given.items():
        what = f"choose_clips of {text}"
        yield f"names for {what}", list(names)
        yield what, choose_clips(list(names))


def measure_labels(results: dict[str, Any], clips: int) -> Measured:
    names, pairs = results["names"], results["choose_clips(names)"]
    shape = pairs_form(pairs, names)
    yield "the form of choose_clips(names)", shape
    if not shape.startswith("pairs "):
        return
    found: dict[str, set[int]] = defaultdict(set)
    for name, label in pairs:
        word = "None" if name is None else name.partition("/")[0]
        found[word if word in ("None", *LABELS) else "other words"].add(label)
    words = ("None", "other words", *LABELS[2:])
    yield "the table of labels by word", {word: sorted(found[word]) for word in words}
    chosen = {name for name, _ in pairs}
    commands = [name for name in names if name.partition("/")[0] in LABELS]
    yield "the number of clips of commands that are missing", sum(n not in chosen for n in commands)
    yield "the given list after the call, its first and last item", results["names after the call"]


@trial("1.8", public={"clips": 13}, hidden={"clips": 23}, measure=measure_labels)
def choose_labels(draw, clips, choose_clips):
    """every clip has its index in LABELS, and the given list is not modified."""
    names = [*listing(draw, clips), *(f"one/{each}_nohash_1.wav" for each in speakers(draw, 90))]
    yield "names", list(names)
    yield "choose_clips(names)", choose_clips(names)
    yield "names after the call", [names[0], names[-1]]


def unknown(pairs: list[list[Any]]) -> list[str]:
    return sorted(name for name, label in pairs if label == 1 and name)


def measure_drawn(results: dict[str, Any], clips: int) -> Measured:
    names = results["names"]
    chosen = {what: pairs for what, pairs in results.items() if what.startswith("choose_clips")}
    for what, pairs in chosen.items():
        shape = pairs_form(pairs, names)
        yield f"the form of {what}", shape
        if not shape.startswith("pairs "):
            return
        found = unknown(pairs)
        others = [name for name in names if name.partition("/")[0] not in LABELS]
        firsts = [sorted(part[: len(found)]) for part in (others, sorted(others), others[::-1])]
        words = {name.partition("/")[0] for name in found}
        drawn = "the first ones of the list" if found in firsts else "of one word or two"
        if found not in firsts and len(words) > 2:
            drawn = "drawn from all other words"
        silent = [label for name, label in pairs if not name]
        counts = [len(silent), silent.count(0), len(found)]
        yield f"silent clips, those with this label, unknown clips of {what}", counts
        yield f"the choice of unknown clips by {what}", drawn
    choices = {tuple(unknown(pairs)) for pairs in chosen.values()}
    yield "the number of choices that three seeds make", len(choices)


@trial("1.8", public={"clips": 13}, hidden={"clips": 23}, measure=measure_drawn)
def choose_drawn(draw, clips, choose_clips):
    """unknown clips are drawn from all other words, different ones for another seed."""
    names = listing(draw, clips)
    yield "names", list(names)
    for seed in (0, 1, 2):
        yield f"choose_clips(names, seed={seed})", choose_clips(list(names), seed=seed)


def measure_same(results: dict[str, Any], clips: int) -> Measured:
    names, first = results["names"], results["choose_clips(names, seed=3)"]
    for what, pairs in results.items():
        if what.startswith("choose_clips"):
            shape = pairs_form(pairs, names)
            yield f"the form of {what}", shape
            if not shape.startswith("pairs "):
                return
            same = bool(pairs) and unknown(pairs) == unknown(first)
            yield f"the choice of {what}", "as before" if same else "another one"


@trial("1.8", public={"clips": 13}, hidden={"clips": 23}, measure=measure_same)
def choose_same(draw, clips, choose_clips):
    """the same seed chooses the same clips, in whatever order the files are listed."""
    names = listing(draw, clips)
    yield "names", list(names)
    random.seed(1)
    torch.manual_seed(1)
    yield "choose_clips(names, seed=3)", choose_clips(list(names), seed=3)
    random.seed(2)
    torch.manual_seed(2)
    yield "choose_clips(names, seed=3) once more", choose_clips(list(names), seed=3)
    what = "choose_clips(names, seed=3) with the names in another order"
    yield what, choose_clips(names[::-1], seed=3)


# 1.9


def begins(spans: Tensor) -> Tensor:
    """True in the first cell of every span of a row."""
    return spans & ~F.pad(spans[:, :-1], (1, 0))


def even(counts: Tensor) -> str:
    """Which of these counts are not as high as the others, up to chance."""
    shares = counts / counts.double().median()
    rare, often = (shares < 1 - UNEVEN).nonzero(), (shares > 1 + UNEVEN).nonzero()
    if len(rare) + len(often) == 0:
        return "even"
    return f"{rare.flatten().tolist()} too rare and {often.flatten().tolist()} too frequent"


def measure_spans(results: dict[str, Any], rows: int, length: int, widest: int) -> Measured:
    sizes = {"spans": (length, widest), "as wide as long": (widest, widest)}
    for name, (cells, most) in sizes.items():
        what, spans = f"random_spans({rows}, {cells}, {most})", results[name]
        yield f"the form of {what}", form(spans)
        if form(spans) != f"bool {(rows, cells)}":
            return
        widths, starts = spans.sum(1), spans.int().argmax(1)
        different = len((cells * widths + starts).unique())
        yield f"the number of different rows of {what}, up to {FEW},", min(FEW, different)
        yield f"the number of spans in a row of {what}, at most,", begins(spans).sum(1).max()
        often = [widths.unique().tolist(), even(widths.bincount())]
        yield f"the list of widths in {what}, and how frequent they are,", often
        for width in range(1, most + 1):
            places = starts[widths == width].bincount()
            found = places.nonzero().flatten().tolist()
            yield f"the list of first cells of spans of {width} in {what}", found
            yield f"the frequency of these first cells of spans of {width}", even(places)
    none = results["none"]
    cells = int(none.sum()) if isinstance(none, Tensor) else none
    yield "the number of cells in random_spans(9, 5, 0)", cells
    again = torch.equal(results["spans"], results["again"])
    yield "the result of a second call", "the same" if again else "another one"


@trial(
    "1.9",
    public={"rows": 20_000, "length": 7, "widest": 3},
    hidden={"rows": 20_000, "length": 9, "widest": 4},
    measure=measure_spans,
)
def spans_values(draw, rows, length, widest, random_spans):
    """spans are whole, and every width and every place is as likely as any other."""
    yield "spans", random_spans(rows, length, widest)
    yield "as wide as long", random_spans(rows, widest, widest)
    try:  # a width is 0: what draws from 1 on has shown that by now, in the widths
        yield "none", random_spans(9, 5, 0)
    except (ValueError, RuntimeError, IndexError) as error:
        yield "none", type(error).__name__
    yield "again", random_spans(rows, length, widest)


def measure_masks(
    results: dict[str, Any], B: int, T: int, M: int, max_time: int, max_freq: int
) -> Measured:
    for what in ("spec_augment(mel)", "spec_augment(mel) once more"):
        yield f"the form of {what}", form(results[what])
        if form(results[what]) != f"float {(B, T, M)}":
            return
    covered = results["spec_augment(mel)"] != results["mel"]
    again = results["spec_augment(mel) once more"] != results["mel"]
    masks = {"": covered, "of frames ": covered.all(2), "of bands ": covered.all(1)}
    for name in ("of frames ", "of bands "):
        yield f"any masks {name}among {B} examples", "yes" if masks[name].any() else "no"
    for name, mask in masks.items():
        different = min(FEW, len(mask.unique(dim=0)))
        yield f"the number of different masks {name}among {B} examples, up to 10,", different
    yield "the mask of a second call", "the same" if torch.equal(covered, again) else "another one"
    most = covered.flatten(1).any(1).sum() > 0.75 * B  # a width of 0 is as likely as any other
    yield "examples that are masked", "most of them" if most else "half of them, or fewer"


@trial(
    "1.9",
    public={"B": 101, "T": 13, "M": 11, "max_time": 6, "max_freq": 5},
    hidden={"B": 113, "T": 17, "M": 12, "max_time": 7, "max_freq": 6},
    measure=measure_masks,
)
def augment_masks(draw, B, T, M, max_time, max_freq, spec_augment):
    """equal examples of a batch get different masks, and new ones every time."""
    mel = draw(1, T, M).expand(B, -1, -1).clone()
    yield "mel", mel.clone()
    yield "spec_augment(mel)", spec_augment(mel.clone(), max_time, max_freq)
    yield "spec_augment(mel) once more", spec_augment(mel.clone(), max_time, max_freq)


REPEATED = 60  # times every example is in the batch: at least once it is covered


def measure_mean(
    results: dict[str, Any], B: int, T: int, M: int, max_time: int, max_freq: int
) -> Measured:
    mel = results["mel"]
    for widest in ((max_time, max_freq), (max_time, 0), (0, max_freq), (0, 0)):
        what = "spec_augment(mel, {}, {})".format(*widest)
        y = results[what]
        yield f"the form of {what}", form(y)
        if form(y) != f"float {tuple(mel.shape)}":
            return
        covered = y != mel
        frames, bands = covered.all(2), covered.all(1)
        most = [int(part.sum(1).max()) for part in (frames, bands)]
        yield f"[frames, bands] that {what} covers as a whole, at most,", most
        spans = [int(begins(part).sum(1).max()) for part in (frames, bands)]
        yield f"[spans of frames, spans of bands] of {what}, at most,", spans
        other = bool((covered & ~frames[:, :, None] & ~bands[:, None, :]).any())
        yield f"a cell of {what} outside of covered frames and bands", "yes" if other else "no"
    y = results[f"spec_augment(mel, {max_time}, {max_freq})"]
    covered = (y != mel).view(B, -1)
    for name, none, choose in (
        ("lowest", math.inf, Tensor.amin),
        ("highest", -math.inf, Tensor.amax),
    ):
        values = torch.where(covered, y.view(B, -1), none)
        yield f"the {name} value of covered cells, example by example,", choose(values, 1)


@trial(
    "1.9",
    public={"B": 5, "T": 9, "M": 8, "max_time": 4, "max_freq": 3},
    hidden={"B": 7, "T": 17, "M": 11, "max_time": 7, "max_freq": 5},
    measure=measure_mean,
)
def augment_mean(draw, B, T, M, max_time, max_freq, spec_augment):
    """whole frames and whole bands are set to the mean of their own example."""
    mel = draw(B, T, M) + 3 * draw(B, 1, 1) - 9
    mel = mel.repeat_interleave(REPEATED, dim=0)
    yield "mel", mel.clone()
    for widest in ((max_time, max_freq), (max_time, 0), (0, max_freq), (0, 0)):
        yield "spec_augment(mel, {}, {})".format(*widest), spec_augment(mel.clone(), *widest)


@trial("1.9", public={"B": 5, "T": 9, "M": 8}, hidden={"B": 7, "T": 17, "M": 11})
def augment_given(draw, B, T, M, spec_augment):
    """the given tensor is not modified, and the result has its dtype."""
    for kind in (torch.float32, torch.float64):
        mel = draw(B, T, M, dtype=kind)
        given = mel.clone()
        y = spec_augment(mel, T - 1, M - 1)
        yield f"is mel in {dtype(mel)} as before the call?", torch.equal(mel, given)
        yield f"the dtype of spec_augment of {dtype(mel)}", dtype(y)
