"""What hidden checks are made of and no student has: all of it follows from one secret seed."""

import importlib

from grader.core.seed import DEVELOPMENT, FILE_VARIABLE, VARIABLE, Seed, read_seed

__all__ = ["DEVELOPMENT", "FILE_VARIABLE", "VARIABLE", "Seed", "prepare", "read_seed"]

SPOKEN = {
    "03": "grader.course.hidden.speech",
    "04": "grader.course.hidden.speech",
    "05": "grader.course.hidden.keywords",
}


def prepare(number: str, secret: Seed, *, retrain: bool = False) -> None:
    """Make now what the checks of an assignment hear, once: forks have it from then on."""
    if number in SPOKEN:
        importlib.import_module(SPOKEN[number]).prepare(secret)
    if retrain:
        importlib.import_module("grader.course.probes.retraining").prepare(number)
