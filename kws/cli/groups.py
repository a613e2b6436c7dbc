"""Every command group, imported for its side effect of registering commands on the app.

A student's kit lacks the groups that need what its assignments ask for.
"""

import importlib
from importlib.util import find_spec

for group in (
    "data",
    "train",
    "evaluation",
    "speech_to_text",
    "live",
    "say",
    "result_files",
    "experiments",
    "params",
    "student",
    "hand_in",
    "web",
    "kits",
):
    if find_spec(f"kws.cli.{group}"):
        importlib.import_module(f"kws.cli.{group}")
