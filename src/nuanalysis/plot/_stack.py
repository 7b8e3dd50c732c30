"""A stacked catalogue: what each source adds to the test statistic, beside its expected share of the events."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import SERIES, SMALL, Axes, Figure, canvas, finished, marked, named, short

Style = dict[str, Any]
MOST_SOURCES = 20  # of a figure; the table has all
_LETTERS = 24  # of a name
_ROW = 0.22  # inches: two lines of 9 pt never touch
_TITLE_LETTERS = 52  # of a line, the word before it counted
_TITLE_LINES = 3
_SEEN = 1e-3  # of the longest bar; a shorter one would be its own outline
_ADDS: Style = {"color": SERIES[0].colour}
_TAKES: Style = {"facecolor": "white", "edgecolor": SERIES[1].colour, "hatch": "/////", "linewidth": 1.0}
_SHARE: Style = {"facecolor": "#d0d0d0", "edgecolor": SERIES[2].colour, "linewidth": 0.8}


@dataclass(frozen=True, slots=True)
class SourceBar:
    """A source of a stack: its contribution to the test statistic and its share of the expected events."""

    name: str
    ts_term: float
    share_of_events: float


def _wrapped(label: str, origin: str) -> str:
    """The title in lines that fit, with room for the word that marks what is not real."""
    room = " " * len(marked("", origin))
    lines = textwrap.wrap(label, _TITLE_LETTERS, initial_indent=room, max_lines=_TITLE_LINES, placeholder=" …")
    return "\n".join(lines).lstrip()


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # no minus before a zero


def _by_size(sources: Sequence[SourceBar]) -> tuple[list[SourceBar], list[SourceBar]]:
    """Those that the figure shows, largest contribution first, and the others."""
    order = sorted(sources, key=lambda one: (-abs(one.ts_term), -one.share_of_events))
    return order[:MOST_SOURCES], order[MOST_SOURCES:]


def _bars(terms_axes: Axes, share_axes: Axes, shown: Sequence[SourceBar]) -> None:
    largest = max(abs(one.ts_term) for one in shown)
    for place, one in enumerate(shown):
        term = one.ts_term
        if abs(term) > _SEEN * largest:
            terms_axes.barh(place, term, height=0.7, **(_ADDS if term > 0 else _TAKES))
        share_axes.barh(place, 100.0 * one.share_of_events, height=0.7, **_SHARE)


def _others(terms_axes: Axes, share_axes: Axes, place: int, rest: Sequence[SourceBar]) -> None:
    """A row in words: bars of hundreds of sources together would dwarf those of single ones."""
    term, share = sum(one.ts_term for one in rest), sum(one.share_of_events for one in rest)
    for axes, text in ((terms_axes, f"{_signed(term)} together"), (share_axes, f"{100 * share:.1f} % together")):
        axes.text(0.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL, style="italic")


def stack_figure(sources: Sequence[SourceBar], *, ts: float, label: str, origin: str) -> Figure:
    """Sources of a stack by the size of their contribution to the test statistic, and their share of the events.

    Raises InputError where there are no sources.
    """
    if not sources:
        raise InputError(f"the stack {label} has no sources; expected at least one")
    shown, rest = _by_size(sources)
    shown = sorted(shown, key=lambda one: (-one.ts_term, -one.share_of_events))
    names = [short(one.name, _LETTERS) for one in shown] + ([f"{len(rest)} others"] if rest else [])
    figure = canvas(height=2.1 + _ROW * len(names))
    terms_axes, share_axes = figure.subplots(1, 2, sharey=True, width_ratios=(2.0, 1.0))
    _bars(terms_axes, share_axes, shown)
    if rest:
        _others(terms_axes, share_axes, len(shown), rest)
    if not any(one.ts_term for one in sources):
        terms_axes.text(0.5, 0.5, "TS = 0: no signal fitted", transform=terms_axes.transAxes, ha="center", fontsize=10)
    terms_axes.axvline(0.0, color="black", linewidth=0.8)
    terms_axes.set_yticks(range(len(names)), names)
    terms_axes.set_ylim(len(names) - 0.4, -0.6)
    share_axes.set_xlim(left=0.0)
    named(terms_axes, f"contribution to TS = {ts:.2f}")
    named(share_axes, "expected\nevents (%)")
    drawn = {one.ts_term > 0 for one in shown if one.ts_term}
    signs = ((True, _ADDS, "adds to TS"), (False, _TAKES, "takes from TS"))
    handles = [matplotlib.patches.Patch(**style, label=words) for sign, style, words in signs if sign in drawn]
    return finished(figure, _wrapped(label, origin), origin, columns=2 if handles else 0, handles=handles)


def stack_words(sources: Sequence[SourceBar]) -> tuple[str, str]:
    """The contributions of the sources that the figure shows, and which these are, in words."""
    shown, rest = _by_size(sources)
    words = "; ".join(f"{one.name} {_signed(one.ts_term)}" for one in shown)
    if rest:
        words += f"; {len(rest)} others together {_signed(float(np.sum([one.ts_term for one in rest])))}"
    which = f"the {len(shown)} largest of {len(sources)} sources" if rest else f"all {len(shown)} sources"
    return words, which
