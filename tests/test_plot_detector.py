"""Figures of the open detector: what they show is where it belongs, every letter can be read, and all say SYNTHETIC."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from toy_detector import EDGES, area, simulated

from nuanalysis import detector, plot
from nuanalysis.detector import Component, Level, Origin
from nuanalysis.errors import InputError
from nuanalysis.response import cascades_2023

SAID = {"label": "open detector, toy", "origin": "synthetic"}
N = 6000


def modules() -> np.ndarray:
    """Strings on a hexagonal grid, 125 m apart, sixty modules each."""
    row, column = np.mgrid[-5:6, -5:6]
    x, y = (125.0 * (column + 0.5 * row)).ravel(), (108.3 * row).ravel()
    inside = (np.hypot(x, y) < 560.0).nonzero()[0]
    z = np.linspace(-500.0, 500.0, 60)
    return np.array([(x[k], y[k], height) for k in inside for height in z])


def view() -> plot.EventView:
    """A cascade of a hundred thousand GeV or so: light falls with distance, and comes with its speed."""
    rng, place = np.random.default_rng(1), modules()
    vertex = np.array([80.0, -60.0, 150.0])
    distance = np.linalg.norm(place - vertex, axis=1)
    charge = rng.poisson(3e6 * np.exp(-distance / 30.0) / distance**2).astype(float)
    hit = charge > 0
    time = distance[hit] / 0.221 + rng.exponential(20.0 + 0.02 * distance[hit] ** 1.5)
    up = np.array([0.5, 0.3, np.sqrt(1 - 0.34)])
    seen = up + np.array([0.12, -0.05, 0.0])
    axes = (plot.ShownAxis("true axis", vertex, up),
            plot.ShownAxis("reconstructed axis", vertex + 12.0, seen / np.linalg.norm(seen)))  # fmt: skip
    return plot.EventView(place, place[hit], charge[hit], time, axes)


def flow() -> detector.CutFlow:
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 6, N)
    names = (
        ("atmospheric nue", Origin.ATMOSPHERIC, 1e-5), ("atmospheric numu", Origin.ATMOSPHERIC, 1e-4),
        ("astrophysical nue", Origin.ASTROPHYSICAL, 2e-6), ("astrophysical numu", Origin.ASTROPHYSICAL, 2e-6),
        ("astrophysical nutau", Origin.ASTROPHYSICAL, 1e-6), ("muon bundles", Origin.MUON, 2100.0),
    )  # fmt: skip
    parts = [Component(name, origin, np.where(kind == k, rng.gamma(0.5, 2 * rate / N, N), 0.0))
             for k, (name, origin, rate) in enumerate(names)]  # fmt: skip
    keep = np.array([(1.0, 1.0), (0.97, 0.1), (0.9, 0.05), (0.85, 0.03), (0.7, 0.01)])
    levels = [Level(f"L{k}", "cut", rng.random(N) < np.where(kind == 5, muon, cascade))
              for k, (cascade, muon) in enumerate(keep)]  # fmt: skip
    return detector.cut_flow(levels, parts, np.ones(N, dtype=bool), fluxes="toy")


def scores() -> list[plot.ScoreClass]:
    rng = np.random.default_rng(3)
    names = ("cascade", "starting track", "through-going track", "muon bundle")
    return [plot.ScoreClass(name, rng.beta(*shape, N), rng.gamma(2.0, 0.5, N)) for name, shape in
            zip(names, ((3, 1.2), (3, 2), (1, 4), (1, 6)), strict=True)]  # fmt: skip


def passing() -> list[plot.Passing]:
    cascade, *_, muon = scores()
    out = []
    for name, shift in (("point cloud", 0.0), ("image", 0.1)):
        at = np.linspace(0.0, 0.95, 60)
        efficiency = np.array([(cascade.score > t + shift * (1 - t)).mean() for t in at])
        left = [(muon.score > t) for t in at]
        rate, error = (np.array([(muon.weight[one] ** k).sum() for one in left]) for k in (1, 2))
        total = muon.weight.sum()
        out.append(plot.Passing(name, efficiency, rate / total, np.sqrt(error) / total))
    return out


def curves() -> tuple[plot.AngleCurve, ...]:
    energy = 10.0 ** np.arange(3.25, 6.0, 0.5)
    return tuple(
        plot.AngleCurve(name, energy, scale * energy**-0.25, 0.05 * scale * energy**-0.25)
        for name, scale in (("network", 250.0), ("hybrid fit", 120.0))
    )


def areas() -> tuple[detector.Area, detector.Area, detector.Area]:
    released = cascades_2023.released_area().area
    limit = detector.geometric_limit(*EDGES, volume=1.94)
    published = detector.Area(*EDGES, released, np.zeros_like(released), np.full_like(released, np.inf))
    return area(6000, 4), published, limit


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    rows = detector.point_spread_quantiles(simulated(3000, 5))
    found, published, limit = areas()
    edges = np.linspace(0.0, 1.0, 31)
    out = {
        "event": plot.event_display(view(), **SAID),
        "levels": plot.level_figure(flow(), **SAID),
        "scores": plot.score_figure(scores(), edges, score="score for a cascade", **SAID),
        "passing": plot.passing_figure(passing(), signal="cascades", background="muon bundles", **SAID),
        "resolution": plot.resolution_figure(rows, cascades_2023.released_opening_angle(), **SAID),
        "angle": plot.angle_figure(curves(), cascades_2023.released_opening_angle(), **SAID),
        "area": plot.area_figure(found, published, limit, detector.area_ratios(found, published), **SAID),
    }
    for figure in out.values():
        figure.canvas.draw()
    return out


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_all_say_synthetic_and_every_letter_is_large_enough(figures):
    for name, figure in figures.items():
        assert figure.get_suptitle().startswith("SYNTHETIC"), name
        small = [
            text.get_text() for text in figure.findobj(Text) if text.get_text().strip() and text.get_fontsize() < 9
        ]
        assert not small, (name, small)
        assert plot.png(figure)


def test_every_panel_has_names_with_units(figures):
    for name in ("levels", "scores", "passing", "resolution", "angle"):
        for axes in figures[name].axes:
            assert axes.get_ylabel(), name
        assert figures[name].axes[-1].get_xlabel(), name
    assert "(Hz)" in figures["levels"].axes[0].get_ylabel()
    assert "(GeV)" in figures["resolution"].axes[0].get_xlabel()
    assert "(deg)" in figures["resolution"].axes[0].get_ylabel()
    assert figures["area"].axes[0].get_ylabel() == "area (m²)"
    assert [figures["event"].axes[0].get_xlabel(), figures["event"].axes[0].get_zlabel()] == ["x (m)", "z (m)"]
    assert "(µs)" in figures["event"].axes[1].get_xlabel()


def test_the_event_shows_every_hit_by_charge_and_time(figures):
    shown, event = figures["event"].axes[0].collections[0], view()
    x, y, z = shown._offsets3d
    assert len(x) == len(event.charge)
    size, colour = shown._sizes3d, shown.get_array()
    brightest = int(np.argmax(event.charge))
    k = int(np.argmax(size))
    assert [x[k], y[k], z[k]] == pytest.approx(event.position[brightest])
    assert colour.min() == 0.0
    assert colour.max() == pytest.approx(1e-3 * np.ptp(event.time))
    said = " ".join(texts(figures["event"]))
    assert "true axis" in said
    assert "reconstructed axis" in said
    assert "photoelectrons" in said


def test_the_axis_of_an_event_goes_through_its_vertex_the_way_it_moves(figures):
    line = next(one for one in figures["event"].axes[0].get_lines() if one.get_label() == "true axis")
    ends, axis = np.array(line.get_data_3d()).T, view().axes[0]
    assert np.cross(ends[1] - ends[0], axis.direction) == pytest.approx(0.0, abs=1e-9)
    assert (ends[1] - axis.vertex) @ axis.direction == pytest.approx(250.0)
    assert (ends[0] - axis.vertex) @ axis.direction == pytest.approx(-450.0)


def test_levels_show_limits_where_few_events_are_left(figures):
    found = flow()
    last = found.levels[-1].components[-1].rate
    assert last.bound is not None
    upper = figures["levels"].axes[0]
    values = {bars.get_label(): bars.lines[0].get_ydata() for bars in upper.containers}
    assert values["muon bundles"][-1] == pytest.approx(last.bound)
    assert values["muon bundles"][0] == pytest.approx(found.levels[0].components[-1].rate.value)
    arrows = {bars.get_label(): [line.get_marker() for line in bars.lines[1]] for bars in upper.containers}
    assert arrows["muon bundles"], "an arrow marks the limit"


def test_distributions_of_scores_have_area_one(figures):
    patches = [one for one in figures["scores"].axes[0].patches if one.get_label() in ("cascade", "muon bundle")]
    assert len(patches) == 2
    for one in patches:
        data = one.get_data()
        assert (data.values * np.diff(data.edges)).sum() == pytest.approx(1.0)


def test_what_passes_is_told_at_the_marked_efficiency(figures):
    one = passing()[0]
    here = np.interp(0.9, one.efficiency[::-1], one.passing[::-1])
    assert f"point cloud: {here:.2g} at 90 %" in texts(figures["passing"])
    few = plot.Passing("short", np.array([0.95, 1.0]), np.array([1e-3, 1.0]), np.array([1e-3, 0.1]))
    beyond = plot.passing_figure([few], signal="cascades", background="muons", **SAID)
    assert "short: 90 % is beyond its events" in texts(beyond)


def test_areas_and_resolution_stand_beside_the_published_ones(figures):
    _, published, limit = areas()
    lines = {line.get_label(): line for line in figures["area"].axes[2].get_lines()}
    assert lines["published"].get_ydata() == pytest.approx(1e-4 * published.area[2][published.area[2] > 0])
    assert lines["geometric limit"].get_ydata() == pytest.approx(1e-4 * limit.area[2])
    curve = next(one for one in figures["resolution"].axes[0].get_lines() if one.get_label() == "50 % (published)")
    assert np.interp(1e5, curve.get_xdata(), curve.get_ydata()) == pytest.approx(8.0, abs=0.15)


def test_median_angles_stand_beside_the_published_one(figures):
    axes = figures["angle"].axes[0]
    drawn = {bars.get_label(): bars.lines[0] for bars in axes.containers}
    for one in curves():
        assert drawn[one.name].get_ydata() == pytest.approx(one.median)
    published = next(line for line in axes.get_lines() if line.get_label() == "published (50 %)")
    assert np.interp(1e5, published.get_xdata(), published.get_ydata()) == pytest.approx(8.0, abs=0.15)
    assert len(plot.angle_figure((), cascades_2023.released_opening_angle(), **SAID).axes[0].containers) == 0


def test_what_cannot_be_drawn_is_refused():
    place = np.zeros((4, 3))
    with pytest.raises(InputError, match="at least one hit"):
        plot.EventView(place, np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    with pytest.raises(InputError, match="at least one class"):
        plot.score_figure([], np.linspace(0, 1, 3), score="s", **SAID)
    two = detector.geometric_limit(np.array([-1.0, 0.0, 1.0]), EDGES[1], volume=1.0)
    with pytest.raises(InputError, match="shows 5 bands"):
        plot.area_figure(two, two, two, (), **SAID)
