"""From which neutrino energies a result comes."""

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis import simulate
from nuanalysis.model import Prepared, place
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue, Template, Windowed, factorised
from nuanalysis.trials import flux_node

_PER_DECADE = 20
_DRAWN = 400  # events drawn at each energy
_LEAST = 0.01  # what 1 + (n_s / N) x is held above, as in the fit


@dataclass(frozen=True, slots=True, eq=False)
class EnergyRange:
    """Contributions to the likelihood by true energy.

    log10_energy (node,) E/GeV; detected, weight (node,) share of the signal events, and of the mean ln L(n_s) / L(0)
    that they bring, each sums to 1.
    """

    log10_energy: Floats
    detected: Floats
    weight: Floats

    def bounds(self, degraded: float) -> tuple[float, float]:
        """log10 E/GeV below, and above, which the signal may be missing before sensitivity degrades by a fraction.

        Each end on its own, as IceCube 2023 quotes it: the flux needed grows as one over the weight that is left.
        """
        part = 1.0 - 1.0 / (1.0 + degraded)
        cumulative = np.cumsum(self.weight)
        edges = self.log10_energy + 0.5 / _PER_DECADE
        return float(np.interp(part, cumulative, edges)), float(np.interp(1.0 - part, cumulative, edges))


def _at(target: Template | Catalogue, log10_energy: float) -> Template | Catalogue:
    """A target with its morphology at one energy."""
    if isinstance(target, Catalogue) or len(target.maps) == 1:
        return target
    maps, at = factorised(target.density_at(log10_energy))
    return replace(target, maps=maps, log10_energy=at)


def energy_range(prepared: Prepared, n_signal: float, rng: np.random.Generator) -> EnergyRange:
    """Which true energies the likelihood of n_signal events comes from, in the mean over drawn events.

    Signal events are drawn from the response at each energy, and each brings ln(1 + (n_s / N) x) at the place and
    energy where it is seen; their own weight on the background estimate is left out.
    """
    hypothesis, node = prepared.hypothesis, flux_node(prepared)
    nodes = np.arange(2.0, 7.2 + 1e-9, 1.0 / _PER_DECADE)
    detected, weight = np.zeros(len(nodes)), np.zeros(len(nodes))
    for part in prepared.parts:
        sample = part.sample
        band = simulate.bands_of(hypothesis.target, sample.response)
        for k in range(len(nodes)):
            narrow = Windowed(hypothesis.spectrum, nodes, k)
            source = simulate.emission(_at(hypothesis.target, float(nodes[k])), sample.response, narrow, band)
            if source.cumulative[-1] <= 0.0:
                continue
            drawn = simulate.signal(source, _DRAWN, rng)
            drawn = drawn.take(np.flatnonzero(sample.passes(drawn.declination, drawn.log10_energy)))
            where = part.densities.where(drawn.declination, drawn.log10_energy, drawn.angular_error)
            there = place(part.space, part.seen(drawn.declination, drawn.angular_error, where))
            shapes = there.difference_at(there.position(drawn.right_ascension))
            ratio = part.densities.terms(where, part.base).at(node)
            x = ratio * (prepared.mixing[node] @ shapes) * part.share[node]
            c = n_signal / part.n_events
            rate = float(source.cumulative[-1]) * sample.livetime
            detected[k] += rate * len(drawn) / _DRAWN
            weight[k] += rate * float(np.log(np.maximum(1.0 + c * x, _LEAST)).sum()) / _DRAWN
    return EnergyRange(nodes, detected / detected.sum(), weight / weight.sum())
