"""The small records that answers are made of, and records as an astropy table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, computed_field, model_validator

from nuanalysis.errors import printable
from nuanalysis.records._layout import number, said_of, with_error
from nuanalysis.records._record import Record, shown

if TYPE_CHECKING:
    from astropy.table import QTable

Scope = Literal["local", "global"]
Probability = Annotated[float, Field(ge=0, le=1)]
Error = Annotated[float, Field(ge=0)]
Cell = tuple[str, Any, str, str]  # column, value, unit, label


class Unknown(Record):
    """What could not be computed, and why."""

    reason: str = shown("why it is not known")

    def words(self, form: str = "") -> str:
        return f"not known: {self.reason}"

    def cell(self, form: str = "") -> str:
        return "-"


def known(value: float, reason: str) -> float | Unknown:
    """The value where it is finite, else Unknown with the reason."""
    return float(value) if math.isfinite(value) else Unknown(reason=reason)


class Measured(Record):
    """A value with its statistical error."""

    value: float = shown("value")
    error: Error | Unknown = shown("statistical error, one standard deviation")
    unit: str = shown("unit", "")

    def words(self, form: str = ".4g") -> str:
        if isinstance(self.error, Unknown):
            return " ".join(filter(None, (number(self.value, form), self.unit, f"(error {self.error.words()})")))
        return " ".join(filter(None, (with_error(self.value, self.error), self.unit)))

    def cell(self, form: str = ".4g") -> str:
        return number(self.value, form) if isinstance(self.error, Unknown) else with_error(self.value, self.error)

    def times(self, factor: float, unit: str = "") -> Measured:
        """Value and error in another unit."""
        error = self.error if isinstance(self.error, Unknown) else self.error * factor
        return Measured(value=self.value * factor, error=error, unit=unit)

    def over(self, divisor: float, unit: str = "") -> Measured:
        """Value and error in units of the divisor."""
        error = self.error if isinstance(self.error, Unknown) else self.error / divisor
        return Measured(value=self.value / divisor, error=error, unit=unit)


class Interval(Record):
    """An interval that holds the true value with probability ``level``; its ends have the errors of their trials."""

    low: float = shown("lower end")
    low_error: Error | Unknown = shown("statistical error of the lower end")
    high: float = shown("upper end")
    high_error: Error | Unknown = shown("statistical error of the upper end")
    level: Probability = shown("probability that it holds the truth")
    unit: str = shown("unit", "")

    def words(self, form: str = ".4g") -> str:
        return f"{self.cell(form)} {self.unit}".rstrip() + f" ({100 * self.level:.0f} %)"

    def cell(self, form: str = ".4g") -> str:
        ends = ((self.low, self.low_error), (self.high, self.high_error))
        return " to ".join(number(v, form) if isinstance(e, Unknown) or not e else with_error(v, e) for v, e in ends)

    def over(self, divisor: float, unit: str = "") -> Interval:
        """The interval in units of the divisor."""
        low, high = (e if isinstance(e, Unknown) else e / divisor for e in (self.low_error, self.high_error))
        return Interval(
            low=self.low / divisor,
            low_error=low,
            high=self.high / divisor,
            high_error=high,
            level=self.level,
            unit=unit,
        )


class Chance(Record):
    """A probability under a null hypothesis, or a share of trials, with its statistical error.

    scope : 'local', of this question alone, or 'global', of the best of all that were asked.
    bound : where no trial was counted, the value that the probability is below with 90 %.
    extrapolated : beyond what the trials reach.
    """

    p: Annotated[float, Field(ge=0)] = shown("probability")
    error: Error | Unknown = shown("its statistical error")
    n_trials: Annotated[int, Field(ge=0)] = shown("trials behind it")
    ess: float | None = shown("effective trials that were counted, (sum w)^2 / sum w^2", None)
    bound: float | None = shown("where no trial was counted: it is below this with 90 %", None)
    extrapolated: bool = shown("whether it lies beyond what the trials reach", False)
    scope: Scope = shown("of this question alone (local), or of the best of all that were asked (global)", "local")
    of: str = shown("what it is the chance of", "")
    method: str = shown("how it was found", "")
    not_converged: int = shown("trials whose fit did not converge", 0)

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        """A weighted estimate may lie above 1, but only within its error."""
        within = 0.0 if isinstance(self.error, Unknown) else 5.0 * self.error
        if self.p > 1.0 + within:
            raise ValueError(f"p is {self.p:g}; expected 0 to 1")
        return self

    @computed_field(description="one-sided significance; null where p is 0 or 1")  # type: ignore[prop-decorator]
    @property
    def sigma(self) -> float | None:
        """One-sided significance; None where p is 0 or 1."""
        from scipy.special import ndtri

        return float(-ndtri(self.p)) if 0.0 < self.p < 1.0 else None

    @computed_field(description="statistical error of sigma")  # type: ignore[prop-decorator]
    @property
    def sigma_error(self) -> float | None:
        """Statistical error of sigma."""
        if self.sigma is None or isinstance(self.error, Unknown):
            return None
        return self.error * math.sqrt(2.0 * math.pi) * math.exp(0.5 * self.sigma**2)

    def words(self, form: str = "") -> str:
        if self.bound is not None:
            return f"{self.scope} p < {self.bound:.2g} (90 %: none of {self.n_trials:,} trials)"
        if self.n_trials == 0:
            return f"{self.scope} p {self.p:.3g}" + (f" ({self.method})" if self.method else "")
        if self.extrapolated or isinstance(self.error, Unknown):
            said = f"{self.p:.2g} (extrapolated)" if self.extrapolated else f"{self.p:.3g}"
        else:
            said = with_error(self.p, self.error)
        sigma = "" if self.sigma is None else f", {round(self.sigma, 2) + 0.0:.2f} sigma"
        return f"{self.scope} p {said}{sigma}, {self.n_trials:,} trials"

    def cell(self, form: str = "") -> str:
        return f"< {self.bound:.2g}" if self.bound is not None else f"{self.p:.2g}" + "~" * self.extrapolated


CERTAIN = "the test statistic is zero: every trial has at least as much"


def certain(scope: Scope = "local", why: str = CERTAIN) -> Chance:
    """A probability of one that no trial can change."""
    return Chance(p=1.0, error=0.0, n_trials=0, scope=scope, method=why)


class Position(Record):
    """A direction in the sky, ICRS and Galactic."""

    ra_deg: float = shown("right ascension, ICRS", unit="deg", form=".2f", short="RA")
    dec_deg: float = shown("declination, ICRS", unit="deg", form=".2f", short="dec")
    l_deg: float = shown("Galactic longitude", unit="deg", form=".2f", short="l")
    b_deg: float = shown("Galactic latitude", unit="deg", form=".2f", short="b")

    def words(self, form: str = "") -> str:
        return f"RA {self.ra_deg:.2f}, dec {self.dec_deg:.2f} deg (l {self.l_deg:.2f}, b {self.b_deg:.2f})"

    def cell(self, form: str = "") -> str:
        return f"{self.ra_deg:.2f} {self.dec_deg:+.2f}"


class Provenance(Record):
    """Whose events an answer is about, and what it rests on.

    origin : 'real', 'synthetic', or 'mixed' for several samples.  n_events : 0 where printed numbers were read.
    injected : the signal in synthetic events.
    remarks : what must be read first, such as a stand-in for a template that is not here.
    """

    sample: str = shown("sample")
    origin: Literal["real", "synthetic", "mixed"] = shown("real, synthetic or mixed")
    n_events: int = shown("events")
    seed: int = shown("seed of synthetic events and of trials")
    injected: str = shown("signal in the synthetic events", "")
    statistic: str = shown("statistic", "published")
    remarks: tuple[str, ...] = shown("to be read first", ())
    notes: tuple[str, ...] = shown("what the responses and samples say of themselves", (), hidden=True)
    fingerprint: str = shown("sha256 of all that the trials depend on", "", hidden=True)
    version: str = shown("version of nuanalysis", "", hidden=True)

    @property
    def stamp(self) -> str:
        """'SYNTHETIC', 'real' or 'SYNTHETIC and real'."""
        return {"synthetic": "SYNTHETIC", "real": "real", "mixed": "SYNTHETIC and real"}[self.origin]

    def words(self, form: str = "") -> str:
        injected = f", injected: {self.injected}" if self.injected else ""
        statistic = "" if self.statistic == "published" else f", statistic {self.statistic}"
        remarks = "".join(f" [{remark}]" for remark in self.remarks)
        events = f"{self.n_events:,} {self.stamp} events" if self.n_events else f"{self.stamp} numbers, no events"
        return f"{self.sample}: {events}{injected}, seed {self.seed}{statistic}{remarks}"


def _parts(name: str, value: Record, label: str) -> list[Cell] | None:
    """Columns of the small records; None for others."""
    if isinstance(value, Interval):
        said, out = f"{label}: {100 * value.level:.0f} % interval", list[Cell]()
        for end in ("low", "high"):
            error = getattr(value, f"{end}_error")
            out.append((f"{name}_{end}", getattr(value, end), value.unit, said))
            error = math.nan if isinstance(error, Unknown) else error
            out.append((f"{name}_{end}_error", error, value.unit, f"{said}, statistical error of the {end} end"))
        return out
    if not isinstance(value, Measured | Chance):
        return [(name, math.nan, "", label)] if isinstance(value, Unknown) else None
    error = math.nan if isinstance(value.error, Unknown) else value.error
    if isinstance(value, Measured):
        said = f"{label}: statistical error"
        return [(name, value.value, value.unit, label), (f"{name}_error", error, value.unit, said)]
    return [
        (name, value.p, "", f"{label}: {value.scope} p"),
        (f"{name}_error", error, "", f"{label}: statistical error of p"),
        (f"{name}_sigma", math.nan if value.sigma is None else value.sigma, "", f"{label}: significance"),
        (f"{name}_trials", value.n_trials, "", f"{label}: trials"),
    ]


def cells(record: Record, prefix: str = "") -> Iterator[Cell]:
    """Column, value, unit and label of every number and word of a record, small records spread out."""
    for key, field in type(record).model_fields.items():
        value, name, label = getattr(record, key), prefix + key, field.description or key
        if field.exclude or isinstance(value, Provenance | tuple):
            continue
        if isinstance(value, Position):
            yield from cells(value, prefix)
        elif isinstance(value, Record):
            small = _parts(name, value, label)
            yield from cells(value, f"{name}_") if small is None else small
        else:
            yield name, math.nan if value is None else value, said_of(field, "unit"), label


def table(rows: Sequence[Record], provenance: Provenance | None = None, **about: str) -> QTable:
    """An astropy QTable, one row a record; what is not known is NaN.  about : more lines of its head."""
    import numpy as np
    from astropy.table import QTable
    from astropy.units import Quantity, Unit, UnrecognizedUnit

    lines = [{name: (value, unit, label) for name, value, unit, label in cells(row)} for row in rows]
    names = dict.fromkeys(name for line in lines for name in line)
    out = QTable(meta=about)
    if provenance is not None:
        keys = ("sample", "origin", "n_events", "seed", "injected", "fingerprint", "version")
        whose = {key.upper(): getattr(provenance, key) for key in keys} | {"NOTES": "; ".join(provenance.notes)}
        out.meta = {**whose, **about}
    for name in names:
        unit = next((line[name][1] for line in lines if name in line and line[name][1]), "")
        label = next(line[name][2] for line in lines if name in line)
        values = [line[name][0] if name in line else math.nan for line in lines]
        words = any(isinstance(value, str) for value in values)
        text = ("" if isinstance(v, float) and v != v else printable(str(v)) for v in values)
        column = list(text) if words else np.array(values)
        known = unit and not words and not isinstance(Unit(unit, parse_strict="silent"), UnrecognizedUnit)
        out[name] = Quantity(column, unit) if known else column
        out[name].info.description = label if known or not unit else f"{label} ({unit})"
    return out
