"""`python -m kws`: the command `kws`."""

from kws.cli import main

main()
