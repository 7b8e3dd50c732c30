"""What is fitted when so much is injected?  The bias curve of n_s, and fits turned back with it."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import injections, or_reason, spread_of, value_and_error
from nuanalysis.answers._flux import turned_back
from nuanalysis.answers._question import Answer, OnHypothesis, Tested, provenance_of, tested
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, bias_figure, mark, slug
from nuanalysis.records import Measured, Provenance, Record, Unknown, setting, shown

_MARGIN = 2.5  # standard deviations beyond the largest fit to correct
_MOST_EVENTS = 1e6


class Bias(OnHypothesis):
    """Median fitted n_s at each injected strength, and fits corrected with it."""

    example: ClassVar = {"hypothesis": "stack:snr", "trials": 300, "n_signal_fitted": (20.0,)}
    n_signal_fitted: tuple[float, ...] = setting((), help="fitted n_s to correct; the published one comes with them")
    trials: int = setting(6000, low=100, high=10_000_000, help="injections, over all strengths")

    def model_post_init(self, context: object) -> None:
        for n in self.n_signal_fitted:
            if not 0 <= n <= _MOST_EVENTS:
                raise ValueError(f"n_signal_fitted is {n:g}; expected 0 to {_MOST_EVENTS:g} events")

    def ask(self, samples: Samples, bench: Bench) -> BiasAnswer:
        problem = self.posed(samples)
        pair = published_fit(problem.hypothesis.name, samples.name)
        asked = np.unique([*self.n_signal_fitted, *([pair[0]] if pair else [])]).tolist()
        reach = float(max(7.0, math.ceil(max(asked, default=0.0) / spread_of(problem) + _MARGIN)))
        injected = injections(problem, self.trials, reach, bench)
        nodes, curve = curve_of(injected)
        return BiasAnswer(
            provenance=provenance_of(samples, problem),
            tested=tested(problem),
            curve=nodes,
            corrected=tuple(_corrected(curve, one, pair) for one in asked),
            n_trials=curve.n_trials,
            not_converged=int((injected["converged"].values < 1).sum()),
            injection_seed=int(injected.attrs["seed"]),
        )


class Node(Record):
    """One strength of the bias curve."""

    n_injected: float = shown("mean injected events", form=".1f", short="injected")
    n_fitted: Measured = shown("median fit", short="median fit")
    curve: Measured = shown("the smooth curve there", short="curve")


class Corrected(Record):
    """A fit turned back."""

    n_signal_fitted: float = shown("fitted events", form=".1f", short="fitted")
    n_signal: Measured | Unknown = shown("signal whose median fit that is", short="corrected")
    published: float | None = shown("the same as published", None, form=".1f")
    source: str = shown("where it was published", "", hidden=True)


class BiasAnswer(Answer):
    """The bias of the fitted n_s."""

    rows: ClassVar = "curve"
    tested: Tested = shown("hypothesis")
    curve: tuple[Node, ...] = shown("bias curve")
    corrected: tuple[Corrected, ...] = shown("fits corrected", ())
    n_trials: int = shown("injected skies")
    not_converged: int = shown("fits that did not converge")
    injection_seed: int = shown("seed of the injected skies", hidden=True)

    def headline(self) -> tuple[str, ...]:
        said = [f"n_s {one.n_signal_fitted:g} corrected: {one.n_signal.words()}" for one in self.corrected]
        return (f"{self.tested.hypothesis}: " + ("; ".join(said) or f"{len(self.curve)} strengths") + ".",)

    def drawn(self) -> tuple[Drawn, ...]:
        return (bias_drawn(self.tested, self.provenance, self.curve, self.n_trials),)


def bias_drawn(whose: Tested, about: Provenance, curve: tuple[Node, ...], n_trials: int) -> Drawn:
    """Median fitted against injected events of a bias curve."""
    rows = [(m.n_injected, *value_and_error(m.n_fitted), m.curve.value) for m in curve]
    label, origin = f"{whose.label}, {about.sample}", about.origin
    figure = bias_figure(*np.array(rows).T, label=label, origin=origin)
    words = f"{label} ({origin}): median fitted against injected events, from {n_trials:,} injected skies"
    name = f"bias-curve-{about.sample}-{slug(whose.hypothesis)}{mark(origin)}"
    return Drawn(figure, Sidecar(name, words, f"{words}.", origin, "trials"))


def published_fit(hypothesis: str, sample: str) -> tuple[float, float, str] | None:
    """Fitted and corrected n_s as published, and where; None where nothing was."""
    row = PUBLISHED.get(hypothesis)
    if row is None or row.sample != sample or not math.isfinite(row.n_signal_corrected):
        return None
    return row.n_signal, row.n_signal_corrected, row.source


def _corrected(curve: trials.BiasCurve, fitted: float, pair: tuple[float, float, str] | None) -> Corrected:
    found = Corrected(n_signal_fitted=fitted, n_signal=or_reason(turned_back, curve, fitted))
    if pair is None or pair[0] != fitted:
        return found
    return found.model_copy(update={"published": pair[1], "source": pair[2]})


def curve_of(injected: xr.Dataset) -> tuple[tuple[Node, ...], trials.BiasCurve]:
    """The bias curve of injection trials.  Raises PrecisionError for too few strengths."""
    curve = trials.bias_curve(injected["n_injected"].values, injected["n_signal"].values)
    at = curve.strengths
    rows = zip(at, curve.medians, curve.errors, curve.curve.value(at), curve.curve.spread(at), strict=True)
    nodes = tuple(
        Node(n_injected=n, n_fitted=Measured(value=m, error=e), curve=Measured(value=c, error=s))
        for n, m, e, c, s in (map(float, row) for row in rows)
    )
    return nodes, curve
