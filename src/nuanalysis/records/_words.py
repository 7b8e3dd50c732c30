"""Numbers in words: a value with its error in as many digits as the error deserves."""

from __future__ import annotations

import math

WIDTH = 80  # columns of a terminal that everything fits into


def with_error(value: float, error: float) -> str:
    """'748.0 +- 3.1' or '(2.18 +- 0.05)e-11': two digits of the error, the value to the same place."""
    if not (math.isfinite(value) and math.isfinite(error)) or error <= 0.0:
        return f"{value:.4g} +- {error:.2g}"
    size = max(abs(value), error)
    exponent = 0 if 1e-3 <= size < 1e5 else math.floor(math.log10(size))
    scale = 10.0**exponent
    digits = min(max(1 - math.floor(math.log10(error / scale)), 0), 9)
    body = f"{value / scale:.{digits}f} +- {error / scale:.{digits}f}"
    return f"({body})e{exponent:+03d}" if exponent else body


def number(value: float, form: str = ".4g") -> str:
    """A number in this form, without a minus before zero."""
    words = format(value, form)
    return words[1:] if words.startswith("-") and not words.strip("-0.") else words
