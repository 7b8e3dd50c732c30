"""``nuanalysis leak``: its parts against what they say, one document, readable text, files, and early refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table
from scipy.stats import chi2
from small_problem import sample, stack_hypothesis, template_hypothesis, whole

from nuanalysis import plot, trials
from nuanalysis.answers import inference, leak
from nuanalysis.answers.joint import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.likelihood import TS_TOLERANCE, joint_maximum

CALL = ("leak", "--sample", "cascades-2023", "--diffuse", "template:pi0-like?nside=32", "--trials", "100")
TWO = ("--catalogue", "snr", "--catalogue", "pwn")


def quiet(_):
    """Say nothing."""


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """A part of the twin stands for the sample, few scrambles for many; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(sample(800)))
    monkeypatch.setattr(leak, "SCRAMBLES", 300)


@pytest.fixture(scope="module")
def bench(cache):
    """One stack, index free and held, beside a template, on a part of the twin."""
    few = (sample(800),)
    asked = (template_hypothesis(), stack_hypothesis(free=True), stack_hypothesis(free=False))
    return Bench(tuple(inference.pose(one, few, cache, 3) for one in asked), 40, Serial(), quiet)


@pytest.fixture(scope="module")
def drawn(bench):
    return leak.draw(bench, 60.0)


# --- the parts -------------------------------------------------------------------------------------------------------


def test_models_are_the_diffuse_alone_stacks_alone_and_pairs():
    assert leak.models(2) == ((0,), (1,), (2,), (0, 1), (0, 2), (0, 3), (0, 4))


def test_every_second_half_of_what_is_read_is_held():
    asked = leak.read("template:isotropic", ("snr", "stack:pwn"))
    assert [h.name for h in asked[1:]] == ["stack:snr", "stack:pwn"] * 2
    assert [h.index_free for h in asked] == [False, True, True, False, False]


def test_fits_of_a_sky_are_the_joint_fits_of_that_sky(bench, drawn):
    """Injected again by hand, with the seed that the stage has; profiled TS is the gain over the smaller model."""
    table = leak.local_table(bench.problems[1], 9.0, Serial(), quiet)
    fits = leak.fits_of(drawn, 1, 0, table)
    prepared = tuple(p.prepared for p in bench.problems)
    from nuanalysis.answers.joint import _SEED_STEP

    seed = bench.problems[0].seed + leak._SKIES * _SEED_STEP
    sources = tuple(trials.emissions(p) for p in prepared)
    for trial in (0, 17, 39):
        data = trials.joint_injected(prepared, sources, seed, trial, (60.0, 0.0, 0.0))
        diffuse, alone = joint_maximum(data, (0,)), joint_maximum(data, (1,))
        both = joint_maximum(data, (0, 1), (diffuse, alone))
        held = joint_maximum(data, (0, 2), (diffuse,))
        assert fits.ts[trial] == pytest.approx(alone.ts, abs=1e-9)
        assert fits.n_signal[trial] == pytest.approx(alone.n_signal(data)[1], abs=1e-6)
        for found, wanted in (
            (fits.profiled, both.ts - diffuse.ts),
            (fits.diffuse, both.ts - alone.ts),
            (fits.profiled_held, held.ts - diffuse.ts),
        ):
            assert found[trial] == pytest.approx(wanted, abs=2 * TS_TOLERANCE)
    assert fits.not_converged == 0


def test_local_p_values_of_skies_are_shares_of_the_scrambles(bench, drawn):
    """A table in steps of 0.1 of the root of TS: p lies between the shares at the steps beside it."""
    problem = bench.problems[1]
    table = leak.local_table(problem, 9.0, Serial(), quiet)
    law = inference.scrambles(problem, 300, 9.0, Serial(), quiet)
    weight = np.exp(law["log_weight"].values)
    fits = leak.fits_of(drawn, 1, 0, table)
    chosen = (fits.ts > 0.0) & (fits.ts < 6.0)
    assert chosen.sum() > 5
    for ts, log_p in zip(fits.ts[chosen], fits.log_p[chosen], strict=True):
        step = np.floor(10.0 * np.sqrt(ts))
        high, low = (float(weight[law["ts"].values >= (0.1 * k) ** 2].sum() / 300) for k in (step, step + 1.0))
        if step:
            assert low * (1 - 1e-9) <= np.exp(log_p) <= high * (1 + 1e-9)
    assert (fits.log_p[fits.ts == 0.0] == 0.0).all()


def test_halves_of_one_law_agree_and_of_two_do_not():
    rng = np.random.default_rng(4)
    ts = np.where(rng.random(2000) < 0.5, 0.0, chi2.rvs(1, size=2000, random_state=rng))
    assert leak.halves(ts)["ks_p"] > 0.01
    apart = ts * np.where(np.arange(2000) % 2, 3.0, 1.0)
    assert leak.halves(apart)["ks_p"] < 1e-6
    assert leak.halves(np.zeros(50))["ks_p"] is None


def test_a_profiled_stack_is_compared_with_skies_without_signal():
    rng = np.random.default_rng(5)
    one, other = (np.maximum(rng.standard_normal(1000), 0.0) ** 2 for _ in range(2))
    found = leak.same_as_without_signal(one, other)
    assert found["ks_p"] > 0.01
    assert found["share_at_zero"]["share"] == np.mean(other <= TS_TOLERANCE)
    assert found["share_above_3_84"]["share"] == np.mean(other > 3.84)
    assert leak.same_as_without_signal(one + 2.0, other)["ks_p"] < 1e-6


def test_published_fits_are_placed_among_the_skies_of_their_own_sample():
    n, p = np.array([100.0, 218.6, 300.0, 400.0]), np.array([1e-2, 5e-4, 5.90e-4, 1e-5])
    rest = (np.zeros(4),) * 6
    fits = leak.Fits(rest[0], n, rest[0], np.log(p), *rest[1:], 0)
    found = leak.published_in("stack:snr", "cascades-2023", fits)
    assert (found["n_s"], found["p"]) == (218.6, 5.90e-4)
    assert found["skies_with_fewer_events"]["share"] == 0.5
    assert found["skies_with_smaller_p"]["share"] == 0.75
    assert leak.published_in("stack:snr", "tracks", fits) is None
    assert leak.published_in("stack:test", "cascades-2023", fits) is None


def test_without_diffuse_events_in_the_best_fit_there_is_nothing_to_inject(bench, monkeypatch):
    monkeypatch.setattr(leak, "best_fit", lambda diffuse, held: {"n_s": 0.0, "n_s_corrected": 0.0})
    with pytest.raises(InputError, match="--n-diffuse"):
        leak.leak_record(bench.problems, "cascades-2023", 100, Serial(), quiet)


def test_empty_skies_hold_no_signal(bench):
    """Plain scrambles with nothing added: the mean TS is far below that of skies with 60 diffuse events."""
    [nothing] = leak.draw_empty(bench)
    seen = leak.draw(bench, 60.0)
    assert nothing.shape == (40,)
    assert nothing.mean() < 0.5 * seen["ts_1"].values.mean()
    assert isinstance(seen, xr.Dataset)


# --- the verb --------------------------------------------------------------------------------------------------------


def test_leak_gives_one_document_and_its_files(call, tmp_path):
    code, out, err = call(*CALL, *TWO, "--n-diffuse", "60", "--output", tmp_path, "--workers", "1", "--json")
    assert code == 0
    document = json.loads(out)
    assert "SYNTHETIC" in err
    assert (document["origin"], document["seed"], document["n_trials"]) == ("synthetic", 1, 100)
    assert document["diffuse"]["n_injected"] == 60.0
    assert [row["hypothesis"] for row in document["stacks"]] == ["stack:snr", "stack:pwn"]
    skies = Table.read(tmp_path / "leak-skies.ecsv")
    assert len(skies) == 100
    assert "SYNTHETIC" in skies.meta["DESCRIPTION"]
    for row, short in zip(document["stacks"], ("snr", "pwn"), strict=True):
        alone, both = row["alone"], row["together"]
        np.testing.assert_allclose(
            alone["n_s"]["values"], np.quantile(skies[f"n_s {short}"], alone["n_s"]["levels"]), rtol=1e-9
        )
        assert alone["share_p_below_0_05"]["share"] == np.mean(skies[f"log10_p {short}"] < np.log10(0.05))
        assert both["share_above_3_84"]["share"] == np.mean(skies[f"ts_profiled {short}"] > 3.84)
        assert alone["published"]["p"] in (5.90e-4, 5.93e-4)
        stack = both["data"]["stack"]
        beaten = np.sum(skies[f"ts_profiled {short}"] >= stack["ts_profiled"] - 1e-6)
        if stack["ts_profiled"] > 0.0:
            assert stack["p_value"]["p"] == pytest.approx((beaten + 1) / 101, abs=1e-12)
        else:
            assert stack["p_value"]["p"] == 1.0
    assert json.loads((tmp_path / "leak.json").read_text()) == document
    sidecar = json.loads((tmp_path / "leak-skies.json").read_text())
    assert sidecar["origin"] == "synthetic"
    assert "n_s" in sidecar["alt"]
    assert (tmp_path / "leak-skies.png").stat().st_size > 10_000


def test_leak_in_text_from_the_same_trials(call):
    code, out, err = call(*CALL, *TWO, "--n-diffuse", "60", "--workers", "1")
    assert code == 0
    assert "pseudo-experiments:" not in err  # all of them were kept
    assert out.count("without any source n_s") == 2
    assert out.count("published n_s") == 2
    assert out.count("above 3.84") == 6
    assert "SYNTHETIC" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--diffuse", "stack:snr"), "expected a template"),
        (("--catalogue", "snr", "--catalogue", "stack:snr"), "twice"),
        (("--catalogue", "snrr"), "snr"),
        (("--n-diffuse", "-3"), "positive"),
        (("--trials", "20"), "100 or more"),
    ],
)
def test_wrong_input_is_refused_before_work_starts(call, monkeypatch, arguments, said):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(samples, "load", never)
    code, out, err = call("leak", "--sample", "cascades-2023", *arguments)
    assert (code, out) == (2, "")
    assert said in err


# --- the figure ------------------------------------------------------------------------------------------------------


def test_the_cumulative_of_p_values_by_hand():
    from nuanalysis.plot._leak import _steps

    log_p = np.log(np.array([1.0, 1e-1, 1e-2, 1e-2]))
    np.testing.assert_allclose(_steps(log_p, np.array([0.0, 0.5, 1.0, 2.0, 2.1])), [1.0, 0.75, 0.75, 0.5, 0.0])


def test_a_figure_without_stacks_is_refused():
    with pytest.raises(InputError, match="at least one"):
        plot.leak({"stacks": []}, {}, "synthetic")
