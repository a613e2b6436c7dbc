"""Similar hand-ins: found under other names, and never for the obvious or our own code."""

import re

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import written_questions
from grader.authoring.reference import reference_pieces
from grader.batch.job import work_of
from grader.core.written import WrittenAnswer
from grader.reports import similarity
from grader.reports.similarity import reference_prints, similar_page, similar_pairs
from grader.submission.contents import Piece, Submission
from tests.grader.conftest import code_beside

TEXTS = code_beside(__file__)
CODE, COMMON, WINDOW = similarity.CODE, similarity.COMMON, similarity.WINDOW


def handed_in(code: str, words: str = "", number: str = "02"):
    """What a job makes of an answer to 2.1, and to 3.A."""
    pieces = tuple(
        Piece(source=part, where="cell 1", line=1, names=("attend",)) for part in [code] if part
    )
    written = {"3.A": WrittenAnswer(text=words)} if words else {}
    return work_of(Submission(assignment=number, pieces=pieces, digest=""), written)


def found(*codes: str, known=None):
    work = {f"s{at}": handed_in(code) for at, code in enumerate(codes)}
    return similar_pairs("02", work, reference_prints("02") if known is None else known)


def disguised(code: str) -> str:
    """A copy with other names, numbers, comments, layout, a docstring and annotations."""
    for name, new in {"table": "logit_values", "weights": "probs", "shifted": "e"}.items():
        code = re.sub(rf"\b{name}\b", new, code)
    code = code.replace("out[b, h] =", "# the mean\n\n            out[b, h] =").replace(
        '"-inf"', '"-Inf"'
    )
    head = "valid: torch.Tensor = None) -> torch.Tensor:\n    '''Attention, by loops.'''"
    return code.replace("valid=None):", head)


def test_a_copy_under_other_names_is_found_and_independent_work_is_not():
    (pair,) = found(TEXTS["own"], TEXTS["other"], disguised(TEXTS["own"]))
    assert pair.students == ("s0", "s2")
    assert pair.share == 1
    assert [*pair.places] == ["2.1"]


def test_answers_that_are_ours_a_todo_or_what_many_of_a_class_have_accuse_nobody():
    ours = "\n".join(piece.source for piece in reference_pieces(ASSIGNMENTS["02"], "2.1"))
    assert found(*[ours] * 8) == []
    assert len(found(*[ours] * 4, known=())) == 6
    assert found(*["def attend(q, k, v, valid=None):\n    raise NotImplementedError"] * 3) == []
    assert found(*["def attend("] * 2) == []
    assert len(found(*[TEXTS["own"]] * COMMON)) == COMMON * (COMMON - 1) / 2
    assert found(*[TEXTS["own"]] * (COMMON + 1)) == []
    others = [TEXTS["other"]] * 10 * (COMMON + 1)  # of a large class, a tenth
    assert len(found(*[TEXTS["own"]] * (COMMON + 1), *others)) == (COMMON + 1) * COMMON / 2


def test_written_answers_are_compared_by_their_words_and_our_question_is_left_out():
    words = TEXTS["words"]
    changed = words.replace("We tried", "I looked at").replace("\n", " ").upper()
    work = {"a": handed_in("", words), "b": handed_in("", changed), "c": handed_in("", words[::-1])}
    (pair,) = similar_pairs("03", work, reference_prints("03"))
    assert (pair.students, [*pair.places]) == (("a", "b"), ["3.A"])
    (wanted,) = written_questions("03")
    work = {name: handed_in("", wanted.prompt) for name in "ab"}
    assert similar_pairs("03", work, reference_prints("03")) == []


@pytest.mark.parametrize("before", range(WINDOW))
def test_runs_of_that_many_tokens_share_a_fingerprint_wherever_they_are(before):
    shared = " + ".join(f"f(x{at}, {at})" for at in range((CODE + WINDOW) // 3))
    one, other = (
        similarity.winnow(similarity.code_grams(f"y = {words}{shared}"))
        for words in ("", "".join(f"g.a{at} - " for at in range(before)))
    )
    assert {name for name, *_ in one} & {name for name, *_ in other}


def test_the_page_shows_both_marks_what_they_share_and_says_that_it_proves_nothing():
    codes = {"s0": TEXTS["own"] + "\n\nevil = '<b>'", "s1": disguised(TEXTS["own"])}
    (pair,) = found(*codes.values())
    made = similar_page([pair], lambda student, assignment, task: codes[student]).decode()
    assert "<mark>            out[b, h] = torch.einsum(" in made
    assert "evil = &#x27;&lt;b&gt;&#x27;" in made
    assert "<mark>evil" not in made
    assert "proves nothing" in made
    assert "s0 and s1: 100% of 2.1" in made
    assert "No two are similar" in similar_page([], lambda *_: "").decode()
