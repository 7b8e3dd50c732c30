"""The likelihood along n_s: a free index is fitted anew at each, so its peak is the fit; a held one is not touched."""

from __future__ import annotations

import numpy as np
import pytest
from small_problem import SOURCES, sample, stack_hypothesis, template_hypothesis

from nuanalysis.answers.fit import profile as published
from nuanalysis.likelihood import FitResult, _profile, maximise, profile, scan
from nuanalysis.model import Terms, prepare, terms
from nuanalysis.sky.records import PointSource

SPREAD = 20.0


def fitted(seed: int, *, free: bool = True, sources: tuple[PointSource, ...] = SOURCES) -> tuple[Terms, FitResult]:
    data = terms(prepare(stack_hypothesis(free=free, sources=sources), (sample(2500, seed=seed),)))
    return data, maximise(data)


def drawn_terms(rng: np.random.Generator, *, events: int = 60, nodes: int = 4) -> Terms:
    """Few events of large signals at each spectral node: densities end within reach."""
    difference = rng.normal(0.0, 1.0, (1, events))
    ratio = np.exp(rng.normal(0.0, 1.2, (nodes, 7)))
    group, scale = rng.integers(0, 7, events), np.ones(events)
    return Terms(difference, ratio, group, scale, np.ones((nodes, 1)), np.linspace(2.0, 3.0, nodes), events)


def by_hand(data: Terms, n_signal: float) -> float:
    """TS over a fine grid of mixtures of neighbouring nodes, each a proper density."""
    best, c = -np.inf, n_signal / data.n_events
    for node in range(len(data.index) - 1):
        x, y = data.x(node), data.x(node + 1)
        for w in np.linspace(0.0, 1.0, 1001):
            density = 1.0 + c * ((1.0 - w) * x + w * y)
            if density.min() >= 0.01:
                best = max(best, 2.0 * float(np.log(density).sum()))
    return best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("free", [True, False])
@pytest.mark.slow
def test_the_peak_is_the_fit_and_the_fit_is_a_point(seed: int, free: bool) -> None:
    data, best = fitted(seed, free=free)
    n, ts = published(data, best, SPREAD)
    assert n[0] == ts[0] == 0.0
    assert best.n_signal in n
    assert ts[n == best.n_signal][0] == pytest.approx(best.ts, abs=1e-9)
    assert ts.max() == pytest.approx(best.ts, abs=1e-9)
    assert n[ts.argmax()] == best.n_signal or ts.max() - best.ts <= 1e-9


def test_the_best_node_alone_misses_the_peak() -> None:
    """What the profile was: below the fit at the fit's own n_s."""
    data, best = fitted(3)
    assert best.ts > 1.0
    assert best.index not in data.index
    assert scan(data, np.array([best.n_signal]))[0] < best.ts - 1e-4


@pytest.mark.parametrize("hypothesis", [stack_hypothesis(free=False), template_hypothesis()])
def test_a_held_index_is_the_same_to_the_bit(hypothesis) -> None:
    data = terms(prepare(hypothesis, (sample(2500, seed=4),)))
    best, grid = maximise(data), np.linspace(0.0, 300.0, 50)
    assert np.array_equal(profile(data, grid, best), scan(data, grid))


@pytest.mark.parametrize("seed", range(12))
def test_each_point_is_the_maximum_over_the_index_by_hand(seed: int) -> None:
    data = drawn_terms(np.random.default_rng(seed))
    grid = np.linspace(0.0, 40.0, 9)
    found = profile(data, grid, maximise(data))
    expected = np.array([by_hand(data, n) for n in grid])
    known = np.isfinite(expected)
    assert np.all(found[known] >= expected[known] - 1e-9)
    assert found[known] == pytest.approx(expected[known], abs=0.03)  # where a density ends, the grid stops before it


@pytest.mark.parametrize("seed", range(6))
def test_where_one_node_has_no_density_the_mixtures_that_have_are_taken(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, c = rng.normal(0.0, 0.3, 40), rng.normal(0.0, 1.0, 40), 1.0
    low, high = _profile._allowed(x, y, c)
    assert low == 0.0
    for w, allowed in ((high - 1e-9, True), (min(high + 1e-6, 1.0), high == 1.0)):
        assert ((1.0 + c * ((1.0 - w) * x + w * y)).min() >= 0.01) == allowed


def test_no_event_and_no_signal_have_a_flat_profile() -> None:
    data = drawn_terms(np.random.default_rng(0))
    empty = Terms(data.difference[:, :0], data.ratio, data.group[:0], data.scale[:0], data.mixing, data.index, 60)
    assert np.array_equal(profile(empty, np.array([0.0, 5.0]), maximise(empty)), [0.0, 0.0])
    assert profile(data, np.array([0.0]), maximise(data))[0] == 0.0
