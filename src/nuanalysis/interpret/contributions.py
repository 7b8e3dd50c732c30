"""Where on the sky the test statistic of a fit comes from."""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.likelihood import FitResult
from nuanalysis.model import Prepared, Terms
from nuanalysis.schema import Floats
from nuanalysis.sphere import vmf_window

_CLASSES = 24


def event_contributions(terms: Terms, best: FitResult) -> Floats:
    """2 ln(1 + (n_s/N) x_i) of every event of the Terms, (event,); they sum to the TS of the fit."""
    position = float(np.interp(best.index, terms.index, np.arange(len(terms.index))))
    low = min(int(position), len(terms.index) - 1)
    high = min(low + 1, len(terms.index) - 1)
    x = (low + 1 - position) * terms.x(low) + (position - low) * terms.x(high)
    return np.asarray(2.0 * np.log1p(best.n_signal / terms.n_events * x))


def _smeared(values: Floats, ra: Floats, dec: Floats, error: Floats, nside: int) -> Floats:
    """Each value spread over the sphere by its own angular error, (pixel,) sr^-1; signed."""
    lmax = 2 * nside
    pixel = hp.ang2pix(nside, np.pi / 2 - dec, ra)
    area = 4 * np.pi / (12 * nside**2)
    edges = np.quantile(error, np.linspace(0, 1, _CLASSES + 1))
    klass = np.clip(np.searchsorted(edges, error, side="right") - 1, 0, _CLASSES - 1)
    total = np.zeros(hp.Alm.getsize(lmax), dtype=np.complex128)
    for k in range(_CLASSES):
        chosen = klass == k
        if chosen.any():
            width = max(float(np.median(error[chosen])), 0.6 * np.sqrt(area))
            counts = np.bincount(pixel[chosen], weights=values[chosen], minlength=12 * nside**2) / area
            total += hp.almxfl(hp.map2alm(counts, lmax=lmax, iter=3), vmf_window(lmax, width**-2))
    return np.asarray(hp.alm2map(total, nside, lmax=lmax))


def ts_density(prepared: Prepared, terms: Terms, best: FitResult, *, nside: int = 64) -> Floats:
    """Contribution to the test statistic per sr, (pixel,), RING, ICRS; it integrates to the TS of the fit.

    Events out of reach of every source contribute nothing.  Each event is spread by its angular error.
    """
    values = event_contributions(terms, best)
    ra, dec, error = (
        np.concatenate([part.sample.array(name)[part.active] for part in prepared.parts])
        for name in ("right_ascension", "declination", "angular_error")
    )
    if not best.ts or not len(values):
        return np.zeros(12 * nside**2)
    return _smeared(values, ra, dec, error, nside)
