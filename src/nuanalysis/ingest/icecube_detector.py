"""The array of IceCube and its ice: positions and efficiencies of 5,160 optical modules, two published ice models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import (
    Table,
    all_there,
    checked,
    faults_named,
    located,
    parquet_faults,
    read_bytes,
    spoiled,
    within,
)
from nuanalysis.schema import Floats

STRINGS, MODULES_EACH = 86, 60
MODULES = STRINGS * MODULES_EACH
SAME_PLACE = 3.1e-5  # m: positions of the parquet file went through single precision, half a step at 512 m
USUAL = 1.0  # relative efficiency where the file has no number
IN_ICE = 20  # dom_type of the parquet file; 30 is IceTop, on the surface
CENTRE_DEPTH = 1948.07  # m: depth of the origin of the coordinates
NANOMETRES = 400.0  # of the light for which both ice models are given here

GEOMETRY = "GeoCalibDetectorStatus_IC86_Merged.txt"
EFFICIENCY = "graphnet_icecube86.parquet"
TRANSPARENCY = "graphnet_ice_transparency.parquet"
SPICE1 = "icetray_ice_tables/Ice_table.spice.i3coords.cos080.10feb2010.txt"

#: What an ice model is called, and whose it is.
ICE_MODELS = {
    "spice-mie": "SPICE Mie, IceCube Collaboration (Aartsen et al.) 2013, NIM A 711, 73, arXiv:1301.5361, p. 31",
    "spice-1": "SPICE1 of 10 February 2010, icecube/icetray-public, phys-services/resources/ice_tables",
}

RELEASE = UpstreamRelease(
    name="icecube-detector",
    title="IceCube: positions and efficiencies of the optical modules, optical properties of the ice",
    folder="icecube_geometry_ice",
    licence="MIT (geometry, icecube/toise); Apache-2.0 (efficiencies, ice, graphnet); BSD-2-Clause (SPICE1, icetray)",
    citation=(
        "icecube/toise; graphnet-team/graphnet; icecube/icetray-public; IceCube Collaboration (Aartsen et al.) 2017, "
        "JINST 12, P03012; 2013, NIM A 711, 73, arXiv:1301.5361"
    ),
    files=files_of("icecube_detector"),
    notes="A collection, not one release: no archive.",
)


def read_geometry(folder: Path) -> xr.Dataset:
    """Return the modules, dim ``module`` at index 60 (string - 1) + number - 1.

    string, number (module,) from 1; position (module, axis) in m, origin at the centre of the array, z up;
    efficiency (module,) relative to a module of the usual kind: 1, 1.35 of high quantum efficiency, 0 for the 77 that
    are missing from the second file, which are the dead ones.  For two (33-6, 45-19) that file holds no number: 1 here.
    Which modules a run lacks changes with the season: the official events of 2013 leave out 107 in every event, those
    two and 75 of the 77 among them; 74-17 and 74-18 see light there.
    Raises DataError, also where the two files put a module at different places.
    """
    path = located(folder, RELEASE, GEOMETRY)
    string, number, *place = _columns(path, read_bytes(path), 5)
    index = np.arange(MODULES)
    if not (np.array_equal(60 * (string - 1) + number - 1, index) and np.all((number >= 1) & (number <= MODULES_EACH))):
        raise spoiled(f"{path} does not list the modules 1 to {MODULES_EACH} of the strings 1 to {STRINGS} in order")
    position = np.stack(place, axis=1)
    efficiency = _efficiency(located(folder, RELEASE, EFFICIENCY), position)
    counted = {"string": index // MODULES_EACH + 1, "number": index % MODULES_EACH + 1}
    return xr.Dataset(
        {name: ("module", values, {"units": ""}) for name, values in counted.items()}
        | {
            "position": (("module", "axis"), position, {"units": "m"}),
            "efficiency": ("module", efficiency, {"units": ""}),
        },
        coords={"axis": ["x", "y", "z"]},
        attrs={"name": "icecube", "reference": RELEASE.reference, "licence": RELEASE.licence},
    )


def _columns(path: Path, content: bytes, wide: int) -> Floats:
    """The columns of a table of numbers without a header, (column, row)."""
    with faults_named(path):
        values = np.loadtxt(content.decode().splitlines(), ndmin=2)
    if values.shape != (MODULES, wide):
        raise spoiled(f"{path} holds a table of {values.shape}, expected {(MODULES, wide)}")
    table = checked(path, {str(k): column for k, column in enumerate(values.T)})
    return np.stack(list(table.values()))


def _efficiency(path: Path, position: Floats) -> Floats:
    """Relative efficiency of each module, 0 where the file lacks it."""
    names = ("string", "dom_number", "dom_type", "rde", "dom_x", "dom_y", "dom_z")
    table = _parquet(path, names)
    table["rde"][np.isnan(table["rde"])] = USUAL  # of three modules, one of them on the surface
    table = checked(path, table)
    within(path, table, {"rde": (0.1, 10.0)})
    deep = table["dom_type"] == IN_ICE
    index = (60 * (table["string"] - 1) + table["dom_number"] - 1)[deep].astype(np.int64)
    if len(np.unique(index)) != len(index) or not np.all((index >= 0) & (index < MODULES)):
        raise spoiled(f"{path} lists a module twice, or one that there is not")
    place = np.stack([table[name][deep] for name in names[4:]], axis=1)
    apart = float(np.abs(place - position[index]).max(initial=0.0))
    if apart > SAME_PLACE:
        raise spoiled(f"{path} puts a module {apart:.3g} m from where {GEOMETRY} has it, expected {SAME_PLACE:g} m")
    efficiency = np.zeros(MODULES)
    efficiency[index] = np.round(table["rde"][deep], 6)  # 1.35 was written in single precision
    return efficiency


def _parquet(path: Path, names: tuple[str, ...]) -> Table:
    """Named columns of a parquet file of the release, with the published number of rows; they may hold NaN."""
    from pyarrow import parquet  # heavy

    rows = next(file.rows for file in RELEASE.files if file.path == path.name) or 0
    with parquet_faults(path):
        about = parquet.read_metadata(path)
    all_there(path, names, about.schema.names)
    if about.num_rows != rows:  # before they are unpacked
        raise spoiled(f"{path} holds {about.num_rows:,} rows, expected {rows:,}: it is not the published file")
    with parquet_faults(path):
        read = parquet.read_table(path, columns=list(names))
        return {name: np.array(read[name].to_numpy(), dtype=np.float64) for name in names}


# ---- ice ----------------------------------------------------------------------------------------------------------


def read_ice(folder: Path, model: str = "spice-mie") -> xr.Dataset:
    """Return an ice model at 400 nm, dim ``layer`` from below: height (z of the middle), scattering, absorption, in m.

    scattering : the *effective* scattering length, about ten times the geometric one.
    model : 'spice-mie', 110 layers, -540 < z < 550 m; 'spice-1', an older fit of 170 layers, as a variation.
    Raises InputError for an unknown model, DataError.
    """
    if model not in ICE_MODELS:
        raise InputError(f"unknown ice model '{model}'.{did_you_mean(model, ICE_MODELS)}")
    height, scattering, absorption = _spice_mie(folder) if model == "spice-mie" else _spice_1(folder)
    rising = np.argsort(height)
    layers = {"height": height, "scattering": scattering, "absorption": absorption}
    return xr.Dataset(
        {name: ("layer", values[rising], {"units": "m"}) for name, values in layers.items()},
        attrs={"name": model, "reference": ICE_MODELS[model], "licence": RELEASE.licence, "wavelength_nm": NANOMETRES},
    )


def _spice_mie(folder: Path) -> tuple[Floats, Floats, Floats]:
    path = located(folder, RELEASE, TRANSPARENCY)
    table = checked(path, _parquet(path, ("depth", "scattering_len", "absorption_len")))
    within(path, table, {"depth": (1000.0, 3000.0), "scattering_len": (1.0, 1e3), "absorption_len": (1.0, 1e3)})
    return CENTRE_DEPTH - table["depth"], table["scattering_len"], table["absorption_len"]


def _spice_1(folder: Path) -> tuple[Floats, Floats, Floats]:
    """Lengths from the coefficients per metre.

    SCAT is taken as the *effective* coefficient, not to be multiplied by 1 - COS = 0.2: so the model agrees with SPICE
    Mie layer by layer (harmonic means within 500 m of the centre 18.5 and 23.6 m), and is five times too clear if not.
    The lowest layer is left out: its absorption is given as lengths (145.6 at 300 nm) where all others have
    coefficients (0.0347).
    """
    path = located(folder, RELEASE, SPICE1)
    content = read_bytes(path)
    with faults_named(path):
        lines = [line.split() for line in content.decode().splitlines() if line.strip() and line[0] != "#"]
        rows: dict[str, list[list[str]]] = {}
        for word, *values in lines:
            rows.setdefault(word, []).append(values)
        all_there(path, ("NLAYER", "NWVL", "LAYER", "ABS", "SCAT"), rows)
        layers, (waves, first, step) = int(rows["NLAYER"][0][0]), (int(word) for word in rows["NWVL"][0])
        edges, absorbed, scattered = (_spectra(rows[word]) for word in ("LAYER", "ABS", "SCAT"))
    at = round((NANOMETRES - first) / step)
    if edges.shape != (layers, 2) or {absorbed.shape, scattered.shape} != {(layers, waves)}:
        raise spoiled(f"{path} does not hold {layers} layers with {waves} wavelengths each, as its head says")
    if not 0 <= at < waves or first + at * step != NANOMETRES:
        raise spoiled(f"{path} has no wavelength of {NANOMETRES:g} nm, only {first} + {step} k nm")
    coefficients = np.stack([absorbed[1:, at], scattered[1:, at]])
    if not np.all((coefficients > 1e-3) & (coefficients < 1.0)):
        raise spoiled(f"{path} holds coefficients beyond 1e-3 to 1 per m above the lowest layer")
    return edges[1:].mean(axis=1), 1.0 / coefficients[1], 1.0 / coefficients[0]


def _spectra(rows: list[list[str]]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64)
