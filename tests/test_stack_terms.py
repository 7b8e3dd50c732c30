"""What each source of a stack adds to its test statistic: terms against a slow twin, identities, an injected source."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import vonmises_fisher
from small_problem import SOURCES, catalogue, sample, take, template_hypothesis

from nuanalysis import simulate
from nuanalysis.answers.stack import Stack
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.interpret import contributions
from nuanalysis.interpret.contributions import event_contributions, event_shares, source_terms
from nuanalysis.library import samples
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, expected_events, prepare, terms
from nuanalysis.model._space import StackSpace, TemplateSpace
from nuanalysis.response import acceptance
from nuanalysis.sky.records import PointSource, PowerLaw

# Kernels wide against the pixels are summed to maps; errors of a tenth are not, and reach few sources.
SPACES = {"maps": (64, 1.0, TemplateSpace), "exact": (16, 1.0, StackSpace), "narrow": (64, 0.1, StackSpace)}
WEIGHTS = (1.0, 2.0, 1.0)
FREE = ("exact",)  # where tests of all spaces free the index: once is enough, and maps of four shapes take a second
ROUNDING = 1e-9  # sums of some thousand terms of order one


@lru_cache
def shining(sources=SOURCES, expected=60.0):
    """The twin with signal of these sources."""
    return simulate.cascades(7, catalogue(sources), expected, spectrum=PowerLaw(2.4))


@lru_cache
def lit(space="maps", n=2000, seed=1, sources=SOURCES, expected=60.0, name="lit"):
    """All signal events of a twin that shines, and n of the others."""
    nside, scale, _ = SPACES[space]
    whole = shining(sources, expected)
    component = whole["component"].values
    others = np.random.default_rng(seed).choice(np.flatnonzero(component != 3), n, replace=False)
    chosen = np.concatenate([np.flatnonzero(component == 3), others])
    part = take(whole, chosen).assign(angular_error=whole["angular_error"][np.sort(chosen)] * scale)
    livetime = whole.attrs["livetime_s"] * len(chosen) / whole.sizes["event"]
    return replace(sample(50, nside=nside, name=name), events=part.assign_attrs(livetime_s=livetime))


@lru_cache
def fitted(samples, sources=SOURCES, weights=WEIGHTS, *, free=True):
    prepared = prepare(Hypothesis("stack:test", catalogue(sources, weights), 2.7, free), samples)
    data = terms(prepared)
    return prepared, data, maximise(data)


@lru_cache
def two():
    """One sample that is read from maps, one with exact kernels."""
    return lit("maps"), lit("narrow", 800, 2, name="second")


# --- the sum -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.slow
def test_terms_sum_to_the_test_statistic(space, number, free):
    prepared, data, best = fitted((lit(space),), SOURCES[-number:], WEIGHTS[:number], free=free)
    assert isinstance(prepared.parts[0].space, SPACES[space][2] if number > 1 else StackSpace)
    found = source_terms(prepared, data, best)
    assert best.ts > 1.0
    assert found.shape == (number,)
    assert found.sum() == pytest.approx(best.ts, abs=ROUNDING)


def test_terms_of_two_samples_sum_to_their_joint_test_statistic():
    """One sample read from maps, one with exact kernels: each divides its own events."""
    prepared, data, best = fitted(two())
    assert [type(part.space) for part in prepared.parts] == [TemplateSpace, StackSpace]
    found = source_terms(prepared, data, best)
    assert best.ts > 1.0
    assert found.sum() == pytest.approx(best.ts, abs=ROUNDING)


def test_without_signal_every_term_is_zero():
    away = tuple(replace(s, right_ascension=(s.right_ascension + np.pi) % (2 * np.pi)) for s in SOURCES[1:])
    prepared, data, best = fitted((lit(),), away, WEIGHTS[:2], free=False)
    assert best.n_signal == 0.0
    assert not source_terms(prepared, data, best).any()


# --- the slow twin -----------------------------------------------------------------------------------------------


def direction(ra, dec):
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def density_and_mean(source, ra, dec, error):
    """Kernel of one source at one event, and its mean over the event's right ascension by brute force."""
    around = np.linspace(0.0, 2 * np.pi, 512, endpoint=False)
    kappa = 1.0 / (error**2 + source.extension**2)
    kernel = vonmises_fisher(direction(source.right_ascension, source.declination), kappa)
    circle = np.stack([direction(a, dec) for a in (ra, *around)])
    values = kernel.pdf(circle / np.linalg.norm(circle, axis=1, keepdims=True))
    return values[0], values[1:].mean()


@pytest.mark.parametrize(("space", "free"), [("maps", True), ("exact", True), ("exact", False)])
def test_terms_equal_those_of_a_slow_twin(space, free):
    """Event by event, source by source, node by node: scipy's kernels, and the amounts that the fit has read."""
    events = lit(space, n=40)
    prepared, data, best = fitted((events,), free=free)
    part = prepared.parts[0]
    columns = ("right_ascension", "declination", "angular_error")
    ra, dec, error = (events.array(c)[part.active] for c in columns)
    c = best.n_signal / data.n_events
    position = float(np.interp(best.index, data.index, np.arange(len(data.index))))
    low = int(position)
    wanted = np.zeros(3)
    u = part.lookup.position(ra)
    mean = part.lookup.mean
    amount = part.lookup.difference_at(u) + mean
    shapes = [1.0, 2.0, 3.0, 4.0] if free else [2.7]
    share = np.array(
        [
            [
                w * acceptance(events.response, PowerLaw(g), np.sin(np.array([s.declination])))[0]
                for s, w in zip(SOURCES, WEIGHTS, strict=True)
            ]
            for g in shapes
        ]
    )
    for i in range(len(ra)):
        kernels = np.array([density_and_mean(s, ra[i], dec[i], error[i]) for s in SOURCES])
        x = np.zeros(3)
        for node, weight in ((low, low + 1 - position), (low + 1, position - low)):
            if weight == 0.0:
                continue
            for p in range(len(shapes)):
                seen, circle = share[p] * kernels[:, 0], share[p] * kernels[:, 1]
                seen = seen / seen.sum() if seen.sum() > 1e-200 else circle / circle.sum()
                divided = amount[p, i] * seen - mean[p, i] * circle / circle.sum()
                energy = data.ratio[node, data.group[i]] * data.scale[i]
                x += weight * data.mixing[node, p] * energy * divided
        wanted += 2.0 * np.log1p(c * x.sum()) * x / x.sum()
    # Sums in steps of 0.7 deg are exact for kernels of two degrees; the fit counts those below exp(-40) as zero.
    assert source_terms(prepared, data, best) == pytest.approx(wanted, abs=1e-6 * best.ts)
    assert best.ts > 1.0


def test_an_event_far_from_every_source_is_divided_all_the_same():
    """Kernels below the smallest number: the nearest source still takes the most."""
    near, far = 4.3 + np.pi, 4.3
    ra, dec, error = np.array([near, far]), np.array([0.7, -0.7]), np.array([0.02, 0.02])
    sources = np.array([[far, -0.7, 0.0], [far + 0.01, -0.7, 0.0]])
    kernel, circle = contributions._relative_kernels(ra, dec, error, *sources.T)
    assert np.isfinite(kernel).all()
    assert np.isfinite(circle).all()
    assert (kernel.max(axis=1) > 0.0).all()
    plain = np.exp(-0.5 * (0.01 * np.cos(0.7) / 0.02) ** 2)  # the flat limit, to 1 per mille at such angles
    assert kernel[1, 1] / kernel[1, 0] == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("space", ["maps", "narrow"])
def test_the_size_of_the_blocks_does_not_matter(space, monkeypatch):
    prepared, data, best = fitted((lit(space),))
    wanted = source_terms(prepared, data, best)
    monkeypatch.setattr(contributions, "_PAIRS", 30)
    assert source_terms(prepared, data, best) == pytest.approx(wanted, abs=ROUNDING)


def test_one_source_has_the_terms_of_all_events():
    prepared, data, best = fitted((lit("narrow"),), SOURCES[:1], (1.0,))
    assert source_terms(prepared, data, best)[0] == pytest.approx(event_contributions(data, best).sum(), abs=ROUNDING)


# --- identities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_another_order_of_the_catalogue_gives_the_same_terms_in_that_order(space):
    prepared, data, best = fitted((lit(space),), free=space in FREE)
    other, other_data, other_best = fitted((lit(space),), SOURCES[::-1], WEIGHTS[::-1], free=space in FREE)
    assert other_best.ts == pytest.approx(best.ts, abs=ROUNDING)
    found = source_terms(other, other_data, other_best)[::-1]
    # Strengths are fitted to 1e-8; a sum over events near its maximum does not feel it, single terms do.
    assert found == pytest.approx(source_terms(prepared, data, best), abs=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_a_source_entered_twice_with_half_the_weight_is_the_source_once(space):
    prepared, data, best = fitted((lit(space),), free=space in FREE)
    a, b, c = SOURCES
    twice, twice_data, twice_best = fitted((lit(space),), (a, b, b, c), (1.0, 1.0, 1.0, 1.0), free=space in FREE)
    assert twice_best.ts == pytest.approx(best.ts, abs=ROUNDING)
    first, half, other_half, last = source_terms(twice, twice_data, twice_best)
    assert half == pytest.approx(other_half, abs=ROUNDING)
    wanted = source_terms(prepared, data, best)
    assert np.array([first, half + other_half, last]) == pytest.approx(wanted, abs=1e-6)
    assert event_shares(twice, 2.7)[1:3].sum() == pytest.approx(event_shares(prepared, 2.7)[1], rel=1e-12)


@pytest.mark.parametrize("space", ["maps", "narrow"])
def test_a_source_without_weight_has_no_term_and_changes_none(space):
    dark = PointSource("dark", 2.0, 0.9)
    prepared, data, best = fitted((lit(space),), (*SOURCES, dark), (*WEIGHTS, 0.0), free=space in FREE)
    alone, alone_data, alone_best = fitted((lit(space),), free=space in FREE)
    found = source_terms(prepared, data, best)
    assert found[3] == 0.0
    assert found[:3] == pytest.approx(source_terms(alone, alone_data, alone_best), abs=1e-6)


def test_shares_of_events_are_those_of_sources_tested_alone():
    """Weight times the events expected of each source by itself, both samples together."""
    samples = two()
    prepared, _, _ = fitted(samples)
    for index in (2.0, 3.1):
        alone = np.array(
            [
                sum(
                    expected_events(Hypothesis("one", catalogue((s,)), index, False), x, PowerLaw(index))
                    for x in samples
                )
                for s in SOURCES
            ]
        ) * np.array(WEIGHTS)
        assert event_shares(prepared, index) == pytest.approx(alone / alone.sum(), rel=1e-12)
    assert event_shares(prepared, 2.0) != pytest.approx(event_shares(prepared, 3.1), rel=1e-3)


# --- physics -----------------------------------------------------------------------------------------------------


def twelve():
    """Twelve points far from each other: corners of an icosahedron turned off the poles."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    corners = np.array([np.roll(corner, k) for corner in corners for k in range(3)]) / np.hypot(1, golden)
    ra, dec = np.arctan2(corners[:, 1], corners[:, 0]) % (2 * np.pi), np.arcsin(corners[:, 2])
    return tuple(PointSource(str(k), float(a), float(d)) for k, (a, d) in enumerate(zip(ra, dec, strict=True)))


@pytest.mark.parametrize("bright", [0, 7])
def test_one_bright_source_of_twelve_has_almost_all_of_the_test_statistic(bright):
    """All signal events come from one source.

    Weights that expect nearly all there: its term is nearly all of TS.  Equal weights: they give eleven twelfths of n_s
    to sources that have nothing, whose negative terms the bright one outweighs.
    """
    sources = twelve()
    events = lit("maps", 2000, 1, (sources[bright],), 150.0)
    expected = tuple(200.0 if k == bright else 1.0 for k in range(12))
    for weights, equal in ((expected, False), ((1.0,) * 12, True)):
        prepared, data, best = fitted((events,), sources, weights, free=False)
        found = source_terms(prepared, data, best)
        assert best.ts > 9.0
        assert equal or found[bright] > 0.9 * found[found > 0].sum()
        assert found[bright] == pytest.approx(best.ts, rel=0.1) if not equal else found[bright] > best.ts
        assert np.delete(found, bright).sum() < 0.1 * best.ts


# --- refusals ----------------------------------------------------------------------------------------------------


def test_a_template_has_no_sources():
    prepared = prepare(template_hypothesis(), (sample(200),))
    data = terms(prepared)
    for call in (lambda: source_terms(prepared, data, maximise(data)), lambda: event_shares(prepared, 2.7)):
        with pytest.raises(InputError, match="template:test' is a template; expected a stack"):
            call()


def test_numbers_of_the_full_sample_are_those_of_earlier_versions(mirror, tmp_path):
    """Supernova remnants on the SYNTHETIC cascades with seed 1, to rounding."""
    events = samples.load(samples.sample_spec(name="cascades-2023"), 1)
    (one,) = Stack(catalogues=("snr",), injections=0).ask(events, Bench(tmp_path)).catalogues
    fitted = one.found.fitted
    assert (fitted.ts, fitted.n_signal) == pytest.approx((10.772503641807456, 177.8138710065951))
    assert fitted.index == pytest.approx(2.676212375227273)
    assert [source.name for source in one.sources[:2]] == ["Gamma Cygni", "HESS J1745-303"]
    found = [number for source in one.sources[:2] for number in (source.ts_term, source.share_of_events)]
    assert found == pytest.approx([2.5168666857982593, 0.12060393123991572, 2.3150337662740785, 0.07541092416148788])
