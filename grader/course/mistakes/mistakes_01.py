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
RISING = "rising = (hz - left) / (center - left)"
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
LAST = "(*COMMANDS, *LABELS[:2])"
WIDTH = "width = torch.randint(0, widest + 1, (num_examples, 1))"
START = "start = (torch.rand(num_examples, 1) * (length - width + 1)).long()"
SPAN = "return (start <= cell) & (cell < start + width)"
IN_TIME = "frames = random_spans(B, T, max_time)[:, :, None]"
IN_FREQ = "bands = random_spans(B, M, max_freq)[:, None, :]"
MEAN = "mean = mel.mean(dim=(1, 2), keepdim=True)"
COVER = "return torch.where(frames | bands, mean, mel)"

# fmt: off
MISTAKES = [
    Mistake(
        task="1.1", name="zeros in front", question="zeros come after the sound, not before it",
        replace=PAD, by="return F.pad(kept, (num_samples - kept.shape[-1], 0))"),
    Mistake(
        task="1.1", name="in the middle",
        question="the sound starts where it started: is it in the middle now?", replace=PAD,
        by="half = (num_samples - kept.shape[-1]) // 2\n"
        "    return F.pad(kept, (half, num_samples - kept.shape[-1] - half))"),
    Mistake(
        task="1.1", name="the beginning cut off", question="the end is cut off, not the beginning",
        replace=KEEP, by="kept = waveform[..., -num_samples:]"),
    Mistake(
        task="1.1", name="examples cut off",
        question="samples are the last axis: [..., :num_samples]", replace=KEEP,
        by="kept = waveform[:num_samples]"),
    Mistake(
        task="1.1", name="another dtype",
        question="the dtype stays as it was: is there a `.float()`, or zeros of another dtype?",
        replace=PAD,
        by=PAD + ".float()"),
    Mistake(
        task="1.1", name="written into what was given",
        question="make a new tensor, the given one belongs to the caller", replace=KEEP,
        by=KEEP + "\n    waveform[..., num_samples:] = 0"),
    Mistake(
        task="1.1", name="no return", question="is there a `return`?", replace=PAD,
        by=PAD.replace("return ", "")),
    Mistake(
        task="1.1", name="a single recording only",
        question="does it work for a batch, too? Samples are the last axis of any number",
        replace=PAD,
        by="zeros = waveform.new_zeros(max(0, num_samples - len(waveform)))\n"
        "    return torch.cat([waveform, zeros])[:num_samples]"),
    Mistake(
        task="1.2", name="the symmetric window", question="the period is W, not W - 1",
        replace=HANN, by=HANN.replace("/ length", "/ (length - 1)")),
    Mistake(
        task="1.2", name="Hamming",
        question="one half minus half a cosine: is this Hamming's window?", replace=HANN,
        by=HANN.replace("0.5 - 0.5", "0.54 - 0.46")),
    Mistake(
        task="1.2", name="plus",
        question="the cosine is subtracted: a window is 0 at its beginning", replace=HANN,
        by=HANN.replace("- 0.5", "+ 0.5")),
    Mistake(
        task="1.2", name="half a turn",
        question="the cosine has one period in W samples: is the 2 there?", replace=HANN,
        by=HANN.replace("2 * ", "")),
    Mistake(
        task="1.2", name="zeros at the ends", question="reflect padding at the ends, not zeros",
        replace=MIRROR, by="mirrored = F.pad(waveform, (length // 2, length // 2))"),
    Mistake(
        task="1.2", name="not centered", question="is there reflect padding at the ends?",
        replace=MIRROR, by="mirrored = waveform"),
    Mistake(
        task="1.2", name="the last sample twice",
        question="reflect padding does not repeat the last sample", replace=MIRROR,
        by="half = length // 2\n    mirrored = torch.cat(\n"
        "        [waveform[:, :half].flip(1), waveform, waveform[:, -half:].flip(1)], dim=1)"),
    Mistake(
        task="1.2", name="frames begin at t * hop",
        question="frame t is centered on sample t * hop, it does not begin there", replace=MIRROR,
        by="mirrored = F.pad(waveform, (0, length))"),
    Mistake(
        task="1.2", name="samples first", question="frames come before samples: (B, T, W)",
        replace=CUT, by=CUT + ".mT"),
    Mistake(
        task="1.2", name="the hop is the overlap",
        question="the hop leads to the next frame, it is not what two frames share", replace=CUT,
        by=CUT.replace("hop)", "length - hop)")),
    Mistake(
        task="1.2", name="length and hop exchanged",
        question="unfold(axis, length of a frame, hop): are the two exchanged?", replace=CUT,
        by=CUT.replace("length, hop", "hop, length")),
    Mistake(
        task="1.2", name="a frame too few", question="T is 1 + N // hop: is the last frame there?",
        replace=CUT, by=CUT + "[:, :-1]"),
    Mistake(
        task="1.2", name="a whole frame at both ends",
        question="half a frame more at both ends: length // 2", replace=MIRROR,
        by=MIRROR.replace("length // 2", "length")),
    Mistake(
        task="1.3", name="no window", question="is the frame multiplied by the window?",
        replace=FADE, by="windowed = frames"),
    Mistake(
        task="1.3", name="always the same window",
        question="the window is as long as the frame, not always 400", replace=FADE,
        by="windowed = frames * hann(WINDOW)[: frames.shape[-1]].to(frames)"),
    Mistake(
        task="1.3", name="magnitude", question="power is the square of the magnitude",
        replace=POWER, by="return spectrum.abs()"),
    Mistake(
        task="1.3", name="the real part of the square",
        question="the square of a complex number is not its power", replace=POWER,
        by="return spectrum.square().real"),
    Mistake(
        task="1.3", name="the square of the real part",
        question="real and imaginary part both count", replace=POWER,
        by="return spectrum.real.square()"),
    Mistake(
        task="1.3", name="complex", question="power is a squared magnitude", replace=POWER,
        by="return spectrum.square()"),
    Mistake(
        task="1.3", name="all frequencies",
        question="frequencies above W / 2 are mirror images: only K of them", replace=FOURIER,
        by="spectrum = torch.fft.fft(windowed)"),
    Mistake(
        task="1.3", name="over frames", question="is the last axis transformed, the samples?",
        replace=FOURIER, by="spectrum = torch.fft.rfft(windowed, dim=1)"),
    Mistake(
        task="1.3", name="divided by W", question="the formula divides by nothing", replace=POWER,
        by=POWER + " / frames.shape[-1]"),
    Mistake(
        task="1.3", name="windowed twice", question="the window is multiplied once", replace=FADE,
        by=FADE.replace("hann(frames.shape[-1])", "hann(frames.shape[-1]).square()")),
    Mistake(
        task="1.3", name="float64 for all",
        question="the power has the dtype of the frames: .to(frames)",
        replace=FADE, by="windowed = frames.double() * hann(frames.shape[-1])"),
    Mistake(
        task="1.3", name="no return", question="is there a `return`?", replace=POWER,
        by=POWER.replace("return ", "")),
    Mistake(
        task="1.4", name="natural logarithm", question="the logarithm is to base 10", replace=MEL,
        by=MEL.replace("log10", "log")),
    Mistake(
        task="1.4", name="1127", question="2595 goes with base 10, and 1127 with e", replace=MEL,
        by=MEL.replace("2595", "1127")),
    Mistake(
        task="1.4", name="no 1", question="the logarithm is of 1 + f / 700", replace=MEL,
        by="return 2595 * math.log10(max(hz, 1) / 700)"),
    Mistake(
        task="1.4", name="Slaney's scale", question="this is the other scale, Slaney's",
        replace=MEL,
        by="return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)"),
    Mistake(
        task="1.4", name="evenly in Hz", question="edges are evenly spaced in mel, not in Hz",
        replace=EDGES, by="edges = torch.linspace(f_min, f_max, n_mels + 2, dtype=torch.float64)"),
    Mistake(
        task="1.4", name="below zero", question="weights are nowhere below 0", replace=LOWER,
        by=LOWER.replace(".clamp(min=0)", "")),
    Mistake(
        task="1.4", name="equal areas",
        question="triangles are 1 at the top: no area is normalized", replace=LOWER,
        by=LOWER + " * 2 / (right - left)"),
    Mistake(
        task="1.4", name="bands first", question="bands are columns: (num_freqs, n_mels)",
        replace=LOWER, by=LOWER + ".T"),
    Mistake(
        task="1.4", name="the higher line", question="the lower of the two lines counts",
        replace=LOWER, by=LOWER.replace("minimum", "maximum")),
    Mistake(
        task="1.4", name="from 0 Hz", question="do the edges begin at f_min?",
        replace=ENDS, by=ENDS.replace("hz_to_mel(f_min)", "0")),
    Mistake(
        task="1.4", name="to 8,000 Hz", question="do the edges end at f_max?", replace=ENDS,
        by=ENDS.replace("f_max", "SAMPLE_RATE / 2")),
    Mistake(
        task="1.4", name="an edge too few", question="M bands have M + 2 edges", replace=ENDS,
        by=ENDS.replace("+ 2", "+ 1")),
    Mistake(
        task="1.4", name="one end left out",
        question="the last frequency is SAMPLE_RATE / 2 itself", replace=GRID,
        by=GRID.replace("num_freqs,", "num_freqs + 1,").replace("[:, None]", "[:-1, None]")),
    Mistake(
        task="1.4", name="edges left in mel",
        question="are the edges taken back to Hz?", replace=EDGES,
        by="edges = mel"),
    Mistake(
        task="1.4", name="back without the 1",
        question="1 + f / 700 = 10 ** (mel / 2595): is 1 subtracted on the way back?",
        replace=EDGES, by=EDGES.replace(" - 1", "")),
    Mistake(
        task="1.4", name="lines to the next edge but one",
        question="a band rises from e_m to e_(m+1) only",
        replace=RISING, by=RISING.replace("(center - left)", "(right - left)")),
    Mistake(
        task="1.5", name="logarithm to base 10", question="the logarithm is the natural one",
        replace=LOG, by=LOG.replace("log(", "log10(")),
    Mistake(
        task="1.5", name="decibels", question="no decibels: the natural logarithm", replace=LOG,
        by="return 10 * torch.log10(mel + floor)"),
    Mistake(
        task="1.5", name="the floor as a limit", question="the floor is added, it is not a limit",
        replace=LOG, by="return torch.log(mel.clamp(min=floor))"),
    Mistake(
        task="1.5", name="no floor", question="is the floor added before the logarithm?",
        replace=LOG, by="return torch.log(mel)"),
    Mistake(
        task="1.5", name="log1p",
        question="the logarithm is of mel + floor: is it left out, or of 1 + mel?", replace=LOG,
        by="return torch.log1p(mel)"),
    Mistake(
        task="1.5", name="bands first", question="frames come before bands: (B, T, M)",
        replace=LOG, by=LOG + ".mT"),
    Mistake(
        task="1.5", name="no logarithm",
        question="the logarithm is of mel + floor: is it left out, or of 1 + mel?", replace=LOG,
        by="return mel + floor"),
    Mistake(
        task="1.5", name="sums of magnitudes",
        question="bands are sums of powers, not of magnitudes", replace=BANDS,
        by="mel = power.sqrt() @ filters.to(power)"),
    Mistake(
        task="1.5", name="the logarithm too early",
        question="filter the power, then take the logarithm", replace=BANDS,
        by="mel = torch.log(power + floor) @ filters.to(power)", also=((LOG, "return mel"),)),
    Mistake(
        task="1.5", name="from 0 Hz", question="f_min is 20 Hz unless another is given",
        replace=FILTERS, by=FILTERS.replace("f_min", "0.0")),
    Mistake(
        task="1.5", name="always from 20 Hz", question="does f_min reach the filterbank?",
        replace=FILTERS, by=FILTERS.replace("f_min", "20.0")),
    Mistake(
        task="1.5", name="always 40 bands", question="does n_mels reach the filterbank?",
        replace=FILTERS, by=FILTERS.replace("n_mels", "40")),
    Mistake(
        task="1.5", name="always the same floor",
        question="does the floor that is given reach the logarithm?", replace=LOG,
        by="return torch.log(mel + 1e-6)"),
    Mistake(
        task="1.5", name="scaled by the loudest example",
        question="is something divided by a mean or a maximum of the whole batch?", replace=FRAMES,
        by=FRAMES.replace("(waveform,", "(waveform / waveform.abs().max(),")),
    Mistake(
        task="1.5", name="hop and window exchanged",
        question="frames are WINDOW long, and HOP apart: are the two exchanged?", replace=FRAMES,
        by=FRAMES.replace("WINDOW, HOP", "HOP, WINDOW")),
    Mistake(
        task="1.5", name="float64 for all",
        question="the result has the dtype of the waveform: is the filterbank cast to it?",
        replace=BANDS, by="mel = power.double() @ filters"),
    Mistake(
        task="1.5", name="the floor before the bands",
        question="the floor is added to the bands, after the filterbank", replace=BANDS,
        by="mel = (power + floor) @ filters.to(power)", also=((LOG, "return torch.log(mel)"),)),
    Mistake(
        task="1.6", name="column 0 too long", question="is column 0 divided by the root of 2?",
        replace=SHORTER, by="pass"),
    Mistake(
        task="1.6", name="no factors", question="are the factors s there?", replace=COSINES,
        by=COSINES.replace("math.sqrt(2 / n_mels) * ", ""), also=((SHORTER, "pass"),)),
    Mistake(
        task="1.6", name="every column shorter",
        question="only column 0 is divided by the root of 2", replace=SHORTER,
        by=SHORTER.replace("[:, 0]", "")),
    Mistake(
        task="1.6", name="bands at m", question="band m stands at m + 1/2", replace=COSINES,
        by=COSINES.replace("(m + 0.5)", "m")),
    Mistake(
        task="1.6", name="coefficients are rows",
        question="coefficients are columns: (n_mels, n_mfcc)", replace=MATRIX,
        by="return matrix.T\n"),
    Mistake(
        task="1.6", name="of the power", question="transform the logarithms, not the power",
        replace=MFCC, by=MFCC.replace("mel @", "mel.exp() @")),
    Mistake(
        task="1.6", name="without c = 0", question="the first coefficient is c = 0", replace=MFCC,
        by="return mel @ dct_matrix(n_mfcc + 1, n_mels).to(mel)[:, 1:]"),
    Mistake(
        task="1.6", name="all coefficients",
        question="only the first n_mfcc coefficients are wanted", replace=MFCC,
        by=MFCC.replace("n_mfcc", "n_mels")),
    Mistake(
        task="1.6", name="always 40 bands", question="does log_mel get n_mels?",
        replace=LOG_MEL, by="n_mels, mel = 40, log_mel(waveform)"),
    Mistake(
        task="1.6", name="always 13 coefficients", question="does dct_matrix get n_mfcc?",
        replace=MFCC, by=MFCC.replace("n_mfcc", "13")),
    Mistake(
        task="1.6", name="twice the sum",
        question="this is twice the sum without factors: where is s?",
        replace=COSINES, by=COSINES.replace("math.sqrt(2 / n_mels)", "2"),
        also=((SHORTER, "pass"),)),
    Mistake(
        task="1.6", name="coefficients first",
        question="frames come before coefficients: (B, T, C)",
        replace=MFCC, by=MFCC.replace("mel @", "(mel @") + ").mT"),
    Mistake(
        task="1.7", name="split by recording",
        question="is the recording's number still in what you hash? Only the speaker counts",
        replace=SPEAKER, by='speaker = name.split("/")[-1]'),
    Mistake(
        task="1.7", name="the folder is hashed",
        question="is the folder still in what you hash? Only the speaker counts", replace=SPEAKER,
        by='speaker = name.split("_nohash_")[0]'),
    Mistake(
        task="1.7", name="the whole name is hashed",
        question="is the whole name in what you hash? Only the speaker counts", replace=SPEAKER,
        by="speaker = name"),
    Mistake(
        task="1.7", name="testing first",
        question="validation is below 10, testing from there to 20", replace=SPLIT,
        by='return "testing" if percent < 10 else "validation" if percent < 20 else "training"'),
    Mistake(
        task="1.7", name="the remainder by 2 ** 27 - 1",
        question="the remainder is by 2 ** 27, the division by 2 ** 27 - 1", replace=PERCENT,
        by="percent = 100 * (number % (2**27 - 1)) / (2**27 - 1)"),
    Mistake(
        task="1.7", name="a share, not percent", question="is it in percent? the two bounds are",
        replace=PERCENT, by=PERCENT.replace("100 * ", "")),
    Mistake(
        task="1.7", name="one folder at most",
        question="what stands before the last / is no part of the speaker", replace=SPEAKER,
        by='speaker = name.split("_nohash_")[0].split("/", 1)[-1]'),
    Mistake(
        task="1.7", name="other names of splits",
        question="the splits are called training, validation and testing",
        replace=SPLIT, by=SPLIT.replace("training", "train")),
    Mistake(
        task="1.7", name="the rest is testing",
        question="testing is from 10 to 20 percent: is it the rest here?", replace=SPLIT,
        by='return "validation" if percent < 10 else "training" if percent < 20 else "testing"'),
    Mistake(
        task="1.7", name="MD5",
        question="the hash is SHA-1: is it another one here?", replace=NUMBER,
        by=NUMBER.replace("sha1", "md5")),
    Mistake(
        task="1.7", name="the ending cut off",
        question="everything from the first _nohash_ on is dropped",
        replace=SPEAKER, by='speaker = name.split("/")[-1].rsplit("_nohash_", 1)[0]'),
    Mistake(
        task="1.7", name="a name without _nohash_",
        question="a name without _nohash_ has a split, too: what does split or index do there?",
        replace=SPEAKER,
        by='speaker = name.split("/")[-1]\n    speaker = speaker[: speaker.index("_nohash_")]'),
    Mistake(
        task="1.8", name="rounded down", question="round up, not down", replace=UP,
        by="return wanted // 10"),
    Mistake(
        task="1.8", name="one more", question="one too many? 10 % of 20 are 2", replace=UP,
        by="return wanted // 10 + 1"),
    Mistake(
        task="1.8", name="every other word",
        question="are other words cut down to 10 % of the commands?", replace=UNKNOWN,
        by=UNKNOWN.replace("others[:extra]", "others")),
    Mistake(
        task="1.8", name="10 % of all clips",
        question="10 % of the clips of commands, not of all clips", replace=EXTRA,
        by="extra = extra_count(len(words))"),
    Mistake(
        task="1.8", name="10 % of the other clips",
        question="10 % of the clips of commands, not of the other ones", replace=EXTRA,
        by="extra = extra_count(len(words) - len(chosen))"),
    Mistake(
        task="1.8", name="no silence", question="is there silence?", replace=SILENCE, by="pass"),
    Mistake(
        task="1.8", name="more clips than there are",
        question="other words may be fewer than 10 %: then all of them are taken",
        replace=UNKNOWN,
        by=UNKNOWN.replace("others[:extra]", "random.Random(seed).sample(others, extra)")),
    Mistake(
        task="1.8", name="silence and unknown exchanged",
        question="are silence and unknown exchanged? LABELS has the order", replace=UNKNOWN,
        by=UNKNOWN.replace("_unknown_", "_silence_"),
        also=((SILENCE, SILENCE.replace("_silence_", "_unknown_")),)),
    Mistake(
        task="1.8", name="labels in alphabetical order",
        question="labels are places in LABELS: are the labels sorted here?", replace=COMMANDS,
        by=COMMANDS.replace("LABELS", "sorted(LABELS)")),
    Mistake(
        task="1.8", name="places in COMMANDS",
        question="labels are places in LABELS: are these places in COMMANDS?", replace=COMMANDS,
        by=COMMANDS.replace("LABELS", "COMMANDS")),
    Mistake(
        task="1.8", name="words for labels",
        question="the label is the place of a class in LABELS", replace=COMMANDS,
        by=COMMANDS.replace("LABELS.index(word)", "word")),
    Mistake(
        task="1.8", name="not shuffled",
        question="are the other words shuffled? These are the first ones of the list",
        replace=SHUFFLE, by="pass"),
    Mistake(
        task="1.8", name="the seed left out",
        question="random.Random(seed) is a generator of your own: does it get the seed?",
        replace=SHUFFLE, by="random.Random(0).shuffle(others)"),
    Mistake(
        task="1.8", name="drawn with putting back", question="draw without putting back: shuffle",
        replace=SHUFFLE, by="others = random.Random(seed).choices(others, k=len(others))"),
    Mistake(
        task="1.8", name="the generator of everybody",
        question="random.Random(seed) is a generator of your own: is it the one that shuffles?",
        replace=SHUFFLE, by="random.shuffle(others)"),
    Mistake(
        task="1.8", name="not sorted", question="sort the names before you shuffle them",
        replace=WORDS, by=WORDS.replace("sorted(names)", "names")),
    Mistake(
        task="1.8", name="rounded to the nearest",
        question="round up, not to the nearest whole number",
        replace=UP, by="return round(wanted / 10)"),
    Mistake(
        task="1.8", name="not rounded",
        question="is it rounded?", replace=UP, by="return wanted / 10"),
    Mistake(
        task="1.8", name="no unknown", question="are there clips of other words?", replace=UNKNOWN,
        by="pass"),
    Mistake(
        task="1.8", name="silence for unknown clips, too",
        question="as much silence as unknown: 10 % of the commands alone", replace=SILENCE,
        by=SILENCE.replace("* extra", "* extra_count(len(chosen))")),
    Mistake(
        task="1.8", name="silence and unknown last",
        question="labels are places in LABELS: silence and unknown come first", replace=COMMANDS,
        by=COMMANDS.replace("LABELS", LAST),
        also=((UNKNOWN, UNKNOWN.replace("LABELS", LAST)),
              (SILENCE, SILENCE.replace("LABELS", LAST)))),
    Mistake(
        task="1.8", name="the given list is sorted",
        question="names belongs to the caller: sorted(names) makes a list of its own",
        replace=WORDS, by="names.sort()\n    " + WORDS.replace("sorted(names)", "names")),
    Mistake(
        task="1.9", name="never the widest", question="is `widest` itself drawn too?",
        replace=WIDTH, by=WIDTH.replace(" + 1", "")),
    Mistake(
        task="1.9", name="never empty", question="may a span be empty?", replace=WIDTH,
        by=WIDTH.replace("(0,", "(1,")),
    Mistake(
        task="1.9", name="always the widest", question="is the width drawn?", replace=WIDTH,
        by="width = torch.full((num_examples, 1), widest)"),
    Mistake(
        task="1.9", name="one mask for the batch",
        question="is one mask drawn for the whole batch?", replace=WIDTH,
        by="width = torch.randint(0, widest + 1, (1, 1)).expand(num_examples, 1)",
        also=((START, START.replace("num_examples", "1")),)),
    Mistake(
        task="1.9", name="one span of bands for the batch",
        question="are spans of bands drawn for every example by itself?", replace=IN_FREQ,
        by="bands = random_spans(1, M, max_freq)[:, None, :]"),
    Mistake(
        task="1.9", name="never at the end",
        question="does the last start leave room for the span, and no more? + 1", replace=START,
        by=START.replace(" + 1", "")),
    Mistake(
        task="1.9", name="room for the widest",
        question="the room depends on the width: length - width", replace=START,
        by=START.replace("- width", "- widest")),
    Mistake(
        task="1.9", name="and",
        question="a cell is covered where its frame or its band is: is it | or &?", replace=COVER,
        by=COVER.replace("|", "&")),
    Mistake(
        task="1.9", name="frames alone",
        question="are bands covered as well as frames?", replace=COVER,
        by=COVER.replace(" | bands", "")),
    Mistake(
        task="1.9", name="covered by 0",
        question="covered cells get the mean, not 0: in a log-mel, 0 is loud", replace=COVER,
        by=COVER.replace("mean, ", "0.0, ")),
    Mistake(
        task="1.9", name="the mean of the batch",
        question="the mean of each example, not of the batch", replace=MEAN,
        by="mean = mel.mean()"),
    Mistake(
        task="1.9", name="the mean of a band",
        question="the mean of the example, not of each band", replace=MEAN,
        by=MEAN.replace("(1, 2)", "1")),
    Mistake(
        task="1.9", name="frames and bands exchanged",
        question="are max_time and max_freq exchanged?", replace=IN_TIME,
        by=IN_TIME.replace("max_time", "max_freq"),
        also=((IN_FREQ, IN_FREQ.replace("max_freq", "max_time")),)),
    Mistake(
        task="1.9", name="in place",
        question="it is the training data, and needed again: make a new tensor, or clone",
        replace=COVER, by="return mel.copy_(torch.where(frames | bands, mean, mel))"),
    Mistake(
        task="1.9", name="a span cut at the end", question="is a span cut off at the end of a row?",
        replace=START, by=START.replace("- width + 1", "")),
    Mistake(
        task="1.9", name="rounded to the nearest start",
        question="rounding makes the first and last start rarer: use .long() or randint",
        replace=START, by=START.replace(" + 1)).long()", ")).round()")),
    Mistake(
        task="1.9", name="one start for all rows",
        question="does every row draw a start of its own?",
        replace=START, by=START.replace("num_examples, 1", "1, 1")),
    Mistake(
        task="1.9", name="a cell too many", question="a span is start <= cell < start + width",
        replace=SPAN, by=SPAN.replace("< start", "<= start")),
    Mistake(
        task="1.9", name="the same every time",
        question="a generator that is seeded at every call draws the same masks for ever",
        replace=WIDTH, by="torch.manual_seed(0)\n    " + WIDTH),
    Mistake(
        task="1.9", name="one span of frames for the batch",
        question="are spans of frames drawn for every example by itself?", replace=IN_TIME,
        by=IN_TIME.replace("(B,", "(1,")),
    Mistake(
        task="1.9", name="where, the other way round",
        question="torch.where(condition, value where it is True, value elsewhere)", replace=COVER,
        by=COVER.replace("mean, mel", "mel, mean")),
    Mistake(
        task="1.9", name="the mean of a frame",
        question="the mean of the example, not of each frame",
        replace=MEAN, by=MEAN.replace("(1, 2)", "2")),
    Mistake(
        task="1.9", name="the smallest value",
        question="the mean, not the smallest value", replace=MEAN,
        by=MEAN.replace(".mean(", ".amin(")),
    Mistake(
        task="1.9", name="float32 for all",
        question="the result has the dtype of mel", replace=COVER,
        by=COVER + ".float()"),
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
        (UP, "return math.ceil(wanted * 0.1)"),
        (SHUFFLE, "others.reverse()\n    random.Random(f'unknown {seed}').shuffle(others)"),
        (WIDTH, "width = (torch.rand(num_examples, 1) * (widest + 1)).floor().long()"),
        (COVER, "return mel.masked_fill(frames | bands, 0.0) + mean * (frames | bands)"),
    ],
    "arrays of numpy where tensors are made": [
        (HANN, HANN.replace("return ", "return (") + ").numpy()"),
        (FADE, "windowed = frames * torch.as_tensor(hann(frames.shape[-1])).to(frames)"),
        (MATRIX, "return matrix.numpy()\n"),
        (MFCC, "return mel @ torch.as_tensor(dct_matrix(n_mfcc, n_mels)).to(mel)"),
    ],
}
