"""The evaluator against a check process that was taken over: it ends the check, nothing else."""

import contextlib
import itertools
import json
import random
import signal
import socket
import threading
import types

import pytest
import torch

from grader.core.outcomes import Reason
from grader.sandbox import Limits, wire
from grader.sandbox import connection as connection_module
from grader.sandbox.connection import MOST, Connection, Ended
from grader.sandbox.remote import RemoteModule
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import stopped

LIMITS = Limits(seconds=0.5, message=1 << 20, memory=1 << 20)


def frame(value) -> bytes:
    return b"".join(wire.dump(value))


BOUND = frame({"id": 0, "value": None})


@pytest.fixture
def against():
    """`against(peer, ended)`: a connection whose other end `peer(socket)` plays in a thread."""
    killed: list[bool] = []
    with contextlib.ExitStack() as stack:

        def make(peer, *, ended: Ended | None = None, limits: Limits = LIMITS) -> Connection:
            ours, theirs = socket.socketpair()

            def play():
                with contextlib.suppress(OSError), theirs:
                    theirs.sendall(BOUND)
                    peer(theirs)

            thread = threading.Thread(target=play)
            thread.start()
            calls = {"kill": lambda: killed.append(True), "ended": lambda: ended}
            connection = Connection(ours, limits, {}, **calls, may_report_fault=False)
            stack.callback(thread.join)
            stack.callback(connection.close)
            return connection

        make.killed = killed
        yield make


def says(data: bytes):
    """A peer that says this, and then waits to be hung up on."""

    def peer(sock):
        sock.sendall(data)
        while sock.recv(1 << 16):
            pass

    return peer


def wall(monkeypatch, seconds: float) -> None:
    monkeypatch.setattr(Limits, "wall", property(lambda self: seconds))


@pytest.fixture
def ticks(monkeypatch):
    """A wall of 30 ticks of a clock that ticks each time it is asked."""
    wall(monkeypatch, 30)
    clock = types.SimpleNamespace(monotonic=itertools.count(1.0).__next__)
    monkeypatch.setattr(connection_module, "time", clock)


NOISE = [b"\0" * 64, random.Random(0).randbytes(64), b"kws1" + b"\xff" * 60]
FRAMES = [frame(json.loads(text)) for text in code_beside(__file__)["frames"]]


@pytest.mark.parametrize("data", [*NOISE, *FRAMES], ids=lambda data: repr(data[:50]))
def test_an_answer_that_our_worker_does_not_give_is_tampering(against, data):
    connection = against(says(data))
    assert stopped(connection.ask, "f", op="x").reason is Reason.TAMPER
    assert against.killed


def test_a_larger_message_an_endless_one_and_a_second_answer_are_tampering_and_a_check_stays_over(
    against,
):
    connection = against(says(wire.PREFIX.pack(b"kws1", 2, (1 << 20) + wire.MAX_JSON + 1) + b"[]"))
    assert stopped(connection.ask, "f", op="x").reason is Reason.TAMPER

    def peer(sock):
        sock.sendall(wire.PREFIX.pack(b"kws1", 2, 1 << 20) + b"[]")
        while True:
            sock.sendall(bytes(1 << 16))

    connection = against(peer)
    assert stopped(connection.ask, "f", op="x").reason is Reason.TAMPER
    connection = against(says(frame({"id": 1, "value": 1}) * 2))
    assert connection.ask("f", op="x") == 1
    first = stopped(connection.ask, "f", op="x")
    assert first.reason is Reason.TAMPER
    assert stopped(connection.ask, "g", op="x") is first


@pytest.mark.usefixtures("ticks")
def test_an_answer_that_drips_and_all_calls_of_a_check_together_run_into_the_wall(against):
    connection = against(says(frame({"id": 1, "value": 1})))
    sock = connection.sock
    connection.sock = types.SimpleNamespace(
        send=sock.send, settimeout=sock.settimeout, close=sock.close, recv=lambda size: sock.recv(1)
    )
    assert stopped(connection.ask, "f", op="x").reason is Reason.TIMEOUT
    connection = against(says(b"".join(frame({"id": n, "value": 1}) for n in range(1, 31))))
    assert connection.ask("f", op="x") == 1  # less than the wall

    def ask_again():
        for _ in range(29):
            connection.ask("f", op="x")

    assert stopped(ask_again).reason is Reason.TIMEOUT


def test_silence_and_a_peer_that_does_not_read_run_into_the_wall(against, monkeypatch):
    wall(monkeypatch, 0.2)
    assert stopped(against(says(b"")).ask, "f", op="x").reason is Reason.TIMEOUT
    over = threading.Event()
    connection = against(lambda sock: over.wait())
    big = torch.zeros(1 << 22)
    assert stopped(connection.ask, "f", op="x", args=(big,)).reason is Reason.TIMEOUT
    over.set()


@pytest.mark.parametrize(
    ("ended", "reason", "messages"),
    [
        (None, Reason.TAMPER, ""),  # it lives, and hung up
        (Ended(0, 0.1, 0), Reason.KILLED, ""),
        (Ended(7 << 8, 0.1, 0), Reason.KILLED, "exited with status 7"),
        (Ended(signal.SIGSEGV, 0.1, 0), Reason.KILLED, ""),
        (Ended(signal.SIGKILL, 0.1, 0), Reason.KILLED, ""),
        (Ended(signal.SIGRTMIN + 3, 0.1, 0), Reason.KILLED, ""),
        (Ended(signal.SIGKILL, 0.1, 1 << 20), Reason.MEMORY, ""),
        (Ended(signal.SIGABRT, 0.1, 1 << 20), Reason.MEMORY, ""),
        (Ended(signal.SIGXCPU, 0.1, 0), Reason.TIMEOUT, ""),
        (Ended(signal.SIGKILL, 0.6, 0), Reason.TIMEOUT, ""),
    ],
)
def test_how_the_process_ended_decides_the_reason(against, ended, reason, messages):
    end = stopped(against(lambda sock: None, ended=ended).ask, "f", op="x")
    assert end.reason is reason
    assert messages in end.message


def test_a_message_is_short_and_clean_and_an_answer_of_another_form_is_tampering(against):
    words = "\x1b[2J\r\u202e<b>" + "x" * 5000
    messages = stopped(
        against(says(frame({"id": 1, "error": ["error", words, "\0\x07"]}))).ask, "f", op="x"
    )
    assert messages.message.startswith("<b>xxx")
    assert len(messages.message) <= MOST
    assert messages.message.isprintable()
    assert messages.hint == ""
    for answer in (3, {"a": 1}, {1: torch.zeros(1)}, [torch.zeros(1)]):
        connection = against(says(frame({"id": 1, "value": answer})))
        module = RemoteModule(connection, wire.Ref(0, "Net"))
        assert stopped(module.state_dict).reason is Reason.TAMPER, answer


def test_a_process_that_could_not_be_confined_is_our_fault():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(frame({"id": 0, "error": ["infrastructure", "no Landlock", ""]}))
        connection = Connection(
            ours, LIMITS, {}, kill=lambda: None, ended=lambda: None, may_report_fault=False
        )
        assert stopped(connection.ask, "f", op="x").reason is Reason.INFRASTRUCTURE
