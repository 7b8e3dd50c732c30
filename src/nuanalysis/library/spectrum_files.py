"""The spectrum that a user brings as a table, put on a map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nuanalysis.errors import InputError, refuse
from nuanalysis.schema import Floats
from nuanalysis.sky.records import GEV_PIVOT_LOG10, TabulatedSpectrum, Template
from nuanalysis.sky.templates import GEV_PER_TEV, flux_doubt
from nuanalysis.store import TABLE, content, sha256_file


def with_spectrum(template: Template, path: Path) -> Template:
    """The maps of a template with the spectrum of a table, whose flux becomes that of the model.

    The table has two columns, E in GeV and dN/dE in GeV^-1 cm^-2 s^-1 per flavour, nu + nubar, over the whole sky,
    between them a comma; lines that begin with # and one line of names are left out.
    Raises InputError with all faults.
    """
    held = content(path, "the spectrum", most=TABLE)
    table = _numbers(path, held)
    refuse(_faults(table), f"the spectrum {path} cannot be used")
    x, value = np.log10(table).T
    pivot = float(TabulatedSpectrum(x, value).shape(np.array(GEV_PIVOT_LOG10)))
    spectrum, flux = TabulatedSpectrum(x, value - np.log10(pivot)), pivot * 10.0 ** (2 * GEV_PIVOT_LOG10) / GEV_PER_TEV
    if doubt := flux_doubt(spectrum, flux):
        raise InputError(
            f"the spectrum {path} cannot be used: {doubt}; E in GeV, dN/dE in GeV^-1 cm^-2 s^-1 of one flavour, "
            "integrated over the sky"
        )
    return replace(
        template,
        label=f"{template.label}, spectrum of {path.name}",
        spectrum=spectrum,
        flux=flux,
        origin="user file",
        reference=f"map: {template.reference}; spectrum: {path.name}, sha256 {sha256_file(path)}",
        model=f"map of {template.name} with the spectrum of {path.name}",
    )


def _numbers(path: Path, held: bytes) -> Floats:
    """The rows of the table, (row, 2).  Raises InputError."""
    lines = [line for line in held.decode("utf-8", "replace").splitlines() if line.strip() and line[0] != "#"]
    try:
        return np.array([[float(word) for word in line.split(",")] for line in lines[not _is_row(lines[0]) :]])
    except (ValueError, IndexError) as error:
        raise InputError(f"the spectrum {path} is no table of numbers: {error}; expected E/GeV,dN/dE a line") from error


def _is_row(line: str) -> bool:
    return line.strip()[:1] in "0123456789.+-"


def _faults(table: Floats) -> Iterator[str]:
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2:
        yield "expected two columns, E/GeV and dN/dE, and two rows or more"
        return
    energy = table[:, 0]
    if not np.isfinite(table).all() or table.min() <= 0.0:
        yield "a number is no number, infinite, zero or negative; leave out energies without flux"
    if (np.diff(energy) <= 0.0).any():
        yield "energies do not rise"
    if not energy.min() <= 10.0**GEV_PIVOT_LOG10 <= energy.max():
        yield f"energies from {energy.min():g} to {energy.max():g} GeV leave out 100 TeV, where fluxes are stated"
