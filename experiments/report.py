"""The page of all experiments: tables, learning curves and written commentary, from JSON alone.

The same results, recipes and commentaries give the same bytes. Commentaries are `GROUP.md` in the
folder of the results, and `summary.md` for the top of the page: formats of `str.format`, with a
`Cited` for each recipe that was run. `{embedded/twelve-classes/cosine.accuracy}` is the accuracy of
that recipe of that group on those data. So no figure is older than the table above it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.curves import (
    KEY,
    Drawing,
    confusion_of,
    curves_of,
    digest_in,
    norms_of,
    rates,
    rates_of,
    shares,
    shares_of,
)
from experiments.plan import KINDS, QUESTION_VOICES, QUESTIONS
from experiments.results import Result
from experiments.rows import Row, Table, gather, read_results
from experiments.verdicts import (
    DOES_NOT,
    FEWEST_SEEDS,
    RISING,
    Finding,
    Question,
    findings,
    read_questions,
)
from kws import plots
from kws.errors import UsageError, did_you_mean
from kws.files import write_text
from kws.metrics import percent

INTRODUCTION = """\
## The sources, and how to read the tables

Every run that the source documents report is a recipe (`kws recipes`). This page lists them: the
figure that was reported beside the one that we got. It is made by `python -m experiments report`
from the results in `{folder}`; a result is made by `python -m experiments run GROUP`. The four
fine-tunings begin with published weights, which `kws train unknown/NAME --init WEIGHTS` takes;
they were not run here. Of ConvS2S there is the encoder: a class needs no decoder.

The sources. The speaker homework is HW4 of the machine learning course of National Taiwan
University, 2021-2023 (https://speech.ee.ntu.edu.tw/~hylee/ml/2022-spring.php); the figures for it
are those of a report on it. That report, the speaker laboratory, the Speech Commands report and the
report on the Kaggle challenge came to us without title or author, and go by what they are about.
Published models: Kim et al. 2021, "Broadcasted Residual Learning for Efficient Keyword Spotting"
(https://arxiv.org/abs/2106.04140); Berg et al. 2021, "Keyword Transformer: A Self-Attention Model
for Keyword Spotting" (https://arxiv.org/abs/2104.00769).

A reported figure and ours are on different data unless both columns say the
same, so they are never in one column. Our accuracy is the mean over seeds, ± the standard deviation
between them, then the number n of test examples and the 95 % interval of the mean on that many
(Wilson). Time is that of training, with one thread where it ran on a CPU. Steps are those done, of
those that the recipe as written takes on the reported data.
"""
FINDINGS = """\
## What the reports found, and what we found

Each question of the reports in a form that a CPU can answer: `python -m experiments run questions`
runs narrow models on {voices} synthetic voices, each word said once; with `--data FOLDER` on
recordings. What we found is a difference of test accuracies in points, over pairs of runs that
share seed, order and test examples, with its 95 % interval over other seeds and other examples
(`experiments.verdicts`). The verdict follows from the interval, for {seeds} seeds or more. A
finding holds where the whole interval agrees with it in sign, and does not where the interval
leaves no difference worth having: {matters:g} points, or the report's own where that is less. The
cell says whether it is less than that either way, or the other way round. Where the first seeds
left an interval too wide there are more of them, up to {most}; no interval is corrected for that.
Recipes still rising, by more than {rising:g} points of validation accuracy in the last quarter of
their training, give no verdict unless the question is about length. In brackets: CPU seconds of a
run.
"""
HEADS = ("speaker-sigmoid", "speaker-relu")  # whose gradients are plotted
BASES = ("transformer-step",)  # a curve over rates for each
SHARES = "crnn-unknown-10"  # a curve over the share of other words in training
CONFUSIONS = ("transformer-step", "crnn-unknown-60")  # of their first seed
HIDDEN_KEYS = ("data.protocol", "data.count_as")  # of the embedded corpus: the heading says it


def render(results: Path, page: Path) -> tuple[str, dict[Path, Drawing]]:
    """The text of the page, and of each plot what is drawn in it.

    Raises:
        UsageError: a result or a commentary that cannot be used.
    """
    read = read_results(results)
    groups = gather(read)
    tables = [table for inside in groups.values() for table in inside]
    drawn: dict[Path, Drawing] = {}
    here = os.path.relpath(results, page.parent).replace(os.sep, "/")
    parts = ["# Experiments\n"]
    parts += findings_table(findings(read, read_questions()))
    for name, (about, drawing) in question_plots(read).items():
        drawn[results / name] = drawing
        parts.append(f"![{about}]({here}/{name})\n")
    parts.append(INTRODUCTION.format(folder=here))
    cited = citations(tables)
    parts += commentary(results / "summary.md", cited)
    for group, inside in groups.items():
        parts.append(f"## {group}\n")
        for table in inside:
            parts += describe(table)
            if table.where is None:
                continue
            plot = results / f"{group}-{table.where.slug}.png"
            drawn[plot] = curves_of(table)
            parts.append(f"![learning curves of {group}]({here}/{plot.name})\n")
        parts += sources(inside)
        parts += commentary(results / f"{group}.md", cited)
    return "\n".join(parts), drawn


def findings_table(found: Sequence[Finding]) -> list[str]:
    """The questions, a line for each data set that they were asked of."""
    if not found:
        return []
    about = FINDINGS.format(
        voices=QUESTION_VOICES,
        seeds=FEWEST_SEEDS,
        matters=Question.matters,
        rising=100 * RISING,
        most=max(len(finding.seeds) for finding in found),
    )
    header = ["question", "what the report found", "what we found", "its finding"]
    body = [finding_cells(finding) for finding in found]
    return [about, markdown_table(header, body)]


def finding_cells(finding: Finding) -> list[str]:
    """A line of the table of questions."""
    question, d = finding.question, finding.difference
    arms = ", ".join(
        f"`{name}` {percent(value)} % ({finding.seconds[name]:.0f} s)"
        for name, value in finding.means.items()
    )
    against = "" if question.level is None else f" against {question.level:.1f} %"
    seeds = f"{d.seeds} seed{'s' * (d.seeds > 1)}"
    ours = (
        f"**{points(d.value)} points** ({points(d.low)} to {points(d.high)}; n={d.n:,}, {seeds}) "
        f"on `{finding.where.data}`: {arms}{against}"
    )
    ours += f"; still rising: {', '.join(finding.rising)}" if finding.rising else ""
    judged = f"**{finding.verdict}**" + (f": {finding.reason}" if finding.reason else "")
    judged += f". {question.differs}" if finding.verdict == DOES_NOT else ""
    return [question.question, f"{question.report} ({question.source})", ours, judged]


def points(share: float) -> str:
    """A difference in points of accuracy, with its sign.

    >>> points(0.0123), points(-0.0004)
    ('+1.2', '+0.0')
    """
    rounded = round(100 * share, 1) + 0.0  # no negative zero
    return f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}")


def question_plots(results: Sequence[Result]) -> dict[str, tuple[str, Drawing]]:
    """File name -> what is seen and how to draw it: curves over rates, confusion matrices."""
    found: dict[str, tuple[str, Drawing]] = {}
    runs = [result for result in results if result["group"] == QUESTIONS]
    for result in runs:
        data, name = result["data"]["name"], result["name"]
        if result["seed"] != min(r["seed"] for r in runs if r["name"] == name):
            continue
        over = rates(runs, result) if name in BASES else {}
        if any(len(by_rate) > 1 for by_rate in over.values()):
            about = f"{name} on {data}, n={result['n']:,}: mean over seeds, a dot for each"
            found[f"rates-{name}-{data}.png"] = (about, rates_of(over, about))
        if name == SHARES and len(next(iter((over := shares(runs, result)).values()), ())) > 1:
            about = f"other words in training, on {data}, n={result['n']:,}: a dot for each seed"
            found[f"shares-{data}.png"] = (about, shares_of(over, about))
        if name in CONFUSIONS and result.get("confusion"):
            about = f"confusion matrix of {name} on {data}"
            found[f"confusion-{name}-{data}.png"] = (about, confusion_of(result))
    heads = {name: [run for run in runs if run["name"] == name] for name in HEADS}
    if all(heads.values()):
        about = "norm of the gradient with a sigmoid and with a ReLU in the head"
        found["gradients-heads.png"] = (about, norms_of(heads, about))
    return found


@dataclass(frozen=True)
class Cited:
    """What a commentary may cite of a recipe, under the main view of its table."""

    accuracy: str
    interval: str
    n: str
    parameters: str
    steps: str


def citations(tables: Sequence[Table]) -> dict[str, Cited]:
    """`data/group/recipe` -> its figures; a recipe run as written too is `recipe-full` there."""
    found = {}
    for table in tables:
        for row in table.rows:
            if table.where is not None and (mean := row.mean(table.views[0])) is not None:
                found[f"{table.where.data}/{row.group}/{row.key}"] = Cited(
                    accuracy=f"{percent(mean.value)} %",
                    interval="–".join(map(percent, mean.interval)),
                    n=f"{mean.n:,}",
                    parameters=f"{row.results[0]['parameters']:,}",
                    steps=f"{row.average('steps'):,.0f}",
                )
    return found


def commentary(path: Path, cited: dict[str, Cited]) -> list[str]:
    """The written text in `path`, with its figures; nothing where there is none.

    Raises:
        UsageError: it cites what was not run, or is not a figure, or a brace stands alone.
    """
    if not path.is_file():
        return []
    try:
        return [path.read_text(encoding="utf-8").format_map(cited).strip() + "\n"]
    except KeyError as error:
        near = did_you_mean(error.args[0], cited)
        raise UsageError(
            f"{path}: no results of {error.args[0]!r}{near}: run it, or leave the figure out"
        ) from None
    except (AttributeError, ValueError, IndexError) as error:
        raise UsageError(f"{path}: {error}: write {{data/group/recipe.accuracy}}") from None


def reported_figure(row: Row) -> str:
    """The accuracy that the source reports, in percent, and what it says beside it."""
    reported = row.written.reported
    if reported.accuracy is None:
        return "no figure"
    figure = (
        f"{reported.accuracy:g}" + (f" ± {reported.spread:g}" if reported.spread else "") + " %"
    )
    beside = {"training": reported.train_accuracy, "validation": reported.validation_accuracy}
    more = [f"{name} {value:g} %" for name, value in beside.items() if value is not None]
    more += [duration(60 * reported.minutes)] if reported.minutes else []
    return figure + (f" ({', '.join(more)})" if more else "")


def duration(seconds: float) -> str:
    """A duration with two digits or so.

    >>> duration(0.42), duration(34.4), duration(245.0), duration(9000.0)
    ('0.4 s', '34 s', '4.1 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def describe(table: Table) -> list[str]:
    """Heading and table."""
    where = table.where
    if where is None:
        heading = "### Not run yet\n"
    else:
        split = "" if where.split == "testing" else f", {where.split} split"
        silence = f", test silence: {where.silence}" if where.silence not in ("", "none") else ""
        protocol = f", protocol `{where.protocol}`" if where.protocol != "speakers" else ""
        unknown = f", unknown: {where.unknown}" if where.unknown else ""
        kind = KINDS[where.kind]
        heading = f"### On `{where.data}`: {kind}{protocol}{split}{silence}{unknown}\n"
    columns = reported_columns(table)
    views = table.views or [""]
    header = ["recipe", *(f"reported: {data}" for data in columns)]
    header += [f"ours{ours_on(table, view)}" for view in views]
    header += ["parameters", "time", "steps", "commit", "what ours is"]
    body = [cells(row, columns, views) for row in table.rows]
    return [heading, markdown_table(header, body), *hardware(table)]


def ours_on(table: Table, view: str) -> str:
    """What our column is about, in a few words."""
    if table.where is None:
        return ""
    plain = view in ("", "clips")
    return f": {table.where.data}" + ("" if plain else f", {view}")


def reported_columns(table: Table) -> list[str]:
    """The data that reported figures are about: each has a column of its own."""
    found = [row.written.reported.data for row in table.rows]
    return list(dict.fromkeys(data for data in found if data))


def cells(row: Row, columns: Sequence[str], views: Sequence[str]) -> list[str]:
    """A line of a table."""
    reported = row.written.reported
    line = [f"{row.name}, as written" if row.full else row.name]
    line += [reported_cell(row) if reported.data == data else "–" for data in columns]
    if not row.results:
        return [*line, *("not run" for _ in views), "–", "–", "–", "–", "–"]
    line += [accuracy_cell(row, view) for view in views]
    line.append(" / ".join(f"{n:,}" for n in row.distinct("parameters")))
    whole = all(row.distinct("seconds", "whole"))
    wall, cpu = (duration(row.average("seconds", key)) for key in ("wall", "cpu"))
    line.append(f"{'' if whole else '≥ '}{wall} (CPU {cpu})")
    line.append(f"{row.average('steps'):,.0f} of {row.average('steps_reported'):,.0f}")
    line.append(", ".join(row.distinct("commit")))
    line.append(remark(row))
    return line


def reported_cell(row: Row) -> str:
    """The figure of the source, and n where it is known."""
    n = row.written.reported.n
    return reported_figure(row) + (f" (n={n:,})" if n else "")


def accuracy_cell(row: Row, view: str) -> str:
    """Mean, spread, n, interval and seeds."""
    if (mean := row.mean(view)) is None:
        return "–"
    spread = "" if mean.spread is None else f" ± {percent(mean.spread)}"
    low, high = map(percent, mean.interval)
    seeds = f"{mean.seeds} seed{'s' * (mean.seeds > 1)}"
    n = f"n={mean.n:,}, 95 % interval {low}–{high}, {seeds}"
    return f"**{percent(mean.value)} %**{spread} ({n})"


def remark(row: Row) -> str:
    """In words what our figure is: the data, what was shortened, what else it depends on."""
    first = row.results[0]
    facts = [KINDS[first["data"]["kind"]]]
    facts += [f"trained on {first['data']['training']:,} examples"]
    for key, old, new in first["overrides"]:
        if key not in HIDDEN_KEYS:
            facts.append(f"{key} {as_text(new)} instead of {as_text(old)}")
    if rule := first["conditions"].get("thresholds"):
        facts.append(rule)
    return "; ".join(facts)


def as_text(value: Any) -> str:
    """A setting: "off" where it is not set."""
    return "unset" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table; a bar inside a cell would end it."""
    lines = [header, ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |\n" for line in lines)


def hardware(table: Table) -> list[str]:
    """A line on what the runs of a table ran on."""
    found = []
    for row in table.rows:
        for result in row.results:
            on, versions = result["hardware"], result["versions"]
            device = on["cpu"] if on["device"] == "cpu" else on["device"]
            found.append(f"{device}, torch {versions['torch']}, kws {versions['kws']}")
    return [f"Ran on {'; '.join(dict.fromkeys(sorted(found)))}.\n"] if found else []


def sources(tables: Sequence[Table]) -> list[str]:
    """Where the reported figures are from, and what is not known about them."""
    lines: dict[str, str] = {}
    for table in tables:
        for row in table.rows:
            reported = row.written.reported
            note = f": {reported.note}" if reported.note else ""
            source = f" ({reported.source}{note})" if reported.source else ""
            lines.setdefault(row.name, f"- `{row.name}`: {row.written.description}{source}")
    return ["\n".join(lines[name] for name in sorted(lines)) + "\n"]


def write_report(results: str | Path, page: str | Path) -> Iterator[Path]:
    """Write the page and its plots, remove plots of ours that are no longer on it.

    Raises:
        UsageError: a result or a commentary that cannot be used; nothing is written then.
    """
    results, page = Path(results), Path(page)
    text, drawn = render(results, page)
    write_text(page, text)
    yield page
    for path, drawing in drawn.items():
        if digest_in(path) != drawing.digest:
            plots.save(drawing.draw(), path, **{KEY: drawing.digest})
        yield path
    for path in left_over(results, drawn):
        path.unlink()


def stale(results: str | Path, page: str | Path) -> list[Path]:
    """Files of the report that are not what `write_report` would write.

    A plot is compared by the numbers in it: another version of the plotting library draws the same
    ones with other bytes.
    """
    results, page = Path(results), Path(page)
    text, drawn = render(results, page)
    old = [] if page.is_file() and page.read_text(encoding="utf-8") == text else [page]
    old += [path for path, drawing in drawn.items() if digest_in(path) != drawing.digest]
    return old + left_over(results, drawn)


def left_over(results: Path, drawn: dict[Path, Drawing]) -> list[Path]:
    """Plots of ours that are not on the page."""
    return [p for p in sorted(results.glob("*.png")) if p not in drawn and digest_in(p)]
