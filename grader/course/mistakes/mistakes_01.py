"""Planted mistakes of assignment 1, and other right answers, as edits of our solution.

A mistake: its task, a name, what to replace by what, the check that must name it, and words of the
hint (or, where there is none, of the fact). An alternative: a name and its edits.
"""

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
    ("1.1", "zeros in front", PAD, "return F.pad(kept, (num_samples - kept.shape[-1], 0))",
     "1.1-pad-by-hand", "not before it"),
    ("1.1", "in the middle", PAD,
     "half = (num_samples - kept.shape[-1]) // 2\n"
     "    return F.pad(kept, (half, num_samples - kept.shape[-1] - half))", "1.1-pad-by-hand",
     "in the middle now?"),
    ("1.1", "the beginning cut off", KEEP, "kept = waveform[..., -num_samples:]", "1.1-pad-by-hand",
     "not the beginning"),
    ("1.1", "examples cut off", KEEP, "kept = waveform[:num_samples]", "1.1-pad-any-axes",
     "samples are the last axis"),
    ("1.1", "another dtype", PAD, PAD + ".float()", "1.1-pad-keeps-the-dtype", "expected float64"),
    ("1.1", "written into what was given", KEEP, KEEP + "\n    waveform[..., num_samples:] = 0",
     "1.1-pad-keeps-the-dtype", "belongs to the caller"),
    ("1.1", "no return", PAD, PAD.replace("return ", ""), "1.1-pad-by-hand", "return"),
    ("1.1", "ours", PAD,
     "import kws.audio\n\n    return kws.audio.pad_or_trim(waveform, num_samples)",
     "1.1-pad-by-hand", OURS),
    ("1.2", "the symmetric window", HANN, HANN.replace("/ length", "/ (length - 1)"),
     "1.2-hann-values", "not W - 1"),
    ("1.2", "Hamming", HANN, HANN.replace("0.5 - 0.5", "0.54 - 0.46"), "1.2-hann-values",
     "Hamming's window?"),
    ("1.2", "plus", HANN, HANN.replace("- 0.5", "+ 0.5"), "1.2-hann-values", "is subtracted"),
    ("1.2", "half a turn", HANN, HANN.replace("2 * ", ""), "1.2-hann-values", "is the 2 there?"),
    ("1.2", "zeros at the ends", MIRROR, "mirrored = F.pad(waveform, (length // 2, length // 2))",
     "1.2-frames-values", "not padded with zeros"),
    ("1.2", "not centered", MIRROR, "mirrored = waveform", "1.2-frames-values", "mirrored at all?"),
    ("1.2", "the last sample twice", MIRROR,
     "half = length // 2\n    mirrored = torch.cat(\n"
     "        [waveform[:, :half].flip(1), waveform, waveform[:, -half:].flip(1)], dim=1\n    )",
     "1.2-frames-values", "not repeated"),
    ("1.2", "frames begin at t * hop", MIRROR, "mirrored = F.pad(waveform, (0, length))",
     "1.2-frames-values", "does not begin there"),
    ("1.2", "samples first", CUT, CUT + ".mT", "1.2-frames-values", "(B, T, W)"),
    ("1.2", "the hop is the overlap", CUT, CUT.replace("hop)", "length - hop)"),
     "1.2-frames-values", "what two frames share"),
    ("1.2", "torch's window", HANN, "return torch.hann_window(length)", "1.2-hann-by-hand", OURS),
    ("1.3", "no window", FADE, "windowed = frames", "1.3-power-values",
     "multiplied by the window?"),
    ("1.3", "always the same window", FADE,
     "windowed = frames * hann(WINDOW)[: frames.shape[-1]].to(frames)", "1.3-power-values",
     "not always 400"),
    ("1.3", "magnitude", POWER, "return spectrum.abs()", "1.3-power-of-a-tone",
     "square of the magnitude"),
    ("1.3", "the real part of the square", POWER, "return spectrum.square().real",
     "1.3-power-values", "is not its power"),
    ("1.3", "the square of the real part", POWER, "return spectrum.real.square()",
     "1.3-power-values", "imaginary part both count"),
    ("1.3", "complex", POWER, "return spectrum.square()", "1.3-power-values",
     "a squared magnitude"),
    ("1.3", "all frequencies", FOURIER, "spectrum = torch.fft.fft(windowed)", "1.3-power-values",
     "only K of them"),
    ("1.3", "over frames", FOURIER, "spectrum = torch.fft.rfft(windowed, dim=1)",
     "1.3-power-values", "the last axis transformed"),
    ("1.3", "divided by W", POWER, POWER + " / frames.shape[-1]", "1.3-power-values",
     "divides by nothing"),
    ("1.4", "natural logarithm", MEL, MEL.replace("log10", "log"), "1.4-mel-scale", "to base 10"),
    ("1.4", "1127", MEL, MEL.replace("2595", "1127"), "1.4-mel-scale", "1127 with e"),
    ("1.4", "no 1", MEL, "return 2595 * math.log10(max(hz, 1) / 700)", "1.4-mel-scale",
     "is of 1 + f / 700"),
    ("1.4", "Slaney's scale", MEL,
     "return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)",
     "1.4-mel-scale", "Slaney's"),
    ("1.4", "evenly in Hz", EDGES,
     "edges = torch.linspace(f_min, f_max, n_mels + 2, dtype=torch.float64)",
     "1.4-filterbank-values", "in mel, not in Hz"),
    ("1.4", "below zero", LOWER, LOWER.replace(".clamp(min=0)", ""), "1.4-filterbank-values",
     "nowhere below 0"),
    ("1.4", "equal areas", LOWER, LOWER + " * 2 / (right - left)", "1.4-filterbank-values",
     "no area is normalized"),
    ("1.4", "bands first", LOWER, LOWER + ".T", "1.4-filterbank-values", "bands are columns"),
    ("1.4", "the higher line", LOWER, LOWER.replace("minimum", "maximum"), "1.4-filterbank-values",
     "the lower of the two lines"),
    ("1.4", "from 0 Hz", ENDS, ENDS.replace("hz_to_mel(f_min)", "0"), "1.4-filterbank-values",
     "begin at f_min?"),
    ("1.4", "to 8,000 Hz", ENDS, ENDS.replace("f_max", "SAMPLE_RATE / 2"), "1.4-filterbank-values",
     "end at f_max?"),
    ("1.4", "an edge too few", ENDS, ENDS.replace("+ 2", "+ 1"), "1.4-filterbank-values",
     "M + 2 edges"),
    ("1.4", "one end left out", GRID,
     GRID.replace("num_freqs,", "num_freqs + 1,").replace("[:, None]", "[:-1, None]"),
     "1.4-filterbank-values", "is SAMPLE_RATE / 2 itself"),
    ("1.4", "torchaudio's bands", LOWER,
     "import torchaudio\n\n    return torchaudio.functional.melscale_fbanks(\n"
     "        num_freqs, f_min, f_max, n_mels, SAMPLE_RATE\n    )", "1.4-filterbank-values", OURS),
    ("1.5", "logarithm to base 10", LOG, LOG.replace("log(", "log10("), "1.5-log-mel-values",
     "is the natural one"),
    ("1.5", "decibels", LOG, "return 10 * torch.log10(mel + floor)", "1.5-log-mel-values",
     "no decibels"),
    ("1.5", "the floor as a limit", LOG, "return torch.log(mel.clamp(min=floor))",
     "1.5-log-mel-values", "it is no limit"),
    ("1.5", "no floor", LOG, "return torch.log(mel)", "1.5-silence", "is the floor added"),
    ("1.5", "log1p", LOG, "return torch.log1p(mel)", "1.5-log-mel-values", "or of 1 + mel?"),
    ("1.5", "bands first", LOG, LOG + ".mT", "1.5-log-mel-values", "(B, T, M)"),
    ("1.5", "no logarithm", LOG, "return mel + floor", "1.5-log-mel-values", "is it left out"),
    ("1.5", "sums of magnitudes", BANDS, "mel = power.sqrt() @ filters.to(power)",
     "1.5-log-mel-values", "not of magnitudes"),
    ("1.5", "the logarithm too early", BANDS, "mel = torch.log(power + floor) @ filters.to(power)",
     "1.5-log-mel-values", "then take the logarithm", (LOG, "return mel")),
    ("1.5", "from 0 Hz", FILTERS, FILTERS.replace("f_min", "0.0"), "1.5-log-mel-values",
     "f_min is 20 Hz"),
    ("1.5", "always from 20 Hz", FILTERS, FILTERS.replace("f_min", "20.0"), "1.5-log-mel-settings",
     "does f_min reach"),
    ("1.5", "always 40 bands", FILTERS, FILTERS.replace("n_mels", "40"), "1.5-log-mel-settings",
     "does n_mels reach"),
    ("1.5", "always the same floor", LOG, "return torch.log(mel + 1e-6)", "1.5-log-mel-settings",
     "does the floor that is given"),
    ("1.5", "scaled by the loudest example", FRAMES,
     FRAMES.replace("(waveform,", "(waveform / waveform.abs().max(),"), "1.5-examples-are-alone",
     "of the whole batch?"),
    ("1.5", "torchaudio's spectrogram", LOG,
     "import torchaudio\n\n    return torchaudio.transforms.MelSpectrogram()(waveform).mT.log()",
     "1.5-log-mel-values", OURS),
    ("1.5", "our spectrogram", LOG,
     "import kws.features\n\n    return kws.features.log_mel(waveform, n_mels=n_mels)",
     "1.5-log-mel-values", "cannot be imported here"),
    ("1.6", "column 0 too long", SHORTER, "pass", "1.6-dct-values", "column 0 divided"),
    ("1.6", "no factors", COSINES, COSINES.replace("math.sqrt(2 / n_mels) * ", ""),
     "1.6-dct-values", "are the factors s there?", (SHORTER, "pass")),
    ("1.6", "every column shorter", SHORTER, SHORTER.replace("[:, 0]", ""), "1.6-dct-values",
     "only column 0"),
    ("1.6", "bands at m", COSINES, COSINES.replace("(m + 0.5)", "m"), "1.6-dct-values",
     "stands at m + 1/2"),
    ("1.6", "coefficients are rows", MATRIX, "return matrix.T\n", "1.6-dct-values",
     "coefficients are columns"),
    ("1.6", "of the power", MFCC, MFCC.replace("mel @", "mel.exp() @"), "1.6-mfcc-values",
     "not the power"),
    ("1.6", "without c = 0", MFCC, "return mel @ dct_matrix(n_mfcc + 1, n_mels).to(mel)[:, 1:]",
     "1.6-mfcc-values", "first coefficient is c = 0"),
    ("1.6", "all coefficients", MFCC, MFCC.replace("n_mfcc", "n_mels"), "1.6-mfcc-values",
     "only the first n_mfcc"),
    ("1.6", "always 40 bands", LOG_MEL, "n_mels, mel = 40, log_mel(waveform)", "1.6-mfcc-settings",
     "does log_mel get n_mels?"),
    ("1.6", "always 13 coefficients", MFCC, MFCC.replace("n_mfcc", "13"), "1.6-mfcc-settings",
     "does dct_matrix get n_mfcc?"),
    ("1.6", "torchaudio's matrix", MATRIX,
     "import torchaudio.functional\n\n"
     '    return torchaudio.functional.create_dct(n_mfcc, n_mels, "ortho")\n', "1.6-dct-values",
     OURS),
    ("1.7", "split by take", SPEAKER, 'speaker = name.split("/")[-1]', "1.7-split-of-any-speaker",
     "is the take still"),
    ("1.7", "the folder is hashed", SPEAKER, 'speaker = name.split("_nohash_")[0]',
     "1.7-split-of-any-speaker", "is the folder still"),
    ("1.7", "the whole name is hashed", SPEAKER, "speaker = name", "1.7-takes-stay-together",
     "ten clips of one speaker"),
    ("1.7", "testing first", SPLIT,
     'return "testing" if percent < 10 else "validation" if percent < 20 else "training"',
     "1.7-split-of-any-speaker", "validation is below 10"),
    ("1.7", "the remainder by 2 ** 27 - 1", PERCENT,
     "percent = 100 * (number % (2**27 - 1)) / (2**27 - 1)", "1.7-split-of-any-speaker",
     "the remainder is by 2 ** 27"),
    ("1.7", "a share, not percent", PERCENT, PERCENT.replace("100 * ", ""),
     "1.7-split-of-any-speaker", "is it in percent?"),
    ("1.7", "Python's own hash", NUMBER, "number = hash(speaker)", "1.7-split-of-any-speaker",
     "in another split"),
    ("1.7", "one folder at most", SPEAKER, 'speaker = name.split("_nohash_")[0].split("/", 1)[-1]',
     "1.7-split-ignores-the-folder", "what stands before the last /"),
    ("1.7", "other names of splits", SPLIT, SPLIT.replace("training", "train"),
     "1.7-split-of-any-speaker", "which_split gives 'train'"),
    ("1.7", "ours", SPEAKER,
     "from kws.protocols import which_split as ours\n\n    return ours(name)",
     "1.7-split-of-any-speaker", OURS),
    ("1.8", "rounded down", UP, "return wanted // 10", "1.8-extra-count", "round up, not down"),
    ("1.8", "one more", UP, "return wanted // 10 + 1", "1.8-extra-count", "one too many?"),
    ("1.8", "every other word", UNKNOWN, UNKNOWN.replace("others[:extra]", "others"),
     "1.8-choose-counts", "cut down to 10 %"),
    ("1.8", "10 % of all clips", EXTRA, "extra = extra_count(len(words))", "1.8-choose-counts",
     "not of all clips"),
    ("1.8", "10 % of the other clips", EXTRA, "extra = extra_count(len(words) - len(chosen))",
     "1.8-choose-counts", "not of the other ones"),
    ("1.8", "no silence", SILENCE, "pass", "1.8-choose-counts", "is there silence?"),
    ("1.8", "more clips than there are", UNKNOWN,
     UNKNOWN.replace("others[:extra]", "random.Random(seed).sample(others, extra)"),
     "1.8-choose-counts", "ample larger than population"),
    ("1.8", "silence and unknown exchanged", UNKNOWN, UNKNOWN.replace("_unknown_", "_silence_"),
     "1.8-choose-labels", "exchanged?", (SILENCE, SILENCE.replace("_silence_", "_unknown_"))),
    ("1.8", "labels in alphabetical order", COMMANDS, COMMANDS.replace("LABELS", "sorted(LABELS)"),
     "1.8-choose-labels", "are the labels sorted here?"),
    ("1.8", "places in COMMANDS", COMMANDS, COMMANDS.replace("LABELS", "COMMANDS"),
     "1.8-choose-labels", "places in COMMANDS?"),
    ("1.8", "words for labels", COMMANDS, COMMANDS.replace("LABELS.index(word)", "word"),
     "1.8-choose-labels", "the place of a class in LABELS"),
    ("1.8", "not shuffled", SHUFFLE, "pass", "1.8-unknown-is-drawn", "shuffled?"),
    ("1.8", "the seed left out", SHUFFLE, "random.Random(0).shuffle(others)",
     "1.8-unknown-is-drawn", "does it get the seed?"),
    ("1.8", "drawn with putting back", SHUFFLE,
     "others = random.Random(seed).choices(others, k=len(others))", "1.8-unknown-is-drawn",
     "without putting back"),
    ("1.8", "the generator of everybody", SHUFFLE, "random.shuffle(others)",
     "1.8-unknown-is-the-same-for-everybody", "is it the one that shuffles?"),
    ("1.8", "not sorted", WORDS, WORDS.replace("sorted(names)", "names"),
     "1.8-unknown-is-the-same-for-everybody", "sort the names"),
    ("1.9", "never the widest", WIDTH, WIDTH.replace(" + 1", ""), "1.9-spans", "drawn too?"),
    ("1.9", "never empty", WIDTH, WIDTH.replace("(0,", "(1,"), "1.9-spans", "may a span be empty?"),
    ("1.9", "always the widest", WIDTH, "width = torch.full((num_examples, 1), widest)",
     "1.9-spans", "is the width drawn?"),
    ("1.9", "one mask for the batch", WIDTH,
     "width = torch.randint(0, widest + 1, (1, 1)).expand(num_examples, 1)", "1.9-to-each-its-own",
     "for the whole batch?", (START, START.replace("num_examples", "1"))),
    ("1.9", "one span of bands for the batch", IN_FREQ,
     "bands = random_spans(1, M, max_freq)[:, None, :]", "1.9-to-each-its-own",
     "spans of bands drawn for every example"),
    ("1.9", "never at the end", START, START.replace(" + 1", ""), "1.9-spans-everywhere",
     "leave room for the span"),
    ("1.9", "room for the widest", START, START.replace("- width", "- widest"),
     "1.9-spans-everywhere", "the room depends on the width"),
    ("1.9", "and", COVER, COVER.replace("|", "&"), "1.9-covered-by-the-mean", "is it | or &?"),
    ("1.9", "frames alone", COVER, COVER.replace(" | bands", ""), "1.9-covered-by-the-mean",
     "no whole bands"),
    ("1.9", "covered by 0", COVER, COVER.replace("mean, ", "0.0, "), "1.9-covered-by-the-mean",
     "0 is loud"),
    ("1.9", "the mean of the batch", MEAN, "mean = mel.mean()", "1.9-covered-by-the-mean",
     "not of the batch"),
    ("1.9", "the mean of a band", MEAN, MEAN.replace("(1, 2)", "1"), "1.9-covered-by-the-mean",
     "not of each band"),
    ("1.9", "frames and bands exchanged", IN_TIME, IN_TIME.replace("max_time", "max_freq"),
     "1.9-covered-by-the-mean", "exchanged?", (IN_FREQ, IN_FREQ.replace("max_freq", "max_time"))),
    ("1.9", "in place", COVER, "return mel.copy_(torch.where(frames | bands, mean, mel))",
     "1.9-the-given-stays", "is the training data"),
    ("1.9", "torchaudio's masks", COVER,
     "import torchaudio\n\n"
     "    return torchaudio.transforms.FrequencyMasking(max_freq)(mel.mT, 0.0).mT",
     "1.9-covered-by-the-mean", OURS),
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
