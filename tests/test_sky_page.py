"""The page of a scan: its maps, spots and sources are there, and what is synthetic is marked."""

from __future__ import annotations

import healpy as hp
import numpy as np
import pytest

from nuanalysis.answers.scan import page as sky_page
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.store.sky_maps import SkyMap


def document(**more):
    spot = {
        "hemisphere": "north", "ra_deg": 83.6, "dec_deg": 22.0, "l_deg": 184.5, "b_deg": -5.8, "n_s": 31.4,
        "index": 2.71, "ts": 14.2, "p_local": {"p": 1.2e-4, "p_error": 9e-6}, "p_global": None,
    }  # fmt: skip
    south = {**spot, "hemisphere": "south", "dec_deg": -45.0, "index": None}
    south["p_global"] = {"p": 0.01, "p_error": None, "upper_bound_90": 0.023, "n_skies": 100}
    base = {"sample": "cascades-2023", "origin": "synthetic", "n_events": 59592, "seed": 1, "injected": "", "notes": []}
    return {**base, "hottest": [spot, south], **more}


def sky(nside=8):
    values = np.linspace(0.0, 5.0, 12 * nside**2)
    beyond = np.where(values > 4.9, np.nan, values)
    return SkyMap(nside, values, 10 * values, np.full(len(values), 2.5), beyond, 200)


def test_spots_sources_and_marks_are_on_the_page():
    page = sky_page(document(), sky())
    assert "SYNTHETIC" in page
    for words in ("hottest, north", "hottest, south", "0.00012", "none of 100 skies", "Vela X", "59,592"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("31.4") >= 2


@pytest.mark.parametrize("origin", ["real", "synthetic"])
def test_only_synthetic_skies_are_called_so(origin):
    page = sky_page(document(origin=origin), sky())
    banner = "never to be taken for IceCube data"
    assert (banner in page) == (origin == "synthetic")


def test_a_listed_source_shows_the_fit_of_the_pixel_it_lies_in():
    found = sky()
    source = CATALOGUES["snr"].sources[0]
    pixel = hp.ang2pix(8, np.pi / 2 - source.declination, source.right_ascension)
    page = sky_page(document(), found)
    row = page.partition("<table")[2].partition(source.name)[2].partition("</tr>")[0]
    for words in (
        f"{found.ts[pixel]:.2f}",
        f"{found.n_signal[pixel]:.1f}",
        "2.50",
        f"{10 ** -found.log10_p[pixel]:.3g}",
    ):
        assert words in row, words
    for words in ("TS of pixel", "local p of pixel", "not a fit at its position"):
        assert words in page


def test_a_source_without_signal_or_beyond_reach_has_no_index_and_no_p():
    found = sky()
    none = np.zeros_like(found.ts)
    blank = np.full_like(none, np.nan)
    blank[0] = 1.0
    page = sky_page(document(), SkyMap(8, none, none, found.index, blank, 200))
    row = page.partition("<table")[2].partition("Vela X")[2].partition("</tr>")[0]
    assert "2.50" not in row
    assert "nan" not in row
    assert "0.00" in row
