"""The light network: yields and delays of a cascade's light at a module, in numpy, with slopes by hand.

Eleven inputs of a pair (source, module), hidden layers with SiLU, and 16 outputs: ln of the yield on an analytic
backbone, and five logistic laws of arsinh(delay / 8 ns).  See ``_light_training`` for how weights are found.

Nine inputs are distance, angle and heights.  Two say what ice lies between, as averages along the line: without them
the layers have to be learnt by heart, and no other ice can be tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nuanalysis.detector import Ice, IceGrid, Pairs, Singles, ice_grid
from nuanalysis.learn._light_models import Look, Slopes
from nuanalysis.learn._light_network_kernels import mixture, mixture_pull
from nuanalysis.learn._table_light_kernels import path_averages
from nuanalysis.schema import Floats, Ints

INPUTS, COMPONENTS = 11, 5
OUTPUTS = 1 + 3 * COMPONENTS
DELAY_UNIT = 8.0  # ns
NARROWEST = 0.05  # scale of a law of arsinh(delay / 8 ns); 0.4 ns at delay 0
DISTANCE_SCALE, HEIGHT_SCALE, LAYER_SCALE = 150.0, 400.0, 120.0  # m


@dataclass(frozen=True, slots=True, eq=False)
class LightNetwork:
    """Weights (in, out) and biases (out,) of the layers, of broad emission; label says how they were made."""

    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class NetworkLight:
    """A light network in some ice as a ``LightModel``; it computes in the precision of its weights."""

    network: LightNetwork
    ice: IceGrid

    def look(self, pairs: Pairs, of: Ints, delay: Floats) -> Look:
        """See ``LightModel``."""
        kind = self.network.weights[0].dtype
        view = ice_view(self.ice, pairs)
        outputs, states = _forward(self.network, light_inputs(pairs, view).astype(kind))
        density, parts = np.empty(len(delay)), np.empty((3 * COMPONENTS + 1, len(delay)))
        mixture(outputs, of, delay, density, parts)

        def pull(by_yield: Floats, by_density: Floats) -> Slopes:
            by_output = np.zeros(outputs.shape)
            by_output[:, 0] = by_yield
            mixture_pull(of, by_density, parts, by_output)
            by_input = _backward(self.network, states, by_output.astype(kind)).astype(np.float64)
            by_distance, by_cosine, by_source = input_slopes(pairs, view, by_input)
            by_distance += by_yield * (-2.0 / pairs.distance - view.fall)
            by_source -= by_yield * pairs.distance * view.fall_slope
            return Slopes(by_distance, by_cosine, by_source, by_density * parts[-1])

        return Look(outputs[:, 0] + backbone(pairs, view), density, pull)


def network_light(network: LightNetwork, ice: Ice) -> NetworkLight:
    """The light model of a network in some ice."""
    return NetworkLight(network, ice_grid(ice))


class IceView(NamedTuple):
    """Ice between sources and modules, (pair,) each, with slopes in the source's height.

    scattering : average of 1/effective scattering length, 1/m.  fall : of diffuse light far away, 1/m:
    sqrt(3 a (a + s)), with the averages a and s of 1/absorption and 1/scattering length.
    """

    scattering: Floats
    fall: Floats
    scattering_slope: Floats
    fall_slope: Floats


def ice_view(ice: IceGrid, pairs: Pairs) -> IceView:
    """Ice between the sources and modules of pairs."""
    out = np.empty((4, len(pairs.source)))
    path_averages(ice, pairs.source, pairs.module, out)
    s, a, s_z, a_z = out
    fall = np.sqrt(3.0 * a * (a + s))
    return IceView(s, fall, s_z, 1.5 * (a_z * (2.0 * a + s) + a * s_z) / fall)


def backbone(pairs: Pairs, view: IceView) -> Floats:
    """The simple law that the network corrects, ln of a yield, (pair,)."""
    return np.asarray(-2.0 * np.log(pairs.distance) - pairs.distance * view.fall - 2.0)


def light_inputs(pairs: Pairs, view: IceView) -> Floats:
    """Inputs of the network, (pair, 11).  No time, no x or y, no energy: symmetries are built in."""
    distance, cosine, source, module = pairs.distance, pairs.cosine, pairs.source, pairs.module
    return np.stack(
        [
            np.log(distance) - 4.0,
            distance / DISTANCE_SCALE - 1.0,
            cosine,
            cosine**2,
            cosine**3,
            (module - source) / distance,
            source / HEIGHT_SCALE,
            module / HEIGHT_SCALE,
            np.sin((source + module) / LAYER_SCALE),
            np.log(distance * view.scattering),
            0.3 * distance * view.fall,
        ],
        axis=-1,
    )


def input_slopes(pairs: Pairs, view: IceView, by_input: Floats) -> Floats:
    """Slopes in distance, cosine and the source's height, (3, pair), from those in the inputs, (pair, 11)."""
    a, distance, cosine = by_input.T, pairs.distance, pairs.cosine
    up, layer = (pairs.module - pairs.source) / distance, (pairs.source + pairs.module) / LAYER_SCALE
    return np.stack(
        [
            (a[0] - a[5] * up + a[9]) / distance + a[1] / DISTANCE_SCALE + 0.3 * a[10] * view.fall,
            a[2] + cosine * (2.0 * a[3] + 3.0 * cosine * a[4]),
            -a[5] / distance
            + a[6] / HEIGHT_SCALE
            + a[8] * np.cos(layer) / LAYER_SCALE
            + a[9] * view.scattering_slope / view.scattering
            + 0.3 * a[10] * distance * view.fall_slope,
        ]
    )


def _forward(network: LightNetwork, inputs: Floats) -> tuple[Floats, list[Floats]]:
    """Outputs (pair, 16) in double precision, and the slope of SiLU at each hidden unit, layer by layer."""
    x, slopes = inputs, []
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        before = x @ weight
        before += bias
        gate = 1.0 / (1.0 + np.exp(-before))
        x = before * gate
        slopes.append(gate + x * (1.0 - gate))
    return (x @ network.weights[-1] + network.biases[-1]).astype(np.float64), slopes


def _backward(network: LightNetwork, slopes: list[Floats], by_output: Floats) -> Floats:
    """Slopes in the inputs, (pair, 11), of a number whose slopes in the outputs are (pair, 16)."""
    x = by_output @ network.weights[-1].T
    for weight, slope in zip(reversed(network.weights[:-1]), reversed(slopes), strict=True):
        x *= slope
        x = x @ weight.T
    return x
