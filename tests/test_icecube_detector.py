"""The array, its ice and the atmospheric flux against what is published of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import ConvexHull

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import atmospheric_flux, icecube_detector
from nuanalysis.library.detectors import detector

pytestmark = pytest.mark.real_data
ARRAY, FLUX = "icecube_geometry_ice", "atmospheric_flux"


@pytest.fixture(scope="module")
def modules(mirror):
    return icecube_detector.read_geometry(mirror / ARRAY)


def test_the_array_is_the_published_one(modules):
    position, efficiency = modules["position"].values, modules["efficiency"].values
    assert modules.sizes["module"] == 5160
    assert np.count_nonzero(efficiency == 0.0) == 77
    assert np.count_nonzero(efficiency == 1.35) == 399
    assert np.count_nonzero(efficiency == 1.0) == 5160 - 77 - 399
    assert (position[:, 2].min(), position[:, 2].max()) == pytest.approx((-512.8, 524.6), abs=0.1)
    assert np.hypot(position[:, 0], position[:, 1]).max() == pytest.approx(601.0, abs=0.5)
    assert ConvexHull(position[::60, :2]).volume == pytest.approx(0.868e6, rel=1e-3)
    strings = modules["string"].values[efficiency == 1.35]
    assert [np.count_nonzero(strings >= 79), np.count_nonzero(strings == 36), np.count_nonzero(strings == 43)] == [
        384, 14, 1,
    ]  # fmt: skip


def test_modules_stand_at_their_index(modules, mirror):
    index = 60 * (modules["string"].values - 1) + modules["number"].values - 1
    assert np.array_equal(index, np.arange(5160))
    with gzip.open(mirror / ARRAY / f"{icecube_detector.GEOMETRY}.gz", "rt") as stream:
        lines = stream.read().splitlines()
    assert lines[60 * 35 + 59].split()[:2] == ["36", "60"]
    assert [float(word) for word in lines[60 * 35 + 59].split()[2:]] == modules["position"].values[
        60 * 35 + 59
    ].tolist()


def test_both_files_have_the_modules_at_the_same_places(modules, mirror):
    other = pd.read_parquet(mirror / ARRAY / icecube_detector.EFFICIENCY).query("dom_type == 20")
    index = (60 * (other["string"] - 1) + other["dom_number"] - 1).to_numpy()
    apart = np.abs(other[["dom_x", "dom_y", "dom_z"]].to_numpy() - modules["position"].values[index])
    assert apart.max() < 2.5e-5


def test_deepcore_is_dense_and_above_and_below_the_dust(modules):
    z = modules["position"].values[60 * 82 : 60 * 83, 2]
    assert np.diff(z[:10]) == pytest.approx(-10.01, abs=0.011)
    assert np.diff(z[10:58]) == pytest.approx(-7.01, abs=0.011)
    assert z[9] > -32.0
    assert z[10] < -142.0


def test_two_texts_that_do_not_agree_are_refused(mirror, tmp_path):
    source = mirror / ARRAY
    (tmp_path / icecube_detector.EFFICIENCY).write_bytes((source / icecube_detector.EFFICIENCY).read_bytes())
    with gzip.open(source / f"{icecube_detector.GEOMETRY}.gz", "rt") as stream:
        lines = stream.read().splitlines()
    _write(tmp_path, [lines[0].replace("496.03", "496.13"), *lines[1:]])
    with pytest.raises(DataError, match=r"puts a module 0\.1 m from where"):
        icecube_detector.read_geometry(tmp_path)
    _write(tmp_path, [lines[1], lines[0], *lines[2:]])
    with pytest.raises(DataError, match="in order"):
        icecube_detector.read_geometry(tmp_path)
    _write(tmp_path, lines[:-1])
    with pytest.raises(DataError, match="holds a table of"):
        icecube_detector.read_geometry(tmp_path)


def _write(folder: Path, lines: list[str]) -> None:
    (folder / icecube_detector.GEOMETRY).write_text("\n".join(lines))


# ---- ice ----------------------------------------------------------------------------------------------------------


def test_the_dust_layer(mirror):
    ice = icecube_detector.read_ice(mirror / ARRAY)
    assert ice.sizes["layer"] == 110
    assert np.all(np.diff(ice["height"]) > 0.0)
    dust = ((ice["height"] > -142.0) & (ice["height"] < -32.0)).values
    darkest = int(np.argmin(ice["absorption"].values))
    assert dust[darkest]
    assert ice["absorption"].values[dust].min() == pytest.approx(17.9, abs=0.05)
    assert ice["scattering"].values[dust].min() == pytest.approx(5.0, abs=0.05)
    at = float(np.interp(1948.07 - 2058.0, ice["height"], ice["scattering"]))
    assert at == pytest.approx(7.2, abs=0.2)


def test_lengths_average_to_the_known_ones(mirror):
    """Harmonic means within 500 m of the centre: of SPICE Mie 23.6 and 82.5 m; SPICE1 is another fit to other data."""
    mean = {}
    for model in icecube_detector.ICE_MODELS:
        ice = icecube_detector.read_ice(mirror / ARRAY, model)
        inner = np.abs(ice["height"].values) < 500.0
        lengths = (ice[name].values[inner] for name in ("scattering", "absorption"))
        mean[model] = [1.0 / np.mean(1.0 / values) for values in lengths]
    assert mean["spice-mie"] == pytest.approx([23.6, 82.5], abs=0.1)
    # were SCAT of SPICE1 geometric, its effective length would be 92 m: five times that of any other model
    assert mean["spice-1"] == pytest.approx(mean["spice-mie"], rel=0.25)


def test_the_lowest_layer_of_spice_1_is_left_out(mirror):
    ice = icecube_detector.read_ice(mirror / ARRAY, "spice-1")
    assert ice.sizes["layer"] == 170
    assert float(ice["height"][0]) == pytest.approx(-840.4)
    assert float(ice["absorption"].min()) > 20.0  # as a coefficient, 95 per m, it would be 1 cm


def test_an_unknown_ice_is_answered_with_the_nearest(mirror):
    with pytest.raises(InputError, match="Did you mean 'spice-mie'"):
        icecube_detector.read_ice(mirror / ARRAY, "spice-my")


# ---- the record ---------------------------------------------------------------------------------------------------


def test_the_detector_is_built_from_the_files(mirror, modules, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    found = detector("spice-1")
    assert found.alive.sum() == 5083
    assert np.array_equal(found.position, modules["position"].values)
    assert found.ice.label == "spice-1"
    assert found.ice.height.shape == found.ice.scattering.shape == found.ice.absorption.shape == (170,)


def test_a_missing_release_is_said_in_our_words(tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="nuanalysis data fetch icecube-detector"):
        detector()


# ---- atmospheric flux ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cosine", "energy", "numu", "nue"),
    [(0.95, 1e3, 2.48e-7, 9.2e-9), (0.95, 1e4, 6.9e-11, 2.2e-12), (0.05, 1e3, 8.14e-7, 6.2e-8),
     (0.05, 1e4, 4.3e-10, 1.6e-11)],
)  # fmt: skip
def test_flux_at_the_pole(mirror, cosine, energy, numu, nue):
    at = atmospheric_flux.read_flux(mirror / FLUX).sel(cos_zenith=cosine, energy=energy)
    assert float(at["numu"] + at["numubar"]) == pytest.approx(numu, rel=0.02)
    assert float(at["nue"] + at["nuebar"]) == pytest.approx(nue, rel=0.03)


def test_flux_is_steep_peaks_at_the_horizon_and_has_more_numu(mirror):
    flux = atmospheric_flux.read_flux(mirror / FLUX)
    assert dict(flux.sizes) == {"cos_zenith": 20, "energy": 101}
    total = flux["numu"] + flux["numubar"]
    high = total.sel(energy=slice(2e3, 1.1e4))
    slope = np.polyfit(np.log(high["energy"]), np.log(high.sel(cos_zenith=0.95)), 1)[0]
    assert slope == pytest.approx(-3.60, abs=0.02)
    assert abs(float(total.sel(energy=1e3).idxmax("cos_zenith"))) < 0.1
    assert bool((flux["numu"] > flux["nue"]).all())


def test_the_quiet_sun_lets_more_in(mirror):
    quiet, active = (atmospheric_flux.read_flux(mirror / FLUX, sun) for sun in ("solmin", "solmax"))
    low = quiet["numu"].sel(energy=0.1, cos_zenith=0.95) / active["numu"].sel(energy=0.1, cos_zenith=0.95)
    assert float(low) > 1.05
    with pytest.raises(InputError, match="Did you mean 'solmin'"):
        atmospheric_flux.read_flux(mirror / FLUX, "solmini")


def test_a_damaged_flux_is_refused(mirror, tmp_path):
    with gzip.open(mirror / FLUX / "honda-2015-spl-solmin.d.gz", "rt") as stream:
        text = stream.read()
    target = tmp_path / "honda-2015-spl-solmin.d"
    for spoil, words in (
        (text[: len(text) // 2], "expected 240 blocks|cannot be read"),
        (text.replace("cosZ = 0.90 --  1.00", "cosZ = 0.80 --  0.90"), "another order"),
        (text.replace("1.1982E+04", "-1.1982E+04", 1), "not positive"),
    ):
        target.write_text(spoil)
        with pytest.raises(DataError, match=words):
            atmospheric_flux.read_flux(tmp_path)
