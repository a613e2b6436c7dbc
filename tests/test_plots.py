"""Pictures: what is on the axes, nothing global touched, files whole and reproducible."""

import runpy
import sys
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import torch

from kws import plots
from kws.metrics import Proportion, per_class
from kws.notebook import in_notebook

MATRIX = torch.tensor([[5, 0, 2], [1, 4, 0], [0, 0, 0]])
LABELS = ("_silence_", "yes", "no")
OVERALL = Proportion(correct=9, n=12)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_neither_pyplot_nor_settings_of_the_caller_are_touched(monkeypatch):
    before = dict(mpl.rcParams)
    plots.confusion(MATRIX, LABELS)
    assert dict(mpl.rcParams) == before
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # an import of it would fail
    runpy.run_path(plots.__file__)


def test_saving_twice_gives_the_same_bytes_in_a_folder_that_is_made(tmp_path):
    first, second = (tmp_path / name / "a.png" for name in "ab")
    for out in (first, second):
        assert plots.save(plots.confusion(MATRIX, LABELS), out) == out
        assert [path.name for path in out.parent.iterdir()] == ["a.png"]
    assert first.read_bytes() == second.read_bytes()
    assert plots.confusion(MATRIX, LABELS)._repr_png_()[:4] == first.read_bytes()[:4]
    assert first.read_bytes().startswith(b"\x89PNG")
    assert b"Software" not in first.read_bytes()  # its version would change the bytes


def test_confusion_prints_counts_and_shades_by_share_of_the_row_thinned_for_many_classes():
    axes = plots.confusion(MATRIX, LABELS, title="t").axes[0]
    assert sorted(texts(axes)) == ["1", "2", "4", "5"]
    shade = axes.images[0].get_array()
    assert shade is not None
    assert np.allclose(shade, [[500 / 7, 0, 200 / 7], [20, 80, 0], [0, 0, 0]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert [label.get_text() for label in axes.get_yticklabels()] == list(LABELS)
    size = 101
    axes = plots.confusion(torch.eye(size, dtype=torch.int64), [str(i) for i in range(size)]).axes[
        0
    ]
    assert texts(axes) == []
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "3", "6"]


def test_recall_shows_classes_that_have_examples_with_their_intervals_or_the_lowest_of_many():
    axes = plots.recall(per_class(MATRIX, LABELS), OVERALL).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["_silence_  (n=7)", "yes  (n=5)"]
    assert "(%)" in axes.get_xlabel()
    bar = axes.collections[0].get_paths()[0].vertices
    silence = Proportion(correct=5, n=7)
    assert np.allclose(np.asarray(bar)[:, 0], [100 * silence.low, 100 * silence.high])
    size = 50
    matrix = torch.eye(size, dtype=torch.int64) * 3
    matrix[47, 0] = 5
    figure = plots.recall(per_class(matrix, [f"c{i}" for i in range(size)]), OVERALL, title="t")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == plots.MOST_CELLS
    assert names[0] == "c47  (n=8)"
    assert "40 classes of 50" in figure.get_suptitle()


def test_spectrogram_axes_are_seconds_and_bands_and_a_long_title_is_wrapped():
    figure, ((axes,),) = plots.new_figure()
    mel = torch.randn(53, 7)
    plots.draw_spectrogram(axes, mel, frames_per_second=50.0)
    assert axes.images[0].get_extent() == [0, pytest.approx(1.06), 0, 7]
    assert np.array_equal(axes.images[0].get_array(), mel.T)  # row 0, the lowest band, at the
    assert axes.images[0].origin == "lower"  # bottom; column 0, the first frame, at the left
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "mel band")
    assert figure.axes == [axes]
    figure, _ = plots.new_figure(width=4.0, title="word " * 40)
    assert max(map(len, figure.get_suptitle().splitlines())) <= 52


def curves(**more):
    rows = [
        {"step": 3, "train_loss": 2.0, "validation_loss": 1.5, "validation_accuracy": 0.5},
        {"step": 6, "train_loss": 1.0, "validation_loss": 0.5, "validation_accuracy": 0.9},
        {"step": 9, "train_loss": 0.5, "validation_loss": 0.7, "validation_accuracy": 0.8},
    ]
    rows = [row | {"validation_n": 31} | more for row in rows]
    return plots.curves(rows, best=rows[1], title="t")


def lines(axes):
    return {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines}


def test_curves_show_loss_and_accuracy_against_steps_and_keep_crops_apart():
    loss, accuracy = curves().axes
    assert lines(loss) == {
        "training, augmented": [[3, 2], [6, 1], [9, 0.5]],
        "validation": [[3, 1.5], [6, 0.5], [9, 0.7]],
    }
    drawn = lines(accuracy)
    assert drawn["validation (n=31)"] == [[3, 50], [6, 90], [9, 80]]
    assert drawn["best: 90.0 % at step 6"] == [[6, 90]]
    assert loss.get_ylabel() == "cross-entropy (nats)"
    assert accuracy.get_ylabel() == "accuracy (%)"
    assert loss.get_xlabel() == accuracy.get_xlabel() == "optimizer step"
    _, accuracy = curves(crop_loss=1.0, crop_accuracy=0.7, crop_n=29).axes
    assert lines(accuracy)["validation, crops (n=29)"] == [[3, 70], [6, 70], [9, 70]]


def test_attention_panels_share_the_time_axis_of_the_spectrogram():
    panels = [
        plots.Panel(name="matrix", values=torch.rand(5, 5), ylabel="query (s)", height=0.7),
        plots.Panel(name="pooling", values=torch.tensor([0.25, 0.75])),
    ]
    figure = plots.attention(torch.randn(70, 11), panels, title="t")
    received, matrix, pooling = (axes for axes in figure.axes if axes.get_title(loc="left"))
    assert matrix.images[0].get_extent() == [0, pytest.approx(0.7), 0, 0.7]
    assert np.allclose(lines(pooling).popitem()[1], [[0.175, 25], [0.525, 75]])
    assert received.get_xlim() == matrix.get_xlim() == pooling.get_xlim()
    assert pooling.get_xlabel() == "time (s)"
    assert (matrix.get_ylabel(), pooling.get_ylabel()) == ("query (s)", "weight (%)")


@pytest.mark.parametrize(
    ("shell", "expected"),
    [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)],
    ids=["none", "a terminal's", "a notebook's"],
)
def test_a_shell_with_a_kernel_is_a_notebook(monkeypatch, shell, expected):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is expected
