"""The evaluator's end of one check: sends requests, enforces time limits, validates answers.

An answer is a value of `wire`, or one of few reasons with a short text; anything else ends the
check as tampered with. The session reports how a check process ended.
"""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grader.core.outcomes import Reason, Stopped
from grader.sandbox import wire
from grader.sandbox.student_errors import shown_words
from grader.sandbox.tier import Limits

MAY_SAY = (Reason.NOT_STARTED, Reason.MISSING, Reason.ERROR, Reason.MEMORY, Reason.FORBIDDEN)
MOST = 600  # characters of a message, with the 200 of an exception
CHUNK = 1 << 20
_CRASHES: dict[int, str] = {
    signal.SIGSEGV: "it crashed with a segmentation fault",
    signal.SIGABRT: "it was aborted",
    signal.SIGBUS: "it crashed with a bus error",
    signal.SIGKILL: "it was killed",
}


@dataclass(frozen=True)
class Ended:
    """How a check process ended: wait status, processor seconds, extra bytes of memory."""

    status: int
    seconds: float
    memory: int


class Connection:
    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        first: dict[str, Any],
        *,
        kill: Callable[[], None],
        ended: Callable[[], Ended | None],
        may_report_fault: bool,
    ):
        """`may_report_fault`: the process also runs our code, which may fail."""
        self.sock, self.limits = sock, limits
        self._kill, self._ended = kill, ended
        self._reasons = (*MAY_SAY, Reason.INFRASTRUCTURE) if may_report_fault else MAY_SAY
        self._number, self._left, self._over = 0, limits.wall, None
        self._bound = False
        self._what = "loading the definitions"
        self._over: Stopped | None = None
        self._send({"id": 0, **first}, time.monotonic() + self._left, lambda x: x)

    def ask(self, what: str, special: Callable[[Any], Any] = lambda x: x, **request: Any) -> Any:
        """Return the answer to a request, called `what` in messages; Stopped if there is none."""
        if self._over is not None:
            raise self._over
        begin = time.monotonic()
        try:
            self._confirm(begin + self._left)
            self._number += 1
            self._send({"id": self._number, **request}, begin + self._left, special)
            answer = self._answer(begin + self._left)
        except Stopped as stopped:
            raise self._finish(stopped) from None
        except TimeoutError:
            raise self._finish(self._timeout(what)) from None
        except (EOFError, ConnectionError):
            raise self._finish(self._death(what)) from None
        except (wire.Malformed, TypeError, ValueError, KeyError, IndexError):
            raise self._finish(tampered(what)) from None
        finally:
            self._left -= time.monotonic() - begin
        if "error" in answer:
            raise self._rejection(what, answer["error"])
        return answer["value"]

    def close(self) -> None:
        if self._over is None:
            self._over = Stopped(Reason.INFRASTRUCTURE, "this check is over")
        self.sock.close()
        self._kill()

    def fail(self, stopped: Stopped) -> Stopped:
        """End the check: return the reason, and raise it from now on."""
        return self._finish(stopped)

    def _confirm(self, deadline: float) -> None:
        """Read once the confirmation, sent before any code runs, that the process is confined."""
        if self._bound:
            return
        answer = self._answer(deadline, expected=0)
        if "error" in answer:
            raise Stopped(Reason.INFRASTRUCTURE, f"a check could not start: {answer['error'][1]}")
        self._bound = True

    def _send(self, message: Any, deadline: float, special: Callable[[Any], Any]) -> None:
        try:
            for part in wire.dump(message, special):
                view = memoryview(part)
                while view:
                    self.sock.settimeout(_until(deadline))
                    view = view[self.sock.send(view[:CHUNK]) :]
        except (ConnectionError, EOFError):
            if self._number:  # the first message has no recipient yet
                raise

    def _answer(self, deadline: float, expected: int | None = None) -> dict[str, Any]:
        text, body = wire.lengths(self._exactly(wire.PREFIX.size, deadline), self.limits.message)
        header, tensors = self._exactly(text, deadline), self._exactly(body, deadline)
        answer = wire.load(header, tensors)
        number = self._number if expected is None else expected
        kind = {"value", "error"} & set(answer) if isinstance(answer, dict) else set()
        if len(kind) != 1 or len(answer) != 2 or answer["id"] != number:
            raise wire.Malformed("an answer to another question")
        return answer

    def _exactly(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            self.sock.settimeout(_until(deadline))
            part = self.sock.recv(min(size - len(data), CHUNK))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _rejection(self, what: str, answer: Any) -> Stopped:
        try:
            reason, message, hint = (str(part) for part in answer)
            found = Reason(reason)
        except (TypeError, ValueError):
            return self._finish(tampered(what))
        if found not in self._reasons:
            return self._finish(tampered(what))
        return Stopped(found, shown_words(message, MOST), shown_words(hint, MOST))

    def _timeout(self, what: str) -> Stopped:
        seconds = f"{self.limits.seconds:g} seconds"
        hint = "is there a loop that does not end?"
        return Stopped(Reason.TIMEOUT, f"{self._subject(what)} took longer than {seconds}", hint)

    def _death(self, what: str) -> Stopped:
        ended = self._ended()
        subject = self._subject(what)
        if ended is None:
            message = f"{subject} closed the connection to the grader"
            return Stopped(Reason.TAMPER, message)
        code = os.waitstatus_to_exitcode(ended.status)
        if code == -signal.SIGXCPU or ended.seconds >= self.limits.seconds:
            return self._timeout(what)
        if code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS) and (
            ended.memory >= 0.8 * self.limits.memory
        ):
            message = f"{subject} asked for more memory than a check may use"
            return Stopped(Reason.MEMORY, message)
        if code >= 0:
            cause = f"it exited with status {code}"
        else:
            cause = _CRASHES.get(-code, f"signal {-code}")
        hint = "is there a recursion that does not end?" if code == -signal.SIGSEGV else ""
        return Stopped(Reason.KILLED, f"{subject} ended its process: {cause}", hint)

    def _subject(self, what: str) -> str:
        return what if self._number > 1 else f"{what} (or loading the definitions)"

    def _finish(self, stopped: Stopped) -> Stopped:
        self._over = stopped
        self.sock.close()
        self._kill()
        return stopped


def tampered(what: str) -> Stopped:
    """Stopped for an answer that our worker never sends."""
    return Stopped(
        Reason.TAMPER, f"what came back from {what} is not what the grader's worker sends"
    )


def _until(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
