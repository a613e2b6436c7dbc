"""A diagram as matplotlib draws it: boxes, arrows and labels from rows of text (`diagrams.py`)."""

from typing import Any

from matplotlib.patches import FancyBboxPatch

from kws.plots import INK, ORANGE, new_figure

WIDTH, POINTS = 4.06, 10  # inches, which are 390 pixels
LINE, GAP = 0.19, 0.22  # inches: the height of a line of text, and between two rows
FILLS = {"*": "#fbe3b4", "_": "none"}


class Picture:
    """The axes count inches, from the upper left corner; rows are drawn from the top down."""

    def __init__(
        self,
        rows: str,
        edges: tuple[list[Any], ...] = (),
        gap: float | None = None,
        widths: tuple[float, ...] = (),
    ) -> None:
        cells = [[cell.strip() for cell in line.split("|")] for line in rows.strip().splitlines()]
        widths = widths or (1,) * max(map(len, cells))
        unit = WIDTH / sum(widths)
        self.columns = [(sum(widths[:c]) * unit, width * unit) for c, width in enumerate(widths)]
        self.gap, self.y = gap, 0.0
        self.boxes: dict[tuple[int, int], tuple[float, float, float, float]] = {}
        self.ends: dict[float, float] = {}  # x of an arrow that begins -> its y
        self.wide = False  # whether the row before is one box
        self.labels: dict[float, tuple[float, str]] = {}
        self.frames: list[tuple[float, float, float, str]] = []
        self.figure, ((self.axes,),) = new_figure(width=WIDTH)
        for number, row in enumerate(cells):
            self._row(number, row)
        for edge in edges:
            self._edge(*edge)
        self.figure.set_layout_engine("none")
        self.figure.set_size_inches(WIDTH, 0.12 - self.y)
        self.axes.set(position=(0, 0, 1, 1), xlim=(-0.03, WIDTH + 0.03), ylim=(self.y - 0.06, 0.06))
        self.axes.axis("off")

    def _row(self, number: int, row: list[str]) -> None:
        places = [(0.0, WIDTH)] if len(row) == 1 else self.columns
        kinds = {cell[0] for cell in row if cell}
        if kinds <= set("{}^"):
            self.y -= 0.12
            for cell, (left, width) in zip(row, places, strict=True):
                self._frame(cell, left, width)
            return
        centers = [left + width / 2 for left, width in places]
        if kinds <= set("(^") and "(" in kinds:
            self.labels |= {x: (self.y - 0.14, cell) for x, cell in zip(centers, row, strict=True)}
            self.ends = {x: y for x, y in self.ends.items() if self.labels.get(x, (0, "^"))[1]}
            self.y -= GAP
            return
        added = [cell.endswith(" +") for cell in row]
        height = 0.14 + LINE * max(cell.count("//") + 1 for cell in row)
        top = self.y - 0.12 * any(added)
        if number > 0:
            top -= GAP if self.gap is None else self.gap / 3
        starts = {}
        for column, (cell, x, (_, width)) in enumerate(zip(row, centers, places, strict=True)):
            if not cell or cell[0] in "<>":
                continue
            wide = width - (0.24 if self.gap is None else self.gap)
            wide = min(wide, 2.6) if len(row) == 1 and len(self.columns) == 1 else wide
            wide -= 0.2 * added[column]
            if cell == "^":
                starts[x] = self.ends.get(x, self.y)
                continue
            self._box(cell.removesuffix(" +"), x - wide / 2, top, wide, height)
            self.boxes[number, column] = (x - wide / 2, x + wide / 2, top, top - height)
            starts[x] = top - height
            if self.gap is None:
                self._arrows_to(x, top, wide)
            if added[column]:
                starts[x] = self._residual(x, top, wide, height)
        for column, cell in enumerate(row):
            if cell and cell[0] in "<>":
                ends = (column - 1, column + 1)[:: 1 if cell[0] == ">" else -1]
                self._edge(number, ends[0], number, ends[1], cell[1:].strip())
        self.y = top - height - 0.24 * any(added)
        self.ends, self.labels, self.wide = starts, {}, len(row) == 1

    def _box(self, text: str, left: float, top: float, width: float, height: float) -> None:
        fill = FILLS.get(text[0], "#dfecf5")
        style = "round,pad=0,rounding_size=0.06"
        if fill != "none":
            at = (left, top - height)
            self.axes.add_patch(
                FancyBboxPatch(at, width, height, boxstyle=style, facecolor=fill, edgecolor=INK)
            )
        self._write(left + width / 2, top - height / 2, text.lstrip("*_").replace("//", "\n"))

    def _write(self, x: float, y: float, text: str, **props: Any) -> None:
        props = {"ha": "center", "va": "center_baseline", "fontsize": POINTS} | props
        self.axes.text(x, y, text, **props)

    def _arrow(self, start: tuple[float, float], end: tuple[float, float], **props: Any) -> None:
        props = {
            "arrowstyle": "-|>",
            "color": INK,
            "shrinkA": 0,
            "shrinkB": 0,
            "linewidth": 1,
        } | props
        self.axes.annotate("", end, start, arrowprops=props)

    def _arrows_to(self, x: float, top: float, width: float) -> None:
        """From the ends above a box: its own column's, those above its width, or a wide box's."""
        above = [x] if x in self.ends else [end for end in self.ends if abs(end - x) < width / 2]
        for end in above or (list(self.ends) if self.wide else []):
            at = x if abs(end - x) > width / 2 else end
            self._arrow((at, self.ends[end]), (at, top))
            for y, label in filter(None, {self.labels.get(at), self.labels.get(x)}):
                self._write(at + 0.1, y, label.lstrip("^"), ha="left", color="#555555")

    def _residual(self, x: float, top: float, width: float, height: float) -> float:
        """Around a box, to a plus below it; returns where that ends."""
        side, plus = x + width / 2 + 0.14, top - height - 0.16
        self.axes.plot([x, side, side], [top + 0.14, top + 0.14, plus], color=INK, linewidth=1)
        self._arrow((side, plus), (x + 0.08, plus))
        self.axes.plot([x, x], [top - height, plus + 0.08], color=INK, linewidth=1)
        self._write(x, plus, "+", bbox={"boxstyle": "circle,pad=0.1", "fc": "w", "ec": INK})
        return plus - 0.08

    def _frame(self, cell: str, left: float, width: float) -> None:
        if cell.startswith("{"):
            self.frames.append((left, width, self.y, cell[1:].strip()))
        elif cell == "}":
            begun = max(i for i, frame in enumerate(self.frames) if frame[0] == left)
            _, _, top, text = self.frames.pop(begun)
            style = {"boxstyle": "round,pad=0,rounding_size=0.1", "fill": False, "linestyle": "--"}
            at = (left + 0.04, self.y)
            patch = FancyBboxPatch(at, width - 0.08, top - self.y, edgecolor="#777777", **style)
            self.axes.add_patch(patch)
            self._write(left + 0.1, self.y + 0.11, text, ha="left", color="#555555")

    def _edge(
        self, row: int, column: int, to_row: int, to_column: int, label: str = "", kind: str = ""
    ) -> None:
        """From the side of a box to that of another; on the left within a column."""
        one, other = self.boxes[row, column], self.boxes[to_row, to_column]
        side = int(to_column > column)  # 0 is left, 1 is right
        start = (one[side], sum(one[2:]) / 2)
        end = (other[column > to_column], sum(other[2:]) / 2)
        props = {"color": ORANGE, "linestyle": "--", "linewidth": 1.5} if kind == "dashed" else {}
        props |= {"connectionstyle": "arc3,rad=-0.6"} if column == to_column else {}
        self._arrow(start, end, **props)
        at = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.1 * (row == to_row))
        at = (start[0] - 0.25, at[1]) if column == to_column else at
        side = {"ha": "right"} if column == to_column else {}
        self._write(*at, label, color="#555555", bbox={"fc": "w", "ec": "none", "pad": 0.5}, **side)
