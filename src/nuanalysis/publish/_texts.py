"""The texts of a release: README, LICENSE, CITATION.cff, citations; from results.json and the recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.publish._compare import compare
from nuanalysis.publish._recipe import Recipe, bare_doi, doi_text, recipe_text
from nuanalysis.publish._results import Input, Results

_TOP_FILES = {
    "README.md": "this text",
    "LICENSE": "terms of this release and of its inputs",
    "CITATION.cff": "how to cite this release",
    "CHANGES.md": "what changed between releases",
    "MANIFEST.sha256": "sha256 of every file, for `sha256sum -c`",
    "manifest.json": "the same for programs, with size, media type and origin",
    "citations.bib": "every input, BibTeX",
    "citations.ecsv": "every input, table",
    "environment.json": "versions of the software",
    "results.json": "everything the run found, for programs",
    "results.schema.json": "JSON Schema of results.json",
    "spec.toml": "what was asked for; `nuanalysis run spec.toml` makes it again",
}


def origin_of_file(path: str, run: Results) -> str:
    """Origin of a file of a release, as its name and folder tell it."""
    folder, name = PurePosixPath(path).parts[0], PurePosixPath(path).name
    if "real-and-synthetic" in name:
        return "mixed"
    if "synthetic" in name:
        return "synthetic"
    if folder == "response":
        return "derived from published tables"
    of_one = folder == "fits" and not name.startswith(("fits.", "campaign."))  # the others show every sample
    if of_one or folder in ("events", "maps", "trials", "products", "figures"):
        return "real"
    if folder in ("fits", "cut-flow", "report", "notebooks", "results.json"):
        origins = sorted({sample.origin for sample in run.samples})
        return origins[0] if len(origins) == 1 else "mixed"
    return "not applicable"


_ORIGIN_WORDS = {
    "real": "REAL", "synthetic": "SYNTHETIC", "mixed": "REAL and SYNTHETIC, marked inside",
    "derived from published tables": "derived from published tables: see NOTES", "not applicable": "–",
}  # fmt: skip


def _folders(run: Results, about: Recipe, files: Sequence[str]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Each folder that holds something: name, meaning, (file, origin) of what is inside."""
    made = []
    for folder, meaning in about.folders.items():
        inside = [name for name in files if name.startswith(f"{folder}/")]
        if inside:
            made.append(
                (folder, meaning, [(name.removeprefix(f"{folder}/"), origin_of_file(name, run)) for name in inside])
            )
    return made


def readme(run: Results, about: Recipe, name: str, version: str, files: Sequence[str]) -> str:
    """README.md: what this is, what is real and what is synthetic, what each file holds, how to check it."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(recipe_text("README.md.j2")).render(
        name=name,
        about=about,
        version=version,
        run=run,
        words=_ORIGIN_WORDS,
        results=[(one, {line.key: line.ours for line in compare(one)}) for one in run.of(MeasureAnswer)],
        further=sorted({one.section for one in run.answers} - {"measure"}),
        folders=_folders(run, about, files),
        top=[(file, _TOP_FILES.get(file, "")) for file in sorted([*files, "MANIFEST.sha256"]) if "/" not in file],
    )


def licence(run: Results, about: Recipe) -> str:
    """LICENSE: ours, and that of every input."""
    lines = [
        f"Data, figures and texts of this release: Creative Commons Attribution 4.0 International ({about.licence}).",
        "Legal code: https://creativecommons.org/licenses/by/4.0/legalcode",
        f"You may share and adapt them, with credit to {', '.join(about.authors)} (see CITATION.cff)",
        "and a note of what you changed.",
        "They come without warranty of any kind.",
        "",
        f"The software that made them is licensed {about.code_licence}.",
        "",
        "Inputs keep their own terms:",
        "",
    ]
    for item in run.inputs:
        passed = (
            "cited only, none of its files is part of this release"
            if about.only_cites(item)
            else "derived products are part of this release"
        )
        lines += [
            f"- {item.title} ({doi_text(item)})",
            f"  licence: {item.licence}; {passed}.",
            f"  {item.citation}",
        ]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """A YAML scalar that cannot be misread: JSON strings are YAML."""
    return json.dumps(text, ensure_ascii=False)


def citation_cff(run: Results, about: Recipe, version: str) -> str:
    """CITATION.cff 1.2.0; a DOI that is not confirmed is named in words, not as an identifier."""
    lines = [
        "cff-version: 1.2.0",
        'message: "If you use this data release, please cite it, and the inputs you rely on (references)."',
        "type: dataset",
        f"title: {_quoted(about.title)}",
        f"abstract: {_quoted(about.description)}",
        f"version: {_quoted(version)}",
        f"date-released: {_quoted(run.created[:10])}",
        f"license: {about.licence}",
        "authors:",
        *(f"  - name: {_quoted(author)}" for author in about.authors),
        "keywords:",
        *(f"  - {_quoted(word)}" for word in about.keywords),
    ]
    if run.inputs:
        lines.append("references:")
    for item in run.inputs:
        lines += [
            "  - type: data",
            f"    title: {_quoted(item.title)}",
            "    authors:",
            f"      - name: {_quoted(_author(item))}",
        ]
        known = bool(bare_doi(item)) and item.doi_confirmed
        lines += [f"    doi: {_quoted(bare_doi(item))}"] if known else []
        lines.append(f"    notes: {_quoted(item.citation if known else item.citation + '; ' + doi_text(item))}")
    return "\n".join([*lines, ""])


def _author(item: Input) -> str:
    """First words of the citation, up to its first comma: 'IceCube Collaboration'."""
    return item.citation.split(",")[0].strip() or "see notes"


def citations_bib(run: Results) -> str:
    """BibTeX of every input; citations as published, unconfirmed DOIs only in the note."""
    entries = []
    for item in run.inputs:
        fields = {
            "title": "{" + item.title + "}",
            "author": "{" + _author(item) + "}",
            "howpublished": item.citation,
        }
        if bare_doi(item) and item.doi_confirmed:
            fields["doi"] = bare_doi(item)
        fields["note"] = f"{doi_text(item)}; licence: {item.licence}"
        body = "".join(f"  {key} = {{{_tex(value)}}},\n" for key, value in fields.items())
        entries.append(f"@misc{{{re.sub(r'[^A-Za-z0-9_-]', '-', item.name)},\n{body}}}\n")
    return "\n".join(entries)


def _tex(text: str) -> str:
    return re.sub(r"(?<!\\)([&%#_$])", r"\\\1", text)
