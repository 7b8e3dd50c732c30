"""Adaptive sky scans of single events: rounds, levels, maps and contours, against closed forms and slow twins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import healpy as hp
import numpy as np
import pytest
from matplotlib.path import Path as Outline

from nuanalysis import reconstruct as r
from nuanalysis.errors import InputError
from nuanalysis.reconstruct._contours import box_of, rings_of
from nuanalysis.reconstruct._neighbours import neighbours

ROUND = r.GaussianLikelihood(1.0, 0.5, np.radians(8.0), np.radians(8.0))
OVAL = r.GaussianLikelihood(6.2, -0.3, np.radians(7.0), np.radians(4.0), 0.7)


def scanned(likelihood: r.EventLikelihood, plan: r.Plan, *, batch: int = 10**6, seed: int = 0) -> r.ScanState:
    """A scan whose rounds are cut into batches that come back in any order."""
    rng = np.random.default_rng(seed)
    state = r.begin(likelihood, plan)
    while len(wanted := r.next_pixels(state)):
        value, nuisance = np.empty(len(wanted)), np.empty_like(wanted.starts)
        for part in np.array_split(rng.permutation(len(wanted)), -(-len(wanted) // batch)):
            found = likelihood.profile(*wanted.pixels.take(part).directions, wanted.starts[part])
            value[part], nuisance[part] = found.minus_log_likelihood, found.nuisance
        state = r.with_values(state, r.Profile(value, nuisance))
    return state


def everywhere(likelihood: r.EventLikelihood, order: int) -> tuple[np.ndarray, float]:
    """The slow twin: TS of every pixel of an order, and the area of one."""
    pixels = r.Pixels(np.full(12 * 4**order, order), np.arange(12 * 4**order))
    directions = pixels.directions
    value = likelihood.profile(*directions, likelihood.first_starts(*directions)).minus_log_likelihood
    return 2.0 * (value - (likelihood.best.minus_log_likelihood if likelihood.best else value.min())), pixels.area[0]


@pytest.mark.parametrize("likelihood", [ROUND, OVAL])
def test_areas_are_those_of_a_map_that_is_fine_everywhere(likelihood):
    state = scanned(likelihood, r.Plan(r.WILKS, first=2, last=6))
    leaves = r.leaves_of(state)
    ts, area = everywhere(likelihood, 6)
    for critical in (r.WILKS.half, r.WILKS.ninety):
        assert leaves.pixels.area[leaves.ts <= critical].sum() == pytest.approx(
            (ts <= critical).sum() * area, rel=1e-12
        )
    assert state.fitted < 0.05 * len(ts)
    assert (state.ended, leaves.complete, leaves.failed) == ("resolved", True, 0)
    assert not leaves.unresolved.any()
    circle = 2.0 * np.pi * (1.0 - np.cos(likelihood.wide * np.sqrt(r.WILKS.ninety)))
    if likelihood is ROUND:
        assert leaves.pixels.area[leaves.ts <= r.WILKS.ninety].sum() == pytest.approx(circle, rel=0.02)


def test_no_leaf_at_the_contour_is_coarse_and_every_direction_is_covered_once():
    leaves = r.leaves_of(scanned(OVAL, r.Plan(r.WILKS, first=2, last=6)))
    assert (leaves.pixels.order[leaves.ts <= r.WILKS.ninety] == 6).all()
    whole = np.concatenate([
        index * 4 ** (6 - order) + np.arange(4 ** (6 - order))
        for order, index in zip(leaves.pixels.order, leaves.pixels.index, strict=True)
    ])  # fmt: skip
    assert np.array_equal(np.sort(whole), np.arange(12 * 4**6))
    found = r.pixels_of(leaves.pixels.uniq)
    assert np.array_equal(found.order, leaves.pixels.order)
    assert np.array_equal(found.index, leaves.pixels.index)


def test_values_do_not_depend_on_batches_or_their_order():
    plan = r.Plan(r.WILKS, first=2, last=5, coarse_mass=1e-3)
    whole, cut = scanned(OVAL, plan), scanned(OVAL, plan, batch=7, seed=3)
    for name in ("minus_log_likelihood", "nuisance"):
        assert getattr(whole, name).tobytes() == getattr(cut, name).tobytes()
    assert whole.pixels.uniq.tobytes() == cut.pixels.uniq.tobytes()


@dataclass(frozen=True)
class Falling:
    """A Gaussian whose fits fail: the first time at some pixels, always at others; it notes its starts."""

    once: frozenset[tuple[float, float]]
    always: frozenset[tuple[float, float]]
    starts: dict[tuple[float, float], list[float]] = field(default_factory=dict)
    best = ROUND.best
    first_starts = ROUND.first_starts

    def profile(self, ra, dec, starts):
        found = ROUND.profile(ra, dec, starts)
        value = found.minus_log_likelihood.copy()
        for k, where in enumerate(zip(ra.tolist(), dec.tolist(), strict=True)):
            self.starts.setdefault(where, []).append(float(starts[k, 0]))
            tried = len(self.starts[where])
            if where in self.always or (where in self.once and tried == 1):
                value[k] = np.nan
        return r.Profile(value, found.nuisance)


def test_a_failed_fit_is_tried_again_from_the_second_best_neighbour_then_counted():
    pixels = r.Pixels(np.full(768, 3), np.arange(768))
    ra, dec = pixels.directions
    inside = np.argsort(ROUND.profile(ra, dec, np.zeros((768, 1))).minus_log_likelihood)[:6]
    where = [(float(ra[k]), float(dec[k])) for k in inside]
    likelihood = Falling(frozenset(where[:1]), frozenset(where[5:6]))
    state = scanned(likelihood, r.Plan(r.WILKS, first=3, last=5))
    leaves = r.leaves_of(state)
    assert leaves.failed == 1
    assert np.isinf(leaves.ts).sum() == 1
    first, second = likelihood.starts[where[0]]
    uniq = pixels.uniq
    around = neighbours(uniq, pixels.take(inside[:1]))[0]
    values = np.sort(ROUND.profile(ra[around], dec[around], np.zeros((8, 1))).nuisance[:, 0])
    assert (first, second) == (0.0, pytest.approx(values[1]))
    region = r.contour(leaves, r.WILKS.ninety, 0.9)
    assert region.high - region.area == pytest.approx(leaves.pixels.area[np.isinf(leaves.ts)].sum())
    density = r.probability_density(leaves.ts, leaves.pixels.area, r.WILKS)
    assert density[np.isinf(leaves.ts)].tolist() == [0.0]


def test_a_budget_leaves_bounds_that_hold_the_area():
    fine = r.leaves_of(scanned(OVAL, r.Plan(r.WILKS, first=2, last=6)))
    truth = fine.pixels.area[fine.ts <= r.WILKS.ninety].sum()
    for most in (200, 300, 500):
        state = scanned(OVAL, r.Plan(r.WILKS, first=2, last=6, most=most))
        leaves = r.leaves_of(state)
        assert state.fitted <= most
        assert (state.ended, leaves.complete) == ("budget", False)
        found = r.contour(leaves, r.WILKS.ninety, 0.9)
        assert found.low <= truth <= found.high
        assert found.low <= found.area <= found.high


def test_a_steady_area_ends_the_scan():
    wide = replace(ROUND, wide=0.4, narrow=0.4)
    state = scanned(wide, r.Plan(r.WILKS, first=2, last=8, steady=0.05, most=20_000))
    assert state.ended == "steady"
    assert np.all(np.abs(np.diff(state.areas[-3:])) < 0.05 * state.areas[-1])
    assert state.fitted < 5000


def test_wide_contours_may_stay_coarse_inside_without_changing_their_area():
    wide = replace(ROUND, wide=0.25, narrow=0.25)
    every, some = (scanned(wide, r.Plan(r.WILKS, first=2, last=6, coarse_mass=m, most=20_000)) for m in (0.0, 2e-3))
    areas = [r.contour(r.leaves_of(one), r.WILKS.ninety, 0.9).area for one in (every, some)]
    assert some.fitted < 0.8 * every.fitted
    assert areas[1] == pytest.approx(areas[0], rel=2e-3)


def test_a_state_refuses_fits_of_other_pixels_and_plans_that_cannot_be():
    state = r.begin(ROUND, r.Plan(r.WILKS))
    with pytest.raises(InputError, match="192 pixels"):
        r.with_values(state, r.Profile(np.zeros(3), np.zeros((3, 1))))
    with pytest.raises(InputError, match="no round"):
        r.leaves_of(state)
    with pytest.raises(InputError, match=r"orders 5 to 3[\s\S]*margin is 9"):
        r.Plan(r.WILKS, first=5, last=3, margin=9.0)
    with pytest.raises(InputError, match="first round alone has 192"):
        r.Plan(r.WILKS, most=100)


# --- levels


def test_levels_are_order_statistics_and_cover_what_they_promise():
    rng = np.random.default_rng(5)
    assert r.critical_value(np.arange(1.0, 20.0), 0.9)[0] == 18.0  # the ceil(20 x 0.9)-th of 19
    shares = []
    for _ in range(400):
        ts = 1.7 * rng.chisquare(2, 100)
        levels = r.levels_from(ts, name="one", recipe="a law")
        new = 1.7 * rng.chisquare(2, 400)
        shares.append([r.coverage(new, c).share for c in (levels.half, levels.ninety)])
    assert np.mean(shares, axis=0) == pytest.approx([0.5, 0.9], abs=0.012)
    assert np.all(np.mean(shares, axis=0) > [0.495, 0.895])
    assert levels.ninety == pytest.approx(1.7 * r.WILKS.ninety, rel=0.5)
    spread = np.std([r.critical_value(1.7 * rng.chisquare(2, 400), 0.9)[0] for _ in range(200)])
    assert r.critical_value(1.7 * rng.chisquare(2, 400), 0.9)[1] == pytest.approx(spread, rel=0.5)
    for bad in (np.array([1.0, np.nan] * 20), np.ones(8)):
        with pytest.raises(InputError, match="events"):
            r.levels_from(bad, name="", recipe="")


def test_containment_is_exact_at_the_levels_and_the_chi_squared_law_for_wilks():
    ts = np.linspace(0.0, 30.0, 50)
    assert r.WILKS.containment(ts) == pytest.approx(1.0 - np.exp(-0.5 * ts), abs=1e-12)
    at = np.array([0.0, 22.2, 64.2])
    assert r.PUBLISHED.containment(at) == pytest.approx([0.0, 0.5, 0.9], abs=1e-12)
    with pytest.raises(InputError, match="rise"):
        r.Levels("wrong", 5.0, 4.0, "")


# --- the map of probability


@pytest.mark.parametrize("levels", [r.WILKS, r.PUBLISHED, r.Levels("narrow", 0.9, 7.0, "")])
def test_a_map_holds_its_levels_exactly_also_for_readers_that_sort_by_density(levels):
    leaves = r.leaves_of(scanned(OVAL, r.Plan(r.WILKS, first=2, last=6)))
    area, ts = leaves.pixels.area, leaves.ts
    density = r.probability_density(ts, area, levels)
    assert (density * area).sum() == pytest.approx(1.0, abs=1e-12)
    for critical, share in ((levels.half, 0.5), (levels.ninety, 0.9)):
        inside = ts <= critical
        assert (density * area)[inside].sum() == pytest.approx(share, abs=1e-12)
        assert density[inside].min() > density[~inside].max()
    assert (density >= 0.0).all()


def test_a_gaussian_map_is_the_gaussian():
    small = replace(ROUND, wide=0.04, narrow=0.04)
    leaves = r.leaves_of(scanned(small, r.Plan(r.WILKS, first=2, last=8)))
    density = r.probability_density(leaves.ts, leaves.pixels.area, r.WILKS)
    expected = np.exp(-0.5 * leaves.ts) / (2.0 * np.pi * small.wide**2)
    inside, near = leaves.ts <= r.WILKS.ninety, leaves.ts < 8.0  # beyond the contour leaves are coarse
    assert density[inside] == pytest.approx(expected[inside], rel=0.04)
    assert density[near] == pytest.approx(expected[near], rel=0.1)


@pytest.mark.parametrize(
    ("ts", "inner"),
    [([0.1, 0.2, 0.3], 1.0), ([0.1, 9.0, 40.0], 0.9), ([9.0, 12.0, np.inf], 0.0), ([3.0, 9.0, 9.0], 0.9)],
)
def test_maps_with_empty_bands_still_sum_to_one(ts, inner):
    area = np.full(3, 4.0 * np.pi / 3.0)
    density = r.probability_density(np.array(ts), area, r.WILKS)
    assert (density * area).sum() == pytest.approx(1.0, abs=1e-12)
    assert (density * area)[np.array(ts) <= r.WILKS.ninety].sum() == pytest.approx(inner, abs=1e-12)
    with pytest.raises(InputError, match="no leaf"):
        r.probability_density(np.full(3, np.inf), area, r.WILKS)


# --- contours


def disc(ra: float, dec: float, radius: float, *, without: float = 0.0, order: int = 5) -> r.Pixels:
    middle = hp.ang2vec(np.pi / 2 - dec, ra)
    index = set(hp.query_disc(2**order, middle, radius, nest=True))
    if without:
        index -= set(hp.query_disc(2**order, middle, without, nest=True))
    return r.Pixels(np.full(len(index), order), np.array(sorted(index)))


def enclosed(ring: np.ndarray) -> float:
    """Area with its sign, sr: positive where the ring runs counter-clockwise seen from inside, east to the left."""
    x, y = -ring[:, 0], np.sin(ring[:, 1])
    return float(0.5 * (x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


@pytest.mark.parametrize(
    ("region", "holes"),
    [
        (disc(1.0, 0.3, 0.2), 0),
        (disc(0.05, 0.3, 0.2), 0),  # across right ascension 0
        (disc(2.0, 1.2, 0.2), 0),
        (disc(0.1, 0.2, 0.4, without=0.2), 2),  # its hole is cut too
        (disc(3.0, 1.5, 0.3), 0),  # a pole inside
        (disc(3.0, -1.5, 0.3), 0),
        (disc(1.0, np.pi / 2, 0.5, without=0.3), 2),  # about the pole
        (disc(0.0, 0.0, 2.5), 1),  # all but a cap
        (disc(1.0, 0.0, 3.2), 0),  # the whole sky
    ],
)
def test_rings_enclose_the_region_counter_clockwise_and_are_cut_at_zero(region, holes):
    rings = rings_of(region)
    areas = [enclosed(ring) for ring in rings]
    # Edges of pixels are not straight lines near the poles: there an area is good to a pixel.
    assert sum(areas) == pytest.approx(region.area.sum(), abs=1.01 * region.area[0])
    assert sum(area < 0.0 for area in areas) == holes
    for ring in rings:
        assert np.array_equal(ring[0], ring[-1])
        assert ring[:, 0].min() >= 0.0
        assert ring[:, 0].max() <= 2.0 * np.pi
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0.0, 2.0 * np.pi, 40_000), np.arcsin(rng.uniform(-1.0, 1.0, 40_000))
    held = sum(np.sign(a) * Outline(g).contains_points(np.c_[ra, dec]) for a, g in zip(areas, rings, strict=True)) > 0
    inside = np.isin(hp.ang2pix(32, np.pi / 2 - dec, ra, nest=True), region.index)
    assert (held != inside).mean() < 3e-4  # what lies between edges of pixels and straight lines


def test_pixels_of_several_orders_have_one_ring_and_touching_corners_two():
    mixed = r.Pixels(np.array([4, 5, 5, 5, 5]), np.array([1174, 4700, 4701, 4702, 4703]))  # 1175 of order 4, in four
    (ring,) = rings_of(mixed)
    assert enclosed(ring) == pytest.approx(mixed.area.sum(), rel=1e-9)
    assert len(ring) == 13  # 12 edges of order 5
    corner = r.Pixels(np.array([5, 5]), np.array([400, 403]))  # opposite children of a pixel
    assert len(rings_of(corner)) == 2


def test_boxes_wrap_at_zero_and_are_undefined_at_a_pole():
    box = box_of(disc(0.05, 0.3, 0.2), 0.05, 0.3)
    assert (box.right_ascension_plus, box.right_ascension_minus) == pytest.approx((0.2, 0.2), abs=0.02)
    assert (box.declination_plus, box.declination_minus) == pytest.approx((0.19, 0.19), abs=0.02)
    aside = box_of(disc(6.2, 0.0, 0.1), 0.2, 0.0)  # all of it west of the best position
    assert aside.right_ascension_plus == 0.0
    assert aside.right_ascension_minus == pytest.approx(0.2 + 2 * np.pi - 6.1, abs=0.03)
    for where in (disc(3.0, 1.5, 0.3), disc(1.0, np.pi / 2, 0.5, without=0.3)):
        assert box_of(where, 1.0, 1.5) is None


def test_ellipse_and_circle_of_a_gaussian():
    leaves = r.leaves_of(scanned(OVAL, r.Plan(r.WILKS, first=2, last=7)))
    found = r.contour(leaves, r.WILKS.ninety, 0.9)
    root = np.sqrt(r.WILKS.ninety)
    assert found.ellipse.major == pytest.approx(OVAL.wide * root, rel=0.03)
    assert found.ellipse.minor == pytest.approx(OVAL.narrow * root, rel=0.03)
    assert found.ellipse.position_angle == pytest.approx(OVAL.position_angle, abs=0.03)
    east = np.hypot(OVAL.wide * np.sin(0.7), OVAL.narrow * np.cos(0.7)) * root
    north = np.hypot(OVAL.wide * np.cos(0.7), OVAL.narrow * np.sin(0.7)) * root
    assert found.radius == pytest.approx(np.sqrt(east * north), rel=0.05)
    assert np.pi * found.ellipse.major * found.ellipse.minor == pytest.approx(found.area, rel=1e-9)


def test_a_contour_too_small_for_its_pixels_is_the_best_leaf():
    leaves = r.leaves_of(scanned(ROUND, r.Plan(r.WILKS, first=2, last=3)))
    found = r.contour(leaves, 1e-9, 0.5)
    assert len(found.pixels) == 1
    assert found.box.right_ascension_plus < np.radians(8.0)
    with pytest.raises(InputError, match="above 0"):
        r.contour(leaves, 0.0, 0.5)
