"""Fit the law of the per-event angular errors of the cascades of 2023 to everything released about them.

    python tools/angular_errors.py        writes response/tables/cascades_2023_error_{shares,kernel}.csv

Fitted together: P(error | true energy), a smooth density, and the point spread at a given error, a sum of three
von Mises-Fisher kernels whose widths are multiples of the error, the same for all.  To: the opening angles at 20, 50
and 80 % by energy, the coverage at 1, 10 and 500 TeV, and the distributions of the errors of astrophysical and of
atmospheric neutrinos (figure S2), whose true energies are flux times effective area.
How well it serves: docs/decisions/0029-angular-errors.md, tests/test_response.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from nuanalysis.response import band_of, cascades_2023, detected
from nuanalysis.response._atmosphere import read_table, vetoed_flux
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sphere import vmf_cumulative

Floats = NDArray[np.float64]

NODES = np.round(np.arange(2.8, 6.61, 0.2), 10)  # log10 E/GeV
EDGES = cascades_2023.error_edges()
# Of a probability: the released opening angles and coverages contradict each other by about as much.
QUANTILE_ERROR, COVERAGE_ERROR = 0.004, 0.005
# Scatter of the released histograms about a smooth curve, relative and absolute: their simulation is finite.
ASTROPHYSICAL_ERROR, ATMOSPHERIC_ERROR = (0.0135, 2e-5), (0.042, 2e-4)
SMOOTH_IN_ERROR, SMOOTH_IN_ENERGY, PULL = 0.3, 0.3, 0.01
START = np.array([1.8, 1.8, np.log(0.32), np.log(0.67), np.log(1.22)])  # two logits, three logarithms of scales


def linear(at: Floats) -> Floats:
    """Weights of linear interpolation between the nodes, (at, node)."""
    return np.stack([np.interp(at, NODES, row) for row in np.eye(len(NODES))], axis=-1)


def splines(at: Floats, inner: Floats, ends: tuple[float, float]) -> Floats:
    """Cubic splines, (at, spline)."""
    knots = np.concatenate([[ends[0]] * 4, inner, [ends[1]] * 4])
    n = len(knots) - 4
    return np.stack([BSpline(knots, row, 3)(np.clip(at, ends[0], ends[1] - 1e-9)) for row in np.eye(n)], axis=-1)


def kernel(parameters: Floats) -> tuple[Floats, Floats]:
    """Weights and scales, (part,) each."""
    weight = np.exp(np.concatenate([[0.0], parameters[:2]]))
    return weight / weight.sum(), np.exp(parameters[2:])


def true_energies() -> tuple[Floats, Floats]:
    """Shares of astrophysical and of atmospheric neutrinos at each node, (node,) each."""
    response, table = cascades_2023.response(), cascades_2023.marginals()
    edges, bands = response.array("log10_true_edges"), response.array("sin_dec_edges")
    at = linear(0.5 * (edges[1:] + edges[:-1]))
    astrophysical = np.diff(bands) @ detected(response, PowerLaw(2.53))
    middles = 0.5 * (table.sin_dec_edges[1:] + table.sin_dec_edges[:-1])
    log10_true = 0.5 * (edges[1:] + edges[:-1])
    rate = (
        response.array("effective_area")[band_of(middles, bands)] * vetoed_flux(log10_true, middles) * 10.0**log10_true
    )
    atmospheric = (table.sin_dec[:, 1] / rate.sum(axis=1)) @ rate
    return astrophysical / astrophysical.sum() @ at, atmospheric / atmospheric.sum() @ at


class Fit:
    """What is compared, as linear functions of P(error | energy), (node x bin)."""

    def __init__(self) -> None:
        table = cascades_2023.marginals()
        self.error = 0.5 * (EDGES[1:] + EDGES[:-1])
        angles = read_table("cascades_2023_opening_angle")
        use = angles[:, 0] < 10**6.6
        self.angles, self.at = np.radians(angles[use, 1:4]), linear(np.log10(angles[use, 0]))
        self.coverage = read_table("cascades_2023_coverage")
        released = np.column_stack([table.angular_error.T, table.angular_error_overflow])[[3, 1], 1:]
        self.histograms = released / released.sum(axis=1, keepdims=True)
        relative, absolute = np.transpose([ASTROPHYSICAL_ERROR, ATMOSPHERIC_ERROR])
        self.histogram_errors = relative[:, None] * self.histograms + absolute[:, None]
        pairs = np.repeat(np.eye(self.histograms.shape[1]), 2, axis=0)  # two bins of ours in one of theirs
        self.shares = np.array([np.einsum("e,sh->hes", mine, pairs) for mine in true_energies()])
        log_error = np.log(self.error)
        inner = np.linspace(log_error[0], log_error[-1], 14)[1:-1]
        energy = splines(NODES, np.array([3.2, 3.7, 4.3, 5.0]), (NODES[0] - 0.1, NODES[-1] + 0.1))
        errors = splines(log_error, inner, (log_error[0] - 1e-3, log_error[-1] + 1e-3))
        self.basis = np.einsum("ei,sj->esij", energy, errors).reshape(len(NODES), len(self.error), -1)
        self.log_width = np.log(np.diff(EDGES))
        n = energy.shape[1], errors.shape[1]
        along_error, along_energy = np.diff(np.eye(n[1]), 3, axis=0), np.diff(np.eye(n[0]), 2, axis=0)
        self.penalty = np.concatenate(
            [
                SMOOTH_IN_ERROR * np.kron(np.eye(n[0]), along_error),
                SMOOTH_IN_ENERGY * np.kron(along_energy, np.eye(n[1])),
                PULL * np.eye(n[0] * n[1]),
            ]
        )
        middle = np.log(np.radians(np.linspace(18.0, 6.0, n[0])))
        self.start = (-0.5 * ((np.linspace(log_error[0], log_error[-1], n[1]) - middle[:, None]) / 0.6) ** 2).ravel()

    def density(self, p: Floats) -> Floats:
        """P(error bin | energy), (node, bin)."""
        f = self.basis @ p + self.log_width
        out = np.exp(f - f.max(axis=1, keepdims=True))
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    def operators(self, k: Floats) -> tuple[Floats, Floats]:
        """Pulls of quantiles and coverages are operator @ density - target."""
        weight, scale = kernel(k)
        concentration = (self.error[:, None] * scale) ** -2.0
        spread = vmf_cumulative(self.angles[..., None, None], concentration) @ weight
        quantile = np.einsum("xe,xqs->xqes", self.at, spread).reshape(-1, self.basis[..., 0].size) / QUANTILE_ERROR
        radius = np.sqrt(-2.0 * np.log1p(-self.coverage[:, 0]))[:, None] * self.error
        inside = vmf_cumulative(np.minimum(radius, np.pi)[..., None], concentration) @ weight
        where = linear(np.log10([1e3, 1e4, 5e5]))
        covered = np.einsum("xe,qs->qxes", where, inside).reshape(-1, quantile.shape[1]) / COVERAGE_ERROR
        return quantile, covered

    def pulls(self, p: Floats, k: Floats) -> list[Floats]:
        """Of quantiles, coverages and the two histograms."""
        flat = self.density(p).ravel()
        quantile, covered = self.operators(k)
        histograms = [
            (one.reshape(len(one), -1) @ flat - want) / error
            for one, want, error in zip(self.shares, self.histograms, self.histogram_errors, strict=True)
        ]
        wanted = np.tile([0.2, 0.5, 0.8], len(self.angles)) / QUANTILE_ERROR
        return [
            quantile @ flat - wanted,
            covered @ flat - (self.coverage[:, 1:4] / COVERAGE_ERROR).ravel(),
            *histograms,
        ]

    def residuals(self, p: Floats, k: Floats) -> Floats:
        return np.concatenate([*self.pulls(p, k), self.penalty @ p, k - START])

    def jacobian(self, p: Floats, k: Floats) -> Floats:
        density = self.density(p)
        slope = density[..., None] * (self.basis - np.einsum("es,esp->ep", density, self.basis)[:, None])
        slope = slope.reshape(-1, len(p))
        rows = [one @ slope for one in self.operators(k)]
        rows += [
            one.reshape(len(one), -1) @ slope / e[:, None]
            for one, e in zip(self.shares, self.histogram_errors, strict=True)
        ]
        by_p = np.concatenate([*rows, self.penalty, np.zeros((len(k), len(p)))])
        here = self.residuals(p, k)
        by_k = [(self.residuals(p, k + 1e-5 * step) - here) / 1e-5 for step in np.eye(len(k))]
        return np.column_stack([by_p, *by_k])


def main() -> None:
    from scipy.optimize import least_squares

    fit = Fit()
    n = len(fit.start)
    found = least_squares(
        lambda x: fit.residuals(x[:n], x[n:]),
        np.concatenate([fit.start, START]),
        jac=lambda x: fit.jacobian(x[:n], x[n:]),
        max_nfev=200,
    )
    p, k = found.x[:n], found.x[n:]
    quantile, covered, astrophysical, atmospheric = fit.pulls(p, k)
    for name, values in (
        ("largest difference of a quantile, as a probability", np.abs(quantile).max() * QUANTILE_ERROR),
        ("rms", np.std(quantile) * QUANTILE_ERROR),
        ("largest difference of a coverage", np.abs(covered).max() * COVERAGE_ERROR),
        ("rms", np.std(covered) * COVERAGE_ERROR),
        (f"chi-square of {len(astrophysical)} bins, astrophysical", astrophysical @ astrophysical),
        (f"chi-square of {len(atmospheric)} bins, atmospheric", atmospheric @ atmospheric),
    ):
        print(f"{name}: {values:.4g}")
    weight, scale = kernel(k)
    print("weights", weight.round(4), "scales", scale.round(4), "evaluations", found.nfev)
    tables = Path(cascades_2023.__file__).parent / "tables"
    np.savetxt(tables / "cascades_2023_error_shares.csv", np.column_stack([NODES, fit.density(p)]), "%.6g", ",")
    np.savetxt(tables / "cascades_2023_error_kernel.csv", np.column_stack([weight, scale]), "%.5g", ",")


if __name__ == "__main__":
    main()
