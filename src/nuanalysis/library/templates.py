"""From what a user types to a Template: 'pi0', 'NAME?key=value', a file; built maps are kept in the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import UpstreamRelease, find, galactic_templates
from nuanalysis.ingest import cascades_2023 as release_2023
from nuanalysis.library._hybrid import HYBRID, column_path, hybrid_recipe
from nuanalysis.library._template_cache import CACHE_FOLDER, cache_path, made_once
from nuanalysis.records import Record, shown
from nuanalysis.sky import templates
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import PREFIX, Built, parse_recipe
from nuanalysis.store import sha256_file

__all__ = [
    "CACHE_FOLDER", "PI0_MAP", "Known", "cache_path", "check_template", "is_file", "known_templates", "names",
    "open_template", "published_pi0", "recipe_of", "template",
]  # fmt: skip

PI0_MAP = Path("MainResult") / "Fermi-LAT_pi0_map.npy"


class Known(Record):
    """A template that has a name: what it is, where it is from, which release it needs and whether that is here."""

    name: str = shown("template")
    summary: str = shown("what it is")
    origin: str = shown("published or built-in")
    needs: str = shown("release that it needs", "")
    here: bool = shown("whether that is here", True)
    stand_in: str = shown("template that stands in where it is not", "")

    def words(self, form: str = "") -> str:
        """For one line."""
        needs = f"; needs the release {self.needs} ({'here' if self.here else 'not here'})" if self.needs else ""
        instead = f", {self.stand_in} stands in" if self.stand_in and not self.here else ""
        return f"{self.name:<20} {self.origin:<10} {self.summary}{needs}{instead}"


def names() -> tuple[str, ...]:
    """Every template that has a name."""
    return tuple(dict.fromkeys((*templates.PUBLISHED, HYBRID, *templates.BUILT_IN)))


def known_templates() -> tuple[Known, ...]:
    """Every template that has a name, published ones first.  Reads no map."""
    published = [
        Known(
            name=name,
            summary="the map published with the 2023 analysis",
            origin="published",
            needs=release_2023.RELEASE.name,
            here=_holds(release_2023.RELEASE, PI0_MAP.as_posix()),
            stand_in=templates.STAND_IN.get(name, ""),
        )
        for name in templates.PUBLISHED
    ]
    hybrid = Known(
        name=HYBRID,
        summary=hybrid_recipe().summary,
        origin="built-in",
        needs=galactic_templates.RELEASE.name,
        here=column_path() is not None,
    )
    built = [Known(name=name, summary=recipe.summary, origin="built-in") for name, recipe in templates.BUILT_IN.items()]
    return (*published, hybrid, *(row for row in built if row.name != HYBRID))


def _holds(release: UpstreamRelease, path: str) -> bool:
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
        found = made_once(built)
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
