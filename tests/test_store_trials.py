"""The trial store keeps its promises: any batches, any writers, any kill, and the same bytes in the end."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from nuanalysis import schema
from nuanalysis.errors import DataError, InputError, StepMissing, StoreLocked
from nuanalysis.store._files import locked
from nuanalysis.store.ensembles import (
    create_ensemble,
    ensemble_layout,
    missing_batches,
    read_ensemble,
    write_batch,
)

COLUMNS = ("ts", "n_signal", "index", "log_weight", "converged")
PROBLEM: dict[str, Any] = {"fingerprint": "a" * 64, "columns": COLUMNS, "attrs": {"seed": 7, "kind": "null"}}


@functools.cache
def trials(n: int) -> np.ndarray:
    """Return (n, 5): trial i is a function of i alone, and valid by schema TRIALS."""
    i = np.arange(n)[:, None]
    return np.abs(np.sin(1.0 + i * np.array([[1.0, 2.0, 3.0, 4.0, 0.0]])))


def fill(path: Path, n: int, batch: int) -> None:
    create_ensemble(path, n_trials=n, batch=batch, **PROBLEM)
    layout = ensemble_layout(path)
    for k in missing_batches(path):
        rows = layout.trials(k)
        write_batch(path, k, trials(n)[rows.start : rows.stop])


def ensemble_digest(path: Path) -> str:
    """SHA-256 of the values, (trial, column), whatever the batches."""
    found = read_ensemble(path)
    return hashlib.sha256(np.column_stack([found[name] for name in COLUMNS]).tobytes()).hexdigest()


def held(path: Path) -> np.ndarray:
    """The first column as plain zarr reads it: NaN where trials are not done."""
    return np.asarray(zarr.open_group(path, mode="r")["trials"][:, 0])


def chunk(path: Path, k: int) -> Path:
    return path / "trials" / "c" / str(k) / "0"


def test_round_trip_with_a_short_last_batch(tmp_path: Path) -> None:
    path = tmp_path / "run" / "trials.zarr"
    create_ensemble(path, n_trials=25, batch=10, **PROBLEM)
    assert missing_batches(path) == [0, 1, 2]
    write_batch(path, 2, trials(25)[20:])
    write_batch(path, 0, trials(25)[:10])
    assert missing_batches(path) == [1]
    fill(path, 25, 10)
    found = read_ensemble(path)
    assert found.attrs == {"seed": 7, "kind": "null", "fingerprint": "a" * 64}
    np.testing.assert_array_equal(np.column_stack([found[name] for name in COLUMNS]), trials(25))
    schema.check(found, schema.TRIALS)
    layout = ensemble_layout(path)
    assert (layout.n_trials, layout.batch, layout.n_batches, layout.columns) == (25, 10, 3, COLUMNS)
    assert layout.trials(2) == range(20, 25)


def test_the_digest_is_of_the_values_alone(tmp_path: Path) -> None:
    for batch in (1, 7, 25, 1000):
        fill(tmp_path / str(batch), 25, batch)
        assert ensemble_digest(tmp_path / str(batch)) == hashlib.sha256(trials(25).tobytes()).hexdigest()


def test_a_batch_is_one_checksummed_file_that_plain_zarr_reads(tmp_path: Path) -> None:
    fill(tmp_path / "t", 25, 10)
    files = sorted(p.relative_to(tmp_path / "t").as_posix() for p in (tmp_path / "t").rglob("*") if p.is_file())
    assert files == ["trials/c/0/0", "trials/c/1/0", "trials/c/2/0", "trials/zarr.json", "zarr.json"]
    assert chunk(tmp_path / "t", 0).stat().st_size == 10 * 5 * 8 + 4
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "t", mode="r")["trials"][:], trials(25))
    plain = xr.open_zarr(tmp_path / "t", consolidated=False, chunks=None)
    assert plain["trials"].dims == ("trial", "column")


def test_called_again_it_continues(tmp_path: Path) -> None:
    fill(tmp_path / "t", 25, 10)
    digest = ensemble_digest(tmp_path / "t")
    create_ensemble(tmp_path / "t", n_trials=25, batch=10, **PROBLEM)
    create_ensemble(tmp_path / "t", n_trials=5, batch=10, **PROBLEM)
    assert missing_batches(tmp_path / "t") == []
    assert ensemble_digest(tmp_path / "t") == digest


def test_extended_it_keeps_what_is_done_and_ends_as_if_begun_so(tmp_path: Path) -> None:
    fill(tmp_path / "grown", 25, 10)
    create_ensemble(tmp_path / "grown", n_trials=57, batch=10, **PROBLEM)
    assert missing_batches(tmp_path / "grown") == [2, 3, 4, 5]  # batch 2 was short
    np.testing.assert_array_equal(held(tmp_path / "grown")[:25], trials(25)[:, 0])
    fill(tmp_path / "grown", 57, 10)
    fill(tmp_path / "at_once", 57, 10)
    assert ensemble_digest(tmp_path / "grown") == ensemble_digest(tmp_path / "at_once")


def test_the_first_trials_do_not_wait_for_an_extension(tmp_path: Path) -> None:
    fill(tmp_path / "t", 25, 10)
    before = read_ensemble(tmp_path / "t")
    create_ensemble(tmp_path / "t", n_trials=57, batch=10, **PROBLEM)
    with pytest.raises(StepMissing):
        read_ensemble(tmp_path / "t")
    xr.testing.assert_identical(read_ensemble(tmp_path / "t", n_trials=25), before)
    with pytest.raises(StepMissing, match=r"1 batch \(2\) of 3"):
        read_ensemble(tmp_path / "t", n_trials=26)
    for n in (0, 58):
        with pytest.raises(StepMissing, match="for 57 trials"):
            read_ensemble(tmp_path / "t", n_trials=n)


def test_incomplete_it_says_which_step_to_run(tmp_path: Path) -> None:
    with pytest.raises(StepMissing, match="run the trials first"):
        read_ensemble(tmp_path / "t")
    create_ensemble(tmp_path / "t", n_trials=25, batch=10, **PROBLEM)
    write_batch(tmp_path / "t", 1, trials(25)[10:20])
    with pytest.raises(StepMissing, match=r"2 batches \(0, 2\) of 3 still to do"):
        read_ensemble(tmp_path / "t")
    assert np.flatnonzero(np.isfinite(held(tmp_path / "t"))).tolist() == list(range(10, 20))


def test_another_problem_is_refused_naming_both(tmp_path: Path) -> None:
    fill(tmp_path / "t", 25, 10)
    other = {**PROBLEM, "fingerprint": "b" * 64}
    with pytest.raises(DataError, match=f"another problem.*{'a' * 64}.*{'b' * 64}"):
        create_ensemble(tmp_path / "t", n_trials=25, batch=10, **other)
    with pytest.raises(DataError, match="columns"):
        create_ensemble(tmp_path / "t", n_trials=25, batch=10, **{**PROBLEM, "columns": ("ts",)})
    with pytest.raises(InputError, match="go on with batch=10"):
        create_ensemble(tmp_path / "t", n_trials=25, batch=5, **PROBLEM)
    assert missing_batches(tmp_path / "t") == []


@pytest.mark.parametrize(
    ("n_trials", "batch", "columns"), [(0, 1, ("ts",)), (1, 0, ("ts",)), (1, 1, ()), (1, 1, ("a", "a"))]
)
def test_impossible_layouts_are_refused(tmp_path: Path, n_trials: int, batch: int, columns: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="an ensemble needs"):
        create_ensemble(tmp_path / "t", fingerprint="f", columns=columns, n_trials=n_trials, batch=batch, attrs={})
    assert list(tmp_path.iterdir()) == []


def test_a_batch_of_the_wrong_shape_or_undone_is_refused(tmp_path: Path) -> None:
    create_ensemble(tmp_path / "t", n_trials=25, batch=10, **PROBLEM)
    undone = trials(10).copy()
    undone[3] = np.nan
    for k, values, words in (
        (0, trials(9), "expected \\(10, 5\\)"),
        (2, trials(10), "expected \\(5, 5\\)"),
        (3, trials(10), "no batch 3"),
        (-1, trials(10), "no batch -1"),
        (0, undone, "NaN in every column"),
    ):
        with pytest.raises(InputError, match=words):
            write_batch(tmp_path / "t", k, values)
    assert missing_batches(tmp_path / "t") == [0, 1, 2]
    undone[3, 0] = 1.0  # a fit that gave something is done
    write_batch(tmp_path / "t", 0, undone)
    assert missing_batches(tmp_path / "t") == [1, 2]


def flipped(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


DAMAGES = {
    "flipped": flipped,
    "one byte short": lambda data: data[:-1],
    "torn": lambda data: data[:80],
    "almost empty": lambda data: data[:3],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"0",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_batch_is_seen_counts_as_missing_and_is_replaced(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "t"
    fill(path, 25, 10)
    digest = ensemble_digest(path)
    chunk(path, 1).write_bytes(damage(chunk(path, 1).read_bytes()))
    assert missing_batches(path) == [1]
    with pytest.raises(DataError, match=r"damaged in 1 batch \(1\)"):
        read_ensemble(path)
    fill(path, 25, 10)
    assert ensemble_digest(path) == digest


def test_damaged_metadata_are_named(tmp_path: Path) -> None:
    for name in ("zarr.json", "trials/zarr.json"):
        path = tmp_path / name.replace("/", "-")
        fill(path, 25, 10)
        (path / name).write_bytes((path / name).read_bytes()[:40])
        with pytest.raises(DataError, match=r"trial store .* cannot be read"):
            missing_batches(path)
    fill(tmp_path / "newer", 25, 10)
    root = tmp_path / "newer" / "zarr.json"
    root.write_text(root.read_text().replace("nuanalysis-trials/1", "nuanalysis-trials/2"))
    with pytest.raises(DataError, match=r"'nuanalysis-trials/2', this nuanalysis reads 'nuanalysis-trials/1'"):
        read_ensemble(tmp_path / "newer")


def test_a_beginning_cut_short_is_begun_again(tmp_path: Path) -> None:
    create_ensemble(tmp_path / "t", n_trials=25, batch=10, **PROBLEM)
    (tmp_path / "t" / "zarr.json").unlink()  # it is written last
    with pytest.raises(StepMissing):
        missing_batches(tmp_path / "t")
    fill(tmp_path / "t", 25, 10)
    assert missing_batches(tmp_path / "t") == []


def test_beginning_waits_for_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nuanalysis.store.ensembles.LOCK_TIMEOUT_S", 0.1)
    with locked(tmp_path / "t", 1.0), pytest.raises(StoreLocked):
        create_ensemble(tmp_path / "t", n_trials=25, batch=10, **PROBLEM)


# Forked before zarr has started a thread, so that a writer is at work at once; see test_store_events.
NURSERY = textwrap.dedent("""
    import json, os, signal, sys, threading, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from test_store_trials import fill, trials
    assert threading.active_count() == 1
    for folder, n, batch, delays in json.loads(sys.argv[2]):
        trials(n)
        writers = []
        ready, signal_ready = os.pipe()
        for delay in delays:
            writer = os.fork()
            if writer == 0:
                os.write(signal_ready, b"x")
                fill(Path(folder), n, batch)
                os._exit(0)
            writers.append(writer)
            os.read(ready, 1)
        for writer, delay in zip(writers, delays):
            if delay is not None:
                time.sleep(delay)
                os.kill(writer, signal.SIGKILL)
        status = [os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in writers]
        assert set(status) <= {0, -signal.SIGKILL}, status
        print(len([s for s in status if s]))
""")


def nursery(plan: list[tuple[str, int, int, list[float | None]]]) -> list[int]:
    """Run the plan: for each folder some writers at once, each killed after its delay; return the kills of each."""
    command = [sys.executable, "-c", NURSERY, str(Path(__file__).parent), json.dumps(plan)]
    return [
        int(line) for line in subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE).stdout.split()
    ]


def test_killed_at_random_moments_and_resumed_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(748)
    path, n, batch = tmp_path / "t", 400_000, 2_000
    plan = [(str(path), n, batch, [float(rng.uniform(0.0, 0.1))]) for _ in range(12)]
    kills = nursery(plan)
    assert sum(kills) >= 6  # they found the writer at work
    left = missing_batches(path)
    done = held(path)
    whole = np.isfinite(done)
    np.testing.assert_array_equal(done[whole], trials(n)[whole, 0])
    assert whole.sum() == n - len(left) * batch
    fill(path, n, batch)
    assert ensemble_digest(path) == hashlib.sha256(trials(n).tobytes()).hexdigest()


def test_writers_at_once_even_of_the_same_batches_give_the_same_bytes(tmp_path: Path) -> None:
    path, n, batch = tmp_path / "t", 20_000, 500
    assert nursery([(str(path), n, batch, [None, None, None])]) == [0]
    assert ensemble_digest(path) == hashlib.sha256(trials(n).tobytes()).hexdigest()
