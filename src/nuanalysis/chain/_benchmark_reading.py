"""Truth and predictions of a benchmark as read from its files: refused where a score would mean nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.chain._benchmark_tables import AXES, CLASSES, KNOWN, PREDICTIONS
from nuanalysis.chain._resolution import motion
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, NuanalysisError, refuse
from nuanalysis.learn import Class
from nuanalysis.schema import Bools, Floats, Ints, Schema, faults
from nuanalysis.store import TABLE, content, parsing, sha256_file, text_of

if TYPE_CHECKING:
    from astropy.table import Column, Table

TRUTH_FILE, SUMS = "truth-synthetic.ecsv", "SHA256SUMS"
_ORIGINS = ("atmospheric", "astrophysical", "muons")
_PROBABILITIES = tuple(f"probability_{name}" for name in CLASSES)
_CLOSE = 1e-6  # of the sum of probabilities to 1
_REMEDY = (
    "Hand in one row for each event of the test split, with the columns and units of predictions-synthetic.ecsv: "
    "angles in rad, places in m, log10 of GeV. Nothing was scored."
)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is true of the events of the test split, (event,) each, vectors (event, 3), by rising number.

    label : ``Class``.  direction : of motion, unit vectors.  vertex : m.  log10_energy : of the deposited GeV.
    rate : Hz that the event stands for as signal or background of cascades.  name : of the benchmark.
    """

    name: str
    event: Ints
    label: Ints
    direction: Floats
    vertex: Floats
    log10_energy: Floats
    contained: Bools
    rate: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """Predictions for the same events in the same order.

    probability (event, 4) : of each ``Class``.  direction (event, 3) : of motion.  sigma (event,) : rad.
    log10_energy (event,), vertex (event, 3) m.
    """

    probability: Floats
    direction: Floats
    sigma: Floats
    log10_energy: Floats
    vertex: Floats


def refuse_unfinished(folder: Path) -> None:
    """Raise DataError where a folder holds no finished benchmark, or another truth than the one of its sums."""
    path, sums = folder / TRUTH_FILE, folder / SUMS
    if not sums.exists() or not path.exists():
        raise DataError(
            f"{folder} holds no finished benchmark ({SUMS} and {TRUTH_FILE}); name the folder of one with --benchmark, "
            "or make one: nuanalysis detector benchmark"
        )
    if f"{sha256_file(path)}  {TRUTH_FILE}" not in text_of(sums, "the sums", error=DataError).splitlines():
        raise DataError(f"{path} is not the file of {SUMS}; make or fetch the benchmark again")


def read_known(folder: Path) -> Known:
    """The truth of the test split of the benchmark in a folder.  Raises DataError where it is damaged."""
    path = folder / TRUTH_FILE
    table = _table(path, "the truth", DataError)
    test = table[np.asarray(table["split"]) == "test"]
    held, found = _held(test, KNOWN)
    refuse(found, f"{path} is damaged", "Make or fetch the benchmark again.", error=DataError)
    beyond, every = held["rate_astrophysical"], sum(held[f"rate_{one}"] for one in _ORIGINS)
    return Known(
        name=f"{table.meta['benchmark']}, seed {table.meta['seed']}",
        event=held["event"].astype(np.int64),
        label=np.array([CLASSES.index(name) for name in test["class"]], dtype=np.int64),
        direction=motion(held["zenith"], held["azimuth"]),
        vertex=np.stack([held[f"vertex_{axis}"] for axis in AXES], axis=1),
        log10_energy=np.log10(np.maximum(held["deposited"], 1.0)),
        contained=held["contained"] > 0.5,
        rate=np.where(np.asarray(test["class"]) == CLASSES[Class.CASCADE], beyond, every),
    )


def read_said(path: Path, known: Known) -> Said:
    """Predictions of anybody, ECSV or CSV, in the order of the truth.

    Raises InputError with all faults in one message: columns, units, values, sums of probabilities, events.
    """
    if path.suffix.lower() not in (".ecsv", ".csv"):
        raise InputError(f"the predictions are in {path.name}; expected a table that ends in .ecsv or .csv")
    held, found = _held(_table(path, "the predictions", InputError), PREDICTIONS)
    refuse([*found, *_sums(held), *_events(held, known.event)], f"{path.name} cannot be scored", _REMEDY)
    probability = np.stack([held[name] for name in _PROBABILITIES], axis=1)
    order = np.argsort(held["event"], kind="stable")
    return Said(
        probability=probability[order],
        direction=motion(held["zenith"], held["azimuth"])[order],
        sigma=held["angular_error"][order],
        log10_energy=held["log10_deposited"][order],
        vertex=np.stack([held[f"vertex_{axis}"] for axis in AXES], axis=1)[order],
    )


def _table(path: Path, what: str, error: type[NuanalysisError]) -> Table:
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyWarning

    held = content(path, what, most=TABLE, error=error)
    with parsing(path, what, "write it again as ECSV or CSV", error=error), warnings.catch_warnings():
        warnings.simplefilter("error", AstropyWarning)
        kind = "ascii.ecsv" if path.suffix.lower() == ".ecsv" else "ascii.csv"
        return Table.read(held.decode("utf-8-sig") + "\n", format=kind)


def _held(table: Table, schema: Schema) -> tuple[dict[str, Floats], list[str]]:
    """The columns of a schema that are numbers, and all that is wrong; a unit that is not said counts as right."""
    named = [name for name in schema.columns if name in table.colnames]
    data = {}
    for name in named:
        unit = schema.columns[name].unit if table[name].unit is None else str(table[name].unit)
        data[name] = (("event",), _values(table[name]), {"units": unit})
    numbers = {name: values for name, (_, values, _) in data.items() if values.dtype.kind == "f"}
    return numbers, faults(xr.Dataset(data), schema)


def _values(column: Column) -> NDArray[Any]:
    """Numbers as float64, NaN where one is missing; words as they are."""
    numbers = column.dtype.kind in "fiub"
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan) if numbers else np.asarray(column)


def _sums(held: dict[str, Floats]) -> Iterator[str]:
    if not held.keys() >= set(_PROBABILITIES):
        return
    off = np.abs(np.sum([held[name] for name in _PROBABILITIES], axis=0) - 1.0)
    if (wrong := int((off > _CLOSE).sum())) > 0:
        most = np.nanmax(off)
        yield f"the probabilities of {wrong:,} events do not sum to 1, off by up to {most:.2g}; expected {_CLOSE:g}"


def _events(held: dict[str, Floats], wanted: Ints) -> Iterator[str]:
    """What of the events handed in is not the test split."""
    if "event" not in held:
        return
    found, times = np.unique(held["event"], return_counts=True)
    for words, these in (
        ("are missing", np.setdiff1d(wanted, found)),
        ("come more than once", found[times > 1]),
        ("are not of the test split", np.setdiff1d(found, wanted)),
    ):
        if len(these):
            yield f"{len(these):,} events {words}, such as {these[0]:.0f}; expected each of {len(wanted):,} once"
