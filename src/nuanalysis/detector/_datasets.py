"""Truth and pulses as datasets of the schemas TRUTH and PULSES, which a store keeps, and back."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from nuanalysis import schema
from nuanalysis.deferred import xarray as xr
from nuanalysis.detector._records import Pulses, Truth

_WHOLE = ("kind", "pdg", "muons", "number")


def truth_dataset(truth: Truth, *, detector: str, seed: int) -> xr.Dataset:
    """The truth of events, schema TRUTH: dimensions event and axis."""
    values = {field.name: np.asarray(getattr(truth, field.name)) for field in fields(truth)}
    return schema.dataset(schema.TRUTH, values, {"origin": "synthetic", "detector": detector, "seed": seed})


def pulses_dataset(pulses: Pulses, *, detector: str, seed: int) -> xr.Dataset:
    """Pulses, schema PULSES: dimensions pulse, event and event_edge."""
    values: dict[str, np.ndarray] = {
        "pulse_module": pulses.module.astype(np.uint16),
        "pulse_time": pulses.time.astype(np.float32),
        "pulse_charge": pulses.charge.astype(np.float32),
        "pulse_flag": pulses.saturated.astype(np.uint8),
        "event_start": pulses.start.astype(np.int64),
        "triggered": pulses.triggered.astype(np.uint8),
        "trigger_time": np.where(pulses.triggered, pulses.trigger_time, 0.0),
    }
    return schema.dataset(schema.PULSES, values, {"origin": "synthetic", "detector": detector, "seed": seed})


def truth_from(dataset: xr.Dataset) -> Truth:
    """The record of a dataset of schema TRUTH.  Raises DataError where it breaks the schema."""
    schema.check(dataset, schema.TRUTH)
    whole = {name: dataset[name].values.astype(np.int64) for name in _WHOLE}
    real = {
        field.name: dataset[field.name].values.astype(np.float64) for field in fields(Truth) if field.name not in whole
    }
    return Truth(**whole, **real)  # type: ignore[arg-type]


def pulses_from(dataset: xr.Dataset) -> Pulses:
    """The record of a dataset of schema PULSES.  Raises DataError where it breaks the schema."""
    schema.check(dataset, schema.PULSES)
    triggered = dataset["triggered"].values.astype(np.bool_)
    return Pulses(
        module=dataset["pulse_module"].values.astype(np.int64),
        time=dataset["pulse_time"].values.astype(np.float32),
        charge=dataset["pulse_charge"].values.astype(np.float32),
        saturated=dataset["pulse_flag"].values.astype(np.bool_),
        start=dataset["event_start"].values.astype(np.int64),
        triggered=triggered,
        trigger_time=np.where(triggered, dataset["trigger_time"].values, np.nan),
    )
