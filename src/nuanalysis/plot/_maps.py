"""Maps of a fit: where the test statistic comes from, over the whole sky and along the plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuanalysis.plot._page import Drawn, Sidecar, mark, slug
from nuanalysis.plot._sky import plane_crop, sky_map

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
