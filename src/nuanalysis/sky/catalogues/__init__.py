"""Lists of sources, one file per publication, and what is needed to make one from a table of sources.

To add a list: write the file, add a line to ``CATALOGUES``.  A user's own: ``read_sources`` a table, ``select`` with a
``Choice`` of rule, weight and duplicates.
"""

from __future__ import annotations

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.sky.catalogues._columns import replace_mixins
from nuanalysis.sky.catalogues._reading import COLUMN_KEYS, KEYS, check_map, read_sources
from nuanalysis.sky.catalogues._select import (
    DUPLICATES,
    WEIGHTS,
    Choice,
    Selection,
    chosen_rows,
    duplicate_faults,
    found_duplicates,
    part,
    seen_shares,
    select,
    unplaced,
)
from nuanalysis.sky.catalogues._table import STANDARD, Column, Group, Match, SourceTable, from_catalogue, match
from nuanalysis.sky.catalogues.extended_tev import EXTENDED_TEV
from nuanalysis.sky.catalogues.source_list_2023 import CLASSES, LIST_109
from nuanalysis.sky.catalogues.stacking_2023 import PWN, SNR, UNID
from nuanalysis.sky.records import Catalogue

CATALOGUES: dict[str, Catalogue] = {
    "snr": SNR,
    "pwn": PWN,
    "unid": UNID,
    "list-109": LIST_109,
    "extended-tev": EXTENDED_TEV,
}


def catalogue(name: str) -> Catalogue:
    """Return the catalogue of that name.  Raises InputError for an unknown one."""
    if name not in CATALOGUES:
        raise InputError(f"there is no catalogue '{name}'.{did_you_mean(name, CATALOGUES)}")
    return CATALOGUES[name]


def listed(name: str) -> SourceTable:
    """The sources of a built-in catalogue as a table to which a rule can be applied.  Raises InputError."""
    found = catalogue(name)
    return from_catalogue(found, CLASSES if found is LIST_109 else {s.name: name.upper() for s in found.sources})
