"""Maps at many energies: every format is read to the same model, and every way to be wrong is refused."""

import gzip
import io
import os
import pickle
import pickletools

import h5py
import healpy as hp
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from nuanalysis.errors import InputError
from nuanalysis.sky.records import TabulatedSpectrum
from nuanalysis.sky.templates import MapFile, parse, read, read_template, understood
from nuanalysis.sky.templates._healpix import sum_up
from nuanalysis.sky.templates._physics import thin
from nuanalysis.sky.templates._pickled import NoArrays, read_arrays

NSIDE = 8
N_PIXELS = 12 * NSIDE**2
AREA = 4 * np.pi / N_PIXELS
JOULE = 1.602176634e-10  # of a GeV
INTENSITY = "GeV-1 cm-2 s-1 sr-1"
SAID = {"frame": "equatorial", "ordering": "ring", "units": INTENSITY, "flavour": "per-flavour"}
ENERGIES = np.array([1e3, 1e4, 1e5, 1e6, 1e7])


def intensity(energies=ENERGIES, *, index=2.5):
    """(pixel, energy) GeV^-1 cm^-2 s^-1 sr^-1: a dipole that turns from the north to the south as energy rises."""
    z = hp.pix2vec(NSIDE, np.arange(N_PIXELS))[2]
    lean = np.linspace(0.8, -0.8, len(energies))
    return (1 + lean * z[:, None]) * 1e-18 * (np.asarray(energies) / 1e5) ** -index


def is_the_model(template, cube, energies=ENERGIES, *, factor=1.0):
    """The maps are the cube's, normalised; the spectrum and the flux those of its sum."""
    assert template.maps == pytest.approx((cube / cube.sum(axis=0) / AREA).T, rel=1e-6)  # files in float32
    assert template.log10_energy == pytest.approx(np.log10(energies), rel=1e-9)
    whole = cube.sum(axis=0) * AREA * factor
    at_pivot = np.interp(5.0, np.log10(energies), np.log10(whole))
    assert template.flux == pytest.approx(10**at_pivot * 1e7, rel=1e-6)  # E^2 = 1e10 GeV^2, TeV
    found = template.spectrum.shape(np.log10(energies))
    assert found == pytest.approx(whole / 10**at_pivot, rel=1e-6)
    assert template.spectrum.shape(np.array(5.0)) == pytest.approx(1.0, rel=1e-12)


def save(path, values):
    np.save(path, values)
    return path


# --- FITS --------------------------------------------------------------------------------------------------------


def healpix_cards(table, **more):
    cards = {"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "C", "INDXSCHM": "IMPLICIT"}
    table.header.update({key: value for key, value in (cards | more).items() if value is not None})
    return table


def write_fits(path, *tables, **primary):
    first = fits.PrimaryHDU()
    first.header.update(primary)
    fits.HDUList([first, *tables]).writeto(path)
    return path


def columns(cube, *, unit=INTENSITY, name="Bin"):
    listed = [fits.Column(f"{name}{k}", "D", array=values, unit=unit) for k, values in enumerate(cube.T)]
    return fits.BinTableHDU.from_columns(listed, name="SKYMAP")


def energies_table(energies, *, unit="MeV", name="ENERGIES"):
    column = fits.Column("energy", "D", array=np.asarray(energies), unit=unit)
    return fits.BinTableHDU.from_columns([column], name=name)


@pytest.mark.parametrize(("unit", "per_gev"), [("MeV", 1e3), ("GeV", 1.0), ("TeV", 1e-3), ("eV", 1e9)])
@pytest.mark.parametrize("packed", ["columns", "vector"])
def test_galprop_and_fermi_cubes(tmp_path, unit, per_gev, packed):
    cube = intensity()
    vector = fits.BinTableHDU.from_columns([fits.Column("Spectra", "5D", array=cube, unit=INTENSITY)], name="SKYMAP")
    table = healpix_cards(columns(cube) if packed == "columns" else vector, FLAVOUR="per-flavour")
    path = write_fits(tmp_path / "galprop.fits", table, energies_table(ENERGIES * per_gev, unit=unit))
    is_the_model(read_template(path), cube)
    (tmp_path / "packed.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    is_the_model(read_template(tmp_path / "packed.fits.gz"), cube)


@pytest.mark.parametrize("units", ["MeV^-1 cm^-2 s^-1 sr^-1", "MeV^2 cm^-2 sr^-1 s^-1 MeV^-1"])
def test_galprop_intensities_and_those_times_energy_squared(tmp_path, units):
    cube = intensity()
    stored = cube * 1e-3 if units.startswith("MeV^-1") else cube * ENERGIES**2 * 1e3
    path = write_fits(
        tmp_path / "g.fits", healpix_cards(columns(stored, unit=units)), energies_table(ENERGIES * 1e3, unit="MeV")
    )
    is_the_model(read_template(path, flavour="per-flavour"), cube)


def test_bins_of_energy_hold_at_their_geometric_centres(tmp_path):
    cube, low, high = intensity(), ENERGIES / 2, ENERGIES * 2
    listed = [fits.Column("CHANNEL", "I", array=np.arange(5))]
    listed += [fits.Column(name, "D", array=e * 1e6, unit="keV") for name, e in (("E_MIN", low), ("E_MAX", high))]
    bounds = fits.BinTableHDU.from_columns(listed, name="EBOUNDS")
    path = write_fits(tmp_path / "m.fits", healpix_cards(columns(cube, name="CHANNEL")), bounds)
    is_the_model(read_template(path, flavour="each"), cube)


@pytest.mark.parametrize("software", ["HERMES", None])
def test_hermes_writes_one_table_per_energy_in_joule(tmp_path, software):
    cube = intensity()
    tables = [
        healpix_cards(
            fits.BinTableHDU.from_columns(
                [fits.Column("TFLOAT", "1E", array=values * 1e4, unit="GeV^-1 m^-2 s^-1 sr^-1")], name="xtension"
            ),
            ENERGY=energy * JOULE,
        )
        for energy, values in zip(ENERGIES, cube.T, strict=True)
    ]
    path = write_fits(tmp_path / "hermes.fits", *tables, **({"SOFTWARE": software} if software else {}))
    if software:
        is_the_model(read_template(path, flavour="each"), cube)
        assert understood(MapFile(path, flavour="each"))[1].format == "HERMES FITS"
    else:
        with pytest.raises(InputError, match="unit of its energies is not stated; say energies_unit"):
            read_template(path, flavour="each")
        is_the_model(read_template(path, flavour="each", energies_unit="J"), cube)


def test_one_hermes_table_holds_at_its_energy(tmp_path):
    table = healpix_cards(columns(intensity()[:, 2:3]), ENERGY=1e5 * JOULE)
    template, record = understood(MapFile(write_fits(tmp_path / "h.fits", table, SOFTWARE="HERMES"), flavour="each"))
    assert template.flux == pytest.approx(4 * np.pi * 1e-18 * 1e7)
    assert record.energies == pytest.approx((1, 1e5, 1e5))


def test_tables_of_two_resolutions(tmp_path):
    tables = [healpix_cards(columns(np.ones((12 * n**2, 1))), NSIDE=n, ENERGY=1e3 * n) for n in (4, 8)]
    with pytest.raises(InputError, match="tables differ in nside"):
        read_template(write_fits(tmp_path / "m.fits", *tables), flavour="each", energies_unit="GeV")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {}, "2 HEALPix tables, not each with the card ENERGY"),
        ({"ENERGY": 1e4}, {"ENERGY": 1e6, "NSIDE": 4}, "its columns have shape"),
        ({"ENERGY": 1e4}, {"ENERGY": 1e6, "ORDERING": "NESTED"}, "tables differ in ordering, frame or units"),
        ({"ENERGY": 1e6}, {"ENERGY": 1e6}, "energies do not rise"),
    ],
)
def test_tables_that_do_not_belong_together(tmp_path, first, second, message):
    cube = intensity()
    tables = [healpix_cards(columns(cube[:, k : k + 1]), **cards) for k, cards in enumerate((first, second))]
    with pytest.raises(InputError, match=message):
        read_template(write_fits(tmp_path / "m.fits", *tables), flavour="each", energies_unit="GeV")


# --- NumPy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["plain", "gz", "float32"])
def test_arrays_with_a_toml_file_beside(tmp_path, turned, kind):
    cube = intensity().T if turned else intensity()
    cube = cube.astype(np.float32) if kind == "float32" else cube
    path = save(tmp_path / "m.npy", cube)
    if kind == "gz":
        path = tmp_path / "m.npy.gz"
        path.write_bytes(gzip.compress((tmp_path / "m.npy").read_bytes()))
    lines = [f'{key} = "{word}"\n' for key, word in SAID.items()]
    lines += [f"energies = {(ENERGIES / 1e3).tolist()}\n", 'energies_unit = "TeV"\n']
    (tmp_path / "m.toml").write_text("".join(lines), encoding="utf-8")
    is_the_model(read_template(path), intensity())


def test_energies_may_be_said_in_many_ways(tmp_path):
    path = save(tmp_path / "m.npy", intensity())
    is_the_model(read_template(path, **SAID, energies=ENERGIES, energies_unit="GeV"), intensity())
    is_the_model(read_template(path, **SAID, energies=ENERGIES / 1e3 * u.TeV), intensity())
    is_the_model(read_template(path, **SAID, energies="1e0,1e1,1e2,1e3,1e4", energies_unit="TeV"), intensity())
    edges = np.geomspace(1e3 / 10**0.5, 1e7 * 10**0.5, 6)  # centres are ENERGIES
    is_the_model(read_template(path, **SAID, energies=edges, energies_unit="GeV"), intensity())
    is_the_model(read_template(path, **SAID, energies=edges[:-1], energies_unit="GeV", bins="edges"), intensity())


def test_the_number_of_energies_tells_apart_two_axes_that_could_be_pixels(tmp_path):
    energies = np.geomspace(1e3, 1e6, 12)
    path = save(tmp_path / "m.npy", intensity(energies).T)
    with pytest.raises(InputError, match="both could be the pixels: give the energies"):
        read_template(path, **SAID)
    is_the_model(read_template(path, **SAID, energies=energies, energies_unit="GeV"), intensity(energies), energies)


def test_all_flavours_are_thirds_and_a_relative_cube_has_no_flux(tmp_path):
    path = save(tmp_path / "m.npy", intensity())
    words = {**SAID, "energies": ENERGIES, "energies_unit": "GeV"}
    is_the_model(read_template(path, **words | {"flavour": "all"}), intensity(), factor=1 / 3)
    del words["flavour"]
    relative = read_template(path, **words | {"units": "relative dN/dE"})
    assert relative.flux == 0.0
    assert isinstance(relative.spectrum, TabulatedSpectrum)
    assert relative.maps == pytest.approx(read_template(path, **words, flavour="each").maps)


@pytest.mark.parametrize(
    ("units", "index"),
    [("relative dN/dE", 2.5), ("RELATIVE  dn/de", 2.5), ("relative E2 dN/dE", 4.5), ("relative E^2 dN/dE", 4.5)],
)
def test_a_relative_cube_says_of_what_it_is_relative(tmp_path, units, index):
    path = save(tmp_path / "m.npy", intensity())
    words = {**SAID, "energies": "1e3,1e4,1e5,1e6,1e7", "energies_unit": "GeV", "units": units, "flavour": ""}
    template, record = understood(MapFile(path, **words))
    # E^2 dN/dE that falls as E^-2.5 is a dN/dE that falls as E^-4.5.
    assert record.index == pytest.approx(index, rel=1e-9)
    assert template.flux == 0.0
    with pytest.raises(InputError, match=r"5 energies; say units=relative dN/dE or units=relative E2 dN/dE"):
        understood(MapFile(path, **words | {"units": "relative"}))


def test_a_file_that_says_of_what_it_is_relative_is_heard(tmp_path):
    table = healpix_cards(columns(intensity(), unit=None), UNITS="relative E2 dN/dE")
    path = write_fits(tmp_path / "m.fits", table, energies_table(ENERGIES, unit="GeV"))
    assert understood(MapFile(path, units="relative"))[1].index == pytest.approx(4.5, rel=1e-9)
    with pytest.raises(InputError, match="they must agree"):
        read_template(path, units="relative dN/dE")


@pytest.mark.parametrize("off", [0.0, 3e-7, 3e-6])
def test_maps_that_are_the_same_at_all_energies_are_one(tmp_path, off):
    cube = intensity()
    z = hp.pix2vec(NSIDE, np.arange(N_PIXELS))[2]
    cube = (2 + z)[:, None] * cube.sum(axis=0)
    cube[5, 3] *= 1 + off * 3 / (2 + z[5])  # by so much of the brightest pixel
    words = {**SAID, "energies": "1e3,1e4,1e5,1e6,1e7", "energies_unit": "GeV", "sure": "flux"}
    template, record = understood(MapFile(save(tmp_path / "m.npy", cube), **words))
    one = off < 1e-6
    assert len(template.maps) == (1 if one else 5)
    assert any("same at all energies" in note for note in record.notes) is one
    assert template.spectrum.shape(np.array([3.0])) == pytest.approx([1e5], rel=1e-5)
    assert template.density == pytest.approx(cube[:, 2] / cube[:, 2].sum() / AREA, rel=1e-9)


def test_a_galactic_nested_cube_is_turned_as_its_single_maps_are(tmp_path):
    rng = np.random.default_rng(2)
    cube = intensity() * rng.uniform(0.5, 2.0, (N_PIXELS, 1))
    nested = np.stack([hp.reorder(values, r2n=True) for values in cube.T])
    words = {**SAID, "frame": "galactic", "ordering": "nested", "energies": ENERGIES, "energies_unit": "GeV"}
    template = read_template(save(tmp_path / "m.npy", nested), **words)
    for k in range(5):
        alone = read_template(save(tmp_path / f"{k}.npy", cube[:, k]), frame="gal", ordering="ring", units="relative")
        assert template.maps[k] == pytest.approx(alone.density, rel=1e-12)


# --- the pickled tuple -------------------------------------------------------------------------------------------


def object_array(*items):
    array = np.empty(len(items), dtype=object)
    for k, item in enumerate(items):
        array[k] = item
    return array


def tuple_file(path, cube, energies, *, how="npy"):
    """As KRA-gamma: flux, two items that are of no use here, and the lower edges of the bins."""
    items = (cube, np.array([NSIDE]), np.array([1.0, 2.0]), energies)
    if how == "npy":
        np.save(path, object_array(*items), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(items, protocol=how))
    return path


@pytest.mark.parametrize("how", ["npy", 2, 4, 5])
def test_the_tuple_of_kra_gamma(tmp_path, how):
    lower = 100.0 * 1.1 ** np.arange(120)
    cube = intensity(lower * 1.1**0.5)
    path = tuple_file(tmp_path / "kra.tuple.npy", cube, lower, how=how)
    template, record = understood(MapFile(path, frame="icrs", ordering="ring"))
    x = np.log10(lower * 1.1**0.5)
    assert template.spectrum.log10_energy == pytest.approx(x)
    whole = np.interp(5.0, x, np.log10(cube.sum(axis=0) * AREA))
    assert template.flux == pytest.approx(10**whole * 1e7 / 3, rel=1e-6)
    assert (record.units, record.flavour) == (INTENSITY, "all-flavours")
    assert any("by the convention of this format: units" in note for note in record.notes)
    assert template.log10_energy[0] == pytest.approx(x[0])
    with pytest.raises(InputError, match="frame is not stated"):
        read_template(path, ordering="ring")


def test_the_fourth_item_of_a_tuple_is_the_energies_where_others_could_be(tmp_path):
    path = tmp_path / "m.npy"
    path.write_bytes(pickle.dumps((intensity(), ENERGIES * 2, ENERGIES * 3, ENERGIES)))
    is_the_model(read_template(path, **SAID, bins="centres"), intensity())


def test_a_tuple_can_be_said_to_hold_something_else(tmp_path):
    path = tuple_file(tmp_path / "m.npy", intensity(), ENERGIES)
    is_the_model(read_template(path, **SAID, bins="centres"), intensity())


class Evil:
    """Runs a command when it is unpickled by an ordinary reader."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.system, (f"touch {self.witness}",)


class Subclass(np.ndarray):
    """An array with a class of its own, which a pickle would have to import."""


@pytest.mark.parametrize("wrap", ["bare", "tuple", "npy"])
def test_a_pickle_that_would_run_a_command_is_refused_before_it_does(tmp_path, wrap):
    witness = tmp_path / "witness"
    path = tmp_path / "m.npy"
    if wrap == "npy":
        np.save(path, object_array(intensity(), Evil(witness)), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Evil(witness) if wrap == "bare" else (intensity(), Evil(witness))))
    with pytest.raises(InputError, match=r"names posix.system, which is not an array of numbers"):
        read_template(path, **SAID)
    assert not witness.exists()
    with path.open("rb") as stream:  # the witness does appear where nothing guards
        pickle.load(stream) if wrap != "npy" else np.load(path, allow_pickle=True)
    assert witness.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cbuiltins\neval\n(S'1'\ntR.", "names builtins.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", "names numpy.load"),
        (b"cnumpy.core.multiarray\nscalar\n.", "names numpy.core.multiarray.scalar"),
        (pickle.dumps({"a": 1}), "it holds a dict, expected arrays"),
        (pickle.dumps(np.ones(3).view(Subclass)), "Subclass, which is not an array"),
        (pickle.dumps(np.array(["a"])), "it holds <U1, expected real numbers"),
        (b"cnumpy\ndtype\nS'__doc__'\nb.", "it changes numpy.dtype, which is no array"),
        (pickle.dumps((np.ones(5), np.ones(3)))[:-20], "damaged|truncated|ran out"),
        (b"", "damaged: it ran out"),
    ],
)
def test_pickles_that_hold_more_than_arrays(content, message):
    with pytest.raises(NoArrays, match=message):
        read_arrays(io.BytesIO(content))


def test_names_are_not_changed_by_a_pickle():
    """BUILD sets attributes on what a pickle names: on numpy's own functions it would outlive the reading."""
    build = b"cnumpy.core.multiarray\n_reconstruct\n(NNtb."
    assert "BUILD" in {op.name for op, _, _ in pickletools.genops(build)}
    with pytest.raises(NoArrays, match=r"it changes numpy.core.multiarray._reconstruct, which is no array"):
        read_arrays(io.BytesIO(build))


def test_a_singleton_type_is_not_changed_by_a_pickle():
    content = b"cnumpy\ndtype\n(S'f8'\nI00\nI00\ntR(I3\nS'>'\nNNNI-1\nI-1\nI0\ntb."
    with pytest.raises(NoArrays, match="expected arrays"):
        read_arrays(io.BytesIO(content))
    assert np.dtype("f8").isnative


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((np.ones(5), np.ones(6)), "0 arrays of two axes"),
        ((intensity(), intensity()), "2 arrays of two axes"),
        ((intensity(), np.ones(4)), "0 lists that could be its 5 energies; say energies="),
        ((intensity(), ENERGIES, ENERGIES * 2), "2 lists that could be its 5 energies"),
    ],
)
def test_tuples_that_hold_no_map(tmp_path, items, message):
    path = tmp_path / "m.npy"
    path.write_bytes(pickle.dumps(items))
    with pytest.raises(InputError, match=message):
        read_template(path, **SAID)


# --- HDF5 --------------------------------------------------------------------------------------------------------


def kra_file(path, cube):
    table = np.zeros(cube.size, dtype=[("index", "i8"), ("value", "f8")])
    table["value"] = cube.T.ravel()  # index = energy * n_pixels + pixel
    with h5py.File(path, "w") as file:
        file.create_dataset("flux", data=table)
    return path


def test_the_flat_table_of_kra_gamma(tmp_path):
    energies = 10.0 * 1.1 ** np.arange(171)
    cube = intensity(energies)
    template, record = understood(MapFile(kra_file(tmp_path / "kra.hd5", cube)))
    assert (record.format, record.frame, record.nside) == ("KRA-gamma HDF5", "galactic", NSIDE)
    assert record.energies == pytest.approx((171, 10.0, 10.0 * 1.1**170))
    assert template.spectrum.log10_energy == pytest.approx(np.log10(energies))
    whole = np.interp(5.0, np.log10(energies), np.log10(cube.sum(axis=0) * AREA))
    assert template.flux == pytest.approx(10**whole * 1e7 / 3, rel=1e-6)
    assert "thinned 171 energies to 35 maps; the spectrum keeps all" in record.notes


def test_a_flat_table_of_another_size(tmp_path):
    energies = 10.0 * 1.1 ** np.arange(120)
    path = kra_file(tmp_path / "kra.h5", intensity(energies))
    with pytest.raises(InputError, match=f"/flux has {120 * N_PIXELS} values, expected 171 energies times 12 nside"):
        read_template(path)
    template = read_template(path, nside=NSIDE)
    assert template.spectrum.log10_energy == pytest.approx(np.log10(energies))
    with pytest.raises(InputError, match="nside is said to be '7'; expected a power of two"):
        read_template(path, nside=7)


@pytest.mark.parametrize("turned", [False, True])
def test_datasets_are_found_by_their_shape(tmp_path, turned):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["model/sky"] = intensity().T if turned else intensity()
        file["model/E"] = ENERGIES / 1e3
        file["model/E"].attrs["unit"] = "TeV"
        file["model/other"] = np.arange(4.0)
        file["model/sky"].attrs.update(SAID)
    is_the_model(read_template(path), intensity())
    with h5py.File(path, "a") as file:
        file["model/E2"] = ENERGIES
        file["model/sky2"] = 2 * (intensity().T if turned else intensity())
    with pytest.raises(InputError, match="do not show which of them is the map; say map=/PATH"):
        read_template(path)
    with pytest.raises(InputError, match=r"energies are not clear; say energies=/PATH .fitting: /model/E, /model/E2"):
        read_template(path, map="/model/sky")
    is_the_model(read_template(path, map="/model/sky", energies="/model/E"), intensity())
    with pytest.raises(InputError, match="no dataset '/model/cloud'"):
        read_template(path, map="/model/cloud")


def test_hdf5_files_that_are_none(tmp_path):
    (tmp_path / "text.h5").write_text("hello")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    whole = kra_file(tmp_path / "kra.h5", intensity()).read_bytes()
    (tmp_path / "torn.h5").write_bytes(whole[: len(whole) // 2])
    for name in ("text.h5", "torn.h5"):
        with pytest.raises(InputError, match="not readable HDF5"):
            read_template(tmp_path / name)
    with pytest.raises(InputError, match="No such file or directory; check the name"):
        read_template(tmp_path / "absent.h5")
    with pytest.raises(InputError, match="found none"):
        read_template(tmp_path / "empty.h5", **SAID)


# --- refused in any format ---------------------------------------------------------------------------------------


def spoiled(where, value):
    cube = intensity()
    cube[where] = value
    return cube


@pytest.mark.parametrize(
    ("cube", "more", "message"),
    [
        (intensity(), {"energies": ENERGIES[:-1]}, "4 energies for 5 maps"),
        (intensity(), {"energies": ENERGIES[::-1]}, "energies do not rise"),
        (intensity(), {"energies": np.full(5, np.nan)}, "energies do not rise"),
        (intensity(), {"energies": -ENERGIES}, "energies do not rise"),
        (intensity(), {"energies": ENERGIES / 1e3}, r"from 1 to 1e\+04 GeV; expected a range that holds 100 TeV"),
        (intensity(), {"energies": ENERGIES * 1e3}, r"from 1e\+06 to 1e\+10 GeV; expected a range"),
        (intensity(), {"energies_unit": "Gev"}, "unit of its energies is said to be 'Gev'. Did you mean 'GeV'"),
        (intensity(), {"energies": "1e3,1e4,x"}, "energies are said to be '1e3,1e4,x', which is no list of numbers"),
        (intensity(), {"nside": "8"}, "in the call it says nside=8, which NumPy array does not use; leave it out"),
        (intensity(), {"map": "/sky"}, "it says map=/sky, which NumPy array does not use"),
        (intensity(), {"energies_unit": ""}, "unit of its energies is not stated"),
        (intensity(), {"index": 2.7}, "index is said, but the file has 5 energies; leave it out"),
        (intensity(), {"energy": "1TeV"}, "energy is said, but the file has 5 energies"),
        (spoiled((3, 2), np.nan), {}, "1 pixels are NaN"),
        (spoiled((slice(4), 1), -1.0), {}, "4 pixels are negative"),
        (spoiled((slice(2), 0), hp.UNSEEN), {}, "2 pixels are marked UNSEEN"),
        (spoiled((slice(None), 1), 0.0), {}, "1 energies below the highest that shines have no flux"),
        (spoiled((slice(None), slice(2, 5)), 0.0), {}, r"flux ends at 1e\+04 GeV; expected flux at 100 TeV"),
        (intensity() * 0, {}, "all pixels are zero"),
    ],
)
def test_cubes_that_do_not_do(tmp_path, cube, more, message):
    words = {**SAID, "energies": ENERGIES, "energies_unit": "GeV", **more}
    with pytest.raises(InputError, match=message):
        read_template(save(tmp_path / "m.npy", cube), **words)


def test_a_toml_file_may_be_wrong_too(tmp_path):
    path = save(tmp_path / "m.npy", intensity())
    (tmp_path / "m.toml").write_text('bins = "middle"\n', encoding="utf-8")
    with pytest.raises(InputError, match="bins is said to be 'middle', expected one of centres"):
        read_template(path, **SAID, energies=ENERGIES, energies_unit="GeV")


def test_file_and_caller_must_agree_on_the_energies(tmp_path):
    path = write_fits(tmp_path / "m.fits", healpix_cards(columns(intensity())), energies_table(ENERGIES, unit="GeV"))
    assert read_template(path, flavour="each", energies=ENERGIES).flux > 0
    with pytest.raises(InputError, match="energies are said to be others than those in the file"):
        read_template(path, flavour="each", energies=ENERGIES * 1.1)


def test_all_faults_of_a_cube_come_in_one_message(tmp_path):
    path = save(tmp_path / "m.npy", spoiled((3, 2), np.nan))
    with pytest.raises(InputError) as caught:
        read_template(path, units="K", energies=ENERGIES[::-1])
    for part in (
        "frame is not stated", "ordering is not stated", "units 'K' are no", "flavour is not stated",
        "unit of its energies is not stated", "energies do not rise", "1 pixels are NaN",
    ):  # fmt: skip
        assert part in str(caught.value)


def test_a_cut_off_ends_the_spectrum(tmp_path):
    path = save(tmp_path / "m.npy", spoiled((slice(None), 4), 0.0))
    template, record = understood(
        MapFile(path, **SAID, energies=",".join(map(repr, ENERGIES.tolist())), energies_unit="GeV")
    )
    assert (template.spectrum.shape(np.array([5.9, 6.1])) > 0).tolist() == [True, False]
    assert template.log10_energy == pytest.approx([3, 4, 5, 6])
    assert "the flux ends 1 energies before the last" in record.notes


# --- thinning ----------------------------------------------------------------------------------------------------


def test_six_energies_per_decade_are_not_thinned():
    x = np.linspace(2, 8, 37)
    nodes, weights = thin(x)
    assert np.array_equal(nodes, x)
    assert np.array_equal(weights, np.eye(37))


@pytest.mark.parametrize("x", [np.log10(10 * 1.1 ** np.arange(171)), np.linspace(2, 5.01, 50), np.array([4.99, 5.01])])
def test_nodes_of_a_thinned_file(x):
    nodes, weights = thin(x)
    assert set(nodes) <= set(x)
    assert (nodes[0], nodes[-1]) == (x[0], x[-1])
    assert len(nodes) <= max(2, 6 * (x[-1] - x[0]) + 1)
    gaps = np.diff(x)
    widths = (np.append(gaps, 0) + np.append(0, gaps)) / 2
    # Every energy is given away once: the neutrinos of its bin, E dN/dE dlog10 E.
    assert weights.sum(axis=0) == pytest.approx(widths * 10 ** (x - x[0]), rel=1e-12)


def test_energies_may_be_said_with_a_plus_and_in_brackets(tmp_path):
    path = save(tmp_path / "m.npy", intensity())
    rest = "frame=equatorial&ordering=ring&flavour=each&units=GeV-1+cm-2+s-1+sr-1&energies_unit=GeV"
    for listed in ("1e+03,1.e+04,1E+5,1e6,1e+07", "[1e3, 1e4,1e5,1e6,1e7]", "(1000,10000,100000,1000000,1e+7)"):
        is_the_model(read(parse(f"{path}?{rest}&energies={listed}")), intensity())


def test_edges_that_the_file_gives_are_not_taken_for_edges_again(tmp_path):
    cube, low, high = intensity(), ENERGIES / 2, ENERGIES * 2
    listed = [fits.Column(name, "D", array=e, unit="GeV") for name, e in (("E_MIN", low), ("E_MAX", high))]
    bounds = fits.BinTableHDU.from_columns(listed, name="EBOUNDS")
    path = write_fits(tmp_path / "m.fits", healpix_cards(columns(cube)), bounds)
    with pytest.raises(InputError, match="bins is 'centres' in the file and 'edges' in the call"):
        read_template(path, flavour="each", bins="edges")


@pytest.mark.parametrize(("null", "scale"), [(99, None), (-1, None), (99, 0.5)])
def test_pixels_that_a_fits_file_marks_as_missing(tmp_path, null, scale):
    values = np.arange(1, N_PIXELS + 1) % 50 + 1
    values[:3] = null
    column = fits.Column("T", "J", array=values, null=null)
    table = healpix_cards(fits.BinTableHDU.from_columns([column]), UNITS="relative")
    if scale:
        table.header["TSCAL1"] = scale
    with pytest.raises(InputError, match=r"3 pixels are marked as missing \(TNULL\); put 0"):
        read_template(write_fits(tmp_path / "m.fits", table))


def test_thinning_keeps_the_neutrinos_of_every_pixel_and_nearly_every_map(tmp_path):
    energies = 10.0 * 1.1 ** np.arange(171)
    cube = intensity(energies)
    x = np.log10(energies)
    nodes, weights = thin(x)
    summed = sum_up(lambda a, b: cube[a:b], weights, N_PIXELS)
    gaps = np.diff(x)
    widths = (np.append(gaps, 0) + np.append(0, gaps)) / 2
    assert summed.maps.sum(axis=0) == pytest.approx(cube @ (widths * energies / energies[0]), rel=1e-12)
    words = {**SAID, "energies": energies, "energies_unit": "GeV"}
    template = read_template(save(tmp_path / "m.npy", cube), **words)
    assert len(template.maps) == len(nodes) == 35
    for k in range(171):
        exact = cube[:, k] / cube[:, k].sum() / AREA
        # The dipole moves by 1.6 over seven decades; the first and last node average half a gap of 0.2 decades.
        assert template.density_at(x[k]) == pytest.approx(exact, abs=0.02 * exact.max())


def test_reading_in_fields_gives_what_reading_at_once_gives(monkeypatch):
    cube = intensity()
    weights = np.random.default_rng(4).uniform(size=(3, 5))
    whole = sum_up(lambda a, b: cube[a:b], weights, N_PIXELS)
    monkeypatch.setattr("nuanalysis.sky.templates._healpix.VALUES_PER_FIELD", 500)
    asked = []
    fields = sum_up(lambda a, b: (asked.append((a, b)), cube[a:b])[1], weights, N_PIXELS)
    assert (len(asked), asked[-1]) == (8, (700, N_PIXELS))
    assert fields.maps == pytest.approx(whole.maps, rel=1e-12)
    assert fields.totals == pytest.approx(whole.totals, rel=1e-12)
    assert fields.census == whole.census
