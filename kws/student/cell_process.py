"""The process in which a student's cells run: one job on stdin, one line of JSON for each event.

    {"ready": true}                                   torch is loaded
    {"cell": 7, "name": "cell [3] `def attend`"}      a cell begins
    {"check": "2.1-…", "state": "pass", "text": …, "hint": …, "where": …, "printed": …}
    {"raised": 7, "text": …, "where": …}              a cell without checks raised an error
    {"stopped": 7, "text": …, "where": …}             a statement of an answer ran too long
    {"late": "cell …, line 7: …"}                     where it is when its time is nearly over
    {"weights": "why they do not fit, or nothing"}    if a job names a model and its weights
    {"done": true}                                    or {"broken": "why nothing could run"}

States: pass, unmet, error, todo (not started), later (needs cells that only a whole run executes).
Modes: `whole`, `definitions` (see `may_run`), or `checks`, statement by statement.
"""

import ast
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import linecache
import os
import random
import re
import signal
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

from kws.course.may_run import (
    BLOCKS,
    Definition,
    TooLong,
    changes_of,
    is_harmless,
    limited,
    names_of,
    set_by,
    trains,
    used_names,
)
from kws.course.notebooks import checks_in, checks_of
from kws.course.source import parse, statements_of
from kws.course.used_names import reachable
from kws.student.processes import json_stdout

MAX_PRINTED = 2_000  # characters of one cell's output that are kept
MAX_MESSAGE = 300
NOTEBOOKS_IMPORT = (  # after torch, what takes longest
    "matplotlib.pyplot", "torchaudio", "kws.data.embedded.speaker_corpus",
    "kws.data.speech_commands", "kws.data.speakers", "kws.models.recurrent", "kws.plots",
    "kws.training.schedule", "safetensors.torch", "IPython.display",
)  # fmt: skip
LAZY = ("matplotlib.pyplot", "torchaudio")  # imported at the top of notebooks, used by few checks


class Printed(io.TextIOBase):
    """Keeps the beginning of what is printed, however much that is."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str, /) -> int:
        self.text += text[: max(0, MAX_PRINTED - len(self.text))]
        return len(text)

    def isatty(self) -> bool:
        return False


class CellText(str):
    __slots__ = ("where",)


class Jupyter:
    """What `get_ipython()` gives: the sources that ran; every method of it does nothing."""

    def __init__(self) -> None:
        self.history_manager = types.SimpleNamespace(input_hist_raw=[])

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **options: None


Finding = dict[str, str]  # state, text, hint, where


@dataclass(frozen=True, eq=False)
class CellStatement:
    """A statement of a cell that is not run as a whole."""

    node: ast.stmt
    source: str
    cell: int
    names: frozenset[str]
    changes: frozenset[str]


class Kernel:
    """A namespace in which the cells of one notebook run, in order."""

    def __init__(
        self,
        report: Callable[[object], None],
        names: Mapping[int, str] | None = None,
        whole: bool = False,
    ) -> None:
        from kws.course.checking import forget_checks

        forget_checks()
        self.report = report
        self.names = names or {}  # what a reader calls the cells
        self.whole = whole  # nothing is stopped: trainings run
        self.module = types.ModuleType("__main__")
        self.jupyter = Jupyter()
        vars(self.module).update(display=lambda *shown, **options: None)
        vars(self.module).update(get_ipython=lambda: self.jupyter)
        self.failed: dict[str, Finding] = {}  # name -> why it is not there
        self.left_out: dict[str, int] = {}  # name -> the cell that would make it
        self.statements: list[CellStatement] = []  # of cells that are not run as a whole
        self.postponed: set[CellStatement] = set()  # that run if an answer needs them
        self.answers_use: set[str] = set()

    def run(self, number: int, source: str, mode: str) -> None:
        """Run one cell and report its checks; its error is kept for cells that need its names."""
        name = f"<cell {number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        text = CellText(source)
        text.where = self.name_of(name)
        self.jupyter.history_manager.input_hist_raw.append(text)
        try:
            tree = parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            finding = self.finding(error, name)
            names = re.findall(r"^(?:def|class)\s+(\w+)|^(\w+)\s*=", source, re.M)
            self.failed |= {defined or assigned: finding for defined, assigned in names}
            if mode != "definitions":
                for check in checks_in(source):
                    self.report({"check": check, **finding, "printed": ""})
            return
        body = tree.body
        if mode == "definitions":
            for each in statements_of(tree, source):
                changes = () if trains(each.node) else changes_of(each.node)
                names = stored(each.node), frozenset((*changes, *each.drawn))
                self.define(CellStatement(each.node, each.source, number, *names))
            return
        if mode == "whole":
            self.answers_use |= used_names(source)
        self.supply()
        if mode == "checks" or any(checks_of(node) for node in body):
            if mode == "checks":
                self.seed()
            self.check(body, name)
        elif error := self.run_all(body, name):
            finding = self.finding(error, name)
            self.report({"raised": number, "text": finding["text"], "where": finding["where"]})

    def run_all(self, body: list[ast.stmt], name: str) -> BaseException | None:
        for position, node in enumerate(body):
            error = self.execute(node, name, limit=not self.whole)
            if isinstance(error, TooLong):
                self.stop(error, stored(node), name)
            elif error:
                finding = self.finding(error, name)
                lost = {each for later in body[position:] for each in stored(later)}
                self.failed |= dict.fromkeys(lost - vars(self.module).keys(), finding)
                return error
            for each in stored(node) & vars(self.module).keys():
                self.failed.pop(each, None)
        return None

    def stop(self, error: TooLong, names: Set[str], name: str) -> None:
        """Report a statement that ran too long; the cell goes on after it."""
        finding = self.finding(error, name)
        self.report({"stopped": int(name[6:-1]), **finding})
        self.failed |= dict.fromkeys(names - vars(self.module).keys(), finding)

    def define(self, statement: CellStatement) -> None:
        """Run a statement between the answers if it may run, or keep it for `supply`."""
        node = statement.node
        self.statements.append(statement)
        if is_harmless(node):
            self.attempt(statement)
        else:
            self.left_out |= dict.fromkeys(statement.names, statement.cell)
            if statement.names or statement.changes:
                self.postponed.add(statement)

    def attempt(self, statement: CellStatement) -> None:
        """Run a statement; one that needs what was left out is left out with it."""
        error = self.execute(statement.node, f"<cell {statement.cell}>", limit=True)
        for each in statement.names:
            self.left_out.pop(each, None)
        waits = isinstance(error, NameError) and error.name in self.left_out
        if isinstance(error, TooLong):
            self.stop(error, statement.names, f"<cell {statement.cell}>")
        elif waits or (error and isinstance(statement.node, BLOCKS)):
            self.left_out |= dict.fromkeys(statement.names, statement.cell)
            self.postponed.add(statement)
        elif error:
            finding = self.finding(error, f"<cell {statement.cell}>")
            self.failed |= dict.fromkeys(statement.names, finding)

    def supply(self) -> None:
        """Run what was left out and the answers need."""
        needed, _ = reachable(self.statements, self.answers_use)
        for statement in [self.statements[n] for n in needed]:
            if statement in self.postponed:
                self.postponed.remove(statement)
                own = statement.names - statement.changes
                if not own or own - vars(self.module).keys():
                    self.attempt(statement)

    def check(self, body: list[ast.stmt], name: str) -> None:
        """Report each check of a cell; an error between them fails those that follow."""
        broken: Finding | None = None
        unmet: dict[str, str] = {}  # name -> the failed check that would have made it
        for node in body:
            checks = checks_of(node)
            if broken:
                for check in checks:
                    self.report({"check": check, **broken, "printed": ""})
                continue
            printed_lines: dict[str, tuple[str, str]] = {}
            printed = Printed()
            with redirect_stdout(printed), redirect_stderr(printed), lines_to(printed_lines):
                error = self.execute(node, name)
            if error and not checks:
                broken = self.finding(error, name)
            for check, title in checks.items():
                mark, line = printed_lines.get(check, ("", ""))
                finding = {"state": "pass", "text": title or line, "hint": "", "where": ""}
                if mark == "✗" and not error:  # it printed, and the notebook goes on
                    finding |= {"state": "unmet", "text": line}
                elif error and mark != "✓":
                    finding = self.finding(error, name, check)
                    missing = error.name if isinstance(error, NameError) else None
                    if missing in unmet:
                        finding |= {"state": "todo", "text": f"comes after {unmet[missing]}"}
                        finding |= {"where": ""}
                    unmet |= dict.fromkeys(stored(node), check)
                self.report({"check": check, **finding, "printed": printed.text})

    def seed(self) -> None:
        """Reset the seed, so that a check's numbers do not depend on other checks."""
        import torch

        torch.manual_seed(0)

    def execute(self, node: ast.stmt, name: str, limit: bool = False) -> BaseException | None:
        try:
            code = compile(ast.Module([node], []), name, "exec", dont_inherit=True)
            with limited() if limit else nullcontext():
                exec(code, vars(self.module))
        except BaseException as error:  # SystemExit, too, is reported as an error
            return error
        return None

    def finding(self, error: BaseException, name: str, check: str = "") -> Finding:
        """What a student reads about an error: the fact and the place, without our frames."""
        from kws.course.checking import TODO, NotStarted, Unmet

        found = {"state": "error", "text": describe(error), "hint": "", "where": ""}
        if isinstance(error, TooLong):
            found["text"] = str(error)
        if isinstance(error, NotStarted):
            return found | {"state": "todo", "text": error.status}
        if isinstance(error, Unmet):
            fact, _, hint = str(error).partition("\n  hint: ")
            return found | {"state": "unmet", "text": fact, "hint": hint}
        if isinstance(error, NotImplementedError):
            todo = TODO.search(str(error))
            elsewhere = todo and check and todo[1] != check.partition("-")[0]
            text = f"waits for your answer to {todo[1]}" if todo and elsewhere else "not started"
            return found | {"state": "todo", "text": text}
        if isinstance(error, NameError) and error.name in self.failed:
            return self.failed[error.name]
        if isinstance(error, NameError) and error.name in self.left_out:
            cell = self.name_of(f"<cell {self.left_out[error.name]}>")
            text = f"needs `{error.name}`, which {cell} makes when the whole notebook runs"
            return found | {"state": "later", "text": text}
        hint = str(getattr(error, "kws_hint", ""))
        found["text"] += getattr(error, "kws_usual", "")
        return found | {"hint": hint, "where": self.place(*place_of(error, name))}

    def report_place(self) -> None:
        """Report the line of an answer that is running; where there is none, the check's."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        found = [(one.f_code.co_filename, line) for one, line in traceback.walk_stack(frame)]
        if found := [one for one in found if one[0].startswith("<cell ")]:
            answers = [one for one in found if one[0] != found[-1][0]]
            self.report({"late": self.place(*(answers or found)[0])})

    def place(self, at: str, line: int) -> str:
        text = linecache.getline(at, line).strip() if line else ""
        inside = definition_at(at, line)
        cell = self.name_of(at)
        cell += f", in `{inside}`" if inside and f"def {inside}`" not in cell else ""
        return f"{cell}, line {line}: {text}" if line else cell

    def misfit(self, make: str, weights: str) -> str:
        """Why the weights in a file do not fit the model that `make` builds; nothing if they do."""
        from safetensors.torch import load_file

        try:
            state = load_file(weights)
        except Exception as error:
            return f"it cannot be read ({describe(error)}): run the cell that saves it again"
        try:
            model = eval(make, vars(self.module))
            own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        except BaseException as error:
            todo = isinstance(error, NotImplementedError)
            return f"{make} is not written yet" if todo else f"{make} raised {describe(error)}"
        for prefix in ("_orig_mod.", "module."):  # a compiled model's, a wrapped one's
            if state and all(name.startswith(prefix) for name in state):
                state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        for name in sorted(own.keys() | state.keys()):
            if name not in state:
                return f"{make} has {name}, the file has not"
            if name not in own:
                return f"the file has {name}, {make} has not"
            if own[name] != tuple(state[name].shape):
                return f"{name} has shape {tuple(state[name].shape)}, in {make} {own[name]}"
            if state[name].is_floating_point() and not state[name].isfinite().all():
                return f"{name} contains NaN or an infinite number: the training went wrong"
        return ""

    def name_of(self, file: str) -> str:
        number = file.strip("<>").removeprefix("cell ")
        return self.names.get(int(number), f"cell {number}") if number.isdigit() else file


def describe(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    message = " ".join(str(message).split())
    message = message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + "…"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def place_of(error: BaseException, name: str) -> tuple[str, int]:
    """("<cell 5>", 7): the innermost line of the notebook; line 0 where that is not known."""
    at, line = name, 0
    if isinstance(error, SyntaxError) and (error.filename or "").startswith("<"):
        if str(error.filename).startswith("<cell "):
            at = str(error.filename)
        return at, error.lineno or 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<cell "):
            at, line = frame.filename, frame.lineno or 0
    return at, line


def definition_at(at: str, line: int) -> str:
    """`Layer.forward`, the function or method of a cell that contains a line; "" outside of all."""
    try:
        nodes = [*ast.walk(parse("".join(linecache.getlines(at))))]  # outer ones come first
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    found = [one for one in nodes if isinstance(one, Definition)]
    return ".".join(one.name for one in found if one.lineno <= line <= (one.end_lineno or 0))


def stored(node: ast.stmt) -> frozenset[str]:
    return frozenset({*names_of(node), *set_by(node)})


def lines_to(printed_lines: dict[str, tuple[str, str]]) -> Any:
    """Keep the lines of the visible checks, mark and text by id, instead of printing them."""
    from kws.course.checking import lines_go_to

    def keep(mark: str, check: str, text: str) -> None:
        printed_lines[check] = (mark, text)

    return lines_go_to(keep)


class LazyFinder(importlib.abc.MetaPathFinder):
    """Loads the modules in LAZY at their first use instead of at their import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        found = importlib.machinery.PathFinder.find_spec(name, path) if name in LAZY else None
        if found and found.loader:
            found.loader = importlib.util.LazyLoader(found.loader)
        return found


def load() -> None:
    gc.disable()  # what torch makes stays: a search for garbage among it costs 0.3 CPU s
    import torch  # noqa: F401

    gc.freeze()
    gc.enable()


def load_one(name: str) -> None:
    """Import one module in advance; an error is left to the notebook."""
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        importlib.import_module(name)


def serve_job(still_wanted: Callable[[], bool] = lambda: True) -> None:
    """Wait for a job on stdin with everything slow imported already, run it, and end."""
    report = json_stdout(others=os.open(os.devnull, os.O_WRONLY))
    try:
        load()
    except Exception as error:
        report({"broken": describe(error)})
        return
    line = sys.stdin.readline()
    if not line or not still_wanted():
        return
    job = json.loads(line)
    if "environment" in job:  # of whoever asks; this process may be another's fork
        os.environ.clear()
        os.environ.update(job["environment"])
        random.seed()
    report({"ready": True})
    sys.stdin = io.StringIO()  # input() finds an end
    sys.meta_path.insert(0, LazyFinder())
    os.chdir(job["folder"])
    sys.path.insert(0, job["folder"])
    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr = Printed()
    names = {int(cell["number"]): str(cell["name"]) for cell in job["cells"]}
    kernel = Kernel(report, names, job.get("whole", False))
    sys.modules["__main__"] = kernel.module
    if seconds := job.get("seconds"):
        timer = threading.Timer(0.9 * seconds, kernel.report_place)  # before the parent ends it
        timer.daemon = True
        timer.start()
    for cell in job["cells"]:
        report({"cell": cell["number"], "name": cell["name"]})
        kernel.run(int(cell["number"]), str(cell["source"]), str(cell["mode"]))
    if model := job.get("model"):
        report({"weights": kernel.misfit(model["make"], model["weights"])})
    report({"done": True})
    os._exit(0)  # do not wait for threads that a cell started


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    serve_job()
