"""START_HERE as a student meets it: JupyterLab in headless Chromium, Run All, pictures there.

    python -m pytest -s validation/test_lab_in_a_browser.py

Half a minute of work on a quiet core, with the compiled code at hand.  Pictures go to build/screenshots/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from small_browser import PICTURES, chromium  # noqa: E402

FIGURES = 1
WAIT_S = 240


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that serves a copy of the notebooks, with a home of its own."""
    pytest.importorskip("jupyterlab", reason="JupyterLab not installed: 'make validate' brings it")
    folder = tmp_path_factory.mktemp("clone")
    for name in ("notebooks", "specs"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "pyproject.toml").touch()  # where a checkout begins
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


def _address(told: Path, server: subprocess.Popen) -> str:
    for _ in range(600):
        for line in told.read_text().splitlines():
            if "http://127.0.0.1:" in line or "http://localhost:" in line:
                return "http://" + line.partition("http://")[2].partition("/lab")[0]
        assert server.poll() is None, told.read_text()[-2000:]
        time.sleep(0.1)
    raise AssertionError(told.read_text()[-2000:])


_ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
_FIGURES = ".jp-OutputArea-output img"


def test_run_all_shows_figures_and_no_error(lab):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{lab}/lab/tree/notebooks/START_HERE.ipynb?token=here")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.get_by_text("(ipykernel) | Idle").wait_for(
            timeout=120_000
        )  # what is run before the kernel is there is lost
        cells = page.locator(".jp-CodeCell").count()
        begun = time.monotonic()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            page.wait_for_selector(f"{_FIGURES}, {_ERRORS}", timeout=1000 * WAIT_S)
            assert page.locator(_ERRORS).all_inner_texts() == []
            first = time.monotonic() - begun
            page.locator(".jp-InputPrompt", has_text=f"[{cells}]:").wait_for(timeout=1000 * WAIT_S)
        finally:
            _keep(page, "end")
        took = time.monotonic() - begun
        found = page.locator(_FIGURES)
        errors = page.locator(_ERRORS).all_inner_texts()
        empty = found.evaluate_all("all => all.filter(i => !(i.naturalWidth > 50)).length")
        wordless = found.evaluate_all("all => all.filter(i => !i.alt.trim()).length")
        figures = found.count()
        for number in range(figures):
            found.nth(number).scroll_into_view_if_needed()
            _keep(page, str(number + 1))
    print(f"\nfirst figure after {first:.1f} s, all {figures} and {cells} cells after {took:.1f} s")
    assert (errors, empty, wordless) == ([], 0, 0)
    assert figures >= FIGURES


def _keep(page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"lab-START_HERE-{name}.png")
