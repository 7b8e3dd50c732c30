"""scan, sources: the whole sky, and the sources of a list."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import (
    NSignalOption,
    SampleOption,
    SeedOption,
    SignalOption,
    SmearOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from nuanalysis.answers.scan import Sky

SkiesOption = Annotated[
    int, typer.Option("--skies", help="Background skies for the global p-value; 0 for local p-values alone.")
]
LocalTrialsOption = Annotated[
    int, typer.Option("--local-trials", min=200, help="Tilted scrambles behind each local p-value.")
]


def _look(sample: str, seed: int, signal: str, n_signal: float) -> Sky:
    from nuanalysis.answers import scan as work
    from nuanalysis.ingest import cache_root
    from nuanalysis.library import samples
    from nuanalysis.library.samples import sample_spec

    ready = samples.load(sample_spec(name=sample, signal=signal, n_signal=n_signal), seed).seasons
    if samples.is_synthetic(sample):
        say(f"{sample}: SYNTHETIC events, signal {signal} ({n_signal:g} events expected), seed {seed}")
    return work.look_at(ready, cache_root() / "ensembles", seed)


def scan(
    sample: SampleOption,
    output: Annotated[
        Path, typer.Option("--output", help="Folder for the maps (HEALPix FITS), scan.json and sky.html.")
    ],
    nside: Annotated[int, typer.Option("--nside", help="HEALPix resolution; a power of 2 up to 256.")] = 64,
    skies: SkiesOption = 100,
    deep: Annotated[
        int, typer.Option("--deep", help="Skies tilted towards hot spots, for small global p-values; 0 for none.")
    ] = 0,
    plane: Annotated[bool, typer.Option("--plane", help="Write images of the Galactic plane too.")] = False,
    smear: SmearOption = 0.0,
    local_trials: LocalTrialsOption = 2000,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    workers: WorkersOption = 2,
    json: JsonFlag = False,
) -> None:
    """Fit a point source in every direction; the hottest spot of each hemisphere, local and global p-values."""
    from nuanalysis.answers import scan as work
    from nuanalysis.engine.executors import Threads
    from nuanalysis.library import samples

    samples.seasons(sample)
    work.check(nside, skies, smear, deep)
    with Threads(workers) as pool:
        sky = _look(sample, seed, signal, n_signal)
        document, found = work.scan_record(
            sky, sample, nside, skies, pool, say, smear=math.radians(smear), local_trials=local_trials, n_deep=deep
        )
    document = work.write(output, document, found, plane=plane)
    answer(document, as_json=json, text=work.scan_in_words(document))


def sources(
    sample: SampleOption,
    catalogue: Annotated[
        str,
        typer.Option(
            "--catalogue", help="A list of sources: list-109, snr, hgps?rule=.., or a file; see nuanalysis catalogues."
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", help="Folder for sources.json and sources.ecsv.")] = None,
    skies: SkiesOption = 1000,
    smear: SmearOption = 0.0,
    local_trials: LocalTrialsOption = 1000,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    workers: WorkersOption = 2,
    json: JsonFlag = False,
) -> None:
    """Fit every source of a list: local p-values, the global one of the best, and the binomial population test."""
    from nuanalysis.answers import scan as work
    from nuanalysis.engine.executors import Threads
    from nuanalysis.library import samples
    from nuanalysis.library.catalogues import open_catalogue

    samples.seasons(sample)
    work.check(1, skies, smear)
    found = open_catalogue(catalogue)
    with Threads(workers) as pool:
        sky = _look(sample, seed, signal, n_signal)
        document = work.sources_record(
            sky, sample, found, skies, pool, say, smear=math.radians(smear), local_trials=local_trials
        )
    if output is not None:
        document = work.write_sources(output, document)
    answer(document, as_json=json, text=work.sources_in_words(document))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (scan, sources):
        app.command()(verb)
