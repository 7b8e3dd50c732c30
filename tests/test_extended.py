"""Extended sources: each fit is the stand-alone one, positions are those of the plane, both searches share their skies.

The stand-alone fit of an extended source (prepare, terms, maximise: all events, one by one) is the slow twin.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import healpy as hp
import numpy as np
import pytest
from matplotlib.patches import Ellipse
from matplotlib.text import Text
from scipy.stats import kstest
from small_problem import sample

from nuanalysis import plot, simulate, trials
from nuanalysis.answers import _sky
from nuanalysis.answers import extended as work
from nuanalysis.answers._question import direction, position
from nuanalysis.errors import DataError, InputError
from nuanalysis.library import samples as known
from nuanalysis.library.catalogues import open_table, parse_catalogue
from nuanalysis.library.samples import SampleSpec
from nuanalysis.likelihood import fit_directions, maximise, sky_events, turned
from nuanalysis.model import Hypothesis, _prepare, prepare, terms
from nuanalysis.response import cascades_2023
from nuanalysis.sky.catalogues import catalogue, extended_tev, match
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw

EXTENSIONS = np.radians([0.5, 1.0, 1.5, 2.0])
# As in test_scan: the far events' series leaves 5e-10 an event at its end; largest difference seen here: 2e-9.
SAME_TS = 1e-6


def bare(hypothesis, ready):
    """Prepared without the expected spread of n_s, which takes most of the time and which no fit asks for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_prepare, "_strengths", lambda prepared: (prepared.spread, prepared.strength))
        return prepare(hypothesis, ready)


def stand_alone(ready, ra, dec, extension):
    source = PointSource("there", float(ra), float(dec), float(extension))
    where = Hypothesis("point:there", Catalogue("there", "there", (source,), (1.0,), "by hand"), 2.7, True)
    return maximise(terms(bare(where, ready)))


def moved(ready, **columns):
    """The sample with some event columns replaced."""
    return replace(ready, events=ready.events.assign({k: ready.events[k].copy(data=v) for k, v in columns.items()}))


@lru_cache
def ready(kind):
    if kind == "cascades":
        return (sample(3000, seed=61),)
    base = sample(3000, seed=62)
    error = np.radians(0.6) * np.exp(0.6 * np.random.default_rng(1).standard_normal(3000))
    return (moved(base, angular_error=np.maximum(error, np.radians(0.2))),)


@lru_cache
def events(kind):
    return sky_events(bare(direction(0.0, 0.0), ready(kind)))


def region(half_width=5.0, longitude=(0.0, 360.0), declination=(-82.0, 82.0)):
    return trials.PlaneRegion(np.radians(half_width), tuple(np.radians(longitude)), tuple(np.radians(declination)))


def galactic(nside, pixels):
    """Longitude, latitude, declination of pixels, deg."""
    ra, dec = hp.pix2ang(nside, pixels, lonlat=True)
    lon, lat = hp.Rotator(coord=["C", "G"])(ra, dec, lonlat=True)
    return np.asarray(lon) % 360, np.asarray(lat), np.asarray(dec)


# --- fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cascades", "narrow"])
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_positions_are_stand_alone_fits(kind, extension):
    layer = trials.layers(region(), (extension,), 16)[0]
    sky = turned(events(kind).right_ascension())
    found = trials.fit_layer(events(kind), [sky], layer)[0]
    loud = np.append(np.argsort(-found[:, 0])[:2], len(found) // 2)
    theta, phi = hp.pix2ang(16, layer.pixels[loud])
    for row, ra, dec in zip(found[loud], phi, np.pi / 2 - theta, strict=True):
        alone = stand_alone(ready(kind), ra, dec, extension)
        assert row[0] == pytest.approx(alone.ts, abs=SAME_TS)
        # Where TS is flat the place of its maximum is less sure.
        assert row[1] == pytest.approx(alone.n_signal, rel=1e-4, abs=1e-4)
        assert row[2] == pytest.approx(alone.index, abs=1e-3)
    assert found[loud[0], 0] > 1.0  # else nothing was compared


@pytest.mark.parametrize("kind", ["cascades", "narrow"])
def test_an_extension_that_shrinks_becomes_a_point(kind):
    """TS differs from the point's in the square of the extension: 4 times less at half of it."""
    sky, rng = turned(events(kind).right_ascension()), np.random.default_rng(3)
    ra, dec = rng.uniform(0, 2 * np.pi, 30), np.arcsin(rng.uniform(-0.9, 0.9, 30))
    point = fit_directions(events(kind), sky, ra, dec)[:, 0]
    sizes = np.radians([0.04, 0.02, 1e-4])
    away = [np.abs(fit_directions(events(kind), sky, ra, dec, size)[:, 0] - point) for size in sizes]
    assert away[0].max() > 1e-4
    assert away[1].sum() == pytest.approx(away[0].sum() / 4, rel=0.05)
    assert away[2].max() < 1e-4


@pytest.mark.slow
@pytest.mark.real_data
def test_positions_on_real_tracks_are_stand_alone_fits(mirror, monkeypatch):
    """268,355 tracks of three seasons jointly."""
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    tracks = known.load(SampleSpec(name="tracks", signal="none"), 1).seasons
    seen = sky_events(bare(direction(0.0, 0.0), tracks))
    ra, dec = np.radians([307.2, 90.0, 287.0]), np.radians([41.0, 24.0, 6.4])
    for extension in EXTENSIONS:
        found = fit_directions(seen, turned(seen.right_ascension()), ra, dec, extension)
        alone = [stand_alone(tracks, a, d, extension).ts for a, d in zip(ra, dec, strict=True)]
        assert found[:, 0] == pytest.approx(alone, abs=SAME_TS)


# --- positions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("longitude", "declination"),
    [
        ((0, 360), (-82, 82)),
        ((30, 110), (-82, 82)),
        ((350, 20), (-90, 90)),
        ((-10, 20), (-40, 0)),
        ((0, 360), (-5, 82)),
    ],
)
def test_positions_are_all_of_the_region_and_no_others(longitude, declination):
    nside, width = 32, 5.0
    found = region(width, longitude, declination).pixels(nside)
    lon, lat, dec = galactic(nside, np.arange(12 * nside**2))
    low, high = longitude[0] % 360, longitude[1] % 360
    along = np.ones(len(lon), bool) if longitude == (0, 360) else (
        (lon >= low) & (lon <= high) if low < high else (lon >= low) | (lon <= high)
    )  # fmt: skip
    inside = along & (np.abs(lat) <= width) & (dec >= max(declination[0], -82)) & (dec <= min(declination[1], 82))
    assert np.array_equal(found, np.flatnonzero(inside))
    assert len(found) > 20


@pytest.mark.parametrize(
    ("extension", "finest", "expected"),
    [(0.5, 64, 64), (0.5, 512, 256), (1.0, 256, 128), (2.0, 256, 64), (5.0, 64, 32)],
)
def test_pixels_are_half_as_wide_as_the_extension_but_not_too_fine(extension, finest, expected):
    layer = trials.layers(region(), (np.radians(extension),), finest)[0]
    assert layer.nside == expected
    if expected < finest:
        width = np.degrees(np.sqrt(np.pi / 3) / expected)
        assert 0.5 / np.sqrt(2) <= width / extension <= 0.5 * np.sqrt(2)


# --- skies -----------------------------------------------------------------------------------------------------------

NODES = np.radians([-82.0, -40.0, 0.0, 40.0, 82.0])


def table(slope):
    """p = exp(-slope TS): by hand."""
    root = np.arange(0.0, 7.05, 0.1)
    rows = np.repeat(-slope * root[None] ** 2, len(NODES), axis=0)
    return trials.LocalP(NODES, root, rows, np.full_like(rows, 0.05), np.full(len(NODES), 7.0))


def test_background_skies_hold_the_hottest_position_of_each_extension():
    """Against plain fits of all positions of each sky, turned into p and searched one by one."""
    planes = trials.layers(region(4.0), tuple(EXTENSIONS[[0, 3]]), 16)
    tables = (table(0.5), table(0.45))
    rows = trials.extended_trials(events("narrow"), tables, planes, 4, 0, 3).reshape(3, 2, -1)
    for k, (layer, one) in enumerate(zip(planes, tables, strict=True)):
        theta, phi = hp.pix2ang(layer.nside, layer.pixels)
        for i in range(3):
            sky = trials.draw_sky(events("narrow"), 4, i)
            fits = fit_directions(events("narrow"), sky, phi, np.pi / 2 - theta, layer.extension)
            log_p = one.log_p_of(0.3, fits[:, 0])  # the same at any declination
            best = int(log_p.argmin())
            assert rows[i, k] == pytest.approx([log_p[best], *fits[best, :3], phi[best], np.pi / 2 - theta[best]])
    assert len(trials.layer_columns(2)) == rows[0].size


def test_background_skies_do_not_depend_on_how_they_are_cut():
    planes, tables = trials.layers(region(3.0), (EXTENSIONS[3],), 8), (table(0.5),)
    whole = trials.extended_trials(events("cascades"), tables, planes, 3, 0, 5)
    cut = [trials.extended_trials(events("cascades"), tables, planes, 3, a, b) for a, b in ((0, 1), (1, 4), (4, 5))]
    assert np.array_equal(whole, np.concatenate(cut))


def test_a_list_and_the_plane_see_the_same_skies():
    """A source of the list at the one position of a plane, of the same extension: the same TS, sky for sky."""
    layer = trials.layers(region(5.0), (EXTENSIONS[2],), 8)[0]
    one = replace(layer, pixels=layer.pixels[10:11])
    theta, phi = hp.pix2ang(8, one.pixels)
    at = (np.asarray(phi), np.pi / 2 - np.asarray(theta), np.array([one.extension]))
    plane = trials.extended_trials(events("cascades"), (table(0.5),), (one,), 7, 0, 8)[:, 1]
    assert plane == pytest.approx(trials.source_trials(events("cascades"), at, 7, 0, 8)[:, 0], abs=1e-9)
    assert plane.max() > 0.5


def test_the_likeliest_extension_is_that_of_the_largest_ts_nearby():
    """The largest TS of all is far away and does not count; nearby the second layer has it."""
    planes = trials.layers(region(), tuple(EXTENSIONS[:3]), 16)
    made = []
    for k, layer in enumerate(planes):
        lon, lat, _ = galactic(16, layer.pixels)
        fits = np.zeros((len(lon), 4))
        fits[np.argmin(np.hypot(lon - 100.0, lat)), 0] = (3.0, 5.0, 4.0)[k]
        fits[np.argmin(np.hypot(lon - 200.0, lat)), 0] = (0.0, 0.0, 50.0)[k]
        made.append(work.Searched(layer, fits, -fits[:, 0], table(0.5)))
    ra, dec = hp.Rotator(coord=["G", "C"])(100.0, 0.0, lonlat=True)
    at = position(float(np.radians(ra)), float(np.radians(dec)))
    assert work.likeliest_extension(tuple(made), at, 6.0) == 1.0


# --- both searches together ------------------------------------------------------------------------------------------


def test_the_better_of_two_searches_by_hand():
    """Data -3 and -1: ranks 2 and 3 of 5 in the two columns.  Skies with the better rank 2 or less: the first three."""
    skies = np.array([[-4.0, 0.0], [-1.0, -3.0], [-0.5, -2.0], [0.0, -0.5]])
    met = trials.smaller_of_both(np.array([-3.0, -1.0]), skies)
    assert met.tolist() == [True, True, True, False]


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_the_combined_p_value_is_fair_for_independent_and_for_correlated_searches(shared):
    """2,000 experiments with 99 skies each: p is uniform on its steps of 1/100 (smoothed by a uniform number)."""
    rng = np.random.default_rng(8)
    p = []
    for _ in range(2000):
        both = rng.standard_normal((100, 2)) + shared * 3.0 * rng.standard_normal((100, 1))
        met = trials.smaller_of_both(both[0], both[1:])
        p.append((met.sum() + rng.random()) / 100.0)
    p = np.array(p)
    # Ties of the smaller rank make p a little large, never small: two searches may hold the same rank.
    for level in (0.05, 0.1, 0.3):
        assert (p <= level).mean() <= level + 3.0 * np.sqrt(level * (1 - level) / len(p))
        assert (p <= level).mean() >= level - 0.025
    assert kstest(p, "uniform").statistic < 0.06


# --- injection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_injected_events_are_spread_with_the_extension(extension):
    """True directions: the mean square distance of a round Gaussian is 2 sigma^2."""
    source = PointSource("there", 5.2, 0.6, float(extension))
    target = Catalogue("there", "there", (source,), (1.0,), "by hand")
    ra, dec = simulate._around_sources(target, np.zeros(20_000, dtype=np.int64), np.random.default_rng(2))
    apart = hp.rotator.angdist([np.pi / 2 - 0.6, 5.2], [np.pi / 2 - dec, ra])
    # The relative error of a mean of exponentials is 1 / sqrt(20,000) = 0.7 %; the sphere bends by sigma^2 / 3 < 0.1 %.
    assert np.mean(apart**2) == pytest.approx(2.0 * extension**2, rel=0.03)


def injected(base, source, n, seed):
    """The sample with n of its events replaced by events of a source, as the response sees them."""
    target = Catalogue(source.name, source.name, (source,), (1.0,), "by hand")
    emission = simulate.emission(target, cascades_2023.response(), PowerLaw(2.7))
    drawn = simulate.signal(emission, n, np.random.default_rng(seed))
    columns = {}
    for name in ("right_ascension", "declination", "log10_energy", "angular_error"):
        columns[name] = base.array(name).copy()
        columns[name][:n] = getattr(drawn, name)
    return moved(base, **columns)


def test_an_injected_source_is_found_where_it_is():
    """A source of 20 degrees is wide even for cascades: at its place TS is larger with its size than as a point."""
    source = PointSource("wide", np.radians(300.0), np.radians(27.0), np.radians(20.0))
    better = []
    for seed in range(4):
        ready_ = (injected(sample(3000, seed=70 + seed), source, 220, seed),)
        seen = sky_events(bare(direction(0.0, 0.0), ready_))
        at = np.full(2, source.right_ascension), np.full(2, source.declination), np.array([0.0, source.extension])
        ts = fit_directions(seen, turned(seen.right_ascension()), *at)[:, 0]
        better.append(ts[1] - ts[0])
    assert np.mean(better) > 5.0


# --- what is asked ---------------------------------------------------------------------------------------------------

GOOD = {"extensions": (2.0, 0.5), "nside": 16, "declination": (-5.0, 82.0), "skies": 10}


def test_a_search_is_what_was_asked():
    search = work.Extended.of(**GOOD)
    assert search.extensions == (0.5, 2.0)
    assert [layer.extension for layer in search.layers()] == pytest.approx(np.radians([0.5, 2.0]))
    listed = search.listed().sources
    assert all(s.declination >= np.radians(-5) for s in listed)
    assert {"HESS J1908+063", "3HWC J1951+266"} <= {s.name for s in listed}
    assert len(listed) == 12
    assert np.degrees(search.region().half_width) == pytest.approx(5.0)


REFUSED = [
    ({"extensions": (0.01, 2.0, 7.0)}, "extensions holds 0.01, 7; expected 0.05 to 5 degrees"),
    ({"extensions": ()}, "extensions holds nothing"),
    ({"width": 0.0}, "'width'"),
    ({"nside": 48}, "nside is 48"),
    ({"skies": -1}, "'skies'"),
    ({"longitude": (10.0,)}, "longitude is (10); expected (low, high)"),
    ({"longitude": (np.nan, 10.0)}, "longitude is (nan, 10)"),
    ({"declination": (-5.0, 88.0)}, "declination is (-5, 88); expected (low, high), both from -82 to 82"),
    ({"declination": (40.0, 20.0)}, "expected the lower one first"),
    ({"declination": (-5.0, 0.0), "longitude": (100.0, 120.0)}, "no position is left for the extension 0.5 deg"),
    ({"declination": (79.0, 81.0)}, "no source of extended-tev lies between declinations 79 and 81 deg"),
    ({"catalogue": "extended-tve"}, "Did you mean 'extended-tev'"),
]


@pytest.mark.parametrize(("wrong", "said"), REFUSED)
def test_wrong_searches_are_refused(wrong, said):
    with pytest.raises(InputError, match="cannot be asked like this") as caught:
        work.Extended.of(**GOOD | wrong)
    assert said in str(caught.value)


def test_all_faults_come_at_once():
    wrong = {key: value for one, _ in REFUSED[1:5] for key, value in one.items()} | {"extensions": (9.0,)}
    with pytest.raises(InputError) as caught:
        work.Extended.of(**GOOD | wrong)
    assert all(word in str(caught.value) for word in ("9; expected 0.05", "width", "nside", "skies"))


def test_a_list_whose_file_is_not_here_is_missed_when_it_is_asked(monkeypatch, tmp_path):
    """A spec can be read where the data are not."""
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    with pytest.raises(DataError, match="fetch"):
        work.Extended.of(**GOOD, catalogue="hgps").listed()


def test_tables_reach_around_the_declinations():
    low, high = np.radians([-5.0, 67.0])
    found = _sky.nodes(low, high)
    grid = _sky.TABLE_DECLINATIONS
    assert found[0] <= low < grid[np.searchsorted(grid, found[0]) + 1]
    assert grid[np.searchsorted(grid, found[-1]) - 1] < high <= found[-1]
    assert np.array_equal(_sky.nodes(-1.43, 1.43), grid)


# --- the list --------------------------------------------------------------------------------------------------------


def test_the_list_is_as_its_rule_says():
    found = catalogue("extended-tev")
    size = np.degrees([s.extension for s in found.sources])
    assert len(found.sources) == 26
    assert size.min() >= extended_tev.LEAST_SIGMA_DEG - 1e-9
    names = [s.name for s in found.sources]
    assert len(set(names)) == len(names)
    where = [hp.ang2vec(np.pi / 2 - s.declination, s.right_ascension) for s in found.sources]
    apart = np.degrees(np.arccos(np.clip(np.array(where) @ np.array(where).T, -1, 1))) + 999 * np.eye(len(where))
    assert apart.min() > extended_tev.APART_DEG


@pytest.mark.real_data
def test_the_list_is_made_again_from_the_catalogues(mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    hgps, gamma = (open_table(parse_catalogue(name)) for name in ("hgps", "gamma-cat"))
    wide = [np.flatnonzero(one.extension >= np.radians(extended_tev.LEAST_SIGMA_DEG)) for one in (hgps, gamma)]
    places = (gamma.right_ascension[wide[1]], gamma.declination[wide[1]]), (hgps.right_ascension, hgps.declination)
    alone = match(*places, np.radians(extended_tev.APART_DEG)).alone_first
    for typed, table_, rows in ((extended_tev.HGPS, hgps, wide[0]), (extended_tev.GAMMA_CAT, gamma, wide[1][alone])):
        assert [row[0] for row in typed] == table_.name[rows].tolist()
        columns = (table_.right_ascension, table_.declination, table_.extension)
        expected = np.degrees([column[rows] for column in columns]).T
        assert np.array([row[1:] for row in typed]) == pytest.approx(expected, abs=6e-5)  # typed to four decimals


# --- the figure ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("declination", "rows"), [((-5.0, 82.0), 3), ((-82.0, 82.0), 4)])
def test_the_figure_marks_places_and_says_synthetic(declination, rows):
    planes = trials.layers(region(5.0, declination=declination), tuple(EXTENSIONS[[0, 3]]), 32)
    strips = []
    for layer in planes:
        lon, lat, _ = galactic(layer.nside, layer.pixels)
        near = np.hypot((lon - 60.0), lat + 2.0)
        values = 4.0 * np.exp(-0.5 * (near / np.degrees(layer.extension)) ** 2)
        strips.append(plot.ExtensionStrip(float(np.degrees(layer.extension)), layer.nside, layer.pixels, values))
    hottest, sources = plot.Ring(60.0, -2.0, 2.0), [plot.Ring(40.0, -1.0, 0.5)]
    figure = plot.extended_figure(strips, hottest, sources, half_width_deg=5.0, label="try", origin="synthetic")
    figure.canvas.draw()
    words = [text.get_text() for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert "SYNTHETIC · try" in words
    assert "0.5°" in words
    assert all(text.get_fontsize() >= 9.0 for text in figure.findobj(Text) if text.get_text().strip())
    maps = figure.axes[:rows]
    assert all(axes.get_xlim()[0] > axes.get_xlim()[1] for axes in figure.axes[: rows + 1])  # grows to the left
    assert {round(ring.height, 6) for ring in maps[0].findobj(Ellipse)} == {1.0, 4.0}  # diameters: twice the extensions
    image = maps[0].images[0]
    values = np.ma.filled(image.get_array(), np.nan)
    left, right, low, high = image.get_extent()
    j, i = np.unravel_index(np.nanargmax(values), values.shape)
    assert left + (i + 0.5) * (right - left) / values.shape[1] == pytest.approx(60.0, abs=2.0)  # a pixel is 1.8 deg
    assert low + (j + 0.5) * (high - low) / values.shape[0] == pytest.approx(-2.0, abs=2.0)
