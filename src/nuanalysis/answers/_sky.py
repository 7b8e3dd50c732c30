"""What a scan, a list of sources and a search for extended ones share: any direction fitted, local and global p-values.

A direction's p-value alone is *local*; that of the best of many directions, from background skies searched in the same
way, is *global*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import Annotated, cast

import numpy as np
from pydantic import AfterValidator

from nuanalysis import store, trials
from nuanalysis.answers._ensembles import counted, scrambles
from nuanalysis.answers._question import Fitted, direction, prepared_on_seasons
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench, Ensemble, Kept
from nuanalysis.engine.ensembles import Problem
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import SkyEvents, sky_events
from nuanalysis.model import Hypothesis
from nuanalysis.records import Chance, Unknown, certain, setting
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue
from nuanalysis.store.sky_maps import LOCAL
from nuanalysis.trials.streams import Stream, seed_of

NSIDES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GLOBAL = "the smallest local p-value of a background sky, searched in the same way, is as small"
METHOD = "right-ascension scrambles; local p-values from tilted ensembles"
NO_SKIES = Unknown(reason="asked without background skies")
# Dense towards the poles, where circles are short and the distribution of TS changes fastest.
_POLAR = (60.0, 66.0, 71.0, 75.0, 79.0, 82.0)
TABLE_DECLINATIONS = np.radians([*(-d for d in reversed(_POLAR)), *np.arange(-50.0, 51.0, 10.0), *_POLAR])
MOST_TS = 49.0  # of a table; beyond, ln p goes on straight in TS
_REACH_TS = 36.0  # the ensembles behind it
_TABLE = {"declination": "node", "root_ts": "step", "log_p": ("node", "step"), "error": ("node", "step"),
          "reach": "node"}  # fmt: skip


def _an_nside(nside: int) -> int:
    if nside not in NSIDES:
        raise ValueError(f"nside is {nside}; expected one of {', '.join(map(str, NSIDES))}")
    return nside


Nside = Annotated[int, AfterValidator(_an_nside)]
NSkies = Annotated[
    int, setting(low=0, high=10_000_000, help="background skies for global p-values; 0: local ones alone")
]
LocalTrials = Annotated[int, setting(low=200, high=10_000_000, help="tilted scrambles behind each local p-value")]


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """The events of a sample on a bench, ready to be looked at in any direction.

    anywhere : a point source prepared on them, whose fingerprint names them.  kept : its SkyEvents, for every task.
    """

    anywhere: Problem
    kept: Kept
    bench: Bench

    @property
    def events(self) -> SkyEvents:
        """What every direction shares."""
        return cast(SkyEvents, self.kept.value)


def look_at(samples: Samples, bench: Bench) -> Sky:
    """Prepare a sample for fits in any direction."""
    anywhere = prepared_on_seasons(direction(0.0, 0.0), samples.seasons, samples.seed)
    return Sky(anywhere, bench.keep(sky_events(anywhere.prepared), f"sky-{anywhere.fingerprint}"), bench)


def fitted_row(row: Floats) -> Fitted:
    """A fit, (FIT_COLUMNS,), as it is published."""
    ts, n_signal, index, converged = map(float, row)
    return Fitted(ts=ts, n_signal=n_signal, index=index if n_signal > 0 else None, converged=bool(converged))


def _ensemble(kept: Kept, seed: int, n_trials: int, bench: Bench, where: Hypothesis) -> tuple[Floats, Floats]:
    """TS and log-weights of tilted scrambles of one direction, from the store where they are there."""
    seasons = tuple(part.sample for part in kept.value.problem.parts)
    found = scrambles(prepared_on_seasons(where, seasons, seed), n_trials, _REACH_TS, bench)
    return found["ts"].values, found["log_weight"].values


def local_table(sky: Sky, where: Sequence[Hypothesis], declination: Floats, n_trials: int) -> trials.LocalP:
    """Local p-values at the declinations of sources, (source,), each from an ensemble of its own; kept as a file.

    The TS they reach is that of 6 sigma; see ``LocalP`` for what is beyond.
    """
    bench, seed = sky.bench, sky.anywhere.seed
    targets = [astuple(s) for h in where if isinstance(h.target, Catalogue) for s in h.target.sources]
    details = repr((sky.anywhere.fingerprint, seed, n_trials, MOST_TS, _REACH_TS, targets))
    path = bench.folder / "cache" / f"local-p-{hashlib.sha256(details.encode()).hexdigest()[:24]}.zarr.zip"
    if path.exists():
        kept = store.read_zip(path)
        return trials.LocalP(*(kept[name].values for name in _TABLE))
    work = partial(_ensemble, sky.kept, seed, n_trials, bench.here())
    found = bench.map(work, where, f"local p-values, {n_trials:,} trials each", (sky.kept,))
    table = trials.local_p(declination, found, MOST_TS)
    store.write_zip(path, xr.Dataset({name: (dims, getattr(table, name)) for name, dims in _TABLE.items()}))
    return table


def nodes(low: float, high: float) -> Floats:
    """The declinations of tables that surround a range, (node,) rad."""
    first = max(int(np.searchsorted(TABLE_DECLINATIONS, low, side="right")) - 1, 0)
    return np.asarray(TABLE_DECLINATIONS[first : int(np.searchsorted(TABLE_DECLINATIONS, high, side="left")) + 1])


def sky_table(
    sky: Sky, n_trials: int, *, extension: float = 0.0, low: float = -np.pi / 2, high: float = np.pi / 2
) -> trials.LocalP:
    """Local p-values of sources of one extension at a grid of declinations around a range (rad), to interpolate."""
    grid = nodes(low, high)
    return local_table(sky, [direction(0.0, float(dec), extension) for dec in grid], grid, n_trials)


def local_chance(table: trials.LocalP, declination: float, ts: float, log_p: float, n_trials: int) -> Chance:
    """The local p-value exp(log_p) that a table gives a TS at a declination, rad."""
    if ts <= 0.0:
        return certain()
    p, beyond = float(np.exp(log_p)), ts > float(np.interp(declination, table.declination, table.reach)) ** 2
    error = Unknown(reason="beyond what the trials reach") if beyond else p * table.error_of(declination, ts)
    return Chance(p=p, error=error, n_trials=n_trials, extrapolated=beyond, of=LOCAL, method=METHOD)


@dataclass(frozen=True, slots=True, eq=False)
class Skies:
    """What is asked of background skies: rows (sky, column) are ``work(events, *about, seed, first, last, *smear)``.

    kind : of their store.  decides : all that rows depend on besides the events, the seed and the smearing.
    batch : skies of one task.  smear : width in rad by which declinations are smeared; () for a work that cannot.
    """

    kind: str
    work: Callable[..., Floats]
    about: tuple[object, ...]
    decides: tuple[object, ...]
    columns: tuple[str, ...]
    batch: int
    smear: tuple[float, ...] = ()
    stream: Stream = Stream.SKIES


def digest(table: trials.LocalP) -> str:
    """sha256 of a table of local p-values."""
    return hashlib.sha256(table.log_p.tobytes() + table.declination.tobytes()).hexdigest()


def _rows(kept: Kept, asked: Skies, seed: int, first: int, last: int) -> Floats:
    return asked.work(kept.value, *asked.about, seed, first, last, *asked.smear)


def background(sky: Sky, asked: Skies, n: int) -> xr.Dataset:
    """What n background skies hold, from the store where it is there; one variable a column."""
    seed = seed_of(sky.anywhere.seed, asked.stream)
    details = repr((asked.kind, sky.anywhere.fingerprint, seed, asked.decides, asked.smear))
    attrs: dict[str, object] = {
        "seed": seed, "kind": asked.kind, "samples": [season.name for season in sky.anywhere.samples],
    }  # fmt: skip
    weights = "log_weight" if "log_weight" in asked.columns else ""
    key = hashlib.sha256(details.encode()).hexdigest()
    wanted = Ensemble(asked.kind, key, asked.columns, n, asked.batch, attrs, weights)
    return sky.bench.fill(wanted, partial(_rows, sky.kept, asked, seed), (sky.kept,))


def global_chance(skies: Floats | None, value: float, of: str) -> Chance | Unknown:
    """The chance of a value as small in a background sky, the data counted as one; without skies there is none.

    skies : (sky,), or (sky, search), of which the smallest counts.  of : what it is the chance of.
    """
    if skies is None:
        return NO_SKIES
    least = skies if skies.ndim == 1 else skies.min(axis=1)
    return counted(trials.tail(least <= value), of, METHOD, "global")
