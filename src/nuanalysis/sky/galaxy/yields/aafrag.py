"""Neutrinos of nuclear collisions from AAfrag's tables (QGSJET-II-04m), by the package aafragpy.

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
NAMES = {1: "p", 4: "He", 12: "C", 27: "Al", 56: "Fe"}


def cross_section(mass: int, per_nucleon: Floats, neutrino: Floats) -> Floats:
    """dsigma/dE_nu in cm^2 / GeV, (neutrino, primary); see ``Yields``.

    On hydrogen from the table of the nucleus itself, on helium from those of p and He.  Heavier nuclei on helium, and
    energies beyond a table, are taken as ``mass`` protons of the same energy per nucleon: that holds to 3 % for He and
    8 % for Fe where both exist.  Raises InputError for a nucleus without a table, and where aafragpy is not installed.
    """
    if mass not in NAMES:
        raise InputError(f"AAfrag has no nucleus of mass {mass}; expected one of {', '.join(map(str, NAMES))}")
    on_hydrogen = _table(NAMES[mass], "p", mass, per_nucleon, neutrino)
    on_helium = _table(NAMES[mass] if mass <= 4 else "", "He", mass, per_nucleon, neutrino)
    return np.asarray(MB_CM2 * (on_hydrogen + HELIUM_PER_HYDROGEN * on_helium))


def _table(projectile: str, target: str, mass: int, per_nucleon: Floats, neutrino: Floats) -> Floats:
    """In mb / GeV, (neutrino, primary); '' for a projectile that has no table on this target."""
    protons = _protons(target, per_nucleon, neutrino)
    if projectile in ("p", ""):
        return np.asarray(mass * protons).T
    # aafragpy counts the energy of the whole nucleus.
    own = _read(projectile, target, mass * per_nucleon, neutrino)
    return np.where(np.isfinite(own), own, mass * protons).T


def _protons(target: str, energy: Floats, neutrino: Floats) -> Floats:
    """Of protons, in mb / GeV, (primary, neutrino)."""
    own = _read("p", target, energy, neutrino)
    return own if target == "p" else np.where(np.isfinite(own), own, HELIUM_BEYOND * _protons("p", energy, neutrino))


def _read(projectile: str, target: str, energy: Floats, neutrino: Floats) -> Floats:
    """In mb / GeV, (primary, neutrino), at the energy of the nucleus; NaN beyond the table."""
    package = _aafragpy()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = package.get_cross_section("nu_all", f"{projectile}-{target}", energy, neutrino, outside_bounds="nan")
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


YIELDS = Yields(cross_section, "AAfrag: Koldobskiy et al., Phys. Rev. D 104, 123027 (2021)")
