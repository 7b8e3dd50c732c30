"""The campaign table: every published statistical result beside ours, with errors, trials and core-hours of both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import ScanAnswer
from nuanalysis.interpret.published import CAMPAIGN_2023
from nuanalysis.publish._campaign_rows import NOT_ASKED, NOT_HERE, ROWS, CampaignRow
from nuanalysis.publish._results import Entry, Results
from nuanalysis.records import table
from nuanalysis.store import table_ecsv


def _of_entry(entry: Entry, results: Results) -> Iterator[CampaignRow]:
    """The rows of one answer: origin and seed on each, the cost on the first."""
    kind = ROWS.get(type(entry.answer))
    spent = [c for c in results.costs if (c.section, c.name, c.sample) == (entry.section, entry.name, entry.sample)]
    cost = spent[0].core_seconds / 3600.0 if spent else None
    for k, row in enumerate(kind(entry.name, entry.answer) if kind else ()):
        more = {"origin": entry.origin, "seed": entry.answer.provenance.seed, "core_hours": None if k else cost}
        yield row.model_copy(update=more)


def _left_out(results: Results) -> Iterator[CampaignRow]:
    """What this version does not know, and the hottest spots where none were looked for."""
    for name, why in results.left_out_questions.items():
        one = name.removeprefix("together:")
        kind = "local" if one == name else "global"
        yield CampaignRow(
            quantity=f"{one}: {kind} p-value",
            kind=kind,
            published=CAMPAIGN_2023.p_best_template if one == "templates" else CAMPAIGN_2023.p.get(one, math.nan),
            trials_published=CAMPAIGN_2023.trials.get(one, math.nan),
            note=f"{NOT_HERE}: {why}",
        )
    if not any(one.provenance.sample == CAMPAIGN_2023.sample for one in results.of(ScanAnswer)):
        for side, spot in CAMPAIGN_2023.hot_spots.items():
            yield CampaignRow(
                quantity=f"hottest point of the {side}ern sky: global p-value",
                kind="global",
                published=spot.p_global,
                trials_published=CAMPAIGN_2023.scans,
                note=f"{NOT_ASKED}: no [[scan]] in this spec",
            )


def _total(results: Results) -> CampaignRow:
    how = " and ".join(sorted({spent.measured for spent in results.costs})) or "not measured"
    return CampaignRow(
        quantity="all parts together",
        core_hours=sum(spent.core_seconds for spent in results.costs) / 3600.0 if results.costs else None,
        core_hours_published=CAMPAIGN_2023.core_hours,
        note=f"ours: {how}; published: of the whole analysis, only the sum is known",
    )


def campaign_rows(results: Results) -> tuple[CampaignRow, ...]:
    """The table of a run, empty where its spec asks for nothing of it but single fits."""
    if not any(type(one.answer) in ROWS and not isinstance(one.answer, MeasureAnswer) for one in results.answers):
        return ()
    rows = [row for entry in results.answers for row in _of_entry(entry, results)]
    return (*rows, *_left_out(results), _total(results))


def campaign_table(results: Results, head: Mapping[str, str] | None = None) -> bytes:
    """The table as ECSV, empty for a run that is no campaign."""
    rows = campaign_rows(results)
    meta = {"RELEASE": results.name, "DATE": results.created, "PUBLISHED": CAMPAIGN_2023.source, **(head or {})}
    return table_ecsv(table(rows, None, **meta)) if rows else b""


HEADINGS = ("quantity", "published", "ours", "trials", "trials publ.", "core-h", "core-h publ.")


def campaign_text(results: Results) -> str:
    """The table for a terminal, empty for a run that is no campaign; synthetic rows are marked."""
    rows = campaign_rows(results)
    if not rows:
        return ""
    cells = [HEADINGS, *(_marked(row) for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(HEADINGS))]
    lines = [
        "  ".join(
            f"{cell:<{w}}" if k == 0 else f"{cell:>{w}}" for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    notes = [f"{row.quantity}: {row.note}" for row in rows if row.note.startswith((NOT_HERE, NOT_ASKED))]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *notes])


def _marked(row: CampaignRow) -> tuple[str, ...]:
    what, *rest = (cell.replace("\u00a0", " ") for cell in row.cells())
    return (f"{what} [SYNTHETIC]" if row.origin == "synthetic" else what, *rest)
