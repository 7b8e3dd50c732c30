"""The figures of a run, drawn from its results, with alt texts that carry the numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nuanalysis import plot
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.plot import Drawn, Sidecar, StackRow
from nuanalysis.publish._fit_table import fit_table
from nuanalysis.publish._numbers import UNIT, sigma, value
from nuanalysis.publish._results import Entry, Results
from nuanalysis.records import table

_FLUXES = (
    "Best-fit fluxes with 68 % intervals, 90 % upper limits and sensitivities of this run beside the published values "
    "of the cascade analysis. The unit of the published stacking fluxes is not confirmed. Synthetic samples hold an "
    "injected signal: agreement of the injected hypothesis with the published value is by construction."
)
_STACKS = (
    "Stacked source classes, equal weight at Earth: fitted signal events, spectral index and local significance beside "
    "the published values. The classes lie on the plane and also collect diffuse emission."
)


def _origin(fits: Sequence[MeasureAnswer]) -> str:
    origins = {one.provenance.origin for one in fits}
    return origins.pop() if len(origins) == 1 else "mixed"


def _whose(one: MeasureAnswer) -> str:
    return f"{one.tested.label} on {one.provenance.sample} ({one.provenance.origin})"


def _worded(number: float, form: str) -> str:
    return format(number, form) if math.isfinite(number) else "not computed"


def _fluxes(fits: Sequence[MeasureAnswer]) -> Drawn:
    words = "; ".join(
        f"{_whose(one)}: best fit {_worded(one.flux.best.value / UNIT, '.3g')}, "
        f"90 % limit {_worded(value(one.flux.upper_limit_90) / UNIT, '.3g')}" for one in fits
    )  # fmt: skip
    origin = _origin(fits)
    alt = f"Fluxes in 10^-12 TeV cm^-2 s^-1: {words}"
    sidecar = Sidecar(f"fluxes{plot.mark(origin)}", alt, _FLUXES, origin, "headline")
    return Drawn(
        plot.flux_comparison([one.flux_row() for one in fits], PUBLISHED),
        sidecar,
        fit_table(fits, ORIGIN="see column origin", DESCRIPTION=_FLUXES),
    )


def _stacks(fits: Sequence[MeasureAnswer]) -> Drawn:
    words = "; ".join(
        f"{_whose(one)}: n_s {one.fitted.n_signal:.1f}, local significance {_worded(sigma(one.chance), '.2f')}"
        for one in fits
    )
    rows = [
        StackRow(
            one.tested.hypothesis, one.tested.label, one.provenance.sample, one.provenance.origin,
            one.fitted.n_signal, value(one.fitted.index), sigma(one.chance),
        ) for one in fits
    ]  # fmt: skip
    origin = _origin(fits)
    sidecar = Sidecar(f"stacking{plot.mark(origin)}", f"Stacking results: {words}", _STACKS, origin, "stacking")
    return Drawn(plot.stacking(rows, PUBLISHED), sidecar)


def _overview(fits: Sequence[MeasureAnswer]) -> Iterator[Drawn]:
    if fits:
        yield _fluxes(fits)
    stacks = [one for one in fits if one.tested.hypothesis.startswith("stack:")]
    if stacks:
        yield _stacks(stacks)


def _of_entry(entry: Entry) -> Iterator[Drawn]:
    """The figures of an answer; but for those of single fits they stand with it, and are named after it."""
    for k, one in enumerate(entry.answer.drawn(), start=1):
        if isinstance(entry.answer, MeasureAnswer):
            yield one
            continue
        name = f"{entry.stem}{f'-{k}' if k > 1 else ''}{plot.mark(one.sidecar.origin)}"
        yield replace(one, sidecar=replace(one.sidecar, slug=name, section=entry.place))


def _cut_flows(results: Results) -> Iterator[Drawn]:
    for sample in results.samples:
        rows = [row for row in results.cut_flow if row.sample == sample.sample]
        if not rows:
            continue
        words = "; ".join(f"{row.season} after {row.cut}: {row.events}" for row in rows)
        caption = f"Events left after each cut, {sample.origin} sample {sample.sample}."
        name = f"cut-flow-{plot.slug(sample.sample)}{plot.mark(sample.origin)}"
        yield Drawn(
            plot.cut_flow(rows, label=f"Cut flow, {sample.sample}", origin=sample.origin),
            Sidecar(name, f"Cut flow. {words}", caption, sample.origin, "samples"),
            table(rows, None, ORIGIN=sample.origin, DESCRIPTION=caption),
        )


def _clear_others(folder: Path, slugs: set[str]) -> None:
    """Remove figures of ours (rank above 0) of results that the run no longer has; those of notebooks stay."""
    for sidecar in sorted(folder.glob("*.json")):
        if json.loads(sidecar.read_text(encoding="utf-8")).get("rank", 0) > 0 and sidecar.stem not in slugs:
            for ending in (".json", ".ecsv", ".png"):  # the sidecar first: a picture without one is not published
                sidecar.with_suffix(ending).unlink(missing_ok=True)


def draw(results: Results, run_folder: Path) -> tuple[Path, ...]:
    """Draw the figures of all results into ``figures/``; the PNG paths, in the order of the report.

    Figures of results that are gone go too.
    """
    drawn = [
        *_overview(tuple(results.of(MeasureAnswer))),
        *(one for entry in results.answers for one in _of_entry(entry)),
        *_cut_flows(results),
    ]
    folder = run_folder / "figures"
    _clear_others(folder, {one.sidecar.slug for one in drawn})
    return tuple(
        plot.save(one.figure, folder, replace(one.sidecar, rank=rank), table=one.table)
        for rank, one in enumerate(drawn, start=1)
    )
