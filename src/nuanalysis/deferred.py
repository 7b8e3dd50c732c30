"""Libraries that are imported when something of them is first used.

Each takes 0.1 to 0.6 s of every start of the command line (healpy brings matplotlib, xarray brings pandas), and a list
of templates or a message about a missing file needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py as h5py
    import healpy as healpy
    import xarray as xarray
    from astropy import units as units
    from astropy.io import fits as fits
    from scipy import interpolate as interpolate
    from scipy import optimize as optimize
    from scipy import sparse as sparse
    from scipy import special as special
    from scipy import stats as stats
    from scipy.sparse import linalg as linalg
else:

    class _Deferred:
        """Stands for a module until one of its names is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._name), name)

    h5py, healpy, xarray = _Deferred("h5py"), _Deferred("healpy"), _Deferred("xarray")
    fits, units = _Deferred("astropy.io.fits"), _Deferred("astropy.units")
    interpolate, optimize, sparse = (_Deferred(f"scipy.{name}") for name in ("interpolate", "optimize", "sparse"))
    linalg, special, stats = (_Deferred(f"scipy.{name}") for name in ("sparse.linalg", "special", "stats"))

__all__ = [
    "fits",
    "h5py",
    "healpy",
    "interpolate",
    "linalg",
    "optimize",
    "sparse",
    "special",
    "stats",
    "units",
    "xarray",
]
