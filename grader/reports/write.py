"""Write the result files of a run of `pytest grader/`, also after a crash."""

import argparse
from collections.abc import Sequence

from grader.core.outcomes import Report
from grader.reports import gradescope, page
from kws.files import write_bytes

CRASHED = "your work could not be graded: no points are lost, and a person will review it"


def write_results(option: argparse.Namespace, reports: Sequence[Report]) -> None:
    if option.results:
        write_bytes(option.results, gradescope.results(reports))
    if option.page:
        write_bytes(option.page, page.page(reports))


def write_crash(option: argparse.Namespace, why: str) -> None:
    """Write `--results` for a run that graded nothing, with the reason `why`."""
    if option.results:
        write_bytes(option.results, gradescope.crash(why or CRASHED))
