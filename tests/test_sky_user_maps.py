"""Users' maps: what is accepted, how it is turned, and every fault that refuses one."""

import gzip
import hashlib
from dataclasses import fields
from io import BytesIO

import healpy as hp
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from nuanalysis.errors import InputError
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sky.templates import MapFile, parse, read, read_template, understood
from nuanalysis.sky.templates._file import FINEST_NSIDE
from nuanalysis.sky.templates._healpix import to_equatorial
from nuanalysis.sky.templates._suspicion import frame_doubt, ordering_doubt

NSIDE = 32
N_PIXELS = 12 * NSIDE**2
FERMI = "galactic_templates/fermi_galactic_emission_nside128_galactic.npy.gz"
PI0 = "icecube_gp2023_inputs/MainResult/Fermi-LAT_pi0_map.npy"
GAS = [f"galactic_templates/{name}_nside64.fits.gz" for name in ("hi4pi_nh", "lab_nh", "planck13_ebv", "sfd_ebv")]
INTENSITY = "GeV-1 cm-2 s-1 sr-1"


def said(frame="equatorial", ordering="ring", units="relative", **more):
    """What is said about a map, where a test does not look at it."""
    return {"frame": frame, "ordering": ordering, "units": units, **more}


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
    template = read_template(save(tmp_path / "mine.npy", values), **said(index=2.5))
    assert template.density == pytest.approx(values / integral(values), rel=1e-12)
    assert (template.name, template.origin, template.spectrum.index) == ("mine", "user file", 2.5)
    assert template.sha256 == hashlib.sha256((tmp_path / "mine.npy").read_bytes()).hexdigest()


def test_nested_is_reordered(tmp_path):
    values = positive_map()
    nested = save(tmp_path / "n.npy", hp.reorder(values, r2n=True))
    ring = save(tmp_path / "r.npy", values)
    one = read_template(nested, **said("icrs", "NESTED"))
    other = read_template(ring, **said())
    assert np.array_equal(one.density, other.density)


def test_scale_and_integer_type_do_not_matter(tmp_path):
    counts = np.random.default_rng(1).integers(0, 9, N_PIXELS)
    one = read_template(save(tmp_path / "i.npy", counts), **said())
    other = read_template(save(tmp_path / "f.npy", counts * 1e-30), **said())
    assert one.density == pytest.approx(other.density, rel=1e-12)


def test_frame_and_ordering_from_a_sidecar(tmp_path):
    path = save(tmp_path / "m.npy", positive_map())
    (tmp_path / "m.toml").write_text('frame = "equatorial"\nordering = "ring"\nunits = "relative"\n', encoding="utf-8")
    assert integral(read_template(path).density) == pytest.approx(1)


@pytest.mark.parametrize("nest", [False, True])
def test_fits_of_healpy_states_all_that_is_needed(tmp_path, nest):
    path = tmp_path / "map.fits.gz"
    hp.write_map(path, one_pixel(0, 0, nside=128, nest=nest), nest=nest, coord="G", dtype=np.float64)
    template = read_template(path, units="relative")
    assert template.name == "map"
    assert centre_of(template) == pytest.approx((266.4, -28.9), abs=0.5)


def test_fits_packed_in_long_rows(tmp_path):
    values = positive_map()
    table = fits.BinTableHDU.from_columns([fits.Column("T", "1024D", array=values.reshape(-1, 1024))])
    table.header.update({"NSIDE": NSIDE, "ORDERING": "RING", "COORDSYS": "C"})
    table.writeto(tmp_path / "packed.fits")
    assert read_template(tmp_path / "packed.fits", units="relative").density == pytest.approx(
        values / integral(values), rel=1e-12
    )


def test_a_fits_file_that_does_not_say_can_be_told(tmp_path):
    path = save_fits(tmp_path / "m.fits", positive_map(), COORDSYS=None)
    with pytest.raises(InputError, match="frame is not stated"):
        read_template(path, units="relative")
    assert integral(read_template(path, frame="equatorial", units="relative").density) == pytest.approx(1)


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
    template = read_template(path, **said(" Galactic "))
    off = hp.rotator.angdist(centre_of(template), (ra, dec), lonlat=True)
    assert np.degrees(off) < 0.5  # the pixel's own centre may be 0.4 deg away
    assert integral(template.density) == pytest.approx(1)


@pytest.mark.parametrize(
    ("lon", "lat", "ra", "dec"),
    [
        (0.0, 0.0, 0.0, 0.0),  # vernal equinox
        (0.0, 90.0, 270.0, 66.561),  # pole of the ecliptic: 90 deg less the obliquity of 23.439
        (90.0, 0.0, 90.0, 23.439),
    ],
)
def test_a_hot_ecliptic_pixel_ends_where_it_should(tmp_path, lon, lat, ra, dec):
    path = save_fits(tmp_path / "hot.fits", one_pixel(lon, lat, nside=128), NSIDE=128, COORDSYS="E", UNITS="relative")
    off = hp.rotator.angdist(centre_of(read_template(path)), (ra, dec), lonlat=True)
    assert np.degrees(off) < 0.5  # a pixel


def test_maps_up_to_nside_512_keep_their_resolution():
    assert FINEST_NSIDE == 512


@pytest.mark.parametrize("ordering", ["ring", "nested"])
@pytest.mark.parametrize("frame", ["equatorial", "galactic"])
def test_finer_maps_are_averaged_down_and_say_so(tmp_path, monkeypatch, ordering, frame):
    monkeypatch.setattr("nuanalysis.sky.templates._file.FINEST_NSIDE", 16)
    values = positive_map()
    path = save(tmp_path / "fine.npy", values if ordering == "ring" else hp.reorder(values, r2n=True))
    template, record = understood(MapFile(path, **said(frame, ordering)))
    coarse = hp.ud_grade(values, 16)
    expected = to_equatorial(coarse) if frame == "galactic" else coarse
    assert template.density == pytest.approx(expected / integral(expected), rel=1e-12)
    assert (template.nside, record.nside) == (16, 16)
    assert "averaged from nside 32 down to 16" in record.notes


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
def test_the_free_galactic_map_lies_on_the_published_equatorial_one(mirror):
    turned = read_template(mirror / FERMI, **said("galactic", index=2.71))
    published = np.load(mirror / "icecube_gp2023_inputs" / "MainResult" / "Fermi-LAT_pi0_map.npy")
    assert np.corrcoef(turned.density, published)[0, 1] == pytest.approx(0.990, abs=0.003)  # data.md


# --- units -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "energy", "flavour", "expected"),
    [
        # An isotropic 1e-18: 4 pi sr, E^2 at 100 TeV = 1e10 GeV^2 = 1e7 TeV GeV.
        (INTENSITY, "100TeV", "per-flavour", 4 * np.pi * 1e-18 * 1e7),
        (INTENSITY, "100 TeV", "all", 4 * np.pi * 1e-18 * 1e7 / 3),
        ("1/(GeV cm^2 s sr)", "1e5 GeV", "per-flavour", 4 * np.pi * 1e-18 * 1e7),
        ("TeV^-1 m^-2 s^-1 sr^-1", "100TeV", "per-flavour", 4 * np.pi * 1e-18 * 1e7 * 1e-3 * 1e-4),
        ("MeV-1 cm-2 s-1 sr-1", "100TeV", "per-flavour", 4 * np.pi * 1e-18 * 1e7 * 1e3),
        ("GeV cm-2 s-1 sr-1", "100TeV", "per-flavour", 4 * np.pi * 1e-18 * 1e-3),
        ("TeV cm^-2 s^-1 sr^-1", "100TeV", "per-flavour", 4 * np.pi * 1e-18),
        ("GeV-1 cm-2 s-1 per pixel", "100TeV", "per-flavour", N_PIXELS * 1e-18 * 1e7),
        # From 1 GeV down to 100 TeV by E^-2.5: a factor 1e-12.5; E^2 dN/dE gains (1e5)^2 of it back.
        (INTENSITY, "1GeV", "per-flavour", 4 * np.pi * 1e-18 * 10**-12.5 * 1e7),
        ("TeV cm-2 s-1 sr-1", "1GeV", "per-flavour", 4 * np.pi * 1e-18 * 10**-2.5),
    ],
)
def test_absolute_units_become_a_flux_per_flavour_at_100_tev(tmp_path, units, energy, flavour, expected):
    path = save(tmp_path / "m.npy", np.full(N_PIXELS, 1e-18))
    template, record = understood(
        MapFile(path, **said(units=units, energy=energy, flavour=flavour, index="2.5", sure="flux")),
    )
    assert template.flux == pytest.approx(expected, rel=1e-9)
    assert template.spectrum == PowerLaw(2.5)
    assert record.integral == pytest.approx(N_PIXELS * 1e-18 if "pixel" in units else 4 * np.pi * 1e-18)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"units": "furlong"}, "units 'furlong' cannot be read; expected such as 'GeV-1 cm-2 s-1 sr-1'"),
        ({"units": "cm-2"}, "units 'cm-2' are no differential flux"),
        ({"units": "cm-2 s-1 sr-1"}, "no differential flux"),
        ({"units": "ph GeV-1 cm-2 s-1 sr-1"}, r"no differential flux \(they count particles: drop ph\)"),
        ({"energies": "1e3,1e4"}, "in the call it says energies=1e3,1e4, which a map at one energy does not use"),
        ({"bins": "edges"}, "it says bins=edges, which a map at one energy does not use"),
        ({"nside": "32"}, "it says nside=32, which NumPy array does not use"),
        ({"map": "sky"}, "it says map=sky, which NumPy array does not use"),
        ({"energy": "1TeV"}, "it says energy=1TeV, which a relative map does not use"),
        ({"flavour": "all"}, "it says flavour=all, which a relative map does not use"),
        ({"units": "GeV-1 cm-2 s-1"}, r"per pixel\? then say 'per pixel'"),
        ({"units": INTENSITY}, "flavour is not stated; expected one of per-flavour, all-flavours"),
        ({"units": INTENSITY, "flavour": "all"}, "energy at which its units hold is not stated; say energy=100TeV"),
        ({"units": INTENSITY, "flavour": "all", "energy": "soon"}, "energy is said to be 'soon'"),
        ({"units": INTENSITY, "flavour": "all", "energy": "5 m"}, "expected a number and a unit"),
        ({"units": INTENSITY, "flavour": "all", "energy": "-5TeV"}, "energy is said to be '-5TeV'"),
    ],
)
def test_units_that_do_not_do(tmp_path, more, message):
    path = save(tmp_path / "m.npy", positive_map())
    with pytest.raises(InputError, match=message):
        read_template(path, **(said() | more))


def test_units_of_the_file_hold_unless_the_map_is_said_to_be_relative(tmp_path):
    values = 1e-18 * positive_map()
    path = save_fits(tmp_path / "m.fits", values, UNITS=INTENSITY, FLAVOUR="all", ENERGY="100 TeV", INDEX=2.2)
    assert read_template(path).flux > 0
    assert read_template(path).spectrum == PowerLaw(2.2)
    assert read_template(path, units="1 / (GeV s sr cm2)").flux == read_template(path).flux
    assert read_template(path, units="relative").flux == 0.0
    with pytest.raises(InputError, match="units are 'GeV-1 cm-2 s-1 sr-1' in the file and 'TeV-1 cm-2 s-1 sr-1' in"):
        read_template(path, units="TeV-1 cm-2 s-1 sr-1")
    with pytest.raises(InputError, match="flavour is 'all' in the file and 'each' in the call"):
        read_template(path, flavour="each")
    with pytest.raises(InputError, match="energy is said to be 1TeV and 100 TeV; they must agree"):
        read_template(path, energy="1TeV")
    with pytest.raises(InputError, match=r"index is said to be 2.5 and 2.2; they must agree"):
        read_template(path, index=2.5)


def test_quantities_and_numbers_will_do(tmp_path):
    path = save(tmp_path / "m.npy", 1e-15 * positive_map())
    words = said(units=INTENSITY, flavour="all")
    with_plus = read(parse(f"{path}?frame=icrs&ordering=ring&units=GeV-1+cm-2+s-1+sr-1&flavour=all&energy=1e+4GeV"))
    assert with_plus.flux == read_template(path, **words, energy="1e4GeV").flux
    one = read_template(path, **words, energy=10 * u.TeV, index=2)
    assert one.flux == read_template(path, **words, energy="1e4GeV", index="2.0").flux
    with pytest.raises(InputError, match="Did you mean 'flavour'"):
        read_template(path, flavor="all")


# --- what was understood -----------------------------------------------------------------------------------------


def test_the_record_says_what_was_understood(tmp_path):
    path = save(tmp_path / "hot.npy", one_pixel(-20.0, 3.0, nside=128))
    record = understood(MapFile(path, **said("gal", units=INTENSITY, flavour="all", energy="10TeV", sure="flux")))[1]
    assert (record.format, record.frame, record.ordering, record.nside) == ("NumPy array", "galactic", "ring", 128)
    assert (record.units, record.flavour, record.energies) == (INTENSITY, "all-flavours", (1, 1e4, 1e4))
    assert record.brightest == pytest.approx((-20.0, 3.0), abs=0.5)  # a pixel
    assert record.integral == pytest.approx(3.0 * 4 * np.pi / (12 * 128**2))


@pytest.mark.real_data
def test_the_free_galactic_map_has_the_flux_it_is_known_for(mirror):
    words = said("galactic", units="GeV-1 cm-2 s-1 sr-1", flavour="all", energy="1GeV", index="2.71")
    template, record = understood(MapFile(mirror / FERMI, **words))
    # physics.md A4: extrapolations of the Fermi model to 100 TeV give 3.98 to 4.85e-12, the published 4.53e-12.
    assert 3.9e-12 < template.flux < 4.9e-12
    assert record.brightest == pytest.approx((0.0, 0.0), abs=1.0)


# --- statements that look wrong ----------------------------------------------------------------------------------


def nested(values):
    return hp.reorder(values, r2n=True)


def looks_wrong(path, **words):
    try:
        read_template(path, **words)
    except InputError as error:
        text = str(error)
        return {key for key in ("ordering", "frame") if f"its {key} is said to be" in text}
    return set()


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "frame"), [(PI0, "equatorial"), (FERMI, "galactic"), *((g, "galactic") for g in GAS)])
@pytest.mark.slow
def test_real_maps_are_doubted_when_and_only_when_misstated(tmp_path, mirror, name, frame):
    """Measured: pixels differ 2.4 to 8 times less in the right order; 62 to 76 % within 10 deg of the plane."""
    other = {"equatorial": "galactic", "galactic": "equatorial"}[frame]
    values = np.load(mirror / name) if name == PI0 else None
    if values is None and name == FERMI:
        values = np.load(BytesIO(gzip.decompress((mirror / name).read_bytes())))
    elif values is None:
        values = hp.read_map(mirror / name)
    ring, nest = save(tmp_path / "r.npy", values), save(tmp_path / "n.npy", nested(values))
    assert looks_wrong(ring, **said(frame)) == looks_wrong(nest, **said(frame, "nested")) == set()
    assert looks_wrong(ring, **said(frame, "nested")) == looks_wrong(nest, **said(frame)) == {"ordering"}
    assert looks_wrong(ring, **said(other)) == looks_wrong(nest, **said(other, "nested")) == {"frame"}
    assert looks_wrong(nest, **said(other)) == {"ordering", "frame"}
    assert looks_wrong(nest, **said(other, sure="ordering, frame")) == set()


def innocent(kind, nside, rng):
    n = 12 * nside**2
    longitude, latitude = hp.pix2ang(nside, np.arange(n), lonlat=True)
    longitude = (longitude + 180) % 360 - 180
    if kind == "isotropic":
        return np.ones(n)
    if kind == "noise":
        return rng.uniform(0.5, 2.0, n)
    if kind == "strong noise":
        return np.exp(rng.normal(0, 2, n))
    if kind == "box":
        width, height, l0, b0 = rng.uniform(5, 180), rng.uniform(2, 60), rng.uniform(-90, 90), rng.uniform(-10, 10)
        return 1.0 * ((np.abs(longitude - l0) < width / 2) & (np.abs(latitude - b0) < height / 2))
    if kind == "latitude":
        return np.exp(-np.abs(latitude) / 90)
    count = int(rng.choice([1, 5, 50, 500]))
    spots = hp.ang2pix(nside, np.arccos(rng.uniform(-1, 1, count)), rng.uniform(0, 2 * np.pi, count))
    return np.bincount(spots, rng.pareto(1.5, count) + 1, n)


@pytest.mark.parametrize("kind", ["isotropic", "noise", "strong noise", "box", "points", "latitude"])
@pytest.mark.parametrize("nside", [4, 8, 32])
def test_innocent_maps_are_never_doubted(kind, nside):
    rng = np.random.default_rng(3)
    for _ in range(10):
        values = innocent(kind, nside, rng)
        for order, stored in (("ring", values), ("nested", nested(values))):
            assert ordering_doubt(stored, order) == ""
        assert frame_doubt(values, "equatorial") == frame_doubt(values, "galactic") == ""


@pytest.mark.parametrize("width", [1.0, 5.0])
def test_a_made_disc_is_doubted_when_misstated(tmp_path, width):
    """A disc varies with latitude alone almost everywhere, where NESTED order looks smooth too."""
    longitude, latitude = hp.pix2ang(64, np.arange(12 * 64**2), lonlat=True)
    disc = np.exp(-np.abs(latitude) / width) * (1.5 + np.cos(np.radians(longitude)))
    ring, nest = save(tmp_path / "r.npy", disc), save(tmp_path / "n.npy", nested(disc))
    assert looks_wrong(ring, **said("galactic")) == looks_wrong(nest, **said("galactic", "nested")) == set()
    assert looks_wrong(ring, **said("equatorial")) == {"frame"}
    assert "ordering" in looks_wrong(nest, **said("galactic"))
    assert "ordering" in looks_wrong(ring, **said("galactic", "nested"))


def test_a_faint_plane_under_a_bright_halo_is_no_reason_to_doubt():
    latitude = hp.pix2ang(32, np.arange(N_PIXELS), lonlat=True)[1]
    faint = 0.01 * np.exp(-np.abs(latitude) / 5) + 1.0 * (latitude > 60)
    assert frame_doubt(faint, "equatorial") == ""
    assert "within 10 deg" in frame_doubt(faint * (latitude < 60), "equatorial")


@pytest.mark.real_data
def test_a_fine_map_of_gas_is_doubted_as_the_coarse_one_is(mirror):
    gas = hp.ud_grade(hp.read_map(mirror / GAS[0]), 256)
    gas *= np.random.default_rng(2).uniform(0.9, 1.1, len(gas))
    assert ordering_doubt(gas, "ring") == ordering_doubt(nested(gas), "nested") == ""
    assert "differ" in ordering_doubt(gas, "nested")
    assert "differ" in ordering_doubt(nested(gas), "ring")


def test_a_galactic_map_said_to_be_ecliptic_is_doubted():
    latitude = hp.pix2ang(32, np.arange(N_PIXELS), lonlat=True)[1]
    assert "say frame=galactic" in frame_doubt(np.exp(-np.abs(latitude) / 5), "ecliptic")
    assert frame_doubt(np.ones(N_PIXELS), "ecliptic") == ""


def test_the_ordering_of_a_fine_map_is_read_off_some_of_its_pixels():
    longitude, latitude = hp.pix2ang(256, np.arange(12 * 256**2), lonlat=True)
    smooth = 1.2 + np.cos(np.radians(longitude)) * np.cos(np.radians(latitude))
    assert ordering_doubt(smooth, "ring") == ordering_doubt(nested(smooth), "nested") == ""
    assert "differ" in ordering_doubt(smooth, "nested")
    assert "differ" in ordering_doubt(nested(smooth), "ring")


# --- refused -----------------------------------------------------------------------------------------------------


def test_all_faults_come_in_one_message(tmp_path):
    values = positive_map()[:-1]
    values[:3], values[3:5] = np.nan, -2.0
    with pytest.raises(InputError) as caught:
        read_template(save(tmp_path / "bad.npy", values))
    message = str(caught.value)
    for part in (
        f"{N_PIXELS - 1} pixels", "3 pixels are NaN", "2 pixels are negative (the lowest is -2)",
        "frame is not stated", "ordering is not stated", "units are not stated", "bad.npy",
        "frame=galactic&ordering=ring",
    ):  # fmt: skip
        assert part in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(N_PIXELS), "all pixels are zero"),
        (np.full(N_PIXELS, hp.UNSEEN), f"{N_PIXELS} pixels are marked UNSEEN"),
        (np.full(N_PIXELS, np.inf), f"{N_PIXELS} pixels are NaN or infinite"),
        (np.ones((N_PIXELS, 3)), r"2 axes, shape \(12288, 3\), and its energies are not stated; say energies="),
        (np.ones((100, 3)), r"2 axes, shape \(100, 3\), and neither is 12 nside\^2"),
        (np.ones((12, N_PIXELS)), "both could be the pixels: give the energies"),
        (np.ones((3, 4, N_PIXELS)), "it has 3 axes"),
        (np.ones(12 * 48**2), "nside a power of two"),
        (np.ones(0), "0 pixels"),
        (np.ones(N_PIXELS) * 1j, "complex128, expected real"),
        (np.array(["a"] * N_PIXELS), "expected real numbers"),
    ],
)
def test_arrays_that_are_no_map(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        read_template(save(tmp_path / "m.npy", values), **said())


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"ORDERING": None}, "ordering is not stated"),
        ({"ORDERING": "SPIRAL"}, "ordering is said to be 'SPIRAL'"),
        ({"COORDSYS": "X"}, "frame is said to be 'X'"),
        ({"NSIDE": None}, "NSIDE = None"),
        ({"NSIDE": 16}, r"shape \(12288,\), expected 3072 pixels \(NSIDE = 16\)"),
        ({"NSIDE": 17}, "3468 pixels, expected 12 nside"),
        ({"OBJECT": "PARTIAL"}, "part of the sky"),
        ({"UNITS": "K"}, "units 'K' are no differential flux"),
        ({"UNITS": "GeV-1 cm-2 s-1 sr-1"}, "flavour is not stated"),
        (
            {"UNITS": "GeV-1 cm-2 s-1 sr-1", "ENERGY": 100.0},
            "energy is said to be '100.0'; expected a number and a unit",
        ),
        ({"INDXSCHM": "EXPLICIT"}, "part of the sky"),
    ],
)
def test_fits_headers_that_do_not_do(tmp_path, cards, message):
    with pytest.raises(InputError, match=message):
        read_template(save_fits(tmp_path / "m.fits", positive_map(), **cards))


def test_fits_with_several_columns_has_an_energy_axis(tmp_path):
    path = save_fits(tmp_path / "cube.fits", np.stack([positive_map()] * 3))
    with pytest.raises(InputError, match=r"shape \(12288, 3\), and its energies are not stated"):
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
    template = read(parse(f"template:{path}?frame=galactic&ordering=ring&units=relative&index=2.2"))
    assert centre_of(template) == pytest.approx((266.4, -28.9), abs=0.5)
    assert template.spectrum.index == 2.2


def test_a_bare_reference_says_nothing():
    file = parse("template:maps/gas.fits")
    said_of_it = [getattr(file, field.name) for field in fields(file) if field.name != "path"]
    assert (str(file.path), set(said_of_it)) == ("maps/gas.fits", {""})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("template:", "names no file"),
        ("m.npy?fram=galactic", "Did you mean 'frame'"),
        ("m.npy?frame=galactic&frame=icrs", "twice"),
        ("m.npy?frame=galatic", "Did you mean 'galactic'"),
        ("m.npy?frame", "cannot be read"),
        ("m.npy?index=soft", "'soft' is not a number"),
        ("m.npy?index=-1", "between 1 and 4, where fits are made"),
        ("m.npy?index=nan", "between 1 and 4"),
        ("m.npy?index=4.5", "between 1 and 4"),
        ("m.npy?index=0.5", "between 1 and 4"),
        ("m.npy?flavour=electron", "flavour=electron"),
        ("m.npy?sure=orderin", "Did you mean 'ordering'"),
        ("m.npy?bins=middle", "Known: centers, centres, edges"),
    ],
)
def test_references_that_cannot_be_read(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)


@pytest.mark.parametrize(("key", "right"), [("frame", "equatorial"), ("ordering", "ring")])
def test_a_caller_who_is_sure_overrules_the_file(tmp_path, key, right):
    values = np.arange(1.0, 12 * 8**2 + 1)
    said = {
        "frame": "equatorial",
        "ordering": "ring",
        "units": "relative",
        key: {"frame": "galactic"}.get(key, "nested"),
    }
    np.save(tmp_path / "map.npy", values)
    (tmp_path / "map.toml").write_text("".join(f'{k} = "{v}"\n' for k, v in said.items()))
    with pytest.raises(InputError, match=f"say sure={key} to overrule"):
        read(parse(f"{tmp_path}/map.npy?{key}={right}"))
    told = read(parse(f"{tmp_path}/map.npy?{key}={right}&sure={key}"))
    assert told.maps[0] == pytest.approx(values / values.mean() / (4 * np.pi))
