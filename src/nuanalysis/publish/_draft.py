"""A release under construction: where its files go, and what their headers say."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nuanalysis import plot
from nuanalysis.errors import DataError
from nuanalysis.publish._manifest import json_text
from nuanalysis.publish._results import Results
from nuanalysis.publish._spec import SPEC
from nuanalysis.publish._tables import forms_of
from nuanalysis.publish._texts import Recipe
from nuanalysis.store import regular, unlinked
from nuanalysis.store.fits import Stamp

if TYPE_CHECKING:
    from astropy.table import Table

#: Of a table that shows every result.
SEE_INSIDE = "see column origin"


@dataclass(frozen=True, slots=True)
class Draft:
    """A release under construction: where it is written, and what goes into its headers.

    alerts : a finished folder of alerts that goes into it.
    """

    run_folder: Path
    folder: Path
    run: Results
    recipe: Recipe
    version: str
    alerts: Path | None = None

    @property
    def spec(self) -> Path:
        """What was asked for, where the run keeps it."""
        return self.run_folder / SPEC

    @property
    def name(self) -> str:
        """Name of the release and of its folder."""
        return f"nuanalysis-{self.run.name}-{self.version}"

    @property
    def overall(self) -> str:
        """Origin of a table that shows every result: told in its name only where all of them are synthetic."""
        origins = {sample.origin for sample in self.run.samples}
        return "synthetic" if origins == {"synthetic"} else SEE_INSIDE

    def stamp(self, origin: str) -> Stamp:
        """Header cards of a file of this origin."""
        return Stamp(
            self.name,
            self.run.created,
            origin,
            "terms of the upstream release, see LICENSE" if origin == "real" else self.recipe.licence,
            f"nuanalysis {self.run.versions['nuanalysis']}",
        )

    def head(self, origin: str) -> dict[str, str]:
        """What the head of a text table says."""
        return {"ORIGIN": origin, "DATE": self.run.created, "RELEASE": self.name, "LICENCE": self.recipe.licence}

    def write(self, path: str, data: bytes) -> None:
        """Put a file into the draft."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def write_table(self, stem: str, rows: Table, origin: str) -> None:
        """Put an astropy table into the draft as ECSV, VOTable and Parquet, with the head of the release."""
        rows.meta.update(self.head(origin))
        for ending, data in forms_of(rows):
            self.write(f"{stem}{ending}", data)

    def write_json(self, path: str, origin: str, **content: object) -> None:
        """Put a JSON document into the draft, with the head of the release."""
        self.write(path, json_text({"header": self.head(origin), **content}).encode())

    def copy(self, source: Path, path: str) -> None:
        """Put a copy of a file of the run into the draft.  Raises DataError for a link, and for what is no file."""
        regular(unlinked(self.run_folder, source), "the file", error=DataError)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    def seasons(self, kind: str) -> list[Path]:
        """Events or responses of all seasons that the results name, sorted.  Raises DataError for a link."""
        names = sorted(season.name for sample in self.run.samples for season in sample.seasons)
        return [unlinked(self.run_folder, self.run_folder / "products" / f"{kind}-{name}.zip") for name in names]


def marked(stem: str, origin: str) -> str:
    """File name without ending: a synthetic one says so."""
    return stem if "synthetic" in stem or origin == SEE_INSIDE else f"{stem}{plot.mark(origin)}"
