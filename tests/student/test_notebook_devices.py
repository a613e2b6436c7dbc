"""The given cells of the notebooks train on a GPU: models and batches go there, and come back."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from tests.training.small_objectives import SMALL

SCRIPT = Path(__file__).with_name("second_device.py")
CLOSE = 1e-3  # of the first losses: a GPU adds in another order, and may use TF32


def given(number: str) -> list[ast.stmt]:
    """The statements of all cells that students get as they are."""
    cells = read_solution(ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py")
    code = [one.source for one in cells if one.kind == "code" and "export" not in one.tags]
    return [statement for source in code for statement in ast.parse(source).body]


def trainings(number: str) -> list[ast.FunctionDef]:
    """The given functions that the notebook calls to train."""
    statements = given(number)
    defined = {one.name: one for one in statements if isinstance(one, ast.FunctionDef)}
    rest = [one for one in statements if not isinstance(one, ast.FunctionDef | ast.ClassDef)]
    called = {
        node.func.id
        for statement in [*rest, *defined.values()]
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return [
        one
        for name, one in defined.items()
        if name.startswith("fit") and name in called and one.args.args[0].arg != "loss_of"
    ]


TRAINED = [number for number in ASSIGNMENTS if trainings(number)]


@pytest.mark.parametrize("number", TRAINED)
def test_every_training_moves_its_model_to_the_device_and_back(number):
    for fit in trainings(number):
        model = fit.args.args[0].arg
        assert [ast.unparse(one) for one in fit.decorator_list] == ["back_on_cpu"]
        assert f"{model}.to(device)" in ast.unparse(fit)
    chosen = [one for one in given(number) if ast.unparse(one) == "device = choose_device()"]
    assert len(chosen) == 1


def lines_of(*arguments: str) -> list[dict]:
    """What the program says about each notebook."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def numbers(result: object) -> list[float]:
    """All numbers of nested lists."""
    if isinstance(result, list):
        return [x for part in result for x in numbers(part)]
    return [float(str(result))]


@pytest.mark.slow
def test_no_move_of_a_batch_can_be_left_out_and_the_device_changes_no_number():
    found = {line["number"]: line for line in lines_of()}
    assert list(found) == [number for number in TRAINED if number != "07"]  # see the program
    for line in found.values():
        assert line["moves"] > 0
        # the mask of notebook 8 is an index in our answer, and an index may come from anywhere
        assert line["unnoticed"] == ([0] if line["number"] == "08" else [])
        assert numbers(line["other"]) == pytest.approx(numbers(line["cpu"]), rel=CLOSE, abs=CLOSE)


@pytest.mark.slow
def test_trainings_by_recipe_give_the_same_on_another_device():
    found = lines_of("recipes")
    assert [line["name"] for line in found] == list(SMALL)
    for line in found:
        assert line["other"] == pytest.approx(line["cpu"], rel=CLOSE, abs=CLOSE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("arguments", [("recipes", "cuda"), ("cuda",)])
def test_notebooks_and_recipes_train_on_a_gpu_as_on_the_cpu(arguments):
    for line in lines_of(*arguments):
        first = numbers(line["cpu"])[:2], numbers(line["other"])[:2]
        assert first[1] == pytest.approx(first[0], rel=CLOSE, abs=CLOSE)
