"""Lines of Python and files on a walk, as ceilings: a change may lower them and nothing else.

Measured by `benchmarks/walks.py`. Who makes the tree lighter lowers the number here, too.
"""

import pytest
import torch

from benchmarks.walks import HOUSES, KWS, files_entered, lines_of, walk
from kws.audio.recordings import write_audio
from kws.cli import run
from kws.data.protocols import PROTOCOLS
from kws.training.checkpoint import save_checkpoint
from tests.conftest import state_of

LINES = {"kws and grader": 51_950, "experiments": 2_250, "tests": 33_000}  # rounded up
WAVEFORM_TO_LOGITS = 20  # files
CHECK = 14  # files; an answer to points, 60, is measured by hand


@pytest.mark.parametrize("house", HOUSES)
def test_lines_of_python_do_not_grow(house):
    assert lines_of(*HOUSES[house]) <= LINES[house]


def test_a_waveform_passes_through_few_files(untrained, tmp_path, capsys):
    sizes = ["model.d_model=12", "model.num_heads=3", "model.num_layers=1", "model.d_ff=14"]
    settings = ["data.protocol=embedded-12", "model.name=transformer", *sizes]
    trained = untrained(*settings, labels=PROTOCOLS["embedded-12"].labels)
    save_checkpoint(tmp_path / "best.pt", state_of(trained))
    write_audio(tmp_path / "x.wav", torch.zeros(16_000))
    words = ["predict", str(tmp_path / "x.wav"), "--model", str(tmp_path)]
    assert len(files := files_entered(lambda: run(words))) <= WAVEFORM_TO_LOGITS, files
    assert capsys.readouterr().out


def test_a_check_of_a_notebook_passes_through_few_files():
    files, processes = walk(["-c", KWS, "check", "2.1"])
    assert (len(files) <= CHECK, processes) == (True, 2), files
