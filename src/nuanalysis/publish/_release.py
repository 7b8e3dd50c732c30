"""The release: a folder made from a run, written beside and renamed, so that half of one never looks whole."""

from __future__ import annotations

import mimetypes
import re
import shutil
from pathlib import Path

from nuanalysis.errors import DataError, InputError
from nuanalysis.publish._manifest import INDEX, release_files, write_sums
from nuanalysis.publish._parts import PARTS, Draft, as_json
from nuanalysis.publish._results import load_results
from nuanalysis.publish._run import cite_only, recipe
from nuanalysis.publish._texts import origin_of_file
from nuanalysis.store import sha256_file

_VERSION = re.compile(r"^DR(0|[1-9]\d*)\.(0|[1-9]\d*)$")


def _refuse_foreign(draft: Draft) -> None:
    """Raise DataError if a file of the draft is, byte for byte, one that may only be cited."""
    foreign = {
        file.sha256: f"{item.name}/{file.path}"
        for item in draft.run.inputs if cite_only(item, draft.recipe) for file in item.files
    }  # fmt: skip
    found = [
        f"{name} is {foreign[digest]}"
        for name in release_files(draft.folder)
        if (digest := sha256_file(draft.folder / name)) in foreign
    ]
    if found:
        raise DataError(
            f"the release would pass on files that may only be cited: {'; '.join(found)}; "
            "take them out of the run folder"
        )


def _media_type(path: str) -> str:
    own = {
        ".fits": "application/fits",
        ".ecsv": "text/plain",
        ".ipynb": "application/x-ipynb+json",
        ".toml": "application/toml",
        ".md": "text/markdown",
        ".cff": "application/yaml",
    }
    return own.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


def _write_manifest(draft: Draft) -> None:
    files = [
        {
            "path": name, "sha256": sha256_file(draft.folder / name), "bytes": (draft.folder / name).stat().st_size,
            "media_type": _media_type(name), "origin": origin_of_file(name, draft.run),
        }
        for name in release_files(draft.folder)
    ]  # fmt: skip
    index = {
        "schema": "nuanalysis-release/1",
        "release": draft.name,
        "version": draft.version,
        "created": draft.run.created,
        "licence": draft.recipe.licence,
        "spec_fingerprint": draft.run.spec_fingerprint,
        "versions": draft.run.versions,
        "inputs": [item.model_dump(mode="json", exclude={"title"}) for item in draft.run.inputs],
        "files": files,
    }
    draft.write(INDEX, as_json(index))
    write_sums(draft.folder)


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename the finished draft; an older build of the same release makes way at that moment, not before."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def build(run_folder: Path, version: str = "") -> Path:
    """Build ``release/nuanalysis-<name>-<version>/`` of a run and return its path.

    version : DRn.m; the recipe's default where it is ''.  The same run folder gives the same bytes.
    Raises InputError (version), StepMissing (no results), DataError (a product against its schema, or a file that
    may not be redistributed).  Nothing of a failed build stays behind.
    """
    about = recipe()
    version = version or about.default_version
    if not _VERSION.match(version):
        raise InputError(f"release version {version!r} is not of the form DRn.m, for instance DR0.1")
    run = load_results(run_folder)
    target = run_folder / "release" / f"nuanalysis-{run.name}-{version}"
    scratch = target.with_name(f".{target.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        draft = Draft(run_folder, scratch, run, about, version)
        for part in PARTS:
            part(draft)
        _refuse_foreign(draft)
        _write_manifest(draft)
        _put_in_place(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
