"""An exception as shown to students: its type, the line of their own code, 200 characters.

`raise ValueError(str(x))` puts a few hidden inputs into the report, which is accepted: expected
values and labels never enter the check process, the seed changes every term, and preventing it
would mean matching every message against all of torch's. Length and characters are bounded, in the
evaluator too, as the check process may have been taken over (`shown_words`).
"""

import linecache
import re
import types

from grader.core.outcomes import Reason
from grader.core.text import one_line
from kws.course.may_run import TooLong
from kws.errors import is_out_of_memory

MOST_WORDS, MOST_KIND = 200, 80  # characters of an exception's message, and of its type
TOO_MUCH = "more memory than a check may use"
NO_GPU = "a GPU, and there is none here: use the device of the input, as in x.device"
NO_INPUT = "keyboard input, which is not available here"


class Rejection(Exception):  # noqa: N818  (an ending, as Stopped is)
    """A request without an answer; raised as `Stopped` in the evaluator."""

    def __init__(self, reason: Reason, message: str, hint: str = ""):
        super().__init__(message)
        self.reason, self.message, self.hint = reason, message, hint


class ForbiddenError(ImportError):
    """Student code used something forbidden."""


def explain(error: BaseException, what: str, source_files: frozenset[str]) -> Rejection:
    if isinstance(error, Rejection):
        return error
    frame = _innermost(error, source_files)
    hint = "" if frame is None else quote(*frame[:2])
    words = _words(error)
    if isinstance(error, ForbiddenError):
        return Rejection(Reason.FORBIDDEN, words, hint)
    if isinstance(error, NotImplementedError) and (not words or words.startswith("TODO")):
        inner = frame[2] if frame else ""
        todo = words or "TODO"
        subject = "" if inner in ("", "<module>", what) else f"{what} needs {inner}: "
        start = subject or f"{what}: "
        return Rejection(Reason.NOT_STARTED, f"{start}{todo} is still to be done")
    if isinstance(error, TooLong):
        return Rejection(Reason.MISSING, f"{what} was {words}", hint)
    no_memory = isinstance(error, MemoryError) or is_out_of_memory(RuntimeError(words))
    if no_memory or "bad_alloc" in words:
        return Rejection(Reason.MEMORY, f"{what} asked for {TOO_MUCH}", hint)
    if isinstance(error, (AssertionError, RuntimeError)) and re.search("CUDA|NVIDIA", words):
        return Rejection(Reason.ERROR, f"{what} asked for {NO_GPU}", hint)
    if type(error) is EOFError and words == "EOF when reading a line":
        return Rejection(Reason.ERROR, f"{what} asked for {NO_INPUT}", hint)
    if isinstance(error, SyntaxError) and error.filename in source_files:
        hint = quote(error.filename or "", error.lineno or 1)
        words = shown_words(error.msg, MOST_WORDS)
    kind = shown_words(type(error).__name__, MOST_KIND)
    message = f"{what} raised {kind}: {words}" if words else f"{what} raised {kind}"
    return Rejection(Reason.ERROR, message, hint)


def shown_words(text: str, most: int) -> str:
    """The beginning of a text, on one line, without control characters."""
    text = one_line(text[: 2 * most]).strip()
    return text if len(text) <= most else text[: most - 2] + " …"


def _words(error: BaseException) -> str:
    try:
        return shown_words(str(error), MOST_WORDS)
    except BaseException:  # a student's own class may raise anything
        return ""


def _innermost(error: BaseException, source_files: frozenset[str]) -> tuple[str, int, str] | None:
    found: tuple[str, int, str] | None = None
    step: types.TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename in source_files:
            name = getattr(code, "co_qualname", code.co_name)  # Python 3.11 has the class
            found = (code.co_filename, step.tb_lineno, name)
        step = step.tb_next
    return found


def quote(where: str, line: int) -> str:
    source = linecache.getline(where, line).strip()
    return f"{where}, line {line}: {source[:160]}" if source else f"{where}, line {line}"
