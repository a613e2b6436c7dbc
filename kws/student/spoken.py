r"""Markdown with formulas as text for a terminal: `$x_t \cdot \sqrt{K}$` becomes `x_t · √K`."""

import re

LINE = 96  # characters
SIGNS = {
    "alpha": "α", "approx": "≈", "cdot": "·", "cdots": "…", "dots": "…", "frac": "", "ge": "≥",
    "infty": "∞", "lambda": "λ", "lceil": "⌈", "ldots": "…", "le": "≤", "left": "", "lfloor": "⌊",
    "ln": "ln", "log": "log", "mu": "μ", "odot": "⊙", "omega": "ω", "pi": "π", "pm": "±",
    "quad": " ", "qquad": "  ", "rceil": "⌉", "rfloor": "⌋", "right": "", "rightarrow": "→",
    "sigma": "σ", "sim": "~", "sum": "Σ", "times": "×", "to": "→", "top": "T", "in": "∈",
    "mid": "|", "exp": "exp", "cos": "cos", "sin": "sin", "max": "max", "min": "min",
    "Big": "", "big": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "", "displaystyle": "",
    "neq": "≠", "ne": "≠", "gamma": "γ", "beta": "β", "Delta": "Δ", "theta": "θ",
}  # fmt: skip
GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
WORDS = r"\\(?:mathrm|text|operatorname|mathbf|mathit|bar|hat)\*?"
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)


def spoken(text: str) -> str:
    """Markdown as plain lines: no formulas in LaTeX, no stars, no tags.

    >>> spoken(r"**Think:** is $\\frac{1}{2}\\sqrt{K} \\cdot x_{t}$ *small*?")
    'Think: is 1/2 √K · x_t small?'
    """
    text = FORMULA.sub(lambda found: formula(found[1] or found[2]), text)
    text = re.sub(r"</?(?:details|summary)>", "", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text, flags=re.DOTALL)
    text = re.sub(r"(?<![\w*])\*([^*\n]+(?:\n[^*\n]+)?)\*(?![\w*])", r"\1", text)
    text = re.sub(r"<(https?://[^>]+)>", r"\1", text)
    return text.strip()


def formula(latex: str) -> str:
    """One formula in signs that a terminal has."""
    text = latex.replace("{,}", ",").replace("\n", " ").replace(r"\ ", " ")
    for _ in range(3):  # nested ones
        text = re.sub(r"\\[dt]?frac" + GROUP + GROUP, _fraction, text)
        text = re.sub(r"\\frac\s*(\w)\s*(\w)", r"\1/\2", text)
        text = re.sub(
            r"\\(?:mathrm|text|operatorname|mathbf|mathit|bar|hat)\*?" + GROUP, r"\1", text
        )
        text = re.sub(r"\\sqrt" + GROUP, lambda found: f"√{_grouped(found[1])}", text)
        text = re.sub(r"\\sqrt\s*(\w)", r"√\1", text)
    text = re.sub(r"\\(?:bar|hat|mathrm)\s+(\w)", r"\1", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda found: SIGNS.get(found[1], found[1]), text)
    text = re.sub(r"([_^])" + GROUP, lambda found: f"{found[1]}{_grouped(found[2])}", text)
    text = re.sub(r"\\[,;:!]", " ", text).replace("\\\\", "; ").replace("&", "")
    return re.sub(r"\s+", " ", text.replace("\\", "").replace("{", "").replace("}", "")).strip()


def _fraction(found: re.Match[str]) -> str:
    return "/".join(_grouped(part) for part in found.groups()) + " "


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"[\w.,]+", text.strip()) else f"({text.strip()})"
