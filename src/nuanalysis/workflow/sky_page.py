"""The scan as a page to look at: maps, hottest spots and the sources of the 2023 stacks, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nuanalysis.publish import Layer, Marker, sky_map_page
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.workflow.scan import SkyMap

_STACKS = ("snr", "pwn", "unid")


def _layers(found: SkyMap, origin: str) -> list[Layer]:
    what = "point-source fit in every direction, n_s and index free"
    return [
        Layer("local p-value", found.log10_p, "−log₁₀ p", "-log10 of the local p-value", "linear", origin, what),
        Layer("TS", found.ts, "TS", "TS of the fit", "linear", origin, what),
        Layer("n_s", found.n_signal, "events", "fitted signal events", "linear", origin, what),
    ]


def _p(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "not asked for"
    if record.get("upper_bound_90") is not None:
        return f"< {record['upper_bound_90']:.2g} (90 %: none of {record['n_skies']} skies)"
    error = record.get("p_error")
    return f"{record['p']:.3g}" + (f" ± {error:.1g}" if error is not None else "")


def _spot(spot: Mapping[str, Any]) -> Marker:
    rows = (
        ("TS", f"{spot['ts']:.2f}"),
        ("n_s", f"{spot['n_s']:.1f}"),
        ("index", "–" if spot["index"] is None else f"{spot['index']:.2f}"),
        ("local p", _p(spot["p_local"])),
        ("global p", _p(spot["p_global"])),
    )
    where = np.radians(spot["ra_deg"]), np.radians(spot["dec_deg"])
    return Marker(f"hottest, {spot['hemisphere']}", float(where[0]), float(where[1]), "hottest spot", rows)


def sky_page(document: Mapping[str, Any], found: SkyMap) -> str:
    """The page of a scan; ``document`` as ``scan_record`` returns it."""
    origin = str(document["origin"])
    sources = [
        Marker(s.name, s.right_ascension, s.declination, name.upper(), (), s.extension)
        for name in _STACKS
        for s in CATALOGUES[name].sources
    ]
    caption = (
        f"Point-source scan of {document['n_events']:,} events of {document['sample']} at nside {found.nside}. "
        "Significances are local unless called global."
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
