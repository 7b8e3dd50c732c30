"""The releases that are not event tables of tracks: cascades 2023, HESE, ICECAT-1, templates, derived response."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd
import pytest

from nuanalysis import ingest
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import _table, cascades_2023, galactic_templates, hese75, icecat1, irf_plenum
from nuanalysis.ingest._table import count_rows
from nuanalysis.response import cascades_2023 as cascade_response
from nuanalysis.sky.catalogues import CATALOGUES

CASCADES, TEMPLATES = "icecube_gp2023_inputs", "galactic_templates"
CONTRIBUTIONS_HEADER = (
    "index,pi0_SoB_space,pi0_SoB_space_ss,pi0_SoB_energy,kra5_SoB_space,kra5_SoB_space_ss,kra5_SoB_energy,"
    "kra50_SoB_space,kra50_SoB_space_ss,kra50_SoB_energy,energy,distance_hull"
)
CONTRIBUTION = "0,1.5,1.1,0.8,2.5,1.2,0.7,3.5,1.3,0.6,10000.0,-12.5"


def write(folder: Path, path: str, content: bytes | str) -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return target


def test_records_are_complete_and_unique():
    names = [release.name for release in ingest.RELEASES]
    assert len(set(names)) == len(names)
    for release in ingest.RELEASES:
        assert release.title
        assert release.licence
        assert release.citation
        assert release.files
        paths = [file.path for file in release.files]
        assert len(set(paths)) == len(paths)
        assert all(len(file.sha256) in (0, 64) for file in release.files)
        assert release.doi_confirmed or not release.doi or "(unconfirmed)" in release.reference


def test_unknown_release_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'tracks-ic79'"):
        ingest.release("tracks-ic97")


@pytest.mark.real_data
def test_everything_in_the_mirror_verifies(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    for release in ingest.RELEASES:
        report = ingest.verify(release)
        assert not report.damaged
        whole = "partial" if release.name == "tracks-dr1" else "complete"
        assert report.status == (whole if (mirror / release.folder).is_dir() else "absent")
        assert all(file.status in ("ok", "absent") for file in report.files)


# ---- cascades -----------------------------------------------------------------------------------------------------


def test_event_contributions_in_the_released_layout(tmp_path):
    rows = [CONTRIBUTION, CONTRIBUTION.replace("0,1.5", "1,0.5", 1)]
    write(tmp_path, "MainResult/event_contributions_gp.csv", "\n".join([CONTRIBUTIONS_HEADER, *rows]))
    terms = cascades_2023.read_event_contributions(tmp_path)
    assert terms["pi0_SoB_space"].values.tolist() == [1.5, 0.5]
    assert terms["kra50_SoB_energy"].values.tolist() == [0.6, 0.6]
    assert terms["log10_energy"].values.tolist() == [4.0, 4.0]
    assert terms["index"].values.tolist() == [0, 1]
    assert terms["distance_hull"].attrs["units"] == "m"
    assert "no directions" in terms.attrs["note"]


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (
            CONTRIBUTIONS_HEADER.replace("kra5_SoB_energy", "kra5_energy"),
            CONTRIBUTION,
            "lacks kra5_SoB_energy",
        ),
        (CONTRIBUTIONS_HEADER, CONTRIBUTION.replace("1.5", "nan"), "NaN"),
        (CONTRIBUTIONS_HEADER, CONTRIBUTION.replace("1.5", "-1.5"), "outside"),
        (CONTRIBUTIONS_HEADER, CONTRIBUTION.replace("10000.0", "0.0"), "energy outside"),
        (CONTRIBUTIONS_HEADER, CONTRIBUTION[:20], "cannot be read"),
    ],
)
def test_bad_event_contributions_are_refused(tmp_path, header, row, words):
    write(tmp_path, "MainResult/event_contributions_gp.csv", f"{header}\n{row}\n")
    with pytest.raises(DataError, match=words):
        cascades_2023.read_event_contributions(tmp_path)


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_unknown_names_are_answered_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'hi4pi_nh'"):
        galactic_templates.read_gas_map(tmp_path, "hi4pi")


@pytest.mark.real_data
def test_typed_tables_of_the_cascades_are_those_of_the_release(mirror):
    """What is printed in the package against the files as published: areas, energies, sources."""
    folder, typed = mirror / CASCADES, cascade_response.response().dataset

    def table(path):
        return np.loadtxt(folder / path, delimiter=",")

    area = typed["effective_area"].values.reshape(5, 20, 120).mean(axis=1)  # our bins of each released band
    assert area == pytest.approx(table("MainResult/effa_values.csv"), rel=1e-3)
    assert 10 ** typed["log10_true_edges"].values == pytest.approx(table("MainResult/effa_bins_energy.csv"), rel=1e-3)
    migration = table("ReconstructionResolution/EnergyResS6a_hist.csv")
    assert cascade_response._table("energy_migration") == pytest.approx(migration, abs=2e-4)  # before it is reweighted
    assert table("FigS2/sindec_plot/data_values.csv").sum() == 59_592
    resolution = np.genfromtxt(folder / "ReconstructionResolution/angular_resolution.csv", delimiter=",", names=True)
    median = np.interp([3.0, 4.0, 5.0], np.log10(resolution["energy"]), resolution["this_work_50p"])
    assert median == pytest.approx([17.5, 10.8, 8.0], rel=0.02)
    listed = pd.read_csv(folder / "source_lists/stacking_catalogs_12_12_12.csv")
    for name, rows in listed.groupby("stacking_catalog"):
        sources = CATALOGUES[name.lower()].sources
        at = np.degrees([(s.right_ascension, s.declination) for s in sources])
        assert np.sort(at, axis=0) == pytest.approx(np.sort(rows[["ra_deg", "dec_deg"]].to_numpy(), axis=0), abs=6e-3)
    listed = pd.read_csv(folder / "source_lists/source_list_109.csv")
    at = np.degrees([s.declination for s in CATALOGUES["list-109"].sources])
    assert np.sort(at) == pytest.approx(np.sort(listed["DEC"].to_numpy()), abs=6e-3)


@pytest.mark.real_data
def test_published_pi0_map_with_the_area_gives_the_published_conversion(mirror):
    """309.6 events per 1e-11 TeV cm^-2 s^-1 at 100 TeV, E^-2.7: area, map, bands and units at once."""
    density = np.load(mirror / CASCADES / "MainResult/Fermi-LAT_pi0_map.npy")
    area = cascade_response.response().dataset
    sin_dec = np.cos(hp.pix2ang(128, np.arange(density.size))[0])
    weight, _ = np.histogram(sin_dec, area["sin_dec_edges"], weights=density * 4 * np.pi / density.size)
    edges = 10.0 ** area["log10_true_edges"].values
    # E^2 dN/dE = 1e-11 TeV at 100 TeV is dN/dE = 1e-18 GeV^-1 at 1e5 GeV
    flux = 1e-18 * 1e5**2.7 / 1.7 * (edges[:-1] ** -1.7 - edges[1:] ** -1.7)
    events = weight @ area["effective_area"].values @ flux * cascades_2023.LIVETIME_S
    assert events == pytest.approx(309.6, rel=5e-3)


# ---- HESE, ICECAT-1 -----------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_hese_events(mirror):
    events = hese75.read_events(mirror / "icecube_hese75")
    assert events.sizes["event"] == 102
    assert np.bincount(events["morphology"]).tolist() == [71, 27, 4]
    assert int((events["log10_energy"] > np.log10(6e4)).sum()) == 60
    assert np.array_equal(np.isnan(events["length"]), events["morphology"] < 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recoZenith": None}, "lacks recoZenith"),
        ({"recoZenith": [4.0] * 102}, "outside"),
        ({"recoZenith": [1.0] * 101}, "not of equal length"),
        ({"recoDepositedEnergy": [float("nan")] * 102}, "NaN"),
    ],
)
def test_bad_hese_files_are_refused(tmp_path, change, words):
    good = {name: [1.0] * 102 for name in hese75.COLUMNS}
    document = {name: values for name, values in (good | change).items() if values is not None}
    write(tmp_path, "HESE_data.json", json.dumps(document))
    with pytest.raises(DataError, match=words):
        hese75.read_events(tmp_path)
    write(tmp_path, "HESE_data.json", json.dumps(document)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        hese75.read_events(tmp_path)


def test_an_unknown_stream_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'gfugold'"):
        icecat1.read_effective_area(tmp_path, "gfu-gold")


@pytest.mark.real_data
def test_alerts(mirror):
    alerts = icecat1.read_events(mirror / "icecube_icecat1")
    assert alerts.sizes["alert"] == 348
    assert str(alerts["name"].values[0]) == "IC110514A"
    assert np.all(np.diff(alerts["mjd"]) >= 0.0)
    neutrino = alerts.isel(alert=int(np.flatnonzero(alerts["name"] == "IC170922A")[0]))
    assert np.rad2deg([neutrino["right_ascension"], neutrino["declination"]]) == pytest.approx([77.43, 5.79], abs=0.1)
    horizon = {
        stream: float(icecat1.read_effective_area(mirror / "icecube_icecat1", stream)["effective_area"][3].max())
        for stream in icecat1.STREAMS
    }
    assert horizon["all_streams_gold_bronze"] >= horizon["all_streams_gold_only"] > 1e6
    # at 100 GeV only the northernmost band, the first column of the file, has any area: 1.37e-10 m^2
    lowest = icecat1.read_effective_area(mirror / "icecube_icecat1", "gfugold")["effective_area"].values[:, 0]
    assert lowest == pytest.approx([0.0, 0.0, 0.0, 0.0, 1.3719159844640278e-06])
    assert icecat1.read_effective_area(mirror / "icecube_icecat1", "ehegold")["effective_area"].shape == (5, 50)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace("SIGNAL", "SIGNALNESS"), "lacks SIGNAL"),
        (lambda text: text[: len(text) // 2], "ends early|rows, expected 348|cannot be read"),
        (lambda text: text.replace(",138.47,-1.94,", ",138.47,-91.94,"), "DEC outside"),
        (lambda text: text.replace(",138.47,-1.94,", ",138.47,,"), "cannot be read"),
    ],
)
def test_bad_alert_tables_are_refused(mirror, tmp_path, spoil, words):
    text = (mirror / "icecube_icecat1" / icecat1.TABLE).read_text()
    write(tmp_path, icecat1.TABLE, spoil(text))
    with pytest.raises(DataError, match=words):
        icecat1.read_events(tmp_path)


# ---- templates and derived response -------------------------------------------------------------------------------


@pytest.mark.real_data
def test_galactic_maps(mirror):
    folder = mirror / TEMPLATES
    gas = {name: galactic_templates.read_gas_map(folder, name) for name in galactic_templates.GAS}
    assert {name: gas[name].attrs["nside"] for name in gas} == dict.fromkeys(gas, 64)
    assert np.corrcoef(gas["hi4pi_nh"]["density"], gas["lab_nh"]["density"])[0, 1] > 0.95


@pytest.mark.real_data
def test_map_of_unknown_ordering_is_refused(mirror, tmp_path):
    from astropy.io import fits

    with fits.open(mirror / TEMPLATES / "lab_nh_nside64.fits.gz") as file:
        del file[1].header["ORDERING"]
        file.writeto(tmp_path / "lab_nh_nside64.fits")
    with pytest.raises(DataError, match="ordering 'unknown', expected RING"):
        galactic_templates.read_gas_map(tmp_path, "lab_nh")
    write(tmp_path, "lab_nh_nside64.fits", b"not a fits file")
    with pytest.raises(DataError, match=r"lab_nh_nside64\.fits"):
        galactic_templates.read_gas_map(tmp_path, "lab_nh")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones(47), "expected 12 nside"),
        (np.append(np.ones(47), -1.0), "1 pixels that are negative"),
        (np.append(np.ones(46), [np.nan, -1.0]), "2 pixels that are negative or not finite"),
    ],
)
def test_bad_maps_are_refused(tmp_path, values, words):
    from astropy.io import fits

    table = fits.BinTableHDU.from_columns([fits.Column("NH", "D", array=values)])
    table.header["ORDERING"] = "RING"
    table.writeto(tmp_path / "lab_nh_nside64.fits")
    with pytest.raises(DataError, match=words):
        galactic_templates.read_gas_map(tmp_path, "lab_nh")


@pytest.mark.real_data
def test_truncated_npz_is_refused(mirror, tmp_path):
    source = mirror / "icecube_ps10yr_2021" / irf_plenum.PATH
    write(tmp_path, irf_plenum.PATH, source.read_bytes()[:-5000])
    with pytest.raises(DataError, match="truncated or damaged"):
        irf_plenum.read_tables(tmp_path)
    with np.load(source) as arrays:
        spoiled = {name: arrays[name] * (1.5 if name == "psf_north_+10_+90" else 1.0) for name in arrays.files}
    np.savez(tmp_path / irf_plenum.PATH, **spoiled)
    with pytest.raises(DataError, match="columns that sum to 1"):
        irf_plenum.read_tables(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", "# x y\n1 2\n3 4\n\n", 2),
        ("a.csv", "NAME,RA\nx,1\ny,2\n", 2),
        ("a.txt", "1 2\n3 4\n", 2),
        ("a.json", '{"x": [1, 2, 3], "y": [4, 5, 6]}', 3),
        ("a.npy", npy(np.zeros(12)), 12),
        ("a.zip", "anything", None),
    ],
)
def test_rows_are_counted_by_kind(tmp_path, name, content, rows):
    assert count_rows(write(tmp_path, name, content)) == rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", npy(np.zeros(12))[:-8]),
        ("a.npy", npy(np.array([{}]))),
        ("a.json", "[]"),
        ("a.json", '{"x": [1, 2], "y": [3]}'),
        ("a.parquet", "anything"),
    ],
)
def test_a_damaged_table_has_no_count(tmp_path, name, content):
    with pytest.raises(DataError, match=rf"{name} (cannot be read|is truncated)"):
        count_rows(write(tmp_path, name, content))


# ---- parsers of others --------------------------------------------------------------------------------------------


def lying(promised: int) -> bytes:
    """An npy file whose header promises that many numbers."""
    return npy(np.zeros(12)).replace(b"(12,), }" + b" " * (len(str(promised)) - 2), f"({promised},), }}".encode())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", lying(10**12), "its header promises an array of shape"),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 200, "cannot be read"),
        ("a.npy", b"\x93NUMPY\x09\x00\xff\xff", "cannot be read"),
        ("a.json", b"[" * 100_000, "cannot be read: maximum recursion"),
        ("a.json", b'{"x": ' + b"9" * 5000 + b"}", "cannot be read"),
        ("a.json", b'{"x": [1e999, {}]}', "cannot be read"),
        ("a.json", b'{"x": [' + b"9" * 400 + b"]}", "cannot be read"),
        ("a.json", b"\xff\xfe", "cannot be read|is damaged"),
        ("a.parquet", b"PAR1" + bytes(200) + b"PAR1", "truncated or damaged"),
    ],
)
def test_what_a_parser_stumbles_on_is_an_error_of_ours(tmp_path, name, content, words):
    with pytest.raises(DataError, match=words) as caught:
        count_rows(write(tmp_path, name, content))
    assert "nuanalysis data verify" in str(caught.value)


def packed(arrays: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (packed({"x": npy(np.zeros(2_000_000))}), "unpacks to more than the 1,000,000 bytes"),
        (packed({"x": lying(10**12)}), "its header promises"),
        (packed({"x": npy(np.array([{}]))}), "cannot be read"),
        (packed({"x": npy(np.zeros(1))}), "lacks logE_true_edges_eres"),
        (b"PK\x03\x04" + bytes(100), "truncated or damaged"),
    ],
)
def test_archives_of_arrays_are_bounded(tmp_path, monkeypatch, content, words):
    monkeypatch.setattr(_table, "largest", lambda usual: 1_000_000)
    write(tmp_path, irf_plenum.PATH, content)
    with pytest.raises(DataError, match=words):
        irf_plenum.read_tables(tmp_path)


def gas_map(change: Callable[[bytes], bytes]) -> bytes:
    from astropy.io import fits

    table = fits.BinTableHDU.from_columns([fits.Column("NH", "D", array=np.ones(48))])
    table.header["ORDERING"] = "RING"
    stream = io.BytesIO()
    table.writeto(stream)
    return change(stream.getvalue())


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"NAXIS2  =                   48", b"NAXIS2  =         900000000000"),
        lambda content: content.replace(b"TFORM1  = 'D       '", b"TFORM1  = 'Z       '"),
        lambda content: content.replace(b"NAXIS1  =                    8", b"NAXIS1  =                   -8"),
        lambda content: content[:3000],
        lambda content: content[:2880],
        lambda content: content.replace(b"TFIELDS =                    1", b"TFIELDS =                 1000"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_headers_that_lie_are_refused(tmp_path, change):
    assert gas_map(change) != gas_map(bytes), "the change is one"
    write(tmp_path, "lab_nh_nside64.fits", gas_map(change))
    with pytest.raises(DataError, match=r"lab_nh_nside64\.fits"):
        galactic_templates.read_gas_map(tmp_path, "lab_nh")


def test_alerts_of_another_encoding_are_an_error_of_ours(tmp_path):
    write(tmp_path, icecat1.TABLE, b"NAME,\xff\xfe\n1,2\n")
    with pytest.raises(DataError, match=icecat1.TABLE):
        icecat1.read_events(tmp_path)
