"""A run in a container-like home, from an installed environment to a verified release; see ``container_home``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import container_home
import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's: it closes its folders to other users, again whenever another session begins."""
    with tempfile.TemporaryDirectory(prefix="container-home-") as name:
        yield Path(name)


@pytest.mark.slow
def test_a_run_in_a_hostile_home_ends_in_a_verified_release(folder: Path) -> None:
    try:
        found = container_home.imposed(folder)
    except container_home.NotPermitted as reason:
        pytest.skip(f"no namespaces here: {reason}")
    assert found["/dev/shm MB"] == 1.0
    assert found["cores"] == 1
    assert found["no HOME"]
    assert found["installation closed"]
    assert found["no network"]
    doctor, run, *releases = container_home.run(folder)
    assert (doctor.code, run.code) == (0, 0), doctor.err + run.err
    assert len(releases) == 1
    assert releases[0].code == 0, releases[0].err
    assert "Traceback" not in run.err
    assert run.err.count("caches are kept in") == 1
