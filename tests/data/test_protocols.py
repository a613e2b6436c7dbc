"""Protocols: goldens of the split rule, label orders, the arithmetic of the official counts."""

import pytest

from kws.data.extra_clips import silence_count, unknown_count
from kws.data.protocols import (
    COMMANDS,
    PROTOCOLS,
    V2_WORDS,
    get_protocol,
    on_the_embedded_corpus,
    require_same_labels,
)
from kws.errors import UsageError

TF_ORDER = ["_silence_", "_unknown_", "yes", "no", "up", "down", "left", "right",
            "on", "off", "stop", "go"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *((name, TF_ORDER) for name in ("v1-12", "v2-12", "embedded-12")),
        ("kaggle-12", [*COMMANDS, "silence", "unknown"]),
    ],
)
def test_twelve_labels_are_in_the_published_order(name, labels):
    assert list(get_protocol(name).labels) == labels


@pytest.mark.parametrize("name", ["v2-35", "embedded-35"])
def test_thirty_five_words_are_alphabetical_and_have_no_extra_class(name):
    protocol = get_protocol(name)
    assert list(protocol.labels) == sorted(protocol.labels)
    assert len(set(protocol.labels)) == 35
    assert (silence_count(protocol, 1000), unknown_count(protocol, 1000)) == (0, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=str)
def test_labels_are_distinct_and_made_of_words_silence_and_unknown(protocol):
    extra = {protocol.silence_label, protocol.unknown_label} - {None}
    assert sorted(protocol.labels) == sorted({*protocol.words, *extra})
    assert not set(protocol.words) & set(protocol.unknown_words)


@pytest.mark.parametrize(("wanted", "extra"), [(0, 0), (1, 1), (10, 1), (11, 2), (30_769, 3_077)])
def test_ten_percent_is_rounded_up(wanted, extra):
    protocol = get_protocol("v2-12")
    assert silence_count(protocol, wanted) == unknown_count(protocol, wanted) == extra


def test_other_words_are_unknown_and_names_that_do_not_exist_an_error_with_the_near_one():
    assert get_protocol("v2-12").label_of("zero") == "_unknown_"
    assert get_protocol("v2-12").label_of("go") == "go"
    with pytest.raises(UsageError, match=r"'zerro' is not .* protocol v2-35 \(did you mean 'zero'"):
        get_protocol("v2-35").label_of("zerro")
    with pytest.raises(UsageError, match=r"did you mean 'v2-12'.*: choose one of v1-12, v2-12"):
        get_protocol("v2_12")


@pytest.mark.parametrize("name", ["v1-30", "embedded-30"])
def test_thirty_words_are_those_of_v1_and_silence_comes_after_them(name):
    thirty, more = get_protocol(name), get_protocol(name.replace("30", "31"))
    assert list(thirty.labels) == sorted({*COMMANDS, *get_protocol("v1-12").unknown_words})
    assert more.labels == (*thirty.labels, "_silence_")
    assert {*thirty.words, *thirty.left_out} == set(V2_WORDS)


def test_protocols_have_counterparts_on_the_embedded_corpus_and_words_of_two_archives():
    for name, protocol in PROTOCOLS.items():
        if name == "kaggle-12":
            with pytest.raises(UsageError, match="kaggle-12 has no counterpart on the embedded"):
                on_the_embedded_corpus(name)
        else:
            own = on_the_embedded_corpus(name)
            assert own.startswith("embedded-")
            assert get_protocol(own).labels == protocol.labels
    assert len({*COMMANDS, *get_protocol("v1-12").unknown_words}) == 30
    assert {*COMMANDS, *get_protocol("v2-12").unknown_words} == set(V2_WORDS)


def test_checkpoint_labels_must_agree_in_order():
    protocol = get_protocol("v2-12")
    protocol.check_labels(list(TF_ORDER), "run/best.pt")
    for labels, sentence in (
        (["_unknown_", "_silence_", *COMMANDS], r"^x: label 0 is '_unknown_' .* another order"),
        ([*TF_ORDER[:11], "unknown"], r"label 11 is 'unknown' where protocol v2-12 has 'go':"),
        (TF_ORDER[:11], "11 labels where protocol v2-12 has 12"),
    ):
        with pytest.raises(UsageError, match=sentence):
            protocol.check_labels(labels, "x")
    require_same_labels(("a", "b"), ["a", "b"], "x")
    with pytest.raises(UsageError, match="x: label 1 is 'c' where the data has 'b'"):
        require_same_labels(("a", "b"), ("a", "c"), "x")
