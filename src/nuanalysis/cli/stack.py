"""stack: catalogues fitted as stacks, what each of their sources brings, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import (
    _FEWEST_INJECTIONS,
    FreeOption,
    IndexOption,
    NSignalOption,
    SampleOption,
    SeedOption,
    SignalOption,
    SmearOption,
    TrialsOption,
    WorkersOption,
    _check_trials,
    _pose_all,
)


def _check_injections(n: int) -> None:
    from nuanalysis.errors import InputError

    if n < _FEWEST_INJECTIONS:
        raise InputError(f"--injections is {n}; expected {_FEWEST_INJECTIONS} or more")


def stack(
    sample: SampleOption,
    catalogue: Annotated[
        list[str],
        typer.Option(
            "--catalogue",
            help="snr, pwn, unid, CATALOGUE?rule=..&weight=.., or a file of your own (see nuanalysis catalogues); "
            "give it again for each further catalogue.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for stack.json and each catalogue's table and figure.")
    ] = None,
    index: IndexOption = None,
    free: FreeOption = None,
    smear: SmearOption = 0.0,
    trials: TrialsOption = 0,
    injections: Annotated[int, typer.Option("--injections", help="Pseudo-experiments for flux and limit.")] = 1500,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    workers: WorkersOption = 2,
    json: JsonFlag = False,
) -> None:
    """Stack the sources of catalogues: TS, flux, limit, the part of every source, local and global p-values."""
    from nuanalysis.answers import inference
    from nuanalysis.answers import stack as work
    from nuanalysis.engine.executors import Threads
    from nuanalysis.library import samples
    from nuanalysis.library.samples import sample_spec

    def check_sample() -> None:
        samples.recipe(sample)
        sample_spec(name=sample, signal=signal, n_signal=n_signal)

    checks: list[Callable[[], object]] = [
        check_sample,
        partial(_check_trials, trials),
        partial(_check_injections, injections),
        partial(work.check_folder, output),
        partial(work.check_different, catalogue),
        partial(Threads, workers),
    ]
    hypotheses = work.all_or_none(
        checks, [partial(work.read, name, index=index, index_free=free) for name in catalogue]
    )
    with Threads(workers) as pool:
        problems = _pose_all(sample, hypotheses, seed, signal, n_signal)
        wanted = inference.Wanted(work.PRECISION, trials, math.radians(smear))
        document = work.stack_record(problems, sample, wanted, injections, pool, say)
    if output is not None:
        document = work.write(output, document)
    answer(document, as_json=json, text=work.in_words(document))


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(stack)
