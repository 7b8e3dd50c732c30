"""A run in a container-like home, from an installed environment to a verified release; see ``container_home``."""

from __future__ import annotations

from pathlib import Path

import container_home
import pytest


@pytest.mark.slow
def test_a_run_in_a_hostile_home_ends_in_a_verified_release(tmp_path: Path) -> None:
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)  # pytest closes its folders to other users
    try:
        found = container_home.imposed(tmp_path)
    except container_home.NotPermitted as reason:
        pytest.skip(f"no namespaces here: {reason}")
    assert found["/dev/shm MB"] == 1.0
    assert found["cores"] == 1
    assert found["no HOME"]
    assert found["installation closed"]
    assert found["no network"]
    doctor, run, *releases = container_home.run(tmp_path)
    assert (doctor.code, run.code) == (0, 0), doctor.err + run.err
    assert len(releases) == 1
    assert releases[0].code == 0, releases[0].err
    assert "Traceback" not in run.err
    assert run.err.count("caches are kept in") == 1
