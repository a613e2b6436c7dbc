"""The grading benchmark: one notebook for three graders, its tests, and what they wrote, read."""

import doctest
import importlib
import json
import mmap
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PROC = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")


def load(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def task():
    return load("grading_task")


@pytest.fixture(scope="module")
def graders():
    return load("graders")


@pytest.fixture(scope="module")
def robustness():
    return load("grading_robustness")


@pytest.fixture(scope="module")
def hostile():
    return load("grading_hostile")


@pytest.fixture(scope="module")
def grading():
    return load("grading")


def names_in(table: dict) -> dict:
    """What the notebook's code cells define."""
    space: dict = {}
    for cell in table["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"], space)
    return space


# The notebook


def test_the_notebook_is_a_valid_one(task):
    nbformat.validate(nbformat.from_dict(task.notebook()))


def test_nbgraders_marks_hold_its_keys_and_no_others(task):
    marks = [c["metadata"].get("nbgrader") for c in task.notebook()["cells"]]
    marks = [one for one in marks if one]
    assert len(marks) == 4
    for one in marks:
        required = {"schema_version", "grade_id", "grade", "solution", "locked", "task"}
        assert required <= set(one) <= required | {"points"}
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", one["grade_id"])
    assert sum(one.get("points", 0) for one in marks) == task.POINTS


def test_students_do_not_see_the_tests(task):
    secrets = ("assert", "by_hand", "reference")
    text = task.notebook_bytes(task.notebook()).decode()
    source = json.dumps(task.make_notebook("", "", "", source=True))
    assert [word for word in secrets if word in text] == []
    assert all(word in source for word in secrets)


@pytest.mark.parametrize("place", [0, 4])
def test_the_tests_give_the_points_that_are_expected(task, place):
    space, points = names_in(task.notebook(place)), 0
    for test in (task.TEST_1, task.TEST_2):
        try:
            exec(test, space)
            points += 1
        except AssertionError:
            pass
    assert points == task.expected_score(place)


def test_one_student_in_five_is_wrong(task):
    assert [place for place in range(12) if not task.is_right(place)] == [4, 9]


def test_otters_tests_are_the_same_as_a_doctest(task, graders):
    space: dict = {}
    exec(graders.otter_test("q2", task.TEST_2), space)
    assert space["OK_FORMAT"] is True
    code = space["test"]["suites"][0]["cases"][0]["code"]
    for place, failed in ((0, 0), (4, 1)):
        names = names_in(task.notebook(place))
        example = doctest.DocTestParser().get_doctest(code, names, "q2", None, 0)
        found = doctest.DocTestRunner(verbose=False).run(example, out=lambda _: None)
        assert found == (failed, len(task.TEST_2.splitlines()))


@pytest.mark.slow
def test_ours_gives_the_points_that_are_expected(task, graders, tmp_path):
    works = {
        task.student_name(place): graders.Work(
            f"{task.STEM}.ipynb", task.notebook_bytes(task.notebook(place))
        )
        for place in (3, 4)
    }
    found = graders.Ours(tmp_path, workers=1).grade(works, limit=300)
    assert found == {"student003": graders.Grade(2.0), "student004": graders.Grade(1.0)}


# What graders wrote


def test_our_gradebook_tells_points_and_repairs(graders, tmp_path):
    path = tmp_path / "gradebook.csv"
    path.write_text("student,score,verdict\na,2,graded\nb,1,graded with repairs\n")
    assert {
        name: str(one) for name, one in graders.read_gradebook(path, dict.fromkeys("abc")).items()
    } == {
        "a": "2 of 2",
        "b": "1 of 2, repaired",
        "c": "no grade",
    }


def test_nbgraders_table_counts_only_with_a_notebook(graders, tmp_path):
    path = tmp_path / "grades.csv"
    path.write_text("student_id,score\na,2.0\nb,0.0\nd,\n")
    grades = graders.read_nbgrader(path, dict.fromkeys("abcd"), done={"a"})
    assert [grades[name].score for name in "abcd"] == [2.0, 0.0, None, None]
    assert [grades[name].note for name in "abcd"] == ["", "notebook dropped", "", ""]


def test_otters_result_is_the_sum_of_its_tests(graders, tmp_path):
    path = tmp_path / "results.json"
    tests = [{"name": "Public Tests"}, {"score": 1.0}, {"score": 0}]
    path.write_text(json.dumps({"tests": tests}))
    assert graders.read_otter(path) == graders.Grade(1.0)


def test_a_missing_result_and_a_huge_one_are_told(graders, tmp_path):
    path = tmp_path / "results.json"
    assert str(graders.read_otter(path)) == "no grade, no result file"
    assert str(graders.read_otter(path, "stopped after 9 s")) == "no grade, stopped after 9 s"
    path.write_text(json.dumps({"tests": [{"score": 0, "output": "x" * 5_000_000}]}))
    assert str(graders.read_otter(path)) == "0 of 2, a result file of 5 MB"


def test_the_numbers_are_theirs_divided_by_ours(grading):
    speeds = [
        grading.Speed("ours", 10, wall=5.0, cpu=4.0, right=10),
        grading.Speed("otter", 2, wall=20.0, cpu=8.0, right=2),
    ]
    found = grading.numbers(speeds)
    assert (found["seconds_per_submission"], found["vs_otter"], found["vs_otter_cpu"]) == (
        0.5,
        20,
        10,
    )
    assert (found["vs_nbgrader"], found["n"], found["n_otter"], found["right"]) == (
        None,
        10,
        2,
        True,
    )


def test_a_wrong_grade_shows_in_the_numbers(grading):
    speeds = [grading.Speed("ours", 10, wall=5.0, cpu=4.0, right=9)]
    assert grading.numbers(speeds)["right"] is False


def test_without_arguments_ours_runs_alone(grading):
    options = grading.read_options([])
    assert (options.submissions, options.workers, options.install) == (50, 2, None)
    assert not options.robustness
    assert options.hostile is None
    assert grading.read_options(["--hostile"]).hostile == 500


def test_no_submissions_are_refused(grading, capsys):
    with pytest.raises(SystemExit):
        grading.read_options(["--submissions", "0"])
    assert "0 is too few" in capsys.readouterr().err


# Bad shape


def test_a_case_keeps_both_answers(task, robustness):
    for case in robustness.cases():
        assert b"def make_encoder" in case.work.data, case.name
        assert b"real.sum(1)" in case.work.data, case.name


def test_a_duplicated_cell_has_an_id_of_its_own_and_the_same_marks(task, robustness):
    table = robustness.duplicated(task.notebook())
    nbformat.validate(nbformat.from_dict(table))
    marks = [c["metadata"].get("nbgrader", {}).get("grade_id") for c in table["cells"]]
    assert marks.count("test-1") == 2


def test_a_stripped_notebook_has_no_metadata(task, robustness):
    table = robustness.stripped(task.notebook())
    assert table["metadata"] == {}
    assert all(cell["metadata"] == {} for cell in table["cells"])
    nbformat.validate(nbformat.from_dict(table))


def test_a_truncated_notebook_is_no_json(task, robustness):
    with pytest.raises(ValueError, match="line"):
        json.loads(robustness.truncated(task.notebook_bytes(task.notebook())))


def test_only_what_ends_or_holds_up_the_process_costs_a_point(robustness):
    less = [case.name for case in robustness.cases() if case.due < 2]
    assert less == ["os._exit in question 1", "while True in question 1"]


# Hostile


def test_a_class_of_500_meets_every_kind_of_attack_and_broken_file(hostile):
    bad = hostile.bad_ones(b"{}" * 100)[:25]
    kinds = {one.attack.kind for one in bad if one.attack}
    assert bad[0].attack is hostile.WRONG
    assert {attack.kind for attack in hostile.ATTACKS} <= kinds
    assert sum(one.attack is None for one in bad) == 6


def test_an_attack_stands_in_the_place_of_the_first_answer(hostile):
    table = json.loads(hostile.answers({"PORT": 7}, hostile.WRONG))
    nbformat.validate(nbformat.from_dict(table))
    (attacked,) = (c["source"] for c in table["cells"] if "def attend(" in c["source"])
    assert attacked == hostile.WRONG.cell(PORT=7)


def test_what_an_attack_reaches_is_told(hostile, tmp_path):
    with hostile.Targets(tmp_path / "targets") as targets:
        assert targets.reached() == []
        Path(targets.constants["TARGET"]).write_text("here")
        with socket.create_connection(("127.0.0.1", targets.constants["PORT"])):
            assert targets.reached() == ["the file", "TCP"]


def write_report(folder: Path, student: str, attacked: float, honest: float) -> None:
    path = folder / "reports" / student / "02.json"
    path.parent.mkdir(parents=True)
    rows = (("2.1", "2.1-values", attacked), ("2.2", "2.2-split", honest))
    checks = [{"id": name, "task": t, "earned": got, "points": 2} for t, name, got in rows]
    path.write_text(json.dumps({"checks": checks}))


def test_more_than_a_plain_wrong_answer_earns_is_a_gain(hostile, tmp_path):
    attack = hostile.ATTACKS[0]
    bad = {"a": hostile.Bad("wrong", hostile.WRONG), "b": hostile.Bad("attack", attack)}
    write_report(tmp_path, "a", attacked=1, honest=2)
    write_report(tmp_path, "b", attacked=2, honest=2)
    write_report(tmp_path, "c", attacked=2, honest=2)
    found = hostile.judged(tmp_path, bad)
    assert (found["gained"], found["lost"]) == (["attack: 2.1-values"], [])
    assert (found["results"], found["honest_full"], found["bad"]) == (3, 1, 2)


def test_honest_points_that_an_attack_costs_are_told(hostile, tmp_path):
    attack = hostile.ATTACKS[0]
    bad = {"a": hostile.Bad("wrong", hostile.WRONG), "b": hostile.Bad("attack", attack)}
    write_report(tmp_path, "a", attacked=1, honest=2)
    write_report(tmp_path, "b", attacked=1, honest=0)
    assert hostile.judged(tmp_path, bad)["lost"] == ["attack: 2.2-split"]


def test_memory_is_the_median_of_each_part(hostile):
    watch = hostile.Watch(0, lambda: 0)
    watch.samples += [(0, 9_000_000, 9), (5, 1_000_000, 4), (6, 3_000_000, 8)]
    watch.samples += [(50, 7_000_000, 5), (50, 0, 1), (100, 4_000_000, 2)]
    assert watch.table(100) == {
        "start": {"mb": 2.0, "processes": 6},
        "middle": {"mb": 7.0, "processes": 5},
        "end": None,
    }


# Processes

FAMILY = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
print(subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
time.sleep(60)
"""


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended, though nobody may have asked how it ended."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


@PROC
def test_a_command_that_hangs_is_ended_with_all_that_it_started(graders, tmp_path):
    started = time.monotonic()
    assert graders.run([sys.executable, "-c", FAMILY], tmp_path, limit=3) is False
    grandchild = int((tmp_path / "last.log").read_text())
    while runs(grandchild) and time.monotonic() - started < 30:
        time.sleep(0.05)  # a signal takes its time
    assert not runs(grandchild)


def test_a_command_that_fails_has_ended(graders, tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('said before')"]
    assert graders.run(command, tmp_path, limit=60) is True
    assert "said before" in (tmp_path / "last.log").read_text()


@PROC
def test_descendants_are_children_and_theirs():
    processes = load("processes")
    parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert processes.descendants(parent.pid) == [grandchild]
        assert {parent.pid, grandchild} <= set(processes.descendants(os.getpid()))
        os.kill(grandchild, 9)
        parent.kill()


@PROC
def test_own_memory_grows_with_what_is_allocated():
    processes = load("processes")
    before = processes.own_memory_of([os.getpid()])
    with mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE) as held:
        held.write(b"x" * len(held))
        assert 45_000_000 < processes.own_memory_of([os.getpid()]) - before < 150_000_000
