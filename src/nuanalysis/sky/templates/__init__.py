"""Maps of diffuse emission, one file per template.

To add one: write the file, add a line to ``PUBLISHED`` (made from a fetched file) or ``BUILT_IN`` (made from formulas).
A user's own map needs no line: ``read_template`` of a file, ``read_array``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import (
    fermi_bubbles,
    galactic_plane_box,
    galactic_segments,
    isotropic,
    kra_gamma_like,
    pi0_like,
    pi0_published,
)
from nuanalysis.sky.templates._file import (
    Understood,
    read,
    read_array,
    read_template,
    understood,
)
from nuanalysis.sky.templates._fits import NODE_COLUMN
from nuanalysis.sky.templates._formats import sidecar
from nuanalysis.sky.templates._healpix import to_equatorial, to_galactic
from nuanalysis.sky.templates._in_numbers import brightest, local_index
from nuanalysis.sky.templates._recipe import INDEX_RANGE, Built, Recipe, index_parameter, parameter, parse_recipe
from nuanalysis.sky.templates._said import GEV_PER_TEV, PREFIX, RELATIVE, RELATIVE_FLUX, MapFile, parse
from nuanalysis.sky.templates._suspicion import flux_doubt
from nuanalysis.sky.templates.galactic_segments import SEGMENTS, Segment, SegmentSet
from nuanalysis.sky.templates.galactic_segments import SETS as SEGMENT_SETS

PUBLISHED: dict[str, Callable[[Path], Template]] = {"pi0": pi0_published.read_template}
BUILT_IN: dict[str, Recipe] = {
    "pi0-like": pi0_like.RECIPE,
    "kra-gamma-like-5": kra_gamma_like.RECIPE_5,
    "kra-gamma-like-50": kra_gamma_like.RECIPE_50,
    "fermi-bubbles": fermi_bubbles.RECIPE,
    "isotropic": isotropic.RECIPE,
    "galactic-plane-box": galactic_plane_box.RECIPE,
    **galactic_segments.RECIPES,
}
STAND_IN: dict[str, str] = {"pi0": "pi0-like"}
