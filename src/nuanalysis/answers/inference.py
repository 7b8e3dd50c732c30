"""From a hypothesis and samples to a result: fit, p-value, limits.  Every number carries its error and its trials."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import norm

from nuanalysis import trials
from nuanalysis.answers import potentials
from nuanalysis.engine import ensembles
from nuanalysis.engine.ensembles import Plan, Progress
from nuanalysis.engine.executors import Executor, Threads
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.energy_range import energy_range
from nuanalysis.interpret.regions import SHARE_LOG10_ENERGY, galactic_fraction
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import model_origin
from nuanalysis.likelihood import FitResult, maximise, maximise_at, scan
from nuanalysis.model import OWN_SPECTRUM, Hypothesis, Prepared, Sample, Terms, prepare, terms
from nuanalysis.response import NONE, Systematics
from nuanalysis.sky.records import Template

Floats = NDArray[np.float64]
METHOD = "right-ascension scrambles, mixture of tilted ensembles weighted back to the null"
PRECISION = 0.05  # relative statistical error of a p-value that is asked for
MOST_TRIALS = 2_000_000  # as many as are run without being asked for
_LEAST_TRIALS = 1000
_ROUNDS = 4
FEW = 12  # hypotheses for which a pilot is worth its cost
_LIST_TRIALS = 2000
REACH_TS = 34.0  # 5 sigma with a free index, and a little
_INJECTED_REACH = 7.0  # standard deviations of n_s
_DOUBLINGS = 3  # of the range of injections, where they do not reach
_ALIKE, _LEAST_ALIKE = 1.3, 30  # factor in fitted n_s, and fewest injected skies, behind the shift of an index
_SEED_STEP = 7919  # injection trials use another seed than scrambles


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A prepared hypothesis with its fingerprint and the place where its trials live."""

    prepared: Prepared
    fingerprint: str
    folder: Path
    seed: int

    @property
    def hypothesis(self) -> Hypothesis:
        """What is tested."""
        return self.prepared.hypothesis

    @property
    def samples(self) -> tuple[Sample, ...]:
        """On which events."""
        return tuple(part.sample for part in self.prepared.parts)


def pose(hypothesis: Hypothesis, samples: tuple[Sample, ...], folder: Path, seed: int) -> Problem:
    """Prepare a hypothesis on samples."""
    fingerprint = ensembles.problem_fingerprint(hypothesis, samples)
    return Problem(prepare(hypothesis, samples), fingerprint, folder, seed)


def fit(problem: Problem) -> tuple[FitResult, Terms]:
    """Fit the data."""
    data = terms(problem.prepared)
    return maximise(data), data


def scrambles(problem: Problem, n: int, reach_ts: float, executor: Executor, progress: Progress) -> xr.Dataset:
    """Background trials that cover test statistics up to ``reach_ts``."""
    # Round upwards so that slightly different requests share one ensemble.
    reach = 9.0 * np.ceil(max(reach_ts, 1.0) / 9.0)
    plan = Plan(problem.seed, n, trials.choose_tilts(problem.prepared, float(reach), problem.seed))
    return ensembles.run(problem.prepared, plan, problem.folder, executor, progress, fingerprint=problem.fingerprint)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a p-value is asked for.

    precision : relative statistical error.  n_trials : 0 for as many as that takes.
    smear : width in rad by which declinations are smeared too.
    """

    precision: float = PRECISION
    n_trials: int = 0
    smear: float = 0.0


def _enough(
    problems: tuple[Problem, ...],
    tilts: tuple[trials.Tilt, ...],
    first_guess: float,
    wanted: Wanted,
    relative: Callable[[xr.Dataset], float],
    executor: Executor,
    progress: Progress,
) -> xr.Dataset:
    """An ensemble large enough for the precision, as far as the mixture serves; grown in rounds from a first guess."""
    prepared = tuple(p.prepared for p in problems)
    name = hashlib.sha256(" ".join(p.fingerprint for p in problems).encode()).hexdigest()
    fingerprint = problems[0].fingerprint if len(problems) == 1 else name
    n = wanted.n_trials or int(np.clip(1.1 * first_guess, _LEAST_TRIALS, MOST_TRIALS))
    for _ in range(_ROUNDS):
        plan = Plan(problems[0].seed, n, tilts, smear=wanted.smear)
        found = ensembles.run(prepared, plan, problems[0].folder, executor, progress, fingerprint=fingerprint)
        error = relative(found)
        if wanted.n_trials or error <= wanted.precision or n >= MOST_TRIALS:
            break
        n = int(np.clip(n * min(1.15 * (error / wanted.precision) ** 2, 8.0), n + 1, MOST_TRIALS))
    return found


def _pilot_order(executor: Executor) -> Callable[..., Any]:
    """A pilot is too short to be sent to other processes; threads share it."""
    return executor.map if isinstance(executor, Threads) else trials.in_turn


def _tail_error(met: np.ndarray[Any, np.dtype[np.bool_]], log_weight: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Relative error of the probability of a tail; 1 where the ensemble hardly reaches it."""
    weight = np.where(met, np.exp(log_weight), 0.0)
    p = float(weight.mean())
    return min(float(weight.std(ddof=1)) / (p * np.sqrt(len(weight))), 1.0) if p > 0 else 1.0


def p_value_ensemble(problem: Problem, ts: float, wanted: Wanted, executor: Executor, progress: Progress) -> xr.Dataset:
    """Background trials from the mixture that is best for this test statistic, found by a pilot."""
    run = trials.pilot((problem.prepared,), problem.seed, np.array([ts]), wanted.smear, _pilot_order(executor))
    tilts, variance = trials.mixture(run, (run.ts[:, 0] >= ts)[None])
    progress(f"  pilot of {len(run.ts)} trials: {len(tilts)} tilts, {variance[0]:.1f} trials for one effective")

    def relative(found: xr.Dataset) -> float:
        return _tail_error(found["ts"].values >= ts, found["log_weight"].values)

    guess = float(variance[0]) / wanted.precision**2
    return _enough((problem,), tilts, guess, wanted, relative, executor, progress)


def _piloted(
    prepared: tuple[Prepared, ...], seed: int, seen: Floats, wanted: Wanted, executor: Executor, progress: Progress
) -> tuple[tuple[trials.Tilt, ...], float]:
    """The mixture for the global p-value and the local one of the best, and the trials that it is likely to take."""
    run = trials.pilot(prepared, seed, np.full(len(seen), seen.max()), wanted.smear, _pilot_order(executor))
    weight = np.exp(run.log_weight)
    best = trials.best_of(run.ts, weight, seen)
    met = trials.as_extreme(run.ts, weight, best, float(seen[best]))
    tilts, variance = trials.mixture(run, np.stack([met, run.ts[:, best] >= seen[best]]))
    progress(f"  pilot of {len(run.ts)} trials: {len(tilts)} tilts, {variance.max():.1f} trials for one effective")
    return tilts, float(variance.max()) / wanted.precision**2


def global_p_value(
    problems: tuple[Problem, ...], observed: tuple[float, ...], wanted: Wanted, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Local p-values of several hypotheses on the same events and the global one of the best, correlated trials.

    Raises PrecisionError with the number of trials that would do where the error is larger than asked for.
    """
    prepared, seen = tuple(p.prepared for p in problems), np.array(observed)
    if len(problems) > FEW:
        tilts, guess = trials.list_tilts(prepared, seen), float(_LIST_TRIALS)
    else:
        tilts, guess = _piloted(prepared, problems[0].seed, seen, wanted, executor, progress)
    names = [f"ts_{k}" for k in range(len(problems))] if len(problems) > 1 else ["ts"]

    def columns(found: xr.Dataset) -> tuple[Any, Any]:
        return np.stack([found[n].values for n in names], axis=1), found["log_weight"].values

    def relative(found: xr.Dataset) -> float:
        ts, log_weight = columns(found)
        first = trials.best_of(ts, np.exp(log_weight), seen)
        extreme = trials.as_extreme(ts, np.exp(log_weight), first, float(seen[first]))
        return max(_tail_error(m, log_weight) for m in (extreme, ts[:, first] >= seen[first]))

    found = _enough(problems, tilts, guess, wanted, relative, executor, progress)
    ts, log_weight = columns(found)
    answer = trials.global_p_value(ts, log_weight, seen, max(1.3 * wanted.precision, wanted.precision))
    local = []
    for k, problem in enumerate(problems):
        one = xr.Dataset({"ts": found[names[k]], "log_weight": found["log_weight"]})
        one["converged"] = found[f"converged_{k}" if len(problems) > 1 else "converged"]
        local.append({"hypothesis": problem.hypothesis.name, "ts": observed[k], **p_value_or_reason(one, observed[k])})
    return {
        "best": problems[answer.best].hypothesis.name,
        "p_local": answer.local.p,
        "p_local_error": answer.local.p_error,
        "p_global": answer.p,
        "p_global_error": answer.p_error,
        "sigma_global": answer.sigma if np.isfinite(answer.sigma) else None,
        "sigma_global_error": answer.sigma_error,
        "trials_factor": answer.trials_factor,
        "n_trials": answer.n_trials,
        "ess": answer.ess,
        "kind": "global: the smallest local p-value of the hypotheses, from the same scrambles",
        "method": METHOD,
        "local": local,
    }


def injections(
    problem: Problem,
    n: int,
    reach: float,
    executor: Executor,
    progress: Progress,
    systematics: Systematics = NONE,
) -> xr.Dataset:
    """Injection trials from 0 to ``reach`` standard deviations of n_s."""
    stretch = round(trials.bias_factor(problem.prepared), 3)
    plan = Plan(
        (problem.seed + _SEED_STEP) % 2**63,
        n,
        n_means=trials.injection_grid(problem.prepared, reach),
        stretch=stretch,
        systematics=systematics,
    )
    return ensembles.run(problem.prepared, plan, problem.folder, executor, progress, fingerprint=problem.fingerprint)


def injections_reaching(
    problem: Problem, background: xr.Dataset, n: int, sigma: float, executor: Executor, progress: Progress
) -> xr.Dataset:
    """Injection trials up to a strength at which half of the skies reach a local significance.

    The expected standard deviation of n_s may be that of one rare event, far below what a typical sky has: the range
    is doubled, up to three times, where the strongest skies do not reach.
    """
    reach = potentials.reach_strength(sigma)
    ts, log_weight = background["ts"].values, background["log_weight"].values
    threshold = trials.weighted_quantile(ts, log_weight, float(norm.sf(sigma)))
    found = injections(problem, n, reach, executor, progress)
    for _ in range(_DOUBLINGS):
        injected = found["n_injected"].values
        if np.median(found["ts"].values[injected == injected.max()]) >= threshold:
            break
        reach *= 2.0
        progress(f"  injections up to {injected.max():.3g} events do not reach {sigma:g} sigma; twice as many")
        found = injections(problem, n, reach, executor, progress)
    return found


def systematics_of(problem: Problem) -> Systematics:
    """How far the detectors may differ from their responses; NONE where no public numbers say."""
    return samples.systematics_of(problem.samples)


def p_value_record(background: xr.Dataset, ts: float, precision: float = np.inf) -> dict[str, Any]:
    """Local p-value of a test statistic with its error, as published in results.json.  Raises PrecisionError."""
    found = trials.p_value(background["ts"].values, background["log_weight"].values, ts, precision)
    return {
        "p": found.p,
        "p_error": found.p_error,
        "sigma": found.sigma if np.isfinite(found.sigma) else None,
        "sigma_error": found.sigma_error,
        "n_trials": found.n_trials,
        "ess": found.ess,
        "kind": "local",
        "method": METHOD,
        "not_converged": int((background["converged"].values < 1).sum()),
    }


def p_value_or_reason(background: xr.Dataset, ts: float) -> dict[str, Any]:
    """The p-value, or null with the reason and the number of trials that were not enough."""
    try:
        return p_value_record(background, ts)
    except PrecisionError as error:
        nothing = dict.fromkeys(("p", "p_error", "sigma", "sigma_error", "ess"))
        return {
            **nothing,
            "n_trials": background.sizes["trial"],
            "kind": "local",
            "method": METHOD,
            "reason": str(error),
        }


def _strength(injected: xr.Dataset, per_flux: float, threshold: float, fraction: float) -> dict[str, Any]:
    """A strength as events and flux; where the injected range does not hold it, the reason instead of a number."""
    n_injected, ts = injected["n_injected"].values, injected["ts"].values
    try:
        found = trials.strength_for(n_injected, ts, threshold=threshold, fraction=fraction)
    except PrecisionError as error:
        return {
            "n_signal": None,
            "flux": None,
            "flux_error": None,
            "n_trials": len(ts),
            "threshold_ts": threshold,
            "reason": str(error),
        }
    return {
        "n_signal": found.n_signal,
        "n_signal_error": found.error,
        "flux": found.n_signal / per_flux,
        "flux_error": found.error / per_flux,
        "n_trials": len(ts),
        "threshold_ts": threshold,
    }


def sensitivities(problem: Problem, background: xr.Dataset, injected: xr.Dataset) -> dict[str, Any]:
    """Sensitivity (90 % above the background median) and 5-sigma discovery potential (50 % above its TS)."""
    per_flux = fluxes.prepared_events_per_flux(problem.prepared)
    ts, log_weight = background["ts"].values, background["log_weight"].values
    median = trials.weighted_quantile(ts, log_weight, 0.5)
    deep = trials.weighted_quantile(ts, log_weight, trials.FIVE_SIGMA)
    potential = _strength(injected, per_flux, deep, 0.5)
    try:
        error = trials.p_value(ts, log_weight, deep).p_error / trials.FIVE_SIGMA
    except PrecisionError:
        potential |= {
            "n_signal": None,
            "n_signal_error": None,
            "flux": None,
            "flux_error": None,
            "reason": "too few effective trials at 5 sigma",
        }
    else:
        potential["threshold_p_relative_error"] = error
    sensitivity = _strength(injected, per_flux, median, 0.9)
    for found in (sensitivity, potential):
        found["in_models"] = _in_models(problem.hypothesis, {"strength": found["flux"]})
    return {"sensitivity": sensitivity, "discovery_potential_5sigma": potential}


def _interval(
    data: Terms, held: FitResult, node: int, injected: xr.Dataset, per_flux: float, name: str
) -> dict[str, Any]:
    """The 68 % interval that these trials give, as flux; null with the reason where they give none."""
    try:
        low, high = trials.interval(
            data,
            held.ts,
            injected["n_injected"].values,
            injected["tau"].values,
            stretch=float(injected.attrs["stretch"]),
            level=0.68,
            node=node,
        )
    except PrecisionError as error:
        return {f"low_{name}": None, f"high_{name}": None, f"reason_{name}": str(error)}
    return {f"low_{name}": low / per_flux, f"high_{name}": high / per_flux}


def _corrected(held: FitResult, injected: xr.Dataset) -> dict[str, Any]:
    """n_s turned back with the bias curve; beyond the curve, with the bias of a pilot, and why."""
    try:
        curve = trials.bias_curve(injected["n_injected"].values, injected["n_signal_held"].values)
        found = curve.corrected(held.n_signal)
    except PrecisionError as error:
        return {
            "n_signal_corrected": held.n_signal / float(injected.attrs["stretch"]),
            "n_signal_corrected_error": None,
            "correction_reason": str(error),
        }
    return {"n_signal_corrected": found.n_signal, "n_signal_corrected_error": found.error}


def flux_record(
    problem: Problem, best: FitResult, data: Terms, background: xr.Dataset, injected: xr.Dataset, varied: xr.Dataset
) -> dict[str, Any]:
    """Best-fit flux (bias corrected), 68 % intervals and 90 % upper limit.

    varied : injection trials with systematics, for the interval that holds them; ``injected`` where there are none.
    """
    per_flux = fluxes.prepared_events_per_flux(problem.prepared)
    n_injected = injected["n_injected"].values
    node = trials.flux_node(problem.prepared)
    held = maximise_at(data, node)  # a flux is that of one spectrum: the index is held at the quoted one
    corrected = _corrected(held, injected)
    nominal = _interval(data, held, node, injected, per_flux, "68")
    median = trials.weighted_quantile(background["ts"].values, background["log_weight"].values, 0.5)
    limit = _strength(injected, per_flux, max(best.ts, median), 0.9)
    with_systematics = {"systematics": None}
    if varied is not injected:
        with_systematics = {
            "systematics": varied.attrs["systematics"],
            **_interval(data, held, node, varied, per_flux, "68_systematics"),
        }
    return {
        "best": corrected["n_signal_corrected"] / per_flux,
        **corrected,
        "interval_reason": nominal.pop("reason_68", None),
        **nominal,
        **with_systematics,
        "upper_limit_90": limit["flux"],
        "upper_limit_90_error": limit["flux_error"],
        "upper_limit_reason": limit.get("reason"),
        "unit": fluxes.UNIT,
        "convention": fluxes.convention(problem.hypothesis),
        "n_trials": len(n_injected),
        "in_models": _in_models(
            problem.hypothesis,
            {
                "best": corrected["n_signal_corrected"] / per_flux,
                **{k: v for k, v in nominal.items() if k in ("low_68", "high_68")},
                "upper_limit_90": limit["flux"],
            },
        ),
    }


def _in_models(hypothesis: Hypothesis, flux: dict[str, float | None]) -> dict[str, float | None] | None:
    """Fluxes over that of the template's own model; None where the template has no absolute flux."""
    model = fluxes.model_flux(hypothesis)
    if not model:
        return None
    return {"flux": model, **{name: value if value is None else value / model for name, value in flux.items()}}


def fit_record(problem: Problem, best: FitResult) -> dict[str, Any]:
    """The fit as published in results.json; index null where the spectrum is the template's, or nothing was found."""
    free = problem.hypothesis.index_free
    return {
        "ts": best.ts,
        "n_signal": best.n_signal,
        "index": best.index if best.index != OWN_SPECTRUM and (best.n_signal > 0 or not free) else None,
        "index_free": free,
        "converged": best.converged,
    }


def index_record(problem: Problem, best: FitResult, injected: xr.Dataset) -> dict[str, Any] | None:
    """How a free index comes back in injected skies whose fit has about as many events; None where it is not free.

    shift : median fitted minus injected index, with its error; spread : half the 68 % range of the fitted one.  The
    shift is measured at the injected index, that of the quoted flux; ``corrected`` is the fit less the shift.
    """
    if not problem.hypothesis.index_free or best.n_signal <= 0:
        return None
    n_signal, index = injected["n_signal"].values, injected["index"].values
    near = (n_signal > best.n_signal / _ALIKE) & (n_signal < best.n_signal * _ALIKE) & (injected["n_injected"] > 0)
    found, truth = index[np.asarray(near)], problem.hypothesis.index
    if len(found) < _LEAST_ALIKE:
        nothing = dict.fromkeys(("shift", "shift_error", "spread", "corrected"))
        reason = f"{len(found)} injected skies have about as many fitted events; expected at least {_LEAST_ALIKE}"
        return {**nothing, "injected": truth, "n_trials": len(found), "reason": reason}
    low, middle, high = np.quantile(found, [0.16, 0.5, 0.84])
    spread = 0.5 * float(high - low)
    return {
        "shift": float(middle - truth),
        "shift_error": 1.2533 * spread / np.sqrt(len(found)),  # of a median
        "spread": spread,
        "corrected": float(np.clip(best.index - (middle - truth), 1.0, 4.0)),
        "injected": truth,
        "n_trials": len(found),
    }


def describe(problem: Problem, sample_name: str) -> dict[str, Any]:
    """What was tested on what: the head of every result."""
    origins = {s.origin for s in problem.samples}
    target = problem.hypothesis.target
    notes = [note for s in problem.samples for note in s.response.notes]
    notes += [str(s.events.attrs["note"]) for s in problem.samples if s.events.attrs.get("note")]
    return {
        "sample": sample_name,
        "origin": "synthetic" if "synthetic" in origins else "real",
        "hypothesis": problem.hypothesis.name,
        "label": target.label,
        "model_origin": model_origin(problem.hypothesis),
        "model_reference": target.reference,
        "n_events": problem.prepared.n_events,
        "seed": problem.seed,
        "injected": "; ".join(sorted({str(s.events.attrs.get("signal", "")) for s in problem.samples} - {""})),
        "fingerprint": problem.fingerprint,
        "notes": sorted(set(notes)),
    }


_DEGRADED = (0.05, 0.16)


def energy_range_record(problem: Problem) -> dict[str, Any]:
    """True energies that the sensitivity comes from, as published for the 2023 templates."""
    prepared = problem.prepared
    n_signal = 1.28 * float(trials.uncertainty(prepared)[trials.flux_node(prepared)])
    found = energy_range(prepared, n_signal, np.random.Generator(np.random.Philox(key=[problem.seed, 2**50])))
    return {
        "degraded": list(_DEGRADED),
        "log10_energy_gev": [list(found.bounds(part)) for part in _DEGRADED],
        "convention": "true energy below, and above, which signal may be missing before the sensitivity degrades by "
        "the fraction; mean over events drawn from the response",
    }


def share_at_30_tev(problem: Problem, flux: float | None) -> float | None:
    """Part of the all-sky astrophysical flux at 30 TeV that a fitted template takes; None for sources."""
    target = problem.hypothesis.target
    if flux is None or not isinstance(target, Template):
        return None
    own = replace(target, spectrum=problem.hypothesis.spectrum)
    return galactic_fraction(own, flux, SHARE_LOG10_ENERGY)


def infer(
    problem: Problem, sample_name: str, *, n_scrambles: int, n_injections: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Everything the package says about one hypothesis on one sample."""
    started = time.monotonic()
    best, data = fit(problem)
    spectrum = "own spectrum" if best.index == OWN_SPECTRUM else f"index {best.index:.2f}"
    progress(f"{sample_name} {problem.hypothesis.name}: TS {best.ts:.2f}, n_s {best.n_signal:.1f}, {spectrum}")
    background = scrambles(problem, n_scrambles, max(best.ts + 2.0, REACH_TS), executor, progress)
    spread = float(
        trials.uncertainty(problem.prepared)[int(np.argmin(abs(problem.prepared.index - problem.hypothesis.index)))]
    )
    reach = max(_INJECTED_REACH, float(np.ceil(best.n_signal / spread + 2.5)))
    injected = injections(problem, n_injections, min(reach, 40.0), executor, progress)
    systematics, varied = systematics_of(problem), injected
    if systematics != NONE:
        varied = injections(problem, n_injections, min(reach, 40.0), executor, progress, systematics)
    flux = flux_record(problem, best, data, background, injected, varied)
    grid = np.linspace(0.0, float(max(3.0 * spread, 2.0 * best.n_signal)), 121)
    values = scan(data, grid)
    keep = np.isfinite(values)
    return {
        **describe(problem, sample_name),
        "fit": fit_record(problem, best),
        "p_value": p_value_or_reason(background, best.ts),
        "flux": flux,
        **sensitivities(problem, background, injected),
        "median_significance": potentials.median_significances(background, injected),
        "energy_range": energy_range_record(problem),
        "share_at_30_tev": share_at_30_tev(problem, flux["best"]),
        "expected_per_flux": {"flux": 1e-11, "n": 1e-11 * fluxes.prepared_events_per_flux(problem.prepared)},
        "bias_curve": [
            list(map(float, row))
            for row in np.array(trials.median_fit(injected["n_injected"].values, injected["n_signal"].values)).T
        ],
        "scan": {"n_signal": grid[keep].tolist(), "ts": values[keep].tolist()},
        "seconds": time.monotonic() - started,
    }
