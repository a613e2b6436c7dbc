"""What the book is made of: students' notebooks with our outputs, and no answers."""

import json
import sys

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import build_notebook, read_solution
from grader.authoring.leaks import find_leaks
from grader.book import make
from grader.book.site import all_answers, withheld_code
from grader.course.mistakes.planted import as_notebook, solution
from kws.errors import UsageError


@pytest.fixture(scope="module")
def executed():
    """Our notebooks, each code cell with an output that says which it was, and a progress bar."""
    found = {}
    for assignment in ASSIGNMENTS.values():
        notebook = as_notebook(assignment.number)
        for at, cell in enumerate(notebook["cells"]):
            if cell["cell_type"] == "code":
                cell["execution_count"] = at + 1
                cell["outputs"] = [
                    {"output_type": "stream", "name": name, "text": f"{name} of {at}"}
                    for name in ("stdout", "stderr")
                ]
        found[assignment.stem] = notebook
    return found


@pytest.fixture(scope="module")
def staged(executed, tmp_path_factory):
    source = tmp_path_factory.mktemp("book") / "source"
    make.stage(source, executed)
    return source


def test_each_cell_has_the_output_of_ours_in_its_place(executed):
    notebook = make.with_outputs("02", executed["02_attention"])
    ours = enumerate(read_solution(solution("02")))
    places = [at for at, cell in ours if cell.kind == "code" and "staff" not in cell.tags]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, at in zip(code, places, strict=True):
        assert [one["text"] for one in cell["outputs"]] == [f"stdout of {at}"]
    given = json.loads(build_notebook(solution("02")))
    assert [cell["source"] for cell in notebook["cells"]] == [c["source"] for c in given["cells"]]


@pytest.mark.slow
def test_nothing_that_is_staged_holds_an_answer(staged):
    files = {
        path.relative_to(staged).as_posix(): path.read_bytes()
        for path in sorted(staged.rglob("*"))
        if path.suffix in (".ipynb", ".md")
    }
    assert {"assignments/05_keyword_transformer.ipynb", "working.md"} <= {*files}
    assert "api/kws.audio.recordings.md" in files
    assert find_leaks(files, (*all_answers(), *withheld_code())) == []


def test_each_section_has_its_address_and_what_repeats_an_earlier_answer_or_a_module_is_left_out(
    staged,
):
    text = (staged / "assignments" / "02_attention.ipynb").read_text()
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    assert any(cell.startswith("(section-2-1)=\n## 2.1 A weighted average") for cell in cells)
    assert sum("(section-2-" in cell for cell in cells) == 7
    text = (staged / "assignments" / "04_conformer.ipynb").read_text()
    assert "Left out here, as it repeats the answer to 3.5" in text
    text = (staged / "assignments" / "09_codes.ipynb").read_text()
    sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    (source,) = (each for each in sources if "def bigram" in each)
    assert "TODO 9.6" in source
    assert "class CausalLayer" not in text
    assert "kws/models/transformer.py" in source
    there = {path.stem for path in (staged / "api").iterdir()}  # of modules that notebooks use
    used = {"audio.recordings", "course.checking", "audio.features", "models.transformer"}
    assert {f"kws.{name}" for name in used} <= there


def test_a_complaint_of_sphinx_and_a_site_at_fault_are_told(tmp_path):
    with pytest.raises(UsageError, match=r"absent/python: cannot be run .*: run make book"):
        make.run_sphinx(tmp_path / "absent/python", tmp_path, tmp_path)
    with pytest.raises(UsageError, match=r"Sphinx complained, correct what it names: .*sphinx"):
        make.run_sphinx(tmp_path.joinpath(sys.executable), tmp_path, tmp_path)
    (tmp_path / "index.html").write_text('<a href="gone.html">')
    with pytest.raises(UsageError, match=r"links of the book lead nowhere: index.html: gone.html"):
        make.refuse_faults(tmp_path)
    (tmp_path / "index.html").write_text('<img src="https://b.example/x.png">')
    with pytest.raises(UsageError, match=r"ask other hosts, b\.example"):
        make.refuse_faults(tmp_path)
