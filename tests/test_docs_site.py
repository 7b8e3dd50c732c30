"""The documentation: pages in the tree, links that lead somewhere, examples that run, a site that asks for nothing."""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord
from small_browser import SCREENS, chromium, look

import nuanalysis as nu

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if DOCS / "notebooks" not in page.parents)
AT_THE_TOP = [ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY")]
NEEDED = ("sphinx", "myst_nb", "pydata_sphinx_theme", "sphinx-mathjax-offline")


def prose(page: Path) -> str:
    """A page without what stands in it as code or formula."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.DOTALL)


def children(page: Path) -> set[Path]:
    """The pages that the toctrees of a page name."""
    found: set[Path] = set()
    for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in (line.strip() for line in tree.splitlines()):
            if line and not line.startswith(":"):
                name = re.sub(r".*<(.*)>$", r"\1", line)
                named = list(page.parent.glob(f"{name}.*"))
                assert named, f"{page.relative_to(ROOT)} lists '{line}', which is no page"
                found |= {one.resolve() for one in named}
    return found


def test_every_page_is_in_the_tree() -> None:
    seen: set[Path] = set()
    left = {DOCS / "index.md"}
    while left:
        page = left.pop()
        seen.add(page)
        left |= {one for one in children(page) if one.suffix == ".md"} - seen if page.suffix == ".md" else set()
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in seen] == []
    notebooks = {one for one in children(DOCS / "notebooks.md") if one.suffix == ".ipynb"}
    assert notebooks == set((ROOT / "notebooks").glob("*.ipynb"))


def anchors(page: Path) -> set[str]:
    """What may stand behind # in a link to a page: its headings, as GitHub and the site spell them."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *AT_THE_TOP], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_word_is_taken_for_a_tag(page: Path) -> None:
    """<S> in prose strikes out the rest of a page, on the site and elsewhere."""
    assert re.findall(r"<(?!!--|https?:)[A-Za-z/][^>\n]*>", prose(page)) == []


@pytest.mark.usefixtures("stranger")
@pytest.mark.slow
def test_the_examples_of_the_reference_run() -> None:
    page = DOCS / "reference" / "api.md"
    found = doctest.testfile(str(page), module_relative=False, globs={"SkyCoord": SkyCoord, "u": u})
    assert found.attempted > 5
    assert found.failed == 0


def blocks(page: str) -> list[str]:
    """What a page prints as Python."""
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch, kept: Path) -> None:
    """A fresh clone: no files of others, and a cache of its own."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(kept))


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("page", ["howto/own-map.md", "howto/own-catalogue.md", "howto/own-events.md"])
@pytest.mark.slow
def test_what_how_to_pages_print_runs(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks(page):
        exec(compile(block, page, "exec"), names)
    assert re.search(r"TS \d+\.\d\d, n_s", capsys.readouterr().out)


@pytest.mark.usefixtures("stranger")
@pytest.mark.slow
def test_numbers_of_the_tutorial_are_those_of_a_fresh_clone(capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    for signal in ("template:pi0", "none"):
        print(nu.fit(nu.sample("cascades-2023", signal=signal), "template:pi0", injections=0))
    exec(compile(blocks("tutorial.md")[0], "tutorial.md", "exec"), {})
    said = re.findall(r"TS \d+\.\d\d, n_s \d+\.\d", " ".join(capsys.readouterr().out.split()))
    assert len(said) == 3
    assert [words for words in said if words not in page] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error and without a network."""
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed: 'make test' and 'make docs' bring them")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(folder / "trees"),
        "docs",
        str(folder / "html"),
    ]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-5000:]
    return folder / "html"


@pytest.mark.slow
def test_the_site_asks_for_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles, pictures and fonts are its own; addresses in links are for people."""
    asked = re.compile(
        r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*|<link\b[^>]*\bhref=\"(?:https?:)?//[^\"]*"
    )
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 80
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert asked.findall(text) == [], page.name
        assert str(ROOT) not in text, page.name
        assert not re.search(r"<img(?![^>]*\balt=\"[^\"])", text), f"{page.name}: a picture without words"
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", styles) == []


@pytest.mark.slow
def test_formulas_and_generated_pages_are_there(site: Path) -> None:
    statistics = (site / "explain" / "statistics.html").read_text(encoding="utf-8")
    assert "_static/mathjax/tex-chtml.js" in statistics
    assert (site / "_static" / "mathjax" / "tex-chtml.js").exists()
    for page, words in {
        "reference/cli.html": ("nuanalysis significance", "--scheduler", "nuanalysis data fetch"),
        "reference/questions.html": ("local_trials", "FitAnswer"),
        "reference/api.html": ("nuanalysis.sensitivity", "discovery potentials"),
        "project/contributing.html": ("make docs",),
    }.items():
        text = re.sub(r"<[^>]*>", "", (site / page).read_text(encoding="utf-8"))
        assert [word for word in words if word not in text] == [], page


@pytest.mark.parametrize(("width", "theme"), SCREENS)
@pytest.mark.parametrize(
    "name",
    ["index", "tutorial", "explain/statistics", "results/reproduced", "reference/cli", "notebooks/START_HERE"],
)
@pytest.mark.slow
def test_pages_of_the_site_fit_and_ask_for_nothing(
    site: Path, browser: Browser, name: str, width: int, theme: str
) -> None:
    seen = look(browser, site / f"{name}.html", f"docs-{name.rpartition('/')[2]}", width, theme)
    assert (seen.faults, seen.outside, seen.wider, seen.empty) == ((), (), (), ())
