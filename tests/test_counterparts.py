"""Known sources in the regions of alerts: regions, chances against slow twins, and what circulars and scrambles say."""

from __future__ import annotations

import json
from pathlib import Path

import healpy as hp
import numpy as np
import pytest

from nuanalysis.alerts import Box, Region
from nuanalysis.answers.counterparts import CounterpartsAnswer, all_counterparts, counterparts
from nuanalysis.errors import DataError, InputError
from nuanalysis.interpret import alert_counterparts as compared
from nuanalysis.interpret.alert_counterparts import Sources
from nuanalysis.interpret.alert_regions import (
    Ellipse,
    alert_region,
    area_sr,
    ellipse_deg,
    grid,
    places_of,
    probability_map,
)  # fmt: skip
from nuanalysis.library.icecat import known_alert, known_alerts
from nuanalysis.sphere import offset

DEG2 = np.degrees(1.0) ** 2
ROUND = ellipse_deg(40.0, 0.0, (1.0,) * 4)
LOPSIDED = ellipse_deg(359.5, 10.0, (2.0, 1.0, 0.5, 1.5))


def at(ra_deg: float, dec_deg: float) -> tuple[np.ndarray, np.ndarray]:
    return np.radians([ra_deg % 360.0]), np.radians([dec_deg])


# ---- regions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ra", "dec", "inside"),
    [(361.4, 10.0, True), (361.6, 10.0, False), (358.55, 10.0, True), (358.45, 10.0, False),
     (359.5, 10.49, True), (359.5, 10.51, False), (359.5, 8.51, True), (359.5, 8.49, False),
     (360.9, 10.4, False), (360.9, 9.0, True)],
)  # fmt: skip
def test_each_side_of_an_ellipse_has_its_own_error_across_right_ascension_zero(ra, dec, inside):
    assert (LOPSIDED.level(*at(ra, dec))[0] <= 0.9) == inside


def test_levels_of_an_ellipse_are_those_of_a_gaussian():
    sigma = 1.0 / np.sqrt(-2.0 * np.log(0.1))  # of a round Gaussian with 90 % within 1 deg
    for radius in (0.2, 0.5, 1.0, 1.4):
        level = ROUND.level(*at(40.0 + radius, 0.0))[0]
        assert level == pytest.approx(1.0 - np.exp(-0.5 * (radius / sigma) ** 2), abs=1e-9)
        penalty = ROUND.penalty(*at(40.0, radius))[0]
        assert penalty == pytest.approx(-((radius / sigma) ** 2), abs=1e-9)
    assert ROUND.scale(0.99) == pytest.approx(np.sqrt(2.0))


def test_areas_of_ellipses_are_counted():
    assert area_sr(ROUND, 0.9) * DEG2 == pytest.approx(np.pi, rel=0.02)
    quarters = 0.25 * np.pi * (2.0 + 1.0) * (0.5 + 1.5) * np.cos(np.radians(10.0))
    assert area_sr(LOPSIDED, 0.9) * DEG2 == pytest.approx(quarters, rel=0.02)


def test_a_radius_serves_where_there_is_no_box():
    circle = alert_region(Region(1.0, 0.5, radius=np.radians(2.0)))
    assert area_sr(circle, 0.9) * DEG2 == pytest.approx(4.0 * np.pi, rel=0.02)
    with pytest.raises(InputError, match="neither errors to each side nor a radius"):
        alert_region(Region(1.0, 0.5))


def gaussian_map(order: int = 6):
    """A round Gaussian of 3 deg at (40, 20), all leaves of one order but for one split pixel."""
    nside = 1 << order
    theta, phi = hp.pix2ang(nside, np.arange(12 * nside**2), nest=True)
    apart = hp.rotator.angdist(np.radians([70.0, 40.0]), np.stack([theta, phi]))
    density = np.exp(-0.5 * (apart / np.radians(3.0)) ** 2)
    density /= density.sum() * hp.nside2pixarea(nside)
    uniq = 4 * nside**2 + np.arange(12 * nside**2)
    split = 4 * (4 * nside**2) + np.arange(4 * 7, 4 * 8)
    return np.append(np.delete(uniq, 7), split), np.append(np.delete(density, 7), np.full(4, density[7]))


def test_a_map_holds_what_it_says():
    uniq, density = gaussian_map()
    order = np.random.default_rng(1).permutation(len(uniq))
    region = probability_map(uniq[order], density[order])
    assert np.degrees([region.right_ascension, region.declination]) == pytest.approx([40.0, 20.0], abs=1.0)
    two_sigma2 = -2.0 * np.log(0.1) * 9.0
    assert area_sr(region, 0.9, pixels=20_000) * DEG2 == pytest.approx(np.pi * two_sigma2, rel=0.03)
    angle = np.linspace(0.0, 2 * np.pi, 200)
    ring = offset(*(np.full(200, np.radians(x)) for x in (40.0, 20.0)), np.radians(np.sqrt(two_sigma2)), angle)
    assert region.level(*ring).mean() == pytest.approx(0.9, abs=0.01)  # pixels are 0.9 deg wide: in the mean
    mass = region.density * hp.nside2pixarea(64) * np.where(region.order == 6, 1.0, 0.25)
    assert mass[region.containment <= 0.9].sum() == pytest.approx(0.9, abs=mass.max())
    assert region.penalty(*at(40.0, 23.0))[0] == pytest.approx(-1.0, abs=0.4)
    assert region.level(*at(220.0, -20.0))[0] == pytest.approx(1.0)


def test_maps_that_do_not_cover_the_sky_are_refused():
    uniq, density = gaussian_map()
    with pytest.raises(DataError, match="expected each pixel once"):
        probability_map(uniq[1:], density[1:])
    with pytest.raises(DataError, match="adds to 2"):
        probability_map(uniq, 2.0 * density)


def test_places_of_a_region_begin_with_the_best_one():
    places, source = places_of(LOPSIDED, 0.99, 256)
    assert places.penalty[0] == 0.0
    assert (source[0], source.argmax() > 0) == (0.0, True)
    assert (LOPSIDED.level(places.right_ascension, places.declination) <= 0.99).all()
    assert np.log(0.01) * 2.0 <= places.penalty.min() < np.log(0.01) * 1.8
    tiny, alone = places_of(ellipse_deg(40.0, 0.0, (0.01,) * 4), 0.99, 64)
    assert len(tiny.penalty) == len(alone)
    assert alone.sum() > 0


# ---- chances ------------------------------------------------------------------------------------------------------


def scattered(n: int = 4000, seed: int = 2) -> Sources:
    rng = np.random.default_rng(seed)
    return Sources(rng.uniform(0, 2 * np.pi, n), np.arcsin(rng.uniform(-1, 1, n)), rng.pareto(1.5, n))


def test_expected_sources_of_an_even_sky_are_density_times_area():
    sources, region = scattered(200_000), ellipse_deg(100.0, 30.0, (8.0, 6.0, 5.0, 5.0))
    mean = compared.expected(grid(region, 0.9, 256), sources)
    assert mean == pytest.approx(200_000 / (4 * np.pi) * area_sr(region, 0.9, pixels=20_000), rel=0.02)
    assert compared.chance(0.188) == pytest.approx(1 - np.exp(-0.188))


def test_the_plane_is_denser_than_the_poles():
    """Sources within 5 deg of the Galactic plane alone: none is expected away from it."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    rng = np.random.default_rng(3)
    on = SkyCoord(rng.uniform(0, 360, 3000) * u.deg, rng.uniform(-4.9, 4.9, 3000) * u.deg, frame="galactic").icrs
    sources = Sources(on.ra.rad, on.dec.rad, np.ones(3000))
    centre = SkyCoord(50.0 * u.deg, 0.0 * u.deg, frame="galactic").icrs
    there = ellipse_deg(centre.ra.deg, centre.dec.deg, (1.0,) * 4)
    whole = 4 * np.pi * np.sin(np.radians(5.0))
    assert compared.expected(grid(there, 0.9, 512), sources) == pytest.approx(
        3000 / whole * area_sr(there, 0.9), rel=0.1
    )
    assert compared.expected(grid(ellipse_deg(192.86, 27.13, (1.0,) * 4), 0.9, 512), sources) == 0.0


def test_moved_regions_hold_what_a_slow_loop_finds():
    sources, turn = scattered(), np.random.default_rng(5).uniform(0, 2 * np.pi, 60)
    region = ellipse_deg(10.0, 40.0, (6.0, 4.0, 3.0, 5.0))
    fast = compared.brightest_when_moved(region, sources, turn, 0.9)
    for angle, brightest in zip(turn, fast, strict=True):
        moved = Ellipse(np.mod(region.right_ascension + angle, 2 * np.pi), region.declination, region.box)
        held = compared.inside(moved, sources, 0.9)
        assert brightest == (sources.flux[held].max() if len(held) else -np.inf)


def test_pairs_are_counted_and_moved_each_on_its_own():
    sources = scattered()
    regions = [ellipse_deg(20.0 * k, 5.0 * k - 40.0, (3.0,) * 4) for k in range(12)]
    turns = np.random.default_rng(6).uniform(0, 2 * np.pi, (12, 200))
    found = compared.pairs(regions, sources, turns, 0.9)
    slow = [len(compared.inside(region, sources, 0.9)) for region in regions]
    assert (found.pairs, found.with_source) == (sum(slow), sum(n > 0 for n in slow))
    assert found.moved_pairs.mean() == pytest.approx(
        sum(area_sr(one, 0.9) for one in regions) * 4000 / (4 * np.pi), rel=0.1
    )
    assert (found.moved_with_source <= 12).all()


# ---- the catalogue of alerts --------------------------------------------------------------------------------------

CIRCULARS = (  # sources of 4FGL inside, and separation of the nearest as printed, deg
    ("IC230416A", 0, 0.95), ("IC230122A", 4, 1.68), ("IC230217A", 2, 0.31), ("IC230724A", 0, 0.71),
)  # fmt: skip


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "inside", "nearest"), CIRCULARS)
def test_sources_of_circulars(mirror, name, inside, nearest):
    found = counterparts(known_alert(name), catalogues=("4fgl-dr2",)).catalogues[0]
    assert found.inside == inside == len(found.matches)
    assert found.nearest_deg == pytest.approx(nearest, abs=0.02)
    assert all(one.level <= 0.9 for one in found.matches)


@pytest.mark.real_data
def test_the_plain_box_gives_other_numbers(mirror):
    """1 / 5 / 3 / 0: what the ellipse is for."""
    from nuanalysis.answers.counterparts import _sources
    from nuanalysis.library.catalogues import open_table, parse_catalogue

    sources = _sources(open_table(parse_catalogue("4fgl-dr2")))
    counts = []
    for name, _, _ in CIRCULARS:
        region = alert_region(known_alert(name).region)
        box: Box = region.box
        east = np.mod(sources.right_ascension - region.right_ascension + np.pi, 2 * np.pi) - np.pi
        north = sources.declination - region.declination
        sides = (east <= box.right_ascension_plus) & (-east <= box.right_ascension_minus)
        counts.append(int((sides & (north <= box.declination_plus) & (-north <= box.declination_minus)).sum()))
    assert counts == [1, 5, 3, 0]


@pytest.mark.real_data
def test_txs_0506_stands_in_the_region_of_ic170922a(mirror, tmp_path):
    found = counterparts(known_alert("IceCube-170922A"))
    fermi, hard = found.catalogues
    [txs] = fermi.matches
    assert (txs.name, txs.source_class) == ("4FGL J0509.4+0542", "bll")
    assert txs.separation_deg == pytest.approx(0.11, abs=0.005)
    assert found.area_deg2 == pytest.approx(1.55, abs=0.01)
    assert fermi.chance_bands == pytest.approx(0.17, abs=0.015)
    assert fermi.chance_moved.p == pytest.approx(fermi.chance_bands, abs=0.03)
    assert txs.chance_bands < 0.005 < fermi.chance_bands
    assert (found.n_tried, hard.inside) == (2, 1)
    assert "not searched" in str(found)
    assert CounterpartsAnswer.from_dict(found.to_dict()).to_dict() == found.to_dict()
    assert len(found.to_table()) == 2
    assert all(path.is_file() for path in found.write(tmp_path))


@pytest.mark.real_data
def test_the_whole_catalogue_has_no_excess(mirror):
    pairs, some = all_counterparts(known_alerts(), moved=300).counts
    assert (pairs.found, some.found) == (820, 169)
    assert pairs.moved.value == pytest.approx(880, abs=8)
    assert pairs.moved.error == pytest.approx(41, abs=6)
    assert some.moved.value == pytest.approx(190, abs=1.5)
    assert some.moved.error == pytest.approx(7, abs=1)
    assert some.chance_fewer.p < 0.02
    assert some.chance_more.p > 0.98


@pytest.mark.real_data
def test_an_unknown_alert_is_named_with_its_neighbour(mirror):
    with pytest.raises(InputError, match="Did you mean 'IC170922A'"):
        known_alert("IC170922")


@pytest.mark.real_data
def test_all_alerts_are_asked_by_a_verb(mirror, call, tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    code, out, _ = call("realtime", "counterparts", "--all", "--output", tmp_path, "--json")
    found = json.loads(out)
    assert code == 0, found
    assert [one["found"] for one in found["counts"]] == [820, 169]
    assert {Path(path).suffix for path in found["files"]} == {".json", ".ecsv"}
    assert call("realtime", "counterparts")[0] == 2
    assert "not both" in call("realtime", "counterparts", "IC170922A", "--all")[2]


@pytest.mark.real_data
def test_the_figures_of_the_catalogue_are_asked_by_a_verb(mirror, call, tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    code, out, _ = call("realtime", "catalogue", "--output", tmp_path, "--json")
    found = json.loads(out)
    assert code == 0, found
    rounded = {key: round(found[key], 2) for key in ("gold_per_year", "bronze_per_year", "p_sum", "expected_per_year")}
    assert rounded == {"gold_per_year": 10.14, "bronze_per_year": 17.87, "p_sum": 156.13, "expected_per_year": 12.38}
    assert (found["n_alerts"], found["in_tracks"], found["found_again"], found["shared_dates"]) == (348, 23, 20, 42)
    assert sum(one["alerts"] for one in found["streams"]) == 348
    assert all(Path(path).is_file() for path in found["files"])
    assert any(path.endswith((".png", ".svg", ".pdf")) for path in found["files"])
    text = call("realtime", "catalogue")[1]
    assert "348 alerts, 10.14 Gold and 17.87 Bronze per year" in text
