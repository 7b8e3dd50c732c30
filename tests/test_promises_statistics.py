"""What every statistic promises, for all of STATISTICS alike; what a newcomer runs on a statistic of their own."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from small_problem import SOURCES, sample, stack_hypothesis, template_hypothesis, whole

from nuanalysis import simulate, trials
from nuanalysis.answers._question import provenance_of
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.likelihood import maximise
from nuanalysis.likelihood.statistics import PUBLISHED, STATISTICS, statistic
from nuanalysis.model import join, prepare, terms
from nuanalysis.model._place import StackPlace
from nuanalysis.response import acceptance
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sphere import cos_separation, vmf_density, vmf_ra_mean
from nuanalysis.trials._injection import backgrounds, with_signal

HYPOTHESES = {"template": template_hypothesis(), "stack": stack_hypothesis(free=False)}


@pytest.fixture(scope="module", params=[one.name for one in STATISTICS])
def few(request):
    """3,000 SYNTHETIC events analysed with one of the statistics."""
    return replace(sample(3000), statistic=statistic(request.param))


@pytest.fixture(scope="module", params=list(HYPOTHESES))
def problem(request, few):
    return prepare(HYPOTHESES[request.param], (few,))


def test_statistics_have_names_that_differ_titles_and_references():
    names = [one.name for one in STATISTICS]
    assert len(set(names)) == len(names)
    assert PUBLISHED is STATISTICS[0], "the published one stays the default"
    for one in STATISTICS:
        assert statistic(one.name) is one
        assert all((one.title, one.reference))
        assert one.name in samples.SampleSpec.model_fields["statistic"].description
    with pytest.raises(InputError, match="no statistic 'publisehd'"):
        statistic("publisehd")


def test_densities_are_probabilities(problem):
    part = problem.parts[0]
    rows = part.densities.groups.row
    for signal in part.densities.signal:
        assert (signal >= 0).all()
        assert np.bincount(rows, weights=signal) == pytest.approx(np.ones(rows.max() + 1), rel=1e-6)
    assert np.bincount(rows, weights=part.base.energy) == pytest.approx(np.ones(rows.max() + 1), rel=1e-12)
    assert part.base.direction.mean() * 4 * np.pi == pytest.approx(1.0, rel=1e-9)


def test_what_is_compared_does_not_depend_on_the_order_of_events(problem):
    few = problem.parts[0].sample
    turned = replace(few, events=few.events.isel(event=slice(None, None, -1)))
    there = maximise(terms(prepare(problem.hypothesis, (turned,))))
    assert there.ts == pytest.approx(maximise(terms(problem)).ts, rel=1e-9, abs=1e-9)


def test_signal_over_background_has_mean_zero_under_scrambles(problem):
    """Whatever is compared besides the direction, right ascension alone decides what is left: x averages to nothing."""
    part = problem.parts[0]
    even = [
        join(problem, [part.lookup.difference(np.full(part.n_events, u))], [part.energy])
        for u in (np.arange(512) + 0.5) / 512
    ]
    x = np.array([one.x(0) for one in even])
    assert np.isfinite(x).all()
    assert np.abs(x.mean(axis=0)).max() < 0.02 * np.abs(x).max()


def test_a_pseudo_experiment_without_signal_at_the_places_of_the_data_is_the_data(problem):
    """Densities estimated for a pseudo-experiment are estimated exactly as on data."""
    part = problem.parts[0]
    at = part.lookup.position(part.sample.array("right_ascension")[part.active])
    nothing = [simulate.signal(one, 0, np.random.default_rng(1)) for one in trials.emissions(problem)]
    made = with_signal(problem, [at], nothing, backgrounds(problem, nothing))
    assert maximise(made) == maximise(terms(problem))


@pytest.mark.slow
def test_weights_of_tilted_scrambles_are_exact(problem):
    """The mean weight of a mixture of tilts is one, and each tilt's ratio to the mixture too: all are densities."""
    tilts = trials.choose_tilts(problem, 16.0)
    _, ratios = trials.correlated_trials((problem,), 5, 0, 600, tilts)
    log_weight = trials.mixture_log_weight(ratios, np.array([t.share for t in tilts]))
    for each in np.exp(np.column_stack([log_weight, ratios + log_weight[:, None]])).T:
        assert each.mean() == pytest.approx(1.0, abs=5.0 * each.std() / np.sqrt(len(each)))


def test_a_pseudo_experiment_estimates_its_own_background(problem):
    """Injected events enter the estimate as they do on data: with all of them north, the density moves north."""
    part = problem.parts[0]
    where = part.densities.where(np.full(500, 1.0), np.full(500, 4.0), np.full(500, 0.2))
    moved = part.densities.background(part.counts + part.densities.counted(where))
    north = np.arange(len(moved.direction)) > 0.9 * len(moved.direction)
    assert moved.direction[north].mean() > 1.5 * part.base.direction[north].mean()
    assert moved.direction.mean() * 4 * np.pi == pytest.approx(1.0, rel=1e-9)


@pytest.mark.slow
def test_injected_signal_comes_back(problem):
    """A strength that is plain to see is fitted within a third, and lifts TS above the scrambles."""
    strength = 6.0 * float(problem.spread[0])
    found = trials.injection_trials(problem, 11, 0, 60, (strength,))
    fitted, ts = found[:, 2], found[:, 1]
    assert np.median(fitted) == pytest.approx(strength, rel=0.35)
    null = trials.scramble_trials(problem, 11, 0, 60)[:, 0]
    assert np.median(ts) > np.quantile(null, 0.95)


@pytest.mark.slow
def test_free_indices_are_fitted_too(few):
    fit = maximise(terms(prepare(stack_hypothesis(free=True), (few,))))
    assert fit.converged
    assert 1.0 <= fit.index <= 4.0


def test_workers_in_other_processes_get_the_same_numbers(problem):
    there = pickle.loads(pickle.dumps(problem))
    rows = [trials.scramble_trials(one, 3, 0, 5) for one in (problem, there)]
    assert (rows[0] == rows[1]).all()


def test_answers_say_which_statistic_they_used(few):
    said = provenance_of(whole(few))
    assert said.statistic == few.statistic.name
    assert (few.statistic.name in said.words()) == (few.statistic is not PUBLISHED)


@pytest.mark.slow
def test_a_point_spread_of_parts_is_the_sum_of_its_parts(few):
    """Density and mean of one and of several sources, each with its part of the kernel, by the kernels themselves."""
    parts = few.kernel
    rng = np.random.default_rng(6)
    for sources in (SOURCES[:1], SOURCES):
        found = prepare(stack_hypothesis(free=False, sources=sources), (few,)).parts[0].lookup
        if not isinstance(found, StackPlace):
            continue
        dec, error = few.array("declination")[found.number], few.array("angular_error")[found.number]
        u = rng.random(len(dec))
        share = acceptance(few.response, PowerLaw(2.7), np.sin([source.declination for source in sources]))
        share = share / share.sum()
        wanted, mean = np.zeros((2, len(dec)))
        for source, weight in zip(sources, share, strict=True):
            cosine = cos_separation(2 * np.pi * u, dec, source.right_ascension, source.declination)
            for part, scale in zip(parts.weight, parts.scale, strict=True):
                kappa = 1.0 / ((scale * error) ** 2 + source.extension**2)
                wanted += weight * part * vmf_density(cosine, kappa)
                mean += weight * part * vmf_ra_mean(dec, source.declination, kappa)
        peak = wanted.max()
        assert found.mean[0] == pytest.approx(mean, abs=1e-9 * peak)
        assert found.difference_at(u)[0] == pytest.approx(wanted - mean, abs=1e-6 * peak)
        assert len(dec) > 100
