"""Maps of a fit: where the test statistic comes from, over the whole sky and along the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nuanalysis.plot._page import Drawn, Sidecar, mark, slug
from nuanalysis.plot._sky import Mark, plane_crop, sky_map
from nuanalysis.plot._sky_page import HotSpot

_UNIT = "contribution to TS (sr⁻¹)"
_WHERE = "Galactic coordinates, Galactic Centre in the middle, longitude grows to the left"


def ts_maps(values: NDArray[np.float64], *, label: str, sample: str, origin: str, hypothesis: str) -> tuple[Drawn, ...]:
    """Where the test statistic comes from, (pixel,) RING ICRS per steradian; of a template the plane alone, too."""
    nside, total = int(np.sqrt(len(values) / 12)), float(values.mean() * 4 * np.pi)
    said = f"{label}, {origin} sample {sample}"
    alt = (
        f"Map of where the test statistic comes from, {said}: values from {values.min():.3g} to {values.max():.3g} "
        f"per steradian, {total:.2f} over the whole sky"
    )
    flat = " It is zero everywhere: no signal was fitted." if not np.any(values) else ""
    caption = f"{said}: test statistic per steradian, HEALPix nside {nside}; {_WHERE}.{flat}"
    name, short = f"{sample}-{slug(hypothesis)}{mark(origin)}", f"{label}, {sample}"
    whole = Drawn(
        sky_map(values, label=short, unit=_UNIT, frame="icrs", origin=origin),
        Sidecar(f"map-{name}", alt, caption, origin, "maps"),
    )
    if not hypothesis.startswith("template:"):
        return (whole,)
    crop = plane_crop(values, label=short, unit=_UNIT, frame="icrs", origin=origin)
    alone = f"{caption} The plane alone, |b| < 15°, plate carrée with b stretched."
    return (
        whole,
        Drawn(crop, Sidecar(f"plane-{name}", f"The Galactic plane of this map. {alt}", alone, origin, "maps")),
    )


def scan_figure(
    log10_p: NDArray[np.float64],
    spots: Sequence[HotSpot],
    *,
    about: tuple[str, int, int],
    said: str,
    origin: str,
    table: object,
) -> Drawn:
    """The map of a scan, the hottest spot of each hemisphere marked.

    log10_p : -log10 of local p-values, (pixel,) RING ICRS.  about : sample, its events, seed.  said : the spots.
    """
    sample, n_events, seed = about
    what = f"{'SYNTHETIC' if origin == 'synthetic' else 'real'} sample {sample}"
    caption = (
        f"Point-source scan of the {what}, {n_events:,} events: −log₁₀ of the local p-value of every direction, not "
        f"corrected for the number of directions; HEALPix nside {int(np.sqrt(len(log10_p) / 12))}; {_WHERE}; white: "
        f"within 8° of a celestial pole, no p-value; dashed: celestial equator. {said} Seed {seed}."
    )
    alt = f"All-sky map of −log₁₀ local p, {what}: up to {np.nanmax(log10_p):.2f}. {said}"
    marks = [Mark(f"hottest, {one.hemisphere}", one.right_ascension, one.declination) for one in spots]
    drawn = sky_map(
        log10_p, label=f"Point-source scan, {sample}", unit="−log₁₀ of the local p-value", frame="icrs", origin=origin,
        low=0.0, marks=marks,
    )  # fmt: skip
    return Drawn(drawn, Sidecar(f"sky-{slug(sample)}{mark(origin)}", alt, caption, origin, "maps"), table)
