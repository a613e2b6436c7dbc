"""Recordings of people: what is divided, and a whole assignment on them, from the folder to points.

Small embedded corpora in the real layouts stand for them.
"""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from grader import ROOT
from grader.core import seed as secrets
from grader.core.seed import Seed
from grader.course.hidden import keywords, speech
from grader.course.hold_out import COURSE, HELD_OUT, hold_out
from grader.course.probes import retraining
from grader.course.targets import definitions
from kws.data import course_data
from kws.data.listing import NOISE_FOLDER, read_listing
from kws.data.own_words import speaker_of
from kws.data.speaker_layout import METADATA, read_mapping, read_metadata
from kws.data.speakers import load_speakers
from kws.errors import UsageError


@pytest.fixture(scope="module")
def divided(tiny_corpus, tiny_speakers, tmp_path_factory):
    out = tmp_path_factory.mktemp("people") / "divided"
    return hold_out(out, words=tiny_corpus, speakers=tiny_speakers)


@pytest.fixture
def people(divided, monkeypatch):
    """The profile of recordings of people, on both sides."""
    monkeypatch.setenv(course_data.VARIABLE, str(divided / COURSE))
    monkeypatch.setenv(secrets.RECORDINGS, str(divided / HELD_OUT))
    caches = (speech.speak, keywords.speak, retraining._speakers, retraining._words)
    for cache in caches:
        cache.cache_clear()
    yield divided
    for cache in caches:
        cache.cache_clear()


def test_no_speaker_of_held_out_words_is_among_the_students(divided, tiny_corpus):
    course, kept = (read_listing(divided / side / "words") for side in (COURSE, HELD_OUT))
    assert not {speaker_of(n) for n in course.names} & {speaker_of(n) for n in kept.names}
    assert set(kept.splits) == {"testing"}
    source = read_listing(tiny_corpus)
    assert sorted([*course.names, *kept.names]) == source.names
    before = dict(zip(source.names, source.splits, strict=True))
    assert all(before[n] == split for n, split in zip(course.names, course.splits, strict=True))
    for side in (COURSE, HELD_OUT):
        assert any((divided / side / "words" / NOISE_FOLDER).iterdir())


def test_every_speaker_has_utterances_on_both_sides_and_none_twice(divided, tiny_speakers):
    course, kept = (load_speakers(divided / side / "speakers") for side in (COURSE, HELD_OUT))
    assert course.speakers == kept.speakers
    assert course.test is not None
    assert kept.test is None
    for split in (course.train, course.validation, course.test, kept.train):
        assert set(split.labels.tolist()) == set(range(len(course.speakers)))
    splits = (course.train, course.validation, course.test, kept.train, kept.validation)
    names = [name for split in splits for name in split.names]
    speakers = read_mapping(tiny_speakers / "mapping.json")
    _, output = read_metadata(tiny_speakers / METADATA, speakers)
    assert sorted(names) == sorted(one.name for one in output)


def test_dividing_again_gives_the_same(divided, tiny_corpus, tiny_speakers, tmp_path):
    again = hold_out(tmp_path / "again", words=tiny_corpus, speakers=tiny_speakers)
    for table in ("words/testing_list.txt", f"speakers/{METADATA}"):
        for side in (COURSE, HELD_OUT):
            assert (again / side / table).read_bytes() == (divided / side / table).read_bytes()


def test_hidden_examples_are_those_that_were_held_out(people):
    mels, labels = speech.speaker_utterances(Seed("one"))
    kept = load_speakers(people / HELD_OUT / "speakers", validation=0.0).train
    assert len(mels) == len(kept)
    assert labels.tolist() == kept.labels.tolist()
    assert speech.num_speakers() == 6
    mel, words = keywords.word_clips(Seed("one"))
    other, _ = keywords.word_clips(Seed("other"))
    assert len(mel) == len(words) > 10
    assert mel.shape != other.shape or not torch.equal(mel, other)
    assert secrets.hidden("03", "clips") == "held-out clips of people"


def test_the_bounds_of_people_are_published_ones_on_both_sides(people):
    for variable in (course_data.VARIABLE, secrets.RECORDINGS):
        found = course_data.bounds("03", full=0.95, none=0.5, variable=variable)
        assert found == {"full": 0.66, "none": 0.1}
    assert course_data.bounds("06", full=0.83, none=0.45)["full"] == 0.83
    assert secrets.held_out_digest("03") != secrets.held_out_digest("05") != ""
    assert secrets.held_out_digest("02") == ""


def test_without_people_nothing_changes_and_a_variable_must_name_such_a_folder(
    tmp_path, monkeypatch
):
    assert course_data.bounds("03", full=0.95, none=0.5) == {"full": 0.95, "none": 0.5}
    assert secrets.held_out_digest("03") == ""
    assert secrets.hidden("05", "clips") == "hidden clips"
    monkeypatch.setenv(course_data.VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=r"KWS_COURSE=.*unset the variable"):
        course_data.course_words()


def test_what_cannot_be_divided_is_refused_and_nothing_is_left(tmp_path, tiny_speakers):
    with pytest.raises(UsageError, match="give --words FOLDER"):
        hold_out(tmp_path / "out", words=None, speakers=None)
    folder = tmp_path / "few"
    folder.mkdir()
    for name in ("mapping.json", METADATA):
        text = (tiny_speakers / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    table = json.loads((folder / METADATA).read_text())
    first = min(table["speakers"])
    with pytest.raises(UsageError, match=r"uttr-.*no such file"):
        hold_out(tmp_path / "out", words=None, speakers=folder)
    table["speakers"][first] = table["speakers"][first][:3]
    (folder / METADATA).write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(UsageError, match=f"{first} has 3 utterances, 4 are needed"):
        hold_out(tmp_path / "out", words=None, speakers=folder)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(UsageError, match="something is there already"):
        hold_out(tmp_path / "out", words=None, speakers=tiny_speakers)


SHORT = {"steps": 40, "batch_size": 8, "crop_frames": 64, "lr": 2e-3, "warmup_steps": 4}
STEPS = {
    "03": SHORT | {"every": 20},
    "04": {"steps": 60, "lr": 2e-3},
    "05": {"steps": 40, "batch_size": 16, "lr": 1e-3, "warmup_steps": 4},
}
BUILD = {
    "03": lambda names: names["SpeakerClassifier"](len(names["data"].speakers)),
    "04": lambda names: names["SpeakerConformer"](40, len(names["data"].speakers)),
    "05": lambda names: names["small_model"](),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(BUILD))
def test_an_assignment_on_recordings_of_people(people, number, tmp_path):
    """Our answers, trained for some steps on the students' part, are graded on the other part."""
    names = definitions(number)
    model = BUILD[number](names)
    names["fit"](model, **STEPS[number])
    folder = tmp_path / "class" / "ada"
    folder.mkdir(parents=True)
    stem = names["__name__"]
    save_file(model.state_dict(), folder / f"{stem}.safetensors")
    source = (ROOT / "solutions" / f"{stem}.py").read_text(encoding="utf-8")
    (folder / f"{stem}.py").write_text(source, encoding="utf-8")
    graded = tmp_path / "graded"
    command = [sys.executable, "-m", "grader", "grade", folder.parent, "--out", graded]
    command += ["--workers", "1", *(["--retrain"] if number == "03" else [])]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (report,) = (graded / "reports").rglob("*.json")
    checks = {one["id"]: one for one in json.loads(report.read_text())["checks"]}
    (accuracy,) = (one for key, one in checks.items() if key.endswith("-accuracy"))
    assert "of people" in json.dumps(accuracy)
    assert accuracy["reason"] not in ("fault", "open")
