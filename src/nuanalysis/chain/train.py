"""Train a network on simulated events: resumable, same seed same bytes, and measured on events it has not seen."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Literal

import numpy as np

from nuanalysis.chain._events import Recipe, Seen, array, joined, opened, simulated, taken
from nuanalysis.chain._figures import score_figures
from nuanalysis.chain._hybrid_errors import errors_of, fits_of, measures
from nuanalysis.chain._inputs import inputs, shards, usable
from nuanalysis.chain._judge import Judgement, judge, judges
from nuanalysis.chain._kept import opened_as, place_of
from nuanalysis.chain._light import Medium
from nuanalysis.chain._networks import Trained
from nuanalysis.chain._rates import INDEX
from nuanalysis.chain._step import Step
from nuanalysis.chain._trees import LastTrees, grown
from nuanalysis.chain._variables import variables
from nuanalysis.chain.simulate import muon_recipe
from nuanalysis.detector import EVEN, TRUTH, Kind, hull, inside
from nuanalysis.engine.bench import Bench
from nuanalysis.learn import (
    Class,
    Growth,
    Measure,
    Network,
    Settings,
    Shape,
    State,
    angle,
    area_under_curve,
    fit_sigma,
    fit_temperature,
    labels_of,
    median,
    network_of,
    passing,
    regression_of,
    reliability,
    scores_of,
    train,
    trees_score,
    with_metrics,
)
from nuanalysis.records import Measured, Record, setting, shown
from nuanalysis.store import write_object
from nuanalysis.trials.streams import Purpose, seed_for

CASCADES = (Kind.ELECTRON_CHARGED, Kind.NEUTRAL, Kind.TAU_CHARGED, Kind.GLASHOW)
#: Of the kinds in order: for directions, cascades alone.
CASCADES_ALONE = (0.70, 0.15, 0.15, 0.0, 0.0, 0.0, 0.0)
TREES, RATE = (
    200,
    0.06,
)  # of the last level; 500 of half the rate pass 0.25(11) % of muons at 90 % of cascades, these 0.26(11) %
_CALIBRATING = 6  # training events to one of calibration and one of testing
_Measured = tuple[Trained, tuple[Measure, ...], tuple[Path, ...]]  # a calibrated network, measures, what is drawn of it
Task = Literal["classes", "direction", "trees", "hybrid"]


class Figure(Record):
    """A figure of a network on events that it has not seen."""

    name: str = shown("figure")
    value: Measured = shown("value")
    events: int = shown("events behind it")


class TrainAnswer(Record):
    """A network that was trained."""

    task: str = shown("task")
    trained_on: int = shown("events trained on")
    epochs: int = shown("epochs")
    losses: tuple[float, ...] = shown("mean loss of each epoch", form=".4f")
    figures: tuple[Figure, ...] = shown("on unseen events")
    sha256: str = shown("sha256 of its arrays")
    simulating_s: float = shown("seconds of simulation", unit="s", form=".0f")
    training_s: float = shown("seconds of training", unit="s", form=".0f")
    file: str = shown("file")
    drawn: tuple[str, ...] = shown("figures of it", ())
    truth: str = shown("what it is", TRUTH)


class Train(Step):
    """Train a network on simulated events."""

    task: Task = setting(
        "classes",
        help="classes (cascade, starting track, through-going, bundle), direction; trees, which need both; or hybrid: "
        "no network but the laws of the errors of hybrid fits, from a sixth of the events",
    )
    events: int = setting(200_000, low=1000, high=50_000_000, help="events made to train on")
    epochs: int = setting(10, low=1, high=1000, help="times that each event is seen")
    rate: float = setting(2e-3, above=0, high=0.1, help="peak of the learning rate")

    def recipe(self, purpose: Purpose) -> Recipe:
        """What the events of a purpose depend on."""
        shares = EVEN if self.task == "classes" else CASCADES_ALONE
        total = self.events if purpose is Purpose.TRAINING else max(self.events // _CALIBRATING, 500)
        return Recipe(seed_for(self.seed, purpose), total, self.medium, shares)

    def take(self, bench: Bench) -> TrainAnswer:
        if self.task == "hybrid":
            return self._hybrid(bench)
        return self._trees(bench) if self.task == "trees" else self._network(bench)

    def _hybrid(self, bench: Bench) -> TrainAnswer:
        """Laws of errors and contours from fits of one purpose, measured on those of another."""
        by, began, both, simulating = judges(bench.folder), time.monotonic(), [], 0.0
        for purpose in (Purpose.CALIBRATION, Purpose.TESTING):
            recipe, name, at = self.recipe(purpose), f"{self.task}-{purpose.name.lower()}", time.monotonic()
            seen = joined([opened(path) for path in simulated(recipe, bench, name)])
            simulating += time.monotonic() - at
            judged = judge(seen, by, self.medium)
            both.append((fits_of(recipe, bench, name, seen, judged), seen, judged))
        (fits, seen, judged), unseen = both
        said = f"{len(fits.number):,} fits of {self.recipe(Purpose.CALIBRATION).total:,} cascades made, {self.medium}"
        errors = errors_of(fits, seen, judged, self.medium, f"{said}, seed {self.seed}")
        path = place_of(bench.folder, self.task)
        write_object(path, errors)
        return TrainAnswer(
            task=self.task,
            trained_on=len(fits.number),
            epochs=1,
            losses=(),
            figures=_figures(measures(*unseen, errors, self.medium)),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            simulating_s=simulating,
            training_s=time.monotonic() - began - simulating,
            file=str(path),
        )

    def _trees(self, bench: Bench) -> TrainAnswer:
        """Trees on mostly muons: grown on the first four of five events, measured on the others."""
        by, began = judges(bench.folder), time.monotonic()
        recipe = muon_recipe(seed_for(self.seed, Purpose.TREES), self.events, self.medium)
        paths = simulated(recipe, bench, "trees")
        simulated_at, cut = time.monotonic(), max(len(paths) * 4 // 5, 1)
        first, rest = (joined([opened(path) for path in some]) for some in (paths[:cut], paths[cut:] or paths))
        judged = judge(first, by, self.medium)
        trees = grown(first, judged, Growth(TREES, RATE, seed=self.seed))
        path = place_of(bench.folder, "trees")
        write_object(path, trees)
        return TrainAnswer(
            task=self.task,
            trained_on=len(judged.events),
            epochs=1,
            losses=(),
            figures=_figures(_trees(trees, rest, judge(rest, by, self.medium))),
            sha256=trees.muon.card.sha256,
            simulating_s=simulated_at - began,
            training_s=time.monotonic() - simulated_at,
            file=str(path),
        )

    def _network(self, bench: Bench) -> TrainAnswer:
        began = time.monotonic()
        files = {
            purpose: simulated(self.recipe(purpose), bench, f"{self.task}-{purpose.name.lower()}")
            for purpose in (Purpose.TRAINING, Purpose.CALIBRATION, Purpose.TESTING)
        }
        simulated_at = time.monotonic()
        state, trained_on = self._trained(files[Purpose.TRAINING], bench)
        network = network_of(state, f"{self.task}-{self.seed}")
        trained_at = time.monotonic()
        own, unseen = (joined([opened(path) for path in files[one]]) for one in (Purpose.CALIBRATION, Purpose.TESTING))
        measured = _classes if self.task == "classes" else _direction
        found, figures, drawn = measured(network, own, unseen, self.medium, bench.folder)
        said = f"{trained_on:,} events of {self.events:,} made, {self.medium}, seed {self.seed}, {self.epochs} epochs"
        named = with_metrics(network, data=said, metrics=figures, limits=network.card.limits)
        path = place_of(bench.folder, self.task)
        write_object(path, Trained(named, found.temperature, found.sigma))
        return TrainAnswer(
            task=self.task,
            trained_on=trained_on,
            epochs=self.epochs,
            losses=tuple(float(loss) for loss in state.losses),
            figures=_figures(figures),
            sha256=named.card.sha256,
            simulating_s=simulated_at - began,
            training_s=trained_at - simulated_at,
            file=str(path),
            drawn=tuple(str(one) for one in drawn),
        )

    def _trained(self, files: tuple[Path, ...], bench: Bench) -> tuple[State, int]:
        """The state after the last epoch, and the number of events; what was trained before is taken up again."""
        kept = shards(files, self.medium, None if self.task == "classes" else CASCADES)
        number = sum(len(one.targets) for one in kept)
        steps = self.epochs * -(-number // 256)
        wanted = Settings(Shape(self.task), steps, self.epochs, self.seed, self.rate)
        said = hashlib.sha256(f"{self.recipe(Purpose.TRAINING).key} {wanted!r}".encode()).hexdigest()
        path = bench.folder / "training" / f"{self.task}-{said[:24]}.npz"
        before = opened_as(State, path) if path.exists() else None
        if before is not None:
            bench.progress(f"training of {self.task} goes on after epoch {before.epoch}")
        state = before
        for state in train(lambda epoch: kept, wanted, before):
            write_object(path, state)
            bench.progress.move(f"epochs of {self.task}", state.epoch, self.epochs, f"loss {state.losses[-1]:.4f}")
        assert state is not None
        return state, number


def _figures(measures: tuple[Measure, ...]) -> tuple[Figure, ...]:
    return tuple(
        Figure(name=one.name, value=Measured(value=one.value, error=one.error), events=one.events) for one in measures
    )


def _trees(trees: LastTrees, unseen: Seen, judged: Judgement) -> tuple[Measure, ...]:
    """What of the muons passes, by their rates, where 90 and 50 per cent of E^-2.53 cascades do."""
    truth = taken(unseen.truth, judged.events)
    muon, cascade = truth.kind == Kind.BUNDLE, labels_of(truth) == Class.CASCADE
    of, weight = muon | cascade, np.where(muon, truth.weight, truth.weight * truth.energy**-INDEX)
    score = trees_score(trees.muon, variables(unseen, judged))
    figures = []
    for efficiency in (0.9, 0.5):
        left = passing(score[of], cascade[of], weight[of], efficiency).fraction
        name = f"muons by rate that pass at {efficiency:.0%} of cascades"
        figures.append(Measure(name, left.value, left.error, int(left.events)))
    return tuple(figures)


def _classes(network: Network, own: Seen, unseen: Seen, medium: Medium, folder: Path) -> _Measured:
    """Every generated event counts alike, as in the reference; separation for contained cascades, too."""
    events = usable(own)
    scores = scores_of(network, inputs(own, events, medium))
    temperature = fit_temperature(scores.logits, labels_of(taken(own.truth, events)), np.ones(len(events)))
    events = usable(unseen)
    scores, label = scores_of(network, inputs(unseen, events, medium)), labels_of(taken(unseen.truth, events))
    cascade, one = label == Class.CASCADE, np.ones(len(events))
    contained = cascade & inside(hull(array(medium)), taken(unseen.truth, events).vertex)
    muon = (label == Class.THROUGH_GOING) | (label == Class.BUNDLE)
    other = area_under_curve(scores.cascade[~muon], cascade[~muon], one[~muon])
    figures = [Measure("AUC, cascade against starting track", other.value, other.error, int((~muon).sum()))]
    for signal, word in ((cascade, "cascade"), (contained, "contained cascade")):
        of = signal | muon
        auc = area_under_curve(scores.cascade_over_muons[of], signal[of], one[of])
        figures.append(Measure(f"AUC, {word} against muon and bundle", auc.value, auc.error, int(of.sum())))
        for efficiency in (0.9, 0.7, 0.5):
            left = passing(scores.cascade_over_muons[of], signal[of], one[of], efficiency).fraction
            name = f"muons and bundles that pass at {efficiency:.0%} of {word}s"
            figures.append(Measure(name, left.value, left.error, int(muon.sum())))
    found = reliability(temperature.probability(scores.logits)[:, Class.CASCADE], cascade, one)
    error = float(np.sqrt(((found.weight * found.error) ** 2).sum()))
    figures.append(Measure("expected calibration error", found.calibration_error, error, len(events)))
    return Trained(network, temperature, None), tuple(figures), score_figures(scores, label, folder)


def _direction(network: Network, own: Seen, unseen: Seen, medium: Medium, folder: Path) -> _Measured:
    """The law of its errors, and medians of angles by energy; nothing is drawn."""
    events = usable(own)
    said = regression_of(network, inputs(own, events, medium))
    charge = np.log10(own.variables.charge[events])
    law = fit_sigma(angle(said.direction, own.truth.direction[events]), said.kappa, charge)
    events = usable(unseen)
    truth, said = taken(unseen.truth, events), regression_of(network, inputs(unseen, events, medium))
    psi, log_energy = np.degrees(angle(said.direction, truth.direction)), np.log10(np.maximum(truth.deposited, 1.0))
    contained, rng = inside(hull(array(medium)), truth.vertex), np.random.default_rng(0)
    figures = []
    for low, high in ((3.4, 3.8), (3.8, 4.2), (4.2, 4.6), (4.6, 5.0), (5.0, 5.4), (5.8, 6.2)):
        for name, of in (("all", np.ones(len(psi), bool)), ("contained", contained)):
            here = of & (log_energy >= low) & (log_energy < high)
            if here.sum() >= 20:
                found = median(psi[here], rng)
                label = f"median angle in deg, {name}, log10 E {low} to {high}"
                figures.append(Measure(label, found.value, found.error, int(here.sum())))
    away = median(np.linalg.norm(said.vertex - truth.vertex, axis=1), rng)
    figures.append(Measure("median distance of the vertex in m", away.value, away.error, len(psi)))
    return Trained(network, None, law), tuple(figures), ()
