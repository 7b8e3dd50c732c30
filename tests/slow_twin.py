"""The likelihood of IceCube 2023 (supplement; physics notes A3) once more, slowly, from events, tables and a map.

It shares no code with the package: plain loops, healpy and numpy alone.  What it does take over are the stated
conventions: bins of the background, classes of angular error 10 per cent apart with pixels of a quarter of the error,
one HEALPix ring for each event.
"""

from __future__ import annotations

from itertools import pairwise

import healpy as hp
import numpy as np
from scipy.special import ive

FINE = 400  # bins in sin(dec) of the declination density


def kernel(cos_psi, kappa):
    return kappa / (2 * np.pi * (1 - np.exp(-2 * kappa))) * np.exp(kappa * (cos_psi - 1))


def ra_average(dec, source_dec, kappa, n=720):
    """Mean of the kernel over right ascension, by summing it."""
    ra = (np.arange(n) + 0.5) * 2 * np.pi / n
    return kernel(np.sin(dec) * np.sin(source_dec) + np.cos(dec) * np.cos(source_dec) * np.cos(ra), kappa).mean()


def flux_in(low, high, index):
    """Integral of (E / 100 TeV)^-index between two log10 energies."""
    power = 1 - index
    if abs(power) < 1e-12:
        return 1e5 * np.log(10.0) * (high - low)
    return 1e5**index * (10 ** (power * high) - 10 ** (power * low)) / power


class Tables:
    """Plain arrays of a response dataset; every band of its area lies in one band of energy migration."""

    def __init__(self, response):
        d = response.dataset
        self.area, self.bands = d["effective_area"].values, d["sin_dec_edges"].values
        self.true, self.migration = d["log10_true_edges"].values, d["migration"].values
        middles = 0.5 * (self.bands[1:] + self.bands[:-1])
        self.reading = np.array([sum(m >= e for e in d["band_sin_dec_edges"].values[1:-1]) for m in middles])
        self.rows, self.columns = d["migration_true_edges"].values, d["migration_reco_edges"].values

    def band(self, sin_dec):
        return max(k for k in range(len(self.bands) - 1) if sin_dec >= self.bands[k] or k == 0)

    def detected(self, band, index):
        return [self.area[band][t] * flux_in(lo, hi, index) for t, (lo, hi) in enumerate(self.pairs(self.true))]

    def acceptance(self, sin_dec, index):
        return sum(self.detected(self.band(sin_dec), index))

    @staticmethod
    def pairs(edges):
        return list(pairwise(edges))

    def energies(self, band, index, edges):
        """Events per reconstructed-energy bin in one band, flat inside every tabulated bin."""
        to_bins = np.zeros((len(self.columns) - 1, len(edges) - 1))
        for column, (left, right) in enumerate(self.pairs(self.columns)):
            for k, part in spread(left, right, edges):
                to_bins[column, k] = part
        out = np.zeros(len(edges) - 1)
        for n, (lo, hi) in zip(self.detected(band, index), self.pairs(self.true), strict=True):
            for row, share in spread(lo, hi, self.rows):
                out += n * share * self.migration[self.reading[band], row] @ to_bins
        return out


def spread(low, high, edges):
    """(bin, fraction) of the interval; what lies outside goes to the end bins."""
    for k in range(len(edges) - 1):
        left = -np.inf if k == 0 else edges[k]
        right = np.inf if k == len(edges) - 2 else edges[k + 1]
        part = (min(high, right) - max(low, left)) / (high - low)
        if part > 0:
            yield k, part


def groups_of_row(counts, least):
    """Lists of neighbouring bins with at least ``least`` events each; what is left over joins the peak."""
    peak, groups, rest = int(np.argmax(counts)), [], []
    for side in (range(len(counts) - 1, peak, -1), range(peak)):
        current = []
        for k in side:
            current.append(k)
            if sum(counts[j] for j in current) >= least:
                groups.append(current)
                current = []
        rest += current
    return [*groups, [peak, *rest]]


def sparse_row(edges, value):
    return int(np.clip(np.searchsorted(edges, value, side="right") - 1, 0, len(edges) - 2))


def background_in_direction(sin_dec, width):
    """Density per sr at each event, from a kernel estimate in 400 bins of sin(dec)."""
    middles = (np.arange(FINE) + 0.5) * 2 / FINE - 1
    bins = [min(int((s + 1) * FINE / 2), FINE - 1) for s in sin_dec]
    used = sorted(set(bins))
    kappa, values = width**-2, dict.fromkeys(used, 0.0)
    dec = np.arcsin(middles)
    for b in used:
        column = np.array([ra_average(d, dec[b], kappa) for d in dec])
        column /= column.sum() * 4 * np.pi / FINE
        for c in used:
            values[c] += column[c] * bins.count(b) / len(bins)
    return np.array([values[b] for b in bins])


def energy_ratio(events, tables, binning, index):
    """S_E / B_E of each event."""
    sin_edges, e_edges = binning.sin_dec_edges, binning.log10_energy_edges
    rows = [sparse_row(sin_edges, s) for s in np.sin(events["declination"])]
    columns = [sparse_row(e_edges, e) for e in events["log10_energy"]]
    per_band = [tables.energies(b, index, e_edges) for b in range(len(tables.bands) - 1)]
    out = np.zeros(len(rows))
    for row in set(rows):
        counts = np.zeros(len(e_edges) - 1)
        for r, c in zip(rows, columns, strict=True):
            counts[c] += r == row
        low, high = sin_edges[row], sin_edges[row + 1]
        signal = sum(per_band[tables.band(low + (k + 0.5) / 8 * (high - low))] for k in range(8))
        for group in groups_of_row(counts, binning.min_count):
            ratio = (signal[group].sum() / signal.sum()) / max(counts[group].sum() / counts.sum(), 1e-300)
            for i, (r, c) in enumerate(zip(rows, columns, strict=True)):
                if r == row and c in group:
                    out[i] = ratio
    return out


def template_difference(events, tables, density, nside, index):
    """S - <S> in direction of each event for a template."""
    pixels = np.arange(12 * nside**2)
    theta, _ = hp.pix2ang(nside, pixels)
    by_band = [tables.acceptance(0.5 * (lo + hi), index) for lo, hi in tables.pairs(tables.bands)]
    seen = density * np.array([by_band[tables.band(s)] for s in np.cos(theta)])
    return seen_difference(events, seen, nside)


def seen_difference(events, seen, nside):
    """S - <S> in direction of each event for a map of detected events."""
    seen = seen / (seen.mean() * 4 * np.pi)
    alm = hp.map2alm(seen, lmax=3 * nside - 1, iter=3)
    error = events["angular_error"]
    width = hp.nside2resol(nside)
    low, high = np.log(max(error.min(), 0.5 * width)), np.log(max(error.max(), 0.6 * width))
    n_class = max(1, int(np.ceil((high - low) / np.log(1.1))))
    edges = np.linspace(low, high, n_class + 1)
    ell = np.arange(3 * nside)
    out = np.zeros(len(error))
    for k in range(n_class):
        mine = [
            i for i in range(len(error)) if np.clip(np.searchsorted(edges, np.log(error[i])) - 1, 0, n_class - 1) == k
        ]
        if not mine:
            continue
        kappa = np.exp(-(edges[k] + edges[k + 1]))
        # Pixels of a quarter of the error of the class, no finer.
        grid = min(8, nside)
        while grid < nside and hp.nside2resol(grid) > 0.25 * kappa**-0.5:
            grid *= 2
        pixels, ring_of = np.arange(12 * grid**2), hp.pix2ring(grid, np.arange(12 * grid**2))
        smooth = hp.alm2map(hp.almxfl(alm, ive(ell + 0.5, kappa) / ive(0.5, kappa)), grid, lmax=3 * nside - 1)
        smooth = np.maximum(smooth, 0)
        smooth /= smooth.mean() * 4 * np.pi
        for i in mine:
            # The ring whose band of equal area holds the declination, and the pixel centre nearest in right ascension.
            north = 0.5 * (1 - np.sin(events["declination"][i])) * len(pixels)
            ring = ring_of[int(north)]
            held = pixels[ring_of == ring]
            _, phi = hp.pix2ang(grid, held)
            away = np.abs((phi - events["right_ascension"][i] + np.pi) % (2 * np.pi) - np.pi)
            out[i] = smooth[held[np.argmin(away)]] - smooth[held].mean()
    return out


def stack_difference(events, sources):
    """S - <S> in direction of each event for each source alone, (source, event)."""
    out = np.zeros((len(sources), len(events["declination"])))
    for i, (ra, dec, error) in enumerate(
        zip(events["right_ascension"], events["declination"], events["angular_error"], strict=True)
    ):
        for k, source in enumerate(sources):
            kappa = 1 / (error**2 + source.extension**2)
            cos_psi = np.sin(dec) * np.sin(source.declination) + np.cos(dec) * np.cos(source.declination) * np.cos(
                ra - source.right_ascension
            )
            out[k, i] = kernel(cos_psi, kappa) - ra_average(dec, source.declination, kappa)
    return out


def stack_shares(sources, tables, index):
    """Acceptance-weighted shares of equal sources."""
    weights = np.array([tables.acceptance(np.sin(s.declination), index) for s in sources])
    return weights / weights.sum()


def columns(sample):
    names = ("right_ascension", "declination", "log10_energy", "angular_error")
    return {name: sample.events[name].values for name in names}


def template_x(sample, density, index):
    """x_i = (S_i - <S_i>) / B_i of a template."""
    events, tables = columns(sample), Tables(sample.response)
    return (
        template_difference(events, tables, density, sample.nside, index)
        * energy_ratio(events, tables, sample.binning, index)
        / background_in_direction(np.sin(events["declination"]), sample.binning.dec_smoothing)
    )


def stack_x(sample, sources, shape_index):
    """x_i of a stack at each index, {index: (event,)}.

    shape_index : {index: {whole index: weight}}, the mixture that gives the shares of the sources.
    """
    events, tables = columns(sample), Tables(sample.response)
    each = stack_difference(events, sources)
    direction = background_in_direction(np.sin(events["declination"]), sample.binning.dec_smoothing)
    out = {}
    for index, mixture in shape_index.items():
        shares = sum(w * stack_shares(sources, tables, g) for g, w in mixture.items())
        out[index] = (shares @ each) * energy_ratio(events, tables, sample.binning, index) / direction
    return out


def ts(parts, n_signal):
    """TS(n_s) = 2 sum_j sum_i ln(1 + n_j / N_j x_i); parts = [(x, fraction of the signal)]."""
    return 2 * sum(np.log(1 + n_signal * f / len(x) * x).sum() for x, f in parts)


def changing_x(sample, maps, nodes, flux, class_edges, nside, steps=40):
    """x of each event for a template whose maps change with energy: maps (node, pixel) at log10 energies ``nodes``.

    flux : function of log10 E, dN/dE.  Each reconstructed-energy class is compared with the map of what is detected in
    it: at every true energy the interpolated map, times area, flux and the chance to be reconstructed in the class.
    """
    events, tables, binning = columns(sample), Tables(sample.response), sample.binning
    theta, _ = hp.pix2ang(nside, np.arange(12 * nside**2))
    band = np.array([tables.band(c) for c in np.cos(theta)])
    seen = np.zeros((len(class_edges) - 1, len(band)))
    e_edges = binning.log10_energy_edges
    cells = np.zeros((len(tables.bands) - 1, len(e_edges) - 1))
    for t, (lo, hi) in enumerate(tables.pairs(tables.true)):
        to_class, to_cell = (np.zeros((len(tables.migration), len(edges) - 1)) for edges in (class_edges, e_edges))
        for row, share in spread(lo, hi, tables.rows):
            for column, (left, right) in enumerate(tables.pairs(tables.columns)):
                for k, part in spread(left, right, class_edges):
                    to_class[:, k] += share * tables.migration[:, row, column] * part
                for k, part in spread(left, right, e_edges):
                    to_cell[:, k] += share * tables.migration[:, row, column] * part
        for j in range(steps):
            log_e = lo + (j + 0.5) / steps * (hi - lo)
            n = flux(log_e) * 10**log_e * np.log(10) * (hi - lo) / steps
            k = int(np.clip(np.searchsorted(nodes, log_e) - 1, 0, len(nodes) - 2))
            f = float(np.clip((log_e - nodes[k]) / (nodes[k + 1] - nodes[k]), 0, 1))
            here = ((1 - f) * maps[k] + f * maps[k + 1]) * n * tables.area[band, t]
            seen += to_class[tables.reading[band]].T * here
            cells += n * tables.area[:, t][:, None] * to_cell[tables.reading]
    share = seen.sum(axis=1) / seen.sum()
    klass = [sparse_row(class_edges, e) for e in e_edges[:-1]]
    sin_edges = binning.sin_dec_edges
    rows = [sparse_row(sin_edges, s) for s in np.sin(events["declination"])]
    held = [sparse_row(e_edges, e) for e in events["log10_energy"]]
    maps_of = [seen_difference(events, m, nside) for m in seen]
    direction = background_in_direction(np.sin(events["declination"]), binning.dec_smoothing)
    out = np.zeros(len(rows))
    for row in set(rows):
        low, high = sin_edges[row], sin_edges[row + 1]
        signal = sum(cells[tables.band(low + (k + 0.5) / 8 * (high - low))] for k in range(8))
        inside = np.array(
            [sum(signal[j] for j in range(len(signal)) if klass[j] == klass[c]) for c in range(len(signal))]
        )
        signal = np.array([share[klass[c]] for c in range(len(signal))]) * signal / inside
        counts = np.bincount([c for r, c in zip(rows, held, strict=True) if r == row], minlength=len(signal))
        for group in groups_of_row(counts, binning.min_count):
            most = max(range(len(share)), key=lambda k: sum(counts[c] for c in group if klass[c] == k))
            ratio = signal[group].sum() / max(counts[group].sum() / counts.sum(), 1e-300)
            for i, (r, c) in enumerate(zip(rows, held, strict=True)):
                if r == row and c in group:
                    out[i] = maps_of[most][i] * ratio / direction[i]
    return out
