"""Background skies for deep tails: skies tilted towards directions all over the sphere, weighted back to the null.

A plain sky whose hottest spot is as hot as a strong one is rare.  Here most skies are drawn with a source of strength
n* in a direction that is itself drawn at random; the weight of a sky back to the null is then exactly

    1 / (a + (1 - a) mean over directions and tilts of L(n*) / L(0)),

the balance heuristic over all that could have been drawn, a the share of plain skies.  How dense the directions are
decides how evenly weights are spread, never what is estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.likelihood import Circle, SkyEvents, Turned, circle, largest_tilt, tilt_ratios, tilted, turned
from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import rings
from nuanalysis.trials._skies import MOST_DECLINATION, SKY_COLUMNS, LocalP, Search, draw_sky, hottest_spots

DEEP_COLUMNS = (*SKY_COLUMNS, "log_weight")
_PLAIN_SHARE = 0.1
_INDICES = (1.0, 1.6, 2.2, 2.8, 3.6)
_FRACTIONS = (0.3, 0.7, 1.5, 3.0)  # of the strength whose expected root of TS is the wanted one
_LEVEL = 4.0  # standard deviations of n_s that the first sums of a circle serve
_STREAM = 1 << 32  # random numbers apart from those of the plain draw


@dataclass(frozen=True, slots=True, eq=False)
class SkyTilts:
    """What tilted skies are drawn from: directions with equal chances, each with the same number of tilts.

    declination (ring,) and right_ascension, (direction,) for each ring, rad; node (tilt,) and n_signal (ring, tilt).
    """

    declination: Floats
    right_ascension: tuple[Floats, ...]
    node: Ints
    n_signal: Floats

    @property
    def n_directions(self) -> int:
        """Directions of all rings."""
        return sum(map(len, self.right_ascension))


def _circles(events: SkyEvents, declination: Floats) -> Iterator[Circle]:
    for dec, share in zip(declination, events.shares(declination), strict=True):
        yield circle(events, float(dec), share)


def sky_tilts(events: SkyEvents, nside: int, ts: float) -> SkyTilts:
    """Tilts for hottest spots with a test statistic of about ``ts``.

    Directions are as far apart as the width that 9 in 10 events exceed, pixels of at most ``nside``.
    """
    error = float(np.quantile(events.widths, 0.1))
    coarse = int(np.clip(2 ** np.ceil(np.log2(np.sqrt(np.pi / 3) / error)), 4, nside))
    grid = rings(coarse)
    theta, _ = hp.pix2ang(coarse, grid.start)
    declination = np.pi / 2 - np.asarray(theta)
    used = np.flatnonzero(np.abs(declination) <= MOST_DECLINATION)
    nodes = np.unique([int(np.argmin(np.abs(events.index - g))) for g in _INDICES])
    strengths = []
    for where in _circles(events, declination[used]):
        spread = where.largest[0, nodes] * where.n_events / _LEVEL
        wanted = np.sqrt(ts) * spread[:, None] * np.array(_FRACTIONS)
        strengths.append(np.minimum(wanted, largest_tilt(where)[nodes][:, None]).ravel())
    ra = tuple(
        np.asarray(hp.pix2ang(coarse, s + np.arange(int(n)))[1]) for s, n in zip(grid.start, grid.count, strict=True)
    )
    node = np.repeat(nodes, len(_FRACTIONS)).astype(np.int64)
    return SkyTilts(declination[used], tuple(ra[ring] for ring in used), node, np.array(strengths))


def draw_tilted(events: SkyEvents, tilts: SkyTilts, seed: int, trial: int) -> Turned:
    """The sky of a trial, plain or with a source in one of the directions; the same for any caller."""
    sky = draw_sky(events, seed, trial)
    rng = np.random.Generator(np.random.Philox(key=[seed, trial], counter=[0, 0, 0, _STREAM]))
    if rng.random() < _PLAIN_SHARE:
        return sky
    k, t = int(rng.integers(tilts.n_directions)), int(rng.integers(len(tilts.node)))
    ends = np.cumsum([len(ra) for ra in tilts.right_ascension])
    ring = int(np.searchsorted(ends, k, side="right"))
    at = float(tilts.right_ascension[ring][k - ends[ring]])
    (where,) = _circles(events, tilts.declination[ring : ring + 1])
    n_signal = float(tilts.n_signal[ring, t])
    return turned(tilted(where, at, int(tilts.node[t]), n_signal, sky.right_ascension, rng))


def log_weights(events: SkyEvents, tilts: SkyTilts, skies: list[Turned]) -> Floats:
    """ln of the weight of each sky back to the null, (sky,)."""
    total = np.full(len(skies), -np.inf)
    circles = zip(_circles(events, tilts.declination), tilts.right_ascension, tilts.n_signal, strict=True)
    for where, ra, n_signal in circles:
        for k, sky in enumerate(skies):
            total[k] = np.logaddexp(
                total[k], scipy.special.logsumexp(tilt_ratios(where, sky, ra, tilts.node, n_signal))
            )
    mean = total - np.log(tilts.n_directions * len(tilts.node))
    return np.asarray(-np.logaddexp(np.log(_PLAIN_SHARE), np.log1p(-_PLAIN_SHARE) + mean))


def deep_sky_trials(
    events: SkyEvents, table: LocalP, search: Search, tilts: SkyTilts, seed: int, first: int, last: int
) -> Floats:
    """Hottest spots of tilted skies first..last-1 with the ln of their weights, rows of DEEP_COLUMNS, (sky, column)."""
    skies = [draw_tilted(events, tilts, seed, i) for i in range(first, last)]
    spots = hottest_spots(events, table, search, skies).reshape(len(skies), -1)
    return np.column_stack([spots, log_weights(events, tilts, skies)])
