"""Numbers inside records, and how they are printed beside published ones; what is absent is NaN, printed as a dash."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator

from nuanalysis.records import Chance, Interval, Measured, Unknown

UNIT = 1e-12  # TeV cm^-2 s^-1
ABSENT = "–"
Known = Measured | Chance | Unknown | float | None


def _finite(number: object) -> object:
    return None if isinstance(number, float) and not math.isfinite(number) else number


#: Type of a field of a record; NaN becomes null.
Number = Annotated[float | None, BeforeValidator(_finite)]


def value(one: Known) -> float:
    """The value; NaN where it is not known."""
    match one:
        case Measured():
            return one.value
        case Chance():
            return one.p
        case Unknown() | None:
            return math.nan
    return one


def error(one: Known) -> float:
    """The statistical error; NaN where it is not known."""
    return value(one.error) if isinstance(one, Measured | Chance) else math.nan


def ends(one: Interval | Unknown | None) -> tuple[float, float]:
    """Both ends; NaN where they are not known."""
    return (one.low, one.high) if isinstance(one, Interval) else (math.nan, math.nan)


def sigma(one: Chance | Unknown) -> float:
    """The one-sided significance; NaN where there is none."""
    return value(one.sigma) if isinstance(one, Chance) else math.nan


def reason(one: object) -> str:
    """Why it is not known; '' where it is."""
    return one.reason if isinstance(one, Unknown) else ""


def shown(number: float, form: str = ".1f") -> str:
    """The number, or a dash where there is none."""
    return format(number + 0.0, form).replace("-", "−") if math.isfinite(number) else ABSENT


def scientific(number: float, error: float = math.nan) -> str:
    """1.26 × 10⁻⁶, with an error in the same power of ten where there is one."""
    if not math.isfinite(number):
        return ABSENT
    if number == 0.0:
        return "0"
    power = math.floor(math.log10(abs(number)))
    if -2 <= power <= 2:
        return shown(number, ".3f") + (f" ± {error:.3f}" if math.isfinite(error) else "")
    exponent = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    scaled = f"{number / 10.0**power:.2f}"
    if math.isfinite(error):
        return f"({scaled}\u00a0±\u00a0{error / 10.0**power:.2f}) ×\u00a010{exponent}"
    return f"{scaled} ×\u00a010{exponent}"


def interval(best: float, low: float, high: float, form: str = ".1f") -> str:
    """21.8 +5.3 −4.9; it may break before the minus only."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return shown(best, ".2f")
    return f"{best:{form}}\u00a0+{max(high - best, 0.0):{form}} −{max(best - low, 0.0):{form}}"
