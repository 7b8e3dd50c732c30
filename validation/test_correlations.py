"""p-values of pairs with the real lists are uniform on skies without correlation; harmonics against the fit of the map.

Each sky that is tested is judged as the data are, against skies of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nuanalysis as nu
from nuanalysis.answers import _correlations as tests
from nuanalysis.answers import _neutrinos as neutrinos
from nuanalysis.answers._question import pose
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import find, uhecr
from nuanalysis.interpret import harmonics
from nuanalysis.interpret.cosmic_rays import OBSERVATORIES, isotropic_declinations
from nuanalysis.library.hypotheses import hypothesis

SKIES, OTHERS = 200, 300


def _isotropic(rays: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """The list with directions that are isotropic as its observatories see them."""
    dec = np.empty(rays.sizes["event"])
    for name, where in OBSERVATORIES.items():
        mine = rays["observatory"].values == name
        dec[mine] = isotropic_declinations(where, (int(mine.sum()),), rng)
    ra = rng.uniform(0, 2 * np.pi, len(dec))
    return rays.assign(right_ascension=("event", ra), declination=("event", dec))


@pytest.mark.parametrize("null", [tests.SCRAMBLED, tests.ISOTROPIC])
def test_pairs_of_alerts_with_both_lists(null: str) -> None:
    """P(p <= a) is at most a, within the counts: p-values of counts are discrete; and it is not far below."""
    rng, rays = np.random.default_rng(31), uhecr.read_events(find(uhecr.RELEASE))
    alerts = neutrinos.of_alerts((), 1)
    alerts = alerts.kept((alerts.energy >= 200.0) & (alerts.area < 10.0))
    found = []
    for _ in range(SKIES):
        if null == tests.SCRAMBLED:
            moved = replace(alerts, right_ascension=rng.uniform(0, 2 * np.pi, len(alerts)))
            rows = [row for row, _ in tests.pairs(moved, "all", rays, rng, OTHERS)]
        else:
            rows = [row for row, _ in tests.pairs(alerts, "all", _isotropic(rays, rng), rng, OTHERS)]
        found.append(next(row.chance.p for row in rows if row.null == null))
    ks = scipy.stats.kstest(found, "uniform")
    print(f"{null}: KS p {ks.pvalue:.3f}, quantiles {np.quantile(found, [0.1, 0.25, 0.5, 0.75, 0.9]).round(3)}")
    assert ks.pvalue > 0.01


def test_the_sum_over_l_is_close_to_what_the_fit_of_the_map_sees() -> None:
    """Scrambles of the synthetic cascades: the slope of the likelihood at n_s = 0 against the sum over l."""
    sample, map_ = nu.sample("cascades-2023", signal="none"), hypothesis("template:pi0")
    prepared = pose(map_, sample).prepared
    dec, error = (sample.seasons[0].array(name) for name in ("declination", "angular_error"))
    [part] = prepared.parts
    events = neutrinos.weighed(neutrinos.of_samples(sample, ()), sample, map_.index)
    parts = harmonics.multipoles(harmonics.coefficients(map_.target, 29), 64)
    seen = events.weight[:, None] * harmonics.windows(error, 29)
    slope, total = [], []
    for trial in range(80):
        u = np.random.default_rng(trial).random(len(dec))
        data = terms_at(prepared, part, u)
        slope.append(data.x(0).sum())
        pixel = hp.ang2pix(64, np.pi / 2 - dec, 2 * np.pi * u)
        total.append(harmonics.cross_spectrum(parts, seen, pixel) @ (2 * np.arange(1, 30) + 1))
    r = float(np.corrcoef(slope, total)[0, 1])
    print(f"correlation of slope and sum: {r:.3f}")
    assert r > 0.9


def terms_at(prepared, part, u):  # type: ignore[no-untyped-def]
    """Terms of the sample with right ascensions 2 pi u, (event,)."""
    from nuanalysis.model import join

    return join(prepared, [part.lookup.difference(u)], [part.energy])
