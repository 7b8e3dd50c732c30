"""What all track releases share: events, good runs and response from tables in degrees and m^2 or cm^2, by season."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuanalysis import schema
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease
from nuanalysis.ingest._table import Table, located, present, read_numbers, spoiled, within
from nuanalysis.schema import Floats

DAY = 86400.0
EVENT_COLUMNS = ("MJD[days]", "log10(E/GeV)", "AngErr[deg]", "RA[deg]", "Dec[deg]", "Azimuth[deg]", "Zenith[deg]")
# Four pairs of runs in the published lists overlap by 0.2 to 0.9 s: rounding, worth less than 1e-7 of a season.
OVERLAP_S = 2.0
EVENT_LIMITS = {
    "MJD[days]": (50000.0, 80000.0),
    "log10(E/GeV)": (0.0, 10.0),
    "AngErr[deg]": (0.0, 180.0),
    "RA[deg]": (0.0, 360.0),
    "Dec[deg]": (-90.0, 90.0),
    "Azimuth[deg]": (0.0, 360.0),
    "Zenith[deg]": (0.0, 180.0),
}
UPTIME_COLUMNS = ("MJD_start[days]", "MJD_stop[days]")
COS_AREA_COLUMNS = ("E_min[GeV]", "E_max[GeV]", "cos(zenith)_min", "cos(zenith)_max", "Aeff[m^2]")
DEC_AREA_COLUMNS = ("log10(E_nu/GeV)_min", "log10(E_nu/GeV)_max", "Dec_nu_min[deg]", "Dec_nu_max[deg]", "A_Eff[cm^2]")


def usable_sigma(degrees: Floats, *, floor_deg: float) -> tuple[Floats, str]:
    """Angular errors (event,) deg made usable, and the words that say what was changed ('' where nothing was).

    A likelihood divides by sigma^2, so a printed zero cannot be kept; the floor, the smallest value that the release
    could print, takes its place.  Values above 180 deg are set to it; others below the floor are kept as they are.
    """
    zero, wide, total = degrees <= 0.0, degrees > 180.0, f"of {degrees.size:,} angular errors"
    words = []
    if np.any(zero):
        words.append(f"{np.count_nonzero(zero)} {total} are printed as 0 deg and set to {floor_deg:g} deg")
    if np.any(wide):
        words.append(
            f"{np.count_nonzero(wide)} {total} exceed 180 deg (largest {degrees.max():g} deg) and are set to it"
        )
    return np.where(zero, floor_deg, np.minimum(degrees, 180.0)), "; ".join(words)


def wrapped(degrees: Floats) -> Floats:
    """Right ascension or azimuth in rad, [0, 2 pi): a printed 360 is 0."""
    return np.deg2rad(np.where(degrees >= 360.0, degrees - 360.0, degrees))


def events(
    table: Table, *, release: UpstreamRelease, sample: str, livetime_s: float, floor_deg: float, note: str = ""
) -> xr.Dataset:
    """Return the EVENTS dataset of a table with the columns of EVENT_COLUMNS, sorted by time (stable).

    Azimuth[deg] and Zenith[deg] may be absent; columns 'run' and 'event' are taken where present.
    """
    order = np.argsort(table["MJD[days]"], kind="stable")
    table = {name: values[order] for name, values in table.items()}
    sigma, changed = usable_sigma(table["AngErr[deg]"], floor_deg=floor_deg)
    notes = [words.rstrip(".") for words in (note, changed) if words]
    values = {
        "mjd": table["MJD[days]"],
        "right_ascension": wrapped(table["RA[deg]"]),
        "declination": np.deg2rad(table["Dec[deg]"]),
        "log10_energy": table["log10(E/GeV)"],
        "angular_error": np.deg2rad(sigma),
    }
    if "Azimuth[deg]" in table:
        values |= {"azimuth": wrapped(table["Azimuth[deg]"]), "zenith": np.deg2rad(table["Zenith[deg]"])}
    for source, target in (("run", "run"), ("event", "event_id")):
        if source in table:
            values[target] = table[source].astype(np.int64)
    attrs: dict[str, object] = {
        "sample": sample,
        "origin": "real",
        "livetime_s": livetime_s,
        "reference": release.reference,
        "licence": release.licence,
        "release": release.name,
        "note": ". ".join(notes) + "." * bool(notes),
    }
    return schema.dataset(schema.EVENTS, values, attrs)


def read_event_table(path: Path, *, rows: int | None, extra: tuple[str, ...] = ()) -> Table:
    """Return the columns of an event file of the 10-year or 14-year layout, ranges checked, in the file's units."""
    table = read_numbers(path, (*extra, *EVENT_COLUMNS), rows=rows)
    within(path, table, EVENT_LIMITS)
    return table


def read_good_runs(path: Path, *, season: str, reference: str) -> xr.Dataset:
    """Return the good runs of one season: start, stop (good_run,) MJD in d; attrs season, livetime_s, reference.

    Raises DataError for runs that end before they start or that overlap by more than OVERLAP_S.
    """
    table = read_numbers(path, UPTIME_COLUMNS)
    within(path, table, dict.fromkeys(UPTIME_COLUMNS, (50000.0, 80000.0)))
    start, stop = (table[name] for name in UPTIME_COLUMNS)
    if np.any(stop < start):
        raise spoiled(f"{path}: {np.count_nonzero(stop < start)} good runs stop before they start")
    order = np.argsort(start, kind="stable")
    start, stop = start[order], stop[order]
    overlap_s = (stop[:-1] - start[1:]) * DAY
    if np.any(overlap_s > OVERLAP_S):
        raise spoiled(
            f"{path}: good runs of {season} overlap by up to {overlap_s.max():.0f} s, so their sum is not a livetime"
        )
    return good_runs(start, stop, season=season, reference=reference)


def good_runs(start: Floats, stop: Floats, *, season: str, reference: str) -> xr.Dataset:
    """Return a good-run dataset: start, stop (good_run,) MJD in d; attrs season, livetime_s, reference."""
    return xr.Dataset(
        {
            "start": ("good_run", start, {"units": "d", "description": "start of the good run, MJD"}),
            "stop": ("good_run", stop, {"units": "d", "description": "end of the good run, MJD"}),
        },
        attrs={"season": season, "livetime_s": float(np.sum(stop - start) * DAY), "reference": reference},
    )


def _edges(path: Path, low: Floats, high: Floats, axis: str) -> Floats:
    """Return the edges of an axis whose bins are given as low and high per row; bins must join without gaps."""
    lows, highs = np.unique(low), np.unique(high)
    if lows.size != highs.size or np.any(lows[1:] != highs[:-1]) or np.any(highs <= lows):
        raise spoiled(f"{path}: the {axis} bins do not join to one axis, expected a rectangular grid")
    return np.append(lows, highs[-1])


def grid(path: Path, table: Table) -> tuple[Floats, Floats, Floats]:
    """Return (edges of axis A, edges of axis B, values (A, B)) of a five-column table A_lo A_hi B_lo B_hi value.

    Row order does not matter.  Raises DataError unless every cell of a rectangular grid is given exactly once.
    """
    a_low, a_high, b_low, b_high, value = table.values()
    a, b = _edges(path, a_low, a_high, "energy"), _edges(path, b_low, b_high, "direction")
    i, j = np.searchsorted(a, a_low), np.searchsorted(b, b_low)
    count = np.zeros((a.size - 1, b.size - 1), dtype=np.int64)
    np.add.at(count, (i, j), 1)
    if np.any(count != 1) or np.any(a[i + 1] != a_high) or np.any(b[j + 1] != b_high):
        raise spoiled(
            f"{path}: {np.count_nonzero(count == 0)} cells of the {count.shape[0]} x {count.shape[1]} grid are missing "
            f"and {np.count_nonzero(count > 1)} are given more than once, expected each exactly once"
        )
    if np.any(value < 0.0):
        raise spoiled(f"{path}: {np.count_nonzero(value < 0.0)} effective areas are negative")
    values = np.zeros(count.shape)
    values[i, j] = value
    return a, b, values


def _effective_area(sin_dec: Floats, log10_true: Floats, area: Floats, **attrs: str) -> xr.Dataset:
    """Return what a release table gives of a RESPONSE dataset: area (sin_dec, log10_true) in cm^2 and its edges."""
    values = {"effective_area": area, "sin_dec_edges": sin_dec, "log10_true_edges": log10_true}
    columns = schema.RESPONSE.columns
    variables = {
        key: (columns[key].dims, array, {"units": columns[key].unit, "description": columns[key].description})
        for key, array in values.items()
    }
    flavours = "muon neutrinos, nu and nubar averaged"
    return xr.Dataset(variables, attrs={**attrs, "flavours": flavours, "note": ""})


def read_cos_zenith_area(path: Path, *, name: str, reference: str) -> xr.Dataset:
    """Return the effective area of a table in GeV, cos(zenith) and m^2, as (sin_dec, log10_true) in cm^2.

    At the South Pole sin(dec) = -cos(zenith): bands are turned round so that sin(dec) increases.
    """
    table = read_numbers(path, COS_AREA_COLUMNS)
    within(path, table, {"cos(zenith)_min": (-1.0, 1.0), "cos(zenith)_max": (-1.0, 1.0), "E_min[GeV]": (1.0, 1e12)})
    energy, cosine, square_metres = grid(path, table)
    sin_dec = 0.0 - cosine[::-1]
    return _effective_area(sin_dec, np.log10(energy), square_metres.T[::-1] * 1e4, name=name, reference=reference)


def read_declination_area(path: Path, *, name: str, reference: str) -> xr.Dataset:
    """Return the effective area of a table in log10 E, declination (deg) and cm^2, as (sin_dec, log10_true) in cm^2."""
    table = read_numbers(path, DEC_AREA_COLUMNS)
    within(path, table, {"Dec_nu_min[deg]": (-90.0, 90.0), "Dec_nu_max[deg]": (-90.0, 90.0)})
    energy, declination, area = grid(path, table)
    return _effective_area(np.sin(np.deg2rad(declination)), energy, area.T, name=name, reference=reference)


SMEARING = {  # columns of the file, names in the dataset, unit there
    "log10(E_nu/GeV)_min": ("log10_true_min", ""),
    "log10(E_nu/GeV)_max": ("log10_true_max", ""),
    "Dec_nu_min[deg]": ("declination_min", "rad"),
    "Dec_nu_max[deg]": ("declination_max", "rad"),
    "log10(E/GeV)_min": ("log10_energy_min", ""),
    "log10(E/GeV)_max": ("log10_energy_max", ""),
    "PSF_min[deg]": ("psf_min", "rad"),
    "PSF_max[deg]": ("psf_max", "rad"),
    "AngErr_min[deg]": ("angular_error_min", "rad"),
    "AngErr_max[deg]": ("angular_error_max", "rad"),
    "Fractional_Counts": ("fraction", ""),
}


def read_smearing(path: Path, *, name: str, reference: str) -> xr.Dataset:
    """Return the filled cells of a smearing matrix as a long table, dim ``cell``; angles in rad.

    fraction: of the simulated events of its (true energy, declination) bin.  Empty cells, zero-width ones among them,
    are left out and counted in attrs['empty_cells'].  The bins of reconstructed quantities differ from one
    (true energy, declination) bin to the next: that is why this is a table and not an array.
    Raises DataError for fractions outside [0, 1], reversed bins, or (energy, declination) bins that sum to over 1.
    """
    names = tuple(SMEARING)
    table = read_numbers(path, names)
    angles = dict.fromkeys(names[6:10], (0.0, 180.0))
    within(path, table, dict.fromkeys(names[2:4], (-90.0, 90.0)) | angles | {"Fractional_Counts": (0.0, 1.0)})
    pairs = zip(names[:10:2], names[1:10:2], strict=True)
    reversed_bins = [low for low, high in pairs if np.any(table[high] < table[low])]
    if reversed_bins:
        raise spoiled(f"{path}: bins that end before they start in {', '.join(reversed_bins)}")
    filled = table["Fractional_Counts"] > 0.0
    columns = [table[name][filled] for name in names]
    _, group = np.unique(np.stack([columns[0], columns[2]]), axis=1, return_inverse=True)
    sums = np.bincount(np.ravel(group), weights=columns[-1])
    # Fractions are printed with a few digits: a bin of thousands of cells may sum to a little over one.
    if np.any(sums > 1.01):
        raise spoiled(f"{path}: {np.count_nonzero(sums > 1.01)} true bins sum to more than 1")
    variables = {
        key: ("cell", np.deg2rad(values) if unit == "rad" else values, {"units": unit})
        for (key, unit), values in zip(SMEARING.values(), columns, strict=True)
    }
    empty = int(filled.size - np.count_nonzero(filled))
    return xr.Dataset(variables, attrs={"name": name, "reference": reference, "empty_cells": empty})


def covered(runs: Sequence[xr.Dataset]) -> tuple[Floats, Floats]:
    """Return the union of good runs as (start, stop), sorted and disjoint, MJD in d."""
    start = np.concatenate([np.asarray(run["start"].values) for run in runs])
    stop = np.concatenate([np.asarray(run["stop"].values) for run in runs])
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(stop[order])
    opens = np.append(True, start[1:] > reach[:-1])
    return start[opens], reach[np.append(opens[1:], True)]


def livetime_beyond(runs: xr.Dataset, earlier: Sequence[xr.Dataset]) -> float:
    """Return the livetime in s of good runs that no earlier season covers."""
    start, stop = np.asarray(runs["start"].values), np.asarray(runs["stop"].values)
    own = float(np.sum(stop - start))
    if not earlier:
        return own * DAY
    low, high = covered(earlier)
    knots = np.ravel(np.stack([low, high], axis=1))
    time_covered = np.ravel(np.stack([np.append(0.0, np.cumsum(high - low))[:-1], np.cumsum(high - low)], axis=1))
    shared = np.interp(stop, knots, time_covered) - np.interp(start, knots, time_covered)
    return (own - float(np.sum(shared))) * DAY


@dataclass(frozen=True, slots=True)
class Seasons:
    """The tables of a release.  serving : of each season the name of the response tables that serve it."""

    release: UpstreamRelease
    serving: Mapping[str, str]

    def tables(self, season: str) -> str:
        """The name of the response tables that serve a season.  Raises InputError for an unknown one."""
        if season not in self.serving:
            raise InputError(
                f"unknown season '{season}' of release '{self.release.name}'.{did_you_mean(season, self.serving)}"
            )
        return self.serving[season]

    def events(self, folder: Path, season: str) -> Path:
        """Where the events of a season lie."""
        self.tables(season)
        return located(folder, self.release, f"events/{season}_exp.csv")

    def read_uptime(self, folder: Path, season: str) -> xr.Dataset:
        """Return the good runs of one season: start, stop (good_run,) MJD; attrs livetime_s, season."""
        self.tables(season)
        path = located(folder, self.release, f"uptime/{season}_exp.csv")
        return read_good_runs(path, season=season, reference=self.release.reference)

    def read_effective_area(self, folder: Path, season: str) -> xr.Dataset:
        """Return effective_area (sin_dec, log10_true) in cm^2 with its edges, of the tables that serve the season."""
        serving = self.tables(season)
        path = located(folder, self.release, f"irfs/{serving}_effectiveArea.csv")
        return read_declination_area(path, name=f"{self.release.name}-{serving}", reference=self.release.reference)

    def read_smearing(self, folder: Path, season: str) -> xr.Dataset:
        """Return the filled cells of the smearing matrix that serves the season; see `read_smearing`."""
        serving = self.tables(season)
        path = located(folder, self.release, f"irfs/{serving}_smearing.csv")
        return read_smearing(path, name=f"{self.release.name}-{serving}", reference=self.release.reference)

    def smearing_path(self, folder: Path, season: str) -> Path | None:
        """Return where the smearing matrix that serves the season lies, or None: the release is complete without it."""
        wanted = f"irfs/{self.tables(season)}_smearing.csv"
        return present(folder, next(file for file in self.release.files if file.path == wanted))
