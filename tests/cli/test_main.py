"""`kws` itself: exit codes, one line on stderr, quiet endings, a fast start."""

import errno
import io
import os
import signal
import subprocess
import sys

import pytest
import typer

import kws as package
from kws import cli
from kws.cli import groups  # noqa: F401  (registers them on the real app, before it is replaced)
from kws.errors import UsageError
from tests.conftest import PATIENCE

KWS = [sys.executable, "-m", "kws.cli"]


@pytest.fixture
def ends_with(monkeypatch):
    """A `kws` whose only command raises what the test asks for (or prints, for a string)."""

    def register(ending: BaseException | str) -> None:
        fake = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        fake.callback()(lambda: None)

        @fake.command()
        def go() -> None:
            if isinstance(ending, str):
                print(ending)
            else:
                raise ending

        monkeypatch.setattr(cli, "app", fake)

    return register


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (UsageError("a.wav is empty: record it again"), "a.wav is empty: record it again"),
        (UsageError("a\nb.wav is empty: record it again"), "a b.wav is empty: record it again"),
        (OSError(errno.EROFS, "read-only", "a.tmp", None, "a.pt"), "a.pt: "),
        (OSError(errno.ENOSPC, "no space"), "the disk is full"),
    ],
)
def test_bad_input_is_one_sentence_and_two(kws, ends_with, ending, sentence):
    ends_with(ending)
    assert kws("go").sentence().startswith(sentence)


@pytest.mark.parametrize("number", sorted(cli.CURES))
def test_refusals_of_the_system_name_the_file_and_the_cure(kws, ends_with, number):
    ends_with(OSError(number, os.strerror(number), "out/last.pt"))
    sentence = kws("go").sentence()
    assert sentence.startswith("out/last.pt: ")
    assert len(sentence.split(": ")) >= 3, "no cure"


@pytest.mark.parametrize(
    "defect",
    [OSError("odd"), OSError(errno.EBADF, "ours"), ValueError("ours"), RuntimeError("ours")],
)
def test_our_own_defects_keep_their_traceback(ends_with, defect):
    ends_with(defect)
    with pytest.raises(type(defect), match=r"odd|ours"):
        cli.run(["go"])


@pytest.mark.parametrize(
    "ending",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
)
def test_too_little_memory_is_one_sentence(kws, ends_with, ending):
    ends_with(ending)
    kws("go").sentence("memory")


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), typer.Abort()])
def test_interrupted_is_130_in_one_line(kws, ends_with, ending):
    ends_with(ending)
    outcome = kws("go")
    assert (outcome.code, outcome.err) == (130, "kws: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["nope"], "'nope'"),
        (["data", "nope"], "'nope'"),
        (["--versio"], "--version"),
        (["data", "download"], "'NAME'"),
        (["data", "download", "v2", "out", "--mirrr", "x"], "--mirrr"),
    ],
)
def test_usage_errors_are_one_line_that_points_to_the_help(kws, arguments, names):
    outcome = kws(*arguments)
    assert names in outcome.sentence()
    assert "--help'" in outcome.sentence()
    assert outcome.out == ""


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_no_arguments_print_the_help_and_success_is_zero(kws, ends_with, arguments):
    outcome = kws(*arguments)
    assert outcome.code == 2
    assert "Usage: kws" in outcome.out + outcome.err
    outcome = kws(*arguments, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Usage: kws" in outcome.out
    assert kws("--version") == type(outcome)(0, f"kws {package.__version__}\n", "")
    ends_with("done")
    assert kws("go") == type(outcome)(0, "done\n", "")


def test_main_leaves_with_the_exit_code_and_escapes_what_cannot_be_printed(ends_with, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    ends_with("\u00fc\udcff.wav")
    for command, code in (("go", 0), ("nope", 2)):
        monkeypatch.setattr(sys, "argv", ["kws", command])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        assert leaving.value.code == code
    assert sys.stdout.buffer.getvalue() == b"\\xfc\\udcff.wav\n"


def test_a_reader_that_went_away_is_quiet():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        done = subprocess.run(
            [*KWS, "--help"], stdout=nobody, stderr=subprocess.PIPE, timeout=PATIENCE
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_control_c_in_a_running_command_is_130(tmp_path):
    """A real process, stopped while it waits for a server that never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        mirror = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [*KWS, "data", "download", "v2-test", str(tmp_path / "out"), "--mirror", mirror],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "no_proxy": "*"},
        )
        server.settimeout(60)
        connection, _ = server.accept()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        connection.close()
    assert (process.returncode, err) == (130, "kws: interrupted\n")


HEAVY = ("torch", "torchaudio", "matplotlib", "scipy", "onnx", "numpy", "soundfile")


@pytest.mark.parametrize("chosen", [None, "7"])
def test_start_up_imports_nothing_heavy_and_threads_do_not_wait_at_full_speed(chosen):
    probe = (
        "import os, sys; from kws.cli import run;"
        "[run(line.split()) for line in ('--version', '--help', 'data --help', 'nope')];"
        f"heavy = [name for name in {HEAVY} if name in sys.modules];"
        "print(heavy, os.environ['GOMP_SPINCOUNT'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {"GOMP_SPINCOUNT": chosen} if chosen else {}
    done = subprocess.run(
        [sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"[] {chosen or 2000}"


@pytest.mark.parametrize("statement", ["import kws.gone", "from kws.training import gone"])
def test_a_command_that_a_kit_lacks_ends_in_one_sentence(statement, capsys):
    assert cli.exit_code("kws", lambda: exec(statement)) == 2
    messages = capsys.readouterr().err
    assert messages.startswith("kws: this copy of the course does not contain kws.")
    assert messages.count("\n") == 1
