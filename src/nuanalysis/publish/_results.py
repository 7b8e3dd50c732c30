"""results.json: what a run found, as one record of answers; its JSON Schema is made from the records."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic.json_schema import models_json_schema

from nuanalysis import store
from nuanalysis.answers import QUESTIONS, Answer, answer_of
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, StepMissing, printable, refuse
from nuanalysis.plot import slug
from nuanalysis.publish._ranges import range_faults
from nuanalysis.records import Record, faults_in_words, shown, table

if TYPE_CHECKING:
    from astropy.table import QTable

SCHEMA_VERSION = "2"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
SeasonName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
A = TypeVar("A", bound=Answer)


def is_moment(text: str) -> str:
    """The text, if it is a moment as results.json writes it.  Raises ValueError for any other."""
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return text


Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(is_moment)]


class InputFile(Record):
    """A file of a release that was opened."""

    path: str = shown("path")
    sha256: Sha256 = shown("its checksum")


class Input(Record):
    """An upstream release behind a run."""

    name: str = shown("name")
    title: str = shown("title")
    doi: str = shown("DOI")
    doi_confirmed: bool = shown("whether the DOI was confirmed at its registry")
    licence: str = shown("licence")
    citation: str = shown("citation")
    files: tuple[InputFile, ...] = shown("files that were opened")


class Season(Record):
    """A part of a sample."""

    name: SeasonName = shown("season")
    n_events: Count = shown("events")
    livetime_d: Amount = shown("livetime", unit="d", form=".2f")


class SampleCard(Record):
    """A sample of a run."""

    sample: str = shown("sample")
    origin: Literal["real", "synthetic"] = shown("real or synthetic")
    label: str = shown("label")
    n_events: Count = shown("events after selection")
    livetime_s: Amount = shown("livetime", unit="s")
    reference: str = shown("who published the events, or the tables they are drawn from")
    note: str = shown("stand-ins and simplifications")
    seasons: tuple[Season, ...] = shown("seasons")


class CutRow(Record):
    """A line of the cut flow."""

    sample: str = shown("sample")
    season: str = shown("season")
    cut: str = shown("cut")
    events: Count = shown("events left")
    rate_hz: float | None = shown("events over livetime", unit="Hz")
    exposure_d: float | None = shown("livetime", unit="d")


class Spent(Record):
    """What a part of a run cost."""

    section: str = shown("question")
    name: str = shown("name of it in the spec")
    sample: str = shown("sample")
    core_seconds: Amount = shown("core-seconds", unit="s", form=".1f")
    measured: str = shown("how they were measured")
    seconds: Amount = shown("wall time", unit="s", form=".1f")


class Entry(Record):
    """An answer of a run: which question, under which name of the spec."""

    section: str = shown("question")
    name: str = shown("name of it in the spec")
    answer: Any = shown("answer")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        """The answer as the record of its question."""
        if not (isinstance(values, Mapping) and isinstance(values.get("answer"), Mapping)):
            return values
        try:
            kind = answer_of(str(values.get("section")))
            return {**values, "answer": kind.from_dict(values["answer"])}
        except InputError as error:
            raise ValueError(str(error)) from error
        except ValidationError as error:
            raise ValueError(f"the answer is damaged: {faults_in_words(error, (kind,))}") from error

    @property
    def sample(self) -> str:
        """The sample it is about."""
        return str(self.answer.provenance.sample)

    @property
    def origin(self) -> str:
        """'real', 'synthetic' or 'mixed'."""
        return str(self.answer.provenance.origin)

    @property
    def stem(self) -> str:
        """What files about it are called."""
        return f"{self.section}-{slug(self.sample)}-{slug(self.name)}"

    def faults(self, place: str = "answer.") -> Iterator[str]:
        """Every number of the answer that cannot be."""
        return range_faults(self.answer, self.answer.provenance.n_events, place)

    def product(self, folder: Path, kind: str) -> Path:
        """Where a large dataset of the answer is kept in a run folder."""
        return folder / "products" / f"{kind}-{self.stem.removeprefix('measure-')}.zip"


class Results(Record):
    """Everything a run found."""

    created: Moment = shown("when the numbers last changed, UTC")
    schema_version: Literal["2"] = shown("version of this layout", SCHEMA_VERSION)
    name: FileName = shown("name of the run")
    spec_fingerprint: Sha256 = shown("sha256 of the spec")
    seed: int = shown("seed")
    versions: dict[str, str] = shown("versions of the software")
    inputs: tuple[Input, ...] = shown("upstream releases")
    left_out: dict[str, str] = shown("samples left out, and why")
    left_out_questions: dict[str, str] = shown("hypotheses and questions left out, and why")
    samples: tuple[SampleCard, ...] = shown("samples")
    cut_flow: tuple[CutRow, ...] = shown("cut flow")
    answers: tuple[Entry, ...] = shown("answers")
    costs: tuple[Spent, ...] = shown("what each part cost")

    def entries(self, section: str) -> tuple[Entry, ...]:
        """The answers to one question."""
        return tuple(one for one in self.answers if one.section == section)

    def of(self, kind: type[A]) -> Iterator[A]:
        """The answers of one kind."""
        return (one.answer for one in self.answers if isinstance(one.answer, kind))


def measured(entries: Sequence[Entry]) -> QTable:
    """Every number of answers of one kind as an astropy table, one row each, whose events first."""
    out = table([one.answer for one in entries])
    out.add_columns([[one.sample for one in entries], [one.origin for one in entries]], [0, 0], ["sample", "origin"])
    return out


def results_schema() -> dict[str, Any]:
    """JSON Schema of results.json, from the records of all answers."""
    kinds = {name: answer_of(name) for name in QUESTIONS}
    models = [(Results, "serialization"), *((kind, "serialization") for kind in kinds.values())]
    _, together = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    defs = together["$defs"]
    entry = defs.pop("Entry")
    pairs = [
        {"properties": {"section": {"const": name}, "answer": {"$ref": f"#/$defs/{kind.__name__}"}}}
        for name, kind in kinds.items()
    ]
    defs["Entry"] = {**entry, "oneOf": pairs}
    bare: dict[str, Any] = _bare({**defs.pop("Results"), "$defs": defs})
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "results.json of nuanalysis, version 2",
    }
    return {**about, **bare}


def _bare(part: Any) -> Any:
    """A schema without what is said for screens; a property may be called so, but is no string."""
    if isinstance(part, Mapping):
        screens = ("title", "form", "short")
        said = {key for key, value in part.items() if isinstance(value, str) and (key in screens or not value)}
        return {key: _bare(value) for key, value in part.items() if key not in said}
    return [_bare(one) for one in part] if isinstance(part, list) else part


def schema_text() -> str:
    """The schema as it is kept in the recipe and in releases: one record a line."""
    schema = results_schema()
    records = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(schema.pop("$defs").items())
    )
    lines = [f" {json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in schema.items()]
    return "{\n" + ",\n".join(lines) + f',\n "$defs": {{\n{records}\n }}\n}}\n'


def read_results(document: object, *, source: str) -> Results:
    """The record of results.json.  Raises DataError that lists all faults at once."""
    what = f"{source} does not keep the results schema (version {SCHEMA_VERSION})"
    remedy = "Run the analysis again with this version of nuanalysis."
    try:
        found = Results.model_validate(document)
    except ValidationError as error:
        raise DataError(f"{what}:\n  - {faults_in_words(error, (Results,))}\n{remedy}") from error
    faults = [fault for number, one in enumerate(found.answers) for fault in one.faults(f"answers.{number}.answer.")]
    if not found.versions.get("nuanalysis"):
        faults.append("versions does not name the version of nuanalysis")
    faults += [f"{place} holds control characters: {printable(text)}" for place, text in _unprintable(document)]
    refuse([*faults, *_altered(document, found.to_dict())], what, remedy, error=DataError)
    return found


def _unprintable(said: Any, place: str = "results") -> Iterator[tuple[str, str]]:
    """Words that would move a cursor, or hide what stands before them, wherever a text of the release is shown."""
    if isinstance(said, str) and printable(said) != said:
        yield place, said
    elif isinstance(said, Mapping):
        for key, value in said.items():
            yield from _unprintable(str(key), f"a name in {place}")
            yield from _unprintable(value, f"{place}.{printable(str(key))}")
    elif isinstance(said, list):
        for number, one in enumerate(said):
            yield from _unprintable(one, f"{place}.{number}")


def _altered(said: Any, anew: Any, place: str = "") -> Iterator[str]:
    """What a document says of numbers that records work out themselves, such as a significance, where it is not so."""
    if isinstance(said, Mapping) and isinstance(anew, Mapping):
        for key in said.keys() & anew.keys():
            yield from _altered(said[key], anew[key], f"{place}.{key}" if place else key)
    elif isinstance(said, Sequence) and isinstance(anew, list) and not isinstance(said, str):
        for number, (one, other) in enumerate(zip(said, anew, strict=False)):
            yield from _altered(one, other, f"{place}.{number}")
    elif not (said == anew or (_both_numbers(said, anew) and math.isclose(said, anew, rel_tol=1e-9, abs_tol=1e-12))):
        yield f"{place} is {said!r}, expected {anew!r}"


def _both_numbers(*values: Any) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)


def load_results(run_folder: Path) -> Results:
    """results.json of a run, every answer with the large datasets that the run keeps of it.

    Raises StepMissing where the run has none yet, DataError where it is damaged or holds numbers that cannot be, or
    where links lead out of the folder.
    """
    store.own_tree(run_folder, "the run folder")
    path, step = run_folder / "results.json", "nuanalysis run SPEC"
    if not os.path.lexists(path):
        raise StepMissing(f"no {path.name} in {run_folder}; run '{step}' first")
    remedy = f"{path.name} is damaged, no JSON of a run: remove it and run '{step}' again, finished parts are kept"
    found = read_results(store.read_json(path, "the file", remedy), source=str(path))
    return found.model_copy(update={"answers": tuple(with_products(one, run_folder) for one in found.answers)})


def with_products(entry: Entry, run_folder: Path) -> Entry:
    """The answer with the large datasets that a run folder keeps of it."""
    carried = [name for name, field in type(entry.answer).model_fields.items() if field.exclude]
    places = {name: store.unlinked(run_folder, entry.product(run_folder, name)) for name in carried}
    held = {name: store.read_zip(path) for name, path in places.items() if path.exists()}
    return entry.model_copy(update={"answer": entry.answer.model_copy(update=held)}) if held else entry


@dataclass(frozen=True, slots=True)
class Product:
    """A dataset of a run, for the release.    number : of its answer among those of the run, from 0."""

    number: int
    entry: Entry
    kind: str
    path: Path
    dataset: xr.Dataset


def products(entries: Iterable[Entry], run_folder: Path) -> Iterator[Product]:
    """Every large dataset that answers have, and where a run folder keeps it."""
    for number, entry in enumerate(entries):
        for kind, dataset in entry.answer.products().items():
            yield Product(number, entry, kind, entry.product(run_folder, kind), dataset)
