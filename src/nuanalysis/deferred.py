"""Libraries that are imported when something of them is first used.

Each takes 0.1 to 0.6 s of every start of the command line (healpy brings matplotlib, xarray brings pandas), and a list
of templates or a message about a missing file needs none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

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
    import numba as numba
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

    class _Kernel:
        """Stands for a compiled function until the first of all is called: then all are made, in their order.

        One that was made after others had run would link other copies of what they call, and differ in the last bit.
        """

        waiting: ClassVar[list[_Kernel]] = []  # in the order of their definition, which is that of the imports
        making = threading.RLock()

        def __init__(self, function: Callable[..., Any], *given: Any, **options: Any) -> None:
            self.function, self.given, self.options, self.made = function, given, options, None
            self.waiting.append(self)

        def __call__(self, *arguments: Any) -> Any:
            return (self.made or self.make())(*arguments)

        def make(self) -> Any:
            njit = import_module("numba").njit
            with self.making:
                rooms = {id(one.function.__globals__): one.function.__globals__ for one in self.waiting}
                while self.waiting:
                    one = self.waiting[0]
                    one.made = njit(*one.given, **one.options)(one.function)
                    for room in rooms.values():  # numba looks up by name what a kernel calls
                        room.update({name: one.made for name, value in room.items() if value is one})
                    del self.waiting[0]
            return self.made

    class _Numba:
        """numba, as far as kernels need it."""

        def njit(self, *given: Any, **options: Any) -> Callable[[Callable[..., Any]], _Kernel]:
            return lambda function: _Kernel(function, *given, **options)

    h5py, healpy, xarray = _Deferred("h5py"), _Deferred("healpy"), _Deferred("xarray")
    matplotlib, scipy = _Deferred("matplotlib"), _Deferred("scipy")
    fits, units = _Deferred("astropy.io.fits"), _Deferred("astropy.units")
    numba = _Numba()

__all__ = ["fits", "h5py", "healpy", "matplotlib", "numba", "scipy", "units", "xarray"]
