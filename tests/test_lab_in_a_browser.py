"""START_HERE as a student meets it: JupyterLab in headless Chromium, Run All, pictures there, on both screens.

Half a minute of work on a quiet core, with the compiled code at hand.  Pictures go to build/screenshots/.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_browser import PICTURES, SCREENS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
FIGURES = 1
WAIT_S = 240
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
#: JupyterLab asks once whether it may fetch news, over the figure.
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that serves a copy of the notebooks, with a home of its own."""
    pytest.importorskip("jupyterlab", reason="JupyterLab not installed: 'make slow' brings it")
    folder = tmp_path_factory.mktemp("clone")
    for name in ("notebooks", "specs"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "pyproject.toml").touch()  # where a checkout begins
    settings = folder / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(NO_NEWS))
    told = folder / "lab.log"
    outside = {name: value for name, value in os.environ.items() if not name.startswith("NUANALYSIS_")}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--ServerApp.port_retries=0",
    ]
    with told.open("w") as log:
        server = subprocess.Popen(
            [*command, "--IdentityProvider.token=here", f"--notebook-dir={folder}"],
            cwd=folder, env={**outside, "HOME": str(folder)}, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield _address(told, server)
    finally:
        server.terminate()
        server.wait(timeout=30)


def _address(told: Path, server: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        for line in told.read_text().splitlines():
            if "http://127.0.0.1:" in line or "http://localhost:" in line:
                return "http://" + line.partition("http://")[2].partition("/lab")[0]
        assert server.poll() is None, told.read_text()[-2000:]
        time.sleep(0.1)
    raise AssertionError(told.read_text()[-2000:])


_ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
_FIGURES = ".jp-OutputArea-output img"


def test_run_all_shows_figures_and_no_error_on_every_screen(lab: str) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{lab}/lab/tree/notebooks/START_HERE.ipynb?token=here")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        # What is run before the kernel is there is lost.
        page.get_by_text("(ipykernel) | Idle").wait_for(timeout=120_000)
        cells = page.locator(".jp-CodeCell").count()
        begun = time.monotonic()
        _choose(page, "Run", "Run All Cells")
        page.wait_for_selector(f"{_FIGURES}, {_ERRORS}", timeout=1000 * WAIT_S)
        assert page.locator(_ERRORS).all_inner_texts() == []
        first = time.monotonic() - begun
        page.locator(".jp-InputPrompt", has_text=f"[{cells}]:").wait_for(timeout=1000 * WAIT_S)
        took = time.monotonic() - begun
        found = page.locator(_FIGURES)
        errors = page.locator(_ERRORS).all_inner_texts()
        empty = found.evaluate_all("all => all.filter(i => !(i.naturalWidth > 50)).length")
        wordless = found.evaluate_all("all => all.filter(i => !i.alt.trim()).length")
        figures = found.count()
        page.keyboard.press("Control+b")  # the list of files aside
        cut = {screen: _seen(page, *screen) for screen in SCREENS}
    print(f"\nfirst figure after {first:.1f} s, all {figures} and {cells} cells after {took:.1f} s")
    assert (errors, empty, wordless) == ([], 0, 0)
    assert figures >= FIGURES
    assert cut == dict.fromkeys(SCREENS, 0)


def _choose(page: Page, *names: str) -> None:
    """Go through the menus."""
    page.locator(".lm-MenuBar-itemLabel", has_text=names[0]).first.click()
    for name in names[1:]:
        page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()


def _seen(page: Page, width: int, theme: str) -> int:
    """Keep a picture of each figure on a screen; how many figures are wider than their cell."""
    page.set_viewport_size({"width": 1400, "height": 1000})  # the menus need room
    _choose(page, "Settings", "Theme", THEMES[theme])
    page.set_viewport_size({"width": width, "height": 1000})
    page.wait_for_selector(f"body[data-jp-theme-name='{THEMES[theme]}']", state="attached")
    found, cut = page.locator(_FIGURES), 0
    for number in range(found.count()):
        one = found.nth(number)
        one.scroll_into_view_if_needed()
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"lab-START_HERE-{number + 1}-{width}-{theme}.png")
        cut += one.evaluate("i => i.getBoundingClientRect().right > document.documentElement.clientWidth + 1")
    return cut
