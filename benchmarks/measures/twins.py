"""Trials once more as one would write them down with numpy, healpy and scipy: the reference of the benchmarks.

A twin shares no code with the model, the likelihood and the trials of the package, and has the same conventions:
bins of the background, classes of angular error for templates, one HEALPix ring for each event, spectral nodes.
Sources of a stack have exact kernels here, at any width.  The user's cuts are not known to a twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import healpy as hp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import i0e, ive, logsumexp

from nuanalysis.model import Binning, Hypothesis, Sample, expected_events, space_nodes, spectra_of
from nuanalysis.response import acceptance, energy_density
from nuanalysis.sky.records import Catalogue, PowerLaw, Template
from nuanalysis.trials import Tilt

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_FINE = 400  # bins in sin(dec) of the declination density
_CHUNK = 16  # sources at once
_LEAST = 0.01  # of 1 + (n_s / N) x


@dataclass(frozen=True, slots=True, eq=False)
class MapPart:
    """Events of one sample in the maps of a template.

    maps (p, class, pixel) sr^-1; klass, theta (event,): class of angular error and colatitude of the event's ring;
    mean, ceiling (p, event): over the ring; energy (node, event): S_E / (B_E B_direction) and the sample's share.
    """

    nside: int
    maps: NDArray[np.float32]
    klass: Ints
    theta: Floats
    mean: Floats
    ceiling: Floats
    energy: Floats
    ra: Floats

    def difference(self, ra: Floats) -> Floats:
        """S - <S>, (p, event), at right ascensions (event,) rad."""
        return np.asarray(self.maps[:, self.klass, hp.ang2pix(self.nside, self.theta, ra)] - self.mean)


@dataclass(frozen=True, slots=True, eq=False)
class SourcePart:
    """Events of one sample around the sources of a stack: directions in rad, weights (p, source); else as MapPart."""

    dec: Floats
    error: Floats
    source_ra: Floats
    source_dec: Floats
    extension: Floats
    weights: Floats
    mean: Floats
    energy: Floats
    ra: Floats

    def difference(self, ra: Floats) -> Floats:
        """S - <S>, (p, event), at right ascensions (event,) rad."""
        out = -self.mean
        for extension in np.unique(self.extension):
            kappa = 1.0 / (self.error**2 + extension**2)
            norm = kappa / (-2.0 * np.pi * np.expm1(-2.0 * kappa))
            same = np.flatnonzero(self.extension == extension)
            for k in np.split(same, range(_CHUNK, len(same), _CHUNK)):
                out += self.weights[:, k] @ (norm * np.exp(kappa * (self._cosine(ra, k) - 1.0)))
        return out

    def _cosine(self, ra: Floats, k: Ints) -> Floats:
        """Cosine of the angle to some sources, (source, event)."""
        across = np.cos(self.source_dec[k])[:, None] * np.cos(self.dec) * np.cos(ra - self.source_ra[k][:, None])
        return np.asarray(np.sin(self.source_dec[k])[:, None] * np.sin(self.dec) + across)


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """A hypothesis on its samples, as plain arrays.  mixing (node, p); index (node,); n_events of all samples."""

    parts: tuple[MapPart | SourcePart, ...]
    mixing: Floats
    index: Floats
    n_events: int

    def x(self, differences: list[Floats], node: int) -> Floats:
        """(S - <S>) / B of all events at one spectral node, (event,)."""
        pairs = zip(self.parts, differences, strict=True)
        return np.concatenate([part.energy[node] * (self.mixing[node] @ d) for part, d in pairs])


@dataclass(frozen=True, slots=True)
class TwinFit:
    """Maximum of the likelihood of a twin."""

    ts: float
    n_signal: float
    index: float


# --- trials ----------------------------------------------------------------------------------------------------------


def data_fit(twin: Twin) -> TwinFit:
    """Fit of the events as they are."""
    return fit(twin, [part.difference(part.ra) for part in twin.parts])


def fit_without_subtraction(twin: Twin) -> TwinFit:
    """Fit of the events as they are with S / B - 1 in place of (S - <S>) / B; one sample, index free.

    What programs without signal subtraction maximise.
    """
    (part,) = twin.parts
    density = part.difference(part.ra) + part.mean
    return _free(np.array([e * (m @ density) - 1.0 for e, m in zip(part.energy, twin.mixing, strict=True)]), twin)


def scramble(twin: Twin, seed: int) -> TwinFit:
    """Fit of one right-ascension scramble."""
    rng = np.random.default_rng(seed)
    return fit(twin, [part.difference(rng.uniform(0.0, 2 * np.pi, len(part.ra))) for part in twin.parts])


def tilted_scramble(twin: Twin, tilts: tuple[Tilt, ...], seed: int) -> tuple[TwinFit, float]:
    """Fit of one scramble of a mixture of tilts, and the log of its weight; templates only."""
    rng = np.random.default_rng(seed)
    tilt = tilts[rng.choice(len(tilts), p=[t.share for t in tilts])]
    differences = [part.difference(_tilted_ra(twin, part, tilt, rng)) for part in twin.parts]
    c = [t.n_signal / twin.n_events for t in tilts]
    ratios = [np.log1p(k * twin.x(differences, t.node)).sum() for k, t in zip(c, tilts, strict=True)]
    return fit(twin, differences), -float(logsumexp(ratios, b=[t.share for t in tilts]))


def _tilted_ra(twin: Twin, part: MapPart | SourcePart, tilt: Tilt, rng: np.random.Generator) -> Floats:
    """Right ascensions, (event,) rad, from 1 + (n / N) x by rejection."""
    if not isinstance(part, MapPart):
        raise TypeError("the plain twin draws tilted scrambles of templates only")
    strength = tilt.n_signal / twin.n_events * part.energy[tilt.node]
    mixing = twin.mixing[tilt.node]
    top = 1.0 + strength * (mixing @ (part.ceiling - part.mean))
    ra, todo = np.empty(len(part.ra)), np.arange(len(part.ra))
    while len(todo):
        drawn = rng.uniform(0.0, 2 * np.pi, len(todo))
        pixel = hp.ang2pix(part.nside, part.theta[todo], drawn)
        difference = mixing @ (part.maps[:, part.klass[todo], pixel] - part.mean[:, todo])
        taken = rng.random(len(todo)) * top[todo] < 1.0 + strength[todo] * difference
        ra[todo[taken]] = drawn[taken]
        todo = todo[~taken]
    return ra


# --- fits ------------------------------------------------------------------------------------------------------------


def fit(twin: Twin, differences: list[Floats]) -> TwinFit:
    """Maximise over n_s, and over the index where it is free; differences (p, event) of each sample."""
    if len(twin.index) == 1:
        return _fixed(twin.x(differences, 0), twin)
    return _free(np.array([twin.x(differences, node) for node in range(len(twin.index))]), twin)


def _fixed(x: Floats, twin: Twin) -> TwinFit:
    """With scipy's bounded scalar minimiser."""
    top = min((1.0 - _LEAST) / max(-float(x.min()), 1e-9), 1.0) * twin.n_events
    best = minimize_scalar(lambda n: -np.log1p(n / twin.n_events * x).sum(), bounds=(0.0, top), method="bounded")
    ts = max(-2.0 * float(best.fun), 0.0)
    return TwinFit(ts, float(best.x) if ts > 0 else 0.0, float(twin.index[0]))


def _free(x: Floats, twin: Twin) -> TwinFit:
    """Newton at all nodes at once, then scipy between the best node and its neighbours; x (node, event)."""
    strength = _newton(x)
    value = np.log1p(strength[:, None] * x).sum(axis=1)
    best = int(np.argmax(value))
    found = TwinFit(2.0 * float(value[best]), float(strength[best]) * twin.n_events, float(twin.index[best]))
    if strength[best] > 0.0:
        for other in {max(best - 1, 0), min(best + 1, len(x) - 1)} - {best}:
            found = max(found, _between(x, strength[best], best, other, twin), key=lambda f: f.ts)
    return found if found.ts > 0 else TwinFit(0.0, 0.0, float(twin.index[best]))


def _newton(x: Floats) -> Floats:
    """n_s / N at the maximum of the sum of ln(1 + c x), (node,), for x (node, event); between 0 and its ceiling."""
    top = (1.0 - _LEAST) / np.maximum(-x.min(axis=1), 1e-9)
    c = np.zeros(len(x))
    for _ in range(40):
        slope = x / (1.0 + c[:, None] * x)
        new = np.clip(c + slope.sum(axis=1) / (slope**2).sum(axis=1), 0.0, top)
        if np.all(abs(new - c) <= 1e-8 * top):
            break
        c = new
    return np.asarray(c)


def _between(x: Floats, c: float, best: int, other: int, twin: Twin) -> TwinFit:
    """Maximum of the mixture of two neighbouring nodes, events of each being free and not negative."""
    pair = x[[best, other]] / twin.n_events

    def loss(n: Floats) -> tuple[float, Floats]:
        density = 1.0 + n @ pair
        if density.min() < 0.5 * _LEAST:
            return 1e9, np.zeros(2)
        return -float(np.log(density).sum()), -np.asarray((pair / density).sum(axis=1))

    start = np.array([c * twin.n_events, 0.0])
    done = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * 2)
    a, b = done.x
    index = twin.index[best] + (twin.index[other] - twin.index[best]) * b / max(a + b, 1e-300)
    return TwinFit(-2.0 * float(done.fun), float(a + b), float(index))


# --- what scrambles share --------------------------------------------------------------------------------------------


def make_twin(hypothesis: Hypothesis, samples: tuple[Sample, ...]) -> Twin:
    """Do once what every scramble shares."""
    nodes = spectra_of(hypothesis)
    shapes, mixing = space_nodes(hypothesis)
    expected = np.array([[expected_events(hypothesis, s, PowerLaw(float(g))) for g in nodes] for s in samples])
    share = expected / expected.sum(axis=0)
    total = sum(s.events.sizes["event"] for s in samples)
    parts: list[MapPart | SourcePart] = []
    for sample, fraction in zip(samples, share, strict=True):
        scale = fraction[:, None] * total / sample.events.sizes["event"]
        energy = _energy_ratio(sample, nodes) * scale / _direction(sample)
        spectra = [PowerLaw(float(g)) for g in shapes]
        if isinstance(hypothesis.target, Template):
            parts.append(_map_part(hypothesis.target, sample, spectra, energy))
        else:
            parts.append(_source_part(hypothesis.target, sample, spectra, energy))
    return Twin(tuple(parts), mixing, nodes, total)


def _ra_mean(dec: Floats, source_dec: Floats, kappa: Floats) -> Floats:
    """Mean over right ascension of the von Mises-Fisher kernel, sr^-1; shapes broadcast."""
    norm = kappa / (-2.0 * np.pi * np.expm1(-2.0 * kappa))
    across = kappa * np.cos(dec) * np.cos(source_dec)
    return np.asarray(norm * np.exp(kappa * (np.cos(dec - source_dec) - 1.0)) * i0e(across))


def _direction(sample: Sample) -> Floats:
    """Background density in direction at each event, sr^-1, (event,)."""
    dec = np.arcsin(np.linspace(-1.0, 1.0, 2 * _FINE + 1)[1::2])
    matrix = _ra_mean(dec[:, None], dec, np.full(1, sample.binning.dec_smoothing**-2))
    matrix /= matrix.sum(axis=0) * 4.0 * np.pi / _FINE
    sin_dec = np.sin(sample.array("declination"))
    fine = np.clip(((sin_dec + 1.0) * 0.5 * _FINE).astype(np.int64), 0, _FINE - 1)
    return np.asarray((matrix @ np.bincount(fine, minlength=_FINE) / len(fine))[fine])


def _bin(edges: Floats, value: Floats) -> Ints:
    return np.clip(np.searchsorted(edges, value, side="right") - 1, 0, len(edges) - 2)


def _energy_ratio(sample: Sample, nodes: Floats) -> Floats:
    """S_E / B_E of each event at each spectral node, (node, event)."""
    binning = sample.binning
    row = _bin(binning.sin_dec_edges, np.sin(sample.array("declination")))
    column = _bin(binning.log10_energy_edges, sample.array("log10_energy"))
    counts = np.zeros((len(binning.sin_dec_edges) - 1, len(binning.log10_energy_edges) - 1))
    np.add.at(counts, (row, column), 1.0)
    ratio = [_cell_ratio(sample, PowerLaw(float(g)), counts) for g in nodes]
    return np.array([r[row, column] for r in ratio])


def _cell_ratio(sample: Sample, spectrum: PowerLaw, counts: Floats) -> Floats:
    """S_E / B_E of each (sin dec, energy) cell; sparse cells share the ratio of their group."""
    binning: Binning = sample.binning
    signal = energy_density(sample.response, spectrum, binning.sin_dec_edges, binning.log10_energy_edges)
    out = np.full(counts.shape, 1e-12)
    for row in range(len(counts)):
        for group in _groups(counts[row], binning.min_count):
            seen = counts[row, group].sum() / max(counts[row].sum(), 1.0)
            if seen > 0:
                out[row, group] = max(signal[row, group].sum() / seen, 1e-12)
    return out


def _groups(counts: Floats, least: int) -> list[list[int]]:
    """Neighbouring bins with at least ``least`` events in each group, from both ends; the rest joins the peak."""
    peak = int(np.argmax(counts))
    groups, rest = [], [peak]
    for side in (range(len(counts) - 1, peak, -1), range(peak)):
        current: list[int] = []
        for k in side:
            current.append(k)
            if counts[current].sum() >= least:
                groups.append(current)
                current = []
        rest += current
    return [*groups, rest]


def _map_part(template: Template, sample: Sample, spectra: list[PowerLaw], energy: Floats) -> MapPart:
    nside, dec, error = sample.nside, sample.array("declination"), sample.array("angular_error")
    n_pixel = 12 * nside**2
    width = np.sqrt(4 * np.pi / n_pixel)
    low, high = np.log(max(error.min(), 0.5 * width)), np.log(max(error.max(), 0.6 * width))
    edges = np.linspace(low, high, max(1, int(np.ceil((high - low) / np.log(1.1)))) + 1)
    klass = np.clip(np.searchsorted(edges, np.log(error)) - 1, 0, len(edges) - 2)
    maps = np.array([_smoothed(template, sample, spectrum, edges) for spectrum in spectra], dtype=np.float32)
    start, count, cos_theta, _, _ = hp.ringinfo(nside, np.arange(1, 4 * nside))
    ring = np.searchsorted(start, 0.5 * (1.0 - np.sin(dec)) * n_pixel, side="right") - 1
    means = np.add.reduceat(maps, start, axis=2, dtype=np.float64) / count
    ceilings = np.maximum.reduceat(maps, start, axis=2).astype(np.float64)
    theta, ra = np.arccos(cos_theta)[ring], sample.array("right_ascension")
    return MapPart(nside, maps, klass, theta, means[:, klass, ring], ceilings[:, klass, ring], energy, ra)


def _smoothed(template: Template, sample: Sample, spectrum: PowerLaw, log_edges: Floats) -> Floats:
    """The template times acceptance, smoothed with the kernel of each class, (class, pixel) sr^-1."""
    nside = sample.nside
    theta, _ = hp.pix2ang(nside, np.arange(12 * nside**2))
    seen = hp.ud_grade(template.maps[0], nside) * acceptance(sample.response, spectrum, np.cos(theta))
    lmax = 3 * nside - 1
    alm = hp.map2alm(seen / (seen.mean() * 4 * np.pi), lmax=lmax, iter=3)
    ell, out = np.arange(lmax + 1), []
    for low, high in pairwise(log_edges):
        kappa = np.exp(-(low + high))
        window = np.nan_to_num(ive(ell + 0.5, kappa) / ive(0.5, kappa))
        smooth = np.maximum(hp.alm2map(hp.almxfl(alm, window), nside, lmax=lmax), 0.0)
        out.append(smooth / (smooth.mean() * 4 * np.pi))
    return np.array(out)


def _source_part(catalogue: Catalogue, sample: Sample, spectra: list[PowerLaw], energy: Floats) -> SourcePart:
    ra, dec, extension = (
        np.array([getattr(s, name) for s in catalogue.sources])
        for name in ("right_ascension", "declination", "extension")
    )
    weights = np.array([np.array(catalogue.weights) * acceptance(sample.response, s, np.sin(dec)) for s in spectra])
    weights /= weights.sum(axis=1, keepdims=True)
    event_dec, error = sample.array("declination"), sample.array("angular_error")
    mean = np.zeros((len(spectra), len(event_dec)))
    for k in range(len(ra)):
        mean += weights[:, k, None] * _ra_mean(event_dec, dec[k], 1.0 / (error**2 + extension[k] ** 2))
    return SourcePart(event_dec, error, ra, dec, extension, weights, mean, energy, sample.array("right_ascension"))
