"""Point sources against declination: the same numbers as one question at a time, exact small cases, identities."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm
from small_problem import BINNING, EVERYWHERE, sample, take, twin

from nuanalysis import trials
from nuanalysis.answers import _point_curve as curve_work
from nuanalysis.answers import curves as work
from nuanalysis.answers._ensembles import REACH_TS, injections, median_of, plain_scrambles, scrambles
from nuanalysis.answers._flux import Strength, potential_of, sensitivity_of
from nuanalysis.answers._point_curve import Plan, plain_ts, problems
from nuanalysis.answers._question import fit_data, pose
from nuanalysis.answers._sky import TABLE_DECLINATIONS
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Scrambles, run
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.library import samples
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import sky_events
from nuanalysis.likelihood.statistics import PUBLISHED
from nuanalysis.model import Sample
from nuanalysis.records import Unknown
from nuanalysis.response import cascades_2023
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.trials.streams import Stream, seed_of

SEED = 3


def alone(*parts):
    """One sample of the given seasons."""
    return Samples("small", "a small sample", parts, seed=SEED)


@lru_cache
def whole():
    return sample(900)


def halves():
    """The same events as two samples, every other event in each, both with half of the livetime."""
    events = whole().events
    out = []
    for k in range(2):
        half = take(events, np.arange(k, events.sizes["event"], 2))
        half = half.assign_attrs(livetime_s=events.attrs["livetime_s"] / 2)
        out.append(replace(whole(), name=f"half {k}", events=half))
    return tuple(out)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("ensembles"))


@pytest.fixture(scope="module")
def curves(bench):
    """curves(asked, season, ..): one sample of these seasons, every index."""

    @lru_cache
    def made(asked, *parts):
        return work.curves_of((alone(*parts),), plan_of(asked), asked.nodes(), bench)

    return made


def asked(*declinations, indices=(2.0,), **named):
    return work.Curves(declinations=declinations, indices=indices, **{"trials": 400, "injections": 700, **named})


def plan_of(asked):
    return Plan(asked.indices, asked.index_free, asked.trials, asked.injections)


def pair(measured):
    return measured.value, measured.error


def flux(curve, node=0):
    """Sensitivity and its error as a flux."""
    here = curve.least[node]
    return np.array([here.n_signal, here.error]) / curve.found[node].per_flux


def apart(a, b):
    """How many standard deviations two numbers with errors are apart."""
    return float(abs(a[0] - b[0]) / np.hypot(a[1], b[1]))


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.slow
def test_a_point_of_the_curve_is_what_one_question_says(curves, bench, free):
    """Background trials: the very same.  Strengths: other injections, so within 3 of their errors."""
    question = asked(20.0, indices=(2.4,), index_free=free)
    (curve,) = curves(question, whole())
    found = curve.found[0]
    problem = pose("point:0,20", alone(whole()), index=2.4, index_free=free)
    background = scrambles(problem, question.trials, REACH_TS, bench)
    assert np.array_equal(found.background["ts"].values, background["ts"].values)
    assert np.array_equal(found.background["log_weight"].values, background["log_weight"].values)
    injected = injections(problem, 800, 12.0, bench)
    theirs = sensitivity_of(problem, median_of(plain_scrambles(problem, 800, bench)), injected)
    assert isinstance(theirs, Strength)
    assert apart(flux(curve), pair(theirs.flux)) < 3.0
    ours = work.node_of(curve, 0, 20.0)
    theirs = potential_of(problem, background, injected, 5.0)
    assert ours.threshold_ts == theirs.threshold_ts
    assert apart(pair(ours.discovery_potential.flux), pair(theirs.flux)) < 3.0
    assert len(problem.prepared.index) == (1 if not free else 16)


def test_plain_scrambles_are_fits_of_scrambled_events_and_those_of_the_store(bench):
    plan = plan_of(asked(20.0))
    ((problem, _),) = problems(alone(whole()), plan, np.radians(20.0))
    plain = plain_ts(problem, 60)
    seed = seed_of(SEED, Stream.CURVE_SKIES)
    events = sky_events(problem.prepared)
    for k, place in ((0, 0), (3, 5)):
        drawn = trials.draw_sky(events, seed, k).right_ascension
        turned = (drawn - place * 2 * np.pi / 24) % (2 * np.pi)
        moved_events = whole().events.assign(right_ascension=("event", turned))
        ((moved, _),) = problems(alone(replace(whole(), events=moved_events)), plan, np.radians(20.0))
        assert fit_data(moved)[0].ts == pytest.approx(plain[k, place], abs=1e-6)
    stored = run((problem,), Scrambles(11, 1000), bench)
    assert ks_2samp(plain[:, ::3].ravel(), stored["ts"].values).pvalue > 0.001


def test_flux_times_acceptance_times_livetime_is_the_number_of_events(curves):
    """By hand: dN/dE = F / E^2 (E / 100 TeV)^(2 - index), times area and livetime, summed over true energy."""
    (curve,) = curves(asked(20.0, indices=(3.0,)), whole())
    response = whole().response
    edges = 10.0 ** response.array("log10_true_edges")
    band = np.searchsorted(response.array("sin_dec_edges"), np.sin(np.radians(20.0))) - 1
    # The integral of E^-3 over a bin, with dN/dE = F 1e3 GeV / (1e5 GeV)^2 at 1e5 GeV.
    number = 1e3 / 1e10 * 1e15 * (edges[:-1] ** -2.0 - edges[1:] ** -2.0) / 2.0
    by_hand = float(response.array("effective_area")[band] @ number) * whole().livetime
    assert curve.found[0].per_flux == pytest.approx(by_hand, rel=2e-3)  # the package integrates in steps of log E
    assert curve.per_flux(np.radians(20.0)) == pytest.approx(curve.found[0].per_flux)
    found = work.node_of(curve, 0, 20.0).sensitivity
    assert found.flux.value * curve.found[0].per_flux == pytest.approx(found.n_signal.value)
    assert pair(found.flux_1_tev) == pytest.approx([100.0 * part for part in pair(found.flux)])


def test_soft_signal_in_many_events_is_normal(curves):
    """A fixed index: a normal fit n, TS > 0 where n > 0, so 90 % of the skies of the sensitivity have n > 0.

    Without signal fewer than half do (the fit is skewed), which shifts the mean.  Signal adds its own Poisson noise.
    To 20 %: fits are biased by up to 14 % (60 pilot skies), the statistical error is 5 %.
    """
    (curve,) = curves(asked(-20.0, indices=(3.6,), index_free=False), sample(4000))
    found, n = curve.found[0], curve.least[0].n_signal
    assert found.median.ts == found.median.high == 0.0
    spreads = norm.ppf(0.9) - norm.ppf((found.plain > 0).mean())
    assert n == pytest.approx(spreads * np.sqrt(found.spread**2 + n), rel=0.2)


def test_north_and_south_of_a_symmetric_problem_agree(curves):
    """Events mirrored at the equator, area averaged with its mirror image."""
    events = take(twin(), np.arange(0, 1400, 2))
    mirrored = {
        name: ("event", np.concatenate([events[name].values, (-1.0 if name == "declination" else 1.0) * v]))
        for name in ("right_ascension", "declination", "log10_energy", "angular_error")
        for v in (events[name].values,)
    }
    both = events.isel(event=np.tile(np.arange(events.sizes["event"]), 2)).assign(mirrored)
    both = both.assign_attrs(livetime_s=events.attrs["livetime_s"] * 1400 / twin().sizes["event"])
    response = cascades_2023.response()
    area = response.dataset["effective_area"]
    even = response.dataset.assign(effective_area=area.copy(data=0.5 * (area.values + area.values[::-1])))
    mirror = Sample(
        "mirror", "mirror", both, replace(response, dataset=even), BINNING, 32, PUBLISHED, (0.0, 10.0), EVERYWHERE
    )
    (curve,) = curves(asked(-35.0, 35.0), mirror)
    assert curve.found[0].per_flux == pytest.approx(curve.found[1].per_flux)
    assert apart(flux(curve, 0), flux(curve, 1)) < 3.0
    assert flux(curve)[1] < 0.12 * flux(curve)[0]  # an error that says nothing would pass


@pytest.mark.slow
def test_two_halves_jointly_are_the_whole_and_better_than_one(curves):
    question = asked(-20.0, indices=(3.0,))
    (joint,), (one,), (all_of,) = (curves(question, *parts) for parts in (halves(), halves()[:1], (whole(),)))
    assert joint.found[0].per_flux == pytest.approx(all_of.found[0].per_flux)
    assert apart(flux(joint), flux(all_of)) < 3.0
    assert flux(joint)[0] < flux(one)[0]
    strong = [(c.upper_limit(np.radians(-20.0), 9.0), c.found[0].per_flux) for c in (joint, one)]
    (both, its_error), (single, other_error) = ((s.n_signal / f, s.error / f) for s, f in strong)
    assert both + 3.0 * np.hypot(its_error, other_error) < single


def test_no_sensitivity_is_below_ln_5_events(curves):
    """Half of the skies without a signal event stay below the median: 1 - exp(-n) / 2 >= 0.9."""
    (curve,) = curves(asked(50.0, indices=(1.0,)), sample(300))
    assert curve.least[0].n_signal > np.log(5.0) - 3.0 * curve.least[0].error


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_limit_at_a_node_is_that_of_fit_and_never_below_the_sensitivity(curves):
    (curve,) = curves(asked(-35.0, 20.0), whole())
    at = np.radians(20.0)
    found = curve.found[1]
    said = [curve.upper_limit(at, ts).n_signal for ts in (0.0, found.median.ts, 4.0, 9.0)]
    assert said[0] == said[1] == curve.least[1].n_signal
    assert said == sorted(said)
    assert len(set(said)) == 3
    n_injected, ts = found.injected["n_injected"].values, found.injected["ts"].values
    assert said[2] == trials.strength_for(n_injected, ts, threshold=trials.known_threshold(4.0), fraction=0.9).n_signal
    near = np.unique(n_injected)[np.argmin(np.abs(np.unique(n_injected) - said[2]))]
    share = (ts[n_injected == near] > 4.0).mean()
    assert share == pytest.approx(0.9, abs=0.15)  # some 30 skies there: 3 errors of 0.055


def test_limits_between_nodes_are_between_theirs_and_stay_beyond_them(curves):
    (curve,) = curves(asked(-35.0, 20.0), whole())
    low, high = (curve.upper_limit(d, 4.0) for d in np.radians([-35.0, 20.0]))
    middle = np.arcsin(0.5 * curve.sin_dec.sum())
    found = curve.upper_limit(middle, 4.0)
    assert found.n_signal == pytest.approx(0.5 * (low.n_signal + high.n_signal))
    assert found.error == pytest.approx(0.5 * np.hypot(low.error, high.error))
    assert curve.upper_limit(np.radians(70.0), 4.0) == high


def test_between_nodes_samples_together_follow_their_own_sensitivities():
    """By hand: two samples whose events per flux change by a factor between nodes, and a joint one at their quadrature.

    The joint number of events is that of the quadrature at the nodes, so it is everywhere; straight lines between the
    nodes would be up to twice as much.
    """

    class Known(curve_work.Curve):
        """A curve whose events per flux are given, as a function of declination."""

        def per_flux(self, declination):
            return self.index[0](declination)

    def curve(per_flux, *least, parts=()):
        found = tuple(SimpleNamespace(median=trials.known_threshold(0.0)) for _ in least)
        strengths = tuple(trials.Strength(n, 0.1) for n in least)
        return Known(alone(), None, tuple(np.radians([-30.0, 30.0])), (per_flux,), found, strengths, parts)

    first, second = curve(lambda d: 4.0, 8.0, 8.0), curve(lambda d: 10.0 ** (2.0 * np.sin(d)), 3.0, 3.0)

    def together(d):
        return 4.0 + 10.0 ** (2.0 * np.sin(d))

    def quadrature(d):
        return together(d) / np.hypot(4.0 / 8.0, 10.0 ** (2.0 * np.sin(d)) / 3.0)

    edges = np.radians([-30.0, 30.0])
    joint = curve(together, *(float(quadrature(d)) for d in edges), parts=(first, second))
    for d in np.radians([-30.0, -12.0, 0.0, 20.0]):
        assert joint.upper_limit(d, 0.0).n_signal == pytest.approx(quadrature(d))
    assert quadrature(0.0) > 1.2 * np.mean([quadrature(d) for d in edges])


@pytest.mark.slow
def test_limits_of_a_list_are_those_of_the_curve(bench):
    points = (PointSource("a", 1.0, 0.3), PointSource("b", 2.0, -0.5), PointSource("beyond", 2.0, 1.2))
    listed = Catalogue("three", "three", points, (1.0,) * 3, "by hand")
    question = asked(-35.0, 20.0, indices=(2.0, 3.0), sources=listed)
    answer = question.ask((alone(whole()),), bench)
    first, second = answer.curves
    assert [one.fitted for one in first.limits] == [one.fitted for one in second.limits]
    problem = pose(f"point:{np.degrees(1.0):.12g},{np.degrees(0.3):.12g}", alone(whole()))
    limits = {one.source: one for one in first.limits}
    assert limits["a"].fitted.ts == pytest.approx(fit_data(problem)[0].ts, abs=1e-6)
    assert [one.fitted.ts for one in first.limits] == sorted((one.fitted.ts for one in first.limits), reverse=True)
    for curve in answer.curves:
        assert {one.source: one.beyond_the_curve for one in curve.limits} == {"a": False, "b": False, "beyond": True}
        for one in curve.limits:
            hypothesis = plan_of(question).hypothesis(np.radians(one.at.dec_deg), curve.index)
            per_flux = fluxes.events_per_flux(hypothesis, (whole(),))
            assert one.limit.flux.value == pytest.approx(one.limit.n_signal.value / per_flux)
            assert one.limit.flux_1_tev.value == pytest.approx(one.limit.flux.value * 100.0 ** (curve.index - 2.0))
        at = np.interp(np.sin(0.3), curve.line.sin_dec, curve.line.sensitivity)
        (here,) = (one for one in curve.limits if one.source == "a")
        assert here.limit.flux.value >= 0.99 * at  # the line is drawn in steps


def test_what_lies_beyond_the_injections_is_no_number_but_a_reason(curves):
    (curve,) = curves(asked(20.0), whole())
    found = work.limit_at(curve, PointSource("loud", 0.0, np.radians(20.0)), np.array([900.0, 300.0, 2.0, 1.0]))
    assert isinstance(found.limit, Unknown)
    assert "beyond the largest" in found.limit.reason
    assert not found.is_sensitivity


def test_a_line_is_broken_at_a_node_without_a_number():
    x, at = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0])
    assert curve_work._broken_line(at, x, np.array([0.0, 1.0, 2.0, 3.0])).tolist() == (at + 1.0).tolist()
    broken = curve_work._broken_line(at, x, np.array([0.0, np.nan, 2.0, 3.0]))
    assert np.isfinite(broken).tolist() == [False, False, False, False, True, True, True]
    last = curve_work._broken_line(at, x, np.array([0.0, 1.0, 2.0, np.nan]))
    assert np.isfinite(last).tolist() == [True, True, True, True, False, False, False]
    assert np.isnan(curve_work._broken_line(at, x, np.full(4, np.nan))).all()
    assert curve_work._broken_line(at[:1], x[:1], np.array([7.0])).tolist() == [7.0]


def test_a_node_without_a_discovery_potential_is_marked_and_nothing_is_drawn_through_it(curves):
    (curve,) = curves(asked(-60.0, -35.0, 20.0), whole())
    few = replace(curve.found[1], background=curve.found[1].background.isel(trial=slice(0, 3)))
    broken = replace(curve, found=(curve.found[0], few, curve.found[2]))
    found = work._point_curve(broken, (-60.0, -35.0, 20.0), None, np.empty((0, 4)))
    assert isinstance(found.nodes[1].discovery_potential, Unknown)
    assert not isinstance(found.nodes[1].sensitivity, Unknown)
    assert None not in found.line.sensitivity
    missing = np.array([value is None for value in found.line.discovery_potential])
    assert missing.all()  # both stretches end at that node
    answer = work.CurvesAnswer(
        provenance=found.provenance,
        index_free=True,
        declinations=(-60.0, -35.0, 20.0),
        n_trials=400,
        n_injections=700,
        curves=(found,),
    )
    (drawn,) = answer.drawn()
    assert "declination -35 deg: no discovery potential, " in drawn.sidecar.caption
    (axes,) = drawn.figure.axes
    marks = [line for line in axes.lines if line.get_marker() == "x"]
    unknown = [node.dec_deg for node in found.nodes if isinstance(node.discovery_potential, Unknown)]
    assert [line.get_xdata().tolist() for line in marks] == [pytest.approx(np.sin(np.radians(unknown)))]
    words = [text.get_text() for legend in drawn.figure.legends for text in legend.get_texts()]
    assert "no 5σ discovery potential at this declination" in words
    assert "no sensitivity at this declination" not in words
    known = [node.model_copy(update={"discovery_potential": node.sensitivity}) for node in found.nodes]
    whole_answer = answer.model_copy(update={"curves": (found.model_copy(update={"nodes": tuple(known)}),)})
    assert ".." not in drawn.sidecar.caption
    assert "Crosses" not in whole_answer.drawn()[0].sidecar.caption


# --- what is refused -------------------------------------------------------------------------------------------------

REFUSED = [
    ({"declinations": (10.0, 10.0)}, "different declinations"),
    ({"declinations": (-84.0, 0.0)}, "none beyond 82 deg"),
    ({"declinations": (float("nan"),)}, "none beyond 82 deg"),
    ({"declinations": (1.0,), "step": 0.1}, "both given"),
    ({"step": 2.0}, "'step'"),
    ({"indices": (2.0, 2.0)}, "all different"),
    ({"indices": ()}, "one index or more"),
    ({"indices": (0.5,)}, "each 1 to 4"),
    ({"trials": 50}, "'trials'"),
    ({"injections": 50}, "'injections'"),
    ({"sources": "list-190"}, "Did you mean 'list-109'"),
    ({"sources": Catalogue("w", "", (PointSource("a", 1.0, 0.2, 0.1),), (1.0,), "")}, r"are extended \(a\)"),
]


@pytest.mark.parametrize(("values", "said"), REFUSED)
def test_wrong_input_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        work.Curves.of(**values)


def test_all_faults_are_told_at_once():
    with pytest.raises(InputError, match=r"(?s)all different.*82 deg.*'trials'") as caught:
        work.Curves.of(indices=(2.0, 2.0), declinations=(-84.0,), trials=5)
    assert "--" not in str(caught.value)


def test_the_usual_declinations_are_those_of_the_scan():
    assert np.isin(np.round(work.DECLINATIONS, 9), np.round(np.degrees(TABLE_DECLINATIONS), 9)).all()
    assert work.Curves().nodes() == work.DECLINATIONS


def test_steps_are_even_in_sine_and_stay_off_the_poles():
    found = np.sin(np.radians(work.Curves(step=0.11).nodes()))
    assert np.diff(found) == pytest.approx(0.11)
    assert found[[0, -1]] == pytest.approx([-0.99, 0.99])
    assert work.Curves(declinations=(30.0, -20.0)).nodes() == (-20.0, 30.0)


def test_a_sample_that_is_given_twice_is_refused(bench):
    with pytest.raises(InputError, match="expected different ones"):
        work.Curves(sources="").ask((alone(whole()), alone(whole())), bench)


@pytest.mark.slow
def test_numbers_of_the_full_sample_are_those_of_earlier_versions(mirror, bench):
    """Of the SYNTHETIC cascades with seed 1; background trials, fits of sources and energies, to rounding."""
    events = samples.load(samples.sample_spec(name="cascades-2023"), 1)
    question = work.Curves(declinations=(30.0,), indices=(3.0,), trials=300, injections=300)
    (curve,) = question.ask((events,), bench).curves
    (node,) = curve.nodes
    found = node.threshold_ts.value, node.threshold_p_error, node.events_per_flux, node.n_signal_spread
    assert found == pytest.approx((28.993137657067734, 0.23177953470395388, 107765448165198.0, 45.10895530958893))
    assert (node.energies.log10_low, node.energies.log10_high) == pytest.approx((2.889295337275238, 4.82484450514693))
    best = curve.limits[0]
    assert (best.source, len(curve.limits)) == ("PMN J1802-3940", 109)
    assert (best.fitted.ts, best.fitted.n_signal) == pytest.approx((9.304130548809333, 50.4168024199918))
