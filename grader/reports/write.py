"""Which files a run of `pytest grader/` leaves, whatever became of the submission."""

import argparse
from collections.abc import Sequence

from grader.core.outcomes import Report
from grader.reports import gradescope, page
from kws.files import write_bytes

CRASHED = (
    "the grader did not get as far as your work: a person will look at it, and it costs no points"
)


def write_results(option: argparse.Namespace, reports: Sequence[Report]) -> None:
    """Write the files that `--results` and `--page` name."""
    if option.results:
        write_bytes(option.results, gradescope.results(reports))
    if option.page:
        write_bytes(option.page, page.page(reports))


def write_crash(option: argparse.Namespace, why: str) -> None:
    """Write `--results` where there is nothing to report but `why` nothing was graded."""
    if option.results:
        write_bytes(option.results, gradescope.crash(why or CRASHED))
