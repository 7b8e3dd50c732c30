"""The figures of a run: those of its answers drawn into figures/, and all that are finished there."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path

from nuanalysis import plot
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.deferred import matplotlib
from nuanalysis.errors import DataError, InputError
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.plot import Drawn, Sidecar
from nuanalysis.publish._numbers import UNIT, shown, value_of
from nuanalysis.publish._results import CutRow, Entry, Results, SampleCard, measured
from nuanalysis.records import Chance, table
from nuanalysis.store import TABLE, content, parsing, read_json, unlinked

_FLUXES = (
    "Best-fit fluxes with 68 % intervals, 90 % upper limits and sensitivities of this run beside the published values "
    "of the cascade analysis. The unit of the published stacking fluxes is not confirmed. Synthetic samples hold an "
    "injected signal: agreement of the injected hypothesis with the published value is by construction."
)
_STACKS = (
    "Stacked source classes of twelve sources each, equal weight at Earth: fitted signal events, spectral index and "
    "local significance beside the published values. The classes lie on the plane and also collect diffuse emission."
)


_DRAW = "remove it and draw the figures again ('nuanalysis release report RUN')"
_PNG = b"\x89PNG\r\n\x1a\n"


# --- drawn ------------------------------------------------------------------------------------------------------------


def _said(answer: MeasureAnswer) -> str:
    about = answer.provenance
    return f"{answer.tested.label} on {about.sample} ({about.origin})"


def _flux_words(answer: MeasureAnswer) -> str:
    best, limit = (shown(value_of(one) / UNIT, ".3g") for one in (answer.flux.best, answer.flux.upper_limit_90))
    return f"{_said(answer)}: best fit {best}, 90 % limit {limit}"


def _stack_words(answer: MeasureAnswer) -> str:
    sigma = answer.chance.sigma if isinstance(answer.chance, Chance) else None
    return f"{_said(answer)}: n_s {answer.fitted.n_signal:.1f}, local significance {shown(sigma, '.2f')}"


def fluxes_beside_published(entries: tuple[Entry, ...]) -> Iterator[Drawn]:
    """Fluxes of all measured hypotheses beside the published values; nothing where there is none."""
    if answers := [one.answer for one in entries]:
        alt = f"Fluxes in 10^-12 TeV cm^-2 s^-1: {'; '.join(map(_flux_words, answers))}"
        origin = plot.origin_of(one.provenance.origin for one in answers)
        sidecar = Sidecar(f"fluxes{plot.mark(origin)}", alt, _FLUXES, origin, "headline")
        yield Drawn(plot.flux_comparison([one.flux_row() for one in answers], PUBLISHED), sidecar, measured(entries))


def stacks_beside_published(entries: tuple[Entry, ...]) -> Iterator[Drawn]:
    """Measured stacks beside the published ones; nothing where there is none."""
    if stacks := [one.answer for one in entries if one.answer.tested.hypothesis.startswith("stack:")]:
        alt = f"Stacking results: {'; '.join(map(_stack_words, stacks))}"
        origin = plot.origin_of(one.provenance.origin for one in stacks)
        sidecar = Sidecar(f"stacking{plot.mark(origin)}", alt, _STACKS, origin, "stacking")
        yield Drawn(plot.stacking([one.stack_row() for one in stacks], PUBLISHED), sidecar)


def _of_answers(results: Results) -> Iterator[Drawn]:
    """The figures of every answer; but for those of hypotheses, each is called as its entry is."""
    for entry in results.answers:
        for number, one in enumerate(entry.answer.drawn(), start=1):
            if isinstance(entry.answer, MeasureAnswer):
                yield one
                continue
            slug = f"{entry.stem}{f'.{number}' if number > 1 else ''}{plot.mark(one.sidecar.origin)}"
            yield replace(one, sidecar=replace(one.sidecar, slug=slug))


def cut_flow_picture(cut_flow: Sequence[CutRow], sample: SampleCard) -> Iterator[Drawn]:
    """Events left after each cut of a sample, with the table of it; nothing where no row is of this sample."""
    if rows := [row for row in cut_flow if row.sample == sample.sample]:
        words = "; ".join(f"{row.season} after {row.cut}: {row.events}" for row in rows)
        caption = f"Share of the events that each cut takes and events left, {sample.origin} sample {sample.sample}."
        slug = f"cut-flow-{sample.sample}{plot.mark(sample.origin)}"
        steps = [(row.season, row.cut, row.events) for row in rows]
        figure = plot.cut_flow(steps, label=f"Cut flow, {sample.sample}", origin=sample.origin)
        sidecar = Sidecar(slug, f"Cut flow. {words}", caption, sample.origin, "samples")
        yield Drawn(figure, sidecar, table(rows, ORIGIN=sample.origin, DESCRIPTION=caption))


def draw(results: Results, run_folder: Path) -> list[Path]:
    """Draw the figures of all answers into ``figures/``; return the PNG paths, in the order of the report.

    Figures of answers that are gone go too; those of notebooks (rank 0) stay.
    """
    folder, paths = run_folder / "figures", []
    of_samples = (one for sample in results.samples for one in cut_flow_picture(results.cut_flow, sample))
    measures = results.entries("measure")
    overview = chain(fluxes_beside_published(measures), stacks_beside_published(measures))
    drawn = chain(overview, _of_answers(results), of_samples)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user, or in the working directory, would change their bytes
        for rank, one in enumerate(drawn, start=1):
            paths.append(plot.save(one.figure, folder, replace(one.sidecar, rank=rank), table=one.table))
    stems = {path.stem for path in paths}
    for sidecar in sorted(folder.glob("*.json")):
        if sidecar.stem not in stems and sidecar_of(sidecar).rank > 0:
            for ending in (".json", ".ecsv", ".png"):  # the sidecar first: a picture without one is not published
                sidecar.with_suffix(ending).unlink(missing_ok=True)
    return paths


# --- finished ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A finished figure of the run: the PNG and what its sidecar says."""

    path: Path
    sidecar: Sidecar

    def belongs_to(self, entry: Entry) -> bool:
        """Whether it is one of the figures of an answer that is called as its entry is."""
        slug = self.sidecar.slug.removesuffix(plot.mark(self.sidecar.origin))
        return re.fullmatch(rf"{re.escape(entry.stem)}(\.\d+)?", slug) is not None


def load_figures(run_folder: Path) -> tuple[Shown, ...]:
    """Figures of the run that are finished: those with a sidecar, in the order of their ranks, then names.

    A PNG without a sidecar is half written and is left out.  Raises DataError for a sidecar that describes no figure,
    a picture that is none, and for links.
    """
    found = []
    for path in sorted((run_folder / "figures").glob("*.json")):
        one = Shown(path.with_suffix(".png"), sidecar_of(unlinked(run_folder, path)))
        if not os.path.lexists(one.path):
            raise DataError(f"{path} has no picture beside it; {_DRAW}")
        unlinked(run_folder, one.path)
        if one.sidecar.slug != path.stem:
            raise DataError(f"{path} describes the figure '{one.sidecar.slug}', expected '{path.stem}'; {_DRAW}")
        found.append(one)
    return tuple(sorted(found, key=lambda one: (one.sidecar.rank, one.sidecar.slug)))


def sidecar_of(path: Path) -> Sidecar:
    """What stands beside a figure.  Raises DataError where that is damaged."""
    said = read_json(path, "the description of a figure", _DRAW)
    kinds = {field.name: int if field.name == "rank" else str for field in fields(Sidecar)}
    with parsing(path, "the description of a figure", _DRAW, error=DataError):
        if wrong := [key for key, value in said.items() if type(value) is not kinds.get(key)]:
            raise ValueError(f"it holds {', '.join(wrong)}, expected {', '.join(kinds)}: words, and a number as rank")
        try:
            return Sidecar(**said)
        except InputError as error:
            raise ValueError(str(error)) from error


def picture(one: Shown) -> tuple[bytes, int, int]:
    """The bytes of a figure, and its size in pixels.  Raises DataError for what is no PNG."""
    data = content(one.path, "the figure", most=TABLE, error=DataError)
    if len(data) < 24 or not data.startswith(_PNG):
        raise DataError(f"{one.path} is no PNG; {_DRAW}")
    width, height = struct.unpack(">II", data[16:24])
    return data, width, height
