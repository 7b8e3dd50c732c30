"""A whole run: notebooks in order, the questions that no notebook asks, report and release."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nuanalysis import publish
from nuanalysis.engine import progress as engine_progress
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.cost import cpu_seconds
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.publish import CampaignRow
from nuanalysis.records import Record, shown
from nuanalysis.store import atomic_write
from nuanalysis.workflow import steps
from nuanalysis.workflow.notebooks import Outcome, run_all
from nuanalysis.workflow.spec import AnalysisSpec, read_spec

BEFORE = ("01_event_store", "02_event_selection", "03_template_fits", "04_stacking")
AFTER = ("05_data_release",)  # collects what the questions that no notebook asks have given, too
NOTEBOOKS = (*BEFORE, *AFTER)
_WITH_TRIALS = ("03_template_fits", "04_stacking")


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


def run(
    spec: Path, runs: Path, engine: EngineSettings, progress: Callable[[str], None], *, force: bool = False
) -> RunReport:
    """Run a spec into RUNS/NAME; what is finished and unchanged is skipped, with the reason.

    Raises InputError for a spec, executor or folder that cannot be used, before anything is made.
    """
    started = time.monotonic()
    asked = read_spec(spec)
    for name, reason in asked.left_out.items():
        progress(f"{name}: left out, {reason}")
    engine.open()  # refuses what cannot be; starts nothing
    folder = runs / asked.name
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"run '{asked.name}' in {folder}")
    steps.refuse_other_spec(asked, folder)
    atomic_write(folder / "spec.toml", spec.read_bytes())  # before the release is built: it holds a copy
    outcomes = _work(asked, spec, folder, engine, progress, force=force)
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


def _work(
    asked: AnalysisSpec,
    spec: Path,
    folder: Path,
    engine: EngineSettings,
    progress: Callable[[str], None],
    *,
    force: bool,
) -> list[Outcome]:
    """Notebooks, questions, notebooks."""
    common = {"spec": str(spec), "run_folder": str(folder)}
    parameters: dict[str, dict[str, Any]] = {
        name: {**common, **(engine.model_dump() if name in _WITH_TRIALS else {})} for name in NOTEBOOKS
    }
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
