"""Lists of sources as one map: each keeps its flux and its place, and Gaussians have the shape of Gaussians."""

import healpy as hp
import numpy as np
import pytest

from nuanalysis.errors import InputError
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sky.templates import MapFile, parse, read, read_template, understood
from nuanalysis.sphere import vmf_density

TWO = "ra,dec,weight\n83.63,22.01,3\n266.4,-29.0,1\n"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def integral(density):
    return density.sum() * 4 * np.pi / len(density)


def pixel(template, lon, lat):
    return hp.ang2pix(template.nside, lon, lat, lonlat=True)


def test_points_are_the_pixels_they_lie_in(tmp_path):
    template = read_template(write(tmp_path / "list.csv", TWO))
    shares = template.density * 4 * np.pi / len(template.density)
    assert (template.nside, template.origin, template.flux) == (128, "user file", 0.0)
    assert np.count_nonzero(shares) == 2
    assert shares[pixel(template, 83.63, 22.01)] == pytest.approx(0.75, rel=1e-12)
    assert shares[pixel(template, 266.4, -29.0)] == pytest.approx(0.25, rel=1e-12)


def test_two_sources_in_one_pixel_add(tmp_path):
    text = "ra,dec,weight\n10,10,1\n10.0001,10,2\n200,0,3\n"
    template = read_template(write(tmp_path / "list.csv", text), nside=16)
    assert template.nside == 16
    assert template.density[pixel(template, 10, 10)] == template.density.max()
    assert np.count_nonzero(template.density) == 2


@pytest.mark.parametrize(
    ("l", "b", "ra", "dec"),
    [(0.0, 0.0, 266.405, -28.936), (184.5575, -5.7843, 83.633, 22.014), (0.0, 90.0, 192.859, 27.128)],
)
def test_galactic_positions_are_turned(tmp_path, l, b, ra, dec):  # noqa: E741
    template, record = understood(MapFile(write(tmp_path / "p.csv", f"GLON,GLAT,weight\n{l},{b},1\n"), frame="gal"))
    assert int(np.argmax(template.density)) == pixel(template, ra, dec)
    assert (record.frame, record.format) == ("galactic", "list of sources")
    assert record.notes == ("1 sources, 0 of them extended",)


@pytest.mark.parametrize("sigma", [0.005, 0.3, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("where", [(0.0, 0.0), (123.0, 89.9), (359.99, -45.0)])
def test_the_flux_of_an_extended_source_is_exact(tmp_path, sigma, where):
    text = f"ra,dec,weight,extension_deg\n{where[0]},{where[1]},2,{sigma}\n{where[0]},{-where[1]},1,0\n"
    template = read_template(write(tmp_path / "g.csv", text), nside=32)
    assert integral(template.density) == pytest.approx(1.0, rel=1e-12)
    assert template.density.min() >= 0
    north = hp.pix2ang(32, np.arange(12 * 32**2), lonlat=True)[1] * where[1] > 0
    if where[1] and sigma < 5:  # the other hemisphere has the other source alone
        assert template.density[north].sum() / template.density.sum() == pytest.approx(2 / 3, rel=1e-9)


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_a_gaussian_is_what_healpy_smooths_a_point_to(tmp_path, sigma):
    point = np.zeros(12 * 256**2)
    point[300000] = 1.0
    ra, dec = hp.pix2ang(256, 300000, lonlat=True)
    smooth = hp.ud_grade(hp.smoothing(point, sigma=np.radians(sigma)), 64)
    smooth /= integral(smooth)
    path = write(tmp_path / "g.csv", f"ra,dec,weight,extension\n{ra},{dec},1,{sigma}\n")
    # The two kernels on the sphere differ by order sigma^2, 0.8 % at 5 deg.
    assert read_template(path, nside=64).density == pytest.approx(smooth, abs=0.01 * smooth.max())


def test_a_kernel_of_the_size_of_a_pixel_is_averaged_over_it(tmp_path):
    """A centre value would be 1.6 times too high at the top of a kernel of half a pixel."""
    nside, sigma = 16, np.radians(1.8)
    theta, phi = hp.pix2ang(nside, 1000)
    text = f"ra,dec,weight,extension\n{np.degrees(phi)},{90 - np.degrees(theta)},1,{np.degrees(sigma)}\n"
    template = read_template(write(tmp_path / "g.csv", text), nside=nside)
    fine = hp.nest2ring(nside * 64, hp.ring2nest(nside, 1000) * 64**2 + np.arange(64**2))
    cosine = np.array(hp.pix2vec(nside * 64, fine)).T @ np.array(hp.pix2vec(nside, 1000))
    exact = vmf_density(cosine, np.asarray(1 / sigma**2)).mean()
    # The kernel is read at sub-pixels of a third of sigma or less: the error of the midpoint rule is some 1e-3.
    assert template.density[1000] == pytest.approx(exact, rel=5e-3)


@pytest.mark.parametrize(
    ("units", "energy", "expected"),
    [
        ("TeV cm-2 s-1", "100TeV", 3e-12),
        ("GeV cm-2 s-1", "100TeV", 3e-15),
        ("GeV-1 cm-2 s-1", "100TeV", 3e-12 * 1e7),
        ("TeV cm-2 s-1", "1TeV", 3e-12 * 100**-0.5),
    ],
)
def test_fluxes_of_sources_add_up(tmp_path, units, energy, expected):
    path = write(tmp_path / "f.csv", "ra,dec,flux,index\n10,20,1e-12,2.5\n30,40,2e-12,2.5\n")
    words = {"units": units, "energy": energy, "flavour": "each"}
    template, record = understood(MapFile(path, **words))
    assert template.flux == pytest.approx(expected, rel=1e-12)
    assert template.spectrum == PowerLaw(2.5)
    assert record.integral == pytest.approx(3e-12)
    assert read_template(path, **words | {"flavour": "all"}).flux == pytest.approx(expected / 3, rel=1e-12)


def test_an_ecsv_file_brings_its_units(tmp_path):
    text = """# %ECSV 1.0
# ---
# datatype:
# - {name: ra, unit: rad, datatype: float64}
# - {name: dec, unit: deg, datatype: float64}
# - {name: flux, unit: TeV / (cm2 s), datatype: float64}
# - {name: extension, unit: arcmin, datatype: float64}
ra dec flux extension
1.0 20.0 1e-12 60.0
"""
    path = write(tmp_path / "list.ecsv", text)
    template = read(parse(f"template:{path}?energy=100TeV&flavour=per-flavour&nside=64"))
    assert template.flux == pytest.approx(1e-12)
    same = read_template(write(tmp_path / "s.csv", f"ra,dec,weight,extension\n{np.degrees(1.0)},20,1,1\n"), nside=64)
    assert template.density == pytest.approx(same.density, rel=1e-9)
    with pytest.raises(InputError, match="units are 'TeV / "):
        read(parse(f"{path}?energy=100TeV&flavour=each&units=GeV+cm-2+s-1"))


def test_hours_and_radians_are_asked_about(tmp_path):
    lines = "".join(f"{4.5 * k},{10 * k},1\n" for k in range(5))
    for frame, doubt in (("ra,dec", "hours"), ("l,b", "")):
        path = tmp_path / f"{frame[0]}.csv"
        path.write_text(f"{frame},weight\n{lines}")
        if not doubt:
            assert read_template(path).nside == 128
            continue
        with pytest.raises(InputError, match="its ra is at most 18 for all 5 sources, which looks like hours"):
            read_template(path)
        assert read_template(path, sure="frame").nside == 128
    (tmp_path / "r.csv").write_text("l,b,weight\n" + "".join(f"{k},{0.3 * k},1\n" for k in range(5)))
    with pytest.raises(InputError, match="looks like radians"):
        read_template(tmp_path / "r.csv")


def test_wide_extensions_state_their_unit(tmp_path):
    for name in ("extension", "sigma"):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"ra,dec,weight,{name}\n1,2,1,20\n")
        with pytest.raises(
            InputError, match=f"'{name}' states no unit and reaches 20, read as deg; call it extension_deg"
        ):
            read_template(path)
    (tmp_path / "deg.csv").write_text("ra,dec,weight,extension_deg\n1,2,1,20\n")
    assert read_template(tmp_path / "deg.csv").nside == 128


def test_a_toml_file_beside_a_list_speaks_for_it(tmp_path):
    path = write(tmp_path / "list.csv", "l,b,flux\n10,0,1e-12\n")
    write(tmp_path / "list.toml", 'units = "TeV cm-2 s-1"\nenergy = "100TeV"\nflavour = "all"\nindex = 2.3\n')
    template = read_template(path)
    assert (template.flux, template.spectrum) == (pytest.approx(1e-12 / 3), PowerLaw(2.3))


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        (
            "ra,weight\n1,1\n",
            {},
            "needs the columns ra and dec, or l and b .deg., and not both pairs; found ra, weight",
        ),
        ("ra,dec,l,b,weight\n1,1,1,1,1\n", {}, "and not both pairs"),
        ("ra,dec\n1,1\n", {}, "needs a column flux or weight, one of them; found neither"),
        ("ra,dec,flux,weight\n1,1,1,1\n", {}, "found flux, weight"),
        ("ra,dec,weight,extention\n1,1,1,1\n", {}, "unknown column 'extention'; remove it. Did you mean 'extension'"),
        ("ra,ra_deg,dec,weight\n1,1,1,1\n", {}, "two columns for ra"),
        ("ra,dec,weight\n", {}, "lists no source|not a number"),
        ("ra,dec,weight\n1,x,1\n", {}, "column 'dec' is not a number in every line"),
        ("ra,dec,weight\n1,,1\n2,3,4\n", {}, "column 'dec' is not a number in every line"),
        ("ra,dec,weight\n1,nan,1\n", {}, "1 sources lie nowhere"),
        ("ra,dec,weight\n1,91,1\n361,0,1\n", {}, "2 sources lie nowhere"),
        ("ra,dec,weight\n1,1,-1\n2,2,3\n", {}, "fluxes are not all 0 or more"),
        ("ra,dec,weight\n1,1,0\n", {}, "with a positive sum"),
        ("ra,dec,weight\n1,1,inf\n", {}, "fluxes are not all"),
        ("ra,dec,weight,extension\n1,1,1,-2\n", {}, "extensions are not all between 0 and 90 deg"),
        ("ra,dec,weight,index\n1,1,1,2\n2,2,1,3\n", {}, "sources have 2 indices; a template has one spectrum"),
        ("ra,dec,weight,index\n1,1,1,12\n", {}, "spectral index is 12; expected a number between 1 and 4"),
        ("ra,dec,weight,index\n1,1,1,2\n", {"index": 3.0}, "index is said to be 3 and 2; they must agree"),
        ("ra,dec,flux\n1,1,1\n", {}, "units are not stated"),
        (
            "ra,dec,flux\n1,1,1\n",
            {"units": "TeV cm-2 s-1 sr-1"},
            "no differential flux; expected such as 'GeV-1 cm-2 s-1'",
        ),
        ("ra,dec,flux\n1,1,1\n", {"units": "TeV cm-2 s-1"}, "flavour is not stated"),
        (
            "ra,dec,weight\n1,1,1\n",
            {"frame": "galactic"},
            "frame is 'equatorial' in the file and 'galactic' in the call",
        ),
        ("ra,dec,weight\n1,1,1\n", {"nside": "100"}, "nside is said to be '100'"),
        ("ra,dec,weight\n1,1,1\n", {"ordering": "ring"}, "it says ordering=ring, which a list of sources does not use"),
        ("ra,dec,weight\n1,1,1\n", {"energies": "1e3,1e4"}, "which a map at one energy does not use"),
    ],
)
def test_lists_that_do_not_do(tmp_path, text, more, message):
    with pytest.raises(InputError, match=message):
        read_template(write(tmp_path / "l.csv", text), **more)


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_template(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_template(write(tmp_path / "l.ecsv", "hello\n"))
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match=r"cannot be read as a table|needs the columns"):
        read_template(tmp_path / "binary.csv")


def test_all_faults_of_a_list_come_in_one_message(tmp_path):
    with pytest.raises(InputError) as caught:
        read_template(write(tmp_path / "l.csv", "ra,dek,extent\n1,1,1\n"))
    for part in ("unknown column 'dek'", "unknown column 'extent'", "ra and dec", "flux or weight"):
        assert part in str(caught.value)
