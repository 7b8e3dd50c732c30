"""A list of point and Gaussian sources as one map: each source keeps its flux exactly, wherever it lies.

Columns: ra and dec, or l and b, in deg; flux or weight; optional extension (Gaussian sigma in deg) and index (one for
all).  A source without extension is the pixel it lies in; one with extension the von Mises-Fisher kernel of that sigma,
averaged over sub-pixels and scaled to its flux.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import did_you_mean
from nuanalysis.schema import Floats
from nuanalysis.sky.templates._healpix import rotator, to_ring
from nuanalysis.sky.templates._said import Said
from nuanalysis.sphere import cos_separation, vmf_density
from nuanalysis.store import TABLE, content, parsing

COLUMNS = {
    "ra": "ra", "ra_deg": "ra", "right_ascension": "ra", "dec": "dec", "dec_deg": "dec", "declination": "dec",
    "l": "l", "glon": "l", "l_deg": "l", "b": "b", "glat": "b", "b_deg": "b", "flux": "flux", "weight": "weight",
    "extension": "extension", "extension_deg": "extension", "sigma": "extension", "index": "index",
}  # fmt: skip
PAIRS = {"equatorial": ("ra", "dec"), "galactic": ("l", "b")}
WORDS = ("name", "source", "comment", "reference")  # columns that are not read
KERNEL_REACH = 6.0  # sigma: beyond lies 2e-8 of a Gaussian kernel
REMEDY = "it cannot be read as a table: expected a line of column names and one line a source"
WIDE = 5.0  # deg, of an extension: the widest known sources of gamma rays have about this
FEWEST_FOR_A_DOUBT = 5  # sources; fewer may all lie near the origin by chance
MOST_SOURCES = 100_000
FINEST_SPLIT = 16  # sub-pixels along a side


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Sources of a list.

    longitude, latitude : (source,) rad in the frame that is stated; extension : (source,) rad.
    weight              : (source,) as stored.
    stated              : what the list says by key: frame; index, one for all; units, 'relative' of weights, of fluxes
        where an ECSV file states them.
    """

    longitude: Floats
    latitude: Floats
    extension: Floats
    weight: Floats
    stated: dict[str, str]


def read_points(path: Path, said: Said) -> Points:
    """The sources of a .csv or .ecsv file.  Raises InputError with all faults where they cannot be used."""
    table, faults = _table(path), said.faults
    columns = _columns(table, faults)
    frames = [frame for frame, pair in PAIRS.items() if columns.keys() >= set(pair)]
    if len(frames) != 1:
        found = ", ".join(table.colnames) or "none"
        faults.append(f"it needs the columns ra and dec, or l and b (deg), and not both pairs; found {found}")
    amounts = [name for name in ("flux", "weight") if name in columns]
    if len(amounts) != 1:
        faults.append(f"it needs a column flux or weight, one of them; found {', '.join(amounts) or 'neither'}")
    if not len(table):
        faults.append("it lists no source")
    if len(table) > MOST_SOURCES:
        faults.append(f"it lists {len(table):,} sources, expected at most {MOST_SOURCES:,}; make a map of them")
    said.refuse(f"the list {path}")
    if "frame" not in said.sure:
        faults.extend(_unit_doubts(table, frames[0], *(columns[name] for name in PAIRS[frames[0]])))
    longitude, latitude = (columns[name] for name in PAIRS[frames[0]])
    extension = columns.get("extension", np.zeros(len(table)))
    bare = [name for name in table.colnames if name.lower() in ("extension", "sigma") and table[name].unit is None]
    _check(longitude, latitude, columns[amounts[0]], extension, faults, "".join(bare[:1]))
    unit = next((table[name].unit for name in table.colnames if COLUMNS.get(name.lower()) == "flux"), None)
    units = "relative" if amounts == ["weight"] else str(unit or "")
    stated = {"frame": frames[0], "index": _one_index(columns.get("index"), faults), "units": units}
    return Points(
        np.radians(longitude),
        np.radians(latitude),
        np.radians(extension),
        columns[amounts[0]],
        {key: word for key, word in stated.items() if word},
    )


def map_of(points: Points, nside: int) -> Floats:
    """The sum of the sources, (pixel,) equatorial RING: the flux of every pixel, in the unit of the weights."""
    colatitude, longitude = np.pi / 2 - points.latitude, points.longitude
    if points.stated["frame"] == "galactic":
        colatitude, longitude = np.atleast_2d(np.array(rotator("G", "C")(colatitude, longitude)).T).T
    total = np.zeros(12 * nside**2)  # NESTED, so that sub-pixels are summed by a shift
    where = hp.ang2pix(nside, colatitude, longitude, nest=True)
    extended = points.extension > 0
    np.add.at(total, where[~extended], points.weight[~extended])
    for k in np.flatnonzero(extended):
        pixels, shares = _kernel(nside, colatitude[k], longitude[k], points.extension[k])
        total += points.weight[k] * np.bincount(pixels, shares, len(total))
    return to_ring(total)


def _kernel(nside: int, colatitude: float, longitude: float, sigma: float) -> tuple[Floats, Floats]:
    """NESTED pixels and the share of a kernel at its sub-pixels in each, which sum to one."""
    split = 1
    while split < FINEST_SPLIT and hp.nside2resol(nside * split) > sigma / 3:
        split *= 2
    centre = hp.ang2vec(colatitude, longitude)
    fine = hp.query_disc(nside * split, centre, min(KERNEL_REACH * sigma, np.pi), nest=True)
    if len(fine) < 8:  # narrower than the sub-pixels: a point
        return hp.ang2pix(nside, np.array([colatitude]), longitude, nest=True), np.ones(1)
    theta, phi = hp.pix2ang(nside * split, fine, nest=True)
    cosine = cos_separation(phi, np.pi / 2 - theta, np.asarray(longitude), np.asarray(np.pi / 2 - colatitude))
    density = vmf_density(cosine, np.asarray(1.0 / sigma**2))
    return fine // split**2, density / density.sum()


def _table(path: Path) -> Any:
    # 0.2 s that no other map has to wait for.
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyWarning

    held = content(path, "the list", most=TABLE)
    with parsing(path, "the list", REMEDY), warnings.catch_warnings():
        warnings.simplefilter("error", AstropyWarning)
        text = held.decode("utf-8-sig")
        kind = "ascii.ecsv" if path.name.lower().endswith(".ecsv") else "ascii.csv"
        return Table.read(text + "\n", format=kind)  # without a new line it would be taken for a name


def _columns(table: Any, faults: list[str]) -> dict[str, Floats]:
    """The known columns as numbers, by their standard name; angles in deg."""
    columns: dict[str, Floats] = {}
    for name in table.colnames:
        key = COLUMNS.get(name.lower())
        if key is None:
            if name.lower() not in WORDS:
                faults.append(f"it has an unknown column '{name}'; remove it.{did_you_mean(name, COLUMNS)}")
        elif key in columns:
            faults.append(f"it has two columns for {key}")
        elif not _plain(table[name]):
            faults.append(f"its column '{name}' is not a number in every line")
        else:
            columns[key] = _in_degrees(table[name], key, faults)
    return columns


def _plain(column: Any) -> bool:
    """Whether a column has one real number in every line; masked ones must not become 0."""
    dtype = getattr(column, "dtype", None)
    one_each = dtype is not None and dtype.kind in "fiu" and column.ndim == 1
    return bool(one_each and not np.any(getattr(column, "mask", False)))


def _in_degrees(column: Any, key: str, faults: list[str]) -> Floats:
    values = np.asarray(column, dtype=np.float64)
    if key not in ("ra", "dec", "l", "b", "extension") or column.unit is None:
        return values
    try:
        return np.asarray(column.quantity.to_value("deg"))
    except (ValueError, TypeError) as error:
        faults.append(f"its column '{column.name}' has the unit {column.unit}, expected an angle: {error}")
        return values


def _unit_doubts(table: Any, frame: str, longitude: Floats, latitude: Floats) -> list[str]:
    """Hours or radians that nobody said."""
    stated = any(table[name].unit for name in table.colnames if COLUMNS.get(name.lower()) == PAIRS[frame][0])
    if stated or len(table) < FEWEST_FOR_A_DOUBT or not longitude.min() >= 0.0:
        return []
    radians = longitude.max() <= 2 * np.pi and np.abs(latitude).max() <= np.pi / 2
    if not radians and not (longitude.max() <= 24.0 and frame == "equatorial"):
        return []
    what = f"its {PAIRS[frame][0]} is at most {longitude.max():g} for all {len(table)} sources"
    remedy = "write degrees, or an ECSV file with units, or say sure=frame if it is right"
    return [f"{what}, which looks like {'radians' if radians else 'hours'}; {remedy}"]


def _check(
    longitude: Floats, latitude: Floats, weight: Floats, extension: Floats, faults: list[str], bare: str = ""
) -> None:
    """Add what is wrong with the numbers.  bare : the column of extensions where nothing states its unit."""
    # Written so that NaN fails too.
    off = ~((np.abs(latitude) <= 90.0) & (longitude >= -180.0) & (longitude <= 360.0))
    if n_off := np.count_nonzero(off):
        faults.append(f"{n_off} sources lie nowhere: longitude in [-180, 360], latitude in [-90, 90] deg")
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.all(weight >= 0) or not np.isfinite(total) or not total > 0:
        faults.append("its fluxes are not all 0 or more with a positive sum")
    if not np.all((extension >= 0) & (extension <= 90.0)):
        faults.append("its extensions are not all between 0 and 90 deg")
    elif bare and extension.max(initial=0.0) > WIDE:
        faults.append(
            f"its column '{bare}' states no unit and reaches {extension.max():g}, read as deg; call it extension_deg "
            "if that is right, or write an ECSV file with its unit"
        )


def _one_index(indices: Floats | None, faults: list[str]) -> str:
    if indices is None:
        return ""
    if (n := len(set(indices))) > 1:
        faults.append(f"its sources have {n} indices; a template has one spectrum: make one list per index")
    return repr(float(indices[0]))
