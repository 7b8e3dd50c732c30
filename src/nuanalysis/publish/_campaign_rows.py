"""What each kind of answer adds to the campaign table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nuanalysis.answers import QUESTIONS, Answer
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
    NOT_PUBLISHED,
    PUBLISHED,
    Published,
    PublishedSpot,
)
from nuanalysis.publish._campaign_row import NOT_ASKED, NOT_HERE, CampaignRow, Kind
from nuanalysis.publish._numbers import UNIT, error_of, span_of, value_of
from nuanalysis.publish._results import Entry, Results
from nuanalysis.records import Chance, Interval, Measured, Unknown

Rows = Iterator[CampaignRow]
_FLUX = "1e-12 TeV cm-2 s-1"
_OWN_FIT = "from the fit to these events, one synthetic experiment"


def _whose(answer: Answer) -> str:
    return _OWN_FIT if answer.provenance.origin == "synthetic" else "from the fit to these events"


def _smeared(width_deg: float) -> str:
    return f", declinations smeared by {width_deg:g} deg" if width_deg > 0 else ""


def _p_row(quantity: str, kind: Kind, chance: Chance | Unknown, note: str = "", **more: Any) -> CampaignRow:
    """A p-value, or why there is none."""
    said = [chance.reason, note] if isinstance(chance, Unknown) else [note, _limits(chance)]
    trials = None if isinstance(chance, Unknown) else chance.n_trials
    return CampaignRow(
        quantity=quantity,
        kind=kind,
        ours=value_of(chance),
        error=error_of(chance),
        trials=trials,
        note="; ".join(filter(None, said)),
        **more,
    )


def _limits(chance: Chance) -> str:
    """What the trials behind a p-value did not reach."""
    if chance.bound is not None:
        return f"none of the trials: below {chance.bound:.2g} with 90 %"
    return "extrapolated beyond the trials" if chance.extrapolated else ""


# --- one hypothesis ---------------------------------------------------------------------------------------------------


def _theirs(hypothesis: str, sample: str) -> Published:
    """What was published of a hypothesis on this sample; of others their p-value alone, where that is known."""
    alone = Published(sample, NOT_PUBLISHED, CAMPAIGN_2023.p.get(hypothesis, NOT_PUBLISHED), *(NOT_PUBLISHED,) * 2, "")
    return PUBLISHED.get(hypothesis, alone)


def _significance(entry: Entry, answer: SignificanceAnswer) -> Rows:
    name, sample = answer.tested.hypothesis, answer.provenance.sample
    theirs = _theirs(name, sample)
    here = theirs.sample == sample
    yield _p_row(
        f"{name}: local p-value at TS {answer.ts:g}{_smeared(answer.smear_declination)}",
        "local",
        answer.chance,
        published=theirs.p if here else None,
        trials_published=CAMPAIGN_2023.trials.get(name) if here else None,
    )


def _bias(entry: Entry, answer: BiasAnswer) -> Rows:
    for one in answer.corrected:
        yield CampaignRow(
            quantity=f"{answer.tested.hypothesis}: fitted n_s {one.n_signal_fitted:g} after the bias correction",
            published=one.published,
            ours=value_of(one.n_signal),
            error=error_of(one.n_signal),
            trials=answer.n_trials,
            note=one.n_signal.reason if isinstance(one.n_signal, Unknown) else "",
        )


def _measure(entry: Entry, answer: MeasureAnswer) -> Rows:
    name, sample, flux, own = answer.tested.hypothesis, answer.provenance.sample, answer.flux, _whose(answer)
    theirs = _theirs(name, sample)
    if theirs.sample != sample:
        return
    trials = CAMPAIGN_2023.trials.get(name)
    local = f"{name}: local p-value of the fit, TS {answer.fitted.ts:.2f}"
    yield _p_row(local, "local", answer.chance, own, published=theirs.p, trials_published=trials)
    yield CampaignRow(
        quantity=f"{name}: fitted n_s",
        published=theirs.n_signal,
        ours=answer.fitted.n_signal,
        error=_half_width(flux.interval) * answer.events_per_1e11 / 1e-11,
        trials=flux.n_trials,
        note=f"{own}; error: half the 68 % interval",
    )
    for scale in _scales(answer, theirs):
        yield from _strengths(answer, scale, confirmed=theirs.flux_confirmed)


def _half_width(ends: Interval | Unknown | None) -> float:
    _, low, high = span_of(None, ends)
    return 0.5 * (high - low)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Strengths in a unit in which some were published: (best, low, high) of both, sensitivities of both."""

    unit: str
    theirs: tuple[float, float, float]
    their_sensitivity: float
    ours: tuple[float, float, float]
    sensitivity: Measured | None
    why: str


def _scales(answer: MeasureAnswer, theirs: Published) -> Iterator[_Scale]:
    """As flux, and in units of the template's own model where it has an absolute flux."""
    flux, reach = answer.flux, None if isinstance(answer.sensitivity, Unknown) else answer.sensitivity
    why = flux.interval.reason if isinstance(flux.interval, Unknown) else ""
    published = theirs.flux / UNIT, theirs.flux_low / UNIT, theirs.flux_high / UNIT
    best, low, high = (one / UNIT for one in span_of(flux.best, flux.interval))
    sensitivity = None if reach is None else reach.flux.times(1.0 / UNIT)
    yield _Scale(_FLUX, published, theirs.sensitivity / UNIT, (best, low, high), sensitivity, why)
    if flux.in_models is not None:
        published = theirs.in_models, theirs.low_in_models, theirs.high_in_models
        ours = span_of(flux.in_models.best, flux.in_models.interval)
        yield _Scale(
            "x model", published, theirs.sensitivity_in_models, ours, None if reach is None else reach.in_models, why
        )


def _strengths(answer: MeasureAnswer, scale: _Scale, *, confirmed: bool) -> Rows:
    """Sensitivity, best fit and its interval in one unit; nothing where nothing was published in it."""
    name, reach = answer.tested.hypothesis, answer.sensitivity
    if math.isfinite(scale.their_sensitivity):
        yield CampaignRow(
            quantity=f"{name}: sensitivity, 90 %",
            unit=scale.unit,
            published=scale.their_sensitivity,
            ours=value_of(scale.sensitivity),
            error=error_of(scale.sensitivity),
            trials=None if isinstance(reach, Unknown) else reach.n_trials,
            note=reach.reason if isinstance(reach, Unknown) else "",
        )
    (best, low, high), (their_best, their_low, their_high) = scale.ours, scale.theirs
    if not (confirmed and math.isfinite(their_high)):
        return
    for what, theirs, ours, error in (
        ("best-fit flux", their_best, best, 0.5 * (high - low)),
        ("68 % interval, upper half-width", their_high - their_best, high - best, math.nan),
        ("68 % interval, lower half-width", their_best - their_low, best - low, math.nan),
    ):
        yield CampaignRow(
            quantity=f"{name}: {what}",
            unit=scale.unit,
            published=theirs,
            ours=ours,
            error=error,
            trials=answer.flux.n_trials,
            note="; ".join(filter(None, (_whose(answer), scale.why))),
        )


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
    yield _p_row(
        f"{entry.name}: global p-value, best of {len(names)}{how}",
        "global",
        answer.chance,
        "; ".join(said),
        published=published,
        trials_published=trials,
    )
    yield _p_row(f"{entry.name}: local p-value of {answer.best}{how}", "local", answer.local)


def _joint(entry: Entry, answer: JointAnswer) -> Rows:
    """Each hypothesis of a joint fit, the others profiled; nothing of the kind was published."""
    names = [one.tested.hypothesis for one in answer.hypotheses]
    for one in answer.hypotheses:
        mine = one.tested.hypothesis
        others = ", ".join(name for name in names if name != mine)
        chance = one.profiled if isinstance(one.profiled, Unknown) else one.profiled.chance
        quantity = f"{entry.name}: local p-value of {mine}, TS {one.ts:.2f}, {others} profiled"
        yield _p_row(quantity, "local", chance, f"{_whose(answer)}, n_s {one.norm.n_signal.value:.1f}")


# --- the sky ----------------------------------------------------------------------------------------------------------


def _global_row(quantity: str, chance: Chance | Unknown, skies: int, note: str = "", **more: Any) -> CampaignRow:
    """A global p-value from background skies, or that there were none."""
    if skies == 0:
        return CampaignRow(
            quantity=quantity, kind="global", note=f"{NOT_ASKED}: no background skies in this spec", **more
        )
    return _p_row(quantity, "global", chance, note, **more)


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
            yield _p_row(f"{name}: global p-value from tilted skies", "global", spot.deep)
        yield _p_row(f"{name}: local p-value", "local", spot.local, published=theirs.p_local)


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
    yield _p_row(
        f"{name}: local p-value of the best",
        "local",
        answer.sources[0].local,
        f"{answer.best}; published: {first}" if first else answer.best,
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
        yield _p_row(f"{entry.name}: {chance.scope} p-value, {entry.section}", chance.scope, chance, chance.of)


_ROWS: dict[type[Answer], Callable[[Entry, Any], Rows]] = {
    MeasureAnswer: _measure,
    SignificanceAnswer: _significance,
    BiasAnswer: _bias,
    TogetherAnswer: _together,
    JointAnswer: _joint,
    ScanAnswer: _scan,
    SourcesAnswer: _sources,
}


def is_campaign(results: Results) -> bool:
    """Whether a spec asks for more than single fits."""
    return any(type(one.answer) in _ROWS and not isinstance(one.answer, MeasureAnswer) for one in results.answers)


def rows_of(results: Results, entry: Entry) -> Rows:
    """The rows of one answer: origin and seed on each, the cost on the first."""
    asked = (entry.section, entry.name, entry.sample)
    spent = [one.core_seconds / 3600.0 for one in results.costs if (one.section, one.name, one.sample) == asked]
    about = {"origin": entry.origin, "seed": entry.answer.provenance.seed}
    for k, row in enumerate(_ROWS.get(type(entry.answer), _others)(entry, entry.answer)):
        cost = {"core_hours": spent[0]} if k == 0 and spent else {}
        yield row.model_copy(update={**about, **cost})


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
