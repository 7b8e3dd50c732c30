"""Maps as people have them: physically equal files give one template, and what is refused names a way that works."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import healpy as hp
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.utils.masked import Masked
from astropy.wcs import WCS

from nuanalysis.errors import InputError
from nuanalysis.records import Provenance
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import MapFile, parse, read, read_array, read_template, understood
from nuanalysis.sky.templates._listed import multi_order
from nuanalysis.store.sky_maps import multi_order_fits, sky_dataset

NSIDE = 16
N_PIXELS = 12 * NSIDE**2
ENERGIES = np.array([1e3, 1e4, 1e5, 1e6])
JOULE = 1.602176634e-10  # of a GeV
UNIT = "GeV-1 cm-2 s-1 sr-1"
SAID = {"frame": "galactic", "ordering": "ring", "units": UNIT, "flavour": "each"}


def cube() -> np.ndarray:
    """(pixel, energy): a band that narrows as energy rises."""
    latitude = hp.pix2ang(NSIDE, np.arange(N_PIXELS), lonlat=True)[1]
    width = np.array([20.0, 15.0, 12.0, 10.0])
    return np.exp(-np.abs(latitude[:, None]) / width) * 1e-18 * (ENERGIES / 1e5) ** -2.6


CUBE = cube()
ONE = CUBE[:, 2]
WANTED = read_array(CUBE, **SAID, energies=ENERGIES, energies_unit="GeV")
ALONE = read_array(ONE, frame="galactic", ordering="ring", units="relative")


def same(found: Template, wanted: Template) -> None:
    """Alike to the digits that units and storage leave."""
    assert found.maps == pytest.approx(wanted.maps, rel=1e-9)
    assert found.log10_energy == pytest.approx(wanted.log10_energy, rel=1e-12)
    assert found.flux == pytest.approx(wanted.flux, rel=1e-9)
    x = np.linspace(3, 6, 7)
    assert found.spectrum.shape(x) == pytest.approx(wanted.spectrum.shape(x), rel=1e-9)


def table(columns: dict[str, Any], *, name: str = "MAP", units: dict[str, str] | None = None, **cards: Any) -> Any:
    codes = {"i": "K", "f": "D", "U": "4A", "u": "K"}
    made = [
        fits.Column(
            key, f"{np.shape(values)[1] if np.ndim(values) > 1 else ''}{codes[np.asarray(values).dtype.kind]}",
            array=values, unit=(units or {}).get(key),
        )
        for key, values in columns.items()
    ]  # fmt: skip
    found = fits.BinTableHDU.from_columns(made, name=name)
    usual = {"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "G"}
    found.header.update({key: value for key, value in (usual | cards).items() if value is not None})
    return found


def write(path: Path, *tables: Any) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)
    return path


# --- energies ----------------------------------------------------------------------------------------------------


def galprop(path: Path, unit: str | None, column: str, order: Any = slice(None)) -> Path:
    energies = fits.BinTableHDU.from_columns([fits.Column(column, "D", array=1e3 * ENERGIES[order], unit=unit)])
    energies.name = "ENERGIES"
    return write(path, table({"Spectra": CUBE[:, order] / 1e3}), energies)


def hermes(path: Path, comment: str, order: Any = slice(None)) -> Path:
    tables = []
    for energy, values in zip(ENERGIES[order], CUBE.T[order], strict=True):
        one = table({"FLUX": 1e4 * values}, units={"FLUX": "GeV^-1 m^-2 s^-1 sr^-1"})
        one.header["ENERGY"] = (energy * JOULE, comment)
        tables.append(one)
    return write(path, *tables)


def hdf5(path: Path, order: Any = slice(None), key: str = "unit", name: str = "energy") -> Path:
    with h5py.File(path, "w") as file:
        file["flux"], file[name] = CUBE.T[order], ENERGIES[order]
        file["flux"].attrs[key] = UNIT
        if name == "energy":
            file[name].attrs[key] = "GeV"
    return path


def pair(path: Path, order: Any = slice(None)) -> Path:
    path.write_bytes(pickle.dumps((CUBE[:, order], ENERGIES[order])))
    return path


MEV = {"units": "MeV-1 cm-2 s-1 sr-1", "flavour": "each"}
PLACED = {"frame": "galactic", "ordering": "ring", "flavour": "each"}
SHUFFLED = np.array([2, 0, 3, 1])
EQUAL: dict[str, tuple[Callable[[Path], Path], dict[str, str]]] = {
    "galprop, TUNIT": (lambda p: galprop(p / "m.fits", "MeV", "Energy"), MEV),
    "galprop, column called MeV": (lambda p: galprop(p / "m.fits", None, "MeV"), MEV),
    "galprop, unit in brackets": (lambda p: galprop(p / "m.fits", None, "Energy [MeV]"), MEV),
    "galprop, falling": (lambda p: galprop(p / "m.fits", "MeV", "Energy", slice(None, None, -1)), MEV),
    "hermes, J in its comment": (lambda p: hermes(p / "m.fits", "[J]"), {"flavour": "each"}),
    "hermes, shuffled": (lambda p: hermes(p / "m.fits", "[ J ] of the map", SHUFFLED), {"flavour": "each"}),
    "hdf5, unit": (lambda p: hdf5(p / "m.h5"), PLACED),
    "hdf5, units": (lambda p: hdf5(p / "m.h5", key="units"), PLACED),
    "hdf5, unit in its name": (lambda p: hdf5(p / "m.h5", name="energy_GeV"), PLACED),
    "hdf5, falling": (lambda p: hdf5(p / "m.h5", slice(None, None, -1)), PLACED),
    "hdf5, shuffled": (lambda p: hdf5(p / "m.h5", SHUFFLED), PLACED),
    "pair": (lambda p: pair(p / "m.npy"), SAID | {"bins": "centres"}),
    "pair, shuffled": (lambda p: pair(p / "m.npy", SHUFFLED), SAID | {"bins": "centres"}),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_cubes_in_every_layout_are_one_template(tmp_path, name):
    make, said = EQUAL[name]
    template, record = understood(MapFile(make(tmp_path), **said))
    same(template, WANTED)
    assert any("sorted, each with its map" in note for note in record.notes) is ("shuffled" in name or "fall" in name)


def test_a_pair_with_as_many_energies_as_maps_asks_what_they_are(tmp_path):
    path = pair(tmp_path / "m.npy")
    with pytest.raises(InputError, match=r"as many energies as maps, 4, .* say bins=centres .* or bins=edges"):
        read_template(path, **SAID)
    same(read_template(path, **SAID, bins="centres"), WANTED)
    lower = read_template(path, **SAID, bins="lower edges")
    assert lower.log10_energy == pytest.approx(WANTED.log10_energy + 0.5)
    path.write_bytes(pickle.dumps((CUBE, np.append(ENERGIES, 1e7) / 10**0.5)))
    same(read_template(path, **SAID), WANTED)  # one edge more can be nothing else


def test_units_of_energies_that_nothing_states_are_asked_for(tmp_path):
    for path in (galprop(tmp_path / "g.fits", None, "Energy"), hermes(tmp_path / "h.fits", "of the map")):
        with pytest.raises(InputError, match="the unit of its energies is not stated; say energies_unit"):
            read_template(path, **(MEV if path.name == "g.fits" else {"flavour": "each"}))
    same(read_template(tmp_path / "g.fits", **MEV, energies_unit="MeV"), WANTED)
    same(read_template(tmp_path / "h.fits", flavour="each", energies_unit="J"), WANTED)


# --- pixels ------------------------------------------------------------------------------------------------------


def test_rows_that_name_their_pixels(tmp_path):
    order = np.random.default_rng(1).permutation(N_PIXELS)
    cards = {"INDXSCHM": "EXPLICIT", "OBJECT": "PARTIAL"}
    path = write(tmp_path / "m.fits", table({"PIXEL": order, "FLUX": ONE[order]}, **cards))
    found = read_template(path, units="relative")
    assert np.array_equal(found.maps, ALONE.maps)
    vector = write(tmp_path / "v.fits", table({"PIXEL": order, "FLUX": CUBE[order]}, **cards))
    words = {"units": UNIT, "flavour": "each", "energies": ENERGIES, "energies_unit": "GeV"}
    assert np.array_equal(read_template(vector, **words).maps, WANTED.maps)


def test_a_part_of_the_sky_is_filled_where_one_says_so(tmp_path):
    values = np.where(np.arange(N_PIXELS) < N_PIXELS // 2, ONE, hp.UNSEEN)
    hp.write_map(tmp_path / "m.fits", values, coord="G", partial=True, dtype=np.float64)
    with pytest.raises(InputError, match=r"it covers part of the sky: 1,536 of 3,072 pixels have no value; .* fill=0"):
        read_template(tmp_path / "m.fits", units="relative")
    template, record = understood(parse(f"{tmp_path}/m.fits?units=relative&fill=0"))
    wanted = read_array(np.maximum(values, 0.0), frame="galactic", ordering="ring", units="relative")
    assert np.array_equal(template.maps, wanted.maps)
    assert any("1,536 of 3,072 pixels have no value: 0 there" in note for note in record.notes)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([0, 1, 1], "1 of its rows name a pixel that another row names too"),
        ([0, 1, N_PIXELS], "1 of its rows name a pixel outside 0 to 3071"),
        ([-1, 1, 2], "1 of its rows name a pixel outside"),
    ],
)
def test_pixels_that_are_none(tmp_path, pixels, message):
    path = write(tmp_path / "m.fits", table({"PIXEL": np.array(pixels), "T": np.ones(3)}, INDXSCHM="EXPLICIT"))
    with pytest.raises(InputError, match=message):
        read_template(path, units="relative", fill=0)


def test_explicit_without_pixels_is_not_guessed(tmp_path):
    path = write(tmp_path / "m.fits", table({"T": ONE}, INDXSCHM="EXPLICIT"))
    with pytest.raises(InputError, match="part of the sky, or pixels in an order of their own, but it has no"):
        read_template(path, units="relative", fill=0)


@pytest.mark.parametrize("gap", [np.nan, hp.UNSEEN, np.float32(hp.UNSEEN)])
def test_pixels_without_a_value_are_0_where_one_says_so(gap):
    values = ONE.copy()
    values[:7] = gap
    words = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    with pytest.raises(InputError, match=r"7 pixels are .*; put 0 where nothing shines, by fill=0"):
        read_array(values, **words)
    filled = read_array(values, **words, fill=0)
    values[:7] = 0.0
    assert np.array_equal(filled.maps, read_array(values, **words).maps)
    values[:7] = np.inf
    with pytest.raises(InputError, match="7 pixels are NaN or infinite"):
        read_array(values, **words, fill=0)
    with pytest.raises(InputError, match="says fill=1; expected fill=0"):
        read_array(values, **words, fill=1)


@pytest.mark.parametrize(
    "masked",
    [
        np.ma.array(ONE, mask=np.arange(N_PIXELS) < 3),
        np.ma.array((1e21 * ONE).astype(np.int64), mask=np.arange(N_PIXELS) < 3, fill_value=0),
        Masked(ONE, mask=np.arange(N_PIXELS) < 3),
        Masked(ONE * u.Unit("1 / sr"), mask=np.arange(N_PIXELS) < 3),
    ],
    ids=["numpy", "integers", "astropy", "quantity"],
)
def test_what_is_masked_does_not_become_0_by_itself(masked):
    words = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    words = words | ({} if not hasattr(masked, "unit") else {"units": "1 / sr"})
    with pytest.raises(InputError, match="3 pixels are marked UNSEEN"):
        read_array(masked, **words)
    assert read_array(masked, **words, fill=0).nside == NSIDE


def test_integers_marked_as_missing_are_filled_too(tmp_path):
    values = np.arange(N_PIXELS) + 1
    values[:3] = -9
    one = fits.BinTableHDU.from_columns([fits.Column("T", "J", array=values, null=-9)])
    one.header.update({"NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "C", "UNITS": "relative"})
    path = write(tmp_path / "m.fits", one)
    wanted = read_array(np.where(values > 0, values, 0), frame="icrs", ordering="ring", units="relative")
    assert np.array_equal(read_template(path, fill=0).maps, wanted.maps)


@pytest.mark.parametrize("kind", [">f4", ">f8", ">i4", "<f4"])
def test_byte_order_does_not_matter(tmp_path, kind):
    values = (1e20 * ONE).astype(kind)
    np.save(tmp_path / "m.npy", values)
    words = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    wanted = read_array(values.astype(np.float64), **words)
    assert np.array_equal(read_template(tmp_path / "m.npy", **words).maps, wanted.maps)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["map"] = values
    assert np.array_equal(read_template(tmp_path / "m.h5", **words).maps, wanted.maps)


# --- pixels of several sizes -------------------------------------------------------------------------------------


def uniq_table(values: np.ndarray, *, name: str = "PROBDENSITY", unit: str = "sr-1") -> Any:
    """A NESTED map with the first of its quarters merged into one pixel a quarter as fine."""
    uniq = np.append(4 * NSIDE**2 + np.arange(4, N_PIXELS), 4 * (NSIDE // 2) ** 2)
    cards = {"ORDERING": "NUNIQ", "INDXSCHM": "EXPLICIT", "NSIDE": None, "PIXTYPE": "HEALPIX"}
    return table({"UNIQ": uniq, name: np.append(values[4:], values[0])}, units={name: unit}, **cards)


def test_a_multi_order_map_is_read_at_its_finest_order(tmp_path):
    nested = hp.reorder(ONE, r2n=True)
    nested[:4] = nested[0]
    template, record = understood(MapFile(write(tmp_path / "m.fits", uniq_table(nested))))
    wanted = read_array(nested, frame="galactic", ordering="nested", units="relative")
    assert np.array_equal(template.maps, wanted.maps)
    assert record.notes == (
        "pixels of several sizes read at nside 16",
        "its units are sr-1: read as relative: the map is normalised",
    )


def test_finer_pixels_than_are_kept_give_their_mean(monkeypatch):
    monkeypatch.setattr("nuanalysis.sky.templates._listed.FINEST_NSIDE", 1)
    uniq = np.concatenate([4 + np.arange(1, 12), 16 + np.arange(4)])  # the first of 12 in quarters
    listed = multi_order(uniq)
    values = np.concatenate([np.arange(1.0, 12.0), [1.0, 2.0, 3.0, 6.0]])
    assert (listed.nside, listed.gaps, listed.faults) == (1, 0, ())
    found = listed.values(lambda rows: values[rows][:, None], 0, 12)
    assert found[:, 0].tolist() == [3.0, *range(1, 12)]
    assert listed.values(lambda rows: values[rows][:, None], 1, 3)[:, 0].tolist() == [1.0, 2.0]
    assert multi_order(uniq[:-1]).gaps == 1


@pytest.mark.parametrize(
    ("uniq", "message"),
    [
        ([3, 4], "holds numbers that are none"),
        ([2**62], "holds numbers that are none"),
        ([], "holds numbers that are none"),
        ([*range(4, 16), 16], "together they cover more than the sky"),
        ([4, 16], "overlap in 1 places"),
    ],
)
def test_numbers_that_are_no_multi_order_map(uniq, message):
    [fault] = multi_order(np.array(uniq, dtype=np.int64)).faults
    assert message in fault


def test_our_own_multi_order_maps_are_read_by_column(tmp_path):
    rng = np.random.default_rng(3)
    ts = np.where(rng.uniform(size=N_PIXELS) < 0.5, 0.0, rng.uniform(1, 9, N_PIXELS))
    columns = {"ts": ts, "n_signal": ts / 2, "index": np.full(N_PIXELS, 2.5), "log10_p": ts / 3}
    whose = Provenance(sample="made", origin="synthetic", n_events=9, seed=1)
    (tmp_path / "m.fits").write_bytes(multi_order_fits(sky_dataset(columns, whose, 100)))
    with pytest.raises(InputError, match=r"column=NAME for one of its columns \(.*TS, N_S, INDEX, LOG10_P_LOCAL"):
        read_template(tmp_path / "m.fits", units="relative dN/dE")
    found = read_template(tmp_path / "m.fits", units="relative", column="TS")
    assert found.density == pytest.approx(ts / (ts.sum() * 4 * np.pi / N_PIXELS), rel=1e-12)


# --- columns and tables ------------------------------------------------------------------------------------------


def test_one_of_several_columns_and_tables(tmp_path):
    tables = [
        table({"FLUX": ONE, "ERROR": 0.1 * ONE, "NAME": np.full(N_PIXELS, "a")}, name="GOOD"),
        table({"I": ONE**2, "Q": ONE}, name="OTHER"),
    ]
    path = write(tmp_path / "m.fits", *tables)
    with pytest.raises(InputError, match=r"columns NAME are not real numbers; say column=NAME .* \(FLUX, ERROR"):
        read_template(path, units="relative", hdu="GOOD")
    for words in ("hdu=good&column=flux", "hdu=1&column=FLUX", "hdu=OTHER&column=Q", "hdu=2&column=q"):
        assert np.array_equal(read(parse(f"{path}?units=relative&{words}")).maps, ALONE.maps)
    with pytest.raises(InputError, match=r"no column 'FLUXX'. Did you mean 'FLUX'\?"):
        read_template(path, units="relative", hdu="GOOD", column="FLUXX")
    with pytest.raises(InputError, match=r"no map in the table 'BAD'; say hdu= one of 1 \(GOOD\), 2 \(OTHER\)"):
        read_template(path, units="relative", hdu="BAD")
    with pytest.raises(InputError, match=r"2 axes, shape .*; or column=NAME for one of its columns \(I, Q\)"):
        read_template(path, units=UNIT, flavour="each", hdu="OTHER")
    with pytest.raises(InputError, match="says column=FLUX, which NumPy array does not use"):
        read_array(ONE, frame="gal", ordering="ring", units="relative", column="FLUX")


def test_a_column_of_a_cube_has_its_energy(tmp_path):
    energies = table({"ENERGY": ENERGIES}, units={"ENERGY": "GeV"}, name="ENERGIES", NSIDE=None, PIXTYPE=None)
    columns = {f"BIN{k}": values for k, values in enumerate(CUBE.T)}
    path = write(tmp_path / "m.fits", table(columns, units=dict.fromkeys(columns, UNIT)), energies)
    same(read_template(path, flavour="each"), WANTED)
    alone = read_template(path, flavour="each", column="BIN1", index=2.6)
    wanted = read_array(CUBE[:, 1], **SAID, energy="10TeV", index=2.6)
    assert alone.flux == pytest.approx(wanted.flux, rel=1e-12)
    some = read_template(path, flavour="each", column="BIN1,BIN2,BIN3")
    assert some.log10_energy == pytest.approx([4, 5, 6])


def test_tables_without_energies_say_how_to_take_one(tmp_path):
    path = write(tmp_path / "m.fits", table({"T": ONE}, name="FIRST"), table({"T": ONE**2}, name="SECOND"))
    with pytest.raises(InputError, match=r"say hdu=NAME \(or number\) of one \(FIRST, SECOND\)"):
        read_template(path, units="relative")
    assert np.array_equal(read_template(path, units="relative", hdu="FIRST").maps, ALONE.maps)


# --- units -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["1/sr", "sr^-1", "deg-2", "pix-1", "1 / pix"])
def test_a_normalised_map_is_relative_and_said_to_be(tmp_path, unit):
    path = write(tmp_path / "m.fits", table({"T": ONE}, units={"T": unit}))
    template, record = understood(MapFile(path))
    assert np.array_equal(template.maps, ALONE.maps)
    assert (record.units, template.flux) == ("relative", 0.0)
    assert f"its units are {unit}: read as relative: the map is normalised" in record.notes


def test_a_normalised_cube_still_has_to_say_of_what_it_is_relative(tmp_path):
    words = {"frame": "galactic", "ordering": "ring", "energies": ENERGIES, "energies_unit": "GeV"}
    with pytest.raises(InputError, match="say units=relative dN/dE"):
        read_array(CUBE, **words, units="1 / sr")
    assert read_array(CUBE, **words, units="relative dN/dE").flux == 0.0


# --- images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [("GLON-CAR", "GLAT-CAR"), ("RA---CAR", "DEC--CAR")])
def test_an_image_is_refused_with_the_command_that_turns_it_into_a_map(tmp_path, axes):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.cdelt = axes, [180.5, 20.5], [-1.0, 1.0]
    y = np.arange(40)[:, None]
    pixels = np.exp(-(((y - 19.5) / 5) ** 2)) * np.ones(360)
    fits.PrimaryHDU(pixels, header=wcs.to_header()).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match=f"is an image \\({axes[0]}\\), and no HEALPix table") as caught:
        read_template(tmp_path / "image.fits", units="relative")
    command = re.search(r'python -c "(.*)"', str(caught.value))
    assert command is not None
    subprocess.run([sys.executable, "-c", command[1]], check=True, capture_output=True, timeout=60)
    words = {"units": "relative", "sure": "frame"}
    with pytest.raises(InputError, match=r"marked UNSEEN .*fill=0"):
        read_template(tmp_path / "image_healpix.fits", **words)
    template, record = understood(parse(f"{tmp_path}/image_healpix.fits?units=relative&fill=0&sure=frame"))
    assert record.frame == ("galactic" if axes[0].startswith("G") else "equatorial")
    assert template.nside == 256
    brightest = hp.Rotator(coord=["C", record.frame[0].upper().replace("E", "C")])
    theta = hp.pix2ang(256, int(np.argmax(template.density)))
    assert abs(90 - np.degrees(brightest(*theta)[0])) < 1.0


def test_an_array_that_is_none_is_refused():
    with pytest.raises(InputError, match="the map in memory is no array"):
        read_array([[1.0], [1.0, 2.0]], frame="gal", ordering="ring", units="relative")


def test_an_energy_in_ev_needs_no_blank():
    assert read_array(ONE, **SAID, energy="1e14eV").flux == read_array(ONE, **SAID, energy="1e14 eV").flux
