"""Fixtures shared by all tests: fixed seeds, and the real recordings where a site has them."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(
    1
)  # sizes are tiny: threads cost more than they give, and the workers share the cores


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory):
    """Packed data go to a folder of this test run, never to the user's cache."""
    os.environ["KWS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def float64():
    """Default dtype float64 for the length of one test: parity is stated at 1e-10."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings, named by KWS_REAL_DATA; tests that need it skip without it."""
    folder = os.environ.get("KWS_REAL_DATA")
    if not folder:
        pytest.skip("needs real recordings: set KWS_REAL_DATA to a folder that holds them")
    return Path(folder).resolve()
