"""Trials are the same bytes whoever computes them, in whatever portions, killed or not."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nuanalysis import trials
from nuanalysis.engine import ensembles
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Injections, Plan, Problem, Scrambles
from nuanalysis.engine.executors import Executor, Processes, Serial, open_executor
from nuanalysis.engine.progress import Silent
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples import SampleSpec
from nuanalysis.model import Sample, prepare
from nuanalysis.response import LogNormalErrors
from nuanalysis.store import ensembles as at_rest
from nuanalysis.store import write_object


def run(problem: Problem, plan: Plan, folder: Path, executor: Executor | None = None, batch: int = 0) -> str:
    """Run a plan and return the digest of its store, the only one of that kind in the folder."""
    bench = Bench(folder, executor or Serial(), Silent())
    ensembles.run((problem,), plan, bench, batch=batch or (100 if plan.n_trials > 500 else 25))
    return digest_of(the_store(folder, plan))


def digest_of(path: Path) -> str:
    """SHA-256 of the values of a trial store, whatever its batches."""
    held = at_rest.read_ensemble(path)
    values = np.column_stack([held[name] for name in at_rest.ensemble_layout(path).columns])
    return hashlib.sha256(values.tobytes()).hexdigest()


def the_store(folder: Path, plan: Plan) -> Path:
    [path] = (folder / "trials").glob(f"{plan.kind}-*.zarr")
    return path


def chunks(folder: Path) -> dict[Path, int]:
    """The batches written so far and when."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.glob("trials/*.zarr/trials/c/**/*")
        if path.name.isdigit() and path.is_file()
    }


@pytest.fixture(scope="module")
def sample() -> Sample:
    spec = SampleSpec(name="cascades-2023", signal="none", min_log10_energy=3.5)
    [one] = samples.load(spec, 1).seasons
    return one


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A user's template: a smooth belt, cheaper than the built-in one."""
    path = tmp_path_factory.mktemp("map") / "belt.npy"
    z = np.linspace(1, -1, 12 * 16**2)
    np.save(path, np.exp(-((z + 0.3) ** 2) / 0.05) * (1.2 + np.cos(np.arange(z.size))))
    return f"template:{path}?frame=equatorial&ordering=ring&units=relative"


def pose(name: str, sample: Sample) -> Problem:
    """A small problem: the synthetic sample above 10^3.5 GeV, about ten thousand events."""
    hypothesis = read_hypothesis(name)
    return Problem(prepare(hypothesis, (sample,)), ensembles.problem_fingerprint(hypothesis, (sample,)), 1)


@pytest.fixture(scope="module")
def problems(sample: Sample, belt: str) -> dict[str, Problem]:
    return {"template": pose(belt, sample), "stack": pose("stack:snr", sample)}


@pytest.fixture(scope="module")
def plans(problems: dict[str, Problem]) -> dict[tuple[str, str], Plan]:
    out = {}
    for name, n in (("template", 900), ("stack", 150)):
        prepared = problems[name].prepared
        tilts = trials.choose_tilts(prepared, 9.0)
        assert len(tilts) > 1
        out[name, "scramble"] = Scrambles(5, n, tilts)
        out[name, "injection"] = Injections(6, n * 2 // 3, (0.0, 5.0, 20.0))
    return out


@pytest.fixture(scope="module")
def undisturbed(
    problems: dict[str, Problem], plans: dict[tuple[str, str], Plan], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """Folder of each ensemble, computed here and now."""
    out = {}
    for (name, kind), plan in plans.items():
        out[name, kind] = tmp_path_factory.mktemp(f"{name}-{kind}")
        run(problems[name], plan, out[name, kind])
        assert at_rest.ensemble_layout(the_store(out[name, kind], plan)).n_batches > 1
    return out


# --- the same bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executor", "workers", "batch"),
    [
        ("processes", 1, 0),
        ("processes", 2, 100),
        ("processes", 4, 5000),
        ("threads", 1, 5000),
        ("threads", 2, 0),
        ("threads", 4, 100),
        ("dask", 2, 0),
    ],
)
@pytest.mark.slow
def test_every_executor_gives_the_same_bytes(
    executor: str,
    workers: int,
    batch: int,
    problems: dict[str, Problem],
    plans: dict[tuple[str, str], Plan],
    undisturbed: dict[tuple[str, str], Path],
    tmp_path: Path,
) -> None:
    found, expected = {}, {}
    with open_executor(executor, workers=workers) as pool:
        for (name, kind), plan in plans.items():
            found[name, kind] = run(problems[name], plan, tmp_path / name / kind, pool, batch)
            expected[name, kind] = digest_of(the_store(undisturbed[name, kind], plan))
    assert found == expected
    assert len(set(found.values())) == 4


@pytest.mark.parametrize("name", ["template", "stack"])
@pytest.mark.parametrize("kind", ["scramble", "injection"])
def test_the_size_of_a_batch_does_not_matter(
    name: str,
    kind: str,
    problems: dict[str, Problem],
    plans: dict[tuple[str, str], Plan],
    undisturbed: dict[tuple[str, str], Path],
) -> None:
    plan, folder = replace(plans[name, kind], n_trials=60), undisturbed[name, kind]
    held = at_rest.read_ensemble(the_store(folder, plan), n_trials=60)
    expected = np.stack([held[column].values for column in plan.columns(1)], axis=1)
    for batch in (1, 7, 60):
        order = range(-(-60 // batch) - 1, -1, -1)  # the last batch first: no batch may lean on another
        prepared = (problems[name].prepared,)
        rows = {k: plan.rows(prepared, k * batch, min((k + 1) * batch, 60)) for k in order}
        assert np.concatenate([rows[k] for k in sorted(rows)]).tobytes() == expected.tobytes()


def test_more_trials_extend_and_fewer_reuse(
    problems: dict[str, Problem], plans: dict[tuple[str, str], Plan], tmp_path: Path
) -> None:
    problem, whole = problems["stack"], plans["stack", "scramble"]
    first = replace(whole, n_trials=70)
    run(problem, first, tmp_path)
    before = chunks(tmp_path)
    assert run(problem, whole, tmp_path) == run(problem, whole, tmp_path / "at-once")
    layout = at_rest.ensemble_layout(the_store(tmp_path, whole))
    full = 70 // layout.batch
    kept = [path for path, when in chunks(tmp_path).items() if before.get(path) == when]
    assert len(kept) >= full
    after = chunks(tmp_path)
    again = ensembles.run((problem,), first, Bench(tmp_path, Serial(), Silent()))
    assert (again.sizes["trial"], chunks(tmp_path)) == (70, after)


def test_every_setting_of_a_plan_has_a_store_of_its_own(
    problems: dict[str, Problem], plans: dict[tuple[str, str], Plan], tmp_path: Path
) -> None:
    problem = problems["template"]
    base = replace(plans["template", "scramble"], n_trials=30)
    shifted = tuple(replace(tilt, n_signal=tilt.n_signal * 1.001) for tilt in base.tilts)
    others = [base, replace(base, seed=6), replace(base, tilts=trials.PLAIN), replace(base, tilts=shifted)]
    others += [Injections(6, 30, (0.0, 5.0)), Injections(6, 30, (0.0, 6.0)), Injections(7, 30, (0.0, 5.0))]
    for plan in others:
        ensembles.run((problem,), plan, Bench(tmp_path, Serial(), Silent()))
    found = sorted((tmp_path / "trials").glob("*.zarr"))
    assert len(found) == len(others)
    assert len({digest_of(path) for path in found}) == len(others)
    assert not (tmp_path / "cache").exists()  # nothing is sent elsewhere, so nothing is kept


def test_the_fingerprint_of_a_problem_is_of_all_that_its_trials_depend_on(sample: Sample, belt: str) -> None:
    asked = read_hypothesis("stack:snr")
    moved = sample.events.copy(deep=True)
    other_errors = replace(sample.response, errors=LogNormalErrors(2.0))
    moved["declination"][0] += 1e-12
    longer = sample.events.assign_attrs(livetime_s=sample.livetime + 1)
    found = [
        ensembles.problem_fingerprint(asked, (sample,)),
        ensembles.problem_fingerprint(read_hypothesis("stack:pwn"), (sample,)),
        ensembles.problem_fingerprint(read_hypothesis(belt), (sample,)),
        ensembles.problem_fingerprint(replace(asked, index=2.5), (sample,)),
        ensembles.problem_fingerprint(replace(asked, index_free=False), (sample,)),
        ensembles.problem_fingerprint(asked, (replace(sample, events=moved),)),
        ensembles.problem_fingerprint(asked, (replace(sample, events=longer),)),
        ensembles.problem_fingerprint(asked, (replace(sample, nside=32),)),
        # The cuts also cut injected signal, even where they remove no event.
        ensembles.problem_fingerprint(asked, (replace(sample, log10_energy_range=(3.5, 9.5)),)),
        ensembles.problem_fingerprint(asked, (replace(sample, declination_range=(-1.57, 1.57)),)),
        ensembles.problem_fingerprint(asked, (replace(sample, response=other_errors),)),
        ensembles.problem_fingerprint(asked, (sample, sample)),
    ]
    assert len(set(found)) == len(found)
    assert found[0] == ensembles.problem_fingerprint(replace(asked, name="other"), (replace(sample, label="other"),))


# --- kills ------------------------------------------------------------------------------------------------------------

RUNNER = """
import pickle, sys
from pathlib import Path
from nuanalysis.engine import ensembles
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import open_executor

if __name__ == "__main__":
    problem, plan = pickle.loads(Path(sys.argv[1]).read_bytes())
    with open_executor("processes", workers=2) as pool:
        ensembles.run((problem,), plan, Bench(Path(sys.argv[2]), pool), batch=100)
"""


@pytest.fixture(scope="module")
def long_plan(plans: dict[tuple[str, str], Plan]) -> Plan:
    return replace(plans["stack", "scramble"], n_trials=6000)


@pytest.fixture(scope="module")
def reference(problems: dict[str, Problem], long_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(problems["stack"], long_plan, tmp_path_factory.mktemp("reference"))


@pytest.fixture
def runner(problems: dict[str, Problem], long_plan: Plan, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process group that computes the long plan into tmp_path / 'run' with two workers."""
    problem = problems["stack"]
    (tmp_path / "problem").write_bytes(pickle.dumps((problem, long_plan)))
    (tmp_path / "runner.py").write_text(RUNNER)
    command = [sys.executable, "runner.py", "problem", "run"]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as process:
        yield process
        for one in group_of(process.pid):
            os.kill(one, signal.SIGKILL)


def group_of(leader: int) -> list[int]:
    """Process ids of a process group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def workers_of(leader: int) -> list[int]:
    """Process ids of the workers that have a batch under way or wait for one."""
    found = []
    for pid in group_of(leader):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in words:
            found.append(pid)
    return found


def wait_for_batches(process: subprocess.Popen[bytes], folder: Path, n: int) -> None:
    until = time.monotonic() + 60
    while len(chunks(folder)) < n:
        assert process.poll() is None, "the runner ended too early"
        assert time.monotonic() < until, "no batch in a minute"
        time.sleep(0.005)


def gone(leader: int) -> bool:
    until = time.monotonic() + 10
    while group_of(leader):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_killed_workers_cost_nothing(
    runner: subprocess.Popen[bytes], reference: str, long_plan: Plan, tmp_path: Path
) -> None:
    rng = np.random.default_rng(41)
    for n in np.sort(rng.integers(1, 20, 3)):
        wait_for_batches(runner, tmp_path / "run", int(n))
        os.kill(int(rng.choice(workers_of(runner.pid))), signal.SIGKILL)
    assert runner.wait(60) == 0
    assert digest_of(the_store(tmp_path / "run", long_plan)) == reference


@pytest.mark.parametrize(("victim", "seed"), [("runner", 1), ("group", 3)])
@pytest.mark.slow
def test_killed_and_run_again_it_ends_with_the_same_bytes(
    victim: str,
    seed: int,
    runner: subprocess.Popen[bytes],
    problems: dict[str, Problem],
    reference: str,
    long_plan: Plan,
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(seed)
    folder = tmp_path / "run"
    wait_for_batches(runner, folder, int(rng.integers(1, 18)))
    time.sleep(float(rng.uniform(0, 0.05)))
    if victim == "runner":
        os.kill(runner.pid, signal.SIGKILL)
    else:
        os.killpg(runner.pid, signal.SIGKILL)
    assert runner.wait(10) == -signal.SIGKILL
    assert gone(runner.pid), "workers outlive the killed runner"
    path = the_store(folder, long_plan)
    left, layout = at_rest.missing_batches(path), at_rest.ensemble_layout(path)
    assert 0 < len(left) < layout.n_batches
    finished = chunks(folder)
    assert run(problems["stack"], long_plan, folder) == reference
    assert finished.items() <= chunks(folder).items(), "finished batches were written again"


# --- the problem file -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_problem_file_that_lies_in_the_folder_is_not_used(
    problems: dict[str, Problem], plans: dict[tuple[str, str], Plan], tmp_path: Path
) -> None:
    """A folder received from somebody else runs nothing and changes nothing; one cut short is written anew."""
    problem, plan = problems["template"], replace(plans["template", "scramble"], n_trials=20)
    expected = run(problem, plan, tmp_path / "clean")
    kept = Bench(tmp_path / "clean").keep((problem.prepared,), problem.fingerprint)
    write_object(kept.path, ("another problem",))
    planted = {
        "pickle": pickle.dumps(Planted(str(tmp_path / "ran"))),
        "other": kept.path.read_bytes(),
        "cut": kept.path.read_bytes()[:200],
        "empty": b"",
    }
    for name, content in planted.items():
        for ending in (".npz", ".problem"):
            path = tmp_path / name / "cache" / f"{problem.fingerprint}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with Processes(1) as pool:
            assert run(problem, plan, tmp_path / name, pool) == expected
    assert not (tmp_path / "ran").exists()


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


class Interrupting:
    """An executor whose user presses Ctrl-C after some batches."""

    def __init__(self, after: int) -> None:
        self.after = after

    def map(self, function, items):
        for position, item in enumerate(items):
            if position == self.after:
                raise KeyboardInterrupt
            yield position, function(item)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return None


def test_a_ctrl_c_returns_what_is_finished_where_that_is_wanted(
    problems: dict[str, Problem], plans: dict[tuple[str, str], Plan], tmp_path: Path
) -> None:
    problem, plan = problems["stack"], plans["stack", "scramble"]
    bench = Bench(tmp_path, Interrupting(3), Silent(), patient=False)
    found = ensembles.run((problem,), plan, bench, batch=20)
    assert found.sizes["trial"] == 60
    with pytest.raises(KeyboardInterrupt):
        ensembles.run((problem,), plan, replace(bench, executor=Interrupting(1), patient=True), batch=20)
    whole = ensembles.run((problem,), plan, Bench(tmp_path, Serial(), Silent()))
    assert whole.sizes["trial"] == plan.n_trials
    assert np.array_equal(whole["ts"].values[:60], found["ts"].values)


def test_a_store_of_trials_tells_whose_it_is(
    undisturbed: dict[tuple[str, str], Path], plans: dict[tuple[str, str], Plan]
) -> None:
    plan = plans["stack", "scramble"]
    held = at_rest.read_ensemble(the_store(undisturbed["stack", "scramble"], plan))
    assert held.attrs["seed"] == plan.seed
    assert held.attrs["kind"] == "scramble"
    assert held.attrs["hypothesis"] == "stack:snr"
    assert held.attrs["samples"] == ["cascades-2023"]
