"""run, status, doctor: the main job, where it stands, and whether this machine can do it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nuanalysis.cli._face import JsonFlag, answer, say

_BEFORE = ("01_event_store", "02_event_selection", "03_template_fits", "04_stacking")
_AFTER = ("05_data_release",)  # collects what hypotheses compared with each other have given, too
NOTEBOOKS = (*_BEFORE, *_AFTER)


def _parameters(
    spec: Path, folder: Path, executor: str, workers: int, scheduler: str, cluster: str
) -> dict[str, dict[str, Any]]:
    common = {"spec": str(spec), "run_folder": str(folder)}
    trials = {**common, "executor": executor, "workers": workers, "scheduler": scheduler, "cluster": cluster}
    return {name: dict(trials if name in ("03_template_fits", "04_stacking") else common) for name in NOTEBOOKS}


def run(
    spec: Annotated[Path, typer.Argument(help="Analysis spec (TOML), for example specs/default.toml.")],
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds the run folders.")] = Path("runs"),
    executor: Annotated[
        str, typer.Option("--executor", help="serial, threads, processes, dask, slurm or htcondor.")
    ] = "processes",
    workers: Annotated[int, typer.Option("--workers", min=1, max=256)] = 2,
    scheduler: Annotated[str, typer.Option("--scheduler", help="Address of a running Dask scheduler.")] = "",
    cluster: Annotated[
        str, typer.Option("--cluster", help="TOML file with what a job of a batch system asks for.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Run notebooks again even if nothing changed.")] = False,
    json: JsonFlag = False,
) -> None:
    """Run the notebooks in order into RUNS/NAME; what is finished and unchanged is skipped, with the reason."""
    from nuanalysis import publish
    from nuanalysis.answers.campaign import cpu_seconds
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.store import atomic_write
    from nuanalysis.workflow import steps
    from nuanalysis.workflow.notebooks import run_all
    from nuanalysis.workflow.spec import leave_out_unknown, read_spec

    started = time.monotonic()
    checked = leave_out_unknown(read_spec(spec))
    for name, reason in checked.left_out.items():
        say(f"{name}: left out, {reason}")
    jobs = Path(cluster) if cluster else None
    open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=jobs
    )  # refuses what cannot be; starts nothing
    folder = runs / checked.name
    folder.mkdir(parents=True, exist_ok=True)
    say(f"run '{checked.name}' in {folder}")
    steps.refuse_other_spec(checked, folder)
    atomic_write(folder / "spec.toml", spec.read_bytes())  # before the release is built: it holds a copy
    parameters = _parameters(spec, folder, executor, workers, scheduler, cluster)
    data = steps.data_fingerprint(checked)
    outcomes = run_all(_BEFORE, folder, parameters, force, progress=say, data=data)
    if checked.is_campaign:
        shared = "threads" if executor == "processes" else executor  # problems are large: threads share them
        with open_executor(shared, workers=workers, scheduler=scheduler or None, cluster=jobs) as pool:
            steps.compare_hypotheses(checked, folder, pool, say)
    outcomes += run_all(_AFTER, folder, parameters, force, progress=say, data=outcomes[-1].run.ended)
    releases = sorted(str(p) for p in (folder / "release").glob("*") if p.is_dir())
    document = {
        "name": checked.name,
        "folder": str(folder),
        "report": str(folder / "report" / "index.html"),
        "releases": releases,
        "notebooks": [
            {"name": o.name, "status": o.status, "reason": o.reason, "seconds": o.run.seconds} for o in outcomes
        ],
        "left_out_hypotheses": checked.left_out,
        "seconds": time.monotonic() - started,
    }
    lines = [*steps.headline(folder), f"report   {document['report']}", *(f"release  {r}" for r in releases)]
    results = publish.load_results(folder)
    if table := publish.campaign_text(results):
        document["campaign"] = [row.record() for row in publish.campaign_rows(results)]
        spent_s = cpu_seconds()
        document["core_seconds"] = spent_s
        spent = f"{spent_s / 3600:.3g} core-hours of CPU here, notebooks and figures included"
        lines += ["", table, f"table    {folder / 'campaign.ecsv'}", f"call     {spent}"]
    answer(document, as_json=json, text="\n".join(lines))


def status(
    folder: Annotated[Path, typer.Argument(help="Run folder.")] = Path("runs/default"), json: JsonFlag = False
) -> None:
    """Say where a run stands."""
    import json as js

    from nuanalysis.errors import StepMissing
    from nuanalysis.workflow.notebooks import read_manifest

    manifest = folder / "run.json"
    if not read_manifest(manifest):
        raise StepMissing(f"no run in {folder}; begin one with 'nuanalysis run SPEC'")
    document = js.loads(manifest.read_text())
    text = js.dumps(document, indent=1)
    answer(document, as_json=json, text=text)


def doctor(json: JsonFlag = False) -> None:
    """Check interpreter, packages, memory, disk and data, each with its remedy."""
    import os
    import platform
    import shutil

    from nuanalysis.ingest import RELEASES, holdings
    from nuanalysis.workflow.steps import versions

    free = shutil.disk_usage(Path.cwd()).free / 1e9
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    document: dict[str, Any] = {
        "python": platform.python_version(),
        "versions": versions(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "disk_free_gb": round(free, 1),
        "data": {release.name: holdings(release)[1] for release in RELEASES},
        "remedies": [],
    }
    if free < 4:
        document["remedies"].append(f"{free:.1f} GB of disk are free; a run wants 4: make room")
    if memory < 2:
        document["remedies"].append(f"{memory:.1f} GB of memory; a run wants 2: use one worker and fewer trials")
    for name, state in document["data"].items():
        if state != "complete":
            document["remedies"].append(f"release '{name}' is {state}: 'nuanalysis data fetch {name}' if you want it")
    lines = [f"{k}: {v}" for k, v in document.items() if k != "remedies"] + [
        "to do: " + r for r in document["remedies"]
    ]
    answer(document, as_json=json, text="\n".join(lines))
