"""Map files of anybody: nothing in them is run, followed, believed about its size, or made a number that is none."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from nuanalysis import cli
from nuanalysis.errors import DataError, InputError, NuanalysisError
from nuanalysis.sky.templates import parse, pi0_published, read_array, read_template, understood
from nuanalysis.sky.templates._pickled import read_arrays

NSIDE = 8
N_PIXELS = 12 * NSIDE**2
RELATIVE = {"frame": "equatorial", "ordering": "ring", "units": "relative"}
FLUX = {**RELATIVE, "units": "GeV-1 cm-2 s-1 sr-1", "flavour": "per-flavour"}
VALUES = 1.0 + np.arange(N_PIXELS) / N_PIXELS


def fits_map(values: np.ndarray = VALUES, **cards: object) -> bytes:
    table = fits.BinTableHDU.from_columns([fits.Column("T", "D", array=values)])
    table.header.update({"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "C", **cards})
    buffer = BytesIO()
    table.writeto(buffer)
    return buffer.getvalue()


def npy(values: np.ndarray = VALUES) -> bytes:
    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# --- pickles -----------------------------------------------------------------------------------------------------

ITEMS = (
    np.arange(96.0).reshape(48, 2) / 7,
    np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    np.arange(3, dtype=">f4"),
    np.arange(2, dtype="u2"),
    [1.5, 2, 3.5],
)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [tuple, list, "object"])
def test_arrays_of_every_protocol_are_read_to_the_bit(protocol, kind):
    outer = np.empty(len(ITEMS), dtype=object)
    outer[:] = ITEMS
    content = pickle.dumps(outer if kind == "object" else kind(ITEMS), protocol=protocol)
    for found, item in zip(read_arrays(BytesIO(content)), ITEMS, strict=True):
        assert found.dtype == np.asarray(item).dtype
        assert np.array_equal(found, np.asarray(item))


@pytest.mark.parametrize("text", [rb"S'\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\x02\xc0'" + b"\n"])
def test_a_pickle_of_python_2_holds_bytes_as_text(text):
    content = (
        b"(lp0\ncnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntp3\nS'b'\np4\ntp5\nRp6\n(I1\n(I2\n"
        b"tp7\ncnumpy\ndtype\np8\n(S'f8'\np9\nI0\nI1\ntp10\nRp11\n(I3\nS'<'\np12\nNNNI-1\nI-1\nI0\ntp13\nbI00\n"
        + text
        + b"p14\ntp15\nba."
    )
    [found] = read_arrays(BytesIO(content))
    assert found.tolist() == [1.5, -2.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"(S'true'\nios\nsystem\n.", "names os.system"),
        (b"\x80\x02c__builtin__\nset\n.", "names __builtin__.set"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "names os.system"),
        (b"Pwho\n.", "asks for the step PERSID"),
        (b"\x80\x05\x97.", "asks for the step NEXT_BUFFER"),
        (b"\x82\x01.", "asks for the step EXT1"),
        (b"]\x94h\x00a.", "something else than numbers"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f.", "damaged"),
        (b"]" + b"(" + b"K\x01" * 3 + b"e(0000.", "damaged"),
        (b"](" + b"K\x01" * 50 + b"l\x94" + b"(" + b"h\x00" * 50 + b"e.", "something else than numbers"),
    ],
)
def test_a_pickle_can_do_nothing_else(content, message):
    with pytest.raises(ValueError, match=message):
        read_arrays(BytesIO(content))


def test_a_pickle_of_endless_steps_is_left(monkeypatch):
    monkeypatch.setattr("nuanalysis.sky.templates._pickled.MOST_STEPS", 1000)
    with pytest.raises(ValueError, match="takes more than 1,000 steps to read; keep numbers in arrays"):
        read_arrays(BytesIO(pickle.dumps([list(range(5000))])))


# --- HDF5 that reads other files ---------------------------------------------------------------------------------


def external_link(file, folder):
    file["sky"] = h5py.ExternalLink("other.h5", "/sky")


def deep_external_link(file, folder):
    file["sky"] = VALUES
    file["a/b/c"] = h5py.ExternalLink(str(folder / "other.h5"), "/")


def external_storage(file, folder):
    file.create_dataset("sky", shape=VALUES.shape, dtype="f8", external=[(str(folder / "raw"), 0, VALUES.nbytes)])


def virtual(file, folder):
    layout = h5py.VirtualLayout(shape=VALUES.shape, dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "sky", shape=VALUES.shape)
    file.create_virtual_dataset("sky", layout)


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (external_link, "/sky is a link to /sky in other.h5"),
        (deep_external_link, "/a/b/c is a link to / in "),
        (external_storage, "/sky has its values in "),
        (virtual, "/sky is virtual"),
    ],
)
def test_hdf5_that_reads_other_files_is_refused_and_a_copy_is_read(tmp_path, plant, message):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["sky"] = VALUES
    (tmp_path / "raw").write_bytes(VALUES.tobytes())
    with h5py.File(tmp_path / "m.h5", "w") as file:
        plant(file, tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_template(tmp_path / "m.h5", **RELATIVE)
    assert "for which its checksum does not speak" in str(caught.value)
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file.create_dataset("sky", data=VALUES)  # as the remedy says
        file["ring"] = file["/"]  # a group that holds itself, and a soft link, lead nowhere else
        file["soft"] = h5py.SoftLink("/sky")
    assert read_template(tmp_path / "n.h5", **RELATIVE).nside == NSIDE


def test_hdf5_of_other_types_is_no_map(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        kind = h5py.enum_dtype({"A": 0, "B": 1}, basetype="i4")
        file.create_dataset("enumeration", data=np.ones(N_PIXELS, "i4"), dtype=kind)
        file.create_dataset("lists", shape=(N_PIXELS,), dtype=h5py.vlen_dtype("f8"))
        file.create_dataset("references", shape=(N_PIXELS,), dtype=h5py.ref_dtype)
        file["empty"] = h5py.Empty("f8")
    with pytest.raises(InputError, match="do not show which of them is the map"):
        read_template(tmp_path / "m.h5", **RELATIVE)
    for name in ("enumeration", "lists", "references"):
        with pytest.raises(InputError, match=f"its dataset '/{name}' holds no plain real numbers"):
            read_template(tmp_path / "m.h5", **RELATIVE, map=f"/{name}")


# --- sizes -------------------------------------------------------------------------------------------------------


def test_headers_that_promise_more_than_the_file_holds(tmp_path):
    lie = npy()[:128].replace(f"({N_PIXELS},)".encode(), b"(13194139533312,)") + b"\0" * 800
    whole = fits_map()
    rows = f"NAXIS2  = {N_PIXELS:>20}".encode()
    assert rows in whole
    many = whole.replace(rows, f"NAXIS2  = {10**15:>20}".encode())
    for name, content in (("m.npy", lie), ("m.npy.gz", gzip.compress(lie)), ("m.fits", many)):
        with pytest.raises(InputError, match=r"promises [\d,]+ bytes|unpacked, expected at most"):
            read_template(put(tmp_path / name, content), **RELATIVE)
    with pytest.raises(InputError, match=r"holds [\d,]+ bytes unpacked, expected at most"):
        read_template(put(tmp_path / "m.fits.gz", gzip.compress(many)), **RELATIVE)


@pytest.mark.parametrize("name", ["m.npy.gz", "m.fits.gz", "m.npy", "m.csv"])
def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch, name):
    monkeypatch.setattr("nuanalysis.sky.templates._points.TABLE", 1 << 20)
    bomb = gzip.compress(b"\0" * (1 << 24))
    with pytest.raises(InputError, match=r"begins neither|SIMPLE|unpacks to more than 1,048,576 bytes"):
        read_template(put(tmp_path / name, bomb), **RELATIVE)
    behind = {"m.npy.gz": npy(), "m.fits.gz": fits_map()}.get(name)
    if behind:
        bomb = gzip.compress(behind + b"\1" * (1 << 24))
        with pytest.raises(InputError, match=r"the file holds more|no FITS follows"):
            read_template(put(tmp_path / name, bomb), **RELATIVE)


def test_the_limit_of_a_map_can_be_raised(tmp_path, monkeypatch):
    monkeypatch.setattr("nuanalysis.sky.templates._numpy.MAP", 1000)
    path = put(tmp_path / "m.npy.gz", gzip.compress(npy()))
    with pytest.raises(InputError, match="expected at most 1,000; if that is meant, set NUANALYSIS_LARGEST_MB=1"):
        read_template(path, **RELATIVE)
    monkeypatch.setenv("NUANALYSIS_LARGEST_MB", "1")
    assert read_template(path, **RELATIVE).nside == NSIDE


def test_hdf5_that_declares_more_than_it_holds(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("sky", shape=(12 * 2**30,), dtype="f8", chunks=(2**16,))
    with pytest.raises(InputError, match="holds 103,079,215,104 bytes unpacked, expected at most"):
        read_template(tmp_path / "m.h5", **RELATIVE)


def test_maps_that_do_not_fit_in_memory_are_refused_before_they_are_read(tmp_path):
    column = fits.Column("PIXEL", "J", array=[1]), fits.Column("T", "D", array=[1.0])
    table = fits.BinTableHDU.from_columns(column)
    table.header.update({"NSIDE": 2**15, "ORDERING": "RING", "COORDSYS": "C", "INDXSCHM": "EXPLICIT"})
    table.writeto(tmp_path / "m.fits")
    with pytest.raises(InputError, match=r"in float64 the map of .* holds 103,079,215,104 bytes"):
        read_template(tmp_path / "m.fits", units="relative", fill=0)


@pytest.mark.parametrize("name", ["m.npy", "m.fits", "m.h5", "m.csv", "m.npy.gz"])
def test_what_never_ends_is_not_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is a device, pipe or socket, expected a file"):
        read_template(tmp_path / name, **RELATIVE)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is a device, pipe or socket"):
        read_template(tmp_path / name, **RELATIVE)


def test_what_never_ends_beside_a_map_is_not_opened(tmp_path):
    path = put(tmp_path / "m.npy", npy())
    os.mkfifo(tmp_path / "m.toml")
    with pytest.raises(InputError, match=r"m.toml is a device, pipe or socket"):
        read_template(path, **RELATIVE)


def test_a_deep_or_odd_file_beside_a_map(tmp_path):
    path = put(tmp_path / "m.npy", npy())
    for text, message in (
        ("frame = " + "[" * 9999, "nests deeper than 100 levels"),
        ("index = " + "9" * 9999, "is not TOML"),
        ("energies = [{a = 1}]", "says energies = .*; expected a word, a number or a list"),
        ("frame = 1979-05-27", "expected a word, a number or a list"),
    ):
        (tmp_path / "m.toml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_template(path, **RELATIVE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"TFORM1  = 'D       '", b"TFORM1  = 'ZZZ     '", "Format 'ZZZ' is not recognized"),
        (
            b"TFORM1  = 'D       '",
            b"TFORM1  = 'E       '",
            "take 4 bytes a row, but its header says NAXIS1 = 8",
        ),
        (b"TFORM1  = 'D       '", b"TFORM1  = '9999999D'", "columns take 79999992 bytes a row"),
        (b"TFORM1  = 'D       '", b"TFORM1  = 'PE(9)   '", "columns T are not real numbers; say column=NAME"),
        (b"NSIDE   =                    8", b"NSIDE   =                   -8", "NSIDE = -8, expected a power of two"),
        (b"NSIDE   =                    8", b"NSIDE   =                    T", "NSIDE = True, expected a power of two"),
        (b"NSIDE   =                    8", b"NSIDE   = 99999999999999999999", "NSIDE = 99999999999999999999"),
        (b"NAXIS2  = ", b"NAXIS2  =-", "gives no size, or none that is a whole number"),
        (b"PCOUNT  =                    0", b"PCOUNT  =                   -9", "negative size"),
        (b"END  ", b"ENDE ", "a header has no end"),
    ],
)
def test_fits_headers_that_a_library_believes_or_chokes_on(tmp_path, old, new, message):
    whole = fits_map(UNITS="relative")
    at = whole.rindex(old) if old == b"END  " else whole.index(old)
    path = put(tmp_path / "m.fits", whole[:at] + new + whole[at + len(new) :])
    with pytest.raises(InputError, match=message):
        read_template(path)


# --- numbers that are none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e308, 1e-320, 1e-307])
def test_sums_that_overflow_or_vanish_are_refused_and_scaled_maps_read(scale):
    with pytest.raises(InputError, match=r"its values add up to .*; expected sums between 1e-250 and 1e.250"):
        read_array(np.full(N_PIXELS, scale), **RELATIVE)
    assert read_array(np.full(N_PIXELS, scale) / scale, **RELATIVE).nside == NSIDE


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"units": "1e200 GeV-1 cm-2 s-1 sr-1", "energy": "100TeV"}, "its units .* are 1e.200"),
        ({"units": "TeV cm-2 s-1 sr-1", "energy": "1e300TeV"}, "its energy is 1e.303 GeV; expected 1e-06 to 1e.15 GeV"),
        ({"energy": "1e-30eV"}, "its energy is 1e-39 GeV; expected 1e-06"),
        ({"units": "(" * 5000, "energy": "1TeV"}, "cannot be read; expected such as"),
    ],
)
def test_units_and_energies_out_of_range(more, message):
    with pytest.raises(InputError, match=message):
        read_array(VALUES, **{**FLUX, **more})


def test_energies_of_a_cube_out_of_range():
    cube = VALUES[:, None] * np.array([1e-15, 1e-20])
    with pytest.raises(InputError, match=r"run from 1e-300 to 1e.05 GeV; expected 1e-06 to 1e.15 GeV"):
        read_array(cube, **FLUX, energies="1e-300,1e5", energies_unit="GeV")
    with pytest.raises(InputError, match="nside is said to be '4294967296'"):
        read_template("x.csv", nside=2**32)
    with pytest.raises(InputError, match="expected a power of two"):
        read_template("x.csv", nside="9" * 5000)


def test_a_list_of_sources_that_overflows(tmp_path):
    path = put(tmp_path / "m.csv", b"ra,dec,weight\n1,1,1e308\n2,2,1e308\n")
    with pytest.raises(InputError, match="its fluxes are not all 0 or more with a positive sum"):
        read_template(path)
    path = put(tmp_path / "m.csv", b"ra,dec,flux\n1,1,1e300\n")
    with pytest.raises(InputError, match="its values add up to 1e"):
        read_template(path, units="TeV cm-2 s-1", flavour="each", energy="1TeV")


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("kra", [4.53e-12, 12e-12, 38e-12])
def test_a_flux_a_thousand_times_off_is_doubted_and_can_be_vouched_for(kra, factor):
    value = factor * kra / 1e7 / (4 * np.pi)  # E^2 = 1e10 GeV^2, TeV
    words = {**FLUX, "energy": "100TeV"}
    if factor == 1.0:
        assert read_array(np.full(N_PIXELS, value), **words).flux == pytest.approx(kra)
        return
    with pytest.raises(InputError, match=r"its flux is .* times the extrapolated Fermi pi0 model; .* say sure=flux"):
        read_array(np.full(N_PIXELS, value), **words)
    assert read_array(np.full(N_PIXELS, value), **words, sure="flux").flux == pytest.approx(factor * kra)


def test_all_astrophysical_neutrinos_are_not_doubted():
    read_array(np.full(N_PIXELS, 1.66e-18), **FLUX, energy="100TeV", index=2.53)  # Phys. Rev. Lett. 125, 121104


# --- other ways in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flux", ["inf", "nan", "-1"])
def test_a_flux_on_the_command_line_is_a_number(flux, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["templates", "show", "isotropic?nside=8", "--flux", flux])
    assert caught.value.code == 2
    assert "--flux" in capsys.readouterr().err


def test_a_name_too_long_for_a_file_is_no_template(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["templates", "check", "a" * 5000 + ".npy"])
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_published_map_is_no_pickle(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "witness"),)

    lie = io.BytesIO()
    np.lib.format.write_array_header_1_0(lie, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    for content in (pickle.dumps(Evil()), b"", b"\x93NUMPY", npy()[:-3], lie.getvalue()):
        with pytest.raises(DataError, match="data fetch"):
            pi0_published.read_template(put(tmp_path / "m.npy", content))
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize("seed", range(4))
def test_spoiled_files_are_read_or_refused_in_our_words(tmp_path, seed):
    rng = random.Random(seed)
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["sky"] = VALUES
    whole = {
        "m.fits": fits_map(),
        "m.fits.gz": gzip.compress(fits_map()),
        "m.npy": npy(),
        "p.npy": pickle.dumps((VALUES[:, None] * np.ones(2), np.array([1e4, 1e6]))),
        "m.h5": (tmp_path / "whole.h5").read_bytes(),
        "m.csv": b"ra,dec,weight\n1,2,3\n",
    }
    for name, content in whole.items():
        for _ in range(15):
            spoiled = bytearray(content)
            for _ in range(rng.choice([1, 3, 9])):
                at = min(int(rng.expovariate(1 / 300)), len(spoiled) - 1)
                spoiled[at : at + rng.choice([0, 1, 8])] = rng.choice([b"", b"\xff", b"9" * 9, b"\0", b"-"])
            try:
                found = understood(parse(f"{put(tmp_path / name, bytes(spoiled))}?{QUERY[name[-1]]}"))[0]
            except NuanalysisError:
                continue
            assert np.all(np.isfinite(found.maps))


QUERY = {
    "s": "units=relative", "z": "units=relative", "v": "units=relative", "5": "frame=c&ordering=ring&units=relative",
    "y": "frame=c&ordering=ring&units=relative dN/dE&bins=centres",
}  # fmt: skip
