"""Zarr zips and atomic writes: what goes in comes out, the same bytes each time, damage is seen."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from nuanalysis.errors import DataError, EnvironmentFault, InputError
from nuanalysis.store import atomic_write, read_zip, sha256_file, write_zip
from nuanalysis.store._foreign import refuse_depth


def everything() -> xr.Dataset:
    """Return a dataset with each kind of variable that a product may hold."""
    rng = np.random.default_rng(3)
    gaps = rng.normal(size=5)
    gaps[2] = np.nan
    return xr.Dataset(
        {
            "area": (("sin_dec", "log10_true"), rng.random((4, 5)), {"units": "cm2", "description": "effective area"}),
            "elapsed": (("x",), np.arange(5.0), {"units": "seconds since 2010-01-01"}),  # a number, not a date
            "days": (("x",), np.arange(5), {"units": "days"}),
            "gaps": (("x",), gaps, {"units": ""}),
            "good": (("x",), np.array([True, False, True, True, False])),
            "name": (("x",), np.array(["Crab", "Vela X", "", "RX J1713.7−3946", "HESS"])),
            "none": (("nothing",), np.zeros(0)),
            "small": (("x",), np.arange(5, dtype=np.int16)),
            "single": ((), 3.5, {"units": "TeV"}),
            "single32": (("x",), rng.random(5).astype(np.float32)),
        },
        coords={"x": ("x", np.arange(5) * 0.5, {"units": "rad"}), "label": (("x",), np.array(list("abcde")))},
        attrs={"origin": "synthetic", "nested": {"list": [1, 2.5, "three", None, True]}, "nside": np.int64(64)},
    )


def test_a_zip_gives_back_what_went_in(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "new" / "folder" / "a.zarr.zip", everything())
    found = read_zip(path)
    xr.testing.assert_identical(found, everything().assign_attrs(nside=64))
    assert {n: v.dtype for n, v in found.variables.items()} == {n: v.dtype for n, v in everything().variables.items()}
    assert list(found.data_vars) == sorted(everything().data_vars)
    assert write_zip(tmp_path / "again.zip", found).read_bytes() == path.read_bytes()


def test_a_zip_is_the_same_bytes_whenever_and_wherever_it_is_written(tmp_path: Path) -> None:
    long = xr.Dataset({"b": ("x", np.random.default_rng(1).random(300_000)), "a": ("x", np.arange(300_000))})
    first = write_zip(tmp_path / "a.zip", long)
    code = (
        "import sys; from pathlib import Path; from nuanalysis.store import *; "
        "write_zip(Path(sys.argv[2]), read_zip(Path(sys.argv[1])))"
    )
    second = tmp_path / "b.zip"
    subprocess.run([sys.executable, "-c", code, first, second], check=True, env={**os.environ, "TZ": "Asia/Tokyo"})
    assert sha256_file(first) == sha256_file(second)
    with zipfile.ZipFile(first) as archive:
        entries = archive.infolist()
    assert [e.filename for e in entries] == sorted(e.filename for e in entries)
    assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
    assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_a_large_map_is_sharded_and_opens_in_plain_xarray(tmp_path: Path) -> None:
    cube = np.random.default_rng(1).random((3, 200_000))
    path = write_zip(tmp_path / "map.zip", xr.Dataset({"m": (("energy", "pixel"), cube, {"units": "sr-1"})}))
    with zarr.storage.ZipStore(path, mode="r") as archive:
        found = xr.open_zarr(archive, consolidated=False, chunks=None).load()
        assert zarr.open_group(archive, mode="r").metadata.consolidated_metadata is None
        assert zarr.open_group(archive, mode="r")["m"].shards is not None
    np.testing.assert_array_equal(found["m"].values, cube)
    assert found["m"].attrs == {"units": "sr-1"}


def test_every_cut_and_every_flipped_byte_is_seen(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", everything()[["area", "gaps"]])
    data = path.read_bytes()
    rng = np.random.default_rng(5)
    for length in [0, 1, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match="not a readable zarr zip"):
            read_zip(path)
    expected = everything()[["area", "gaps"]].assign_attrs(nside=64)
    for at in rng.integers(0, len(data), 200):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        try:
            found = read_zip(path)
        except DataError:
            continue
        xr.testing.assert_identical(found, expected)  # the byte was a date or a permission of the zip


def test_what_is_no_zarr_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable zarr zip"):
        read_zip(tmp_path / "missing.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("thesis.txt", "years of work")
    with pytest.raises(DataError, match="not a readable zarr zip"):
        read_zip(tmp_path / "other.zip")


def test_what_would_not_come_back_as_it_went_is_refused_and_nothing_written(tmp_path: Path) -> None:
    for odd in (np.array(["2010-05-31"], dtype="M8[ns]"), np.array([1j]), np.array([{}], dtype=object)):
        with pytest.raises(InputError, match=r"'t' is .*MJD in days"):
            write_zip(tmp_path / "a.zip", xr.Dataset({"t": ("x", odd)}))
    odd = xr.Dataset({"v": ("x", np.zeros(3), {"limit": np.inf})})
    with pytest.raises(InputError, match=r"attribute 'v\.limit'"):
        write_zip(tmp_path / "a.zip", odd)
    assert list(tmp_path.iterdir()) == []
    assert odd["v"].attrs == {"limit": np.inf}  # the caller's dataset is left as it was


def test_atomic_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert sha256_file(path) == "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot read"):
        sha256_file(tmp_path / "missing")


def test_a_refused_write_is_an_environment_fault_and_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(EnvironmentFault, match=r"cannot write .*file/below"):
        atomic_write(tmp_path / "file" / "below", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EnvironmentFault, match=os.strerror(errno.EISDIR)):
        atomic_write(tmp_path / "folder", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_brackets_between_quotes_and_points_of_numbers_are_no_depth() -> None:
    """Half-open intervals in words, and a long row of decimals, are no nesting; what nests is still refused."""
    refuse_depth(json.dumps({"notes": ['[1, 4), [0, 2), " [['] * 200, "row": [0.5] * 500}))
    refuse_depth("x = [\n" + ", ".join(["1.5"] * 300) + ",\n[" + ", ".join(["1.5"] * 300) + "]\n]\n")
    keys = "a." * 101 + "b"
    for text in ("[" * 101, f"{keys} = 1", f"[{keys}]\nx = 1", f"[[{keys}]]", '"x"' + "{" * 101):
        with pytest.raises(ValueError, match="nests deeper than 100"):
            refuse_depth(text)
