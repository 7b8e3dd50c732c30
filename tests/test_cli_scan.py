"""``nuanalysis scan`` and ``sources``: one document, maps that say what they are, resumed skies, early refusals."""

from __future__ import annotations

import json

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from small_problem import sample, whole

from nuanalysis import trials
from nuanalysis.answers import _sky
from nuanalysis.library import samples
from nuanalysis.records import Provenance
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.store.sky_maps import multi_order, sky_dataset

THREE = Catalogue(
    "three",
    "three sources",
    (PointSource("a", 1.0, 0.2), PointSource("b", 1.02, 0.2), PointSource("c", 4.0, -0.9, 0.02)),
    (1.0, 1.0, 1.0),
    "by hand",
)
SCAN = ("scan", "--sample", "cascades-2023", "--signal", "none", "--nside", "8", "--local-trials", "200")
SOURCES = ("sources", "--sample", "cascades-2023", "--signal", "none", "--catalogue", "three", "--local-trials", "200")
NODES = np.radians([-60.0, 0.0, 60.0])


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """A part of the twin stands for the sample, three declinations for the table; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(sample(1200)))
    monkeypatch.setattr(_sky, "TABLE_DECLINATIONS", NODES)
    monkeypatch.setitem(catalogues.CATALOGUES, "three", THREE)


def never(*arguments, **named):
    raise AssertionError("work was done again")


def timeless(document):
    return {key: value for key, value in document.items() if key != "seconds"}


@pytest.mark.slow
def test_scan_writes_maps_and_one_document_and_resumes(call, tmp_path, monkeypatch):
    asked = (*SCAN, "--skies", "4", "--plane", "--output", tmp_path, "--json")
    code, out, err = call(*asked)
    assert code == 0
    document = json.loads(out)
    assert "SYNTHETIC" in err
    whose = document["provenance"]
    assert (whose["origin"], whose["seed"], document["n_skies"], document["n_pixels"]) == ("synthetic", 1, 4, 768)
    assert [spot["hemisphere"] for spot in document["hottest"]] == ["south", "north"]
    names = {path.rpartition("/")[2] for path in document["files"]}
    assert {"skymap.fits", "skymap.multiorder.fits", "plane.fits", "sky.html"} <= names
    with fits.open(tmp_path / "skymap.fits") as units:
        table, header = units[1].data.copy(), units[1].header
    assert (header["NSIDE"], header["ORDERING"], header["COORDSYS"], header["OBJECT"]) == (8, "RING", "C", "SYNTHETIC")
    assert "local: of this direction alone" in str(header["COMMENT"])
    for spot in document["hottest"]:
        at = spot["at"]
        pixel = hp.ang2pix(8, at["ra_deg"], at["dec_deg"], lonlat=True)
        assert table["CHANNEL1"][pixel] == pytest.approx(spot["fitted"]["ts"])
        assert 10 ** -table["LOG10_P_LOCAL"][pixel] == pytest.approx(spot["local"]["p"])
        half = hp.pix2ang(8, np.arange(768), lonlat=True)[1] < 0
        mine = half if spot["hemisphere"] == "south" else ~half
        assert np.nanmax(table["LOG10_P_LOCAL"][mine]) == table["LOG10_P_LOCAL"][pixel]
        lon, lat = hp.Rotator(coord=["C", "G"])(at["ra_deg"], at["dec_deg"], lonlat=True)
        assert (at["l_deg"], at["b_deg"]) == pytest.approx((float(lon) % 360, float(lat)))
        assert spot["local"]["scope"] == "local"
        assert (spot["chance"]["scope"], spot["chance"]["n_trials"]) == ("global", 4)
        assert spot["deep"] is None
    kept = json.loads((tmp_path / "scan-small-synthetic.json").read_text())
    assert kept == {key: value for key, value in timeless(document).items() if key != "files"}

    monkeypatch.setattr(trials, "sky_trials", never)
    monkeypatch.setattr(trials, "local_p", never)
    assert timeless(json.loads(call(*asked)[1])) == timeless(document)


@pytest.mark.slow
def test_numbers_are_those_of_the_first_version(call):
    """Of the SYNTHETIC cascades as they are drawn now; the last digits may differ."""
    found = json.loads(call(*SCAN, "--skies", "4", "--deep", "50", "--json")[1])
    numbers = [
        [spot["fitted"]["ts"], spot["fitted"]["n_signal"], *(spot[key]["p"] for key in ("local", "chance", "deep"))]
        for spot in found["hottest"]
    ]
    assert numbers == [
        pytest.approx([8.521496898886294, 16.23790863405991, 0.006894169901670379, 1.0, 0.8667764288071379]),
        pytest.approx([12.828279401095749, 37.01605853905278, 0.0012789439107378491, 0.2, 0.11256399472897606]),
    ]
    assert (found["chance"]["p"], found["deep"]["p"]) == pytest.approx((0.4, 0.45580804511972245))
    found = json.loads(call(*SOURCES, "--skies", "40", "--json")[1])
    first, population = found["sources"][0], found["population"]
    assert first["local"]["p"] == pytest.approx(0.1960521307358543)
    assert (found["best"], found["chance"]["p"], population["k"]) == ("c", pytest.approx(0.3902439024390244), 3)
    assert population["p_binomial"] == pytest.approx(0.03211970399599552)


def test_the_multi_order_map_and_the_plane_hold_the_same_values(call, tmp_path):
    code, out, _ = call(*SCAN, "--skies", "0", "--plane", "--output", tmp_path)
    assert code == 0
    assert "asked without background skies" in out
    assert "SYNTHETIC" in out
    with fits.open(tmp_path / "skymap.fits") as units:
        assert units[1].header["QUANTITY"] == "TS"
        ring = units[1].data["CHANNEL1"].copy()
    with fits.open(tmp_path / "skymap.multiorder.fits") as units:
        uniq, ts = units[1].data["UNIQ"].copy(), units[1].data["TS"].copy()
        assert (units[1].header["ORDERING"], units[1].header["MOCORDER"]) == ("NUNIQ", 3)
    back = np.full(768, np.nan)
    for number, value in zip(uniq, ts, strict=True):
        nside = 2 ** int(np.log2(number // 4) // 2)
        many = (8 // nside) ** 2
        nested = (number - 4 * nside**2) * many + np.arange(many)
        assert np.isnan(back[hp.nest2ring(8, nested)]).all()  # no pixel twice
        back[hp.nest2ring(8, nested)] = value
    assert np.array_equal(back, ring)
    assert np.all(np.diff(uniq) > 0)
    with fits.open(tmp_path / "plane.fits") as units:
        image, wcs = units["TS"].data.copy(), WCS(units["TS"].header)
    for lon, lat in ((0.0, 0.0), (120.0, -7.0), (300.0, 9.0)):
        x, y = (int(np.rint(v)) for v in wcs.all_world2pix(lon, lat, 0))
        there = wcs.all_pix2world(x, y, 0)
        ra, dec = hp.Rotator(coord=["G", "C"])(float(there[0]), float(there[1]), lonlat=True)
        assert image[y, x] == ring[hp.ang2pix(8, float(ra), float(dec), lonlat=True)]


def test_empty_pixels_are_merged_and_no_others():
    """Ring 3 of nside 4 and all below it empty but for one pixel: parents where four are empty, nothing lost."""
    ts = np.zeros(192)
    ts[[5, 100]] = 3.0, 4.0
    log10_p = np.where(np.arange(192) == 0, np.nan, 0.0)
    whose = Provenance(sample="by hand", origin="synthetic", n_events=1, seed=1)
    uniq, _ = multi_order(sky_dataset({"ts": ts, "n_signal": ts, "index": ts, "log10_p": log10_p}, whose, 200))
    assert len(uniq) < 192
    sizes = {int(n): 2 ** int(np.log2(n // 4) // 2) for n in uniq}
    assert sum((4 // nside) ** 2 for nside in sizes.values()) == 192
    whole = [n for n in uniq if sizes[int(n)] == 1]
    assert 0 < len(whole) < 12
    fine = {int(hp.nest2ring(4, n - 64)) for n in uniq if sizes[int(n)] == 4}
    assert {0, 5, 100} <= fine


def test_sources_give_every_source_and_both_tests(call, tmp_path, monkeypatch):
    code, out, err = call(*SOURCES, "--skies", "40", "--output", tmp_path, "--json")
    assert code == 0
    assert "SYNTHETIC" in err
    document = json.loads(out)
    rows = document["sources"]
    assert {row["name"] for row in rows} == {"a", "b", "c"}
    p = [row["local"]["p"] for row in rows]
    assert p == sorted(p)
    assert document["best"] == rows[0]["name"]
    for chance in (document["chance"], document["population"]["chance"]):
        assert (chance["scope"], chance["n_trials"]) == ("global", 40)
        assert 0.0 < chance["p"] <= 1.0
    assert document["chance"]["p"] >= p[0] / 2  # never far below the local one
    table = Table.read(tmp_path / "sources-small-synthetic.ecsv", format="ascii.ecsv")
    assert list(table["name"]) == [row["name"] for row in rows]
    assert list(table["local"]) == p
    assert str(table["ra_deg"].unit) == "deg"
    said = table.meta
    assert (said["ORIGIN"], said["SEED"], said["N_SKIES"], said["LOCAL_TRIALS"]) == ("synthetic", 1, "40", "200")
    assert (said["CATALOGUE"], said["REFERENCE"]) == ("three", "by hand")
    assert table["local"].description.startswith("p-value of this direction alone")
    assert "40 trials" in said["BEST"]
    row = next(row for row in rows if row["extension_deg"] == 0)
    place = f"point:{row['at']['ra_deg']:.12g},{row['at']['dec_deg']:.12g}"
    arguments = ("fit", "--sample", "cascades-2023", "--signal", "none", "--injections", "0", "--hypothesis", place)
    alone = json.loads(call(*arguments, "--json")[1])["fitted"]["ts"]
    assert alone == pytest.approx(row["fitted"]["ts"], abs=1e-6)
    monkeypatch.setattr(trials, "source_trials", never)
    code, out, _ = call(*SOURCES, "--skies", "40")
    assert code == 0
    assert "Binomial test" in out
    assert "local p" in out


REFUSED = [
    ((*SCAN, "--output", "x", "--nside", "48"), "nside is 48; expected one of"),
    ((*SCAN, "--output", "x", "--skies", "-1"), "'skies': Input should be greater than or equal to 0"),
    ((*SCAN, "--output", "x", "--sample", "cascades-2032"), "cascades-2032"),
    ((*SOURCES, "--catalogue", "list-190"), "Did you mean 'list-109'"),
    ((*SOURCES, "--skies", "-3"), "(found -3)"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_wrong_input_is_refused_before_work_starts(call, monkeypatch, arguments, said):
    monkeypatch.setattr(samples, "load", never)
    code, out, err = call(*arguments, "--json")
    assert code == 2
    document = json.loads(out)["error"]
    assert document["kind"] == "InputError"
    assert said in document["message"]
    assert "Traceback" not in err


@pytest.mark.slow
def test_tilted_skies_give_global_p_values_that_plain_ones_do_not_reach(call, tmp_path):
    code, out, _ = call(*SCAN, "--skies", "60", "--deep", "60", "--json")
    document = json.loads(out)
    assert code == 0
    for found in (*document["hottest"], document):
        plain, deep = found["chance"], found["deep"]
        assert deep["scope"] == "global"
        assert (deep["n_trials"], plain["n_trials"]) == (60, 60)
        assert deep["p"] == pytest.approx(plain["p"], abs=4 * np.hypot(deep["error"], max(plain["error"], 0.02)))
    _, out, _ = call(*SCAN, "--skies", "60", "--deep", "60")
    assert " ".join(out.split()).count("tilted skies: global p") == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--deep", "10"), "at least 50"), (("--deep", "60", "--smear-declination", "3"), "exclude each other")],
)
def test_tilted_skies_that_cannot_be_drawn_are_refused_before_work(call, monkeypatch, options, said):
    monkeypatch.setattr(samples, "load", never)
    code, _, err = call(*SCAN, *options)
    assert code == 2
    assert said in err
