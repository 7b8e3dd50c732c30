"""Summaries of modules and events: values by hand, and events whose shape is known."""

import dataclasses

import numpy as np
import pytest
from small_detector import small_array

from nuanalysis.detector import LIGHT_SPEED, SUMMARY, Pulses, cleaned, event_variables, outer_layer, summarise
from nuanalysis.errors import InputError


def pulses(*events):
    """Pulses of events [(module, time, charge), ...]."""
    rows = [row for event in events for row in sorted(event)]
    start = np.concatenate([[0], np.cumsum([len(event) for event in events])]).astype(np.int64)
    module, time, charge = (np.array([row[k] for row in rows]) for k in range(3))
    flat = np.zeros(len(rows), dtype=np.bool_), start, np.zeros(len(events), dtype=np.bool_), np.zeros(len(events))
    return Pulses(module.astype(np.int64), time.astype(np.float32), charge.astype(np.float32), *flat)


def test_nine_values_by_hand():
    of = pulses([(4, 1000.0, 2.0), (4, 1050.0, 1.0), (4, 1300.0, 5.0), (4, 2000.0, 2.0), (2, 1100.0, 1.5)])
    hits = summarise(of)
    assert hits.module.tolist() == [2, 4]
    assert hits.window.tolist() == [1000.0]
    assert hits.values[0].tolist() == pytest.approx([1.5, 1.5, 1.5, 100.0, 100.0, 100.0, 100.0, 100.0, 0.0])
    mean = (2 * 0 + 50 + 5 * 300 + 2 * 1000) / 10
    spread = np.sqrt((2 * mean**2 + (50 - mean) ** 2 + 5 * (300 - mean) ** 2 + 2 * (1000 - mean) ** 2) / 10)
    assert SUMMARY == ("charge", "charge_500", "charge_100", "first", "t20", "t50", "last", "mean", "spread")
    assert hits.values[1].tolist() == pytest.approx([10, 8, 3, 0, 0, 300, 1000, mean, spread], rel=1e-6)


def test_the_window_is_that_of_the_largest_charge():
    early, late = (1, -9000.0, 3.0), (1, 5990.0, 1.0)
    hits = summarise(pulses([early, (1, 0.0, 2.0), (2, 100.0, 2.0), late, (3, 6500.0, 1.0)]))
    assert hits.window.tolist() == [0.0]
    assert hits.module.tolist() == [1, 2]
    assert hits.values[:, 0].tolist() == [3.0, 2.0]
    slow = summarise(pulses([(1, t, 1.0 + (t == 15000.0)) for t in np.arange(0.0, 20000.0, 1000.0)]))
    # Six pulses in each window: the latest with the bright one has five before the end.
    assert slow.window.tolist() == [14000.0]


def test_summaries_keep_the_charge_and_follow_the_slow_twin():
    rng = np.random.default_rng(1)
    of = pulses(*([(int(m), t, q) for m, t, q in zip(rng.integers(0, 9, 60), rng.uniform(0, 5900, 60),
                   rng.exponential(2.0, 60), strict=True)] for _ in range(20)))  # fmt: skip
    hits = summarise(of)
    event = np.repeat(np.arange(20), np.diff(hits.start))
    for k in range(len(hits.module)):
        own = slice(of.start[event[k]], of.start[event[k] + 1])
        mine = of.module[own] == hits.module[k]
        t, q = of.time[own][mine].astype(float) - hits.window[event[k]], of.charge[own][mine].astype(float)
        passed = np.cumsum(q) / q.sum()
        mean = np.average(t, weights=q)
        slow = [
            q.sum(), q[t < t[0] + 500].sum(), q[t < t[0] + 100].sum(), t[0], t[np.argmax(passed >= 0.2 - 1e-9)],
            t[np.argmax(passed >= 0.5 - 1e-9)], t[-1], mean, np.sqrt(np.average((t - mean) ** 2, weights=q)),
        ]  # fmt: skip
        np.testing.assert_allclose(hits.values[k], slow, rtol=1e-5, atol=2e-2)


def test_an_event_without_pulses_has_no_hits():
    hits = summarise(pulses([], [(5, 10.0, 1.0)], []))
    assert hits.start.tolist() == [0, 0, 1, 1]
    found = event_variables(small_array(), pulses([], [(5, 10.0, 1.0)], []), hits)
    assert found.charge.tolist() == [0.0, 1.0, 0.0]
    assert np.isnan(found.line_speed[[0, 2]]).all()


def test_a_hit_needs_another_within_150_m_and_a_microsecond():
    detector = small_array()  # 20 modules 17 m apart on each string, strings 125 m apart
    together = [(0, 0.0, 1.0), (8, 900.0, 1.0), (20, 500.0, 1.0)]
    alone = [(19, 0.0, 1.0), (9, 0.0, 1.0), (175, 0.0, 1.0)]
    late = [(0, 0.0, 1.0), (1, 1100.0, 1.0)]
    kept = cleaned(detector, summarise(pulses(together, alone, late)))
    assert kept.module.tolist() == [0, 8, 20]
    assert kept.start.tolist() == [0, 3, 3, 3]


def test_a_plane_of_light_has_its_speed_and_a_line_no_width():
    detector = small_array()
    along = detector.position @ np.array([0.6, 0.0, 0.8])
    wave = [(k, 5000.0 + along[k] / 0.25, 1.0) for k in range(180)]
    line = [(k, 17.0 * k / 0.3, 2.0) for k in range(20)]
    of = pulses(wave, line)
    found = event_variables(detector, of, summarise(of))
    # Least squares of each coordinate against time: the exact slope is that of the covariance, at most the speed.
    cov = np.cov(detector.position.T, bias=True)
    slope = cov @ np.array([0.6, 0.0, 0.8]) / (np.array([0.6, 0.0, 0.8]) @ cov @ np.array([0.6, 0.0, 0.8])) * 0.25
    assert found.line_speed[0] == pytest.approx(np.linalg.norm(slope), rel=1e-4)
    assert found.line_speed[1] == pytest.approx(0.3, rel=1e-4)
    assert found.inertia_ratio[1] == pytest.approx(0.0, abs=1e-9)
    spread = np.sort(np.diag(cov))  # diagonal moments: sums of two of them
    assert found.inertia_ratio[0] == pytest.approx((spread[0] + spread[1]) / (2.0 * spread.sum()), rel=1e-4)
    assert found.modules.tolist() == [180, 20]
    np.testing.assert_allclose(found.centre, [[0, 0, 0], [-125, -125, 0]], atol=1e-3)


def test_light_from_one_place_is_in_time_and_what_comes_before_is_counted():
    detector = small_array()
    middle = np.zeros(3)
    distance = np.linalg.norm(detector.position - middle, axis=1)
    flash = [(k, 3000.0 + distance[k] / LIGHT_SPEED, 4.0) for k in range(180)]
    early = [(*flash[k][:1], flash[k][1] - 900.0, 0.5) for k in (0, 80)]  # a corner, and the middle string
    of = pulses(flash, flash + early)
    found = event_variables(detector, of, summarise(of))
    assert found.vertex_time[0] == pytest.approx(3000.0, abs=0.01)
    moved = np.linalg.norm(found.brightest[1]) / LIGHT_SPEED  # by the charge of the early ones
    assert found.vertex_time[1] == pytest.approx(3000.0, abs=moved)
    assert found.before_vertex.tolist() == [0.0, 1.0]
    # At the corner, 240 m away, even light 900 ns too early comes after the flash; at the top, 162 m, before it.
    assert outer_layer(detector)[[0, 80]].all()
    assert found.outer_early.tolist() == pytest.approx([0.0, 0.5])
    assert found.charge == pytest.approx([720.0, 721.0])
    assert found.early_fraction[0] == pytest.approx(1.0)


def test_outer_layer_of_the_small_array():
    outer = outer_layer(small_array()).reshape(9, 20)
    assert outer[[0, 1, 2, 3, 5, 6, 7, 8]].all()
    assert outer[4].tolist() == [True] * 4 + [False] * 12 + [True] * 4


def test_pulses_and_hits_of_other_events_are_refused():
    of = pulses([(5, 10.0, 1.0)])
    hits = summarise(of)
    with pytest.raises(InputError, match="give the same"):
        event_variables(small_array(), of, dataclasses.replace(hits, start=np.array([0, 1, 1])))
