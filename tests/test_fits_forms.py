"""FITS files as programs of others read them: the names, units, classes and numbers that gammapy, mocpy, ligo.skymap
and healpy go by.  ``validation/test_readers.py`` asks those programs themselves."""

from __future__ import annotations

import io
from typing import Any

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from small_results import events, response, scanned, ts_map

from nuanalysis.publish import _fits, _gadf
from nuanalysis.store import sky_maps
from nuanalysis.store.fits import Stamp

STAMP = Stamp("a release", "2026-01-02T03:04:05Z", "synthetic", "CC-BY-4.0", "nuanalysis")
GADF = {
    "HDUCLASS": "GADF",
    "HDUVERS": "0.2",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
}


def opened(data: bytes) -> Any:
    return fits.open(io.BytesIO(data), checksum=True)


@pytest.mark.parametrize(
    ("name", "classes", "columns"),
    [
        (
            "EFFECTIVE AREA",
            ("RESPONSE", "EFF_AREA", "FULL-ENCLOSURE", "AEFF_2D"),
            {"ENERG": "TeV", "THETA": "deg", "EFFAREA": "cm2"},
        ),
        (
            "ENERGY DISPERSION",
            ("RESPONSE", "EDISP", "FULL-ENCLOSURE", "EDISP_2D"),
            {"ENERG": "TeV", "MIGRA": None, "THETA": "deg", "MATRIX": None},
        ),
        (
            "PSF_2D_TABLE",
            ("RESPONSE", "RPSF", "FULL-ENCLOSURE", "PSF_TABLE"),
            {"ENERG": "TeV", "THETA": "deg", "RAD": "deg", "RPSF": "sr-1"},
        ),
    ],
)
def test_a_response_has_the_classes_columns_and_axes_of_gamma_ray_astronomy(
    name: str, classes: tuple[str, ...], columns: dict[str, str | None]
) -> None:
    """One row; an axis is NAME_LO and NAME_HI; the last column runs over the axes, the first of them fastest."""
    with opened(_gadf.response_fits(response("cascades-2023"), STAMP)) as units:
        header, found = units[name].header, units[name].columns
        rows = units[name].data
        assert {key: header[key] for key in GADF} == GADF
        assert tuple(header[f"HDUCLAS{k}"] for k in (1, 2, 3, 4)) == classes
        assert len(rows) == 1
        *axes, (quantity, unit) = columns.items()
        assert found[quantity].unit == unit
        sizes = []
        for axis, of_axis in axes:
            low, high = found[f"{axis}_LO"], found[f"{axis}_HI"]
            assert (low.unit, high.unit) == (of_axis, of_axis)
            sizes.append(np.size(rows[f"{axis}_LO"][0]))
            if name != "PSF_2D_TABLE" or axis != "ENERG":
                np.testing.assert_array_equal(np.ravel(rows[f"{axis}_LO"][0])[1:], np.ravel(rows[f"{axis}_HI"][0])[:-1])
        assert rows[quantity][0].shape == tuple(reversed(sizes))


def test_no_other_table_of_a_response_is_taken_for_one_of_them() -> None:
    with opened(_gadf.response_fits(response("cascades-2023"), STAMP)) as units:
        assert [unit.name for unit in units if unit.header.get("HDUCLAS1") == "RESPONSE"] == [
            "EFFECTIVE AREA", "ENERGY DISPERSION", "PSF_2D_TABLE",
        ]  # fmt: skip
        assert [unit.header["HDUCLASS"] for unit in units[4:]] == ["NUANALYSIS", "NUANALYSIS"]


def test_theta_is_the_angle_from_the_south_celestial_pole() -> None:
    with opened(_gadf.response_fits(response("cascades-2023"), STAMP)) as units:
        row = units["EFFECTIVE AREA"].data[0]
        assert units["EFFECTIVE AREA"].header["POINTING"] == "south celestial pole"
        np.testing.assert_allclose(row["THETA_LO"], 90.0 + np.degrees(np.arcsin([-1.0, -1 / 3, 1 / 3])))
        assert (row["THETA_LO"][0], row["THETA_HI"][-1]) == (0.0, 180.0)
        np.testing.assert_array_equal(row["EFFAREA"], response("cascades-2023")["effective_area"])


def test_the_dispersion_keeps_every_event_and_the_share_of_each_bin() -> None:
    """Reconstructed bins that fall on edges of the ratio come back exactly, others to the step of the grid."""
    rng = np.random.default_rng(4)
    true, reco = np.linspace(2.0, 6.0, 5), np.linspace(1.0, 7.0, 7)
    migration = rng.random((3, 4, 6))
    migration /= migration.sum(axis=2, keepdims=True)
    ratio, density = _gadf.dispersion(migration, true, reco)
    assert density.shape == (3, len(ratio) - 1, 4)
    inside = density * np.diff(ratio)[None, :, None]
    np.testing.assert_allclose(inside.sum(axis=1), 1.0, rtol=1e-12)
    for k, centre in enumerate(0.5 * (true[1:] + true[:-1])):
        for j in range(6):
            mine = (np.log10(ratio[:-1]) > reco[j] - centre - 1e-9) & (
                np.log10(ratio[1:]) < reco[j + 1] - centre + 1e-9
            )
            np.testing.assert_allclose(inside[:, mine, k].sum(axis=1), migration[:, k, j], rtol=1e-9)


def test_the_point_spread_integrates_to_one_and_is_the_kernel_at_its_centre() -> None:
    kappa = np.array([[1.0, 100.0, 3e4, 0.0]])
    density = _gadf.point_spread(np.ones((1, 4)), kappa, np.ones((1, 4)))
    rings = 2.0 * np.pi * -np.diff(np.cos(np.radians(_gadf.RADII)))
    np.testing.assert_allclose((density * rings[:, None, None]).sum(axis=0), 1.0, rtol=1e-12)
    peak = kappa[0, :3] / (2.0 * np.pi * -np.expm1(-2.0 * kappa[0, :3]))
    np.testing.assert_allclose(density[0, 0, :3], peak, rtol=1e-3)
    np.testing.assert_allclose(density[:, 0, 3], 1.0 / (4.0 * np.pi), rtol=1e-6)


def test_events_say_that_they_are_events() -> None:
    made = _fits.events_fits(events(np.random.default_rng(1), "tracks", "real", 20), STAMP)
    with opened(made) as units:
        header = units["EVENTS"].header
        assert {key: header[key] for key in (*GADF, "HDUCLAS1")} == {**GADF, "HDUCLAS1": "EVENTS"}
        assert {"EVENT_ID", "TIME", "RA", "DEC", "ENERGY"} <= set(units["EVENTS"].columns.names)


@pytest.mark.parametrize("kind", ["scan", "contribution"])
def test_the_first_column_of_a_map_is_its_channel_and_no_other_is(kind: str) -> None:
    """gammapy takes all columns whose names begin with CHANNEL for the map, and zeros where there is none."""
    sky = scanned().sky if kind == "scan" else ts_map(8, 9.0, "built-in", "synthetic")
    made = sky_maps.map_fits(sky, STAMP) if kind == "scan" else _fits.map_fits(sky, STAMP, title="a map")
    first, unit = ("ts", "") if kind == "scan" else ("ts_density", "sr-1")
    with opened(made) as units:
        header, names = units[1].header, units[1].columns.names
        assert [name for name in names if name.startswith("CHANNEL")] == names[:1] == ["CHANNEL1"]
        assert (header["HPX_CONV"], header["QUANTITY"], header["BUNIT"]) == ("GADF", first.upper(), unit)
        assert (header["PIXTYPE"], header["ORDERING"], header["INDXSCHM"]) == ("HEALPIX", "RING", "IMPLICIT")
        np.testing.assert_array_equal(units[1].data["CHANNEL1"], sky[first])


def test_the_multi_order_map_has_a_probability_density_as_second_column() -> None:
    """mocpy wants it there, ligo.skymap under that name and in sr-1; its integral over the sky is one."""
    sky = scanned().sky
    table = Table.read(io.BytesIO(sky_maps.multi_order_fits(sky, STAMP)), hdu=1)
    assert table.colnames == ["UNIQ", "PROBDENSITY", "TS", "N_S", "INDEX", "LOG10_P_LOCAL"]
    assert str(table["PROBDENSITY"].unit) == "1 / sr"
    assert {key: table.meta[key] for key in ("PIXTYPE", "ORDERING", "COORDSYS", "INDXSCHM", "MOCORDER")} == {
        "PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C", "INDXSCHM": "EXPLICIT", "MOCORDER": 2
    }  # fmt: skip
    nside = 2 ** (np.log2(np.asarray(table["UNIQ"]) // 4).astype(int) // 2)
    density = np.asarray(table["PROBDENSITY"])
    assert (density * 4.0 * np.pi / (12.0 * nside**2)).sum() == pytest.approx(1.0, rel=1e-12)
    ratio = np.log(density) - 0.5 * np.asarray(table["TS"])
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)


def test_the_probability_density_of_huge_and_unknown_test_statistics() -> None:
    ts = np.zeros(192)
    ts[[3, 7]] = 5000.0, np.nan
    density = sky_maps.probability_density(ts)
    assert np.isfinite(density).all()
    assert (density[7], density[3] * hp.nside2pixarea(4)) == (0.0, pytest.approx(1.0))
