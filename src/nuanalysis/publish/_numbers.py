"""Numbers as reports print them, a dash where there is none; fluxes in 1e-12 TeV cm^-2 s^-1."""

from __future__ import annotations

import math

from nuanalysis.records import Chance, Interval, Measured, Record, Unknown

ABSENT = "–"
UNIT = 1e-12  # TeV cm^-2 s^-1
Known = Measured | Chance | Unknown | float | None


def value_of(one: Known) -> float:
    """The number; NaN where it is not known."""
    match one:
        case Measured():
            return one.value
        case Chance():
            return one.p
        case float() | int():
            return float(one)
    return math.nan


def error_of(one: Known) -> float:
    """Its statistical error; NaN where that is not known."""
    error = one.error if isinstance(one, Measured | Chance) else None
    return math.nan if error is None or isinstance(error, Unknown) else error


def span_of(best: Known, ends: Interval | Unknown | None) -> tuple[float, float, float]:
    """Best value and both ends of its interval; NaN where they are not known."""
    low, high = (ends.low, ends.high) if isinstance(ends, Interval) else (math.nan, math.nan)
    return value_of(best), low, high


def reason_of(one: Record | float | None) -> str:
    """Why a number is not known; '' for one that is."""
    return one.reason if isinstance(one, Unknown) else ""


def shown(value: float | None, form: str = ".1f") -> str:
    """The number, or a dash where there is none."""
    return format(value, form).replace("-", "−") if value is not None and math.isfinite(value) else ABSENT


def scientific(value: float, error: float = math.nan) -> str:
    """1.26 × 10⁻⁶, with an error in the same power of ten where there is one."""
    if not math.isfinite(value):
        return ABSENT
    if value == 0.0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if -2 <= power <= 2:
        return shown(value, ".3f") + (f" ± {error:.3f}" if math.isfinite(error) else "")
    exponent = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    scaled = f"{value / 10.0**power:.2f}"
    both = f"({scaled}\u00a0±\u00a0{error / 10.0**power:.2f})" if math.isfinite(error) else scaled
    return f"{both} ×\u00a010{exponent}"


def chance_words(one: Chance | Unknown) -> str:
    """A p-value with its error, its upper bound where no trial had as much, or why there is none."""
    if isinstance(one, Unknown):
        return f"{ABSENT} ({one.reason})"
    if one.bound is not None:
        return f"< {scientific(one.bound)} (90 %)"
    return scientific(one.p, error_of(one)) + " (extrapolated)" * one.extrapolated


def measured_words(one: Measured | None, form: str, *, per: float = 1.0) -> str:
    """A value with its error; per : the unit in which it is printed."""
    if one is None:
        return ABSENT
    error = error_of(one) / per
    return shown(one.value / per, form) + (f" ± {error:{form}}" if math.isfinite(error) else "")


def span_words(span: tuple[float, float, float], form: str = ".1f", *, per: float = UNIT) -> str:
    """21.8 +5.3 −4.9 in this unit; it may break before the minus only."""
    best, low, high = (one / per for one in span)
    if not (math.isfinite(low) and math.isfinite(high)):
        return shown(best, ".2f")
    return f"{best:{form}}\u00a0+{max(high - best, 0.0):{form}} −{max(best - low, 0.0):{form}}"
