"""The files beside the speaker features of the homework: speakers, lengths, test utterances.

    mapping.json     {"speaker2id": {"id00464": 0, …}, "id2speaker": {"0": "id00464", …}}
    metadata.json    {"n_mels": 40, "speakers": {"id03074": [{"feature_path": …, "mel_len": …}, …]}}
    testdata.json    {"n_mels": 40, "utterances": [{"feature_path": …, "mel_len": …}, …]}
    uttr-….pt        a saved float tensor (mel_len, n_mels), see `kws.data.features_file`
    test_labels.csv  optional answers of the test, header `Id,Category`

Of the full set's test a report on the homework counts 4,000 utterances, its public testdata.json
8,000: the file decides here.

Every reader raises UsageError naming the file for what is missing, unreadable or of another form.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kws.errors import UsageError, did_you_mean

MAPPING, METADATA, TESTDATA = "mapping.json", "metadata.json", "testdata.json"
TEST_LABELS = "test_labels.csv"


@dataclass(frozen=True)
class Utterance:
    """A line of metadata.json or testdata.json; `speaker` is -1 if unknown."""

    name: str
    mel_len: int
    speaker: int


def read_mapping(path: Path) -> tuple[str, ...]:
    """Speakers in the order of their numbers."""
    mapping = _read_json(path)
    numbers = _field(mapping, "speaker2id", dict, path)
    if not numbers or sorted(map(repr, numbers.values())) != sorted(map(repr, range(len(numbers)))):
        raise UsageError(
            f"{path}: speaker2id must number its speakers from 0 without gaps: make it again"
        )
    speakers = tuple(sorted(numbers, key=numbers.__getitem__))
    backwards = mapping.get("id2speaker")
    if backwards is not None and backwards != {str(i): name for i, name in enumerate(speakers)}:
        raise UsageError(f"{path}: id2speaker contradicts speaker2id: make it again")
    return speakers


def read_metadata(path: Path, speakers: tuple[str, ...]) -> tuple[int, list[Utterance]]:
    """Number of mel bands, and utterances sorted by speaker and name."""
    metadata = _read_json(path)
    n_mels = _field(metadata, "n_mels", int, path)
    numbers = {speaker: number for number, speaker in enumerate(speakers)}
    utterances = []
    for speaker, entries in sorted(_field(metadata, "speakers", dict, path).items()):
        if speaker not in numbers:
            raise UsageError(
                f"{path}: speaker {speaker!r} is not in {MAPPING}"
                f"{did_you_mean(speaker, speakers)}: make both files again"
            )
        utterances += _read_utterances(entries, numbers[speaker], path)
    if not utterances:
        raise UsageError(f"{path}: names no utterances: make it again")
    return n_mels, utterances


def read_test_names(path: Path) -> list[str]:
    """File names of the test utterances, sorted: what a result file has a row for."""
    entries = _field(_read_json(path), "utterances", list, path)
    return [utterance.name for utterance in _read_utterances(entries, -1, path)]


def read_testdata(path: Path, n_mels: int) -> list[Utterance]:
    """Utterances sorted by name, their speakers unknown; refused where `n_mels` is another."""
    testdata = _read_json(path)
    if (found := _field(testdata, "n_mels", int, path)) != n_mels:
        raise UsageError(
            f"{path}: n_mels is {found}, and {n_mels} in {METADATA}: make the features again"
        )
    return _read_utterances(_field(testdata, "utterances", list, path), -1, path)


def _read_utterances(entries: Any, speaker: int, path: Path) -> list[Utterance]:
    utterances = []
    for entry in entries if isinstance(entries, list) else [None]:
        name, mel_len = (
            _field(entry, key, kind, path)
            for key, kind in (("feature_path", str), ("mel_len", int))
        )
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise UsageError(f"{path}: {name} is outside the folder: make the file again")
        utterances.append(Utterance(name, mel_len, speaker))
    return sorted(utterances, key=lambda utterance: utterance.name)


def read_answers(
    path: Path, utterances: list[Utterance], speakers: tuple[str, ...]
) -> list[Utterance]:
    """The test utterances with the speakers that test_labels.csv gives them, if it is there."""
    if not path.exists():
        return utterances
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != ["Id", "Category"]:
            raise UsageError(f"{path}: its first line must be Id,Category: correct it")
        answers = {row["Id"]: row["Category"] for row in reader}
    numbers = {speaker: number for number, speaker in enumerate(speakers)}
    labeled = []
    for utterance in utterances:
        answer = answers.get(utterance.name)
        if answer not in numbers:
            what = "has no line" if answer is None else f"is {answer!r}, not in {MAPPING}"
            raise UsageError(f"{path}: {utterance.name} {what}: correct it or remove the file")
        labeled.append(Utterance(utterance.name, utterance.mel_len, numbers[answer]))
    return labeled


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"{path}: no such file: give a folder with {MAPPING} and {METADATA}")
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("version https://git-lfs"):
        raise UsageError(f"{path}: a git-LFS pointer: run `git lfs pull` in its repository")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}: line {error.lineno}: not JSON ({error.msg}): copy or download it again"
        ) from None
    except (ValueError, RecursionError):  # a number or a nesting beyond all measure
        raise UsageError(f"{path}: not JSON: copy or download it again") from None


def _field(value: Any, key: str, kind: type, path: Path) -> Any:
    """`value[key]`, which must be of type `kind`; numbers must be positive."""
    found = value.get(key) if isinstance(value, dict) else None
    right = isinstance(found, kind) and not isinstance(found, bool)
    if not right or (isinstance(found, int) and found < 1):
        names = {dict: "an object", list: "a list", int: "a positive whole number", str: "a text"}
        raise UsageError(
            f"{path}: {key} is missing or not {names[kind]}: make it again in the homework's layout"
        )
    return found
