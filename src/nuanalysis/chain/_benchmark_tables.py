"""The tables of the benchmark: what is true of its events, what networks say of them, and what the modules saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.chain._events import Seen, hits_of, taken
from nuanalysis.chain._judge import Judgement
from nuanalysis.chain._resolution import azimuth, zenith
from nuanalysis.deferred import units as u
from nuanalysis.deferred import xarray as xr
from nuanalysis.detector import SUMMARY, Component, Detector, Kind, Origin, hull, inside
from nuanalysis.learn import Class, labels_of
from nuanalysis.schema import TWO_PI, Bools, Column, Floats, Ints, Schema

if TYPE_CHECKING:
    from astropy.table import QTable

CLASSES = tuple(one.name.lower() for one in Class)
AXES = ("x", "y", "z")
_FARTHEST = 5000.0  # m: of a vertex that is told in another unit
#: What is handed in, a row an event of the test split.
PREDICTIONS = Schema(
    "predictions",
    "1",
    {
        "event": Column(("event",), "", 0.0, description="number of the event"),
        **{
            f"probability_{name}": Column(("event",), "", 0.0, 1.0, f"of being of the class {name}; the four sum to 1")
            for name in CLASSES
        },
        "zenith": Column(("event",), "rad", 0.0, np.pi, "where it comes from, 0 is from above"),
        "azimuth": Column(("event",), "rad", 0.0, TWO_PI, "where it comes from, in detector coordinates"),
        "angular_error": Column(
            ("event",), "rad", 1e-5, np.pi, "sigma of the direction: half of the events lie within 1.177 sigma"
        ),
        "log10_deposited": Column(("event",), "", -1.0, 9.0, "log10 of the deposited energy in GeV"),
        **{f"vertex_{axis}": Column(("event",), "m", -_FARTHEST, _FARTHEST, f"{axis} of the vertex") for axis in AXES},
    },
)
#: What is true of every event, as far as a score needs it.
KNOWN = Schema(
    "truth",
    "1",
    {
        "event": Column(("event",), "", 0.0, description="number of the event in its stream"),
        "deposited": Column(
            ("event",), "GeV", 0.0, description="light in the array and 150 m around, as energy of a cascade"
        ),
        **{name: PREDICTIONS.columns[name] for name in ("zenith", "azimuth")},
        **{f"vertex_{axis}": Column(("event",), "m", description=f"{axis} of the interaction, or of the entry of a "
           "bundle into the cylinder of generation") for axis in AXES},
        "contained": Column(("event",), "", 0.0, 1.0, "whether the vertex is within the hull of the strings"),
        "rate_atmospheric": Column(("event",), "Hz", 0.0, description="of atmospheric neutrinos that it stands for"),
        "rate_astrophysical": Column(("event",), "Hz", 0.0, description="of astrophysical neutrinos"),
        "rate_muons": Column(("event",), "Hz", 0.0, description="of atmospheric muons"),
    },
)  # fmt: skip
_MORE = {
    "split": "train or test",
    "kind": "by the way it was made",
    "class": "by what it looks like: " + ", ".join(CLASSES),
    "pdg": "of the neutrino, signed; 0 for bundles of muons",
    "energy": "of the neutrino, or of the leading muon of a bundle at its entry",
    "time": "of the vertex",
    "muons": "of a bundle at its entry",
    "weight": "m2 sr GeV for neutrinos, so that a rate is the sum of flux x weight over all events; Hz for bundles, "
    "before normalisation",
}
_WORDS = {**_MORE, **{name: column.description for name, column in KNOWN.columns.items()}}


def truth_table(seen: Seen, events: Ints, test: Bools, rates: tuple[Component, ...], detector: Detector) -> QTable:
    """A row for each of some events (row,) of a sample: what is true of it.

    test (row,) : whether it is tested on.  rates : of all events of the sample.
    """
    from astropy.table import QTable

    truth = taken(seen.truth, events)
    by_origin = {one: np.sum([r.rate[events] for r in rates if r.origin is one], axis=0) for one in Origin}
    columns = {
        "event": truth.number,
        "split": np.where(test, "test", "train"),
        "kind": np.array([one.name.lower() for one in Kind])[truth.kind],
        "class": np.array(CLASSES)[labels_of(truth)],
        "pdg": truth.pdg,
        "energy": truth.energy * u.GeV,
        "deposited": truth.deposited * u.GeV,
        "zenith": zenith(truth.direction) * u.rad,
        "azimuth": azimuth(truth.direction) * u.rad,
        **_places(truth.vertex),
        "time": truth.time * u.ns,
        "contained": inside(hull(detector), truth.vertex).astype(np.int64),
        "muons": truth.muons,
        "weight": truth.weight,
        "rate_atmospheric": by_origin[Origin.ATMOSPHERIC] * u.Hz,
        "rate_astrophysical": by_origin[Origin.ASTROPHYSICAL] * u.Hz,
        "rate_muons": by_origin[Origin.MUON] * u.Hz,
    }
    return _described(QTable(columns), _WORDS)


def predictions_table(seen: Seen, judged: Judgement, rows: Bools) -> QTable:
    """What networks say of some of the judged events, rows (judged event,), in the form of PREDICTIONS."""
    from astropy.table import QTable

    direction = judged.said.direction[rows]
    columns = {
        "event": seen.truth.number[judged.events[rows]],
        **{f"probability_{name}": judged.probability[rows, k] for k, name in enumerate(CLASSES)},
        "zenith": zenith(direction) * u.rad,
        "azimuth": azimuth(direction) * u.rad,
        "angular_error": judged.sigma[rows] * u.rad,
        "log10_deposited": judged.said.log10_energy[rows],
        **_places(judged.said.vertex[rows]),
    }
    return _described(QTable(columns), {name: column.description for name, column in PREDICTIONS.columns.items()})


def _places(vertex: Floats) -> dict[str, u.Quantity]:
    return {f"vertex_{axis}": values * u.m for axis, values in zip(AXES, vertex.T, strict=True)}


def _described(table: QTable, words: dict[str, str]) -> QTable:
    for name in table.colnames:
        table[name].info.description = words[name]
    return table


def modules_dataset(seen: Seen, events: Ints, detector: Detector) -> xr.Dataset:
    """What the modules saw of some events: hits event by event, and where the modules are.

    Hits of event i are those from event_start[i] to event_start[i + 1], not with it.
    """
    hits = hits_of(seen.hits, events)

    def column(dims: tuple[str, ...], values: object, unit: str, words: str) -> tuple[object, ...]:
        return dims, values, {"units": unit, "description": words}

    return xr.Dataset(
        {
            "event": column(("row",), seen.truth.number[events], "", "number of the event, as in the truth"),
            "event_start": column(("edge",), hits.start, "", "first hit of each event, then their number"),
            "window": column(("row",), hits.window, "ns", "the time that times of hits count from, since time 0"),
            "hit_module": column(("hit",), hits.module.astype(np.uint16), "", "index of the module, from 0"),
            "hit_values": column(
                ("hit", "value"), hits.values.astype(np.float32), "", "see value_names; times in ns, photoelectrons"
            ),
            "hit_saturated": column(("hit",), hits.saturated.astype(np.uint8), "", "1 beyond the linear range"),
            "module_position": column(("module", "axis"), detector.position, "m", "x, y, z; z is up"),
            "module_efficiency": column(("module",), detector.efficiency, "", "over a nominal module; 0 is dead"),
            "module_string": column(("module",), detector.string, "", "number of the string"),
            "module_number": column(("module",), detector.number, "", "number on the string, from the top"),
        },
        attrs={"value_names": list(SUMMARY)},
    )
