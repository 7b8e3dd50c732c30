"""The steps of a run, as library calls and through ``nuanalysis run``: kept when finished, refused when mixed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuanalysis import publish
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.progress import Silent
from nuanalysis.errors import DataError, StepMissing
from nuanalysis.library import samples
from nuanalysis.library.samples import SampleSpec
from nuanalysis.publish import Results
from nuanalysis.records import Chance, Unknown
from nuanalysis.store import EventStore, read_zip
from nuanalysis.workflow import steps
from nuanalysis.workflow.spec import AnalysisSpec, parse_spec

pytestmark = pytest.mark.slow

SPEC = """
name = "tiny"
seed = 3

[[sample]]
name = "cascades-2023"
min_log10_energy = 3.5

[[sample]]
name = "tracks"

[[hypothesis]]
name = "template:pi0"

[[hypothesis]]
name = "stack:snr"

[trials]
scrambles = 200
injections = 100
"""


@pytest.fixture(scope="module", autouse=True)
def nothing_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No mirror, an empty cache: tracks must be left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NUANALYSIS_DATA", raising=False)
        patch.setenv("NUANALYSIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def __call__(self, line: str) -> None:
        self.said.append(line)


def all_steps(spec: AnalysisSpec, folder: Path, said: list[str]) -> Path:
    """Everything up to the release."""
    steps.fill_event_store(spec, folder, said.append)
    steps.select_samples(spec, folder, said.append)
    steps.ask_all(spec, folder, Bench(folder, progress=Heard(said)))
    steps.collect_results(spec, folder)
    steps.draw_and_report(folder)
    return steps.build_release(folder)


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder with the spec it was made from, what was said, and its release."""

    spec: AnalysisSpec
    folder: Path
    said: list[str]
    release: Path

    @property
    def results(self) -> Results:
        return publish.load_results(self.folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec, folder = parse_spec(SPEC), tmp_path_factory.mktemp("runs") / "tiny"
    said: list[str] = []
    return Run(spec, folder, said, all_steps(spec, folder, said))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_the_run_folder_holds_what_was_promised(finished: Run) -> None:
    names = {path.name for path in finished.folder.iterdir()}
    assert {"events.zarr", "trials", "results.json", "report", "release", "products", "figures"} <= names
    assert (finished.folder / "report" / "index.html").stat().st_size > 10_000
    stems = {path.stem for path in (finished.folder / "products").glob("*.zip")}
    assert stems == {
        "events-cascades-2023",
        "response-cascades-2023",
        *(
            f"{kind}-cascades-2023-{slug}"
            for kind in ("trials", "map", "likelihood")
            for slug in ("template-pi0", "stack-snr")
        ),
    }


def test_results_keep_their_schema_and_carry_errors_and_trials(finished: Run) -> None:
    results = finished.results
    assert results.spec_fingerprint == finished.spec.fingerprint()
    assert [(one.section, one.sample, one.name) for one in results.answers] == [
        ("measure", "cascades-2023", "template:pi0"),
        ("measure", "cascades-2023", "stack:snr"),
    ]
    for answer in (one.answer for one in results.answers):
        assert (answer.provenance.origin, answer.provenance.seed) == ("synthetic", 3)
        assert any("SYNTHETIC" in note for note in answer.provenance.notes)
        if isinstance(answer.chance, Chance):
            assert (answer.chance.scope, answer.chance.n_trials) == ("local", 200)
            assert 0 < answer.chance.error < answer.chance.p
        else:
            assert answer.chance.reason
        assert answer.flux.n_trials == 100
        for potential in (answer.sensitivity, answer.discovery_potential):
            assert potential.reason if isinstance(potential, Unknown) else potential.flux.value > 0
    first = results.answers[0].answer
    assert first.sensitivity.flux.value > 0
    assert first.tested.model_origin == "built-in"


def test_single_fits_are_kept_with_their_cost_and_are_no_campaign(finished: Run) -> None:
    parts = [json.loads(path.read_text()) for path in sorted((finished.folder / "results").glob("*.json"))]
    assert len(parts) == 2
    assert all(one["cost"]["core_seconds"] > 0 and one["cost"]["measured"] == "CPU time" for one in parts)
    assert [(one.section, one.core_seconds > 0) for one in finished.results.costs] == [("measure", True)] * 2
    assert finished.results.left_out_questions == {}
    assert not (finished.folder / "campaign.ecsv").exists()


def test_the_sample_without_data_is_left_out_and_every_document_says_so(finished: Run) -> None:
    results = finished.results
    assert [card.sample for card in results.samples] == ["cascades-2023"]
    assert list(results.left_out) == ["tracks"]
    assert "nuanalysis data fetch tracks-ic40" in results.left_out["tracks"]
    assert any("tracks: left out" in line for line in finished.said)


def test_the_map_integrates_to_the_test_statistic(finished: Run) -> None:
    for one in finished.results.answers:
        density = read_zip(one.product(finished.folder, "map"))["ts_density"].values
        assert density.sum() * 4 * np.pi / density.size == pytest.approx(one.answer.fitted.ts, rel=1e-3, abs=1e-3)


def test_events_are_stored_once_under_a_tag_and_cut_as_asked(finished: Run) -> None:
    store = EventStore(finished.folder / "events.zarr")
    assert store.seasons(tag=steps.STORE_TAG) == ("cascades-2023",)
    assert store.read("cascades-2023", tag=steps.STORE_TAG).sizes["event"] == 59_592
    kept = read_zip(finished.folder / "products" / "events-cascades-2023.zip")
    assert 1_000 < kept.sizes["event"] == finished.results.samples[0].n_events < 59_592
    assert kept["log10_energy"].values.min() >= 3.5


def test_called_again_the_finished_parts_are_kept(finished: Run) -> None:
    watched = [
        *(finished.folder / "results").glob("*.json"),
        *(finished.folder / "trials").rglob("c/**/*"),
        *(finished.folder / "cache").glob("*.problem"),
        *(finished.folder / "products").glob("trials-*.zip"),
        finished.folder / "samples.json",
    ]
    watched = [path for path in watched if path.is_file()]
    assert len(watched) > 8
    before = {path: path.stat().st_mtime_ns for path in watched}
    content = tree(finished.folder / "products") | tree(finished.folder / "results")
    results, snapshots = (
        (finished.folder / "results.json").read_bytes(),
        len(list((finished.folder / "events.zarr").rglob("*"))),
    )
    said: list[str] = []
    all_steps(finished.spec, finished.folder, said)
    assert sum("unchanged, kept" in line for line in said) == 2
    assert {path: path.stat().st_mtime_ns for path in watched} == before
    assert tree(finished.folder / "products") | tree(finished.folder / "results") == content
    assert (finished.folder / "results.json").read_bytes() == results
    assert len(list((finished.folder / "events.zarr").rglob("*"))) == snapshots


def test_built_twice_the_release_is_the_same_bytes_and_verifies(finished: Run) -> None:
    first = tree(finished.release)
    assert publish.verify(finished.release).ok
    steps.draw_and_report(finished.folder)
    second = steps.build_release(finished.folder)
    assert second == finished.release
    assert tree(second) == first
    synthetic = [name for name in first if name.startswith(("events/", "maps/", "trials/", "fits/"))]
    assert len(synthetic) > 6
    assert all("synthetic" in name for name in synthetic)


def test_a_line_for_every_result_says_what_is_synthetic(finished: Run) -> None:
    lines = steps.headlines(finished.folder)
    assert len(lines) == 2
    assert all("[SYNTHETIC]" in line for line in lines)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed = 3", "seed = 4"), ("min_log10", "n_signal = 5\nmin_log10"), ("min_log10", 'signal = "none"\nmin_log10')],
)
def test_a_folder_begun_by_another_spec_is_refused_and_left_alone(old: str, new: str, finished: Run) -> None:
    other = parse_spec(SPEC.replace(old, new, 1))
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")}
    with pytest.raises(DataError, match="was begun with other samples, signal, seed, files or code"):
        steps.fill_event_store(other, finished.folder, print)
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")} == before


def test_a_step_without_the_one_before_names_the_notebook_to_run(finished: Run, tmp_path: Path) -> None:
    spec = finished.spec
    [cascades, _] = spec.sample
    with pytest.raises(StepMissing, match="01_event_store"):
        steps.select_samples(spec, tmp_path, print)
    with pytest.raises(StepMissing, match="01_event_store"):
        steps.ask(spec, tmp_path, spec.questions()[0], (cascades,), Bench(tmp_path))
    with pytest.raises(StepMissing, match="02_event_selection"):
        steps.collect_results(spec, tmp_path)
    with pytest.raises(StepMissing, match=r"results\.json"):
        steps.draw_and_report(tmp_path)
    with pytest.raises(StepMissing, match=r"results\.json"):
        steps.build_release(tmp_path)
    with pytest.raises(StepMissing, match=r"results\.json"):
        steps.headlines(tmp_path)
    for name in ("selection.json", "samples.json"):
        shutil.copy(finished.folder / name, tmp_path / name)
    with pytest.raises(StepMissing, match="nuanalysis run SPEC"):
        steps.collect_results(spec, tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_a_sample_that_was_left_out_cannot_be_analysed(finished: Run) -> None:
    with pytest.raises(StepMissing, match="'tracks' is not in the event store: release 'tracks-ic40' is not here"):
        steps.selected_samples(SampleSpec(name="tracks"), finished.folder, 3)


@pytest.mark.parametrize("name", ["samples.json", "results.json"])
def test_why_a_sample_was_left_out_names_no_folder(finished: Run, name: str) -> None:
    """It is published: a release that is built again elsewhere would differ."""
    said = (finished.folder / name).read_text(encoding="utf-8")
    assert "nuanalysis data fetch tracks-ic40" in said
    assert "Looked in" not in said
    assert str(Path.home()) not in said


def test_a_spec_of_which_no_sample_is_here_is_refused(tmp_path: Path) -> None:
    alone = 'name = "t"\n[[sample]]\nname = "tracks"\n[[hypothesis]]\nname = "stack:snr"\n'
    with pytest.raises(DataError, match="data fetch tracks-ic40"):
        steps.fill_event_store(parse_spec(alone), tmp_path, print)


@pytest.mark.parametrize("name", ["samples.json", "results/measure-cascades-2023-stack-snr.json"])
def test_a_damaged_record_is_named(name: str, finished: Run, tmp_path: Path) -> None:
    for part in ("samples.json", "results", "events.zarr"):
        source = finished.folder / part
        shutil.copytree(source, tmp_path / part) if source.is_dir() else shutil.copy(source, tmp_path / part)
    (tmp_path / name).write_text((tmp_path / name).read_text()[:40])
    spec = finished.spec
    with pytest.raises(DataError, match=f"{Path(name).name} is damaged"):
        steps.ask(spec, tmp_path, spec.questions()[1], spec.sample[:1], Bench(tmp_path))
    if name == "samples.json":
        with pytest.raises(DataError, match="is damaged"):
            steps.fill_event_store(spec, tmp_path, print)


def test_events_are_not_stored_twice_after_a_kill_at_any_point(finished: Run, tmp_path: Path) -> None:
    """Between the commit of a season and the record of it lies a moment; a copy is put into each of its states."""
    key = json.loads((finished.folder / "samples.json").read_text())["key"]
    begun = {"key": key, "seasons": {}, "left_out": {}}
    committed = begun | {"seasons": {"cascades-2023": ["cascades-2023"]}}
    for name, book in (("before-record", begun), ("before-tag", committed)):
        folder = tmp_path / name
        store = EventStore(folder / "events.zarr")
        events = EventStore(finished.folder / "events.zarr").read("cascades-2023")
        store.append("cascades-2023", events, "before the kill")
        (folder / "samples.json").write_text(json.dumps(book))
        with pytest.raises(StepMissing, match="not complete; run '01_event_store' again"):
            steps.select_samples(finished.spec, folder, print)
        steps.fill_event_store(finished.spec, folder, print)
        assert store.read("cascades-2023", tag=steps.STORE_TAG).sizes["event"] == 59_592


# --- nuanalysis run ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Called:
    """``nuanalysis run`` in another process; what it says on stderr is collected as it comes."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    listener: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def wait_for(self, words: str) -> None:
        until = time.monotonic() + 120
        while not any(words in line for line in list(self.lines)):
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.lines}"
            assert time.monotonic() < until, f"{words!r} not said: {self.lines}"
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        assert self.process.stdout is not None
        with self.process:  # closes its streams
            out = self.process.stdout.read()
            self.listener.join(180)
        return self.process.returncode, out


def call_run(folder: Path, *verb: str) -> Called:
    """``nuanalysis run tiny.toml``, or another verb, as a process of its own."""
    (folder / "tiny.toml").write_text(SPEC)
    asked = verb or ("run", "tiny.toml")
    command = [sys.executable, "-m", "nuanalysis", *asked, "--executor", "serial", "--json"]
    return Called(subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def numbers(document: Any) -> Any:
    """A document without its clocks."""
    if isinstance(document, dict):
        return {k: numbers(v) for k, v in document.items() if k not in ("created", "seconds", "core_seconds")}
    return [numbers(v) for v in document] if isinstance(document, list) else document


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run that was killed in notebook 03, resumed, and met by a third call while it went on."""
    folder = tmp_path_factory.mktemp("survivor")
    killed = call_run(folder)
    killed.wait_for("03_template_fits: cell 4/")
    time.sleep(float(np.random.default_rng(12).uniform(0, 2)))
    os.kill(killed.process.pid, signal.SIGKILL)
    first = killed.end()
    seen = json.loads((folder / "runs/tiny/run.json").read_text())["notebooks"]
    again = call_run(folder, "resume", "runs/tiny")
    again.wait_for("03_template_fits: runs (last run was interrupted")
    third = call_run(folder)
    second = again.end()
    return {
        "folder": folder,
        "killed": first,
        "manifest": seen,
        "again": second,
        "lines": again.lines,
        "third": third.end(),
    }


def test_killed_and_called_again_it_finishes_with_the_numbers_of_an_undisturbed_run(
    survivor: dict[str, Any], finished: Run
) -> None:
    assert survivor["killed"] == (-signal.SIGKILL, "")
    assert [name for name, run in survivor["manifest"].items() if run["status"] == "finished"] == [
        "01_event_store",
        "02_event_selection",
    ]
    code, out = survivor["again"]
    assert code == 0, survivor["lines"]
    done = {row["name"]: row["status"] for row in json.loads(out)["notebooks"]}
    assert list(done.values()) == ["skipped", "skipped", "finished", "finished", "finished"]
    results = publish.load_results(survivor["folder"] / "runs/tiny")
    assert numbers(results.to_dict()) == numbers(finished.results.to_dict())


def test_two_runs_at_once_do_not_meet_in_the_folder(survivor: dict[str, Any]) -> None:
    code, out = survivor["third"]
    document = json.loads(out)
    if code == 5:
        assert document["error"]["kind"] == "StoreLocked"
    else:  # it waited, and there was nothing left to do
        assert code == 0
        assert {row["status"] for row in document["notebooks"]} == {"skipped"}


def test_a_second_run_skips_everything_and_says_why(survivor: dict[str, Any]) -> None:
    before = (survivor["folder"] / "runs/tiny/results.json").read_bytes()
    called = call_run(survivor["folder"])
    code, out = called.end()
    document = json.loads(out)
    assert code == 0
    assert [row["status"] for row in document["notebooks"]] == ["skipped"] * 5
    assert all(row["reason"].startswith("unchanged since 20") for row in document["notebooks"])
    assert sum("skipped: unchanged since" in line for line in called.lines) == 5
    assert (survivor["folder"] / "runs/tiny/results.json").read_bytes() == before


def test_several_specs_run_one_after_the_other_each_into_its_folder(survivor: dict[str, Any]) -> None:
    folder = survivor["folder"]
    (folder / "next.toml").write_text(
        'name = "next"\n[[sample]]\nname = "cascades-2023"\n[[hypothesis]]\nname = "template:pi0-like"\n'
        "[trials]\nscrambles = 200\ninjections = 100\n"
    )
    code, out = call_run(folder, "run", "tiny.toml", "next.toml").end()
    assert code == 0
    tiny, following = json.loads(out)["runs"]
    assert {row["status"] for row in tiny["notebooks"]} == {"skipped"}
    assert [row["status"] for row in following["notebooks"]] == ["finished"] * 5
    assert publish.verify(folder / following["releases"][0]).ok
    assert [one.name for one in publish.load_results(folder / "runs/next").entries("measure")] == ["template:pi0-like"]


def test_the_run_names_a_report_and_a_release_that_verifies(survivor: dict[str, Any]) -> None:
    document = json.loads(survivor["again"][1])
    assert (survivor["folder"] / document["report"]).is_file()
    [release] = [survivor["folder"] / name for name in document["releases"]]
    assert publish.verify(release).ok
    held = tree(release)
    assert held["spec.toml"].decode() == SPEC
    assert {f"notebooks/{name}.ipynb" for name in ("01_event_store", "04_stacking")} <= held.keys()
    assert not [name for name in held if str(survivor["folder"]).encode() in held[name]], "a path of this machine"


# --- real data --------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_real_tracks_are_held_whole_and_give_an_upper_limit(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    head, _, rest = SPEC.partition('[[sample]]\nname = "tracks"')
    spec = parse_spec(head.partition("[[sample]]")[0] + '[[sample]]\nname = "tracks"' + rest)
    steps.fill_event_store(spec, tmp_path, print)
    [held], _ = steps.select_samples(spec, tmp_path, print)
    assert (held.origin, held.n_events) == ("real", 268_355)
    seasons = {one.name: one for one in held.seasons}
    assert {name: one.n_events for name, one in seasons.items()} == {
        "tracks-ic40": 36_900,
        "tracks-ic79": 93_133,
        "tracks-ic86-2011": 138_322,
    }
    days = [seasons[name].livetime_d for name in ("tracks-ic40", "tracks-ic79", "tracks-ic86-2011")]
    assert days == pytest.approx([376.4, 316.0, 332.9], abs=0.6)
    for answer in (one.answer for one in steps.ask_all(spec, tmp_path, Bench(tmp_path))):
        assert answer.provenance.origin == "real"
        assert answer.fitted.converged
        assert answer.provenance.notes, "derived smearing must be said"
        limit, flux = answer.flux.upper_limit_90, answer.sensitivity.flux.value
        assert not isinstance(limit, Unknown), limit
        assert np.isfinite(limit.value)
        assert limit.value >= 0.5 * flux > 0
    results = publish.load_results(steps.collect_results(spec, tmp_path).parent)
    assert results.left_out == {}
    assert {one.name for one in results.inputs} >= {"tracks-ic40", "tracks-ic79", "tracks-ic86-2011"}
    assert all(one.files for one in results.inputs if one.name.startswith("tracks-"))


@pytest.mark.real_data
def test_cuts_of_the_user_reach_events_and_analysis(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    spec = SampleSpec(name="tracks", min_declination_deg=-5, max_declination_deg=30, min_log10_energy=3)
    for one in samples.load(spec, 1).seasons:
        assert np.degrees(one.array("declination")).min() >= -5
        assert np.degrees(one.array("declination")).max() <= 30
        assert one.array("log10_energy").min() >= 3
        assert one.log10_energy_range == (3.0, 10.0)


# --- documents that somebody changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "keys", "value", "words"),
    [
        ("results/measure-cascades-2023-stack-snr.json", ("answer", "fitted", "ts"), 1e308,
         r"stack-snr\.json holds what cannot be:\n  - answer\.fitted\.ts is 1e\+308.*(\n.*)*remove it and run"),
        ("results/measure-cascades-2023-stack-snr.json", ("cost", "seconds"), -1.0, r"'cost\.seconds'.*(\n.*)*remove"),
        ("samples.json", ("seasons",), {}, r"samples\.json says nothing of cascades-2023"),
    ],
)  # fmt: skip
def test_a_changed_document_is_named_before_results_are_made_of_it(
    finished: Run, name: str, keys: tuple[str, ...], value: Any, words: str, tmp_path: Path
) -> None:
    """Results of it would be refused later, with a remedy that keeps the document as it is."""
    folder = Path(shutil.copytree(finished.folder, tmp_path / "tiny"))
    document = json.loads((folder / name).read_text())
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / name).write_text(json.dumps(document))
    before = (folder / "results.json").read_bytes()
    with pytest.raises(DataError, match=words):
        steps.ask_all(finished.spec, folder, Bench(folder))
    with pytest.raises(DataError, match=words):
        steps.collect_results(finished.spec, folder)
    assert (folder / "results.json").read_bytes() == before
