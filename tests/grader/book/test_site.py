"""A built site is read as its readers get it: answers are found, dead links, other hosts."""

import re

import pytest

from grader import ROOT
from grader.authoring.leaks import hidden_checks
from grader.book.site import asked_hosts, broken_links, leaks

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
    assert found.startswith("page.html holds the answer to 2.1")
    (found,) = leaks(written(tmp_path, "", "page.html") and written(tmp_path, answer, "data.js"))
    assert found.startswith("data.js holds the answer to 2.1")


def test_a_hidden_check_may_be_repeated_by_a_visible_one_only(tmp_path):
    check = max(hidden_checks(), key=lambda secret: len(secret.tokens))
    code = f"<pre>{colored(' '.join(check.tokens))}</pre>"
    visible = f'<div class="cell tag_check docutils"><img><div>{code}</div></div>'
    assert leaks(written(tmp_path, visible)) == []
    # checks resemble each other: more than one may be found
    assert f"page.html holds {check.what}" in leaks(written(tmp_path, visible + code))
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
    assert asked_hosts(tmp_path) == set()
    asking = '<script src="https://b.example/x.js"></script><link href="//c.example/s.css">'
    written(tmp_path, asking)
    assert asked_hosts(tmp_path) == {"b.example", "c.example"}
