"""Pulses of simulated events at rest: ragged columns and their truth in one zarr zip, whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis import schema
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, NuanalysisError, refuse
from nuanalysis.store._zarr import read_zip, write_zip

PULSES_FORMAT = "nuanalysis-pulses/1"
_TYPES = {"pulse_module": "u2", "pulse_time": "f4", "pulse_charge": "f4", "pulse_flag": "u1", "event_start": "i8"}


def write_pulses(path: Path, truth: xr.Dataset, pulses: xr.Dataset) -> Path:
    """Write events of schemas TRUTH and PULSES and return the path; what stood there is replaced in one rename.

    About 10 bytes a pulse before packing, held in memory while it is written.  Equal events give equal bytes.
    Raises DataError for what breaks the schemas, InputError for events that do not fit together or attributes that
    differ, EnvironmentFault for a full disk.
    """
    _check(truth, pulses, "events to be written", InputError)
    kept = {name: pulses[name].astype(_TYPES.get(str(name), pulses[name].dtype)) for name in pulses.data_vars}
    for name in kept:
        kept[name].attrs = dict(pulses[name].attrs)
    return write_zip(path, xr.Dataset({**truth.data_vars, **kept}, attrs={**pulses.attrs, "format": PULSES_FORMAT}))


def read_pulses(path: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Return truth and pulses of a file of ``write_pulses``, in memory, checked against their schemas.

    Raises DataError if the file is missing, damaged (every byte is under a checksum), of another layout, or breaks
    the schemas.
    """
    held = read_zip(path)
    if (found := held.attrs.pop("format", None)) != PULSES_FORMAT:
        raise DataError(f"{path} has layout {found!r}, expected {PULSES_FORMAT!r}; simulate the events again.")
    known = [*schema.TRUTH.columns, *schema.PULSES.columns]
    refuse((f"'{name}' is no column of events" for name in held.variables if name not in known), str(path),
           "Simulate the events again.", error=DataError)  # fmt: skip
    truth, pulses = (
        held[[name for name in part.columns if name in held]].assign_attrs(schema=f"{part.name}/{part.version}")
        for part in (schema.TRUTH, schema.PULSES)
    )
    _check(truth, pulses, str(path), DataError)
    return truth, pulses


def _check(truth: xr.Dataset, pulses: xr.Dataset, source: str, error: type[NuanalysisError]) -> None:
    schema.check(truth, schema.TRUTH, source=f"the truth of {source}")
    schema.check(pulses, schema.PULSES, source=f"the pulses of {source}")
    refuse(_faults(truth, pulses), f"{source} do not fit together", "Simulate the events again.", error=error)


def _faults(truth: xr.Dataset, pulses: xr.Dataset) -> list[str]:
    start, events = pulses["event_start"].values.astype(np.int64), pulses.sizes["event"]
    faults = []
    if truth.sizes["event"] != events or len(start) != events + 1:
        faults.append(f"truth of {truth.sizes['event']} events, pulses of {events}, and {len(start)} edges")
    if not len(start) or start[0] != 0 or start[-1] != pulses.sizes["pulse"] or (np.diff(start) < 0).any():
        faults.append(f"event_start does not rise from 0 to the {pulses.sizes['pulse']} pulses there are")
    if truth.sizes["axis"] != 3:
        faults.append(f"places have {truth.sizes['axis']} components, expected 3")
    faults += [
        f"attribute '{name}' is {truth.attrs[name]!r} of the truth, {pulses.attrs[name]!r} of the pulses"
        for name in schema.PULSES.attrs
        if truth.attrs[name] != pulses.attrs[name]
    ]
    return faults
