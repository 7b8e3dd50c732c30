"""What a release says of itself to machines, each document read by the program that other people check it with; and the
likelihood that a stranger works out from the release alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from astropy.io import fits
from small_results import RESULTS, entry, make_run, results, scanned

from nuanalysis import publish
from nuanalysis.errors import DataError
from nuanalysis.plot import Sidecar, mark, save
from nuanalysis.publish._manifest import release_files, write_sums
from nuanalysis.publish._metadata import METADATA
from nuanalysis.store import read_zip, write_zip

# frictionless leaves files to the collector.
_LEFT_OPEN = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an executed notebook, whose record says when it ran."""
    folder = make_run(
        tmp_path_factory.mktemp("runs") / "default", results(RESULTS[:2], [entry("scan", "sky", scanned())])
    )
    parameters = {"spec": "specs/default.toml", "run_folder": "/scratch/someone/runs/default", "workers": 2}
    notebook = {"cells": [], "metadata": {"papermill": {"parameters": parameters}}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "01.ipynb").write_text(json.dumps(notebook))
    record = json.loads((folder / "run.json").read_text())
    record["notebooks"]["01"] |= {"started": "2026-01-02T03:00:00.5+00:00", "ended": "2026-01-02T03:01:00.5+00:00"}
    record["notebooks"]["01"]["inputs"]["notebook"] = "cd" * 32
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def release(run: Path) -> Path:
    return publish.build(run, "DR0.1")


def document(release: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((release / name).read_text(encoding="utf-8"))
    return found


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_datacite_takes_its_metadata(release: Path) -> None:
    schema45 = pytest.importorskip("datacite.schema45")
    said = document(release, "datacite.json")
    assert [fault.message for fault in schema45.validator.iter_errors(said)] == []
    assert list(schema45.validator.iter_errors({**said, "creators": []}))  # it does look
    assert (said["version"], said["publicationYear"], said["rightsList"][0]["rightsIdentifier"]) == (
        "DR0.1", "2026", "CC-BY-4.0",
    )  # fmt: skip
    derived = {one["relatedIdentifier"] for one in said["relatedIdentifiers"]}
    assert "10.21234/8v5d-rn16" in derived
    assert not any("B4F04V" in doi for doi in derived)  # a DOI that nobody confirmed is no identifier
    assert "synthetic" in said["descriptions"][0]["description"]


@_LEFT_OPEN
def test_frictionless_finds_every_file_and_row_of_the_data_package(release: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    package = frictionless.Package(str(release / "datapackage.json"))
    report = package.validate()
    faults = [(task.name, error.message) for task in report.tasks for error in task.errors]
    assert (report.valid, faults, report.errors) == (True, [], [])
    listed = {resource.path for resource in package.resources}
    later = {"datapackage.json", "ro-crate-metadata.json", "manifest.json"}
    assert set(release_files(release)) - listed == later
    rows = package.get_resource("fits--fits.ecsv").read_rows()
    assert [float(row["fitted_ts"]) for row in rows] == [22.9, 9.1]


@_LEFT_OPEN
def test_frictionless_finds_a_byte_that_changed(release: Path, tmp_path: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    data = bytearray((copy / "LICENSE").read_bytes())
    data[7] ^= 1
    (copy / "LICENSE").write_bytes(data)
    report = frictionless.Package(str(copy / "datapackage.json")).get_resource("license").validate()
    assert [error.type for error in report.tasks[0].errors] == ["hash-count"]


def test_rocrate_reads_the_crate_and_every_file_is_part_of_it(release: Path) -> None:
    rocrate = pytest.importorskip("rocrate.rocrate")
    crate = rocrate.ROCrate(str(release))
    assert {one.id for one in crate.data_entities if not one.id.endswith("/")} == {
        *release_files(release), "MANIFEST.sha256",
    } - {"ro-crate-metadata.json"}  # fmt: skip
    root = crate.root_dataset
    assert root["license"].id == "https://creativecommons.org/licenses/by/4.0/"
    assert root["version"] == "DR0.1"


def test_the_crate_says_what_the_run_was_made_from_and_made(release: Path) -> None:
    graph: dict[str, Mapping[str, Any]] = {
        one["@id"]: one for one in document(release, "ro-crate-metadata.json")["@graph"]
    }
    used = {name for one in graph.values() for name in _references(one)}
    assert used - graph.keys() == {"https://w3id.org/ro/crate/1.1"}  # nothing is named that is not described
    run, notebook = graph["#run"], graph["#run-01"]
    named = {one["@id"] for one in run["object"]}
    assert {"spec.toml", "https://doi.org/10.21234/8v5d-rn16"} <= named
    assert {"results.json", "fits/fits.ecsv"} <= {one["@id"] for one in run["result"]}
    assert (notebook["startTime"], notebook["endTime"]) == ("2026-01-02T03:00:00Z", "2026-01-02T03:01:00Z")
    assert notebook["result"] == {"@id": "notebooks/01.ipynb"}
    assert graph["#notebook-01"]["identifier"] == f"sha256:{'cd' * 32}"
    assert graph["#01-workers"]["value"] == 2
    assert graph["#01-run_folder"]["value"] == "default"  # a path belongs to one machine


def _references(one: Mapping[str, Any]) -> set[str]:
    out: set[str] = set()
    for value in one.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                out.add(part["@id"])
    return out


def test_the_crate_speaks_in_terms_of_its_context_alone(release: Path) -> None:
    """The context comes with rocrate; a term that it does not hold would mean nothing."""
    data = files("rocrate")
    context = json.loads((data / "data" / "ro-crate.jsonld").read_text(encoding="utf-8"))["@context"]
    graph = document(release, "ro-crate-metadata.json")["@graph"]
    terms = {key for one in graph for key in one if not key.startswith("@")}
    kinds = {kind for one in graph for kind in (one["@type"] if isinstance(one["@type"], list) else [one["@type"]])}
    assert (terms | kinds) - context.keys() == set()


def test_the_citation_keeps_the_schema_of_cff(release: Path) -> None:
    """CFF 1.2.0, as check-jsonschema ships it; cffconvert itself: ``test_release_elsewhere.py``."""
    shipped = files("check_jsonschema") / "builtin_schemas" / "vendor" / "citation-file-format.json"
    said = yaml.load((release / "CITATION.cff").read_text(encoding="utf-8"), yaml.BaseLoader)  # dates as text
    jsonschema.Draft7Validator(json.loads(shipped.read_text(encoding="utf-8"))).validate(said)
    assert said["version"] == "DR0.1"


def test_codemeta_describes_the_program(release: Path) -> None:
    said = document(release, "codemeta.json")
    assert said["@context"] == "https://w3id.org/codemeta/3.0"
    assert said["version"] == document(release, "results.json")["versions"]["nuanalysis"]
    assert said["license"] == "https://spdx.org/licenses/BSD-3-Clause"
    # https://codemeta.github.io/terms: what CodeMeta 3.0 takes from schema.org, and type, which is @type.
    known = {
        "@context", "type", "name", "description", "version", "license", "author", "keywords", "programmingLanguage",
        "softwareRequirements", "applicationCategory", "operatingSystem",
    }  # fmt: skip
    assert said.keys() == known


def test_metadata_say_nothing_of_one_machine(release: Path) -> None:
    for name in METADATA:
        assert "scratch" not in (release / name).read_text(), name


def test_two_builds_have_the_same_bytes_with_all_of_it(release: Path, run: Path) -> None:
    first = {name: (release / name).read_bytes() for name in release_files(release)}
    again = publish.build(run, "DR0.1")
    assert {name: (again / name).read_bytes() for name in release_files(again)} == first
    assert publish.verify(again).ok


# --- the stranger's check ---------------------------------------------------------------------------------------------

_ALONE = """
import runpy, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
class Few:
    kept = {'numpy', 'astropy', 'erfa', 'yaml', 'astropy_iers_data', 'packaging'}  # numpy, astropy, what it needs
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition('.')[0]
        there = top in sys.stdlib_module_names or top in cls.kept
        return PathFinder.find_spec(name, path, target) if there else None
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Few]
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def strangers_check(release: Path) -> subprocess.CompletedProcess[str]:
    """The script of a release, with numpy and astropy alone."""
    command = [sys.executable, "-I", "-c", _ALONE, str(release / "check_likelihood.py")]
    return subprocess.run(command, capture_output=True, text=True, cwd=release, timeout=120)


def test_a_stranger_finds_the_released_test_statistic(release: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(release, tmp_path / "alone"))
    done = strangers_check(alone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("agrees") == 2
    assert "2 hypotheses, 0 that differ by more than 1e-09" in done.stdout
    script = (release / "check_likelihood.py").read_text()
    assert script.count("\n") <= 60
    assert "nuanalysis" not in script


def test_a_stranger_finds_a_number_that_is_not_so(release: Path, tmp_path: Path) -> None:
    """A term, a fit, and a term that is no number."""
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    said = document(copy, "results.json")
    said["answers"][0]["answer"]["fitted"]["ts"] *= 1.0 + 1e-8
    (copy / "results.json").write_text(json.dumps(said))
    assert strangers_check(copy).returncode == 1
    path = next((copy / "likelihood").glob("*pi0*.fits.gz"))
    shutil.copy(release / "results.json", copy)
    with fits.open(path, mode="update") as units:
        units["LIKELIHOOD"].data["EXCESS"][3] = np.nan
    done = strangers_check(copy)
    assert (done.returncode, "DIFFERS" in done.stdout) == (1, True)
    shutil.rmtree(copy / "likelihood")
    assert strangers_check(copy).returncode == 1


def test_densities_of_a_model_that_may_only_be_cited_stay_here(release: Path) -> None:
    """The published map could be read off them; the densities of a list of sources may go out."""
    columns = {}
    for path in sorted((release / "likelihood").glob("*.fits.gz")):
        name = path.name.removesuffix(".fits.gz")
        with fits.open(path) as units:
            columns[name] = set(units["LIKELIHOOD"].columns.names)
        held = read_zip(path.with_name(f"{name}.zarr.zip"))
        assert {str(one).upper() for one in held.data_vars} == columns[name]
    densities = {"SIGNAL", "SIGNAL_MEAN", "BACKGROUND", "RATIO"}
    assert columns == {
        "likelihood-cascades-2023-stack-snr-synthetic": {"SEASON", "ROW", *densities},
        "likelihood-cascades-2023-template-pi0-synthetic": {"SEASON", "ROW", "EXCESS"},
    }


def test_a_likelihood_that_does_not_give_the_result_is_not_packed(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "default"))
    path = copy / "products" / "likelihood-cascades-2023-stack-snr.zip"
    terms = read_zip(path)
    terms["ratio"][5] *= 1.001
    write_zip(path, terms)
    with pytest.raises(DataError, match=r"fitted\.ts, of the packed likelihood, is 9\.1"):
        publish.build(copy)
    write_zip(path, read_zip(path).assign_attrs(model_origin="user file"))
    with pytest.raises(DataError, match="model_origin of the packed likelihood"):
        publish.build(copy)


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_alerts_go_into_a_release_as_they_were_written(run: Path, tmp_path: Path) -> None:
    copy, alerts = Path(shutil.copytree(run, tmp_path / "default")), tmp_path / "alerts"
    (alerts / "notices").mkdir(parents=True)
    (alerts / "notices" / "one.json").write_text("{}")
    (alerts / "alerts-synthetic.ecsv").write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na\n1\n"
    )
    write_sums(alerts)
    built = publish.build(copy, "DR0.1", alerts=alerts)
    assert publish.verify(built).ok
    for name in ("alerts-synthetic.ecsv", "notices/one.json", "MANIFEST.sha256"):
        assert (built / "alerts" / name).read_bytes() == (alerts / name).read_bytes()
    origin = {one["path"]: one["origin"] for one in document(built, "manifest.json")["files"]}
    assert origin["alerts/alerts-synthetic.ecsv"] == "synthetic"
    (alerts / "notices" / "one.json").write_text("{ }")
    with pytest.raises(DataError, match=r"are not as its MANIFEST\.sha256 says:\n  - notices/one\.json"):
        publish.build(copy, "DR0.2", alerts=alerts)
    assert not list(copy.glob("release/*DR0.2*"))


# --- interpretation ---------------------------------------------------------------------------------------------------


def test_what_the_neutrinos_mean_goes_into_a_release_with_its_page(run: Path, tmp_path: Path, call) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "default"))
    folder, alone = copy / "interpretation", tmp_path / "alone"
    alone.mkdir()
    code, _, err = call("release", "interpretation", alone, "--json")
    assert (code, "no figures in" in err) == (6, True), err
    captions = {}
    for kind, origin in (("outlook-error", "synthetic"), ("hadronic", "real")):
        figure, axes = plt.subplots()
        axes.plot([1.0, 2.0])
        slug, captions[kind] = f"{kind}{mark(origin)}", f"Lines of {kind} & arXiv:2306.17275"
        save(figure, folder, Sidecar(slug, f"A line of {kind}", captions[kind], origin))
        plt.close(figure)
    (folder / "desert.json").write_text(json.dumps({"at": str(copy)}))
    (folder / "half.tmp").write_text("not whole")
    code, out, err = call("release", "interpretation", folder, "--json")
    assert code == 0, err
    page = Path(json.loads(out)["page"]).read_text(encoding="utf-8")
    for caption in captions.values():
        assert caption.replace("&", "&amp;") in page
    assert page.count("<img ") == page.count(' alt="A line of') == 2
    assert page.count('<span class="stamp">SYNTHETIC</span> Lines of outlook-error') == 1
    assert "http" not in page
    built = publish.build(copy, "DR0.1")
    assert publish.verify(built).ok
    names = {path.name for path in (built / "interpretation").iterdir()}
    stems = {"hadronic", "outlook-error-synthetic"}
    assert names == {"desert.json", "index.html", *(f"{one}{end}" for one in stems for end in (".png", ".json"))}
    assert str(copy) not in (built / "interpretation" / "desert.json").read_text()
    assert "### interpretation/" in (built / "README.md").read_text()
    (folder / "linked.json").symlink_to(copy / "results.json")
    with pytest.raises(DataError, match="link"):
        publish.build(copy, "DR0.2")
