"""The sky scan: a pixel is the stand-alone point fit, and background skies give the hottest spots they hold.

The stand-alone fit (prepare, terms, maximise: all events, one by one) is the slow twin throughout.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import healpy as hp
import numpy as np
import pytest
from scipy.stats import binomtest, chi2
from small_problem import sample, take

from nuanalysis import trials
from nuanalysis.errors import InputError
from nuanalysis.interpret.population import population, smallest_binomial
from nuanalysis.library import samples as known
from nuanalysis.library.samples import SampleSpec
from nuanalysis.likelihood import (
    Circle,
    circle,
    fit_circle,
    fit_directions,
    maximise,
    sky_events,
    turned,
)
from nuanalysis.likelihood import _scan as room
from nuanalysis.likelihood import _scan_kernels as kernels
from nuanalysis.likelihood.statistics import PUBLISHED, statistic
from nuanalysis.model import Hypothesis, _prepare, prepare, terms
from nuanalysis.response import Kernel
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.trials import _skies

# TS of a direction and of the stand-alone fit.  The far events' series leaves 5e-10 an event at its end, far less on
# the whole; the kernel's exponential has 1e-9.  Largest difference seen in 24 directions: 2.6e-9.
SAME_TS = 1e-6


def point(ra, dec, extension=0.0, *, free=True):
    source = PointSource("there", float(ra), float(dec), float(extension))
    return Hypothesis("point:there", Catalogue("there", "there", (source,), (1.0,), "by hand"), 2.7, free)


def bare(hypothesis, ready):
    """Prepared without the expected spread of n_s, which takes most of the time and which no fit asks for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_prepare, "_strengths", lambda prepared: (prepared.spread, prepared.strength))
        return prepare(hypothesis, ready)


def stand_alone(ready, ra, dec, extension=0.0, *, free=True):
    return maximise(terms(bare(point(ra, dec, extension, free=free), ready)))


def directions(n, seed):
    """n random directions, then two near each pole, a twentieth of a degree and two degrees away."""
    rng = np.random.default_rng(seed)
    ra = rng.uniform(0, 2 * np.pi, n + 4)
    dec = np.concatenate([np.arcsin(rng.uniform(-1, 1, n)), np.radians([89.95, -89.95, 88.0, -88.0])])
    return ra, dec


def moved(ready, **columns):
    """The sample with some event columns replaced."""
    events = ready.events.assign({k: ready.events[k].copy(data=v) for k, v in columns.items()})
    return replace(ready, events=events)


@lru_cache
def cascades():
    return (sample(3000, seed=41),)


@lru_cache
def narrow():
    """A small sample with track-like errors, a few of them wide."""
    base = sample(3000, seed=42)
    rng = np.random.default_rng(1)
    error = np.radians(0.6) * np.exp(0.6 * rng.standard_normal(3000))
    error[:40] = np.radians(rng.uniform(5.0, 60.0, 40))
    return (moved(base, angular_error=error),)


@lru_cache
def pile():
    """Forty events, some of them energetic, within a degree of RA 80, dec 20 deg."""
    base = narrow()[0]
    ra, dec = base.array("right_ascension").copy(), base.array("declination").copy()
    rng = np.random.default_rng(2)
    near = np.argsort(-base.array("log10_energy"))[::60][:40]
    ra[near] = np.radians(80.0) + np.radians(1.0) * rng.standard_normal(40)
    dec[near] = np.radians(20.0) + np.radians(1.0) * rng.standard_normal(40)
    return (moved(base, right_ascension=ra, declination=dec),)


@lru_cache
def two():
    return (*cascades(), sample(1500, seed=43, name="second", declination=(-0.5, np.pi / 2)), *narrow())


@lru_cache
def spread():
    """Events whose point spread has several parts, beside such with one; the errors of some are those of tracks."""
    return (
        replace(cascades()[0], statistic=statistic("complete")),
        sample(1500, seed=43, name="second", declination=(-0.5, np.pi / 2)),
        replace(narrow()[0], statistic=statistic("point-spread")),
    )


READY = {"cascades": cascades, "narrow": narrow, "pile": pile, "three samples": two, "several parts": spread}


@lru_cache
def seen(kind, free=True):
    return sky_events(bare(point(0.0, 0.0, free=free), READY[kind]()))


# --- a direction is the stand-alone fit ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", READY)
@pytest.mark.parametrize("few", [0, 20])
@pytest.mark.slow
def test_directions_are_stand_alone_fits(kind, few, monkeypatch):
    """With events sorted by right ascension (few = 0), as in scans, and without, as for a few directions."""
    monkeypatch.setattr(room, "FEW", few)
    ra, dec = directions(6, 3)
    loud = np.argsort(-READY[kind]()[-1].array("log10_energy"))[:2]
    ra[:2], dec[:2] = (READY[kind]()[-1].array(name)[loud] for name in ("right_ascension", "declination"))
    if kind == "pile":
        ra[2:5], dec[2:5] = np.radians([80.0, 80.6, 79.0]), np.radians([20.0, 19.5, 21.0])
    events = seen(kind)
    found = fit_directions(events, turned(events.right_ascension()), ra, dec)
    for row, a, d in zip(found, ra, dec, strict=True):
        alone = stand_alone(READY[kind](), a, d)
        assert row[0] == pytest.approx(alone.ts, abs=SAME_TS)
        assert bool(row[3]) == alone.converged
        # Where TS is flat the place of its maximum is less sure: c is found to 1e-8, TS to rounding.
        assert row[1] == pytest.approx(alone.n_signal, rel=1e-4, abs=1e-4)
        assert row[2] == pytest.approx(alone.index, abs=1e-3)
    assert found[:, 0].max() > (30.0 if kind == "pile" else 1.0)  # else nothing was compared


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("extension", [0.0, np.radians(2.0)])
def test_extended_sources_and_a_held_index(free, extension):
    ra, dec = directions(4, 5)
    events = seen("narrow", free)
    found = fit_directions(events, turned(events.right_ascension()), ra, dec, extension)
    alone = [stand_alone(narrow(), a, d, extension, free=free) for a, d in zip(ra, dec, strict=True)]
    assert found[:, 0] == pytest.approx([fit.ts for fit in alone], abs=SAME_TS)
    assert found[:, 2] == pytest.approx([fit.index for fit in alone], abs=1e-3)


@pytest.mark.parametrize("kind", READY)
def test_the_poles_hold_no_signal(kind):
    """S does not depend on right ascension there: S = <S> event by event, so TS is zero at any n_s."""
    events = seen(kind)
    found = fit_directions(events, turned(events.right_ascension()), np.zeros(2), np.array([np.pi / 2, -np.pi / 2]))
    assert np.array_equal(found[:, :2], np.zeros((2, 2)))
    assert found[:, 3].all()


@pytest.mark.parametrize("kind", ["narrow", "three samples", "several parts"])
def test_sorting_changes_nothing(kind):
    """Bins of right ascension are a way to read fewer events: all along a circle, across right ascension 0 too."""
    events = seen(kind)
    sky, at = turned(events.right_ascension()), np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for dec in (-1.2, 0.3, 1.5):
        share = events.shares(np.array([dec]))[0]
        rows = [fit_circle(circle(events, dec, share, sorting=s), sky, at) for s in (True, False)]
        assert rows[0][:, 0] == pytest.approx(rows[1][:, 0], abs=1e-8)  # sums in another order
    assert len(circle(events, 0.3, events.shares(np.array([0.3]))[0]).narrow_number) > 100


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_of_sums_and_all_events_agree(level, monkeypatch):
    """Sums that serve n_s so low that the next level, or all events, must be used."""
    monkeypatch.setattr(room, "_LEVELS", ((4.0, 20.0), (0.01, 20.0), (0.001, 0.01))[level])
    events = seen("pile")
    sky, ra = turned(events.right_ascension()), np.radians([80.0, 81.0, 200.0])
    where = circle(events, np.radians(20.0), events.shares(np.radians([20.0]))[0])
    found = fit_circle(where, sky, ra)
    alone = [stand_alone(pile(), a, np.radians(20.0)).ts for a in ra]
    assert found[:, 0] == pytest.approx(alone, abs=SAME_TS)


def test_circles_share_what_pixels_of_a_ring_share():
    """A ring fitted as a whole and its pixels one by one; the sums do not remember the pixel before."""
    events = seen("cascades")
    sky, ring = turned(events.right_ascension()), np.arange(*np.array([0, 32]) + hp.ringinfo(8, np.array([12]))[0])
    theta, phi = hp.pix2ang(8, ring)
    whole = fit_directions(events, sky, phi, np.pi / 2 - theta)
    one_by_one = [fit_directions(events, sky, phi[k : k + 1], np.pi / 2 - theta[k : k + 1])[0] for k in (0, 7, 31)]
    # TS to rounding; its flat maximum lies where n_s is known to the root of that.
    assert whole[[0, 7, 31]] == pytest.approx(np.array(one_by_one), abs=1e-9, rel=3e-8)


def test_a_handful_of_events():
    few = (replace(cascades()[0], events=take(cascades()[0].events, np.arange(7))),)
    events = sky_events(bare(point(0.0, 0.0), few))
    ra, dec = directions(4, 8)
    found = fit_directions(events, turned(events.right_ascension()), ra, dec)
    alone = [stand_alone(few, a, d).ts for a, d in zip(ra, dec, strict=True)]
    assert found[:, 0] == pytest.approx(alone, abs=SAME_TS)


def test_parts_of_one_width_are_one_part():
    """Fits, widths, loudness and the grid of the search: the sum over parts is what one part gives."""
    same = replace(PUBLISHED, kernel=lambda response: Kernel(np.array([0.2, 0.3, 0.5]), np.ones(3)))
    one, three = seen("narrow"), sky_events(bare(point(0.0, 0.0), (replace(narrow()[0], statistic=same),)))
    ra, dec = directions(4, 7)
    rows = [fit_directions(events, turned(events.right_ascension()), ra, dec) for events in (one, three)]
    assert rows[1] == pytest.approx(rows[0], rel=1e-6, abs=1e-7)
    assert rows[0][:, 0].max() > 1.0
    assert three.widths == pytest.approx(one.widths, rel=1e-12)
    assert _skies.loudness(three, 16) == pytest.approx(_skies.loudness(one, 16), rel=1e-9)
    assert trials.search_for(three, 64) == trials.search_for(one, 64)


def test_the_width_of_several_parts_is_that_of_one_with_their_peak():
    events, kernel = seen("several parts"), spread()[0].kernel
    error = events.error[0]
    peak = (kernel.weight / (2 * np.pi * (error[:, None] * kernel.scale) ** 2)).sum(axis=1)
    assert 1 / (2 * np.pi * events.widths[: len(error)] ** 2) == pytest.approx(peak)
    loud = _skies.loudness(events, 256)[:, : len(error)]
    plain = sky_events(
        bare(point(0.0, 0.0), (replace(spread()[0], statistic=statistic("angular-error")), *spread()[1:]))
    )
    assert (loud > _skies.loudness(plain, 256)[:, : len(error)]).all()  # the same events, their peaks higher


@pytest.mark.parametrize("extension", [0.0, np.radians(2.0)])
def test_extended_sources_of_several_parts(extension):
    """An extension adds in quadrature to the width of each part."""
    ra, dec = directions(4, 6)
    events = seen("several parts")
    found = fit_directions(events, turned(events.right_ascension()), ra, dec, extension)
    alone = [stand_alone(spread(), a, d, extension).ts for a, d in zip(ra, dec, strict=True)]
    assert found[:, 0] == pytest.approx(alone, abs=SAME_TS)
    assert found[:, 0].max() > 1.0  # else nothing was compared


def test_a_template_or_a_stack_is_refused():
    sources = (PointSource("a", 1.0, 0.0), PointSource("b", 2.0, 0.0))
    stack = Hypothesis("stack:two", Catalogue("two", "two", sources, (1.0, 1.0), ""), 2.7, True)
    with pytest.raises(InputError, match=r"'stack:two' is not a single source; a scan asks for point:RA,DEC"):
        sky_events(bare(stack, cascades()))


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", ["cascades-2023", "tracks"])
def test_whole_samples_agree_with_stand_alone_fits(name, mirror, monkeypatch):
    """The 59,592 events of the synthetic twin, and 268,355 real tracks of three seasons jointly."""
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    monkeypatch.setattr(room, "FEW", 0)
    ready = known.load(SampleSpec(name=name, signal="none"), 1).seasons
    events = sky_events(bare(point(0.0, 0.0), ready))
    ra, dec = directions(4, 11)
    found = fit_directions(events, turned(events.right_ascension()), ra, dec)
    alone = [stand_alone(ready, a, d).ts for a, d in zip(ra, dec, strict=True)]
    assert found[:, 0] == pytest.approx(alone, abs=SAME_TS)


# --- kernels and their twins -----------------------------------------------------------------------------------------


def twin_e(where: Circle, sky, at):
    """e of wide and then narrow events, from the von Mises-Fisher formula itself."""
    shape = np.concatenate([where.wide, where.narrow], axis=1)
    number = np.concatenate([where.wide_number, where.narrow_number])
    exponent = shape[0] * np.cos(sky.right_ascension[number] - at) + shape[1]
    parts = [(1.0, 1.0), *zip(shape[4::2], shape[5::2], strict=True)]
    signal = [shape[2] * relative * np.exp(sharper * exponent) for relative, sharper in parts]
    return np.where(exponent > -40.0, np.sum(signal, axis=0), 0.0) - shape[3]


@pytest.mark.parametrize("kind", ["three samples", "several parts"])
def test_power_sums_are_those_of_the_events(kind):
    """Moments of far events and the list of near ones against plain sums, for wide and for sorted events."""
    events = seen(kind)
    sky, dec = turned(events.right_ascension()), 0.4
    where = circle(events, dec, events.shares(np.array([dec]))[0])
    placed = room._placed(where, sky)
    e = np.empty(where.wide.shape[1])
    for at in (0.0, 1.3, 6.28):
        limit = where.limit[0]
        kernels.fill(where.wide, *placed[2:4], np.cos(at), np.sin(at), e)
        size = len(where.narrow_group)
        kernel, found = np.empty(size + 1), np.empty(size + 1, dtype=np.int64)
        shape, group, cosine, sine = placed[4:8]
        n = kernels.find_narrow(shape, cosine, sine, *placed[8:], at, np.empty(size + 1), kernel, found)
        moments = where.base.copy()
        near_e, near_group = np.empty(len(e) + size + 1), np.empty(len(e) + size + 1, dtype=np.int64)
        m = kernels.sum_wide(e, where.first, limit, moments, near_e, near_group)
        m = kernels.sum_narrow(kernel[:n], found[:n], shape, group, limit, moments, near_e, near_group, m)
        expected = twin_e(where, sky, at)
        groups = np.concatenate([where.wide_group, where.narrow_group])
        far = np.abs(expected) <= limit[groups]
        rows = np.concatenate([where.wide, where.narrow], axis=1)
        floor = np.exp(-40.0) * rows[2] * (1.0 + rows[4::2].sum(axis=0))
        for k in range(kernels.ORDERS):
            plain = np.bincount(groups[far], weights=expected[far] ** (k + 1), minlength=len(limit))
            size_of = np.bincount(groups[far], weights=np.abs(expected[far]) ** (k + 1), minlength=len(limit))
            # exp to 1e-9, to the sixth power; a kernel that ends below exp(-40) still adds that
            held = (k + 1) * (np.abs(expected) + floor) ** k * floor
            left = np.bincount(groups[far], weights=held[far], minlength=len(limit))
            assert np.all(np.abs(moments[k] - plain) <= 1e-7 * size_of + 2.0 * left + 1e-300)
        assert m == (~far).sum()
        assert np.sort(near_e[:m]) == pytest.approx(np.sort(expected[~far]), rel=1e-8)


def test_bins_hold_every_event_once():
    rng = np.random.default_rng(4)
    ra, klass = rng.uniform(0, 2 * np.pi, 500), rng.integers(0, 3, 500)
    ra[:2] = 0.0, np.nextafter(2 * np.pi, 0)
    bins, first = np.array([5, 11, 40]), np.array([0, 5, 16, 56])
    start, order = np.zeros(57, dtype=np.int64), np.empty(500, dtype=np.int64)
    kernels.sort_to_bins(ra, klass, bins, first, start, order)
    assert np.array_equal(np.sort(order), np.arange(500))
    for b in range(56):
        k = int(np.searchsorted(first, b, side="right") - 1)
        mine = order[start[b] : start[b + 1]]
        assert np.all(klass[mine] == k)
        assert np.all(np.floor(ra[mine] / (2 * np.pi) * bins[k]) == b - first[k])


# --- skies -----------------------------------------------------------------------------------------------------------

GRID = np.radians([-82.0, -60.0, -30.0, 0.0, 30.0, 60.0, 82.0])


@lru_cache
def table():
    """A table of the right kind, made by hand: p = exp(-TS / 2) / 2 at the equator, a little larger at the poles."""
    root = np.arange(0.0, 7.05, 0.1)
    rows = np.array([-0.5 * root**2 * (1 - 0.1 * abs(np.sin(d))) - np.log(2) for d in GRID])
    return trials.LocalP(GRID, root, rows, np.full_like(rows, 0.05), np.full(len(GRID), 7.0))


def test_pixels_of_many_skies_are_those_of_each():
    events = seen("cascades")
    skies = [trials.draw_sky(events, 1, k) for k in range(3)]
    wanted = [np.array([0, 5, 300, 700]), np.array([5]), np.arange(600, 640)]
    found = trials.fit_pixels(events, skies, 8, wanted)
    for sky, pixels, rows in zip(skies, wanted, found, strict=True):
        theta, phi = hp.pix2ang(8, pixels)
        assert rows == pytest.approx(fit_directions(events, sky, phi, np.pi / 2 - theta), abs=1e-9)


def test_background_skies_are_the_scrambles_of_the_engine():
    """The TS of one place on skies 0..5 is that of scramble_trials with the same seed and numbers."""
    ra, dec = 1.1, -0.6
    events = seen("three samples")
    rows = trials.scramble_trials(prepare(point(ra, dec), two()), 9, 0, 6)
    found = trials.source_trials(events, (np.array([ra]), np.array([dec]), np.zeros(1)), 9, 0, 6)
    assert found[:, 0] == pytest.approx(rows[:, 0], abs=5e-6)  # the precision of the engine's own sums


def test_smeared_skies_are_those_of_the_engine():
    """Declinations of smeared skies are the engine's; background and energy terms follow them."""
    ra, dec, width = 1.1, -0.6, np.radians(3.0)
    rows = trials.scramble_trials(prepare(point(ra, dec), cascades()), 9, 0, 3, smear=width)
    found = trials.source_trials(seen("cascades"), (np.array([ra]), np.array([dec]), np.zeros(1)), 9, 0, 3, width)
    assert found[:, 0] == pytest.approx(rows[:, 0], abs=5e-6)
    assert not np.allclose(found, trials.source_trials(seen("cascades"), (np.array([ra]), np.array([dec]), np.zeros(1)),
                                                       9, 0, 3))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "search", "n", "decades"),
    [
        ("cascades", trials.Search(8, 16, 0.2), 6, 0.02),
        ("several parts", trials.Search(16, 32, 0.2, 0.02), 3, 0.5),
        ("narrow", trials.Search(16, 64, 0.02, 0.02), 3, 0.5),
    ],
)
@pytest.mark.slow
def test_the_search_finds_the_hottest_pixel_of_the_whole_grid(kind, search, n, decades):
    """A few skies: the same pixel in each hemisphere but one, and there little less in log10 p."""
    events = seen(kind)
    skies = [trials.draw_sky(events, 2, k) for k in range(n)]
    found = trials.hottest_spots(events, table(), search, skies)
    pixels, expected = _skies.in_reach(search.fine), []
    for fits in trials.fit_pixels(events, skies, search.fine, [pixels] * len(skies)):
        log_p = trials.log_p_map(table(), search.fine, pixels, fits[:, 0])
        expected.append(trials.hottest(search.fine, pixels, log_p, fits))
    less = (found[:, :, 0] - np.array(expected)[:, :, 0]) / np.log(10)
    assert less.min() > -1e-9  # a search cannot find more than there is
    assert (less > 1e-9).sum() <= 1
    assert less.max() < decades


def test_scores_are_high_where_events_pile_up():
    """Forty events within a degree: their pixel is the loudest at the softest index; scrambled, it is not."""
    events, nside = seen("pile"), 32
    said = _skies.loudness(events, nside)
    there = hp.ang2pix(nside, 80.0, 20.0, lonlat=True)
    close = np.append(hp.get_all_neighbours(nside, there), there)
    data, scrambled = turned(events.right_ascension()), trials.draw_sky(events, 1, 1)
    assert _skies.scores(events, nside, said, data).argmax(axis=1)[-1] in close
    assert _skies.scores(events, nside, said, scrambled).argmax(axis=1)[-1] not in close
    assert said.shape == (3, events.n_events)
    assert (said > 0).all()


@pytest.mark.parametrize(("kind", "loud"), [("cascades", 0.0), ("narrow", 0.1)])
def test_sky_trials_do_not_depend_on_how_they_are_cut(kind, loud):
    events, search = seen(kind), trials.Search(4, 8, 0.2, loud)
    whole = trials.sky_trials(events, table(), search, 3, 0, 5)
    cut = [trials.sky_trials(events, table(), search, 3, a, b) for a, b in ((0, 1), (1, 4), (4, 5))]
    assert np.array_equal(whole, np.concatenate(cut))
    assert whole.shape == (5, len(trials.SKY_COLUMNS))


def test_hottest_pixels_of_a_map_by_hand():
    nside = 4
    pixels = np.arange(12 * nside**2)
    fits = np.stack([pixels * 1.0, pixels + 0.5, np.full(len(pixels), 2.0), np.ones(len(pixels))], axis=1)
    log_p = np.zeros(len(pixels))
    log_p[[20, 150]] = -4.0, -3.0
    log_p[[0, 191]] = np.nan
    south, north = trials.hottest(nside, pixels, log_p, fits)
    assert (south[0], north[0]) == (-3.0, -4.0)
    for row, pixel in ((south, 150), (north, 20)):
        theta, phi = hp.pix2ang(nside, pixel)
        assert row[1:4].tolist() == [pixel, pixel + 0.5, 2.0]
        assert row[4:] == pytest.approx([phi, np.pi / 2 - theta])


def test_coarse_grids_follow_the_angular_errors():
    assert trials.search_for(seen("cascades"), 64) == trials.Search(16, 64)
    assert trials.search_for(seen("cascades"), 8) == trials.Search(8, 8)
    assert trials.search_for(seen("narrow"), 128) == trials.Search(32, 128, 0.01, 0.015)
    with pytest.raises(InputError, match="expected at least one"):
        trials.sky_trials(seen("cascades"), table(), trials.Search(4, 8), 1, 4, 4)


# --- local p-values --------------------------------------------------------------------------------------------------


def test_the_table_gives_back_the_ensembles():
    """Plain trials: the table is the share of trials at or above; a weighted ensemble gives the same within errors."""
    rng = np.random.default_rng(6)
    ts = np.where(rng.random(40_000) < 0.5, 0.0, rng.chisquare(1, 40_000))
    table_ = trials.local_p(np.array([0.0]), [(ts, np.zeros(len(ts)))], 25.0)
    for t in (1e-12, 1.0, 4.0, 9.0):
        share = float((ts >= t).mean())
        assert np.exp(table_.log_p_of(0.0, np.array([t]))[0]) == pytest.approx(share, rel=2e-2 if t > 1 else 1e-3)
    binomial = np.sqrt(0.0228 * 0.9772 / len(ts)) / 0.0228
    assert table_.error_of(0.0, 4.0) == pytest.approx(binomial, rel=0.1)
    assert table_.log_p_of(0.3, np.array([0.0]))[0] == 0.0
    strong = rng.chisquare(1, 40_000) * 6.0  # drawn too large, with the weight back
    weight = 0.5 * np.sqrt(6.0) * np.exp(-strong / 2 + strong / 12)
    tilted = trials.local_p(np.array([0.0]), [(strong, np.log(weight))], 25.0)
    for t in (4.0, 9.0, 16.0):
        exact = 0.5 * float(chi2.sf(t, 1))
        assert np.exp(tilted.log_p_of(0.0, np.array([t]))[0]) == pytest.approx(exact, rel=0.1)


def test_beyond_the_trials_ln_p_goes_on_straight_in_ts():
    rng = np.random.default_rng(7)
    ts = rng.exponential(2.0, 20_000)  # p = exp(-TS / 2)
    found = trials.local_p(np.array([0.0]), [(ts, np.zeros(len(ts)))], 16.0)
    far = found.log_p_of(0.0, np.array([20.0, 30.0]))
    assert far[1] - far[0] == pytest.approx(-5.0, rel=0.25)  # the slope comes from the last 20 to 150 trials
    assert 3.0 < found.reach[0] < 4.1
    assert found.error[0, -1] == 1.0


def test_interpolation_in_declination_is_linear_in_its_sine():
    at = np.arcsin(0.5 * (np.sin(GRID[3]) + np.sin(GRID[4])))
    assert table().row(at) == pytest.approx(0.5 * (table().log_p[3] + table().log_p[4]))
    assert np.array_equal(table().row(1.56), table().log_p[-1])
    log_p = trials.log_p_map(table(), 8, np.arange(768), np.full(768, 9.0))
    theta, _ = hp.pix2ang(8, np.arange(768))
    cap = np.abs(np.pi / 2 - theta) > trials.MOST_DECLINATION
    assert np.array_equal(np.isnan(log_p), cap)
    assert cap.sum() > 0
    assert log_p[400] == table().log_p_of(float(np.pi / 2 - theta[400]), np.array([9.0]))[0]


# --- the population of a list ----------------------------------------------------------------------------------------


def test_the_binomial_test_is_the_binomial_tail():
    p = np.array([0.9, 0.02, 0.5, 0.03, 0.04, 0.7, 0.8, 0.6])
    found = population(p)
    tails = [binomtest(k, 8, float(q), alternative="greater").pvalue for k, q in enumerate(np.sort(p), start=1)]
    assert found.k == int(np.argmin(tails)) + 1 == 3
    assert found.p == pytest.approx(min(tails), rel=1e-12)
    assert found.p_threshold == 0.04
    k, chance = smallest_binomial(np.stack([p, p[::-1]]))
    assert np.array_equal(k, [3, 3])
    assert chance == pytest.approx([found.p] * 2, rel=1e-12)


@pytest.mark.parametrize("p", [[0.5, 1.2], [-0.1, 0.5], []])
def test_the_binomial_test_refuses_what_is_no_probability(p):
    with pytest.raises(InputError, match="expected at least one source and values from 0 to 1"):
        population(np.array(p))
