"""From events to Terms: the slow twin, exact identities, kernels against plain loops, and every guard."""

from dataclasses import replace

import numpy as np
import pytest
import slow_twin
from small_problem import (
    BINNING,
    SOURCES,
    catalogue,
    plane,
    sample,
    seen_alike,
    stack_hypothesis,
    take,
    template_hypothesis,
)

from nuanalysis.errors import InputError
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, Where, expected_events, kernels, prepare, space_nodes, terms
from nuanalysis.model._background import background, counted, fine_bin, grouping, row_groups, smoother
from nuanalysis.model._place import place
from nuanalysis.model._space import exact_stack
from nuanalysis.response import energy_density
from nuanalysis.sky.records import PointSource, PowerLaw
from nuanalysis.sphere import regrade

NSIDE = 16


@pytest.fixture(scope="module")
def few():
    return sample(300, nside=NSIDE)


@pytest.fixture(scope="module")
def others():
    """A sample twice as long as its number of events says: its share of the signal is not its share of the events."""
    part = sample(200, nside=NSIDE, seed=77, name="others")
    return replace(part, events=part.events.assign_attrs(livetime_s=2 * part.livetime))


def close(found, wanted, rel=2e-4):
    return np.allclose(found, wanted, rtol=rel, atol=rel * np.abs(wanted).max())


# --- the slow twin -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_x_of_a_template_is_that_of_the_slow_twin(few):
    wanted = slow_twin.template_x(few, regrade(plane().density, NSIDE), 2.7)
    prepared = prepare(template_hypothesis(), (few,))
    assert terms(prepared).n_events == 300
    assert sorted(prepared.parts[0].active) == list(range(300))
    # The package integrates power laws by midpoints (1e-4) and keeps maps in single precision.
    assert close(terms(prepared).x(0), wanted[prepared.parts[0].active])


@pytest.mark.slow
def test_x_of_a_stack_is_that_of_the_slow_twin_at_a_fixed_and_at_free_indices(few):
    mixtures = {1.0: {1.0: 1.0}, 2.6: {2.0: 0.4, 3.0: 0.6}, 2.7: {2.7: 1.0}}
    wanted = slow_twin.stack_x(few, SOURCES, mixtures)
    fixed = prepare(stack_hypothesis(free=False), (few,))
    assert close(terms(fixed).x(0), wanted[2.7][fixed.parts[0].active])
    left_out = np.setdiff1d(np.arange(300), fixed.parts[0].active)
    assert np.abs(wanted[2.7][left_out]).max(initial=0.0) < 1e-12
    free = prepare(stack_hypothesis(free=True), (few,))
    assert free.index[[0, 8, -1]] == pytest.approx([1.0, 2.6, 4.0])
    assert close(terms(free).x(8), wanted[2.6][free.parts[0].active])
    assert close(terms(free).x(0), wanted[1.0][free.parts[0].active])


@pytest.mark.slow
def test_x_of_two_samples_carries_the_share_of_the_signal_in_each(few, others):
    joint = prepare(template_hypothesis(), (few, others))
    both = [slow_twin.template_x(s, regrade(plane().density, NSIDE), 2.7) for s in (few, others)]
    # One response: signal divides as livetime, n_j / N_j = n f_j / N_j.
    wanted = [x[part.active] * f * 500 / len(x) for x, f, part in zip(both, (3 / 7, 4 / 7), joint.parts, strict=True)]
    assert terms(joint).n_events == 500
    assert close(terms(joint).x(0), np.concatenate(wanted))


# --- identities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hypothesis", [template_hypothesis(), stack_hypothesis(free=True)], ids=["template", "stack"])
def test_the_mean_over_right_ascension_of_signal_minus_its_mean_is_zero(few, hypothesis):
    there = prepare(hypothesis, (few,)).parts[0].lookup
    n = there.mean.shape[1]
    if hasattr(there, "count"):
        counts = there.count.astype(int)
        at = [np.minimum(j + 0.5, counts - 0.5) / counts for j in range(64)]
        mean = sum(np.where(j < counts, there.difference_at(u), 0.0) for j, u in enumerate(at)) / counts
        tolerance = 1e-12
    else:
        # The trapezoid over a period is exact once the step is well below the kernel (1.2 deg).
        mean = np.mean([there.difference_at(np.full(n, u)) for u in (np.arange(2000) + 0.5) / 2000], axis=0)
        tolerance = 1e-8
    assert np.abs(mean).max() < tolerance * there.mean.max()


def test_no_density_on_a_ring_exceeds_the_ceiling_that_tilts_rely_on(few):
    for hypothesis in (template_hypothesis(), stack_hypothesis(free=True)):
        there = prepare(hypothesis, (few,)).parts[0].lookup
        for u in np.linspace(0, 1, 400, endpoint=False):
            density = there.difference_at(np.full(there.mean.shape[1], u)) + there.mean
            assert (density <= there.ceiling * (1 + 1e-6)).all()


def test_data_are_read_where_a_scramble_to_the_same_right_ascension_is_read(few):
    for hypothesis in (template_hypothesis(), stack_hypothesis(free=False)):
        prepared = prepare(hypothesis, (few,))
        part = prepared.parts[0]
        ra = few.array("right_ascension")[part.active]
        u = part.lookup.position(ra)
        assert ((u >= 0) & (u < 1)).all()
        # u counts from the first pixel of the ring, whose centre lies half a pixel or none from right ascension 0.
        step = 1.0 / getattr(part.lookup, "count", np.inf)
        assert (np.abs((u - ra / (2 * np.pi) + 0.5) % 1 - 0.5) <= 1.01 * step + 1e-12).all()


def test_uniform_right_ascensions_fall_on_positions_as_scrambles_do():
    events = sample(3000)
    there = prepare(template_hypothesis(), (events,)).parts[0].lookup
    rng = np.random.default_rng(8)
    means = [there.difference_at(there.position(rng.uniform(0, 2 * np.pi, 3000)))[0] for _ in range(200)]
    drawn = [there.difference_at(rng.random(3000))[0] for _ in range(200)]
    error = np.std(drawn) / np.sqrt(600_000)
    assert abs(np.mean(means)) < 4 * error
    assert np.std(means) == pytest.approx(np.std(drawn), rel=0.02)


def test_the_order_of_events_does_not_matter(few):
    shuffled = replace(few, events=few.events.isel(event=np.random.default_rng(1).permutation(300)))
    for hypothesis in (template_hypothesis(), stack_hypothesis(free=True)):
        one, other = (maximise(terms(prepare(hypothesis, (s,)))) for s in (few, shuffled))
        assert other.ts == pytest.approx(one.ts, abs=1e-8)
        assert other.n_signal == pytest.approx(one.n_signal, rel=1e-6)


def test_the_same_sample_twice_doubles_n_and_ts(few):
    for hypothesis in (template_hypothesis(), stack_hypothesis(free=False)):
        once, twice = (terms(prepare(hypothesis, samples)) for samples in ((few,), (few, few)))
        assert twice.x(0) == pytest.approx(np.concatenate([once.x(0), once.x(0)]), rel=1e-12)
        assert maximise(twice).ts == pytest.approx(2 * maximise(once).ts, rel=1e-9, abs=1e-12)
        assert maximise(twice).n_signal == pytest.approx(2 * maximise(once).n_signal, rel=1e-6)


def test_a_source_counted_twice_is_the_source_itself(few):
    alone = terms(prepare(stack_hypothesis(free=True, sources=SOURCES[:1]), (few,)))
    double = terms(prepare(stack_hypothesis(free=True, sources=SOURCES[:1] * 2), (few,)))
    for node in (0, 7, 15):
        assert double.x(node) == pytest.approx(alone.x(node), rel=1e-12)


def test_halves_of_a_sample_give_the_joint_formula():
    whole = sample(24_000)
    halves = []
    for k in range(2):
        events = take(whole.events, np.arange(k, 24_000, 2)).assign_attrs(livetime_s=whole.livetime / 2)
        halves.append(replace(whole, events=events, name=f"half {k}"))
    joint = prepare(template_hypothesis(), tuple(halves))
    assert [p.share[0] for p in joint.parts] == pytest.approx([0.5, 0.5])
    alone = [terms(prepare(template_hypothesis(), (h,))).x(0) for h in halves]
    assert terms(joint).x(0) == pytest.approx(np.concatenate(alone), rel=1e-12)
    # Against the whole sample only the noise of the background estimate differs.
    spread = [
        24_000 / np.sqrt((x**2).sum())
        for x in (terms(joint).x(0), terms(prepare(template_hypothesis(), (whole,))).x(0))
    ]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)


def test_expected_events_are_acceptance_times_livetime(few):
    tables = slow_twin.Tables(few.response)
    source = Hypothesis("one", catalogue(SOURCES[:1]), 2.5, False)
    wanted = tables.acceptance(np.sin(SOURCES[0].declination), 2.5) * few.livetime
    assert expected_events(source, few, PowerLaw(2.5)) == pytest.approx(wanted, rel=2e-4)
    twice = replace(few, events=few.events.assign_attrs(livetime_s=2 * few.livetime))
    template = template_hypothesis()
    assert expected_events(template, twice, PowerLaw(2.7)) == pytest.approx(
        2 * expected_events(template, few, PowerLaw(2.7)), rel=1e-12
    )


def test_spatial_shapes_are_mixed_linearly_between_whole_indices():
    shapes, mixing = space_nodes(stack_hypothesis(free=True))
    nodes = np.arange(1.0, 4.01, 0.2)
    assert mixing @ shapes == pytest.approx(nodes)
    assert mixing.sum(axis=1) == pytest.approx(np.ones(16))
    assert ((mixing > 0).sum(axis=1) <= 2).all()


# --- background --------------------------------------------------------------------------------------------------


def test_the_declination_density_integrates_to_one_and_follows_the_events():
    events = sample(3000)
    estimate = prepare(stack_hypothesis(free=False), (events,)).parts[0].base
    assert estimate.direction.mean() * 4 * np.pi == pytest.approx(1.0, abs=1e-12)
    fine = (np.arange(400) + 0.5) / 200 - 1
    for low, high in ((-1.0, -0.3), (-0.3, 0.3), (0.3, 1.0)):
        share = estimate.direction[(fine > low) & (fine < high)].sum() * 4 * np.pi / 400
        sin_dec = np.sin(events.array("declination"))
        assert share == pytest.approx(((sin_dec > low) & (sin_dec < high)).mean(), abs=0.03)


def test_a_cut_in_declination_does_not_thin_the_density_at_its_edge():
    cut = tuple(np.arcsin([-0.5, 0.1]))
    sin_dec = np.random.default_rng(3).uniform(-0.5, 0.1, 200_000)
    row = np.searchsorted(BINNING.sin_dec_edges[1:-1], sin_dec, side="right")
    groups = grouping(row, np.zeros(len(row), dtype=np.int64), 1, BINNING)
    where = Where(fine_bin(sin_dec), groups.group[row, 0])
    density = background(counted(where, groups), groups, smoother(BINNING, cut)).direction
    fine = (np.arange(400) + 0.5) / 200 - 1
    inside = (fine > -0.5) & (fine < 0.1)
    assert density[inside] == pytest.approx(np.full(inside.sum(), 1 / (2 * np.pi * 0.6)), rel=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_merged_bins_hold_enough_events_and_merge_towards_the_peak(seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(20 * np.exp(-0.5 * ((np.arange(15) - rng.integers(0, 15)) / 2.5) ** 2))
    groups = row_groups(counts, 5)
    wanted = {tuple(sorted(g)) for g in slow_twin.groups_of_row(counts, 5)}
    assert {tuple(np.flatnonzero(groups == g)) for g in set(groups)} == wanted
    held = np.bincount(groups, weights=counts)
    assert (held >= 5).all() or counts.sum() < 5


def test_x_is_finite_even_where_cells_are_empty():
    data = terms(prepare(stack_hypothesis(free=True), (sample(60),)))
    assert all(np.isfinite(data.x(node)).all() for node in range(16))


# --- user's cuts -------------------------------------------------------------------------------------------------


def test_a_cut_in_energy_removes_the_same_part_of_the_signal_density():
    whole, high = prepare(template_hypothesis(), (sample(3000),)), sample(3000, energy=(3.5, 10.0))
    signal = prepare(template_hypothesis(), (high,)).parts[0].densities.signal[0]
    rows = prepare(template_hypothesis(), (high,)).parts[0].densities.groups.row
    kept = np.bincount(rows, weights=signal)
    edges = BINNING.sin_dec_edges, np.array([0.0, 3.5, 10.0])
    assert kept == pytest.approx(energy_density(high.response, PowerLaw(2.7), *edges)[:, 1], rel=1e-9)
    assert whole.parts[0].densities.signal[0].sum() == pytest.approx(19.0, rel=1e-12)


@pytest.mark.parametrize("index", [0.9, 4.1, float("nan")])
def test_an_index_outside_one_to_four_is_refused(index):
    with pytest.raises(InputError, match="spectral index"):
        Hypothesis("bad", plane(), index, False)


# --- kernels against plain loops ---------------------------------------------------------------------------------

MASK = 2**64 - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(key, counter):
    return (mix((key + (counter + 1) * 0x9E3779B97F4A7C15) & MASK) >> 11) * 2.0**-53


def key_of(seed, trial, stream):
    golden = 0x9E3779B97F4A7C15
    inner = mix(mix((seed + golden) & MASK) ^ trial)
    return mix((inner + stream * 0x94D049BB133111EB) & MASK)


def test_scrambles_are_splitmix64_of_key_and_event():
    for arguments in ((0, 0, 0), (7, 3, 1), (2**40, 12_345, 2)):
        key = kernels.trial_key(*arguments)
        assert int(key) == key_of(*arguments)
        out = np.empty(50)
        kernels.draw_uniform(np.uint64(key), out)
        assert out.tolist() == [uniform(int(key), 2 * i) for i in range(50)]


def test_uniforms_of_neighbouring_trials_are_uniform_and_uncorrelated():
    out = np.empty((40, 2000))
    for trial in range(40):
        kernels.draw_uniform(np.uint64(kernels.trial_key(1, trial, 0)), out[trial])
    assert out.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / out.size))
    correlation = np.corrcoef(out) - np.eye(40)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_template_lookup_is_a_plain_indexing():
    rng = np.random.default_rng(2)
    maps = rng.random((1000, 3)).astype(np.float32)
    u, base, count = rng.random(40), rng.integers(0, 900, 40), rng.integers(1, 100, 40).astype(float)
    out, order, nothing = np.empty((3, 40)), np.arange(40), np.zeros((3, 40))
    kernels.template_difference(u, order, base, count, maps, nothing, out)
    wanted = [[float(m[base[i] + int(u[i] * count[i])]) for i in range(40)] for m in maps.T]
    assert out.tolist() == wanted
    # The same events in another order, their u found by number, and the mean taken off.
    number, mean = rng.permutation(40), rng.random((3, 40))
    everywhere = np.empty(40)
    everywhere[number] = u
    kernels.template_difference(everywhere, number, base, count, maps, mean, out)
    assert out.tolist() == (np.array(wanted) - mean).tolist()
    alone, one = np.empty((1, 40)), np.ascontiguousarray(maps[:, :1])
    kernels.template_difference(everywhere, number, base, count, one, mean[:1], alone)
    assert alone.tolist() == out[:1].tolist()


def test_stack_lookup_is_a_plain_sum_over_sources():
    rng = np.random.default_rng(3)
    u, dec, error = rng.random(60), np.arcsin(rng.uniform(-1, 1, 60)), rng.uniform(0.02, 0.6, 60)
    ra, source_dec, extension2 = rng.uniform(0, 6, 5), rng.uniform(-1.5, 1.5, 5), np.array([0, 0, 0.01, 0.0001, 0])
    weights = rng.dirichlet(np.ones(5), 2)
    there = place(exact_stack(ra, source_dec, extension2, weights, error), seen_alike(dec, error))
    out = there.difference_at(u) + there.mean
    for i in range(60):
        for p in range(2):
            wanted = 0.0
            for k in range(5):
                cos_psi = np.sin(dec[i]) * np.sin(source_dec[k]) + np.cos(dec[i]) * np.cos(source_dec[k]) * np.cos(
                    2 * np.pi * u[i] - ra[k]
                )
                wanted += weights[p, k] * slow_twin.kernel(cos_psi, 1 / (error[i] ** 2 + extension2[k]))
            assert out[p, i] == pytest.approx(wanted, rel=1e-9, abs=1e-14)


def rejection(key, numbers, n, ratio, top):
    """The rejection loop in words: propose, accept with ratio / top, else the next pair of numbers."""
    out = []
    for i, number in enumerate(numbers):
        counter = 2 * int(number)
        while uniform(key, counter + 1) * top(i) >= ratio(i, uniform(key, counter)):
            counter += 2 * n
        out.append(uniform(key, counter))
    return out


def test_tilted_draws_of_a_template_are_plain_rejection():
    rng, n = np.random.default_rng(4), 80
    maps = rng.random(600).astype(np.float32)
    base, count = rng.integers(0, 500, n), rng.integers(4, 100, n).astype(float)
    ring = [maps[b : b + int(c)].astype(float) for b, c in zip(base, count, strict=True)]
    mean, ceiling = np.array([r.mean() for r in ring]), np.array([r.max() for r in ring])
    strength, out, key = rng.uniform(0, 4.0, n), np.empty(n), key_of(5, 6, 0)
    kernels.draw_uniform(np.uint64(key), out)
    given, shape = (np.ones(1), np.zeros(n, dtype=np.int64), strength.copy()), (0, 0, 1.0, 0.0)
    where = (np.arange(n), base, count, maps[:, None])
    kernels.template_tilt(np.uint64(key), given, *where, shape, mean[None], ceiling[None], out)
    assert (strength * mean > kernels.SATURATION).any()
    strength = np.minimum(strength, kernels.SATURATION / mean)
    wanted = rejection(
        key,
        range(n),
        n,
        lambda i, u: 1 + strength[i] * (ring[i][int(u * count[i])] - mean[i]),
        lambda i: 1 + strength[i] * (ceiling[i] - mean[i]),
    )
    assert out.tolist() == wanted


def test_tilted_draws_of_a_stack_are_plain_rejection(few):
    part = prepare(stack_hypothesis(free=False), (few,)).parts[0]
    n, key, there = len(part.active), key_of(8, 9, 0), part.lookup
    strength = np.random.default_rng(5).uniform(0, 0.4, n)
    everywhere = np.empty(len(few.array("declination")))
    kernels.draw_uniform(np.uint64(key), everywhere)
    there.tilt(np.uint64(key), (np.ones(1), np.zeros(n, dtype=np.int64), strength), np.ones(1), everywhere)
    out = everywhere[part.active]
    strength = np.minimum(strength, kernels.SATURATION / there.mean[0])
    dec, error = few.array("declination")[part.active], few.array("angular_error")[part.active]
    one = [place(part.space, seen_alike(dec[[i]], error[[i]])) for i in range(n)]
    wanted = rejection(
        key,
        part.active,
        len(everywhere),
        lambda i, u: 1 + strength[i] * one[i].difference_at(np.array([u]))[0, 0],
        lambda i: 1 + strength[i] * (there.ceiling[0, i] - there.mean[0, i]),
    )
    assert out.tolist() == wanted


def test_a_point_at_the_pole_is_a_source_like_any_other(few):
    pole = stack_hypothesis(free=False, sources=(PointSource("pole", 0.0, np.pi / 2),))
    # At the pole the kernel does not depend on right ascension: nothing can be learned, and nothing breaks.
    assert np.abs(terms(prepare(pole, (few,))).x(0)).max() < 1e-6
    assert maximise(terms(prepare(pole, (few,)))).n_signal >= 0
