"""One quantity of the campaign table."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator

from nuanalysis.publish._numbers import scientific, shown
from nuanalysis.records import Record
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
