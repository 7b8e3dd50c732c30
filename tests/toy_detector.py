"""A toy of the open detector's last level, whose laws are known, and the two files of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis import detector
from nuanalysis.detector import Reconstructed
from nuanalysis.library.samples.open_detector import write_products
from nuanalysis.response import Response, cascades_2023
from nuanalysis.sphere import vmf_draw

EDGES = (cascades_2023.released_area().sin_dec_edges, cascades_2023.released_area().log10_edges)
LIVETIME_S = 304_047_105.07


def simulated(n: int, seed: int, *, scale: tuple[float, float] = (1.0, 1.0)) -> Reconstructed:
    """Energies even in the logarithm, 0.2 of a decade low and 0.15 wide; errors that fall with energy and are right.

    scale : widths of the two halves of the opening angles, over the error.
    """
    rng = np.random.default_rng(seed)
    true = rng.uniform(2.7, 6.7, n)
    error = np.radians(12.0) * 10.0 ** (-0.1 * (true - 4.0)) * np.exp(0.3 * rng.standard_normal(n))
    width = error * np.where(rng.random(n) < 0.5, *scale)
    seen = np.maximum(true - 0.2 + 0.15 * rng.standard_normal(n), 2.7)
    return Reconstructed(true, seen, rng.gamma(4.0, 0.25, n), vmf_draw(width**-2.0, rng), error)


def area(n: int, seed: int) -> detector.Area:
    """A fifth of all interactions in a cubic kilometre."""
    rng, limit = np.random.default_rng(seed), detector.geometric_limit(*EDGES, volume=1.0)
    counts = rng.poisson(n / 600.0, limit.area.shape).astype(np.float64)
    found = 0.2 * limit.area * counts / (n / 600.0)
    effective = counts
    error = np.divide(found, np.sqrt(counts), out=np.zeros_like(found), where=counts > 0)
    return detector.smooth_area(detector.Area(*EDGES, found, error, effective), limit)


def weighted(n: int, seed: int):
    """Atmospheric neutrinos, muons from above, and isotropic neutrinos: as many as the published sample holds."""
    rng = np.random.default_rng(seed)
    seen = simulated(n, seed)
    share = np.choose(rng.integers(0, 3, n), (0, 1, 2))
    rate = np.choose(share, (0.86, 0.07, 0.07)) * rng.gamma(4.0, 0.25, n) * 10.0 ** (-1.5 * (seen.log10_true - 2.7))
    columns = {
        "rate": rate / rate.sum() * 0.196e-3,
        "component": share,
        "declination": np.arcsin(np.where(share == 1, rng.uniform(-1, 0, n), rng.uniform(-1, 1, n))),
        "log10_energy": seen.log10_energy,
        "angular_error": seen.angular_error,
        "cascade_score": rng.random(n),
        "muon_score": rng.random(n),
    }
    return detector.weighted_events(columns, reference="toy")


def response(seed: int) -> Response:
    """The response of three thousand events."""
    return detector.open_response(
        area(3000, seed), simulated(3000, seed + 1), name="open-detector", label="toy", reference="toy"
    )


def products(folder: Path) -> None:
    """The two files that the sample is made of."""
    write_products(folder, weighted(4000, 40), response(41))
