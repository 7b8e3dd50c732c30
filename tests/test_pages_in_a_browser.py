"""Report and sky page in headless Chromium, on a phone and on a desk, light and dark.

The site of the documentation is looked at where it is built. The pictures are in build/screenshots/.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_browser import SCREENS, chromium, look
from small_results import (
    RESULTS,
    entry,
    expected,
    galactic_map,
    listed,
    make_run,
    results,
    scanned,
    together,
)  # fmt: skip

from nuanalysis import publish
from nuanalysis.plot import ts_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

#: CSS pixels of the whole report of one answer of every kind; with nothing folded it was 22,000 on a telephone.
TALLEST = {400: 14_000, 1400: 20_500}

BROKEN = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"></head><body>
<img src="nothing.png" alt="A picture that is not there"><img src="data:,"><div style="width: 3000px">A wide line</div>
<div style="overflow: auto"><p style="width: 2000px">A cut line</p></div>
<img src="http://127.0.0.1:9/outside.png" alt="outside"><script>throw new Error("it broke")</script></body></html>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    more = [("together", "stacks", together()), ("scan", "sky", scanned(plane=True)), ("sources", "three", listed()),
            ("expect", "model", expected())]  # fmt: skip
    run = make_run(tmp_path_factory.mktemp("run"), results(RESULTS, [entry(*one) for one in more]))
    found = publish.load_results(run)
    publish.draw(found, run)
    return publish.report(run)


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = galactic_map(32, 9.0)
    maps = {"template:pi0": ("Galactic π⁰ template", values - values.mean()), "stack:snr": ("SNR", values - 0.1)}
    path = tmp_path_factory.mktemp("sky") / "sky.html"
    path.write_text(ts_page(maps, "cascades-2023", "synthetic"), encoding="utf-8")
    return path


def test_what_is_wrong_with_a_page_is_seen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text(BROKEN, encoding="utf-8")
    seen = look(browser, page, "broken", 400, "light")
    assert any("it broke" in fault for fault in seen.faults)
    assert seen.outside == ("http://127.0.0.1:9/outside.png",)
    assert any("A wide line" in one for one in seen.wider)
    assert [one.endswith("A cut line") for one in seen.cut] == [True]
    assert seen.empty == ("A picture that is not there", "data:,", "outside")
    assert seen.wordless == ("data:,",)


@pytest.mark.parametrize(("width", "theme"), SCREENS)
def test_the_report_fits_and_asks_for_nothing(browser: Browser, report: Path, width: int, theme: str) -> None:
    seen = look(browser, report, "report", width, theme)
    assert (seen.faults, seen.outside, seen.wider, seen.empty, seen.wordless) == ((), (), (), (), ())
    assert seen.cut == () or width > 400  # on a desk the long table of markers scrolls, and shows that it does
    assert seen.height < TALLEST[width]


def test_the_first_screen_of_a_telephone_holds_sentence_number_and_picture(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(report.as_uri())
    for what in (".first .answer-line", ".first .number", ".first figure img"):
        box = page.locator(what).first.bounding_box()
        assert box is not None
        assert box["y"] >= 0, what
        assert box["y"] + box["height"] <= 900, what
    page.close()


def test_the_map_inside_the_report_is_whole_on_a_telephone(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(report.as_uri())
    for number in range(page.locator("iframe").count()):
        frame = page.locator("iframe").nth(number)
        frame.scroll_into_view_if_needed()
        inside = frame.element_handle().content_frame()
        assert inside is not None
        # The frame tells its height once it is drawn.  It is asked from here: waiting inside the page needs 'eval',
        # which its Content Security Policy forbids.
        until = time.monotonic() + 20.0
        while inside.evaluate("document.documentElement.scrollHeight > innerHeight"):
            assert time.monotonic() < until, "the map stays cut"
            page.wait_for_timeout(100)
        assert inside.evaluate("document.getElementById('sky').clientHeight") > 280
    page.close()


def test_a_report_of_a_run_that_goes_on_says_what_is_left_and_keeps_place_and_sorting(
    browser: Browser, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    path = publish.report_so_far(run, publish.load_results(run), ("scan “sky” on tracks", "sources “list-109”"))
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(path.as_uri())
    assert "Still to come: scan “sky” on tracks; sources “list-109”." in page.locator("body").inner_text()
    assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "30"
    head = page.locator("table.sortable thead th").nth(1)
    head.click()
    head.click()
    page.evaluate("scrollTo(0, 700)")
    page.reload()
    assert page.locator("table.sortable thead th").nth(1).get_attribute("aria-sort") == "descending"
    assert page.evaluate("scrollY") == 700
    page.goto(publish.report(run).as_uri())  # the same address, now finished: it asks for nothing any more
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    assert "Still to come" not in page.locator("body").inner_text()
    page.close()


@pytest.mark.parametrize(("width", "theme"), SCREENS)
def test_the_sky_page_fits_and_asks_for_nothing(browser: Browser, turning: Path, width: int, theme: str) -> None:
    seen = look(browser, turning, "sky", width, theme)
    assert (seen.faults, seen.outside, seen.wider, seen.empty, seen.wordless) == ((), (), (), (), ())
    assert seen.cut == () or width > 400  # on a desk the long table of markers scrolls, and shows that it does


def test_the_scale_of_a_p_value_is_also_in_sigma(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "scan.html"
    path.write_text(scanned().page(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(path.as_uri())
    assert (page.locator("#bar").get_attribute("data-marks") or "").startswith("1σ 2σ")
    page.close()


def test_the_map_inside_the_report_is_drawn_and_turns(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(report.as_uri())
    of_fits = 'iframe[title="Map of the test statistics of cascades-2023"]'
    frame = page.frame_locator(of_fits)
    page.locator(of_fits).scroll_into_view_if_needed()
    sky = frame.locator("#sky")
    assert "fov=360" in (sky.get_attribute("data-view") or "")  # the whole sky, and its settings, on a desk
    assert frame.locator("#settings #projection").is_visible()
    before = sky.get_attribute("data-view")
    assert before is not None
    colours = sky.evaluate(
        "async (sky) => { await new Promise((r) => setTimeout(r, 500)); const to = sky.getContext('2d'); "
        "return [...new Uint32Array(to.getImageData(0, 0, sky.width, sky.height).data.buffer)]; }"
    )
    assert len(np.unique(colours)) > 100
    sky.press("ArrowLeft")
    assert sky.get_attribute("data-view") != before
    frame.locator("#layer").select_option(label="stack:snr")
    assert "stack%3Asnr" in (sky.get_attribute("data-view") or "")
    page.close()


def test_tables_of_the_report_sort(browser: Browser, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    table = page.locator("table.sortable").first
    column = table.locator("thead th").count() - 1
    last = table.locator("thead th").nth(column)
    last.click()
    assert last.get_attribute("aria-sort") == "ascending"
    up = table.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
    last.click()
    down = table.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
    assert up != down
    assert sorted(up) == sorted(down)
    page.close()
