"""The rows of the campaign table that each kind of answer gives: published values beside ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from nuanalysis.answers.bias import BiasAnswer
from nuanalysis.answers.joint import JointAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import ScanAnswer
from nuanalysis.answers.significance import SignificanceAnswer
from nuanalysis.answers.sources import SourcesAnswer
from nuanalysis.answers.together import TogetherAnswer
from nuanalysis.interpret.published import (
    BUBBLES,
    CAMPAIGN_2023,
    NO_SPOT,
    PUBLISHED,
    UNPUBLISHED,
    Published,
    PublishedSpot,
)
from nuanalysis.publish._numbers import UNIT, Known, Number, ends, error, reason, scientific, shown, value
from nuanalysis.records import Chance, Interval, Provenance, Record, Unknown
from nuanalysis.records import shown as labelled

NOT_HERE, NOT_ASKED = "not in this version", "not asked for"
_OWN_FIT = "from the fit to these events, one synthetic experiment"
_FLUX = "1e-12 TeV cm-2 s-1"


class CampaignRow(Record):
    """One quantity; null where there is no number, the reason in its note."""

    quantity: str = labelled("what; local and global p-values are named as such")
    kind: str = labelled("local or global for p-values", "-")
    origin: str = labelled("of the events: real, synthetic or mixed", "-")
    unit: str = labelled("of published, ours and error", "-")
    published: Number = labelled("as published", None)
    ours: Number = labelled("this run", None)
    error: Number = labelled("statistical error of ours", None)
    trials: Number = labelled("trials behind ours, pilots not counted", None)
    trials_published: Number = labelled("trials of the published analysis", None)
    core_hours: Number = labelled("core-hours of the part that begins with this row; last row: all", None, unit="h")
    core_hours_published: Number = labelled("only their sum is known", None, unit="h")
    seed: int | None = labelled("of the trials", None)
    note: str = labelled("where ours is from, or why it is not there", "-")

    def cells(self) -> tuple[str, ...]:
        """Quantity, published, ours with its error, trials of both and core-hours of both, for people."""
        ours = self._form(self.ours, self.error) if self.ours is not None else self._absent()
        what = self.quantity if self.unit == "-" else f"{self.quantity} [{self.unit}]"
        trials = (shown(value(n), ",.0f") for n in (self.trials, self.trials_published))
        hours = (value(h) for h in (self.core_hours, self.core_hours_published))
        spent = (shown(h, ",.0f" if h > 1000 else ".2g" if h < 0.1 else ".2f") for h in hours)
        return (what, self._form(self.published), ours, *trials, *spent)

    def _absent(self) -> str:
        return next((why for why in (NOT_HERE, NOT_ASKED) if self.note.startswith(why)), shown(math.nan))

    def _form(self, number: float | None, error: float | None = None) -> str:
        if self.kind != "-":
            return scientific(value(number), value(error))
        digits = ".1f" if number is not None and abs(number) >= 100 else ".2f"
        return shown(value(number), digits) + ("" if error is None else f" ± {shown(error, digits)}")


def noted(*parts: str) -> str:
    """What is said of a row, a dash where nothing is."""
    return "; ".join(filter(None, parts)) or "-"


def _chance(quantity: str, chance: Chance | Unknown, scope: str = "local", note: str = "", **more: Any) -> CampaignRow:
    """A p-value, or why there is none; one beyond the trials, or of which no trial was counted, says so."""
    more |= {"kind": scope, "ours": value(chance), "error": error(chance)}
    if isinstance(chance, Unknown):
        return CampaignRow(quantity=quantity, note=noted(chance.reason, note), **more)
    bound = "" if chance.bound is None else f"none of the trials: below {chance.bound:.2g} with 90 %"
    beyond = "extrapolated beyond the trials" if chance.extrapolated else ""
    return CampaignRow(quantity=quantity, note=noted(note, bound, beyond), trials=chance.n_trials, **more)


def _of_skies(quantity: str, chance: Chance | Unknown, note: str = "", **more: Any) -> CampaignRow:
    """A global p-value from background skies, or that none were asked for."""
    if isinstance(chance, Unknown):
        return CampaignRow(quantity=quantity, kind="global", note=f"{NOT_ASKED}: {chance.reason}", **more)
    return _chance(quantity, chance, "global", note, **more)


def _whose(whose: Provenance) -> str:
    return _OWN_FIT if whose.origin == "synthetic" else "from the fit to these events"


def _smeared(degrees: float) -> str:
    return f", declinations smeared by {degrees:g} deg" if degrees > 0 else ""


# --- one hypothesis ---------------------------------------------------------------------------------------------------


def _published_of(hypothesis: str, sample: str) -> Published:
    """What was published of a hypothesis; of one without a row of its own, at most the p-value."""
    alone = replace(UNPUBLISHED, sample=sample, p=CAMPAIGN_2023.p.get(hypothesis, math.nan))
    return PUBLISHED.get(hypothesis, alone)


def _significance_rows(name: str, one: SignificanceAnswer) -> Iterator[CampaignRow]:
    hypothesis = one.tested.hypothesis
    yield _chance(
        f"{hypothesis}: local p-value at TS {one.ts:g}{_smeared(one.smear_declination)}",
        one.chance,
        published=_published_of(hypothesis, one.provenance.sample).p,
        trials_published=CAMPAIGN_2023.trials.get(hypothesis, math.nan),
    )


def _bias_rows(name: str, one: BiasAnswer) -> Iterator[CampaignRow]:
    for fit in one.corrected:
        yield CampaignRow(
            quantity=f"{one.tested.hypothesis}: fitted n_s {fit.n_signal_fitted:g} after the bias correction",
            published=fit.published,
            ours=value(fit.n_signal),
            error=error(fit.n_signal),
            trials=one.n_trials,
            note=noted(reason(fit.n_signal)),
        )


def _measure_rows(name: str, one: MeasureAnswer) -> Iterator[CampaignRow]:
    hypothesis, sample, own = one.tested.hypothesis, one.provenance.sample, _whose(one.provenance)
    theirs = _published_of(hypothesis, sample)
    if theirs.sample != sample:
        return
    yield _chance(
        f"{hypothesis}: local p-value of the fit, TS {one.fitted.ts:.2f}",
        one.chance,
        note=own,
        published=theirs.p,
        trials_published=CAMPAIGN_2023.trials.get(hypothesis, math.nan),
    )
    low, high = (end / UNIT for end in ends(one.flux.interval))
    yield CampaignRow(
        quantity=f"{hypothesis}: fitted n_s",
        published=theirs.n_signal,
        ours=one.fitted.n_signal,
        error=0.5 * (high - low) * UNIT * (one.events_per_1e11 / 1e-11),
        trials=one.flux.n_trials,
        note=f"{own}; error: half the 68 % interval",
    )
    reach, models = one.sensitivity, one.flux.in_models
    in_flux, in_models = (reach, reach) if isinstance(reach, Unknown) else (reach.flux, reach.in_models)
    yield from _sensitivity_rows(one, _FLUX, UNIT, in_flux, theirs.sensitivity)
    yield from _sensitivity_rows(one, "x model", 1.0, in_models, theirs.sensitivity_in_models)
    if theirs.flux_confirmed:
        printed = (theirs.flux, theirs.flux_low, theirs.flux_high)
        yield from _flux_rows(one, (_FLUX, UNIT), one.flux.best, one.flux.interval, printed)
        if models is not None:
            printed = (theirs.in_models, theirs.low_in_models, theirs.high_in_models)
            yield from _flux_rows(one, ("x model", 1.0), models.best, models.interval, printed)


def _sensitivity_rows(
    one: MeasureAnswer, unit: str, size: float, ours: Known, published: float
) -> Iterator[CampaignRow]:
    """The sensitivity in a unit, where it was published in that unit."""
    if math.isfinite(published):
        yield CampaignRow(
            quantity=f"{one.tested.hypothesis}: sensitivity, 90 %",
            unit=unit,
            published=published / size,
            ours=value(ours) / size,
            error=error(ours) / size,
            trials=None if isinstance(one.sensitivity, Unknown) else one.sensitivity.n_trials,
            note=noted(reason(one.sensitivity)),
        )


def _flux_rows(
    one: MeasureAnswer, unit: tuple[str, float], ours: Known, held: Interval | Unknown, published: tuple[float, ...]
) -> Iterator[CampaignRow]:
    """Best fit and half-widths of its interval in a unit, where an interval was published in that unit."""
    best, low, high = (number / unit[1] for number in (value(ours), *ends(held)))
    theirs, their_low, their_high = (number / unit[1] for number in published)
    if not math.isfinite(their_high):
        return
    hypothesis, note = one.tested.hypothesis, noted(_whose(one.provenance), reason(held))
    for what, number, width, printed in (
        ("best-fit flux", best, 0.5 * (high - low), theirs),
        ("68 % interval, upper half-width", high - best, None, their_high - theirs),
        ("68 % interval, lower half-width", best - low, None, theirs - their_low),
    ):
        yield CampaignRow(
            quantity=f"{hypothesis}: {what}", unit=unit[0], published=printed, ours=number, error=width,
            trials=one.flux.n_trials, note=note,
        )  # fmt: skip


# --- several hypotheses -----------------------------------------------------------------------------------------------


def _published_global(hypotheses: Iterable[str]) -> tuple[float, float]:
    """The published global p-value of the best of these and the trials behind it; NaN where none was given."""
    named = list(dict.fromkeys(name.partition("/")[0] if name.startswith("each:") else name for name in hypotheses))
    if all(name.startswith(BUBBLES) for name in named):
        return CAMPAIGN_2023.p[BUBBLES], math.nan
    if all(name.startswith("template:") for name in named):
        return CAMPAIGN_2023.p_best_template, math.nan
    if len(named) == 1:
        return CAMPAIGN_2023.p.get(named[0], math.nan), CAMPAIGN_2023.trials.get(named[0], math.nan)
    return math.nan, math.nan


def _together_rows(name: str, one: TogetherAnswer) -> Iterator[CampaignRow]:
    how = _smeared(one.smear_declination)
    published, trials = _published_global(member.tested.hypothesis for member in one.hypotheses)
    counted = "published: three independent templates counted, ours from correlated trials"
    said = (
        "" if isinstance(one.chance, Unknown) else f"best: {one.best}",
        _OWN_FIT if one.provenance.origin == "synthetic" else "",
        counted if published == CAMPAIGN_2023.p_best_template else "",
    )
    yield _chance(
        f"{name}: global p-value, best of {len(one.hypotheses)}{how}",
        one.chance,
        "global",
        noted(*said),
        published=published,
        trials_published=trials,
    )
    yield _chance(f"{name}: local p-value of {one.best}{how}", one.local)


def _joint_rows(name: str, one: JointAnswer) -> Iterator[CampaignRow]:
    """Each hypothesis of a joint fit, the others profiled; nothing of the kind was published."""
    names = [part.tested.hypothesis for part in one.hypotheses]
    for part in one.hypotheses:
        hypothesis = part.tested.hypothesis
        others = ", ".join(other for other in names if other != hypothesis)
        yield _chance(
            f"{name}: local p-value of {hypothesis}, TS {part.ts:.2f}, {others} profiled",
            part.profiled if isinstance(part.profiled, Unknown) else part.profiled.chance,
            note=f"{_whose(one.provenance)}, n_s {part.norm.n_signal.value:.1f}",
        )


# --- the sky ----------------------------------------------------------------------------------------------------------


def published_spots(one: ScanAnswer) -> dict[str, PublishedSpot]:
    """Published hottest spots by hemisphere, empty for another sample."""
    return CAMPAIGN_2023.hot_spots if one.provenance.sample == CAMPAIGN_2023.sample else {}


def published_list(one: SourcesAnswer) -> dict[str, PublishedSpot]:
    """Published fits of the sources of a list, empty where these are not that list and sample."""
    same = (one.catalogue, one.provenance.sample) == (CAMPAIGN_2023.list_name, CAMPAIGN_2023.sample)
    return CAMPAIGN_2023.list_sources if same else {}


def _scan_rows(name: str, one: ScanAnswer) -> Iterator[CampaignRow]:
    """The hottest spot of each hemisphere; the number of trials of a local p-value is that at each declination."""
    published, whose = published_spots(one), _whose(one.provenance)
    for spot in one.spots:
        theirs = published.get(spot.hemisphere, NO_SPOT)
        what = f"{name}: hottest point of the {spot.hemisphere}ern sky"
        yield _of_skies(
            f"{what}: global p-value{_smeared(one.smear_declination)}",
            spot.chance,
            f"RA {spot.at.ra_deg:.1f}, dec {spot.at.dec_deg:.1f} deg, n_s {spot.n_signal:.1f}; {whose}",
            published=theirs.p_global,
            trials_published=CAMPAIGN_2023.scans if published else math.nan,
        )
        yield _chance(f"{what}: local p-value", spot.local, published=theirs.p_local)


def _sources_rows(name: str, one: SourcesAnswer) -> Iterator[CampaignRow]:
    """The best source of a list, locally and globally, and the population test."""
    published, each, found = published_list(one), f"each:{one.catalogue}", one.population
    yield _of_skies(
        f"{name}: global p-value, best of {len(one.sources)} sources{_smeared(one.smear_declination)}",
        one.chance,
        f"best: {one.best}; {_whose(one.provenance)}",
        published=CAMPAIGN_2023.p[each] if published else math.nan,
        trials_published=CAMPAIGN_2023.list_skies if published else math.nan,
    )
    printed = {source: spot.p_local for source, spot in published.items() if math.isfinite(spot.p_local)}
    first = min(printed, key=lambda source: printed[source], default="")
    yield _chance(
        f"{name}: local p-value of the best",
        one.local,
        note=noted(one.best, f"published: {first}" if first else ""),
        published=printed.get(first, math.nan),
        trials_published=CAMPAIGN_2023.trials[each] if published else math.nan,
    )
    yield _of_skies(
        f"{name}: global p-value of the binomial population test",
        found.chance,
        f"{found.k} sources with local p at most {found.p_threshold:.3g}, binomial probability {found.p_binomial:.3g}",
    )


#: What a kind of answer adds to the table, from the name of the question in the spec and the answer.
ROWS: dict[type[Record], Callable[[str, Any], Iterator[CampaignRow]]] = {
    SignificanceAnswer: _significance_rows,
    BiasAnswer: _bias_rows,
    MeasureAnswer: _measure_rows,
    TogetherAnswer: _together_rows,
    JointAnswer: _joint_rows,
    ScanAnswer: _scan_rows,
    SourcesAnswer: _sources_rows,
}
