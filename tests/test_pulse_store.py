"""Pulses at rest: what is written comes back, and nothing half or damaged is taken for events."""

import dataclasses

import numpy as np
import pytest
from small_detector import cascade, exact_table, light, particles, small_array

from nuanalysis.detector import pulses_dataset, pulses_from, simulate_events, truth_dataset, truth_from
from nuanalysis.errors import DataError, InputError
from nuanalysis.store.pulses import read_pulses, write_pulses


@pytest.fixture(scope="module")
def events():
    of = particles(light([cascade(1e4)], [], [cascade(1.0)], [cascade(3e5)]), 40)
    return of.truth, simulate_events(small_array(), exact_table(), of, 9)


def datasets(events):
    truth, pulses = events
    named = {"detector": "small", "seed": 9}
    return truth_dataset(truth, **named), pulses_dataset(pulses, **named)


def test_what_is_written_comes_back(events, tmp_path):
    path = write_pulses(tmp_path / "events.zarr.zip", *datasets(events))
    truth, pulses = read_pulses(path)
    for record, found in zip(events, (truth_from(truth), pulses_from(pulses)), strict=True):
        for field in dataclasses.fields(record):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(record, field.name), field.name)
    assert pulses["pulse_module"].dtype == np.uint16
    assert pulses["pulse_time"].attrs["units"] == "ns"
    assert truth.attrs["detector"] == "small"
    assert truth.attrs["origin"] == "synthetic"


def test_equal_events_are_equal_bytes(events, tmp_path):
    one, other = (write_pulses(tmp_path / name, *datasets(events)).read_bytes() for name in ("a.zip", "b.zip"))
    assert one == other


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_damage_anywhere_is_refused(events, tmp_path, part):
    path = write_pulses(tmp_path / "events.zip", *datasets(events))
    data = bytearray(path.read_bytes())
    (tmp_path / "short.zip").write_bytes(data[: int(part * len(data))])
    with pytest.raises(DataError):
        read_pulses(tmp_path / "short.zip")
    start = data.index(b"pulse_charge/c/0") + 40
    data[start + int(part * 2000)] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a readable zarr zip"):
        read_pulses(path)


def test_events_that_do_not_fit_are_not_written(events, tmp_path):
    truth, pulses = datasets(events)
    path = write_pulses(tmp_path / "events.zip", truth, pulses)
    before = path.read_bytes()
    with pytest.raises(InputError, match="truth of 3 events"):
        write_pulses(path, truth.isel(event=slice(0, 3)), pulses)
    with pytest.raises(InputError, match="does not rise from 0"):
        write_pulses(path, truth, pulses.isel(pulse=slice(0, -1)))
    with pytest.raises(InputError, match="'seed' is 9"):
        write_pulses(path, truth, pulses.assign_attrs(seed=10))
    wrong = pulses.assign(pulse_charge=-pulses["pulse_charge"].assign_attrs(pulses["pulse_charge"].attrs))
    with pytest.raises(DataError, match="pulse_charge"):
        write_pulses(path, truth, wrong)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["events.zip"]


def test_another_layout_is_refused(events, tmp_path):
    from nuanalysis.store import read_zip, write_zip

    held = read_zip(write_pulses(tmp_path / "events.zip", *datasets(events)))
    write_zip(tmp_path / "other.zip", held.assign_attrs(format="nuanalysis-pulses/0"))
    with pytest.raises(DataError, match="nuanalysis-pulses/0"):
        read_pulses(tmp_path / "other.zip")
    write_zip(tmp_path / "more.zip", held.assign(extra=("event", np.zeros(4))))
    with pytest.raises(DataError, match="'extra' is no column"):
        read_pulses(tmp_path / "more.zip")
    with pytest.raises(DataError):
        read_pulses(tmp_path / "nothing.zip")
