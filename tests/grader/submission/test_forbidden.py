"""Forbidden names are found whatever they are called, and nothing else is."""

import pytest

from grader.core.outcomes import Reason, Stopped
from grader.grading.grading_run import expect_own_work, forbidden_uses
from grader.submission.contents import Piece
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import steps_in_proportion

FORBIDDEN = ("torch.nn.MultiheadAttention", "kws.models.attention")


def pieces(*sources: str) -> tuple[Piece, ...]:
    """One piece a cell, from cells 1, 2, …; each defines what its first line names."""
    made = []
    for number, source in enumerate("\n# %%\n".join(sources).split("\n# %%\n"), start=1):
        words = source.replace("(", " ").replace(":", " ").split()
        name = words[1] if words[0] in ("def", "class") else words[0]
        if words[0] in ("import", "from"):
            name = words[-1].partition(".")[0]
        made.append(Piece(source=source, where=f"cell {number}", line=1, names=(name,)))
    return tuple(made)


TRICKS, ALLOWED = code_beside(__file__).values()


@pytest.mark.parametrize("trick", TRICKS)
def test_a_forbidden_name_is_found_by_any_way_to_it(trick):
    assert forbidden_uses(pieces(TRICKS[trick]), FORBIDDEN, ["f"])


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed_stays_allowed(case):
    assert forbidden_uses(pieces(ALLOWED[case]), FORBIDDEN, ["f"]) == []


def test_of_kws_an_answer_may_use_what_its_notebook_imports():
    """Notebook 1 imports `kws.audio.recordings`; what it asks for was in a module beside it."""
    spectrum = "from kws.audio.features_fast import FilteredPower as P", "def f():\n    return P"
    sound = "from kws.audio.recordings import read_audio", "def f():\n    return read_audio"
    (use,) = forbidden_uses(pieces(*spectrum), (), ["f"], number="01")
    assert use.name == "kws.audio.features_fast.FilteredPower"
    assert forbidden_uses(pieces(*sound), (), ["f"], number="01") == []
    star = pieces("from kws.audio.features_fast import *", "def f():\n    return FilteredPower")
    assert [use.name for use in forbidden_uses(star, (), ["f"], number="01")] == [
        "kws.audio.features_fast.*"
    ]
    star = pieces("from kws.audio.recordings import *", "def f():\n    return read_audio")
    assert forbidden_uses(star, (), ["f"], number="01") == []
    assert forbidden_uses(pieces("import kws.audio", "def f():\n    return kws"), (), ["f"]) == []


def test_another_tasks_definition_is_that_tasks_matter():
    code = pieces(TRICKS["helper"])
    assert forbidden_uses(code, FORBIDDEN, ["f"], others=["g"]) == []
    assert forbidden_uses(code, FORBIDDEN, ["g"], others=["f"])
    assert forbidden_uses(pieces(ALLOWED["a comparison elsewhere"]), FORBIDDEN)  # of all tasks


def test_the_student_is_told_what_and_where():
    with pytest.raises(Stopped) as stopped:
        expect_own_work(pieces(TRICKS["another name"]), FORBIDDEN, ["f"])
    assert stopped.value.reason is Reason.FORBIDDEN
    assert "torch.nn.MultiheadAttention (cell 2, line 2)" in stopped.value.message


def test_what_no_answer_may_use_is_refused_in_every_task():
    with pytest.raises(Stopped) as stopped:
        expect_own_work(pieces("import torch", "def f():\n    return torch._C"), (), ["f"])
    assert stopped.value.message == "torch._C (cell 2, line 2) must not be used in an answer"
    expect_own_work(pieces(ALLOWED["another class"]), FORBIDDEN, ["f"])


FLOODS = {
    "doubled texts": "import torch\na = 'xxxxxxxx'\n" + "a = a + a\n" * 60,
    "joined texts": "a = 'x' * 1\nb = 'xxxxxxxx'\n" + f"b = ''.join([{'b, ' * 40}])\n" * 12,
    "f-strings": "b = 'xxxxxxxx'\n" + "b = f'{b}{b}{b}{b}'\n" * 40,
    "stars": "".join(f"from a{n} import *\n" for n in range(5_000)) + "x\n" * 5_000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_source_of_bad_will_is_read_in_little_time_and_hides_nothing(name, parsed):
    lines = FLOODS[name].split("\n")
    inside = "def f():\n    import torch\n    " + "\n    ".join(lines)
    source = f"{inside}\n    return torch.nn.MultiheadAttention(4, 2)"
    assert [use.name for use in forbidden_uses(pieces(source), FORBIDDEN, ["f"])] == [
        "torch.nn.MultiheadAttention"
    ]
    assert sum(map(len, parsed)) < 500_000  # all evals together would be four times as much


def test_a_long_way_from_definition_to_definition_is_followed_in_linear_time():
    first = ["import torch", "def g0():\n    return torch.nn.MultiheadAttention"]

    def follow(share: float) -> None:
        count = round(1_000 * share)
        way = [f"def g{n}():\n    return g{n - 1}()" for n in range(1, count)]
        last = f"def f():\n    return g{count - 1}()"
        assert forbidden_uses(pieces(*first, *way, last), FORBIDDEN, ["f"])

    assert steps_in_proportion(follow)
