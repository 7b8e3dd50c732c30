"""From what a user types to a catalogue: 'snr', 'hgps?rule=...&weight=...', 'FILE?ra=...&dec=...&rule=...'."""

from __future__ import annotations

import io
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import find, source_catalogues
from nuanalysis.sky import catalogues
from nuanalysis.sky.catalogues import Choice, Match, Selection, SourceTable
from nuanalysis.sky.records import Catalogue
from nuanalysis.store import sha256_file

if TYPE_CHECKING:
    from astropy.table import Table

Floats = NDArray[np.float64]

PREFIX = "stack:"
CHOICE_KEYS = ("rule", "weight", "duplicates", "within")
KEYS = (*CHOICE_KEYS, *catalogues.KEYS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a name stands for: a list, a released catalogue or a file; its column map; and what is chosen of it."""

    source: str
    columns: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = field(default_factory=Choice)
    chosen: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it is a user's file, and no name that is known."""
        return is_own_file(self.source)


@dataclass(frozen=True, slots=True)
class Known:
    """A catalogue that has a name: how many sources, where it is from, which release it needs, whether that is here."""

    name: str
    title: str
    sources: int
    needs: str
    here: bool
    reference: str


# ---- names --------------------------------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """Every catalogue that has a name."""
    return (*catalogues.CATALOGUES, *source_catalogues.LAYOUTS)


def known_catalogues() -> tuple[Known, ...]:
    """Every catalogue that has a name.  Reads no file."""
    built_in = [
        Known(name, one.label, len(one.sources), "", True, one.reference) for name, one in catalogues.CATALOGUES.items()
    ]
    release = source_catalogues.RELEASE
    try:
        folder: Path | None = find(release)
    except DataError:
        folder = None
    released = [
        Known(
            name,
            layout.title,
            layout.rows,
            release.name,
            folder is not None and source_catalogues.holds(folder, name),
            layout.reference,
        )
        for name, layout in source_catalogues.LAYOUTS.items()
    ]
    return (*built_in, *released)


def parse_catalogue(text: str, **more: str) -> Asked:
    """What 'NAME?key=value&key=value' or 'FILE?...' asks for, with or without 'stack:' before it.

    Keys: rule, weight, duplicates, within (deg), and those of the column map.  A value ends at '&'; %26 is one inside,
    %25 a per cent sign; '+' is a plus.    more : the same keys given otherwise; '' is not given.
    Raises InputError with all that can be told without reading a file.
    """
    source, _, query = text.removeprefix(PREFIX).partition("?")
    said, faults = _said(query)
    for key, word in more.items():
        if word and said.get(key, word) != word:
            faults.append(f"{key} is '{said[key]}' in the name and '{word}' beside it; say it once")
        elif word:
            said[key] = word
    columns = {key: word for key, word in said.items() if key in catalogues.KEYS}
    faults += [f"unknown key '{key}'.{did_you_mean(key, KEYS)}" for key in said if key not in KEYS]
    faults += catalogues.check_map(columns, "the name")
    choice = _choice(said, faults)
    faults += choice.faults()
    if source not in names() and not Path(source).is_file():
        file = " and no such file" if "." in source or "/" in source else ""
        faults.append(f"there is no catalogue '{source}'{file}.{did_you_mean(source, names())}")
    elif source in catalogues.CATALOGUES and columns:
        faults.append(f"the list '{source}' takes no column map; leave out {', '.join(columns)}")
    if faults:
        raise InputError(f"the catalogue '{text}' cannot be used:\n  - " + "\n  - ".join(faults))
    return Asked(source, columns, choice, any(key in said for key in CHOICE_KEYS))


def _said(query: str) -> tuple[dict[str, str], list[str]]:
    """Keys and words of a query.  '+' stays: names of sources and numbers have it."""
    said: dict[str, str] = {}
    faults = []
    for part in query.split("&") if query else []:
        key, equals, word = part.partition("=")
        if not equals or not key.strip():
            faults.append(f"'{part}' is not of the form key=value; an & inside a rule is written 'and', or %26")
        elif key in said:
            faults.append(f"'{key}' is given twice")
        else:
            said[key] = unquote(word).strip()
    return said, faults


def _choice(said: Mapping[str, str], faults: list[str]) -> Choice:
    within = catalogues.Choice().within
    if "within" in said:
        try:
            within = float(np.radians(float(said["within"])))
        except ValueError:
            faults.append(f"within is '{said['within']}', expected a number of degrees")
    weight = said.get("weight") or catalogues.WEIGHTS[0]
    return Choice(said.get("rule", ""), weight, said.get("duplicates", ""), within)


def check_catalogue(text: str) -> None:
    """Raise InputError for what is wrong with a catalogue's name and can be told without reading a file."""
    parse_catalogue(text)


def is_own_file(text: str) -> bool:
    """Whether a name stands for a user's file."""
    return text.removeprefix(PREFIX).partition("?")[0] not in names()


def file_of(text: str) -> Path | None:
    """The file behind a name: the user's own, or that of a release where it is here; None for a typed list."""
    source = text.removeprefix(PREFIX).partition("?")[0]
    if source in catalogues.CATALOGUES:
        return None
    if source in source_catalogues.LAYOUTS:
        return source_catalogues.lying(find(source_catalogues.RELEASE), source)
    return Path(source)


def content_of(text: str) -> str:
    """What the sources of a name depend on besides the name: the checksum of its file and the words beside it."""
    path = file_of(text)
    if path is None:
        return "typed list"
    return f"{sha256_file(path)} {sorted(sidecar(path).items()) if is_own_file(text) else ''}"


# ---- opening ------------------------------------------------------------------------------------------------------


def open_table(asked: Asked) -> SourceTable:
    """All sources of a catalogue.  Raises InputError for a user's file, DataError for a release, with all faults."""
    if asked.source in catalogues.CATALOGUES:
        return catalogues.listed(asked.source)
    if asked.source in source_catalogues.LAYOUTS:
        table = source_catalogues.read_catalogue(find(source_catalogues.RELEASE), asked.source)
        return catalogues.read_sources(table, asked.columns)
    path = Path(asked.source)
    beside = sidecar(path)
    columns = {**beside, **asked.columns}
    return catalogues.read_sources(source_catalogues.read_table(path, columns.get("table", "")), columns)


def sidecar(path: Path) -> dict[str, str]:
    """The column map in the .toml file of the same name beside a catalogue; empty where there is none."""
    name = path.name.removesuffix(".gz")
    beside = path.with_name(name[: name.rfind(".")] + ".toml" if "." in name else name + ".toml")
    if not beside.is_file():
        return {}
    try:
        said = tomllib.loads(beside.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f'{beside} is not TOML: {error}; expected lines such as ra = "COLUMN"') from error
    words = {key: str(word) for key, word in said.items()}
    faults = catalogues.check_map(words, str(beside))
    if faults:
        raise InputError("the column map cannot be used:\n  - " + "\n  - ".join(faults))
    return words


def open_selection(text: str) -> Selection:
    """The chosen sources of a catalogue with their weights, and how they were chosen.  Raises InputError, DataError."""
    asked = parse_catalogue(text)
    return selected(asked, open_table(asked))


def selected(asked: Asked, table: SourceTable) -> Selection:
    """What is chosen of a table."""
    name = Path(asked.source).name if asked.is_file else asked.source
    query = {"rule": asked.choice.rule, "duplicates": asked.choice.duplicates}
    query["weight"] = "" if asked.choice.weight == catalogues.WEIGHTS[0] else asked.choice.weight
    said = "&".join(f"{key}={word}" for key, word in query.items() if word)
    return catalogues.select(table, asked.choice, name=name + (f"?{said}" if said else ""))


def chosen_table(asked: Asked) -> SourceTable:
    """The sources that the rule of a name takes, all their columns kept; duplicates and weights do not matter here."""
    table = open_table(asked)
    rows, _, _ = catalogues.chosen_rows(table, asked.choice.rule)
    return catalogues.part(table, rows)


def open_catalogue(text: str) -> Catalogue:
    """The catalogue a user named, with or without 'stack:' before it.

    A typed list as it is; any other name, or a list with a rule, as its selection says.  The reference names the file,
    its checksum, the columns, the rule and the weight.  Raises InputError, DataError.
    """
    text = text.removeprefix(PREFIX)
    return catalogues.catalogue(text) if text in catalogues.CATALOGUES else open_selection(text).catalogue


# ---- checking -----------------------------------------------------------------------------------------------------


def check_sources(asked: Asked, table: SourceTable) -> None:
    """Raise InputError with everything that stands against stacking all sources of a table."""
    faults = list(table.faults)
    missing = np.flatnonzero(~table.placed)
    if len(missing) and not table.faults:
        listed = ", ".join(table.name[missing[:3]])
        faults.append(f"{len(missing)} sources have no direction ({listed}{' ...' if len(missing) > 3 else ''})")
    if not asked.choice.duplicates:
        groups = catalogues.found_duplicates(table, np.arange(len(table)), asked.choice.within)
        faults += catalogues.duplicate_faults(table, groups, asked.choice.within)
    try:
        catalogues.chosen_rows(table, asked.choice.rule)
    except InputError as error:
        faults.append(str(error))
    if faults:
        raise InputError(
            f"the catalogue {asked.source} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n  - "
            + "\n  - ".join(faults)
        )


# ---- in words and numbers -----------------------------------------------------------------------------------------


def described(asked: Asked, table: SourceTable) -> dict[str, Any]:
    """What a catalogue holds: sources, classes, columns with units, notes, faults and duplicates."""
    groups = catalogues.found_duplicates(table, np.arange(len(table)), asked.choice.within)
    return {
        "source": asked.source,
        "title": table.title,
        "reference": table.reference,
        "file": table.file,
        "sha256": table.sha256,
        "sources": len(table),
        "with_direction": int(np.count_nonzero(table.placed)),
        "classes": dict(Counter(table.classes.tolist()).most_common()),
        "flux_unit": table.flux_unit,
        "flux_band": table.flux_band,
        "with_flux": int(np.count_nonzero(np.isfinite(table.flux))),
        "with_extension": int(np.count_nonzero(np.isfinite(table.extension))),
        "with_distance": int(np.count_nonzero(np.isfinite(table.distance))),
        "read_as": dict(table.used),
        "columns": [
            {"name": name, "unit": column.unit, "kind": "words" if column.values.dtype.kind == "U" else "numbers"}
            for name, column in table.columns.items()
        ],
        "columns_no_rule_can_use": list(table.vectors),
        "duplicates": [table.name[group.rows].tolist() for group in groups],
        "duplicates_within_deg": float(np.degrees(asked.choice.within)),
        "faults": list(table.faults),
        "notes": list(table.notes),
    }


def weights_rows(selection: Selection, *, seen_shares: Floats | None = None) -> list[dict[str, Any]]:
    """The table of weights, a row a source: name, class, ra, dec, extension (deg), weight, share, share of events.

    seen_shares : see ``samples.event_shares``; None where no sample is given.
    """
    shares = selection.shares
    return [
        {
            "name": source.name,
            "class": selection.classes[k],
            "ra_deg": float(np.degrees(source.right_ascension)),
            "dec_deg": float(np.degrees(source.declination)),
            "extension_deg": float(np.degrees(source.extension)),
            "weight": selection.catalogue.weights[k],
            "share": float(shares[k]),
            "share_of_events": None if seen_shares is None else float(seen_shares[k]),
        }
        for k, source in enumerate(selection.catalogue.sources)
    ]


def weights_document(selection: Selection, *, seen_shares: Floats | None = None) -> dict[str, Any]:
    """A selection as one document, with its table of weights."""
    return {
        "name": selection.catalogue.name,
        "label": selection.catalogue.label,
        "reference": selection.catalogue.reference,
        "listed": selection.listed,
        "selected": len(selection.catalogue.sources),
        "left_out_for_missing_values": selection.unknown,
        "notes": list(selection.notes),
        "weights": weights_rows(selection, seen_shares=seen_shares),
    }


def weights_ecsv(selection: Selection, *, seen_shares: Floats | None = None) -> bytes:
    """The table of weights as ECSV; read back as a catalogue it gives the same sources."""
    from astropy.table import Table

    rows = weights_rows(selection, seen_shares=seen_shares)
    keys = [key for key in rows[0] if key != "share_of_events" or seen_shares is not None]
    units = {"ra_deg": "deg", "dec_deg": "deg", "extension_deg": "deg"}
    table: Table = Table({key: [row[key] for row in rows] for key in keys}, units=units)
    table.meta = {"label": selection.catalogue.label, "reference": selection.catalogue.reference}
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()


def matched(one: SourceTable, other: SourceTable, found: Match, *, within_deg: float) -> dict[str, Any]:
    """A cross-match as one document; angles in deg, None where a source has no direction."""

    def alone(table: SourceTable, rows: Any, nearest: Floats) -> list[dict[str, Any]]:
        return [
            {
                "name": str(table.name[row]),
                "nearest_deg": float(np.degrees(nearest[row])) if np.isfinite(nearest[row]) else None,
            }
            for row in rows
        ]

    times = Counter(found.second.tolist())
    return {
        "catalogues": [one.title, other.title],
        "within_deg": within_deg,
        "pairs": [
            {
                "names": [str(one.name[a]), str(other.name[b])],
                "classes": [str(one.classes[a]), str(other.classes[b])],
                "separation_deg": float(np.degrees(apart)),
                "shared": times[b] > 1,
            }
            for a, b, apart in zip(found.first.tolist(), found.second.tolist(), found.separation, strict=True)
        ],
        "unmatched": [
            alone(one, found.alone_first, found.nearest_first),
            alone(other, found.alone_second, found.nearest_second),
        ],
    }
