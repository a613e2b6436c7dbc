"""`pytest grader/`: hidden checks as ordinary tests, points and reasons as their result.

    pytest grader/ [--submission PATH] [--assignment 03] [--results results.json]

pytest is the evaluator: it has expected values and hidden data, and never runs a student's code,
which `grader/conftest.py` calls in a process of `grader.sandbox`. A check is recorded by what it
raised, not by what pytest reports. Exit code: 0 if all points were earned, 1 if not, 2 and above if
the run failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

# Private, and the only way to run a test twice: pytest-rerunfailures and flaky do it so as well.
from _pytest.runner import runtestprotocol

from grader import ROOT
from grader.adapters import ASSIGNMENTS, get_assignment
from grader.authoring.build import written_questions
from grader.core.outcomes import CheckResult, Reason, Record, Report, Stopped
from grader.core.seed import read_seed
from grader.core.written import Mark, with_written
from grader.grading.checks import MARKER, Check, read_check, verify
from grader.grading.grading_run import GradingRun, by_assignment, judge, not_run, task_code
from grader.grading.marks import marks_of, names_in
from grader.grading.printing import Printer
from grader.reports.write import write_crash, write_results
from grader.sandbox import Sandbox, Tier, read_gpu
from grader.submission.ipynb import find_answers
from kws.errors import UsageError

GRADER = ROOT / "grader"
CHECKS = GRADER / "course"


@dataclass
class Attempt:
    check: Check
    record: Record = field(default_factory=Record)
    error: BaseException | None = None


class Grading:
    """The pytest plugin of one grading run. `reports` are there when the session has finished.

    `options` name the files to write, `printer` shows each check as it ends (None: neither);
    `closing` ends with the session; `marks`: question -> mark of a written answer.
    """

    def __init__(
        self,
        run: GradingRun,
        options: Any = None,
        printer: Printer | None = None,
        closing: ExitStack | None = None,
        marks: Mapping[str, Mark] | None = None,
    ):
        self.run, self.printer = run, printer
        self.reports: tuple[Report, ...] = ()
        self._options, self._closing = options, closing or ExitStack()
        self._marks = dict(marks or {})
        self._attempts: dict[str, Attempt] = {}

    @classmethod
    def of(cls, config: pytest.Config) -> "Grading | None":
        plugins = config.pluginmanager.get_plugins()
        return next((plugin for plugin in plugins if isinstance(plugin, cls)), None)

    def attempt(self, item: pytest.Item) -> Attempt:
        return self._attempts[item.nodeid]

    # Collecting

    def ignores(self, path: Path) -> bool:
        folders = [CHECKS / one.folder for one in self.run.assignments]
        files = [folder / "test_checks.py" for folder in folders]
        return path.resolve() not in {GRADER, CHECKS, *folders, *files}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file of checks that does not load is a grader fault: show staff the traceback."""
        if report.failed and self.printer:
            self.printer.show_collection_error(str(report.longrepr))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Read every check's marker and fix the inventory, before anything can be deselected."""
        try:
            found = [(item, _check_of(item)) for item in items if isinstance(item, pytest.Function)]
            if not any("::" in arg for arg in config.args):
                for one in self.run.assignments:
                    verify(one, [c for _, c in found if c.assignment == one.number])
        except UsageError as error:
            pytest.exit(f"ERROR: {error}", returncode=2)
        items.clear()
        for item, check in found:
            if self.run.retrain or not check.retrain:
                self._attempts[item.nodeid] = Attempt(check)
                self.run.checks.setdefault(check.assignment, []).append(check)
                items.append(item)

    # Running

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run one check; after a grader fault, again in a fresh session."""
        run, check = self.run, self.attempt(item).check
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        blocker, unread = run.blocked_by(check), run.submissions[check.assignment].unread
        if unread:
            result = judge(check, Stopped(Reason.UNREAD, unread), Record())
        elif blocker is not None:
            result = not_run(check, f"not run: {blocker} comes first")
        else:
            result = self._run_twice(item, nextitem)
            # weights fit the definitions that they were trained with
            loads = "weights" in getattr(item, "fixturenames", ())
            if result.earned != check.points and loads and run.failed_tasks(check):
                run.own_definitions = True
                own = self._run_twice(item, nextitem)
                run.own_definitions = False
                result = max(own, result, key=_worth)
        run.results[check.assignment, check.id] = result
        if self.printer:
            self.printer.show(check, result, self.attempt(item).error)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _run_twice(self, item: pytest.Item, nextitem: pytest.Item | None) -> CheckResult:
        result = self._run_once(item, nextitem)
        if result.reason is Reason.INFRASTRUCTURE:
            self.run.close_session(self.attempt(item).check.assignment)
            result = self._run_once(item, nextitem)
        return result

    def _run_once(self, item: pytest.Item, nextitem: pytest.Item | None) -> CheckResult:
        attempt = self._attempts[item.nodeid] = Attempt(self.attempt(item).check)
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            item.ihook.pytest_runtest_logreport(report=report)
        result = judge(attempt.check, attempt.error, attempt.record)
        left_out = self.run.submissions[attempt.check.assignment].left_out
        if left_out and result.reason in (Reason.MISSING, Reason.ERROR):
            return judge(attempt.check, Stopped(Reason.UNREAD, left_out), Record())
        if result.fingerprint and not result.hint:
            return replace(result, code=task_code(self.run, attempt.check))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Iterator[Any]:
        """Record what a check raised; reduce pytest's report to its message, without frames."""
        report = yield
        if call.excinfo is not None:
            attempt = self.attempt(item)
            if attempt.error is None:  # a fault while tearing down does not replace the first
                attempt.error = _ending(call.excinfo.value)
            result = judge(attempt.check, attempt.error, attempt.record)
            if report.outcome == "skipped":
                report.outcome = "failed"
            hint = f"\nhint: {result.hint}" if result.hint else ""
            report.longrepr = f"{result.message}{hint}"
            report.sections = []
        return report

    # Ending

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports; the exit code is 0 if all points were earned."""
        if session.config.option.collectonly:
            return
        usual = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        reports = self.run.reports(interrupted=not usual)
        if not reports or not all(report.checks for report in reports):
            if self._options:  # the checks themselves do not load
                write_crash(self._options, "")
            return
        self.reports = reports
        shown = self._with_written(reports) if self._options else reports
        if self.printer:
            self.printer.close(shown)
        if self._options:
            write_results(self._options, shown)
        if usual:
            full = all(check.passed for report in reports for check in report.checks)
            session.exitstatus = pytest.ExitCode.OK if full else pytest.ExitCode.TESTS_FAILED

    def _with_written(self, reports: Sequence[Report]) -> list[Report]:
        return [
            with_written(
                report,
                written_questions(report.assignment),
                find_answers(
                    self.run.submissions[report.assignment].handed_in,
                    written_questions(report.assignment),
                ),
                self._marks,
            )
            for report in reports
        ]

    def pytest_unconfigure(self) -> None:
        self._closing.close()


def _worth(result: CheckResult) -> float:
    """Order results; open points (a grader fault) rank highest, as a person reviews them."""
    return float("inf") if result.earned is None else result.earned


def _check_of(item: pytest.Function) -> Check:
    assignment = get_assignment(item.path.parent.name[1:3])
    mark = item.get_closest_marker("check")
    if mark is None:
        raise UsageError(f"{assignment.stem}: {item.name} has no check marker: {MARKER}")
    if item.get_closest_marker("slow"):
        raise UsageError(f"{assignment.stem}: {item.name} is marked slow, and would be left out")
    return read_check(assignment, item.function, item.name, mark.args, mark.kwargs)


def _ending(error: BaseException) -> BaseException:
    if isinstance(error, pytest.skip.Exception):
        return Stopped(Reason.NOT_RUN, f"not run: {error.msg or 'this check was skipped'}")
    return error


# From the command line: the hooks that `grader/conftest.py` imports


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that --strict-markers can catch a typo; silence pytest's reporter."""
    config.addinivalue_line("markers", MARKER)
    if _grades(config) and not config.option.collectonly:
        config.option.verbose = -2  # it prints at the start, before it can be unregistered
        config.option.tbstyle = "native"  # it is not shown, and the other styles are slow


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the submission and start the sandbox, unless other tests run as well."""
    config = session.config
    if not _grades(config):
        return
    torch.set_num_threads(1)  # tensors are small here: threads would wait for each other
    if Grading.of(config):
        config.pluginmanager.unregister(name="terminalreporter")
        return
    try:
        grading = _open(config)
    except BaseException as error:
        known = isinstance(error, UsageError)
        write_crash(config.option, str(error) if known else "")
        if known:
            pytest.exit(f"ERROR: {error}", returncode=2)
        raise
    config.pluginmanager.register(grading, "grading")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    grading = Grading.of(config)
    return True if grading is None or grading.ignores(collection_path) else None


def _grades(config: pytest.Config) -> bool:
    """Whether this is a grading run: all paths on the command line are in this folder."""
    paths = [config.invocation_params.dir / arg.partition("::")[0] for arg in config.args]
    return bool(paths) and all(path.resolve().is_relative_to(GRADER) for path in paths)


def _open(config: pytest.Config) -> Grading:
    from grader.submission import read_submissions

    option = config.option
    if getattr(option, "numprocesses", None):
        raise UsageError("checks of one student run one after another: leave -n out")
    number = get_assignment(option.assignment).number if option.assignment else None
    marks = _read_marks(config)
    seed = read_seed()
    read_tier(option.require_isolation)  # an unknown word is refused before anything starts
    path = config.invocation_params.dir / option.submission
    submissions = by_assignment(read_submissions(path, number), number)
    if not submissions:
        raise UsageError(
            f"--submission {option.submission} has no answer to any assignment of this course: "
            "name the assignment with --assignment, or another path"
        )
    with ExitStack() as closing:
        sandbox = printer = None
        if not option.collectonly:
            sandbox = closing.enter_context(Sandbox(gpu=read_gpu()))
            require_tier(sandbox, option.require_isolation)
            printer = Printer(config.get_terminal_writer(), staff=option.staff)
            config.pluginmanager.unregister(name="terminalreporter")
        run = GradingRun(
            submissions=submissions,
            sandbox=sandbox,
            seed=seed,
            student=option.student,
            retrain=option.retrain,
        )
        closing.callback(run.close)
        return Grading(run, option, printer, closing.pop_all(), marks)


def _read_marks(config: pytest.Config) -> dict[str, Mark]:
    option, folder = config.option, config.invocation_params.dir
    names = [option.student] if option.student else []
    if option.metadata:
        names += names_in(folder / option.metadata)
    if option.marks and not names:
        raise UsageError("--marks: whose marks? give --student, or Gradescope's --metadata")
    if not option.marks:
        return {}
    questions = {each.id: each for number in ASSIGNMENTS for each in written_questions(number)}
    return marks_of(folder / option.marks, questions, names)


def require_tier(sandbox: Sandbox, name: str | None) -> None:
    """UsageError if `name` is not a tier, or is stronger than the sandbox's."""
    required = read_tier(name)
    if required and sandbox.tier.strength < required.strength:
        raise UsageError(
            f"this machine isolates students' code by tier {sandbox.tier.value!r}, and "
            f"--require-isolation asks for {required.value!r}: grade on another machine"
        )


def read_tier(name: str | None) -> Tier | None:
    """The tier of `--require-isolation`; UsageError for an unknown name."""
    if name is None:
        return None
    if name not in [tier.value for tier in Tier]:
        there = ", ".join(tier.value for tier in Tier)
        raise UsageError(f"--require-isolation {name!r} is not a tier: choose one of {there}")
    return Tier(name)
