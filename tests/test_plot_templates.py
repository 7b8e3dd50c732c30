"""Figures of templates: what they show is where it belongs, frame and unit are named, synthetic panels say so."""

from __future__ import annotations

from dataclasses import replace

import healpy as hp
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from numpy.typing import NDArray

from nuanalysis import plot
from nuanalysis.errors import InputError
from nuanalysis.interpret import published
from nuanalysis.interpret.regions import region, region_fluxes
from nuanalysis.interpret.template_comparison import compare, profiles
from nuanalysis.plot import Fitted, PlanePanel
from nuanalysis.sky.records import PowerLaw, Template

NSIDE = 16
Floats = NDArray[np.float64]
ENERGIES = np.linspace(3.0, 5.5, 6)


def galactic() -> tuple[Floats, Floats]:
    theta, phi = hp.Rotator(coord=["C", "G"])(*hp.pix2ang(NSIDE, np.arange(12 * NSIDE**2)))
    return phi, np.pi / 2 - theta


def sky(width_deg: float = 8.0, *, name: str = "plane", origin: str = "built-in") -> Template:
    longitude, latitude = galactic()
    # Brighter at l = 90 than at l = 270, so that left and right can be told apart.
    density = np.exp(-np.abs(latitude) / np.radians(width_deg)) * (1.5 + np.sin(longitude))
    density /= density.mean() * 4 * np.pi
    return Template(name, name, density[None], np.array([5.0]), PowerLaw(2.7), origin, "none", "0" * 64)


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    one = sky()
    other = sky(3.0, name="a thin one whose name is far longer than a line of a title", origin="published")
    both = replace(one, maps=np.stack([one.maps[0], other.maps[0]]), log10_energy=np.array([3.0, 6.0]))
    fits = [
        Fitted("first fit", region_fluxes(one, flux=2.18e-11, log10_energy=ENERGIES), 0.78, 1.24),
        Fitted("second fit", region_fluxes(other, flux=2e-11, log10_energy=ENERGIES), 0.8, 1.2, "synthetic"),
    ]
    panels = [
        PlanePanel("Gas", one.density, "column", "cm⁻²", log=True, origin="real"),
        PlanePanel("Scan", np.sin(galactic()[0]), "significance", "σ", signed=True, origin="synthetic"),
    ]
    drawn = {
        "one": plot.template_figure(one, [profiles(one)]),
        "three": plot.template_figure(both, [profiles(both, energy) for energy in (3.0, 5.0, 6.0)]),
        "comparison": plot.comparison_figure(one, other, compare(one, other)),
        "regions": plot.region_figure(fits, published.INTENSITIES),
        "plane": plot.plane_panels(panels),
    }
    for figure in drawn.values():
        figure.canvas.draw()
    return drawn


NAMES = ("one", "three", "comparison", "regions", "plane")


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


@pytest.mark.parametrize("name", NAMES)
def test_letters_are_large_enough_and_titles_stay_on_the_canvas(figures: dict[str, Figure], name: str) -> None:
    figure = figures[name]
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            assert text.get_fontsize() >= 9.0, text.get_text()
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title, figure._suptitle):
            box = text.get_window_extent()
            # A pixel for rounding.
            assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, text.get_text()
            assert figure.bbox.y0 - 1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1, text.get_text()


@pytest.mark.parametrize("name", ["one", "three", "comparison"])
def test_titles_say_where_a_map_is_from_and_in_which_frame(figures: dict[str, Figure], name: str) -> None:
    said = words(figures[name])
    assert "built-in model" in said
    assert "Galactic coordinates, l grows to the left" in said
    assert "share of the flux (sr⁻¹)" in said
    assert "SYNTHETIC" not in said
    assert ("published map" in said) is (name == "comparison")


def test_a_template_that_changes_is_drawn_at_each_energy_on_one_scale(figures: dict[str, Figure]) -> None:
    said = words(figures["three"])
    assert all(energy in said for energy in ("1 TeV", "100 TeV", "1 PeV"))
    meshes = [mesh for mesh in figures["three"].findobj(QuadMesh) if isinstance(mesh.norm, LogNorm) and mesh.axes]
    limits = {(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes}
    assert len(limits) == 1
    assert "the same at all energies" in words(figures["one"])


@pytest.mark.parametrize("name", ["one", "plane"])
def test_longitude_grows_to_the_left(figures: dict[str, Figure], name: str) -> None:
    mesh = next(mesh for mesh in figures[name].findobj(QuadMesh) if mesh.get_array().ndim == 2)
    values = np.asarray(mesh.get_array())
    row = values[values.shape[0] // 2]
    left, right = row[len(row) // 4], row[3 * len(row) // 4]  # l = 90 and l = 270 deg
    assert left > 3 * right


def test_profiles_are_drawn_with_the_left_side_at_l_180(figures: dict[str, Figure]) -> None:
    patch = figures["one"].findobj(StepPatch)[0]
    values, edges, _ = patch.get_data()
    found = profiles(sky())
    assert edges[0] == pytest.approx(-180.0)
    assert values[0] == pytest.approx(1e3 * found.per_degree[-1])  # the last bin, l from 120 to 180 deg
    assert values[2] == pytest.approx(1e3 * found.per_degree[-3])


def test_likeness_is_in_the_title_of_a_comparison(figures: dict[str, Figure]) -> None:
    expected = compare(sky(), sky(3.0)).likeness[1].cosine
    assert f"{expected:.3f} at 7°" in figures["comparison"].get_suptitle()


def test_fluxes_by_region_stand_beside_their_measurements(figures: dict[str, Figure]) -> None:
    figure = figures["regions"]
    assert [axes.get_title() for axes in figure.axes] == [one.region.label for one in published.INTENSITIES]
    axes = figure.axes[0]
    first = next(line for line in axes.lines if line.get_label() == "first fit")
    expected = region_fluxes(sky(), flux=2.18e-11, log10_energy=ENERGIES, regions=(region("inner"),))
    assert first.get_xdata() == pytest.approx(10.0 ** (ENERGIES - 3.0))
    assert first.get_ydata() == pytest.approx(expected.intensity[0], rel=1e-9, abs=0.0)
    band = axes.collections[0].get_paths()[0].get_extents()
    assert band.y1 == pytest.approx(1.24 * expected.intensity[0].max(), rel=1e-6, abs=0.0)
    assert "(TeV cm⁻² s⁻¹ sr⁻¹)" in words(figure)
    point = axes.containers[0].lines[0]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((5.0, 21.4e-11), rel=1e-9, abs=0.0)


@pytest.mark.parametrize("name", ["regions", "plane"])
def test_what_is_partly_synthetic_says_so_above_and_at_the_part(figures: dict[str, Figure], name: str) -> None:
    assert figures[name].get_suptitle().startswith("SYNTHETIC and real")
    marked = {"regions": "SYNTHETIC · second fit", "plane": "SYNTHETIC · Scan"}[name]
    assert marked in words(figures[name])


def test_a_signed_panel_is_symmetric_and_marks_zero(figures: dict[str, Figure]) -> None:
    axes = figures["plane"].axes[1]
    mesh = next(child for child in axes.collections if isinstance(child, QuadMesh))
    assert mesh.norm.vmin == -mesh.norm.vmax
    assert len(axes.collections) > 1  # the line where the sign changes
    assert "significance (σ)" in words(figures["plane"])


@pytest.mark.parametrize(
    ("log10_energy", "name"), [(3.0, "1 TeV"), (5.0, "100 TeV"), (6.0, "1 PeV"), (2.0, "100 GeV"), (6.5, "3.16 PeV")]
)
def test_energies_in_words(log10_energy: float, name: str) -> None:
    assert plot.energy_name(log10_energy) == name


def test_figures_that_would_show_nothing_are_refused() -> None:
    one = sky()
    with pytest.raises(InputError, match="0 profiles"):
        plot.template_figure(one, [])
    with pytest.raises(InputError, match="no panel"):
        plot.plane_panels([])
    with pytest.raises(InputError, match="'Gaps' has no finite value"):
        plot.plane_panels([PlanePanel("Gaps", np.full(12 * NSIDE**2, np.nan), "nothing")])
    with pytest.raises(InputError, match="no positive value"):
        plot.plane_panels([PlanePanel("Dark", np.zeros(12 * NSIDE**2), "flux", log=True)])
    few = Fitted("fit", region_fluxes(one, flux=1e-11, regions=(region("b2"),)), 0.9, 1.1)
    with pytest.raises(InputError, match="0 regions"):
        plot.region_figure([few], published.INTENSITIES)


def test_a_model_beside_synthetic_events_is_no_real_data() -> None:
    model = PlanePanel("Template", sky().density, "flux share", "sr⁻¹", log=True)
    events = PlanePanel("Fit", np.sin(galactic()[0]), "TS", "sr⁻¹", signed=True, origin="synthetic")
    assert plot.plane_panels([model, events]).get_suptitle().startswith("SYNTHETIC ·")
    assert "SYNTHETIC" not in plot.plane_panels([model]).get_suptitle()


def test_a_degree_of_latitude_is_as_long_as_one_of_longitude() -> None:
    """Stretched, a smear in latitude looks like structure."""
    figure = plot.plane_panels([PlanePanel("Model", np.arange(12.0 * NSIDE**2), "flux", signed=True)])
    assert figure.axes[0].get_aspect() == 1.0
    assert figure.get_supylabel() == "Galactic latitude b (deg)"
