"""joint, compare: several hypotheses fitted together, and two models against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.workflow.cli._face import JsonFlag, answer, say
from nuanalysis.workflow.cli.inference import (
    ClusterOption,
    ExecutorOption,
    IndexOption,
    NSignalOption,
    SampleOption,
    SchedulerOption,
    SeedOption,
    SignalOption,
    WorkersOption,
    _pose_all,
    _split,
)

if TYPE_CHECKING:
    from nuanalysis.model import Hypothesis

TrialsOption = Annotated[int, typer.Option("--trials", help="Pseudo-experiments of each kind; 100 or more.")]
FreeOption = Annotated[
    bool, typer.Option("--index-free", help="The index of every hypothesis free in [1, 4]; default: all held.")
]


def _read(sample: str, names: tuple[str, ...], index: float | None, free: bool) -> list[Hypothesis]:
    from nuanalysis.workflow import samples
    from nuanalysis.workflow.hypotheses import read_hypothesis

    samples.seasons(sample)
    return [read_hypothesis(name, index=index, index_free=free) for name in names]


def joint(
    sample: SampleOption,
    hypotheses: Annotated[str, typer.Option("--hypotheses", help="Two or more as for fit, with commas between.")],
    trials: TrialsOption = 1000,
    index: IndexOption = None,
    free: FreeOption = False,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    executor: ExecutorOption = "threads",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    json: JsonFlag = False,
) -> None:
    """Fit several hypotheses together: a norm each, their correlation, and each with the others profiled."""
    from nuanalysis.workflow import joint as work
    from nuanalysis.workflow import joint_in_words as in_words
    from nuanalysis.workflow.executors import open_executor

    names = tuple(_split(hypotheses))
    work.check_names(names)
    work.check_trials(trials)
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    problems = _pose_all(sample, _read(sample, names, index, free), seed, signal, n_signal)
    with chosen as pool:
        document = work.fit_together(problems, sample, trials, pool, say)
    answer(document, as_json=json, text=in_words.joint(document))


def compare(
    sample: SampleOption,
    models: Annotated[str, typer.Option("--models", help="Two hypotheses as for fit, with a comma between.")],
    trials: TrialsOption = 1000,
    index: IndexOption = None,
    free: FreeOption = False,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    executor: ExecutorOption = "threads",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    json: JsonFlag = False,
) -> None:
    """Compare two models by their likelihood ratio on the same events, with pseudo-experiments of both."""
    from nuanalysis.workflow import joint as work
    from nuanalysis.workflow import joint_in_words as in_words
    from nuanalysis.workflow.executors import open_executor

    names = tuple(_split(models))
    work.check_names(names, exactly=2)
    work.check_trials(trials)
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    problems = _pose_all(sample, _read(sample, names, index, free), seed, signal, n_signal)
    with chosen as pool:
        document = work.compare(problems, sample, trials, pool, say)
    answer(document, as_json=json, text=in_words.comparison(document))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (joint, compare):
        app.command()(verb)
