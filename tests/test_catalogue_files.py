"""Source catalogues as they lie in files: the released ones, a user's table in every format, and its faults."""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from nuanalysis import ingest
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import source_catalogues
from nuanalysis.ingest.source_catalogues import LAYOUTS, read_catalogue, read_table, shell_sigma
from nuanalysis.library.catalogues import open_table, parse_catalogue
from nuanalysis.sky.catalogues import CATALOGUES, SourceTable, read_sources
from nuanalysis.sky.catalogues._table import angle, vectors

FOLDER = "source_catalogues"
CRAB, VELA_X, RX_J1713, J1825 = (83.633, 22.0145), (128.287, -45.19), (258.355, -39.771), (276.554, -13.580)


def read(path: Path, **said: str) -> SourceTable:
    return read_sources(read_table(path, said.get("table", "")), said)


@lru_cache
def released(mirror: Path, name: str) -> SourceTable:
    return read_sources(read_catalogue(mirror / FOLDER, name))


def separation_deg(sources: SourceTable, name: str, where: tuple[float, float]) -> float:
    row = sources.name.tolist().index(name)
    here = vectors(sources.right_ascension[row], sources.declination[row])
    return float(np.degrees(angle(here, vectors(*np.radians(where)))))


def galactic_rows() -> list[tuple[str, float, float, float, float]]:
    """Name, ra, dec, l, b in deg of three places whose Galactic coordinates are published."""
    return [
        ("north Galactic pole", 192.85948, 27.12825, 0.0, 90.0),
        ("Galactic centre", 266.40499, -28.93617, 0.0, 0.0),
        ("Crab pulsar", 83.63308, 22.01446, 184.55745, -5.78436),
    ]


# ---- the releases -------------------------------------------------------------------------------------------------


def test_the_release_is_listed_and_its_files_belong_to_layouts() -> None:
    assert ingest.release("source-catalogues") is source_catalogues.RELEASE
    assert {path for layout in LAYOUTS.values() for path in layout.files} == {
        file.path for file in source_catalogues.RELEASE.files
    }


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "rows", "fluxes", "unit", "distances", "extensions"),
    [
        ("hgps", 78, 78, "1 / (s cm2)", 29, 78),
        ("snrcat", 282, 0, "", 114, 0),
        ("4fgl-dr2", 5788, 5788, "erg / (s cm2)", 0, 5788),
        ("3fhl", 1556, 1556, "ph / (s cm2)", 0, 1556),
        ("3pc", 294, 274, "erg cm-2 s-1", 231, 294),
        ("gamma-cat", 166, 103, "1 / (s cm2)", 0, 90),
    ],
)
def test_released_catalogues(
    mirror: Path, name: str, rows: int, fluxes: int, unit: str, distances: int, extensions: int
) -> None:
    sources = released(mirror, name)
    assert len(sources) == rows
    assert sources.placed.all()
    assert not sources.faults
    assert np.isfinite(sources.flux).sum() == fluxes
    assert sources.flux_unit == unit
    assert bool(sources.flux_band) == bool(fluxes)
    assert np.isfinite(sources.distance).sum() == distances
    assert np.isfinite(sources.extension).sum() == extensions
    assert np.nanmax(sources.extension, initial=0.0) < np.radians(3.0)  # Monoceros, 3.47 deg hold 68 per cent
    assert all(name for name in sources.name)
    assert len(sources.sha256) == 64


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("catalogue", "name", "where"),
    [
        ("hgps", "HESS J1713-397", RX_J1713),
        ("4fgl-dr2", "4FGL J0534.5+2201i", CRAB),
        ("4fgl-dr2", "4FGL J0833.1-4511e", VELA_X),
        ("3fhl", "3FHL J0534.5+2201", CRAB),
        ("3fhl", "3FHL J1713.5-3945e", RX_J1713),
        ("3pc", "J0534+2200", CRAB),
        ("3pc", "J0835-4510", (128.836, -45.176)),
        ("gamma-cat", "Crab nebula", CRAB),
        ("gamma-cat", "Vela X", VELA_X),
        ("gamma-cat", "RX J1713.7-3946", RX_J1713),
        ("gamma-cat", "HESS J1825-137", J1825),
    ],
)
def test_places_of_known_sources(mirror: Path, catalogue: str, name: str, where: tuple[float, float]) -> None:
    sources = released(mirror, catalogue)
    assert separation_deg(sources, name, where) < 0.2


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("catalogue", "name", "apart"),
    [
        ("hgps", "HESS J0835-455", 0.629),
        ("hgps", "HESS J1825-137", 0.478),
        ("4fgl-dr2", "4FGL J1824.5-1351e", 0.491),
        ("3fhl", "3FHL J1824.5-1351e", 0.490),
    ],
)
def test_wide_nebulae_whose_place_is_not_that_of_the_2023_list(
    mirror: Path, catalogue: str, name: str, apart: float
) -> None:
    """The list has the pulsars Vela and PSR J1826-1334 where these catalogues fit the centre of the emission."""
    sources = released(mirror, catalogue)
    where = VELA_X if "0835" in name else J1825
    assert separation_deg(sources, name, where) == pytest.approx(apart, abs=6e-3)


@pytest.mark.real_data
def test_gamma_cat_has_the_stacked_sources_of_2023_where_the_table_prints_them(mirror: Path) -> None:
    """32 of 36 within 0.2 deg; gamma-cat has no HAWC sources, and two extended ones a little elsewhere."""
    sources = released(mirror, "gamma-cat")
    theirs = vectors(sources.right_ascension, sources.declination)
    stacked = [source for name in ("snr", "pwn", "unid") for source in CATALOGUES[name].sources]
    mine = vectors(*(np.array([getattr(s, key) for s in stacked]) for key in ("right_ascension", "declination")))
    nearest = np.degrees(angle(mine[:, None], theirs).min(axis=1))
    far = {source.name for source, apart in zip(stacked, nearest, strict=True) if apart > 0.2}
    assert far == {"Gamma Cygni", "2HWC J1814-173", "MGRO J1908+06", "2HWC J1819-150"}


@pytest.mark.real_data
def test_extensions_of_the_same_source_agree_where_they_are_measured_alike(mirror: Path) -> None:
    """HESS J1303-631: 0.175 deg in HGPS (2-Gaussian), (0.194, 0.145) in gamma-cat.  W 41, IC 443: one scale."""
    hgps, gamma_cat, fgl = (released(mirror, name) for name in ("hgps", "gamma-cat", "4fgl-dr2"))

    def sigma(sources: SourceTable, name: str) -> float:
        return float(np.degrees(sources.extension[sources.name.tolist().index(name)]))

    assert sigma(hgps, "HESS J1303-631") == pytest.approx(0.1773, abs=5e-4)
    assert sigma(gamma_cat, "HESS J1303-631") == pytest.approx(np.sqrt((0.194**2 + 0.145**2) / 2), abs=1e-6)
    # RX J1713.7-3946: an outer radius of 0.5 deg in both; shells of 5 per cent thickness
    assert sigma(hgps, "HESS J1713-397") == pytest.approx(sigma(gamma_cat, "RX J1713.7-3946"), abs=1e-6)
    # the Cygnus Cocoon: Gaussian sigma 2.0 deg (Ackermann et al. 2011, Science 334, 1103), 3.0 deg hold 68 per cent
    assert sigma(fgl, "4FGL J2028.6+4110e") == pytest.approx(2.0, abs=0.02)
    # gamma Cygni: a disc of 0.63 deg
    assert sigma(fgl, "4FGL J2021.0+4031e") == pytest.approx(0.315, abs=1e-6)


@pytest.mark.real_data
def test_the_data_release_of_4fgl_is_told_by_the_file(mirror: Path) -> None:
    assert read_table(mirror / FOLDER / source_catalogues.FGL).meta["title"] == "Fermi-LAT 4FGL-DR2"


@pytest.mark.real_data
def test_both_forms_of_gamma_cat_are_the_same(mirror: Path) -> None:
    one, other = (read_sources(read_table(mirror / FOLDER / f"gammacat.{form}.gz")) for form in ("fits", "ecsv"))
    assert one.name.tolist() == other.name.tolist()
    for key in ("declination", "extension", "flux"):
        np.testing.assert_array_equal(getattr(one, key), getattr(other, key))
    # the text has ra with five decimals
    np.testing.assert_allclose(one.right_ascension, other.right_ascension, rtol=0, atol=np.radians(1e-5))


def test_a_missing_and_a_truncated_release_file_say_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nuanalysis data fetch source-catalogues"):
        read_catalogue(tmp_path, "hgps")
    (tmp_path / source_catalogues.HGPS).write_bytes(gzip.compress(b"x" * 9000)[:-9])
    with pytest.raises(DataError, match="truncated or damaged"):
        read_catalogue(tmp_path, "hgps")
    with pytest.raises(InputError, match="Did you mean 'hgps'"):
        read_catalogue(tmp_path, "hpgs")


def test_another_file_under_the_name_of_a_release_is_refused(tmp_path: Path) -> None:
    names = ("Source_Name", "Source_Class", "Identified_Object", "Spatial_Model")
    table = Table({**{n: ["a"] for n in names}, "RAJ2000": [1.0], "DEJ2000": [1.0], "Flux_Spec_Int_1TeV": [1.0]})
    table["Size"] = [0.1]
    unit = fits.BinTableHDU(table, name="HGPS_SOURCES")
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(tmp_path / "x.fits")
    content = gzip.compress((tmp_path / "x.fits").read_bytes())
    (tmp_path / source_catalogues.HGPS).write_bytes(content)
    with pytest.raises(DataError, match=r"holds 1 rows .* expected 78"):
        read_catalogue(tmp_path, "hgps")


def test_shells_as_gaussians_have_the_mean_square_radius_of_points_drawn_in_them() -> None:
    rng = np.random.default_rng(5)
    points = rng.uniform(-1, 1, (400_000, 3))
    radius = np.linalg.norm(points, axis=1)
    inside = points[(radius < 1.0) & (radius > 0.6)]
    # 3 sigma of the mean of some 160,000 squares of spread 0.3
    assert shell_sigma(np.array(1.0), np.array(0.6)) ** 2 == pytest.approx(np.mean(inside[:, 0] ** 2), abs=2.5e-3)


# ---- a user's own file --------------------------------------------------------------------------------------------


def table_of_three() -> Table:
    names, ra, dec, _, _ = zip(*galactic_rows(), strict=True)
    flux = np.ma.masked_invalid([1e-12, np.nan, 3e-12])
    return Table({"Name": list(names), "RA_deg": list(ra), "DEC_deg": list(dec), "Flux": flux, "kind": ["x", "", "z"]})


def write(table: Table, path: Path) -> Path:
    plain = path.with_name(path.name.removesuffix(".gz"))
    form = {".fits": "fits", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".tsv": "ascii.tab", ".vot": "votable"}
    table.write(plain, format=form[plain.suffix])
    if path != plain:
        path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


@pytest.mark.parametrize("ending", ["fits", "fits.gz", "ecsv", "ecsv.gz", "csv", "csv.gz", "tsv", "vot"])
def test_every_format_reads_the_same(tmp_path: Path, ending: str) -> None:
    path = write(table_of_three(), tmp_path / f"mine.{ending}")
    sources = read(path, **{"class": "kind"})
    assert sources.name.tolist() == [row[0] for row in galactic_rows()]
    np.testing.assert_allclose(np.degrees(sources.right_ascension), [row[1] for row in galactic_rows()], rtol=1e-12)
    np.testing.assert_allclose(np.degrees(sources.declination), [row[2] for row in galactic_rows()], rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(sources.flux), [False, True, False])
    assert sources.classes.tolist() == ["x", "", "z"]
    assert sources.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert any("by its name" in note for note in sources.notes)


def test_galactic_columns_are_turned_and_equatorial_ones_looked_at_from_the_galaxy(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("name,glon,glat\n" + "".join(f"{r[0]},{r[3]},{r[4]}\n" for r in galactic_rows()))
    sources = read(path, unit="deg")
    for row in galactic_rows():  # published values have five decimals; FK5 and ICRS differ by less than 3e-5 deg
        assert separation_deg(sources, row[0], row[1:3]) < 1e-4
    longitude, latitude = sources.galactic()
    assert longitude[2] == pytest.approx(184.55745, abs=1e-6)
    assert latitude == pytest.approx([90.0, 0.0, -5.78436], abs=1e-6)


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("n,a,d", "Crab,83.63308,22.01446", {"ra": "a", "dec": "d", "unit": "deg"}),
        ("n,a,d", "Crab,5.575539,22.01446", {"ra": "a", "dec": "d", "unit": "hourangle"}),
        ("n,a,d", "Crab,1.459672,0.384225", {"ra": "a", "dec": "d", "unit": "rad"}),
        ("n,a,d", "Crab,83.63308,22.01446", {"ra": "a", "dec": "d", "unit": "deg", "frame": "icrs"}),
        ("n,ra,dec", "Crab,05:34:31.94,+22:00:52.1", {}),
        ("n,ra,dec", "Crab,5h34m31.94s,22d00m52.1s", {}),
        ("n,ra_rad,dec_rad", "Crab,1.459672,0.384225", {}),
        ("n,l,b", "Crab,184.55745,-5.78436", {"frame": "galactic"}),
        ("n,l,b", "Crab,-175.44255,-5.78436", {}),
        ("n,ra,dec", "Crab,82.88050,21.98178", {"frame": "fk4"}),  # B1950: 05h31m31.32s +21d58m54.4s
        ("n,ra,dec", "Crab,83.63308,22.01446", {"frame": "fk5"}),
    ],
)
def test_units_and_frames(tmp_path: Path, header: str, line: str, said: dict[str, str]) -> None:
    path = tmp_path / "one.csv"
    path.write_text(f"{header}\n{line}\n")
    sources = read(path, name="n", **said)
    assert not sources.faults
    assert separation_deg(sources, "Crab", (83.63308, 22.01446)) < 1e-3


@pytest.mark.parametrize(
    ("column", "said", "expected"),
    [
        ("extension", {}, 0.3),
        ("extension", {"extension_unit": "arcmin"}, 0.005),
        ("extension", {"extension_kind": "r68"}, 0.3 / 1.5096),
        ("extension", {"extension_kind": "r39"}, 0.3),
        ("extension", {"extension_kind": "disc"}, 0.15),
        ("extension", {"extension_kind": "diameter"}, 0.075),
        ("extension", {"extension_kind": "fwhm"}, 0.3 / 2.35482),
        ("extension_rad", {"extension": "extension_rad"}, float(np.degrees(0.3))),
    ],
)
def test_units_and_kinds_of_extensions(tmp_path: Path, column: str, said: dict[str, str], expected: float) -> None:
    path = tmp_path / "one.csv"
    path.write_text(f"name,ra,dec,{column}\nA,1,2,0.3\n")
    assert np.degrees(read(path, **said).extension[0]) == pytest.approx(expected, rel=1e-4)


def test_units_of_the_file_are_used(tmp_path: Path) -> None:
    table = Table({"ra": [1.0], "dec": [0.5], "extension": [30.0], "distance": [500.0]})
    table["ra"].unit, table["dec"].unit, table["extension"].unit, table["distance"].unit = "rad", "rad", "arcmin", "pc"
    sources = read(write(table, tmp_path / "units.ecsv"))
    assert (sources.right_ascension[0], sources.declination[0]) == pytest.approx((1.0, 0.5))
    assert np.degrees(sources.extension[0]) == pytest.approx(0.5)
    assert sources.distance[0] == pytest.approx(0.5)
    assert not [note for note in sources.notes if "no unit" in note]


def test_what_is_not_stated_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("source,RA,Dec,dist,extension\n,1,2,3,0.1\n")
    sources = read(path)
    notes = " ".join(sources.notes)
    for said in ("'RA' is stated: read as deg", "the name is read from the column 'source'", "read as kpc"):
        assert said in notes
    assert sources.name.tolist() == ["row 1"]


def test_columns_whose_names_mean_something_else_here_keep_a_name(tmp_path: Path) -> None:
    path = tmp_path / "clash.csv"
    path.write_text("name,ra,dec,class,type,l\nA,1,2,G2V,star,7\n")
    sources = read(path, **{"class": "type"})
    assert sources.classes.tolist() == ["star"]
    assert sources.column("file_class").tolist() == ["G2V"]
    assert sources.column("l")[0] == pytest.approx(sources.galactic()[0][0])
    assert sources.columns["type"].values.tolist() == ["star"]


PSRCAT = """#;NAME;RAJ;DECJ;P0;DIST;TYPE;
;;(hms);(dms);(s);(kpc);;
1;B0531+21;05:34:31.97;+22:00:52.0;0.033392;2.000;HE;
2;B0833-45;08:35:20.61;-45:10:34.8;0.089328;*;HE;
3;J0437-4715;04:37:15.89;-47:15:09.1;*;0.157;NR;
"""


def test_psrcat_tables(tmp_path: Path) -> None:
    path = tmp_path / "psrcat.csv"
    path.write_text(PSRCAT)
    sources = read(path)
    assert sources.name.tolist() == ["B0531+21", "B0833-45", "J0437-4715"]
    assert separation_deg(sources, "B0531+21", CRAB) < 1e-3
    assert separation_deg(sources, "B0833-45", (128.8359, -45.1763)) < 1e-3
    np.testing.assert_array_equal(np.isnan(sources.distance), [False, True, False])
    assert sources.distance[0] == 2.0
    assert sources.classes.tolist() == ["HE", "HE", "NR"]
    assert np.isnan(sources.column("P0")).tolist() == [False, False, True]
    assert sources.columns["P0"].unit == "s"


def test_atnf_columns_in_degrees_without_a_line_of_units(tmp_path: Path) -> None:
    path = tmp_path / "atnf.csv"
    path.write_text(
        "PSRJ,RAJ,DECJ,RAJD,DECJD,GL,GB,DIST\nJ0534+2200,05:34:31,+22:00:52,83.63308,22.01446,184.558,-5.784,2\n"
    )
    sources = read(path)
    assert sources.used["ra"] == "RAJD"
    assert any("there is RAJ too" in note for note in sources.notes)
    assert separation_deg(sources, "J0534+2200", CRAB) < 1e-3
    assert not sources.faults


def test_a_toml_file_beside_says_the_columns_and_the_name_wins(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("who,a,d,f1,f2\nA,10,20,1,2\n")
    (tmp_path / "mine.toml").write_text('name = "who"\nra = "a"\ndec = "d"\nunit = "deg"\nflux = "f1"\n')
    assert open_table(parse_catalogue(str(path))).flux.tolist() == [1.0]
    assert open_table(parse_catalogue(f"{path}?flux=f2")).flux.tolist() == [2.0]
    (tmp_path / "mine.toml").write_text('nmae = "who"\n')
    with pytest.raises(InputError, match="Did you mean 'name'"):
        open_table(parse_catalogue(str(path)))


def test_one_of_several_tables_is_asked_for(tmp_path: Path) -> None:
    units = [fits.BinTableHDU(Table({"ra": [float(k)], "dec": [0.0]}), name=name) for k, name in enumerate(("A", "B"))]
    path = tmp_path / "two.fits"
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path)
    with pytest.raises(InputError, match=r"2 tables: A, B; say which, such as table=A"):
        read(path)
    assert np.degrees(read(path, table="B").right_ascension[0]) == pytest.approx(1.0)
    assert np.degrees(read(path, table="0").right_ascension[0]) == pytest.approx(0.0)
    with pytest.raises(InputError, match="no table 'C'"):
        read(path, table="C")


def test_a_later_data_release_of_4fgl_is_read_by_its_columns(tmp_path: Path) -> None:
    sources = Table({
        "Source_Name": ["4FGL J0534.5+2201e"], "DataRelease": np.array([4], dtype=np.int16), "RAJ2000": [83.63],
        "DEJ2000": [22.01], "GLON": [184.5556], "GLAT": [-5.7886], "CLASS1": ["PWN"], "Energy_Flux100": [1e-10],
        "Extended_Source_Name": ["Crab IC"],
    })  # fmt: skip
    wide = Table({"Source_Name": ["Crab IC"], "Model_Form": ["2D Gaussian"], "Model_SemiMajor": [0.3]})
    wide["Model_SemiMinor"] = [0.3]
    path = tmp_path / "gll_psc_v35.fit"
    named = ((sources, "LAT_Point_Source_Catalog"), (wide, "ExtendedSources"))
    fits.HDUList([fits.PrimaryHDU(), *(fits.BinTableHDU(t, name=n) for t, n in named)]).writeto(path)
    read_out = read(path)
    assert read_out.title == "Fermi-LAT 4FGL-DR4"
    assert np.degrees(read_out.extension[0]) == pytest.approx(0.3 / 1.5096, rel=1e-4)
    assert read_out.flux_band == "100 MeV to 100 GeV"
    assert read(path, flux="DataRelease").flux_band == ""  # what the catalogue says of its own flux holds no longer


# ---- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said", "faults"),
    [
        ("name,x,y\nA,1,2\n", {}, ["needs columns for ra and dec, or for l and b", "found name, x, y"]),
        ("name,ra,dec\n", {}, ["lists no source"]),
        ("name,ra,dec\nA,1,2\n", {"flux": "Flx", "class": "nmae"}, ["no column 'Flx'", "Did you mean 'name'"]),
        ("name,ra,dec\nA,1,2\n", {"frame": "galactc"}, ["Did you mean 'galactic'"]),
        (
            "name,ra,dec\nA,1,2\n",
            {"frame": "galactic"},
            ["the frame is said to be galactic, but the columns are ra and dec"],
        ),
        ("name,ra,dec\nA,1,2\n", {"colour": "ra"}, ["says 'colour'"]),
        ("name,ra,dec,flux\nA,1,2,low\n", {"flux": "flux"}, ["its flux column 'flux' holds words ('low' in row 1)"]),
        ("name,ra,dec,extension\nA,1,2,-1\n", {}, ["1 values of its extension are below 0"]),
        ("name,ra,dec\nA,one,2\n", {}, ["its column 'ra' holds 'one'"]),
        ("name,ra,dec\nA,1\n", {}, ["row 1 has not 3 values"]),
        ("name,ra,ra,dec\nA,1,1,2\n", {}, ["the column 'ra' is named twice"]),
        ("A,83.6,22.0\nB,1,2\n", {}, ["has the number 83.6 where the columns are named"]),
        ("", {}, ["is empty"]),
        (
            "name,ra,dec,extension,flux\nA,1,2,-1,low\n",
            {"distance": "far", "flux": "flux"},
            ["extension are", "'low' in", "column 'far'"],
        ),
    ],
)
def test_faults_of_a_file_come_in_one_message(
    tmp_path: Path, content: str, said: dict[str, str], faults: list[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read(path, **said)
    for fault in faults:
        assert fault in str(caught.value)


@pytest.mark.parametrize("name", ["bad.fits", "bad.vot", "bad.ecsv", "bad.csv"])
def test_files_that_are_something_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00 not a table")
    with pytest.raises(InputError, match="cannot be read"):
        read(path)


def test_files_that_are_not_there_or_of_no_known_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "list.txt").write_text("x")
    with pytest.raises(InputError, match="ends in none of"):
        read(tmp_path / "list.txt")


HOURS = "name,ra,dec\n" + "".join(f"s{k},{4.5 * k},{10 * k}\n" for k in range(5))


@pytest.mark.parametrize(
    ("content", "said", "fault"),
    [
        (HOURS, {}, "they look like hours"),
        (HOURS, {"unit": "deg"}, ""),
        (HOURS, {"unit": "hourangle"}, ""),
        (HOURS, {"sure": "unit"}, ""),
        ("name,ra,dec\n" + "".join(f"s{k},{k},{0.3 * k}\n" for k in range(6)), {}, "they look like radians"),
        ("name,ra,dec,l,b\nA,83.633,22.0145,184.557,-5.784\n", {}, ""),
        ("name,ra,dec,l,b\nA,83.633,22.0145,185.557,-5.784\n", {}, "disagree with the equatorial ones for 1 of 1"),
        ("name,ra,dec,l,b\nA,83.633,22.0145,83.633,22.0145\n", {"sure": "frame"}, ""),
        ("name,ra,dec\nA,,2\nB,10,\n", {}, ""),  # missing directions are no fault of the frame
    ],
)
def test_doubtful_directions(tmp_path: Path, content: str, said: dict[str, str], fault: str) -> None:
    path = tmp_path / "doubt.csv"
    path.write_text(content)
    faults = read(path, **said).faults
    assert (fault in faults[0]) if fault else not faults
