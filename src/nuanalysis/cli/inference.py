"""fit, pvalue, global-pvalue, sensitivity, expect: one question, one answer."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuanalysis.cli._face import JsonFlag, answer, say

if TYPE_CHECKING:
    from nuanalysis.answers.inference import Problem
    from nuanalysis.model import Hypothesis

SampleOption = Annotated[str, typer.Option("--sample", help="cascades-2023 (SYNTHETIC twin) or tracks (real).")]
HypothesisOption = Annotated[
    str,
    typer.Option(
        "--hypothesis",
        help="template:NAME[?parameter=value&..] or template:FILE[?frame=galactic&..] (see nuanalysis templates), "
        "stack:snr|pwn|unid or stack:CATALOGUE?rule=..&weight=.. (see nuanalysis catalogues), point:RA,DEC.",
    ),
]
IndexOption = Annotated[
    float | None,
    typer.Option(
        "--index",
        help="Index of a power law for fixed fits, injection and fluxes; default: the template's spectrum, or 2.7.",
    ),
]
FreeOption = Annotated[
    bool | None,
    typer.Option("--free-index/--fixed-index", help="Default: fixed for templates, free for stacks and points."),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the synthetic sample and of the trials.")
]
SignalOption = Annotated[str, typer.Option("--signal", help="Signal in the synthetic sample: a hypothesis, or none.")]
NSignalOption = Annotated[float, typer.Option("--n-signal", help="Its expected events.")]
ExecutorOption = Annotated[str, typer.Option("--executor", help="serial, threads, processes, dask, slurm or htcondor.")]
WorkersOption = Annotated[int, typer.Option("--workers", help="Workers of processes and dask.")]
SchedulerOption = Annotated[str, typer.Option("--scheduler", help="Address of a running Dask scheduler.")]
ClusterOption = Annotated[
    str, typer.Option("--cluster", help="TOML file with what a job asks for: queue, memory, ...; slurm and htcondor.")
]

PrecisionOption = Annotated[
    float, typer.Option("--precision", min=0.001, max=0.3, help="Relative statistical error of the p-value.")
]
TrialsOption = Annotated[int, typer.Option("--trials", min=0, help="Scrambles; 0 for as many as the precision takes.")]
SmearOption = Annotated[
    float,
    typer.Option(
        "--smear-declination", min=0.0, max=10.0, help="Smear declinations of scrambles too, deg (IceCube 2023: 3)."
    ),
]
_FEWEST_TRIALS = 200
_FEWEST_INJECTIONS = 300
_BEGINNINGS = ("template:", "stack:", "point:", "each:")
_MOST_TS = 64.0  # 8 sigma: tilts reach a little further


def _pose_all(sample: str, asked: list[Hypothesis], seed: int, signal: str, n_signal: float) -> tuple[Problem, ...]:
    from nuanalysis.answers import inference
    from nuanalysis.ingest import cache_root
    from nuanalysis.library import samples
    from nuanalysis.library.samples import sample_spec

    samples.seasons(sample)
    spec = sample_spec(name=sample, signal=signal, n_signal=n_signal)
    ready = samples.load(spec, seed).seasons
    if samples.is_synthetic(sample):
        say(f"{sample}: SYNTHETIC events, signal {signal} ({n_signal:g} events expected), seed {seed}")
    return tuple(inference.pose(one, ready, cache_root() / "ensembles", seed) for one in asked)


def _pose(
    sample: str, hypothesis: str, index: float | None, free: bool | None, seed: int, signal: str, n_signal: float
) -> Problem:
    from nuanalysis.library.hypotheses import read_hypothesis

    return _pose_all(sample, [read_hypothesis(hypothesis, index=index, index_free=free)], seed, signal, n_signal)[0]


def _words(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(document: dict[str, Any]) -> str:
    width = max(len(k) for k in document)
    return "\n".join(f"{k:<{width}}  {_words(v)}" for k, v in document.items() if not isinstance(v, dict | list))


def fit(
    sample: SampleOption,
    hypothesis: HypothesisOption,
    precision: PrecisionOption = 0.1,
    injections: Annotated[
        int, typer.Option("--injections", min=0, help="Pseudo-experiments for flux and limit; 0 for the fit alone.")
    ] = 1500,
    index: IndexOption = None,
    free: FreeOption = None,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    executor: ExecutorOption = "threads",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    json: JsonFlag = False,
) -> None:
    """Does the sample hold this hypothesis?  n_s, TS, local p-value, flux and upper limit."""
    from nuanalysis.answers import inference, question
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.errors import InputError
    from nuanalysis.interpret import fluxes

    if 0 < injections < _FEWEST_INJECTIONS:
        raise InputError(f"--injections is {injections}; expected {_FEWEST_INJECTIONS} or more, or 0 for the fit alone")
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    problem = _pose(sample, hypothesis, index, free, seed, signal, n_signal)
    if not injections:
        best, _ = inference.fit(problem)
        document = {
            **inference.describe(problem, sample),
            "n_s": best.n_signal,
            **{k: v for k, v in inference.fit_record(problem, best).items() if k != "n_signal"},
            "flux_uncorrected": best.n_signal / fluxes.prepared_events_per_flux(problem.prepared),
            "flux_unit": fluxes.UNIT,
            "flux_convention": fluxes.convention(problem.hypothesis),
        }
        answer(document, as_json=json, text=_text(document))
        return
    with chosen as pool:
        document = question.answer(problem, sample, inference.Wanted(precision), injections, pool, say)
    answer(document, as_json=json, text="\n".join([_text(document), *_answer_lines(document)]))


def _answer_lines(document: dict[str, Any]) -> list[str]:
    """p-value, index, flux and limit of a fit, in words."""
    p, flux = document["p_value"], document["flux"]
    lines = [f"p-value (local)  {_words(p['p'])} +- {_words(p['p_error'])}: {_words(p['sigma'])} sigma"]
    in_models = flux["in_models"]
    back = document["index_bias"]
    if back is not None and back["shift"] is not None:
        lines.append(
            f"index            injected at {back['injected']:.2g} it comes back {back['shift']:+.2f} +- "
            f"{back['shift_error']:.2f}, spread {back['spread']:.2f}: corrected {back['corrected']:.2f}"
        )
    rows = (("flux", "best", ""), ("68 % interval", "low_68", "high_68"), ("90 % limit", "upper_limit_90", ""))
    for name, low, high in rows:
        value = _words(flux[low]) + (f" to {_words(flux[high])}" if high else "")
        unit = f" {flux['unit']}"
        if in_models and flux[low] is not None:
            unit += f" = {_words(in_models[low])}" + (f" to {_words(in_models[high])}" if high else "") + " x model"
        lines.append(f"{name:<15}  {value}{unit}")
    return [*lines, flux["convention"]]


def pvalue(
    sample: SampleOption,
    hypothesis: HypothesisOption,
    ts: Annotated[float | None, typer.Option("--ts", help="Test statistic; default: that of the fit.")] = None,
    precision: PrecisionOption = 0.05,
    trials: TrialsOption = 0,
    smear: SmearOption = 0.0,
    index: IndexOption = None,
    free: FreeOption = None,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    executor: ExecutorOption = "threads",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    json: JsonFlag = False,
) -> None:
    """Local p-value of a test statistic, from scrambles, with its error."""
    from nuanalysis.answers import inference
    from nuanalysis.engine.executors import open_executor

    _check_ts(() if ts is None else (ts,))
    _check_trials(trials)
    started = time.monotonic()
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    wanted = inference.Wanted(precision, trials, math.radians(smear))
    problem = _pose(sample, hypothesis, index, free, seed, signal, n_signal)
    observed = inference.fit(problem)[0].ts if ts is None else ts
    if observed <= 0:
        record: dict[str, Any] = {"p": 1.0, "p_error": 0.0, "sigma": None, "n_trials": 0, "ess": 0.0}
        record["reason"] = "the test statistic is zero: every scramble has at least as much"
    else:
        with chosen as pool:
            background = inference.p_value_ensemble(problem, observed, wanted, pool, say)
        record = inference.p_value_record(background, observed, _tolerated(precision))
    document = {
        **inference.describe(problem, sample),
        "ts": observed,
        **record,
        "precision": precision,
        "smear_declination_deg": smear,
        "seconds": time.monotonic() - started,
    }
    answer(document, as_json=json, text=_text(document))


def _check_ts(values: tuple[float, ...]) -> None:
    from nuanalysis.errors import InputError

    for ts in values:
        if not 0 <= ts <= _MOST_TS:
            raise InputError(f"--ts is {ts:g}; expected 0 to {_MOST_TS:g}")


def _check_trials(n: int) -> None:
    from nuanalysis.errors import InputError

    if 0 < n < _FEWEST_TRIALS:
        raise InputError(f"--trials is {n}; expected {_FEWEST_TRIALS} or more, or 0 for as many as '--precision' takes")


def _tolerated(precision: float) -> float:
    """The error of an error: an ensemble grown to a precision may miss it by a little."""
    return 1.1 * precision


def _split(text: str) -> list[str]:
    """Hypotheses between commas; a word that begins none belongs to the name before it, comma and all.

    So names may hold commas: point:RA,DEC, lists of numbers, names of files.
    """
    names: list[str] = []
    for word in text.split(","):
        if names and not word.strip().startswith(_BEGINNINGS):
            names[-1] += f",{word}"
        elif word.strip():
            names.append(word)
    return [name.strip(" ,") for name in names]


def global_pvalue(
    sample: SampleOption,
    hypotheses: Annotated[
        str,
        typer.Option(
            "--hypotheses",
            help="Two or more as for fit, with commas between; each:NAME stands for every source of a catalogue.",
        ),
    ],
    ts: Annotated[str, typer.Option("--ts", help="Test statistics, in the same order; default: those of fits.")] = "",
    precision: PrecisionOption = 0.05,
    trials: TrialsOption = 0,
    smear: SmearOption = 0.0,
    index: IndexOption = None,
    free: FreeOption = None,
    seed: SeedOption = 1,
    signal: SignalOption = "template:pi0",
    n_signal: NSignalOption = 671.1,
    executor: ExecutorOption = "threads",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    json: JsonFlag = False,
) -> None:
    """Global p-value of the best of several hypotheses, from correlated scrambles."""
    from nuanalysis.answers import inference
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.errors import InputError
    from nuanalysis.library.hypotheses import read_hypotheses

    asked = [h for name in _split(hypotheses) for h in read_hypotheses(name, index=index, index_free=free)]
    names = [h.name for h in asked]
    if len(asked) < 2 or len(set(names)) < len(names):
        raise InputError(f"--hypotheses holds {', '.join(names) or 'nothing'}; expected two or more different ones")
    try:
        given = tuple(float(word) for word in ts.split(",")) if ts else ()
    except ValueError as error:
        raise InputError(f"--ts is '{ts}'; expected numbers with commas between, for example 22.19,19.06") from error
    if given and len(given) != len(asked):
        raise InputError(f"--ts has {len(given)} numbers for {len(asked)} hypotheses; expected one for each")
    _check_ts(given)
    _check_trials(trials)
    started = time.monotonic()
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    wanted = inference.Wanted(precision, trials, math.radians(smear))
    problems = _pose_all(sample, asked, seed, signal, n_signal)
    observed = given or tuple(inference.fit(problem)[0].ts for problem in problems)
    with chosen as pool:
        record = inference.global_p_value(problems, observed, wanted, pool, say)
    described = inference.describe(problems[0], sample)
    document = {
        **{key: described[key] for key in ("sample", "origin", "n_events", "seed", "injected", "notes")},
        **record,
        "precision": precision,
        "smear_declination_deg": smear,
        "seconds": time.monotonic() - started,
    }
    rows = [
        f"{row['hypothesis']}: TS {row['ts']:.2f}, local p {_words(row['p'])} +- {_words(row['p_error'])}"
        for row in record["local"]
    ]
    answer(document, as_json=json, text="\n".join([*rows, _text(document)]))


def sensitivity(
    sample: SampleOption,
    hypothesis: HypothesisOption,
    trials: Annotated[int, typer.Option("--trials", min=200, help="Scrambles, and as many injections.")] = 3000,
    sigma: Annotated[
        str, typer.Option("--sigma", help="Discovery potentials at these local significances, for example 3,5,7.")
    ] = "",
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
    """Sensitivity, discovery potentials and the significance of the median experiment, as events and as flux."""
    from nuanalysis.answers import inference, potentials
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.interpret import fluxes

    started = time.monotonic()
    sigmas = _sigmas(sigma)
    chosen = open_executor(
        executor, workers=workers, scheduler=scheduler or None, cluster=Path(cluster) if cluster else None
    )
    problem = _pose(sample, hypothesis, index, free, seed, signal, n_signal)
    with chosen as pool:
        reach = potentials.reach_ts(max(sigmas))
        background = inference.scrambles(problem, trials, reach, pool, say)
        injected = inference.injections_reaching(problem, background, trials, max(sigmas), pool, say)
    per_flux = fluxes.prepared_events_per_flux(problem.prepared)
    document = {
        **inference.describe(problem, sample),
        **inference.sensitivities(problem, background, injected),
        "discovery_potentials": potentials.potentials(background, injected, per_flux, sigmas),
        "median_significance": potentials.median_significances(background, injected),
        "flux_unit": fluxes.UNIT,
        "flux_convention": fluxes.convention(problem.hypothesis),
        "seconds": time.monotonic() - started,
    }
    rows = [
        f"{name}: n_s {_words(r['n_signal'])}, flux {_words(r['flux'])} +- {_words(r['flux_error'])} {fluxes.UNIT}"
        for name in ("sensitivity", "discovery_potential_5sigma")
        if isinstance(r := document[name], dict)
    ]
    rows += [
        f"{r['sigma']:g} sigma in half of the experiments: n_s {_words(r['n_signal'])}, "
        f"flux {_words(r['flux'])} +- {_words(r['flux_error'])} {fluxes.UNIT}"
        for r in document["discovery_potentials"]
    ]
    answer(document, as_json=json, text="\n".join([_text(document), *rows]))


def _sigmas(text: str) -> tuple[float, ...]:
    """Significances between commas, 5 by default.  Raises InputError for anything outside 1 to 7.5."""
    from nuanalysis.errors import InputError

    try:
        values = tuple(float(word) for word in text.split(",")) if text else (5.0,)
    except ValueError as error:
        raise InputError(f"--sigma is '{text}'; expected numbers with commas between, for example 3,5,7") from error
    if not all(1.0 <= value <= 7.5 for value in values):
        raise InputError(f"--sigma is '{text}'; expected values from 1 to 7.5")
    return values


def expect(
    sample: SampleOption,
    hypothesis: Annotated[str, typer.Option("--hypothesis", help="As for fit, or isotropic.")],
    flux: Annotated[
        float | None,
        typer.Option(
            "--flux",
            help="E^2 dN/dE at 100 TeV, TeV cm-2 s-1 per flavour; isotropic: dN/dE at 100 TeV, GeV-1 cm-2 s-1 sr-1. "
            "Default: that of the model, for templates with an absolute flux.",
        ),
    ] = None,
    index: IndexOption = None,
    json: JsonFlag = False,
) -> None:
    """Expected number of detected events for a flux, or for a model as it is."""
    from nuanalysis.errors import InputError
    from nuanalysis.interpret import fluxes
    from nuanalysis.library import samples
    from nuanalysis.library.hypotheses import read_hypothesis
    from nuanalysis.library.samples import sample_spec

    if index is not None and not 1 <= index <= 4:
        raise InputError(f"--index is {index:g}; expected 1 to 4")
    if flux is not None and not 0 < flux < 1:
        raise InputError(f"--flux is {flux:g}; expected a positive flux, for example 1e-11 (TeV cm-2 s-1)")
    samples.seasons(sample)
    isotropic = hypothesis == "isotropic"
    asked = read_hypothesis("template:isotropic" if isotropic else hypothesis, index=index)
    wanted = fluxes.model_flux(asked) if flux is None and not isotropic else flux
    if not wanted:
        raise InputError(f"'{hypothesis}' has no absolute flux of its own; say one with --flux")
    ready = samples.load(sample_spec(name=sample, signal="none"), 1).seasons
    document: dict[str, Any] = {
        "sample": sample,
        "hypothesis": hypothesis,
        "index": asked.index or None,
        "flux": wanted,
        "label": asked.target.label,
    }
    if isotropic:
        document |= {
            "n_expected": fluxes.isotropic_events(ready, wanted, asked.index),
            "flux_unit": "GeV-1 cm-2 s-1 sr-1",
            "flux_convention": "dN/dE at 100 TeV, per flavour, nu + nubar, per sr",
        }
    else:
        document |= {
            "n_expected": wanted * fluxes.events_per_flux(asked, ready),
            "flux_unit": fluxes.UNIT,
            "flux_convention": fluxes.convention(asked),
            "model_flux": fluxes.model_flux(asked) or None,
        }
    document["livetime_s"] = sum(s.livetime for s in ready)
    answer(document, as_json=json, text=_text(document))


def official(json: JsonFlag = False) -> None:
    """Repeat the published template fits on the official per-event file, where a user has it."""
    from nuanalysis.ingest import cascades_2023, find
    from nuanalysis.interpret.official import PUBLISHED, fit_official

    contributions = cascades_2023.read_event_contributions(find(cascades_2023.RELEASE))
    rows = []
    for name, published in PUBLISHED.items():
        best = fit_official(contributions, name)
        rows.append(
            {
                "template": name,
                "n_signal": best.n_signal,
                "ts": best.ts,
                "published_n_signal": published.n_signal,
                "published_ts": published.ts,
                "converged": best.converged,
            }
        )
    lines = [
        f"{r['template']:<6} n_s {r['n_signal']:.1f} (published {r['published_n_signal']})  "
        f"TS {r['ts']:.2f} (published {r['published_ts']})"
        for r in rows
    ]
    answer({"n_events": contributions.sizes["event"], "results": rows}, as_json=json, text="\n".join(lines))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (fit, pvalue, sensitivity, expect, official):
        app.command()(verb)
    app.command("global-pvalue")(global_pvalue)
