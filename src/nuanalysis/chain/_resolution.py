"""How resolutions are told: directions as zenith and azimuth, and the ranges of deposited energy."""

from __future__ import annotations

import numpy as np

from nuanalysis.schema import Floats

EDGES = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)  # of log10 E/GeV deposited
FEWEST = 20  # events of a row


def zenith(direction: Floats) -> Floats:
    """Where what moves along directions (event, 3) comes from, (event,) rad, 0 to pi."""
    return np.asarray(np.arccos(np.clip(-direction[:, 2], -1.0, 1.0)))


def azimuth(direction: Floats) -> Floats:
    """The same, (event,) rad, 0 to 2 pi."""
    return np.asarray(np.arctan2(-direction[:, 1], -direction[:, 0]) % (2 * np.pi))


def motion(zenith: Floats, azimuth: Floats) -> Floats:
    """Unit vectors (event, 3) along which moves what comes from zenith and azimuth, (event,) rad."""
    across = np.sin(zenith)
    return -np.stack([across * np.cos(azimuth), across * np.sin(azimuth), np.cos(zenith)], axis=1)
