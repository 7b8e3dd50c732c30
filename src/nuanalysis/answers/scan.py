"""The whole sky and lists of sources: fits, local p-values, hottest spots and their global p-values, as documents.

A direction's p-value alone is *local*; that of the best of many directions, from background skies searched in the same
way, is *global*.  Background skies go through the trial store: a killed call goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import norm

from nuanalysis import plot, store, trials
from nuanalysis.answers import inference
from nuanalysis.answers.inference import Problem
from nuanalysis.answers.source_table import source_list_table
from nuanalysis.engine.ensembles import Progress
from nuanalysis.engine.executors import Executor, Threads
from nuanalysis.errors import InputError
from nuanalysis.interpret.population import population, smallest_binomial
from nuanalysis.likelihood import FIT_COLUMNS, SkyEvents, fit_directions, sky_events, turned
from nuanalysis.model import Hypothesis, Sample
from nuanalysis.records import Provenance
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.store.sky_maps import LOCAL, SkyMap, map_fits, multi_order_fits, plane_fits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = Callable[[int, int], Floats]

NSIDES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DEFAULT_SKIES = 100
LOCAL_TRIALS = 2000  # tilted scrambles at each declination of the table of local p-values
SOURCE_TRIALS = 1000  # the same at each source of a list
GLOBAL = "global: chance that the smallest local p-value of a background sky, searched in the same way, is as small"
METHOD = "right-ascension scrambles; local p-values from tilted ensembles at a grid of declinations"
# Dense towards the poles, where circles are short and the distribution of TS changes fastest.
_POLAR = (60.0, 66.0, 71.0, 75.0, 79.0, 82.0)
TABLE_DECLINATIONS = np.radians([*(-d for d in reversed(_POLAR)), *np.arange(-50.0, 51.0, 10.0), *_POLAR])
MOST_TS = 49.0  # of the table; beyond, ln p goes on straight in TS
_REACH_TS = 36.0  # the ensembles behind it
LEAST_DEEP = 50
_SKIES_A_BATCH, _LIST_A_BATCH = 20, 50
_PORTIONS = 48
_SKY_SEED = 32_452_843  # background skies have seeds of their own
_DEEP_SEED = 49_979_687


# --- what is scanned -------------------------------------------------------------------------------------------------


def direction(ra: float, dec: float) -> Hypothesis:
    """A point source at right ascension and declination in rad, its index free."""
    name = f"point:{np.degrees(ra):.6g},{np.degrees(dec):.6g}"
    return Hypothesis(name, Catalogue(name, name, (PointSource(name, ra, dec),), (1.0,), "a direction"), 2.7, True)


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """The events of samples, ready to be looked at in any direction; where stored trials live, and the seed.

    anywhere : a point source prepared on the samples, whose fingerprint names them.
    """

    anywhere: Problem
    events: SkyEvents

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples."""
        return self.anywhere.samples


def look_at(samples: tuple[Sample, ...], folder: Path, seed: int) -> Sky:
    """Prepare samples for scans."""
    anywhere = inference.pose(direction(0.0, 0.0), samples, folder, seed)
    return Sky(anywhere, sky_events(anywhere.prepared))


def check(nside: int, skies: int, smear: float, deep: int = 0) -> None:
    """Raise InputError, with all faults, for a scan that cannot be made.  smear in deg."""
    faults = []
    if deep < 0 or 0 < deep < LEAST_DEEP:
        faults.append(f"--deep is {deep}; expected 0, or at least {LEAST_DEEP} skies")
    if deep and smear:
        faults.append("--deep and --smear-declination exclude each other: tilted skies keep their declinations")
    if nside not in NSIDES:
        faults.append(f"--nside is {nside}; expected one of {', '.join(map(str, NSIDES))}")
    if skies < 0:
        faults.append(f"--skies is {skies}; expected 0 for no global p-value, or more")
    if not 0.0 <= smear <= 10.0:
        faults.append(f"--smear-declination is {smear:g}; expected 0 to 10 degrees (IceCube 2023: 3)")
    if faults:
        raise InputError("; ".join(faults))


def scan(sky: Sky, nside: int, executor: Executor, progress: Progress) -> Floats:
    """Fits of all pixels (RING), (pixel, FIT_COLUMNS)."""
    data, n = turned(sky.events.right_ascension()), 12 * nside**2
    starts = np.append(np.asarray(hp.ringinfo(nside, np.arange(1, 4 * nside))[0]), n)
    # Portions end where circles do, so that no circle is prepared twice.
    edges = np.unique(starts[np.searchsorted(starts, np.linspace(0, n, _PORTIONS + 1).astype(np.int64))])
    portions = [np.arange(a, b) for a, b in pairwise(edges)]
    out, done, said = np.empty((n, len(FIT_COLUMNS))), 0, time.monotonic()

    def work(pixels: Ints) -> Floats:
        return trials.fit_pixels(sky.events, [data], nside, [pixels])[0]

    for position, rows in executor.map(work, portions):
        out[portions[position]] = rows
        done += len(rows)
        if time.monotonic() - said > 2.0:
            said = time.monotonic()
            progress(f"  {done} of {n} pixels")
    return out


# --- local p-values --------------------------------------------------------------------------------------------------


def _ensemble(
    samples: tuple[Sample, ...], folder: Path, seed: int, n_trials: int, reach: float, where: Hypothesis
) -> tuple[Floats, Floats]:
    """TS and log-weights of tilted scrambles of one direction, from the store where they are there."""
    problem = inference.pose(where, samples, folder, seed)
    # A thread shares the problem; any other executor would keep 10 MB a direction as a file.
    found = inference.scrambles(problem, n_trials, reach, Threads(1), lambda line: None)
    return found["ts"].values, found["log_weight"].values


def local_table(
    sky: Sky,
    where: tuple[Hypothesis, ...],
    declination: Floats,
    n_trials: int,
    executor: Executor,
    progress: Progress,
) -> trials.LocalP:
    """Local p-values at the declinations of directions, (direction,), each from an ensemble of its own; kept as a file.

    The TS they reach is that of 6 sigma; see ``LocalP`` for what is beyond.
    """
    samples, folder, seed = sky.samples, sky.anywhere.folder, sky.anywhere.seed
    targets = [astuple(s) for h in where if isinstance(h.target, Catalogue) for s in h.target.sources]
    details = repr((sky.anywhere.fingerprint, seed, n_trials, MOST_TS, _REACH_TS, targets))
    path = folder / "cache" / f"local-p-{hashlib.sha256(details.encode()).hexdigest()[:24]}.zarr.zip"
    if path.exists():
        kept = store.read_zip(path)
        return trials.LocalP(*(kept[name].values for name in ("declination", "root_ts", "log_p", "error", "reach")))
    found: list[tuple[Floats, Floats]] = [(np.empty(0), np.empty(0))] * len(where)
    work, said = partial(_ensemble, samples, folder, seed, n_trials, _REACH_TS), 0.0
    for done, (position, rows) in enumerate(executor.map(work, where), start=1):
        found[position] = rows
        if time.monotonic() - said < 2.0 and done < len(where):
            continue
        said = time.monotonic()
        progress(f"  local p-values: {done} of {len(where)} declinations, {n_trials} trials each")
    table = trials.local_p(declination, found, MOST_TS)
    dims = {"declination": "node", "root_ts": "step", "log_p": ("node", "step"), "error": ("node", "step")}
    values = {name: (dim, getattr(table, name)) for name, dim in dims.items()} | {"reach": ("node", table.reach)}
    store.write_zip(path, xr.Dataset(values))
    return table


def sky_table(sky: Sky, n_trials: int, executor: Executor, progress: Progress) -> trials.LocalP:
    """Local p-values at a grid of declinations, for interpolation."""
    where = tuple(direction(0.0, float(dec)) for dec in TABLE_DECLINATIONS)
    return local_table(sky, where, TABLE_DECLINATIONS, n_trials, executor, progress)


# --- background skies ------------------------------------------------------------------------------------------------


def _stored(
    sky: Sky,
    kind: str,
    decides: tuple[object, ...],
    columns: tuple[str, ...],
    n: int,
    batch: int,
    rows: Rows,
    executor: Executor,
    progress: Progress,
) -> xr.Dataset:
    """Rows first..last-1 of n from the trial store, made where they are missing; one variable a column.

    decides : what the rows depend on besides the events and the seed.
    """
    folder, seed = sky.anywhere.folder, sky.anywhere.seed
    details = hashlib.sha256(repr((kind, sky.anywhere.fingerprint, seed, decides)).encode()).hexdigest()
    path = folder / "trials" / f"{kind}-{details[:24]}.zarr"
    path.parent.mkdir(parents=True, exist_ok=True)
    attrs = {"seed": seed, "kind": kind, "samples": [s.name for s in sky.samples]}
    if (path / "zarr.json").exists():
        batch = store.ensemble_layout(path).batch
    store.create_ensemble(path, fingerprint=details, columns=columns, n_trials=n, batch=batch, attrs=attrs)
    total = store.ensemble_layout(path).n_trials
    missing = [k for k in store.missing_batches(path) if k * batch < n]
    started = time.monotonic()
    for done, (position, found) in enumerate(
        executor.map(lambda k: rows(k * batch, min((k + 1) * batch, total)), missing), start=1
    ):
        store.write_batch(path, missing[position], found)
        left = (time.monotonic() - started) / done * (len(missing) - done)
        progress(f"  background skies: {done} of {len(missing)} batches of {batch}, {left:.0f} s left")
    return store.read_ensemble(path, n_trials=n)


def _digest(table: trials.LocalP) -> str:
    return hashlib.sha256(table.log_p.tobytes() + table.declination.tobytes()).hexdigest()


def background_skies(
    sky: Sky, table: trials.LocalP, nside: int, n: int, smear: float, executor: Executor, progress: Progress
) -> xr.Dataset:
    """Hottest spots of n background skies, one variable a column of ``trials.SKY_COLUMNS``; smear in rad."""
    search, seed = trials.search_for(sky.events, nside), (sky.anywhere.seed + _SKY_SEED) % 2**63

    def rows(first: int, last: int) -> Floats:
        return trials.sky_trials(sky.events, table, search, seed, first, last, smear)

    decides = (_digest(table), search, smear)
    return _stored(sky, "skies", decides, trials.SKY_COLUMNS, n, _SKIES_A_BATCH, rows, executor, progress)


def deep_skies(
    sky: Sky, table: trials.LocalP, nside: int, n: int, ts: float, executor: Executor, progress: Progress
) -> xr.Dataset:
    """Hottest spots of n skies tilted for spots of about this TS, with their weights: ``trials.DEEP_COLUMNS``."""
    search, seed = trials.search_for(sky.events, nside), (sky.anywhere.seed + _DEEP_SEED) % 2**63
    ts = float(np.ceil(ts / 4.0)) * 4.0  # upwards, so that slightly different requests share an ensemble
    tilts = trials.sky_tilts(sky.events, nside, ts)

    def rows(first: int, last: int) -> Floats:
        return trials.deep_sky_trials(sky.events, table, search, tilts, seed, first, last)

    decides = (_digest(table), search, ts)
    return _stored(sky, "deep-skies", decides, trials.DEEP_COLUMNS, n, _SKIES_A_BATCH, rows, executor, progress)


def _deep_chance(met: NDArray[np.bool_], log_weight: Floats, what: str) -> dict[str, Any]:
    """The chance of what happened in some of the tilted skies, weighted back to the null."""
    weight = np.where(met, np.exp(log_weight), 0.0)
    p, error = float(weight.mean()), float(weight.std(ddof=1) / np.sqrt(len(weight)))
    return {
        "p": p,
        "p_error": error,
        "sigma": float(norm.isf(p)) if 0.0 < p < 1.0 else None,
        "n_skies": len(weight),
        "ess": float(weight.sum() ** 2 / max((weight**2).sum(), 1e-300)),
        "kind": what + "; from tilted skies weighted back to the null",
    }


def _add_deep(spots: list[dict[str, Any]], found: Floats, deep: xr.Dataset) -> dict[str, Any]:
    """Give each spot its chance from tilted skies, ``p_global_deep``; returns that of the better one anywhere."""
    least = []
    for spot, row in zip(spots, found, strict=True):
        values = deep[f"log_p_{spot['hemisphere']}"].values
        what = GLOBAL + f", {spot['hemisphere']}"
        spot["p_global_deep"] = _deep_chance(values <= row[0], deep["log_weight"].values, what)
        least.append(values)
    met = np.minimum(*least) <= found[:, 0].min()
    return _deep_chance(met, deep["log_weight"].values, GLOBAL + ", both hemispheres")


def _chance(met: NDArray[np.bool_], what: str) -> dict[str, Any]:
    """The chance of what happened in some of the background skies, the data counted as one of them."""
    found = trials.tail(met)
    sigma = float(norm.isf(found.p)) if 0.0 < found.p < 1.0 else None
    return {
        "p": found.p,
        "p_error": found.error,
        "upper_bound_90": found.upper_bound,
        "sigma": sigma,
        "n_skies": found.n_trials,
        "kind": what,
    }


def _local(log_p: float, error: float, extrapolated: bool) -> dict[str, Any]:
    p = float(np.exp(log_p))
    return {
        "p": p,
        "p_error": p * error if not extrapolated else None,
        "sigma": float(norm.isf(p)) if p < 1.0 else None,
        "extrapolated": extrapolated,
        "kind": LOCAL,
    }


def _position(ra: float, dec: float) -> dict[str, float]:
    """ICRS and Galactic coordinates, deg, of a direction in rad."""
    lon, lat = hp.Rotator(coord=["C", "G"])(np.degrees(ra), np.degrees(dec), lonlat=True)
    return {
        "ra_deg": float(np.degrees(ra)),
        "dec_deg": float(np.degrees(dec)),
        "l_deg": float(np.ravel(lon)[0]) % 360.0,
        "b_deg": float(np.ravel(lat)[0]),
    }


def _spot(which: str, row: Floats, table: trials.LocalP, skies: xr.Dataset | None) -> dict[str, Any]:
    spot = dict(zip(trials.SPOT_COLUMNS, map(float, row), strict=True))
    dec, ts = spot["declination"], spot["ts"]
    beyond = ts > float(np.interp(dec, table.declination, table.reach)) ** 2
    chance = None
    if skies is not None:
        chance = _chance(skies[f"log_p_{which}"].values <= spot["log_p"], GLOBAL + f", {which}")
    return {
        "hemisphere": which,
        **_position(spot["right_ascension"], dec),
        "n_s": spot["n_signal"],
        "index": spot["index"] if spot["n_signal"] > 0 else None,
        "ts": ts,
        "p_local": _local(spot["log_p"], table.error_of(dec, ts), beyond),
        "p_global": chance,
    }


# --- the answer ------------------------------------------------------------------------------------------------------


def _head(sky: Sky, sample_name: str) -> dict[str, Any]:
    described = inference.describe(sky.anywhere, sample_name)
    return {key: described[key] for key in ("sample", "origin", "n_events", "seed", "injected", "notes", "fingerprint")}


def scan_record(
    sky: Sky,
    sample_name: str,
    nside: int,
    n_skies: int,
    executor: Executor,
    progress: Progress,
    *,
    smear: float = 0.0,
    local_trials: int = LOCAL_TRIALS,
    n_deep: int = 0,
) -> tuple[dict[str, Any], SkyMap]:
    """Everything the package says about the sky of a sample, and its map; smear in rad.

    n_deep : skies tilted towards hot spots, for global p-values that plain skies do not reach.
    """
    started = time.monotonic()
    fits = scan(sky, nside, executor, progress)
    seconds_scan = time.monotonic() - started
    progress(f"{sample_name}: {len(fits)} pixels fitted in {seconds_scan:.1f} s, largest TS {fits[:, 0].max():.2f}")
    table = sky_table(sky, local_trials, executor, progress)
    pixels = np.arange(len(fits))
    log_p = trials.log_p_map(table, nside, pixels, fits[:, 0])
    skies, skies_started = None, time.monotonic()
    if n_skies:
        skies = background_skies(sky, table, nside, n_skies, smear, executor, progress)
    found = trials.hottest(nside, pixels, log_p, fits)
    spots = [_spot(which, row, table, skies) for which, row in zip(trials.HEMISPHERES, found, strict=True)]
    anywhere = None
    if skies is not None:
        least = np.minimum(*(skies[f"log_p_{which}"].values for which in trials.HEMISPHERES))
        anywhere = _chance(least <= found[:, 0].min(), GLOBAL + ", both hemispheres")
    tilted: dict[str, Any] = {}
    if n_deep:
        deep = deep_skies(sky, table, nside, n_deep, float(found[:, 1].max()), executor, progress)
        tilted = {"n_deep": n_deep, "p_global_deep_all_sky": _add_deep(spots, found, deep)}
    map_ = SkyMap(
        nside,
        fits[:, 0],
        fits[:, 1],
        fits[:, 2],
        0.0 - log_p / np.log(10.0),
        local_trials,  # no minus before 0
    )
    document = {
        **_head(sky, sample_name),
        "nside": nside,
        "pixels": len(fits),
        "index_free": True,
        "not_converged": int((fits[:, 3] < 1).sum()),
        "hottest": spots,
        "p_global_all_sky": anywhere,
        "n_skies": n_skies,
        **tilted,
        "smear_declination_deg": float(np.degrees(smear)),
        "search": "spots are looked for at declinations up to 82 deg; local p-values exist there alone",
        "method": METHOD,
        "local_trials": local_trials,
        "seconds_scan": seconds_scan,
        "seconds_skies": time.monotonic() - skies_started,
        "seconds": time.monotonic() - started,
    }
    return document, map_


def _sources(catalogue: Catalogue) -> tuple[Floats, Floats, Floats]:
    """Right ascension, declination and extension, (source,) rad."""
    columns = [(s.right_ascension, s.declination, s.extension) for s in catalogue.sources]
    ra, dec, extension = np.array(columns).T
    return ra, dec, extension


def list_table(sky: Sky, catalogue: Catalogue, n_trials: int, executor: Executor, progress: Progress) -> trials.LocalP:
    """Local p-values at every source, each from an ensemble of its own."""
    where = tuple(
        Hypothesis(f"each:{catalogue.name}/{s.name}", Catalogue(s.name, s.name, (s,), (1.0,), ""), 2.7, True)
        for s in catalogue.sources
    )
    return local_table(sky, where, _sources(catalogue)[1], n_trials, executor, progress)


def list_skies(
    sky: Sky,
    catalogue: Catalogue,
    table: trials.LocalP,
    n: int,
    smear: float,
    executor: Executor,
    progress: Progress,
) -> Floats:
    """ln of the local p-value of every source on n background skies, (sky, source); smear in rad."""
    at, seed = _sources(catalogue), (sky.anywhere.seed + _SKY_SEED) % 2**63

    def rows(first: int, last: int) -> Floats:
        return trials.source_trials(sky.events, at, seed, first, last, smear)

    names = tuple(f"ts_{k}" for k in range(len(catalogue.sources)))
    decides = (tuple(map(astuple, catalogue.sources)), smear)
    found = _stored(sky, "list", decides, names, n, _LIST_A_BATCH, rows, executor, progress)
    return _own_log_p(table, np.stack([found[name].values for name in names], axis=1))


def sources_record(
    sky: Sky,
    sample_name: str,
    catalogue: Catalogue,
    n_skies: int,
    executor: Executor,
    progress: Progress,
    *,
    smear: float = 0.0,
    local_trials: int = SOURCE_TRIALS,
) -> dict[str, Any]:
    """Every source of a catalogue: fit and local p-value, the best with its global one, and the binomial test.

    Local p-values are those of ensembles at each source's own place; ``n_skies`` correlated skies give the global ones.
    """
    started = time.monotonic()
    at = _sources(catalogue)
    fits = fit_directions(sky.events, turned(sky.events.right_ascension()), *at)
    progress(f"{sample_name}: {len(fits)} sources of {catalogue.name} fitted, largest TS {fits[:, 0].max():.2f}")
    table = list_table(sky, catalogue, local_trials, executor, progress)
    local = _own_log_p(table, fits[None, :, 0])[0]
    background = list_skies(sky, catalogue, table, n_skies, smear, executor, progress) if n_skies else None
    order = np.argsort(local, kind="stable")
    listed = [_source_row(catalogue.sources[k], fits[k], float(local[k]), table, int(k)) for k in order]
    best = int(order[0])
    return {
        **_head(sky, sample_name),
        "catalogue": catalogue.name,
        "label": catalogue.label,
        "reference": catalogue.reference,
        "n_sources": len(fits),
        "index_free": True,
        "best": {
            "source": catalogue.sources[best].name,
            "p_local": listed[0]["p_local"],
            "p_global": None
            if background is None
            else _chance(background.min(axis=1) <= local[best], GLOBAL + ", all sources of the list"),
        },
        "population": _population_record(np.exp(local), None if background is None else np.exp(background)),
        "sources": listed,
        "n_skies": n_skies,
        "smear_declination_deg": float(np.degrees(smear)),
        "local_trials": local_trials,
        "method": "right-ascension scrambles; local p-values from tilted ensembles at each source",
        "seconds": time.monotonic() - started,
    }


def _own_log_p(table: trials.LocalP, ts: Floats) -> Floats:
    """ln of the local p-values of (sky, source) TS, each source with its own row of the table."""
    out = np.empty_like(ts)
    for k in range(ts.shape[1]):
        own = trials.LocalP(
            table.declination[k : k + 1],
            table.root_ts,
            table.log_p[k : k + 1],
            table.error[k : k + 1],
            table.reach[k : k + 1],
        )
        out[:, k] = own.log_p_of(float(table.declination[k]), ts[:, k])
    return out


def _source_row(source: PointSource, fit: Floats, log_p: float, table: trials.LocalP, k: int) -> dict[str, Any]:
    ts, n_signal, index, converged = map(float, fit)
    error = float(np.interp(np.sqrt(ts), table.root_ts, table.error[k])) if ts > 0 else 0.0
    return {
        "source": source.name,
        **_position(source.right_ascension, source.declination),
        "extension_deg": float(np.degrees(source.extension)),
        "n_s": n_signal,
        "index": index if n_signal > 0 else None,
        "ts": ts,
        "converged": bool(converged),
        "p_local": _local(log_p, error, ts > float(table.reach[k]) ** 2),
    }


def _population_record(p_local: Floats, background: Floats | None) -> dict[str, Any]:
    """The binomial test of the list: local, and global from skies (sky, source) of local p-values."""
    found = population(p_local)
    chance = None
    if background is not None:
        what = "global: chance that the smallest binomial probability over k of a background sky is as small"
        chance = _chance(smallest_binomial(background)[1] <= found.p, what)
    return {
        "k": found.k,
        "p_threshold": found.p_threshold,
        "p_binomial": found.p,
        "kind": "binomial probability of k or more sources at or below p_threshold, smallest over k; local",
        "p_global": chance,
    }


# --- files -----------------------------------------------------------------------------------------------------------


def whose(document: Mapping[str, Any]) -> Provenance:
    """Whose events a scan is of."""
    keys = ("sample", "origin", "n_events", "seed", "injected", "notes")
    return Provenance(**{key: document[key] for key in keys if key in document})


def _p_on_page(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "not asked for"
    if record.get("upper_bound_90") is not None:
        return f"< {record['upper_bound_90']:.2g} (90 %: none of {record['n_skies']} skies)"
    error = record.get("p_error")
    beyond = " (extrapolated)" if record.get("extrapolated") else ""
    return f"{record['p']:.3g}" + (f" ± {error:.1g}" if error is not None else beyond)


def page(document: Mapping[str, Any], map_: SkyMap) -> str:
    """A scan as a page to look at."""
    spots = [
        plot.HotSpot(
            spot["hemisphere"], float(np.radians(spot["ra_deg"])), float(np.radians(spot["dec_deg"])),
            spot["ts"], spot["n_s"], spot["index"], _p_on_page(spot["p_local"]), _p_on_page(spot["p_global"]),
        )
        for spot in document["hottest"]
    ]  # fmt: skip
    return plot.sky_page(map_, whose(document), spots)


def write(output: Path, document: dict[str, Any], map_: SkyMap, *, plane: bool) -> dict[str, Any]:
    """Write the maps, a page to look at and the document into a folder; returns it with the names of its files."""
    files = {"map": "skymap.fits", "multi_order": "skymap.multiorder.fits", "page": "sky.html"}
    store.atomic_write(output / files["page"], page(document, map_).encode())
    store.atomic_write(output / files["map"], map_fits(map_, whose(document)))
    store.atomic_write(output / files["multi_order"], multi_order_fits(map_, whose(document)))
    if plane:
        files["plane"] = "plane.fits"
        store.atomic_write(output / files["plane"], plane_fits(map_, whose(document)))
    return _with_document(output, document, files, "scan.json")


def write_sources(output: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Write the table of a source list and the document into a folder; returns it with the names of its files."""
    files = {"table": "sources.ecsv"}
    store.atomic_write(output / files["table"], source_list_table(document))
    return _with_document(output, document, files, "sources.json")


def _with_document(output: Path, document: dict[str, Any], files: dict[str, str], name: str) -> dict[str, Any]:
    """The document with the names of all files, written among them."""
    said = {**document, "files": {kind: str(output / at) for kind, at in {**files, "document": name}.items()}}
    store.atomic_write(output / name, json.dumps(said, indent=2, allow_nan=False).encode())
    return said


# --- in words --------------------------------------------------------------------------------------------------------


def _number(value: float | None, form: str = ".3g") -> str:
    return "-" if value is None else format(value, form)


def _p_words(record: dict[str, Any] | None, name: str) -> str:
    if record is None:
        return f"{name} p not asked for"
    if record.get("upper_bound_90") is not None:
        return f"{name} p < {record['upper_bound_90']:.2g} (90 %: none of {record['n_skies']} skies)"
    sign = "extrapolated" if record.get("extrapolated") else f"+- {_number(record['p_error'], '.1g')}"
    return f"{name} p {record['p']:.3g} {sign} ({_number(record['sigma'], '.2f')} sigma)"


def _first_line(document: dict[str, Any]) -> str:
    events = "SYNTHETIC events" if document["origin"] == "synthetic" else "real events"
    injected = f", injected: {document['injected']}" if document["injected"] else ""
    return f"{document['sample']}: {document['n_events']} {events}{injected}, seed {document['seed']}"


def scan_in_words(document: dict[str, Any]) -> str:
    """A scan for a terminal."""
    lines = [_first_line(document), f"{document['pixels']} pixels, {document['n_skies']} background skies"]
    for spot in document["hottest"]:
        lines += [
            f"hottest spot, {spot['hemisphere']}: RA {spot['ra_deg']:.2f}, dec {spot['dec_deg']:.2f} deg "
            f"(l {spot['l_deg']:.2f}, b {spot['b_deg']:.2f})",
            f"  n_s {spot['n_s']:.1f}, index {_number(spot['index'], '.2f')}, TS {spot['ts']:.2f}",
            f"  {_p_words(spot['p_local'], 'local')}; {_p_words(spot['p_global'], 'global')}",
        ]
        if "p_global_deep" in spot:
            lines.append(f"  {_p_words(spot['p_global_deep'], 'global, tilted skies:')}")
    lines += [f"{kind}: {path}" for kind, path in document.get("files", {}).items()]
    return "\n".join(lines)


def sources_in_words(document: dict[str, Any], *, rows: int = 10) -> str:
    """A source list for a terminal: the test, and the sources with the smallest local p-values."""
    best, found = document["best"], document["population"]
    lines = [
        _first_line(document),
        f"{document['n_sources']} sources of {document['catalogue']}, {document['n_skies']} background skies",
        f"best: {best['source']}; {_p_words(best['p_local'], 'local')}; {_p_words(best['p_global'], 'global')}",
        f"population: {found['k']} sources with local p <= {found['p_threshold']:.3g}: binomial p "
        f"{found['p_binomial']:.3g}; {_p_words(found['p_global'], 'global')}",
        f"{'source':<24} {'RA':>7} {'dec':>7} {'n_s':>7} {'index':>6} {'TS':>7}  local p",
    ]
    lines += [
        f"{r['source']:<24} {r['ra_deg']:7.2f} {r['dec_deg']:7.2f} {r['n_s']:7.1f} {_number(r['index'], '.2f'):>6} "
        f"{r['ts']:7.2f}  {r['p_local']['p']:.3g}"
        for r in document["sources"][:rows]
    ]
    lines += [f"{kind}: {path}" for kind, path in document.get("files", {}).items()]
    return "\n".join(lines)
