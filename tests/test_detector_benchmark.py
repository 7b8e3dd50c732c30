"""The benchmark of the open detector: a product that strangers can use, and one score by two programs."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table
from scipy.special import gammaincinv

from nuanalysis.chain._benchmark_tables import CLASSES, PREDICTIONS
from nuanalysis.chain._events import array, hits_of, joined, opened, simulated, taken
from nuanalysis.chain._resolution import motion
from nuanalysis.chain.benchmark import FILES, Benchmark, held_out
from nuanalysis.chain.score import score
from nuanalysis.detector import SUMMARY, hull, inside
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import DataError, InputError
from nuanalysis.learn import labels_of
from nuanalysis.store import sha256_file

pytestmark = pytest.mark.real_data
STEP = Benchmark(seed=3, events=1200, photons=20_000)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("benchmark"))


@pytest.fixture(scope="module")
def answer(bench):
    return STEP.take(bench)


@pytest.fixture(scope="module")
def product(bench, answer):
    return bench.folder / "benchmark"


@pytest.fixture(scope="module")
def scorer(product):
    """score.py of the product as a module."""
    spec = importlib.util.spec_from_file_location("scorer", product / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def predictions(product):
    return Table.read(product / "predictions-synthetic.ecsv", format="ascii.ecsv")


def guessed(predictions, rng):
    """Predictions by a die, some of them equal, in another order."""
    n, table = len(predictions), predictions[rng.permutation(len(predictions))]
    chances = rng.integers(1, 4, (n, 4)) / 1.0
    for k, name in enumerate(CLASSES):
        table[f"probability_{name}"] = (chances / chances.sum(axis=1, keepdims=True))[:, k]
    table["zenith"], table["azimuth"] = np.arccos(rng.uniform(-1, 1, n)), rng.uniform(0, 2 * np.pi, n)
    table["angular_error"] = rng.uniform(0.1, 1.0, n)
    return table


def same_numbers(one, other):
    """Whether two documents hold the same, numbers to 1e-9."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_numbers(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(same_numbers(*pair) for pair in zip(one, other, strict=True))
    return one == pytest.approx(other, rel=1e-9, abs=1e-300) if isinstance(one, float) else one == other


def test_a_product_is_whole_and_says_what_it_is(product, answer):
    sums = dict(reversed(line.split("  ")) for line in (product / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256_file(product / name) for name in FILES}
    assert {path.relative_to(product).as_posix() for path in product.rglob("*.*")} == set(FILES)
    for name in FILES:
        if not name.endswith(".npz"):
            assert b"SYNTHETIC" in (product / name).read_bytes(), name
    readme = (product / "README.md").read_text()
    assert "DR0.1, seed 3" in readme
    assert answer.score.separation[0].auc.cell().replace("+-", "±") in readme
    assert sums["networks/classes.npz"] in (product / "networks" / "classes.md").read_text()
    assert str(product) not in readme
    assert answer.train + answer.test == len(Table.read(product / "truth-synthetic.ecsv", format="ascii.ecsv"))


def test_the_scorer_needs_nothing_of_ours_and_gives_our_numbers(product, answer, tmp_path):
    source = (product / "score.py").read_text()
    assert set(re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE)) <= {
        "hashlib", "io", "itertools", "json", "math", "numpy", "pandas", "pathlib", "re", "sys",
    }  # fmt: skip
    command = [sys.executable, "-I", product / "score.py", product / "predictions-synthetic.ecsv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    theirs, ours = json.loads(done.stdout), answer.score.to_dict()
    assert theirs.pop("truth").startswith("SYNTHETIC")
    assert ours.pop("truth").startswith("SYNTHETIC")
    assert same_numbers(theirs, ours)
    assert same_numbers(json.loads((product / "scores-synthetic.json").read_text()), answer.score.to_dict())
    assert len(ours["rows"]) >= 3


def test_both_agree_on_guesses_with_ties_in_any_order_as_csv(product, predictions, scorer, tmp_path, capsys):
    path = tmp_path / "guessed.csv"
    guessed(predictions, np.random.default_rng(1)).write(path, format="ascii.csv")
    assert scorer.main(path) == 0
    theirs, found = json.loads(capsys.readouterr().out), score(path, product)
    assert same_numbers(theirs | {"truth": found.truth}, found.to_dict())
    assert abs(found.separation[0].auc.value - 0.5) < 5 * found.separation[0].auc.error
    row = found.rows[0]
    assert abs(row.angle.value - 90.0) < 5 * row.angle.error


@pytest.mark.parametrize("name", ["absent.ecsv", "empty.csv", "bytes.csv"])
def test_what_is_no_table_is_said_by_the_scorer(name, scorer, tmp_path, capsys):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)))
    assert scorer.main(tmp_path / name) == 2
    assert f"{name} is no table of predictions" in capsys.readouterr().err


def test_the_truth_itself_scores_as_well_as_can_be(product, predictions, tmp_path):
    truth = Table.read(product / "truth-synthetic.ecsv", format="ascii.ecsv")
    truth, table = truth[truth["split"] == "test"], predictions.copy()
    for name in CLASSES:
        table[f"probability_{name}"] = (truth["class"] == name).astype(float)
    for name in ("zenith", "azimuth", *(f"vertex_{axis}" for axis in "xyz")):
        table[name] = np.clip(truth[name], -5000.0, 5000.0)
    table["log10_deposited"] = np.log10(np.maximum(np.asarray(truth["deposited"]), 1.0))
    table.write(tmp_path / "perfect.ecsv", format="ascii.ecsv")
    found = score(tmp_path / "perfect.ecsv", product)
    assert [one.auc.value for one in found.separation] == [1.0] * 4
    assert [one.passing.value for one in found.separation] == [0.0] * 4
    assert all(one.upper > 0.0 for one in found.separation)
    assert found.calibration_error.value == 0.0
    assert all(row.angle.value == row.vertex.value == row.energy.value == 0.0 for row in found.rows)


@pytest.mark.parametrize("events", [0.0, 0.5, 1.8, 4.0, 9.9])
def test_the_limit_of_the_scorer_needs_no_scipy(scorer, events):
    assert scorer.limit(events) == pytest.approx(gammaincinv(events + 1.0, 0.9), rel=1e-12)


SPOILS = {
    "no column": (lambda t: t.remove_column("zenith"), "'zenith'"),
    "NaN": (lambda t: t["vertex_x"].__setitem__(3, np.nan), "'vertex_x' has 1 values"),
    "missing": (lambda t: t.remove_rows([0, 1]), "2 events are missing"),
    "doubled": (lambda t: t.add_row(t[0]), "1 events come more than once"),
    "unknown": (lambda t: t["event"].__setitem__(0, 10**6), "1 events are not of the test split, such as 1000000"),
    "sum": (lambda t: t["probability_bundle"].__setitem__(0, 0.99), "probabilities of 1 events do not sum to 1"),
    "unit": (lambda t: setattr(t["zenith"], "unit", "deg"), "deg"),
    "degrees": (lambda t: t.replace_column("zenith", np.degrees(t["zenith"])), "'zenith' has"),
    "GeV": (lambda t: t.replace_column("log10_deposited", 10 ** t["log10_deposited"]), "'log10_deposited' has"),
    "words": (lambda t: t.replace_column("azimuth", ["east"] * len(t)), "'azimuth'"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_bad_predictions_are_refused_by_both(name, product, predictions, scorer, tmp_path, capsys):
    spoil, said = SPOILS[name]
    table, path = predictions.copy(), tmp_path / "bad.ecsv"
    spoil(table)
    table.write(path, format="ascii.ecsv")
    with pytest.raises(InputError) as told:
        score(path, product)
    assert said in str(told.value)
    assert "Nothing was scored" in str(told.value)
    assert scorer.main(path) == 2
    assert said in capsys.readouterr().err


def test_all_faults_are_told_at_once_and_other_files_are_refused(product, predictions, tmp_path):
    table = predictions.copy()
    table.remove_row(0)
    table["probability_bundle"][0] = 1.0 if table["probability_bundle"][0] < 0.5 else 0.0
    table["zenith"][1] = np.nan
    table.remove_column("vertex_z")
    table.write(tmp_path / "bad.ecsv", format="ascii.ecsv")
    with pytest.raises(
        InputError, match=r"(?s)'zenith' has 1 values.*'vertex_z' is missing.*do not sum to 1.*are missing"
    ):
        score(tmp_path / "bad.ecsv", product)
    for name, content in (("bad.txt", b"event\n"), ("bad.ecsv", b"\xff\x00"), ("bad.csv", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            score(tmp_path / name, product)
    with pytest.raises(InputError, match="cannot be read"):
        score(tmp_path / "nowhere.csv", product)


def test_an_unfinished_or_changed_benchmark_is_refused(product, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(product, copy)
    truth = copy / "truth-synthetic.ecsv"
    truth.write_bytes(truth.read_bytes() + b"\n")
    with pytest.raises(DataError, match="is not the file of SHA256SUMS"):
        score(copy / "predictions-synthetic.ecsv", copy)
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="nuanalysis detector benchmark"):
        score(copy / "predictions-synthetic.ecsv", copy)


def test_the_truth_is_that_of_the_events(product, bench, answer):
    table = Table.read(product / "truth-synthetic.ecsv", format="ascii.ecsv")
    seen = joined([opened(path) for path in simulated(STEP.recipe(), bench, "testing")])
    truth = taken(seen.truth, np.searchsorted(seen.truth.number, table["event"]))
    came_from = np.stack(
        [np.sin(table["zenith"]) * np.cos(table["azimuth"]), np.sin(table["zenith"]) * np.sin(table["azimuth"]),
         np.cos(table["zenith"])], axis=1,
    )  # fmt: skip
    assert np.allclose(-came_from, truth.direction, atol=1e-9)
    assert np.allclose(motion(np.asarray(table["zenith"]), np.asarray(table["azimuth"])), truth.direction, atol=1e-9)
    assert [CLASSES[k] for k in labels_of(truth)] == list(table["class"])
    assert (np.asarray(table["contained"]) == inside(hull(array(STEP.medium)), truth.vertex)).all()
    assert (np.asarray(table["split"]) == np.where(held_out(3, 1200)[truth.number], "test", "train")).all()
    neutrino = np.asarray(table["pdg"]) != 0
    flux = 0.5 * 1.66e-14 * (truth.energy / 1e5) ** -2.53  # of nu and nubar apart, per m2 s sr GeV
    assert np.allclose(table["rate_astrophysical"], np.where(neutrino, flux * truth.weight, 0.0), rtol=1e-6)
    assert np.allclose(table["rate_muons"], np.where(neutrino, 0.0, truth.weight * answer.muon_factor.value))
    assert (np.asarray(table["rate_atmospheric"])[neutrino & (np.abs(truth.pdg) == 14)] > 0.0).all()


def test_our_networks_are_far_better_than_guesses(answer):
    assert answer.score.separation[0].auc.value > 0.95
    assert answer.score.rows[-1].angle.value < 30.0
    assert answer.score.rows[-1].energy.value < 0.1
    assert 0.7 < answer.score.rows[-1].pull.value < 1.3


def test_the_split_is_fixed_by_the_seed_alone():
    assert (held_out(3, 5000)[:1500] == held_out(3, 1500)).all()
    assert (held_out(3, 1500) != held_out(4, 1500)).any()
    assert 0.46 < held_out(3, 5000).mean() < 0.54


def test_features_are_the_hits_of_the_same_events(product, bench, answer):
    xarray, zarr = pytest.importorskip("xarray"), pytest.importorskip("zarr")
    store = zarr.storage.ZipStore(product / "modules-synthetic.zarr.zip", mode="r")
    events = xarray.open_zarr(store, consolidated=False)
    truth = Table.read(product / "truth-synthetic.ecsv", format="ascii.ecsv")
    assert (events["event"].values == truth["event"]).all()
    assert list(events.attrs["value_names"]) == list(SUMMARY)
    seen = joined([opened(path) for path in simulated(STEP.recipe(), bench, "testing")])
    hits = hits_of(seen.hits, np.searchsorted(seen.truth.number, truth["event"]))
    start = events["event_start"].values
    assert (start == hits.start).all()
    assert (events["hit_values"][start[5] : start[6]].values == hits.values[start[5] : start[6]]).all()
    assert (np.diff(start) >= 12).all()
    assert events["module_position"].shape == (5160, 3)


def test_a_killed_run_goes_on_to_the_same_bytes(bench, product, answer):
    (product / "SHA256SUMS").unlink()
    (product / "truth-synthetic.ecsv").write_text("half of it")
    pieces = [sorted(bench.folder.glob(f"shards/{name}-*/*.npz")) for name in ("events-testing", "predictions")]
    assert [len(some) for some in pieces] == [3, 3]
    pieces[0][2].unlink()  # of 500 events each
    pieces[1][1].unlink()
    kept = pieces[1][0].stat().st_mtime_ns
    assert STEP.take(bench).digest == answer.digest
    assert pieces[1][0].stat().st_mtime_ns == kept


def test_the_verb_prints_the_score(call, bench, product, answer):
    told = call("detector", "score", product / "predictions-synthetic.ecsv", "--folder", bench.folder, "--json")
    assert told[0] == 0, told[2]
    assert same_numbers(json.loads(told[1]), answer.score.to_dict())
    code, out, _ = call("detector", "score", product / "predictions-synthetic.ecsv", "--benchmark", product)
    assert code == 0
    assert "SYNTHETIC" in out
    assert call("detector", "score", "nowhere.csv", "--benchmark", product)[0] == 2


def test_a_version_has_one_form():
    with pytest.raises(InputError, match=r"DRn\.m"):
        Benchmark.of(version="1")


def test_the_readme_names_every_column(product):
    readme = (product / "README.md").read_text()
    truth = Table.read(product / "truth-synthetic.ecsv", format="ascii.ecsv")
    for name in (*truth.colnames, *PREDICTIONS.columns):
        assert f"| {name} |" in readme
