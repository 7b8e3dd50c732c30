"""Alerts made up for tests, and the official schema where it lies in the data folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import radians
from pathlib import Path
from typing import Any

import pytest

from nuanalysis.alerts import GEOMETRIC, Alert, Box, Region, circular_radius

BOX = Box(*(radians(side) for side in (0.95, 1.26, 0.5, 0.45)))
PLACE = radians(77.43), radians(5.72)
REGION = Region(
    *PLACE, radius=circular_radius(BOX, PLACE[1]), radius_definition=GEOMETRIC, box=BOX, systematic=True
)  # fmt: skip
REAL = Alert(
    name="IC170922A", run=130033, event_id=50579430, time=58018.87118559, stream="gfu-gold", tier="gold",
    topology="track", energy_tev=290.0, energy_kind="most probable neutrino energy for E^-2.19", p_astro=0.631,
    far_per_yr=0.58, method="as published", region=REGION, tense="archival", origin="real",
)  # fmt: skip
SIMULATED = replace(REAL, name="sim-170922", origin="synthetic", tense="test")
CASCADE = replace(SIMULATED, name="sim-c", run=3, event_id=4, tier="cascade", topology="shower", stream="cascade")


def many(number: int) -> list[Alert]:
    """Real-looking alerts, one a day."""
    return [
        replace(REAL, name=f"IC{100_000 + i}A", run=1000 + i, event_id=7 + i, time=58000.25 + i, p_astro=(i % 90) / 100)
        for i in range(number)
    ]


def official(mirror: Path, family: str) -> Callable[[dict[str, Any]], None]:
    """The official validator of 'icecube' or 'km3net' notices, from files alone; skips where they are not here."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    folder = mirror / "gcn_schema"
    if not folder.is_dir():
        pytest.skip("no gcn_schema in NUANALYSIS_DATA")
    found = [json.loads(path.read_text()) for path in sorted(folder.rglob("*.schema.json"))]
    registry = Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in found])
    name = {"icecube": "icecube/single_neutrino_alerts", "km3net": "km3net/alert"}[family]
    schema = next(one for one in found if one["$id"].endswith(f"{name}.schema.json"))
    return Draft202012Validator(schema, registry=registry).validate
