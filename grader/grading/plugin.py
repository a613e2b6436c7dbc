"""`pytest grader/`: hidden checks as ordinary tests, points and reasons as their result.

    pytest grader/ [--submission PATH] [--assignment 03] [--results results.json]

pytest is the evaluator: it holds expected values and hidden data, and never runs a student's code.
What it knows of a submission comes through `fixtures.py`, whose other end is a process of
`grader.sandbox`. Every check is recorded here by what it raised, not by what pytest reports, and
the exit code follows from the points: 0 if all were earned, 1 if not, 2 and above if the run itself
went wrong.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.runner import runtestprotocol

from grader import ROOT
from grader.adapters import get_assignment
from grader.core.outcomes import CheckResult, Reason, Report, Stopped
from grader.core.seed import read_seed
from grader.grading.checks import MARKER, Check, read_check, verify
from grader.grading.fixtures import CHECK, RECORD, RUN
from grader.grading.grading_run import Record, Run, choose, judge, not_run
from grader.grading.printing import Printer
from grader.reports.write import write_crash, write_results
from grader.sandbox import Sandbox, Tier
from kws.errors import UsageError

GRADER = ROOT / "grader"
CHECKS = GRADER / "course"
REPORTS = pytest.StashKey[tuple[Report, ...]]()
ENDED = pytest.StashKey[BaseException | None]()
CLOSE = pytest.StashKey[ExitStack]()


class Given:
    """Hands a run that exists already to `pytest.main`, in place of the command line's options."""

    def __init__(self, run: Run):
        self.run = run
        self.reports: tuple[Report, ...] = ()

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Put the run where the hooks below look for it."""
        config.stash[RUN] = self.run

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Take the reports back."""
        self.reports = config.stash.get(REPORTS, ())


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that --strict-markers can catch a typo; silence pytest's reporter."""
    config.addinivalue_line("markers", MARKER)
    if _grades(config) and not config.option.collectonly:
        config.option.verbose = -2  # it speaks at the start already, before it can be taken out
        config.option.tbstyle = "native"  # nobody sees it, and the others take long to make


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the submission and start the sandbox; nothing of it where other tests run as well."""
    config = session.config
    if not _grades(config):
        return
    torch.set_num_threads(1)  # tensors are small here: threads would wait for each other
    if RUN in config.stash:
        config.pluginmanager.unregister(name="terminalreporter")
        return
    config.stash[CLOSE] = ExitStack()
    try:
        config.stash[RUN] = _open(config, config.stash[CLOSE])
    except BaseException as error:
        known = isinstance(error, UsageError)
        write_crash(config.option, str(error) if known else "")
        if known:
            raise pytest.UsageError(str(error)) from None
        raise
    if not config.option.collectonly:
        Printer.install(config)


def _grades(config: pytest.Config) -> bool:
    """Whether this is a grading run: all paths that pytest was given lead into this folder."""
    paths = [config.invocation_params.dir / arg.partition("::")[0] for arg in config.args]
    return bool(paths) and all(path.resolve().is_relative_to(GRADER) for path in paths)


def _open(config: pytest.Config, closing: ExitStack) -> Run:
    from grader.submission import read_submissions

    option = config.option
    if getattr(option, "numprocesses", None):
        raise UsageError("checks of one student run one after another: leave -n out")
    number = get_assignment(option.assignment).number if option.assignment else None
    seed = read_seed()
    _tier(option.require_isolation)  # a word that is none is told before anything starts
    path = config.invocation_params.dir / option.submission
    submissions = choose(read_submissions(path, number), number)
    if not submissions:
        raise UsageError(
            f"--submission {option.submission} holds no answer to any assignment of this course: "
            "name the assignment with --assignment, or another path"
        )
    sandbox = None
    if not option.collectonly:
        sandbox = closing.enter_context(Sandbox())
        require_tier(sandbox, option.require_isolation)
    run = Run(
        submissions=submissions,
        sandbox=sandbox,
        seed=seed,
        student=option.student,
        retrain=option.retrain,
    )
    closing.callback(run.close)
    return run


def require_tier(sandbox: Sandbox, name: str | None) -> None:
    """UsageError if `name` is no tier, or one that is stronger than the sandbox's."""
    required = _tier(name)
    if required and sandbox.tier.strength < required.strength:
        raise UsageError(
            f"this machine isolates students' code by tier {sandbox.tier.value!r}, and "
            f"--require-isolation asks for {required.value!r}: grade on another machine"
        )


def _tier(name: str | None) -> Tier | None:
    if name is None:
        return None
    if name not in [tier.value for tier in Tier]:
        there = ", ".join(tier.value for tier in Tier)
        raise UsageError(f"--require-isolation {name!r} is no tier: choose one of {there}")
    return Tier(name)


# Collecting


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of the grader's files, only the checks of the assignments that are graded."""
    run = config.stash.get(RUN, None)
    if run is None:
        return True
    wanted = {GRADER, CHECKS, *(CHECKS / f"test_{one.stem}.py" for one in run.assignments)}
    return None if collection_path.resolve() in wanted else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read every check's marker and fix the inventory, before anything can be deselected."""
    run = config.stash.get(RUN, None)
    if run is None:
        return
    try:
        found = [(item, _check_of(item)) for item in items if isinstance(item, pytest.Function)]
        if not any("::" in arg for arg in config.args):
            for one in run.assignments:
                verify(one, [c for _, c in found if c.assignment == one.number])
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    items.clear()
    for item, check in found:
        if run.retrain or not check.retrain:
            item.stash[CHECK] = check
            run.checks.setdefault(check.assignment, []).append(check)
            items.append(item)


def _check_of(item: pytest.Function) -> Check:
    assignment = get_assignment(item.path.name[len("test_") :][:2])
    mark = item.get_closest_marker("check")
    if mark is None:
        raise UsageError(f"{assignment.stem}: {item.name} has no check marker: {MARKER}")
    if item.get_closest_marker("slow"):
        raise UsageError(f"{assignment.stem}: {item.name} is marked slow, and would be left out")
    return read_check(assignment, item.function, item.name, mark.args, mark.kwargs)


# Running


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run one check, a second time in a fresh session if the first ended in a fault of ours."""
    run = item.config.stash.get(RUN, None)
    if run is None or CHECK not in item.stash:
        return None
    check = item.stash[CHECK]
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    blocker, unread = run.blocked_by(check), run.submissions[check.assignment].unread
    if unread:
        result = judge(check, Stopped(Reason.UNREAD, unread), Record())
    elif blocker is not None:
        result = not_run(check, f"not run: {blocker} comes first")
    else:
        result = _attempt(item, nextitem)
        if result.reason is Reason.INFRASTRUCTURE:
            run.close_session(check.assignment)
            result = _attempt(item, nextitem)
    run.results[check.assignment, check.id] = result
    for printer in item.config.pluginmanager.get_plugins():
        if isinstance(printer, Printer):
            printer.show(check, result, item.stash.get(ENDED, None))
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _attempt(item: pytest.Item, nextitem: pytest.Item | None) -> CheckResult:
    item.stash[RECORD], item.stash[ENDED] = Record(), None
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        item.ihook.pytest_runtest_logreport(report=report)
    return judge(item.stash[CHECK], item.stash[ENDED], item.stash[RECORD])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[Any]:
    """Keep what a check raised; give pytest's own report its words, and none of our frames."""
    report = yield
    if CHECK in item.stash and call.excinfo is not None:
        if item.stash.get(ENDED, None) is None:
            item.stash[ENDED] = _ending(call.excinfo.value)
        result = judge(item.stash[CHECK], item.stash[ENDED], item.stash[RECORD])
        if report.outcome == "skipped":
            report.outcome = "failed"
        report.longrepr = (
            f"{result.message}\nhint: {result.hint}" if result.hint else result.message
        )
        report.sections = []
    return report


def _ending(error: BaseException) -> BaseException:
    """A skipped check is one that did not run."""
    if isinstance(error, pytest.skip.Exception):
        return Stopped(Reason.NOT_RUN, f"not run: {error.msg or 'this check was skipped'}")
    return error


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Make the reports, write them, and let the exit code say whether all points were earned."""
    run = session.config.stash.get(RUN, None)
    if run is None or session.config.option.collectonly:
        return
    usual = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    reports = run.reports(interrupted=not usual)
    printers = [p for p in session.config.pluginmanager.get_plugins() if isinstance(p, Printer)]
    if not reports or not all(report.checks for report in reports):
        for _ in printers:  # the checks themselves do not load
            write_crash(session.config.option, "")
        return
    session.config.stash[REPORTS] = reports
    for printer in printers:
        printer.close(reports)
        write_results(session.config.option, reports)
    if usual:
        full = all(check.passed for report in reports for check in report.checks)
        session.exitstatus = pytest.ExitCode.OK if full else pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the sandbox."""
    if CLOSE in config.stash:
        config.stash[CLOSE].close()
