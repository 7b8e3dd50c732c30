"""A theorist's own model as a template: a map, maps at many energies, or a list of sources, with its units and frame.

Nothing is guessed: what the file does not state has to be said, and everything that is missing, wrong or looks wrong
comes in one message, with the remedy.  Inside, fluxes are per flavour (nu + nubar) and maps equatorial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import units as u
from nuanalysis.errors import InputError
from nuanalysis.records import Record, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import GEV_PIVOT_LOG10, PowerLaw, TabulatedSpectrum, Template, factorised
from nuanalysis.sky.templates import _healpix, _listed, _points, _said
from nuanalysis.sky.templates._bounds import SUM_RANGE, in_range, refuse_maps
from nuanalysis.sky.templates._fits import open_fits
from nuanalysis.sky.templates._formats import ENDINGS, FILL, FITS_ENDINGS, HDF5_ENDINGS, KEYS, POINT_ENDINGS, Stored
from nuanalysis.sky.templates._hdf5 import open_hdf5
from nuanalysis.sky.templates._healpix import (
    FINEST_NSIDE,
    Summed,
    as_ring,
    normalised,
    sources,
    sum_up,
    turned,
)
from nuanalysis.sky.templates._in_numbers import brightest, local_index
from nuanalysis.sky.templates._numpy import read_numpy, stored_array
from nuanalysis.sky.templates._physics import PIVOT, Physics, add_unused, physics_of, thin
from nuanalysis.sky.templates._said import MapFile, Said, as_said, check_words, gathered, parse, read_nside
from nuanalysis.sky.templates._suspicion import LARGEST_NSIDE, flux_doubt, frame_doubt, mark_doubt, ordering_doubt
from nuanalysis.store import sha256_file

DEFAULT_NSIDE = 128  # of a list of sources
SAME = 1e-6  # of the brightest pixel: maps that differ by less are one map


class Understood(Record):
    """What was made of a map file, for a person to check.

    energies  : number of energies in the file, lowest and highest in GeV; (1, E, E) for a map at one energy E, (0, 0,
        0) for a relative map.
    integral  : over the sky, in the file's own unit times sr (or summed over pixels or sources), at 100 TeV or at the
        one energy.
    index     : of the spectrum at 100 TeV: -dlog(dN/dE)/dlog(E); None where there is no flux around it.
    brightest : Galactic longitude in [-180, 180) and latitude of the brightest pixel at 100 TeV, deg.
    """

    format: str = shown("format")
    frame: str = shown("frame")
    ordering: str = shown("ordering")
    units: str = shown("units")
    flavour: str = shown("flavour")
    energies: tuple[int, float, float] = shown("energies: how many, lowest and highest in GeV")
    nside: int = shown("nside", hidden=True)
    integral: float = shown("integral over the sky, as stored")
    index: float | None = shown("index at 100 TeV", None, form=".2f")
    brightest: tuple[float, float] = shown("brightest at l, b, deg", form=".2f", hidden=True)
    notes: tuple[str, ...] = shown("notes")


def read(file: MapFile) -> Template:
    """The template of a parsed file reference; see ``read_template``."""
    return understood(file)[0]


def read_template(path: str | Path, **said: object) -> Template:
    """A template from a user's own map, maps at many energies, or list of sources.

    path : HEALPix .fits, .fit (also .gz), .npy (also .gz), .h5, .hdf5, or a list of sources in .csv or .ecsv.
    said : what the file does not state, by the names of the fields of ``MapFile``; numbers, lists of numbers and
        astropy quantities of energy, units and frames will do where they make sense.
    The maps are scaled to integrate to one and turned to equatorial pixel by pixel, keeping their resolution up to
    nside 512; finer ones are averaged down to it.  A map without an energy axis has a power law of ``index`` (default
    2.7), maps at many energies the spectrum of their sum; maps that are the same at all energies become one.
    Name: the file's stem; sha256: of the file's bytes.
    Raises InputError that lists all faults.
    """
    words, file = _words(said, f"the call for {path}"), parse(str(path))
    named = {key: getattr(file, key) for key in KEYS}
    twice = [key for key, word in words.items() if named[key] not in ("", word)]
    if twice:
        raise InputError(f"{', '.join(twice)} of '{path}' is said in its name and beside it; say it once")
    return read(MapFile(file.path, **{**named, **words}))


def read_array(values: object, *, name: str = "array", **said: object) -> Template:
    """A template from a map in memory, (pixel,), or maps at many energies, (pixel, energy) or the reverse.

    name, said : what it is called, and what to know of it, as for ``read_template``; a Quantity brings its units.
    sha256: of the values.    Raises InputError that lists all faults.
    """
    if isinstance(values, u.Quantity):
        said = {"units": values.unit, **said}
        values = values.value
    array = _as_array(values)
    words = gathered(MapFile(Path(name), **_words(said, "the call")), beside=False)
    stored = stored_array(array, words)
    sha256 = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    source = _Source(
        f"the array '{name}'", name, f"array of the user '{name}'", sha256.hexdigest, _said.HOW_TO_SAY_OF_AN_ARRAY
    )
    return _from_maps(source, Path(name), words.with_file(stored), stored)[0]


def _as_array(values: object) -> NDArray[Any]:
    """Plain values; masked ones, of NumPy or astropy, are UNSEEN and not the 0 that may stand beneath the mask."""
    try:
        array = np.asarray(getattr(values, "unmasked", values))
        mask = getattr(values, "mask", False)
        mask = False if callable(mask) else mask  # pandas has a verb of this name
        return np.where(mask, hp.UNSEEN, array) if np.any(mask) else array
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the map in memory is no array: {error}; give numbers, (pixel,) or (pixel, energy)"
        ) from error


def _words(said: Mapping[str, object], where: str) -> dict[str, str]:
    words = {key: as_said(value).strip() for key, value in said.items() if key != "units"}
    if "units" in said:  # 1 / u.GeV is a Quantity
        words["units"] = str(u.Unit(said["units"]) if isinstance(said["units"], u.Quantity) else said["units"])
    if isinstance(said.get("energies"), u.Quantity):
        words["energies_unit"] = "GeV"
    check_words(words, where)
    return words


def understood(file: MapFile) -> tuple[Template, Understood]:
    """The template of a map file and what was understood; raises as ``read_template``."""
    path, said = file.path, gathered(file)
    stem, reference = Path(path.name.removesuffix(".gz")).stem, f"user file {path.name}"
    if path.name.lower().endswith(POINT_ENDINGS):
        return _from_points(path, said, _Source(f"the list {path}", stem, reference, partial(sha256_file, path)))
    with _opened(path, said) as stored:
        source = _Source(f"the map {path}", stem, reference, partial(sha256_file, path))
        return _from_maps(source, path, said.with_file(stored), stored)


def _opened(path: Path, said: Said) -> AbstractContextManager[Stored]:
    """The map in a file, readable inside the ``with`` block.

    Raises InputError for a file that is missing, cut short, of no known format or holds no map.
    """
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise InputError(f"the map {path} ends in neither {', '.join(ENDINGS[:-1])} nor {ENDINGS[-1]}; save it as one")
    if name.endswith(FITS_ENDINGS):
        return open_fits(path, said)
    if name.endswith(HDF5_ENDINGS):
        return open_hdf5(path, said)
    return nullcontext(read_numpy(path, said))


# --- from maps to a template -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """Where a map is from: what messages call it, its name and reference, the checksum of its content, what to do."""

    what: str
    name: str
    reference: str
    sha256: Callable[[], str]
    remedy: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A map that is understood: its format, frame and order, and how its values become fluxes."""

    source: _Source
    kind: str
    frame: str
    ordering: str
    physics: Physics


def _from_maps(source: _Source, path: Path, said: Said, stored: Stored) -> tuple[Template, Understood]:
    fill, stored = bool(said.word("fill")), stored.rising()
    said.faults.extend(stored.faults)
    if stored.unchosen:
        said.refuse(source.what, source.remedy)
    said.faults.extend(f"{gap}; {FILL}" for gap in stored.gaps if not fill)
    frame = said.settle("frame", _said.FRAMES)
    ordering = said.settle("ordering", _said.ORDERINGS)
    units = said.units()
    if stored.mixed and any(_said.per_pixel(word) for word, _ in said.words.get("units", ())):
        said.faults.append(_listed.SHARES)
    before = len(said.faults)
    if not stored.n_pixels:  # a file whose shape is at fault has nothing to say about energies
        said.refuse(source.what, source.remedy)
    physics = physics_of(said, units, stored)
    understood = units is not None and len(said.faults) == before
    cube = len(physics.energies) > 1
    nodes, weights = np.array([GEV_PIVOT_LOG10]), np.eye(1)
    if cube:
        nodes, weights = _nodes(stored, np.log10(physics.energies))
        weights = weights * physics.per_value
    elif stored.n_energies > 1:
        weights = np.ones((1, stored.n_energies))
    refuse_maps(path, stored.n_pixels, len(weights))
    summed = sum_up(stored.values, weights, stored.n_pixels, fill=fill)
    said.faults.extend(summed.census.faults(f"; {FILL}"))
    _spectral_faults(said, physics, summed)
    if summed.census.faults() or not _in_range(said, physics, summed.totals, summed.maps):
        said.refuse(source.what, source.remedy)
    if _healpix.is_healpix_size(stored.n_pixels):
        _doubts(said, summed.maps[_nearest(nodes, summed)], frame, ordering)
        if understood and "flux" not in said.sure and not said.faults:
            spectrum, flux, _ = _spectrum(physics, summed.totals * _area(physics, stored))
            if doubt := flux_doubt(spectrum, flux):
                said.faults.append(f"{doubt}, or say sure=flux if it is right as it is")
    said.refuse(source.what, source.remedy)
    return _made(_Read(source, stored.kind, frame, ordering, physics), said, stored, nodes, summed)


def _in_range(said: Said, physics: Physics, totals: Floats, maps: Floats) -> bool:
    """Whether all sums, as stored and as fluxes, are numbers one can go on with; a fault where they are not."""
    with np.errstate(over="ignore", under="ignore"):
        fluxes = totals * physics.per_value if len(physics.energies) == len(totals) else totals
        found = np.concatenate([totals, fluxes, maps.sum(axis=1)])
    if not (good := in_range(found)):
        odd = found[~((found >= SUM_RANGE[0]) & (found <= SUM_RANGE[1])) & (found != 0.0)][0]
        said.faults.append(
            f"its values add up to {odd:g}; expected sums between {SUM_RANGE[0]:g} and {SUM_RANGE[1]:g}: check the "
            "unit, put 0 where next to nothing shines, or multiply a relative map by a number"
        )
    return good


def _area(physics: Physics, stored: Stored) -> float:
    """What a sum over the pixels is multiplied with to be an integral over the sky, sr."""
    return 4 * np.pi / stored.n_pixels if physics.units.per == "sr" or physics.units.relative else 1.0


def _nodes(stored: Stored, log10_energy: Floats) -> tuple[Floats, Floats]:
    """The energies whose maps are kept, and what every energy gives to each; see ``thin``."""
    if len(stored.nodes) == len(log10_energy) and stored.nodes.any():
        return log10_energy[stored.nodes], np.eye(len(log10_energy))[stored.nodes]
    return thin(log10_energy)


def _nearest(nodes: Floats, summed: Summed) -> int:
    """The node nearest to 100 TeV that has flux."""
    off = np.abs(nodes - GEV_PIVOT_LOG10) if len(nodes) == len(summed.maps) else np.zeros(len(summed.maps))
    return int(np.argmin(np.where(summed.maps.any(axis=1), off, np.inf)))


def _spectral_faults(said: Said, physics: Physics, summed: Summed) -> None:
    """Add a fault where the flux of a cube vanishes below its highest energies, or has ended at 100 TeV."""
    if len(physics.energies) < 2 or summed.census.faults():
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


def _doubts(said: Said, values: Floats, frame: str, ordering: str) -> None:
    if not ordering:
        return
    doubt = "" if "ordering" in said.sure else ordering_doubt(values, ordering)
    doubts = [doubt, "" if "flux" in said.sure else mark_doubt(values)]
    if frame and "frame" not in said.sure:
        nested = (ordering == "nested") != bool(doubt)
        doubts.append(frame_doubt(as_ring(values, nested=nested, finest=LARGEST_NSIDE), frame))
    said.faults.extend(filter(None, doubts))


def _made(found: _Read, said: Said, stored: Stored, nodes: Floats, summed: Summed) -> tuple[Template, Understood]:
    used = np.flatnonzero(summed.maps.any(axis=1))
    nodes = nodes[used]
    nside = min(int(hp.npix2nside(stored.n_pixels)), FINEST_NSIDE)
    where = None if found.frame == "equatorial" else sources(nside, frame=found.frame)
    maps = np.empty((len(used), 12 * nside**2))
    for row, k in zip(maps, used, strict=True):
        ring = as_ring(summed.maps[k], nested=found.ordering == "nested", finest=nside)
        row[:] = normalised(ring if where is None else turned(ring, where))
    notes = _notes(said, stored, nodes, summed)
    notes = (*notes, *filter(None, [found.physics.units.note]))
    if len(maps) > 1 and np.max(np.abs(maps - maps[0])) <= SAME * maps[0].max():
        maps, nodes = factorised(maps[int(np.argmin(np.abs(nodes - GEV_PIVOT_LOG10)))].copy())
        notes = (*notes, "the map is the same at all energies: read as one map with a spectrum")
    return _finished(found, nodes, maps, summed.totals * _area(found.physics, stored), notes)


def _notes(said: Said, stored: Stored, nodes: Floats, summed: Summed) -> tuple[str, ...]:
    notes, totals = list(stored.notes), summed.totals
    notes += [f"{gap}: 0 there" for gap in stored.gaps]
    if summed.filled:
        notes.append(f"{summed.filled} values that were NaN or UNSEEN are 0")
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
    found: _Read, nodes: Floats, maps: Floats, totals: Floats, notes: tuple[str, ...]
) -> tuple[Template, Understood]:
    """Template and record from equatorial RING maps that integrate to one and sky integrals in the file's unit."""
    maps.flags.writeable = False
    units, flavour, energies = found.physics.units, found.physics.flavour, found.physics.energies
    spectrum, flux, integral = _spectrum(found.physics, totals)
    source = found.source
    words = " ".join(word for word in (found.frame, found.ordering) if word)
    scale = "relative" if units.relative else f"{units.text}, {flavour}"
    reference = f"{source.reference}, {words}, {scale}"
    template = Template(source.name, source.name, maps, nodes, spectrum, "user file", reference, source.sha256(), flux)
    index = local_index(spectrum)
    record = Understood(
        format=found.kind,
        frame=found.frame,
        ordering=found.ordering,
        units=units.text,
        flavour=flavour,
        energies=(len(energies), float(energies[0]), float(energies[-1])) if len(energies) else (0, 0.0, 0.0),
        nside=template.nside,
        integral=integral,
        index=index if np.isfinite(index) else None,
        brightest=brightest(template),
        notes=notes,
    )
    return template, record


def _spectrum(physics: Physics, totals: Floats) -> tuple[PowerLaw | TabulatedSpectrum, float, float]:
    """Spectrum, E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1 per flavour (0 if relative), and the integral as stored."""
    absolute = 0.0 if physics.units.relative else PIVOT**2 / _said.GEV_PER_TEV
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
    one = physics.units.scale * _said.FLAVOURS.get(physics.flavour, 1.0)
    return TabulatedSpectrum(x, values - pivot), absolute * 10.0**pivot, 10.0**raw / one


# --- from a list of sources --------------------------------------------------------------------------------------


def _from_points(path: Path, said: Said, source: _Source) -> tuple[Template, Understood]:
    nside = read_nside(said, DEFAULT_NSIDE)
    points = _points.read_points(path, said)
    stored = Stored("list of sources", stated=points.stated, uses=("nside",))
    unused = ("ordering", "fill", *(() if "frame" in said.sure else ("sure",)))
    add_unused(said, dict.fromkeys(unused, "a list of sources"))
    said = said.with_file(stored)
    frame = said.settle("frame", _said.FRAMES)
    physics = physics_of(said, said.units(of_sources=True), stored)
    with np.errstate(over="ignore"):
        totals = np.array([points.weight.sum()])
    _in_range(said, physics, totals, np.empty((0, 0)))
    said.refuse(source.what)
    refuse_maps(path, 12 * nside**2, 1)
    notes = (f"{len(points.weight)} sources, {np.count_nonzero(points.extension)} of them extended",)
    maps, nodes = factorised(normalised(_points.map_of(points, nside)))
    found = _Read(source, stored.kind, frame, "", physics)
    return _finished(found, nodes, maps, totals, notes)
