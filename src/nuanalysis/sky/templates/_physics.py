"""From values in a file to fluxes: units, flavour, energies and index, with what is wrong about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Floats
from nuanalysis.sky.records import GEV_PIVOT_LOG10
from nuanalysis.sky.templates import _said
from nuanalysis.sky.templates._bounds import ENERGY_RANGE
from nuanalysis.sky.templates._formats import Stored
from nuanalysis.sky.templates._said import Said, Units, energy_unit, read_energy, read_index, read_numbers

DEFAULT_INDEX = 2.7
NODES_PER_DECADE = 6
PIVOT = 10.0**GEV_PIVOT_LOG10
IN_RANGE = f"expected {ENERGY_RANGE[0]:g} to {ENERGY_RANGE[1]:g} GeV: check the unit"


@dataclass(frozen=True, slots=True)
class Physics:
    """How values become fluxes.

    energies : (energy,) GeV; the one energy of a map without an energy axis; empty for a relative map.
    factor   : per flavour.
    """

    units: Units
    flavour: str
    energies: Floats
    index: float

    @property
    def per_value(self) -> Floats:
        """GeV^-1 cm^-2 s^-1 per flavour (times sr^-1, ...) per stored value, (energy,)."""
        one = self.units.scale * _said.FLAVOURS.get(self.flavour, 1.0)
        return one / self.energies**2 if self.units.weighted else np.full(len(self.energies), one)


def physics_of(said: Said, units: Units | None, stored: Stored) -> Physics:
    """Units, flavour, energies and index, with what is wrong about them in ``said.faults``."""
    absolute = units is not None and not units.relative
    flux_meant = absolute or (units is None and bool(said.word("units")))
    flavour = said.settle("flavour", _said.FLAVOUR_WORDS) if flux_meant else ""
    _refuse_unused(said, stored, absolute=flux_meant or units is None)
    units = units or Units(_said.RELATIVE)
    if stored.n_energies > 1:
        if units.text == _said.RELATIVE and said.words.get("units") and not flux_meant:
            said.faults.append(
                f"its units are '{_said.RELATIVE}', but there are {stored.n_energies} energies; say "
                f"units={_said.RELATIVE_FLUX} or units={_said.RELATIVE_WEIGHTED}: what the values are relative to each "
                "other in"
            )
        for key in ("energy", "index"):
            if said.words.get(key):
                said.faults.append(f"{key} is said, but the file has {stored.n_energies} energies; leave it out")
        return Physics(units, flavour, _energies(said, stored), 0.0)
    index = _one_index(said)
    return Physics(units, flavour, _one_energy(said, stored) if absolute else np.empty(0), index)


def _refuse_unused(said: Said, stored: Stored, *, absolute: bool) -> None:
    """Add a fault for each key that a person said and nobody reads; what a file says of itself does no harm."""
    unused = {key: stored.kind for key in ("map", "nside", "hdu", "column") if key not in stored.uses}
    if stored.n_energies == 1:
        own = ("energy",) if len(stored.energies) == 1 else ("energies_unit",)
        unused |= dict.fromkeys(("energies", "bins", *own), "a map at one energy")
    if not absolute:
        keys = ("flavour", "energy", "energies_unit") if stored.n_energies == 1 else ("flavour",)
        unused |= dict.fromkeys(keys, "a relative map")
    add_unused(said, unused)


def add_unused(said: Said, unused: dict[str, str]) -> None:
    said.faults.extend(
        f"{where} it says {key}={word}, which {what} does not use; leave it out"
        for key, what in unused.items()
        for word, where in said.words.get(key, ())
        if where != _said.IN_THE_FILE
    )


def _one_index(said: Said) -> float:
    found = []
    for word, _ in said.words.get("index", ()):
        try:
            found.append(read_index(word))
        except InputError as error:
            said.faults.append(str(error))
    if len(set(found)) > 1:
        said.faults.append(f"its index is said to be {' and '.join(f'{x:g}' for x in found)}; they must agree")
    return found[0] if found else DEFAULT_INDEX


def _one_energy(said: Said, stored: Stored) -> Floats:
    if len(stored.energies) == 1:
        return _bounded(stored.energies * energy_unit(said.word("energies_unit") or "?", said.faults), said)
    if not said.word("energy"):
        said.faults.append("the energy at which its units hold is not stated; say energy=100TeV or what it is")
        return np.ones(1)
    words = [word for word, _ in said.words["energy"]]
    if len({round(np.log10(max(read_energy(word, said.faults), 1e-9)), 6) for word in words}) > 1:
        said.faults.append(f"its energy is said to be {' and '.join(words)}; they must agree")
    return _bounded(np.array([read_energy(said.word("energy"), [])]), said)


def _bounded(energies: Floats, said: Said) -> Floats:
    """One energy, GeV; 1 and a fault where it is none that a flux can be known at."""
    if np.all((energies >= ENERGY_RANGE[0]) & (energies <= ENERGY_RANGE[1])):
        return energies
    if not any("energy is said to be" in fault for fault in said.faults):
        said.faults.append(f"its energy is {energies[0]:.4g} GeV; {IN_RANGE}")
    return np.ones(1)


def _energies(said: Said, stored: Stored) -> Floats:
    """The energies of the maps in GeV, rising and around 100 TeV; empty, with a fault, where they are not."""
    faults = said.faults
    before = len(faults)
    listed = read_numbers(said.word("energies"))
    word = said.word("energies")
    if listed is None and word and "energies" not in stored.uses:
        faults.append(f"its energies are said to be '{word}', which is no list of numbers such as 1e3,1e4,1e5")
        return np.empty(0)
    if listed is not None and len(stored.energies):
        alike = len(listed) == len(stored.energies) and np.allclose(listed, stored.energies, rtol=1e-6)
        faults += [] if alike else ["its energies are said to be others than those in the file; they must agree"]
    energies = stored.energies if listed is None else listed
    if not len(energies):
        faults.append(
            f"it has 2 axes, shape ({stored.n_pixels}, {stored.n_energies}), and its energies are not stated; say "
            f"energies=[...] and energies_unit, or keep one map and say energy and index{_or_one_of(stored)}"
        )
        return np.empty(0)
    if not said.word("energies_unit"):
        faults.append("the unit of its energies is not stated; say energies_unit=GeV or what it is")
    if said.words.get("bins"):
        said.settle("bins", _said.BINS)
    unit = energy_unit(said.word("energies_unit") or "GeV", faults)
    energies = _centres(energies * unit, said, stored.n_energies)
    if len(energies) != stored.n_energies:
        faults.append(
            f"it has {len(energies)} energies for {stored.n_energies} maps; expected as many, or one edge more"
            + _or_one_of(stored)
        )
    elif not (np.all(np.isfinite(energies)) and energies[0] > 0 and np.all(np.diff(energies) > 0)):
        faults.append(
            "its energies do not rise; expected positive energies, each above the last: sort maps and energies"
        )
    elif not (ENERGY_RANGE[0] <= energies[0] and energies[-1] <= ENERGY_RANGE[1]):
        faults.append(f"its energies run from {energies[0]:.4g} to {energies[-1]:.4g} GeV; {IN_RANGE}")
    elif not energies[0] <= PIVOT * (1 + 1e-6) or not energies[-1] >= PIVOT * (1 - 1e-6):
        faults.append(
            f"its energies run from {energies[0]:.4g} to {energies[-1]:.4g} GeV; expected a range that holds 100 TeV: "
            "extend the table, check the unit, or keep one map and say energy and index"
        )
    return energies if len(faults) == before else np.empty(0)


def _or_one_of(stored: Stored) -> str:
    """The way out where columns may be no energies at all."""
    names = ", ".join(stored.columns[:8]) + (", ..." if len(stored.columns) > 8 else "")
    return f"; or column=NAME for one of its columns ({names})" if names else ""


def _centres(energies: Floats, said: Said, n_maps: int) -> Floats:
    """Geometric centres where the energies are edges of bins: all of them, or all lower ones of equal bins."""
    lower = len(energies) == n_maps and len(energies) > 1 and _said.BINS.get(said.word("bins").lower()) == "edges"
    if not lower and len(energies) != n_maps + 1:
        return energies
    edges = np.append(energies, energies[-1] ** 2 / energies[-2]) if lower else energies
    return np.asarray(np.sqrt(edges[1:] * edges[:-1]))


def thin(log10_energy: Floats) -> tuple[Floats, Floats]:
    """Nodes of the maps of a file with more than six energies per decade, and what every energy gives to each of them.

    Between two nodes the weight of a node falls linearly in log10 E, as in ``Template``; a node's map is the mean of
    the maps of all energies with this weight times the number of neutrinos of their energy bin.  So the number of
    neutrinos of every pixel is the same before and after, and the spectrum keeps all energies.
    log10_energy : (energy,) rising.
    Returns log10 of the nodes' energies (node,): energies of the file, the first and the last among them, none closer
    than a sixth of a decade unless there is no other choice; and weights (node, energy) for dN/dE, the identity where
    no energy is left out.
    """
    least = 1.0 / NODES_PER_DECADE - 1e-6
    if np.all(np.diff(log10_energy) >= least):
        return log10_energy, np.eye(len(log10_energy))
    kept = [0]
    for number, x in enumerate(log10_energy):
        if x - log10_energy[kept[-1]] >= least:
            kept.append(number)
    last = len(log10_energy) - 1
    if kept[-1] != last:
        kept = [*(kept[:-1] if len(kept) > 1 else kept), last]
    nodes = log10_energy[kept]
    hats = np.array([np.interp(log10_energy, nodes, row) for row in np.eye(len(nodes))])
    # dN = E dN/dE dlnE: the widths of the trapezoidal rule in log10 E, times E.
    gaps = np.diff(log10_energy)
    widths = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    return nodes, hats * widths * 10.0 ** (log10_energy - log10_energy[0])
