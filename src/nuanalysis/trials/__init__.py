"""Ensembles: right-ascension scrambles (plain and tilted), injected signal, and what is read from them.

Trial i is a pure function of (problem, plan, seed, i), the plan being its tilts or injected strengths.
A tilted scramble draws the right ascension of event i from
r_i = 1 + (n*/N) x_i, which has mean 1 over right ascension; the exact weight back to the null is the product of
1/r_i, that is L(0) / L(n*).  With a mixture of tilts, shares a_k, the weight is 1 / sum_k a_k L(n_k) / L(0) (balance
heuristic).
"""

from nuanalysis.trials._injection import (
    INJECTION_COLUMNS,
    bias_factor,
    emissions,
    flux_node,
    injected,
    injection_grid,
    injection_trials,
)
from nuanalysis.trials._interval import critical_values, interval, median_fit
from nuanalysis.trials._mixture import choose_tilts, uncertainty
from nuanalysis.trials._pvalue import FIVE_SIGMA, PValue, p_value, weighted_quantile
from nuanalysis.trials._scrambles import PLAIN, SCRAMBLE_COLUMNS, Tilt, scramble_trials, scrambled
from nuanalysis.trials._strength import Strength, strength_for

__all__ = [
    "FIVE_SIGMA",
    "INJECTION_COLUMNS",
    "PLAIN",
    "SCRAMBLE_COLUMNS",
    "PValue",
    "Strength",
    "Tilt",
    "bias_factor",
    "choose_tilts",
    "critical_values",
    "emissions",
    "flux_node",
    "injected",
    "injection_grid",
    "injection_trials",
    "interval",
    "median_fit",
    "p_value",
    "scramble_trials",
    "scrambled",
    "strength_for",
    "uncertainty",
    "weighted_quantile",
]
