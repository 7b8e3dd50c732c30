"""The release: a folder made from a run, written beside and renamed, so that half of one never looks whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nuanalysis import plot
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, EnvironmentFault, InputError, refuse
from nuanalysis.publish._campaign import campaign_columns
from nuanalysis.publish._evidence import answer_faults, sample_faults, season_faults
from nuanalysis.publish._figures import load_figures
from nuanalysis.publish._fits import events_ecsv_gz, events_fits, map_fits, trials_fits
from nuanalysis.publish._gadf import response_fits
from nuanalysis.publish._manifest import INDEX, json_text, release_files, write_sums
from nuanalysis.publish._report import report_text
from nuanalysis.publish._results import Product, Results, load_results, measured, products, schema_text
from nuanalysis.publish._spec import SPEC, refuse_other_spec
from nuanalysis.publish._texts import Recipe, media_type, origin_of_file, readme, recipe, recipe_text, text
from nuanalysis.records import table
from nuanalysis.schema import EVENTS, RESPONSE, TRIALS, check
from nuanalysis.store import (
    locked,
    read_zip,
    regular,
    sha256_file,
    sky_maps,
    sweep,
    table_ecsv,
    unlinked,
    write_zip,
)
from nuanalysis.store.fits import Stamp

if TYPE_CHECKING:
    from astropy.table import Table

_BUILDER = "05_data_release.ipynb"
_HALF, _OLD = ".building", ".old"  # ends of the names of folders that a build renames or removes
_PATIENCE_S = 60.0  # for another build of the same run
_AGAIN = "Run 'nuanalysis run SPEC' again: it makes what is missing, and results.json anew."
_VERSION = re.compile(r"^DR(0|[1-9]\d*)\.(0|[1-9]\d*)$")
# A response is neither kind of event: it is a table others published, quoted in our layout.
_QUOTED, _NEITHER, _SEE_INSIDE = "derived from published tables", "not applicable", "see column origin"


@dataclass(frozen=True, slots=True)
class Draft:
    """A release under construction: where it is written, and what goes into its headers."""

    run_folder: Path
    folder: Path
    run: Results
    recipe: Recipe
    version: str

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
        return "synthetic" if origins == {"synthetic"} else _SEE_INSIDE

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
        """Put an astropy table into the draft as ECSV, with the head of the release."""
        rows.meta.update(self.head(origin))
        self.write(f"{stem}.ecsv", table_ecsv(rows))

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


def _marked(stem: str, origin: str) -> str:
    """File name without ending: a synthetic one says so."""
    return stem if "synthetic" in stem or origin == _SEE_INSIDE else f"{stem}{plot.mark(origin)}"


# --- the parts --------------------------------------------------------------------------------------------------------


def _add_events(draft: Draft) -> None:
    for path in draft.seasons("events"):
        events = check(read_zip(path), EVENTS, source=str(path))
        season = path.stem.removeprefix("events-")
        refuse(season_faults(draft.run, season, events), f"results.json and {path} disagree", _AGAIN, error=DataError)
        origin = str(events.attrs["origin"])
        name = f"events/{_marked(path.stem, origin)}"
        draft.write(f"{name}.fits", events_fits(events, draft.stamp(origin)))
        meta = {key: events.attrs[key] for key in ("sample", "origin", "livetime_s", "reference")}
        draft.write(f"{name}.ecsv.gz", events_ecsv_gz(events, {**meta, **draft.head(origin)}))
        write_zip(draft.folder / f"{name}.zarr.zip", events)


def _add_responses(draft: Draft) -> None:
    for path in draft.seasons("response"):
        response = check(read_zip(path), RESPONSE, source=str(path))
        draft.write(f"response/{path.stem}.fits", response_fits(response, draft.stamp(_QUOTED)))
        write_zip(draft.folder / f"response/{path.stem}.zarr.zip", response.assign_attrs(origin=_QUOTED))


def _map(product: Product, stamp: Stamp) -> Published:
    """Without what is not ours to pass on: only a built-in template may go out, smeared or not."""
    sky = product.dataset
    if sky.attrs.get("model_origin") != "built-in" and "signal_density" in sky:
        note = "signal_density left out: it is made from a map that may be cited but not redistributed"
        sky = sky.drop_vars("signal_density").assign_attrs(note=note)
    return "maps", sky, {".fits": map_fits(sky, stamp, title=_title(product))}


def _trials(product: Product, stamp: Stamp) -> Published:
    trials = check(product.dataset, TRIALS, source=str(product.path))
    return "trials", trials, {".fits": trials_fits(trials, stamp, title=_title(product))}


def _sky(product: Product, stamp: Stamp) -> Published:
    """A scan: maps in three forms, and the page."""
    sky = product.dataset
    forms = {
        ".fits": sky_maps.map_fits(sky, stamp),
        ".multiorder.fits": sky_maps.multi_order_fits(sky, stamp),
        ".plane.fits": sky_maps.plane_fits(sky, stamp),
        ".html": product.entry.answer.files()["sky.html"],
    }
    return "maps", sky, forms


def _title(product: Product) -> str:
    return product.path.stem.removeprefix(f"{product.kind}-")


#: The folder of a release for a dataset, the dataset as it may go out, and further files by their endings.
Published = tuple[str, "xr.Dataset", Mapping[str, bytes]]
_FORMS: dict[str, Callable[[Product, Stamp], Published]] = {
    "map": _map, "trials": _trials, "background": _trials, "sky": _sky,
}  # fmt: skip


def _add_products(draft: Draft) -> None:
    """The large datasets of answers: as zarr, and as FITS those of which other people's programs know the form."""
    for product in products(draft.run.answers, draft.run_folder):
        origin, form = product.entry.origin, _FORMS.get(product.kind)
        out: Published = ("products", product.dataset, {})
        if form is not None:
            try:
                out = form(product, draft.stamp(origin))
            except KeyError as error:
                raise DataError(
                    f"{product.path} holds no '{product.kind}' ({error}); run 'nuanalysis run SPEC' again"
                ) from error
        folder, dataset, made = out
        name = f"{folder}/{_marked(product.path.stem, origin)}"
        for ending, data in made.items():
            draft.write(f"{name}{ending}", data)
        write_zip(draft.folder / f"{name}.zarr.zip", dataset.assign_attrs(origin=origin))


def _add_fits(draft: Draft) -> None:
    """Everything about every hypothesis, one row each."""
    entries, stem = draft.run.entries("measure"), f"fits/{_marked('fits', draft.overall)}"
    if entries:
        draft.write_table(stem, measured(entries), draft.overall)
    draft.write_json(f"{stem}.json", draft.overall, answers=[one.to_dict() for one in entries])


def _add_answers(draft: Draft) -> None:
    """Every other answer: JSON, table, and what it writes besides."""
    for one in draft.run.answers:
        if one.section == "measure":
            continue
        stem = f"fits/{_marked(one.stem, one.origin)}"
        draft.write_json(f"{stem}.json", one.origin, **one.to_dict())
        draft.write_table(stem, one.answer.to_table(), one.origin)
        for name, data in {} if one.answer.products() else one.answer.files().items():
            draft.write(f"{stem}-{name}", data)


def _add_campaign(draft: Draft) -> None:
    found = campaign_columns(draft.run)
    if len(found):
        draft.write_table(f"fits/{_marked('campaign', draft.overall)}", found, draft.overall)


def _add_cut_flow(draft: Draft) -> None:
    rows = draft.run.cut_flow
    if not rows:
        return
    origins = {sample.sample: sample.origin for sample in draft.run.samples}
    out = table(rows)
    out["origin"] = [origins.get(row.sample, "unknown") for row in rows]
    draft.write_table(f"cut-flow/{_marked('cut-flow', draft.overall)}", out, draft.overall)


def _add_figures(draft: Draft) -> None:
    for shown in load_figures(draft.run_folder):
        for path in (shown.path, shown.path.with_suffix(".json"), shown.path.with_suffix(".ecsv")):
            if os.path.lexists(path):
                draft.copy(path, f"figures/{_marked(path.stem, shown.sidecar.origin)}{path.suffix}")


def _add_run_files(draft: Draft) -> None:
    # Not the notebook that builds releases: it is not finished while it builds one, so two builds would differ.
    done = (draft.run_folder / "notebooks").glob("*.ipynb")
    for notebook in sorted(p for p in done if p.name != _BUILDER and not p.stem.endswith((".partial", ".failed"))):
        draft.copy(notebook, f"notebooks/{notebook.name}")
    if os.path.lexists(draft.spec):  # a run through notebooks alone has none
        draft.copy(draft.spec, SPEC)
    draft.copy(draft.run_folder / "results.json", "results.json")
    draft.write("results.schema.json", schema_text().encode())
    draft.write("report/index.html", report_text(draft.run_folder).encode())
    draft.write_json("environment.json", _NEITHER, versions=draft.run.versions)


def _add_texts(draft: Draft) -> None:
    run, about = draft.run, draft.recipe
    draft.write("CHANGES.md", recipe_text("CHANGES.md").encode())
    for name in ("LICENSE", "CITATION.cff", "citations.bib"):
        draft.write(name, text(name, run, about, draft.version).encode())
    if run.inputs:
        out = table(run.inputs)
        out["redistributed"] = [not about.only_cites(item) for item in run.inputs]
        out["redistributed"].info.description = "False: cited only, no file is passed on"
        draft.write_table("citations", out, _NEITHER)
    listed = [*release_files(draft.folder), "README.md", INDEX]
    draft.write("README.md", readme(run, about, draft.name, draft.version, sorted(listed)).encode())


def _refuse_foreign(draft: Draft) -> None:
    """Raise DataError if a file of the draft is, byte for byte, one that may only be cited."""
    cited = (item for item in draft.run.inputs if draft.recipe.only_cites(item))
    foreign = {file.sha256: f"{item.name}/{file.path}" for item in cited for file in item.files}
    found = [
        f"{name} is {foreign[digest]}"
        for name in release_files(draft.folder)
        if (digest := sha256_file(draft.folder / name)) in foreign
    ]
    if found:
        raise DataError(
            f"the release would pass on files that may only be cited: {'; '.join(found)}; "
            "take them out of the run folder"
        )


def _write_manifest(draft: Draft) -> None:
    files = [
        {
            "path": name, "sha256": sha256_file(draft.folder / name), "bytes": (draft.folder / name).stat().st_size,
            "media_type": media_type(name), "origin": origin_of_file(name, draft.run),
        }
        for name in release_files(draft.folder)
    ]  # fmt: skip
    cited = {"name", "doi", "doi_confirmed", "licence", "citation", "files"}
    index = {
        "schema": "nuanalysis-release/1",
        "release": draft.name,
        "version": draft.version,
        "created": draft.run.created,
        "licence": draft.recipe.licence,
        "spec_fingerprint": draft.run.spec_fingerprint,
        "versions": draft.run.versions,
        "inputs": [item.model_dump(include=cited) for item in draft.run.inputs],
        "files": files,
    }
    draft.write(INDEX, json_text(index).encode())
    write_sums(draft.folder)


PARTS: tuple[Callable[[Draft], None], ...] = (
    _add_events, _add_responses, _add_products, _add_fits, _add_answers, _add_campaign, _add_cut_flow, _add_figures,
    _add_run_files, _add_texts, _refuse_foreign, _write_manifest,
)  # fmt: skip


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename the finished draft; an older build of the same release makes way at that moment, not before."""
    old = target.with_name(f".{target.name}{_OLD}")
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _clear(run_folder: Path) -> None:
    """Remove what killed builds left; a release that was moved aside and not replaced is put back.  Under the lock."""
    releases = run_folder / "release"
    for aside in releases.glob(f".nuanalysis-*{_OLD}"):
        place = releases / aside.name[1:].removesuffix(_OLD)
        if place.exists():
            _remove(aside)
        else:
            aside.rename(place)
    for half in releases.glob(f".nuanalysis-*{_HALF}"):
        _remove(half)
    for folder in ("figures", "report"):
        sweep(run_folder / folder)


def _remove(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _build(draft: Draft, target: Path) -> None:
    """Write the draft and put it in place; nothing of it stays where that fails."""
    draft.folder.mkdir(parents=True)
    try:
        for part in PARTS:
            part(draft)
        _put_in_place(draft.folder, target)
    except OSError as error:
        raise EnvironmentFault(
            f"the release {target} cannot be written: {error.strerror or error} ({error.filename}).  What was there "
            "before is intact; make room on that disk, or allow writing there, and call again."
        ) from error
    finally:
        shutil.rmtree(draft.folder, ignore_errors=True)


def build(run_folder: Path, version: str = "", *, fingerprint: Callable[[Path], str] | None = None) -> Path:
    """Build ``release/nuanalysis-<name>-<version>/`` of a run and return its path.

    version : DRn.m; the recipe's default where it is ''.  The same run folder gives the same bytes.
    fingerprint : that of a spec file, to compare with the one in results.json.
    Raises InputError (version), StepMissing (no results), StoreLocked (another build), EnvironmentFault (disk full),
    DataError: a product against its schema, a result against what is packed with it, another spec than that of the
    results, a link, or a file that may not be redistributed.  Nothing of a failed build stays behind.
    """
    about = recipe()
    version = version or about.default_version
    if not _VERSION.match(version):
        raise InputError(f"release version {version!r} is not of the form DRn.m, for instance DR0.3")
    run = load_results(run_folder)
    faults = [*sample_faults(run), *answer_faults(run.answers)]
    refuse(faults, f"results.json and the products of {run_folder} disagree", _AGAIN, error=DataError)
    target = unlinked(run_folder, run_folder / "release" / f"nuanalysis-{run.name}-{version}")
    draft = Draft(run_folder, target.with_name(f".{target.name}{_HALF}"), run, about, version)
    refuse_other_spec(draft.spec, run.spec_fingerprint, fingerprint)
    with locked(run_folder / ".release", _PATIENCE_S):
        _clear(run_folder)
        _build(draft, target)
    return target
