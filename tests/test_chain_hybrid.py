"""Hybrid fits in the chain: events made again, pieces that resume, errors that hold, a thinning that keeps sums."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.chain import _hybrid as hybrid
from nuanalysis.chain._events import Recipe, array, hits_of, joined, opened, simulated
from nuanalysis.chain._hybrid_errors import errors_of, measures
from nuanalysis.chain._judge import judge, judges
from nuanalysis.chain._light import Medium, light
from nuanalysis.chain._pulses import kept_pulses
from nuanalysis.chain._thinning import thinned
from nuanalysis.chain.train import CASCADES_ALONE
from nuanalysis.detector import Component, Origin, cleaned, pulses_from, summarise, truth_from
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Threads
from nuanalysis.errors import InputError
from nuanalysis.learn import angle
from nuanalysis.store.pulses import read_pulses

pytestmark = pytest.mark.real_data
MEDIUM = Medium(photons=20_000)
RECIPE = Recipe(7, 150, MEDIUM, CASCADES_ALONE, low=5e3)
PACKAGE = Path("nothing is trained here")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("hybrid"))


@pytest.fixture(scope="module")
def seen(bench):
    return joined([opened(path) for path in simulated(RECIPE, bench, "small")])


@pytest.fixture(scope="module")
def judged(seen):
    return judge(seen, judges(PACKAGE), MEDIUM)


@pytest.fixture(scope="module")
def starts(seen, judged):
    return hybrid.starts_of(seen, judged, np.arange(hybrid.PIECE + 5))


@pytest.fixture(scope="module")
def fits(bench, starts):
    return hybrid.fitted(RECIPE, bench, "small", starts)


def files_of(bench):
    return {path: path.read_bytes() for path in sorted(bench.folder.glob("shards/fits-*/*.npz"))}


def test_an_event_made_again_is_the_one_that_was_kept(bench, seen, judged):
    for event in judged.events[:20]:
        number = int(seen.truth.number[event])
        truth, pulses = hybrid.pulses_again(RECIPE, light(bench, MEDIUM.photons), number)
        again, kept = cleaned(array(MEDIUM), summarise(pulses)), hits_of(seen.hits, np.array([event]))
        assert np.array_equal(again.values, kept.values)
        assert np.array_equal(again.module, kept.module)
        assert truth.energy[0] == seen.truth.energy[event]


def test_fits_are_better_than_their_starts(seen, judged, starts, fits):
    truth = seen.truth.direction[judged.events[: len(starts)]]
    assert np.median(angle(fits.direction, truth)) < 0.8 * np.median(angle(starts.direction, truth))
    assert fits.converged.mean() > 0.9
    assert np.array_equal(fits.number, starts.number)
    assert (fits.deficit >= 0.0).all()
    near = np.abs(fits.log10_energy - np.log10(seen.truth.deposited[judged.events[: len(starts)]]))
    assert np.median(near) < 0.15


def test_a_killed_run_goes_on_and_no_executor_changes_a_byte(bench, starts, fits):
    before = files_of(bench)
    assert len(before) == 2
    last = list(before)[-1]
    last.unlink()
    with Threads(2) as executor:
        hybrid.fitted(RECIPE, replace(bench, executor=executor), "small", starts)
    assert files_of(bench) == before


def test_other_starts_or_events_are_other_fits(starts):
    names = {
        hybrid._key(recipe, one, contours)
        for recipe in (RECIPE, replace(RECIPE, seed=8))
        for one in (starts, replace(starts, log10_energy=starts.log10_energy + 0.1))
        for contours in (True, False)
    }
    assert len(names) == 8


def test_where_no_light_is_the_fit_fails_and_says_so(bench, starts):
    far = hybrid.Starts(*(getattr(starts, one.name)[:1] for one in fields(starts)))
    far = replace(far, vertex=np.array([[0.0, 0.0, 9000.0]]))
    found = hybrid.fit_piece(RECIPE, light(bench, MEDIUM.photons), far, True, 0)
    assert found.converged.tolist() == [False]
    assert np.array_equal(found.direction, far.direction)
    with pytest.raises(InputError, match="0 pieces"):
        hybrid.fitted(RECIPE, bench, "none", hybrid.Starts(*(getattr(far, one.name)[:0] for one in fields(far))))


def test_fits_stand_at_their_own_events(seen, judged, fits):
    some = hybrid.Fits(*(getattr(fits, one.name)[3:9:2] for one in fields(fits)))
    errors = errors_of(fits_like(seen, judged, np.random.default_rng(1)), seen, judged, MEDIUM, "made up")
    new = hybrid.with_fits(judged, some, seen, errors)
    assert np.array_equal(new.said.direction[3:9:2], some.direction)
    assert np.array_equal(new.said.log10_energy[3:9:2], some.log10_energy)
    others = np.setdiff1d(np.arange(len(judged.events)), [3, 5, 7])
    assert np.array_equal(new.said.direction[others], judged.said.direction[others])
    assert np.array_equal(new.sigma[others], judged.sigma[others])
    assert new.scores is judged.scores  # the levels before are not touched


def fits_like(seen, judged, rng):
    """Fits whose angles are 1.7 times what they say, and whose deficits are twice what Wilks says."""
    truth = seen.truth.direction[judged.events]
    n = len(truth)
    sigma = np.radians(rng.uniform(2.0, 8.0, n))
    psi = 1.7 * sigma * np.sqrt(rng.chisquare(2, n))
    across = np.cross(truth, rng.normal(size=(n, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    direction = np.cos(psi)[:, None] * truth + np.sin(psi)[:, None] * across
    vertex = seen.truth.vertex[judged.events]
    return hybrid.Fits(
        seen.truth.number[judged.events], vertex, vertex, direction, np.log10(seen.truth.deposited[judged.events]),
        sigma, 2.0 * rng.chisquare(2, n), np.ones(n, np.int64), np.ones(n, bool),
    )  # fmt: skip


def test_laws_make_errors_and_contours_hold(seen, judged):
    rng = np.random.default_rng(5)
    errors = errors_of(fits_like(seen, judged, rng), seen, judged, MEDIUM, "made up")
    found = {one.name: one for one in measures(fits_like(seen, judged, rng), seen, judged, errors, MEDIUM)}
    pulls = [one for name, one in found.items() if name.startswith("median pull")]
    assert len(pulls) >= 2
    for one in pulls:
        assert abs(one.value - 1.0) < 4.0 * one.error + 0.1  # a law from as few events has errors of its own
    for share in (0.5, 0.9):
        one = found[f"inside of contours of {100 * share:.0f} %, log10 E 3.0 to 6.0"]
        assert abs(one.value - share) < 4.0 * one.error + 0.05
    assert found["fits that converged"].value == 1.0


def test_kept_pulses_are_those_that_hits_were_made_of(bench, seen):
    (path,) = kept_pulses(RECIPE, bench, "small")
    truth, pulses = read_pulses(path)
    found = pulses_from(pulses)
    triggered = np.flatnonzero(found.triggered)
    assert np.array_equal(truth_from(truth).number[triggered], seen.truth.number)
    again = hits_of(cleaned(array(MEDIUM), summarise(found)), triggered)
    assert np.array_equal(again.values, seen.hits.values)


# --- thinning


def rates_of(seen, rng):
    n = len(seen.truth.kind)
    steep = 10.0 ** rng.uniform(-4.0, 0.0, n)
    return lambda weight: (
        Component("muons", Origin.MUON, steep * weight),
        Component("astrophysical nue", Origin.ASTROPHYSICAL, weight * steep[::-1]),
    )


def test_a_thinned_sample_keeps_its_sums(seen):
    rng = np.random.default_rng(3)
    n, of = len(seen.truth.kind), rates_of(seen, rng)
    seen = replace(seen, truth=replace(seen.truth, weight=np.ones(n)))
    came = rng.random(n) < 0.8
    whole = [one.rate[came].sum() for one in of(np.ones(n))]
    found, kept = [], []
    for seed in range(200):
        fewer, stays = thinned(seen, came, of(np.ones(n)), 30, seed)
        weight = fewer.truth.weight
        assert np.array_equal(weight[~came], np.ones((~came).sum()))
        assert not weight[came & ~stays].any()
        assert weight.max() <= 10.0 + 1e-9
        found.append([one.rate[came].sum() for one in of(weight)])
        kept.append(stays.sum())
    assert np.mean(kept) == pytest.approx(30.0, abs=1.5)
    spread = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - whole) < 4.0 * spread).all()


def test_nothing_is_thinned_where_all_may_stay(seen):
    of, came = rates_of(seen, np.random.default_rng(4)), np.ones(len(seen.truth.kind), bool)
    for number in (0, len(came)):
        same, stays = thinned(seen, came, of(seen.truth.weight), number, 1)
        assert same is seen
        assert stays.all()
