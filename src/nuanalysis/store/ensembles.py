"""Trials at rest: a table (trial, column) that is filled batch by batch, by several processes, and can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nuanalysis import schema
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, StepMissing
from nuanalysis.schema import Floats
from nuanalysis.store._files import LOCK_TIMEOUT_S, atomic_write, locked, sweep
from nuanalysis.store._foreign import own_tree, parsing, read_json, unlinked
from nuanalysis.store._zarr import plain, to_buffer

TRIALS_FORMAT = "nuanalysis-trials/1"
MOST_TRIALS = 1_000_000_000
_CODECS = ["bytes", "crc32c"]


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
    path: Path, *, fingerprint: str, columns: tuple[str, ...], n_trials: int, batch: int, attrs: Mapping[str, object]
) -> None:
    """Begin a trial store, or continue the one that is there; called again it does nothing.

    What killed writers left half-written is removed.
    fingerprint : names the problem and all that the values depend on.  columns : names of the numbers of a trial.
    More trials than the store has extend it (a short last batch then counts as missing); fewer leave it as it is.
    ``attrs`` are those of the first call.  Raises DataError if it was begun by another problem or with other columns,
    InputError if it was begun with another batch size (see ``ensemble_layout``) or the numbers are impossible.
    """
    if n_trials < 1 or batch < 1 or not columns or len(set(columns)) != len(columns):
        raise InputError(
            f"an ensemble needs n_trials >= 1, batch >= 1 and distinct columns; found {n_trials}, {batch}, {columns}."
        )
    root = {
        "format": TRIALS_FORMAT,
        "fingerprint": fingerprint,
        "columns": list(columns),
        "attrs": plain(attrs, "attrs"),
    }
    with locked(path, LOCK_TIMEOUT_S):
        own_tree(path, "the trial store")
        sweep(path)
        begun = (path / "zarr.json").exists()
        if begun:
            found = ensemble_layout(path)
            _refuse_other(path, found, fingerprint, tuple(columns), batch)
        if not begun or n_trials > found.n_trials:
            _write_metadata(path, root, (n_trials, len(columns)), batch)


def _refuse_other(path: Path, found: EnsembleLayout, fingerprint: str, columns: tuple[str, ...], batch: int) -> None:
    if found.fingerprint != fingerprint:
        raise DataError(
            f"trial store {path} was begun by another problem: it has fingerprint {found.fingerprint}, "
            f"this problem {fingerprint}. Use another run folder, or remove the store."
        )
    if found.columns != columns:
        raise DataError(
            f"trial store {path} has columns {found.columns}, expected {columns}; it was written by another "
            "version. Use another run folder, or remove the store."
        )
    if found.batch != batch:
        raise InputError(
            f"trial store {path} was begun with batches of {found.batch} trials, asked for {batch}; "
            f"go on with batch={found.batch} (the values do not depend on it), or remove the store."
        )


def _write_metadata(path: Path, root: dict[str, Any], shape: tuple[int, int], batch: int) -> None:
    """Write the two metadata files, the group last: a store is there once its zarr.json is."""
    import zarr

    files: dict[str, Any] = {}
    zarr.create_group(zarr.storage.MemoryStore(files), attributes=root).create_array(
        "trials",
        shape=shape,
        chunks=(batch, shape[1]),
        dtype="<f8",
        fill_value=np.nan,
        compressors=[zarr.codecs.Crc32cCodec()],  # trials hardly compress; a checksum makes damage visible
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
    import zarr

    if not (path / "zarr.json").exists():
        raise StepMissing(f"no trials at {path}; run the trials first (nuanalysis run SPEC does).")
    remedy = "remove it and run the trials again"
    read_json(unlinked(path, path / "zarr.json"), "the record of the trial store", remedy)
    about = read_json(unlinked(path, path / "trials" / "zarr.json"), "the record of the trial store", remedy)
    with parsing(path, "the trial store", remedy, error=DataError):
        group = zarr.open_group(zarr.storage.LocalStore(path, read_only=True), mode="r", zarr_format=3)
        root, array = group.attrs.asdict(), group["trials"]
    if root.get("format") != TRIALS_FORMAT:
        raise DataError(
            f"trial store {path} has layout {root.get('format')!r}, this nuanalysis reads {TRIALS_FORMAT!r}; "
            "read it with the version that wrote it, or remove it and run the trials again."
        )
    with parsing(path, "the trial store", remedy, error=DataError):
        layout = EnsembleLayout(
            str(root["fingerprint"]), tuple(root["columns"]), array.shape[0], array.chunks[0], root["attrs"]
        )
        if fault := _fault(layout, array, about):
            raise ValueError(fault)
    return layout, array


def _fault(layout: EnsembleLayout, array: Any, about: Mapping[str, Any]) -> str:
    """What a trial store cannot be; '' for a sound one.    about : the record of its array."""
    columns = len(layout.columns)
    if array.shape[1:] != (columns,) or array.chunks[1:] != (columns,) or array.dtype != np.float64:
        return f"its array is {array.shape} of {array.dtype} in chunks {array.chunks}"
    if not isinstance(layout.attrs, dict):
        return "its attributes are no table"
    if [one["name"] for one in about["codecs"]] != _CODECS or about["fill_value"] != "NaN":
        # anything else could unpack to more than there is room for, or make trials of batches that are lost
        return f"it is not packed as {' and '.join(_CODECS)}, with NaN for what is not there"
    if not 1 <= layout.n_trials <= MOST_TRIALS or len(set(map(str, layout.columns))) != columns:
        return f"it is for {layout.n_trials:,} trials of {layout.columns}, expected at most {MOST_TRIALS:,}"
    return ""


def _read_batch(array: Any, rows: range) -> Floats | None:
    """Return the rows of one batch, (row, column), NaN where blank; None where its checksum is wrong."""
    try:
        return np.asarray(array[rows.start : rows.stop], dtype=np.float64)
    except ValueError:
        return None


def _blank(rows: Floats) -> bool:
    """Whether a trial is still to do: a row never written is NaN in every column."""
    return bool(np.isnan(rows).all(axis=1).any())


def missing_batches(path: Path, *, n_trials: int = MOST_TRIALS) -> list[int]:
    """Return the numbers of the batches still to do: not written, too short after an extension, or damaged.

    n_trials : of the first so many alone; a store may say that it is for more than anybody waits for.
    """
    layout, array = _open_trials(path)
    own_tree(path, "the trial store")
    layout = replace(layout, n_trials=min(n_trials, layout.n_trials))
    read = ((k, _read_batch(array, layout.trials(k))) for k in range(layout.n_batches))
    return [k for k, rows in read if rows is None or _blank(rows)]


def write_batch(path: Path, k: int, values: ArrayLike) -> None:
    """Write batch k, (trial of the batch, column), in one rename; again it replaces the batch.

    Different batches may be written by different processes at once.  Raises InputError for a wrong shape or a trial
    that is NaN in every column (that means 'not done'), EnvironmentFault if the disk is full.
    """
    import zarr

    layout, _ = _open_trials(path)
    rows = layout.trials(k)
    packed = np.ascontiguousarray(values, dtype=np.float64)
    if packed.shape != (len(rows), len(layout.columns)):
        raise InputError(f"batch {k} of {path} has shape {packed.shape}, expected {(len(rows), len(layout.columns))}.")
    if _blank(packed):
        raise InputError(f"batch {k} of {path} has trials that are NaN in every column, which means 'not done yet'.")
    # Encoded in memory and renamed into place here, so that it is atomic with any version of zarr.
    files = {"zarr.json": to_buffer((path / "trials" / "zarr.json").read_bytes())}
    zarr.open_array(zarr.storage.MemoryStore(files), mode="r+")[rows.start : rows.stop] = packed
    [(name, chunk)] = ((name, chunk) for name, chunk in files.items() if name != "zarr.json")
    atomic_write(path / "trials" / name, chunk.to_bytes())


def read_ensemble(path: Path, *, n_trials: int | None = None) -> xr.Dataset:
    """Return the trials: dimension ``trial``, one float64 variable for each column, attributes and fingerprint.

    With ``n_trials`` only the first so many, so that a result does not depend on an extension, finished or not.
    Units and descriptions are those of schema TRIALS; a column outside it is taken for a pure number.
    Raises StepMissing if trials are not done yet, DataError if a batch is damaged.
    """
    layout, array = _open_trials(path)
    own_tree(path, "the trial store")
    if n_trials is not None:
        if not 1 <= n_trials <= layout.n_trials:
            raise StepMissing(
                f"trial store {path} is for {layout.n_trials} trials, asked for {n_trials}; "
                "run the trials again for more."
            )
        layout = replace(layout, n_trials=n_trials)
    batches = [_read_batch(array, layout.trials(k)) for k in range(layout.n_batches)]
    if damaged := [k for k, rows in enumerate(batches) if rows is None]:
        raise DataError(f"trial store {path} is damaged in {_listed(damaged)}; run the trials again to replace them.")
    whole = [rows for rows in batches if rows is not None]
    if blank := [k for k, rows in enumerate(whole) if _blank(rows)]:
        raise StepMissing(
            f"trial store {path} is not complete: {_listed(blank)} of {layout.n_batches} still to do; "
            "run the trials again to go on."
        )
    data = {}
    for name, column in zip(layout.columns, np.concatenate(whole).T, strict=True):
        known = schema.TRIALS.columns.get(name)
        described = {"units": known.unit, "description": known.description} if known else {"units": ""}
        data[name] = (("trial",), np.ascontiguousarray(column), described)
    return xr.Dataset(data, attrs={**layout.attrs, "fingerprint": layout.fingerprint})


def _listed(batches: list[int]) -> str:
    shown = ", ".join(map(str, batches[:8])) + (", ..." if len(batches) > 8 else "")
    return f"{len(batches)} batch{'es' if len(batches) > 1 else ''} ({shown})"
