"""Trees, calibrations and metrics of ``learn`` against scikit-learn, slow twins and known laws."""

import math

import numpy as np
import pytest

from nuanalysis.detector import Reconstructed, pulls
from nuanalysis.errors import InputError
from nuanalysis.learn import (
    SigmaLaw,
    Temperature,
    angle,
    area_under_curve,
    fit_sigma,
    fit_temperature,
    median,
    passing,
    reliability,
    share,
    trees_score,
)
from nuanalysis.learn._trees_training import Growth, exported, fitted


def rng(seed=1):
    return np.random.Generator(np.random.PCG64(seed))


# Trees


def test_trees_are_those_of_scikit_learn_to_the_last_bit():
    pytest.importorskip("sklearn")
    draw = rng(2)
    x = draw.normal(size=(4000, 6)).round(2)
    signal = x[:, 0] * x[:, 1] + 0.3 * x[:, 2] > draw.normal(size=4000)
    x[draw.random(x.shape) < 0.15] = np.nan
    model = fitted(x[:2000], signal[:2000], draw.random(2000), Growth(trees=60, rate=0.1))
    trees = exported(tuple("abcdef"), model, 1)
    assert np.abs(trees_score(trees, x) - model.decision_function(x)).max() == 0.0
    assert np.isnan(x).any(axis=0).all()
    with pytest.raises(InputError, match=r"expected .event, 6."):
        trees_score(trees, x[:, :5])


# Calibration


def test_a_temperature_and_a_mix_of_classes_are_found_again():
    draw = rng(4)
    z = draw.normal(0.0, 2.0, (60_000, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (draw.random(len(z))[:, None] > np.cumsum(p, axis=1)).sum(axis=1)
    found = fit_temperature(2.5 * z, label, np.ones(len(z)))
    assert found.value == pytest.approx(2.5, rel=0.03)
    assert found.offset == pytest.approx(np.zeros(3), abs=0.06)
    assert reliability(found.probability(2.5 * z)[:, 0], label == 0, np.ones(len(z))).calibration_error < 0.01
    assert (
        reliability(Temperature(0.4, np.zeros(3)).probability(z)[:, 0], label == 0, np.ones(len(z))).calibration_error
        > 0.05
    )
    # Classes weighted otherwise: the logits move by the logarithms of the weights.
    mixed = fit_temperature(z, label, np.array([1.0, 0.1, 7.0])[label])
    assert mixed.offset == pytest.approx(np.log([1.0, 0.1, 7.0]), abs=0.12)
    weight = np.array([1.0, 0.1, 7.0])[label]
    assert reliability(mixed.probability(z)[:, 2], label == 2, weight).calibration_error < 0.01


def test_reliability_has_the_bins_it_is_asked_for():
    p = (np.arange(1000) + 0.5) / 1000
    found = reliability(p, np.zeros(1000, bool), np.ones(1000), bins=25)
    assert len(found.predicted) == 25
    assert found.calibration_error == pytest.approx(0.5)


def test_errors_of_a_known_law_have_pull_1_and_hold_what_they_say():
    draw = rng(6)
    log_q, log_energy = draw.uniform(1.5, 4.5, 20_000), draw.uniform(3.0, 6.0, 20_000)
    raw = np.exp(draw.normal(-2.0, 0.4, 20_000))
    true = 0.9 * raw**0.8 * 10.0 ** (0.2 * (log_q - 3.0) ** 2 - 0.2)
    psi = true * np.sqrt(-2.0 * np.log(draw.random(20_000)))
    fit = slice(0, 10_000)
    law = fit_sigma(psi[fit], 1.0 / raw[fit] ** 2, log_q[fit])
    assert law.slope == pytest.approx(0.8, abs=0.04)
    sigma = law.sigma(1.0 / raw**2, log_q)[10_000:]
    energy = log_energy[10_000:]
    flat = Reconstructed(energy, energy, np.ones(10_000), psi[10_000:] * 0.1, sigma * 0.1)  # where a sphere is flat
    for one in pulls(flat, np.arange(3.0, 6.1, 0.5)):
        assert one.median.value == pytest.approx(1.0, abs=3.5 * one.median.error)
        assert one.median.error < 0.025
        for asked, held in ((0.2, one.within_20), (0.5, one.within_50), (0.8, one.within_80), (0.9, one.within_90)):
            assert held == pytest.approx(asked, abs=3.5 * math.sqrt(asked * (1.0 - asked) / one.n_effective) + 0.005)
    with pytest.raises(InputError, match="expected at least 60"):
        fit_sigma(psi[:50], raw[:50], log_q[:50])
    assert SigmaLaw(1.0, np.array([0.0]), np.array([0.0])).sigma(np.array([4.0]), np.array([2.0])) == pytest.approx(
        [0.5]
    )


# Metrics


def test_the_area_under_a_curve_is_that_of_all_pairs():
    draw = rng(8)
    score, signal, weight = draw.integers(0, 12, 300) / 3.0, draw.random(300) < 0.4, draw.random(300)
    score = score + signal
    above = (score[signal][:, None] > score[~signal]) + 0.5 * (score[signal][:, None] == score[~signal])
    pairs = weight[signal][:, None] * weight[~signal]
    found = area_under_curve(score, signal, weight)
    assert found.value == pytest.approx((pairs * above).sum() / pairs.sum(), rel=1e-12)
    many = [
        area_under_curve(draw.normal(size=200) + s, s, np.ones(200)) for s in np.tile(draw.random(200) < 0.5, (300, 1))
    ]
    assert np.std([one.value for one in many]) == pytest.approx(np.mean([one.error for one in many]), rel=0.15)
    with pytest.raises(InputError, match="both"):
        area_under_curve(score, np.ones(300, bool), weight)


def test_what_passes_at_an_efficiency():
    draw = rng(9)
    score, signal, weight = draw.normal(size=5000), draw.random(5000) < 0.3, draw.random(5000)
    score = score + 2.0 * signal
    found = passing(score, signal, weight, 0.9)
    kept = weight[signal & (score >= found.cut)].sum() / weight[signal].sum()
    assert found.efficiency.value == pytest.approx(kept)
    assert 0.9 <= kept < 0.9 + weight.max() / weight[signal].sum()
    other = weight[~signal & (score >= found.cut)].sum() / weight[~signal].sum()
    assert found.fraction.value == pytest.approx(other)
    assert found.upper == pytest.approx(other)
    best = np.where(signal, score + 100.0, score)
    none = passing(best, signal, weight, 0.9)
    assert none.fraction.value == 0.0
    assert none.upper == pytest.approx(-math.log(0.1) * weight[~signal].max() / weight[~signal].sum())
    with pytest.raises(InputError, match=r"efficiency is 0\.0"):
        passing(score, signal, weight, 0.0)


def test_the_error_of_a_share_is_binomial():
    found = share(np.arange(100) < 20, np.ones(100))
    assert found.error == pytest.approx(math.sqrt(0.2 * 0.8 / 100))


def test_medians_have_the_error_of_many_experiments():
    draw = rng(10)
    many = draw.exponential(size=(400, 300))
    found = median(many[0], draw)
    assert found.error == pytest.approx(np.std(np.median(many, axis=1)), rel=0.3)
    assert found.value == pytest.approx(np.median(many[0]), rel=1e-9)
    doubled = median(np.repeat(many[0], 2), draw).value
    assert median(many[0], draw, np.full(300, 2.0)).value == pytest.approx(doubled, rel=0.01)


def test_angles_between_unit_vectors():
    a = np.array([[0.0, 0.0, 1.0]] * 3)
    b = np.array([[math.sin(t), 0.0, math.cos(t)] for t in (1e-8, 1.0, math.pi)])
    assert angle(a, b) == pytest.approx([1e-8, 1.0, math.pi], rel=1e-6)
