"""Rows of ICECAT-1 as alerts: everything is carried as printed, names too."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from nuanalysis.alerts._records import Alert, Box, Region
from nuanalysis.alerts._streams import tier_of
from nuanalysis.deferred import xarray as xr
from nuanalysis.sphere import box_radius

Definition = Literal["geometric mean of the sides", "sides in quadrature"]
# What one number for an asymmetric box is, see ``circular_radius``; GCN went from the second to the first in May 2026
# (change 3599 of its site).  The second is larger by sqrt(2) for a round region.
GEOMETRIC: Definition = "geometric mean of the sides"
QUADRATURE: Definition = "sides in quadrature"
CHANGED_MJD = (61161.0, 61192.0)  # May 2026: between these a notice may have followed either
ENERGY = "most probable neutrino energy for E^-2.19"
VETOED = "a veto against cosmic-ray muons fired: kept in ICECAT-1, taken out of ICECAT-2"


def circular_radius(box: Box, declination: float, definition: Definition = GEOMETRIC) -> float:
    """Radius of the circle that stands for a box, rad.

    With a = (mean error in right ascension) cos(dec) and b = (mean error in declination): sqrt(a b), or, before May
    2026, sqrt(a^2 + b^2).
    """
    if definition == GEOMETRIC:
        return box_radius(box.sides, declination)
    across = 0.5 * (box.right_ascension_plus + box.right_ascension_minus) * math.cos(declination)
    along = 0.5 * (box.declination_plus + box.declination_minus)
    return math.hypot(across, along)


def definition_at(mjd: float) -> str:
    """Which definition the radius of an IceCube notice that was sent then follows."""
    if mjd < CHANGED_MJD[0]:
        return QUADRATURE
    return GEOMETRIC if mjd >= CHANGED_MJD[1] else f"{GEOMETRIC}, or {QUADRATURE}: changed in May 2026"


def alerts_of(rows: xr.Dataset) -> tuple[Alert, ...]:
    """The alerts of ``icecat1.read_events``, in its order: archival, revision 0, probabilities as published.

    Regions hold their systematic errors: the boxes follow from resimulations of one event, in varied ice.
    """
    plain = {str(name): rows[name].values for name in rows}
    return tuple(_alert(plain, i) for i in range(rows.sizes["alert"]))


def _alert(rows: dict[str, np.ndarray], i: int) -> Alert:
    stream, declination = str(rows["stream"][i]), float(rows["declination"][i])
    sides = ("right_ascension_plus", "right_ascension_minus", "declination_plus", "declination_minus")
    box = Box(*(float(rows[side][i]) for side in sides))
    region = Region(
        right_ascension=float(rows["right_ascension"][i]), declination=declination,
        radius=circular_radius(box, declination), radius_definition=GEOMETRIC, box=box, systematic=True,
    )  # fmt: skip
    return Alert(
        name=str(rows["name"][i]),
        run=int(rows["run"][i]),
        event_id=int(rows["event_id"][i]),
        time=float(rows["mjd"][i]),
        stream=stream,
        tier=tier_of(stream),
        topology="track",
        energy_tev=float(rows["energy"][i]),
        energy_kind=ENERGY,
        p_astro=float(rows["signalness"][i]),
        far_per_yr=float(rows["false_alarm_rate"][i]),
        method="as published in ICECAT-1",
        region=region,
        tense="archival",
        origin="real",
        doubt=VETOED if rows["cosmic_ray_veto"][i] else "",
    )
