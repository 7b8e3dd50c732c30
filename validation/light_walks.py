"""Walks of photons that keep what the table of light gives up: layers of the ice, and the direction of arrival."""

import math

import numba as nb
import numpy as np

from nuanalysis.detector._photon_kernels import emitted_cosine, scattered_cosine, turned
from nuanalysis.detector._random_kernels import stream_key, uniform


@nb.njit(error_model="numpy")
def layer_of(z, bottom, step, n):
    return min(max(int((z - bottom) / step), 0), n - 1)


@nb.njit(error_model="numpy")
def walk_layers(numbers, start, axis, layers, rings, out):
    """Fluence about the vertical through a source at height ``start``, per photon, into out (ring, height) 1/m2.

    numbers : seed, first and last photon.  axis : +1 or -1, the source shines up or down.  layers : bottom, step,
    and (layer,) 1/effective scattering length and 1/absorption length, 1/m.  rings : edges (ring, 2) of distances
    from the vertical and (height, 2) of heights, m.  Scatterings are drawn where the ice scatters most and refused in
    proportion (Woodcock); absorption is a weight, with one in ten kept below a hundredth.
    """
    seed, first, last = numbers
    bottom, height, scattering, absorption = layers
    across, up = rings
    most = 10.0 * scattering.max()
    for number in range(first, last):
        key = stream_key(seed, 11, number)
        dz = emitted_cosine(False, uniform(key, 0), uniform(key, 1))
        dx, dy, dz = math.sqrt(1.0 - dz * dz), 0.0, axis * dz
        x, y, z, weight, k = 0.0, 0.0, start, 1.0, 2
        while weight > 0.0:
            step = -math.log(1.0 - uniform(key, k)) / most
            s = step * uniform(key, k + 1)
            px, py, pz = x + s * dx, y + s * dy, z + s * dz
            lost = absorption[layer_of(pz, bottom, height, absorption.shape[0])]
            r = math.sqrt(px * px + py * py)
            for i in range(across.shape[0]):
                if across[i, 0] <= r < across[i, 1]:
                    for j in range(up.shape[0]):
                        if up[j, 0] <= pz < up[j, 1]:
                            out[i, j] += weight * math.exp(-lost * s) * step
            weight *= math.exp(-lost * step)
            x, y, z = x + step * dx, y + step * dy, z + step * dz
            here = 10.0 * scattering[layer_of(z, bottom, height, scattering.shape[0])]
            if uniform(key, k + 2) * most < here:
                cosine = scattered_cosine(uniform(key, k + 3), uniform(key, k + 4))
                dx, dy, dz = turned(dx, dy, dz, cosine, 2.0 * math.pi * uniform(key, k + 5))
            if weight < 0.01:
                weight = 10.0 * weight if uniform(key, k + 6) < 0.1 else 0.0
            k += 7
    for i in range(across.shape[0]):
        for j in range(up.shape[0]):
            volume = math.pi * (across[i, 1] ** 2 - across[i, 0] ** 2) * (up[j, 1] - up[j, 0])
            out[i, j] /= volume * (last - first)


@nb.njit(error_model="numpy")
def polynomial(c, x):
    return c[0] + c[1] * x + c[2] * x**3 + c[3] * x**5 + c[4] * x**7


@nb.njit(error_model="numpy")
def walk_directions(numbers, cone, ice, cells, ups, out):
    """What a module accepts of each cell, from the direction of every step, into out (r, cos, up + 2).

    cells : edges (r, 2) and (cos, 2).  ups : coefficients of the acceptance, and of each direction called up the
    cosine to the line of sight and its azimuth about it, 0 on the side of the axis, (up, 2).  The last two columns of
    out are the length and its moment along the line of sight.
    """
    seed, first, last = numbers
    radii, cosines = cells
    coefficients, to = ups
    for number in range(first, last):
        key = stream_key(seed, 12, number)
        dz = emitted_cosine(cone, uniform(key, 0), uniform(key, 1))
        dx, dy = math.sqrt(1.0 - dz * dz), 0.0
        x = y = z = travelled = 0.0
        end, k = -ice[1] * math.log(1.0 - uniform(key, 2)), 3
        while travelled < end:
            step = min(-ice[0] * math.log(1.0 - uniform(key, k)), end - travelled)
            s = step * uniform(key, k + 1)
            px, py, pz = x + s * dx, y + s * dy, z + s * dz
            r = math.sqrt(px * px + py * py + pz * pz)
            for i in range(radii.shape[0]):
                if radii[i, 0] <= r < radii[i, 1]:
                    for j in range(cosines.shape[0]):
                        if cosines[j, 0] <= pz / r < cosines[j, 1]:
                            line, c = np.array([px, py, pz]) / r, pz / r
                            side = (np.array([0.0, 0.0, 1.0]) - c * line) / math.sqrt(1.0 - c * c)
                            other = np.cross(line, side)
                            motion = np.array([dx, dy, dz])
                            a, b, g = (motion * line).sum(), (motion * side).sum(), (motion * other).sum()
                            for n in range(to.shape[0]):
                                sine = math.sqrt(1.0 - to[n, 0] ** 2)
                                cosine = a * to[n, 0] + sine * (b * math.cos(to[n, 1]) + g * math.sin(to[n, 1]))
                                out[i, j, n] += step * polynomial(coefficients, cosine)
                            out[i, j, -2] += step
                            out[i, j, -1] += step * a
            x, y, z, travelled = x + step * dx, y + step * dy, z + step * dz, travelled + step
            cosine = scattered_cosine(uniform(key, k + 2), uniform(key, k + 3))
            dx, dy, dz = turned(dx, dy, dz, cosine, 2.0 * math.pi * uniform(key, k + 4))
            k += 5
