"""What names alone decide: splits, labels, silence and unknown, and the official counts."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from kws.data.listing import Choice, Listing, check_listing, choose, read_listing
from kws.data.protocols import (
    COMMANDS,
    SPLITS,
    V1_OTHER_WORDS,
    V1_WORDS,
    V2_OTHER_WORDS,
    get_protocol,
)
from kws.data.split_rule import hash_percentage, which_split
from kws.errors import UsageError

# clips of the commands and of the other words in training, validation, testing
ARCHIVES = {
    "v0.01": ((18_538, 2_577, 2_567), (51_088 - 18_538, 6_798 - 2_577, 6_835 - 2_567)),
    "v0.02": ((30_769, 3_703, 4_074), (84_843 - 30_769, 9_981 - 3_703, 11_005 - 4_074)),
}
OTHER_WORDS = {"v0.01": V1_OTHER_WORDS, "v0.02": V2_OTHER_WORDS}
ROOT = Path("archive")
# of TensorFlow's rule: what goes where a speaker goes, and the percentage of the name's hash
GOLDENS = {
    "c2d15ea5": ("validation", "8.714154"),
    "4a294341": ("training", "34.181510"),
    "43f57297": ("training", "81.990165"),
    "f9af823e": ("training", "60.145107"),
}


def full_listing(archive: str) -> Listing:
    """Names of a complete archive: the right number in each split, spread over the words."""
    pairs = []
    for words, counts in zip((COMMANDS, OTHER_WORDS[archive]), ARCHIVES[archive], strict=True):
        for split, count in zip(SPLITS, counts, strict=True):
            pairs += [
                (f"{words[i % len(words)]}/{split}{i}_nohash_0.wav", split) for i in range(count)
            ]
    pairs.sort()
    return Listing(
        root=ROOT, names=[name for name, _ in pairs], splits=[split for _, split in pairs]
    )


def names_of_test_archive(silence: int, total: int) -> Listing:
    words = [f"{COMMANDS[i % 10]}/{i:08x}_nohash_0.wav.wav" for i in range(total - 2 * silence)]
    words += [f"_silence_/{i}.wav.wav" for i in range(silence)]
    words += [f"_unknown_/bed_{i:08x}_nohash_0.wav.wav" for i in range(silence)]
    return Listing(root=ROOT, names=sorted(words), splits=["testing"] * total, is_test_archive=True)


@pytest.fixture(scope="module")
def v1() -> Listing:
    return full_listing("v0.01")


@pytest.fixture(scope="module")
def v2() -> Listing:
    return full_listing("v0.02")


@pytest.fixture(scope="module")
def chosen(v1, v2):
    """`chosen(protocol, split)`, of a complete archive."""

    @cache
    def choice(name: str, split: str) -> Choice:
        protocol = get_protocol(name)
        return choose(v1 if protocol.archive == "v0.01" else v2, protocol, split)

    return choice


def without(listing: Listing, row: int) -> Listing:
    names, splits = listing.names.copy(), listing.splits.copy()
    del names[row], splits[row]
    return Listing(root=ROOT, names=names, splits=splits, is_test_archive=listing.is_test_archive)


@pytest.mark.parametrize("name", ["v1-12", "v2-12", "v2-35", "kaggle-12"])
def test_complete_archives_come_to_the_official_counts(name, chosen):
    protocol = get_protocol(name)
    assert {split: len(chosen(name, split)) for split in SPLITS} == protocol.expected_counts


@pytest.mark.parametrize("protocol", ["v2-12", "kaggle-12"])
def test_test_archive_is_taken_whole(protocol):
    listing = names_of_test_archive(*((408, 4_890) if protocol == "v2-12" else (257, 3_081)))
    check_listing(listing, get_protocol(protocol))
    choice = choose(listing, get_protocol(protocol), "testing")
    labels = Counter(choice.labels)
    assert (len(choice), choice.made_silence) == (len(listing.names), 0)
    for label in get_protocol(protocol).silence_label, get_protocol(protocol).unknown_label:
        assert labels[label or ""] == listing.words["_silence_"]


def test_complete_v2_12_has_as_many_silences_as_unknown_words_chosen_by_the_seed(v2, chosen):
    protocol = get_protocol("v2-12")
    first, again = (choose(v2, protocol, "validation", seed=3) for _ in range(2))
    other = choose(v2, protocol, "validation", seed=4)
    assert first == again
    assert first.rows != other.rows
    assert len(first) == len(other)
    choices = [chosen("v2-12", split) for split in SPLITS]
    assert [choice.made_silence for choice in choices] == [3_077, 371, 408]
    assert [choice.labels.count("_unknown_") for choice in choices] == [3_077, 371, 408]


def test_a_split_may_get_all_other_words_or_a_number_of_them(v1):
    protocol = get_protocol("v1-12")

    def unknown(wanted) -> set[int]:
        choice = choose(v1, protocol, "validation", seed=3, unknown_clips=wanted)
        return {
            row
            for row, label in zip(choice.rows, choice.labels, strict=True)
            if label == "_unknown_"
        }

    every, many, few = unknown("all"), unknown(2_000), unknown("protocol")
    assert (len(every), len(many), len(few)) == (6_798 - 2_577, 2_000, 258)
    assert few < many < every, "fewer are a part of more"
    assert unknown(10**6) == every


def test_thirty_words_leave_the_five_of_v2_out(v2):
    excerpt = without(v2, 0)  # no complete archive of another version
    check_listing(without(excerpt, v2.splits.index("testing")), get_protocol("v2-12"))
    choices = {name: choose(excerpt, get_protocol(name), "testing") for name in ("v1-30", "v1-31")}
    for name, choice in choices.items():
        check_listing(excerpt, get_protocol(name))
        assert set(choice.labels) == set(V1_WORDS)
    assert choices["v1-30"].made_silence == 0
    assert choices["v1-31"].made_silence == -(-len(choices["v1-31"].rows) // 10)
    assert choices["v1-30"].rows == choices["v1-31"].rows


@pytest.mark.parametrize("name", ["v1-30", "v1-31"])
def test_thirty_words_are_a_matter_of_the_first_archive(name, v1, v2):
    check_listing(v1, get_protocol(name))  # its counts agree
    with pytest.raises(UsageError, match=f"the v0.02 archive and protocol {name} is for v0.01"):
        check_listing(v2, get_protocol(name))
    with pytest.raises(UsageError, match=f"has the folder _silence_ .*protocol {name} has no such"):
        check_listing(names_of_test_archive(257, 3081), get_protocol(name))


def test_chosen_clips_belong_to_the_split_and_carry_their_word(v2, chosen):
    choice = chosen("v2-12", "testing")
    assert choice.rows == sorted(set(choice.rows))
    words = {v2.names[row].split("/")[0] for row in choice.rows}
    assert words == {*COMMANDS, *V2_OTHER_WORDS}  # unknown clips come from many words
    for row, label in zip(choice.rows, choice.labels, strict=True):
        word = v2.names[row].split("/")[0]
        assert v2.splits[row] == "testing"
        assert label == (word if word in COMMANDS else "_unknown_")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


CLIPS = [f"{word}/{i:08x}_nohash_0.wav" for word in ("yes", "no") for i in range(20)]


def test_names_are_sorted_and_other_files_left_out(tmp_path):
    touch(
        tmp_path,
        *CLIPS,
        "_background_noise_/x.wav",
        ".git/x.wav",
        "yes/._x.wav",
        "yes/x.txt",
        "LICENSE",
    )
    listing = read_listing(tmp_path)
    assert listing.names == sorted(CLIPS)
    assert listing.words == {"yes": 20, "no": 20}
    assert listing.splits == [which_split(name) for name in listing.names]  # without lists


def test_lists_overrule_the_hash(tmp_path):
    touch(tmp_path, *CLIPS)
    (tmp_path / "validation_list.txt").write_text(f"{CLIPS[3]}\r\n\n")
    (tmp_path / "testing_list.txt").write_text(f"{CLIPS[7]}\n{CLIPS[21]}")
    listing = read_listing(tmp_path)
    by_split = {
        split: [n for n, s in zip(listing.names, listing.splits, strict=True) if s == split]
        for split in SPLITS
    }
    assert by_split["validation"] == [CLIPS[3]]
    assert by_split["testing"] == sorted([CLIPS[7], CLIPS[21]])
    assert len(by_split["training"]) == 37


@pytest.mark.parametrize(
    ("validation", "testing", "sentence"),
    [
        ("", "\nyes/absent.wav\n", r"testing_list\.txt: line 2: yes/absent\.wav is not there"),
        ("", "yess/x.wav\n", r"line 1: .* folder 'yess', which is not there \(did you mean 'yes'"),
        (CLIPS[0], CLIPS[0], r"testing_list\.txt: line 1: .* is in validation_list\.txt too"),
        (None, CLIPS[0], r"validation_list\.txt: missing, although testing_list\.txt is there"),
    ],
)
def test_bad_lists_are_named_with_line_and_file(tmp_path, validation, testing, sentence):
    touch(tmp_path, *CLIPS)
    if validation is not None:
        (tmp_path / "validation_list.txt").write_text(validation)
    (tmp_path / "testing_list.txt").write_text(testing)
    with pytest.raises(UsageError, match=sentence):
        read_listing(tmp_path)


def test_challenge_training_folder_keeps_its_words_in_audio(tmp_path):
    touch(tmp_path / "audio", *CLIPS)
    (tmp_path / "validation_list.txt").write_text(CLIPS[0])
    (tmp_path / "testing_list.txt").write_text("")
    listing = read_listing(tmp_path)
    assert (listing.root, listing.splits.count("validation")) == (tmp_path / "audio", 1)


def test_test_archive_is_recognized(tmp_path):
    names = ["_silence_/1.wav.wav", "_unknown_/bed_0_nohash_0.wav.wav", "yes/0_nohash_0.wav.wav"]
    listing = read_listing(touch(tmp_path, *names))
    assert listing.is_test_archive
    assert set(listing.splits) == {"testing"}


def test_silence_folder_beside_lists_is_used_where_it_has_clips(tmp_path):
    touch(tmp_path, *CLIPS, "_silence_/a.wav", "_silence_/b.wav")
    (tmp_path / "validation_list.txt").write_text(CLIPS[0])
    (tmp_path / "testing_list.txt").write_text(CLIPS[1])
    listing, protocol = read_listing(tmp_path), get_protocol("v2-12")
    training, testing = (choose(listing, protocol, split) for split in ("training", "testing"))
    assert (training.labels.count("_silence_"), training.made_silence) == (2, 0)
    assert (testing.labels.count("_silence_"), testing.made_silence) == (0, 1)


def test_challenge_folder_may_spell_silence_and_unknown_its_own_way(tmp_path):
    names = ["silence/a.wav", "unknown/b.wav", "yes/c.wav", "bed/d.wav"]
    choice = choose(read_listing(touch(tmp_path, *names)), get_protocol("kaggle-12"), "training")
    assert Counter(choice.labels) == {"silence": 1, "unknown": 1, "yes": 1}


@pytest.mark.parametrize("name", ["absent", "empty", "file", "flat"])
def test_folders_without_words_get_one_sentence(tmp_path, name):
    path = tmp_path / name
    if name == "file":
        path.touch()
    elif name != "absent":
        path.mkdir()
    if name == "flat":
        (path / "x.wav").touch()
    sentence = {"absent": "no such folder", "file": "unpack"}.get(name, "contains no word folders")
    with pytest.raises(UsageError, match=f"^{path}: .*{sentence}"):
        read_listing(path)


def test_wanted_words_without_a_clip_are_named(tmp_path):
    touch(tmp_path, *[f"{word}/0_nohash_0.wav" for word in (*COMMANDS[1:], "yess")])
    with pytest.raises(UsageError, match=r"no recordings of yes \(did you mean 'yess'"):
        check_listing(read_listing(tmp_path), get_protocol("v2-12"))


def test_word_folder_without_a_label_is_named(tmp_path):
    touch(tmp_path, "zerro/0_nohash_0.wav")
    with pytest.raises(UsageError, match=rf"^{tmp_path}/zerro: 'zerro' .*did you mean 'zero'"):
        check_listing(read_listing(tmp_path), get_protocol("v2-35"))


@pytest.mark.parametrize(
    ("listing", "protocol", "sentence"),
    [
        (lambda v1, v2: without(v2, v2.names.index("yes/training0_nohash_0.wav")), "v2-12",
         r"training comes to 36922 .* expected 36923"),
        (lambda v1, v2: v2, "v1-12", r"v0.02 archive and protocol v1-12 is for v0.01"),
        (lambda v1, v2: v1, "v2-12", r"v0.01 archive and protocol v2-12 is for v0.02"),
        (lambda v1, v2: without(names_of_test_archive(408, 4_890), -1), "v2-12",
         r"testing comes to 4889 .* expected 4890"),
        (lambda v1, v2: names_of_test_archive(408, 4_890), "v2-35",
         r"_silence_ of a 12-class test archive"),
    ],
)  # fmt: skip
def test_an_archive_that_is_not_whole_or_of_another_protocol_is_refused(
    v1, v2, listing, protocol, sentence
):
    with pytest.raises(UsageError, match=sentence):
        check_listing(listing(v1, v2), get_protocol(protocol))


@pytest.mark.parametrize(("speaker", "golden"), GOLDENS.items())
def test_hash_goldens_to_six_decimals(speaker, golden):
    name = f"{speaker}_nohash_0.wav"
    assert (which_split(name), f"{hash_percentage(name):.6f}") == golden


def test_splits_are_about_80_10_10_by_speaker():
    splits = [which_split(f"{i:08x}_nohash_0.wav") for i in range(4000)]
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(splits.count(split) / 4000 - share) < 0.02
    names = ["c2d15ea5_nohash_0.wav", "yes/c2d15ea5_nohash_17.wav", "a/b/c2d15ea5_nohash_1.wav.wav"]
    assert len({hash_percentage(name) for name in names}) == 1
