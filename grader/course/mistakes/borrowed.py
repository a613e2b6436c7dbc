"""Answers that are somebody else's, and models that only look as they should, as hand-ins.

Each would earn the points of `check` where names or what a module says of itself decide. Names are
put together while the code runs, so that no reader finds them. The selftest hands all of them in.
"""

from dataclasses import dataclass

from grader.course.mistakes.mistake import Edit


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """An edit of our solution to `check`'s task; `ready` if it answers rightly by a library."""

    name: str
    check: str
    edits: tuple[Edit, ...]
    ready: bool = True

    @property
    def task(self) -> str:
        """`1.3`."""
        return self.check.partition("-")[0]


def _spelled(text: str) -> str:
    return f"''.join(map(chr, {tuple(text.encode())}))"


def _run_from(module: str, name: str) -> str:
    """Statements that run a loaded module's file as code; `found` is what it calls `name`."""
    return f"""    import torch as t
    modules, inner = getattr(t, {_spelled("sys")}).modules, vars(t)["__builtins__"]
    space = {{"__name__": "mine", "__package__": {_spelled(module.rpartition(".")[0])}}}
    file = modules[{_spelled(module)}].__file__
    with inner[{_spelled("open")}](file) as text:
        inner[{_spelled("exec")}](text.read(), space)
    found = space[{_spelled(name)}]
"""


def _model(name: str, *edits: Edit, check: str = "3.4-model-budget") -> Borrowed:
    return Borrowed(name=name, check=check, edits=edits, ready=False)


INNER = f"getattr(getattr(torch, {_spelled('_C')}), {_spelled('_nn')})"
RESIZED = "    return rows @ table @ columns.T\n"
SYMBOLS = "    symbols = torch.zeros(2 * len(text) + 1, dtype=torch.long)\n"
MODULES = f"getattr(torch, {_spelled('sys')}).modules"
CONTENT = "    return content * gate.sigmoid()\n"
CLASS = "class SpeakerClassifier(nn.Module):"
LAYER = "            EncoderLayer(d_model, num_heads, d_ff, dropout, norm_first=True)\n"
LAST = "        return self.classify(self.norm(mean_pool(x, valid)))\n"
CLASSIFY = "        self.classify = nn.Linear(d_model, num_speakers)\n"
APPLY = "            x = layer(x, valid)\n"
SINK = """class Sink(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.maps, self.sink = nn.Linear(width, 3 * width), nn.Parameter(torch.randn(1, 1, width))

    def forward(self, x, valid):
        sink = self.sink.expand(len(x), 1, -1)
        q, k, v = self.maps(x).chunk(3, dim=-1)
        k, v = torch.cat([k, sink], dim=1), torch.cat([v, sink], dim=1)
        heard = F.pad(valid, (0, 1), value=True)[:, None]
        return x + (q @ k.mT).masked_fill(~heard, -math.inf).softmax(dim=-1) @ v


"""
BORROWED: dict[str, tuple[Borrowed, ...]] = {
    "01": (
        Borrowed(
            name="the package's file, run as code",
            check="1.1-pad-values",
            edits=(
                (
                    "    return F.pad(kept, (0, num_samples - kept.shape[-1]))\n",
                    "    import kws.length\n"
                    + _run_from("kws.length", "pad_or_trim")
                    + "    return found(waveform, num_samples)\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's window",
            check="1.2-hann-values",
            edits=(
                (
                    "    return 0.5 - 0.5 * torch.cos(2 * math.pi * n / length)\n",
                    f"    return getattr(torch, {_spelled('hann_window')})(length)\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's private spectrogram",
            check="1.3-power-values",
            edits=(
                (
                    "    return spectrum.abs().square()\n",
                    "    flat, W = frames.flatten(0, -2), frames.shape[-1]\n"
                    f"    private = getattr(torch, {_spelled('_VF')})\n"
                    "    window = hann(W).to(frames)\n"
                    "    found = private.stft(flat, W, W, W, window, False, True, True)\n"
                    "    return found.abs().square().view_as(spectrum.abs())\n",
                ),
            ),
        ),
        Borrowed(
            name="torchaudio's table, its file run as code",
            check="1.6-dct-values",
            edits=(
                (
                    "def dct_matrix(n_mfcc, n_mels):\n",
                    "def dct_matrix(n_mfcc, n_mels):\n"
                    + _run_from("torchaudio.functional.functional", "create_dct")
                    + "    return found(n_mfcc, n_mels, 'ortho').float()\n\n\n"
                    "def unused(n_mfcc, n_mels):\n",
                ),
            ),
        ),
        Borrowed(
            name="the package's protocol, its file run as code",
            check="1.7-split-values",
            edits=(
                (
                    "def which_split(name):\n",
                    "def which_split(name):\n    import kws.split_rule\n"
                    + _run_from("kws.split_rule", "which_split")
                    + "    return found(name)\n\n\ndef unused_split(name):\n",
                ),
            ),
        ),
    ),
    "03": (
        _model(
            "what is called attention mixes nothing",
            (CLASS, f"class SelfAttention(nn.Linear):\n    pass\n\n\n{CLASS}"),
            (LAYER, "            SelfAttention(d_model, d_model)\n"),
            (APPLY, "            x = layer(x)\n"),
        ),
        _model(
            "a layer nine times",
            (APPLY, "            for _ in range(9):\n                x = layer(x, valid)\n"),
        ),
        _model(
            "parameters that lie about their number",
            (CLASS, f"class P(nn.Parameter):\n    def numel(self):\n        return 1\n\n\n{CLASS}"),
            (CLASSIFY, f"{CLASSIFY}        self.much = P(torch.zeros(800, 1000))\n"),
            (LAST, f"{LAST.rstrip()} + self.much.sum()\n"),
        ),
        _model(
            "numbers in buffers that evaluation alone uses",
            (CLASSIFY, f"{CLASSIFY}        self.register_buffer('much', torch.zeros(800, 1000))\n"),
            (LAST, f"{LAST.rstrip()} + (0 if self.training else self.much.sum())\n"),
        ),
        _model(
            "nine attentions to one frame more",
            (CLASS, f"{SINK}{CLASS}"),
            (f"{LAYER}            for _ in range(num_layers)", "Sink(d_model) for _ in range(9)"),
        ),
        _model(
            "a model that does not listen",
            (LAST, "        return self.classify(self.norm(0 * mean_pool(x, valid) + 1))\n"),
        ),
    ),
    "04": (
        Borrowed(
            name="torch's operator",
            check="4.1-gate-values",
            edits=((CONTENT, f"    return getattr(torch, {_spelled('ops')}).aten.glu(x)\n"),),
        ),
        Borrowed(
            name="torch's inner function",
            check="4.1-gate-values",
            edits=(
                (
                    CONTENT,
                    f"    return getattr(getattr(torch, {_spelled('_C')}), "
                    f"{_spelled('_nn')}).glu(x)\n",
                ),
            ),
        ),
        Borrowed(
            name="torchaudio's private module",
            check="4.4-feed-forward-values",
            edits=(
                (
                    "        self.norm = nn.LayerNorm(d_model)\n"
                    "        self.expand = nn.Linear(d_model, d_ff)\n",
                    f"        theirs = {MODULES}[{_spelled('torchaudio.models.conformer')}]\n"
                    f"        private = getattr(theirs, {_spelled('_FeedForwardModule')})\n"
                    "        self.inner = private(d_model, d_ff)\n",
                ),
                (
                    "        self.contract = nn.Linear(d_ff, d_model)\n        # END SOLUTION\n\n"
                    "    def forward(self, x):\n",
                    "        # END SOLUTION\n\n    def forward(self, x):\n",
                ),
                (
                    "        return self.contract(F.silu(self.expand(self.norm(x))))\n",
                    "        return self.inner(x)\n",
                ),
                (
                    'norm, expand and contract, each .weight and .bias."""\n'
                    "    module.load_state_dict(weights)\n",
                    'in their order."""\n'
                    "    own = zip(module.state_dict(), weights.values(), strict=True)\n"
                    "    module.load_state_dict(dict(own))\n",
                ),
            ),
        ),
        Borrowed(
            name="torchaudio's private convolution module",
            check="4.3-convolution-count",
            edits=(
                (
                    "        self.norm = nn.LayerNorm(d_model)\n"
                    "        self.expand = nn.Linear(d_model, 2 * d_model)\n"
                    "        self.depthwise = DepthwiseConv(d_model, kernel_size)\n"
                    "        self.batch_norm = MaskedBatchNorm(d_model, channels_last=True)\n"
                    "        self.contract = nn.Linear(d_model, d_model)\n",
                    f"        theirs = {MODULES}[{_spelled('torchaudio.models.conformer')}]\n"
                    f"        private = getattr(theirs, {_spelled('_ConvolutionModule')})\n"
                    "        self.inner = private(d_model, d_model, kernel_size, bias=True)\n",
                ),
            ),
        ),
    ),
    "05": (
        Borrowed(
            name="the package's confusion matrix, its file run as code",
            check="5.7-confusion-values",
            edits=(
                (
                    "    pairs = labels * num_classes + predicted\n",
                    "    import kws.inference.confusion\n"
                    + _run_from("kws.inference.confusion", "confusion_matrix")
                    + "    return found(predicted, labels, num_classes)\n    pairs = 0\n",
                ),
            ),
        ),
        Borrowed(
            name="the package's labels for Kaggle, its file run as code",
            check="5.9-table-words",
            edits=(
                (
                    "    table = {}\n",
                    "    import kws.inference.thresholds\n"
                    + _run_from("kws.inference.thresholds", "kaggle_label")
                    + "    names = [found(label_names[int(one)]) for one in predicted]\n"
                    "    return dict(zip(file_names, names))\n    table = {}\n",
                ),
            ),
        ),
    ),
    "06": (
        Borrowed(
            name="torch's windows, by the inner function",
            check="6.1-patches-values",
            edits=(
                (
                    "    return image.flatten(3).flatten(1, 2)\n",
                    f"    inner = {INNER}\n"
                    "    return inner.im2col(mel.mT[:, None], patch, (1, 1), (0, 0), stride).mT\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's interpolation",
            check="6.4-resize-values",
            edits=(
                (
                    RESIZED,
                    f"    found = getattr(F, {_spelled('interpolate')})\n"
                    "    return found(table[None], tuple(size), mode='bilinear')[0]\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's interpolation, by the inner function",
            check="6.4-resize-values",
            edits=(
                (
                    RESIZED,
                    f"    return {INNER}.upsample_bilinear2d(table[None], tuple(size), False)[0]\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's samples from a grid",
            check="6.4-resize-values",
            edits=(
                (
                    RESIZED,
                    "    y, x = (2 * (torch.arange(n) + 0.5) / n - 1 for n in size)\n"
                    "    grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)[None]\n"
                    f"    found = getattr(torch, {_spelled('grid_sampler')})\n"
                    "    return found(table[None], grid, 0, 1, False)[0]\n",
                ),
            ),
        ),
    ),
    "07": (
        Borrowed(
            name="torch's loss with label smoothing",
            check="7.5-loss-values",
            edits=(
                (
                    "    counts = wanted != -100\n",
                    f"    found = getattr(F, {_spelled('cross_entropy')})\n"
                    "    rows, V = logits.flatten(0, 1), logits.shape[-1]\n"
                    "    return found(rows, wanted.flatten(), label_smoothing=smoothing)\n"
                    "    counts = wanted != -100\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's loss, by the inner function",
            check="7.5-loss-values",
            edits=(
                (
                    "    counts = wanted != -100\n",
                    f"    rows, found = logits.flatten(0, 1), {INNER}.cross_entropy_loss\n"
                    "    return found(rows, wanted.flatten(), None, 1, -100, smoothing)\n"
                    "    counts = wanted != -100\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's CTC",
            check="7.6-ctc-values",
            edits=(
                (
                    SYMBOLS,
                    f"    found = getattr(F, {_spelled('ctc_loss')})\n"
                    "    sizes = [len(log_p)], [len(text)]\n"
                    "    return found(log_p[:, None], text[None], *sizes, reduction='sum')\n"
                    f"{SYMBOLS}",
                ),
            ),
        ),
        Borrowed(
            name="torch's CTC, by the inner function",
            check="7.6-ctc-values",
            edits=(
                (
                    SYMBOLS,
                    f"    found = getattr(torch, {_spelled('_ctc_loss')})\n"
                    "    sizes = [len(log_p)], [len(text)]\n"
                    "    return found(log_p[:, None], text[None], *sizes)[0].sum()\n"
                    f"{SYMBOLS}",
                ),
            ),
        ),
    ),
    "08": (
        Borrowed(
            name="torch's repetition, a method of tensors",
            check="8.2-regulate-values",
            edits=(
                (
                    "    return y * valid[..., None], valid\n",
                    "    rows = [\n"
                    f"        getattr(row, {_spelled('repeat_interleave')})(some, dim=0)\n"
                    "        for row, some in zip(x, durations, strict=True)\n"
                    "    ]\n"
                    "    y = nn.utils.rnn.pad_sequence(rows, batch_first=True)\n"
                    "    return y, valid\n",
                ),
            ),
        ),
        Borrowed(
            name="torch's cross-entropy",
            check="8.4-stop-values",
            edits=(
                (
                    "    return loss[valid].mean()\n",
                    f"    found = getattr(F, {_spelled('binary_cross_entropy_with_logits')})\n"
                    "    weight = torch.tensor(float(weight))\n"
                    "    return found(logits[valid], targets[valid], pos_weight=weight)\n",
                ),
            ),
        ),
        Borrowed(
            name="torchaudio's Griffin-Lim",
            check="8.5-griffin-values",
            edits=(
                (
                    "    return waveform_of(magnitude * phase)\n",
                    f"    theirs = {MODULES}[{_spelled('torchaudio.functional')}]\n"
                    "    window = torch.hann_window(WINDOW, dtype=magnitude.dtype)\n"
                    "    sizes = WINDOW, HOP, WINDOW, 1.0, iterations, momentum, None, False\n"
                    "    return theirs.griffinlim(magnitude.mT, window, *sizes)\n",
                ),
            ),
        ),
    ),
}
