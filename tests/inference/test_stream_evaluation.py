"""Misses and false alarms in long recordings."""

import math

import numpy as np
import pytest

from kws.data.streams import Spoken
from kws.inference.detector import Event, Trigger
from kws.inference.stream_evaluation import (
    AlarmRate,
    Scored,
    as_table,
    det_curve,
    match,
    misses_by_noise,
    score,
)

LABELS = ("_silence_", "_unknown_", "ja", "nein")
TRIGGER = Trigger(smooth_ms=100, in_a_row=1, refractory_ms=500)


def spoken(start: float, word: str = "ja", **more) -> Spoken:
    return Spoken(file="a.wav", start=start, end=start + 1, word=word, **more)


def event(time: float, word: str = "ja") -> Event:
    return Event(time=time, word=word, score=0.9)


@pytest.mark.parametrize(
    ("time", "found"), [(4.99, False), (5.0, True), (6.0, True), (6.75, True), (6.76, False)]
)
def test_an_event_counts_from_the_start_of_the_word_to_the_tolerance_after_its_end(time, found):
    missed, alarms = match([event(time)], [spoken(5.0)])
    assert (missed, alarms) == (([], []) if found else ([spoken(5.0)], [event(time)]))


def test_each_event_is_for_the_earliest_word_that_waits_once_within_the_tolerance():
    assert match([event(6.6), event(6.7)], [spoken(5.0), spoken(6.0)]) == ([], [])
    assert match([event(5.5, "nein")], [spoken(5.0)]) == ([spoken(5.0)], [event(5.5, "nein")])
    assert match([event(5.5), event(6.5)], [spoken(5.0)]) == ([], [event(6.5)])
    assert match([event(6.5)], [spoken(5.0)], tolerance_ms=400)[0]


def test_the_rate_has_the_exact_poisson_interval_even_of_none():
    # Garwood's interval of a count of 4, from tables of the chi-squared distribution
    rate = AlarmRate(count=4, hours=1.0)
    assert rate.low == pytest.approx(1.0899, abs=1e-4)
    assert rate.high == pytest.approx(10.2416, abs=1e-4)
    assert AlarmRate(count=0, hours=3.0).high == pytest.approx(math.log(20) / 3)
    assert AlarmRate(count=0, hours=3.0).low == 0


def recording() -> Scored:
    """ "ja" at 5 s with 0.9, "nein" at 10 s with 0.6, and "ja" at 20 s, when it was "jo"."""
    times = [1 + i / 10 for i in range(300)]
    rows = np.tile([1.0, 0.0, 0.0, 0.0], (300, 1))
    for seconds, index, share in ((5.5, 2, 0.9), (10.5, 3, 0.6), (20.0, 2, 0.8)):
        rows[round(10 * (seconds - 1))] = 0.0
        rows[round(10 * (seconds - 1)), index] = share
    truth = (spoken(5.0, ratio=13.0), spoken(10.0, "nein"))
    others = (spoken(19.2, "jo", clip="jo/1"), spoken(25.0, "jo", clip="jo/2"))
    where = {"file": "a.wav", "times": times, "posteriors": rows}
    return Scored(**where, truth=truth, others=others, seconds=1800.0)


def test_scores_are_counted_by_word():
    point = score([recording(), recording()], LABELS, TRIGGER)
    ja, nein = point.scores
    assert (ja.missed.correct, ja.missed.n, ja.alarms.count) == (0, 2, 2)
    assert (nein.missed.correct, nein.missed.n, nein.alarms.count) == (2, 2, 0)
    assert (point.total.missed.correct, point.total.missed.n) == (2, 4)
    assert point.total.alarms.hours == 1.0


def test_false_alarms_are_counted_by_other_word_by_clip_and_in_continuous_speech():
    point = score([recording(), recording()], LABELS, TRIGGER, speech=recording())
    assert (point.others.correct, point.others.n) == (2, 4), "said at 19.2 s, twice"
    assert (point.different.correct, point.different.n) == (1, 2), "the same clip"
    assert (point.total.alarms.count, point.once.count, point.speech.count) == (2, 1, 2)
    early = score([recording()], LABELS, TRIGGER, tolerance_ms=0)
    assert early.others.correct == 1, "within the clip"
    noise = misses_by_noise([recording()], LABELS, TRIGGER)
    assert [(name, share.correct, share.n) for name, share in noise] == [
        ("8 to 14 dB", 0, 1),
        ("no noise", 1, 1),
    ]


def test_the_curve_trades_misses_for_false_alarms_and_its_table_has_intervals():
    points = det_curve([recording()], LABELS, TRIGGER, thresholds=(0.5, 0.85, 0.95))
    assert [point.threshold for point in points] == [0.5, 0.7, 0.85, 0.95]
    assert [point.total.missed.correct for point in points] == [0, 1, 1, 2]
    assert [point.total.alarms.count for point in points] == [1, 1, 0, 0]
    points = det_curve([recording()], LABELS, TRIGGER, thresholds=())
    table = "\n".join(as_table(points, points[0]))
    for text in ("95 % interval", "nein", "100.0", "2.00", "0.7"):
        assert text in table
