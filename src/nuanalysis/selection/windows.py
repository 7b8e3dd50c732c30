"""Events inside a time window and around it, with the observing time of both: what a count in the window expects."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Floats, Ints
from nuanalysis.selection._cuts import DAY, Runs

LEAST_OFF = 30  # events around a window that its background is estimated from
FINER = 10.0  # times the resolution of the times is what a window must last


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window in time and what the events around it say of its background.

    on : numbers of the events inside, (event,).    n_off : events around it.
    live_s, off_live_s : observing time inside and around it, s.
    """

    length_s: float
    on: Ints
    n_off: int
    live_s: float
    off_live_s: float

    @property
    def n_background(self) -> float:
        """Expected events inside, of the whole sky: the rate around the window times the observing time inside."""
        return self.n_off / self.off_live_s * self.live_s

    @property
    def n_background_error(self) -> float:
        """Its statistical error."""
        return self.n_background / math.sqrt(max(self.n_off, 1))


def resolution_s(mjd: Floats) -> float:
    """How coarsely times are given, s: 0 where hardly two are alike, else the smallest step between them.

    Times of single events are nearly all different; of whole days, or hours, nearly none is.
    """
    different = np.unique(mjd)
    if len(different) > 0.5 * len(mjd) or len(different) < 2:
        return 0.0
    return float(np.diff(different).min() * DAY)


def window(mjd: Floats, runs: Runs, *, centre: float, length_s: float, off_d: float, own: Ints) -> Window:
    """The window of a length around a time, MJD in d.

    mjd : of all events, (event,).    runs : good runs; events outside them are not counted.
    off_d : how far to either side the background is taken from, d; the window itself is cut out.
    own : numbers of events that are left out everywhere, such as the alert itself.
    Raises InputError for times that are too coarse, a window without observing time, and too few events around it.
    """
    step, half = resolution_s(mjd), 0.5 * length_s / DAY
    if step * FINER > length_s:
        raise InputError(
            f"the times of these events are given in steps of {step:,.0f} s, so a window of {length_s:,.0f} s cannot "
            f"be told from its neighbours; ask for {FINER * step:,.0f} s or more, or use a sample with exact times"
        )
    inside = runs.within(centre - half, centre + half)
    around = runs.within(centre - off_d, centre - half), runs.within(centre + half, centre + off_d)
    live, off_live = inside.exposure_s, sum(part.exposure_s for part in around)
    counted = runs.touch(mjd)
    counted[own] = False
    apart = np.abs(mjd - centre)
    on, n_off = np.flatnonzero(counted & (apart <= half)), int((counted & (apart > half) & (apart <= off_d)).sum())
    if live <= 0.0:
        raise InputError(f"there is no observing time within {length_s:,.0f} s around MJD {centre:.6f}")
    if n_off < LEAST_OFF:
        raise InputError(
            f"{n_off} events lie within {off_d:g} d around the window of {length_s:,.0f} s, expected {LEAST_OFF} or "
            "more to know its background; take a wider range"
        )
    return Window(length_s, on, n_off, live, off_live)
