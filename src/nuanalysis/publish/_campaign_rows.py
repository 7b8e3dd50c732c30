"""The rows of the campaign table, and what each kind of answer adds to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nuanalysis.answers import QUESTIONS, Answer
from nuanalysis.answers.bias import BiasAnswer
from nuanalysis.answers.joint import JointAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.model_card import ModelCardAnswer
from nuanalysis.answers.scan import ScanAnswer
from nuanalysis.answers.sensitivity import SensitivityAnswer
from nuanalysis.answers.significance import SignificanceAnswer
from nuanalysis.answers.sources import SourcesAnswer
from nuanalysis.answers.together import TogetherAnswer
from nuanalysis.answers.transport import TransportAnswer
from nuanalysis.interpret.published import (
    BUBBLES,
    CAMPAIGN_2023,
    NO_SPOT,
    NOT_PUBLISHED,
    PUBLISHED,
    Published,
    PublishedSpot,
)
from nuanalysis.publish._campaign_row import NOT_ASKED, NOT_HERE, CampaignRow, Kind, compared, row_of
from nuanalysis.publish._compare import difference_in_sigma
from nuanalysis.publish._numbers import UNIT, error_of, reason_of, span_of
from nuanalysis.publish._results import Entry, Results
from nuanalysis.records import Chance, Interval, Measured, Unknown

_OWN_FIT = "from the fit to these events, one synthetic experiment"

Rows = Iterator[CampaignRow]
_FLUX = "1e-12 TeV cm-2 s-1"
# A unit, what was published in it (best, low, high, sensitivity), best fit, interval and sensitivity.
_InUnit = tuple[str, tuple[float, ...], Measured, Interval | Unknown, Measured | None]


def _whose(answer: Answer) -> str:
    return _OWN_FIT if answer.provenance.origin == "synthetic" else "from the fit to these events"


def _smeared(width_deg: float) -> str:
    return f", declinations smeared by {width_deg:g} deg" if width_deg > 0 else ""


# --- one hypothesis ---------------------------------------------------------------------------------------------------


def _theirs(hypothesis: str, sample: str) -> Published | None:
    """What was published of a hypothesis, None if on another sample; its p-value alone, where only that is known."""
    alone = Published(sample, NOT_PUBLISHED, CAMPAIGN_2023.p.get(hypothesis, NOT_PUBLISHED), *(NOT_PUBLISHED,) * 2, "")
    found = PUBLISHED.get(hypothesis, alone)
    return found if found.sample == sample else None


def _significance(entry: Entry, answer: SignificanceAnswer) -> Rows:
    name = answer.tested.hypothesis
    theirs = _theirs(name, answer.provenance.sample)
    row = row_of(
        f"{name}: local p-value at TS {answer.ts:g}{_smeared(answer.smear_declination)}",
        answer.chance,
        kind="local",
        published=theirs and theirs.p,
        trials_published=theirs and CAMPAIGN_2023.trials.get(name),
    )
    # p-values are compared at one TS alone: that of another sky has another p, whatever the error of either.
    yield compared(row) if theirs and answer.ts == theirs.ts else row


def _bias(entry: Entry, answer: BiasAnswer) -> Rows:
    for one in answer.corrected:
        what = f"{answer.tested.hypothesis}: fitted n_s {one.n_signal_fitted:g} after the bias correction"
        yield compared(row_of(what, one.n_signal, published=one.published, trials=answer.n_trials))


def _measure(entry: Entry, answer: MeasureAnswer) -> Rows:
    name, flux, own = answer.tested.hypothesis, answer.flux, _whose(answer)
    theirs = _theirs(name, answer.provenance.sample)
    if theirs is None:
        return
    trials = CAMPAIGN_2023.trials.get(name)
    local = f"{name}: local p-value of the fit, TS {answer.fitted.ts:.2f}"
    yield row_of(local, answer.chance, own, kind="local", published=theirs.p, trials_published=trials)
    _, low, high = span_of(None, flux.interval)
    row = row_of(
        f"{name}: fitted n_s",
        answer.fitted.n_signal,
        f"{own}; error: half the 68 % interval",
        published=theirs.n_signal,
        error=0.5 * (high - low) * answer.events_per_1e11 / 1e-11,
        trials=flux.n_trials,
    )
    yield compared(row)
    yield from _strengths(answer, theirs)


def _strengths(answer: MeasureAnswer, theirs: Published) -> Rows:
    """Sensitivity, best fit and its interval as flux and in units of the template's own model, if it has them.

    Nothing where nothing was published in that unit.
    """
    name, flux, models = answer.tested.hypothesis, answer.flux, answer.flux.in_models
    reach = None if isinstance(answer.sensitivity, Unknown) else answer.sensitivity
    interval = flux.interval if isinstance(flux.interval, Unknown) else flux.interval.over(UNIT)
    published = tuple(one / UNIT for one in (theirs.flux, theirs.flux_low, theirs.flux_high, theirs.sensitivity))
    sensitivity = None if reach is None else reach.flux.over(UNIT)
    units: list[_InUnit] = [(_FLUX, published, flux.best.over(UNIT), interval, sensitivity)]
    if models is not None:
        published = theirs.in_models, theirs.low_in_models, theirs.high_in_models, theirs.sensitivity_in_models
        units.append(("x model", published, models.best, models.interval, None if reach is None else reach.in_models))
    for unit, (*their_span, their_reach), best, ends, sensitivity in units:
        if math.isfinite(their_reach):
            about = {"unit": unit, "published": their_reach, "trials": reach and reach.n_trials}
            yield compared(row_of(f"{name}: sensitivity, 90 %", sensitivity, reason_of(answer.sensitivity), **about))
        if theirs.flux_confirmed and math.isfinite(their_span[2]):
            for row in _flux_rows(best, ends, their_span):
                about = {"quantity": f"{name}: {row.quantity}", "unit": unit, "trials": flux.n_trials}
                note = "; ".join(filter(None, (_whose(answer), reason_of(ends))))
                yield row.model_copy(update={**about, "note": note})


def _flux_rows(best: Measured, ends: Interval | Unknown, theirs: Sequence[float]) -> Rows:
    """Best fit and the two halves of its interval; theirs : best, low and high."""
    ours = middle, low, high = span_of(best, ends)
    gap = difference_in_sigma(ours, (theirs[0], theirs[1], theirs[2]))
    apart = {"difference": gap, "difference_of": "both"} if math.isfinite(gap) else {}
    yield row_of("best-fit flux", middle, published=theirs[0], error=0.5 * (high - low), **apart)
    # Half-widths hang on the sky too, of which the errors of their ends know nothing: no difference.
    upper, lower = (theirs[2] - theirs[0], high - middle), (theirs[0] - theirs[1], middle - low)
    for side, (published, half) in (("upper", upper), ("lower", lower)):
        end = getattr(ends, "high_error" if side == "upper" else "low_error", math.nan)
        error = math.nan if isinstance(end, Unknown) else math.hypot(end, error_of(best))
        yield row_of(f"68 % interval, {side} half-width", half, published=published, error=error)


def _sensitivity(entry: Entry, answer: SensitivityAnswer) -> Rows:
    """The sensitivity of this sky and, where there are twins, their mean: a published one holds one sky."""
    theirs = _theirs(answer.tested.hypothesis, answer.provenance.sample)
    published = NOT_PUBLISHED if theirs is None else theirs.sensitivity / UNIT
    own, name = answer.sensitivity, f"{entry.name}: sensitivity, 90 %"
    flux = own if isinstance(own, Unknown) else own.flux.over(UNIT)
    trials = None if isinstance(own, Unknown) else own.n_trials
    yield compared(row_of(name, flux, unit=_FLUX, published=published, trials=trials))
    if answer.twins is None:
        return
    over, many = answer.twins.sensitivity, f"{name}, mean of {len(answer.twins.each)} twins"
    if isinstance(over, Unknown):
        yield row_of(many, over, unit=_FLUX, published=published)
        return
    mean, rms = over.flux.mean.over(UNIT), over.flux.rms / UNIT
    gap = (mean.value - published) / math.hypot(rms, error_of(mean)) if rms > 0 else math.nan
    apart = {"difference": gap, "difference_of": "ours"} if math.isfinite(gap) else {}
    note = f"rms of one twin {rms:.3g}; the difference is in that rms and the error of the mean: published is one sky"
    yield row_of(many, mean, note, unit=_FLUX, published=published, **apart)


def _model_card(entry: Entry, answer: ModelCardAnswer) -> Rows:
    """The fit of a model of somebody, and its flux and limit in units of that model where it has an absolute one."""
    name, flux, own = answer.tested.hypothesis, answer.flux, _whose(answer)
    yield row_of(f"{name}: local p-value of the fit, TS {answer.fitted.ts:.2f}", answer.chance, own, kind="local")
    if isinstance(flux, Unknown) or flux.in_models is None:
        return
    models, about = flux.in_models, {"unit": "x model", "trials": flux.n_trials}
    yield row_of(f"{name}: flux over that of the model", models.best, own, **about)
    yield row_of(f"{name}: 90 % upper limit over the model", models.upper_limit_90, answer.verdict, **about)


def _transport(entry: Entry, answer: TransportAnswer) -> Rows:
    """The gradient of delta with each gas model, norm free; nothing of the kind was published."""
    for one in answer.gases:
        what, ends = f"{entry.name}: gradient of delta, {one.gas}", one.free.interval
        note = f"norm free, 68 % from {ends.cell('.3f')}; {one.verdict}"
        best = Measured(value=one.free.best, error=0.5 * (ends.high - ends.low), unit=ends.unit)
        yield row_of(what, best, note, unit="per kpc", trials=answer.n_trials)
        yield row_of(f"{what}: local p-value of no gradient", one.free.chance, _whose(answer), kind="local")


# --- several hypotheses -----------------------------------------------------------------------------------------------


def _published_global(names: list[str]) -> tuple[float, float]:
    """The published global p-value of the best of these, and its trials for each, where they were given."""
    if all(name.startswith(BUBBLES) for name in names):
        return CAMPAIGN_2023.p[BUBBLES], NOT_PUBLISHED
    if all(name.startswith("template:") for name in names):
        return CAMPAIGN_2023.p_best_template, NOT_PUBLISHED
    lists = {name.partition("/")[0] for name in names}
    one = lists.pop() if len(lists) == 1 else ""
    return CAMPAIGN_2023.p.get(one, NOT_PUBLISHED), CAMPAIGN_2023.trials.get(one, NOT_PUBLISHED)


def _together(entry: Entry, answer: TogetherAnswer) -> Rows:
    names, how = [one.tested.hypothesis for one in answer.hypotheses], _smeared(answer.smear_declination)
    published, trials = _published_global(names) if entry.sample == CAMPAIGN_2023.sample else (NOT_PUBLISHED,) * 2
    said = [f"best: {answer.best}", *([_OWN_FIT] if entry.origin == "synthetic" else [])]
    if published == CAMPAIGN_2023.p_best_template:
        said.append("published: three independent templates counted, ours from correlated trials")
    yield row_of(
        f"{entry.name}: global p-value, best of {len(names)}{how}",
        answer.chance,
        *said,
        kind="global",
        published=published,
        trials_published=trials,
    )
    yield row_of(f"{entry.name}: local p-value of {answer.best}{how}", answer.local, kind="local")


def _joint(entry: Entry, answer: JointAnswer) -> Rows:
    """Each hypothesis of a joint fit, the others profiled; nothing of the kind was published."""
    names = [one.tested.hypothesis for one in answer.hypotheses]
    for one in answer.hypotheses:
        mine = one.tested.hypothesis
        others = ", ".join(name for name in names if name != mine)
        chance = one.profiled if isinstance(one.profiled, Unknown) else one.profiled.chance
        quantity = f"{entry.name}: local p-value of {mine}, TS {one.ts:.2f}, {others} profiled"
        yield row_of(quantity, chance, f"{_whose(answer)}, n_s {one.norm.n_signal.value:.1f}", kind="local")


# --- the sky ----------------------------------------------------------------------------------------------------------


def _global_row(quantity: str, chance: Chance | Unknown, skies: int, note: str = "", **more: Any) -> CampaignRow:
    """A global p-value from background skies, or that there were none."""
    if skies == 0:
        return row_of(quantity, None, f"{NOT_ASKED}: no background skies in this spec", kind="global", **more)
    return row_of(quantity, chance, note, kind="global", **more)


def _scan(entry: Entry, answer: ScanAnswer) -> Rows:
    """The hottest spot of each hemisphere; the trials of a local p-value are those at each declination."""
    here = answer.provenance.sample == CAMPAIGN_2023.sample
    for spot in answer.hottest:
        theirs = CAMPAIGN_2023.hot_spots.get(spot.hemisphere, NO_SPOT) if here else NO_SPOT
        name = f"{entry.name}: hottest point of the {spot.hemisphere}ern sky"
        at = f"RA {spot.at.ra_deg:.1f}, dec {spot.at.dec_deg:.1f} deg, n_s {spot.fitted.n_signal:.1f}; {_whose(answer)}"
        yield _global_row(
            f"{name}: global p-value{_smeared(answer.smear_declination)}",
            spot.chance,
            answer.n_skies,
            at,
            published=theirs.p_global,
            trials_published=CAMPAIGN_2023.scans if here else None,
        )
        if spot.deep is not None:
            yield row_of(f"{name}: global p-value from tilted skies", spot.deep, kind="global")
        yield row_of(f"{name}: local p-value", spot.local, kind="local", published=theirs.p_local)


def published_list(answer: SourcesAnswer) -> dict[str, PublishedSpot]:
    """Published fits of the sources of a list, empty where these are not that list and sample."""
    same = (answer.catalogue, answer.provenance.sample) == (CAMPAIGN_2023.list_name, CAMPAIGN_2023.sample)
    return CAMPAIGN_2023.list_sources if same else {}


def _sources(entry: Entry, answer: SourcesAnswer) -> Rows:
    published, name, found = published_list(answer), entry.name, answer.population
    each = f"each:{CAMPAIGN_2023.list_name}"
    yield _global_row(
        f"{name}: global p-value, best of {len(answer.sources)} sources{_smeared(answer.smear_declination)}",
        answer.chance,
        answer.n_skies,
        f"best: {answer.best}; {_whose(answer)}",
        published=CAMPAIGN_2023.p[each] if published else None,
        trials_published=CAMPAIGN_2023.list_skies if published else None,
    )
    known = {source: one.p_local for source, one in published.items() if math.isfinite(one.p_local)}
    first = min(known, key=lambda source: known[source], default="")
    yield row_of(
        f"{name}: local p-value of the best",
        answer.sources[0].local,
        f"{answer.best}; published: {first}" if first else answer.best,
        kind="local",
        published=known.get(first),
        trials_published=CAMPAIGN_2023.trials[each] if published else None,
    )
    yield _global_row(
        f"{name}: global p-value of the binomial population test",
        found.chance,
        answer.n_skies,
        f"{found.k} sources with local p at most {found.p_threshold:.3g}, binomial probability {found.p_binomial:.3g}",
    )


# --- the dispatch -----------------------------------------------------------------------------------------------------


def _others(entry: Entry, answer: Answer) -> Rows:
    """Of a question that has no rows of its own: its one chance, where it has one."""
    chance = getattr(answer, "chance", None)
    if isinstance(chance, Chance):
        yield row_of(f"{entry.name}: {chance.scope} p-value, {entry.section}", chance, chance.of, kind=chance.scope)


_ROWS: dict[type[Answer], Callable[[Entry, Any], Rows]] = {
    MeasureAnswer: _measure,
    SignificanceAnswer: _significance,
    SensitivityAnswer: _sensitivity,
    ModelCardAnswer: _model_card,
    TransportAnswer: _transport,
    BiasAnswer: _bias,
    TogetherAnswer: _together,
    JointAnswer: _joint,
    ScanAnswer: _scan,
    SourcesAnswer: _sources,
}


def is_campaign(results: Results) -> bool:
    """Whether a spec asks for more than single fits."""
    return any(type(one.answer) in _ROWS and not isinstance(one.answer, MeasureAnswer) for one in results.answers)


def plain_rows(entry: Entry) -> Rows:
    """The rows of one answer, origin and seed on each."""
    about = {"origin": entry.origin, "seed": entry.answer.provenance.seed}
    for row in _ROWS.get(type(entry.answer), _others)(entry, entry.answer):
        yield row.model_copy(update=about)


def rows_of(results: Results, entry: Entry) -> Rows:
    """The rows of one answer, the cost on the first."""
    asked = (entry.section, entry.name, entry.sample)
    spent = [one.core_seconds / 3600.0 for one in results.costs if (one.section, one.name, one.sample) == asked]
    for k, row in enumerate(plain_rows(entry)):
        yield row.model_copy(update={"core_hours": spent[0]}) if k == 0 and spent else row


def left_out_rows(results: Results) -> Rows:
    """What was published and could not be computed here, or was not asked for."""
    for name, reason in results.left_out_questions.items():
        section, _, asked = name.partition(":")
        one = asked if section in QUESTIONS else name
        kind: Kind = "global" if section == "together" else "local"
        yield CampaignRow(
            quantity=f"{one}: {kind} p-value",
            kind=kind,
            published=CAMPAIGN_2023.p_best_template if one == "templates" else CAMPAIGN_2023.p.get(one),
            trials_published=CAMPAIGN_2023.trials.get(one),
            note=f"{NOT_HERE}: {reason}",
        )
    if any(scan.provenance.sample == CAMPAIGN_2023.sample for scan in results.of(ScanAnswer)):
        return
    for side, spot in CAMPAIGN_2023.hot_spots.items():
        yield CampaignRow(
            quantity=f"hottest point of the {side}ern sky: global p-value",
            kind="global",
            published=spot.p_global,
            trials_published=CAMPAIGN_2023.scans,
            note=f"{NOT_ASKED}: no [[scan]] in this spec",
        )
