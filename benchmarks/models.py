"""Our encoder against `nn.TransformerEncoder`, our Conformer against `torchaudio.models.Conformer`.

Same sizes, same weights, same input, dropout 0.1 while training, torch's defaults (batch_first,
nested tensors allowed). First the two must agree: outputs, and gradients with dropout off. Then
they take turns, A B A B, and each pair of turns gives one ratio theirs / ours, whose median is
reported: other work on the machine meets both alike. On the processor the ratio is taken twice, of
CPU seconds, which repeat on shared cores, and of the wall clock (JSON: `..._wall`), which does not.
A training step is forward, mean square, backward and fused AdamW; inference is eval() under
`torch.inference_mode()`.

With a GPU the same races are run there too, in float32, bfloat16 autocast, and compiled.

    python benchmarks/models.py [--rounds 20] [--seconds 30] [--threads 2]
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

import torch
import torchaudio
from interop import load_conformer, load_encoder
from report import finish, print_table
from torch import Tensor, nn

from kws.models.conformer import Conformer
from kws.models.fast import use_fast_layers
from kws.models.transformer import EncoderLayer, TransformerEncoder

B, T = 16, 101  # a batch of one-second clips at 100 frames a second
ENCODER = {"d_model": 256, "num_heads": 4, "d_ff": 512, "num_layers": 4}  # the course's encoder
CONFORMER = {"d_model": 144, "num_heads": 4, "d_ff": 576, "num_layers": 4, "kernel_size": 31}
DROPOUT = 0.1
FEWEST_ROUNDS = 5
WALL, CPU = 0, 1  # the two clocks

Forward = Callable[[Tensor, Tensor | None], Tensor]
Step = Callable[[], None]


@dataclass(frozen=True)
class Pair:
    """Two modules with the same weights, each with the call that gives (x, valid) -> y."""

    name: str
    theirs: nn.Module
    ours: nn.Module
    call_theirs: Forward
    call_ours: Forward
    d_model: int


@dataclass
class Times:
    """(wall-clock, CPU) milliseconds of each turn."""

    theirs: list[tuple[float, float]] = field(default_factory=list)
    ours: list[tuple[float, float]] = field(default_factory=list)

    def ratio(self, clock: int) -> float:
        """Median of theirs / ours over the pairs of turns: above 1, ours is faster."""
        return median(a[clock] / b[clock] for a, b in zip(self.theirs, self.ours, strict=True))

    def columns(self) -> list[str | float]:
        """Their wall-clock times, ours, and the number of turns, for the table."""
        walls = [[wall for wall, _ in times] for times in (self.theirs, self.ours)]
        cells = [f"{median(t):.1f} ({min(t):.1f} - {max(t):.1f})" for t in walls]
        return [*cells, len(self.ours)]


def encoders(dropout: float) -> Pair:
    """`nn.TransformerEncoder` and ours."""
    d_model, num_heads, d_ff, num_layers = ENCODER.values()
    layer = nn.TransformerEncoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True)
    theirs = nn.TransformerEncoder(layer, num_layers)
    ours = TransformerEncoder(EncoderLayer(d_model, num_heads, d_ff, dropout), num_layers)
    load_encoder(use_fast_layers(ours), theirs)

    def call_theirs(x: Tensor, valid: Tensor | None) -> Tensor:
        return theirs(x, src_key_padding_mask=None if valid is None else ~valid)

    return Pair("encoder", theirs, ours, call_theirs, ours, d_model)


def conformers(dropout: float) -> Pair:
    """`torchaudio.models.Conformer` and ours without positions, as theirs has none."""
    d_model, num_heads, d_ff, num_layers, kernel_size = CONFORMER.values()
    theirs = torchaudio.models.Conformer(d_model, num_heads, d_ff, num_layers, kernel_size, dropout)
    ours = Conformer(d_model, num_heads, d_ff, num_layers, kernel_size, dropout, positions="none")
    load_conformer(use_fast_layers(ours), theirs)

    def call_theirs(x: Tensor, valid: Tensor | None) -> Tensor:
        whole = torch.full((B,), T, device=x.device)
        return theirs(x, whole if valid is None else valid.sum(dim=1))[0]

    return Pair("conformer", theirs, ours, call_theirs, ours, d_model)


def check_equal(make: Callable[[float], Pair]) -> float:
    """Largest relative difference of outputs in float32; stops if the two are not the same.

    In float64 outputs and gradients must agree to 1e-10, with dropout off, in both modes; in
    float32 outputs to 1e-5. (In float32 a gradient may jump where a ReLU's input rounds across 0.)
    """
    pair = make(0.0)
    for training in (False, True):
        for model in (pair.theirs, pair.ours):
            model.double().train(training)
        x = torch.randn(B, T, pair.d_model, dtype=torch.float64, requires_grad=True)
        outputs = pair.call_theirs(x, None), pair.call_ours(x, None)
        target = torch.randn_like(x)
        gradients = (torch.autograd.grad((y * target).sum(), x)[0] for y in outputs)
        require_close(pair.name, outputs, 1e-10)
        require_close(pair.name, gradients, 1e-10)
    for model in (pair.theirs, pair.ours):
        model.float().eval()
    x = torch.randn(B, T, pair.d_model)
    with torch.inference_mode():
        return require_close(pair.name, (pair.call_theirs(x, None), pair.call_ours(x, None)), 1e-5)


def require_close(name: str, two: Iterable[Tensor], tolerance: float) -> float:
    """Largest difference relative to the largest value; SystemExit if above `tolerance`."""
    theirs, ours = two
    difference = ((theirs - ours).abs().max() / theirs.abs().max()).item()
    if difference > tolerance:
        raise SystemExit(f"{name}: the two differ by {difference:.1e}, nothing to compare")
    return difference


def training_step(module: nn.Module, call: Forward, x: Tensor, valid: Tensor | None) -> Step:
    """A function that does one step of training."""
    module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        call(x, valid).square().mean().backward()
        optimizer.step()

    return step


def inference(module: nn.Module, call: Forward, x: Tensor, valid: Tensor | None) -> Step:
    """A function that does one forward pass without gradients."""
    module.eval()

    def step() -> None:
        with torch.inference_mode():
            call(x, valid)

    return step


def race(theirs: Step, ours: Step, rounds: int, seconds: float) -> Times:
    """Take turns, after two of each that do not count; fewer than `rounds` when time is up."""
    times = Times()
    for step in (theirs, ours, theirs, ours):
        milliseconds(step)
    start = time.perf_counter()
    while len(times.ours) < rounds:
        times.theirs.append(milliseconds(theirs))
        times.ours.append(milliseconds(ours))
        if time.perf_counter() - start > seconds and len(times.ours) >= FEWEST_ROUNDS:
            break
    return times


def milliseconds(step: Step) -> tuple[float, float]:
    """Wall-clock and CPU time of one call; the GPU's work, if any, is waited for."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    wait()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


@dataclass(frozen=True)
class Setting:
    """Where and how a race is run."""

    device: str
    precision: str = "float32"
    padded: bool = False
    compiled: bool = False


def lengths(padded: bool) -> Tensor | None:
    """None for a batch of equal clips; else valid (B, T) with lengths from a half of T to T."""
    if not padded:
        return None
    return torch.arange(T) < torch.linspace(T / 2, T, B).long()[:, None]


def under(precision: str, device: str, step: Step) -> Step:
    """`step` inside bfloat16 autocast, or as it is."""
    if precision == "float32":
        return step

    def inside() -> None:
        with torch.autocast(device, dtype=torch.bfloat16):
            step()

    return inside


def contest(
    make: Callable[[float], Pair], mode: str, setting: Setting, rounds: int, seconds: float
) -> Times:
    """Race the two in one mode ("train" or "inference") and one setting."""
    pair = make(DROPOUT)
    x = torch.randn(B, T, pair.d_model, device=setting.device)
    valid = lengths(setting.padded)
    valid = None if valid is None else valid.to(setting.device)
    steps: list[Step] = []
    for module, call in ((pair.theirs, pair.call_theirs), (pair.ours, pair.call_ours)):
        module.to(setting.device)
        call = torch.compile(call) if setting.compiled else call
        step = (training_step if mode == "train" else inference)(module, call, x, valid)
        steps.append(under(setting.precision, setting.device, step))
    return race(steps[0], steps[1], rounds, seconds)


def settings() -> list[Setting]:
    """The processor, with and without padding; the GPU, if any, also in bfloat16 and compiled."""
    found = [Setting("cpu"), Setting("cpu", padded=True)]
    if torch.cuda.is_available():
        found += [Setting("cuda", precision) for precision in ("float32", "bfloat16")]
        found += [Setting("cuda", "bfloat16", padded=True), Setting("cuda", compiled=True)]
        found += [Setting("cuda", "bfloat16", compiled=True)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="turns of each that count")
    parser.add_argument("--seconds", type=float, default=30.0, help="end a race after this long")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message=".*nested tensor")

    result: dict[str, float] = {}
    walls: dict[str, float] = {}
    rows = []
    for make in (encoders, conformers):
        difference = check_equal(make)
        for setting in settings():
            for mode in ("train", "inference"):
                times = contest(make, mode, setting, arguments.rounds, arguments.seconds)
                name = key(f"{make.__name__.removesuffix('s')}_{mode}", setting)
                cpu = times.ratio(CPU) if setting.device == "cpu" else None
                wall = walls[f"{name}_wall"] = times.ratio(WALL)
                result[name] = wall if cpu is None else cpu
                rows.append([*describe(make, mode, setting), *times.columns(), wall, cpu])
        print(f"{make.__name__}: outputs differ by {difference:.0e} of the largest value")
    print(f"batch {B} x {T} frames; encoder {ENCODER}; Conformer {CONFORMER}; dropout {DROPOUT}")
    print("milliseconds of the wall clock: median (fastest - slowest) of n turns each")
    print("ratio: median of theirs / ours over pairs of turns, above 1 ours is faster")
    headers = ["model", "mode", "device", "precision", "valid", "torch, torchaudio, ms", "ours, ms"]
    print_table([*headers, "n", "ratio, wall", "ratio, CPU s"], rows)
    finish(result | walls)


def describe(make: Callable[[float], Pair], mode: str, setting: Setting) -> list[str]:
    """Who raced and how, as five cells of the table."""
    precision = setting.precision + (", compiled" if setting.compiled else "")
    valid = "50-100 %" if setting.padded else "all"
    return [make.__name__.removesuffix("s"), mode, setting.device, precision, valid]


def key(name: str, setting: Setting) -> str:
    """`encoder_train` on the processor without padding; other settings add their words to it."""
    words = [setting.device, setting.precision]
    extra = "" if words == ["cpu", "float32"] else "_" + "_".join(words)
    return name + extra + "_padded" * setting.padded + "_compiled" * setting.compiled


if __name__ == "__main__":
    main()
