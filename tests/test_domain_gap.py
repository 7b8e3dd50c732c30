"""Two simulations of the same cascades compared: what is the same has no gap, what is known to differ has that one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from nuanalysis import plot
from nuanalysis.detector import SUMMARY, Detector, Hits, Ice, Pulses, light_table, simulate_photons, summarise
from nuanalysis.errors import InputError
from nuanalysis.interpret.domain_gap import (
    Simulated,
    by_module,
    chosen_events,
    dimmed,
    domain_gap,
    fitted_efficiency,
    same_truth,
    simulate_same,
    summed,
)
from nuanalysis.library.detectors import detector
from nuanalysis.library.official_events import hits_of_bins, official_cascades

STRINGS, EACH, EVENTS = 36, 20, 24
MODULES = STRINGS * EACH


@pytest.fixture(scope="module")
def array() -> Detector:
    """Strings 100 m apart in a square, modules 25 m apart."""
    index = np.arange(MODULES)
    string, number = index // EACH, index % EACH
    position = np.stack([string % 6 * 100.0 - 250.0, string // 6 * 100.0 - 250.0, 240.0 - 25.0 * number], axis=1)
    ice = Ice("clear", "none", np.array([0.0]), np.array([25.0]), np.array([100.0]))
    efficiency = np.where(index == 7, 0.0, 1.0)
    return Detector("square", string + 1, number + 1, position, efficiency, ice)


@pytest.fixture(scope="module")
def cascades(array) -> Simulated:
    """Charge that falls with distance and is larger ahead, ln-normal; times that grow with distance."""
    rng = np.random.default_rng(3)
    vertex, direction = rng.uniform(-150.0, 150.0, (EVENTS, 3)), rng.normal(size=(EVENTS, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    energy = np.geomspace(3e3, 3e6, EVENTS)
    away = array.position[None] - vertex[:, None]
    distance = np.linalg.norm(away, axis=2)
    cosine = np.einsum("emk,ek->em", away, direction) / distance
    charge = 1e-1 * energy[:, None] * np.exp(-distance / 40.0 + 0.5 * cosine) * rng.lognormal(0.0, 0.2, distance.shape)
    event, module = np.nonzero(charge > 0.3)
    values = np.full((len(event), 9), np.nan, dtype=np.float32)
    shares = {"charge": 1.0, "charge_500": 0.8, "charge_100": 0.3}
    times = {"first": 4.5, "t20": 5.0, "t50": 6.0, "last": 20.0, "mean": 7.0, "spread": 1.0}
    for name, part in shares.items():
        values[:, SUMMARY.index(name)] = part * charge[event, module]
    for name, part in times.items():
        values[:, SUMMARY.index(name)] = part * distance[event, module]
    start = np.concatenate([[0], np.cumsum(np.bincount(event, minlength=EVENTS))])
    hits = Hits(module, values, np.zeros(len(event), dtype=bool), start, np.zeros(EVENTS))
    masked = rng.uniform(size=(EVENTS, MODULES)) < 0.03
    return Simulated("test", vertex, direction, energy, np.zeros(EVENTS, dtype=bool), masked, hits)


def scaled(hits: Hits, factor: float, where: np.ndarray | None = None) -> Hits:
    """The same with charges times a factor, in some rows."""
    values = hits.values.copy()
    values[slice(None) if where is None else where, :3] *= factor
    return replace(hits, values=values)


def test_the_same_hits_have_no_gap(array, cascades):
    gap = domain_gap(array, cascades, cascades.hits, efficiency=0.7)
    assert (gap.events, gap.efficiency) == (EVENTS, 0.7)
    assert (gap.ratio, gap.ratio_low, gap.ratio_high) == (1.0, 1.0, 1.0)
    assert gap.official_hits == gap.our_hits > 100
    for row in (*gap.by_distance, *gap.by_cosine):
        assert (row.ratio, row.log_ratio, row.spread) == (1.0, 0.0, 0.0)
    assert len(gap.times) == 18
    assert all(row.official == row.ours for row in gap.times)


def test_half_the_charge_is_half_in_every_row(array, cascades):
    gap = domain_gap(array, cascades, scaled(cascades.hits, 2.0), efficiency=1.0)
    assert gap.ratio == pytest.approx(0.5)
    rows = (*gap.by_distance, *gap.by_cosine)
    assert [row.ratio for row in rows] == pytest.approx([0.5] * len(rows))
    assert [row.log_ratio for row in rows] == pytest.approx([-np.log(2.0)] * len(rows), abs=1e-6)
    assert [row.ratio for row in gap.by_energy] == pytest.approx([0.5] * len(gap.by_energy))
    assert fitted_efficiency(array, cascades, scaled(cascades.hits, 2.0), efficiency=0.7) == pytest.approx(0.35)


def test_a_gap_ahead_is_seen_ahead_alone(array, cascades):
    event = np.repeat(np.arange(EVENTS), np.diff(cascades.hits.start))
    away = array.position[cascades.hits.module] - cascades.vertex[event]
    ahead = (away * cascades.direction[event]).sum(axis=1) > 0.5 * np.linalg.norm(away, axis=1)
    gap = domain_gap(array, cascades, scaled(cascades.hits, 4.0, ahead), efficiency=1.0)
    assert [row.log_ratio for row in gap.by_cosine] == pytest.approx([0.0, 0.0, 0.0, -np.log(4.0)], abs=1e-6)


def test_masked_and_dead_modules_count_on_neither_side(array, cascades):
    """A thousandfold charge in them changes nothing; in others it does."""
    event = np.repeat(np.arange(EVENTS), np.diff(cascades.hits.start))
    out = cascades.masked[event, cascades.hits.module] | ~array.alive[cascades.hits.module]
    assert np.count_nonzero(out) > 50
    plain = domain_gap(array, cascades, cascades.hits, efficiency=1.0)
    assert domain_gap(array, cascades, scaled(cascades.hits, 1e3, out), efficiency=1.0) == plain
    theirs = replace(cascades, hits=scaled(cascades.hits, 1e3, out))
    assert domain_gap(array, theirs, cascades.hits, efficiency=1.0) == plain
    assert domain_gap(array, theirs, scaled(cascades.hits, 1e3, ~out), efficiency=1.0) != plain


def test_fluctuations_of_one_side_do_not_favour_it(array, cascades):
    """Both sides fluctuate by 70 % about the same means: no row has a gap beyond its error."""
    rng = np.random.default_rng(5)
    noisy = [scaled(cascades.hits, 1.0), scaled(cascades.hits, 1.0)]
    for hits in noisy:
        hits.values[:, :3] *= rng.lognormal(0.0, 0.7, len(hits.values))[:, None]
    gap = domain_gap(array, replace(cascades, hits=noisy[0]), noisy[1], efficiency=1.0)
    for row in (*gap.by_distance, *gap.by_cosine):
        assert abs(row.log_ratio) < 4.0 * 1.25 * row.spread / np.sqrt(row.modules)


def test_times_are_since_the_first_and_shares_of_the_charge(array, cascades):
    late = replace(cascades.hits, values=cascades.hits.values.copy())
    late.values[:, [SUMMARY.index(name) for name in ("first", "t20", "t50", "last", "mean")]] += 1234.0
    gap = domain_gap(array, cascades, late, efficiency=1.0)
    assert [row.ours for row in gap.times] == pytest.approx([row.official for row in gap.times], rel=1e-4)
    shares = {row.what: row.official for row in gap.times if row.what.startswith("charge")}
    assert shares == pytest.approx({"charge_100": 0.3, "charge_500": 0.8})
    t20, t50 = ([row.official for row in gap.times if row.what == name] for name in ("t20", "t50"))
    assert np.array(t50) / np.array(t20) == pytest.approx(3.0, rel=1e-4)  # 6 - 4.5 over 5 - 4.5


def test_what_is_not_known_is_left_out(array, cascades):
    blind = replace(cascades.hits, values=cascades.hits.values.copy())
    blind.values[:, SUMMARY.index("mean") :] = np.nan
    gap = domain_gap(array, replace(cascades, hits=blind), cascades.hits, efficiency=1.0)
    assert {row.what for row in gap.times} == {"t20", "t50", "charge_100", "charge_500"}


def test_simulations_that_do_not_fit_are_refused(array, cascades):
    few = chosen_events(cascades, np.arange(EVENTS) < 5)
    with pytest.raises(InputError, match="ours has 5 events with hits, expected 24"):
        domain_gap(array, cascades, few.hits, efficiency=1.0)
    with pytest.raises(InputError, match="masks are"):
        domain_gap(array, replace(cascades, masked=cascades.masked[:, 1:]), cascades.hits, efficiency=1.0)
    with pytest.raises(InputError, match="number above 0"):
        dimmed(array, 0.0)


def test_dimmed_is_the_same_array(array):
    half = dimmed(array, 0.5)
    assert half.efficiency == pytest.approx(0.5 * array.efficiency)
    assert np.array_equal(half.alive, array.alive)


# ---- the same truth -------------------------------------------------------------------------------------------------


def test_the_same_truth_has_the_light_of_its_energy(cascades):
    """2,450 photons per metre and 5.254 m/GeV, along the axis from the vertex; hadrons have less."""
    particles = same_truth(cascades)
    light, count = particles.light, np.diff(particles.light.start)
    photons = np.add.reduceat(light.photons, light.start[:-1])
    assert photons == pytest.approx(2450.0 * 5.254 * cascades.energy, rel=1e-3)
    event = np.repeat(np.arange(EVENTS), count)
    away = light.position - cascades.vertex[event]
    along = (away * cascades.direction[event]).sum(axis=1)
    assert np.linalg.norm(away, axis=1) == pytest.approx(along)
    assert (along > 1.0).all()
    assert (along < 15.0).all()
    assert not light.cone.any()
    hadrons = same_truth(replace(cascades, hadronic=np.ones(EVENTS, dtype=bool))).light
    less = np.add.reduceat(hadrons.photons, hadrons.start[:-1]) / photons
    assert ((less > 0.8) & (less < 0.97)).all()
    assert np.all(particles.truth.weight == 0.0)


def test_pulses_are_summed_up_over_all_that_is_read_out():
    """Two modules of event 0, none of event 1, one of event 2; by hand."""
    start = np.array([0, 5, 5, 6])
    module = np.array([3, 3, 3, 3, 8, 3])
    time = np.array([0.0, 50.0, 300.0, 9000.0, 7.0, 1.0])
    charge = np.array([1.0, 2.0, 6.0, 1.0, 0.5, 4.0])
    hits = summed(start, module, time, charge)
    assert hits.start.tolist() == [0, 2, 2, 3]
    assert hits.module.tolist() == [3, 8, 3]
    mean = (100.0 + 1800.0 + 9000.0) / 10.0
    spread = np.sqrt(((mean - 0) ** 2 + 2 * (mean - 50) ** 2 + 6 * (mean - 300) ** 2 + (mean - 9000) ** 2) / 10.0)
    assert hits.values[0] == pytest.approx([10.0, 9.0, 3.0, 0.0, 50.0, 300.0, 9000.0, mean, spread])
    assert hits.values[1] == pytest.approx([0.5, 0.5, 0.5, 7.0, 7.0, 7.0, 7.0, 7.0, 0.0])
    none = summed(np.zeros(3, dtype=np.int64), module[:0], time[:0], charge[:0])
    assert none.start.tolist() == [0, 0, 0]


@pytest.mark.slow
def test_within_6_us_it_is_what_summarise_says(array):
    rng = np.random.default_rng(1)
    event, module = rng.integers(0, 5, 400), rng.integers(0, 40, 400)
    time, charge = rng.uniform(0.0, 5000.0, 400).astype(np.float32), rng.uniform(0.1, 9.0, 400).astype(np.float32)
    order = np.lexsort((time, module, event))
    start = np.concatenate([[0], np.cumsum(np.bincount(event))])
    pulses = Pulses(module[order], time[order], charge[order], np.zeros(400, dtype=bool), start, *np.ones((2, 5)))
    theirs = summarise(replace(pulses, triggered=np.ones(5, dtype=bool)))
    ours = summed(start, pulses.module, pulses.time.astype(float), pulses.charge.astype(float))
    shift = np.repeat(theirs.window, np.diff(theirs.start))
    values = theirs.values.astype(float)
    values[:, 3:8] += shift[:, None]
    assert np.array_equal(ours.module, theirs.module)
    assert ours.values == pytest.approx(values, rel=1e-4, abs=0.05)


@pytest.mark.slow
@pytest.mark.real_data
def test_the_gap_to_the_official_events_is_the_known_one(mirror, monkeypatch):
    """168 cascades of 2 TeV to 10 PeV with no tuning but 0.7 on the efficiency.

    Charge of an event official over ours 0.84, of modules 0.81 at 60 to 150 m, and less far away; half of the charge of
    a module comes as late to 10 %.  Turned round, the light ahead and behind would not fit.
    """
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    table = light_table(*(simulate_photons(1, 0, 100_000, cone=cone) for cone in (False, True)))
    official, icecube = official_cascades("nue-medium"), dimmed(detector(), 0.7)
    gap = domain_gap(icecube, official, simulate_same(icecube, table, official, 1), efficiency=0.7)
    assert gap.events == 168
    assert gap.ratio == pytest.approx(0.84, abs=0.04)
    middle = [row.ratio for row in gap.by_distance if 60.0 <= row.low < 150.0]
    assert middle == pytest.approx([0.81, 0.81], abs=0.04)
    assert gap.by_distance[-1].ratio < min(middle)
    late = {row.low: row.ours / row.official for row in gap.times if row.what == "t50"}
    assert late[60.0] == pytest.approx(1.0, abs=0.1)
    turned = simulate_same(icecube, table, replace(official, direction=-official.direction), 1)
    behind = domain_gap(icecube, official, turned, efficiency=0.7).by_cosine
    assert behind[-1].ratio / behind[0].ratio > 2.0 * gap.by_cosine[-1].ratio / gap.by_cosine[0].ratio


# ---- official events as records -----------------------------------------------------------------------------------


def test_bins_are_summed_up_by_hand():
    """Module 3 of event 0: 1, 2, 5, 2 photoelectrons at 10, 30, 110 and 710 ns; module 4: 1; event 1 is dark."""
    events = xr.Dataset(
        {
            "start": ("boundary", [0, 5, 5]),
            "hit_module": ("hit", [3, 3, 3, 3, 4]),
            "hit_bin": ("hit", [26, 27, 31, 61, 26]),
            "charge": ("hit", [1.0, 2.0, 5.0, 2.0, 1.0]),
            "bin_edges": ("bin_edge", np.concatenate([[-np.inf], np.arange(-500.0, 3001.0, 20.0), [np.inf]])),
            "excluded": (("event", "module"), np.zeros((2, 10), dtype=bool)),
        }
    )
    hits = hits_of_bins(events)
    assert hits.start.tolist() == [0, 2, 2]
    assert hits.module.tolist() == [3, 4]
    found = dict(zip(SUMMARY, hits.values[0].tolist(), strict=True))
    assert [found[name] for name in ("charge", "charge_500", "charge_100")] == [10.0, 8.0, 3.0]
    assert [found[name] for name in ("first", "t20", "t50")] == [10.0, 30.0, 110.0]
    assert np.isnan([found[name] for name in ("last", "mean", "spread")]).all()


@pytest.mark.real_data
def test_both_forms_of_the_official_events_agree(mirror, monkeypatch):
    """The same cascades: charges to noise of later than 3 us or so, times to the width of a bin."""
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    bins, nine = (official_cascades("nue-low", form=form) for form in ("bins", "summaries"))
    assert np.array_equal(bins.vertex, nine.vertex)
    charge, other = (by_module(one.hits, "charge", 5160) * ~one.masked for one in (bins, nine))
    bright = charge > 5.0
    assert np.count_nonzero(bright) > 50
    assert charge[bright] == pytest.approx(other[bright], abs=3.0)
    t50, other = (
        (by_module(one.hits, "t50", 5160) - by_module(one.hits, "first", 5160))[bright] for one in (bins, nine)
    )
    assert np.median(np.abs(t50 - other)) < 20.0


@pytest.mark.real_data
def test_official_cascades_are_those_with_one_cascade(mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    nue = official_cascades("nue-medium")
    assert len(nue.energy) == 153 + 15
    assert nue.hadronic.sum() == 15
    assert not by_module(nue.hits, "charge", 5160)[nue.masked & (nue.masked.sum(axis=1) < 108)[:, None]].any()
    with pytest.raises(InputError, match="Did you mean 'summaries'"):
        official_cascades("nue-low", form="summary")


# ---- figure -------------------------------------------------------------------------------------------------------


def test_the_figure_names_both_and_says_synthetic(array, cascades):
    gap = domain_gap(array, cascades, scaled(cascades.hits, 1.2), efficiency=0.7)
    figure = plot.domain_gap_figure(gap)
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    for word in (
        "SYNTHETIC",
        "official simulation",
        "parametric simulation",
        "efficiency x 0.7",
        "/ m",
        "/ ns",
        "/ GeV",
    ):
        assert word in words
    drawn = figure.axes[0].lines[1].get_ydata()
    assert drawn == pytest.approx([row.ratio for row in gap.by_distance])
    with pytest.raises(InputError, match="compare more events"):
        plot.domain_gap_figure(gap.model_copy(update={"by_cosine": ()}))
