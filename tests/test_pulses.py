"""From light to pulses: closed forms and slow twins for charges and times, patterns by hand for the modules."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from small_detector import SCATTERING, SLOPE, cascade, exact_table, light, particles, small_array

from nuanalysis.detector import (
    LIGHT_SPEED,
    MODULE_AREA,
    Ice,
    Pulses,
    acceptance,
    event_charges,
    expected_charge,
    ice_grid,
    kernel_table,
    pairs,
    probabilities,
    simulate_events,
    triggers,
)
from nuanalysis.detector import _modules_kernels as modules
from nuanalysis.detector import _trigger_kernels as trigger_kernels
from nuanalysis.detector._draw_kernels import event_state, poisson
from nuanalysis.detector._hits_kernels import event_hits
from nuanalysis.detector._optics import FAINTEST, optics, source_rows
from nuanalysis.errors import InputError

TABLE = exact_table()


def dense(charges, detector):
    """(event, module) of the flat record."""
    out = np.zeros((len(charges.start) - 1, len(detector.string)))
    event = np.repeat(np.arange(len(out)), np.diff(charges.start))
    out[event, charges.module] = charges.charge
    return out


def by_hand(detector, source):
    """Expected charges of one source in uniform ice, from the closed form of the table."""
    position, direction, _, photons, _ = source
    line = detector.position - position
    d = np.linalg.norm(line, axis=1)
    r, cosine = np.maximum(d / SCATTERING, TABLE.radius[0]), np.clip(line @ direction / d, *TABLE.cosine[[0, -1]])
    slope = SLOPE[4]
    fluence = np.exp(-slope * r + 0.5 * cosine) / (4.0 * np.pi * d**2)
    return photons * fluence * MODULE_AREA * acceptance(line[:, 2] / d, 1.0 - r / 30.0) * detector.efficiency


@pytest.mark.slow
def test_expected_charge_in_uniform_ice_is_the_closed_form():
    detector = small_array(bright=(3, 70))
    tilted = np.array([0.48, 0.6, 0.64])
    found = dense(event_charges(detector, TABLE, light([cascade(1e4, direction=tilted)])), detector)[0]
    expected = by_hand(detector, cascade(1e4, direction=tilted))
    seen = expected > FAINTEST
    assert seen.all()
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_expected_charge_is_that_of_single_pairs_across_a_dusty_layer():
    """All that the cuts leave out is below the least charge that counts."""
    height = np.linspace(-300.0, 300.0, 61)
    dusty = np.abs(height + 40.0) < 35.0
    detector = small_array(Ice("layered", "none", height, np.where(dusty, 7.0, 33.0), np.where(dusty, 20.0, 120.0)))
    ice, table = ice_grid(detector.ice), kernel_table(TABLE)
    for energy, cone in ((0.5, True), (50.0, False), (1e5, False)):
        position, axis = np.array([[10.0, 20.0, 105.0]]), np.array([[0.0, 0.6, -0.8]])
        n = len(detector.position)
        of = pairs(np.repeat(position, n, 0), np.repeat(axis, n, 0), detector.position, cone=cone)
        single = expected_charge(table, ice, of, np.full(n, 12870.0 * energy))
        source = light([(position[0], axis[0], 0.0, 12870.0 * energy, cone)])
        found = dense(event_charges(detector, TABLE, source), detector)[0]
        seen, near = found > 0.0, of.distance < 220.0
        np.testing.assert_allclose(found[seen], single[seen], rtol=1e-5)
        assert single[~seen & near].max(initial=0.0) < 1.05 * FAINTEST
        assert seen[near & (single > 1.05 * FAINTEST)].all()


def test_charge_is_linear_in_energy_and_a_sum_over_sources():
    detector = small_array()
    a, b = cascade(2e4), cascade(5e4, position=(-60.0, 30.0, 90.0), direction=(0.6, 0.0, 0.8), time=300.0)
    twice = (*a[:3], 2.0 * a[3], a[4])
    one, two, double, both = dense(event_charges(detector, TABLE, light([a], [b], [twice], [a, b])), detector)
    np.testing.assert_allclose(double, 2.0 * one, rtol=1e-12)
    np.testing.assert_allclose(both, one + two, rtol=1e-12)


@pytest.mark.slow
def test_mean_of_drawn_charge_is_the_expected_one_with_afterpulses():
    """One event is bright (weighted hits), the other dim (single photoelectrons).  Saturation is undone by distance."""
    detector = small_array()
    sources = [cascade(3e3), cascade(30.0)]
    expected = dense(event_charges(detector, TABLE, light(*([one] for one in sources))), detector).sum(axis=1)
    events = 300
    pulses = simulate_events(detector, TABLE, particles(light(*([one] for one in sources * events))), 5, noise=False)
    charge = np.add.reduceat(pulses.charge.astype(float), pulses.start[:-1]).reshape(events, 2)
    # 1.0014: the cut of small charges; early pulses carry a twentieth; what is below 0.1 is not recorded.
    share = 1.0014 * (1.0 + 0.059) * (1.0 - 0.003)
    pull = (charge.mean(axis=0) / (expected * share) - 1.0) / (charge.std(axis=0) / charge.mean(axis=0) / events**0.5)
    assert abs(pull[1]) < 3.5
    assert charge.mean(axis=0)[0] / (expected[0] * share) == pytest.approx(0.96, abs=0.04)  # bright modules saturate


def twin_times(rng, distance, n):
    """Times of n photoelectrons of a flash at 0, drawn slowly."""
    quantiles = scipy.stats.gamma(distance / SCATTERING).ppf(np.minimum(probabilities(), 1.0 - 1e-7))
    delay = np.interp(rng.random(n), probabilities(), quantiles) * SCATTERING / LIGHT_SPEED
    late = rng.random(n) < 2.7 / 3.9
    jitter = np.abs(rng.normal(size=n)) * np.where(late, 2.7, -1.2)
    kind = rng.choice(4, n, p=[0.962, 0.033, 0.002, 0.003])
    shift = np.select([kind == 1, kind == 2, kind == 3], [rng.uniform(25, 71, n), rng.uniform(85, 160, n), -31.8])
    return distance / LIGHT_SPEED + delay + jitter + shift


@pytest.mark.parametrize("node", [3, 30])  # 4 m, where late pulses and jitter show; 83 m, where scattering does
@pytest.mark.parametrize("mean", [5.0, 20_000.0])
def test_times_follow_the_table_whether_photoelectrons_are_single_or_weighted(mean, node):
    distance = TABLE.radius[node] * SCATTERING
    array = small_array(strings=1, modules=1)
    detector = dataclasses.replace(array, position=np.array([[0.0, 0.0, distance]]))
    source = cascade(1.0, position=(0.0, 0.0, 0.0))
    each = by_hand(detector, source)[0]
    of = light([(*source[:3], source[3] * mean / each, False)])
    seen = optics(detector, TABLE)
    rows, events = source_rows(of, seen.ice), 4000 if mean < 100 else 40
    times, weights = [], []
    for number in range(events):
        hits, _, _, last = event_hits(event_state(1, 2, number), seen, rows, 0, 1)
        prompt = hits[:, 0] <= last
        times.append(hits[prompt, 0])
        weights.append(hits[prompt, 1])
    time, weight = np.concatenate(times), np.concatenate(weights)
    single = twin_times(np.random.default_rng(3), distance, 200_000)
    order = np.argsort(time)
    cumulative = np.cumsum(weight[order]) / weight.sum()
    gap = np.abs(cumulative - np.searchsorted(np.sort(single), time[order]) / len(single)).max()
    assert gap < (1.9 / np.sqrt(len(time)) + 0.004 if mean < 100 else 0.015)


def test_afterpulses_follow_charge():
    """0.059 a photoelectron, 6 +- 2 us behind it, within 0.3 to 11 us; of weighted hits, whose light is 4 m away."""
    array = small_array(strings=1, modules=1)
    detector = dataclasses.replace(array, position=np.array([[0.0, 0.0, 4.0]]))
    source = cascade(1.0, position=(0.0, 0.0, 0.0))
    of = light([(*source[:3], source[3] * 2e4 / by_hand(detector, source)[0], False)])
    seen = optics(detector, TABLE)
    rows, prompt, waits, weights = source_rows(of, seen.ice), 0.0, [], []
    for number in range(60):
        hits, _, first, last = event_hits(event_state(1, 2, number), seen, rows, 0, 1)
        after = hits[:, 0] > last
        prompt += hits[~after, 1].sum()
        waits.append(hits[after, 0] - first)
        weights.append(hits[after, 1])
    wait, weight = np.concatenate(waits), np.concatenate(weights)
    assert weight.sum() / prompt == pytest.approx(0.059, rel=0.02)  # 7e4 of them: 0.4 %
    law = scipy.stats.truncnorm((300.0 - 6000.0) / 2000.0, (11000.0 - 6000.0) / 2000.0, 6000.0, 2000.0)
    assert np.average(wait, weights=weight) == pytest.approx(law.mean(), abs=100.0)  # the light itself lasts 50 ns
    assert wait.std() == pytest.approx(law.std(), rel=0.04)


@pytest.mark.parametrize("mean", [0.3, 8.0, 25.0, 4e3, 3e7])
def test_poisson_numbers(mean):
    n, state = 20_000, event_state(1, 1, 1)
    drawn = np.array([poisson(state, mean) for _ in range(n)])
    assert drawn.mean() == pytest.approx(mean, abs=4.0 * np.sqrt(mean / n))
    assert drawn.var() == pytest.approx(mean, rel=4.0 * np.sqrt((2.0 + 1.0 / mean) / n))
    if mean < 30.0:
        counted = np.bincount(drawn, minlength=80)[:80]
        expected = scipy.stats.poisson(mean).pmf(np.arange(80)) * n
        usable = expected > 5.0
        chi2 = ((counted - expected) ** 2 / expected)[usable].sum()
        assert scipy.stats.chi2(usable.sum()).sf(chi2) > 1e-4


@pytest.mark.slow
def test_later_light_makes_later_pulses():
    detector = small_array()
    now, later = cascade(2e4), cascade(2e4, time=1000.0)
    a, b = (simulate_events(detector, TABLE, particles(light([one])), 7) for one in (now, later))
    np.testing.assert_array_equal(a.module, b.module)
    np.testing.assert_allclose(b.time, a.time + 1000.0, atol=2e-3)
    np.testing.assert_allclose(b.charge, a.charge, rtol=1e-5)
    assert b.trigger_time - a.trigger_time == pytest.approx(1000.0, abs=1e-6)


def test_dead_modules_see_nothing_and_the_others_the_same():
    dead = (25, 30, 90)
    alive, some = small_array(), small_array(dead=dead)
    of = light([cascade(1e5)])
    full, part = dense(event_charges(alive, TABLE, of), alive)[0], dense(event_charges(some, TABLE, of), some)[0]
    assert (part[list(dead)] == 0.0).all()
    np.testing.assert_array_equal(np.delete(part, dead), np.delete(full, dead))
    pulses = simulate_events(some, TABLE, particles(light(*[[cascade(1e5)]] * 20)), 3)
    assert not np.isin(pulses.module, dead).any()


def test_events_are_the_same_in_any_batch():
    detector = small_array()
    events = [[cascade(10.0 ** (2 + 0.4 * k), position=(20.0 * k, 0.0, -10.0 * k))] for k in range(8)]
    whole = simulate_events(detector, TABLE, particles(light(*events)), 11)
    parts = [
        simulate_events(detector, TABLE, particles(light(*events[a:b]), a), 11) for a, b in ((0, 3), (3, 4), (4, 8))
    ]
    for name in ("module", "time", "charge", "saturated", "triggered", "trigger_time"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert getattr(whole, name).tobytes() == joined.tobytes(), name
    other = simulate_events(detector, TABLE, particles(light(*events)), 12)
    assert other.charge.tobytes() != whole.charge.tobytes()


def test_noise_leaves_light_alone_and_pulses_are_in_order():
    detector = small_array()
    of = particles(light([cascade(1e3)], []))
    with_noise, without = (simulate_events(detector, TABLE, of, 2, noise=noise) for noise in (True, False))
    assert without.start[2] == without.start[1]  # nothing of an event without light
    assert len(with_noise.time) > len(without.time)
    event = np.repeat(np.arange(2), np.diff(with_noise.start))
    assert (np.lexsort((with_noise.time, with_noise.module, event)) == np.arange(len(event))).all()


def test_rate_and_bursts_of_noise():
    """560 and 780 Hz; intervals of a follower are log-normal about a microsecond."""
    high = np.arange(400) % 4 == 0
    module, hits = modules.noise_hits(event_state(1, 2, 3), high, 0.0, 100e6)
    rate = np.bincount(module, minlength=400) / 0.1
    # The variance of bursts of mean number 2.24 is some 4.6 times that of single hits.
    assert rate[~high].mean() == pytest.approx(560.0, rel=0.035)
    assert rate[high].mean() == pytest.approx(780.0, rel=0.05)
    waits = np.concatenate([np.diff(np.sort(hits[module == m, 0])) for m in range(400)])
    short = np.log10(waits[waits < 30e3] * 1e-9)  # nearly all followers, few chance neighbours
    assert np.median(short) == pytest.approx(-6.0, abs=0.1)
    assert hits[:, 1].mean() == pytest.approx(1.0, abs=0.01)


def test_saturation_bends_a_steady_current():
    step = 0.05
    for current in (1.0, 31.0, 300.0, 1e5):
        hits = np.stack([np.arange(0.0, 100.0, step), np.full(2000, current * step)], axis=1)
        found = np.empty(2000)
        modules.saturate(hits, found)
        middle = slice(800, 1200)
        np.testing.assert_allclose(found[middle], current, rtol=2e-3)
        np.testing.assert_allclose(hits[middle, 1] / step, current / (1.0 + current / 93.0), rtol=2e-3)


def recorded(*hits_of_modules):
    """Pulses of hits [(time, charge), ...] of each module."""
    at = np.concatenate([[0], np.cumsum([len(one) for one in hits_of_modules])]).astype(np.int64)
    hits = np.array([hit for one in hits_of_modules for hit in one], dtype=float).reshape(-1, 2)
    return modules.pulses(hits, at)


def test_hits_within_three_nanoseconds_are_one_pulse():
    found, bright, start = recorded([(104.0, 1.0), (100.0, 1.0), (102.0, 3.0)], [], [(50.0, 0.02)], [(9.0, 900.0)])
    assert start.tolist() == [0, 2, 2, 2, 3]  # a pulse below 0.1 is not recorded
    assert found[0, 0] == pytest.approx(101.5, abs=0.1)
    assert found[:2, 1] == pytest.approx([4.0, 1.0], rel=0.02)
    assert found[2, 1] == pytest.approx(900.0 / (1.0 + 900.0 / 4.4 / 93.0), rel=1e-9)
    assert bright.tolist() == [False, False, True]


def trigger(hits):
    """Trigger time of {(string, number): time} in an array of 4 strings of 20 modules."""
    string, number = np.repeat(np.arange(4), 20), np.tile(np.arange(20), 4)
    found, _, start = recorded(*([(hits[key], 1.0)] if key in hits else [] for key in zip(string, number, strict=True)))
    return trigger_kernels.majority(
        trigger_kernels.launches(found, start, trigger_kernels.neighbours(string, number))[1]
    )[0]


def test_eight_modules_in_coincidence_trigger():
    """Four pairs of neighbours, one string each, 1.6 us from the first to the last but one."""
    pattern = {(s, n): 1000.0 + 500.0 * s + 100.0 * n for s in range(4) for n in (4, 5)}
    assert trigger(pattern) == 1400.0
    far = {(s, n if n == 4 else 6): t for (s, n), t in pattern.items()}
    assert trigger(far) == 1400.0  # the second neighbour counts
    assert np.isnan(trigger({(s, n if n == 4 else 7): t for (s, n), t in pattern.items()}))  # the third does not
    seven = {(0, 6): 1600.0, **{key: time for key, time in pattern.items() if key[0] < 3}}
    assert np.isnan(trigger(seven))
    assert trigger({(0, 3): 1300.0, **seven}) == 1300.0
    slow = {(s, n): t + 1001.0 * (n == 5) for (s, n), t in pattern.items()}
    assert np.isnan(trigger(slow))  # neighbours more than a microsecond apart
    assert trigger({(s, n): 1000.0 + 1666.0 * s + (n == 5) for s in range(4) for n in (4, 5)}) == 1000.0  # 4,999 ns
    assert np.isnan(trigger({(s, n): 1000.0 + 1667.0 * s + (n == 5) for s in range(4) for n in (4, 5)}))  # 5,002 ns


def flat(*events):
    """Pulses of one photoelectron of events {module: time}."""
    rows = [row for event in events for row in sorted(event.items())]
    start = np.concatenate([[0], np.cumsum([len(event) for event in events])]).astype(np.int64)
    module, time = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.float32)
    no = np.zeros(len(events), dtype=np.bool_)
    return Pulses(module, time, np.ones_like(time), np.zeros(len(time), np.bool_), start, no, np.full(len(no), np.nan))


def test_volume_and_string_triggers_by_hand():
    """Modules of the small array: 20 on a string 17 m apart, 4 x 17 m is more than half the height of the cylinder."""
    row = {n: 100.0 * n for n in (2, 3, 4, 7, 8)}  # 5 of 7
    wide = {n: 100.0 * n for n in (2, 3, 4, 8, 9)}
    slow = {n: 400.0 * n for n in (2, 3, 4, 5, 6)}  # 1,600 ns
    block = {5: 0.0, 6: 100.0, 25: 200.0, 26: 300.0}  # two strings 125 m apart
    apart = {5: 0.0, 6: 100.0, 45: 200.0, 46: 300.0}  # 250 m
    eight = {20 * s + n: 900.0 * s + n for s in range(4) for n in (3, 4)}
    found = triggers(small_array(), flat(row, wide, slow, block, apart, eight))
    assert found.string.tolist() == [True, False, False, False, False, False]
    assert found.volume.tolist() == [False, False, False, True, False, True]
    assert found.majority.tolist() == [False, False, False, False, False, True]


def test_a_module_counts_once_in_its_record():
    one = {(0, n): 100.0 * n for n in range(7)}
    assert np.isnan(trigger(one))
    string, number = np.zeros(7, np.int64), np.arange(7)
    found, _, start = recorded(*([(100.0 * n, 1.0), (100.0 * n + 900.0, 1.0)] for n in range(7)))
    module, _ = trigger_kernels.launches(found, start, trigger_kernels.neighbours(string, number))
    assert sorted(module) == list(range(7))


def test_read_out_is_about_the_trigger():
    detector = small_array()
    early = (np.array([0.0, 0.0, 40.0]), np.array([0.0, 0.0, -1.0]), -9000.0, 12870.0 * 30.0, False)
    pulses = simulate_events(detector, TABLE, particles(light([early, cascade(3e4)])), 4)
    assert pulses.triggered.all()
    assert pulses.time.min() > pulses.trigger_time[0] - 4000.0
    dim = simulate_events(detector, TABLE, particles(light([cascade(1.0)])), 4)
    assert not dim.triggered.any()
    assert np.isnan(dim.trigger_time).all()


def test_what_does_not_fit_is_refused():
    of = particles(light([cascade(1.0)]))
    with pytest.raises(InputError, match="seed of 0 or more"):
        simulate_events(small_array(), TABLE, of, -1)
    with pytest.raises(InputError, match="no module of 'small' is alive"):
        event_charges(small_array(dead=range(180)), TABLE, of.light)
    uneven = dataclasses.replace(TABLE, radius=TABLE.radius + 1.0)
    with pytest.raises(InputError, match="even steps in ln r"):
        event_charges(small_array(), uneven, of.light)
