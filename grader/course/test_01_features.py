"""Hidden checks of assignment 1: parity with kws in float64, sizes are primes or twice a prime.

Inputs follow from the secret seed. An answer may compute its filters in float32, as torchaudio
does, so values may be off by 1e-4.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grader.course.probes.clip_mistakes import (
    LABELS,
    by_percent,
    count_mistakes,
    cover_mistakes,
    label_mistakes,
    pairs_of,
    sha1_percent,
    split_mistakes,
    splits_of,
)
from grader.course.probes.feature_mistakes import (
    CLOSE,
    dct_mistakes,
    expect_values,
    filterbank_mistakes,
    frame_mistakes,
    hann,
    hann_mistakes,
    log_mel_mistakes,
    mel_mistakes,
    mfcc_mistakes,
    power_mistakes,
    reflected,
    spectrum,
)
from grader.grading.feedback import Failure, expect_close, expect_dtype, expect_equal, expect_shape
from kws.features import WINDOW, dct_matrix, hz_to_mel, log_mel, mel_filterbank, mfcc
from kws.protocols import COMMANDS, V2_OTHER_WORDS, which_split

B, N, W, SHIFT = 3, 89, 46, 7  # W is the length of a frame, SHIFT from one frame to the next
T = 13  # 1 + N // SHIFT
M, C = 29, 11  # mel bands, coefficients


@pytest.fixture
def draw(secret):
    """Normal numbers of a shape, in float64, other ones in every course."""
    generator = secret.generator("assignment 1")
    return lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.fixture
def speakers(secret):
    """Speaker numbers as Speech Commands writes them, other ones in every course."""

    def invent(count: int) -> list[str]:
        return [f"{secret.number(f'speaker {n}') % 2**32:08x}" for n in range(count)]

    return invent


def by_hand(*rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def expect_real(what: str, actual, *shape: int) -> Tensor:
    """`actual` in float64, if it is a tensor of this shape that can be computed with."""
    actual = expect_shape(what, actual, *shape)
    if actual.is_complex():
        raise Failure(f"{what} is complex, expected real numbers")
    return actual.double()


# 1.1 pad_or_trim


@pytest.mark.check("1.1", points=1, concept="section 1.1")
def test_pad_by_hand(student):
    """three samples become five, or two."""
    x = by_hand(1, 2, 3)
    suspects = {
        "zeros come after the sound, not before it": by_hand(0, 0, 1, 2, 3),
        "the sound starts where it started: is it in the middle now?": by_hand(0, 1, 2, 3, 0),
        "are there zeros in the padding, or the sound once more?": by_hand(1, 2, 3, 1, 2),
        "is the last sample repeated? Silence is zero": by_hand(1, 2, 3, 3, 3),
        "are zeros appended at all?": x,
    }
    actual = student.pad_or_trim(x, 5)
    expect_values("pad_or_trim([1, 2, 3], 5)", actual, by_hand(1, 2, 3, 0, 0), suspects)
    suspects = {"the end is cut off, not the beginning": by_hand(2, 3), "is the end cut off?": x}
    expect_values("pad_or_trim([1, 2, 3], 2)", student.pad_or_trim(x, 2), by_hand(1, 2), suspects)


@pytest.mark.check("1.1", points=1, concept="section 1.1")
def test_pad_any_axes(student, draw):
    """whatever axes come before the samples, they stay."""
    for shape in ((7,), (B, 7), (2, B, 7)):
        for length in (2, 5, 11):
            x = draw(*shape)
            kept = x[:length]
            kept = F.pad(kept, (0, length - kept.shape[-1]))
            suspects = {"samples are the last axis: [..., :num_samples]": kept}
            what = f"pad_or_trim of a waveform {shape} to {length} samples"
            actual = student.pad_or_trim(x, length)
            expect_values(what, actual, F.pad(x, (0, length - 7)), suspects)


def input_after_padding(names, x):
    """The tensor that pad_or_trim was given, after the call."""
    names["pad_or_trim"](x, 5)
    return x


@pytest.mark.check("1.1", points=1, concept="section 1.1")
def test_pad_keeps_the_dtype(student, draw):
    """samples keep their dtype, and the recording its length."""
    for dtype in (torch.float32, torch.float64):
        what = f"pad_or_trim of {str(dtype).removeprefix('torch.')} samples"
        padded = student.pad_or_trim(draw(B, 7).to(dtype), 11)
        expect_dtype(what, padded, dtype)
    x = draw(B, 7)
    what = "the waveform that was given, afterwards,"
    suspects = {"make a new tensor, the given one belongs to the caller": F.pad(x[:, :5], (0, 2))}
    expect_close(what, student.define(input_after_padding, x), x, suspects)


# 1.2 hann, frame


@pytest.mark.check("1.2", points=1, concept="section 1.2")
def test_hann_by_hand(student):
    """a window of four agrees with pencil and paper."""
    expect_values("hann(4)", student.hann(4), by_hand(0, 0.5, 1, 0.5), hann_mistakes(4))


@pytest.mark.check("1.2", points=1, concept="section 1.2")
def test_frames_by_hand(student):
    """five samples make three frames of four."""
    x = torch.arange(5.0)[None]
    expected = by_hand([2, 1, 0, 1], [0, 1, 2, 3], [2, 3, 4, 3])[None]
    suspects = frame_mistakes(x, 4, 2)
    expect_values("frame([[0, 1, 2, 3, 4]], 4, 2)", student.frame(x, 4, 2), expected, suspects)


@pytest.mark.check("1.2", points=1, concept="section 1.2")
def test_hann_values(student):
    """the window equals its formula for other lengths."""
    for length in (W, 401, WINDOW):
        expect_values(f"hann({length})", student.hann(length), hann(length), hann_mistakes(length))


@pytest.mark.check("1.2", points=2, concept="section 1.2")
def test_frames_values(student, draw):
    """frames of a batch are centered on multiples of the hop, with reflect padding."""
    x = draw(B, N)
    expected = reflected(x, W).unfold(1, W, SHIFT)
    what = f"frame of a waveform ({B}, {N}), length {W}, hop {SHIFT},"
    expect_values(what, student.frame(x, W, SHIFT), expected, frame_mistakes(x, W, SHIFT))


# 1.3 power_spectrum


@pytest.mark.check("1.3", points=1, concept="section 1.3")
def test_power_by_hand(student):
    """a click has the same power at all frequencies."""
    x = by_hand([2, 0, -2, 0])[None]
    expected = by_hand([4, 4, 4])[None]
    what = "power_spectrum([[[2, 0, -2, 0]]])"
    expect_values(what, student.power_spectrum(x), expected, power_mistakes(x))


@pytest.mark.check("1.3", points=2, concept="section 1.3")
def test_power_values(student, draw):
    """the power of windowed frames equals the formula."""
    x = draw(B, T, W)
    what = f"power_spectrum of frames ({B}, {T}, {W})"
    actual = student.power_spectrum(x)
    expect_values(what, actual, spectrum(x).abs().square(), power_mistakes(x))


@pytest.mark.check("1.3", points=1, concept="section 1.3")
def test_power_of_a_tone(student):
    """a tone has its power at its own frequency, and four times as much when twice as loud."""
    n = torch.arange(WINDOW, dtype=torch.float64)
    tone = torch.cos(2 * math.pi * 25 * n / WINDOW)[None, None]  # 25 periods a frame: 1,000 Hz
    one, two = student.power_spectrum(tone), student.power_spectrum(2 * tone)
    one = expect_real("power_spectrum of one frame of 400", one, 1, 1, WINDOW // 2 + 1)
    peak = int(one[0, 0].argmax())
    expect_equal("the strongest frequency of a tone of 25 periods", peak, 25)
    suspects = {"power is the square of the magnitude": 2 * one}
    expect_close("the power of a tone, twice as loud,", two, 4 * one, suspects, **CLOSE)


# 1.4 hz_to_mel, mel_filterbank


@pytest.mark.check("1.4", points=1, concept="section 1.4")
def test_mel_by_hand(student):
    """one band agrees with pencil and paper."""
    suspects = mel_mistakes(700)
    actual = student.hz_to_mel(700)
    expect_close("hz_to_mel(700)", actual, 2595 * math.log10(2), suspects, rtol=1e-5)
    expected = by_hand([0, 12, 20, 16, 12, 8, 4, 0, 0, 0, 0]).T / 21
    suspects = filterbank_mistakes(11, 1, 0.0, 5600.0)
    actual = student.mel_filterbank(11, 1, 0, 5600)
    expect_values("mel_filterbank(11, 1, 0, 5600)", actual, expected, suspects)


@pytest.mark.check("1.4", points=1, concept="section 1.4")
def test_mel_scale(student):
    """hz_to_mel equals its formula from 0 to 8,000 Hz."""
    for hz in (20.0, 1000.0, 3989.0, 8000.0, 0.0):
        actual, expected = student.hz_to_mel(hz), hz_to_mel(hz)
        expect_close(f"hz_to_mel({hz:g})", actual, expected, mel_mistakes(hz), rtol=1e-5, atol=1e-5)


@pytest.mark.check("1.4", points=2, concept="section 1.4")
def test_filterbank_values(student):
    """the filterbank equals torchaudio's (HTK scale, no norm), whatever the bounds."""
    for sizes in ((257, M, 307.0, 5003.0), (201, 40, 20.0, 8000.0)):
        suspects = filterbank_mistakes(*sizes)
        what = "mel_filterbank({}, {}, {:g}, {:g})".format(*sizes)
        expect_values(what, student.mel_filterbank(*sizes), mel_filterbank(*sizes), suspects)


# 1.5 log_mel


def quiet(draw) -> Tensor:
    """Noise so quiet that a floor of 1e-6 is seen: (2, 3001)."""
    return 1e-3 * draw(2, 3001)


@pytest.mark.check("1.5", points=2, concept="section 1.5")
def test_log_mel_values(student, draw):
    """log_mel agrees with torchaudio."""
    x = quiet(draw)
    suspects = log_mel_mistakes(x, 40, 20.0, 1e-6)
    what = "log_mel of a waveform (2, 3001)"
    expect_values(what, student.log_mel(x), log_mel(x), suspects)


@pytest.mark.check("1.5", points=1, concept="section 1.5")
def test_silence(student):
    """silence is ln(floor), not minus infinity."""
    actual = student.log_mel(torch.zeros(1, 1601))
    if isinstance(actual, Tensor) and actual.isinf().any():
        raise Failure("log_mel of zeros is infinite", "is the floor added before the logarithm?")
    suspects = {"the logarithm is the natural one": torch.full((1, 11, 40), -6.0)}
    expected = torch.full((1, 11, 40), math.log(1e-6))
    expect_values("log_mel of zeros (1, 1601)", actual, expected, suspects)


@pytest.mark.check("1.5", points=1, concept="section 1.5")
def test_log_mel_settings(student, draw):
    """n_mels, f_min and floor are all used."""
    x = quiet(draw)
    for n_mels, f_min, floor in ((M, 20.0, 1e-6), (40, 307.0, 1e-6), (40, 20.0, 1e-4)):
        what = f"log_mel(waveform, n_mels={n_mels}, f_min={f_min:g}, floor={floor:g})"
        suspects = log_mel_mistakes(x, n_mels, f_min, floor)
        expected = log_mel(x, n_mels=n_mels, f_min=f_min, floor=floor)
        actual = student.log_mel(x, n_mels=n_mels, f_min=f_min, floor=floor)
        expect_values(what, actual, expected, suspects)


@pytest.mark.check("1.5", points=1, concept="section 1.5")
def test_examples_are_alone(student, draw):
    """an example's features do not depend on the others in its batch."""
    x = quiet(draw) * by_hand(1, 100)[:, None]
    what = "log_mel of one example, in a batch and alone,"
    together = expect_real(what, student.log_mel(x), 2, 19, 40)
    for row in (0, 1):
        alone = expect_real(what, student.log_mel(x[row : row + 1]), 1, 19, 40)
        if not torch.allclose(together[row : row + 1], alone, rtol=1e-5, atol=1e-4):
            question = "is something divided by a mean or a maximum of the whole batch?"
            raise Failure(f"{what} is not the same", question)


# 1.6 dct_matrix, mfcc


@pytest.mark.check("1.6", points=1, concept="section 1.6")
def test_dct_by_hand(student):
    """three bands, two coefficients, with pencil and paper."""
    a, b = (1 / 3) ** 0.5, 0.5**0.5
    expected = by_hand([a, b], [a, 0], [a, -b])
    actual = student.dct_matrix(2, 3)
    expect_values("dct_matrix(2, 3)", actual, expected, dct_mistakes(2, 3))


@pytest.mark.check("1.6", points=1, concept="section 1.6")
def test_mfcc_values(student, draw):
    """mfcc agrees with torchaudio."""
    x = quiet(draw)
    what = "mfcc of a waveform (2, 3001)"
    expect_values(what, student.mfcc(x), mfcc(x, n_mfcc=13), mfcc_mistakes(x, 13, 40))


@pytest.mark.check("1.6", points=1, concept="section 1.6")
def test_dct_values(student):
    """the DCT matrix is orthonormal and equals the formula for other sizes."""
    for n_mfcc, n_mels in ((C, M), (M, M)):
        actual = student.dct_matrix(n_mfcc, n_mels)
        what = f"dct_matrix({n_mfcc}, {n_mels})"
        expect_values(what, actual, dct_matrix(n_mfcc, n_mels), dct_mistakes(n_mfcc, n_mels))


@pytest.mark.check("1.6", points=1, concept="section 1.6")
def test_mfcc_settings(student, draw):
    """n_mfcc and n_mels are both used."""
    x = quiet(draw)
    for n_mfcc, n_mels in ((C, 40), (13, M)):
        suspects = mfcc_mistakes(x, n_mfcc, n_mels)
        expected = mfcc(x, n_mfcc=n_mfcc, n_mels=n_mels)
        what = f"mfcc(waveform, n_mfcc={n_mfcc}, n_mels={n_mels})"
        actual = student.mfcc(x, n_mfcc=n_mfcc, n_mels=n_mels)
        expect_values(what, actual, expected, suspects)


# 1.7 which_split


def expect_splits(student, names: list[str], what: str) -> None:
    """Every clip in its split; the hint is the mistake that explains all of the answers."""
    actual, expected = splits_of(student, names), [which_split(name) for name in names]
    wrong = sum(a != b for a, b in zip(actual, expected, strict=True))
    if wrong:
        table = [split_mistakes(name) for name in names]
        hint = next((h for h in table[0] if actual == [row[h] for row in table]), "")
        raise Failure(f"{wrong} of {len(names)} {what} are in another split", hint)


@pytest.mark.check("1.7", points=1, concept="section 1.7")
def test_split_of_real_speakers(student):
    """four speakers of Speech Commands are where they belong."""
    real = ("c2d15ea5", "4a294341", "43f57297", "f9af823e")
    expect_splits(student, [f"yes/{speaker}_nohash_0.wav" for speaker in real], "real speakers")


@pytest.mark.check("1.7", points=1, concept="section 1.7")
def test_takes_stay_together(student, speakers):
    """all takes of a speaker are in one split."""
    for speaker in ("c2d15ea5", *speakers(7)):
        names = [f"{w}/{speaker}_nohash_{n}.wav" for w in ("bed", "up") for n in range(5)]
        found = splits_of(student, names)
        if len(set(found)) > 1:
            by_file = found == [by_percent(sha1_percent(name.split("/")[1])) for name in names]
            hint = (
                "what differs between recordings of a speaker? Only the speaker counts"
                if by_file
                else ""
            )
            raise Failure(f"ten clips of one speaker are in {len(set(found))} splits", hint)


@pytest.mark.check("1.7", points=1, concept="section 1.7")
def test_split_of_any_speaker(student, speakers):
    """speakers that no list names are where the rule sends them."""
    names = [f"marvin/{one}_nohash_{n % 3}.wav" for n, one in enumerate(speakers(199))]
    expect_splits(student, names, "hidden speakers")


@pytest.mark.check("1.7", points=1, concept="section 1.7")
def test_split_ignores_the_folder(student, speakers):
    """neither the folder nor the ending of a name moves a speaker."""
    for one in speakers(23):
        for name in (f"{one}_nohash_0.wav", f"a/b/go/{one}_nohash_11.wav.wav"):
            if splits_of(student, [name]) != [which_split(name)]:
                what = "a clip in folders of folders" if "/" in name else "a file name alone"
                question = "what stands before the last / is no part of the speaker"
                raise Failure(f"{what} is in another split than its speaker", question)


# 1.8 extra_count, choose_clips


@pytest.fixture
def listing(secret, speakers):
    """Names of 23 clips for each of the ten commands, and of 17 for each other word, mixed."""
    cast = speakers(23)
    names = [f"{word}/{one}_nohash_0.wav" for word in COMMANDS for one in cast]
    names += [f"{word}/{one}_nohash_0.wav" for word in V2_OTHER_WORDS for one in cast[:17]]
    order = torch.randperm(len(names), generator=secret.generator("listing"))
    return [names[n] for n in order.tolist()]


@pytest.mark.check("1.8", points=1, concept="section 1.8")
def test_extra_count(student):
    """10 % rounded up, as in the published counts."""
    for wanted in (30_769, 3_703, 4_074, 20, 1, 0, 1_999):
        suspects = {
            "round up, not down": wanted // 10,
            "one too many? 10 % of 20 are 2": wanted // 10 + 1,
            "is it rounded?": wanted / 10,
        }
        expected = (wanted + 9) // 10
        expect_equal(f"extra_count({wanted})", student.extra_count(wanted), expected, suspects)


@pytest.mark.check("1.8", points=1, concept="section 1.8")
def test_choose_counts(student, listing):
    """eleven commands bring two unknown and two silent clips."""
    some = [f"{word}/a_nohash_{n}.wav" for n in range(11) for word in ("go", "cat", "dog")]
    for names, commands, others in ((some, 11, 22), (listing, 230, 17 * len(V2_OTHER_WORDS))):
        labels = [label for _, label in pairs_of(student, names)]
        counts = labels.count(0), labels.count(1)
        extra, suspects = -(-commands // 10), count_mistakes(commands, others)
        what = f"silent and unknown clips beside {commands} clips of commands"
        expect_equal(what, counts, (extra, extra), suspects)
    few = [*some[::3], "cat/b_nohash_0.wav"]
    labels = [label for _, label in pairs_of(student, few)]
    what = "unknown clips beside 11 commands, where one clip of another word is all there is,"
    expect_equal(what, labels.count(1), 1)


@pytest.mark.check("1.8", points=1, concept="section 1.8")
def test_choose_labels(student, listing):
    """every clip of a command is there, with that command's place in LABELS."""
    pairs = pairs_of(student, listing)
    labels = dict(pairs)
    commands = [name for name in listing if _is_command(name)]
    missing = sum(name not in labels for name in commands)
    if missing:
        raise Failure(f"{missing} of {len(commands)} clips of commands are missing")
    actual = [labels[name] for name in commands]
    words = [name.partition("/")[0] for name in commands]
    wrong = sum(LABELS[label] != word for label, word in zip(actual, words, strict=True))
    if wrong:
        hint = next((h for h, labels in label_mistakes(words).items() if actual == labels), "")
        raise Failure(f"{wrong} of {len(commands)} clips of commands have a wrong label", hint)
    for name, label in pairs:
        if label < 2 and (label == 0) != (name is None):
            kind = (
                "a recorded clip is labeled _silence_" if name else "silence is labeled _unknown_"
            )
            raise Failure(kind, "are silence and unknown exchanged? LABELS has the order")


def _is_command(name: str) -> bool:
    return name.partition("/")[0] in COMMANDS


def unknown(student, names: list[str], **options) -> list[str]:
    """The unknown clips that choose_clips draws, sorted; Failure where there are none."""
    pairs = pairs_of(student, names, **options)
    found = sorted(name for name, label in pairs if label == 1 and name)
    if not found:
        raise Failure("choose_clips(names) holds no unknown clips")
    return found


@pytest.mark.check("1.8", points=1, concept="section 1.8")
def test_unknown_is_drawn(student, listing):
    """unknown clips are drawn from all other words, others for another seed."""
    others = sorted(name for name in listing if not _is_command(name))
    for seed in (0, 1, 2):
        found = unknown(student, listing, seed=seed)
        in_order = [name for name in listing if name in set(others)]
        if found in (others[: len(found)], sorted(in_order[: len(found)])):
            hint = "are the other words shuffled? These are the first ones of the list"
            raise Failure("the unknown clips are the first of the list", hint)
        words = {name.partition("/")[0] for name in found}
        if len(words) < 5:
            hint = "shuffle the clips of all other words together"
            raise Failure(f"{len(found)} unknown clips are of {len(words)} words only", hint)
    if unknown(student, listing, seed=0) == unknown(student, listing, seed=1):
        hint = "random.Random(seed) is a generator of your own: does it get the seed?"
        raise Failure("the unknown clips are the same for every seed", hint)


@pytest.mark.check("1.8", points=1, concept="section 1.8")
def test_unknown_is_the_same_for_everybody(student, new_student, listing):
    """the same seed chooses the same clips, in whatever order the files are listed."""
    first = unknown(student, listing, seed=3)
    if unknown(new_student(seed=7), listing, seed=3) != first:
        hint = "random.Random(seed) is a generator of your own: is it the one that shuffles?"
        raise Failure("the same seed chooses other unknown clips in another process", hint)
    if unknown(student, listing[::-1], seed=3) != first:
        hint = "sort the names before you shuffle them"
        raise Failure("another order of names chooses other unknown clips", hint)


# 1.9 random_spans, spec_augment


def spans_of(student, rows: int, length: int, widest: int) -> Tensor:
    """What random_spans returns, if each row holds one whole span or none."""
    what = f"random_spans({rows}, {length}, {widest})"
    spans = expect_shape(what, student.random_spans(rows, length, widest), rows, length)
    expect_dtype(what, spans, torch.bool)
    begins = (spans & ~F.pad(spans[:, :-1], (1, 0))).sum(1)
    if begins.max() > 1:
        hint = "a span is start <= cell < start + width"
        raise Failure(f"{what} holds a row with {int(begins.max())} spans", hint)
    return spans


@pytest.mark.check("1.9", points=1, concept="section 1.9")
def test_spans(student):
    """spans are whole, and of every width up to the widest."""
    for length, widest in ((7, 3), (17, 5), (5, 5)):
        widths = spans_of(student, 4999, length, widest).sum(1)
        found = widths.unique().tolist()
        suspects = {
            "is `widest` itself drawn too?": list(range(widest)),
            "may a span be empty?": list(range(1, widest + 1)),
            "is the width drawn?": [widest],
            "does every row draw a width of its own?": found if len(found) == 1 else None,
        }
        what = f"the widths of 4,999 spans of at most {widest}"
        expect_equal(what, found, list(range(widest + 1)), suspects)
        shares = torch.bincount(widths) / len(widths) * (widest + 1)
        if shares.min() < 0.7 or shares.max() > 1.3:
            raise Failure(f"{what} are not equally frequent", "draw the width with torch.randint")


@pytest.mark.check("1.9", points=1, concept="section 1.9")
def test_to_each_its_own(student, draw):
    """equal examples of a batch get different masks."""
    equal = draw(1, 13, 11).expand(101, -1, -1).clone()
    covered = student.spec_augment(equal, 5, 3)
    covered = expect_real("spec_augment(mel, 5, 3)", covered, 101, 13, 11) != equal
    masks = len(torch.unique(covered, dim=0))
    suspects = {"is one mask drawn for the whole batch?": 1}
    expect_equal("masks among 101 examples (up to 10)", min(masks, 10), 10, suspects)
    for axis, name in ((2, "frames"), (1, "bands")):
        ours = covered.all(axis)
        if len(torch.unique(ours, dim=0)) < 3:
            question = f"are spans of {name} drawn for every example by itself?"
            raise Failure(f"all examples lose the same {name}", question)


@pytest.mark.check("1.9", points=1, concept="section 1.9")
def test_spans_everywhere(student):
    """a span may stand anywhere, at both ends too, and every row draws its own."""
    for length, widest in ((7, 3), (11, 2)):
        spans = spans_of(student, 4999, length, widest)
        width, start = spans.sum(1), spans.int().argmax(1)
        if len(torch.unique(spans, dim=0)) == 1:
            raise Failure("all rows hold the same span", "draw a width and a start for every row")
        for one in range(1, widest + 1):
            places = start[width == one].unique().tolist()
            expected = list(range(length - one + 1))
            suspects = {
                "does the last start leave room for the span, and no more? + 1": expected[:-1],
                "the room depends on the width: length - width": list(range(length - widest + 1)),
            }
            what = f"the places where spans of {one} in {length} cells begin"
            expect_equal(what, places, expected, suspects)


@pytest.mark.check("1.9", points=1, concept="section 1.9")
def test_covered_by_the_mean(student, draw):
    """whole frames and whole bands are covered, with the mean of their own example."""
    mel = draw(31, 17, 11) + 3 * draw(31, 1, 1) - 9
    actual = student.spec_augment(mel, 7, 5)
    actual = expect_real("spec_augment(mel, 7, 5)", actual, 31, 17, 11)
    covered = actual != mel
    frames, bands = covered.all(2, keepdim=True), covered.all(1, keepdim=True)
    if not covered.any():
        raise Failure("spec_augment(mel, 7, 5) covers nothing")
    for name, found, widest in (("frames", frames, 7), ("bands", bands, 5)):
        widths = found.flatten(1).sum(1)
        if not widths.any():
            hint = "a cell is covered where its frame or its band is: is it | or &?"
            raise Failure(f"no whole {name} are covered", hint)
        if widths.max() > widest:
            hint = "are max_time and max_freq exchanged?"
            raise Failure(f"{int(widths.max())} {name} are covered, at most {widest} asked", hint)
    if not torch.equal(covered, frames | bands):
        hint = "is a cell covered where its frame or its band is?"
        raise Failure("other cells are covered than those of a span of frames or of bands", hint)
    suspects = {hint: value[covered] for hint, value in cover_mistakes(mel).items()}
    own = mel.mean((1, 2), keepdim=True).expand_as(mel)
    expect_close("what covered cells hold", actual[covered], own[covered], suspects, **CLOSE)


def input_after_masking(names, mel):
    """The tensor that spec_augment was given, after the call."""
    names["spec_augment"](mel, 7, 5)
    return mel


@pytest.mark.check("1.9", points=1, concept="section 1.9")
def test_the_given_stays(student, draw):
    """the tensor that is given stays as it is, and nothing is covered where nothing is asked."""
    mel = draw(31, 17, 11)
    if not torch.equal(
        expect_shape("mel", student.define(input_after_masking, mel), 31, 17, 11), mel
    ):
        hint = "it is the training data, and needed again: make a new tensor, or clone"
        raise Failure("spec_augment changes the tensor that it is given", hint)
    expect_close("spec_augment(mel, 0, 0)", student.spec_augment(mel, 0, 0), mel)
    for max_time, max_freq, axis, name in ((7, 0, 2, "bands"), (0, 5, 1, "frames")):
        what = f"spec_augment(mel, {max_time}, {max_freq})"
        covered = (
            expect_real(what, student.spec_augment(mel, max_time, max_freq), *mel.shape) != mel
        )
        if not torch.equal(covered, covered.all(axis, keepdim=True).expand_as(covered)):
            raise Failure(f"{what} covers {name}", "frames are axis 1, bands axis 2")
