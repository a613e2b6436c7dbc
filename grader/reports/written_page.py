"""One page a written question, for whoever marks it: all answers side by side.

A student's Markdown becomes HTML by markdown-it-py (https://markdown-it-py.readthedocs.io,
CommonMark), with HTML in it shown as text, and links and pictures from elsewhere written out:
nothing is fetched, and no click tells a student who reads. Pictures are those of the notebook, as
`data:` addresses; the page forbids all others, and scripts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

from grader.core.text import printable
from grader.core.written import Mark, WrittenAnswer, WrittenQuestion
from grader.reports.html import document, text
from grader.reports.scorecard import points

DEEPEST = 20  # of lists and quotations within each other


@dataclass(frozen=True, kw_only=True)
class ShownAnswer:
    """One answer on the page: `label` is the student, or a code in the place of one."""

    label: str
    answer: WrittenAnswer
    mark: Mark | None = None

    @property
    def changed(self) -> bool:
        """Whether it is another answer than the one that was marked."""
        return self.mark is not None and self.mark.digest not in ("", self.answer.digest)


def written_page(
    question: WrittenQuestion, shown: Sequence[ShownAnswer], missing: Sequence[str] = ()
) -> bytes:
    """The page of one question.

    Args:
        shown: in the order of the page.
        missing: labels of those whose answer has not been read.
    """
    blank = [one.label for one in shown if one.answer.found and one.answer.blank]
    lost = [one.label for one in shown if not one.answer.found]
    there = [one for one in shown if one.answer.found and not one.answer.blank]
    marked = sum(one.mark is not None and not one.changed for one in there)
    title = f"{question.id} {question.title}"
    body = [
        f"<h1>{text(title)}</h1>",
        f"<p>{points(question.points)} points. {len(there)} answers, {marked} of them marked.</p>",
        f'<details class="check"><summary>The question, and what earns points</summary>'
        f"{render(question.prompt)}<hr>{render(question.answer)}</details>",
        '<div class="side">',
        *(_card(one, question.points) for one in there),
        "</div>",
        *_named("Nothing was written", blank),
        *_named("No cell for this question was found: look at the notebook", lost),
        *_named("Not read yet: grade first", missing),
    ]
    return document(title, "\n".join(body), wide=True, pictures=True)


def render(markdown: str) -> str:
    """Markdown as safe HTML."""
    return _renderer().render(printable(markdown))


@cache
def _renderer() -> MarkdownIt:
    found = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST})
    found.enable("table").disable(["link", "image", "autolink", "reference"])
    return found


def _card(one: ShownAnswer, most: float) -> str:
    kind, status = "open", "not marked yet"
    if one.mark is not None:
        kind = "good" if one.mark.points == most else "bad" if one.mark.points == 0 else "open"
        status = f"{points(one.mark.points)} of {points(most)}"
        status += ", and changed since" if one.changed else ""
    notes = "".join(f'<p class="soft">{text(note)}</p>' for note in one.answer.notes)
    images = "".join(
        f'<img src="{text(address)}" alt="picture {n} of {text(one.label)}">'
        for n, address in enumerate(one.answer.images, start=1)
    )
    comment = f'<p class="fact">{text(one.mark.comment)}</p>' if one.mark else ""
    return (
        f'<section class="check {kind}"><p class="points">{text(status)}</p>'
        f"<h3>{text(one.label)}</h3>{render(one.answer.text)}{images}{notes}{comment}</section>"
    )


def _named(heading: str, labels: Sequence[str]) -> list[str]:
    listed = ", ".join(map(text, labels))
    return [f"<h2>{heading}</h2>\n<p>{listed}</p>"] if labels else []
