"""What a student reads of an exception: its words, and the line of their own code it came from."""

import linecache
import re
import types

from grader.core.outcomes import Reason
from kws.errors import is_out_of_memory

MOST = 300  # characters of an exception's own words
TOO_MUCH = "more memory than a check may use"
NO_GPU = "a GPU, and there is none here: use the device of the input, as in x.device"
NO_INPUT = "something to be typed in, and nobody can type here"


class Refusal(Exception):  # noqa: N818  (an ending, as Stopped is)
    """A request has no answer: what `Stopped` will say in the evaluator."""

    def __init__(self, reason: Reason, message: str, hint: str = ""):
        super().__init__(message)
        self.reason, self.message, self.hint = reason, message, hint


class ForbiddenError(ImportError):
    """Student code reached for what it may not use."""


def blame(error: BaseException, what: str, wheres: frozenset[str]) -> Refusal:
    """The refusal for an exception that `what` raised; `wheres` are the files that are theirs."""
    if isinstance(error, Refusal):
        return error
    frame = _last_of(error, wheres)
    hint = "" if frame is None else quote(*frame[:2])
    words = _words(error)
    if isinstance(error, ForbiddenError):
        return Refusal(Reason.FORBIDDEN, words, hint)
    if isinstance(error, NotImplementedError) and (not words or words.startswith("TODO")):
        inner = frame[2] if frame else ""
        todo = words or "TODO"
        subject = "" if inner in ("", "<module>", what) else f"{what} needs {inner}: "
        start = subject or f"{what}: "
        return Refusal(Reason.NOT_STARTED, f"{start}{todo} is still to be done")
    no_memory = isinstance(error, MemoryError) or is_out_of_memory(RuntimeError(words))
    if no_memory or "bad_alloc" in words:
        return Refusal(Reason.MEMORY, f"{what} asked for {TOO_MUCH}", hint)
    if isinstance(error, (AssertionError, RuntimeError)) and re.search("CUDA|NVIDIA", words):
        return Refusal(Reason.ERROR, f"{what} asked for {NO_GPU}", hint)
    if type(error) is EOFError and words == "EOF when reading a line":
        return Refusal(Reason.ERROR, f"{what} asked for {NO_INPUT}", hint)
    if isinstance(error, SyntaxError) and error.filename in wheres:
        hint = quote(error.filename or "", error.lineno or 1)
        words = error.msg
    kind = type(error).__name__
    message = f"{what} raised {kind}: {words}" if words else f"{what} raised {kind}"
    return Refusal(Reason.ERROR, message, hint)


def _words(error: BaseException) -> str:
    """What the exception says, cut; nothing where it fails to say it."""
    try:
        text = str(error).strip()
    except BaseException:  # a student's own class may raise anything
        return ""
    return text if len(text) <= MOST else text[:MOST] + " …"


def _last_of(error: BaseException, wheres: frozenset[str]) -> tuple[str, int, str] | None:
    """File, line and function of the innermost frame that is theirs."""
    found: tuple[str, int, str] | None = None
    step: types.TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename in wheres:
            name = getattr(code, "co_qualname", code.co_name)  # Python 3.11 knows the class
            found = (code.co_filename, step.tb_lineno, name)
        step = step.tb_next
    return found


def quote(where: str, line: int) -> str:
    """`cell 7, line 3: scores = q @ k`."""
    source = linecache.getline(where, line).strip()
    return f"{where}, line {line}: {source[:160]}" if source else f"{where}, line {line}"
