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


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    """An embedded corpus: 35 words, 20 speakers (16 / 2 / 2 in the splits), one take, 700 clips."""
    from kws.data.corpus import make_corpus

    out = tmp_path_factory.mktemp("corpus") / "words"
    return make_corpus(out, size="tiny", takes=1, noise_seconds=5, progress=False)


@pytest.fixture(scope="session")
def tiny_speakers(tmp_path_factory) -> Path:
    """Speaker features in the homework's layout: 6 voices, each 6 utterances and 2 for testing."""
    from kws.data.speaker_corpus import make_speaker_corpus

    out = tmp_path_factory.mktemp("corpus") / "speakers"
    return make_speaker_corpus(out, speakers=6, utterances=6, progress=False)
