"""What a run folder holds: its validated results.json and the figures that may be published."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from nuanalysis.errors import DataError, StepMissing

Row = Mapping[str, Any]
_SHOWN_FAULTS = 20


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


def results_schema() -> dict[str, Any]:
    """JSON Schema of results.json."""
    return dict(json.loads(recipe_text("results.schema.json")))


def check_results(document: object, *, source: str) -> dict[str, Any]:
    """Return the document if it keeps the JSON Schema of results.json.

    Raises DataError that lists all faults at once.
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    found = sorted(
        Draft202012Validator(results_schema()).iter_errors(document), key=lambda e: [str(p) for p in e.absolute_path]
    )
    if found:
        lines = [f"{'/'.join(str(p) for p in e.absolute_path) or 'document'}: {e.message}" for e in found]
        more = [f"... and {len(lines) - _SHOWN_FAULTS} more"] if len(lines) > _SHOWN_FAULTS else []
        raise DataError(
            f"{source} does not keep the results schema (version 1):\n  - "
            + "\n  - ".join([*lines[:_SHOWN_FAULTS], *more])
            + "\nRun the analysis again with this version of nuanalysis."
        )
    return dict(document)  # type: ignore[call-overload, no-any-return]


def load_results(run_folder: Path) -> dict[str, Any]:
    """results.json of the run, checked against its schema.

    Raises StepMissing where the run has none yet, DataError where it is damaged.
    """
    path = run_folder / "results.json"
    if not path.is_file():
        raise StepMissing(f"no results.json in {run_folder}; run 'nuanalysis run SPEC' first")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no JSON ({error}); run the analysis again, finished parts are kept") from error
    return check_results(document, source=str(path))


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


def doi_text(row: Row) -> str:
    """The DOI of an input as it may be printed: an unconfirmed one says so."""
    if not row["doi"]:
        return "no DOI"
    doi = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", row["doi"])
    return f"doi:{doi}" + ("" if row["doi_confirmed"] else " (unconfirmed)")
