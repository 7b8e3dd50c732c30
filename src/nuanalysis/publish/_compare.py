"""Our numbers beside the published ones: what may be compared, and by how many sigma they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.interpret.published import PUBLISHED, UNPUBLISHED, Published
from nuanalysis.publish._numbers import ABSENT, UNIT, ends, error, interval, reason, scientific, shown, sigma, value
from nuanalysis.records import Chance, Interval, Unknown


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity of one fit: ours, theirs and the difference, in words."""

    key: str
    quantity: str
    ours: str
    published: str = ABSENT
    difference: str = ABSENT


def difference_in_sigma(ours: tuple[float, float, float], theirs: tuple[float, float, float]) -> float:
    """(best - best) over the two 68 % half-widths that face each other, in quadrature; (best, low, high) each.

    NaN where a width is missing or both are zero.
    """
    gap = ours[0] - theirs[0]
    inner = (ours[0] - ours[1], theirs[2] - theirs[0]) if gap > 0 else (ours[2] - ours[0], theirs[0] - theirs[1])
    width = math.hypot(*inner)
    return gap / width if math.isfinite(width) and width > 0 else math.nan


def _sigmas(number: float, form: str = ".2f") -> str:
    return f"{shown(number, form)}σ" if math.isfinite(number) else ABSENT


def _per_cent(ours: float, theirs: float) -> str:
    ratio = ours / theirs - 1.0 if theirs > 0 else math.nan
    return f"{shown(100.0 * ratio, '+.1f')} %" if math.isfinite(ratio) else ABSENT


def _quoted(key: str, quantity: str, ours: float, theirs: float, form: str, *, relative: bool = False) -> Line:
    """Two plain numbers; their difference in per cent where that means something."""
    return Line(key, quantity, shown(ours, form), shown(theirs, form), _per_cent(ours, theirs) if relative else ABSENT)


def _flux_line(one: MeasureAnswer, published: Published | None) -> Line:
    """The interval that holds systematic variations where there is one: published intervals hold them."""
    varied = isinstance(one.flux.interval_systematics, Interval)
    quantity = "best-fit flux, 68 % with systematics" if varied else "best-fit flux, 68 %"
    held = one.flux.interval_systematics if varied else one.flux.interval
    best, low, high = (number / UNIT for number in (one.flux.best.value, *ends(held)))
    ours = interval(best, low, high)
    if published is None:
        return Line("flux", quantity, ours)
    theirs = (published.flux / UNIT, published.flux_low / UNIT, published.flux_high / UNIT)
    if not published.flux_confirmed:
        return Line("flux", quantity, ours, f"{interval(*theirs)} (unit unconfirmed)")
    return Line(
        "flux", quantity, ours, interval(*theirs), _sigmas(difference_in_sigma((best, low, high), theirs), "+.1f")
    )


def _limit_line(one: MeasureAnswer, published: Published | None) -> Line:
    limit, place = value(one.flux.upper_limit_90), ABSENT
    if published is not None and published.flux_confirmed and math.isfinite(limit):
        place = "above the published" if limit >= published.flux else "below the published"
    return Line("limit", "90 % upper limit", shown(limit / UNIT), ABSENT, place)


def _chance_lines(one: MeasureAnswer, theirs: Published) -> tuple[Line, ...]:
    ours = sigma(one.chance)
    return (
        Line("p", "local p-value", scientific(value(one.chance), error(one.chance)), scientific(theirs.p)),
        Line("sigma", "local significance", _sigmas(ours), _sigmas(theirs.sigma), _sigmas(ours - theirs.sigma, "+.1f")),
    )


def _reach(one: MeasureAnswer) -> tuple[float, float]:
    """Sensitivity and 5 sigma discovery potential as fluxes in 1e-12."""
    found = (one.sensitivity, one.discovery_potential)
    sensitivity, discovery = (value(s if isinstance(s, Unknown) else s.flux) / UNIT for s in found)
    return sensitivity, discovery


def compare(one: MeasureAnswer) -> tuple[Line, ...]:
    """Every number of a fit beside the published one, fluxes in 1e-12 TeV cm^-2 s^-1.

    Published counts, p-values and sensitivities belong to one sample and are set beside that sample only;
    the flux is a property of the sky and is set beside every sample.
    """
    fit, sky = one.fitted, PUBLISHED.get(one.tested.hypothesis)
    theirs = sky if sky is not None and sky.sample == one.provenance.sample else UNPUBLISHED
    sensitivity, discovery = _reach(one)
    index, free = value(fit.index), "fitted" if one.tested.index_free else "fixed"
    corrected = one.flux.n_signal_corrected.value
    return (
        _quoted("n_signal", "signal events n_s", fit.n_signal, theirs.n_signal, ".1f", relative=True),
        _quoted("n_corrected", "n_s, bias corrected", corrected, theirs.n_signal_corrected, ".1f", relative=True),
        _quoted("ts", "TS", fit.ts, theirs.ts, ".2f"),
        _quoted("index", f"spectral index ({free})", index, theirs.index, ".2f"),
        *_chance_lines(one, theirs),
        _flux_line(one, sky),
        _limit_line(one, sky),
        _quoted("sensitivity", "sensitivity (90 %)", sensitivity, theirs.sensitivity / UNIT, ".2f", relative=True),
        _quoted("discovery", "5σ discovery potential", discovery, math.nan, ".1f"),
        *_model_lines(one, theirs),
        *_energy_lines(one, theirs),
    )


def _energy_lines(one: MeasureAnswer, theirs: Published) -> tuple[Line, ...]:
    """True energies outside which a part of the sensitivity is lost, in TeV."""
    return tuple(
        Line(
            f"energies_{round(100 * found.degraded)}",
            f"energies, {100 * found.degraded:.0f} % loss at each end, TeV",
            _span(10.0 ** (found.log10_low - 3.0), 10.0 ** (found.log10_high - 3.0)),
            _span(*published) if math.isfinite(published[0]) else ABSENT,
        )
        for found, published in zip(one.energies, theirs.energies, strict=False)
    )


def _span(low: float, high: float) -> str:
    return f"{shown(low, '.3g')}–{shown(high, '.3g')}"


def _model_lines(one: MeasureAnswer, theirs: Published) -> tuple[Line, ...]:
    """Flux and sensitivity in units of the template's own model, where it has an absolute flux."""
    if one.flux.in_models is None:
        return ()
    ours = (one.flux.in_models.best.value, *ends(one.flux.in_models.interval))
    published = (theirs.in_models, theirs.low_in_models, theirs.high_in_models)
    words = (interval(*ours, ".2f"), interval(*published, ".2f"))
    gap = _sigmas(difference_in_sigma(ours, published), "+.1f")
    strength, what = one.sensitivity, "sensitivity, in units of the model"
    reached = value(strength if isinstance(strength, Unknown) else strength.in_models)
    return (
        Line("in_models", "best fit, in units of the model", *words, gap),
        _quoted("sensitivity_in_models", what, reached, theirs.sensitivity_in_models, ".2f", relative=True),
    )


def _reasons(one: MeasureAnswer) -> list[str]:
    """Why a number is not there, as the run gave it."""
    numbers = {
        "no p-value": one.chance,
        "no 68 % interval": one.flux.interval,
        "no upper limit": one.flux.upper_limit_90,
        "no sensitivity": one.sensitivity,
        "no discovery potential": one.discovery_potential,
    }
    return [f"{what.capitalize()}: {why}" for what, number in numbers.items() if (why := reason(number))]


def _synthetic(one: MeasureAnswer) -> str:
    """What agreement with a published number means on synthetic events: it depends on what was injected."""
    signal = one.provenance.injected
    if not signal or signal.startswith(f"{one.tested.hypothesis} "):
        return (
            "Synthetic events: the signal was injected, so agreement with the published number is by construction of "
            "the injected flux, up to the scatter of one experiment (about 1σ). It is no evidence about the sky."
        )
    return (
        f"Synthetic events: the injected signal was {signal}, not this hypothesis. What it finds is that signal "
        "leaking in, or background. It is no evidence about the sky."
    )


def remarks(one: MeasureAnswer) -> tuple[str, ...]:
    """What a reader must know before believing the lines of one fit."""
    said = [_synthetic(one)] if one.provenance.origin == "synthetic" else []
    if one.tested.model_origin == "built-in" and one.tested.hypothesis.startswith("template:"):
        said.append("The template is our built-in analytic stand-in, not the published map.")
    if one.tested.model_origin == "user file":
        said.append("The template is a user's own file.")
    said.append(f"Fluxes: {one.flux.convention}.")
    if not one.fitted.converged:
        said.append("The fit did not converge; the numbers are its last step.")
    if isinstance(one.chance, Chance):
        size = f", effective sample size {one.chance.ess:,.0f}" if one.chance.ess is not None else ""
        said.append(f"Local p-value from {one.chance.n_trials:,} trials{size}; {one.chance.method}.")
    return (*one.provenance.remarks, *said, *_reasons(one), *one.provenance.notes)


def sources(fits: Iterable[MeasureAnswer]) -> tuple[str, ...]:
    """Where the published numbers stand that are put beside these fits."""
    names = [one.tested.hypothesis for one in fits]
    return tuple(dict.fromkeys(PUBLISHED[name].source for name in names if name in PUBLISHED))
