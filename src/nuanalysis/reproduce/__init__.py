"""Published tables and figures made again: one file each, and one line in ITEMS.

An item asks the questions of the package on public inputs and sets what was printed beside our numbers, with the
difference in standard errors.  What public inputs do not allow is listed too, with the reason.
"""

from __future__ import annotations

import time
from importlib import import_module

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._page import page
from nuanalysis.reproduce._records import Item, Reproduced, Row, counts

#: An item is a file here, with '_' for '-'.
ITEMS = (
    "table-1",
    "table-s1",
    "table-s3",
    "table-s4",
    "table-s5",
    "figure-1",
    "figure-2",
    "figure-3",
    "figure-4",
    "figure-5",
    "figure-s1",
    "figure-s2",
    "figure-s3",
    "figure-s6",
    "figure-s7",
    "figure-s8",
    "figure-s9",
    "figure-s12",
    "official-events",
    "plane-segments",
    "extended-sources",
    "neutrino-desert",
    "tracks-ngc-1068",
    "tracks-txs-0506",
)

__all__ = ["ITEMS", "Desk", "Item", "Reproduced", "Row", "counts", "item", "page", "reproduce"]


def item(name: str) -> Item:
    """An item by its name.  Raises InputError for an unknown one."""
    if name not in ITEMS:
        raise InputError(f"there is no item '{name}'.{did_you_mean(name, ITEMS)} 'nuanalysis reproduce ls' lists them")
    found: Item = import_module(f"nuanalysis.reproduce.{name.replace('-', '_')}").ITEM
    return found


def reproduce(name: str, desk: Desk) -> Reproduced:
    """An item made again.

    Raises InputError for an unknown item and for one that public inputs do not allow, DataError with the command that
    fetches it where a release is not here.
    """
    asked = item(name)
    if asked.make is None:
        raise InputError(f"{name} cannot be made of public inputs: {asked.left_out}")
    began = time.monotonic()
    made = asked.make(desk)
    return Reproduced(
        provenance=made.provenance,
        item=asked.name,
        title=asked.title,
        source=asked.source,
        left_out=asked.left_out,
        minutes=(time.monotonic() - began) / 60.0,
        compared=made.rows,
        pictures=made.pictures,
    )
