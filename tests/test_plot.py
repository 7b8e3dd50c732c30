"""Figures: what they show is where it belongs, and everything synthetic says so."""

from __future__ import annotations

import io
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import pytest
import xarray as xr
from astropy.coordinates import SkyCoord
from astropy.table import Table
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree
from scipy.stats import chi2
from small_results import local, of_all, scanned, unknown

from nuanalysis import plot
from nuanalysis.answers._ensembles import chance_of
from nuanalysis.errors import InputError
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.plot import FluxRow, StackRow, _page, _results, _samples, _sky, canvas
from nuanalysis.records import Chance, Unknown
from nuanalysis.schema import TRIALS, dataset

NSIDE = 32
MARKS = (plot.Marker("north, far left", 1.4, 0.4), plot.Marker("south, far right", 1.6, -0.3))


def ensemble(ts: NDArray[np.float64], log_weight: NDArray[np.float64]) -> xr.Dataset:
    number = len(ts)
    values = {
        "ts": ts,
        "n_signal": ts,
        "index": np.full(number, 2.7),
        "log_weight": log_weight,
        "converged": np.ones(number),
    }
    return dataset(TRIALS, values, {"fingerprint": "0" * 64, "seed": 1, "kind": "background"})


def sample_of(origin: str) -> str:
    return "cascades-2023" if origin == "synthetic" else "tracks"


def flux(hypothesis: str = "template:pi0", origin: str = "synthetic", best: float = 2e-11) -> FluxRow:
    ends = {"low": 0.8 * best, "high": 1.3 * best + 1e-12, "limit": 3e-11, "sensitivity": 6e-12}
    return FluxRow(hypothesis, "Galactic π⁰ template", sample_of(origin), origin, best=best, **ends)


def stack(origin: str, index: float = 2.7) -> StackRow:
    return StackRow(
        "stack:snr", "Supernova remnants", sample_of(origin), origin, n_signal=200.0, index=index, sigma=3.2
    )


X: dict[str, Any] = {"label": "x", "sample": "s", "origin": "real", "hypothesis": "point:1,2", "free_index": False}


def every_figure(origin: str) -> dict[str, Figure]:
    rng = np.random.default_rng(5)
    edges, expected = np.linspace(-1.0, 1.0, 11), np.full(10, 90.0)
    cuts = [(season, cut, n) for season in ("IC40", "IC79") for cut, n in (("all", 900), ("good runs", 700))]
    trials = ensemble(rng.chisquare(1, 400), np.zeros(400))
    values = rng.random(hp.nside2npix(8))
    named = {"label": "A name", "origin": origin}
    fitted = {**named, "sample": sample_of(origin), "hypothesis": "template:pi0", "free_index": False}
    return {
        "sky_map": plot.sky_map(values, unit="TS (sr⁻¹)", frame="icrs", **named),
        "marked_map": plot.sky_map(values, unit="TS (sr⁻¹)", frame="icrs", marks=MARKS, **named),
        "plane_crop": plot.plane_crop(values, unit="TS (sr⁻¹)", frame="icrs", **named),
        "ts_distribution": plot.ts_figure(trials, observed_ts=4.0, **fitted).figure,
        "marginals": plot.marginals(
            edges, rng.poisson(expected), expected, np.sqrt(expected), quantity="sin(dec)", **named
        ),
        "cut_flow": plot.cut_flow(cuts, **named),
        "likelihood_profile": plot.profile_figure(np.arange(9.0), 4.0 - (np.arange(9.0) - 3.0) ** 2, **fitted).figure,
        "flux_comparison": plot.flux_comparison([flux(origin=origin), flux("stack:snr", origin, best=0.0)], PUBLISHED),
        "stacking": plot.stacking([stack(origin, index) for index in (3.28, 2.70, 2.76)], PUBLISHED),
    }


@pytest.fixture(scope="module")
def synthetic() -> dict[str, Figure]:
    figures = every_figure("synthetic")
    for figure in figures.values():
        figure.canvas.draw()
    return figures


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_everything_synthetic_says_so_and_nothing_real_does(synthetic: dict[str, Figure]) -> None:
    for name, figure in synthetic.items():
        assert figure.get_suptitle().startswith("SYNTHETIC"), name
    for name, figure in every_figure("real").items():
        assert "SYNTHETIC" not in " ".join(text.get_text() for text in texts(figure)), name


def test_a_figure_of_both_says_both() -> None:
    rows = [flux(), flux(origin="real")]
    assert plot.flux_comparison(rows, PUBLISHED).get_suptitle().startswith("SYNTHETIC and real")


def test_an_unknown_origin_is_refused() -> None:
    with pytest.raises(InputError, match="'simulated'"):
        plot.sky_map(np.ones(768), label="x", unit="sr⁻¹", frame="icrs", origin="simulated")


def test_no_letter_is_small_and_none_leaves_the_canvas(synthetic: dict[str, Figure]) -> None:
    for name, figure in synthetic.items():
        frame = figure.bbox
        for text in texts(figure):
            assert text.get_fontsize() >= 9.0, (name, text.get_text())
        for axes in figure.axes:
            for text in [axes.xaxis.label, axes.yaxis.label, figure._suptitle]:  # type: ignore[attr-defined]
                if text.get_text():
                    box = text.get_window_extent()
                    outside = (frame.x0 - box.x0, box.x1 - frame.x1, frame.y0 - box.y0, box.y1 - frame.y1)
                    assert max(outside) <= 1, (name, text.get_text())


def test_every_axis_is_named(synthetic: dict[str, Figure]) -> None:
    for name, figure in synthetic.items():
        for axes in figure.axes:
            assert axes.get_xlabel() or name == "marginals", name
        assert figure.axes[0].get_ylabel() or name in ("stacking", "flux_comparison"), name
    assert "Galactic" in synthetic["sky_map"].axes[0].get_xlabel()
    assert synthetic["sky_map"].axes[1].get_xlabel() == "TS (sr⁻¹)"


def test_tick_labels_do_not_overlap(synthetic: dict[str, Figure]) -> None:
    for name, figure in synthetic.items():
        for axes in figure.axes:
            shown = [label for label in axes.get_xticklabels() if label.get_text()]
            boxes = sorted((label.get_window_extent() for label in shown), key=lambda box: box.x0)
            inside = [box for box in boxes if axes.bbox.x0 - 2 <= 0.5 * (box.x0 + box.x1) <= axes.bbox.x1 + 2]
            for left, right in pairwise(inside):
                assert right.x0 - left.x1 >= 0.5 * left.height, name


def test_series_differ_in_grey_or_in_marker_and_line() -> None:
    grey = [float(np.dot(to_rgb(series.colour), (0.299, 0.587, 0.114))) for series in canvas.SERIES]
    assert abs(grey[0] - grey[1]) > 0.3
    assert len({series.marker for series in canvas.SERIES}) == len(canvas.SERIES)


HOSTILE = ("$\\frac{$", "$x^{2$", "a $ and a $", "\\$ $\\input{x}$", "<script>", "L" * 3000, "%s{0}")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.slow
def test_a_name_is_no_formula(name: str) -> None:
    p = [(0.1, 0.01), (0.2, 0.02)]
    figures = [
        plot.chances_figure([name, "other"], p, (0.3, 0.1), label=name, origin="real"),
        plot.joint_figure([name, "other"], np.ones((2, 4)), np.eye(2), label=name, origin="synthetic"),
        plot.stack_figure([plot.SourceBar(name, 1.0, 1.0)], ts=1.0, label=name, origin="real"),
        plot.flux_comparison([FluxRow("x", name, name, "real", 1.0, 0.5, 2.0, 3.0, 1.0)], {}),
        plot.sky_map(np.ones(768), label=name, unit="u", frame="icrs", origin="real"),
    ]
    for figure in figures:
        if len(name) < 100:
            assert any(name in text.get_text().replace("\n", " ") for text in texts(figure))
        assert plot.png(figure)


def test_powers_of_ten_and_our_own_formulas_are_drawn_as_such() -> None:
    figure, axes = canvas.single()
    axes.plot([1.0, 2.0], [1e-12, 1e-9])
    axes.set_yscale("log")
    axes.set_title("E$^{-2.5}$")
    figure.canvas.draw()
    canvas.finished(figure, "costs 3 $ or 4 $", "real")
    figure.canvas.draw()
    shown = {text.get_text(): text.get_parse_math() for text in texts(figure)}
    assert not shown["costs 3 $ or 4 $"]
    assert all(parsed for text, parsed in shown.items() if "mathdefault" in text)
    assert shown["E$^{-2.5}$"]


def test_pyplot_learns_of_nothing() -> None:
    every_figure("real")
    module = sys.modules.get("matplotlib.pyplot")
    assert module is None or module.get_fignums() == []


@pytest.mark.slow
def test_the_same_figure_gives_the_same_bytes() -> None:
    first, second = every_figure("synthetic"), every_figure("synthetic")
    for name in ("sky_map", "marked_map", "ts_distribution", "flux_comparison"):
        assert _page.png(first[name]) == _page.png(second[name]), name


# --------------------------------------------------------------------------------------------------------- sky


@pytest.mark.parametrize(("longitude", "latitude"), [(0.0, 0.0), (90.0, 0.0), (266.0, -29.0), (180.0, 60.0)])
def test_galactic_look_up_agrees_with_astropy(longitude: float, latitude: float) -> None:
    where = SkyCoord(longitude, latitude, unit="deg", frame="galactic").icrs
    pixel = hp.ang2pix(NSIDE, where.ra.deg, where.dec.deg, lonlat=True)
    values = np.arange(hp.nside2npix(NSIDE), dtype=float)
    seen = _sky.values_at(values, "icrs", np.radians(np.array([longitude])), np.radians(np.array([latitude])))
    near = hp.get_all_neighbours(NSIDE, pixel)
    assert seen[0] == pixel or int(seen[0]) in near  # a direction may lie on the edge of a pixel


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_the_centre_is_in_the_middle_and_longitude_grows_to_the_left(frame: str) -> None:
    longitude, latitude = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)
    directions = SkyCoord(longitude, latitude, unit="deg", frame=frame)
    spot = (directions.separation(SkyCoord(60, 20, unit="deg", frame="galactic")).deg < 12.0).astype(float)
    figure = plot.sky_map(spot, label="x", unit="u", frame=frame, origin="real")
    picture = Image.open(io.BytesIO(_page.png(figure))).convert("RGB")
    pixels = np.asarray(picture).astype(int)[: int(picture.height * 0.75)]  # without the colour bar
    yellow = (pixels[..., 0] > 230) & (pixels[..., 1] > 200) & (pixels[..., 2] < 120)
    rows, columns = np.nonzero(yellow)
    blue = (pixels[..., 2] > 60) & (pixels[..., 0] < 20)
    centre = [0.5 * (found.min() + found.max()) for found in np.nonzero(blue)]
    assert columns.mean() < centre[1] - 50  # l = 60 is left of the centre
    assert rows.mean() < centre[0] - 20  # b = 20 is above it


@pytest.mark.parametrize(("longitude", "latitude"), [(0.0, 0.0), (90.0, 0.0), (266.0, -29.0), (179.9, 60.0)])
def test_a_mark_is_where_its_direction_is_on_the_map(longitude: float, latitude: float) -> None:
    where = SkyCoord(longitude, latitude, unit="deg", frame="galactic").icrs
    x, y = _sky._on_map(np.array([where.ra.rad]), np.array([where.dec.rad]))
    wrapped = (longitude + 180.0) % 360.0 - 180.0
    assert np.degrees(x) == pytest.approx([-wrapped], abs=0.01)  # the Galactic frames differ by less
    assert np.degrees(y) == pytest.approx([latitude], abs=0.01)


def test_the_names_of_marks_stay_inside_the_figure(synthetic: dict[str, Figure]) -> None:
    figure = synthetic["marked_map"]
    names = [text for text in texts(figure) if text.get_text() in {mark.name for mark in MARKS}]
    assert len(names) == len(MARKS)
    for name in names:
        box = name.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, name.get_text()


@pytest.mark.parametrize(
    ("alone", "of_sky", "said"),
    [
        (local(6.2e-4, 5e-5), of_all(0.54, 0.06), "local p (6.20 +- 0.50)e-04, 3.23 sigma, 4,000 trials"),
        (local(6.2e-4, 5e-5), unknown("asked without background skies"), "not known: asked without background skies"),
        (local(6.2e-4, 5e-5), of_all(0.01, 0.01, 100, bound=0.023), "global p < 0.023 (90 %: none of 100 trials)"),
        (
            Chance(p=1e-7, error=unknown("beyond"), n_trials=100, extrapolated=True), of_all(0.54, 0.06),
            "local p 1e-07 (extrapolated), 5.20 sigma, 100 trials; global p 0.540 +- 0.060",
        ),
    ],
)  # fmt: skip
def test_a_map_of_a_scan_says_what_its_hottest_spots_are(alone: Chance, of_sky: Chance | Unknown, said: str) -> None:
    found = scanned(chance=of_sky)
    hottest = tuple(spot.model_copy(update={"local": alone}) for spot in found.hottest)
    [drawn] = found.model_copy(update={"hottest": hottest}).drawn()
    for text in (drawn.sidecar.alt, drawn.sidecar.caption):
        assert text.count(said) == 2


def test_the_frame_of_a_map_is_said_and_never_taken_for_granted() -> None:
    with pytest.raises(InputError, match="expected icrs or galactic"):
        plot.sky_map(np.ones(768), label="x", unit="u", frame="C", origin="real")
    with pytest.raises(TypeError, match="frame"):
        plot.sky_map(np.ones(768), label="x", unit="u", origin="real")  # type: ignore[call-arg]


def test_the_names_of_longitudes() -> None:
    assert [_sky.longitude_name(x) for x in (-150.0, -30.0, 0.0, 30.0, 180.0)] == ["150°", "30°", "0°", "330°", "180°"]


@pytest.mark.parametrize("values", [np.ones(100), np.ones((2, 48)), np.full(768, np.nan)])
def test_what_is_no_map_is_refused(values: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="sky map"):
        plot.sky_map(values, label="x", unit="u", frame="icrs", origin="real")


# ------------------------------------------------------------------------------------------------------ trials


def test_survival_by_hand() -> None:
    """The mean over all four trials; the weights add up to 3, not 4, so that dividing by their sum would show.

    At 0 it is 1 by definition, without an error: every TS is at least 0, whatever the weights add up to.
    """
    ts, weight = np.array([3.0, 0.0, 1.0, 2.0]), np.array([0.5, 1.0, 1.0, 0.5])
    probability, error = _results.survival(ts, np.log(weight), np.array([0.0, 1.0, 2.5, 9.0]))
    np.testing.assert_allclose(probability, [1.0, 0.5, 0.125, 0.0])
    assert error[0] == 0.0
    np.testing.assert_allclose(error[2], np.sqrt((0.25 / 4 - 0.125**2) / 4))


def test_survival_of_a_tilted_ensemble_is_that_of_the_null() -> None:
    rng = np.random.default_rng(1)
    tilted = 4.0 * rng.chisquare(1, 40000)  # density of chi2 at ts / 4, over 4
    log_weight = chi2.logpdf(tilted, 1) - chi2.logpdf(tilted / 4.0, 1) + np.log(4.0)
    at = np.array([4.0, 16.0, 25.0])
    probability, error = _results.survival(tilted, log_weight, at)
    assert np.all(np.abs(probability - chi2.sf(at, 1)) < 4 * error)


def test_the_figure_and_the_answer_give_the_same_p_of_no_signal() -> None:
    """0.972 used to stand in the words of a figure whose table said 1: the mean of weights that scatter about 1."""
    trials = ensemble(np.array([0.0, 0.0, 1.0]), np.log([0.9, 0.95, 1.066]))
    assert "local p = 1 at the observed 0.00" in plot.ts_figure(trials, observed_ts=0.0, **X).sidecar.caption
    assert chance_of(trials, 0.0).p == 1.0


def test_half_chi2() -> None:
    np.testing.assert_allclose(_results.half_chi2(np.array([0.0, 25.0])), [1.0, 2.866516e-7], rtol=1e-5)


def test_an_empty_ensemble_is_refused() -> None:
    with pytest.raises(InputError, match="no trials"):
        plot.ts_figure(ensemble(np.zeros(0), np.zeros(0)), observed_ts=1.0, **X)


def test_an_ensemble_at_zero_can_be_drawn() -> None:
    figure = plot.ts_figure(ensemble(np.zeros(50), np.zeros(50)), observed_ts=0.0, **X).figure
    assert _page.png(figure)


# ----------------------------------------------------------------------------------------------------- samples


def test_pulls_by_hand() -> None:
    pull = _samples.pulls(np.array([16.0, 0.0]), np.array([10.0, 0.0]), np.array([3.0, 0.0]))
    np.testing.assert_allclose(pull, [6.0 / 5.0, 0.0])


def test_bins_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="edges"):
        plot.marginals(np.arange(4.0), np.ones(4), np.ones(4), np.ones(4), quantity="x", label="x", origin="real")


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        plot.cut_flow([], label="x", origin="real")
    with pytest.raises(InputError, match="no results"):
        plot.flux_comparison([], {})
    with pytest.raises(InputError, match="no stacks"):
        plot.stacking([], {})
    with pytest.raises(InputError, match="likelihood profile"):
        plot.profile_figure(np.zeros(3), np.zeros(4), **X)


# ------------------------------------------------------------------------------------------------------- pages


def small() -> Figure:
    return plot.profile_figure(np.arange(5.0), np.arange(5.0), **X).figure


def test_html_keeps_the_alt_text_and_escapes_it() -> None:
    text = plot.figure_html(small(), alt='TS "rises" <fast>', caption="a & b")
    assert 'alt="TS &quot;rises&quot; &lt;fast&gt;"' in text
    assert "<figcaption>a &amp; b</figcaption>" in text
    assert re.findall(r'src="([^,]{0,30})', text) == ["data:image/png;base64"]


@pytest.mark.parametrize(("alt", "caption"), [("", "c"), ("a", " ")])
def test_a_figure_without_words_is_refused(alt: str, caption: str) -> None:
    with pytest.raises(InputError, match="alt text"):
        plot.figure_html(small(), alt=alt, caption=caption)


def test_a_saved_figure_has_its_words_and_its_table(tmp_path: Path) -> None:
    table = Table({"n": [1.0, 2.0]})
    plot.save(small(), tmp_path, plot.Sidecar("scan", "a line", "c", "real"), table=table)
    said = json.loads((tmp_path / "scan.json").read_text())
    assert said == {"slug": "scan", "alt": "a line", "caption": "c", "origin": "real", "section": "other", "rank": 0}
    assert (tmp_path / "scan.png").read_bytes().startswith(b"\x89PNG")
    assert list(Table.read(tmp_path / "scan.ecsv", format="ascii.ecsv")["n"]) == [1.0, 2.0]


@pytest.mark.parametrize(
    "wrong", [{"slug": "../x"}, {"slug": ""}, {"alt": ""}, {"caption": " "}, {"origin": "?"}, {"section": "?"}]
)
def test_a_sidecar_that_says_nothing_is_refused(wrong: dict[str, str]) -> None:
    right = {"slug": "x", "alt": "a", "caption": "c", "origin": "real", "section": "maps"}
    with pytest.raises(InputError, match="cannot be published"):
        plot.Sidecar(**{**right, **wrong})


@pytest.mark.parametrize(
    ("hypothesis", "name"),
    [
        ("template:pi0", "template-pi0"),
        ("stack:snr", "stack-snr"),
        ("point:83.63,22.01", "point-83.63_22.01"),
        ("point:83.63,-22.01", "point-83.63_-22.01"),
        ("template:../My maps/x.fits", "template-..-my-maps-x.fits"),
    ],
)
def test_slugs(hypothesis: str, name: str) -> None:
    assert plot.slug(hypothesis) == name


# ------------------------------------------------------------------------------------------------------ symbols


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("best fit n_s = 3", "best fit nₛ = 3"),
        ("E >= 500 GeV", "E ≥ 500 GeV"),
        ("analytic pi0-like, local p = 5.46e-05", "analytic π⁰-like, local p = 5.46 × 10⁻⁵"),
        ("chi2 = 28.2 for 34 bins", "χ² = 28.2 for 34 bins"),
        ("E^2 dN/dE, nu + nubar, 10^-12 TeV cm^-2 s^-1", "E² dN/dE, ν + ν̄, 10⁻¹² TeV cm⁻² s⁻¹"),
        ("a spectrum E^-2.7", "a spectrum E⁻²·⁷"),
        ("template:pi0 and pi0?nside=64", "template:pi0 and pi0?nside=64"),
        ("9e+03 trials", "9 × 10³ trials"),
        ("p (6.20 +- 0.50)e-04, 3 sigma", "p (6.20 ± 0.50) × 10⁻⁴, 3 sigma"),
        ("name_s, bundle3e-05x, 1e5ab", "name_s, bundle3e-05x, 1e5ab"),
    ],
)
def test_symbols_are_typeset_and_names_left_alone(typed: str, printed: str) -> None:
    assert plot.typeset(typed) == printed


def test_figures_hold_no_symbol_in_ascii() -> None:
    said = {"label": "pi0-like n_s", "sample": "s", "origin": "real", "hypothesis": "template:pi0", "free_index": False}
    profile = plot.profile_figure(np.arange(5.0), np.arange(5.0), **said).figure  # type: ignore[arg-type]
    cuts = plot.cut_flow([("IC86", "E >= 500 GeV", 3)], label="pi0-like", origin="real")
    for figure in (profile, cuts):
        said_there = " ".join(text.get_text() for text in texts(figure))
        for ascii_ in ("n_s", "L_best", ">=", "pi0"):
            assert ascii_ not in said_there


# ------------------------------------------------------------------------------------------------------ maps, cuts


def test_a_map_with_both_signs_is_white_at_zero_and_says_what_its_line_is() -> None:
    values = np.where(np.arange(12 * NSIDE**2) % 2, -1.0, 3.0)
    whole, plane = (one.figure for one in plot.ts_maps(values, **{k: X[k] for k in ("label", "sample", "origin")},
                                                       hypothesis="template:pi0"))  # fmt: skip
    for figure in (whole, plane):
        [mesh] = [one for one in figure.axes[0].collections if hasattr(one, "get_coordinates")]
        assert (mesh.norm.vmin, mesh.norm.vmax) == (-3.0, 3.0)
        np.testing.assert_allclose(mesh.cmap(mesh.norm(0.0))[:3], 1.0, atol=0.05)
        assert "line: +1 % of the scale" in figure.axes[1].get_xlabel()
    assert plane.axes[0].get_aspect() == 1.0


def test_rounding_errors_far_from_a_source_are_not_lined() -> None:
    x, _, _ = hp.pix2vec(NSIDE, np.arange(12 * NSIDE**2))
    source = np.exp(-((1 - x) / 0.05)) + 1e-9 * np.where(np.arange(12 * NSIDE**2) % 2, -1.0, 1.0)
    [whole] = plot.ts_maps(source, **{k: X[k] for k in ("label", "sample", "origin")}, hypothesis="stack:snr")
    [line] = [one for one in whole.figure.axes[0].collections if isinstance(one, ContourSet)]
    assert len(line.get_paths()[0].to_polygons(closed_only=False)) == 1


def test_a_line_on_a_whole_sky_is_where_matplotlib_has_it() -> None:
    """Nodes are projected before, not paths after."""
    figure = Figure()
    axes = figure.add_subplot(projection="mollweide")
    x, y = np.linspace(-3.1, 3.1, 300), np.linspace(-1.5, 1.5, 150)
    seen = np.sin(2 * x)[None, :] * np.cos(3 * y)[:, None]
    _sky.level_line(axes, x, y, seen, 0.3)
    theirs = axes.contour(x, y, seen, levels=[0.3])
    ours = axes.collections[0]
    ours, theirs = (one.get_transform().transform_path(one.get_paths()[0]) for one in (ours, theirs))
    assert len(ours.vertices) > 1000
    distance, _ = cKDTree(theirs.vertices).query(ours.vertices)
    assert distance.max() < 0.1  # points of the figure
    long = [sum(np.hypot(*np.diff(one, axis=0).T).sum() for one in path.to_polygons()) for path in (ours, theirs)]
    assert long[0] == pytest.approx(long[1], rel=1e-3)


def test_the_cut_flow_shows_what_each_cut_takes() -> None:
    """Of 900 events 200 go, then 350 of 700; the bar of the first row is empty."""
    rows = [("IC86", "all", 900), ("IC86", "good runs", 700), ("IC86", "energy", 350)]
    figure = plot.cut_flow(rows, label="x", origin="real")
    widths = [one.get_width() for one in figure.axes[0].patches]
    np.testing.assert_allclose(widths, [0.0, 100 * 200 / 900, 50.0])
    assert "50 % lost, 350 left" in [text.get_text() for text in texts(figure)]
