"""The book: students' notebooks with our outputs and no answers; dead links, other hosts."""

import json
import re
import sys

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import build_notebook, read_solution
from grader.authoring.leaks import find_leaks, hidden_checks
from grader.book import make
from grader.book.site import all_answers, broken_links, external_hosts, leaks, withheld_code
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
    with pytest.raises(UsageError, match=r"the book has broken links: index.html: gone.html"):
        make.refuse_faults(tmp_path)
    (tmp_path / "index.html").write_text('<img src="https://b.example/x.png">')
    with pytest.raises(UsageError, match=r"load from other hosts, b\.example"):
        make.refuse_faults(tmp_path)


ANSWER = re.compile(r"# BEGIN SOLUTION 2.1\n(.*?)# END SOLUTION", re.DOTALL)


def colored(code: str) -> str:
    """Code as a site shows it: every word in an element of its own."""
    return re.sub(r"\w+", r"<span class=\"n\">\g<0></span>", code.replace("<", "&lt;"))


def written(tmp_path, body: str, name: str = "page.html"):
    (tmp_path / name).write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return tmp_path


def test_an_answer_is_found_between_the_tags(tmp_path):
    source = (ROOT / "solutions" / "02_attention.py").read_text(encoding="utf-8")
    answer = ANSWER.search(source)[1]
    assert leaks(written(tmp_path, "<p>softmax of the scores</p>")) == []
    (found,) = leaks(written(tmp_path, f"<pre>{colored(answer)}</pre>"))
    assert found.startswith("page.html contains the answer to 2.1")
    (found,) = leaks(written(tmp_path, "", "page.html") and written(tmp_path, answer, "data.js"))
    assert found.startswith("data.js contains the answer to 2.1")


def test_a_hidden_check_may_be_repeated_by_a_visible_one_only(tmp_path):
    check = max(hidden_checks(), key=lambda secret: len(secret.tokens))
    code = f"<pre>{colored(' '.join(check.tokens))}</pre>"
    visible = f'<div class="cell tag_check docutils"><img><div>{code}</div></div>'
    assert leaks(written(tmp_path, visible)) == []
    # checks resemble each other: more than one may be found
    assert f"page.html contains {check.what}" in leaks(written(tmp_path, visible + code))
    assert leaks(written(tmp_path, f'<div class="cell">{code}</div>')) != []


GOOD = ["other.html", "other.html#here", "#top", "below/", "below/../other.html"]
GOOD += ["https://elsewhere.example/x", "mailto:ada@example.com"]
BAD = ["absent.html", "other.html#gone", "#gone", "picture.png"]


@pytest.mark.parametrize("link", GOOD + BAD)
def test_links_that_lead_nowhere_are_found(link, tmp_path):
    written(tmp_path, '<p id="here">', "other.html")
    (tmp_path / "below").mkdir()
    written(tmp_path / "below", "", "index.html")
    written(tmp_path, f'<a id="top" href="{link}">')
    assert broken_links(tmp_path) == ([f"page.html: {link}"] if link in BAD else [])


def test_hosts_that_a_browser_would_ask_are_found(tmp_path):
    written(tmp_path, '<a href="https://a.example">read</a><img src="own.png">')
    assert external_hosts(tmp_path) == set()
    asking = '<script src="https://b.example/x.js"></script><link href="//c.example/s.css">'
    written(tmp_path, asking)
    assert external_hosts(tmp_path) == {"b.example", "c.example"}
