"""Recordings by speaker become a corpus by word whose splits share no speaker."""

import importlib.util
from pathlib import Path

import pytest
import torch

from kws.audio import write_audio
from kws.data.listing import read_listing

PATH = Path(__file__).parents[2] / "benchmarks" / "own_words.py"


@pytest.fixture(scope="module")
def own_words():
    spec = importlib.util.spec_from_file_location("benchmark_own_words", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_third_of_the_speakers_test_and_one_in_nine_validates(own_words, tmp_path):
    for speaker in range(9):
        for name in ("one_01", "one_02", "two_01"):
            write_audio(tmp_path / "people" / f"id{speaker}" / f"{name}.wav", torch.zeros(160))
    listing = read_listing(own_words.by_speaker(tmp_path / "people", tmp_path / "words"))
    splits: dict[str, set[str]] = {}
    for name, split in zip(listing.names, listing.splits, strict=True):
        splits.setdefault(split, set()).add(name.partition("/")[2].partition("_")[0])
    assert listing.words == {"one": 18, "two": 9}
    assert splits["testing"] == {"id0", "id3", "id6"}
    assert splits["validation"] == {"id1"}
    assert not splits["training"] & (splits["testing"] | splits["validation"])
