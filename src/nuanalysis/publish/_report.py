"""The report: one HTML file that needs nothing else, from results.json and figures/ of a run."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nuanalysis.answers import question
from nuanalysis.answers.joint import JointAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import ScanAnswer, Spot
from nuanalysis.answers.sources import Source, SourcesAnswer
from nuanalysis.answers.together import TogetherAnswer
from nuanalysis.interpret.published import CAMPAIGN_2023, PublishedSpot
from nuanalysis.plot import MOST_MAPS, plain, ts_page, typeset
from nuanalysis.publish._campaign import campaign_rows
from nuanalysis.publish._campaign_rows import published_list
from nuanalysis.publish._cards import named_cells
from nuanalysis.publish._compare import Line, compare, remarks, sources
from nuanalysis.publish._figures import Shown, load_figures, picture
from nuanalysis.publish._numbers import ABSENT, UNIT, chance_words, measured_words, reason_of, scientific, shown
from nuanalysis.publish._results import Entry, Results, load_results
from nuanalysis.publish._texts import doi_text, key, recipe, rendered, tex
from nuanalysis.records import Record, Unknown, html
from nuanalysis.schema import Floats
from nuanalysis.store import atomic_write, sha256_file

_LAID_OUT = (MeasureAnswer, TogetherAnswer, JointAnswer, ScanAnswer, SourcesAnswer)
RESULTS = "results.json"
_MAP = re.compile(r"(map|plane|sky|scan|templates?|extended|event)(-|$)")
_LISTED = 10  # sources with the smallest local p-values
_NAMES = {
    "headline": "Headline numbers", "campaign": "Campaign", "sky": "Sky", "further": "Further questions",
    "maps": "Sky maps", "trials": "Test statistic", "stacking": "Stacking", "samples": "Samples",
    "other": "Further figures", "inputs": "Inputs", "cite": "How to cite", "provenance": "Provenance",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure inside the page; the size in CSS pixels, so that nothing jumps while it loads.

    place : section of the report, or stem of the answer that it stands with.
    lined : drawn in lines on white, which dark pages turn round; maps keep their colours.
    """

    alt: str
    caption: str
    origin: str
    place: str
    data: str
    width: int
    height: int
    lined: bool


def _picture(one: Shown, entries: Iterable[Entry]) -> Picture:
    (data, width, height), about = picture(one), one.sidecar
    place = next((entry.stem for entry in entries if one.belongs_to(entry)), about.section)
    encoded = base64.b64encode(data).decode("ascii")
    size, lined = (width // 2, height // 2), about.section != "maps" and not _MAP.match(about.slug)
    return Picture(typeset(plain(about.alt)), plain(about.caption), about.origin, place, encoded, *size, lined)


@dataclass(frozen=True, slots=True)
class Compared:
    """A hypothesis beside the published numbers; by : the lines by their keys."""

    answer: MeasureAnswer
    by: dict[str, Line]
    remarks: tuple[str, ...]

    @property
    def beside(self) -> tuple[Line, ...]:
        """Lines with a published number that ours may be subtracted from."""
        return tuple(line for line in self.by.values() if ABSENT not in (line.published, line.difference))

    @property
    def alone(self) -> tuple[Line, ...]:
        """The other lines: nothing was published, or no difference has a meaning."""
        others = (line for line in self.by.values() if line not in self.beside)
        return tuple(line for line in others if line.ours != ABSENT or line.published != ABSENT)


def _compared(answer: MeasureAnswer) -> Compared:
    return Compared(answer, {line.key: line for line in compare(answer)}, tuple(map(plain, remarks(answer))))


def _notes(compared: Iterable[Compared]) -> tuple[str, ...]:
    """What must be known to read the numbers, each once."""
    return tuple(dict.fromkeys(note for one in compared for note in one.remarks))


_SPECTRUM = re.compile("E⁻([⁰¹²³⁴⁵⁶⁷⁸⁹·]+)")
_LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹·", "0123456789.")


def _symbols(text: str) -> str:
    """Text for HTML with symbols as they are printed; what is HTML in it is escaped first."""
    from markupsafe import Markup, escape

    out = str(escape(typeset(text))).replace("nₛ", "n<sub>s</sub>")
    return Markup(_SPECTRUM.sub(lambda m: f"E<sup>−{m[1].translate(_LOWERED)}</sup>", out))


def _first(compared: Iterable[Compared]) -> Compared | None:
    """What the first screen answers: the first hypothesis with a p-value."""
    return next((one for one in compared if one.by["sigma"].ours != ABSENT), None)


def _parts(answer: JointAnswer) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every hypothesis of a joint fit: its label, why its norm is not determined, and its cells."""
    pairs = {(one.one, one.other): shown(one.measured.value, ".2f") for one in answer.correlations}
    pairs |= {(other, one): words for (one, other), words in pairs.items()}
    names = [one.tested.hypothesis for one in answer.hypotheses]
    for part, recovered in zip(answer.hypotheses, answer.recovered, strict=True):
        name, norm = part.tested.hypothesis, part.norm
        flux = ABSENT if isinstance(norm.flux, Unknown) else measured_words(norm.flux.best, ".2f", per=UNIT)
        if norm.in_models is not None and not isinstance(norm.in_models, Unknown):
            flux += f" = {measured_words(norm.in_models.best, '.2f')} × model"
        chance = part.profiled if isinstance(part.profiled, Unknown) else part.profiled.chance
        bias = None if isinstance(recovered.bias, Unknown) else recovered.bias
        cells = (
            measured_words(norm.n_signal, ".1f"), shown(part.ts, ".2f"), chance_words(chance), flux,
            measured_words(bias, ".3f"), *("1.00" if other == name else pairs[name, other] for other in names),
        )  # fmt: skip
        yield plain(part.tested.label), plain(reason_of(part.profiled)), cells


@dataclass(frozen=True, slots=True)
class Row:
    """A direction with its fit, in words."""

    name: str
    place: str
    galactic: str = ABSENT
    n_s: str = ABSENT
    index: str = ABSENT
    ts: str = ABSENT
    local: str = ABSENT
    of_all: str = ABSENT
    published: bool = False


def _place(ra: float, dec: float, form: str = ".2f") -> str:
    return f"{shown(ra, form)}, {shown(dec, form)}"


def _spot(
    name: str, one: Spot | Source, of_all: str, n_s: str = "", index: str = "", *, published: bool = False
) -> Row:
    """The fit of a direction; n_s, index : what stands behind these numbers."""
    at, fit = one.at, one.fitted
    return Row(
        plain(name),
        _place(at.ra_deg, at.dec_deg),
        _place(at.l_deg, at.b_deg),
        shown(fit.n_signal) + n_s,
        shown(fit.index, ".2f") + index,
        shown(fit.ts, ".2f"),
        chance_words(one.local),
        of_all,
        published,
    )


def _published_spots(answer: ScanAnswer) -> dict[str, PublishedSpot]:
    """The published hottest spots; they belong to one sample and stand beside that one only."""
    return CAMPAIGN_2023.hot_spots if answer.provenance.sample == CAMPAIGN_2023.sample else {}


def _spots(answer: ScanAnswer) -> Iterator[Row]:
    """The hottest spot of each hemisphere, the published one below it."""
    for spot in answer.hottest:
        yield _spot(spot.hemisphere, spot, chance_words(spot.chance))
        if (theirs := _published_spots(answer).get(spot.hemisphere)) is not None:
            yield Row(
                name=f"{spot.hemisphere}, published",
                place=_place(theirs.ra_deg, theirs.dec_deg, ".1f"),
                n_s=shown(theirs.n_signal),
                index=shown(theirs.index),
                local=shown(theirs.p_local, ".3g"),
                of_all=shown(theirs.p_global, ".3g"),
                published=True,
            )


@dataclass(frozen=True, slots=True)
class Listing:
    """A source list: its best sources, then those below them that were published.

    published : global p-value of the best source, as printed; None where these are not that list and sample.
    """

    entry: Entry
    first: tuple[Row, ...]
    others: tuple[Row, ...]
    published: float | None


def _listing(entry: Entry, answer: SourcesAnswer) -> Listing:
    """What the report says of a list; published fits in brackets, published local p-values as ``of_all``."""
    published = published_list(answer)
    made = []
    for source in answer.sources:
        theirs = published.get(source.name, PublishedSpot(math.nan))
        published_fit = [f" [{shown(one)}]" * math.isfinite(one) for one in (theirs.n_signal, theirs.index)]
        of_all, known = shown(theirs.p_local, ".3g"), source.name in published
        made.append(_spot(source.name, source, of_all, *published_fit, published=known))
    others = tuple(row for row in made[_LISTED:] if row.published)
    of_list = CAMPAIGN_2023.p[f"each:{answer.catalogue}"] if published else None
    return Listing(entry, tuple(made[:_LISTED]), others, of_list)


def _as_html(record: Record) -> str:
    """A record as its own HTML, not escaped again."""
    from markupsafe import Markup

    return Markup(typeset(plain(html(record))))


def _ts_pages(answers: Iterable[MeasureAnswer]) -> Iterator[tuple[str, str]]:
    """Sample, and page of where its test statistics come from: of as many fits as one page holds."""
    held: dict[tuple[str, str], dict[str, tuple[str, Floats]]] = {}
    for one in answers:
        if one.map is not None:
            maps = held.setdefault((one.provenance.sample, one.provenance.origin), {})
            maps[one.tested.hypothesis] = one.tested.label, one.map["ts_density"].values
    for (sample, origin), maps in held.items():
        yield sample, ts_page(dict(islice(maps.items(), MOST_MAPS)), sample, origin)


def _sections(places: set[str], there: dict[str, bool]) -> list[tuple[str, str]]:
    """Anchor and name of every section there is; there : those that hang on results, not on figures."""
    always = {"headline", "samples", "inputs", "cite", "provenance"} | {
        anchor for anchor, held in there.items() if held
    }
    return [(anchor, name) for anchor, name in _NAMES.items() if anchor in always | (places - there.keys())]


def _any_synthetic(results: Results, pictures: list[Picture]) -> bool:
    origins = {one.origin for one in results.samples} | {one.origin for one in results.answers}
    return bool((origins | {one.origin for one in pictures}) - {"real"})


def render(run_folder: Path, run: Results, left: Sequence[str] = (), sha256: str = "") -> str:
    """The report as text.    left : what the run has still to do, in words.    sha256 : of results.json.

    Raises DataError where figures are damaged.
    """
    named = [one for one in run.answers if not isinstance(one.answer, MeasureAnswer)]
    pictures = [_picture(one, named) for one in load_figures(run_folder)]
    compared = [_compared(answer) for answer in run.of(MeasureAnswer)]
    stacks = [one for one in compared if one.answer.tested.hypothesis.startswith("stack:")]
    sky = run.entries("scan"), [_listing(one, one.answer) for one in run.entries("sources")]
    further = [one for one in run.answers if not isinstance(one.answer, _LAID_OUT)]
    rows = campaign_rows(run)
    there = {"campaign": bool(rows), "sky": any(sky), "stacking": bool(stacks), "further": bool(further)}
    filters: dict[str, Callable[..., Any]] = {
        "plain": plain, "doi": doi_text, "p": chance_words, "scientific": scientific, "record": _as_html,
        "parts": _parts, "spots": _spots, "published_spots": _published_spots, "cited_only": recipe().only_cites,
        "asks": lambda name: question(name).title(), "typeset": _symbols, "tex": tex, "key": key,
    }  # fmt: skip
    page = rendered(
        "report.html.j2",
        filters,
        autoescape=True,
        run=run,
        pictures=pictures,
        compared=compared,
        first=_first(compared),
        notes=_notes(compared),
        stacks=stacks,
        campaign=rows,
        differs=any(row.difference is not None for row in rows),
        about=recipe(),
        scans=sky[0],
        ts_pages=tuple(_ts_pages(run.of(MeasureAnswer))),
        lists=sky[1],
        further=further,
        published=CAMPAIGN_2023,
        origins={sample.sample: sample.origin for sample in run.samples},
        sources=sources(run.of(MeasureAnswer)),
        sections=_sections({one.place for one in pictures}, there),
        any_synthetic=_any_synthetic(run, pictures),
        seeds=sorted({one.answer.provenance.seed for one in run.answers}),
        left=left,
        results_sha256=sha256,
    )
    return named_cells(page)


def report(run_folder: Path) -> Path:
    """Write ``report/index.html`` of the run and return its path: one file with no outside address at all.

    Shows the figures that lie in ``figures/`` with their sidecars; draw those first.
    Raises StepMissing without results.json, DataError where run files are damaged.
    """
    return _written(run_folder, report_text(run_folder))


def report_text(run_folder: Path) -> str:
    """The report of a finished run.  Raises StepMissing without results.json, DataError where files are damaged."""
    return render(run_folder, load_results(run_folder), (), sha256_file(run_folder / RESULTS))


def report_so_far(run_folder: Path, run: Results, left: Sequence[str]) -> Path:
    """Write the report of a run that goes on, which a browser loads again by itself; left : what is still to do."""
    return _written(run_folder, render(run_folder, run, left))


def _written(run_folder: Path, text: str) -> Path:
    path = run_folder / "report" / "index.html"
    atomic_write(path, text.encode("utf-8"))
    return path
