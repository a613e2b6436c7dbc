"""The experiments of the source documents: run in parallel, kept as small JSON files, reported.

    plan         which runs a command line asks for, and on which data
    one_run      from its recipe to its result
    results      the JSON file of a run
    run_process  a process that makes runs, and dies with its parent
    many_runs    many at once, on this machine or on a Dask cluster (`on_cluster`)
    report       the page, from the JSON files alone; `rows` gathers them, `curves` draws them

`kws experiments run` and `kws experiments report` are the commands.
"""
