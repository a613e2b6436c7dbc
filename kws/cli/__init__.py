"""The `kws` command. Each command lives in the module of its group and imports torch only when it runs."""

import errno
import os
import sys
from pathlib import Path

import typer

from kws.errors import UsageError

app = typer.Typer(
    name="kws",
    help="Keyword spotting and speaker recognition with audio Transformers, written out by hand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Make, fetch and pack data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

CURES = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up: free some space or choose another folder",
    errno.EFBIG: "the file grew past this system's limit: choose another folder",
    errno.EROFS: "the folder is read-only: choose another one",
    errno.EACCES: "permission denied: choose a folder that you may write to, or a file that you may read",
    errno.EPERM: "not permitted: choose a folder that you may write to",
    errno.ENOENT: "no such file or folder: check the path",
    errno.ENOTDIR: "a part of this path is a file, not a folder: check the path",
    errno.EISDIR: "this is a folder, a file was expected: check the path",
}


def explain(error: OSError) -> str | None:
    """One sentence for the operating system's refusals that a user can cure; None for the others."""
    if error.errno not in CURES:
        return None
    where = error.filename2 or error.filename
    return f"{os.fsdecode(where)}: {CURES[error.errno]}" if where else CURES[error.errno]


def main() -> None:
    """Run the command line. Exit codes: 0 done, 2 bad input (one sentence on stderr), 130 interrupted."""
    from kws.cli import commands  # noqa: F401  (registers every command)

    try:
        app(standalone_mode=True)
    except UsageError as error:
        message = str(error)
    except OSError as error:
        if (sentence := explain(error)) is None:
            raise
        message = sentence
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    else:
        return
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(2)
