"""Projections: Asimov against exact cases, its table, and the question."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace

import numpy as np
import pytest
from small_problem import sample, template_hypothesis

import nuanalysis as nu
from nuanalysis import trials
from nuanalysis.answers import outlook as asked
from nuanalysis.answers._outlook_lines import arca, gen2_line
from nuanalysis.answers._outlook_trials import experiments, problem_of
from nuanalysis.answers.outlook import OutlookAnswer
from nuanalysis.errors import InputError
from nuanalysis.interpret.outlook import Asimov, Expected, asimov, expected, split_at, together
from nuanalysis.library import outlook as detectors
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.model import expected_rate, prepare
from nuanalysis.response import cascades_2023
from nuanalysis.simulate import YEAR
from nuanalysis.sphere import rings

BEST_FIT = 2.18e-11
NSIDE = 4
TILT = np.linspace(-2.0, 1.0, 12 * NSIDE**2)


@dataclass(frozen=True)
class Blind:
    """A line of a detector that sees the same at all dates."""

    name: str = "blind"
    seen: Asimov | None = None

    def at(self, years: float, flux: float) -> Asimov | None:
        return self.seen


BLIND = Blind()


def toy(signal: np.ndarray, background: float) -> Expected:
    """One part and one bin, background in each pixel a second."""
    return Expected(
        signal[None, None],
        TILT * signal[None, None],
        np.full((1, 1, 4 * NSIDE - 1), background),
        np.array([3.0, 4.0]),
        NSIDE,
    )


def ring_signal(rng: np.random.Generator) -> np.ndarray:
    return rng.random(12 * NSIDE**2)


def test_a_flat_signal_is_not_seen():
    found = asimov(toy(np.ones(12 * NSIDE**2), 10.0), 1.0, 1.0)
    assert found.ts == pytest.approx(0.0, abs=1e-12)
    assert found.precision == pytest.approx(0.0)


def test_a_weak_signal_has_the_ts_of_its_information():
    """TS = sum (s - s_m)^2 / b to first order, which is also one over the squared relative error."""
    signal = ring_signal(np.random.default_rng(1))
    found = asimov(toy(signal, 1e6), 1.0, 1.0)
    grid = rings(NSIDE)
    excess = signal - np.repeat(grid.mean(signal), grid.count)
    assert found.ts.sum() == pytest.approx((excess**2).sum() / 1e6, rel=1e-5)
    assert found.ts.sum() == pytest.approx(found.precision.sum(), rel=1e-5)


def test_the_formula_by_hand():
    signal, b = ring_signal(np.random.default_rng(2)), 3.0
    grid = rings(NSIDE)
    mean = np.repeat(grid.mean(signal), grid.count)
    by_hand = 2.0 * ((b + signal) * np.log(1.0 + (signal - mean) / (b + mean))).sum()
    assert asimov(toy(signal, b), 1.0, 1.0).ts.sum() == pytest.approx(by_hand)
    assert asimov(toy(signal, b), 1.0, 7.0).ts.sum() == pytest.approx(7.0 * by_hand), "proportional to livetime"
    assert asimov(toy(signal, b), 1.0, 1.0, area=7.0).ts.sum() == pytest.approx(7.0 * by_hand)


def test_rings_with_few_events_take_no_part_at_any_date():
    seen = toy(ring_signal(np.random.default_rng(3)), 0.05)  # 0.2 events in the polar rings of four pixels
    short, longer = asimov(seen, 1.0, 1.0), asimov(seen, 1.0, 1.0, longest_s=4.0)
    assert short.ts[0] == 0.0 < longer.ts[0]
    assert asimov(seen, 1.0, 4.0, longest_s=4.0).ts == pytest.approx(4.0 * longer.ts)
    assert asimov(seen, 1.0, 1.0, threshold=3.5).ts.sum() == 0.0


def test_samples_add_in_quadrature_and_split_by_declination():
    one = asimov(toy(ring_signal(np.random.default_rng(4)), 2.0), 1.0, 1.0)
    both = together((one, one))
    assert both.sigma == pytest.approx(np.sqrt(2.0) * one.sigma)
    assert both.relative_error == pytest.approx(one.relative_error / np.sqrt(2.0))
    assert both.share_between(np.array([-1.0, 0.0, 1.0])).sum() == pytest.approx(1.0)


def test_the_error_of_the_index_is_that_of_the_inverse_matrix():
    signal, b, flux, seconds = ring_signal(np.random.default_rng(5)), 3.0, 2.0, 7.0
    grid = rings(NSIDE)
    excess = [one - np.repeat(grid.mean(one), grid.count) for one in (flux * signal, flux * TILT * signal)]
    matrix = [[seconds * (a * c / (b + flux * signal)).sum() for a in excess] for c in excess]
    found = asimov(toy(signal, b), flux, seconds)
    assert found.index_error == pytest.approx(np.linalg.inv(matrix)[1, 1] ** 0.5)
    assert found.relative_error == pytest.approx(matrix[0][0] ** -0.5)
    assert together((found, found)).index_error == pytest.approx(found.index_error / np.sqrt(2.0))


def test_what_is_not_told_apart_has_no_error():
    """A change with the index that is the flux over again; a signal without structure."""
    signal = ring_signal(np.random.default_rng(6))
    alike = Expected(signal[None, None], 0.3 * signal[None, None], *astuple(toy(signal, 3.0))[2:])
    assert asimov(alike, 2.0, 7.0).index_error == np.inf
    nothing = asimov(toy(np.zeros(12 * NSIDE**2), 3.0), 2.0, 7.0)
    assert (nothing.relative_error, nothing.index_error) == (np.inf, np.inf)
    with pytest.raises(InputError, match="no structure in right ascension"):
        asked._rows(replace(BLIND, seen=nothing), (1.0,), (2.0,) * 3, 0.1)


def test_the_change_with_the_index_is_that_of_another_index():
    """Signal of the cascades with the index 2.65 and 2.75: bins of true energy are taken at their middles."""
    detector, pi0 = detectors.cascades(), read_hypothesis("template:pi0-like")
    low, high = (expected(detector, replace(pi0, index=index)).signal for index in (2.65, 2.75))
    tilt = expected(detector, pi0).tilt
    assert tilt.sum(axis=2) == pytest.approx(
        (high - low).sum(axis=2) / 0.1, rel=0.02, abs=0.01 * tilt.sum(axis=2).max()
    )


def test_the_cascades_are_expected_as_they_are_drawn():
    detector = detectors.cascades()
    assert detector.background.rate.sum() * cascades_2023.LIVETIME_S == pytest.approx(cascades_2023.N_EVENTS)
    table = cascades_2023.marginals()
    seen = detector.background.rate.sum(axis=1) * cascades_2023.LIVETIME_S
    assert seen == pytest.approx(table.sin_dec[:, 0], rel=1e-3)
    pi0 = read_hypothesis("template:pi0-like")
    seen = expected(detector, pi0)
    grid = rings(seen.nside)
    assert (seen.background * grid.count).sum() == pytest.approx(detector.background.rate.sum(), rel=0.01)
    per_flux = trials_events(pi0)
    assert seen.signal.sum() * cascades_2023.LIVETIME_S == pytest.approx(per_flux, rel=0.01)
    fine = split_at(detector.background, np.log10([5e3, 3e4]))
    assert fine.rate.sum(axis=1) == pytest.approx(detector.background.rate.sum(axis=1))
    assert np.log10(5e3) in fine.log10_energy_edges


def trials_events(hypothesis) -> float:
    rate = expected_rate(hypothesis, cascades_2023.response(), hypothesis.spectrum)
    return rate * cascades_2023.LIVETIME_S / 1e7


@pytest.mark.real_data
def test_the_table_of_arca(mirror):
    """Asimov significances of pi0 at its best fit, rings by the date itself: 1.54, 2.80, 3.65, 5.26, 6.45."""
    pi0 = read_hypothesis("template:pi0")
    parts = [expected(detectors.arca(channel), pi0) for channel in ("tracks", "showers")]
    for years, sigma in ((1, 1.54), (3, 2.80), (5, 3.65), (10, 5.26), (15, 6.45)):
        found = together(tuple(asimov(one, BEST_FIT, years * YEAR) for one in parts))
        assert found.sigma == pytest.approx(sigma, abs=0.15)
    cascades = asimov(expected(detectors.cascades(), pi0), BEST_FIT, detectors.live_years(2030) * YEAR)
    assert 5.6 < cascades.sigma < 6.6, "never 7 to 8 from cascades alone"
    assert detectors.live_years(2030) == pytest.approx(18.9, abs=0.05)


YEARS = (1, 3, 5, 10, 15)
CHANNELS = ("tracks", "showers")


@pytest.mark.real_data
def test_both_detectors_add_in_quadrature_at_all_dates(mirror):
    """Row 9 of the plan.  Its joint table, 3.96, 4.60, 5.16, 6.40 and 7.41, holds today's cascades at 3.65.

    With that number beside our ARCA it is met; our cascades are at 4.0, and at 4.3 with the rings of the end of 2030,
    so that what we state lies 0.2 to 0.6 above it.
    """
    pi0 = read_hypothesis("template:pi0")
    seen = {name: expected(detectors.arca(name), pi0) for name in CHANNELS}
    cascades = expected(detectors.cascades(), pi0)
    rings = {"longest_s": detectors.live_years(2030) * YEAR}
    today = asimov(cascades, BEST_FIT, cascades_2023.LIVETIME_S)
    later = asimov(cascades, BEST_FIT, cascades_2023.LIVETIME_S, **rings)
    assert (today.sigma, later.sigma) == pytest.approx((4.00, 4.28), abs=0.03)
    theirs, joint = [], []
    for years in YEARS:
        parts = tuple(asimov(one, BEST_FIT, years * YEAR) for one in seen.values())
        theirs.append(together(parts).sigma)
        joint.append(together((later, *parts)).sigma)
    assert joint == pytest.approx([4.53, 5.11, 5.64, 6.78, 7.81], abs=0.05)
    assert joint == pytest.approx(np.hypot(later.sigma, theirs), abs=0.2)
    assert np.hypot(3.65, theirs) == pytest.approx([3.96, 4.60, 5.16, 6.40, 7.41], abs=0.2)


GEN2 = {5.0: (10.80, 8.9, 9.3), 10.0: (9.27, 7.0, 9.0), 20.0: (7.37, 6.0, 7.5), 30.0: (6.26, 4.8, 7.2)}


@pytest.mark.real_data
def test_gen2_beside_the_ranges_of_the_plan(mirror):
    """Row 11 of the plan: ours and its range above 5, 10, 20, 30 TeV.  20 and 30 lie inside; 5 and 10 do not.

    Our cascades of today are at 4.53 with every ring where the plan has 4.2.  That factor, 0.93, brings 10 TeV inside
    and the number without a threshold to the plan's 11.8; 5 TeV stays above: the plan finds a greater share below it.
    """
    pi0 = read_hypothesis("template:pi0")
    known, seen = expected(detectors.cascades(), pi0), expected(detectors.gen2_cascades(), pi0)
    factor = 4.2 / asimov(known, BEST_FIT, cascades_2023.LIVETIME_S, least=0.0).sigma
    assert factor == pytest.approx(0.928, abs=0.01)
    inside, scaled = [], []
    for threshold, (ours, low, high) in GEN2.items():
        found = gen2_line(seen, threshold).at(10.0, BEST_FIT).sigma
        assert found == pytest.approx(ours, abs=0.05)
        inside.append(low <= found <= high)
        scaled.append(low <= factor * found <= high)
    assert inside == [False, False, True, True]
    assert scaled == [False, True, True, True]
    assert factor * gen2_line(seen, 0.0).at(10.0, BEST_FIT).sigma == pytest.approx(11.8, abs=0.3)


@pytest.mark.real_data
@pytest.mark.slow
def test_the_command_answers_in_json(mirror, call):
    code, out, err = call("outlook", "--trials", 0, "--years", 10, "--until", 2030, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["provenance"]["origin"] == "synthetic"
    sigma = {one["detector"]: one["sigma"] for one in document["dates"]}
    wanted = {asked.ICECUBE: 6.0, asked.ARCA: 5.34, asked.BOTH: 8.02, asked.GEN2: 9.27}
    assert {name: sigma[name] for name in wanted} == pytest.approx(wanted, abs=0.05)


@pytest.mark.real_data
@pytest.mark.slow
def test_experiments_agree_with_asimov(mirror):
    """Forty of ten years of ARCA's showers, with the likelihood of the analysis, at twice the published flux."""
    pi0, flux, years = read_hypothesis("template:pi0"), 2.0 * BEST_FIT, 10.0
    made = experiments(problem_of(pi0, ("arca230-showers",), (years,), 21), flux, 40)
    line = arca(pi0)
    found = asked.trial_of("showers", years, made, replace(line, parts=line.parts[1:]).at(years, flux))
    assert found.n_trials == len(made.ts) == 40
    assert len(made.null_ts) == 6 * 40
    assert found.sigma.value == pytest.approx(found.asimov, abs=0.3 + 3.0 * found.sigma.error)
    assert found.bias.value == pytest.approx(1.0, abs=0.1 + 3.0 * found.bias.error)
    assert found.error == pytest.approx(found.asimov_error, rel=0.4)  # 14 per cent from forty


@pytest.mark.real_data
@pytest.mark.slow
def test_the_question(mirror, tmp_path):
    found = nu.outlook(hypothesis="template:pi0-like", flux=2e-11, trials=0, years=(1.0, 10.0))
    assert found.provenance.origin == "synthetic"
    assert found.headline()[0].startswith("PROJECTION")
    rows = {(one.detector, one.years): one for one in found.dates}
    ten, one = rows[asked.ARCA, 10.0], rows[asked.ARCA, 1.0]
    assert ten.sigma == pytest.approx(np.sqrt(10.0) * one.sigma), "the same rings at all dates"
    alone = rows[asked.ICECUBE, detectors.live_years(2030)]
    assert rows[asked.BOTH, 10.0].sigma == pytest.approx(np.hypot(alone.sigma, ten.sigma))
    assert ten.index_error == pytest.approx(one.index_error / np.sqrt(10.0))
    assert ten.with_floor == pytest.approx(np.hypot(ten.error, found.floor))
    assert found.floor == pytest.approx(np.hypot(0.05, 1.7 * np.log(1.05)), rel=1e-6)
    assert ten.least == ten.most == ten.sigma, "a flux that was said has no error"
    assert len(found.gen2) == 24
    by = {(one.threshold, one.area, one.width): one.sigma for one in found.gen2}
    assert by[5.0, 13.0, 1.0] == pytest.approx(np.sqrt(13.0 / 5.0) * by[5.0, 5.0, 1.0], rel=0.02)
    assert by[5.0, 8.0, 0.5] > by[5.0, 8.0, 1.0] > by[30.0, 8.0, 1.0]
    for row in found.declinations:
        assert sum(row.shares) == pytest.approx(1.0)
    for one in found.drawn():
        assert "PROJECTION" in one.figure.get_suptitle()
        assert "PROJECTION" in one.sidecar.caption
        assert "2402.08363" in one.sidecar.caption
    assert (
        OutlookAnswer.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))).to_dict() == found.to_dict()
    )
    assert max(map(len, str(found).splitlines())) <= 80
    paths = [path.name for path in found.write(tmp_path)]
    assert "outlook-projection-synthetic.json" in paths
    assert json.loads((tmp_path / "outlook-projection-synthetic.json").read_text())["rule"] == asked.RULE


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hypothesis": "template:pi0-like"}, "no best fit of 'template:pi0-like' was published"),
        ({"hypothesis": "stack:snr", "flux": 1e-11}, "is no template"),
        ({"trials": 10}, "expected 30 or more"),
        ({"years": ()}, "expected 0.1 to 40"),
    ],
)
def test_what_cannot_be_asked(settings, said):
    with pytest.raises(InputError, match=said):
        nu.outlook(**settings)


# ---- one flux for several detectors -------------------------------------------------------------------------------


def test_separate_fluxes_explain_more_than_a_common_one():
    """Two copies of a sample: separate fits gain a chi-square with one degree of freedom over the joint one."""
    prepared = prepare(template_hypothesis(), (sample(seed=5, name="one"), sample(seed=6, name="other")))
    rows = trials.consistency_trials(prepared, ((0,), (1,)), 5, 0, 40, 200.0)
    excess = rows[:, 3] + rows[:, 5] - rows[:, 1]
    assert excess.min() > -1e-6
    assert 0.3 < excess.mean() < 2.5
    joint, one, other = rows[:, 0], rows[:, 2], rows[:, 4]
    assert (np.minimum(one, other) - 1e-3 <= joint).all()
    assert (joint <= np.maximum(one, other) + 1e-3).all()
