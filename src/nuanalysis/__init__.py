"""Galactic-plane neutrino astronomy on public data.

    import nuanalysis as nu

    events = nu.sample("cascades-2023")      # a SYNTHETIC twin of the published sample; nu.sample("tracks") is real
    found = nu.fit(events, "template:pi0")   # TS, n_s, p-value, flux, upper limit
    nu.significance(found, precision=0.05).plot()

Nouns: ``sample``, ``template``, ``point``, ``catalogue``, ``hypothesis``, ``Bench``.  Verbs: the questions, each a
function, a verb of the command line and a section of a spec.  Everything loads on first use: the import is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nuanalysis.answers import QUESTIONS

_NOUNS = ("Bench", "catalogue", "hypothesis", "point", "run", "sample", "template")
_RECORDS = ("Chance", "Interval", "Measured", "Provenance", "Unknown")
__all__ = ["__version__", "errors", *_NOUNS, *QUESTIONS, *_RECORDS]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("nuanalysis")
    if name == "errors":
        return import_module("nuanalysis.errors")
    if name in QUESTIONS:
        found = import_module("nuanalysis.face").verb(name)
    elif name in _NOUNS:
        found = getattr(import_module("nuanalysis.face"), name)
    elif name in _RECORDS:
        found = getattr(import_module("nuanalysis.records"), name)
    else:
        raise AttributeError(f"module 'nuanalysis' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
