"""Common HTML of all pages: no external resources, dark mode, small screens, print.

All other people's text is escaped by `text`, and a content security policy blocks the rest; the
only script allowed is that of the page, named by its hash.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from pathlib import Path

from grader.core.text import printable

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8").strip()


def text(value: object) -> str:
    return escape(printable(str(value)))


def contents(sections: Mapping[str, tuple[str, str]]) -> list[str]:
    """Links to sections, if there are several: anchor -> heading and a note on it."""
    if len(sections) < 2:
        return []
    lines = [
        f'<li><a href="#{text(anchor)}">{text(heading)}</a>: {text(note)}</li>'
        for anchor, (heading, note) in sections.items()
    ]
    return [f"<ul>{''.join(lines)}</ul>"]


def document(
    title: str, body: str, *, wide: bool = False, pictures: bool = False, script: str = ""
) -> bytes:
    """A complete page; `body` is HTML.

    Args:
        wide: as wide as the window, for the staff's tables.
        pictures: allow images as `data:` URLs; others are never fetched.
        script: name of a file beside this one; a student's page has none.
    """
    allowed, code = "; img-src data:" if pictures else "", ""
    if script:
        code = Path(__file__).with_name(script).read_text(encoding="utf-8")
        digest = b64encode(sha256(code.encode()).digest()).decode()
        allowed += f"; script-src 'sha256-{digest}'"
        code = f"<script>{code}</script>\n"
    main = '<main class="broad">' if wide else "<main>"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'{allowed}\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n"
        f"<body>\n{main}\n{body}\n</main>\n{code}</body>\n</html>\n"
    ).encode("utf-8", "replace")
