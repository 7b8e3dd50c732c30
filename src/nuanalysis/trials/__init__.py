"""Ensembles: right-ascension scrambles (plain and tilted), injected signal, and what is read from them.

Trial i is a pure function of (problem, plan, seed, i), the plan being its tilts or injected strengths.
A tilted scramble draws the right ascension of event i from
r_i = 1 + (n*/N) x_i, which has mean 1 over right ascension; the exact weight back to the null is the product of
1/r_i, that is L(0) / L(n*).  With a mixture of tilts, shares a_k, the weight is 1 / sum_k a_k L(n_k) / L(0) (balance
heuristic).
"""

from nuanalysis.trials._bias import BiasCurve, bias_curve, median_fit
from nuanalysis.trials._injection import (
    INJECTION_COLUMNS,
    bias_factor,
    conditional_limit,
    conditional_trials,
    emissions,
    flux_node,
    injected,
    injection_grid,
    injection_trials,
    variation_of,
)
from nuanalysis.trials._interval import (
    CriticalCurve,
    accepted,
    bounded_critical,
    critical_curve,
    interval,
    likelihood_interval,
)
from nuanalysis.trials._mixture import (
    Pilot,
    choose_tilts,
    in_turn,
    list_tilts,
    mixture,
    pilot,
    pilot_tilts,
    uncertainty,
)
from nuanalysis.trials._pvalue import (
    FIVE_SIGMA,
    GlobalPValue,
    PValue,
    as_extreme,
    best_of,
    global_p_value,
    p_value,
    weighted_quantile,
)
from nuanalysis.trials._scrambles import (
    PLAIN,
    SCRAMBLE_COLUMNS,
    Tilt,
    columns,
    correlated_trials,
    mixture_log_weight,
    scramble_trials,
    scrambled,
)
from nuanalysis.trials._strength import (
    Potential,
    Significance,
    Strength,
    discovery_potential,
    median_significance,
    strength_for,
)

__all__ = [
    "FIVE_SIGMA",
    "INJECTION_COLUMNS",
    "PLAIN",
    "SCRAMBLE_COLUMNS",
    "BiasCurve",
    "CriticalCurve",
    "GlobalPValue",
    "PValue",
    "Pilot",
    "Potential",
    "Significance",
    "Strength",
    "Tilt",
    "accepted",
    "as_extreme",
    "best_of",
    "bias_curve",
    "bias_factor",
    "bounded_critical",
    "choose_tilts",
    "columns",
    "conditional_limit",
    "conditional_trials",
    "correlated_trials",
    "critical_curve",
    "discovery_potential",
    "emissions",
    "flux_node",
    "global_p_value",
    "in_turn",
    "injected",
    "injection_grid",
    "injection_trials",
    "interval",
    "likelihood_interval",
    "list_tilts",
    "median_fit",
    "median_significance",
    "mixture",
    "mixture_log_weight",
    "p_value",
    "pilot",
    "pilot_tilts",
    "scramble_trials",
    "scrambled",
    "strength_for",
    "uncertainty",
    "variation_of",
    "weighted_quantile",
]
