"""Run student code in confined processes that return values; the evaluator compares them.

    with Sandbox() as sandbox, sandbox.session() as session, session.check(code) as student:
        scores = student.attend(q, k, v)

The evaluator (this process: pytest, hidden data, expected values) starts a *server* that has torch
loaded; the server forks a *session* per submission; the session forks a *check* process per check.
Only the last one runs student code.
"""

from grader.sandbox.program import Code
from grader.sandbox.remote import RemoteModule, RemoteStudent, Seen
from grader.sandbox.sandbox import Sandbox, Session
from grader.sandbox.tier import Gpu, Limits, Tier, read_gpu
from grader.sandbox.wire import Opaque

__all__ = [
    "Code",
    "Gpu",
    "Limits",
    "Opaque",
    "RemoteModule",
    "RemoteStudent",
    "Sandbox",
    "Seen",
    "Session",
    "Tier",
    "read_gpu",
]
