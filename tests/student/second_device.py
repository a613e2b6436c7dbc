"""A second device without a second device, and short trainings of the notebooks on it.

    python tests/student/second_device.py        a line of JSON for each notebook
    python tests/student/second_device.py cuda   the same on a real one

And short trainings by recipe, with "recipes" in front: a line for each that has an objective.

Moved tensors hold a tensor of the CPU, whose kernels compute; one of them beside
a tensor that was not moved is refused, as CUDA refuses it. So a forgotten `.to(device)` stops a
training here, and results are those of the CPU but for the
order of a kernel's sums.
"""

import ast
import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from grader import ROOT
from grader.authoring.build import read_solution
from kws.data.transcripts import TranscribedSplit, TranscriptRow

OTHER = torch.device("meta")  # the name that a moved tensor says; torch asks no driver for it
ATEN = torch.ops.aten
FROM_ANYWHERE = (  # take tensors of the CPU beside others, as with CUDA
    ATEN._to_copy.default,
    ATEN.copy_.default,
    ATEN.index.Tensor,
    ATEN.index_put.default,
    ATEN.index_put_.default,
    ATEN._index_put_impl_.default,
    ATEN._ctc_loss.Tensor,  # lengths
    ATEN._ctc_loss_backward.Tensor,
)
MOVE = re.compile(r"(?<!model)(?<!codec)(?<!prior)\.to\((?:device|place)\)")  # of a batch


class Moved(Tensor):
    """A tensor on the other device; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held: Tensor) -> "Moved":
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=OTHER
        )

    def __init__(self, held: Tensor):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Watch(TorchDispatchMode):
    """Sees new tensors too, which have no tensor among their arguments."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def compute(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `func` gives, on the device where CUDA would give it."""
    flat, shape = pytree.tree_flatten((args, kwargs))
    moved = any(isinstance(x, Moved) for x in flat)
    if moved and func not in FROM_ANYWHERE:
        for x in flat:  # numbers without axes may come from anywhere, as with CUDA
            if isinstance(x, Tensor) and not isinstance(x, Moved) and x.ndim:
                raise RuntimeError(f"Expected all tensors to be on the same device: {func}, cpu")
    held = [_held(x) for x in flat]
    args_held, kwargs_held = pytree.tree_unflatten(held, shape)
    result = func(*args_held, **kwargs_held)
    if func._schema.is_mutable and not func._schema.name.startswith("aten::_fused"):
        return args[0] if func._schema.returns else None
    wanted = kwargs.get("device")
    there = moved if wanted is None else torch.device(wanted).type == OTHER.type
    return pytree.tree_map_only(Tensor, Moved, result) if there else result


def _held(x: Any) -> Any:
    if isinstance(x, torch.device):
        return torch.device("cpu")
    return x.held if isinstance(x, Moved) else x


def definitions(number: str, without: int = -1) -> tuple[dict[str, Any], int]:
    """Imports, constants, functions and classes of a solution, and the number of moves of batches.

    The given `.to(device)` number `without` is left out. No data are read, and nothing is trained.
    """
    path = next((ROOT / "solutions").glob(f"{number}_*.py"))
    names: dict[str, Any] = {"__name__": path.stem}
    count = 0

    def leave_out(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return "" if count - 1 == without else found[0]

    for cell in read_solution(path):
        if cell.kind != "code" or "check" in cell.tags:
            continue
        given = "export" not in cell.tags
        source = MOVE.sub(leave_out, cell.source) if given else cell.source
        source = source.replace("% 50 == 0", "% 2 == 0")  # validate, after two steps
        source = re.sub(r"warmup_steps=\d\d", "warmup_steps=1", source)
        kept = [node for node in ast.parse(source).body if _defines(node)]
        exec(compile(ast.Module(kept, []), path.stem, "exec"), names)
    return names, count


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(n, ast.Name) and n.id.isupper() for n in _targets(node))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _targets(node: ast.Assign) -> list[ast.expr]:
    first = node.targets[0]
    return first.elts if isinstance(first, ast.Tuple) else [first]


class Utterances:
    """As much of a split of speaker features as notebook 4 trains on."""

    def __init__(self) -> None:
        self.mels, self.labels = torch.randn(6, 20, 40), torch.arange(6) % 3

    def __len__(self) -> int:
        return len(self.mels)

    def crops(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.mels[rows], torch.ones(len(rows), 20).bool()

    def crop_batches(self, size: int) -> list[tuple[Tensor, ...]]:
        return [(*self.crops(torch.arange(6), torch.Generator()), self.labels, torch.arange(6))]


def speakers(n: dict[str, Any]) -> Any:
    mels = [torch.randn(length, 40) for length in (20, 24, 31)]
    n |= {"train_mels": mels, "val_mels": mels}
    n |= {"train_labels": torch.arange(3), "val_labels": torch.arange(3)}
    options = {"steps": 2, "batch_size": 3, "crop_frames": 16, "lr": 1e-2, "warmup_steps": 1}
    return n["fit"](plain(n["SpeakerClassifier"](3)), **options, every=1)


def conformers(n: dict[str, Any]) -> Any:
    n["data"] = SimpleNamespace(train=Utterances(), validation=Utterances())
    return n["fit"](plain(n["SpeakerConformer"](40, 3)), 2, 1e-2, batch_size=2, best=n["Best"]())


def keywords(n: dict[str, Any]) -> Any:
    mels, labels = torch.randn(6, 101, 64), torch.arange(6) % 3
    n |= {"mels": {"training": mels, "validation": mels}}
    n |= {"labels": {"training": labels, "validation": labels}}
    return n["fit"](plain(n["small_model"]()), 2, 2, 1e-3, 1)


def images(n: dict[str, Any]) -> Any:
    model, mels, labels = plain(n["small_model"](3)), torch.randn(4, 101, 64), torch.arange(4) % 3
    losses = n["fit"](model, mels, labels, 4, 2, 1e-3, 1, factor=0.5)
    return losses, n["accuracy"](model.to(n["device"]), mels, labels).value


def recognizers(n: dict[str, Any]) -> Any:
    alphabet = n["Alphabet"].of(["one two"])
    split = TranscribedSplit(
        mels=[torch.randn(length, 40) for length in (60, 60, 73)],
        rows=[TranscriptRow(file="", speaker="", split="", text=text) for text in TEXTS],
        split="training",
    )
    n |= {"train": split, "data": {"validation": split}, "alphabet": alphabet, "LONGEST": 5}
    n["train_texts"] = [alphabet.encode(text) for text in split.texts]
    return n["fit"](plain(n["SpeechTransformer"](40, len(alphabet))), 2, 1e-3, 0.3, batch_size=2)


def synthesizers(n: dict[str, Any]) -> Any:
    durations = torch.tensor([3, 2, 4, 3])
    phonemes = torch.tensor([[1, 0], [2, 2], [3, 0], [4, 1]])
    rows = [(phonemes, durations, torch.randn(12, 64), None)]
    rows.append((phonemes[:3], durations[:3], torch.randn(9, 64), None))
    n["training"] = rows
    guided = n["fit_small"](plain(n["SmallTts"]()), True, steps=3)
    return guided.tolist(), n["fit"](plain(n["FastSpeech"](9)), 3, 2, 1e-3, 1)


def codes(n: dict[str, Any]) -> Any:
    first = n["fit_codec"](plain(n["Codec"]()), torch.randn(9, 100, 40), steps=12)
    prior = plain(n["CodePrior"](35, n["CODES"], n["LENGTH"]))
    drawn = torch.randint(n["CODES"], (9, n["LENGTH"]))
    return first, n["fit_prior"](prior, torch.arange(9), drawn, steps=12)


def plain(model: nn.Module) -> nn.Module:
    """Without dropout, whose draws differ between kernels."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            vars(module)["dropout"] = 0.0
    return model


TEXTS = ("one", "two", "one two")
TRAININGS = {
    "03": speakers,
    "04": conformers,
    "05": keywords,
    "06": images,
    "07": recognizers,
    "08": synthesizers,
    "09": codes,
}


def train(number: str, device: torch.device, without: int = -1) -> Any:
    """What a short training of this notebook returns."""
    names, _ = definitions(number, without)
    names["device"] = device
    torch.manual_seed(0)
    watch = nullcontext() if device.type == "cuda" else Watch()
    with watch, torch.autograd.set_multithreading_enabled(False):
        return json.loads(json.dumps(TRAININGS[number](names)))


def train_recipe(name: str, device: torch.device) -> list[float]:
    """Losses and measurements of a short training by recipe."""
    from kws.training.distributed import Team
    from kws.training.history import History
    from kws.training.loop import TrainingRun, training_steps
    from tests.training.small_objectives import small_objective

    watch = nullcontext() if device.type == "cuda" else Watch()
    with watch, torch.autograd.set_multithreading_enabled(False):
        learned = small_objective(name, device=device)
        plain(learned.model)
        optimizer = torch.optim.AdamW(learned.model.parameters())  # no fused one: it asks for a GPU
        team = Team(device=device)
        run = TrainingRun(
            objective=learned,
            team=team,
            out=Path(),
            optimizer=optimizer,
            averaged=None,
            history=History(path=Path()),
        )
        losses = [figures["loss"].item() for figures in training_steps(run)]
        return [*losses, *learned.measure(learned.model, team).values()]


def recipes(real: str | None) -> None:
    """What both devices give, by recipe; it is imported once `inference_mode` is gone."""
    from kws.training import recognizer_steps
    from tests.training.small_objectives import SMALL

    if real is None:  # see `main`
        recognizer_steps.CTC_WEIGHT = 0.0
    for name in SMALL:
        found = {"name": name, "cpu": train_recipe(name, torch.device("cpu"))}
        found["other"] = train_recipe(name, torch.device(real) if real else OTHER)
        print(json.dumps(found), flush=True)


def unnoticed(number: str) -> list[int]:
    """Which moves of a given cell may be left out without an error on the other device."""
    silent = []
    for one in range(definitions(number)[1]):
        try:
            train(number, OTHER, one)
            silent.append(one)
        except RuntimeError as error:
            if "device" not in str(error):
                raise
    return silent


def main(real: str | None = None) -> None:
    """For each notebook what both devices return, and which moves may be left out unnoticed."""
    for number in TRAININGS:
        if real is None and number == "07":
            continue  # for a class of tensors torch computes CTC in a way that no device has
        found: dict[str, Any] = {"number": number, "moves": definitions(number)[1]}
        if real is None:
            found["unnoticed"] = unnoticed(number)
        found["cpu"] = train(number, torch.device("cpu"))
        found["other"] = train(number, torch.device(real) if real else OTHER)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.inference_mode = torch.no_grad  # a tensor that holds one cannot be made in it
    if sys.argv[1:2] == ["recipes"]:
        recipes(sys.argv[2] if sys.argv[2:] else None)
    else:
        main(*sys.argv[1:])
