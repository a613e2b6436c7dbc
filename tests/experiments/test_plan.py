"""Which runs a command line asks for."""

import json
import shutil
from dataclasses import replace

import pytest

from experiments.plan import Job, chosen_recipes, find_source, parse_seeds, plan, recipe_of
from kws.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("3", [3]), ("7,0-1, 1", [0, 1, 7])]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds
    for wrong in ("", "4-0", "-1", "a", "1;2", "0-"):
        with pytest.raises(UsageError, match="--seeds"):
            parse_seeds(wrong)


def test_all_is_every_recipe_of_every_group(recipes):
    words = [("words", name) for name in ("diverges", "gru", "slow-gru")]
    others = [("strings", "speller"), ("voices", "transformer")]
    assert chosen_recipes("all") == [*others, *words]
    assert chosen_recipes("words") == words
    assert chosen_recipes("words", ["gru"]) == [("words", "gru")]
    for group, names, sentence in (
        ("wards", [], "did you mean 'words'"),
        ("words", ["gry"], "did you mean 'gru'"),
        ("all", ["gru"], "name the group"),
    ):
        with pytest.raises(UsageError, match=sentence):
            chosen_recipes(group, names)


def test_people_count_under_the_protocol_of_the_recipe_and_synthetic_voices_under_their_own(
    make_job, tiny_corpus, tmp_path
):
    assert recipe_of(make_job()).data.protocol == "embedded-12"
    folder = shutil.copytree(tiny_corpus, tmp_path / "people")
    (folder / "speakers.json").unlink()  # the file that says how it was made
    assert recipe_of(make_job(data=folder)).data.protocol == "v2-12"


def test_a_full_run_never_takes_the_place_of_a_short_one_and_crosses_as_json(make_job):
    short, full = make_job(), make_job(full=True)
    assert [recipe_of(job).train.epochs for job in (short, full)] == [1, 20]
    assert short.path != full.path
    assert short.run_folder != full.run_folder
    assert replace(full, group="voices", name="transformer").path.stem == "transformer-seed0"
    job = make_job("slow-gru", seed=3, keep=True)
    assert Job.of(json.loads(json.dumps(job.as_dict()))) == job


@pytest.mark.usefixtures("recipes")
def test_seeds_come_before_recipes(tiny_corpus):
    options = {"full": False, "out": "o", "runs": "r"}
    jobs, _ = plan(chosen_recipes("words"), [0, 1], str(tiny_corpus), **options)
    assert [(job.seed, job.name) for job in jobs[:4]] == [
        (0, "diverges"), (0, "gru"), (0, "slow-gru"), (1, "diverges"),
    ]  # fmt: skip


@pytest.mark.usefixtures("recipes")
def test_recipes_of_other_tasks_are_left_out_in_words(tiny_corpus, tiny_speakers, transcripts):
    options = {"full": False, "out": "o", "runs": "r"}
    jobs, left_out = plan(chosen_recipes("all"), [0], str(tiny_corpus), **options)
    assert {job.group for job in jobs} == {"words"}
    tasks = {"strings/speller": "transcription", "voices/transformer": "speakers"}
    assert [line.partition(", ")[0] for line in left_out] == [
        f"{name}: about {task}" for name, task in tasks.items()
    ]
    for data in (tiny_speakers, transcripts):
        with pytest.raises(UsageError, match="words/gru: about keywords"):
            plan([("words", "gru")], [0], str(data), **options)


def test_other_data_have_another_identity(tiny_corpus, tmp_path):
    before = find_source(str(tiny_corpus), "keywords")
    copy = shutil.copytree(tiny_corpus, tmp_path / tiny_corpus.name)
    assert find_source(str(copy), "keywords").identity == before.identity
    next((copy / "yes").glob("*.wav")).rename(copy / "yes" / "new_nohash_0.wav")
    for name in ("validation_list.txt", "testing_list.txt"):
        (copy / name).unlink()
    assert find_source(str(copy), "keywords").identity != before.identity


def test_questions_are_asked_of_many_voices(monkeypatch, tiny_corpus):
    """The corpus itself takes minutes: what is asked for is what counts."""
    wanted = {}

    def make(out, **settings):
        wanted[out.name] = settings
        return tiny_corpus

    monkeypatch.setattr("experiments.plan.make_corpus", make)
    source = find_source("embedded", "keywords", "questions")
    assert source is not None
    assert source.name == "embedded-480"
    assert wanted == {"course-words-480": {"speakers": 480, "repetitions": 1}}
