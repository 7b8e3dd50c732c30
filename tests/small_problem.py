"""A small analysis shared by the tests: part of the synthetic twin, livetime scaled with the number of events."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import xarray as xr

from nuanalysis import simulate
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood.statistics import PUBLISHED
from nuanalysis.model import Binning, Hypothesis, Sample
from nuanalysis.model._place import Seen
from nuanalysis.response import cascades_2023
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw, Template
from nuanalysis.sky.templates import BUILT_IN
from nuanalysis.sky.templates._recipe import parse_recipe

BINNING = Binning(np.linspace(-1, 1, 20), np.linspace(np.log10(500.0), 8.001, 20), float(np.radians(5.0)), min_count=3)
EVERYWHERE = (-np.pi / 2, np.pi / 2)
ALL_ENERGIES = (0.0, 10.0)
SOURCES = (
    PointSource("south", 4.3, -0.7),
    PointSource("plane", 4.9, -0.2, 0.05),
    PointSource("north", 1.46, 0.38),
)


@lru_cache
def twin(seed: int = 1) -> xr.Dataset:
    """The synthetic twin without signal."""
    return simulate.cascades(seed, None, 0.0, spectrum=PowerLaw(2.7))


@lru_cache
def plane() -> Template:
    """The built-in template at low resolution."""
    return parse_recipe("pi0-like?nside=32", BUILT_IN).make()


def catalogue(sources=SOURCES, weights=None) -> Catalogue:
    return Catalogue("three", "three sources", tuple(sources), weights or (1.0,) * len(sources), "by hand")


def template_hypothesis(index: float = 2.7) -> Hypothesis:
    return Hypothesis("template:test", plane(), index, False)


def stack_hypothesis(*, free: bool, sources=SOURCES, index: float = 2.7) -> Hypothesis:
    return Hypothesis("stack:test", catalogue(sources), index, free)


def take(events: xr.Dataset, chosen) -> xr.Dataset:
    """The chosen events, with all of the livetime."""
    return events.isel(event=np.sort(np.asarray(chosen)))


def sample(
    n: int = 3000, *, seed: int = 5, name: str = "small", nside: int = 32, energy=ALL_ENERGIES, declination=EVERYWHERE
) -> Sample:
    """n random events of the twin, then the user's cuts."""
    events = twin()
    total = events.sizes["event"]
    part = take(events, np.random.default_rng(seed).permutation(total)[:n])
    part = part.assign_attrs(livetime_s=events.attrs["livetime_s"] * n / total)
    kept = Sample(name, name, part, cascades_2023.response(), BINNING, nside, PUBLISHED, energy, declination)
    passed = np.flatnonzero(kept.passes(kept.array("declination"), kept.array("log10_energy")))
    return Sample(name, name, take(part, passed), kept.response, BINNING, nside, PUBLISHED, energy, declination)


def whole(*seasons: Sample) -> Samples:
    """Seasons as the sample that a user opens."""
    return Samples("small", "a small sample", seasons, seed=1)


def seen_alike(declination, error) -> Seen:
    """Events of which the class of energy does not matter, for a space that has one; (event,) rad."""
    return Seen(declination, error, np.zeros(len(declination), dtype=np.int64))
