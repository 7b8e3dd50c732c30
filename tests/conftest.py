"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from collections.abc import Callable
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


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the module: what a command left behind the next one finds."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line with these arguments: exit code, stdout and stderr."""
    from nuanalysis import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main(list(map(str, arguments)))
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run
