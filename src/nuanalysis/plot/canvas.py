"""What every figure shares: canvas, series that differ without colour, the word SYNTHETIC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot._typeset import typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
else:
    Axes = Figure = "of matplotlib, which is imported when something is drawn"  # in annotations alone

WIDTH = 5.6  # inches: at 10 pt the letters stay readable when a telephone shows the figure at 350 px
SMALL = 9.0  # pt, the smallest letter of any figure
MARKED = "SYNTHETIC"


@dataclass(frozen=True, slots=True)
class Series:
    """How one series is drawn: differs from its neighbours in lightness, dash and marker."""

    colour: str
    line: str
    marker: str

    @property
    def lined(self) -> Any:
        """Colour and dash, as matplotlib takes them."""
        return {"color": self.colour, "linestyle": self.line}


SERIES = (
    Series("#00224e", "-", "o"),
    Series("#c79a1b", "--", "D"),
    Series("#7a7b7d", "-.", "s"),
    Series("#3b4a6b", ":", "^"),
    Series("#dcc65c", "--", "v"),
)
REFERENCE = Series("#7a7b7d", "--", "D")


def canvas(width: float = WIDTH, height: float = 3.8) -> Figure:
    """Return an empty figure with its own Agg canvas; pyplot does not learn of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = matplotlib.figure.Figure(
        figsize=(width, height), layout=matplotlib.layout_engine.ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.06)
    )
    FigureCanvasAgg(figure)
    return figure


def single(height: float = 3.8) -> tuple[Figure, Axes]:
    """An empty figure with one panel."""
    figure = canvas(height=height)
    return figure, figure.add_subplot()


def grid(axes: Axes) -> None:
    """A faint grid behind the data."""
    axes.set_axisbelow(True)
    axes.grid(visible=True, color="#d8d8d8", linewidth=0.6)


def named(axes: Axes, x: str = "", y: str = "") -> None:
    """Name both axes, with small numbers and a grid."""
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=SMALL)
    grid(axes)


def short(name: str, letters: int) -> str:
    """The name in so many letters at most."""
    return name if len(name) <= letters else name[: letters - 1].rstrip() + "…"


def origin_of(origins: Iterable[str]) -> str:
    """Origin of a figure that shows all these: 'mixed' where they differ."""
    first, *others = set(origins)
    return "mixed" if others else first


def marked(label: str, origin: str) -> str:
    """Return the title of something real, or the same with the word SYNTHETIC before it."""
    words = {"real": label, "synthetic": f"{MARKED} · {label}", "mixed": f"{MARKED} and real · {label}"}
    if origin not in words:
        raise InputError(f"a figure of origin {origin!r} was asked for; expected {' or '.join(words)}")
    return words[origin]


_LETTERS_AN_INCH = 11.0  # at 11 points
_MOST_LINES = 5  # of a title


LONGEST = 40  # letters of a name that has the left half of a figure


def finished(figure: Figure, label: str, origin: str, *, columns: int = 0, **legend: Any) -> Figure:
    """The figure with its title above everything and, in so many columns, a legend below.

    The title takes as many lines as it needs; a synthetic one is framed.
    """
    if columns:
        figure.legend(loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False, **legend)
    letters = int(_LETTERS_AN_INCH * figure.get_figwidth())
    lines = [line for part in marked(typeset(label), origin).split("\n") for line in wrap(part, letters)]
    lines = (
        lines
        if len(lines) <= _MOST_LINES
        else [*lines[: _MOST_LINES - 1], short(lines[_MOST_LINES - 1] + "…", letters)]
    )
    text = figure.suptitle("\n".join(lines), fontsize=11)
    if origin != "real":
        text.set_bbox({"boxstyle": "square,pad=0.3", "facecolor": "#fdf3cf", "edgecolor": "#7a5c00", "linewidth": 1.0})
    _no_formulas(figure)
    return figure


_OURS = re.compile(r"E\$\^\{-[\d.]+\}\$|.*\\mathdefault.*", re.DOTALL)


def _no_formulas(figure: Figure) -> None:
    """Show every '$' as it is: names of sources, rules and files are of others, and no formulas."""
    for text in figure.findobj(matplotlib.text.Text):
        if "$" in text.get_text() and not _OURS.fullmatch(text.get_text()):
            text.set_parse_math(False)


def log_ticks(axis: matplotlib.axis.Axis) -> None:
    """Ticks at 1, 2 and 5 of every decade, written out in full."""
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
