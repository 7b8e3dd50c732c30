"""A whole run: notebooks in order, the questions that no notebook asks, report and release."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nuanalysis import publish
from nuanalysis.engine import progress as engine_progress
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.cost import cpu_seconds
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.errors import StepMissing, printable
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import at_hand
from nuanalysis.publish import SPEC, CampaignRow
from nuanalysis.records import Record, shown
from nuanalysis.store import atomic_write, own_tree, refuse_folder, text_of
from nuanalysis.workflow import steps
from nuanalysis.workflow.notebooks import MANIFEST, Outcome, check_all, notebook_folder, read_manifest, run_all
from nuanalysis.workflow.spec import AnalysisSpec, read_spec

BEFORE = ("01_event_store", "02_event_selection", "03_template_fits", "04_stacking")
AFTER = ("05_data_release",)  # collects what the questions that no notebook asks have given, too
NOTEBOOKS = (*BEFORE, *AFTER)
LOG = "run.log"
_WITH_TRIALS = ("03_template_fits", "04_stacking")
Parameters = Mapping[str, Mapping[str, Any]]  # of each notebook


class RunReport(Record):
    """What a run made."""

    name: str = shown("run")
    folder: str = shown("folder")
    report: str = shown("report")
    releases: tuple[str, ...] = shown("releases")
    notebooks: tuple[Outcome, ...] = shown("notebooks")
    left_out: dict[str, str] = shown("left out, and why", hidden=True)
    headlines: tuple[str, ...] = shown("answers", hidden=True)
    campaign: tuple[CampaignRow, ...] = shown("published values beside ours", (), hidden=True)
    core_seconds: float = shown("core-seconds of this call, notebooks and figures included", unit="s", form=".0f")
    seconds: float = shown("wall time", unit="s", form=".0f")

    def headline(self) -> tuple[str, ...]:
        """A line an answer."""
        return self.headlines


def checked(spec: Path, runs: Path) -> AnalysisSpec:
    """The spec, after all that can be said against running it: files and releases that it names, and the run folder.

    Raises InputError, DataError (a release that is not here, a damaged run folder) or EnvironmentFault (a folder that
    cannot be written).  Makes nothing; a real sample that is not here is left out by the run.
    """
    asked = read_spec(spec)
    folder = runs / asked.name
    refuse_folder(folder, "the run folder")
    own_tree(folder, "the run folder")
    for name in asked.names:
        at_hand(name)
    for sample in asked.sample:
        if samples.recipe(sample.name).origin == "synthetic":
            samples.at_hand(sample)
    read_manifest(folder / MANIFEST)
    steps.refuse_other_spec(asked, folder)
    return asked


def run(
    spec: Path, runs: Path, engine: EngineSettings, progress: Callable[[str], None], *, force: bool = False
) -> RunReport:
    """Run a spec into RUNS/NAME; what is finished and unchanged is skipped, with the reason.

    Raises InputError for a spec, executor or folder that cannot be used, before anything is made.
    """
    started = time.monotonic()
    engine.open()  # refuses what cannot be; starts nothing
    asked = checked(spec, runs)
    for name, reason in asked.left_out.items():
        progress(f"{name}: left out, {reason}")
    folder = runs / asked.name
    parameters = _parameters(spec, folder, engine)
    check_all(NOTEBOOKS, parameters, notebook_folder())
    folder.mkdir(parents=True, exist_ok=True)
    progress = _kept_in(folder / LOG, progress)
    progress(f"run '{asked.name}' in {folder}")
    atomic_write(folder / SPEC, spec.read_bytes())  # before the release is built: it holds a copy
    with engine_progress.compiling(progress):
        outcomes = _work(asked, folder, engine, parameters, progress, force=force)
    results = publish.load_results(folder)
    return RunReport(
        name=asked.name,
        folder=str(folder),
        report=str(folder / "report" / "index.html"),
        releases=tuple(sorted(str(p) for p in (folder / "release").glob("*") if p.is_dir())),
        notebooks=tuple(outcomes),
        left_out=asked.left_out,
        headlines=tuple(steps.headlines(folder)),
        campaign=tuple(publish.campaign_rows(results)),
        core_seconds=cpu_seconds(),
        seconds=time.monotonic() - started,
    )


def _kept_in(log: Path, say: Callable[[str], None]) -> Callable[[str], None]:
    """What is said is kept too, each line with its time; a call that goes on with a run adds to it."""

    def said(line: str) -> None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {printable(line)}\n")
        say(line)

    return said


def log_of(folder: Path, last: int) -> tuple[str, ...]:
    """The last lines of the log of a run, oldest first.  Raises StepMissing where there is none."""
    path = folder / LOG
    if not path.is_file():
        raise StepMissing(f"no log in {folder}; begin a run with 'nuanalysis run SPEC'")
    return tuple(text_of(path, "the log of the run").splitlines()[-last:])


def spec_of(folder: Path) -> Path:
    """The spec that a run folder was made from.  Raises StepMissing where there is none."""
    path = folder / SPEC
    if not path.is_file():
        raise StepMissing(f"no run in {folder} to go on with; begin one with 'nuanalysis run SPEC'")
    return path


def _parameters(spec: Path, folder: Path, engine: EngineSettings) -> Parameters:
    common = {"spec": str(spec), "run_folder": str(folder)}
    return {name: {**common, **(engine.model_dump() if name in _WITH_TRIALS else {})} for name in NOTEBOOKS}


def _work(
    asked: AnalysisSpec,
    folder: Path,
    engine: EngineSettings,
    parameters: Parameters,
    progress: Callable[[str], None],
    *,
    force: bool,
) -> list[Outcome]:
    """Notebooks, questions, notebooks."""
    data = steps.data_fingerprint(asked)
    outcomes = list(run_all(BEFORE, folder, parameters, force, progress=progress, data=data))
    # Problems are large: threads share them.
    shared = engine.model_copy(update={"executor": "threads"}) if engine.executor == "processes" else engine
    with shared.open() as executor:
        bench = Bench(folder, executor, engine_progress.here())
        steps.ask_all(asked, folder, bench, only=lambda one: one.section != "measure")
    last = outcomes[-1].run
    assert last is not None
    return [*outcomes, *run_all(AFTER, folder, parameters, force, progress=progress, data=last.ended)]
