"""Skies tilted towards directions: their weights are exact, and their tails those of plain skies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import i0e, i1e
from test_scan import READY, bare, point, seen, table

from nuanalysis import trials
from nuanalysis.errors import InputError
from nuanalysis.likelihood import _scan, circle, largest_tilt, tilt_ratios, tilted, turned
from nuanalysis.model import terms
from nuanalysis.sphere import vmf_ra_mean
from nuanalysis.trials import _deep

N_SKIES = 200


def one_circle(kind, dec):
    events = seen(kind)
    return circle(events, dec, events.shares(np.array([dec]))[0])


@pytest.mark.parametrize("kind", ["cascades", "narrow", "three samples", "several parts"])
@pytest.mark.parametrize("dec", [-0.7, 0.1, 1.2])
def test_the_ratio_of_a_tilt_is_the_plain_sum_over_all_events(kind, dec):
    """ln L(n_s) / L(0) of the stand-alone problem, every event by itself, its share of signal at most 0.9."""
    where, node = one_circle(kind, dec), np.array([0, 5, 12])
    most = largest_tilt(where)[node]
    sky = turned(seen(kind).right_ascension())
    for ra in (0.3, 4.0):
        whole = bare(point(ra, dec), READY[kind]())
        data = terms(whole)
        for part in (0.05, 0.3, 1.0):
            found = tilt_ratios(where, sky, np.array([ra]), node, part * most)[0]
            floor = data.scale * np.concatenate([p.lookup.mean[0] for p in whole.parts])
            wanted = []
            for g, n in zip(node, part * most, strict=True):
                held = np.minimum(n / data.n_events, 0.9 / (data.ratio[g][data.group] * floor))
                wanted.append(np.log1p(held * data.x(g)).sum())
            # The far events' series leaves 5e-10 an event at its end.
            assert found == pytest.approx(wanted, abs=2e-6)


def test_tilts_beyond_the_sums_are_refused():
    where, node = one_circle("cascades", 0.4), np.array([5])
    sky = turned(seen("cascades").right_ascension())
    with pytest.raises(InputError, match="stronger than"):
        tilt_ratios(where, sky, np.zeros(1), node, 1.01 * largest_tilt(where)[node])


@pytest.mark.parametrize("kind", ["cascades", "narrow"])
def test_tilted_right_ascensions_follow_one_plus_c_x(kind):
    """The mean of cos(gap to the source) of each event, over many draws, is that of its density."""
    ra, dec, node, draws = 2.0, 0.3, 2, 2000
    where, events = one_circle(kind, dec), seen(kind)
    n_signal, rng = float(0.2 * largest_tilt(where)[node]), np.random.default_rng(5)
    total = np.zeros(events.n_events)
    for _ in range(draws):
        plain = rng.uniform(0, 2 * np.pi, events.n_events)
        total += np.cos(tilted(where, ra, node, n_signal, plain, rng) - ra)
    # The mean of cos over a von Mises density is I1/I0; the share of signal c w <S> from the stand-alone problem.
    held = bare(point(ra, dec), READY[kind]())
    part, data = held.parts[0], terms(held)
    share = n_signal / data.n_events * data.ratio[node][data.group] * data.scale * part.lookup.mean[0]
    error, event_dec = (part.sample.array(c)[part.active] for c in ("angular_error", "declination"))
    kappa = np.cos(event_dec) * np.cos(dec) / error**2
    wanted = np.zeros(events.n_events)
    wanted[part.active] = np.minimum(share, 0.9) * i1e(kappa) / i0e(kappa)
    pull = (total / draws - wanted) * np.sqrt(2.0 * draws)
    assert (share > 0.9).any()  # some saturate
    quiet = wanted < 0.2  # their variance is still a half
    assert pull[quiet].mean() == pytest.approx(0.0, abs=4 / np.sqrt(quiet.sum()))
    assert pull[quiet].std() == pytest.approx(1.0, abs=0.1)
    assert np.abs(pull[~quiet]).max() < 5.0


def test_an_event_of_several_parts_is_drawn_from_each_as_they_share_its_mean():
    """Shares of the concentrations that are drawn against weights times densities averaged over right ascension."""
    dec, draws, rng = 0.3, 4000, np.random.default_rng(6)
    where, events = one_circle("several parts", dec), seen("several parts")
    first = np.flatnonzero(where.wide_number < len(events.error[0]))  # of the sample with three parts
    number, kernel = where.wide_number[first], events.kernels[0]
    assert len(kernel.weight) == 3
    kappa = 1.0 / (events.error[0][number] * kernel.scale[:, None]) ** 2
    line = kappa * events.cos_dec[0][number] * np.cos(dec)
    mean = kernel.weight[:, None] * vmf_ra_mean(np.arcsin(events.sin_dec[0][number]), dec, kappa)
    drawn = np.stack([_scan._concentration(where.wide[:, first], rng) for _ in range(draws)])
    nearest = np.argmin(np.abs(np.log(drawn[:, None] / line[None])), axis=1)  # (draw, event)
    for part in range(3):
        share, wanted = (nearest == part).mean(axis=0), (mean / mean.sum(axis=0))[part]
        error = np.sqrt(np.maximum(wanted * (1.0 - wanted), 1e-4) / draws)
        assert np.abs((share - wanted) / error).max() < 5.5
        assert wanted.max() - wanted.min() > 0.1  # else nothing was compared


@pytest.mark.parametrize("kind", ["cascades", "narrow"])
@pytest.mark.slow
def test_the_mean_weight_of_tilted_skies_is_one_and_their_tails_are_those_of_plain_skies(kind):
    events, search = seen(kind), trials.Search(4, 4)
    tilts = trials.sky_tilts(events, 4, 12.0)
    deep = trials.deep_sky_trials(events, table(), search, tilts, 3, 0, N_SKIES)
    plain = trials.sky_trials(events, table(), search, 4, 0, N_SKIES)
    weight = np.exp(deep[:, -1])
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / np.sqrt(N_SKIES))
    assert weight.std() / np.sqrt(N_SKIES) < 0.2
    for column in (0, len(trials.SPOT_COLUMNS)):
        for share in (0.5, 0.1):
            at = np.quantile(plain[:, column], share)
            met = weight * (deep[:, column] <= at)
            error = np.hypot(met.std() / np.sqrt(N_SKIES), np.sqrt(share * (1 - share) / N_SKIES))
            assert met.mean() == pytest.approx(share, abs=4 * error)


@pytest.mark.slow
def test_tails_that_no_plain_sky_reaches_do_not_depend_on_the_tilts():
    """The chance of a spot with TS 22, of the order of one in a thousand, from skies tilted for less and for more."""
    events, search, found = seen("cascades", free=False), trials.Search(4, 4), []
    for ts, seed in ((14.0, 3), (30.0, 4)):
        deep = trials.deep_sky_trials(events, table(), search, trials.sky_tilts(events, 4, ts), seed, 0, N_SKIES)
        most = np.maximum(deep[:, 1], deep[:, 1 + len(trials.SPOT_COLUMNS)])
        met = np.exp(deep[:, -1]) * (most >= 22.0)
        found.append((met.mean(), met.std() / np.sqrt(N_SKIES)))
    (one, error), (other, other_error) = found
    assert 1e-5 < one < 2e-3
    assert max(error / one, other_error / other) < 0.5
    assert one == pytest.approx(other, abs=3.5 * np.hypot(error, other_error))


def test_deep_skies_do_not_depend_on_how_they_are_cut():
    events, search = seen("narrow"), trials.Search(4, 8, 0.2, 0.1)
    tilts = trials.sky_tilts(events, 4, 16.0)
    whole = trials.deep_sky_trials(events, table(), search, tilts, 3, 0, 5)
    cut = [trials.deep_sky_trials(events, table(), search, tilts, 3, a, b) for a, b in ((0, 1), (1, 5))]
    assert np.array_equal(whole, np.concatenate(cut))
    assert whole.shape == (5, len(trials.DEEP_COLUMNS))
    drawn = [_deep.draw_tilted(events, tilts, 3, k).right_ascension for k in range(5)]
    assert any(not np.array_equal(d, trials.draw_sky(events, 3, k).right_ascension) for k, d in enumerate(drawn))
