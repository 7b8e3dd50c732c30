"""The campaign table: every published statistical result beside ours, with errors, trials and core-hours of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nuanalysis.interpret.published import CAMPAIGN_2023
from nuanalysis.publish._campaign_row import NOT_ASKED, NOT_HERE, CampaignRow
from nuanalysis.publish._campaign_rows import is_campaign, left_out_rows, rows_of
from nuanalysis.publish._results import Results
from nuanalysis.records import table
from nuanalysis.store import table_ecsv

if TYPE_CHECKING:
    from astropy.table import QTable

_WORDS = ("kind", "origin", "unit", "difference_of", "note")
_HEADINGS = ("quantity", "published", "ours", "difference", "trials", "trials publ.", "core-h", "core-h publ.")


def _total(results: Results) -> CampaignRow:
    costs = results.costs
    how = " and ".join(sorted({one.measured for one in costs})) or "not measured"
    return CampaignRow(
        quantity="all parts together",
        core_hours=sum(one.core_seconds for one in costs) / 3600.0 if costs else None,
        core_hours_published=CAMPAIGN_2023.core_hours,
        note=f"ours: {how}; published: of the whole analysis, only the sum is known",
    )


def campaign_rows(results: Results) -> tuple[CampaignRow, ...]:
    """The table of a run, empty where its spec asks for single fits only."""
    if not is_campaign(results):
        return ()
    ours = (row for entry in results.answers for row in rows_of(results, entry))
    return (*ours, *left_out_rows(results), _total(results))


def campaign_columns(results: Results) -> QTable:
    """The table for programs; of no rows for a run that is no campaign."""
    rows = campaign_rows(results)
    filled = [row.model_copy(update={key: getattr(row, key) or "-" for key in _WORDS}) for row in rows]
    return table(filled, RELEASE=results.name, DATE=results.created, PUBLISHED=CAMPAIGN_2023.source)


def campaign_table(results: Results) -> bytes:
    """The table as ECSV, empty for a run that is no campaign."""
    found = campaign_columns(results)
    return table_ecsv(found) if len(found) else b""


def campaign_text(results: Results) -> str:
    """The table for a terminal, empty for a run that is no campaign; synthetic rows are marked."""
    rows = campaign_rows(results)
    if not rows:
        return ""
    lines = [_HEADINGS, *(_marked(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(_HEADINGS))]
    head, *body = ("  ".join(f"{cell:{'>' if k else '<'}{widths[k]}}" for k, cell in enumerate(line)) for line in lines)
    notes = [f"{row.quantity}: {row.note}" for row in rows if row.note.startswith((NOT_HERE, NOT_ASKED))]
    return "\n".join([head, "-" * len(head), *body, *notes])


def _marked(row: CampaignRow) -> tuple[str, ...]:
    what, *rest = (cell.replace("\u00a0", " ") for cell in row.cells())
    return (f"{what} [SYNTHETIC]" if row.origin == "synthetic" else what, *rest)
