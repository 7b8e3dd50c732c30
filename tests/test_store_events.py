"""The event store keeps its promises: checked at the border, versioned, never torn, never a lost commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from nuanalysis import schema
from nuanalysis.errors import DataError, EnvironmentFault, InputError, StepMissing, StoreLocked
from nuanalysis.store import EventStore, read_zip, sha256_file, write_zip
from nuanalysis.store._files import locked

ATTRS = {"sample": "toy", "origin": "synthetic", "livetime_s": 86400.0, "reference": "doi:10.1/toy"}


def events(n: int, *, seed: int = 1, **attrs: object) -> xr.Dataset:
    """Return n events, random in every column, so that nothing compresses and no two columns agree."""
    rng = np.random.default_rng(seed)
    values = {
        "mjd": np.sort(rng.uniform(55000.0, 55100.0, n)),
        "right_ascension": rng.uniform(0.0, 2 * np.pi, n),
        "declination": rng.uniform(-1.5, 1.5, n),
        "log10_energy": rng.uniform(2.0, 7.0, n),
        "angular_error": rng.uniform(0.001, 0.5, n),
        "run": rng.integers(0, 2**40, n),
    }
    return schema.dataset(schema.EVENTS, values, {**ATTRS, **attrs})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> EventStore:
    """A store with two seasons and a tag, then more of the first; copy it before changing it."""
    store = EventStore(tmp_path_factory.mktemp("store") / "events.icechunk")
    store.append("IC40", events(1500, seed=1), "first half")
    store.append("IC79", events(700, seed=2, reference="doi:10.1/other"), "another release, its own season")
    store.tag("DR1.0")
    store.append("IC40", events(500, seed=3), "second half")
    return store


@pytest.fixture
def copied(filled: EventStore, tmp_path: Path) -> EventStore:
    shutil.copytree(filled.path, tmp_path / "events.icechunk")
    return EventStore(tmp_path / "events.icechunk", lock_timeout_s=10.0)


def identical(found: xr.Dataset, expected: xr.Dataset) -> None:
    xr.testing.assert_identical(found, expected[list(found.data_vars)])
    assert set(found.variables) == set(expected.variables)
    assert {n: v.dtype for n, v in found.variables.items()} == {n: expected[n].dtype for n in expected.variables}


def test_round_trip_keeps_values_units_attributes_and_order(filled: EventStore) -> None:
    identical(filled.read("IC79"), events(700, seed=2, reference="doi:10.1/other"))
    both = xr.concat([events(1500, seed=1), events(500, seed=3)], dim="event")
    identical(filled.read("IC40"), both.assign_attrs(ATTRS))
    assert filled.read("IC40")["mjd"].attrs["units"] == "d"
    assert filled.seasons() == ("IC40", "IC79")


def test_a_season_longer_than_a_chunk(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s")
    long = events(150_000)
    store.append("A", long.isel(event=slice(0, 70_000)), "ends within a chunk")
    store.append("A", long.isel(event=slice(70_000, None)), "goes on")
    identical(store.read("A"), long)


def test_read_by_tag_is_not_changed_by_later_appends(filled: EventStore) -> None:
    identical(filled.read("IC40", tag="DR1.0"), events(1500, seed=1))
    assert list(filled.tags()) == ["DR1.0"]


def test_time_window_is_half_open_and_says_so(filled: EventStore) -> None:
    whole = filled.read("IC79")
    mjd = whole["mjd"].values
    window = filled.read("IC79", start_mjd=mjd[100], stop_mjd=mjd[300])
    np.testing.assert_array_equal(window["mjd"].values, mjd[100:300])
    np.testing.assert_array_equal(window["run"].values, whole["run"].values[100:300])
    assert window.attrs["window_mjd"] == [mjd[100], mjd[300]]
    assert filled.read("IC79", start_mjd=mjd[100]).sizes["event"] == 600
    assert filled.read("IC79", stop_mjd=mjd[100]).attrs["window_mjd"] == [None, mjd[100]]
    with pytest.raises(InputError, match="empty"):
        filled.read("IC79", start_mjd=55010.0, stop_mjd=55010.0)


def test_events_against_the_schema_are_refused_with_all_faults_and_nothing_written(tmp_path: Path) -> None:
    bad = events(10).drop_vars("declination")
    bad["right_ascension"].values[0] = 7.0
    bad["mjd"].attrs["units"] = "s"
    del bad.attrs["reference"]
    store = EventStore(tmp_path / "new")
    with pytest.raises(DataError) as caught:
        store.append("A", bad, "bad")
    for fault in ("'declination' is missing", "1 values outside", "units 's', expected 'd'", "'reference' is missing"):
        assert fault in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_big_endian_columns_as_fits_gives_them_continue_a_season(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s")
    store.append("A", events(5), "native")
    store.append("A", events(5).assign({n: v.astype(v.dtype.newbyteorder(">")) for n, v in events(5).items()}), "FITS")
    identical(store.read("A"), xr.concat([events(5), events(5)], dim="event"))


def test_a_season_takes_only_what_continues_it(copied: EventStore) -> None:
    before = copied.tags(), sha256_tree(copied.path)
    other = events(10, reference="doi:10.1/other", livetime_s=1.0)
    other["event_id"] = ("event", np.arange(10), {"units": ""})
    other["run"] = (other["run"] % 1000).astype(np.int32)
    with pytest.raises(DataError) as caught:
        copied.append("IC40", other, "mixed")
    for fault in ("never mixed", "'livetime_s' is 86400.0", "'event_id' is only in the new events", "'run' is int64"):
        assert fault in str(caught.value)
    assert (copied.tags(), sha256_tree(copied.path)) == before


@pytest.mark.parametrize("season", ["", "../up", "a/b", ".hidden"])
def test_season_and_tag_names_are_plain(copied: EventStore, season: str) -> None:
    with pytest.raises(InputError, match="not allowed"):
        copied.append(season, events(3), "odd name")
    with pytest.raises(InputError, match="not allowed"):
        copied.tag(season)


def test_attributes_that_json_cannot_hold_are_refused_and_numpy_ones_made_plain(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s")
    with pytest.raises(InputError, match="attribute 'made'"):
        store.append("A", events(3, made=object()), "odd")
    with pytest.raises(InputError, match="attribute 'gap'"):
        store.append("A", events(3, gap=float("nan")), "odd")
    store.append("A", events(3, edges=np.array([1.0, 2.0]), count=np.int64(3), pair=(1, 2)), "plain")
    store.append("A", events(3, seed=2, edges=[1.0, 2.0], count=3, pair=[1, 2]), "the same attributes")
    assert store.read("A").attrs["edges"] == [1.0, 2.0]
    assert store.read("A").sizes["event"] == 6


def test_no_events_are_events_too(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s")
    store.append("A", events(0), "an empty season")
    assert store.read("A").sizes["event"] == 0
    store.append("A", events(5), "filled later")
    store.append("A", events(0), "nothing new")
    identical(store.read("A"), events(5))


def test_tags_never_move(copied: EventStore) -> None:
    snapshot = copied.tags()["DR1.0"]
    with pytest.raises(InputError, match="never move"):
        copied.tag("DR1.0")
    assert copied.tags() == {"DR1.0": snapshot}
    assert copied.tag("DR1.1") != snapshot


def test_unknown_names_are_refused_with_a_suggestion(filled: EventStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'IC40'"):
        filled.read("IC4O")
    with pytest.raises(InputError, match=r"Did you mean 'DR1\.0'"):
        filled.read("IC40", tag="DR10")
    with pytest.raises(StepMissing, match="append events first"):
        EventStore(tmp_path / "nothing").seasons()
    assert not (tmp_path / "nothing").exists()


def test_compact_frees_room_and_keeps_the_present_and_the_tags(copied: EventStore) -> None:
    for k in range(6):
        copied.append("IC86", events(50, seed=k), "many small commits")
    present, tagged = copied.read("IC86"), copied.read("IC40", tag="DR1.0")
    stray = copied.path / "chunks" / "0000000000000000000G"
    stray.write_bytes(b"left by a killed writer")
    assert copied.compact() > 0
    assert not stray.exists()
    identical(copied.read("IC86"), present)
    identical(copied.read("IC40", tag="DR1.0"), tagged)
    copied.append("IC86", events(50, seed=9), "goes on")
    assert copied.read("IC86").sizes["event"] == 350


def test_export_opens_with_plain_zarr_and_xarray(filled: EventStore, tmp_path: Path) -> None:
    path = filled.export(tmp_path / "release" / "events.zarr.zip", tag="DR1.0")
    with zarr.storage.ZipStore(path, mode="r") as archive:
        root = zarr.open_group(archive, mode="r")
        assert root.metadata.consolidated_metadata is None
        assert root.attrs["tag"] == "DR1.0"
        assert root["events/IC40/mjd"].shards is not None
        found = xr.open_zarr(archive, group="events/IC40", consolidated=False, chunks=None).load()
    identical(found[list(events(1))], events(1500, seed=1))
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_exports_are_the_same_bytes_also_from_another_store_and_process(filled: EventStore, tmp_path: Path) -> None:
    twin = EventStore(tmp_path / "twin")
    twin.append("IC79", events(700, seed=2, reference="doi:10.1/other"), "in another order, in other commits")
    twin.append("IC40", events(1500, seed=1).isel(event=slice(0, 10)), "ten")
    twin.append("IC40", events(1500, seed=1).isel(event=slice(10, None)), "the others")
    twin.tag("DR1.0")
    code = (
        "import sys; from pathlib import Path; from nuanalysis.store import EventStore; "
        "EventStore(Path(sys.argv[1])).export(Path(sys.argv[2]), tag='DR1.0')"
    )
    subprocess.run([sys.executable, "-c", code, filled.path, tmp_path / "c.zip"], check=True)
    paths = [filled.export(tmp_path / "a.zip", tag="DR1.0"), twin.export(tmp_path / "b.zip", tag="DR1.0")]
    assert len({sha256_file(p) for p in [*paths, tmp_path / "c.zip"]}) == 1


def test_what_a_writer_killed_while_making_the_store_left_is_no_hindrance(tmp_path: Path) -> None:
    half = tmp_path / ".store.new" / "snapshots"
    half.mkdir(parents=True)
    (half / "1CECHNKREP0F1RSTCMT0").write_bytes(b"ICE")
    (tmp_path / "store").mkdir()
    EventStore(tmp_path / "store").append("A", events(3), "begin")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store", "store.lock"]
    identical(EventStore(tmp_path / "store").read("A"), events(3))


# ------------------------------------------------------------------------------------- damage and versions


def largest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda p: p.stat().st_size)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_in_the_data_is_seen(copied: EventStore) -> None:
    chunk = largest(copied.path / "chunks")
    flip(chunk, chunk.stat().st_size // 2)
    with pytest.raises(DataError, match="damaged"):
        [copied.read(season) for season in copied.seasons()]


def test_a_damaged_store_is_never_taken_for_an_empty_one(copied: EventStore) -> None:
    for snapshot in (copied.path / "snapshots").iterdir():
        snapshot.write_bytes(snapshot.read_bytes()[:60])
    before = sha256_tree(copied.path)
    for action in (copied.seasons, lambda: copied.append("IC40", events(3), "m"), copied.compact):
        with pytest.raises(DataError, match="damaged"):
            action()
    assert sha256_tree(copied.path) == before


def test_a_damaged_manifest_is_seen_and_nothing_printed(copied: EventStore, capfd: pytest.CaptureFixture[str]) -> None:
    for manifest in (copied.path / "manifests").iterdir():
        manifest.write_bytes(manifest.read_bytes()[:50])
    with pytest.raises(DataError, match="damaged"):
        copied.read("IC40")
    assert capfd.readouterr() == ("", "")


def test_a_store_of_another_icechunk_format_says_who_can_read_it(copied: EventStore) -> None:
    for snapshot in (copied.path / "snapshots").iterdir():
        data = bytearray(snapshot.read_bytes())
        data[36] = 3  # the format number, after the magic bytes and the writer's name
        snapshot.write_bytes(data)
    for action in (copied.seasons, lambda: copied.append("IC40", events(3), "m")):
        with pytest.raises(DataError, match=r"format 3; .* reads format 1.*needs icechunk >= 3"):
            action()


def test_a_store_of_another_schema_says_who_wrote_it(copied: EventStore) -> None:
    import icechunk

    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(copied.path)))
    session = repository.writable_session("main")
    zarr.open_group(session.store, mode="r+").attrs.update({"schema": "events/99", "written_by": "nuanalysis 9.9"})
    session.commit("from the future")
    for action in (copied.seasons, lambda: copied.append("IC40", events(3), "m")):
        with pytest.raises(DataError, match=r"'events/99'.*nuanalysis 9\.9.*reads 'events/1'"):
            action()
    identical(copied.read("IC79", tag="DR1.0"), events(700, seed=2, reference="doi:10.1/other"))


def test_a_store_begun_in_format_2_says_who_can_read_it(tmp_path: Path) -> None:
    # What icechunk 2.3.0 leaves: no refs, and a file 'repo' with its header.
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "repo").write_bytes("ICE🧊CHUNK".encode() + b"ic-2.3.0".ljust(24) + b"\x02\x06\x01")
    with pytest.raises(DataError, match=r"format 2; .* reads format 1\. Format 2 needs icechunk >= 2"):
        EventStore(tmp_path).append("A", events(3), "m")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="no icechunk store"):
        EventStore(tmp_path).append("A", events(3), "m")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def sha256_tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


# --------------------------------------------------------------------------------- several writers, kills, disk


def test_the_lock_times_out_naming_the_holder(copied: EventStore) -> None:
    hurried = EventStore(copied.path, lock_timeout_s=0.1)
    with locked(copied.path, 1.0):
        for action in (lambda: hurried.append("A", events(3), "m"), lambda: hurried.tag("x"), hurried.compact):
            with pytest.raises(StoreLocked, match=f"process {os.getpid()} on .*waited 0.1 s"):
                action()
        assert hurried.read("IC79").sizes["event"] == 700  # readers need no lock
    hurried.tag("x")


WRITER = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    import numpy as np
    from nuanalysis import schema
    from nuanalysis.store import EventStore

    def append(store, k, rows=5):
        # run = k and event_id = 2 k: columns of different commits can not be mixed unseen
        values = {"mjd": 50000.0 + np.full(rows, k), "right_ascension": np.full(rows, 1.0),
                  "declination": np.full(rows, 0.5), "log10_energy": np.full(rows, 3.0),
                  "angular_error": np.full(rows, 0.1), "run": np.full(rows, k), "event_id": np.full(rows, 2 * k)}
        attrs = {"sample": "toy", "origin": "synthetic", "livetime_s": 1.0, "reference": "toy"}
        store.append("A", schema.dataset(schema.EVENTS, values, attrs), f"commit {k}")

    def acknowledge(folder, k):
        with open(folder / "acknowledged", "ab", buffering=0) as file:
            file.write(b"%d\\n" % k)
""")


def assert_whole(folder: Path) -> set[int]:
    """Return the commits in the store after checking that all acknowledged ones are there and none is torn."""
    log = folder / "acknowledged"
    acknowledged = {int(line) for line in log.read_text().split()} if log.exists() else set()
    try:
        stored = EventStore(folder / "store").read("A")
    except (StepMissing, InputError):  # killed before the first commit
        assert not acknowledged
        return set()
    run = stored["run"].values
    np.testing.assert_array_equal(stored["mjd"].values, 50000.0 + run)
    np.testing.assert_array_equal(stored["event_id"].values, 2 * run)
    counts = Counter(run.tolist())
    assert set(counts.values()) == {5}
    assert acknowledged <= set(counts)
    return set(counts)


# One process that has imported everything but icechunk, and runs no thread, makes the writers: each is a process with
# an icechunk of its own, at work in 0.1 s instead of 3 s.
NURSERY = WRITER + textwrap.dedent("""
    import json, signal, threading, time
    import dask.array, scipy.sparse, xarray
    xarray.backends.list_engines()
    assert "icechunk" not in sys.modules and threading.active_count() == 1
""")

FOUR_AT_ONCE = NURSERY + textwrap.dedent("""
    folder, writers = Path(sys.argv[1]), []
    for i in range(4):
        writers.append(os.fork())
        if writers[-1] == 0:
            for k in range(100 * i, 100 * i + 6):
                append(EventStore(folder / "store"), k)
                acknowledge(folder, k)
            os._exit(0)
    assert [os.waitpid(writer, 0)[1] for writer in writers] == [0] * 4
""")


def test_four_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FOUR_AT_ONCE, tmp_path], check=True, timeout=120)
    assert assert_whole(tmp_path) == {100 * i + j for i in range(4) for j in range(6)}


KILLS = NURSERY + textwrap.dedent("""
    for folder, first, delay in json.loads(sys.argv[1]):
        folder = Path(folder)
        ready, signal_ready = os.pipe()
        child = os.fork()
        if child == 0:
            if first == 0:  # strike while the store itself is being made
                os.write(signal_ready, b"x")
            for k in range(first, first + 1000):
                append(EventStore(folder / "store", lock_timeout_s=5.0), k)
                acknowledge(folder, k)
                if k == first > 0:
                    os.write(signal_ready, b"x")
            os._exit(0)
        os.read(ready, 1)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        os.close(ready), os.close(signal_ready)
""")


@pytest.mark.slow
def test_kill_at_random_moments_tears_nothing_and_loses_no_acknowledged_commit(tmp_path: Path) -> None:
    rng = np.random.default_rng(20230629)
    fresh = [tmp_path / f"fresh{i}" for i in range(5)]
    used = tmp_path / "used"
    for folder in (*fresh, used):
        folder.mkdir()
    plan = [(str(folder), 0, float(rng.uniform(0.0, 0.3))) for folder in fresh]
    plan += [(str(used), 1000 * i, float(rng.uniform(0.0, 0.3))) for i in range(1, 10)]
    subprocess.run([sys.executable, "-c", KILLS, json.dumps(plan)], check=True, timeout=120)
    for folder in (*fresh, used):
        assert_whole(folder)
        store = EventStore(folder / "store", lock_timeout_s=1.0)
        store.append("B", events(3), "after the kill")  # no lock left behind
        store.compact()
        assert_whole(folder)
        assert store.read("B").sizes["event"] == 3
    assert len(assert_whole(used)) >= 9  # the kills struck a store at work


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs leave to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_store_stays_whole(small_disk: Path) -> None:
    store = EventStore(small_disk / "store")
    store.append("A", events(3000, seed=1), "fits")
    for season in ("A", "B"):
        with pytest.raises(EnvironmentFault, match=r"No space left on device.*make room"):
            store.append(season, events(200_000, seed=2), "does not fit")
        identical(store.read("A"), events(3000, seed=1))
        assert store.seasons() == ("A",)
    store.compact()  # what the failed writes left
    store.append("A", events(100, seed=3), "fits again")
    assert store.read("A").sizes["event"] == 3100


def test_a_product_that_does_not_fit_leaves_the_old_one(small_disk: Path) -> None:
    path = write_zip(small_disk / "product.zarr.zip", events(100))
    with pytest.raises(EnvironmentFault, match="make room"):
        write_zip(path, events(200_000))
    xr.testing.assert_identical(read_zip(path), events(100)[sorted(events(1).data_vars)])
    assert [p.name for p in small_disk.iterdir()] == [path.name]
