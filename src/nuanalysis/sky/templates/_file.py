"""A theorist's own model as a template: a map, maps at many energies, or a list of sources, with its units and frame.

Nothing is guessed: what the file does not state has to be said, and everything that is missing, wrong or looks wrong
comes in one message, with the remedy.  Inside, fluxes are per flavour (nu + nubar) and maps equatorial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import units as u
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.sky.records import GEV_PIVOT_LOG10, PowerLaw, TabulatedSpectrum, Template, factorised
from nuanalysis.sky.templates import _points
from nuanalysis.sky.templates._cube import Summed, sum_up, thin
from nuanalysis.sky.templates._formats import (
    FITS_ENDINGS,
    KEYS,
    POINT_ENDINGS,
    Hints,
    Stored,
    as_text,
    opened,
    sidecar,
)
from nuanalysis.sky.templates._healpix import (
    Floats,
    as_ring,
    fault,
    is_healpix_size,
    normalised,
    refuse,
    sources,
    turned,
)
from nuanalysis.sky.templates._recipe import INDEX_RANGE, pairs
from nuanalysis.sky.templates._summary import brightest, local_index
from nuanalysis.sky.templates._suspicion import LARGEST_NSIDE, frame_doubt, ordering_doubt
from nuanalysis.sky.templates._units import (
    EXAMPLES,
    FLAVOURS,
    GEV_PER_TEV,
    RELATIVE,
    RELATIVE_FLUX,
    RELATIVE_WEIGHTED,
    Units,
    energy_unit,
    read_energy,
    read_numbers,
    read_units,
    same_units,
)

PREFIX = "template:"
DEFAULT_INDEX = 2.7
DEFAULT_NSIDE = 128  # of a list of sources
FINEST_NSIDE = 512  # finer maps are averaged down; its pixels, 0.11 deg, are finer than any event is measured
SAME = 1e-6  # of the brightest pixel: maps that differ by less are one map
PIVOT = 10.0**GEV_PIVOT_LOG10
FRAMES = {
    "equatorial": "equatorial", "icrs": "equatorial", "celestial": "equatorial", "equ": "equatorial",
    "cel": "equatorial", "eq": "equatorial", "c": "equatorial", "q": "equatorial", "galactic": "galactic",
    "gal": "galactic", "g": "galactic", "ecliptic": "ecliptic", "ecl": "ecliptic", "e": "ecliptic",
}  # fmt: skip
ORDERINGS = {"ring": "ring", "nested": "nested", "nest": "nested"}
FLAVOUR_WORDS = {word: "per-flavour" if factor == 1.0 else "all-flavours" for word, factor in FLAVOURS.items()}
BINS = {"centres": "centres", "centers": "centres", "edges": "edges"}
SURE = ("ordering", "frame")
IN_THE_FILE = "in the file"
WORDS = {"frame": FRAMES, "ordering": ORDERINGS, "flavour": FLAVOUR_WORDS, "bins": BINS}
HOW_TO_SAY = (
    "Correct the map; say what is missing as keywords of read_template, in the name ('template:map.npy?frame=galactic&"
    "ordering=ring&units=GeV-1 cm-2 s-1 sr-1&flavour=all&energy=100TeV&index=2.7'; units=relative where the map has no "
    "absolute scale), in the FITS header (COORDSYS, ORDERING, UNITS, FLAVOUR, ENERGY, INDEX), or in a .toml file of "
    "the same name beside the map."
)


@dataclass(frozen=True, slots=True)
class MapFile:
    """A map file and what was said about it, in words; '' where nothing was said.

    frame, ordering : 'equatorial' (ICRS), 'galactic' or 'ecliptic' (J2000); 'ring' or 'nested'.
    units           : of the values, dN/dE or E^2 dN/dE, per sr (or 'per pixel'); or 'relative', where there are
        several energies 'relative dN/dE' or 'relative E2 dN/dE'.
    flavour         : 'per-flavour' or 'all-flavours' (1:1:1 at Earth), nu + nubar.
    energy, index   : of a map without an energy axis: where it holds, such as '100TeV', and its power law.
    energies        : a list '1e3,1e4' in ``energies_unit``, or the path of a dataset of an HDF5 file.
    bins            : 'centres', or 'edges' where energies are the lower (or all) edges of bins.
    map, nside      : the path of the map in an HDF5 file; of a flat table or a list of sources.
    sure            : 'ordering', 'frame' or both with a comma: what is right although it looks wrong.
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
    nside: str = ""
    sure: str = ""


@dataclass(frozen=True, slots=True)
class Understood:
    """What was made of a map file, for a person to check.

    energies  : number of energies in the file, lowest and highest in GeV; (1, E, E) for a map at one energy E, (0, 0,
        0) for a relative map.
    integral  : over the sky, in the file's own unit times sr (or summed over pixels or sources), at 100 TeV or at the
        one energy.
    index     : of the spectrum at 100 TeV: -dlog(dN/dE)/dlog(E); NaN where there is no flux around it.
    brightest : Galactic longitude in [-180, 180) and latitude of the brightest pixel at 100 TeV, deg.
    """

    format: str
    frame: str
    ordering: str
    units: str
    flavour: str
    energies: tuple[int, float, float]
    nside: int
    integral: float
    index: float
    brightest: tuple[float, float]
    notes: tuple[str, ...]


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
    _check_words(said, f"'{text}'")
    if not name:
        raise InputError(f"'{text}' names no file; expected {PREFIX}FILE")
    return MapFile(Path(name), **said)


def read(file: MapFile) -> Template:
    """The template of a parsed file reference; see ``read_template``."""
    return understood(file)[0]


def read_template(path: str | Path, **said: str | float | Iterable[float] | u.Quantity) -> Template:
    """A template from a user's own map, maps at many energies, or list of sources.

    path : HEALPix .fits, .fit (also .gz), .npy (also .gz), .h5, .hdf5, or a list of sources in .csv or .ecsv.
    said : what the file does not state, by the names of the fields of ``MapFile``; numbers, lists of numbers and
        astropy quantities of energy will do where they make sense.
    The maps are scaled to integrate to one and turned to equatorial pixel by pixel, keeping their resolution up to
    nside 512; finer ones are averaged down to it.  A map without an energy axis has a power law of ``index`` (default
    2.7), maps at many energies the spectrum of their sum; maps that are the same at all energies become one.
    Name: the file's stem; sha256: of the file's bytes.
    Raises InputError that lists all faults.
    """
    words = {key: _said(value).strip() for key, value in said.items()}
    if isinstance(said.get("energies"), u.Quantity):
        words["energies_unit"] = "GeV"
    _check_words(words, f"the call for {path}")
    return read(MapFile(Path(path), **words))


def understood(file: MapFile) -> tuple[Template, Understood]:
    """The template of a map file and what was understood; raises as ``read_template``."""
    name = file.path.name.lower()
    said = _gathered(file)
    if name.endswith(POINT_ENDINGS):
        return _from_points(file, said)
    numbers = read_numbers(said.word("energies"))
    hints = Hints(
        said.word("map"),
        "" if numbers is not None else said.word("energies"),
        _nside(said, 0),
        0 if numbers is None else len(numbers),
    )
    with opened(file.path, hints) as stored:
        return _from_maps(file, said.with_file(stored), stored)


# --- what was said -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """What caller, .toml file and map file say, by key: (word, where it was said), and conventions of the format."""

    words: dict[str, tuple[tuple[str, str], ...]]
    conventions: dict[str, str]
    faults: list[str]

    def with_file(self, stored: Stored) -> _Said:
        words = dict(self.words)
        for key, word in stored.stated.items():
            words[key] = (*words.get(key, ()), (word, IN_THE_FILE))
        return _Said(words, stored.conventions, self.faults)

    def word(self, key: str) -> str:
        """The first word said, or the convention, or ''."""
        return self.words[key][0][0] if self.words.get(key) else self.conventions.get(key, "")

    def settle(self, key: str, known: dict[str, str]) -> str:
        """The one meaning that all who speak agree on; '' and a fault where there is none.

        A caller who is sure overrules the file.
        """
        said = self.words.get(key, ())
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
        if said and _is_relative(said[0][0]):
            said = [one for one in said if _is_relative(one[0])]
            # Who says of what it is relative says more.
            said = [one for one in said if one[0].strip().lower() != RELATIVE] or said
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


def _is_relative(word: str) -> bool:
    units = read_units(word, [])
    return units is not None and units.relative


def _check_words(said: dict[str, str], where: str) -> None:
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
        _index(said["index"])


def _said(value: Any) -> str:
    if isinstance(value, u.Quantity):
        in_gev = value.to_value(u.GeV)
        return as_text(in_gev) if np.ndim(in_gev) else f"{float(in_gev)!r} GeV"
    return as_text(value)


def _gathered(file: MapFile) -> _Said:
    words: dict[str, tuple[tuple[str, str], ...]] = {}
    for field in fields(file):
        if field.name != "path" and (word := getattr(file, field.name).strip()):
            words[field.name] = ((word, "in the call"),)
    beside = {} if file.path.name.lower().endswith(FITS_ENDINGS) else sidecar(file.path)
    for key, word in beside.items():
        words[key] = (*words.get(key, ()), (word, "in the .toml file"))
    _check_words({"sure": _first(words, "sure")}, str(file.path))
    return _Said(words, {}, [])


def _first(words: dict[str, tuple[tuple[str, str], ...]], key: str) -> str:
    return words[key][0][0] if key in words else ""


def _index(value: str) -> float:
    low, high = INDEX_RANGE
    expected = f"between {low:g} and {high:g}, where fits are made"
    try:
        index = float(value)
    except ValueError as error:
        raise InputError(f"the spectral index '{value}' is not a number; expected one {expected}") from error
    if not low <= index <= high:
        raise InputError(f"the spectral index is {index:g}; expected a number {expected}")
    return index


def _nside(said: _Said, default: int) -> int:
    word = said.word("nside")
    if not word:
        return default
    if not word.isdigit() or not is_healpix_size(12 * int(word) ** 2):
        raise InputError(f"nside is said to be '{word}'; expected a power of two")
    return int(word)


# --- spectra -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Physics:
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
        one = self.units.scale * FLAVOURS.get(self.flavour, 1.0)
        return one / self.energies**2 if self.units.weighted else np.full(len(self.energies), one)


def _physics(said: _Said, units: Units | None, stored: Stored) -> _Physics:
    """Units, flavour, energies and index, with what is wrong about them in ``said.faults``."""
    absolute = units is not None and not units.relative
    flux_meant = absolute or (units is None and bool(said.word("units")))
    flavour = said.settle("flavour", FLAVOUR_WORDS) if flux_meant else ""
    _refuse_unused(said, stored, absolute=flux_meant)
    units = units or Units(RELATIVE)
    if stored.n_energies > 1:
        if units.text == RELATIVE and said.words.get("units") and not flux_meant:
            said.faults.append(
                f"its units are '{RELATIVE}', but there are {stored.n_energies} energies; say units={RELATIVE_FLUX} or "
                f"units={RELATIVE_WEIGHTED}: what the values are relative to each other in"
            )
        for key in ("energy", "index"):
            if said.words.get(key):
                said.faults.append(f"{key} is said, but the file has {stored.n_energies} energies; leave it out")
        return _Physics(units, flavour, _energies(said, stored), 0.0)
    index = _one_index(said)
    if not absolute:
        return _Physics(units, "", np.empty(0), index)
    return _Physics(units, flavour, _one_energy(said, stored), index)


def _refuse_unused(said: _Said, stored: Stored, *, absolute: bool) -> None:
    """Add a fault for each key that a person said and nobody reads; what a file says of itself does no harm."""
    unused = {key: stored.kind for key in ("map", "nside") if key not in stored.uses}
    if stored.n_energies == 1:
        own = ("energy",) if len(stored.energies) == 1 else ("energies_unit",)
        unused |= dict.fromkeys(("energies", "bins", *own), "a map at one energy")
    if not absolute:
        keys = ("flavour", "energy", "energies_unit") if stored.n_energies == 1 else ("flavour",)
        unused |= dict.fromkeys(keys, "a relative map")
    _add_unused(said, unused)


def _add_unused(said: _Said, unused: dict[str, str]) -> None:
    for key, what in unused.items():
        words = [(word, where) for word, where in said.words.get(key, ()) if where != IN_THE_FILE]
        said.faults.extend(
            f"{where} it says {key}={word}, which {what} does not use; leave it out" for word, where in words
        )


def _one_index(said: _Said) -> float:
    found = []
    for word, _ in said.words.get("index", ()):
        try:
            found.append(_index(word))
        except InputError as error:
            said.faults.append(str(error))
    if len(set(found)) > 1:
        said.faults.append(f"its index is said to be {' and '.join(f'{x:g}' for x in found)}; they must agree")
    return found[0] if found else DEFAULT_INDEX


def _one_energy(said: _Said, stored: Stored) -> Floats:
    if len(stored.energies) == 1:
        return stored.energies * energy_unit(said.word("energies_unit") or "?", said.faults)
    if not said.word("energy"):
        said.faults.append("the energy at which its units hold is not stated; say energy=100TeV or what it is")
        return np.ones(1)
    energies = {round(np.log10(max(read_energy(w, said.faults), 1e-9)), 6) for w, _ in said.words["energy"]}
    if len(energies) > 1:
        said.faults.append(
            f"its energy is said to be {' and '.join(w for w, _ in said.words['energy'])}; they must agree"
        )
    return np.array([read_energy(said.word("energy"), [])])


def _energies(said: _Said, stored: Stored) -> Floats:
    """The energies of the maps in GeV, rising and around 100 TeV; empty, with a fault, where they are not."""
    faults = said.faults
    before = len(faults)
    listed = read_numbers(said.word("energies"))
    if listed is None and said.word("energies") and "energies" not in stored.uses:
        faults.append(
            f"its energies are said to be '{said.word('energies')}', which is no list of numbers such as 1e3,1e4,1e5"
        )
        return np.empty(0)
    if listed is not None and len(stored.energies) and not _alike(listed, stored.energies):
        faults.append("its energies are said to be others than those in the file; they must agree")
    energies = stored.energies if listed is None else listed
    if not len(energies):
        faults.append(
            f"it has 2 axes, shape ({stored.n_pixels}, {stored.n_energies}), and its energies are not stated; say "
            "energies=[...] and energies_unit, or keep one map and say energy and index"
        )
        return np.empty(0)
    if not said.word("energies_unit"):
        faults.append("the unit of its energies is not stated; say energies_unit=GeV or what it is")
    if said.words.get("bins"):
        said.settle("bins", BINS)
    unit = energy_unit(said.word("energies_unit") or "GeV", faults)
    energies = _centres(energies * unit, said, stored.n_energies)
    if len(energies) != stored.n_energies:
        faults.append(
            f"it has {len(energies)} energies for {stored.n_energies} maps; expected as many, or one edge more"
        )
    elif not (np.all(np.isfinite(energies)) and energies[0] > 0 and np.all(np.diff(energies) > 0)):
        faults.append("its energies do not rise; expected positive energies, each above the last")
    elif not energies[0] <= PIVOT * (1 + 1e-6) or not energies[-1] >= PIVOT * (1 - 1e-6):
        faults.append(
            f"its energies run from {energies[0]:.4g} to {energies[-1]:.4g} GeV; expected a range that holds 100 TeV: "
            "extend the table, check the unit, or keep one map and say energy and index"
        )
    return energies if len(faults) == before else np.empty(0)


def _alike(one: Floats, other: Floats) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=1e-6))


def _centres(energies: Floats, said: _Said, n_maps: int) -> Floats:
    """Geometric centres where the energies are edges of bins: all of them, or all lower ones of equal bins."""
    lower = len(energies) == n_maps and len(energies) > 1 and BINS.get(said.word("bins").lower()) == "edges"
    if not lower and len(energies) != n_maps + 1:
        return energies
    edges = np.append(energies, energies[-1] ** 2 / energies[-2]) if lower else energies
    return np.asarray(np.sqrt(edges[1:] * edges[:-1]))


# --- from maps to a template -------------------------------------------------------------------------------------


def _from_maps(file: MapFile, said: _Said, stored: Stored) -> tuple[Template, Understood]:
    said.faults.extend(stored.faults)
    frame = said.settle("frame", FRAMES)
    ordering = said.settle("ordering", ORDERINGS)
    units = said.units()
    shaped = stored.n_pixels > 0
    # A file whose shape is at fault has nothing to say about energies.
    physics = _physics(said, units, stored if shaped else Stored(stored.kind))
    cube = len(physics.energies) > 1
    nodes, weights = np.array([GEV_PIVOT_LOG10]), np.eye(1)
    if cube:
        nodes, weights = _nodes(stored, np.log10(physics.energies))
        weights = weights * physics.per_value
    elif stored.n_energies > 1:
        weights = np.ones((1, stored.n_energies))
    if not shaped:
        refuse(f"the map {file.path}", said.faults, HOW_TO_SAY)
    summed = sum_up(stored.values, weights, stored.n_pixels)
    said.faults.extend(summed.census.faults())
    _spectral_faults(said, physics, summed)
    if summed.census.sound and is_healpix_size(stored.n_pixels):
        _doubts(said, summed.maps[_nearest(nodes, summed)], frame, ordering)
    refuse(f"the map {file.path}", said.faults, HOW_TO_SAY)
    return _made(file, said, stored, physics, nodes, summed, frame, ordering)


def _nodes(stored: Stored, log10_energy: Floats) -> tuple[Floats, Floats]:
    """The energies whose maps are kept, and what every energy gives to each; see ``thin``."""
    if len(stored.nodes) == len(log10_energy) and stored.nodes.any():
        return log10_energy[stored.nodes], np.eye(len(log10_energy))[stored.nodes]
    return thin(log10_energy)


def _nearest(nodes: Floats, summed: Summed) -> int:
    """The node nearest to 100 TeV that has flux."""
    off = np.abs(nodes - GEV_PIVOT_LOG10) if len(nodes) == len(summed.maps) else np.zeros(len(summed.maps))
    return int(np.argmin(np.where(summed.maps.any(axis=1), off, np.inf)))


def _spectral_faults(said: _Said, physics: _Physics, summed: Summed) -> None:
    """Add a fault where the flux of a cube vanishes below its highest energies, or has ended at 100 TeV."""
    if len(physics.energies) < 2 or not summed.census.sound:
        return
    shining = np.flatnonzero(summed.totals > 0)
    dark = int(shining[-1]) + 1 - len(shining)
    if dark:
        said.faults.append(f"{dark} energies below the highest that shines have no flux; leave them out or fill them")
    last = physics.energies[shining[-1]]
    if last < PIVOT * (1 - 1e-6):
        said.faults.append(f"its flux ends at {last:.4g} GeV; expected flux at 100 TeV, where fluxes are quoted")
    elif len(shining) < 2:
        said.faults.append("it has flux at one energy only; expected two or more, or one map with energy and index")


def _doubts(said: _Said, values: Floats, frame: str, ordering: str) -> None:
    sure = {word.strip() for word in said.word("sure").split(",")}
    if not ordering:
        return
    doubt = ordering_doubt(values, ordering)
    nested = (ordering == "nested") != bool(doubt and "ordering" not in sure)
    if doubt and "ordering" not in sure:
        said.faults.append(doubt)
    if frame and "frame" not in sure:
        doubt = frame_doubt(as_ring(values, nested=nested, finest=LARGEST_NSIDE), frame)
        said.faults.extend([doubt] if doubt else [])


def _made(
    file: MapFile,
    said: _Said,
    stored: Stored,
    physics: _Physics,
    nodes: Floats,
    summed: Summed,
    frame: str,
    ordering: str,
) -> tuple[Template, Understood]:
    used = np.flatnonzero(summed.maps.any(axis=1))
    nodes = nodes[used]
    nside = min(int(hp.npix2nside(stored.n_pixels)), FINEST_NSIDE)
    where = None if frame == "equatorial" else sources(nside, frame=frame)
    maps = np.empty((len(used), 12 * nside**2))
    for row, k in zip(maps, used, strict=True):
        ring = as_ring(summed.maps[k], nested=ordering == "nested", finest=nside)
        row[:] = normalised(ring if where is None else turned(ring, where))
    area = 4 * np.pi / stored.n_pixels if physics.units.per == "sr" or physics.units.relative else 1.0
    notes = _notes(said, stored, nodes, summed.totals)
    if len(maps) > 1 and np.max(np.abs(maps - maps[0])) <= SAME * maps[0].max():
        maps, nodes = factorised(maps[int(np.argmin(np.abs(nodes - GEV_PIVOT_LOG10)))].copy())
        notes = (*notes, "the map is the same at all energies: read as one map with a spectrum")
    return _finished(file, said, physics, nodes, maps, summed.totals * area, frame, ordering, stored.kind, notes)


def _notes(said: _Said, stored: Stored, nodes: Floats, totals: Floats) -> tuple[str, ...]:
    notes = list(stored.notes)
    if (nside := int(hp.npix2nside(stored.n_pixels))) > FINEST_NSIDE:
        notes.append(f"averaged from nside {nside} down to {FINEST_NSIDE}")
    assumed = [f"{key} {word}" for key, word in stored.conventions.items() if not said.words.get(key)]
    if assumed:
        notes.append(f"by the convention of this format: {', '.join(assumed)}")
    if stored.n_energies > len(nodes):
        how = "as the file says" if stored.nodes.any() else "thinned"
        notes.append(f"{how} {stored.n_energies} energies to {len(nodes)} maps; the spectrum keeps all")
    if stored.n_energies > 1 and totals[-1] == 0:
        notes.append(f"the flux ends {np.count_nonzero(totals == 0)} energies before the last")
    if sure := said.word("sure"):
        notes.append(f"not doubted: {sure}")
    return tuple(notes)


def _finished(
    file: MapFile,
    said: _Said,
    physics: _Physics,
    nodes: Floats,
    maps: Floats,
    totals: Floats,
    frame: str,
    ordering: str,
    kind: str,
    notes: tuple[str, ...],
) -> tuple[Template, Understood]:
    """Template and record from equatorial RING maps that integrate to one and sky integrals in the file's unit."""
    maps.flags.writeable = False
    spectrum, flux, integral = _spectrum(physics, totals)
    words = " ".join(word for word in (frame, ordering) if word)
    scale = "relative" if physics.units.relative else f"{physics.units.text}, {physics.flavour}"
    name = _stem(file.path)
    template = Template(
        name,
        name,
        maps,
        nodes,
        spectrum,
        "user file",
        f"user file {file.path.name}, {words}, {scale}",
        _sha256(file.path),
        flux,
    )
    energies = physics.energies
    record = Understood(
        kind,
        frame,
        ordering,
        physics.units.text,
        physics.flavour,
        (len(energies), float(energies[0]), float(energies[-1])) if len(energies) else (0, 0.0, 0.0),
        template.nside,
        integral,
        local_index(spectrum),
        brightest(template),
        notes,
    )
    return template, record


def _spectrum(physics: _Physics, totals: Floats) -> tuple[PowerLaw | TabulatedSpectrum, float, float]:
    """Spectrum, E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1 per flavour (0 if relative), and the integral as stored."""
    absolute = 0.0 if physics.units.relative else PIVOT**2 / GEV_PER_TEV
    if len(physics.energies) < 2:
        law = PowerLaw(physics.index)
        at = (
            physics.per_value * totals / law.shape(np.log10(physics.energies)) if len(physics.energies) else np.zeros(1)
        )
        return law, absolute * float(at[0]), float(totals[0])
    end = int(np.flatnonzero(totals > 0)[-1]) + 1
    x = np.log10(physics.energies[:end])
    # A unit of energy other than GeV may leave 100 TeV a rounding off the table.
    x = np.where(np.abs(x - GEV_PIVOT_LOG10) < 1e-6, GEV_PIVOT_LOG10, x)
    values = np.log10((physics.per_value * totals)[:end])
    pivot = float(np.log10(TabulatedSpectrum(x, values).shape(np.array(GEV_PIVOT_LOG10))))
    raw = pivot + (2 * GEV_PIVOT_LOG10 if physics.units.weighted else 0.0)
    one = physics.units.scale * FLAVOURS.get(physics.flavour, 1.0)
    return TabulatedSpectrum(x, values - pivot), absolute * 10.0**pivot, 10.0**raw / one


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return Path(name).stem


# --- from a list of sources --------------------------------------------------------------------------------------


def _from_points(file: MapFile, said: _Said) -> tuple[Template, Understood]:
    nside = _nside(said, DEFAULT_NSIDE)
    points = _points.read_points(file.path, said.faults)
    if points is None:
        raise fault(f"the list {file.path}", said.faults, HOW_TO_SAY)
    stated = {"frame": points.frame, "index": points.index, "units": "relative" if points.relative else points.units}
    stored = Stored("list of sources", stated={key: word for key, word in stated.items() if word}, uses=("nside",))
    _add_unused(said, dict.fromkeys(("ordering", "sure"), "a list of sources"))
    said = said.with_file(stored)
    frame = said.settle("frame", FRAMES)
    physics = _physics(said, said.units(of_sources=True), stored)
    refuse(f"the list {file.path}", said.faults, HOW_TO_SAY)
    summed = _points.map_of(points, nside)
    extended = int(np.count_nonzero(points.extension))
    notes = (f"{len(points.weight)} sources, {extended} of them extended",)
    nodes = np.array([GEV_PIVOT_LOG10])
    totals = np.array([points.weight.sum()])
    return _finished(file, said, physics, nodes, normalised(summed)[None], totals, frame, "", stored.kind, notes)
