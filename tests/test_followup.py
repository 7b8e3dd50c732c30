"""Time windows around an alert: the likelihood, its trials, limits and texts against slow twins and exact limits."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from small_problem import sample

from nuanalysis import trials
from nuanalysis.answers import question
from nuanalysis.answers._followup import chance_of, own_events, spectrum_of_nowhere
from nuanalysis.answers.followup import Followup, FollowupAnswer
from nuanalysis.answers.followup_text import follow_up_text
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.interpret import time_windows
from nuanalysis.interpret.alert_regions import alert_region, places_of
from nuanalysis.library import samples
from nuanalysis.library.icecat import known_alert
from nuanalysis.library.observing import NO_GOOD_RUNS, good_runs, season_at
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import Places, burst_of, window_fit, yardstick
from nuanalysis.likelihood.window_kernels import best_count, poisson
from nuanalysis.model.kernels import trial_key
from nuanalysis.records import Measured
from nuanalysis.selection import Runs, resolution_s, window
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sphere import cos_separation, vmf_density

NOBODY = np.empty(0, dtype=np.int64)
AT = Places(np.array([1.2]), np.array([0.3]), np.zeros(1))


# ---- the likelihood -----------------------------------------------------------------------------------------------


def slow_ts(ratio: np.ndarray) -> tuple[float, float]:
    """Maximum of the log-likelihood ratio by a bounded search."""

    def minus(n: float) -> float:
        return -2.0 * float(-n + np.log1p(n * ratio).sum())

    found = optimize.minimize_scalar(minus, bounds=(0.0, len(ratio) + 1.0), method="bounded", options={"xatol": 1e-9})
    return (float(found.x), -float(found.fun)) if found.fun < 0 else (0.0, 0.0)


@pytest.mark.parametrize("scale", [-2.0, 0.0, 1.0, 4.0])
def test_the_best_count_is_the_maximum(scale):
    rng = np.random.default_rng(3)
    for _ in range(50):
        ratio = 10.0 ** (scale + rng.normal(size=rng.integers(1, 8)))
        n_signal, ts = best_count(ratio, len(ratio))
        slow_n, slow = slow_ts(ratio)
        assert ts == pytest.approx(slow, abs=1e-6)
        assert n_signal == pytest.approx(slow_n, abs=1e-3)


def test_one_event_has_the_count_that_can_be_worked_out():
    assert best_count(np.array([50.0]), 1) == pytest.approx((1 - 1 / 50, 2 * (-(1 - 1 / 50) + np.log(50.0))))
    assert best_count(np.array([0.99]), 1) == (0.0, 0.0)
    assert best_count(np.empty(0), 0) == (0.0, 0.0)


def test_a_fit_reads_the_densities_of_the_house():
    season = sample(2000)
    stick = yardstick(spectrum_of_nowhere(2.5), season)
    dec, energy, error, ra = (
        season.array(name)[:40] for name in ("declination", "log10_energy", "angular_error", "right_ascension")
    )
    found = window_fit(burst_of(stick, dec, energy, error), ra, 12.0, AT)
    where = stick.densities.where(dec, energy, error)
    spatial = vmf_density(cos_separation(ra, dec, AT.right_ascension[0], AT.declination[0]), error**-2.0)
    slow = spatial * stick.densities.terms(where, stick.background).at(0) / 12.0
    np.testing.assert_allclose(found.ratio, slow, rtol=1e-9, atol=1e-12)
    assert found.ts == pytest.approx(slow_ts(slow)[1], abs=1e-6)


def test_a_region_takes_the_largest_sum_of_ts_and_penalty():
    stick = yardstick(spectrum_of_nowhere(2.5), sample(2000))
    dec, ra = np.array([0.31, 0.29]), np.array([1.25, 1.24])
    burst = burst_of(stick, dec, np.full(2, 4.5), np.full(2, 0.03))
    many = Places(np.array([1.2, 1.25, 1.3]), np.full(3, 0.3), np.array([0.0, -3.0, -9.0]))
    each = [window_fit(burst, ra, 5.0, Places(*(c[[k]] for c in (many.right_ascension, many.declination)), np.zeros(1)))
            for k in range(3)]  # fmt: skip
    found = window_fit(burst, ra, 5.0, many)
    assert found.ts == pytest.approx(max(0.0, *(one.ts + p for one, p in zip(each, many.penalty, strict=True))))
    far = window_fit(burst, ra + 2.0, 5.0, many)
    assert (far.ts, far.n_signal, far.place) == (0.0, 0.0, 0)


# ---- the window ---------------------------------------------------------------------------------------------------


def test_gaps_in_observing_time_are_honoured():
    runs = Runs(np.array([0.0, 100.2]), np.array([100.0, 200.0]))
    mjd = np.sort(np.random.default_rng(1).uniform(95.0, 105.0, 4000))
    found = window(mjd, runs, centre=100.0, length_s=86400.0, off_d=2.0, own=NOBODY)
    assert found.live_s == pytest.approx(0.8 * 86400.0)
    assert found.off_live_s == pytest.approx(3.0 * 86400.0)
    live = (mjd <= 100.0) | (mjd >= 100.2)
    assert len(found.on) == (live & (np.abs(mjd - 100.0) <= 0.5)).sum()
    assert found.n_off == (live & (np.abs(mjd - 100.0) > 0.5) & (np.abs(mjd - 100.0) <= 2.0)).sum()
    assert found.n_background == pytest.approx(found.n_off * 0.8 / 3.0)


def test_the_alert_itself_is_no_event_of_its_window():
    mjd = np.linspace(0.0, 20.0, 2001)
    runs = Runs(np.array([0.0]), np.array([20.0]))
    with_it, without = (window(mjd, runs, centre=10.0, length_s=86400.0, off_d=9.0, own=own)
                        for own in (NOBODY, np.array([1000])))  # fmt: skip
    assert set(with_it.on) - set(without.on) == {1000}


@pytest.mark.parametrize(("step_d", "seconds"), [(1.0, 86400.0), (1 / 24, 3600.0)])
def test_times_too_coarse_for_a_window_are_refused(step_d, seconds):
    mjd = np.floor(np.random.default_rng(2).uniform(0.0, 30.0, 5000) / step_d) * step_d
    assert resolution_s(mjd) == pytest.approx(seconds, rel=1e-6)
    with pytest.raises(InputError, match=r"steps of .* use a sample with exact times"):
        window(mjd, Runs(np.array([0.0]), np.array([30.0])), centre=15.0, length_s=1000.0, off_d=10.0, own=NOBODY)


def test_windows_without_time_or_background_are_refused():
    runs = Runs(np.array([0.0, 20.0]), np.array([10.0, 30.0]))
    mjd = np.random.default_rng(2).uniform(0.0, 10.0, 500)
    with pytest.raises(InputError, match="no observing time"):
        window(mjd, runs, centre=15.0, length_s=1000.0, off_d=10.0, own=NOBODY)
    with pytest.raises(InputError, match="take a wider range"):
        window(mjd, runs, centre=25.0, length_s=1000.0, off_d=1.0, own=NOBODY)


def test_the_alert_is_found_among_events_by_time_and_direction():
    season = sample(500)
    mjd, ra, dec = (float(season.array(name)[7]) for name in ("mjd", "right_ascension", "declination"))
    here = {"mjd": mjd, "ra": ra, "dec": dec, "within_s": 1.0, "within": 0.1}
    assert own_events(season, **here).tolist() == [7]
    assert own_events(season, **{**here, "mjd": mjd + 2e-5}).size == 0
    assert own_events(season, **{**here, "dec": dec - np.sign(dec) * 0.3}).size == 0


# ---- trials -------------------------------------------------------------------------------------------------------


def problem(n_background: float = 20.0, places: Places = AT, n: int = 2000):
    season = sample(n)
    stick = yardstick(spectrum_of_nowhere(2.5), season)
    chosen = np.ones(season.events.sizes["event"], dtype=bool)
    source = np.ones(len(places.declination))
    return trials.window_problem(stick, chosen, n_background, places, spectrum=PowerLaw(2.5), source=source)


def test_a_trial_is_a_function_of_problem_seed_and_number():
    one = problem()
    for make in (trials.window_trials, trials.burst_trials):
        whole = make(one, 5, 0, 30)
        np.testing.assert_array_equal(np.concatenate([make(one, 5, 0, 11), make(one, 5, 11, 30)]), whole)
        assert not np.array_equal(make(one, 6, 0, 30), whole)


def test_numbers_of_events_are_poisson():
    for mean in (0.3, 20.0, 450.0):
        drawn = np.array([poisson(np.uint64(trial_key(9, i, 0)), 0, mean)[0] for i in range(4000)])
        assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 4000))
        assert drawn.var() == pytest.approx(mean, rel=0.12)
        assert (drawn <= mean).mean() == pytest.approx(stats.poisson.cdf(mean, mean), abs=0.035)


def test_trials_are_those_of_the_whole_sky():
    """Events beyond reach are not drawn: the distribution of TS is that of all events at uniform right ascensions."""
    one, n_b, rng = problem(), 20.0, np.random.default_rng(4)
    season = one.stick.sample
    pool = burst_of(one.stick, *(season.array(c) for c in ("declination", "log10_energy", "angular_error")))
    slow = np.empty(3000)
    for trial in range(len(slow)):
        chosen = rng.integers(0, len(pool.declination), rng.poisson(n_b))
        slow[trial] = window_fit(pool.take(chosen), rng.uniform(0, 2 * np.pi, len(chosen)), n_b, AT).ts
    fast = trials.window_trials(one, 1, 0, 30_000)[:, 0]
    for threshold in (0.0, 0.5, 2.0):
        p = (fast > threshold).mean()
        assert (slow > threshold).mean() == pytest.approx(p, abs=4 * np.sqrt(p / len(slow)))
    assert (fast > 0.5).mean() > 0.01


def test_bursts_begin_with_their_background_and_are_seen():
    one = problem()
    rows = trials.burst_trials(one, 3, 0, 300)
    assert np.all(rows[:, 0] == 1.0)
    np.testing.assert_array_equal(rows[:, 1], trials.window_trials(one, 3, 0, 300)[:, 0])
    assert (np.diff((rows[:, 1:] > 0).mean(axis=0)) > -0.02).all()
    assert (rows[:, -1] > 9.0).mean() > 0.9


def test_a_region_shares_bursts_by_what_each_place_sees():
    many = Places(np.array([1.2, 1.2]), np.array([0.3, -1.2]), np.zeros(2))
    two = problem(places=many)
    assert two.share.mean() == pytest.approx(1.0)
    rows = trials.burst_trials(two, 3, 0, 200)
    assert set(np.round(rows[:, 0], 12)) == set(np.round(two.share, 12))


# ---- limits -------------------------------------------------------------------------------------------------------


def rows_of(ts_by_count: np.ndarray, share: float = 1.0, n: int = 50) -> np.ndarray:
    return np.tile(np.append(share, ts_by_count), (n, 1))


SEEN = np.append(0.0, np.full(len(trials.BURST_COLUMNS) - 2, 7.0))  # every burst of one event or more has TS 7


def test_no_event_without_background_excludes_ln_10():
    found = trials.excluded_mean(rows_of(SEEN), 0.0)
    assert found.value == pytest.approx(np.log(10.0), abs=1e-8)
    assert found.error == pytest.approx(0.0, abs=1e-12)


def test_a_limit_above_one_event_is_the_poisson_one():
    """TS as of two events or more: mu with P(k >= 2) = 0.9, the classical limit of one event."""
    ts = np.concatenate([[0.0, 7.0], np.full(len(SEEN) - 2, 20.0)])
    classical = optimize.brentq(lambda mu: stats.poisson.cdf(1, mu) - 0.1, 1.0, 9.0)
    assert trials.excluded_mean(rows_of(ts), 7.0).value == pytest.approx(classical, abs=1e-6)


def test_places_that_see_less_weaken_the_limit():
    rows = np.concatenate([rows_of(SEEN, 0.5), rows_of(SEEN, 1.5)])
    exact = optimize.brentq(lambda mu: 0.5 * (np.exp(-0.5 * mu) + np.exp(-1.5 * mu)) - 0.1, 0.5, 9.0)
    assert trials.excluded_mean(rows, 0.0).value == pytest.approx(exact, abs=1e-6)


def test_what_bursts_cannot_exceed_has_no_limit():
    with pytest.raises(PrecisionError, match="no limit can be told"):
        trials.excluded_mean(rows_of(SEEN), 8.0)


@pytest.mark.slow
def test_limits_hold_the_bursts_that_were_injected():
    one = problem()
    limits, tests = trials.burst_trials(one, 1, 0, 1500), trials.burst_trials(one, 2, 0, 300)
    rng = np.random.default_rng(7)
    for mean in (1.0, 4.0):
        n = rng.poisson(mean, len(tests))
        ts = tests[np.arange(len(tests)), 1 + n]
        held = np.array([trials.exceeding(limits, one_ts, mean)[0] <= 0.9 for one_ts in ts])
        assert held.mean() > 0.9 - 3 * np.sqrt(0.09 / len(tests))


def test_fluence_is_the_formula_on_the_area():
    """E^2 F at 1 TeV of one event: (1 TeV)^2 / integral A (E / TeV)^-g dE, the integral by plain midpoints."""
    response, g, dec = sample(200).response, 2.5, np.array([0.4])
    edges = response.array("log10_true_edges")
    band = np.searchsorted(response.array("sin_dec_edges")[1:-1], np.sin(dec), side="right")
    total = 0.0
    for k, area in enumerate(response.array("effective_area")[band[0]]):
        x = np.linspace(edges[k], edges[k + 1], 401)
        energy = 10.0 ** (0.5 * (x[1:] + x[:-1]))  # GeV
        total += area * ((energy / 1e3) ** -g * np.diff(10.0**x)).sum()
    assert time_windows.fluence_per_event(response, g, dec)[0] == pytest.approx(1e6 / total, rel=1e-3)
    low, high = time_windows.energy_range(response, g, dec, np.ones(1))
    assert edges[0] < np.log10(low) < np.log10(high) < edges[-1]
    assert time_windows.mean_fluence_per_event(response, g, np.repeat(dec, 3), np.ones(3)) == pytest.approx(
        1e6 / total, rel=1e-3
    )


def test_chances_are_shares_of_trials():
    ts = np.concatenate([np.zeros(90), np.arange(1.0, 11.0)])
    assert chance_of(ts, 0.0).p == 1.0
    assert chance_of(ts, 8.0).p == pytest.approx(0.03)
    assert chance_of(ts, 8.0).error == pytest.approx(np.sqrt(0.03 * 0.97 / 100))
    assert chance_of(ts, 11.0).bound == pytest.approx(2.303 / 100)


# ---- the question -------------------------------------------------------------------------------------------------


def synthetic() -> Samples:
    season = sample(6000)
    return Samples("small", "small", (season,), seed=1)


def test_settings_that_cannot_be_are_refused_at_once():
    good = question("followup").example
    for wrong in ({"windows_s": ()}, {"windows_s": (10.0, 10.0)}, {"box_deg": (1.0, 1.0)}, {"nside": 100},
                  {"box_deg": (1.0, 1.0, 1.0, 0.0)}):  # fmt: skip
        with pytest.raises(InputError):
            Followup.of(**{**good, **wrong})


def test_samples_without_good_runs_say_so():
    runs, said = good_runs(synthetic(), synthetic().seasons[0])
    assert said == NO_GOOD_RUNS
    assert len(runs.starts) == 1
    with pytest.raises(InputError, match="was not observed at MJD 50000"):
        season_at(synthetic(), 50000.0)


def test_a_follow_up_of_synthetic_events_says_so(tmp_path):
    season = synthetic().seasons[0]
    mjd = float(np.median(season.array("mjd")))
    found = Followup.of(
        ra_deg=80.0,
        dec_deg=20.0,
        mjd=mjd,
        windows_s=(1.7e6,),
        off_days=100.0,
        trials=1000,
        bursts=400,
        alert="IC999999A",
    ).ask(synthetic(), Bench(tmp_path))
    text = follow_up_text(found)
    assert text.splitlines()[0] == "DRAFT, SIMULATED events: not an observation"
    assert "IC999999A" in text
    assert NO_GOOD_RUNS in found.provenance.notes
    again = FollowupAnswer.from_dict(found.to_dict())
    assert follow_up_text(again) == text
    assert len(again.drawn()) == 1  # the sky; the trials are not part of the JSON


def test_a_rare_window_asks_others_to_look(tmp_path):
    season = synthetic().seasons[0]
    mjd = float(np.median(season.array("mjd")))
    found = Followup.of(ra_deg=80.0, dec_deg=20.0, mjd=mjd, windows_s=(1.7e6,), off_days=100.0, trials=1000, bursts=400
    ).ask(synthetic(), Bench(tmp_path))  # fmt: skip
    [one] = found.windows
    rare = one.chance.model_copy(update={"p": 0.009, "error": 0.001, "n_trials": 1000})
    often = one.chance.model_copy(update={"p": 0.011, "error": 0.001, "n_trials": 1000})
    for chance, said in ((rare, True), (often, False)):
        answer = found.model_copy(update={"windows": (one.model_copy(update={"chance": chance, "ts": 5.0}),)})
        assert ("observations of this field are encouraged" in follow_up_text(answer)) == said


def test_a_burst_in_the_events_is_found(tmp_path):
    """Eight events of signal are laid into the window: TS, n_s and p say so, and the limit lies above them."""
    base = synthetic()
    season = base.seasons[0]
    mjd = season.array("mjd").copy()
    centre = float(np.median(mjd))
    near = np.argsort(cos_separation(season.array("right_ascension"), season.array("declination"), 1.4, 0.35))[-8:]
    mjd[near] = centre + np.linspace(-1.0, 1.0, 8)
    order = np.argsort(mjd, kind="stable")
    events = season.events.assign(mjd=("event", mjd, season.events["mjd"].attrs)).isel(event=order)
    burst = replace(base, seasons=(replace(season, events=events),))
    ra, dec = np.degrees([1.4, 0.35])
    found = Followup.of(ra_deg=float(ra), dec_deg=float(dec), mjd=centre, windows_s=(259_200.0,), off_days=100.0,
                        trials=2000, bursts=400).ask(burst, Bench(tmp_path))  # fmt: skip
    [one] = found.windows
    assert one.ts > 15.0
    assert 4.0 < one.n_signal < 10.0
    assert one.n_coincident >= 7
    assert one.chance.bound is not None or one.chance.p < 0.005
    assert isinstance(one.flux.limit_events, Measured)
    assert one.flux.limit_events.value > one.n_signal


# ---- real events --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tracks(mirror) -> Samples:
    return samples.load(samples.sample_spec(name="tracks"), 1)


@pytest.mark.real_data
def test_whole_days_are_refused_in_clear_words(tracks, tmp_path):
    with pytest.raises(InputError, match="given in steps of 86,400 s, so a window of 1,000 s"):
        Followup.of(ra_deg=77.4, dec_deg=5.7, mjd=55800.0).ask(tracks, Bench(tmp_path))
    with pytest.raises(InputError, match=r"IC79 tracks MJD 55348\.31 to 55694\.41"):
        Followup.of(ra_deg=77.4, dec_deg=5.7, mjd=58018.87).ask(tracks, Bench(tmp_path))


@pytest.mark.real_data
def test_a_hundred_thousand_trials_take_seconds(tracks):
    season = tracks.seasons[1]
    stick = yardstick(spectrum_of_nowhere(2.5), season)
    chosen = np.ones(season.events.sizes["event"], dtype=bool)
    two_days = trials.window_problem(stick, chosen, 589.0, AT, spectrum=PowerLaw(2.5), source=np.ones(1))
    trials.window_trials(two_days, 1, 0, 2)
    started = time.process_time()
    rows = trials.window_trials(two_days, 1, 0, 100_000)
    assert time.process_time() - started <= 10.0
    assert 0.02 < (rows[:, 0] > 0).mean() < 0.3


@pytest.mark.real_data
def test_rate_of_ic79_around_a_moment(tracks):
    season, runs, said = season_at(tracks, 55464.9)
    assert (season.name, said) == ("tracks-ic79", "")
    found = window(season.array("mjd"), runs, centre=55464.9, length_s=1000.0, off_d=10.0, own=NOBODY)
    assert found.n_off / found.off_live_s == pytest.approx(3.411e-3, rel=0.05)  # design: 3.411 mHz over the season


@pytest.mark.real_data
def test_a_follow_up_by_name(mirror, monkeypatch, call, cache):
    """A stand-in for the season of tracks-dr2 that holds the moment: its files are not public here.

    The event that lies nearest is moved to the place and moment of the alert, and is left out as the alert itself.
    """
    alert, base = known_alert("IC170922A"), synthetic()
    season = base.seasons[0]
    mjd = alert.time + 0.1 * (season.array("mjd") - np.median(season.array("mjd")))  # dense enough for 10 d to a side
    ra, dec = season.array("right_ascension").copy(), season.array("declination").copy()
    own = int(np.argmin(np.abs(mjd - alert.time)))
    mjd[own], ra[own], dec[own] = alert.time, alert.region.right_ascension, alert.region.declination
    columns = {"mjd": mjd, "right_ascension": ra, "declination": dec}
    values = {name: ("event", value, season.events[name].attrs) for name, value in columns.items()}
    events = season.events.assign(values).isel(event=np.argsort(mjd, kind="stable"))
    stand_in = replace(base, seasons=(replace(season, events=events),))
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "at_hand", lambda spec: None)
    monkeypatch.setattr(samples, "load", lambda spec, seed: stand_in)
    asked = ("realtime", "followup", "IC170922A", "--sample", "tracks-dr2", "--trials", 1000, "--bursts", 400)
    code, out, _ = call(*asked, "--json")
    found = json.loads(out)
    assert code == 0, found
    assert found["alert"] == "IC170922A"
    assert found["mjd"] == pytest.approx(alert.time)
    assert found["box_deg"] == pytest.approx(np.degrees(alert.region.box.sides).tolist())
    assert [one["length_s"] for one in found["windows"]] == [1000.0, 172_800.0]
    assert found["own_events"] == 1
    assert "IC170922A" in found["text"]


@pytest.mark.real_data
def test_a_follow_up_by_name_with_the_default_sample_says_which_holds_the_moment(mirror, monkeypatch, call):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    code, _, err = call("realtime", "followup", "IC170922A")
    assert (code, "Ask a sample that holds the moment, such as tracks-dr2" in " ".join(err.split())) == (2, True)


FAR_OFF = 0.2  # what can be asked, as the online sample is not the public one (design)


@pytest.fixture(scope="module")
def per_event(mirror):
    """Fluence of one event by index and declination, effective area of IC86-II."""
    from nuanalysis.ingest import find, tracks_dr1

    area = tracks_dr1.read_effective_area(find(tracks_dr1.RELEASE), "IC86_II")
    response = _AreaOnly({str(name): np.asarray(values.values) for name, values in area.items()})
    return lambda index, dec: time_windows.fluence_per_event(response, index, np.asarray(dec))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "ours", "published"),
    [("IC201007A", 3.42e-5, 3.2e-5), ("IC201222A", 3.80e-5, 4.1e-5), ("IC190922A", 3.89e-4, 3.3e-4)],
)
def test_limits_of_ln_ten_events_against_circulars(per_event, name, ours, published):
    """E^-2, TeV cm^-2, at the best position.

    IC201222A had a coincident event, whose TS no circular tells: the comparison asked for there is not this one, and
    is not met (see the next test).
    """
    limit = float(np.log(10.0) * per_event(2.0, [known_alert(name).region.declination])[0]) / 1e3
    assert limit == pytest.approx(ours, rel=0.005)
    assert limit == pytest.approx(published, rel=FAR_OFF)


@pytest.mark.real_data
def test_the_limit_of_ic201222a_with_its_event_is_not_met(per_event):
    """6.32e-5 against 4.1e-5 TeV cm^-2 if the TS of its event is the median one: not within 20 %, and documented so.

    3.83 events: the limit from trials for that TS (``validation/followup_circulars.py``).
    """
    limit = 3.83 * float(per_event(2.0, [known_alert("IC201222A").region.declination])[0]) / 1e3
    assert limit == pytest.approx(6.32e-5, rel=0.01)
    assert limit > (1.0 + FAR_OFF) * 4.1e-5


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "ours", "published"),
    [("IC211123A", (0.147, 0.148), (0.13, 0.14)), ("IC211116A", (0.158, 0.179), (0.14, 0.15))],
)
def test_sensitivities_over_regions_against_circulars(per_event, name, ours, published):
    """E^-2.5, 1000 s, GeV cm^-2: lowest and highest of ln 10 events over the 90 % region."""
    region = alert_region(known_alert(name).region)
    places, _ = places_of(region, 0.99, 256)
    inside = region.level(places.right_ascension, places.declination) <= 0.9
    each = np.log(10.0) * per_event(2.5, places.declination[inside])
    ends = float(each.min()), float(each.max())
    assert ends == pytest.approx(ours, abs=6e-4)
    assert ends == pytest.approx(published, rel=FAR_OFF)


class _AreaOnly:
    """What the acceptance asks of a response."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name]
