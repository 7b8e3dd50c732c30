"""Tables of others: how many rows are read, and what their words stand for."""

import re
from collections.abc import Sequence

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Floats
from nuanalysis.store._foreign import MIB, RAISED, TABLE, largest

ROWS = 200_000  # of one table of sources; raised with the bytes that are read of one file
MISSING = frozenset({"", "n/a", "na", "null", "none", "--", "-", "...", "…"})  # in a column of numbers
MINUS = "\N{MINUS SIGN}"  # as text from a page has it
_SEXAGESIMAL = re.compile(r"[+-]?\d{1,3}\s*[:hd°]\s*\d{1,2}(?!\d).*|[+-]?\d{1,3} \d{1,2} \d.*")


def most_rows() -> int:
    """The rows that are read of one table of sources: ROWS, or what NUANALYSIS_LARGEST_MB raises it to."""
    return ROWS * largest(TABLE) // TABLE


def refuse_rows(what: str, rows: int) -> None:
    """Raise InputError for more than ``most_rows``."""
    if rows > (most := most_rows()):
        raise InputError(
            f"{what} has {rows:,} rows, expected at most {most:,}; cut it to the sources that you need, or set "
            f"{RAISED}={-(-rows * TABLE // (ROWS * MIB))} and call again"
        )


def numbers_in(words: Sequence[str]) -> Floats | None:
    """Words as numbers, NaN where one is missing ('', 'nan', 'n/a', '-'); None where one is a word, or none a number.

    Whole numbers that a float64 does not hold are words: they are names, not measurements.
    """
    out, known = np.full(len(words), np.nan), 0
    for k, word in enumerate(words):
        if is_missing(word):
            continue
        if "_" in word or (len(word) > 15 and word.lstrip("+-").isdigit()):
            return None
        try:
            out[k] = float(word.replace(MINUS, "-"))
        except ValueError:
            return None
        known += 1
    return out if known or not any(words) else None


def is_missing(word: str) -> bool:
    """Whether a word stands for no value in a column of numbers."""
    return word.lower() in MISSING


def is_sexagesimal(word: str) -> bool:
    """Whether a word looks like 05:34:31.9, 5h34m31.9s or +22 00 52."""
    return _SEXAGESIMAL.fullmatch(word.replace(MINUS, "-")) is not None
