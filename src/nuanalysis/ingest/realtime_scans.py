"""Two published sky scans of alert tracks: -ln L of every pixel that was tried, at nside 8, 64 and 512."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import all_there, checked, faults_named, located, read_bytes, spoiled, within
from nuanalysis.schema import Floats, Ints
from nuanalysis.store import TABLE, largest, npy_array

COLUMNS = ("index", "llh", "E_in", "E_tot")
_LARGEST_NSIDE = 4096
_LIMITS = {"E_in": (0.0, 1e12), "E_tot": (0.0, 1e12), "llh": (-1e9, 1e9)}

RELEASE = UpstreamRelease(
    name="realtime-scans",
    title="Sky scans of two IceCube alert tracks, IC220524A and IC220624A, pixel by pixel",
    folder="realtime_scans",
    licence="MIT (icecube/skymap_scanner)",
    citation="IceCube Collaboration, icecube/skymap_scanner, tests/data/realtime_events, commit f6688026",
    files=files_of("realtime_scans"),
    notes="Pixels in RING order; declination of a pixel is theta - 90 deg there, the mirror of HEALPix's own rule.",
)
#: Names of the events as ICECAT-1 has them.
EVENTS = {
    "IC220524A": "run00136662-evt000035405932-BRONZE-8_64_512.npz",
    "IC220624A": "run00136766-evt000007637140-GOLD-8_64_512.npz",
}


@dataclass(frozen=True, slots=True, eq=False)
class PublishedScan:
    """Pixels of a scan, finest order last, turned so that declination is 90 deg - theta: (pixel,) each.

    order, index : HEALPix order and nested index.  minus_log_likelihood.  energy_inside, energy : GeV.
    """

    order: Ints
    index: Ints
    minus_log_likelihood: Floats
    energy_inside: Floats
    energy: Floats


def read_scan(folder: Path, event: str) -> PublishedScan:
    """One of ``EVENTS``.  Raises InputError for another name, DataError for a damaged file."""
    if event not in EVENTS:
        raise InputError(f"no published scan of '{event}'.{did_you_mean(event, EVENTS)}")
    return read_scan_file(located(folder, RELEASE, EVENTS[event]))


def read_scan_file(path: Path, *, mirrored: bool = True) -> PublishedScan:
    """A scan in the form of skymap_scanner: an npz archive with an array nside-N of (index, llh, E_in, E_tot) each.

    mirrored : declination is theta - 90 deg, as in the two files that are public; newer ones may follow HEALPix's own
    rule, so a file of another origin is to be checked against a position that is known.
    Raises DataError for a damaged file, one that is too large, or pixels that no map has.
    """
    tables = {_nside(path, name): _columns(path, found) for name, found in _arrays(path).items()}
    if not tables:
        raise spoiled(f"{path} holds no array named nside-N")
    parts = [_part(path, nside, tables[nside], mirrored=mirrored) for nside in sorted(tables)]
    whole = PublishedScan(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    if (whole.order == whole.order[0]).sum() != 12 * 4 ** int(whole.order[0]):
        raise spoiled(f"{path}: its coarsest pixels, nside {2 ** int(whole.order[0])}, do not cover the sky")
    return whole


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The structured arrays of the archive; no pickles, and no more than a table may have."""
    content = read_bytes(path)
    with faults_named(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if sum(info.file_size for info in members) > largest(TABLE):
            raise ValueError(f"it unpacks to more than {largest(TABLE):,} bytes")
        return {info.filename.removesuffix(".npy"): npy_array(archive.read(info)) for info in members}


def _nside(path: Path, name: str) -> int:
    word = name.removeprefix("nside-")
    nside = int(word) if word.isascii() and word.isdigit() and len(word) < 6 else 0
    if not name.startswith("nside-") or nside & (nside - 1) or not 1 <= nside <= _LARGEST_NSIDE:
        raise spoiled(f"{path} holds an array '{name[:60]}'; expected nside-N, N a power of 2 up to {_LARGEST_NSIDE}")
    return nside


def _columns(path: Path, found: NDArray[Any]) -> dict[str, Floats]:
    all_there(path, COLUMNS, found.dtype.names or ())
    if found.ndim != 1 or not len(found):
        raise spoiled(f"{path} holds an array of shape {found.shape}; expected a row for each pixel")
    with faults_named(path):
        return checked(path, {name: np.asarray(found[name], dtype=np.float64) for name in COLUMNS})


def _part(path: Path, nside: int, table: dict[str, Floats], *, mirrored: bool) -> tuple[NDArray[Any], ...]:
    """The columns of ``PublishedScan`` for one resolution."""
    within(path, table, _LIMITS | {"index": (0, 12 * nside**2 - 1)})
    ring = table["index"].astype(np.int64)
    if len(np.unique(ring)) != len(ring):
        raise spoiled(f"{path} lists a pixel of nside {nside} twice")
    theta, phi = hp.pix2ang(nside, ring)
    index = hp.ang2pix(nside, np.pi - theta if mirrored else theta, phi, nest=True)
    order = np.full(len(ring), int(np.log2(nside)), np.int64)
    rising = np.argsort(index)
    values = (table[name][rising] for name in ("llh", "E_in", "E_tot"))
    return order, np.asarray(index, dtype=np.int64)[rising], *values
