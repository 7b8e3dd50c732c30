"""Sky scans on a bench: rounds of pixels in batches, each batch kept, so that a killed scan goes on where it was."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nuanalysis.engine.bench import Bench, Kept
from nuanalysis.errors import DataError
from nuanalysis.reconstruct import (
    EventLikelihood,
    Plan,
    Profile,
    ScanState,
    Wanted,
    begin,
    next_pixels,
    with_values,
)
from nuanalysis.schema import Floats, Ints
from nuanalysis.store import read_object, sweep, unlinked, write_object

_SECONDS = 1.0  # of a batch, about
_FIRST, _MOST = 16, 1000  # pixels of the batches before any was timed, and of any
_PARTS, _LEAST = 8, 8  # of a round, at least, so that a few workers share it; pixels of such a part, at least


@dataclass(frozen=True, slots=True, eq=False)
class SkyScan:
    """What is scanned.

    name, key : of its folder; key is the sha256 of all that the likelihood depends on, the plan is added to it here.
    open : gives the likelihood, a recipe that other processes can be sent.  shared : what it opens there.
    """

    name: str
    key: str
    open: Callable[[], EventLikelihood]
    plan: Plan
    shared: tuple[Kept, ...] = ()

    @property
    def place(self) -> str:
        """Name of the folder that keeps its pixels: another plan or likelihood has another one."""
        said = f"{self.key} {sorted(asdict(self.plan).items())}"
        return f"{self.name}-{hashlib.sha256(said.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True, eq=False)
class KeptFits:
    """Fits of some pixels at rest, (pixel,): number 4 nside^2 + index, whether it was a second attempt, the fit."""

    uniq: Ints
    again: Ints
    minus_log_likelihood: Floats
    nuisance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ScanRound:
    """Where a scan stands.

    state : after the last whole round.  done, wanted : pixels fitted in the round under way, and all of it.
    cpu_s : processor time of the fits of this call; those kept from an earlier one cost nothing.
    whole : whether ``state`` is new, so that a partial result may be made of it.  stopped : by the caller.
    """

    state: ScanState
    done: int
    wanted: int
    cpu_s: float
    whole: bool
    stopped: bool = False


def scan_rounds(scan: SkyScan, bench: Bench, stop: Callable[[], bool] = lambda: False) -> Iterator[ScanRound]:
    """Where the scan stands after each batch and each round; the last one has ended, or was stopped.

    stop : asked after each batch; True ends the scan with what whole rounds have found.  What was fitted is kept, and a
    later call goes on from there.  The states of whole rounds do not depend on the executor, on batches, or on how
    often the scan was killed.  Raises DataError for a link in the place of the folder or kept pixels that are none of
    this scan, EnvironmentFault for a full disk.
    """
    kept = _Store(unlinked(bench.folder, bench.folder / "scans" / scan.place))
    state, cpu_s, pace = begin(scan.open(), scan.plan), 0.0, _Pace()
    while len(wanted := next_pixels(state)):
        missing = kept.missing(wanted)
        done = len(wanted) - len(missing)
        with closing(bench.each(partial(_fitted, scan.open), pace.batches(wanted, missing), scan.shared)) as results:
            for _, (fits, seconds) in results:
                kept.add(fits)
                pace.timed(len(fits.uniq), seconds)
                done, cpu_s = done + len(fits.uniq), cpu_s + seconds
                bench.progress.move(f"pixels of {scan.name}", state.fitted + done, state.fitted + len(wanted))
                stopped = stop() and done < len(wanted)
                yield ScanRound(state, done, len(wanted), cpu_s, whole=False, stopped=stopped)
                if stopped:
                    return
        state = with_values(state, kept.profile(wanted))
        stopped = not state.ended and stop()
        yield ScanRound(state, 0, len(next_pixels(state)), cpu_s, whole=True, stopped=stopped)
        if stopped:
            return


def scanned(scan: SkyScan, bench: Bench) -> ScanState:
    """The state of a scan that has ended."""
    for last in scan_rounds(scan, bench):
        state = last.state
    return state


def _fitted(opened: Callable[[], EventLikelihood], wanted: Wanted) -> tuple[KeptFits, float]:
    """Fits of a batch, and the processor time that they took."""
    likelihood, began = opened(), time.thread_time()
    found = likelihood.profile(*wanted.pixels.directions, wanted.starts)
    again = np.full(len(wanted), wanted.again, np.int64)
    fits = KeptFits(wanted.pixels.uniq, again, found.minus_log_likelihood, found.nuisance)
    return fits, time.thread_time() - began


class _Pace:
    """How many pixels make a second of work, from the batches so far; values do not depend on it."""

    def __init__(self) -> None:
        self._pixels, self._seconds = 0, 0.0

    def timed(self, pixels: int, seconds: float) -> None:
        self._pixels, self._seconds = self._pixels + pixels, self._seconds + seconds

    @property
    def size(self) -> int:
        if not self._pixels:
            return _FIRST
        each = max(self._seconds / self._pixels, 1e-6)
        return int(np.clip(math.ceil(_SECONDS / each), 1, _MOST))

    def batches(self, wanted: Wanted, missing: Ints) -> Iterator[Wanted]:
        """The missing pixels of a round, in parts whose size is set when each is taken."""
        first, most = 0, max(math.ceil(len(missing) / _PARTS), _LEAST)
        while first < len(missing):
            part = missing[first : first + min(self.size, most)]
            first += len(part)
            yield Wanted(wanted.pixels.take(part), wanted.starts[part], wanted.again)


class _Store:
    """Kept fits of a scan: a file for each batch, named by its first pixel; blanks are what is still to do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        self._fits: dict[tuple[int, int], tuple[float, Floats]] = {}
        for path in sorted(folder.glob("*.npz")):
            found = read_object(path)
            if not isinstance(found, KeptFits):
                raise DataError(f"{path} holds a {type(found).__name__}; expected fits. Remove it and call again")
            self._take(found)

    def _take(self, fits: KeptFits) -> None:
        for uniq, again, value, nuisance in zip(
            fits.uniq.tolist(), fits.again.tolist(), fits.minus_log_likelihood.tolist(), fits.nuisance, strict=True
        ):
            self._fits[uniq, again] = value, nuisance

    def add(self, fits: KeptFits) -> None:
        """Keep a batch: in memory, and whole on disk before the scan says that it is done."""
        name = f"{int(fits.again[0])}-{int(fits.uniq[0]):015d}-{len(fits.uniq)}.npz"
        write_object(self._folder / name, fits)
        self._take(fits)

    def missing(self, wanted: Wanted) -> Ints:
        """Which of the wanted pixels were not fitted yet, by their place."""
        there = [(uniq, wanted.again) in self._fits for uniq in wanted.pixels.uniq.tolist()]
        return np.flatnonzero(~np.array(there, dtype=bool))

    def profile(self, wanted: Wanted) -> Profile:
        """The fits of all wanted pixels, in their order."""
        found = [self._fits[uniq, wanted.again] for uniq in wanted.pixels.uniq.tolist()]
        return Profile(np.array([value for value, _ in found]), np.stack([nuisance for _, nuisance in found]))
