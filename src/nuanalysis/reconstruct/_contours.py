"""Regions of a scan: area, rings around their pixels, box, circle and ellipse."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError
from nuanalysis.reconstruct._records import Leaves, Pixels
from nuanalysis.schema import Bools, Floats, Ints
from nuanalysis.sphere import box_radius

Vertex = tuple[int, int, int]
_GRID = 1e9  # corners of pixels are the same where they agree to 1e-9; those of order 12 are 2e-4 apart
TWO_PI = 2.0 * np.pi


@dataclass(frozen=True, slots=True)
class SkyBox:
    """Errors to each side of the best position, to the outermost centres of pixels: rad, in right ascension as such."""

    right_ascension_plus: float
    right_ascension_minus: float
    declination_plus: float
    declination_minus: float

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """All four, in their order."""
        return self.right_ascension_plus, self.right_ascension_minus, self.declination_plus, self.declination_minus


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Half axes of an ellipse with the area and the second moments of a region, rad.

    position_angle : of the longer one, from north to east, 0 to pi.  right_ascension, declination : of its middle.
    """

    major: float
    minor: float
    position_angle: float
    right_ascension: float
    declination: float


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """The region where TS is at most a critical value.

    share : that it is to hold.  area : sr; low, high : its bounds, where leaves are unresolved.
    pixels : of the region.  rings : closed lines around them, (vertex, 2) of right ascension and declination, rad; seen
    from inside the sphere they run counter-clockwise about the region, clockwise about holes; none crosses right
    ascension 0: they are cut there, and run along it and over the pole where the region holds one.
    box : None where a pole is inside.  radius : of a circle, from ``ra_dec_error``; None as well.
    """

    share: float
    critical: float
    area: float
    low: float
    high: float
    pixels: Pixels
    rings: tuple[Floats, ...]
    box: SkyBox | None
    radius: float | None
    ellipse: Ellipse


#: How ``Contour.radius`` follows from the box.
RADIUS = "sqrt(mean(ra errors) cos(dec) mean(dec errors))"


def contour(leaves: Leaves, critical: float, share: float) -> Contour:
    """The region of a scan at a critical value.

    It holds at least the best leaf.  Raises InputError for a critical value that is none.
    """
    if not critical > 0.0:
        raise InputError(f"a contour at TS {critical:g}; expected a critical value above 0")
    ts = leaves.ts
    inside = ts <= critical
    if not inside.any():
        inside = ts == ts.min()
    area = leaves.pixels.area
    pixels = leaves.pixels.take(inside)
    box = box_of(pixels, leaves.best.right_ascension, leaves.best.declination)
    return Contour(
        share=share,
        critical=critical,
        area=float(area[inside].sum()),
        low=float(area[inside & ~leaves.unresolved].sum()),
        high=float(area[inside | leaves.unresolved].sum()),
        pixels=pixels,
        rings=rings_of(pixels),
        box=box,
        radius=None if box is None else box_radius(box.sides, leaves.best.declination),
        ellipse=ellipse_of(pixels),
    )


def box_of(pixels: Pixels, right_ascension: float, declination: float) -> SkyBox | None:
    """Errors to each side from centres of pixels; None where the region holds a pole or goes about one.

    There right ascension says nothing.
    Sides of right ascension are counted from the best position across the widest gap, so 0/360 is no border.
    """
    ra, dec = pixels.directions
    if _holds(pixels, 1.0) or _holds(pixels, -1.0) or any(map(_about_axis, map(_unwrapped, _lines(pixels)))):
        return None
    turn = np.sort(np.mod(ra - right_ascension, TWO_PI))
    gaps = np.diff(np.append(turn, turn[0] + TWO_PI))
    widest = int(np.argmax(gaps))
    east, west = turn[widest], turn[(widest + 1) % len(turn)] - TWO_PI
    if widest == len(turn) - 1:  # all of them lie to the east of the best position, or to the west
        east, west = (turn[-1], 0.0) if turn[-1] <= TWO_PI - turn[0] else (0.0, turn[0] - TWO_PI)
    return SkyBox(
        float(max(east, 0.0)),
        float(max(-west, 0.0)),
        float(max(dec.max() - declination, 0.0)),
        float(max(declination - dec.min(), 0.0)),
    )


def _holds(pixels: Pixels, z: float) -> bool:
    """Whether the pole at z = 1 or -1 is a corner of a pixel of the region."""
    nside = 2**pixels.order
    # The pole is the north corner of the last pixel of the northern faces, the south corner of the first of the others.
    last_of_face = nside * nside - 1
    face, within = np.divmod(pixels.index, nside * nside)
    return bool(((face < 4) & (within == last_of_face)).any() if z > 0 else ((face >= 8) & (within == 0)).any())


def ellipse_of(pixels: Pixels) -> Ellipse:
    """The ellipse with a region's area and second moments, in the plane that touches the sphere at its middle."""
    ra, dec = pixels.directions
    area = pixels.area
    unit = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    middle = (unit * area[:, None]).sum(axis=0)
    middle = middle / np.linalg.norm(middle) if np.linalg.norm(middle) > 1e-9 else unit[0]
    lon, lat = np.arctan2(middle[1], middle[0]), np.arcsin(np.clip(middle[2], -1.0, 1.0))
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    plane = np.stack([unit @ np.cross(middle, east), unit @ east], axis=1)  # north, east
    # Each pixel is itself as wide as its area: without that one pixel would be a point.
    moments = (plane.T * area) @ plane / area.sum() + np.eye(2) * (area @ area) / (12.0 * area.sum())
    value, axes = np.linalg.eigh(moments)
    ratio = float(np.sqrt(value[1] / value[0]))
    minor = float(np.sqrt(area.sum() / (np.pi * ratio)))
    return Ellipse(
        major=minor * ratio,
        minor=minor,
        position_angle=float(np.arctan2(axes[1, 1], axes[0, 1]) % np.pi),
        right_ascension=float(lon % TWO_PI),
        declination=float(lat),
    )


def outlines(pixels: Pixels) -> Floats:
    """Right ascension and declination of the corners of pixels, (pixel, 4, 2), rad."""
    out = np.empty((len(pixels), 4, 2))
    for order in np.unique(pixels.order):
        mine = pixels.order == order
        x, y, z = np.moveaxis(np.asarray(hp.boundaries(2 ** int(order), pixels.index[mine], step=1, nest=True)), 1, 0)
        out[mine] = np.stack([np.mod(np.arctan2(y, x), TWO_PI), np.arcsin(np.clip(z, -1.0, 1.0))], axis=-1)
    return out


# ---- rings --------------------------------------------------------------------------------------------------------


def rings_of(pixels: Pixels) -> tuple[Floats, ...]:
    """Closed lines around a region, see ``Contour``; edges of pixels, so what they enclose is the region itself."""
    closed = [_unwrapped(line) for line in _lines(pixels)]
    north, south = _holds(pixels, 1.0), _holds(pixels, -1.0)
    if not closed:
        return (_whole_sky(),)
    pole = np.pi / 2 if north and not south else -np.pi / 2
    flat = [_over_pole(line, pole) for line in closed]
    cut = [part for line in flat for part in _cut(line)]
    return (*([_whole_sky()] if north and south else []), *cut)


def borders_of(pixels: Pixels) -> tuple[Floats, ...]:
    """The same lines as ``rings_of`` has, not cut: (vertex, 2), right ascension without jumps, beyond 0 to 2 pi too."""
    return tuple(_unwrapped(line) for line in _lines(pixels))


def _whole_sky() -> Floats:
    half = np.pi / 2
    return np.array([[0.0, -half], [0.0, half], [TWO_PI, half], [TWO_PI, -half], [0.0, -half]])


def _corners(pixels: Pixels) -> tuple[Ints, Floats]:
    """Corners of the pixels, all divided to the finest order: grid numbers (pixel, 4, 3) and unit vectors.

    Counter-clockwise as seen from inside the sphere.
    """
    finest = int(pixels.order.max())
    found = []
    for order in np.unique(pixels.order):
        many = 4 ** (finest - int(order))
        index = pixels.index[pixels.order == order]
        found.append((index[:, None] * many + np.arange(many)).ravel())
    vectors = hp.boundaries(2**finest, np.concatenate(found), step=1, nest=True)
    vectors = np.moveaxis(np.asarray(vectors).reshape(-1, 3, 4), 1, 2)[:, ::-1]  # healpy has them the other way round
    return np.rint(vectors * _GRID).astype(np.int64), vectors


def _lines(pixels: Pixels) -> list[Floats]:
    """Closed lines of unit vectors around a region, (vertex, 3), the first vertex not repeated; region to the left."""
    grid, vectors = _corners(pixels)
    number: dict[Vertex, int] = {}
    corner = np.array([[number.setdefault(tuple(one), len(number)) for one in four] for four in (grid // 4).tolist()])
    place = np.empty((len(number), 3))
    place[corner.ravel()] = vectors.reshape(-1, 3)
    edges = {edge for four in corner.tolist() for edge in pairwise([*four, four[0]])}
    border = sorted(edge for edge in edges if (edge[1], edge[0]) not in edges)
    onward: dict[int, list[int]] = {}
    for begin, end in border:
        onward.setdefault(begin, []).append(end)
    lines = []
    while onward:
        start = next(iter(onward))
        line, at = [start], start
        while (at := _next(onward, line, place)) != start:
            line.append(at)
        lines.append(place[line])
    return lines


def _next(onward: dict[int, list[int]], line: list[int], place: Floats) -> int:
    """The next vertex, taken out of the map; where four pixels meet in a point, the sharpest turn to the left.

    So pixels that only touch with a corner keep a ring each.
    """
    at = line[-1]
    ends = onward[at]
    if len(ends) > 1 and len(line) > 1:
        came, up = place[at] - place[line[-2]], place[at]
        turn = [
            float(np.arctan2(-(np.cross(came, place[end] - place[at]) @ up), came @ (place[end] - place[at])))
            for end in ends
        ]
        chosen = ends.pop(int(np.argmax(turn)))
    else:
        chosen = ends.pop(0)
    if not ends:
        del onward[at]
    return chosen


def _unwrapped(line: Floats) -> Floats:
    """A closed line in right ascension, without jumps, and declination: (vertex + 1, 2), rad."""
    whole = np.vstack([line, line[:1]])
    ra, dec = np.arctan2(whole[:, 1], whole[:, 0]), np.arcsin(np.clip(whole[:, 2], -1.0, 1.0))
    polar = np.hypot(whole[:, 0], whole[:, 1]) < 1e-9  # a pole has any right ascension
    if polar.any():
        ra, dec = _through_pole(ra, dec, polar)
    return np.stack([np.unwrap(ra), dec], axis=1)


def _through_pole(ra: Floats, dec: Floats, polar: Bools) -> tuple[Floats, Floats]:
    """A line through a pole runs along it, from the right ascension before to that after."""
    n = len(ra) - 1
    out: list[tuple[float, float]] = []
    for k in range(n):
        if polar[k]:
            before, after = ra[(k - 1) % n], ra[(k + 1) % n]
            out += [(float(before), float(dec[k])), (float(after), float(dec[k]))]
        else:
            out.append((float(ra[k]), float(dec[k])))
    out.append(out[0])
    right, up = np.array(out).T
    return right, up


def _about_axis(line: Floats) -> bool:
    return bool(abs(line[-1, 0] - line[0, 0]) > np.pi)


def _over_pole(line: Floats, pole: float) -> Floats:
    """A line that goes about the axis is closed along a pole."""
    if not _about_axis(line):
        return line
    return np.vstack([line, [line[-1, 0], pole], [line[0, 0], pole], line[:1]])


def _cut(line: Floats) -> list[Floats]:
    """A closed line cut at right ascension 0: the parts, each within 0 to 2 pi."""
    first, last = (int(np.floor(end / TWO_PI + side)) for end, side in ((line[:, 0].min(), 1e-12),
                                                                        (line[:, 0].max(), -1e-12)))  # fmt: skip
    parts = []
    for turn in range(first, last + 1):
        part = _clipped(_clipped(line[:-1], turn * TWO_PI, 1.0), (turn + 1) * TWO_PI, -1.0)
        if len(part) >= 3:
            part = np.vstack([part, part[:1]]) - [turn * TWO_PI, 0.0]
            parts.append(np.stack([np.clip(part[:, 0], 0.0, TWO_PI), part[:, 1]], axis=1))
    return parts


def _clipped(line: Floats, at: float, side: float) -> Floats:
    """The part of a polygon (vertex, 2), not closed, on one side of a meridian (I. E. Sutherland, G. W. Hodgman)."""
    out: list[Floats] = []
    for begin, end in pairwise([*line, line[0]] if len(line) else []):
        here, there = side * (begin[0] - at), side * (end[0] - at)
        if here >= 0.0:
            out.append(begin)
        if here * there < 0.0:
            out.append(begin + (end - begin) * here / (here - there))
    return np.array(out).reshape(-1, 2)
