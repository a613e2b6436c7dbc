"""The `kws` command. Each command lives in the module of its group and imports torch when it runs.

A command raises `UsageError` for bad input. What the user sees is one sentence on stderr and an
exit code: 0 done, 2 bad input, 130 interrupted, 143 terminated, 1 when the reader of our output
went away. Anything else is a defect of ours and keeps its traceback.
"""

import errno
import io
import os
import sys
from collections.abc import Callable

import typer

from kws import __version__
from kws.errors import UsageError, is_out_of_memory

app = typer.Typer(
    name="kws",
    help="Keyword spotting and speaker recognition with audio Transformers, written out by hand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Make, fetch and pack data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

# Before torch loads: by default, its threads burn a core each while they wait for one another.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

BAD_INPUT, INTERRUPTED, TERMINATED, BROKEN_PIPE = 2, 130, 143, 1

# typer carries its own copy of click, or uses the installed one, depending on its version
ClickException: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

CURES = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up: free some space or choose another folder",
    errno.EFBIG: "the file grew past this system's limit: choose another folder",
    errno.EROFS: "the folder is read-only: choose another one",
    errno.EACCES: "permission denied: choose a file that you may read, or a folder to write to",
    errno.EPERM: "not permitted: choose a folder that you may write to",
    errno.ENOENT: "no such file or folder: check the path",
    errno.ENOTDIR: "a part of this path is a file, not a folder: check the path",
    errno.EISDIR: "this is a folder, a file was expected: check the path",
    errno.EEXIST: "something else is already there: remove it or choose another path",
    errno.ENOTEMPTY: "this folder is not empty: empty it or choose another one",
    errno.ENAMETOOLONG: "this name is too long for the file system: choose a shorter one",
    errno.ELOOP: "this symbolic link leads back to itself: check the path",
    errno.EIO: "the disk failed to read or write: check it, or choose another folder",
    errno.EMFILE: "too many files are open: raise the limit with `ulimit -n`",
}


LATER_KIT = "it comes with the kit of a later assignment, once you have written it yourself"
OUT_OF_MEMORY = (
    "not enough memory: lower train.batch_size, choose a smaller model, or free some memory"
)


def explain(error: OSError) -> str | None:
    """One sentence for the operating system's refusals that a user can cure; None for others."""
    if error.errno not in CURES:
        return None
    where = error.filename2 or error.filename
    return f"{os.fsdecode(where)}: {CURES[error.errno]}" if where else CURES[error.errno]


def on_one_line(message: str) -> str:
    r"""`message` without line breaks, for names that hold them and for click's lists of choices.

    >>> on_one_line("Missing argument 'NAME'. Choose from:\n\tv1,\n\tv2")
    "Missing argument 'NAME'. Choose from: v1, v2"
    """
    return " ".join(line.strip() for line in message.splitlines() if line.strip())


def print_version(wanted: bool) -> bool:
    """Print the version and leave, when `--version` was given."""
    if wanted:
        print(f"kws {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: bool = typer.Option(
        False,
        "--version",
        is_eager=True,
        callback=print_version,
        help="Print the version and exit.",
    ),
) -> None:
    """Options of `kws` itself."""


def invoke(arguments: list[str]) -> int:
    """Parse `arguments` and run their command. Returns its exit code; exceptions pass through."""
    from kws.cli import groups  # registers every command

    if arguments and arguments[0] in groups.lacking:
        raise UsageError(f"this copy of the course does not contain {arguments[0]}: {LATER_KIT}")
    return invoke_app(app, "kws", arguments)


def invoke_app(app: typer.Typer, name: str, arguments: list[str]) -> int:
    """Run a command of `app`, called `name` in messages; exceptions pass through."""
    command = typer.main.get_command(app)
    try:
        with command.make_context(name, list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as leave:  # --help, --version
        return leave.exit_code
    finally:
        sys.stdout.flush()  # a closed pipe raises here, not after the end
    return 0


def run(arguments: list[str]) -> int:
    """Run one command line, such as `["data", "check", "corpus"]`, and return its exit code."""
    return exit_code("kws", lambda: invoke(arguments))


def exit_code(name: str, command: Callable[[], int]) -> int:
    """The result of `command`, or the exit code of its error, which is printed in one sentence."""
    try:
        return command()
    except UsageError as error:
        message = f"{name}: {error}"
    except ClickException as error:
        message = complaint(error, name)
    except ImportError as error:  # `from kws.training import loop` of a kit without it, too
        if not (error.name or "").startswith("kws."):
            raise
        message = f"{name}: this copy of the course does not contain {error.name}: {LATER_KIT}"
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  (whatever is left is not wanted)
        return BROKEN_PIPE
    except OSError as error:
        if (sentence := explain(error)) is None:
            raise
        message = f"{name}: {sentence}"
    except (KeyboardInterrupt, typer.Abort) as error:
        print(f"{name}: {error if str(error) else 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        message = f"{name}: {OUT_OF_MEMORY}"
    if message:
        print(on_one_line(message), file=sys.stderr)
    return BAD_INPUT


def complaint(error: Exception, name: str = "kws") -> str:
    """click's complaint as one sentence; "" without arguments, as click has printed the help."""
    text = error.format_message().rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context else name
    return text and f"{command}: {text[0].lower()}{text[1:]}: try '{command} --help'"


def main() -> None:
    """The console script: run the command line and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text, or no ASCII
        sys.stdout.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    if code == INTERRUPTED and sys.argv[1:2] == ["listen"]:  # unloading torch takes 0.7 CPU seconds
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
