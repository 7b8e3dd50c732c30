"""declinations: sensitivity, discovery potential and upper limits of point sources against declination."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import NSignalOption, SeedOption, SignalOption, WorkersOption

if TYPE_CHECKING:
    from nuanalysis.answers.declinations import Asked
    from nuanalysis.model import Sample


def _numbers(option: str, text: str, example: str) -> tuple[float, ...]:
    """Numbers between commas.  Raises InputError."""
    from nuanalysis.errors import InputError

    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(
            f"{option} is '{text}'; expected numbers with commas between, for example {example}"
        ) from error


def _declinations(given: str, step: float) -> tuple[float, ...]:
    """Degrees: the numbers given, every step in sin(declination) within 82 degrees, or the usual ones."""
    import numpy as np

    from nuanalysis.answers import declinations as work
    from nuanalysis.errors import InputError

    if given and step:
        raise InputError("--declinations and --step were both given; expected one of them")
    if given:
        return tuple(sorted(_numbers("--declinations", given, "-60,0,60")))
    if not step:
        return work.DECLINATIONS
    if not 0.005 <= step <= 0.9:
        raise InputError(f"--step is {step:g}; expected 0.005 to 0.9, in sin(declination)")
    many = int(np.floor(np.sin(np.radians(82.0)) / step))
    return tuple(float(d) for d in np.degrees(np.arcsin(step * np.arange(-many, many + 1))))


def _load(name: str, asked: Asked, signal: str, n_signal: float) -> tuple[str, tuple[Sample, ...]]:
    from nuanalysis.library import samples
    from nuanalysis.library.samples import sample_spec

    ready = samples.load(sample_spec(name=name, signal=signal, n_signal=n_signal), asked.seed).seasons
    if samples.is_synthetic(name):
        say(f"{name}: SYNTHETIC events, signal {signal} ({n_signal:g} events expected), seed {asked.seed}")
    return name, ready


def declinations(
    sample: Annotated[
        list[str],
        typer.Option(
            "--sample",
            help="cascades-2023 (SYNTHETIC twin) or tracks (real); given twice, each alone and both jointly.",
        ),
    ],
    index: Annotated[str, typer.Option("--index", help="Indices of the injected power laws, commas between.")] = "2,3",
    declinations: Annotated[
        str, typer.Option("--declinations", help="Degrees, commas between; default: 17 from -79 to 79.")
    ] = "",
    step: Annotated[
        float, typer.Option("--step", help="Instead: every such step in sin(declination), within 82 degrees.")
    ] = 0.0,
    sources: Annotated[
        str,
        typer.Option(
            "--sources",
            help="Upper limits at the points of a list, see nuanalysis catalogues; none for the curve alone.",
        ),
    ] = "list-109",
    trials: Annotated[int, typer.Option("--trials", help="Scrambles at each declination.")] = 2000,
    injections: Annotated[
        int, typer.Option("--injections", help="Injected skies at each declination and index.")
    ] = 1200,
    free: Annotated[
        bool, typer.Option("--free-index/--fixed-index", help="Index of the fits: free in [1, 4], or the injected one.")
    ] = True,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    workers: WorkersOption = 2,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for declinations.json, tables (ECSV) and the figure.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Point sources against declination: sensitivity, 5 sigma discovery potential, 90 % limits at a list of sources."""
    from nuanalysis.answers import declinations as work
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.errors import InputError
    from nuanalysis.ingest import cache_root
    from nuanalysis.library import samples
    from nuanalysis.library.catalogues import open_catalogue

    if len(set(sample)) < len(sample):
        raise InputError(f"--sample is {', '.join(sample)}; expected different ones")
    for name in sample:
        samples.seasons(name)
    indices = _numbers("--index", index, "2,3")
    asked = work.Asked(_declinations(declinations, step), indices, free, trials, injections, seed)
    listed = None if sources == "none" else open_catalogue(sources)
    if listed is not None:
        work.check_sources(listed)
    # Preparing and drawing hold the interpreter: processes share the work, threads would not.
    chosen = open_executor("serial" if workers == 1 else "processes", workers=workers)
    together = work.groups([_load(name, asked, signal, n_signal) for name in sample])
    with chosen as pool:
        document = work.record(asked, together, listed, cache_root() / "ensembles", pool, say)
    if output is not None:
        document = work.write(output, document)
    answer(document, as_json=json, text=work.in_words(document))


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(declinations)
