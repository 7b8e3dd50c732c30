"""Injections are widened where the strongest skies do not reach the significance that is asked for."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from nuanalysis.answers import _ensembles
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.progress import Silent

BACKGROUND = xr.Dataset(
    {"ts": ("trial", np.random.default_rng(1).chisquare(1, 20_000)), "log_weight": ("trial", np.zeros(20_000))}
)


@pytest.mark.parametrize(("per_sigma", "calls"), [(1.0, 1), (0.4, 2), (0.15, 3), (0.001, 4)])
def test_the_range_is_doubled_until_half_of_the_skies_reach_or_three_times(tmp_path, monkeypatch, per_sigma, calls):
    """TS is (strength x per_sigma)^2, so 3 sigma, TS 9 of a chi-square, takes 3 / per_sigma standard deviations."""
    asked, said = [], []

    class Heard(Silent):
        def __call__(self, line):
            said.append(line)

    def injections(problem, n, reach, bench):
        asked.append(reach)
        strength = np.repeat(np.linspace(0.0, reach, 8), n // 8)
        return xr.Dataset({"n_injected": ("trial", strength), "ts": ("trial", (strength * per_sigma) ** 2)})

    monkeypatch.setattr(_ensembles, "injections", injections)
    found = _ensembles.injections_reaching(None, BACKGROUND, 80, 3.0, Bench(tmp_path, progress=Heard()))
    assert len(asked) == calls
    assert len(said) == calls - 1
    assert [b / a for a, b in pairwise(asked)] == [2.0] * (calls - 1)
    threshold = np.quantile(BACKGROUND["ts"], 1 - norm.sf(3.0))
    assert (found["ts"].values.max() >= threshold) == (per_sigma > 0.01)
