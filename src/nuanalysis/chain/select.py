"""Select cascades in levels, from the trigger to a sample: rates, efficiencies, area, response, events."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import numpy as np

from nuanalysis.chain._events import Seen, array, joined, opened, simulated, taken
from nuanalysis.chain._figures import selection_figures
from nuanalysis.chain._hybrid import Fits, fitted, hybrid_errors, places, starts_of, with_fits
from nuanalysis.chain._judge import Judgement, judge, judges
from nuanalysis.chain._rates import FLUXES, INDEX, PER_FLAVOUR, components
from nuanalysis.chain._step import Step
from nuanalysis.chain._thinning import thinned
from nuanalysis.chain._trees import LastTrees, last_trees, scores
from nuanalysis.chain.simulate import muon_recipe, normalisation
from nuanalysis.deferred import xarray as xr
from nuanalysis.detector import (
    Area,
    AreaRatio,
    Component,
    CutFlow,
    Judged,
    Kind,
    LevelCuts,
    Origin,
    Pull,
    Reconstructed,
    above,
    area_ratios,
    astrophysical,
    cut_flow,
    effective_area,
    geometric_limit,
    hull,
    inside,
    joined_components,
    levels_of,
    open_response,
    pulls,
    rate,
    smooth_area,
    weighted_events,
)
from nuanalysis.engine.bench import Bench
from nuanalysis.ingest import cache_root
from nuanalysis.ingest import open_detector as release
from nuanalysis.learn import Class, angle
from nuanalysis.library.samples.open_detector import LABEL, write_products
from nuanalysis.records import Measured, Record, setting, shown
from nuanalysis.response import cascades_2023
from nuanalysis.schema import Bools, Floats
from nuanalysis.trials.streams import Purpose, seed_for

MARGIN = 150.0  # m around the hull: vertices of efficiencies
_COMPONENT = {Origin.ATMOSPHERIC: 0, Origin.MUON: 1, Origin.ASTROPHYSICAL: 2}  # of schema EVENTS


class SelectAnswer(Record):
    """A selection: what each level leaves, and what the last is worth."""

    medium: str = shown("ice and modules")
    made: int = shown("events made")
    muon_factor: Measured = shown("published trigger rate over ours; rates of muons are multiplied by it")
    flow: CutFlow = shown("levels")
    reconstruction: str = shown("directions, energies and errors of the last level are those of the")
    came: int = shown("events that came to the fit of the last level")
    fitted: int = shown("of them fitted; where not all are, at random, with weights that make up for the others")
    not_converged: int = shown("fits without convergence: they fail the last level")
    left_out: tuple[str, ...] = shown("left out of the sample, as an upper limit of the rate is all that is known")
    pulls: tuple[Pull, ...] = shown("errors of single events after the last level, by reconstructed energy")
    areas: tuple[AreaRatio, ...] = shown("effective area over the published one")
    above_limit: int = shown("bins of the area above the geometric limit by more than 3 of their errors")
    seconds: float = shown("wall time", unit="s", form=".0f")
    files: tuple[str, ...] = shown("files")


class Select(LevelCuts, Step):
    """Select cascades in levels, from the trigger to a sample with its response."""

    events: int = setting(100_000, low=2000, high=100_000_000, help="events made, mostly muons")
    reconstruction: Literal["hybrid", "network"] = setting(
        "hybrid", help="what gives directions, energies and errors of the last level: hybrid fits, or the network alone"
    )
    fits: int = setting(
        2500, low=0, high=10_000_000,
        help="events of the last level that are fitted, about; of more a random part is, by weight; 0 for all",
    )  # fmt: skip

    def take(self, bench: Bench) -> SelectAnswer:
        started, by, trees = time.monotonic(), judges(bench.folder), last_trees(bench.folder)
        errors = hybrid_errors(bench.folder)
        recipe = muon_recipe(seed_for(self.seed, Purpose.RATES), self.events, self.medium)
        seen = joined([opened(path) for path in simulated(recipe, bench, "rates")])
        triggers = seen.truth.weight[seen.truth.kind == Kind.BUNDLE]
        factor = normalisation(rate(triggers, of=triggers))
        judged = judge(seen, by, self.medium)
        at_last = _judged(seen, judged, trees)
        came = self._came(seen, at_last)
        fits = None
        if self.reconstruction == "hybrid" and came.any():
            seen, chosen = thinned(seen, came, components(seen.truth, factor.value), self.fits, self.seed)
            starts = starts_of(seen, judged, chosen[judged.events])
            fits = fitted(recipe, bench, "rates", starts, contours=False)
            judged = with_fits(judged, fits, seen, errors)
            at_last = _refitted(at_last, judged, fits, seen)
        rates = components(seen.truth, factor.value)
        levels = levels_of(np.ones(len(seen.truth.kind), dtype=bool), seen.variables, at_last, self)
        passed = np.logical_and.reduce([level.passes for level in levels]) & (seen.truth.weight > 0.0)
        within = hull(array(self.medium)).grown(MARGIN)
        area, limit = areas(seen, passed, within.volume * 1e-9)
        passing_neutrinos = _reconstructed(seen, judged, passed)
        response = open_response(
            smooth_area(area, limit), passing_neutrinos,
            name=release.RELEASE.name, label=LABEL, reference=release.RELEASE.citation,
        )  # fmt: skip
        left_out = _left_out(rates, passed)
        known = tuple(one for one in rates if one.name not in left_out)
        weighted = _weighted(seen, judged, passed, known, at_last).assign_attrs(left_out=", ".join(left_out))
        paths = write_products(cache_root() / release.RELEASE.folder, weighted, response)
        published = cascades_2023.released_area()
        nothing = np.zeros_like(published.area)  # of a published area no errors are known
        beside = Area(published.sin_dec_edges, published.log10_edges, published.area, nothing, nothing)
        flow = cut_flow(levels, rates, inside(within, seen.truth.vertex), fluxes=FLUXES)
        ratios = area_ratios(area, beside)
        figures = selection_figures(flow, (area, beside, limit), ratios, passing_neutrinos, bench.folder)
        return SelectAnswer(
            medium=str(self.medium),
            made=recipe.total,
            muon_factor=factor,
            flow=flow,
            reconstruction="hybrid fits" if self.reconstruction == "hybrid" else "network",
            came=int(came.sum()),
            fitted=0 if fits is None else len(fits.number),
            not_converged=0 if fits is None else int((~fits.converged).sum()),
            left_out=left_out,
            pulls=pulls(passing_neutrinos),
            areas=ratios,
            above_limit=int(above(area, limit).sum()),
            seconds=time.monotonic() - started,
            files=tuple(str(path) for path in (*paths, *figures)),
        )

    def _came(self, seen: Seen, judged: Judged) -> Bools:
        """Events that pass everything but what the last reconstruction says."""
        easy = np.ones(len(seen.truth.kind), dtype=bool)
        perfect = replace(judged, log10_energy=np.full(len(easy), np.inf), converged=easy)
        levels = levels_of(easy, seen.variables, perfect, self)
        return np.asarray(np.logical_and.reduce([level.passes for level in levels]))


def _refitted(before: Judged, judged: Judgement, fits: Fits, seen: Seen) -> Judged:
    """What the levels cut on with the energies of fits; of fits that did not converge nothing is known."""
    place = places(judged, fits, seen)
    converged = before.converged.copy()
    converged[judged.events[place]] = fits.converged
    return replace(before, log10_energy=_spread(len(converged), judged, judged.said.log10_energy), converged=converged)


def _spread(n: int, judged: Judgement, values: Floats) -> Floats:
    """Values of judged events at their places among n, NaN elsewhere."""
    out = np.full(n, np.nan)
    out[judged.events] = values
    return out


def _judged(seen: Seen, judged: Judgement, trees: LastTrees) -> Judged:
    """What the levels cut on, for every triggered event."""
    n, (muon, cascade) = len(seen.truth.kind), scores(trees, seen, judged)
    return Judged(
        network_score=_spread(n, judged, judged.probability[:, Class.CASCADE]),
        muon_score=_spread(n, judged, muon),
        cascade_score=_spread(n, judged, cascade),
        log10_energy=_spread(n, judged, judged.said.log10_energy),
        converged=np.isin(np.arange(n), judged.events),
    )


def areas(seen: Seen, passed: Bools, volume: float) -> tuple[Area, Area]:
    """The effective area of what passes, in the bins of the published one, and its geometric limit; volume in km3."""
    of = taken(seen.truth, np.flatnonzero(passed & (seen.truth.pdg != 0)))
    bins = cascades_2023.released_area()
    edges = bins.sin_dec_edges, bins.log10_edges
    found = effective_area(np.log10(of.energy), of.direction[:, 2], of.weight, *edges)
    return found, geometric_limit(*edges, volume=volume)


def _reconstructed(seen: Seen, judged: Judgement, passed: Bools) -> Reconstructed:
    """Neutrinos of the last level, weighed with the astrophysical spectrum."""
    keep = np.flatnonzero(passed[judged.events] & (seen.truth.pdg[judged.events] != 0))
    of = taken(seen.truth, judged.events[keep])
    log_energy = np.log10(of.energy)
    return Reconstructed(
        log10_true=log_energy,
        log10_energy=judged.said.log10_energy[keep],
        weight=of.weight * astrophysical(log_energy, per_flavour=PER_FLAVOUR, index=INDEX),
        opening_angle=angle(judged.said.direction[keep], of.direction),
        angular_error=judged.sigma[keep],
    )


def _left_out(rates: tuple[Component, ...], passed: Bools) -> tuple[str, ...]:
    """Components of which an upper limit alone is known after the last level."""
    return tuple(one.name for one in rates if rate(one.rate[passed], of=one.rate).bound is not None)


def _weighted(
    seen: Seen, judged: Judgement, passed: Bools, rates: tuple[Component, ...], at_last: Judged
) -> xr.Dataset:
    """Events of the last level with their rates, schema WEIGHTED."""
    events, component, weight = joined_components([(_COMPONENT[one.origin], one.rate * passed) for one in rates])
    place = np.searchsorted(judged.events, events)
    truth = taken(seen.truth, events)
    columns = {
        "rate": weight,
        "component": component.astype(np.float64),
        "declination": np.arcsin(np.clip(judged.said.direction[place, 2], -1.0, 1.0)),
        "log10_energy": judged.said.log10_energy[place],
        "angular_error": judged.sigma[place],
        "cascade_score": at_last.cascade_score[events],
        "muon_score": at_last.muon_score[events],
        "log10_true": np.log10(truth.energy),
        "true_declination": np.arcsin(np.clip(truth.direction[:, 2], -1.0, 1.0)),
        "number": truth.number.astype(np.float64),
    }
    return weighted_events(columns, reference=f"{release.RELEASE.citation}; {FLUXES}")
