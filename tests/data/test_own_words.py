"""A folder with somebody's own words, and nothing else that Speech Commands has."""

from collections import Counter

import pytest
import torch

from kws.audio.recordings import write_audio
from kws.data.extra_clips import silence_count, unknown_count
from kws.data.listing import read_listing
from kws.data.own_words import divide, words_in
from kws.data.protocols import SPLITS, get_protocol, own_protocol
from kws.data.speech_commands import load_speech_commands
from kws.errors import UsageError


@pytest.fixture
def folder(tmp_path, tiny_corpus, monkeypatch):
    """`folder(ja=["a_nohash_0", …], …)`: recordings by word; the spare corpus is a small one."""
    monkeypatch.setattr("kws.data.own_words.spare_corpus", lambda: tiny_corpus)

    def make(**words: list[str]):
        generator = torch.Generator().manual_seed(0)
        for word, names in words.items():
            for name in names:
                noise = torch.rand(700, generator=generator) - 0.5
                write_audio(tmp_path / "own" / word.replace("0", " ") / f"{name}.wav", noise)
        return tmp_path / "own"

    return make


def recordings(speakers: int, each: int = 1) -> list[str]:
    return [f"s{speaker}_nohash_{number}" for speaker in range(speakers) for number in range(each)]


def splits_of(listing) -> dict[str, Counter]:
    pairs = zip(listing.names, listing.splits, strict=True)
    counted: dict[str, Counter] = {}
    for name, split in pairs:
        counted.setdefault(name.partition("/")[0], Counter())[split] += 1
    return counted


def test_one_voice_and_names_without_a_speaker_are_split_by_recording_with_a_warning(folder):
    root = folder(ja=recordings(1, 10), nein=recordings(1, 3))
    listing = divide(read_listing(root), ["ja", "nein"])
    assert splits_of(listing) == {
        "ja": {"training": 8, "validation": 1, "testing": 1},
        "nein": {"training": 1, "validation": 1, "testing": 1},
    }
    assert "one speaker: split by recording" in listing.notes[0]
    unknown = read_listing(folder(ja=[*recordings(5), "monday"]))
    assert "who spoke is not in every name" in divide(unknown, ["ja"]).notes[0]


def test_few_voices_are_dealt_out_and_never_shared(folder):
    listing = divide(
        read_listing(folder(ja=recordings(4, 2), nein=recordings(4, 2))), ["ja", "nein"]
    )
    speakers: dict[str, set[str]] = {split: set() for split in SPLITS}
    for name, split in zip(listing.names, listing.splits, strict=True):
        speakers[split].add(name.split("/")[1].split("_")[0])
    assert [len(speakers[split]) for split in SPLITS] == [2, 1, 1]
    assert set.union(*speakers.values()) == {"s0", "s1", "s2", "s3"}


def test_many_voices_keep_the_official_hash_and_lists_decide_where_they_are(folder):
    root = folder(ja=recordings(60))
    assert divide(read_listing(root), ["ja"]) == read_listing(root)
    for number, split in enumerate(("validation", "testing")):
        (root / f"{split}_list.txt").write_text(f"ja/s{number}_nohash_0.wav\n")
    assert splits_of(divide(read_listing(root), ["ja"]))["ja"]["training"] == 58


def test_silence_and_unknown_come_from_the_embedded_corpus(folder):
    root = folder(ja=recordings(1, 10), nein=recordings(1, 10))
    clips = load_speech_commands(root, "own:ja,nein", "training")
    assert clips.counts() == {"_silence_": 8, "_unknown_": 8, "ja": 8, "nein": 8}
    assert clips.silence == "noise"
    assert clips.samples(torch.arange(len(clips))).any(1).sum() >= len(clips) - 2  # zeros: silence
    spare = [name for name in clips.names if name.startswith("spare/")]
    assert len(spare) == 8
    assert any("embedded voices are _unknown_" in note for note in clips.notes)
    more = load_speech_commands(root, "own:ja,nein", "training", unknown=20)
    assert more.counts()["_unknown_"] == 20


def test_embedded_other_words_are_added_in_training_and_fill_a_split_without_any(folder):
    root = folder(yes=recordings(9), other=["s0_nohash_0"])
    (root / "testing_list.txt").write_text("yes/s0_nohash_0.wav\nother/s0_nohash_0.wav")
    (root / "validation_list.txt").write_text("yes/s1_nohash_0.wav")
    loaded = [load_speech_commands(root, "own:yes", split, unknown="all") for split in SPLITS]
    used = [{name.rpartition("/")[0] for name in clips.names} for clips in loaded]
    assert [("spare/no" in each, "other" in each) for each in used] == [(1, 0), (1, 0), (0, 1)]
    assert "spare/yes" not in used[0]
    plain = load_speech_commands(folder(ja=recordings(9), nein=recordings(9)), "own:ja", "training")
    assert not any(name.startswith("spare/") for name in plain.names)


def test_spare_words_and_talk_are_added_to_other_words_in_training_alone(tiny_corpus, monkeypatch):
    monkeypatch.setattr("kws.data.own_words.spare_corpus", lambda: tiny_corpus)
    for split, more in (("training", 8), ("validation", 0)):
        plain = load_speech_commands(tiny_corpus, "kaggle-12", split)
        longer = load_speech_commands(tiny_corpus, "kaggle-12", split, spare_words=4, spare_talk=4)
        assert longer.counts() == {**plain.counts(), "unknown": plain.counts()["unknown"] + more}


def test_words_may_have_spaces_and_one_letter(folder):
    root = folder(licht0an=recordings(1, 4), x=recordings(1, 4))
    assert words_in(root) == ["licht an", "x"]
    clips = load_speech_commands(root, "own:licht an,x", "testing")
    assert clips.label_names == ("_silence_", "_unknown_", "licht an", "x")


def test_a_word_with_too_few_recordings_is_told(folder):
    with pytest.raises(UsageError, match=r"ja: 1 recording, at least 3 are needed.*record more"):
        load_speech_commands(folder(ja=recordings(1)), "own:ja", "training")
    with pytest.raises(UsageError, match=r"no recordings of nei .*did you mean 'nein'"):
        load_speech_commands(folder(nein=recordings(1)), "own:nei", "training")


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        ([], "none given"),
        (["ja", "ja"], "'ja' is there twice"),
        (["ja", ""], "'ja,' has an empty one"),
        (["_ja"], "'_ja' cannot name"),
        (["a/b"], "'a/b' cannot name"),
    ],
)
def test_what_cannot_be_a_word_is_told(words, messages):
    with pytest.raises(UsageError, match=messages):
        own_protocol(words)


def test_the_name_of_the_protocol_holds_its_words():
    protocol = own_protocol(["ja", "licht an"])
    assert get_protocol(protocol.name) == protocol
    assert protocol.is_own
    assert not get_protocol("v2-12").is_own
    assert unknown_count(protocol, 20) == silence_count(protocol, 20) == 10


def test_a_partial_copy_is_read_when_asked(folder):
    root = folder(ja=recordings(9))
    (root / "validation_list.txt").write_text("ja/s0_nohash_0.wav\nja/gone_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("ja/s1_nohash_0.wav\nweg/gone_nohash_0.wav\n")
    with pytest.raises(UsageError, match="--partial"):
        read_listing(root)
    listing = read_listing(root, partial=True)
    assert listing.missing == 2
    assert listing.notes == ("2 of 4 clips that the lists name are not there",)
    clips = load_speech_commands(root, "own:ja", "training", partial=True)
    assert listing.notes[0] in clips.notes
