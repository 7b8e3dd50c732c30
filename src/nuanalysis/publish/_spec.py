"""The spec of a run against what its results were made from, and its notebooks: what run.json recorded of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from nuanalysis.errors import DataError, InputError
from nuanalysis.store import parsing, read_json, regular, sha256_file, unlinked

SPEC = "spec.toml"
RECORD = "run.json"
_AGAIN = "run 'nuanalysis run SPEC' again with the spec that is meant"


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """A notebook that was run.    started, ended : UTC, '' where that is not recorded.

    source_sha256 : of its cells as they stand in the package.
    parameters : names and values; of a path the last part alone, for the rest belongs to one machine.
    """

    name: str
    started: str
    ended: str
    source_sha256: str
    parameters: tuple[tuple[str, str | int | float | bool], ...]


def _record(run_folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """What run.json says of each notebook; empty where no notebook ran."""
    path = run_folder / RECORD
    if not os.path.lexists(path):
        return {}
    remedy = f"remove it and {_AGAIN}"
    document = read_json(unlinked(run_folder, path), "the record of notebooks", remedy)
    with parsing(path, "the record of notebooks", remedy, error=DataError):
        return {str(name): {**one, "spec": str(one["inputs"]["spec"])} for name, one in document["notebooks"].items()}


def _recorded(run_folder: Path) -> frozenset[str]:
    """sha256 of the spec files that the notebooks of the run were given; none where no notebook ran."""
    return frozenset(one["spec"] for one in _record(run_folder).values())


def notebook_run(run_folder: Path, notebook: Path) -> NotebookRun:
    """What is recorded of an executed notebook: in run.json, and of parameters in the notebook itself."""
    remedy = f"remove it and {_AGAIN}"
    said = read_json(notebook, "the notebook", remedy)
    one = _record(run_folder).get(notebook.stem, {})
    with parsing(notebook, "the notebook", remedy, error=DataError):
        given = said.get("metadata", {}).get("papermill", {}).get("parameters", {})
        parameters = tuple(
            (str(name), PurePath(value).name if isinstance(value, str) and "/" in value else value)
            for name, value in sorted(given.items())
            if isinstance(value, str | int | float)
        )
    moments = (str(one.get(key, ""))[:19] for key in ("started", "ended"))
    started, ended = (f"{moment}Z" if moment else "" for moment in moments)
    return NotebookRun(notebook.stem, started, ended, str(one.get("inputs", {}).get("notebook", "")), parameters)


def refuse_other_spec(spec: Path, expected: str, fingerprint: Callable[[Path], str] | None) -> None:
    """Raise DataError where spec.toml is not what the results of its folder were made from; there may be none.

    expected : the fingerprint in results.json.  fingerprint : that of a spec file.  A spec of which neither run.json
    nor the fingerprint says anything is refused too.
    """
    if not os.path.lexists(spec):
        return
    regular(unlinked(spec.parent, spec), "the spec", error=DataError)
    digest, recorded = sha256_file(spec), _recorded(spec.parent)
    if recorded and digest not in recorded:
        known = ", ".join(sorted(one[:12] for one in recorded))
        raise DataError(
            f"{spec} has sha256 {digest[:12]}.., the notebooks of this run were made from {known}..; put the spec of "
            f"the run in its place, or {_AGAIN}"
        )
    found = _worked_out(spec, fingerprint, doubted=not recorded)
    if found not in ("", expected):
        raise DataError(
            f"{spec} has the fingerprint {found[:12]}.., results.json was made from {expected[:12]}..; put the spec of "
            f"the run in its place, or {_AGAIN}"
        )
    if not found and not recorded:
        raise DataError(
            f"nothing says that the results were made from {spec}: there is no {RECORD} beside it; {_AGAIN}"
        )


def _worked_out(spec: Path, fingerprint: Callable[[Path], str] | None, *, doubted: bool) -> str:
    """The fingerprint of a spec, '' where it cannot be had: a file that it names may be found from elsewhere only."""
    if fingerprint is None:
        return ""
    try:
        return fingerprint(spec)
    except InputError as error:
        if doubted:
            raise DataError(f"{spec} is not the spec of a run: {error}") from error
        return ""
