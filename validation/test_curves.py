"""Point sources against declination on the full samples: coverage of the limits, interpolation, published curves.

Coverage: of skies in which the flux of a source is injected, 90 per cent have an upper limit at or above it, from
independent trials, between the declinations at which limits are computed; to 3 binomial errors of 400 skies, 4.5 per
cent.

Published: figure S12 of IceCube, Science 380, 1338 (2023), doi:10.1126/science.adc9818, data release
doi:10.21234/8v5d-rn16: sensitivity and 4 sigma discovery potential of the cascade analysis, E^2 dN/dE at 100 TeV per
flavour, at eight of its declinations.  The response of the twin is the released one: effective area in 5 bands of
declination, within them by absorption in the Earth and a smooth efficiency (docs/decisions/0028), one energy migration
for the energy at the detector and one point spread for the whole sky, averaged over flavours.  The published
analysis has more: simulation in declination, and its own per-event errors.  So agreement is asked to a third for E^-3,
and of the mean over declinations to a fifth.  A source of E^-2 is told from the few events of highest energy, which
one twin has here and another there: a factor of two at a single declination, a third in the mean.  The printed ratios
say what it is.  SYNTHETIC events.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nuanalysis import trials
from nuanalysis.answers._point_curve import Plan, at_declination, curves_of
from nuanalysis.answers._question import pose
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import open_executor
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.published import DECLINATIONS_S12, POTENTIAL_S12, SENSITIVITY_S12
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec
from nuanalysis.likelihood import maximise

pytestmark = pytest.mark.real_data
SINGLE, MEAN = {2.0: 2.0, 3.0: 4.0 / 3.0}, {2.0: 0.33, 3.0: 0.2}  # factor at one declination; of the mean
N_SKIES = 400


@pytest.fixture(scope="module")
def cascades(mirror):
    return samples.load(sample_spec(name="cascades-2023", signal="none"), 1)


PLAN = Plan((2.0, 3.0), index_free=True, n_trials=2000, n_injections=2000)


def made(cascades, declinations, folder):
    """Curves at declinations in deg, {index: Curve}."""
    with open_executor("processes", workers=2) as pool:
        return {curve.index: curve for curve in curves_of((cascades,), PLAN, declinations, Bench(folder, pool))}


@pytest.fixture(scope="module")
def curves(cascades, tmp_path_factory):
    return made(cascades, DECLINATIONS_S12, tmp_path_factory.mktemp("ensembles"))


@pytest.mark.parametrize("index", [2.0, 3.0])
def test_the_published_curves_of_the_cascade_analysis(curves, index):
    ratios = []
    for node, found in enumerate(curves[index].found):
        ours = curves[index].least[node].n_signal / found.per_flux
        deep = found.discovery_potential(4.0).n_signal / found.per_flux
        theirs = np.array([SENSITIVITY_S12[index][node], POTENTIAL_S12[index][node]]) * 1e-12
        ratios.append(np.array([ours, deep]) / theirs)
        print(f"E^-{index:g}, dec {DECLINATIONS_S12[node]:g}: sensitivity {ours:.3g}, published {theirs[0]:.3g}; "
              f"4 sigma {deep:.3g}, published {theirs[1]:.3g}; ratios {np.round(ratios[-1], 3)}")  # fmt: skip
    print(f"E^-{index:g}: mean ratios {np.mean(ratios, axis=0)}")
    assert np.abs(np.log(ratios)).max() < np.log(SINGLE[index])
    assert np.mean(ratios, axis=0) == pytest.approx(1.0, abs=MEAN[index])


@pytest.fixture(scope="module")
def neighbours(cascades, tmp_path_factory):
    """Curves whose nodes are as far apart as the usual ones."""
    return made(cascades, (-30.0, -20.0, 20.0, 30.0), tmp_path_factory.mktemp("neighbours"))


@pytest.mark.parametrize(("index", "declination", "times"), [(2.0, -25.0, 1.5), (3.0, 25.0, 2.5)])
def test_limits_hold_the_truth_in_nine_of_ten_skies(neighbours, cascades, index, declination, times):
    """At a declination between two that were computed, and with random numbers of their own."""
    curve, at = neighbours[index], np.radians(declination)
    truth = times * curve.upper_limit(at, 0.0).n_signal
    problem = pose(PLAN.hypothesis(at, index), cascades)
    emitted = trials.emissions(problem.prepared)
    held = 0
    for k in range(N_SKIES):
        ts = maximise(trials.injected(problem.prepared, emitted, 2**45, k, truth)).ts
        try:
            held += curve.upper_limit(at, ts).n_signal >= truth
        except PrecisionError:  # beyond all that was injected
            held += 1
    print(f"E^-{index:g}, dec {declination:g}: {truth:.1f} events injected, {held} of {N_SKIES} limits above")
    assert held / N_SKIES == pytest.approx(0.9, abs=3.0 * np.sqrt(0.09 / N_SKIES) + 0.02)


def test_limits_between_nodes_are_those_of_trials_there(neighbours, cascades, tmp_path):
    """The sensitivity interpolated to another declination, against trials at that place: to 3 errors."""
    for index, declination in ((2.0, 25.0), (3.0, -25.0)):
        curve = neighbours[index]
        plan, at = replace(PLAN, indices=(index,)), (replace(cascades, seed=5), np.radians(declination))
        (there,) = at_declination(Bench(tmp_path), plan, at)
        direct, between = there.sensitivity(), curve.upper_limit(np.radians(declination), 0.0)
        print(f"E^-{index:g}, dec {declination:g}: {between.n_signal:.1f} +- {between.error:.1f} between nodes, "
              f"{direct.n_signal:.1f} +- {direct.error:.1f} there")  # fmt: skip
        assert abs(direct.n_signal - between.n_signal) < 3.0 * np.hypot(direct.error, between.error)
        assert curve.per_flux(np.radians(declination)) == pytest.approx(
            fluxes.events_per_flux(plan.hypothesis(np.radians(declination), index), cascades.seasons)
        )
