"""The rows of the whole sky: scans, background skies, and stacks on tracks."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from measures import problems
from measures.clock import Stopwatch, cpu, race
from measures.records import Curve, Row
from measures.rows import CPU, Effort, our_trials, trial_row
from nuanalysis import trials
from nuanalysis.answers.scan import Sky, direction, fit_sky, look_at
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial, Threads
from nuanalysis.engine.progress import Silent
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import maximise, turned
from nuanalysis.model import Sample, prepare, terms
from nuanalysis.sphere import pixel_directions

Floats = NDArray[np.float64]
PIXELS = "pixels of the sky"
_CORES = 2
_SKIES = 1000
_SKIES_A_CALL = 10
_ALONE = 8  # directions fitted one by one for the reference


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    samples: tuple[Sample, ...]
    nside: int
    origin: str
    budget: float

    @property
    def events(self) -> str:
        """How many, of what."""
        n = sum(s.events.sizes["event"] for s in self.samples)
        return f"{n:,} {'real tracks' if self.origin == 'real' else 'cascades'}"


def _cascades() -> _Case:
    return _Case("cascades", problems.cascades(), 64, "synthetic", 60.0)


def _tracks() -> _Case:
    return _Case("tracks", problems.tracks(), 128, "real", 300.0)


def _sky(seasons: tuple[Sample, ...]) -> Sky:
    return look_at(Samples("benchmark", "benchmark", seasons), Bench(Path(), Serial(), Silent()))


def _one_by_one(case: _Case) -> Stopwatch:
    """Stand-alone fits of pixels all over the sky, each prepared by itself."""
    ra, dec = (a[:: len(a) // _ALONE] for a in pixel_directions(case.nside))

    def work(first: int, last: int) -> None:
        for k in range(first, last):
            where = direction(float(ra[k % len(ra)]), float(dec[k % len(dec)]))
            maximise(terms(prepare(where, case.samples)))

    return cpu(work)


def _scan(case: _Case, effort: Effort) -> Row:
    """Wall clock of a scan on two threads beside stand-alone fits of the same pixels."""
    sky = _sky(case.samples)
    wall = []
    with Threads(_CORES) as pool:
        for _ in range(max(effort.processes, 2)):
            start = time.monotonic()
            fit_sky(sky.kept, case.nside, Bench(Path(), pool, Silent()))
            wall.append(time.monotonic() - start)
    (one,) = race((_one_by_one(case),), rounds=1, seconds=0.0)
    pixels, best = 12 * case.nside**2, min(wall)
    return Row(
        f"scan-{case.name}",
        f"scan of {pixels:,} pixels (nside {case.nside}), n_s and index free, {case.events}",
        case.origin,
        "wall clock, two threads",
        "s",
        best,
        float(np.median(wall)) / best - 1.0,
        "stand-alone fits, pixel by pixel",
        one.best * pixels / _CORES,
        case.budget,
        len(wall),
        1,
        "samples prepared before; reference extrapolated from the time of one direction",
    )


def _flat_law() -> trials.LocalP:
    """Half a chi-square of two degrees of freedom at any declination: the law decides nothing about speed."""
    root = np.arange(0.0, 7.1, 0.1)
    log_p = np.log(0.5) + chi2.logsf(root**2, 2)
    edge = np.array([-1.4, 1.4])
    return trials.LocalP(edge, root, np.array([log_p, log_p]), np.zeros((2, len(root))), np.full(2, 7.0))


def _skies(case: _Case, effort: Effort) -> Row:
    """CPU of background skies with their hottest spots beside skies whose every pixel is fitted."""
    sky, law = _sky(case.samples), _flat_law()
    events, pixels = sky.events, trials.in_reach(case.nside)
    search = trials.search_for(events, case.nside)

    def ours(first: int, last: int) -> None:
        trials.sky_trials(events, law, search, 1, first * _SKIES_A_CALL, last * _SKIES_A_CALL)

    def whole(first: int, last: int) -> None:
        skies = [trials.draw_sky(events, 1, k) for k in range(first, last)]
        trials.fit_pixels(events, skies, case.nside, [pixels] * len(skies))

    mine, other = race((cpu(ours), cpu(whole)), rounds=1, seconds=0.0)
    return Row(
        f"skies-{case.name}",
        f"{_SKIES:,} background skies with their hottest spots, nside {case.nside}, {case.events}",
        case.origin,
        f"CPU over {_CORES} cores",
        "s",
        mine.best / _SKIES_A_CALL * _SKIES / _CORES,
        mine.spread,
        "every pixel of every sky",
        other.best * _SKIES / _CORES,
        1800.0,
        mine.rounds,
        _SKIES_A_CALL,
        f"extrapolated from {_SKIES_A_CALL} skies, the reference from one",
    )


def _fits_of_a_scan(case: _Case, nside: int) -> Stopwatch:
    """Every pixel of a sky, all that pixels of a circle share included."""
    sky = _sky(case.samples)
    data, pixels = [turned(sky.events.right_ascension())], np.arange(12 * nside**2)

    def whole(first: int, last: int) -> None:
        for _ in range(first, last):
            trials.fit_pixels(sky.events, data, nside, [pixels])

    return cpu(whole)


def pixel(effort: Effort) -> Row:
    """Row: a pixel of a scan of the cascade sample, all of a scan included."""
    case = _cascades()
    nside = case.nside // 2
    pixels = 12 * nside**2
    ours, one = race((_fits_of_a_scan(case, nside), _one_by_one(case)), rounds=min(effort.rounds, 3), seconds=0.0)
    return Row(
        "sky-pixel",
        f"sky pixel of a scan (nside {nside}), exact in declination, n_s and index free, {case.events}",
        case.origin,
        CPU,
        "ms",
        1e3 * ours.best / pixels,
        ours.spread,
        "stand-alone fits, pixel by pixel",
        1e3 * one.best,
        0.5,
        ours.rounds,
        pixels,
        "what all pixels of a circle share is in it",
    )


def pixel_complete(effort: Effort) -> Row:
    """Row: the same with the statistic 'complete', whose point spread has three parts."""
    case = _cascades()
    nside = case.nside // 2
    pixels = 12 * nside**2
    both = tuple(_fits_of_a_scan(one, nside) for one in (replace(case, samples=problems.cascades("complete")), case))
    ours, published = race(both, rounds=min(effort.rounds, 3), seconds=0.0)
    return Row(
        "sky-pixel-complete",
        f"sky pixel of a scan (nside {nside}), statistic 'complete', n_s and index free, {case.events}",
        case.origin,
        CPU,
        "ms",
        1e3 * ours.best / pixels,
        ours.spread,
        "ours, the published statistic",
        1e3 * published.best / pixels,
        1.5,
        ours.rounds,
        pixels,
        "what all pixels of a circle share is in it; a point spread of three parts in place of one",
    )


def scan_cascades(effort: Effort) -> Row:
    """Row: the scan of the cascade sample."""
    return _scan(_cascades(), effort)


def scan_tracks(effort: Effort) -> Row:
    """Row: the scan of the real tracks.  Raises DataError where they are not here."""
    return _scan(_tracks(), effort)


def skies_cascades(effort: Effort) -> Row:
    """Row: background skies of the cascade sample."""
    return _skies(_cascades(), effort)


def skies_tracks(effort: Effort) -> Row:
    """Row: background skies of the real tracks.  Raises DataError where they are not here."""
    return _skies(_tracks(), effort)


def stack_tracks(effort: Effort) -> Row:
    """Row: a thousand sources on the real tracks, index free.  Raises DataError where they are not here."""
    samples = problems.tracks()
    contenders = (
        our_trials(problems.plane_sources(1000), samples),
        our_trials(problems.supernova_remnants(), samples),
    )
    what = f"stack of 1,000 sources, free index, {sum(s.events.sizes['event'] for s in samples):,} real tracks"
    note = "narrow events have exact kernels, those wider than two pixels maps"
    reference = "ours, stack of 12 sources"
    return trial_row(
        "stack-tracks", what, contenders, effort, budget=None, origin="real", reference=reference, note=note
    )


def over_pixels(effort: Effort) -> tuple[Curve, ...]:
    """A scan of the cascade sample with more and more pixels."""
    sky = _sky(problems.cascades())
    data, nsides, cost = [turned(sky.events.right_ascension())], (16, 32, 64, 128), []
    for nside in nsides:
        pixels = np.arange(12 * nside**2)
        watch = cpu(lambda first, last, n=nside, all_=pixels: trials.fit_pixels(sky.events, data, n, [all_]))  # type: ignore[misc]
        cost.append(1e3 * min(watch(0, 1) for _ in range(min(effort.rounds, 2))))
    return (Curve("scan", PIXELS, "nuanalysis", tuple(12.0 * n**2 for n in nsides), tuple(cost), 1.0),)


ROWS = (stack_tracks, pixel, pixel_complete, scan_cascades, scan_tracks, skies_cascades, skies_tracks)
