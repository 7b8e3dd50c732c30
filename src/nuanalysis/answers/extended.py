"""Extended sources: positions along the Galactic plane times Gaussian extensions, and a list, each at its own size.

Local p-values are those of one position with one extension.  The global ones correct for all positions and extensions,
for all sources of the list, and for the two searches together, with the same background skies (arXiv:2307.07576).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from nuanalysis import store, trials
from nuanalysis.answers import scan
from nuanalysis.answers.scan import GLOBAL, Sky
from nuanalysis.engine.ensembles import Progress
from nuanalysis.engine.executors import Executor
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.library.catalogues import open_catalogue
from nuanalysis.likelihood import FIT_COLUMNS, turned
from nuanalysis.model import Hypothesis
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.store.sky_maps import LOCAL

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.figure import Figure

    from nuanalysis.plot import Sidecar

Floats = NDArray[np.float64]

LEAST_EXTENSION, MOST_EXTENSION = 0.05, 5.0  # deg
LOCAL_TRIALS = 1000  # tilted scrambles at each declination of the table of an extension
_MOST_DECLINATION = float(np.degrees(trials.MOST_DECLINATION))
_SKIES_A_BATCH = 25
_SLUG = "extended-plane"
METHOD = (
    "right-ascension scrambles; local p-values from tilted ensembles of sources of each extension at a grid of "
    "declinations, and at each source of the list; global ones from background skies that both searches share"
)
BOTH = (
    "global: chance that the smaller of the two searches' global p-values is as small in a background sky; positions, "
    "extensions and sources of the list corrected for"
)


# --- what is asked ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What is looked at: a region of the plane, its layers, and a list of sources."""

    region: trials.PlaneRegion
    layers: tuple[trials.Layer, ...]
    nside: int
    catalogue: Catalogue


def read_search(
    *,
    sample: str,
    extensions: str,
    width: float,
    nside: int,
    longitude: str,
    declination: str,
    catalogue: str,
    skies: int,
) -> Search:
    """What a user typed, angles in deg.  Raises InputError with every fault, before any events are read.

    longitude, declination: 'LO,HI', '' for all; longitudes run eastwards from LO to HI, through 0 where HI is smaller.
    """
    faults: list[str] = []
    _try(faults, samples.recipe, sample)
    _try(faults, scan.check, nside, skies, 0.0)
    sizes = _extensions(extensions, faults)
    if not 0.0 < width <= 90.0:
        faults.append(f"--width is {width:g}; expected above 0 and up to 90 degrees")
    along = _pair("--longitude", longitude, (-360.0, 360.0), faults) if longitude else (0.0, 360.0)
    most = _MOST_DECLINATION
    between = _pair("--declination", declination, (-most, most), faults) if declination else (-most, most)
    if between[0] > between[1]:
        faults.append(f"--declination is '{declination}'; expected the lower one first")
    listed = _try(faults, open_catalogue, catalogue)
    if not faults:
        region = trials.PlaneRegion(
            math.radians(width),
            (math.radians(along[0]), math.radians(along[1])),
            (math.radians(between[0]), math.radians(between[1])),
        )
        planes = trials.layers(region, tuple(math.radians(size) for size in sizes), nside)
        for size, plane in zip(sizes, planes, strict=True):
            if not len(plane.pixels):
                faults.append(f"no position is left for the extension {size:g} deg: no pixel of nside {plane.nside} "
                              "lies in the range; widen --width, --longitude or --declination")  # fmt: skip
        sources = [s for s in listed.sources if region.declination[0] <= s.declination <= region.declination[1]]
        if not sources:
            faults.append(f"no source of {listed.name} lies between declinations {between[0]:g} and {between[1]:g} deg")
    if faults:
        raise InputError("the search cannot be made:\n  - " + "\n  - ".join(faults))
    kept = replace(listed, sources=tuple(sources), weights=(1.0,) * len(sources))
    return Search(region, planes, nside, kept)


def _try(faults: list[str], work: Callable[..., Any], *arguments: Any) -> Any:
    """What work gives; its fault joins the others."""
    try:
        return work(*arguments)
    except InputError as error:
        faults.append(str(error))
        return None


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _extensions(text: str, faults: list[str]) -> tuple[float, ...]:
    found = _numbers(text)
    if found is None:
        faults.append(f"--extensions is '{text}'; expected degrees with commas between, such as 0.5,1,1.5,2")
        return ()
    wrong = [f"{size:g}" for size in found if not LEAST_EXTENSION <= size <= MOST_EXTENSION]
    if wrong:
        faults.append(
            f"--extensions holds {', '.join(wrong)}; expected {LEAST_EXTENSION:g} to {MOST_EXTENSION:g} degrees "
            "(nuanalysis scan fits points)"
        )
    return tuple(sorted(set(found)))


def _pair(name: str, text: str, within: tuple[float, float], faults: list[str]) -> tuple[float, float]:
    found = _numbers(text)
    low, high = within
    if found is None or len(found) != 2 or not all(low <= value <= high for value in found):
        faults.append(f"{name} is '{text}'; expected LO,HI with both from {low:g} to {high:g} degrees")
        return within
    return found[0], found[1]


# --- positions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A layer, its fits (position, FIT_COLUMNS), ln of their local p-values (position,), and the table of these."""

    layer: trials.Layer
    fits: Floats
    log_p: Floats
    table: trials.LocalP


def source_of(extension: float, declination: float) -> Hypothesis:
    """A source of that extension at right ascension 0, rad, its index free."""
    name = f"point:0,{math.degrees(declination):.6g}"
    source = PointSource(name, 0.0, declination, extension)
    return Hypothesis(name, Catalogue(name, name, (source,), (1.0,), "a direction"), 2.7, True)


def nodes(declination: tuple[float, float]) -> Floats:
    """The declinations of the scan's table that surround a range, (node,) rad."""
    grid = scan.TABLE_DECLINATIONS
    first = max(int(np.searchsorted(grid, declination[0], side="right")) - 1, 0)
    return np.asarray(grid[first : int(np.searchsorted(grid, declination[1], side="left")) + 1])


def _declinations(layer: trials.Layer) -> Floats:
    theta, _ = hp.pix2ang(layer.nside, layer.pixels)
    return np.asarray(np.pi / 2 - theta)


def _table(sky: Sky, layer: trials.Layer, local_trials: int, executor: Executor, progress: Progress) -> trials.LocalP:
    at = _declinations(layer)
    grid = nodes((float(at.min()), float(at.max())))
    where = tuple(source_of(layer.extension, float(dec)) for dec in grid)
    progress(f"local p-values of extension {math.degrees(layer.extension):g} deg")
    return scan.local_table(sky, where, grid, local_trials, executor, progress)


def fit_plane(
    sky: Sky, planes: tuple[trials.Layer, ...], local_trials: int, executor: Executor, progress: Progress
) -> tuple[Fitted, ...]:
    """Every position with every extension, on the data."""
    data = turned(sky.events.right_ascension())
    fits: list[Floats] = [np.empty((0, len(FIT_COLUMNS)))] * len(planes)
    for k, rows in executor.map(lambda layer: trials.fit_layer(sky.events, [data], layer)[0], planes):
        fits[k] = rows
        progress(f"  extension {math.degrees(planes[k].extension):g} deg: {len(rows)} positions, "
                 f"largest TS {rows[:, 0].max():.2f}")  # fmt: skip
    tables = [_table(sky, layer, local_trials, executor, progress) for layer in planes]
    log_p = [
        trials.log_p_map(table, layer.nside, layer.pixels, rows[:, 0])
        for layer, rows, table in zip(planes, fits, tables, strict=True)
    ]
    return tuple(map(Fitted, planes, fits, log_p, tables))


def background_plane(sky: Sky, search: Search, plane: tuple[Fitted, ...], n: int, executor: Executor,
                     progress: Progress) -> Floats:  # fmt: skip
    """The smallest ln p of each extension on n background skies, (sky, extension)."""
    tables = tuple(one.table for one in plane)
    seed = _sky_seed(sky)

    def rows(first: int, last: int) -> Floats:
        return trials.extended_trials(sky.events, tables, search.layers, seed, first, last)

    grids = tuple((layer.extension, layer.nside) for layer in search.layers)
    decides = (tuple(map(scan._digest, tables)), search.region, grids)
    columns = trials.layer_columns(len(plane))
    found = scan._stored(sky, "extended", decides, columns, n, _SKIES_A_BATCH, rows, executor, progress)
    return np.stack([found[f"log_p_{k}"].values for k in range(len(plane))], axis=1)


def background_list(
    sky: Sky, catalogue: Catalogue, n: int, local_trials: int, executor: Executor, progress: Progress
) -> Floats:
    """The smallest ln p of a list on n background skies, (sky,): the skies and tables of ``scan.sources_record``."""
    table = scan.list_table(sky, catalogue, local_trials, executor, progress)
    return np.asarray(scan.list_skies(sky, catalogue, table, n, 0.0, executor, progress).min(axis=1))


def _sky_seed(sky: Sky) -> int:
    return (sky.anywhere.seed + scan._SKY_SEED) % 2**63


# --- the answer ------------------------------------------------------------------------------------------------------


def _best(one: Fitted, chance: dict[str, Any] | None) -> dict[str, Any]:
    """The hottest position of a layer as a record."""
    row = trials.hottest_position(one.layer, one.log_p, one.fits)
    spot = dict(zip(trials.SPOT_COLUMNS, map(float, row), strict=True))
    dec, ts = spot["declination"], spot["ts"]
    beyond = ts > float(np.interp(dec, one.table.declination, one.table.reach)) ** 2
    return {
        "extension_deg": round(math.degrees(one.layer.extension), 9),
        **scan._position(spot["right_ascension"], dec),
        "n_s": spot["n_signal"],
        "index": spot["index"] if spot["n_signal"] > 0 else None,
        "ts": ts,
        "p_local": scan._local(spot["log_p"], one.table.error_of(dec, ts), beyond),
        "p_global": chance,
    }


def likeliest_extension(plane: tuple[Fitted, ...], at: tuple[float, float], within: float) -> float:
    """The extension with the largest TS within an angle of right ascension and declination ``at``, rad.

    Deep in the tail, where local p-values are extrapolated, they do not tell one extension from the next; TS does.
    """
    best = []
    for one in plane:
        theta, phi = hp.pix2ang(one.layer.nside, one.layer.pixels)
        near = hp.rotator.angdist([np.pi / 2 - at[1], at[0]], [theta, phi]) <= within
        best.append(float(one.fits[near, 0].max(initial=-1.0)))
    return plane[int(np.argmax(best))].layer.extension


def _angles(pair: tuple[float, float]) -> list[float]:
    return [round(math.degrees(angle), 9) for angle in pair]


def extended_record(
    sky: Sky,
    sample_name: str,
    search: Search,
    n_skies: int,
    executor: Executor,
    progress: Progress,
    *,
    local_trials: int = LOCAL_TRIALS,
) -> tuple[dict[str, Any], tuple[Fitted, ...]]:
    """Both searches with their local and global p-values, and every fit of the plane."""
    started = time.monotonic()
    plane = fit_plane(sky, search.layers, local_trials, executor, progress)
    least = np.array([one.log_p.min() for one in plane])
    hottest = int(np.argmin(least))
    skies, seconds_skies = None, 0.0
    if n_skies:
        skies_started = time.monotonic()
        skies = background_plane(sky, search, plane, n_skies, executor, progress)
        seconds_skies = time.monotonic() - skies_started
    listed = scan.sources_record(
        sky, sample_name, search.catalogue, n_skies, executor, progress, local_trials=local_trials
    )
    each: list[dict[str, Any] | None] = [None] * len(plane)
    anywhere = both = None
    if skies is not None:
        each = [
            scan._chance(skies[:, k] <= least[k], GLOBAL + ", all positions with this extension")
            for k in range(len(plane))
        ]
        anywhere = scan._chance(skies.min(axis=1) <= least.min(), GLOBAL + ", all positions and extensions")
        of_list = background_list(sky, search.catalogue, n_skies, local_trials, executor, progress)
        data = np.array([least.min(), math.log(listed["best"]["p_local"]["p"])])
        both = scan._chance(trials.smaller_of_both(data, np.stack([skies.min(axis=1), of_list], axis=1)), BOTH)
    head, spot = scan._head(sky, sample_name), _best(plane[hottest], anywhere)
    at = (math.radians(spot["ra_deg"]), math.radians(spot["dec_deg"]))
    likeliest = likeliest_extension(plane, at, plane[hottest].layer.extension)
    document = {
        **head,
        "region": {
            "half_width_deg": round(math.degrees(search.region.half_width), 9),
            "longitude_deg": _angles(search.region.longitude),
            "declination_deg": _angles(search.region.declination),
        },
        "index_free": True,
        "n_fits": sum(len(one.fits) for one in plane),
        "not_converged": sum(int((one.fits[:, 3] < 1).sum()) for one in plane),
        "hottest": {**spot, "extension_of_largest_ts_deg": round(math.degrees(likeliest), 9)},
        "extensions": [
            {"nside": one.layer.nside, "positions": len(one.fits), **_best(one, chance)}
            for one, chance in zip(plane, each, strict=True)
        ],
        "list": {key: value for key, value in listed.items() if key not in head},
        "p_global_both_searches": both,
        "n_skies": n_skies,
        "local_trials": local_trials,
        "method": METHOD,
        "seconds_skies": seconds_skies,
        "seconds": time.monotonic() - started,
    }
    return document, plane


# --- files -----------------------------------------------------------------------------------------------------------


def _meta(document: dict[str, Any]) -> dict[str, Any]:
    """What every table says of itself; events that are simulated are called so."""
    return {
        "ORIGIN": "SYNTHETIC" if document["origin"] == "synthetic" else "REAL",
        "SAMPLE": document["sample"],
        "N_EVENTS": document["n_events"],
        "SEED": document["seed"],
        "N_SKIES": document["n_skies"],
        "LOG10_P_LOCAL": f"log10 of the p-value, {LOCAL}",
    }


def fits_table(plane: tuple[Fitted, ...], document: dict[str, Any]) -> Table:
    """Every position with every extension, a row each."""
    from astropy.table import Table

    columns: dict[str, list[Floats]] = {}
    for one in plane:
        dec = _declinations(one.layer)
        _, phi = hp.pix2ang(one.layer.nside, one.layer.pixels)
        lon, lat = hp.Rotator(coord=["C", "G"])(np.degrees(phi), np.degrees(dec), lonlat=True)
        values = {
            "extension": np.full(len(dec), round(math.degrees(one.layer.extension), 9)),
            "l": np.round(np.asarray(lon) % 360.0, 6),
            "b": np.round(lat, 6),
            "ra": np.round(np.degrees(phi), 6),
            "dec": np.round(np.degrees(dec), 6),
            "ts": one.fits[:, 0],
            "n_s": one.fits[:, 1],
            "index": one.fits[:, 2],
            "converged": one.fits[:, 3] > 0,
            "log10_p_local": one.log_p / math.log(10.0),
        }
        for name, column in values.items():
            columns.setdefault(name, []).append(np.asarray(column))
    units = dict.fromkeys(("extension", "l", "b", "ra", "dec"), "deg")
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return Table(joined, units=units, meta=_meta(document))


def list_table(document: dict[str, Any]) -> Table:
    """The sources of the list, a row each, smallest local p-value first."""
    from astropy.table import Table

    rows = document["list"]["sources"]
    keys = ("source", "l_deg", "b_deg", "ra_deg", "dec_deg", "extension_deg", "ts", "n_s")
    columns: dict[str, Any] = {key.removesuffix("_deg"): [row[key] for row in rows] for key in keys}
    columns["index"] = [math.nan if row["index"] is None else row["index"] for row in rows]
    columns["converged"] = [row["converged"] for row in rows]
    columns["log10_p_local"] = [math.log10(row["p_local"]["p"]) for row in rows]
    columns["p_local_error"] = [
        math.nan if row["p_local"]["p_error"] is None else row["p_local"]["p_error"] for row in rows
    ]
    return Table(columns, units=dict.fromkeys(("l", "b", "ra", "dec", "extension"), "deg"), meta=_meta(document))


def draw(document: dict[str, Any], plane: tuple[Fitted, ...]) -> tuple[Figure, Sidecar]:
    """The figure of both searches, and what is said with it."""
    from nuanalysis.plot import ExtensionStrip, Sidecar, extended_figure

    strips = [
        ExtensionStrip(
            round(math.degrees(one.layer.extension), 9),
            one.layer.nside,
            one.layer.pixels,
            -one.log_p / math.log(10.0),
        )
        for one in plane
    ]
    figure = extended_figure(
        strips,
        document["hottest"],
        document["list"]["sources"],
        half_width_deg=document["region"]["half_width_deg"],
        label=f"Extended sources, {document['sample']}",
        origin=document["origin"],
    )
    alt, caption = _said(document)
    return figure, Sidecar(_SLUG, alt, caption, document["origin"], "maps")


def write(output: Path, document: dict[str, Any], plane: tuple[Fitted, ...]) -> dict[str, Any]:
    """Write the document, the two tables and the figure into a folder; returns it with the names of its files."""
    import io

    from nuanalysis.plot import save

    figure, sidecar = draw(document, plane)
    picture = save(figure, output, sidecar, table=fits_table(plane, document))
    text = io.StringIO()
    list_table(document).write(text, format="ascii.ecsv")
    files = {"document": output / "extended.json", "picture": picture, "fits": picture.with_suffix(".ecsv"),
             "list": output / "extended-list.ecsv"}  # fmt: skip
    store.atomic_write(files["list"], text.getvalue().encode())
    said = {**document, "files": {kind: str(path) for kind, path in files.items()}}
    store.atomic_write(files["document"], json.dumps(said, indent=2, allow_nan=False).encode())
    return said


def _said(document: dict[str, Any]) -> tuple[str, str]:
    """Alt text and caption of the figure."""
    spot, best = document["hottest"], document["list"]["best"]
    sizes = ", ".join(f"{row['extension_deg']:g}" for row in document["extensions"])
    events = "SYNTHETIC events" if document["origin"] == "synthetic" else "real events"
    found = (
        f"Hottest: l {spot['l_deg']:.2f}°, b {spot['b_deg']:.2f}°, extension {spot['extension_deg']:g}°, "
        f"{scan._p_words(spot['p_local'], 'local')}, {scan._p_words(spot['p_global'], 'global')}. "
        f"Best of the list: {best['source']}, {scan._p_words(best['p_local'], 'local')}, "
        f"{scan._p_words(best['p_global'], 'global')}"
    )
    caption = (
        f"{document['sample']}, {document['n_events']} {events}, seed {document['seed']}, {document['n_skies']} "
        f"background skies: −log₁₀ of the local p-value of Gaussian sources of extension {sizes}° along the Galactic "
        "plane. Above: at each position the extension with the smallest p-value; white rings are sources of the list "
        f"({document['list']['catalogue']}) with radii of their extensions (at least 0.4°), the cross and the dashed "
        "ring the hottest position and its extension. Below: for each extension the smallest p-value along b. Galactic "
        f"coordinates, longitude grows to the left. {found}."
    )
    return f"Map of the Galactic plane and profiles along longitude, {events} of {document['sample']}. {found}", caption


# --- in words --------------------------------------------------------------------------------------------------------


def in_words(document: dict[str, Any], *, rows: int = 5) -> str:
    """Both searches for a terminal."""
    spot, listed = document["hottest"], document["list"]
    best = listed["best"]
    lines = [
        scan._first_line(document),
        f"{document['n_fits']} fits (positions times extensions), {document['n_skies']} background skies",
        f"hottest: RA {spot['ra_deg']:.2f}, dec {spot['dec_deg']:.2f} deg (l {spot['l_deg']:.2f}, "
        f"b {spot['b_deg']:.2f}), extension {spot['extension_deg']:g} deg",
        f"  n_s {spot['n_s']:.1f}, index {scan._number(spot['index'], '.2f')}, TS {spot['ts']:.2f}",
        f"  {scan._p_words(spot['p_local'], 'local')}; {scan._p_words(spot['p_global'], 'global')}",
        f"  largest TS nearer than that extension: with {spot['extension_of_largest_ts_deg']:g} deg",
    ]
    lines += [
        f"  extension {one['extension_deg']:g} deg: l {one['l_deg']:.2f}, b {one['b_deg']:.2f}, TS {one['ts']:.2f}, "
        f"{scan._p_words(one['p_local'], 'local')}; {scan._p_words(one['p_global'], 'global')}"
        for one in document["extensions"]
    ]
    lines += [
        f"{listed['n_sources']} sources of {listed['catalogue']}, each at its own extension",
        f"best: {best['source']}; {scan._p_words(best['p_local'], 'local')}; "
        f"{scan._p_words(best['p_global'], 'global')}",
        f"both searches together: {scan._p_words(document['p_global_both_searches'], 'global')}",
        f"{'source':<24} {'l':>7} {'b':>7} {'ext.':>5} {'n_s':>7} {'index':>6} {'TS':>7}  local p",
    ]
    lines += [
        f"{r['source']:<24} {r['l_deg']:7.2f} {r['b_deg']:7.2f} {r['extension_deg']:5.2f} {r['n_s']:7.1f} "
        f"{scan._number(r['index'], '.2f'):>6} {r['ts']:7.2f}  {r['p_local']['p']:.3g}"
        for r in listed["sources"][:rows]
    ]
    lines += [f"{kind}: {path}" for kind, path in document.get("files", {}).items()]
    return "\n".join(lines)
