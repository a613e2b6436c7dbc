"""One sandbox per tier for all tests; reports made up for tests of what is made of them."""

import contextlib
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from grader.core.outcomes import Report
from grader.core.tables import parse_toml
from grader.sandbox import Limits, Sandbox, Tier
from kws.errors import UsageError
from tests.conftest import PATIENCE
from tests.grader.batch.made_up import check, report_of

LIMITS = Limits(seconds=10, memory=1 << 30, disk=8 << 20, message=16 << 20)


def code_beside(test: str) -> dict:
    """Code that a test hands in or writes, from the TOML file of its name."""
    path = Path(test).with_suffix(".toml")
    return parse_toml(path.read_text(encoding="utf-8"), path)


def until(happened: Callable[[], object]) -> None:
    """Wait for what other processes do."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="session")
def sandboxes() -> Iterator:
    """`sandboxes(tier)`: started when first asked for; skips where the machine lacks the tier."""
    started: dict[Tier, Sandbox] = {}
    with contextlib.ExitStack() as stack:

        def get(tier: Tier) -> Sandbox:
            if tier not in started:
                try:
                    started[tier] = stack.enter_context(Sandbox(limits=LIMITS, tier=tier))
                except UsageError as error:
                    pytest.skip(str(error))
            return started[tier]

        yield get


@pytest.fixture(scope="session")
def best(sandboxes) -> Sandbox:
    """The strongest that this machine has."""
    for tier in Tier:
        with contextlib.suppress(pytest.skip.Exception):
            return sandboxes(tier)
    raise AssertionError("a process of its own is to be had everywhere")


def with_limits(sandbox: Sandbox, limits: Limits) -> Sandbox:
    """The same server, with other limits: to start one costs seconds of the processor."""
    other = copy(sandbox)
    other.limits = limits
    return other


@pytest.fixture(scope="session")
def sandbox(best) -> Sandbox:
    """As hidden checks have it: the strongest tier, with the limits of a check."""
    return with_limits(best, Limits())


@pytest.fixture
def report() -> Report:
    """4 of 5 points."""
    return report_of(check("2.1-values", 3, 2, "off by 0.5"), check("2.1-shape", 2, 2))


@pytest.fixture
def open_report(report) -> Report:
    return replace(report, student="bob", checks=(check("2.1-values", 3, None, "stopped"),))
