"""The rows of the campaign table, and what each kind of answer adds to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

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
from nuanalysis.publish._numbers import UNIT, Known, error_of, reason_of, scientific, shown, span_of, value_of
from nuanalysis.publish._results import Entry, Results
from nuanalysis.records import Chance, Record, Unknown
from nuanalysis.records import shown as field

NOT_HERE, NOT_ASKED = "not in this version", "not asked for"
_OWN_FIT = "from the fit to these events, one synthetic experiment"

#: A number, or None; NaN, which constants of published tables hold for "not published", becomes None.
Number = Annotated[
    float | None, BeforeValidator(lambda one: None if isinstance(one, float) and math.isnan(one) else one)
]
Kind = Literal["local", "global", ""]


class CampaignRow(Record):
    """One quantity; null where there is no number.

    core_hours : of the part that made this row and those below it up to the next that has a number.
    """

    quantity: str = field("what; local and global p-values are named as such")
    kind: Kind = field("local or global for p-values", "")
    origin: str = field("of the events: real or synthetic", "")
    unit: str = field("of published, ours and error", "")
    published: Number = field("as published", None)
    ours: Number = field("this run", None)
    error: Number = field("statistical error of ours", None)
    trials: Number = field("trials behind ours, pilots not counted", None)
    trials_published: Number = field("trials of the published analysis", None)
    core_hours: Number = field("core-hours of the part that begins with this row; last row: all", None, unit="h")
    core_hours_published: Number = field("only their sum is known", None, unit="h")
    seed: int | None = field("of the trials", None)
    note: str = field("where ours is from, or why it is not there", "")

    def cells(self) -> tuple[str, ...]:
        """Quantity, published, ours with its error, trials of both and core-hours of both, for people."""
        absent = next((why for why in (NOT_HERE, NOT_ASKED) if self.note.startswith(why)), shown(None))
        return (
            f"{self.quantity} [{self.unit}]" if self.unit else self.quantity,
            self._form(self.published),
            absent if self.ours is None else self._form(self.ours, self.error),
            *(shown(n, ",.0f") for n in (self.trials, self.trials_published)),
            *(_hours(one) for one in (self.core_hours, self.core_hours_published)),
        )

    def _form(self, value: float | None, error: float | None = None) -> str:
        if value is None:
            return shown(None)
        if self.kind:
            return scientific(value, math.nan if error is None else error)
        digits = ".1f" if abs(value) >= 100 else ".2f"
        return shown(value, digits) + ("" if error is None else f" ± {shown(error, digits)}")


def _hours(hours: float | None) -> str:
    if hours is None:
        return shown(None)
    return shown(hours, ",.0f" if hours > 1000 else ".2g" if hours < 0.1 else ".2f")


Rows = Iterator[CampaignRow]


def _whose(answer: Answer) -> str:
    return _OWN_FIT if answer.provenance.origin == "synthetic" else "from the fit to these events"


def _smeared(width_deg: float) -> str:
    return f", declinations smeared by {width_deg:g} deg" if width_deg > 0 else ""


def _row(quantity: str, found: Known, *notes: str, **more: Any) -> CampaignRow:
    """A number with its error, or why there is none, and further notes."""
    if isinstance(found, Chance):
        notes, more = (*notes, _limits(found)), {"trials": found.n_trials, **more}
    note = "; ".join(filter(None, (reason_of(found), *notes)))
    return CampaignRow(quantity=quantity, ours=value_of(found), note=note, **{"error": error_of(found), **more})


def _limits(chance: Chance) -> str:
    """What the trials behind a p-value did not reach."""
    if chance.bound is not None:
        return f"none of the trials: below {chance.bound:.2g} with 90 %"
    return "extrapolated beyond the trials" if chance.extrapolated else ""


# --- one hypothesis ---------------------------------------------------------------------------------------------------


def _theirs(hypothesis: str, sample: str) -> Published | None:
    """What was published of a hypothesis, None if on another sample; its p-value alone, where only that is known."""
    alone = Published(sample, NOT_PUBLISHED, CAMPAIGN_2023.p.get(hypothesis, NOT_PUBLISHED), *(NOT_PUBLISHED,) * 2, "")
    found = PUBLISHED.get(hypothesis, alone)
    return found if found.sample == sample else None


def _significance(entry: Entry, answer: SignificanceAnswer) -> Rows:
    name = answer.tested.hypothesis
    theirs = _theirs(name, answer.provenance.sample)
    yield _row(
        f"{name}: local p-value at TS {answer.ts:g}{_smeared(answer.smear_declination)}",
        answer.chance,
        kind="local",
        published=theirs and theirs.p,
        trials_published=theirs and CAMPAIGN_2023.trials.get(name),
    )


def _bias(entry: Entry, answer: BiasAnswer) -> Rows:
    for one in answer.corrected:
        what = f"{answer.tested.hypothesis}: fitted n_s {one.n_signal_fitted:g} after the bias correction"
        yield _row(what, one.n_signal, published=one.published, trials=answer.n_trials)


def _measure(entry: Entry, answer: MeasureAnswer) -> Rows:
    name, flux, own = answer.tested.hypothesis, answer.flux, _whose(answer)
    theirs = _theirs(name, answer.provenance.sample)
    if theirs is None:
        return
    trials = CAMPAIGN_2023.trials.get(name)
    local = f"{name}: local p-value of the fit, TS {answer.fitted.ts:.2f}"
    yield _row(local, answer.chance, own, kind="local", published=theirs.p, trials_published=trials)
    _, low, high = span_of(None, flux.interval)
    yield _row(
        f"{name}: fitted n_s",
        answer.fitted.n_signal,
        f"{own}; error: half the 68 % interval",
        published=theirs.n_signal,
        error=0.5 * (high - low) * answer.events_per_1e11 / 1e-11,
        trials=flux.n_trials,
    )
    yield from _strengths(answer, theirs)


def _strengths(answer: MeasureAnswer, theirs: Published) -> Rows:
    """Sensitivity, best fit and its interval as flux and in units of the template's own model, if it has them.

    Nothing where nothing was published in that unit.
    """
    name, flux, models = answer.tested.hypothesis, answer.flux, answer.flux.in_models
    reach = None if isinstance(answer.sensitivity, Unknown) else answer.sensitivity
    published = theirs.flux, theirs.flux_low, theirs.flux_high, theirs.sensitivity
    best, low, high = span_of(flux.best, flux.interval)
    strength = None if reach is None else reach.flux.times(1.0 / UNIT)
    units = [("1e-12 TeV cm-2 s-1", [one / UNIT for one in (*published, best, low, high)], strength)]
    if models is not None:
        published = theirs.in_models, theirs.low_in_models, theirs.high_in_models, theirs.sensitivity_in_models
        units.append(
            ("x model", [*published, *span_of(models.best, models.interval)], getattr(reach, "in_models", None))
        )
    for unit, (their_best, their_low, their_high, their_reach, best, low, high), sensitivity in units:
        if math.isfinite(their_reach):
            yield _row(
                f"{name}: sensitivity, 90 %",
                sensitivity,
                reason_of(answer.sensitivity),
                unit=unit,
                published=their_reach,
                trials=reach and reach.n_trials,
            )
        if not (theirs.flux_confirmed and math.isfinite(their_high)):
            continue
        for what, published_one, ours, error in (
            ("best-fit flux", their_best, best, 0.5 * (high - low)),
            ("68 % interval, upper half-width", their_high - their_best, high - best, math.nan),
            ("68 % interval, lower half-width", their_best - their_low, best - low, math.nan),
        ):
            about = {"unit": unit, "published": published_one, "error": error, "trials": flux.n_trials}
            yield _row(f"{name}: {what}", ours, _whose(answer), reason_of(flux.interval), **about)


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
    yield _row(
        f"{entry.name}: global p-value, best of {len(names)}{how}",
        answer.chance,
        *said,
        kind="global",
        published=published,
        trials_published=trials,
    )
    yield _row(f"{entry.name}: local p-value of {answer.best}{how}", answer.local, kind="local")


def _joint(entry: Entry, answer: JointAnswer) -> Rows:
    """Each hypothesis of a joint fit, the others profiled; nothing of the kind was published."""
    names = [one.tested.hypothesis for one in answer.hypotheses]
    for one in answer.hypotheses:
        mine = one.tested.hypothesis
        others = ", ".join(name for name in names if name != mine)
        chance = one.profiled if isinstance(one.profiled, Unknown) else one.profiled.chance
        quantity = f"{entry.name}: local p-value of {mine}, TS {one.ts:.2f}, {others} profiled"
        yield _row(quantity, chance, f"{_whose(answer)}, n_s {one.norm.n_signal.value:.1f}", kind="local")


# --- the sky ----------------------------------------------------------------------------------------------------------


def _global_row(quantity: str, chance: Chance | Unknown, skies: int, note: str = "", **more: Any) -> CampaignRow:
    """A global p-value from background skies, or that there were none."""
    if skies == 0:
        return _row(quantity, None, f"{NOT_ASKED}: no background skies in this spec", kind="global", **more)
    return _row(quantity, chance, note, kind="global", **more)


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
            yield _row(f"{name}: global p-value from tilted skies", spot.deep, kind="global")
        yield _row(f"{name}: local p-value", spot.local, kind="local", published=theirs.p_local)


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
    yield _row(
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
        yield _row(f"{entry.name}: {chance.scope} p-value, {entry.section}", chance, chance.of, kind=chance.scope)


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
