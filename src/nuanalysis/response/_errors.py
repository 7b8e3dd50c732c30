"""The per-event angular error of simulated events, and the point spread of an event with a given error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, refuse
from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import vmf_draw

_LARGEST = float(np.radians(90.0))


@dataclass(frozen=True, slots=True)
class LogNormalErrors:
    """Errors that scatter about the width kappa^-1/2 of the part of the point spread that the event belongs to.

    Log-normal with the median ``scale`` times the width and the standard deviation ``spread`` of the logarithm;
    floor : smallest error, rad.
    """

    scale: float = 1.0
    spread: float = 0.35
    floor: float = float(np.radians(0.2))

    def draw(self, width: Floats, rng: np.random.Generator) -> Floats:
        """Errors of events whose parts have these widths, rad, (event,)."""
        error = self.scale * width * np.exp(self.spread * rng.standard_normal(len(width)))
        return np.asarray(np.clip(error, self.floor, _LARGEST))


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """Point spread at a given per-event error: von Mises-Fisher parts whose widths are multiples of the error.

    weight (part,) sums to 1; scale (part,).
    """

    weight: Floats
    scale: Floats


ONE_PART = Kernel(np.ones(1), np.ones(1))


@dataclass(frozen=True, slots=True, eq=False)
class ErrorTable:
    """P(error | true energy) as a table, linear in log10 E between nodes and flat inside a bin, and the point spread.

    log10_true (node,) E/GeV; edges (bin + 1,) rad; share (node, bin), rows sum to 1.
    kernel : point spread at a given error, whatever the energy.
    """

    log10_true: Floats
    edges: Floats
    share: Floats
    kernel: Kernel

    def at(self, log10_true: Floats) -> Floats:
        """P(error bin | true energy), (..., bin); beyond the nodes as at the last one."""
        inside = np.clip(log10_true, self.log10_true[0], self.log10_true[-1])
        return np.asarray(scipy.interpolate.make_interp_spline(self.log10_true, self.share, k=1)(inside))

    def shares(self, log10_true: Floats, edges: Floats) -> Floats:
        """P(error between edges | true energy), (..., edge - 1); errors beyond the ends belong to the outer bins."""
        bins = np.arange(len(self.edges) - 1)
        position = np.interp(edges, self.edges, np.arange(len(self.edges)))
        position[0], position[-1] = 0.0, len(bins)
        below = np.clip(position[None, :] - bins[:, None], 0.0, 1.0)  # part of each bin below each edge
        steps = np.diff(below, axis=1)
        return np.asarray(self.at(log10_true) @ steps)

    def draw(self, log10_true: Floats, rng: np.random.Generator) -> Floats:
        """Errors at each true energy, rad, (event,)."""
        n = len(log10_true)
        position = np.interp(log10_true, self.log10_true, np.arange(len(self.log10_true)))
        row = np.minimum((position + rng.random(n)).astype(np.int64), len(self.log10_true) - 1)  # a node, by its weight
        return draw_error(self.edges, self.share, row, rng)

    def draw_opening_angle(self, error: Floats, rng: np.random.Generator, scale: float | Floats = 1.0) -> Floats:
        """Angles between true and reconstructed direction, rad, (event,).  scale : of the widths, of a variation."""
        part = np.searchsorted(self.kernel.weight.cumsum()[:-1], rng.random(len(error)), side="right")
        return vmf_draw((scale * error * self.kernel.scale[part]) ** -2.0, rng)


def draw_error(edges: Floats, share: Floats, row: Ints, rng: np.random.Generator) -> Floats:
    """Errors from rows of shares of bins, flat inside a bin, (event,); share (row, bin), rows sum to 1."""
    cumulative = np.cumsum(share, axis=1)
    # The rows one after the other, each from its number to the next: one search serves all events.
    behind = np.arange(len(share))[:, None] + np.clip(cumulative / cumulative[:, -1:], 0.0, 1.0)
    found = np.searchsorted(behind.ravel(), row + rng.random(len(row)), side="right")
    chosen = np.clip(found - row * share.shape[1], 0, share.shape[1] - 1)
    return np.asarray(edges[chosen] + rng.random(len(row)) * np.diff(edges)[chosen])


Errors = LogNormalErrors | ErrorTable
_COLUMNS = ("error_log10_true", "error_edges", "error_share", "kernel_weight", "kernel_scale")


def columns_of(errors: Errors) -> dict[str, Floats]:
    """What a dataset of schema RESPONSE holds of them."""
    if isinstance(errors, LogNormalErrors):
        return {}
    values = errors.log10_true, errors.edges, errors.share, errors.kernel.weight, errors.kernel.scale
    return dict(zip(_COLUMNS, values, strict=True))


def errors_in(data: xr.Dataset) -> Errors:
    """The errors that a dataset of schema RESPONSE tells of: a table, or attributes error_scale, _spread and _floor.

    Raises DataError, with every fault, for a table that lacks a column or is no probability.
    """
    held = [name for name in _COLUMNS if name in data]
    if not held:
        usual = LogNormalErrors()
        numbers = {name: float(data.attrs.get(f"error_{name}", getattr(usual, name))) for name in usual.__slots__}
        return LogNormalErrors(**numbers)
    missing = [f"column '{name}' is missing beside '{held[0]}'" for name in _COLUMNS if name not in data]
    what, remedy = "the law of the per-event errors cannot be used", "Give all of its columns, or none."
    refuse(missing, what, remedy, error=DataError)
    nodes, edges, share, weight, scale = (np.asarray(data[name].values, dtype=np.float64) for name in _COLUMNS)
    said = [f"'{name}' does not rise" for name, axis in zip(_COLUMNS, (nodes, edges), strict=False) if not _rises(axis)]
    for name, total in (("error_share", share.sum(axis=1)), ("kernel_weight", weight.sum())):
        if not np.allclose(total, 1.0, atol=1e-6):
            said.append(f"'{name}' sums to {np.ravel(total)[0]:.6g}, expected 1")
    if not (scale > 0.0).all():
        said.append("'kernel_scale' has values that are not above 0")
    refuse(said, what, remedy, error=DataError)
    return ErrorTable(nodes, edges, share, Kernel(weight, scale))


def _rises(axis: Floats) -> bool:
    return len(axis) > 1 and bool((np.diff(axis) > 0.0).all())
