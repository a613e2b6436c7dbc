"""`python -m kws.cli …`, for `torchrun -m kws.cli train …`."""

from kws.cli import main

main()
