"""Sky scans of single events: which directions to try, contours with calibrated containment, maps.

Arrays in, arrays out; any likelihood that can hold a direction is scanned alike.
"""

from nuanalysis.reconstruct._contours import (
    RADIUS,
    Contour,
    Ellipse,
    SkyBox,
    borders_of,
    contour,
    outlines,
)
from nuanalysis.reconstruct._levels import (
    PUBLISHED,
    SHARES,
    WILKS,
    Coverage,
    Levels,
    coverage,
    critical_value,
    levels_from,
    probability_density,
)
from nuanalysis.reconstruct._likelihoods import GaussianLikelihood, TableLikelihood
from nuanalysis.reconstruct._neighbours import covering
from nuanalysis.reconstruct._records import Best, EventLikelihood, Leaves, Pixels, Profile, pixels_of
from nuanalysis.reconstruct._scan import (
    Plan,
    ScanState,
    Wanted,
    begin,
    best_of,
    leaves_of,
    next_pixels,
    with_values,
)
