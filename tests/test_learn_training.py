"""Training of ``learn``: JAX says what numpy says, the same seed the same bytes, a break changes nothing."""

import logging
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pytest
from learn_toy import toy_detector, toy_events

from nuanalysis.detector import Kind
from nuanalysis.errors import InputError
from nuanalysis.learn import (
    Network,
    Settings,
    Shape,
    Shard,
    angle,
    buckets,
    check_network,
    images_of,
    inputs_of,
    lattice_of,
    network_of,
    regression_of,
    scores_of,
    targets_of,
    train,
)
from nuanalysis.learn._batches import normalisation
from nuanalysis.learn._layers import first_arrays, outputs
from nuanalysis.learn._network import card_of, raw_outputs
from nuanalysis.sphere import vmf_density
from nuanalysis.store import read_object, write_object

jax = pytest.importorskip("jax")
pytest.importorskip("optax")

EVERY = (Kind.ELECTRON_CHARGED, Kind.MUON_STARTING, Kind.MUON_ENTERING, Kind.BUNDLE)
SMALL = {"hidden": 12, "pools": 2, "dense": (16,)}


@pytest.fixture(scope="module")
def events():
    detector = toy_detector()
    return detector, *toy_events(detector, 320, seed=11, kinds=EVERY)


def settings(task, epochs=6, **other):
    return Settings(Shape(task, **SMALL), steps=epochs * 10, epochs=epochs, batch=32, micro=16, **other)


def shards(events, most=32):
    detector, hits, truth = events
    inputs, targets = inputs_of(detector, hits, most).half(), targets_of(truth)
    return lambda epoch: [Shard(inputs.take(slice(k, None, 2)), targets.take(slice(k, None, 2))) for k in (0, 1)]


def last(states):
    *_, state = states
    return state


def same(a, b):
    names = ("arrays", "average", "fixed")
    kept = all(getattr(a, n)[k].tobytes() == v.tobytes() for n in names for k, v in getattr(b, n).items())
    return kept and all(x.tobytes() == y.tobytes() for x, y in zip(a.optimiser, b.optimiser, strict=True))


@pytest.fixture(scope="module")
def trained(events):
    return list(train(shards(events), settings("direction")))


def test_the_same_seed_gives_the_same_bytes_and_a_break_changes_none(events, trained, tmp_path):
    first = list(islice(train(shards(events), settings("direction")), 3))[-1]
    assert same(first, trained[2])
    write_object(tmp_path / "state.npz", first)
    whole = last(train(shards(events), settings("direction"), read_object(tmp_path / "state.npz")))
    assert same(whole, trained[-1])
    assert whole.losses.tolist() == trained[-1].losses.tolist()
    assert (whole.epoch, whole.step) == (6, 60)
    with pytest.raises(InputError, match="other settings"):
        next(train(shards(events), settings("direction", seed=2), first))


def test_loss_falls_and_the_network_is_whole(events, trained):
    losses = trained[-1].losses
    assert losses[2] < losses[0]  # squared distances
    assert losses[5] < losses[3]  # likelihoods
    detector, hits, truth = events
    network = check_network(network_of(trained[-1], "toy"))
    said = regression_of(network, inputs_of(detector, hits, 32))
    assert np.degrees(np.median(angle(said.direction, truth.direction))) < 75.0  # blind: 90


def test_a_loss_that_is_not_finite_ends_the_training(events):
    detector, hits, truth = events
    targets = replace(targets_of(truth), log10_energy=np.full(320, np.nan))
    with pytest.raises(InputError, match="lower rate"):
        next(train(lambda epoch: [Shard(inputs_of(detector, hits, 32).half(), targets)], settings("direction")))


def untrained(task, inputs):
    shape = Shape(task)
    arrays = first_arrays(shape, np.random.Generator(np.random.PCG64(1)))
    return shape, arrays, normalisation(shape, inputs)


@pytest.mark.parametrize("task", ["direction", "image"])  # classes are the former with another last layer
@pytest.mark.slow
def test_numpy_says_what_jax_says(task):
    """200 events to 1e-5 of the largest value of each output."""
    detector = toy_detector()
    hits, _ = toy_events(detector, 200, seed=12, kinds=EVERY)
    inputs = images_of(lattice_of(detector), hits) if task == "image" else inputs_of(detector, hits, 64)
    shape, arrays, fixed = untrained(task, inputs)
    network = Network("toy", shape, {**arrays, **fixed}, card_of(shape, arrays, 1))
    theirs = np.asarray(jax.jit(partial(outputs, jax.numpy, shape))(dict(network.arrays), inputs.arrays()))
    ours = raw_outputs(network, inputs)
    assert (np.abs(ours - theirs).max(axis=0) / np.abs(theirs).max(axis=0)).max() < 1e-5


@pytest.mark.slow
def test_at_most_three_compilations_and_events_of_weight_0_are_not_there(events, caplog):
    """Three buckets of modules; the labels of the events without weight are wrong."""
    detector, hits, truth = events
    inputs, targets = inputs_of(detector, hits, 128), targets_of(truth)
    assert len(buckets(inputs)) == 3
    right = targets.label != 0
    spoilt = replace(targets, label=np.where(right, 0, 1), weight=np.where(right, 1.0, 0.0))
    one = settings("classes", epochs=3, rate=2e-2)
    with caplog.at_level(logging.DEBUG, logger="jax"), jax.log_compiles():
        state = last(train(lambda epoch: [Shard(inputs, spoilt)], one))
    compiled = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Finished XLA compilation")]
    assert 1 <= len(compiled) <= 3
    assert (scores_of(network_of(state, "toy"), inputs).cascade > 0.5).all()


@pytest.mark.parametrize("task", ["direction", "image"])
@pytest.mark.slow
def test_gradients_are_finite_where_nothing_was_seen(events, task):
    from nuanalysis.learn._training_steps import _total

    detector, hits, truth = events
    seen = images_of(lattice_of(detector), hits) if task == "image" else inputs_of(detector, hits, 32)
    targets = targets_of(truth).take(slice(0, 7))
    shape, arrays, fixed = untrained(task, seen)
    given = tuple(0.0 * x[:7] for x in seen.arrays())  # every module masked
    wanted = (targets.label, targets.direction, targets.vertex / 500.0, targets.log10_energy, targets.weight)
    none = {**arrays, "out/weight": 0 * arrays["out/weight"]}
    slope = jax.jit(jax.grad(partial(_total, shape, fixed)))
    for start in (arrays, none):  # with the latter kappa is 0
        for gaussian in (0.0, 1.0):
            found = slope(start, given, wanted, gaussian)
            assert all(np.isfinite(x).all() for x in found.values())
            assert np.abs(found["out/bias"]).max() > 0


def test_the_loss_of_a_direction_is_its_likelihood():
    from nuanalysis.learn._training_steps import regression_loss

    draw = np.random.Generator(np.random.PCG64(1))
    out = np.zeros((50, 9), np.float32)
    out[:, :3] = draw.normal(0.0, 1.0, (50, 3)) * 10.0 ** draw.uniform(-1, 1.5, (50, 1))
    u = draw.normal(size=(50, 3))
    u /= np.sqrt((u**2).sum(axis=1, keepdims=True))
    kappa = np.sqrt((out[:, :3].astype(float) ** 2).sum(axis=1))
    along = (out[:, :3] * u).sum(axis=1) / kappa
    whole = np.zeros((50, 12))
    vertex, energy = np.zeros((50, 3)), np.full(50, 1.0)  # where an empty network puts them
    found = np.asarray(regression_loss(out, whole, u, vertex, energy, 0.0))
    assert found == pytest.approx(-np.log(vmf_density(along, kappa)), rel=1e-4, abs=1e-3)
    # Errors of e^-2 of 500 m and e^-1 of a decade, half a sigma off in one coordinate and one in energy.
    off = vertex + np.array([0.5 * np.exp(-2.0), 0.0, 0.0])
    likely = np.asarray(regression_loss(out, whole, u, off, energy + np.exp(-1.0), 1.0))
    assert likely - found == pytest.approx(np.full(50, 0.125 - 6.0 + 0.5 - 1.0), abs=1e-3)


def test_settings_and_shards_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="no multiple"):
        Settings(Shape("classes"), steps=1, epochs=1, batch=100)
    with pytest.raises(InputError, match="1 or more"):
        Settings(Shape("classes"), steps=0, epochs=1)
    with pytest.raises(InputError, match="no shards"):
        next(train(lambda epoch: [], settings("classes")))
