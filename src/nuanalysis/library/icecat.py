"""Alerts of ICECAT-1 by their names: where and when, with their regions."""

from __future__ import annotations

from dataclasses import dataclass

from nuanalysis.alerts import Box, Region
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import find, icecat1

_SIDES = ("right_ascension_plus", "right_ascension_minus", "declination_plus", "declination_minus")


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """Name, time (MJD UTC) and region of an alert of the catalogue."""

    name: str
    time: float
    region: Region


def known_alerts() -> tuple[KnownAlert, ...]:
    """All alerts of ICECAT-1, by time.  Raises DataError where the release is not here."""
    rows = icecat1.read_events(find(icecat1.RELEASE))
    out = []
    for k in range(rows.sizes["alert"]):
        box = Box(*(float(rows[side].values[k]) for side in _SIDES))
        place = (float(rows[name].values[k]) for name in ("right_ascension", "declination"))
        out.append(KnownAlert(str(rows["name"].values[k]), float(rows["mjd"].values[k]), Region(*place, box=box)))
    return tuple(out)


def known_alert(name: str) -> KnownAlert:
    """An alert by its name, IC170922A or IceCube-170922A.  Raises InputError with the nearest name."""
    every = {one.name: one for one in known_alerts()}
    plain = "IC" + name.removeprefix("IceCube-").removeprefix("IC")
    if plain not in every:
        raise InputError(f"ICECAT-1 holds no alert '{name}'.{did_you_mean(plain, every)}")
    return every[plain]
