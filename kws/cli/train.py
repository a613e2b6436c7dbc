"""Commands of the `train` group."""
