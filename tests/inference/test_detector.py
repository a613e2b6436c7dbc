"""When posteriors become events."""

import pytest

from kws.errors import UsageError
from kws.inference.detector import Detector, Event, Trigger, parse_trigger
from tests.conftest import data_beside

LABELS = ("_silence_", "_unknown_", "ja", "nein")
SILENCE, OTHER = (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0)
JA, NEIN = (0.0, 0.0, 0.9, 0.1), (0.0, 0.0, 0.2, 0.8)
PLAIN = {"smooth_ms": 100, "in_a_row": 1, "refractory_ms": 0}


def received(rows, **settings) -> list[Event]:
    detector = Detector(LABELS, Trigger(**{**PLAIN, **settings}))
    found = [detector.push(1 + i / 10, row) for i, row in enumerate(rows)]
    return [event for event in found if event]


def test_an_event_has_the_time_the_word_and_the_score_by_the_threshold():
    assert received([SILENCE, JA, OTHER, NEIN]) == [
        Event(time=1.1, word="ja", score=0.9),
        Event(time=1.3, word="nein", score=0.8),
    ]
    assert len(received([NEIN], threshold=0.8)) == 1
    assert received([NEIN], threshold=0.81) == []
    assert received([SILENCE, OTHER], threshold=0.01, smooth_ms=100) == []


def test_the_score_is_the_mean_of_the_last_hops_of_as_many_as_there_are():
    assert received([JA], smooth_ms=300)[0].score == pytest.approx(0.9)
    (event,) = received([SILENCE, SILENCE, JA], smooth_ms=300, threshold=0.3)
    assert event.score == pytest.approx(0.3)
    rows = [JA, SILENCE, SILENCE, SILENCE, JA]
    found = received(rows, smooth_ms=200, threshold=0.45)
    assert [event.time for event in found] == [1.0, 1.1, 1.4]


def test_several_in_a_row_of_one_word_and_after_an_event_it_rests():
    rows = [JA, JA, NEIN, JA, JA, SILENCE, JA, JA, JA]
    assert [event.time for event in received(rows, in_a_row=3)] == [pytest.approx(1.8)]
    assert len(received(rows, in_a_row=2)) == 3
    rows = [JA] * 10
    assert [event.time for event in received(rows, refractory_ms=400)] == [1.0, 1.4, 1.8]
    assert [event.time for event in received(rows, refractory_ms=400, in_a_row=6)] == [1.5]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_hops_that_a_slow_device_leaves_out_change_the_time_by_less_than_they_took(step):
    trigger = Trigger()
    detector = Detector(LABELS, trigger)
    rows = [SILENCE] * 6 + [JA] * 12 + [SILENCE] * 12 + [NEIN] * 12
    times = range(0, len(rows), step)
    found = [event for i in times if (event := detector.push(1 + i / 10, rows[i]))]
    assert (detector.highest.word, detector.highest.score) == ("ja", pytest.approx(0.9))
    whole = received(rows, **vars(trigger))
    assert [event.word for event in found] == [event.word for event in whole] == ["ja", "nein"]
    assert all(abs(a.time - b.time) <= 0.1 * step for a, b in zip(found, whole, strict=True))


def test_a_trigger_reads_what_it_prints_and_needs_words():
    trigger = Trigger(threshold=0.85, in_a_row=2, smooth_ms=300)
    assert parse_trigger(str(trigger)) == trigger
    assert parse_trigger("") == Trigger()
    with pytest.raises(UsageError, match="no words among"):
        Detector(("_silence_", "_unknown_"), Trigger())


@pytest.mark.parametrize(("text", "messages"), data_beside(__file__)["refused"])
def test_a_wrong_trigger_is_told(text, messages):
    with pytest.raises(UsageError, match=messages):
        parse_trigger(text)
