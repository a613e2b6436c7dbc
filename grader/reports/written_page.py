"""One page per written question, for the person who marks it, with the rubric.

Markdown is rendered by markdown-it-py (https://markdown-it-py.readthedocs.io, CommonMark): HTML is
escaped, external links and images are shown as text, so opening the page sends no request. Images
are those of the notebook, as `data:` URLs; all scripts but our own are blocked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

from grader.core.text import printable
from grader.core.written import Mark, WrittenAnswer, WrittenQuestion
from grader.reports.gradebook import cell
from grader.reports.html import document, text
from grader.reports.scorecard import points

RUN, NEAR = 3, 0.8  # words in a row; share of all of them in both, from which answers are a group
ITEM = re.compile(r"(\d+(?:\.\d+)?) (.+)")
DEEPEST = 20  # of lists and quotations within each other


@dataclass(frozen=True, kw_only=True)
class ShownAnswer:
    """One answer on the page; `label` is the student or an anonymous code."""

    label: str
    answer: WrittenAnswer
    mark: Mark | None = None

    @property
    def changed(self) -> bool:
        return self.mark is not None and self.mark.digest not in ("", self.answer.digest)


def written_page(
    question: WrittenQuestion,
    shown: Sequence[ShownAnswer],
    missing: Sequence[str] = (),
    column: str = "student",
) -> bytes:
    """The page of one question; its script shows one group at a time and writes the marks.

    Args:
        shown: in the order of the page.
        missing: labels of those whose answer has not been read.
        column: of the file of marks, "answer" where labels are codes.
    """
    blank = [one.label for one in shown if one.answer.found and one.answer.blank]
    lost = [one.label for one in shown if not one.answer.found]
    there = [one for one in shown if one.answer.found and not one.answer.blank]
    marked = sum(one.mark is not None and not one.changed for one in there)
    title = f"{question.id} {question.title}"
    about = f'data-question="{text(question.id)}" data-column="{column}"'
    body = [
        f"<h1>{text(title)}</h1>",
        f"<p>{points(question.points)} points. {len(there)} answers, {marked} of them marked.</p>",
        f'<div class="marking" {about} data-most="{points(question.points)}">',
        "<div>",
        *(_group(group, question.points) for group in groups(there)),
        "</div>",
        f"<aside>{render(question.prompt)}<h3>Our answer</h3>{render(question.answer)}",
        f'<ol class="rubric" hidden>{_rubric(question.answer)}</ol></aside>',
        "</div>",
        *_named("Nothing was written", blank),
        *_named("No cell for this question was found: see the notebook", lost),
        *_named("Not read yet: grade first", missing),
    ]
    return document(title, "\n".join(body), wide=True, pictures=True, script="written_page.js")


def groups(shown: Sequence[ShownAnswer]) -> list[list[ShownAnswer]]:
    """Answers that are the same or nearly so, together; the largest groups first."""
    found: list[tuple[set[object], list[ShownAnswer]]] = []
    for one in shown:
        words = re.findall(r"\w+", one.answer.text.casefold())
        runs: set[object] = {
            tuple(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))
        }
        runs |= {*one.answer.images}
        for theirs, members in found:
            if len(runs & theirs) >= NEAR * len(runs | theirs):
                members.append(one)
                break
        else:
            found.append((runs, [one]))
    return sorted((members for _, members in found), key=lambda members: -len(members))


def _rubric(answer: str) -> str:
    listed = answer.partition("Points:")[2].replace("\n", " ")
    rows = [ITEM.fullmatch(part.strip(" .")) for part in listed.split(";")]
    return "".join(f'<li data-points="{row[1]}">{text(row[2])}</li>' for row in rows if row)


def _group(group: Sequence[ShownAnswer], most: float) -> str:
    cards = "".join(_card(one, most) for one in group)
    return f'<section class="group"><div class="side">{cards}</div></section>'


def render(markdown: str) -> str:
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
    about = f'data-cell="{text(cell(one.label))}" data-digest="{one.answer.digest}"'
    if one.mark is not None and not one.changed:
        about += f' data-points="{points(one.mark.points)}" data-comment="{text(one.mark.comment)}"'
    return (
        f'<section class="check {kind}" {about}><p class="points">{text(status)}</p>'
        f"<h3>{text(one.label)}</h3>{render(one.answer.text)}{images}{notes}{comment}</section>"
    )


def _named(heading: str, labels: Sequence[str]) -> list[str]:
    listed = ", ".join(map(text, labels))
    return [f"<h2>{heading}</h2>\n<p>{listed}</p>"] if labels else []
