"""Which file answers which assignment, which weights go with it, and what is said otherwise."""

import hashlib
import json

import pytest

from grader.submission import read_submissions
from kws.errors import UsageError
from tests.grader.submission.conftest import (
    ATTEND,
    BLANK,
    CATALOG,
    cell,
    dump,
    is_right,
    make_notebook,
    run,
)

POOL = "def pool(x):\n    return sum(x) / len(x)"


def speakers(source: str = POOL, **metadata) -> bytes:
    return json.dumps({"cells": [cell("code", source)], "metadata": metadata}).encode()


def put(folder, name: str, data: bytes):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def read(path, assignment=None):
    return read_submissions(path, assignment, catalog=CATALOG)


# Which assignment


@pytest.mark.parametrize(
    "name",
    [
        "03_speakers.ipynb",
        "03_speakers-Copy1.ipynb",
        "anna_03_Speakers_final (2).ipynb",
        "Speakers.ipynb",
        "3.ipynb",
        "03/notebook.ipynb",
        "Assignment 3.ipynb",
        "homework-03.ipynb",
    ],
)
def test_the_name_tells_the_assignment(tmp_path, name):
    put(tmp_path, name, speakers("x = 3"))
    assert [each.assignment for each in read(tmp_path)] == ["03"]


def test_the_metadata_tell_when_the_name_does_not(tmp_path):
    path = put(tmp_path, "work.ipynb", speakers("x = 3", kws={"assignment": "03"}))
    assert [each.assignment for each in read(path)] == ["03"]


def test_the_definitions_tell_when_nothing_else_does(tmp_path):
    path = put(tmp_path, "work.ipynb", speakers())
    assert [each.assignment for each in read(path)] == ["03"]


def test_definitions_outweigh_a_name_that_fits_none_of_them(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", dump(make_notebook()))
    assert [each.assignment for each in read(path)] == ["02"]


def test_the_number_of_a_students_folder_is_no_assignment(tmp_path):
    folder = put(tmp_path, "3/work.ipynb", dump(make_notebook())).parent
    assert [each.assignment for each in read(folder)] == ["02"]


def test_each_assignment_found_is_a_submission_sorted(tmp_path):
    put(tmp_path, "a/03_speakers.ipynb", speakers())
    put(tmp_path, "b/02_attention.ipynb", dump(make_notebook()))
    assert [each.assignment for each in read(tmp_path)] == ["02", "03"]


def test_one_assignment_can_be_asked_for(tmp_path):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "02_attention.ipynb", dump(make_notebook()))
    (submission,) = read(tmp_path, "2")
    assert is_right(run(submission))


def test_the_one_asked_for_is_there_even_when_nothing_was_handed_in(tmp_path):
    put(tmp_path, "02_attention.ipynb", dump(make_notebook()))
    (submission,) = read(tmp_path, "03")
    assert (submission.assignment, submission.pieces) == ("03", ())
    assert "no answer to this assignment was found" in submission.repairs[-2]
    assert submission.repairs[-1] == "02_attention.ipynb answers assignment 02"
    assert submission.unread == "02_attention.ipynb answers assignment 02"


def test_a_notebook_that_nothing_tells_apart_answers_what_was_asked(tmp_path):
    put(tmp_path, "work.ipynb", speakers("x = 3"))
    (submission,) = read(tmp_path, "03")
    assert [piece.source for piece in submission.pieces] == ["x = 3"]


@pytest.mark.parametrize("name", ["x.ipynb", "x.zip", "x.py", "x.docx", "photo.jpg"])
def test_a_file_that_tells_nothing_is_a_submission_without_pieces_and_a_reason(tmp_path, name):
    path = put(tmp_path, name, b"")
    (submission,) = read(path)
    assert (submission.assignment, submission.pieces) == ("", ())
    assert "hand in the .ipynb file" in submission.repairs[-1]


def test_an_empty_folder_is_a_submission_without_pieces_and_a_reason(tmp_path):
    (submission,) = read(tmp_path)
    assert (submission.assignment, submission.pieces) == ("", ())


def test_an_empty_notebook_keeps_its_assignment(tmp_path):
    (submission,) = read(put(tmp_path, "02_attention.ipynb", b""))
    assert (submission.assignment, submission.pieces) == ("02", ())
    assert submission.unread.startswith("02_attention.ipynb could not be read")


def test_a_path_that_does_not_exist_is_the_callers_fault(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.ipynb does not exist"):
        read(tmp_path / "nothing.ipynb")


def test_an_assignment_that_does_not_exist_is_the_callers_fault(tmp_path):
    with pytest.raises(UsageError, match="choose one of 02, 03"):
        read(tmp_path, "7")


# Which file


def test_the_file_that_answers_more_counts(tmp_path):
    blank = make_notebook()
    blank["cells"][2] = cell("code", BLANK)
    put(tmp_path, "02_attention.ipynb", dump(blank))
    put(tmp_path, "z/02_attention_final.ipynb", dump(make_notebook()))
    (submission,) = read(tmp_path)
    assert is_right(run(submission))


def test_of_files_that_answer_alike_the_notebook_with_the_right_name_counts(tmp_path):
    put(tmp_path, "02_attention.py", b"import math\nSCALE = 3\n\n\n" + ATTEND.encode())
    other = make_notebook()
    other["cells"].append(cell("code", "OTHER = 1"))
    put(tmp_path, "02_attention (1).ipynb", dump(other))
    put(tmp_path, "02_attention.ipynb", dump(make_notebook()))
    (submission,) = read(tmp_path)
    assert "OTHER" not in run(submission)
    assert "and not 02_attention (1).ipynb, 02_attention.py" in submission.repairs[-1]


# Weights


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "03_speakers.safetensors",
        "03_best.safetensors",
        "3.safetensors",
        "03/model.safetensors",
        "03_speakers/model.safetensors",
        "runs/model.safetensors",
    ],
)
def test_weights_are_found(tmp_path, name):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, name, b"weights")
    assert read(tmp_path)[0].weights == b"weights"


@pytest.mark.parametrize(
    "name", ["04/model.safetensors", "04_x.safetensors", "my_conformer.safetensors"]
)
def test_the_weights_of_others_are_left_alone(tmp_path, name):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, name, b"weights")
    assert read(tmp_path)[0].weights is None


def test_the_only_weights_are_taken_whatever_their_name_and_told(tmp_path):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "speaker_best.safetensors", b"weights")
    (submission,) = read(tmp_path)
    assert submission.weights == b"weights"
    told = "speaker_best.safetensors was taken for the weights: call them 03_speakers.safetensors"
    assert told in submission.repairs


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.safetensors", "b.safetensors"], "as a.safetensors, b.safetensors may all be meant"),
        (["best.pt"], "best.pt was not read, as it could run code: save it with safetensors."),
        (["03_speakers.PTH"], "03_speakers.PTH was not read"),
    ],
)
def test_weights_that_cannot_be_taken_are_told_with_the_cure(tmp_path, names, words):
    put(tmp_path, "03_speakers.ipynb", speakers())
    for name in names:
        put(tmp_path, name, b"weights")
    (submission,) = read(tmp_path)
    assert submission.weights is None
    assert words in submission.repairs[-1]


@pytest.mark.parametrize(
    "other", ["model", "03_best", "03-old", "03", "03_a", "3", "speaker_best", "runs/03_speakers"]
)
def test_weights_named_for_the_assignment_come_first(tmp_path, other):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, f"{other}.safetensors", b"some")
    put(tmp_path, "03_speakers.safetensors", b"mine")
    (submission,) = read(tmp_path)
    assert submission.weights == b"mine"
    assert not any("taken for the weights" in repair for repair in submission.repairs)


def test_which_of_several_weights_were_taken_is_told(tmp_path):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "03_best.safetensors", b"first")
    put(tmp_path, "model.safetensors", b"second")
    (submission,) = read(tmp_path)
    assert submission.weights == b"first"
    told = "03_best.safetensors was taken for the weights, and not model.safetensors: call them"
    assert any(repair.startswith(told) for repair in submission.repairs)


def test_weights_beside_a_lone_notebook_are_found(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "model.safetensors", b"weights")
    assert read(path)[0].weights == b"weights"


@pytest.mark.parametrize(
    ("notebook", "beside", "found"),
    [
        ("03_speakers.ipynb", ["03_best"], "03_best"),
        ("03_speakers.ipynb", ["3_mallory", "03_speakers"], "03_speakers"),
        ("03_speakers.ipynb", ["03_speakers", "03"], "03_speakers"),
        ("alice.ipynb", ["03_", "3_mallory", "alice"], "alice"),
        ("alice.ipynb", ["03_", "model"], "model"),
        ("alice_03_speakers.ipynb", ["3_mallory"], None),
        ("alice_03_speakers.ipynb", ["bob_03_speakers"], None),
        ("03_speakers.ipynb", ["03_best", "3_mallory"], None),
    ],
)
def test_weights_beside_a_lone_notebook_count_where_they_can_be_no_others(
    tmp_path, notebook, beside, found
):
    path = put(tmp_path, notebook, speakers())
    for name in beside:
        put(tmp_path, f"{name}.safetensors", name.encode())
    assert read(path)[0].weights == (found and found.encode())


def test_weights_that_nobody_can_tell_apart_are_told(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "03_a.safetensors", b"a")
    put(tmp_path, "03_b.safetensors", b"b")
    assert "call the right one 03_speakers.safetensors" in read(path)[0].repairs[-1]


def test_an_assignment_without_weights_gets_none(tmp_path):
    put(tmp_path, "02_attention.ipynb", dump(make_notebook()))
    put(tmp_path, "model.safetensors", b"weights")
    assert read(tmp_path)[0].weights is None


def test_weights_that_are_too_large_are_left_out_and_told(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", speakers())
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate((64 << 20) + 1)
    for where in (path, tmp_path):
        (submission,) = read(where)
        assert submission.weights is None
        assert "model.safetensors is larger than 64 MiB and was not read" in submission.repairs


# Text and digest


def test_the_text_holds_all_code_and_says_where_it_stands(tmp_path):
    notebook = make_notebook()
    notebook["cells"][0]["source"] += "\nimport secret"
    (submission,) = read(put(tmp_path, "02_attention.ipynb", dump(notebook)))
    assert "# cell 3\nSCALE = " in submission.text
    assert ATTEND.partition("\n\n\n")[2] in submission.text
    assert "training ran" in submission.text
    assert "secret" not in submission.text


def test_the_digest_is_of_bytes_and_not_of_names(tmp_path):
    one = put(tmp_path, "02_attention.ipynb", dump(make_notebook()))
    two = put(tmp_path, "b/other.ipynb", dump(make_notebook()))
    three = put(tmp_path, "c/02_attention.ipynb", dump(make_notebook()) + b" ")
    digests = [read(path)[0].digest for path in (one, two, three)]
    assert digests[0] == digests[1] != digests[2]
    assert len(bytes.fromhex(digests[0])) == hashlib.sha256().digest_size


def test_the_digest_covers_the_weights(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", speakers())
    digests = set()
    for weights in (b"one", b"two"):
        put(tmp_path, "model.safetensors", weights)
        digests.add(read(path)[0].digest)
    assert len(digests) == 2


def test_reading_twice_gives_the_same(tmp_path):
    put(tmp_path, "02_attention.ipynb", dump(make_notebook()))
    put(tmp_path, "copy.ipynb", dump(make_notebook()))
    assert read(tmp_path) == read(tmp_path)
