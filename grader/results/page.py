"""A student's page."""

from collections.abc import Sequence

from grader.outcomes import Report


def page(reports: Sequence[Report]) -> bytes:
    """Soon."""
    return b""
