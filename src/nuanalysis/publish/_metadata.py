"""What a release says of itself to machines: DataCite 4.5, CodeMeta 3.0, and a frictionless data package.

All of it is written from release.toml, results.json and the files; nothing is said twice by hand.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from nuanalysis.publish._results import Input, Results
from nuanalysis.publish._texts import Recipe, bare_doi, media_type
from nuanalysis.store import sha256_file

DATACITE, CODEMETA, PACKAGE, CRATE = "datacite.json", "codemeta.json", "datapackage.json", "ro-crate-metadata.json"
#: In the order in which they are written: each may list those before it.
METADATA = (DATACITE, CODEMETA, PACKAGE, CRATE)
_DOI = "https://doi.org/"


@dataclass(frozen=True, slots=True)
class Release:
    """What metadata are written from.    files : paths inside the folder, sorted, as many as are there by now."""

    run: Results
    about: Recipe
    name: str
    version: str
    folder: Path
    files: tuple[str, ...]

    @property
    def origins(self) -> str:
        """Whether the events are real: 'real', 'synthetic' or 'real and synthetic'."""
        return " and ".join(sorted({sample.origin for sample in self.run.samples}))

    @property
    def warning(self) -> str:
        """A sentence for every description of a release that holds synthetic events."""
        marked = "Some files hold synthetic events, marked in their names and headers; they are not detector data."
        return marked if "synthetic" in self.origins else ""

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return (self.folder / path).stat().st_size

    def meaning(self, path: str) -> str:
        """What a file is, in the words of the recipe."""
        folder = PurePosixPath(path).parts[0]
        return self.about.top.get(path) or self.about.folders.get(folder, "")


def doi_address(item: Input) -> str:
    """Address of the DOI of an input; '' where there is none that is confirmed."""
    return f"{_DOI}{bare_doi(item)}" if item.doi and item.doi_confirmed else ""


def datacite(release: Release) -> dict[str, Any]:
    """DataCite 4.5, without a DOI: a registry gives one.  An input without a confirmed DOI is a related item."""
    run, about = release.run, release.about
    words = (about.description, release.warning, f"Events: {release.origins}.")
    return {
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Data release"},
        "creators": [{"name": author, "nameType": "Organizational"} for author in about.authors],
        "titles": [{"title": f"{about.title} ({release.name})"}],
        "publisher": {"name": about.publisher},
        "publicationYear": run.created[:4],
        "dates": [{"date": run.created[:10], "dateType": "Created"}],
        "language": "en",
        "subjects": [{"subject": word} for word in about.keywords],
        "version": release.version,
        "sizes": [f"{len(release.files)} files"],
        "formats": sorted({media_type(path) for path in release.files}),
        "rightsList": [
            {
                "rights": about.licence_title, "rightsUri": about.licence_address, "rightsIdentifier": about.licence,
                "rightsIdentifierScheme": "SPDX", "schemeUri": "https://spdx.org/licenses/",
            }
        ],
        "descriptions": [{"description": " ".join(filter(None, words)), "descriptionType": "Abstract"}],
        "alternateIdentifiers": [
            {"alternateIdentifier": release.name, "alternateIdentifierType": "name of the release"}
        ],
        "relatedIdentifiers": [
            {"relatedIdentifier": bare_doi(item), "relatedIdentifierType": "DOI", "relationType": "IsDerivedFrom"}
            for item in run.inputs if doi_address(item)
        ],
        "relatedItems": [
            {"relatedItemType": "Dataset", "relationType": "IsDerivedFrom", "titles": [{"title": item.title}]}
            for item in run.inputs if not doi_address(item)
        ],
    }  # fmt: skip


def codemeta(release: Release) -> dict[str, Any]:
    """CodeMeta 3.0 of the software that made the release."""
    about, versions = release.about, release.run.versions
    return {
        "@context": "https://w3id.org/codemeta/3.0",
        "type": "SoftwareSourceCode",
        "name": about.software["name"],
        "description": about.software["description"],
        "version": versions["nuanalysis"],
        "license": f"https://spdx.org/licenses/{about.code_licence}",
        "author": [{"type": "Organization", "name": author} for author in about.authors],
        "keywords": list(about.keywords),
        "programmingLanguage": {"type": "ComputerLanguage", "name": "Python", "version": versions.get("python", "")},
        "softwareRequirements": [
            {"type": "SoftwareApplication", "name": name, "softwareVersion": version}
            for name, version in sorted(versions.items()) if name not in ("nuanalysis", "python")
        ],
        "applicationCategory": "Astronomy",
        "operatingSystem": "Linux, macOS",
    }  # fmt: skip


_KINDS = {"int": "integer", "uint": "integer", "float": "number", "bool": "boolean", "string": "string"}


def datapackage(release: Release) -> dict[str, Any]:
    """A data package (frictionless, version 1) of every file: sizes, checksums, and the columns of tables."""
    about = release.about
    return {
        "profile": "data-package",
        "name": release.name.lower(),
        "title": about.title,
        "description": " ".join(filter(None, (about.description, release.warning))),
        "version": release.version,
        "created": release.run.created,
        "keywords": list(about.keywords),
        "licenses": [{"name": about.licence, "path": about.licence_address, "title": about.licence_title}],
        "contributors": [{"title": author, "role": "author"} for author in about.authors],
        "sources": [
            {"title": item.title, **({"path": address} if (address := doi_address(item)) else {})}
            for item in release.run.inputs
        ],
        "resources": list(_resources(release)),
    }  # fmt: skip


def _resources(release: Release) -> Iterable[Mapping[str, Any]]:
    for path in release.files:
        file = release.folder / path
        yield {
            "name": _resource_name(path), "path": path, "description": release.meaning(path),
            "format": PurePosixPath(path).suffix.removeprefix("."), "mediatype": media_type(path),
            "bytes": release.size(path), "hash": f"sha256:{sha256_file(file)}",
            **((_tabular(file) if path.endswith(".ecsv") else {}) or {"type": "file", "profile": "data-resource"}),
        }  # fmt: skip


def _resource_name(path: str) -> str:
    """Lower case letters, digits, '.', '_' and '-' alone are names of resources; unlike paths stay unlike."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in path.lower().replace("/", "--"))


def _tabular(file: Path) -> dict[str, Any]:
    """How a text table is read, and its columns; nothing where a reader of CSV would not find its head.

    Cells that hold lists are text.
    """
    columns, lines, names = _ecsv_head(file)
    if names != [one["name"] for one in columns]:
        return {}
    fields = [
        {
            "name": str(one["name"]),
            "type": "string" if "subtype" in one else _KINDS.get(str(one["datatype"]).rstrip("0123456789"), "string"),
            "description": f"{one.get('description', '')}{f' [{unit}]' if (unit := one.get('unit')) else ''}",
        }
        for one in columns
    ]
    return {
        "type": "table",
        "profile": "tabular-data-resource",
        "format": "csv",
        "encoding": "utf-8",
        "dialect": {"headerRows": [lines + 1], "csv": {"delimiter": " "}},
        "schema": {"fields": fields, "missingValues": ["", "nan"]},
    }


def _ecsv_head(file: Path) -> tuple[Sequence[Mapping[str, Any]], int, list[str]]:
    """What the head of an ECSV file says of its columns; its lines and the names behind it as a reader of CSV finds.

    To that reader a quotation mark in the head joins lines.
    """
    from astropy.table.meta import get_header_from_yaml

    with file.open(encoding="utf-8", newline="") as lines:
        head = [line.removeprefix("# ").rstrip("\n") for line in takewhile(lambda line: line.startswith("#"), lines)]
        lines.seek(0)
        rows = csv.reader(lines, delimiter=" ")
        count, names = next(((n, row) for n, row in enumerate(rows) if not (row and row[0].startswith("#"))), (0, []))
    return get_header_from_yaml(head[1:])["datatype"], count, names  # the first line is the version of ECSV
