"""Whether a list of sources holds more small local p-values than chance gives, whichever its brightest source is."""

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats, Ints


@dataclass(frozen=True, slots=True)
class Population:
    """The k sources of smallest local p-value whose binomial probability is the smallest over all k.

    p : the chance that k or more of the sources have a local p-value of p_threshold or less, were they independent;
        local: not corrected for the choice of k, nor for correlations of the sources.
    """

    k: int
    p_threshold: float
    p: float


def smallest_binomial(p_local: Floats) -> tuple[Ints, Floats]:
    """Number of sources and binomial probability that is smallest over k, from (..., source): (...,) each.

    The k-th smallest of N local p-values is p_k; the chance of k or more below it is sum_{m >= k} C(N, m) p_k^m
    (1 - p_k)^(N - m), the regularised incomplete beta function I_{p_k}(k, N - k + 1) (IceCube 2020, PRL 124, 051103).
    Raises InputError for values that are no probabilities.
    """
    if p_local.shape[-1] < 1 or not np.all((p_local >= 0.0) & (p_local <= 1.0)):
        raise InputError(
            f"the population test got local p-values of shape {p_local.shape} between {np.min(p_local, initial=1.0):g} "
            f"and {np.max(p_local, initial=0.0):g}; expected at least one source and values from 0 to 1"
        )
    n = p_local.shape[-1]
    k = np.arange(1, n + 1)
    chance = scipy.special.betainc(k, n - k + 1, np.sort(p_local, axis=-1))
    best = chance.argmin(axis=-1)
    return best + 1, np.take_along_axis(chance, best[..., None], axis=-1)[..., 0]


def population(p_local: Floats) -> Population:
    """The binomial test of one list, (source,) local p-values."""
    k, chance = smallest_binomial(p_local)
    return Population(int(k), float(np.sort(p_local)[int(k) - 1]), float(chance))
