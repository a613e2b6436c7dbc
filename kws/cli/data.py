"""Commands of the `data` group."""
