"""Commands of the `evaluate` group."""
