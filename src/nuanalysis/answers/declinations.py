"""Point sources against declination: sensitivity, discovery potential and upper limits, as documents.

Under scrambles of right ascension a source's own right ascension does not matter: a curve against declination serves
every source.  Trials go through the trial store, one declination a task: a killed call goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis import plot, store, trials
from nuanalysis.answers import inference, potentials
from nuanalysis.answers.inference import Problem
from nuanalysis.answers.scan import direction
from nuanalysis.engine import ensembles
from nuanalysis.engine.ensembles import Plan, Progress
from nuanalysis.engine.executors import Executor, Serial
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import circle, fit_circle, fit_directions, sky_events, turned
from nuanalysis.model import Hypothesis, Sample
from nuanalysis.plot import origin_of
from nuanalysis.sky.records import Catalogue
from nuanalysis.store.fits import ecsv

Floats = NDArray[np.float64]
# Nodes of the table of local p-values of ``scan``: the two share their background ensembles.
DECLINATIONS = (-79.0, -71.0, -60.0, *map(float, range(-50, 51, 10)), 60.0, 71.0, 79.0)
INDICES = (2.0, 3.0)
N_TRIALS, N_INJECTIONS = 2000, 1200
FEWEST_TRIALS, FEWEST_INJECTIONS = 200, 300
SIGMA = 5.0
METHOD = (
    "thresholds of the discovery potential from tilted scrambles weighted back to the null, those of the sensitivity "
    "from plain scrambles seen at several right ascensions; signal drawn from the response into scrambled data, "
    "background estimated again from both"
)
LIMIT = (
    "strength of which 90 % of the injected skies have a TS above that of the data, or above the median of background "
    "skies where the data have less: never below the sensitivity (as for 'nuanalysis fit')"
)
_PLACES = 24  # right ascensions at which a plain scramble is looked at
_A_SKY = 10  # scrambles asked for, to one sky with all its places
_SKY_SEED, _PILOT_SEED, _INJECTION_SEED = (
    49_979_687,
    67_867_967,
    86_028_121,
)  # ensembles of their own have seeds of their own
_PILOT = 5  # a fifth of the injections finds where the rest are worth their time
_TOPS = (1.0, 2.0, 4.0)  # the pilot's largest strength, the next where the answer lies beyond one
_TOP_SPREADS, _TOP_EVENTS = 10.0, 40.0  # in standard deviations of n_s, and at least in events
# Strengths in parts of the pilot's sensitivity and discovery potential.  The sensitivity asks for the rare tenth below
# a threshold, and takes four times as many trials for the same error.
_NEAR_SENSITIVITY, _NEAR_DISCOVERY = (0.7, 0.85, 1.0, 1.15, 1.35), (0.85, 1.0, 1.2, 1.5)
_BETWEEN = (0.4, 0.7)  # logarithmic way from one to the other, for limits
_DEGREES_FROM_POLE = 8.0
_FINE = 161  # sin(declination) between the outermost nodes at which the curve is drawn


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for.

    declinations : deg, rising.    indices : of the injected power laws.
    index_free : whether fits have their index free in [1, 4], or held at the injected one.
    """

    declinations: tuple[float, ...] = DECLINATIONS
    indices: tuple[float, ...] = INDICES
    index_free: bool = True
    n_trials: int = N_TRIALS
    n_injections: int = N_INJECTIONS
    seed: int = 1

    def __post_init__(self) -> None:
        most = 90.0 - _DEGREES_FROM_POLE
        faults = []
        if not self.declinations or any(a >= b for a, b in zip(self.declinations, self.declinations[1:], strict=False)):
            faults.append("declinations are empty or do not rise")
        if any(not abs(d) <= most for d in self.declinations):
            faults.append(f"declinations reach beyond {most:g} degrees, where circles are too short for scrambles")
        if not self.indices or len(set(self.indices)) < len(self.indices):
            faults.append("indices are empty or not all different")
        if any(not 1.0 <= g <= 4.0 for g in self.indices):
            faults.append("an index is outside 1 to 4")
        if self.n_trials < FEWEST_TRIALS:
            faults.append(f"--trials is {self.n_trials}; expected {FEWEST_TRIALS} or more")
        if self.n_injections < FEWEST_INJECTIONS:
            faults.append(f"--injections is {self.n_injections}; expected {FEWEST_INJECTIONS} or more")
        if faults:
            raise InputError("; ".join(faults))

    def hypothesis(self, declination: float, index: float) -> Hypothesis:
        """A source at right ascension 0 and a declination in rad; injected with the index."""
        return replace(direction(0.0, declination), index=index, index_free=self.index_free)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Samples that are analysed together, under one name."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def origin(self) -> str:
        """'real', 'synthetic', or 'mixed' where it holds events of both kinds."""
        found = sorted({s.origin for s in self.samples})
        return found[0] if len(found) == 1 else "mixed"


def groups(samples: Sequence[tuple[str, tuple[Sample, ...]]]) -> tuple[Group, ...]:
    """Every sample alone and, where there are several, all jointly."""
    alone = tuple(Group(name, parts) for name, parts in samples)
    if len(alone) == 1:
        return alone
    return (*alone, Group(" + ".join(g.name for g in alone), tuple(s for g in alone for s in g.samples)))


# --- trials of one declination ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """Experiments of one declination and index: background and injected trials, and what turns events into fluxes.

    background : tilted scrambles; plain (sky, place): TS of plain ones; injected : variables n_injected and ts.
    spread : standard deviation of n_s without signal.  per_flux : events for a flux of 1 TeV cm^-2 s^-1.
    log10_energy : the lower and the upper end of the energies that the sensitivity comes from, E/GeV.
    """

    background: xr.Dataset
    plain: Floats
    injected: xr.Dataset
    spread: float
    per_flux: float
    log10_energy: tuple[float, float]

    @property
    def median(self) -> float:
        """Median TS of background skies."""
        return _quantile(self.plain, 0.5)


def _quantile(plain: Floats, upper: float) -> float:
    return trials.weighted_quantile(plain.ravel(), np.zeros(plain.size), upper)


def _silent(line: str) -> None:
    """Progress of a task that is one of many."""


def plain_ts(problem: Problem, n_skies: int) -> Floats:
    """TS of plain scrambles at places around the circle of a single source, (sky, place)."""
    (source,) = problem.hypothesis.target.sources  # type: ignore[union-attr]
    events = sky_events(problem.prepared)
    share = events.shares(np.array([source.declination]))[0]
    where = circle(events, source.declination, share)
    at = np.linspace(0.0, 2 * np.pi, _PLACES, endpoint=False, dtype=np.float64)
    seed = (problem.seed + _SKY_SEED) % 2**63
    return np.array([fit_circle(where, trials.draw_sky(events, seed, k), at)[:, 0] for k in range(n_skies)])


def _inject(problem: Problem, n: int, n_means: tuple[float, ...], seed: int) -> tuple[Floats, Floats]:
    """Mean injected events and TS of n injected skies, (trial,) each."""
    plan = Plan((problem.seed + seed) % 2**63, n, n_means=n_means)
    found = ensembles.run(problem.prepared, plan, problem.folder, Serial(), _silent, fingerprint=problem.fingerprint)
    return found["n_injected"].values, found["ts"].values


def _pilot(problem: Problem, n: int, plain: Floats, background: xr.Dataset) -> tuple[Floats, Floats, float, float]:
    """A few injected skies, and the strengths of the sensitivity and of the discovery potential that they give.

    Strengths rise by factors: the expected standard deviation of n_s may be that of a rare event alone, and far from
    what a typical sky has.
    """
    deep = trials.weighted_quantile(background["ts"].values, background["log_weight"].values, trials.FIVE_SIGMA)
    spread = float(trials.uncertainty(problem.prepared)[trials.flux_node(problem.prepared)])
    for times in _TOPS:
        top = times * max(_TOP_SPREADS * spread, _TOP_EVENTS)
        n_injected, ts = _inject(problem, n, _rounded(top * 2.0 ** (-0.5 * np.arange(13.0))), _PILOT_SEED)
        try:
            far = trials.strength_for(n_injected, ts, threshold=deep, fraction=0.5).n_signal
        except PrecisionError:
            continue
        few = n_injected <= far / 1.5
        try:
            median = _quantile(plain, 0.5)
            near = trials.strength_for(n_injected[few], ts[few], threshold=median, fraction=0.9).n_signal
        except PrecisionError:
            near = far / 4.0  # as usual; it only says where the next injections are placed
        return n_injected, ts, near, far
    raise PrecisionError(
        f"{problem.hypothesis.name}: injections of up to {top:.4g} events do not reach the discovery potential; "
        "ask for other declinations, or for more --injections"
    )


def _rounded(strengths: Sequence[float] | Floats) -> tuple[float, ...]:
    """Strengths to four digits: the name of an ensemble must not hang on the last bits of a fit."""
    return tuple(float(f"{s:.4g}") for s in strengths)


def _injections(problem: Problem, n: int, plain: Floats, background: xr.Dataset) -> xr.Dataset:
    """Injected skies, most of them near the strengths that are asked for; n_injected and ts."""
    n_pilot = max(n // _PILOT, 100)
    n_injected, ts, near, far = _pilot(problem, n_pilot, plain, background)
    steps = [k * near for k in _NEAR_SENSITIVITY] * 2
    steps += [near ** (1.0 - k) * far**k for k in _BETWEEN] + [k * far for k in _NEAR_DISCOVERY]
    rest = _inject(problem, n - n_pilot, _rounded(steps), _INJECTION_SEED)
    joined = (np.concatenate(pair) for pair in zip((n_injected, ts), rest, strict=True))
    return xr.Dataset({k: ("trial", v) for k, v in zip(("n_injected", "ts"), joined, strict=True)})


def _problems(
    samples: tuple[Sample, ...], folder: Path, asked: Asked, declination: float
) -> list[tuple[Problem, Problem]]:
    """What is scrambled and what is injected, for each index.

    With a free index scrambles do not depend on the injected one, and are those of ``scan``.
    """
    if not asked.index_free:
        posed = [inference.pose(asked.hypothesis(declination, g), samples, folder, asked.seed) for g in asked.indices]
        return [(p, p) for p in posed]
    null = inference.pose(direction(0.0, declination), samples, folder, asked.seed)
    return [(null, _as_injected(null, asked.hypothesis(declination, g))) for g in asked.indices]


def _as_injected(null: Problem, hypothesis: Hypothesis) -> Problem:
    fingerprint = ensembles.problem_fingerprint(hypothesis, null.samples)
    return replace(null, prepared=replace(null.prepared, hypothesis=hypothesis), fingerprint=fingerprint)


def at_declination(
    folder: Path, asked: Asked, item: tuple[tuple[Sample, ...], float]
) -> tuple[tuple[Injected, ...], float]:
    """Trials of samples at a declination in rad, one entry an index; and the core seconds they took."""
    samples, declination = item
    started, out = process_time(), []
    null_of: dict[str, tuple[xr.Dataset, Floats]] = {}
    for null, problem in _problems(samples, folder, asked, declination):
        if null.fingerprint not in null_of:
            background = inference.scrambles(null, asked.n_trials, inference.REACH_TS, Serial(), _silent)
            null_of[null.fingerprint] = background, plain_ts(null, asked.n_trials // _A_SKY)
        background, plain = null_of[null.fingerprint]
        spread = float(trials.uncertainty(problem.prepared)[trials.flux_node(problem.prepared)])
        low, high = inference.energy_range_record(problem)["log10_energy_gev"][0]
        per_flux = fluxes.prepared_events_per_flux(problem.prepared)
        injected = _injections(problem, asked.n_injections, plain, background)
        out.append(Injected(background, plain, injected, spread, per_flux, (low, high)))
    return tuple(out), process_time() - started


# --- what they say ---------------------------------------------------------------------------------------------------


def at_1_tev(flux: float, index: float) -> float:
    """E^2 dN/dE at 1 TeV of a power law whose E^2 dN/dE at 100 TeV is given."""
    return float(flux * 100.0 ** (index - 2.0))


def _as_flux(n_signal: float, error: float, per_flux: float, index: float) -> dict[str, float]:
    flux, flux_error = n_signal / per_flux, error / per_flux
    return {
        "n_signal": n_signal,
        "n_signal_error": error,
        "flux": flux,
        "flux_error": flux_error,
        "flux_1_tev": at_1_tev(flux, index),
        "flux_1_tev_error": at_1_tev(flux_error, index),
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {**dict.fromkeys(_as_flux(1.0, 1.0, 1.0, 2.0)), "reason": reason}


def sensitivity(found: Injected) -> trials.Strength:
    """Mean events that lift 90 % of the skies above the background median; its error holds that of the median.

    Raises PrecisionError where that lies beyond what was injected.
    """
    n_injected, ts = found.injected["n_injected"].values, found.injected["ts"].values
    beyond = (found.plain > found.median).mean(axis=1)
    error = float(beyond.std(ddof=1) / np.sqrt(len(beyond)))
    low, here, high = (
        trials.strength_for(n_injected, ts, threshold=_quantile(found.plain, 0.5 + s * error), fraction=0.9)
        for s in (1.0, 0.0, -1.0)
    )
    return trials.Strength(here.n_signal, float(np.hypot(here.error, 0.5 * (high.n_signal - low.n_signal))))


def sensitivity_or_reason(found: Injected) -> trials.Strength | PrecisionError:
    """The sensitivity, or why there is none."""
    try:
        return sensitivity(found)
    except PrecisionError as error:
        return error


def _sensitivity_record(found: Injected, here: trials.Strength | PrecisionError, index: float) -> dict[str, Any]:
    if isinstance(here, PrecisionError):
        return {**_nothing(str(here)), "threshold_ts": found.median}
    return {**_as_flux(here.n_signal, here.error, found.per_flux, index), "threshold_ts": found.median}


def _discovery_record(found: Injected, index: float) -> dict[str, Any]:
    (record,) = potentials.potentials(found.background, found.injected, found.per_flux, (SIGMA,))
    if record["n_signal"] is None:
        return {**_nothing(record["reason"]), "threshold_ts": None, "threshold_p_relative_error": None}
    return {
        **_as_flux(record["n_signal"], record["n_signal_error"], found.per_flux, index),
        "threshold_ts": record["threshold_ts"],
        "threshold_p_relative_error": record["threshold_p_relative_error"],
    }


def _point(curve: Curve, node: int) -> dict[str, Any]:
    declination, found, index = curve.asked.declinations[node], curve.found[node], curve.index
    return {
        "dec_deg": declination,
        "sin_dec": float(np.sin(np.radians(declination))),
        "sensitivity": _sensitivity_record(found, curve.least[node], index),
        "discovery_potential_5sigma": _discovery_record(found, index),
        "events_per_flux": found.per_flux,
        "n_signal_spread": found.spread,
        "log10_energy_gev": list(found.log10_energy),
        "n_background_trials": found.background.sizes["trial"],
        "n_plain_skies": len(found.plain),
        "n_injections": found.injected.sizes["trial"],
    }


def _between(sin_dec: Floats, at: float) -> tuple[int, int, float]:
    """The nodes around a sine of declination, and the weight of the second; the outer node beyond the ends."""
    if len(sin_dec) == 1:
        return 0, 0, 0.0
    k = int(np.clip(np.searchsorted(sin_dec, at) - 1, 0, len(sin_dec) - 2))
    return k, k + 1, float(np.clip((at - sin_dec[k]) / (sin_dec[k + 1] - sin_dec[k]), 0.0, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Trials at rising declinations, (node,) rad each, of one group and index: limits anywhere.

    least (node,): the sensitivity, or why there is none.
    parts : the curves of the samples alone, where several are together.

    Numbers of events are interpolated linearly in sin(declination), and turned into fluxes with the acceptance at the
    place itself, which jumps where the released effective area does.  Of several samples together what is interpolated
    is the number over the one that their own sensitivities would give (``shape``): it drops where the horizon ends.
    """

    group: Group
    asked: Asked
    index: float
    found: tuple[Injected, ...]
    least: tuple[trials.Strength | PrecisionError, ...]
    parts: tuple[Curve, ...] = ()

    @property
    def sin_dec(self) -> Floats:
        """Of the nodes, (node,)."""
        return np.asarray(np.sin(np.radians(self.asked.declinations)), dtype=np.float64)

    def per_flux(self, declination: float) -> float:
        """Events for a flux of 1 TeV cm^-2 s^-1 at a declination in rad."""
        return fluxes.events_per_flux(self.asked.hypothesis(declination, self.index), self.group.samples)

    def shape(self, declination: float) -> float:
        """Events that several independent samples of the known sensitivities would take together; 1 for one sample."""
        if not self.parts or any(isinstance(s, PrecisionError) for part in self.parts for s in part.least):
            return 1.0
        alone = [part.upper_limit(declination, 0.0).n_signal / part.per_flux(declination) for part in self.parts]
        return self.per_flux(declination) / float(np.sqrt(sum(flux**-2.0 for flux in alone)))

    def scale_to(self, declination: float) -> Floats:
        """What the number of events of each node is multiplied by before it is interpolated, (node,)."""
        here = self.shape(declination)
        return np.array([here / self.shape(float(np.radians(d))) for d in self.asked.declinations])

    def upper_limit(self, declination: float, ts: float) -> trials.Strength:
        """Mean events excluded at 90 % by a TS at a declination in rad; see LIMIT.

        Raises PrecisionError where it lies beyond what was injected.
        """
        first, second, part = _between(self.sin_dec, float(np.sin(declination)))
        scale, (low, high) = self.scale_to(declination), (self._limit_at(k, ts) for k in (first, second))
        weights = (1.0 - part) * scale[first], part * scale[second]
        error = float(np.hypot(weights[0] * low.error, weights[1] * high.error))
        return trials.Strength(float(weights[0] * low.n_signal + weights[1] * high.n_signal), error)

    def _limit_at(self, node: int, ts: float) -> trials.Strength:
        found, least = self.found[node], self.least[node]
        if ts <= found.median:
            if isinstance(least, PrecisionError):
                raise least
            return least
        n_injected, seen = found.injected["n_injected"].values, found.injected["ts"].values
        return trials.strength_for(n_injected, seen, threshold=ts, fraction=0.9)

    def line(self, points: list[dict[str, Any]]) -> dict[str, list[float]]:
        """Fluxes at 100 TeV between the nodes, for drawing; nodes without a number are left out."""
        out: dict[str, list[float]] = {"sin_dec": np.linspace(self.sin_dec[0], self.sin_dec[-1], _FINE).tolist()}
        at = np.arcsin(out["sin_dec"])
        per_flux = np.array([self.per_flux(float(dec)) for dec in at])
        shape = np.array([self.shape(float(dec)) for dec in at])
        own = np.array([self.shape(float(np.radians(d))) for d in self.asked.declinations])
        for name in ("sensitivity", "discovery_potential_5sigma"):
            known = [
                (p["sin_dec"], p[name]["n_signal"] / unit)
                for p, unit in zip(points, own, strict=True)
                if p[name]["n_signal"] is not None
            ]
            x, y = np.array(known).reshape(-1, 2).T
            out[name] = (np.interp(out["sin_dec"], x, y) * shape / per_flux).tolist() if len(x) else []
        return out


def _limit_row(curve: Curve, name: str, ra: float, dec: float, fit: Floats) -> dict[str, Any]:
    ts, n_signal, index, converged = map(float, fit)
    row = {
        "source": name,
        "ra_deg": float(np.degrees(ra)),
        "dec_deg": float(np.degrees(dec)),
        "sin_dec": float(np.sin(dec)),
        "ts": ts,
        "n_s": n_signal,
        "index": index if n_signal > 0 else None,
        "converged": bool(converged),
    }
    outside = not curve.sin_dec[0] <= np.sin(dec) <= curve.sin_dec[-1]
    try:
        here = curve.upper_limit(dec, ts)
    except PrecisionError as error:
        return {**row, **_nothing(str(error)), "is_sensitivity": None, "beyond_the_curve": outside}
    least = here.n_signal <= curve.upper_limit(dec, 0.0).n_signal
    values = _as_flux(here.n_signal, here.error, curve.per_flux(dec), curve.index)
    return {**row, **values, "reason": None, "is_sensitivity": bool(least), "beyond_the_curve": outside}


def _fits(group: Group, folder: Path, asked: Asked, sources: Catalogue, index: float) -> Floats:
    """Fits of all sources in the data, (source, FIT_COLUMNS)."""
    posed = inference.pose(asked.hypothesis(0.0, index), group.samples, folder, asked.seed)
    events = sky_events(posed.prepared)
    places = np.array([(s.right_ascension, s.declination) for s in sources.sources])
    return fit_directions(events, turned(events.right_ascension()), *places.T)


def check_sources(sources: Catalogue) -> None:
    """Raise InputError for sources that are no points: their limits are others."""
    wide = [s.name for s in sources.sources if s.extension > 0]
    if wide:
        raise InputError(
            f"{len(wide)} sources of '{sources.name}' are extended ({', '.join(wide[:3])}); limits against "
            "declination are those of points: ask 'nuanalysis fit --hypothesis each:..' for extended ones"
        )


def _curve_record(
    curve: Curve, points: list[dict[str, Any]], limits: list[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    group = curve.group
    notes = {note for s in group.samples for note in s.response.notes}
    notes |= {str(s.events.attrs["note"]) for s in group.samples if s.events.attrs.get("note")}
    return {
        "sample": group.name,
        "origin": group.origin,
        "seasons": [s.name for s in group.samples],
        "n_events": sum(s.events.sizes["event"] for s in group.samples),
        "injected": "; ".join(sorted({str(s.events.attrs.get("signal", "")) for s in group.samples} - {""})),
        "notes": sorted(notes),
        "index": curve.index,
        "convention": fluxes.convention(curve.asked.hypothesis(0.0, curve.index)),
        "points": points,
        "line": curve.line(points),
        "limits": limits,
        "core_seconds": seconds,
    }


def curves(
    asked: Asked, together: tuple[Group, ...], folder: Path, executor: Executor, progress: Progress
) -> tuple[list[Curve], list[float]]:
    """Trials of every group and index, and the core seconds of each; an executor works on declinations.

    The last group, which has most events, comes first: a long task at the end would be waited for alone.
    """
    tasks = [(group, dec) for group in reversed(together) for dec in asked.declinations]
    done: dict[tuple[str, float], tuple[tuple[Injected, ...], float]] = {}
    items = [(group.samples, float(np.radians(dec))) for group, dec in tasks]
    for position, answer in executor.map(partial(at_declination, folder, asked), items):
        group, dec = tasks[position]
        done[group.name, dec] = answer
        progress(f"  {len(done)} of {len(tasks)}: {group.name}, declination {dec:g} deg, {answer[1]:.1f} core s")
    made: list[Curve] = []
    seconds: list[float] = []
    for group in together:
        found = [done[group.name, dec] for dec in asked.declinations]
        for k, index in enumerate(asked.indices):
            here = tuple(trials_of[k] for trials_of, _ in found)
            alone = tuple(c for c in made if c.index == index) if group is together[-1] and len(together) > 1 else ()
            made.append(Curve(group, asked, index, here, tuple(map(sensitivity_or_reason, here)), alone))
            seconds.append(sum(took for _, took in found) / len(asked.indices))
    return made, seconds


def record(
    asked: Asked,
    together: tuple[Group, ...],
    sources: Catalogue | None,
    folder: Path,
    executor: Executor,
    progress: Progress,
) -> dict[str, Any]:
    """Curves of all groups and indices and, with sources, the upper limits of the data at each of them."""
    started = monotonic()
    if sources is not None:
        check_sources(sources)
    made, seconds = curves(asked, together, folder, executor, progress)
    out, fits_of = [], {}
    for curve, took in zip(made, seconds, strict=True):
        limits: list[dict[str, Any]] = []
        points = [_point(curve, node) for node in range(len(curve.found))]
        if sources is not None:
            key = curve.group.name, None if asked.index_free else curve.index
            if key not in fits_of:
                fits_of[key] = _fits(curve.group, folder, asked, sources, curve.index)
            limits = [
                _limit_row(curve, s.name, s.right_ascension, s.declination, fit)
                for s, fit in zip(sources.sources, fits_of[key], strict=True)
            ]
        out.append(_curve_record(curve, points, limits, took))
    return {
        "samples": [g.name for g in together],
        "origin": origin_of(out),
        "seed": asked.seed,
        "index_free": asked.index_free,
        "fit": "index free in [1, 4]" if asked.index_free else "index held at the injected one",
        "right_ascension": "does not matter: background skies are scrambled in right ascension; 0 deg was used",
        "declinations_deg": list(asked.declinations),
        "indices": list(asked.indices),
        "n_trials": asked.n_trials,
        "n_injections": asked.n_injections,
        "sources": None if sources is None else sources.name,
        "unit": fluxes.UNIT,
        "flux": "E^2 dN/dE at 100 TeV (flux) and at 1 TeV (flux_1_tev), per flavour, nu + nubar",
        "sensitivity": "90 % of the injected skies above the median of background skies",
        "discovery_potential_5sigma": "half of the injected skies above the local 5 sigma threshold",
        "limit": LIMIT,
        "method": METHOD,
        "curves": out,
        "seconds": monotonic() - started,
    }


# --- files and words -------------------------------------------------------------------------------------------------

_STRENGTH = (
    ("n_signal", "", "mean signal events"),
    ("n_signal_error", "", "its statistical error"),
    ("flux", fluxes.UNIT, "E^2 dN/dE at 100 TeV"),
    ("flux_error", fluxes.UNIT, "its statistical error"),
    ("flux_1_tev", fluxes.UNIT, "E^2 dN/dE at 1 TeV"),
    ("flux_1_tev_error", fluxes.UNIT, "its statistical error"),
)
_HEAD = ("sample", "origin", "index")


def _numbers(values: list[Any]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _meta(document: dict[str, Any]) -> dict[str, Any]:
    keys = ("seed", "fit", "n_trials", "n_injections", "unit", "flux", "method")
    return {key: document[key] for key in keys}


def curve_ecsv(document: dict[str, Any]) -> bytes:
    """Sensitivity and discovery potential, one row a sample, index and declination."""
    rows = [(curve, point) for curve in document["curves"] for point in curve["points"]]
    columns: dict[str, tuple[Any, str, str]] = {
        name: ([curve[name] for curve, _ in rows], "", text)
        for name, text in zip(_HEAD, ("name", "events: real, synthetic or mixed", "of the injected flux"), strict=True)
    }
    columns["dec"] = ([p["dec_deg"] for _, p in rows], "deg", "declination, ICRS")
    for name in ("sensitivity", "discovery_potential_5sigma"):
        for key, unit, text in _STRENGTH:
            columns[f"{name}_{key}"] = (_numbers([p[name][key] for _, p in rows]), unit, f"{document[name]}: {text}")
    for k, end in enumerate(("below", "above")):
        values = [p["log10_energy_gev"][k] for _, p in rows]
        columns[f"log10_energy_{end}"] = (values, "", f"log10 E/GeV {end} which the sensitivity comes from 5 % less")
    return ecsv(columns, _meta(document))


def limits_ecsv(document: dict[str, Any]) -> bytes:
    """Upper limits, one row a sample, index and source."""
    rows = [(curve, limit) for curve in document["curves"] for limit in curve["limits"]]
    columns: dict[str, tuple[Any, str, str]] = {
        name: ([curve[name] for curve, _ in rows], "", text)
        for name, text in zip(_HEAD, ("name", "events: real, synthetic or mixed", "of the excluded flux"), strict=True)
    }
    columns["source"] = ([row["source"] for _, row in rows], "", "name")
    for name, unit, text in (
        ("ra_deg", "deg", "right ascension, ICRS"),
        ("dec_deg", "deg", "declination, ICRS"),
        ("ts", "", "test statistic of the data"),
        ("n_s", "", "fitted signal events"),
        *((key, unit, f"90 % upper limit: {text}") for key, unit, text in _STRENGTH),
    ):
        columns[name] = (_numbers([row[name] for _, row in rows]), unit, text)
    columns["is_sensitivity"] = (
        [bool(row["is_sensitivity"]) for _, row in rows],
        "",
        "whether the limit is the sensitivity, the data having less than the median of background skies",
    )
    return ecsv(columns, {**_meta(document), "limit": document["limit"]})


def write(output: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Write figure, tables and document into a folder; returns the document with the names of its files."""
    sidecar = plot.declination_sidecar(document)
    mark = sidecar.slug.removeprefix("declinations")
    picture = plot.save(plot.declination_figure(document), output, sidecar)
    files = {"figure": picture.name, "curve": f"sensitivity{mark}.ecsv", "document": "declinations.json"}
    store.atomic_write(output / files["curve"], curve_ecsv(document))
    if document["sources"] is not None:
        files["limits"] = f"limits{mark}.ecsv"
        store.atomic_write(output / files["limits"], limits_ecsv(document))
    said = {**document, "files": {kind: str(output / name) for kind, name in files.items()}}
    store.atomic_write(output / files["document"], json.dumps(said, indent=2, allow_nan=False).encode())
    return said


def _shown(record: dict[str, Any], key: str) -> str:
    if record[key] is None:
        return f"{'-':>8} {'':>9}"
    return f"{record[key]:8.3g} +- {record[key + '_error']:<6.1g}"


def _curve_lines(curve: dict[str, Any], events: str) -> list[str]:
    """The points of a curve; E^-2 is the same at any energy."""
    at = {"flux": "100 TeV", "flux_1_tev": "1 TeV"} if curve["index"] != 2.0 else {"flux": "any energy"}
    names = [f"{what}, {energy}" for what in ("sensitivity", "5 sigma") for energy in at.values()]
    lines = [
        "",
        f"{curve['sample']}: {curve['n_events']} {events} events, E^-{curve['index']:g}",
        f"{'dec':>5}  {' '.join(f'{name:<23}' for name in names)} n_s of the sensitivity",
    ]
    for point in curve["points"]:
        near, far = point["sensitivity"], point["discovery_potential_5sigma"]
        cells = " ".join(f"{_shown(record, key):<23}" for record in (near, far) for key in at)
        n = "-" if near["n_signal"] is None else f"{near['n_signal']:.1f} +- {near['n_signal_error']:.1f}"
        lines.append(f"{point['dec_deg']:5.0f}  {cells} {n}")
    return lines


def _limit_lines(curve: dict[str, Any], events: str, rows: int) -> list[str]:
    strongest = sorted(curve["limits"], key=lambda row: -row["ts"])[:rows]
    head = f"90 % upper limits, the largest TS of {len(curve['limits'])} sources ({events} events):"
    return [head] * bool(strongest) + [
        f"  {row['source']:<24} TS {row['ts']:6.2f}  {_shown(row, 'flux')} at 100 TeV, {_shown(row, 'flux_1_tev')} "
        "at 1 TeV"
        for row in strongest
    ]


def in_words(document: dict[str, Any], *, rows: int = 5) -> str:
    """Curves for a terminal, and the strongest sources with their limits."""
    lines = [
        f"seed {document['seed']}; {document['n_trials']} scrambles and {document['n_injections']} injections at each "
        f"declination; {document['fit']}; right ascension {document['right_ascension']}",
        f"E^2 dN/dE per flavour, nu + nubar, {document['unit']}",
    ]
    for curve in document["curves"]:
        events = {"synthetic": "SYNTHETIC", "mixed": "SYNTHETIC and real"}.get(curve["origin"], "real")
        lines += [*_curve_lines(curve, events), *_limit_lines(curve, events, rows)]
    lines += [f"{kind}: {path}" for kind, path in document.get("files", {}).items()]
    return "\n".join(lines)
