"""What scans, source lists and extended searches share: the sky of a sample, local p-values, background skies.

A direction's p-value alone is *local*; that of the best of many directions, from background skies searched in the same
way, is *global*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from itertools import pairwise

import healpy as hp
import numpy as np
import xarray as xr

from nuanalysis import store, trials
from nuanalysis.answers._chance import tail_of
from nuanalysis.answers._ensembles import scrambles
from nuanalysis.answers._posed import direction, position, prepared_on
from nuanalysis.engine.bench import Bench, Ensemble
from nuanalysis.engine.ensembles import Problem
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FIT_COLUMNS, SkyEvents, sky_events, turned
from nuanalysis.model import Hypothesis
from nuanalysis.records import Chance, Position, Record, Unknown, shown
from nuanalysis.schema import Bools, Floats, Ints
from nuanalysis.sky.records import Catalogue
from nuanalysis.store.sky_maps import LOCAL
from nuanalysis.trials.streams import Stream, seed_of

NSIDES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FEWEST_LOCAL_TRIALS = 200
GLOBAL = "chance that the smallest local p-value of a background sky, searched in the same way, is as small"
SKIES = "background skies: right-ascension scrambles of the sample, searched in the same way"
NOT_ASKED = Unknown(reason="no background skies were asked for")
# Dense towards the poles, where circles are short and the distribution of TS changes fastest.
_POLAR = (60.0, 66.0, 71.0, 75.0, 79.0, 82.0)
TABLE_DECLINATIONS = np.radians([*(-d for d in reversed(_POLAR)), *np.arange(-50.0, 51.0, 10.0), *_POLAR])
_MOST_TS = 49.0  # of the table; beyond, ln p goes on straight in TS
_REACH_TS = 36.0  # the ensembles behind it
_PORTIONS = 48
_LIST_A_BATCH = 50

Rows = Callable[[int, int], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """The events of a sample, ready to be looked at in any direction.

    anywhere : a point source prepared on the sample, whose fingerprint names the events.
    """

    samples: Samples
    anywhere: Problem
    events: SkyEvents

    @property
    def seed(self) -> int:
        """Of background skies; scans, lists and extended searches share them on purpose."""
        return seed_of(self.samples.seed, Stream.SKIES)


def look_at(samples: Samples) -> Sky:
    """Prepare a sample for scans."""
    anywhere = prepared_on(direction(0.0, 0.0), samples)
    return Sky(samples, anywhere, sky_events(anywhere.prepared))


def check_nside(nside: int) -> int:
    """Raise ValueError for a resolution that no map has."""
    if nside not in NSIDES:
        raise ValueError(f"nside is {nside}; expected one of {', '.join(map(str, NSIDES))}")
    return nside


def fit_sky(sky: Sky, nside: int, bench: Bench) -> Floats:
    """Fits of all pixels (RING), (pixel, FIT_COLUMNS)."""
    data, n = turned(sky.events.right_ascension()), 12 * nside**2
    starts = np.append(np.asarray(hp.ringinfo(nside, np.arange(1, 4 * nside))[0]), n)
    # Portions end where circles do, so that no circle is prepared twice.
    edges = np.unique(starts[np.searchsorted(starts, np.linspace(0, n, _PORTIONS + 1).astype(np.int64))])
    portions = [np.arange(a, b) for a, b in pairwise(edges)]

    def work(pixels: Ints) -> Floats:
        return trials.fit_pixels(sky.events, [data], nside, [pixels])[0]

    out = np.empty((n, len(FIT_COLUMNS)))
    for pixels, rows in zip(portions, bench.map(work, portions, "pixels, in portions"), strict=True):
        out[pixels] = rows
    return out


# --- local p-values --------------------------------------------------------------------------------------------------


def _ensemble(samples: Samples, bench: Bench, n_trials: int, where: Hypothesis) -> tuple[Floats, Floats]:
    """TS and log-weights of tilted scrambles of one direction, from the store where they are there."""
    found = scrambles(prepared_on(where, samples), n_trials, _REACH_TS, bench)
    return found["ts"].values, found["log_weight"].values


def local_table(
    sky: Sky, where: tuple[Hypothesis, ...], declination: Floats, n_trials: int, bench: Bench
) -> trials.LocalP:
    """Local p-values at the declinations of directions, (direction,), each from an ensemble of its own; kept as a file.

    The TS they reach is that of 6 sigma; see ``LocalP`` for what is beyond.
    """
    targets = [astuple(s) for h in where if isinstance(h.target, Catalogue) for s in h.target.sources]
    details = repr((sky.anywhere.fingerprint, sky.samples.seed, n_trials, _MOST_TS, _REACH_TS, targets))
    path = bench.folder / "cache" / f"local-p-{hashlib.sha256(details.encode()).hexdigest()[:24]}.zarr.zip"
    if path.exists():
        kept = store.read_zip(path)
        return trials.LocalP(*(kept[name].values for name in ("declination", "root_ts", "log_p", "error", "reach")))
    work = partial(_ensemble, sky.samples, bench.here(), n_trials)
    found = bench.map(work, where, f"directions with {n_trials:,} scrambles each, for local p-values")
    table = trials.local_p(declination, found, _MOST_TS)
    dims = {"declination": "node", "root_ts": "step", "log_p": ("node", "step"), "error": ("node", "step")}
    values = {name: (dim, getattr(table, name)) for name, dim in dims.items()} | {"reach": ("node", table.reach)}
    store.write_zip(path, xr.Dataset(values))
    return table


def sky_table(sky: Sky, n_trials: int, bench: Bench) -> trials.LocalP:
    """Local p-values at a grid of declinations, for interpolation."""
    where = tuple(direction(0.0, float(dec)) for dec in TABLE_DECLINATIONS)
    return local_table(sky, where, TABLE_DECLINATIONS, n_trials, bench)


def places(catalogue: Catalogue) -> tuple[Floats, Floats, Floats]:
    """Right ascension, declination and extension of the sources, (source,) rad."""
    columns = [(s.right_ascension, s.declination, s.extension) for s in catalogue.sources]
    ra, dec, extension = np.array(columns).T
    return ra, dec, extension


def list_table(sky: Sky, catalogue: Catalogue, n_trials: int, bench: Bench) -> trials.LocalP:
    """Local p-values at every source, each from an ensemble of its own."""
    where = tuple(
        Hypothesis(f"each:{catalogue.name}/{s.name}", Catalogue(s.name, s.name, (s,), (1.0,), ""), 2.7, True)
        for s in catalogue.sources
    )
    return local_table(sky, where, places(catalogue)[1], n_trials, bench)


def own_log_p(table: trials.LocalP, ts: Floats) -> Floats:
    """ln of the local p-values of (sky, source) TS, each source with its own row of the table."""
    out = np.empty_like(ts)
    for k in range(ts.shape[1]):
        rows = (getattr(table, name)[k : k + 1] for name in ("log_p", "error", "reach"))
        own = trials.LocalP(table.declination[k : k + 1], table.root_ts, *rows)
        out[:, k] = own.log_p_of(float(table.declination[k]), ts[:, k])
    return out


# --- background skies ------------------------------------------------------------------------------------------------


def digest(table: trials.LocalP) -> str:
    """What tells one table of local p-values from another."""
    return hashlib.sha256(table.log_p.tobytes() + table.declination.tobytes()).hexdigest()


def kept_skies(
    sky: Sky,
    kind: str,
    decides: tuple[object, ...],
    columns: tuple[str, ...],
    n: int,
    batch: int,
    rows: Rows,
    bench: Bench,
) -> xr.Dataset:
    """Rows of n background skies from the trial store, made where they are missing; one variable a column.

    decides : what the rows depend on besides the events and the seed.
    """
    details = repr((kind, sky.anywhere.fingerprint, sky.samples.seed, decides))
    attrs: dict[str, object] = {
        "seed": sky.samples.seed, "kind": kind, "samples": [s.name for s in sky.samples.seasons],
    }  # fmt: skip
    wanted = Ensemble(kind, hashlib.sha256(details.encode()).hexdigest(), columns, n, batch, attrs)
    return bench.fill(wanted, rows)


def list_skies(sky: Sky, catalogue: Catalogue, table: trials.LocalP, n: int, smear: float, bench: Bench) -> Floats:
    """ln of the local p-value of every source on n background skies, (sky, source); smear in rad."""
    at = places(catalogue)

    def rows(first: int, last: int) -> Floats:
        return trials.source_trials(sky.events, at, sky.seed, first, last, smear)

    names = tuple(f"ts_{k}" for k in range(len(catalogue.sources)))
    decides = (tuple(map(astuple, catalogue.sources)), smear)
    found = kept_skies(sky, "list", decides, names, n, _LIST_A_BATCH, rows, bench)
    return own_log_p(table, np.stack([found[name].values for name in names], axis=1))


def of_skies(met: Bools, what: str = "") -> Chance:
    """The global chance of what happened in some of the background skies, the data counted as one of them."""
    return tail_of(met, f"{GLOBAL}{what and ', '}{what}", SKIES, "global")


# --- records ---------------------------------------------------------------------------------------------------------


class Spot(Record):
    """A fit in one direction: where, what was fitted, local and, where skies were asked for, global chance."""

    at: Position = shown("where", short="RA   dec")
    n_signal: float = shown("fitted signal events", form=".1f", short="n_s")
    index: float | None = shown("fitted spectral index; null where nothing was fitted", None, form=".2f")
    ts: float = shown("test statistic TS", form=".2f", short="TS")
    local: Chance = shown("chance of this direction alone", short="local p")
    chance: Chance | Unknown = shown("chance of the best of all", short="global p")


def local_chance(log_p: float, error: float, n_trials: int, *, extrapolated: bool) -> Chance:
    """A local p-value from its table; error : relative."""
    p = float(np.exp(log_p))
    beyond = Unknown(reason="beyond what the trials reach")
    return Chance(
        p=p,
        error=beyond if extrapolated else p * error,
        n_trials=n_trials,
        extrapolated=extrapolated,
        of=LOCAL,
        method="tilted scrambles at this declination",
    )


def spot_of(row: Floats, table: trials.LocalP, n_trials: int, chance: Chance | Unknown) -> Spot:
    """A hottest spot, a row of ``trials.SPOT_COLUMNS``."""
    spot = dict(zip(trials.SPOT_COLUMNS, map(float, row), strict=True))
    dec, ts = spot["declination"], spot["ts"]
    beyond = ts > float(np.interp(dec, table.declination, table.reach)) ** 2
    return Spot(
        at=position(spot["right_ascension"], dec),
        n_signal=spot["n_signal"],
        index=spot["index"] if spot["n_signal"] > 0 else None,
        ts=ts,
        local=local_chance(spot["log_p"], table.error_of(dec, ts), n_trials, extrapolated=beyond),
        chance=chance,
    )
