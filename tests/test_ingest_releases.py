"""The releases that are not event tables of tracks: cascades 2023, HESE, ICECAT-1, templates, derived response."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from nuanalysis import ingest
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import cascades_2023, galactic_templates, irf_plenum
from nuanalysis.ingest._table import count_rows

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
def test_everything_in_the_mirror_verifies(mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
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
