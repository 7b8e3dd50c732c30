"""Our numbers beside the published ones: what may be compared, and by how many sigma they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.interpret.published import PUBLISHED, STANDS_FOR, UNPUBLISHED, Published
from nuanalysis.publish._numbers import (
    ABSENT,
    UNIT,
    Known,
    error_of,
    measured_words,
    reason_of,
    scientific,
    shown,
    span_of,
    span_words,
    value_of,
)
from nuanalysis.records import Chance, Interval, Measured, Unknown

Span = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity of one result: ours, theirs and the difference, in words."""

    key: str
    quantity: str
    ours: str
    published: str = ABSENT
    difference: str = ABSENT


def difference_in_sigma(ours: Span, theirs: Span) -> float:
    """(best - best) over the two 68 % half-widths that face each other, in quadrature; (best, low, high) each.

    NaN where a width is missing or both are zero.
    """
    gap = ours[0] - theirs[0]
    inner = (ours[0] - ours[1], theirs[2] - theirs[0]) if gap > 0 else (ours[2] - ours[0], theirs[0] - theirs[1])
    width = math.hypot(*inner)
    return gap / width if math.isfinite(width) and width > 0 else math.nan


def _sigmas(value: float) -> str:
    return f"{shown(round(value, 2) + 0.0, '.2f')}σ" if math.isfinite(value) else ABSENT


def _signed(value: float, unit: str) -> str:
    return f"{round(value, 1) + 0.0:+.1f}{unit}".replace("-", "−") if math.isfinite(value) else ABSENT


def of_our_error(ours: Span, theirs: float) -> float:
    """The difference to a number that was published without an error, in our half-width that faces it; NaN without."""
    return difference_in_sigma(ours, (theirs,) * 3)


def _quoted(key: str, quantity: str, ours: Span, theirs: float, form: str) -> Line:
    """Two numbers, of which the published one has no error; no difference where ours has none either."""
    gap = _signed(of_our_error(ours, theirs), "σ of our error")
    return Line(key, quantity, shown(ours[0], form), shown(theirs, form), gap)


def _bare(value: float) -> Span:
    """A number of ours without an error."""
    return value, math.nan, math.nan


def within_error(one: Known) -> Span:
    """A number of ours between its statistical errors."""
    return value_of(one), value_of(one) - error_of(one), value_of(one) + error_of(one)


def events_span(answer: MeasureAnswer, n_signal: float) -> Span:
    """A number of fitted events with the two halves of the 68 % interval of the flux, turned into events."""
    best, low, high = (one * answer.events_per_1e11 / 1e-11 for one in span_of(answer.flux.best, answer.flux.interval))
    return n_signal, n_signal - (best - low), n_signal + (high - best)


def _flux_line(answer: MeasureAnswer, published: Published) -> Line:
    """The interval that holds systematic variations where there is one: published intervals hold them."""
    varied = isinstance(answer.flux.interval_systematics, Interval)
    quantity = "best-fit flux, 68 % with systematics" if varied else "best-fit flux, 68 %"
    ours = span_of(answer.flux.best, answer.flux.interval_systematics if varied else answer.flux.interval)
    theirs = (published.flux, published.flux_low, published.flux_high)
    unsure = math.isfinite(published.flux) and not published.flux_confirmed
    gap = math.nan if unsure else difference_in_sigma(ours, theirs)
    words = span_words(theirs) + " (unit unconfirmed)" * unsure
    return Line("flux", quantity, span_words(ours), words, _signed(gap, "σ"))


def _limit_line(answer: MeasureAnswer, published: Published) -> Line:
    found = answer.flux.upper_limit_90
    limit = value_of(found)
    comparable = published.flux_confirmed and math.isfinite(published.flux) and math.isfinite(limit)
    place = "above the published" if limit >= published.flux else "below the published"
    said = shown(limit / UNIT) if isinstance(found, Unknown) else measured_words(found, ".1f", per=UNIT)
    return Line("limit", "90 % upper limit", said, difference=f"{place} flux" if comparable else ABSENT)


def _ends_line(answer: MeasureAnswer) -> Line:
    """The ends of the 68 % interval with the errors of their trials."""
    varied = answer.flux.interval_systematics
    ends = varied if isinstance(varied, Interval) else answer.flux.interval
    found = ends.over(UNIT).cell(".3g") if isinstance(ends, Interval) else ABSENT
    return Line("ends", "ends of that interval, with the errors of their trials", found.replace("+-", "±"))


def _chance_lines(answer: MeasureAnswer, theirs: Published) -> tuple[Line, Line]:
    """p-value and significance."""
    chance = answer.chance if isinstance(answer.chance, Chance) else None
    kind = "local" if chance is None else chance.scope
    sigma = math.nan if chance is None or chance.sigma is None else chance.sigma
    ours = scientific(value_of(answer.chance), error_of(answer.chance))
    gap = _signed(sigma - theirs.sigma, "σ")
    return (
        Line("p", f"{kind} p-value", ours, scientific(theirs.p)),
        Line("sigma", f"{kind} significance", _sigmas(sigma), _sigmas(theirs.sigma), gap),
    )


def compare(answer: MeasureAnswer) -> tuple[Line, ...]:
    """Every number of one result beside the published one, fluxes in 1e-12 TeV cm^-2 s^-1.

    Published counts, p-values and sensitivities belong to one sample and are set beside that sample only, a sensitivity
    beside a simulation that stands for it too; the flux is a property of the sky and is set beside every sample.
    """
    sky = PUBLISHED.get(answer.tested.hypothesis, UNPUBLISHED)
    theirs = sky if sky.sample == answer.provenance.sample else UNPUBLISHED
    beside = sky if sky.sample == STANDS_FOR.get(answer.provenance.sample) else theirs
    fit, free = answer.fitted, answer.tested.index_free
    # Without signal a free index means nothing.
    index = math.nan if fit.index is None or (free and fit.n_signal <= 0) else fit.index
    reach, potential = answer.sensitivity, answer.discovery_potential
    sensitivity, discovery = (one if isinstance(one, Unknown) else one.flux.over(UNIT) for one in (reach, potential))
    fitted, corrected = (events_span(answer, n) for n in (fit.n_signal, value_of(answer.flux.n_signal_corrected)))
    return (
        _quoted("n_signal", "signal events n_s", fitted, theirs.n_signal, ".1f"),
        _quoted("n_corrected", "n_s, bias corrected", corrected, theirs.n_signal_corrected, ".1f"),
        _quoted("ts", "TS", _bare(fit.ts), theirs.ts, ".2f"),
        _quoted("index", f"spectral index ({'fitted' if free else 'fixed'})", _bare(index), theirs.index, ".2f"),
        *_chance_lines(answer, theirs),
        _flux_line(answer, sky),
        _ends_line(answer),
        _limit_line(answer, sky),
        _reach_line("sensitivity", "sensitivity (90 %)", sensitivity, beside.sensitivity / UNIT),
        Line("discovery", "5σ discovery potential", _with_error(discovery, ".1f")),
        *_model_lines(answer, theirs),
        *_energy_lines(answer, theirs),
    )


def _with_error(one: Known, form: str) -> str:
    return measured_words(one, form) if isinstance(one, Measured) else ABSENT


def _reach_line(key: str, quantity: str, ours: Known, theirs: float) -> Line:
    """A strength that the search reaches, with its error."""
    return replace(_quoted(key, quantity, within_error(ours), theirs, ".2f"), ours=_with_error(ours, ".2f"))


def _energy_lines(answer: MeasureAnswer, theirs: Published) -> tuple[Line, ...]:
    """True energies outside which a part of the sensitivity is lost, in TeV."""
    return tuple(
        Line(
            f"energies_{round(100 * ours.degraded)}",
            f"energies, {100 * ours.degraded:.0f} % loss at each end, TeV",
            f"{10.0 ** (ours.log10_low - 3.0):.3g}–{10.0 ** (ours.log10_high - 3.0):.3g}",
            f"{published[0]:.3g}–{published[1]:.3g}" if math.isfinite(published[0]) else ABSENT,
        )
        for ours, published in zip(answer.energies, theirs.energies, strict=True)
    )


def _model_lines(answer: MeasureAnswer, theirs: Published) -> tuple[Line, ...]:
    """Flux and sensitivity in units of the template's own model, where it has an absolute flux."""
    found = answer.flux.in_models
    if found is None:
        return ()
    ours = span_of(found.best, found.interval)
    published = (theirs.in_models, theirs.low_in_models, theirs.high_in_models)
    words = span_words(ours, ".2f", per=1.0), span_words(published, ".2f", per=1.0)
    gap = _signed(difference_in_sigma(ours, published), "σ")
    reach = None if isinstance(answer.sensitivity, Unknown) else answer.sensitivity.in_models
    name = "sensitivity, in units of the model"
    return (
        Line("in_models", "best fit, in units of the model", *words, gap),
        _reach_line("sensitivity_in_models", name, reach, theirs.sensitivity_in_models),
    )


def _reasons(answer: MeasureAnswer) -> list[str]:
    """Why a number is not there, as the run gave it."""
    found = {
        "p-value": answer.chance,
        "68 % interval": answer.flux.interval,
        "upper limit": answer.flux.upper_limit_90,
        "sensitivity": answer.sensitivity,
        "discovery potential": answer.discovery_potential,
    }
    return [f"No {what}: {reason_of(one)}" for what, one in found.items() if isinstance(one, Unknown)]


def _synthetic(answer: MeasureAnswer) -> str:
    """What agreement with a published number means on synthetic events: it depends on what was injected."""
    signal = answer.provenance.injected
    if not signal or signal.startswith(f"{answer.tested.hypothesis} "):
        return (
            "Synthetic events: the signal was injected, so agreement with the published number is by construction of "
            "the injected flux, up to the scatter of one experiment (about 1σ). It is no evidence about the sky."
        )
    return (
        f"Synthetic events: the injected signal was {signal}, not this hypothesis. What it finds is that signal "
        "leaking in, or background. It is no evidence about the sky."
    )


def remarks(answer: MeasureAnswer) -> tuple[str, ...]:
    """What a reader must know before believing the lines of one result."""
    about, tested, said = answer.provenance, answer.tested, list[str]()
    if about.origin == "synthetic":
        said.append(_synthetic(answer))
    if stood_for := STANDS_FOR.get(about.sample):
        said.append(
            f"Parametric simulation, normalised to published rates: it stands for '{stood_for}', and no IceCube "
            "simulation or data are in it. The published sensitivity is a check of the simulation."
        )
    if tested.model_origin == "built-in" and tested.hypothesis.startswith("template:"):
        said.append("The template is our built-in analytic stand-in, not the published map.")
    if tested.model_origin == "user file":
        said.append("The template is a user's own file.")
    said += [*about.remarks, f"Fluxes: {answer.flux.convention}."]
    if not answer.fitted.converged:
        said.append("The fit did not converge; the numbers are its last step.")
    if isinstance(answer.chance, Chance):
        p = answer.chance
        size = f", effective sample size {p.ess:,.0f}" if p.ess is not None else ""
        said.append(f"{p.scope.capitalize()} p-value from {p.n_trials:,} trials{size}; {p.method}.")
    return (*said, *_reasons(answer), *about.notes)


def sources(answers: Iterable[MeasureAnswer]) -> tuple[str, ...]:
    """Where the published numbers stand that are put beside these results."""
    found = (PUBLISHED.get(answer.tested.hypothesis) for answer in answers)
    return tuple(dict.fromkeys(one.source for one in found if one is not None))
