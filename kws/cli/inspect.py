"""Commands of the `inspect` group."""
