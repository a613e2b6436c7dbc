"""Planted mistakes of assignment 1, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

KEEP = "kept = waveform[..., :num_samples]"
PAD = "return F.pad(kept, (0, num_samples - kept.shape[-1]))"
PLACES = "n = torch.arange(length, dtype=torch.float64)"
HANN = "return 0.5 - 0.5 * torch.cos(2 * math.pi * n / length)"
MIRROR = 'mirrored = F.pad(waveform, (length // 2, length // 2), mode="reflect")'
CUT = "return mirrored.unfold(-1, length, hop)"
FADE = "windowed = frames * hann(frames.shape[-1]).to(frames)"
FOURIER = "spectrum = torch.fft.rfft(windowed)"
POWER = "return spectrum.abs().square()"
MEL = "return 2595 * math.log10(1 + hz / 700)"
GRID = "hz = torch.linspace(0, SAMPLE_RATE / 2, num_freqs, dtype=torch.float64)[:, None]"
ENDS = "mel = torch.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2, dtype=torch.float64)"
EDGES = "edges = 700 * (10 ** (mel / 2595) - 1)"
LOWER = "return torch.minimum(rising, falling).clamp(min=0)"
FRAMES = "power = power_spectrum(frame(waveform, WINDOW, HOP))"
FILTERS = "filters = mel_filterbank(power.shape[-1], n_mels, f_min, SAMPLE_RATE / 2)"
BANDS = "mel = power @ filters.to(power)"
LOG = "return torch.log(mel + floor)"
COSINES = "matrix = math.sqrt(2 / n_mels) * torch.cos(math.pi * c * (m + 0.5) / n_mels)"
SHORTER = "matrix[:, 0] /= math.sqrt(2)"
MATRIX = "return matrix\n"
LOG_MEL = "mel = log_mel(waveform, n_mels)"
MFCC = "return mel @ dct_matrix(n_mfcc, n_mels).to(mel)"
SPEAKER = 'speaker = name.split("/")[-1].split("_nohash_")[0]'
NUMBER = "number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)"
PERCENT = "percent = 100 * (number % 2**27) / (2**27 - 1)"
SPLIT = 'return "validation" if percent < 10 else "testing" if percent < 20 else "training"'
UP = "return math.ceil(wanted / 10)"
WORDS = 'words = {name: name.split("/")[0] for name in sorted(names)}'
COMMANDS = (
    "chosen = [(name, LABELS.index(word)) for name, word in words.items() if word in COMMANDS]"
)
EXTRA = "extra = extra_count(len(chosen))"
SHUFFLE = "random.Random(seed).shuffle(others)"
UNKNOWN = 'chosen += [(name, LABELS.index("_unknown_")) for name in others[:extra]]'
SILENCE = 'chosen += [(None, LABELS.index("_silence_"))] * extra'
WIDTH = "width = torch.randint(0, widest + 1, (num_examples, 1))"
START = "start = (torch.rand(num_examples, 1) * (length - width + 1)).long()"
IN_TIME = "frames = random_spans(B, T, max_time)[:, :, None]"
IN_FREQ = "bands = random_spans(B, M, max_freq)[:, None, :]"
MEAN = "mean = mel.mean(dim=(1, 2), keepdim=True)"
COVER = "return torch.where(frames | bands, mean, mel)"
OURS = "answered by the library"

# fmt: off
MISTAKES = [
    Mistake(name="zeros in front", check="1.1-pad-by-hand", hint="not before it", replace=PAD,
        by="return F.pad(kept, (num_samples - kept.shape[-1], 0))"),
    Mistake(name="in the middle", check="1.1-pad-by-hand", hint="in the middle now?", replace=PAD,
        by="half = (num_samples - kept.shape[-1]) // 2\n"
        "    return F.pad(kept, (half, num_samples - kept.shape[-1] - half))"),
    Mistake(name="the beginning cut off", check="1.1-pad-by-hand", hint="not the beginning",
        replace=KEEP, by="kept = waveform[..., -num_samples:]"),
    Mistake(name="examples cut off", check="1.1-pad-any-axes", hint="samples are the last axis",
        replace=KEEP, by="kept = waveform[:num_samples]"),
    Mistake(name="another dtype", check="1.1-pad-keeps-the-dtype", hint="expected float64",
        replace=PAD, by=PAD + ".float()"),
    Mistake(name="written into what was given", check="1.1-pad-keeps-the-dtype",
        hint="belongs to the caller", replace=KEEP,
        by=KEEP + "\n    waveform[..., num_samples:] = 0"),
    Mistake(name="no return", check="1.1-pad-by-hand", hint="return", replace=PAD,
        by=PAD.replace("return ", "")),
    Mistake(name="ours", check="1.1-pad-by-hand", hint=OURS, replace=PAD,
        by="import kws.audio\n\n    return kws.audio.pad_or_trim(waveform, num_samples)"),
    Mistake(name="the symmetric window", check="1.2-hann-values", hint="not W - 1", replace=HANN,
        by=HANN.replace("/ length", "/ (length - 1)")),
    Mistake(name="Hamming", check="1.2-hann-values", hint="Hamming's window?", replace=HANN,
        by=HANN.replace("0.5 - 0.5", "0.54 - 0.46")),
    Mistake(name="plus", check="1.2-hann-values", hint="is subtracted", replace=HANN,
        by=HANN.replace("- 0.5", "+ 0.5")),
    Mistake(name="half a turn", check="1.2-hann-values", hint="is the 2 there?", replace=HANN,
        by=HANN.replace("2 * ", "")),
    Mistake(name="zeros at the ends", check="1.2-frames-values", hint="at the ends, not zeros",
        replace=MIRROR, by="mirrored = F.pad(waveform, (length // 2, length // 2))"),
    Mistake(name="not centered", check="1.2-frames-values", hint="is there reflect padding",
        replace=MIRROR, by="mirrored = waveform"),
    Mistake(name="the last sample twice", check="1.2-frames-values", hint="does not repeat",
        replace=MIRROR, by="half = length // 2\n    mirrored = torch.cat(\n"
        "        [waveform[:, :half].flip(1), waveform, waveform[:, -half:].flip(1)], dim=1)"),
    Mistake(name="frames begin at t * hop", check="1.2-frames-values", hint="does not begin there",
        replace=MIRROR, by="mirrored = F.pad(waveform, (0, length))"),
    Mistake(name="samples first", check="1.2-frames-values", hint="(B, T, W)", replace=CUT,
        by=CUT + ".mT"),
    Mistake(name="the hop is the overlap", check="1.2-frames-values", hint="what two frames share",
        replace=CUT, by=CUT.replace("hop)", "length - hop)")),
    Mistake(name="torch's window", check="1.2-hann-by-hand", hint=OURS, replace=HANN,
        by="return torch.hann_window(length)"),
    Mistake(name="no window", check="1.3-power-values", hint="multiplied by the window?",
        replace=FADE, by="windowed = frames"),
    Mistake(name="always the same window", check="1.3-power-values", hint="not always 400",
        replace=FADE, by="windowed = frames * hann(WINDOW)[: frames.shape[-1]].to(frames)"),
    Mistake(name="magnitude", check="1.3-power-of-a-tone", hint="square of the magnitude",
        replace=POWER, by="return spectrum.abs()"),
    Mistake(name="the real part of the square", check="1.3-power-values", hint="is not its power",
        replace=POWER, by="return spectrum.square().real"),
    Mistake(name="the square of the real part", check="1.3-power-values",
        hint="imaginary part both count", replace=POWER, by="return spectrum.real.square()"),
    Mistake(name="complex", check="1.3-power-values", hint="a squared magnitude", replace=POWER,
        by="return spectrum.square()"),
    Mistake(name="all frequencies", check="1.3-power-values", hint="only K of them",
        replace=FOURIER, by="spectrum = torch.fft.fft(windowed)"),
    Mistake(name="over frames", check="1.3-power-values", hint="the last axis transformed",
        replace=FOURIER, by="spectrum = torch.fft.rfft(windowed, dim=1)"),
    Mistake(name="divided by W", check="1.3-power-values", hint="divides by nothing", replace=POWER,
        by=POWER + " / frames.shape[-1]"),
    Mistake(name="natural logarithm", check="1.4-mel-scale", hint="to base 10", replace=MEL,
        by=MEL.replace("log10", "log")),
    Mistake(name="1127", check="1.4-mel-scale", hint="1127 with e", replace=MEL,
        by=MEL.replace("2595", "1127")),
    Mistake(name="no 1", check="1.4-mel-scale", hint="is of 1 + f / 700", replace=MEL,
        by="return 2595 * math.log10(max(hz, 1) / 700)"),
    Mistake(name="Slaney's scale", check="1.4-mel-scale", hint="Slaney's", replace=MEL,
        by="return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)"),
    Mistake(name="evenly in Hz", check="1.4-filterbank-values", hint="in mel, not in Hz",
        replace=EDGES, by="edges = torch.linspace(f_min, f_max, n_mels + 2, dtype=torch.float64)"),
    Mistake(name="below zero", check="1.4-filterbank-values", hint="nowhere below 0", replace=LOWER,
        by=LOWER.replace(".clamp(min=0)", "")),
    Mistake(name="equal areas", check="1.4-filterbank-values", hint="no area is normalized",
        replace=LOWER, by=LOWER + " * 2 / (right - left)"),
    Mistake(name="bands first", check="1.4-filterbank-values", hint="bands are columns",
        replace=LOWER, by=LOWER + ".T"),
    Mistake(name="the higher line", check="1.4-filterbank-values",
        hint="the lower of the two lines", replace=LOWER, by=LOWER.replace("minimum", "maximum")),
    Mistake(name="from 0 Hz", check="1.4-filterbank-values", hint="begin at f_min?", replace=ENDS,
        by=ENDS.replace("hz_to_mel(f_min)", "0")),
    Mistake(name="to 8,000 Hz", check="1.4-filterbank-values", hint="end at f_max?", replace=ENDS,
        by=ENDS.replace("f_max", "SAMPLE_RATE / 2")),
    Mistake(name="an edge too few", check="1.4-filterbank-values", hint="M + 2 edges", replace=ENDS,
        by=ENDS.replace("+ 2", "+ 1")),
    Mistake(name="one end left out", check="1.4-filterbank-values",
        hint="is SAMPLE_RATE / 2 itself", replace=GRID,
        by=GRID.replace("num_freqs,", "num_freqs + 1,").replace("[:, None]", "[:-1, None]")),
    Mistake(name="torchaudio's bands", check="1.4-filterbank-values", hint=OURS, replace=LOWER,
        by="import torchaudio\n\n    return torchaudio.functional.melscale_fbanks(\n"
        "        num_freqs, f_min, f_max, n_mels, SAMPLE_RATE\n    )"),
    Mistake(name="logarithm to base 10", check="1.5-log-mel-values", hint="is the natural one",
        replace=LOG, by=LOG.replace("log(", "log10(")),
    Mistake(name="decibels", check="1.5-log-mel-values", hint="no decibels", replace=LOG,
        by="return 10 * torch.log10(mel + floor)"),
    Mistake(name="the floor as a limit", check="1.5-log-mel-values", hint="it is not a limit",
        replace=LOG, by="return torch.log(mel.clamp(min=floor))"),
    Mistake(name="no floor", check="1.5-silence", hint="is the floor added", replace=LOG,
        by="return torch.log(mel)"),
    Mistake(name="log1p", check="1.5-log-mel-values", hint="or of 1 + mel?", replace=LOG,
        by="return torch.log1p(mel)"),
    Mistake(name="bands first", check="1.5-log-mel-values", hint="(B, T, M)", replace=LOG,
        by=LOG + ".mT"),
    Mistake(name="no logarithm", check="1.5-log-mel-values", hint="is it left out", replace=LOG,
        by="return mel + floor"),
    Mistake(name="sums of magnitudes", check="1.5-log-mel-values", hint="not of magnitudes",
        replace=BANDS, by="mel = power.sqrt() @ filters.to(power)"),
    Mistake(name="the logarithm too early", check="1.5-log-mel-values",
        hint="then take the logarithm", replace=BANDS,
        by="mel = torch.log(power + floor) @ filters.to(power)", also=((LOG, "return mel"),)),
    Mistake(name="from 0 Hz", check="1.5-log-mel-values", hint="f_min is 20 Hz", replace=FILTERS,
        by=FILTERS.replace("f_min", "0.0")),
    Mistake(name="always from 20 Hz", check="1.5-log-mel-settings", hint="does f_min reach",
        replace=FILTERS, by=FILTERS.replace("f_min", "20.0")),
    Mistake(name="always 40 bands", check="1.5-log-mel-settings", hint="does n_mels reach",
        replace=FILTERS, by=FILTERS.replace("n_mels", "40")),
    Mistake(name="always the same floor", check="1.5-log-mel-settings",
        hint="does the floor that is given", replace=LOG, by="return torch.log(mel + 1e-6)"),
    Mistake(name="scaled by the loudest example", check="1.5-examples-are-alone",
        hint="of the whole batch?", replace=FRAMES,
        by=FRAMES.replace("(waveform,", "(waveform / waveform.abs().max(),")),
    Mistake(name="torchaudio's spectrogram", check="1.5-log-mel-values", hint=OURS, replace=LOG,
        by="import torchaudio\n\n"
           "    return torchaudio.transforms.MelSpectrogram()(waveform).mT.log()"),
    Mistake(name="our spectrogram", check="1.5-log-mel-values", hint="cannot be imported here",
        replace=LOG,
        by="import kws.features\n\n    return kws.features.log_mel(waveform, n_mels=n_mels)"),
    Mistake(name="column 0 too long", check="1.6-dct-values", hint="column 0 divided",
        replace=SHORTER, by="pass"),
    Mistake(name="no factors", check="1.6-dct-values", hint="are the factors s there?",
        replace=COSINES, by=COSINES.replace("math.sqrt(2 / n_mels) * ", ""),
        also=((SHORTER, "pass"),)),
    Mistake(name="every column shorter", check="1.6-dct-values", hint="only column 0",
        replace=SHORTER, by=SHORTER.replace("[:, 0]", "")),
    Mistake(name="bands at m", check="1.6-dct-values", hint="stands at m + 1/2", replace=COSINES,
        by=COSINES.replace("(m + 0.5)", "m")),
    Mistake(name="coefficients are rows", check="1.6-dct-values", hint="coefficients are columns",
        replace=MATRIX, by="return matrix.T\n"),
    Mistake(name="of the power", check="1.6-mfcc-values", hint="not the power", replace=MFCC,
        by=MFCC.replace("mel @", "mel.exp() @")),
    Mistake(name="without c = 0", check="1.6-mfcc-values", hint="first coefficient is c = 0",
        replace=MFCC, by="return mel @ dct_matrix(n_mfcc + 1, n_mels).to(mel)[:, 1:]"),
    Mistake(name="all coefficients", check="1.6-mfcc-values", hint="only the first n_mfcc",
        replace=MFCC, by=MFCC.replace("n_mfcc", "n_mels")),
    Mistake(name="always 40 bands", check="1.6-mfcc-settings", hint="does log_mel get n_mels?",
        replace=LOG_MEL, by="n_mels, mel = 40, log_mel(waveform)"),
    Mistake(name="always 13 coefficients", check="1.6-mfcc-settings",
        hint="does dct_matrix get n_mfcc?", replace=MFCC, by=MFCC.replace("n_mfcc", "13")),
    Mistake(name="torchaudio's matrix", check="1.6-dct-values", hint=OURS, replace=MATRIX,
        by="import torchaudio.functional\n\n"
        '    return torchaudio.functional.create_dct(n_mfcc, n_mels, "ortho")\n'),
    Mistake(name="split by recording", check="1.7-split-of-any-speaker",
        hint="number still", replace=SPEAKER, by='speaker = name.split("/")[-1]'),
    Mistake(name="the folder is hashed", check="1.7-split-of-any-speaker",
        hint="is the folder still", replace=SPEAKER, by='speaker = name.split("_nohash_")[0]'),
    Mistake(name="the whole name is hashed", check="1.7-takes-stay-together",
        hint="ten clips of one speaker", replace=SPEAKER, by="speaker = name"),
    Mistake(name="testing first", check="1.7-split-of-any-speaker", hint="validation is below 10",
        replace=SPLIT,
        by='return "testing" if percent < 10 else "validation" if percent < 20 else "training"'),
    Mistake(name="the remainder by 2 ** 27 - 1", check="1.7-split-of-any-speaker",
        hint="the remainder is by 2 ** 27", replace=PERCENT,
        by="percent = 100 * (number % (2**27 - 1)) / (2**27 - 1)"),
    Mistake(name="a share, not percent", check="1.7-split-of-any-speaker", hint="is it in percent?",
        replace=PERCENT, by=PERCENT.replace("100 * ", "")),
    Mistake(name="Python's own hash", check="1.7-split-of-any-speaker", hint="in another split",
        replace=NUMBER, by="number = hash(speaker)"),
    Mistake(name="one folder at most", check="1.7-split-ignores-the-folder",
        hint="what stands before the last /", replace=SPEAKER,
        by='speaker = name.split("_nohash_")[0].split("/", 1)[-1]'),
    Mistake(name="other names of splits", check="1.7-split-of-any-speaker",
        hint="which_split gives 'train'", replace=SPLIT, by=SPLIT.replace("training", "train")),
    Mistake(name="ours", check="1.7-split-of-any-speaker", hint=OURS, replace=SPEAKER,
        by="from kws.protocols import which_split as ours\n\n    return ours(name)"),
    Mistake(name="rounded down", check="1.8-extra-count", hint="round up, not down", replace=UP,
        by="return wanted // 10"),
    Mistake(name="one more", check="1.8-extra-count", hint="one too many?", replace=UP,
        by="return wanted // 10 + 1"),
    Mistake(name="every other word", check="1.8-choose-counts", hint="cut down to 10 %",
        replace=UNKNOWN, by=UNKNOWN.replace("others[:extra]", "others")),
    Mistake(name="10 % of all clips", check="1.8-choose-counts", hint="not of all clips",
        replace=EXTRA, by="extra = extra_count(len(words))"),
    Mistake(name="10 % of the other clips", check="1.8-choose-counts", hint="not of the other ones",
        replace=EXTRA, by="extra = extra_count(len(words) - len(chosen))"),
    Mistake(name="no silence", check="1.8-choose-counts", hint="is there silence?", replace=SILENCE,
        by="pass"),
    Mistake(name="more clips than there are", check="1.8-choose-counts",
        hint="ample larger than population", replace=UNKNOWN,
        by=UNKNOWN.replace("others[:extra]", "random.Random(seed).sample(others, extra)")),
    Mistake(name="silence and unknown exchanged", check="1.8-choose-labels", hint="exchanged?",
        replace=UNKNOWN, by=UNKNOWN.replace("_unknown_", "_silence_"),
        also=((SILENCE, SILENCE.replace("_silence_", "_unknown_")),)),
    Mistake(name="labels in alphabetical order", check="1.8-choose-labels",
        hint="are the labels sorted here?", replace=COMMANDS,
        by=COMMANDS.replace("LABELS", "sorted(LABELS)")),
    Mistake(name="places in COMMANDS", check="1.8-choose-labels", hint="places in COMMANDS?",
        replace=COMMANDS, by=COMMANDS.replace("LABELS", "COMMANDS")),
    Mistake(name="words for labels", check="1.8-choose-labels",
        hint="the place of a class in LABELS", replace=COMMANDS,
        by=COMMANDS.replace("LABELS.index(word)", "word")),
    Mistake(name="not shuffled", check="1.8-unknown-is-drawn", hint="shuffled?", replace=SHUFFLE,
        by="pass"),
    Mistake(name="the seed left out", check="1.8-unknown-is-drawn", hint="does it get the seed?",
        replace=SHUFFLE, by="random.Random(0).shuffle(others)"),
    Mistake(name="drawn with putting back", check="1.8-unknown-is-drawn",
        hint="without putting back", replace=SHUFFLE,
        by="others = random.Random(seed).choices(others, k=len(others))"),
    Mistake(name="the generator of everybody", check="1.8-unknown-is-the-same-for-everybody",
        hint="is it the one that shuffles?", replace=SHUFFLE, by="random.shuffle(others)"),
    Mistake(name="not sorted", check="1.8-unknown-is-the-same-for-everybody", hint="sort the names",
        replace=WORDS, by=WORDS.replace("sorted(names)", "names")),
    Mistake(name="never the widest", check="1.9-spans", hint="drawn too?", replace=WIDTH,
        by=WIDTH.replace(" + 1", "")),
    Mistake(name="never empty", check="1.9-spans", hint="may a span be empty?", replace=WIDTH,
        by=WIDTH.replace("(0,", "(1,")),
    Mistake(name="always the widest", check="1.9-spans", hint="is the width drawn?", replace=WIDTH,
        by="width = torch.full((num_examples, 1), widest)"),
    Mistake(name="one mask for the batch", check="1.9-to-each-its-own", hint="for the whole batch?",
        replace=WIDTH, by="width = torch.randint(0, widest + 1, (1, 1)).expand(num_examples, 1)",
        also=((START, START.replace("num_examples", "1")),)),
    Mistake(name="one span of bands for the batch", check="1.9-to-each-its-own",
        hint="spans of bands drawn for every example", replace=IN_FREQ,
        by="bands = random_spans(1, M, max_freq)[:, None, :]"),
    Mistake(name="never at the end", check="1.9-spans-everywhere", hint="leave room for the span",
        replace=START, by=START.replace(" + 1", "")),
    Mistake(name="room for the widest", check="1.9-spans-everywhere",
        hint="the room depends on the width", replace=START,
        by=START.replace("- width", "- widest")),
    Mistake(name="and", check="1.9-covered-by-the-mean", hint="is it | or &?", replace=COVER,
        by=COVER.replace("|", "&")),
    Mistake(name="frames alone", check="1.9-covered-by-the-mean", hint="no whole bands",
        replace=COVER, by=COVER.replace(" | bands", "")),
    Mistake(name="covered by 0", check="1.9-covered-by-the-mean", hint="0 is loud", replace=COVER,
        by=COVER.replace("mean, ", "0.0, ")),
    Mistake(name="the mean of the batch", check="1.9-covered-by-the-mean", hint="not of the batch",
        replace=MEAN, by="mean = mel.mean()"),
    Mistake(name="the mean of a band", check="1.9-covered-by-the-mean", hint="not of each band",
        replace=MEAN, by=MEAN.replace("(1, 2)", "1")),
    Mistake(name="frames and bands exchanged", check="1.9-covered-by-the-mean", hint="exchanged?",
        replace=IN_TIME, by=IN_TIME.replace("max_time", "max_freq"),
        also=((IN_FREQ, IN_FREQ.replace("max_freq", "max_time")),)),
    Mistake(name="in place", check="1.9-the-given-stays", hint="is the training data",
        replace=COVER, by="return mel.copy_(torch.where(frames | bands, mean, mel))"),
    Mistake(name="torchaudio's masks", check="1.9-covered-by-the-mean", hint=OURS, replace=COVER,
        by="import torchaudio\n\n"
        "    return torchaudio.transforms.FrequencyMasking(max_freq)(mel.mT, 0.0).mT"),
]
# fmt: on

ALTERNATIVES = {
    "loops and lists, constants in float32, other names inside": [
        (KEEP, "missing = max(0, num_samples - waveform.shape[-1])"),
        (
            PAD,
            "zeros = waveform.new_zeros(*waveform.shape[:-1], missing)\n"
            "    return torch.cat([waveform[..., :num_samples], zeros], dim=-1)",
        ),
        (PLACES, "n = torch.arange(length).float()"),
        (HANN, "return torch.sin(math.pi * n / length) ** 2"),
        (
            MIRROR,
            "half = length // 2\n    left = waveform[:, 1 : half + 1]\n"
            "    right = waveform[:, -half - 1 : -1]\n"
            "    mirrored = torch.cat([left.flip(1), waveform, right.flip(1)], dim=1)",
        ),
        (
            CUT,
            "starts = range(0, waveform.shape[1] + 1, hop)\n"
            "    return torch.stack([mirrored[:, n : n + length] for n in starts], dim=1)",
        ),
        (POWER, "return spectrum.real**2 + spectrum.imag**2"),
        (MEL, "return 2595 / math.log(10) * math.log1p(hz / 700)"),
        (GRID, "hz = torch.linspace(0, SAMPLE_RATE / 2, num_freqs)[:, None]"),
        (ENDS, ENDS.replace(", dtype=torch.float64", "")),
        (LOWER, "return torch.clamp(torch.where(rising < falling, rising, falling), 0)"),
        (LOG, "return (floor + mel).log()"),
        (
            COSINES,
            "matrix = torch.zeros(n_mels, n_mfcc)\n    for i in range(n_mels):\n"
            "        for j in range(n_mfcc):\n            matrix[i, j] = math.sqrt(2 / n_mels) * "
            "math.cos(math.pi * j * (2 * i + 1) / (2 * n_mels))",
        ),
        (
            SPEAKER,
            "import re\n    from pathlib import PurePosixPath\n\n"
            '    speaker = re.sub(r"_nohash_.*$", "", PurePosixPath(name).name)',
        ),
        (UP, "return -(-wanted // 10)"),
        (SHUFFLE, "pass"),
        (
            UNKNOWN,
            "generator, count = random.Random(seed), min(extra, len(others))\n"
            "    chosen += [(name, 1) for name in generator.sample(others, count)]",
        ),
        (
            WIDTH,
            "spans = torch.zeros(num_examples, length, dtype=torch.bool)\n"
            "    for span in spans:\n        width = random.randint(0, widest)\n"
            "        start = random.randint(0, length - width)\n"
            "        span[start : start + width] = True\n    return spans",
        ),
        (
            COVER,
            "mel = mel.clone()\n    mel[(frames | bands)] = mean.expand_as(mel)[(frames | bands)]\n"
            "    return mel",
        ),
    ],
    "numpy, and torch's tools in other ways": [
        (KEEP, "import numpy as np\n\n    kept = waveform.numpy()[..., :num_samples]"),
        (
            PAD,
            "missing = [(0, 0)] * (kept.ndim - 1) + [(0, num_samples - kept.shape[-1])]\n"
            "    return torch.from_numpy(np.pad(kept, missing))",
        ),
        (HANN, "import numpy as np\n\n    return torch.from_numpy(np.hanning(length + 1)[:-1])"),
        (CUT, "return mirrored.unfold(dimension=1, size=length, step=hop).contiguous()"),
        (POWER, "return (spectrum * spectrum.conj()).real"),
        (
            GRID,
            "step = SAMPLE_RATE / 2 / (num_freqs - 1)\n"
            "    hz = (torch.arange(num_freqs, dtype=torch.float64) * step)[:, None]",
        ),
        (BANDS, 'mel = torch.einsum("btk,km->btm", power, filters.to(power.dtype))'),
        (FOURIER, "spectrum = torch.fft.fft(windowed)[..., : frames.shape[-1] // 2 + 1]"),
        (MFCC, "return (dct_matrix(n_mfcc, n_mels).T.to(mel) @ mel.mT).mT"),
        (
            PERCENT,
            'digest = hashlib.new("sha1", speaker.encode()).digest()\n'
            '    percent = int.from_bytes(digest, "big") % 134217728 * (100.0 / 134217727)',
        ),
        (
            COMMANDS,
            "chosen = [[n, 2 + COMMANDS.index(w)] for n, w in words.items() if w in COMMANDS]",
        ),
        (SHUFFLE, "others.reverse()\n    random.Random(f'unknown {seed}').shuffle(others)"),
        (WIDTH, "width = (torch.rand(num_examples, 1) * (widest + 1)).floor().long()"),
        (COVER, "return mel.masked_fill(frames | bands, 0.0) + mean * (frames | bands)"),
    ],
}
