"""What may be told of an exception in a student's code, though its words could be anything.

`raise ValueError(str(x))` would carry the hidden input `x` into a report, and from there to its
author. So nothing is shown because it was sent; an answer that says why there is none is read as
one of the sentences that `blame` makes, and told anew. Shown are

- names that occur in the submitted code, and kinds that Python, torch or that code knows;
- an exception's words, where they are a text of the submitted code, of `kws`, of Python or of torch
  (`messages`), with its gaps filled by names, shapes and small whole numbers, few in all;
- the number of a line, with the line as it was handed in.

What is left out shows as "…", and students are told how to see it: the same line in their notebook.
That narrows the way out to some hundred bits a check; that a check passes, or by how much an answer
is off, says something, too.
"""

import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from grader.core.outcomes import Reason
from grader.sandbox import messages
from grader.sandbox.student_errors import NO_GPU, NO_INPUT, TOO_MUCH
from grader.submission.contents import Piece

HIDDEN = "…"
UNTOLD = "its words are not shown, as they could hold hidden data: run this line in your notebook"
MOST_NUMBERS, DIGITS, DIGITS_ALONE = 8, 4, 6  # whole numbers in one message, digits of each
MOST_NAMES, MOST_LINES, LONGEST = 6, 4, 40
WORD = re.compile(r"[^\W\d]\w*")
NAME = r"[^\W\d]\w*(?:\.\w+)*"
WHAT = rf"(?P<what>the check|the definition of {NAME}(?: and {NAME})*|.{{1,80}}?)"
RAISED = re.compile(rf"{WHAT} raised (?P<kind>\w+)(?:: (?P<words>.*))?", re.DOTALL)
TODO = re.compile(rf"{WHAT}(?: needs (?P<inner>{NAME}))?: (?P<todo>TODO.*) is still to be done")
ASKED = re.compile(rf"{WHAT} asked for (?P<rest>{TOO_MUCH}|{NO_GPU}|{NO_INPUT})")
LARGE = re.compile(rf"{WHAT} returned too much to be looked at: .*")
MISSING = re.compile(rf"(?P<name>{NAME}) is not defined(?: \(did you mean '(?P<near>{NAME})'\?\))?")
FORBIDDEN = re.compile(
    rf"(?P<name>{NAME}) (?P<rest>is the library's own answer to this task"
    r"|(?:is what this assignment builds|belongs to the staff): it cannot be imported here)"
)
NEEDS = re.compile(rf"{WHAT} needs (?P<name>{NAME}): (?P<rest>(?!TODO).*)", re.DOTALL)
ABSENT = re.compile(rf"(?P<name>{NAME}) is not installed here")
UNREAD = re.compile(
    rf"(?P<what>{NAME}(?: and {NAME})*) (?P<stand>stands?) in (?P<where>.{{1,200}}), "
    r"which Python cannot read \(line (?P<line>\d{1,6})\): (?P<words>.*)",
    re.DOTALL,
)
LINE = re.compile(r"(?P<where>.{1,200}), line (?P<line>\d{1,6})(?:: .*)?", re.DOTALL)
NUMBER = re.compile(r"\d+")
SHAPE = re.compile(
    r"(?:torch\.Size\()?[\[(]?(?:\*, )?-?\d+(?:(?:, | ?x ?)-?\d+)*,?[\])]?\)?"
    r"|\[\]|\(\)|torch\.Size\(\[\]\)"
)
QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)
LISTED = re.compile(r", (?:and )?| and ")
KINDS = """
    Float Double Half BFloat16 Long Int Short Char Byte Bool ComplexFloat ComplexDouble float64
    float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128 cpu cuda
    meta NoneType function generator method module ndarray Parameter Module ModuleList
    Sequential partial builtin_function_or_method method_descriptor dict_keys dict_values
    dict_items list_iterator defaultdict OrderedDict Counter deque namedtuple Path PosixPath
    Generator Size dtype device weight bias running_mean running_var num_batches_tracked
    in_proj_weight in_proj_bias out_proj linear1 linear2 norm1 norm2 self_attn forward string
    tuple list int float str and or OutOfMemoryError LinAlgError AxisError SafetensorError
    JSONDecodeError UnpicklingError
"""
OPERATOR = re.compile(r"[-+*/%@&|^<>=!]{1,3}|\*\* or pow\(\)")
FIXED = re.compile(
    r"a very long int|Tensor that is (?:_mkldnn|jagged|sparse_\w{3})|Tensor of \w{1,14}"
    r"|(?:list|tuple|dict) in more than \d\d others|dtype \w{1,14}"
)


class Vetting:
    """Reads what a check process says of a failure; `pieces` and `names` are what was handed in."""

    def __init__(
        self, pieces: Sequence[Piece], names: Mapping[str, str], staff: Sequence[str] = ()
    ):
        self._pieces, self._names, self._staff = pieces, names, staff

    def told(self, what: str, reason: Reason, message: str, hint: str) -> tuple[str, str]:
        """Message and hint as they may be shown; `what` is what the evaluator asked for."""
        return self._message(what, message), self._hint(hint)

    def kind(self, text: str) -> str:
        """The name of a class: one that is known, or "foreign object"."""
        if FIXED.fullmatch(text) or self._knows(text):
            return text
        return "foreign object"

    def _message(self, what: str, message: str, deep: bool = False) -> str:
        found = NEEDS.fullmatch(message)
        if found and not deep and self._knows(found["name"]) and self._is_known(found["what"]):
            rest = self._message(found["name"], found["rest"], deep=True)
            return f"{found['what']} needs {found['name']}: {rest}"
        if found := UNREAD.fullmatch(message):
            names, where, line = self._what(found["what"], what), found["where"], int(found["line"])
            if (where, line) in self._lines:
                start = f"{names} {found['stand']} in {where}, which Python cannot read"
                words = self._words(found["words"])
                return f"{start} (line {line}): {words}" if words else f"{start} (line {line})"
        if found := RAISED.fullmatch(message):
            kind = found["kind"] if self._knows(found["kind"]) else "an exception of its own"
            start = f"{self._what(found['what'], what)} raised {kind}"
            if not found["words"]:
                return start
            words = self._words(found["words"])
            return f"{start}: {words}" if words else f"{start}: {UNTOLD}"
        if found := TODO.fullmatch(message):
            inner = found["inner"] if found["inner"] and self._knows(found["inner"]) else ""
            todo = found["todo"] if self._words(found["todo"]) == found["todo"] else "TODO"
            needs = f" needs {inner}" if inner else ""
            return f"{self._what(found['what'], what)}{needs}: {todo} is still to be done"
        if found := MISSING.fullmatch(message):
            name = found["name"] if self._knows(found["name"]) else what
            near = found["near"]
            maybe = f" (did you mean {near!r}?)" if near and self._knows(near) else ""
            return f"{name} is not defined{maybe}"
        if found := FORBIDDEN.fullmatch(message):
            name = found["name"] if self._knows(found["name"]) else HIDDEN
            return f"{name} {found['rest']}"
        if found := ABSENT.fullmatch(message):
            return (
                f"{found['name'] if self._knows(found['name']) else HIDDEN} is not installed here"
            )
        if found := LARGE.fullmatch(message):
            return f"{self._what(found['what'], what)} returned too much to be looked at"
        if found := ASKED.fullmatch(message):
            return f"{self._what(found['what'], what)} asked for {found['rest']}"
        return f"{what} raised an exception that cannot be shown"

    def _hint(self, hint: str) -> str:
        found = LINE.fullmatch(hint)
        if not found:
            return ""
        where, number = found["where"], int(found["line"])
        text = self._lines.get((where, number))
        return "" if text is None else f"{where}, line {number}: {text[:160]}".removesuffix(": ")

    def _what(self, said: str, asked: str) -> str:
        return said if self._is_known(said) else asked

    def _is_known(self, what: str) -> bool:
        names = re.sub(r"^the definition of ", "", what).split(" and ")
        places = {piece.where for piece in self._pieces}
        return what in places or what == "the check" or all(map(self._knows, names))

    def _words(self, text: str) -> str:
        """An exception's words as they may be shown; "" where next to nothing may be."""
        left = Allowance()
        lines = [self._line(line.strip(), left) for line in text.strip().split("\n")[:MOST_LINES]]
        told = " ".join(line for line in lines if line)
        return told if any(line not in ("", HIDDEN) for line in lines) else ""

    def _line(self, line: str, left: "Allowance") -> str:
        for parts in self._templates():
            gaps = messages.fill(parts, line)
            if gaps is not None:
                shown = [self._gap(gap, left) for gap in gaps] + [""]
                return "".join(part + gap for part, gap in zip(parts, shown, strict=True))
        if len(NUMBER.findall(line)) > 1:  # nothing but numbers is no message
            return ""
        alone = self._gap(line, left)
        return "" if HIDDEN in alone else alone

    def _templates(self) -> Iterator[messages.Parts]:
        yield from self._own
        yield from messages.known()
        spec = find_spec("kws")
        if spec and spec.origin:
            yield from messages.of_the_library(str(Path(spec.origin).parent))

    def _gap(self, text: str, left: "Allowance") -> str:
        """What stands in a gap, if it is a shape, a small number, or a few known names."""
        if SHAPE.fullmatch(text):
            numbers = NUMBER.findall(text)
            most = DIGITS if len(numbers) > 1 else DIGITS_ALONE
            fine = max(map(len, numbers), default=0) <= most
            return text if fine and left.numbers(len(numbers)) else HIDDEN
        if not text or OPERATOR.fullmatch(text):
            return text
        shown = []
        for part in LISTED.split(text):
            quoted = QUOTED.fullmatch(part)
            name = quoted[2] if quoted else part
            if not self._knows(name) or not left.names(1):
                return HIDDEN
            shown.append(part)
        return text

    def _knows(self, name: str) -> bool:
        """Whether all parts of a dotted name are known, or small numbers, as in layers.0.weight."""
        if len(name) > LONGEST * 3 or not re.fullmatch(NAME, name):
            return False
        return all(map(self._knows_word, name.split(".")))

    def _knows_word(self, word: str) -> bool:
        if word.isdigit():
            return len(word) <= 2
        if word in self._vocabulary or any(hasattr(one, word) for one in _LIBRARIES):
            return True
        stem = re.sub(r"\d{1,2}$", "", word)  # f"layer{i}"
        return stem != word and len(stem) > 2 and stem in self._vocabulary

    @cached_property
    def _vocabulary(self) -> set[str]:
        texts = [piece.source for piece in self._pieces]
        texts += [*self._names, *self._names.values(), *self._staff, KINDS]
        return {word for text in texts for word in WORD.findall(text) if len(word) <= LONGEST}

    @cached_property
    def _own(self) -> tuple[messages.Parts, ...]:
        found = (parts for piece in self._pieces for parts in messages.templates(piece.source))
        return tuple(islice(dict.fromkeys(found), messages.MOST_TEMPLATES))

    @cached_property
    def _lines(self) -> dict[tuple[str, int], str]:
        return {
            (piece.where, piece.line + at): line.strip()
            for piece in self._pieces
            for at, line in enumerate(piece.source.split("\n"))
        }


_LIBRARIES = (builtins, torch, torch.nn, torch.nn.functional, torch.optim, torch.Tensor, np)


class Allowance:
    """How many numbers and names one message may still show."""

    def __init__(self) -> None:
        self._numbers, self._names = MOST_NUMBERS, MOST_NAMES

    def numbers(self, count: int) -> bool:
        """Whether so many more may be shown; then they are."""
        self._numbers -= count
        return self._numbers >= 0

    def names(self, count: int) -> bool:
        """The same for names."""
        self._names -= count
        return self._names >= 0
