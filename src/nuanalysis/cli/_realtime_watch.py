"""``nuanalysis realtime watch``: every step for every alert of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, say, told


def watch(
    source: Annotated[
        str, typer.Argument(help="replay (ICECAT-1), simulated:NUMBER, a folder of notices, or gcn (extra 'kafka').")
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder of the store, the steps and the release entry.")],
    speed: Annotated[float, typer.Option("--speed", min=0, help="Of a replay, times real time; 0: no waiting.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**40, help="Seed of simulated events.")] = 1,
    only: Annotated[str, typer.Option("--only", help="Steps with commas between; all by default.")] = "",
    colibri: Annotated[bool, typer.Option("--colibri/--no-colibri", help="Ask Astro-COLIBRI for transients.")] = False,
    json: JsonFlag = False,
) -> None:
    """Take alerts as they come through every step to the release entry; after a kill, the next call continues."""
    from nuanalysis.engine import progress
    from nuanalysis.engine.bench import Bench
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.realtime.steps import all_steps, chosen
    from nuanalysis.realtime.streams import source_of
    from nuanalysis.realtime.watch import watch as watch_source
    from nuanalysis.records import made
    from nuanalysis.store import refuse_folder

    refuse_folder(output, "--output")
    engine = made(EngineSettings, {"executor": "serial"}, "this executor cannot be used").open()
    with progress.compiling(say), engine:
        bench = Bench(output / "scans", engine, progress.Silent())
        steps = chosen(all_steps(bench, colibri=colibri), only)
        found = watch_source(source_of(source, bench, seed=seed, speed=speed), output, steps, said=say)
    told(found, as_json=json)
