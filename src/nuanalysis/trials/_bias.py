"""The bias of the fitted n_s: its median at each injected strength, the curve through them, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import PrecisionError
from nuanalysis.schema import Floats
from nuanalysis.trials._smooth import Smooth, smooth
from nuanalysis.trials._strength import Strength

_STEPS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class BiasCurve:
    """Median fitted n_s as a function of the mean injected one, a smoothing spline.

    strengths, medians, errors : (strength,), what it goes through.
    """

    strengths: Floats
    medians: Floats
    errors: Floats
    n_trials: int
    curve: Smooth

    def fitted(self, n_signal: float) -> Strength:
        """Median fit of experiments with that mean signal; PrecisionError outside the injected strengths."""
        low, high = float(self.strengths[0]), float(self.strengths[-1])
        if not low <= n_signal <= high:
            raise PrecisionError(
                f"strengths from {low:.4g} to {high:.4g} events were injected, not {n_signal:.4g}; "
                "inject over a wider range"
            )
        at = np.array([n_signal])
        return Strength(float(self.curve.value(at)[0]), float(self.curve.spread(at)[0]))

    def corrected(self, n_fitted: float) -> Strength:
        """Mean signal whose median fit is ``n_fitted``, with the error of the curve (not that of the fit).

        A fit at or below the median without signal gives 0, since no strength is smaller.  Nothing is enforced where
        the curve does not rise: PrecisionError where it takes the value more than once, and beyond its ends.
        """
        grid = np.linspace(self.strengths[0], self.strengths[-1], _STEPS + 1)
        gap = self.curve.value(grid) - n_fitted
        crossings = np.flatnonzero((gap[:-1] < 0) != (gap[1:] < 0))
        if gap[0] >= 0 and self.strengths[0] == 0 and not len(crossings):
            return Strength(0.0, self.fitted(0.0).error)
        if len(crossings) != 1:
            raise PrecisionError(
                f"the bias curve takes the value {n_fitted:.4g} {len(crossings)} times between "
                f"{grid[0]:.4g} and {grid[-1]:.4g} injected events; "
                + ("run more trials" if len(crossings) else "inject over a wider range")
            )
        k = int(crossings[0])
        n = float(
            scipy.optimize.brentq(lambda v: float(self.curve.value(np.array([v]))[0]) - n_fitted, grid[k], grid[k + 1])
        )
        return Strength(n, float(self.curve.spread(np.array([n]))[0]) / abs(self.curve.slope(n)))


def median_fit(n_injected: Floats, n_fitted: Floats) -> tuple[Floats, Floats]:
    """Median fitted n_s at each injected strength, (strength,) both."""
    strengths = np.unique(n_injected)
    return strengths, np.array([np.median(n_fitted[n_injected == n]) for n in strengths])


def bias_curve(n_injected: Floats, n_fitted: Floats) -> BiasCurve:
    """The bias curve of injection trials, (trial,) each.

    The error of a median is that of normal fits, 1.25 standard deviations over the root of their number: order
    statistics are too rough for weights, and on the border n_s = 0, where the median is known better, it is too large.
    Raises PrecisionError for fewer than three strengths.
    """
    strengths, medians = median_fit(n_injected, n_fitted)
    errors = np.array([_median_error(n_fitted[n_injected == n]) for n in strengths])
    return BiasCurve(strengths, medians, errors, len(n_injected), smooth(strengths, medians, errors))


def _median_error(fits: Floats) -> float:
    return float(np.sqrt(np.pi / 2) * fits.std(ddof=1) / np.sqrt(len(fits)))
