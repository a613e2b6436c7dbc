"""Every command group, imported for its side effect of registering commands on the app."""

import importlib

for group in ("data", "train", "evaluate", "inspect"):
    importlib.import_module(f"kws.cli.{group}")
