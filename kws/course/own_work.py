"""What an answer may use, stated once: the notebook's checks and the grader both read it here.

An answer is the student's own work if it is made of the public names of Python, torch, numpy and
the course's package. It calls nothing private to a library, runs no text as code, looks into no
frame, and reads no file; and it does not call what answers its task by itself, by whatever name:
`refusal` decides by a dotted name, `watch_calls` by Python's calls and torch's operators.
"""

import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, no_type_check

METHODS = ("__init__", "forward", "__call__")  # of a class, what using it runs
PYTHON = """
__future__ abc array base64 binascii bisect calendar cmath collections concurrent contextlib copy
csv dataclasses datetime decimal difflib enum fractions functools glob hashlib heapq io itertools
json keyword locale logging math ntpath numbers operator os pathlib pickle posixpath pprint queue
random re shutil stat statistics string struct sys tempfile textwrap threading time traceback types
typing unicodedata uuid warnings wave weakref zlib
"""
LIBRARIES = """
IPython jaxtyping kws matplotlib numpy safetensors soundfile torch torchaudio tqdm
typing_extensions
"""  # they come with this package: a grader has them, too
# modules of torch; a function or class of torch itself is public if its name is
TORCH = """
accelerator amp autograd backends compiler cpu cuda distributions fft func functional linalg masked
mps nested nn optim quasirandom random return_types signal sparse special testing types utils
version
"""
PUBLIC = frozenset(PYTHON.split()), frozenset(LIBRARIES.split()), frozenset(TORCH.split())
HIDDEN = """
builtins.open io.open kws.cli kws.course kws.student os.execv os.fork os.open os.popen os.system
sys.meta_path sys.modules sys.path_hooks sys.setprofile sys.settrace torch.export torch.fx torch.hub
torch.jit torch.library torch.onnx torch.overrides torch.package torch.utils.cpp_extension
types.CodeType types.FunctionType
"""  # inside of what is public
BUILTINS = frozenset({"__builtins__", "__import__", "compile", "eval", "exec", "open"})
INNER = """
__base__ __bases__ __builtins__ __closure__ __code__ __globals__ __import__ __loader__ __mro__
__spec__ __subclasses__ cr_frame f_back f_builtins f_globals f_locals gi_frame read_bytes read_text
tb_frame
"""
ATTRIBUTES = frozenset(INNER.split())
ALLOWED = (
    "you may use public names of Python, torch and numpy, and those of kws that the notebook "
    "imports; exec, eval and reading files are not allowed"
)

READY = (  # a word in a forbidden name -> how the operators begin that compute the same
    ("scaled_dot_product", ("aten::scaled_dot_product", "aten::_scaled_dot_product")),
    ("scaled_dot_product", ("aten::_flash_attention", "aten::_efficient_attention", "onnx::Att")),
    ("TransformerEncoder", ("aten::_transformer_encoder_layer_fwd",)),
    ("MultiheadAttention", ("aten::_native_multi_head_attention",)),
    ("torch.stft", ("aten::stft",)),
    ("hann_window", ("aten::hann_window",)),
    ("hamming_window", ("aten::hamming_window",)),
    ("functional.glu", ("aten::glu",)),
    ("functional.unfold", ("aten::im2col",)),
    ("functional.interpolate", ("aten::upsample_", "aten::_upsample_")),
    ("grid_sample", ("aten::grid_sampler", "aten::_grid_sampler")),
    ("functional.cross_entropy", ("aten::cross_entropy_loss",)),
    ("ctc_loss", ("aten::ctc_loss", "aten::_ctc_loss")),
    ("repeat_interleave", ("aten::repeat_interleave",)),
    ("cross_entropy_with_logits", ("aten::binary_cross_entropy_with_logits",)),
)
KERNELS = (  # what computes on a processor, for nested tensors and within vmap as well
    "CPU",
    "AutogradCPU",
    "CompositeImplicitAutograd",
    "CompositeExplicitAutograd",
    "NestedTensorCPU",
    "FuncTorchVmapMode",
)


@lru_cache(maxsize=4096)
def refusal(name: str) -> str | None:
    """What of a dotted name no answer may use, or None.

    >>> refusal("torch.nn.functional.softmax"), refusal("torch._VF.stft"), refusal("torch.inspect")
    (None, 'torch._VF', 'inspect')
    """
    where, *parts = name.split(".")
    at = sys.modules.get(where)
    if not is_public(where):
        return where
    for part in parts:
        where = f"{where}.{part}"
        if is_private(part) or _is_in(where, HIDDEN.split()):
            return where
        at = vars(at).get(part, sys.modules.get(where)) if isinstance(at, ModuleType) else None
        if isinstance(at, ModuleType):  # `torch.inspect` is Python's, `F.torch` is torch again
            where = at.__name__
            if not is_public(where):
                return where
    return None


def is_private(part: str) -> bool:
    """`_VF`, but neither `__name__` nor `_`.

    >>> is_private("_VF"), is_private("__name__"), is_private("_"), is_private("linear")
    (True, False, False, False)
    """
    return part.startswith("_") and part != "_" and not part.endswith("__")


def is_library(module: str) -> bool:
    """Whether a module of this name is Python's or a library's, not the student's."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in PUBLIC[1]


@cache
def is_installed(module: str) -> bool:
    """Whether an import of that name is Python's or a library's on every machine."""
    top, paths = module.partition(".")[0], sysconfig.get_paths()
    if top in PUBLIC[1] or top in sys.stdlib_module_names:
        return True
    places = [paths["stdlib"], paths["purelib"], paths["platlib"]]
    return PathFinder.find_spec(top, places) is not None


def is_own(module: str) -> bool:
    """Whether a module of this name can be a script of the student's alone: it runs as one here."""
    loaded = sys.modules.get(module.partition(".")[0])
    file = getattr(loaded, "__file__", None)
    return bool(file) and not is_installed(module)


def is_public(module: str) -> bool:
    """Whether an answer may use the module of this name, under any alias."""
    top, _, rest = module.partition(".")
    python, libraries, torchs = PUBLIC
    if top not in (python if top in sys.stdlib_module_names else libraries):
        return False
    inside = not rest or top != "torch" or rest.partition(".")[0] in torchs
    return inside and not _is_in(module, HIDDEN.split())


def _is_in(name: str, parents: Iterable[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


@cache
def operators() -> tuple[tuple[str, str, str, str], ...]:
    """(word in a forbidden name, library, operator, key) of each kernel that gives an answer."""
    # here, so that commands which only read notebooks start without torch
    from kws.torch_internals import has_kernel, operator_names

    every = sorted(operator_names())
    return tuple(
        (word, name.partition("::")[0], name.partition("::")[2], key)
        for word, begins in READY
        for name in every
        if name.startswith(begins)
        for key in KERNELS
        if has_kernel(name, key)
    )


def occupy(forbidden: Iterable[str], trap_of: Callable[[str], Callable[..., Any]]) -> list[Any]:
    """Put traps in the place of forbidden kernels for as long as what is returned lives."""
    from kws.torch_internals import open_library

    held = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the first kernel that is replaced
        for name in forbidden:
            for word, library, operator, key in operators():
                if word in name:
                    held.append(open_library("IMPL", library, ""))
                    held[-1].impl(operator, key, trap_of(name))
    return held


class ReadyAnswer(RuntimeError):  # noqa: N818  (a verdict)
    """A library's own answer to the task was about to run."""


@contextmanager
def watch_calls(names: Iterable[str], called: list[str]) -> Iterator[None]:
    """Add to `called` which of these names are called; ReadyAnswer for an operator like one."""
    names = tuple(names)
    targets: dict[Any, str] = {}
    packages = [name for name in names if isinstance(_resolve(name), ModuleType)]
    for name in names:
        for target in _targets(_resolve(name)):
            targets.setdefault(target, name)

    @no_type_check  # by the tests' type checker: this runs at every call
    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            name = targets.get(frame.f_code)
            if packages and name is None:
                module = str(frame.f_globals.get("__name__"))
                name = next((one for one in packages if _is_in(module, [one])), None)
        else:
            name = targets.get(argument) if type(argument) is BuiltinFunctionType else None
        if name is not None and name not in called:
            called.append(name)

    def trap_of(name: str) -> Callable[..., Any]:
        def trap(*arguments: Any, **options: Any) -> Any:
            if name not in called:
                called.append(name)
            raise ReadyAnswer(f"{name} is the library's own answer to this task")

        return trap

    before = sys.getprofile()
    held = occupy(names, trap_of)
    if targets:
        sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        held.clear()


def _resolve(name: str) -> Any:
    """The object with a dotted name; None if its module has not been imported."""
    module, parts = name, []
    while module and module not in sys.modules:
        module, _, last = module.rpartition(".")
        parts.insert(0, last)
    value: Any = sys.modules.get(module)
    for part in parts:
        value = getattr(value, part, None)
    return value


def _targets(value: Any) -> Iterator[CodeType | BuiltinFunctionType]:
    # a decorated function, numpy's for one, is called by way of its wrapper, which others may share
    inner = getattr(value, "__wrapped__", value)
    if isinstance(inner, FunctionType):
        yield inner.__code__
    elif isinstance(value, BuiltinFunctionType):
        yield value
    elif isinstance(value, type):
        for method in METHODS:
            if isinstance(found := vars(value).get(method), FunctionType):
                yield from _targets(found)
