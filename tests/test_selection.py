"""Cuts, cut flows and exposure on hand-made events, and the three published seasons."""

import pickle

import numpy as np
import pytest

from nuanalysis import schema
from nuanalysis.errors import InputError
from nuanalysis.selection import (
    Check,
    Duplicates,
    GoodRuns,
    Overlap,
    Quality,
    Range,
    Runs,
    Span,
    apply,
    cascades_2023,
    tracks,
)

DAY = 86400.0
START = 55_000.0  # times below are days since then


def make_events(mjd, *, livetime_d=10.0, **columns):
    n = len(mjd)
    values = {
        "mjd": START + np.asarray(mjd, dtype=float),
        "right_ascension": np.linspace(0.0, 6.0, n),
        "declination": np.linspace(-1.0, 1.0, n),
        "log10_energy": np.linspace(2.0, 5.0, n),
        "angular_error": np.full(n, 0.02),
        **{name: np.asarray(value) for name, value in columns.items()},
    }
    attrs = {"sample": "by-hand", "origin": "synthetic", "livetime_s": livetime_d * DAY, "reference": "-"}
    return schema.dataset(schema.EVENTS, values, attrs)


def runs(*pairs, start=0.0):
    return Runs(*(start + np.array([pair[i] for pair in pairs], dtype=float) for i in (0, 1)))


def good(*pairs):
    return runs(*pairs, start=START)


def span(start, stop):
    return Span(START + start, START + stop)


# --- runs --------------------------------------------------------------------------------------------------------


def test_exposure_is_the_sum_of_runs_and_an_overlap_counts_once():
    assert Runs(np.array([1.0, 5.0]), np.array([2.0, 5.5])).exposure_s == pytest.approx(1.5 * DAY)
    assert Runs(np.array([5.0, 1.0, 1.5]), np.array([5.5, 2.0, 3.0])).exposure_s == pytest.approx(2.5 * DAY)
    assert Runs(np.array([1.0, 2.0, 0.0]), np.array([2.0, 3.0, 9.0])).exposure_s == pytest.approx(9 * DAY)
    assert Runs(np.empty(0), np.empty(0)).exposure_s == 0.0


def test_a_run_holds_both_its_ends():
    two = runs((1.0, 2.0), (4.0, 5.0))
    times = np.array([0.999, 1.0, 1.5, 2.0, 2.001, 3.999, 4.0, 5.0, 5.001])
    assert two.touch(times).tolist() == [False, True, True, True, False, False, True, True, False]
    assert not runs().touch(times).any()


def test_a_whole_day_is_held_if_any_run_touches_it():
    two = runs((1.5, 1.6), (4.0, 6.0))
    days = np.arange(0.0, 9.0)
    assert two.touch(days, length_d=1.0).tolist() == [False, True, False, False, True, True, True, False, False]


def test_runs_within_and_without():
    two = runs((1.0, 3.0), (5.0, 8.0))
    assert two.within(2.0, 6.0).starts.tolist() == [2.0, 5.0]
    assert two.within(2.0, 6.0).stops.tolist() == [3.0, 6.0]
    left = two.without(runs((2.0, 5.5), (6.0, 7.0)))
    assert list(zip(left.starts.tolist(), left.stops.tolist(), strict=True)) == [(1.0, 2.0), (5.5, 6.0), (7.0, 8.0)]
    assert two.without(runs()).exposure_s == two.exposure_s
    assert two.without(two).exposure_s == 0.0


def test_bad_run_lists_are_refused():
    with pytest.raises(InputError, match="as many of each"):
        Runs(np.array([1.0]), np.array([2.0, 3.0]))
    with pytest.raises(InputError, match="2 of 3 good runs"):
        Runs(np.array([1.0, 5.0, np.nan]), np.array([2.0, 4.0, 9.0]))


# --- cuts --------------------------------------------------------------------------------------------------------


def test_cut_flow_counts_rates_and_exposure():
    events = make_events([1.5, 2.5, 4.2, 4.8, 9.0], livetime_d=10.0, log10_energy=[2.0, 3.0, 3.5, 4.0, 5.0])
    cuts = [
        GoodRuns(good((1.0, 3.0), (4.0, 6.0))),
        span(2.0, 5.0),
        Check(Range("declination", high=0.0)),
        Range("log10_energy", low=3.2),
    ]
    kept, flow = apply(events, cuts)
    assert [row.name for row in flow] == ["as-released", "good-runs", "time", "declination", "log10-energy"]
    assert [row.kept for row in flow] == [5, 4, 3, 3, 2]
    assert [row.failed for row in flow] == [0, 1, 1, 1, 1]
    assert [row.exposure_d for row in flow] == pytest.approx([10, 4, 2, 2, 2])
    assert [row.rate_hz * DAY for row in flow] == pytest.approx([0.5, 1, 1.5, 1.5, 1])
    assert [row.applied for row in flow] == [True, True, True, False, True]
    assert flow.kept == kept.sizes["event"] == 2
    assert (kept["mjd"].values - START) == pytest.approx([4.2, 4.8])
    assert kept.attrs["livetime_s"] == pytest.approx(2 * DAY)
    schema.check(kept, schema.EVENTS)
    assert events.attrs["livetime_s"] == 10 * DAY
    assert events.sizes["event"] == 5


def test_range_is_closed_and_says_what_it_keeps():
    events = make_events(np.arange(5.0), log10_energy=[2.0, 2.5, 3.0, 3.5, 4.0])
    cut = Range("log10_energy", 2.5, 3.5)
    assert cut.keep(events).tolist() == [False, True, True, True, False]
    assert cut.label == "316.2 GeV <= E <= 3.162 TeV"
    assert Range("declination", low=-0.5).label == "declination >= -28.6479 deg"


def test_quality_drops_what_is_not_finite_or_badly_measured():
    events = make_events(np.arange(4.0), angular_error=[0.001, 0.02, 0.02, 0.9])
    events["right_ascension"][1] = np.nan
    assert Quality(0.002, 0.5).keep(events).tolist() == [False, False, True, False]


def test_duplicates_keep_the_first_of_equal_events():
    same = {name: [3.0, 1.0, 3.0, 3.0] for name in ("right_ascension", "log10_energy")}
    events = make_events([3, 1, 3, 3.5], declination=[0.5] * 4, **same)
    assert Duplicates().keep(events).tolist() == [True, True, False, True]
    assert Duplicates(("right_ascension", "declination")).keep(events).tolist() == [True, True, False, False]
    numbered = make_events([0.0] * 3, run=[7, 7, 8], event_id=[1, 1, 1])
    assert Duplicates(("run", "event_id")).keep(numbered).tolist() == [True, False, True]
    assert Duplicates().keep(make_events([0.0])).tolist() == [True]


def test_overlap_leaves_shared_time_to_the_earlier_season():
    early, late = good((1.0, 4.0)), good((3.0, 6.0))
    first = make_events([1.5, 3.5], livetime_d=3.0)
    second = make_events([3.5, 5.0], livetime_d=3.0)
    kept, flow = apply(second, [GoodRuns(late), Overlap(early)])
    assert (kept["mjd"].values - START).tolist() == [5.0]
    assert [row.exposure_d for row in flow] == pytest.approx([3, 3, 2])
    total = apply(first, [GoodRuns(early)])[1].rows[-1].exposure_d + flow.rows[-1].exposure_d
    assert total == pytest.approx(5)  # the union of 1..4 and 3..6


def test_checks_remove_nothing():
    events = make_events([1.5, 2.5, 9.0])
    kept, flow = apply(events, [Check(GoodRuns(good((1.0, 2.0)))), Check(span(2.0, 3.0))])
    assert kept.identical(events)
    assert [row.failed for row in flow] == [0, 2, 2]
    assert {row.exposure_d for row in flow} == {10.0}


def test_recipes_travel_to_other_processes():
    cuts = (GoodRuns(good((1.0, 2.0))), Overlap(good((0.0, 1.0))), span(1.0, 2.0), *cascades_2023.CUTS, Duplicates())
    events = make_events([1.5])
    for cut, copy in zip(cuts, pickle.loads(pickle.dumps(cuts)), strict=True):
        assert cut.keep(events).tolist() == copy.keep(events).tolist()
        assert cut.label == copy.label


def test_cuts_that_make_no_sense_are_refused():
    events = make_events([1.5, 2.5])
    with pytest.raises(InputError, match="Did you mean 'log10_energy'"):
        Range("log10_energ", 2.0)
    with pytest.raises(InputError, match="no event column 'mjd'"):
        Range("mjd", 2.0)
    with pytest.raises(InputError, match="expected low < high"):
        Range("declination", 1.0, -1.0)
    with pytest.raises(InputError, match="start < stop"):
        Span(3.0, 2.0)
    with pytest.raises(InputError, match="multiples"):
        Span(2.5, 4.0, resolution_d=1.0)
    with pytest.raises(InputError, match="0 < low < high"):
        Quality(0.0, 1.0)
    with pytest.raises(InputError, match="put GoodRuns before it"):
        apply(events, [span(1.0, 2.0)])
    with pytest.raises(InputError, match="leaves 0 events"):
        apply(events, [Range("log10_energy", low=9.0)])
    with pytest.raises(InputError, match="no column 'zenith'"):
        apply(events, [Range("zenith", low=1.0)])
    with pytest.raises(InputError, match=r"no column \['run'\]"):
        apply(events, [Duplicates(("run",))])


def test_a_time_cut_works_on_runs_that_are_given():
    kept, flow = apply(make_events([1.5, 2.5], livetime_d=3.0), [span(2.0, 3.0)], runs=good((0.0, 3.0)))
    assert (flow.kept, kept.attrs["livetime_s"]) == (1, pytest.approx(DAY))


def test_cascades_start_at_500_gev():
    events = make_events(np.arange(4.0), log10_energy=np.log10([499.9, 500.0, 501.0, 1e6]))
    kept, flow = apply(events, cascades_2023.CUTS)
    assert [row.failed for row in flow] == [0, 0, 1]
    assert kept.sizes["event"] == 3


# --- the published seasons ---------------------------------------------------------------------------------------

PUBLISHED = {  # events, days, resolution in d; failed good runs, quality, duplicates, overlap
    "tracks-ic40": (36_900, 376.36, 0.0, [0, 0, 0, 0]),
    "tracks-ic79": (93_133, 316.05, 0.0, [0, 0, 0, 0]),
    "tracks-ic86-2011": (138_322, 332.96, 1.0, [0, 60, 0, 2]),
}


@pytest.fixture(scope="module")
def seasons(mirror):
    from nuanalysis.ingest import tracks_ic40, tracks_ic79, tracks_ic86_2011

    folders = ("icecube_ps10yr_2021", "icecube_ps3yr_ic79", "icecube_ps_ic86_2011")
    read = {}
    for reader, folder in zip((tracks_ic40, tracks_ic79, tracks_ic86_2011), folders, strict=True):
        events, uptime = reader.read_events(mirror / folder), reader.read_uptime(mirror / folder)
        read[events.attrs["sample"]] = (events, Runs(uptime["start"].values, uptime["stop"].values))
    return read


@pytest.mark.real_data
def test_published_seasons_are_kept_whole(seasons):
    assert list(seasons) == list(PUBLISHED)
    earlier = runs()
    for name, (published, days, resolution_d, failed) in PUBLISHED.items():
        events, own = seasons[name]
        kept, flow = apply(events, tracks.checks(own, earlier=earlier, resolution_d=resolution_d), runs=own)
        assert kept.sizes["event"] == flow.kept == published
        assert kept.attrs["livetime_s"] / DAY == pytest.approx(days, abs=0.01)
        assert own.exposure_s == pytest.approx(events.attrs["livetime_s"], rel=1e-12)  # no runs overlap
        for row, expected in zip(flow.rows[1:], failed, strict=True):
            assert row.failed == expected, (name, row)
        earlier = own


@pytest.mark.real_data
def test_equal_directions_in_the_coarse_season_are_chance(seasons):
    events, _ = seasons["tracks-ic86-2011"]
    shared = int(np.count_nonzero(~Duplicates(("right_ascension", "declination")).keep(events)))
    # Directions are printed to 0.1 deg: in a row of declination with n events, n^2 / 2 pairs over 3600 cells.
    in_row = np.unique(np.round(np.degrees(events["declination"].values), 1), return_counts=True)[1].astype(float)
    assert shared == pytest.approx(np.sum(in_row**2) / 2 / 3600, rel=0.1)


@pytest.mark.real_data
def test_a_user_may_cut_the_real_seasons(seasons):
    events, own = seasons["tracks-ic79"]
    middle = 0.5 * (own.starts[0] + own.stops[-1])
    kept, flow = apply(events, [Span(own.starts[0], middle), Range("log10_energy", low=4.0)], runs=own)
    assert 0 < kept.sizes["event"] < events.sizes["event"]
    assert flow.rows[1].exposure_d == pytest.approx(own.within(0, middle).exposure_s / DAY)
    assert flow.rows[1].rate_hz == pytest.approx(flow.rows[0].rate_hz, rel=0.05)
