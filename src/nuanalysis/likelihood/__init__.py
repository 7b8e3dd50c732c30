"""The signal-subtracted unbinned likelihood and its maximum.

    TS(n_s) = 2 sum_i ln( 1 + (n_s / N) x_i ),   x_i = (S_i - <S_i>) / B_i

with S the signal and B the background density in direction and energy and <S> the mean of S over right
ascension (IceCube 2023, supplement; physics of signal subtraction: the data hold the signal they estimate B from).
Trials use sums over the events instead of the events themselves (``_sums``).
"""

from nuanalysis.likelihood._fit import FitResult, maximise, maximise_and_scan, maximise_at, scan, ts_at
from nuanalysis.likelihood._joint import (
    TS_TOLERANCE,
    Curvature,
    JointFit,
    JointMaximum,
    curvature_at,
    joint_maximum,
    maximise_joint,
)
from nuanalysis.likelihood._joint_terms import FLAT, JointTerms, event_numbers, joint_terms, refuse_flat
from nuanalysis.likelihood._profile import profile
from nuanalysis.likelihood._scan import (
    FEW,
    FIT_COLUMNS,
    Circle,
    SkyEvents,
    Turned,
    circle,
    fit_circle,
    fit_directions,
    largest_tilt,
    sky_events,
    tilt_ratios,
    tilted,
    turned,
)
from nuanalysis.likelihood._sums import REACH_TS, Rest, Sums, at_rest, maximise_sums, sums, tilt_log_ratio
from nuanalysis.likelihood._window import (
    Burst,
    Places,
    WindowFit,
    Yardstick,
    burst_of,
    place_vectors,
    window_fit,
    yardstick,
)
