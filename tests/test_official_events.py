"""Official simulated events: counts, axes, times and masks, and what the official networks say of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import icecube_detector
from nuanalysis.ingest import icecube_pulse_samples as official

pytestmark = pytest.mark.real_data
FOLDER = "icecube_pulse_samples"
NUE_LOW = "dnn_reco_v0.2.0/NuE_low_energy_DNN_l5.hdf5"
DECADES = np.log10([2e3, 1e4, 3e4, 1e5, 1e6, 1e8])  # of the visible energy


@pytest.fixture(scope="module")
def position(mirror):
    return icecube_detector.read_geometry(mirror / "icecube_geometry_ice")["position"].values


@pytest.fixture(scope="module")
def nue(mirror):
    return official.read_bins(mirror / FOLDER, "nue-medium")


@pytest.fixture(scope="module")
def numu(mirror):
    return official.read_summaries(mirror / FOLDER, "numu-medium")


def by_module(events, charge) -> np.ndarray:
    """Charge of each module, (event, module)."""
    event = np.repeat(np.arange(events.sizes["event"]), np.diff(events["start"]))
    found = np.zeros((events.sizes["event"], 5160))
    np.add.at(found, (event, events["hit_module"].values), charge)
    return found


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(np.sum(a * b, axis=1), -1.0, 1.0)))


# ---- what the official networks reach -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "whole", "medians"),
    [("mese", 6.8, (9.8, 8.9, 6.6, 5.2, 5.4)), ("paper", 8.2, (16.4, 10.4, 8.0, 6.3, 6.3))],
)
def test_angles_of_the_official_networks(nue, network, whole, medians):
    angle = apart(nue[f"{network}_direction"].values, nue["direction"].values)
    bins = np.digitize(np.log10(nue["visible_energy"].values), DECADES) - 1
    assert np.bincount(bins).tolist() == [24, 41, 55, 50, 18]
    assert np.median(angle) == pytest.approx(whole, abs=0.05)
    assert [np.median(angle[bins == k]) for k in range(5)] == pytest.approx(medians, abs=0.06)


def test_energies_of_the_newer_network(nue):
    ratio = np.log(nue["mese_energy"].values / nue["visible_energy"].values)
    assert np.median(ratio) == pytest.approx(0.03, abs=0.01)
    low, high = np.quantile(ratio, [0.16, 0.84])
    assert (high - low) / 2 == pytest.approx(0.08, abs=0.005)


@pytest.mark.parametrize(
    ("interaction", "events", "quantiles"), [("cc-e", 153, (0.89, 0.96, 0.99)), ("nc", 15, (0.16, 0.34, 0.66))]
)
def test_light_of_the_energy(nue, interaction, events, quantiles):
    chosen = nue["interaction"].values == interaction
    share = (nue["visible_energy"] / nue["energy"]).values[chosen]
    assert len(share) == events
    assert np.quantile(share, [0.16, 0.5, 0.84]) == pytest.approx(quantiles, abs=0.006)


def test_photoelectrons_per_energy(nue, position):
    """About 45 per TeV where the vertex is inside and outside the dust, after exclusions."""
    charge = by_module(nue, nue["charge"].values).sum(axis=1)
    per_tev = charge / nue["visible_energy"].values * 1e3
    inside = nue["interaction"].values != "outside"
    assert np.median(per_tev[inside]) == pytest.approx(45.0, rel=0.2)


# ---- axis ---------------------------------------------------------------------------------------------------------


def test_the_axis_of_one_event_by_hand(nue, position):
    """Event 1 of run 1: zenith 1.5818, azimuth 1.6724 point back, so that it moves along (0.101, -0.995, 0.011).

    The charge within 150 m lies ahead of the vertex, where 461 TeV shower: with the other sign it would lie behind.
    """
    assert (int(nue["run"][0]), int(nue["event_id"][0])) == (1, 1)
    assert nue["direction"].values[0] == pytest.approx([0.1014, -0.9948, 0.0110], abs=1e-4)
    assert nue["vertex"].values[0] == pytest.approx([-2.0033, 280.3487, 104.8637], abs=1e-3)
    charge = by_module(nue, nue["charge"].values)[0]
    away = position - nue["vertex"].values[0]
    near = np.linalg.norm(away, axis=1) < 150.0
    mean = np.average(away[near], axis=0, weights=charge[near])
    assert mean[1] < -5.0
    assert mean @ nue["direction"].values[0] > 5.0


def test_light_goes_ahead_in_most_events(nue, position):
    charge = by_module(nue, nue["charge"].values)
    ahead = []
    for k in np.flatnonzero(nue["interaction"].values != "outside"):
        away = position - nue["vertex"].values[k]
        near = np.linalg.norm(away, axis=1) < 150.0
        if charge[k, near].sum() > 100.0:
            ahead.append(np.average(away[near] @ nue["direction"].values[k], weights=charge[k, near]) > 0.0)
    assert len(ahead) > 100
    assert np.mean(ahead) > 0.7


def test_a_first_look_at_tracks_is_none_at_cascades(numu, mirror):
    muons = numu["interaction"].values == "cc-mu"
    angle = apart(numu["track_direction"].values, numu["direction"].values)
    assert np.median(angle[muons]) < 25.0
    low = official.read_summaries(mirror / FOLDER, "nue-low")
    assert np.median(apart(low["track_direction"].values, low["direction"].values)) > 40.0


# ---- times and masks ----------------------------------------------------------------------------------------------


def test_light_comes_when_it_can(nue, position):
    """No light outruns its shortest way from the vertex, much of it comes soon after: bins of 20 ns from -500 ns."""
    event = np.repeat(np.arange(nue.sizes["event"]), np.diff(nue["start"]))
    distance = np.linalg.norm(position[nue["hit_module"].values] - nue["vertex"].values[event], axis=1)
    begin = official.BIN_EDGES[nue["hit_bin"].values] - distance / 0.22107  # ns after light that is not scattered
    charge = nue["charge"].values
    near = (distance > 30.0) & (distance < 60.0) & (nue["hit_bin"].values > 0)
    assert charge[near & (begin < -20.0)].sum() / charge[near].sum() < 1e-3
    assert charge[near & (begin < 100.0)].sum() / charge[near].sum() > 0.3
    assert np.all(nue["time"].values == 0.0)


def test_both_forms_hold_the_same_events_and_charge(mirror):
    """Modules that are not left out have the same charge to a few photoelectrons of late noise, 0.6 % in all."""
    events = {}
    for sample, count in official.SAMPLES.items():
        bins = official.read_bins(mirror / FOLDER, sample)
        assert bins.sizes["event"] == count
        if sample in official.ONLY_BINS:
            continue
        nine = official.read_summaries(mirror / FOLDER, sample)
        events[sample] = nine.sizes["event"]
        assert np.array_equal(nine["event_id"], bins["event_id"])
        assert np.array_equal(nine["excluded"], bins["excluded"])
        charge = by_module(bins, bins["charge"].values)
        other = by_module(nine, nine["values"].values[:, 0])
        assert charge[bins["excluded"].values].sum() == 0.0
        free = ~bins["excluded"].values
        assert other[free].sum() == pytest.approx(charge[free].sum(), rel=0.06)
        assert np.count_nonzero(np.abs(other - charge)[free] > 5.0) == 0
    assert sum(events.values()) == 83


def test_the_brightest_modules_are_in_the_nine_numbers_alone(numu):
    """A mask on one side only would compare two different things."""
    charge = by_module(numu, numu["values"].values[:, 0])
    masked = charge[numu["excluded"].values].sum() / charge.sum()
    assert masked > 0.3
    count = numu["excluded"].values.sum(axis=1)
    assert count.min() == 107
    assert np.median(count) == pytest.approx(110, abs=2)


def test_nine_numbers_are_in_order(numu):
    charge, charge_500, charge_100, first, t20, t50, last, mean, spread = numu["values"].values.T
    assert np.all(charge > 0.0)
    assert np.all((charge_100 <= charge_500 + 1e-3) & (charge_500 <= charge + 1e-3))
    assert np.all((first <= t20) & (t20 <= t50) & (t50 <= last) & (first <= mean + 1e-3) & (mean <= last + 1e-3))
    assert np.all(spread >= 0.0)
    assert first.min() > -5001.0
    assert last.max() < 14001.0


def test_muons_that_enter_have_no_neutrino_in_the_truth(numu):
    entering = numu["pdg"].values == 0
    assert entering.sum() == 1
    assert np.all(numu["interaction"].values[entering] == "entering")


# ---- refused ------------------------------------------------------------------------------------------------------


def test_an_unknown_sample_is_answered_with_the_nearest(mirror):
    with pytest.raises(InputError, match="Did you mean 'nue-low'"):
        official.read_bins(mirror / FOLDER, "nue-lo")
    with pytest.raises(InputError, match="'nue-medium' in this form"):
        official.read_summaries(mirror / FOLDER, "nue-medium")


@pytest.fixture
def copy(mirror, tmp_path) -> Path:
    target = tmp_path / NUE_LOW
    target.parent.mkdir(parents=True)
    shutil.copyfile(mirror / FOLDER / NUE_LOW, target)
    target.chmod(0o644)
    return target


def test_a_file_that_leads_to_others_is_refused(copy, tmp_path):
    with h5py.File(copy, "a") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/secret")
    with pytest.raises(DataError, match=r"link to /secret in other\.h5"):
        official.read_bins(tmp_path, "nue-low")


@pytest.mark.parametrize(
    ("table", "column", "value", "words"),
    [
        ("MCCascade", "Event", 3, "different ones"),
        ("dnn_data_bin_exclusions", "string", 87, "modules that there are not"),
        ("dnn_data_bin_values", "Event", 999_999, "do not agree row by row"),
        ("dnn_data_bin_indices", "item", 177, "beyond 0 and 176"),
        ("dnn_data_bin_values", "item", np.nan, "NaN"),
        ("LabelsDeepLearning", "Event", 3, "other events"),
    ],
)
def test_damaged_tables_are_refused(copy, tmp_path, table, column, value, words):
    with h5py.File(copy, "a") as file:
        rows = file[table][()]
        rows[column] = value
        file[table][...] = rows
    with pytest.raises(DataError, match=words):
        official.read_bins(tmp_path, "nue-low")


def test_a_table_that_is_missing_or_cut_is_refused(copy, tmp_path):
    with h5py.File(copy, "a") as file:
        del file["weights_mese"]
    with pytest.raises(DataError, match="lacks weights_mese"):
        official.read_bins(tmp_path, "nue-low")
    copy.write_bytes(copy.read_bytes()[:50_000])
    with pytest.raises(DataError, match="cannot be read"):
        official.read_bins(tmp_path, "nue-low")
