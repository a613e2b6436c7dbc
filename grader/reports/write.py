"""Write the result files of a run of `pytest grader/`, also after a crash."""

import argparse
from collections.abc import Sequence

from grader.core.outcomes import Report
from grader.reports import gradescope, page
from kws.files import write_bytes

CRASHED = (
    "the grader did not get as far as your work: a person will look at it, and it costs no points"
)


def write_results(option: argparse.Namespace, reports: Sequence[Report]) -> None:
    if option.results:
        write_bytes(option.results, gradescope.results(reports))
    if option.page:
        write_bytes(option.page, page.page(reports))


def write_crash(option: argparse.Namespace, why: str) -> None:
    """Write `--results` for a run that graded nothing, with the reason `why`."""
    if option.results:
        write_bytes(option.results, gradescope.crash(why or CRASHED))
