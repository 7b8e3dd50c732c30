"""Training of the light network on expectations: yields and delays of random pairs straight from the photon table.

The only file of the room that needs JAX and optax for light; nothing imports it but who trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nuanalysis.detector import (
    LIGHT_SPEED,
    MODULE_AREA,
    IceGrid,
    KernelTable,
    Pairs,
    acceptance,
    fluence,
    probabilities,
)
from nuanalysis.learn._light_network import (
    COMPONENTS,
    DELAY_UNIT,
    INPUTS,
    NARROWEST,
    OUTPUTS,
    LightNetwork,
    backbone,
    ice_view,
    light_inputs,
)
from nuanalysis.learn._table_light_kernels import delay_rows
from nuanalysis.schema import Floats, Ints

_NEAREST, _FARTHEST = 1.0, 600.0  # m
_HEIGHTS = (-620.0, 620.0)  # of sources, m
_MODULES = (-515.0, 530.0)  # of modules, m
_DARKEST = 1e-3  # added to the acceptance, whose logarithm would end at light from above
_BRIGHT, _FAINT = -18.0, 2.0  # ln yield at which a pair loses weight, and the width of that: 0.2 p.e. at 1 PeV
_JITTER = 2.1  # ns, rms
#: Steps of probability in which delays are drawn, finer at both ends.
STEPS = probabilities()[::4]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Pairs and what is true of them.

    pairs : ``Pairs``.  log_yield (pair,).  delay (pair, 8) : one in each of ``STEPS``, with jitter, ns; so a mean over
    them with the sizes of the steps as weights has the mean of the true law, and little noise.
    """

    pairs: Pairs
    log_yield: Floats
    delay: Floats


@dataclass(frozen=True, slots=True)
class Course:
    """How a light network is trained; defaults make the shipped one.

    batches of ``batch`` pairs, the learning rate rising to ``rate`` and falling to 0; hidden : units of the layers.
    time_weight : of the delays beside the yields, whose squared error is in units of ``error``.
    """

    seed: int = 1
    batches: int = 3500
    batch: int = 4096
    rate: float = 4e-3
    hidden: tuple[int, ...] = (64, 64, 64)
    error: float = 0.05
    time_weight: float = 1.0


def lesson(table: KernelTable, ice: IceGrid, rng: np.random.Generator, number: int) -> Lesson:
    """Random pairs: distances even in the logarithm and in metres by halves, all angles, modules where the array is."""
    found = _pairs(rng, number)
    per_area, along = fluence(table, ice, found)
    up = (found.module - found.source) / found.distance
    accepted = acceptance(up, along) + _DARKEST
    return Lesson(found, np.log(per_area * accepted * MODULE_AREA), _delays(table, ice, rng, found))


def _delays(table: KernelTable, ice: IceGrid, rng: np.random.Generator, of: Pairs) -> Floats:
    """One delay in each step of ``STEPS``, (pair, step), with jitter."""
    rows = np.empty((len(of.distance), len(probabilities())))
    delay_rows(table, ice, (of.distance, of.source, of.module, of.cosine), 1.0 / LIGHT_SPEED, rows)
    u = STEPS[:-1] + np.diff(STEPS) * rng.random((len(rows), len(STEPS) - 1))
    at = np.clip(np.searchsorted(probabilities(), u, side="right") - 1, 0, rows.shape[1] - 2)
    low = probabilities()[at]
    part = (u - low) / (probabilities()[at + 1] - low)
    early, late = np.take_along_axis(rows, at, 1), np.take_along_axis(rows, at + 1, 1)
    return np.asarray(early + part * (late - early) + _JITTER * rng.standard_normal(u.shape))


def _pairs(rng: np.random.Generator, number: int) -> Pairs:
    even = rng.random(number) < 0.5
    log = np.exp(rng.uniform(np.log(_NEAREST), np.log(_FARTHEST), number))
    distance = np.where(even, rng.uniform(_NEAREST, _FARTHEST, number), log)
    module = rng.uniform(*_MODULES, number)
    low = np.maximum((_HEIGHTS[0] - module) / distance, -1.0)
    high = np.minimum((_HEIGHTS[1] - module) / distance, 1.0)
    source = module + distance * rng.uniform(low, high)
    return Pairs(np.zeros(number, bool), distance, source, module, rng.uniform(-1.0, 1.0, number))


def lessons(table: KernelTable, ice: IceGrid, seed: int, number: int) -> Iterator[Lesson]:
    """Endless fresh lessons of a number of pairs; each a function of (seed, its place in the row)."""
    place = 0
    while True:
        yield lesson(table, ice, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(place,))), number)
        place += 1


def weight_of(log_yield: Floats) -> Floats:
    """Weight of a pair: 1, and less where even 1 PeV gives no light, (pair,)."""
    return np.asarray(1.0 / (1.0 + np.exp(-(log_yield - _BRIGHT) / _FAINT)))


def train_light(table: KernelTable, ice: IceGrid, course: Course | None = None) -> LightNetwork:
    """A light network of broad emission; the same course gives the same weights on one machine.

    Minutes for the default; each pair is seen once.
    """
    import jax
    import jax.numpy as jnp
    import optax

    course = course or Course()
    schedule = optax.cosine_onecycle_schedule(course.batches, course.rate, pct_start=0.1, final_div_factor=1e3)
    optimiser = optax.adam(schedule, b2=0.99)
    parameters = _initial(course)
    state = optimiser.init(parameters)
    share = jnp.asarray(np.diff(STEPS), jnp.float32)

    @jax.jit
    def step(parameters: Any, state: Any, batch: Any) -> Any:
        value, slope = jax.value_and_grad(_loss)(parameters, batch, share, course)
        change, state = optimiser.update(slope, state)
        return optax.apply_updates(parameters, change), state, value

    for _, one in zip(range(course.batches), lessons(table, ice, course.seed, course.batch), strict=False):
        parameters, state, _ = step(parameters, state, _batch(one, ice))
    weights = tuple(np.asarray(w) for w, _ in parameters)
    biases = tuple(np.asarray(b) for _, b in parameters)
    pairs = course.batches * course.batch
    return LightNetwork(weights, biases, f"broad emission, seed {course.seed}, {pairs:,} pairs")


def _initial(course: Course) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(np.random.SeedSequence(course.seed, spawn_key=(2**31,)))
    sizes: Ints = np.array([INPUTS, *course.hidden, OUTPUTS])
    out = [
        (rng.standard_normal((a, b)).astype(np.float32) * np.float32(a**-0.5), np.zeros(b, np.float32))
        for a, b in pairwise(sizes)
    ]
    weight, bias = out[-1]
    bias[0] = -4.0
    bias[1 + COMPONENTS : 1 + 2 * COMPONENTS] = np.linspace(0.5, 5.0, COMPONENTS)
    out[-1] = (weight * np.float32(0.3), bias)
    return out


def _batch(one: Lesson, ice: IceGrid) -> tuple[Any, ...]:
    """Inputs, yields over the backbone, arsinh of delays, weights: single precision."""
    view = ice_view(ice, one.pairs)
    log_yield = one.log_yield - backbone(one.pairs, view)
    arrays = light_inputs(one.pairs, view), log_yield, np.arcsinh(one.delay / DELAY_UNIT), weight_of(one.log_yield)
    return tuple(array.astype(np.float32) for array in arrays)


def _loss(parameters: Any, batch: Any, share: Any, course: Course) -> Any:
    """Squared error of ln yield, and the mean of -ln density of arsinh of delays, per unit of weight."""
    import jax
    import jax.numpy as jnp

    inputs, log_yield, late, weight = batch
    x = inputs
    for w, b in parameters[:-1]:
        x = jax.nn.silu(x @ w + b)
    out = x @ parameters[-1][0] + parameters[-1][1]
    n = COMPONENTS
    miss = (out[:, 0] - log_yield) / course.error
    # Robust: the squared error of single pairs at the edge of the table does not pull the rest.
    charge = 2.0 * (jnp.sqrt(1.0 + 0.5 * miss**2) - 1.0)
    width = NARROWEST + jax.nn.softplus(out[:, 1 + 2 * n :])
    z = (late[:, :, None] - out[:, None, 1 + n : 1 + 2 * n]) / width[:, None]
    each = jax.nn.log_softmax(out[:, 1 : 1 + n])[:, None] - jnp.log(width)[:, None]
    each = each - jnp.abs(z) - 2.0 * jnp.log1p(jnp.exp(-jnp.abs(z)))
    times = -(jax.nn.logsumexp(each, axis=2) * share).sum(axis=1)
    return ((charge + course.time_weight * times) * weight).sum() / weight.sum()
