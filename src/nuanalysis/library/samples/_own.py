"""A user's own events and response: tables with units, checked as an upstream release is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import units as u
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean, refuse
from nuanalysis.model import Binning
from nuanalysis.response import NONE, Response, Systematics, errors_in
from nuanalysis.schema import EVENTS, TWO_PI, Column, Floats, faults

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

EventTable: TypeAlias = "Table | pd.DataFrame | xr.Dataset | Mapping[str, Any]"
Given = dict[str, tuple[NDArray[Any], str | None]]

_ALSO = {
    "mjd": "time",
    "right_ascension": "ra",
    "declination": "dec",
    "log10_energy": "energy",
    "angular_error": "sigma",
}
_SAID_BY_NAME = {"mjd": "d", "log10_energy": "", "run": "", "event_id": ""}


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A response with the bins and the resolution of maps that events are analysed with."""

    response: Response
    binning: Binning
    nside: int
    systematics: Systematics = NONE


def own_response(data: xr.Dataset) -> Response:
    """A Response from a dataset of schema RESPONSE.

    Its table of errors says how per-event errors of simulated events scatter, or attributes error_scale, error_spread
    and error_floor (rad), see LogNormalErrors; without either as for the tracks of IceCube.
    """
    said = data.attrs
    name, reference = str(said.get("name", "own")), str(said.get("reference", ""))
    told = "error_scale" in said or "error_share" in data
    notes = () if told else ("per-event errors of simulated events as for the tracks of IceCube",)
    return Response(name, name, reference, data, errors_in(data), notes=notes)


def own_events(
    table: EventTable, units: Mapping[str, str], livetime: u.Quantity | None, attrs: dict[str, str]
) -> xr.Dataset:
    """A user's events as a dataset of schema EVENTS; arguments as for ``own``.    attrs : sample, origin, reference.

    Raises InputError with every fault in one message.
    """
    said: list[str] = []
    given = _given(table)
    said += [f"units names '{key}', which is no column.{did_you_mean(key, given)}" for key in units if key not in given]
    values: dict[str, Floats] = {}
    broken: set[str] = set()
    for key, column in EVENTS.columns.items():
        try:
            values |= _column(key, column, given, units)
        except InputError as error:
            said.append(str(error))
            broken.add(f"column '{key}' is missing")
    try:
        seconds = float(u.Quantity(livetime).to_value(u.s))
    except (u.UnitsError, ValueError, TypeError):
        seconds = np.nan
    if not 0.0 < seconds < np.inf:
        said.append(f"livetime is {livetime}; expected a positive time with a unit, such as 300 * u.day")
    dataset = _dataset(values, {**attrs, "livetime_s": seconds}, said, broken)
    refuse(said, f"the table of '{attrs['sample']}' cannot be used as events")
    return dataset


def _dataset(values: dict[str, Floats], attrs: dict[str, str | float], said: list[str], broken: set[str]) -> xr.Dataset:
    """Columns of schema EVENTS as a dataset, and what else is wrong with them; ``broken`` are faults told already."""
    lengths = {len(column) for column in values.values()}
    if len(lengths) > 1:
        said.append(f"the columns have different lengths: {', '.join(map(str, sorted(lengths)))}")
        return xr.Dataset()
    columns = EVENTS.columns
    data = {key: (columns[key].dims, array, {"units": columns[key].unit}) for key, array in values.items()}
    dataset = xr.Dataset(data, attrs=attrs)
    found = (fault for fault in faults(dataset, EVENTS) if fault not in broken)
    said += [fault.replace("attribute 'origin'", "origin") for fault in found]
    said += ["it has no events"] * (lengths == {0})
    return dataset


def _given(table: EventTable) -> Given:
    """Values and unit, None where it has none, of every column of a table."""
    if isinstance(table, xr.Dataset):
        return {str(key): (np.asarray(one.values), one.attrs.get("units")) for key, one in table.variables.items()}
    if not isinstance(table, Mapping) and not hasattr(table, "columns"):
        raise InputError(
            f"a {type(table).__name__} is no table of events; expected an astropy Table, a pandas DataFrame, an xarray "
            "Dataset or a mapping of columns"
        )
    of_table = getattr(table, "attrs", {}).get("units", {})  # of a DataFrame
    names = list(getattr(table, "columns", table))
    out: Given = {}
    for key in names:
        one = table[key]
        if hasattr(one, "mjd"):  # an astropy Time
            out[str(key)] = _array(one.utc.mjd), "d"
        elif hasattr(one, "icrs"):  # a SkyCoord, whatever it is called
            if not {"ra", "right_ascension", "dec", "declination"} & set(names):
                out |= {"ra": (_array(one.icrs.ra.rad), "rad"), "dec": (_array(one.icrs.dec.rad), "rad")}
        else:
            unit = getattr(one, "unit", None)
            out[str(key)] = _array(one), of_table.get(key) if unit is None else str(unit)
    return out


def _array(column: Any) -> NDArray[Any]:
    """The values of a column, NaN where it is masked; what is no array at all as an array of objects."""
    masked = hasattr(column, "filled") and getattr(column, "dtype", np.dtype(object)).kind in "fiu"
    filled = column.astype(float).filled(np.nan) if masked else column
    try:
        return np.asarray(getattr(filled, "value", filled))
    except ValueError:  # rows of different lengths
        return np.array(None)


def _column(key: str, column: Column, given: Given, units: Mapping[str, str]) -> dict[str, Floats]:
    """A column of the schema in its unit, by its name; empty where the table has none.  Raises InputError."""
    names = [name for name in (key, _ALSO.get(key, "")) if name in given]
    if not names:
        return {}
    if len(names) > 1:
        raise InputError(f"'{names[0]}' and '{names[1]}' are both there; leave one out")
    [name] = names
    values, own = given[name]
    unit = next((unit for unit in (units.get(name), own, _SAID_BY_NAME.get(name)) if unit is not None), None)
    target = "GeV" if name == "energy" else column.unit
    example = "deg" if target == "rad" else target
    if unit is None:
        raise InputError(f"'{name}' has no unit; give it one, or say units={{'{name}': '{example}'}}")
    if values.dtype.kind not in "fiu" or values.ndim != 1:
        raise InputError(f"'{name}' has {values.ndim} dimensions of {values.dtype}; expected one number an event")
    try:
        found = np.asarray(u.Quantity(values, unit).to_value(target), dtype=np.float64)
    except (u.UnitsError, ValueError, TypeError) as error:
        raise InputError(f"'{name}' has the unit '{unit}'; expected one such as '{example}'") from error
    if name == "energy":
        with np.errstate(divide="ignore", invalid="ignore"):  # what is not positive is told as not finite
            return {key: np.log10(found)}
    return {key: np.where(found == TWO_PI, 0.0, found) if key == "right_ascension" else found}
