"""Events at rest: a versioned store of seasons, appended in whole commits."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nuanalysis import schema
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, NuanalysisError, StepMissing, StoreLocked, did_you_mean, refuse
from nuanalysis.store._files import LOCK_TIMEOUT_S, first_line, is_refusal, locked, refusal
from nuanalysis.store._foreign import MAP, own_tree, refuse_size
from nuanalysis.store._zarr import CHUNK, for_disk, load, open_group, write_buffers, write_group

EVENTS_FORMAT = "nuanalysis-events/1"
_SCHEMA = f"{schema.EVENTS.name}/{schema.EVENTS.version}"
_ICECHUNK_MAGIC = "ICE🧊CHUNK".encode()
_ICECHUNK_FORMAT_AT = len(_ICECHUNK_MAGIC) + 24  # after the magic number and the name of the writing program
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def _icechunk() -> ModuleType:
    """Import icechunk with its log off: it writes to stdout, where a command owes one JSON document.

    'error' is not enough: a damaged manifest is logged as an error before it is raised as an exception.
    """
    os.environ.setdefault("ICECHUNK_LOG", "off")
    import icechunk

    return icechunk


def _plain_name(name: str, kind: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"{kind} name {name!r} is not allowed: use letters, digits, '.', '_', '+', '-'.")
    return name


@dataclass(frozen=True, slots=True)
class EventStore:
    """The versioned event store of a folder: seasons of events, appended, tagged, never changed.

    Readers need no lock and see whole commits only.  Each write opens, writes and commits under one file lock, since
    two committers on a local disk lose acknowledged commits; a second writer waits ``lock_timeout_s``, then raises
    StoreLocked.  Raises StepMissing where nothing was ever appended, DataError where the store is damaged or of
    another version, EnvironmentFault where the disk is full (the store is then as before).
    """

    path: Path
    lock_timeout_s: float = LOCK_TIMEOUT_S

    def append(self, season: str, events: xr.Dataset, message: str) -> str:
        """Add events to a season, new or begun, in one commit, and return its snapshot id.

        events : dataset of schema EVENTS, dimension ``event``.  Columns, dtypes, units and attributes must be those
        of the season so far.  Raises DataError listing all faults; nothing is written then.
        """
        _plain_name(season, "season")
        schema.check(events, schema.EVENTS, source=f"season '{season}'")
        prepared = for_disk(events.reset_coords())
        with locked(self.path, self.lock_timeout_s) as abandoned, self._faults():
            self._create()
            repository = self._repository()
            if abandoned:
                self._clear(repository)
            session = repository.writable_session("main")
            _check_schema(session.store, self.path)
            self._add(session.store, season, prepared)
            if not session.has_uncommitted_changes:  # no events for a season that is there
                return str(session.snapshot_id)
            details = {"season": season, "events": int(prepared.sizes["event"])}
            return str(session.commit(message, metadata=details))

    def _add(self, store: object, season: str, events: xr.Dataset) -> None:
        import zarr

        group = f"events/{season}"
        if season in _seasons(store):
            _refuse_mixture(season, open_group(store, group), events)
            if events.sizes["event"]:
                events.to_zarr(store, group=group, append_dim="event", zarr_format=3, consolidated=False)  # type: ignore[call-overload]
        else:
            write_group(store, group, events, chunk=CHUNK)
            root = {"format": EVENTS_FORMAT, "schema": _SCHEMA, "written_by": f"nuanalysis {version('nuanalysis')}"}
            zarr.open_group(store, mode="r+").attrs.update(root)

    def seasons(self, *, tag: str | None = None) -> tuple[str, ...]:
        """Return the names of the seasons, sorted, now or at a tag."""
        with self._faults():
            return _seasons(self._session(tag).store)

    def read(
        self, season: str, *, tag: str | None = None, start_mjd: float = -np.inf, stop_mjd: float = np.inf
    ) -> xr.Dataset:
        """Return the events of a season, now or as they were at a tag, in the order they were appended.

        With a bound given, only start_mjd <= mjd < stop_mjd (MJD, UTC, d), and attribute ``window_mjd`` holds both
        bounds: ``livetime_s`` still is that of the whole season.  Schema EVENTS, checked.  Raises InputError for an
        unknown season or tag.
        """
        window = (start_mjd, stop_mjd)
        if not start_mjd < stop_mjd:
            raise InputError(f"the time window [{start_mjd}, {stop_mjd}) MJD is empty; give start_mjd < stop_mjd.")
        with self._faults():
            store = self._session(tag).store
            known = _seasons(store)
            if season not in known:
                raise InputError(f"no season '{season}' in {self.path}.{did_you_mean(season, known)}")
            found = open_group(store, f"events/{season}")
            refuse_size(self.path, f"season '{season}' of the event store", found.nbytes, MAP, error=DataError)
            events = load(found)
        events = events[[name for name in schema.EVENTS.columns if name in events]]
        schema.check(events, schema.EVENTS, source=f"season '{season}' of {self.path}")
        if not np.isfinite(window).any():
            return events
        inside = (events["mjd"].values >= start_mjd) & (events["mjd"].values < stop_mjd)
        bounds = [float(bound) if np.isfinite(bound) else None for bound in window]
        return events.isel(event=inside).assign_attrs(window_mjd=bounds)

    def tag(self, name: str) -> str:
        """Give the present state a name for good, and return its snapshot id.  Raises InputError if it is taken."""
        _plain_name(name, "tag")
        with locked(self.path, self.lock_timeout_s), self._faults():
            repository = self._repository()
            if name in repository.list_tags():
                raise InputError(f"tag '{name}' exists in {self.path} and tags never move; choose another name.")
            snapshot = str(repository.lookup_branch("main"))
            repository.create_tag(name, snapshot)
            return snapshot

    def tags(self) -> dict[str, str]:
        """Return {tag: snapshot id}, sorted by name."""
        with self._faults():
            repository = self._repository()
            return {name: str(repository.lookup_tag(name)) for name in sorted(repository.list_tags())}

    def compact(self) -> int:
        """Drop the history that no tag needs, and what killed writers left; return the bytes freed.

        The present state and all tags stay.  A reader in the middle of an untagged older state may fail.
        """
        with locked(self.path, self.lock_timeout_s), self._faults():
            repository = self._repository()
            now = datetime.now(UTC)  # we hold the lock: nothing younger can be in the making
            repository.expire_snapshots(now)
            return int(repository.garbage_collect(now).bytes_deleted)

    def export(self, path: Path, *, tag: str) -> Path:
        """Write all seasons at a tag as one zarr v3 zip (groups ``events/<season>``); return its path.

        Plain, sharded zarr that needs no icechunk.  Two exports of a tag are the same bytes (with the same zarr), and
        so are exports of two stores with the same content.  Held in memory while it is written.
        """
        import zarr

        files: dict[str, Any] = {}
        store = zarr.storage.MemoryStore(files)
        zarr.create_group(store, attributes={"format": EVENTS_FORMAT, "schema": _SCHEMA, "tag": tag})
        for season in self.seasons(tag=tag):
            write_group(store, f"events/{season}", for_disk(self.read(season, tag=tag)))
        return write_buffers(path, files)

    def _create(self) -> None:
        """Make an empty repository if there is none: built beside and renamed, for icechunk refuses half of one."""
        scratch = self.path.with_name(f".{self.path.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            return
        icechunk = _icechunk()
        # icechunk 2 would write format 2, which Python 3.11 cannot read.
        wanted = {"spec_version": 1} if _icechunk_major() > 1 else {}
        try:
            icechunk.Repository.create(icechunk.local_filesystem_storage(str(scratch)), **wanted)
            scratch.replace(self.path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _clear(self, repository: Any) -> None:
        """Remove what a killed writer left: objects that no commit names, and files that were still being written."""
        for staged in self.path.rglob("*#*"):  # so the object store of icechunk calls a file until it is whole
            staged.unlink(missing_ok=True)
        repository.garbage_collect(datetime.now(UTC))  # we hold the lock: nothing is in the making

    def _repository(self) -> Any:
        """Open the repository.  Raises StepMissing if there is none, DataError if this library cannot read it."""
        if not self.path.is_dir() or not any(self.path.iterdir()):
            raise StepMissing(f"no event store at {self.path}; append events first (nuanalysis run SPEC does).")
        own_tree(self.path, "the event store")
        _check_format(self.path)
        icechunk = _icechunk()
        repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(self.path)))
        # Zarr takes a damaged snapshot for an empty store, and an append would then begin anew: look at it first.
        repository.lookup_snapshot(repository.lookup_branch("main"))
        return repository

    def _session(self, tag: str | None) -> Any:
        repository = self._repository()
        if tag is not None and tag not in repository.list_tags():
            raise InputError(f"no tag '{tag}' in {self.path}.{did_you_mean(tag, repository.list_tags())}")
        if tag is not None:
            repository.lookup_snapshot(repository.lookup_tag(tag))  # as in _repository
        session = repository.readonly_session("main" if tag is None else None, tag=tag)
        _check_schema(session.store, self.path)
        return session

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what icechunk, zarr and the system raise into our own errors."""
        icechunk = _icechunk()
        try:
            yield
        except icechunk.ConflictError as error:
            raise StoreLocked(
                f"{self.path} was changed meanwhile by a program that takes no lock; nothing was written, call again."
            ) from error
        except NuanalysisError:
            raise
        except Exception as error:  # damaged metadata make zarr raise whatever the key it misses leads to
            if is_refusal(error):
                raise refusal(self.path, error) from error
            raise DataError(
                f"event store {self.path} is damaged or unreadable ({first_line(error)}); "
                "restore it from a copy, or ingest the events again into a new folder."
            ) from error


def _icechunk_major() -> int:
    return int(version("icechunk").split(".")[0])


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_ICECHUNK_FORMAT_AT + 1)


def _check_format(path: Path) -> None:
    """Refuse what is no icechunk store, or one of a format that the installed icechunk cannot read."""
    files = (one for one in (path / "repo", *sorted((path / "snapshots").glob("*"))) if one.is_file())
    headers = map(_header, files)
    whole = (head for head in headers if head.startswith(_ICECHUNK_MAGIC) and len(head) > _ICECHUNK_FORMAT_AT)
    header = next(whole, None)
    if header is None:
        raise DataError(f"{path} is a folder but no icechunk store; give another path, or move it away.")
    found, major = header[_ICECHUNK_FORMAT_AT], _icechunk_major()
    if found > major:
        raise DataError(
            f"{path} is an icechunk store of format {found}; the installed icechunk {version('icechunk')} "
            f"reads format {' and '.join(map(str, range(1, major + 1)))}. Format {found} needs icechunk >= {found} "
            "(2 needs Python >= 3.12); read it there, or ingest the events again into a new folder."
        )


def _check_schema(store: object, path: Path) -> None:
    """Refuse a store whose layout or schema is not ours; one without a commit passes."""
    import zarr

    try:
        found = zarr.open_group(store, mode="r").attrs.asdict()
    except FileNotFoundError:  # no group yet: created, then killed before the first commit
        return
    if (found.get("format"), found.get("schema")) != (EVENTS_FORMAT, _SCHEMA):
        raise DataError(
            f"{path} holds {found.get('schema')!r} in layout {found.get('format')!r}, written by "
            f"{found.get('written_by', 'an unknown program')}; nuanalysis {version('nuanalysis')} reads "
            f"{_SCHEMA!r} in {EVENTS_FORMAT!r}. Read it with the version that wrote it, or ingest the events "
            "again into a new folder."
        )


def _seasons(store: object) -> tuple[str, ...]:
    import zarr

    try:
        return tuple(sorted(name for name, _ in zarr.open_group(store, path="events", mode="r").groups()))
    except FileNotFoundError:
        return ()


def _refuse_mixture(season: str, held: xr.Dataset, events: xr.Dataset) -> None:
    """Raise DataError, all differences listed, unless the events continue the season as it is."""
    names = sorted({str(name) for name in (*held.variables, *events.variables)})
    faults = []
    if held.attrs.get("reference") != events.attrs.get("reference"):
        faults.append(
            f"it is of release {held.attrs.get('reference')!r}, the new events of {events.attrs.get('reference')!r}; "
            "releases are never mixed within a season"
        )
    for name in names:
        if name not in held.variables or name not in events.variables:
            faults.append(f"column '{name}' is only in the {'season' if name in held.variables else 'new events'}")
            continue
        old, new = held[name], events[name]
        if old.dtype != new.dtype:
            faults.append(f"column '{name}' is {old.dtype}, in the new events {new.dtype}")
        if old.attrs != new.attrs:
            faults.append(f"column '{name}' has attributes {old.attrs}, in the new events {new.attrs}")
    for key in sorted({*held.attrs, *events.attrs} - {"reference"}):
        if held.attrs.get(key) != events.attrs.get(key):
            faults.append(f"attribute '{key}' is {held.attrs.get(key)!r}, in the new events {events.attrs.get(key)!r}")
    remedy = "Append them under another season name, or make them alike."
    refuse(faults, f"the new events do not continue season '{season}'", remedy, error=DataError)
