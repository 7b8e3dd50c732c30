"""Two shortcuts of the light in ice against walks of photons that do without them.

Layers: the table is of homogeneous ice, and a pair of source and module takes path averages along the straight line.
The walks scatter in each layer of the published ice as it is (SPICE Mie, arXiv:1301.5361, p. 31).  They need not
agree: the difference is the error of the shortcut, and what is held is that it stays what was measured when it was
taken (docs/decisions/0030-light-in-ice.md).  Walks of 1e5 photons know a ring to 5 per cent where 1,000 pass.

Direction: a module's acceptance is averaged over a Henyey-Greenstein law about the line of sight, of the table's mean
cosine.  The walks take each step's own direction.  Averaged over azimuth they must agree to 2 per cent.
"""

import numpy as np
import pandas as pd
import pytest
from light_walks import walk_directions, walk_layers

from nuanalysis.detector import (
    HOLE_ICE,
    acceptance,
    fluence,
    ice_from_table,
    ice_grid,
    kernel_table,
    light_table,
    pairs,
    simulate_photons,
)

PHOTONS = 100_000
DUST = (-142.0, -32.0)  # heights of the layer, m
FLAT = np.array([20.0, 60.0, 125.0])  # m, distances from the vertical
HEIGHTS = np.array([-300.0, -220.0, -170.0, -120.0, -87.0, -50.0, 0.0, 80.0])


@pytest.fixture(scope="module")
def table():
    return kernel_table(light_table(*(simulate_photons(1, 0, 1_000_000, cone=cone) for cone in (False, True))))


@pytest.fixture(scope="module")
def grid(mirror):
    ice = pd.read_parquet(mirror / "icecube_geometry_ice" / "graphnet_ice_transparency.parquet")
    lengths = {"scattering": ice["scattering_len"].to_numpy(), "absorption": ice["absorption_len"].to_numpy()}
    return ice_grid(ice_from_table("SPICE Mie", "arXiv:1301.5361", depth=ice["depth"].to_numpy(), **lengths))


def mean_fluence(table, grid, height, axis, ring, band):
    """Fluence of the table averaged over one ring."""
    flat, z = (one.ravel() for one in np.meshgrid(np.linspace(*ring, 7), np.linspace(*band, 7)))
    module = np.column_stack([flat, 0.0 * flat, z])
    source, up = np.tile([0.0, 0.0, height], (49, 1)), np.tile([0.0, 0.0, axis], (49, 1))
    return np.average(fluence(table, grid, pairs(source, up, module, cone=False))[0], weights=flat)


def compared(table, grid):
    """Rows of source height, module height, distance from the vertical, photons that passed, table over walk."""
    layers = (grid.bottom, grid.step, np.diff(grid.scattering) / grid.step, np.diff(grid.absorption) / grid.step)
    rings, bands = np.column_stack([0.9 * FLAT, 1.1 * FLAT]), np.column_stack([HEIGHTS - 6.0, HEIGHTS + 6.0])
    rows = []
    for height in (60.0, -20.0, -87.0, -160.0, -250.0):
        for axis in (1.0, -1.0):
            seen = np.zeros((len(FLAT), len(HEIGHTS)))
            walk_layers((1, 0, PHOTONS), height, axis, layers, (rings, bands), seen)
            for i, j in np.ndindex(seen.shape):
                passed = seen[i, j] * np.pi * 0.4 * FLAT[i] ** 2 * 12.0 * PHOTONS / 10.0  # each with 10 m in a ring
                light = mean_fluence(table, grid, height, axis, rings[i], bands[j])
                rows.append((height, HEIGHTS[j], FLAT[i], passed, light / max(seen[i, j], 1e-300)))
    return np.array(rows)


def test_path_averages_of_layers(table, grid):
    rows = compared(table, grid)
    rows = rows[rows[:, 3] > 1000.0]
    low, high = rows[:, :2].min(axis=1), rows[:, :2].max(axis=1)
    in_dust = np.clip(np.minimum(high, DUST[1]) - np.maximum(low, DUST[0]), 0.0, None) > 0.0
    wrong = np.log(rows[:, 4])
    for name, of in (("clear", ~in_dust), ("through dust", in_dust)):
        for flat in FLAT:
            here = wrong[of & (rows[:, 2] == flat)]
            if len(here):
                low, middle, high = np.exp(np.quantile(here, [0.0, 0.5, 1.0]))
                print(f"{name}, {flat:g} m, {len(here)} pairs: {low:.2f} to {high:.2f}, median {middle:.2f}")
    assert np.abs(np.median(wrong[~in_dust])) < 0.05
    assert np.sqrt(np.mean(wrong[~in_dust] ** 2)) < 0.25


def test_acceptance_of_diffuse_light():
    radii = np.array([(0.8, 1.2), (1.8, 2.2), (3.6, 4.4), (7.0, 9.0)])
    cosines = np.array([(-1.0, -0.5), (-0.5, 0.5), (0.5, 0.9)])
    up = np.cos(np.radians([0.0, 45.0, 70.0, 90.0, 110.0, 135.0, 180.0]))
    turn = np.array([0.0, 0.5, 1.0, 1.5]) * np.pi
    ups = np.array([(one, other) for one in up for other in turn])
    for cone in (False, True):
        out = np.zeros((4, 3, len(ups) + 2))
        walk_directions((1, 0, PHOTONS), cone, (0.1, 3.4), (radii, cosines), (HOLE_ICE, ups), out)
        seen = out[..., :-2].reshape(4, 3, len(up), 4) / out[..., -2, None, None]
        along = (out[..., -1] / out[..., -2])[..., None]
        even = seen.mean(axis=3)
        shortcut = acceptance(np.broadcast_to(up, even.shape), along)
        straight = acceptance(along * up)
        azimuth = np.abs(seen / even[..., None] - 1.0).max(axis=(1, 2, 3))
        print(f"cone {cone}: off by up to {np.abs(shortcut / even - 1.0).max():.3f}; polynomial of the mean direction")
        print(f"{(straight / even - 1.0).min():.2f} to {(straight / even - 1.0).max():.2f}; azimuth {azimuth.round(2)}")
        assert shortcut == pytest.approx(even, rel=0.02)
