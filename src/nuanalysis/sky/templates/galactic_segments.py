"""Segments of the Galactic plane that shine uniformly, as others have cut it: for measurements that follow no model.

A set of segments is fitted together, a norm and an index each (the question ``segments``); one of them alone is a
template like any other.  To add a set: a line in ``SETS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.sky.templates._healpix import uniform
from nuanalysis.sky.templates._recipe import Recipe, built_in, index_parameter
from nuanalysis.sky.templates.galactic_plane_box import inside


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of the plane: |b| < reach, l in one of the intervals (eastwards from the first to the second), deg."""

    name: str
    label: str
    longitudes: tuple[tuple[float, float], ...]
    reach: float


@dataclass(frozen=True, slots=True)
class SegmentSet:
    """Segments that do not overlap and are measured together, and who cut the plane so."""

    segments: tuple[Segment, ...]
    reference: str


SETS: dict[str, SegmentSet] = {
    "icecube-2025": SegmentSet(
        (
            Segment("segment-inner", "|l| < 30°, |b| < 8°", ((-30.0, 30.0),), 8.0),
            Segment("segment-middle", "30° < |l| < 60°, |b| < 8°", ((-60.0, -30.0), (30.0, 60.0)), 8.0),
            Segment("segment-outer", "|l| > 60°, |b| < 8°", ((60.0, 300.0),), 8.0),
        ),
        "IceCube Collaboration, arXiv:2507.08097 (ICRC 2025): the plane cut into segments of longitude",
    ),
    "lhaaso": SegmentSet(
        (
            Segment("lhaaso-inner", "15° < l < 125°, |b| < 5°", ((15.0, 125.0),), 5.0),
            Segment("lhaaso-outer", "125° < l < 235°, |b| < 5°", ((125.0, 235.0),), 5.0),
        ),
        "LHAASO Collaboration, Phys. Rev. Lett. 131, 151001 (2023), arXiv:2305.05372: inner and outer Galactic plane",
    ),
}
SEGMENTS: dict[str, Segment] = {one.name: one for each in SETS.values() for one in each.segments}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The index; bounds are those of the publication."""

    index: float = index_parameter(2.7)


def make(parameters: Parameters, nside: int, *, segment: Segment, reference: str) -> Template:
    """A segment as a template, uniform per sr within its bounds."""

    def depth(longitude: Floats, latitude: Floats) -> Floats:
        each = [inside(longitude, latitude, low, high, segment.reach) for low, high in segment.longitudes]
        return np.asarray(np.max(each, axis=0))

    maps = factorised(uniform(depth, nside))
    return built_in(segment.name, segment.label, maps, PowerLaw(parameters.index), reference)


def _recipe(segment: Segment, reference: str) -> Recipe:
    reference = f"nuanalysis: uniform within the bounds of {reference}"
    summary = f"uniform part of the Galactic plane, {segment.label}"
    return Recipe(segment.name, summary, reference, Parameters, partial(make, segment=segment, reference=reference))


RECIPES: dict[str, Recipe] = {one.name: _recipe(one, each.reference) for each in SETS.values() for one in each.segments}
