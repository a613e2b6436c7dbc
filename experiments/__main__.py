"""`python -m experiments`: run the recipes of the source documents, report on them.

The same manners as `kws`: see `kws.cli`. Exit code 1: a run failed, or the page is stale.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kws.cli import INTERRUPTED, exit_code, invoke_app
from kws.cli.shared_options import Device

app = typer.Typer(
    name="experiments",
    help="Run the experiments of the source documents, and report on them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

FAILED = 1
RESULTS, PAGE = Path("docs/experiments"), Path("docs/experiments.md")


@app.command("run")
def run(
    group: Annotated[str, typer.Argument(help="A group of recipes (see kws recipes), or all.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Recipes of the group; all.")
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="embedded|FOLDER", help="The embedded corpus, or a data set.")
    ] = "embedded",
    seeds: Annotated[str, typer.Option(help="Seeds: 0-4, or 0,3.")] = "0",
    full: Annotated[
        bool, typer.Option("--full", help="The recipes as they are written, not shortened.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time; by default one for each core, or for a GPU."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="A Dask cluster: tcp://host:8786, or slurm.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    runs: Annotated[Path, typer.Option(help="Folder of what is under way.")] = Path(
        "runs/experiments"
    ),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the trained models in that folder.")
    ] = False,
    device: Device = "auto",
    resample: Annotated[
        bool, typer.Option("--resample", help="Convert recordings that are not 16 kHz mono.")
    ] = False,
) -> None:
    """Train and measure every recipe of a group with every seed, in parallel.

    What has a result is not made again; what was interrupted goes on where it was.
    """
    from experiments.plan import chosen_recipes, pack, parse_seeds, plan
    from experiments.runs import interrupt_runs, run_all
    from kws.cluster import Cluster
    from kws.parallel import Pool

    jobs, left_out = plan(
        chosen_recipes(group, names or ()),
        parse_seeds(seeds),
        data,
        full=full,
        out=str(out.resolve()),
        runs=str(runs.resolve()),
        device=device,
        resample=resample,
        keep=keep,
    )
    for line in left_out:
        print(f"left out: {line}")
    for source in dict.fromkeys(job.source for job in jobs):
        pack(source, resample)
    if scheduler is None:
        pool = Pool(workers or default_workers(device), stop=interrupt_runs)
    else:
        pool = Cluster(scheduler, workers)
    outcome = run_all(jobs, pool)
    print(
        f"{len(outcome.done)} made, {len(outcome.before)} there before, "
        f"{len(outcome.failed)} failed, {len(outcome.left)} left: {out}"
    )
    for title, sentence in outcome.failed.items():
        print(f"failed: {title}: {sentence}", file=sys.stderr)
    if outcome.interrupted:
        print("experiments: interrupted: the same command goes on from here", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if outcome.failed:
        raise typer.Exit(FAILED)


def default_workers(device: str) -> int:
    """One for each core; one in all where a GPU computes."""
    from kws.device import choose_device
    from kws.parallel import cores

    return 1 if choose_device(device).type == "cuda" else cores()


@app.command("report")
def report(
    results: Annotated[Path, typer.Option("--from", help="Folder of the results.")] = RESULTS,
    page: Annotated[Path, typer.Option("--to", help="Page to write.")] = PAGE,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; exit code 1 if the page is stale or a commit is unknown.",
        ),
    ] = False,
) -> None:
    """Write the page and the plots of all results: reported figures beside ours."""
    from experiments.report import stale, without_history, write_report

    if not check:
        for path in write_report(results, page):
            print(f"written: {path}")
        return
    for path in (old := stale(results, page)):
        print(f"stale: {path}: run python -m experiments report", file=sys.stderr)
    for sentence in (unknown := without_history(results)):
        print(f"experiments: {sentence}", file=sys.stderr)
    if old or unknown:
        raise typer.Exit(FAILED)
    print(f"{page}: up to date")


def run_command(arguments: list[str]) -> int:
    """Run one command line, such as `["report", "--check"]`, and return its exit code."""
    return exit_code("experiments", lambda: invoke_app(app, "experiments", arguments))


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
