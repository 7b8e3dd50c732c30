"""Alerts of ICECAT-1 by their names."""

from __future__ import annotations

from nuanalysis.alerts import Alert, alerts_of, short_name
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import find, icecat1


def known_alerts() -> tuple[Alert, ...]:
    """All alerts of ICECAT-1, by time.  Raises DataError where the release is not here."""
    return alerts_of(icecat1.read_events(find(icecat1.RELEASE)))


def known_alert(name: str) -> Alert:
    """An alert by its name, IC170922A or IceCube-170922A.  Raises InputError with the nearest name."""
    every = {one.name: one for one in known_alerts()}
    plain = short_name(name)
    if plain not in every:
        raise InputError(f"ICECAT-1 holds no alert '{name}'.{did_you_mean(plain, every)}")
    return every[plain]
