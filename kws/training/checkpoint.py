"""Checkpoint files: a model in one file, with all that is needed to use it.

    best.pt   the weights with the highest validation accuracy
    last.pt   the newest weights and the whole state of the training, to resume from

Both hold a dictionary: `format`, `recipe` (TOML), `labels`, `protocol`, `normalizer`,
`weights`, `step`; last.pt also `training`. Only tensors, strings, numbers and
containers: they load with `weights_only=True`, so a checkpoint from a stranger runs no code.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.errors import UsageError
from kws.files import write_bytes
from kws.training.recipe import Recipe, to_toml

FORMAT = "kws checkpoint 1"
SHIPPED = {"keywords": Path(__file__).parents[1] / "pretrained" / "keywords.pt"}  # by name
FIELDS = {
    "format": str,
    "recipe": str,
    "labels": list,
    "protocol": str,
    "normalizer": dict,
    "weights": dict,
    "step": int,
}


def model_state(
    model: nn.Module,
    *,
    recipe: Recipe,
    labels: Sequence[str],
    protocol: str,
    normalizer: Normalizer,
    step: int,
) -> dict[str, Any]:
    """The content of a checkpoint, with references to the live weights.

    `protocol` is the name under which the model's accuracy counts, "speakers" for those; `step` the
    number of optimizer steps behind the weights.
    """
    return {
        "format": FORMAT,
        "recipe": to_toml(recipe),
        "labels": list(labels),
        "protocol": protocol,
        "normalizer": dict(vars(normalizer)),
        "weights": model.state_dict(),
        "step": step,
    }


def weights_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights to use of a checkpoint's content: where training averaged them, the averages."""
    return state.get("training", {}).get("averaged") or state["weights"]


def save_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    data = io.BytesIO()  # torch.save turns the OSError of a full disk into a RuntimeError
    torch.save(dict(state), data)
    write_bytes(path, data.getbuffer())


def checkpoint_of(run_or_file: str | Path) -> Path:
    """The best.pt of a folder; a model that comes with kws, by its name; a file as it is."""
    path = Path(run_or_file)
    if not path.exists() and str(path) in SHIPPED:
        return SHIPPED[str(path)]
    if not path.is_dir():
        return path
    if not (path / "best.pt").is_file():
        raise UsageError(f"{path}: contains no best.pt: name the folder of a run of kws train")
    return path / "best.pt"


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, checksums verified; UsageError for what is not one of ours."""
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint: check the path, or train with kws train")
    data = io.BytesIO(path.read_bytes())  # so that every OSError below is the content's fault
    cure = "copy it again, or train again"
    try:
        with zipfile.ZipFile(data) as archive:  # torch itself does not look at the checksums
            damaged = archive.testzip()
        if damaged:
            raise UsageError(f"{path}: damaged (checksum of {damaged}): {cure}")
        data.seek(0)
        state = torch.load(data, map_location="cpu", weights_only=True)
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # unpickling what is not ours can raise nearly anything
        raise UsageError(f"{path}: not a checkpoint, or a damaged one: {cure}") from error
    if not _is_ours(state):
        raise UsageError(f"{path}: not a checkpoint of kws train: name a best.pt or a run folder")
    return state


def _is_ours(state: Any) -> bool:
    """Whether every field is there and of its type. Values are validated elsewhere."""
    return (
        isinstance(state, dict)
        and all(isinstance(state.get(field), kind) for field, kind in FIELDS.items())
        and state["format"] == FORMAT
        and all(isinstance(label, str) for label in state["labels"])
        and all(isinstance(w, Tensor) for w in state["weights"].values())
        and isinstance(state.get("training", {}), dict)
    )
