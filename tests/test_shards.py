"""Products in pieces: the same files for any executor; what is there is not made again."""

from functools import partial

import numpy as np
import pytest

from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Processes, Serial, Threads
from nuanalysis.engine.shards import Shards, fill_shards
from nuanalysis.errors import DataError, InputError
from nuanalysis.store import read_object, write_object


def squares(power, k):
    return {"squares": np.arange(5.0 * k, 5.0 * k + 5.0) ** power}


def kept(path, piece):
    write_object(path, piece["squares"])


def refused(path, piece):
    raise AssertionError(f"{path.name} was made again")


def wanted(n=7, write=kept, power=2.0):
    return Shards("squares", "ab" * 32, n, partial(squares, power), write)


@pytest.mark.parametrize("executor", [Serial(), Threads(2), Processes(2)], ids=["serial", "threads", "processes"])
def test_pieces_are_the_same_for_any_executor(tmp_path, executor):
    with executor:
        paths = fill_shards(Bench(tmp_path, executor), wanted())
    assert [path.name for path in paths] == [f"{k:05d}.npz" for k in range(7)]
    assert np.array_equal(np.concatenate([read_object(path) for path in paths]), np.arange(35.0) ** 2)


def test_what_is_there_is_not_made_again_and_more_may_be_asked_for(tmp_path):
    bench = Bench(tmp_path)
    fill_shards(bench, wanted(4))
    fill_shards(bench, wanted(4, refused))
    with pytest.raises(AssertionError, match=r"00004.npz"):
        fill_shards(bench, wanted(5, refused))
    first = fill_shards(bench, wanted(5))[2]
    first.unlink()
    assert np.array_equal(read_object(fill_shards(bench, wanted(5))[2]), np.arange(10.0, 15.0) ** 2)


def test_what_a_killed_writer_left_is_swept(tmp_path):
    folder = fill_shards(Bench(tmp_path), wanted(1))[0].parent
    (folder / ".00001.npz.0123456789ab.partial").write_bytes(b"half")
    fill_shards(Bench(tmp_path), wanted(2))
    assert sorted(path.name for path in folder.iterdir()) == ["00000.npz", "00001.npz"]


def test_no_pieces_and_links_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected 1 to 100,000"):
        fill_shards(Bench(tmp_path), wanted(0))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "shards").symlink_to(elsewhere)
    with pytest.raises(DataError, match="link"):
        fill_shards(Bench(tmp_path / "run"), wanted(1))
