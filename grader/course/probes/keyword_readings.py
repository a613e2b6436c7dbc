"""A keyword transformer's parts as a student's module has them, known by shape, class and call.

The options of each formula are mistakes.

Shape letters: B batch   T frames   F mel bands   N tokens   D model width   C classes
"""

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from grader.course.probes.attention_readings import Projection
from grader.course.probes.conformer_readings import Norm, loud, norms
from grader.grading.feedback import Failure, expect_tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class StemReading:
    """Two convolutions, each with a batch norm."""

    convolutions: tuple[Projection, Projection]
    norms: tuple[Norm, Norm]


def read_stem(module: Any, channels: tuple[int, int], seed: int) -> StemReading:
    """Load random numbers into a stem and read its parts; Failure if there are others."""
    state = loud(module, seed)
    found = []
    for before, after in ((1, channels[0]), channels):
        kernels = [(n, t) for n, t in state.items() if t.shape == (after, before, 3, 3)]
        by_batch = [one for one in norms(state, after) if one.mean is not None]
        if len(kernels) != 1 or len(by_batch) != 1:
            raise Failure(
                f"Stem has {len(kernels)} convolutions {before} -> {after} with a 3 x 3 kernel and "
                f"{len(by_batch)} batch norms of {after} maps, expected 1 and 1",
                "compare print(stem) with the steps in section 5.2",
            )
        name, weight = kernels[0]
        bias = state.get(name.removesuffix("weight") + "bias")
        found.append((Projection(weight=weight, bias=bias), by_batch[0]))
    (first, norm1), (second, norm2) = found
    return StemReading(convolutions=(first, second), norms=(norm1, norm2))


def stem(
    mel: Tensor,
    one: StemReading,
    strides: tuple[int, ...],
    *,
    columns: bool = False,
    frames_as_rows: bool = False,
    bands_first: bool = False,
    channels_first: bool = False,
    norm: bool = True,
    relu: bool = True,
    relu_first: bool = False,
) -> Tensor:
    """Tokens of a stem in evaluation mode."""
    x = (mel if frames_as_rows else mel.mT)[:, None]
    for kernel, known, stride in zip(one.convolutions, one.norms, strides, strict=True):
        x = F.conv2d(x, kernel.weight, kernel.bias, stride=stride, padding=1)
        x = x.relu() if relu_first else x
        x = _by_map(x, known) if norm else x
        x = x.relu() if relu and not relu_first else x
    x = x.mT if frames_as_rows else x
    if columns:
        return (
            x.permute(0, 3, 1, 2).flatten(2) if channels_first else x.permute(0, 3, 2, 1).flatten(2)
        )
    return (
        x.permute(0, 2, 3, 1).flatten(1, 2) if bands_first else x.permute(0, 3, 2, 1).flatten(1, 2)
    )


def _by_map(x: Tensor, known: Norm) -> Tensor:
    return F.batch_norm(x, known.mean, known.variance, known.weight, known.bias)


class ModelReading:
    """A keyword transformer whose parts are called one by one, in an order of ours."""

    def __init__(self, model: Any, mel: Tensor, num_layers: int, seed: int):
        self.state = loud(model, seed)
        self.inner: list[str] = []
        linear: list[str] = []
        called: dict[str, list[str]] = {}
        for call in model.trace(mel).layers:
            if any(call.path.startswith(f"{path}.") for path in self.inner):
                continue
            if call.kind in ("Stem", "ClassToken", "EncoderLayer"):
                self.inner.append(call.path)
                called.setdefault(call.kind, []).append(call.path)
            if call.kind == "Linear":
                linear.append(call.path)
        for kind, number in (("Stem", 1), ("ClassToken", 1), ("EncoderLayer", num_layers)):
            times = len(called.get(kind, ()))
            if times != number:
                raise Failure(
                    f"KeywordTransformer(num_layers={num_layers}) calls {times} {kind}, "
                    f"expected {number}",
                    f"is every part of section 5.4 used, and no part twice? Look for {kind}",
                )
        if len(linear) != 2:
            raise Failure(
                f"KeywordTransformer calls {len(linear)} linear layers of its own, expected 2",
                "one behind the stem, one in front of the classes",
            )
        self.stem, self.reader = (model.child(called[k][0]) for k in ("Stem", "ClassToken"))
        self.layers = [model.child(path) for path in called["EncoderLayer"]]
        self.widen, self.classify = (
            Projection(weight=self.state[f"{p}.weight"], bias=self.state.get(f"{p}.bias"))
            for p in linear
        )

    def __call__(
        self,
        mel: Tensor,
        *,
        reads: str = "cls",
        skip: int = 0,
        late: bool = False,
        across: bool = False,
    ) -> Tensor:
        """Logits; `reads` the cls token, the "mean" or the "last", `skip` layers are left out,
        attention goes `across` clips, or the cls token comes `late`."""
        x = self.widen(expect_tensor("Stem(…)(mel)", self.stem(mel)))
        parts = [self.reader, *self.layers[: len(self.layers) - skip]]
        for part in [*parts[1:], parts[0]] if late else parts:
            swap = across and part is not self.reader
            y = expect_tensor(f"{part.kind}(…)(x)", part(x.transpose(0, 1) if swap else x))
            x = y.transpose(0, 1) if swap else y
        return self.classify({"cls": x[:, 0], "mean": x.mean(1), "last": x[:, -1]}[reads])
