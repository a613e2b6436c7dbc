"""`kws kaggle`, `kws homework-csv`: write result files, and check existing ones."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.cli import app
from kws.cli.shared_options import Device, Resample, refuse_given
from kws.errors import UsageError

if TYPE_CHECKING:
    from kws.inference.predict import Prediction
    from kws.training.checkpoint import Trained

MOST_LABELS = 12  # of which the counts are printed
LABELING = ("run", "out", "device", "resample")  # options that --check ignores

Model = Annotated[
    Path | None, typer.Option("--run", metavar="RUN", help="Run folder, or a checkpoint in it.")
]
Out = Annotated[Path, typer.Option(help="File to write.")]
Check = Annotated[
    Path | None,
    typer.Option("--check", metavar="FILE", help="Write nothing: report what is wrong with FILE."),
]


@app.command("kaggle")
def kaggle(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The challenge's test folder, or its audio/.")],
    run: Model = None,
    out: Out = Path("submission.csv"),
    check: Check = None,
    device: Device = "auto",
    resample: Resample = False,
) -> None:
    """Label every recording of the Kaggle challenge's test/audio: fname,label, sorted by name.

    A model whose recipe has data.count_as labels unknown and silence by its confidence.
    """
    from kws.inference.evaluate import thresholds_of
    from kws.inference.submission import KAGGLE, KAGGLE_LABELS, check_csv, write_csv
    from kws.inference.thresholds import kaggle_label

    files = recordings_of(folder)
    names = [file.name for file in files]
    if check is not None:
        refuse_given(context, "--check", *LABELING)
        report_correct(check, check_csv(check, KAGGLE, KAGGLE_LABELS, names, exact=True))
        return
    trained = model_for("keywords", run, device)
    rule = thresholds_of(trained.recipe)
    rows: dict[str, str] = {}
    longer = 0
    for prediction in labeled(trained, files, resample):
        if prediction.start:  # another window of a recording: the challenge asks about a second
            longer += prediction.start == 0.5
            continue
        label, confidence = prediction.scores[0]
        rows[prediction.path.name] = kaggle_label(
            rule.instead_of(label, confidence) if rule else label
        )
    if longer:
        print(f"note: {longer:,} recordings are longer than 1 s: their first second counts")
    write_csv(out, KAGGLE, rows, KAGGLE_LABELS)
    report_written(out, check_csv(out, KAGGLE, KAGGLE_LABELS, names, exact=True))


@app.command("homework-csv")
def homework_csv(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Folder in the homework's layout.")],
    run: Model = None,
    out: Out = Path("submission.csv"),
    check: Check = None,
    device: Device = "auto",
) -> None:
    """Name the speaker of every test utterance of the homework: Id,Category, sorted by name."""
    from kws.data.speaker_layout import MAPPING, METADATA, TESTDATA, read_mapping, read_test_names
    from kws.inference.submission import HOMEWORK, check_csv, write_csv

    if not (data / TESTDATA).is_file():
        raise UsageError(
            f"{data}: contains no {TESTDATA}, the list of test utterances: name the folder of "
            f"it beside {METADATA}"
        )
    names = read_test_names(data / TESTDATA)
    speakers = read_mapping(data / MAPPING)
    if check is not None:
        refuse_given(context, "--check", *LABELING)
        report_correct(check, check_csv(check, HOMEWORK, speakers, names, exact=True))
        return
    trained = model_for("speakers", run, device)
    trained.require_labels(speakers, str(data / MAPPING))
    files = [data / name for name in names]
    rows = {p.path.name: p.label for p in labeled(trained, files, resample=False)}
    write_csv(out, HOMEWORK, rows, speakers)
    report_written(out, check_csv(out, HOMEWORK, speakers, names, exact=True))


def recordings_of(folder: Path) -> list[Path]:
    """The recordings in `folder`, its audio/ or its test/audio/, sorted; UsageError for none."""
    from kws.data.listing import audio_files, require_folder

    require_folder(folder)
    for inside in (folder, folder / "audio", folder / "test" / "audio"):
        if inside.is_dir() and (names := audio_files(inside)):
            return [inside / name for name in names]
    raise UsageError(
        f"{folder}: no recordings in it, its audio/ or its test/audio/: name the unpacked test "
        "folder of the challenge"
    )


def model_for(task: str, run: Path | None, device: str) -> "Trained":
    from kws.device import choose_device
    from kws.training.checkpoint import load_model, require_kind

    if run is None:
        raise UsageError("no model to label with: name a run folder with --run, or --check a file")
    trained = load_model(run, choose_device(device))
    require_kind(run, trained.task, task)
    return trained


def labeled(trained: "Trained", files: Sequence[Path], resample: bool) -> "Iterator[Prediction]":
    """The predictions for `files`, with a progress bar on a terminal."""
    from tqdm import tqdm

    from kws.inference.predict import predict

    shown = tqdm(files, unit="file", leave=False, disable=None)
    return predict(trained, shown, resample=resample)


def report_correct(path: Path, rows: dict[str, str]) -> None:
    print(f"{path}: correct, {summary(rows)}")


def report_written(path: Path, rows: dict[str, str]) -> None:
    print(f"written: {path}, {summary(rows)}")


def summary(rows: dict[str, str]) -> str:
    """Number of rows, and how often each label occurs, the most frequent first."""
    counts = Counter(rows.values())
    order = sorted(counts, key=lambda label: (-counts[label], label))
    shown = ", ".join(f"{label} {counts[label]:,}" for label in order[:MOST_LABELS])
    more = f" and {len(order) - MOST_LABELS} more" if len(order) > MOST_LABELS else ""
    return f"{len(rows):,} rows: {shown}{more}"
