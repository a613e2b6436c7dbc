"""Spoken strings: what is said, when, and by whom."""

from collections import defaultdict

import numpy as np
import pytest

from kws.cli import run
from kws.data.embedded import strings
from kws.data.embedded.espeak import Utterance, speak, speak_with_events
from kws.data.transcripts import read_transcripts
from kws.errors import UsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strings") / "made"
    return strings.make_strings(folder, speakers=10, strings=2, progress=False)


def test_events_change_no_sample_and_tell_every_word(tmp_path):
    output = [Utterance(text="seven three one.", rate=150, pitch=50, range=50)] * 2
    plain = speak("gmw/en-US", "", output, seed=3, scratch=tmp_path)
    messages = speak_with_events("gmw/en-US", "", output, seed=3, scratch=tmp_path)
    for samples, (again, events) in zip(plain, messages, strict=True):
        assert np.array_equal(samples, again)
        starts = [event.sample for event in events if event.kind == "word"]
        assert len(starts) == 3
        assert starts == sorted(starts)
        assert [e.phoneme for e in events if e.kind == "phoneme"][:2] == ["s", "'E"]
        assert events[-1].kind == "end"
        assert events[-1].sample <= len(samples)


def test_each_voice_is_of_one_split_and_says_its_strings(made):
    rows = read_transcripts(made)
    assert len(rows) == 20
    splits = defaultdict(set)
    for row in rows:
        splits[row.speaker].add(row.split)
        words = row.text.split()
        assert 2 <= len(words) <= 5
        assert set(words) <= set(strings.DIGITS)
        assert len(row.starts) == len(words)
    assert all(len(found) == 1 for found in splits.values())
    assert {row.split for row in rows} == {"training", "validation", "testing"}


def test_the_same_seed_makes_the_same_bytes_and_is_found_again_by_the_command(
    made, tmp_path, capsys
):
    again = strings.make_strings(tmp_path / "again", speakers=10, strings=2, progress=False)
    for row in read_transcripts(made):
        assert (made / row.file).read_bytes() == (again / row.file).read_bytes()
    before = (made / strings.RECORD).stat().st_mtime_ns
    assert strings.make_strings(made, speakers=10, strings=2) == made
    assert (made / strings.RECORD).stat().st_mtime_ns == before
    assert run(["data", "strings", str(made), "--speakers", "10", "--strings", "2"]) == 0
    assert capsys.readouterr().out.endswith("made: 20 recordings, is there already\n")
    assert run(["data", "strings", str(made), "--speakers", "11", "--strings", "2"]) == 2
    assert "it differs in speakers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speakers": 9}, "speakers=9 leaves a split empty"),
        ({"strings": 0}, "strings=0"),
        ({"words": []}, "no words"),
        ({"words": ["two words"]}, "'two words' cannot be a word"),
    ],
)
def test_what_cannot_be_made_is_refused(options, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        strings.make_strings(tmp_path / "x", **options)
