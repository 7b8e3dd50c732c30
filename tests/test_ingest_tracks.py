"""Track releases: the real seasons as published, small files in the documented layouts, and every kind of bad file."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import _table, _tracks, tracks_dr1, tracks_dr2, tracks_ic40, tracks_ic79, tracks_ic86_2011
from nuanalysis.ingest._find import digest
from nuanalysis.ingest._table import count_rows
from nuanalysis.selection import Runs

HEADER = "#     MJD[days]  log10(E/GeV)   AngErr[deg]       RA[deg]      Dec[deg]  Azimuth[deg]   Zenith[deg]"
DR2_HEADER = "#  run  event  subevent " + HEADER.removeprefix("#")
UPTIME = "#  MJD_start[days]  MJD_stop[days]\n   55000.00000000   55001.00000000\n   55001.50000000   55002.00000000\n"
AREA_HEADER = "#  log10(E_nu/GeV)_min  log10(E_nu/GeV)_max  Dec_nu_min[deg]  Dec_nu_max[deg]   A_Eff[cm^2]"
ROWS = (
    "   55001.60000000          3.31          0.48       203.024        16.760       218.374       106.712",
    "   55000.25000000          5.17          0.62       360.000       -13.371       349.100        76.646",
    "   55000.25000000          2.50          0.00         0.000        89.000         0.000       179.000",
)


def write(folder: Path, path: str, text: str, *, compressed: bool = False) -> Path:
    target = folder / (path + ".gz" if compressed else path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    return target


def season(folder: Path, name: str, rows: tuple[str, ...] = ROWS, header: str = HEADER, uptime: str = UPTIME) -> Path:
    write(folder, f"events/{name}_exp.csv", "\n".join((header, *rows)) + "\n")
    write(folder, f"uptime/{name}_exp.csv", uptime)
    return folder


def area_rows() -> list[str]:
    """A 3 energies x 2 declinations table; the area of cell (i, j) is 10 i + j."""
    energies, declinations = (2.0, 2.2, 2.4, 2.6), (-90.0, 0.0, 90.0)
    return [
        f"{energies[i]} {energies[i + 1]} {declinations[j]} {declinations[j + 1]} {10 * i + j}"
        for j in range(2)
        for i in range(3)
    ]


# ---- the three real seasons ---------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("reader", "events", "days", "shape"),
    [
        (tracks_ic40, 36_900, 376.36, (50, 40)),
        (tracks_ic79, 93_133, 316.05, (200, 70)),
        (tracks_ic86_2011, 138_322, 332.96, (200, 70)),
    ],
)
def test_published_seasons(mirror, reader, events, days, shape):
    folder = mirror / reader.RELEASE.folder
    sample = reader.read_events(folder)
    assert sample.sizes["event"] == events
    assert sample.attrs["origin"] == "real"
    assert round(sample.attrs["livetime_s"] / 86400, 2) == days
    assert np.all(np.diff(sample["mjd"]) >= 0.0)
    area = reader.read_effective_area(folder)
    assert area["effective_area"].shape == shape
    assert area["sin_dec_edges"].values[[0, -1]].tolist() == [-1.0, 1.0]
    assert np.all(np.diff(area["sin_dec_edges"]) > 0.0)
    assert np.all(np.diff(area["log10_true_edges"]) > 0.0)


@pytest.mark.real_data
def test_first_event_of_ic40_is_the_first_line_of_the_file(mirror):
    first = tracks_ic40.read_events(mirror / "icecube_ps10yr_2021").isel(event=0)
    degrees = [float(np.rad2deg(first[name])) for name in ("right_ascension", "declination", "angular_error")]
    assert float(first["mjd"]) == 54562.37911273
    assert degrees == pytest.approx([203.024, 16.760, 0.48])
    assert float(first["zenith"]) == pytest.approx(np.deg2rad(106.712))


@pytest.mark.real_data
@pytest.mark.parametrize("reader", [tracks_ic40, tracks_ic79])
def test_all_events_lie_in_good_runs_and_see_the_sky_from_the_pole(mirror, reader):
    folder = mirror / reader.RELEASE.folder
    sample = reader.read_events(folder)
    uptime = reader.read_uptime(folder)
    assert np.all(Runs(uptime["start"].values, uptime["stop"].values).touch(sample["mjd"].values))
    # zenith = declination + 90 deg at the pole, up to precession (0.11 deg in 2010) and rounding
    tilt = np.rad2deg(np.abs(sample["zenith"] - sample["declination"]) - np.pi / 2)
    assert float(np.abs(tilt).max()) < 0.12


@pytest.mark.real_data
def test_ic86_2011_says_what_was_done_to_its_coarse_columns(mirror):
    folder = mirror / tracks_ic86_2011.RELEASE.folder
    sample = tracks_ic86_2011.read_events(folder)
    assert np.all(sample["mjd"] == np.floor(sample["mjd"]))
    note = sample.attrs["note"]
    assert "whole days" in note
    assert "12 of 138,322 angular errors are printed as 0 deg and set to 0.1 deg" in note
    assert "1 of 138,322 angular errors exceed 180 deg (largest 495.8 deg)" in note
    assert float(sample["right_ascension"].max()) < 2 * np.pi
    runs = tracks_ic86_2011.read_uptime(folder)
    days = np.unique(sample["mjd"])
    touched = [bool(np.any((runs["start"] < day + 1) & (runs["stop"] > day))) for day in days]
    assert all(touched)


@pytest.mark.real_data
def test_areas_of_the_three_releases_agree_at_the_horizon(mirror):
    """One detector, three tables in m^2 or cm^2 and in declination or cos(zenith): a turned axis would show."""
    averages = []
    for reader in (tracks_ic40, tracks_ic79, tracks_ic86_2011):
        area = reader.read_effective_area(mirror / reader.RELEASE.folder)
        centre = (area["sin_dec_edges"].values[1:] + area["sin_dec_edges"].values[:-1]) / 2
        energy = np.searchsorted(area["log10_true_edges"].values, 5.05) - 1
        at_100_tev = area["effective_area"].values[:, energy]
        averages.append([at_100_tev[(centre > low) & (centre < low + 0.4)].mean() for low in (-0.6, 0.05)])
    south, north = np.array(averages).T
    # 40 strings see 0.4 of what 79 and 86 see; at 100 TeV the south is cut hard.
    assert north[0] == pytest.approx(0.6e6, rel=0.5)
    assert north[1:] == pytest.approx(1.0e6, rel=0.2)
    assert np.all(south < 0.2 * north)


@pytest.mark.real_data
def test_livetimes_of_all_ten_seasons(mirror):
    folder = mirror / "icecube_ps10yr_2021"
    runs = [tracks_dr1.read_uptime(folder, name) for name in tracks_dr1.SEASONS]
    days = [run.attrs["livetime_s"] / 86400 for run in runs]
    published = [376.36, 353.58, 316.05, 332.96, 331.98, 362.94, 370.69, 365.35, 357.33, 410.64]
    assert days == pytest.approx(published, abs=0.006)
    beyond = sum(_tracks.livetime_beyond(run, runs[:i]) for i, run in enumerate(runs)) / 86400
    assert beyond == pytest.approx(sum(days), abs=1e-4)


@pytest.mark.real_data
def test_every_real_effective_area_can_be_read(mirror):
    folder = mirror / "icecube_ps10yr_2021"
    own, served = (tracks_dr1.read_effective_area(folder, name) for name in ("IC86_II", "IC86_VII"))
    assert own.identical(served)
    assert {tracks_dr1.read_effective_area(folder, name).sizes["sin_dec"] for name in tracks_dr1.RESPONSES} == {50}


@pytest.mark.real_data
def test_good_runs_of_ic79_are_found_elsewhere_when_not_beside_it(mirror, tmp_path, monkeypatch):
    alone = tmp_path / "icecube_ps3yr_ic79"
    shutil.copytree(mirror / "icecube_ps3yr_ic79", alone)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    assert tracks_ic79.read_uptime(alone).attrs["season"] == "IC79"
    monkeypatch.delenv("NUANALYSIS_DATA")
    with pytest.raises(DataError, match="nuanalysis data fetch tracks-ic40"):
        tracks_ic79.read_uptime(alone)


# ---- small files in the documented layouts ------------------------------------------------------------------------


def test_dr1_season_in_the_official_layout(tmp_path):
    sample = tracks_dr1.read_events(season(tmp_path, "IC86_V"), "IC86_V")
    # stable: of two events at one time the first line stays first
    assert np.rad2deg(sample["declination"]).values == pytest.approx([-13.371, 89.0, 16.76])
    assert sample["right_ascension"].values[0] == 0.0, "360 deg is 0"
    assert np.rad2deg(sample["angular_error"]).values == pytest.approx([0.62, 0.2, 0.48])
    assert "1 of 3 angular errors are printed as 0 deg and set to 0.2 deg" in sample.attrs["note"]
    assert sample.attrs["livetime_s"] == pytest.approx(1.5 * 86400)
    assert sample.attrs["sample"] == "tracks-dr1-ic86-v"


def test_gz_and_plain_files_give_the_same(tmp_path):
    plain = season(tmp_path / "plain", "IC59")
    packed = tmp_path / "packed"
    for path in ("events/IC59_exp.csv", "uptime/IC59_exp.csv"):
        write(packed, path, (plain / path).read_text(), compressed=True)
    assert tracks_dr1.read_events(plain, "IC59").identical(tracks_dr1.read_events(packed, "IC59"))


def test_columns_are_found_by_name(tmp_path):
    words = [row.split() for row in (HEADER.removeprefix("#"), *ROWS)]
    turned = ["\t".join(reversed(row)) for row in words]
    one = tracks_dr1.read_events(season(tmp_path / "a", "IC59"), "IC59")
    two = tracks_dr1.read_events(season(tmp_path / "b", "IC59", tuple(turned[1:]), turned[0]), "IC59")
    assert one.identical(two)


def test_effective_area_grid_does_not_depend_on_row_order(tmp_path):
    rows = area_rows()
    write(tmp_path, "irfs/IC86_II_effectiveArea.csv", "\n".join([AREA_HEADER, *reversed(rows)]))
    area = tracks_dr1.read_effective_area(tmp_path, "IC86_VII")
    assert area["effective_area"].dims == ("sin_dec", "log10_true")
    assert area["effective_area"].attrs["units"] == "cm2"
    assert area["effective_area"].values.tolist() == [[0.0, 10.0, 20.0], [1.0, 11.0, 21.0]]
    assert area["sin_dec_edges"].values.tolist() == [-1.0, 0.0, 1.0]


def test_cos_zenith_areas_are_turned_and_in_square_centimetres(tmp_path):
    header = "#  E_min[GeV]   E_max[GeV] cos(zenith)_min cos(zenith)_max       Aeff[m^2]\n"
    path = write(tmp_path, "TabulatedAeff.txt", header + "100 1000 -1 0.5 2\n100 1000 0.5 1 3\n")
    area = tracks_ic86_2011.read_effective_area(tmp_path)
    assert path.exists()
    assert area["sin_dec_edges"].values.tolist() == [-1.0, -0.5, 1.0]
    assert area["effective_area"].values.tolist() == [[3e4], [2e4]]
    assert area["log10_true_edges"].values.tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: rows[:-1], "cells of the 3 x 2 grid are missing"),
        (lambda rows: [*rows, rows[0]], "given more than once"),
        (lambda rows: [*rows[:-1], "2.4 2.6 1.0 90.0 3"], "do not join"),
        (lambda rows: [*rows[:-1], rows[-1].rsplit(" ", 1)[0] + " -1"], "negative"),
        (lambda rows: [*rows[:-1], "2.4 2.6 0.0 91.0 3"], "outside"),
    ],
)
def test_areas_that_are_not_a_grid_are_refused(tmp_path, spoil, words):
    write(tmp_path, "irfs/IC40_effectiveArea.csv", "\n".join([AREA_HEADER, *spoil(area_rows())]))
    with pytest.raises(DataError, match=words):
        tracks_ic40.read_effective_area(tmp_path)


SMEARING_HEADER = "# " + " ".join(_tracks.SMEARING)
SMEARING = (
    "2.0 2.5 -90 -10 2.0 3.0 0.0 1.0 0.2 0.4 0.75",
    "2.0 2.5 -90 -10 2.0 3.0 1.0 2.0 0.2 0.4 0.25",
    "2.0 2.5 -90 -10 3.0 3.0 0.0 0.0 0.2 0.2 0.0",
    "2.5 3.0 -90 -10 2.0 3.0 0.0 1.0 0.2 0.4 1.0",
)


@pytest.mark.parametrize(
    ("reader", "served", "name"), [(tracks_dr1, "IC86_II", "IC86_III"), (tracks_dr2, "IC86", "IC86_IX")]
)
def test_smearing_keeps_the_filled_cells(tmp_path, reader, served, name):
    write(tmp_path, f"irfs/{served}_smearing.csv", "\n".join((SMEARING_HEADER, *SMEARING)))
    cells = reader.read_smearing(tmp_path, name)
    assert cells["fraction"].values.tolist() == [0.75, 0.25, 1.0]
    assert cells.attrs["empty_cells"] == 1
    assert cells["psf_max"].values == pytest.approx(np.deg2rad([1.0, 2.0, 1.0]))
    assert cells["angular_error_min"].attrs["units"] == "rad"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2.0 2.5 -90 -10 2.0 3.0 0.0 1.0 0.2 0.4 0.9", "sum to more than 1"),
        ("2.0 2.5 -90 -10 3.0 2.0 0.0 1.0 0.2 0.4 0.1", "end before they start"),
        ("2.0 2.5 -90 -10 2.0 3.0 0.0 1.0 0.2 0.4 1.5", "outside"),
    ],
)
def test_smearing_that_is_no_probability_is_refused(tmp_path, row, words):
    write(tmp_path, "irfs/IC40_smearing.csv", "\n".join((SMEARING_HEADER, SMEARING[0], row)))
    with pytest.raises(DataError, match=words):
        tracks_dr1.read_smearing(tmp_path, "IC40")


def dr2(folder: Path) -> Path:
    """Two seasons that share the event (2, 7, 0) and an hour of good time; the first repeats (1, 5, 0)."""
    first = [f"{key} {row}" for key, row in zip(("1 5 0", "1 5 1", "2 7 0"), ROWS, strict=True)]
    season(folder, "IC86_I", (*first, first[0]), DR2_HEADER)
    second = [f"{key} {row}" for key, row in zip(("2 7 0", "3 1 0", "3 2 0"), ROWS, strict=True)]
    late = "#  MJD_start[days]  MJD_stop[days]\n  55001.75 55002.75\n"
    return season(folder, "IC86_II", tuple(second), DR2_HEADER, late)


def test_dr2_events_are_kept_once(tmp_path):
    one, two = tracks_dr2.read_seasons(dr2(tmp_path), ("IC86_I", "IC86_II")).values()
    assert sorted(zip(one["run"].values, one["event_id"].values, strict=True)) == [(1, 5), (1, 5), (2, 7)]
    assert sorted(zip(two["run"].values, two["event_id"].values, strict=True)) == [(3, 1), (3, 2)]
    assert (one.attrs["duplicates"], two.attrs["duplicates"]) == (1, 1)
    # 1.5 d, then the part of 55001.75 ... 55002.75 that the first season does not cover
    assert one.attrs["livetime_s"] == pytest.approx(1.5 * 86400)
    assert two.attrs["livetime_s"] == pytest.approx(0.75 * 86400)
    assert tracks_dr2.read_seasons(tmp_path, ("IC86_II",))["IC86_II"].sizes["event"] == 3


def test_dr2_as_dataverse_serves_it(tmp_path):
    plain = dr2(tmp_path / "csv")
    for path in plain.rglob("*.csv"):
        text = path.read_text().removeprefix("#")
        tab = "\n".join("\t".join(line.split()) for line in text.splitlines())
        write(tmp_path / "tab", str(path.relative_to(plain)).removesuffix(".csv") + ".tab", tab)
    one, two = (tracks_dr2.read_seasons(tmp_path / kind, ("IC86_I",))["IC86_I"] for kind in ("csv", "tab"))
    assert one.identical(two)


def as_csv(text: str) -> str:
    return "\n".join(",".join(line.removeprefix("#").split()) for line in text.splitlines()) + "\n"


def as_tab(text: str) -> str:
    header, *rows = as_csv(text).replace(",", "\t").splitlines()
    return "\n".join(["\t".join(f'"{word}"' for word in header.split()), *rows]) + "\n"


@pytest.mark.parametrize("ending", [".csv", ".tab", ".csv.gz", ".tab.gz"])
@pytest.mark.parametrize(
    "change",
    [
        str,
        as_csv,
        as_tab,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text + "\n\n",
    ],
)
def test_every_spelling_of_a_release_gives_the_same_events(tmp_path, ending, change):
    """As published, as Dataverse serves it, packed, with commas, from Windows, with a byte order mark."""
    one = tracks_dr1.read_events(season(tmp_path / "one", "IC59"), "IC59")
    for path in (tmp_path / "one").rglob("*.csv"):
        name = str(path.relative_to(tmp_path / "one")).removesuffix(".csv") + ending
        write(tmp_path / "two", name.removesuffix(".gz"), change(path.read_text()), compressed=ending.endswith(".gz"))
    two = tracks_dr1.read_events(tmp_path / "two", "IC59")
    assert one.identical(two)


def test_ic79_official_text_file_with_too_few_rows_is_refused(tmp_path):
    write(tmp_path, "IC79-2010-events.txt", "\n".join((HEADER, *ROWS)))
    with pytest.raises(DataError, match="3 rows, expected 93,133"):
        tracks_ic79.read_events(tmp_path)


# ---- bad files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (HEADER.replace("Dec[deg]", "Decl"), ROWS, r"lacks Dec\[deg\]"),
        ("", ROWS, "has no header line"),
        (HEADER, (), "no rows"),
        (HEADER, (ROWS[0].replace("3.31", "nan"),), r"NaN or infinite: 1 in log10\(E/GeV\)"),
        (HEADER, (ROWS[0].replace("203.024", "inf"),), "NaN or infinite"),
        (HEADER, (ROWS[0].replace("203.024", "403.024"),), r"1 values of RA\[deg\] outside \[0, 360\]"),
        (HEADER, (ROWS[0].replace("16.760", "-96.760"),), r"Dec\[deg\] outside"),
        (HEADER, (ROWS[0].replace("55001.6", "5500.16"),), r"MJD\[days\] outside"),
        (HEADER, (ROWS[0].replace("0.48", "-0.48"),), r"AngErr\[deg\] outside"),
        (HEADER, (ROWS[0], ROWS[1][:40]), "cannot be read as a table"),
        (HEADER, (ROWS[0].replace("3.31", "x.31"),), "cannot be read as a table"),
    ],
)
def test_bad_event_tables_are_refused_by_name(tmp_path, header, rows, words):
    season(tmp_path, "IC59", rows, header)
    with pytest.raises(DataError, match=words) as caught:
        tracks_dr1.read_events(tmp_path, "IC59")
    assert "IC59_exp.csv" in str(caught.value)
    assert "nuanalysis data verify" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[: len(content) // 2], "truncated"),
        (lambda content: content[:20] + bytes([content[20] ^ 0xFF]) + content[21:], "damaged|truncated"),
        (lambda content: b"<!DOCTYPE html>", "damaged"),
        (lambda content: b"", "header"),
    ],
)
def test_damaged_gz_is_an_error_of_ours(tmp_path, spoil, words):
    season(tmp_path, "IC59")
    path = write(tmp_path, "events/IC59_exp.csv", (HEADER + "\n") + "\n".join(ROWS * 200), compressed=True)
    (tmp_path / "events/IC59_exp.csv").unlink()
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        tracks_dr1.read_events(tmp_path, "IC59")


def test_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match="nuanalysis data fetch tracks-ic40"):
        tracks_ic40.read_events(tmp_path)


def test_too_few_rows_of_a_published_season_are_refused(tmp_path):
    with pytest.raises(DataError, match="3 rows, expected 36,900"):
        tracks_ic40.read_events(season(tmp_path, "IC40"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [("55001 55000\n", "stop before they start"), ("55000 55002\n55001 55003\n", "overlap by up to 86400 s")],
)
def test_good_runs_that_are_no_livetime_are_refused(tmp_path, lines, words):
    season(tmp_path, "IC59", uptime="# MJD_start[days] MJD_stop[days]\n" + lines)
    with pytest.raises(DataError, match=words):
        tracks_dr1.read_events(tmp_path, "IC59")


def test_time_that_earlier_seasons_cover_counts_once():
    def runs(*spans: tuple[float, float]):
        start, stop = np.array(spans).T
        return _tracks.good_runs(start, stop, season="x", reference="y")

    # the runs of the second season lie inside the first run of the first; the third reaches over everything
    first, inner, wide = runs((1.0, 9.0), (10.0, 11.0)), runs((2.0, 3.0), (5.0, 6.0)), runs((0.0, 12.0))
    assert [span.tolist() for span in _tracks.covered([first, inner])] == [[1.0, 10.0], [9.0, 11.0]]
    assert _tracks.livetime_beyond(inner, [first]) == pytest.approx(0.0, abs=1e-6)
    assert _tracks.livetime_beyond(wide, [first, inner]) == pytest.approx(3.0 * 86400)
    assert _tracks.livetime_beyond(wide, []) == pytest.approx(12.0 * 86400)


@pytest.mark.parametrize(
    "read", [tracks_dr1.read_events, lambda folder, season: tracks_dr2.read_seasons(folder, (season,))]
)
def test_unknown_season_is_answered_with_the_nearest(tmp_path, read):
    with pytest.raises(InputError, match="Did you mean 'IC86_VII'"):
        read(tmp_path, "IC86-VII")


# ---- files that never end, or say what is not true ----------------------------------------------------------------


def zeros(path: Path) -> None:
    with gzip.open(path.with_name(path.name + ".gz"), "wb") as stream:
        stream.write((HEADER + "\n").encode() + b"0" * 8_000_000)


def many_rows(path: Path) -> None:
    with gzip.open(path.with_name(path.name + ".gz"), "wb") as stream:
        stream.write((HEADER + "\n" + (ROWS[0] + "\n") * 60_000).encode())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "is not in"),
        (lambda path: path.symlink_to("/dev/zero"), "is not in"),
        (Path.mkdir, "is not in"),
        (zeros, "a row of more than 1,048,576 letters"),
        (many_rows, "unpacks to more than the 3,000,000 bytes"),
    ],
)
def test_files_without_end_are_refused(tmp_path, monkeypatch, make, words):
    monkeypatch.setattr(_table, "largest", lambda usual: 3_000_000)
    season(tmp_path, "IC59")
    path = tmp_path / "events/IC59_exp.csv"
    path.unlink()
    make(path)
    with pytest.raises(DataError, match=words):
        tracks_dr1.read_events(tmp_path, "IC59")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.npy", "a.txt.gz"])
def test_pipes_and_devices_are_not_opened(tmp_path, make, name):
    make(tmp_path / name)
    for read in (count_rows, digest):
        with pytest.raises(DataError, match="a device, pipe or socket, expected a file"):
            read(tmp_path / name)
