"""The vocabulary: names, dimensions, units and ranges of everything that crosses a border.

``check(dataset, EVENTS)`` refuses a dataset with every fault listed in one message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, refuse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TWO_PI = 2.0 * np.pi


class Spectrum(Protocol):
    """Anything with dN/dE relative to its value at 100 TeV."""

    def shape(self, log10_energy: Floats) -> Floats:
        """Relative dN/dE at log10(E/GeV); any shape."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """One variable: dimensions, unit (astropy spelling, '' for a pure number), closed range, meaning."""

    dims: tuple[str, ...]
    unit: str
    low: float = -np.inf
    high: float = np.inf
    description: str = ""
    ucd: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """A named set of columns and of attributes that must be present."""

    name: str
    version: str
    columns: dict[str, Column]
    attrs: tuple[str, ...] = field(default=())


EVENTS = Schema(
    "events",
    "1",
    {
        "mjd": Column(("event",), "d", 50000.0, 80000.0, "time of arrival, UTC", "time.epoch"),
        "right_ascension": Column(("event",), "rad", 0.0, TWO_PI, "reconstructed, ICRS", "pos.eq.ra"),
        "declination": Column(("event",), "rad", -np.pi / 2, np.pi / 2, "reconstructed, ICRS", "pos.eq.dec"),
        "log10_energy": Column(
            ("event",), "", 0.0, 10.0, "log10 of the reconstructed energy (proxy) in GeV", "em.energy"
        ),
        "angular_error": Column(("event",), "rad", 1e-4, np.pi, "circularised one-sigma error", "stat.error;pos"),
        "azimuth": Column(("event",), "rad", 0.0, TWO_PI, "detector azimuth", optional=True),
        "zenith": Column(("event",), "rad", 0.0, np.pi, "detector zenith", optional=True),
        "run": Column(("event",), "", 0.0, description="run number", optional=True),
        "event_id": Column(("event",), "", 0.0, description="event number within the run", optional=True),
        "component": Column(
            ("event",),
            "",
            0.0,
            3.0,
            "truth of a synthetic event: 0 atmospheric neutrino, 1 atmospheric muon, 2 isotropic, 3 signal",
            optional=True,
        ),
        "cascade_score": Column(("event",), "", 0.0, 1.0, "score of a selection, 1 is a cascade", optional=True),
        "muon_score": Column(("event",), "", 0.0, 1.0, "score of a selection, 0 is a muon", optional=True),
    },
    attrs=("sample", "origin", "livetime_s", "reference"),
)

WEIGHTED = Schema(
    "weighted-events",
    "1",
    {
        "rate": Column(("event",), "Hz", 0.0, description="rate that a simulated event stands for"),
        "component": Column(
            ("event",), "", 0.0, 2.0, "0 atmospheric neutrino, 1 atmospheric muon, 2 isotropic astrophysical neutrino"
        ),
        **{name: EVENTS.columns[name] for name in ("declination", "log10_energy", "angular_error")},
        **{name: EVENTS.columns[name] for name in ("cascade_score", "muon_score")},
        "log10_true": Column(("event",), "", 0.0, 12.0, "log10 of the true energy in GeV", optional=True),
        "true_declination": Column(("event",), "rad", -np.pi / 2, np.pi / 2, "of the true direction", optional=True),
        "number": Column(("event",), "", 0.0, description="of the simulated event in its stream", optional=True),
    },
    attrs=("sample", "origin", "reference"),
)

RESPONSE = Schema(
    "response",
    "1",
    {
        "effective_area": Column(
            ("sin_dec", "log10_true"),
            "cm2",
            0.0,
            description="times the per-flavour nu + nubar flux gives the events of every flavour the sample sees",
        ),
        "sin_dec_edges": Column(("sin_dec_edge",), "", -1.0, 1.0, "edges of the effective-area bands"),
        "log10_true_edges": Column(("log10_true_edge",), "", 0.0, 12.0, "edges in log10 of the neutrino energy in GeV"),
        "migration": Column(
            ("band", "migration_true", "migration_reco"),
            "",
            0.0,
            1.0,
            "P(reconstructed bin | true bin), every row sums to 1",
        ),
        "band_sin_dec_edges": Column(("band_edge",), "", -1.0, 1.0, "edges of the bands of migration and point spread"),
        "migration_true_edges": Column(("migration_true_edge",), "", 0.0, 12.0, "log10 E/GeV, truth axis"),
        "migration_reco_edges": Column(("migration_reco_edge",), "", 0.0, 12.0, "log10 E/GeV, reconstructed axis"),
        "psf_log10_true": Column(("psf_node",), "", 0.0, 12.0, "log10 E/GeV of the point-spread nodes"),
        "psf_narrow_fraction": Column(("band", "psf_node"), "", 0.0, 1.0, "weight of the narrow von Mises-Fisher part"),
        "psf_kappa_narrow": Column(("band", "psf_node"), "", 0.0, description="concentration of the narrow part"),
        "psf_kappa_broad": Column(("band", "psf_node"), "", 0.0, description="concentration of the broad part"),
        "error_log10_true": Column(
            ("error_node",), "", 0.0, 12.0, "log10 E/GeV of the nodes of the errors", optional=True
        ),
        "error_edges": Column(("error_edge",), "rad", 0.0, np.pi, "edges of the per-event errors", optional=True),
        "error_share": Column(
            ("error_node", "error_bin"), "", 0.0, 1.0, "P(error bin | true energy), every row sums to 1", optional=True
        ),
        "kernel_weight": Column(
            ("kernel_part",), "", 0.0, 1.0, "weights of the parts of the point spread at a given error", optional=True
        ),
        "kernel_scale": Column(("kernel_part",), "", 0.0, description="their widths over the error", optional=True),
    },
    attrs=("name", "reference", "flavours"),
)

TRIALS = Schema(
    "trials",
    "1",
    {
        "ts": Column(("trial",), "", 0.0, description="test statistic"),
        "n_signal": Column(("trial",), "", 0.0, description="fitted number of signal events"),
        "index": Column(("trial",), "", 0.0, 10.0, "fitted (or fixed) spectral index"),
        "log_weight": Column(("trial",), "", description="log of the weight back to the null hypothesis"),
        "converged": Column(("trial",), "", 0.0, 1.0, "1 where the fit converged"),
    },
    attrs=("fingerprint", "seed", "kind"),
)

LIKELIHOOD = Schema(
    "likelihood",
    "1",
    {
        "season": Column(("event",), "", 0.0, description="which of the seasons, from 0", ucd="meta.id"),
        "row": Column(
            ("event",), "", 0.0, description="row of the event in the table of its season, from 0", ucd="meta.id"
        ),
        "signal": Column(
            ("event",), "sr-1", 0.0, description="S, signal density in the direction of the event", optional=True
        ),
        "signal_mean": Column(("event",), "sr-1", 0.0, description="<S>, its mean over right ascension", optional=True),
        "background": Column(
            ("event",), "sr-1", 0.0, description="B, background density in that direction", optional=True
        ),
        "ratio": Column(
            ("event",), "", 0.0, description="W, signal over background in all else, energy first", optional=True
        ),
        "excess": Column(("event",), "", description="x = W (S - <S>) / B", optional=True),
    },
    attrs=("sample", "origin", "hypothesis", "seasons"),
)

TRUTH = Schema(
    "truth",
    "1",
    {
        "kind": Column(("event",), "", 0.0, 6.0, "by the way it was made, detector.Kind"),
        "pdg": Column(("event",), "", -16.0, 16.0, "of the neutrino, signed; 0 for bundles of muons"),
        "energy": Column(("event",), "GeV", 0.0, description="of the neutrino, or of the leading muon of a bundle"),
        "inelasticity": Column(("event",), "", 0.0, 1.0, "0 for bundles"),
        "vertex": Column(("event", "axis"), "m", description="of the interaction, or of the entry of a bundle"),
        "time": Column(("event",), "ns", description="of the vertex"),
        "direction": Column(("event", "axis"), "", -1.0, 1.0, "unit vector of motion"),
        "deposited": Column(("event",), "GeV", 0.0, description="light in the array and 150 m around, as a cascade"),
        "brightest": Column(("event",), "", 0.0, description="largest share of it in one place"),
        "muon_energy": Column(("event",), "GeV", 0.0, description="of the leading muon at the hull of the strings"),
        "muons": Column(("event",), "", 0.0, description="at the entry"),
        "maximum": Column(("event", "axis"), "m", description="the place of the largest emission"),
        "weight": Column(("event",), "", 0.0, description="m2 sr GeV for neutrinos, Hz for bundles"),
        "number": Column(("event",), "", 0.0, description="of the event in its stream"),
    },
    attrs=("origin", "detector", "seed"),
)

PULSES = Schema(
    "pulses",
    "1",
    {
        "pulse_module": Column(("pulse",), "", 0.0, 65535.0, "index of the optical module in its detector"),
        "pulse_time": Column(("pulse",), "ns", description="since the time 0 of the event"),
        "pulse_charge": Column(("pulse",), "", 0.0, description="photoelectrons"),
        "pulse_flag": Column(("pulse",), "", 0.0, 1.0, "1 where the module was beyond its linear range"),
        "event_start": Column(("event_edge",), "", 0.0, description="first pulse of each event, then their number"),
        "triggered": Column(("event",), "", 0.0, 1.0, "1 where the simple majority trigger was met"),
        "trigger_time": Column(("event",), "ns", description="of its first hit; 0 without it"),
    },
    attrs=("origin", "detector", "seed"),
)

ORIGINS = ("real", "synthetic")


def _column_faults(dataset: xr.Dataset, name: str, column: Column) -> list[str]:
    if name not in dataset.variables:
        return [] if column.optional else [f"column '{name}' is missing"]
    variable = dataset[name]
    faults = []
    if variable.dims != column.dims:
        faults.append(f"'{name}' has dimensions {variable.dims}, expected {column.dims}")
    if (unit := variable.attrs.get("units")) != column.unit:
        faults.append(f"'{name}' has units {unit!r}, expected {column.unit!r}")
    if variable.dtype.kind not in "fiub":
        return [*faults, f"'{name}' has dtype {variable.dtype}, expected a number"]
    values = np.asarray(variable.values)
    if broken := int(np.count_nonzero(~np.isfinite(values))):
        faults.append(f"'{name}' has {broken} values that are NaN or infinite")
    if outside := int(np.count_nonzero((values < column.low) | (values > column.high))):
        faults.append(f"'{name}' has {outside} values outside [{column.low:g}, {column.high:g}]")
    return faults


def faults(dataset: xr.Dataset, schema: Schema) -> list[str]:
    """Return every way in which the dataset breaks the schema, in words; empty when it keeps it."""
    found = [f for name, column in schema.columns.items() for f in _column_faults(dataset, name, column)]
    found += [f"column '{name}' is not part of the schema" for name in dataset.variables if name not in schema.columns]
    found += [f"attribute '{name}' is missing" for name in schema.attrs if name not in dataset.attrs]
    origin = dataset.attrs.get("origin")
    if "origin" in schema.attrs and origin is not None and origin not in ORIGINS:
        found.append(f"attribute 'origin' is {origin!r}, expected 'real' or 'synthetic'")
    return found


def check(dataset: xr.Dataset, schema: Schema, *, source: str = "dataset") -> xr.Dataset:
    """Return the dataset unchanged if it keeps the schema.

    Raises DataError that lists all faults at once.  ``source`` names the file or step in the message.
    """
    what = f"{source} does not keep the {schema.name} schema (version {schema.version})"
    remedy = "Correct the input, or convert it with the reader of its release."
    refuse(faults(dataset, schema), what, remedy, error=DataError)
    return dataset


def dataset(schema: Schema, values: dict[str, np.ndarray], attrs: dict[str, object]) -> xr.Dataset:
    """Return a checked dataset: dimensions, units and descriptions come from the schema."""
    data = {}
    for name, array in values.items():
        column = schema.columns[name]
        described = {"units": column.unit, "description": column.description}
        data[name] = (column.dims, np.asarray(array), described)
    return check(
        xr.Dataset(data, attrs={"schema": f"{schema.name}/{schema.version}", **attrs}),
        schema,
        source=str(attrs.get("sample", schema.name)),
    )
