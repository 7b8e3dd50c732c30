"""How much of a map is read and between which numbers it must lie; before it is read and after it was summed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.templates._formats import Stored
from nuanalysis.store import MAP, parsing, refuse_size, regular

#: Bytes of a file that is read field by field and never lies in memory: KRA-gamma at nside 512 has 4.3e9 of them.
MAPPED = 16 * MAP
MOST_ENERGIES = 4096
ENERGY_RANGE = (1e-6, 1e15)  # GeV: from a keV to above all that is observed
# Of the sums over the pixels, as stored and as fluxes: far outside of all units, and well within double precision.
SUM_RANGE = (1e-250, 1e250)


def map_bytes(path: Path) -> int:
    """The bytes of a map file.  Raises InputError for what is no regular file or larger than is read of one."""
    size = regular(path, "the map").st_size
    refuse_size(path, "the map", size, MAPPED)
    return size


def refuse_maps(path: Path, n_pixels: int, n_maps: int) -> None:
    """Raise InputError where so many maps in float64 would take more memory than is given to one file."""
    refuse_size(path, f"in float64 the {'map' if n_maps == 1 else f'{n_maps} maps'} of", 8 * n_pixels * n_maps, MAP)


def guarded(stored: Stored, path: Path, remedy: str) -> Stored:
    """The same map, whose reader's faults, which come when values are asked for, are faults of the file."""

    def values(start: int, stop: int) -> Floats:
        with parsing(path, "the map", remedy):
            return np.asarray(stored.values(start, stop))

    return replace(stored, values=values)


def in_range(values: Floats) -> bool:
    """Whether all sums that are not zero can be worked with."""
    low, high = SUM_RANGE
    return bool(np.all((values == 0.0) | ((values >= low) & (values <= high))))
