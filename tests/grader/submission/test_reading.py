"""Which file answers which assignment, and which weights and helpers beside it count."""

import hashlib
import json
import sys

import pytest

from grader.course.mistakes.planted import as_notebook
from grader.submission import read_submissions
from kws.errors import UsageError
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import (
    ATTEND,
    BLANK,
    CATALOG,
    HEADS,
    IMPORTS,
    NOTEBOOK,
    cell,
    dump,
    is_right,
    make_notebook,
    run,
    steps_in_proportion,
    write,
)

CODE = code_beside(__file__)
POOL = "def pool(x):\n    return sum(x) / len(x)"


def speakers(source: str = POOL, **metadata) -> bytes:
    return json.dumps({"cells": [cell("code", source)], "metadata": metadata}).encode()


def put(folder, name: str, data: bytes):
    return write(folder, {name: data}) / name


def read(path, assignment=None):
    return read_submissions(path, assignment, catalog=CATALOG)


def content(text: str) -> bytes:
    """What the table says of a file."""
    number, found, source = text.rpartition(": ")
    source, metadata = POOL if source == "pool" else source, {"kws": {"assignment": number}}
    made = speakers(source, **(metadata if found else {}))
    return NOTEBOOK if text == "whole" else made


def test_a_notebook_of_another_assignment_needs_a_person(tmp_path):
    write(tmp_path, {"02_attention.ipynb": dump(as_notebook("03"))})  # it gives an EncoderLayer
    assert "answers assignment 03" in read_submissions(tmp_path, "02")[0].unread


@pytest.mark.parametrize("case", CODE["found"])
def test_name_metadata_or_definitions_say_which_assignment(tmp_path, case):
    files, assignments = CODE["found"][case].values()
    write(tmp_path, {name: content(text) for name, text in files.items()})
    assert [each.assignment for each in read(tmp_path)] == assignments


def test_the_number_of_a_students_folder_is_no_assignment(tmp_path):
    folder = put(tmp_path, "3/work.ipynb", NOTEBOOK).parent
    assert [each.assignment for each in read(folder)] == ["02"]


def test_one_assignment_can_be_asked_for(tmp_path):
    put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "02_attention.ipynb", NOTEBOOK)
    put(tmp_path, "model.safetensors", b"weights")
    (submission,) = read(tmp_path, "2")
    assert is_right(run(submission))
    assert submission.weights is None  # assignment 2 has none


def test_the_one_asked_for_is_there_even_when_nothing_was_handed_in(tmp_path):
    put(tmp_path, "02_attention.ipynb", NOTEBOOK)
    (submission,) = read(tmp_path, "03")
    assert (submission.assignment, submission.pieces) == ("03", ())
    assert "no answer to this assignment was found" in submission.repairs[-2]
    assert submission.repairs[-1] == submission.unread == "02_attention.ipynb answers assignment 02"


def test_a_notebook_that_nothing_tells_apart_answers_what_was_asked(tmp_path):
    put(tmp_path, "work.ipynb", speakers("x = 3"))
    (submission,) = read(tmp_path, "03")
    assert [piece.source for piece in submission.pieces] == ["x = 3"]


@pytest.mark.parametrize("name", ["", "x.ipynb", "x.zip", "x.py", "x.docx", "photo.jpg"])
def test_what_says_nothing_is_a_submission_without_pieces_and_a_reason(tmp_path, name):
    path = put(tmp_path, name, b"") if name else tmp_path
    (submission,) = read(path)
    assert (submission.assignment, submission.pieces) == ("", ())
    assert not name or "hand in the .ipynb file" in submission.repairs[-1]


def test_an_empty_notebook_keeps_its_assignment(tmp_path):
    (submission,) = read(put(tmp_path, "02_attention.ipynb", b""))
    assert (submission.assignment, submission.pieces) == ("02", ())
    assert submission.unread.startswith("02_attention.ipynb could not be read")


def test_a_path_or_assignment_that_does_not_exist_is_the_callers_fault(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.ipynb does not exist"):
        read(tmp_path / "nothing.ipynb")
    with pytest.raises(UsageError, match="choose one of 02, 03"):
        read(tmp_path, "7")


def test_the_file_that_answers_more_counts_and_reading_twice_gives_the_same(tmp_path):
    blank = make_notebook()
    blank["cells"][2] = cell("code", BLANK)
    put(tmp_path, "02_attention.ipynb", dump(blank))
    put(tmp_path, "z/02_attention_final.ipynb", NOTEBOOK)
    (submission,) = read(tmp_path)
    assert is_right(run(submission))
    put(tmp_path, "02_attention.ipynb", NOTEBOOK)
    put(tmp_path, "copy.ipynb", NOTEBOOK)
    assert read(tmp_path) == read(tmp_path)


def test_of_files_that_answer_alike_the_notebook_with_the_right_name_counts(tmp_path):
    put(tmp_path, "02_attention.py", b"import math\nSCALE = 3\n\n\n" + ATTEND.encode())
    other = make_notebook()
    other["cells"].append(cell("code", "OTHER = 1"))
    put(tmp_path, "02_attention (1).ipynb", dump(other))
    put(tmp_path, "02_attention.ipynb", NOTEBOOK)
    (submission,) = read(tmp_path)
    assert "OTHER" not in run(submission)
    assert "and not 02_attention (1).ipynb, 02_attention.py" in submission.repairs[-1]


@pytest.mark.parametrize("one", CODE["weights"], ids=lambda one: " ".join(one["files"]))
def test_weights_in_the_folder_are_those_of_the_assignment(tmp_path, one):
    names, says = one["files"], one.get("says")
    write(tmp_path, {"03_speakers.ipynb": speakers(), **{name: name for name in names}})
    (submission,) = read(tmp_path)
    assert submission.weights == (names[0].encode() if one.get("taken", True) else None)
    messages = [each for each in submission.repairs if (says or "taken for the weights") in each]
    assert bool(messages) == bool(says)


@pytest.mark.parametrize("one", CODE["beside"], ids=str)
def test_weights_beside_a_lone_notebook_count_where_they_can_be_no_others(tmp_path, one):
    path = put(tmp_path, one["notebook"], speakers())
    write(tmp_path, {f"{name}.safetensors": name for name in one["weights"]})
    assert read(path)[0].weights == (one["taken"].encode() if "taken" in one else None)


def test_weights_that_may_be_anybodys_are_not_taken(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", speakers())
    put(tmp_path, "03_a.safetensors", b"a")
    put(tmp_path, "03_b.safetensors", b"b")
    assert "call the right one 03_speakers.safetensors" in read(path)[0].repairs[-1]


def test_weights_that_are_too_large_are_left_out_and_told(tmp_path):
    path = put(tmp_path, "03_speakers.ipynb", speakers())
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate((64 << 20) + 1)
    for where in (path, tmp_path):
        (submission,) = read(where)
        assert submission.weights is None
        assert "model.safetensors is larger than 64 MiB and was not read" in submission.repairs


def test_the_text_holds_all_code_and_says_where_it_stands(tmp_path):
    notebook = make_notebook()
    notebook["cells"][0]["source"] += "\nimport secret"
    (submission,) = read(put(tmp_path, "02_attention.ipynb", dump(notebook)))
    assert "# cell 3\nSCALE = " in submission.text
    assert ATTEND.partition("\n\n\n")[2] in submission.text
    assert "training ran" in submission.text
    assert "secret" not in submission.text


def test_the_digest_is_of_the_bytes_of_notebook_and_weights_and_not_of_names(tmp_path):
    names = ("02_attention.ipynb", "b/other.ipynb", "c/02_attention.ipynb")
    for name, data in zip(names, (NOTEBOOK, NOTEBOOK, NOTEBOOK + b" "), strict=True):
        put(tmp_path, name, data)
    digests = [read(tmp_path / name)[0].digest for name in names]
    assert digests[0] == digests[1] != digests[2]
    assert len(bytes.fromhex(digests[0])) == hashlib.sha256().digest_size
    path = put(tmp_path, "d/03_speakers.ipynb", speakers())
    for weights in (b"one", b"two"):
        put(tmp_path, "d/model.safetensors", weights)
        digests.append(read(path)[0].digest)
    assert digests[-1] != digests[-2]


SCRIPT = f"{IMPORTS}\n\n\n{ATTEND}\n"


def notebook(*cells: str) -> bytes:
    return dump({"cells": [cell("code", source) for source in cells]})


def read_files(folder, files: dict):
    return read(write(folder, files), "02")[0]


def written(name: str, text: str) -> bytes:
    for word, source in (("IMPORTS", IMPORTS), ("ATTEND", ATTEND), ("HEADS", HEADS)):
        text = text.replace(word, source)
    return notebook(*text.split("\n# %%\n")) if name.endswith(".ipynb") else text.encode()


@pytest.mark.parametrize("case", CODE["answer"], ids=lambda one: one["property"])
def test_what_a_notebook_imports_from_beside_it_counts_and_is_told(tmp_path, case):
    files = {name: written(name, text) for name, text in case["files"].items()}
    submission = read_files(tmp_path, files)
    if case.get("right", True):
        assert is_right(run(submission))
    for message, expected in zip(submission.repairs, case["told"], strict=True):
        assert expected in message
    for name, count in case.get("pieces", {}).items():
        assert len([piece for piece in submission.pieces if name in piece.names]) == count


def with_helper(folder, *cells: str, script: str = SCRIPT, name: str = "my_attention.py"):
    return read_files(
        folder, {"02_attention.ipynb": notebook(IMPORTS, *cells, HEADS), name: script}
    )


def test_a_piece_of_a_helper_names_the_helper_and_the_digest_covers_it(tmp_path):
    submission = with_helper(tmp_path, "from my_attention import attend")
    (piece,) = (each for each in submission.pieces if each.names == ("attend",))
    assert (piece.where, piece.line) == ("my_attention.py", 9)
    assert "def attend" in submission.text
    files = [(tmp_path / name).read_bytes() for name in ("02_attention.ipynb", "my_attention.py")]
    covered = b"".join(len(data).to_bytes(8, "big") + data for data in files)
    assert submission.digest == hashlib.sha256(covered).hexdigest()


@pytest.mark.parametrize("name", ["math", "kws", "pytest", "json"])
def test_a_script_takes_no_librarys_place(tmp_path, name):
    imports = f"from {name} import attend"
    submission = with_helper(tmp_path, imports, script="attend = 3\n", name=f"{name}.py")
    sources = [piece.source for piece in submission.pieces if "attend" in piece.names]
    assert sources == [imports]


def test_whether_a_library_is_there_does_not_depend_on_where_the_grader_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert is_right(run(with_helper(tmp_path, "from my_attention import attend")))


def test_imports_of_scripts_of_one_name_are_followed_in_linear_time(tmp_path):
    imports = "".join(f"from a{m}.x import y\n" for m in range(50))

    def follow(share: float) -> None:
        files = {f"{n}/x.py": imports for n in range(round(64 * share))}
        files |= {"02_attention.ipynb": notebook("from x import y", HEADS)}
        read_files(tmp_path / str(share), files)

    assert steps_in_proportion(follow)


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("x = 3\n\n\ndef attend(q, k):\n    return (q\n", 4, "def attend(q, k):\n    return (q"),
        ("def attend(q:\n    return 1\n" * 3, 5, "def attend(q:\n    return 1"),  # the last
    ],
)
def test_a_definition_that_python_cannot_read_is_named_with_its_place(tmp_path, source, line, text):
    submission = read_files(tmp_path, {"02_attention.ipynb": notebook(source, HEADS)})
    (piece,) = (each for each in submission.pieces if each.names == ("attend",))
    assert (piece.where, piece.line, piece.source) == ("cell 1", line, text)
