"""What Python refuses a student's code while it runs, however it is written; what it lets be."""

import torch

from grader.core.outcomes import Reason
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import stopped

CODE = code_beside(__file__)
HEAD = CODE["head"]
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
HELPERS = CODE["helpers"]
HONEST = CODE["honest"]


def test_what_is_put_together_while_it_runs_is_refused(student):
    lines = [f"def f{n}():\n    return {text}" for n, text in enumerate(REFUSED.values())]
    answers = student(HEAD + HELPERS + "def f():\n    pass\n" + "\n".join(lines))
    for number, name in enumerate(REFUSED):
        ending = stopped(getattr(answers, f"f{number}"))
        assert ending.reason in (Reason.FORBIDDEN, Reason.ERROR), (name, ending)
        words = ("is not for answers", "no files but its own", "loaded already", "was changed")
        assert any(word in ending.message for word in words), (name, ending.message)


def test_usual_python_and_the_libraries_own_affairs_work(student):
    y, kind = student(HEAD.rpartition("names =")[0] + HONEST).f(torch.ones(2, 4))
    assert y.shape == (2, 4)
    assert kind == "int"
