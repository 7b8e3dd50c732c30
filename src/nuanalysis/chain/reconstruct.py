"""Reconstruct simulated cascades with trained networks, and fit some with the hybrid likelihood beside them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.chain._events import Recipe, Seen, array, joined, opened, simulated, taken
from nuanalysis.chain._figures import angle_figure, event_figure
from nuanalysis.chain._hybrid import (
    Fits,
    HybridErrors,
    calibrated,
    critical_of,
    fitted,
    hybrid_errors,
    seconds_of_a_fit,
    starts_of,
)
from nuanalysis.chain._judge import Judgement, judge, judges
from nuanalysis.chain._light import Medium
from nuanalysis.chain._resolution import EDGES, FEWEST, azimuth, zenith
from nuanalysis.chain._step import Step
from nuanalysis.chain.train import CASCADES_ALONE
from nuanalysis.deferred import units as u
from nuanalysis.detector import MEDIAN_PULL, TRUTH, hull, inside
from nuanalysis.engine.bench import Bench
from nuanalysis.learn import Class, Estimate, angle, median
from nuanalysis.plot import AngleCurve
from nuanalysis.reconstruct import Coverage, coverage
from nuanalysis.records import Measured, Record, setting, shown
from nuanalysis.schema import Bools, Floats
from nuanalysis.store import atomic_write, table_ecsv
from nuanalysis.trials.streams import Purpose, seed_for

if TYPE_CHECKING:
    from astropy.table import QTable

_FEWEST_DRAWN = 10  # events of a point of the figure


class ResolutionRow(Record):
    """Resolution for cascades of an energy."""

    low: float = shown("log10 E/GeV from", form=".1f")
    high: float = shown("to", form=".1f")
    events: int = shown("events")
    angle: Measured = shown("median angle, all", unit="deg")
    contained: Measured | None = shown("median angle, contained", None, unit="deg")
    pull: Measured = shown("median of angle over 1.177 sigma")
    vertex: Measured = shown("median distance of the vertex", unit="m")


class HybridRow(Record):
    """Network and hybrid side by side, on the same cascades of an energy: those that were fitted."""

    low: float = shown("log10 E/GeV from", form=".1f")
    high: float = shown("to", form=".1f")
    events: int = shown("events")
    network: Measured = shown("median angle, network", unit="deg")
    hybrid: Measured = shown("median angle, hybrid", unit="deg")
    contained: Measured | None = shown("hybrid, contained", None, unit="deg")
    vertex: Measured = shown("hybrid: median distance of the vertex", unit="m", short="vertex")


class HoldsRow(Record):
    """Whether errors and contours of hybrid fits hold what they should, for cascades of an energy."""

    low: float = shown("log10 E/GeV from", form=".1f")
    high: float = shown("to", form=".1f")
    pull: Measured = shown("median of angle over 1.177 sigma", short="pull")
    within_50: Measured = shown("truth inside the contour of 50 %", short="in 50 %")
    within_90: Measured = shown("truth inside the contour of 90 %", short="in 90 %")


class ReconstructAnswer(Record):
    """What networks and hybrid fits made of simulated cascades."""

    networks: tuple[str, ...] = shown("networks, sha256", hidden=True)
    medium: str = shown("ice and modules")
    made: int = shown("events made")
    judged: int = shown("events reconstructed")
    rows: tuple[ResolutionRow, ...] = shown("network, by deposited energy")
    fitted: int = shown("events fitted with the hybrid likelihood")
    not_converged: int = shown("of them without convergence")
    hybrid: tuple[HybridRow, ...] = shown("network and hybrid on the events that were fitted, by deposited energy")
    holds: tuple[HoldsRow, ...] = shown("errors and contours of the hybrid fits, by deposited energy")
    hybrid_errors: str = shown("events that errors and contours of the hybrid were calibrated on", "")
    seconds_per_fit: float | None = shown("processor seconds of a hybrid fit", None, unit="s", form=".2f")
    simulating_s: float = shown("seconds of simulation", unit="s", form=".1f")
    reconstructing_s: float = shown("seconds of reconstruction", unit="s", form=".1f")
    fitting_s: float = shown("seconds of hybrid fits", unit="s", form=".1f")
    files: tuple[str, ...] = shown("table of the events, one of them drawn, and median angles against energy")
    truth: str = shown("what it is", TRUTH)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """Fits of the first of the judged events, with calibrated errors and contours, (event,) each."""

    fits: Fits
    sigma: Floats
    critical: Floats
    errors: HybridErrors


class Reconstruct(Step):
    """Reconstruct simulated cascades with the networks of the run, or with those that come with the package."""

    events: int = setting(1000, low=100, high=10_000_000, help="cascades made, with random numbers of no training")
    hybrid: int = setting(400, low=0, high=10_000_000, help="events fitted with the hybrid likelihood too, 0 for none")

    def take(self, bench: Bench) -> ReconstructAnswer:
        by, errors = judges(bench.folder), hybrid_errors(bench.folder) if self.hybrid else None
        began = time.monotonic()
        recipe = Recipe(seed_for(self.seed, Purpose.TESTING), self.events, self.medium, CASCADES_ALONE)
        seen = joined([opened(path) for path in simulated(recipe, bench, "direction-testing")])
        made_at = time.monotonic()
        judged = judge(seen, by, self.medium)
        done_at = time.monotonic()
        own, spent = self._fits(recipe, bench, seen, judged, errors)
        fitted_at = time.monotonic()
        path = bench.folder / "reconstructed-synthetic.ecsv"
        atomic_write(path, table_ecsv(_table(seen, judged, own, self.seed)))
        figures = (
            event_figure(seen, judged, self.medium, bench.folder),
            angle_figure(_curves(seen, judged, own, self.medium), bench.folder),
        )
        return ReconstructAnswer(
            networks=tuple(f"{one.name} {one.card.sha256}" for one in (by.classes, by.direction)),
            medium=str(self.medium),
            made=recipe.total,
            judged=len(judged.events),
            rows=tuple(_rows(seen, judged, self.medium)),
            fitted=0 if own is None else len(own.sigma),
            not_converged=0 if own is None else int((~own.fits.converged).sum()),
            hybrid=() if own is None else tuple(_hybrid_rows(seen, judged, own, self.medium)),
            holds=() if own is None else tuple(_holds_rows(seen, judged, own)),
            hybrid_errors="" if own is None else own.errors.data,
            seconds_per_fit=spent,
            simulating_s=made_at - began,
            reconstructing_s=done_at - made_at,
            fitting_s=fitted_at - done_at,
            files=(str(path), *(str(figure) for figure in figures)),
        )

    def _fits(
        self, recipe: Recipe, bench: Bench, seen: Seen, judged: Judgement, errors: HybridErrors | None
    ) -> tuple[_Fitted | None, float | None]:
        """Fits of the first events, and what one costs; None twice where none are wanted."""
        number = min(self.hybrid, len(judged.events))
        if errors is None or not number:
            return None, None
        starts = starts_of(seen, judged, np.arange(number))
        fits = fitted(recipe, bench, "direction-testing", starts)
        sigma = calibrated(fits, seen.variables.charge[judged.events[:number]], errors)
        own = _Fitted(fits, sigma, critical_of(fits, self.medium, errors), errors)
        return own, seconds_of_a_fit(recipe, bench, starts)


def _rows(seen: Seen, judged: Judgement, medium: Medium) -> Iterator[ResolutionRow]:
    truth, rng = taken(seen.truth, judged.events), np.random.default_rng(0)
    psi, log_energy = angle(judged.said.direction, truth.direction), np.log10(np.maximum(truth.deposited, 1.0))
    away = np.linalg.norm(judged.said.vertex - truth.vertex, axis=1)
    contained = inside(hull(array(medium)), truth.vertex)

    def middle(values: Floats, of: Bools) -> Measured:
        return _measured(median(values[of], rng))

    for low, high in pairwise(EDGES):
        of = (log_energy >= low) & (log_energy < high)
        if of.sum() >= FEWEST:
            yield ResolutionRow(
                low=low,
                high=high,
                events=int(of.sum()),
                angle=middle(np.degrees(psi), of),
                contained=middle(np.degrees(psi), of & contained) if (of & contained).sum() >= FEWEST else None,
                pull=middle(psi / (MEDIAN_PULL * judged.sigma), of),
                vertex=middle(away, of),
            )


def _measured(found: Estimate | Coverage) -> Measured:
    return Measured(value=found.value if isinstance(found, Estimate) else found.share, error=found.error)


def _hybrid_rows(seen: Seen, judged: Judgement, own: _Fitted, medium: Medium) -> Iterator[HybridRow]:
    fits, number, rng = own.fits, len(own.sigma), np.random.default_rng(0)
    truth = taken(seen.truth, judged.events[:number])
    network, psi = (angle(one[:number], truth.direction) for one in (judged.said.direction, fits.direction))
    log_energy, away = np.log10(np.maximum(truth.deposited, 1.0)), np.linalg.norm(fits.vertex - truth.vertex, axis=1)
    within = inside(hull(array(medium)), truth.vertex)

    def middle(values: Floats, of: Bools) -> Measured:
        return _measured(median(values[of], rng))

    for low, high in pairwise(EDGES):
        of = (log_energy >= low) & (log_energy < high)
        if of.sum() >= FEWEST:
            yield HybridRow(
                low=low,
                high=high,
                events=int(of.sum()),
                network=middle(np.degrees(network), of),
                hybrid=middle(np.degrees(psi), of),
                contained=middle(np.degrees(psi), of & within) if (of & within).sum() >= FEWEST else None,
                vertex=middle(away, of),
            )


def _holds_rows(seen: Seen, judged: Judgement, own: _Fitted) -> Iterator[HoldsRow]:
    fits, rng = own.fits, np.random.default_rng(0)
    truth = taken(seen.truth, judged.events[: len(own.sigma)])
    pull = angle(fits.direction, truth.direction) / (MEDIAN_PULL * own.sigma)
    log_energy = np.log10(np.maximum(truth.deposited, 1.0))
    for low, high in pairwise(EDGES):
        of = (log_energy >= low) & (log_energy < high)
        if of.sum() >= FEWEST:
            yield HoldsRow(
                low=low,
                high=high,
                pull=_measured(median(pull[of], rng)),
                within_50=_measured(coverage(fits.deficit[of], own.critical[of, 0])),
                within_90=_measured(coverage(fits.deficit[of], own.critical[of, 1])),
            )


def _curves(seen: Seen, judged: Judgement, own: _Fitted | None, medium: Medium) -> tuple[AngleCurve, ...]:
    """Median angles against the energy of the neutrino, vertices in the hull: of the network, and of the hybrid."""
    truth = taken(seen.truth, judged.events)
    within = inside(hull(array(medium)), truth.vertex)
    said = {"network": judged.said.direction}
    if own is not None:
        said["hybrid fit"] = own.fits.direction
    curves = []
    for name, one in said.items():
        of = np.flatnonzero(within[: len(one)])
        curves.append(_curve(name, angle(one[of], truth.direction[of]), truth.energy[of]))
    return tuple(curves)


def _curve(name: str, psi: Floats, energy: Floats) -> AngleCurve:
    """Medians in half-decades that hold enough events to be drawn with an error."""
    rng, rows = np.random.default_rng(0), []
    for low, high in pairwise(EDGES):
        of = (energy >= 10.0**low) & (energy < 10.0**high)
        if of.sum() >= _FEWEST_DRAWN:
            found = median(np.degrees(psi[of]), rng)
            rows.append((10.0 ** (0.5 * (low + high)), found.value, found.error))
    return AngleCurve(name, *np.array(rows).reshape(-1, 3).T)


def _table(seen: Seen, judged: Judgement, own: _Fitted | None, seed: int) -> QTable:
    """A row for each event: truth, and what networks and fits say (NaN where there is no fit).

    Directions as they come from, in detector coordinates.
    """
    from astropy.table import QTable

    truth, said = taken(seen.truth, judged.events), judged.said
    columns = {
        "number": truth.number,
        "pdg": truth.pdg,
        "log10_energy_true": np.log10(truth.energy),
        "log10_deposited_true": np.log10(np.maximum(truth.deposited, 1.0)),
        "log10_deposited": said.log10_energy,
        "zenith_true": zenith(truth.direction) * u.rad,
        "azimuth_true": azimuth(truth.direction) * u.rad,
        "zenith": zenith(said.direction) * u.rad,
        "azimuth": azimuth(said.direction) * u.rad,
        "angular_error": judged.sigma * u.rad,
        "vertex_true": truth.vertex * u.m,
        "vertex": said.vertex * u.m,
        **{f"probability_{one.name.lower()}": judged.probability[:, one] for one in Class},
        **dict(() if own is None else _hybrid_columns(own, len(judged.events))),
    }
    return QTable(columns, meta={"origin": "synthetic", "truth": TRUTH, "seed": seed})


def _hybrid_columns(own: _Fitted, n: int) -> tuple[tuple[str, object], ...]:
    """Names and columns of the fits for a table of n events."""

    def filled(values: Floats) -> Floats:
        return np.concatenate([values, np.full((n - len(values), *values.shape[1:]), np.nan)])

    fits = own.fits
    return (
        ("hybrid_log10_deposited", filled(fits.log10_energy)),
        ("hybrid_zenith", filled(zenith(fits.direction)) * u.rad),
        ("hybrid_azimuth", filled(azimuth(fits.direction)) * u.rad),
        ("hybrid_angular_error", filled(own.sigma) * u.rad),
        ("hybrid_vertex", filled(fits.vertex) * u.m),
        ("hybrid_converged", filled(fits.converged.astype(np.float64))),
    )
