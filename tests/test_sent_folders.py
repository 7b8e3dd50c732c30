"""Folders that somebody else sent, to be worked on: nothing in them is waited for, or leads out to files of ours."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_results import make_run

from nuanalysis import publish, schema
from nuanalysis.engine.bench import Bench, Ensemble
from nuanalysis.errors import DataError, EnvironmentFault
from nuanalysis.schema import Floats
from nuanalysis.store import EventStore, ensembles, locked
from nuanalysis.workflow.notebooks import run_all
from nuanalysis.workflow.run import checked
from nuanalysis.workflow.spec import open_run

SPEC = 'name = "default"\n[[sample]]\nname = "cascades-2023"\n[[hypothesis]]\nname = "template:pi0"\n'


def pipe(path: Path, ours: Path) -> None:
    os.mkfifo(path)


def link(path: Path, ours: Path) -> None:
    path.symlink_to(ours)


Plant = Callable[[Path, Path], None]
both = pytest.mark.parametrize("plant", [link, pipe])


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A file of the user, which must stay as it is."""
    (tmp_path / "thesis.tex").write_text("years of work")
    return tmp_path / "thesis.tex"


def put(path: Path, plant: Plant, ours: Path) -> None:
    """Put something in the place of a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    plant(path, ours)


# --- run folders ------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "name",
    [
        ".release.lock", ".run.lock", "report", "products", "figures", "results", "cache", "trials", "events.zarr",
        "samples.json", "run.json", "notebooks/05_data_release.partial.ipynb", "trials/x.zarr/trials/c/0/0",
    ],
)  # fmt: skip
def test_what_a_run_folder_holds_is_its_own(
    name: str, plant: Plant, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(SPEC)
    given = {"01_event_store": {"spec": "spec.toml", "run_folder": "runs/default"}}
    (tmp_path / "runs" / "default").mkdir(parents=True)
    put(tmp_path / "runs" / "default" / name, plant, ours)
    for call in (
        lambda: checked(Path("spec.toml"), Path("runs")),
        lambda: open_run("spec.toml", "runs/default"),
        lambda: publish.load_results(Path("runs/default")),
        lambda: publish.build(Path("runs/default")),
        lambda: run_all(["01_event_store"], Path("runs/default"), given, progress=print),
    ):
        with pytest.raises(DataError, match=rf"holds what is not its own:\n  - {name} is a (link to|device)"):
            call()
    assert ours.read_text() == "years of work"


def test_a_run_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    make_run(tmp_path / "elsewhere" / "default")
    (tmp_path / "default").symlink_to(tmp_path / "elsewhere" / "default")
    assert publish.load_results(tmp_path / "default").name == "default"


# --- locks ------------------------------------------------------------------------------------------------------------


@both
def test_a_lock_in_the_place_of_which_something_else_lies_is_no_lock(plant: Plant, ours: Path, tmp_path: Path) -> None:
    plant(tmp_path / "store.lock", ours)
    with pytest.raises(EnvironmentFault, match=r"store\.lock is a link, device, pipe or socket"):
        locked(tmp_path / "store", 1.0).__enter__()
    assert ours.read_text() == "years of work"


# --- stores -----------------------------------------------------------------------------------------------------------


def events(path: Path) -> EventStore:
    columns = ("mjd", "right_ascension", "declination", "log10_energy", "angular_error", "run")
    made = schema.dataset(
        schema.EVENTS,
        {name: np.arange(3) if name == "run" else np.full(3, 55000.0 if name == "mjd" else 0.5) for name in columns},
        {"sample": "toy", "origin": "synthetic", "livetime_s": 1.0, "reference": "toy"},
    )
    store = EventStore(path)
    store.append("toy", made, "toy")
    return store


@both
def test_an_event_store_holds_its_own_files_alone(
    plant: Plant, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = events(Path("events.zarr"))
    put(next(store.path.glob("manifests/*")), plant, ours)
    for call in (store.seasons, lambda: store.read("toy"), lambda: store.tag("x"), store.compact):
        with pytest.raises(DataError, match=r"the event store events\.zarr holds what is not its own"):
            call()


def test_what_is_no_event_store_is_not_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed lock says that a writer was killed; it may have been sent along with a link to a folder of ours."""
    monkeypatch.chdir(tmp_path)
    store = events(Path("events.zarr"))
    found = store.read("toy")
    shutil.rmtree(store.path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "#draft#").write_text("kept by an editor")
    store.path.symlink_to(tmp_path / "home")
    (tmp_path / "events.zarr.lock").write_text("process 1 on x\n")
    with pytest.raises(DataError, match="no icechunk store"):
        store.append("more", found, "more")
    assert (tmp_path / "home" / "#draft#").read_text() == "kept by an editor"


@both
@pytest.mark.parametrize("name", ["zarr.json", "trials/zarr.json", "trials/c/0/0", "trials/c", "trials"])
def test_a_trial_store_holds_its_own_files_alone(plant: Plant, name: str, ours: Path, tmp_path: Path) -> None:
    path = tmp_path / "trials.zarr"

    def create() -> None:
        ensembles.create_ensemble(path, fingerprint="a" * 64, columns=("ts",), n_trials=4, batch=2, attrs={})

    create()
    ensembles.write_batch(path, 0, np.ones((2, 1)))
    put(path / name, plant, ours)
    for call in (create, lambda: ensembles.missing_batches(path), lambda: ensembles.read_ensemble(path)):
        with pytest.raises(DataError, match=r"is a link to|is a device, pipe or socket|Not a directory"):
            call()
    assert ours.read_text() == "years of work"


def ones(first: int, last: int) -> Floats:
    """Trials of one column."""
    return np.ones((last - first, 1))


def test_a_bench_writes_no_trials_through_a_link(tmp_path: Path) -> None:
    wanted = Ensemble("scramble", "a" * 64, ("ts",), 4, 2, {})
    (tmp_path / "run" / "trials").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "run" / "trials" / f"scramble-{'a' * 24}.zarr").symlink_to(tmp_path / "home")
    with pytest.raises(DataError, match="is a link to"):
        Bench(tmp_path / "run").fill(wanted, ones)
    assert list((tmp_path / "home").iterdir()) == []


def test_an_event_store_that_claims_more_than_there_is_room_for_is_not_loaded(tmp_path: Path) -> None:
    """A shape is a claim: what is not there costs nothing on disk."""
    import icechunk
    import zarr

    store = events(tmp_path / "events.zarr")
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(store.path)))
    session = repository.writable_session("main")
    season = zarr.open_group(session.store, mode="r+")["events/toy"]
    for _, column in season.arrays():
        column.resize((10**11,))
    session.commit("much")
    with pytest.raises(DataError, match=r"season 'toy' of the event store .* holds [\d,]+ bytes unpacked, expected at"):
        store.read("toy")


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


GZIP = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip", "configuration": {"level": 1}}]


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("trials/zarr.json", {"codecs": GZIP}, "not packed as bytes and crc32c"),
        ("trials/zarr.json", {"codecs": GZIP[:1]}, "not packed as bytes and crc32c"),
        ("trials/zarr.json", {"fill_value": 7.0}, "with NaN for what is not there"),
        ("trials/zarr.json", {"codecs": 1}, "the trial store"),
        ("zarr.json", {"attributes": {"format": "nuanalysis-trials/1", "fingerprint": "a", "columns": ["ts"],
                                      "attrs": [1]}}, "its attributes are no table"),
    ],
)  # fmt: skip
def test_a_trial_store_is_packed_as_ours_are(name: str, changes: dict[str, object], words: str, tmp_path: Path) -> None:
    """Another packing could unpack to any size, another filling makes trials of batches that are lost."""
    path = tmp_path / "trials.zarr"
    ensembles.create_ensemble(path, fingerprint="a" * 64, columns=("ts",), n_trials=4, batch=2, attrs={})
    change(path / name, **changes)
    for call in (ensembles.ensemble_layout, ensembles.missing_batches, ensembles.read_ensemble):
        with pytest.raises(DataError, match=words):
            call(path)


def test_a_trial_store_for_more_than_anybody_waits_for_is_read_as_far_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "run" / "trials" / f"scramble-{'a' * 24}.zarr"
    ensembles.create_ensemble(path, fingerprint="a" * 64, columns=("ts",), n_trials=10**9, batch=1, attrs={})
    started = time.monotonic()
    found = Bench(tmp_path / "run").fill(Ensemble("scramble", "a" * 64, ("ts",), 3, 1, {}), ones)
    assert found["ts"].values.tolist() == [1.0, 1.0, 1.0]
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    ("column", "value", "sound"),
    [("ts", np.nan, False), ("ts", np.inf, False), ("n_signal", 1e300, False), ("log_weight", 1e308, False),
     ("n_signal", np.nan, False), ("index", np.nan, True), ("ts", 1e9, True)],
)  # fmt: skip
def test_trials_hold_numbers_that_a_trial_can_have(column: str, value: float, sound: bool, tmp_path: Path) -> None:
    columns = ("ts", "n_signal", "index", "log_weight")
    path = tmp_path / "trials" / f"scramble-{'a' * 24}.zarr"
    wanted = Ensemble("scramble", "a" * 64, columns, 4, 4, {})
    ensembles.create_ensemble(path, fingerprint="a" * 64, columns=columns, n_trials=4, batch=4, attrs={})
    values = np.ones((4, 4))
    values[2, columns.index(column)] = value
    ensembles.write_batch(path, 0, values)
    if sound:
        assert Bench(tmp_path).fill(wanted, ones).sizes["trial"] == 4
    else:
        with pytest.raises(DataError, match=f"holds what cannot be:\n  - '{column}' has 1 values"):
            Bench(tmp_path).fill(wanted, ones)
