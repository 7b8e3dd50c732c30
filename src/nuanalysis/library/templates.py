"""From what a user types to a Template: 'pi0', 'NAME?key=value', a file; built maps are kept in the cache."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import DataError, EnvironmentFault, InputError, did_you_mean
from nuanalysis.ingest import UpstreamRelease, cache_root, find, galactic_templates
from nuanalysis.ingest import cascades_2023 as release_2023
from nuanalysis.records import Record, shown
from nuanalysis.sky import templates
from nuanalysis.sky.galaxy import GAS, SOURCES
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import (
    PREFIX,
    Built,
    Recipe,
    index_parameter,
    kra_gamma_compact_proxy,
    parameter,
    parse_recipe,
    pi0_hybrid,
)
from nuanalysis.store import ENDING, read_object, sha256_file, write_object

CACHE_FOLDER = "templates"
PI0_MAP = Path("MainResult") / "Fermi-LAT_pi0_map.npy"
HYBRID = "pi0-hybrid"
HYBRID_COLUMN = "hi4pi_nh"


class Known(Record):
    """A template that has a name: what it is, where it is from, which release it needs and whether that is here."""

    name: str = shown("template")
    summary: str = shown("what it is")
    origin: str = shown("published or built-in")
    needs: str = shown("release that it needs", "")
    here: bool = shown("whether that is here", True)
    stand_in: str = shown("template that stands in where it is not", "")

    def words(self, form: str = "") -> str:
        needs = f"; needs the release {self.needs} ({'here' if self.here else 'not here'})" if self.needs else ""
        instead = f", {self.stand_in} stands in" if self.stand_in and not self.here else ""
        return f"{self.name:<26} {self.origin:<10} {self.summary}{needs}{instead}"


@dataclass(frozen=True, slots=True)
class HybridParameters:
    """Parameters of the hybrid of a measured gas column and the analytic model; as for pi0-like."""

    gas: str = parameter("bronfman-ferriere", "gas model of distances and molecules", choices=tuple(GAS))
    sources: str = parameter("case-1998", "where cosmic rays come from", choices=tuple(SOURCES))
    halo_height: float = parameter(4.0, "half-height of the halo of cosmic rays, kpc", low=1.0, high=20.0)
    index: float = index_parameter(2.7)


def _make_hybrid(parameters: HybridParameters, nside: int) -> Template:
    """It reads the HI4PI column of the release galactic-templates."""
    column = galactic_templates.read_gas_map(find(galactic_templates.RELEASE), HYBRID_COLUMN)
    values = np.asarray(column["density"].values, dtype=np.float64)
    reference = f"{column.attrs['reference']}, Magellanic Clouds replaced by their surroundings"
    return pi0_hybrid.make(pi0_hybrid.without_magellanic_clouds(values), reference, nside, **asdict(parameters))


HYBRID_RECIPE = Recipe(
    HYBRID,
    "pi0-like emission of the measured HI4PI gas column, cosmic rays and molecular gas from the analytic model",
    galactic_templates.GAS[HYBRID_COLUMN][1],
    HybridParameters,
    _make_hybrid,
)


def published_pi0() -> Path | None:
    """The published pi0 map where a user has it.  Raises DataError if it is another file."""
    path = _in_release(release_2023.RELEASE, PI0_MAP.as_posix())
    if path is None:
        return None
    wanted = next(file.sha256 for file in release_2023.RELEASE.files if file.path == PI0_MAP.as_posix())
    if (found := sha256_file(path)) != wanted:
        raise DataError(
            f"{path} is not the published map: sha256 {found}, expected {wanted}. Remove it and run "
            "'nuanalysis data fetch cascades-2023' or 'nuanalysis data import cascades-2023 FOLDER'; a map of your own "
            "is tested with template:FILE"
        )
    return path


@dataclass(frozen=True, slots=True)
class OfFiles:
    """A built-in template that is made from a file of others.

    release : that the file belongs to.  path : where it lies; None where it is not here.  stand_in : template that is
        used in place of the file then; '' where it cannot be made without.
    """

    recipe: Recipe
    release: str
    path: Callable[[], Path | None]
    stand_in: str = ""


def _proxy(cutoff: int) -> OfFiles:
    """The compact proxy of KRA-gamma, from the pi0 map or what stands in for it."""

    def make(parameters: kra_gamma_compact_proxy.Parameters, nside: int) -> Template:
        return kra_gamma_compact_proxy.make(parameters, nside, cutoff=cutoff, pi0=open_template("pi0"))

    recipe = Recipe(
        f"kra-gamma-compact-proxy-{cutoff}",
        f"a proxy by shape: {kra_gamma_compact_proxy.SHAPE}, published spectrum of KRA-gamma, {cutoff} PeV",
        kra_gamma_compact_proxy.REFERENCE,
        kra_gamma_compact_proxy.Parameters,
        make,
    )
    return OfFiles(recipe, release_2023.RELEASE.name, published_pi0, templates.STAND_IN["pi0"])


def _column_path() -> Path | None:
    """Where the gas column lies; None where it is not here."""
    path = _in_release(galactic_templates.RELEASE, f"{HYBRID_COLUMN}_nside64.fits")
    return path or _in_release(galactic_templates.RELEASE, f"{HYBRID_COLUMN}_nside64.fits.gz")


def _in_release(release: UpstreamRelease, name: str) -> Path | None:
    """A file of a release; None where it is not here."""
    try:
        path = find(release) / name
    except DataError:
        return None
    return path if path.is_file() else None


#: Templates made from formulas and a file of others.
OF_FILES: dict[str, OfFiles] = {
    HYBRID: OfFiles(HYBRID_RECIPE, galactic_templates.RELEASE.name, _column_path),
    "kra-gamma-compact-proxy-5": _proxy(5),
    "kra-gamma-compact-proxy-50": _proxy(50),
}


def cache_path(built: Built) -> Path:
    """Where the map of a recipe is kept: named by what it depends on, so that it never goes out of date."""
    return cache_root() / CACHE_FOLDER / f"{_content_sha256(built)}{ENDING}"


def _content_sha256(built: Built) -> str:
    """Of everything the map depends on: the recipe and its parameters, and the file of others that it reads."""
    made_from = OF_FILES.get(built.recipe.name)
    path = made_from.path() if made_from else None
    if path is None:
        return built.sha256
    return hashlib.sha256(f"{built.sha256} {sha256_file(path)}".encode()).hexdigest()


def _sound(kept: Template) -> bool:
    """Whether the maps of a template from the cache, which may have come with it from elsewhere, are maps at all."""
    maps, nodes = kept.maps, kept.log10_energy
    if maps.dtype.kind != "f" or nodes.dtype.kind != "f" or not hp.isnpixok(maps.shape[1]):
        return False
    whole = maps.mean(axis=1) * 4.0 * np.pi
    return bool(np.isfinite(nodes).all() and np.all(maps >= 0.0) and np.allclose(whole, 1.0, rtol=1e-6))


def _made_once(built: Built) -> Template:
    """The template from the cache, or made and put there; the same arrays either way, closed to writing."""
    path, sha256 = cache_path(built), _content_sha256(built)
    kept = None
    if path.is_file():
        with suppress(DataError):
            kept = read_object(path)
    if not isinstance(kept, Template) or kept.sha256 != sha256 or not _sound(kept):
        kept = replace(built.make(), name=built.name, sha256=sha256)
        with suppress(EnvironmentFault):  # a cache that cannot be written costs seconds, not the answer
            write_object(path, kept)
    maps, log10_energy = (np.ascontiguousarray(one, dtype=np.float64) for one in (kept.maps, kept.log10_energy))
    maps.flags.writeable = log10_energy.flags.writeable = False
    return replace(kept, maps=maps, log10_energy=log10_energy)


def names() -> tuple[str, ...]:
    """Every template that has a name."""
    return tuple(dict.fromkeys((*templates.PUBLISHED, *OF_FILES, *templates.BUILT_IN)))


def known_templates() -> tuple[Known, ...]:
    """Every template that has a name, published ones first.  Reads no map."""
    published = [
        Known(
            name=name,
            summary="the map published with the 2023 analysis",
            origin="published",
            needs=release_2023.RELEASE.name,
            here=_in_release(release_2023.RELEASE, PI0_MAP.as_posix()) is not None,
            stand_in=templates.STAND_IN.get(name, ""),
        )
        for name in templates.PUBLISHED
    ]
    with_files = [
        Known(
            name=name,
            summary=one.recipe.summary,
            origin="built-in",
            needs=one.release,
            here=one.path() is not None,
            stand_in=one.stand_in,
        )
        for name, one in OF_FILES.items()
    ]
    built = [Known(name=name, summary=one.summary, origin="built-in") for name, one in templates.BUILT_IN.items()]
    return (*published, *with_files, *built)


def recipe_of(text: str) -> Built | None:
    """The recipe and parameters that a name stands for; None where it is a file or the published map.

    Raises InputError with all faults of the parameters.
    """
    text = text.removeprefix(PREFIX)
    name = text.partition("?")[0]
    if name in OF_FILES:
        return parse_recipe(text, {name: OF_FILES[name].recipe})
    if name in templates.PUBLISHED:
        if text != name:
            raise InputError(f"the template '{name}' takes no parameters; '{text}' gives some")
        return None if published_pi0() else parse_recipe(templates.STAND_IN[name], templates.BUILT_IN)
    return parse_recipe(text, templates.BUILT_IN) if name in templates.BUILT_IN else None


def is_file(text: str) -> bool:
    """Whether a template is a user's file, and no name that is known."""
    return text.removeprefix(PREFIX).partition("?")[0] not in names()


def needs_release(text: str) -> bool:
    """Whether a template of this name is read from, or made with, files of others."""
    name = text.removeprefix(PREFIX).partition("?")[0]
    return name in OF_FILES or (name in templates.PUBLISHED and published_pi0() is not None)


def check_template(text: str) -> None:
    """Raise InputError for what is wrong with a template's name and can be told without reading or making a map."""
    text = text.removeprefix(PREFIX)
    name = text.partition("?")[0]
    if not is_file(text):
        if text != name:
            recipe_of(text)
    elif not os.path.exists(templates.parse(text).path):  # noqa: PTH110  Path.exists raises for names too long
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
        stands_in = (
            f"template:{text} is the built-in {found.name} here: the published map is not; "
            f"'nuanalysis data fetch {release_2023.RELEASE.name}' brings it"
        )
        return replace(found, remarks=(stands_in,)) if text in templates.PUBLISHED else found
    if text in templates.PUBLISHED:
        path = published_pi0()
        assert path is not None  # recipe_of returned no stand-in
        return templates.PUBLISHED[text](path)
    return templates.read(templates.parse(text))


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
