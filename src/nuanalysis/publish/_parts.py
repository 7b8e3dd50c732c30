"""What goes into a release, part by part: products, tables, figures, files of the run, texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.publish import _texts
from nuanalysis.publish._campaign import campaign_table
from nuanalysis.publish._fit_table import fit_table
from nuanalysis.publish._fits import events_ecsv_gz, events_fits, map_fits, response_fits, trials_fits
from nuanalysis.publish._manifest import INDEX, release_files
from nuanalysis.publish._report import render
from nuanalysis.publish._results import Product, Results, products
from nuanalysis.publish._run import Recipe, cite_only, load_figures, recipe_text
from nuanalysis.records import table
from nuanalysis.schema import EVENTS, RESPONSE, TRIALS, check
from nuanalysis.store import read_zip, sky_maps, table_ecsv, write_zip
from nuanalysis.store.fits import Stamp

if TYPE_CHECKING:
    from astropy.table import QTable

_BUILDER = "05_data_release.ipynb"
_TABLES = "derived from published tables"


@dataclass(frozen=True, slots=True)
class Draft:
    """A release under construction: where it is written, and what goes into its headers."""

    run_folder: Path
    folder: Path
    run: Results
    recipe: Recipe
    version: str

    @property
    def name(self) -> str:
        """Name of the release and of its folder."""
        return f"nuanalysis-{self.run.name}-{self.version}"

    @property
    def whole(self) -> str:
        """Origin of a table that shows every result: told in its name only where all of them are synthetic."""
        return "synthetic" if _texts.overall_origin(self.run) == "synthetic" else "see column origin"

    def stamp(self, origin: str) -> Stamp:
        """Header cards of a file of this origin."""
        licence = "terms of the upstream release, see LICENSE" if origin == "real" else self.recipe.licence
        return Stamp(self.name, self.run.created, origin, licence, f"nuanalysis {self.run.versions['nuanalysis']}")

    def header(self, origin: str) -> dict[str, str]:
        """What the head of a text table says."""
        return {"ORIGIN": origin, "DATE": self.run.created, "RELEASE": self.name, "LICENCE": self.recipe.licence}

    def write(self, path: str, data: bytes) -> None:
        """Put a file into the draft."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def write_table(self, path: str, rows: QTable, origin: str) -> None:
        """Put a table into the draft; one of synthetic events says so in its name."""
        rows.meta |= self.header(origin)
        self.write(f"{marked(path, origin)}.ecsv", table_ecsv(rows))

    def write_json(self, path: str, origin: str, **document: object) -> None:
        """Put a JSON document with a header into the draft."""
        self.write(f"{path}.json", as_json({"header": self.header(origin), **document}))

    def copy(self, source: Path, path: str) -> None:
        """Put a copy of a file of the run into the draft."""
        self.write(path, source.read_bytes())


def as_json(document: object) -> bytes:
    """The document as the bytes of a file."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def marked(stem: str, origin: str) -> str:
    """File name without ending: a synthetic one says so."""
    mark = {"synthetic": "-synthetic", "mixed": "-real-and-synthetic"}.get(origin, "")
    return stem if "synthetic" in stem else f"{stem}{mark}"


def add_events(draft: Draft) -> None:
    for path in sorted((draft.run_folder / "products").glob("events-*.zip")):
        events = check(read_zip(path), EVENTS, source=str(path))
        origin = str(events.attrs["origin"])
        name = f"events/{marked(path.stem, origin)}"
        draft.write(f"{name}.fits", events_fits(events, draft.stamp(origin)))
        meta = {key: events.attrs[key] for key in ("sample", "origin", "livetime_s", "reference")}
        draft.write(f"{name}.ecsv.gz", events_ecsv_gz(events, {**meta, **draft.header(origin)}))
        write_zip(draft.folder / f"{name}.zarr.zip", events)


def add_responses(draft: Draft) -> None:
    """A response is neither kind of event: it is a table others published, quoted in our layout."""
    for path in sorted((draft.run_folder / "products").glob("response-*.zip")):
        response = check(read_zip(path), RESPONSE, source=str(path))
        draft.write(f"response/{path.stem}.fits", response_fits(response, draft.stamp(_TABLES)))
        write_zip(draft.folder / f"response/{path.stem}.zarr.zip", response.assign_attrs(origin=_TABLES))


# --- large datasets of answers ----------------------------------------------------------------------------------------


def _trials(draft: Draft, product: Product, name: str) -> None:
    trials, stamp = check(product.dataset, TRIALS, source=str(product.path)), draft.stamp(product.entry.origin)
    draft.write(f"{name}.fits", trials_fits(trials, stamp, title=product.entry.name))


def _map(draft: Draft, product: Product, name: str) -> None:
    stamp = draft.stamp(product.entry.origin)
    draft.write(f"{name}.fits", map_fits(product.dataset, stamp, title=product.entry.name))


def _sky(draft: Draft, product: Product, name: str) -> None:
    """A scan: maps in three forms, and the page."""
    found, answer = sky_maps.sky_map_of(product.dataset), product.entry.answer
    stamp = draft.stamp(product.entry.origin)
    draft.write(f"{name}.fits", sky_maps.map_fits(found, answer.provenance, stamp))
    draft.write(f"{name}.multiorder.fits", sky_maps.multi_order_fits(found, answer.provenance, stamp))
    draft.write(f"{name}.plane.fits", sky_maps.plane_fits(found, answer.provenance, stamp))
    draft.write(f"{name}.html", answer.files()["sky.html"])


#: Folder of a kind of dataset, and what is written besides the dataset as it is; others go to trials/ as they are.
_KINDS: dict[str, tuple[str, Callable[[Draft, Product, str], None]]] = {
    "trials": ("trials", _trials),
    "map": ("maps", _map),
    "sky": ("maps", _sky),
}


def add_products(draft: Draft) -> None:
    for product in products(draft.run, draft.run_folder):
        folder, forms = _KINDS.get(product.kind, ("trials", None))
        origin = product.entry.origin
        name = f"{folder}/{marked(product.path.stem, origin)}"
        if forms is not None:
            forms(draft, product, name)
        path = draft.folder / f"{name}.zarr.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_zip(path, product.dataset.assign_attrs(origin=origin))


# --- tables -----------------------------------------------------------------------------------------------------------


def add_fits(draft: Draft) -> None:
    fits = tuple(draft.run.of(MeasureAnswer))
    if fits:
        draft.write_table("fits/fits", fit_table(fits), draft.whole)
    draft.write_json(f"fits/{marked('fits', draft.whole)}", draft.whole, results=[one.to_dict() for one in fits])


def add_answers(draft: Draft) -> None:
    """Every answer but single fits: as it is, and its table."""
    for entry in draft.run.answers:
        if not isinstance(entry.answer, MeasureAnswer):
            draft.write_table(f"fits/{entry.stem}", entry.answer.to_table(), entry.origin)
            draft.write_json(f"fits/{marked(entry.stem, entry.origin)}", entry.origin, **entry.to_dict())


def add_campaign(draft: Draft) -> None:
    found = campaign_table(draft.run, draft.header(draft.whole))
    if found:
        draft.write(f"fits/{marked('campaign', draft.whole)}.ecsv", found)


def add_cut_flow(draft: Draft) -> None:
    if draft.run.cut_flow:
        origins = {sample.sample: sample.origin for sample in draft.run.samples}
        rows = table(draft.run.cut_flow)
        rows["origin"] = [origins.get(row.sample, "unknown") for row in draft.run.cut_flow]
        draft.write_table("cut-flow/cut-flow", rows, draft.whole)


# --- files ------------------------------------------------------------------------------------------------------------


def add_figures(draft: Draft) -> None:
    for shown in load_figures(draft.run_folder):
        for path in (shown.path, shown.path.with_suffix(".json"), shown.path.with_suffix(".ecsv")):
            if path.is_file():
                draft.copy(path, f"figures/{marked(path.stem, shown.origin)}{path.suffix}")


def add_run_files(draft: Draft) -> None:
    """Not the notebook that builds releases: it is not finished while it builds one, so two builds would differ."""
    done = (draft.run_folder / "notebooks").glob("*.ipynb")
    for notebook in sorted(p for p in done if p.name != _BUILDER and not p.stem.endswith((".partial", ".failed"))):
        draft.copy(notebook, f"notebooks/{notebook.name}")
    if (draft.run_folder / "spec.toml").is_file():
        draft.copy(draft.run_folder / "spec.toml", "spec.toml")
    draft.copy(draft.run_folder / "results.json", "results.json")
    draft.write("results.schema.json", recipe_text("results.schema.json").encode())
    draft.write("report/index.html", render(draft.run, draft.run_folder).encode())
    draft.write_json("environment", "not applicable", versions=draft.run.versions)


def add_texts(draft: Draft) -> None:
    draft.write("CHANGES.md", recipe_text("CHANGES.md").encode())
    draft.write("LICENSE", _texts.licence(draft.run, draft.recipe).encode())
    draft.write("CITATION.cff", _texts.citation_cff(draft.run, draft.recipe, draft.version).encode())
    draft.write("citations.bib", _texts.citations_bib(draft.run).encode())
    if draft.run.inputs:
        cited = table(draft.run.inputs)
        cited["redistributed"] = [not cite_only(item, draft.recipe) for item in draft.run.inputs]
        cited["redistributed"].info.description = "False: cited only, no file is passed on"
        draft.write_table("citations", cited, "not applicable")
    listed = [*release_files(draft.folder), "README.md", INDEX]
    draft.write("README.md", _texts.readme(draft.run, draft.recipe, draft.name, draft.version, sorted(listed)).encode())


PARTS: tuple[Callable[[Draft], None], ...] = (
    add_events, add_responses, add_products, add_fits, add_answers, add_campaign, add_cut_flow, add_figures,
    add_run_files, add_texts,
)  # fmt: skip
