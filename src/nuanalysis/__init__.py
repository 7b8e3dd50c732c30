"""Galactic-plane neutrino astronomy on public data.

Submodules are loaded on first use, so that ``import nuanalysis`` stays cheap.
"""

from __future__ import annotations

import importlib
from types import ModuleType

_SUBMODULES = (
    "errors",
    "schema",
    "sphere",
    "store",
    "ingest",
    "selection",
    "response",
    "sky",
    "simulate",
    "model",
    "likelihood",
    "trials",
    "interpret",
    "library",
    "engine",
    "plot",
    "publish",
    "answers",
    "workflow",
)
__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str) -> ModuleType | str:
    if name == "__version__":
        from importlib.metadata import version

        return version("nuanalysis")
    if name in _SUBMODULES:
        return importlib.import_module(f"nuanalysis.{name}")
    raise AttributeError(f"module 'nuanalysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
