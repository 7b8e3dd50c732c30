"""The recipe of a release, and the texts made from it: README, LICENSE, CITATION.cff, citations."""

from __future__ import annotations

import json
import mimetypes
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.publish._compare import compare
from nuanalysis.publish._results import Input, Results


@dataclass(frozen=True, slots=True)
class Recipe:
    """``release.toml``; cite_only : DOIs of inputs whose files may be cited but not passed on.

    licence, code_licence : names of SPDX.    software : name and description of the program.
    """

    title: str
    description: str
    default_version: str
    licence: str
    licence_title: str
    licence_address: str
    code_licence: str
    authors: tuple[str, ...]
    publisher: str
    keywords: tuple[str, ...]
    cite_only: tuple[str, ...]
    software: Mapping[str, str]
    folders: Mapping[str, str]
    top: Mapping[str, str]

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


def rendered(
    template: str, filters: Mapping[str, Callable[..., Any]], /, *, autoescape: bool = False, **values: Any
) -> str:
    """A template of the recipe with these values; what it names and is not given is a fault."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=autoescape, undefined=StrictUndefined, keep_trailing_newline=not autoescape)
    environment.filters.update(filters)
    return environment.from_string(recipe_text(template)).render(**values)


def bare_doi(item: Input) -> str:
    """The DOI without resolver or scheme; '' where there is none."""
    return re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", item.doi)


def doi_text(item: Input) -> str:
    """The DOI as it may be printed: an unconfirmed one says so."""
    return f"doi:{bare_doi(item)}{'' if item.doi_confirmed else ' (unconfirmed)'}" if item.doi else "no DOI"


def origin_of_file(path: str, run: Results) -> str:
    """Origin of a file of a release, as its name and folder tell it."""
    folder, name = PurePosixPath(path).parts[0], PurePosixPath(path).name
    if "real-and-synthetic" in name:
        return "mixed"
    if "synthetic" in name:
        return "synthetic"
    if folder == "alerts":
        return "see the column origin of its table"
    if folder == "interpretation":
        return "see what it says itself"
    if folder == "response":
        return "derived from published tables"
    of_one = folder == "fits" and not name.startswith(("fits.", "campaign."))  # the others show every sample
    if of_one or folder in ("events", "maps", "trials", "products", "figures", "likelihood"):
        return "real"
    if folder in ("fits", "cut-flow", "report", "notebooks", "results.json"):
        origins = sorted({sample.origin for sample in run.samples})
        return origins[0] if len(origins) == 1 else "mixed"
    return "not applicable"


_MEDIA = {
    ".bib": "text/x-bibtex", ".cff": "application/yaml", ".ecsv": "text/plain", ".fits": "application/fits",
    ".ipynb": "application/x-ipynb+json", ".md": "text/markdown", ".toml": "application/toml",
    ".parquet": "application/vnd.apache.parquet", ".py": "text/x-python", ".vot": "application/x-votable+xml",
}  # fmt: skip
_OTHERS = mimetypes.MimeTypes(filenames=())  # not the tables of the machine: bytes of a release must not depend on it


def media_type(path: str) -> str:
    """The media type of a file of a release, by its ending; the same on every machine."""
    return _MEDIA.get(PurePosixPath(path).suffix) or _OTHERS.guess_type(path)[0] or "application/octet-stream"


_ORIGIN_WORDS = {
    "real": "REAL", "synthetic": "SYNTHETIC", "mixed": "REAL and SYNTHETIC, marked inside",
    "see the column origin of its table": "see the column origin of its table",
    "see what it says itself": "see what it says itself",
    "derived from published tables": "derived from published tables: see NOTES", "not applicable": "–",
}  # fmt: skip


def _folders(run: Results, about: Recipe, listed: Sequence[str]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Each folder that holds something: name, meaning, (file, origin) of what is inside."""
    made = []
    for folder, meaning in about.folders.items():
        inside = [name for name in listed if name.startswith(f"{folder}/")]
        if inside:
            named = [(name.removeprefix(f"{folder}/"), origin_of_file(name, run)) for name in inside]
            made.append((folder, meaning, named))
    return made


def _author(item: Input) -> str:
    """First words of the citation, up to its first comma: 'IceCube Collaboration'."""
    return item.citation.split(",")[0].strip() or "see notes"


def tex(text: str) -> str:
    """The text inside a field of BibTeX: braces would end the entry, a backslash begin a command."""
    return re.sub(r"([&%#_$])", r"\\\1", re.sub(r"[\\{}\s]+", " ", text))


def key(text: str) -> str:
    """The text as the key of an entry of BibTeX."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)


def _cell(text: str) -> str:
    """The text inside a table of Markdown, whose readers take '<' for HTML."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


_FILTERS: dict[str, Callable[..., Any]] = {
    "doi": doi_text,
    "bare_doi": lambda item: bare_doi(item) if item.doi_confirmed else "",
    "author": _author,
    "tex": tex,
    "key": key,
    "quoted": lambda text: json.dumps(text, ensure_ascii=False),  # a YAML scalar that cannot be misread: JSON is YAML
}


def text(name: str, run: Results, about: Recipe, version: str) -> str:
    """LICENSE: ours, and that of every input.  CITATION.cff 1.2.0, citations.bib: every input.

    A DOI that is not confirmed is named in words, not as an identifier.
    """
    return rendered(f"{name}.j2", _FILTERS, run=run, about=about, version=version)


def readme(run: Results, about: Recipe, name: str, version: str, listed: Sequence[str]) -> str:
    """README.md: what this is, what is real and what is synthetic, what each file holds, how to check it."""
    return rendered(
        "README.md.j2",
        {"cell": _cell},
        name=name,
        about=about,
        version=version,
        run=run,
        words=_ORIGIN_WORDS,
        results=[(one, {line.key: line.ours for line in compare(one)}) for one in run.of(MeasureAnswer)],
        listed=listed,
        further=sorted({one.section for one in run.answers} - {"measure"}),
        folders=_folders(run, about, listed),
        top=[(file, about.top.get(file, "")) for file in sorted([*listed, "MANIFEST.sha256"]) if "/" not in file],
    )
