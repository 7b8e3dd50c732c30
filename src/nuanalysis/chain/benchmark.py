"""The benchmark of the open detector: truth, features, predictions, networks and a scorer that strangers can use."""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.chain._benchmark_judged import NETWORKS, judged_files
from nuanalysis.chain._benchmark_reading import SUMS, TRUTH_FILE
from nuanalysis.chain._benchmark_tables import PREDICTIONS, modules_dataset, predictions_table, truth_table
from nuanalysis.chain._benchmark_texts import Described, card_text, product_text, readme, sums_text
from nuanalysis.chain._events import Recipe, Seen, array, joined, opened, simulated
from nuanalysis.chain._judge import Judgement, judges
from nuanalysis.chain._kept import trained_at
from nuanalysis.chain._networks import trained
from nuanalysis.chain._rates import FLUXES, components
from nuanalysis.chain._step import Step
from nuanalysis.chain.score import ScoreAnswer, scored
from nuanalysis.chain.simulate import normalisation
from nuanalysis.detector import CANNOT_TELL, TRUTH, Kind, rate
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.provenance import versions
from nuanalysis.ingest import atmospheric_flux, find
from nuanalysis.records import Measured, Record, setting, shown
from nuanalysis.schema import Bools
from nuanalysis.store import atomic_write, table_ecsv, unlinked, write_zip
from nuanalysis.trials.streams import Purpose, Stream, seed_for, seed_of

if TYPE_CHECKING:
    from astropy.table import QTable

NAME = "open-detector-benchmark"
MODULES, PREDICTED, SCORES = "modules-synthetic.zarr.zip", "predictions-synthetic.ecsv", "scores-synthetic.json"
FILES = (
    TRUTH_FILE, MODULES, PREDICTED, SCORES, "score.py", "README.md",
    *(f"networks/{task}{ending}" for task in NETWORKS for ending in (".npz", ".md")),
)  # fmt: skip
_TESTED = 0.5  # of all events
_VERSION = re.compile(r"DR\d+\.\d+")


class BenchmarkAnswer(Record):
    """A benchmark that was written, and our own score on it."""

    version: str = shown("version")
    medium: str = shown("ice and modules")
    made: int = shown("events made")
    train: int = shown("events to train on")
    test: int = shown("events to test on")
    muon_factor: Measured = shown("published trigger rate over ours; rates of muons are multiplied by it")
    networks: tuple[str, ...] = shown("networks, sha256", hidden=True)
    score: ScoreAnswer = shown("our score")
    digest: str = shown("sha256 of SHA256SUMS", hidden=True)
    simulating_s: float = shown("seconds of simulation", unit="s", form=".1f")
    seconds: float = shown("wall time", unit="s", form=".1f")
    folder: str = shown("folder")
    files: tuple[str, ...] = shown("files in it", hidden=True)
    truth: str = shown("what it is", f"SYNTHETIC: {TRUTH}")


class Benchmark(Step):
    """Write a benchmark for anybody: truth, features, predictions, networks, a scorer and our own score."""

    events: int = setting(100_000, low=200, high=1_000_000, help="events made, of all kinds together")
    version: str = setting("DR0.1", help="version of the product, DRn.m: n new events, m corrections")

    def model_post_init(self, context: object) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ValueError(f"version '{self.version}' is not of the form DRn.m, for instance DR0.1")

    def recipe(self) -> Recipe:
        """What the events depend on: those of ``simulate`` for the purpose of testing, pulses and all."""
        return Recipe(seed_for(self.seed, Purpose.TESTING), self.events, self.medium)

    def take(self, bench: Bench) -> BenchmarkAnswer:
        began = time.monotonic()
        judges(bench.folder)  # what cannot be read, or is not here, is refused before anything is made
        find(atmospheric_flux.RELEASE)
        files = simulated(self.recipe(), bench, "testing")
        simulating = time.monotonic() - began
        seen = joined([opened(path) for path in files])
        judged = judged_files(self.recipe(), files, bench)
        folder = unlinked(bench.folder, bench.folder / "benchmark")
        (folder / SUMS).unlink(missing_ok=True)  # until all is written it is no benchmark
        described = self._described(folder, seen, judged)
        networks = [_network(folder, bench.folder, task) for task in NETWORKS]
        _write(folder / SCORES, json.dumps(described.score.to_dict(), indent=2, allow_nan=False) + "\n")
        _write(folder / "score.py", product_text("score.py"))
        _write(folder / "README.md", readme(described))
        sums = sums_text(folder, FILES)
        _write(folder / SUMS, sums)
        return BenchmarkAnswer(
            version=described.version,
            medium=described.medium,
            made=described.made,
            train=described.train,
            test=described.test,
            muon_factor=described.muon_factor,
            networks=tuple(networks),
            score=described.score,
            digest=hashlib.sha256(sums.encode()).hexdigest(),
            simulating_s=simulating,
            seconds=time.monotonic() - began,
            folder=str(folder),
            files=(*sorted(FILES), SUMS),
        )

    def _described(self, folder: Path, seen: Seen, judged: Judgement) -> Described:
        """The tables of the benchmark written into a folder, scored, and all that the README says of them."""
        test = held_out(self.seed, self.events)[seen.truth.number[judged.events]]
        triggers = seen.truth.weight[seen.truth.kind == Kind.BUNDLE]
        factor = normalisation(rate(triggers, of=triggers))
        truth = truth_table(seen, judged.events, test, components(seen.truth, factor.value), array(self.medium))
        modules = modules_dataset(seen, judged.events, array(self.medium))
        about = {"origin": "SYNTHETIC", "truth": TRUTH, "benchmark": f"{NAME} {self.version}", "seed": self.seed}
        _write_table(folder / TRUTH_FILE, truth, about)
        _write_table(folder / PREDICTED, predictions_table(seen, judged, test), about)
        write_zip(folder / MODULES, modules.assign_attrs(about))
        return Described(
            version=self.version,
            seed=self.seed,
            medium=str(self.medium),
            made=self.events,
            train=int((~test).sum()),
            test=int(test.sum()),
            muon_factor=factor,
            fluxes=FLUXES,
            versions=tuple(f"{name} {number}" for name, number in versions().items()),
            simulate=self._simulate(),
            truth=truth,
            predictions=PREDICTIONS,
            score=scored(folder / PREDICTED, folder),
            limits=CANNOT_TELL,
        )

    def _simulate(self) -> str:
        """The command that keeps all pulses of the same events."""
        usual, names = type(self)(), ("ice", "efficiency", "photons")
        own = [f" --{k} {getattr(self, k)}" for k in names if getattr(self, k) != getattr(usual, k)]
        said = f"--purpose testing --pulses --seed {self.seed} --events {self.events}"
        return f"nuanalysis detector simulate {said}{''.join(own)}"


def held_out(seed: int, events: int) -> Bools:
    """Which of so many events are tested on, (event,) by number; more events leave the first ones where they are."""
    rng = np.random.Generator(np.random.Philox(seed_of(seed, Stream.SPLIT)))
    return np.asarray(rng.random(events) < _TESTED)


def _network(folder: Path, run: Path, task: str) -> str:
    """Copy a network of a run into the product with its card; its name and sha256 are returned."""
    path, own = trained_at(run, task), trained(run, task)
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    atomic_write(folder / "networks" / f"{task}.npz", data)
    _write(folder / "networks" / f"{task}.md", card_text(task, own, sha256))
    return f"{own.network.name} {sha256}"


def _write(path: Path, text: str) -> None:
    atomic_write(path, text.encode())


def _write_table(path: Path, table: QTable, about: dict[str, object]) -> None:
    table.meta = about
    atomic_write(path, table_ecsv(table))
