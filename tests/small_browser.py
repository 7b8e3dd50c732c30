"""Pages and their scripts in headless Chromium: what went wrong, what they asked for, what does not fit, a picture.

Pictures go to build/screenshots/, for a person to look at.  Without Chromium the tests are skipped; ``.ci/run``
installs it where it can.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NODE = shutil.which("node")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: pages cannot be opened")
PICTURES = Path(__file__).resolve().parents[1] / "build" / "screenshots"
#: Width and height of a screen, and its theme.
SCREENS = tuple((width, theme) for width in (400, 1400) for theme in ("light", "dark"))

# What sticks out of the screen, unless it scrolls by itself or is only there for screen readers.
_WIDER = """() => {
  const inside = (one) => { for (let up = one.parentElement; up; up = up.parentElement) {
    const style = getComputedStyle(up);
    if (style.overflowX !== 'visible' || style.position === 'fixed') return true; } return false; };
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const right = (one) => Math.round(one.getBoundingClientRect().right);
  return [...document.body.querySelectorAll('*')].filter((one) => right(one) > width + 1 && !inside(one))
    .map((one) => `${one.tagName} to ${right(one)} px: ${one.textContent.trim().slice(0, 60)}`);
}"""
# What scrolls sideways by itself hides columns, and a reader on a telephone does not see that there are more.
_CUT = """() => [...document.body.querySelectorAll('*')].filter((one) => one.checkVisibility()
    && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1
    && ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(one).overflowX))
  .map((one) => `${one.tagName} ${one.clientWidth} of ${one.scrollWidth} px: ${one.textContent.trim().slice(0, 60)}`)"""
_EMPTY = """() => [...document.images].filter((one) => one.checkVisibility() && !(one.complete && one.naturalWidth > 8))
  .map((one) => one.alt || one.src.slice(0, 80))"""
_WORDLESS = "() => [...document.images].filter((one) => !one.alt.trim()).map((one) => one.src.slice(0, 80))"
_ASKED = (_WIDER, _CUT, _EMPTY, _WORDLESS)
_TALLEST = 16_000  # pixels of a screen that Chromium still draws
_REST_MS = 1500  # until maps are drawn sharply


@dataclass(frozen=True)
class Seen:
    """A page as it was on one screen.

    faults  : errors that it threw or wrote to the console.    outside : addresses it asked for, its own file apart.
    wider   : what sticks out to the right.    cut : what is wider than the box it scrolls in.
    empty   : pictures without pixels.    wordless : pictures without words.
    """

    faults: tuple[str, ...]
    outside: tuple[str, ...]
    wider: tuple[str, ...]
    cut: tuple[str, ...]
    empty: tuple[str, ...]
    wordless: tuple[str, ...]
    height: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright not installed: 'make test' brings it")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: pages cannot be opened")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def look(browser: Browser, page: Path, name: str, width: int, theme: str) -> Seen:
    """Open a file on a screen of this width and theme, go through all of it, and keep a picture of it."""
    faults: list[str] = []
    asked: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
    )
    opened = context.new_page()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(page.as_uri())
    height = int(opened.evaluate("document.documentElement.scrollHeight"))
    opened.set_viewport_size({"width": width, "height": min(height, _TALLEST)})  # what comes into view later is loaded
    opened.wait_for_timeout(_REST_MS)
    PICTURES.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png", full_page=True)
    found = [[one for frame in opened.frames for one in frame.evaluate(script)] for script in _ASKED]
    context.close()
    outside = tuple(url for url in asked if url.partition(":")[0] not in ("file", "data", "blob", "about"))
    return Seen(tuple(faults), outside, *map(tuple, found), height)


# ---- scripts ---------------------------------------------------------------------------------------------------------

#: JavaScript that leaves a value in the document for ``probed`` to find.
TELL = "const pre = document.createElement('pre'); pre.id = 'probe'; pre.textContent = JSON.stringify(%s); "
TELL += "document.body.append(pre);"


def document(address: str, *options: str, budget_ms: int = 20_000) -> str:
    """The document of an address as it is after its scripts ran; skips where there is no browser."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: pages cannot be opened")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", *options]
    command += [f"--virtual-time-budget={budget_ms}", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def probed(dom: str) -> Any:
    """What a script left in the document with ``TELL``."""
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-2000:]
    return json.loads(html.unescape(found[1]))


def computed(modules: str, expression: str, inputs: Any, folder: Path) -> Any:
    """The value of a JavaScript expression of ``inputs`` and of modules, as text; by node, else by Chromium."""
    code = f"{modules}\nconst inputs = {json.dumps(inputs)};\nconst answer = JSON.stringify({expression});\n"
    if NODE is not None:
        path = folder / "probe.js"
        path.write_text(code + "console.log(answer);")
        run = subprocess.run([NODE, str(path)], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(run.stdout)
    path = folder / "probe.html"
    path.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body><script>{code}{TELL % "JSON.parse(answer)"}</script>')
    return probed(document(path.as_uri()))
