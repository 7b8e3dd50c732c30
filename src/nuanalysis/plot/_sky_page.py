"""The scan as a page to look at: maps, hottest spots and the sources of the 2023 stacks, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import healpy as hp
import numpy as np

from nuanalysis.plot._layers import Layer, Marker
from nuanalysis.plot._skymap import sky_map_page
from nuanalysis.records import Provenance
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.records import PointSource
from nuanalysis.store.sky_maps import SkyMap

_STACKS = ("snr", "pwn", "unid")
_NONE = "–"


@dataclass(frozen=True, slots=True)
class HotSpot:
    """The hottest spot of a hemisphere: place in rad (ICRS), fit, p-values in words; no index without signal."""

    hemisphere: str
    right_ascension: float
    declination: float
    ts: float
    n_signal: float
    index: float | None
    p_local: str
    p_global: str


def _layers(found: SkyMap, origin: str) -> list[Layer]:
    what = "point-source fit in every direction, n_s and index free"
    return [
        Layer("local p-value", found.log10_p, "−log₁₀ p", "−log₁₀ of the local p-value", "linear", origin, what),
        Layer("TS", found.ts, "TS", "TS of the fit", "linear", origin, what),
        Layer("n_s", found.n_signal, "events", "fitted signal events", "linear", origin, what),
    ]


def _fit(ts: float, n_signal: float, index: float | None, p_local: str) -> tuple[tuple[str, str], ...]:
    """The fit of a pixel, named as such: that at a source inside it differs."""
    return (
        ("TS of pixel", f"{ts:.2f}"),
        ("n_s of pixel", f"{n_signal:.1f}"),
        ("index of pixel", _NONE if index is None else f"{index:.2f}"),
        ("local p of pixel", p_local),
    )


def _spot(spot: HotSpot) -> Marker:
    rows = (*_fit(spot.ts, spot.n_signal, spot.index, spot.p_local), ("global p", spot.p_global))
    return Marker(f"hottest, {spot.hemisphere}", spot.right_ascension, spot.declination, "hottest spot", rows)


def _source(source: PointSource, kind: str, found: SkyMap) -> Marker:
    """A source, with the fit of the pixel it lies in."""
    ra, dec = source.right_ascension, source.declination
    pixel = int(hp.ang2pix(found.nside, np.pi / 2 - dec, ra))
    n_signal, log10_p = float(found.n_signal[pixel]), float(found.log10_p[pixel])
    p = _NONE if np.isnan(log10_p) else f"{10.0**-log10_p:.3g}"
    rows = _fit(float(found.ts[pixel]), n_signal, float(found.index[pixel]) if n_signal > 0 else None, p)
    return Marker(source.name, ra, dec, kind, rows, source.extension)


def sky_page(found: SkyMap, whose: Provenance, spots: Sequence[HotSpot]) -> str:
    """The page of a scan."""
    sources = [_source(s, name.upper(), found) for name in _STACKS for s in CATALOGUES[name].sources]
    width = np.degrees(hp.nside2resol(found.nside))
    caption = (
        f"Point-source scan of {whose.n_events:,} events of {whose.sample} at nside {found.nside}. "
        "Significances are local unless called global. What is said of a listed source is the fit of the pixel that "
        f"holds it, {width:.2g}° wide, not a fit at its position."
    )
    return sky_map_page(
        _layers(found, whose.origin),
        [*map(_spot, spots), *sources],
        title=f"Sky of {whose.sample}",
        origin=whose.origin,
        caption=caption,
        meta={"seed": str(whose.seed), "injected": whose.injected or "nothing", "notes": "; ".join(whose.notes)},
    )
