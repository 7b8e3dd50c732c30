"""What does the shape of the emission say about the gradient of delta, how diffusion grows with rigidity?"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers import _experiments
from nuanalysis.answers._ensembles import counted, or_reason
from nuanalysis.answers._experiments import METHOD
from nuanalysis.answers._question import Answer, Question, provenance_of, repeated
from nuanalysis.answers._transport_family import (
    LEVEL,
    TOO_BRIGHT,
    Family,
    Reading,
    column,
    experiments,
    family,
    reading,
    reading_held,
)
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import did_you_mean
from nuanalysis.interpret import transport as family_of_models
from nuanalysis.interpret.hadronic import PIVOT
from nuanalysis.interpret.published import Intensity
from nuanalysis.library.samples import Samples, joined, refuse_shared_events
from nuanalysis.plot import Drawn, Sidecar, TransportCurve, TransportPanel, slug, transport_figure
from nuanalysis.records import Chance, Interval, Measured, Record, Unknown, known, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import GAS

PER_KPC = "kpc-1"
PER_SR = "TeV cm-2 s-1 sr-1"
SLOPES = (0.0, 0.01, 0.02, 0.035, 0.05, 0.06)
_WITHOUT = "experiments without a gradient that gain as much TS"
NOTES = (
    "delta(R) = A R + B, B = 0.5 - 8.5 A, as at 11 kpc beyond; A is the gradient of delta, per kpc. At fixed cosmic "
    "rays at the Sun only the shape of their density and spectrum is seen: neither B nor the size of the diffusion",
    "intervals by Feldman and Cousins: A is in where the largest TS less TS at A is at most what 68 % of experiments "
    "of that A stay below; A ends at the outermost members of the family, where fits pile up and chi^2 does not hold",
    "experiments of a member hold the signal that it fits to the data, or with its norm held that of its own flux; "
    "all members are fitted to each; between the members TS is a cubic spline, and critical values go as those of a "
    "normal fit with an end",
    "with the norm held, models whose own flux is more than a density of the events allows are excluded and left out",
    "norm: fitted events, corrected for their bias, over those of the model itself; its error is the spread of fits",
    "a preference that is there only with the norm free, or only with it held, is no result: a larger A is also a "
    "brighter Galaxy, and every model without its norm lies below the measurements",
    "A and the gas are alike in cascades: the envelope holds every gas model's interval",
)


def _gas(names: tuple[str, ...]) -> tuple[str, ...]:
    faults = [f"there is no gas model '{one}'.{did_you_mean(one, GAS)}" for one in names if one not in GAS]
    faults += repeated(names, "gas models") if names else ["no gas model named; expected one or more"]
    if faults:
        raise ValueError("; ".join(faults))
    return names


def _rising(slopes: tuple[float, ...]) -> tuple[float, ...]:
    if len(slopes) < 3 or not np.all(np.diff(slopes) > 0.0):
        raise ValueError(f"slopes are {slopes}; expected three or more, rising")
    if not -0.05 <= slopes[0] <= slopes[-1] <= 0.07:
        raise ValueError(f"slopes run from {slopes[0]:g} to {slopes[-1]:g}; expected -0.05 to 0.07 per kpc")
    return slopes


class Transport(Question):
    """What the shape of the emission says about the gradient of delta, diffusion's dependence on rigidity."""

    several: ClassVar = True
    example: ClassVar = {"gas": ("nakanishi-sofue",), "slopes": (0.0, 0.035, 0.06), "trials": 100}
    gas: Annotated[tuple[str, ...], AfterValidator(_gas)] = setting(tuple(GAS), help="gas models")
    slopes: Annotated[tuple[float, ...], AfterValidator(_rising)] = setting(
        SLOPES, unit=PER_KPC, help="A of the members of the family, rising"
    )
    trials: _experiments.Trials = 300

    def ask(self, samples: tuple[Samples, ...], bench: Bench) -> TransportAnswer:  # type: ignore[override]
        refuse_shared_events(samples)
        whole = joined(samples) if len(samples) > 1 else samples[0]
        return transport(self.gas, self.slopes, whole, self.trials, bench)


class Preference(Record):
    """What the data prefer, with the norm free or held.

    gain : TS of the best A above that of A = 0.
    """

    best: float = shown("A of the largest TS", unit=PER_KPC, form=".3f")
    interval: Interval = shown("68 % interval")
    gain: float | Unknown = shown("TS above that without a gradient", form=".2f")
    chance: Chance | Unknown = shown("experiments without a gradient that gain as much", short="p of A = 0")

    def words(self, form: str = "") -> str:
        return f"A = {self.best:.3f} ({self.interval.cell('.3f')}) kpc-1, 68 %"

    @property
    def gradient(self) -> bool:
        """Whether the interval lies above zero."""
        return self.interval.low > 0.0


class Point(Record):
    """One member of the family on the data."""

    gas: str = shown("gas model", hidden=True)
    slope: float = shown("A", unit=PER_KPC, form="g")
    ts: float = shown("test statistic TS, norm free", form=".2f", short="TS")
    n_signal: float = shown("fitted events n_s", form=".0f", short="n_s")
    norm: Measured = shown("norm, in units of the model")
    model_events: float = shown("events of the model at its own flux", form=".0f", short="of model")
    ts_held: float | Unknown = shown("TS at the model's own flux", form=".2f", short="TS held")
    critical: Measured = shown("critical TS difference, norm free", short="critical")
    critical_held: Measured | Unknown = shown("critical TS difference, norm held", hidden=True)


class Expected(Record):
    """What experiments of one member say of its A: fits of A, and how long their 68 % intervals are."""

    gas: str = shown("gas model", hidden=True)
    slope: float = shown("true A", unit=PER_KPC, form="g")
    n_injected: float = shown("injected events", form=".0f")
    median: float = shown("median fit of A", unit=PER_KPC, form=".4f")
    low: float = shown("16 % of fits", unit=PER_KPC, form=".4f", hidden=True)
    high: float = shown("84 % of fits", unit=PER_KPC, form=".4f", hidden=True)
    rms: float = shown("rms of fits about the truth", unit=PER_KPC, form=".4f", short="rms")
    error: Measured = shown("error of A: median half-length of the 68 % intervals", short="error of A")
    above_zero: Measured = shown("share whose interval lies above 0", short="above 0")


class Sends(Record):
    """What a member of the family sends, as the model itself says: E^2 dN/dE at 5 TeV per flavour, and indices."""

    gas: str = shown("gas model", hidden=True)
    slope: float = shown("A", unit=PER_KPC, form="g")
    inner: float = shown("|l| < 30, |b| < 8 deg", unit=PER_SR, form=".3g")
    outer: float = shown("|l| > 60, |b| < 8 deg", unit=PER_SR, form=".3g")
    ratio: float = shown("inner over outer", form=".3g")
    inner_index: float = shown("index 1 to 25 TeV, inner", form=".2f")
    outer_index: float = shown("index 1 to 25 TeV, outer", form=".2f")
    lhaaso: float = shown("LHAASO inner over outer, 25 TeV", form=".3g")


class AsMeasured(Record):
    """The same as others measured it."""

    inner: Interval = shown("inner", hidden=True)
    inner_best: float = shown("inner", unit=PER_SR, form=".3g")
    outer: Interval = shown("outer", hidden=True)
    outer_best: float = shown("outer", unit=PER_SR, form=".3g")
    ratio: float = shown("inner over outer", form=".3g")
    ratio_interval: Interval = shown("its 68 %")
    inner_index: float = shown("index, inner", form=".2f")
    outer_index: float = shown("index, outer", form=".2f")
    lhaaso: float = shown("LHAASO inner over outer, 25 TeV, sources masked", form=".3g")
    source: str = shown("source", hidden=True)


class OfGas(Record):
    """One gas model."""

    gas: str = shown("gas model")
    norm: Measured = shown("norm at the best A, in units of the model")
    free: Preference = shown("norm free")
    held: Preference | Unknown = shown("norm held at the model's own flux")
    points: tuple[Point, ...] = shown("the family on the data")
    expected: tuple[Expected, ...] = shown("experiments, norm free")
    sends: tuple[Sends, ...] = shown("what the models send")

    @property
    def verdict(self) -> str:
        """Whether a preference for a gradient is a result."""
        held = not isinstance(self.held, Unknown) and self.held.gradient
        if self.free.gradient and held:
            return "a gradient above 0 with the norm free and held"
        if self.free.gradient or held:
            return f"a gradient above 0 only with the norm {'free' if self.free.gradient else 'held'}: no result"
        return "no gradient asked for"


class TransportAnswer(Answer):
    """The gradient of delta that events allow."""

    rows: ClassVar = "gases.points"
    envelope: Interval = shown("A, 68 % of every gas model")
    gases: tuple[OfGas, ...] = shown("gas models")
    measured: AsMeasured = shown("measured")
    n_trials: int = shown("experiments of each member")
    notes: tuple[str, ...] = shown("notes", NOTES)

    def headline(self) -> tuple[str, ...]:
        each = "; ".join(f"{one.gas} {one.free.words()}, norm {one.norm.words()} x model, {one.verdict}"
                         for one in self.gases)  # fmt: skip
        said = (f"Gradient of delta, norm free: {each}.",)
        if len(self.gases) == 1:
            return said
        return (*said, f"Envelope of {len(self.gases)} gas models: A from {self.envelope.cell('.3f')} kpc-1 (68 %).")

    def drawn(self) -> tuple[Drawn, ...]:
        origin, whose = _experiments.origin_of_skies(self.provenance.origin), self.provenance
        panels = tuple(_panel(self.gases, held=held) for held in (False, True))
        figure = transport_figure(tuple(filter(None, panels)), label=f"Gradient of δ, {whose.sample}", origin=origin)
        words = f"TS along the gradient of delta, {whose.sample} ({whose.origin}). {' '.join(self.headline())}"
        gas = "; ".join(f"{one.gas}: {GAS[one.gas].reference}" for one in self.gases)
        caption = (
            f"{words} Lines: TS below its largest value; dotted: critical values from {self.n_trials} experiments of "
            "each member; bars: 68 % intervals of Feldman and Cousins. Left the norm of every model is free, right it "
            "is the model's own. Templates: analytic KRA-gamma-like (idea of Gaggero et al., arXiv:1504.00227), not "
            f"the published maps. {gas}."
        )
        return (Drawn(figure, Sidecar(f"transport-{slug(whose.sample)}", words, caption, origin)),)


def _panel(gases: tuple[OfGas, ...], *, held: bool) -> TransportPanel | None:
    curves = []
    for one in gases:
        said = one.held if held else one.free
        if isinstance(said, Unknown):
            continue
        used = [point for point in one.points if not (held and isinstance(point.critical_held, Unknown))]
        slopes, events = (np.array([getattr(point, key) for point in used]) for key in ("slope", "model_events"))
        ts = np.array([point.ts_held if held else point.ts for point in used])
        critical = np.array([_value(point.critical_held if held else point.critical) for point in used])
        curve = trials.along(slopes, ts[None], events if held else None)
        curves.append(
            TransportCurve(one.gas, curve.at, -curve.tau[0], slopes, -critical, (said.interval.low, said.interval.high))
        )
    title = "norm held at the model's flux" if held else "norm free"
    return TransportPanel(title, tuple(curves)) if curves else None


def _value(found: Measured | Unknown) -> float:
    return np.nan if isinstance(found, Unknown) else found.value


def _preference(read: Reading, without: int | None) -> Preference:
    """without : number of the member without a gradient."""
    (low, high), narrow, wide = read.ends(), read.ends(-1.0), read.ends(1.0)
    interval = Interval(
        low=low,
        low_error=0.5 * abs(narrow[0] - wide[0]),
        high=high,
        high_error=0.5 * abs(wide[1] - narrow[1]),
        level=LEVEL,
        unit=PER_KPC,
    )
    best = float(read.data.best[0])
    if without is None:
        nothing = Unknown(reason="A = 0 is no member of the family that was asked")
        return Preference(best=best, interval=interval, gain=nothing, chance=nothing)
    gain = float(read.data.tau_at(0.0)[0])
    chance = counted(trials.as_large(read.drawn[without].tau_at(0.0), gain), _WITHOUT, METHOD)
    return Preference(best=best, interval=interval, gain=gain, chance=chance)


def expected(one: Family, read: Reading, k: int) -> Expected:
    """What the experiments of member k say."""
    slope, drawn = float(one.slopes[k]), read.drawn[k]
    fits, (low, high) = drawn.best, trials.family_ends(drawn, read.critical)
    half, above = 0.5 * (high - low), trials.share(low > 0.0)
    return Expected(
        gas=one.gas,
        slope=slope,
        n_injected=one.truth(k, held=False),
        median=float(np.median(fits)),
        low=float(np.quantile(fits, 0.16)),
        high=float(np.quantile(fits, 0.84)),
        rms=float(np.sqrt(np.mean((fits - slope) ** 2))),
        error=Measured(
            value=float(np.median(half)), error=1.2533 * float(half.std(ddof=1)) / len(half) ** 0.5, unit=PER_KPC
        ),
        above_zero=Measured(value=above.p, error=above.error),
    )


def _point(one: Family, free: Reading, held: Reading | Unknown, spread: float, k: int) -> Point:
    """spread : standard deviation of n_s of the experiments of the member."""
    per_model = one.bias[k] * one.model[k]
    norm = Measured(value=float(one.n_signal[k] / per_model), error=float(spread / per_model))
    kept = None if isinstance(held, Unknown) or k >= len(held.critical.members) else held
    at_held = known(float(one.ts_held[k]), TOO_BRIGHT)
    return Point(
        gas=one.gas,
        slope=float(one.slopes[k]),
        ts=float(one.ts[k]),
        n_signal=float(one.n_signal[k]),
        norm=norm,
        model_events=float(one.model[k]),
        ts_held=at_held,
        critical=_critical(free, k),
        critical_held=Unknown(reason=TOO_BRIGHT) if kept is None else _critical(kept, k),
    )


def _critical(read: Reading, k: int) -> Measured:
    return Measured(value=float(read.critical.tau[k]), error=float(read.critical.errors[k]))


def _of_gas(one: Family, n_trials: int, bench: Bench) -> OfGas:
    every = range(len(one.slopes))
    free, held = (tuple(experiments(one, k, n_trials, bench, held=way) for k in every) for way in (False, True))
    columns = partial(column, n_members=len(one.slopes))
    read = reading(one.slopes, one.ts, tuple(columns(found, "ts") for found in free))
    read_held = or_reason(reading_held, one, tuple(columns(found, "ts_held") for found in held))
    without = next((k for k in every if one.slopes[k] == 0.0), None)
    spreads = [float(found[f"n_signal_{k}"].values.std(ddof=1)) for k, found in enumerate(free)]
    points = tuple(_point(one, read, read_held, spreads[k], k) for k in every)
    best = float(read.data.best[0])
    return OfGas(
        gas=one.gas,
        norm=Measured(
            value=_at(best, one.slopes, [point.norm.value for point in points]),
            error=_at(best, one.slopes, [_experiments_error(point.norm) for point in points]),
        ),
        free=_preference(read, without),
        held=read_held if isinstance(read_held, Unknown) else _preference(read_held, without),
        points=points,
        expected=tuple(expected(one, read, k) for k in every),
        sends=tuple(Sends.taken_from(one.members[k], gas=one.gas, slope=float(one.slopes[k])) for k in every),
    )


def _at(slope: float, slopes: Floats, values: list[float]) -> float:
    return float(np.interp(slope, slopes, values))


def _experiments_error(found: Measured) -> float:
    return 0.0 if isinstance(found.error, Unknown) else found.error


def _measured() -> AsMeasured:
    inner, outer = (family_of_models.measured(one) for one in (family_of_models.INNER, family_of_models.OUTER))
    ratio, low, high = family_of_models.measured_ratio()
    return AsMeasured(
        inner=_interval(inner),
        inner_best=inner.value,
        outer=_interval(outer),
        outer_best=outer.value,
        ratio=ratio,
        ratio_interval=_printed(low, high, ""),
        inner_index=inner.index,
        outer_index=outer.index,
        lhaaso=family_of_models.measured_lhaaso(),
        source=f"{inner.source}; LHAASO: power laws through its points, pivot {PIVOT:g} TeV",
    )


def _interval(one: Intensity) -> Interval:
    return _printed(one.low, one.high, PER_SR)


def _printed(low: float, high: float, unit: str) -> Interval:
    nothing = Unknown(reason="not published")
    return Interval(low=low, low_error=nothing, high=high, high_error=nothing, level=LEVEL, unit=unit)


def transport(
    gas: tuple[str, ...], slopes: tuple[float, ...], samples: Samples, n_trials: int, bench: Bench
) -> TransportAnswer:
    """The answer for gas models, one after the other."""
    gases = []
    for one in gas:
        found = _of_gas(family(one, slopes, samples), n_trials, bench)
        bench.progress(f"{samples.name} {one}: {found.free.words()}")
        gases.append(found)
    lowest = min((one.free.interval for one in gases), key=lambda ends: ends.low)
    highest = max((one.free.interval for one in gases), key=lambda ends: ends.high)
    return TransportAnswer(
        provenance=provenance_of(samples),
        envelope=highest.model_copy(update={"low": lowest.low, "low_error": lowest.low_error}),
        gases=tuple(gases),
        measured=_measured(),
        n_trials=n_trials,
    )
