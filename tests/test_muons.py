"""Muons: mean and single losses against their laws, exact energy, stopping, and the same muon in any batch."""

import numpy as np
import pytest

from nuanalysis.detector import _muons as muons
from nuanalysis.detector._event_kernels import event_keys

A, B = 0.259 * 0.9216, 3.63e-4 * 0.9216  # GeV per m and per m


def many(energy, n, *, first=0.0, stop=1000.0, seed=1, least=0.5, step=12.0):
    keys = event_keys(seed, 7, np.arange(n))
    one = np.ones(n)
    return muons.propagate(keys, energy * one, first=first * one, stop=stop * one, step=step, least=least)


@pytest.mark.parametrize("energy", [1e3, 1e4, 1e5])
def test_the_mean_loss_over_a_kilometre_is_a_plus_b_times_energy(energy):
    lost = energy - many(energy, 30_000, step=1000.0).end
    expected = (energy + A / B) * (1.0 - np.exp(-B * 1000.0))
    assert lost.std() / np.sqrt(30_000) < 0.005 * expected
    assert lost.mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("energy", [50.0, 1e3, 1e5])
def test_energy_at_the_start_is_what_is_left_and_what_was_lost(energy):
    found = many(energy, 500, first=200.0)
    lost = np.bincount(found.loss_muon, found.loss, 500)
    assert found.end + found.quiet + lost == pytest.approx(np.full(500, energy), rel=1e-11)


def law(process, v):
    """dN/dv per metre above every v, from the module's docstring: each law's mean is its share of b."""
    at = np.geomspace(1e-9, 1.0, 200_001)
    shapes = (
        lambda x: (4 / 3 * (1 - x) + x**2) / x,
        lambda x: 1 / (x * (1 + x / 0.003) ** 1.5),
        lambda x: 1 / x,
    )
    share = (0.37, 0.50, 0.13)[process]
    return share * B * shapes[process](v) / np.trapezoid(at * shapes[process](at), at)


def test_each_process_loses_its_share_of_b():
    assert muons.soft_fraction(np.array([0.0, 1.0])) == pytest.approx([0.0, 1.0], abs=1e-12)
    at = np.geomspace(1e-9, 1e-3, 20_001)
    soft = sum(np.trapezoid(at * law(p, at), at) for p in range(3))
    assert B * muons.soft_fraction(np.array(1e-3)) == pytest.approx(soft, rel=1e-4)
    at = np.geomspace(1e-3, 1.0, 20_001)
    assert muons.loss_rates() == pytest.approx([np.trapezoid(law(p, at), at) for p in range(3)], rel=1e-5)


@pytest.mark.parametrize("process", [0, 1, 2])
def test_single_losses_follow_their_law(process):
    """Of muons so hard that energy is lost in proportion: fractions of the energy before each first loss."""
    n, energy = 400_000, 1e9
    found = many(energy, n, stop=60.0, least=0.0, step=60.0)
    number, first = np.unique(found.loss_muon, return_index=True)
    use = first[found.process[first] == process]
    v = found.loss[use] / (energy * np.exp(-B * 0.0715 * found.place[use]))  # before the first loss all is continuous
    at = np.geomspace(1e-3, 1.0, 20_001)
    density = law(process, at)
    rising = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(at))])
    u = np.interp(v, at, rising / rising[-1])
    counts = np.histogram(u, 20, (0.0, 1.0))[0]
    assert len(u) > 3000
    assert ((counts - len(u) / 20) ** 2 / (len(u) / 20)).sum() < 45.0  # 19 degrees of freedom: 7e-4
    total = muons.loss_rates()
    share = total[process] / total.sum()
    assert len(u) / len(number) == pytest.approx(share, abs=4 * np.sqrt(share / len(number)))


def test_one_loss_of_more_than_half_happens_to_one_muon_in_twelve_a_kilometre():
    """Of the energy at the start: 6.7 % at 1 TeV, 8.6 % at 10 TeV, 8.7 % at 100 TeV; at most 1 - exp(-N(v > 1/2))."""
    found = []
    for energy in (1e3, 1e4, 1e5):
        one = many(energy, 20_000, step=1000.0)
        largest = np.zeros(20_000)
        np.maximum.at(largest, one.loss_muon, one.loss)
        found.append((largest > 0.5 * energy).mean())
    assert found == pytest.approx([0.067, 0.086, 0.087], abs=0.006)
    assert max(found) < 1.0 - np.exp(-1000.0 * muons.loss_rates(0.5).sum())


def test_a_muon_stops_where_its_energy_ends():
    found = many(100.0, 2000, stop=2000.0)
    length = np.bincount(found.segment_muon, found.length, 2000)
    assert (found.end == 0.0).all()
    assert length.max() < 100.0 / A  # without any radiation
    assert length.mean() == pytest.approx(float(muons.mean_range(np.array(100.0))), rel=0.02)
    last = np.zeros(2000)
    np.maximum.at(last, found.loss_muon, found.place)
    assert (last <= length).all()


def test_segments_fill_the_way_from_the_first_place_to_the_end():
    found = many(1e6, 50, first=300.0, stop=900.0)
    assert np.bincount(found.segment_muon, found.length, 50) == pytest.approx(np.full(50, 600.0))
    begin, end = found.middle - 0.5 * found.length, found.middle + 0.5 * found.length
    same = np.diff(found.segment_muon) == 0
    assert begin[1:][same] == pytest.approx(end[:-1][same])
    assert (found.place >= 300.0).all()
    own = found.loss_segment
    assert ((found.place >= begin[own] - 1e-9) & (found.place <= end[own] + 1e-9)).all()
    assert (found.segment_muon[own] == found.loss_muon).all()


def test_a_muon_is_the_same_alone_and_whatever_is_written_down():
    keys, one = event_keys(3, 7, np.arange(20)), np.ones(20)
    all_of_them = muons.propagate(keys, 1e5 * one, first=0 * one, stop=800 * one)
    alone = muons.propagate(keys[7:8], np.array([1e5]), first=np.array([0.0]), stop=np.array([800.0]))
    mine = all_of_them.loss_muon == 7
    assert (all_of_them.loss[mine] == alone.loss).all()
    later = muons.propagate(keys, 1e5 * one, first=500 * one, stop=800 * one, step=30.0)
    assert later.end == pytest.approx(all_of_them.end, rel=1e-12)


def test_small_radiation_beyond_the_light_of_the_track_begins_at_500_GeV():
    assert muons.soft_radiation(np.array([10.0, 499.0])) == pytest.approx([0.0, 0.0], abs=1e-18)
    at = np.geomspace(0.5 / 1e5, 1e-3, 5001)
    expected = 1e5 * sum(np.trapezoid(at * law(p, at), at) for p in range(3))
    assert muons.soft_radiation(np.array([1e5]))[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("energy", [1e2, 1e4, 1e6])
def test_no_more_than_a_thousandth_of_the_way_of_muons_is_beyond_16_tenths_of_the_mean_range(energy):
    reach = float(muons.mean_range(np.array(energy)))
    found = many(energy, 4000, stop=2.5 * reach, step=0.01 * reach, least=np.inf)
    way = found.middle > 1.6 * reach
    assert found.length[way].sum() / found.length.sum() < 1e-3
