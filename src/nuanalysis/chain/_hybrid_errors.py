"""Errors and contours of hybrid fits that hold what they should: laws from fits of events that no sample contains."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nuanalysis.chain._events import Recipe, Seen, taken
from nuanalysis.chain._hybrid import Fits, HybridErrors, calibrated, contained, critical_of, fitted, starts_of
from nuanalysis.chain._judge import Judgement
from nuanalysis.chain._light import Medium
from nuanalysis.detector import MEDIAN_PULL
from nuanalysis.engine.bench import Bench
from nuanalysis.learn import Measure, angle, calibrate, fit_sigma, median, share
from nuanalysis.reconstruct import coverage
from nuanalysis.schema import Floats

DECADES = (3.0, 4.0, 5.0, 6.0)  # of log10 E/GeV, of critical values
_HALVES = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)
_FEWEST = 20  # events of a figure


def fits_of(recipe: Recipe, bench: Bench, name: str, seen: Seen, judged: Judgement) -> Fits:
    """Fits of all judged events."""
    return fitted(recipe, bench, name, starts_of(seen, judged, np.arange(len(judged.events))))


def errors_of(fits: Fits, seen: Seen, judged: Judgement, medium: Medium, data: str) -> HybridErrors:
    """The laws that are right for fits of all judged events of a sample; those that did not converge are left out."""
    truth, done = taken(seen.truth, judged.events), fits.converged
    charge = np.log10(seen.variables.charge[judged.events])
    psi = angle(fits.direction, truth.direction)
    sigma = fit_sigma(psi[done], fits.sigma[done] ** -2.0, charge[done])
    critical = calibrate(fits.deficit[done], contained(fits, medium)[done], fits.log10_energy[done], np.array(DECADES))
    return HybridErrors(sigma, critical, data)


def measures(fits: Fits, seen: Seen, judged: Judgement, errors: HybridErrors, medium: Medium) -> tuple[Measure, ...]:
    """Pulls by half-decade and coverage by decade of the fitted energy, on fits of all judged events."""
    truth, done = taken(seen.truth, judged.events), fits.converged
    sigma = calibrated(fits, seen.variables.charge[judged.events], errors)
    pull, rng = angle(fits.direction, truth.direction) / (MEDIAN_PULL * sigma), np.random.default_rng(0)
    critical, found = critical_of(fits, medium, errors), []
    for low, high in pairwise(_HALVES):
        here = done & (fits.log10_energy >= low) & (fits.log10_energy < high)
        if here.sum() >= _FEWEST:
            middle = median(pull[here], rng)
            found.append(Measure(f"median pull, log10 E {low} to {high}", middle.value, middle.error, int(here.sum())))
    for low, high in (*pairwise(DECADES), (DECADES[0], DECADES[-1])):
        here = done & (fits.log10_energy >= low) & (fits.log10_energy < high)
        if here.sum() >= _FEWEST:
            found.extend(_coverages(fits.deficit[here], critical[here], f"log10 E {low} to {high}"))
    ended = share(done, np.ones(len(done)))
    return (*found, Measure("fits that converged", ended.value, ended.error, len(done)))


def _coverages(deficit: Floats, critical: Floats, words: str) -> tuple[Measure, ...]:
    """How often contours of 50 and 90 per cent hold the truth."""
    held = zip(("50", "90"), (coverage(deficit, critical[:, k]) for k in (0, 1)), strict=True)
    return tuple(Measure(f"inside of contours of {name} %, {words}", c.share, c.error, c.events) for name, c in held)
