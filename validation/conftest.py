"""Where the public files are."""

import os
from pathlib import Path

import pytest

# One thread each: those of healpy would fight with the processes of the suite for the cores.  Set before any import.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder of the public files; comparisons that need it are skipped, with the reason, where it is absent."""
    folder = os.environ.get("NUANALYSIS_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("NUANALYSIS_DATA does not name a folder of public data files")
    return Path(folder)
