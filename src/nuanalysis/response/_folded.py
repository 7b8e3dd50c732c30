"""Events as they are seen: directions spread over declination, energies over reconstructed energy."""

from __future__ import annotations

import numpy as np

from nuanalysis.response._atmosphere import vetoed_flux
from nuanalysis.response._errors import ErrorTable
from nuanalysis.response._records import Response, band_of, detected, rebin, true_to_migration
from nuanalysis.schema import Floats, Spectrum
from nuanalysis.sphere import vmf_ra_mean

_FINE = 8  # midpoint steps of sin(declination) inside a bin of what is seen


def _parts(errors: ErrorTable, log10_true: Floats) -> tuple[Floats, Floats]:
    """Concentrations of the point spread, (part,), and their weights at each true energy, (energy, part)."""
    error = 0.5 * (errors.edges[1:] + errors.edges[:-1])
    kappa = np.multiply.outer(error, errors.kernel.scale) ** -2.0
    weight = errors.at(log10_true)[:, :, None] * errors.kernel.weight
    return kappa.ravel(), weight.reshape(len(log10_true), -1)


def declination_spread(response: Response, log10_true: Floats, sin_dec_edges: Floats) -> Floats:
    """Fraction of the events of each bin of true sin(declination) seen in each bin, (energy, true bin, seen bin).

    log10_true (energy,).  Events of a bin stand at its middle; every row sums to 1.  For responses with a table of
    per-event errors.
    """
    assert isinstance(response.errors, ErrorTable)
    kappa, weight = _parts(response.errors, log10_true)
    middles = 0.5 * (sin_dec_edges[1:] + sin_dec_edges[:-1])
    inside = (np.arange(_FINE) + 0.5) / _FINE
    fine = (sin_dec_edges[:-1, None] + np.diff(sin_dec_edges)[:, None] * inside).ravel()
    density = vmf_ra_mean(np.arcsin(fine), np.arcsin(middles)[:, None], kappa[:, None, None])
    seen = density.reshape(len(kappa), len(middles), len(middles), _FINE).mean(axis=3) * np.diff(sin_dec_edges)
    seen /= seen.sum(axis=2, keepdims=True)
    return np.asarray(np.einsum("ep,pds->eds", weight, seen))


def folded(response: Response, events: Floats, sin_dec_edges: Floats, log10_edges: Floats) -> Floats:
    """Events by true sin(declination) as they are seen, (seen sin_dec, log10_true, reconstructed energy).

    events (sin_dec, log10_true) : on sin_dec_edges, and in the energy bins of the effective area.
    """
    edges, middles = response.array("migration_true_edges"), 0.5 * (sin_dec_edges[1:] + sin_dec_edges[:-1])
    spread = declination_spread(response, 0.5 * (edges[1:] + edges[:-1]), sin_dec_edges)
    migration = response.array("migration")[band_of(middles, response.array("band_sin_dec_edges"))]
    reco = rebin(response.array("migration_reco_edges"), log10_edges)
    shares = true_to_migration(response)
    return np.asarray(np.einsum("dt,tm,mds,dmk->stk", events, shares, spread, migration @ reco, optimize=True))


def folded_atmosphere(response: Response, sin_dec_edges: Floats, log10_edges: Floats) -> Floats:
    """Relative atmospheric neutrinos as they are seen, (seen sin_dec, log10_true, reconstructed energy).

    The flux is that above the Earth; absorption is in the effective area.
    """
    edges, sin_dec = response.array("log10_true_edges"), 0.5 * (sin_dec_edges[1:] + sin_dec_edges[:-1])
    middles = 0.5 * (edges[1:] + edges[:-1])
    share = rebin(sin_dec_edges, response.array("sin_dec_edges"))
    area = share @ response.array("effective_area")
    true = area * vetoed_flux(middles, sin_dec) * 10.0**middles * np.diff(sin_dec_edges)[:, None]  # dE in bins of log E
    return folded(response, true, sin_dec_edges, log10_edges)


def true_given_seen(response: Response, spectrum: Spectrum) -> Floats:
    """P(true bin | reconstructed bin) of the migration for an isotropic flux, (reco, true); rows sum to 1.

    A reconstructed energy that no true one reaches has the same true one.
    """
    share = np.diff(response.array("sin_dec_edges"))
    events = share @ detected(response, spectrum) @ true_to_migration(response)
    bands = np.diff(response.array("band_sin_dec_edges"))
    joint = (np.tensordot(bands / bands.sum(), response.array("migration"), axes=1) * events[:, None]).T
    edges, seen = response.array("migration_true_edges"), response.array("migration_reco_edges")
    joint[joint.sum(axis=1) == 0.0] = rebin(seen, edges)[joint.sum(axis=1) == 0.0]
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
