"""The page of a scan: its maps, spots and sources are there, and what is synthetic is marked."""

from __future__ import annotations

import numpy as np
import pytest

from nuanalysis.workflow.scan import SkyMap
from nuanalysis.workflow.sky_page import sky_page


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
    return SkyMap(nside, values, 10 * values, np.full(len(values), 2.5), beyond)


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
