"""The next kit in the same folder: nothing of the student's is lost, whatever the kit is like."""

import json
import zipfile

import pytest

from kws.errors import UsageError
from kws.files import zip_bytes
from kws.student import add_kit as module
from kws.student.add_kit import MANIFEST, add_kit, find_unfinished, manifest_of, read_kit

TODO = 'raise NotImplementedError("TODO 1.1")'


def notebook(source: str) -> bytes:
    cell = {"cell_type": "code", "metadata": {"kws": {"task": "1.1"}}, "source": source}
    return json.dumps({"cells": [cell]}).encode()


FIRST = {"assignments/01_a.ipynb": notebook(TODO), "kws/one.py": b"1", "README.md": b"old"}
SECOND = FIRST | {
    "assignments/02_b.ipynb": notebook(TODO),
    "kws/answer.py": b"answer to 01",
    "README.md": b"new",
}


def zipped(path, number: str, files: dict[str, bytes]):
    answers = {"01": ["kws/answer.py"]} if number == "02" else {}
    held = files | {MANIFEST: manifest_of(number, files, answers)}
    path.write_bytes(zip_bytes({f"kws-{number}/{name}": data for name, data in held.items()}))
    return path


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def course(tmp_path):
    """A folder with the first kit, and a notebook that the student answered."""
    folder = tmp_path / "kws-01"
    with zipfile.ZipFile(zipped(tmp_path / "kws-01.zip", "01", FIRST)) as archive:
        archive.extractall(tmp_path)
    (folder / "assignments/01_a.ipynb").write_bytes(notebook("answer"))
    return folder


@pytest.fixture
def second(tmp_path):
    return zipped(tmp_path / "kws-02.zip", "02", SECOND)


@pytest.mark.parametrize("unpacked", [False, True])
def test_the_next_kit_brings_notebooks_and_modules_and_keeps_answers(course, second, unpacked):
    if unpacked:
        with zipfile.ZipFile(second) as archive:
            archive.extractall(second.parent / "around")
        second = second.parent / "around"
    (course / "assignments/mine.txt").write_text("mine")
    added = add_kit(read_kit(second), course)
    assert added.new == ["assignments/02_b.ipynb", "kws/answer.py"]
    assert added.replaced == ["README.md", MANIFEST]
    assert added.kept == ["assignments/01_a.ipynb"]
    after = contents(course)
    assert after["assignments/01_a.ipynb"] == notebook("answer")
    assert after["assignments/mine.txt"] == b"mine"
    assert after["README.md"] == b"new"
    again = add_kit(read_kit(second), course)
    assert (again.new, again.replaced, again.removed) == ([], [], [])
    assert contents(course) == after


def test_what_the_student_changed_is_set_aside_whatever_happened_before(course, second):
    for text in ("mine", "again"):
        (course / "README.md").write_text(text)
        add_kit(read_kit(second), course)
    after = contents(course)
    assert after["README.md"] == b"new"
    assert after["before-kit-02/README.md"] == b"mine"
    assert after["before-kit-02/README-2.md"] == b"again"


def test_killed_at_any_file_the_same_command_goes_on(course, second, monkeypatch):
    kit, calls = read_kit(second), []
    write = module.write_bytes

    def write_some(path, data):
        calls.append(path)
        if len(calls) % 2 == 0:  # every second one is the end
            (path.parent / f".{path.name}.x.tmp").write_bytes(data[:1])
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(module, "write_bytes", write_some)
    ended = 0
    for _ in range(9):
        try:
            add_kit(kit, course)
        except KeyboardInterrupt:
            ended += 1
    assert ended == 3
    monkeypatch.setattr(module, "write_bytes", write)
    after = contents(course)
    add_kit(kit, course)
    assert contents(course) == after
    assert after[MANIFEST] == kit.files[MANIFEST]
    assert not [name for name in after if name.endswith(".tmp") or name.startswith("before")]


def test_an_older_kit_changes_nothing_and_answers_to_an_unfinished_assignment_are_told(
    course, second
):
    kit = read_kit(second)
    assert find_unfinished(kit, course) == []
    (course / "assignments/01_a.ipynb").write_bytes(notebook(TODO))
    assert find_unfinished(kit, course) == ["01"]
    add_kit(kit, course)
    assert find_unfinished(kit, course) == []
    add_kit(read_kit(second), course)
    before = contents(course)
    with pytest.raises(UsageError, match="kit 01 is older than the installed kit 02"):
        add_kit(read_kit(course.parent / "kws-01.zip"), course)
    assert contents(course) == before


def test_a_module_that_a_kit_has_no_more_goes(course, tmp_path):
    fewer = {name: data for name, data in SECOND.items() if name != "kws/one.py"}
    added = add_kit(read_kit(zipped(tmp_path / "kws-02.zip", "02", fewer)), course)
    assert added.removed == ["kws/one.py"]


def test_what_is_no_whole_kit_is_one_sentence(course, second, tmp_path):
    missing = {name: data for name, data in SECOND.items() if name != "kws/one.py"}
    table = {MANIFEST: manifest_of("02", SECOND, {})}
    outside = {"../x": b"1", MANIFEST: manifest_of("02", {"../x": b"1"}, {})}
    cases = {
        "not all of one": second.read_bytes()[:-40],
        "is not a kit": zip_bytes({"a.txt": b"a"}),
        "kws/one.py is missing": zip_bytes(missing | table),
        "damaged in kws/one.py": zip_bytes(SECOND | table | {"kws/one.py": b"x"}),
        "is not a kit of the course": zip_bytes(outside),
    }
    for says, data in cases.items():
        (tmp_path / "kit.zip").write_bytes(data)
        with pytest.raises(UsageError, match=says):
            read_kit(tmp_path / "kit.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="not a kit of"):
        read_kit(tmp_path / "empty")
