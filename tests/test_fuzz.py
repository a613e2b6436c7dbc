"""Files with random damage: each is read, or refused with a UsageError; nothing else, and no hang.

Two kinds of damage. Bytes: cut, flipped, dropped, repeated, zeroed. Values, for files that hold a
tree of them: one node becomes something of another type or size, and the file is written again,
whole and well-formed. The draws are seeded; a failure prints its case.
"""

import copy
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
import soundfile
import torch

from kws.audio.normalize import Normalizer
from kws.audio.recordings import read_audio, write_audio
from kws.data.array_file import DamagedArrayError, open_array, write_array
from kws.data.features_file import read_features
from kws.data.listing import read_listing
from kws.data.packed import pack_clips
from kws.data.speakers import load_speakers
from kws.errors import UsageError
from kws.training.checkpoint import Trained, load_model, new_model
from kws.training.history import read_history
from kws.training.recipe import load_recipe, parse_recipe
from tests.conftest import limited, state_of
from tests.data.speaker_folder import write_speakers

CASES = 25  # for each file and kind of damage
SECONDS = 120  # of the processor, for all of them: a hang, not a benchmark
ODD: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 7, 2**31, -(2**63), 10**30, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "x", "../x", "/", "é\0", "9" * 200,
    [], [[]], [None], [1, 2, 3], {}, {"x": 1}, {"": {}},
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_hang():
    with limited(SECONDS, AssertionError(f"still reading after {SECONDS} s")):
        yield


def damage(data: bytes, random: Random) -> bytes:
    """`data` with one to three accidents."""
    mutable = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        size = len(mutable)
        at = random.randrange(size + 1) if random.random() < 0.5 else random.randrange(64)
        many = random.choice((1, 2, 4, 16, 500))
        match random.choice(("cut", "flip", "flip", "drop", "repeat", "zero", "ones", "noise")):
            case "cut":
                del mutable[at:]
            case "flip" if at < size:
                mutable[at] ^= 1 << random.randrange(8)
            case "drop":
                del mutable[at : at + many]
            case "repeat":
                mutable[at:at] = mutable[at : at + many]
            case "zero":
                mutable[at : at + many] = bytes(len(mutable[at : at + many]))
            case "ones":
                mutable[at : at + many] = b"\xff" * len(mutable[at : at + many])
            case "noise":
                mutable[at : at + many] = random.randbytes(len(mutable[at : at + many]))
    return bytes(mutable)


def places(tree: object) -> Iterator[tuple[object, object]]:
    """Every (container, key) below `tree`."""
    keys = range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, dict) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])  # type: ignore[index]


def distort(tree: object, random: Random, odd: tuple[object, ...] = ODD) -> object:
    """A copy of `tree` in which one node is odd, gone, or under another key."""
    tree = copy.deepcopy(tree)
    container, key = random.choice(list(places(tree)))
    assert isinstance(container, (dict, list))
    action = random.random()
    if action < 0.15:
        del container[key]
    elif action < 0.25 and isinstance(container, dict):
        container[f"{key}x"] = container.pop(key)
    else:
        container[key] = copy.deepcopy(random.choice(odd))
    return tree


def try_all(path: Path, versions: Iterator[bytes], read: Callable[[Path], object]) -> None:
    """Read every version of the file: only success and UsageError are allowed."""
    outcomes = {"read": 0, "refused": 0}
    original = path.read_bytes()
    for number, data in enumerate(versions):
        path.write_bytes(data)
        try:
            read(path)
            outcomes["read"] += 1
        except UsageError:
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(f"case {number}: {error!r} from {data[:2000]!r}") from error
        finally:
            path.write_bytes(original)
    assert outcomes["refused"], "no damage was noticed: does the test reach the reader?"


def bytewise(path: Path) -> Iterator[bytes]:
    random, data = Random(path.name), path.read_bytes()
    yield from (damage(data, random) for _ in range(CASES))
    yield b"[" * 100_000  # deeper than a parser in Python can go
    yield b"[" + b"9" * 5_000 + b"]"  # longer than Python converts
    yield b"a = " + b"9" * 5_000


def as_json(path: Path, count: int = CASES) -> Iterator[bytes]:
    random, tree = Random(path.name), json.loads(path.read_text())
    return (json.dumps(distort(tree, random)).encode() for _ in range(count))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "flac"])
def test_recordings(tmp_path, monkeypatch, subtype):
    path, rate = tmp_path / ("a.flac" if subtype == "flac" else "a.wav"), 8000
    kind = None if subtype == "flac" else subtype
    soundfile.write(path, (torch.rand(400, 2) - 0.5).numpy(), rate, subtype=kind)
    try_all(path, bytewise(path), lambda path: read_audio(path, resample=True))
    if subtype == "PCM_16":
        write_audio(path, torch.rand(400) - 0.5)
        try_all(path, bytewise(path), read_audio)
        monkeypatch.setenv("KWS_CACHE", str(tmp_path / "cache"))
        try_all(path, bytewise(path), lambda path: pack_clips(tmp_path, ["a.wav"]))


@pytest.mark.parametrize("legacy", [False, True])
def test_features(tmp_path, legacy):
    path = tmp_path / "a.pt"
    torch.save(torch.rand(9, 40), path, _use_new_zipfile_serialization=not legacy)
    try_all(path, bytewise(path), lambda path: read_features(path, 40))


def test_lists(tmp_path):
    for name in ("yes/a_nohash_0.wav", "no/b_nohash_0.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "validation_list.txt").write_text("no/b_nohash_0.wav\n")
    path = tmp_path / "testing_list.txt"
    path.write_text("yes/a_nohash_0.wav\n")
    try_all(path, bytewise(path), lambda _: read_listing(tmp_path))


@pytest.fixture
def speakers(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "cache"))
    counts = {"a": 2, "b": 1}
    return write_speakers(tmp_path, counts, 1, lambda i: torch.rand(3 + i, 5), answers=["a"])


@pytest.mark.parametrize(
    "name", ["mapping.json", "metadata.json", "testdata.json", "test_labels.csv"]
)
def test_speaker_files_with_other_bytes_and_values(speakers, name):
    path = speakers / name
    try_all(path, bytewise(path), lambda _: load_speakers(speakers))
    if path.suffix == ".json":
        try_all(path, as_json(path, 3 * CASES), lambda _: load_speakers(speakers))


# Recipes and runs

RECIPE = """description = "small"
[data]
protocol = "v2-12"
[features]
n_mels = 13
f_max = 7000.0
[augment]
mixup = 0.2
[model]
name = "gru"
channels = 3
hidden_size = 5
[train]
lr = 1e-3
epochs = 2
"""


def test_recipes_with_other_bytes_and_values(tmp_path):
    """The model is built as well: its knobs are checked by its builder."""
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    try_all(path, bytewise(path), load_recipe)
    random = Random(0)
    lines = RECIPE.splitlines()

    def versions() -> Iterator[bytes]:
        for _ in range(3 * CASES):
            row = random.choice([i for i, line in enumerate(lines) if "=" in line])
            value = random.choice(ODD)
            if value is None or isinstance(value, dict):
                text = "{x = 1}"
            elif isinstance(value, float):
                text = str(value)
            else:
                text = json.dumps(value).replace("null", "'x'")
            key = lines[row].partition(" = ")[0]
            yield "\n".join([*lines[:row], f"{key} = {text}", *lines[row + 1 :]]).encode()

    def build(path: Path) -> None:
        recipe = load_recipe(path)
        with torch.device("meta"):  # shapes only: an odd size may be a huge one
            new_model(recipe, 12)

    try_all(path, versions(), build)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    recipe = parse_recipe(RECIPE)
    trained = Trained(
        model=new_model(recipe, 3),
        recipe=recipe,
        labels=("yes", "no", "_unknown_"),
        protocol="v2-12",
        normalizer=Normalizer(kind="dataset", mean=torch.zeros(13), std=torch.ones(13)),
        step=17,
    )
    torch.save(state_of(trained), tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_checkpoints_with_other_bytes_and_values(checkpoint):
    """Whole and well-formed files, as another program might write them."""
    try_all(checkpoint, bytewise(checkpoint), load_model)
    random, state = Random(0), dict(torch.load(checkpoint))
    state["weights"] = dict(state["weights"])
    odd = (*ODD, torch.zeros(()), torch.zeros(3, 2), torch.full((5,), float("nan")), b"bytes")

    def versions() -> Iterator[bytes]:
        for number in range(3 * CASES):
            changed = distort(state, random, odd)
            if number % 3 == 0:  # often enough where it matters most
                changed = {**state, random.choice(list(state)): random.choice(odd)}
            data = io.BytesIO()
            torch.save(changed, data)
            yield data.getvalue()

    try_all(checkpoint, versions(), load_model)


def test_histories_with_other_bytes_and_values(tmp_path):
    row = {"step": 1, "epoch": 1.0, "lr": 0.1, "train_loss": 2.0}
    row |= {"validation_loss": 1.0, "validation_accuracy": 0.5, "validation_n": 4}
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(row) + "\n")
    try_all(path, bytewise(path), use_history)
    try_all(path, as_json(path), use_history)


def use_history(path: Path) -> None:
    found = read_history(path)
    if len(found):
        _ = found.best


# Packs: damage is noticed and the pack made again, so it is never the user's fault


def test_packs(tmp_path):
    path, random = tmp_path / "a.clips", Random(0)
    rows = torch.arange(600).reshape(3, 200).numpy()
    with write_array(path, "<i8", (200,)) as writer:
        writer.append(rows)
        writer.fields = {"names": ["a"]}
    data = path.read_bytes()
    noticed = 0
    for _ in range(CASES):
        path.write_bytes(damaged := damage(data, random))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found, fields = open_array(path)
            except DamagedArrayError:
                noticed += 1
                continue
        assert damaged == data or (found == rows).all()
        assert fields == {"names": ["a"]}
        os.utime(path, ns=(0, noticed))  # what was verified is remembered by time and size
    assert noticed > CASES // 2
