"""What a release is made from besides results: the recipe, and the figures of a run that may be published."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from nuanalysis.errors import DataError
from nuanalysis.publish._results import Input


@dataclass(frozen=True, slots=True)
class Shown:
    """A finished figure of the run: the PNG and what its sidecar says."""

    path: Path
    slug: str
    alt: str
    caption: str
    origin: str
    section: str
    rank: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """``release.toml``: what every release says, whatever the run."""

    title: str
    description: str
    default_version: str
    licence: str
    code_licence: str
    authors: tuple[str, ...]
    keywords: tuple[str, ...]
    cite_only: tuple[str, ...]
    folders: Mapping[str, str]


def recipe_text(name: str) -> str:
    """Text of one file of the recipe: release.toml, results.schema.json or CHANGES.md."""
    return (files("nuanalysis.publish") / "recipe" / name).read_text(encoding="utf-8")


def recipe() -> Recipe:
    """The recipe that ships with the package; data_release/ points to the same files."""
    raw = tomllib.loads(recipe_text("release.toml"))
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return Recipe(**fields)


def load_figures(run_folder: Path) -> tuple[Shown, ...]:
    """Figures of the run that are finished: those with a sidecar, in the order of their ranks, then names.

    A PNG without a sidecar is half written and is left out.
    """
    shown = []
    for sidecar in sorted((run_folder / "figures").glob("*.json")):
        try:
            record = json.loads(sidecar.read_text(encoding="utf-8"))
            texts = {key: str(record[key]) for key in ("slug", "alt", "caption", "origin", "section")}
            one = Shown(path=sidecar.with_suffix(".png"), rank=int(record.get("rank", 0)), **texts)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{sidecar} does not describe a figure ({error!r}); draw the figures again") from error
        if not one.path.is_file() or not one.alt.strip():
            raise DataError(f"{sidecar} has no picture beside it or no alt text; draw the figures again")
        shown.append(one)
    return tuple(sorted(shown, key=lambda one: (one.rank, one.slug)))


def bare_doi(item: Input) -> str:
    """The DOI of an input without an address before it."""
    return re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", item.doi)


def doi_text(item: Input) -> str:
    """The DOI of an input as it may be printed: an unconfirmed one says so."""
    return f"doi:{bare_doi(item)}" + ("" if item.doi_confirmed else " (unconfirmed)") if item.doi else "no DOI"


def cite_only(item: Input, about: Recipe) -> bool:
    """True for an input whose files may be cited but not passed on."""
    return any(doi.lower() in item.doi.lower() for doi in about.cite_only)
