"""From what a user types to a Hypothesis: template:pi0, template:FILE, stack:snr, point:RA,DEC."""

from __future__ import annotations

import numpy as np

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.library.catalogues import check_catalogue, is_own_file, open_catalogue
from nuanalysis.library.catalogues import content_of as catalogue_content
from nuanalysis.library.templates import check_template, is_file, open_template
from nuanalysis.model import OWN_SPECTRUM, Hypothesis, own_index
from nuanalysis.sky.records import Catalogue, PointSource, Template
from nuanalysis.sky.templates import parse, sidecar
from nuanalysis.store import sha256_file

_KINDS = ("template", "stack", "point")
DEFAULT_INDEX = 2.7


def _point(text: str) -> Catalogue:
    try:
        ra, dec = (float(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(
            f"'point:{text}' is not a direction; expected point:RA,DEC in degrees, for example point:83.63,22.01"
        ) from error
    source = PointSource(f"RA {ra:g} dec {dec:g} deg", float(np.radians(ra)), float(np.radians(dec)))
    return Catalogue(f"point-{ra:g}{dec:+g}", source.name, (source,), (1.0,), "user's direction, ICRS")


def check_name(name: str) -> tuple[str, str]:
    """Kind and rest of a hypothesis name.  Raises InputError for what can be told without reading a map."""
    kind, colon, rest = name.partition(":")
    if kind not in _KINDS or not colon or not rest:
        raise InputError(
            f"hypothesis '{name}' is not of the form template:NAME, template:FILE, stack:NAME or "
            f"point:RA,DEC.{did_you_mean(kind, _KINDS)}"
        )
    if kind == "stack":
        check_catalogue(rest)
    elif kind == "point":
        _point(rest)
    else:
        check_template(rest)
    return kind, rest


def read_hypothesis(name: str, *, index: float | None = None, index_free: bool | None = None) -> Hypothesis:
    """Return the hypothesis a user named.

    index : of a power law; by default that of the template, its own spectrum where that is no power law, else 2.7.
    index_free defaults to False for templates and True for stacks and points.  Raises InputError for unknown names,
    with what was meant where that can be guessed.
    """
    kind, rest = check_name(name)
    if kind == "template":
        target: Template | Catalogue = open_template(rest)
    elif kind == "stack":
        target = open_catalogue(rest)
    else:
        target = _point(rest)
    free = kind != "template" if index_free is None else index_free
    return Hypothesis(name, target, _default_index(target, free) if index is None else index, free)


def _default_index(target: Template | Catalogue, free: bool) -> float:
    own = own_index(target) if isinstance(target, Template) else DEFAULT_INDEX
    return DEFAULT_INDEX if free and own == OWN_SPECTRUM else own


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
    return "user file" if is_own_file(hypothesis.name.partition(":")[2]) else "published"


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
