"""The release: a folder made from a run, written beside and renamed, so that half of one never looks whole."""

from __future__ import annotations

import json
import math
import mimetypes
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from nuanalysis.answers import scan
from nuanalysis.answers.source_table import source_list_table
from nuanalysis.errors import DataError, InputError
from nuanalysis.publish import _texts
from nuanalysis.publish._campaign import campaign_table
from nuanalysis.publish._fits import events_ecsv_gz, events_fits, map_fits, response_fits, trials_fits
from nuanalysis.publish._manifest import INDEX, release_files, write_sums
from nuanalysis.publish._report import render
from nuanalysis.publish._run import Recipe, Row, load_figures, load_results, recipe, recipe_text
from nuanalysis.schema import EVENTS, RESPONSE, TRIALS, check
from nuanalysis.store import read_zip, sha256_file, sky_maps, write_zip
from nuanalysis.store.fits import Stamp, ecsv

_BUILDER = "05_data_release.ipynb"
_VERSION = re.compile(r"^DR(0|[1-9]\d*)\.(0|[1-9]\d*)$")


@dataclass(frozen=True, slots=True)
class Draft:
    """A release under construction: where it is written, and what goes into its headers."""

    run_folder: Path
    folder: Path
    run: Row
    recipe: Recipe
    version: str

    @property
    def name(self) -> str:
        """Name of the release and of its folder."""
        return f"nuanalysis-{self.run['name']}-{self.version}"

    def stamp(self, origin: str) -> Stamp:
        """Header cards of a file of this origin."""
        return Stamp(
            self.name,
            self.run["created"],
            origin,
            "terms of the upstream release, see LICENSE" if origin == "real" else self.recipe.licence,
            f"nuanalysis {self.run['versions']['nuanalysis']}",
        )

    def write(self, path: str, data: bytes) -> None:
        """Put a file into the draft."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def copy(self, source: Path, path: str) -> None:
        """Put a copy of a file of the run into the draft."""
        self.write(path, source.read_bytes())

    def products(self, kind: str) -> list[Path]:
        """Products of the run of one kind, sorted."""
        return sorted((self.run_folder / "products").glob(f"{kind}-*.zip"))


def _marked(stem: str, origin: str) -> str:
    """File name without ending: a synthetic one says so."""
    mark = {"synthetic": "-synthetic", "mixed": "-real-and-synthetic"}.get(origin, "")
    return stem if "synthetic" in stem else f"{stem}{mark}"


def _overall(run: Row) -> str:
    """Origin of a table that shows every result: told in its name only where all of them are synthetic."""
    return (
        "synthetic"
        if run["samples"] and all(sample["origin"] == "synthetic" for sample in run["samples"])
        else "see column origin"
    )


def _number(row: Row, *path: str) -> float:
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return math.nan if value is None else float(value)


def _sample_of(draft: Draft, stem: str) -> Row:
    """Row of the longest sample name that the stem begins with; empty where no sample fits."""
    fitting = [
        sample for sample in draft.run["samples"] if stem == sample["sample"] or stem.startswith(sample["sample"] + "-")
    ]
    return max(fitting, key=lambda sample: len(sample["sample"]), default={})


def _origin(draft: Draft, path: Path, kind: str, product: xr.Dataset) -> str:
    """Origin of a product: what the file says, else what its sample says.  Raises DataError where neither does."""
    said = product.attrs.get("origin") or _sample_of(draft, path.stem.removeprefix(f"{kind}-")).get("origin")
    if said not in ("real", "synthetic"):
        raise DataError(
            f"{path} does not say whether it is real or synthetic, and belongs to no sample of results.json; "
            "run the step that makes it again"
        )
    return str(said)


def _add_events(draft: Draft) -> None:
    for path in draft.products("events"):
        events = check(read_zip(path), EVENTS, source=str(path))
        origin = str(events.attrs["origin"])
        name = f"events/{_marked(path.stem, origin)}"
        draft.write(f"{name}.fits", events_fits(events, draft.stamp(origin)))
        meta = {key: events.attrs[key] for key in ("sample", "origin", "livetime_s", "reference")}
        draft.write(f"{name}.ecsv.gz", events_ecsv_gz(events, {**meta, **_header(draft, origin)}))
        write_zip(draft.folder / f"{name}.zarr.zip", events)


def _header(draft: Draft, origin: str) -> dict[str, str]:
    """What the head of a text table says."""
    return {"ORIGIN": origin, "DATE": draft.run["created"], "RELEASE": draft.name, "LICENCE": draft.recipe.licence}


def _add_responses(draft: Draft) -> None:
    for path in draft.products("response"):
        response = check(read_zip(path), RESPONSE, source=str(path))
        # A response is neither kind of event: it is a table others published, quoted in our layout.
        draft.write(f"response/{path.stem}.fits", response_fits(response, draft.stamp("derived from published tables")))
        write_zip(
            draft.folder / f"response/{path.stem}.zarr.zip",
            response.assign_attrs(origin="derived from published tables"),
        )


def _public_map(sky: xr.Dataset) -> xr.Dataset:
    """The map without what is not ours to pass on: only a built-in template may go out, smeared or not."""
    if sky.attrs.get("model_origin") == "built-in" or "signal_density" not in sky:
        return sky
    note = "signal_density left out: it is made from a map that may be cited but not redistributed"
    return sky.drop_vars("signal_density").assign_attrs(note=note)


def _add_maps(draft: Draft) -> None:
    for path in draft.products("map"):
        sky = _public_map(read_zip(path))
        origin = _origin(draft, path, "map", sky)
        name = f"maps/{_marked(path.stem, origin)}"
        draft.write(f"{name}.fits", map_fits(sky, draft.stamp(origin), title=path.stem.removeprefix("map-")))
        write_zip(draft.folder / f"{name}.zarr.zip", sky.assign_attrs(origin=origin))


def _add_skies(draft: Draft) -> None:
    """The scans: maps in three forms, the page, and the product as it is."""
    for path in draft.products("sky"):
        found, answer = sky_maps.read_sky(path)
        document = json.loads(answer)
        origin = str(document["origin"])
        stamp = draft.stamp(origin)
        name = f"maps/{_marked(path.stem, origin)}"
        draft.write(f"{name}.fits", sky_maps.map_fits(found, scan.whose(document), stamp))
        draft.write(f"{name}.multiorder.fits", sky_maps.multi_order_fits(found, scan.whose(document), stamp))
        draft.write(f"{name}.plane.fits", sky_maps.plane_fits(found, scan.whose(document), stamp))
        draft.write(f"{name}.html", scan.page(document, found).encode())
        write_zip(draft.folder / f"{name}.zarr.zip", read_zip(path))


def _add_source_lists(draft: Draft) -> None:
    for one in draft.run.get("source_lists", ()):
        name = f"fits/{_marked('sources-' + one['sample'] + '-' + one['name'], one['origin'])}.ecsv"
        draft.write(name, source_list_table(one, _header(draft, one["origin"])))


def _add_trials(draft: Draft) -> None:
    for path in draft.products("trials"):
        trials = check(read_zip(path), TRIALS, source=str(path))
        origin = _origin(draft, path, "trials", trials)
        name = f"trials/{_marked(path.stem, origin)}"
        draft.write(f"{name}.fits", trials_fits(trials, draft.stamp(origin), title=path.stem.removeprefix("trials-")))
        write_zip(draft.folder / f"{name}.zarr.zip", trials.assign_attrs(origin=origin))


_FLUX = "TeV cm-2 s-1"
_FIT_NUMBERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "ts": (("fit", "ts"), "", "test statistic"),
    "n_signal": (("fit", "n_signal"), "", "fitted signal events"),
    "index": (("fit", "index"), "", "spectral index"),
    "p_local": (("p_value", "p"), "", "p-value from trials; local unless p_kind says otherwise"),
    "p_local_error": (("p_value", "p_error"), "", "its statistical error"),
    "sigma_local": (("p_value", "sigma"), "", "one-sided significance"),
    "n_trials": (("p_value", "n_trials"), "", "trials behind the p-value"),
    "flux_best": (
        ("flux", "best"),
        _FLUX,
        "E^2 dN/dE at 100 TeV, per flavour, whole sky or all sources, for the spectrum of the hypothesis",
    ),
    "flux_low_68": (("flux", "low_68"), _FLUX, "lower end of the 68 % interval"),
    "flux_high_68": (("flux", "high_68"), _FLUX, "upper end of the 68 % interval"),
    "flux_upper_limit_90": (("flux", "upper_limit_90"), _FLUX, "90 % upper limit"),
    "sensitivity_n": (("sensitivity", "n_signal"), "", "90 % above the background median"),
    "sensitivity_flux": (("sensitivity", "flux"), _FLUX, "90 % above the background median"),
    "discovery_n": (("discovery_potential_5sigma", "n_signal"), "", "50 % above 5 sigma"),
    "discovery_flux": (("discovery_potential_5sigma", "flux"), _FLUX, "50 % above 5 sigma"),
}


def _add_fits(draft: Draft) -> None:
    rows = draft.run["results"]
    texts = ("sample", "origin", "hypothesis", "label", "model_origin")
    columns: dict[str, tuple[Any, str, str]] = {key: ([row[key] for row in rows], "", key) for key in texts}
    columns |= {
        name: ([_number(row, *path) for row in rows], unit, text) for name, (path, unit, text) in _FIT_NUMBERS.items()
    }
    columns["p_kind"] = ([row["p_value"]["kind"] if "p_value" in row else "" for row in rows], "", "local or global")
    columns["index_free"] = ([bool(row["fit"]["index_free"]) for row in rows], "", "index fitted, not fixed")
    columns["converged"] = ([bool(row["fit"]["converged"]) for row in rows], "", "the fit converged")
    origin = _overall(draft.run)
    if rows:
        draft.write(f"fits/{_marked('fits', origin)}.ecsv", ecsv(columns, _header(draft, origin)))
    draft.write(f"fits/{_marked('fits', origin)}.json", _json({"header": _header(draft, origin), "results": rows}))


def _add_campaign(draft: Draft) -> None:
    origin = _overall(draft.run)
    table = campaign_table(draft.run, _header(draft, origin))
    if table:
        draft.write(f"fits/{_marked('campaign', origin)}.ecsv", table)


def _add_cut_flow(draft: Draft) -> None:
    rows = draft.run["cut_flow"]
    origins = {sample["sample"]: sample["origin"] for sample in draft.run["samples"]}
    columns: dict[str, tuple[Any, str, str]] = {
        key: ([row[key] for row in rows], "", key) for key in ("sample", "season", "cut")
    }
    columns["origin"] = ([origins.get(row["sample"], "unknown") for row in rows], "", "real or synthetic")
    columns["events"] = ([row["events"] for row in rows], "", "events left")
    columns["rate"] = ([_number(row, "rate_hz") for row in rows], "Hz", "events over livetime")
    columns["exposure"] = ([_number(row, "exposure_d") for row in rows], "d", "livetime")
    if rows:
        origin = _overall(draft.run)
        draft.write(f"cut-flow/{_marked('cut-flow', origin)}.ecsv", ecsv(columns, _header(draft, origin)))


def _add_figures(draft: Draft) -> None:
    for shown in load_figures(draft.run_folder):
        for path in (shown.path, shown.path.with_suffix(".json"), shown.path.with_suffix(".ecsv")):
            if path.is_file():
                draft.copy(path, f"figures/{_marked(path.stem, shown.origin)}{path.suffix}")


def _add_run_files(draft: Draft) -> None:
    # Not the notebook that builds releases: it is not finished while it builds one, so two builds would differ.
    done = (draft.run_folder / "notebooks").glob("*.ipynb")
    for notebook in sorted(p for p in done if p.name != _BUILDER and not p.stem.endswith((".partial", ".failed"))):
        draft.copy(notebook, f"notebooks/{notebook.name}")
    if (draft.run_folder / "spec.toml").is_file():
        draft.copy(draft.run_folder / "spec.toml", "spec.toml")
    draft.copy(draft.run_folder / "results.json", "results.json")
    draft.write("results.schema.json", recipe_text("results.schema.json").encode())
    draft.write("report/index.html", render(draft.run_folder).encode())
    draft.write(
        "environment.json", _json({"header": _header(draft, "not applicable"), "versions": draft.run["versions"]})
    )


def _add_texts(draft: Draft) -> None:
    draft.write("CHANGES.md", recipe_text("CHANGES.md").encode())
    draft.write("LICENSE", _texts.licence(draft.run, draft.recipe).encode())
    draft.write("CITATION.cff", _texts.citation_cff(draft.run, draft.recipe, draft.version).encode())
    draft.write("citations.bib", _texts.citations_bib(draft.run).encode())
    inputs = draft.run["inputs"]
    if inputs:
        columns: dict[str, tuple[Any, str, str]] = {
            key: ([str(item[key] or "") for item in inputs], "", key)
            for key in ("name", "title", "doi", "licence", "citation")
        }
        columns["doi_confirmed"] = (
            [bool(item["doi_confirmed"]) for item in inputs],
            "",
            "False: DOI not confirmed at its registry",
        )
        columns["redistributed"] = (
            [not _texts.cite_only(item, draft.recipe) for item in inputs],
            "",
            "False: cited only, no file is passed on",
        )
        draft.write("citations.ecsv", ecsv(columns, _header(draft, "not applicable")))
    listed = [*release_files(draft.folder), "README.md", INDEX]
    draft.write("README.md", _texts.readme(draft.run, draft.recipe, draft.name, draft.version, sorted(listed)).encode())


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _refuse_foreign(draft: Draft) -> None:
    """Raise DataError if a file of the draft is, byte for byte, one that may only be cited."""
    foreign = {
        file["sha256"]: f"{item['name']}/{file['path']}"
        for item in draft.run["inputs"] if _texts.cite_only(item, draft.recipe) for file in item["files"]
    }  # fmt: skip
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


def _media_type(path: str) -> str:
    own = {
        ".fits": "application/fits",
        ".ecsv": "text/plain",
        ".ipynb": "application/x-ipynb+json",
        ".toml": "application/toml",
        ".md": "text/markdown",
        ".cff": "application/yaml",
    }
    return own.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


def _write_manifest(draft: Draft) -> None:
    files = [
        {
            "path": name, "sha256": sha256_file(draft.folder / name), "bytes": (draft.folder / name).stat().st_size,
            "media_type": _media_type(name), "origin": _texts.origin_of_file(name, draft.run),
        }
        for name in release_files(draft.folder)
    ]  # fmt: skip
    cited = ("name", "doi", "doi_confirmed", "licence", "citation", "files")
    index = {
        "schema": "nuanalysis-release/1",
        "release": draft.name,
        "version": draft.version,
        "created": draft.run["created"],
        "licence": draft.recipe.licence,
        "spec_fingerprint": draft.run["spec_fingerprint"],
        "versions": draft.run["versions"],
        "inputs": [{key: item[key] for key in cited} for item in draft.run["inputs"]],
        "files": files,
    }
    draft.write(INDEX, _json(index))
    write_sums(draft.folder)


PARTS: tuple[Callable[[Draft], None], ...] = (
    _add_events, _add_responses, _add_maps, _add_skies, _add_trials, _add_fits, _add_source_lists, _add_campaign,
    _add_cut_flow, _add_figures, _add_run_files, _add_texts, _refuse_foreign, _write_manifest,
)  # fmt: skip


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename the finished draft; an older build of the same release makes way at that moment, not before."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def build(run_folder: Path, version: str = "") -> Path:
    """Build ``release/nuanalysis-<name>-<version>/`` of a run and return its path.

    version : DRn.m; the recipe's default where it is ''.  The same run folder gives the same bytes.
    Raises InputError (version), StepMissing (no results), DataError (a product against its schema, or a file that
    may not be redistributed).  Nothing of a failed build stays behind.
    """
    about = recipe()
    version = version or about.default_version
    if not _VERSION.match(version):
        raise InputError(f"release version {version!r} is not of the form DRn.m, for instance DR0.1")
    run = load_results(run_folder)
    target = run_folder / "release" / f"nuanalysis-{run['name']}-{version}"
    scratch = target.with_name(f".{target.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        for part in PARTS:
            part(Draft(run_folder, scratch, run, about, version))
        _put_in_place(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
