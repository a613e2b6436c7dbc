"""What Python refuses a student's code while it runs, however it is written; what it lets be."""

import pytest

from grader.core.outcomes import Reason
from tests.grader.sandbox.conftest import stopped

HEAD = """
import contextlib, dataclasses, functools, typing
import collections, copy, io, pickle, tempfile, traceback
from pathlib import Path
import numpy as np
import torch
from torch import nn

names = __builtins__ if isinstance(__builtins__, dict) else vars(__builtins__)
"""
REFUSED = {
    "text as code": "names['ex' + 'ec']('x = 1')",
    "a compiled text": "names['comp' + 'ile']('x = 1', 'torch/a.py', 'exec')",
    "an expression in text": "names['ev' + 'al']('1 + 1')",
    "text by way of pickle": "pickle.loads(b'cbuiltins\\nexec\\n(Vx = 1\\ntR.')",
    "text by way of dataclasses": "getattr(dataclasses, '_create' + '_fn')('f', (), ['return 1'])",
    "a parsed library": "__import__('ast').parse('x = 1')",
    "a module's source": "__import__('inspect').getsource(nn.functional.glu)",
    "its own code object": "f.__code__",
    "another's code object": "nn.functional.glu.__code__.replace(co_name='mine')",
    "frames": "__import__('sys')._getframe(1)",
    "the frames of an error": "raised().__traceback__.tb_frame",
    "all objects": "__import__('gc').get_objects()",
    "C": "__import__('ctypes').pythonapi.Py_GetVersion()",
    "a library's file": "Path(torch.__file__).read_bytes()",
    "a library loaded again": "__import__('importlib').reload(nn.functional)",
    "a library imported again": "again('torch.nn.functional')",
    "a library without its finder": "unwatched('torchaudio.prototype.functional')",
    "a library's file as a module": "fresh(nn.functional.__file__)",
    "a text compiled by torch": "torch.jit.CompilationUnit('def f(x):\\n    return x')",
    "a text that torch adds": "torch.jit._state._python_cu.define('def f(x):\\n    return x')",
    "a profile": "__import__('sys').setprofile(print)",
}
HELPERS = """
def raised():
    try:
        1 / 0
    except ZeroDivisionError as error:
        return error

def again(name):
    import sys
    del sys.modules[name]
    return __import__(name)

def unwatched(name):
    import sys
    sys.meta_path.pop(0)
    return __import__(name)

def fresh(path):
    from importlib import util
    spec = util.spec_from_file_location("fresh", path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
"""
HONEST = """
@dataclasses.dataclass(frozen=True)
class Sizes:
    width: int = 4
    names: list = dataclasses.field(default_factory=list)

Pair = collections.namedtuple("Pair", "a b")

class Named(typing.NamedTuple):
    a: int

@contextlib.contextmanager
def quiet():
    yield

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self._cache = {}
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    @torch.no_grad()
    def forward(self, x: "torch.Tensor"):
        return self._modules["linear"](x)

@functools.lru_cache
def cached(n):
    return n

@functools.singledispatch
def kind(x):
    return "other"

@kind.register
def _(x: int):
    return "int"

def f(x):
    with quiet():
        layer = copy.deepcopy(Layer())
    best = io.BytesIO()
    torch.save(layer.state_dict(), best)
    torch.save(layer.state_dict(), "best.pt")
    layer.load_state_dict(torch.load("best.pt"))
    Path("note.txt").write_text("mine")
    with tempfile.TemporaryFile() as file:
        pickle.dump({"a": x}, file)
    try:
        raise ValueError("mine")
    except ValueError:
        shown = traceback.format_exc()
    made = dataclasses.make_dataclass("Made", ["a"])(1)
    import torch.nn.utils.rnn as rnn
    from concurrent import futures
    rnn.pad_sequence([x[0]])
    assert typing.get_type_hints(Layer.forward)
    np.lib.stride_tricks.sliding_window_view(np.ones(4), 2)
    torch.optim.AdamW(layer.parameters()).zero_grad()
    torch.func.vmap(lambda row: row * 2)(x)
    return layer(x) * cached(2) + Sizes().width + Pair(1, 2).a + Named(1).a + made.a, kind(3)
"""


@pytest.fixture
def answers(student):
    lines = [f"def f{n}():\n    return {text}" for n, text in enumerate(REFUSED.values())]
    return student(HEAD + HELPERS + "def f():\n    pass\n" + "\n".join(lines))


def test_what_is_put_together_while_it_runs_is_refused(answers):
    for number, name in enumerate(REFUSED):
        ending = stopped(getattr(answers, f"f{number}"))
        assert ending.reason in (Reason.FORBIDDEN, Reason.ERROR), (name, ending)
        words = ("is not for answers", "no files but its own", "loaded already", "was changed")
        assert any(word in ending.message for word in words), (name, ending.message)


def test_usual_python_and_the_libraries_own_affairs_work(student):
    import torch

    y, kind = student(HEAD.rpartition("names =")[0] + HONEST).f(torch.ones(2, 4))
    assert y.shape == (2, 4)
    assert kind == "int"
