"""What the benchmark says of itself: README, model cards, checksums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from nuanalysis.chain._networks import Trained
from nuanalysis.chain.score import ScoreAnswer
from nuanalysis.records import Measured
from nuanalysis.schema import Schema
from nuanalysis.store import sha256_file

if TYPE_CHECKING:
    from astropy.table import QTable


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What the README is written from.

    made, train, test : events.  versions : of Python and packages, in words.  truth : the table.
    """

    version: str
    seed: int
    medium: str
    made: int
    train: int
    test: int
    muon_factor: Measured
    fluxes: str
    versions: tuple[str, ...]
    simulate: str
    truth: QTable
    predictions: Schema
    score: ScoreAnswer
    limits: tuple[str, ...]


def product_text(name: str) -> str:
    """Text of one file that goes into the product, or of a template for one."""
    return (files("nuanalysis.chain") / "product" / name).read_text(encoding="utf-8")


def readme(described: Described) -> str:
    """README.md of the benchmark."""
    return _rendered("README.md.j2", it=described)


def card_text(task: str, trained: Trained, sha256: str) -> str:
    """The model card of a network; sha256 : of its file."""
    return _rendered("card.md.j2", task=task, trained=trained, network=trained.network, sha256=sha256)


def sums_text(folder: Path, names: Sequence[str]) -> str:
    """Lines of SHA256SUMS for files in a folder, as ``sha256sum -c`` reads them."""
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in sorted(names))


def _rendered(template: str, **values: object) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    environment.filters["words"] = lambda value: "-" if value is None else value.cell().replace("+-", "±")
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]  # capitalize would lower the rest
    return environment.from_string(product_text(template)).render(**values)
