"""Similar hand-ins side by side, with what they share marked: for whoever asks the students."""

from collections.abc import Callable, Sequence

from grader.reports.html import document, text
from grader.reports.similarity import COMMON, SHARE, Pair

MOST = 100  # pairs
CAUTION = f"""Similar work is a reason to read it and to talk with both, and proves nothing: two who
learned from one book, or from each other as you allowed, write similar code. The page does not show
who had it first, nor whether a third person wrote it. Names, numbers, comments and layout do not
count; neither does what our solution or the notebook has, nor what more than {COMMON} students
({SHARE:.0%} of a large class) have."""


def similar_page(
    pairs: Sequence[Pair], source: Callable[[str, str, str], str], title: str = "Similar hand-ins"
) -> bytes:
    """The page; `source` gives what (student, assignment, task) was answered with."""
    body = [f"<h1>{text(title)}</h1>", f'<p class="check open">{text(CAUTION)}</p>']
    if not pairs:
        body.append("<p>No two are similar.</p>")
    for pair in pairs[:MOST]:
        tasks = ", ".join(pair.places)
        names = " and ".join(pair.students)
        body.append(f"<details><summary>{text(names)}: {pair.share:.0%} of {text(tasks)}</summary>")
        for task, lines in pair.places.items():
            body += [f"<h3>{text(task)}</h3>", '<div class="side pair">']
            for which, student in enumerate(pair.students):
                marked = {
                    at for span in lines for at in range(span[2 * which], span[2 * which + 1] + 1)
                }
                rows = source(student, pair.assignment, task).splitlines()
                shown = "\n".join(
                    f"<mark>{text(row)}</mark>" if at in marked else text(row)
                    for at, row in enumerate(rows, start=1)
                )
                card = f"<h4>{text(student)}</h4><pre>{shown}</pre>"
                body.append(f'<section class="check">{card}</section>')
            body.append("</div>")
        body.append("</details>")
    if len(pairs) > MOST:
        body.append(f"<p>… and {len(pairs) - MOST} less similar pairs.</p>")
    return document(title, "\n".join(body), wide=True)
