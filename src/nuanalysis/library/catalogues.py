"""From what a user types to a catalogue: 'snr', 'hgps?rule=...&weight=...', 'FILE?ra=...&dec=...&rule=...'."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.errors import DataError, InputError, did_you_mean, refuse
from nuanalysis.ingest import find, source_catalogues, uhecr
from nuanalysis.records import Record, shown
from nuanalysis.sky import catalogues
from nuanalysis.sky.catalogues import Choice, Selection, SourceTable
from nuanalysis.sky.records import Catalogue
from nuanalysis.store import read_toml, refuse_rows, regular, sha256_file

if TYPE_CHECKING:
    from astropy.table import Table

PREFIX = "stack:"
CHOICE_KEYS = ("rule", "weight", "duplicates", "within")
KEYS = (*CHOICE_KEYS, *catalogues.KEYS)
#: Which release, by the module that reads it, holds a catalogue that is not typed into the package.
RELEASED = {name: module for module in (source_catalogues, uhecr) for name in module.LAYOUTS}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a name stands for: a list, a released catalogue or a file; its column map; and what is chosen of it."""

    source: str
    columns: Mapping[str, str]
    choice: Choice
    chosen: bool


class Known(Record):
    """A catalogue that has a name: how many sources, where it is from, which release it needs, whether that is here."""

    name: str = shown("catalogue")
    title: str = shown("what it is")
    sources: int = shown("sources")
    needs: str = shown("release that it needs", "")
    here: bool = shown("whether that is here", True)
    reference: str = shown("reference")

    def words(self, form: str = "") -> str:
        needs = f"; needs the release {self.needs} ({'here' if self.here else 'not here'})" if self.needs else ""
        return f"{self.name:<10} {self.sources:>6,}  {self.title}{needs}"


def names() -> tuple[str, ...]:
    """Every catalogue that has a name."""
    return (*catalogues.CATALOGUES, *RELEASED)


def known_catalogues() -> tuple[Known, ...]:
    """Every catalogue that has a name.  Reads no file."""
    built_in = [
        Known.taken_from(one, name=name, title=one.label, sources=len(one.sources))
        for name, one in catalogues.CATALOGUES.items()
    ]
    released = [
        Known.taken_from(
            module.LAYOUTS[name],
            name=name,
            sources=module.LAYOUTS[name].rows,
            needs=module.RELEASE.name,
            here=bool(_files(name)),
        )
        for name, module in RELEASED.items()
    ]
    return (*built_in, *released)


def _files(name: str) -> tuple[Path, ...]:
    """Where the files of a released catalogue lie; empty where they are not here."""
    module, files = RELEASED[name], tuple[Path, ...]()
    with suppress(DataError):
        files = module.lying(find(module.RELEASE), name)
    return files


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
    if source not in names():
        faults += _not_a_file(source)
    elif source in catalogues.CATALOGUES and columns:
        faults.append(f"the list '{source}' takes no column map; leave out {', '.join(columns)}")
    refuse(faults, f"the catalogue '{text}' cannot be used")
    return Asked(source, columns, choice, any(key in said for key in CHOICE_KEYS))


def _not_a_file(source: str) -> list[str]:
    """What stands against a name that is no list's as the name of a file."""
    if not os.path.lexists(source):
        file = " and no such file" if "." in source or "/" in source else ""
        return [f"there is no catalogue '{source}'{file}.{did_you_mean(source, names())}"]
    try:
        regular(Path(source), "the catalogue")
    except InputError as error:
        return [str(error)]
    return []


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


def is_own_file(text: str) -> bool:
    """Whether a name stands for a user's file."""
    return text.removeprefix(PREFIX).partition("?")[0] not in names()


def content_of(text: str) -> str:
    """What the sources of a name depend on besides the name: the checksum of its file and the words beside it.

    Raises DataError for a release that is not here.
    """
    source = text.removeprefix(PREFIX).partition("?")[0]
    if is_own_file(source):
        return f"{sha256_file(Path(source))} {sorted(sidecar(Path(source)).items())}"
    if source not in RELEASED:
        return "typed list"
    module = RELEASED[source]
    return " ".join(map(sha256_file, module.lying(find(module.RELEASE), source))) + " "


def open_table(asked: Asked) -> SourceTable:
    """All sources of a catalogue.  Raises InputError for a user's file, DataError for a release, with all faults."""
    if asked.source in catalogues.CATALOGUES:
        return catalogues.listed(asked.source)
    if asked.source in RELEASED:
        module = RELEASED[asked.source]
        return catalogues.read_sources(module.read_catalogue(find(module.RELEASE), asked.source), asked.columns)
    path = Path(asked.source)
    columns = {**sidecar(path), **asked.columns}
    return catalogues.read_sources(source_catalogues.read_table(path, columns.get("table", "")), columns)


def sidecar(path: Path) -> dict[str, str]:
    """The column map in the .toml file of the same name beside a catalogue; empty where there is none."""
    name = path.name.removesuffix(".gz")
    beside = path.with_name(name[: name.rfind(".")] + ".toml" if "." in name else name + ".toml")
    if not os.path.lexists(beside):  # which a name that is too long is not, either
        return {}
    said = read_toml(beside, "the column map", 'expected lines such as ra = "COLUMN"')
    words = {key: str(word) for key, word in said.items()}
    refuse(catalogues.check_map(words, str(beside)), "the column map cannot be used")
    return words


def open_selection(text: str) -> Selection:
    """The chosen sources of a catalogue with their weights, and how they were chosen.  Raises InputError, DataError."""
    asked = parse_catalogue(text)
    return selected(asked, open_table(asked))


def selected(asked: Asked, table: SourceTable) -> Selection:
    """What is chosen of a table."""
    name = Path(asked.source).name if is_own_file(asked.source) else asked.source
    query = {"rule": asked.choice.rule, "duplicates": asked.choice.duplicates}
    query["weight"] = "" if asked.choice.weight == catalogues.WEIGHTS[0] else asked.choice.weight
    said = "&".join(f"{key}={word}" for key, word in query.items() if word)
    return catalogues.select(table, asked.choice, name=name + (f"?{said}" if said else ""))


def chosen_table(asked: Asked) -> SourceTable:
    """The sources that the rule of a name takes, all their columns kept; duplicates and weights do not matter here."""
    table = open_table(asked)
    rows, _, _ = catalogues.chosen_rows(table, asked.choice.rule)
    return catalogues.part(table, rows)


def open_catalogue(text: str, **more: str) -> Catalogue:
    """The catalogue a user named, with or without 'stack:' before it.

    A typed list as it is; any other name, or a list with a rule, as its selection says.  The reference names the file,
    its checksum, the columns, the rule and the weight.    more : as for ``parse_catalogue``.
    Raises InputError, DataError.
    """
    text = text.removeprefix(PREFIX)
    if text in catalogues.CATALOGUES and not any(more.values()):
        return catalogues.catalogue(text)
    asked = parse_catalogue(text, **more)
    return selected(asked, open_table(asked)).catalogue


def catalogue(
    source: object,
    *,
    rule: str = "",
    weight: str = "",
    duplicates: str = "",
    within: u.Quantity | None = None,
    name: str = "own",
    **columns: str,
) -> Catalogue:
    """Sources that are stacked: a list that has a name, a file, or a table.

    source : 'snr', 'hgps' (see ``nuanalysis catalogues ls``), the path of a table, or an astropy Table, pandas
        DataFrame or mapping of columns; a column of SkyCoord serves for ra and dec.
    rule : which sources, such as "class == 'PWN' and flux > 1e-12"; '' for all.
    weight : 'equal' (at Earth), 'flux', '1/distance^2', or a column of numbers.
    duplicates : 'keep', 'merge' or 'first'; sources that are nearer than ``within`` are refused unless it is said.
    name : of a table.    columns : which column is what, and its frame and units, where their names do not tell:
        ``ra='RAJ2000'``, ``frame='galactic'``, ``extension_unit='deg'``; see ``sky.catalogues.KEYS``.
    Raises InputError with all faults, DataError where a release is not here.

    >>> len(nu.catalogue("snr").sources)
    12
    """
    if isinstance(source, Catalogue):
        return source
    try:
        near = "" if within is None else f"{float(u.Quantity(within).to_value(u.deg)):.12g}"
    except (u.UnitsError, TypeError, ValueError) as error:
        raise InputError(f"within is {within}; expected an angle, such as 0.1 * u.deg") from error
    asked = {"rule": rule, "weight": weight, "duplicates": duplicates, "within": near}
    if isinstance(source, str | Path):
        return open_catalogue(str(source), **asked, **columns)
    faults = [f"'{name}' is the name of a known list; give the table another"] * (name in names())
    faults += [f"unknown key '{key}'.{did_you_mean(key, KEYS)}" for key in columns if key not in KEYS]
    choice = _choice({key: word for key, word in asked.items() if word}, faults)
    refuse(faults, f"the table '{name}' cannot be used as a catalogue")
    table = catalogues.read_sources(_own_table(source, name), columns)
    return selected(Asked(name, columns, choice, True), table).catalogue


def _own_table(source: Any, name: str) -> Table:
    """A table in memory as the readers of files give theirs: plain columns with units, and where it is from."""
    from astropy.table import Table

    try:
        table = Table.from_pandas(source) if hasattr(source, "to_numpy") else Table(source, copy=True)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"a {type(source).__name__} is no table of sources ({error}); expected a name, a file, an astropy Table or "
            "a DataFrame"
        ) from error
    refuse_rows(f"the table '{name}'", len(table))
    catalogues.replace_mixins(table)
    digest = hashlib.sha256(repr([(key, np.asarray(table[key]).tolist()) for key in table.colnames]).encode())
    reference = str(table.meta.get("reference", "table of the user"))
    table.meta = {"file": name, "title": f"table '{name}'", "sha256": digest.hexdigest(), "reference": reference}
    table.meta |= {"columns": {}, "notes": []}
    return table


def check_sources(asked: Asked, table: SourceTable) -> None:
    """Raise InputError with everything that stands against stacking the sources that a rule takes."""
    faults, rows = list(table.faults), np.arange(len(table))
    try:
        rows, *_ = catalogues.chosen_rows(table, asked.choice.rule)
    except InputError as error:
        faults.append(str(error))
    faults += catalogues.unplaced(table, rows)
    if not asked.choice.duplicates:
        groups = catalogues.found_duplicates(table, rows, asked.choice.within)
        faults += catalogues.duplicate_faults(table, groups, asked.choice.within)
    refuse(faults, f"the catalogue {asked.source} has {len(faults)} fault{'s' * (len(faults) > 1)}")
