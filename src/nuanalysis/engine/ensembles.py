"""Ensembles of a hypothesis on samples: what names them, and scrambles, injections and joint experiments on a bench."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nuanalysis import trials
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench, Ensemble, Kept, effective
from nuanalysis.engine.provenance import code_fingerprint
from nuanalysis.model import Hypothesis, Prepared, Sample
from nuanalysis.response import NONE, ErrorTable, Systematics
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue

Problems = tuple[Prepared, ...]
_BATCH_SECONDS = 1.5
# Event-shapes placed and fitted per second, rough constants: they only set batch sizes.
_SCRAMBLES_PER_SECOND, _INJECTIONS_PER_SECOND = 3.0e8, 3.0e7
_SPECTRUM_AT = np.linspace(2.0, 8.0, 601)  # log10 E/GeV at which the spectrum of a template is told from another


# A plan says which trials of a problem: ``kind`` and ``weights`` of its store, its columns, rows ``first`` to
# ``last - 1`` (trial, column), and how many trials make a task.


@dataclass(frozen=True, slots=True)
class Scrambles:
    """Plain or tilted right-ascension scrambles.

    smear : width in rad by which declinations are smeared too, see ``trials.correlated_trials``.
    """

    seed: int
    n_trials: int
    tilts: tuple[trials.Tilt, ...] = trials.PLAIN
    smear: float = 0.0
    kind = "scramble"
    weights = "log_weight"

    def columns(self, n_hypotheses: int) -> tuple[str, ...]:
        return trials.columns(n_hypotheses)

    def rows(self, problems: Problems, first: int, last: int) -> Floats:
        return trials.scramble_trials(problems, self.seed, first, last, self.tilts, self.smear)

    def batch(self, problems: Problems) -> int:
        return _trials_a_task(_shapes(problems, 4) * (20 if self.smear else 1), _SCRAMBLES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Injections:
    """Injected signal of the given mean strengths.

    stretch : see ``trials.interval``.  systematics : how the detectors of the signal differ, each trial its own.
    """

    seed: int
    n_trials: int
    n_means: tuple[float, ...]
    stretch: float = 1.0
    systematics: Systematics = NONE
    kind = "injection"
    weights = ""

    def columns(self, n_hypotheses: int) -> tuple[str, ...]:
        return trials.INJECTION_COLUMNS

    def rows(self, problems: Problems, first: int, last: int) -> Floats:
        return trials.injection_trials(
            problems[0], self.seed, first, last, self.n_means, self.stretch, self.systematics
        )

    def batch(self, problems: Problems) -> int:
        return _trials_a_task(_shapes(problems, 4), _INJECTIONS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class JointExperiments:
    """Pseudo-experiments: mean signal events and spectral index of each hypothesis, and the models fitted."""

    seed: int
    n_trials: int
    n_means: tuple[float, ...]
    indices: tuple[float, ...]
    models: tuple[tuple[int, ...], ...]
    kind = "joint"
    weights = ""

    def columns(self, n_hypotheses: int) -> tuple[str, ...]:
        return trials.joint_columns(self.models)

    def rows(self, problems: Problems, first: int, last: int) -> Floats:
        injected = tuple(trials.at_index(p, index) for p, index in zip(problems, self.indices, strict=True))
        return trials.joint_trials(injected, self.seed, first, last, self.n_means, self.models)

    def batch(self, problems: Problems) -> int:
        return _trials_a_task(_shapes(problems, 16) * len(self.models), _INJECTIONS_PER_SECOND, least=5)


@dataclass(frozen=True, slots=True)
class FamilyExperiments:
    """Pseudo-experiments with the signal of one member of a family of templates, all members fitted to each.

    truth, n_mean, held : see ``trials.family_trials``.
    """

    seed: int
    n_trials: int
    truth: int
    n_mean: float
    held: tuple[float, ...]
    kind = "family"
    weights = ""

    def columns(self, n_hypotheses: int) -> tuple[str, ...]:
        return trials.family_columns(n_hypotheses)

    def rows(self, problems: Problems, first: int, last: int) -> Floats:
        return trials.family_trials(problems, self.seed, first, last, self.truth, self.n_mean, self.held)

    def batch(self, problems: Problems) -> int:
        return _trials_a_task(_shapes(problems, 1), _INJECTIONS_PER_SECOND, least=25)


Plan = Scrambles | Injections | JointExperiments | FamilyExperiments


def _shapes(problems: Problems, free: int) -> float:
    """Event-shapes of one trial; free : how much dearer a fit with a free index is."""
    events = ((p, sum(len(part.active) for part in p.parts)) for p in problems)
    return float(sum(n * (1 + len(p.mixing[0])) * (1 if len(p.index) == 1 else free) for p, n in events))


def _trials_a_task(work: float, per_second: float, *, least: int = 10, most: int = 1000) -> int:
    """Trials that make about a second and a half; work : event-shapes of one trial."""
    return int(min(max(_BATCH_SECONDS * per_second / max(work, 1.0), least), most))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A prepared hypothesis with its fingerprint, and the seed of its trials."""

    prepared: Prepared
    fingerprint: str
    seed: int

    @property
    def hypothesis(self) -> Hypothesis:
        """What is tested."""
        return self.prepared.hypothesis

    @property
    def samples(self) -> tuple[Sample, ...]:
        """On which events."""
        return tuple(part.sample for part in self.prepared.parts)


def _feed(digest: Any, value: object) -> None:
    if isinstance(value, np.ndarray):
        digest.update(str((value.dtype, value.shape)).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, xr.Dataset):
        for name in sorted(str(n) for n in value.variables):
            digest.update(name.encode())
            _feed(digest, np.asarray(value[name].values))
    else:
        digest.update(repr(value).encode())


def problem_fingerprint(hypothesis: Hypothesis, samples: tuple[Sample, ...]) -> str:
    """sha256 of everything a trial of this problem depends on but its seed and its number."""
    digest = hashlib.sha256(code_fingerprint().encode())
    target = hypothesis.target
    if isinstance(target, Catalogue):
        _feed(digest, (target.sources, target.weights))
    else:
        for array in (target.maps, target.log10_energy, target.spectrum.shape(_SPECTRUM_AT)):
            _feed(digest, array)
    _feed(digest, (hypothesis.index, hypothesis.index_free))
    for sample in samples:
        response, binning = sample.response, sample.binning
        for name in ("right_ascension", "declination", "log10_energy", "angular_error"):
            _feed(digest, sample.array(name))
        for part in (response.dataset, binning.sin_dec_edges, binning.log10_energy_edges):
            _feed(digest, part)
        settings = (
            () if isinstance(response.errors, ErrorTable) else astuple(response.errors)
        )  # a table is in the dataset
        ranges = (sample.log10_energy_range, sample.declination_range)
        about = (sample.name, sample.livetime, sample.nside, binning.dec_smoothing, binning.min_count)
        _feed(digest, (sample.statistic.name, *about, *ranges, *settings))
    return digest.hexdigest()


def _rows(kept: Kept, plan: Plan, first: int, last: int) -> Floats:
    return plan.rows(kept.value, first, last)


def run(problems: tuple[Problem, ...], plan: Plan, bench: Bench, *, batch: int = 0) -> xr.Dataset:
    """All trials of a plan on problems that share their events; one variable a column, dim ``trial``.

    Scrambles carry the attribute ``ess``, the effective number of trials under the null.
    batch : trials of one task, by default about a second's work; the trials do not depend on it.
    """
    prepared, names = tuple(p.prepared for p in problems), [p.fingerprint for p in problems]
    name = names[0] if len(names) == 1 else hashlib.sha256(" ".join(names).encode()).hexdigest()
    decides = replace(plan, n_trials=0)
    attrs: dict[str, object] = {
        "seed": plan.seed,
        "kind": plan.kind,
        "stretch": getattr(plan, "stretch", 1.0),
        "smear": getattr(plan, "smear", 0.0),
        "systematics": asdict(getattr(plan, "systematics", NONE)),
        "hypothesis": "; ".join(p.hypothesis.name for p in problems),
        "samples": [s.name for s in problems[0].samples],
    }
    wanted = Ensemble(
        plan.kind,
        hashlib.sha256(repr((name, decides)).encode()).hexdigest(),
        plan.columns(len(prepared)),
        plan.n_trials,
        batch or plan.batch(prepared),
        attrs,
        plan.weights if len(prepared) == 1 or plan.weights else "",
    )
    kept = bench.keep(prepared, name)
    found = bench.fill(wanted, partial(_rows, kept, plan), (kept,))
    return found.assign_attrs(ess=effective(found["log_weight"].values)) if plan.weights else found
