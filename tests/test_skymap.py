"""The interactive sky map: what the page holds, what its script computes, and what it does when it is used."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import pytest
from numpy.typing import NDArray
from small_browser import TELL, computed, document, needs_browser, probed

from nuanalysis import plot
from nuanalysis.errors import InputError
from nuanalysis.plot import Layer, Marker, _layers, _skymap, sky_map_page

RECIPE = files("nuanalysis.plot") / "skymap"
NASTY = "<script>alert('x')</script> & \"co\""
NPIX = hp.nside2npix(64)


def _three_layers() -> list[Layer]:
    """A steep positive map with zeros, a finer non-negative one with a gap, and a signed one without a value twice."""
    rng = np.random.default_rng(5)
    x, y, z = hp.pix2vec(64, np.arange(NPIX))
    steep = np.exp(9 * x)
    steep[NPIX - 5 :] = 0.0
    fine = rng.chisquare(1, hp.nside2npix(128))
    fine[hp.ang2pix(128, 1.0, 2.0)] = 41.0625
    signed = z - 0.3 * y
    signed[[0, 40_000]] = np.nan, hp.UNSEEN
    return [
        Layer("steep", steep, "sr⁻¹", "A steep map", "log", "model", "Made up."),
        Layer("scan", fine, "TS", f"A scan {NASTY}", "linear", "synthetic", "See https://example.org/scan for more."),
        Layer("signed", signed, "", "A signed map", "signed", "real", "Made up."),
    ]


def _markers() -> list[Marker]:
    rows = (("TS", "12.3"), ("Local p", "5.9 × 10⁻⁴"))
    return [
        Marker("3C 273", np.radians(187.28), np.radians(2.05), "AGN", (("TS", "3.1 ± 0.2"), ("Local p", "0.04"))),
        Marker(NASTY, np.radians(83.63), np.radians(22.01), NASTY, rows),
        Marker("Twin", np.radians(266.4), np.radians(-28.9), "SNR", (("TS", "−0.5"),), np.radians(2.0)),
        Marker("Twin", np.radians(359.9999), np.radians(-89.0), "SNR", ()),
    ]


def as_shown(stored: _layers.Stored) -> NDArray[np.float64]:
    """Values as the page shows them; on their scale they are off by at most half a step."""
    return 10.0 ** stored.on_scale() if stored.scale == "log" else stored.on_scale()


def _page(origin: str = "mixed") -> str:
    meta = {"Citation": "IceCube, Science 380, 1338, https://doi.org/10.1126/science.adc9818"}
    return sky_map_page(_three_layers(), _markers(), title="Tour", origin=origin, caption="A test.", meta=meta)


@pytest.fixture(scope="module")
def page() -> str:
    return _page()


# ---- records and numbers --------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "name": "a", "values": np.ones(12), "unit": "", "label": "A", "scale": "linear", "origin": "real", "description": ""
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"values": np.ones(13)}, "12 nside^2"),
        ({"values": np.full(12, np.nan)}, "none at all"),
        ({"values": np.array([np.inf] + [1.0] * 11)}, "infinite"),
        ({"scale": "log", "values": np.arange(12.0) - 1}, "below 0"),
        ({"scale": "log", "values": np.zeros(12)}, "none above"),
        ({"scale": "rainbow"}, "rainbow"),
        ({"origin": "simulated"}, "simulated"),
    ],
)
def test_a_layer_that_cannot_be_drawn_is_refused(change: dict[str, Any], word: str) -> None:
    Layer(**GOOD)
    with pytest.raises(InputError, match=re.escape(word)):
        Layer(**{**GOOD, **change})


@pytest.mark.parametrize(
    "place", [{"ra": np.nan, "dec": 0.0}, {"ra": 1.0, "dec": 1.6}, {"ra": 1.0, "dec": 1.0, "extension": -0.1}]
)
def test_a_marker_nowhere_is_refused(place: dict[str, float]) -> None:
    with pytest.raises(InputError, match="'here'"):
        Marker("here", kind="x", **place)


@pytest.mark.parametrize(
    ("layers", "origin", "word"),
    [
        ([], "real", "at least one"),
        ([Layer(**GOOD), Layer(**GOOD)], "real", "each name once"),
        ([Layer(**GOOD)], "true", "the origin 'true'"),
        ([Layer(**{**GOOD, "origin": "synthetic"})], "real", "synthetic maps"),
        ([Layer(**{**GOOD, "name": str(k), "values": np.ones(NPIX)}) for k in range(22)], "real", "several pages"),
    ],
)
def test_a_page_that_would_mislead_or_burst_is_refused(layers: list[Layer], origin: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        sky_map_page(layers, [], title="", origin=origin, caption="", meta={})


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("number", [0, 1, 2], ids=["log", "linear", "signed"])
def test_what_is_stored_is_off_by_half_a_step_at_most(number: int, bits: Any) -> None:
    layer = _three_layers()[number]
    values = _layers.known(layer.values)
    stored = _layers.quantised(values, scale=layer.scale, bits=bits)
    got, has = as_shown(stored), np.isfinite(values)
    assert np.array_equal(np.isnan(got), ~has)
    assert stored.bits == bits
    span = np.ptp(values[has & (values > 0)]) if number else None
    if layer.scale == "log":
        positive = values > 0
        assert np.array_equal(got == 0, values == 0)
        seen, wanted = np.log10(got[positive]), np.log10(values[positive])
        span = np.ptp(wanted)
    else:
        seen, wanted = got[has], values[has]
        span = 2 * np.abs(wanted).max() if layer.scale == "signed" else np.ptp(wanted)
    assert stored.step == pytest.approx(span / (2**bits - 2), rel=2 / 2**bits)  # a code or two are set aside
    assert np.abs(seen - wanted).max() <= 0.5 * stored.step * (1 + 1e-9)  # 1e-9: rounding of the sums themselves
    assert np.abs(seen - wanted).max() > 0.4 * stored.step  # else the bound would say nothing
    top = wanted.max() if layer.scale != "signed" else wanted[np.argmax(np.abs(wanted))]
    assert seen[np.argmax(wanted == top)] == pytest.approx(top, rel=1e-12)


def test_the_zero_of_a_signed_map_stays_zero() -> None:
    stored = _layers.quantised(np.array([-3.0, 0.0, 1.0] * 4), scale="signed", bits=8)
    assert as_shown(stored)[1] == 0.0


@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_a_flat_map_is_stored_as_it_is(value: float) -> None:
    for scale in ("linear", "signed"):
        stored = _layers.quantised(np.full(12, value), scale=scale, bits=16)
        assert as_shown(stored) == pytest.approx(np.full(12, value), rel=1e-12)


def test_many_maps_take_eight_bits_and_few_sixteen() -> None:
    flat = [Layer(**{**GOOD, "name": str(k), "values": np.ones(NPIX)}) for k in range(12)]
    assert {one.bits for one in _skymap._embedded(flat)} == {8}
    assert {one.bits for one in _skymap._embedded(flat[:10])} == {16}


def test_a_coarser_map_is_the_mean_of_what_is_there() -> None:
    rng = np.random.default_rng(8)
    fine = rng.normal(size=hp.nside2npix(32))
    assert _layers.coarser(fine, 8) == pytest.approx(hp.ud_grade(fine, 8), abs=1e-12)  # rounding only
    holed = fine.copy()
    holed[hp.query_disc(32, (0, 0, 1), 0.3)] = np.nan
    got = _layers.coarser(holed, 8)
    parent = hp.ang2pix(8, *hp.pix2ang(32, np.arange(len(fine))))
    wanted = [np.nanmean(holed[parent == k]) if np.isfinite(holed[parent == k]).any() else np.nan for k in range(768)]
    assert got == pytest.approx(np.array(wanted), abs=1e-12, nan_ok=True)
    assert np.isnan(got).any()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12.3", 12.3), ("−3.1 ± 0.2", -3.1), ("< 1.2 × 10⁻⁴", 1.2e-4), ("5.9e-4 (3.2σ)", 5.9e-4), ("1,234", 1234.0),
        ("12 TeV", 12.0), ("3C 273", None), ("4FGL J1745.6", None), ("–", None), ("not fitted", None), ("+0.5", 0.5),
        ("2 × 10^3", 2000.0),
    ],
)  # fmt: skip
def test_a_column_sorts_by_the_number_a_text_begins_with(text: str, number: float | None) -> None:
    assert _skymap.sort_key(text) == (None if number is None else pytest.approx(number))


# ---- the page as text -----------------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """Elements, texts of table rows, what could be fetched, and fields without a name."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.unnamed: list[str] = []
        self.rows: list[list[str]] = []
        self.ids: list[str] = []
        self._in_label = 0
        self._cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        named = [given[key] or "" for key in ("src", "href", "srcset", "action", "data", "poster") if key in given]
        self.fetched += [address for address in named if not address.startswith(("#", "data:"))]
        self._in_label += tag == "label"
        if tag in ("input", "select") and not self._in_label:
            self.unnamed.append(str(attrs))
        if tag == "img" and not given.get("alt"):
            self.unnamed.append(str(attrs))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_label -= tag == "label"
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    return reader


def test_the_page_is_one_file_that_asks_for_nothing(page: str) -> None:
    reader = _read(page)
    assert reader.fetched == []
    assert not re.search(r"\b(?:https?|ftp|wss?)://|@import|url\(|\bfetch\(|XMLHttpRequest|import\(", page)
    assert "default-src 'none'" in page
    assert reader.unnamed == []
    assert len(reader.ids) == len(set(reader.ids))
    assert len(page.encode()) <= 2_000_000


def test_names_cannot_become_elements(page: str) -> None:
    tags = _read(page).tags
    scripts = [one for one in RECIPE.iterdir() if one.name.endswith(".js")]
    assert tags.count("script") == 1 + len(scripts)  # data, and each script
    assert "alert('x')</script>" not in page
    assert page.count(html.escape(NASTY, quote=False).split("'")[0]) >= 3  # kind, table, list of maps


def test_the_table_holds_every_marker_and_each_hottest_pixel(page: str) -> None:
    head, *rows = _read(page).rows
    assert head == ["Name", "Kind", "RA (°)", "Dec (°)", "l (°)", "b (°)", "TS", "Local p", "Value", "Pixel"]
    assert [row[0] for row in rows] == ["3C 273", NASTY, "Twin", "Twin", "Hottest pixel, scan"]
    # l and b of 3C 273: 289.951, +64.360 (SIMBAD, J2000); two digits of position went in.
    assert [float(x) for x in rows[0][4:6]] == pytest.approx([289.95, 64.36], abs=0.02)
    assert rows[3][2:4] == ["0.000", "−89.000"]  # not 360.000
    assert rows[2][6:] == ["−0.5", "–", "–", "–"]
    pixel = hp.ang2pix(128, 1.0, 2.0)
    assert rows[4][8:] == ["41.06 TS", f"{pixel} (nside 128, RING)"]
    assert "from nside 128 to 64" in page


@pytest.mark.parametrize(("origin", "shown"), [("mixed", True), ("synthetic", True), ("real", False), ("model", False)])
def test_synthetic_pages_say_so_in_a_banner(origin: str, shown: bool) -> None:
    layer = Layer(**{**GOOD, "origin": "synthetic" if shown else "real"})
    text = sky_map_page([layer], [], title="T", origin=origin, caption="C", meta={})
    assert ("never to be taken for IceCube data" in text) is shown
    assert ('class="badge synthetic">SYNTHETIC<' in text) is shown


def test_without_script_there_are_the_tables(page: str) -> None:
    assert re.search(r"<noscript>.*The tables below can be read without it\.", page, re.DOTALL)
    assert "<table" in page
    assert "<img" not in page


def test_the_records_are_public() -> None:
    assert {"Layer", "Marker", "sky_map_page"} <= set(dir(plot))


# ---- the script against healpy and the textbook ---------------------------------------------------------------------


def _computed(expression: str, inputs: Any, folder: Path) -> Any:
    """The value of a JavaScript expression of ``inputs`` and the page's modules."""
    modules = "\n".join((RECIPE / name).read_text() for name in ("healpix.js", "projection.js"))
    return computed(modules, expression, inputs, folder)


def _directions(number: int, seed: int) -> NDArray[np.float64]:
    """Random unit vectors, (number, 3), the two poles first."""
    random = np.random.default_rng(seed).normal(size=(number, 3))
    return np.vstack([[[0, 0, 1], [0, 0, -1]], random / np.linalg.norm(random, axis=1)[:, None]])


def test_pixels_of_directions_are_those_of_healpy(tmp_path: Path) -> None:
    nsides = [2**k for k in range(8)]
    directions = _directions(2000, 1)
    near = np.column_stack([1e-5 * directions[2:502, 0], 1e-5 * directions[2:502, 1], np.sign(directions[2:502, 2])])
    directions = np.vstack([directions, near / np.linalg.norm(near, axis=1)[:, None]])
    expression = "inputs[0].map((n) => inputs[1].map((v) => Healpix.pixelOf(n, ...v)))"
    got = np.array(_computed(expression, [nsides, directions.tolist()], tmp_path))
    wanted = np.array([hp.vec2pix(n, *directions.T) for n in nsides])
    assert np.array_equal(got, wanted)


def test_centres_of_pixels_are_those_of_healpy(tmp_path: Path) -> None:
    asked = [(n, np.unique(np.linspace(0, 12 * n * n - 1, 700).astype(int)).tolist()) for n in (1, 2, 8, 64, 128)]
    got = _computed("inputs.map(([n, list]) => list.map((k) => Healpix.centreOf(n, k)))", asked, tmp_path)
    for (nside, pixels), centres in zip(asked, got, strict=True):
        # Rounding of sines and cosines; the pixels are 8e-3 apart at best.
        assert np.array(centres) == pytest.approx(np.array(hp.pix2vec(nside, pixels)).T, abs=1e-12)


@pytest.mark.parametrize("name", ["hammer", "gnomonic"])
def test_projections_are_those_of_the_textbook_and_turn_back(name: str, tmp_path: Path) -> None:
    directions = _directions(1000, 2)
    directions = directions[directions[:, 0] > 0.1] if name == "gnomonic" else directions
    turn = "P.toPlane(...v, a); P.toSphere(...a, b); return [...a, ...b];"
    expression = f"inputs.map((v) => {{ const a = [0, 0], b = [0, 0, 0], P = Projection.{name}; {turn} }})"
    got = np.array(_computed(expression, directions.tolist(), tmp_path))
    lon, lat = np.arctan2(directions[:, 1], directions[:, 0]), np.arcsin(directions[:, 2])
    if name == "hammer":  # Calabretta & Greisen 2002, equations 91 to 93
        gamma = np.sqrt(2 / (1 + np.cos(lat) * np.cos(lon / 2)))
        wanted = np.column_stack([2 * gamma * np.cos(lat) * np.sin(lon / 2), gamma * np.sin(lat)])
    else:
        wanted = np.column_stack([np.tan(lon), np.tan(lat) / np.cos(lon)])
    assert got[:, :2] == pytest.approx(wanted, abs=1e-9)  # rounding, up to 1e4 times at the edge of the tangent plane
    assert got[:, 2:] == pytest.approx(directions, abs=1e-7)  # the square root of the rounding at the ellipse's edge


# ---- the page in use ------------------------------------------------------------------------------------------------

# Before anything else runs: no fault of the page is missed, and pictures are drawn (a browser that only dumps a page
# makes no frames to wait for).
_WATCH = """<script>const faults = [];
addEventListener("error", (e) => faults.push(e.message));
window.requestAnimationFrame = (draw) => setTimeout(draw, 0);</script>"""
_TOOLS = """
const q = (s) => document.querySelector(s), all = (s) => [...document.querySelectorAll(s)], sky = q("#sky");
const rest = () => new Promise((r) => setTimeout(r, 400));
const go = async (hash) => { location.hash = hash; await rest(); };
const event = { bubbles: true, cancelable: true };
const press = (key, more = {}) => sky.dispatchEvent(new KeyboardEvent("keydown", { key, ...event, ...more }));
const at = (type, x, y, more = {}) => {
  const box = sky.getBoundingClientRect(), Kind = type === "wheel" ? WheelEvent : PointerEvent;
  const where = { clientX: box.left + x, clientY: box.top + y, pointerId: 1, isPrimary: true };
  return sky.dispatchEvent(new Kind(type, { ...where, ...event, ...more }));
};
const click = (x, y) => { at("pointerdown", x, y); at("pointerup", x, y); };
const set = (field, value) => {
  if (value === undefined) { q(field).click(); return; }
  q(field).value = value;
  q(field).dispatchEvent(new Event("change", event));
};
const state = () => Object.fromEntries(new URLSearchParams(sky.dataset.view));
const panel = () => Object.fromEntries(
  [q("#answer h3"), ...all("#answer dt")].map((t) => t.tagName === "H3" ? ["title", t.textContent]
    : [t.textContent, t.nextSibling.textContent]));
const colour = () => [...sky.getContext("2d").getImageData(sky.width / 2, sky.height / 2, 1, 1).data];
const head = (k) => {
  const th = all("#markers thead th")[k];
  th.querySelector("button").click();
  return [th.ariaSort, all("#markers tbody th").map((name) => name.textContent)];
};
const out = { faults, steps: [] };
const step = (name) => out.steps.push([name, state(), q("#said").textContent]);
"""


def _used(page: str, script: str, folder: Path, fragment: str = "") -> Any:
    """What the script collected in ``out`` while it used the page in a browser."""
    body = f"{_TOOLS}\ntry {{ {script} }} catch (e) {{ faults.push(String(e)); }}\n{TELL % 'out'}"
    use = f"<script>(async () => {{ {body} }})();</script>"
    path = folder / "used.html"
    path.write_text(page.replace("<body>", f"<body>{_WATCH}", 1).replace("</body>", f"{use}</body>"))
    return probed(document(path.as_uri() + fragment))


def _text(digits: str) -> float:
    return float(_skymap.sort_key(digits) or 0.0)


@needs_browser
def test_the_address_sets_the_view_and_keeps_it(page: str, tmp_path: Path) -> None:
    """Layer, frame, projection, middle, width, opened marker and chosen place; values as they were stored."""
    layers = _three_layers()
    ra, dec = 123.4, -56.7
    pixel = hp.ang2pix(64, np.pi / 2 - np.radians(dec), np.radians(ra))
    hot = np.array(hp.pix2ang(64, int(np.argmax(layers[0].values)), lonlat=True)) + 0.13  # deg; off the graticule
    script = f"""
    Object.assign(out, {{ first: state(), title: q("#map-title").textContent, opened: panel() }});
    out.checked = q("input[name=frame]:checked").value;
    await rest();
    out.kept = location.hash.slice(1) === sky.dataset.view;
    await go("layer=signed&at={ra},{dec}");
    Object.assign(out, {{ place: panel(), after: state(), zero: !q("#zero-line").hidden }});
    await go("layer=signed&at=45,89.9");
    Object.assign(out, {{ blank: panel(), hatched: q("#unit").textContent }});
    await go("layer=steep&frame=equatorial&centre={hot[0]},{hot[1]}&fov=2&labels=off&hide=SNR|AGN");
    Object.assign(out, {{ hottest: colour(), hidden: all("input[name=kind]:not(:checked)").map((b) => b.value) }});
    await go("layer=nonsense&frame=up&fov=-3&centre=a,b&open=nobody&at=1");
    out.nonsense = state();
    await go("open=Twin (2)");
    out.twin = [panel()["RA, Dec (ICRS)"], panel().Kind];
    """
    fragment = "#layer=scan&frame=equatorial&projection=gnomonic&centre=80,20&fov=30&open=" + "3C%20273"
    out = _used(page, script, tmp_path, fragment)
    assert out["faults"] == []
    assert out["first"] == {
        "layer": "scan", "frame": "equatorial", "projection": "gnomonic", "centre": "80.000,20.000", "fov": "30.000",
        "open": "3C 273",
    }  # fmt: skip
    assert out["kept"]
    assert (out["title"], out["checked"]) == (f"A scan {NASTY}", "equatorial")
    assert out["opened"]["title"] == "3C 273"
    assert {k: out["opened"][k] for k in ("Kind", "TS", "Local p")} == {
        "Kind": "AGN", "TS": "3.1 ± 0.2", "Local p": "0.04"
    }  # fmt: skip
    assert out["opened"]["RA, Dec (ICRS)"] == "187.280°, +2.050°"
    assert out["place"]["title"] == f"Pixel {pixel:,}"
    for layer in layers:
        stored = as_shown(_skymap._embedded([layer])[0])[pixel]
        # The page prints four digits, or as many as the step of 16 bits supports.
        assert _text(out["place"][f"{layer.name}, pixel here"]) == pytest.approx(stored, rel=2e-3), layer.name
    assert out["after"]["at"] == f"{ra:.4f},{dec:.4f}"
    assert out["zero"]
    assert out["blank"]["signed, pixel here"] == "no value"
    assert "hatched" in out["hatched"]
    from matplotlib import colormaps

    assert out["hottest"] == list(colormaps["cividis"](255, bytes=True))
    assert out["hidden"] == ["AGN", "SNR"]
    assert out["nonsense"] == {
        "layer": "steep", "frame": "galactic", "projection": "hammer", "centre": "0.000,0.000", "fov": "360.000"
    }  # fmt: skip
    assert out["twin"] == ["0.000°, −89.000°", "SNR"]


@needs_browser
@pytest.mark.parametrize("frame", ["galactic", "equatorial"])
@pytest.mark.parametrize("projection", ["hammer", "gnomonic"])
@pytest.mark.slow
def test_the_picture_shows_the_map_where_the_pointer_reads_it(
    frame: str, projection: str, page: str, tmp_path: Path
) -> None:
    """Colours of the canvas against the map at the place that is read out there; longitude grows to the left."""
    script = f"""
    await go("layer=steep&frame={frame}&projection={projection}&centre=65,12&fov=60&labels=off&hide=AGN|SNR");
    const ratio = sky.width / sky.clientWidth;
    out.seen = [...Array(40)].map((_, k) => {{
      const x = Math.round(80 + (sky.clientWidth - 160) * k / 39), y = 60 + 37 * k % (sky.clientHeight - 120);
      at("pointermove", x, y);
      const pixel = [...sky.getContext("2d").getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data];
      return [q("#cursor").textContent, pixel];
    }});
    """
    out = _used(page, script, tmp_path)
    assert out["faults"] == []
    read = [re.match(r"RA ([\d.]+)° Dec (\S+)° · l ([\d.]+)° b (\S+)°", text) for text, _ in out["seen"]]
    place = np.array([[_text(word) for word in found.groups()] for found in read if found])
    assert len(place) == 40
    assert np.all(np.diff(place[:, 0 if frame == "equatorial" else 2])[[0, 20, 38]] < 0)
    values = _three_layers()[0].values[hp.ang2pix(64, place[:, 0], place[:, 1], lonlat=True)]
    tops = np.log10(_three_layers()[0].values.max())
    from matplotlib import colormaps

    wanted = colormaps["cividis"]((np.log10(values) - tops) / 4 + 1, bytes=True)  # four decades below the top
    # The graticule and the outlines of pixels (the read-out is rounded to 0.01 deg) take some points.
    close = np.abs(wanted.astype(int) - np.array([pixel for _, pixel in out["seen"]])).max(axis=1) <= 2
    assert close.mean() > 0.8


@needs_browser
def test_keys_pointer_fields_and_table_do_what_they_say(page: str, tmp_path: Path) -> None:
    script = """
    await go("");
    sky.focus();
    press("ArrowLeft"); step("left");
    press("ArrowUp"); step("up");
    press("0"); step("home");
    press("+"); step("in");
    press("-"); step("out");
    press("g"); step("equatorial"); press("g");
    out.consumed = [...Array(5)].map(() => !press("Tab")); step("last marker");
    out.leaves = press("Tab"); press("Tab"); step("first marker");
    press("Tab"); press("Enter"); step("opened");
    Object.assign(out, { panel: panel(), closable: !q("#close").hidden });
    press("Escape"); step("closed");
    press("Escape"); out.free = press("Tab");
    press("Enter"); step("middle"); press("Escape");

    const [x, y] = [sky.clientWidth / 2, sky.clientHeight / 2];
    await go("fov=90&centre=10,0");
    at("pointerdown", x, y); at("pointermove", x + 60, y); at("pointerup", x + 60, y); step("dragged");
    out.wheel = !at("wheel", x, y, { deltaY: -100 }); step("wheel");
    await go("");
    out.atEnd = at("wheel", x, y, { deltaY: 100 });
    await go("centre=0,0&fov=100");
    at("wheel", x + 100, y, { deltaY: -100 }); step("wheel aside");
    await go("fov=90&centre=10,0&labels=off");
    click(5, 300); step("place");
    await go("frame=equatorial&centre=83.63,22.01&fov=20");
    at("pointermove", x, y); out.read = q("#cursor").textContent;
    click(x, y); step("marker");
    await go("fov=90");
    const second = { pointerId: 2 };
    at("pointerdown", 300, 200); at("pointerdown", 400, 200, second);
    at("pointermove", 300, 201); at("pointermove", 500, 200, second);
    at("pointerup", 300, 200); at("pointerup", 500, 200, second); step("pinched");

    await go("");
    set("#layer", "1"); set("input[value=equatorial]"); set("#projection", "gnomonic"); set("#labels");
    set("input[name=kind][value=SNR]"); step("fields");
    Object.assign(out, { byTs: head(6), byTsDown: head(6), byName: head(0), sorts: all("[aria-sort]").length });
    await go("");
    q("#markers tbody button").click(); step("from the table");
    q("#close").click(); step("closed again");
    """
    out = _used(page, script, tmp_path)
    assert out["faults"] == []
    steps = {name: (seen, said) for name, seen, said in out["steps"]}

    def middle(name: str) -> tuple[float, float]:
        lon, lat = (float(x) for x in steps[name][0]["centre"].split(","))
        return (lon + 180) % 360 - 180, lat

    assert middle("left")[0] > 5  # longitude grows to the left
    assert middle("up")[1] > 5
    assert middle("home") == (0, 0)
    assert float(steps["in"][0]["fov"]) == pytest.approx(360 / 1.4, abs=1e-3)
    assert steps["out"][0]["fov"] == "360.000"
    assert steps["equatorial"][0]["frame"] == "equatorial"
    assert steps["equatorial"][0]["centre"] == "180.000,0.000"
    assert out["consumed"] == [True] * 5
    assert steps["last marker"][1].startswith("5 of 5: Hottest pixel, scan")
    assert out["leaves"]  # not prevented: the browser moves on
    assert steps["first marker"][1].startswith("1 of 5: 3C 273, AGN")
    assert steps["opened"][0]["open"] == NASTY
    assert (out["panel"]["title"], out["panel"]["Local p"]) == (NASTY, "5.9 × 10⁻⁴")
    assert out["closable"]
    assert "Local p 5.9 × 10⁻⁴" in steps["opened"][1]
    assert "open" not in steps["closed"][0]
    assert out["free"]
    assert "at" in steps["middle"][0]
    assert middle("dragged")[0] > 10.5  # the sky follows the hand to the right
    assert out["wheel"]
    assert float(steps["wheel"][0]["fov"]) == pytest.approx(90 * np.exp(-0.25), abs=1e-3)
    assert out["atEnd"]  # the page may scroll
    assert middle("wheel aside")[0] < -1  # towards the pointer, which is right of the middle
    assert "at" in steps["place"][0]
    assert out["read"].startswith("RA 83.63° Dec +22.01° · l 184.56° b −5.79°")
    assert steps["marker"][0]["open"] == NASTY
    assert float(steps["pinched"][0]["fov"]) == pytest.approx(45, abs=1)  # fingers twice as far apart
    fields = steps["fields"][0]
    wanted = {"layer": "scan", "frame": "equatorial", "projection": "gnomonic", "labels": "off", "hide": "SNR"}
    assert {**fields, **wanted, "fov": "60.000"} == fields
    assert out["byTs"][0] == "ascending"
    assert out["byTs"][1][:3] == ["Twin", "3C 273", NASTY]  # -0.5, 3.1, 12.3; then those without
    assert out["byTsDown"][0] == "descending"
    assert out["byTsDown"][1][:3] == [NASTY, "3C 273", "Twin"]
    assert out["byName"][1] == [NASTY, "3C 273", "Hottest pixel, scan", "Twin", "Twin"]
    assert out["sorts"] == 1
    assert steps["from the table"][0]["open"] == NASTY  # the first of the sorted table
    assert "open" not in steps["closed again"][0]


@needs_browser
@pytest.mark.parametrize("scheme", [(), ("--force-dark-mode",)], ids=["light", "dark"])
def test_a_narrow_screen_needs_no_sideways_scrolling(page: str, scheme: tuple[str, ...], tmp_path: Path) -> None:
    """400 px wide, as a frame: a browser's own window is never that narrow here."""
    tell = """<script>setTimeout(() => {
    const sky = document.getElementById("sky"), paper = getComputedStyle(document.body).backgroundColor;
    const fields = [...document.querySelectorAll("button, select, input, #panel, #sky")];
    const over = (e) => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth;
    const seen = { faults, paper, inner: innerWidth, needed: document.documentElement.scrollWidth };
    parent.postMessage({ ...seen, wide: fields.filter(over).length, sky: [sky.clientWidth, sky.clientHeight] }, "*");
    }, 500)</script>"""
    inner = page.replace("<body>", f"<body>{_WATCH}", 1).replace("</body>", f"{tell}</body>")
    (tmp_path / "inner.html").write_text(inner)
    (tmp_path / "outer.html").write_text(
        '<!DOCTYPE html><meta name="color-scheme" content="light dark"><body>'
        f"<script>onmessage = (e) => {{ if (e.data.faults) {{ {TELL % 'e.data'} }} }};</script>"
        '<iframe src="inner.html#open=Twin" style="border:0;width:400px;height:2000px"></iframe>'
    )
    out = probed(document((tmp_path / "outer.html").as_uri(), *scheme))
    assert out["faults"] == []
    assert out["inner"] == 400
    assert out["needed"] <= 400
    assert out["wide"] == 0
    assert out["sky"][0] > 350
    assert out["sky"][1] >= 270
    assert out["paper"] == ("rgb(21, 23, 28)" if scheme else "rgb(255, 255, 255)")
