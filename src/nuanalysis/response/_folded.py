"""Events as they are seen: directions spread over declination, energies over reconstructed energy."""

from __future__ import annotations

import numpy as np

from nuanalysis.response._atmosphere import vetoed_flux
from nuanalysis.response._records import Response, band_of, point_spread, rebin, true_to_migration
from nuanalysis.schema import Floats
from nuanalysis.sphere import vmf_ra_mean

_FINE = 8  # midpoint steps of sin(declination) inside a bin of what is seen


def declination_spread(response: Response, log10_true: Floats, sin_dec_edges: Floats) -> Floats:
    """Fraction of the events of each bin of true sin(declination) seen in each bin, (energy, true bin, seen bin).

    log10_true (energy,).  Events of a bin stand at its middle; every row sums to 1.
    """
    middles = 0.5 * (sin_dec_edges[1:] + sin_dec_edges[:-1])
    inside = (np.arange(_FINE) + 0.5) / _FINE
    fine = (sin_dec_edges[:-1, None] + np.diff(sin_dec_edges)[:, None] * inside).ravel()
    at, energy = np.broadcast_arrays(middles, log10_true[:, None])
    fraction, *kappas = (v.reshape(at.shape)[:, :, None] for v in point_spread(response, energy.ravel(), at.ravel()))
    narrow, broad = (vmf_ra_mean(np.arcsin(fine), np.arcsin(middles)[:, None], kappa) for kappa in kappas)
    density = fraction * narrow + (1.0 - fraction) * broad
    seen = density.reshape(*at.shape, len(middles), _FINE).mean(axis=3) * np.diff(sin_dec_edges)
    return np.asarray(seen / seen.sum(axis=2, keepdims=True))


def folded(response: Response, events: Floats, sin_dec_edges: Floats, log10_edges: Floats) -> Floats:
    """Events by true sin(declination) and neutrino energy as they are seen, (seen sin_dec, reconstructed energy).

    events (sin_dec, log10_true) : on sin_dec_edges, and in the energy bins of the effective area.
    """
    edges, middles = response.array("migration_true_edges"), 0.5 * (sin_dec_edges[1:] + sin_dec_edges[:-1])
    spread = declination_spread(response, 0.5 * (edges[1:] + edges[:-1]), sin_dec_edges)
    migration = response.array("migration")[band_of(middles, response.array("band_sin_dec_edges"))]
    reco = rebin(response.array("migration_reco_edges"), log10_edges)
    by_energy = np.einsum("dt,tm->dm", events, true_to_migration(response))
    return np.asarray(np.einsum("dm,mds,dmr,rk->sk", by_energy, spread, migration, reco, optimize=True))


def folded_atmosphere(response: Response, sin_dec_edges: Floats, log10_edges: Floats) -> Floats:
    """Relative atmospheric neutrinos as they are seen, (seen sin_dec, reconstructed energy).

    The flux is that above the Earth; absorption is in the effective area.
    """
    edges, sin_dec = response.array("log10_true_edges"), 0.5 * (sin_dec_edges[1:] + sin_dec_edges[:-1])
    middles = 0.5 * (edges[1:] + edges[:-1])
    share = rebin(sin_dec_edges, response.array("sin_dec_edges"))
    area = share @ response.array("effective_area")
    true = area * vetoed_flux(middles, sin_dec) * 10.0**middles * np.diff(sin_dec_edges)[:, None]  # dE in bins of log E
    return folded(response, true, sin_dec_edges, log10_edges)
