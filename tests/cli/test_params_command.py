"""`kws params`: the list, the table of a model, shared tensors, the budget, what is refused."""

import re

import pytest

from kws.models.registry import MODELS, RECOGNIZERS
from tests.conftest import data_beside


def rows(text: str) -> dict[str, list[str]]:
    """The cells of a printed table, by the first of each row."""
    cells = [re.split(r"\s*[│┃]\s*", line.strip()) for line in text.splitlines()]
    return {row[1]: row[2:-1] for row in cells if len(row) > 3}


def test_without_a_model_every_model_is_listed_with_its_size(kws):
    outcome = kws("params")
    listed = rows(outcome.out)
    assert outcome.code == 0
    assert listed.keys() - {"model"} == {*MODELS, *RECOGNIZERS}
    assert listed["kwt-1"][:3] == ["607,308", "40", "12"]
    assert "with '.[pretrained]' installed, reading waveforms: wav2vec2, ast" in outcome.out
    assert listed["homework-baseline"][:3] == ["125,896", "40", "600"]


def test_a_table_holds_formula_value_and_measurement_by_the_settings(kws):
    outcome = kws("params", "strided-transformer", "--num-classes", 31)
    table = rows(outcome.out)
    assert outcome.code == 0
    assert "strided-transformer, 64 features, 31 classes" in outcome.out
    numbers = ["2,108,416", "2,108,416"]
    assert table["encoder"] == ["L (4 d² + 9 d + 2 d f + f)", "L=4 d=256 f=512", *numbers]
    assert table["classify"][-2:] == ["7,967", "7,967"]
    assert table["total"][-2:] == ["2,152,287", "2,152,287"]
    settings = ["num_layers=2", "positions=none", "qkv_bias=true", "dropout=0"]
    table = rows(kws("params", "kwt-1", "--num-features", 17, *settings).out)
    assert table["project"] == ["m d + d", "m=17 d=64", "1,152", "1,152"]
    assert table["encoder"][:2] == ["L (4 d² + 9 d + 2 d f + f)", "L=2 d=64 f=256"]
    assert "positions" not in table
    assert "a=4 b=5" in kws("params", "strided-transformer", "channels=[4, 5]").out


@pytest.mark.parametrize(
    ("budget", "code", "verdict"),
    [
        (125_896, 0, "125,896 parameters: 0 left of the budget of 125,896"),
        (125_895, 1, "125,896 parameters: 1 over the budget of 125,895"),
        (500_000, 0, "125,896 parameters: 374,104 left of the budget of 500,000"),
    ],
)
def test_the_budget_decides_the_exit_code(kws, budget, code, verdict):
    outcome = kws("params", "homework-baseline", "--budget", budget)
    assert outcome.code == code
    assert outcome.out.splitlines()[-1] == verdict


@pytest.mark.parametrize(("arguments", "sentence"), data_beside(__file__)["refused"])
def test_what_is_refused(kws, arguments, sentence):
    assert kws("params", *arguments).sentence().startswith(sentence)


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_shapes_of_a_recognizer_hold_what_it_hears_and_what_it_writes(kws, name):
    outcome = kws("params", name, "--shapes", "--batch-size", 3)
    assert outcome.code == 0, outcome.err
    assert f"{name}, 3 x 101 frames x 40 features, 16 symbols" in outcome.out
    table = rows(outcome.out)
    assert table["ctc"][1] == "3 x 26 x 19"
    assert table["write"][1] == "3 x 16 x 19"


def test_shapes_are_a_table_of_modules_with_a_total_and_shared_tensors_are_named(kws):
    sizes = ["--frames", 128, "--batch-size", 4, "--depth", 3]
    outcome = kws("params", "lab-encoder", "--shapes", *sizes)
    table = rows(outcome.out)
    assert outcome.code == 0
    assert "lab-encoder, 4 x 128 frames x 40 features" in outcome.out
    assert table["front_end"][:3] == ["LinearFrontEnd", "4 x 128 x 80", "3,280"]
    assert "EncoderLayer, 3 times" in outcome.out
    assert table["total"][:2] == ["", "4 x 600"]
    assert table["total"][3] == f"{4 * 67_310_720:,}"
    assert "attention" not in table  # a level deeper
    out = kws("params", "lab-encoder").out
    assert rows(out)["encoder"][-1] == "154,880"
    assert "shared tensors, counted once (523,000 if separate):" in out
    names = (f"encoder.layers.{layer}.attention.qkv.weight" for layer in range(3))
    assert f"  {' = '.join(names)}\n" in out
    assert "shared" not in kws("params", "lab-encoder-separate").out
