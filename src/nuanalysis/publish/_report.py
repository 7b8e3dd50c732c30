"""The report: one HTML file that needs nothing else, from results.json and figures/ of a run."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuanalysis.answers import question
from nuanalysis.answers.joint import JointAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import ScanAnswer
from nuanalysis.answers.sources import SourcesAnswer
from nuanalysis.answers.together import TogetherAnswer
from nuanalysis.interpret.published import CAMPAIGN_2023
from nuanalysis.plot import plain
from nuanalysis.publish._campaign import campaign_rows
from nuanalysis.publish._compare import Line, compare, remarks, sources
from nuanalysis.publish._figures import Shown, load_figures
from nuanalysis.publish._numbers import chance_words, scientific
from nuanalysis.publish._report_rows import joint_rows, listing, published_spots, spot_rows
from nuanalysis.publish._results import Entry, Results, load_results
from nuanalysis.publish._texts import doi_text, recipe, rendered
from nuanalysis.records import Record, html
from nuanalysis.store import atomic_write, sha256_file

_LAID_OUT = (MeasureAnswer, TogetherAnswer, JointAnswer, ScanAnswer, SourcesAnswer)
_NAMES = {
    "headline": "Headline numbers", "campaign": "Campaign", "sky": "Sky", "further": "Further questions",
    "maps": "Sky maps", "trials": "Test statistic", "stacking": "Stacking", "samples": "Samples",
    "other": "Further figures", "inputs": "Inputs", "provenance": "Provenance",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure inside the page; the size in CSS pixels, so that nothing jumps while it loads.

    place : section of the report, or stem of the answer that it stands with.
    """

    alt: str
    caption: str
    origin: str
    place: str
    data: str
    width: int
    height: int


def _picture(one: Shown, entries: Iterable[Entry]) -> Picture:
    data, about = one.path.read_bytes(), one.sidecar
    width, height = struct.unpack(">II", data[16:24])
    place = next((entry.stem for entry in entries if one.belongs_to(entry)), about.section)
    encoded = base64.b64encode(data).decode("ascii")
    return Picture(plain(about.alt), plain(about.caption), about.origin, place, encoded, width // 2, height // 2)


@dataclass(frozen=True, slots=True)
class Compared:
    """A hypothesis beside the published numbers; by : the lines by their keys."""

    answer: MeasureAnswer
    lines: tuple[Line, ...]
    by: dict[str, Line]
    remarks: tuple[str, ...]


def _compared(answer: MeasureAnswer) -> Compared:
    lines = compare(answer)
    return Compared(answer, lines, {line.key: line for line in lines}, tuple(map(plain, remarks(answer))))


def _as_html(record: Record) -> str:
    """A record as its own HTML, not escaped again."""
    from markupsafe import Markup

    return Markup(plain(html(record)))


def _sections(places: set[str], there: dict[str, bool]) -> list[tuple[str, str]]:
    """Anchor and name of every section there is; there : those that hang on results, not on figures."""
    always = {"headline", "samples", "inputs", "provenance"} | {anchor for anchor, held in there.items() if held}
    return [(anchor, name) for anchor, name in _NAMES.items() if anchor in always | (places - there.keys())]


def _any_synthetic(results: Results, pictures: list[Picture]) -> bool:
    origins = {one.origin for one in results.samples} | {one.origin for one in results.answers}
    return bool((origins | {one.origin for one in pictures}) - {"real"})


def render(run_folder: Path) -> str:
    """The report as text.  Raises StepMissing without results.json, DataError where run files are damaged."""
    run = load_results(run_folder)
    named = [one for one in run.answers if not isinstance(one.answer, MeasureAnswer)]
    pictures = [_picture(one, named) for one in load_figures(run_folder)]
    compared = [_compared(answer) for answer in run.of(MeasureAnswer)]
    stacks = [one for one in compared if one.answer.tested.hypothesis.startswith("stack:")]
    sky = run.entries("scan"), [listing(one, one.answer) for one in run.entries("sources")]
    further = [one for one in run.answers if not isinstance(one.answer, _LAID_OUT)]
    rows = campaign_rows(run)
    there = {"campaign": bool(rows), "sky": any(sky), "stacking": bool(stacks), "further": bool(further)}
    filters: dict[str, Callable[..., Any]] = {
        "plain": plain, "doi": doi_text, "p": chance_words, "scientific": scientific, "record": _as_html,
        "parts": joint_rows, "spots": spot_rows, "published_spots": published_spots, "cited_only": recipe().only_cites,
        "asks": lambda name: question(name).title(),
    }  # fmt: skip
    return rendered(
        "report.html.j2",
        filters,
        autoescape=True,
        run=run,
        pictures=pictures,
        compared=compared,
        stacks=stacks,
        campaign=rows,
        scans=sky[0],
        lists=sky[1],
        further=further,
        published=CAMPAIGN_2023,
        origins={sample.sample: sample.origin for sample in run.samples},
        sources=sources(run.of(MeasureAnswer)),
        sections=_sections({one.place for one in pictures}, there),
        any_synthetic=_any_synthetic(run, pictures),
        seeds=sorted({one.answer.provenance.seed for one in run.answers}),
        results_sha256=sha256_file(run_folder / "results.json"),
    )


def report(run_folder: Path) -> Path:
    """Write ``report/index.html`` of the run and return its path: one file with no outside address at all.

    Shows the figures that lie in ``figures/`` with their sidecars; draw those first.
    """
    path = run_folder / "report" / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, render(run_folder).encode("utf-8"))
    return path
