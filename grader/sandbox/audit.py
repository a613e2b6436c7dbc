"""A Python audit hook for check processes: refuses code from text, frames and files.

`kws.course.own_work` rejects forbidden names in the source. A name built at run time passes it, but
not this hook, as Python raises the event at the operation itself. Operations inside library
functions are allowed: dataclasses run text as code, and torch opens its own files.
"""

import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from threading import get_ident
from types import FrameType
from typing import Any

import torch

from grader import ROOT
from grader.sandbox.student_errors import ForbiddenError

TEXT = ("compile", "exec", "marshal.loads", "code.__new__", "function.__new__")
LOOKING = ("sys._getframe", "sys._current_frames", "sys.setprofile", "sys.settrace")
LOOKING += ("gc.get_objects", "gc.get_referrers", "gc.get_referents")
INNER = ("__code__", "f_code", "tb_frame", "gi_code", "cr_code", "ag_code")
EVENTS = frozenset({*TEXT, *LOOKING, "object.__getattr__", "object.__setattr__", "open", "import"})
CALL = ("_wrapped_call_impl", "_call_impl")  # of torch's modules: `model(x)`
# modules of Python that do what their caller wants done
CARRIERS = """
_pyio ast bdb code codecs codeop contextlib copy dis doctest fileinput functools glob inspect io
linecache marshal opcode os pathlib pdb pickle pkgutil runpy shutil tempfile timeit tokenize trace
types zipimport
"""
FOLDERS = ("ctypes", "importlib", "pathlib")  # likewise


def watch(finder: MetaPathFinder, home: str) -> None:
    """Refuse for good what student code may not do; `finder` checks imports."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    carriers = tuple(str(stdlib / f"{name}.py") for name in CARRIERS.split())
    carriers += (*(str(stdlib / name) for name in FOLDERS), "<frozen ")
    places = (stdlib, Path(torch.__file__).parents[1], ROOT / "grader", ROOT / "kws")
    libraries = tuple(map(str, places))
    inside: set[int] = set()  # looking at frames raises events, too
    frame_of, thread, path_of = sys._getframe, get_ident, os.path.abspath  # as they are now

    def hook(event: str, arguments: Sequence[Any]) -> None:
        if event not in EVENTS and not event.startswith("ctypes."):
            return
        me = thread()
        if me in inside:
            return
        inside.add(me)
        try:
            judge(event, arguments, frame_of(1))
        finally:
            inside.discard(me)

    def judge(event: str, arguments: Sequence[Any], frame: FrameType) -> None:
        harmless = event.startswith("object.") and arguments[1] not in INNER
        harmless |= event == "open" and is_theirs(arguments[0])
        if harmless:
            return
        if event == "import":
            if finder not in (arguments[3] or ()):
                raise ForbiddenError("sys.meta_path was changed: nothing is imported any more")
        elif is_students(frame, through_private=event in TEXT):
            if event == "open":
                raise PermissionError("an answer reads and writes no files but its own")
            name = arguments[1] if event.startswith("object.") else event
            raise ForbiddenError(f"{name} is not for answers: they run no text as code")

    def is_theirs(path: Any) -> bool:
        if isinstance(path, int):
            return True
        try:
            return path_of(os.fsdecode(path)).startswith((home, os.devnull))
        except (TypeError, ValueError):
            return False

    def is_students(frame: FrameType | None, *, through_private: bool) -> bool:
        while frame is not None and frame.f_code.co_filename.startswith(carriers):
            if frame.f_code.co_name == "_find_and_load":
                return False  # an import
            frame = frame.f_back
        last = ""
        while frame is not None and frame.f_code.co_filename.startswith(libraries):
            if not through_private:
                return False
            last, frame = frame.f_code.co_name, frame.f_back
        private = last.startswith("_") and not last.endswith("__") and last not in CALL
        return frame is not None and (private or not last)

    sys.addaudithook(hook)
