"""The experiments of the source documents: run in parallel, kept as small JSON files, reported.

    plan      which runs a command line asks for, and on which data
    one       one run from its recipe to its result
    results   the JSON file of a run
    worker    a process that makes runs, and dies with its parent
    run       many runs at once, on this machine or on a Dask cluster (`cluster`)
    report    the page, from the JSON files alone; `commentary` fills figures into written text

`kws experiments run` and `kws experiments report` are the commands.
"""
