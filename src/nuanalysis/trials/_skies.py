"""Background skies: local p-values of every direction, and the hottest spot of each hemisphere.

A TS is turned into a local p-value with ensembles at a grid of declinations: under scrambles its distribution depends
on declination alone.  The hottest spot is the direction with the smallest local p-value, and its global p-value is the
share of background skies whose own hottest spot is as small.  A sky is fitted only where that is promising: where a
coarse grid of fits is hot and, with kernels too narrow for it, where a score of the events in a pixel is high.
``validation/test_skies.py`` states how often this finds the spot that the whole fine grid holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError
from nuanalysis.likelihood import FEW, FIT_COLUMNS, Circle, SkyEvents, Turned, circle, fit_circle, sky_events, turned
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import rings, vmf_norm
from nuanalysis.trials._scrambles import _POLE_CAP, _smeared_declinations

HEMISPHERES = ("south", "north")
SPOT_COLUMNS = ("log_p", "ts", "n_signal", "index", "right_ascension", "declination")
SKY_COLUMNS = tuple(f"{name}_{which}" for which in HEMISPHERES for name in SPOT_COLUMNS)
MOST_DECLINATION = float(np.pi / 2 - _POLE_CAP)  # beyond, a circle is too short for scrambles (IceCube 2020)
_STEP = 0.1  # of the root of TS in tables
_LEAST_ESS = 20.0
_COARSEST, _SHARPEST = 0.5, 0.1
_HOT, _FEW_HOT = 0.04, 0.01  # part of the coarse pixels that are searched finely: all there is, or beside scores
_LOUD = 0.015  # part of the pixels of each score that are fitted
_SCORE_INDEX = (1.6, 2.4, 3.2)
_SCORE_EVENTS = 4.0  # n_s of the score
_SCORE_WIDTH = 0.65  # pixels: kernels narrower than that are scored as if so wide
_SCORE_RINGS = 9  # over which mean and spread of the score are taken
_SMALL = 16  # nside of a grid that is fitted as a whole rather than searched by scores
_BANDS = 400  # of sin(declination) at which acceptance is read for the score


# --- local p-values --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class LocalP:
    """ln P(TS >= t) under the null at several declinations, from ensembles.

    declination (node,) rad, rising; root_ts (step,) roots of t, from 0; log_p and error, relative, (node, step).
    reach (node,): the root of the largest t that an ensemble reaches; beyond, ln p goes on as it ends, straight in TS.
    """

    declination: Floats
    root_ts: Floats
    log_p: Floats
    error: Floats
    reach: Floats

    def row(self, declination: float) -> Floats:
        """ln P(TS >= root_ts^2) at one declination, (step,): linear in sin(declination) between nodes."""
        return np.asarray(_between(self.declination, self.log_p, declination))

    def log_p_of(self, declination: float, ts: Floats) -> Floats:
        """ln of the local p-value of each TS seen at one declination, (direction,); 0 where TS is 0."""
        row, root = self.row(declination), np.sqrt(np.maximum(ts, 0.0))
        slope = (row[-1] - row[-2]) / (self.root_ts[-1] ** 2 - self.root_ts[-2] ** 2)
        beyond = np.maximum(ts - self.root_ts[-1] ** 2, 0.0) * slope
        return np.asarray(np.where(ts > 0.0, np.interp(root, self.root_ts, row) + beyond, 0.0))

    def error_of(self, declination: float, ts: float) -> float:
        """Relative statistical error of a local p-value."""
        row = _between(self.declination, self.error, declination)
        return float(np.interp(np.sqrt(max(ts, 0.0)), self.root_ts, row))


def _between(nodes: Floats, rows: Floats, declination: float) -> Floats:
    """Rows (node, step) at one declination, linear in its sine; beyond the outer nodes they stay."""
    if len(nodes) == 1:
        return np.asarray(rows[0])
    sines, at = np.sin(nodes), np.sin(declination)
    k = int(np.clip(np.searchsorted(sines, at) - 1, 0, len(nodes) - 2))
    part = float(np.clip((at - sines[k]) / (sines[k + 1] - sines[k]), 0.0, 1.0))
    return np.asarray((1.0 - part) * rows[k] + part * rows[k + 1])


def local_p(declination: Floats, ensembles: list[tuple[Floats, Floats]], most_ts: float) -> LocalP:
    """The table from ensembles (ts, log_weight), (trial,) each, one a declination, up to ``most_ts``.

    Where fewer than 20 effective trials lie beyond a TS, ln p goes on from there, straight in TS, with the slope of
    the last unit of the root that the ensemble reaches.
    """
    root = np.arange(0.0, np.sqrt(most_ts) + _STEP, _STEP)
    rows = [_tail(ts, np.exp(log_weight), root) for ts, log_weight in ensembles]
    return LocalP(declination, root, *(np.array([row[k] for row in rows]) for k in range(3)))


def _tail(ts: Floats, weight: Floats, root: Floats) -> tuple[Floats, Floats, float]:
    """ln P(TS >= root^2), its relative error, (step,) each, and the root that the ensemble reaches."""
    order = np.argsort(-ts, kind="stable")
    first, second = (np.concatenate([[0.0], np.cumsum(weight[order] ** k)]) for k in (1, 2))
    beyond = np.searchsorted(-ts[order], -(root**2), side="right")
    beyond[0] = np.count_nonzero(ts > 0.0)
    total, square = first[beyond], second[beyond]
    enough = total**2 >= _LEAST_ESS * np.maximum(square, 1e-300)
    last = int(np.flatnonzero(enough)[-1]) if enough.any() else 0
    p = np.maximum(total / len(ts), 1e-300)
    log_p = np.minimum.accumulate(np.minimum(np.log(p), 0.0))
    error = np.sqrt(np.maximum(square / len(ts) - p**2, 0.0) / len(ts)) / p
    back = max(last - round(1.0 / _STEP), 0)
    slope = (log_p[last] - log_p[back]) / (root[last] ** 2 - root[back] ** 2) if last > back else -0.5
    log_p[last + 1 :] = log_p[last] + slope * (root[last + 1 :] ** 2 - root[last] ** 2)
    error[last + 1 :] = 1.0
    return log_p, error, float(root[last])


# --- fits of pixels --------------------------------------------------------------------------------------------------


def fit_pixels(
    events: SkyEvents, skies: list[Turned], nside: int, wanted: list[Ints], extension: float = 0.0
) -> list[Floats]:
    """Fits of the wanted pixels (RING, rising) of each sky, [(pixel, FIT_COLUMNS)]: circle by circle, for all skies."""
    grid = rings(nside)
    out = [np.empty((len(pixels), len(FIT_COLUMNS))) for pixels in wanted]
    edges = np.concatenate([grid.start, [12 * nside**2]])
    cuts = [np.searchsorted(pixels, edges) for pixels in wanted]
    used = np.flatnonzero(np.any([np.diff(cut) > 0 for cut in cuts], axis=0))
    theta, _ = hp.pix2ang(nside, grid.start[used])
    declination = np.pi / 2 - theta
    for ring, dec, share in zip(used, declination, events.shares(declination), strict=True):
        circles: dict[bool, Circle] = {}
        for sky, pixels, cut, rows in zip(skies, wanted, cuts, out, strict=True):
            mine = slice(cut[ring], cut[ring + 1])
            if mine.stop == mine.start:
                continue
            # Each sky decides for itself: the last bits of a fit must not depend on the skies that share a call.
            sorting = bool(mine.stop - mine.start > FEW)
            if sorting not in circles:
                circles[sorting] = circle(events, float(dec), share, extension, sorting=sorting)
            _, phi = hp.pix2ang(nside, pixels[mine])
            rows[mine] = fit_circle(circles[sorting], sky, np.asarray(phi))
    return out


def log_p_map(table: LocalP, nside: int, pixels: Ints, ts: Floats) -> Floats:
    """ln of the local p-value of pixels (RING, rising), (pixel,); NaN nearer to a pole than 8 degrees."""
    theta, _ = hp.pix2ang(nside, pixels)
    declination, out = np.pi / 2 - np.asarray(theta), np.full(len(pixels), np.nan)
    levels, first = np.unique(declination, return_index=True)
    edges = np.sort(np.append(first, len(pixels)))
    for level, start in zip(levels, first, strict=True):
        if abs(level) <= MOST_DECLINATION:
            mine = slice(start, edges[np.searchsorted(edges, start) + 1])
            out[mine] = table.log_p_of(float(level), ts[mine])
    return out


# --- the hottest spots -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """Where a sky is fitted with pixels of ``fine``.

    hot : in that part of a coarse grid of fits that is hottest.  loud : and in that part of the pixels where the score
    of some spectral index is highest; 0 where kernels are so wide that the coarse grid sees all.
    """

    coarse: int
    fine: int
    hot: float = _HOT
    loud: float = 0.0


def search_for(events: SkyEvents, nside: int) -> Search:
    """A coarse grid with pixels half as wide as the width that 9 in 10 events exceed; scores where that were finer."""
    error = float(np.quantile(events.widths, _SHARPEST))
    coarse = int(2 ** np.ceil(np.log2(np.sqrt(np.pi / 3) / (_COARSEST * error))))
    if coarse <= nside or nside <= _SMALL:
        return Search(min(coarse, nside), nside)
    return Search(nside // 4, nside, _FEW_HOT, _LOUD)


def in_reach(nside: int) -> Ints:
    """Pixels (RING) far enough from the poles for a local p-value."""
    theta, _ = hp.pix2ang(nside, np.arange(12 * nside**2))
    return np.asarray(np.flatnonzero(np.abs(np.pi / 2 - theta) <= MOST_DECLINATION), dtype=np.int64)


def hottest(nside: int, pixels: Ints, log_p: Floats, fits: Floats) -> Floats:
    """The pixel with the smallest local p-value of each hemisphere, (hemisphere, SPOT_COLUMNS); the first of equals.

    pixels (RING, rising), log_p (pixel,), NaN where there is none, fits (pixel, FIT_COLUMNS).
    """
    theta, phi = (np.asarray(a) for a in hp.pix2ang(nside, pixels))
    out = np.zeros((len(HEMISPHERES), len(SPOT_COLUMNS)))
    for row, mine in zip(out, (theta > np.pi / 2, theta <= np.pi / 2), strict=True):
        k = np.flatnonzero(mine)[int(np.nanargmin(np.where(np.isnan(log_p[mine]), 1.0, log_p[mine])))]
        row[:] = log_p[k], *fits[k, :3], phi[k], np.pi / 2 - theta[k]
    return out


def _children(coarse: int, fine: int, pixels: Ints) -> Ints:
    """The fine pixels in coarse ones (RING), rising."""
    many = (fine // coarse) ** 2
    nested = hp.ring2nest(coarse, pixels)[:, None] * many + np.arange(many)
    return np.sort(np.asarray(hp.nest2ring(fine, nested.ravel()), dtype=np.int64))


def _promising(search: Search, pixels: Ints, log_p: Floats) -> Ints:
    """Fine pixels where the hottest coarse ones of each hemisphere are."""
    theta, _ = hp.pix2ang(search.coarse, pixels)
    chosen = []
    for mine in (theta > np.pi / 2, theta <= np.pi / 2):
        here = np.flatnonzero(mine)
        chosen.append(here[np.argsort(log_p[here], kind="stable")[: int(np.ceil(search.hot * len(here)))]])
    fine = _children(search.coarse, search.fine, pixels[np.concatenate(chosen)])
    theta, _ = hp.pix2ang(search.fine, fine)
    return np.asarray(fine[np.abs(np.pi / 2 - theta) <= MOST_DECLINATION], dtype=np.int64)


def loudness(events: SkyEvents, nside: int) -> Floats:
    """What each event says for a source of four events at its place, (index, event): ln(1 + c x) at its peak."""
    width = _SCORE_WIDTH * np.sqrt(np.pi / 3) / nside
    nodes = np.unique([int(np.argmin(np.abs(events.index - g))) for g in _SCORE_INDEX])
    shares = events.shares(np.arcsin(np.linspace(-1.0, 1.0, 2 * _BANDS + 1)[1::2]))[:, :, nodes]
    said = []
    columns = zip(events.sin_dec, events.error, events.kernels, events.energy, strict=True)
    for k, (sin_dec, error, kernel, energy) in enumerate(columns):
        band = np.clip((0.5 * (sin_dec + 1.0) * _BANDS).astype(np.int64), 0, _BANDS - 1)
        parts = [
            w * vmf_norm(1.0 / np.maximum(error * s, width) ** 2)
            for w, s in zip(kernel.weight, kernel.scale, strict=True)
        ]
        peak = energy.scale * np.sum(parts, axis=0) / len(error)
        said.append(np.log1p(_SCORE_EVENTS * energy.ratio[nodes][:, energy.group] * shares[band, k].T * peak))
    return np.concatenate(said, axis=1)


def scores(events: SkyEvents, nside: int, said: Floats, sky: Turned) -> Floats:
    """Sum of ``loudness`` over a pixel and its neighbours, in standard deviations of its circle, (index, pixel)."""
    around = np.asarray(hp.get_all_neighbours(nside, np.arange(12 * nside**2)))
    theta = np.arctan2(np.concatenate(events.cos_dec), np.concatenate(events.sin_dec))
    pixel, grid = hp.ang2pix(nside, theta, sky.right_ascension), rings(nside)
    out = np.empty((len(said), 12 * nside**2))
    for row, weight in zip(out, said, strict=True):
        own = np.bincount(pixel, weights=weight, minlength=len(row))
        row[:] = own + np.where(around >= 0, own[around], 0.0).sum(axis=0)
        mean, square = (_smooth(grid.mean(row**k)) for k in (1, 2))
        spread = np.sqrt(np.maximum(square - mean**2, 1e-300))
        row -= np.repeat(mean, grid.count)
        row /= np.repeat(spread, grid.count)
    return out


def _smooth(of_ring: Floats) -> Floats:
    half = _SCORE_RINGS // 2
    return np.convolve(np.pad(of_ring, half, mode="edge"), np.full(_SCORE_RINGS, 1.0 / _SCORE_RINGS), mode="valid")


def _loud_pixels(search: Search, pixels: Ints, maps: Floats) -> Ints:
    """Pixels, rising, that are among the loudest of a hemisphere at any index; maps (index, pixel of the sky)."""
    theta, _ = hp.pix2ang(search.fine, pixels)
    chosen = []
    for mine in (pixels[theta > np.pi / 2], pixels[theta <= np.pi / 2]):
        n = int(np.ceil(search.loud * len(mine)))
        chosen += [mine[np.argpartition(-row[mine], min(n, len(mine) - 1))[:n]] for row in maps]
    return np.unique(np.concatenate(chosen))


def _wanted(events: SkyEvents, table: LocalP, search: Search, skies: list[Turned]) -> list[Ints]:
    """Fine pixels worth a fit, of each sky."""
    pixels = in_reach(search.coarse)
    found = fit_pixels(events, skies, search.coarse, [pixels] * len(skies))
    hot = [_promising(search, pixels, log_p_map(table, search.coarse, pixels, fits[:, 0])) for fits in found]
    if not search.loud:
        return hot
    said, fine = loudness(events, search.fine), in_reach(search.fine)
    loud = [_loud_pixels(search, fine, scores(events, search.fine, said, sky)) for sky in skies]
    return [np.union1d(*both) for both in zip(hot, loud, strict=True)]


def hottest_spots(events: SkyEvents, table: LocalP, search: Search, skies: list[Turned]) -> Floats:
    """The hottest spots of several skies of the same events, (sky, hemisphere, SPOT_COLUMNS)."""
    wanted = _wanted(events, table, search, skies)
    out = np.empty((len(skies), len(HEMISPHERES), len(SPOT_COLUMNS)))
    for row, mine, fits in zip(out, wanted, fit_pixels(events, skies, search.fine, wanted), strict=True):
        row[:] = hottest(search.fine, mine, log_p_map(table, search.fine, mine, fits[:, 0]), fits)
    return out


# --- skies -----------------------------------------------------------------------------------------------------------


def draw_sky(events: SkyEvents, seed: int, trial: int) -> Turned:
    """Right ascensions of one background sky: those of ``scramble_trials`` with this seed and trial."""
    drawn = []
    for stream, error in enumerate(events.error):
        u = np.empty(len(error))
        draw_uniform(np.uint64(trial_key(seed, trial, stream)), u)
        drawn.append(2 * np.pi * u)
    return turned(np.concatenate(drawn))


def smeared(events: SkyEvents, seed: int, trial: int, width: float) -> SkyEvents:
    """The events of one background sky with a Gaussian of ``width`` rad added to declinations, away from the poles."""
    parts = events.problem.parts
    return sky_events(
        events.problem, tuple(_smeared_declinations(p, seed, trial, k, width) for k, p in enumerate(parts))
    )


def on_skies(
    events: SkyEvents,
    seed: int,
    first: int,
    last: int,
    smear: float,
    question: Callable[[SkyEvents, list[Turned]], Floats],
) -> Floats:
    """Ask a question of background skies first..last-1, all at once or, smeared, one by one: (sky, ...)."""
    if last <= first:
        raise InputError(f"skies {first} to {last} were asked for; expected at least one")
    if not smear:
        return question(events, [draw_sky(events, seed, i) for i in range(first, last)])
    return np.concatenate(
        [question(smeared(events, seed, i, smear), [draw_sky(events, seed, i)]) for i in range(first, last)]
    )


def sky_trials(
    events: SkyEvents, table: LocalP, search: Search, seed: int, first: int, last: int, smear: float = 0.0
) -> Floats:
    """Hottest spots of background skies first..last-1 as rows of SKY_COLUMNS, (sky, column)."""

    def question(seen: SkyEvents, skies: list[Turned]) -> Floats:
        return hottest_spots(seen, table, search, skies)

    return on_skies(events, seed, first, last, smear, question).reshape(last - first, -1)


def source_trials(
    events: SkyEvents,
    sources: tuple[Floats, Floats, Floats],
    seed: int,
    first: int,
    last: int,
    smear: float = 0.0,
) -> Floats:
    """TS of every source on background skies first..last-1, (sky, source): correlated trials of a list.

    sources : right ascension, declination and extension, (source,) rad each.
    """
    ra, dec, extension = sources

    def question(seen: SkyEvents, skies: list[Turned]) -> Floats:
        out = np.empty((len(skies), len(ra)))
        for k, share in enumerate(seen.shares(dec)):
            where = circle(seen, float(dec[k]), share, float(extension[k]), sorting=False)
            for row, sky in zip(out, skies, strict=True):
                row[k] = fit_circle(where, sky, ra[k : k + 1])[0, 0]
        return out

    return on_skies(events, seed, first, last, smear, question)
