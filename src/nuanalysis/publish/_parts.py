"""The parts of a release, one function each, in the order in which they are written."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, refuse
from nuanalysis.publish._campaign import campaign_columns
from nuanalysis.publish._crate import crate
from nuanalysis.publish._draft import Draft, marked
from nuanalysis.publish._evidence import season_faults
from nuanalysis.publish._figures import load_figures
from nuanalysis.publish._fits import events_ecsv_gz, events_fits, likelihood_fits, map_fits, trials_fits
from nuanalysis.publish._gadf import response_fits
from nuanalysis.publish._interpretation import FOLDER, PAGE, documents, page_text
from nuanalysis.publish._manifest import INDEX, json_text, release_files, sealed, write_sums
from nuanalysis.publish._metadata import (
    CODEMETA,
    CRATE,
    DATACITE,
    METADATA,
    PACKAGE,
    Release,
    codemeta,
    datacite,
    datapackage,
)
from nuanalysis.publish._report import report_text
from nuanalysis.publish._results import Product, measured, products, schema_text
from nuanalysis.publish._spec import SPEC, notebook_run
from nuanalysis.publish._texts import media_type, origin_of_file, readme, recipe_text, text
from nuanalysis.records import table
from nuanalysis.schema import EVENTS, LIKELIHOOD, RESPONSE, TRIALS, check
from nuanalysis.store import TABLE, content, read_zip, sha256_file, sky_maps, unlinked, write_zip
from nuanalysis.store.fits import Stamp

_BUILDER = "05_data_release.ipynb"
_CHECK = "check_likelihood.py"
AGAIN = "Run 'nuanalysis run SPEC' again: it makes what is missing, and results.json anew."
# A response is neither kind of event: it is a table others published, quoted in our layout.
_QUOTED, _NEITHER = "derived from published tables", "not applicable"


def _add_events(draft: Draft) -> None:
    for path in draft.seasons("events"):
        events = check(read_zip(path), EVENTS, source=str(path))
        season = path.stem.removeprefix("events-")
        refuse(season_faults(draft.run, season, events), f"results.json and {path} disagree", AGAIN, error=DataError)
        origin = str(events.attrs["origin"])
        name = f"events/{marked(path.stem, origin)}"
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


def _likelihood(product: Product, stamp: Stamp) -> Published:
    """Without the densities of a model that is not ours to pass on: they are its map, read where the events are."""
    terms = check(product.dataset, LIKELIHOOD, source=str(product.path))
    about = product.entry.answer.tested
    if about.hypothesis.startswith("template:") and about.model_origin != "built-in":
        s, mean, b, w = (terms[name].values for name in _DENSITIES)
        x = ("event", w * (s - mean) / b, {"units": "", "description": LIKELIHOOD.columns["excess"].description})
        note = "densities left out: they are made from a map that may be cited but not redistributed"
        terms = terms.drop_vars(_DENSITIES).assign(excess=x).assign_attrs(note=note)
    made = likelihood_fits(terms, stamp, title=_title(product), answer=product.number)
    return "likelihood", terms, {".fits.gz": gzip.compress(made, compresslevel=6, mtime=0)}


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
        ".html": product.entry.answer.page().encode(),
    }
    return "maps", sky, forms


def _title(product: Product) -> str:
    return product.path.stem.removeprefix(f"{product.kind}-")


_DENSITIES = ("signal", "signal_mean", "background", "ratio")
#: The folder of a release for a dataset, the dataset as it may go out, and further files by their endings.
Published = tuple[str, "xr.Dataset", Mapping[str, bytes]]
_FORMS: dict[str, Callable[[Product, Stamp], Published]] = {
    "map": _map, "trials": _trials, "background": _trials, "sky": _sky, "likelihood": _likelihood,
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
        name = f"{folder}/{marked(product.path.stem, origin)}"
        for ending, data in made.items():
            draft.write(f"{name}{ending}", data)
        write_zip(draft.folder / f"{name}.zarr.zip", dataset.assign_attrs(origin=origin))


def _add_fits(draft: Draft) -> None:
    """Everything about every hypothesis, one row each."""
    entries, stem = draft.run.entries("measure"), f"fits/{marked('fits', draft.overall)}"
    if entries:
        draft.write_table(stem, measured(entries), draft.overall)
    draft.write_json(f"{stem}.json", draft.overall, answers=[one.to_dict() for one in entries])


def _add_answers(draft: Draft) -> None:
    """Every other answer: JSON, table, and what it writes besides."""
    for one in draft.run.answers:
        if one.section == "measure":
            continue
        stem = f"fits/{marked(one.stem, one.origin)}"
        draft.write_json(f"{stem}.json", one.origin, **one.to_dict())
        draft.write_table(stem, one.answer.to_table(), one.origin)
        for name, data in {} if one.answer.products() else one.answer.files().items():
            draft.write(f"{stem}-{name}", data)


def _add_campaign(draft: Draft) -> None:
    found = campaign_columns(draft.run)
    if len(found):
        draft.write_table(f"fits/{marked('campaign', draft.overall)}", found, draft.overall)


def _add_cut_flow(draft: Draft) -> None:
    rows = draft.run.cut_flow
    if not rows:
        return
    origins = {sample.sample: sample.origin for sample in draft.run.samples}
    out = table(rows)
    out["origin"] = [origins.get(row.sample, "unknown") for row in rows]
    draft.write_table(f"cut-flow/{marked('cut-flow', draft.overall)}", out, draft.overall)


def _add_figures(draft: Draft) -> None:
    for shown in load_figures(draft.run_folder):
        for path in (shown.path, shown.path.with_suffix(".json"), shown.path.with_suffix(".ecsv")):
            if os.path.lexists(path):
                draft.copy(path, f"figures/{marked(path.stem, shown.sidecar.origin)}{path.suffix}")


def _add_run_files(draft: Draft) -> None:
    # Not the notebook that builds releases: it is not finished while it builds one, so two builds would differ.
    done = (draft.run_folder / "notebooks").glob("*.ipynb")
    for notebook in sorted(p for p in done if p.name != _BUILDER and not p.stem.endswith((".partial", ".failed"))):
        said = content(unlinked(draft.run_folder, notebook), "the notebook", most=TABLE, error=DataError)
        draft.write(f"notebooks/{notebook.name}", _placeless(said, draft.run_folder))
    if os.path.lexists(draft.spec):  # a run through notebooks alone has none
        draft.copy(draft.spec, SPEC)
    draft.write("results.json", json_text(draft.run.model_copy(update={"costs": ()}).to_dict()).encode())
    draft.write_json("costs.json", _NEITHER, costs=[one.to_dict() for one in draft.run.costs])
    draft.write("results.schema.json", schema_text().encode())
    draft.write("report/index.html", report_text(draft.run_folder).encode())
    draft.write_json("environment.json", _NEITHER, versions=draft.run.versions)


def _placeless(text: bytes, run_folder: Path) -> bytes:
    """What a notebook says, without where the run lay on this machine and whose home that is."""
    places = {str(run_folder.absolute()), str(run_folder.resolve())}
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place.encode(), f"runs/{run_folder.name}".encode())
    return text.replace(f"{Path.home()}/".encode(), b"~/")


def _add_alerts(draft: Draft) -> None:
    """Alerts that stand, as another verb wrote them, with their own list of sums."""
    if draft.alerts is None:
        return
    for name, data in sealed(draft.alerts).items():
        draft.write(f"alerts/{name}", data)


def _add_interpretation(draft: Draft) -> None:
    """What readings and model cards left in ``interpretation/`` of the run, and the page of their figures."""
    folder = draft.run_folder / FOLDER
    if not folder.is_dir():
        return
    unlinked(draft.run_folder, folder)
    for path in documents(folder):
        said = content(path, "the file", most=TABLE, error=DataError)
        draft.write(f"{FOLDER}/{path.name}", said if path.suffix == ".png" else _placeless(said, draft.run_folder))
    if any(path.suffix == ".png" for path in documents(folder)):
        draft.write(f"{FOLDER}/{PAGE}", _placeless(page_text(folder).encode(), draft.run_folder))


def _add_texts(draft: Draft) -> None:
    run, about = draft.run, draft.recipe
    for name in ("CHANGES.md", *((_CHECK,) if (draft.folder / "likelihood").is_dir() else ())):
        draft.write(name, recipe_text(name).encode())
    for name in ("LICENSE", "CITATION.cff", "citations.bib"):
        draft.write(name, text(name, run, about, draft.version).encode())
    if run.inputs:
        out = table(run.inputs)
        out["redistributed"] = [not about.only_cites(item) for item in run.inputs]
        out["redistributed"].info.description = "False: cited only, no file is passed on"
        draft.write_table("citations", out, _NEITHER)
    listed = [*release_files(draft.folder), *METADATA, "README.md", INDEX]
    draft.write("README.md", readme(run, about, draft.name, draft.version, sorted(listed)).encode())


def _add_metadata(draft: Draft) -> None:
    """What machines read of the release; each of these files lists those before it."""
    runs = [notebook_run(draft.run_folder, path) for path in sorted((draft.folder / "notebooks").glob("*.ipynb"))]
    documents: dict[str, Callable[[Release], object]] = {
        DATACITE: datacite,
        CODEMETA: codemeta,
        PACKAGE: datapackage,
        CRATE: partial(crate, notebooks=runs),
    }
    for name in METADATA:
        files = tuple(release_files(draft.folder))
        release = Release(draft.run, draft.recipe, draft.name, draft.version, draft.folder, files)
        draft.write(name, json_text(documents[name](release)).encode())


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
    _add_run_files, _add_alerts, _add_interpretation, _add_texts, _refuse_foreign, _add_metadata, _write_manifest,
)  # fmt: skip
