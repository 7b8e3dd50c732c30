"""Ensembles: right-ascension scrambles (plain and tilted), injected signal, and what is read from them.

Trial i is a pure function of (problem, plan, seed, i), the plan being its tilts or injected strengths.
A tilted scramble draws the right ascension of event i from
r_i = 1 + (n*/N) x_i, which has mean 1 over right ascension; the exact weight back to the null is the product of
1/r_i, that is L(0) / L(n*).  With a mixture of tilts, shares a_k, the weight is 1 / sum_k a_k L(n_k) / L(0) (balance
heuristic).
"""

from nuanalysis.trials._agreement import Agreement, agreement
from nuanalysis.trials._bias import BiasCurve, bias_curve, median_fit
from nuanalysis.trials._comparison import Separation, as_large_given, separation
from nuanalysis.trials._consistency import consistency_trials, split
from nuanalysis.trials._deep import DEEP_COLUMNS, SkyTilts, deep_sky_trials, sky_tilts
from nuanalysis.trials._extended import (
    Layer,
    PlaneRegion,
    extended_trials,
    fit_layer,
    hottest_position,
    layer_columns,
    layers,
    smaller_of_both,
)
from nuanalysis.trials._family import (
    Critical,
    Profile,
    along,
    family_accepts,
    family_columns,
    family_critical,
    family_ends,
    family_fits,
    family_trials,
)
from nuanalysis.trials._injection import (
    INJECTION_COLUMNS,
    bias_factor,
    conditional_limit,
    conditional_trials,
    emissions,
    experiment,
    flux_node,
    injected,
    injection_grid,
    injection_trials,
    variation_of,
)
from nuanalysis.trials._interval import (
    CriticalCurve,
    Ends,
    accepted,
    bounded_critical,
    critical_curve,
    interval,
    likelihood_interval,
)
from nuanalysis.trials._joint import (
    ONE_SIGMA,
    Estimate,
    JointBias,
    Share,
    as_large,
    at_index,
    check_same_events,
    exceeded_by,
    inverted,
    joint_bias,
    joint_columns,
    joint_data,
    joint_injected,
    joint_trials,
    recentred,
    share,
    tail,
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
    GlobalPValue,
    PValue,
    as_extreme,
    best_of,
    global_p_value,
    p_value,
    smallest_p,
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
from nuanalysis.trials._skies import (
    HEMISPHERES,
    MOST_DECLINATION,
    SKY_COLUMNS,
    SPOT_COLUMNS,
    LocalP,
    Search,
    draw_sky,
    fit_pixels,
    hottest,
    hottest_spots,
    in_reach,
    local_p,
    log_p_map,
    search_for,
    sky_trials,
    source_trials,
)
from nuanalysis.trials._strength import Significance, Strength, median_significance, sigma_threshold, strength_for
from nuanalysis.trials._threshold import MEDIAN, Threshold, known_threshold, threshold, weighted_quantile
from nuanalysis.trials._window import (
    BURST_COLUMNS,
    WINDOW_COLUMNS,
    Mean,
    WindowProblem,
    burst_trials,
    exceeding,
    excluded_mean,
    window_problem,
    window_trials,
)
