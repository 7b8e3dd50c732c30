"""The scan as a page to look at: maps, hottest spots and the sources of the 2023 stacks, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import healpy as hp
import numpy as np

from nuanalysis.publish._sky_files import SkyMap
from nuanalysis.publish._skymap import Layer, Marker, sky_map_page
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.records import PointSource

_STACKS = ("snr", "pwn", "unid")
_NONE = "–"


def _layers(found: SkyMap, origin: str) -> list[Layer]:
    what = "point-source fit in every direction, n_s and index free"
    return [
        Layer("local p-value", found.log10_p, "−log₁₀ p", "−log₁₀ of the local p-value", "linear", origin, what),
        Layer("TS", found.ts, "TS", "TS of the fit", "linear", origin, what),
        Layer("n_s", found.n_signal, "events", "fitted signal events", "linear", origin, what),
    ]


def _p(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "not asked for"
    if record.get("upper_bound_90") is not None:
        return f"< {record['upper_bound_90']:.2g} (90 %: none of {record['n_skies']} skies)"
    error = record.get("p_error")
    beyond = " (extrapolated)" if record.get("extrapolated") else ""
    return f"{record['p']:.3g}" + (f" ± {error:.1g}" if error is not None else beyond)


def _fit(ts: float, n_signal: float, index: float | None, p_local: str) -> tuple[tuple[str, str], ...]:
    """The fit of a pixel, named as such: that at a source inside it differs."""
    return (
        ("TS of pixel", f"{ts:.2f}"),
        ("n_s of pixel", f"{n_signal:.1f}"),
        ("index of pixel", _NONE if index is None else f"{index:.2f}"),
        ("local p of pixel", p_local),
    )


def _spot(spot: Mapping[str, Any]) -> Marker:
    rows = (*_fit(spot["ts"], spot["n_s"], spot["index"], _p(spot["p_local"])), ("global p", _p(spot["p_global"])))
    where = np.radians(spot["ra_deg"]), np.radians(spot["dec_deg"])
    return Marker(f"hottest, {spot['hemisphere']}", float(where[0]), float(where[1]), "hottest spot", rows)


def _source(source: PointSource, kind: str, found: SkyMap) -> Marker:
    """A source, with the fit of the pixel it lies in."""
    ra, dec = source.right_ascension, source.declination
    pixel = int(hp.ang2pix(found.nside, np.pi / 2 - dec, ra))
    n_signal, log10_p = float(found.n_signal[pixel]), float(found.log10_p[pixel])
    p = _NONE if np.isnan(log10_p) else f"{10.0**-log10_p:.3g}"
    rows = _fit(float(found.ts[pixel]), n_signal, float(found.index[pixel]) if n_signal > 0 else None, p)
    return Marker(source.name, ra, dec, kind, rows, source.extension)


def sky_page(document: Mapping[str, Any], found: SkyMap) -> str:
    """The page of a scan; ``document`` as ``scan_record`` of the workflow returns it."""
    origin = str(document["origin"])
    sources = [_source(s, name.upper(), found) for name in _STACKS for s in CATALOGUES[name].sources]
    width = np.degrees(hp.nside2resol(found.nside))
    caption = (
        f"Point-source scan of {document['n_events']:,} events of {document['sample']} at nside {found.nside}. "
        "Significances are local unless called global. What is said of a listed source is the fit of the pixel that "
        f"holds it, {width:.2g}° wide, not a fit at its position."
    )
    meta = {"seed": str(document["seed"]), "injected": document["injected"] or "nothing"}
    return sky_map_page(
        _layers(found, origin),
        [*(_spot(spot) for spot in document["hottest"]), *sources],
        title=f"Sky of {document['sample']}",
        origin=origin,
        caption=caption,
        meta={**meta, "notes": "; ".join(document["notes"])},
    )
