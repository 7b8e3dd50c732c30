"""Units, energies and flavours as people write them, brought to GeV, cm, s and one flavour."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.errors import did_you_mean
from nuanalysis.schema import Floats

GEV_PER_TEV = 1e3
RELATIVE = "relative"
RELATIVE_FLUX = "relative dN/dE"
RELATIVE_WEIGHTED = "relative E2 dN/dE"
EXAMPLES = "'GeV-1 cm-2 s-1 sr-1', 'TeV cm-2 s-1 sr-1' (E^2 dN/dE), 'GeV-1 cm-2 s-1 per pixel' or 'relative'"
POINT_EXAMPLES = "'GeV-1 cm-2 s-1', 'TeV cm-2 s-1' (E^2 dN/dE) or 'relative'"
PER_PIXEL = re.compile(r"\s*(?:/|\bper)\s*pix(?:el)?\s*$", re.IGNORECASE)
FLAVOURS = {
    "per-flavour": 1.0, "per-flavor": 1.0, "per flavour": 1.0, "per flavor": 1.0, "each": 1.0,
    "all-flavours": 1 / 3, "all-flavors": 1 / 3, "all-flavour": 1 / 3, "all-flavor": 1 / 3, "all flavours": 1 / 3,
    "all flavors": 1 / 3, "all": 1 / 3,
}  # fmt: skip
ENERGY_UNITS = {
    "eV": 1e-9, "keV": 1e-6, "MeV": 1e-3, "GeV": 1.0, "TeV": GEV_PER_TEV, "PeV": 1e6, "EeV": 1e9,
    "J": 1.0 / 1.602176634e-10,  # exact by the definition of the eV (SI brochure, 9th edition)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Units:
    """What one value of a map is.

    scale    : GeV^-1 cm^-2 s^-1 (dN/dE) or GeV cm^-2 s^-1 (E^2 dN/dE), times sr^-1 or per pixel or source.
    weighted : the values are E^2 dN/dE; for 'relative' alone it is not known, and one map has no need of it.
    per      : 'sr', 'pixel', 'source' or, for a relative map, ''.
    """

    text: str
    scale: float = 1.0
    weighted: bool = False
    per: str = ""

    @property
    def relative(self) -> bool:
        """Whether the map has no absolute scale."""
        return self.per == ""


def read_units(text: str, faults: list[str], *, of_sources: bool = False) -> Units | None:
    """The units that a text names, or a fault that says what was expected.

    of_sources : values are fluxes of sources, which have no sr^-1.
    """
    words = text.strip()
    relative = {one.lower().replace(" ", ""): one for one in (RELATIVE, RELATIVE_FLUX, RELATIVE_WEIGHTED)}
    if (named := relative.get(words.lower().replace(" ", "").replace("^", ""))) is not None:
        return Units(named, weighted=named == RELATIVE_WEIGHTED)
    examples = POINT_EXAMPLES if of_sources else EXAMPLES
    rest, per_pixel = PER_PIXEL.subn("", words)
    try:
        unit = u.Unit(rest)
    except (ValueError, TypeError):
        faults.append(f"its units '{text}' cannot be read; expected such as {examples}")
        return None
    per = "source" if of_sources else "pixel" if per_pixel else "sr"
    angle = u.sr if per == "sr" else u.dimensionless_unscaled
    for wanted, weighted in ((1 / (u.GeV * u.cm**2 * u.s * angle), False), (u.GeV / (u.cm**2 * u.s * angle), True)):
        if unit.is_equivalent(wanted):
            return Units(words, float(unit.to(wanted)), weighted, per)
    hint = " (per pixel? then say 'per pixel')" if per == "sr" and u.sr not in unit.bases else ""
    if u.ph in unit.bases:
        hint = " (they count particles: drop ph)"
    faults.append(f"its units '{text}' are no differential flux{hint}; expected such as {examples}")
    return None


def same_units(one: Units, other: Units) -> bool:
    """Whether two statements of units mean the same."""
    return (one.weighted, one.per) == (other.weighted, other.per) and bool(
        np.isclose(one.scale, other.scale, rtol=1e-9)
    )


def read_energy(text: str, faults: list[str]) -> float:
    """Energy in GeV of a text such as '100TeV' or '1e5 GeV'; 0 and a fault where it is none."""
    match = re.fullmatch(r"\s*([-+0-9.eE]+)\s*([a-zA-Z]+)\s*", text)
    try:
        number, unit = (float(match[1]), ENERGY_UNITS[match[2]]) if match else (np.nan, 1.0)
    except (ValueError, KeyError):
        number, unit = np.nan, 1.0
    if not (np.isfinite(number) and number > 0):
        faults.append(f"its energy is said to be '{text}'; expected a number and a unit, such as 100TeV or 1GeV")
        return 0.0
    return number * unit


def read_numbers(text: str) -> Floats | None:
    """The numbers of a list '1e3,1e4,1e5' or '[1e3, 1e4]', or None where the text is no such list."""
    try:
        return np.array([float(word) for word in text.strip().strip("[]()").split(",")])
    except ValueError:
        return None


def energy_unit(text: str, faults: list[str]) -> float:
    """GeV per unit of energy; 1 and a fault where it is none."""
    if text in ENERGY_UNITS:
        return ENERGY_UNITS[text]
    faults.append(f"the unit of its energies is said to be '{text}'.{did_you_mean(text, ENERGY_UNITS)}")
    return 1.0
