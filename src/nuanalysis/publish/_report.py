"""The report: one HTML file that needs nothing else, from the results and figures of a run."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nuanalysis.answers import question
from nuanalysis.answers.joint import JointAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.interpret.published import CAMPAIGN_2023, NO_SPOT
from nuanalysis.plot import plain
from nuanalysis.publish._campaign import campaign_rows
from nuanalysis.publish._campaign_rows import published_list, published_spots
from nuanalysis.publish._compare import Line, compare, remarks, sources
from nuanalysis.publish._numbers import ABSENT, UNIT, error, reason, scientific, shown, value
from nuanalysis.publish._results import Results, load_results
from nuanalysis.publish._run import Shown, cite_only, doi_text, load_figures, recipe, recipe_text
from nuanalysis.records import Chance, Measured, Unknown, html
from nuanalysis.store import atomic_write, sha256_file

#: Questions with a layout of their own; others are shown as their answers show themselves.
_OWN_LAYOUT = ("measure", "together", "joint", "scan", "sources")


@dataclass(frozen=True, slots=True)
class _Picture:
    """A figure of the report; the size in CSS pixels, so that nothing jumps while it loads."""

    alt: str
    caption: str
    origin: str
    section: str
    picture: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Compared:
    """A fit beside what was published."""

    answer: MeasureAnswer
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]

    @property
    def by(self) -> dict[str, Line]:
        """Lines by their keys."""
        return {line.key: line for line in self.lines}


def _picture(shown: Shown) -> _Picture:
    data = shown.path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    encoded = base64.b64encode(data).decode("ascii")
    return _Picture(
        plain(shown.alt), plain(shown.caption), shown.origin, shown.section, encoded, width // 2, height // 2
    )


def _sections(figures: Sequence[_Picture], there: dict[str, bool]) -> list[tuple[str, str]]:
    """Anchor and name of every section there is; there: of those that hang on results, not on figures."""
    drawn = {figure.section for figure in figures} - there.keys()
    always = {"headline", "samples", "inputs", "provenance"} | {anchor for anchor, found in there.items() if found}
    names = {
        "headline": "Headline numbers", "campaign": "Campaign", "together": "Several hypotheses", "sky": "Sky",
        "questions": "Further questions", "maps": "Sky maps", "trials": "Test statistic", "stacking": "Stacking",
        "samples": "Samples", "other": "Further figures", "inputs": "Inputs", "provenance": "Provenance",
    }  # fmt: skip
    return [(anchor, name) for anchor, name in names.items() if anchor in always | drawn]


# --- words of the template --------------------------------------------------------------------------------------------


def _chance(one: Chance | Unknown) -> str:
    """A p-value with its error, or its upper bound; one beyond what the trials reach says so."""
    if isinstance(one, Unknown):
        return "not asked for" if "asked for" in one.reason else ABSENT
    if one.bound is not None:
        return f"< {scientific(one.bound)} (90 %)"
    return scientific(one.p, error(one)) + (" (extrapolated)" if one.extrapolated else "")


def _measured(one: Measured | Unknown | float | None, form: str = ".1f", unit: float = 1.0) -> str:
    """A value, with its error where there is one."""
    number, spread = value(one) / unit, error(one) / unit
    return shown(number, form) + (f" ± {spread:{form}}" if spread == spread else "")


def _correlation(one: JointAnswer, a: str, b: str) -> str:
    """Of the fits of two hypotheses in experiments."""
    found = next((c.measured.value for c in one.correlations if {c.one, c.other} == {a, b}), 1.0)
    return shown(found, ".2f")


def render(run: Results, run_folder: Path) -> str:
    """The report as text.  Raises DataError where figures of the run are damaged."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    figures = [_picture(one) for one in load_figures(run_folder)]
    compared = [_Compared(one, compare(one), tuple(map(plain, remarks(one)))) for one in run.of(MeasureAnswer)]
    stacks = [one for one in compared if one.answer.tested.hypothesis.startswith("stack:")]
    rows = campaign_rows(run)
    further = [
        (one, question(one.section).title(), Markup(plain(html(one.answer))))
        for one in run.answers
        if one.section not in _OWN_LAYOUT
    ]
    there = {
        "campaign": bool(rows),
        "together": bool(run.entries("together") or run.entries("joint")),
        "sky": bool(run.entries("scan") or run.entries("sources")),
        "questions": bool(further),
        "stacking": bool(stacks),
    }
    origins = {sample.sample: sample.origin for sample in run.samples}
    shown_origins = {*origins.values(), *(one.origin for one in run.answers), *(figure.origin for figure in figures)}
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters.update(plain=plain, doi=doi_text, chance=_chance, measured=_measured, reason=reason)
    environment.globals.update(
        shown=shown, scientific=scientific, value=value, correlation=_correlation, unit=UNIT, theirs=CAMPAIGN_2023,
        no_spot=NO_SPOT,
        published_spots=published_spots, published_list=published_list,
    )  # fmt: skip
    about = recipe()
    return environment.from_string(recipe_text("report.html.j2")).render(
        run=run,
        figures=figures,
        compared=compared,
        stacks=stacks,
        campaign=[(row, row.cells(), plain(row.note)) for row in rows],
        further=further,
        cited_only=[item.name for item in run.inputs if cite_only(item, about)],
        origins=origins,
        sources=sources(one.answer for one in compared),
        sections=_sections(figures, there),
        any_synthetic=shown_origins != {"real"} and bool(shown_origins),
        seeds=sorted({one.answer.provenance.seed for one in run.answers}),
        results_sha256=sha256_file(run_folder / "results.json"),
    )


def report(run_folder: Path) -> Path:
    """Write ``report/index.html`` of the run and return its path: one file with no outside address at all.

    Shows the figures that lie in ``figures/`` with their sidecars; draw those first.  Raises StepMissing without
    results.json, DataError where files of the run are damaged.
    """
    path = run_folder / "report" / "index.html"
    text = render(load_results(run_folder), run_folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode("utf-8"))
    return path
