"""Every kind of model in every command that reads one: used, or refused; no option is dropped."""

import inspect
import re

import pytest
import torch
import typer
from typer.testing import CliRunner

from kws.audio.recordings import write_audio
from kws.cli import app, groups, run
from kws.cli.evaluation import EVALUATIONS
from kws.cli.export_command import EXPORTS
from kws.data.protocols import PROTOCOLS
from kws.training.checkpoint import KINDS, save_checkpoint
from tests.conftest import data_beside, state_of

OPTIONS = data_beside(__file__)
FOREIGN = [
    (command, kind, sorted(of_all - inspect.signature(function).parameters.keys()))
    for command, table in (("evaluate", EVALUATIONS), ("export", EXPORTS))
    for of_all in [{name for each in table.values() for name in inspect.signature(each).parameters}]
    for kind, function in table.items()
]
STREAM = ["--data", "x", "--words", "ja", "--protocol", "v2-12"]
READS = {  # command -> arguments in front of the run, arguments after it
    "predict": (["x.wav", "--model"], []),
    "transcribe": (["x.wav", "--model"], []),
    "listen": ([], ["x.wav"]),
    "export": ([], ["--onnx"]),
    "plot": ([], []),
    "web": ([], []),
    "say": (["hello", "--out", "y.wav", "--run"], []),
    "kaggle": ([".", "--run"], []),
}


@pytest.fixture
def run_of(untrained, tmp_path, monkeypatch):
    """A function: the checkpoint of a kind, beside a recording x.wav."""
    monkeypatch.chdir(tmp_path)
    write_audio(tmp_path / "x.wav", torch.zeros(16_000))

    def save(kind: str):
        if kind == "speakers":
            state = state_of(untrained("data.task=speakers", labels=("id1", "id2")))
        else:
            labels = PROTOCOLS["embedded-12"].labels
            state = state_of(untrained("data.protocol=embedded-12", labels=labels))
            state["protocol"] = state["protocol"] if kind == "keywords" else kind
        save_checkpoint(tmp_path / "best.pt", state)
        return tmp_path / "best.pt"

    return save


@pytest.mark.parametrize(("command", "kind", "names"), FOREIGN)
def test_an_option_of_another_kind_is_refused(kws, run_of, command, kind, names):
    run = run_of(kind)
    for name in names:
        sentence = kws(command, run, *OPTIONS[name]).sentence()
        assert f"--{name.replace('_', '-')} does not apply to {KINDS[kind].name}" in sentence


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_refuses_every_kind_that_does_not_name_it(kws, run_of, kind):
    run = run_of(kind)
    for command, (before, after) in READS.items():
        if command not in KINDS[kind].commands:
            sentence = kws(command, *before, run, *after).sentence(KINDS[kind].name)
            assert ": use it with kws " in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plot", "--resample"], "--resample does not apply to a plot without --clip"),
        (["web", "--port", "0"], "--port does not apply to a page without --serve"),
        (["listen", "x.wav", "--device-name", "x"], "--device-name does not apply to a file"),
        (["listen", "-", "--resample"], "--resample does not apply to a pipe"),
        (["listen", "--microphone", "--resample"], "--resample does not apply to the microphone"),
        (["record", "ja", "--out", "x", "--seconds", "60"], "--seconds does not apply to a word"),
        (["record", "_background_noise_", "--out", "x", "--count", "10"], "--count does not apply"),
        (["data", "stream", "o", *STREAM], "--protocol does not apply to a stream with --words"),
        (["kaggle", ".", "--check", "a.csv", "--out", "b.csv"], "--out does not apply to --check"),
        (["params", "gru", "--depth", "2"], "--depth does not apply to a count without --shapes"),
    ],
)
def test_an_option_without_effect_is_refused(kws, run_of, arguments, sentence):
    if arguments[0] in ("predict", "plot", "web", "listen"):
        model = run_of("keywords")
        place = ["--model", model] if arguments[0] == "predict" else [model]
        arguments = [arguments[0], *place, *arguments[1:]]
    kws(*arguments).sentence(sentence)


def test_all_kinds_have_an_evaluation_and_a_missing_run_is_refused(kws, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first").mkdir()
    (tmp_path / "first/best.pt").touch()
    for words in (["typo", "page"], ["typo/page"], ["firs"]):
        kws("web", *words).sentence(f"{words[0]}: no such checkpoint")
    assert list(tmp_path.iterdir()) == [tmp_path / "first"]
    assert EVALUATIONS.keys() == KINDS.keys()
    assert EXPORTS.keys() == {name for name in KINDS if "export" in KINDS[name].commands}


def commands_in(command, path=()):
    """Every command below, with the words that call it."""
    for name, inside in getattr(command, "commands", {}).items():
        yield from commands_in(inside, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


@pytest.mark.parametrize("house", ["kws", "grader"])
def test_help_shows_the_text_of_every_option_whole(house, monkeypatch):
    from grader.__main__ import app as graders_app

    monkeypatch.setenv("COLUMNS", "400")
    chosen = app if house == "kws" else graders_app
    assert groups
    for path, command in commands_in(typer.main.get_command(chosen)):
        shown = CliRunner().invoke(chosen, [*path, "--help"]).output
        shown = " ".join(shown.replace("│", " ").split())
        for parameter in command.params:
            text = " ".join((getattr(parameter, "help", None) or "").split())
            assert text in shown, (path, parameter.name)


def test_help_is_printed_whole_square_brackets_too(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for group in groups.GROUPS.values():
        for name in set(group.split()) - {"data"}:
            assert run([name, "--help"]) == 0
            printed = re.sub(r"[\s│]", "", capsys.readouterr().out)
            for parameter in typer.main.get_command(app).commands[name].params:
                wanted = re.sub(r"\s", "", getattr(parameter, "help", None) or "")
                assert wanted in printed, (name, parameter.name)
