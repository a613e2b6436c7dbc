"""Speaker features: divided by speaker, drawn as crops and whole, one sentence for bad files."""

import io
import json
import os
import pickle
import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from kws.data.speakers import load_speakers
from kws.errors import UsageError
from tests.data.speaker_folder import write_speakers

F = 5
UTTERANCES = {"id03": 23, "id01": 1, "id00": 2, "id02": 10}
MIN_FRAMES, MAX_FRAMES = 17, 211


def features(number: int) -> torch.Tensor:
    """An utterance that is known by its values: its own number and the number of the frame."""
    frames = MIN_FRAMES + 37 * number % (MAX_FRAMES - MIN_FRAMES)
    mel = torch.zeros(frames, F)
    mel[:, 0], mel[:, 1] = number + 1, torch.arange(frames) + 1.0
    return mel


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return write_speakers(tmp_path_factory.mktemp("speakers"), UTTERANCES, 7, features)


@pytest.fixture
def own(made, tmp_path) -> Path:
    """A copy that the test may spoil."""
    return shutil.copytree(made, tmp_path / "own")


def numbers(mel: torch.Tensor) -> list[int]:
    """Which utterances a batch holds."""
    return (mel[:, 0, 0] - 1).int().tolist()


def owner(number: int) -> str:
    for speaker, count in UTTERANCES.items():
        if number < count:
            return speaker
        number -= count
    return "test"


def test_every_speaker_gives_a_tenth_to_validation_at_least_one_of_two(made):
    data = load_speakers(made)
    assert data.speakers == ("id00", "id01", "id02", "id03")
    assert Counter(data.validation.labels.tolist()) == {0: 1, 2: 1, 3: 2}  # 23 · 0.1 rounds to 2
    assert Counter(data.train.labels.tolist()) == {0: 1, 1: 1, 2: 9, 3: 21}
    assert sorted(data.train.names + data.validation.names) == sorted(
        path.name
        for path in made.glob("*.pt")
        if path.name not in (data.test.names if data.test else ())
    )


@pytest.mark.parametrize(
    ("share", "counts"), [(0.0, {}), (0.25, {0: 1, 2: 3, 3: 6}), (0.99, {0: 1, 2: 9, 3: 22})]
)
def test_validation_share_is_a_knob_and_leaves_one_for_training(made, share, counts):
    data = load_speakers(made, validation=share)
    assert Counter(data.validation.labels.tolist()) == counts
    assert set(data.train.labels.tolist()) == {0, 1, 2, 3}


def test_division_follows_the_seed_and_not_the_order_of_the_json(own):
    first = load_speakers(own)

    def reverse(metadata):
        metadata["speakers"] = {s: u[::-1] for s, u in reversed(metadata["speakers"].items())}

    edit(own / "metadata.json", reverse)
    again, other = load_speakers(own), load_speakers(own, seed=1)
    assert (again.train.names, again.validation.names) == (
        first.train.names,
        first.validation.names,
    )
    assert other.validation.names != first.validation.names


def test_labels_and_frames_belong_to_their_names(made):
    data = load_speakers(made)
    for split in (data.train, data.validation):
        mel, valid = split.whole(torch.arange(len(split)))
        for i, number in enumerate(numbers(mel)):
            assert data.speakers[split.labels[i]] == owner(number)
            assert torch.equal(mel[i][valid[i]], features(number))
            assert torch.equal(torch.load(made / split.names[i]), features(number))


def test_test_utterances_have_no_speakers_unless_the_answers_are_there(own):
    test = load_speakers(own).test
    assert test is not None
    assert test.labels.tolist() == [-1] * 7
    lines = [f"{name},id0{i % 4}" for i, name in enumerate(test.names)]
    (own / "test_labels.csv").write_text("\n".join(["Id,Category", *lines]))
    answered = load_speakers(own).test
    assert answered is not None
    assert answered.labels.tolist() == [0, 1, 2, 3, 0, 1, 2]
    (own / "testdata.json").unlink()
    assert load_speakers(own).test is None


def test_crops_are_consecutive_frames_of_their_utterance(made):
    train = load_speakers(made).train
    index = torch.arange(len(train)).flip(0)
    mel, valid = train.crops(index, torch.Generator().manual_seed(0), frames=64)
    assert mel.shape == (len(train), 64, F)
    for i, (crop, real) in enumerate(zip(mel, valid, strict=True)):
        expected = features(int(crop[0, 0]) - 1)
        first, count = int(crop[0, 1]) - 1, min(64, len(expected))
        assert torch.equal(crop[:count], expected[first : first + count])
        assert real.tolist() == [True] * count + [False] * (64 - count)
        assert (crop[count:] == -20).all()
        assert len(expected) == train.lengths[index[i]]


def test_crops_are_drawn_by_the_generator_and_reach_both_ends(made):
    train = load_speakers(made).train
    longest = train.lengths.argmax().repeat(3000)
    length = int(train.lengths.max())
    mel, _ = train.crops(longest, torch.Generator().manual_seed(0), frames=length - 4)
    begins = mel[:, 0, 1].int() - 1
    assert set(begins.tolist()) == {0, 1, 2, 3, 4}
    assert begins.bincount().min() > 500  # evenly
    again, _ = train.crops(longest, torch.Generator().manual_seed(0), frames=length - 4)
    other, _ = train.crops(longest, torch.Generator().manual_seed(1), frames=length - 4)
    assert torch.equal(mel, again)
    assert not torch.equal(mel, other)


def test_crops_without_a_generator_are_in_the_middle(made):
    train = load_speakers(made).train
    index = torch.arange(len(train))
    mel, _ = train.crops(index, frames=30)
    assert torch.equal(mel[:, 0, 1] - 1, ((train.lengths - 30).clamp(min=0) // 2).float())
    with pytest.raises(ValueError, match="frames=0 must be at least 1"):
        train.crops(torch.tensor([0]), frames=0)


@pytest.mark.parametrize("shuffled", [False, True])
def test_crop_batches_visit_everyone_once(made, shuffled):
    train = load_speakers(made).train
    generator = torch.Generator().manual_seed(0) if shuffled else None
    batches = list(train.crop_batches(7, generator, frames=20))
    assert [len(mel) for mel, *_ in batches] == [7, 7, 7, 7, 4]
    index = torch.cat([index for *_, index in batches])
    assert sorted(index.tolist()) == list(range(32))
    assert (index.tolist() != list(range(32))) == shuffled
    assert torch.equal(torch.cat([labels for *_, labels, _ in batches]), train.labels[index])


@pytest.mark.parametrize("budget", [1, 300, 1_000, 100_000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_full_batches_visit_everyone_once_within_the_budget(made, budget, shuffled):
    train = load_speakers(made).train
    seen = []
    generator = torch.Generator().manual_seed(0) if shuffled else None
    for mel, valid, labels, index in train.full_batches(budget, generator=generator):
        assert mel.shape[:2] == valid.shape
        assert valid.numel() <= budget or len(mel) == 1
        assert valid.sum(1).tolist() == train.lengths[index].tolist()
        assert valid[:, 0].all()
        assert valid.any(0).all()  # padded to the longest and no further
        assert (mel[~valid] == -20).all()
        assert torch.equal(labels, train.labels[index])
        assert [features(n).shape[0] for n in numbers(mel)] == train.lengths[index].tolist()
        seen += index.tolist()
    assert sorted(seen) == list(range(len(train)))


def test_full_batches_are_large_and_pad_little_and_an_empty_split_has_none(made):
    train = load_speakers(made).train
    batches = [train.lengths[index].tolist() for index in train.buckets(700)]
    for batch, following in pairwise(batches):
        assert (len(batch) + 1) * max(*batch, following[0]) > 700
    real = int(train.lengths.sum())
    for generator, bound in ((None, 1.15), (torch.Generator(), 1.3)):
        padded = train.full_batches(600, generator=generator)
        assert real <= sum(valid.numel() for _, valid, *_ in padded) < bound * real
    validation = load_speakers(made, validation=0.0).validation
    assert list(validation.full_batches(100)) == []
    assert list(validation.crop_batches(3)) == []


def test_shuffled_full_batches_have_other_neighbors_and_another_order_each_time(made):
    lengths = torch.arange(100, 300)
    n = len(lengths)
    many = replace(
        load_speakers(made).train,
        lengths=lengths,
        begins=torch.zeros(n).long(),
        labels=torch.zeros(n).long(),
        names=["x"] * n,
    )

    def draw(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [index.tolist() for index in many.buckets(2_000, generator=generator)]

    first, again, other = draw(0), draw(0), draw(1)
    assert first == again
    assert not {frozenset(batch) for batch in first} & {frozenset(batch) for batch in other}
    longest = [max(batch) for batch in first]
    assert longest != sorted(longest, reverse=True)
    assert torch.cat(many.buckets(2_000)).tolist() == list(range(n))[::-1]  # longest first


def test_a_moved_split_holds_its_own_frames_and_gives_the_same_batches(made, monkeypatch):
    monkeypatch.setattr("kws.data.frames.MOVE_BLOCK", 100)
    data = load_speakers(made)
    for split in (data.train, data.validation, data.test):
        assert split is not None
        moved = split.to("cpu")
        assert moved.own is not None
        assert len(moved.own) == int(split.lengths.sum()) + 1  # and the frame of padding
        index = torch.arange(len(split))
        for ours, theirs in zip(moved.whole(index), split.whole(index), strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(moved.to("cpu").crops(index)[0], split.crops(index)[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_split_on_the_gpu_gives_the_same_batches(made):
    train = load_speakers(made).train
    moved = train.to("cuda")
    for ours, theirs in zip(moved.full_batches(600), train.full_batches(600), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.is_cuda
            assert torch.equal(a.cpu(), b)


def feature_file(folder: Path) -> Path:
    """One file of the folder."""
    metadata = json.loads((folder / "metadata.json").read_text())
    return folder / metadata["speakers"]["id03"][5]["feature_path"]


def fill_band(value: float):
    return lambda mel: mel.index_fill(1, torch.tensor([2]), value)


def flip(data: bytes) -> bytes:
    """One bit of the numbers."""
    at = data.index(torch.load(io.BytesIO(data)).numpy().tobytes()[:40])
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
BYTES = {  # name: how the bytes of a file change, what is wrong
    "pointer": (lambda data: LFS, "git-LFS pointer, not features: run `git lfs pull`"),
    "truncated": (lambda data: data[:-100], "damaged or not a saved tensor"),
    "flipped": (flip, "damaged or not a saved tensor"),
    "empty": (lambda data: b"", r"empty \(0 bytes\)"),
    "text": (lambda data: b"hello", "damaged or not a saved tensor"),
    "pickle": (lambda data: pickle.dumps(os.getcwd), "not a plain tensor"),
}
TENSORS = {  # name: what is saved in place of the features, what is wrong
    "nan": (fill_band(torch.nan), "contains NaN or infinite values"),
    "infinite": (fill_band(torch.inf), "contains NaN or infinite values"),
    "huge": (fill_band(1e9), "contains values beyond float16"),
    "wide": (lambda mel: mel.repeat(1, 2), "10 mel bands where n_mels says 5"),
    "flat": (torch.flatten, r"a tensor of shape \(\d+,\) where \(frames, 5\)"),
    "none": (lambda mel: mel[:0], r"a tensor of shape \(0, 5\)"),
    "short": (lambda mel: mel[:-1], r"\d+ frames where its mel_len says \d+"),
    "whole numbers": (torch.Tensor.long, "contains no tensor of real numbers"),
    "list": (lambda mel: [mel], "contains no tensor of real numbers"),
    "object": (lambda mel: Path("x"), "not a plain tensor"),
}


@pytest.mark.parametrize("how", [*BYTES, *TENSORS, "missing"])
def test_bad_features_are_named(own, how):
    path, sentence = feature_file(own), "no such file, although metadata.json"
    if how in BYTES:
        change, sentence = BYTES[how]
        path.write_bytes(change(path.read_bytes()))
    elif how in TENSORS:
        change, sentence = TENSORS[how]
        torch.save(change(torch.load(path)), path)
    else:
        path.unlink()
    with pytest.raises(UsageError, match=f"^{path}: .*{sentence}"):
        load_speakers(own)


def test_a_dangerous_pickle_does_not_run(own):
    class Dangerous:
        def __reduce__(self):
            return Path.touch, (own / "ran",)

    torch.save(Dangerous(), feature_file(own))
    with pytest.raises(UsageError, match="could run code"):
        load_speakers(own)
    assert not (own / "ran").exists()


def entry(**changes: object):
    """A change of one utterance of the metadata."""
    return lambda metadata: metadata["speakers"]["id02"][3].update(changes)


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("metadata.json", entry(feature_path="../x.pt"), "is outside the folder"),
        ("metadata.json", entry(feature_path="/x.pt"), "is outside the folder"),
        ("metadata.json", entry(feature_path=3), "feature_path is missing or not a text"),
        ("metadata.json", entry(mel_len="9"), "mel_len is missing or not a positive whole number"),
        ("metadata.json", entry(mel_len=True), "mel_len is missing or not a positive whole number"),
        ("metadata.json", entry(mel_len=9999), "frames where its mel_len says 9999"),
        ("metadata.json", lambda m: m.update(n_mels=6), "n_mels is 5, and 6 in metadata.json"),
        ("metadata.json", lambda m: m.pop("n_mels"), "metadata.json: n_mels is missing"),
        ("metadata.json", lambda m: m.update(speakers=[]), "speakers is missing or not an object"),
        ("metadata.json", lambda m: m.update(speakers={}), "names no utterances"),
        ("metadata.json", lambda m: m["speakers"].update(id04=[]), "'id04' is .* mean 'id0"),
        ("metadata.json", lambda m: m["speakers"].update(id02=3), "feature_path is missing"),
        ("mapping.json", lambda m: m["speaker2id"].update(id03=7), "from 0 without gaps"),
        ("mapping.json", lambda m: m["speaker2id"].update(id03=True), "from 0 without gaps"),
        ("mapping.json", lambda m: m["id2speaker"].update({"0": "x"}), "contradicts"),
        ("mapping.json", lambda m: m.clear(), "speaker2id is missing"),
        ("testdata.json", lambda m: m.update(n_mels=6), "n_mels is 6, and 5 in metadata.json"),
        ("testdata.json", lambda m: m["utterances"].append(m["utterances"][0]), "twice"),
    ],
)
def test_bad_structure_is_named(own, file, change, sentence):
    edit(own / file, change)
    with pytest.raises(UsageError, match=sentence):
        load_speakers(own)


def test_unreadable_json_is_named_with_its_line(own):
    (own / "metadata.json").write_text('{"n_mels": 40,\n "speakers": {\n"id00": [}')
    with pytest.raises(UsageError, match=r"metadata\.json: line 3: not JSON"):
        load_speakers(own)
    (own / "metadata.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UsageError, match="git lfs pull"):
        load_speakers(own)
    (own / "mapping.json").unlink()
    with pytest.raises(UsageError, match=r"mapping\.json: no such file"):
        load_speakers(own)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x,y\n", "first line must be Id,Category"),
        ("Id,Category\n", "has no line"),
        ("Id,Category\n{name},id99\n", "is 'id99', not in mapping.json"),
    ],
)
def test_bad_answers_are_named(own, text, sentence):
    test = load_speakers(own).test
    assert test is not None
    (own / "test_labels.csv").write_text(text.format(name=test.names[0]))
    with pytest.raises(UsageError, match=rf"test_labels\.csv: .*{sentence}"):
        load_speakers(own)


def test_a_missing_folder_and_a_share_out_of_range_are_named(made, tmp_path):
    with pytest.raises(UsageError, match="absent: no such folder"):
        load_speakers(tmp_path / "absent")
    for share in (-0.1, 1.0):
        with pytest.raises(UsageError, match=f"validation={share}"):
            load_speakers(made, validation=share)
