"""From what a user types to a Template: 'pi0', 'NAME?key=value', a file; built maps are kept in the cache."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import DataError, EnvironmentFault, InputError, did_you_mean
from nuanalysis.ingest import cache_root, find, galactic_templates
from nuanalysis.ingest import cascades_2023 as release_2023
from nuanalysis.interpret import template_comparison
from nuanalysis.interpret.regions import SHARE_LOG10_ENERGY, galactic_fraction, region_fluxes
from nuanalysis.schema import Spectrum
from nuanalysis.sky import templates
from nuanalysis.sky.galaxy import GAS, SOURCES
from nuanalysis.sky.records import GEV_PIVOT_LOG10, CutOffPowerLaw, PowerLaw, TabulatedSpectrum, Template
from nuanalysis.sky.templates import (
    GEV_PER_TEV,
    NODE_COLUMN,
    PREFIX,
    RELATIVE,
    RELATIVE_FLUX,
    Built,
    Recipe,
    brightest,
    index_parameter,
    local_index,
    parameter,
    parse_recipe,
    pi0_hybrid,
)
from nuanalysis.store import atomic_write, sha256_file

PI0_MAP = Path("MainResult") / "Fermi-LAT_pi0_map.npy"
HYBRID = "pi0-hybrid"
HYBRID_COLUMN = "hi4pi_nh"
CACHE_FOLDER = "templates"
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Known:
    """A template that has a name: what it is, where it is from, which release it needs and whether that is here."""

    name: str
    summary: str
    origin: str
    needs: str
    here: bool
    stand_in: str = ""


# ---- names --------------------------------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """Every template that has a name."""
    return tuple(dict.fromkeys((*templates.PUBLISHED, HYBRID, *templates.BUILT_IN)))


def known_templates() -> tuple[Known, ...]:
    """Every template that has a name, published ones first.  Reads no map."""
    published = [
        Known(
            name,
            "the map published with the 2023 analysis",
            "published",
            release_2023.RELEASE.name,
            _holds(release_2023.RELEASE, PI0_MAP.as_posix()),
            templates.STAND_IN.get(name, ""),
        )
        for name in templates.PUBLISHED
    ]
    hybrid = Known(
        HYBRID, hybrid_recipe().summary, "built-in", galactic_templates.RELEASE.name, _column_path() is not None
    )
    built = [Known(name, recipe.summary, "built-in", "", True) for name, recipe in templates.BUILT_IN.items()]
    return (*published, hybrid, *(row for row in built if row.name != HYBRID))


def _holds(release: Any, path: str) -> bool:
    try:
        return (find(release) / path).is_file()
    except DataError:
        return False


def recipe_of(text: str) -> Built | None:
    """The recipe and parameters that a name stands for; None where it is a file or the published map.

    Raises InputError with all faults of the parameters.
    """
    text = text.removeprefix(PREFIX)
    name = text.partition("?")[0]
    if name == HYBRID:
        return parse_recipe(text, {HYBRID: hybrid_recipe()})
    if name in templates.PUBLISHED:
        if text != name:
            raise InputError(f"the template '{name}' takes no parameters; '{text}' gives some")
        return None if published_pi0() else parse_recipe(templates.STAND_IN[name], templates.BUILT_IN)
    return parse_recipe(text, templates.BUILT_IN) if name in templates.BUILT_IN else None


def is_file(text: str) -> bool:
    """Whether a template is a user's file, and no name that is known."""
    return text.removeprefix(PREFIX).partition("?")[0] not in names()


def check_template(text: str) -> None:
    """Raise InputError for what is wrong with a template's name and can be told without reading or making a map."""
    text = text.removeprefix(PREFIX)
    name = text.partition("?")[0]
    if not is_file(text):
        if text != name:
            recipe_of(text)
    elif not templates.parse(text).path.exists():
        raise InputError(f"there is no template '{name}' and no such file.{did_you_mean(name, names())}")


def open_template(text: str) -> Template:
    """The template a user named, with or without 'template:' before it.

    'pi0' (the published map where the user has it, else the stand-in, which says so in its name), a built-in one as
    'NAME?key=value&key=value', or a file as 'FILE?frame=...&ordering=...'.  What was built is kept in the cache.
    Raises InputError for unknown names, parameters and files, DataError where data of others are missing or damaged.
    """
    check_template(text)
    text = text.removeprefix(PREFIX)
    built = recipe_of(text)
    if built is not None:
        found = _made_once(built)
        return replace(found, remarks=(_stands_in(text, found.name),)) if text in templates.PUBLISHED else found
    if text in templates.PUBLISHED:
        path = published_pi0()
        assert path is not None  # recipe_of returned no stand-in
        return templates.PUBLISHED[text](path)
    return templates.read(templates.parse(text))


def _stands_in(name: str, built_in: str) -> str:
    return (
        f"template:{name} is the built-in {built_in} here: the published map is not; "
        f"'nuanalysis data fetch {release_2023.RELEASE.name}' brings it"
    )


def template(
    source: object,
    *,
    frame: object = "",
    ordering: str = "",
    units: object = "",
    flavour: str = "",
    energies: object = "",
    **said: object,
) -> Template:
    """A template from a name, a file, or an array.

    source : 'pi0', a built-in one as 'NAME?key=value' (see ``nuanalysis templates ls``); the path of a map; or the map
        itself, (pixel,) or (pixel, energy), HEALPix, a Quantity or plain numbers.
    frame, ordering : 'galactic', 'icrs' or 'ecliptic' (or a frame of astropy); 'ring' or 'nested'.
    units : 'relative', or of dN/dE or E^2 dN/dE per sr, such as 'GeV-1 cm-2 s-1 sr-1' (or a unit of astropy).
    flavour : of a flux: 'per-flavour' or 'all-flavours'.    energies : of maps at several, a Quantity.
    said : what else there is to say: ``name`` of an array; ``energy`` and ``index`` of a map at one energy; and what
        ``sky.templates.MapFile`` lists.  Nothing is guessed: what a file states need not be said, an array states
        nothing.
    Raises InputError with all faults, DataError where data of others are missing.

    >>> nu.template("isotropic").label
    'isotropic'
    """
    if isinstance(source, Template):
        return source
    words = {"frame": frame, "ordering": ordering, "units": units, "flavour": flavour, "energies": energies, **said}
    words = {key: word for key, word in words.items() if not (isinstance(word, str) and word == "")}
    if not isinstance(source, str | Path):
        return templates.read_array(source, name=str(words.pop("name", "array")), **words)
    text = str(source).removeprefix(PREFIX)
    if not words:
        return open_template(text)
    if not is_file(text):
        raise InputError(
            f"the template '{text}' is known and takes no {', '.join(words)}; parameters of a built-in one stand in "
            "its name, as in 'pi0-like?nside=64'"
        )
    check_template(text)
    return templates.read_template(text, **words)


def published_pi0() -> Path | None:
    """The published pi0 map where a user has it.  Raises DataError if it is another file."""
    try:
        path = find(release_2023.RELEASE) / PI0_MAP
    except DataError:
        return None
    if not path.is_file():
        return None
    wanted = next(file.sha256 for file in release_2023.RELEASE.files if file.path == PI0_MAP.as_posix())
    found = sha256_file(path)
    if found != wanted:
        raise DataError(
            f"{path} is not the published map: sha256 {found}, expected {wanted}. Remove it and run "
            "'nuanalysis data fetch cascades-2023' or 'nuanalysis data import cascades-2023 FOLDER'; a map of your own "
            "is tested with template:FILE"
        )
    return path


# ---- a published gas column with the cosmic rays of the built-in model --------------------------------------------


@dataclass(frozen=True, slots=True)
class HybridParameters:
    """Parameters of the hybrid of a measured gas column and the analytic model; as for pi0-like."""

    gas: str = parameter("bronfman-ferriere", "gas model of distances and molecules", choices=tuple(GAS))
    sources: str = parameter("case-1998", "where cosmic rays come from", choices=tuple(SOURCES))
    halo_height: float = parameter(4.0, "half-height of the halo of cosmic rays, kpc", low=1.0, high=20.0)
    index: float = index_parameter(2.7)


def hybrid_recipe() -> Recipe:
    """The recipe of 'pi0-hybrid'; making it reads the HI4PI column of the release galactic-templates."""
    return Recipe(
        HYBRID,
        "pi0-like emission of the measured HI4PI gas column, cosmic rays and molecular gas from the analytic model",
        galactic_templates.GAS[HYBRID_COLUMN][1],
        HybridParameters,
        _make_hybrid,
    )


def _make_hybrid(parameters: HybridParameters, nside: int) -> Template:
    column = galactic_templates.read_gas_map(find(galactic_templates.RELEASE), HYBRID_COLUMN)
    values = np.asarray(column["density"].values, dtype=np.float64)
    reference = f"{column.attrs['reference']}, Magellanic Clouds replaced by their surroundings"
    return pi0_hybrid.make(pi0_hybrid.without_magellanic_clouds(values), reference, nside, **asdict(parameters))


def _column_path() -> Path | None:
    try:
        path = find(galactic_templates.RELEASE) / f"{HYBRID_COLUMN}_nside64.fits"
    except DataError:
        return None
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)


# ---- the cache ----------------------------------------------------------------------------------------------------


def cache_path(built: Built) -> Path:
    """Where the map of a recipe is kept: named by what it depends on, so that it never goes out of date."""
    return cache_root() / CACHE_FOLDER / f"{_content_sha256(built)}.npz"


def _content_sha256(built: Built) -> str:
    """Of everything the map depends on: the recipe and its parameters, and the file of others that it reads."""
    column = _column_path() if built.recipe.name == HYBRID else None
    if column is None:
        return built.sha256
    return hashlib.sha256(f"{built.sha256} {sha256_file(column)}".encode()).hexdigest()


def _made_once(built: Built) -> Template:
    """The template from the cache, or made and put there; the same arrays either way."""
    path, sha256 = cache_path(built), _content_sha256(built)
    kept = _read_cached(path, sha256)
    if kept is not None:
        return kept
    made = _frozen(replace(built.make(), name=built.name, sha256=sha256))
    with suppress(EnvironmentFault):  # a cache that cannot be written costs seconds, not the answer
        atomic_write(path, _encoded(made))
    return made


def _frozen(template: Template) -> Template:
    maps = np.ascontiguousarray(template.maps, dtype=np.float64)
    log10_energy = np.ascontiguousarray(template.log10_energy, dtype=np.float64)
    maps.flags.writeable = log10_energy.flags.writeable = False
    return replace(template, maps=maps, log10_energy=log10_energy)


def _encoded(template: Template) -> bytes:
    """A template as the bytes of an .npz file that holds the digest of its own content."""
    header = json.dumps({
        "name": template.name,
        "label": template.label,
        "origin": template.origin,
        "reference": template.reference,
        "sha256": template.sha256,
        "flux": template.flux,
        "spectrum": _spectrum_record(template.spectrum),
    })  # fmt: skip
    digest = _digest(header, template.maps, template.log10_energy)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=np.array(header),
        digest=np.array(digest),
        maps=template.maps,
        log10_energy=template.log10_energy,
    )
    return buffer.getvalue()


def _digest(header: str, maps: NDArray[Any], log10_energy: NDArray[Any]) -> str:
    digest = hashlib.sha256(header.encode())
    for array in (maps, log10_energy):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read_cached(path: Path, sha256: str) -> Template | None:
    """The template kept under that name; None where there is none or its content is not what was written."""
    if not path.is_file():
        return None
    try:
        # From memory: a damaged file would be left open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            header, digest, maps, log10_energy = (held[key] for key in ("header", "digest", "maps", "log10_energy"))
        said = json.loads(str(header))
        if str(digest) != _digest(str(header), maps, log10_energy) or said["sha256"] != sha256:
            return None
        spectrum = _spectrum_of(said.pop("spectrum"))
        return _frozen(Template(maps=maps, log10_energy=log10_energy, spectrum=spectrum, **said))
    except _BROKEN:
        return None


_SPECTRA: dict[str, Callable[..., Spectrum]] = {
    "PowerLaw": PowerLaw,
    "CutOffPowerLaw": CutOffPowerLaw,
    "TabulatedSpectrum": lambda log10_energy, log10_value: TabulatedSpectrum(
        np.array(log10_energy, dtype=np.float64), np.array(log10_value, dtype=np.float64)
    ),
}


def _spectrum_record(spectrum: Spectrum) -> dict[str, Any]:
    """A spectrum as JSON; numbers keep every digit."""
    kind = type(spectrum).__name__
    match spectrum:
        case PowerLaw(index):
            return {"kind": kind, "index": index}
        case CutOffPowerLaw(index, cutoff):
            return {"kind": kind, "index": index, "cutoff": cutoff}
        case TabulatedSpectrum(log10_energy, log10_value):
            return {"kind": kind, "log10_energy": log10_energy.tolist(), "log10_value": log10_value.tolist()}
    raise TypeError(f"a {kind} cannot be kept in a file; expected one of {', '.join(_SPECTRA)}")


def _spectrum_of(record: dict[str, Any]) -> Spectrum:
    return _SPECTRA[record.pop("kind")](**record)


# ---- as HEALPix FITS ----------------------------------------------------------------------------------------------

DENSITY_UNIT = "sr-1"
ABSOLUTE_UNIT = "GeV-1 cm-2 s-1 sr-1"
SPECTRUM_REACH = (2.0, 8.0)  # log10(E/GeV): where a spectrum is written that has no table of its own
SPECTRUM_STEP = 0.1  # in log10 E, of a spectrum with a cut-off
FADED = 1.5  # above the cut-off, in log10 E: where exp(-E / cut-off) is 2e-14, the last energy that is written
SAME_ENERGY = 1e-6  # in log10 E
CARD_ROOM = 60  # characters of value and comment together


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
    table.header.add_comment(_plain(template.reference))
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
        case CutOffPowerLaw(_, cutoff):
            high = min(high, max(cutoff + FADED, GEV_PIVOT_LOG10 + SPECTRUM_STEP))
            needed = np.linspace(low, high, 1 + round((high - low) / SPECTRUM_STEP))
        case _:
            needed = np.linspace(low, high, 1 + round((high - low) / SPECTRUM_STEP))
    own = template.log10_energy if len(template.maps) > 1 else np.array([GEV_PIVOT_LOG10])
    wanted = np.sort(np.concatenate([needed, own[(own >= low) & (own <= high)]]))
    return np.asarray(wanted[np.append(True, np.diff(wanted) > SAME_ENERGY)])


def _cards(template: Template, *, alone: bool) -> list[tuple[str, Any, str]]:
    """What the header of the maps says."""
    relative = not template.flux
    cards: list[tuple[str, Any, str]] = [
        ("PIXTYPE", "HEALPIX", "pixelisation"),
        ("ORDERING", "RING", "pixel ordering"),
        ("COORDSYS", "C", "equatorial, ICRS"),
        ("NSIDE", template.nside, "resolution parameter"),
        ("FIRSTPIX", 0, "first pixel"),
        ("LASTPIX", 12 * template.nside**2 - 1, "last pixel"),
        ("INDXSCHM", "IMPLICIT", "full sky"),
        ("UNITS", (RELATIVE if alone else RELATIVE_FLUX) if relative else ABSOLUTE_UNIT, "of the values"),
        ("FLAVOUR", "per-flavour", "nu + nubar"),
        ("TEMPLATE", _plain(template.name), "name of the template"),
        ("ORIGIN", template.origin, "published, built-in or user file"),
        ("SPECTRUM", _plain(spectrum_in_words(template.spectrum)), "of the whole sky"),
        ("FLUX100", template.flux, "[TeV/cm2/s] E^2 dN/dE at 100 TeV; 0: relative"),
        ("SHA256", template.sha256, "of what it was made from"),
    ]
    if alone and isinstance(template.spectrum, PowerLaw):
        cards += [("INDEX", template.spectrum.index, "of the power law")]
    if alone and not relative:
        cards += [("ENERGY", "100 TeV", "of the map")]
    return cards


def _plain(text: str) -> str:
    """The text as FITS headers hold it."""
    return text.replace("π⁰", "pi0").replace("γ", "gamma").encode("ascii", "replace").decode()


# ---- in words and numbers -----------------------------------------------------------------------------------------

TABLE_LOG10_ENERGIES = (float(np.log10(5e3)), 5.0)  # GeV; of the intensities that are shown
PLAUSIBLE_INDEX = (1.0, 5.0)  # at 100 TeV; outside, a template is commented on


def spectrum_in_words(spectrum: Spectrum) -> str:
    """What a spectrum is, for people."""
    match spectrum:
        case PowerLaw(index):
            return f"E^-{index:g}"
        case CutOffPowerLaw(index, cutoff):
            return f"E^-{index:g}, cut off exponentially at {10.0 ** (cutoff - 3.0):g} TeV"
        case TabulatedSpectrum(log10_energy, _):
            low, high = (10.0 ** (end - 3.0) for end in (log10_energy[0], log10_energy[-1]))
            index = local_index(spectrum)
            slope = f", E^-{index:.2f} at 100 TeV" if np.isfinite(index) else ""
            return f"tabulated at {len(log10_energy)} energies from {low:g} to {high:g} TeV{slope}"
    return type(spectrum).__name__


def doubts(template: Template) -> list[str]:
    """What about a template can hardly be meant: more flux than all there is, or a strange slope."""
    said = []
    share = share_at_30_tev(template)
    if share is not None and share > 1.0:
        said.append(
            f"its flux at 30 TeV is {share:.3g} times the whole astrophysical flux: its energies or units are probably "
            "misstated"
        )
    index, (low, high) = local_index(template.spectrum), PLAUSIBLE_INDEX
    if np.isfinite(index) and not low <= index <= high:
        said.append(
            f"its spectrum at 100 TeV goes as E^-{index:.2f}; expected an index of {low:g} to {high:g}: check the "
            "energies, their unit and whether the values are dN/dE or E^2 dN/dE"
        )
    return said


def share_at_30_tev(template: Template) -> float | None:
    """The model's flux over the whole astrophysical flux at 30 TeV; None for a relative map."""
    return galactic_fraction(template, template.flux, SHARE_LOG10_ENERGY) if template.flux else None


def out_of_reach(template: Template, log10_energy: float) -> list[str]:
    """What to know of a template at an energy where its table or its maps have ended."""
    said = []
    if not float(template.spectrum.shape(np.array(log10_energy))) > 0:
        said.append(f"{template.name} has no flux at this energy: its spectrum has ended")
    low, high = template.log10_energy[0], template.log10_energy[-1]
    if len(template.maps) > 1 and not low - SAME_ENERGY <= log10_energy <= high + SAME_ENERGY:
        said.append(
            f"{template.name} has maps from {10 ** (low - 3):g} to {10 ** (high - 3):g} TeV; the nearest stands for "
            "this energy"
        )
    return said


def described(template: Template, *, flux: float = 0.0) -> dict[str, Any]:
    """What a template is: origin, energies, spectrum, where it is brightest, shares and intensities of the regions.

    flux : E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1, for the intensities; by default the model's own.  None where unknown.
    """
    chosen = flux or template.flux
    found = region_fluxes(template, flux=chosen, log10_energy=TABLE_LOG10_ENERGIES)
    longitude, latitude = brightest(template)
    index = local_index(template.spectrum)
    regions = [
        {
            "name": part.name,
            "label": part.label,
            "solid_angle": part.solid_angle,
            "share": float(found.share[k, 1]),
            "e2_flux_5_tev": float(found.intensity[k, 0]) if chosen else None,
            "e2_flux_100_tev": float(found.intensity[k, 1]) if chosen else None,
        }
        for k, part in enumerate(found.regions)
    ]
    return {
        "name": template.name,
        "label": template.label,
        "origin": template.origin,
        "reference": template.reference,
        "sha256": template.sha256,
        "nside": template.nside,
        "energies_tev": [float(10.0 ** (e - 3.0)) for e in template.log10_energy] if len(template.maps) > 1 else [],
        "spectrum": spectrum_in_words(template.spectrum),
        "index_at_100_tev": index if np.isfinite(index) else None,
        "flux": template.flux or None,
        "share_at_30_tev": share_at_30_tev(template),
        "flux_of_table": chosen or None,
        "flux_unit": "E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1, per flavour, nu + nubar, whole sky",
        "brightest": {"l_deg": longitude, "b_deg": latitude},
        "regions": regions,
        "doubts": doubts(template),
    }


def parameters_of(built: Built) -> list[dict[str, Any]]:
    """The parameters of a recipe: name, value, default, help, and what is allowed."""
    return [
        {
            "name": f.name,
            "value": getattr(built.parameters, f.name),
            "default": f.default,
            "help": f.metadata["help"],
            "choices": list(f.metadata["choices"]),
            "low": f.metadata["low"] if np.isfinite(f.metadata["low"]) else None,
            "high": f.metadata["high"] if np.isfinite(f.metadata["high"]) else None,
        }
        for f in fields(built.recipe.parameters)
    ]


def compared(found: template_comparison.Comparison) -> dict[str, Any]:
    """A comparison as one document; None where a ratio is not defined."""

    def number(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        "templates": list(found.names),
        "energy_tev": float(10.0 ** (found.log10_energy - 3.0)),
        "cosine": [{"width_deg": float(np.degrees(one.width)), "cosine": one.cosine} for one in found.likeness],
        "regions": [
            {
                "name": part.name,
                "label": part.label,
                "share": [float(found.share[0, k]), float(found.share[1, k])],
                "share_ratio": number(found.share_ratio[k]),
                "flux_ratio": number(found.flux_ratio[k]),
            }
            for k, part in enumerate(found.regions)
        ],
        "longitude_profile": {
            "region": "|b| < 8 deg",
            "edges_deg": np.degrees(template_comparison.LONGITUDE_EDGES).tolist(),
            "share_per_degree": [one.per_degree.tolist() for one in found.profiles],
        },
        "latitude_profiles": {
            "edges_deg": np.degrees(template_comparison.LATITUDE_EDGES).tolist(),
            "share_per_sr_l_below_60": [one.latitude_per_sr("inner").tolist() for one in found.profiles],
            "share_per_sr_l_above_60": [one.latitude_per_sr("outer").tolist() for one in found.profiles],
        },
    }
