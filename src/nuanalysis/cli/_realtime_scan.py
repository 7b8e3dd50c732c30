"""``nuanalysis realtime scan``: the sky scan of one event."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, say, told


def scan(
    event: Annotated[
        str,
        typer.Argument(
            help="IC220524A or IC220624A (published), FILE.npz?declination=mirrored, or simulated:SEED?energy=TEV."
        ),
    ],
    folder: Annotated[Path, typer.Option("--folder", help="Folder of pixels, maps and figures.")] = Path("runs/scans"),
    max_order: Annotated[int, typer.Option("--max-order", min=0, max=10, help="Finest order; 0: as suits.")] = 0,
    most_pixels: Annotated[int, typer.Option("--most-pixels", min=768, max=200_000, help="Most pixels to fit.")] = 5000,
    executor: Annotated[str, typer.Option("--executor", help="serial, threads, processes or dask.")] = "serial",
    workers: Annotated[int, typer.Option("--workers", min=1, max=256)] = 2,
    json: JsonFlag = False,
) -> None:
    """Scan the sky for one event: contours with calibrated containment, multi-order map, leaves, figure."""
    from nuanalysis.chain.scan_event import ScanEvent
    from nuanalysis.cli._questions import all_or_none
    from nuanalysis.engine import progress
    from nuanalysis.engine.bench import Bench
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.records import made
    from nuanalysis.store import refuse_folder

    asked, engine = all_or_none(
        lambda: ScanEvent.of(event=event, max_order=max_order, most_pixels=most_pixels),
        lambda: made(EngineSettings, {"executor": executor, "workers": workers}, "this executor cannot be used"),
    )
    refuse_folder(folder, "--folder")
    opened = engine.open()
    with progress.compiling(say), opened:
        found = asked.take(Bench(folder, opened, progress.here()))
    told(found, as_json=json)
