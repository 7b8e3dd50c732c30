"""Which code made a number: the version, and a hash of the source for those who edit it."""

import hashlib
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("nuanalysis", "numpy", "scipy", "numba", "astropy", "healpy", "xarray", "zarr", "icechunk", "dask")


def versions() -> dict[str, str]:
    """Python and the packages that decide numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """sha256 of the version and of every file of the package that can change a number.

    An editable checkout keeps its version while the source changes; trials of two codes must not be mixed.
    """
    return hashlib.sha256(f"{version('nuanalysis')} {room_fingerprint('.')}".encode()).hexdigest()


@lru_cache(maxsize=8)
def room_fingerprint(*rooms: str) -> str:
    """sha256 of every file of some rooms that can change a number, for what depends on no other code."""
    package, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    paths = {p for room in rooms for p in (package / room).rglob("*") if p.suffix in (".py", ".csv")}
    for path in sorted(p for p in paths if p.name != "_version.py"):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
