"""Spectra printed by others, gamma rays and neutrinos: points of ``flux_points.csv`` and who measured them where.

Typed from papers, from tables that others typed, and from digitised figures, each with its citation; for comparison,
never an input of a fit.  What was not found printed anywhere is not here: LHAASO-WCDA, the points of H.E.S.S. and
Milagro, the ridge of ANTARES.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.interpret.regions import Region, band, region
from nuanalysis.schema import Floats

_COLUMNS = ("energy_TeV", "e_low_TeV", "e_high_TeV", "value", "err_low", "err_high", "err_sys_low", "err_sys_high")


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of a spectrum, (point,) each; NaN where nothing was given.

    energy, lower, upper : TeV, and the ends of the bin.
    value, err_low, err_high : E^2 dN/dE and its statistical errors, positive.    sys_low, sys_high : systematic ones.
    """

    energy: Floats
    lower: Floats
    upper: Floats
    value: Floats
    err_low: Floats
    err_high: Floats
    sys_low: Floats
    sys_high: Floats

    def __len__(self) -> int:
        return len(self.energy)


def _e2(points: Points) -> Points:
    """Points of E^2 dN/dE from points of dN/dE in TeV^-1."""
    square = points.energy**2
    values = (points.value, points.err_low, points.err_high, points.sys_low, points.sys_high)
    return Points(points.energy, points.lower, points.upper, *(square * one for one in values))


@cache
def _table() -> tuple[tuple[str, ...], Floats]:
    text = (files("nuanalysis.interpret") / "flux_points.csv").read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.splitlines()[1:]]
    numbers = [[float(word) if word else math.nan for word in row[1:]] for row in rows]
    return tuple(row[0] for row in rows), np.array(numbers)


def _points(name: str) -> Points:
    names, numbers = _table()
    return Points(*numbers[[one == name for one in names]].T)


@dataclass(frozen=True, slots=True)
class GammaRays:
    """A diffuse gamma-ray spectrum of a region, E^2 dN/dE in TeV cm^-2 s^-1 sr^-1.

    sources : what was done with gamma-ray sources.    kind : how the numbers came here.
    note : what is not confirmed.    above : TeV, points below are not compared.
    """

    name: str
    label: str
    region: Region
    sources: str
    kind: str
    source: str
    read: Callable[[], Points]
    note: str = ""
    above: float = 0.0

    def points(self) -> Points:
        """The points that are compared."""
        every = self.read()
        kept = every.energy >= self.above
        return Points(*(getattr(every, key)[kept] for key in Points.__slots__))


_LHAASO = "LHAASO Collaboration, Phys. Rev. Lett. 131, 151001 (2023), arXiv:2305.05372, table"
_TIBET = "Tibet ASgamma Collaboration, Phys. Rev. Lett. 126, 141101 (2021), arXiv:2104.05181"
_MASKED, _LEFT = "all known sources masked, mean over the rest", "resolved sources not all taken out"
_TYPED, _FIGURE = "typed from the printed table", "read off a figure, a few per cent"
_ERRORS = "errors below the points are not known for the outer region; those above are taken for both"


def _dnde(name: str) -> Callable[[], Points]:
    return lambda: _e2(_points(name))


def _both_ways(name: str) -> Callable[[], Points]:
    """Points whose lower errors were not given: the upper ones stand for them."""

    def read() -> Points:
        found = _e2(_points(name))
        low = np.where(np.isfinite(found.err_low), found.err_low, found.err_high)
        return Points(*(low if key == "err_low" else getattr(found, key) for key in Points.__slots__))

    return read


def _hawc() -> Points:
    """The power law at its pivot; the fit covers 10 to 100 TeV."""
    numbers = (7.0, 10.0, 100.0, 5.45e-12, 2.5e-13, 2.5e-13, 4.4e-13, 3.8e-13)
    return _e2(Points(*(np.array([one]) for one in numbers)))


GAMMA_RAYS: tuple[GammaRays, ...] = (
    GammaRays(
        "fermi-inner", "Fermi-LAT |l| < 80°, |b| < 8°", band("fermi-inner", "|l| < 80°, |b| < 8°", [(-80, 80)], 8),
        _LEFT, _FIGURE, "Fermi-LAT Collaboration, ApJ 750, 3 (2012), figure 17", lambda: _points("fermi-inner-2012"),
        "the bounds of the region are not confirmed; other processes than pi0 count in it, so points below 5 GeV are "
        "left out", 0.005,
    ),
    GammaRays(
        "argo", "ARGO-YBJ 25° < l < 100°, |b| < 5°", region("tibet-inner"), _LEFT, "numbers in a program of others",
        "ARGO-YBJ Collaboration, ApJ 806, 20 (2015)", _dnde("argo-ybj"), "the range of longitudes is not confirmed",
    ),
    GammaRays(
        "hawc", "HAWC 43° < l < 73°, |b| < 4°", band("hawc", "43° < l < 73°, |b| < 4°", [(43, 73)], 4), _LEFT,
        "printed power law, index 2.604", "HAWC Collaboration, PoS(ICRC2021) 835", _hawc,
        "dN/dE at 7 TeV of a fit to 10 to 100 TeV",
    ),
    GammaRays("lhaaso-inner", "LHAASO 15° < l < 125°, |b| < 5°", region("lhaaso-inner"), _MASKED, _TYPED,
              f"{_LHAASO} S2", _dnde("lhaaso-km2a-inner")),
    GammaRays("lhaaso-outer", "LHAASO 125° < l < 235°, |b| < 5°", region("lhaaso-outer"), _MASKED, _TYPED,
              f"{_LHAASO} S3", _dnde("lhaaso-km2a-outer")),
    GammaRays("tibet-inner", "Tibet ASγ 25° < l < 100°, |b| < 5°", region("tibet-inner"), _LEFT, _FIGURE, _TIBET,
              _dnde("tibet-inner")),
    GammaRays("tibet-outer", "Tibet ASγ 50° < l < 200°, |b| < 5°", region("tibet-outer"), _LEFT, _FIGURE, _TIBET,
              _both_ways("tibet-outer"), _ERRORS),
)  # fmt: skip


def gamma_rays(name: str) -> GammaRays:
    """The gamma-ray spectrum of that name.  Raises InputError with the nearest name."""
    known = {one.name: one for one in GAMMA_RAYS}
    if name not in known:
        raise InputError(f"there is no gamma-ray spectrum '{name}'.{did_you_mean(name, known)}")
    return known[name]


@dataclass(frozen=True, slots=True)
class Isotropic:
    """All astrophysical neutrinos, taken as isotropic: E^2 dN/dE per flavour, nu + nubar, TeV cm^-2 s^-1 sr^-1.

    A power law norm (E / 100 TeV)^(2 - index), or the ``points`` of bins in which E^2 dN/dE is constant.
    norm_low, norm_high, index_error : errors, positive; for points the statistical errors stand with them.
    """

    name: str
    label: str
    source: str
    index: float
    index_error: float = 0.0
    norm: float = math.nan
    norm_low: float = math.nan
    norm_high: float = math.nan
    points: str = ""

    def at(self, energy: Floats) -> tuple[Floats, Floats, Floats]:
        """Best value and its errors below and above at energies (energy,) TeV; NaN where bins do not reach."""
        if not self.points:
            shape = (np.asarray(energy) / 100.0) ** (2.0 - self.index)
            return self.norm * shape, self.norm_low * shape, self.norm_high * shape
        bins = _points(self.points)
        k = np.clip(np.searchsorted(bins.lower, energy, side="right") - 1, 0, len(bins) - 1)
        inside = (energy >= bins.lower[k]) & (energy < bins.upper[k])
        best, low, high = (np.where(inside, one[k], np.nan) for one in (bins.value, bins.err_low, bins.err_high))
        return best, low, high


ISOTROPIC: tuple[Isotropic, ...] = (
    Isotropic("cascades-6yr", "IceCube cascades, 6 yr",
              "IceCube Collaboration, Phys. Rev. Lett. 125, 121104 (2020), arXiv:2001.09520, abstract",
              2.53, 0.07, 1.66e-11, 0.27e-11, 0.25e-11),
    Isotropic("segments-2026", "IceCube segments, combined fit",
              "IceCube Collaboration, doi:10.7910/DVN/ZBO52I, arXiv:2507.22234; the unit is inferred",
              2.53, 0.0, points="icecube-combined-2026"),
    Isotropic("baikal", "Baikal-GVD cascades", "Baikal-GVD Collaboration, arXiv:2507.01893, abstract",
              2.64, 0.10, 4.42e-11, 1.29e-11, 2.31e-11),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Strengths:
    """What is known of the strength of a flux, in units of its best fit: ends of 68 %, or a likelihood.

    at, ts : (point,) strengths of 0 and more, and twice the log-likelihood there less that at none; empty without.
    """

    low: float
    high: float
    at: Floats
    ts: Floats

    def draws(self, rng: np.random.Generator, n: int) -> Floats:
        """Strengths as likely as the likelihood says, (n,), 0 and above.

        Without a likelihood: two halves of a Gaussian, each with a half of the draws, so that the best fit is the
        median and the two ends hold 68 %.
        """
        if len(self.at):
            density = np.exp(0.5 * (self.ts - self.ts.max()))
            steps = 0.5 * (density[1:] + density[:-1]) * np.diff(self.at)
            share = np.concatenate([[0.0], np.cumsum(steps)])
            return np.asarray(np.interp(rng.uniform(size=n) * share[-1], share, self.at))
        normal = rng.standard_normal(n)
        width = np.where(normal < 0, 1.0 - self.low, self.high - 1.0)
        return np.asarray(np.maximum(1.0 + normal * width, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Galactic:
    """Neutrinos of the Milky Way: E^2 dN/dE per flavour, nu + nubar, integrated over the sky, TeV cm^-2 s^-1.

    template : where on the sky it comes from.    at : of energy (energy,) TeV, the best fit; NaN where not known.
    strengths : what the fit says of its strength.    origin : of the fitted events, 'real' or 'synthetic'.
    """

    name: str
    label: str
    template: str
    source: str
    at: Callable[[Floats], Floats]
    strengths: Strengths
    origin: str = "real"
    note: str = ""


def _between(low: float, best: float, high: float) -> Strengths:
    return Strengths(low / best, high / best, np.empty(0), np.empty(0))


def _power_law(norm: float, index: float) -> Callable[[Floats], Floats]:
    """E^2 dN/dE of a power law with its value at 100 TeV."""
    return lambda energy: np.asarray(norm * (np.asarray(energy) / 100.0) ** (2.0 - index))


def _line(name: str) -> Callable[[Floats], Floats]:
    """A published line, straight between its points in log-log; NaN beyond them."""

    def at(energy: Floats) -> Floats:
        points = _points(name)
        inside = (energy >= points.energy[0]) & (energy <= points.energy[-1])
        found = np.exp(np.interp(np.log(energy), np.log(points.energy), np.log(points.value)))
        return np.where(inside, found, np.nan)

    return at


BEST_FITS: tuple[Galactic, ...] = (
    Galactic("pi0", "π⁰ best fit", "pi0", f"{SCIENCE_2023}, table 1", _power_law(21.8e-12, 2.7),
             _between(16.9e-12, 21.8e-12, 27.1e-12)),
    Galactic("kra-5", "0.55 × KRAγ 5 PeV", "kra-gamma-like-5", f"{SCIENCE_2023}, figure 5 and table 1",
             _line("icecube-kra5"), _between(0.40, 0.55, 0.73), note="line read off a figure, to 98 TeV"),
    Galactic("kra-50", "0.37 × KRAγ 50 PeV", "kra-gamma-like-50", f"{SCIENCE_2023}, figure 5 and table 1",
             _line("icecube-kra50"), _between(0.26, 0.37, 0.50), note="line read off a figure, to 147 TeV"),
)  # fmt: skip


def best_fit(name: str) -> Galactic:
    """The published fit of that name.  Raises InputError with the nearest name."""
    known = {one.name: one for one in BEST_FITS}
    if name not in known:
        raise InputError(f"there is no published best fit '{name}'.{did_you_mean(name, known)}")
    return known[name]
