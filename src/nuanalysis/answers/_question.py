"""What every question and every answer can do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, PlainSerializer

from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.library.hypotheses import check_name, hypothesis
from nuanalysis.library.samples import Samples
from nuanalysis.records import Provenance, Record, Settings, made, shown, table
from nuanalysis.sky.records import Catalogue

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

    from nuanalysis.plot import Drawn


def _checked(given: object) -> object:
    """A name that can be told without reading a map, or one of our own nouns."""
    if isinstance(given, str):
        try:
            check_name(given.replace("each:", "stack:", 1) if given.startswith("each:") else given)
        except InputError as error:
            raise ValueError(str(error)) from error
        return given
    try:
        return hypothesis(given)
    except InputError as error:
        raise ValueError(str(error)) from error


#: template:NAME, template:FILE, stack:CATALOGUE, point:RA,DEC, or a noun that Python holds.
Named = Annotated[Any, BeforeValidator(_checked), PlainSerializer(lambda one: getattr(one, "name", one))]


def _checked_sources(given: object) -> object:
    """The name of a list of sources that can be told without reading it, or a catalogue that Python holds."""
    if isinstance(given, str):
        try:
            check_name(f"stack:{given.removeprefix('stack:')}")
        except InputError as error:
            raise ValueError(str(error)) from error
        return given
    if isinstance(given, Catalogue):
        return given
    raise ValueError(f"expected the name of a list of sources or a catalogue, found {type(given).__name__}")


#: A list of sources: a name, NAME?rule=.., a file, or a catalogue that Python holds.
Sources = Annotated[Any, BeforeValidator(_checked_sources), PlainSerializer(lambda one: getattr(one, "name", one))]


def stacked(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Different lists of sources as stacks.  Raises ValueError for none, and for one that is named twice."""
    names = [str(getattr(one, "name", one)).removeprefix("stack:") for one in given]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} named twice; expected different lists of sources")
    if not names:
        raise ValueError("no list of sources; expected one or more, for example snr")
    return tuple(f"stack:{one.removeprefix('stack:')}" if isinstance(one, str) else one for one in given)


class Question(Settings):
    """What is asked: one record is a section of the spec, the options of a verb and the arguments in Python.

    several : whether it is asked of several samples at once.
    example : settings with which it is answered in seconds, for examples and tests.
    """

    several: ClassVar[bool] = False
    example: ClassVar[Mapping[str, Any]] = {}

    def ask(self, samples: Samples, bench: Bench) -> Answer:
        """The answer.  Raises InputError for what cannot be asked of these samples."""
        raise NotImplementedError

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The question with these settings.  Raises InputError with all faults in one message."""
        return made(cls, values, f"'{cls.__module__.rpartition('.')[2]}' cannot be asked so")

    @classmethod
    def title(cls) -> str:
        """The question in a sentence."""
        return (cls.__doc__ or cls.__name__).strip().partition("\n")[0]


class Answer(Record):
    """What was found: shows itself as text, HTML, table, JSON and figure."""

    name: ClassVar[str] = "answer"
    rows: ClassVar[str] = ""  # the field whose records are the rows of its table; without: the answer is one row
    provenance: Provenance = shown("whose events")

    def headline(self) -> tuple[str, ...]:
        """The answer in a sentence or two."""
        return ()

    def to_table(self) -> QTable:
        """An astropy QTable: a row for each part of the answer where it has parts, else one row."""
        return table(getattr(self, self.rows) if self.rows else (self,), self.provenance)

    def drawn(self) -> tuple[Drawn, ...]:
        """The figures of the answer, each with its caption and alt text."""
        return ()

    def plot(self) -> Figure:
        """The figure of the answer; the first where there are several."""
        figures = self.drawn()
        if not figures:
            raise InputError(f"this answer has nothing to draw: {'; '.join(self.headline()) or type(self).__name__}")
        return figures[0].figure

    def files(self) -> Mapping[str, bytes]:
        """Files besides figures, table and JSON, by name."""
        return {}

    def products(self) -> dict[str, xr.Dataset]:
        """Large datasets that belong to the answer, by the name of the field that carries them."""
        carried = {name: getattr(self, name) for name, field in type(self).model_fields.items() if field.exclude}
        return {name: one for name, one in carried.items() if isinstance(one, xr.Dataset)}

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write JSON, table, figures and whatever else belongs to the answer into a folder; returns the paths.

        Raises InputError where ``folder`` is a file.
        """
        from nuanalysis import plot, store

        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; name a folder, or one that does not exist yet")
        hypothesis = getattr(getattr(self, "tested", None), "hypothesis", "")
        parts = (self.name, plot.slug(self.provenance.sample), hypothesis and plot.slug(hypothesis))
        stem = "-".join(filter(None, parts))
        marked = stem + plot.mark(self.provenance.origin)
        written = {
            f"{marked}.json": (json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n").encode(),
            f"{marked}.ecsv": store.table_ecsv(self.to_table()),
            **self.files(),
        }
        paths = []
        for name, data in written.items():
            store.atomic_write(folder / name, data)
            paths.append(folder / name)
        paths += [plot.save(one.figure, folder, one.sidecar, table=one.table) for one in self.drawn()]
        return tuple(paths)
