"""What `--help` prints is what the source says: nothing is taken for markup and left out."""

import re
from collections.abc import Iterator

import pytest
import typer

from kws.cli import app, groups, run


def commands_in(command, path=()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands_in(inner, (*path, name))
    if path and not hasattr(command, "commands"):
        yield path, command


assert not groups.lacking  # importing it registered every command
COMMANDS = dict(commands_in(typer.main.get_command(app)))


def letters(text: str) -> str:
    """Without spaces, frames and line breaks, which depend on the width of the terminal."""
    return re.sub(r"[\s│╭╮╰╯─]", "", text)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_word_of_a_help_text_is_printed(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run([*path, "--help"]) == 0
    printed = letters(capsys.readouterr().out)
    for parameter in COMMANDS[path].params:
        assert letters(getattr(parameter, "help", None) or "") in printed, parameter.name
