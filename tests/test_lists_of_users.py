"""Lists of sources as people keep and damage them: equal lists, equal sources; a refusal names a way out that works."""

from __future__ import annotations

import gzip
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import FK4, Angle, SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from nuanalysis.errors import InputError, NuanalysisError
from nuanalysis.ingest.source_catalogues import LAYOUTS, read_table
from nuanalysis.library.catalogues import catalogue, open_catalogue, open_table, parse_catalogue
from nuanalysis.sky.catalogues._columns import sexagesimal
from nuanalysis.sky.catalogues._table import duplicates
from nuanalysis.sky.records import WIDEST, Catalogue, PointSource, weight_faults
from nuanalysis.store import numbers_in

NAMES = ["Crab", "Vela X", "W 49B"]
PLACES = SkyCoord([83.63308, 128.287, 287.78], [22.01446, -45.19, 9.1], unit="deg")
FLUXES = [3e-12, 2e-12, 1e-12]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def refusal(ask: Callable[[], Any]) -> str:
    with pytest.raises(NuanalysisError) as caught:
        ask()
    return str(caught.value)


def asked(text: str) -> Catalogue:
    """The catalogue of a name, by every step that a fit takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_catalogue(text)


def directions(text: str) -> np.ndarray:
    return np.array([(s.right_ascension, s.declination) for s in asked(text).sources])


def csv_of(header: str, *rows: str) -> str:
    return "\n".join([header, *rows, ""])


PLAIN = csv_of("name,ra,dec,flux", *(f"{n},{p.ra.deg},{p.dec.deg},{f}" for n, p, f in zip(NAMES, PLACES, FLUXES)))  # noqa: B905


def plain_table() -> Table:
    table = Table({"name": NAMES, "ra": PLACES.ra.deg, "dec": PLACES.dec.deg, "flux": FLUXES})
    table["ra"].unit = table["dec"].unit = "deg"
    return table


# ---- equal lists are equal sources ---------------------------------------------------------------------------------


def galactic_table() -> Table:
    place = PLACES.galactic
    return Table({"name": NAMES, "glon": place.l.deg, "glat": place.b.deg, "flux": FLUXES})


def skycoord_table() -> QTable:
    return QTable({"name": NAMES, "coord": PLACES.galactic, "flux": FLUXES})


def ucd_table() -> Table:
    table = plain_table()
    table["Position1"], table["Position2"] = table["ra"], table["dec"]
    table["Position1"].meta["ucd"], table["Position2"].meta["ucd"] = "pos.eq.ra;meta.main", "pos.eq.dec;meta.main"
    table.remove_columns(["ra", "dec"])
    return table


def renamed(ra: str, dec: str) -> Table:
    table = plain_table()
    table.rename_columns(["ra", "dec"], [ra, dec])
    return table


def hours(table: Table) -> Table:
    words = (
        PLACES.ra.to_string(u.hour, sep=":", precision=9),
        PLACES.dec.to_string(sep=" ", precision=8, alwayssign=True),
    )
    table["ra"], table["dec"] = list(words[0]), list(words[1])
    return table


TABLES: dict[str, Callable[[], Table]] = {
    "galactic": galactic_table,
    "SkyCoord": skycoord_table,
    "UCD": ucd_table,
    "hours": lambda: hours(plain_table()),
    "DECJ2000": lambda: renamed("RAJ2000", "DECJ2000"),
    "_RAJ2000": lambda: renamed("_RAJ2000", "_DEJ2000"),
    "J2000_ra": lambda: renamed("J2000_ra (deg)", "J2000_dec (deg)"),
    "alpha": lambda: renamed("alpha_J2000", "delta_J2000"),
    "B1950": lambda: Table({
        "name": NAMES, "RAB1950": PLACES.transform_to(FK4(equinox="B1950")).ra.deg,
        "DEB1950": PLACES.transform_to(FK4(equinox="B1950")).dec.deg, "flux": FLUXES,
    }),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(TABLES))
def test_equal_lists_are_the_same_places(kind: str) -> None:
    TABLES[kind]().write("list.ecsv", format="ascii.ecsv", serialize_method="data_mask")
    found = directions("list.ecsv" + ("?frame=fk4" if kind == "B1950" else ""))
    expected = np.radians([PLACES.ra.deg, PLACES.dec.deg]).T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert [source.name for source in asked("list.ecsv" + "?frame=fk4" * (kind == "B1950")).sources] == NAMES


def test_every_format_ending_and_compression_is_the_same_to_the_bit() -> None:
    rows = [line.split(",") for line in PLAIN.splitlines()]
    texts = {"a.csv": PLAIN, "semi.csv": PLAIN.replace(",", ";"), "bar.csv": PLAIN.replace(",", "|")}
    texts |= {name: "\n".join("\t".join(row) for row in rows) for name in ("b.tsv", "c.tab", "d.csv")}
    texts |= {
        "crlf.csv": PLAIN.replace("\n", "\r\n"),
        "mac.csv": PLAIN.replace("\n", "\r"),
        "bom.csv": "\ufeff" + PLAIN,
    }
    texts |= {"commented.csv": "# mine, of 2024\n#" + PLAIN, "mine.csv": "A list,\nversion 2\n\n" + PLAIN}
    expected = asked(write("plain.csv", PLAIN) + "?weight=flux")
    for name, text in texts.items():
        write(f"{name}.gz", gzip.compress(text.encode()))
        for file in (write(name, text), f"{name}.gz"):
            found = asked(f"{file}?weight=flux")
            assert (found.sources, found.weights) == (expected.sources, expected.weights), file
    plain_table().write("e.fits")
    plain_table().write("f.vot", format="votable")
    plain_table().write("g.csv", format="ascii.ecsv")
    for file in ("e.fits", "f.vot", "g.csv"):
        found = asked(f"{file}?weight=flux")
        assert (found.sources, found.weights) == (expected.sources, expected.weights), file
    for held in (plain_table(), plain_table().to_pandas(), dict(plain_table())):
        found = catalogue(held, weight="flux")
        assert (found.sources, found.weights) == (expected.sources, expected.weights)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "i4", "i8"])
def test_the_order_of_bytes_does_not_matter(order: str, kind: str) -> None:
    table = Table({"name": NAMES, "ra": np.array([83, 128, 287], f"{order}{kind}"), "dec": np.array([2, -4, 9], "i2")})
    expected = np.radians([(83.0, 2.0), (128.0, -4.0), (287.0, 9.0)])
    np.testing.assert_array_equal([(s.right_ascension, s.declination) for s in catalogue(table).sources], expected)


VIZIER = """#
#   VizieR Astronomical Server
#Column\tName\t(A10)\tname, one of many\t[ucd=meta.id;meta.main]
#Column\tX\t(F10.6)\tRight ascension\t[ucd=pos.eq.ra;meta.main]
#Column\tY\t(F10.6)\tDeclination\t[ucd=pos.eq.dec;meta.main]
Name\tX\tY\tSize
\tdeg\tdeg\tarcmin
----------\t----------\t----------\t---
Crab\t 83.63308\t+22.01446\t3
W 49B\t287.78\t+09.1\t

"""


def test_text_of_vizier_and_a_preamble_are_read_and_said() -> None:
    table = open_table(parse_catalogue(write("viz.tsv", VIZIER)))
    assert table.name.tolist() == ["Crab", "W 49B"]
    assert table.columns["Size"].unit == "arcmin"
    assert any("by its UCD" in note for note in table.notes)
    snrcat = "SNRcat - export\nVersion 2025\n\nG;J2000_ra (hh:mm:ss);J2000_dec (dd:mm:ss);d (kpc)\n"
    snrcat += "G1.9;17:48:45;-27:10:06;8\n"
    found = open_table(parse_catalogue(write("snrcat.csv", snrcat)))
    assert found.name.tolist() == ["G1.9"]
    assert np.degrees(found.right_ascension[0]) == pytest.approx(Angle("17:48:45 hours").deg)
    assert found.columns["d (kpc)"].unit == "kpc"
    assert any("2 lines before the names" in note and "SNRcat - export" in note for note in found.notes)


@pytest.mark.parametrize("hours_", [True, False])
def test_hours_and_degrees_are_what_astropy_reads_to_the_bit(hours_: bool) -> None:
    rng = np.random.default_rng(1)
    words = []
    for _ in range(300):
        first, minutes, seconds = rng.integers(0, 24), rng.integers(0, 60), rng.uniform(0.0, 59.99)
        sign = rng.choice(["", "+", "-"]) if not hours_ else ""
        form = rng.choice(["{}{:02d}:{:02d}:{:.5f}", "{}{:d} {:d} {:.3f}", "{}{:d}" + "dh"[hours_] + "{:d}m{:.8f}s"])
        words.append(str(form).format(sign, first, minutes, seconds))
    found, refused = sexagesimal(words, hours=hours_)
    assert not refused
    unit = u.hourangle if hours_ else u.deg
    np.testing.assert_array_equal(found, [Angle(word, unit=unit).deg for word in words])


# ---- what is missing stays missing ---------------------------------------------------------------------------------


def masked_tables() -> dict[str, Table]:
    gone = [False, True, False]
    mixin = SkyCoord(Masked(PLACES.ra, mask=gone), Masked(PLACES.dec, mask=gone))
    whole = {"name": NAMES, "dec": [2, -4, 9]}
    return {
        "column": Table({**whole, "ra": MaskedColumn([83, 128, 287], mask=gone)}),
        "quantity": QTable({**whole, "ra": Masked([83.0, 128.0, 287.0] * u.deg, mask=gone)}),
        "skycoord": QTable({"name": NAMES, "coord": mixin}),
        "list": Table({**whole, "ra": np.array([83.0, None, 287.0], dtype=object)}),
    }


@pytest.mark.parametrize("kind", ["column", "quantity", "skycoord", "list"])
def test_masked_directions_are_refused_by_name_and_never_zero(kind: str) -> None:
    table = masked_tables()[kind]
    said = refusal(lambda: catalogue(table))
    assert "1 selected sources have no direction (Vela X)" in said
    assert "'ra is not None'" in said
    assert len(catalogue(table, rule="ra is not None").sources) == 2


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv", "csv"])
def test_masked_directions_of_files_are_not_zero(ending: str) -> None:
    table = masked_tables()["column"]
    form = {"vot": "votable", "ecsv": "ascii.ecsv", "csv": "ascii.csv", "fits": "fits"}[ending]
    table.write(f"list.{ending}", format=form)
    assert "no direction (Vela X)" in refusal(lambda: asked(f"list.{ending}"))
    assert len(asked(f"list.{ending}?rule=ra is not None").sources) == 2


def test_missing_words_of_pandas_and_text_are_no_numbers() -> None:
    frame = pd.DataFrame({"name": NAMES, "ra": [83.0, np.nan, 287.0], "dec": [1.0, 2.0, 3.0]})
    assert len(catalogue(frame, rule="ra is not None").sources) == 2
    for word in ("", "n/a", "--", "null", "NaN"):
        write("list.csv", csv_of("name,ra,dec", "Crab,83.6,22", f"Vela X,{word},-45"))
        assert "no direction (Vela X)" in refusal(lambda: asked("list.csv"))
    write("list.csv", csv_of("name,ra,dec", "Crab,5.57,22", "Vela X,unknown,-45"))  # never 5.57 hours
    assert "holds 'unknown' (row 2)" in refusal(lambda: asked("list.csv"))


@pytest.mark.parametrize(("kind", "zero"), [("I", 2**15), ("J", 2**31), ("K", 2**63)])
def test_unsigned_numbers_of_fits_keep_their_value_and_their_missing_ones(kind: str, zero: int) -> None:
    """TNULL is the stored value: here that of 0.  astropy refuses such a column, or masks another value."""
    values = np.array([1, 0, 60000], dtype={"I": np.uint16, "J": np.uint32, "K": np.uint64}[kind])
    counts = fits.Column(name="n", format=kind, bzero=zero, null=-zero, array=values)
    angles = [fits.Column(name=name, format="D", array=np.array([1.0, 20.0, 40.0])) for name in ("ra", "dec")]
    fits.BinTableHDU.from_columns([counts, *angles]).writeto("u.fits")
    np.testing.assert_array_equal(open_table(parse_catalogue("u.fits")).columns["n"].values, [1.0, np.nan, 60000.0])
    table = Table({"ra": [1.0, 20.0], "dec": [1.0, 2.0], "n": MaskedColumn(values[:2], mask=[False, True])})
    table.write("ours.fits")  # astropy's own way
    np.testing.assert_array_equal(open_table(parse_catalogue("ours.fits")).columns["n"].values, [1.0, np.nan])


def test_long_numbers_that_are_names_stay_apart() -> None:
    ids = [5_000_000_000_000_000_001, 5_000_000_000_000_000_002]
    table = Table({"id": np.array(ids), "ra": [1.0, 20.0], "dec": [1.0, 2.0]})
    assert [source.name for source in catalogue(table, name="own").sources] == [str(one) for one in ids]
    write("ids.csv", csv_of("name,ra,dec", f"{ids[0]},1,1", f"{ids[1]},20,2"))
    assert [source.name for source in asked("ids.csv").sources] == [str(one) for one in ids]
    table = Table({"name": [10_000_001, 10_000_002], "ra": [1.0, 20.0], "dec": [1.0, 2.0]})
    assert [source.name for source in catalogue(table).sources] == ["10000001", "10000002"]
    assert numbers_in(["1_0"]) is None


# ---- doubts are raised, and settled by the words that they name ----------------------------------------------------

AB = "A,83.6,22,{}\nB,128.2,-45,{}\n"


@pytest.mark.parametrize(
    ("content", "said", "doubt", "remedies"),
    [
        ("Name,RAB1950,DEB1950\nA,82.9,21.98\n", "ra=RAB1950&dec=DEB1950", "frame=fk4,", ["frame=fk4", "sure=frame"]),
        ("Name,RAB1950,DEB1950\nA,82.9,21.98\n", "", "of B1950, by their names", ["frame=fk4"]),
        ("Name,RA1900,DE1900\nA,82.9,21.98\n", "ra=RA1900&dec=DE1900", "equinox 1900: precess", ["sure=frame"]),
        ("name,ra,dec,Radius\n" + AB.format(1, 2), "extension=Radius", "'radius' is said of it",
         ["extension_kind=disc", "extension_kind=sigma", "extension_kind=fwhm", "extension=none"]),
        ("name,ra,dec,r68_deg\n" + AB.format(1, 2), "extension=r68_deg", "'r68' is said", ["extension_kind=r68"]),
        ("name,ra,dec,extension,morphology\n" + AB.format("1,disk", "1,gauss"), "", "'morphology' says 'disk'",
         ["extension_kind=disc", "extension_kind=sigma&rule=morphology == 'gauss'", "extension=none"]),
        ("name,ra,dec,flux,E0\n" + AB.format("1e-12,3", "1e-16,50"), "weight=flux", "of different 'E0' (3.0, 50.0)",
         ["rule=E0 == 3", "sure=flux", "flux_band=1 to 10 TeV"]),
        ("name,ra,dec,flux,E_thr\n" + AB.format("1e-12,0.2 TeV", "1e-13,1 TeV"), "weight=flux", "of different 'E_thr'",
         ["sure=flux"]),
        ("name,ra,dec,N0,e_ref (TeV)\n" + AB.format("1e-12,3", "1e-16,50"), "weight=N0", "of different 'e_ref (TeV)'",
         ["sure=flux", "rule=`e_ref (TeV)` == 3"]),
        ("name,ra,dec,flux,flux_unit\n" + AB.format("1e-12,cm-2 s-1", "12,Crab"), "weight=flux", "'flux_unit'",
         ["rule=flux_unit == 'Crab'", "sure=flux"]),
        ("name,ra,dec,extension\n" + AB.format("400", "1"), "", "above 30 deg as sigma",
         ["extension=none", "extension_unit=arcmin"]),
        ("name,ra,dec,extension\n" + AB.format("20", "1"), "", "states no unit and reaches 20, read as deg",
         ["extension=none", "extension_unit=arcmin", "extension_unit=deg"]),
        ("name,ra,dec,extension\n" + AB.format("10x8", "12"), "", "holds words ('10x8' in row 1)", ["extension=none"]),
        ("name,ra,dec,distance\n" + AB.format("-99", "1"), "", "of its distance are below 0", ["distance=none"]),
        ("name,ra,dec\nA,83:37:59,22:00:52\n", "", "say unit=", ["unit=deg"]),
        ("name,ra,dec\nA,361,2\nB,10,91\nC,1,2\n", "", "2 sources lie off the sphere (A at 361, 2, B at 10, 91 deg)",
         ["rule=ra is not None", "rule=name == 'C'"]),
        ("name,ra,dec\nA,-999,-999\nC,1,2\n", "unit=deg", "1 sources lie off the sphere", ["rule=dec is not None"]),
        ("name,l,b\nA,-276.4,2\nC,1,2\n", "", "A at -276.4, 2 deg", ["rule=l is not None"]),
        ("name,ra,dec,equinox\nA,82.9,21.98,B1950\nB,1,2,J2000\n", "", "'equinox' says B1950 of 1 of 2 sources",
         ["frame=fk4", "sure=frame&rule=equinox == 'J2000'", "frame=fk4&rule=equinox == 'B1950'"]),
        ("name,ra,dec,Epoch\nA,82.9,21.98,1950.0\n", "", "'Epoch' says 1950.0", ["frame=fk4", "sure=frame"]),
        ("# in FK4, of\nname,ra,dec\nA,82.9,21.98\n", "", "of B1950, as the file states", ["frame=fk4", "sure=frame"]),
        ("Positions, equinox 1950\nname,ra,dec\nA,82.9,21.98\n", "", "of B1950, as the file", ["frame=fk4"]),
        ("name,ra,dec\nA,82.9,21.98\n", "table=1", "one table without a name; leave table=1 out", ["table="]),
        ("name,ra,dec,flux\n" + AB.format("low", "high"), "weight=flux", "no source has a flux", ["weight=equal"]),
    ],
)  # fmt: skip
def test_a_doubt_stops_a_stack_until_it_is_settled(content: str, said: str, doubt: str, remedies: list[str]) -> None:
    write("list.csv", content)
    assert doubt in refusal(lambda: asked(f"list.csv?{said}"))
    for remedy in remedies:
        keys = {word.partition("=")[0] for word in remedy.split("&")}
        kept = [word for word in said.split("&") if word and word.partition("=")[0] not in keys]
        assert asked("list.csv?" + "&".join([*kept, remedy])).sources


def test_what_is_not_needed_is_not_asked_about() -> None:
    """Words beside, pivots of a stack of equal weights, radii that nobody reads."""
    write("list.csv", "name,ra,dec,flux,distance,E0,Radius\n" + AB.format("low,near,3,1", "high,far,50,2"))
    assert len(asked("list.csv").sources) == 2
    notes = " ".join(open_table(parse_catalogue("list.csv")).notes)
    assert "'flux' holds words and is not read as the flux" in notes


@pytest.mark.parametrize(
    "content",
    [
        "# PSR B1950+30 is among them\nname,ra,dec\nA,82.9,21.98\n",
        "# of B1950, precessed to J2000\nname,ra,dec\nA,82.9,21.98\n",
        "name,ra,dec,Epoch\nA,82.9,21.98,51950\n",
        "name,ra,dec,epoch,frame\nA,82.9,21.98,J2000,ICRS\n",
    ],
)
def test_numbers_and_names_are_no_equinox(content: str) -> None:
    write("list.csv", content)
    assert np.degrees(asked("list.csv").sources[0].right_ascension) == pytest.approx(82.9, abs=1e-12)


def test_hours_and_minutes_in_columns_of_their_own_are_joined() -> None:
    """As tables of the CDS have them; the sign of a declination stands alone."""
    write(
        "list.tsv", "Name\tRAh\tRAm\tRAs\tDE-\tDEd\tDEm\tDEs\nA\t05\t34\t31.9\t-\t0\t30\t36\nB\t1\t0\t0\t+\t2\t0\t0\n"
    )
    found = np.degrees(directions("list.tsv"))
    assert found == pytest.approx(np.array([[83.6329166666667, -0.51], [15.0, 2.0]]), abs=1e-12)
    assert "ra is joined of RAh, RAm, RAs" in open_table(parse_catalogue("list.tsv")).notes
    write("list.tsv", "Name\tRAh\tRAm\tRAs\tDE-\tDEd\tDEm\tDEs\nA\t05\t34\t\t-\t0\t30\t36\n")
    assert "have no direction (A)" in refusal(lambda: asked("list.tsv"))


def test_a_minus_of_a_page_is_a_minus() -> None:
    write("list.csv", "name,ra,dec,flux\nA,83.6,\N{MINUS SIGN}22,1e\N{MINUS SIGN}12\nB,1,2,3e-12\n")
    assert np.degrees(asked("list.csv?weight=flux").sources[0].declination) == -22.0
    assert asked("list.csv?weight=flux").weights == (1e-12, 3e-12)
    write("list.csv", "name,ra,dec\nA,5:34:31.9,\N{MINUS SIGN}0:30:00\n")
    assert np.degrees(asked("list.csv").sources[0].declination) == -0.5


@pytest.mark.parametrize("name", ["RA_hours", "ra_hrs", "RA_hr", "ra_h"])
def test_hours_by_the_name_of_a_column_are_hours(name: str) -> None:
    write("list.csv", f"name,{name},dec\nA,5.5,22\n")
    assert np.degrees(asked(f"list.csv?ra={name}").sources[0].right_ascension) == pytest.approx(82.5, abs=1e-12)


@pytest.mark.parametrize("frame", [{"RADESYS": "FK4"}, {"EQUINOX": 1950.0}])
def test_a_frame_that_the_file_states_is_not_passed_over(frame: dict[str, Any]) -> None:
    unit = fits.BinTableHDU(plain_table())
    unit.header.update(frame)
    unit.writeto("old.fits")
    assert "of B1950, as the file states; say frame=fk4" in refusal(lambda: asked("old.fits"))
    assert len(asked("old.fits?frame=fk4").sources) == 3


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_ragged_row_is_named_and_its_remedies_work(delimiter: str) -> None:
    rows = [["name", "ra", "dec", "note"], ["A", "1", "2", "x"], ["B", "50", "2"], ["C", "90", "2", f"x{delimiter} y"]]

    def text() -> str:
        return "\n".join(delimiter.join(row) for row in rows)

    said = refusal(lambda: asked(write("ragged.csv", text())))
    assert "row 2 has not 4 values" in said
    assert "line 3" in said
    assert "and 1 rows more" in said
    rows[2].append("")
    said = refusal(lambda: asked(write("ragged.csv", text())))
    assert "row 3 has not 4 values, as the line of names has, but 5" in said
    assert "between double quotes" in said
    rows[3][3] = f'"{rows[3][3]}"'
    assert len(asked(write("ragged.csv", text())).sources) == 3


# ---- a catalogue is cited as what it is ----------------------------------------------------------------------------


def gll_psc(prefix: str, release: int | None = None) -> Table:
    table = Table({
        "Source_Name": [f"{prefix} J0534.5+2201"], "RAJ2000": [83.63], "DEJ2000": [22.01], "GLON": [184.5556],
        "GLAT": [-5.7886], "CLASS1": ["PWN"], "Energy_Flux100": [1e-10], "Extended_Source_Name": [""],
    })  # fmt: skip
    if release:
        table["DataRelease"] = np.array([release], dtype=np.int16)
    return table


@pytest.mark.parametrize(
    ("prefix", "release", "title", "reference"),
    [
        ("2FGL", None, "Fermi-LAT 2FGL", "Nolan et al. 2012"),
        ("3FGL", None, "Fermi-LAT 3FGL", "Acero et al. 2015"),
        ("4FGL", None, "Fermi-LAT 4FGL", "Abdollahi et al. 2020, ApJS 247, 33"),
        ("4FGL", 2, "Fermi-LAT 4FGL-DR2", "arXiv:2005.11208"),
        ("4FGL", 3, "Fermi-LAT 4FGL-DR3", "Abdollahi et al. 2022"),
        ("4FGL", 4, "Fermi-LAT 4FGL-DR4", "arXiv:2307.12546"),
        ("FL8Y", None, "gll_psc.fit", "user's file gll_psc.fit"),
        ("5FGL", 7, "gll_psc.fit", "user's file gll_psc.fit"),
    ],
)
def test_a_point_source_catalogue_is_cited_by_its_names(prefix: str, release: int, title: str, reference: str) -> None:
    unit = fits.BinTableHDU(gll_psc(prefix, release), name="LAT_Point_Source_Catalog")
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto("gll_psc.fit")
    meta = read_table(Path("gll_psc.fit")).meta
    assert meta["title"] == title
    assert reference in meta["reference"]
    assert ("2005.11208" in meta["reference"]) == (title == "Fermi-LAT 4FGL-DR2")
    assert meta["layout"] == ("4fgl-dr2" if title.startswith("Fermi") else "")
    assert len(asked("gll_psc.fit").sources) == 1


def test_part_of_a_catalogue_is_cited_by_its_file() -> None:
    columns = sorted(LAYOUTS["snrcat"].marks)
    table = Table({name: ["G1.9+0.3"] if name in ("Source_Name", "Type") else [1.0] for name in columns})
    table.write("some.fits")
    found = open_table(parse_catalogue("some.fits"))
    assert found.title == "some.fits"
    assert any("cited by its file" in note for note in found.notes)


# ---- bounds --------------------------------------------------------------------------------------------------------


def test_what_is_no_file_is_refused_at_once() -> None:
    os.mkfifo("pipe.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    Path("folder.csv").mkdir()
    for name in ("pipe.csv", "zero.csv", "/dev/zero"):
        assert "a device, pipe or socket" in refusal(lambda name=name: parse_catalogue(name))
    assert "is a folder" in refusal(lambda: parse_catalogue("folder.csv"))
    for name in ("x" * 5000 + ".csv", "a\0b.csv", "none.csv"):
        assert "no such file" in refusal(lambda name=name: parse_catalogue(name))
    write("list.csv", PLAIN)
    os.mkfifo("list.toml")
    assert "the column map list.toml is a device, pipe" in refusal(lambda: asked("list.csv"))


@pytest.mark.slow
def test_sizes_and_rows_are_bounded_and_the_bound_is_raised_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    write("bomb.csv.gz", gzip.compress(b"name,ra,dec\n" + bytes(257 << 20), 1))
    assert "unpacks to more than 268,435,456 bytes" in refusal(lambda: asked("bomb.csv.gz"))
    rows = "".join(f"s{k},{k % 359 + k / 1e6},{k % 89}\n" for k in range(211_000))
    write("many.csv", "name,ra,dec\n" + rows)
    said = refusal(lambda: asked("many.csv"))
    assert "211,001 rows, expected at most 200,000" in said
    monkeypatch.setenv(*said.rpartition("set ")[2].split(" ")[0].split("="))
    assert len(open_table(parse_catalogue("many.csv"))) == 211_000


def test_rows_are_counted_before_a_table_is_made_of_them() -> None:
    many = np.zeros(200_001, dtype=np.uint8)
    fits.BinTableHDU(Table({"ra": many, "dec": many})).writeto("many.fits")
    write(
        "many.vot", "<VOTABLE><RESOURCE><TABLE><DATA><TABLEDATA>" + "<TR/>" * 200_001
    )  # damaged, too: it is not parsed
    for name in ("many.fits", "many.vot"):
        assert "200,001 rows, expected at most 200,000" in refusal(lambda name=name: read_table(Path(name)))


def test_headers_that_promise_more_than_there_is_and_endless_lines_are_refused() -> None:
    stream = io.BytesIO()
    fits.BinTableHDU(plain_table()).writeto(stream)
    lie = stream.getvalue().replace(b"NAXIS2  =                    3", b"NAXIS2  =         100000000000")
    assert "says that a table has" in refusal(lambda: asked(write("lie.fits", lie)))
    assert "characters in one line" in refusal(lambda: asked(write("line.csv", "name,ra,dec\n" + "A" * (2 << 20))))
    wide = ",".join(f"c{k}" for k in range(6000))
    assert "6,000 columns, expected at most 5,000" in refusal(lambda: asked(write("wide.csv", wide + "\n")))


def test_pairs_within_a_wide_angle_do_not_fill_the_memory() -> None:
    rng = np.random.default_rng(0)
    names = np.arange(20_000).astype(str)
    ra, dec = rng.uniform(0, 2 * np.pi, 20_000), rng.uniform(-1, 1, 20_000)
    assert "say a smaller within" in refusal(lambda: duplicates(names, ra, dec, np.pi))
    assert len(duplicates(names, ra, dec, 1e-4)) < 100


def test_a_votable_reads_nothing_outside_it() -> None:
    head = "<VOTABLE><RESOURCE><TABLE><FIELD name='ra' datatype='double'/><DATA><BINARY>"
    tail = "</BINARY></DATA></TABLE></RESOURCE></VOTABLE>"
    for stream in ("<STREAM href='file:///etc/passwd'/>", '<STREAM type="a>b"\n href = "http://x.org/"></STREAM>'):
        assert "names data outside it" in refusal(lambda one=stream: asked(write("x.vot", head + one + tail)))
    assert "or entities" in refusal(lambda: asked(write("x.vot", "<!DOCTYPE a [<!ENTITY b 'c'>]><VOTABLE/>")))
    assert "no UTF-8" in refusal(lambda: asked(write("x.vot", (head + tail).encode("utf-16"))))


def test_names_reach_no_terminal_raw() -> None:
    write("esc.csv", '"na\x1bme",name,ra,dec,class\nx,\x1b]0;title\x07A\u202e,1,2,\x1b[31mSNR\nx,"B\nC",50,2,PWN\n')
    table = open_table(parse_catalogue("esc.csv"))
    assert all(word.isprintable() for word in (*table.name, *table.classes, *table.columns, *table.notes))
    assert table.name[1] == "B C"
    assert "\\x1b]0;title\\x07A" in table.name[0]


# ---- numbers in range, before and after they are normalised --------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1e308, 1e308], "sum to inf"),
        ([1e200, 1.0], "sum to 1e+200"),
        ([5e-324, 5e-324], "expected 1e-100 to 1e+100"),
        ([1e99, 1e-320], "is nothing beside their sum"),
        ([1.0, float("nan")], "no number, infinite or below 0"),
        ([1.0, float("inf")], "no number, infinite or below 0"),
        ([1.0, -1.0], "no number, infinite or below 0"),
        ([0.0, 0.0], "positive sum"),
    ],
)
def test_weights_out_of_range_are_refused(weights: list[float], said: str) -> None:
    assert said in weight_faults(weights)[0]
    sources = PointSource("A", 1.0, 0.0), PointSource("B", 2.0, 0.0)
    assert said in refusal(lambda: Catalogue("x", "x", sources, tuple(weights), "none"))
    table = {"name": ["A", "B"], "ra": [1.0, 50.0], "dec": [0.0, 0.0], "w": weights}
    assert refusal(lambda: catalogue(table, weight="w"))


def test_weights_that_differ_by_much_are_weights() -> None:
    assert weight_faults([1e-90, 1e-60, 0.0]) == []
    assert weight_faults([1e-12, 3.0]) == []


@pytest.mark.parametrize("distance", ["0", "1e-200", "1e200"])
def test_distances_whose_squares_are_no_numbers_are_refused(distance: str) -> None:
    write("far.csv", f"name,ra,dec,distance\nA,1,2,{distance}\nB,50,2,3\n")
    assert "a distance of 0 or beyond all numbers" in refusal(lambda: asked("far.csv?weight=1/distance^2"))


@pytest.mark.parametrize("extension", [-1e-9, WIDEST * 1.001, float("nan"), float("inf"), 7.0])
def test_a_source_of_no_possible_width_is_refused(extension: float) -> None:
    assert "extension" in refusal(lambda: PointSource("A", 1.0, 0.0, extension))
    assert PointSource("A", 1.0, 0.0, WIDEST).extension == WIDEST


# ---- hostile rules and damaged files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        "(" * 1900, "[" * 1900, "not " * 490 + "dec > 1", "-" * 1990 + "1 > dec", "9" * 1990 + " > dec",
        "dec > 9**9**9**9",
        "dec > " + "1e999", "x" * 2001, "dec" + " < dec" * 300, "dec in (" + "1," * 900 + ")", "'" * 1999, "`" * 1999,
        "dec > 1 and " * 150 + "dec > 1", "__import__('os').system('x') == 0", "dec > (lambda: 1)()", "f'{dec}' == 'a'",
        "\x1b[2J == 1", "dec\0 > 1", "dec > 1 if 1 else 2", "\u202e > 1", "class == '" + "é" * 1900 + "'",
    ],
)  # fmt: skip
def test_hostile_rules_are_answered_at_once(rule: str) -> None:
    write("list.csv", PLAIN)
    said = ""
    try:
        asked("list.csv?rule=" + rule.replace("%", "%25").replace("&", "%26"))
    except InputError as error:
        said = str(error)
    assert said or rule.startswith(("dec < dec", "dec in (", "class ==", "dec > 1 and"))
    assert "\x1b" not in said
    assert len(said) < 20_000


@pytest.mark.parametrize(
    "content",
    [
        "a=" + "[" * 5000,
        "unit = " + "9" * 9000,
        b"\xff\xfe",
        "unit = {" * 500,
        "x" * 100,
        'frame = ["icrs"]',
        "a." * 2000,
    ],
)
def test_a_damaged_column_map_is_named(content: str | bytes) -> None:
    write("list.csv", PLAIN)
    write("list.toml", content)
    assert "list.toml" in refusal(lambda: asked("list.csv"))


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with some changed, cut out, doubled or the end missing."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        at, size = int(rng.integers(0, len(out))), int(rng.integers(1, 40))
        match int(rng.integers(0, 4)):
            case 0:
                out[at] = int(rng.integers(0, 256))
            case 1:
                del out[at : at + size]
            case 2:
                out[at:at] = out[at : at + size]
            case _:
                out[at : at + size] = rng.bytes(size)
        out = out or bytearray(b"x")
    return bytes(out[: int(rng.integers(1, len(out) + 1))] if rng.random() < 0.1 else out)


@pytest.mark.parametrize("ending", ["csv", "tsv", "ecsv", "vot", "fits", "csv.gz"])
@pytest.mark.filterwarnings("default")
def test_damaged_files_are_read_or_refused_in_our_words(ending: str) -> None:
    """Seeded; NUANALYSIS_FUZZ says how many of each, 40 without."""
    table = plain_table()
    if ending == "ecsv":
        table = QTable(skycoord_table())
    form = {"vot": "votable", "ecsv": "ascii.ecsv", "fits": "fits", "tsv": "ascii.tab"}.get(ending, "ascii.csv")
    table.write("whole", format=form)
    whole = Path("whole").read_bytes()
    whole = gzip.compress(whole, mtime=0) if ending.endswith("gz") else whole
    rng = np.random.default_rng(7)
    for _ in range(int(os.environ.get("NUANALYSIS_FUZZ", "40"))):
        write(f"x.{ending}", damaged(whole, rng))
        try:
            found = open_catalogue(f"x.{ending}?weight=flux")
        except NuanalysisError:
            continue
        places = [(s.right_ascension, s.declination, s.extension) for s in found.sources]
        assert np.isfinite(places).all()
        assert np.isfinite(found.weights).all()
