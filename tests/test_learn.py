"""Features, networks, images and batches of ``learn`` against slow twins and symmetries."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from learn_toy import NS_PER_M, toy_detector, toy_events

from nuanalysis.detector import Hits, Kind, border_distance, hull
from nuanalysis.errors import DataError, InputError
from nuanalysis.learn import (
    FEATURES,
    WHOLE,
    Class,
    Inputs,
    Network,
    buckets,
    check_network,
    images_of,
    inputs_of,
    labels_of,
    lattice_of,
    predict,
    regression_of,
    scores_of,
    targets_of,
)
from nuanalysis.learn._batches import batches_of, normalisation
from nuanalysis.learn._layers import NEIGHBOURS, first_arrays
from nuanalysis.learn._network import card_of, raw_outputs
from nuanalysis.learn._records import Shape, Shard

EVERY = (Kind.ELECTRON_CHARGED, Kind.MUON_STARTING, Kind.MUON_ENTERING, Kind.BUNDLE)


@pytest.fixture(scope="module")
def toy():
    detector = toy_detector()
    return detector, *toy_events(detector, 80, seed=5, kinds=EVERY)


def rng(seed=1):
    return np.random.Generator(np.random.PCG64(seed))


def untrained(task, inputs, **numbers):
    shape = Shape(task, **numbers)
    draw, first = rng(3), first_arrays(shape, rng(3))
    biased = {p: x + draw.normal(0.0, 0.1, x.shape).astype(np.float32) * p.endswith("bias") for p, x in first.items()}
    arrays = {**biased, **normalisation(shape, inputs)}
    return Network("untrained", shape, arrays, card_of(shape, arrays, 3))


# Features


def test_features_of_one_event_by_hand(toy):
    detector, hits, _ = toy
    event, one = 7, slice(hits.start[7], hits.start[8])
    found = inputs_of(detector, hits, most=128)
    q, first = hits.values[one, 0].astype(float), hits.values[one, 3].astype(float)
    place = detector.position[hits.module[one]]
    centre = (q[:, None] ** 2 * place).sum(axis=0) / (q**2).sum()
    far = np.sqrt(((place - centre) ** 2).sum(axis=1))
    late = first - far * NS_PER_M
    late -= (q**2 * late).sum() / (q**2).sum()
    order = np.lexsort((hits.module[one], -q))[:128]

    def of(name):
        return found.modules[event, : len(order), FEATURES.index(name)]

    assert of("x") == pytest.approx(place[order, 0] / 500.0, rel=1e-6)
    assert of("log_charge") == pytest.approx(np.log10(q[order]), rel=1e-6, abs=1e-7)
    assert of("first") == pytest.approx(np.arcsinh((first - (q * first).sum() / q.sum())[order] / 300.0), abs=1e-5)
    assert of("unit_y") == pytest.approx((place - centre)[order, 1] / far[order], rel=1e-5)
    assert of("log_distance") == pytest.approx(np.log(far[order] + 1.0) - 4.0, abs=1e-5)
    assert of("residual") == pytest.approx(np.arcsinh(late[order] / 50.0), abs=1e-4)
    assert (of("root_share") ** 2).sum() == pytest.approx(q[order].sum() / q.sum(), rel=1e-5)
    assert found.whole[event, 2:5] == pytest.approx(centre / 500.0, rel=1e-5)
    early = (q * (late < -100.0)).sum() / q.sum()
    assert found.whole[event, WHOLE.index("early_share")] == pytest.approx(early, abs=1e-6)


def test_a_shift_in_time_and_the_order_of_hits_change_nothing(toy):
    detector, hits, _ = toy
    known = inputs_of(detector, hits)
    values = hits.values.astype(np.float64)
    values[:, 3:8] += 512.0
    moved = inputs_of(detector, replace(hits, values=values))
    assert np.abs(moved.modules - known.modules).max() < 1e-4
    order = np.concatenate([rng().permutation(np.arange(a, b)) for a, b in pairwise(hits.start)])
    mixed = Hits(hits.module[order], hits.values[order], hits.saturated[order], hits.start, hits.window)
    assert np.abs(inputs_of(detector, mixed).modules - known.modules).max() < 1e-5


def test_empty_events_are_zeros_and_all_values_are_safe_in_half_precision(toy):
    detector, hits, _ = toy
    start = np.concatenate([[0], hits.start])  # an event without hits before the others
    wild = hits.values.copy()
    wild[::7, 0], wild[::5, 6] = 3e6, 1e7  # charges beyond the largest float16, afterpulses far off
    found = inputs_of(detector, replace(hits, start=start, values=wild))
    assert (found.modules[0] == 0).all()
    assert (found.mask[0] == 0).all()
    half = found.half()
    assert all(np.isfinite(x).all() and np.abs(x).max() < 100 for x in half.arrays())
    assert np.abs(half.modules - found.modules).max() < 0.01


def test_hits_of_another_width_are_refused(toy):
    detector, hits, _ = toy
    with pytest.raises(InputError, match=r"expected .hit, 9."):
        inputs_of(detector, replace(hits, values=hits.values[:, :3]))


def test_the_border_of_the_array():
    detector = toy_detector()  # a hexagon of 250 m, 855 m high
    at = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 400.0], [250.0, 0.0, 0.0], [0.0, 500.0, 0.0]])
    side = 250.0 * math.sqrt(0.75)
    assert border_distance(hull(detector), at) == pytest.approx([side, 27.5, 0.0, side - 500.0], abs=1e-6)


def test_buckets_hold_every_event_once(toy):
    detector, hits, _ = toy
    inputs = inputs_of(detector, hits, most=128)
    found = buckets(inputs)
    assert sorted(np.concatenate(list(found.values()))) == list(range(len(inputs)))
    for most, events in found.items():
        assert inputs.mask[events].sum(axis=1).max() <= most
        assert inputs.take(events).cut(most).mask.sum() == inputs.mask[events].sum()


def test_labels_follow_the_light(toy):
    truth = toy[2]
    assert labels_of(truth)[:4].tolist() == [Class.CASCADE, Class.STARTING_TRACK, Class.THROUGH_GOING, Class.BUNDLE]
    single = replace(truth, muons=np.ones_like(truth.muons))
    assert labels_of(single)[3] == Class.THROUGH_GOING
    tau = replace(truth, kind=np.full_like(truth.kind, Kind.TAU_CHARGED))
    for energy, label in ((0.0, Class.CASCADE), (300.0, Class.STARTING_TRACK)):
        assert (labels_of(replace(tau, muon_energy=np.full_like(truth.energy, energy))) == label).all()


# Networks


def slow_twin(network, modules, whole):
    """One event, its modules alone: no padding, the context concatenated and not folded."""
    a = network.arrays

    def layer(path, x):
        return x @ a[f"{path}/weight"].astype(float) + a[f"{path}/bias"]

    def act(x):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    h = (modules - a["modules/shift"]) * a["modules/scale"]
    h = act(layer("each/1", act(layer("each/0", h))))
    for k in (0, 1):
        weight = np.concatenate([a[f"context/{k}/own/weight"], a[f"context/{k}/about/weight"]])
        rows = [np.concatenate([one, h.mean(axis=0), h.max(axis=0)]) for one in h]
        h = act(layer(f"context/{k}/next", act(np.array(rows) @ weight.astype(float) + a[f"context/{k}/about/bias"])))
    e = np.exp(layer("attention", h))
    pools = [(e[:, k, None] / e[:, k].sum() * h).sum(axis=0) for k in range(e.shape[1])]
    s = layer("vector", h)
    vectors = [np.mean(s[:, k, None] * modules[:, 16:19], axis=0) for k in range(s.shape[1])]
    x = np.concatenate([*pools, h.mean(axis=0), h.max(axis=0), (whole - a["whole/shift"]) * a["whole/scale"], *vectors])
    for k in range(len(network.shape.dense)):
        x = act(layer(f"dense/{k}", x))
    out = layer("out", x)
    if network.shape.task == "classes":
        return out
    return np.concatenate([10 * (out[:3] + sum(g * v for g, v in zip(out[3:7], vectors, strict=True))), out[7:]])


@pytest.mark.parametrize("task", ["classes", "direction"])
def test_a_network_is_that_of_a_slow_twin(toy, task):
    detector, hits, _ = toy
    inputs = inputs_of(detector, hits)
    network = untrained(task, inputs)
    found = raw_outputs(network, inputs)
    assert sum(x.size for x in network.arrays.values()) == pytest.approx(120_000, rel=0.05)
    for k in range(0, 80, 9):
        n = int(inputs.mask[k].sum())
        twin = slow_twin(network, inputs.modules[k, :n].astype(float), inputs.whole[k].astype(float))
        assert found[k] == pytest.approx(twin, rel=1e-4, abs=1e-5)


def test_padding_and_the_order_of_modules_change_nothing(toy):
    detector, hits, _ = toy
    inputs = inputs_of(detector, hits)
    network = untrained("classes", inputs)
    known = raw_outputs(network, inputs)
    junk = inputs.cut(128)
    junk.modules[junk.mask == 0] = 7.0
    assert raw_outputs(network, junk) == pytest.approx(known, rel=1e-4, abs=1e-5)
    blind = Inputs(inputs.modules, 0.0 * inputs.mask, inputs.whole)
    a, x = network.arrays, np.zeros((80, 408))
    x[:, 384:396] = (inputs.whole - a["whole/shift"]) * a["whole/scale"]  # all that is left without modules
    first = x @ a["dense/0/weight"] + a["dense/0/bias"]
    nothing = replace(network, arrays={**a, "dense/0/weight": 0 * a["dense/0/weight"], "dense/0/bias": first[5]})
    assert raw_outputs(network, blind)[5] == pytest.approx(raw_outputs(nothing, blind)[5], rel=1e-4, abs=1e-5)
    order = rng().permutation(64)
    mixed = Inputs(inputs.modules[:, order], inputs.mask[:, order], inputs.whole)
    assert raw_outputs(network, mixed) == pytest.approx(known, rel=1e-4, abs=1e-5)


def turned(detector, phi):
    turn = np.array([[math.cos(phi), -math.sin(phi), 0], [math.sin(phi), math.cos(phi), 0], [0, 0, 1]])
    return replace(detector, position=detector.position @ turn.T), turn


def test_vectors_turn_with_the_event_and_free_outputs_do_not(toy):
    """Exact where no horizontal place is read and the direction is made of vectors alone; the full network reads the
    place in an array that is not symmetric, and says a direction of its own."""
    detector, hits, _ = toy
    other, turn = turned(detector, 0.7)
    inputs, moved = inputs_of(detector, hits), inputs_of(other, hits)
    level = ("x", "y", "from_x", "from_y", "unit_x", "unit_y", "centre_x", "centre_y")
    network = untrained("direction", inputs, without=level)
    free, seen = network.arrays["out/weight"].copy(), network.arrays["dense/0/weight"].copy()
    free[:, :3] = 0.0
    bias = network.arrays["out/bias"] * (np.arange(13) > 2).astype(np.float32)
    seen[-12:] = 0.0  # where the vectors themselves are read
    exact = replace(network, arrays={**network.arrays, "out/weight": free, "out/bias": bias, "dense/0/weight": seen})
    a, b = regression_of(exact, inputs), regression_of(exact, moved)
    assert a.kappa.min() > 1e-3
    assert b.direction == pytest.approx(a.direction @ turn.T, abs=1e-3)  # unit vectors of what is small
    assert b.kappa[:, None] * b.direction == pytest.approx(a.kappa[:, None] * a.direction @ turn.T, abs=1e-5)
    off = regression_of(network, moved).direction - regression_of(network, inputs).direction @ turn.T
    assert np.abs(off).max() > 0.05


def test_records_of_predictions(toy):
    detector, hits, truth = toy
    inputs = inputs_of(detector, hits)
    scores = scores_of(untrained("classes", inputs), inputs)
    assert scores.probability.sum(axis=1) == pytest.approx(np.ones(80))
    p = scores.probability
    assert scores.cascade_over_muons == pytest.approx(np.log(scores.cascade / (p[:, 2] + p[:, 3])))
    said = regression_of(untrained("direction", inputs), inputs)
    assert (said.direction**2).sum(axis=1) == pytest.approx(np.ones(80))
    assert (said.vertex_sigma > 0).all()
    # Untrained, it says the centre of charge, and the energy from the charge alone.
    assert np.abs(said.vertex - 500.0 * inputs.whole[:, 2:5]).max() < 100.0
    assert np.abs(said.log10_energy - inputs.whole[:, 0] - 1.0).max() < 1.0
    with pytest.raises(InputError, match="says classes"):
        regression_of(untrained("classes", inputs), inputs)
    with pytest.raises(InputError, match="says directions"):
        scores_of(untrained("direction", inputs), inputs)
    with pytest.raises(InputError, match="reads Inputs, got Images"):
        predict(untrained("classes", inputs), images_of(lattice_of(detector), hits))
    assert len(predict(untrained("classes", inputs), inputs.take(slice(0, 0))).logits) == 0
    assert targets_of(truth).weight.tolist() == [1.0] * 80


def test_a_card_knows_its_arrays(toy):
    network = untrained("classes", inputs_of(toy[0], toy[1]))
    assert check_network(network) is network
    assert "no IceCube simulation or data were used" in network.card.truth
    spoilt = {**network.arrays, "out/bias": network.arrays["out/bias"] + np.float32(1e-6)}
    with pytest.raises(DataError, match="fetch the file again"):
        check_network(replace(network, arrays=spoilt))


@pytest.mark.parametrize(
    ("fault", "words"), [("task", "no task"), ("activation", "expected 'gelu'"), ("without", "no")]
)
def test_shapes_that_cannot_be_are_refused(fault, words):
    with pytest.raises(InputError, match=words):
        Shape(**{"task": "classes", fault: ("y2",) if fault == "without" else "sigmoid"})


# Images


def test_neighbours_in_the_ice_are_neighbours_in_the_image():
    detector = toy_detector(rings=3)
    shift = rng().uniform(-9.0, 9.0, (detector.string.max(), 3)) * (1, 1, 0)
    detector = replace(detector, position=detector.position + shift[detector.string - 1])
    lattice = lattice_of(turned(detector, 0.3)[0])
    row, column, depth = np.unravel_index(lattice.cell, lattice.shape)
    top = detector.number == 1
    assert len(np.unique(lattice.cell[top])) == 37
    assert (depth[top] == lattice.shape[2] - 1).all()
    place, axial = detector.position[top, :2], np.stack([row[top], column[top]], axis=1)
    close = np.sqrt(((place[:, None] - place) ** 2).sum(axis=2)) < 160.0
    step = axial[:, None] - axial
    assert {tuple(one) for one in step[close]} == {(i, j) for i, j, _ in NEIGHBOURS}


def test_images_keep_the_charge_and_their_network_is_that_of_a_slow_twin(toy):
    detector, hits, _ = toy
    lattice = lattice_of(detector)
    images = images_of(lattice, hits)
    total = np.bincount(np.repeat(np.arange(80), np.diff(hits.start)), weights=hits.values[:, 0])
    assert np.expm1(images.cells[..., 0]).sum(axis=(1, 2, 3)) == pytest.approx(total, rel=1e-4)
    network = untrained("image", images)
    found, a = raw_outputs(network, images.take(slice(0, 2))), network.arrays

    def act(x):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    x = images.cells[1].astype(float) * a["cells/scale"]
    for k in range(3):
        out = np.zeros((*x.shape[:3], 16)) + a[f"image/{k}/bias"]
        for at in np.ndindex(x.shape[:3]):
            for step, weight in zip(NEIGHBOURS, a[f"image/{k}/weight"], strict=True):
                there = tuple(np.add(at, step))
                if all(0 <= n < size for n, size in zip(there, x.shape[:3], strict=True)):
                    out[at] += x[there] @ weight
        out = act(out)
        half = out.shape[2] // 2
        x = np.maximum(out[:, :, 0 : 2 * half : 2], out[:, :, 1 : 2 * half : 2])
    flat, cells = x.reshape(-1, 16), images.cells[1].reshape(-1, 3)
    seen = np.concatenate([flat.mean(axis=0), flat.max(axis=0), cells.sum(axis=0) * a["cells/total"]])
    seen = act(seen @ a["dense/0/weight"] + a["dense/0/bias"])
    assert found[1] == pytest.approx(seen @ a["out/weight"] + a["out/bias"], rel=1e-4, abs=1e-5)


# Batches


def test_batches_hold_every_event_once_and_fill_the_last_with_weight_0(toy):
    detector, hits, truth = toy
    shard = Shard(inputs_of(detector, hits, most=128), replace(targets_of(truth), log10_energy=np.arange(80.0)))
    made = list(batches_of([shard, shard, shard], 16, seed=1, epoch=0))
    counted = np.concatenate([b.log10_energy[b.weight > 0] for b in made])
    assert np.bincount(counted.astype(int)).tolist() == [3] * 80
    assert all(len(b.weight) == 16 for b in made)
    assert sum((b.weight == 0).any() for b in made) <= 3
    again = [b.log10_energy.tolist() for b in batches_of([shard, shard, shard], 16, seed=1, epoch=0)]
    assert again == [b.log10_energy.tolist() for b in made]
    assert again != [b.log10_energy.tolist() for b in batches_of([shard, shard, shard], 16, seed=1, epoch=1)]
    with pytest.raises(InputError, match="negative or NaN"):
        list(batches_of([Shard(shard.inputs, replace(shard.targets, weight=-np.ones(80)))], 16, 1, 0))
    with pytest.raises(InputError, match="as many of both"):
        list(batches_of([Shard(shard.inputs.take(slice(0, 9)), shard.targets)], 16, 1, 0))
