"""How bright is each segment of the Galactic plane, and with which index?  A joint fit that follows no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers import _experiments
from nuanalysis.answers._experiments import ERRORS, Experiments, Signal, as_it_is, corrected, fluxes_per_event
from nuanalysis.answers._question import Answer, Question, Tested, pose, provenance_of, tested
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.published import at_5_tev
from nuanalysis.interpret.regions import of_segment
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import JointFit, maximise_joint
from nuanalysis.plot import Drawn, SegmentRow, Sidecar, segments_figure
from nuanalysis.records import Interval, Measured, Record, Unknown, faults_of_a_setting, known, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import GEV_PIVOT_LOG10
from nuanalysis.sky.templates import INDEX_RANGE, SEGMENT_SETS, Segment
from nuanalysis.trials.streams import JOINT_FIT, SEGMENT_STEPS

PER_SR = f"{fluxes.UNIT} sr-1"
LOG10_ENERGIES = (float(np.log10(5e3)), GEV_PIVOT_LOG10)
LEVEL = 0.68
STEPS = (-2.0, -1.0, 1.0, 2.0)  # standard deviations of n_s, of the experiments beside those with the fitted signal
_LEAST = 50  # fitted indices behind an interval
_RESAMPLED = 60  # drawings behind the errors of its ends
_NOTES = (
    "fluxes are E^2 dN/dE per flavour, nu + nubar: integrated over the segment, and per sr as the mean over it",
    "a flux is the one whose experiments have the fit of the data as their median, and its interval ends where that is "
    "their 84 or 16 % (Neyman's construction, from experiments with five strengths of all segments at the fitted "
    "indices); fits of flux and index are made together, so that the interval holds the error of the index",
    "an index is the fit less the median deviation of these experiments at the fitted strength, its interval from "
    "their 16 and 84 % (basic bootstrap), and is cut at 1 and 4, where fits end",
    *ERRORS[:1],
)


def _checked(name: str) -> str:
    with faults_of_a_setting():
        if name not in SEGMENT_SETS:
            raise InputError(f"there is no set of segments '{name}'.{did_you_mean(name, SEGMENT_SETS)}")
    return name


class Segments(Question):
    """Flux and spectral index of each segment of the Galactic plane, all fitted together."""

    example: ClassVar = {"cut": "lhaaso", "trials": 100}
    cut: Annotated[str, AfterValidator(_checked)] = setting(
        "icecube-2025", help="how the plane is cut: " + " or ".join(SEGMENT_SETS)
    )
    trials: _experiments.Trials = 200

    def ask(self, samples: Samples, bench: Bench) -> SegmentsAnswer:
        cut = SEGMENT_SETS[self.cut]
        problems = tuple(pose(f"template:{one.name}", samples, index_free=True) for one in cut.segments)
        return segments(problems, cut.segments, samples, Experiments(problems, self.trials, bench))


class Estimate(Record):
    """A value less its bias, with the interval from pseudo-experiments."""

    best: float = shown("best value")
    interval: Interval = shown("68 % interval")

    def words(self, form: str = ".3g") -> str:
        return f"{self.best:{form}} ({self.interval.cell(form)}) {self.interval.unit}".rstrip()

    def cell(self, form: str = ".3g") -> str:
        return f"{self.best:{form}} ({self.interval.cell(form)})"


class AtEnergy(Record):
    """Flux of a segment at one energy: E^2 dN/dE per flavour, nu + nubar."""

    log10_energy: float = shown("log10 E/GeV", form=".2f")
    flux: Estimate = shown("integrated over the segment")
    intensity: Estimate = shown("mean over the segment, per sr")

    def words(self, form: str = ".3g") -> str:
        return f"at {10 ** (self.log10_energy - 3):.3g} TeV {self.intensity.words(form)}"


class PublishedSegment(Record):
    """What others measured in the same segment: E^2 dN/dE at 5 TeV per flavour, mean over it, and the index."""

    intensity: Estimate = shown("mean over the segment at 5 TeV, per sr")
    index: Estimate = shown("spectral index")
    source: str = shown("where it is printed")
    note: str = shown("what must be known", "", hidden=True)

    def words(self, form: str = ".3g") -> str:
        return f"{self.intensity.words(form)}, index {self.index.words()}"


class SegmentFlux(Record):
    """One segment: fit, index and flux, less their bias."""

    tested: Tested = shown("segment", short="segment")
    solid_angle: float = shown("solid angle", unit="sr", form=".4f", hidden=True)
    ts: float = shown("test statistic TS, the others profiled", form=".2f", short="TS")
    n_signal: Measured = shown("fitted events n_s", short="n_s")
    index_fitted: Measured | None = shown("fitted spectral index", None, hidden=True)
    index: Estimate | Unknown = shown("spectral index")
    fluxes: tuple[AtEnergy, ...] = shown("flux", hidden=True)
    intensity_5_tev: Estimate = shown("E^2 dN/dE at 5 TeV, mean over the segment", short="at 5 TeV per sr")
    published: PublishedSegment | None = shown("published", None)


class SegmentsAnswer(Answer):
    """Segments of the plane, fitted together."""

    rows: ClassVar = "segments"
    ts: float = shown("TS of all together", form=".2f")
    converged: bool = shown("the fit converged")
    segments: tuple[SegmentFlux, ...] = shown("each segment, the others fitted too")
    n_trials: int = shown("pseudo-experiments of each strength")
    not_converged: int = shown("pseudo-experiments whose fit did not converge", hidden=True)
    notes: tuple[str, ...] = shown("notes")

    def headline(self) -> tuple[str, ...]:
        parts = "; ".join(f"{one.tested.label}: {_said(one)}" for one in self.segments)
        converged = "" if self.converged else " The fit did NOT converge."
        return (f"E^2 dN/dE at 5 TeV per sr and index, {parts}.{converged}",)

    def drawn(self) -> tuple[Drawn, ...]:
        origin = self.provenance.origin
        figure = segments_figure([_row(one) for one in self.segments], label=self.provenance.sample, origin=origin)
        words = f"Segments of the Galactic plane, {self.provenance.sample} ({origin}). {self.headline()[0]}"
        caption = f"{words} Intervals hold 68 %; open marks are published numbers of real events."
        name = "-".join(["segments", *(one.tested.hypothesis.partition(":")[2] for one in self.segments)])
        return (Drawn(figure, Sidecar(name, words, caption, origin)),)


def _said(one: SegmentFlux) -> str:
    index = "unknown" if isinstance(one.index, Unknown) else one.index.words(".2f")
    return f"{one.intensity_5_tev.words()}, index {index}"


def _row(one: SegmentFlux) -> SegmentRow:
    def ends(found: Estimate | Unknown | None) -> tuple[float, float, float]:
        if found is None or isinstance(found, Unknown):
            return (np.nan,) * 3
        return found.best, found.interval.low, found.interval.high

    theirs = one.published
    return SegmentRow(
        one.tested.label,
        ends(one.intensity_5_tev),
        ends(one.index),
        ends(theirs.intensity if theirs else None),
        ends(theirs.index if theirs else None),
    )


Ends = tuple[float, float] | Unknown
_NO_ENDS = Unknown(reason="no events were fitted")


def _estimate(found: trials.Estimate, errors: Ends, scale: float = 1.0, unit: str = "") -> Estimate:
    """As it is published; errors : of the ends."""
    low, high = (errors, errors) if isinstance(errors, Unknown) else (error * scale for error in errors)
    interval = Interval(
        low=found.low * scale, low_error=low, high=found.high * scale, high_error=high, level=LEVEL, unit=unit
    )
    return Estimate(best=found.best * scale, interval=interval)


def _end_errors(read: Callable[[Ladder], trials.Estimate | Unknown], up: Ladder) -> Ends:
    """Errors of the ends of an interval that is read from experiments, from drawing these again."""
    rng = np.random.default_rng(0)
    again = [read(up.drawn_again(rng)) for _ in range(_RESAMPLED)]
    ends = np.array([(one.low, one.high) for one in again if not isinstance(one, Unknown)])
    if len(ends) < _RESAMPLED:
        return Unknown(reason="too few pseudo-experiments have an index")
    low, high = ends.std(axis=0, ddof=1).tolist()
    return low, high


def published_segment(segment: Segment) -> PublishedSegment | None:
    """What others measured in the bounds of a segment at 5 TeV; None where nothing was."""
    theirs = at_5_tev(of_segment(segment))
    if theirs is None:
        return None
    unpublished = Unknown(reason="not published")
    intensity, index = (theirs.value, theirs.low, theirs.high), (theirs.index, theirs.index_low, theirs.index_high)
    return PublishedSegment(
        intensity=_estimate(trials.Estimate(*intensity), unpublished, unit=PER_SR),
        index=_estimate(trials.Estimate(*index), unpublished),
        source=theirs.source,
        note=theirs.note,
    )


def flux_at(problem: Problem, n_signal: Floats, index: Floats, log10_energy: float) -> Floats:
    """E^2 dN/dE at log10(E/GeV), TeV cm^-2 s^-1 integrated over the sky, of events with free indices; any one shape."""
    at_pivot = n_signal * fluxes_per_event(problem, index)
    return np.asarray(at_pivot * 10.0 ** ((2.0 - index) * (log10_energy - GEV_PIVOT_LOG10)))


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Experiments with rising signal of all segments: n_signal (step, j), index (j,); fits, a dataset a step."""

    n_signal: Floats
    index: Floats
    fits: tuple[xr.Dataset, ...]

    def column(self, name: str, j: int) -> Floats:
        """Fits of segment j, (step, trial)."""
        return np.stack([one[f"{name}_0_{j}"].values for one in self.fits])

    def drawn_again(self, rng: np.random.Generator) -> Ladder:
        """As many experiments of each step, drawn from these with repetition."""
        sizes = [one.sizes["trial"] for one in self.fits]
        drawn = [one.isel(trial=rng.integers(0, n, n)) for one, n in zip(self.fits, sizes, strict=True)]
        return Ladder(self.n_signal, self.index, tuple(drawn))


def ladder(held: Experiments, signal: Signal) -> Ladder:
    """Experiments with a signal, and with one and two standard deviations less and more of each segment's."""
    middle = held.draw(signal, (held.everyone,), JOINT_FIT.experiments)
    deviation = _experiments.columns(middle, "n_signal", held.everyone, len(signal.n_signal)).std(axis=0, ddof=1)
    strengths = [np.maximum(signal.n_signal + step * deviation, 0.0) for step in STEPS]
    rungs = zip(strengths, SEGMENT_STEPS, strict=True)
    fits = [held.draw(as_it_is(n, signal.index), (held.everyone,), stream) for n, stream in rungs]
    at, pairs = len(STEPS) // 2, list(zip(held.problems, signal.index, strict=True))
    index = np.array([trials.at_index(p.prepared, float(g)).hypothesis.index for p, g in pairs])
    n_signal = np.array([*strengths[:at], signal.n_signal, *strengths[at:]])
    return Ladder(n_signal, index, (*fits[:at], middle, *fits[at:]))


def flux_estimate(
    problem: Problem, fit: tuple[float, float], up: Ladder, j: int, log10_energy: float
) -> trials.Estimate:
    """Flux of segment j at log10(E/GeV), TeV cm^-2 s^-1 integrated over it; fit : its events and index."""
    fitted = float(flux_at(problem, np.array(fit[0]), np.array(fit[1]), log10_energy))
    truths = flux_at(problem, up.n_signal[:, j], np.full(len(up.n_signal), up.index[j]), log10_energy)
    fits = flux_at(problem, up.column("n_signal", j), up.column("index", j), log10_energy)
    return trials.inverted(fitted, truths, fits)


def index_estimate(fit: tuple[float, float], up: Ladder, j: int) -> trials.Estimate | Unknown:
    """Index of segment j; fit : its events and index.

    Read with the experiments of each strength, and linear between the two whose median events lie around the fitted.
    """
    (low, high), truth = INDEX_RANGE, float(up.index[j])
    medians, read = [], []
    for injected, n, index in zip(up.n_signal[:, j], up.column("n_signal", j), up.column("index", j), strict=True):
        found = index[n > 0.0]
        if injected > 0.0 and len(found) >= _LEAST:
            medians.append(float(np.median(n)))
            one = trials.recentred(fit[1], truth, found, lowest=low, highest=high)
            read.append((one.best, one.low, one.high))
    if not read:
        return Unknown(reason=f"fewer than {_LEAST} pseudo-experiments of any strength have an index")
    rising = np.maximum.accumulate(medians)
    return trials.Estimate(*(float(np.interp(fit[0], rising, column)) for column in zip(*read, strict=True)))


def _segment(problem: Problem, segment: Segment, fit: JointFit, up: Ladder, j: int) -> SegmentFlux:
    n, index = float(fit.n_signal[j]), float(fit.index[j])
    region, each = of_segment(segment), []
    for at in LOG10_ENERGIES:
        read = partial(flux_estimate, problem, (n, index), j=j, log10_energy=at)
        flux, errors = read(up), _end_errors(read, up)
        per_sr = _estimate(flux, errors, 1.0 / region.solid_angle, PER_SR)
        each.append(AtEnergy(log10_energy=at, flux=_estimate(flux, errors, unit=fluxes.UNIT), intensity=per_sr))
    of_index = index_estimate((n, index), up, j) if n > 0.0 else Unknown(reason="no events were fitted")
    index_errors = _end_errors(partial(index_estimate, (n, index), j=j), up) if n > 0.0 else _NO_ENDS
    error = known(float(fit.index_errors[j]), "the events do not tell")
    return SegmentFlux(
        tested=tested(problem),
        solid_angle=region.solid_angle,
        ts=float(fit.ts_each[j]),
        n_signal=_experiments.fitted_events(problem, (n, float(fit.errors[j]))),
        index_fitted=Measured(value=index, error=error) if n > 0.0 else None,
        index=of_index if isinstance(of_index, Unknown) else _estimate(of_index, index_errors),
        fluxes=tuple(each),
        intensity_5_tev=each[0].intensity,
        published=published_segment(segment),
    )


def segments(
    problems: tuple[Problem, ...], cut: tuple[Segment, ...], samples: Samples, held: Experiments
) -> SegmentsAnswer:
    """The answer for prepared problems, one a segment."""
    _experiments.check_apart(problems)
    fit = maximise_joint(trials.joint_data(tuple(p.prepared for p in problems)))
    up = ladder(held, corrected(held, fit.n_signal, fit.index, held.everyone, JOINT_FIT.rounds))
    each = enumerate(zip(problems, cut, strict=True))
    return SegmentsAnswer(
        provenance=provenance_of(samples, *problems),
        ts=fit.ts,
        converged=fit.converged,
        segments=tuple(_segment(problem, segment, fit, up, j) for j, (problem, segment) in each),
        n_trials=held.n_trials,
        not_converged=sum(map(_experiments.lost, up.fits)),
        notes=(*_NOTES, *fit.notes),
    )
