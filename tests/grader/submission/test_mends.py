"""Several defects of one cell are mended together, and strings stay as they were written."""

import pytest

from grader.submission.mends import ALL, mend
from grader.submission.statements import MAX_PARSED, Effort, read_code

CLEAN = '''def attend(q, k):
    """Average."""
    name = "scores"
    scores = [q * each - 1 for each in k]
    return scores[..., 0], name'''
CONFLICT = """<<<<<<< HEAD
    return scores[..., 0], name
=======
    raise NotImplementedError("TODO 2.1")
>>>>>>> main
"""
DEFECTS = {
    "invisible": lambda text: text.replace("    ", "\u00a0\u00a0  "),
    "quotes": lambda text: text.replace('"', "\u201d"),
    "signs": lambda text: text.replace(" - ", " \u2013 ").replace(" * ", " \u00d7 "),
    "dots": lambda text: text.replace("...", "\u2026"),
    "wide": lambda text: text.replace(", ", "\uff0c ").replace("(", "\uff08"),
    "tabs": lambda text: text.replace("    name", "\tname"),
    "magic": lambda text: "%%time\n" + text,
    "conflict": lambda text: text.replace("    return scores[..., 0], name", CONFLICT),
    "below": lambda text: text + "\nprint(attend(3, [1])",
    "above": lambda text: "x = = 3\n" + text,
    "prompts": lambda text: ">>> " + text.replace("\n", "\n... "),
}
ORDER = list(DEFECTS)
PAIRS = [(one, two) for n, one in enumerate(ORDER) for two in ORDER[n + 1 :]]
PAIRS.remove(("conflict", "prompts"))  # no version control sees prompts


def read(source: str):
    return read_code(source, Effort())


def attend_in(source: str) -> list[str]:
    return [s.source for s in read(source).statements if getattr(s.node, "name", "") == "attend"]


@pytest.mark.parametrize("defects", PAIRS, ids="+".join)
def test_two_defects_of_a_cell_are_mended_together(defects):
    source = CLEAN
    for each in sorted(defects, key=("conflict", *ORDER).index):
        source = DEFECTS[each](source)
    assert [" ".join(each.split()) for each in attend_in(source)] == [" ".join(CLEAN.split())]


def test_what_was_mended_is_told_in_one_sentence():
    (note,) = read(DEFECTS["signs"](DEFECTS["invisible"](CLEAN))).notes
    assert note == (
        "invisible characters were replaced by spaces; "
        "signs that only look like Python's, as a long minus does, were replaced"
    )


def test_lines_of_jupyter_are_told_of_only_where_there_are_some():
    plain = DEFECTS["invisible"](DEFECTS["tabs"](CLEAN))
    assert not read(plain).jupyter
    assert read("%%time\n" + plain).jupyter
    assert not read(DEFECTS["below"](plain)).jupyter


KEPT = [
    'TEXT = "a \u2013 b\u00a0c, \u201cd\u201d \u00d7 e\t\u2026"',
    "TEXT = '''one\n\u00a0two\n\u2013 \u201cthree\u201d\n%four\n'''",
    "TEXT = 'it\\'s \u2019'",
]


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("defect", ["x = 3 \u2013 1", "x = = 3", "x\u00a0= \u201ca\u201d\n\ty = 3"])
def test_strings_of_code_that_parses_stay_as_they_are(kept, defect):
    assert kept in [each.source for each in read(f"{defect}\n{kept}").statements]
    assert kept in [each.source for each in read(f"{kept}\n{defect}").statements]


@pytest.mark.parametrize(
    ("typographic", "plain"),
    [
        ("\u201cit's \u2013 so\u201d", '"it\'s \u2013 so"'),
        ("\u201ea \u201c", '"a "'),
        ("\u2018don\u2019t\u2019", '"don\u2019t"'.replace('"', "'")),
        ('\u201csay "no"\u201d', "'say \"no\"'"),
        (
            "\u201d\u201d\u201da\n\u2013 \u201cb\u201d c\u201d\u201d\u201d",
            '"""a\n\u2013 \u201cb\u201d c"""',
        ),
        ('\u201cmixed"', '"mixed"'),
    ],
)
def test_a_typographic_string_keeps_what_stands_in_it(typographic, plain):
    (statement,) = read(f"x = {typographic}").statements
    assert statement.source == f"x = {plain}"


def test_strings_stay_as_they_are_where_lines_of_jupyter_and_tabs_are_mended():
    source = "if x:\n\ty\u00a0= 'a\tb'\n    z = '''\n%time\n!ls\tx\n'''"
    assert mend(source, ALL).text == source.replace("\n\ty\u00a0=", "\n    y =")


def test_of_a_conflict_the_side_with_fewer_todos_is_kept_whatever_else_is_wrong():
    answer = "    return scores[..., 0], name, k, q, name, scores, name, k, q, name"
    todo = '    raise NotImplementedError("TODO 2.1")'
    conflict = f"<<<<<<< a\n{todo}\n=======\n{answer}\n>>>>>>> b"
    source = DEFECTS["invisible"](f"{CLEAN.rpartition(chr(10))[0]}\n{conflict}")
    (found,) = attend_in(source)
    assert "return" in found


def test_a_comment_is_no_place_for_strings():
    (statement,) = read("x = 3 \u2013 1  # it's \u201cone\ny = \u2018a\u2019").statements[:1]
    assert statement.source == "x = 3 - 1  # it's \u201cone"


def test_nothing_that_is_written_is_taken_for_a_mark_of_ours():
    source = "a = 'b'  # \ue0000\ue001\n\ue0000\ue001\ue0009\ue001 = \u201c\ue0000\ue001\u201d"
    assert mend(source, ALL).text == "a = 'b'  # 0\n09 = \"\ue0000\ue001\""


def test_a_statement_that_parses_is_not_mended_for_another():
    kept = "y = (7\n%z)"  # a line that would be Jupyter's, were it alone
    assert kept in [each.source for each in read(f"x = = 3\n{kept}\nz\u00a0= 1").statements]


def test_a_cell_of_prompts_is_not_cut_short_by_a_slip_below():
    source = ">>> def f(x):\n...     y = x\n...     return y\n>>> print(f(3)"
    assert [each.source for each in read(source).statements] == [
        "def f(x):\n    y = x\n    return y"
    ]


def test_mending_counts_as_effort():
    effort = Effort()
    read_code("-\u2018a" * 5_000 + "\n" + "\u00a0\u201cx\n" * 2_000, effort)
    assert effort.left < MAX_PARSED - 200_000


def test_no_mending_once_all_effort_is_spent():
    effort = Effort(left=10)
    code = read_code("x\u00a0= \u201ca\u201d", effort)
    assert code.statements == ()


# What is lost


def test_what_python_cannot_read_is_kept_with_its_line_and_that_of_the_error():
    code = read("a = 1\n\n\ndef f(x):\n    y = x\n    return (y\n\n\ndef g():\n    return 1\n")
    (lost,) = code.lost
    assert (lost.line, lost.wrong) == (4, 6)
    assert lost.text.startswith("def f(x):\n")
    assert code.notes == ("Python cannot read it at line 6: the statements around were kept",)


def test_the_error_of_what_is_lost_is_the_one_that_mending_leaves():
    (lost,) = read("def f(x):\n\u00a0\u00a0y = x\n\u00a0\u00a0return (y\n").lost
    assert lost.wrong == 3


def test_nothing_counts_as_lost_because_effort_was_spent():
    assert read_code("def f(x):\n    return x\nx = = 3", Effort(left=60)).lost == ()
