"""The release as an RO-Crate 1.1, which is schema.org in JSON-LD: what each file is, and how the run made them.

https://www.researchobject.org/ro-crate/specification/1.1: a root, a part for every folder and file, and an action for
the run and for each notebook, with what went in and what came out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from nuanalysis.plot import slug
from nuanalysis.publish._manifest import INDEX, SUMS
from nuanalysis.publish._metadata import CRATE, Release, doi_address
from nuanalysis.publish._results import Input
from nuanalysis.publish._spec import SPEC, NotebookRun
from nuanalysis.publish._texts import media_type

_PROFILE = "https://w3id.org/ro/crate/1.1"
_SOFTWARE, _RUN = "#nuanalysis", "#run"
Entity = Mapping[str, Any]


def _to(*names: str) -> list[dict[str, str]] | dict[str, str]:
    """References to entities; to one, as the specification recommends, without a list around it."""
    named = [{"@id": name} for name in names]
    return named[0] if len(named) == 1 else named


def crate(release: Release, notebooks: Sequence[NotebookRun]) -> dict[str, Any]:
    """The document ro-crate-metadata.json.  Files that are written after it, the manifests, are named in it too."""
    files = sorted({*release.files, INDEX, SUMS})
    graph = [
        {
            "@id": CRATE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": _PROFILE},
        },
        _root(release, files, notebooks),
        *_folders(release, files),
        *(_file(release, path) for path in files),
        *_people(release),
        *_software(release),
        *(_input(item) for item in release.run.inputs),
        *_actions(release, files, notebooks),
    ]  # fmt: skip
    return {"@context": f"{_PROFILE}/context", "@graph": graph}


def _root(release: Release, files: Sequence[str], notebooks: Sequence[NotebookRun]) -> Entity:
    about, top = release.about, [path for path in files if "/" not in path]
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{about.title} ({release.name})",
        "description": " ".join(filter(None, (about.description, release.warning))),
        "identifier": release.name,
        "version": release.version,
        "datePublished": release.run.created,
        "license": {"@id": about.licence_address},
        "author": _to(*map(_person, about.authors)),
        "publisher": {"@id": _person(about.authors[0])},
        "keywords": ", ".join(about.keywords),
        "isBasedOn": _to(*map(_input_name, release.run.inputs)),
        "mentions": _to(_RUN, *(f"#run-{one.name}" for one in notebooks)),
        "hasPart": _to(*(f"{folder}/" for folder in folder_names(files)), *top),
    }


def folder_names(files: Iterable[str]) -> list[str]:
    """Folders at the top, sorted."""
    return sorted({path.partition("/")[0] for path in files if "/" in path})


def _folders(release: Release, files: Sequence[str]) -> Iterator[Entity]:
    for folder in folder_names(files):
        inside = [path for path in files if path.startswith(f"{folder}/")]
        meaning = release.about.folders.get(folder, folder)
        yield {"@id": f"{folder}/", "@type": "Dataset", "name": folder, "description": meaning, "hasPart": _to(*inside)}


def _file(release: Release, path: str) -> Entity:
    """A file; the size of one that is still to be written is not told."""
    size = {"contentSize": str(release.size(path))} if path in release.files else {}
    kind = ["File", "SoftwareSourceCode"] if path.endswith((".py", ".ipynb")) else "File"
    return {
        "@id": path, "@type": kind, "name": PurePosixPath(path).name, "encodingFormat": media_type(path),
        "description": release.meaning(path), **size,
    }  # fmt: skip


def _person(author: str) -> str:
    return f"#{slug(author)}"


def _people(release: Release) -> Iterator[Entity]:
    about = release.about
    for author in about.authors:
        yield {"@id": _person(author), "@type": "Organization", "name": author}
    yield {
        "@id": about.licence_address, "@type": "CreativeWork", "name": about.licence_title, "identifier": about.licence,
    }  # fmt: skip


def _software(release: Release) -> Iterator[Entity]:
    versions = release.run.versions
    others = {name: f"#software-{name}" for name in sorted(versions) if name != "nuanalysis"}
    yield {
        "@id": _SOFTWARE, "@type": "SoftwareApplication", "name": release.about.software["name"],
        "description": release.about.software["description"], "version": versions["nuanalysis"],
        "license": f"https://spdx.org/licenses/{release.about.code_licence}",
        "softwareRequirements": _to(*others.values()),
    }  # fmt: skip
    for name, key in others.items():
        yield {"@id": key, "@type": "SoftwareApplication", "name": name, "version": versions[name]}


def _input_name(item: Input) -> str:
    return doi_address(item) or f"#input-{slug(item.name)}"


def _input(item: Input) -> Entity:
    """An upstream release, with the checksums of its files that were opened."""
    opened = [f"{file.path} (sha256 {file.sha256})" for file in item.files]
    return {
        "@id": _input_name(item), "@type": "CreativeWork", "name": item.title, "license": item.licence,
        "creditText": item.citation, "description": f"Opened: {', '.join(opened) or 'numbers quoted, no file'}.",
    }  # fmt: skip


def _actions(release: Release, files: Sequence[str], notebooks: Sequence[NotebookRun]) -> Iterator[Entity]:
    """The run as a whole, and each of its notebooks."""
    run = release.run
    spec = [SPEC] if SPEC in release.files else []
    executed = {f"notebooks/{one.name}.ipynb" for one in notebooks}
    made = [path for path in files if path != SPEC and path not in executed]
    yield {
        "@id": _RUN,
        "@type": "CreateAction",
        "name": f"Run '{run.name}' with seed {run.seed}",
        "description": f"nuanalysis run {SPEC}; sha256 of what was asked for: {run.spec_fingerprint}",
        "instrument": {"@id": _SOFTWARE},
        "object": _to(*spec, *map(_input_name, run.inputs)),
        "result": _to(*made),
        "endTime": run.created,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    for one in notebooks:
        yield from _notebook(one, spec)


def _notebook(one: NotebookRun, spec: Sequence[str]) -> Iterator[Entity]:
    """A notebook: its source by checksum, its parameters, when it ran, and the executed copy."""
    source, values = f"#notebook-{one.name}", {f"#{one.name}-{name}": (name, said) for name, said in one.parameters}
    yield {
        "@id": f"#run-{one.name}", "@type": "CreateAction", "name": f"Notebook {one.name}",
        "instrument": {"@id": source}, "object": _to(*spec, *values), "result": _to(f"notebooks/{one.name}.ipynb"),
        **({"startTime": one.started} if one.started else {}), **({"endTime": one.ended} if one.ended else {}),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }  # fmt: skip
    yield {
        "@id": source, "@type": "SoftwareSourceCode", "name": one.name, "programmingLanguage": "Python",
        "isPartOf": {"@id": _SOFTWARE}, **({"identifier": f"sha256:{one.source_sha256}"} if one.source_sha256 else {}),
    }  # fmt: skip
    for key, (name, said) in values.items():
        yield {"@id": key, "@type": "PropertyValue", "name": name, "value": said}
