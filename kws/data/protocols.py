"""What is measured: labels in order, and how much silence and unknown a split gets.

Sources: Warden 2018, "Speech Commands" (https://arxiv.org/abs/1804.03209); TensorFlow's
`speech_commands/input_data.py`, whose counts are used here (its hash rule:
`kws.data.split_rule`); the Kaggle "TensorFlow Speech Recognition Challenge" for kaggle-12. An
accuracy means something only together with its protocol's name.

Everything here is data and pure functions of names: no file is opened and no torch imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kws.errors import UsageError, did_you_mean

OWN = "own:"  # begins the name of a protocol that is made of its words

SPLITS = ("training", "validation", "testing")

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
# fmt: off
V1_OTHER_WORDS = (
    "bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house", "marvin",
    "nine", "one", "seven", "sheila", "six", "three", "tree", "two", "wow", "zero",
)
# fmt: on
V2_ADDED_WORDS = ("backward", "follow", "forward", "learn", "visual")
V2_OTHER_WORDS = tuple(sorted(V1_OTHER_WORDS + V2_ADDED_WORDS))
V1_WORDS = tuple(sorted(COMMANDS + V1_OTHER_WORDS))
V2_WORDS = tuple(sorted(COMMANDS + V2_OTHER_WORDS))
# fmt: off
GERMAN_WORDS = (
    "acht", "baum", "drei", "eins", "haus", "hoch", "hund", "ja", "katze", "links",
    "los", "nein", "neun", "rechts", "runter", "sechs", "sieben", "stopp", "vier", "zwei",
)
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to count: which labels, in which order, made of which words.

    `labels` is the order of the classifier's outputs. Words in `left_out` are not used at all. Any
    other word outside `words` is material for `unknown_label`, or an error where there is none.
    `expected_counts` are those of each split of the official archive, silence and unknown, too.
    """

    name: str
    labels: tuple[str, ...]
    words: tuple[str, ...]
    silence_label: str | None = None
    unknown_label: str | None = None
    unknown_words: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    silence_percentage: int = 10
    unknown_percentage: int = 10
    archive: str | None = None
    expected_counts: Mapping[str, int] | None = None

    @property
    def is_own(self) -> bool:
        """Whether these are a user's own words, see `own_protocol`."""
        return self.name.startswith(OWN)

    def label_of(self, word: str) -> str:
        """The label of clips in the folder `word`; UsageError for a word without one."""
        if word in self.words:
            return word
        if self.unknown_label is None:
            raise UsageError(
                f"{word!r} is not one of the {len(self.words)} words of protocol {self.name}"
                f"{did_you_mean(word, self.words)}: rename or remove that folder, "
                "or choose another protocol"
            )
        return self.unknown_label

    def check_labels(self, labels: Sequence[str], where: str) -> None:
        """UsageError unless `labels`, found in `where` (a checkpoint), are these, in order."""
        require_same_labels(self.labels, labels, where, f"protocol {self.name}")


def require_same_labels(
    expected: Sequence[str], found: Sequence[str], where: str, expected_by: str = "the data"
) -> None:
    """UsageError naming the first difference between two label tuples, order included.

    Five orders of the same twelve labels are in circulation; with a wrong one a model scores near
    chance without any other sign.
    """
    cure = "evaluate with the labels it was trained with, or train again"
    for index, (ours, theirs) in enumerate(zip(expected, found, strict=False)):
        if ours != theirs:
            same = ", in another order" if sorted(expected) == sorted(found) else ""
            raise UsageError(
                f"{where}: label {index} is {theirs!r} where {expected_by} has {ours!r}{same}: "
                f"{cure}"
            )
    if len(expected) != len(found):
        raise UsageError(
            f"{where}: has {len(found)} labels where {expected_by} has {len(expected)}: {cure}"
        )


def _twelve(name: str, other_words: tuple[str, ...], **official) -> Protocol:
    return Protocol(
        name=name,
        labels=("_silence_", "_unknown_", *COMMANDS),
        words=COMMANDS,
        silence_label="_silence_",
        unknown_label="_unknown_",
        unknown_words=other_words,
        **official,
    )


def _thirty(name: str, *silence: str, **official) -> Protocol:
    """The words of v0.01; the five that v0.02 added are left out where they are there."""
    return Protocol(
        name=name,
        labels=(*V1_WORDS, *silence),
        words=V1_WORDS,
        left_out=V2_ADDED_WORDS,
        silence_label=silence[0] if silence else None,
        **official,
    )


def _counts(training: int, validation: int, testing: int) -> Mapping[str, int]:
    return MappingProxyType(dict(zip(SPLITS, (training, validation, testing), strict=True)))


# (validation, testing) lines in the archive's lists, by which it is recognized
V1_LISTS, V2_LISTS = (6_798, 6_835), (9_981, 11_005)
V1_12_COUNTS = _counts(22_246, 3_093, 3_081)

_ALL = (
    _twelve("v1-12", V1_OTHER_WORDS, archive="v0.01", expected_counts=V1_12_COUNTS),
    _twelve(
        "v2-12", V2_OTHER_WORDS, archive="v0.02", expected_counts=_counts(36_923, 4_445, 4_890)
    ),
    Protocol(
        name="v2-35",
        labels=V2_WORDS,
        words=V2_WORDS,
        archive="v0.02",
        expected_counts=_counts(84_843, 9_981, 11_005),
    ),
    # The Speech Commands report's 31 labels; it states neither their order nor how much silence.
    _thirty("v1-30", archive="v0.01", expected_counts=_counts(51_088, 6_798, 6_835)),
    _thirty("v1-31", "_silence_", archive="v0.01", expected_counts=_counts(56_197, 7_478, 7_519)),
    # The challenge fixes the spellings, for its CSV, and no order: here the words come first, then
    # silence and unknown. Its training folder is the v0.01 archive.
    Protocol(
        name="kaggle-12",
        labels=(*COMMANDS, "silence", "unknown"),
        words=COMMANDS,
        silence_label="silence",
        unknown_label="unknown",
        unknown_words=V1_OTHER_WORDS,
        archive="v0.01",
        expected_counts=V1_12_COUNTS,
    ),
    # The embedded corpus: names of their own, so that no accuracy on it is read as one on people.
    _twelve("embedded-12", V2_OTHER_WORDS),
    Protocol(name="embedded-35", labels=V2_WORDS, words=V2_WORDS),
    _thirty("embedded-30"),
    _thirty("embedded-31", "_silence_"),
    Protocol(name="embedded-german", labels=GERMAN_WORDS, words=GERMAN_WORDS),
)
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})


def on_the_embedded_corpus(name: str) -> str:
    """The protocol of the embedded corpus with the labels of protocol `name`, in its order.

    >>> on_the_embedded_corpus("v1-31"), on_the_embedded_corpus("embedded-12")
    ('embedded-31', 'embedded-12')

    Raises:
        UsageError: there is none.
    """
    for own in PROTOCOLS.values():
        if own.name.startswith("embedded-") and own.labels == get_protocol(name).labels:
            return own.name
    raise UsageError(f"protocol {name} has no counterpart on the embedded corpus: choose another")


def own_protocol(words: Sequence[str]) -> Protocol:
    """A user's own words, beside silence and unknown; its name lists them, "own:ja,nein".

    Silence and unknown get as many clips as a word has on average, so that they are classes like
    the others: 10 % of ten words, as in the protocols of twelve classes.

    >>> own_protocol(["ja", "licht an"]).labels
    ('_silence_', '_unknown_', 'ja', 'licht an')

    Raises:
        UsageError: no words, one of them twice, or one that cannot be the name of a folder.
    """
    words = tuple(word.strip() for word in words)
    if words and not all(words):
        raise UsageError(
            f"words: {','.join(words)!r} has an empty one: name words with single commas between "
            "them, such as ja,nein,stopp"
        )
    for word in words:
        if word[0] in "_." or set(word) & set('/\\,"') or not word.isprintable():
            raise UsageError(
                f"words: {word!r} cannot name a word's folder: choose one without commas, slashes, "
                "quotes, and a dot or underscore at its start"
            )
        if words.count(word) > 1:
            raise UsageError(f"words: {word!r} is there twice: name each once")
    if not words:
        raise UsageError("words: none given: name at least one, such as ja,nein,stopp")
    share = -(-100 // len(words))
    return Protocol(
        name=OWN + ",".join(words),
        labels=("_silence_", "_unknown_", *words),
        words=words,
        silence_label="_silence_",
        unknown_label="_unknown_",
        silence_percentage=share,
        unknown_percentage=share,
    )


def get_protocol(name: str) -> Protocol:
    """The protocol called `name`; UsageError with the near ones for any other name.

    >>> get_protocol("v2-12").labels[:3]
    ('_silence_', '_unknown_', 'yes')
    >>> get_protocol("own:ja,nein").words
    ('ja', 'nein')
    """
    if name.startswith(OWN):
        return own_protocol(name.removeprefix(OWN).split(","))
    if name not in PROTOCOLS:
        raise UsageError(
            f"{name!r} is not a protocol{did_you_mean(name, list(PROTOCOLS))}: "
            f"choose one of {', '.join(PROTOCOLS)}, or own:WORD,WORD"
        )
    return PROTOCOLS[name]
