"""Light in ice: photon walks against a slow twin and closed forms, the table against walks, look-ups against both."""

import numpy as np
import pytest

from nuanalysis.detector import (
    CENTRE_DEPTH,
    HOLE_ICE,
    HOLE_ICE_OLDER,
    LIGHT_SPEED,
    MODULE_AREA,
    Ice,
    PhotonSums,
    acceptance,
    cherenkov_angle,
    delay_quantile,
    expected_charge,
    fluence,
    group_index,
    ice_from_table,
    ice_grid,
    kernel_table,
    light_table,
    pairs,
    pandel,
    phase_index,
    probabilities,
    simulate_photons,
    tail_slope,
)
from nuanalysis.detector import _photon_kernels as walk
from nuanalysis.detector._photons import _log_fluence, cosine_edges, delay_edges, radius_edges
from nuanalysis.detector._random_kernels import stream_key, uniform
from nuanalysis.detector._table_kernels import path_average
from nuanalysis.errors import DataError, InputError
from nuanalysis.store import read_object, write_object

PHOTONS = 200_000
SCATTERING, ABSORPTION = 25.0, 75.0  # m, of the ice in which look-ups are checked


def sums_of(seed, n, cone, ice):
    path = np.zeros((walk.RADII, walk.COSINES, walk.DELAYS), np.int64)
    moment = np.zeros_like(path)
    total = walk.walk_photons(seed, 0, n, cone, ice, path, moment)
    return PhotonSums(cone, seed, n, path, moment, int(total))


@pytest.fixture(scope="module")
def both():
    return simulate_photons(1, 0, PHOTONS, cone=False), simulate_photons(1, 0, PHOTONS, cone=True)


@pytest.fixture(scope="module")
def table(both):
    return light_table(*both)


@pytest.fixture(scope="module")
def even():
    """Homogeneous ice."""
    height = np.array([-500.0, 500.0])
    return ice_grid(Ice("even", "test", height, np.full(2, SCATTERING), np.full(2, ABSORPTION)))


def length_of(sums):
    return sums.path * walk.UNIT / sums.photons


# --- the walk ---------------------------------------------------------------------------------------------------------


def slow_walk(number):
    """One photon, the obvious way: its points, motions, travelled lengths and steps."""
    key = np.uint64(stream_key(1, 0, number))
    draw = iter(float(uniform(key, i)) for i in range(100_000))
    u, v = next(draw), next(draw)
    off = 1.0 - (-np.log(1.0 - u * (1.0 - np.exp(-2.61 * 2.0**0.39))) / 2.61) ** (1.0 / 0.39)
    cone = np.arccos(1.0 / 1.3194)
    z = off * np.cos(cone) + np.sqrt(1.0 - off**2) * np.sin(cone) * np.cos(2.0 * np.pi * v)
    motion, place, travelled = np.array([np.sqrt(1.0 - z**2), 0.0, z]), np.zeros(3), 0.0
    end, scored = -6.0 * np.log(1.0 - next(draw)), []
    while travelled < end:
        step = min(-0.1 * np.log(1.0 - next(draw)), end - travelled)
        at = next(draw) * step
        scored.append((place + at * motion, motion, travelled + at, step))
        place, travelled = place + step * motion, travelled + step
        choice, u, turn = next(draw), next(draw), 2.0 * np.pi * next(draw)
        liu, henyey = 2.0 * u ** (0.1 / 1.9) - 1.0, (1.0 + 0.81 - (0.19 / (0.1 + 1.8 * u)) ** 2) / 1.8
        cosine = liu if choice < 0.35 else henyey
        across = np.cross([0.0, 0.0, 1.0], motion)
        across /= np.linalg.norm(across)
        side = np.cross(across, motion)
        motion = cosine * motion + np.sqrt(1.0 - cosine**2) * (np.cos(turn) * side + np.sin(turn) * across)
    return scored, end


def test_walk_is_its_slow_twin():
    fast = simulate_photons(1, 0, 60, cone=False)
    walks = [slow_walk(number) for number in range(60)]
    place, motion, travelled, step = (np.array(x) for x in zip(*[s for w, _ in walks for s in w], strict=True))
    r = np.linalg.norm(place, axis=1)
    point = np.column_stack([r, place[:, 2] / r, travelled - r + 1e-12])
    edges = (radius_edges(), cosine_edges(), delay_edges())
    path, _ = np.histogramdd(point, edges, weights=step)
    moment, _ = np.histogramdd(point, edges, weights=step * (motion * place).sum(axis=1) / r)
    assert fast.total * walk.UNIT == pytest.approx(sum(end for _, end in walks), rel=1e-9)
    assert path.sum() > 0.9 * fast.total * walk.UNIT
    np.testing.assert_allclose(fast.path * walk.UNIT, path, atol=1e-6)
    np.testing.assert_allclose(fast.moment * walk.UNIT, moment, atol=1e-6)


def test_batches_add_up_to_one_run_bit_for_bit():
    one = simulate_photons(7, 0, 3000, cone=True)
    parts = [simulate_photons(7, *between, cone=True) for between in ((2000, 3000), (0, 1), (1, 2000))]
    added = parts[0] + parts[1] + parts[2]
    assert (added.photons, added.total) == (one.photons, one.total)
    assert np.array_equal(added.path, one.path)
    assert np.array_equal(added.moment, one.moment)
    assert not np.array_equal(simulate_photons(8, 0, 3000, cone=True).path, one.path)


def test_photons_travel_an_absorption_length_on_average(both):
    for sums in both:
        assert sums.total * walk.UNIT / PHOTONS / 6.0 == pytest.approx(1.0, abs=4.0 / np.sqrt(PHOTONS))
        # 1.7 per cent of it lies within 0.1 of the source and 0.1 per cent beyond 25
        assert length_of(sums).sum() / 6.0 == pytest.approx(0.982, abs=4.0 / np.sqrt(PHOTONS))


def test_scatterings_have_the_mean_cosine_of_the_effective_length():
    u = np.random.default_rng(4).random((2, 50_000))
    cosine = np.array([walk.scattered_cosine(*one) for one in u.T])
    assert cosine.mean() == pytest.approx(0.9, abs=5.0 * cosine.std() / np.sqrt(50_000))


def test_light_falls_far_away_as_transport_theory_says(both):
    assert tail_slope(6.0) == pytest.approx(np.sqrt(3.0 / 6.0 * 7.0 / 6.0), rel=0.04)
    assert (tail_slope([1e4, 1e5]) * np.sqrt([1e4 / 3.0, 1e5 / 3.0])) == pytest.approx(1.0, abs=1e-4)  # diffusion
    r = np.sqrt(radius_edges()[1:] * radius_edges()[:-1])
    for sums in both:
        light = length_of(sums).sum(axis=(1, 2)) / np.diff(radius_edges()) / r  # r times the fluence
        far = (r > 4.0) & (r < 11.0)
        slope = -np.polyfit(r[far], np.log(light[far]), 1)[0]
        assert slope == pytest.approx(float(tail_slope(6.0)), rel=0.025)


def test_without_scattering_light_is_absorbed_and_thinned_out_alone():
    straight = [sums_of(3, 2_000_000, cone, (1e12, 6.0)) for cone in (False, True)]
    made = light_table(*straight)
    width = np.diff(cosine_edges())
    near = np.arange(48) < 40  # to 10 lengths
    for of, ratio in ((7, 6.0), (1, 2.0)):  # as it was made, and with absorption put in again
        mean = (np.exp(made.log_fluence[0, of].astype(float)) * width).sum(axis=1) / 2.0
        expected = np.exp(-made.radius / ratio) / (4.0 * np.pi * made.radius**2)
        groups = (mean / expected)[near].reshape(-1, 10).mean(axis=1)  # 7,000 photons in a bin
        assert groups == pytest.approx(1.0, abs=0.01)
    assert straight[0].path[:, :, 1:].sum() == 0  # nothing is late
    assert made.direction[0, :, near].min() > 0.999
    lit = straight[1].path.sum(axis=(0, 2)) > 0
    assert np.flatnonzero(lit).tolist() == [walk.cosine_bin(np.cos(cherenkov_angle()))]


# --- the table --------------------------------------------------------------------------------------------------------


def test_light_near_the_source(table):
    """Scattered light lingers: a little above 1/(4 pi r^2).  The cone stands at arccos(1/n)."""
    width = np.diff(cosine_edges())
    for emission in (0, 1):
        mean = (np.exp(table.log_fluence[emission, -1].astype(float)) * width).sum(axis=1) / 2.0
        assert 4.0 * np.pi * table.radius[0] ** 2 * mean[0] == pytest.approx(1.05, abs=0.02)
        near = table.radius < 0.3
        peak = table.cosine[table.log_fluence[emission, :, near].argmax(axis=-1)]
        assert np.abs(peak - np.cos(cherenkov_angle())).max() < 1.0 / 16.0


@pytest.mark.parametrize("slope", [0.74, 0.9])
def test_wide_bins_give_the_light_at_their_middles(slope):
    """Light of exp(-slope r)/r, integrated over each bin by hand; the widest bins are 2.6 lengths."""
    edges, r = radius_edges(), np.sqrt(radius_edges()[1:] * radius_edges()[:-1])
    inside = -(1.0 + slope * edges) * np.exp(-slope * edges) / slope**2  # of r exp(-slope r)
    length = 2.0 * np.pi * np.diff(inside)[:, None] * np.diff(cosine_edges())
    found = _log_fluence(length, lambda values: values)[:, 0]
    assert found == pytest.approx(-slope * r - np.log(r), abs=0.01)
    plain = np.log(length[:, 0] / (2.0 * np.pi * np.diff(cosine_edges())[0] * np.diff(edges))) - 2.0 * np.log(r)
    assert np.abs(plain - found).max() > 0.1  # what the mean over a bin would be off by


def test_the_angle_survives_many_scatterings(table):
    forward = np.exp(table.log_fluence[0, -1, :, -1] - table.log_fluence[0, -1, :, 0])
    assert np.interp([0.11, 1.0, 4.0, 8.0], table.radius, forward) == pytest.approx([19.0, 5.7, 2.9, 2.5], rel=0.2)


def test_a_table_is_whole_ordered_small_and_survives_a_file(table, tmp_path):
    assert table.log_fluence.shape == (2, 8, 48, 36)
    assert table.delay.shape == (2, 8, 48, 36, 33)
    assert all(np.isfinite(one).all() for one in (table.log_fluence, table.direction, table.delay))
    assert (np.diff(table.delay, axis=-1) >= 0.0).all()
    assert (np.diff(table.log_fluence, axis=1) > 0.0).all()  # less absorption, more light
    assert (np.diff(table.delay[..., 16], axis=1) > -1e-3).all()  # and later
    write_object(tmp_path / "table.npz", table)
    assert (tmp_path / "table.npz").stat().st_size < 4e6
    again = read_object(tmp_path / "table.npz")
    assert np.array_equal(again.delay, table.delay)
    assert (again.photons, again.seed) == (PHOTONS, 1)


def test_sums_that_do_not_belong_together_are_refused(both):
    with pytest.raises(InputError, match="one emission and seed"):
        both[0] + both[1]
    with pytest.raises(InputError, match="broad emission, then"):
        light_table(both[1], both[0])
    with pytest.raises(InputError, match="needs 10,000"):
        light_table(simulate_photons(1, 0, 10, cone=False), both[1])
    with pytest.raises(InputError, match="first <= last"):
        simulate_photons(1, 5, 2, cone=False)


# --- look-up ----------------------------------------------------------------------------------------------------------


def level(distance, cosine, cone):
    """Pairs at one height, the module at (distance, 0, 0), the axis at that cosine to the line."""
    distance, cosine = np.broadcast_arrays(np.asarray(distance, float), np.asarray(cosine, float))
    n = len(distance)
    axis = np.column_stack([cosine, np.sqrt(1.0 - cosine**2), np.zeros(n)])
    return pairs(np.zeros((n, 3)), axis, np.column_stack([distance, np.zeros((n, 2))]), cone=cone)


@pytest.mark.parametrize("cone", [False, True])
def test_look_up_is_a_walk_in_ice_of_another_absorption(table, even, cone):
    """Fluence, direction and median delay of photons that really are absorbed at 3 lengths, in coarse cells.

    The walks are those of the table, ended earlier: so most of the statistical error is common to both.
    """
    direct, looked = sums_of(1, PHOTONS, cone, (0.1, 3.0)), kernel_table(table)
    edges, middle = radius_edges(), cosine_edges()
    r, c = np.sqrt(edges[1:] * edges[:-1]), 0.5 * (middle[1:] + middle[:-1])
    cells = [pair.ravel() for pair in np.meshgrid(r, c, indexing="ij")]
    of = level(cells[0] * SCATTERING, cells[1], cone)
    seen, along = (one.reshape(len(r), len(c)) for one in fluence(looked, even, of))
    volume = 2.0 * np.pi * (np.diff(edges) * r**2)[:, None] * np.diff(middle)
    expected = seen * SCATTERING**2 * volume
    length, moment = length_of(direct), direct.moment * walk.UNIT / PHOTONS
    for first, last, error in ((4, 8, 0.02), (20, 24, 0.02), (28, 32, 0.03), (34, 37, 0.06)):
        for part in (slice(0, 8), slice(8, 20), slice(20, 36)):
            inside = (slice(first, last), part)
            assert expected[inside].sum() == pytest.approx(length[inside].sum(), rel=error)
            mean = (along * expected)[inside].sum() / expected[inside].sum()
            assert mean == pytest.approx(moment[inside].sum() / length[inside].sum(), abs=0.02)
    median = delay_quantile(looked, even, level(r[20:34] * SCATTERING, np.full(14, c[10]), cone), np.full(14, 0.5))
    late = length[20:34, 8:13].sum(axis=1)
    share = np.cumsum(late, axis=1) / late.sum(axis=1)[:, None]
    found = [np.interp(0.5, row, delay_edges()[1:]) for row in share]
    assert median * LIGHT_SPEED / SCATTERING == pytest.approx(np.array(found), rel=0.08)


def test_outside_of_the_table_light_goes_on(table, even):
    looked = kernel_table(table)
    r = np.array([0.02, 0.04, 0.08, 0.1, 23.0, 23.6, 24.0, 40.0, 60.0])
    light, _ = fluence(looked, even, level(r * SCATTERING, np.full(9, 0.9), False))
    assert light[:4] * r[:4] ** 2 == pytest.approx(light[3] * r[3] ** 2)
    assert np.log(light[7] * r[7] / (light[8] * r[8])) == pytest.approx(20.0 * float(tail_slope(3.0)), rel=1e-3)
    assert (np.diff(np.log(light[4:7] * r[4:7])) / np.diff(r[4:7])) == pytest.approx(-float(tail_slope(3.0)), rel=0.1)
    inside_module, _ = fluence(looked, even, level([0.05, 0.1651], [0.9, 0.9], False))
    assert inside_module[0] == pytest.approx(inside_module[1])


def test_ice_whose_ratio_is_not_in_the_table(table):
    """Beyond its ends light changes as straight light does, between its entries smoothly."""
    looked = kernel_table(table)
    light = []
    for ratio in (1.4, 1.5, 2.9, 3.0, 3.1, 6.0, 7.0):
        ice = ice_grid(Ice("", "", np.array([-9.0, 9.0]), np.full(2, 20.0), np.full(2, 20.0 * ratio)))
        light.append(np.log(fluence(looked, ice, level([60.0], [0.0], False))[0][0]))
    assert light[1] - light[0] == pytest.approx(3.0 * (1 / 1.4 - 1 / 1.5), rel=1e-3)
    assert light[6] - light[5] == pytest.approx(3.0 * (1 / 6.0 - 1 / 7.0), rel=1e-3)
    assert light[3] == pytest.approx(0.5 * (light[2] + light[4]), abs=4e-3)  # as curved as it is


def test_delays_at_the_tables_own_probabilities(table, even):
    u = probabilities()
    r, c = table.radius[24], table.cosine[20]
    of = level(np.full(33, r * SCATTERING), np.full(33, c), False)
    delays = delay_quantile(kernel_table(table), even, of, u)
    stored = table.delay[0, 3, 24, 20] * SCATTERING / LIGHT_SPEED  # ratio 3
    assert delays == pytest.approx(stored, rel=1e-4)
    between = delay_quantile(kernel_table(table), even, of, np.append(0.5 * (u[1:] + u[:-1]), 0.5))
    assert between[:-1] == pytest.approx(0.5 * (stored[1:] + stored[:-1]), rel=1e-3)
    with pytest.raises(InputError, match="from 0 to 1"):
        delay_quantile(kernel_table(table), even, of, u - 0.5)


def test_delays_grow_with_distance_as_those_of_the_pandel_function(table, even):
    """A gamma law of shape distance / length: (mean)^2/variance of delays grows in proportion to the distance."""
    t = np.linspace(0.5, 20_000.0, 20_000)
    density = pandel(t, np.array(100.0))
    mean = (density * t).sum()
    assert density.sum() * (t[1] - t[0]) == pytest.approx(1.0, abs=2e-3)
    rate = 1.0 / 557.0 + LIGHT_SPEED / 98.0
    assert mean * (t[1] - t[0]) == pytest.approx(100.0 / 33.3 / rate, rel=2e-3)
    u = (np.arange(400) + 0.5) / 400.0
    distance = np.array([2.0, 4.0, 6.0, 8.0, 10.0]) * SCATTERING
    shape = []
    for one in distance:
        late = delay_quantile(kernel_table(table), even, level(np.full(400, one), np.zeros(400), False), u)
        shape.append(late.mean() ** 2 / late.var())
    line = np.polyfit(distance, shape, 1)
    assert np.abs(np.polyval(line, distance) / shape - 1.0).max() < 0.1
    assert abs(line[1]) < 0.25  # in proportion: against 0.9 to 4.5


# --- ice and modules --------------------------------------------------------------------------------------------------


def test_refraction_is_that_of_the_papers():
    assert phase_index(400.0) == pytest.approx(1.3194, abs=5e-5)
    assert group_index(400.0) == pytest.approx(1.3561, abs=5e-5)
    assert pytest.approx(0.22107, abs=5e-6) == LIGHT_SPEED
    assert np.degrees(cherenkov_angle()) == pytest.approx(40.7, abs=0.05)
    assert pytest.approx(np.cos(cherenkov_angle()), abs=5e-5) == walk.COS_CHERENKOV
    # the group index follows from the phase index: n - wavelength dn/d(wavelength)
    slope = (phase_index(401.0) - phase_index(399.0)) / 2.0
    assert group_index(400.0) == pytest.approx(phase_index(400.0) - 400.0 * slope, rel=5e-3)


def layered():
    depth = np.arange(1400.0, 2490.0, 10.0)
    scattering = 25.0 + 15.0 * np.sin(depth / 47.0)
    return ice_from_table("made up", "test", depth=depth, scattering=scattering, absorption=3.3 * scattering)


def test_path_averages_are_integrals_over_the_layers():
    ice = layered()
    grid = ice_grid(ice)
    z = np.linspace(-800.0, 700.0, 1_500_001)
    local = np.interp(z, ice.height, 1.0 / ice.scattering)
    for low, high in ((-137.0, 300.0), (12.0, 24.0), (-799.0, 699.0)):
        inside = (z >= low) & (z <= high)
        scattering, absorption = path_average(grid, low, high)
        assert scattering == pytest.approx(local[inside].mean(), rel=3e-3)
        assert absorption == pytest.approx(scattering / 3.3)
        assert path_average(grid, high, low) == pytest.approx((scattering, absorption))
    assert path_average(grid, 40.0, 40.0)[0] == pytest.approx(
        np.interp(40.0, ice.height, 1.0 / ice.scattering), rel=0.01
    )
    assert path_average(grid, 2000.0, 3000.0)[0] == pytest.approx(1.0 / ice.scattering[-1])
    assert path_average(grid, -2000.0, -1500.0)[0] == pytest.approx(1.0 / ice.scattering[0])


def test_layers_come_sorted_and_what_is_no_ice_is_refused():
    ice = layered()
    assert (np.diff(ice.height) > 0.0).all()
    assert ice.height[-1] == pytest.approx(CENTRE_DEPTH - 1400.0)
    depth = np.array([1500.0, 1600.0])
    for scattering, absorption, depths, word in (
        ([2.5, 2.5], [90.0, 90.0], depth, "effective"),
        ([25.0, -1.0], [90.0, 90.0], depth, "scattering lengths"),
        ([25.0, 25.0], [90.0, np.nan], depth, "absorption lengths"),
        ([25.0, 25.0], [90.0, 90.0], np.array([1500.0, 1500.0]), "each at its own"),
        ([25.0, 25.0], [90.0, 90.0], np.array([-500.0, 500.0]), "3,000 m deep"),
        ([25.0], [90.0, 90.0], depth, "differ"),
    ):
        with pytest.raises(DataError, match=word):
            ice_from_table("x", "", depth=depths, scattering=np.array(scattering), absorption=np.array(absorption))


def test_modules_look_down_and_accept_a_third_on_average():
    x = np.linspace(-1.0, 1.0, 20_001)
    for law in (HOLE_ICE, HOLE_ICE_OLDER):
        assert acceptance([-1.0, 1.0], 1.0, law) == pytest.approx([0.0, 0.68], abs=1e-12)
        assert acceptance(x, 1.0, law).mean() == pytest.approx(0.34, abs=1e-3)
    assert np.abs(acceptance(x) - acceptance(x, 1.0, HOLE_ICE_OLDER)).max() == pytest.approx(0.0119, abs=5e-5)


def test_acceptance_is_the_mean_over_a_henyey_greenstein_law_about_the_line():
    """By brute force: directions drawn at a mean cosine about a line, the polynomial of their cosine to up averaged."""
    cosine, turn = np.meshgrid(
        np.polynomial.legendre.leggauss(200)[0], np.pi * (np.arange(64) + 0.5) / 32, indexing="ij"
    )
    weight = np.polynomial.legendre.leggauss(200)[1][:, None]
    for along, up in ((0.3, 1.0), (0.6, 0.5), (0.5, -0.9), (0.0, 0.7), (-0.2, 0.8)):
        law = 0.5 * (1.0 - along**2) / (1.0 + along**2 - 2.0 * along * cosine) ** 1.5
        x = cosine * up + np.sqrt((1.0 - cosine**2) * (1.0 - up**2)) * np.cos(turn)
        seen = 0.34 + 0.16 * x + 0.88 * x**3 - 1.05 * x**5 + 0.35 * x**7
        assert float(acceptance(up, along)) == pytest.approx((weight * law * seen).sum() / 64.0, rel=1e-9)


def test_expected_charge_by_hand(table, even):
    """100 m straight above and below a cascade that goes up: light that moves up is seen best."""
    module = np.array([[0.0, 0.0, 100.0], [0.0, 0.0, -100.0]])
    of = pairs(np.zeros((2, 3)), np.tile([0.0, 0.0, 1.0], (2, 1)), module, cone=False)
    light, along = fluence(kernel_table(table), even, of)
    charge = expected_charge(kernel_table(table), even, of, np.full(2, 1e8), efficiency=1.35)
    accepted = acceptance([1.0, -1.0], along)
    assert charge == pytest.approx(1e8 * light * np.pi * 0.1651**2 * accepted * 1.35)
    assert charge[0] > 3.0 * charge[1]
    assert pytest.approx(0.0856, abs=5e-5) == MODULE_AREA


def test_pairs_of_unequal_columns_are_refused():
    with pytest.raises(InputError, match="each pair has a row"):
        pairs(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((3, 3)), cone=False)
