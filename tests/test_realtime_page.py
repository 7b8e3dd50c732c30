"""The page of the service: its geometry is that of healpy, and it shows what the service holds."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import healpy as hp
import numpy as np
import pytest
from small_browser import computed, document, needs_browser

SCRIPT = (files("nuanalysis.realtime.service") / "page" / "page.js").read_text()
GEOMETRY = SCRIPT.partition("// ---- what the service says")[0]


def test_corners_of_leaves_are_those_of_healpy(tmp_path):
    asked = [(order, int(p)) for order in (0, 1, 3, 10) for p in np.linspace(0, 12 * 4**order - 1, 48).astype(int)]
    corners = [(1, 1), (0, 1), (0, 0), (1, 0)]  # north, west, south, east: the order of hp.boundaries
    expression = f"inputs.map(([k, p]) => {json.dumps(corners)}.map(([u, v]) => Nested.point(k, p, u, v)))"
    got = np.array(computed(GEOMETRY, expression, asked, tmp_path))
    wanted = np.array([hp.boundaries(2**order, pixel, nest=True).T for order, pixel in asked])
    assert got == pytest.approx(wanted, abs=1e-7)  # hp.boundaries itself is off by some 1e-8 near a pole


def test_the_view_is_equal_in_area_with_east_to_the_left(tmp_path):
    places = [(10.0, 60.0), (10.5, 60.0), (10.0, 60.5), (200.0, -60.0)]
    expression = "inputs.map(([ra, dec]) => viewAround(10 * RAD, 60 * RAD)(unit(ra * RAD, dec * RAD)))"
    middle, east, north, far = computed(GEOMETRY, expression, places, tmp_path)
    assert middle[:2] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert east[0] == pytest.approx(-np.radians(0.5) * 0.5, rel=1e-3)
    assert north[1] == pytest.approx(-np.radians(0.5), rel=1e-3)  # the axis of a drawing points down
    angle = np.arccos(far[2])
    assert np.hypot(*far[:2]) == pytest.approx(2 * np.sin(angle / 2))


@pytest.mark.slow
@needs_browser
def test_the_page_shows_queue_maps_and_marks(tmp_path):
    pytest.importorskip("dbos")
    from small_service import asked, running

    with running(tmp_path / "service", "--scans", "1") as service:
        done = service.post(asked(1), "k1").json()["id"]
        service.until(done, "done")
        slow = service.post(asked(2, classifiers={"round_s": 1.0, "width_deg": 4.0}), "k2").json()["id"]
        service.post(asked(3), "k3")
        service.until(slow, "partial")
        dom = document(service.address + "/", budget_ms=8_000)
        leaves = json.loads(service.http.get(f"/v1/scans/{done}/result/leaves.json").content)
    assert 'data-ready="yes"' in dom
    maps = re.findall(r'<svg[^>]*class="map".*?</svg>', dom, re.DOTALL)
    assert len(maps) >= 1
    for one in maps:
        assert one.count("<polygon") > 10
        assert "right ascension (ICRS)" in one
        assert "declination" in one
        assert len(re.findall(r"<text[^>]*>[−0-9.]+°</text>", one)) >= 3
    inside = sum(ts <= leaves["levels"][1] for ts in leaves["ts"])
    assert maps[-1].count("in50") + maps[-1].count("in90") == inside
    assert dom.count("SIMULATED") >= 3
    assert "SYNTHETIC" in dom
    assert "run 1, event 3" in dom
