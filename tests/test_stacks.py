"""Weights, injection and fit of stacks agree: in any order, with duplicates, of 1,000 sources, on several samples.

Three lists stand for all: the twelve of the 2023 supernova remnants, the 109 of its source list, and 1,000 made here,
some extended, with weights over three decades.  Sources are read from summed maps where kernels are wide and the maps
fine, one by one otherwise, and both ways where some events are wide; ``nside`` chooses.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import chisquare
from small_problem import sample, take
from test_simulate import sharp

from nuanalysis import simulate, trials
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, expected_events, prepare, terms
from nuanalysis.model._space import MixedSpace, StackSpace, TemplateSpace
from nuanalysis.response import acceptance, cascades_2023
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw
from nuanalysis.trials._injection import signal_events

LISTS = ("snr", "list-109", "thousand")
KINDS = {"exact": (1, StackSpace), "mixed": (16, MixedSpace), "maps": (64, TemplateSpace)}
LOOKED_UP = (
    ("snr", "exact", False),
    ("snr", "exact", True),
    ("snr", "maps", False),
    ("list-109", "mixed", False),
    ("thousand", "mixed", False),
    ("thousand", "maps", False),
)
# Exact kernels are sums in another order.  Maps are kept in single precision: a sum in another order moves single
# pixels by their last bit, 6e-8 of the density, and TS by less than that.
SAME = {"exact": 1e-9, "mixed": 1e-6, "maps": 1e-6}
SPECTRUM = PowerLaw(2.7)


@lru_cache
def listed(name):
    if name != "thousand":
        known = CATALOGUES[name]
        weights = np.random.default_rng(1).uniform(0.2, 2.0, len(known.sources))
        return replace(known, weights=tuple(map(float, weights)))
    rng = np.random.default_rng(2)
    n = 1000
    ra, dec = rng.uniform(0, 2 * np.pi, n), np.arcsin(rng.uniform(-1, 1, n))
    extension = rng.choice([0.0, 0.0, 0.01, 0.03], n)
    sources = tuple(PointSource(str(k), *map(float, v)) for k, v in enumerate(zip(ra, dec, extension, strict=True)))
    return Catalogue("thousand", "1,000 sources", sources, tuple(map(float, 10.0 ** rng.uniform(-3, 0, n))), "by hand")


def chosen(catalogue, numbers, factors=None):
    """The sources of these numbers, in this order, their weights times the factors."""
    factors = np.ones(len(numbers)) if factors is None else factors
    weights = tuple(float(catalogue.weights[k] * f) for k, f in zip(numbers, factors, strict=True))
    return replace(catalogue, sources=tuple(catalogue.sources[k] for k in numbers), weights=weights)


def shuffled(catalogue):
    return chosen(catalogue, np.random.default_rng(3).permutation(len(catalogue.sources)))


def doubled(catalogue):
    """Every third source twice, each time with half of its weight."""
    numbers = np.arange(len(catalogue.sources))
    again = numbers[::3]
    return chosen(
        catalogue, [*numbers, *again], np.concatenate([np.where(numbers % 3, 1.0, 0.5), np.full(len(again), 0.5)])
    )


SAID_OTHERWISE = {"shuffled": shuffled, "doubled": doubled}


@lru_cache
def events(nside):
    """Events with errors above 4 degrees, the same for maps and exact kernels."""
    whole = sample(900, seed=31, nside=nside)
    return replace(whole, events=take(whole.events, np.flatnonzero(whole.array("angular_error") > np.radians(4.0))))


def hypothesis(catalogue, *, free=False):
    return Hypothesis(f"stack:{catalogue.name}", catalogue, 2.7, free)


@lru_cache
def prepared(name, kind, otherwise="", free=False):
    catalogue = SAID_OTHERWISE[otherwise](listed(name)) if otherwise else listed(name)
    found = prepare(hypothesis(catalogue, free=free), (events(KINDS[kind][0]),))
    assert isinstance(found.parts[0].space, KINDS[kind][1])
    return found


# --- any order, and duplicates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("otherwise", SAID_OTHERWISE)
@pytest.mark.parametrize(("name", "kind", "free"), LOOKED_UP)
@pytest.mark.slow
def test_a_list_said_otherwise_has_the_same_fits(name, kind, free, otherwise):
    """On the data, and on scrambles that hold a signal: the same events, so the same TS, n_s and index."""
    one, other = prepared(name, kind, "", free), prepared(name, kind, otherwise, free)
    tilt = trials.Tilt(float(one.strength_at(16.0)[0]), 0, 1.0)
    seen = []
    for trial in range(4):
        pair = []
        for problem in (one, other):
            part = problem.parts[0]
            # The tilt of one problem for both: right ascensions must not depend on how the list is said.
            [u] = trials._scrambles._draw(one, one.parts, 5, trial, tilt)
            data = terms(problem) if trial == 0 else None
            if data is None:
                difference = [part.lookup.difference(u)]
                data = trials._scrambles.join(problem, difference, [part.energy])
            pair.append(maximise(data))
        first, second = pair
        seen.append(first.ts)
        assert second.ts == pytest.approx(first.ts, abs=SAME[kind] * max(1.0, first.ts))
        assert second.n_signal == pytest.approx(first.n_signal, abs=1e-3)
        assert second.index == pytest.approx(first.index, abs=1e-3)
    assert max(seen) > 4.0


@pytest.mark.parametrize("otherwise", SAID_OTHERWISE)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_said_otherwise_has_the_same_events(name, otherwise):
    """Expected numbers, what signal is drawn from, and how much of it is in each band."""
    one, few = listed(name), events(64)
    other = SAID_OTHERWISE[otherwise](one)
    assert expected_events(hypothesis(other), few, SPECTRUM) == pytest.approx(
        expected_events(hypothesis(one), few, SPECTRUM), rel=1e-12
    )
    first, second = (simulate.emission(c, few.response, SPECTRUM) for c in (one, other))
    np.testing.assert_allclose(second.bands, first.bands, rtol=1e-12, atol=1e-15)
    assert second.cumulative[-1] == pytest.approx(first.cumulative[-1], rel=1e-12)


def weight_of_places(catalogue, values):
    """Values (source,) summed over sources at the same place, in an order of their own, (place,)."""
    at = [(s.right_ascension, s.declination) for s in catalogue.sources]
    places = {place: k for k, place in enumerate(sorted(set(at)))}
    return np.bincount([places[place] for place in at], weights=values, minlength=len(places))


@pytest.mark.parametrize("otherwise", ["", *SAID_OTHERWISE])
@pytest.mark.parametrize("name", LISTS)
def test_injected_events_come_from_each_source_by_flux_and_acceptance(name, otherwise):
    """With a response that moves nothing each event lies on its source: counts are multinomial."""
    points = replace(listed(name), sources=tuple(replace(s, extension=0.0) for s in listed(name).sources))
    catalogue = SAID_OTHERWISE[otherwise](points) if otherwise else points
    response, n = sharp(cascades_2023.response()), 60_000
    drawn = simulate.signal(simulate.emission(catalogue, response, SPECTRUM), n, np.random.default_rng(21))
    ra, dec = (np.array([getattr(s, a) for s in catalogue.sources]) for a in ("right_ascension", "declination"))
    share = weight_of_places(catalogue, np.array(catalogue.weights) * acceptance(response, SPECTRUM, np.sin(dec)))
    axes = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    seen = np.array(
        [
            np.cos(drawn.declination) * np.cos(drawn.right_ascension),
            np.cos(drawn.declination) * np.sin(drawn.right_ascension),
            np.sin(drawn.declination),
        ]
    )
    nearest = np.concatenate([(axes.T @ block).argmax(axis=0) for block in np.array_split(seen, 20, axis=1)])
    counts = weight_of_places(catalogue, np.bincount(nearest, minlength=len(dec)).astype(float))
    expected = share / share.sum() * n
    often = expected >= 5.0
    joined = [np.append(a[often], a[~often].sum()) for a in (counts, expected)]
    if not (~often).any():
        joined = [counts, expected]
    assert chisquare(*joined).pvalue > 0.001


# --- 1,000 sources ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("index", [2.0, 2.7, 3.2])
def test_expected_events_are_the_sum_over_sources(name, index):
    """Flux x acceptance x livetime of each source alone, a source a hypothesis; the fluxes sum to one."""
    catalogue, few = listed(name), events(64)
    total = sum(catalogue.weights)
    wanted = 0.0
    for source, weight in zip(catalogue.sources, catalogue.weights, strict=True):
        flux = weight / total
        seen = float(acceptance(few.response, PowerLaw(index), np.sin([source.declination]))[0])
        wanted += flux * fluxes.E2_PER_DNDE**-1 * seen * few.livetime
    stacked = Hypothesis("stack", catalogue, index, False)
    assert fluxes.events_per_flux(stacked, (few,)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.slow
def test_maps_and_exact_kernels_of_a_thousand_sources_agree():
    """On the same tilted scrambles: 1 per cent of TS on average, 0.1 in the root of TS, as for three sources."""
    one, other = prepared("thousand", "exact"), prepared("thousand", "maps")
    root = []
    for ts in (0.0, 9.0, 25.0):
        tilt = trials.Tilt(float(one.strength_at(ts)[0]), 0, 1.0)
        for trial in range(20):
            ra = 2 * np.pi * trials._scrambles._draw(one, one.parts, 3, trial, tilt)[0]
            pair = []
            for problem in (one, other):
                part = problem.parts[0]
                u = part.lookup.position(ra[part.active])
                difference = [part.lookup.difference_at(u)]
                pair.append(maximise(trials._scrambles.join(problem, difference, [part.energy])).ts ** 0.5)
            root.append(pair)
    root = np.array(root)
    assert root[:, 0].max() > 4.0
    assert np.std(root[:, 1] - root[:, 0]) < 0.1
    assert (root[:, 1] ** 2).mean() == pytest.approx((root[:, 0] ** 2).mean(), rel=0.03)


def test_a_heavy_source_among_a_thousand_is_that_source():
    """With all the weight on one of them the stack is the single source: the same TS and n_s."""
    catalogue, few = listed("thousand"), events(1)
    k = int(np.argmax(np.array(catalogue.weights)))
    factors = np.full(1000, 1e-12)
    factors[k] = 1.0
    stack = prepare(hypothesis(chosen(catalogue, range(1000), factors)), (few,))
    alone = prepare(hypothesis(chosen(catalogue, [k])), (few,))
    first, second = maximise(terms(stack)), maximise(terms(alone))
    assert second.ts == pytest.approx(first.ts, abs=1e-6)
    assert second.n_signal == pytest.approx(first.n_signal, abs=1e-4)


# --- any number of samples -------------------------------------------------------------------------------------------


@lru_cache
def seasons():
    """Three disjoint parts of the twin with 1, 2 and 4 parts of the livetime."""
    whole = sample(2100, seed=31, nside=1)
    n, out = whole.events.sizes["event"], []
    order = np.random.default_rng(6).permutation(n)
    first = 0
    for k, parts in enumerate((1, 2, 4)):
        last = first + n * parts // 7
        few = take(whole.events, order[first:last]).assign_attrs(livetime_s=whole.livetime * parts / 7)
        out.append(replace(whole, name=f"season {k}", events=few))
        first = last
    return tuple(out)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.slow
def test_samples_share_the_signal_by_what_each_expects(name, number):
    asked, chosen_seasons = hypothesis(listed(name)), seasons()[:number]
    found = prepare(asked, chosen_seasons)
    each = np.array([expected_events(asked, s, SPECTRUM) for s in chosen_seasons])
    assert [p.share[0] for p in found.parts] == pytest.approx(list(each / each.sum()), rel=1e-12)
    assert found.expected[0] == pytest.approx(each.sum(), rel=1e-12)
    assert each / each[0] == pytest.approx(np.array([1.0, 2.0, 4.0])[:number], rel=1e-9)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.slow
def test_the_order_of_samples_does_not_matter(name):
    asked, one = hypothesis(listed(name), free=name == "snr"), seasons()
    first, second = (maximise(terms(prepare(asked, order))) for order in (one, one[::-1]))
    assert second.ts == pytest.approx(first.ts, abs=1e-9 * max(1.0, first.ts))
    assert second.n_signal == pytest.approx(first.n_signal, abs=1e-6)


def test_injected_events_are_poisson_in_every_sample():
    found = prepare(hypothesis(listed("snr")), seasons())
    sources = trials.emissions(found)
    n_mean, draws = 70.0, 400
    counts = np.array(
        [list(map(len, signal_events(found, sources, np.random.default_rng([9, k]), n_mean))) for k in range(draws)]
    )
    wanted = n_mean * np.array([1.0, 2.0, 4.0]) / 7.0
    assert counts.mean(axis=0) == pytest.approx(wanted, abs=float(4.0 * np.sqrt(wanted.max() / draws)))
    assert np.all(np.abs(counts.mean(axis=0) - wanted) < 4.0 * np.sqrt(wanted / draws))
    # The variance of a variance of Poisson counts is about 2 mean^2 / draws.
    assert counts.var(axis=0) == pytest.approx(wanted, rel=4.0 * np.sqrt(2.0 / draws))
    assert abs(np.corrcoef(counts.T)[0, 2]) < 4.0 / np.sqrt(draws)
