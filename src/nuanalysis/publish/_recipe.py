"""The recipe of a release: what every release says, whatever the run, and how an input is named in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from nuanalysis.publish._results import Input


@dataclass(frozen=True, slots=True)
class Recipe:
    """``release.toml``; cite_only : DOIs of inputs whose files may be cited but not passed on."""

    title: str
    description: str
    default_version: str
    licence: str
    code_licence: str
    authors: tuple[str, ...]
    keywords: tuple[str, ...]
    cite_only: tuple[str, ...]
    folders: Mapping[str, str]

    def only_cites(self, item: Input) -> bool:
        """Whether the files of an input may be cited but not passed on."""
        return any(doi.lower() in item.doi.lower() for doi in self.cite_only)


def recipe_text(name: str) -> str:
    """Text of one file of the recipe: release.toml, results.schema.json, CHANGES.md or a template."""
    return (files("nuanalysis.publish") / "recipe" / name).read_text(encoding="utf-8")


def recipe() -> Recipe:
    """The recipe that ships with the package; data_release/ points to the same files."""
    raw = tomllib.loads(recipe_text("release.toml"))
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return Recipe(**fields)


def bare_doi(item: Input) -> str:
    """The DOI without resolver or scheme; '' where there is none."""
    return re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", item.doi)


def doi_text(item: Input) -> str:
    """The DOI as it may be printed: an unconfirmed one says so."""
    return f"doi:{bare_doi(item)}{'' if item.doi_confirmed else ' (unconfirmed)'}" if item.doi else "no DOI"
