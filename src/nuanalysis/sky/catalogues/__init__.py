"""Lists of sources, one file per publication.  To add one: write the file, add a line to ``CATALOGUES``."""

from __future__ import annotations

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.sky._records import Catalogue
from nuanalysis.sky.catalogues.source_list_2023 import LIST_109
from nuanalysis.sky.catalogues.stacking_2023 import PWN, SNR, UNID

CATALOGUES: dict[str, Catalogue] = {
    "snr": SNR,
    "pwn": PWN,
    "unid": UNID,
    "list-109": LIST_109,
}


def catalogue(name: str) -> Catalogue:
    """Return the catalogue of that name.  Raises InputError for an unknown one."""
    if name not in CATALOGUES:
        raise InputError(f"there is no catalogue '{name}'.{did_you_mean(name, CATALOGUES)}")
    return CATALOGUES[name]
