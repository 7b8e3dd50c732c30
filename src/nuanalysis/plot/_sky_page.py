"""The scan as a page to look at: maps, hottest spots and the sources of the 2023 stacks, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.plot._layers import Layer, Marker
from nuanalysis.plot._skymap import sky_map_page
from nuanalysis.records import Provenance
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.records import PointSource

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


def _layers(sky: xr.Dataset, origin: str) -> list[Layer]:
    said = {
        "log10_p": ("local p-value", "−log₁₀ p", "−log₁₀ of the local p-value"),
        "ts": ("TS", "TS", "TS of the fit"),
        "n_signal": ("n_s", "events", "fitted signal events"),
    }
    what = "point-source fit in every direction, n_s and index free"
    return [
        Layer(name, sky[key].values, unit, label, "linear", origin, what) for key, (name, unit, label) in said.items()
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


def _source(source: PointSource, kind: str, sky: xr.Dataset) -> Marker:
    """A source, with the fit of the pixel it lies in."""
    ra, dec = source.right_ascension, source.declination
    there = sky.isel(pixel=int(hp.ang2pix(sky.attrs["nside"], np.pi / 2 - dec, ra)))
    ts, n_signal, index, log10_p = (float(there[name]) for name in ("ts", "n_signal", "index", "log10_p"))
    p = _NONE if np.isnan(log10_p) else f"{10.0**-log10_p:.3g}"
    return Marker(source.name, ra, dec, kind, _fit(ts, n_signal, index if n_signal > 0 else None, p), source.extension)


def sky_page(sky: xr.Dataset, whose: Provenance, spots: Sequence[HotSpot]) -> str:
    """The page of a scan; sky : ts, n_signal, index and log10_p of all pixels, see ``store.sky_maps``."""
    sources = [_source(s, name.upper(), sky) for name in _STACKS for s in CATALOGUES[name].sources]
    nside = int(sky.attrs["nside"])
    caption = (
        f"Point-source scan of {whose.n_events:,} events of {whose.sample} at nside {nside}. "
        "Significances are local unless called global. What is said of a listed source is the fit of the pixel that "
        f"holds it, {np.degrees(hp.nside2resol(nside)):.2g}° wide, not a fit at its position."
    )
    return sky_map_page(
        _layers(sky, whose.origin),
        [*map(_spot, spots), *sources],
        title=f"Sky of {whose.sample}",
        origin=whose.origin,
        caption=caption,
        meta={"seed": str(whose.seed), "injected": whose.injected or "nothing", "notes": "; ".join(whose.notes)},
    )
