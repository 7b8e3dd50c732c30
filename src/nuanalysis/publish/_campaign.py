"""The campaign table: every published statistical result beside ours, with errors, trials and core-hours of both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from nuanalysis.interpret.published import BUBBLES, CAMPAIGN_2023, NO_SPOT, PUBLISHED, Published, PublishedSpot
from nuanalysis.publish._compare import scientific, shown
from nuanalysis.store.fits import ecsv

Row = Mapping[str, Any]
_NONE = math.nan
_UNIT = 1e-12
_FLUX = "1e-12 TeV cm-2 s-1"
_NOT_HERE, _NOT_ASKED = "not in this version", "not asked for"


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One quantity; NaN where there is no number.

    kind : 'local' or 'global' for p-values, else ''.  error : statistical, of ours.
    trials : behind ours, pilots not counted.  core_hours : of the part that made this row and those below it up to the
    next that has a number.
    """

    quantity: str
    kind: str = ""
    origin: str = ""
    unit: str = ""
    published: float = _NONE
    ours: float = _NONE
    error: float = _NONE
    trials: float = _NONE
    trials_published: float = _NONE
    core_hours: float = _NONE
    core_hours_published: float = _NONE
    seed: float = _NONE
    note: str = ""

    def record(self) -> dict[str, Any]:
        """For JSON: null where there is no number."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values}

    def words(self) -> tuple[str, ...]:
        """Quantity, published, ours with its error, trials of both and core-hours of both, for people."""
        ours = self._form(self.ours, self.error) if math.isfinite(self.ours) else self._absent()
        counts = (self.trials, self.trials_published)
        hours = (self.core_hours, self.core_hours_published)
        what = f"{self.quantity} [{self.unit}]" if self.unit else self.quantity
        trials = tuple(f"{n:,.0f}" if math.isfinite(n) else shown(n) for n in counts)
        spent = tuple(f"{h:,.0f}" if h > 1000 else shown(h, ".2g" if h < 0.1 else ".2f") for h in hours)
        return (what, self._form(self.published), ours, *trials, *spent)

    def _absent(self) -> str:
        return next((why for why in (_NOT_HERE, _NOT_ASKED) if self.note.startswith(why)), shown(self.ours))

    def _form(self, value: float, error: float = _NONE) -> str:
        if self.kind:
            return scientific(value, error)
        digits = ".1f" if abs(value) >= 100 else ".2f"
        more = f" ± {shown(error, digits)}" if math.isfinite(error) else ""
        return shown(value, digits) + more


def _number(row: Row, *path: str) -> float:
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return math.nan if value is None else float(value)


def _core_hours(run: Row, part: str, name: str, sample: str) -> float:
    found = [c for c in run.get("costs", ()) if (c["part"], c["name"], c["sample"]) == (part, name, sample)]
    return _number(found[0], "core_seconds") / 3600.0 if found else _NONE


def _of_part(rows: Iterator[CampaignRow], core_hours: float, like: Row) -> Iterator[CampaignRow]:
    """The rows of one part: origin and seed on each, the cost on the first."""
    for k, row in enumerate(rows):
        spent = core_hours if k == 0 else _NONE
        yield replace(row, origin=like["origin"], seed=_number(like, "seed"), core_hours=spent)


def _reason(record: Row) -> str:
    return str(record.get("reason") or "")


def _at_published_rows(record: Row) -> Iterator[CampaignRow]:
    name = record["hypothesis"]
    theirs = PUBLISHED.get(name)
    p_value = record["p_value"]
    yield CampaignRow(
        f"{name}: local p-value at TS {record['ts']:g}",
        "local",
        published=theirs.p if theirs else CAMPAIGN_2023.p.get(name, _NONE),
        ours=_number(p_value, "p"),
        error=_number(p_value, "p_error"),
        trials=_number(p_value, "n_trials"),
        trials_published=CAMPAIGN_2023.trials.get(name, _NONE),
        note=_reason(p_value),
    )
    corrected = record.get("bias")
    if corrected:
        yield CampaignRow(
            f"{name}: fitted n_s {corrected['n_signal_fitted']:g} after the bias correction",
            published=_number(corrected, "published_n_signal"),
            ours=_number(corrected, "n_signal"),
            error=_number(corrected, "n_signal_error"),
            trials=_number(corrected, "n_trials"),
            note=_reason(corrected),
        )


_OWN_FIT = "from the fit to these events, one synthetic experiment"


def _fit_rows(row: Row, theirs: Published) -> Iterator[CampaignRow]:
    name, flux = row["hypothesis"], row.get("flux") or {}
    low, high = (_number(flux, key) / _UNIT for key in ("low_68", "high_68"))
    p_value = row.get("p_value") or {}
    own = _whose(row)
    yield CampaignRow(
        f"{name}: local p-value of the fit, TS {row['fit']['ts']:.2f}",
        "local",
        published=theirs.p,
        ours=_number(p_value, "p"),
        error=_number(p_value, "p_error"),
        trials=_number(p_value, "n_trials"),
        trials_published=CAMPAIGN_2023.trials.get(name, _NONE),
        note="; ".join(filter(None, (own, _reason(p_value)))),
    )
    per_flux = _number(row, "expected_per_flux", "n") / _number(row, "expected_per_flux", "flux")
    injections = _number(flux, "n_trials")
    yield CampaignRow(
        f"{name}: fitted n_s",
        published=theirs.n_signal,
        ours=_number(row, "fit", "n_signal"),
        error=0.5 * (high - low) * _UNIT * per_flux,
        trials=injections,
        note=f"{own}; error: half the 68 % interval",
    )
    for scale in (_IN_FLUX, _IN_MODELS):
        yield from _strength_rows(row, theirs, scale, own)


@dataclass(frozen=True, slots=True)
class _Scale:
    """A unit in which strengths were published, and where the numbers of both stand in that unit."""

    unit: str
    size: float
    ours: tuple[str, ...]
    sensitivity: tuple[str, ...]
    theirs: tuple[str, str, str, str]


_IN_FLUX = _Scale(_FLUX, _UNIT, ("flux",), ("sensitivity", "flux"), ("flux", "flux_low", "flux_high", "sensitivity"))
_IN_MODELS = _Scale(
    "x model", 1.0, ("flux", "in_models"), ("sensitivity", "in_models", "strength"),
    ("in_models", "low_in_models", "high_in_models", "sensitivity_in_models"),
)  # fmt: skip


def _strength_rows(row: Row, theirs: Published, scale: _Scale, own: str) -> Iterator[CampaignRow]:
    """Sensitivity, best fit and its interval in one unit; nothing where nothing was published in it."""
    name, flux = row["hypothesis"], row.get("flux") or {}
    published, their_low, their_high, their_sensitivity = (getattr(theirs, key) / scale.size for key in scale.theirs)
    model = _number(flux, "in_models", "flux") if scale is _IN_MODELS else _UNIT
    if math.isfinite(their_sensitivity):
        yield CampaignRow(
            f"{name}: sensitivity, 90 %",
            unit=scale.unit,
            published=their_sensitivity,
            ours=_number(row, *scale.sensitivity) / scale.size,
            error=_number(row, "sensitivity", "flux_error") / model,
            trials=_number(row, "sensitivity", "n_trials"),
            note=_reason(row.get("sensitivity") or {}),
        )
    if theirs.flux_confirmed and math.isfinite(their_high):
        best, low, high = (_number(row, *scale.ours, key) / scale.size for key in ("best", "low_68", "high_68"))
        why = "; ".join(filter(None, (own, str(flux.get("interval_reason") or ""))))
        fitted = CampaignRow(f"{name}: best-fit flux", unit=scale.unit, trials=_number(flux, "n_trials"), note=why)
        yield replace(fitted, published=published, ours=best, error=0.5 * (high - low))
        for side, ours, their_width, key in (
            ("upper", high - best, their_high - published, "high_68_error"),
            ("lower", best - low, published - their_low, "low_68_error"),
        ):
            yield replace(
                fitted,
                quantity=f"{name}: 68 % interval, {side} half-width",
                published=their_width,
                ours=ours,
                error=_number(flux, key) / model,
            )


def _published_global(hypotheses: list[str]) -> float:
    """The published global p-value of the best of these, where one was given."""
    if all(name.startswith(BUBBLES) for name in hypotheses):
        return CAMPAIGN_2023.p[BUBBLES]
    if all(name.startswith("template:") for name in hypotheses):
        return CAMPAIGN_2023.p_best_template
    return CAMPAIGN_2023.p.get(hypotheses[0], _NONE) if len(hypotheses) == 1 else _NONE


def _together_rows(record: Row) -> Iterator[CampaignRow]:
    how = _smeared(record)
    trials, names = _number(record, "n_trials"), record["hypotheses"]
    best = record.get("best")
    said = f"best: {best}" if best else _reason(record)
    if record["origin"] == "synthetic":
        said += f"; {_OWN_FIT}"
    per_source = CAMPAIGN_2023.trials.get(names[0], _NONE) if len(names) == 1 else _NONE
    published = _published_global(names)
    if published == CAMPAIGN_2023.p_best_template:
        said += "; published: three independent templates counted, ours from correlated trials"
    yield CampaignRow(
        f"{record['name']}: global p-value, best of {record['n_hypotheses']}{how}",
        "global",
        published=published,
        ours=_number(record, "p_global"),
        error=_number(record, "p_global_error"),
        trials=trials,
        trials_published=per_source,
        note=said,
    )
    yield CampaignRow(
        f"{record['name']}: local p-value of {best or 'the best'}{how}",
        "local",
        ours=_number(record, "p_local"),
        error=_number(record, "p_local_error"),
        trials=trials,
    )


def _joint_rows(record: Row) -> Iterator[CampaignRow]:
    """Each hypothesis of a joint fit, the others profiled; nothing of the kind was published."""
    names = [row["hypothesis"] for row in record["hypotheses"]]
    said = _whose(record)
    for row in record["hypotheses"]:
        others = ", ".join(name for name in names if name != row["hypothesis"])
        p_value = row["p_value"]
        none = ""
        if p_value["is_upper_bound"]:
            none = f"; none of the trials: below {p_value['upper_bound_90']:.2g} with 90 %"
        yield CampaignRow(
            f"{record['name']}: local p-value of {row['hypothesis']}, TS {row['ts']:.2f}, {others} profiled",
            "local",
            ours=_number(p_value, "p"),
            error=_number(p_value, "p_error"),
            trials=_number(p_value, "n_trials"),
            note="; ".join(filter(None, (f"{said}, n_s {row['n_s']:.1f}{none}", _reason(p_value)))),
        )


def _chance_row(quantity: str, chance: Row | None, **more: Any) -> CampaignRow:
    """The global p-value from background skies, or why there is none."""
    said = more.pop("note", "")
    if chance is None:
        return CampaignRow(quantity, "global", note=f"{_NOT_ASKED}: no background skies in this spec", **more)
    bound = chance["upper_bound_90"]
    none = f"none of the skies: below {bound:.2g} with 90 %" if bound is not None else ""
    return CampaignRow(
        quantity,
        "global",
        ours=_number(chance, "p"),
        error=_number(chance, "p_error"),
        trials=_number(chance, "n_skies"),
        note="; ".join(filter(None, (said, none))),
        **more,
    )


def _local_row(quantity: str, record: Row, trials: float, **more: Any) -> CampaignRow:
    """A local p-value, which may lie beyond what its trials reach."""
    beyond = "extrapolated beyond the trials" if record["extrapolated"] else ""
    more["note"] = "; ".join(filter(None, (more.get("note", ""), beyond)))
    ours, error = _number(record, "p"), _number(record, "p_error")
    return CampaignRow(quantity, "local", ours=ours, error=error, trials=trials, **more)


def _whose(record: Row) -> str:
    return _OWN_FIT if record["origin"] == "synthetic" else "from the fit to these events"


def _smeared(record: Row) -> str:
    smear = _number(record, "smear_declination_deg")
    return f", declinations smeared by {smear:g} deg" if smear > 0 else ""


def _scan_rows(record: Row) -> Iterator[CampaignRow]:
    """The hottest spot of each hemisphere; the number of trials of a local p-value is that at each declination."""
    published = CAMPAIGN_2023.hot_spots if record["sample"] == CAMPAIGN_2023.sample else {}
    for spot in record["hottest"]:
        theirs = published.get(spot["hemisphere"], NO_SPOT)
        name = f"{record['name']}: hottest point of the {spot['hemisphere']}ern sky"
        at = f"RA {spot['ra_deg']:.1f}, dec {spot['dec_deg']:.1f} deg, n_s {spot['n_s']:.1f}; {_whose(record)}"
        yield _chance_row(
            f"{name}: global p-value{_smeared(record)}",
            spot["p_global"],
            published=theirs.p_global,
            trials_published=CAMPAIGN_2023.scans if published else _NONE,
            note=at,
        )
        yield _local_row(
            f"{name}: local p-value", spot["p_local"], _number(record, "local_trials"), published=theirs.p_local
        )


def published_list(record: Row) -> dict[str, PublishedSpot]:
    """Published fits of the sources of a list, empty where these are not that list and sample."""
    same = (record["catalogue"], record["sample"]) == (CAMPAIGN_2023.list_name, CAMPAIGN_2023.sample)
    return CAMPAIGN_2023.list_sources if same else {}


def _source_list_rows(record: Row) -> Iterator[CampaignRow]:
    """The best source of a list, locally and globally, and the population test."""
    best, population, published = record["best"], record["population"], published_list(record)
    each = f"each:{record['catalogue']}"
    yield _chance_row(
        f"{record['name']}: global p-value, best of {record['n_sources']} sources{_smeared(record)}",
        best["p_global"],
        published=CAMPAIGN_2023.p[each] if published else _NONE,
        trials_published=CAMPAIGN_2023.list_skies if published else _NONE,
        note=f"best: {best['source']}; {_whose(record)}",
    )
    first = min(published, key=lambda name: _or_one(published[name].p_local), default="")
    yield _local_row(
        f"{record['name']}: local p-value of the best",
        best["p_local"],
        _number(record, "local_trials"),
        published=published[first].p_local if first else _NONE,
        trials_published=CAMPAIGN_2023.trials[each] if published else _NONE,
        note=f"{best['source']}; published: {first}" if first else best["source"],
    )
    yield _chance_row(
        f"{record['name']}: global p-value of the binomial population test",
        population["p_global"],
        note=f"{population['k']} sources with local p at most {population['p_threshold']:.3g}, "
        f"binomial probability {population['p_binomial']:.3g}",
    )


def _or_one(p: float) -> float:
    return p if math.isfinite(p) else 1.0


def _left_out_rows(run: Row) -> Iterator[CampaignRow]:
    for name, reason in run.get("left_out_hypotheses", {}).items():
        one = name.removeprefix("together:")
        is_global = one != name
        yield CampaignRow(
            f"{one}: {'global' if is_global else 'local'} p-value",
            "global" if is_global else "local",
            published=CAMPAIGN_2023.p_best_template if one == "templates" else CAMPAIGN_2023.p.get(one, _NONE),
            trials_published=CAMPAIGN_2023.trials.get(one, _NONE),
            note=f"{_NOT_HERE}: {reason}",
        )
    if any(one["sample"] == CAMPAIGN_2023.sample for one in run.get("scans", ())):
        return
    for side, spot in CAMPAIGN_2023.hot_spots.items():
        yield CampaignRow(
            f"hottest point of the {side}ern sky: global p-value",
            "global",
            published=spot.p_global,
            trials_published=CAMPAIGN_2023.scans,
            note=f"{_NOT_ASKED}: no [[scan]] in this spec",
        )


def _total(run: Row) -> CampaignRow:
    costs = run.get("costs", ())
    how = sorted({str(c["measured"]) for c in costs})
    return CampaignRow(
        "all parts together",
        core_hours=sum(float(c["core_seconds"]) for c in costs) / 3600.0 if costs else _NONE,
        core_hours_published=CAMPAIGN_2023.core_hours,
        note=f"ours: {' and '.join(how) or 'not measured'}; published: of the whole analysis, only the sum is known",
    )


def is_campaign(run: Row) -> bool:
    """Whether these results come from a spec that asks for more than single fits."""
    return "together" in run or "at_published_ts" in run


def campaign_rows(run: Row) -> tuple[CampaignRow, ...]:
    """The table of a run, empty where its spec asks for single fits only."""
    if not is_campaign(run):
        return ()
    rows: list[CampaignRow] = []
    at_ts = {(one["hypothesis"], one["sample"]): one for one in run.get("at_published_ts", ())}
    for row in run["results"]:
        name, sample = row["hypothesis"], row["sample"]
        record = at_ts.get((name, sample))
        if record:
            rows += _of_part(_at_published_rows(record), _core_hours(run, "published ts", name, sample), record)
        theirs = PUBLISHED.get(name) or Published(
            sample, _NONE, CAMPAIGN_2023.p.get(name, _NONE), _NONE, _NONE, CAMPAIGN_2023.source
        )
        if theirs.sample == sample:
            rows += _of_part(_fit_rows(row, theirs), _core_hours(run, "fit", name, sample), row)
    for one in run.get("together", ()):
        cost = _core_hours(run, "together", one["name"], one["sample"])
        rows += _of_part(_together_rows(one), cost, one)
    for one in run.get("joint", ()):
        cost = _core_hours(run, "joint", one["name"], one["sample"])
        rows += _of_part(_joint_rows(one), cost, one)
    for one in run.get("scans", ()):
        rows += _of_part(_scan_rows(one), _core_hours(run, "scan", one["name"], one["sample"]), one)
    for one in run.get("source_lists", ()):
        rows += _of_part(_source_list_rows(one), _core_hours(run, "sources", one["name"], one["sample"]), one)
    return (*rows, *_left_out_rows(run), _total(run))


def campaign_table(run: Row, head: Mapping[str, str] | None = None) -> bytes:
    """The table as ECSV, empty for a run that is no campaign."""
    rows = campaign_rows(run)
    if not rows:
        return b""
    columns: dict[str, tuple[Any, str, str]] = {
        "quantity": ([r.quantity for r in rows], "", "what; local and global p-values are named as such"),
        "kind": ([r.kind or "-" for r in rows], "", "local or global for p-values"),
        "origin": ([r.origin or "-" for r in rows], "", "of the events: real or synthetic"),
        "unit": ([r.unit or "-" for r in rows], "", "of published, ours and error"),
        "published": ([r.published for r in rows], "", "as published"),
        "ours": ([r.ours for r in rows], "", "this run"),
        "error": ([r.error for r in rows], "", "statistical error of ours"),
        "trials": ([r.trials for r in rows], "", "trials behind ours, pilots not counted"),
        "trials_published": ([r.trials_published for r in rows], "", "trials of the published analysis"),
        "core_hours": (
            [r.core_hours for r in rows], "h", "core-hours of the part that begins with this row; last row: all",
        ),
        "core_hours_published": ([r.core_hours_published for r in rows], "h", "only their sum is known"),
        "seed": ([r.seed for r in rows], "", "of the trials"),
        "note": ([r.note or "-" for r in rows], "", "where ours is from, or why it is not there"),
    }  # fmt: skip
    meta = {"RELEASE": run["name"], "DATE": run["created"], "PUBLISHED": CAMPAIGN_2023.source}
    return ecsv(columns, {**meta, **(head or {})})


HEADINGS = ("quantity", "published", "ours", "trials", "trials publ.", "core-h", "core-h publ.")


def campaign_text(run: Row) -> str:
    """The table for a terminal, empty for a run that is no campaign; synthetic rows are marked."""
    rows = campaign_rows(run)
    if not rows:
        return ""
    table = [HEADINGS, *(_marked(row) for row in rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    notes = [f"{row.quantity}: {row.note}" for row in rows if row.note.startswith((_NOT_HERE, _NOT_ASKED))]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *notes])


def _marked(row: CampaignRow) -> tuple[str, ...]:
    what, *rest = (cell.replace("\u00a0", " ") for cell in row.words())
    return (f"{what} [SYNTHETIC]" if row.origin == "synthetic" else what, *rest)
