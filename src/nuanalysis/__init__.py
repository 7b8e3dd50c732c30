"""Galactic-plane neutrino astronomy on public data.

    import nuanalysis as nu, astropy.units as u
    from astropy.coordinates import SkyCoord

    events = nu.sample("cascades-2023")  # a card: SYNTHETIC, 59,592 events, livetime
    plane = nu.template("pi0")  # or a file, or an array with its frame and units
    found = nu.fit(events, plane)  # TS, n_s, index, flux with units
    chance = nu.significance(found, precision=0.05)
    chance.plot()  # the TS distribution, stamped
    crab = nu.point(SkyCoord("05h34m31.9s +22d00m52s"), extension=0.5 * u.deg)
    nu.limit(events, crab).to_table()  # astropy QTable

Nouns: ``sample``, ``template``, ``point``, ``catalogue``, ``hypothesis``, ``Bench``.  Verbs: the questions, each a
function, a verb of the command line and a section of a spec.  Everything loads on first use: the import is cheap.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

if find_spec("fcntl") is None:  # what keeps two writers apart; docs/decisions/0023
    raise ImportError("nuanalysis runs on Linux and macOS; on Windows use WSL: 'wsl --install', then install it there")

from nuanalysis.answers import QUESTIONS, READINGS

_NOUNS = ("Bench", "catalogue", "hypothesis", "point", "run", "sample", "template")
_RECORDS = ("Chance", "Interval", "Measured", "Provenance", "Unknown")
__all__ = ["__version__", "errors", *_NOUNS, *QUESTIONS, *READINGS, *_RECORDS]


try:
    Path.home()
except RuntimeError:  # an unknown user without HOME, as in containers: no library finds its settings
    import_module("nuanalysis.store").provide_home()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("nuanalysis")
    if name == "errors":
        return import_module("nuanalysis.errors")
    if name in (*QUESTIONS, *READINGS, *_NOUNS):
        progress = import_module("nuanalysis.engine.progress")
        with progress.compiling(progress.here()):
            face = import_module("nuanalysis.face")
            makers = {**dict.fromkeys(QUESTIONS, face.verb), **dict.fromkeys(READINGS, face.reading)}
            found = makers[name](name) if name in makers else getattr(face, name)
    elif name in _RECORDS:
        found = getattr(import_module("nuanalysis.records"), name)
    else:
        raise AttributeError(f"module 'nuanalysis' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
