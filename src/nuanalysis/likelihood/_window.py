"""The likelihood of a short time window around a place: few events, a known background, a Poisson number of both.

    TS(n_s) = 2 [ -n_s + sum_i ln( 1 + n_s S_i / (n_b B_i) ) ],   n_s >= 0

S and B are densities of the whole sky in direction and energy, n_b the events that the window expects of background
(IceCube fast response analysis, Abbasi et al. 2021, ApJ 910, 4, equation 1).  Where a place is not known exactly, a
penalty 2 ln(P / P_max) of its probability P is added and the largest sum is taken, 0 at least.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.likelihood.window_kernels import best_count, fill_ratio, search
from nuanalysis.model import Background, Densities, Hypothesis, Sample
from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import vmf_norm

__all__ = ["Burst", "Places", "WindowFit", "Yardstick", "burst_of", "place_vectors", "window_fit", "yardstick"]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where a signal is looked for: right ascension and declination, rad; penalty <= 0, 0 at the best; (place,)."""

    right_ascension: Floats
    declination: Floats
    penalty: Floats

    @property
    def vectors(self) -> Floats:
        """Unit vectors, (place, 3)."""
        return place_vectors(self.right_ascension, self.declination)


def place_vectors(ra: Floats, dec: Floats) -> Floats:
    """Unit vectors, (place, 3)."""
    return np.ascontiguousarray(np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class Yardstick:
    """What S / B needs to know of a sample besides the angle between event and place.

    densities, background : of its statistic, for one spectrum; of events in bins of declination, energy and error.
    """

    sample: Sample
    densities: Densities
    background: Background


def yardstick(hypothesis: Hypothesis, sample: Sample) -> Yardstick:
    """Signal and background of a spectrum on a sample; the background is that of all of its events.

    hypothesis : a source with a fixed index; its place does not matter.
    """
    energies = sample.binning.log10_energy_edges[[0, -1]]
    densities = sample.statistic.densities(hypothesis, sample, np.array([hypothesis.index]), energies)
    columns = (sample.array(name) for name in ("declination", "log10_energy", "angular_error"))
    return Yardstick(sample, densities, densities.background(densities.counted(densities.where(*columns))))


@dataclass(frozen=True, slots=True, eq=False)
class Burst:
    """Events as the likelihood sees them, without their right ascension.

    declination (event,) rad; kappa (event, part) of the kernels; height (event, part) of S / B at angle 0.
    """

    declination: Floats
    kappa: Floats
    height: Floats

    def take(self, chosen: Ints) -> Burst:
        """The chosen events."""
        return Burst(self.declination[chosen], self.kappa[chosen], self.height[chosen])


def burst_of(stick: Yardstick, declination: Floats, log10_energy: Floats, angular_error: Floats) -> Burst:
    """Events, (event,) each in rad and log10 E/GeV, measured with the yardstick."""
    where = stick.densities.where(declination, log10_energy, angular_error)
    ratio = stick.densities.terms(where, stick.background).at(0)
    kernel = stick.sample.kernel
    kappa = 1.0 / (angular_error[:, None] * kernel.scale) ** 2
    return Burst(declination, np.ascontiguousarray(kappa), ratio[:, None] * kernel.weight * vmf_norm(kappa))


@dataclass(frozen=True, slots=True, eq=False)
class WindowFit:
    """TS with its penalty, n_s, the number of the place they belong to (the best one where TS is 0).

    ratio : (event,) S / (n_b B) of every event at that place.
    """

    ts: float
    n_signal: float
    place: int
    ratio: Floats


def window_fit(burst: Burst, right_ascension: Floats, n_background: float, places: Places) -> WindowFit:
    """The fit of the events of a window.

    n_background : expected in it, of the whole sky, > 0.
    """
    event = place_vectors(right_ascension, burst.declination)
    vectors, n, height = places.vectors, len(event), burst.height / n_background
    ratio = np.empty(n)
    ts, n_signal, where = search(vectors, places.penalty, event, burst.kappa, height, n, ratio)
    at = where if where >= 0 else int(np.argmax(places.penalty))
    fill_ratio(vectors[at], event, burst.kappa, height, n, ratio)
    if where >= 0:
        n_signal, _ = best_count(ratio, n)
    return WindowFit(float(ts), float(n_signal), at, ratio)
