"""The hybrid reconstruction: its symmetries, slopes and likelihood, on a table written down by hand.

What it reaches with the real table: ``validation/hybrid_medians.py``.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nuanalysis import detector as d
from nuanalysis import learn, reconstruct
from nuanalysis.detector._photons import table_cosine, table_radius
from nuanalysis.detector._table import RATIOS
from nuanalysis.errors import InputError
from nuanalysis.learn._hybrid import thinned
from nuanalysis.learn._light_network import LightNetwork
from nuanalysis.learn._likelihood_kernels import charge_term
from nuanalysis.store import read_object

WEIGHTS = Path(learn.__file__).parent / "weights" / "light-cascade.npz"
LAYERS = np.array([-600.0, -100.0, -50.0, 100.0, 600.0])


def layered(dusty: float = 12.0) -> d.Ice:
    scattering = np.array([25.0, 25.0, dusty, 25.0, 30.0])
    return d.Ice("five layers", "made up", LAYERS, scattering, 3.0 * scattering)


@pytest.fixture(scope="module")
def table() -> d.LightTable:
    """Light that falls as it should and is later farther away, from closed forms."""
    r, c, ratio = table_radius()[:, None], table_cosine(), np.array(RATIOS)[:, None, None]
    slope = d.tail_slope(np.array(RATIOS))[:, None, None]
    log_fluence = -np.log(4.0 * np.pi) - 2.0 * np.log(r) + np.log1p(r) - slope * r + 1.5 * c * np.exp(-r / 8.0)
    direction = np.broadcast_to(1.0 / (1.0 + 0.3 * r) * (0.8 + 0.2 * c), log_fluence.shape)
    late = -np.log1p(-d.probabilities() * 0.999)
    delay = (0.02 * r + 0.15 * r**1.5 * (1.2 - 0.4 * c))[..., None] * late * (0.7 + 0.1 * ratio[..., None])
    both = [np.stack([one, one]).astype(np.float32) for one in (log_fluence, direction, delay)]
    return d.LightTable(r[:, 0], c, np.array(RATIOS), *both, photons=1, seed=0)


@pytest.fixture(scope="module")
def array() -> d.Detector:
    """19 strings of 30 modules, one of them dead and one brighter."""
    rows = [(a, b) for a in range(-2, 3) for b in range(-2, 3) if abs(a + b) <= 2]
    x, y = np.array([(125.0 * (a + 0.5 * b), 125.0 * 0.866 * b) for a, b in rows]).T
    z = np.arange(30) * -17.0 + 250.0
    position = np.stack([np.repeat(x, 30), np.repeat(y, 30), np.tile(z, 19)], axis=-1)
    efficiency = np.ones(570)
    efficiency[[5, 300]] = 0.0, 1.35
    string, number = np.repeat(np.arange(1, 20), 30), np.tile(np.arange(1, 31), 19)
    return d.Detector("small", string, number, position, efficiency, layered())


@pytest.fixture(scope="module")
def light(table, array) -> learn.TableLight:
    return learn.table_light(table, array.ice)


def untrained(rng, kind=np.float64) -> LightNetwork:
    sizes = (11, 24, 24, 16)
    weights = [rng.normal(0.0, a**-0.5, (a, b)).astype(kind) for a, b in pairwise(sizes)]
    biases = [rng.normal(0.0, 0.5, b).astype(kind) for b in sizes[1:]]
    return LightNetwork(tuple(weights), tuple(biases), "untrained")


def some_pairs(rng, n) -> d.Pairs:
    distance, source = np.exp(rng.uniform(np.log(2.0), np.log(500.0), n)), rng.uniform(-400.0, 400.0, n)
    return d.Pairs(
        np.zeros(n, bool), distance, source, source + distance * rng.uniform(-1, 1, n), rng.uniform(-0.99, 0.99, n)
    )


def drawn(array, light, at, along, rng) -> learn.EventPulses:
    """An event by a slow twin: Poisson charges and delays from the detector's own look-ups, one source at a time."""
    module, time = [], []
    alive = np.flatnonzero(array.alive)
    for offset, share in zip(along.offset, along.share, strict=True):
        source = at.position + offset * at.direction
        of = d.pairs(
            np.tile(source, (len(alive), 1)), np.tile(at.direction, (len(alive), 1)), array.position[alive], cone=False
        )
        photons = np.full(len(alive), at.energy * share * 2450.0 * 5.254)
        mean = d.expected_charge(light.table, light.ice, of, photons) * array.efficiency[alive]
        which = np.repeat(np.arange(len(alive)), rng.poisson(mean))
        rows = d.Pairs(*(one[which] for one in (of.cone, of.distance, of.source, of.module, of.cosine)))
        late = d.delay_quantile(light.table, light.ice, rows, rng.random(len(which)))
        started = at.time + offset / d.SPEED_OF_LIGHT
        module.append(alive[which])
        time.append(started + rows.distance / d.LIGHT_SPEED + late + rng.normal(0.0, 2.0, len(which)))
    noisy = rng.choice(alive, 3)
    module, time = np.concatenate([*module, noisy]), np.concatenate([*time, at.time + rng.uniform(-1e3, 3e3, 3)])
    order = np.lexsort((time, module))
    return learn.EventPulses(module[order], time[order], np.ones(len(order)), np.zeros(len(order), bool))


def some_event(array, light, seed, energy=20e3):
    rng = np.random.default_rng(seed)
    place = np.append(rng.uniform(-120.0, 120.0, 2), rng.uniform(-200.0, 200.0))
    at = learn.cascade(place, rng.uniform(-100.0, 100.0), energy, rng.normal(size=3))
    along = learn.profile(energy)
    return at, along, drawn(array, light, at, along, rng)


# --- light


@pytest.mark.slow
def test_table_light_is_the_detectors_look_up(light):
    rng = np.random.default_rng(1)
    of = some_pairs(rng, 2000)
    expected = d.expected_charge(light.table, light.ice, of, np.ones(2000))
    seen = np.exp(light.look(of, np.empty(0, np.int64), np.empty(0)).log_yield)
    bright = d.acceptance((of.module - of.source) / of.distance, 0.5) > 0.2  # elsewhere the floor of 1e-3 is seen
    np.testing.assert_allclose(seen[bright], expected[bright], rtol=0.02)
    assert np.median(np.abs(seen / expected - 1.0)) < 0.005
    # The densities: all the light, half of it before the median.
    for i in np.flatnonzero(of.distance > 40.0)[:5]:  # nearer, jitter moves the median
        at = np.linspace(-60.0, 30_000.0, 300_001)
        density = light.look(of, np.full(len(at), i), at).density
        middle = d.delay_quantile(
            light.table, light.ice, d.Pairs(*(one[i : i + 1] for one in parts(of))), np.array([0.5])
        )
        assert density.sum() * 0.1002 == pytest.approx(1.0, abs=5e-3)
        assert density[at < middle[0]].sum() * 0.1002 == pytest.approx(0.5, abs=0.02)


def parts(of):
    return of.cone, of.distance, of.source, of.module, of.cosine


@pytest.mark.parametrize("name", ["table", "network"])
def test_slopes_of_light_are_those_of_finite_differences(light, name):
    rng = np.random.default_rng(2)
    model = light if name == "table" else learn.NetworkLight(untrained(rng), light.ice)
    of, n = some_pairs(rng, 300), 300
    at, delay = np.repeat(np.arange(n), 3), np.exp(rng.uniform(0.0, 6.0, 3 * n))
    a, b = rng.normal(size=n), rng.normal(size=3 * n)
    slopes = model.look(of, at, delay).pull(a, b)

    def total(pairs, delay):
        look = model.look(pairs, at, delay)
        return a * look.log_yield + np.bincount(at, b * look.density, n)

    for field in ("distance", "cosine", "source"):
        step = 1e-6 * np.maximum(np.abs(getattr(of, field)), 1.0)
        up, down = (replace(of, **{field: getattr(of, field) + s * step}) for s in (1, -1))
        numeric, exact = (total(up, delay) - total(down, delay)) / (2 * step), getattr(slopes, field)
        # A few pairs cross the border of a cell of the table or of the ice within the step.
        assert np.quantile(np.abs(numeric - exact) / (np.abs(exact) + 1e-3), 0.98) < 1e-5
    numeric = b * (model.look(of, at, delay + 1e-4).density - model.look(of, at, delay - 1e-4).density) / 2e-4
    np.testing.assert_allclose(slopes.delay, numeric, atol=1e-6 * np.abs(numeric).max())


def test_shipped_network_is_the_same_in_jax():
    """200 pairs in even ice: outputs, and slopes against automatic ones, to 1e-5."""
    jax = pytest.importorskip("jax")
    network = read_object(WEIGHTS)
    assert WEIGHTS.stat().st_size < 200_000
    double = LightNetwork(
        *(tuple(x.astype(np.float64) for x in y) for y in (network.weights, network.biases)), "double"
    )
    ice = d.ice_grid(d.Ice("even", "made up", LAYERS, np.full(5, 25.0), np.full(5, 80.0)))
    of = some_pairs(np.random.default_rng(3), 200)
    fall = np.sqrt(3.0 / 80.0 * (1.0 / 80.0 + 1.0 / 25.0))

    def log_yield(distance, cosine, source, module):
        np_ = jax.numpy
        inputs = np_.stack([
            np_.log(distance) - 4.0, distance / 150.0 - 1.0, cosine, cosine**2, cosine**3, (module - source) / distance,
            source / 400.0, module / 400.0, np_.sin((source + module) / 120.0), np_.log(distance / 25.0),
            0.3 * distance * fall,
        ], axis=-1)  # fmt: skip
        x = inputs
        for w, b in zip(double.weights[:-1], double.biases[:-1], strict=True):
            x = jax.nn.silu(x @ w + b)
        return (x @ double.weights[-1] + double.biases[-1])[0] - 2.0 * np_.log(distance) - distance * fall - 2.0

    with jax.enable_x64(True):
        both = jax.vmap(jax.value_and_grad(log_yield, argnums=(0, 1, 2)))
        value, slopes = both(of.distance, of.cosine, of.source, of.module)
    for kind, tolerance in ((double, 1e-9), (network, 1e-5)):
        look = learn.NetworkLight(kind, ice).look(of, np.empty(0, np.int64), np.empty(0))
        np.testing.assert_allclose(look.log_yield, value, rtol=tolerance)
        found = look.pull(np.ones(200), np.empty(0))
        for own, other in zip((found.distance, found.cosine, found.source), slopes, strict=True):
            np.testing.assert_allclose(own, other, atol=tolerance * 10.0 * float(np.abs(other).max()))


def test_a_small_network_learns_the_table(table, array, light):
    pytest.importorskip("optax")
    from nuanalysis.learn._light_training import Course, lesson, train_light

    made = lesson(light.table, light.ice, np.random.default_rng(99), 4000)
    course = Course(seed=4, batches=120, batch=1024, hidden=(32, 32), rate=1e-2)
    trained = learn.network_light(train_light(light.table, light.ice, course), array.ice)
    at = np.repeat(np.arange(4000), 8)
    look = trained.look(made.pairs, at, made.delay.ravel())
    far = (made.pairs.distance > 30.0) & (made.log_yield > -19.0)
    assert np.abs(look.log_yield - made.log_yield)[far].mean() < 0.1  # before: above 1
    # Delays: the mean log density is within 0.2 of that of the law they were drawn from, smooth as it is kept.
    own = light.look(made.pairs, at, made.delay.ravel()).density.reshape(-1, 8)
    loss = (np.log(own) - np.log(look.density.reshape(-1, 8)))[far].mean()
    assert loss < 0.2


# --- symmetries, to 1e-5


def log_l(observed, at, light, along):
    return learn.log_likelihood(observed, at, light, along).log_likelihood


@pytest.mark.parametrize("name", ["table", "network"])
def test_symmetries(array, light, name):
    model = light if name == "table" else learn.NetworkLight(untrained(np.random.default_rng(5), np.float32), light.ice)
    at, along, seen = some_event(array, light, 6)
    observed = learn.observe(array, seen, at.position)
    value = log_l(observed, at, model, along)
    later = replace(observed, time=observed.time + 1234.5)
    assert log_l(later, replace(at, time=at.time + 1234.5), model, along) == pytest.approx(value, rel=1e-5)
    shift = np.array([300.0, -70.0, 0.0])
    aside = replace(observed, position=observed.position + shift)
    there = replace(at, position=at.position + shift)
    assert log_l(aside, there, model, along) == pytest.approx(value, rel=1e-5)
    turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    turned = replace(at, position=turn @ at.position, direction=turn @ at.direction)
    assert log_l(replace(observed, position=observed.position @ turn.T), turned, model, along) == pytest.approx(
        value, rel=1e-5
    )
    assert abs(log_l(replace(observed, position=observed.position @ turn.T), at, model, along) - value) > 1.0
    charge = learn.expected_charges(observed, at, model, along)
    twice = learn.expected_charges(observed, replace(at, log_energy=at.log_energy + np.log(2.0)), model, along)
    np.testing.assert_allclose(twice, 2.0 * charge, rtol=1e-5)
    # Superposition: a cascade is the sum of its parts, and two of half the light in one place are one.
    single = [
        replace(along, offset=along.offset[k : k + 1], share=along.share[k : k + 1]) for k in range(len(along.share))
    ]
    sums = sum(learn.expected_charges(observed, at, model, one) for one in single)
    np.testing.assert_allclose(sums, charge, rtol=1e-5)
    halves = learn.Profile(np.zeros(2), np.full(2, 0.5), 0.0)
    assert log_l(observed, at, model, halves) == pytest.approx(
        log_l(observed, at, model, learn.point_profile()), rel=1e-5
    )


# --- likelihood


@pytest.mark.parametrize("name", ["table", "network"])
def test_slopes_of_the_likelihood_are_those_of_finite_differences(array, light, name):
    model = light if name == "table" else learn.NetworkLight(untrained(np.random.default_rng(7)), light.ice)
    at, along, seen = some_event(array, light, 8)
    seen = replace(seen, saturated=seen.module == seen.module[np.argmax(np.bincount(seen.module)[seen.module])])
    observed = learn.observe(array, seen, at.position)
    assert observed.censored.any()
    at = learn.moved(at, np.array([3.0, -4.0, 2.0, 5.0, 0.2, 0.1, -0.2]))
    slope = learn.log_likelihood(observed, at, model, along).slope
    for i, step in enumerate((1e-5, 1e-5, 1e-5, 1e-4, 1e-6, 1e-6, 1e-6)):
        one = np.eye(7)[i] * step
        numeric = log_l(observed, learn.moved(at, one), model, along) - log_l(
            observed, learn.moved(at, -one), model, along
        )
        assert numeric / (2 * step) == pytest.approx(slope[i], rel=2e-4, abs=1e-5 * np.abs(slope).max())


def test_charges_follow_the_negative_binomial_and_its_limits():
    for charge, variance in ((3, 0.04), (40, 0.01), (0, 0.09)):
        r = 1.0 / variance
        for mean, other in ((5.0, 2.0), (30.0, 60.0)):
            exact = stats.nbinom.logpmf(charge, r, r / (r + mean)) - stats.nbinom.logpmf(charge, r, r / (r + other))
            found = (
                charge_term(float(charge), mean, variance, False)[0]
                - charge_term(float(charge), other, variance, False)[0]
            )
            assert found == pytest.approx(exact, abs=1e-9)
    assert charge_term(4.0, 3.0, 1e-9, False)[0] == pytest.approx(charge_term(4.0, 3.0, 0.0, False)[0], abs=1e-6)
    for charge in (80.0, 300.0, 2000.0):
        spread = np.sqrt(100.0 + 0.01 * 1e4)
        exact = stats.norm.logsf((charge - 100.0) / spread)
        assert charge_term(charge, 100.0, 0.01, True)[0] == pytest.approx(exact, rel=1e-3)


def test_moving_a_cascade_carries_its_basis_along():
    at = learn.cascade(np.zeros(3), 0.0, 1e4, np.array([0.3, -0.4, 0.5]))
    for step in np.random.default_rng(9).normal(0.0, 0.7, (20, 7)):
        at = learn.moved(at, step)
        frame = np.vstack([at.direction, at.basis])
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    with pytest.raises(InputError, match="above 0"):
        learn.cascade(np.zeros(3), 0.0, -1.0, np.array([0.0, 0.0, 1.0]))


# --- what is observed


def test_observed_modules_and_pulses(array, light):
    at, _, seen = some_event(array, light, 10, energy=200e3)
    excluded = np.zeros(570, bool)
    excluded[seen.module[0]] = True
    observed = learn.observe(array, seen, at.position, excluded=excluded)
    assert not excluded[observed.module].any()
    assert array.alive[observed.module].all()
    distance = np.linalg.norm(array.position - at.position, axis=1)
    dark = array.alive & ~excluded & (np.bincount(seen.module, minlength=570) == 0) & (distance < 450.0)
    # One in four of the dark modules far away, each for four.
    unlit = observed.charge == 0.0
    assert observed.weight[unlit].sum() == pytest.approx(dark.sum(), rel=0.15)
    assert set(observed.weight[unlit]) <= {1.0, 4.0}
    assert observed.charge.sum() == (~excluded[seen.module] & (distance[seen.module] < 450.0)).sum()
    counted = np.bincount(observed.of, observed.trust, len(observed.charge))
    np.testing.assert_allclose(counted, np.minimum(observed.charge, 25.0), rtol=1e-9)
    assert np.bincount(observed.of).max() == 12
    with pytest.raises(InputError, match="has light"):
        learn.observe(array, seen, np.array([5000.0, 0.0, 0.0]))


def test_a_thinned_event_stands_for_the_whole(array, light):
    at, _, seen = some_event(array, light, 11, energy=100e3)
    observed = learn.observe(array, seen, at.position)
    fewer = thinned(observed, most=40)
    assert (fewer.charge > 0.0).sum() <= 40 < (observed.charge > 0.0).sum()
    assert fewer.weight.sum() == pytest.approx(observed.weight.sum(), rel=0.1)
    assert (fewer.weight * fewer.charge).sum() == pytest.approx(observed.charge.sum(), rel=0.5)
    kept = np.isin(observed.module, fewer.module)[observed.of]
    share = fewer.trust.sum() / observed.trust[kept].sum()
    assert share == pytest.approx(-(-(observed.charge > 0.0).sum() // 40), rel=1e-9)


def test_pulses_far_in_time_are_left_out():
    time = np.array([-5000.0, 0.0, 10.0, 3500.0, 20.0, 9000.0], np.float32)
    pulses = d.Pulses(
        np.array([0, 1, 1, 1, 2, 2]), time, np.ones(6, np.float32), np.zeros(6, bool), np.array([0, 6, 6]),
        np.ones(2, bool), np.zeros(2),
    )  # fmt: skip
    trust = learn.Trust(before=1500.0, after=4500.0, window=3000.0)
    shifted = replace(pulses, charge=np.array([0.1, 1, 1, 1, 1, 1], np.float32))
    assert learn.event_pulses(shifted, 0, trust).time.tolist() == [0.0, 10.0, 20.0]
    with pytest.raises(InputError, match="no pulses"):
        learn.event_pulses(pulses, 1)


# --- the search, the map, coverage


def test_the_minimum_is_as_good_as_one_started_at_the_truth(array, light):
    worse, angles, converged = [], [], []
    for seed in range(20, 28):
        at, _, seen = some_event(array, light, seed)
        start = learn.start_at(array, seen, at.position + 10.0, at.energy, at.direction[::-1]) if seed % 2 else None
        fit = learn.reconstruct(array, seen, light, start=start)
        problem = learn.Problem(learn.observe(array, seen, fit.maximum), light, learn.profile(fit.energy))
        other, own = learn.maximise(problem, at), learn.maximise(problem, fit.top)
        worse.append(other.log_likelihood - own.log_likelihood)
        angles.append(np.degrees(np.arccos(np.clip(fit.direction @ at.direction, -1.0, 1.0))))
        converged.append(fit.converged)
        assert abs(np.log(fit.energy / at.energy)) < 0.5
    assert np.mean(np.array(worse) < 1.0) > 0.85  # of 8: one may be worse
    assert np.median(angles) < 15.0
    assert np.mean(converged) > 0.85


def test_the_deficit_is_that_of_a_search_along_the_direction(array, light):
    at, along, seen = some_event(array, light, 30)
    problem = learn.Problem(learn.observe(array, seen, at.position), light, along)
    best = learn.maximise(problem, at)
    assert learn.deficit_at(problem, best.at, best.at.direction) < 0.1
    aside = best.at.direction + 0.3 * best.at.basis[0]
    # By the metric of the Fisher information, with place, time and energy fitted anew.
    covariance = np.linalg.inv(problem.information(best.at))
    expected = np.arctan(0.3) ** 2 / covariance[5, 5]
    found = learn.deficit_at(problem, best.at, aside / np.linalg.norm(aside))
    assert found == pytest.approx(expected, rel=0.7)


def test_calibrated_contours_hold_what_they_should():
    rng = np.random.default_rng(31)
    energy, contained = rng.uniform(3.0, 6.0, 8000), rng.random(8000) < 0.5
    deficit = rng.chisquare(2, 8000) * (1.0 + contained) * (1.0 + (energy > 5.0))
    edges = np.arange(3.0, 6.1)
    half = np.arange(8000) < 4000
    critical = learn.calibrate(deficit[half], contained[half], energy[half], edges)
    values = learn.critical_values(critical, contained[~half], energy[~half])
    for k, share in enumerate((0.5, 0.9)):
        found = reconstruct.coverage(deficit[~half], values[:, k])
        assert abs(found.share - share) < 4.0 * found.error
    assert critical.value[1, 2, 0] == pytest.approx(4.0 * reconstruct.WILKS.half, rel=0.15)
    few = learn.calibrate(deficit[:10], contained[:10], energy[:10], edges)
    assert np.unique(few.value[..., 1]) == pytest.approx([reconstruct.WILKS.ninety])
    with pytest.raises(InputError, match="as many"):
        learn.calibrate(deficit, contained[:5], energy, edges)
