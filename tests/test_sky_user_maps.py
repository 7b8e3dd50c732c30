"""Users' maps: what is accepted, how it is turned, and every fault that refuses one."""

import gzip
import hashlib

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits

from nuanalysis.errors import InputError
from nuanalysis.sky.templates import parse, read, read_template
from nuanalysis.sky.templates._healpix import to_equatorial

NSIDE = 32
N_PIXELS = 12 * NSIDE**2


def positive_map(nside=NSIDE):
    return np.random.default_rng(5).uniform(0.5, 2.0, 12 * nside**2)


def one_pixel(lon_deg, lat_deg, *, nside=NSIDE, nest=False):
    values = np.zeros(12 * nside**2)
    values[hp.ang2pix(nside, lon_deg, lat_deg, lonlat=True, nest=nest)] = 3.0
    return values


def save(path, values):
    np.save(path, values)
    return path


def save_fits(path, values, **cards):
    """A HEALPix table written by hand, so that any card can be left out (None) or wrong."""
    header = {"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "C", "INDXSCHM": "IMPLICIT"}
    header.update(cards)
    columns = [fits.Column(f"C{i}", "D", array=column) for i, column in enumerate(np.atleast_2d(values))]
    table = fits.BinTableHDU.from_columns(columns)
    for card, value in header.items():
        if value is not None:
            table.header[card] = value
    table.writeto(path)
    return path


def centre_of(template):
    """RA and declination in deg of the density-weighted mean direction."""
    vectors = np.array(hp.pix2vec(template.nside, np.arange(len(template.density))))
    ra, dec = hp.vec2ang(vectors @ template.density, lonlat=True)
    return float(ra[0]), float(dec[0])


def integral(density):
    return density.sum() * 4 * np.pi / len(density)


# --- accepted ----------------------------------------------------------------------------------------------------


def test_equatorial_ring_array_is_only_scaled(tmp_path):
    values = positive_map()
    template = read_template(save(tmp_path / "mine.npy", values), frame="equatorial", ordering="ring", index=2.5)
    assert template.density == pytest.approx(values / integral(values), rel=1e-12)
    assert (template.name, template.origin, template.spectrum.index) == ("mine", "user file", 2.5)
    assert template.sha256 == hashlib.sha256((tmp_path / "mine.npy").read_bytes()).hexdigest()


def test_nested_is_reordered(tmp_path):
    values = positive_map()
    nested = save(tmp_path / "n.npy", hp.reorder(values, r2n=True))
    ring = save(tmp_path / "r.npy", values)
    one = read_template(nested, frame="icrs", ordering="NESTED")
    other = read_template(ring, frame="equatorial", ordering="ring")
    assert np.array_equal(one.density, other.density)


def test_scale_and_integer_type_do_not_matter(tmp_path):
    counts = np.random.default_rng(1).integers(0, 9, N_PIXELS)
    one = read_template(save(tmp_path / "i.npy", counts), frame="equatorial", ordering="ring")
    other = read_template(save(tmp_path / "f.npy", counts * 1e-30), frame="equatorial", ordering="ring")
    assert one.density == pytest.approx(other.density, rel=1e-12)


def test_frame_and_ordering_from_a_sidecar(tmp_path):
    path = save(tmp_path / "m.npy", positive_map())
    (tmp_path / "m.toml").write_text('frame = "equatorial"\nordering = "ring"\n', encoding="utf-8")
    assert integral(read_template(path).density) == pytest.approx(1)


@pytest.mark.parametrize("nest", [False, True])
def test_fits_of_healpy_states_all_that_is_needed(tmp_path, nest):
    path = tmp_path / "map.fits.gz"
    hp.write_map(path, one_pixel(0, 0, nside=128, nest=nest), nest=nest, coord="G", dtype=np.float64)
    template = read_template(path)
    assert template.name == "map"
    assert centre_of(template) == pytest.approx((266.4, -28.9), abs=0.5)


def test_fits_packed_in_long_rows(tmp_path):
    values = positive_map()
    table = fits.BinTableHDU.from_columns([fits.Column("T", "1024D", array=values.reshape(-1, 1024))])
    table.header.update({"NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "C"})
    table.writeto(tmp_path / "packed.fits")
    assert read_template(tmp_path / "packed.fits").density == pytest.approx(values / integral(values), rel=1e-12)


def test_a_fits_file_that_does_not_say_can_be_told(tmp_path):
    path = save_fits(tmp_path / "m.fits", positive_map(), COORDSYS=None)
    with pytest.raises(InputError, match="frame is not stated"):
        read_template(path)
    assert integral(read_template(path, frame="equatorial").density) == pytest.approx(1)


# --- turned ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lon", "lat", "ra", "dec"),
    [
        (0.0, 0.0, 266.405, -28.936),  # Galactic Centre
        (0.0, 90.0, 192.859, 27.128),  # Galactic pole
        (184.5575, -5.7843, 83.633, 22.014),  # Crab
    ],
)
def test_a_hot_galactic_pixel_ends_where_it_should(tmp_path, lon, lat, ra, dec):
    path = save(tmp_path / "hot.npy", one_pixel(lon, lat, nside=128))
    template = read_template(path, frame="galactic", ordering="ring")
    off = hp.rotator.angdist(centre_of(template), (ra, dec), lonlat=True)
    assert np.degrees(off) < 0.5  # the pixel's own centre may be 0.4 deg away
    assert integral(template.density) == pytest.approx(1)


def test_turning_keeps_sign_and_integral_and_large_scales():
    longitude, latitude = hp.pix2ang(64, np.arange(12 * 64**2), lonlat=True)
    broad = np.exp(-((latitude / 15) ** 2)) * (2 + np.cos(np.radians(longitude)))
    turned = to_equatorial(broad)
    assert turned.sum() == pytest.approx(broad.sum(), rel=1e-12)
    assert turned.min() >= 0
    there = hp.Rotator(coord=["C", "G"])(*hp.pix2ang(64, np.arange(len(broad)), lonlat=True), lonlat=True)
    exact = np.exp(-((there[1] / 15) ** 2)) * (2 + np.cos(np.radians(there[0])))
    assert turned == pytest.approx(exact, abs=0.03 * exact.max())


@pytest.mark.real_data
def test_the_free_galactic_map_lies_on_the_published_equatorial_one(tmp_path, mirror):
    packed = mirror / "galactic_templates" / "fermi_galactic_emission_nside128_galactic.npy.gz"
    (tmp_path / "fermi.npy").write_bytes(gzip.decompress(packed.read_bytes()))
    turned = read_template(tmp_path / "fermi.npy", frame="galactic", ordering="ring", index=2.71)
    published = np.load(mirror / "icecube_gp2023_inputs" / "MainResult" / "Fermi-LAT_pi0_map.npy")
    assert np.corrcoef(turned.density, published)[0, 1] == pytest.approx(0.990, abs=0.003)  # data.md


# --- refused -----------------------------------------------------------------------------------------------------


def test_all_faults_come_in_one_message(tmp_path):
    values = positive_map()[:-1]
    values[:3], values[3:5] = np.nan, -2.0
    with pytest.raises(InputError) as caught:
        read_template(save(tmp_path / "bad.npy", values))
    message = str(caught.value)
    for part in (
        f"{N_PIXELS - 1} pixels", "3 pixels are NaN", "2 pixels are negative (the lowest is -2)",
        "frame is not stated", "ordering is not stated", "bad.npy", "frame=galactic&ordering=ring",
    ):  # fmt: skip
        assert part in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(N_PIXELS), "all pixels are zero"),
        (np.full(N_PIXELS, hp.UNSEEN), f"{N_PIXELS} pixels are marked UNSEEN"),
        (np.full(N_PIXELS, np.inf), f"{N_PIXELS} pixels are NaN or infinite"),
        (np.ones((N_PIXELS, 3)), r"2 axes, shape \(12288, 3\).*sum over energy"),
        (np.ones(12 * 48**2), "nside a power of two"),
        (np.ones(0), "0 pixels"),
        (np.ones(N_PIXELS) * 1j, "complex128, expected real"),
        (np.array(["a"] * N_PIXELS), "expected real numbers"),
    ],
)
def test_arrays_that_are_no_map(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        read_template(save(tmp_path / "m.npy", values), frame="equatorial", ordering="ring")


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"ORDERING": None}, "ordering is not stated"),
        ({"ORDERING": "SPIRAL"}, "ordering is said to be 'SPIRAL'"),
        ({"COORDSYS": "E"}, "frame is said to be 'E'"),
        ({"NSIDE": None}, "NSIDE = None"),
        ({"NSIDE": 16}, "2 axes.*sum over energy"),
        ({"INDXSCHM": "EXPLICIT"}, "part of the sky"),
    ],
)
def test_fits_headers_that_do_not_do(tmp_path, cards, message):
    with pytest.raises(InputError, match=message):
        read_template(save_fits(tmp_path / "m.fits", positive_map(), **cards))


def test_fits_with_several_columns_has_an_energy_axis(tmp_path):
    path = save_fits(tmp_path / "cube.fits", np.stack([positive_map()] * 3))
    with pytest.raises(InputError, match=r"shape \(12288, 3\).*map\[:, k\]"):
        read_template(path)


def test_file_and_caller_must_agree(tmp_path):
    path = save_fits(tmp_path / "m.fits", positive_map())
    with pytest.raises(InputError, match="frame is 'C' in the file and 'galactic' in the call"):
        read_template(path, frame="galactic")


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_template(tmp_path / "absent.npy")
    (tmp_path / "m.txt").write_text("1 2 3")
    with pytest.raises(InputError, match="ends in neither"):
        read_template(tmp_path / "m.txt")
    (tmp_path / "pickle.npy").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InputError, match="not a plain NumPy array"):
        read_template(tmp_path / "pickle.npy")
    for name, content in (("text.fits", b"hello"), ("text.fits.gz", b"\x1f\x8b\x08hello"), ("empty.fits", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not readable FITS"):
            read_template(tmp_path / name)
    fits.PrimaryHDU(np.ones((2, 2))).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match="no binary table"):
        read_template(tmp_path / "image.fits")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_fits_file_is_refused(tmp_path, kept):
    whole = save_fits(tmp_path / "m.fits", positive_map()).read_bytes()
    (tmp_path / "torn.fits").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match="not readable FITS"):
        read_template(tmp_path / "torn.fits")


def test_bad_sidecars(tmp_path):
    path = save(tmp_path / "m.npy", positive_map())
    sidecar = tmp_path / "m.toml"
    sidecar.write_text("frame = galactic", encoding="utf-8")
    with pytest.raises(InputError, match="is not TOML"):
        read_template(path)
    sidecar.write_text('frames = "galactic"', encoding="utf-8")
    with pytest.raises(InputError, match="Did you mean 'frame'"):
        read_template(path)


# --- names -------------------------------------------------------------------------------------------------------


def test_a_reference_carries_frame_ordering_and_index(tmp_path):
    path = save(tmp_path / "m.npy", one_pixel(0, 0, nside=128))
    template = read(parse(f"template:{path}?frame=galactic&ordering=ring&index=2.2"))
    assert centre_of(template) == pytest.approx((266.4, -28.9), abs=0.5)
    assert template.spectrum.index == 2.2


def test_a_bare_reference_says_nothing():
    file = parse("template:maps/gas.fits")
    assert (str(file.path), file.frame, file.ordering, file.index) == ("maps/gas.fits", "", "", 2.7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("template:", "names no file"),
        ("m.npy?fram=galactic", "Did you mean 'frame'"),
        ("m.npy?frame=galactic&frame=icrs", "twice"),
        ("m.npy?frame=galatic", "Did you mean 'galactic'"),
        ("m.npy?frame", "cannot be read"),
        ("m.npy?index=soft", "'soft' is not a number"),
        ("m.npy?index=-1", "between 0 and 10"),
        ("m.npy?index=nan", "between 0 and 10"),
    ],
)
def test_references_that_cannot_be_read(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)
