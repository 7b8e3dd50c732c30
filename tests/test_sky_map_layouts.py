"""Maps as people have them: physically equal files give one template, and what is refused names a way that works."""

from __future__ import annotations

import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import healpy as hp
import numpy as np
import pandas as pd
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


def bands(path: Path, name: str, axis: str = "ENERGY", *, card: bool = False) -> Path:
    """As gammapy writes maps on a HEALPix grid: channels, energies, and edges halfway between them."""
    low, high = (ENERGIES * 1e-3 * 10.0**shift for shift in (-0.6, 0.4))
    stem = {"ENERGY": "E"}.get(axis, axis)
    columns = {"CHANNEL": np.arange(4), axis: ENERGIES * 1e-3, f"{stem}_MIN": low, f"{stem}_MAX": high}
    units = dict.fromkeys(list(columns)[1:], "TeV")
    beside = fits.BinTableHDU.from_columns(
        [fits.Column(key, "D" if key in units else "K", array=x, unit=units.get(key)) for key, x in columns.items()],
        name=name,
    )
    named = {f"CHANNEL{k + 1}": one for k, one in enumerate(CUBE.T)}
    return write(path, table(named, BUNIT=UNIT, BANDSHDU=name if card else None), beside)


def edges(path: Path) -> Path:
    """Edges of bins, each in a unit of its own."""
    low, high = ENERGIES * 10.0**-0.5, ENERGIES * 10.0**0.5
    columns = [
        fits.Column("CHANNEL", "K", array=np.arange(4)),
        fits.Column("E_MIN", "D", array=low * 1e6, unit="keV"),
        fits.Column("E_MAX", "D", array=high, unit="GeV"),
    ]
    beside = fits.BinTableHDU.from_columns(columns, name="EBOUNDS")
    return write(path, table({"Spectra": CUBE}, units={"Spectra": UNIT}), beside)


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
    "gammapy": (lambda p: bands(p / "m.fits", "SKYMAP_BANDS", card=True), {"flavour": "each"}),
    "gammapy, true energy": (lambda p: bands(p / "m.fits", "SKYMAP_BANDS", "ENERGY_TRUE"), {"flavour": "each"}),
    "gammapy, for the Fermi tools": (lambda p: bands(p / "m.fits", "EBOUNDS"), {"flavour": "each"}),
    "gammapy, of true energy for them": (lambda p: bands(p / "m.fits", "ENERGIES", "ENERGY_TRUE"), {"flavour": "each"}),
    "edges in two units": (lambda p: edges(p / "m.fits"), {"flavour": "each"}),
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
@pytest.mark.slow
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


@pytest.mark.parametrize("code", ["K", "I", "E", "D"])
def test_a_column_pixel_of_any_type_of_number_says_which_pixel_a_row_is(tmp_path, code):
    order = np.random.default_rng(1).permutation(N_PIXELS)
    columns = [fits.Column("PIXEL", code, array=order), fits.Column("F", "D", array=ONE[order])]
    made = fits.BinTableHDU.from_columns(columns, header=table({"F": ONE}).header[:0])
    made.header.update({"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "G"})
    same(read_template(write(tmp_path / "m.fits", made), units="relative"), ALONE)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_rows_that_a_column_counts_in_another_order_are_not_taken_in_theirs(tmp_path, first, kind):
    order = np.random.default_rng(1).permutation(N_PIXELS)
    shuffled = {"HPX": (order + first).astype(kind), "F": ONE[order]}
    path = write(tmp_path / "m.fits", table(shuffled))
    with pytest.raises(InputError, match="its column 'HPX' counts the rows in another order") as caught:
        read_template(path, units="relative", column="F")
    assert "leave it out" not in str(caught.value)
    in_order = {"HPX": (np.arange(N_PIXELS) + first).astype(kind), "F": ONE}
    same(read_template(write(tmp_path / "n.fits", table(in_order)), units="relative", column="F"), ALONE)
    if not first:
        named = {"PIXEL": shuffled["HPX"], "F": shuffled["F"]}
        same(read_template(write(tmp_path / "p.fits", table(named)), units="relative"), ALONE)


def test_pixels_of_hdf5_in_another_order_are_not_passed_over(tmp_path):
    order = np.random.default_rng(1).permutation(N_PIXELS)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["pixel"], file["flux"] = order, ONE[order]
    said = {"frame": "galactic", "ordering": "ring", "units": "relative", "map": "/flux"}
    with pytest.raises(InputError, match="/pixel counts the values of /flux in another order"):
        read_template(tmp_path / "m.h5", **said)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["flux"][...] = file["flux"][()][np.argsort(file["pixel"])]
        del file["pixel"]
    same(read_template(tmp_path / "m.h5", **said), ALONE)


def test_numbers_of_hdf5_that_are_no_values_yet_are_not_taken_for_them(tmp_path):
    gone = np.arange(N_PIXELS) % 7 == 0
    with h5py.File(tmp_path / "m.h5", "w") as file:
        made = file.create_dataset("flux", data=np.where(gone, 9.96921e36, ONE))
        made.attrs["_FillValue"] = np.float64(9.96921e36)
    said = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    with pytest.raises(InputError, match=f"{gone.sum()} pixels are NaN or infinite; .*fill=0"):
        read_template(tmp_path / "m.h5", **said)
    same(read_template(tmp_path / "m.h5", **said, fill=0), read_array(np.where(gone, 0.0, ONE), **said))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["flux"].attrs["scale_factor"] = 1e-3
    with pytest.raises(InputError, match="/flux is packed by its attribute scale_factor"):
        read_template(tmp_path / "m.h5", **said, fill=0)


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


def test_a_mark_of_the_header_stands_for_none(tmp_path):
    values = np.where(np.arange(N_PIXELS) < 7, -32768.0, ONE)
    path = write(tmp_path / "m.fits", table({"F": values}, BAD_DATA=-32768.0))
    with pytest.raises(InputError, match=r"7 pixels are marked as missing \(BAD_DATA\); put 0 .* fill=0"):
        read_template(path, units="relative")
    words = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    same(read_template(path, units="relative", fill=0), read_array(np.where(values < 0, 0.0, values), **words))


def test_a_mark_that_nothing_states_is_doubted():
    words = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    marked = np.where(np.arange(N_PIXELS) % 50 == 0, 1e20, ONE / ONE.max())
    with pytest.raises(InputError, match=r"62 of its pixels are 1e\+20, .* fill=0, or sure=flux"):
        read_array(marked, **words)
    assert read_array(marked, **words, sure="flux").nside == NSIDE
    told = read_array(np.where(marked == 1e20, hp.UNSEEN, marked), **words, fill=0)
    assert told.density.max() < 100
    some = np.zeros(N_PIXELS)
    some[[5, 50, 500]] = 1.0  # a few sources are no mark
    assert read_array(some, **words).nside == NSIDE


def test_what_is_offered_for_pixels_without_a_value_works():
    words = {"frame": "galactic", "ordering": "ring", "units": "relative"}
    values = ONE.copy()
    values[:3] = np.inf
    with pytest.raises(InputError, match="infinite ones overflowed") as caught:
        read_array(values, **words)
    assert "fill=0" not in str(caught.value)
    values[:3] = -1e-30
    with pytest.raises(InputError, match=r"negative .* numpy.maximum\(map, 0\)"):
        read_array(values, **words)
    assert read_array(np.maximum(values, 0), **words).nside == NSIDE


@pytest.mark.parametrize("nside", [float(NSIDE), NSIDE])
def test_a_whole_nside_is_one_however_it_is_written(tmp_path, nside):
    same(read_template(write(tmp_path / "m.fits", table({"F": ONE}, NSIDE=nside)), units="relative"), ALONE)


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


@pytest.mark.parametrize("unit", ["pix-1", ""])
def test_sums_over_pixels_of_several_sizes_are_no_density(tmp_path, unit):
    # A coarse pixel holds more of a whole: read as a density it would shine the brighter.
    uniq = np.concatenate([[4], np.arange(20, 64)])  # one of order 0, and what is left of the sky in order 1
    values = np.concatenate([[4.0], np.ones(44)])
    path = write(tmp_path / "m.fits", table({"UNIQ": uniq, "PROB": values}, units={"PROB": unit}, ORDERING="NUNIQ"))
    words = {} if unit else {"units": "GeV-1 cm-2 s-1 per pixel", "flavour": "each", "energy": "100TeV", "sure": "flux"}
    with pytest.raises(InputError, match="sums over pixels, and its pixels differ in size; divide each by the area"):
        read_template(path, **words)
    density = table({"UNIQ": uniq, "PROBDENSITY": np.ones(45)}, units={"PROBDENSITY": "sr-1"}, ORDERING="NUNIQ")
    assert read_template(write(tmp_path / "n.fits", density)).maps == pytest.approx(1 / (4 * np.pi))


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


def test_numbers_of_channels_are_no_energies(tmp_path):
    columns = {"CHANNEL": np.arange(1, 5), "A": np.arange(1, 5), "B": ENERGIES}
    beside = fits.BinTableHDU.from_columns([fits.Column(k, "D", array=x) for k, x in columns.items()], name="ENERGIES")
    path = write(tmp_path / "m.fits", table({"Spectra": CUBE}, units={"Spectra": UNIT}), beside)
    with pytest.raises(InputError, match=r"ENERGIES does not show which column has the energies \(A, B\); name it"):
        read_template(path, flavour="each", energies_unit="TeV")
    with fits.open(path, mode="update") as units:
        units["ENERGIES"].columns["B"].name = "ENERGY"
    same(read_template(path, flavour="each", energies_unit="GeV"), WANTED)


def test_single_values_by_pixel_and_channel_say_what_to_write(tmp_path):
    rows = {"PIX": np.arange(4), "CHANNEL": np.arange(4), "VALUE": np.ones(4)}
    path = write(tmp_path / "m.fits", table(rows, INDXSCHM="SPARSE", BUNIT=UNIT))
    with pytest.raises(InputError, match="sparse=False in gammapy") as caught:
        read_template(path, flavour="each")
    assert str(caught.value).count("\n  - ") == 1


def test_units_that_header_and_columns_state_must_agree(tmp_path):
    mev = "MeV-1 cm-2 s-1 sr-1"
    said = {"flavour": "each", "energy": "100TeV"}
    path = write(tmp_path / "m.fits", table({"F": ONE}, units={"F": mev}, UNITS=UNIT))
    with pytest.raises(InputError, match=f"its header and columns state the units '{UNIT}' and '{mev}'"):
        read_template(path, **said)
    path = write(tmp_path / "n.fits", table({"A": ONE, "B": 1e-3 * ONE}, units={"A": UNIT, "B": mev}))
    with pytest.raises(InputError, match="say column= of those of one"):
        read_template(path, **said, units=UNIT, energies=[1e4, 1e5], energies_unit="GeV")
    found, other = (read_template(path, **said, column=name) for name in "AB")
    assert other.flux == pytest.approx(found.flux, rel=1e-12)


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({"UNITS": "photon(cm-2 s-1)/unheard"}, {}),
        ({"UNITS": "K_CMB"}, {}),
        ({"COORDSYS": "RADEC", "UNITS": "relative"}, {"frame": "galactic"}),
        ({"ORDERING": "row by row"}, {"ordering": "ring"}),
    ],
)
def test_what_a_file_states_and_nobody_understands_can_be_said_otherwise(tmp_path, cards, said):
    path = write(tmp_path / "m.fits", table({"F": ONE}, **cards))
    with pytest.raises(InputError, match=r"cannot be read|is said to be|no differential flux|not stated"):
        read_template(path, **({"units": "relative"} if said else {}))
    same(read_template(path, **({"units": "relative"} | said)), ALONE)
    flux = {"units": UNIT, "flavour": "each", "energy": "100TeV"}
    if "relative" not in cards.values():
        assert read_template(path, **(flux | said)).flux > 0


@pytest.mark.parametrize("words", ["GeV/cm2/s/sr", "1/GeV/cm2/s/sr", "GeV^{-1} cm^{-2} s^{-1} sr^{-1}"])
def test_slashes_and_braces_of_units_are_read_without_a_warning(tmp_path, words):
    values = ONE * (1e10 if words.startswith("GeV/") else 1.0)
    path = write(tmp_path / "m.fits", table({"F": values}, units={"F": words}))
    said = {"flavour": "each", "energy": "100TeV"}
    assert read_template(path, **said).flux == pytest.approx(read_array(ONE, **SAID, energy="100TeV").flux, rel=1e-12)


def test_a_choice_that_is_none_is_the_only_fault(tmp_path):
    path = write(tmp_path / "m.fits", table({"F": ONE}))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a"], file["b"] = ONE, ONE
    for name, said in ((path, {"hdu": "nan"}), (tmp_path / "m.h5", {}), (tmp_path / "m.h5", {"map": "/c"})):
        with pytest.raises(InputError) as caught:
            read_template(name, units="relative", **said)
        assert str(caught.value).count("\n  - ") == 1


def test_a_toml_file_beside_a_fits_map_is_heard_as_the_refusal_says(tmp_path):
    path = write(tmp_path / "m.fits", table({"F": ONE}, COORDSYS=None))
    with pytest.raises(InputError, match=r"frame is not stated[\s\S]*in a .toml file of the same name"):
        read_template(path, units="relative")
    (tmp_path / "m.toml").write_text('frame = "galactic"\n', encoding="utf-8")
    same(read_template(path, units="relative"), ALONE)
    (tmp_path / "m.toml").write_text('ordering = "nested"\nframe = "galactic"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"its ordering is 'RING' in the file and 'nested' in the .toml file"):
        read_template(path, units="relative")


# --- images ------------------------------------------------------------------------------------------------------


def follow(refusal: InputError) -> None:
    """Run the command that a refusal names."""
    _, *words = shlex.split(str(refusal)[str(refusal).index("python -c") :])
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("beside", ["PRIMARY_BANDS", "EBOUNDS", "GTI"])
@pytest.mark.slow
def test_a_cube_of_images_keeps_all_its_planes_whatever_lies_beside_it(tmp_path, beside):
    # As gammapy (BANDS), the Fermi tools (EBOUNDS, GTI) and old GALPROP write them; names of files may be anything.
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.cdelt = ("GLON-CAR", "GLAT-CAR"), [90.5, 45.5], [-2.0, 2.0]
    latitude = (np.arange(90)[:, None] - 44.5) * 2.0 + 0.0 * np.arange(180)
    planes = np.stack([np.exp(-np.abs(latitude) / width) for width in (20.0, 15.0, 12.0, 10.0)])
    path = tmp_path / "it's $(a) cube.fits"
    image = fits.PrimaryHDU(planes * (ENERGIES[:, None, None] / 1e5) ** -2.6 * 1e-18, header=wcs.to_header())
    table_beside = fits.BinTableHDU.from_columns([fits.Column("ENERGY", "D", array=ENERGIES, unit="GeV")], name=beside)
    fits.HDUList([image, table_beside]).writeto(path)
    with pytest.raises(InputError, match="energies of its 4 planes in energies=") as caught:
        read_template(path, units=UNIT, flavour="each")
    follow(caught.value)
    said = {"units": UNIT, "flavour": "each", "energies": ENERGIES, "energies_unit": "GeV"}
    found = read_template(tmp_path / "it's $(a) cube_healpix.fits", **said)
    assert len(found.maps) == len(ENERGIES)
    assert found.flux == pytest.approx(WANTED.flux, rel=0.02)
    assert found.spectrum.shape(np.array([3.0, 6.0])) == pytest.approx(
        WANTED.spectrum.shape(np.array([3.0, 6.0])), 0.02
    )


@pytest.mark.parametrize("axes", [("GLON-CAR", "GLAT-CAR"), ("RA---CAR", "DEC--CAR")])
@pytest.mark.slow
def test_an_image_is_refused_with_the_command_that_turns_it_into_a_map(tmp_path, axes):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.cdelt = axes, [180.5, 20.5], [-1.0, 1.0]
    y = np.arange(40)[:, None]
    pixels = np.exp(-(((y - 19.5) / 5) ** 2)) * np.ones(360)
    fits.PrimaryHDU(pixels, header=wcs.to_header()).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match=f"is an image \\({axes[0]}\\), and no HEALPix table") as caught:
        read_template(tmp_path / "image.fits", units="relative")
    follow(caught.value)
    words = {"units": "relative", "sure": "frame"}
    with pytest.raises(InputError, match=r"marked UNSEEN .*fill=0"):
        read_template(tmp_path / "image_healpix.fits", **words)
    template, record = understood(parse(f"{tmp_path}/image_healpix.fits?units=relative&fill=0&sure=frame"))
    assert record.frame == ("galactic" if axes[0].startswith("G") else "equatorial")
    assert template.nside == 256
    brightest = hp.Rotator(coord=["C", record.frame[0].upper().replace("E", "C")])
    theta = hp.pix2ang(256, int(np.argmax(template.density)))
    assert abs(90 - np.degrees(brightest(*theta)[0])) < 1.0


def test_a_column_of_pandas_is_an_array_and_a_mass_no_energy():
    said = {"frame": "galactic", "ordering": "ring"}
    same(read_array(pd.Series(ONE), **said, units="relative"), ALONE)
    same(read_array(pd.DataFrame(CUBE), **SAID, energies=ENERGIES * u.GeV), WANTED)
    with pytest.raises(InputError, match=r"said to be 1.0 kg; expected such as"):
        read_array(ONE, **SAID, energy=1 * u.kg)


def test_an_array_that_is_none_is_refused():
    with pytest.raises(InputError, match="the map in memory is no array"):
        read_array([[1.0], [1.0, 2.0]], frame="gal", ordering="ring", units="relative")


def test_an_energy_in_ev_needs_no_blank():
    assert read_array(ONE, **SAID, energy="1e14eV").flux == read_array(ONE, **SAID, energy="1e14 eV").flux
