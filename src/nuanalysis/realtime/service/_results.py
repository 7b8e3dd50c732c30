"""Results of a scan at rest: a folder each, named by its content, complete or absent."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuanalysis.errors import DataError
from nuanalysis.realtime.service._records import Part, Result
from nuanalysis.realtime.service.requests import ScanRequest
from nuanalysis.realtime.service.runner import FILES, Found
from nuanalysis.store import atomic_write

RESULTS, MANIFEST, REQUEST = "results", "result.json", "request.json"
KEPT = 2  # partial results that stay: one may just be read


def write_result(folder: Path, request: ScanRequest, found: Found, *, final: bool) -> str:
    """Write what was found into the folder of a scan and return its name there; equal findings have equal names.

    Raises EnvironmentFault where the disk is full; what was there before is intact.
    """
    manifest = _manifest(request, found, final)
    name = f"{found.round:04d}-{'final' if final else 'part'}-{hashlib.sha256(manifest).hexdigest()[:16]}"
    place = folder / RESULTS / name
    if not place.exists():
        scratch = place.with_name(f".{name}.{os.getpid()}")
        try:
            for file, data in {**found.files, MANIFEST: manifest}.items():
                atomic_write(scratch / file, data)
            scratch.replace(place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    _thin(folder / RESULTS, name)
    return name


def _manifest(request: ScanRequest, found: Found, final: bool) -> bytes:
    document = {
        "is_final": final,
        "complete": found.complete,
        "real_or_simulated": request.real_or_simulated,
        "synthetic": found.synthetic,
        "note": found.note,
        "round": found.round,
        "pixels_done": found.pixels_done,
        "right_ascension_deg": math.degrees(found.right_ascension),
        "declination_deg": math.degrees(found.declination),
        "area_50_deg2": found.area_50_deg2,
        "area_90_deg2": found.area_90_deg2,
        "files": [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(found.files.items())
        ],
    }
    return json.dumps(document, indent=1, allow_nan=False).encode()


def _thin(results: Path, newest: str) -> None:
    """Remove what killed workers left, and all but the last results."""
    for path in results.glob(".*"):
        shutil.rmtree(path, ignore_errors=True)
    others = sorted((path for path in results.iterdir() if path.name != newest), key=lambda path: path.name)
    for path in others[: -(KEPT - 1)]:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A result as it lies on disk, with the digest of its manifest."""

    result: Result
    etag: str


def read_result(folder: Path, name: str, scan: str) -> Stored:
    """The result of this name.  Raises DataError where it is missing or damaged."""
    path = folder / RESULTS / name / MANIFEST
    try:
        data = path.read_bytes()
        document: dict[str, Any] = json.loads(data)
        parts = tuple(
            Part(href=f"/v1/scans/{scan}/result/{part['name']}", media_type=FILES[part["name"]], **part)
            for part in document.pop("files")
        )
        return Stored(Result(scan=scan, files=parts, **document), hashlib.sha256(data).hexdigest())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the result of scan {scan} cannot be read ({error}); ask for a rescan") from error


def result_file(folder: Path, name: str, file: str) -> Path:
    """Path of a file of a result."""
    return folder / RESULTS / name / file
