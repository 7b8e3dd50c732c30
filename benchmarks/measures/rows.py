"""The rows of the table: one function for each, ours and its reference measured in turn."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from measures import problems
from measures.clock import (
    Stopwatch,
    cpu,
    cpu_of,
    fresh,
    peak_megabytes,
    race,
)
from measures.records import NotMeasured, Row, Timing
from measures.twins import Twin, make_twin, scramble, tilted_scramble
from nuanalysis import trials
from nuanalysis.errors import DataError
from nuanalysis.model import Hypothesis, Sample, prepare
from nuanalysis.trials import Tilt

Progress = Callable[[str], None]
CPU = "CPU of one core"
TWIN = "numpy twin"
_REACH_TS = 27.0  # tilts up to 5 sigma


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on a row: rounds, CPU seconds of each contender in a round, fresh processes for wall clock."""

    rounds: int
    seconds: float
    processes: int


FULL = Effort(rounds=7, seconds=0.25, processes=3)
QUICK = Effort(rounds=5, seconds=0.08, processes=1)


# --- trials ----------------------------------------------------------------------------------------------------------


def our_trials(hypothesis: Hypothesis, samples: tuple[Sample, ...], reach_ts: float = 0.0) -> Stopwatch:
    """Our scrambles, plain or as a mixture of tilts that reaches ``reach_ts``; prepared outside the clock."""
    prepared = prepare(hypothesis, samples)
    tilts = trials.choose_tilts(prepared, reach_ts) if reach_ts else trials.PLAIN
    return cpu(lambda first, last: trials.scramble_trials(prepared, 1, first, last, tilts))


def twin_trials(twin: Twin, tilts: tuple[Tilt, ...] = ()) -> Stopwatch:
    """Scrambles of the plain twin."""
    if tilts:
        return cpu(lambda first, last: [tilted_scramble(twin, tilts, i) for i in range(first, last)])
    return cpu(lambda first, last: [scramble(twin, i) for i in range(first, last)])


def trial_row(
    name: str,
    what: str,
    contenders: tuple[Stopwatch, Stopwatch],
    effort: Effort,
    *,
    budget: float | None,
    origin: str = "synthetic",
    reference: str = TWIN,
    note: str = "",
) -> Row:
    """Milliseconds of CPU of one trial, ours beside a reference."""
    ours, other = race(contenders, rounds=effort.rounds, seconds=effort.seconds)
    return Row(
        name,
        what,
        origin,
        CPU,
        "ms",
        1e3 * ours.best,
        ours.spread,
        reference,
        1e3 * other.best,
        budget,
        ours.rounds,
        ours.repetitions,
        note,
    )


def template(effort: Effort) -> Row:
    """Row: a plain scramble of the template."""
    samples, hypothesis = problems.cascades(), problems.template()
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    return trial_row("template", "template trial, 59,592 events, plain scramble", contenders, effort, budget=0.5)


def template_tilted(effort: Effort) -> Row:
    """Row: a scramble of the template from the mixture that p-values are made with, and its weight."""
    samples, hypothesis = problems.cascades(), problems.template()
    tilts = trials.choose_tilts(prepare(hypothesis, samples), _REACH_TS)
    contenders = our_trials(hypothesis, samples, _REACH_TS), twin_trials(make_twin(hypothesis, samples), tilts)
    note = f"a mixture of {len(tilts)} tilts that reaches 5 sigma; each trial has its fit and its weight"
    what = "template trial, 59,592 events, tilted mixture"
    return trial_row("template-tilted", what, contenders, effort, budget=0.5, note=note)


def template_changing(effort: Effort) -> Row:
    """Row: a template whose morphology changes with energy, beside one whose does not."""
    samples = problems.cascades()
    contenders = our_trials(problems.changing_template(), samples), our_trials(problems.template(), samples)
    what = "template that changes with energy (kra-gamma-like-5), plain scramble, 59,592 events"
    return trial_row(
        "template-changing", what, contenders, effort, budget=0.5, reference="ours, a template with one map"
    )


def complete_row(name: str, what: str, hypothesis: Hypothesis, budget: float, effort: Effort) -> Row:
    """A plain scramble fitted with the statistic 'complete', beside the published statistic on the same events."""
    ours, published = (our_trials(hypothesis, problems.cascades(which)) for which in ("complete", "published"))
    what = f"{what}, statistic 'complete', plain scramble, 59,592 events"
    return trial_row(name, what, (ours, published), effort, budget=budget, reference="ours, the published statistic")


def template_complete(effort: Effort) -> Row:
    """Row: the template with the statistic 'complete'."""
    return complete_row("template-complete", "template trial", problems.template(), 0.6, effort)


def stack_complete(effort: Effort) -> Row:
    """Row: the stack of twelve with the statistic 'complete'."""
    return complete_row("stack-complete", "stack of 12, free index", problems.supernova_remnants(), 3.0, effort)


def point_complete(effort: Effort) -> Row:
    """Row: a source with the statistic 'complete'."""
    return complete_row("point-complete", "point source, free index", problems.point(index_free=True), 3.0, effort)


def template_large(effort: Effort) -> Row:
    """Row: the template on 1.13 million events."""
    samples, hypothesis = (problems.copies(problems.cascades()[0], problems.LARGE),), problems.template()
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    n = samples[0].events.sizes["event"]
    note = f"the synthetic sample {problems.LARGE} times over, directions moved"
    return trial_row("template-large", f"template trial, {n:,} events", contenders, effort, budget=8.0, note=note)


def template_joint(effort: Effort) -> Row:
    """Row: the template on the three seasons of real tracks.  Raises DataError where they are not here."""
    samples, hypothesis = problems.tracks(), problems.template()
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    n = sum(s.events.sizes["event"] for s in samples)
    what = f"template trial, {len(samples)} samples jointly, {n:,} real tracks"
    return trial_row("template-joint", what, contenders, effort, budget=None, origin="real")


_INJECTED = 2.0  # standard deviations of n_s


def injection_row(name: str, what: str, hypothesis: Hypothesis, effort: Effort) -> Row:
    """Milliseconds of an injection trial on the real tracks.  Raises DataError where they are not here."""
    samples = problems.tracks()
    prepared = prepare(hypothesis, samples)
    means = (_INJECTED * float(prepared.spread.min()),)
    ours = cpu(lambda first, last: trials.injection_trials(prepared, 1, first, last, means))
    contenders = ours, twin_trials(make_twin(hypothesis, samples))
    n = sum(s.events.sizes["event"] for s in samples)
    what = f"injection trial of {what}, {n:,} real tracks: signal drawn, background estimated anew"
    reference, note = f"{TWIN}, a plain scramble", "the twin's trial draws no signal and keeps its background"
    return trial_row(name, what, contenders, effort, budget=6.0, origin="real", reference=reference, note=note)


def injection_template(effort: Effort) -> Row:
    """Row: an injection trial of the template on the real tracks."""
    return injection_row("injection-template", "the template", problems.template(), effort)


def injection_point(effort: Effort) -> Row:
    """Row: an injection trial of a point source on the real tracks, index free."""
    return injection_row("injection-point", "a point source, free index", problems.point(index_free=True), effort)


def injection_stack(effort: Effort) -> Row:
    """Row: an injection trial of a stack of twelve on the real tracks, index free."""
    return injection_row("injection-stack", "a stack of 12, free index", problems.supernova_remnants(), effort)


_THREE = (500.0, 100.0, 100.0)  # mean signal events


def joint_free(effort: Effort) -> Row:
    """Row: a pseudo-experiment with three signals, fitted together with every index free."""
    samples = problems.cascades()
    held = tuple(prepare(hypothesis, samples) for hypothesis in problems.three_free())
    contenders = (
        cpu(lambda first, last: trials.joint_trials(held, 1, first, last, _THREE, ((0, 1, 2),))),
        cpu(lambda first, last: trials.joint_trials(held, 1, first, last, _THREE, ((0,), (1,), (2,)))),
    )
    what = "pseudo-experiment of three hypotheses, free indices, fitted together, 59,592 events"
    reference, note = "ours, the same fitted one by one", "signal drawn and background estimated anew in both"
    return trial_row("joint-free", what, contenders, effort, budget=200.0, reference=reference, note=note)


_STACK_NOTE = "the twin has the exact kernel of every source and event"


def stack_12(effort: Effort) -> Row:
    """Row: the stack of twelve supernova remnants, index free."""
    samples, hypothesis = problems.cascades(), problems.supernova_remnants()
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    what = "stack of 12 sources, free index, 59,592 events"
    return trial_row("stack-12", what, contenders, effort, budget=3.0, note=_STACK_NOTE)


def stack_1000(effort: Effort) -> Row:
    """Row: a stack of a thousand sources, index free."""
    samples, hypothesis = problems.cascades(), problems.plane_sources(1000)
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    what = "stack of 1,000 sources, free index, 59,592 events"
    return trial_row("stack-1000", what, contenders, effort, budget=3.0, note=_STACK_NOTE)


def point_free(effort: Effort) -> Row:
    """Row: one source, index free."""
    samples, hypothesis = problems.cascades(), problems.point(index_free=True)
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    what = "point source, free index, 59,592 events"
    return trial_row("point", what, contenders, effort, budget=3.0, note="budget as for the stack of 12")


def point_fixed(effort: Effort) -> Row:
    """Row: one direction of the sky as a scramble of its own, index fixed, exact in declination."""
    samples, hypothesis = problems.cascades(), problems.point(index_free=False)
    contenders = our_trials(hypothesis, samples), twin_trials(make_twin(hypothesis, samples))
    what = "point source, index fixed, 59,592 events"
    return trial_row(
        "point-fixed", what, contenders, effort, budget=None, note="pixels of a scan are in rows of their own"
    )


def point_beside(reference: str, other: Stopwatch, effort: Effort, note: str) -> Row:
    """Row: one source, index free, beside another program that keeps its own time."""
    contenders = our_trials(problems.point(index_free=True), problems.cascades()), other
    what = "point source, free index, 59,592 events"
    return trial_row("point", what, contenders, effort, budget=3.0, reference=reference, note=note)


# --- processes -------------------------------------------------------------------------------------------------------


def importing(effort: Effort) -> Row:
    """Row: CPU of a fresh process that imports the package, beside one that imports numpy."""
    contenders = cpu_of("import nuanalysis"), cpu_of("import numpy")
    ours, other = race(contenders, rounds=effort.rounds, seconds=0.0)
    what = "import nuanalysis, start of the interpreter included"
    note = "rooms are imported on first use"
    return _seconds_row("import", what, ours, "import numpy", other, 0.5, note)


def listing(effort: Effort) -> Row:
    """Row: CPU of a verb that computes nothing, beside a process that imports numpy."""
    verb = cpu_of("from nuanalysis.cli import main\ntry:\n    main(['templates', 'ls'])\nexcept SystemExit:\n    pass")
    ours, other = race((verb, cpu_of("import numpy")), rounds=effort.rounds, seconds=0.0)
    what = "nuanalysis templates ls, start of the interpreter included"
    return _seconds_row("templates-ls", what, ours, "import numpy", other, 1.0, "a verb imports what it needs")


def importing_trials(effort: Effort) -> Row:
    """Row: CPU of a fresh process that imports all a trial needs, beside one that imports what that is made from."""
    ours, other = race(
        (
            cpu_of("import nuanalysis.trials"),
            cpu_of("import numpy, scipy.optimize, scipy.stats, numba, healpy, xarray"),
        ),
        rounds=effort.rounds,
        seconds=0.0,
    )
    what = "import nuanalysis.trials: everything a trial needs"
    note = "compiled code is read from its cache"
    return _seconds_row("import-trials", what, ours, "import of its dependencies", other, None, note)


def _seconds_row(
    name: str, what: str, ours: Timing, reference: str, other: Timing, budget: float | None, note: str
) -> Row:
    return Row(
        name, what, "synthetic", CPU, "s", ours.best, ours.spread, reference, other.best, budget, ours.rounds, 1, note
    )


# --- memory ----------------------------------------------------------------------------------------------------------


def work_of_a_worker(path: str) -> None:
    """What a worker does, for a process of its own: open a problem, do trials, print the peak memory in MB."""
    problem = pickle.loads(Path(path).read_bytes())
    if isinstance(problem, Twin):
        scramble(problem, 0)
    else:
        trials.scramble_trials(problem, 1, 0, 4)
        trials.scramble_trials(problem, 1, 0, 4, trials.choose_tilts(problem, _REACH_TS))
        trials.injection_trials(problem, 1, 0, 2, (100.0,))
    print(peak_megabytes())


def _worker_peak(problem: object, folder: Path) -> float:
    path = folder / "problem"
    path.write_bytes(pickle.dumps(problem, protocol=5))
    code = "import sys; from measures.rows import work_of_a_worker; work_of_a_worker(sys.argv[1])"
    return float(fresh(code, (str(path),)))


def memory() -> Row:
    """Row: peak memory of a worker with 1.13 million events."""
    samples, hypothesis = (problems.copies(problems.cascades()[0], problems.LARGE),), problems.template()
    with TemporaryDirectory() as folder:
        ours = _worker_peak(prepare(hypothesis, samples), Path(folder))
        other = _worker_peak(make_twin(hypothesis, samples), Path(folder))
    what = f"a worker with {samples[0].events.sizes['event']:,} events: open the problem, scrambles, injections"
    note = "the twin does one scramble only"
    measure = "peak resident memory"
    return Row("memory", what, "synthetic", measure, "MB", ours, 0.0, TWIN, other, 1000.0, 1, 1, note)


# --- all -------------------------------------------------------------------------------------------------------------

Maker = Callable[[Effort], Row]
QUICK_ROWS: tuple[Maker, ...] = (template, template_tilted, stack_12, point_free, point_fixed, importing)
FULL_ROWS: tuple[Maker, ...] = (
    template,
    template_tilted,
    template_changing,
    template_complete,
    stack_complete,
    point_complete,
    template_large,
    template_joint,
    injection_template,
    injection_point,
    injection_stack,
    joint_free,
    stack_12,
    stack_1000,
    point_free,
    point_fixed,
    importing,
    listing,
    importing_trials,
)
ELSEWHERE = (
    NotMeasured(
        "set-up",
        "set-up on a fresh machine",
        "s",
        120.0,
        "needs a machine without it: time 'make env' in a fresh clone",
    ),
    NotMeasured("main-job", "main job on the embedded default", "s", 180.0, "'make run' prints its seconds at the end"),
    NotMeasured("test-suite", "test suite", "s", 600.0, "'make test' prints its seconds at the end"),
    NotMeasured(
        "binder", "memory of a Binder session", "MB", 1000.0, "the header of START_HERE has what it took on one core"
    ),
)


def measure(makers: tuple[Maker, ...], effort: Effort, say: Progress) -> tuple[list[Row], list[NotMeasured]]:
    """Measure some rows, one after the other; what cannot be measured here is named with its reason."""
    rows: list[Row] = []
    missing: list[NotMeasured] = []
    for maker in makers:
        say(f"  {maker.__name__.replace('_', ' ')}")
        try:
            rows.append(maker(effort))
        except DataError:
            what = (maker.__doc__ or "").removeprefix("Row: ").partition(".")[0]
            reason = "its data are not here; 'nuanalysis data ls' shows what there is"
            missing.append(NotMeasured(maker.__name__.replace("_", "-"), what, "ms", None, reason))
    return rows, missing
