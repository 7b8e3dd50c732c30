"""The bench: where trials are run and kept.  The only loop over batches of trials in the package."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.executors import Executor, Serial, Threads
from nuanalysis.engine.progress import Progress, Silent
from nuanalysis.errors import DataError, refuse
from nuanalysis.likelihood.statistics import statistic
from nuanalysis.model import Statistic
from nuanalysis.schema import Floats
from nuanalysis.store import ENDING, Named, ensembles, read_object, sweep, unlinked, write_object

#: Records of a problem that hold functions: known by their names.
NAMED: Named = {Statistic: statistic}
_MOST = 1e15  # of any number of a trial
_FINITE = ("ts", "n_signal", "n_injected", "log_weight")  # in every trial; others may be NaN where nothing was fitted
Rows = Callable[[int, int], Floats]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A large object: it goes to other processes as the path of a file named by what it is made from."""

    value: Any
    path: Path

    def __reduce__(self) -> tuple[Callable[[str], Kept], tuple[str]]:
        return _opened, (str(self.path),)


@lru_cache(maxsize=1)
def _opened(path: str) -> Kept:
    """The object of a path named by its content: opened once per process."""
    return Kept(read_object(Path(path), NAMED), Path(path))


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Which trials: what their store is called, its columns, and how many there shall be.

    kind : first word of the store's name.  key : sha256 of all that the values depend on but the trial number.
    batch : trials of one task; values do not depend on it.  attrs : kept with the trials.
    weights : name of the column of log-weights, '' for none.
    """

    kind: str
    key: str
    columns: tuple[str, ...]
    n: int
    batch: int
    attrs: dict[str, object]
    weights: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """Where trials are run and kept: a folder, an executor, and who is told how far they are.

    patient : whether a Ctrl-C ends the call; otherwise trials that were finished before it are used.
    """

    folder: Path
    executor: Executor = field(default_factory=Serial)
    progress: Progress = field(default_factory=Silent)
    patient: bool = True
    _lent: set[Path] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))  # a notebook gives it as text

    def here(self) -> Bench:
        """The same folder, for one task of many: in turn, in silence."""
        return replace(self, executor=Serial(), progress=Silent())

    def keep(self, value: Any, name: str) -> Kept:
        """An object that tasks share; name : sha256 of what it is made from."""
        return Kept(value, self.folder / "cache" / f"{name}{ENDING}")

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], what: str, shared: Iterable[Kept] = ()
    ) -> list[Result]:
        """Results in the order of the items; what : the work in words, '' to say nothing.

        shared : what the function opens where it runs.
        """
        self._lend(shared)
        out: list[Any] = [None] * len(items)
        for done, (position, result) in enumerate(self.executor.map(function, items), start=1):
            out[position] = result
            if what:
                self.progress.move(what, done, len(items))
        return out

    def each(
        self, function: Callable[[Item], Result], items: Iterable[Item], shared: Iterable[Kept] = ()
    ) -> Generator[tuple[int, Result], None, None]:
        """Results as they arrive, each with the position of its item; items are taken as they are needed."""
        self._lend(shared)
        yield from self.executor.map(function, items)

    def fill(self, wanted: Ensemble, rows: Rows, shared: Iterable[Kept] = ()) -> xr.Dataset:
        """All trials of an ensemble, from the store where they are there; one variable a column, dim ``trial``.

        rows : (first, last) to (trial, column), a recipe that other processes can be sent.
        shared : what the recipe opens there.  A killed call goes on where it was.
        Raises DataError for a store of other trials or a link in its place, EnvironmentFault for a full disk.
        """
        path = unlinked(self.folder, self.folder / "trials" / f"{wanted.kind}-{wanted.key[:24]}.zarr")
        path.parent.mkdir(parents=True, exist_ok=True)
        batch = ensembles.ensemble_layout(path).batch if (path / "zarr.json").exists() else wanted.batch
        ensembles.create_ensemble(
            path, fingerprint=wanted.key, columns=wanted.columns, n_trials=wanted.n, batch=batch, attrs=wanted.attrs
        )
        total = ensembles.ensemble_layout(path).n_trials
        missing = ensembles.missing_batches(path, n_trials=wanted.n)
        if missing:
            self._lend(shared)
        n, done = wanted.n, wanted.n - sum(min(batch, wanted.n - k * batch) for k in missing)
        new: list[Floats] = []
        try:
            for position, found in self.executor.map(partial(_batch, rows, batch, total), missing):
                ensembles.write_batch(path, missing[position], found)
                done += len(found)
                if wanted.weights:
                    new.append(found[:, wanted.columns.index(wanted.weights)])
                note = f"effective {effective(np.concatenate(new)):.0f} of {sum(map(len, new))}" if new else ""
                self.progress.move(f"{wanted.kind} trials", min(done, n), n, note)
        except KeyboardInterrupt:
            first_missing = [k * batch for k in ensembles.missing_batches(path, n_trials=n)[:1]]
            n = min([n, *first_missing])
            if self.patient or not n:
                raise
            self.progress(f"interrupted: {n:,} of {wanted.n:,} {wanted.kind} trials are used")
        return _refuse_nonsense(ensembles.read_ensemble(path, n_trials=n), path)

    def _lend(self, shared: Iterable[Kept]) -> None:
        """Put what tasks share where other processes find it.

        What lies there already is not used: a folder may come from somebody else, and a file be cut short.
        """
        if not isinstance(self.executor, Threads | Serial):  # there tasks see the objects of this process
            for one in shared:
                if one.path not in self._lent:
                    sweep(unlinked(self.folder, one.path).parent)
                    write_object(one.path, one.value, NAMED)
                    self._lent.add(one.path)


def _refuse_nonsense(trials: xr.Dataset, path: Path) -> xr.Dataset:
    """The trials.  Raises DataError for numbers that no trial has: the store may come from somebody else."""
    wrong = {name: int((~(np.abs(trials[name].values) <= _MOST)).sum()) for name in _FINITE if name in trials}
    faults = (f"'{name}' has {n} values that are no number or beyond {_MOST:g}" for name, n in wrong.items() if n)
    refuse(faults, f"the trial store {path} holds what cannot be", "Remove it and call again.", error=DataError)
    return trials


def _batch(rows: Rows, batch: int, total: int, k: int) -> Floats:
    return rows(k * batch, min((k + 1) * batch, total))


def effective(log_weight: Floats) -> float:
    """Effective number of trials under the null, (sum w)^2 / sum w^2."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight**2).sum())
