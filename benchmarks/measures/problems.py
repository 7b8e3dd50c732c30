"""What is measured: samples of several sizes and hypotheses of several kinds, made by the package itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import healpy as hp
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples import SampleSpec
from nuanalysis.library.template_files import fits_bytes
from nuanalysis.library.templates import open_template
from nuanalysis.model import Hypothesis, Sample
from nuanalysis.sky.records import Catalogue, PointSource

Floats = NDArray[np.float64]
POSITION = (266.4, -29.0)  # deg, near the Galactic centre
LARGE = 19  # copies of the synthetic sample that make 1.13 million events
_JITTER = np.radians(1.0)


def cascades(statistic: str = "published") -> tuple[Sample, ...]:
    """The synthetic cascade sample without signal, 59,592 events, to be analysed with a statistic."""
    return samples.load(SampleSpec(name="cascades-2023", signal="none", statistic=statistic), seed=1).seasons


def tracks() -> tuple[Sample, ...]:
    """The three seasons of real tracks.  Raises DataError where they are not here."""
    return samples.load(SampleSpec(name="tracks", signal="none"), seed=1).seasons


def template() -> Hypothesis:
    """The built-in map of the Milky Way, index fixed."""
    return read_hypothesis("template:pi0-like")


def changing_template() -> Hypothesis:
    """A built-in template whose morphology changes with energy, with its own spectrum."""
    return read_hypothesis("template:kra-gamma-like-5")


def map_file(folder: Path) -> Path:
    """The built-in map of the Milky Way as the FITS file of a user, nside 128."""
    path = folder / "mymap.fits"
    path.write_bytes(fits_bytes(open_template("pi0-like")))
    return path


def cube_file(folder: Path) -> Path:
    """A model as a theorist sends it: absolute dN/dE at many energies, nside 64."""
    path = folder / "mycube.fits"
    path.write_bytes(fits_bytes(open_template("kra-gamma-like-5?nside=64")))
    return path


def supernova_remnants() -> Hypothesis:
    """The published stack of twelve supernova remnants, index free."""
    return read_hypothesis("stack:snr")


def three_free() -> tuple[Hypothesis, Hypothesis, Hypothesis]:
    """The map of the Milky Way and two published stacks of twelve, every index free."""
    return (
        read_hypothesis("template:pi0-like", index=2.7, index_free=True),
        supernova_remnants(),
        read_hypothesis("stack:pwn"),
    )


def point(*, index_free: bool) -> Hypothesis:
    """One source near the Galactic centre."""
    ra, dec = POSITION
    return read_hypothesis(f"point:{ra:g},{dec:g}", index_free=index_free)


def plane_sources(n: int) -> Hypothesis:
    """A stack of n equal sources at random along the Galactic plane, 2 deg about it, index free."""
    rng = np.random.default_rng(n)
    longitude, latitude = rng.uniform(0.0, 360.0, n), rng.normal(0.0, 2.0, n)
    ra, dec = (np.atleast_1d(a) for a in hp.Rotator(coord=["G", "C"])(longitude, latitude, lonlat=True))
    sources = tuple(
        PointSource(f"{k}", float(a), float(d))
        for k, (a, d) in enumerate(zip(np.radians(ra % 360.0), np.radians(dec), strict=True))
    )
    label = f"{n} sources along the plane"
    catalogue = Catalogue(f"plane-{n}", label, sources, (1.0,) * n, "drawn at random for the benchmarks")
    return Hypothesis(f"stack:plane-{n}", catalogue, 2.7, True)


def copies(sample: Sample, n: int) -> Sample:
    """The sample n times over; right ascension is drawn anew and declination moved by 1 deg, so that no two agree."""
    rng = np.random.default_rng(n)
    size = sample.events.sizes["event"]
    events = sample.events.isel(event=np.tile(np.arange(size), n))
    moved = events["declination"].values + rng.uniform(-_JITTER, _JITTER, n * size)
    return _with(sample, events, rng.uniform(0.0, 2 * np.pi, n * size), np.clip(moved, -np.pi / 2, np.pi / 2), n)


def part(sample: Sample, divisor: int) -> Sample:
    """One event in ``divisor`` of the sample."""
    events = sample.events.isel(event=slice(None, None, divisor))
    columns = events["right_ascension"].values, events["declination"].values
    return _with(sample, events, *columns, 1.0 / divisor)


def _with(sample: Sample, events: xr.Dataset, ra: Floats, dec: Floats, exposure: float) -> Sample:
    """The sample with other events, livetime in proportion."""
    moved = events.copy()
    for name, value in (("right_ascension", ra), ("declination", dec)):
        moved[name] = events[name].copy(data=value)
    moved = moved.assign_attrs(livetime_s=sample.livetime * exposure)
    return replace(sample, events=moved)
