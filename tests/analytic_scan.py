"""A scan without an event: a Gaussian likelihood around a place that follows from the request.

It serves to try the service and to test it, and shows what a runner has to do: rounds that are kept in the folder, and
equal bytes however often it was killed.  Its results are synthetic and say so; an event said to be real is refused.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis.realtime.service.requests import ScanRequest
from nuanalysis.realtime.service.runner import Control, Found
from nuanalysis.store import atomic_write

FIRST_ORDER = 2
WILKS = {0.5: 1.386, 0.9: 4.605}  # of TS with two degrees of freedom
NOTE = "SYNTHETIC: an analytic stand-in without an event, for trying the service"
_TICK_S = 0.05

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class AnalyticScan:
    """TS = (separation / width)^2.

    Classifiers set it: ``width_deg``; ``round_s``, the time of a round, s; ``busy``, whether it computes meanwhile.
    """

    def faults(self, request: ScanRequest) -> Sequence[str]:
        """An event that is said to be real, an algorithm of another name, settings out of range."""
        found = []
        if request.real_or_simulated == "real":
            found.append("real_or_simulated is 'real'; this runner is a stand-in and knows no events, ask 'simulated'")
        if request.algorithm != "adaptive":
            found.append(f"algorithm '{request.algorithm}'; expected adaptive")
        found += [
            f"classifier {name} is {request.classifiers[name]!r}; expected {low:g} to {high:g}"
            for name, (low, high) in _SETTINGS.items()
            if name in request.classifiers and not _within(request.classifiers[name], low, high)
        ]
        return found

    def prepare(self) -> None:
        """There is nothing to load."""

    def run(self, request: ScanRequest, folder: Path, report: Callable[[Found], None], control: Control) -> Found:
        """Rounds of leaves from order 2 to the finest; each is kept as ROUND.npy and not computed again."""
        order, ipix = _first()
        done, rounds = len(ipix), 0
        while True:
            rounds += 1
            ts = _round(request, folder / "rounds" / f"{rounds:02d}.npy", order, ipix, control)
            split = _to_split(request, order, ts)
            more = 4 * int(split.sum())
            found = _found(request, rounds, order, ipix, ts, done, not more)
            if not more or done + more > request.stop.pixels or control.stop():
                return found
            report(found)
            order, ipix = _refined(order, ipix, split)
            done += more


_SETTINGS = {"round_s": (0.0, 600.0), "width_deg": (0.05, 60.0)}


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _wait(seconds: float, control: Control, *, busy: bool) -> bool:
    """Pass the time that a round would take, shorter with more workers; whether nobody wanted to stop."""
    passed = 0.0
    while passed < seconds:
        if control.stop():
            return False
        end = time.monotonic() + _TICK_S
        while busy and time.monotonic() < end:
            np.linalg.norm(np.arange(3000.0))
        time.sleep(max(0.0, end - time.monotonic()))
        passed += _TICK_S * max(1, control.workers())
    return True


def _first() -> tuple[Integers, Integers]:
    ipix = np.arange(12 * 4**FIRST_ORDER, dtype=np.int64)
    return np.full_like(ipix, FIRST_ORDER), ipix


def _place(request: ScanRequest) -> tuple[float, float]:
    """Right ascension and declination, rad: uniform on the sphere, from the digits of the event and the seed."""
    digits = ScanRequest(event=request.event, real_or_simulated="simulated", seed=request.seed).digest()
    first, second = (int(digits[i : i + 12], 16) / 16**12 for i in (0, 12))
    return 2 * math.pi * first, math.asin(2 * second - 1)


def centres_of(order: Integers, ipix: Integers) -> tuple[Floats, Floats, Floats]:
    """Unit vectors of the centres of NESTED pixels; Gorski et al. 2005, ApJ 622, 759, section 4.

    Written out because healpy takes 2 s to import, and a worker of this scan does little else.
    """
    face, within = ipix >> (2 * order), ipix & (4**order - 1)
    x, y = (_every_second_bit(within >> shift) for shift in (0, 1))
    side = 2.0**order
    east, north = (x + 0.5) / side, (y + 0.5) / side
    ring = 2 + face // 4 - east - north  # 0 at the north pole, 4 at the south pole
    reach = np.minimum(np.minimum(ring, 4 - ring), 1.0)
    cap = 1 - reach**2 / 3
    z = np.where(ring < 1, cap, np.where(ring > 3, -cap, (2 - ring) * 2 / 3))
    column = np.where(face // 4 == 1, 2 * (face % 4), 2 * (face % 4) + 1)
    azimuth = np.pi / 4 * (column + (east - north) / reach)
    across = np.sqrt((1 - z) * (1 + z))
    return across * np.cos(azimuth), across * np.sin(azimuth), z


def _every_second_bit(number: Integers) -> Integers:
    found = np.zeros_like(number)
    for bit in range(30):
        found |= ((number >> (2 * bit)) & 1) << bit
    return found


def _ts(request: ScanRequest, order: Integers, ipix: Integers) -> Floats:
    width = math.radians(float(request.classifiers.get("width_deg", 2.0)))
    ra, dec = _place(request)
    axis = np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
    centres = np.stack(centres_of(order, ipix), axis=-1)
    # Half the chord keeps its digits where the cosine of a small separation has lost them.
    half = np.linalg.norm(centres - axis, axis=-1) / 2
    return np.asarray((2 * np.arcsin(np.clip(half, 0.0, 1.0)) / width) ** 2)


def _round(request: ScanRequest, kept: Path, order: Integers, ipix: Integers, control: Control) -> Floats:
    """TS of the leaves of a round, from its file where there is one."""
    if kept.exists():
        return np.asarray(np.load(kept, allow_pickle=False))
    ts = _ts(request, order, ipix)
    busy = bool(request.classifiers.get("busy", False))
    if _wait(float(request.classifiers.get("round_s", 0.0)), control, busy=busy):
        file = io.BytesIO()
        np.save(file, ts, allow_pickle=False)
        atomic_write(kept, file.getvalue())
    return ts


def _to_split(request: ScanRequest, order: Integers, ts: Floats) -> NDArray[np.bool_]:
    """The finest leaves that may touch the 90 % level: within a pixel and a half of it; the best one always."""
    width = math.radians(float(request.classifiers.get("width_deg", 2.0)))
    near = width * (np.sqrt(ts) - math.sqrt(WILKS[0.9])) <= 1.5 * math.sqrt(math.pi / 3) / 2.0**order
    near[np.argmin(ts)] = True
    return np.asarray(near & (order == order.max()) & (order < request.max_order))


def _refined(order: Integers, ipix: Integers, split: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """The leaves with those that split replaced by their children, in order of the sky."""
    children = (4 * ipix[split][:, None] + np.arange(4)).ravel()
    orders = np.concatenate([order[~split], np.repeat(order[split] + 1, 4)])
    pixels = np.concatenate([ipix[~split], children])
    along = np.argsort(pixels << (2 * (29 - orders)), kind="stable")
    return orders[along], pixels[along]


def _found(
    request: ScanRequest, rounds: int, order: Integers, ipix: Integers, ts: Floats, done: int, complete: bool
) -> Found:
    area = 4 * math.pi / (12 * 4.0**order)
    density = np.exp(-(ts - ts.min()) / 2)
    density /= np.sum(density * area)
    best = int(np.argmin(ts))
    x, y, z = (float(one[0]) for one in centres_of(order[best : best + 1], ipix[best : best + 1]))
    ra, dec = math.atan2(y, x) % (2 * math.pi), math.atan2(z, math.hypot(x, y))
    areas = {level: float(np.degrees(np.degrees(area[ts <= ts.min() + cut].sum()))) for level, cut in WILKS.items()}
    files = {
        "map.fits": _map(order, ipix, density, ts),
        "contours.json": _contours(request, ra, dec, areas),
        "leaves.ecsv": _table(order, ipix, ts),
        "leaves.json": _leaves(order, ipix, ts),
    }
    return Found(
        round=rounds,
        complete=complete,
        pixels_done=done,
        pixels_expected=max(done, 192 + 110 * (request.max_order - FIRST_ORDER)),
        right_ascension=ra,
        declination=dec,
        area_50_deg2=areas[0.5],
        area_90_deg2=areas[0.9],
        synthetic=True,
        note=NOTE,
        files=files,
    )


def _map(order: Integers, ipix: Integers, density: Floats, ts: Floats) -> bytes:
    """A multi-order table; no date in it, so that equal scans are equal bytes."""
    from astropy.io import fits

    columns = [
        fits.Column("UNIQ", "K", array=4 * (4**order) + ipix),
        fits.Column("PROBDENSITY", "D", unit="sr-1", array=density),
        fits.Column("TS", "D", array=ts),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    cards = {"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C", "MOCORDER": int(order.max())}
    for name, value in {**cards, "INDXSCHM": "EXPLICIT", "ORIGIN": "nuanalysis", "OBJECT": "SYNTHETIC"}.items():
        table.header[name] = value
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    return file.getvalue()


def _contours(request: ScanRequest, ra: float, dec: float, areas: dict[float, float]) -> bytes:
    """Circles of the analytic likelihood around the best pixel, 64 corners, counter-clockwise seen from inside."""
    width = math.radians(float(request.classifiers.get("width_deg", 2.0)))
    turn = np.linspace(0.0, 2 * np.pi, 65)
    found = []
    for level, cut in WILKS.items():
        radius = width * math.sqrt(cut)
        lat = np.arcsin(np.clip(np.sin(dec) * np.cos(radius) + np.cos(dec) * np.sin(radius) * np.cos(turn), -1, 1))
        across = np.arctan2(np.sin(turn) * np.sin(radius) * np.cos(dec), np.cos(radius) - np.sin(dec) * np.sin(lat))
        ring = np.degrees(np.stack([np.mod(ra + across, 2 * np.pi), lat], axis=-1)).round(6).tolist()
        found.append({"level": level, "critical_value": cut, "area_deg2": areas[level], "rings": [ring]})
    return json.dumps({"synthetic": True, "note": NOTE, "contours": found}).encode()


def _table(order: Integers, ipix: Integers, ts: Floats) -> bytes:
    """ECSV, in words: the tables of astropy take longer to import than this scan to run."""
    kinds = {"order": "int64", "ipix": "int64", "ts": "float64"}
    head = ["%ECSV 1.0", "---", "datatype:", *(f"- {{name: {name}, datatype: {kind}}}" for name, kind in kinds.items())]
    head += [f"meta: {{note: '{NOTE}', ordering: NESTED}}", "schema: astropy-2.0"]
    rows = (
        f"{k} {pixel} {value!r}" for k, pixel, value in zip(order.tolist(), ipix.tolist(), ts.tolist(), strict=True)
    )
    return "\n".join([*(f"# {line}" for line in head), " ".join(kinds), *rows, ""]).encode()


def _leaves(order: Integers, ipix: Integers, ts: Floats) -> bytes:
    document = {
        "synthetic": True,
        "note": NOTE,
        "levels": list(WILKS.values()),
        "order": order.tolist(),
        "ipix": ipix.tolist(),
        "ts": (ts - ts.min()).round(4).tolist(),
    }
    return json.dumps(document, separators=(",", ":")).encode()
