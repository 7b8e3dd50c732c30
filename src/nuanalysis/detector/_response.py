"""What the selection does to a flux: energies and directions as they are seen, and the Response that an analysis uses.

Tables are taken from few simulated events.  Where too few lie near an energy the window around it is widened until it
holds enough, and what is seen is moved along with the truth: no row is empty, and the rule is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.detector._area import Area, within_bands
from nuanalysis.detector._bundles import effective_number
from nuanalysis.detector._levels import CANNOT_TELL
from nuanalysis.errors import InputError, refuse
from nuanalysis.records import Measured, Record, shown
from nuanalysis.response import ErrorTable, Kernel, Resolution, Response, fit_mixture, response_of
from nuanalysis.schema import Bools, Floats
from nuanalysis.sphere import vmf_cumulative, vmf_density

ENERGY_EDGES = np.linspace(2.7, 6.7, 30)  # those of the published migration
NODES = np.round(np.arange(2.7, 6.71, 0.2), 1)  # those of the published point spread
QUANTILES = (0.2, 0.5, 0.8)
MEDIAN_PULL = float(np.sqrt(2.0 * np.log(2.0)))  # 1.177: radius of a round Gaussian that holds half, in sigma
_WIDEN = 1.2  # of a window that holds too few events
_ERROR_BINS = 40
_FROM_ALL = 0.02  # part of each row of errors that is taken from all energies
_PER_BAND = 20  # bins of the effective area in a band, as in the response of the published sample


@dataclass(frozen=True, slots=True, eq=False)
class Reconstructed:
    """Simulated neutrinos that pass the last level, (event,) each.

    log10_true, log10_energy : of the neutrino and as reconstructed, E/GeV.  weight : relative, of a flux that is named
    where results are shown.  opening_angle : between the true and the reconstructed direction.  angular_error : one
    sigma of each event; rad both.
    """

    log10_true: Floats
    log10_energy: Floats
    weight: Floats
    opening_angle: Floats
    angular_error: Floats

    def __post_init__(self) -> None:
        said = []
        for name in self.__slots__:
            one = getattr(self, name)
            if one.shape != self.log10_true.shape:
                said.append(f"'{name}' has {one.shape}, expected {self.log10_true.shape}")
            elif broken := int(np.count_nonzero(~np.isfinite(one))):
                said.append(f"'{name}' has {broken} values that are NaN or infinite")
        if not (self.weight > 0.0).any():
            said.append("no event has a weight above zero")
        refuse(said, "the reconstructed events cannot be used", "Leave out events whose reconstruction failed.")


def _near(seen: Reconstructed, at: float, half_width: float, least: float) -> tuple[Bools, float]:
    """The events within a window in true energy around ``at``, and its half width: widened until it holds enough."""
    distance = np.abs(seen.log10_true - at)
    while True:
        inside = distance <= half_width
        if effective_number(seen.weight[inside]) >= least or inside.all():
            return inside, half_width
        half_width *= _WIDEN


def migration(seen: Reconstructed, edges: Floats = ENERGY_EDGES, *, least: float = 50.0) -> Floats:
    """P(reconstructed bin | true bin), (true, reconstructed): axis 0 is truth, rows sum to 1.

    A true bin with fewer than ``least`` effective events takes those of a wider window around it, pressed together into
    the bin, with the same ratio of the two energies.  Energies beyond the edges belong to the end bins.
    """
    rows = []
    for low, high in pairwise(edges):
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        inside, reach = _near(seen, middle, half, least)
        true = seen.log10_true[inside]
        moved = seen.log10_energy[inside] + (middle - true) * (1.0 - half / reach)
        found = np.histogram(np.clip(moved, edges[0], edges[-1]), edges, weights=seen.weight[inside])[0]
        rows.append(found / found.sum())
    return np.array(rows)


class SpreadRow(Record):
    """How far reconstructed directions lie from the true ones, near a true energy."""

    energy_gev: float = shown("energy of the neutrino", unit="GeV", form=".4g", short="E/GeV")
    at_20: Measured = shown("20 per cent lie within", short="20 %/deg")
    at_50: Measured = shown("half lie within", short="50 %/deg")
    at_80: Measured = shown("80 per cent lie within", short="80 %/deg")
    n_effective: float = shown("effective events", form=".0f", short="N_eff")
    half_width: float = shown("half width of the window in log10 E", form=".2f", short="window")


def weighted_quantiles(values: Floats, weight: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles of weighted values, (level,): each value stands at the middle of its weight, linear in between."""
    order = np.argsort(values, kind="stable")
    ranked = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.interp(levels, ranked / weight.sum(), values[order])


def point_spread_quantiles(
    seen: Reconstructed, nodes: Floats = NODES, *, half_width: float = 0.1, least: float = 50.0
) -> tuple[SpreadRow, ...]:
    """Opening angles that hold 20, 50 and 80 per cent near each true energy, log10 E/GeV; deg.

    Windows are widened as for the migration.  Errors: half the difference of the quantiles one binomial error of the
    effective events above and below.
    """
    rows = []
    for at in nodes:
        inside, reach = _near(seen, float(at), half_width, least)
        psi, weight = np.degrees(seen.opening_angle[inside]), seen.weight[inside]
        n, values = effective_number(weight), []
        for level in QUANTILES:
            step = np.sqrt(level * (1.0 - level) / n)
            low, found, high = weighted_quantiles(psi, weight, (level - step, level, level + step))
            values.append(Measured(value=float(found), error=0.5 * float(high - low), unit="deg"))
        names = ("at_20", "at_50", "at_80")
        said = dict(zip(names, values, strict=True))
        rows.append(SpreadRow(energy_gev=float(10.0**at), n_effective=n, half_width=reach, **said))
    return tuple(rows)


def point_spread(rows: Sequence[SpreadRow]) -> Floats:
    """Narrow fraction and both concentrations of the two-part point spread through the quantiles, (3, node)."""
    out, start = [], (0.4, 55.0, 5.8)  # as for the published cascades
    for row in rows:
        psi = np.radians([row.at_20.value, row.at_50.value, row.at_80.value])
        start = fit_mixture(psi + np.array([0.0, 1e-4, 2e-4]), np.array(QUANTILES), start)
        out.append(start)
    return np.array(out).T


# ---- errors of single events ---------------------------------------------------------------------------------------


class Pull(Record):
    """How true the errors of single events are, in a range of reconstructed energy."""

    log10_low: float = shown("log10 of the reconstructed energy from", form=".1f", short="from")
    log10_high: float = shown("to", form=".1f", short="to")
    median: Measured = shown("median of the opening angle over 1.177 sigma; 1 is right")
    within_20: float = shown("part inside the radius that should hold 0.2", form=".2f", short="0.2")
    within_50: float = shown("part inside the radius that should hold 0.5", form=".2f", short="0.5")
    within_80: float = shown("part inside the radius that should hold 0.8", form=".2f", short="0.8")
    within_90: float = shown("part inside the radius that should hold 0.9", form=".2f", short="0.9")
    n_effective: float = shown("effective events", form=".0f", short="N_eff")


def pulls(seen: Reconstructed, edges: Floats | None = None, *, least: float = 10.0) -> tuple[Pull, ...]:
    """Pull and containments in half decades of reconstructed energy; ranges with fewer effective events are left out.

    The radius is that of the von Mises-Fisher density of the error, which is what the likelihood uses.
    """
    edges = np.arange(2.5, 7.01, 0.5) if edges is None else edges
    within = vmf_cumulative(seen.opening_angle, seen.angular_error**-2.0)
    ratio = seen.opening_angle / (MEDIAN_PULL * seen.angular_error)
    rows = []
    for low, high in pairwise(edges):
        inside = (seen.log10_energy >= low) & (seen.log10_energy < high)
        weight = seen.weight[inside]
        if (n := effective_number(weight)) < least:
            continue
        step = 0.5 / np.sqrt(n)
        below, median, over = weighted_quantiles(ratio[inside], weight, (0.5 - step, 0.5, 0.5 + step))
        held = {
            f"within_{100 * level:.0f}": float(weight[within[inside] <= level].sum() / weight.sum())
            for level in (0.2, 0.5, 0.8, 0.9)
        }
        pull = Measured(value=float(median), error=0.5 * float(over - below))
        rows.append(Pull(log10_low=float(low), log10_high=float(high), median=pull, n_effective=n, **held))
    return tuple(rows)


def error_kernel(seen: Reconstructed) -> Kernel:
    """Point spread at a given error: two von Mises-Fisher parts whose widths are multiples of it.

    Maximum of the weighted likelihood of the opening angles.
    """
    cosine, weight = np.cos(seen.opening_angle), seen.weight / seen.weight.sum()

    def parts(p: Floats) -> tuple[float, Floats]:
        return float(1.0 / (1.0 + np.exp(-p[0]))), np.exp([p[1], p[1] + np.logaddexp(0.0, p[2])])

    def cost(p: Floats) -> float:
        share, scale = parts(p)
        narrow, broad = (vmf_density(cosine, (one * seen.angular_error) ** -2.0) for one in scale)
        density = share * narrow + (1.0 - share) * broad
        # A weak pull towards an even mixture of 0.8 and 1.6 keeps the parts defined where one would do.
        return float(-(weight * np.log(np.maximum(density, 1e-300))).sum() + 1e-4 * ((p - start) ** 2).sum())

    start = np.array([0.0, np.log(0.8), 0.0])
    best = scipy.optimize.minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-8})
    share, scale = parts(best.x)
    return Kernel(np.array([share, 1.0 - share]), np.asarray(scale))


def _error_rows(seen: Reconstructed, nodes: Floats, edges: Floats, least: float) -> Iterator[Floats]:
    """Shares of the bins of the error near each true energy: smoothed over neighbours, and 2 per cent of all events."""
    everywhere = np.histogram(seen.angular_error, edges, weights=seen.weight)[0]
    for at in nodes:
        inside, _ = _near(seen, float(at), 0.1, least)
        found = np.histogram(seen.angular_error[inside], edges, weights=seen.weight[inside])[0]
        padded = np.pad(found / found.sum(), 1, mode="edge")
        smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        row = (1.0 - _FROM_ALL) * smooth / smooth.sum() + _FROM_ALL * everywhere / everywhere.sum()
        yield row / row.sum()


def error_law(seen: Reconstructed, nodes: Floats = NODES, *, least: float = 100.0) -> ErrorTable:
    """P(error | true energy) at the nodes, log10 E/GeV, and the point spread at a given error.

    In 40 bins that hold equally many events, fewer where each would hold less than ten; windows are widened as for the
    migration, so that every bin has some probability at every energy.
    """
    if (low := float(seen.angular_error.min())) <= 0.0:
        raise InputError(f"the smallest angular error is {low:g} rad; expected errors above zero")
    bins = max(min(_ERROR_BINS, len(seen.angular_error) // 10), 1)
    edges = np.unique(np.quantile(seen.angular_error, np.linspace(0.0, 1.0, bins + 1)))
    edges = np.array([low * (1.0 - 1e-9), *edges[1:-1], float(edges[-1]) * (1.0 + 1e-9)])
    return ErrorTable(nodes, edges, np.array(list(_error_rows(seen, nodes, edges, least))), error_kernel(seen))


# ---- all of it -----------------------------------------------------------------------------------------------------


def open_response(area: Area, seen: Reconstructed, *, name: str, label: str, reference: str) -> Response:
    """The Response of a selection, of the form of the published cascades: 20 bins a band, 29 x 29 energies, error law.

    area : without holes, see ``smooth_area``; within a band it changes as absorption in the Earth does.
    seen : weighed with the spectrum that the response is meant for.  One migration and one point spread serve all
    declinations: what absorption changes within a band is in the area alone.
    """
    edges = np.concatenate([
        np.linspace(low, high, _PER_BAND, endpoint=False)
        for low, high in zip(area.sin_dec_edges[:-1], area.sin_dec_edges[1:], strict=True)
    ])  # fmt: skip
    fine = within_bands(area, np.append(edges, area.sin_dec_edges[-1]))
    tables = {
        "effective_area": fine.area, "sin_dec_edges": fine.sin_dec_edges, "log10_true_edges": fine.log10_edges
    }  # fmt: skip
    spread = point_spread(point_spread_quantiles(seen))[:, None]
    found = Resolution(
        np.array([-1.0, 1.0]), ENERGY_EDGES, ENERGY_EDGES, migration(seen)[None], NODES, spread, error_law(seen),
        CANNOT_TELL,
    )  # fmt: skip
    return response_of(name, label, reference, tables, found, flavours="all, summed")
