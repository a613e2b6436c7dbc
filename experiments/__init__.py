"""The experiments of the source documents: run in parallel, kept as small JSON files, reported.

    plan         which runs a command line asks for, and on which data
    one_run      from its recipe to its result
    results      the JSON file of a run
    runs         many at once, each in a process of its own, here or on a Dask cluster
    report       the page, from the JSON files alone; `rows` gathers them, `curves` draws them

`python -m experiments run` and `python -m experiments report` are the commands. It uses `kws` as
any user of it would.
"""
