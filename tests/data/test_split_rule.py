"""The split rule gives what TensorFlow's gives, by speaker."""

import pytest

from kws.data.protocols import SPLITS
from kws.data.split_rule import hash_percentage, which_split

GOLDENS = {
    "c2d15ea5": ("validation", "8.714154"),
    "4a294341": ("training", "34.181510"),
    "43f57297": ("training", "81.990165"),
    "f9af823e": ("training", "60.145107"),
}


@pytest.mark.parametrize(("speaker", "golden"), GOLDENS.items())
def test_hash_goldens_to_six_decimals(speaker, golden):
    name = f"{speaker}_nohash_0.wav"
    assert (which_split(name), f"{hash_percentage(name):.6f}") == golden


def test_splits_are_about_80_10_10_by_speaker():
    splits = [which_split(f"{i:08x}_nohash_0.wav") for i in range(4000)]
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(splits.count(split) / 4000 - share) < 0.02
    names = ["c2d15ea5_nohash_0.wav", "yes/c2d15ea5_nohash_17.wav", "a/b/c2d15ea5_nohash_1.wav.wav"]
    assert len({hash_percentage(name) for name in names}) == 1
