"""Scores that are probabilities, and errors that are errors: corrections fitted on events that training did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.detector import MEDIAN_PULL
from nuanalysis.errors import InputError
from nuanalysis.learn._metrics import share
from nuanalysis.learn._network import softmax
from nuanalysis.schema import Bools, Floats, Ints

_PRIOR = 10.0  # width of the prior of an offset: it matters where a class has no events
_SMOOTH = 1e-3  # in ln sigma, below which a residual counts squared in the fit of a median


@dataclass(frozen=True, slots=True, eq=False)
class Temperature:
    """Calibrated logits are logits / value + offset (class,), the first offset 0.

    The offsets carry the change from the mix of classes of training to that of the fit.
    """

    value: float
    offset: Floats

    def probability(self, logits: Floats) -> Floats:
        """(event, class)."""
        return softmax(logits / self.value + self.offset)


def fit_temperature(logits: Floats, label: Ints, weight: Floats) -> Temperature:
    """Temperature and offsets of the largest weighted likelihood; Guo et al., arXiv:1706.04599, with priors.

    logits (event, class), label (event,), weight (event,): the physical rates, say.  Raises InputError without weight.
    """
    if not weight.sum() > 0:
        raise InputError("no weight to calibrate on; give events with weights above 0")
    w, classes = weight / weight.sum(), logits.shape[1]
    own = np.arange(classes) == label[:, None]

    def loss(free: Floats) -> tuple[float, Floats]:
        inverse, offset = np.exp(-free[0]), np.append(0.0, free[1:])
        z = logits * inverse + offset
        p = softmax(z)
        log_sum = z.max(axis=1) + np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1))
        off = w[:, None] * (p - own)
        slope = np.append(-inverse * (off * logits).sum(), off.sum(axis=0)[1:] + 1e-6 * free[1:] / _PRIOR**2)
        value = (w * (log_sum - (z * own).sum(axis=1))).sum() + 0.5e-6 * ((free[1:] / _PRIOR) ** 2).sum()
        return float(value), slope

    found = scipy.optimize.minimize(loss, np.zeros(classes), jac=True, method="BFGS", options={"gtol": 1e-7})
    return Temperature(float(np.exp(found.x[0])), np.append(0.0, found.x[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What share of the events that were given a probability are what it says, (bin,) each, and the mean gap.

    predicted : mean probability.  observed, error : weighted share.  weight : of the bin, they sum to 1.
    calibration_error : sum of weight x |observed - predicted|.
    """

    predicted: Floats
    observed: Floats
    error: Floats
    weight: Floats
    calibration_error: float


def reliability(probability: Floats, true: Bools, weight: Floats, bins: int = 20) -> Reliability:
    """Of probabilities (event,) of being ``true`` (event,), in bins of equal width; empty ones are left out."""
    which = np.minimum((probability * bins).astype(np.int64), bins - 1)
    total, rows = float(weight.sum()), []
    for k in np.unique(which[weight > 0]):
        here = which == k
        found = share(true[here], weight[here])
        rows.append(
            (np.average(probability[here], weights=weight[here]), found.value, found.error, weight[here].sum() / total)
        )
    predicted, observed, error, part = np.array(rows).T
    return Reliability(predicted, observed, error, part, float((part * np.abs(observed - predicted)).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class SigmaLaw:
    """ln sigma = slope ln(kappa^-1/2) + a line through (knots, values) at log10 of the charge, constant outside."""

    slope: float
    knots: Floats
    values: Floats

    def sigma(self, kappa: Floats, log_charge: Floats) -> Floats:
        """Calibrated error of a direction, (event,) rad: half of the events lie within 1.177 sigma."""
        return np.asarray(np.exp(-0.5 * self.slope * np.log(kappa) + np.interp(log_charge, self.knots, self.values)))


def fit_sigma(psi: Floats, kappa: Floats, log_charge: Floats, weight: Floats | None = None, knots: int = 6) -> SigmaLaw:
    """The law for which the pull psi / (1.177 sigma) has the median 1 at every kappa and charge.

    psi (event,) rad : angle to the truth.  The fit is a regression of the median (least absolute residuals of ln psi,
    by weights 1 / |residual|).  Raises InputError for fewer than 10 events a knot.
    """
    if len(psi) < 10 * knots:
        raise InputError(f"{len(psi)} events, expected at least {10 * knots} for {knots} knots; give more events")
    at = np.unique(np.quantile(log_charge, np.linspace(0.02, 0.98, knots)))
    hats = np.stack([np.interp(log_charge, at, row) for row in np.eye(len(at))], axis=1)
    matrix = np.column_stack([-0.5 * np.log(kappa), hats])
    wanted = np.log(np.maximum(psi, 1e-6) / MEDIAN_PULL)
    weight = np.ones(len(psi)) if weight is None else weight
    found, used = np.zeros(matrix.shape[1]), weight
    for _ in range(100):
        root = np.sqrt(used)[:, None]
        found, *_ = np.linalg.lstsq(root * matrix, root[:, 0] * wanted, rcond=None)
        used = weight / np.maximum(np.abs(wanted - matrix @ found), _SMOOTH)
    return SigmaLaw(float(found[0]), at, found[1:])
