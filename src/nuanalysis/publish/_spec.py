"""The spec of a run against what its results were made from: the one file of a release that no step writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nuanalysis.errors import DataError, InputError
from nuanalysis.store import parsing, read_json, regular, sha256_file, unlinked

SPEC = "spec.toml"
RECORD = "run.json"
_AGAIN = "run 'nuanalysis run SPEC' again with the spec that is meant"


def _recorded(run_folder: Path) -> frozenset[str]:
    """sha256 of the spec files that the notebooks of the run were given; none where no notebook ran."""
    path = run_folder / RECORD
    if not os.path.lexists(path):
        return frozenset()
    remedy = f"remove it and {_AGAIN}"
    document = read_json(unlinked(run_folder, path), "the record of notebooks", remedy)
    with parsing(path, "the record of notebooks", remedy, error=DataError):
        return frozenset(str(one["inputs"]["spec"]) for one in document["notebooks"].values())


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
