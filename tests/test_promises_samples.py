"""What every sample promises, for all of SAMPLES alike; what a newcomer runs on a sample of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made_releases
import numpy as np
import pytest
import toy_detector
from small_problem import twin

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import RELEASES, open_detector, tracks_dr1, tracks_dr2
from nuanalysis.library import samples
from nuanalysis.library.samples import SAMPLES, SampleRecipe, sample_spec
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, prepare, terms
from nuanalysis.response import NONE
from nuanalysis.response.tracks import STAND_IN, from_smearing
from nuanalysis.schema import EVENTS, RESPONSE, faults
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.trials import injection_trials

TRACKS = {"tracks-dr1": made_releases.dr1, "tracks-dr2": made_releases.dr2}
MADE = (*TRACKS, "open-detector")
USABLE = [sample.name for sample in SAMPLES if not sample.refusal]
NORTH = Hypothesis("point:83.6,22", Catalogue("p", "p", (PointSource("p", 1.46, 0.38),), (1.0,), "-"), 2.5, True)


@pytest.fixture(scope="module")
def public(tmp_path_factory) -> Path:
    """A data folder that holds the releases nobody may have here, made."""
    root = tmp_path_factory.mktemp("public")
    made_releases.dr1(root / tracks_dr1.RELEASE.folder)
    made_releases.dr2(root / tracks_dr2.RELEASE.folder)
    toy_detector.products(root / open_detector.RELEASE.folder)
    return root


@pytest.fixture(params=USABLE)
def opened(request, public, tmp_path_factory, monkeypatch):
    """A sample with its recipe; tracks and ARCA need the public files."""
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    if request.param in MADE:
        monkeypatch.setenv("NUANALYSIS_DATA", str(public))
    elif request.param == "tracks" or request.param.startswith("arca230"):
        monkeypatch.setenv("NUANALYSIS_DATA", str(request.getfixturevalue("mirror")))
    return samples.recipe(request.param), samples.load(sample_spec(name=request.param, signal="none"), 1)


def test_names_differ_and_every_release_is_known():
    assert len(set(samples.names())) == len(SAMPLES)
    seasons = [season.name for sample in SAMPLES for season in sample.seasons]
    assert len(set(seasons)) == len(seasons)
    known = {release.name for release in RELEASES}
    for sample in SAMPLES:
        assert sample.title
        assert sample.label
        assert sample.releases
        assert set(sample.releases) <= known
        assert sample.origin in ("real", "synthetic")
        assert bool(sample.holds) == (sample.origin == "real"), "real events say which they are"


@pytest.mark.parametrize("recipe", SAMPLES, ids=lambda recipe: recipe.name)
def test_it_is_found_by_name_or_says_why_not(recipe: SampleRecipe):
    if not recipe.refusal:
        assert samples.recipe(recipe.name) is recipe
        return
    with pytest.raises(InputError, match="cannot be analysed"):
        samples.recipe(recipe.name)
    with pytest.raises(InputError, match="cannot be analysed"):
        sample_spec(name=recipe.name)


def test_another_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'tracks-dr1'"):
        samples.recipe("track-dr1")
    with pytest.raises(
        InputError,
        match="Known: arca230-showers, arca230-tracks, cascades-2023, gen2-cascades, hese75, open-detector, tracks, ",
    ):
        samples.recipe("?")


def test_it_selects_says_its_origin_and_has_livetime(opened):
    recipe, events = opened
    assert (events.name, events.label, events.releases) == (recipe.name, recipe.label, recipe.releases)
    assert events.origin == recipe.origin
    assert [season.name for season in events.seasons] == [season.name for season in recipe.seasons]
    assert events.n_events == sum(len(season.array("declination")) for season in events.seasons) > 0
    for season, made in zip(events.seasons, recipe.seasons, strict=True):
        assert not faults(season.events, EVENTS)
        assert not faults(season.response.dataset, RESPONSE)
        assert season.events.attrs["reference"]
        assert season.livetime > 0
        assert made.livetime() == pytest.approx(season.livetime, rel=1e-9)
    assert events.seed == 1
    assert ("SYNTHETIC" in str(events)) == ("SYNTHETIC" in events._repr_html_()) == (recipe.origin == "synthetic")
    assert max(map(len, str(events).splitlines())) <= 80


@pytest.mark.slow
def test_it_fits_and_takes_injected_signal(opened):
    _, events = opened
    # A thousand events of each season are enough to see that its parts go together.
    few = tuple(
        replace(season, events=season.events.isel(event=slice(0, 1000)).assign_attrs(livetime_s=season.livetime))
        for season in events.seasons
    )
    prepared = prepare(NORTH, few)
    assert np.all(prepared.expected > 0)
    best = maximise(terms(prepared))
    assert best.converged
    assert best.ts >= 0
    injected = injection_trials(prepared, 1, 0, 4, (100.0,))
    assert np.all(np.isfinite(injected)), "simulates signal"


def test_cuts_reach_events_and_signal(opened):
    import astropy.units as u

    recipe, events = opened
    cut = events.cut(declination=(-5, 30) * u.deg, energy=(1, 100) * u.TeV)
    assert 0 < cut.n_events < events.n_events
    for season in cut.seasons:
        assert np.degrees(season.array("declination")).min() >= -5
        assert np.degrees(season.array("declination")).max() <= 30
        assert season.log10_energy_range == pytest.approx((max(3.0, recipe.least_log10_energy), 5.0))
        assert season.passes(np.radians([0.0, 40.0, 0.0]), np.array([4.0, 4.0, 6.0])).tolist() == [True, False, False]
    assert events.cut(declination=(-5, 30)).cut(energy=(1, 100) * u.TeV).n_events == cut.n_events
    for bad, said in (
        ({"energy": (3.0, 5.0)}, "energy is .* with a unit such as GeV"),
        ({"declination": (1.0, 2.0) * u.m}, "declination"),
        ({"declination": (30, -5)}, "low < high"),
        ({"declination": (1.0, 2.0, 3.0)}, r"\(low, high\)"),
    ):
        with pytest.raises(InputError, match=said):
            events.cut(**bad)


# ---- samples that share events ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("tracks", "tracks-dr1", True),
        ("tracks", "tracks-dr2", True),
        ("tracks-dr1", "tracks-dr2", True),
        ("cascades-2023", "tracks", False),
        ("cascades-2023", "tracks-dr2", False),
    ],
)
def test_samples_that_share_events_are_not_analysed_jointly(one, other, shared):
    both = [samples.recipe(one), samples.recipe(other)]
    if not shared:
        samples.refuse_shared_events(both)
        return
    with pytest.raises(InputError, match=rf"'{one}' and '{other}' share events \(tracks IC40"):
        samples.refuse_shared_events(both)


# ---- releases with smearing matrices ------------------------------------------------------------------------------


def test_a_smearing_matrix_gives_back_the_resolution_it_was_made_from(public):
    found = from_smearing(tracks_dr1.read_smearing(public / tracks_dr1.RELEASE.folder, "IC59"))
    made = made_releases
    assert found.errors.scale == pytest.approx(made.ERROR_SCALE, rel=0.03)
    assert found.errors.spread == pytest.approx(made.ERROR_SPREAD, rel=0.05)
    # Cells are flat, and three numbers stand for fifteen: the narrow part is found to a few per cent.
    assert found.spread[0] == pytest.approx(made.FRACTION, abs=0.05)
    assert found.spread[1] == pytest.approx(made.KAPPA_NARROW, rel=0.1)
    assert found.spread[2] == pytest.approx(made.KAPPA_BROAD, rel=0.2)
    true, reco = (0.5 * (edges[1:] + edges[:-1]) for edges in (found.true_edges, found.reco_edges))
    mean = found.migration @ reco
    assert mean[1:, :] == pytest.approx(np.broadcast_to(true + made.SHIFT, mean[1:].shape), abs=0.02)
    assert mean[0, 0] == pytest.approx(mean[0, 1]), "a bin without cells takes those of its neighbour"
    assert found.migration.sum(axis=2) == pytest.approx(1.0)


def test_a_matrix_with_gaps_is_refused(public):
    smearing = tracks_dr1.read_smearing(public / tracks_dr1.RELEASE.folder, "IC40")
    gap = smearing.isel(cell=smearing["log10_true_min"].values != 4.0)
    with pytest.raises(DataError, match="log10_true in the smearing matrix 'tracks-dr1-IC40' leave gaps"):
        from_smearing(gap)


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.slow
def test_the_matrix_of_the_season_is_used_and_kept(name, public, monkeypatch, tmp_path):
    monkeypatch.setenv("NUANALYSIS_DATA", str(public))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    season = samples.recipe(name).seasons[-1]
    first = season.response()
    assert not first.notes
    [kept] = (tmp_path / "resolutions").iterdir()
    again = season.response()
    assert again.dataset.identical(first.dataset)
    assert again.errors == first.errors
    kept.write_bytes(b"damaged")
    assert season.response().dataset.identical(first.dataset), "made again"


@pytest.mark.real_data
@pytest.mark.parametrize("name", TRACKS)
def test_without_its_matrix_a_release_says_what_stands_in(name, mirror, monkeypatch, tmp_path):
    release = {"tracks-dr1": tracks_dr1, "tracks-dr2": tracks_dr2}[name].RELEASE
    TRACKS[name](tmp_path / release.folder, with_smearing=False)
    derived = tmp_path / "icecube_ps10yr_2021" / "derived"
    derived.mkdir(parents=True, exist_ok=True)
    (derived / "IC86_II_resolution_plenum.npz").symlink_to(
        mirror / "icecube_ps10yr_2021" / "derived" / "IC86_II_resolution_plenum.npz"
    )
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    events = samples.load(sample_spec(name=name), 1)
    assert STAND_IN in events.notes
    assert len(events.seasons) == {"tracks-dr1": 10, "tracks-dr2": 14}[name]


def test_events_of_overlapping_seasons_count_once(public, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(public))
    events = samples.load(sample_spec(name="tracks-dr2"), 1)
    assert events.n_events == 14 * made_releases.N_EVENTS
    assert events.livetime == pytest.approx((13 * 90 + 100) * 86400.0)
    assert any("repeat a (run, event, subevent)" in note for note in events.notes)


def test_a_partial_release_is_refused_by_the_name_of_the_file(public, monkeypatch, tmp_path):
    (tmp_path / tracks_dr1.RELEASE.folder).mkdir()
    (tmp_path / tracks_dr1.RELEASE.folder / "events").symlink_to(public / tracks_dr1.RELEASE.folder / "events")
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"uptime/IC40_exp\.csv .* 'nuanalysis data fetch tracks-dr1'"):
        samples.load(sample_spec(name="tracks-dr1"), 1)


# ---- synthetic ----------------------------------------------------------------------------------------------------


def test_a_synthetic_sample_says_what_was_injected():
    none = samples.load(sample_spec(name="cascades-2023", signal="none"), 1)
    assert (none.signal, none.injected) == ("", "none")
    assert none.seasons[0].events.equals(twin(1))
    point = samples.load(sample_spec(name="cascades-2023", signal="point:83.6,22", n_signal=50.0), 3)
    assert point.signal == point.injected == "point:83.6,22 (RA 83.6 dec 22 deg), E^-2.7"
    assert point.seed == 3
    assert point.systematics != NONE
