"""Scans on a bench and their products: kept pixels, kills, published scans, maps that other programs read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
from astropy.table import QTable, Table
from small_alerts import CASCADE, REAL

from nuanalysis import reconstruct as r
from nuanalysis.chain._cascade_likelihood import motion_of, sky_of
from nuanalysis.chain._plane import near_plane
from nuanalysis.chain._scan_levels import own_levels
from nuanalysis.chain.scan_event import ScanEvent, contours_of, write_products
from nuanalysis.chain.scanned_events import event_to_scan, finest_order
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Processes, Threads
from nuanalysis.engine.sky_scans import SkyScan, scan_rounds, scanned
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import icecat1, realtime_scans

OVAL = r.GaussianLikelihood(6.2, -0.3, np.radians(7.0), np.radians(4.0), 0.7)
PLAN = r.Plan(r.WILKS, first=2, last=5, coarse_mass=1e-3)


def oval() -> r.EventLikelihood:
    return OVAL


def scan_of(opened=oval) -> SkyScan:
    return SkyScan("oval", "a key", opened, PLAN)


def bytes_of(state: r.ScanState) -> bytes:
    return b"".join(x.tobytes() for x in (state.pixels.uniq, state.minus_log_likelihood, state.nuisance))


def test_any_number_of_workers_gives_the_same_bytes(tmp_path):
    serial = bytes_of(scanned(scan_of(), Bench(tmp_path / "one")))
    with Threads(2) as two, Threads(4) as four:
        assert bytes_of(scanned(scan_of(), Bench(tmp_path / "two", two))) == serial
        assert bytes_of(scanned(scan_of(), Bench(tmp_path / "four", four))) == serial


@pytest.mark.slow
def test_other_processes_give_the_same_bytes_too(tmp_path):
    serial = bytes_of(scanned(scan_of(), Bench(tmp_path / "one")))
    with Processes(2) as apart:
        assert bytes_of(scanned(scan_of(), Bench(tmp_path / "apart", apart))) == serial


@dataclass
class Killed:
    """A likelihood that dies after some batches, and counts the pixels that it was asked for."""

    left: int
    asked: int = 0
    best = OVAL.best
    first_starts = OVAL.first_starts

    def profile(self, ra, dec, starts):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.asked += len(ra)
        return OVAL.profile(ra, dec, starts)


@pytest.mark.parametrize("after", [0, 1, 5, 13])
def test_a_killed_scan_goes_on_with_the_pixels_that_are_missing(tmp_path, after, monkeypatch):
    monkeypatch.setattr("nuanalysis.engine.sky_scans._MOST", 40)
    whole = scanned(scan_of(), Bench(tmp_path / "whole"))
    first, second = Killed(after), Killed(10**6)
    with pytest.raises(KeyboardInterrupt):
        scanned(scan_of(lambda: first), Bench(tmp_path / "cut"))
    state = scanned(scan_of(lambda: second), Bench(tmp_path / "cut"))
    assert bytes_of(state) == bytes_of(whole)
    assert first.asked + second.asked == whole.fitted
    third = Killed(0)
    assert bytes_of(scanned(scan_of(lambda: third), Bench(tmp_path / "cut"))) == bytes_of(whole)


def test_partial_results_come_after_each_round_and_a_stop_keeps_what_is_done(tmp_path):
    rounds = list(scan_rounds(scan_of(), Bench(tmp_path / "whole")))
    whole = [one.state for one in rounds if one.whole]
    assert len(whole) == len(whole[-1].areas)
    for state in whole:
        leaves = r.leaves_of(state)
        assert leaves.pixels.area.sum() == pytest.approx(4.0 * np.pi, rel=1e-12)
        assert leaves.complete == (state is whole[-1])
    seen = []
    for one in scan_rounds(scan_of(), Bench(tmp_path / "cut"), stop=lambda: len(seen) >= 2):
        seen.append(one)
    assert (seen[-1].stopped, bool(seen[-1].state.ended)) == (True, False)
    assert bytes_of(scanned(scan_of(), Bench(tmp_path / "cut"))) == bytes_of(whole[-1])


def test_kept_pixels_of_something_else_are_refused(tmp_path):
    from nuanalysis.store import write_object

    folder = tmp_path / "scans" / scan_of().place
    folder.mkdir(parents=True)
    write_object(folder / "0-1-1.npz", r.WILKS)
    with pytest.raises(DataError, match="expected fits"):
        scanned(scan_of(), Bench(tmp_path))


# --- published scans


def written(path: Path, **tables: np.ndarray) -> Path:
    np.savez(path, **tables)
    return path


def rows(nside: int, index: np.ndarray, llh: np.ndarray) -> np.ndarray:
    kinds = [("index", "<i8"), ("llh", "<f8"), ("E_in", "<f8"), ("E_tot", "<f8")]
    out = np.zeros(len(index), dtype=kinds)
    out["index"], out["llh"], out["E_in"], out["E_tot"] = index, llh, 1e4, 2e4
    return out


def test_a_scan_is_read_in_either_sense_of_declination(tmp_path):
    import healpy as hp

    llh = np.arange(768.0)
    path = written(tmp_path / "scan.npz", **{"nside-8": rows(8, np.arange(768), llh)})
    for mirrored in (True, False):
        found = realtime_scans.read_scan_file(path, mirrored=mirrored)
        theta, _ = hp.pix2ang(8, found.index[np.argmin(found.minus_log_likelihood)], nest=True)
        assert (np.pi / 2 - theta < 0.0) == mirrored  # RING pixel 0 is in the north of HEALPix
        assert np.array_equal(np.sort(found.minus_log_likelihood), llh)
    with pytest.raises(InputError, match="declination=mirrored or"):
        event_to_scan(str(path), Bench(tmp_path))
    event = event_to_scan(f"{path}?declination=healpix", Bench(tmp_path))
    assert (event.name, event.run, event.scan.plan.last) == ("scan", 0, 3)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"nside-7": rows(8, np.arange(768), np.zeros(768))}, "nside-7"),
        ({"nside-8": rows(8, np.arange(700), np.zeros(700))}, "do not cover the sky"),
        ({"nside-8": rows(8, np.arange(768) + 1, np.zeros(768))}, "outside"),
        ({"nside-8": rows(8, np.zeros(768), np.zeros(768))}, "twice"),
        ({"nside-8": rows(8, np.arange(768), np.full(768, np.nan))}, "NaN"),
        ({"nside-8": np.zeros(768)}, "lacks index"),
        ({"nside-8": np.array([{}], dtype=object)}, "nside-8|objects|pickle"),
    ],
)
def test_damaged_scans_are_refused(tmp_path, tables, said):
    with pytest.raises(DataError, match=said):
        realtime_scans.read_scan_file(written(tmp_path / "scan.npz", **tables))
    short = tmp_path / "short.npz"
    short.write_bytes((tmp_path / "scan.npz").read_bytes()[:300])
    with pytest.raises(DataError, match=r"short\.npz"):
        realtime_scans.read_scan_file(short)


#: deg2 of the ICECAT-1 map files; pixels of the published scans are 3,143 and 3,590.
PUBLISHED = {"IC220524A": (3.147, 9.337, 2300), "IC220624A": (2.334, 7.462, 2000)}


@pytest.mark.real_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_scans_have_the_areas_and_boxes_of_the_catalogue(mirror, tmp_path, name):
    half, ninety, most = PUBLISHED[name]
    event = event_to_scan(name, Bench(tmp_path))
    state = scanned(event.scan, Bench(tmp_path))
    leaves = r.leaves_of(state)
    found = contours_of(event, leaves)
    assert [np.degrees(np.degrees(one.area)) for one in found] == pytest.approx([half, ninety], abs=1e-3)
    assert state.fitted <= most
    assert (leaves.pixels.order[leaves.ts <= 64.2] == 9).all()
    # The slow twin: every pixel of nside 512, finest on top.
    pixels = r.Pixels(np.full(12 * 4**9, 9), np.arange(12 * 4**9))
    value = event.scan.open().profile(*pixels.directions, np.zeros((len(pixels), 2))).minus_log_likelihood
    best = pixels.take(value == value.min()).directions
    assert (best[0][0], best[1][0]) == (leaves.best.right_ascension, leaves.best.declination)
    assert (2.0 * (value - value.min()) <= 64.2).sum() * pixels.area[0] == pytest.approx(found[1].area, rel=1e-12)
    # Declination runs the way that the catalogue says.
    row = icecat1.read_events(mirror / icecat1.RELEASE.folder)
    row = row.isel(alert=list(row["name"].values).index(name))
    at = np.degrees([leaves.best.right_ascension, leaves.best.declination])
    assert at == pytest.approx(np.degrees([float(row["right_ascension"]), float(row["declination"])]), abs=0.01)
    box = found[1].box
    for side in ("right_ascension_plus", "right_ascension_minus", "declination_plus", "declination_minus"):
        assert np.degrees(getattr(box, side)) == pytest.approx(np.degrees(float(row[side])), abs=0.04)


# --- products


def simple_event(tmp_path: Path):
    """An event for the products, without data: a Gaussian called a simulation."""
    from nuanalysis.chain.scanned_events import EventToScan

    levels = r.WILKS, r.PUBLISHED
    where = 6.2, -0.3
    return EventToScan("oval", "synthetic", "shower", "a Gaussian", scan_of(), levels, truth=where, mjd=60310.0)


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    event = simple_event(folder)
    leaves = r.leaves_of(scanned(event.scan, Bench(folder)))
    return event, leaves, write_products(event, leaves, folder / "one"), folder


def test_the_same_scan_gives_the_same_bytes(products):
    event, leaves, files, folder = products
    for one, two in zip(files, write_products(event, leaves, folder / "two"), strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_the_map_reads_in_plain_astropy_with_integral_one_and_the_area_of_the_contour(products):
    event, leaves, files, _ = products
    table = Table.read(files[0], hdu=1)
    assert table.colnames == ["UNIQ", "PROBDENSITY", "TS"]
    assert str(table["PROBDENSITY"].unit) == "1 / sr"
    assert (table.meta["ORDERING"], table.meta["COORDSYS"], table.meta["ORIGIN"]) == ("NUNIQ", "C", "synthetic")
    assert (table.meta["MOCORDER"], table.meta["OBJECT"]) == (5, "oval")
    uniq, density = np.asarray(table["UNIQ"]), np.asarray(table["PROBDENSITY"])
    area = r.pixels_of(uniq).area
    assert area.sum() == pytest.approx(4.0 * np.pi, rel=1e-12)
    assert (density * area).sum() == pytest.approx(1.0, abs=1e-12)
    densest = np.argsort(-density)
    held = np.cumsum((density * area)[densest])
    region = area[densest][: np.searchsorted(held, 0.9 * (1.0 - 1e-9)) + 1].sum()
    assert region == pytest.approx(contours_of(event, leaves)[1].area, rel=1e-9)
    assert table.meta["AREA90"] == pytest.approx(np.degrees(np.degrees(region)), rel=1e-9)


@pytest.mark.parametrize(("alert", "sender"), [(REAL, "IceCube"), (CASCADE, "nuanalysis-simulation")])
def test_the_header_names_the_sender_and_the_stream_of_the_alert(products, tmp_path, alert, sender):
    event, leaves, without, _ = products
    assert "SENDER" not in Table.read(without[0], hdu=1).meta
    files = write_products(replace(event, alert=alert), leaves, tmp_path)
    for file in (files[0], files[2]):
        meta = Table.read(file, hdu=1).meta
        assert (meta["SENDER"], meta["ALERT-STREAM"]) == (sender, alert.stream)


@pytest.mark.real_data
def test_a_published_scan_carries_the_alert_of_the_catalogue(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    event = event_to_scan("IC220624A", Bench(tmp_path))
    assert event.alert is not None
    assert (event.alert.name, event.alert.stream) == ("IC220624A", "gfu-gold")
    assert (event.run, event.event_id) == (event.alert.run, event.alert.event_id)


@pytest.mark.parametrize("orders", [(2,), (2, 5), (6, 7), (7, 8)])
def test_the_probability_near_the_plane_of_an_even_sky_is_the_area_of_the_band(orders):
    """Of some leaves divided; sin 5 deg of the sky lies within 5 deg of the plane."""
    first = np.arange(12 * 4 ** orders[0])
    cut = first % 3 == 0 if len(orders) > 1 else np.zeros(len(first), dtype=bool)
    parts = 4 ** (orders[-1] - orders[0])
    finer = (first[cut][:, None] * parts + np.arange(parts)).ravel()
    order = np.concatenate([np.full((~cut).sum(), orders[0]), np.full(len(finer) if cut.any() else 0, orders[-1])])
    pixels = r.Pixels(order, np.concatenate([first[~cut], finer if cut.any() else []]).astype(np.int64))
    assert pixels.area.sum() == pytest.approx(4.0 * np.pi)
    even = np.full(len(order), 1.0 / (4.0 * np.pi))
    assert near_plane(pixels, even) == pytest.approx(np.sin(np.radians(5.0)), abs=2e-3)


def test_a_point_in_the_plane_is_near_it_and_one_at_the_pole_is_not():
    """The Galactic centre and the northern Galactic pole, J2000."""
    for ra, dec, share in ((266.405, -28.936, 1.0), (192.859, 27.128, 0.0)):
        index = np.arange(12 * 4**6)
        pixels = r.Pixels(np.full(len(index), 6), index)
        density = np.zeros(len(index))
        density[hp.ang2pix(64, ra, dec, nest=True, lonlat=True)] = 1.0 / pixels.area[0]
        assert near_plane(pixels, density) == pytest.approx(share)


def test_mocpy_reads_the_map_and_the_region(products):
    mocpy = pytest.importorskip("mocpy")
    event, leaves, files, _ = products
    area = contours_of(event, leaves)[1].area
    read = mocpy.MOC.from_multiordermap_fits_file(str(files[0]), cumul_from=0.0, cumul_to=0.9)
    assert read.sky_fraction * 4.0 * np.pi == pytest.approx(area, rel=0.005)
    region = mocpy.MOC.from_fits(str(files[2]))
    assert region.sky_fraction * 4.0 * np.pi == pytest.approx(area, rel=1e-9)
    document = json.loads(files[1].read_text())
    from_json = mocpy.MOC.from_json(document["contours"][1]["moc"])
    assert from_json.sky_fraction == pytest.approx(region.sky_fraction, rel=1e-9)


def test_contours_and_leaves_read_back(products):
    _, leaves, files, _ = products
    document = json.loads(files[1].read_text())
    assert (document["origin"], document["levels"], document["complete"]) == ("synthetic", "Wilks", True)
    half, ninety = document["contours"]
    assert (half["level"], ninety["level"], ninety["critical_value"]) == (0.5, 0.9, r.WILKS.ninety)
    assert half["area_deg2"] < ninety["area_deg2"]
    for ring in ninety["rings"]:
        assert ring[0] == ring[-1]
        assert all(0.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0 for ra, dec in ring)
    table = QTable.read(files[3], format="ascii.ecsv")
    assert np.array_equal(table["index"], leaves.pixels.index)
    assert table["probability"].sum() == pytest.approx(1.0, abs=1e-9)
    assert table.meta["origin"] == "synthetic"
    assert files[4].name == "scan-synthetic.png"


def test_the_verb_says_what_it_found_and_refuses_what_is_no_event(call, mirror, tmp_path):
    code, out, _ = call("realtime", "scan", "IC220624A", "--folder", tmp_path, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["contours"][1]["area_deg2"] == pytest.approx(7.462, abs=1e-3)
    assert [row["levels"] for row in found["contours"]] == ["published", "published", "Wilks", "Wilks"]
    assert all(Path(one).exists() for one in found["files"])
    code, _, said = call("realtime", "scan", "IC220624B", "--folder", tmp_path)
    assert (code, "IC220624A" in said) == (2, True)
    with pytest.raises(InputError, match="most_pixels"):
        ScanEvent.of(event="IC220624A", most_pixels=3)


@pytest.mark.parametrize("text", ["simulated:", "simulated:one", "simulated:3?energy=much", "simulated:3?power=1", "x"])
def test_words_that_name_no_event(tmp_path, text):
    with pytest.raises(InputError, match=r"[eE]xpected"):
        event_to_scan(text, Bench(tmp_path))


# --- the hybrid likelihood


def test_the_sky_turns_about_the_pole_and_back():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0.0, 2.0 * np.pi, 50), np.arcsin(rng.uniform(-1.0, 1.0, 50))
    motion = motion_of(ra, dec, 60310.3)
    assert np.linalg.norm(motion, axis=1) == pytest.approx(1.0)
    back = sky_of(motion, 60310.3)
    assert back[0] == pytest.approx(ra)
    assert back[1] == pytest.approx(dec)
    # What comes from below moves up, and from the northern sky.
    assert sky_of(np.array([[0.0, 0.0, 1.0]]), 60310.0)[1] == pytest.approx(np.pi / 2)
    # A sidereal day later the same direction of the sky is the same direction at the detector.
    assert motion_of(ra, dec, 60310.3 + 0.99726957) == pytest.approx(motion, abs=1e-5)


@pytest.mark.real_data
def test_right_ascensions_are_those_of_public_events(mirror):
    """IC79 has right ascension beside azimuth and time: precession since 2000 is left out, 0.2 deg and less."""
    from nuanalysis.ingest import tracks_ic79

    events = tracks_ic79.read_events(mirror / tracks_ic79.RELEASE.folder).isel(event=slice(0, 20_000, 200))
    zenith, azimuth = events["zenith"].values, events["azimuth"].values
    back = np.stack([np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], axis=1)
    found = np.array([np.ravel(sky_of(-one[None], mjd)) for one, mjd in zip(back, events["mjd"].values, strict=True)])
    turn = (found[:, 0] - events["right_ascension"].values + np.pi) % (2.0 * np.pi) - np.pi
    assert np.degrees(np.abs(turn * np.cos(found[:, 1]))).max() < 0.3
    assert np.degrees(np.abs(found[:, 1] - events["declination"].values)).max() < 0.3


def test_pixels_follow_the_error_of_the_direction():
    assert [finest_order(np.radians(x)) for x in (130.0, 10.0, 5.0, 2.5, 0.1)] == [3, 5, 6, 7, 7]


@pytest.mark.parametrize("log10_energy", [4.0, 5.0, 6.0])
def test_calibrated_classes_say_how_and_from_how_many_events(log10_energy):
    own, varied = own_levels("shower", log10_energy, contained=True)
    assert "own ice" in own.name
    assert "varied ice" in varied.name
    assert own.events > varied.events > 20
    assert 0.0 < own.errors[1] < own.ninety
    assert "nu_e" in own.recipe
    assert (
        own_levels("shower", log10_energy, contained=False) == own_levels("track", log10_energy, contained=True) == ()
    )
