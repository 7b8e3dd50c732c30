"""The release: a folder made from a run, written beside and renamed, so that half of one never looks whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from nuanalysis.errors import DataError, InputError, refuse
from nuanalysis.publish._draft import Draft
from nuanalysis.publish._evidence import answer_faults, sample_faults
from nuanalysis.publish._parts import AGAIN, PARTS
from nuanalysis.publish._results import Results, is_moment, load_results
from nuanalysis.publish._spec import refuse_other_spec
from nuanalysis.publish._texts import recipe
from nuanalysis.store import locked, refusal, sweep, unlinked

_HALF, _OLD = ".building", ".old"  # ends of the names of folders that a build renames or removes
_PATIENCE_S = 60.0  # for another build of the same run
_VERSION = re.compile(r"^DR(0|[1-9]\d*)\.(0|[1-9]\d*)$")


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename the finished draft; an older build of the same release makes way at that moment, not before."""
    old = target.with_name(f".{target.name}{_OLD}")
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _clear(run_folder: Path) -> None:
    """Remove what killed builds left; a release that was moved aside and not replaced is put back.  Under the lock."""
    releases = run_folder / "release"
    for aside in releases.glob(f".nuanalysis-*{_OLD}"):
        place = releases / aside.name[1:].removesuffix(_OLD)
        if place.exists():
            _remove(aside)
        else:
            aside.rename(place)
    for half in releases.glob(f".nuanalysis-*{_HALF}"):
        _remove(half)
    for folder in ("figures", "report"):
        sweep(run_folder / folder)


def _remove(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _build(draft: Draft, target: Path) -> None:
    """Write the draft and put it in place; nothing of it stays where that fails."""
    try:
        draft.folder.mkdir(parents=True)
        for part in PARTS:
            part(draft)
        _put_in_place(draft.folder, target)
    finally:
        shutil.rmtree(draft.folder, ignore_errors=True)


def _dated(run: Results, moment: str) -> Results:
    """The results of another date, for headers."""
    if not moment:
        return run
    try:
        return run.model_copy(update={"created": is_moment(moment)})
    except ValueError as error:
        raise InputError(f"date {moment!r} of a release is not of the form 2026-01-31T12:00:00Z") from error


def build(
    run_folder: Path,
    version: str = "",
    *,
    fingerprint: Callable[[Path], str] | None = None,
    dated: str = "",
    alerts: Path | None = None,
) -> Path:
    """Build ``release/nuanalysis-<name>-<version>/`` of a run and return its path.

    version : DRn.m; the recipe's default where it is ''.  The same run folder gives the same bytes.
    fingerprint : that of a spec file, to compare with the one in results.json.
    alerts : a folder that ``write_entry`` wrote, to go into the release as alerts/.
    dated : date of all headers, YYYY-MM-DDThh:mm:ssZ, to build a published release again; else that of the results.
    Raises InputError (version), StepMissing (no results), StoreLocked (another build), EnvironmentFault (disk full or
    closed to writing), DataError: a product against its schema, a result against what is packed with it, another spec
    than that of the results, a link, or a file that may not be redistributed.  Nothing of a failed build stays behind.
    """
    about = recipe()
    version = version or about.default_version
    if not _VERSION.match(version):
        raise InputError(f"release version {version!r} is not of the form DRn.m, for instance DR0.3")
    run = _dated(load_results(run_folder), dated)
    faults = [*sample_faults(run), *answer_faults(run.answers)]
    refuse(faults, f"results.json and the products of {run_folder} disagree", AGAIN, error=DataError)
    target = unlinked(run_folder, run_folder / "release" / f"nuanalysis-{run.name}-{version}")
    draft = Draft(run_folder, target.with_name(f".{target.name}{_HALF}"), run, about, version, alerts)
    refuse_other_spec(draft.spec, run.spec_fingerprint, fingerprint)
    with locked(run_folder / ".release", _PATIENCE_S):
        try:
            _clear(run_folder)
            _build(draft, target)
        except OSError as error:
            raise refusal(Path(error.filename or target), error) from error
    return target
