"""Neutrinos and gamma rays of nuclear collisions from AAfrag's tables (QGSJET-II-04m), by the package aafragpy.

Koldobskiy, Kachelriess, Lskavyan, Neronov, Ostapchenko & Semikoz, Phys. Rev. D 104, 123027 (2021).  An optional extra:
imported when asked for.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.yields._yield import HELIUM_PER_HYDROGEN, MB_CM2, Yields

# A proton on helium against one on hydrogen beyond the table of the former (2.5e9 GeV): as there for neutrinos of 1 %
# of its energy and more, the only ones that matter so high.
HELIUM_BEYOND = 2.5
NEUTRINOS, GAMMA_RAYS = "nu_all", "gam"  # as aafragpy calls them
NAMES = {1: "p", 4: "He", 12: "C", 27: "Al", 56: "Fe"}


def cross_section(mass: int, per_nucleon: Floats, neutrino: Floats) -> Floats:
    """dsigma/dE_nu in cm^2 / GeV, (neutrino, primary); see ``Yields``.

    On hydrogen from the table of the nucleus itself, on helium from those of p and He.  Heavier nuclei on helium, and
    energies beyond a table, are taken as ``mass`` protons of the same energy per nucleon: that holds to 3 % for He and
    8 % for Fe where both exist.  Raises InputError for a nucleus without a table, and where aafragpy is not installed.
    """
    return _of(NEUTRINOS, mass, per_nucleon, neutrino)


def gamma_rays(mass: int, per_nucleon: Floats, energy: Floats) -> Floats:
    """dsigma/dE_gamma in cm^2 / GeV, (gamma ray, primary); as ``cross_section``."""
    return _of(GAMMA_RAYS, mass, per_nucleon, energy)


def _of(product: str, mass: int, per_nucleon: Floats, energy: Floats) -> Floats:
    if mass not in NAMES:
        raise InputError(f"AAfrag has no nucleus of mass {mass}; expected one of {', '.join(map(str, NAMES))}")
    on_hydrogen = _table(product, NAMES[mass], "p", mass, per_nucleon, energy)
    on_helium = _table(product, NAMES[mass] if mass <= 4 else "", "He", mass, per_nucleon, energy)
    return np.asarray(MB_CM2 * (on_hydrogen + HELIUM_PER_HYDROGEN * on_helium))


def _table(product: str, projectile: str, target: str, mass: int, per_nucleon: Floats, energy: Floats) -> Floats:
    """In mb / GeV, (product, primary); '' for a projectile that has no table on this target."""
    protons = _protons(product, target, per_nucleon, energy)
    if projectile in ("p", ""):
        return np.asarray(mass * protons).T
    # aafragpy counts the energy of the whole nucleus.
    own = _read(product, f"{projectile}-{target}", mass * per_nucleon, energy)
    return np.where(np.isfinite(own), own, mass * protons).T


def _protons(product: str, target: str, primary: Floats, energy: Floats) -> Floats:
    """Of protons, in mb / GeV, (primary, product)."""
    own = _read(product, f"p-{target}", primary, energy)
    if target == "p":
        return own
    return np.where(np.isfinite(own), own, HELIUM_BEYOND * _protons(product, "p", primary, energy))


def _read(product: str, collision: str, primary: Floats, energy: Floats) -> Floats:
    """In mb / GeV, (primary, product), at the energy of the nucleus; NaN beyond the table."""
    package = _aafragpy()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = package.get_cross_section(product, collision, primary, energy, outside_bounds="nan")
    return np.asarray(found[0])


def _aafragpy() -> ModuleType:
    """The package.  Importing it edits the list of warning filters and the search path: both are put back."""
    path = list(sys.path)
    with warnings.catch_warnings():
        try:
            return importlib.import_module("aafragpy")
        except ImportError as error:
            raise InputError(
                "the yields 'aafrag' need the package aafragpy, which is not installed; run 'pip install "
                "nuanalysis[aafrag]', or ask for the yields 'kelner'"
            ) from error
        finally:
            sys.path[:] = path


YIELDS = Yields(cross_section, gamma_rays, "AAfrag: Koldobskiy et al., Phys. Rev. D 104, 123027 (2021)")
