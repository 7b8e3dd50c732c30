"""bias-curve: what is fitted when so much is injected, and a fit turned back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli.inference import (
    ClusterOption,
    ExecutorOption,
    FreeOption,
    HypothesisOption,
    IndexOption,
    NSignalOption,
    SampleOption,
    SchedulerOption,
    SeedOption,
    SignalOption,
    WorkersOption,
    _pose,
    _text,
)


def bias_curve(
    sample: SampleOption,
    hypothesis: HypothesisOption,
    n_signal_fitted: Annotated[
        list[float] | None,
        typer.Option("--n-signal-fitted", help="A fitted n_s to correct; may be given several times."),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=200, help="Injections, over all strengths.")] = 6000,
    index: IndexOption = None,
    free: FreeOption = None,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    executor: ExecutorOption = "processes",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    json: JsonFlag = False,
) -> None:
    """Median fitted n_s at each injected strength, the spline through it, and fits corrected with it."""
    from nuanalysis.answers import bias, inference
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.errors import InputError
    from nuanalysis.trials import flux_node, uncertainty

    asked = tuple(n_signal_fitted or ())
    for n in asked:
        if not 0 <= n <= 1e6:
            raise InputError(f"--n-signal-fitted is {n:g}; expected 0 to 1e6 events")
    started = time.monotonic()
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    problem = _pose(sample, hypothesis, index, free, seed, signal, n_signal)
    pair = bias.published_pair(hypothesis, sample)
    fits = bias.all_fits(asked, pair)
    spread = float(uncertainty(problem.prepared)[flux_node(problem.prepared)])
    with chosen as pool:
        injected = inference.injections(problem, trials, bias.reach_for(fits, spread), pool, say)
    document = {
        **inference.describe(problem, sample),
        **bias.curve_record(injected, fits, pair),
        "seconds": time.monotonic() - started,
    }
    answer(document, as_json=json, text="\n".join([_text(document), *_rows(document)]))


def _rows(document: dict[str, object]) -> list[str]:
    """The curve and the corrections for people."""
    names = ("n_injected", "n_fitted_median", "n_fitted_median_error", "spline")
    columns: list[list[float]] = [document[name] for name in names]  # type: ignore[misc]
    lines = [f"{'injected':>10}{'median fit':>12}{'+-':>8}{'spline':>10}"]
    lines += [f"{n:10.1f}{m:12.1f}{e:8.1f}{s:10.1f}" for n, m, e, s in zip(*columns, strict=True)]
    for row in document["corrected"]:  # type: ignore[attr-defined]
        theirs = f" (published {row['published_n_signal']:g})" if "published_n_signal" in row else ""
        if row["n_signal"] is None:
            lines.append(f"fitted {row['n_signal_fitted']:g}: {row['reason']}{theirs}")
        else:
            lines.append(
                f"fitted {row['n_signal_fitted']:g} -> {row['n_signal']:.1f} +- {row['n_signal_error']:.1f}{theirs}"
            )
    return lines


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("bias-curve")(bias_curve)
