"""Which sources an event can reach, and stacks whose wide events are looked up in maps."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from small_problem import catalogue, sample, seen_alike, take

from nuanalysis import trials
from nuanalysis.likelihood import _sums, at_rest, maximise, sums
from nuanalysis.likelihood._fit import add_far
from nuanalysis.model import Hypothesis, _space, prepare, terms
from nuanalysis.model._place import MixedPlace, place
from nuanalysis.model._space import STACK_REACH, MixedSpace, StackSpace, TemplateSpace, exact_stack, stack_space
from nuanalysis.sky.records import PointSource, PowerLaw
from nuanalysis.sphere import cos_separation, vmf_density
from nuanalysis.trials import PLAIN, Tilt

NSIDE = 32
LEAST = 2.0 * float(np.sqrt(np.pi / 3) / NSIDE)  # rad: two pixels, from where maps serve


def places(kind, n=60):
    """Directions and extensions of sources, (source,): at random, around a pole, or about right ascension 0."""
    rng = np.random.default_rng(11)
    ra, dec = rng.uniform(0, 2 * np.pi, n), np.arcsin(rng.uniform(-1, 1, n))
    if kind == "pole":
        dec = np.pi / 2 - np.abs(rng.normal(0.0, 0.05, n)) * (np.arange(n) > 0)
    if kind == "zero":
        ra = rng.normal(0.0, 0.01, n) % (2 * np.pi)
    return ra, dec, rng.choice([0.0, 0.0, 0.03, 0.4], n) ** 2


@pytest.mark.parametrize("kind", ["anywhere", "pole", "zero"])
@pytest.mark.parametrize("errors", [(0.002, 0.004), (0.01, 0.2), (0.3, 3.0)])
def test_a_cell_lists_every_source_that_one_of_its_events_reaches(kind, errors):
    ra, dec, extension2 = places(kind)
    rng, n = np.random.default_rng(7), 3000
    error = np.exp(rng.uniform(*np.log(errors), n))
    near = rng.integers(0, len(ra), n)  # events anywhere, and events close to the edge of a source's reach
    psi = np.minimum(np.sqrt(2 * STACK_REACH * (error**2 + extension2[near])), np.pi) * rng.uniform(0.9, 1.0, n)
    event_dec = np.where(rng.random(n) < 0.5, np.arcsin(rng.uniform(-1, 1, n)), dec[near] + psi * rng.normal(0, 1, n))
    event_dec = np.clip(event_dec, -np.pi / 2, np.pi / 2)
    u = rng.random(n)
    space = exact_stack(ra, dec, extension2, np.ones((1, len(ra))) / len(ra), error)
    there, cells = place(space, seen_alike(event_dec, error)), space.cells
    here = there.cell + (u * there.columns).astype(int)
    cos_psi = cos_separation(2 * np.pi * u[:, None], event_dec[:, None], ra, dec)
    reached = 1.0 - cos_psi < STACK_REACH * (error[:, None] ** 2 + extension2)
    listed = np.zeros(reached.shape, dtype=bool)
    for i, c in enumerate(here):
        listed[i, cells.near[cells.first[c] : cells.first[c + 1]]] = True
    assert reached.any()
    assert not (reached & ~listed).any()
    # A cell is no wider than its row, at most ten degrees: what is listed in vain is not far out of reach.
    if errors[1] < 0.005 and kind == "anywhere":
        assert listed.sum() < reached.sum() + 0.05 * listed.size


def test_errors_larger_than_those_of_the_sample_reach_every_source():
    ra, dec, extension2 = places("anywhere")
    space = exact_stack(ra, dec, extension2, np.ones((1, len(ra))) / len(ra), np.array([0.01, 0.02]))
    there = place(space, seen_alike(np.zeros(1), np.array([5.0])))
    c = int(there.cell[0])
    assert sorted(space.cells.near[space.cells.first[c] : space.cells.first[c + 1]]) == list(range(len(ra)))


@pytest.mark.parametrize("kind", ["anywhere", "pole", "zero"])
def test_many_sources_are_a_plain_sum_of_the_kernels_in_reach(kind):
    """The compiled loop beside one line of numpy; its exponential is good to 1e-9."""
    ra, dec, extension2 = places(kind)
    rng, n = np.random.default_rng(8), 700
    error, event_dec, u = np.exp(rng.uniform(-5, 0.5, n)), np.arcsin(rng.uniform(-1, 1, n)), rng.random(n)
    near = rng.integers(0, len(ra), n)
    event_dec[::2], u[::2] = dec[near][::2] + 0.5 * error[::2], ra[near][::2] / (2 * np.pi)
    event_dec = np.clip(event_dec, -np.pi / 2, np.pi / 2)
    for shapes in (1, 4):
        weights = rng.dirichlet(np.ones(len(ra)), shapes)
        there = place(exact_stack(ra, dec, extension2, weights, error), seen_alike(event_dec, error))
        variance = error[:, None] ** 2 + extension2
        cos_psi = cos_separation(2 * np.pi * u[:, None], event_dec[:, None], ra, dec)
        kernels = np.where(1.0 - cos_psi < STACK_REACH * variance, vmf_density(cos_psi, 1.0 / variance), 0.0)
        wanted = weights @ kernels.T
        assert (wanted > 0).mean() > 0.3
        assert there.difference_at(u) + there.mean == pytest.approx(wanted, rel=3e-9, abs=1e-12 * kernels.max())


# --- narrow and wide events of many sources ----------------------------------------------------------------------


@lru_cache
def many(n=60):
    ra, dec, extension2 = places("anywhere", n)
    extension = np.minimum(np.sqrt(extension2), 0.03)
    return tuple(PointSource(str(k), *map(float, v)) for k, v in enumerate(zip(ra, dec, extension, strict=True)))


@lru_cache
def problem(free=False):
    """Events with errors below and above two pixels, and a stack of 60 sources."""
    whole = sample(1500, seed=8, nside=NSIDE)
    rng = np.random.default_rng(4)
    events = whole.events.copy()
    error = np.exp(rng.uniform(np.log(0.2 * LEAST), np.log(4 * LEAST), 1500))
    events["angular_error"] = events["angular_error"].copy(data=error)
    few = replace(whole, events=events)
    return prepare(Hypothesis("many", catalogue(many()), 2.7, free), (few,))


def exact_twin(prepared):
    """The same problem, every event compared with every source."""
    part = prepared.parts[0]
    space, error = part.space.narrow, part.sample.array("angular_error")
    space = exact_stack(space.ra, space.dec, space.extension2, space.weights, error)
    chosen = part.seen(part.sample.array("declination")[part.active], error[part.active], part.where)
    return replace(prepared, parts=(replace(part, space=space, lookup=place(space, chosen, part.active)),))


def test_many_sources_are_mixed_where_some_events_are_wide_and_few_sources_are_not():
    errors = np.array([0.1 * LEAST, 2 * LEAST] * 50)
    sources, spectra, nowhere = many(), (PowerLaw(2.7),), sample(50, nside=NSIDE)
    assert isinstance(stack_space(catalogue(sources), nowhere, spectra, errors), MixedSpace)
    assert isinstance(stack_space(catalogue(sources[:40]), nowhere, spectra, errors), StackSpace)
    assert isinstance(stack_space(catalogue(sources), nowhere, spectra, errors[::2]), StackSpace)
    assert isinstance(stack_space(catalogue(sources), nowhere, spectra, errors[1::2]), TemplateSpace)


def test_wide_events_read_maps_and_narrow_ones_sources_in_any_order():
    space, rng = problem().parts[0].space, np.random.default_rng(9)
    error = np.exp(rng.uniform(np.log(0.3 * LEAST), np.log(3 * LEAST), 200))
    dec, u, number = np.arcsin(rng.uniform(-1, 1, 200)), rng.random(400), rng.permutation(400)[:200]
    there = place(space, seen_alike(dec, error), number)
    assert isinstance(there, MixedPlace)
    for one, mine in ((space.wide, error >= LEAST), (space.narrow, error < LEAST)):
        chosen = np.flatnonzero(mine)
        alone = place(one, seen_alike(dec[chosen], error[chosen]), number[chosen])
        assert there.difference_at(u[:200])[:, chosen].tolist() == alone.difference_at(u[chosen]).tolist()
        assert there.difference(u)[:, chosen].tolist() == alone.difference(u).tolist()
        assert there.position(2 * np.pi * u[:200])[chosen].tolist() == alone.position(2 * np.pi * u[chosen]).tolist()
        assert there.mean[:, chosen].tolist() == alone.mean.tolist()
        assert there.ceiling[:, chosen].tolist() == alone.ceiling.tolist()


@pytest.mark.parametrize("free", [False, True])
def test_a_mixed_stack_has_the_test_statistic_of_exact_kernels_to_a_few_per_cent(free):
    mixed = problem(free)
    exact, roots = exact_twin(mixed), []
    for trial in range(20):
        tilt = Tilt(float(exact.strength_at(16.0)[0]), 0, 1.0)
        ra = 2 * np.pi * trials._scrambles._draw(exact, exact.parts, 3, trial, tilt)[0]
        fits = []
        for p in (mixed, exact):
            events = p.parts[0].sample.events.copy()
            events["right_ascension"] = events["right_ascension"].copy(data=ra)
            part = replace(p.parts[0], sample=replace(p.parts[0].sample, events=events))
            fits.append(maximise(terms(replace(p, parts=(part,)))).ts)
        roots.append(np.sqrt(fits))
    roots = np.array(roots)
    # The nearest pixel of a class of error up to 5 per cent off: below a tenth in the root of TS, as for maps alone.
    assert np.std(roots[:, 0] - roots[:, 1]) < 0.15
    assert roots[:, 0].mean() == pytest.approx(roots[:, 1].mean(), rel=0.03)


def test_the_mean_weight_of_tilts_of_a_mixed_stack_is_one():
    prepared, n = problem(), 3000
    tilt = Tilt(float(prepared.strength_at(4.0)[0]), 0, 0.5)
    _, ratios = trials.correlated_trials((prepared,), 4, 0, n, (replace(PLAIN[0], share=0.5), tilt))
    weight = 2 / (1 + np.exp(ratios[:, 1]))
    error = weight.std() / np.sqrt(n)
    assert error < 0.015
    assert weight.mean() == pytest.approx(1.0, abs=3.5 * error)


def test_events_may_all_be_wide_or_all_narrow_in_one_look_up():
    space = problem().parts[0].space
    for error, kind in ((3 * LEAST, space.wide), (0.3 * LEAST, space.narrow)):
        seen = seen_alike(np.zeros(5), np.full(5, error))
        found, wanted = (place(one, seen).difference_at(np.full(5, 0.3)).tolist() for one in (space, kind))
        assert found == wanted
    few = take(problem().parts[0].sample.events, np.array([], dtype=int))
    assert place(space, seen_alike(*(few[c].values for c in ("declination", "angular_error")))).mean.shape == (1, 0)


# --- sums over those that are reached --------------------------------------------------------------------------------


@pytest.mark.parametrize("free", [False, True])
def test_what_is_not_reached_has_no_signal_and_what_is_reached_has_that_of_all_events(free):
    lookup, rng = problem(free).parts[0].lookup, np.random.default_rng(3)
    for mixed in (lookup, lookup.pieces[0][1], lookup.pieces[1][1]):
        u = rng.random(1500)
        reached, wanted = mixed.reached(u), -mixed.mean
        wanted[:, : mixed.everywhere] = reached.everywhere
        wanted[:, reached.hit] = reached.difference
        assert reached.still.tolist() == (-mixed.mean[:, reached.hit]).tolist()
        assert wanted.tolist() == mixed.difference(u).tolist()
    few = lookup.reached(u).hit
    assert 0 < len(few) < 0.8 * (len(lookup.number) - lookup.everywhere)


@pytest.mark.parametrize("stretch", [1.0, 30.0])
@pytest.mark.parametrize("free", [False, True])
def test_sums_of_what_changed_are_those_of_all_events(free, stretch, monkeypatch):
    """Powers of the far events and the near ones, beside one pass over all; some are near at rest."""
    prepared, u = problem(free), np.random.default_rng(5).random(1500)
    part, limits = prepared.parts[0], _sums.thresholds
    monkeypatch.setattr(_sums, "thresholds", lambda *a: limits(*a) * stretch)
    rest, limit = at_rest(prepared, part), limits(prepared, part) * stretch
    assert rest.moments.any()
    assert (len(rest.near) > 100) == (stretch == 1.0)
    found, difference = sums(prepared, prepared.parts, [rest], [u]), part.lookup.difference(u)
    x = part.energy.ratio[:, part.energy.group] * part.energy.scale * (prepared.mixing @ difference)
    if free:
        power, cross = np.zeros((16, 4)), np.zeros((15, 6))
        near = add_far(difference, part.energy, limit, part.energy.ratio, prepared.mixing, (power, cross))
        assert found.cross == pytest.approx(cross, rel=1e-9, abs=1e-12 * np.abs(cross).max())
    else:
        near = np.flatnonzero(np.abs(x[0]) > limit)
        far = np.delete(x[0], near)
        power = np.array([[(far**k).sum() for k in range(1, 7)]])
    assert found.power == pytest.approx(power, rel=1e-9, abs=1e-12 * np.abs(power).max())
    assert np.sort(found.near, axis=1) == pytest.approx(np.sort(x[:, near], axis=1), rel=1e-9)


def test_the_shorter_reach_of_many_sources_changes_ts_by_little(monkeypatch):
    """Five angular errors instead of nine: 4e-6 of the signal; 1e-4 of a TS of 16 is asked."""
    short = problem(free=True)
    monkeypatch.setattr(_space, "STACK_REACH", 40.0)
    problem.cache_clear()
    long = problem(free=True)
    problem.cache_clear()
    assert (short.parts[0].space.narrow.reach, long.parts[0].space.narrow.reach) == (STACK_REACH, 40.0)
    tilts = (Tilt(float(short.strength_at(16.0)[9]), 9, 1.0),)
    ts = [trials.scramble_trials(p, 3, 0, 30, tilts)[:, 0] for p in (short, long)]
    assert ts[0].mean() > 5
    gap = np.abs(ts[0] - ts[1])
    assert 0 < gap.max() < 1.6e-3
