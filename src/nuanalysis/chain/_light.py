"""The table of light: made once by the package's own photons, then kept in the user's cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from importlib.resources import files
from operator import add
from pathlib import Path

from nuanalysis.chain._kept import opened_as
from nuanalysis.detector import LightTable, PhotonSums, light_table, simulate_photons
from nuanalysis.engine.bench import Bench
from nuanalysis.ingest import cache_root
from nuanalysis.store import write_object

#: Of the modules over the nominal one: fitted to the charge of one half of 168 public official events (0.606); on the
#: other half the charge is then right to 5 per cent.  Nothing else is fitted to them.
EFFICIENCY = 0.61
PHOTONS = 4_000_000  # of each emission: 70 s of one core; fluence within 100 m to 1 per cent
_SEED = 1
_PIECES = 20
_MADE_BY = ("_photon_kernels.py", "_photons.py", "_table.py", "_random_kernels.py")


@dataclass(frozen=True, slots=True)
class Medium:
    """Where light travels and what sees it.

    ice : name of the model.  efficiency : of all modules, over the nominal one.  photons : of either emission behind
    the table of light.
    """

    ice: str = "spice-mie"
    efficiency: float = EFFICIENCY
    photons: int = PHOTONS

    def __str__(self) -> str:
        return f"{self.ice}, modules at {self.efficiency:g} of their nominal efficiency"


def light(bench: Bench, photons: int = PHOTONS) -> Path:
    """The file of the table of light from so many photons of each emission, made where it is missing."""
    path = _path(photons)
    if not path.exists():
        bench.progress(f"the table of light is made, once: {photons:,} photons of either emission")
        jobs = [(cone, k) for cone in (False, True) for k in range(_PIECES)]
        sums = bench.map(partial(_walked, photons), jobs, "photons")
        broad, cone = (reduce(add, sums[begin : begin + _PIECES]) for begin in (0, _PIECES))
        write_object(path, light_table(broad, cone))
    return path


@lru_cache(maxsize=2)
def opened_light(path: Path) -> LightTable:
    """The table in a file, opened once per process."""
    return opened_as(LightTable, path)


def _walked(photons: int, job: tuple[bool, int]) -> PhotonSums:
    cone, k = job
    first, last = photons * k // _PIECES, photons * (k + 1) // _PIECES
    return simulate_photons(_SEED, first, last, cone=cone)


def _path(photons: int) -> Path:
    """Its place: named by what made it, so that another code makes another table."""
    said = hashlib.sha256(f"{_SEED} {photons}".encode())
    for name in _MADE_BY:
        said.update((files("nuanalysis.detector") / name).read_bytes())
    return cache_root() / "light" / f"table-{said.hexdigest()[:24]}.npz"
