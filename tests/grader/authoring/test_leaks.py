"""A secret is found by what it says: no disguise of layout hides it, and common phrases pass."""

import json

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import build_notebook
from grader.authoring.kit_modules import divide
from grader.authoring.leaks import (
    Secret,
    find_leaks,
    secrets_of_code,
    secrets_of_modules,
    secrets_of_solution,
    tokens_of,
)
from tests.grader.authoring.conftest import ANSWER


@pytest.fixture
def answers(course):
    return secrets_of_solution(course / "solutions" / "02_attention.py")


def notebook(**cell) -> bytes:
    base = {"cell_type": "code", "metadata": {}, "source": "", "outputs": []}
    return json.dumps({"cells": [base | cell]}).encode()


DISGUISES = {
    "plain": ("f.py", ANSWER.encode()),
    "in prose": ("README.md", f"As in\n\n    {ANSWER}\n".encode()),
    "respaced": ("f.py", ANSWER.replace(" ", "  ").replace("\n", "\n\n\n").encode()),
    "indented by tabs": ("f.py", ANSWER.replace("\n", "\n\t\t").encode()),
    "Windows newlines": ("f.py", ANSWER.replace("\n", "\r\n").encode()),
    "commented out": ("f.py", "\n".join(f"# {line}" for line in ANSWER.splitlines()).encode()),
    "commented between": ("f.py", ANSWER.replace(" ", "  # as in the paper\n    ").encode()),
    "cell as text": ("a.ipynb", notebook(source=ANSWER)),
    "cell as lines": ("a.ipynb", notebook(source=ANSWER.splitlines(keepends=True))),
    "a Markdown cell": ("a.ipynb", notebook(cell_type="markdown", source=ANSWER)),
    "printed": ("a.ipynb", notebook(outputs=[{"text": [ANSWER]}])),
    "a visible check": ("a.ipynb", notebook(metadata={"tags": ["check"]}, source=ANSWER)),
    "most of it": ("f.py", ANSWER.rpartition("\n")[0].encode()),
    "another name of file": ("kws/recipes/x.toml", ANSWER.encode()),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_answer_is_found_in_every_disguise(answers, disguise):
    name, data = DISGUISES[disguise]
    (leak,) = find_leaks({name: data}, answers)
    assert leak.file == name
    assert leak.what.startswith("the answer to 2.1 (solutions/02_attention.py:")


def test_a_solution_holds_all_its_secrets_staff_cells_are_some_and_the_notebook_holds_none(
    course, answers
):
    path = course / "solutions" / "02_attention.py"
    leaks = find_leaks({"x.txt": path.read_bytes()}, answers)
    assert [leak.what for leak in leaks] == [secret.what for secret in answers]
    assert len(leaks) >= 2
    phrase = b"scores.softmax(dim=-1)  # import math, return math.sqrt(q.shape[-1])"
    files = {"assignments/02_attention.ipynb": build_notebook(path).encode(), "f.py": phrase}
    assert find_leaks(files, answers) == []
    path = course / "solutions" / "01_sound.py"
    note = "# %% [markdown] tags=['staff']\n# " + "expect them to forget the scale, ask why " * 3
    path.write_text(note, encoding="utf-8")
    assert find_leaks({"x.md": note.encode()}, secrets_of_solution(path))


CHECK = '''def test_values(student, qkv, reference):
    """attend equals the formula."""
    expected = reference.attend(*qkv, None)
    got = student.attend(*qkv)
    expect_close("attend", got, expected, rtol=1e-5)
'''


def test_a_hidden_check_is_found_but_may_be_repeated_in_a_visible_one(tmp_path):
    (tmp_path / "test_02_attention.py").write_text(CHECK, encoding="utf-8")
    checks = secrets_of_code(tmp_path / "test_02_attention.py", "check")
    body = CHECK.partition('"""\n')[2]
    assert find_leaks({"a.ipynb": notebook(source=body)}, checks)
    visible = notebook(metadata={"tags": ["check"]}, source=body)
    assert find_leaks({"a.ipynb": visible}, checks) == []


@pytest.fixture(scope="module")
def wanted() -> dict[str, list[Secret]]:
    """What each assignment asks for: our answers, and the modules that its kit lacks."""
    found, every = {}, [name for one in ASSIGNMENTS.values() for name in one.withheld]
    withheld = divide(ROOT, every).withheld
    for number, one in ASSIGNMENTS.items():
        answers = secrets_of_solution(ROOT / "solutions" / f"{one.stem}.py")
        modules = secrets_of_modules(withheld, [one])
        found[number] = [*answers, *modules]
    return found


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_no_notebook_holds_what_its_kit_lacks(number, wanted):
    secrets = [secret for key in wanted if key >= number for secret in wanted[key]]
    name = f"assignments/{ASSIGNMENTS[number].stem}.ipynb"
    assert find_leaks({name: (ROOT / name).read_bytes()}, secrets) == []


def test_a_withheld_module_is_found_under_another_name_but_the_notebook_that_asks_may_give_parts():
    module = ROOT / "kws/models/attention.py"
    secrets = secrets_of_code(module, "module")
    found = find_leaks({"kws/util.py": module.read_bytes()}, secrets)
    assert {leak.file for leak in found} == {"kws/util.py"}
    others = [path for path in (ROOT / "kws").rglob("*.py") if path.name != "attention.py"]
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in others}
    assert find_leaks(files, secrets) == []
    path = ROOT / "kws/models/attention.py"
    about = ASSIGNMENTS["02"]
    assert "kws.models.attention" in about.withheld
    secrets = secrets_of_modules({"kws.models.attention": path}, [about])
    files = {f"assignments/{name}.ipynb": path.read_bytes() for name in (about.stem, "03_other")}
    assert {leak.file for leak in find_leaks(files, secrets)} == {"assignments/03_other.ipynb"}


def test_the_notebook_that_asks_for_a_module_may_give_parts_of_it_as_released_too():
    body = " + ".join(f"value_{n}" for n in range(90))
    secret = Secret(kind="module", what="it", tokens=tokens_of(body), given="09_codes")
    may = ("assignments/09_codes.ipynb", "kws/course/a09_codes/released.ipynb")
    names = (*may, "kws/course/a08_text_to_speech/released.ipynb")
    assert [x.file for x in find_leaks(dict.fromkeys(names, body.encode()), [secret])] == [names[2]]
