"""Harmonic cross-correlation of events with a map, which needs no fit: C_l of the density of events and of the map.

The density is what the likelihood weighs events with: signal over background in energy and declination, spread by the
angular error.  Summed over l it is, but for the acceptance, the slope of the likelihood of that map at n_s = 0.
Coefficients of m = 0 are left out: scrambles in right ascension leave them as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.model import Prepared, Terms
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.records import Catalogue, Template
from nuanalysis.sphere import harmonics, point_harmonics, vmf_window

_WIDTHS = np.radians(np.geomspace(0.05, 60.0, 400))  # angular errors at which windows are computed
_AT_ONCE = 50_000  # events whose rows are read together


def event_weights(prepared: Prepared, terms: Terms) -> Floats:
    """Signal over background of every event but for its place, in the order of the samples, (event,).

    terms : ``terms(prepared)``, with one spectral node.    0 for events that no scramble brings near a signal.
    """
    weight, first = np.zeros(prepared.n_events), np.cumsum([0, *(part.n_events for part in prepared.parts)])
    active = np.concatenate([part.active + start for part, start in zip(prepared.parts, first[:-1], strict=True)])
    weight[active] = terms.ratio[0, terms.group] * terms.scale
    return weight


def coefficients(target: Template | Catalogue, lmax: int) -> NDArray[np.complex128]:
    """Harmonic coefficients of a map that integrates to one: that of a template, or the sources by their weights."""
    if isinstance(target, Template):
        return harmonics(target.density, lmax)
    ra, dec, extension = np.array([(s.right_ascension, s.declination, s.extension) for s in target.sources]).T
    return point_harmonics(ra, dec, np.array(target.weights) / sum(target.weights), extension, lmax)


def multipoles(alm: NDArray[np.complex128], nside: int) -> Floats:
    """The parts of a map that belong to l = 1 to lmax, without m = 0, over 2 l + 1: (pixel, l), RING, sr^-1."""
    lmax = hp.Alm.getlmax(len(alm))
    degree, order = hp.Alm.getlm(lmax)
    parts = [hp.alm2map(np.where((degree == one) & (order > 0), alm, 0.0), nside, lmax=lmax) / (2 * one + 1)
             for one in range(1, lmax + 1)]  # fmt: skip
    return np.ascontiguousarray(np.transpose(parts))


def windows(error: Floats, lmax: int) -> Floats:
    """Legendre coefficients l = 1 to lmax of the kernel of each event, (event, l); error (event,) rad."""
    known = np.array([vmf_window(lmax, width**-2) for width in _WIDTHS])[:, 1:]
    return np.stack([np.interp(np.log(error), np.log(_WIDTHS), column) for column in known.T], axis=1)


def cross_spectrum(parts: Floats, seen: Floats, pixel: Ints) -> Floats:
    """C_l of events and a map, l = 1 to lmax: sum over m of a_lm conj(b_lm) over 2 l + 1, m = 0 left out.

    parts : ``multipoles`` of the map.    seen (event, l) : weight of each event times its window.
    pixel (event,) : where the events are.  C_l is the sum over events of the map's own part l at each of them.
    """
    total = np.zeros(parts.shape[1])
    for first in range(0, len(pixel), _AT_ONCE):
        here = slice(first, first + _AT_ONCE)
        total += np.einsum("el,el->l", parts[pixel[here]], seen[here])
    return total


def scrambled_spectra(
    parts: list[Floats], seen: Floats, declination: Floats, rng: np.random.Generator, n: int
) -> Floats:
    """C_l of n skies with uniform right ascensions with several maps, the same skies for all: (sky, map, l)."""
    nside, colatitude = hp.npix2nside(len(parts[0])), np.pi / 2 - declination
    out = np.empty((n, len(parts), seen.shape[1]))
    for sky in out:
        pixel = hp.ang2pix(nside, colatitude, rng.uniform(0.0, 2.0 * np.pi, len(declination)))
        for row, one in zip(sky, parts, strict=True):
            row[:] = cross_spectrum(one, seen, pixel)
    return out
