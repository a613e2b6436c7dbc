"""Read one file of speaker features: a saved tensor from an untrusted source.

`torch.load(weights_only=True)` builds no objects but tensors, but does not notice changed bytes:
the archive's own checksums are compared first.

Shape letters: T frames   F features
"""

import io
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch

from kws.audio.audio_reading import LFS_POINTER
from kws.errors import UsageError

AGAIN = "copy or download it again"


def read_features(path: Path, num_features: int) -> np.ndarray:
    """The frames (T, num_features) in `path` as float16.

    Raises UsageError, naming the file, for one that is missing, empty, a git-LFS pointer, damaged,
    something else than a plain tensor, of another shape, or with values that are NaN, infinite or
    beyond float16.
    """
    tensor = _load(path)
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        raise UsageError(
            f"{path}: contains no tensor of real numbers: save the features as a tensor"
        )
    if tensor.ndim != 2 or not len(tensor):
        raise UsageError(
            f"{path}: a tensor of shape {tuple(tensor.shape)} where (frames, {num_features}) is "
            "expected: make the features again"
        )
    if tensor.shape[1] != num_features:
        raise UsageError(
            f"{path}: {tensor.shape[1]} mel bands where n_mels says {num_features}: "
            "correct n_mels or make the features again"
        )
    frames = tensor.detach().half()
    if not frames.isfinite().all():
        what = "values beyond float16" if tensor.isfinite().all() else "NaN or infinite values"
        raise UsageError(f"{path}: contains {what}: make the features again")
    return frames.numpy()


def _load(path: Path) -> object:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file: {AGAIN}") from None
    if not data:
        raise UsageError(f"{path}: empty (0 bytes): {AGAIN}")
    if data.startswith(LFS_POINTER):
        raise UsageError(
            f"{path}: a git-LFS pointer, not features: run `git lfs pull` in its repository"
        )
    try:
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if (damaged := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"checksum of {damaged}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch wonders about foreign pickles before refusing
            return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError:
        raise UsageError(
            f"{path}: not a plain tensor, and anything else could run code when it is read: "
            "save the features with torch.save(tensor, path)"
        ) from None
    except Exception:  # any error of the parsers on bytes that are not a tensor
        raise UsageError(f"{path}: damaged or not a saved tensor: {AGAIN}") from None
