"""Sphinx' settings for the book; `grader/book` prepares what it reads, and runs it.

Formulas become MathML, which browsers show by themselves: no script, no other host. Notebooks are
shown with the outputs that they have (MyST-NB), nothing runs here.
"""

from docutils import nodes
from latex2mathml.converter import convert

project = "Audio Transformers from the ground up"
copyright = "the authors of kws, BSD 3-Clause"  # Sphinx wants this name
extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["experiments/*.md"]  # parts of the page on experiments
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
html_theme = "furo"
html_title = "Audio Transformers"
html_static_path = ["book.css"]
html_css_files = ["book.css"]
html_copy_source = False  # the pages are what is searched for answers
html_show_sphinx = False
html_math_renderer = "mathml"
templates_path = []
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]  # a notebook may skip a level


def _inline(self, node):
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _display(self, node):
    self.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app):
    """Make formulas MathML."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
