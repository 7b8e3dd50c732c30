"""What looks wrong in a table although every value can be read: each with the words that settle it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.catalogues._columns import canonical
from nuanalysis.sky.catalogues._table import Column, SourceTable, some

FEWEST_FOR_A_DOUBT = 5  # sources; fewer may all lie within 24 deg of the origin by chance
WIDE = 5.0  # deg: of known sources of gamma rays the widest have about this
_OLD = re.compile(r"(?<!\d)(1950|1900|1875|1855)(?!\d)|\bfk4\b", re.IGNORECASE)
_OLD_WORD = re.compile(r"\bFK4\b|\bB?1950(\.0*)?(?![\d+-])", re.IGNORECASE)
_EQUINOX = re.compile(r"^(coord(inate)?_?(s(ys(tem)?)?)?|equinox|epoch|frame|rad(ec|e)sys)$")
_NEW = re.compile(r"2000|icrs|fk5", re.IGNORECASE)
_NOT_SIGMA = re.compile(
    r"radius|diam|disc|disk|fwhm|contain|r_?(39|50|68|80|90|95)(?!\d)|semi_?(maj|min)", re.IGNORECASE
)
_SHAPE = re.compile(r"shape|morph|model|spatial", re.IGNORECASE)
_SHAPES = re.compile(r"dis[ck]|shell|ring|r68|radial", re.IGNORECASE)
_PIVOT = re.compile(r"(^|_)(e_?0|e_?ref|e_?pivot|pivot(_energy|_e)?|(energy|e)_(ref|pivot)|ref(erence)?_(energy|e))$")
_THRESHOLD = re.compile(r"(^|_)(e_?th(r(es(hold)?)?)?|(energy_)?threshold|threshold_energy|e_?min|energy_min)$")
_FLUX_UNIT = re.compile(r"^(flux_units?|units?_flux|units?_of_flux)$")
_FLUX_NAME = re.compile(r"flux|norm|dnde|phi|^[fnks]_?0?$", re.IGNORECASE)
_PER_ENERGY = ("cm-2 s-1 TeV-1", "cm-2 s-1 erg-1")


def unit_doubts(key: str, longitude: Floats, latitude: Floats, *, radians_too: bool) -> list[str]:
    """Hours or radians that nobody said."""
    if len(longitude) < FEWEST_FOR_A_DOUBT or longitude.min() < 0.0:
        return []
    if radians_too and longitude.max() <= 2 * np.pi and np.abs(latitude).max() <= np.pi / 2:
        return [
            f"its directions are read as deg, but {key} is below 2 pi and the latitude below pi / 2 for all "
            f"{len(longitude)}: they look like radians; say unit=rad, or unit=deg if they are right"
        ]
    if key == "ra" and longitude.max() <= 24.0:
        return [
            f"its ra is read as deg, but all {len(longitude)} values lie below 24: they look like hours; say "
            "unit=hourangle, or unit=deg if they are right"
        ]
    return []


def _of_a_column(used: Mapping[str, str], columns: Mapping[str, Column]) -> list[str]:
    """A column that says of each source in which system, or of which equinox, it is."""
    for name, column in columns.items():
        values = column.values.tolist() if _EQUINOX.search(canonical(name)) and name not in used.values() else []
        if old := [value for value in values if _OLD_WORD.search(str(value))]:
            return [
                f"its column '{name}' says {old[0]} of {len(old)} of {len(values)} sources; say frame=fk4, which "
                "precesses all, or sure=frame if all are ICRS; the rule can take those of one"
            ]
    return []


def equinox_doubts(used: Mapping[str, str], columns: Mapping[str, Column], stated: str) -> list[str]:
    """Directions of an equinox before J2000 that nobody said: by the names of the columns, or as the file states it."""
    words = {f"{used[key]} {columns[used[key]].about}" for key in ("ra", "dec")}
    old = [found.group(0) for text in words if (found := _OLD.search(text)) and not _NEW.search(text)]
    if not old and stated != "fk4":
        return _of_a_column(used, columns)
    which = f"'{used['ra']}' and '{used['dec']}'"
    if old and "1950" not in old[0] and "fk4" not in old[0].lower():
        return [
            f"its columns {which} are of the equinox {old[0]}: precess them to J2000 (astropy: SkyCoord(ra, dec, "
            f"frame=FK4(equinox='B{old[0]}')).icrs), or say sure=frame if they are ICRS"
        ]
    why = "by their names" if old else "as the file states"
    return [
        f"its columns {which} are of B1950, {why}; say frame=fk4, which precesses them, or sure=frame if they are ICRS"
    ]


def extension_doubts(name: str, columns: Mapping[str, Column]) -> list[str]:
    """Radii and diameters that nobody said, by the name of the column or by a column of shapes beside it."""
    said = "say extension_kind=sigma, disc (a radius), diameter, r39, r68 or fwhm, or extension=none for points"
    if found := _NOT_SIGMA.search(f"{canonical(name)} {columns[name].about}"):
        return [
            f"its extension column '{name}' is read as the sigma of a Gaussian, but '{found.group(0)}' is said of it; "
            f"{said}"
        ]
    for other, column in columns.items():
        if column.values.dtype.kind == "U" and _SHAPE.search(other):
            shapes = sorted({word for word in column.values.tolist() if _SHAPES.search(word)})
            if shapes:
                return [
                    f"its extension column '{name}' is read as the sigma of a Gaussian, but '{other}' says "
                    f"{some(map(repr, shapes))}; {said}, and take sources of one shape with the rule"
                ]
    return []


def width_doubts(name: str, values: Floats) -> list[str]:
    """Extensions of no stated unit that are wide for degrees and usual for minutes of arc."""
    widest = float(np.nanmax(values, initial=0.0))
    if not widest > WIDE:
        return []
    return [
        f"its extension column '{name}' states no unit and reaches {widest:g}, read as deg; say extension_unit=deg, "
        "arcmin or arcsec, or extension=none for points"
    ]


def flux_doubts(table: SourceTable, rows: Ints, weight: str) -> list[str]:
    """Fluxes of different reference energies, thresholds or units, by which sources would be weighted."""
    if "flux" in table.used.get("sure", "").split(",") or (weight == "flux" and table.flux_band):
        return []
    column = table.columns.get(table.used.get("flux", "flux") if weight == "flux" else weight)
    unit = table.flux_unit if weight == "flux" else column.unit if column else ""
    if weight != "flux" and not (_is_flux(unit) or (not unit and _FLUX_NAME.search(canonical(weight)))):
        return []
    beside = [_FLUX_UNIT] if not unit else []
    beside += [_PIVOT] if not unit or _per_energy(unit) else []
    beside += [_THRESHOLD] if not _per_energy(unit) else []
    doubts = []
    for name, other in table.columns.items():
        if name != weight and any(pattern.search(canonical(name)) for pattern in beside):
            values = [one for one in dict.fromkeys(other.values[rows].tolist()) if one and one == one]
            if len(values) > 1:
                doubts.append(
                    f"the {weight} by which they are weighted is of different '{name}' ({some(values)}): bring all to "
                    "one, take those of one with the rule, or say sure=flux if they can be compared"
                )
    return doubts


def _is_flux(unit: str) -> bool:
    return any(_converts(unit, one) for one in ("cm-2 s-1", "erg cm-2 s-1", *_PER_ENERGY))


def _per_energy(unit: str) -> bool:
    return any(_converts(unit, one) for one in _PER_ENERGY)


def _converts(unit: str, other: str) -> bool:
    """Whether one unit is a multiple of another; photons count as numbers."""
    try:
        found = u.Unit(unit)
        return bool((found / u.Unit(other)).decompose().is_equivalent(u.dimensionless_unscaled)) or bool(
            (found / u.photon / u.Unit(other)).decompose().is_equivalent(u.dimensionless_unscaled)
        )
    except (ValueError, TypeError):
        return False
