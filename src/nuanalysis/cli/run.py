"""run, resume, status, logs, doctor, compile, official: verbs that are no questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say, told
from nuanalysis.errors import InputError

if TYPE_CHECKING:
    from nuanalysis.workflow.run import RunReport

_DEFAULT = Path("runs/default")


def run(
    specs: Annotated[
        list[Path], typer.Argument(metavar="SPEC...", help="Analysis specs (TOML), for example specs/default.toml.")
    ],
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
    """Run the notebooks in order into RUNS/NAME; what is finished and unchanged is skipped, with the reason.

    Several specs are run one after the other; all are checked before the first begins.
    """
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.records import made
    from nuanalysis.workflow import refuse_missing

    for spec in specs:
        refuse_missing(spec)
    said = {"executor": executor, "workers": workers, "scheduler": scheduler, "cluster": cluster}
    engine = made(EngineSettings, said, "this executor cannot be used")
    from nuanalysis.workflow.run import checked
    from nuanalysis.workflow.run import run as work

    names = [checked(spec, runs).name for spec in specs]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"two specs have the name {', '.join(twice)}; each run needs a folder of its own")
    done = [work(spec, runs, engine, say, force=force) for spec in specs]
    document = done[0].to_dict() if len(done) == 1 else {"runs": [one.to_dict() for one in done]}
    answer(document, as_json=json, text="\n\n".join(map(_told, done)))


def _told(done: RunReport) -> str:
    """A run for people, with its campaign table where it is one."""
    from nuanalysis import publish

    table = publish.campaign_text(publish.load_results(Path(done.folder)))
    return "\n".join([str(done), *(["", table, f"table: {Path(done.folder) / 'campaign.ecsv'}"] if table else [])])


def resume(
    folder: Annotated[Path, typer.Argument(help="Run folder.")] = _DEFAULT,
    executor: Annotated[str, typer.Option("--executor", help="As for run.")] = "processes",
    workers: Annotated[int, typer.Option("--workers", min=1, max=256)] = 2,
    json: JsonFlag = False,
) -> None:
    """Go on with a run that was stopped, from the spec in its folder; what is finished is kept."""
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.records import made

    engine = made(EngineSettings, {"executor": executor, "workers": workers}, "this executor cannot be used")
    from nuanalysis.workflow.run import run as work
    from nuanalysis.workflow.run import spec_of

    done = work(spec_of(folder), folder.parent, engine, say)
    answer(done.to_dict(), as_json=json, text=_told(done))


def logs(
    folder: Annotated[Path, typer.Argument(help="Run folder.")] = _DEFAULT,
    last: Annotated[int, typer.Option("--last", min=1, max=1_000_000, help="How many of the newest lines.")] = 40,
    json: JsonFlag = False,
) -> None:
    """What a run said while it worked, each line with its time."""
    from nuanalysis.workflow.run import log_of

    lines = log_of(folder, last)
    answer({"lines": list(lines)}, as_json=json, text="\n".join(lines))


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
    """Compile every kernel once; 'make env' does this, after 'pip install' call it yourself."""
    from nuanalysis.library.kernels import compile_kernels as work

    seconds = work(say)
    answer({"seconds": seconds}, as_json=json, text=f"kernels ready after {seconds:.1f} s")


def official(json: JsonFlag = False) -> None:
    """Repeat the published template fits on the official per-event file, if you have it."""
    from nuanalysis.ingest import cascades_2023, find
    from nuanalysis.interpret.official import repeated

    told(repeated(cascades_2023.read_event_contributions(find(cascades_2023.RELEASE))), as_json=json)
