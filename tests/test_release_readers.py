"""Files of a release as other people's programs read them: pandas, astropy, mocpy, plain zarr and xarray as it comes.

gammapy reads events, maps and responses in an environment of its own: ``test_release_elsewhere.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from astropy.io import votable
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table
from small_results import RESULTS, entry, make_run, results, scanned

from nuanalysis import publish
from nuanalysis.store import read_zip


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("runs") / "default", results(RESULTS[:2], [entry("scan", "sky", scanned())]))
    return publish.build(run, "DR0.1")


def tables(release: Path) -> list[Path]:
    """Every table of answers, citations and the cut flow, without its ending."""
    found = [path.with_suffix("") for path in release.rglob("*.parquet")]
    assert {path.name for path in found} >= {"fits", "citations", "cut-flow", "scan-cascades-2023-sky-synthetic"}
    return found


def same(a: Any, b: Any) -> None:
    if np.asarray(a).dtype.kind == "f":
        np.testing.assert_array_equal(np.ma.filled(a, np.nan), np.ma.filled(b, np.nan))
    else:
        assert [str(one) for one in a] == [str(one) for one in b]


def test_pandas_reads_every_table(release: Path) -> None:
    for path in tables(release):
        ecsv, frame = Table.read(f"{path}.ecsv", format="ascii.ecsv"), pd.read_parquet(f"{path}.parquet")
        assert list(frame.columns) == ecsv.colnames
        for name in ecsv.colnames:
            if ecsv[name].dtype.kind in "fib" and ecsv[name].ndim == 1:
                same(ecsv[name].astype(float), frame[name].astype(float).to_numpy())


def test_parquet_keeps_units_and_says_what_columns_are(release: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    schema = pq.read_schema(release / "fits" / "fits.parquet")
    about = schema.field("flux_best").metadata
    assert u.Unit(about[b"unit"].decode()) == u.Unit("TeV cm-2 s-1")
    assert about[b"ucd"] == b"phot.flux"
    assert schema.metadata[b"RELEASE"] == release.name.encode()
    for path in tables(release):
        for field in pq.read_schema(f"{path}.parquet"):
            assert check_ucd(field.metadata[b"ucd"].decode(), check_controlled_vocabulary=True), field.name


def test_astropy_reads_every_votable_with_the_words_of_the_ivoa(release: Path) -> None:
    for path in tables(release):
        ecsv, document = Table.read(f"{path}.ecsv", format="ascii.ecsv"), votable.parse(f"{path}.vot")
        assert {info.name: info.value for info in document.infos}["RELEASE"] == release.name
        found = document.get_first_table()
        for field in found.fields:
            assert check_ucd(field.ucd, check_controlled_vocabulary=True), (field.name, field.ucd)
            assert (field.unit or u.one) == (ecsv[field.name].unit or u.one)
        for name in ecsv.colnames:
            if ecsv[name].dtype.kind == "f" and ecsv[name].ndim == 1:
                same(ecsv[name], found.to_table()[name])


def test_mocpy_and_astropy_read_the_map_of_a_scan(release: Path) -> None:
    """The smallest set of pixels with nine tenths of exp(TS / 2), to the area of one of them."""
    mocpy = pytest.importorskip("mocpy")
    sky = scanned().sky
    (path,) = (release / "maps").glob("*.multiorder.fits")
    found = mocpy.MOC.from_multiordermap_fits_file(path, cumul_from=0.0, cumul_to=0.9)
    share = np.sort(np.exp(0.5 * sky["ts"].values))[::-1]
    wanted = np.searchsorted(np.cumsum(share) / share.sum(), 0.9)
    assert found.sky_fraction * len(share) == pytest.approx(wanted, abs=1.01)
    (flat,) = (path for path in (release / "maps").glob("sky-*.fits") if path.name.count(".") == 1)
    np.testing.assert_array_equal(Table.read(flat, hdu=1)["CHANNEL1"], sky["ts"])


def test_plain_zarr_and_xarray_read_every_archive(release: Path) -> None:
    """As they come: no options of ours, and a zero stays a zero."""
    archives = sorted(release.rglob("*.zarr.zip"))
    assert {path.parent.name for path in archives} == {"events", "response", "maps", "trials", "likelihood"}
    for path in archives:
        ours = read_zip(path)
        group = zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
        with xr.open_zarr(zarr.storage.ZipStore(path, mode="r"), consolidated=False) as theirs:
            for name in ours.variables:
                if ours[name].dtype.kind in "fiub":
                    np.testing.assert_array_equal(np.asarray(group[str(name)]), ours[name].values)
                    np.testing.assert_array_equal(theirs[name].values, ours[name].values)
