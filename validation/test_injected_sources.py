"""Sources injected as Poisson events from the response into scrambled samples come back: n_s, index, and their errors.

On the synthetic cascades (SYNTHETIC, 59,592 events) and on the public tracks (real events, right ascensions scrambled);
soft (E^-3.2) and hard (E^-2), north, south, near both poles, and extended by 1.5 degrees.  Fits with a free index are
biased, for two reasons that ``test_a_source_that_is_as_the_likelihood_says_is_fitted_without_bias`` takes away:
events of a source have smaller angular errors than background of the same energy, which the likelihood does not use
(IceCube's neither: 748.0 fitted, 671.1 corrected), and the background is estimated from declination bins and a kernel
wider than the source, from events that hold the signal.  The bias is measured by such injections and corrected in what
is reported; printed here, and held within bounds.  Once corrected, a fit has the spread that its stated error says:
of ln n_s, since with a free index n_s itself is skew, and of the index, widths of pulls are 0.7 to 1.4, but for the
cases in ``NOT_MET``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from nuanalysis import simulate, trials
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, Where, prepare
from nuanalysis.model._place import place
from nuanalysis.model._prepare import join
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.sphere import offset, vmf_draw
from nuanalysis.trials._injection import signal_events

N_TRIALS, SEED = 480, 5
SIGMAS = 6.0  # injected strength in standard deviations of n_s under the null
SAMPLES = (("cascades-2023", "published"), ("cascades-2023", "complete"), ("tracks", "published"))
PLACES = {"north": (40.0, 0.0), "south": (-40.0, 0.0), "north pole": (78.0, 0.0), "south pole": (-78.0, 0.0),
          "extended north": (40.0, 1.5), "extended south": (-40.0, 1.5)}  # fmt: skip
INDICES = (3.2, 2.0)
WIDEST, LEAST = 1.45, 0.85  # of pulls; of the mean of fitted over injected
# What does not hold, and must fail until it does.  Of hard sources in the north the curvature promises too much: single
# energetic events have densities far below the background's.  Within 15 degrees of a pole no error from it is quoted
# (docs/decisions/0027).  A soft source near the northern pole is fitted too weak by 'complete' (docs/decisions/0034).
NOT_MET = {
    ("published", "north pole", 2.0): "pulls of ln n_s have a width of 1.47",
    ("complete", "north", 2.0): "pulls of ln n_s have a width of 1.59",
    ("complete", "extended north", 2.0): "pulls of ln n_s have a width of 1.46",
    ("complete", "north pole", 2.0): "pulls of ln n_s have a width of 1.74",
    ("complete", "north pole", 3.2): "0.78 of what is injected is fitted; 0.96 where the background is known",
}


@lru_cache
def ready(name, mirror, statistic="published"):
    """The samples; tracks are read from the public files."""
    return samples.load(sample_spec(name=name, signal="none", statistic=statistic), 1).seasons


def source(where, index):
    dec, extension = PLACES[where]
    one = PointSource(where, 2.0, float(np.radians(dec)), float(np.radians(extension)))
    return Hypothesis(f"point:{where}", Catalogue(where, where, (one,), (1.0,), "here"), index, True)


def strength(problem, sigmas):
    return float(sigmas * trials.uncertainty(problem)[int(np.argmin(abs(problem.index - problem.hypothesis.index)))])


def mean_and_error(values):
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(("name", "statistic"), SAMPLES)
def test_sources_come_back(name, statistic, where, index, mirror, capsys, request):
    if name == "cascades-2023" and (statistic, where, index) in NOT_MET:
        reason = NOT_MET[statistic, where, index]
        request.applymarker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))
    problem = prepare(source(where, index), ready(name, mirror, statistic))
    # The same events for every statistic, so that their biases can be compared.
    n = strength(prepare(source(where, index), ready(name, mirror)), SIGMAS)
    rows = trials.joint_trials((problem,), SEED, 0, N_TRIALS, (n,), ((0,),))
    found = dict(zip(trials.joint_columns(((0,),)), rows.T, strict=True))
    n_fit, n_error, fit, fit_error = (found[f"{c}_0_0"] for c in ("n_signal", "error", "index", "index_error"))
    ratio, ratio_error = mean_and_error(n_fit / n)
    shift, shift_error = mean_and_error(fit - index)
    # The correction comes from one half of the trials, the pulls from the other.
    known, asked = np.arange(N_TRIALS) % 2 == 0, np.arange(N_TRIALS) % 2 == 1
    sure = asked & np.isfinite(fit_error) & (n_fit > 0.0)
    factor, bias = np.median(n_fit[known]) / n, np.median(fit[known] - index)
    pulls = {
        "n_s": (n_fit[sure] / factor - n) / (n_error[sure] / factor),
        "ln n_s": np.log(n_fit[sure] / factor / n) / (n_error[sure] / n_fit[sure]),
        "index": (fit[sure] - bias - index) / fit_error[sure],
    }
    said = [
        f"{name} ({statistic}) {where} E^-{index:g}: {n:.1f} events injected; mean fit / injected {ratio:.3f} +- "
        f"{ratio_error:.3f}, median {factor:.3f}, spread {np.std(n_fit / n):.3f}; index {shift:+.3f} +- "
        f"{shift_error:.3f}, median {bias:+.3f}, spread {fit.std():.3f}",
        "  corrected, pulls: "
        + "; ".join(
            f"{what} {p.mean():+.2f} +- {p.std() / np.sqrt(len(p)):.2f}, width {p.std(ddof=1):.2f}"
            for what, p in pulls.items()
        )
        + f"; {np.mean(found['converged_0'] < 1):.3f} not converged, {np.mean(n_fit == 0.0):.3f} at zero",
    ]
    with capsys.disabled():
        print("\n" + "\n".join(said))
    assert LEAST < ratio < 1.8
    assert abs(shift) < 0.45
    # Half of the trials give the correction, half the pulls: both means have an error of about 1 / sqrt(240).
    # A skew distribution has a mean off its median: 0.25 of a width is allowed.
    for what in ("ln n_s", "index"):
        pull = pulls[what]
        assert abs(pull.mean()) < 0.25 + 3.0 * np.sqrt(2.0 / (N_TRIALS / 2)) * pull.std()
        assert 0.6 < pull.std(ddof=1) < WIDEST


# --- where the bias comes from ---------------------------------------------------------------------------------------


def matched(problem, part, drawn, rng):
    """The drawn energies; errors as those of background events of the same cell, directions as the fit assumes."""
    [one] = problem.hypothesis.target.sources
    at = np.full(len(drawn), one.right_ascension), np.full(len(drawn), one.declination)
    own = part.where.group  # of the active events
    order = np.lexsort((part.active, own))
    first = np.searchsorted(own[order], np.arange(len(part.densities.groups.row) + 1))
    group = part.densities.where(at[1], drawn.log10_energy, drawn.angular_error).group
    pick = order[first[group] + (rng.random(len(drawn)) * np.diff(first)[group]).astype(np.int64)]
    error = part.sample.array("angular_error")[part.active[pick]]
    psi = vmf_draw(1.0 / (error**2 + one.extension**2), rng)
    ra, dec = offset(*at, psi, rng.uniform(0.0, 2 * np.pi, len(drawn)))
    return simulate.Drawn(ra, dec, drawn.log10_energy, error)


def fit_of(problem, sources, n_mean, trial, *, errors, background):
    """n_s and index of one pseudo-experiment of a single sample.

    errors : angular errors of the source are those of background events.  background : it is known, that of the
    sample plus the mean of the injected signal, at each event's own declination and energy.
    """
    rng = np.random.Generator(np.random.Philox(key=[SEED, trial]))
    [part], [drawn] = problem.parts, signal_events(problem, sources, rng, n_mean)
    drawn = matched(problem, part, drawn, rng) if errors else drawn
    u = np.empty(len(part.active))
    draw_uniform(np.uint64(trial_key(SEED, trial, 0)), u)
    new = part.densities.where(drawn.declination, drawn.log10_energy, drawn.angular_error)
    there = place(part.space, part.seen(drawn.declination, drawn.angular_error, new))
    difference = np.concatenate(
        [part.lookup.difference_at(u), there.difference_at(there.position(drawn.right_ascension))], axis=1
    )
    [estimate] = [part.base] if background else trials._injection.backgrounds(problem, [drawn])
    seen = [np.concatenate([getattr(part.where, name), getattr(new, name)]) for name in ("fine", "group")]
    energy = part.densities.terms(Where(*seen), estimate)
    n_all = part.n_events + len(drawn)
    if background:
        mean = np.concatenate([part.lookup.mean[0], there.mean[0]])
        added = energy.at(trials.flux_node(problem)) * mean * len(drawn)
        energy = replace(energy, scale=energy.scale * n_all / (part.n_events + added))
    fit = maximise(join(problem, [difference], [energy], (len(drawn),)))
    return fit.n_signal / n_mean, fit.index - problem.hypothesis.index


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("where", ["north", "south"])
def test_a_source_that_is_as_the_likelihood_says_is_fitted_without_bias(where, index, mirror, capsys):
    """Without either cause n_s is right to 7 per cent and the index to 0.07; with both it is not.

    What is left are bins of sin(declination) and energy, and bands of the effective area that events cross.
    """
    problem = prepare(source(where, index), ready("cascades-2023", mirror))
    n, sources, count = strength(problem, 12.0), trials.emissions(problem), 120
    means = {}
    for errors in (False, True):
        for background in (False, True):
            found = np.array(
                [fit_of(problem, sources, n, k, errors=errors, background=background) for k in range(count)]
            )
            means[errors, background] = [mean_and_error(column) for column in found.T]
    with capsys.disabled():
        print(f"\ncascades-2023 {where} E^-{index:g}, {n:.0f} events, {count} trials: mean fit / injected, index")
        for (errors, background), ((ratio, e_ratio), (shift, e_shift)) in means.items():
            cause = f"errors {'as background' if errors else 'of the response':<15}, background " + (
                "known" if background else "estimated"
            )
            print(f"  {cause:<58} {ratio:.3f} +- {e_ratio:.3f}  {shift:+.3f} +- {e_shift:.3f}")
    (ratio, e_ratio), (shift, e_shift) = means[True, True]
    assert abs(ratio - 1.0) < 0.07 + 3 * e_ratio
    assert abs(shift) < 0.07 + 3 * e_shift
    plain, cured = means[False, False], means[True, True]
    assert abs(plain[1][0]) > abs(cured[1][0])
