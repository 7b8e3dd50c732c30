"""Where events are generated: the hull of the strings, grown by a margin, and a cylinder around it.

Both are convex and have a flat top and bottom, so a line is in them between two places of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.detector._records import Detector
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Hull:
    """A convex prism: a point is inside where normals . (x, y) <= offsets, and low <= z <= high.

    normals (side, 2), outward unit vectors in the order of their angle.  offsets (side,) m.
    """

    normals: Floats
    offsets: Floats
    low: float
    high: float

    def grown(self, margin: float) -> Hull:
        """The hull with every face moved outward by ``margin`` m; its corners stay sharp."""
        return replace(self, offsets=self.offsets + margin, low=self.low - margin, high=self.high + margin)

    @property
    def corners(self) -> Floats:
        """Corners of its outline, (side, 2), in the order of their angle."""
        n, following = self.normals, np.roll(self.normals, -1, axis=0)
        sides = np.stack([n, following], axis=1)
        return np.asarray(np.linalg.solve(sides, np.stack([self.offsets, np.roll(self.offsets, -1)], 1)[..., None]))[
            ..., 0
        ]

    @property
    def volume(self) -> float:
        """Its volume, m3."""
        return float(_triangles(self)[1].sum() * (self.high - self.low))


def hull(detector: Detector) -> Hull:
    """The convex hull of the strings between the lowest and the highest module."""
    place = detector.position
    if len(np.unique(place[:, :2].round(3), axis=0)) < 3:
        raise InputError(
            f"{detector.name} has fewer than three strings, which enclose nothing; give an array of strings"
        )
    around = scipy.spatial.ConvexHull(place[:, :2])
    sides = around.equations[np.argsort(np.arctan2(around.equations[:, 1], around.equations[:, 0]))]
    _, distinct = np.unique(np.arctan2(sides[:, 1], sides[:, 0]).round(9), return_index=True)
    normals = sides[distinct, :2]
    return Hull(normals, (place[:, :2] @ normals.T).max(axis=0), float(place[:, 2].min()), float(place[:, 2].max()))


def inside(region: Hull, position: Floats) -> Bools:
    """Whether places (..., 3) are within a hull."""
    flat = (position[..., :2] @ region.normals.T <= region.offsets).all(axis=-1)
    return np.asarray(flat & (position[..., 2] >= region.low) & (position[..., 2] <= region.high))


def border_distance(region: Hull, position: Floats) -> Floats:
    """Distance of places (..., 3) from the nearest face of a hull, continued, (...,) m; negative outside.

    Outside of an edge it is less than the distance from the hull.
    """
    sides = (region.offsets - position[..., :2] @ region.normals.T).min(axis=-1)
    ends = np.minimum(position[..., 2] - region.low, region.high - position[..., 2])
    return np.asarray(np.minimum(sides, ends))


def chord(region: Hull, position: Floats, direction: Floats) -> tuple[Floats, Floats]:
    """Places along lines (event,) where they enter and leave a hull, m; the second is smaller where they miss it.

    position, direction (event, 3).
    """
    towards = np.column_stack([direction[:, :2] @ region.normals.T, direction[:, 2], -direction[:, 2]])
    room = np.column_stack(
        [
            region.offsets - position[:, :2] @ region.normals.T,
            region.high - position[:, 2],
            position[:, 2] - region.low,
        ]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        at = room / towards
    enter = np.where(towards < 0.0, at, np.where((towards == 0.0) & (room < 0.0), np.inf, -np.inf)).max(axis=1)
    leave = np.where(towards > 0.0, at, np.inf).min(axis=1)
    return np.asarray(enter), np.asarray(leave)


def _triangles(region: Hull) -> tuple[Floats, Floats]:
    """Corners (side, 3, 2) and areas (side,) of the triangles that fill the outline."""
    corners = region.corners
    one = np.stack([np.broadcast_to(corners.mean(axis=0), corners.shape), corners, np.roll(corners, -1, axis=0)], 1)
    a, b = one[:, 1] - one[:, 0], one[:, 2] - one[:, 0]
    return one, 0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def place_in(region: Hull, u: Floats) -> Floats:
    """Places (event, 3) evenly in a hull, of u (4, event) even in [0, 1)."""
    triangles, areas = _triangles(region)
    shares = np.cumsum(areas) / areas.sum()
    which = np.minimum(np.searchsorted(shares, u[0], side="right"), len(areas) - 1)
    root, across = np.sqrt(u[1]), u[2]
    parts = np.stack([1.0 - root, root * (1.0 - across), root * across])
    flat = np.einsum("ke,ekd->ed", parts, triangles[which])
    return np.column_stack([flat, region.low + u[3] * (region.high - region.low)])


@dataclass(frozen=True, slots=True)
class Cylinder:
    """An upright cylinder about the origin, m: where bundles and muons from outside are made."""

    radius: float = 800.0
    half_height: float = 680.0

    def projected(self, cos_zenith: Floats) -> Floats:
        """Area that is seen from a direction, (event,) m2."""
        sine = np.sqrt(np.maximum(1.0 - cos_zenith**2, 0.0))
        return np.asarray(np.pi * self.radius**2 * np.abs(cos_zenith) + 4.0 * self.radius * self.half_height * sine)


def enter(cylinder: Cylinder, direction: Floats, u: Floats) -> Floats:
    """Places (event, 3) where particles enter, evenly in the area seen along ``direction`` (event, 3).

    u (3, event) even in [0, 1).  From above through the top or the side, from below through the bottom or the side.
    """
    r, up = cylinder.radius, -direction[:, 2]
    flat = np.pi * r**2 * np.abs(up) / cylinder.projected(up)
    ring, turn = r * np.sqrt(u[1]), 2.0 * np.pi * u[2]
    end = np.column_stack([ring * np.cos(turn), ring * np.sin(turn), np.sign(up) * cylinder.half_height])
    sine = np.maximum(np.hypot(direction[:, 0], direction[:, 1]), 1e-300)
    along, aside = direction[:, :2] / sine[:, None], r * (2.0 * u[1] - 1.0)
    back = -np.sqrt(np.maximum(r**2 - aside**2, 0.0))
    side = np.column_stack(
        [
            back * along[:, 0] - aside * along[:, 1],
            back * along[:, 1] + aside * along[:, 0],
            cylinder.half_height * (2.0 * u[2] - 1.0),
        ]
    )
    return np.where((u[0] < flat)[:, None], end, side)


def crossing(cylinder: Cylinder, position: Floats, direction: Floats) -> Floats:
    """Length in the cylinder (event,) m of particles that enter it at ``position`` along ``direction`` (event, 3)."""
    across = direction[:, 0] ** 2 + direction[:, 1] ** 2
    middle = position[:, 0] * direction[:, 0] + position[:, 1] * direction[:, 1]
    room = cylinder.radius**2 - position[:, 0] ** 2 - position[:, 1] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        side = (-middle + np.sqrt(np.maximum(middle**2 + across * room, 0.0))) / across
        up, down = ((cylinder.half_height * s - position[:, 2]) / direction[:, 2] for s in (1.0, -1.0))
        lid = np.where(direction[:, 2] > 0.0, up, np.where(direction[:, 2] < 0.0, down, np.inf))
    return np.asarray(np.minimum(np.where(across > 0.0, side, np.inf), lid))


def slant(position: Floats, cos_zenith: Floats, *, surface: float = 1948.07) -> Floats:
    """Ice between places (event, 3) and the surface towards a zenith, (event,) m; the Earth is a sphere.

    ``surface`` : z of it, m: 1948.07 at IceCube.  Downwards it is the chord through the Earth.
    """
    radius = 6.371e6
    own = radius - (surface - position[:, 2])
    return np.asarray(-own * cos_zenith + np.sqrt(radius**2 - own**2 * (1.0 - cos_zenith**2)))
