"""From what a user types to a Hypothesis: template:pi0, template:FILE, stack:snr, point:RA,DEC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.library.catalogues import content_of as catalogue_content
from nuanalysis.library.catalogues import is_own_file, open_catalogue, parse_catalogue
from nuanalysis.library.catalogues import names as catalogue_names
from nuanalysis.library.templates import check_template, is_file, open_template
from nuanalysis.library.templates import names as template_names
from nuanalysis.model import OWN_SPECTRUM, Hypothesis, own_index
from nuanalysis.sky.records import WIDEST, Catalogue, PointSource, Template
from nuanalysis.sky.templates import parse, sidecar
from nuanalysis.store import sha256_file

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

DEFAULT_INDEX = 2.7


def point(direction: SkyCoord, *, extension: u.Quantity | None = None) -> PointSource:
    """A source in one direction of the sky, in any frame.

    extension : sigma of a round Gaussian; 0 for a point.    Raises InputError.

    >>> nu.point(SkyCoord("05h34m31.9s +22d00m52s"), extension=0.5 * u.deg).name
    'RA 83.6329 dec 22.0144 deg, sigma 0.5 deg'
    """
    try:
        place, width = direction.icrs, float(u.Quantity(extension).to_value(u.deg)) if extension is not None else 0.0
        ra, dec = float(place.ra.deg), float(place.dec.deg)
    except (AttributeError, TypeError, ValueError, u.UnitsError) as error:
        raise InputError(
            f"point({direction!r}, extension={extension!r}) cannot be read; expected one SkyCoord and an angle, as in "
            "point(SkyCoord(83.63, 22.01, unit='deg'), extension=0.5 * u.deg)"
        ) from error
    return _source(ra, dec, width)


def _source(ra: float, dec: float, width: float) -> PointSource:
    if not 0.0 <= np.radians(width) <= WIDEST:
        raise InputError(f"the extension is {width:g} deg; expected 0 to {np.degrees(WIDEST):g}")
    name = f"RA {ra:g} dec {dec:g} deg" + (f", sigma {width:g} deg" if width else "")
    return PointSource(name, float(np.radians(ra)), float(np.radians(dec)), float(np.radians(width)))


def _read_point(text: str) -> Catalogue:
    try:
        ra, dec, *width = (float(word) for word in text.split(","))
        source = _source(ra, dec, *(width or [0.0]))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"'point:{text}' is not a direction; expected point:RA,DEC or point:RA,DEC,EXTENSION in degrees, for "
            "example point:83.63,22.01"
        ) from error
    return _alone(source)


def _alone(source: PointSource) -> Catalogue:
    ra, dec = np.degrees([source.right_ascension, source.declination])
    return Catalogue(f"point-{ra:g}{dec:+g}", source.name, (source,), (1.0,), "user's direction, ICRS")


def hypothesis(asked: object, *, index: float | None = None, index_free: bool | None = None) -> Hypothesis:
    """What can be tested, from its name or from what it is.

    asked : 'template:pi0', 'template:FILE', 'stack:snr', 'point:RA,DEC[,EXTENSION]' in degrees; a Template, a
        Catalogue, a PointSource, a SkyCoord, or a Hypothesis.
    index, index_free : see ``read_hypothesis``.    Raises InputError.

    >>> nu.hypothesis("stack:snr").index_free
    True
    """
    if isinstance(asked, str):
        return read_hypothesis(asked, index=index, index_free=index_free)
    if isinstance(asked, Hypothesis):
        free = asked.index_free if index_free is None else index_free
        return replace(asked, index=asked.index if index is None else index, index_free=free)
    if hasattr(asked, "icrs"):
        asked = point(asked)
    if isinstance(asked, PointSource):
        angles = np.degrees([asked.right_ascension, asked.declination, asked.extension])[: 3 if asked.extension else 2]
        return _posed("point:" + ",".join(f"{angle:.8g}" for angle in angles), _alone(asked), index, index_free)
    if isinstance(asked, Template | Catalogue):
        kind = "template" if isinstance(asked, Template) else "stack"
        return _posed(f"{kind}:{asked.name}", asked, index, index_free)
    raise InputError(
        f"expected a name, template, catalogue, point or SkyCoord, found {type(asked).__name__}; an array becomes a "
        "hypothesis by template(...), a table of sources by catalogue(...)"
    )


def _posed(name: str, target: Template | Catalogue, index: float | None, index_free: bool | None) -> Hypothesis:
    free = isinstance(target, Catalogue) if index_free is None else index_free
    if index is None:
        index = own_index(target) if isinstance(target, Template) else DEFAULT_INDEX
        index = DEFAULT_INDEX if free and index == OWN_SPECTRUM else index
    return Hypothesis(name, target, index, free)


_Reader = tuple[Callable[[str], object], Callable[[str], Template | Catalogue]]
_KINDS: dict[str, _Reader] = {
    "template": (check_template, open_template),
    "stack": (parse_catalogue, open_catalogue),
    "point": (_read_point, _read_point),
}


def check_name(name: str) -> tuple[str, str]:
    """Kind and rest of a hypothesis name.  Raises InputError for what can be told without reading a map."""
    kind, colon, rest = name.partition(":")
    if kind not in _KINDS or not colon or not rest:
        bare = name.partition("?")[0]
        of = "template" if bare in template_names() else "stack" if bare in catalogue_names() else ""
        meant = f" Did you mean '{of}:{bare}'?" if of else did_you_mean(kind, _KINDS)
        raise InputError(
            f"hypothesis '{name}' is not of the form template:NAME, template:FILE, stack:NAME or point:RA,DEC.{meant}"
        )
    _KINDS[kind][0](rest)
    return kind, rest


def read_hypothesis(name: str, *, index: float | None = None, index_free: bool | None = None) -> Hypothesis:
    """Return the hypothesis a user named.

    index : of a power law; by default that of the template, its own spectrum where that is no power law, else 2.7.
    index_free defaults to False for templates and True for stacks and points.  Raises InputError for unknown names,
    with what was meant where that can be guessed.
    """
    kind, rest = check_name(name)
    return _posed(name, _KINDS[kind][1](rest), index, index_free)


def read_hypotheses(name: str, *, index: float | None = None, index_free: bool | None = None) -> tuple[Hypothesis, ...]:
    """As read_hypothesis; ``each:NAME`` stands for every source of a catalogue, each a hypothesis of its own."""
    if not name.startswith("each:"):
        return (read_hypothesis(name, index=index, index_free=index_free),)
    listed = open_catalogue(name.removeprefix("each:"))
    return tuple(
        Hypothesis(
            f"each:{listed.name}/{source.name}",
            Catalogue(source.name, source.name, (source,), (1.0,), listed.reference),
            DEFAULT_INDEX if index is None else index,
            index_free is not False,
        )
        for source in listed.sources
    )


def model_origin(hypothesis: Hypothesis) -> str:
    """'published', 'built-in', 'user file' or 'user direction'."""
    if isinstance(hypothesis.target, Template):
        return hypothesis.target.origin
    if hypothesis.name.startswith("point:"):
        return "user direction"
    kind, _, rest = hypothesis.name.partition(":")
    listed = rest.removesuffix(f"/{hypothesis.target.name}") if kind == "each" else rest
    return "user file" if is_own_file(listed) else "published"


def content_of(name: str) -> str:
    """What a hypothesis depends on besides its name: checksums of a user's file and of the words beside it.

    '' where there is none: a built-in template is code, and the published map belongs to its release.
    """
    if name.startswith("each:"):
        return content_of(f"stack:{name.removeprefix('each:')}")
    kind, rest = check_name(name)
    if kind == "stack":
        return catalogue_content(rest)
    if kind == "template" and is_file(rest):
        path = parse(rest).path
        return f"{sha256_file(path)} {sorted(sidecar(path).items())}"
    return ""
