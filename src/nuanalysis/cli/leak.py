"""leak: what a diffuse component alone does to stacked sources, and both fitted together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import (
    NSignalOption,
    SampleOption,
    SeedOption,
    SignalOption,
    WorkersOption,
    _pose_all,
)

CatalogueOption = Annotated[
    list[str] | None,
    typer.Option(
        "--catalogue",
        help="A list of sources to stack; give it several times. snr, hgps?rule=.., or a file; see nuanalysis "
        "catalogues. Default: snr, pwn and unid.",
    ),
]
DEFAULT_CATALOGUES = ("snr", "pwn", "unid")


def leak(
    sample: SampleOption,
    diffuse: Annotated[str, typer.Option("--diffuse", help="The diffuse component, a template as for fit.")] = (
        "template:pi0"
    ),
    n_diffuse: Annotated[
        float | None,
        typer.Option("--n-diffuse", help="Its mean events in every sky; default: the best fit, corrected for bias."),
    ] = None,
    catalogue: CatalogueOption = None,
    trials: Annotated[int, typer.Option("--trials", help="Skies with the diffuse alone; 100 or more.")] = 300,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    workers: WorkersOption = 2,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for leak.json, the skies (ECSV) and the figure.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Stack sources on skies that hold only diffuse emission, and fit both together: what is left of the sources?"""
    from nuanalysis.answers import joint
    from nuanalysis.answers import leak as work
    from nuanalysis.engine.executors import Threads
    from nuanalysis.library import samples

    names = catalogue or DEFAULT_CATALOGUES
    samples.recipe(sample)
    work.check(diffuse, names, n_diffuse)
    joint.check_trials(trials)
    problems = _pose_all(sample, list(work.read(diffuse, names)), seed, signal, n_signal)
    with Threads(workers) as pool:
        document, fits = work.leak_record(problems, sample, trials, pool, say, n_diffuse=n_diffuse)
    if output is not None:
        document = work.write(output, document, fits)
    answer(document, as_json=json, text=work.in_words(document))


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(leak)
