"""One look for all pages: no script, nothing from elsewhere, light and dark, phone and paper.

Everything that is not ours goes through `text`, and a content security policy forbids whatever
would still get through.
"""

from collections.abc import Mapping
from html import escape

from grader.core.text import printable

STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--soft:#566070;--paper:#fff;--card:#f5f6f8;
--edge:#d5d9e0;--good:#00664a;--bad:#a33000;--open:#6b5300;--blue:#0072b2;--on:#fff;
--heat0:#fbe3d6;--heat1:#f3efd2;--heat2:#e3efd9;--heat3:#cfe8dc;--heat4:#b5dfd0}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#a9b1bd;--paper:#14171c;
--card:#1e232b;--edge:#3a414d;--good:#4fd6aa;--bad:#ff9f70;--open:#f0cf60;--blue:#56b4e9;
--on:#14171c;--heat0:#4a2a1c;--heat1:#443c1c;--heat2:#2f4222;--heat3:#1f4a34;--heat4:#0f5540}}
*{box-sizing:border-box}
body{margin:0;padding:1rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{margin:0 auto;max-width:46rem}main.broad{max-width:90rem}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.5rem 0 .5rem}h4{font-size:1rem;margin:0;font-weight:600}
.score{font-size:2rem;font-weight:700;margin:.25rem 0}
.soft,footer{color:var(--soft)}footer{margin-top:2rem;font-size:.875rem}
.check{background:var(--card);border-left:.3rem solid var(--edge);border-radius:.25rem;
padding:.6rem .8rem;margin:.5rem 0;break-inside:avoid}
.check p{margin:.25rem 0}.fact{white-space:pre-wrap}
.good{border-color:var(--good)}.bad{border-color:var(--bad)}.open{border-color:var(--open)}
.check .points{float:right;margin-left:1rem;font-variant-numeric:tabular-nums;font-weight:600}
.good .points{color:var(--good)}.bad .points{color:var(--bad)}.open .points{color:var(--open)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--edge);vertical-align:top}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:auto 1fr;gap:0 1rem;margin:.25rem 0}dd{margin:0}
figure{margin:.75rem 0;break-inside:avoid}figcaption{font-size:.875rem;color:var(--soft)}
.figure{width:100%;height:auto;font-size:12px}.figure text{fill:var(--ink)}
.figure .on{fill:var(--on)}.grid{stroke:var(--edge);fill:none}.axis{stroke:var(--soft);fill:none}
.line{stroke:var(--blue);stroke-width:2;fill:none}.dot,.bar,.cell{fill:var(--blue)}
.cell{stroke:var(--edge);stroke-width:.5}
.heat-0{background:var(--heat0)}.heat-1{background:var(--heat1)}.heat-2{background:var(--heat2)}
.heat-3{background:var(--heat3)}.heat-4{background:var(--heat4)}.heat-open{color:var(--open)}
.side{display:grid;gap:.75rem;align-items:start;
grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr))}
.side .check{margin:0;min-width:0}.check img{max-width:100%;height:auto;background:#fff}
pre{margin:.25rem 0;white-space:pre-wrap;font-size:.8125rem;line-height:1.4}
a{color:var(--blue)}tbody th{font-weight:400;min-width:6.5rem}
.wide tbody th{position:sticky;left:0;background:var(--paper)}
.wide thead th,.wide .number{white-space:nowrap}
@media print{:root{color-scheme:light;--ink:#000;--soft:#333;--paper:#fff;--card:#fff;--edge:#999;
--good:#00664a;--bad:#a33000;--open:#6b5300;--blue:#0072b2;--on:#fff}main,main.broad{max-width:none}
body{padding:0;font-size:.875rem}.wide{overflow:visible}.wide tbody th{position:static}
.wide td,.wide th{print-color-adjust:exact;padding:.15rem .3rem}
.heat-0{background:#fbe3d6}.heat-1{background:#f3efd2}.heat-2{background:#e3efd9}
.heat-3{background:#cfe8dc}.heat-4{background:#b5dfd0}
h2,h3,h4{break-after:avoid}tr{break-inside:avoid}}
""".strip()


def text(value: object) -> str:
    """Anything as HTML text."""
    return escape(printable(str(value)))


def contents(sections: Mapping[str, tuple[str, str]]) -> list[str]:
    """Links to sections, where there are several: anchor -> heading and a note on it."""
    if len(sections) < 2:
        return []
    lines = [
        f'<li><a href="#{text(anchor)}">{text(heading)}</a>: {text(note)}</li>'
        for anchor, (heading, note) in sections.items()
    ]
    return [f"<ul>{''.join(lines)}</ul>"]


def document(title: str, body: str, *, wide: bool = False, pictures: bool = False) -> bytes:
    """A whole page; `body` is HTML already.

    Args:
        wide: as wide as the window, for the staff's tables.
        pictures: whether it holds pictures, as `data:` addresses; others are never fetched.
    """
    images = "; img-src data:" if pictures else ""
    main = '<main class="broad">' if wide else "<main>"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'{images}\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n"
        f"<body>\n{main}\n{body}\n</main>\n</body>\n</html>\n"
    ).encode("utf-8", "replace")
