"""What a training shows, on a terminal and elsewhere; and how signals are caught."""

import signal
import sys
import threading

import pytest

from kws.training.progress import CatchSignals, Progress, Terminated

ROW = {
    "step": 5,
    "epoch": 1.0,
    "lr": 0.01,
    "train_loss": 1.5,
    "train_accuracy": 0.75,
    "validation_accuracy": 0.875,
    "crop_accuracy": 0.5,
}


def show(progress: Progress) -> None:
    progress.advance()
    progress.show_loss(1.25, 0.01)
    progress.show_validation(ROW, rate=1234.5, left=83.0)
    progress.close()


def test_there_is_a_bar_on_a_terminal_and_a_line_per_validation_elsewhere(capsys, monkeypatch):
    show(Progress(10, 4, True))
    captured = capsys.readouterr()
    expected = (
        "step 5/10, epoch 1: loss 1.500, lr 1.0e-02, train 75.0 %, validation 87.5 %, "
        "crop 50.0 %, 1,234/s, 01:23 left\n"
    )
    assert (captured.out, captured.err) == (expected, "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show(Progress(10, 4, True))
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.split("\r")[-1]
    assert "5/10" in last
    for text in ("loss=1.250", "lr=1.0e-02", "train=75.0 %", "validation=87.5 %", "1,234/s"):
        assert text in last
    show(Progress(10, 4, False))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_the_first_signal_is_caught_and_the_second_acts(number, error):
    previous = signal.signal(number, signal.default_int_handler)
    try:
        with CatchSignals() as signals:
            assert not signals.caught
            signal.raise_signal(number)
            assert (signals.caught, type(signals.error())) == (number, error)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, previous)


def test_what_is_ignored_stays_ignored_and_nothing_is_installed_outside_the_main_thread():
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with CatchSignals() as signals:
            signal.raise_signal(signal.SIGINT)
            assert not signals.caught
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
    found = []

    def read():
        with CatchSignals():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
