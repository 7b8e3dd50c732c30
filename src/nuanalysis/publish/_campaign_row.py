"""A row of the campaign table: one quantity, published and ours, and by how many standard errors they differ."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from nuanalysis.publish._compare import of_our_error
from nuanalysis.publish._numbers import Known, error_of, reason_of, scientific, shown, value_of
from nuanalysis.records import Chance, Record
from nuanalysis.records import shown as field

NOT_HERE, NOT_ASKED = "not in this version", "not asked for"

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
    difference: Number = field("ours less published, in standard errors", None)
    difference_of: Literal["", "ours", "both"] = field("whose errors: published numbers often have none", "")
    trials: Number = field("trials behind ours, pilots not counted", None)
    trials_published: Number = field("trials of the published analysis", None)
    core_hours: Number = field("core-hours of the part that begins with this row; last row: all", None, unit="h")
    core_hours_published: Number = field("only their sum is known", None, unit="h")
    seed: int | None = field("of the trials", None)
    note: str = field("where ours is from, or why it is not there", "")

    def cells(self) -> tuple[str, ...]:
        """Quantity, published, ours with its error, their difference, trials and core-hours of both, for people."""
        absent = next((why for why in (NOT_HERE, NOT_ASKED) if self.note.startswith(why)), shown(None))
        return (
            f"{self.quantity} [{self.unit}]" if self.unit else self.quantity,
            self._form(self.published),
            absent if self.ours is None else self._form(self.ours, self.error),
            self._apart(),
            *(shown(n, ",.0f") for n in (self.trials, self.trials_published)),
            *(_hours(one) for one in (self.core_hours, self.core_hours_published)),
        )

    def _apart(self) -> str:
        if self.difference is None:
            return shown(None)
        whose = " of our error" if self.difference_of == "ours" else ""
        return f"{round(self.difference, 1) + 0.0:+.1f}σ{whose}".replace("-", "−")

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


def row_of(quantity: str, found: Known, *notes: str, **more: Any) -> CampaignRow:
    """A number with its error, or why there is none, and further notes."""
    if isinstance(found, Chance):
        notes, more = (*notes, _limits(found)), {"trials": found.n_trials, **more}
    note = "; ".join(filter(None, (reason_of(found), *notes)))
    return CampaignRow(quantity=quantity, ours=value_of(found), note=note, **{"error": error_of(found), **more})


def compared(row: CampaignRow) -> CampaignRow:
    """The row with its difference in our standard errors, where there is one: of numbers published without an error."""
    if row.published is None or row.ours is None or row.error is None:
        return row
    gap = of_our_error((row.ours, row.ours - row.error, row.ours + row.error), row.published)
    return row.model_copy(update={"difference": gap, "difference_of": "ours"}) if math.isfinite(gap) else row


def _limits(chance: Chance) -> str:
    """What the trials behind a p-value did not reach."""
    if chance.bound is not None:
        return f"none of the trials: below {chance.bound:.2g} with 90 %"
    return "extrapolated beyond the trials" if chance.extrapolated else ""
