"""One step of training in JAX.  Nothing but ``train`` imports this file, and it does so when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from nuanalysis.detector import Singles
from nuanalysis.learn._batches import Batch
from nuanalysis.learn._layers import outputs
from nuanalysis.learn._network import place_and_energy
from nuanalysis.learn._records import Shape
from nuanalysis.learn._states import Settings, State

_PLACE, _ENERGY = 50.0, 2.0  # weights of the squared errors of the vertex over 500 m and of log10 E
Now = tuple[Any, Any, Any]  # arrays, average, flat optimiser: on the device


class Run:
    """Compiled steps of one training; ``step`` compiles once for each shape of batch."""

    def __init__(self, settings: Settings) -> None:
        self._optimiser = _optimiser(settings)
        self.compiled = jax.jit(partial(_step, settings, self._optimiser))

    def empty(self, arrays: Mapping[str, Singles]) -> tuple[NDArray[np.number], ...]:
        """The flat optimiser before the first step: zeros, made without compiling anything."""
        leaves = jax.tree.leaves(jax.eval_shape(self._optimiser.init, dict(arrays)))
        return tuple(np.zeros(leaf.shape, leaf.dtype) for leaf in leaves)

    def start(self, state: State) -> tuple[Now, Any]:
        """What ``step`` takes: the arrays of a state on the device, and its normalisation."""
        now = (dict(state.arrays), dict(state.average), list(state.optimiser))
        return jax.device_put(now), jax.device_put(dict(state.fixed))

    def step(self, held: tuple[Now, Any], batch: Batch, gaussian: bool) -> tuple[tuple[Now, Any], Any]:
        """One step on one batch, and its loss."""
        now, fixed = held
        targets = (batch.label, batch.direction, batch.vertex, batch.log10_energy, batch.weight)
        now, loss = self.compiled(now, fixed, batch.given, targets, np.float32(gaussian))
        return (now, fixed), loss

    def stop(self, held: tuple[Now, Any], state: State) -> State:
        """The state with arrays back on the host."""
        arrays, average, optimiser = jax.tree.map(np.asarray, held[0])
        return replace(state, arrays=arrays, average=average, optimiser=tuple(optimiser))


def _optimiser(settings: Settings) -> Any:
    rate = optax.cosine_onecycle_schedule(settings.steps, settings.rate, pct_start=settings.rising)
    return optax.chain(optax.clip_by_global_norm(settings.clip), optax.adamw(rate, weight_decay=settings.decay))


def _step(settings: Settings, optimiser: Any, now: Now, fixed: Any, given: Any, targets: Any, gaussian: Any) -> Any:
    arrays, average, flat = now
    tree = jax.tree.structure(jax.eval_shape(optimiser.init, arrays))
    parts = jax.tree.map(lambda x: x.reshape(-1, settings.micro, *x.shape[1:]), (given, targets))
    value = jax.value_and_grad(partial(_total, settings.shape, fixed))

    def add(held: Any, part: Any) -> Any:
        return jax.tree.map(jnp.add, held, value(arrays, *part, gaussian)), None

    nothing = (jnp.float32(0.0), jax.tree.map(jnp.zeros_like, arrays))
    (loss, gradient), _ = jax.lax.scan(add, nothing, parts)
    weight = jnp.maximum(targets[-1].sum(), 1e-12)
    gradient = jax.tree.map(lambda g: g / weight, gradient)
    change, moved = optimiser.update(gradient, jax.tree.unflatten(tree, flat), arrays)
    arrays = optax.apply_updates(arrays, change)
    flat = jax.tree.leaves(moved)
    kept = _kept(settings, flat)
    average = jax.tree.map(lambda a, x: kept * a + (1.0 - kept) * x, average, arrays)
    return (arrays, average, flat), loss / weight


def _kept(settings: Settings, flat: Any) -> Any:
    """Share of the old average that is kept: less in the first steps, so that the first arrays are soon forgotten."""
    count = next(leaf for leaf in flat if jnp.issubdtype(leaf.dtype, jnp.integer)).astype(jnp.float32)
    return jnp.minimum(settings.average, (1.0 + count) / (10.0 + count))


def _total(shape: Shape, fixed: Any, arrays: Any, given: Any, targets: Any, gaussian: Any) -> Any:
    """Sum over events of weight times loss."""
    given = tuple(x.astype(jnp.float32) for x in given)
    out = outputs(jnp, shape, {**arrays, **fixed}, given)
    label, direction, vertex, energy, weight = targets
    if shape.task != "direction":
        return (weight * optax.softmax_cross_entropy_with_integer_labels(out, label)).sum()
    return (weight * regression_loss(out, given[2], direction, vertex, energy, gaussian)).sum()


def regression_loss(out: Any, whole: Any, direction: Any, vertex: Any, energy: Any, gaussian: Any) -> Any:
    """Minus the logarithm of the likelihood of each event, (event,).

    Direction: von Mises–Fisher with kappa = |o|, -ln(kappa / 2 pi (1 - exp(-2 kappa))) + kappa - o . u.  Vertex and
    energy: Gaussian with the errors that the network says where ``gaussian`` is 1, squared distances where it is 0.
    """
    o = out[:, :3]
    kappa = jnp.sqrt((o * o).sum(axis=1) + 1e-6)  # no gradient of a root at 0
    along = -jnp.log(kappa / (2.0 * jnp.pi * -jnp.expm1(-2.0 * kappa))) + kappa - (o * direction).sum(axis=1)
    place, log_place, log10_energy, log_energy = place_and_energy(jnp, out, whole)
    off, missed = ((place - vertex) ** 2).sum(axis=1), (log10_energy - energy) ** 2
    squared = _PLACE * off + _ENERGY * missed
    likely = 0.5 * off * jnp.exp(-2.0 * log_place) + 3.0 * log_place
    likely += 0.5 * missed * jnp.exp(-2.0 * log_energy) + log_energy
    return along + jnp.where(gaussian > 0, likely, squared)
