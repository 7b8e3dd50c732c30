"""The ``alerts/`` folder of a release: tables of what stands, every revision, the notices as they were, what changed.

Written beside and renamed, so that half of one never looks whole; the same store gives the same bytes.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from nuanalysis.alerts import SIMULATION, AlertStore, Standing, utc_text
from nuanalysis.errors import InputError, StepMissing
from nuanalysis.publish._alert_changes import REVISIONS, changes, line_of
from nuanalysis.publish._alert_tables import columns_of, forms_of, notice_path
from nuanalysis.publish._manifest import write_sums
from nuanalysis.store import locked, refusal, sha256_file, unlinked

CHANGES = "CHANGES.md"
#: Folders that other parts of a run leave beside the store, as they belong into a release.
PRODUCTS = ("maps", "contours", "followup")
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder that was written.    digest : sha256 of its list of sums; names all of it."""

    folder: Path
    alerts: int
    revisions: int
    retracted: int
    digest: str


def write_entry(store: AlertStore, folder: Path, *, release: str = "", since: Path | None = None) -> Entry:
    """Write the folder ``alerts/`` of a release from a store; an older one makes way when the new one is whole.

    release : its name, for headers.  since : the folder of the release before, to tell what changed.
    Raises StepMissing where the store is empty, InputError where it holds real and synthetic alerts, or both have one
    folder, DataError where it is damaged, EnvironmentFault where the disk is full.
    """
    standings = store.standings()
    if not standings:
        raise StepMissing(f"no alerts in {store.path}; replay or listen first")
    origins = {"synthetic" if one.latest.mission == SIMULATION else "real" for one in standings}
    if len(origins) > 1:
        raise InputError(f"{store.path} holds real and synthetic alerts; a release keeps them apart: use two stores")
    if since is not None and since.resolve() == folder.resolve():
        raise InputError(f"{since} is the folder to be written; name a copy of the release before")
    origin = origins.pop()
    draft = folder.with_name(f".{folder.name}.building")
    with locked(folder.with_name(f".{folder.name}"), _PATIENCE_S):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            count = _write(store, draft, standings, origin, release, since)
            digest = sha256_file(write_sums(draft))
            _put_in_place(draft, folder)
        except OSError as fault:
            raise refusal(folder, fault) from fault
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Entry(folder, len(standings), count, sum(one.retracted for one in standings), digest)


def _put_in_place(draft: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(
    store: AlertStore, draft: Path, standings: list[Standing], origin: str, release: str, since: Path | None
) -> int:
    (draft / "notices").mkdir(parents=True)
    stem = "alerts" if origin == "real" else "alerts-synthetic"
    head = {
        "ORIGIN": origin, "RELEASE": release or "none",
        "DATE": utc_text(max(one.latest.sent for one in standings)), "CODE": standings[-1].latest.code,
        "NOTE": "p_astro is of events at least as energetic; alerts of several selections have no common exposure",
    }  # fmt: skip
    columns = columns_of(standings)
    for ending, data in forms_of(columns, head):
        (draft / f"{stem}{ending}").write_bytes(data)
    count = 0
    with (draft / REVISIONS).open("w", encoding="utf-8", newline="\n") as file:
        for standing in standings:
            for revision in store.revisions(standing.latest.event):
                (draft / notice_path(revision)).write_bytes(revision.data)
                file.write(line_of(revision))
                count += 1
    _copy_products(store.path, draft)
    (draft / CHANGES).write_text(changes(draft, since), encoding="utf-8", newline="\n")
    return count


def _copy_products(source: Path, draft: Path) -> None:
    for folder in PRODUCTS:
        for path in sorted((source / folder).glob("*")):
            if unlinked(source, path).is_file() and not path.name.startswith("."):
                (draft / folder).mkdir(exist_ok=True)
                shutil.copyfile(path, draft / folder / path.name)
