"""extended: positions along the Galactic plane times extensions, and a list of extended sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import NSignalOption, SampleOption, SeedOption, SignalOption, WorkersOption
from nuanalysis.cli.scan import LocalTrialsOption, SkiesOption, _look


def extended(
    sample: SampleOption,
    extensions: Annotated[
        str, typer.Option("--extensions", help="Gaussian sigmas, deg, commas between; 0.05 to 5.")
    ] = "0.5,1,1.5,2",
    width: Annotated[float, typer.Option("--width", help="Largest Galactic latitude of positions, deg.")] = 5.0,
    nside: Annotated[
        int, typer.Option("--nside", help="Finest HEALPix resolution; wide extensions have a coarser one.")
    ] = 64,
    longitude: Annotated[
        str, typer.Option("--longitude", help="LO,HI: Galactic longitudes of positions, deg, eastwards from LO to HI.")
    ] = "",
    declination: Annotated[
        str, typer.Option("--declination", help="LO,HI: declinations of positions and of the list's sources, deg.")
    ] = "",
    catalogue: Annotated[
        str, typer.Option("--catalogue", help="The list, each source at its own extension; see nuanalysis catalogues.")
    ] = "extended-tev",
    skies: SkiesOption = 100,
    local_trials: LocalTrialsOption = 1000,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    workers: WorkersOption = 2,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for extended.json, tables (ECSV) and the figure.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Fit extended sources along the Galactic plane and of a list; local p-values, and global ones over all of them."""
    from nuanalysis.answers import extended as work
    from nuanalysis.engine.executors import Threads

    search = work.read_search(
        sample=sample,
        extensions=extensions,
        width=width,
        nside=nside,
        longitude=longitude,
        declination=declination,
        catalogue=catalogue,
        skies=skies,
    )
    with Threads(workers) as pool:
        sky = _look(sample, seed, signal, n_signal)
        document, plane = work.extended_record(sky, sample, search, skies, pool, say, local_trials=local_trials)
    if output is not None:
        document = work.write(output, document, plane)
    answer(document, as_json=json, text=work.in_words(document))


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(extended)
