"""What a job reads: its own files, under their names, and nothing that lies beside them."""

from types import SimpleNamespace

import pytest

from grader.adapters import ASSIGNMENTS
from grader.batch import job
from grader.core.seed import Seed
from grader.grading.checks import checks_digest
from grader.submission import read_submissions

CODE = "class KeywordTransformer:\n    pass\n"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "alice_05_keyword_transformer.py").write_text(CODE)
    for name in ("5_mallory", "05_", "model", "05_keyword_transformer"):
        (folder / f"{name}.safetensors").write_bytes(b"another's")
    return folder


def staged(tmp_path, *files):
    own = tmp_path / "own"
    own.mkdir(exist_ok=True)
    return job.staged([[name, str(path)] for name, path in files], own)


def test_a_lone_file_has_nothing_of_the_class_beside_it(inbox, tmp_path):
    path = inbox / "alice_05_keyword_transformer.py"
    place = staged(tmp_path, (path.name, path))
    assert (place.name, place.read_text()) == (path.name, CODE)
    assert [each.name for each in place.parent.iterdir()] == [path.name]
    (submission,) = read_submissions(place, "05")
    assert submission.text
    assert submission.weights is None


def test_files_of_one_student_are_read_together_under_their_names_and_a_folder_where_it_is(
    inbox, tmp_path
):
    mine = inbox / "alice.safetensors"
    mine.write_bytes(b"mine")
    code = inbox / "alice_05_keyword_transformer.py"
    files = [("05_keyword_transformer.py", code), ("model.safetensors", mine)]
    (submission,) = read_submissions(staged(tmp_path, *files), "05")
    assert submission.weights == b"mine"
    (tmp_path / "alice").mkdir()
    assert staged(tmp_path, ("alice", tmp_path / "alice")) == tmp_path / "alice"


@pytest.mark.parametrize("name", ["..", ".", "../x", "/etc/x"])
def test_no_name_leads_out_of_the_job(tmp_path, inbox, name):
    path = inbox / "model.safetensors"
    assert staged(tmp_path, (name, path)).parent == tmp_path / "own"
    folder = tmp_path / "two"
    folder.mkdir()
    job.staged([[name, str(path)], ["b", str(path)]], folder)
    assert len(list(folder.iterdir())) == 2


def test_no_more_of_a_file_is_copied_than_shows_that_it_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "MAX_NOTEBOOK", 1 << 20)
    huge = tmp_path / "huge.safetensors"
    huge.write_bytes(bytes(4 << 20))
    folder = staged(tmp_path, ("a.safetensors", huge), ("b.safetensors", huge))
    assert {path.stat().st_size for path in folder.iterdir()} == {(1 << 20) + 1}


def test_only_a_report_on_the_same_work_checks_seed_and_tier_is_current(
    inbox, tmp_path, monkeypatch, report
):
    monkeypatch.setattr(job, "grade_one", lambda *_, **__: report)
    path, sandbox, seed = inbox / "alice_05_keyword_transformer.py", SimpleNamespace(), Seed()
    sandbox.isolation = "sealed"
    given = {"files": [[path.name, str(path)]], "assignment": "05", "student": "a"}

    def graded(number: int, *key: str) -> dict:
        own = tmp_path / f"{number}"
        own.mkdir()
        more = {"retrain": False, "have": {"05": key}}
        return job.grade_job({**given, **more}, sandbox, seed, own)[0]

    key = [graded(9)["digest"], checks_digest(ASSIGNMENTS["05"]), seed.id, "sealed"]
    assert graded(8, *key)["report"] is None
    for at in range(4):
        assert graded(at, *key[:at], "other", *key[at + 1 :])["report"] == report.to_json()
