"""A smoothing spline through points with errors, and its own error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import PrecisionError
from nuanalysis.schema import Floats

_LEAST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """A natural cubic smoothing spline, constant beyond its ends.

    values : (point,), the curve at its points.    covariance : (point, point), of the values; it holds what smoothing
    may have taken away as well as the scatter of the points (Wahba 1983, J. R. Stat. Soc. B 45, 133).
    basis : spline that turns values into the curve, a column a point.
    """

    values: Floats
    covariance: Floats
    basis: scipy.interpolate.CubicSpline

    def _weights(self, x: Floats) -> Floats:
        return np.asarray(self.basis(np.clip(x, self.basis.x[0], self.basis.x[-1])))

    def value(self, x: Floats) -> Floats:
        """The curve, (n,)."""
        return self._weights(x) @ self.values

    def spread(self, x: Floats) -> Floats:
        """Its standard deviation, (n,)."""
        weights = self._weights(x)
        return np.asarray(np.sqrt(((weights @ self.covariance) * weights).sum(axis=1)))

    def slope(self, x: float) -> float:
        """Its derivative inside the points."""
        return float(self.basis(x, 1) @ self.values)


def _roughness(x: Floats) -> Floats:
    """Matrix K with y^T K y = integral of the squared second derivative of the natural spline through y."""
    h, n = np.diff(x), len(x)
    q, r = np.zeros((n, n - 2)), np.zeros((n - 2, n - 2))
    for j in range(n - 2):
        q[j : j + 3, j] = 1 / h[j], -1 / h[j] - 1 / h[j + 1], 1 / h[j + 1]
        r[j, j] = (h[j] + h[j + 1]) / 3
        r[j, j + 1 : j + 2] = r[j + 1 : j + 2, j] = h[j + 1] / 6
    return np.asarray(q @ np.linalg.solve(r, q.T))


def hat(x: Floats, error: Floats, penalty: float) -> Floats:
    """Matrix that turns points into the smoothing spline of that penalty at the same places, (point, point)."""
    roughness, vectors = np.linalg.eigh(error[:, None] * _roughness(x) * error)
    return np.asarray(error[:, None] * (vectors / (1.0 + penalty * np.maximum(roughness, 0.0))) @ vectors.T / error)


def _penalty(x: Floats, y: Floats, error: Floats) -> float:
    """The most likely penalty.

    The errors are known, so each component of the points along an eigenvector of the roughness is normal with
    variance 1 / s, s = lambda d / (1 + lambda d) (empirical Bayes; the two components of a straight line are free).
    """
    roughness, vectors = np.linalg.eigh(error[:, None] * _roughness(x) * error)
    d, z = roughness[2:], (vectors.T @ (y / error))[2:]
    penalties = np.geomspace(1e-8, 1e8, 321) / np.exp(np.log(d).mean())
    s = penalties[:, None] * d / (1.0 + penalties[:, None] * d)
    return float(penalties[np.argmax((np.log(s) - s * z**2).sum(axis=1))])


def smooth(x: Floats, y: Floats, error: Floats) -> Smooth:
    """The smoothing spline through y +- error at rising x, (point,) each, as smooth as the errors ask.

    Raises PrecisionError for fewer than three points.
    """
    if len(x) < _LEAST:
        raise PrecisionError(f"{len(x)} strengths do not make a curve, {_LEAST} do; inject more, over a wider range")
    smoother = hat(x, error, _penalty(x, y, error))
    return Smooth(
        smoother @ y, smoother * error**2, scipy.interpolate.CubicSpline(x, np.eye(len(x)), bc_type="natural")
    )
