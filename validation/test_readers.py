"""Our FITS files as gammapy, mocpy and ligo.skymap read them: the numbers that we wrote, not zeros or an error.

Compared with gammapy 2.1, mocpy 0.21 and ligo.skymap 2.5 (gammapy 2.1 does not import with regions 0.12; 0.11 does).
None of them is a dependency of ours: without one, its comparisons are skipped.  Values are read back exactly; what a
reader interpolates or integrates itself agrees as well as its own bins allow, said at each comparison.  A few seconds.
"""

import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

from nuanalysis.publish import _fits, _gadf
from nuanalysis.store import sky_maps
from nuanalysis.store.fits import Stamp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from small_results import events, response, scanned, ts_map

STAMP = Stamp("a release", "2026-01-02T03:04:05Z", "synthetic", "CC-BY-4.0", "nuanalysis")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("_no_screen")]


@pytest.fixture
def _no_screen(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")


def written(folder, data):
    path = folder / "file.fits"
    path.write_bytes(data)
    return path


@pytest.fixture
def irf(tmp_path):
    """What gammapy reads of a response."""
    reader = pytest.importorskip("gammapy.irf", exc_type=ImportError)
    return reader.load_irf_dict_from_file(written(tmp_path, _gadf.response_fits(response("cascades-2023"), STAMP)))


def test_gammapy_reads_all_three_parts_of_a_response(irf):
    assert {kind: one.tag for kind, one in irf.items()} == {"aeff": "aeff_2d", "edisp": "edisp_2d", "psf": "psf_table"}


def test_gammapy_reads_the_effective_area_at_each_declination(irf):
    ours, area = response("cascades-2023"), irf["aeff"]
    np.testing.assert_array_equal(area.quantity.to_value("cm2").T, ours["effective_area"])
    energy = 10.0 ** (ours["log10_true_edges"].values - 3.0)
    np.testing.assert_allclose(area.axes["energy_true"].edges.to_value("TeV"), energy, rtol=1e-12)
    declination = area.axes["offset"].edges.to_value("deg") - 90.0
    np.testing.assert_allclose(np.sin(np.radians(declination)), ours["sin_dec_edges"], atol=1e-12)


def test_gammapy_finds_a_normalised_energy_dispersion(irf):
    """Each of our rows: half of the events in each of two bins; where its cumulative is a half, the edge lies."""
    edisp, ours = irf["edisp"], response("cascades-2023")
    ratio = edisp.axes["migra"].edges.value
    density = edisp.quantity.value[:, :, 0]  # (true, ratio)
    np.testing.assert_allclose((density * np.diff(ratio)).sum(axis=1), 1.0, rtol=1e-12)
    cumulative = np.cumsum(density * np.diff(ratio), axis=1)
    centre = 0.5 * (ours["migration_true_edges"].values[1:] + ours["migration_true_edges"].values[:-1])
    edge = ours["migration_reco_edges"].values[1]
    step = np.log10(ratio[1] / ratio[0])
    for k, middle in enumerate(centre):
        found = np.interp(0.5, cumulative[k], np.log10(ratio[1:]))
        assert found == pytest.approx(edge - middle, abs=step)


def test_gammapy_finds_the_containment_of_the_point_spread(irf):
    """Its rings are flat: within 20 deg it finds up to 0.6 % more than there is on the sphere."""
    psf, ours = irf["psf"], response("cascades-2023")
    for degrees in (2.0, 5.0, 10.0, 20.0):
        found = psf.containment(rad=degrees * u.deg, offset=90 * u.deg, energy_true=10 * u.TeV).to_value("").item()
        parts = [ours[f"psf_kappa_{name}"].values[0, 1] for name in ("narrow", "broad")]
        shares = [-np.expm1(-k * (1 - np.cos(np.radians(degrees)))) / -np.expm1(-2 * k) for k in parts]
        assert found == pytest.approx(0.4 * shares[0] + 0.6 * shares[1], rel=0.01)


def test_gammapy_reads_events_and_maps(tmp_path):
    maps = pytest.importorskip("gammapy.maps", exc_type=ImportError)
    data = pytest.importorskip("gammapy.data", exc_type=ImportError)
    ours = events(np.random.default_rng(1), "tracks", "real", 50)
    read = data.EventList.read(written(tmp_path, _fits.events_fits(ours, STAMP)))
    np.testing.assert_allclose(read.radec.ra.rad, ours["right_ascension"], rtol=1e-12)
    np.testing.assert_allclose(np.log10(read.energy.to_value("GeV")), ours["log10_energy"], rtol=1e-12)
    np.testing.assert_allclose(read.time.utc.mjd, ours["mjd"], rtol=1e-12)
    sky = ts_map(8, 9.0, "built-in", "synthetic")
    path = written(tmp_path, _fits.map_fits(sky, STAMP, title="a map"))
    for column, name in ((None, "ts_density"), ("SIGNAL_DENSITY", "signal_density")):
        read = maps.Map.read(path, colname=column)
        assert (read.geom.frame, read.geom.nest, str(read.unit)) == ("icrs", False, "1 / sr")
        np.testing.assert_array_equal(read.data, sky[name].values)
    read = maps.Map.read(written(tmp_path, sky_maps.map_fits(scanned().sky, STAMP)))
    np.testing.assert_array_equal(read.data, scanned().sky["ts"].values)


def test_mocpy_finds_the_region_that_holds_nine_tenths(tmp_path):
    """The smallest set of pixels with that much of exp(TS/2), to the area of one of them."""
    mocpy = pytest.importorskip("mocpy")
    path = written(tmp_path, sky_maps.multi_order_fits(scanned().sky, STAMP))
    found = mocpy.MOC.from_multiordermap_fits_file(path, cumul_from=0.0, cumul_to=0.9)
    share = np.sort(np.exp(0.5 * scanned().sky["ts"].values))[::-1]
    wanted = np.searchsorted(np.cumsum(share) / share.sum(), 0.9)
    assert found.sky_fraction * len(share) == pytest.approx(wanted, abs=1.01)


def test_ligo_skymap_reads_the_multi_order_map_flat_and_as_it_is(tmp_path):
    reader = pytest.importorskip("ligo.skymap.io")
    sky = scanned().sky
    path = written(tmp_path, sky_maps.multi_order_fits(sky, STAMP))
    flat, about = reader.read_sky_map(path)
    expected = np.exp(0.5 * sky["ts"].values)
    np.testing.assert_allclose(flat, expected / expected.sum(), rtol=1e-12)
    assert about["nest"] is True  # as in the file; the values are in RING order
    table = reader.read_sky_map(path, moc=True)
    assert table["PROBDENSITY"].unit == u.Unit("sr-1")
    assert {"UNIQ", "TS", "N_S", "INDEX", "LOG10_P_LOCAL"} <= set(table.colnames)
