"""The page of a scan: its maps, spots and sources are there, and what is synthetic is marked."""

from __future__ import annotations

import healpy as hp
import numpy as np
import pytest

from nuanalysis.plot import HotSpot, sky_page
from nuanalysis.records import Provenance
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.store.sky_maps import sky_dataset

NORTH, SOUTH = (float(np.radians(dec)) for dec in (22.0, -45.0))
SPOTS = (
    HotSpot("north", 1.459, NORTH, 14.2, 31.4, 2.71, "0.00012 ± 9e-06", "not asked for"),
    HotSpot("south", 1.459, SOUTH, 14.2, 31.4, None, "0.00012 ± 9e-06", "< 0.023 (90 %: none of 100 skies)"),
)


def whose(origin="synthetic"):
    return Provenance(sample="cascades-2023", origin=origin, n_events=59592, seed=1)


def sky(**columns):
    values = np.linspace(0.0, 5.0, 768)
    own = {"ts": values, "n_signal": 10 * values, "index": np.full(768, 2.5)}
    return sky_dataset({**own, "log10_p": np.where(values > 4.9, np.nan, values), **columns}, whose(), 200)


def test_spots_sources_and_marks_are_on_the_page():
    page = sky_page(sky(), whose(), SPOTS)
    assert "SYNTHETIC" in page
    for words in ("hottest, north", "hottest, south", "0.00012", "none of 100 skies", "Vela X", "59,592"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("31.4") >= 2


@pytest.mark.parametrize("origin", ["real", "synthetic"])
def test_only_synthetic_skies_are_called_so(origin):
    page = sky_page(sky(), whose(origin), SPOTS)
    banner = "never to be taken for IceCube data"
    assert (banner in page) == (origin == "synthetic")


def test_a_listed_source_shows_the_fit_of_the_pixel_it_lies_in():
    found = sky()
    source = CATALOGUES["snr"].sources[0]
    pixel = hp.ang2pix(8, np.pi / 2 - source.declination, source.right_ascension)
    page = sky_page(found, whose(), SPOTS)
    row = page.partition("<table")[2].partition(source.name)[2].partition("</tr>")[0]
    for words in (
        f"{found['ts'].values[pixel]:.2f}",
        f"{found['n_signal'].values[pixel]:.1f}",
        "2.50",
        f"{10 ** -found['log10_p'].values[pixel]:.3g}",
    ):
        assert words in row, words
    for words in ("TS of pixel", "local p of pixel", "not a fit at its position"):
        assert words in page


def test_a_source_without_signal_or_beyond_reach_has_no_index_and_no_p():
    none, blank = np.zeros(768), np.full(768, np.nan)
    blank[0] = 1.0
    page = sky_page(sky(ts=none, n_signal=none, log10_p=blank), whose(), SPOTS)
    row = page.partition("<table")[2].partition("Vela X")[2].partition("</tr>")[0]
    assert "2.50" not in row
    assert "nan" not in row
    assert "0.00" in row
