"""The chain of the open detector at a small size: light, networks, trees, levels, a sample that the analysis takes."""

import json
from dataclasses import fields

import numpy as np
import pytest

from nuanalysis.chain._events import BATCH, Recipe, hits_of, joined, make_seen, opened, simulated, taken
from nuanalysis.chain._kept import place_of
from nuanalysis.chain._light import Medium, light
from nuanalysis.chain._networks import trained
from nuanalysis.chain.benchmark import Benchmark
from nuanalysis.chain.reconstruct import Reconstruct
from nuanalysis.chain.select import Select
from nuanalysis.chain.simulate import Simulate
from nuanalysis.chain.train import Train
from nuanalysis.cli import main
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import DataError, InputError
from nuanalysis.library import samples
from nuanalysis.trials.streams import Purpose, seed_for

pytestmark = pytest.mark.real_data
PHOTONS = 20_000


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def seen(bench):
    recipe = Recipe(7, BATCH + 100, Medium(photons=PHOTONS))
    return joined([opened(path) for path in simulated(recipe, bench, "small")])


def same(one, other):
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(one))


def test_an_event_does_not_depend_on_its_batch_or_on_how_many_are_made(bench, seen):
    path = light(bench, PHOTONS)
    alone = make_seen(Recipe(7, BATCH + 100, Medium(photons=PHOTONS)), path, 1)
    last = np.flatnonzero(seen.truth.number >= BATCH)
    assert len(last) == len(alone.truth.number) > 20
    assert same(taken(seen.truth, last), alone.truth)
    assert same(taken(seen.variables, last), alone.variables)
    assert same(hits_of(seen.hits, last), alone.hits)


def test_all_that_were_made_are_counted_and_those_that_triggered_are_kept(seen):
    assert seen.made.sum() == BATCH + 100
    assert (np.bincount(seen.truth.kind, minlength=len(seen.made)) <= seen.made).all()
    assert 0.4 < len(seen.truth.kind) / seen.made.sum() < 0.95
    assert np.diff(seen.hits.start).min() >= 0
    assert seen.hits.start[-1] == len(seen.hits.module)


def test_no_purpose_shares_a_seed_with_another_of_any_run():
    seeds = [seed_for(seed, purpose) for seed in range(50) for purpose in Purpose]
    assert len(set(seeds)) == len(seeds)


def test_faults_of_settings_are_told_together():
    with pytest.raises(InputError) as told:
        Simulate.of(events=3, ice="snow")
    assert "events" in str(told.value)
    assert "spice-mie" in str(told.value)
    assert "Nothing was run" in str(told.value)


DAMAGED = [
    (Benchmark(), "direction"), (Reconstruct(), "classes"), (Reconstruct(), "hybrid"), (Select(), "classes"),
    (Select(), "hybrid"), (Select(), "trees"), (Train(task="trees"), "direction"), (Train(task="hybrid"), "classes"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "name"), DAMAGED)
def test_a_damaged_network_is_refused_before_events_are_made(step, name, tmp_path):
    path = place_of(tmp_path, name)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK half of a file")
    with pytest.raises(DataError, match=f"{name}.npz cannot be read"):
        step.take(Bench(tmp_path))
    assert list(tmp_path.iterdir()) == [path.parent]


def asked(capsys, *words):
    """The answer of a verb as JSON."""
    with pytest.raises(SystemExit) as end:
        main(["detector", *words, "--photons", str(PHOTONS), "--json", "--executor", "serial"])
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    return json.loads(out.out)


@pytest.mark.slow
@pytest.mark.usefixtures("mirror")  # the geometry of the array
def test_from_light_to_a_sample(tmp_path, capsys, monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    folder = ("--folder", str(tmp_path / "run"))
    classes = asked(capsys, "train", *folder, "--events", "1500", "--epochs", "2")
    figures = {one["name"]: one["value"]["value"] for one in classes["figures"]}
    assert figures["AUC, cascade against muon and bundle"] > 0.7  # two epochs of a thousand events
    assert [path.rsplit("/", 1)[1] for path in classes["drawn"]] == ["scores-synthetic.png", "passing-synthetic.png"]
    again = asked(capsys, "train", *folder, "--events", "1500", "--epochs", "2")
    assert again["sha256"] == classes["sha256"]
    direction = asked(capsys, "train", *folder, "--task", "direction", "--events", "1500", "--epochs", "2")
    assert direction["losses"][1] < direction["losses"][0]
    trees = asked(capsys, "train", *folder, "--task", "trees", "--events", "3000")
    assert trees["trained_on"] > 200
    said = asked(capsys, "reconstruct", *folder, "--events", "300", "--hybrid", "30")
    assert said["judged"] > 150
    assert said["fitted"] == 30
    assert said["hybrid"] == [], "a row needs 20 events"
    kept = (tmp_path / "run" / "reconstructed-synthetic.ecsv").read_text()
    assert "synthetic" in kept
    assert "hybrid_angular_error" in kept
    assert (tmp_path / "run" / "figures" / "angle-synthetic.png").exists()
    chosen = asked(capsys, "select", *folder, "--events", "3000", "--fits", "40")
    assert 20 <= chosen["fitted"] < chosen["came"]
    assert chosen["reconstruction"] == "hybrid fits"
    rates = {one["component"]: one["rate"] for one in chosen["flow"]["levels"][-1]["components"]}
    assert rates["muons"]["bound"] is not None, "so few events cannot tell the rate of muons"
    assert 1e-6 < rates["astrophysical nue"]["value"] < 5e-5
    sample = samples.load(samples.sample_spec(name="open-detector", signal="none"), 3)
    assert sample.origin == "synthetic"
    assert sample.n_events > 100
    network = trained(tmp_path / "run", "classes").network
    assert network.card.truth.startswith("parametric simulation")
    assert place_of(tmp_path / "run", "classes").stat().st_size < 700_000
