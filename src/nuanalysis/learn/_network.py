"""What a network says of events, with numpy alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nuanalysis.detector import Singles
from nuanalysis.errors import DataError, InputError
from nuanalysis.learn._layers import centre_of, outputs
from nuanalysis.learn._records import LENGTH_M, Card, Images, Inputs, Measure, Network, Regression, Scores, Shape
from nuanalysis.schema import Floats

_BLOCK = 64  # events at a time: what a layer makes of them stays in the processor's cache
START = 1.0  # log10 of GeV per photoelectron from which energies are counted: about 88 of them per TeV
_VERTEX_UNIT = 0.2  # of 500 m


def predict(network: Network, inputs: Inputs | Images) -> Scores | Regression:
    """Scores of a network of classes, Regression of one of directions.

    Raises InputError where the network reads the other kind of inputs.
    """
    raw = raw_outputs(network, inputs).astype(np.float64)
    if network.shape.task != "direction":
        return Scores(raw, softmax(raw))
    assert isinstance(inputs, Inputs)
    return _regression(raw, np.asarray(inputs.whole, dtype=np.float64))


def scores_of(network: Network, inputs: Inputs | Images) -> Scores:
    """``predict`` of a network of classes.  Raises InputError for one of directions."""
    if network.shape.task == "direction":
        raise InputError(f"network '{network.name}' says directions, expected one of classes; give another network")
    found = predict(network, inputs)
    assert isinstance(found, Scores)
    return found


def regression_of(network: Network, inputs: Inputs) -> Regression:
    """``predict`` of a network of directions.  Raises InputError for one of classes."""
    if network.shape.task != "direction":
        raise InputError(f"network '{network.name}' says classes, expected one of directions; give another network")
    found = predict(network, inputs)
    assert isinstance(found, Regression)
    return found


def raw_outputs(network: Network, inputs: Inputs | Images) -> Singles:
    """Numbers of the last layer, (event, output), float32."""
    images = network.shape.task == "image"
    if images != isinstance(inputs, Images):
        raise InputError(
            f"network '{network.name}' reads {'Images' if images else 'Inputs'}, got {type(inputs).__name__}"
        )
    parts = [_block(network, inputs.take(slice(k, k + _BLOCK))) for k in range(0, max(len(inputs), 1), _BLOCK)]
    return np.concatenate(parts)


def _block(network: Network, inputs: Inputs | Images) -> Singles:
    given = tuple(x.astype(np.float32) for x in inputs.arrays())
    if len(given) > 1 and len(given[0]):  # no more columns than the event with most modules needs
        last = max(int(np.flatnonzero(given[1].sum(axis=0)).max(initial=0)) + 1, 1)
        given = (given[0][:, :last], given[1][:, :last], given[2])
    return np.asarray(outputs(np, network.shape, network.arrays, given), dtype=np.float32)


def softmax(logits: Floats) -> Floats:
    """Probabilities of the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def place_and_energy(xp: Any, out: Any, whole: Any) -> tuple[Any, Any, Any, Any]:
    """Vertex over 500 m (event, 3), ln of its error, log10 of the energy in GeV, ln of its error: of numpy or JAX.

    The errors are bounded, e^-5 to e^3 of their unit, so that no event can take the whole of a gradient.
    """
    vertex = centre_of(xp, whole) + _VERTEX_UNIT * out[:, 3:6]
    return (
        vertex,
        4.0 * xp.tanh(out[:, 7] / 4.0) - 2.0,
        whole[:, 0] + START + out[:, 6],
        4.0 * xp.tanh(out[:, 8] / 4.0) - 1.0,
    )


def _regression(out: Floats, whole: Floats) -> Regression:
    kappa = np.sqrt((out[:, :3] ** 2).sum(axis=1) + 1e-12)
    vertex, log_place, energy, log_energy = place_and_energy(np, out, whole)
    return Regression(
        out[:, :3] / kappa[:, None], kappa, LENGTH_M * vertex, LENGTH_M * np.exp(log_place), energy, np.exp(log_energy)
    )


def digest(shape: Shape, arrays: Mapping[str, Singles]) -> str:
    """sha256 of an architecture and its arrays, in order of their paths."""
    hasher = hashlib.sha256(repr(shape).encode())
    for path in sorted(arrays):
        array = np.ascontiguousarray(arrays[path], dtype="<f4")
        hasher.update(json.dumps([path, array.shape]).encode())
        hasher.update(array.tobytes())
    return hasher.hexdigest()


def with_metrics(network: Network, *, data: str, metrics: tuple[Measure, ...], limits: tuple[str, ...]) -> Network:
    """The network with the words and figures of its card."""
    return replace(network, card=replace(network.card, data=data, metrics=metrics, limits=limits))


def card_of(shape: Shape, arrays: Mapping[str, Singles], seed: int, data: str = "") -> Card:
    """A card without figures yet."""
    return Card(data, seed, (), LIMITS, digest(shape, arrays))


LIMITS = (
    "the ice is that of the training: no tilt, no anisotropy, one law of hole ice; resolutions are optimistic",
    "noise and calibration are those of the simulation, not of a detector",
    "rejection of muons is known down to the effective number of simulated ones, stated beside each figure",
)


def check_network(network: Network) -> Network:
    """The network, if its arrays are those of its card.  Raises DataError where they are not."""
    found = digest(network.shape, network.arrays)
    if found != network.card.sha256:
        raise DataError(
            f"network '{network.name}' has sha256 {found[:12]}..., its card says {network.card.sha256[:12]}...; "
            "fetch the file again"
        )
    return network
