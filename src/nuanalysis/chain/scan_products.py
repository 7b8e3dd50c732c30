"""A scan as files for others: multi-order FITS map, contours as JSON, region as MOC, leaves as ECSV."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from nuanalysis.alerts import ICECUBE, SIMULATION
from nuanalysis.chain.scanned_events import EventToScan
from nuanalysis.deferred import units as u
from nuanalysis.reconstruct import RADIUS, Contour, Leaves, Pixels, probability_density
from nuanalysis.store import table_ecsv
from nuanalysis.store.fits import Card, Field, add_cards, moc_hdu, multi_order_hdu

DECIMALS = 6  # of degrees in JSON: 4 milliarcseconds are far below any pixel


def degrees(angle: float) -> float:
    """A number in deg as JSON has it."""
    return round(float(np.degrees(angle)), DECIMALS)


def square_degrees(area: float) -> float:
    """sr in deg^2."""
    return float(np.degrees(np.degrees(area)))


def map_name(event: EventToScan) -> str:
    """As IceCube names such maps."""
    return f"{event.name}_skymap_probdensity_multiorder.fits.gz"


def cards_of(event: EventToScan, leaves: Leaves, contours: tuple[Contour, ...]) -> list[Card]:
    """What a header says of the event and of its contours.  Names beyond eight letters are those of IceCube's maps."""
    best, levels = leaves.best, event.levels[0]
    cards: list[Card] = [
        ("OBJECT", event.name, "event"),
        ("ORIGIN", event.origin, "real or synthetic"),
        ("INSTRUME", "IceCube" if event.origin == "real" else "simulated detector", "what saw it"),
        ("CREATOR", f"nuanalysis {version('nuanalysis')}", "program that wrote this file"),
        ("RADESYS", "ICRS", "frame of the pixels"),
        ("RUNID", event.run, "run, 0 where there is none"),
        ("EVENTID", event.event_id, "event"),
        ("HIERARCH EVENT-TYPE", event.topology, "track or shower"),
        *_alert(event),
        ("RA", degrees(best.right_ascension), "[deg] best fit"),
        ("DEC", degrees(best.declination), "[deg] best fit"),
        ("LEVELS", levels.name, "whose critical values"),
        ("NFAILED", leaves.failed, "leaves without a fit"),
        ("COMPLETE", leaves.complete, "no leaf at the contour is left to divide"),
    ]
    for one in contours:
        share = f"{100 * one.share:.0f}"
        cards += [
            (f"TSLEV{share}", one.critical, f"critical value of TS, {share} %"),
            (f"AREA{share}", square_degrees(one.area), f"[deg2] of the {share} % contour"),
        ]
        if one.box is not None:
            sides = (
                ("RA_ERR_PLUS", one.box.right_ascension_plus),
                ("RA_ERR_MINUS", one.box.right_ascension_minus),
                ("DEC_ERR_PLUS", one.box.declination_plus),
                ("DEC_ERR_MINUS", one.box.declination_minus),
            )
            cards += [(f"HIERARCH {key}_{share}", degrees(side), "[deg] side of the box") for key, side in sides]
    return [*cards, *_date(event)]


def _alert(event: EventToScan) -> list[Card]:
    if event.alert is None:
        return []
    return [
        ("SENDER", ICECUBE if event.alert.origin == "real" else SIMULATION, "of the alert; nobody sent this map"),
        ("HIERARCH ALERT-STREAM", event.alert.stream, "selection that announced it"),
    ]


def _date(event: EventToScan) -> list[Card]:
    if not np.isfinite(event.mjd):
        return []
    from astropy.time import Time

    said = Time(event.mjd, format="mjd", scale="utc").isot
    return [("DATE-OBS", said, "UTC, of the event"), ("MJD-OBS", event.mjd, "of the event")]


def map_fits(event: EventToScan, leaves: Leaves, contours: tuple[Contour, ...]) -> bytes:
    """The map of probability as gzipped multi-order FITS; the same scan gives the same bytes."""
    ts, pixels = leaves.ts, leaves.pixels
    density = probability_density(ts, pixels.area, event.levels[0])
    fields = [Field("TS", np.where(np.isfinite(ts), ts, np.nan), "", "twice the fall of ln L from the best")]
    hdu = multi_order_hdu(
        pixels.uniq, density, "by calibrated containment, integral 1", fields, cards_of(event, leaves, contours)
    )
    return gzip.compress(_file(event, hdu), compresslevel=6, mtime=0)


def moc_fits(event: EventToScan, leaves: Leaves, one: Contour) -> bytes:
    """The pixels of a contour as a coverage map."""
    cards = [*cards_of(event, leaves, (one,)), ("SHARE", one.share, "probability that it is to hold")]
    return _file(event, moc_hdu(one.pixels.uniq, cards))


def _file(event: EventToScan, hdu: Any) -> bytes:
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    add_cards(primary.header, [("ORIGIN", event.origin, "real or synthetic"), ("OBJECT", event.name, "event")])
    out = io.BytesIO()
    fits.HDUList([primary, hdu]).writeto(out)
    return out.getvalue()


def contours_json(event: EventToScan, leaves: Leaves, contours: tuple[Contour, ...]) -> bytes:
    """The contours as JSON: angles in deg, ICRS; rings closed, counter-clockwise seen from inside, cut at RA 0."""
    best = leaves.best
    document = {
        "event": event.name,
        "origin": event.origin,
        "what": event.what,
        "frame": "ICRS",
        "unit": "deg",
        "best": {"ra": degrees(best.right_ascension), "dec": degrees(best.declination)},
        "levels": event.levels[0].name,
        "complete": leaves.complete,
        "leaves": len(leaves.pixels),
        "leaves_without_fit": leaves.failed,
        "contours": [asdict(_contour(one)) for one in contours],
    }
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


@dataclass(frozen=True, slots=True)
class _Box:
    ra_plus: float
    ra_minus: float
    dec_plus: float
    dec_minus: float


@dataclass(frozen=True, slots=True)
class _Axes:
    major: float
    minor: float
    position_angle: float


@dataclass(frozen=True, slots=True)
class _Written:
    """A contour as the document has it: keys are the names of the fields, angles in deg."""

    level: float
    critical_value: float
    area_deg2: float
    area_bounds_deg2: list[float]
    box: _Box | None
    radius: float | None
    radius_definition: str
    ellipse: _Axes
    rings: list[list[list[float]]]
    moc: dict[str, list[int]]


def _contour(one: Contour) -> _Written:
    box, ellipse = one.box, one.ellipse
    sides = None
    if box is not None:
        sides = _Box(*map(degrees, box.sides))
    return _Written(
        level=one.share,
        critical_value=one.critical,
        area_deg2=round(square_degrees(one.area), DECIMALS),
        area_bounds_deg2=[round(square_degrees(x), DECIMALS) for x in (one.low, one.high)],
        box=sides,
        radius=None if one.radius is None else degrees(one.radius),
        radius_definition=RADIUS,
        ellipse=_Axes(*map(degrees, (ellipse.major, ellipse.minor, ellipse.position_angle))),
        rings=[[[degrees(ra), degrees(dec)] for ra, dec in ring] for ring in one.rings],
        moc=moc_json(one.pixels),
    )


def moc_json(pixels: Pixels) -> dict[str, list[int]]:
    """Pixels by order, as IVOA MOC 2.0 writes them in JSON."""
    return {str(k): sorted(pixels.index[pixels.order == k].tolist()) for k in np.unique(pixels.order).tolist()}


def leaves_ecsv(event: EventToScan, leaves: Leaves) -> bytes:
    """Every leaf: order, nested index, centre, TS, probability, and the nuisance parameters of its fit."""
    from astropy.table import QTable

    ra, dec = leaves.pixels.directions
    density = probability_density(leaves.ts, leaves.pixels.area, event.levels[0])
    table = QTable(
        {
            "order": leaves.pixels.order,
            "index": leaves.pixels.index,
            "right_ascension": np.degrees(ra) * u.deg,
            "declination": np.degrees(dec) * u.deg,
            "ts": np.where(np.isfinite(leaves.ts), leaves.ts, np.nan),
            "probability": density * leaves.pixels.area,
            "unresolved": leaves.unresolved,
            "nuisance": leaves.nuisance,
        },
        meta={
            "event": event.name,
            "origin": event.origin,
            "what": event.what,
            "levels": event.levels[0].name,
            "nuisance": "energy inside and in all, GeV" if event.topology == "track" else "x, y, z m, t ns, ln E/GeV",
        },
    )
    return table_ecsv(table)
