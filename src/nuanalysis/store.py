"""Datasets at rest: events in a versioned store, trials in a resumable one, products in zarr zips.

The only room that knows Zarr and icechunk.  It refuses data against the schema, half-written files and stores of
other versions; every write is a commit or a rename, so a reader sees the old state or the new one, never a mixture.
POSIX only (file locks).  Spawn worker processes, never fork them: a forked icechunk hangs.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import socket
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore

from nuanalysis import schema
from nuanalysis.errors import DataError, EnvironmentFault, InputError, StepMissing, StoreLocked, did_you_mean

__all__ = [
    "EnsembleLayout",
    "EventStore",
    "atomic_write",
    "create_ensemble",
    "ensemble_digest",
    "ensemble_layout",
    "missing_batches",
    "read_ensemble",
    "read_zip",
    "sha256_file",
    "write_batch",
    "write_zip",
]

EVENTS_FORMAT = "nuanalysis-events/1"
TRIALS_FORMAT = "nuanalysis-trials/1"
LOCK_TIMEOUT_S = 60.0

_CHUNK = 65_536  # values a chunk: half a megabyte of float64, so that a time window costs little
_CHUNKS_PER_SHARD = 16
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: bytes must not depend on the clock
_ICECHUNK_MAGIC = "ICE🧊CHUNK".encode()
_ICECHUNK_FORMAT_AT = len(_ICECHUNK_MAGIC) + 24  # after the magic number and the name of the writing program
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


# ---------------------------------------------------------------------------------------------- files


_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def _refusal(path: Path, error: BaseException) -> EnvironmentFault:
    """Return the error for a write that the machine did not let through."""
    return EnvironmentFault(
        f"cannot write {path}: {getattr(error, 'strerror', None) or _first_line(error)}. "
        "What was there before is intact; make room on that disk (or allow writing there) and call again."
    )


def _is_refusal(error: BaseException) -> bool:
    """Whether the disk is full or closed to us; icechunk's errors carry no errno, only the words '(os error 28)'."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _REFUSALS
    return any(f"(os error {number})" in str(error) for number in _REFUSALS)


def _first_line(error: BaseException) -> str:
    lines = [line.strip(" |x-`>") for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a scratch file beside ``path``; renamed onto it at the end, removed if the block fails.

    Raises EnvironmentFault where the system refuses the write; ``path`` is then as before.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut may leave the new name on an empty file
        scratch.replace(path)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with suppress(OSError):  # gone (renamed), or never made
            scratch.unlink()


def atomic_write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which at any moment holds the old bytes or the new ones, whole.

    Folders are made as needed.  Raises EnvironmentFault (disk full, no permission), the old file then untouched.
    """
    with _beside(path) as scratch:
        scratch.write_bytes(data)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits.  Raises DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; fetch or make it again.") from error


@contextmanager
def _locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the exclusive lock ``<path>.lock``.  The kernel frees it if the holder is killed.

    Raises StoreLocked, naming the holder, after ``timeout_s``; EnvironmentFault if no lock file can be made.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _refusal(lock, error) from error
    try:
        _wait_for(handle, path, timeout_s)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # said aloud: a forked child would keep the lock beyond close
    finally:
        os.close(handle)


def _wait_for(handle: int, path: Path, timeout_s: float) -> None:
    """Take the lock on ``handle`` and sign it with our process id."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() >= end:
                holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "an unknown process"
                raise StoreLocked(
                    f"{path} is being written by {holder}; waited {timeout_s:g} s for it. "
                    "Wait for that process or stop it, then call again."
                ) from error
            time.sleep(0.02)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except OSError:
        return  # a full disk: the signature is a courtesy, the lock holds without it


# ------------------------------------------------------------------------------------ datasets in zarr


def _plain(value: object, where: str) -> Any:
    """Return an attribute as JSON holds it: numpy scalars and arrays and tuples become plain.

    Raises InputError for anything else, NaN and infinity included: it would not come back as it went.
    """
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist(), where)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and np.isfinite(value)):
        return value
    raise InputError(
        f"attribute '{where}' is {value!r}, which JSON cannot hold; give a text, a finite number, a list or a table."
    )


def _for_disk(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset with plain attributes, without the encoding of the file it came from.

    Raises InputError for what would not come back as it went: dates, complex numbers, objects other than text.
    """
    out = dataset.drop_encoding()
    out.attrs = {str(key): _plain(value, str(key)) for key, value in dataset.attrs.items()}
    for name, variable in out.variables.items():
        variable.attrs = {str(key): _plain(value, f"{name}.{key}") for key, value in variable.attrs.items()}
        if variable.dtype.kind not in "biufUT" and not all(isinstance(value, str) for value in variable.values.flat):
            raise InputError(f"'{name}' is {variable.dtype}; store numbers (times as MJD in days, float64) or text.")
    converted = {name: variable.astype(_disk_dtype(variable.dtype)) for name, variable in out.variables.items()}
    return out.assign({name: new for name, new in converted.items() if new.dtype != out[name].dtype})


def _disk_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype to store: variable-length text (v3 has no other), native byte order (FITS is big-endian)."""
    return np.dtype(object) if dtype.kind in "UT" else dtype.newbyteorder("=")


def _encoding(dataset: xr.Dataset, *, chunk: int | None) -> dict[str, dict[str, object]]:
    """Return the encoding of each variable: zstd and a checksum for each chunk, sharded if ``chunk`` is None."""
    encoding: dict[str, dict[str, object]] = {}
    for name, variable in dataset.variables.items():
        described: dict[str, object] = {"compressors": (ZstdCodec(level=3), Crc32cCodec())}
        if variable.dtype.kind in "fiu":
            described["_FillValue"] = None  # NaN is a value like any other here
        if variable.ndim and chunk is not None:
            described["chunks"] = (chunk,) * variable.ndim
        elif variable.ndim:
            described["chunks"], described["shards"] = _shards(variable.shape)
        encoding[str(name)] = described
    return encoding


def _shards(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return chunk and shard shape: whole trailing axes, at most _CHUNK values a chunk along the first axis."""
    row = max(1, int(np.prod(shape[1:])))
    rows = min(max(1, shape[0]), max(1, _CHUNK // row))
    trailing = tuple(max(1, n) for n in shape[1:])
    per_shard = min(_CHUNKS_PER_SHARD, -(-max(1, shape[0]) // rows))
    return (rows, *trailing), (rows * per_shard, *trailing)


def _write_group(store: object, group: str, dataset: xr.Dataset, *, chunk: int | None = None) -> None:
    """Write a dataset as one new zarr v3 group: no consolidated metadata, which the v3 specification lacks."""
    dataset.to_zarr(
        store,  # type: ignore[call-overload]
        group=group or None,
        mode="w-",
        zarr_format=3,
        consolidated=False,
        encoding=_encoding(dataset, chunk=chunk),
    )


def _open_group(store: object, group: str) -> xr.Dataset:
    """Open one group lazily: values as stored, no decoding of units named like times, names in order."""
    dataset = xr.open_zarr(
        store,  # type: ignore[arg-type]
        group=group or None,
        consolidated=False,
        zarr_format=3,
        chunks=None,
        mask_and_scale=False,
        decode_times=False,
        decode_timedelta=False,
    )
    in_order = {name: dataset[name] for name in sorted(dataset.data_vars, key=str)}
    return xr.Dataset(in_order, coords=dataset.coords, attrs=dataset.attrs)


def _load(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset in memory, text as fixed-width numpy text, free of the store's encoding."""
    loaded = dataset.load().drop_encoding()
    texts = {
        name: variable.astype(object).astype(np.str_)
        for name, variable in loaded.variables.items()
        if variable.dtype.kind in "TO"
    }
    return loaded.assign(texts)


def _buffer(data: bytes) -> Any:
    return default_buffer_prototype().buffer.from_bytes(data)


def _write_zip(path: Path, files: Mapping[str, Any]) -> None:
    """Write zarr keys and buffers as a stored zip: sorted, dated 1980, no compression of its own."""
    with _beside(path) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].to_bytes())


def write_zip(path: Path, dataset: xr.Dataset) -> Path:
    """Write any dataset of numbers and text as a zarr v3 zip (sharded, zstd, checksums) and return its path.

    Units and all attributes are kept.  Equal datasets give equal bytes (with the same zarr).  Held in memory while
    it is written.  Raises InputError (dates, attributes that JSON cannot hold), EnvironmentFault (disk full).
    """
    files: dict[str, Any] = {}
    _write_group(MemoryStore(files), "", _for_disk(dataset))
    _write_zip(path, files)
    return path


def read_zip(path: Path) -> xr.Dataset:
    """Return the dataset of a zarr zip, in memory, variables in alphabetical order.

    Raises DataError if the file is missing, truncated, damaged (every byte is under a checksum) or no zarr v3.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: _buffer(archive.read(name)) for name in archive.namelist()}
        return _load(_open_group(MemoryStore(files, read_only=True), ""))
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(
            f"{path} is not a readable zarr zip ({_first_line(error)}); fetch it again, or run the step that makes it."
        ) from error


# -------------------------------------------------------------------------------------- event store


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
        prepared = _for_disk(events.reset_coords())
        with _locked(self.path, self.lock_timeout_s), self._faults():
            self._create()
            session = self._repository().writable_session("main")
            _check_schema(session.store, self.path)
            self._add(session.store, season, prepared)
            if not session.has_uncommitted_changes:  # no events for a season that is there
                return str(session.snapshot_id)
            details = {"season": season, "events": int(prepared.sizes["event"])}
            return str(session.commit(message, metadata=details))

    def _add(self, store: object, season: str, events: xr.Dataset) -> None:
        """Write the events into an uncommitted session."""
        if season in _seasons(store):
            held = _open_group(store, f"events/{season}")
            _refuse_mixture(season, held, events)
            if events.sizes["event"]:
                events.to_zarr(
                    store,  # type: ignore[call-overload]
                    group=f"events/{season}",
                    append_dim="event",
                    zarr_format=3,
                    consolidated=False,
                )
        else:
            _write_group(store, f"events/{season}", events, chunk=_CHUNK)
            root = {
                "format": EVENTS_FORMAT,
                "schema": _schema_name(),
                "written_by": f"nuanalysis {version('nuanalysis')}",
            }
            zarr.open_group(store, mode="r+").attrs.update(root)

    def seasons(self, *, tag: str | None = None) -> tuple[str, ...]:
        """Return the names of the seasons, sorted, now or at a tag."""
        with self._faults():
            return _seasons(self._session(tag).store)

    def read(
        self, season: str, *, tag: str | None = None, start_mjd: float | None = None, stop_mjd: float | None = None
    ) -> xr.Dataset:
        """Return the events of a season, now or as they were at a tag, in the order they were appended.

        With a bound given, only start_mjd <= mjd < stop_mjd (MJD, UTC, d), and attribute ``window_mjd`` holds both
        bounds: ``livetime_s`` still is that of the whole season.  Schema EVENTS, checked.  Raises InputError for an
        unknown season or tag.
        """
        bounds = (-np.inf if start_mjd is None else start_mjd, np.inf if stop_mjd is None else stop_mjd)
        if not bounds[0] < bounds[1]:
            raise InputError(f"the time window [{bounds[0]}, {bounds[1]}) MJD is empty; give start_mjd < stop_mjd.")
        with self._faults():
            store = self._session(tag).store
            known = _seasons(store)
            if season not in known:
                raise InputError(f"no season '{season}' in {self.path}.{did_you_mean(season, known)}")
            events = _load(_open_group(store, f"events/{season}"))
        events = events[[name for name in schema.EVENTS.columns if name in events]]
        schema.check(events, schema.EVENTS, source=f"season '{season}' of {self.path}")
        if start_mjd is None and stop_mjd is None:
            return events
        inside = (events["mjd"].values >= bounds[0]) & (events["mjd"].values < bounds[1])
        return events.isel(event=inside).assign_attrs(window_mjd=[_finite(bound) for bound in bounds])

    def tag(self, name: str) -> str:
        """Give the present state a name for good, and return its snapshot id.  Raises InputError if it is taken."""
        _plain_name(name, "tag")
        with _locked(self.path, self.lock_timeout_s), self._faults():
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
        with _locked(self.path, self.lock_timeout_s), self._faults():
            repository = self._repository()
            now = datetime.now(UTC)  # we hold the lock: nothing younger can be in the making
            repository.expire_snapshots(now)
            return int(repository.garbage_collect(now).bytes_deleted)

    def export(self, path: Path, *, tag: str) -> Path:
        """Write all seasons at a tag as one zarr v3 zip for release (groups ``events/<season>``); return its path.

        Plain, sharded zarr that needs no icechunk.  Two exports of a tag are the same bytes (with the same zarr), and
        so are exports of two stores with the same content.  Held in memory while it is written.
        """
        files: dict[str, Any] = {}
        store = MemoryStore(files)
        root = {"format": EVENTS_FORMAT, "schema": _schema_name(), "tag": tag}
        zarr.create_group(store, attributes=root)
        for season in self.seasons(tag=tag):
            _write_group(store, f"events/{season}", _for_disk(self.read(season, tag=tag)))
        _write_zip(path, files)
        return path

    def _create(self) -> None:
        """Make an empty repository if there is none: built beside and renamed, for icechunk refuses half of one."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            return
        icechunk = _icechunk()
        scratch = self.path.with_name(f".{self.path.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        # icechunk 2 would write format 2, which Python 3.11 cannot read.
        wanted = {"spec_version": 1} if _icechunk_major() > 1 else {}
        try:
            icechunk.Repository.create(icechunk.local_filesystem_storage(str(scratch)), **wanted)
            scratch.replace(self.path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _repository(self) -> Any:
        """Open the repository.  Raises StepMissing if there is none, DataError if this library cannot read it."""
        if not self.path.is_dir() or not any(self.path.iterdir()):
            raise StepMissing(f"no event store at {self.path}; append events first (nuanalysis run SPEC does).")
        self._check_format()
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

    def _check_format(self) -> None:
        """Refuse what is no icechunk store, or one of a format that the installed icechunk cannot read."""
        found = _icechunk_format(self.path)
        if found is None:
            raise DataError(f"{self.path} is a folder but no icechunk store; give another path, or move it away.")
        major = _icechunk_major()
        if found > major:
            raise DataError(
                f"{self.path} is an icechunk store of format {found}; the installed icechunk {version('icechunk')} "
                f"reads format {' and '.join(map(str, range(1, major + 1)))}. Format {found} needs icechunk >= {found} "
                "(2 needs Python >= 3.12); read it there, or ingest the events again into a new folder."
            )

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
        except (icechunk.IcechunkError, ValueError, OSError, KeyError, RuntimeError) as error:
            if _is_refusal(error):
                raise _refusal(self.path, error) from error
            raise DataError(
                f"event store {self.path} is damaged or unreadable ({_first_line(error)}); "
                "restore it from a copy, or ingest the events again into a new folder."
            ) from error


def _icechunk_major() -> int:
    return int(version("icechunk").split(".")[0])


def _icechunk_format(path: Path) -> int | None:
    """Return the format number in the header of a repository's files, None if there is no such file."""
    for candidate in (path / "repo", *sorted((path / "snapshots").glob("*"))):
        if candidate.is_file():
            with candidate.open("rb") as file:
                header = file.read(_ICECHUNK_FORMAT_AT + 1)
            if header.startswith(_ICECHUNK_MAGIC) and len(header) > _ICECHUNK_FORMAT_AT:
                return header[_ICECHUNK_FORMAT_AT]
    return None


def _schema_name() -> str:
    return f"{schema.EVENTS.name}/{schema.EVENTS.version}"


def _check_schema(store: object, path: Path) -> None:
    """Refuse a store whose layout or schema is not ours; one without a commit passes."""
    try:
        found = zarr.open_group(store, mode="r").attrs.asdict()
    except FileNotFoundError:  # no group yet: created, then killed before the first commit
        return
    wanted = {"format": EVENTS_FORMAT, "schema": _schema_name()}
    if any(found.get(key) != value for key, value in wanted.items()):
        raise DataError(
            f"{path} holds {found.get('schema')!r} in layout {found.get('format')!r}, written by "
            f"{found.get('written_by', 'an unknown program')}; nuanalysis {version('nuanalysis')} reads "
            f"{_schema_name()!r} in {EVENTS_FORMAT!r}. Read it with the version that wrote it, or ingest the events "
            "again into a new folder."
        )


def _seasons(store: object) -> tuple[str, ...]:
    try:
        return tuple(sorted(name for name, _ in zarr.open_group(store, path="events", mode="r").groups()))
    except FileNotFoundError:
        return ()


def _finite(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None


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
    if faults:
        raise DataError(
            f"the new events do not continue season '{season}':\n  - "
            + "\n  - ".join(faults)
            + "\nAppend them under another season name, or make them alike."
        )


# -------------------------------------------------------------------------------------- trial store


@dataclass(frozen=True, slots=True)
class EnsembleLayout:
    """What a trial store holds: whose trials, which columns, how many, and how many to a batch."""

    fingerprint: str
    columns: tuple[str, ...]
    n_trials: int
    batch: int
    attrs: Mapping[str, Any]

    @property
    def n_batches(self) -> int:
        """The number of batches; the last may be short."""
        return -(-self.n_trials // self.batch)

    def trials(self, k: int) -> range:
        """Return the trial numbers of batch k.  Raises InputError outside 0 <= k < n_batches."""
        if not 0 <= k < self.n_batches:
            raise InputError(
                f"there is no batch {k}; {self.n_trials} trials by {self.batch} are batches 0 to {self.n_batches - 1}."
            )
        return range(k * self.batch, min((k + 1) * self.batch, self.n_trials))


def create_ensemble(
    path: Path,
    *,
    fingerprint: str,
    columns: tuple[str, ...],
    n_trials: int,
    batch: int,
    attrs: Mapping[str, object],
) -> None:
    """Begin a trial store, or continue the one that is there; called again it does nothing.

    fingerprint : names the problem and all that the values depend on.  columns : names of the numbers of a trial.
    More trials than the store has extend it (a short last batch then counts as missing); fewer leave it as it is.
    ``attrs`` are those of the first call.  Raises DataError if it was begun by another problem or with other columns,
    InputError if it was begun with another batch size (see ``ensemble_layout``) or the numbers are impossible.
    """
    if n_trials < 1 or batch < 1 or not columns or len(set(columns)) != len(columns):
        raise InputError(
            f"an ensemble needs n_trials >= 1, batch >= 1 and distinct columns; found {n_trials}, {batch}, {columns}."
        )
    wanted = EnsembleLayout(fingerprint, tuple(columns), n_trials, batch, _plain(attrs, "attrs"))
    with _locked(path, LOCK_TIMEOUT_S):
        if not (path / "zarr.json").exists():
            _write_layout(path, wanted)
            return
        found = ensemble_layout(path)
        _refuse_other(path, found, wanted)
        if wanted.n_trials > found.n_trials:
            _write_layout(path, wanted)


def _refuse_other(path: Path, found: EnsembleLayout, wanted: EnsembleLayout) -> None:
    if found.fingerprint != wanted.fingerprint:
        raise DataError(
            f"trial store {path} was begun by another problem: it has fingerprint {found.fingerprint}, "
            f"this problem {wanted.fingerprint}. Use another run folder, or remove the store."
        )
    if found.columns != wanted.columns:
        raise DataError(
            f"trial store {path} has columns {found.columns}, expected {wanted.columns}; it was written by another "
            "version. Use another run folder, or remove the store."
        )
    if found.batch != wanted.batch:
        raise InputError(
            f"trial store {path} was begun with batches of {found.batch} trials, asked for {wanted.batch}; "
            f"go on with batch={found.batch} (the values do not depend on it), or remove the store."
        )


def _write_layout(path: Path, layout: EnsembleLayout) -> None:
    """Write the two metadata files, the group last: a store is there once its zarr.json is."""
    files: dict[str, Any] = {}
    root = {
        "format": TRIALS_FORMAT,
        "fingerprint": layout.fingerprint,
        "columns": list(layout.columns),
        "attrs": dict(layout.attrs),
    }
    zarr.create_group(MemoryStore(files), attributes=root).create_array(
        "trials",
        shape=(layout.n_trials, len(layout.columns)),
        chunks=(layout.batch, len(layout.columns)),
        dtype="<f8",
        fill_value=np.nan,
        compressors=[Crc32cCodec()],  # trials hardly compress; a checksum makes damage visible
        dimension_names=("trial", "column"),
    )
    atomic_write(path / "trials" / "zarr.json", files["trials/zarr.json"].to_bytes())
    if not (path / "zarr.json").exists():  # extending changes the shape only
        atomic_write(path / "zarr.json", files["zarr.json"].to_bytes())


def ensemble_layout(path: Path) -> EnsembleLayout:
    """Return the layout of a trial store.  Raises StepMissing if there is none, DataError if it is unreadable."""
    return _open_trials(path)[0]


def _open_trials(path: Path) -> tuple[EnsembleLayout, Any]:
    """Return the layout and the zarr array, (trial, column) float64."""
    if not (path / "zarr.json").exists():
        raise StepMissing(f"no trials at {path}; run the trials first (nuanalysis run SPEC does).")
    try:
        group = zarr.open_group(LocalStore(path, read_only=True), mode="r", zarr_format=3)
        root, array = group.attrs.asdict(), group["trials"]
        if root.get("format") != TRIALS_FORMAT:
            raise DataError(
                f"trial store {path} has layout {root.get('format')!r}, this nuanalysis reads {TRIALS_FORMAT!r}; "
                "read it with the version that wrote it, or remove it and run the trials again."
            )
        layout = EnsembleLayout(
            root["fingerprint"], tuple(root["columns"]), int(array.shape[0]), int(array.chunks[0]), root["attrs"]
        )
    except (ValueError, KeyError, OSError, TypeError) as error:
        raise DataError(
            f"the metadata of trial store {path} are damaged ({_first_line(error)}); "
            "remove it and run the trials again."
        ) from error
    return layout, array


def _read_batch(array: Any, rows: range) -> NDArray[np.float64] | None:
    """Return the rows of one batch, (row, column), NaN where blank; None where its checksum is wrong."""
    try:
        return np.asarray(array[rows.start : rows.stop], dtype=np.float64)
    except ValueError:
        return None


def _blank(rows: NDArray[np.float64]) -> bool:
    """Whether a trial is still to do: a row never written is NaN in every column."""
    return bool(np.isnan(rows).all(axis=1).any())


def missing_batches(path: Path) -> list[int]:
    """Return the numbers of the batches still to do: not written, too short after an extension, or damaged."""
    layout, array = _open_trials(path)
    read = ((k, _read_batch(array, layout.trials(k))) for k in range(layout.n_batches))
    return [k for k, rows in read if rows is None or _blank(rows)]


def write_batch(path: Path, k: int, values: ArrayLike) -> None:
    """Write batch k, (trial of the batch, column), in one rename; again it replaces the batch.

    Different batches may be written by different processes at once.  Raises InputError for a wrong shape or a trial
    that is NaN in every column (that means 'not done'), EnvironmentFault if the disk is full.
    """
    layout, _ = _open_trials(path)
    rows = layout.trials(k)
    packed = np.ascontiguousarray(values, dtype=np.float64)
    if packed.shape != (len(rows), len(layout.columns)):
        raise InputError(f"batch {k} of {path} has shape {packed.shape}, expected {(len(rows), len(layout.columns))}.")
    if _blank(packed):
        raise InputError(f"batch {k} of {path} has trials that are NaN in every column, which means 'not done yet'.")
    # Encoded in memory and renamed into place here, so that it is atomic with any version of zarr.
    files = {"zarr.json": _buffer((path / "trials" / "zarr.json").read_bytes())}
    zarr.open_array(MemoryStore(files), mode="r+")[rows.start : rows.stop] = packed
    [(name, chunk)] = ((name, chunk) for name, chunk in files.items() if name != "zarr.json")
    atomic_write(path / "trials" / name, chunk.to_bytes())


def _values(path: Path, *, complete: bool, n_trials: int | None = None) -> tuple[EnsembleLayout, NDArray[np.float64]]:
    """Return the layout and the first n (or all) trials, (trial, column), NaN where one is missing."""
    layout, array = _open_trials(path)
    if n_trials is not None:
        if not 1 <= n_trials <= layout.n_trials:
            raise StepMissing(
                f"trial store {path} is for {layout.n_trials} trials, asked for {n_trials}; "
                "run the trials again for more."
            )
        layout = replace(layout, n_trials=n_trials)
    values = np.full((layout.n_trials, len(layout.columns)), np.nan)
    damaged, blank = [], []
    for k in range(layout.n_batches):
        rows = _read_batch(array, layout.trials(k))
        if rows is None:
            damaged.append(k)
            continue
        values[layout.trials(k).start : layout.trials(k).stop] = rows
        if _blank(rows):
            blank.append(k)
    if complete and damaged:
        raise DataError(f"trial store {path} is damaged in {_listed(damaged)}; run the trials again to replace them.")
    if complete and blank:
        raise StepMissing(
            f"trial store {path} is not complete: {_listed(blank)} of {layout.n_batches} still to do; "
            "run the trials again to go on."
        )
    return layout, values


def _listed(batches: list[int]) -> str:
    shown = ", ".join(map(str, batches[:8])) + (", ..." if len(batches) > 8 else "")
    return f"{len(batches)} batch{'es' if len(batches) > 1 else ''} ({shown})"


def read_ensemble(path: Path, *, complete: bool = True, n_trials: int | None = None) -> xr.Dataset:
    """Return the trials: dimension ``trial``, one float64 variable for each column, attributes and fingerprint.

    With ``n_trials`` only the first so many, so that a result does not depend on an extension, finished or not.
    Units and descriptions are those of schema TRIALS; a column outside it is taken for a pure number.  With
    ``complete=False`` trials not done yet are NaN in every column.  Else raises StepMissing if there are any, and
    DataError if a batch is damaged.
    """
    layout, values = _values(path, complete=complete, n_trials=n_trials)
    data = {}
    for name, column in zip(layout.columns, values.T, strict=True):
        known = schema.TRIALS.columns.get(name)
        described = {"units": known.unit, "description": known.description} if known else {"units": ""}
        data[name] = (("trial",), np.ascontiguousarray(column), described)
    return xr.Dataset(data, attrs={**layout.attrs, "fingerprint": layout.fingerprint})


def ensemble_digest(path: Path) -> str:
    """Return the SHA-256 of the values, (trial, column) as little-endian float64, whatever the batches.

    Raises StepMissing or DataError if trials are blank or damaged.
    """
    return hashlib.sha256(_values(path, complete=True)[1].astype("<f8").tobytes()).hexdigest()
