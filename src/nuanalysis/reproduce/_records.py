"""What a published item is, and our numbers beside its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from nuanalysis.answers import Answer
from nuanalysis.plot import Drawn
from nuanalysis.publish import CampaignRow
from nuanalysis.records import Carried, Provenance, Record, Unknown, carried, shown

if TYPE_CHECKING:
    from nuanalysis.reproduce._desk import Desk

AGREES, TENSION = 2.0, 3.0  # standard errors

#: A number, or None; NaN, which constants of published tables hold for "not published", becomes None.
Number = Annotated[float | None, BeforeValidator(lambda one: one if one is None or math.isfinite(one) else None)]
Verdict = Literal["agrees", "tension", "differs", "exact", "not compared"]


class Row(Record):
    """One number of a published item beside ours."""

    quantity: str = shown("what")
    unit: str = shown("unit", "")
    published: Number = shown("as published", None)
    published_error: Number = shown("half its 68 % interval, or the error of its trials, where one is known", None)
    ours: Number = shown("ours", None)
    error: Number = shown("standard error of ours", None)
    pull: Number = shown("ours less published, in standard errors of both", None)
    verdict: Verdict = shown("agrees: within 2 standard errors; tension: within 3; differs: beyond")
    note: str = shown("what must be known to read it", "")

    @property
    def named(self) -> str:
        """Quantity and unit."""
        return f"{self.quantity} ({self.unit})" if self.unit else self.quantity


class Reproduced(Answer):
    """A published table or figure made again."""

    rows: ClassVar = "compared"
    item: str = shown("item")
    title: str = shown("what it shows")
    source: str = shown("where it was published")
    left_out: str = shown("what of it cannot be made of public inputs", "")
    minutes: float = shown("minutes that it took", form=".1f")
    compared: tuple[Row, ...] = shown("numbers")
    pictures: Carried[tuple[Drawn, ...]] = carried()

    @property
    def name(self) -> str:
        return f"reproduce-{self.item}"

    def headline(self) -> tuple[str, ...]:
        counted = [f"{n} {word}" for word, n in counts(self.compared).items() if n]
        return (f"{self.item}: {self.title}. {self.provenance.stamp}; {', '.join(counted) or 'a picture alone'}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        return self.pictures or ()

    def __str__(self) -> str:
        said = [*self.headline(), f"Source: {self.source}."]
        for one in self.compared:
            told = f"published {valued(one.published, one.published_error)}, ours {valued(one.ours, one.error)}"
            apart = "" if one.pull is None else f", {one.pull:+.1f} standard errors apart"
            said += [f"  {one.named}", f"    {told}{apart}: {one.verdict}"]
        notes = dict.fromkeys(one.note for one in self.compared if one.note)
        said += [f"Note: {note}." for note in notes]
        return "\n".join([*said, *([f"Not made: {self.left_out}."] if self.left_out else [])])


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What an item gives: numbers, pictures, and whose events they are of."""

    provenance: Provenance
    rows: tuple[Row, ...] = ()
    pictures: tuple[Drawn, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A published table or figure.

    make : makes it; None where public inputs do not allow it, which ``left_out`` then explains.
    origin : of the events ours is made from; 'printed' where there are none.
    cpu_minutes : minutes of one core, as measured once; None where that was not done.
    left_out : what of it is not made, and why.
    """

    name: str
    title: str
    source: str
    origin: Literal["synthetic", "real", "printed", "mixed", "none"]
    cpu_minutes: float | None
    make: Callable[[Desk], Made] | None
    left_out: str = ""


def valued(value: float | None, error: float | None) -> str:
    """A number with its error, for people."""
    if value is None:
        return "–"
    return f"{value:.4g}" + ("" if error is None else f" ± {error:.0f}" if error >= 100 else f" ± {error:.2g}")


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows have each verdict."""
    listed = [row.verdict for row in rows]
    return {word: listed.count(word) for word in ("exact", "agrees", "tension", "differs", "not compared")}


def verdict_of(pull: float | None) -> Verdict:
    """The word for a difference in standard errors."""
    if pull is None or not math.isfinite(pull):
        return "not compared"
    return "agrees" if abs(pull) <= AGREES else "tension" if abs(pull) <= TENSION else "differs"


def row(
    quantity: str, ours: float, error: float = math.nan, published: float = math.nan, published_error: float = math.nan,
    *, unit: str = "", note: str = "",
) -> Row:  # fmt: skip
    """A number of ours beside a published one; NaN where there is none.  Without any error nothing is compared."""
    width = math.hypot(*(one for one in (error, published_error) if math.isfinite(one)))
    pull = (ours - published) / width if width > 0 else math.nan
    return Row(
        quantity=quantity, unit=unit, published=published, published_error=published_error, ours=ours, error=error,
        pull=pull, verdict=verdict_of(pull), note=note,
    )  # fmt: skip


def exact(quantity: str, ours: float, published: float, tolerance: float, *, unit: str = "", note: str = "") -> Row:
    """A number without statistics: the same within the rounding of the print, or different."""
    same = abs(ours - published) <= tolerance
    said = "; ".join(filter(None, (note, f"the same within {tolerance:.2g}" if same else f"asked: {tolerance:.2g}")))
    return Row(
        quantity=quantity, unit=unit, published=published, ours=ours, verdict="exact" if same else "differs", note=said
    )


def of_campaign(found: CampaignRow, published_error: float = math.nan) -> Row:
    """A row of the campaign table; its difference was formed there, with the intervals of both where there are any.

    published_error : of a number whose error is known besides; the difference is then formed here.
    """
    pull = found.difference
    if found.published is not None and found.ours is not None and math.isfinite(published_error):
        pull = (found.ours - found.published) / math.hypot(published_error, found.error or 0.0)
    return Row(
        quantity=found.quantity, unit=found.unit, published=found.published, published_error=published_error,
        ours=found.ours, error=found.error, pull=pull, verdict=verdict_of(pull), note=found.note,
    )  # fmt: skip


def error_of(value: object) -> float:
    """The error of a Measured, NaN where it is not known."""
    error = getattr(value, "error", math.nan)
    return math.nan if isinstance(error, Unknown) else float(error)
