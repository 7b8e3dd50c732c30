"""Libraries that are imported when something of them is first used.

Each takes 0.1 to 0.6 s of every start of the command line (healpy brings matplotlib, xarray brings pandas), and a list
of templates or a message about a missing file needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py as h5py
    import healpy as healpy
    import matplotlib as matplotlib
    import matplotlib.axes
    import matplotlib.axis
    import matplotlib.cm
    import matplotlib.colors
    import matplotlib.figure
    import matplotlib.layout_engine
    import matplotlib.lines
    import matplotlib.patches
    import matplotlib.patheffects
    import matplotlib.ticker
    import scipy as scipy
    import xarray as xarray
    from astropy import units as units
    from astropy.io import fits as fits
else:

    class _Deferred:
        """Stands for a module until one of its names, or of its modules, is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            module = import_module(self._name)
            found = getattr(module, name) if hasattr(module, name) else import_module(f"{self._name}.{name}")
            setattr(self, name, found)  # asked once
            return found

    h5py, healpy, xarray = _Deferred("h5py"), _Deferred("healpy"), _Deferred("xarray")
    matplotlib, scipy = _Deferred("matplotlib"), _Deferred("scipy")
    fits, units = _Deferred("astropy.io.fits"), _Deferred("astropy.units")

__all__ = ["fits", "h5py", "healpy", "matplotlib", "scipy", "units", "xarray"]
