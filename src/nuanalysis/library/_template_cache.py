"""Built maps are kept in the user's cache: named by what they depend on, and checked when they are read."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import EnvironmentFault
from nuanalysis.ingest import cache_root
from nuanalysis.library._hybrid import HYBRID, column_path
from nuanalysis.schema import Spectrum
from nuanalysis.sky.records import CutOffPowerLaw, PowerLaw, TabulatedSpectrum, Template
from nuanalysis.sky.templates import Built
from nuanalysis.store import atomic_write, sha256_file

CACHE_FOLDER = "templates"
SpectrumJson = dict[str, str | float | list[float]]
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


def cache_path(built: Built) -> Path:
    """Where the map of a recipe is kept: named by what it depends on, so that it never goes out of date."""
    return cache_root() / CACHE_FOLDER / f"{_content_sha256(built)}.npz"


def _content_sha256(built: Built) -> str:
    """Of everything the map depends on: the recipe and its parameters, and the file of others that it reads."""
    column = column_path() if built.recipe.name == HYBRID else None
    if column is None:
        return built.sha256
    return hashlib.sha256(f"{built.sha256} {sha256_file(column)}".encode()).hexdigest()


def made_once(built: Built) -> Template:
    """The template from the cache, or made and put there; the same arrays either way."""
    path, sha256 = cache_path(built), _content_sha256(built)
    kept = _read_cached(path, sha256)
    if kept is not None:
        return kept
    made = _frozen(replace(built.make(), name=built.name, sha256=sha256))
    with suppress(EnvironmentFault):  # a cache that cannot be written costs seconds, not the answer
        atomic_write(path, _encoded(made))
    return made


def _frozen(template: Template) -> Template:
    maps = np.ascontiguousarray(template.maps, dtype=np.float64)
    log10_energy = np.ascontiguousarray(template.log10_energy, dtype=np.float64)
    maps.flags.writeable = log10_energy.flags.writeable = False
    return replace(template, maps=maps, log10_energy=log10_energy)


def _encoded(template: Template) -> bytes:
    """A template as the bytes of an .npz file that holds the digest of its own content."""
    header = json.dumps({
        "name": template.name,
        "label": template.label,
        "origin": template.origin,
        "reference": template.reference,
        "sha256": template.sha256,
        "flux": template.flux,
        "spectrum": _spectrum_record(template.spectrum),
    })  # fmt: skip
    digest = _digest(header, template.maps, template.log10_energy)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=np.array(header),
        digest=np.array(digest),
        maps=template.maps,
        log10_energy=template.log10_energy,
    )
    return buffer.getvalue()


def _digest(header: str, maps: NDArray[Any], log10_energy: NDArray[Any]) -> str:
    digest = hashlib.sha256(header.encode())
    for array in (maps, log10_energy):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read_cached(path: Path, sha256: str) -> Template | None:
    """The template kept under that name; None where there is none or its content is not what was written."""
    if not path.is_file():
        return None
    try:
        # From memory: a damaged file would be left open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            header, digest, maps, log10_energy = (held[key] for key in ("header", "digest", "maps", "log10_energy"))
        said = json.loads(str(header))
        if str(digest) != _digest(str(header), maps, log10_energy) or said["sha256"] != sha256:
            return None
        spectrum = _spectrum_of(said.pop("spectrum"))
        return _frozen(Template(maps=maps, log10_energy=log10_energy, spectrum=spectrum, **said))
    except _BROKEN:
        return None


_SPECTRA: dict[str, Callable[..., Spectrum]] = {
    "PowerLaw": PowerLaw,
    "CutOffPowerLaw": CutOffPowerLaw,
    "TabulatedSpectrum": lambda log10_energy, log10_value: TabulatedSpectrum(
        np.array(log10_energy, dtype=np.float64), np.array(log10_value, dtype=np.float64)
    ),
}


def _spectrum_record(spectrum: Spectrum) -> SpectrumJson:
    """A spectrum as JSON; numbers keep every digit."""
    kind = type(spectrum).__name__
    match spectrum:
        case PowerLaw(index):
            return {"kind": kind, "index": index}
        case CutOffPowerLaw(index, cutoff):
            return {"kind": kind, "index": index, "cutoff": cutoff}
        case TabulatedSpectrum(log10_energy, log10_value):
            return {"kind": kind, "log10_energy": log10_energy.tolist(), "log10_value": log10_value.tolist()}
    raise TypeError(f"a {kind} cannot be kept in a file; expected one of {', '.join(_SPECTRA)}")


def _spectrum_of(record: SpectrumJson) -> Spectrum:
    return _SPECTRA[str(record.pop("kind"))](**record)
