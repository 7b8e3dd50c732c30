"""The networks themselves, written once for numpy and for JAX: ``xp`` is the one or the other, given by the caller.

A network is a flat mapping {path: array}.  Padded modules have the mask 0 and change nothing; with every module masked
all values and gradients stay finite, since nothing is divided by less than a small number and no -inf appears.

The point cloud: a layer pair for each module; twice, mean and maximum over the modules are given back to each of them;
then attention pools, mean, maximum, features of the whole, and vectors (unit vectors of the modules, as seen from the
centre, times learned numbers) go into dense layers.  PointNet, arXiv:1612.00593, Deep Sets, arXiv:1703.06114.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nuanalysis.detector import Singles
from nuanalysis.learn._records import CENTRE, FEATURES, UNIT, WHOLE, Shape

Arrays = Mapping[str, Any]  # of numpy or of JAX
OUTPUTS = {"classes": 4, "direction": 13, "image": 4}
CONTEXTS = 2
CHANNELS, DEEP = 16, 3  # of the image: channels, convolutions
IMAGE_INPUTS = 3
# Rows and columns of a hexagonal lattice in axial coordinates: seven of nine are neighbours or the string itself.
NEIGHBOURS = tuple((i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) if abs(i + j) < 2 for k in (-1, 0, 1))
_FAR = -1e9


def gelu(xp: Any, x: Any) -> Any:
    """The tanh form, arXiv:1606.08415: the same in numpy and JAX, which erf would not be."""
    return 0.5 * x * (1.0 + xp.tanh(0.7978845608 * (x + 0.044715 * (x * x * x))))


def relu(xp: Any, x: Any) -> Any:
    """max(x, 0)."""
    return xp.maximum(x, 0.0)


_ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {"gelu": gelu, "relu": relu}


def _linear(a: Arrays, path: str, x: Any) -> Any:
    return x @ a[f"{path}/weight"] + a[f"{path}/bias"]


def outputs(xp: Any, shape: Shape, a: Arrays, given: tuple[Any, ...]) -> Any:
    """Numbers that a network says of each event, (event, output); ``given`` are the arrays of Inputs or Images."""
    return _image(xp, shape, a, given[0]) if shape.task == "image" else _points(xp, shape, a, given)


def _points(xp: Any, shape: Shape, a: Arrays, given: tuple[Any, ...]) -> Any:
    modules, mask, whole = given
    act, m = _ACTIVATIONS[shape.activation], mask[:, :, None]
    n = xp.maximum(mask.sum(axis=1), 1.0)[:, None]
    h = (modules - a["modules/shift"]) * a["modules/scale"] * m
    h = act(xp, _linear(a, "each/1", act(xp, _linear(a, "each/0", h))))
    for k in range(CONTEXTS):
        # The context is folded: W [h; mean; max] = W h + (W' mean + W'' max), the bracket once for each event.
        about = _linear(a, f"context/{k}/about", xp.concatenate(_mean_and_maximum(xp, h, m, n), axis=1))
        h = act(xp, h @ a[f"context/{k}/own/weight"] + about[:, None, :])
        h = act(xp, _linear(a, f"context/{k}/next", h))
    vectors = _vectors(xp, a, h, m, n, modules[:, :, UNIT])
    parts = [_attention(xp, a, h, m), *_mean_and_maximum(xp, h, m, n), (whole - a["whole/shift"]) * a["whole/scale"]]
    x = xp.concatenate([*parts, vectors.reshape(len(whole), 3 * shape.pools)], axis=1)
    for k in range(len(shape.dense)):
        x = act(xp, _linear(a, f"dense/{k}", x))
    out = _linear(a, "out", x)
    return _turned(xp, out, vectors) if shape.task == "direction" else out


def _mean_and_maximum(xp: Any, h: Any, m: Any, n: Any) -> list[Any]:
    """Over the modules that stand, (event, hidden) each; 0 without any."""
    return [(h * m).sum(axis=1) / n, xp.where(m > 0, h, _FAR).max(axis=1) * m.max(axis=1)]


def _attention(xp: Any, a: Arrays, h: Any, m: Any) -> Any:
    """Weighted means with learned weights, (event, pools x hidden); 0 without any module."""
    s = xp.where(m > 0, _linear(a, "attention", h), _FAR)
    e = xp.exp(s - s.max(axis=1, keepdims=True)) * m
    weight = e / (e.sum(axis=1, keepdims=True) + 1e-9)
    return (weight.swapaxes(1, 2) @ h).reshape(len(h), s.shape[2] * h.shape[2])


def _vectors(xp: Any, a: Arrays, h: Any, m: Any, n: Any, unit: Any) -> Any:
    """Mean over modules of unit vector times a learned number, (event, pools, 3): they turn with the event."""
    return ((_linear(a, "vector", h) * m / n[:, :, None]).swapaxes(1, 2)) @ unit


def _turned(xp: Any, out: Any, vectors: Any) -> Any:
    """Outputs with the vectors added to the direction, each times a number that the network says, (event, 9)."""
    pools = vectors.shape[1]
    along = (out[:, 3 : 3 + pools, None] * vectors).sum(axis=1)
    return xp.concatenate([10.0 * (out[:, :3] + along), out[:, 3 + pools :]], axis=1)


def _image(xp: Any, shape: Shape, a: Arrays, cells: Any) -> Any:
    """Convolutions on the lattice of strings and depth, halved in depth after each, then means, maxima and a layer."""
    act, x = _ACTIVATIONS[shape.activation], cells * a["cells/scale"]
    for k in range(DEEP):
        x = _halved(act(xp, _convolved(xp, a, k, x)))
    flat = x.reshape(len(x), -1, x.shape[-1])
    seen = xp.concatenate([flat.mean(axis=1), flat.max(axis=1), cells.reshape(len(x), -1, cells.shape[-1]).sum(axis=1)
                           * a["cells/total"]], axis=1)  # fmt: skip
    return _linear(a, "out", act(xp, _linear(a, "dense/0", seen)))


def _convolved(xp: Any, a: Arrays, k: int, x: Any) -> Any:
    """One layer over the 21 neighbours in lattice and depth, (event, row, column, depth, channel)."""
    rows, columns, depths = x.shape[1:4]
    wide = xp.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
    out = a[f"image/{k}/bias"]
    for weight, (i, j, d) in zip(a[f"image/{k}/weight"], NEIGHBOURS, strict=True):
        out = out + wide[:, 1 + i : 1 + i + rows, 1 + j : 1 + j + columns, 1 + d : 1 + d + depths] @ weight
    return out


def _halved(x: Any) -> Any:
    """The larger of two neighbours in depth; an odd last one is left out."""
    half = x.shape[3] // 2
    return x[:, :, :, : 2 * half].reshape(*x.shape[:3], half, 2, x.shape[4]).max(axis=4)


def first_arrays(shape: Shape, rng: np.random.Generator) -> dict[str, Singles]:
    """Untrained arrays by path: Gaussian of variance 2 / inputs (He et al., arXiv:1502.01852), the last small."""
    made: dict[str, Singles] = {}
    for path, (rows, columns, gain, bias) in _sizes(shape).items():
        weight = rng.normal(0.0, gain / np.sqrt(rows), (rows, columns))
        made[f"{path}/weight"] = weight.astype(np.float32)
        if bias:
            made[f"{path}/bias"] = np.zeros(columns, dtype=np.float32)
    for k in range(DEEP if shape.task == "image" else 0):
        inputs = IMAGE_INPUTS if k == 0 else CHANNELS
        weight = rng.normal(0.0, np.sqrt(2.0 / (inputs * len(NEIGHBOURS))), (len(NEIGHBOURS), inputs, CHANNELS))
        made[f"image/{k}/weight"] = weight.astype(np.float32)
        made[f"image/{k}/bias"] = np.zeros(CHANNELS, dtype=np.float32)
    return made


def _sizes(shape: Shape) -> dict[str, tuple[int, int, float, bool]]:
    """Inputs, outputs, gain and whether there is a bias, of each layer."""
    h, root = shape.hidden, float(np.sqrt(2.0))
    last = OUTPUTS[shape.task] if shape.task != "direction" else 9 + shape.pools
    if shape.task == "image":
        seen = 2 * CHANNELS + IMAGE_INPUTS
        return {"dense/0": (seen, h, root, True), "out": (h, last, 0.1, True)}
    sizes = {"each/0": (len(FEATURES), h, root, True), "each/1": (h, h, root, True)}
    for k in range(CONTEXTS):
        sizes[f"context/{k}/own"] = (h, h, 1.0, False)
        sizes[f"context/{k}/about"] = (2 * h, h, 1.0, True)
        sizes[f"context/{k}/next"] = (h, h, root, True)
    sizes |= {"attention": (h, shape.pools, 1.0, True), "vector": (h, shape.pools, 1.0, True)}
    width = (shape.pools + 2) * h + len(WHOLE) + 3 * shape.pools
    for k, columns in enumerate(shape.dense):
        sizes[f"dense/{k}"] = (width, columns, root, True)
        width = columns
    return sizes | {"out": (width, last, 0.1, True)}


def centre_of(xp: Any, whole: Any) -> Any:
    """The centre of charge over 500 m, (event, 3), from which the place of the vertex is counted."""
    return whole[:, CENTRE]
