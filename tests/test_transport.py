"""The gradient of delta: what the family sends, profiles on shared skies, intervals, and the question itself."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from small_problem import sample, template_hypothesis, whole

import nuanalysis as nu
from nuanalysis import trials
from nuanalysis.answers import _transport_family
from nuanalysis.answers.transport import Transport, TransportAnswer
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.engine.progress import Silent
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.interpret import transport
from nuanalysis.library.templates import open_template
from nuanalysis.likelihood import ts_at
from nuanalysis.model import prepare, terms
from nuanalysis.sky.galaxy import GAS

SIGMA = 0.012
MEMBERS = np.array([0.0, 0.01, 0.02, 0.035, 0.05, 0.06])
# gas, A: E^2 dN/dE at 5 TeV inner and outer (1e-11 TeV cm^-2 s^-1 sr^-1), ratio, indices, LHAASO ratio at 25 TeV.
TABLE = {
    ("bronfman-ferriere", 0.0): (3.8, 1.32, 2.86, 2.59, 2.59, 2.74),
    ("bronfman-ferriere", 0.035): (9.4, 1.18, 8.0, 2.48, 2.60, 6.4),
    ("nakanishi-sofue", 0.0): (5.3, 0.95, 5.6, 2.59, 2.59, 5.7),
    ("nakanishi-sofue", 0.035): (17.7, 0.84, 21.0, 2.45, 2.60, 16.6),
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(cache: Path):
    """Templates are built once for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUANALYSIS_CACHE", str(cache))
        yield


def test_delta_is_the_same_at_the_sun_for_every_member():
    for slope in MEMBERS:
        assert slope * 8.5 + transport.centre(float(slope)) == pytest.approx(0.5)
    assert transport.template_name("ferriere", 0.06) == "kra-gamma-like-5?gas=ferriere&slope=0.06&centre=-0.01"


def small_name(gas: str, slope: float) -> str:
    return f"{transport.template_name(gas, slope)}&nside=64"


@pytest.mark.parametrize(("gas", "slope"), TABLE)
@pytest.mark.slow
def test_the_family_sends_what_an_independent_code_found(gas, slope):
    found = transport.member(open_template(small_name(gas, slope)))
    seen = (found.inner * 1e11, found.outer * 1e11, found.ratio, found.inner_index, found.outer_index, found.lhaaso)
    assert seen == pytest.approx(TABLE[gas, slope], rel=0.03)


def test_what_was_measured_stands_beside_it():
    assert transport.measured(transport.INNER).value == 21.4e-11
    best, low, high = transport.measured_ratio()
    assert (best, low, high) == pytest.approx((5.0, 3.0, 12.0), rel=0.05)
    assert transport.measured_lhaaso() == pytest.approx(2.26, abs=0.05)


# --- intervals of a normal fit whose parameter has two ends -------------------------------------------------------


def parabolas(truth: float, n: int, seed: int) -> np.ndarray:
    """TS of n normal experiments at the members, of width SIGMA: (sky, member)."""
    fits = np.random.default_rng(seed).normal(truth, SIGMA, n)
    return 30.0 - ((MEMBERS - fits[:, None]) / SIGMA) ** 2


@lru_cache
def normal_critical(n: int = 20_000) -> trials.Critical:
    drawn = [trials.along(MEMBERS, parabolas(float(truth), n, k)) for k, truth in enumerate(MEMBERS)]
    return trials.family_critical(tuple(drawn), 0.68)


def test_critical_values_are_those_of_a_bounded_normal_at_the_end_and_of_chi_square_inside():
    """At the end half of the fits lie on it: P(z^2 < c, z > 0) = 0.18; beside it Feldman and Cousins, section IV B."""
    critical = normal_critical()
    assert critical.tau[0] == pytest.approx(NormalDist().inv_cdf(0.68) ** 2, abs=4 * critical.errors[0])
    assert critical.tau[0] == pytest.approx(critical.tau[-1], abs=6 * critical.errors[0])
    inside = trials.bounded_critical(MEMBERS[1:4] / SIGMA, 0.68)
    assert critical.tau[1:3] == pytest.approx(inside[:2], abs=5 * critical.errors[1:3].max())
    assert critical.tau[3] == pytest.approx(NormalDist().inv_cdf(0.84) ** 2, abs=0.05)  # the far end is 2 sigma away


def test_intervals_of_a_normal_fit():
    critical = normal_critical()
    middle = trials.along(MEMBERS, 9.0 - ((MEMBERS[None] - 0.03) / SIGMA) ** 2)
    low, high = (float(end[0]) for end in trials.family_ends(middle, critical))
    assert middle.best[0] == pytest.approx(0.03, abs=1.3e-4)
    assert (low, high) == pytest.approx((0.03 - 0.99 * SIGMA, 0.03 + 0.99 * SIGMA), abs=5e-4)
    below = trials.along(MEMBERS, 9.0 - ((MEMBERS[None] + 0.01) / SIGMA) ** 2)
    low, high = (float(end[0]) for end in trials.family_ends(below, critical))
    assert (float(below.best[0]), low) == (0.0, 0.0)
    assert 0.0 < high < 0.99 * SIGMA


@pytest.mark.parametrize("truth", [0.0, 0.004, 0.015, 0.0275, 0.042, 0.06])
def test_intervals_hold_68_percent_of_truths_at_members_and_between_them(truth):
    n = 10_000
    profile = trials.along(MEMBERS, parabolas(truth, n, 99))
    low, high = trials.family_ends(profile, normal_critical())
    covered = np.mean((low - 1e-9 <= truth) & (truth <= high + 1e-9))
    # 1 %: the experiments behind the critical values, and ends that are steps of the curve.
    assert covered == pytest.approx(0.68, abs=0.01 + 3 * np.sqrt(0.68 * 0.32 / n))


def test_what_cannot_be_read_is_refused():
    with pytest.raises(InputError, match="3 or more rising"):
        trials.along(np.array([0.0, 0.02, 0.01]), np.zeros((1, 3)))


class Held:
    """What ``reading_held`` takes of a family: the models grow brighter with A."""

    slopes, model = MEMBERS, 200.0 * np.exp(30.0 * MEMBERS)
    ts_held = 25.0 - ((model - 260.0) / 40.0) ** 2


def test_a_held_norm_is_a_parabola_in_the_events_of_the_model():
    """Its best A is where the model has the events that are there; far members do not pull the curve aside."""
    skies = (np.tile(Held.ts_held, (20, 1)),) * 6
    read = _transport_family.reading_held(Held, skies)
    assert read.data.best[0] == pytest.approx(np.log(260.0 / 200.0) / 30.0, abs=2e-4)


def test_models_brighter_than_the_events_allow_are_left_out():
    def skies(n):
        return (np.tile(np.where(np.arange(6) < n, Held.ts_held, -np.inf), (20, 1)),) * 6

    assert _transport_family.reading_held(Held, skies(4)).critical.members.tolist() == MEMBERS[:4].tolist()
    with pytest.raises(PrecisionError, match="own flux"):
        _transport_family.reading_held(Held, skies(2))


# --- shared skies against separate fits ---------------------------------------------------------------------------


@lru_cache
def three():
    """Three shapes on two small samples, prepared."""
    parts = (sample(2500, seed=3), sample(1500, seed=4, name="other"))
    return tuple(prepare(template_hypothesis(index), parts) for index in (2.2, 2.7, 3.2)), parts


@pytest.mark.parametrize("truth", [0, 2])
def test_members_fitted_on_shared_skies_are_as_in_separate_fits(truth):
    problems, _ = three()
    held = (3.0, 10.0, 20.0)
    rows = trials.family_trials(problems, 9, 4, 7, truth, 40.0, held).reshape(3, 3, 3)
    names, models = trials.joint_columns(((0,), (1,))), ((0,), (1,))
    for row, trial in zip(rows, range(4, 7), strict=True):
        for j in {0, 1, 2} - {truth}:  # two hypotheses at a time, by the code of joint fits
            both = (problems[truth], problems[j])
            joint = trials.joint_trials(both, 9, trial, trial + 1, (40.0, 0.0), models)[0]
            found = dict(zip(names, joint, strict=True))
            for m, k in enumerate((truth, j)):
                assert row[k, :2] == pytest.approx((found[f"ts_{m}"], found[f"n_signal_{m}_{m}"]), rel=1e-4, abs=1e-6)
        assert np.all(row[:, 2] <= row[:, 0] + 1e-9)


def test_the_data_are_fitted_as_the_public_fit_does():
    problems, parts = three()
    found = trials.family_fits(tuple(terms(one) for one in problems), (5.0,) * 3)
    for k, index in enumerate((2.2, 2.7, 3.2)):
        public = nu.fit(whole(*parts), template_hypothesis(index), injections=0, precision=0.3).fitted
        assert found[3 * k : 3 * k + 2] == pytest.approx([public.ts, public.n_signal], rel=1e-9)
        assert found[3 * k + 2] == pytest.approx(ts_at(terms(problems[k]), 5.0), rel=1e-9)


def test_trials_do_not_depend_on_where_they_are_cut():
    problems, _ = three()
    whole_run = trials.family_trials(problems, 9, 0, 4, 1, 20.0, (1.0,) * 3)
    parts = [trials.family_trials(problems, 9, a, b, 1, 20.0, (1.0,) * 3) for a, b in ((0, 1), (1, 4))]
    assert np.array_equal(whole_run, np.vstack(parts))


def test_a_free_index_is_refused():
    problems, parts = three()
    free = prepare(replace(template_hypothesis(), index_free=True), parts)
    with pytest.raises(InputError, match="free index"):
        trials.family_trials((problems[0], free), 9, 0, 1, 0, 5.0, (1.0, 1.0))


# --- the question -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answer(tmp_path_factory) -> TransportAnswer:
    """Two samples at once, one gas model."""
    asked = Transport.of(gas=["nakanishi-sofue"], slopes=[0.0, 0.035, 0.06], trials=100)
    both = whole(sample(2500, seed=3)), replace(whole(sample(1500, seed=4, name="other")), name="other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_transport_family, "template_name", small_name)
        return asked.ask(both, Bench(tmp_path_factory.mktemp("bench"), Serial(), Silent()))


@pytest.mark.slow
def test_the_answer_says_norm_interval_and_envelope(answer):
    [one] = answer.gases
    assert answer.provenance.sample == "small + other"
    assert answer.provenance.n_events == 4000
    assert answer.envelope.low == one.free.interval.low
    assert answer.envelope.high == one.free.interval.high
    assert one.free.interval.low <= one.free.best <= one.free.interval.high
    ts = [point.ts for point in one.points]
    assert one.free.gain == pytest.approx(max(ts) - ts[0], abs=0.5)
    assert [row.slope for row in one.sends] == [0.0, 0.035, 0.06]
    assert one.sends[1].inner == pytest.approx(17.7e-11, rel=0.03)
    for point, row in zip(one.points, one.expected, strict=True):
        assert point.norm.value * row.n_injected == pytest.approx(point.norm.value**2 * _model(point, row), rel=1e-6)
        assert row.low <= row.median <= row.high
    assert answer.measured.ratio == pytest.approx(4.98, abs=0.01)


def _model(point, row) -> float:
    """Events of the model: the injected ones over the norm."""
    return row.n_injected / point.norm.value if point.norm.value else 0.0


@pytest.mark.slow
def test_the_answer_speaks_of_the_gradient_of_delta_alone(answer):
    said = str(answer) + " ".join(one.sidecar.caption + one.sidecar.alt for one in answer.drawn())
    assert "radient of delta" in said
    assert "diffusion coefficient" not in said
    caption = answer.drawn()[0].sidecar.caption
    assert "arXiv:1504.00227" in caption
    assert GAS["nakanishi-sofue"].reference in caption
    assert TransportAnswer.from_dict(answer.to_dict()).to_dict() == answer.to_dict()


@pytest.mark.slow
def test_a_preference_that_hangs_on_the_norm_is_no_result(answer):
    [one] = answer.gases
    with_gradient, without = (
        one.free.model_copy(update={"interval": one.free.interval.model_copy(update={"low": low, "high": 0.05})})
        for low in (0.01, 0.0)
    )
    said = [
        one.model_copy(update={"free": free, "held": held}).verdict
        for free in (with_gradient, without)
        for held in (with_gradient, without)
    ]
    assert said == [
        "a gradient above 0 with the norm free and held",
        "a gradient above 0 only with the norm free: no result",
        "a gradient above 0 only with the norm held: no result",
        "no gradient asked for",
    ]


def test_bad_settings_are_refused_at_once():
    with pytest.raises(InputError, match=r"no gas model 'ferrier'. Did you mean 'ferriere'(?s:.*)rising"):
        Transport.of(gas=("ferrier",), slopes=(0.0, 0.0, 0.01))
    with pytest.raises(InputError, match="named twice"):
        Transport.of(gas=("ferriere", "ferriere"))
    with pytest.raises(InputError, match=r"expected -0\.05 to 0\.07"):
        Transport.of(slopes=(0.0, 0.05, 0.1))


@pytest.mark.real_data
@pytest.mark.slow
def test_the_command_answers_in_json(mirror, call, monkeypatch):
    """Ten years of ARCA's showers, three members of one gas model."""
    monkeypatch.setattr(_transport_family, "template_name", small_name)
    code, out, err = call(
        "transport", "--sample", "arca230-showers", "--years", 10, "--gas", "nakanishi-sofue",
        "--slopes", "0,0.035,0.06", "--trials", 100, "--json",
    )  # fmt: skip
    assert code == 0, err
    document = json.loads(out)
    [one] = document["gases"]
    assert document["provenance"]["origin"] == "synthetic"
    assert [point["slope"] for point in one["points"]] == [0.0, 0.035, 0.06]
    assert document["envelope"]["low"] <= one["free"]["best"] <= document["envelope"]["high"]
    assert one["sends"][1]["inner"] == pytest.approx(17.7e-11, rel=0.03)
