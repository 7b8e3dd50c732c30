"""A free index with what injected skies say of it: shift, spread, and when there are too few of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from nuanalysis.answers._flux import index_bias_of
from nuanalysis.likelihood import FitResult
from nuanalysis.records import Unknown


def asked(*, free=True):
    return SimpleNamespace(hypothesis=SimpleNamespace(index_free=free, index=2.7))


def skies(n=2000, shift=0.2, width=0.3):
    """Fits of skies with 0 to 200 injected events; where few were injected the index says nothing."""
    rng = np.random.default_rng(1)
    truth = rng.choice([0.0, 50.0, 100.0, 200.0], n)
    n_signal = np.maximum(truth + 10 * rng.standard_normal(n), 0.0)
    index = np.where(truth > 0, 2.7 + shift + width * rng.standard_normal(n), rng.choice([1.0, 4.0], n))
    columns = {"n_injected": truth, "n_signal": n_signal, "index": index}
    return xr.Dataset({name: ("trial", values) for name, values in columns.items()})


def test_shift_and_spread_are_those_of_skies_with_as_many_fitted_events():
    found = index_bias_of(asked(), FitResult(20.0, 100.0, 2.5, True), skies())
    assert 300 < found.n_trials < 600  # a quarter of the skies, less those that fluctuated away
    assert found.shift.value == pytest.approx(0.2, abs=4 * found.shift.error)
    assert found.spread == pytest.approx(0.3, rel=0.1)
    assert found.corrected == pytest.approx(2.5 - found.shift.value)
    assert found.injected == 2.7


def test_skies_without_signal_do_not_count_and_the_range_is_kept():
    found = index_bias_of(asked(), FitResult(20.0, 50.0, 1.05, True), skies(shift=0.4))
    assert found.corrected == 1.0
    few = index_bias_of(asked(), FitResult(1.0, 5.0, 3.9, True), skies())
    assert isinstance(few, Unknown)
    assert "expected at least 30" in few.reason


def test_a_held_index_and_a_fit_without_signal_have_no_record():
    assert index_bias_of(asked(free=False), FitResult(20.0, 100.0, 2.7, True), skies()) is None
    assert index_bias_of(asked(), FitResult(0.0, 0.0, 1.0, True), skies()) is None
