"""The documents that the steps of a run leave for each other, as records: what is damaged is named, with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from nuanalysis.errors import DataError, StepMissing
from nuanalysis.publish import Amount, CutRow, SampleCard
from nuanalysis.records import Record, faults_in_words, shown
from nuanalysis.store import read_json

R = TypeVar("R", bound=Record)


class Book(Record):
    """samples.json: what the event store was filled from, and how far it is."""

    key: str = shown("sha256 of what the events depend on")
    seasons: dict[str, tuple[str, ...]] = shown("seasons of each sample")
    left_out: dict[str, str] = shown("samples that are not here, and why")
    complete: bool = shown("whether all events are stored", False)


SELECTED = "selection.json"


class Selection(Record):
    """selection.json: the samples after their cuts."""

    samples: tuple[SampleCard, ...] = shown("samples")
    cut_flow: tuple[CutRow, ...] = shown("cut flow")


class Cost(Record):
    """What an answer cost."""

    core_seconds: Amount = shown("core-seconds", unit="s")
    measured: str = shown("how they were measured")
    seconds: Amount = shown("wall time", unit="s")


class Part(Record):
    """A file of results/: an answer, and what it was made from."""

    key: str = shown("sha256 of all that the answer depends on")
    answer: dict[str, Any] = shown("the answer as it is published")
    products: tuple[str, ...] = shown("files of its large datasets, below the run folder")
    cost: Cost = shown("what it cost")


def read(kind: type[R], path: Path, step: str) -> R:
    """A document of a run.  Raises StepMissing, which names the step that writes it, or DataError."""
    if not path.is_file():
        raise StepMissing(f"no {path.name} in {path.parent}; run '{step}' first")
    remedy = f"{path.name} is damaged: remove it and run '{step}' again, finished parts are kept"
    document = read_json(path, "the file", remedy)
    try:
        return kind.from_dict(document)
    except ValidationError as error:
        raise DataError(f"the file {path} cannot be read:\n  - {faults_in_words(error, (kind,))}\n{remedy}") from error
