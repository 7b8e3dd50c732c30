"""Templates as HEALPix FITS files that are read back as what they were."""

import gzip
import io
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError
from nuanalysis.library.template_cards import SAME_ENERGY, spectrum_in_words
from nuanalysis.library.templates import cache_path, open_template, recipe_of
from nuanalysis.records import Record, shown
from nuanalysis.sky.records import GEV_PIVOT_LOG10, CutOffPowerLaw, PowerLaw, TabulatedSpectrum, Template
from nuanalysis.sky.templates import GEV_PER_TEV, NODE_COLUMN, RELATIVE, RELATIVE_FLUX
from nuanalysis.store import atomic_write
from nuanalysis.store.fits import ascii_words, healpix_cards

DENSITY_UNIT = "sr-1"
ABSOLUTE_UNIT = "GeV-1 cm-2 s-1 sr-1"
SPECTRUM_REACH = (2.0, 8.0)  # log10(E/GeV): where a spectrum is written that has no table of its own
SPECTRUM_STEP = 0.1  # in log10 E, of a spectrum with a cut-off
FADED = 1.5  # above the cut-off, in log10 E: where exp(-E / cut-off) is 2e-14, the last energy that is written
CARD_ROOM = 60  # characters of value and comment together


class TemplateFile(Record):
    """A template that was written."""

    asked: str = shown("as it was asked for")
    name: str = shown("template")
    label: str = shown("what it is")
    output: str = shown("file")
    bytes: int = shown("bytes")
    nside: int = shown("nside")
    energies: int = shown("energies with a map")
    flux: float | None = shown("E^2 dN/dE at 100 TeV, TeV cm-2 s-1; null: relative", None)
    from_cache: bool = shown("whether it was in the cache")
    seconds_to_build: float = shown("time to make or read it", unit="s")

    def words(self, form: str = "") -> str:
        energies = f"{self.energies} {'energy' if self.energies == 1 else 'energies'}"
        how = "read from the cache" if self.from_cache else "made"
        return (
            f"{self.output}: {self.label}, nside {self.nside}, {energies}, {self.bytes:,} bytes; {how} in "
            f"{self.seconds_to_build:.2f} s"
        )


def write_template(name: str, output: Path) -> TemplateFile:
    """Make or read a template and write it as HEALPix FITS; .gz is packed.

    Raises InputError for another ending and for a file that exists.
    """
    if not output.name.endswith((".fits", ".fits.gz")):
        raise InputError(f"the output is '{output}'; expected a file that ends in .fits or .fits.gz")
    if output.exists():
        raise InputError(f"the output {output} exists; choose another name or remove it first")
    started, built = monotonic(), recipe_of(name)
    kept = built is not None and cache_path(built).is_file()
    template = open_template(name)
    seconds = monotonic() - started
    atomic_write(output, fits_bytes(template, packed=output.name.endswith(".gz")))
    return TemplateFile.taken_from(
        template,
        asked=name,
        output=str(output),
        bytes=output.stat().st_size,
        energies=len(template.maps),
        flux=template.flux or None,
        from_cache=kept,
        seconds_to_build=seconds,
    )


def fits_bytes(template: Template, *, packed: bool = False) -> bytes:
    """A template as HEALPix FITS: equatorial RING, one column an energy, energies in GeV in a table of their own.

    The column NODE of that table says which energies the template has maps at; the others are for the spectrum.

    One map with a power law: its density, relative, and the index; or dN/dE per sr and flavour at 100 TeV where the
    model has a flux.  Otherwise dN/dE at several energies: the spectrum is then in the maps.
    The same template gives the same bytes.    packed : gzip them.
    """
    from astropy.io import fits

    cube = _written_energies(template)
    at = cube if len(cube) else np.array([GEV_PIVOT_LOG10])
    pivot = (template.flux or 1.0) * GEV_PER_TEV / 10.0 ** (2 * GEV_PIVOT_LOG10)  # dN/dE at 100 TeV, GeV^-1
    relative = not template.flux
    scale = np.ones(1) if relative and not len(cube) else template.spectrum.shape(at) * pivot
    columns = [
        fits.Column(
            f"ENERGY{k:03d}" if len(cube) else "DENSITY" if relative else "INTENSITY",
            "D",
            unit=DENSITY_UNIT if relative else ABSOLUTE_UNIT,
            array=template.density_at(float(energy)) * factor,
        )
        for k, (energy, factor) in enumerate(zip(at, scale, strict=True))
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SKYMAP")
    for key, value, comment in _cards(template, alone=not len(cube)):
        fits_in = len(str(value)) + len(comment) < CARD_ROOM
        table.header.set(key, value, comment if fits_in else None)
    table.header.add_comment(ascii_words(template.reference))
    units = [fits.PrimaryHDU(), table]
    if len(cube):
        at_node = [bool(np.min(np.abs(template.log10_energy - energy)) < SAME_ENERGY) for energy in cube]
        energies = fits.Column("ENERGY", "D", unit="GeV", array=10.0**cube)
        nodes = fits.Column(NODE_COLUMN, "L", array=np.array(at_node))
        units.append(fits.BinTableHDU.from_columns([energies, nodes], name="ENERGIES"))
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    return gzip.compress(buffer.getvalue(), mtime=0) if packed else buffer.getvalue()


def _written_energies(template: Template) -> NDArray[np.float64]:
    """log10(E/GeV) at which dN/dE is written, (energy,); empty where one map and an index say everything.

    The energies of the maps and those that the spectrum needs to come out as it is: all of a table's, none of a power
    law but its ends, a fine grid of any other.
    """
    low, high = SPECTRUM_REACH
    match template.spectrum:
        case PowerLaw() if len(template.maps) == 1:
            return np.empty(0)
        case PowerLaw():
            needed = np.array([low, high])
        case TabulatedSpectrum(log10_energy, _):
            needed, (low, high) = log10_energy, (float(log10_energy[0]), float(log10_energy[-1]))
        case spectrum:
            if isinstance(spectrum, CutOffPowerLaw):
                high = min(high, max(spectrum.cutoff + FADED, GEV_PIVOT_LOG10 + SPECTRUM_STEP))
            needed = np.linspace(low, high, 1 + round((high - low) / SPECTRUM_STEP))
    own = template.log10_energy if len(template.maps) > 1 else np.array([GEV_PIVOT_LOG10])
    wanted = np.sort(np.concatenate([needed, own[(own >= low) & (own <= high)]]))
    return np.asarray(wanted[np.append(True, np.diff(wanted) > SAME_ENERGY)])


def _cards(template: Template, *, alone: bool) -> list[tuple[str, Any, str]]:
    relative = not template.flux
    cards: list[tuple[str, Any, str]] = [
        *healpix_cards(template.nside, "C"),
        ("UNITS", (RELATIVE if alone else RELATIVE_FLUX) if relative else ABSOLUTE_UNIT, "of the values"),
        ("FLAVOUR", "per-flavour", "nu + nubar"),
        ("TEMPLATE", ascii_words(template.name), "name of the template"),
        ("ORIGIN", template.origin, "published, built-in or user file"),
        ("SPECTRUM", ascii_words(spectrum_in_words(template.spectrum)), "of the whole sky"),
        ("FLUX100", template.flux, "[TeV/cm2/s] E^2 dN/dE at 100 TeV; 0: relative"),
        ("SHA256", template.sha256, "of what it was made from"),
    ]
    if alone and isinstance(template.spectrum, PowerLaw):
        cards += [("INDEX", template.spectrum.index, "of the power law")]
    if alone and not relative:
        cards += [("ENERGY", "100 TeV", "of the map")]
    return cards
