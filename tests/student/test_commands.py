"""The commands as a student types them: lines, colors, exit codes, endings; the warm process."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from grader import ROOT
from grader.authoring.reference import exported_cells, load_answers
from kws.cli import student
from kws.student import cell_process, processes, warm
from kws.student.released import checks_released, parse_target, released
from kws.student.visible_checks import run_checks
from tests.conftest import PATIENCE, forked
from tests.grader.conftest import code_beside

SOLUTION = ROOT / "solutions" / "03_speakers.py"
KWS = [sys.executable, "-m", "kws.cli"]
ECHO = """
import sys
from kws.student.processes import json_stdout
write = json_stdout(others=2)
print("not JSON")
for line in sys.stdin:
    write({"received": line.strip()})
    if "stop" in line:
        sys.exit(3)
"""


def test_check_says_what_is_not_started_and_is_zero_when_all_that_was_asked_for_passes(folder, kws):
    code, text = kws("check", "2.1-attend-by-hand")
    lines = ["assignments/02_attention.ipynb", "· 2.1-attend-by-hand  not started"]
    assert (code, text.splitlines()) == (1, [*lines, "0 of 1 check passes"])
    folder.fill("02")
    code, text = kws("check", "02")
    assert code == 0
    assert "✓ 2.1-attend-by-hand  attend agrees with pencil and paper\n" in text
    assert text.endswith("22 of 22 checks pass; tasks done: 34 of 34 points\n")


def test_check_says_which_of_several_definitions_counts(folder, kws):
    answer = folder.fill("02").source("02", "def attend")[1]
    todo = 'def attend(q, k, v, valid=None):\n    raise NotImplementedError("TODO 2.1")'
    table = json.loads(folder["02"].read_text())
    at = next(n for n, raw in enumerate(table["cells"]) if "".join(raw["source"]) == answer)
    extra = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 7}
    table["cells"].insert(at + 1, extra | {"source": todo})
    folder["02"].write_text(json.dumps(table))
    code, text = kws("check", "2.1-attend-by-hand")
    assert code == 0
    assert text.splitlines()[1] == (
        "`attend` is defined 2 times, in cell `def attend`, line 1 and cell [7] `def attend`, "
        "line 1: the one in cell `def attend`, line 1 counts, the last that is not the TODO"
    )
    assert "`attend` is defined" not in kws("check", "1.1")[1]


def test_check_shows_prints_place_and_hint_of_what_does_not_pass(folder, kws):
    folder.fill("02").edit("02", "/ math.sqrt(q.shape[-1])", "")
    folder.edit("02", "weights = scores", "print(*range(15), sep='\\n')\n    weights = scores")
    code, text = kws("check", "2.1")
    lines = text.splitlines()
    assert code == 1
    assert lines[1] == "✗ 2.1-attend-by-hand  attend(q, k, v)[..., 0]: got"
    assert lines[2:5] == ["  [[[4.4, 6]]]", "  expected", "  [[[5, 6]]]"]
    assert lines[5] == "  hint: are the scores divided by the root of K?"
    assert lines[6:17] == [*(f"  | {n}" for n in range(10)), "  | …"]


def test_progress_counts_what_passes_now_and_keeps_nothing(folder, kws):
    for number in sorted(released().keys() - {"02"}):
        folder[number].unlink()
    todo = folder.source("02", "def attend")[1]
    answer = folder.fill("02").source("02", "def attend")[1]
    folder.edit("02", answer, todo)
    before = sorted(folder.path.rglob("*"))
    code, text = kws("progress")
    rows = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    states = {row[1].strip(): tuple(cell.strip() for cell in row[3:6]) for row in rows}
    assert code == 0
    assert states["2.1"] == ("0 of 4", "· not started", "6")
    assert states["2.2"] == ("2 of 2", "✓ done", "4")
    assert "of 22 checks pass; tasks done: 11 of 34 points" in text
    assert sorted(folder.path.rglob("*")) == before


def test_watch_checks_again_when_the_notebook_is_saved(folder, kws, monkeypatch):
    folder.fill("02").edit("02", "/ math.sqrt(q.shape[-1])", "")
    show = student.show

    def show_and_save(out, outcomes) -> None:
        show(out, outcomes)
        if not outcomes[0].passed:
            folder.edit("02", "scores = q @ k.mT", "scores = q @ k.mT / math.sqrt(q.shape[-1])")

    monkeypatch.setattr(student, "show", show_and_save)
    code, text = kws("watch", "2.1-attend-by-hand", "--rounds", "2")
    rounds = [line for line in text.splitlines() if "check passes" in line]
    assert code == 0
    assert [line.split(": ")[1][:6] for line in rounds] == ["0 of 1", "1 of 1"]
    assert "\x1b" not in text


def test_reset_says_what_changed_and_where_the_copy_is_and_hints_have_three_levels(folder, kws):
    texts = [kws("hint", "2.1", "--level", level)[1] for level in (1, 2, 3)]
    assert "A soft look-up" in texts[0]
    assert "more: kws hint 2.1 --level 2" in texts[0]
    assert "the weights are 3/4 and 1/4" in texts[1]
    assert "scores     (B, H, T, S)" in texts[2]
    assert "\n  - are the scores divided by the root of K?\n" in texts[2]
    assert "more:" not in texts[2]
    code, text = kws("think", "2.1")
    assert code == 0
    assert "Think:" in text
    assert "part of the sum went to the" in " ".join(text.split())
    assert not set("$\\*") & set(text)
    folder.fill("02")
    code, text = kws("reset", "2.1")
    assert code == 0
    assert "assignments/02_attention.ipynb: cell `def attend` as released" in text
    assert "assignments/02_attention.before-reset-1.ipynb" in text
    assert kws("reset", "2.1") == (0, "assignments/02_attention.ipynb: 2.1 is as it was released\n")


def test_submit_checks_writes_and_says_what_is_missing(folder, kws):
    code, text = kws("submit", "3")
    assert code == 0
    assert f"0 of {len(checks_released('03'))} checks pass" in text
    assert "found: assignments/03_speakers.ipynb, " in text
    assert "handed in as: " in text
    assert "written: 03_speakers.zip with 03_speakers.ipynb, manifest.json" in text
    assert "03_speakers.safetensors is not beside the notebook" in text
    assert "3.A  why this model? (nothing is written there yet)" in text
    assert (folder.path / "03_speakers.zip").is_file()


def test_submit_names_the_student_and_tries_the_weights(folder, kws):
    folder.fill("03")
    weights = folder["03"].with_suffix(".safetensors")
    save_file({"w": torch.ones(3)}, weights)
    code, text = kws("submit", "03", "--name", " Ada  Lovelace ")
    assert code == 0
    assert "handed in as: Ada Lovelace\n" in text
    assert "SpeakerClassifier(100) has classify.bias, the file has not" in text
    model = load_answers(exported_cells(SOLUTION), "03")["SpeakerClassifier"](100)
    save_file({f"module.{k}": v for k, v in model.state_dict().items()}, weights)
    code, text = kws("submit", "03")
    assert "✓ fits SpeakerClassifier(100)" in text
    with zipfile.ZipFile(folder.path / "03_speakers.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["student"] == "Ada Lovelace"


@pytest.mark.parametrize(("arguments", "says"), code_beside(__file__).items())
def test_bad_input_is_one_sentence_and_two(folder, kws, arguments, says):
    before = sorted(folder.path.rglob("*"))
    code, text = kws(*shlex.split(arguments))
    assert code == 2
    assert says in text
    assert text.count("\n") == 1
    assert sorted(folder.path.rglob("*")) == before


def test_a_folder_without_notebooks_is_one_sentence(tmp_path, monkeypatch, kws):
    monkeypatch.chdir(tmp_path)
    code, text = kws("check")
    assert (code, text.count("\n")) == (2, 1)
    assert "go to the folder of the course" in text


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_control_c_ends_a_check_that_hangs_and_leaves_no_process(folder):
    hangs = "import os; open('pid', 'w').write(str(os.getpid()))\n    while True: pass\n    "
    folder.fill("02").edit("02", "scores = q @", f"{hangs}scores = q @")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*KWS, "check", "2.1"], cwd=folder.path, **pipes)
    pid = folder.path / "assignments" / "pid"
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, b"kws: interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A warm process that is a fork of this one, for a cache of its own."""
    if sys.platform != "linux":
        pytest.skip("forks with torch loaded")
    monkeypatch.setenv("KWS_CACHE", str(tmp_path))
    monkeypatch.delenv("KWS_WARM")
    path = processes.socket_path()
    path.parent.mkdir()
    monkeypatch.setattr(cell_process, "NOTEBOOKS_IMPORT", ())
    child = forked(lambda: warm.serve(str(path), minutes=0.02))
    while not path.exists():
        time.sleep(0.01)
    yield child
    child.kill()


def test_it_runs_checks_in_forks_and_ends_by_itself(server, folder):
    folder.fill("02")
    target = parse_target("2.1-attend-by-hand")
    for _ in range(2):
        [outcome] = run_checks(folder["02"], target)
        assert outcome.passed
    folder.edit("02", "scores = q @", "1 / 0\n    scores = q @")
    assert "ZeroDivisionError" in run_checks(folder["02"], target)[0].text
    server.join(PATIENCE)
    assert server.exitcode == 0
    assert not processes.socket_path().exists()


def test_a_check_that_hangs_ends_with_whoever_asked(server, folder):
    hangs = "import os; open('pid', 'w').write(str(os.getpid()))\n    while True: pass\n    "
    folder.fill("02").edit("02", "scores = q @", f"{hangs}scores = q @")
    [outcome] = run_checks(folder["02"], parse_target("2.1-attend-by-hand"), seconds=1.0)
    assert "was still running after 1 s" in outcome.text
    pid = int((folder.path / "assignments" / "pid").read_text())
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_any_change_of_kws_or_settings_makes_another_one_and_without_it_there_is_none(
    tmp_path, monkeypatch
):
    (tmp_path / "a.py").write_text("1")
    before = processes.loaded_files(tmp_path)
    (tmp_path / "a.py").write_text("22")
    assert processes.loaded_files(tmp_path) != before
    paths = {processes.socket_path({"OMP_NUM_THREADS": n, "TERM": n}) for n in ("1", "2")}
    assert len(paths) == 2
    assert processes.socket_path({"TERM": "a"}) == processes.socket_path({"TERM": "b"})
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    assert processes.warm_process() is None  # KWS_WARM=0
    monkeypatch.delenv("KWS_WARM")
    assert processes.warm_process() is None


def test_a_child_answers_in_json_until_it_ends_or_is_closed(capfd):
    with processes.JsonProcess([sys.executable, "-c", ECHO]) as child:
        child.send("ü")
        assert child.receive() == {"received": '"\\u00fc"'}
        with pytest.raises(TimeoutError):
            child.receive(seconds=0.0)
        child.send("stop")
        assert child.receive() == {"received": '"stop"'}
        assert child.receive() is None
        assert child.process.wait() == 3
        child.send("to nobody")
    assert "not JSON" in capfd.readouterr().err
    with processes.JsonProcess([sys.executable, "-c", "while True: pass"]) as child:
        pass
    assert child.process.returncode is not None
