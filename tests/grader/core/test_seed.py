"""The secret seed: read once, never shown, and every name its own stream."""

import pytest
import torch

from grader.core.seed import Seed, read_seed
from kws.errors import UsageError


def test_the_seed_comes_from_the_variable_or_the_file_or_is_the_documented_one(tmp_path):
    file = tmp_path / "seed"
    file.write_text("s\n")
    for environ in ({"KWS_GRADER_SEED": "s"}, {"KWS_GRADER_SEED_FILE": str(file)}):
        assert read_seed(environ).number("x") == Seed("s").number("x")
    assert read_seed({}).id == "development"
    assert read_seed({}).number("x") == Seed("development").number("x")


@pytest.mark.parametrize(
    "environ",
    [
        {"KWS_GRADER_SEED": "s", "KWS_GRADER_SEED_FILE": "f"},
        {"KWS_GRADER_SEED_FILE": "/there/is/none"},
        {"KWS_GRADER_SEED": " "},
        {"KWS_GRADER_SEED": ""},
    ],
)
def test_a_seed_that_cannot_be_meant_is_an_error(environ, tmp_path):
    with pytest.raises(UsageError, match=r"(?i)seed"):
        read_seed(environ)
    (tmp_path / "seed").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as text"):
        read_seed({"KWS_GRADER_SEED_FILE": str(tmp_path / "seed")})


def test_numbers_and_generators_depend_on_seed_and_name_alone_and_the_id_does_not_show_it():
    assert Seed("a").number("x") == Seed("a").number("x")
    assert len({Seed(s).number(n) for s in "abc" for n in ("x", "y", "xy")}) == 9
    assert all(0 <= Seed("a").number(str(i)) < 2**63 for i in range(100))
    first = torch.rand(3, generator=Seed("a").generator("x"))
    assert torch.equal(first, torch.rand(3, generator=Seed("a").generator("x")))
    assert not torch.equal(first, torch.rand(3, generator=Seed("a").generator("y")))
    assert Seed("secret").id != Seed("Secret").id
    assert "secret" not in Seed("secret").id + repr(Seed("secret"))
    assert Seed("secret").id == Seed("secret\n").id
