"""What is said about a map, in its name, a call, a .toml file and the map file itself, and what it comes to.

Units, energies and flavours as people write them are brought to GeV, cm, s and one flavour.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.errors import InputError, did_you_mean, refuse
from nuanalysis.schema import Floats
from nuanalysis.sky.templates._formats import KEYS, Stored, as_text, sidecar
from nuanalysis.sky.templates._healpix import is_healpix_size
from nuanalysis.sky.templates._recipe import INDEX_RANGE, pairs

PREFIX = "template:"
FRAMES = {
    "equatorial": "equatorial", "icrs": "equatorial", "celestial": "equatorial", "equ": "equatorial",
    "cel": "equatorial", "eq": "equatorial", "c": "equatorial", "q": "equatorial", "galactic": "galactic",
    "gal": "galactic", "g": "galactic", "ecliptic": "ecliptic", "ecl": "ecliptic", "e": "ecliptic",
}  # fmt: skip
ORDERINGS = {"ring": "ring", "nested": "nested", "nest": "nested"}
GEV_PER_TEV = 1e3
RELATIVE = "relative"
RELATIVE_FLUX = "relative dN/dE"
RELATIVE_WEIGHTED = "relative E2 dN/dE"
NORMALISED = "read as relative: the map is normalised"
EXAMPLES = "'GeV-1 cm-2 s-1 sr-1', 'TeV cm-2 s-1 sr-1' (E^2 dN/dE), 'GeV-1 cm-2 s-1 per pixel' or 'relative'"
POINT_EXAMPLES = "'GeV-1 cm-2 s-1', 'TeV cm-2 s-1' (E^2 dN/dE) or 'relative'"
_SLASHES = re.compile(r"1(\s*/\s*[A-Za-z]+\^?\d*)+\s*")
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
FLAVOUR_WORDS = {word: "per-flavour" if factor == 1.0 else "all-flavours" for word, factor in FLAVOURS.items()}
BINS = {"centres": "centres", "centers": "centres", "edges": "edges", "lower edges": "edges"}
SURE = ("ordering", "frame", "flux")
SCALES = (1e-60, 1e60)  # of units, in GeV, cm and s
LONGEST_UNITS = 200  # letters; the parser of units is not made for more
HOW_TO_SAY = (
    "Correct the map; say what is missing as keywords of template, in the name ('template:map.npy?frame=galactic&"
    "ordering=ring&units=GeV-1 cm-2 s-1 sr-1&flavour=all&energy=100TeV&index=2.7'; units=relative where the map has no "
    "absolute scale), in the FITS header (COORDSYS, ORDERING, UNITS, FLAVOUR, ENERGY, INDEX), or in a .toml file of "
    "the same name beside the map."
)
HOW_TO_SAY_OF_AN_ARRAY = (
    "Correct the map; say what is missing as keywords of template, such as frame='galactic', ordering='ring', "
    "units='GeV-1 cm-2 s-1 sr-1' with flavour='all', energy='100TeV' and index=2.7, or units='relative' where the map "
    "has no absolute scale."
)
IN_THE_FILE = "in the file"
WORDS = {"frame": FRAMES, "ordering": ORDERINGS, "flavour": FLAVOUR_WORDS, "bins": BINS}


@dataclass(frozen=True, slots=True)
class MapFile:
    """A map file and what was said about it, in words; '' where nothing was said.

    frame, ordering : 'equatorial' (ICRS), 'galactic' or 'ecliptic' (J2000); 'ring' or 'nested'.
    units           : of the values, dN/dE or E^2 dN/dE, per sr (or 'per pixel'); or 'relative', where there are
        several energies 'relative dN/dE' or 'relative E2 dN/dE'.
    flavour         : 'per-flavour' or 'all-flavours' (1:1:1 at Earth), nu + nubar.
    energy, index   : of a map without an energy axis: where it holds, such as '100TeV', and its power law.
    energies        : a list '1e3,1e4' in ``energies_unit``, or the path of a dataset of an HDF5 file.
    bins            : 'centres' where every map holds at its energy; 'edges' where energies are all edges of the bins,
        or the lower ones.
    map, nside      : the path of the map in an HDF5 file; of a flat table or a list of sources.
    hdu, column     : of a FITS file: the name or number of its table, the name (or names, with commas) of its columns.
    fill            : '0' where pixels that are missing, masked, NaN or UNSEEN do not shine.
    sure            : 'ordering', 'frame', 'flux' or more of them with commas: what is right although it looks wrong.
    """

    path: Path
    frame: str = ""
    ordering: str = ""
    units: str = ""
    flavour: str = ""
    energy: str = ""
    index: str = ""
    energies: str = ""
    energies_unit: str = ""
    bins: str = ""
    map: str = ""
    hdu: str = ""
    column: str = ""
    nside: str = ""
    fill: str = ""
    sure: str = ""


def parse(text: str) -> MapFile:
    """The file named by 'template:FILE?frame=...&units=...'; prefix and query may be absent, + or %20 are blanks.

    A + between the digits of a number, as in 1e+05, is a plus.
    Raises InputError for an unknown or repeated key, an unknown word, or an index that is no number or out of range.
    """
    name, _, query = text.removeprefix(PREFIX).partition("?")
    try:
        found = pairs(query, strict=True) if query else []
    except ValueError as error:
        raise InputError(f"'{text}' cannot be read: {error}; expected FILE?key=value&key=value") from error
    said: dict[str, str] = {}
    for key, value in found:
        if key in said:
            raise InputError(f"'{text}' says '{key}' twice; say it once")
        said[key] = value.strip()
    check_words(said, f"'{text}'")
    if not name:
        raise InputError(f"'{text}' names no file; expected {PREFIX}FILE")
    return MapFile(Path(name), **said)


@dataclass(frozen=True, slots=True)
class Said:
    """What caller, .toml file and map file say, by key: (word, where it was said), and conventions of the format."""

    words: dict[str, tuple[tuple[str, str], ...]]
    conventions: dict[str, str]
    faults: list[str]

    def refuse(self, source: str, remedy: str = "") -> None:
        """Raise InputError with all faults, if there are any."""
        refuse(self.faults, f"{source} cannot be used as a template", remedy or HOW_TO_SAY)

    def with_file(self, stored: Stored) -> Said:
        words = dict(self.words)
        for key, word in stored.stated.items():
            words[key] = (*words.get(key, ()), (word, IN_THE_FILE))
        return Said(words, stored.conventions, self.faults)

    def word(self, key: str) -> str:
        """The first word said, or the convention, or ''."""
        return self.words[key][0][0] if self.words.get(key) else self.conventions.get(key, "")

    @property
    def sure(self) -> frozenset[str]:
        """What is right although it looks wrong."""
        return frozenset(word.strip() for word in self.word("sure").split(","))

    @property
    def n_listed(self) -> int:
        """How many energies are listed; 0 where none are, or the path of a dataset is said."""
        numbers = read_numbers(self.word("energies"))
        return 0 if numbers is None else len(numbers)

    def settle(self, key: str, known: dict[str, str]) -> str:
        """The one meaning that all who speak agree on; '' and a fault where there is none.

        A caller who is sure overrules the file.
        """
        said = heard(self.words.get(key, ()), lambda word: word.strip().lower() in known)
        unknown = [word for word, _ in said if word.strip().lower() not in known]
        self.faults.extend(f"its {key} is said to be '{word}', expected one of {', '.join(known)}" for word in unknown)
        found = {known[word.strip().lower()] for word, _ in said if word.strip().lower() in known}
        if len(found) > 1:
            (one, there), (other, here) = said[-1], said[0]
            if key in self.word("sure") and other.strip().lower() in known:
                return known[other.strip().lower()]
            self.faults.append(
                f"its {key} is '{one}' {there} and '{other}' {here}; they must agree, or say sure={key} to overrule it"
            )
        if not said and key in self.conventions:
            return known[self.conventions[key].lower()]
        if not said:
            self.faults.append(f"its {key} is not stated; expected one of {', '.join(dict.fromkeys(known.values()))}")
        return next(iter(found)) if len(found) == 1 else ""

    def units(self, *, of_sources: bool = False) -> Units | None:
        """The units all agree on; a caller who says 'relative' does not use absolute ones of the file."""
        said = list(dict.fromkeys(self.words.get("units", ())))
        said = heard(said, lambda word: read_units(word, [], of_sources=of_sources) is not None)
        if said and _is_relative(said[0][0]):
            said = [one for one in said if _is_relative(one[0])]
            # Who says of what it is relative says more.
            said = [one for one in said if _relative_to_what(one[0])] or said
        read_out = [read_units(word, self.faults, of_sources=of_sources) for word, _ in said]
        known = [one for one in read_out if one is not None]
        if len(known) > 1 and not all(same_units(known[0], one) for one in known):
            self.faults.append(
                f"its units are '{said[-1][0]}' {said[-1][1]} and '{said[0][0]}' {said[0][1]}; they must agree"
            )
        if not said and "units" in self.conventions:
            return read_units(self.conventions["units"], self.faults)
        if not said:
            self.faults.append(f"its units are not stated; expected such as {EXAMPLES}; a flux needs its flavour too")
        return known[0] if known else None


def heard(said: Sequence[tuple[str, str]], known: Callable[[str], bool]) -> list[tuple[str, str]]:
    """What is said, without words of the file that mean nothing here where somebody else has said it."""
    spoken = [one for one in said if one[1] != IN_THE_FILE and known(one[0])]
    return [one for one in said if not spoken or one[1] != IN_THE_FILE or known(one[0])]


def per_pixel(word: str) -> bool:
    """Whether units are of a sum over a pixel: 'per pixel', or a share of a whole in it."""
    bare, found = PER_PIXEL.subn("", word.strip())
    unit = _unit(bare)
    return bool(found) or (unit is not None and u.pix in unit.bases)


def _is_relative(word: str) -> bool:
    units = read_units(word, [])
    return units is not None and units.relative


def _relative_to_what(word: str) -> bool:
    units = read_units(word, [])
    return units is not None and units.text in (RELATIVE_FLUX, RELATIVE_WEIGHTED)


def check_words(said: dict[str, str], where: str) -> None:
    """Raise InputError for an unknown key or a word that cannot be right."""
    for key in said:
        if key not in KEYS:
            raise InputError(f"{where} says '{key}'.{did_you_mean(key, KEYS)}")
    for key, known in WORDS.items():
        if key in said and said[key].strip().lower() not in known:
            raise InputError(f"{where} says {key}={said[key]}.{did_you_mean(said[key], known)}")
    for word in said.get("sure", "").split(","):
        if word.strip() not in ("", *SURE):
            raise InputError(f"{where} says sure={said['sure']}.{did_you_mean(word, SURE)}")
    if "index" in said:
        read_index(said["index"])
    if said.get("fill", "") not in ("", "0", "0.0"):
        raise InputError(f"{where} says fill={said['fill']}; expected fill=0: what is not there does not shine")


def as_said(value: Any) -> str:
    """A value as one says it: energies in GeV, a frame of astropy by its name."""
    if isinstance(value, u.Quantity):
        if not value.unit.is_equivalent(u.GeV):
            raise InputError(f"an energy is said to be {value!s:.80}; expected such as 100 * u.TeV")
        in_gev = value.to_value(u.GeV)
        return as_text(in_gev) if np.ndim(in_gev) else f"{float(in_gev)!r} GeV"
    name = getattr(value, "name", None)
    return name if isinstance(name, str) and not isinstance(value, u.UnitBase) else as_text(value)


def gathered(file: MapFile, *, beside: bool = True) -> Said:
    """What is said of a map in the call and, with ``beside``, in the .toml file of the same name."""
    words: dict[str, tuple[tuple[str, str], ...]] = {}
    for field in fields(file):
        if field.name != "path" and (word := getattr(file, field.name).strip()):
            words[field.name] = ((word, "in the call"),)
    for key, word in (sidecar(file.path) if beside else {}).items():
        words[key] = (*words.get(key, ()), (word, "in the .toml file"))
    said = Said(words, {}, [])
    check_words({"sure": said.word("sure"), "fill": said.word("fill")}, str(file.path))
    read_nside(said, 0)
    return said


def read_index(value: str) -> float:
    low, high = INDEX_RANGE
    expected = f"between {low:g} and {high:g}, where fits are made"
    try:
        index = float(value)
    except ValueError as error:
        raise InputError(f"the spectral index '{value}' is not a number; expected one {expected}") from error
    if not low <= index <= high:
        raise InputError(f"the spectral index is {index:g}; expected a number {expected}")
    return index


def read_nside(said: Said, default: int) -> int:
    word = said.word("nside")
    if not word:
        return default
    if not (word.isascii() and word.isdigit() and len(word) < 10) or not is_healpix_size(12 * int(word) ** 2):
        raise InputError(f"nside is said to be '{word}'; expected a power of two")
    return int(word)


# ---- units and energies -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Units:
    """What one value of a map is.

    scale    : GeV^-1 cm^-2 s^-1 (dN/dE) or GeV cm^-2 s^-1 (E^2 dN/dE), times sr^-1 or per pixel or source.
    weighted : the values are E^2 dN/dE; for 'relative' alone it is not known, and one map has no need of it.
    per      : 'sr', 'pixel', 'source' or, for a relative map, ''.
    note     : what a person should know of how they were read.
    """

    text: str
    scale: float = 1.0
    weighted: bool = False
    per: str = ""
    note: str = ""

    @property
    def relative(self) -> bool:
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
    unit = _unit(rest)
    if unit is None:
        faults.append(f"its units '{text:.{LONGEST_UNITS}}' cannot be read; expected such as {examples}")
        return None
    if not of_sources and _normalised(unit, per_pixel=per_pixel):
        return Units(RELATIVE, note=f"its units are {words}: {NORMALISED}")
    per = "source" if of_sources else "pixel" if per_pixel else "sr"
    angle = u.sr if per == "sr" else u.dimensionless_unscaled
    for wanted, weighted in ((1 / (u.GeV * u.cm**2 * u.s * angle), False), (u.GeV / (u.cm**2 * u.s * angle), True)):
        if unit.is_equivalent(wanted):
            scale = float(unit.to(wanted))
            if not SCALES[0] <= scale <= SCALES[1]:
                faults.append(f"its units '{text}' are {scale:g} {wanted}; expected such as {examples}")
                return None
            return Units(words, scale, weighted, per)
    hint = " (per pixel? then say 'per pixel')" if per == "sr" and u.sr not in unit.bases else ""
    if u.ph in unit.bases:
        hint = " (they count particles: drop ph)"
    faults.append(f"its units '{text}' are no differential flux{hint}; expected such as {examples}")
    return None


def _normalised(unit: Any, *, per_pixel: int) -> bool:
    """Whether values are shares of a whole, per solid angle or pixel."""
    return any(unit.is_equivalent(one) for one in (1 / u.sr, 1 / u.pix, *([u.dimensionless_unscaled] * per_pixel)))


def _unit(text: str) -> Any:
    """The unit that a text names; None where astropy cannot tell, in whichever way it fails."""
    plain = text.replace("^{", "^").replace("}", "")
    if _SLASHES.fullmatch(plain):  # which astropy reads after any numerator but 1
        plain = f"1 / ({plain[1:].strip(' /').replace('/', ' ')})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of several slashes
        try:
            return u.Unit(plain) if len(plain) <= LONGEST_UNITS else None
        except Exception:  # its parser recurses, divides and takes powers
            return None


def same_units(one: Units, other: Units) -> bool:
    return (one.weighted, one.per) == (other.weighted, other.per) and bool(
        np.isclose(one.scale, other.scale, rtol=1e-9)
    )


def read_energy(text: str, faults: list[str]) -> float:
    """Energy in GeV of a text such as '100TeV' or '1e5 GeV'; 0 and a fault where it is none."""
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Z]+)\s*", text)
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
