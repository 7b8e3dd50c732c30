"""A stacked catalogue: what each source adds to the test statistic, beside its expected share of the events."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nuanalysis.errors import InputError
from nuanalysis.plot._page import Sidecar
from nuanalysis.plot._page import mark as _mark
from nuanalysis.plot.canvas import SERIES, SMALL, canvas, grid, marked, title

Row = Mapping[str, Any]
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


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # a rule is no formula


def _short(name: str) -> str:
    return _plain(name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…")


def _wrapped(answer: Row) -> str:
    """The title in lines that fit, with room for the word that marks what is not real."""
    words = _plain(f"{answer['label']}, {answer['sample']}")
    room = " " * len(marked("", answer["origin"]))
    lines = textwrap.wrap(words, _TITLE_LETTERS, initial_indent=room, max_lines=_TITLE_LINES, placeholder=" …")
    return "\n".join(lines).lstrip()


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # no minus before a zero


def _bars(terms_axes: Axes, share_axes: Axes, shown: Sequence[Row]) -> None:
    largest = max(abs(row["ts_term"]) for row in shown)
    for place, row in enumerate(shown):
        term = row["ts_term"]
        if abs(term) > _SEEN * largest:
            terms_axes.barh(place, term, height=0.7, **(_ADDS if term > 0 else _TAKES))
        share_axes.barh(place, 100.0 * row["share_of_events"], height=0.7, **_SHARE)


def _others(terms_axes: Axes, share_axes: Axes, place: int, rest: Sequence[Row]) -> None:
    """A row in words: bars of hundreds of sources together would dwarf those of single ones."""
    term, share = (sum(row[key] for row in rest) for key in ("ts_term", "share_of_events"))
    for axes, text in ((terms_axes, f"{_signed(term)} together"), (share_axes, f"{100 * share:.1f} % together")):
        axes.text(0.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL, style="italic")


def stack_figure(answer: Row, *, name: str) -> tuple[Figure, Sidecar]:
    """Sources of a stack by the size of their contribution to the test statistic, and the figure's sidecar.

    answer : of ``workflow.stack``, one catalogue; its sources have name, ts_term and share_of_events.
    name : of the file, without ending; anything synthetic is named so.  Raises InputError where there are no sources.
    """
    if not answer["sources"]:
        raise InputError(f"the stack {answer['label']} has no sources; expected at least one")
    order = sorted(answer["sources"], key=lambda row: (-abs(row["ts_term"]), -row["share_of_events"]))
    shown, rest = order[:MOST_SOURCES], order[MOST_SOURCES:]
    shown = sorted(shown, key=lambda row: (-row["ts_term"], -row["share_of_events"]))
    names = [_short(row["name"]) for row in shown] + ([f"{len(rest)} others"] if rest else [])
    figure = canvas(height=2.1 + _ROW * len(names))
    terms_axes, share_axes = figure.subplots(1, 2, sharey=True, width_ratios=(2.0, 1.0))
    _bars(terms_axes, share_axes, shown)
    if rest:
        _others(terms_axes, share_axes, len(shown), rest)
    if not any(row["ts_term"] for row in order):
        terms_axes.text(0.5, 0.5, "TS = 0: no signal fitted", transform=terms_axes.transAxes, ha="center", fontsize=10)
    terms_axes.axvline(0.0, color="black", linewidth=0.8)
    terms_axes.set_yticks(range(len(names)), names)
    terms_axes.set_ylim(len(names) - 0.4, -0.6)
    share_axes.set_xlim(left=0.0)
    terms_axes.set_xlabel(f"contribution to TS = {answer['ts']:.2f}", fontsize=10)
    share_axes.set_xlabel("expected\nevents (%)", fontsize=10)
    for axes in (terms_axes, share_axes):
        axes.tick_params(labelsize=SMALL)
        grid(axes)
    drawn = {row["ts_term"] > 0 for row in shown if row["ts_term"]}
    signs = ((True, _ADDS, "adds to TS"), (False, _TAKES, "takes from TS"))
    handles = [Patch(**style, label=words) for sign, style, words in signs if sign in drawn]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    title(figure, _wrapped(answer), answer["origin"])
    return figure, _sidecar(answer, shown, rest, name)


def _sidecar(answer: Row, shown: Sequence[Row], rest: Sequence[Row], name: str) -> Sidecar:
    p, error = number(answer, "p_value", "p"), number(answer, "p_value", "p_error")
    local = "no p-value was determined"
    if math.isfinite(p):
        sigma = _worded(number(answer, "p_value", "sigma"), ".2f")
        local = f"local p = {p:.3g} ± {error:.1g} ({sigma} σ, {answer['p_value']['n_trials']} trials)"
    index = "no signal fitted" if answer["index"] is None else f"index {answer['index']:.2f}"
    held = "" if answer["index_free"] or answer["index"] is None else " (held)"
    fit = f"TS {answer['ts']:.2f}, n_s {answer['n_s']:.1f}, {index}{held}; {local}; seed {answer['seed']}"
    words = "; ".join(f"{row['name']} {_signed(row['ts_term'])}" for row in shown)
    if rest:
        words += f"; {len(rest)} others together {_signed(float(np.sum([row['ts_term'] for row in rest])))}"
    which = f"the {len(shown)} largest of {len(answer['sources'])} sources" if rest else f"all {len(shown)} sources"
    caption = (
        f"{_said(answer)}: {fit}. Left: contribution of each source to the test statistic, {which}; a negative one "
        "means that the events avoid the source. Right: expected share of the events, weight times acceptance times "
        f"livetime, for index {answer['index_of_shares']:.2f}."
    )
    alt = f"Contributions to the test statistic, {_said(answer)}, {fit}: {words}"
    return Sidecar(name + _mark(answer["origin"]), alt, caption, answer["origin"], "stacking")
