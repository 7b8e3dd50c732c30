"""What a detector is expected to see of a template, without events: Asimov significance, errors of flux and index.

Per ring of declination, bin of reconstructed energy and part of the point spread, with s the signal of a pixel, s_m its
mean over right ascension and b the background without signal,

    TS_A = 2 sum (b + s) ln[1 + (s - s_m) / (b + s_m)],  sigma = TS_A^(1/2),  1 / error^2 = sum (s - s_m)^2 / (b + s).

With the index free too, s changes by -ln(E / 100 TeV) s of each true energy, and the error of the index is that of the
inverse of the matrix of such sums (Fisher information).
A ring of a bin takes part where it holds ``LEAST`` background events or more at the longest exposure that is asked of:
what takes part is then the same at all dates, and TS_A is proportional to the livetime.  Each event counts as known to
belong to its part of the point spread, as the per-event errors tell in the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.interpret.fluxes import E2_PER_DNDE
from nuanalysis.model import Hypothesis
from nuanalysis.response import (
    BackgroundRate,
    Response,
    Spectrum,
    band_of,
    detected,
    point_spread,
    rebin,
    true_given_seen,
    true_to_migration,
)
from nuanalysis.schema import Floats
from nuanalysis.sky.records import GEV_PIVOT_LOG10, PowerLaw, Template
from nuanalysis.sphere import harmonics, pixel_directions, regrade, rings, smoothed

LEAST = 0.5  # background events of a ring
_TOLD_APART = 1e-9  # of a matrix: what is left below is rounding
ATMOSPHERIC = PowerLaw(3.7)  # whose true energies tell how background is divided between the parts


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A detector sample without events.

    background : everything but the signal, events a second.
    """

    name: str
    response: Response
    background: BackgroundRate
    nside: int


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Events a second of a pixel: signal (part, energy, pixel) at E^2 dN/dE = 1 TeV cm^-2 s^-1, background (part,
    energy, ring); log10_energy_edges of the bins.

    tilt (part, energy, pixel) : change of the signal with the index, the flux at 100 TeV held.
    """

    signal: Floats
    tilt: Floats
    background: Floats
    log10_energy_edges: Floats
    nside: int


@dataclass(frozen=True, slots=True, eq=False)
class Asimov:
    """By ring, (ring,) each: sin(declination), TS, and 1 / (relative error of the flux)^2.

    bend, cross : the same of the index, and the mixed one.
    """

    sin_dec: Floats
    ts: Floats
    precision: Floats
    bend: Floats
    cross: Floats

    @property
    def sigma(self) -> float:
        """Significance of the median experiment."""
        return float(np.sqrt(self.ts.sum()))

    @property
    def relative_error(self) -> float:
        """Statistical error of the flux over the flux, the index held; infinite where nothing is seen of it."""
        found = self.precision.sum()
        return float(found**-0.5) if found > 0.0 else np.inf

    @property
    def index_error(self) -> float:
        """Statistical error of the index, the flux at 100 TeV fitted too; infinite where nothing tells them apart."""
        flux, index, mixed = self.precision.sum(), self.bend.sum(), self.cross.sum()
        left = flux * index - mixed**2
        return float(np.sqrt(flux / left)) if left > _TOLD_APART * flux * index else np.inf

    def share_between(self, sin_dec_edges: Floats) -> Floats:
        """Share of TS in bands of sin(declination), (band,)."""
        return np.asarray(np.histogram(self.sin_dec, sin_dec_edges, weights=self.ts)[0] / self.ts.sum())


def split_at(background: BackgroundRate, log10_energy: Floats) -> BackgroundRate:
    """The same rates with more edges in energy, flat inside a bin."""
    edges = background.log10_energy_edges
    inside = log10_energy[(log10_energy > edges[0]) & (log10_energy < edges[-1])]
    fine = np.unique(np.concatenate([edges, inside]))
    return replace(background, log10_energy_edges=fine, rate=background.rate @ rebin(edges, fine))


def expected(detector: Detector, hypothesis: Hypothesis) -> Expected:
    """Signal of a template and background of a detector.  Raises AssertionError for a stack of sources."""
    target = hypothesis.target
    assert isinstance(target, Template)
    signal, tilt = _signal(detector, target, hypothesis.spectrum)
    return Expected(signal, tilt, _background(detector), detector.background.log10_energy_edges, detector.nside)


def _parts(response: Response, log10_true: Floats) -> tuple[Floats, Floats]:
    """Weights and concentrations of both parts of the point spread, (part, energy)."""
    fraction, narrow, broad = point_spread(response, log10_true, np.zeros(len(log10_true)))
    return np.array([fraction, 1.0 - fraction]), np.array([narrow, broad])


def _signal(detector: Detector, template: Template, spectrum: Spectrum) -> tuple[Floats, Floats]:
    """Signal and its change with the index.

    Smoothed by true energy, then divided into reconstructed ones by the migration at the seen declination.
    """
    response, nside = detector.response, detector.nside
    sin_dec = np.sin(pixel_directions(nside)[1])
    band = band_of(sin_dec, response.array("sin_dec_edges"))
    edges = response.array("migration_true_edges")
    weight, kappa = _parts(response, 0.5 * (edges[1:] + edges[:-1]))
    shares = true_to_migration(response)
    parts = [(regrade(density, nside), detected(response, one) @ shares) for density, one in template.parts(spectrum)]
    to_seen = rebin(response.array("migration_reco_edges"), detector.background.log10_energy_edges)
    seen = (response.array("migration") @ to_seen)[band_of(sin_dec, response.array("band_sin_dec_edges"))]
    out, tilt = np.zeros((2, 2, to_seen.shape[1], len(sin_dec)))
    for t, middle in enumerate(0.5 * (edges[1:] + edges[:-1])):
        made = sum((density * events[band, t] for density, events in parts), np.zeros(len(sin_dec)))
        if made.any():
            spread = smoothed(harmonics(made, 3 * nside - 1), nside, kappa[:, t, None])
            there = (weight[:, t, None] * spread)[:, None] * seen[:, t].T
            out += there
            tilt -= np.log(10.0) * (middle - GEV_PIVOT_LOG10) * there
    per_pixel = 4.0 * np.pi / len(sin_dec) / E2_PER_DNDE
    return out * per_pixel, tilt * per_pixel


def _background(detector: Detector) -> Floats:
    response, table, grid = detector.response, detector.background, rings(detector.nside)
    edges = response.array("migration_true_edges")
    weight, _ = _parts(response, 0.5 * (edges[1:] + edges[:-1]))
    seen = rebin(table.log10_energy_edges, response.array("migration_reco_edges"))
    part = weight @ (seen @ true_given_seen(response, ATMOSPHERIC)).T  # (part, energy)
    per_sr = table.rate / (2.0 * np.pi * np.diff(table.sin_dec_edges))[:, None]
    sin_dec = np.sin(pixel_directions(detector.nside)[1][grid.start])
    per_pixel = per_sr[band_of(sin_dec, table.sin_dec_edges)] * 4.0 * np.pi / (12 * detector.nside**2)
    return np.asarray(part[:, :, None] * per_pixel.T)


def asimov(
    seen: Expected,
    flux: float,
    livetime_s: float,
    *,
    longest_s: float = 0.0,
    threshold: float = 0.0,
    area: float = 1.0,
    least: float = LEAST,
) -> Asimov:
    """Expected TS of a flux, E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1.

    longest_s : livetime that decides which rings take part; by default this one.
    threshold : least log10 E/GeV as reconstructed, an edge of the bins.    area : times that of the detector.
    """
    grid, at = rings(seen.nside), area * livetime_s
    ts, precision, bend, cross = np.zeros((4, len(grid.start)))
    for k in np.flatnonzero(seen.log10_energy_edges[:-1] >= threshold - 1e-9):
        for signal, tilt, background in zip(seen.signal[:, k], seen.tilt[:, k], seen.background[:, k], strict=True):
            use = background * grid.count * area * max(longest_s, livetime_s) >= least
            s, b = at * flux * signal, at * np.repeat(np.where(use, background, np.inf), grid.count)
            mean = np.repeat(grid.mean(s), grid.count)
            held = np.repeat(use, grid.count)
            excess = np.where(held, s - mean, 0.0)
            change = np.where(held, at * flux * (tilt - np.repeat(grid.mean(tilt), grid.count)), 0.0)
            total = np.where(held, b + s, 1.0)
            # (b + s) ln(1 + x) with x = (s - s_m) / (b + s_m); log1p keeps what is small.
            ts += np.add.reduceat(2.0 * total * np.log1p(excess / np.where(held, b + mean, 1.0)), grid.start)
            precision += np.add.reduceat(excess**2 / total, grid.start)
            bend += np.add.reduceat(change**2 / total, grid.start)
            cross += np.add.reduceat(excess * change / total, grid.start)
    return Asimov(np.sin(pixel_directions(seen.nside)[1][grid.start]), ts, precision, bend, cross)


def together(found: tuple[Asimov, ...]) -> Asimov:
    """Several samples of one hypothesis, independent of one another."""
    parts = [np.concatenate([getattr(one, name) for one in found]) for name in Asimov.__slots__]
    return Asimov(*parts)
