"""joint, compare: several hypotheses fitted together, and two models against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import (
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
    from nuanalysis.answers.inference import Problem
    from nuanalysis.engine.executors import Executor

TrialsOption = Annotated[int, typer.Option("--trials", help="Pseudo-experiments of each kind; 100 or more.")]
FreeOption = Annotated[
    bool, typer.Option("--free-index/--fixed-index", help="Indices of all hypotheses, free in [1, 4]; default: fixed.")
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Hypotheses of a call, checked, and what they are asked of."""

    names: tuple[str, ...]
    trials: int
    sample: str
    seed: int
    signal: str
    n_signal: float

    def pose(self, index: float | None, free: bool) -> tuple[Problem, ...]:
        """Prepare all of them."""
        from nuanalysis.library import samples
        from nuanalysis.library.hypotheses import read_hypothesis

        samples.recipe(self.sample)
        asked = [read_hypothesis(name, index=index, index_free=free) for name in self.names]
        return _pose_all(self.sample, asked, self.seed, self.signal, self.n_signal)


def _answer(verb: str, asked: _Asked, index: float | None, free: bool, chosen: Executor, as_json: bool) -> None:
    from nuanalysis.answers import joint as work
    from nuanalysis.answers import joint_in_words as in_words

    make, words = {
        "joint": (work.fit_together, in_words.joint),
        "compare": (work.compare, in_words.comparison),
    }[verb]
    problems = asked.pose(index, free)
    with chosen as pool:
        document = make(problems, asked.sample, asked.trials, pool, say)
    answer(document, as_json=as_json, text=words(document))


def _checked(names: str, trials: int, exactly: int = 0) -> tuple[str, ...]:
    from nuanalysis.answers import joint as work

    found = tuple(_split(names))
    work.check_names(found, exactly=exactly)
    work.check_trials(trials)
    return found


def _executor(name: str, workers: int, scheduler: str, cluster: str) -> Executor:
    from nuanalysis.engine.executors import open_executor

    return open_executor(name, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None)


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
    asked = _Asked(_checked(hypotheses, trials), trials, sample, seed, signal, n_signal)
    _answer("joint", asked, index, free, _executor(executor, workers, scheduler, cluster), json)


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
    asked = _Asked(_checked(models, trials, exactly=2), trials, sample, seed, signal, n_signal)
    _answer("compare", asked, index, free, _executor(executor, workers, scheduler, cluster), json)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (joint, compare):
        app.command()(verb)
