"""Catalogues of gamma-ray sources: the free ones as released, and a user's table in any common format.

A file becomes an astropy Table with every column it has and the unit it states.  What the columns mean is said in the
words of a column map (``Layout.columns``); where a catalogue spreads a meaning over several columns or tables, one
column is added here: ``extension_sigma`` (deg), ``distance_kpc``, ``class_3pc``.  Nothing is converted or dropped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import _source_tables
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._source_tables import Layout, Other
from nuanalysis.ingest._table import REPAIR, is_number, located, present, spoiled
from nuanalysis.schema import Floats
from nuanalysis.sphere import R68

if TYPE_CHECKING:
    from astropy.table import Table


DISC = 0.5  # sigma of the Gaussian with the mean square radius of a disc, in radii
SHELL_INNER = 0.95  # inner radius over outer, where only the outer is given; gammapy assumes the same

# ---- the release --------------------------------------------------------------------------------------------------

HGPS, FGL, FHL = "hgps_catalog_v1.fits.gz", "4FGL-DR2_gll_psc_v27.fit.gz", "3FHL_gll_psch_v13.fit.gz"
PULSARS, GAMMA_CAT, GAMMA_CAT_TEXT = "3PC_Catalog+SEDs_20230803.fits.gz", "gammacat.fits.gz", "gammacat.ecsv"

RELEASE = UpstreamRelease(
    name="source-catalogues",
    title="Gamma-ray source catalogues with free licences: HGPS, 4FGL-DR2, 3FHL, 3PC, gamma-cat",
    folder="source_catalogues",
    licence="CC BY 4.0 (HGPS); CC0 (Fermi-LAT); BSD-3-Clause (gamma-cat)",
    citation=(
        "H.E.S.S. Collaboration 2018, A&A 612, A1; Ballet et al. 2020, arXiv:2005.11208; Ajello et al. 2017, ApJS 232, "
        "18; Smith et al. 2023, ApJ 958, 191; gamma-cat, github.com/gammapy/gamma-cat"
    ),
    files=files_of("source_catalogues"),
    notes="A collection of files, no archive. Each catalogue is of use without the others.",
)

# ---- what the columns of each catalogue mean ----------------------------------------------------------------------


def _numbers(table: Table, name: str) -> Floats:
    """A column as numbers, NaN where it is masked."""
    column = table[name]
    values = np.array(column, dtype=np.float64)
    values[np.asarray(getattr(column, "mask", np.zeros(len(values), dtype=bool)))] = np.nan
    return values


def _words(table: Table, name: str) -> list[str]:
    """A column as words without blanks at the ends, '' where it is masked."""
    return ["" if word is np.ma.masked else str(word).strip() for word in table[name]]


def _add(table: Table, name: str, values: Any, unit: str | None, description: str) -> None:
    from astropy.table import Column

    table[name] = Column(values, unit=unit, description=description)


def shell_sigma(outer: Floats, inner: Floats) -> Floats:
    """Sigma of the Gaussian with the mean square radius of a homogeneous shell seen on the sky; any shape, any unit."""
    return np.asarray(np.sqrt((outer**5 - inner**5) / (5.0 * (outer**3 - inner**3))))


def _join_hgps(table: Table, other: Other) -> list[str]:
    """Extension from Size and Spatial_Model: the sigma of Gaussians, the outer radius of shells, 0 for points."""
    size, model = _numbers(table, "Size"), np.array(_words(table, "Spatial_Model"))
    shell, none = model == "Shell", ~np.isfinite(size)
    sigma = np.where(shell, shell_sigma(size, SHELL_INNER * size), size)
    sigma[none] = 0.0  # point-like, or with an upper limit on the size only
    _add(table, "extension_sigma", sigma, "deg", "Gaussian sigma; of shells the one with their mean square radius")
    known = other("HGPS_IDENTIFICATIONS")
    distance = dict(zip(_words(known, "Source_Name"), _numbers(known, "Distance"), strict=True)) if known else {}
    kpc = np.array([distance.get(name, np.nan) for name in _words(table, "Source_Name")])
    _add(table, "distance_kpc", kpc, "kpc", "of the identified object, HGPS_IDENTIFICATIONS")
    return [
        f"extension 0 for the {none.sum()} sources of which no size or only a limit is given; sigma = "
        f"{shell_sigma(np.array(1.0), np.array(SHELL_INNER)):.3f} outer radii for the {shell.sum()} shells"
    ]


def _join_fermi(table: Table, other: Other) -> list[str]:
    """Extension of extended sources from the table of them; 0 for all others.

    The size is the radius of discs, the radius that holds 68 per cent of Gaussians and an approximate radius of maps
    and rings (4FGL, Abdollahi et al. 2020, ApJS 247, 33, table of extended sources).
    """
    known = other("ExtendedSources")
    sigma = {"": 0.0}
    if known is not None:
        axes = (_numbers(known, "Model_SemiMajor"), _numbers(known, "Model_SemiMinor"))
        radius = np.sqrt((axes[0] ** 2 + axes[1] ** 2) / 2.0)
        gauss = np.array(_words(known, "Model_Form")) == "2D Gaussian"
        sigma |= dict(zip(_words(known, "Source_Name"), np.where(gauss, radius / R68, DISC * radius), strict=True))
    named = _words(table, "Extended_Source_Name")
    values = np.array([sigma.get(name, np.nan) for name in named])
    _add(
        table, "extension_sigma", values, "deg", "Gaussian sigma; of discs and maps that with their mean square radius"
    )
    return [f"extension of the {sum(map(bool, named))} extended sources as Gaussian sigma, 0 for all others"]


_4FGL = "Abdollahi et al. 2020, ApJS 247, 33"
_PSC_REFERENCES = {
    "2FGL": "Nolan et al. 2012, ApJS 199, 31",
    "3FGL": "Acero et al. 2015, ApJS 218, 23",
    "4FGL": _4FGL,
    "4FGL-DR2": f"{_4FGL}; Ballet et al. 2020, arXiv:2005.11208",
    "4FGL-DR3": f"{_4FGL}; Abdollahi et al. 2022, ApJS 260, 53",
    "4FGL-DR4": f"{_4FGL}; Ballet et al. 2023, arXiv:2307.12546",
}


def _psc_edition(table: Table) -> tuple[str, str] | None:
    """Which point source catalogue (gll_psc) of Fermi-LAT this is, by the names of its sources and its data release."""
    begins = {word.partition(" ")[0] for word in _words(table, "Source_Name")}
    name = begins.pop() if len(begins) == 1 else ""
    if name == "4FGL" and "DataRelease" in table.colnames:
        releases = _numbers(table, "DataRelease")
        newest = int(np.nanmax(releases, initial=1.0))
        name += f"-DR{newest}" if newest > 1 else ""
    return (f"Fermi-LAT {name}", _PSC_REFERENCES[name]) if name in _PSC_REFERENCES else None


def _join_3pc(table: Table, other: Other) -> list[str]:
    """Distances without limits, and classes: millisecond pulsars are those with an m in CHAR_Code."""
    distance = np.array([float(word) if is_number(word) else np.nan for word in _words(table, "D3PC")])
    _add(table, "distance_kpc", distance, "kpc", "D3PC; limits left out")
    classes = ["MSP" if "m" in code else "PSR" for code in _words(table, "CHAR_Code")]
    _add(table, "class_3pc", classes, None, "MSP where CHAR_Code has an m, else PSR")
    _add(table, "extension_sigma", np.zeros(len(table)), "deg", "pulsars are points")
    return [f"{int(np.count_nonzero(~np.isfinite(distance)))} distances are limits or missing, and left out"]


def _join_gamma_cat(table: Table, other: Other) -> list[str]:
    """Extension from the morphology: Gaussians, shells (one radius: the outer; two: inner and outer), points 0."""
    kind = np.array(_words(table, "morph_type"))
    first, second = (_numbers(table, name) for name in ("morph_sigma", "morph_sigma2"))
    minor = np.where(np.isfinite(second), second, first)
    outer = np.where(np.isfinite(second), second, first)
    inner = np.where(np.isfinite(second), first, SHELL_INNER * first)
    sigma = np.full(len(table), np.nan)
    for name, values in (
        ("point", np.zeros(len(table))),
        ("gauss", np.sqrt((first**2 + minor**2) / 2.0)),
        ("shell", shell_sigma(outer, inner)),
    ):
        sigma[kind == name] = values[kind == name]
    _add(table, "extension_sigma", sigma, "deg", "Gaussian sigma; missing where no morphology is given")
    return ["ra and dec are those of SIMBAD, complete; the fitted ones, pos_ra and pos_dec, are not"]


_FERMI = {"name": "Source_Name", "ra": "RAJ2000", "dec": "DEJ2000", "l": "GLON", "b": "GLAT", "frame": "icrs"}
_ABOVE_1_TEV = "above 1 TeV"

_LAYOUTS = (
    Layout(
        "hgps",
        "H.E.S.S. Galactic plane survey",
        (HGPS,),
        "HGPS_SOURCES",
        78,
        {
            **_FERMI, "class": "Source_Class", "extension": "extension_sigma", "flux": "Flux_Spec_Int_1TeV",
            "flux_band": _ABOVE_1_TEV, "distance": "distance_kpc",
        },
        frozenset({"Source_Name", "Source_Class", "Spatial_Model", "Size", "Flux_Spec_Int_1TeV"}),
        "H.E.S.S. Collaboration 2018, A&A 612, A1, doi:10.1051/0004-6361/201732098",
        _join_hgps,
    ),
    Layout(
        "snrcat",
        "supernova remnants of SNRcat, as used by the H.E.S.S. Galactic plane survey",
        (HGPS,),
        "SNRCAT",
        282,
        {"name": "Source_Name", "l": "GLON", "b": "GLAT", "frame": "galactic", "class": "Type", "distance": "Distance"},
        frozenset({"Source_Name", "GLON", "GLAT", "Type", "Distance", "Distance_Min", "Distance_Max"}),
        "Ferrand & Safi-Harb 2012, AdSpR 49, 1313; table SNRCAT of H.E.S.S. Collaboration 2018, A&A 612, A1",
        lambda table, other: [],
    ),
    Layout(
        "4fgl-dr2",
        "Fermi-LAT 4FGL-DR2",
        (FGL,),
        "LAT_Point_Source_Catalog",
        5788,
        {
            **_FERMI, "class": "CLASS1", "extension": "extension_sigma", "flux": "Energy_Flux100",
            "flux_band": "100 MeV to 100 GeV",
        },
        frozenset({"Source_Name", "CLASS1", "Energy_Flux100", "Extended_Source_Name"}),
        _PSC_REFERENCES["4FGL-DR2"],
        _join_fermi,
        _psc_edition,
    ),
    Layout(
        "3fhl",
        "Fermi-LAT 3FHL",
        (FHL,),
        "LAT_Point_Source_Catalog",
        1556,
        {
            **_FERMI, "class": "CLASS", "extension": "extension_sigma", "flux": "Flux", "flux_band": "10 GeV to 1 TeV",
        },
        frozenset({"Source_Name", "CLASS", "Flux", "Extended_Source_Name", "HEP_Energy"}),
        "Ajello et al. 2017, ApJS 232, 18",
        _join_fermi,
    ),
    Layout(
        "3pc",
        "Fermi-LAT third pulsar catalogue",
        (PULSARS,),
        "PULSARS_BIGFILE",
        294,
        {
            "name": "PSRJ", "ra": "RAJD", "dec": "DECJD", "l": "Gl", "b": "Gb", "frame": "icrs", "unit": "deg",
            "class": "class_3pc", "extension": "extension_sigma", "flux": "G100", "flux_unit": "erg cm-2 s-1",
            "flux_band": "above 100 MeV", "distance": "distance_kpc",
        },
        frozenset({"PSRJ", "RAJD", "DECJD", "CHAR_Code", "D3PC", "G100"}),
        "Smith et al. 2023, ApJ 958, 191",
        _join_3pc,
    ),
    Layout(
        "gamma-cat",
        "gamma-cat, TeV sources, 2018-07",
        (GAMMA_CAT, GAMMA_CAT_TEXT),
        "",
        166,
        {
            "name": "common_name", "ra": "ra", "dec": "dec", "l": "glon", "b": "glat", "frame": "icrs",
            "class": "classes", "extension": "extension_sigma", "flux": "spec_flux_1TeV", "flux_band": _ABOVE_1_TEV,
        },
        frozenset({"common_name", "classes", "morph_type", "morph_sigma", "morph_sigma2", "spec_flux_1TeV"}),
        "gamma-cat, github.com/gammapy/gamma-cat",
        _join_gamma_cat,
    ),
)  # fmt: skip
LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in _LAYOUTS}


# ---- reading ------------------------------------------------------------------------------------------------------


def lying(folder: Path, name: str) -> tuple[Path, ...]:
    """Where the file of a catalogue lies in the folder of the release; empty where it does not."""
    files = [next(file for file in RELEASE.files if file.path == path) for path in LAYOUTS[name].files]
    return tuple(path for file in files if (path := present(folder, file)) is not None)[:1]


def read_catalogue(folder: Path, name: str) -> Table:
    """A released catalogue with all its columns; see ``read_table`` for what ``meta`` says.

    Raises InputError for an unknown name, DataError for a missing or damaged file or another number of rows.
    """
    if name not in LAYOUTS:
        raise InputError(f"there is no released catalogue '{name}'.{did_you_mean(name, LAYOUTS)}")
    layout = LAYOUTS[name]
    path = next(iter(lying(folder, name)), None) or located(folder, RELEASE, layout.files[0])
    try:
        table = read_table(path, layout.table)
    except InputError as error:
        raise DataError(f"a file of the release is truncated or damaged: {error}. {REPAIR}") from error
    if len(table) != layout.rows or table.meta["layout"] != name:
        raise spoiled(
            f"{path} holds {len(table):,} rows of {table.meta['title']}, expected {layout.rows:,} of {layout.title}: "
            "it is not the published file"
        )
    return table


def read_table(path: Path, table: str = "") -> Table:
    """A user's table, or a copy of a catalogue that is known by its columns; see ``_source_tables.read_table``."""
    return _source_tables.read_table(path, _LAYOUTS, table)
