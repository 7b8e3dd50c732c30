"""A table in the forms that other people's programs read: ECSV, VOTable and Parquet, with units, meanings and UCDs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nuanalysis.store import table_ecsv

if TYPE_CHECKING:
    from astropy.table import Table

# What columns hold, in the words of the IVOA (UCD1+), by the first pattern that their names match.
_NUMBERS = (
    (r"(error|errors|_plus|_minus)$", "stat.error"),
    (r"(^|_)ra(_deg)?$", "pos.eq.ra"),
    (r"(^|_)dec(_deg)?$", "pos.eq.dec"),
    (r"(^|_)l_deg$", "pos.galactic.lon"),
    (r"(^|_)b_deg$", "pos.galactic.lat"),
    (r"(^|_)radius|extension|distance", "pos.angDistance"),
    (r"trials$|events$|^revisions?$|seed$|(^|_)n_(?!signal)", "meta.number"),
    (r"n_signal", "stat.fit.param"),
    (r"(^|_)ts$", "stat.likelihood"),
    (r"sigma$|significance$", "stat.snr"),
    (r"(^|_)(p|p_local|p_global|p_astro)$|chance", "stat.probability"),
    (r"(^|_)index$", "spect.index"),
    (r"in_models$|share|ratio", "arith.factor"),
    (r"energy|log10_low|log10_high", "em.energy"),
    (r"livetime|exposure_d|seconds", "time.duration"),
    (r"^(time|mjd)$", "time.epoch"),
    (r"rate|^far$", "arith.rate"),
    (r"flux|sensitivity|limit|potential", "phot.flux"),
    (r"converged|free$|redistributed|retracted|confirmed|systematic$", "meta.code.class"),
)
_WORDS = (
    (r"sample|hypothesis|label|name|season|^id$|quantity|sha256|doi|fingerprint", "meta.id"),
    (r"origin|kind|tier|stream|tense", "meta.code.class"),
    (r"reference|citation|licence", "meta.bib"),
    (r"^time$", "time.epoch"),
)


def ucd_of(name: str, *, words: bool = False) -> str:
    """The UCD of a column, from its name; 'stat.value' or, of words, 'meta.note' where no name tells more."""
    for ending, end in (("_low", ";stat.min"), ("_high", ";stat.max")):
        if name.endswith(ending) and not (of_whole := ucd_of(name.removesuffix(ending))).startswith("stat."):
            return of_whole + end
    known, otherwise = (_WORDS, "meta.note") if words else (_NUMBERS, "stat.value")
    return next((ucd for pattern, ucd in known if re.search(pattern, name)), otherwise)


def forms_of(table: Table) -> Iterator[tuple[str, bytes]]:
    """Endings and bytes; the same table gives the same bytes.  What the head of the table says is in each."""
    yield ".ecsv", table_ecsv(table)
    yield ".vot", _votable(table)
    yield ".parquet", _parquet(table)


def _is_words(column: Any) -> bool:
    return column.dtype.kind in "UOS"


def _votable(table: Table) -> bytes:
    """As text, which astropy writes alike each time; what is masked, or a missing word, is empty."""
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Info
    from astropy.table import Table

    plain = Table(table, copy=True)
    plain.meta = {}
    for name in plain.colnames:
        plain[name].meta["ucd"] = ucd_of(name, words=_is_words(plain[name]))
    document = from_table(plain)
    for key, value in table.meta.items():
        document.infos.append(Info(name=key, value=str(value)))
    buffer = io.BytesIO()
    document.to_xml(buffer)
    return buffer.getvalue()


def _parquet(table: Table) -> bytes:
    """Units, meanings and UCDs in the metadata of each field; masked values are null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields, arrays = [], []
    for name in table.colnames:
        column = table[name]
        array = pa.array(_values(column))
        about = {
            "unit": str(column.unit or ""), "description": str(column.info.description or ""),
            "ucd": ucd_of(name, words=_is_words(column)),
        }  # fmt: skip
        fields.append(pa.field(name, array.type, metadata=about))
        arrays.append(array)
    head = {key: str(value) for key, value in table.meta.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=head)), buffer)
    return buffer.getvalue()


def _values(column: Any) -> list[Any]:
    """Values of a column as Python has them, None where masked; cells of several numbers are lists."""
    if (mask := getattr(column, "mask", None)) is None:
        return list(np.asarray(getattr(column, "value", column)).tolist())
    pairs = zip(np.ma.getdata(column).tolist(), np.asarray(mask).tolist(), strict=True)
    return [None if np.all(hidden) else value for value, hidden in pairs]
