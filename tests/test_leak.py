"""``nuanalysis leak``: its parts against what they say, one document, readable text, files, and early refusals."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table
from scipy.stats import chi2
from small_problem import sample, stack_hypothesis, template_hypothesis, whole

from nuanalysis import plot, trials
from nuanalysis.answers import _leak_skies as skies_of
from nuanalysis.answers import leak
from nuanalysis.answers._ensembles import scrambles
from nuanalysis.answers._experiments import Experiments
from nuanalysis.answers._question import prepared_on
from nuanalysis.answers.leak import Leak, LeakAnswer
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.likelihood import TS_TOLERANCE, FitResult, joint_maximum
from nuanalysis.records import Unknown
from nuanalysis.trials.streams import LEAK_BEST_FIT, Stream

pytestmark = pytest.mark.slow

CALL = ("leak", "--sample", "cascades-2023", "--diffuse", "template:pi0-like?nside=32", "--skies", "100")
TWO = ("--catalogues", "snr", "--catalogues", "pwn")


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """A part of the twin stands for the sample, few scrambles for many; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", lambda spec, seed: replace(whole(sample(800)), name="cascades-2023"))
    monkeypatch.setattr(skies_of, "SCRAMBLES", 300)


@pytest.fixture(scope="module")
def held(cache):
    """One stack, index free and held, beside a template, on a part of the twin."""
    asked = (template_hypothesis(), stack_hypothesis(free=True), stack_hypothesis(free=False))
    return Experiments(tuple(prepared_on(one, whole(sample(800))) for one in asked), 40, Bench(cache))


@pytest.fixture(scope="module")
def drawn(held):
    return skies_of.draw(held, 60.0, 1)


# --- the parts -------------------------------------------------------------------------------------------------------


def test_models_are_the_diffuse_alone_stacks_alone_and_pairs():
    assert skies_of.models(2) == ((0,), (1,), (2,), (0, 1), (0, 2), (0, 3), (0, 4))


def test_every_second_half_of_what_is_read_is_held():
    asked = leak.hypotheses("template:isotropic", ("snr", "stack:pwn"))
    assert [h.name for h in asked[1:]] == ["stack:snr", "stack:pwn"] * 2
    assert [h.index_free for h in asked] == [False, True, True, False, False]


def test_fits_of_a_sky_are_the_joint_fits_of_that_sky(held, drawn):
    """Injected again by hand, with the seed of the stream; profiled TS is the gain over the smaller model."""
    table = skies_of.local_table(held.problems[1], 9.0, held.bench)
    fits = skies_of.fits_of(drawn, 1, 0, table)
    prepared = tuple(p.prepared for p in held.problems)
    seed, sources = held.problems[0].seed + Stream.LEAK_SKIES, tuple(trials.emissions(p) for p in prepared)
    for trial in (0, 17, 39):
        data = trials.joint_injected(prepared, sources, seed, trial, (60.0, 0.0, 0.0))
        diffuse, alone = joint_maximum(data, (0,)), joint_maximum(data, (1,))
        both = joint_maximum(data, (0, 1), (diffuse, alone))
        fixed = joint_maximum(data, (0, 2), (diffuse,))
        assert fits["ts"].values[trial] == pytest.approx(alone.ts, abs=1e-9)
        assert fits["n_s"].values[trial] == pytest.approx(alone.n_signal(data)[1], abs=1e-6)
        assert fits["n_s_together"].values[trial] == pytest.approx(both.n_signal(data)[1], abs=1e-6)
        for name, wanted in (
            ("ts_profiled", both.ts - diffuse.ts),
            ("ts_diffuse_profiled", both.ts - alone.ts),
            ("ts_profiled_index_held", fixed.ts - diffuse.ts),
        ):
            assert fits[name].values[trial] == pytest.approx(wanted, abs=2 * TS_TOLERANCE)
    assert fits.attrs["not_converged"] == 0


def test_local_p_values_of_skies_are_shares_of_the_scrambles(held, drawn):
    """A table in steps of 0.1 of the root of TS: p lies between the shares at the steps beside it."""
    problem = held.problems[1]
    law = scrambles(problem, 300, 9.0, held.bench)
    weight = np.exp(law["log_weight"].values)
    fits = skies_of.fits_of(drawn, 1, 0, skies_of.local_table(problem, 9.0, held.bench))
    found, log_p = fits["ts"].values, fits["log_p"].values
    chosen = (found > 0.0) & (found < 6.0)
    assert chosen.sum() > 5
    for ts, one in zip(found[chosen], log_p[chosen], strict=True):
        step = np.floor(10.0 * np.sqrt(ts))
        high, low = (float(weight[law["ts"].values >= (0.1 * k) ** 2].sum() / 300) for k in (step, step + 1.0))
        if step:
            assert low * (1 - 1e-9) <= np.exp(one) <= high * (1 + 1e-9)
    assert (log_p[found == 0.0] == 0.0).all()


def test_halves_of_one_law_agree_and_of_two_do_not():
    rng = np.random.default_rng(4)
    ts = np.where(rng.random(2000) < 0.5, 0.0, chi2.rvs(1, size=2000, random_state=rng))
    p, n = skies_of.halves(ts)
    assert p > 0.01
    assert n == (ts[1::2] > 0).sum()
    apart = ts * np.where(np.arange(2000) % 2, 3.0, 1.0)
    assert skies_of.halves(apart)[0] < 1e-6
    nothing, n = skies_of.halves(np.zeros(50))
    assert isinstance(nothing, Unknown)
    assert n == 0


def test_a_profiled_stack_is_compared_with_skies_without_signal():
    rng = np.random.default_rng(5)
    one, other = (np.maximum(rng.standard_normal(1000), 0.0) ** 2 for _ in range(2))
    skies = xr.Dataset(dict.fromkeys(("ts", "ts_profiled", "ts_profiled_index_held"), ("sky", one)))
    _, beside, nothing, fixed = skies_of.laws_of("stack:test", skies, other)
    assert beside.without_signal > 0.01
    assert nothing.at_zero.p == np.mean(other <= TS_TOLERANCE)
    assert nothing.above.p == np.mean(other > 3.84)
    assert beside.at_zero.p == fixed.at_zero.p == np.mean(one <= TS_TOLERANCE)
    assert skies_of.one_law(one + 2.0, other) < 1e-6


def test_published_fits_are_placed_among_the_skies_of_their_own_sample():
    n, p = np.array([100.0, 218.6, 300.0, 400.0]), np.array([1e-2, 5e-4, 5.90e-4, 1e-5])
    skies = xr.Dataset({"n_s": ("sky", n), "log_p": ("sky", np.log(p))})
    (found,) = skies_of.published_in("stack:snr", "cascades-2023", skies)
    assert (found.n_signal, found.chance.p, found.fit, found.ts) == (218.6, 5.90e-4, "published", None)
    assert found.fewer.p == 0.5
    assert found.smaller.p == 0.75
    assert "Science" in found.chance.method
    assert skies_of.published_in("stack:snr", "tracks", skies) == ()
    assert skies_of.published_in("stack:test", "cascades-2023", skies) == ()


def test_without_diffuse_events_in_the_best_fit_there_is_nothing_to_inject(held, monkeypatch):
    monkeypatch.setattr(leak, "fit_data", lambda problem: (FitResult(0.0, 0.0, 2.7, converged=True), None))
    with pytest.raises(InputError, match="n_diffuse"):
        leak.leak(held, whole(sample(800)))


def test_the_best_fit_is_corrected_for_its_bias(held, monkeypatch):
    """By hand: two rounds of a hundred experiments, each with a stream of its own."""
    monkeypatch.setattr(leak, "fit_data", lambda problem: (FitResult(9.0, 60.0, 2.7, converged=True), None))
    fit, signal = leak.best_fit(held)
    assert (fit.n_signal, fit.ts) == (60.0, 9.0)
    prepared, n = (held.problems[0].prepared,), 60.0
    for stream in LEAK_BEST_FIT.rounds:
        fits = trials.joint_trials(prepared, held.problems[0].seed + stream, 0, 100, (n,), ((0,),))[:, 2]
        n = n + 60.0 - float(np.median(fits))
    assert signal.value == n
    assert 0.0 < signal.error < 20.0


def test_empty_skies_hold_no_signal(held, drawn):
    """Plain scrambles with nothing added: the mean TS is far below that of skies with 60 diffuse events."""
    [nothing] = skies_of.draw_empty(held, 1)
    assert nothing.shape == (40,)
    assert nothing.mean() < 0.5 * drawn["ts_1"].values.mean()


# --- the verb --------------------------------------------------------------------------------------------------------


def test_leak_gives_one_document_and_its_files(call, tmp_path):
    code, out, err = call(*CALL, *TWO, "--n-diffuse", "60", "--output", tmp_path, "--workers", "1", "--json")
    assert code == 0
    document = json.loads(out)
    assert "SYNTHETIC" in err
    known = {key: value for key, value in document.items() if key not in ("seconds", "files")}
    answer = LeakAnswer.from_dict(known)
    assert answer.to_dict() == known
    assert answer.drawn() == ()  # without its skies
    assert (answer.provenance.origin, answer.provenance.seed, answer.n_trials) == ("synthetic", 1, 100)
    assert (answer.n_injected, answer.n_injected_from) == (60.0, "as asked")
    assert [row.tested.hypothesis for row in answer.stacks] == ["stack:snr", "stack:pwn"]
    skies = Table.read(tmp_path / "leak-skies.ecsv")
    assert len(skies) == 100
    assert "SYNTHETIC" in skies.meta["DESCRIPTION"]
    laws = {(law.stack, law.of): law for law in answer.laws}
    stacks = {row.hypothesis: row for row in answer.together}
    for alone, short in zip(answer.stacks, ("snr", "pwn"), strict=True):
        name = f"stack:{short}"
        np.testing.assert_allclose(
            alone.n_signal.values, np.quantile(skies[f"n_s {short}"], alone.n_signal.levels), rtol=1e-9
        )
        assert alone.below.p == np.mean(skies[f"log10_p {short}"] < np.log10(0.05))
        assert laws[name, "with the diffuse"].above.p == np.mean(skies[f"ts_profiled {short}"] > 3.84)
        theirs = next(row for row in answer.placed if (row.stack, row.fit) == (name, "published"))
        assert theirs.chance.p in (5.90e-4, 5.93e-4)
        stack = stacks[name]
        beaten = np.sum(skies[f"ts_profiled {short}"] >= stack.ts - 1e-6)
        assert stack.profiled.chance.p == (pytest.approx((beaten + 1) / 101, abs=1e-12) if stack.ts > 0.0 else 1.0)
    assert json.loads((tmp_path / "leak-cascades-2023-synthetic.json").read_text()) == known
    sidecar = json.loads((tmp_path / "leak-skies.json").read_text())
    assert sidecar["origin"] == "synthetic"
    assert "n_s" in sidecar["alt"]
    assert (tmp_path / "leak-skies.png").stat().st_size > 10_000


def test_leak_in_text_from_the_same_trials(call):
    code, out, err = call(*CALL, *TWO, "--n-diffuse", "60", "--workers", "1")
    assert code == 0
    assert "trials:" not in err  # all of them were kept
    said = " ".join(out.split())
    assert said.count("sources) fits n_s") == 2
    assert len(re.findall(r"stack:\w+ published", said)) == 2
    assert said.count("with the diffuse ") >= 2
    assert "SYNTHETIC" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--diffuse", "stack:snr"), "is no template"),
        (("--catalogues", "snr", "--catalogues", "stack:snr"), "twice"),
        (("--catalogues", "snrr"), "snr"),
        (("--n-diffuse", "-3"), "greater than 0"),
        (("--n-diffuse", "inf"), "n_diffuse"),
        (("--skies", "20"), "greater than or equal to 100"),
    ],
)
def test_wrong_input_is_refused_before_work_starts(call, monkeypatch, arguments, said):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(samples, "load", never)
    code, out, err = call("leak", "--sample", "cascades-2023", *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_all_faults_are_told_at_once_and_a_list_is_needed():
    with pytest.raises(InputError) as caught:
        Leak.of(diffuse="stack:snr", catalogues=(), n_diffuse=-1.0, skies=3)
    assert all(name in str(caught.value) for name in ("diffuse", "no list of sources", "n_diffuse", "skies"))


# --- the figure ------------------------------------------------------------------------------------------------------


def test_the_cumulative_of_p_values_by_hand():
    from nuanalysis.plot._leak import _steps

    log_p = np.log(np.array([1.0, 1e-1, 1e-2, 1e-2]))
    np.testing.assert_allclose(_steps(log_p, np.array([0.0, 0.5, 1.0, 2.0, 2.1])), [1.0, 0.75, 0.75, 0.5, 0.0])


def test_a_figure_without_stacks_is_refused():
    with pytest.raises(InputError, match="at least one"):
        plot.leak_figure([], label="none", origin="synthetic")
