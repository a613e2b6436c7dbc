"""Every command group, imported to register its commands. A kit lacks those it cannot run."""

import importlib
from importlib.util import find_spec

GROUPS = {
    "data": "data",
    "train": "train recipes",
    "evaluation": "evaluate",
    "predict_command": "predict",
    "export_command": "export",
    "plot_command": "plot",
    "speech_to_text": "transcribe",
    "live": "listen record",
    "say": "say",
    "result_files": "kaggle homework-csv",
    "params": "params",
    "student": "check watch progress",
    "hand_in": "hint think reset submit",
    "web": "web",
    "kits": "add cache",
}
lacking: set[str] = set()  # commands of the groups that this copy does not have

for group, commands in GROUPS.items():
    if find_spec(f"kws.cli.{group}"):
        importlib.import_module(f"kws.cli.{group}")
    else:
        lacking |= set(commands.split())
