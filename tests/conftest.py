"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# One thread each: those of healpy would fight with the processes of the suite for the cores.  Set before any import.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_MIRROR = os.environ.get("NUANALYSIS_DATA")  # read now: some modules take the variable away for their own tests


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder of the public files; tests that need it are skipped, with the reason, where it is absent."""
    if not _MIRROR or not Path(_MIRROR).is_dir():
        pytest.skip("NUANALYSIS_DATA does not name a folder of public data files")
    return Path(_MIRROR)
