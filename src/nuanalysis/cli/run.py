"""run, status, doctor, compile, official: verbs that are no questions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say, told

_DEFAULT = Path("runs/default")


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
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.records import made
    from nuanalysis.workflow import refuse_missing

    refuse_missing(spec)
    said = {"executor": executor, "workers": workers, "scheduler": scheduler, "cluster": cluster}
    engine = made(EngineSettings, said, "the executor cannot be used so")
    from nuanalysis import publish  # from here on it takes a second
    from nuanalysis.workflow.run import run as work

    done = work(spec, runs, engine, say, force=force)
    table = publish.campaign_text(publish.load_results(Path(done.folder)))
    text = "\n".join([str(done), *(["", table, f"table: {Path(done.folder) / 'campaign.ecsv'}"] if table else [])])
    answer(done.to_dict(), as_json=json, text=text)


def status(folder: Annotated[Path, typer.Argument(help="Run folder.")] = _DEFAULT, json: JsonFlag = False) -> None:
    """Say where a run stands."""
    import json as js

    from nuanalysis.errors import StepMissing
    from nuanalysis.workflow.notebooks import MANIFEST, manifest_text, read_manifest

    runs = read_manifest(folder / MANIFEST)
    if not runs:
        raise StepMissing(f"no run in {folder}; begin one with 'nuanalysis run SPEC'")
    document = js.loads(manifest_text(runs))
    answer(document, as_json=json, text=js.dumps(document, indent=1))


def doctor(json: JsonFlag = False) -> None:
    """Check interpreter, packages, memory, disk and data, each with its remedy."""
    from nuanalysis.cli._doctor import examine

    told(examine(), as_json=json)


def compile_kernels(json: JsonFlag = False) -> None:
    """Compile every kernel once; 'make env' does so, after 'pip install' it is up to you."""
    from nuanalysis.library.kernels import compile_kernels as work

    seconds = work(say)
    answer({"seconds": seconds}, as_json=json, text=f"kernels ready after {seconds:.1f} s")


def official(json: JsonFlag = False) -> None:
    """Repeat the published template fits on the official per-event file, where a user has it."""
    from nuanalysis.ingest import cascades_2023, find
    from nuanalysis.interpret.official import repeated

    told(repeated(cascades_2023.read_event_contributions(find(cascades_2023.RELEASE))), as_json=json)
