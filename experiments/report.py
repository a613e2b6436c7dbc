"""The page of all experiments: questions, tables and learning curves, from JSON alone.

The same results and recipes give the same bytes.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from experiments.curves import (
    KEY,
    Drawing,
    confusion_of,
    curves_of,
    digest_in,
    lines_over,
    norms_of,
    rates,
    shares,
)
from experiments.plan import KINDS, QUESTION_VOICES, QUESTIONS, STRING_VOICES
from experiments.results import Result, git
from experiments.rows import Row, Table, gather, read_results
from experiments.verdicts import (
    CANNOT_SAY,
    DOES_NOT,
    FEWEST_SEEDS,
    HOLDS,
    NO,
    RISING,
    YES,
    Finding,
    findings,
    read_questions,
)
from kws import plots
from kws.files import write_text
from kws.metrics import percent

SECTION = f"""\
## What the reports found, and what we found

The questions of the reports, on narrow models that a CPU trains in a minute, with {QUESTION_VOICES}
synthetic voices that say each word once, 100 synthetic speakers, {STRING_VOICES} that say strings
of digits (right if all of it is), or (`--data`) people: `python -m experiments run questions`.
"""
HOW_TO_READ = """\
What we found is a difference of test accuracies in points, over pairs of runs that share seed,
order and test examples, with its 95 % interval over other seeds and other examples
(`experiments.verdicts`). All {asked} lines are read at once, so the verdict follows from a wider
interval, with Holm's correction for their number, and needs {seeds} seeds or more. A finding holds
where that whole interval agrees with it in sign, and does not where the interval leaves no
difference that matters: 2 points, or the report's own where that is less. Where a recipe still
rises, by more than {rising:g} points of validation accuracy in the last quarter of its training,
nothing can be said. Of two gains their difference is measured. Where no report claims anything, the
verdict is yes or no. In brackets: CPU seconds of a run.
"""
INTRODUCTION = """\
## The sources, and how to read the tables

Every run that the source documents report is a recipe (`kws recipes`). A table has the figure that
was reported beside the one that we measured; what was not run here is listed at the end.
`python -m experiments run GROUP` makes results in `{folder}`, `python -m experiments report` this
page. Of ConvS2S only the encoder is here: a classifier needs no decoder.

The sources. The speaker homework is HW4 of the machine learning course of National Taiwan
University, spring 2023 (https://speech.ee.ntu.edu.tw/~hylee/ml/2023-spring.php); the figures for it
are those of a student's report on it. That report, the speaker laboratory, the Speech Commands
report and the report on the Kaggle challenge are students' work: we leave their names out and call
each by its subject. Published models: Kim et al. 2021, "Broadcasted Residual Learning for Efficient
Keyword Spotting" (https://arxiv.org/abs/2106.04140); Berg et al. 2021, "Keyword Transformer: A
Self-Attention Model for Keyword Spotting" (https://arxiv.org/abs/2104.00769); Karita et al. 2019,
"A Comparative Study on Transformer vs RNN in Speech Applications" (https://arxiv.org/abs/1909.06317);
Dong et al. 2018, "Speech-Transformer" (https://doi.org/10.1109/ICASSP.2018.8462506).

A reported figure and ours are on different data unless both columns say the
same, so they are never in one column. Our accuracies are means over seeds, ± the standard deviation
between them, then the number n of test examples and the 95 % interval of the mean on that many
(Wilson); training and validation are those of the weights that were kept. Time is that of training,
with one thread where it ran on a CPU. Steps are those done, of those that the recipe as written
takes on the reported data.
"""
VERDICTS = {
    HOLDS: "What the report found holds here",
    DOES_NOT: "It does not hold here",
    YES: "Asked by us, claimed by no report: yes",
    NO: "Asked by us, claimed by no report: no",
    CANNOT_SAY: "Cannot be said",
}
HEADS = ("speaker-sigmoid", "speaker-one-layer")  # whose gradients are plotted
BASES = ("transformer-step", "convs2s-mse-rmsprop", "convs2s-cross-entropy-adam")  # over rates
SHARES = "crnn-unknown-10"  # a curve over the share of other words in training
CONFUSIONS = ("transformer-step", "crnn-unknown-60")  # of their first seed
HIDDEN_KEYS = ("data.protocol", "data.count_as")  # of the embedded corpus: the heading says it


def render(results: Path, page: Path) -> tuple[str, dict[Path, Drawing]]:
    """The text of the page, and of each plot what is drawn in it.

    Raises:
        UsageError: a result that cannot be used.
    """
    read = read_results(results)
    groups = gather(read)
    drawn: dict[Path, Drawing] = {}
    here = os.path.relpath(results, page.parent).replace(os.sep, "/")
    parts = ["# Experiments\n"]
    found = findings(read, read_questions())
    if found:
        parts += [SECTION, *verdict_lists(found)]
    curves = []
    for name, (about, drawing) in question_plots(read).items():
        drawn[results / name] = drawing
        curves.append(f"![{about}]({here}/{name})\n")
    if found:
        parts += folded("The measurements behind each verdict", [*findings_table(found), *curves])
    parts.append(INTRODUCTION.format(folder=here))
    for group, inside in groups.items():
        ran = [table for table in inside if table.where]
        if not ran:
            continue
        parts.append(f"## {group}\n")
        for table in ran:
            assert table.where is not None
            plot = results / f"{group}-{table.where.slug}.png"
            drawn[plot] = curves_of(table)
            picture = f"![learning curves of {group}]({here}/{plot.name})\n"
            parts += folded(heading(table), [*describe(table), picture])
        parts += folded("What each recipe is", sources(ran))
    parts += not_run(groups)
    return "\n".join(parts), drawn


def folded(summary: str, parts: Sequence[str]) -> list[str]:
    """What opens on a click, so that the page begins with what was found."""
    return [f"<details><summary>{summary}</summary>\n", *parts, "</details>\n"]


def not_run(groups: Mapping[str, Sequence[Table]]) -> list[str]:
    """The recipes that have no result, a line for each group."""
    lines = []
    for group, tables in groups.items():
        if group == "official":  # their results are in docs/results.md
            continue
        ran = {row.name for table in tables for row in table.rows if row.results}
        left = {row.name: row for table in tables for row in table.rows if row.name not in ran}
        recipes = [
            name + (f" (reported {reported_figure(row)})" if row.written.reported.accuracy else "")
            for name, row in sorted(left.items())
        ]
        if recipes:
            lines.append(f"- `{group}`: {', '.join(recipes)}\n")
    if not lines:
        return []
    about = "Most need the full data sets, published weights or a GPU.\n"
    return ["## Recipes that were not run here\n", about, "".join(lines)]


def verdict_lists(found: Sequence[Finding]) -> list[str]:
    """By verdict, a line for each question: what was asked and the difference."""
    parts = []
    for verdict, title in VERDICTS.items():
        lines = [
            f"- {finding.question.question} {points(finding.difference.value)} points on "
            f"`{finding.where.data}`" + (f" ({finding.reason})" if finding.reason else "") + "\n"
            for finding in found
            if finding.verdict == verdict
        ]
        if lines:
            parts.append(f"**{title}** ({len(lines)})\n\n{''.join(lines)}")
    return parts


def findings_table(found: Sequence[Finding]) -> list[str]:
    """The questions, a line for each data set that they were asked of."""
    about = HOW_TO_READ.format(asked=len(found), seeds=FEWEST_SEEDS, rising=100 * RISING)
    header = ["question", "what the report found", "what we found", "verdict", "what differs"]
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
        f"**{points(d.value)} points** ({between(d.interval())}; Holm "
        f"{between(finding.corrected)}; n={d.n:,}, {seeds}) on `{finding.where.data}`: "
        f"{arms}{against}"
    )
    judged = f"**{finding.verdict}**" + (f": {finding.reason}" if finding.reason else "")
    report = f"{question.report} ({question.source})"
    return [question.question, report, ours, judged, question.differs]


def between(interval: tuple[float, float]) -> str:
    """An interval of differences in points."""
    return " to ".join(map(points, interval))


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
            drawing = lines_over(over, about.replace(": ", "\n"), "highest learning rate", "log")
            found[f"rates-{name}-{data}.png"] = (about, drawing)
        if name == SHARES and len(next(iter((over := shares(runs, result)).values()), ())) > 1:
            about = f"other words in training, on {data}, n={result['n']:,}: a dot for each seed"
            drawing = lines_over(over, about, "training clips that are other words (%)")
            found[f"shares-{data}.png"] = (about, drawing)
        if name in CONFUSIONS and result.get("confusion"):
            about = f"confusion matrix of {name} on {data}"
            found[f"confusion-{name}-{data}.png"] = (about, confusion_of(result))
    heads = {name: [run for run in runs if run["name"] == name] for name in HEADS}
    if all(heads.values()):
        about = "norm of the gradient with a sigmoid and with a ReLU in the head"
        found["gradients-heads.png"] = (about, norms_of(heads, about))
    return found


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


def heading(table: Table) -> str:
    """What the models of a table were measured on, as HTML."""
    where = table.where
    assert where is not None
    split = "" if where.split == "testing" else f", {where.split} split"
    silence = f", test silence: {where.silence}" if where.silence not in ("", "none") else ""
    protocol = f", protocol {where.protocol}" if where.protocol != "speakers" else ""
    unknown = f", unknown: {where.unknown}" if where.unknown else ""
    return f"On {where.data}: {KINDS[where.kind]}{protocol}{split}{silence}{unknown}"


def describe(table: Table) -> list[str]:
    """The table of the recipes that were run, and their hardware."""
    columns = reported_columns(table)
    views = table.views or [""]
    header = ["recipe", *(f"reported: {data}" for data in columns)]
    header += [f"ours{ours_on(table, view)}" for view in views]
    header += ["training, validation", "parameters", "time", "steps", "commit", "what ours is"]
    body = [cells(row, columns, views) for row in table.rows if row.results]
    return [markdown_table(header, body), *hardware(table)]


def ours_on(table: Table, view: str) -> str:
    """What our column is about, in a few words."""
    assert table.where is not None
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
    line += [accuracy_cell(row, view) for view in views]
    line.append(learning_cell(row))
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


def learning_cell(row: Row) -> str:
    """Accuracy and loss on training and validation data where the weights that were kept are from.

    Those on training data are of the steps before, with augmentation and dropout.
    """
    parts = []
    for name in ("train", "validation"):
        figures = [
            f"{shown} {mean_and_spread(values, digits)}"
            for key, shown, digits, scale in (("accuracy", "", 1, 100), ("loss", " loss", 3, 1))
            if (values := [scale * value for value in row.kept(f"{name}_{key}")])
        ]
        parts += [f"{name}{','.join(figures)}"] if figures else []
    return "; ".join(parts) or "–"


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """Mean, ± the standard deviation.

    >>> mean_and_spread([1.0, 2.0], 2)
    '1.50 ± 0.71'
    """
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


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
        for row in (row for row in table.rows if row.results):
            reported = row.written.reported
            note = f": {reported.note}" if reported.note else ""
            source = f" ({reported.source}{note})" if reported.source else ""
            lines.setdefault(row.name, f"- `{row.name}`: {row.written.description}{source}")
    return ["\n".join(lines[name] for name in sorted(lines)) + "\n"]


def write_report(results: str | Path, page: str | Path) -> Iterator[Path]:
    """Write the page and its plots, remove plots of ours that are no longer on it.

    Raises:
        UsageError: a result that cannot be used; nothing is written then.
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


def without_history(results: str | Path) -> list[str]:
    """A sentence for each commit that results name and that this history does not contain.

    Nothing where there is no whole history to look in: an archive, or a shallow clone.
    """
    if shutil.which("git") is None or git("rev-parse", "--is-shallow-repository") != (0, "false"):
        return []
    by_commit: dict[str, list[str]] = {}
    for result in read_results(results):
        name = f"{result['data']['name']}/{result['group']}/{result['name']}-seed{result['seed']}"
        by_commit.setdefault(result["commit"], []).append(name)
    return [
        f"{names[0]} and {len(names) - 1} more results name commit {commit}, which is not in this "
        "history: run them again from a commit that is"
        for commit, names in sorted(by_commit.items())
        if git("merge-base", "--is-ancestor", commit, "HEAD")[0]
    ]


def left_over(results: Path, drawn: dict[Path, Drawing]) -> list[Path]:
    """Plots of ours that are not on the page."""
    return [p for p in sorted(results.glob("*.png")) if p not in drawn and digest_in(p)]
