"""A sky map one can turn, zoom and ask: maps and markers in, one HTML page out that needs nothing else.

Refuses a page called real that holds synthetic maps.
The page draws HEALPix pixels as they are; finer maps are degraded and say so, with their hottest pixel kept exactly.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, refuse
from nuanalysis.plot._layers import ORIGINS, Layer, Marker, Stored, coarser, known, quantised
from nuanalysis.plot._page import plain
from nuanalysis.plot._typeset import typeset
from nuanalysis.records import Provenance
from nuanalysis.schema import Floats
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.records import PointSource

FINEST = 64  # nside of what the page holds: pixels of 0.9 deg, finer than the point spread of most events
MAP_BYTES = 1_400_000  # of all maps together, as text; the whole page stays below 2 MB with the tables of a source list
MOST_MAPS = int(MAP_BYTES / (4 / 3 * 12 * FINEST**2))  # of the finest, in 8 bits
DECADES = 4.0  # of a logarithmic colour scale below its top, as in the figures
_SCRIPTS = ("healpix.js", "projection.js", "map.js")
_COLOURS = {"sequential": "cividis", "diverging": "RdBu_r"}  # perceptually ordered; both safe for the colour-blind
_PLACE = ("RA (°)", "Dec (°)", "l (°)", "b (°)")

# One shape for each kind of marker, told apart without colour; SVG paths of about unit radius, used again in turn.
SYMBOLS = (
    "M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z",
    "M-.9 -.9H.9V.9H-.9Z",
    "M0 -1.25L1.15 .8H-1.15Z",
    "M0 -1.3L1.3 0L0 1.3L-1.3 0Z",
    "M0 1.25L1.15 -.8H-1.15Z",
    "M-1.1 0H1.1M0 -1.1V1.1",
    "M-.9 -.9L.9 .9M-.9 .9L.9 -.9",
    "M0 -1.3L.38 -.4L1.25 -.4L.56 .18L.8 1.1L0 .55L-.8 1.1L-.56 .18L-1.25 -.4L-.38 -.4Z",
)


# ---- texts ----------------------------------------------------------------------------------------------------------


def _number(value: float) -> str:
    """Four digits, powers of ten written out: 1.234 × 10⁻¹²."""
    body, _, power = f"{value:.4g}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) if power else ""
    return body.replace("-", "−") + (f" × 10{raised}" if power else "")


def _place(ra: float, dec: float) -> tuple[str, str, str, str]:
    """RA, Dec, l, b in degrees as text."""
    theta, phi = hp.Rotator(coord=["C", "G"])(np.pi / 2 - dec, ra)
    around = [f"{round(float(np.degrees(x)), 3) % 360:.3f}" for x in (ra, phi)]
    up = [f"{np.degrees(x):+.3f}".replace("-", "−") for x in (dec, np.pi / 2 - theta)]
    return around[0], up[0], around[1], up[1]


def _middle(values: Floats, pixel: int) -> tuple[float, float]:
    """RA and Dec, rad, of a pixel of the map."""
    theta, phi = hp.pix2ang(hp.npix2nside(len(values)), pixel)
    return float(phi), float(np.pi / 2 - theta)


def _about(layer: Layer) -> str:
    """The map in words: where it is highest and lowest, before it is degraded."""
    values = known(layer.values)
    high, low = int(np.nanargmax(values)), int(np.nanargmin(values))
    blank = float(np.mean(np.isnan(values)))
    top, bottom = (f"{_number(values[k])} {layer.unit}".strip() for k in (high, low))
    absent = f" No value in {100 * blank:.3g} % of the sky." if blank else ""
    ra, dec, lon, lat = _place(*_middle(values, high))
    return f"Highest {top} at RA {ra}°, Dec {dec}° (l {lon}°, b {lat}°); lowest {bottom}.{absent}"


def _storage(layer: Layer, stored: Stored) -> str:
    """What was lost on the way into the page."""
    nside, kept = hp.npix2nside(len(layer.values)), hp.npix2nside(len(stored.codes))
    coarse = (
        f"Degraded from nside {nside} to {kept} for this page: each pixel is a mean, a marker keeps the hottest. "
        if nside > kept
        else f"nside {kept}. "
    )
    step = f"{_number(100 * np.log(10) * stored.step)} %" if stored.scale == "log" else _number(stored.step)
    return (
        coarse + f"Stored in {stored.bits} bits, in steps of {step}{'' if stored.scale == 'log' else ' ' + layer.unit}."
    )


_LEADING = re.compile(
    r"[<>≤≥~≈\s]*(?P<body>[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?:\s*[×x]\s*10\^?(?P<power>[+-]?\d+))?(?![\w.])",
    re.IGNORECASE,
)
_RAISED = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹−", "-+0123456789-")


def sort_key(text: str) -> float | None:
    """The number that a text begins with ('< 1.2 × 10⁻⁴', '−3.1 ± 0.2'), None if it begins with none ('3C 273')."""
    found = _LEADING.match(text.translate(_RAISED).replace(",", ""))
    if not found or re.match(r"\s*[A-Za-z]+\s*\d", text[found.end("body") :]):
        return None
    return float(found["body"]) * 10.0 ** int(found["power"] or 0)


# ---- the page -------------------------------------------------------------------------------------------------------


def _hottest(layer: Layer) -> Marker:
    """The highest pixel of a map, as exact as it came."""
    values = known(layer.values)
    pixel, nside = int(np.nanargmax(values)), hp.npix2nside(len(values))
    rows = (("Value", f"{_number(values[pixel])} {layer.unit}".strip()), ("Pixel", f"{pixel} (nside {nside}, RING)"))
    return Marker(f"Hottest pixel, {layer.name}", *_middle(values, pixel), "hottest pixel", rows)


def _layer_data(layer: Layer, stored: Stored) -> dict[str, Any]:
    """What the script needs of a map; ``low`` and ``high`` bound the colours, on the scale."""
    seen = stored.on_scale()
    finite = seen[np.isfinite(seen)]
    low, high = float(finite.min()), float(finite.max())
    floor = low
    if layer.scale == "signed":
        high = float(np.abs(finite).max()) or 1.0
        low = floor = -high
    elif layer.scale == "log":
        low = max(low, high - DECADES)
    codes = stored.codes.astype(stored.codes.dtype.newbyteorder("<")).tobytes()
    return {
        "name": layer.name, "label": typeset(plain(layer.label)), "unit": plain(layer.unit), "scale": layer.scale,
        "origin": layer.origin, "about": plain(_about(layer)), "marks": layer.marks,
        "nside": hp.npix2nside(len(stored.codes)),
        "bits": stored.bits, "offset": stored.offset, "zero": stored.zero, "step": stored.step, "low": low,
        "high": high if high > low else low + 1.0, "clipped": bool(low > floor or np.any(np.isneginf(seen))),
        "codes": base64.b64encode(codes).decode("ascii"),
    }  # fmt: skip


def _colours() -> dict[str, str]:
    """256 colours of each scale, as hexadecimal digits."""
    from matplotlib import colormaps

    tables = {name: colormaps[cmap](np.arange(256), bytes=True) for name, cmap in _COLOURS.items()}
    return {name: np.asarray(table)[:, :3].astype(np.uint8).tobytes().hex() for name, table in tables.items()}


def _keys(markers: Sequence[Marker]) -> list[str]:
    """What the address calls each marker: its name, with a number from the second of a name on."""
    names = [marker.name for marker in markers]
    before = [names[:k].count(name) for k, name in enumerate(names)]
    return [f"{name} ({n + 1})" if n else name for name, n in zip(names, before, strict=True)]


def _table(markers: Sequence[Marker]) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Headings and cells of the table of markers; a column is numeric where each of its cells begins with a number."""
    labels = list(dict.fromkeys(label for marker in markers for label, _ in marker.rows))
    heads = ["Name", "Kind", *_PLACE, *labels]
    texts = [
        [one.name, one.kind, *_place(one.ra, one.dec), *(dict(one.rows).get(label, "–") for label in labels)]
        for one in markers
    ]
    keys = [[sort_key(text) if k > 1 and text != "–" else None for k, text in enumerate(row)] for row in texts]
    numeric = [
        k > 1 and all(key[k] is not None for key, row in zip(keys, texts, strict=True) if row[k] != "–")
        for k in range(len(heads))
    ]
    cells = [
        [{"text": plain(text), "sort": key} for text, key in zip(row, row_keys, strict=True)]
        for row, row_keys in zip(texts, keys, strict=True)
    ]
    return [{"label": plain(head), "numeric": n} for head, n in zip(heads, numeric, strict=True)], cells


def _embedded(layers: Sequence[Layer]) -> list[Stored]:
    """The maps as the page holds them: 16 bits, or 8 where that would be too much."""
    maps = [known(layer.values) for layer in layers]
    maps = [coarser(values, FINEST) if len(values) > 12 * FINEST**2 else values for values in maps]
    text = 4 / 3 * sum(len(values) for values in maps)
    if text > MAP_BYTES:
        raise InputError(
            f"{len(layers)} sky maps take {text / 1e6:.1f} MB in one page even in 8 bits; expected at most "
            f"{MAP_BYTES / 1e6:.1f}: make several pages"
        )
    bits: Literal[8, 16] = 16 if 2 * text <= MAP_BYTES else 8
    return [quantised(values, scale=layer.scale, bits=bits) for layer, values in zip(layers, maps, strict=True)]


def _text(name: str) -> str:
    """A file that the page is made of."""
    return (files("nuanalysis.plot") / "skymap" / name).read_text(encoding="utf-8")


def _check(layers: Sequence[Layer], origin: str) -> None:
    faults = []
    names = [layer.name for layer in layers]
    if not layers or len(set(names)) != len(names):
        faults.append(f"maps named {names}; expected at least one, each name once")
    if origin not in (*ORIGINS, "mixed"):
        faults.append(f"the origin '{origin}'; expected one of {(*ORIGINS, 'mixed')}")
    synthetic = [layer.name for layer in layers if layer.origin == "synthetic"]
    if origin in ("real", "model") and synthetic:
        faults.append(f"the origin '{origin}' but synthetic maps {synthetic}; call it 'synthetic' or 'mixed'")
    refuse(faults, "the page of sky maps has")


def sky_map_page(
    layers: Sequence[Layer],
    markers: Sequence[Marker],
    *,
    title: str,
    origin: str,
    caption: str,
    meta: Mapping[str, str],
) -> str:
    """An interactive sky map as one HTML page with no outside address at all.

    origin   : of the page: 'real', 'synthetic', 'model' or 'mixed'.    caption : what is shown, in plain words.
    meta     : provenance, as printed at the foot.
    Maps finer than nside 64 are degraded to it (mean); each then gets a marker with its hottest pixel as it came.
    Raises InputError with all faults.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    _check(layers, origin)
    stored = _embedded(layers)
    kept = [len(one.codes) for one in stored]
    markers = [*markers, *(_hottest(a) for a, n in zip(layers, kept, strict=True) if len(a.values) > n)]
    numbers = Counter(marker.kind for marker in markers)
    symbols = {kind: k % len(SYMBOLS) for k, kind in enumerate(numbers)}
    heads, rows = _table(markers)
    maps = [_layer_data(layer, one) for layer, one in zip(layers, stored, strict=True)]
    data = {
        "layers": maps,
        "markers": [
            {
                "key": key, "name": plain(one.name), "kind": one.kind, "symbol": symbols[one.kind],
                "ra": float(np.degrees(one.ra) % 360), "dec": float(np.degrees(one.dec)),
                "extension": float(np.degrees(one.extension)),
            }
            for key, one in zip(_keys(markers), markers, strict=True)
        ],
        "symbols": SYMBOLS,
        "colours": _colours(),
        "to_galactic": np.asarray(hp.Rotator(coord=["C", "G"]).mat).ravel().tolist(),
        "place_columns": 2 + len(_PLACE),
    }  # fmt: skip
    # '<' would let a name such as '</script>' end the element that holds the data.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    shown = [
        {**about, "description": plain(layer.description), "stored": plain(_storage(layer, one))}
        for about, layer, one in zip(maps, layers, stored, strict=True)
    ]
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_text("page.html.j2")).render(
        title=plain(title),
        origin=origin,
        caption=plain(caption),
        any_synthetic=origin in ("synthetic", "mixed"),
        layers=shown,
        kinds=[{"name": k, "shape": SYMBOLS[symbols[k]], "number": n} for k, n in numbers.items()],
        heads=heads,
        rows=rows,
        meta=[(plain(term), plain(said)) for term, said in meta.items()],
        style=Markup(_text("style.css")),
        data=Markup(text),
        scripts=[Markup(_text(name)) for name in _SCRIPTS],
    )


# ---- of a scan ------------------------------------------------------------------------------------------------------

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


def _sigmas() -> tuple[tuple[float, str], ...]:
    """-log10 p of one-sided significances, with their names."""
    return tuple((-float(scipy.stats.norm.logsf(k)) / np.log(10.0), f"{k}σ") for k in range(1, 9))


def _layers(sky: xr.Dataset, origin: str) -> list[Layer]:
    said = {
        "log10_p": (
            "local p-value",
            "−log₁₀ p",
            "−log₁₀ of the local p-value; above its scale: σ, one-sided",
            _sigmas(),
        ),
        "ts": ("TS", "TS", "TS of the fit", ()),
        "n_signal": ("nₛ", "events", "fitted signal events", ()),
    }
    what = "point-source fit in every direction, n_s and index free"
    return [
        Layer(name, sky[key].values, unit, label, "linear", origin, what, marks)
        for key, (name, unit, label, marks) in said.items()
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
        "Significances are local unless called global. The hottest spots are those south and north of the celestial "
        "equator, on the Galactic map too. What is said of a listed source is the fit of the pixel that "
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


# ---- of fits --------------------------------------------------------------------------------------------------------


def ts_page(maps: Mapping[str, tuple[str, Floats]], sample: str, origin: str) -> str:
    """The page of where the test statistics of hypotheses come from.

    maps : label and TS per steradian, (pixel,) RING ICRS, of each hypothesis by its name; sources of stacks are marked.
    """
    layers = [
        Layer(name, values, "TS sr⁻¹", f"{label}: contribution to TS (sr⁻¹)", "signed", origin, f"The fit of {name}.")
        for name, (label, values) in maps.items()
    ]
    stacks = [name.removeprefix("stack:") for name in maps if name.startswith("stack:")]
    marked = [
        Marker(one.name, one.right_ascension, one.declination, name.upper(), extension=one.extension)
        for name in stacks
        if name in CATALOGUES
        for one in CATALOGUES[name].sources
    ]
    caption = (
        "Positive where the events look like the hypothesis, negative where they do not; the integral over the sphere "
        "is the TS of the fit. Choose the hypothesis in the list of maps."
    )
    return sky_map_page(
        layers, marked, title=f"Test statistics of {sample}", origin=origin, caption=caption, meta={"sample": sample}
    )
